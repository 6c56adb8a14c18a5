"""Proves that compare_wire.py passes what is alike but for AWS's own choices, and finds what is not.

The simulated AWS of most tests is a script of replies. With RUNNER_BIN, a binary with the simulator, some tests also
record that and hold the recording against itself. Run with

    python -m unittest discover tests/judges
"""
import base64
import contextlib
import datetime
import io
import json
import os
import pathlib
import re
import tempfile
import unittest
import urllib.parse
from unittest import mock

import compare_wire
from compare_wire import Answer, Exemption, Models, Replay, Report
from test_botocore_judge import exchange

MODELS = Models()
BEGIN = 1_800_000_000
VPC, OTHER_VPC = "vpc-0aaaaaaaaaaaaaaa1", "vpc-0aaaaaaaaaaaaaaa2"  # as recorded
HERE, OTHER_HERE = "vpc-0bbbbbbbbbbbbbbb1", "vpc-0bbbbbbbbbbbbbbb2"  # as simulated
LB = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/"
TARGETS = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/"
LB_THERE, LB_HERE = LB + "aaaaaaaaaaaaaaaa", LB + "bbbbbbbbbbbbbbbb"
DNS_THERE, DNS_HERE = "web-1.us-east-1.elb.amazonaws.com", "web-22.us-east-1.elb.amazonaws.com"
UUID_THERE, UUID_HERE = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000001"


# --- Replies ----------------------------------------------------------------------------------------------------------


def ec2(action: str, body: str) -> str:
    return (f'<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId>{body}'
            f"</{action}Response>")


def query(action: str, body: str) -> str:
    return (f"<{action}Response><{action}Result>{body}</{action}Result><ResponseMetadata><RequestId>r</RequestId>"
            f"</ResponseMetadata></{action}Response>")


def rest(action: str, body: str) -> str:
    return f'<{action}Response xmlns="https://route53.amazonaws.com/doc/2013-04-01/">{body}</{action}Response>'


def ec2_error(code: str, message: str = "no") -> Answer:
    return Answer(400, {}, f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
                           "<RequestID>r</RequestID></Response>")


def error(code: str, status: int = 400, message: str = "no") -> Answer:
    return Answer(status, {}, f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code>"
                              f"<Message>{message}</Message></Error><RequestId>r</RequestId></ErrorResponse>")


def vpc(identifier: str, state: str = "available", cidr: str = "10.0.0.0/16", name: str = "", more: str = "") -> str:
    tags = f"<tagSet><item><key>Name</key><value>{name}</value></item></tagSet>" if name else ""
    return (f"<vpcId>{identifier}</vpcId><state>{state}</state><cidrBlock>{cidr}</cidrBlock>"
            f"<isDefault>false</isDefault>{tags}{more}")


def created(identifier: str, **members: str) -> str:
    return ec2("CreateVpc", f"<vpc>{vpc(identifier, **members)}</vpc>")


def listed(*vpcs: str, token: str = "") -> str:
    token = f"<nextToken>{token}</nextToken>" if token else ""
    return ec2("DescribeVpcs", f"<vpcSet>{''.join(f'<item>{one}</item>' for one in vpcs)}</vpcSet>{token}")


def balancer(arn: str, name: str, state: str = "active") -> str:
    return (f"<LoadBalancers><member><LoadBalancerArn>{arn}</LoadBalancerArn><DNSName>{name}</DNSName>"
            f"<LoadBalancerName>web</LoadBalancerName><State><Code>{state}</Code></State></member></LoadBalancers>")


def zone(identifier: str) -> str:
    return (f"<HostedZone><Id>/hostedzone/{identifier}</Id><Name>example.com.</Name>"
            f"<CallerReference>c</CallerReference><Config><PrivateZone>false</PrivateZone></Config></HostedZone>")


def zone_created(identifier: str, status: int = 201) -> Answer:
    location = {"location": f"https://x/hostedzone/{identifier}"}
    return Answer(status, location, rest("CreateHostedZone", zone(identifier)))


def role(action: str, name: str) -> str:
    return query(action, f"<Role><RoleName>{name}</RoleName></Role>")


def changed(identifier: str) -> str:
    return rest("ChangeResourceRecordSets", f"<ChangeInfo><Id>/change/{identifier}</Id><Status>PENDING</Status>"
                                            "<SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo>")


# --- Recordings -------------------------------------------------------------------------------------------------------


def made(service: str, action: str, params: dict, reply: str | Answer | None, at: float = 0) -> dict:
    """A line of a recording."""
    record = exchange(service, action, params, validate=False)
    moment = datetime.datetime.fromtimestamp(BEGIN + at, datetime.UTC)
    record |= {"at": moment.isoformat().replace("+00:00", "Z")}
    if reply is None:
        return {key: value for key, value in record.items() if key not in ("status", "response", "response_headers")}
    answer = reply if isinstance(reply, Answer) else Answer(200, {}, reply)
    return record | {"status": answer.status, "response": answer.body, "response_headers": answer.headers}


def create_vpc(**members: str) -> dict:
    return made("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/16"}, created(VPC, **members))


def describe_vpc(*rows: str, at: float = 1) -> dict:
    return made("ec2", "DescribeVpcs", {"VpcIds": [VPC]}, listed(*rows), at)


class Script:
    """A simulated AWS that gives the replies it was told to, by action; the last of them again and again."""

    def __init__(self, replies: dict[str, list[str | Answer]]) -> None:
        self.replies = {action: list(answers) for action, answers in replies.items()}
        self.sent: list[tuple[str, str, str]] = []  # action, target and body
        self.waited = 0
        self.passed: list[float] = []

    def send(self, method: str, target: str, headers: dict[str, str], body: str) -> Answer:
        assert re.search(r"Credential=\d{12}/\d{8}/[a-z0-9-]+/[a-z0-9]+/aws4_request", headers["authorization"])
        action = headers.get("x-amz-target", "").rpartition(".")[2] or dict(urllib.parse.parse_qsl(body)).get("Action")
        action = action or f"{method} {target.partition('?')[0].rstrip('/')}"
        self.sent.append((action, target, urllib.parse.unquote_plus(body) if "Action=" in body else body))
        answers = self.replies.get(action) or self.replies.get(method) or [Answer(500, {}, "not in the script")]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, Answer) else Answer(200, {}, answer)

    def pass_until(self, seconds: float) -> None:
        self.passed.append(seconds)

    def wait(self, seconds: int) -> None:
        self.waited += seconds


