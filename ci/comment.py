#!/usr/bin/env python3
"""Keeps one comment per plan on a pull request of GitHub, or a merge request of GitLab.

    comment.py PLAN.md|FOLDER...

A plan's first line is its marker, `<!-- runner:plan env=prod runbook=deploy.rhai -->`. The comment of ours that begins with this line is
brought up to date; if there is none it is made; of several one stays. Which pull request it is, is known from what GitHub and GitLab give
to a job. Needs Python 3 and nothing else. A plan is text of whoever wrote the change: it goes into the comment's body and nowhere else.
"""
import http.client
import json
import os
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

LIMIT = 65_536  # characters of a comment on GitHub; GitLab takes more
ATTEMPTS = 6
PATIENCE = 120  # seconds of waiting for one thing, all in all
TIMEOUT = 30  # seconds for one reply
MOST_PAGES = 100
MOST_PLANS = 20
MARKER = re.compile(r"<!-- runner:plan [^<>\r\n]{1,400} -->")
FORK_NOTE = """
> [!WARNING]
> This change comes from a fork, and so does this text: its author's own workflow wrote it.

"""


class Problem(Exception):
    """What a person has to put right."""


class Passing(Exception):
    """What goes away by itself, after `wait` seconds if that is known."""

    def __init__(self, message, wait=None):
        super().__init__(message)
        self.wait = wait


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """urllib would send the token along to wherever it is sent."""

    def redirect_request(self, *_):
        return None


class Api:
    """JSON over HTTP, one request at a time. The token is in `headers` and never in a message."""

    def __init__(self, url, headers, hints):
        self.url = url.rstrip("/")
        self.headers = {"User-Agent": "runner", "Content-Type": "application/json", **headers}
        self.hints = hints
        self.opener = urllib.request.build_opener(NoRedirects)

    def call(self, method, path, body=None):
        """The reply's JSON and headers."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self.headers, method=method)
        try:
            with self.opener.open(request, timeout=TIMEOUT) as reply:
                text = reply.read()
                return json.loads(text) if text or method == "GET" else None, reply.headers
        except urllib.error.HTTPError as error:
            if method == "DELETE" and error.code == 404:
                return None, error.headers
            raise self.refused(method, path, error) from None
        except (OSError, http.client.HTTPException) as error:
            raise Passing(f"{self.url} cannot be reached: {getattr(error, 'reason', error)}") from None
        except ValueError:
            raise Problem(f"{method} {path}: the answer is not JSON; is {self.url} the address of the API?") from None

    def pages(self, path):
        """All items of a list, page after page."""
        for _ in range(MOST_PAGES):
            items, headers = self.call("GET", path)
            yield from items
            following = re.search(r'<([^>]*)>;[^,]*\brel="?next\b', headers.get("Link") or "")
            if not following:
                return
            if not following[1].startswith(self.url + "/"):
                raise Problem(f"the next page of {path} is not at {self.url}")
            path = following[1][len(self.url):]
        raise Problem(f"{path} goes on after {MOST_PAGES} pages")

    def refused(self, method, path, error):
        try:
            said = str(json.loads(error.read(65_536)).get("message", ""))
        except (AttributeError, OSError, ValueError, http.client.HTTPException):
            said = ""
        words = f"{method} {path}: {error.code} {said or error.reason}"
        exhausted = error.headers.get("x-ratelimit-remaining") == "0"
        limited = "Retry-After" in error.headers or exhausted or "rate limit" in said.lower()
        if error.code == 429 or (error.code == 403 and limited):
            return Passing(words, seconds_to_wait(error.headers))
        if error.code >= 500:
            return Passing(words, seconds_to_wait(error.headers, otherwise=None))
        hint = self.hints.get(error.code)
        return Problem(f"{words}; {hint}" if hint else words)


def seconds_to_wait(headers, otherwise=60):
    """As GitHub documents it: what it says, or until its limit is renewed, or a minute."""
    after, reset = headers.get("Retry-After") or "", headers.get("x-ratelimit-reset") or ""
    if after.isdigit():
        return int(after)
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        return max(1, int(reset) - int(time.time()))
    return otherwise


class GitHub:
    update = "PATCH"

    def __init__(self, env):
        self.repository = needed(env, "GITHUB_REPOSITORY")
        self.event = json.loads(pathlib.Path(needed(env, "GITHUB_EVENT_PATH")).read_text("utf-8"))
        self.log = f"{env.get('GITHUB_SERVER_URL', 'https://github.com')}/{self.repository}/actions/runs/{env.get('GITHUB_RUN_ID')}"
        self.foreign = "workflow_run" in self.event
        if self.foreign:
            self.commit, self.log = self.event["workflow_run"]["head_sha"], self.event["workflow_run"]["html_url"]
        elif "pull_request" in self.event:
            self.commit = self.event["pull_request"]["head"]["sha"]
        else:
            raise Problem(f"`{env.get('GITHUB_EVENT_NAME')}` is not about a pull request: comment on `pull_request` or `workflow_run`")
        headers = {"Authorization": f"Bearer {token(env, 'GITHUB_TOKEN')}", "Accept": "application/vnd.github+json",
                   "X-GitHub-Api-Version": "2022-11-28"}
        self.api = Api(env.get("GITHUB_API_URL") or "https://api.github.com", headers, {
            401: "the token is not valid here, or not any more",
            403: "the token may not do this: give the job `permissions: pull-requests: write`. In a pull request from a fork the token "
                 "reads only, whatever the workflow says: comment from a `workflow_run` workflow, as docs/ci.md shows",
            404: f"{self.repository} has no such thing, or the token does not see it: give the job `permissions: pull-requests: write`",
        })

    def find(self):
        """The number of the pull request, or why there is nothing to do."""
        if self.foreign:
            return self.find_by_commit()
        number = self.event["pull_request"]["number"]
        pull, _ = self.api.call("GET", f"/repos/{self.repository}/pulls/{number}")
        why = outdated(pull["state"] == "open", pull["head"]["sha"], self.commit)
        return (None, f"pull request {number} {why}") if why else (number, None)

    def find_by_commit(self):
        """A fork's workflow could name any pull request. What GitHub says of it is where it ran: its branch and commit."""
        run = self.event["workflow_run"]
        head = urllib.parse.quote(f"{run['head_repository']['owner']['login']}:{run['head_branch']}", safe="")
        pulls = self.api.pages(f"/repos/{self.repository}/pulls?state=open&per_page=100&head={head}")
        numbers = [pull["number"] for pull in pulls if pull["head"]["sha"] == self.commit]
        if len(numbers) > 1:
            raise Problem(f"pull requests {numbers} are all at commit {self.commit}: there is no telling which one was planned")
        return (numbers[0], None) if numbers else (None, f"no open pull request is at commit {self.commit}")

    def who(self):
        """Our own login. An Actions token may not ask, but what it writes is a bot's."""
        try:
            user, _ = self.api.call("GET", "/user")
        except Problem:
            return None
        return user["login"]

    def wrote(self, comment, who):
        user = comment.get("user") or {}
        return user.get("login") == who if who else user.get("type") == "Bot"

    def comments(self, number):
        return f"/repos/{self.repository}/issues/{number}/comments"

    def comment(self, _number, identifier):
        return f"/repos/{self.repository}/issues/comments/{identifier}"


