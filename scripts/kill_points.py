#!/usr/bin/env python3
"""Kills a deploy at each of its state-changing system calls, and has another process go on with it.

    scripts/kill_points.py --runner target/sweep/runner [--moto PYTHON] [--errors | --random N] [--sample N] [--seed S] [--jobs J]

Each point is a deploy of its own from an empty account. `strace` (from Debian's packages) sends SIGKILL at the n-th call of a
kind; what is then on disk, or in the bucket, is what a machine that lost its process has. `runner resume` in a new process has to
end the deploy, or, where nothing was on record yet, the same run again; after that a run must change nothing, and no request
may have failed.

--moto PYTHON   against moto servers, with waits that take no time and the journal in their S3: PYTHON is the interpreter of the
                environment that the tests have installed (target/tmp/moto/venv/bin/python). In the end there must be as many of
                everything as after a deploy that nobody has killed.
--errors        writes to files fail with ENOSPC and EIO instead: the run has to stop by itself, without a call that is not on
                record.
--random N      N kills at moments that the seed decides, while other processes keep the processors busy.

Goes on where it was stopped: results are kept in --results, one line for each point.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

PROJECT = pathlib.Path(__file__).resolve().parent.parent
# What changes what another process finds.
FILES = ["openat", "write", "fsync", "fdatasync", "link", "linkat", "rename", "renameat", "unlink", "unlinkat", "mkdir", "ftruncate"]
SOCKETS = ["sendto", "sendmsg", "writev"]
FAILING = ["write", "fsync", "fdatasync", "linkat", "link", "rename", "mkdir", "openat"]
ACCOUNT = "123456789012"


class Folder:
    """The world and the journal are on disk."""

    calls = FILES

    where = ["--sim"]
    journal = []
    variables = {}

    def fresh(self):
        pass

    def counted(self):
        """No resources are counted: the sweep of `runner test --crashes` compares whole worlds."""


class Moto:
    """A moto server is the account, and has the journal."""

    calls = SOCKETS

    def __init__(self, python):
        # As the tests start it: tests/support/moto.rs.
        variables = {
            "PYTHONOPTIMIZE": "1",
            "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
            "MOTO_ENABLE_AMI_VALIDATION": "true",
            "MOTO_ACM_VALIDATION_WAIT": "0",
            "MOTO_AMIS_PATH": str(PROJECT / "tests/moto/amis.json"),
        }
        self.server = subprocess.Popen(
            [python, PROJECT / "tests/moto/serve.py"],
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.url = f"http://127.0.0.1:{int(self.server.stdout.readline())}"
        self.where = ["--endpoint-url", self.url]
        self.journal = ["--journal", "s3://journals/kill-points"]
        self.variables = {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL_S3": self.url,
            "RUNNER_TIME": "virtual",
        }

    def ask(self, expression):
        self.server.stdin.write(json.dumps({"account": ACCOUNT, "expression": expression}) + "\n")
        self.server.stdin.flush()
        answer = json.loads(self.server.stdout.readline())
        if "error" in answer:
            raise RuntimeError(f"{expression}: {answer['error']}")
        return answer["value"]

    def fresh(self):
        urllib.request.urlopen(urllib.request.Request(self.url + "/moto-api/reset", method="POST")).read()
        # The session that looks has to be one of the account as it is now.
        self.ask("session.cache_clear() or client_of.cache_clear()")
        region = "CreateBucketConfiguration={'LocationConstraint': 'eu-central-1'}"
        self.ask(f"client('s3').create_bucket(Bucket='journals', {region}) and 1")

    def counted(self):
        return self.ask("{what: len(found) for what, found in observe().items()}")


class Driver:
    """Runs the program in a project of its own."""

    def __init__(self, runner, place, folder):
        self.runner, self.place, self.folder = str(runner), place, folder
        for name in ["runbooks", "stdlib", "runner.toml"]:
            source = PROJECT / name
            shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
        place.fresh()

    def deploy(self):
        image = ["--param", "image=ami-healthy-1"]
        return [self.runner, "run", "runbooks/prod-deploy.rhai", *self.place.where, *self.place.journal, *image, "-qq"]

    def words(self, *words):
        return [self.runner, *words, *self.place.journal, "--json"]

    def start(self, words, **more):
        variables = {"HOME": str(self.folder), "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
        environment = {**variables, **self.place.variables}
        return subprocess.Popen(words, cwd=self.folder, env=environment, text=True, start_new_session=True, **more)

    def run(self, words):
        with self.start(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            try:
                process.stdout_text, process.stderr_text = process.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                # With those it has started.
                os.killpg(process.pid, signal.SIGKILL)
                process.stdout_text, process.stderr_text = process.communicate()
                process.stderr_text += "\nit did not end"
            return process

    def traced(self, calls, *more):
        trace = self.folder / "trace"
        ran = self.run(["strace", "-f", "-qq", "-y", "-o", str(trace), "-e", "trace=" + ",".join(calls), *more, *self.deploy()])
        return ran, trace.read_text(errors="replace").splitlines()


def calls_of(lines):
    """How often each call is made by the thread that makes it most often: `strace` counts for each thread, and hits the first
    one that gets there."""
    counts = {}
    for line in lines:
        made = re.match(r"(\d+)\s+(\w+)\(", line)
        if made:
            thread, call = made.groups()
            of_thread = counts.setdefault(call, {})
            of_thread[thread] = of_thread.get(thread, 0) + 1
    return {call: max(of_thread.values()) for call, of_thread in counts.items()}


def outcome(ran):
    """What --json said at the end."""
    for line in reversed(ran.stdout_text.splitlines()):
        event = json.loads(line)
        if event["event"] == "run_finished":
            return event
    return None


def kill_at(driver, call, nth, error):
    """Whether anything was hit, and how the process ended."""
    what = f"error={error}" if error else "signal=KILL"
    ran, lines = driver.traced([call], "-e", f"inject={call}:{what}:when={nth}")
    # Where threads meet, the line comes in two halves, and the first one says what it is about.
    threads = {line.split()[0] for line in lines if "(INJECTED)" in line}
    hit = [[line for line in lines if re.match(rf"{thread}\s+{call}\(", line)][nth - 1] for thread in threads]
    # Of a counter within the process, and of what is only read, no disk says that it is full.
    changes = hit and all(str(driver.folder) in line and (call != "openat" or "O_CREAT" in line) for line in hit)
    return not error or changes, ran.returncode, ran.stderr_text


def kill_after(driver, seconds):
    process = driver.start(driver.deploy(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    process.kill()
    return True, process.wait(), ""


def try_point(driver, kill, expected):
    """How it ended, and what is to be known about it."""
    hit, code, said = kill(driver)
    if not hit:
        return "not of a file", ""
    if "panicked" in said or "it did not end" in said or code == 101:
        return "FAILED", f"exit {code}: {said[:2000]}"
    listed = driver.run(driver.words("runs"))
    found = [json.loads(line) for line in listed.stdout_text.splitlines()]
    resumed = None
    if found and found[0]["exit_code"] is None:
        resumed = driver.run(driver.words("resume", found[0]["run"]))
        if resumed.returncode != 0:
            return "FAILED", f"resume ends with {resumed.returncode}: {resumed.stderr_text[:3000]}"
        traffic = outcome(resumed)["summary"].get("traffic") or {"failed": 0}
        if traffic["failed"]:
            return "FAILED", f"{traffic['failed']} requests failed"
    again = driver.run([*driver.deploy(), "--json"])
    if again.returncode != 0:
        return "FAILED", f"the next run ends with {again.returncode}: {again.stderr_text[:3000]}"
    summary = outcome(again)["summary"]
    changes = summary["created"] + summary["updated"] + summary["deleted"]
    nothing_was_done = not found or (found[0]["mutations"] == 0 and resumed is None)
    if changes and not nothing_was_done and found[0]["exit_code"] not in (10, 1, 3):
        return "FAILED", f"the next run changes {changes} things"
    counted = driver.place.counted()
    if counted != expected:
        unlike = {what: (counted[what], number) for what, number in expected.items() if counted[what] != number}
        return "FAILED", f"there are, and should be: {unlike}"
    return "resumed" if resumed else "ended by itself" if found else "nothing on record", f"exit {code}"


def measure(runner, place):
    """A deploy that nobody kills: the calls it makes, the seconds it takes, and what there is after it."""
    with tempfile.TemporaryDirectory() as name:
        driver = Driver(runner, place, pathlib.Path(name))
        ran, lines = driver.traced(place.calls)
        if ran.returncode != 0:
            sys.exit(f"the deploy fails by itself:\n{ran.stderr_text}")
        expected = place.counted()
    with tempfile.TemporaryDirectory() as name:
        driver = Driver(runner, place, pathlib.Path(name))
        began = time.monotonic()
        driver.run(driver.deploy())
        return calls_of(lines), time.monotonic() - began, expected


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runner", required=True, type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--moto", metavar="PYTHON")
    parser.add_argument("--sample", type=int, help="this many points, chosen by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--errors", action="store_true")
    how.add_argument("--random", type=int, metavar="N")
    parser.add_argument("--results", type=pathlib.Path, default=pathlib.Path("kill-points.tsv"))
    arguments = parser.parse_args()

    places = queue.SimpleQueue()
    for _ in range(arguments.jobs):
        places.put(Moto(arguments.moto) if arguments.moto else Folder())
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * os.cpu_count() if arguments.random else 0)]
    try:
        first = places.get()
        counts, seconds, expected = measure(arguments.runner, first)
        places.put(first)
        rng = random.Random(arguments.seed)
        if arguments.random:
            moments = [rng.uniform(0, seconds * 1.2) for _ in range(arguments.random)]
            points = {f"at {at:.4f} s": lambda driver, at=at: kill_after(driver, at) for at in moments}
        else:
            errors = ["ENOSPC", "EIO"] if arguments.errors else [None]
            points = {
                f"{call}#{nth}={error or 'KILL'}": lambda driver, point=(call, nth, error): kill_at(driver, *point)
                for call in sorted(counts)
                if not arguments.errors or call in FAILING
                for nth in range(1, counts[call] + 1)
                for error in errors
            }
        print(f"{len(points)} points: " + ", ".join(f"{call} {number}" for call, number in sorted(counts.items())))
        names = rng.sample(list(points), min(arguments.sample or len(points), len(points)))
        known = {}
        if arguments.results.exists():
            known = dict(line.split("\t")[:2] for line in arguments.results.read_text().splitlines())

        def one(name):
            place = places.get()
            try:
                with tempfile.TemporaryDirectory() as folder:
                    return try_point(Driver(arguments.runner, place, pathlib.Path(folder)), points[name], expected)
            except Exception as error:  # What the harness itself trips over is a failure of the point.
                return "FAILED", repr(error)
            finally:
                places.put(place)

        with arguments.results.open("a") as results, concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            waiting = {pool.submit(one, name): name for name in names if name not in known}
            for done in concurrent.futures.as_completed(waiting):
                name, (ending, detail) = waiting[done], done.result()
                known[name] = ending
                results.write(f"{name}\t{ending}\t{' '.join(detail.split())}\n")
                results.flush()
                if ending == "FAILED":
                    print(f"{name}: {detail}", flush=True)
    finally:
        for process in busy:
            process.kill()
    endings = {}
    for name in names:
        endings[known[name]] = endings.get(known[name], 0) + 1
    print(", ".join(f"{number} {ending}" for ending, number in sorted(endings.items())))
    sys.exit(1 if endings.get("FAILED") else 0)


if __name__ == "__main__":
    main()