class Case(unittest.TestCase):
    def replay(self, lines: list[dict], replies: dict[str, list[str | Answer]], allow: tuple[str, ...] = (),
               patience: int = 600) -> Report:
        """Compares a recording with a script. The script stays in `self.aws`."""
        self.aws = Script(replies)
        report = Report({(line.split()[0], line.split()[1]): Exemption("allow:1") for line in allow})
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "wire"
            path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
            recording = compare_wire.read(path, MODELS)
        Replay(recording, self.aws, report, patience, MODELS).run()
        return report

    def check(self, lines: list[dict], replies: dict[str, list[str | Answer]], *expected: tuple[str, str],
              **options: object) -> Report:
        """What differs, as paths and classes, is what was expected."""
        report = self.replay(lines, replies, **options)
        found = {(finding.path, finding.kind) for finding in report.found.values()}
        self.assertEqual(found, set(expected), [finding.detail for finding in report.found.values()])
        return report

    def counts(self, report: Report) -> tuple[int, int, int]:
        tallies = report.tallies.values()
        return (sum(one.recorded for one in tallies), sum(one.compared for one in tallies),
                sum(one.equal for one in tallies))

    def sent(self, action: str) -> str:
        return next(f"{target} {body}" for sent, target, body in self.aws.sent if sent == action)


# --- What AWS chooses -------------------------------------------------------------------------------------------------


class Ids(Case):
    def test_other_ids_are_no_difference_and_later_requests_have_them(self) -> None:
        report = self.check([create_vpc(), describe_vpc(vpc(VPC))],
                            {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE))]})
        self.assertEqual(self.counts(report), (2, 2, 2))
        self.assertIn(f"VpcId.1={HERE}", self.sent("DescribeVpcs"))

    def test_an_id_that_stands_for_two(self) -> None:
        twice = [create_vpc(), made("ec2", "CreateVpc", {"CidrBlock": "10.1.0.0/16"}, created(OTHER_VPC))]
        self.check(twice, {"CreateVpc": [created(HERE), created(HERE)]}, ("reply.Vpc.VpcId", "identity"))
        again = [create_vpc(), create_vpc()]
        self.check(again, {"CreateVpc": [created(HERE), created(OTHER_HERE)]}, ("reply.Vpc.VpcId", "identity"))
        self.check([create_vpc(), describe_vpc(vpc(VPC, more=f"<ownerId>{VPC}</ownerId>"))],
                   {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE, more="<ownerId>x</ownerId>"))]},
                   ("reply.Vpcs[].OwnerId", "value"))

    def test_another_kind_of_id(self) -> None:
        self.check([create_vpc()], {"CreateVpc": [created("subnet-0bbbbbbbbbbbbbbb1")]}, ("reply.Vpc.VpcId", "value"))

    def test_an_id_that_is_used_before_it_is_known(self) -> None:
        report = self.check([describe_vpc(vpc(VPC), at=0), create_vpc()],
                            {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE))]},
                            ("request", "unknown-id"))
        self.assertNotIn("DescribeVpcs", [action for action, _, _ in self.aws.sent])
        self.assertEqual(self.counts(report), (2, 1, 1))

    def test_what_follows_from_a_difference_is_counted(self) -> None:
        report = self.check([create_vpc(), describe_vpc(vpc(VPC))], {"CreateVpc": [ec2_error("VpcLimitExceeded")]},
                            ("status", "status"))
        self.assertEqual(list(report.skipped), [("ec2:DescribeVpcs", compare_wire.LOST)])

    def test_in_arns_and_lists_in_a_text(self) -> None:
        targets = [TARGETS + letter * 16 for letter in "ab"]
        group = {"AutoScalingGroupName": "web", "MinSize": 1, "MaxSize": 1, "TargetGroupARNs": [targets[0]],
                 "VPCZoneIdentifier": "subnet-0aaaaaaaaaaaaaaa1,subnet-0aaaaaaaaaaaaaaa2"}
        subnets = [ec2("CreateSubnet", f"<subnet><subnetId>subnet-0{letter * 15}{at}</subnetId></subnet>")
                   for letter in "ab" for at in (1, 2)]
        target_groups = [query("CreateTargetGroup", "<TargetGroups><member><TargetGroupArn>" + arn + "</TargetGroupArn>"
                               "</member></TargetGroups>") for arn in targets]
        empty = query("CreateAutoScalingGroup", "")
        self.check([made("ec2", "CreateSubnet", {"VpcId": "v", "CidrBlock": "10.0.0.0/24"}, subnets[0]),
                    made("ec2", "CreateSubnet", {"VpcId": "v", "CidrBlock": "10.0.1.0/24"}, subnets[1]),
                    made("elasticloadbalancing", "CreateTargetGroup", {"Name": "web"}, target_groups[0]),
                    made("autoscaling", "CreateAutoScalingGroup", group, empty)],
                   {"CreateSubnet": subnets[2:], "CreateTargetGroup": [target_groups[1]],
                    "CreateAutoScalingGroup": [empty]})
        sent = self.sent("CreateAutoScalingGroup")
        self.assertIn(targets[1], sent)
        self.assertIn("subnet-0bbbbbbbbbbbbbbb1,subnet-0bbbbbbbbbbbbbbb2", sent)

    def test_in_json(self) -> None:
        reply = [json.dumps({"CertificateArn": CERTIFICATE + uuid}) for uuid in (UUID_THERE, UUID_HERE)]
        tags = json.dumps({"Tags": []})
        self.check([made("acm", "RequestCertificate", {"DomainName": "example.com"}, reply[0]),
                    made("acm", "ListTagsForCertificate", {"CertificateArn": CERTIFICATE + UUID_THERE}, tags)],
                   {"RequestCertificate": [reply[1]], "ListTagsForCertificate": [tags]})
        self.assertIn(CERTIFICATE + UUID_HERE, self.sent("ListTagsForCertificate"))

    def test_in_paths_and_xml(self) -> None:
        alias = {"Name": "a.example.com", "Type": "A", "AliasTarget": {
            "HostedZoneId": "Z2", "DNSName": f"dualstack.{DNS_THERE}", "EvaluateTargetHealth": True}}
        self.check([made("elasticloadbalancing", "CreateLoadBalancer", {"Name": "web"},
                         query("CreateLoadBalancer", balancer(LB_THERE, DNS_THERE))),
                    made("route53", "CreateHostedZone", {"Name": "example.com", "CallerReference": "c"},
                         zone_created("Z0AAAAAAAA")),
                    made("route53", "ChangeResourceRecordSets", {"HostedZoneId": "Z0AAAAAAAA", "ChangeBatch": {
                        "Changes": [{"Action": "CREATE", "ResourceRecordSet": alias}]}}, changed("C0AAAAAAAA"))],
                   {"CreateLoadBalancer": [query("CreateLoadBalancer", balancer(LB_HERE, DNS_HERE))],
                    "POST /2013-04-01/hostedzone": [zone_created("Z0BBBBBBBB")],
                    "POST /2013-04-01/hostedzone/Z0BBBBBBBB/rrset": [changed("C0BBBBBBBB")]})
        self.assertIn(f"<DNSName>dualstack.{DNS_HERE}</DNSName>", self.aws.sent[-1][2])

    def test_what_the_client_made_up_is_to_come_back(self) -> None:
        params = {"SubnetId": "s", "ClientToken": UUID_THERE}
        reply = [ec2("CreateNatGateway", f"<clientToken>{token}</clientToken>") for token in (UUID_THERE, UUID_HERE)]
        self.check([made("ec2", "CreateNatGateway", params, reply[0])], {"CreateNatGateway": [reply[0]]})
        self.check([made("ec2", "CreateNatGateway", params, reply[0])], {"CreateNatGateway": [reply[1]]},
                   ("reply.ClientToken", "value"))

    def test_addresses_and_times_differ(self) -> None:
        reply = [ec2("AllocateAddress", f"<publicIp>{address}</publicIp><allocationId>eipalloc-0{letter * 16}"
                                        "</allocationId><domain>vpc</domain>")
                 for address, letter in (("192.0.2.1", "a"), ("198.51.100.9", "b"))]
        self.check([made("ec2", "AllocateAddress", {}, reply[0])], {"AllocateAddress": [reply[1]]})
        roles = [query("CreateRole", f"<Role><RoleName>web</RoleName><CreateDate>{day}T00:00:00Z</CreateDate></Role>")
                 for day in ("2030-01-01", "2026-01-01")]
        self.check([made("iam", "CreateRole", {"RoleName": "web"}, roles[0])], {"CreateRole": [roles[1]]})
        self.check([made("iam", "CreateRole", {"RoleName": "web"}, roles[0])],
                   {"CreateRole": [roles[1].replace("CreateDate", "Gone")]}, ("reply.Role.CreateDate", "missing"))


