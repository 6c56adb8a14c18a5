#!/usr/bin/env python3
"""Judges recorded exchanges with an AWS against botocore's service models.

    botocore_judge.py [--allow FILE] [--json FILE] PATH...
    botocore_judge.py --operations PATH...          only says which operations are there

A PATH is a file, or a folder of *.jsonl; each line is one exchange: the signing name of the service, the action, the
request and the reply as they were on the wire. This file owns what is held against them. The request is decoded by the
rules of the protocol into the members of the operation's input, by a decoder that is not botocore's serializer: each
parameter must be claimed by a member, what is required must be there, and every value must be one that the model
admits. The reply must be readable by botocore's own parser, and all that is in it must be claimed by the output.

Secrets are recorded as `(secret)`: what holds that is known by its name, but its value is not judged.

--allow exempts findings, one a line: `service:Action path class # reason`. An exemption that nothing uses is a finding.
Exits with 1 if there are findings other than notes, and with 2 if nothing was judged: that would prove nothing.
Needs botocore, and nothing else beyond Python 3.11.
"""
import argparse
import base64
import datetime
import email.utils
import functools
import json
import pathlib
import re
import sys
import unicodedata
import urllib.parse
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from xml.etree import ElementTree

import botocore.session
from botocore.awsrequest import HeadersDict
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.parsers import create_parser

MASK = "(secret)"
NOTES = {"undocumented-error"}
MEDIA_TYPES = {
    "ec2": ("application/x-www-form-urlencoded",),
    "query": ("application/x-www-form-urlencoded",),
    "json": ("application/x-amz-json-1.0", "application/x-amz-json-1.1"),
    "rest-xml": ("application/xml", "text/xml"),
}
# Models whose name is not their signing name. Any other that shares a signing name is looked for among all models.
MODELS = {"elasticloadbalancing": ("elbv2", "elb")}
# Codes that any operation of any service may answer with; no model lists them with its operations.
COMMON_CODES = re.compile(
    r"AccessDenied(Exception)?|UnauthorizedOperation|NotAuthorized|OptInRequired|"
    r"Throttl(ing|ed)(Exception)?|RequestLimitExceeded|TooManyRequestsException|PriorRequestNotComplete|"
    r"Validation(Error|Exception)|InvalidParameter(Value|Combination)|MissingParameter|InvalidQueryParameter|"
    r"Internal(Failure|Error|ServerError|ServiceError)|ServiceUnavailable(Exception)?|Unavailable|"
    r"ExpiredToken(Exception)?|RequestExpired|InvalidClientTokenId|UnrecognizedClientException|InvalidToken|"
    r"SignatureDoesNotMatch|InvalidSignature(Exception)?|IncompleteSignature(Exception)?|"
    r"MissingAuthenticationToken(Exception)?|MissingAction|InvalidAction|UnknownOperationException|"
    r"MalformedQueryString|MalformedInput|SerializationException"
)

VERSION = re.compile(r"(?:^|[?&])Version=([\d-]+)")

Report = Callable[[str, str, str], None]  # of a path, a class and what is wrong


# --- Findings ---------------------------------------------------------------------------------------------------------


@dataclass
class Finding:
    operation: str
    path: str
    kind: str
    detail: str
    example: str
    count: int = 1

    @property
    def note(self) -> bool:
        return self.kind in NOTES


@dataclass
class Exemption:
    key: tuple[str, str, str]
    where: str
    used: bool = False


@dataclass
class Findings:
    """Each distinct finding once: it is known by its operation, its path and its class."""

    exemptions: dict[tuple[str, str, str], Exemption] = field(default_factory=dict)
    found: dict[tuple[str, str, str], Finding] = field(default_factory=dict)

    def add(self, operation: str, path: str, kind: str, detail: str, example: str) -> None:
        key = (operation, re.sub(r"\s", "_", path), kind)  # an exemption is split at its spaces
        if exemption := self.exemptions.get(key):
            exemption.used = True
        elif finding := self.found.get(key):
            finding.count += 1
        else:
            self.found[key] = Finding(*key, detail=detail, example=example)

    def add_unused_exemptions(self) -> None:
        for exemption in self.exemptions.values():
            if not exemption.used:
                operation, path, kind = exemption.key
                key = (operation, f"{path}:{kind}", "unused-exemption")
                self.found[key] = Finding(*key, detail=f"no finding is of class {kind} here", example=exemption.where)

    def sorted(self) -> list[Finding]:
        return sorted(self.found.values(), key=lambda finding: (finding.note, finding.operation, finding.path))


def read_exemptions(path: pathlib.Path) -> dict[tuple[str, str, str], Exemption]:
    exemptions: dict[tuple[str, str, str], Exemption] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        exemption, _, reason = line.partition(" #")
        words = exemption.split()
        if len(words) != 3 or not reason.strip():
            raise ValueError(f"{path}:{number}: expected `service:Action path class # reason`")
        key = (words[0], words[1], words[2])
        if key in exemptions:
            raise ValueError(f"{path}:{number}: the same exemption as {exemptions[key].where}")
        exemptions[key] = Exemption(key, f"{path}:{number}")
    return exemptions


# --- Patterns ---------------------------------------------------------------------------------------------------------

uncompiled: dict[tuple[str, str], str] = {}  # shape and pattern, and why Python cannot compile it


@functools.cache
def code_points(name: str) -> str:
    """What `\\p{name}` stands for, as the inside of a character class."""
    posix = {"ASCII": "\\x00-\\x7f", "Alpha": "a-zA-Z", "Digit": "0-9", "Alnum": "a-zA-Z0-9"}
    if name in posix:
        return posix[name]
    ranges: list[list[int]] = []
    for point in range(sys.maxunicode + 1):
        if unicodedata.category(chr(point)).startswith(name):
            if ranges and ranges[-1][1] == point - 1:
                ranges[-1][1] = point
            else:
                ranges.append([point, point])
    if not ranges:
        raise re.error(f"unknown class \\p{{{name}}}")
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


