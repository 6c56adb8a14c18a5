"""What the scripts share: the served simulator, boto3 clients of it, and the record of every call.

A server is started for each test class, on a free port, and ended with it. Its time stands still but for the requests:
each one lets the next thing happen, and `Case.advance` lets seconds pass. So nothing here sleeps.

The record says of each call which service and action it was and what became of it; `run.py` holds it against what the
simulator models. Every good reply is held against its model on the way: what the model requires must be there, and what
is of an enumeration must be of it.

Environment: RUNNER_BIN is the binary; RUNNER_SEED the seed (1 if not given).
"""
import atexit
import contextlib
import datetime
import json
import os
import subprocess
import unittest
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError, WaiterError
from botocore.model import OperationModel, Shape

REGION = "eu-central-1"
ACCOUNT = "210987654321"  # Twelve digits as the access key are the account.

# No retries: an error is to be seen, not waited out.
CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10)

# One for all: it keeps the service models that were read.
SESSION = boto3.Session(ACCOUNT, "secret", region_name=REGION)


# --- The record -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    service: str  # as it signs
    action: str
    code: str | None  # of the error; None for success


CALLS: list[Call] = []

# What replies lack or have wrong: (service, action, path, what). A set, as one fault shows in many replies.
MISSHAPEN: set[tuple[str, str, str, str]] = set()

# Of them, those that the simulator is to mend.
TO_MEND: set[tuple[str, str, str, str]] = set()

# Where AWS itself does not keep to the model.
EXEMPT: dict[tuple[str, str], str] = {
    ("ListHostedZones", "Marker"): "the reference: the value of the request's marker, which a first page does not have",
    ("ListHealthChecks", "Marker"): "likewise",
    ("CreateHostedZone", "DelegationSet"): "the reference: private hosted zones have none",
    ("DescribeCertificate", "Certificate.KeyAlgorithm"): "AWS writes RSA-2048 where the enumeration has RSA_2048",
    ("ListCertificates", "CertificateSummaryList.KeyAlgorithm"): "likewise",
    ("CreateRole", "Role.PermissionsBoundary.PermissionsBoundaryType"): "AWS writes Policy, for short",
    ("GetRole", "Role.PermissionsBoundary.PermissionsBoundaryType"): "likewise",
    ("DescribeInternetGateways", "InternetGateways.Attachments.State"): "its documentation says available",
    ("DescribeNetworkInterfaces", "NetworkInterfaces.InterfaceType"): "the filter's documentation says nat_gateway",
}


def note(http_response: Any, parsed: dict, model: OperationModel, **_: Any) -> None:
    """The event hook: notes the call, and what is wrong with the shape of its reply."""
    service = model.service_model.signing_name
    failed = http_response.status_code >= 300
    code = parsed.get("Error", {}).get("Code", "?") if failed else None
    CALLS.append(Call(service, model.name, code))
    if not failed and model.output_shape is not None:
        for path, what in faults(parsed, model.output_shape, ""):
            if (model.name, path.replace("[]", "")) not in EXEMPT:
                MISSHAPEN.add((service, model.name, path, what))


def faults(value: Any, shape: Shape, path: str) -> Iterator[tuple[str, str]]:
    if shape.type_name == "structure":
        if not isinstance(value, dict):  # a policy document: boto3 has read it
            return
        for name in shape.required_members:
            if name not in value:
                yield f"{path}{name}", "is required and absent"
        for name, member in shape.members.items():
            if name in value:
                yield from faults(value[name], member, f"{path}{name}." if member.type_name == "structure"
                                  else f"{path}{name}")
    elif shape.type_name == "list":
        for one in value:
            yield from faults(one, shape.member, f"{path}[]." if shape.member.type_name == "structure"
                              else f"{path}[]")
    elif shape.type_name == "string" and isinstance(value, str) and shape.enum and value not in shape.enum:
        yield path, f"{value!r} is none of the enumeration"