# --- Differences ------------------------------------------------------------------------------------------------------


class Replies(Case):
    def created(self, reply: str | Answer, *expected: tuple[str, str]) -> Report:
        return self.check([create_vpc(name="web")], {"CreateVpc": [reply]}, *expected)

    def test_values(self) -> None:
        self.created(created(HERE, name="web"))
        self.created(created(HERE, name="web", cidr="10.1.0.0/16"), ("reply.Vpc.CidrBlock", "value"))
        self.created(created(HERE, name="web").replace("false", "true"), ("reply.Vpc.IsDefault", "value"))
        self.created(created(HERE, name="web", state="pending"), ("reply.Vpc.State", "value"))

    def test_members(self) -> None:
        self.created(created(HERE, name="web").replace("<isDefault>false</isDefault>", ""),
                     ("reply.Vpc.IsDefault", "missing"))
        self.created(created(HERE), ("reply.Vpc.Tags", "missing"))
        self.created(created(HERE, name="web", more="<ownerId>1</ownerId>"), ("reply.Vpc.OwnerId", "only-here"))
        self.created(ec2("CreateVpc", ""), ("reply.Vpc", "missing"))

    def test_status_and_code(self) -> None:
        report = self.created(ec2_error("VpcLimitExceeded", "too many"), ("status", "status"))
        self.assertIn("200 in the recording, 400 VpcLimitExceeded here: too many", str(report.found))
        failed = made("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/8"}, ec2_error("InvalidVpc.Range"))
        self.check([failed], {"CreateVpc": [ec2_error("InvalidVpc.Range", "in other words")]})
        self.check([failed], {"CreateVpc": [ec2_error("InvalidParameterValue")]}, ("error", "code"))
        self.check([failed], {"CreateVpc": [created(HERE)]}, ("status", "status"))
        self.check([failed], {"CreateVpc": [Answer(403, {}, ec2_error("InvalidVpc.Range").body)]}, ("status", "status"))
        self.check([failed], {"CreateVpc": [Answer(0, {}, "")]}, ("status", "status"), ("error", "code"))
        line = made("route53", "CreateHostedZone", {"Name": "example.com", "CallerReference": "c"},
                    zone_created("Z0AAAAAAAA"))
        self.check([line], {"POST": [zone_created("Z0BBBBBBBB", status=200)]}, ("status", "status"))

    def test_what_is_not_modelled_is_a_difference(self) -> None:
        refused = Answer(400, {"x-runner-unanswered": "true"}, ec2_error("InvalidAction", "not modelled").body)
        self.created(refused, ("status", "not-modelled"))

    def test_documents(self) -> None:
        def reply(document: str) -> str:
            return query("GetRolePolicy", "<RoleName>web</RoleName><PolicyName>p</PolicyName>"
                                          f"<PolicyDocument>{urllib.parse.quote(document)}</PolicyDocument>")

        new = role("CreateRole", "web")
        lines = [made("iam", "CreateRole", {"RoleName": "web"}, new),
                 made("iam", "GetRolePolicy", {"RoleName": "web", "PolicyName": "p"}, reply('{"a": [1], "b": 2}'))]
        self.check(lines, {"CreateRole": [new], "GetRolePolicy": [reply('{"b":2,"a":[1]}')]})
        self.check(lines, {"CreateRole": [new], "GetRolePolicy": [reply('{"b":3,"a":[1]}')]},
                   ("reply.PolicyDocument", "value"))

    def test_secrets(self) -> None:
        reply = ec2("CreateLaunchTemplateVersion", "<launchTemplateVersion><launchTemplateData><userData>{}</userData>"
                                                   "</launchTemplateData></launchTemplateVersion>")
        params = {"LaunchTemplateName": "web", "LaunchTemplateData": {"UserData": "(secret)"}}
        self.check([made("ec2", "CreateLaunchTemplateVersion", params, reply.format("(secret)"))],
                   {"CreateLaunchTemplateVersion": [reply.format("c2VjcmV0")]})
        data = re.search(r"UserData=(\S+)", self.sent("CreateLaunchTemplateVersion"))
        self.assertTrue(data and base64.b64decode(data[1], validate=True))
        reply = json.dumps({"CertificateArn": "a"})
        line = made("acm", "ImportCertificate", {"Certificate": b"c", "PrivateKey": b"k"}, reply)
        line["request"] = json.dumps({"Certificate": "Yw==", "PrivateKey": "(secret)"})
        report = self.check([line], {})
        self.assertEqual((len(report.skipped), self.aws.sent), (1, []))