def translate(pattern: str) -> str:
    """A pattern of a model, which is Java's or ECMAScript's, as Python has it."""
    # Java takes these for all code points above the first plane; written with \u they mean nothing to Python.
    for above in ("\\u10000-\\u10FFFF", "\\uD800\\uDC00-\\uDBFF\\uDFFF"):
        pattern = pattern.replace(above, "\\U00010000-\\U0010FFFF")
    out, inside = [], False
    for token in re.findall(r"\\p\{\w+\}|\\.|.", pattern, re.DOTALL):
        if token.startswith("\\p{"):
            points = code_points(token[3:-1])
            token = points if inside else f"[{points}]"
        elif token == "[":
            inside = True
        elif token == "]":
            inside = False
        elif token == "-" and inside and out[-1] in ("\\w", "\\d", "\\s"):
            token = "\\-"  # no range begins with a class; Python says so, the others take the hyphen as it is
        out.append(token)
    return "".join(out)


@functools.cache
def matcher(shape_name: str, pattern: str) -> Callable[[str], object] | None:
    """Services match the whole value, unless the pattern only says how it begins."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # sets in sets: Java reads those differently
            # \w and \d are ASCII in Java and ECMAScript.
            compiled = re.compile(translate(pattern), re.ASCII)
    except (re.error, FutureWarning, OverflowError) as error:
        uncompiled[shape_name, pattern] = str(error)
        return None
    open_ended = pattern.startswith("^") and not re.search(r"(?<!\\)\$", pattern)
    return compiled.match if open_ended else compiled.fullmatch


# --- Shapes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rules:
    """What the model says of a value, at hand."""

    kind: str
    enum: frozenset[str]
    low: float | None
    high: float | None
    matches: Callable[[str], object] | None
    clock: str | None


@functools.cache
def rules(shape: Shape) -> Rules:
    meta = shape.metadata
    clock = shape.serialization.get("timestampFormat")
    return Rules(
        kind=shape.type_name,
        enum=frozenset(meta.get("enum", ())),
        low=meta.get("min"),
        high=meta.get("max"),
        matches=matcher(shape.name, meta["pattern"]) if "pattern" in meta else None,
        clock=clock.lower() if clock else None,
    )


def flattened(shape: Shape) -> bool:
    return bool(shape.serialization.get("flattened"))


def name_in_form(protocol: str, name: str, shape: Shape) -> str:
    serialized = shape.serialization
    if protocol == "ec2":
        if "queryName" in serialized:
            return serialized["queryName"]
        # The model has the name that replies use; in requests it begins with a capital.
        own = serialized.get("name", name)
        return own[0].upper() + own[1:] if "name" in serialized else name
    return name_in_document(name, shape)


def name_in_document(name: str, shape: Shape) -> str:
    if shape.type_name == "list" and flattened(shape) and "name" in shape.member.serialization:
        return shape.member.serialization["name"]  # no element stands for the list, only for its items
    return shape.serialization.get("name", name)


def in_body(shape: Shape) -> bool:
    return "location" not in shape.serialization


@functools.cache
def claims(shape: Shape, protocol: str, form: bool) -> dict[str, tuple[str, Shape]]:
    """The members of a structure by the name that they have on the wire."""
    claimed: dict[str, tuple[str, Shape]] = {}
    for name, member in shape.members.items():
        if protocol == "rest-xml" and not in_body(member):
            continue
        wire = name_in_form(protocol, name, member) if form else name_in_document(name, member)
        if wire in claimed:
            raise ValueError(f"{shape.name}: {name} and {claimed[wire][0]} are both {wire} on the wire")
        claimed[wire] = (name, member)
    return claimed


@functools.cache
def required(shape: Shape, protocol: str) -> tuple[str, ...]:
    names = []
    for name in shape.required_members:
        member = shape.members[name]
        # A client makes up the token of its own; an empty flattened list leaves no trace.
        if member.metadata.get("idempotencyToken") or (member.type_name == "list" and flattened(member)):
            continue
        if protocol != "rest-xml" or in_body(member):
            names.append(name)
    return tuple(names)


# --- Values -----------------------------------------------------------------------------------------------------------

INTEGERS = {"integer": 31, "long": 63}
ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def parse_time(text: str, clock: str) -> None:
    if clock == "iso8601":
        if not ISO_8601.fullmatch(text):
            raise ValueError(text)
        datetime.datetime.fromisoformat(text[:19])
    elif clock == "rfc822":
        email.utils.parsedate_to_datetime(text)
    else:
        float(text)


def short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return repr(text if len(text) <= 80 else text[:77] + "...")


def masked(value: object) -> bool:
    return isinstance(value, str) and MASK in value


@dataclass
class Node:
    """A parameter of a form, and those whose names go on from its own after a dot."""

    value: str | None = None
    children: dict[str, "Node"] = field(default_factory=dict)


class Walk:
    """Goes through what one side said, along the shape that the model has for it.

    Only a request is held against lengths, ranges and patterns: those say what AWS takes, not what it gives.
    """

    def __init__(self, report: Report, protocol: str, request: bool) -> None:
        self.report = report
        self.protocol = protocol
        self.request = request
        self.clock = "unixtimestamp" if protocol == "json" else "iso8601"

    # Values

    def text(self, shape: Shape, text: str, path: str, clock: str | None = None) -> None:
        """A scalar that is text on the wire, in a form, in XML, in a header or in a URI."""
        rule = rules(shape)
        if MASK in text:
            return
        try:
            if rule.kind in INTEGERS:
                if not re.fullmatch(r"-?\d+", text, re.ASCII):
                    raise ValueError(text)
                self.integer(rule, int(text), path)
            elif rule.kind in ("float", "double"):
                self.bounds(rule, float(text), path, "range")
            elif rule.kind == "boolean":
                if text not in ("true", "false"):
                    raise ValueError(text)
            elif rule.kind == "timestamp":
                parse_time(text, rule.clock or clock or self.clock)
            elif rule.kind == "blob":
                self.blob(rule, text, path)
            elif rule.kind in ("string", "character"):
                self.string(rule, text, path)
            else:
                self.report(path, "type", f"{short(text)} is no {rule.kind}")
        except ValueError:
            self.report(path, "type", f"{short(text)} is no {rule.kind}")

    def integer(self, rule: Rules, number: int, path: str) -> None:
        bits = INTEGERS[rule.kind]
        if not -(2**bits) <= number < 2**bits:
            raise ValueError(number)
        self.bounds(rule, number, path, "range")

    def blob(self, rule: Rules, text: str, path: str) -> None:
        self.bounds(rule, len(base64.b64decode("".join(text.split()), validate=True)), path, "length")

    def string(self, rule: Rules, text: str, path: str) -> None:
        # An empty element of a reply says that there is no value.
        if rule.enum and text not in rule.enum and (text or self.request):
            self.report(path, "enum", f"{short(text)} is not in the enumeration")
        if self.request:
            self.bounds(rule, len(text), path, "length")
            if rule.matches and not rule.matches(text):
                self.report(path, "pattern", f"{short(text)} does not match the pattern")

    def bounds(self, rule: Rules, size: float, path: str, kind: str) -> None:
        if not self.request:
            return
        if rule.low is not None and size < rule.low:
            self.report(path, kind, f"{size} is below {rule.low}")
        elif rule.high is not None and size > rule.high:
            self.report(path, kind, f"{size} is above {rule.high}")

    def present(self, shape: Shape, names: set[str], path: str) -> None:
        """Holds the members that are there against those that have to be."""
        for name in required(shape, self.protocol):
            if name not in names:
                self.report(f"{path}.{name}", "missing", "a required member is missing")
        if shape.is_tagged_union and len(names) != 1:
            self.report(path, "union", f"a union has one member, this has {len(names)}")

    # Forms

    def form(self, shape: Shape, node: Node, path: str) -> None:
        if shape.type_name not in ("structure", "list", "map"):
            self.no_children(node, path)
            if node.value is None:
                self.report(path, "type", f"parameters below what is a {shape.type_name}")
            else:
                self.text(shape, node.value, path)
        elif masked(node.value):
            return
        elif node.value is not None and not (node.value == "" and self.protocol == "query" and not node.children
                                             and shape.type_name == "list"):
            # Only an empty list has a parameter of its own, which is empty.
            self.report(path, "type", f"{short(node.value)} is no {shape.type_name}")
        elif shape.type_name == "structure":
            self.form_structure(shape, node, path)
        elif shape.type_name == "list":
            self.form_list(shape, node, path)
        else:
            self.form_map(shape, node, path)

    def no_children(self, node: Node, path: str) -> None:
        for name in node.children:
            self.report(f"{path}.{name}", "unknown", "no member has this parameter")

    def form_structure(self, shape: Shape, node: Node, path: str) -> None:
        claimed, names = claims(shape, self.protocol, True), set()
        for wire, child in node.children.items():
            if wire not in claimed:
                self.report(f"{path}.{wire}", "unknown", "no member has this parameter")
                continue
            name, member = claimed[wire]
            names.add(name)
            self.form(member, child, f"{path}.{name}")
        self.present(shape, names, path)

    def form_items(self, shape: Shape, node: Node, path: str, between: str | None) -> list[Node]:
        """The numbered parameters of a list or map. `between` is the name before the numbers, if there is one."""
        if between is not None and node.children:
            self.no_children(Node(children={k: v for k, v in node.children.items() if k != between}), path)
            node = node.children.get(between, Node())
            if node.value is not None:
                self.report(f"{path}.{between}", "unknown", "no member has this parameter")
        numbers = sorted(int(key) for key in node.children if re.fullmatch(r"[1-9]\d*", key, re.ASCII))
        self.no_children(Node(children={k: v for k, v in node.children.items()
                                        if not re.fullmatch(r"[1-9]\d*", k, re.ASCII)}), path)
        if numbers != list(range(1, len(numbers) + 1)):
            self.report(path, "index", f"the indices {short(numbers)} do not count from 1")
        self.bounds(rules(shape), len(numbers), path, "length")
        return [node.children[str(number)] for number in numbers]

    def form_list(self, shape: Shape, node: Node, path: str) -> None:
        flat = self.protocol == "ec2" or flattened(shape)
        between = None if flat else shape.member.serialization.get("name", "member")
        for item in self.form_items(shape, node, path, between):
            self.form(shape.member, item, f"{path}[]")

    def form_map(self, shape: Shape, node: Node, path: str) -> None:
        ends = {shape.key.serialization.get("name", "key"): (shape.key, f"{path}{{key}}"),
                shape.value.serialization.get("name", "value"): (shape.value, f"{path}{{}}")}
        for entry in self.form_items(shape, node, path, None if flattened(shape) else "entry"):
            for wire in entry.children.keys() | ends.keys():
                if wire not in ends:
                    self.report(f"{path}.{wire}", "unknown", "no member has this parameter")
                elif wire not in entry.children:
                    self.report(ends[wire][1], "missing", "an entry of a map lacks its half")
                else:
                    self.form(ends[wire][0], entry.children[wire], ends[wire][1])

    # XML

    def xml(self, shape: Shape, element: ElementTree.Element, path: str) -> None:
        if shape.type_name not in ("structure", "list", "map"):
            self.xml_attributes({}, element, path)
            for child in element:
                self.report(f"{path}.{tag(child)}", "unknown", f"an element within what is a {shape.type_name}")
            if not len(element):
                self.text(shape, element.text or "", path)
        elif masked(element.text):
            return
        elif not len(element) and not empty(element):
            self.report(path, "type", f"{short(element.text)} is no {shape.type_name}")
        elif shape.type_name == "structure":
            self.xml_structure(shape, element, path)
        elif shape.type_name == "list":
            self.xml_attributes({}, element, path)
            self.xml_list(shape, list(element), path, shape.member.serialization.get("name", "member"))
        else:
            self.xml_map(shape, list(element), path, "entry")

    def xml_attributes(self, claimed: dict[str, tuple[str, Shape]], element: ElementTree.Element,
                       path: str) -> set[str]:
        names: set[str] = set()
        if not element.attrib:
            return names
        for attribute, value in element.attrib.items():
            # The name of one in a namespace is {uri}name here and prefix:name in the model.
            bare = attribute.rpartition("}")[2]
            for wire, (name, member) in claimed.items():
                if member.serialization.get("xmlAttribute") and wire.rpartition(":")[2] == bare:
                    names.add(name)
                    self.text(member, value, f"{path}.{name}")
                    break
            else:
                self.report(f"{path}.@{bare}", "unknown", "no member has this attribute")
        return names

    def xml_structure(self, shape: Shape, element: ElementTree.Element, path: str,
                      envelope: tuple[str, ...] = ()) -> None:
        claimed = claims(shape, self.protocol, False)
        names = self.xml_attributes(claimed, element, path)
        flat: dict[str, list[ElementTree.Element]] = {}
        for child in element:
            wire = tag(child)
            if wire not in claimed:
                if wire not in envelope:
                    self.report(f"{path}.{wire}", "unknown", "no member has this element")
                continue
            name, member = claimed[wire]
            if not self.request and member.type_name == "structure" and empty(child):
                if required(member, self.protocol):
                    continue  # replies have empty elements for what is not there
            if member.type_name in ("list", "map") and flattened(member):
                flat.setdefault(wire, []).append(child)
            elif name in names:
                self.report(f"{path}.{name}", "duplicate", "the element is there more than once")
            else:
                self.xml(member, child, f"{path}.{name}")
            names.add(name)
        for wire, children in flat.items():
            name, member = claimed[wire]
            (self.xml_list if member.type_name == "list" else self.xml_map)(member, children, f"{path}.{name}", wire)
        self.present(shape, names, path)

    def xml_list(self, shape: Shape, items: list[ElementTree.Element], path: str, wire: str) -> None:
        self.bounds(rules(shape), len(items), path, "length")
        for item in items:
            if tag(item) == wire:
                self.xml(shape.member, item, f"{path}[]")
            else:
                self.report(f"{path}.{tag(item)}", "unknown", f"an item of the list is {wire}")

    def xml_map(self, shape: Shape, entries: list[ElementTree.Element], path: str, wire: str) -> None:
        self.bounds(rules(shape), len(entries), path, "length")
        ends = {shape.key.serialization.get("name", "key"): (shape.key, f"{path}{{key}}"),
                shape.value.serialization.get("name", "value"): (shape.value, f"{path}{{}}")}
        for entry in entries:
            if tag(entry) != wire:
                self.report(f"{path}.{tag(entry)}", "unknown", f"an entry of the map is {wire}")
                continue
            there = set()
            for child in entry:
                there.add(tag(child))
                if tag(child) in ends:
                    self.xml(ends[tag(child)][0], child, ends[tag(child)][1])
                else:
                    self.report(f"{path}.{tag(child)}", "unknown", "no half of an entry of a map")
            for end in ends.keys() - there:
                self.report(ends[end][1], "missing", "an entry of a map lacks its half")

    # JSON

    def json_document(self, shape: Shape | None, value: object, path: str) -> None:
        if shape is not None:
            self.json(shape, value, path)
        elif not isinstance(value, dict):
            self.report(path, "type", f"{short(value)} is no structure")
        else:
            for wire in value:
                self.report(f"{path}.{wire}", "unknown", "no member has this key")

    def json(self, shape: Shape, value: object, path: str) -> None:
        kind, rule = shape.type_name, rules(shape)
        if masked(value):
            return
        if kind == "structure":
            if not isinstance(value, dict):
                self.report(path, "type", f"{short(value)} is no structure")
            elif not shape.is_document_type:
                self.json_structure(shape, value, path)
        elif kind == "list":
            if not isinstance(value, list):
                self.report(path, "type", f"{short(value)} is no list")
                return
            self.bounds(rule, len(value), path, "length")
            for item in value:
                self.json(shape.member, item, f"{path}[]")
        elif kind == "map":
            if not isinstance(value, dict):
                self.report(path, "type", f"{short(value)} is no map")
                return
            self.bounds(rule, len(value), path, "length")
            for key, item in value.items():
                self.json(shape.key, key, f"{path}{{key}}")
                self.json(shape.value, item, f"{path}{{}}")
        elif not self.json_scalar(shape, rule, value, path):
            self.report(path, "type", f"{short(value)} is no {kind}")

    def json_structure(self, shape: Shape, value: dict[str, object], path: str) -> None:
        claimed, names = claims(shape, self.protocol, False), set()
        for wire, item in value.items():
            if wire not in claimed:
                # A reply may say which type of a union it holds.
                if not (wire == "__type" and shape.is_tagged_union and not self.request):
                    self.report(f"{path}.{wire}", "unknown", "no member has this key")
            elif item is not None:  # null is no value
                name, member = claimed[wire]
                names.add(name)
                self.json(member, item, f"{path}.{name}")
        self.present(shape, names, path)

    def json_scalar(self, shape: Shape, rule: Rules, value: object, path: str) -> bool:
        """Whether the value is of the shape's type. Says itself what else is wrong with it."""
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if rule.kind == "boolean":
            return isinstance(value, bool)
        if rule.kind in INTEGERS:
            if not number or not isinstance(value, int):
                return False
        elif rule.kind in ("float", "double"):
            if not number and value not in ("NaN", "Infinity", "-Infinity"):
                return False
        elif rule.kind == "timestamp" and (rule.clock or self.clock) == "unixtimestamp":
            return number
        elif not isinstance(value, str):
            return False
        self.text(shape, value if isinstance(value, str) else json.dumps(value), path)
        return True


def tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def empty(element: ElementTree.Element) -> bool:
    return not len(element) and not (element.text or "").strip()


def xml_document(text: str, path: str, report: Report) -> ElementTree.Element | None:
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        report(path, "unparsable", f"no XML: {error}")
        return None
    for element in root.iter():
        for between in (element.tail, element.text if len(element) else None):
            if between and not between.isspace():
                report(path, "unknown", f"text between elements: {short(between)}")
    return root


def form_tree(pairs: list[tuple[str, str]], report: Report) -> Node:
    root = Node()
    for name, value in pairs:
        node = root
        for part in name.split("."):
            node = node.children.setdefault(part, Node())
        if node.value is not None:
            report(f"request.{name}", "duplicate", "the parameter is there more than once")
        node.value = value
    return root


# --- Operations -------------------------------------------------------------------------------------------------------


@dataclass
class Operation:
    model: OperationModel
    protocol: str
    errors: frozenset[str]
    parser: object

    @property
    def metadata(self) -> dict[str, str]:
        return self.model.metadata


class Models:
    """Finds the operation that an exchange is of. Several models may share a signing name."""

    def __init__(self) -> None:
        self.session = botocore.session.Session()
        self.shared: dict[str, list[ServiceModel]] = {}
        self.parsers: dict[str, object] = {}
        self.everything: list[ServiceModel] | None = None
        self.operation = functools.cache(self.find_operation)

    def find_operation(self, service: str, action: str, version: str, target: str, media: str) -> Operation | None:
        models = [model for model in self.named(service) if action in model.operation_names]
        if not models:
            models = [model for model in self.signed(service) if action in model.operation_names]
        if not models:
            return None

        # Elastic Load Balancing has the same action in two models, told apart by the version of the API.
        def fit(model: ServiceModel) -> int:
            return (model.metadata["apiVersion"] == version) + (model.metadata.get("targetPrefix") == target)

        model = max(models, key=fit)
        operation = model.operation_model(action)
        listed = model.metadata.get("protocols") or [model.metadata["protocol"]]
        supported = [protocol for protocol in listed if protocol in MEDIA_TYPES]
        if not supported:
            return Operation(operation, listed[0], frozenset(), None)
        protocol = next((one for one in supported if media in MEDIA_TYPES[one]), supported[0])
        parser = self.parsers.setdefault(protocol, create_parser(protocol))
        errors = frozenset(name for shape in operation.error_shapes for name in (shape.name, shape.error_code))
        return Operation(operation, protocol, errors, parser)

    def named(self, service: str) -> list[ServiceModel]:
        if service not in self.shared:
            try:
                names = MODELS.get(service, (service,))
                self.shared[service] = [self.session.get_service_model(name) for name in names]
            except UnknownServiceError:
                self.shared[service] = []
        return self.shared[service]

    def signed(self, service: str) -> list[ServiceModel]:
        """All models of a signing name. Reads every model there is, so this is for what is not found otherwise."""
        if self.everything is None:
            self.everything = [self.session.get_service_model(name) for name in self.session.get_available_services()]
        return [model for model in self.everything if model.signing_name == service]


