#!/usr/bin/env python3
"""Kills a deploy at each of its state-changing system calls, and has another process go on with it.

    scripts/kill_points.py --runner target/sweep/runner [--sample N] [--seed S] [--jobs J] [--errors]

Each point is a run of its own in a folder of its own: `strace` (from Debian's packages) sends SIGKILL at the n-th call of a
kind; what is on disk then is what a machine that lost its process has. `runner resume` in a new process has to end the deploy,
or, where nothing was on record yet, the same run again; after that a run must change nothing, and no request may have failed. With
--errors the system calls fail with ENOSPC and EIO instead of killing.

Goes on where it was stopped: results are kept in --results, one line for each point.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

# What changes what another process finds. Writes to the terminal are among `write`: a kill there is a kill between two others.
CALLS = ["openat", "write", "fsync", "fdatasync", "link", "linkat", "rename", "renameat", "unlink", "unlinkat", "mkdir", "ftruncate"]
FAILING = ["write", "fsync", "fdatasync", "linkat", "link", "rename"]
PROJECT = pathlib.Path(__file__).resolve().parent.parent


def command(runner, *words):
    return [str(runner), *words]


def deploy(runner):
    return command(runner, "run", "runbooks/prod-deploy.rhai", "--sim", "--param", "image=ami-healthy-1", "-qq")


def project(folder):
    for name in ["runbooks", "stdlib", "runner.toml"]:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy(source, folder / name)


def environment(folder):
    return {"HOME": str(folder), "PATH": os.environ["PATH"], "NO_COLOR": "1", "AWS_EC2_METADATA_DISABLED": "true"}


def run(words, folder):
    return subprocess.run(words, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=300)


def count(runner):
    """How often each call is made."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        project(folder)
        trace = folder / "trace"
        words = ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=" + ",".join(CALLS), *deploy(runner)]
        ran = run(words, folder)
        if ran.returncode != 0:
            sys.exit(f"the deploy fails by itself:\n{ran.stderr}")
        counts = {}
        for line in trace.read_text(errors="replace").splitlines():
            made = re.match(r"\d+\s+(\w+)\(", line)
            # Files that are only read change nothing.
            if made and not (made[1] == "openat" and "O_CREAT" not in line and "O_WRONLY" not in line):
                counts[made[1]] = counts.get(made[1], 0) + 1
            elif made:
                counts.setdefault("openat", 0)
        # `when` counts all of a kind: those that only read among them.
        all_opens = sum(1 for line in trace.read_text(errors="replace").splitlines() if " openat(" in line)
        counts["openat"] = all_opens
        return counts


def outcome(ran):
    """What --json said at the end."""
    for line in reversed(ran.stdout.splitlines()):
        event = json.loads(line)
        if event["event"] == "run_finished":
            return event
    return None


def try_point(runner, call, nth, error):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        project(folder)
        what = f"error={error}" if error else "signal=KILL"
        inject = f"inject={call}:{what}:when={nth}"
        words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject, *deploy(runner)]
        killed = run(words, folder)
        runs = run(command(runner, "runs", "--json"), folder)
        found = [json.loads(line) for line in runs.stdout.splitlines()]
        resumed = None
        if found and found[0]["exit_code"] is None:
            resumed = run(command(runner, "resume", found[0]["run"], "--json"), folder)
            ended = outcome(resumed)
            if resumed.returncode != 0:
                return "FAILED", f"resume ends with {resumed.returncode}: {resumed.stderr[:3000]}"
            if ended["summary"]["traffic"]["failed"]:
                return "FAILED", f"{ended['summary']['traffic']['failed']} requests failed"
        again = run([*deploy(runner), "--json"], folder)
        if again.returncode != 0:
            return "FAILED", f"the next run ends with {again.returncode}: {again.stderr[:3000]}"
        summary = outcome(again)["summary"]
        changes = summary["created"] + summary["updated"] + summary["deleted"]
        nothing_was_done = not found or (found[0]["mutations"] == 0 and resumed is None)
        if changes and not nothing_was_done:
            if found[0]["exit_code"] not in (10, 1, 3):
                return "FAILED", f"the next run changes {changes} things"
        ending = "resumed" if resumed else "ended by itself" if found else "nothing on record"
        return ending, f"exit {killed.returncode}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runner", required=True, type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--sample", type=int, help="this many points, chosen by the seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--errors", action="store_true", help="ENOSPC and EIO instead of SIGKILL")
    parser.add_argument("--results", type=pathlib.Path, default=pathlib.Path("kill-points.tsv"))
    arguments = parser.parse_args()

    counts = count(arguments.runner)
    if arguments.errors:
        points = [(c, n, e) for c in FAILING for n in range(1, counts.get(c, 0) + 1) for e in ("ENOSPC", "EIO")]
    else:
        points = [(c, n, None) for c in sorted(counts) for n in range(1, counts[c] + 1)]
    print(f"{len(points)} points: " + ", ".join(f"{call} {number}" for call, number in sorted(counts.items())))
    if arguments.sample:
        points = random.Random(arguments.seed).sample(points, min(arguments.sample, len(points)))
    known = {}
    if arguments.results.exists():
        for line in arguments.results.read_text().splitlines():
            point, ending, detail = line.split("\t", 2)
            known[point] = (ending, detail)
    todo = [point for point in points if f"{point[0]}#{point[1]}={point[2] or 'KILL'}" not in known]
    with arguments.results.open("a") as results, concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        waiting = {pool.submit(try_point, arguments.runner, *point): point for point in todo}
        for done in concurrent.futures.as_completed(waiting):
            call, nth, error = waiting[done]
            name = f"{call}#{nth}={error or 'KILL'}"
            try:
                ending, detail = done.result()
            except Exception as error:  # What the harness itself trips over is a failure of the point.
                ending, detail = "FAILED", repr(error)
            detail = " ".join(detail.split())
            known[name] = (ending, detail)
            results.write(f"{name}\t{ending}\t{detail}\n")
            results.flush()
            if ending == "FAILED":
                print(f"{name}: {detail}")
    endings = {}
    for call, nth, error in points:
        ending = known[f"{call}#{nth}={error or 'KILL'}"][0]
        endings[ending] = endings.get(ending, 0) + 1
    print(", ".join(f"{number} {ending}" for ending, number in sorted(endings.items())))
    sys.exit(1 if endings.get("FAILED") else 0)


if __name__ == "__main__":
    main()