class Lists(Case):
    BOTH = {"CreateVpc": [created(HERE, name="a"), created(OTHER_HERE, name="b")]}

    def lists(self, there: list[str], here: list[str], *expected: tuple[str, str], patience: int = 600) -> Report:
        other = made("ec2", "CreateVpc", {"CidrBlock": "10.1.0.0/16"}, created(OTHER_VPC, name="b"))
        lines = [create_vpc(name="a"), other, made("ec2", "DescribeVpcs", {}, listed(*there), 60)]
        return self.check(lines, self.BOTH | {"DescribeVpcs": [listed(*here)]}, *expected, patience=patience)

    def test_order_does_not_count(self) -> None:
        self.lists([vpc(VPC), vpc(OTHER_VPC, cidr="10.1.0.0/16")], [vpc(OTHER_HERE, cidr="10.1.0.0/16"), vpc(HERE)])

    def test_rows_are_known_by_their_ids(self) -> None:
        report = self.lists([vpc(VPC, cidr="10.2.0.0/16"), vpc(OTHER_VPC, cidr="10.3.0.0/16")],
                            [vpc(HERE, cidr="10.3.0.0/16"), vpc(OTHER_HERE, cidr="10.2.0.0/16")],
                            ("reply.Vpcs[].CidrBlock", "value"))
        self.assertEqual(next(iter(report.found.values())).count, 2)

    def test_rows_that_only_one_side_has(self) -> None:
        self.lists([vpc(VPC), vpc(OTHER_VPC)], [vpc(HERE)], ("reply.Vpcs[]", "missing"))
        self.lists([vpc(VPC)], [vpc(HERE), vpc(OTHER_HERE)], ("reply.Vpcs[]", "only-here"))

    def test_new_rows_are_known_by_their_names(self) -> None:
        def groups(letter: str, *names: str) -> str:
            rows = "".join(f"<item><groupId>sg-0{letter * 15}{names.index(name)}</groupId><groupName>{name}</groupName>"
                           f"<vpcId>{VPC if letter == 'a' else HERE}</vpcId></item>" for name in names)
            return ec2("DescribeSecurityGroups", f"<securityGroupInfo>{rows}</securityGroupInfo>")

        params = {"Filters": [{"Name": "vpc-id", "Values": [VPC]}]}
        deleted = ec2("DeleteSecurityGroup", "")
        lines = [create_vpc(), made("ec2", "DescribeSecurityGroups", params, groups("a", "x", "y"), 60),
                 made("ec2", "DeleteSecurityGroup", {"GroupId": "sg-0aaaaaaaaaaaaaaa0"}, deleted)]
        replies = {"CreateVpc": [created(HERE)], "DescribeSecurityGroups": [groups("b", "y", "x")],
                   "DeleteSecurityGroup": [deleted]}
        self.check(lines, replies)
        self.assertIn("GroupId=sg-0bbbbbbbbbbbbbbb1", self.sent("DeleteSecurityGroup"))
        self.check(lines[:2], replies | {"DescribeSecurityGroups": [groups("b", "y", "z")]},
                   ("reply.SecurityGroups[]", "missing"), ("reply.SecurityGroups[]", "only-here"))

    def test_lists_of_scalars(self) -> None:
        def reply(*names: str) -> str:
            return query("ListRolePolicies", "<PolicyNames>" + "".join(f"<member>{name}</member>" for name in names)
                         + "</PolicyNames><IsTruncated>false</IsTruncated>")

        new = role("CreateRole", "web")
        lines = [made("iam", "CreateRole", {"RoleName": "web"}, new),
                 made("iam", "ListRolePolicies", {"RoleName": "web"}, reply("a", "b"), 60)]
        self.check(lines, {"CreateRole": [new], "ListRolePolicies": [reply("b", "a")]})
        self.check(lines, {"CreateRole": [new], "ListRolePolicies": [reply("a", "c")]},
                   ("reply.PolicyNames[]", "missing"), ("reply.PolicyNames[]", "only-here"))

    def test_pages(self) -> None:
        first, second = listed(vpc(VPC), token="there=="), listed(vpc(OTHER_VPC))
        lines = [create_vpc(name="a"),
                 made("ec2", "CreateVpc", {"CidrBlock": "10.1.0.0/16"}, created(OTHER_VPC, name="b")),
                 made("ec2", "DescribeVpcs", {"MaxResults": 5}, first),
                 made("ec2", "DescribeVpcs", {"MaxResults": 5, "NextToken": "there=="}, second)]
        two = {"DescribeVpcs": [listed(vpc(OTHER_HERE), token="here=="), listed(vpc(HERE))]}
        report = self.check(lines, self.BOTH | two)
        self.assertIn("NextToken=here==", self.aws.sent[-1][2])
        self.assertEqual(self.counts(report), (4, 4, 4))
        self.check(lines, self.BOTH | {"DescribeVpcs": [listed(vpc(OTHER_HERE), vpc(HERE))]})
        self.check(lines, self.BOTH | {"DescribeVpcs": [listed(vpc(HERE))]}, ("reply.Vpcs[]", "missing"))