@functools.cache
def uri_template(template: str) -> tuple[re.Pattern[str], tuple[str, ...], dict[str, str]]:
    """The path of a REST operation, the names within it, and the query that is always there."""
    path, _, query = template.partition("?")
    names = re.findall(r"\{(.*?)\}", path)
    parts = [re.escape(part) for part in re.split(r"\{.*?\}", path.rstrip("/"))]
    pattern = parts[0]
    for name, part in zip(names, parts[1:]):
        pattern += ("(.+)" if name.endswith("+") else "([^/]+)") + part
    # Other models of the same services leave out the slash at the end, and AWS takes both.
    compiled = re.compile(pattern + "/?")
    return compiled, tuple(name.rstrip("+") for name in names), dict(urllib.parse.parse_qsl(query, True))


# --- Exchanges --------------------------------------------------------------------------------------------------------


@dataclass
class Exchange:
    """One line of a recording."""

    service: str
    action: str
    method: str
    uri: str
    request_headers: dict[str, str]  # with names in lower case
    request: str
    status: int  # 0: no reply came
    response_headers: HeadersDict
    response: str

    @classmethod
    def of(cls, line: str) -> "Exchange":
        """Fails with a ValueError that says what is wrong with the line."""
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(f"not JSON: {error}") from None
        if not isinstance(record, dict):
            raise ValueError("not an object")
        for name, kind in (("service", str), ("action", str), ("method", str), ("uri", str), ("status", int)):
            if not isinstance(record.get(name), kind):
                raise ValueError(f"`{name}` is missing or wrong")
        for name, kind in (("request", str), ("response", str), ("request_headers", dict), ("response_headers", dict)):
            if not isinstance(record.get(name) or kind(), kind):
                raise ValueError(f"`{name}` is wrong")
        urllib.parse.urlsplit(record["uri"])
        return cls(
            record["service"], record["action"], record["method"], record["uri"],
            {name.lower(): str(value) for name, value in (record.get("request_headers") or {}).items()},
            record.get("request") or "", record["status"],
            HeadersDict(record.get("response_headers") or {}), record.get("response") or "",
        )

    @property
    def operation(self) -> str:
        return f"{self.service}:{self.action}"


