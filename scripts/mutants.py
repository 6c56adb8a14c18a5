#!/usr/bin/env python3
"""Who tests the tests: breaks the program in one place at a time, and sees whether a test fails.

    scripts/mutants.py [--count 60] [--seed 1] [--hours N] [--results FILE] [--commit HEAD]

The places are chosen by the seed among all that cargo-mutants finds in FILES. All of them are built at once, in a copy of
the commit beside FILE: a function with mutants becomes `{ if crate::mutation::is(3) { mutated body } else { body } }`, and
the environment variable RUNNER_MUTANT says which one is alive. So there is one build (in CARGO_TARGET_DIR, or `target`
beside FILE), which is begun again without those that do not compile, and then each mutant is a run of TESTS up to the first
that fails: seconds if it is caught by the first tests, and as long as all of TESTS take if it is not.

FILE (target/mutants.tsv) keeps what was tried, one `outcome<TAB>mutant` a line below the commit, and a second start goes on
from there. Outcomes:

    caught    a test failed, or crashed
    timeout   the tests took more than three times as long: caught, too
    missed    all tests passed: a survivor
    unviable  it does not compile
    skipped   it cannot be built beside the others: in a constant, or where `impl Trait` would be of two types

Needs `cargo install cargo-mutants --version 27.1.0 --locked`.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
# What a deploy's safety rests on: runs and their rollback, the way to AWS, and the blue/green operations.
FILES = [
    "src/run/*.rs",
    "src/aws/*.rs",
    "src/ops/traffic/*.rs",
    "src/ops/compute/drain.rs",
    "src/ops/compute/launch_asg.rs",
    "src/ops/compute/retire_asg.rs",
    "src/ops/compute/scale_asg.rs",
    "src/ops/compute/sizes.rs",
    "src/ops/compute/traffic_guard.rs",
]
# The tests that are about them, quick ones first, with what to pass to each: a browser needs more memory than is given to tests.
TESTS = {"lib": [], "operations": [], "cli": ["--skip", "html::"]}
# The tests run many times: optimised, they take a third of the time.
PROFILE = "sweep"
# Seconds that a test executable may take in any case, however quick it is without a mutant.
PATIENCE = 300
# Bytes of address space of a test executable: a mutant that allocates for ever is not to take the machine with it.
MEMORY = 8 << 30

MODULE = """
/// Written by scripts/mutants.py.
pub mod mutation {
    use std::{env, sync::OnceLock};

    static ALIVE: OnceLock<Option<u32>> = OnceLock::new();

    /// Whether this is the mutant to be tried.
    pub fn is(number: u32) -> bool {
        *ALIVE.get_or_init(|| env::var("RUNNER_MUTANT").ok()?.parse().ok()) == Some(number)
    }
}
"""
LIBRARY = "src/lib.rs"
MANIFEST = "Cargo.toml"
# How the tests of the command line start the program, whose environment is to say the mutant, too.
STARTER = "tests/support/project.rs"
CLEARED = ".env_clear()"
HANDED_ON = '.envs(std::env::var_os("RUNNER_MUTANT").map(|mutant| ("RUNNER_MUTANT", mutant)))'

# What can hide a brace, and braces.
TOKEN = re.compile(r"""//[^\n]* | /\*.*?\*/ | \b[bc]?r(\#*)".*?"\1 | "(?:\\.|[^"\\])*" | '(?:\\.[^']*|[^'\\])' | [{}]""",
                   re.DOTALL | re.VERBOSE)