# --- What the recording did not make ----------------------------------------------------------------------------------


class Foreign(Case):
    def test_rows_of_others_are_not_compared(self) -> None:
        default = vpc("vpc-0ddddddddddddddd1", cidr="172.31.0.0/16")
        lines = [create_vpc(), made("ec2", "DescribeVpcs", {}, listed(default, vpc(VPC)))]
        report = self.check(lines, {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE))]})
        self.assertEqual(self.counts(report), (2, 2, 2))
        self.check(lines, {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE, cidr="10.9.0.0/16"))]},
                   ("reply.Vpcs[].CidrBlock", "value"))
        report = self.check([made("ec2", "DescribeVpcs", {}, listed(default))], {"DescribeVpcs": [listed()]})
        self.assertEqual(self.counts(report), (1, 0, 0))
        self.assertEqual(list(report.skipped), [("ec2:DescribeVpcs", compare_wire.FOREIGN)])

    def test_requests_about_others_are_not_sent(self) -> None:
        subnet = made("ec2", "CreateSubnet", {"VpcId": "vpc-0ddddddddddddddd1", "CidrBlock": "172.31.0.0/24"},
                      ec2("CreateSubnet", "<subnet><subnetId>subnet-0aaaaaaaaaaaaaaa1</subnetId></subnet>"))
        report = self.check([subnet], {})
        self.assertEqual((list(report.skipped), self.aws.sent), ([("ec2:CreateSubnet", compare_wire.FOREIGN)], []))

    def test_what_became_of_others_is_not_lost(self) -> None:
        default = vpc("vpc-0ddddddddddddddd1", cidr="172.31.0.0/16")
        theirs = made("ec2", "DescribeVpcs", {"VpcIds": ["vpc-0ddddddddddddddd1"]}, listed(default))
        for rows in ((default,), (default, vpc(VPC))):
            here = listed(*[vpc(HERE)] * (len(rows) - 1))
            report = self.check([create_vpc(), made("ec2", "DescribeVpcs", {}, listed(*rows)), theirs],
                                {"CreateVpc": [created(HERE)], "DescribeVpcs": [here]})
            self.assertNotIn(("ec2:DescribeVpcs", compare_wire.LOST), report.skipped)
            self.assertIn(theirs["action"], [operation.partition(":")[2] for operation, _ in report.skipped])

    def test_ids_of_others_that_are_alone_are_learnt(self) -> None:
        def parameter(image: str) -> str:
            return json.dumps({"Parameter": {"Name": "/a", "Type": "String", "Value": image, "Version": len(image)}})

        there, here, none = "ami-0aaaaaaaaaaaaaaaa", "ami-0bbbbbbb", ec2("DescribeImages", "<imagesSet/>")
        report = self.check([made("ssm", "GetParameter", {"Name": "/a"}, parameter(there)),
                             made("ec2", "DescribeImages", {"ImageIds": [there]}, none)],
                            {"GetParameter": [parameter(here)], "DescribeImages": [none]})
        self.assertIn(f"ImageId.1={here}", self.sent("DescribeImages"))
        self.assertEqual(list(report.skipped), [("ssm:GetParameter", compare_wire.FOREIGN)])

    def test_where_others_take_up_pages(self) -> None:
        replies = {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE))]}
        page = listed(vpc(VPC), vpc("vpc-0ddddddddddddddd1"), token="more")
        self.check([create_vpc(), made("ec2", "DescribeVpcs", {}, page)], replies)
        page = listed(vpc(VPC), token="more")
        self.check([create_vpc(), made("ec2", "DescribeVpcs", {}, page)], replies, ("reply.NextToken", "missing"))

    def test_what_others_named(self) -> None:
        line = made("iam", "GetRole", {"RoleName": "theirs"}, role("GetRole", "theirs"))
        report = self.check([line], {"GetRole": [error("NoSuchEntity", 404)]})
        self.assertEqual(self.counts(report), (1, 0, 0))
        line = made("iam", "CreateRole", {"RoleName": "theirs"}, error("EntityAlreadyExists", 409))
        report = self.check([line], {"CreateRole": [role("CreateRole", "theirs")]})
        self.assertEqual(self.counts(report), (1, 0, 0))

    def test_what_the_recording_named_is_its_own(self) -> None:
        new = role("CreateRole", "web")
        first = made("iam", "CreateRole", {"RoleName": "web"}, new)
        found = made("iam", "GetRole", {"RoleName": "web"}, role("GetRole", "web"), 60)
        self.check([first, found], {"CreateRole": [new], "GetRole": [error("NoSuchEntity", 404)]}, ("status", "status"))
        second = made("iam", "CreateRole", {"RoleName": "web"}, error("EntityAlreadyExists", 409))
        self.check([first, second], {"CreateRole": [new]}, ("status", "status"))

    def test_images_have_a_stand_in(self) -> None:
        reply = ec2("CreateLaunchTemplate", "<launchTemplate><launchTemplateId>lt-0{}</launchTemplateId>"
                                            "</launchTemplate>")
        params = {"LaunchTemplateName": "web", "LaunchTemplateData": {"ImageId": "ami-0aaaaaaaaaaaaaaaa"}}
        report = self.check([made("ec2", "CreateLaunchTemplate", params, reply.format("a" * 16))],
                            {"CreateLaunchTemplate": [reply.format("b" * 16)]})
        self.assertIn("ImageId=ami-healthy-1", self.sent("CreateLaunchTemplate"))
        self.assertTrue(any("stand-in" in note for note in report.notes))

    def test_public_zones_have_a_stand_in(self) -> None:
        end = "<IsTruncated>false</IsTruncated><MaxItems>100</MaxItems>"
        found = rest("ListHostedZones", f"<HostedZones>{zone('Z0AAAAAAAA')}</HostedZones>{end}")
        none = rest("ListHostedZones", f"<HostedZones/>{end}")
        change = {"HostedZoneId": "Z0AAAAAAAA", "ChangeBatch": {"Changes": [{"Action": "CREATE", "ResourceRecordSet": {
            "Name": "a.example.com", "Type": "TXT", "TTL": 60, "ResourceRecords": [{"Value": '"a"'}]}}]}}
        report = self.check([made("route53", "ListHostedZones", {}, found),
                             made("route53", "ChangeResourceRecordSets", change, changed("C0AAAAAAAA"))],
                            {"GET": [none],
                             "POST /2013-04-01/hostedzone": [zone_created("Z0BBBBBBBB")],
                             "POST /2013-04-01/hostedzone/Z0BBBBBBBB/rrset": [changed("C0BBBBBBBB")]})
        self.assertEqual(self.counts(report), (2, 1, 1))