class Judge:
    def __init__(self, findings: Findings, strangers: frozenset[str] = frozenset()) -> None:
        self.findings = findings
        self.strangers = strangers  # hosts whose replies are not judged
        self.models = Models()

    def judge(self, exchange: Exchange, where: str) -> None:
        def report(path: str, kind: str, detail: str) -> None:
            self.findings.add(exchange.operation, path, kind, detail, where)

        media = exchange.request_headers.get("content-type", "").partition(";")[0].strip().lower()
        found = VERSION.search(exchange.request) or VERSION.search(exchange.uri)
        version = found[1] if found else ""
        target = exchange.request_headers.get("x-amz-target", "").rpartition(".")[0]
        operation = self.models.operation(exchange.service, exchange.action, version, target, media)
        if operation is None:
            report("request", "unknown-operation", "no model of the service has the operation")
        elif operation.parser is None:
            report("request", "unsupported", f"this judge does not know the protocol {operation.protocol}")
        else:
            Request(exchange, operation, media, report).judge()
            # No reply came, or it is somebody else's to answer for.
            if exchange.status and urllib.parse.urlsplit(exchange.uri).hostname not in self.strangers:
                Reply(exchange, operation, report).judge()


class Request:
    def __init__(self, exchange: Exchange, operation: Operation, media: str, report: Report) -> None:
        self.exchange = exchange
        self.operation = operation
        self.media = media
        self.report = report
        self.shape = operation.model.input_shape
        self.walk = Walk(report, operation.protocol, request=True)
        self.url = urllib.parse.urlsplit(exchange.uri)

    def judge(self) -> None:
        protocol = self.operation.protocol
        media = (f"application/x-amz-json-{self.operation.metadata['jsonVersion']}",) if protocol == "json" else (
            MEDIA_TYPES[protocol])
        if self.exchange.request and self.media and self.media not in media:
            self.report("request", "content-type", f"{short(self.media)} is not {media[0]}")
        if protocol == "rest-xml":
            self.rest()
            return
        if self.url.path not in ("", "/"):
            self.report("request", "uri", f"{short(self.url.path)} is not the path of the protocol")
        if protocol == "json":
            self.json()
        else:
            self.form()

    def query(self, text: str) -> list[tuple[str, str]]:
        try:
            return urllib.parse.parse_qsl(text, keep_blank_values=True, errors="strict")
        except ValueError as error:
            self.report("request", "unparsable", f"no form: {error}")
            return []

    def form(self) -> None:
        if self.exchange.method not in ("POST", "GET"):
            self.report("request", "uri", f"{short(self.exchange.method)} is not the method of the protocol")
        tree = form_tree(self.query(self.url.query) + self.query(self.exchange.request), self.report)
        for name, kind, expected in (("Action", "action", self.exchange.action),
                                     ("Version", "version", self.operation.metadata["apiVersion"])):
            found = tree.children.pop(name, Node())
            if found.value != expected:
                self.report(f"request.{name}", kind, f"{short(found.value)} is not {expected}")
            self.walk.no_children(found, f"request.{name}")
        if self.shape is None:
            self.walk.no_children(tree, "request")
        else:
            self.walk.form_structure(self.shape, tree, "request")

    def json(self) -> None:
        if self.exchange.method != "POST":
            self.report("request", "uri", f"{short(self.exchange.method)} is not the method of the protocol")
        for name, _ in self.query(self.url.query):
            self.report(f"request.{name}", "unknown", "no member has this parameter")
        target = self.exchange.request_headers.get("x-amz-target")
        expected = f"{self.operation.metadata['targetPrefix']}.{self.exchange.action}"
        if target is not None and target != expected:
            self.report("request.X-Amz-Target", "action", f"{short(target)} is not {expected}")
        try:
            body = json.loads(self.exchange.request or "{}")
        except ValueError as error:
            self.report("request", "unparsable", f"no JSON: {error}")
            return
        self.walk.json_document(self.shape, body, "request")

    def rest(self) -> None:
        http = self.operation.model.http
        pattern, names, constant = uri_template(http["requestUri"])
        match = pattern.fullmatch(self.url.path)
        if self.exchange.method != http["method"] or not match:
            self.report("request", "uri", f"{self.exchange.method} {short(self.url.path)} is not "
                                          f"{http['method']} {http['requestUri']}")
        located = {} if self.shape is None else {
            (member.serialization["location"], member.serialization.get("name", name)): (name, member)
            for name, member in self.shape.members.items() if not in_body(member)}
        there = self.uri_values(located, dict(zip(names, match.groups())) if match else {})
        there |= self.query_values(located, constant)
        for (location, wire), (name, member) in located.items():
            if location == "header" and wire.lower() in self.exchange.request_headers:
                there.add(name)
                self.walk.text(member, self.exchange.request_headers[wire.lower()], f"request.{name}", "rfc822")
            elif location == "headers":
                there.add(name)  # any header that begins so; there may be none
        for (location, _), (name, member) in located.items():
            # Without a match of the path nothing is known of what it holds.
            if name in self.shape.required_members and name not in there and (match or location != "uri"):
                self.report(f"request.{name}", "missing", "a required member is missing")
        self.rest_body()

    def uri_values(self, located: dict, values: dict[str, str]) -> set[str]:
        there = set()
        for wire, value in values.items():
            name, member = located["uri", wire]
            there.add(name)
            self.walk.text(member, urllib.parse.unquote(value), f"request.{name}")
        return there

    def query_values(self, located: dict, constant: dict[str, str]) -> set[str]:
        there: set[str] = set()
        maps = [member for (location, _), member in located.items()
                if location == "querystring" and member[1].type_name == "map"]
        for wire, value in self.query(self.url.query):
            if ("querystring", wire) in located:
                name, member = located["querystring", wire]
                if member.type_name == "list":
                    self.walk.text(member.member, value, f"request.{name}[]")
                elif name in there:
                    self.report(f"request.{name}", "duplicate", "the parameter is there more than once")
                else:
                    self.walk.text(member, value, f"request.{name}")
                there.add(name)
            elif maps:
                there.add(maps[0][0])  # takes all that no other member does
            elif constant.get(wire) != value:
                self.report(f"request.{wire}", "unknown", "no member has this parameter")
        return there

    def rest_body(self) -> None:
        shape, body = self.shape, self.exchange.request
        path = "request"
        if shape is not None and "payload" in shape.serialization:
            name = shape.serialization["payload"]
            shape, path = shape.members[name], f"request.{name}"
            if shape.type_name in ("string", "blob"):
                return
        if shape is None or not claims(shape, "rest-xml", False):
            if body:
                self.report(path, "unknown", f"{short(body)} where the operation takes no body")
            return
        if not body:
            if path == "request":
                self.walk.present(shape, set(), path)
            elif path.partition(".")[2] in self.shape.required_members:
                self.report(path, "missing", "a required member is missing")
            return
        root = xml_document(body, path, self.report)
        if root is None:
            return
        expected = shape.serialization.get("name", shape.name)
        if tag(root) != expected:
            self.report(path, "root", f"the root is {short(tag(root))}, not {expected}")
        space = shape.serialization.get("xmlNamespace")
        space = space["uri"] if isinstance(space, dict) else space
        if space and root.tag.rpartition("}")[0] != "{" + space:
            self.report(path, "namespace", f"{short(root.tag.rpartition('}')[0][1:])} is not {space}")
        self.walk.xml(shape, root, path)