class Mutant:
    """One of cargo-mutants' list, with its number, and its place in the text of its file."""

    def __init__(self, number: int, listed: dict, text: str):
        self.number, self.name, self.file = number, listed["name"], listed["file"]
        lines = [0, *(found.end() for found in re.finditer("\n", text))]

        # Lines and columns are counted from 1, columns in characters.
        def offset(place: dict) -> int:
            return lines[place["line"] - 1] + place["column"] - 1

        # The space is for an operator that its neighbour touches.
        self.start, self.end = offset(listed["span"]["start"]), offset(listed["span"]["end"])
        self.replacement = listed["replacement"] + " "
        # From the brace that opens the function's body to behind the one that closes it; a constant has none.
        self.body = None
        self.is_opaque = False
        if function := listed.get("function"):
            start, end = offset(function["span"]["start"]), offset(function["span"]["end"])
            opening = opened(text, start, end)
            self.is_opaque = "impl " in function["return_type"]
            # What is computed by the compiler cannot read the environment.
            if not re.search(r"\bconst\s+(unsafe\s+)?fn\b", text[start:opening]):
                self.body = (opening, end)

    def mutated(self, text: str, start: int, end: int) -> str:
        return text[start:self.start] + self.replacement + text[self.end:end]


def opened(text: str, start: int, end: int) -> int:
    """Where the brace was opened that closes at the end of a function."""
    stack, opening = [], start
    for token in TOKEN.finditer(text, start, end):
        if token[0] == "{":
            stack.append(token.start())
        elif token[0] == "}":
            opening = stack.pop()
    return opening


# Whose which lines of a file are.
Owned = list[tuple[int, int, list[Mutant]]]


def woven(text: str, mutants: list[Mutant]) -> tuple[str, Owned, Owned]:
    """The text of a file with all its mutants in it; the lines of each mutant; the lines of each function with mutants."""
    functions = []
    for mutant in sorted(mutants, key=lambda mutant: (mutant.body[0], -mutant.body[1])):
        # A function in a function is changed with the one around it.
        if functions and mutant.body[1] <= functions[-1][0][1]:
            functions[-1][1].append(mutant)
        else:
            functions.append((mutant.body, [mutant]))
    out, done, of_mutants, of_functions = "", 0, [], []
    for (start, end), inside in functions:
        out += text[done:start]
        first = out.count("\n") + 1
        out += "{\n"
        for mutant in inside:
            out += f"if crate::mutation::is({mutant.number})\n"
            begin = out.count("\n") + 1
            out += mutant.mutated(text, start, end)
            of_mutants.append((begin, out.count("\n") + 1, [mutant]))
            out += "\nelse "
        out += "\n" + text[start:end] + "\n}"
        of_functions.append((first, out.count("\n") + 1, inside))
        done = end
    return out + text[done:], of_mutants, of_functions