# --- Time and attempts ------------------------------------------------------------------------------------------------


class Time(Case):
    def test_it_passes_as_in_the_recording(self) -> None:
        self.check([create_vpc(), describe_vpc(vpc(VPC), at=90.5)],
                   {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE))]})
        self.assertEqual(self.aws.passed, [0, 90.5])

    def test_what_is_not_found_yet_is_looked_for_again(self) -> None:
        self.check([create_vpc(), describe_vpc(vpc(VPC))],
                   {"CreateVpc": [created(HERE)],
                    "DescribeVpcs": [ec2_error("InvalidVpcID.NotFound"), listed(vpc(HERE))]})
        self.assertEqual(self.aws.waited, 2)
        self.check([create_vpc(), describe_vpc(vpc(VPC))],
                   {"CreateVpc": [created(HERE)], "DescribeVpcs": [ec2_error("InvalidVpcID.NotFound")]},
                   ("status", "status"))
        self.assertEqual(self.aws.waited, compare_wire.SOON)

    def test_a_state_may_take_longer(self) -> None:
        pending, available = listed(vpc(HERE, state="pending")), listed(vpc(HERE))
        lines = [create_vpc(state="pending"), describe_vpc(vpc(VPC))]
        replies = {"CreateVpc": [created(HERE, state="pending")], "DescribeVpcs": [pending] * 5 + [available]}
        self.check(lines, replies)
        self.check(lines, replies, ("reply.Vpcs[].State", "value"), patience=20)
        replies["DescribeVpcs"] = [pending]
        self.check(lines, replies, ("reply.Vpcs[].State", "value"))

    def test_a_change_may_have_to_wait_too(self) -> None:
        deleted = ec2("DeleteVpc", "<return>true</return>")
        lines = [create_vpc(), made("ec2", "DeleteVpc", {"VpcId": VPC}, deleted)]
        self.check(lines, {"CreateVpc": [created(HERE)], "DeleteVpc": [ec2_error("DependencyViolation"), deleted]})
        self.check(lines, {"CreateVpc": [created(HERE)], "DeleteVpc": [ec2_error("DependencyViolation")]},
                   ("status", "status"))
        self.check(lines, {"CreateVpc": [created(HERE)], "DeleteVpc": [ec2_error("InvalidParameterValue"), deleted]},
                   ("status", "status"))
        self.assertEqual(self.aws.waited, 0)

    def test_a_state_may_come_earlier(self) -> None:
        replies = {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE))]}
        pending, available = describe_vpc(vpc(VPC, state="pending")), describe_vpc(vpc(VPC), at=100)
        self.check([create_vpc(), pending, available], replies)
        self.check([create_vpc(), pending], replies, ("reply.Vpcs[].State", "value"))
        elsewhere = describe_vpc(vpc(VPC, state="failed"), at=100)
        self.check([create_vpc(), pending, elsewhere], replies, ("reply.Vpcs[].State", "value"))

    def test_what_is_ahead_is_not_waited_for(self) -> None:
        lines = [create_vpc(), describe_vpc(vpc(VPC, state="failed")), describe_vpc(vpc(VPC), at=100)]
        self.check(lines, {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE))]})
        self.assertEqual(self.aws.waited, 0)

    def test_the_same_is_not_waited_for_twice(self) -> None:
        lines = [create_vpc(), *[describe_vpc(vpc(VPC, more="<ownerId>1</ownerId>"), at=at) for at in (100, 200, 300)]]
        replies = {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE))]}
        report = self.check(lines, replies, ("reply.Vpcs[].OwnerId", "missing"))
        self.assertEqual((self.aws.waited, self.counts(report)), (compare_wire.SOON, (4, 4, 1)))
        lines = [create_vpc(), *[describe_vpc(vpc(VPC, state=state), at=100) for state in ("a", "b", "c")]]
        self.check(lines, replies, ("reply.Vpcs[].State", "value"))
        self.assertEqual(self.aws.waited, sum(compare_wire.STEPS[:9]) + 2 * compare_wire.SOON)

    def test_two_states_on_the_way(self) -> None:
        replies = {"CreateVpc": [created(HERE)],
                   "DescribeVpcs": [listed(vpc(HERE, state=state)) for state in ("initial", "pending", "available")]}
        lines = [create_vpc(), describe_vpc(vpc(VPC, state="pending")), describe_vpc(vpc(VPC), at=100)]
        self.check(lines, replies)
        replies["DescribeVpcs"] = [listed(vpc(HERE, state=state)) for state in ("initial", "available")]
        self.check(lines, replies, ("reply.Vpcs[].State", "value"))

    def test_members_may_come_earlier(self) -> None:
        replies = {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE, more="<ownerId>1</ownerId>"))]}
        lines = [create_vpc(), describe_vpc(vpc(VPC), at=100)]
        self.check(lines, replies, ("reply.Vpcs[].OwnerId", "only-here"))
        self.check([*lines, describe_vpc(vpc(VPC, more="<ownerId>1</ownerId>"), at=200)], replies)

    def test_what_stands_beside_a_state_goes_with_it(self) -> None:
        def health(state: str, reason: str = "") -> str:
            reason = f"<Reason>{reason}</Reason>" if reason else ""
            return query("DescribeTargetHealth", "<TargetHealthDescriptions><member><Target><Id>i-1</Id></Target>"
                         f"<TargetHealth><State>{state}</State>{reason}</TargetHealth></member>"
                         "</TargetHealthDescriptions>")

        def group(letter: str) -> str:
            return query("CreateTargetGroup", "<TargetGroups><member><TargetGroupArn>" + TARGETS + letter * 16 +
                         "</TargetGroupArn></member></TargetGroups>")

        def lines(*replies: str) -> list[dict]:
            params = {"TargetGroupArn": TARGETS + "a" * 16}
            return [made("elasticloadbalancing", "CreateTargetGroup", {"Name": "web"}, group("a")),
                    *[made("elasticloadbalancing", "DescribeTargetHealth", params, reply, 100 * at)
                      for at, reply in enumerate(replies, 1)]]

        replies = {"CreateTargetGroup": [group("b")], "DescribeTargetHealth": [health("healthy")]}
        self.check(lines(health("initial", "a"), health("healthy")), replies)
        path = "reply.TargetHealthDescriptions[].TargetHealth"
        self.check(lines(health("healthy", "a"), health("healthy")), replies, (f"{path}.Reason", "missing"))

    def test_rows_may_come_and_go_earlier(self) -> None:
        def lines(*replies: str) -> list[dict]:
            return [create_vpc(), *[made("ec2", "DescribeVpcs", {}, reply, 100 * at)
                                    for at, reply in enumerate(replies, 1)]]

        none, one = listed(), listed(vpc(VPC))
        replies = {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE))]}
        self.check(lines(none, one), replies)
        self.check(lines(none, none), replies, ("reply.Vpcs[]", "only-here"))
        gone = {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE)), listed()]}
        self.check(lines(one, one, none), gone)
        self.check(lines(one, one, one), gone, ("reply.Vpcs[]", "missing"))
        never = {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed()]}
        self.check(lines(one, none), never, ("reply.Vpcs[]", "missing"))

    def test_rows_that_are_too_new(self) -> None:
        replies = {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE))]}
        for at, expected in ((2, []), (60, [("reply.Vpcs[]", "only-here")])):
            self.check([create_vpc(), made("ec2", "DescribeVpcs", {"VpcIds": [VPC]}, listed(), at)], replies, *expected)

    def test_what_is_deleted_may_take_longer_to_go(self) -> None:
        deleted = ec2("DeleteVpc", "<return>true</return>")
        lines = [create_vpc(), made("ec2", "DeleteVpc", {"VpcId": VPC}, deleted, 50),
                 made("ec2", "DescribeVpcs", {"Filters": [{"Name": "vpc-id", "Values": [VPC]}]}, listed(), 100)]
        replies = {"CreateVpc": [created(HERE)], "DeleteVpc": [deleted],
                   "DescribeVpcs": [listed(vpc(HERE))] * 6 + [listed()]}
        self.check(lines, replies)
        self.check([lines[0], lines[2]], replies, ("reply.Vpcs[]", "only-here"))

    def test_other_values_do_not_come_later(self) -> None:
        lines = [create_vpc(), describe_vpc(vpc(VPC, cidr="10.1.0.0/16"), at=50), describe_vpc(vpc(VPC), at=100)]
        self.check(lines, {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE))]},
                   ("reply.Vpcs[].CidrBlock", "value"))

    def test_a_recorded_reader_that_was_behind(self) -> None:
        modified = ec2("ModifyVpcTenancy", "<returnValue>true</returnValue>")

        def lines(later: float) -> list[dict]:
            params = {"VpcId": VPC, "InstanceTenancy": "default"}
            return [create_vpc(), made("ec2", "ModifyVpcTenancy", params, modified, 100),
                    describe_vpc(vpc(VPC, cidr="10.1.0.0/16"), at=101), describe_vpc(vpc(VPC), at=101 + later)]

        replies = {"CreateVpc": [created(HERE)], "DescribeVpcs": [listed(vpc(HERE))], "ModifyVpcTenancy": [modified]}
        self.check(lines(2), replies)
        self.check(lines(60), replies, ("reply.Vpcs[].CidrBlock", "value"))

    def test_a_failure_that_says_nothing(self) -> None:
        for failure in (ec2_error("RequestLimitExceeded"), Answer(500, {}, "<html>"), Answer(503, {}, "")):
            report = self.check([made("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/16"}, failure), create_vpc()],
                                {"CreateVpc": [created(HERE)]})
            self.assertEqual((self.counts(report), len(self.aws.sent)), ((2, 1, 1), 1))

    def test_no_reply(self) -> None:
        lost = made("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/16"}, None)
        report = self.check([lost, create_vpc()], {"CreateVpc": [created(HERE)]})
        self.assertEqual((self.counts(report), len(self.aws.sent)), ((2, 1, 1), 1))
        report = self.check([lost], {"CreateVpc": [created(HERE)]})
        self.assertEqual((self.counts(report), len(self.aws.sent)), ((1, 0, 0), 1))

    def test_an_attempt_that_succeeds_earlier_is_made_once(self) -> None:
        def attempt(reply: str | Answer) -> dict:
            return made("ec2", "DeleteVpc", {"VpcId": VPC}, reply)

        deleted = ec2("DeleteVpc", "<return>true</return>")
        fails = attempt(ec2_error("DependencyViolation"))
        report = self.check([create_vpc(), fails, fails, attempt(deleted)],
                            {"CreateVpc": [created(HERE)], "DeleteVpc": [deleted, ec2_error("InvalidVpcID.NotFound")]})
        self.assertEqual((self.counts(report), len(self.aws.sent)), ((4, 2, 2), 2))
        self.check([create_vpc(), fails], {"CreateVpc": [created(HERE)], "DeleteVpc": [deleted]}, ("status", "status"))