class GitLab:
    update = "PUT"
    foreign = False  # a fork's pipeline runs in the fork, without our token

    def __init__(self, env):
        self.number = needed(env, "CI_MERGE_REQUEST_IID")
        # In a pipeline for merged results CI_COMMIT_SHA is the merge.
        self.commit = env.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA") or needed(env, "CI_COMMIT_SHA")
        self.log = env.get("CI_JOB_URL", "")
        self.project = f"/projects/{needed(env, 'CI_PROJECT_ID')}/merge_requests/{self.number}"
        self.api = Api(needed(env, "CI_API_V4_URL"), {"PRIVATE-TOKEN": token(env, "GITLAB_TOKEN")}, {
            401: "GITLAB_TOKEN is not valid here, or not any more; a job token may not write notes",
            403: "GITLAB_TOKEN may not do this: it needs the scope `api` and the role Reporter or above",
            404: "there is no such merge request, or GITLAB_TOKEN does not see it",
        })

    def find(self):
        merge, _ = self.api.call("GET", self.project)
        why = outdated(merge["state"] == "opened", merge["sha"], self.commit)
        return (None, f"merge request {self.number} {why}") if why else (self.number, None)

    def who(self):
        user, _ = self.api.call("GET", "/user")
        return user["username"]

    def wrote(self, note, who):
        return (note.get("author") or {}).get("username") == who

    def comments(self, _number):
        return f"{self.project}/notes"

    def comment(self, _number, identifier):
        return f"{self.project}/notes/{identifier}"


def outdated(is_open, now_at, planned):
    """Why this plan must not be shown any more, if so: it could take the place of a newer one."""
    if not is_open:
        return "is closed"
    return None if now_at == planned else f"has moved on from {planned[:10]} to {now_at[:10]}"


