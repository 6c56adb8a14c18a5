#!/usr/bin/env python3
"""Holds a recording made on an AWS against the simulated one: the same requests, are the replies alike?

    compare_wire.py --runner BIN [--allow FILE] [--seed N] [--speed N|max] [--patience SECONDS] RECORDING

A RECORDING is what `runner run --record-wire` writes: one exchange a line, in the order of the replies. This file owns
the replay of its requests against `BIN sim`, and what of the replies is held against each other.

Ids, ARNs, names in DNS, addresses and tokens are AWS's own choice. Which recorded one stands for which simulated one is
learnt as both replies are walked in parallel, and later requests are rewritten with it; an id that stands for two is a
difference. Times are not compared. Rows of lists are paired by what identifies them, their order does not count.

What the recording did not make itself (the default VPC, a zone that was found by its name) the simulated AWS does not
have. What shows only such things is not compared but counted. Images and public hosted zones get a stand-in, as
whatever is built on them could not be compared otherwise.

Time passes as it did in the recording. AWS is sometimes slower and sometimes faster: where the simulated one is behind,
it is asked again after a while; where it is ahead, the recording has to catch up in a later reply.

--allow exempts differences, one a line: `service:Action path # reason`. An exemption that nothing uses is a difference.
Exits with 1 if there are differences, and with 2 if nothing was compared: that would prove nothing.
Needs botocore, and nothing else beyond Python 3.11.
"""
import argparse
import base64
import copy
import datetime
import functools
import http.client
import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol
from xml.etree import ElementTree

from botocore.awsrequest import HeadersDict

from botocore_judge import MASK, VERSION, Exchange, Finding, Models, Operation, Reply, short, tag

READ = re.compile(r"(Describe|Get|List|Lookup|Search|Check|Test|Simulate)[A-Z]")
ENDS = re.compile(r"Delete|Terminate|Deregister|Detach|Disassociate|Release|Remove|Update|Set")
# What a client is to repeat; it says nothing of the request.
TRANSIENT = re.compile(r"Throttl|RequestLimitExceeded|TooManyRequests|PriorRequestNotComplete|ExpiredToken|"
                       r"RequestExpired")
ABSENT = re.compile(r"not ?found|no ?such|unknown|NonExistent|(do|does) ?not ?exist|cannot be found", re.IGNORECASE)
PRESENT = re.compile(r"AlreadyExists|Duplicate|Conflict|InUse|Overlap|AlreadyAssociated", re.IGNORECASE)

# Of a reply; what else there is was not recorded.
RECORDED_HEADERS = ("content-type", "location", "x-amzn-requestid")

# Members that hold a place in a list of pages.
PLACE = re.compile(r"(Next\w*|\w*Marker|\w*Token|PaginationToken)$")
PAGING = re.compile(r"reply\.(IsTruncated|MaxItems|Next\w*|Marker|PaginationToken)$")
# Members that go from one value to the next by themselves.
STATE = re.compile(r"(State|Status|Code|Reason|ReasonCode|Description|StatusReason|Message|Progress)$")
TRANSITIONAL = re.compile(r"pending|provisioning|initial|creating|deleting|shutting-down|stopping|draining|attaching|"
                          r"detaching|associating|in[- ]?progress|terminating", re.IGNORECASE)
CALLERS = re.compile(r"(CreatedBy|RequesterId|RequestId)$")  # who asked, not what was made

# What no time can mend.
LASTING = re.compile(r"Validation|InvalidParameter|InvalidInput|Missing|Malformed|AccessDenied|Unauthorized")

# Seconds between two looks at what may take a while; readers have caught up with a change after the first few.
STEPS = (2, 3, 5, 10, 20, 30, 60, 120, 300, 600)
SOON, A_WHILE = 10, 60


# --- Ids --------------------------------------------------------------------------------------------------------------

# What AWS makes up, as it stands in texts. The name of the group is the kind; where ids say of what they are, the group
# holds that.
ATOM = re.compile(r"""(?<![A-Za-z0-9])(?:
    (?P<name>(?!dualstack\.)[A-Za-z0-9.-]+\.(?:elb\.(?:[a-z0-9-]+\.)?amazonaws\.com|compute(?:-1)?\.amazonaws\.com
             |compute\.internal|ec2\.internal|acm-validations\.aws)|ns-\d+\.awsdns-\d+\.(?:com|net|org|co\.uk))
  | (?P<uuid>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})
  | (?P<id>[a-z][a-z0-9]*-(?:[a-z]+-)*)(?:[0-9a-f]{17}|[0-9a-f]{8})
  | (?P<hex>[0-9a-f]{14,64})
  | (?P<unique>A[A-Z]{3})(?=[A-Z0-9]*\d)[A-Z0-9]{12,17}
  | (?P<path>(?<=/hostedzone/)|(?<=/change/))[A-Z0-9]{6,32}
  | (?P<zone>[CZ])(?=[A-Z0-9]*\d)[A-Z0-9]{7,31}
  | (?P<az>[a-z]{3,4}\d-az\d)
)(?![A-Za-z0-9])""", re.VERBOSE)
ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]*:(?:[0-9a-f]*:)+[0-9a-f]*")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?")
# Of these ids nobody makes up one of his own.
EC2_IDS = frozenset("""acl aclassoc ami dopt eigw eipalloc eipassoc eni eni-attach i igw lt nat pcx pl r rtb rtbassoc sg
    sgr snap subnet tgw vol vpc vpc-cidr-assoc vpce""".split())
# Much that is not of the recording refers to these too.
SHARED = frozenset({"ami-", "az", "dopt-", "pl-", "snap-"})


def kind_of(match: re.Match[str]) -> str:
    group = match.lastgroup or ""
    return match[group] if group in ("id", "unique", "zone") else group


def atoms(text: str) -> list[str]:
    return [match[0] for match in ATOM.finditer(text)]


def is_address(text: str) -> bool:
    return bool(ADDRESS.fullmatch(text))


def skeleton(text: str) -> str:
    return TIME.sub("<time>", ATOM.sub(lambda match: f"<{kind_of(match)}>", text))


@dataclass
class Ids:
    """Which recorded id stands for which simulated one, both ways."""

    here: dict[str, str] = field(default_factory=dict)
    there: dict[str, str] = field(default_factory=dict)
    ours: set[str] = field(default_factory=set)  # recorded ids of what the recording made

    def copy(self) -> "Ids":
        return Ids(dict(self.here), dict(self.there), set(self.ours))

    def translate(self, text: str) -> str:
        if text in self.here:
            return self.here[text]
        return ATOM.sub(lambda match: self.here.get(match[0], match[0]), text)

    def learn(self, recorded: str, simulated: str) -> str | None:
        """What speaks against it, if anything does. The newer knowledge is kept: one fault is to be seen once."""
        if self.here.get(recorded) == simulated:
            return None
        problem = None
        if recorded in self.here:
            problem = f"{recorded} was {self.here[recorded]} before, and is {simulated} here"
        elif simulated in self.there:
            problem = f"{simulated} was {self.there[simulated]} before, and is {recorded} in the recording"
        self.there.pop(self.here.get(recorded, ""), None)
        self.here.pop(self.there.get(simulated, ""), None)
        self.here[recorded], self.there[simulated] = simulated, recorded
        return problem


