#!/usr/bin/env python3
"""Says what is in a plan or a run where GitHub shows it: outputs of the step, an annotation, the job's summary.

    outputs.py plan FOLDER EXIT_CODE [--annotate]
    outputs.py run EVENTS.jsonl EXIT_CODE

FOLDER has the plan.json, plan.md and plan.html of `runner plan --out`; EVENTS.jsonl is what `runner run --json-into` writes. Needs Python 3
and nothing else.
"""
import json
import os
import pathlib
import re
import secrets
import sys

SUMMARY_LIMIT = 1024 * 1024  # bytes of a step's summary; GitHub drops a longer one whole


def plan(folder, code, annotate):
    data = read_plan(folder / "plan.json")
    totals = data.get("totals") or {}
    verdict = data.get("verdict") or {}
    if not (folder / "plan.md").exists():
        stand_in(folder / "plan.md", code)
    files = {f"plan-{kind}": folder / name for kind, name in
             {"json": "plan.json", "markdown": "plan.md", "html": "plan.html"}.items() if (folder / name).exists()}
    changed = sum(totals.get(kind, 0) for kind in ("create", "update", "replace", "delete"))
    outputs({
        "exitcode": code,
        "verdict": verdict.get("text") or f"no plan: runner ended with exit code {code}",
        "has-changes": verdict.get("outcome") == "changes" or changed > 0,
        "destroy-count": totals.get("delete", 0) + totals.get("replace", 0),
        **files,
    })
    if data.get("failure") and annotate:
        annotation(in_repository(data["failure"], data.get("project")), f"plan {verdict.get('outcome')}")
    if "plan-markdown" in files:
        summary(files["plan-markdown"].read_text("utf-8"))


def read_plan(path):
    """The plan; nothing, if runner ended before it could write one."""
    if not path.exists():
        return {}
    data = json.loads(path.read_text("utf-8"))
    form = data["format"]
    if form["name"] != "runner-plan" or not form["version"].startswith("1."):
        sys.exit(f"error: {path} is a {form['name']} {form['version']}: these scripts read runner-plan 1")
    return data


def stand_in(path, code):
    """Without a plan the comment would go on showing the one of an earlier commit."""
    env, runbook = os.environ.get("INPUT_ENV", ""), os.path.normpath(os.environ.get("INPUT_RUNBOOK", ""))
    if all(re.fullmatch(r"[\w./-]*", name) and "--" not in name for name in (env, runbook)):
        words = f"**No plan.** runner ended with exit code {code} before it could write one: the job's log says why."
        marker = f"env={env} runbook={runbook}" if env else f"runbook={runbook}"
        title = " · ".join(filter(None, ["## Plan", env, f"`{runbook}`"]))
        path.write_text(f"<!-- runner:plan {marker} -->\n{title}\n\n{words}\n", "utf-8")


def run(events, code):
    lines = events.read_text("utf-8").splitlines() if events.exists() else []
    # A program that was killed may have left half a line.
    seen = {event["event"]: event for event in (json.loads(line) for line in lines if line.endswith("}"))}
    started, finished = seen.get("run_started", {}), seen.get("run_finished", {})
    figures = finished.get("summary") or {}
    outcome = finished.get("outcome", "ended before its end" if started else "not started").replace("_", " ")
    changes = {kind: figures.get(kind, 0) for kind in ("created", "updated", "deleted")}
    outputs({
        "exitcode": code,
        "verdict": outcome,
        "has-changes": any(changes.values()),
        "destroy-count": changes["deleted"],
        "run-id": started.get("run", ""),
        "events": events if lines else "",
    })
    if finished.get("error"):
        place = re.fullmatch(r"([^:\n]+):(\d+):(\d+): (.*)", finished["error"], re.DOTALL)
        failure = dict(zip(("file", "line", "column", "message"), place.groups())) if place else {"message": finished["error"]}
        annotation(in_repository(failure, project_of(started.get("runbook", ""))), outcome)
    if started:
        rows = [("run", started["run"]), ("exit code", code), ("changes", ", ".join(f"{n} {kind}" for kind, n in changes.items()))]
        rows += [(name, value) for name, value in figures.get("outputs", [])]
        rows += [("error", finished["error"])] if finished.get("error") else []
        summary(f"## Run · {started['runbook']} · {outcome}\n\n{fenced(rows)}\n")


def in_repository(failure, project):
    """Files are named below the project, which may be a folder of the repository."""
    file = failure.get("file")
    return {**failure, "file": f"{project}/{file}"} if project and file else failure


def project_of(runbook):
    """Where the project is whose runbook is called so below it."""
    given = os.path.normpath(os.environ.get("INPUT_RUNBOOK", ""))
    return given.removesuffix("/" + runbook) if runbook and given.endswith("/" + runbook) else ""


def fenced(rows):
    """Text that is text, whatever is in it."""
    text = "\n".join(f"{name}: {value if isinstance(value, (str, int)) else json.dumps(value)}" for name, value in rows)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def annotation(failure, title):
    """An error where the change is shown, at its line if it has one."""
    place = {"file": failure.get("file"), "line": failure.get("line"), "col": failure.get("column"), "title": title}
    properties = ",".join(f"{name}={escape(str(value), ':,')}" for name, value in place.items() if value is not None)
    message = "\n".join(filter(None, [failure.get("message"), failure.get("help")]))
    print(f"::error {properties}::{escape(message)}", flush=True)


def escape(text, more=""):
    """For a workflow command; `more` is what ends a property."""
    return "".join(f"%{ord(c):02X}" if c in "%\r\n" + more else c for c in text)


def outputs(values):
    """A value may have several lines, and be whatever the runbook's author wrote: nobody can guess where it ends."""
    lines = []
    for name, value in values.items():
        end = secrets.token_hex(16)
        text = str(value).lower() if isinstance(value, bool) else str(value)
        lines.append(f"{name}<<{end}\n{text}\n{end}\n")
    append("GITHUB_OUTPUT", "".join(lines))


def summary(markdown):
    there = os.environ.get("GITHUB_STEP_SUMMARY")
    written = os.path.getsize(there) if there and os.path.exists(there) else 0
    if written + len(markdown.encode()) > SUMMARY_LIMIT:
        markdown = "The plan is too long for this summary: the job's files have it.\n"
    append("GITHUB_STEP_SUMMARY", markdown)


def append(variable, text):
    """To a file of GitHub's. Elsewhere there is none, and nobody who would read it."""
    if os.environ.get(variable):
        with open(os.environ[variable], "a", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    if len(sys.argv) < 4 or sys.argv[1] not in ("plan", "run"):
        sys.exit(__doc__)
    verb, where, code = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    if verb == "plan":
        plan(where, code, "--annotate" in sys.argv[4:])
    else:
        run(where, code)