def checked_out(commit: str, folder: pathlib.Path) -> None:
    subprocess.run(["git", "clone", "--quiet", "--local", "--no-checkout", ROOT, folder], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--detach", commit], cwd=folder, check=True)


def commit_of(folder: pathlib.Path, name: str = "HEAD") -> str:
    words = ["git", "rev-parse", "--verify", f"{name}^{{commit}}"]
    return subprocess.run(words, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def listed(commit: str, copy: pathlib.Path) -> tuple[list[dict], dict[str, str]]:
    """All mutants of a commit, and the texts of the files that may be changed in the copy."""
    with tempfile.TemporaryDirectory() as folder:
        # In the copy the mutants of the last start would be mutated.
        clean = pathlib.Path(folder) / "clean"
        checked_out(commit, clean)
        words = ["cargo", "mutants", "--list", "--json", *(word for file in FILES for word in ("--file", file))]
        done = subprocess.run(words, cwd=clean, check=True, stdout=subprocess.PIPE)
        mutants = sorted(json.loads(done.stdout), key=lambda mutant: mutant["name"])
        files = {LIBRARY, MANIFEST, STARTER, *(mutant["file"] for mutant in mutants)}
        texts = {file: (clean / file).read_text("utf-8") for file in files}
    if CLEARED not in texts[STARTER]:
        sys.exit(f"{STARTER} starts the program in another way than this script knows: no mutant would get there")
    texts[LIBRARY] += MODULE
    # Cargo does not look where a package is: what another checkout with the same target directory has built, with other
    # mutants or none, would be taken for this one's.
    texts[MANIFEST] = texts[MANIFEST].replace("[package]\n", f"[package]\nhomepage = {json.dumps(str(copy))}\n", 1)
    texts[STARTER] = texts[STARTER].replace(CLEARED, CLEARED + HANDED_ON)
    return mutants, texts


def pointed_at(error: dict, owned: dict[str, Owned]) -> list[Mutant]:
    """Those in whose lines an error of the compiler is; what it is about comes before what it mentions."""
    spans = sorted(error["spans"], key=lambda span: not span["is_primary"])
    spans += [span for child in error["children"] for span in child["spans"]]
    for span in spans:
        # What is in a macro is also where the macro is called.
        while span:
            for first, last, mutants in owned.get(span["file_name"], []):
                if first <= span["line_start"] and span["line_end"] <= last:
                    return mutants
            span = span["expansion"] and span["expansion"]["span"]
    return []


def built(copy: pathlib.Path, texts: dict[str, str], mutants: list[Mutant], target: pathlib.Path):
    """Builds the tests with all mutants that compile: the test executables by name, and the outcomes of the others."""
    outcomes = {mutant.name: "skipped" for mutant in mutants if mutant.body is None}
    words = ["cargo", "test", "--no-run", "--profile", PROFILE, "--message-format", "json"]
    words += [word for test in TESTS for word in (["--lib"] if test == "lib" else ["--test", test])]
    while True:
        of_mutants, of_functions = {}, {}
        for file, text in texts.items():
            inside = [mutant for mutant in mutants if mutant.file == file and mutant.name not in outcomes]
            text, of_mutants[file], of_functions[file] = woven(text, inside)
            # What is not written anew is not built anew.
            if (copy / file).read_text("utf-8") != text:
                (copy / file).write_text(text, "utf-8")
        # The tests need the library built twice, with and without its unit tests, and `cargo check` would build
        # everything a third time only to find the errors this finds, as early.
        done = subprocess.run(
            words, cwd=copy, stdout=subprocess.PIPE,
            env={"CARGO_INCREMENTAL": "0", **os.environ, "CARGO_TARGET_DIR": str(target)})
        messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]
        if done.returncode == 0:
            break
        before = len(outcomes)
        errors = [message["message"] for message in messages if message["reason"] == "compiler-message"]
        errors = [error for error in errors if error["level"].startswith("error")]
        for error in errors:
            if found := pointed_at(error, of_mutants):
                # Of two mutants with types of their own, each may be right.
                outcomes |= {mutant.name: "skipped" if mutant.is_opaque else "unviable" for mutant in found}
            else:
                # What is wrong between them is their being together.
                outcomes |= {mutant.name: "skipped" for mutant in pointed_at(error, of_functions)}
        if len(outcomes) == before:
            print(*(error["rendered"] for error in errors), sep="\n", file=sys.stderr)
            sys.exit("the copy does not build, and not because of a mutant")
        print(f"{len(outcomes) - before} do not compile, building without them", flush=True)
    executables = {}
    for message in messages:
        if message["reason"] == "compiler-artifact" and message["profile"]["test"] and message["executable"]:
            kind = message["target"]["kind"]
            executables["lib" if "lib" in kind else message["target"]["name"]] = message["executable"]
    return executables, outcomes


def prepare() -> None:
    """Before a test executable begins."""
    # What a shell starts in the background ignores it, and there are tests about it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def is_paused(pid: int) -> bool:
    """Whether somebody has stopped it, who measures something else on this machine."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def tested(command: list[str], copy: pathlib.Path, number: int, limit: int) -> tuple[str, int]:
    """Runs a test executable up to the first test that fails: `timeout`, or what failed, or nothing; and the seconds."""
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as scratch:
        # What a failed test writes into the copy would change the next runs.
        environment = os.environ | {"RUNNER_MUTANT": str(number), "INSTA_UPDATE": "no", "TMPDIR": scratch,
                                    "PROPTEST_DISABLE_FAILURE_PERSISTENCE": "1"}
        test = subprocess.Popen(command, cwd=copy, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True, errors="replace", start_new_session=True,
                                preexec_fn=prepare)
        has_ended, took = threading.Event(), 0

        # With the programs it has started.
        def kill() -> None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(test.pid, signal.SIGKILL)

        def watch() -> None:
            nonlocal took
            # Counted, not looked up on a clock: this script may be stopped, too.
            while took < limit:
                if has_ended.wait(1):
                    return
                took += not is_paused(test.pid)
            kill()

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        why = ""
        try:
            for line in test.stdout:
                if "... FAILED" in line:
                    why = line.strip()
                    break
            else:
                if code := test.wait():
                    why = "timeout" if took >= limit else f"ended with {code}"
        finally:
            has_ended.set()
            kill()
            test.wait()
    return why, took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=float("inf"), help="begin no mutant after this long")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "target" / "mutants.tsv")
    parser.add_argument("--commit", default="HEAD", help="to go on after the next commit")
    options = parser.parse_args()
    end = time.monotonic() + options.hours * 3600
    # The tests that run are killed then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))

    folder = options.results.resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    commit = commit_of(ROOT, options.commit)
    results = {}
    if options.results.exists():
        first, *lines = options.results.read_text("utf-8").splitlines() or [""]
        if first != f"# {commit}":
            sys.exit(f"{options.results} is about another commit ({first.removeprefix('# ')}), not about {commit}: "
                     "go on with that one by --commit, or give other --results")
        for line in lines:
            outcome, name = line.split("\t", 1)
            results[name] = outcome
    else:
        options.results.write_text(f"# {commit}\n", "utf-8")

    def tried(mutant: Mutant, outcome: str, why: str = "") -> None:
        results[mutant.name] = outcome
        with options.results.open("a", encoding="utf-8") as file:
            file.write(f"{outcome}\t{mutant.name}\n")
        print(f"{outcome:9} {mutant.name}{why and f' ({why})'}", flush=True)

    copy = folder / "mutants-copy"
    found, texts = listed(commit, copy)
    chosen = random.Random(options.seed).sample(found, min(options.count, len(found)))
    chosen = [Mutant(number, mutant, texts[mutant["file"]]) for number, mutant in enumerate(chosen, 1)]
    if any(mutant.name not in results for mutant in chosen):
        if copy.exists() and commit_of(copy) != commit:
            shutil.rmtree(copy)
        if not copy.exists():
            checked_out(commit, copy)
        # Those that were tried are built again: what is built is the same after a second start.
        can_be_built = [mutant for mutant in chosen if results.get(mutant.name) not in ("unviable", "skipped")]
        target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", folder / "target")).resolve()
        started = time.monotonic()
        executables, outcomes = built(copy, texts, can_be_built, target)
        print(f"built in {time.monotonic() - started:.0f} s", flush=True)
        for mutant in chosen:
            if mutant.name in outcomes:
                tried(mutant, outcomes[mutant.name])
        limits = {}
        for test, filters in TESTS.items():
            why, took = tested([executables[test], *filters], copy, 0, 3600)
            if why:
                sys.exit(f"`{test}` fails without a mutant, so that nothing can be learnt: {why}")
            limits[test] = max(3 * took, PATIENCE)
            print(f"without a mutant `{test}` passes in {took} s", flush=True)
        for mutant in chosen:
            if mutant.name in results or time.monotonic() >= end:
                continue
            for test, filters in TESTS.items():
                why, _ = tested([executables[test], *filters], copy, mutant.number, limits[test])
                if why:
                    why = f"{test}: {why}"
                    break
            tried(mutant, "missed" if not why else "timeout" if why.endswith(": timeout") else "caught", why)

    outcomes = [results[mutant.name] for mutant in chosen if mutant.name in results]
    viable = [outcome for outcome in outcomes if outcome in ("caught", "missed", "timeout")]
    caught = sum(outcome != "missed" for outcome in viable)
    print(f"{len(outcomes)} of {len(chosen)} tried, chosen by seed {options.seed} among {len(found)}; "
          f"{caught} of {len(viable)} viable ones caught, "
          f"{outcomes.count('unviable')} unviable, {outcomes.count('skipped')} skipped")
    for mutant in chosen:
        if results.get(mutant.name) == "missed":
            print(f"missed    {mutant.name}")
    return int(len(outcomes) < len(chosen))


if __name__ == "__main__":
    sys.exit(main())