# --- The recording ----------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """A reply as a client reads it."""

    status: int
    code: str
    message: str
    parsed: dict[str, Any]

    @property
    def ok(self) -> bool:
        return 0 < self.status < 300

    @property
    def absent(self) -> bool:
        """Whether it says that something is not there. Auto Scaling says so in the message only."""
        return not self.ok and bool(ABSENT.search(self.code) or ABSENT.search(self.message))

    def __str__(self) -> str:
        return str(self.status) if self.ok else f"{self.status} {self.code}".strip()


@dataclass(eq=False)
class Recorded:
    exchange: Exchange
    region: str
    at: datetime.datetime | None
    where: str
    operation: Operation | None
    outcome: Outcome | None = None  # None: there was no reply, or it has a secret where a parser needs something else
    members: list[tuple[str, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.exchange.operation

    @property
    def key(self) -> tuple[str, ...]:
        """What two attempts at the same have in common."""
        url = urllib.parse.urlsplit(self.exchange.uri)
        return (self.name, self.region, self.exchange.method, url.path, url.query, self.exchange.request)

    @property
    def reads(self) -> bool:
        return bool(READ.match(self.exchange.action))


def operation_of(models: Models, exchange: Exchange) -> Operation | None:
    media = exchange.request_headers.get("content-type", "").partition(";")[0].strip().lower()
    found = VERSION.search(exchange.request) or VERSION.search(exchange.uri)
    target = exchange.request_headers.get("x-amz-target", "").rpartition(".")[0]
    operation = models.operation(exchange.service, exchange.action, found[1] if found else "", target, media)
    return operation if operation is not None and operation.parser is not None else None


def outcome_of(exchange: Exchange, operation: Operation) -> Outcome | None:
    parsed = Reply(exchange, operation, lambda *_: None).parse()
    if parsed is None:
        return None if exchange.status < 300 else Outcome(exchange.status, "", exchange.response[:200], {})
    parsed.pop("ResponseMetadata", None)
    if exchange.status < 300:
        return Outcome(exchange.status, "", "", parsed)
    error = parsed.get("Error", {})
    return Outcome(exchange.status, str(error.get("Code", "")), str(error.get("Message", "")), {})


def members_of(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """The scalars of a request with the names of their members, whatever the protocol."""
    url = urllib.parse.urlsplit(exchange.uri)
    segments = [urllib.parse.unquote(segment) for segment in url.path.split("/")]
    for before, segment in zip(["", *segments], segments):
        yield "", f"/{before}/{segment}"  # as replies write the ids of such paths
    forms = urllib.parse.parse_qsl(url.query, keep_blank_values=True)
    body = exchange.request
    if body.startswith("{"):
        yield from json_members("", json.loads(body))
    elif body.startswith("<"):
        for element in ElementTree.fromstring(body).iter():
            if not len(element):
                yield tag(element), element.text or ""
    else:
        forms += urllib.parse.parse_qsl(body, keep_blank_values=True)
    for name, value in forms:
        words = [word for word in name.split(".") if not word.isdigit() and word not in ("member", "entry")]
        yield words[-1] if words else name, value


def json_members(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from json_members(key, item)
    elif isinstance(value, list):
        for item in value:
            yield from json_members(name, item)
    elif value is not None:
        yield name, value if isinstance(value, str) else json.dumps(value)


def texts(value: object) -> Iterator[str]:
    """All texts in a parsed reply."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def read(path: pathlib.Path, models: Models) -> list[Recorded]:
    recording = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            record = json.loads(line)
            if not isinstance(record, dict):
                raise ValueError("not an object")
            answered = isinstance(record.get("status"), int)
            exchange = Exchange.of(line if answered else json.dumps({**record, "status": 0, "response": ""}))
            at = datetime.datetime.fromisoformat(record["at"]) if "at" in record else None
            recorded = Recorded(exchange, str(record.get("region") or "us-east-1"), at, where,
                                operation_of(models, exchange), members=list(members_of(exchange)))
            if answered and recorded.operation is not None:
                recorded.outcome = outcome_of(exchange, recorded.operation)
        except (ValueError, TypeError, ElementTree.ParseError) as error:
            raise ValueError(f"{where}: {error}") from None
        recording.append(recorded)
    return recording


def account_of(recording: list[Recorded]) -> str:
    """Whose account was recorded. The simulated AWS is asked in the same one, so accounts need no translation."""
    votes: Counter[str] = Counter()
    for recorded in recording:
        for account in re.findall(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:(\d{12}):", recorded.exchange.response):
            votes[account] += 1
        if recorded.outcome and recorded.exchange.action == "GetCallerIdentity":
            votes[str(recorded.outcome.parsed.get("Account", ""))] += 1_000_000
    return votes.most_common(1)[0][0] if votes else "123456789012"


# --- The simulated AWS ------------------------------------------------------------------------------------------------


@dataclass
class Answer:
    status: int
    headers: dict[str, str]  # with names in lower case
    body: str

    @property
    def modelled(self) -> bool:
        return "x-runner-unanswered" not in self.headers


class Aws(Protocol):
    """Who is asked."""

    def send(self, method: str, target: str, headers: dict[str, str], body: str) -> Answer: ...

    def pass_until(self, seconds: float) -> None: ...

    def wait(self, seconds: int) -> None: ...


class Simulator:
    """`BIN sim`, on a port that the system chose.

    With a number as `speed`, its time follows the clock on the wall so many times as fast, and this waits for it. With
    `max`, each request lets the next thing happen, however far it is off: exact for recordings made so themselves,
    while with others the simulated AWS is ahead of the recording most of the time.
    """

    def __init__(self, binary: pathlib.Path, seed: int, speed: str) -> None:
        self.speed = None if speed == "max" else float(speed)
        command = [str(binary), "sim", "--listen", "127.0.0.1:0", "--speed", speed, "--seed", str(seed)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        url = self.process.stdout.readline().strip()
        self.began = time.monotonic()
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
        try:
            if not url.startswith("http://"):
                raise OSError(f"{binary} did not say where it listens, but {url!r}")
            self.first = self.now()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def send(self, method: str, target: str, headers: dict[str, str], body: str) -> Answer:
        try:
            self.connection.request(method, target, body.encode(), headers)
            reply = self.connection.getresponse()
            shown = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(reply.status, shown, reply.read().decode())
        except (http.client.HTTPException, ConnectionError):
            self.connection.close()
            if self.process.poll() is not None:
                raise OSError("the simulated AWS has ended") from None
            return Answer(0, {}, "")

    def own(self, method: str, path: str) -> dict[str, Any]:
        return json.loads(self.send(method, f"/_runner/{path}", {}, "").body)

    def now(self) -> datetime.datetime:
        return datetime.datetime.fromisoformat(self.own("GET", "world")["time"])

    def passed(self) -> float:
        if self.speed is None:
            return (self.now() - self.first).total_seconds()
        return (time.monotonic() - self.began) * self.speed

    def pass_until(self, seconds: float) -> None:
        """Until so many seconds have passed since the beginning. What was waited for counts among them."""
        missing = seconds - self.passed()
        if self.speed is not None and missing > 0:
            time.sleep(missing / self.speed)
        elif missing >= 1:
            self.own("POST", f"advance?seconds={int(missing)}")

    def wait(self, seconds: int) -> None:
        if self.speed is not None:
            time.sleep(seconds / self.speed)
        else:
            self.own("POST", f"advance?seconds={seconds}")


# --- Requests ---------------------------------------------------------------------------------------------------------


def rewritten(exchange: Exchange, translate: Callable[[str], str]) -> tuple[str, str]:
    """The target and the body of a request, with other ids. What has none is sent byte by byte as it was."""

    def pairs(text: str) -> str:
        found = urllib.parse.parse_qsl(text, keep_blank_values=True)
        changed = [(name, unmasked(name, translate(value))) for name, value in found]
        return text if changed == found else urllib.parse.urlencode(changed)

    url = urllib.parse.urlsplit(exchange.uri)
    segments = url.path.split("/")
    path = "/".join(segment if (plain := urllib.parse.unquote(segment)) == (new := translate(plain))
                    else urllib.parse.quote(new, safe="") for segment in segments)
    target = (path or "/") + (f"?{pairs(url.query)}" if url.query else "")
    body = exchange.request
    if body.startswith("{"):
        tree = json.loads(body)
        changed = json_translated("", tree, translate)
        return target, body if changed == tree else json.dumps(changed)
    if body.startswith("<"):
        return target, re.sub(r">([^<]+)<", lambda match: f">{translate(match[1])}<", body)
    return target, pairs(body)


def unmasked(name: str, value: str) -> str:
    # The secret is not known, but it was one that the service could decode.
    return base64.b64encode(value.encode()).decode() if value == MASK and name.endswith("UserData") else value


def json_translated(name: str, value: Any, translate: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: json_translated(key, item, translate) for key, item in value.items()}
    if isinstance(value, list):
        return [json_translated(name, item, translate) for item in value]
    return unmasked(name, translate(value)) if isinstance(value, str) else value


# --- Replies ----------------------------------------------------------------------------------------------------------

# What identifies a row of a list, apart from its id.
KEY = re.compile(r"(^|\.)(Key|Name|(?!Key|Dns|DNS|Host)\w+Name|(Destination)?CidrBlock|CidrIp(v6)?|RuleNumber|"
                 r"(Is)?Egress|Priority|SetIdentifier|Type|(From|To)?Port|IpProtocol|VersionNumber)$|\{Name\}$")
OWN = re.compile(r"(\w*)(Id|ID|Arn|ARN)$")
# Those whose name has nothing in common with that of the list.
OWN_OTHERWISE = ("AllocationId", "ResourceId", "Target.Id")
NAME = re.compile(r"(?!Key)\w*Names?$")

Found = tuple[str, str] | None  # a class and what is wrong


@dataclass
class Difference:
    path: str
    kind: str
    detail: str
    row: str = ""  # the recorded id of the row that it is in
    # What of another reply would say that this was a matter of time only: a value, a member or a row.
    later: tuple[str, ...] = ()
    moving: bool = False  # whether the recorded value is one that does not last

    @property
    def is_row(self) -> bool:
        return self.later[:1] in (("gone",), ("shown",))

    @property
    def place(self) -> tuple[str, str]:
        """What has to be walked for the difference to be found."""
        if self.kind == "value":
            return self.row, self.path
        return self.row, self.path[:-2] if self.path.endswith("[]") else self.path.rpartition(".")[0]


class Comparison:
    """Walks through a recorded and a simulated reply in parallel. Learns ids on the way: `ids` is its own copy.

    `loud` says whether what differs counts. Of what the recording did not make it does not, but ids are learnt there
    too: the newest image has another one here.
    """

    def __init__(self, ids: Ids, service: str, names: set[tuple[str, str]], chosen: set[str], reads: bool,
                 loud: bool) -> None:
        self.ids = ids.copy()
        self.service = service
        self.names = names
        self.chosen = chosen
        self.reads = reads
        self.loud = loud
        self.differences: list[Difference] = []
        self.foreign: list[Any] = []
        self.compared = loud  # whether anything was that counts
        self.states: dict[tuple[str, str], tuple[str, str]] = {}  # on both sides, by row and path
        self.paths: set[tuple[str, str]] = set()  # of the recorded members, by row
        self.walked: set[tuple[str, str]] = set()  # of those that both replies have
        self.paired: set[str] = set()  # simulated ids of rows that both show
        self.rows_shown: set[str] = set()  # their recorded ids

    def add(self, loud: bool, path: str, kind: str, detail: str, row: str = "", *later: str) -> None:
        if loud:
            self.differences.append(Difference(path, kind, detail, row, later))

    def reply(self, recorded: dict[str, Any], simulated: dict[str, Any]) -> None:
        if not recorded and not simulated:
            self.compared = True
        for name in sorted(recorded.keys() | simulated.keys()):
            path = f"reply.{name}"
            one, other = recorded.get(name), simulated.get(name)
            if self.reads and (is_rows(one) or is_rows(other)):
                # Whether an empty list is there depends on what else the account has.
                self.rows(one or [], other or [], path, self.loud, "")
            elif name not in simulated:
                self.add(True, path, "missing", f"{shown(one)} in the recording")
            elif name not in recorded:
                self.add(True, path, "only-here", f"{shown(other)} here")
            else:
                loud = self.loud or self.is_ours(one)
                # A read that finds nothing on both sides was compared as well.
                self.compared |= loud or (one == [] and other == [])
                if not loud and one not in ([], None) and not isinstance(one, bool):
                    self.foreign.append(one)
                self.value(one, other, path, loud, "")
        if self.foreign or not self.compared:
            self.differences = [one for one in self.differences if not PAGING.match(one.path)]

    def value(self, recorded: Any, simulated: Any, path: str, loud: bool, row: str) -> None:
        self.walked.add((row, path))
        if isinstance(recorded, dict) and isinstance(simulated, dict):
            self.structure(recorded, simulated, path, loud, row)
        elif isinstance(recorded, list) and isinstance(simulated, list):
            if is_rows(recorded) or is_rows(simulated):
                self.rows(recorded, simulated, path, loud, row)
            else:
                self.scalars(recorded, simulated, path, loud, row)
        elif isinstance(recorded, str) and isinstance(simulated, str):
            if STATE.search(path):
                self.states[row, path] = (self.ids.translate(recorded), simulated)
            if found := self.text(recorded, simulated, path, loud):
                self.differs(recorded, simulated, path, loud, row, *found)
        elif isinstance(recorded, datetime.datetime) and isinstance(simulated, datetime.datetime):
            pass
        else:
            if STATE.search(path):
                self.states[row, path] = (str(recorded), str(simulated))
            if recorded != simulated:
                detail = f"{shown(recorded)} in the recording, {shown(simulated)} here"
                self.differs(str(recorded), str(simulated), path, loud, row, "value", detail)

    def differs(self, recorded: str, simulated: str, path: str, loud: bool, row: str, kind: str, detail: str) -> None:
        if kind != "value" or not STATE.search(path):
            self.add(loud, path, kind, detail, row)
        elif loud:
            self.add(loud, path, kind, detail, row, "value", row, path, simulated, self.ids.translate(recorded))
            self.differences[-1].moving = bool(TRANSITIONAL.search(recorded))

    def structure(self, recorded: dict[str, Any], simulated: dict[str, Any], path: str, loud: bool, row: str) -> None:
        begin = len(self.differences)
        self.paths.update((row, f"{path}.{name}") for name in recorded)
        for name in sorted(recorded.keys() | simulated.keys()):
            inner = f"{path}.{name}"
            if name not in simulated:
                self.add(loud, inner, "missing", f"{shown(recorded[name])} in the recording", row)
            elif name not in recorded:
                self.add(loud, inner, "only-here", f"{shown(simulated[name])} here", row, "there", row, inner)
            else:
                self.value(recorded[name], simulated[name], inner, loud, row)
        own = [one for one in self.differences[begin:] if one.path.rpartition(".")[0] == path]
        if state := next((one for one in own if one.later and one.later[0] == "value"), None):
            # What is there beside a state, its reason or an error, comes and goes with it.
            for one in own:
                if one.kind in ("missing", "only-here"):
                    one.later, one.moving = state.later, state.moving

    # Texts

    def text(self, recorded: str, simulated: str, path: str, loud: bool) -> Found:
        if MASK in recorded or CALLERS.search(path):
            return None
        translated = self.ids.translate(recorded)
        differ = ("value", f"{short(recorded)} in the recording, {short(simulated)} here")
        kinds = [(match[0], kind_of(match)) for match in ATOM.finditer(recorded)]
        if translated == simulated:
            # Fixed ids are the same everywhere; once known, they do not stand for anything else.
            pairs = [(atom, atom, kind) for atom, kind in kinds
                     if atom not in self.ids.here and atom not in self.chosen]
        elif document(translated) is not None and document(translated) == document(simulated):
            return None
        elif PLACE.search(path) or (is_address(recorded) and is_address(simulated)):
            if recorded in self.chosen:
                return differ
            pairs = [(recorded, simulated, "")]
        elif skeleton(recorded) != skeleton(simulated):
            return differ
        else:
            pairs = [(one, other, kind) for (one, kind), other in zip(kinds, atoms(simulated))
                     if self.ids.here.get(one) != other]
            if any(one in self.chosen and one not in self.ids.here for one, _, _ in pairs):
                return differ  # a client that has made it up gets it back as it is
        problems = [problem for pair in pairs if (problem := self.learn(*pair, loud))]
        return ("identity", problems[0]) if problems else None

    def learn(self, recorded: str, simulated: str, kind: str, loud: bool) -> str | None:
        if not loud and (recorded in self.ids.here or simulated in self.ids.there):
            return None  # what is known from better sources stays
        if loud and kind not in SHARED:
            self.ids.ours.add(recorded)
        problem = self.ids.learn(recorded, simulated)
        # Addresses are used again, and the names made of them.
        return problem if kind not in ("", "name") else None

    # Lists

    def scalars(self, recorded: list[Any], simulated: list[Any], path: str, loud: bool, row: str) -> None:
        """Neither the order counts, nor which of several new ids is which."""
        left, right = list(recorded), list(simulated)
        for alike in (lambda one, other: self.plain(one) == other,
                      lambda one, other: self.alike(one, other)):
            for one in list(left):
                other = next((other for other in right if alike(one, other)), None)
                if other is not None:
                    left.remove(one)
                    right.remove(other)
                    if isinstance(one, str) and (found := self.text(one, other, path, loud)):
                        self.add(loud, f"{path}[]", *found, row)
        for one in left:
            self.add(loud, f"{path}[]", "missing", f"{shown(one)} in the recording", row)
        for other in right:
            self.add(loud, f"{path}[]", "only-here", f"{shown(other)} here", row)

    def plain(self, value: Any) -> Any:
        return self.ids.translate(value) if isinstance(value, str) else value

    def alike(self, recorded: Any, simulated: Any) -> bool:
        if not isinstance(recorded, str) or not isinstance(simulated, str):
            return False
        return self.canonical(recorded, True) == self.canonical(simulated, False)

    def rows(self, recorded: list[Any], simulated: list[Any], path: str, loud: bool, row: str) -> None:
        pairs, left, right = self.match(recorded, simulated, path.rpartition(".")[2])
        for one, other in pairs:
            own, ours = self.own_id(one, path) or row, loud or self.is_ours(one)
            self.compared |= ours
            if not ours:
                self.foreign.append(one)
            # A row that is shown is no longer one that was shown too early.
            self.paired.update(text for text in other.values() if isinstance(text, str))
            self.rows_shown.add(own)
            self.walked.add((own, f"{path}[]"))
            self.structure(one, other, f"{path}[]", ours, own)
        for one in left:
            if loud or self.is_ours(one):
                self.compared = True
                detail = f"{shown(one)} in the recording"
                self.add(True, f"{path}[]", "missing", detail, row, "gone", self.own_id(one, path))
            else:
                self.foreign.append(one)
        for other in right:
            if loud or self.is_ours(other, simulated=True):
                self.compared = True
                detail = f"{shown(other)} here"
                self.add(True, f"{path}[]", "only-here", detail, row, "shown", self.own_id(other, path))
        if not recorded and not simulated:
            self.compared = True

    def own_id(self, row: dict[str, Any], path: str) -> str:
        features = {name: value for name, value in row.items() if isinstance(value, str)}
        own = own_member(features, path.rpartition(".")[2])
        return features[own] if own else next(iter(features.values()), "")

    def match(self, recorded: list[Any], simulated: list[Any],
              name: str) -> tuple[list[tuple[Any, Any]], list[Any], list[Any]]:
        """Pairs rows that are of the same thing; also those of each side that have no counterpart."""
        one_side = [(row, self.features(row, True)) for row in recorded]
        other_side = [(row, self.features(row, False)) for row in simulated]
        owns = Counter(own_member(features, name) for _, features in one_side)
        own = owns.most_common(1)[0][0] if owns else ""
        known = [features[own] for _, features in one_side if "<" not in features.get(own, "<")]
        if len(set(known)) < len(known):
            own = ""  # what several rows have in common is not the id of one of them
        scores = []
        for at, (_, features) in enumerate(one_side):
            for there, (_, others) in enumerate(other_side):
                score = score_of(features, others, own)
                if score is not None and (score > 0 or len(one_side) == len(other_side) == 1):
                    scores.append((-score, at, there))
        pairs, used, taken = [], set(), set()
        for _, at, there in sorted(scores):
            if at not in used and there not in taken:
                used.add(at)
                taken.add(there)
                pairs.append((at, there))
        return ([(recorded[at], simulated[there]) for at, there in sorted(pairs)],
                [row for at, row in enumerate(recorded) if at not in used],
                [row for there, row in enumerate(simulated) if there not in taken])

    def features(self, row: Any, recorded: bool) -> dict[str, str]:
        """The scalars of a row by their paths, such that they are equal on both sides if they can mean the same."""
        found: dict[str, str] = {}

        def walk(value: Any, path: str) -> None:
            if isinstance(value, dict):
                for name, item in value.items():
                    walk(item, f"{path}.{name}" if path else name)
            elif isinstance(value, list):
                tags = all(isinstance(item, dict) and {"Key", "Value"} <= item.keys() for item in value)
                items = [(f"{path}{{{item['Key']}}}", item["Value"]) for item in value] if tags else [
                    (f"{path}[]", item) for item in value]
                for inner, item in items:
                    walk(item, inner)
            elif not isinstance(value, datetime.datetime) and value is not None:
                text = self.canonical(value, recorded) if isinstance(value, str) else json.dumps(value, default=str)
                while path in found:  # of several items of a list
                    path += "'"
                found[path] = text

        walk(row, "")
        return found

    def canonical(self, text: str, recorded: bool) -> str:
        known = self.ids.here if recorded else self.ids.there

        def of(atom: str, kind: str) -> str:
            if atom in known:
                return known[atom] if recorded else atom
            return atom if atom in self.chosen else f"<{kind}>"

        if text in known:
            return of(text, "")
        if is_address(text):
            return of(text, "address")
        return TIME.sub("<time>", ATOM.sub(lambda match: of(match[0], kind_of(match)), text))

    def is_ours(self, value: Any, simulated: bool = False) -> bool:
        """Whether it is something, or refers to something, that the recording made."""
        if isinstance(value, dict):
            for name, item in value.items():
                if isinstance(item, str) and NAME.match(name) and (self.service, item) in self.names:
                    return True
        for text in texts(value):
            for atom in atoms(text):
                if (self.ids.there.get(atom, "") if simulated else atom) in self.ids.ours:
                    return True
        return False


def is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def shown(value: Any) -> str:
    return short(json.dumps(value, default=str) if isinstance(value, (dict, list)) else str(value))


def document(text: str) -> Any:
    """What a text says that is JSON, as it is or with escapes for URLs."""
    text = urllib.parse.unquote(text) if text.startswith("%7B") else text
    if not text.startswith("{"):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


@functools.cache
def own_stem(name: str, rows: str) -> bool:
    """Whether a member of this name is the id of the rows of a list of that name: `GroupId` is of `SecurityGroups`."""
    found = OWN.fullmatch(name)
    if name in OWN_OTHERWISE or not found:
        return name in OWN_OTHERWISE
    stem, row = found[1].lower(), re.sub(r"(?<=.)s$", "", re.sub(r"ies$", "y", rows)).lower()
    return not stem or row.endswith(stem) or stem.endswith(row) or row.startswith(stem)


def own_member(features: dict[str, str], rows: str) -> str:
    return next((name for name in features if own_stem(name, rows)), "")


def score_of(recorded: dict[str, str], simulated: dict[str, str], own: str) -> float | None:
    """How well two rows fit; None if they are certainly not of the same thing."""
    score = 0.0
    same_id = False
    if own in recorded and own in simulated:
        if recorded[own] != simulated[own]:
            return None
        same_id = "<" not in recorded[own]
        score += 100 if same_id else 1
    for path in recorded.keys() | simulated.keys():
        is_key = bool(KEY.search(path)) and path.count(".") <= 1
        if path not in recorded or path not in simulated:
            score -= 0.25
        elif recorded[path] == simulated[path]:
            score += 10 if is_key else 1
        elif is_key and not same_id:
            return None
        else:
            score -= 0.5
    return score


# --- What was found ---------------------------------------------------------------------------------------------------


@dataclass
class Exemption:
    where: str
    used: bool = False


def read_exemptions(path: pathlib.Path) -> dict[tuple[str, str], Exemption]:
    exemptions: dict[tuple[str, str], Exemption] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        exemption, _, reason = line.partition(" #")
        words = exemption.split()
        if len(words) != 2 or not reason.strip():
            raise ValueError(f"{path}:{number}: expected `service:Action path # reason`")
        key = (words[0], words[1])
        if key in exemptions:
            raise ValueError(f"{path}:{number}: the same exemption as {exemptions[key].where}")
        exemptions[key] = Exemption(f"{path}:{number}")
    return exemptions


@dataclass
class Tally:
    recorded: int = 0
    compared: int = 0
    equal: int = 0


@dataclass
class Report:
    exemptions: dict[tuple[str, str], Exemption] = field(default_factory=dict)
    found: dict[tuple[str, str, str], Finding] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    skipped: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # where, by operation and reason
    notes: Counter[str] = field(default_factory=Counter)

    def tally(self, operation: str) -> Tally:
        return self.tallies.setdefault(operation, Tally())

    def skip(self, operation: str, reason: str, where: str) -> None:
        self.skipped.setdefault((operation, reason), []).append(where)

    def exempt(self, operation: str, path: str) -> bool:
        if exemption := self.exemptions.get((operation, path)):
            exemption.used = True
        return exemption is not None

    def add(self, operation: str, path: str, kind: str, detail: str, where: str) -> None:
        if self.exempt(operation, path):
            return
        if finding := self.found.get((operation, path, kind)):
            finding.count += 1
        else:
            self.found[operation, path, kind] = Finding(operation, path, kind, detail, where)

    def add_unused_exemptions(self) -> None:
        for (operation, path), exemption in self.exemptions.items():
            if not exemption.used:
                kind = "unused-exemption"
                found = Finding(operation, path, kind, "nothing differs here", exemption.where)
                self.found[operation, path, kind] = found

    def show(self) -> None:
        width = max([len("operation"), *map(len, self.tallies)])
        print(f"{'operation':{width}}  recorded  compared  equal")
        for name, tally in sorted(self.tallies.items()):
            print(f"{name:{width}}  {tally.recorded:8}  {tally.compared:8}  {tally.equal:5}")
        whole = [sum(getattr(tally, column) for tally in self.tallies.values())
                 for column in ("recorded", "compared", "equal")]
        print(f"{'all':{width}}  {whole[0]:8}  {whole[1]:8}  {whole[2]:5}")
        if self.skipped:
            print("\nnot compared:")
        for (operation, reason), places in sorted(self.skipped.items()):
            print(f"    {operation}: {reason}: {len(places)} x, first at {places[0]}")
        for note, count in sorted(self.notes.items()):
            print(f"\n{count} x {note}")
        for finding in sorted(self.found.values(), key=lambda one: (one.operation, one.path, one.kind)):
            # Begins as its exemption would.
            print(f"\n{finding.operation} {finding.path} ({finding.kind})"
                  f"\n    {finding.count} x, first at {finding.example}: {finding.detail}")


# --- The replay -------------------------------------------------------------------------------------------------------

FOREIGN = "of what the recording did not make"
LOST = "follows from an earlier difference: an id has no counterpart"


@dataclass
class Ahead:
    """A difference that is none if a later recorded reply shows the same."""

    at: int
    recorded: Recorded
    difference: Difference
    settled: bool = False


class Replay:
    def __init__(self, recording: list[Recorded], aws: Aws, report: Report, patience: int = 600,
                 models: Models | None = None) -> None:
        self.recording = recording
        self.aws = aws
        self.report = report
        self.patience = patience
        self.models = models or Models()
        self.account = account_of(recording)
        self.ids = Ids()
        self.names: set[tuple[str, str]] = set()  # that the recording gave, by service
        self.foreign_ids: set[str] = set()
        # Differences that waiting did not mend, and those for which the whole patience was too short.
        self.lasting: set[tuple[str, str, str, str]] = set()
        self.in_vain: set[tuple[str, str, str]] = set()
        self.compared: dict[int, int] = {}  # the exchanges that were, and how many pages they have
        self.unequal: set[int] = set()
        self.ahead: list[Ahead] = []
        # States that were recorded and that the simulated AWS has shown, by operation, row and path.
        self.there: dict[tuple[str, str, str], set[str]] = {}
        self.here: dict[tuple[str, str, str], set[str]] = {}
        self.rows_shown: set[str] = set()  # recorded ids of rows that both have shown
        self.ended: set[str] = set()  # services of which the recording has deleted something
        self.early: dict[tuple[str, ...], Outcome] = {}  # what succeeded here at an attempt that failed there
        self.done: set[int] = set()  # later pages, compared with the first
        self.zones: dict[str, str] = {}  # names of public hosted zones by id
        self.first: dict[str, str] = {}  # where an id is seen first: in a request or in a reply
        self.made: dict[str, int] = {}  # the exchange whose reply showed an id as that of something new
        self.course: dict[tuple[str, str], list[tuple[int, str]]] = {}  # recorded states, by operation and path
        self.successes: dict[tuple[str, ...], list[int]] = {}
        self.attempts: dict[tuple[str, ...], int] = {}  # the last of each
        for at, recorded in enumerate(recording):
            self.survey(at, recorded)
        # What a client made up is to come back as it is.
        self.chosen = {atom for atom, where in self.first.items() if where == "request" and atom not in self.made}

    def survey(self, at: int, recorded: Recorded) -> None:
        exchange = recorded.exchange
        for where, values in (("request", [value for _, value in recorded.members]),
                              ("reply", [urllib.parse.unquote(exchange.response)])):
            for value in values:
                for match in (*ATOM.finditer(value), *ADDRESS.finditer(value)):
                    self.first.setdefault(match[0], where)
        self.attempts[recorded.key] = at
        outcome = recorded.outcome
        if outcome and outcome.ok:
            self.successes.setdefault(recorded.key, []).append(at)
            for path, state in states(outcome.parsed, "reply"):
                self.course.setdefault((recorded.name, path), []).append((at, state))
            if not recorded.reads:
                for identifier in made_by(exchange.action, outcome.parsed):
                    self.made.setdefault(identifier, at)

    def run(self) -> None:
        begin = next((recorded.at for recorded in self.recording if recorded.at), None)
        for at, recorded in enumerate(self.recording):
            self.report.tally(recorded.name).recorded += 1
            if at in self.done:
                continue
            if begin and recorded.at:
                self.aws.pass_until((recorded.at - begin).total_seconds())
            self.step(at, recorded)
        for ahead in self.ahead:
            if not ahead.settled and not self.is_passed(ahead) and not self.is_too_new(ahead):
                self.add(ahead.at, ahead.difference)
        for at, count in self.compared.items():
            self.report.tally(self.recording[at].name).equal += 0 if at in self.unequal else count
        self.report.add_unused_exemptions()

    def add(self, at: int, difference: Difference) -> None:
        self.unequal.add(at)
        recorded = self.recording[at]
        self.report.add(recorded.name, difference.path, difference.kind, difference.detail, recorded.where)

    def skip(self, recorded: Recorded, reason: str) -> None:
        self.report.skip(recorded.name, reason, recorded.where)

    def step(self, at: int, recorded: Recorded) -> None:
        if recorded.operation is None:
            self.skip(recorded, "no model that can be read has the operation")
            return
        outcome = recorded.outcome
        again = self.attempts[recorded.key] > at
        if outcome is not None and (outcome.status >= 500 or TRANSIENT.search(outcome.code)):
            # It was not done, as far as one can know.
            self.skip(recorded, f"the recorded reply is {outcome.status if outcome.status >= 500 else outcome.code}")
            return
        if outcome is None and again:
            self.skip(recorded, "no recorded reply that could be read, but a later attempt")
            return
        if any(name == "PrivateKey" and value == MASK for name, value in recorded.members):
            self.skip(recorded, "a secret that cannot be made up")
            return
        if reason := self.unknown(at, recorded):
            self.skip(recorded, reason)
            return
        if outcome is None:
            self.ask([recorded])  # it may have been done
            self.skip(recorded, "no recorded reply that could be read")
            return
        if recorded.key in self.early and not outcome.ok:
            self.report.notes["an attempt at what has succeeded here already"] += 1
            return
        self.compare(at, recorded, outcome)

    def succeeds_later(self, at: int) -> bool:
        return any(later > at for later in self.successes.get(self.recording[at].key, []))

    # Ids that stand for nothing here

    def unknown(self, at: int, recorded: Recorded) -> str:
        """Why the request cannot be asked here, if it has ids that have no counterpart."""
        reasons = set()
        for _, value in recorded.members:
            if value in self.ids.here:
                continue
            for match in ATOM.finditer(value):
                atom, kind = match[0], kind_of(match)
                if atom in self.ids.here or kind in ("name", "az") or not self.is_aws_choice(value, match):
                    continue
                if kind == "ami-":
                    # Any image that starts a service will do; one for each, so that they can be told apart.
                    number = 1 + sum(here.startswith("ami-healthy-") for here in self.ids.here.values())
                    self.ids.learn(atom, f"ami-healthy-{number}")
                    self.report.notes[f"a stand-in for an image: ami-healthy-{number} for {atom}"] += 1
                elif kind == "path" and atom in self.zones and self.make_zone(atom):
                    self.report.notes[f"a stand-in for the hosted zone {self.zones[atom]} {atom}"] += 1
                elif self.made.get(atom, -1) > at:
                    shows = self.recording[self.made[atom]].where
                    detail = f"{atom} is used before the reply that shows it as new, {shows}"
                    self.report.add(recorded.name, "request", "unknown-id", detail, recorded.where)
                    reasons.add(LOST)
                elif atom in self.made or (self.first[atom] == "reply" and atom not in self.foreign_ids):
                    reasons.add(LOST)
                else:
                    reasons.add(FOREIGN)
        return LOST if LOST in reasons else next(iter(reasons), "")

    def is_aws_choice(self, value: str, match: re.Match[str]) -> bool:
        if self.first.get(match[0]) == "reply" or value.startswith("arn:") or match.lastgroup == "path":
            return True
        return match.lastgroup == "id" and kind_of(match)[:-1] in EC2_IDS

    def make_zone(self, recorded_id: str) -> bool:
        body = ('<CreateHostedZoneRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/">'
                f"<Name>{self.zones[recorded_id]}</Name><CallerReference>{recorded_id}</CallerReference>"
                "</CreateHostedZoneRequest>")
        headers = {"authorization": self.signed("us-east-1", "route53"), "content-type": "application/xml"}
        answer = self.aws.send("POST", "/2013-04-01/hostedzone", headers, body)
        found = re.search(r"<Id>/hostedzone/(\w+)</Id>", answer.body)
        if found:
            self.ids.learn(recorded_id, found[1])
        return found is not None

    def note_zones(self, outcome: Outcome) -> None:
        for zone in outcome.parsed.get("HostedZones", []):
            if isinstance(zone, dict) and not zone.get("Config", {}).get("PrivateZone"):
                self.zones[str(zone.get("Id", "")).rpartition("/")[2]] = str(zone.get("Name", ""))

    # Asking

    def signed(self, region: str, service: str) -> str:
        scope = f"{self.account}/20260101/{region}/{service}/aws4_request"
        return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"

    def ask(self, pages: list[Recorded]) -> tuple[Outcome, bool]:
        """What the simulated AWS says to the same, and whether it models that. Of several pages as many as it has."""
        ids, outcomes = self.ids.copy(), []
        for page in pages:
            exchange = page.exchange
            target, body = rewritten(exchange, ids.translate)
            headers = {name: exchange.request_headers[name] for name in ("content-type", "x-amz-target")
                       if name in exchange.request_headers}
            headers["authorization"] = self.signed(page.region, exchange.service)
            answer = self.aws.send(exchange.method, target, headers, body)
            reply = copy.copy(exchange)
            reply.status, reply.response = answer.status, answer.body
            reply.response_headers = HeadersDict({name: answer.headers[name] for name in RECORDED_HEADERS
                                                  if name in answer.headers})
            assert page.operation is not None
            outcome = outcome_of(reply, page.operation) if answer.status else None
            outcome = outcome or Outcome(answer.status, "", "no reply that can be read", {})
            if not answer.modelled or not outcome.ok:
                return outcome, answer.modelled
            outcomes.append(outcome)
            places = place(outcome.parsed)
            if not places:
                break
            for name, value in (place(page.outcome.parsed) if page.outcome else {}).items():
                if name in places:
                    ids.learn(value, places[name])
        return merged(outcomes), True

    def pages(self, at: int, recorded: Recorded) -> list[Recorded]:
        """This exchange and those that went on where it ended."""
        pages, value = [recorded], next(iter(place(recorded.outcome.parsed).values()), "") if recorded.outcome else ""
        for later in range(at + 1, len(self.recording)):
            if not value:
                break
            other = self.recording[later]
            if other.name == recorded.name and other.outcome and other.outcome.ok and later not in self.done and any(
                    sent == value for _, sent in other.members):
                pages.append(other)
                self.done.add(later)
                value = next(iter(place(other.outcome.parsed).values()), "")
        return pages

    # Comparing

    def compare(self, at: int, recorded: Recorded, outcome: Outcome) -> None:
        pages = self.pages(at, recorded) if recorded.reads and outcome.ok else [recorded]
        outcome = merged([page.outcome for page in pages if page.outcome])
        if recorded.exchange.service == "route53":
            self.note_zones(outcome)
        if recorded.key in self.early and outcome.ok:
            simulated, modelled = self.early.pop(recorded.key), True
        else:
            simulated, modelled = self.ask(pages)
        found = best = self.judge(recorded, outcome, simulated, modelled)
        self.note_states(recorded, found)
        waited = 0
        for step in STEPS:
            if waited + step > min(self.patience, self.may_mend(at, outcome, found)):
                break
            self.aws.wait(step)
            waited += step
            simulated, modelled = self.ask(pages)
            found = self.judge(recorded, outcome, simulated, modelled)
            self.note_states(recorded, found)
            if found.weight < best.weight or (simulated.ok and not recorded.reads):
                best = found  # not always the last: states go on
        if waited and not best.differences:
            self.report.notes["a reply that was the same only when it was asked for again"] += 1
        found = best
        self.lasting.update(lasting(recorded, one) for one in found.differences)
        if waited > SOON:
            self.in_vain.update((recorded.name, one.path, one.kind) for one in found.differences)
        self.accept(at, pages, outcome, found)

    def comparison(self, recorded: Recorded, loud: bool) -> Comparison:
        return Comparison(self.ids, recorded.exchange.service, self.names, self.chosen, recorded.reads, loud)

    def note_states(self, recorded: Recorded, found: "Verdict") -> None:
        for (row, path), (there, here) in found.comparison.states.items() if found.comparison else ():
            self.there.setdefault((recorded.name, row, path), set()).add(there)
            self.here.setdefault((recorded.name, row, path), set()).add(here)

    def judge(self, recorded: Recorded, outcome: Outcome, simulated: Outcome, modelled: bool) -> "Verdict":
        ours = any(NAME.match(name) and (recorded.exchange.service, value) in self.names or
                   any(atom in self.ids.ours for atom in atoms(value)) for name, value in recorded.members)
        if not modelled:
            detail = f"{outcome} in the recording; {simulated.message}"
            return Verdict(simulated, [Difference("status", "not-modelled", detail)])
        if not outcome.ok and not simulated.ok:
            differences = []
            if outcome.status != simulated.status:
                detail = f"{outcome} in the recording, {simulated} here"
                differences.append(Difference("status", "status", detail))
            if outcome.code != simulated.code:
                detail = f"{outcome.code} in the recording, {simulated.code} here: {simulated.message}"
                differences.append(Difference("error", "code", detail))
            return Verdict(simulated, differences)
        if outcome.ok != simulated.ok:
            of_ours = ours or self.comparison(recorded, False).is_ours(outcome.parsed)
            # Something is there that was there before the recording began, or was made in another way.
            there_before = PRESENT.search(outcome.code) and not recorded.reads
            if not of_ours and (simulated.absent or outcome.absent and recorded.reads or there_before):
                return Verdict(simulated, [], skipped=FOREIGN)
            message = f": {simulated.message}" if simulated.message else ""
            detail = f"{outcome} in the recording, {simulated} here{message}"
            later = ("success",) if outcome.absent else ()
            return Verdict(simulated, [Difference("status", "status", detail, later=later)])
        comparison = self.comparison(recorded, ours or not recorded.reads)
        if outcome.status != simulated.status:
            comparison.add(True, "status", "status", f"{outcome} in the recording, {simulated} here")
        comparison.reply(outcome.parsed, simulated.parsed)
        return Verdict(simulated, comparison.differences, comparison)

    def may_mend(self, at: int, outcome: Outcome, found: "Verdict") -> int:
        """How many seconds may help, as the simulated AWS may only be behind.

        Asking again does no harm: nothing was done, or it is a read.
        """
        recorded, simulated = self.recording[at], found.simulated
        if not recorded.reads and (simulated.ok or not outcome.ok and not simulated.absent):
            return 0
        return max((self.may_help(at, one, simulated) for one in found.differences), default=0)

    def may_help(self, at: int, one: Difference, simulated: Outcome) -> int:
        recorded = self.recording[at]
        if (recorded.name, one.path) in self.report.exemptions or lasting(recorded, one) in self.lasting:
            return 0
        if one.moving or one.kind in ("identity", "not-modelled"):
            return 0
        long = SOON if (recorded.name, one.path, one.kind) in self.in_vain else self.patience
        if one.kind in ("status", "code"):
            return SOON if simulated.ok or simulated.absent else 0 if LASTING.search(simulated.code) else long
        kind, *rest = one.later or ("",)
        if kind == "value":
            course = self.course.get((recorded.name, one.path), [])
            return 0 if any(later > at and state == rest[2] for later, state in course) else long  # it is ahead
        if kind == "gone" or kind == "shown" and recorded.exchange.service in self.ended:
            return long
        return min(long, A_WHILE) if one.kind == "missing" and moves(simulated.parsed) else SOON

    def accept(self, at: int, pages: list[Recorded], outcome: Outcome, found: "Verdict") -> None:
        recorded, comparison, simulated = pages[0], found.comparison, found.simulated
        if found.skipped:
            self.skip(recorded, found.skipped)
            return
        if not recorded.reads and not outcome.ok and found.differences and self.succeeds_later(at):
            if simulated.ok:
                self.early[recorded.key] = simulated
            self.report.notes["a change that failed otherwise here, or not at all, before it succeeded there"] += 1
            return
        if comparison:
            self.ids = comparison.ids
            self.foreign_ids.update(atom for row in comparison.foreign for text in texts(row) for atom in atoms(text))
            self.foreign_ids -= self.ids.here.keys()
            if not recorded.reads:
                self.names.update((recorded.exchange.service, value) for name, value in recorded.members
                                  if NAME.match(name) and value)
            if comparison.foreign:
                self.report.notes["rows or values of what the recording did not make"] += len(comparison.foreign)
        self.settle(recorded, found, outcome)
        if comparison and not comparison.compared:
            self.skip(recorded, FOREIGN)
            return
        self.report.tally(recorded.name).compared += len(pages)
        self.compared[at] = len(pages)
        for difference in found.differences:
            exempt = self.report.exempt(recorded.name, difference.path)
            if recorded.reads and difference.kind != "identity" and not exempt:
                self.ahead.append(Ahead(at, recorded, difference))
            else:
                self.add(at, difference)
        if comparison:
            self.rows_shown |= comparison.rows_shown
            if ENDS.match(recorded.exchange.action):
                self.ended.add(recorded.exchange.service)

    def is_too_new(self, ahead: Ahead) -> bool:
        """Whether it is a row that was made just before: a reader in AWS may not have caught up."""
        kind, *rest = ahead.difference.later or ("",)
        if kind != "shown":
            return False
        made = [self.made[one] for atom in atoms(rest[0]) if (one := self.ids.there.get(atom)) in self.made]
        if not made or not within(SOON, self.recording[max(made)], ahead.recorded):
            return False
        self.report.notes["a row that was too new to be in the recorded reply"] += 1
        return True

    def is_passed(self, ahead: Ahead) -> bool:
        """Whether it is a state that the other side was in too, before or after."""
        kind, *rest = ahead.difference.later or ("",)
        if kind != "value" or not ahead.difference.moving:
            return False
        state = (ahead.recorded.name, rest[0], rest[1])
        if rest[2] not in self.there.get(state, ()) and rest[3] not in self.here.get(state, ()):
            return False
        self.report.notes["a state that the other side had at another time"] += 1
        return True

    def follows_a_change(self, at: int) -> bool:
        """Whether the recording has changed something of the same service just before."""
        recorded = self.recording[at]
        service = recorded.exchange.service
        return any(not other.reads and other.exchange.service == service and within(SOON, other, recorded)
                   for other in self.recording[:at])

    def settle(self, recorded: Recorded, found: "Verdict", outcome: Outcome) -> None:
        """Finds out which of the earlier differences were only a matter of time."""
        comparison = found.comparison
        differ = {(one.row, one.path, one.kind) for one in found.differences}
        for ahead in self.ahead:
            if ahead.settled or ahead.recorded.name != recorded.name:
                continue
            difference = ahead.difference
            kind, *rest = difference.later or ("",)
            same = ahead.recorded.key == recorded.key
            alike_now = comparison is not None and difference.place in comparison.walked and (
                difference.row, difference.path, difference.kind) not in differ
            if kind == "success":
                ahead.settled = same and outcome.ok
            elif kind == "gone":
                ahead.settled = same and rest[0] in self.rows_shown and rest[0] not in recorded.exchange.response
            elif comparison and kind == "value":
                ahead.settled = rest[2] == comparison.states.get((rest[0], rest[1]), ("", ""))[0]
            elif comparison and kind == "there":
                ahead.settled = (rest[0], rest[1]) in comparison.paths
            elif comparison and kind == "shown":
                ahead.settled = rest[0] in comparison.paired
            if same and alike_now and not difference.is_row and within(SOON, ahead.recorded, recorded):
                ahead.settled |= self.follows_a_change(ahead.at)  # a reader in AWS had not caught up
            if ahead.settled:
                self.report.notes["a difference that a later recorded reply does not have any more"] += 1


@dataclass
class Verdict:
    simulated: Outcome
    differences: list[Difference]
    comparison: Comparison | None = None
    skipped: str = ""

    @property
    def weight(self) -> int:
        """How much of the replies could not be held against each other, or differs."""
        weights = {"status": 100_000, "not-modelled": 100_000, "code": 100_000}
        row = (0, 1000, 10)  # within a row that is not there at all nothing could differ
        return sum(weights.get(one.kind, row[min(one.path.count("[]"), 2)] if one.is_row else 1)
                   for one in self.differences)


def within(seconds: int, one: Recorded, other: Recorded) -> bool:
    return bool(one.at and other.at) and (other.at - one.at).total_seconds() <= seconds


def lasting(recorded: Recorded, difference: Difference) -> tuple[str, str, str, str]:
    """What is the same of a difference when it comes again. A member that is missing is missing everywhere."""
    of_member = difference.kind in ("missing", "only-here") and not difference.path.endswith("[]")
    return recorded.name, difference.path, difference.kind, "" if of_member else difference.detail


def states(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The states that a reply shows, by their paths."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from states(item, f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from states(item, f"{path}[]")
    elif STATE.search(path):
        yield path, str(value)


def moves(parsed: dict[str, Any]) -> bool:
    """Whether a reply shows a state that does not last."""
    return any(TRANSITIONAL.search(state) for _, state in states(parsed, "reply"))


def place(parsed: dict[str, Any]) -> dict[str, str]:
    """What a reply says of where to go on."""
    if parsed.get("IsTruncated") is False:
        return {}
    return {name: value for name, value in parsed.items() if PLACE.match(name) and isinstance(value, str) and value
            and (name != "Marker" or "IsTruncated" in parsed)}


def merged(outcomes: list[Outcome]) -> Outcome:
    """Several pages as one."""
    if len(outcomes) == 1:
        return outcomes[0]
    whole: dict[str, Any] = {}
    for outcome in outcomes:
        for name, value in outcome.parsed.items():
            whole[name] = [*whole.get(name, []), *value] if isinstance(value, list) else value
    last = outcomes[-1]
    return Outcome(last.status, last.code, last.message,
                   {name: value for name, value in whole.items() if not PAGING.match(f"reply.{name}")})


def made_by(action: str, value: Any) -> Iterator[str]:
    """The ids in a reply that are of what the action has made: `VpcId` of `CreateVpc`, not of `CreateSubnet`."""
    if isinstance(value, list):
        for item in value:
            yield from made_by(action, item)
    elif isinstance(value, dict):
        for name, item in value.items():
            found = OWN.fullmatch(name)
            if isinstance(item, str) and found and found[1] and found[1].removeprefix("Load") in action:
                yield from atoms(item)
            else:
                yield from made_by(action, item)


# --- The program ------------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Holds a recording made on an AWS against the simulated one.")
    parser.add_argument("recording", metavar="RECORDING", type=pathlib.Path, help="what `run --record-wire` wrote")
    parser.add_argument("--runner", metavar="BIN", type=pathlib.Path, required=True, help="what has the simulated AWS")
    parser.add_argument("--allow", metavar="FILE", type=pathlib.Path, help="the differences that are exempt")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="of the simulated AWS; 1")
    parser.add_argument("--speed", metavar="N|max", default="60", help="of the simulated AWS; 60")
    parser.add_argument("--patience", metavar="SECONDS", type=int, default=600,
                        help="how long at most the simulated AWS may be behind, in its own time; 600")
    options = parser.parse_args(arguments)

    report, models = Report(), Models()
    try:
        if options.allow:
            report.exemptions = read_exemptions(options.allow)
        recording = read(options.recording, models)
        simulator = Simulator(options.runner, options.seed, options.speed)
        try:
            Replay(recording, simulator, report, options.patience, models).run()
        finally:
            simulator.stop()
    except (OSError, ValueError) as error:
        print(f"compare_wire: {error}", file=sys.stderr)
        return 2
    report.show()
    if not any(tally.compared for tally in report.tallies.values()):
        print("compare_wire: nothing was compared", file=sys.stderr)
        return 2
    return int(bool(report.found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