class Reply:
    def __init__(self, exchange: Exchange, operation: Operation, report: Report) -> None:
        self.exchange = exchange
        self.operation = operation
        self.report = report
        self.shape = operation.model.output_shape
        self.walk = Walk(report, operation.protocol, request=False)

    def judge(self) -> None:
        if self.exchange.status >= 300:
            self.error()
        elif self.success():
            self.parse()

    def parse(self) -> dict | None:
        """What botocore makes of the reply."""
        # botocore takes 300 for a success.
        status = 301 if self.exchange.status == 300 else self.exchange.status
        reply = {"status_code": status, "headers": self.exchange.response_headers,
                 "body": self.exchange.response.encode()}
        try:
            return self.operation.parser.parse(reply, self.shape)
        except Exception as error:  # noqa: BLE001 - a parser may fail with anything on what it does not expect
            # It cannot know that a masked value is none; the walk has judged all others.
            if MASK not in self.exchange.response:
                self.report("reply", "unparsable", f"botocore's parser: {type(error).__name__}: {error}"[:200])
            return None

    def xml(self) -> ElementTree.Element | None:
        return xml_document(self.exchange.response, "reply", self.report)

    def success(self) -> bool:
        """Walks along the output. Whether there is anything that a parser could read."""
        modelled = self.operation.model.http.get("responseCode", 200)
        if self.operation.protocol == "rest-xml" and self.exchange.status != modelled:
            self.report("reply", "status", f"{self.exchange.status} is not {modelled}")
        if self.operation.protocol == "json":
            return self.json_success()
        if self.operation.protocol == "rest-xml":
            return self.rest_success()
        root = self.xml()
        if root is None:
            return False
        expected = f"{self.exchange.action}Response"
        if tag(root) != expected:
            self.report("reply", "root", f"the root is {short(tag(root))}, not {expected}")
        if self.operation.protocol == "query":
            return self.query_success(root)
        if self.shape is None:
            # Operations that give nothing say that they went well; no model has that element.
            self.only(root, ("requestId", "return"))
        else:
            self.walk.xml_structure(self.shape, root, "reply", ("requestId",))
        return True

    def only(self, root: ElementTree.Element, names: tuple[str, ...]) -> None:
        for child in root:
            if tag(child) not in names:
                self.report(f"reply.{tag(child)}", "unknown", "no member has this element")

    def query_success(self, root: ElementTree.Element) -> bool:
        wrapper = self.shape.serialization.get("resultWrapper") if self.shape is not None else None
        if self.shape is not None and wrapper is None:
            self.walk.xml_structure(self.shape, root, "reply", ("ResponseMetadata",))
            return True
        self.only(root, ("ResponseMetadata",) if wrapper is None else ("ResponseMetadata", wrapper))
        for child in root:
            if tag(child) == "ResponseMetadata":
                for grandchild in child:
                    if tag(grandchild) != "RequestId":
                        self.report(f"reply.ResponseMetadata.{tag(grandchild)}", "unknown", "not of the envelope")
        if wrapper is None:
            return True
        results = [child for child in root if tag(child) == wrapper]
        if len(results) != 1:
            kind, what = ("duplicate", "there more than once") if results else ("missing", "not there")
            self.report(f"reply.{wrapper}", kind, f"the element around the result is {what}")
            return False
        self.walk.xml(self.shape, results[0], "reply")
        return True

    def json_success(self) -> bool:
        if not self.exchange.response.strip() and (self.shape is None or not self.shape.members):
            return True
        try:
            body = json.loads(self.exchange.response)
        except ValueError as error:
            self.report("reply", "unparsable", f"no JSON: {error}")
            return False
        self.walk.json_document(self.shape, body, "reply")
        return True

    def rest_success(self) -> bool:
        shape, path = self.shape, "reply"
        if shape is None:
            if self.exchange.response.strip():
                self.report("reply", "unknown", f"{short(self.exchange.response)} where the operation gives nothing")
            return True
        for name, member in shape.members.items():
            if member.serialization.get("location") == "header":
                wire = member.serialization.get("name", name)
                if wire in self.exchange.response_headers:
                    self.walk.text(member, str(self.exchange.response_headers[wire]), f"reply.{name}", "rfc822")
                elif name in shape.required_members:
                    self.report(f"reply.{name}", "missing", f"the header {wire} is missing")
        expected = shape.serialization.get("name", shape.name)
        if "payload" in shape.serialization:
            name = shape.serialization["payload"]
            shape, path = shape.members[name], f"reply.{name}"
            if shape.type_name in ("string", "blob"):
                return True
            expected = shape.serialization.get("name", shape.name)
        if not self.exchange.response.strip() and not claims(shape, "rest-xml", False):
            return True
        root = self.xml()
        if root is None:
            return False
        if tag(root) != expected:
            self.report("reply", "root", f"the root is {short(tag(root))}, not {expected}")
        self.walk.xml(shape, root, path)
        return True

    # Errors

    def error(self) -> None:
        if self.operation.protocol == "json":
            code_there, message_there = self.json_error()
        else:
            code_there, message_there = self.xml_error()
        parsed = self.parse() if code_there else None
        if not code_there:
            self.report("reply", "error-code", "an error without a code")
        if not message_there:
            self.report("reply", "error-message", "an error without a message")
        if parsed is None:
            return
        # Looked for by ourselves before: where the body says nothing botocore makes a code of the HTTP status.
        error = parsed.get("Error")
        code = error.get("Code") if isinstance(error, dict) else None
        if not code:
            self.report("reply", "error-code", "botocore finds no code in the error")
        elif self.operation.protocol != "ec2" and not masked(code):  # the model of EC2 lists no errors
            if code not in self.operation.errors and not COMMON_CODES.fullmatch(code):
                self.report(f"reply.{code}", "undocumented-error", f"{short(code)} is no error of the operation")

    def json_error(self) -> tuple[bool, bool]:
        try:
            body = json.loads(self.exchange.response)
        except ValueError as error:
            self.report("reply", "unparsable", f"no JSON: {error}")
            return False, False
        if not isinstance(body, dict):
            self.report("reply", "unparsable", f"{short(body)} is no error")
            return False, False
        code = body.get("__type")
        message = body.get("message", body.get("Message"))
        return bool(code and isinstance(code, str)), isinstance(message, str)

    def xml_error(self) -> tuple[bool, bool]:
        root = self.xml()
        if root is None:
            return False, False
        expected, steps = ("Response", ("Errors", "Error")) if self.operation.protocol == "ec2" else (
            "ErrorResponse", ("Error",))
        if tag(root) != expected:
            self.report("reply", "root", f"the root is {short(tag(root))}, not {expected}")
        element = root
        for step in steps:
            element = next((child for child in element if tag(child) == step), None)
            if element is None:
                return False, False
        texts = {tag(child): child.text or "" for child in element}
        return bool(texts.get("Code", "").strip()), "Message" in texts