# --- The server -------------------------------------------------------------------------------------------------------


class Server:
    """`runner sim`, on a port that the system chose."""

    def __init__(self, *options: str) -> None:
        command = [os.environ["RUNNER_BIN"], "sim", "--listen", "127.0.0.1:0", "--speed", "max",
                   "--seed", os.environ.get("RUNNER_SEED", "1"), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        atexit.register(self.stop)  # also if a test run is interrupted
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url.startswith("http://127.0.0.1:"):
            raise RuntimeError(f"the server did not say where it listens, but {self.url!r}")

    def stop(self) -> None:
        atexit.unregister(self.stop)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def advance(self, seconds: int) -> dict:
        request = urllib.request.Request(f"{self.url}/_runner/advance?seconds={seconds}", method="POST")
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)

    def world(self) -> dict:
        with urllib.request.urlopen(f"{self.url}/_runner/world", timeout=10) as reply:
            return json.load(reply)

    def client(self, service: str, account: str = ACCOUNT, region: str = REGION) -> BaseClient:
        client = SESSION.client(service, region_name=region, endpoint_url=self.url, aws_access_key_id=account,
                                aws_secret_access_key="secret", config=CONFIG)
        client.meta.events.register("after-call", note)
        return client


# --- Test cases -------------------------------------------------------------------------------------------------------


def code_of(error: ClientError) -> str:
    return error.response["Error"]["Code"]


def is_absent(error: ClientError) -> bool:
    """Whether the error says that something is not there, in the words of any service."""
    code = code_of(error)
    return "NotFound" in code or code.startswith("NoSuch")