# --- The program ------------------------------------------------------------------------------------------------------


class Program(Case):
    def test_exemptions(self) -> None:
        lines, replies = [create_vpc()], {"CreateVpc": [created(HERE, cidr="10.1.0.0/16", state="pending")]}
        self.check(lines, replies, ("reply.Vpc.State", "value"), allow=("ec2:CreateVpc reply.Vpc.CidrBlock",))
        self.check(lines, {"CreateVpc": [created(HERE)]}, ("reply.Vpc.State", "unused-exemption"),
                   allow=("ec2:CreateVpc reply.Vpc.State",))

    def test_the_file_of_exemptions(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "allow"
            path.write_text("# all\n\nec2:CreateVpc reply.Vpc.State # moto has no pending\n")
            self.assertEqual(list(compare_wire.read_exemptions(path)), [("ec2:CreateVpc", "reply.Vpc.State")])
            for wrong in ("ec2:CreateVpc reply.Vpc.State", "ec2:CreateVpc # why", "a b # why\na b # why"):
                path.write_text(wrong)
                with self.assertRaises(ValueError):
                    compare_wire.read_exemptions(path)

    def main(self, text: str, replies: dict[str, list[str | Answer]]) -> tuple[int, str]:
        class Simulator(Script):
            def __init__(self, *_: object) -> None:
                super().__init__(replies)

            def stop(self) -> None:
                pass

        out = io.StringIO()
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(compare_wire, "Simulator", Simulator):
            path = pathlib.Path(folder) / "wire"
            path.write_text(text)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
                return compare_wire.main(["--runner", "none", str(path)]), out.getvalue()

    def test_exit_codes(self) -> None:
        text = json.dumps(create_vpc())
        status, out = self.main(text, {"CreateVpc": [created(HERE)]})
        self.assertEqual((status, "ec2:CreateVpc" in out), (0, True))
        status, out = self.main(f"{text}\n{text.replace(VPC, OTHER_VPC)}", {"CreateVpc": [
            created(HERE, state="pending"), created(OTHER_HERE, state="pending")]})
        self.assertEqual(status, 1)
        self.assertIn("\nec2:CreateVpc reply.Vpc.State (value)\n    2 x, first at ", out)
        for nothing in ("", json.dumps(made("ec2", "CreateVpc", {}, ec2_error("RequestLimitExceeded"))), "torn", "[]",
                        json.dumps({"service": "ec2"})):
            self.assertEqual(self.main(nothing, {})[0], 2, nothing)

    def test_an_operation_that_no_model_has(self) -> None:
        line = create_vpc() | {"action": "MakeVpc"}
        report = self.check([line], {})
        self.assertEqual(len(report.skipped), 1)


@unittest.skipUnless(os.environ.get("RUNNER_BIN"), "RUNNER_BIN names no binary with the simulator")
class Itself(unittest.TestCase):
    """The simulator's own replies, held against another run of it."""

    lines: list[dict]

    @classmethod
    def setUpClass(cls) -> None:
        simulator = compare_wire.Simulator(pathlib.Path(os.environ["RUNNER_BIN"]), 1, "max")
        cls.lines = []

        def call(service: str, action: str, **params: object) -> str:
            record = exchange(service, action, params)
            url = urllib.parse.urlsplit(record["uri"])
            scope = f"123456789012/20260101/us-east-1/{service}/aws4_request"
            headers = {name.lower(): value for name, value in record["request_headers"].items()}
            headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
            target = url.path + (f"?{url.query}" if url.query else "")
            answer = simulator.send(record["method"], target, headers, record["request"])
            cls.lines.append(record | {"status": answer.status, "response": answer.body,
                                       "response_headers": answer.headers, "at": simulator.now().isoformat()})
            return answer.body

        try:
            vpc = re.search(r"vpc-\w+", call("ec2", "CreateVpc", CidrBlock="10.0.0.0/16"))[0]
            simulator.wait(5)
            subnet = re.search(r"subnet-\w+", call("ec2", "CreateSubnet", VpcId=vpc, CidrBlock="10.0.0.0/24"))[0]
            simulator.wait(5)
            call("ec2", "DescribeSubnets", SubnetIds=[subnet])
            call("ec2", "DescribeSecurityGroups", Filters=[{"Name": "vpc-id", "Values": [vpc]}])
            call("ec2", "DescribeVpcs")
            call("ec2", "CreateVpc", CidrBlock="10.0.0.0/8")
            arn = json.loads(call("acm", "RequestCertificate", DomainName="a.example.com", ValidationMethod="DNS"))
            simulator.wait(60)
            call("acm", "DescribeCertificate", **arn)
            zone = re.search(r"/hostedzone/(\w+)", call("route53", "CreateHostedZone", Name="example.com",
                                                        CallerReference="1"))[1]
            simulator.wait(60)
            call("route53", "ListResourceRecordSets", HostedZoneId=zone)
            call("iam", "CreateRole", RoleName="web", AssumeRolePolicyDocument=json.dumps({
                "Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
                                                       "Principal": {"Service": "ec2.amazonaws.com"}}}))
            simulator.wait(60)
            call("iam", "GetRole", RoleName="web")
        finally:
            simulator.stop()

    def compare(self, lines: list[dict], seed: int = 1) -> tuple[int, str]:
        out = io.StringIO()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "wire"
            path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
            with contextlib.redirect_stdout(out):
                status = compare_wire.main(["--runner", os.environ["RUNNER_BIN"], "--speed", "max", "--seed", str(seed),
                                            str(path)])
        return status, out.getvalue()

    def test_nothing_differs(self) -> None:
        for seed in (1, 2):
            status, out = self.compare(self.lines, seed)
            self.assertEqual(status, 0, out)
            recorded, compared, equal = map(int, re.search(r"^all +(\d+) +(\d+) +(\d+)$", out, re.MULTILINE).groups())
            self.assertEqual((recorded, compared, equal), (len(self.lines),) * 3, out)

    def test_each_reply_is_held_against_something(self) -> None:
        for at, line in enumerate(self.lines):
            errors = {"ec2": ec2_error("Other").body, "acm": json.dumps({"__type": "Other", "message": "no"})}
            failed = line | {"status": 400, "response": errors.get(line["service"], error("Other").body)}
            status, out = self.compare([*self.lines[:at], failed, *self.lines[at + 1:]])
            self.assertEqual((status, f"{line['service']}:{line['action']}" in out), (1, True), line["action"])


if __name__ == "__main__":
    unittest.main()