# --- The program ------------------------------------------------------------------------------------------------------


def files_of(paths: list[pathlib.Path]) -> Iterator[pathlib.Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("*.jsonl"))
        else:
            yield path


def read(paths: list[pathlib.Path], findings: Findings) -> Iterator[tuple[Exchange, str]]:
    """The exchanges, each with where it is. A line that is none is a finding."""
    for path in files_of(paths):
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                where = f"{path}:{number}"
                try:
                    exchange = Exchange.of(line.decode("utf-8"))
                except ValueError as error:
                    findings.add("recording", str(path), "record", str(error), where)
                    continue
                yield exchange, where


@dataclass
class Service:
    exchanges: int = 0
    operations: set[str] = field(default_factory=set)


def summary(services: dict[str, Service], findings: list[Finding]) -> dict[str, dict[str, int]]:
    rows = {}
    for name in sorted(services.keys() | {finding.operation.partition(":")[0] for finding in findings}):
        service = services.get(name, Service())
        own = [finding for finding in findings if finding.operation.partition(":")[0] == name]
        notes = sum(finding.note for finding in own)
        rows[name] = {"exchanges": service.exchanges, "operations": len(service.operations),
                      "findings": len(own) - notes, "notes": notes}
    return rows


def show(rows: dict[str, dict[str, int]], findings: list[Finding]) -> None:
    width = max([len("service"), *map(len, rows)])
    heads = ("exchanges", "operations", "findings", "notes")
    print("  ".join([f"{'service':{width}}", *heads]))
    for name, row in rows.items():
        print("  ".join([f"{name:{width}}", *(f"{row[head]:{len(head)}}" for head in heads)]))
    for finding in findings:
        # Begins as its exemption would.
        print(f"\n{finding.operation} {finding.path} {finding.kind}{' (a note)' if finding.note else ''}"
              f"\n    {finding.count} x, first at {finding.example}: {finding.detail}")
    if uncompiled:
        print(f"\npatterns that Python cannot compile, so that nothing was held against them: {len(uncompiled)}")
        for (shape, pattern), error in sorted(uncompiled.items()):
            print(f"    {shape}: {pattern}: {error}")