def tag_list(**tags: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tags_of(shown: dict | list) -> dict[str, str]:
    """The tags of something that is shown, or of a list of tags."""
    tags = shown.get("Tags", shown.get("TagSet", [])) if isinstance(shown, dict) else shown
    return {tag["Key"]: tag["Value"] for tag in tags}


def named(kind: str, **tags: str) -> list[dict]:
    """EC2's `TagSpecifications` for a new resource."""
    return [{"ResourceType": kind, "Tags": tag_list(**tags)}]


class Case(unittest.TestCase):
    """A test class with a simulated AWS of its own."""

    server: Server
    maxDiff = 4000

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server()
        cls.addClassCleanup(cls.server.stop)

    @classmethod
    def client(cls, service: str, **scope: str) -> Any:
        """A client, made once per class and scope."""
        known = cls.__dict__.get("_clients")
        if known is None:
            known = cls._clients = {}
        key = (service, *sorted(scope.items()))
        if key not in known:
            known[key] = cls.server.client(service, **scope)
        return known[key]

    @classmethod
    def advance(cls, seconds: int) -> None:
        cls.server.advance(seconds)

    @classmethod
    def settle(cls) -> None:
        """Lets all readers catch up: what was made is found, what was deleted is gone. Two seconds are enough."""
        cls.server.advance(2)

    @classmethod
    def now(cls) -> datetime.datetime:
        """The time of the simulated AWS."""
        return datetime.datetime.fromisoformat(cls.server.world()["time"])

    @staticmethod
    def eventually(call: Callable[..., Any], *args: Any, **params: Any) -> Any:
        """The result of a call that may not find for a moment what was just made.

        EC2's "Eventual consistency in the Amazon EC2 API" says so of its own, IAM's "Changes that I make are not always
        immediately visible" of IAM. Time moves with each request, so there is nothing to sleep for.
        """
        for _ in range(50):
            try:
                return call(*args, **params)
            except ClientError as error:
                if not is_absent(error):
                    raise
        return call(*args, **params)

    def until(self, look: Callable[[], Any], what: str = "", attempts: int = 300) -> Any:
        """What `look` returns once it is true."""
        for _ in range(attempts):
            if found := look():
                return found
        self.fail(f"never came: {what or look}")

    def wait(self, client: BaseClient, waiter: str, attempts: int = 120, **params: Any) -> None:
        """One of boto3's own waiters; it need not sleep."""
        client.get_waiter(waiter).wait(WaiterConfig={"Delay": 0, "MaxAttempts": attempts}, **params)

    @contextlib.contextmanager
    def waiting_fails(self) -> Iterator[Any]:
        """The waiter inside gives up; `exception.last_response` of what is yielded is what it saw last."""
        with self.assertRaises(WaiterError) as caught:
            yield caught

    @contextlib.contextmanager
    def refused(self, *codes: str, status: int | None = None, says: str = "") -> Iterator[None]:
        """The call inside is refused with one of these codes, and in a form that boto3 can read."""
        with self.assertRaises(ClientError) as caught:
            yield
        response = caught.exception.response
        error, http = response["Error"], response["ResponseMetadata"]["HTTPStatusCode"]
        self.assertIn(error["Code"], codes, error.get("Message"))
        self.assertTrue(error.get("Message"), "an error says why")
        if status is not None:
            self.assertEqual(http, status, error)
        else:
            self.assertGreaterEqual(http, 400)
        self.assertIn(says.lower(), error["Message"].lower())

    @contextlib.contextmanager
    def not_modelled(self, *codes: str) -> Iterator[None]:
        """By design: what the simulator does not model is refused by name."""
        with self.refused(*codes, says="the simulator does not model"):
            yield

    def pages(self, client: BaseClient, operation: str, member: str, size: int | None = None,
              **params: Any) -> list[list]:
        """All pages of an operation, by boto3's paginator; the page size is kept to."""
        config = {"PageSize": size} if size else {}
        paginator = client.get_paginator(operation)
        pages = [page.get(member, []) for page in paginator.paginate(PaginationConfig=config, **params)]
        if size:
            self.assertTrue(all(len(page) <= size for page in pages), [len(page) for page in pages])
            self.assertTrue(all(pages[:-1]), "no page but the last is empty")
        return pages

    def paged(self, client: BaseClient, operation: str, member: str, size: int, key: Callable[[Any], Any],
              **params: Any) -> list:
        """The rows of small pages: more than one page, no row twice, and the same rows as in one reply."""
        pages = self.pages(client, operation, member, size, **params)
        rows = [row for page in pages for row in page]
        self.assertGreater(len(pages), 1, "there is more than one page")
        keys = [key(row) for row in rows]
        self.assertEqual(len(keys), len(set(keys)), "no row is shown twice")
        whole = [row for page in self.pages(client, operation, member, **params) for row in page]
        self.assertEqual(sorted(keys), sorted(map(key, whole)))
        return rows

    def has(self, shown: dict, *paths: str) -> None:
        """The reply has these members, and they are not empty text."""
        missing = [path for path in paths if within(shown, path) in (None, "")]
        self.assertFalse(missing, f"there are {sorted(shown)}")


def within(shown: Any, path: str) -> Any:
    """The member at a dotted path, or None."""
    for part in path.split("."):
        shown = shown.get(part) if isinstance(shown, dict) else None
    return shown


# --- What several kinds of resources stand on -------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """A VPC with a subnet in each of some zones, a way out of it, and a security group."""

    vpc: str
    subnets: list[str]
    gateway: str
    group: str


def network(case: Any, zones: int = 2, cidr: str = "10.0.0.0/16", name: str = "shop") -> Network:
    """Makes one, public and settled. `case` is a test class or a test."""
    ec2 = case.client("ec2")
    vpc = ec2.create_vpc(CidrBlock=cidr, TagSpecifications=named("vpc", Name=name))["Vpc"]["VpcId"]
    case.settle()
    names = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]][:zones]
    prefix = ".".join(cidr.split(".")[:2])
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"{prefix}.{at}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for at, zone in enumerate(names)
    ]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    group = ec2.create_security_group(GroupName=f"{name}-web", Description="web", VpcId=vpc)["GroupId"]
    case.settle()
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    return Network(vpc, subnets, gateway, group)
