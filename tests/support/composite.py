"""Stands for GitHub's runner: does the steps of a composite action as they are written, or shows YAML files as JSON.

    composite.py load FILE...          prints a JSON object, file name to content
    composite.py run ACTION.yml        reads {"inputs", "github", "runner"} from stdin, prints what became of it

A step that `uses` another action is not done, only listed with its evaluated inputs. Variables of this process are those
of the steps.
"""
import json, os, re, subprocess, sys

import yaml

TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(&&|\|\||==|!=|!|\(|\))|([A-Za-z_][\w.-]*))")
OPERATORS = {"&&": "and", "||": "or", "!": "not"}


def evaluate(expression, contexts):
    """The value of what stands between ${{ and }}: names, strings, operators, and functions without arguments."""
    python, place = [], 0
    expression = expression.strip()
    while place < len(expression):
        found = TOKEN.match(expression, place)
        assert found, f"cannot read {expression!r} at {place}"
        text, operator, name = found.groups()
        if text:
            python.append(repr(text[1:-1].replace("''", "'")))
        elif operator:
            python.append(OPERATORS.get(operator, operator))
        else:
            call = expression[found.end():].startswith("()")
            python.append(f"call({name!r})" if call else f"look({name!r})")
            place = found.end() + 2 * call
            continue
        place = found.end()

    def look(name):
        value = contexts
        for part in name.split("."):
            value = value.get(part, "") if isinstance(value, dict) else ""
        return value

    return eval(" ".join(python), {"look": look, "call": {"cancelled": False, "always": True}.__getitem__})


def fill(text, contexts):
    def shown(value):
        return str(value).lower() if isinstance(value, bool) else str(value)

    return re.sub(r"\$\{\{(.*?)\}\}", lambda found: shown(evaluate(found[1], contexts)), shown(text))


def wanted(step, failed, contexts):
    condition = step.get("if", "success()").strip()
    if condition.startswith("${{"):
        condition = condition[3:-2]
    status = re.search(r"\b(always|cancelled|failure|success)\(\)", condition)
    if failed and not status:
        return False
    return not failed if condition.strip() == "success()" else bool(evaluate(condition, contexts))


def outputs_in(path):
    """As GitHub reads GITHUB_OUTPUT: `name=value`, or `name<<end`, lines, `end`."""
    found, lines = {}, iter(open(path, encoding="utf-8").read().split("\n")[:-1])
    for line in lines:
        if "<<" in line and ("=" not in line or line.index("<<") < line.index("=")):
            name, end = line.split("<<", 1)
            value = []
            for line in lines:
                if line == end:
                    break
                value.append(line)
            found[name] = "\n".join(value)
        else:
            name, value = line.split("=", 1)
            found[name] = value
    return found


def run(path):
    action, given = yaml.safe_load(open(path)), json.load(sys.stdin)
    unknown = set(given["inputs"]) - set(action["inputs"])
    assert not unknown, f"there is no input {unknown}"
    contexts = {"github": given["github"], "runner": given["runner"], "steps": {}}
    contexts["inputs"] = {name: given["inputs"].get(name, fill(about.get("default", ""), contexts))
                          for name, about in action["inputs"].items()}
    os.environ["GITHUB_ACTION_PATH"] = os.path.dirname(os.path.abspath(path))
    ran, failed = [], False
    for index, step in enumerate(action["runs"]["steps"]):
        if not wanted(step, failed, contexts):
            continue
        name = fill(step.get("name", ""), contexts)
        if "uses" in step:
            ran.append({"name": name, "uses": step["uses"], "with": {k: fill(v, contexts) for k, v in step["with"].items()}})
            continue
        assert step["shell"] == "bash"
        files = [os.path.join(os.environ["RUNNER_TEMP"], f"{kind}-{index}") for kind in ("script.sh", "output")]
        open(files[0], "w").write(fill(step["run"], contexts))
        open(files[1], "w").close()
        environment = {**os.environ, "GITHUB_OUTPUT": files[1], **{k: fill(v, contexts) for k, v in step.get("env", {}).items()}}
        done = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", files[0]], env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        failed = failed or done.returncode != 0
        contexts["steps"][step.get("id", f"step-{index}")] = {"outputs": outputs_in(files[1])}
        ran.append({"name": name, "code": done.returncode, "log": done.stdout})
    outputs = {name: fill(about["value"], contexts) for name, about in action["outputs"].items()}
    print(json.dumps({"failed": failed, "steps": ran, "outputs": outputs}))


if sys.argv[1] == "load":
    print(json.dumps({path: yaml.safe_load(open(path)) for path in sys.argv[2:]}))
else:
    run(sys.argv[2])