def write_json(path: pathlib.Path, rows: dict[str, dict[str, int]], findings: list[Finding]) -> None:
    report = {
        "services": rows,
        "findings": [{"operation": finding.operation, "path": finding.path, "class": finding.kind, "note": finding.note,
                      "count": finding.count, "example": finding.example, "detail": finding.detail}
                     for finding in findings],
        "uncompiled_patterns": [{"shape": shape, "pattern": pattern, "error": error}
                                for (shape, pattern), error in sorted(uncompiled.items())],
    }
    path.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Judges recorded exchanges with an AWS against botocore's models.")
    parser.add_argument("paths", metavar="PATH", nargs="+", type=pathlib.Path, help="a file, or a folder of *.jsonl")
    parser.add_argument("--allow", metavar="FILE", type=pathlib.Path, help="the findings that are exempt")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path, help="where to write the report as JSON")
    parser.add_argument("--part", action="store_true",
                        help="this is a part of what the exemptions are for: one that nothing uses is no finding")
    parser.add_argument("--requests-only", metavar="HOST", action="append", default=[],
                        help="do not judge the replies of this host; repeatable")
    parser.add_argument("--operations", action="store_true", help="only say which operations are there")
    options = parser.parse_args(arguments)

    findings, services = Findings(), {}
    try:
        if options.allow:
            findings.exemptions = read_exemptions(options.allow)
        judge = Judge(findings, frozenset(options.requests_only))
        for exchange, where in read(options.paths, findings):
            service = services.setdefault(exchange.service, Service())
            service.exchanges += 1
            service.operations.add(exchange.action)
            if not options.operations:
                judge.judge(exchange, where)
    except (OSError, ValueError) as error:
        print(f"botocore_judge: {error}", file=sys.stderr)
        return 2
    if options.operations:
        for name in sorted(f"{name}:{action}" for name, service in services.items() for action in service.operations):
            print(name)
        for finding in findings.sorted():  # of lines that are no exchanges
            print(f"botocore_judge: {finding.example}: {finding.detail}", file=sys.stderr)
    else:
        if not options.part:
            findings.add_unused_exemptions()
        found = findings.sorted()
        rows = summary(services, found)
        show(rows, found)
        if options.json:
            write_json(options.json, rows, found)
    if not services:
        print("botocore_judge: no exchange was read", file=sys.stderr)
        return 2
    return int(any(not finding.note for finding in findings.found.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
