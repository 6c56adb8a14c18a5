#!/usr/bin/env python3
"""Who tests the tests: breaks the program in one place at a time, and sees whether a test fails.

    scripts/mutants.py [--count 60] [--seed 1] [--hours N] [--results FILE]

The places are chosen by the seed among all that cargo-mutants finds in FILES. Each mutant is a build and a run of the
tests, some minutes: what was tried is kept in FILE (target/mutants.tsv), one `outcome<TAB>mutant` a line, and a second start
goes on from there. The working tree is left alone: mutants are made in a copy of the last commit.

Needs `cargo install cargo-mutants --version 27.1.0 --locked`.
"""
import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
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
# The tests that are about them; the others take long and would find nothing more.
TESTS = ["--lib", "--test", "operations"]


def listed(copy: pathlib.Path) -> list[str]:
    """The names of all mutants, as cargo-mutants prints them."""
    files = [word for file in FILES for word in ("--file", file)]
    done = subprocess.run(["cargo", "mutants", "--list", "--json", *files], cwd=copy, check=True, capture_output=True)
    return sorted(mutant["name"] for mutant in json.loads(done.stdout))


def tried(copy: pathlib.Path, name: str, out: pathlib.Path) -> str:
    """What became of one mutant: `caught`, `missed`, `timeout` or `unviable`."""
    subprocess.run(
        ["cargo", "mutants", "--in-place", "--baseline", "skip", "--timeout", "1200", "--output", out, "--no-shuffle",
         "--re", f"^{re.escape(name)}$", "--", *TESTS],
        cwd=copy, check=False, capture_output=True)
    outcomes = json.loads((out / "mutants.out" / "outcomes.json").read_text("utf-8"))["outcomes"]
    words = {"CaughtMutant": "caught", "MissedMutant": "missed", "Timeout": "timeout", "Unviable": "unviable"}
    return next((words[outcome["summary"]] for outcome in outcomes if outcome["summary"] in words), "none")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hours", type=float, default=float("inf"), help="begin no mutant after this long")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "target" / "mutants.tsv")
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)

    copy = options.results.parent / "mutants-copy"
    if not copy.exists():
        subprocess.run(["git", "clone", "--quiet", "--local", ROOT, copy], check=True)
    names = listed(copy)
    chosen = random.Random(options.seed).sample(names, min(options.count, len(names)))
    results = {}
    if options.results.exists():
        for line in options.results.read_text("utf-8").splitlines():
            outcome, name = line.split("\t", 1)
            results[name] = outcome
    end = time.monotonic() + options.hours * 3600
    for name in chosen:
        if name in results or time.monotonic() >= end:
            continue
        results[name] = tried(copy, name, options.results.parent / "mutants-out")
        with options.results.open("a", encoding="utf-8") as file:
            file.write(f"{results[name]}\t{name}\n")
        print(f"{results[name]:9} {name}", flush=True)

    outcomes = [results[name] for name in chosen if name in results]
    viable = [outcome for outcome in outcomes if outcome in ("caught", "missed", "timeout")]
    caught = sum(outcome != "missed" for outcome in viable)
    print(f"{len(outcomes)} of {len(chosen)} tried, chosen by seed {options.seed} among {len(names)}; "
          f"{caught} of {len(viable)} viable ones caught")
    for name in chosen:
        if results.get(name) == "missed":
            print(f"missed    {name}")
    return int(len(outcomes) < len(chosen))


if __name__ == "__main__":
    sys.exit(main())
