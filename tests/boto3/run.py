"""Runs all scripts in one process, and then asserts that every modelled action was called with success.

    RUNNER_BIN=…/runner python tests/boto3/run.py [-v] [--but CLASS] [--actions FILE] [NAME…]

What is modelled is read from the simulator's sources: the `Action`s below `src/sim`, one line `service:Action` each,
written to FILE (a temporary one if none is named) and read back from it. With NAMEs, as unittest has them, only those
run, and coverage is not asserted. `--but ToMend` leaves out what is known to be different from AWS.

This file owns the coverage of the modelled actions, and that replies have the shapes of the service models.
"""
import argparse
import os
import pathlib
import re
import sys
import tempfile
import time
import unittest
from collections import Counter

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE.parent.parent / "src" / "sim"
sys.path.insert(0, str(HERE))

import support  # noqa: E402

SERVICE = re.compile(r'\bSERVICE:\s*\w+\s*=\s*\w+\s*\{\s*name:\s*"([a-z0-9-]+)"')
ACTION = re.compile(r'\bAction\s*\{\s*name:\s*"([A-Z][A-Za-z0-9]*)"')


def modelled(sources: pathlib.Path) -> set[str]:
    """`service:Action` of all that is modelled, under the names that services sign with."""
    listed = re.findall(r"&(\w+)::SERVICE\b", (sources / "service.rs").read_text("utf-8"))
    found = set()
    for module in listed:
        folder = sources / module
        files = sorted(folder.glob("**/*.rs")) if folder.is_dir() else [sources / f"{module}.rs"]
        texts = [file.read_text("utf-8") for file in files]
        names = {name for text in texts for name in SERVICE.findall(text)}
        actions = {name for text in texts for name in ACTION.findall(text)}
        if len(names) != 1 or not actions:
            raise ValueError(f"{module}: found the names {sorted(names)} and {len(actions)} actions")
        found |= {f"{name}:{action}" for name in names for action in actions}
    return found


class Coverage(unittest.TestCase):
    """Runs last, over what the others have recorded."""

    actions: pathlib.Path

    def test_the_parser_misses_no_action(self) -> None:
        # Each action has one `run:`; what has none is no action of the table.
        texts = [file.read_text("utf-8") for file in SOURCES.glob("**/*.rs") if file != SOURCES / "service.rs"]
        runs = sum(len(re.findall(r"^[^/\n]*\brun:\s*[|a-z]", text, re.MULTILINE)) for text in texts)
        self.assertEqual(len(self.listed()), runs)

    def test_every_modelled_action_was_called_with_success(self) -> None:
        done = {f"{call.service}:{call.action}" for call in support.CALLS if call.code is None}
        self.assertEqual(sorted(self.listed() - done), [])

    def test_replies_have_the_shapes_of_the_models(self) -> None:
        self.assertEqual(sorted(fault for fault in support.MISSHAPEN if fault not in support.TO_MEND), [])

    def listed(self) -> set[str]:
        return set(self.actions.read_text("utf-8").split())


def cases(suite: unittest.TestSuite) -> list[unittest.TestCase]:
    return [test for part in suite for test in (cases(part) if isinstance(part, unittest.TestSuite) else [part])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-v", "--verbose", action="store_true", help="name each test")
    parser.add_argument("--but", metavar="CLASS", action="append", default=[], help="leave out classes of this name")
    parser.add_argument("--actions", metavar="FILE", type=pathlib.Path, help="where to write what is modelled")
    parser.add_argument("names", metavar="NAME", nargs="*")
    args = parser.parse_args()
    if "RUNNER_BIN" not in os.environ:
        parser.error("RUNNER_BIN must name the binary")

    with tempfile.TemporaryDirectory() as folder:
        Coverage.actions = args.actions or pathlib.Path(folder) / "actions.txt"
        Coverage.actions.write_text("".join(f"{name}\n" for name in sorted(modelled(SOURCES))), "utf-8")
        loader = unittest.TestLoader()
        if args.names:
            found = loader.loadTestsFromNames(args.names)
        else:
            found = loader.discover(str(HERE))
        tests = [test for test in cases(found) if type(test).__name__ not in args.but]
        if not args.names:
            tests += cases(loader.loadTestsFromTestCase(Coverage))
        began = time.monotonic()
        result = unittest.TextTestRunner(verbosity=2 if args.verbose else 1).run(unittest.TestSuite(tests))
        summary(result, time.monotonic() - began, len(Coverage.actions.read_text("utf-8").split()))
    return 0 if result.wasSuccessful() else 1


def summary(result: unittest.TestResult, seconds: float, actions: int) -> None:
    calls = Counter("refused" if call.code else "good" for call in support.CALLS)
    done = {(call.service, call.action) for call in support.CALLS if call.code is None}
    wrong = [test for test, _ in result.failures + result.errors]
    # A subtest says whose it is.
    known = sum(type(getattr(test, "test_case", test)).__name__ == "ToMend" for test in wrong)
    print(f"{result.testsRun} tests, {len(wrong)} failed, {known} of them to mend; {calls.total()} calls, "
          f"{calls['refused']} of them refused; {len(done)} of {actions} actions called with success; {seconds:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