def settle(forge, number, who, marker, body):
    """Brings the comment about. Begins with looking, so after a lost reply it can be asked again."""
    listed = list(forge.api.pages(f"{forge.comments(number)}?per_page=100"))
    mine = [comment for comment in listed if first_line(comment["body"]) == marker and forge.wrote(comment, who)]
    if not mine:
        forge.api.call("POST", forge.comments(number), {"body": body})
        return "commented"
    kept, *surplus = sorted(mine, key=lambda comment: comment["id"])
    for comment in surplus:
        forge.api.call("DELETE", forge.comment(number, comment["id"]))
    if same(kept["body"], body):
        return "the comment says so already"
    forge.api.call(forge.update, forge.comment(number, kept["id"]), {"body": body})
    return "brought the comment up to date"


def patiently(work):
    """Does it again while what stops it passes by itself, within bounds."""
    waited = 0
    for attempt in range(ATTEMPTS):
        try:
            return work()
        except Passing as passing:
            wait = 2**attempt if passing.wait is None else passing.wait
            if attempt + 1 == ATTEMPTS or waited + wait > PATIENCE:
                raise Problem(f"{passing}: given up after {attempt + 1} attempts, the next one would be in {wait} s") from None
            print(f"{passing}: again in {wait} s", file=sys.stderr)
            time.sleep(wait)
            waited += wait


def compose(plan, forge):
    marker, _, text = plan.partition("\n")
    head, note = marker + "\n", ""
    if forge.foreign:
        note, text = FORK_NOTE, re.sub(r"@(?=\w)", "@\u200b", text)  # nobody is called by a stranger
    foot = f"\n\n<sub>Commit {forge.commit[:10]} · [log]({forge.log})</sub>\n"
    return head + note + cut(text.rstrip(), LIMIT - len(head + note + foot)) + foot


def cut(text, limit):
    """As many lines as fit, with everything closed that is open where it is cut."""
    if len(text) <= limit:
        return text
    note = "\nThe plan goes on: the job's files have all of it."
    room, kept, fence, folds = limit - len(note) - 200, [], None, 0
    for line in text.splitlines(keepends=True):
        room -= len(line)
        if room < 0:
            break
        kept.append(line)
        fence = fence_after(fence, line)
        folds += 0 if fence else line.count("<details") - line.count("</details>")
    return "".join(kept) + (f"{fence}\n" if fence else "") + "</details>\n" * folds + note


def fence_after(fence, line):
    """The code fence that is open after a line, if one is."""
    found = re.match(r" {0,3}(`{3,}|~{3,})(.*)", line)
    if not found:
        return fence
    if fence is None:
        return found[1]
    closes = found[1][0] == fence[0] and len(found[1]) >= len(fence) and not found[2].strip()
    return None if closes else fence


def first_line(body):
    return (body or "").partition("\n")[0].rstrip("\r")


def same(one, other):
    return one.replace("\r\n", "\n").strip() == other.strip()


def needed(env, name):
    if not env.get(name):
        raise Problem(f"{name} is not set: this belongs into a job of GitHub Actions or GitLab CI")
    return env[name]


def token(env, name):
    found = env.get(name, "").strip()
    if not found:
        raise Problem(f"{name} is empty: no token to comment with")
    if not re.fullmatch(r"[!-~]+", found):  # Python's own message would show it
        raise Problem(f"{name} has characters that no token has")
    return found


def plans(arguments):
    """The plans to comment, by marker."""
    paths = [pathlib.Path(argument) for argument in arguments]
    files = [file for path in paths for file in ([path] if path.suffix == ".md" else sorted(path.rglob("plan.md")))]
    if len(files) > MOST_PLANS:
        raise Problem(f"{len(files)} plans are more than the {MOST_PLANS} that a pull request can have comments of")
    for file in files:
        try:
            plan = file.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise Problem(f"{file} cannot be read: {error}") from None
        marker = first_line(plan)
        if not MARKER.fullmatch(marker):
            raise Problem(f"{file} is no plan: its first line has to be `<!-- runner:plan env=… runbook=… -->`")
        yield marker, plan


def main(arguments, env):
    found = list(plans(arguments))
    if not found:
        return print("no plan: nothing to comment")
    forge = GitLab(env) if env.get("GITLAB_CI") else GitHub(env)
    number, why = patiently(forge.find)
    if number is None:
        return print(f"nothing to comment: {why}")
    who = patiently(forge.who)
    for marker, plan in found:
        body = compose(plan, forge)
        print(f"{marker[5:-4]}: {patiently(lambda: settle(forge, number, who, marker, body))}")


def escape(text):
    """For a workflow command of GitHub."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1:], os.environ)
    except Problem as problem:
        if os.environ.get("GITHUB_ACTIONS"):
            print(f"::error title=runner::{escape(str(problem))}")
        sys.exit(f"error: {problem}")
