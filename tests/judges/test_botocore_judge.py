"""Proves that botocore_judge.py passes what is right and finds what is not, each kind of finding in each protocol.

Right requests come from botocore's serializers, which share no code with the judge's decoder. Run with

    python -m unittest discover tests/judges
"""
import contextlib
import functools
import io
import json
import pathlib
import tempfile
import unittest
import urllib.parse

import botocore.session
from botocore.model import OperationModel, Shape
from botocore.serialize import create_serializer

import botocore_judge

SESSION = botocore.session.Session()
MODELS = {"elasticloadbalancing": "elbv2"}
SERVICES = ("ec2", "elasticloadbalancing", "autoscaling", "iam", "route53", "acm", "ssm", "sts")
JUDGE = botocore_judge.Judge(botocore_judge.Findings())
Pairs = set[tuple[str, str]]  # of a path and a class

GROUP_ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef"
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}, indent=2)
RECORD = {"Name": "a.example.com.", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
ALIAS = {"Name": "b.example.com.", "Type": "A", "SetIdentifier": "blue", "Weight": 10, "AliasTarget": {
    "HostedZoneId": "Z2FDTNDATAQYW2", "DNSName": "lb.example.com.", "EvaluateTargetHealth": True}}

RIGHT = [
    ("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/16", "TagSpecifications": [
        {"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": "a & b = ü"}, {"Key": "empty", "Value": ""}]}]}),
    ("ec2", "DescribeVpcs", {"VpcIds": ["vpc-1", "vpc-2"], "Filters": [{"Name": "state", "Values": ["a", "b"]}]}),
    ("ec2", "AuthorizeSecurityGroupIngress", {"GroupId": "sg-1", "IpPermissions": [
        {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "all"}],
         "UserIdGroupPairs": [{"GroupId": "sg-2"}]}, {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]}),
    ("ec2", "CreateLaunchTemplate", {"LaunchTemplateName": "web", "ClientToken": "t", "LaunchTemplateData": {
        "ImageId": "ami-1", "InstanceType": "t3.micro", "UserData": "IyEvYmluL3No", "EbsOptimized": False,
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "Encrypted": True}}],
        "IamInstanceProfile": {"Name": "web"}, "MetadataOptions": {"HttpTokens": "required"},
        "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": ["sg-1", "sg-2"], "AssociatePublicIpAddress": True}],
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]}}),
    ("ec2", "RunInstances", {"MinCount": 1, "MaxCount": 2, "ImageId": "ami-1", "SecurityGroupIds": ["sg-1"],
                             "InstanceMarketOptions": {"SpotOptions": {"ValidUntil": "2030-01-01T00:00:00Z"}}}),
    ("ec2", "ModifyVpcAttribute", {"VpcId": "vpc-1", "EnableDnsSupport": {"Value": True}}),
    ("autoscaling", "CreateAutoScalingGroup", {
        "AutoScalingGroupName": "web", "MinSize": 0, "MaxSize": 3, "VPCZoneIdentifier": "subnet-1,subnet-2",
        "TargetGroupARNs": [GROUP_ARN], "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "1"},
        "HealthCheckType": "ELB", "Tags": [{"Key": "a", "Value": "b", "PropagateAtLaunch": True}]}),
    ("autoscaling", "PutScalingPolicy", {
        "AutoScalingGroupName": "web", "PolicyName": "cpu", "TargetTrackingConfiguration": {
            "TargetValue": 50.5,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}}),
    ("autoscaling", "DescribeAutoScalingGroups", {"AutoScalingGroupNames": []}),
    ("elasticloadbalancing", "CreateListener", {
        "LoadBalancerArn": "arn:lb", "Protocol": "HTTPS", "Port": 443, "Certificates": [{"CertificateArn": "arn:c"}],
        "DefaultActions": [{"Type": "forward", "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": GROUP_ARN, "Weight": 90}, {"TargetGroupArn": "arn:b", "Weight": 10}],
            "TargetGroupStickinessConfig": {"Enabled": False}}}]}),
    ("elasticloadbalancing", "CreateListener", {
        "LoadBalancerArn": "arn:lb", "DefaultActions": [{"Type": "authenticate-oidc", "AuthenticateOidcConfig": {
            "Issuer": "i", "AuthorizationEndpoint": "a", "TokenEndpoint": "t", "UserInfoEndpoint": "u", "ClientId": "c",
            "AuthenticationRequestExtraParams": {"display": "page", "prompt": "login"}}}]}),
    ("elasticloadbalancing", "CreateTargetGroup", {
        "Name": "web", "Protocol": "HTTP", "Port": 80, "VpcId": "vpc-1", "TargetType": "instance",
        "HealthCheckPath": "/health", "HealthCheckIntervalSeconds": 5, "Matcher": {"HttpCode": "200-299"}}),
    ("iam", "CreateRole", {"RoleName": "web", "Path": "/a/", "AssumeRolePolicyDocument": TRUST,
                           "Tags": [{"Key": "kläger", "Value": "a/b c"}]}),
    ("iam", "PutRolePolicy", {"RoleName": "web", "PolicyName": "read", "PolicyDocument": TRUST}),
    ("route53", "ChangeResourceRecordSets", {"HostedZoneId": "Z1", "ChangeBatch": {"Comment": "<&>", "Changes": [
        {"Action": "UPSERT", "ResourceRecordSet": RECORD}, {"Action": "CREATE", "ResourceRecordSet": ALIAS}]}}),
    ("route53", "ListHostedZonesByName", {"DNSName": "example.com.", "MaxItems": "1"}),
    ("route53", "ListResourceRecordSets", {"HostedZoneId": "Z1", "StartRecordName": "a b", "StartRecordType": "A"}),
    ("route53", "CreateHostedZone", {"Name": "example.com", "CallerReference": "1"}),
    ("acm", "RequestCertificate", {"DomainName": "*.example.com", "ValidationMethod": "DNS", "IdempotencyToken": "abc",
                                   "SubjectAlternativeNames": ["example.com"], "Tags": [{"Key": "a", "Value": "ü"}]}),
    ("acm", "ListCertificates", {}),
    ("ssm", "GetParameter", {"Name": "/a/b", "WithDecryption": True}),
    ("ssm", "SendCommand", {"DocumentName": "AWS-RunShellScript", "InstanceIds": ["i-0123456789abcdef0"],
                            "Parameters": {"commands": ["true", "false"]}, "TimeoutSeconds": 60}),
    ("sts", "GetCallerIdentity", {}),
    ("sts", "AssumeRole", {"RoleArn": "arn:aws:iam::123456789012:role/web", "RoleSessionName": "me",
                           "DurationSeconds": 900}),
]

RIGHT_CHANGE = next((action, params) for _, action, params in RIGHT if action == "ChangeResourceRecordSets")

VPC = """<?xml version="1.0" encoding="UTF-8"?>
<CreateVpcResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><vpc><vpcId>vpc-1</vpcId>
<state>available</state><isDefault>false</isDefault><ipv6CidrBlockAssociationSet/>
<tagSet><item><key>a</key><value/></item></tagSet></vpc></CreateVpcResponse>"""
ROLE = """<CreateRoleResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><CreateRoleResult><Role><Path>/</Path>
<RoleName>web</RoleName><RoleId>AROA0123456789ABCDEF</RoleId><Arn>arn:aws:iam::123456789012:role/web</Arn>
<CreateDate>2026-01-01T00:00:00Z</CreateDate></Role></CreateRoleResult><ResponseMetadata><RequestId>1</RequestId>
</ResponseMetadata></CreateRoleResponse>"""
CHANGE = """<ChangeResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeInfo>
<Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>2026-01-01T00:00:00.123Z</SubmittedAt></ChangeInfo>
</ChangeResourceRecordSetsResponse>"""
PARAMETER = json.dumps({"Parameter": {"Name": "/a", "Type": "String", "Value": "v", "Version": 1,
                                      "LastModifiedDate": 1700000000.123}})
EC2_ERROR = """<Response><Errors><Error><Code>A.B</Code><Message>no</Message></Error></Errors><RequestID>1</RequestID>
</Response>"""
ERROR = """<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code><Message>no</Message></Error><RequestId>1</RequestId>
</ErrorResponse>"""


def exchange(service: str, action: str, params: dict, response: str = "", status: int = 200,
             validate: bool = True) -> dict:
    """An exchange with the request that botocore makes of the parameters."""
    operation = model(service, action)
    serializer = create_serializer(operation.metadata["protocol"], include_validation=validate)
    made = serializer.serialize_to_request(params, operation)
    body, query = made["body"], made["query_string"]
    body = urllib.parse.urlencode(body).encode() if isinstance(body, dict) else body
    return {
        "service": service, "action": action, "region": "us-east-1", "method": made["method"],
        "uri": f"https://{service}.us-east-1.amazonaws.com{made['url_path']}"
               + ("?" + urllib.parse.urlencode(query, doseq=True) if query else ""),
        "request_headers": dict(made["headers"]), "request": body.decode(),
        "status": status, "response_headers": {}, "response": response,
    }


@functools.cache
def model(service: str, action: str) -> OperationModel:
    return SESSION.get_service_model(MODELS.get(service, service)).operation_model(action)


def judged(record: dict) -> Pairs:
    JUDGE.findings = botocore_judge.Findings()
    JUDGE.judge(botocore_judge.Exchange.of(json.dumps(record)), "test:1")
    return {(finding.path, finding.kind) for finding in JUDGE.findings.found.values()}


def of_request(record: dict) -> Pairs:
    return {pair for pair in judged(record) if pair[0].startswith("request")}


def of_reply(record: dict) -> Pairs:
    return {pair for pair in judged(record) if pair[0].startswith("reply")}


def sample(shape: Shape, above: tuple[str, ...] = ()) -> object:
    """A value that has every member, as deep as the shape does not contain itself, and is as long as it has to be."""
    low = shape.metadata.get("min", 1)
    if shape.type_name == "structure":
        members = [(name, member) for name, member in shape.members.items() if member.name not in above]
        members = members[:1] if shape.is_tagged_union else members
        return {name: sample(member, (*above, shape.name)) for name, member in members}
    if shape.type_name == "list":
        return [sample(shape.member, (*above, shape.name))] * max(low, 1)
    if shape.type_name == "map":
        key = sample(shape.key)
        return {key + str(n) if n else key: sample(shape.value, (*above, shape.name)) for n in range(max(low, 1))}
    if shape.type_name in ("integer", "long"):
        return low
    if shape.type_name in ("float", "double"):
        return float(low)
    if shape.type_name == "boolean":
        return True
    if shape.type_name == "timestamp":
        return "2026-01-01T00:00:00Z"
    if shape.type_name == "blob":
        return b"\x00" * max(low, 1)
    return shape.metadata["enum"][0] if "enum" in shape.metadata else "x" * max(low, 1)


class RightRequests(unittest.TestCase):
    def test_requests_of_botocore_pass(self) -> None:
        for service, action, params in RIGHT:
            with self.subTest(service=service, action=action):
                self.assertEqual(of_request(exchange(service, action, params)), set())

    def test_every_operation_is_decoded_whole_and_an_alien_is_found_in_each(self) -> None:
        for service in SERVICES:
            for action in SESSION.get_service_model(MODELS.get(service, service)).operation_names:
                with self.subTest(service=service, action=action):
                    shape = model(service, action).input_shape
                    record = exchange(service, action, sample(shape) if shape else {}, validate=False)
                    # Nothing here knows how to make what fits a pattern.
                    self.assertEqual({pair for pair in of_request(record) if pair[1] != "pattern"}, set())
                    if service in ("acm", "ssm"):
                        record["request"] = json.dumps(json.loads(record["request"]) | {"Alien": 1})
                    else:
                        record["uri"] += ("&" if "?" in record["uri"] else "?") + "Alien=1"
                    self.assertIn(("request.Alien", "unknown"), of_request(record))

    def test_a_query_may_be_in_the_uri(self) -> None:
        record = exchange("sts", "GetCallerIdentity", {})
        record |= {"method": "GET", "uri": record["uri"] + "?" + record["request"], "request": ""}
        self.assertEqual(of_request(record), set())

    def test_a_slash_at_the_end_of_a_path_is_no_matter(self) -> None:
        record = exchange("route53", *RIGHT_CHANGE)
        self.assertTrue(record["uri"].endswith("/rrset/"))
        self.assertEqual(of_request(record | {"uri": record["uri"].rstrip("/")}), set())

    def test_the_model_is_told_by_the_version(self) -> None:
        record = exchange("elasticloadbalancing", "DescribeLoadBalancers", {"Names": ["a"]})
        self.assertEqual(of_request(record), set())
        classic = "Action=DescribeLoadBalancers&Version=2012-06-01&LoadBalancerNames.member.1=a"
        self.assertEqual(of_request(record | {"request": classic}), set())


class WrongForms(unittest.TestCase):
    """The EC2 and the query protocol."""

    def assert_found(self, service: str, action: str, form: str, *expected: tuple[str, str]) -> None:
        record = exchange(service, action, {}, validate=False)
        record["request"] += "&" + form
        self.assertEqual(of_request(record), set(expected))

    def test_unknown_parameters(self) -> None:
        self.assert_found("ec2", "CreateVpc", "Cidr=1", ("request.Cidr", "unknown"))
        self.assert_found("ec2", "CreateVpc", "cidrBlock=1", ("request.cidrBlock", "unknown"))
        self.assert_found("ec2", "CreateVpc", "TagSpecification.1.Tag.1.Name=a",
                          ("request.TagSpecifications[].Tags[].Name", "unknown"))
        self.assert_found("ec2", "CreateVpc", "TagSpecifications.1.ResourceType=vpc",
                          ("request.TagSpecifications", "unknown"))
        self.assert_found("ec2", "DescribeVpcs", "VpcId.member.1=vpc-1", ("request.VpcIds.member", "unknown"))
        self.assert_found("ec2", "DescribeVpcs", "VpcId.1.Id=vpc-1", ("request.VpcIds[].Id", "unknown"),
                          ("request.VpcIds[]", "type"))
        self.assert_found("autoscaling", "DescribeAutoScalingGroups", "AutoScalingGroupNames.1=a",
                          ("request.AutoScalingGroupNames.1", "unknown"))
        self.assert_found("sts", "GetCallerIdentity", "A=1&a%20b=1",
                          ("request.A", "unknown"), ("request.a_b", "unknown"))

    def test_missing_parameters(self) -> None:
        self.assert_found("ec2", "DeleteVpc", "", ("request.VpcId", "missing"))
        self.assert_found("iam", "CreateRole", "RoleName=a&Tags.member.1.Key=a",
                          ("request.AssumeRolePolicyDocument", "missing"), ("request.Tags[].Value", "missing"))

    def test_types(self) -> None:
        run = "MinCount=1&MaxCount="
        self.assert_found("ec2", "RunInstances", run + "two", ("request.MaxCount", "type"))
        self.assert_found("ec2", "RunInstances", run + "2147483648", ("request.MaxCount", "type"))
        self.assert_found("ec2", "RunInstances", run + "2&EbsOptimized=True", ("request.EbsOptimized", "type"))
        self.assert_found("ec2", "RunInstances", run + "2&InstanceMarketOptions.SpotOptions.ValidUntil=tomorrow",
                          ("request.InstanceMarketOptions.SpotOptions.ValidUntil", "type"))
        self.assert_found("ec2", "ImportKeyPair", "KeyName=a&PublicKeyMaterial=a!",
                          ("request.PublicKeyMaterial", "type"))
        self.assert_found("ec2", "DescribeVpcs", "VpcId=vpc-1", ("request.VpcIds", "type"))
        self.assert_found("autoscaling", "PutScalingPolicy",
                          "AutoScalingGroupName=a&PolicyName=a&TargetTrackingConfiguration.TargetValue=much",
                          ("request.TargetTrackingConfiguration.TargetValue", "type"))

    def test_values(self) -> None:
        self.assert_found("ec2", "CreateVpc", "InstanceTenancy=mine", ("request.InstanceTenancy", "enum"))
        self.assert_found("ec2", "DescribeVpcs", "MaxResults=1", ("request.MaxResults", "range"))
        listener = "LoadBalancerArn=a&DefaultActions.member.1.Type="
        self.assert_found("elasticloadbalancing", "CreateListener", listener + "push",
                          ("request.DefaultActions[].Type", "enum"))
        self.assert_found("elasticloadbalancing", "CreateListener", listener + "forward&Port=0",
                          ("request.Port", "range"))
        self.assert_found("iam", "DeleteRole", f"RoleName={'a' * 65}", ("request.RoleName", "length"))
        self.assert_found("iam", "DeleteRole", "RoleName=a/b", ("request.RoleName", "pattern"))
        self.assert_found("iam", "TagRole", "RoleName=a&Tags.member.1.Key=a%21&Tags.member.1.Value=",
                          ("request.Tags[].Key", "pattern"))
        tags = "".join(f"&Tags.member.{n}.Key=a&Tags.member.{n}.Value=" for n in range(1, 52))
        self.assert_found("iam", "TagRole", f"RoleName=a{tags}", ("request.Tags", "length"))

    def test_masked_values_are_not_judged_but_their_names_are(self) -> None:
        self.assert_found("iam", "DeleteRole", f"RoleName={'%28secret%29' + 'a/' * 65}")
        self.assert_found("ec2", "ImportKeyPair", "KeyName=a&PublicKeyMaterial=(secret)&Key=(secret)", ("request.Key", "unknown"))
        self.assert_found("ec2", "CreateLaunchTemplate", "LaunchTemplateName=abc&LaunchTemplateData=(secret)")

    def test_the_form_itself(self) -> None:
        self.assert_found("ec2", "DeleteVpc", "VpcId=a&VpcId=b", ("request.VpcId", "duplicate"))
        self.assert_found("ec2", "DescribeVpcs", "VpcId.1=a&VpcId.3=b", ("request.VpcIds", "index"))
        self.assert_found("ec2", "DescribeVpcs", "VpcId.0=a", ("request.VpcIds.0", "unknown"))
        self.assert_found("sts", "GetCallerIdentity", "a=%ff", ("request", "unparsable"), ("request.Action", "action"),
                          ("request.Version", "version"))
        record = exchange("sts", "GetCallerIdentity", {})
        self.assertEqual(of_request(record | {"request": "Action=GetSessionToken&Version=2011-06-15"}),
                         {("request.Action", "action")})
        self.assertEqual(of_request(record | {"request": "Action=GetCallerIdentity&Version=2011-06-16"}),
                         {("request.Version", "version")})
        self.assertEqual(of_request(record | {"request_headers": {"content-type": "text/plain"}}),
                         {("request", "content-type")})
        self.assertEqual(of_request(record | {"uri": "https://sts.amazonaws.com/sts"}), {("request", "uri")})

    def test_maps(self) -> None:
        action, params = next((action, params) for _, action, params in RIGHT if "authenticate-oidc" in str(params))
        record = exchange("elasticloadbalancing", action, params)
        path = "request.DefaultActions[].AuthenticateOidcConfig.AuthenticationRequestExtraParams"
        form = record["request"]
        self.assertEqual(of_request(record | {"request": form.replace(".entry.2.value", ".entry.2.Value")}),
                         {(f"{path}.Value", "unknown"), (f"{path}{{}}", "missing")})
        self.assertEqual(of_request(record | {"request": form.replace(".entry.", ".Entry.")}),
                         {(f"{path}.Entry", "unknown")})


class WrongJson(unittest.TestCase):
    def assert_found(self, service: str, action: str, body: object, *expected: tuple[str, str]) -> None:
        record = exchange(service, action, {}, validate=False)
        record["request"] = body if isinstance(body, str) else json.dumps(body)
        self.assertEqual(of_request(record), set(expected))

    def test_members(self) -> None:
        self.assert_found("ssm", "GetParameter", {"Name": "/a", "name": 1}, ("request.name", "unknown"))
        self.assert_found("ssm", "GetParameter", {"WithDecryption": True}, ("request.Name", "missing"))
        self.assert_found("acm", "RequestCertificate", {"DomainName": "a.example.com", "Tags": [{"Name": "a"}]},
                          ("request.Tags[].Name", "unknown"), ("request.Tags[].Key", "missing"))

    def test_types(self) -> None:
        self.assert_found("ssm", "GetParameter", {"Name": 1}, ("request.Name", "type"))
        self.assert_found("ssm", "GetParameter", {"Name": "/a", "WithDecryption": "true"},
                          ("request.WithDecryption", "type"))
        self.assert_found("acm", "ListCertificates", {"MaxItems": "1"}, ("request.MaxItems", "type"))
        self.assert_found("acm", "ListCertificates", {"MaxItems": True}, ("request.MaxItems", "type"))
        self.assert_found("acm", "ListCertificates", {"CertificateStatuses": "ISSUED"},
                          ("request.CertificateStatuses", "type"))
        self.assert_found("acm", "ListCertificates", {"Includes": []}, ("request.Includes", "type"))
        self.assert_found("acm", "ImportCertificate", {"Certificate": "a!", "PrivateKey": "(secret)"},
                          ("request.Certificate", "type"))
        self.assert_found("ssm", "SendCommand", {"DocumentName": "AWS-RunShellScript", "Parameters": {"a": "b"}},
                          ("request.Parameters{}", "type"))

    def test_values(self) -> None:
        self.assert_found("acm", "ListCertificates", {"CertificateStatuses": ["LOST"]},
                          ("request.CertificateStatuses[]", "enum"))
        self.assert_found("acm", "ListCertificates", {"MaxItems": 0}, ("request.MaxItems", "range"))
        self.assert_found("acm", "RequestCertificate", {"DomainName": "a_b.example.com"},
                          ("request.DomainName", "pattern"))
        self.assert_found("acm", "RequestCertificate", {"DomainName": "a.example.com", "IdempotencyToken": "a" * 33},
                          ("request.IdempotencyToken", "length"))

    def test_the_document_itself(self) -> None:
        self.assert_found("ssm", "GetParameter", "{", ("request", "unparsable"))
        self.assert_found("ssm", "GetParameter", [], ("request", "type"))
        record = exchange("ssm", "GetParameter", {"Name": "/a"})
        headers = record["request_headers"]
        for header, value, expected in (
            ("X-Amz-Target", "AmazonSSM.GetParameters", ("request.X-Amz-Target", "action")),
            ("Content-Type", "application/x-amz-json-1.0", ("request", "content-type")),
        ):
            self.assertEqual(of_request(record | {"request_headers": headers | {header: value}}), {expected})


class WrongRest(unittest.TestCase):
    """The REST protocol with XML."""

    def assert_replaced(self, old: str, new: str, *expected: tuple[str, str]) -> None:
        record = exchange("route53", *RIGHT_CHANGE)
        self.assertIn(old, record["request"])
        self.assertEqual(of_request(record | {"request": record["request"].replace(old, new)}), set(expected))

    def test_bodies(self) -> None:
        batch = "request.ChangeBatch"
        records = f"{batch}.Changes[].ResourceRecordSet"
        self.assert_replaced("<TTL>60</TTL>", "<Ttl>60</Ttl>", (f"{records}.Ttl", "unknown"))
        self.assert_replaced("<TTL>60</TTL>", "<TTL>an hour</TTL>", (f"{records}.TTL", "type"))
        self.assert_replaced("<TTL>60</TTL>", "<TTL>-1</TTL>", (f"{records}.TTL", "range"))
        self.assert_replaced("<TTL>60</TTL>", "<TTL>6</TTL><TTL>6</TTL>", (f"{records}.TTL", "duplicate"))
        self.assert_replaced("<TTL>60</TTL>", "<TTL a='1'>6</TTL>", (f"{records}.TTL.@a", "unknown"))
        self.assert_replaced("<Type>A</Type>", "<Type>B</Type>", (f"{records}.Type", "enum"))
        self.assert_replaced("<Type>A</Type>", "", (f"{records}.Type", "missing"))
        self.assert_replaced("blue", "a" * 129, (f"{records}.SetIdentifier", "length"))
        self.assert_replaced("blue", "(secret)" + "a" * 129)
        self.assert_replaced("true", "yes", (f"{records}.AliasTarget.EvaluateTargetHealth", "type"))
        self.assert_replaced("ResourceRecord>", "member>", (f"{records}.ResourceRecords.member", "unknown"))
        self.assert_replaced("ChangeResourceRecordSetsRequest", "ChangeRequest", ("request", "root"))
        self.assert_replaced("doc/2013-04-01/", "doc/2012-12-12/", ("request", "namespace"))
        self.assert_replaced("</ChangeBatch>", "", ("request", "unparsable"))
        record = exchange("route53", *RIGHT_CHANGE) | {"request": ""}
        self.assertEqual(of_request(record), {(batch, "missing")})
        # Nothing in a record set has a pattern.
        changes = [{"LocationName": "a b", "Action": "PUT", "CidrList": ["192.0.2.0/24"]}]
        record = exchange("route53", "ChangeCidrCollection", {"Id": "a", "Changes": changes})
        self.assertEqual(of_request(record), {("request.Changes[].LocationName", "pattern"), ("request.Id", "pattern")})

    def test_uris(self) -> None:
        record = exchange("route53", "ListHostedZonesByName", {"DNSName": "example.com."})
        for query, expected in (("&x=1", ("request.x", "unknown")), ("&maxitems=", None),
                                ("&dnsname=a", ("request.DNSName", "duplicate")),
                                ("&hostedzoneid=" + "a" * 33, ("request.HostedZoneId", "length"))):
            self.assertEqual(of_request(record | {"uri": record["uri"] + query}), {expected} - {None})
        self.assertEqual(of_request(record | {"uri": record["uri"].replace("byname", "by")}), {("request", "uri")})
        self.assertEqual(of_request(record | {"method": "POST"}), {("request", "uri")})
        self.assertEqual(of_request(record | {"request": "<a/>"}), {("request", "unknown")})
        record = exchange("route53", "GetHostedZone", {"Id": "a" * 33}, validate=False)
        self.assertEqual(of_request(record), {("request.Id", "length")})
        record = exchange("route53", "ListTagsForResource", {"ResourceType": "zone", "ResourceId": "Z1"},
                          validate=False)
        self.assertEqual(of_request(record), {("request.ResourceType", "enum")})


class Replies(unittest.TestCase):
    def check(self, service: str, action: str, reply: str, *expected: tuple[str, str], status: int = 200,
              headers: dict[str, str] | None = None) -> None:
        members = getattr(model(service, action).input_shape, "members", {})
        in_uri = {name: "Z1" for name, member in members.items() if member.serialization.get("location") == "uri"}
        record = exchange(service, action, in_uri, reply, status, validate=False)
        self.assertEqual(of_reply(record | {"response_headers": headers or {}}), set(expected), reply)

    def test_right_replies_pass(self) -> None:
        self.check("ec2", "CreateVpc", VPC)
        self.check("ec2", "DeleteVpc", "<DeleteVpcResponse><requestId>1</requestId><return>true</return>"
                                       "</DeleteVpcResponse>")
        self.check("iam", "CreateRole", ROLE)
        self.check("iam", "DeleteRole", "<DeleteRoleResponse><ResponseMetadata><RequestId>1</RequestId>"
                                        "</ResponseMetadata></DeleteRoleResponse>")
        self.check("elasticloadbalancing", "AddTags", "<AddTagsResponse><AddTagsResult/></AddTagsResponse>")
        self.check("ssm", "GetParameter", PARAMETER)
        self.check("ssm", "DeleteParameter", "{}")
        self.check("acm", "DeleteCertificate", "")

    def test_ec2(self) -> None:
        def replaced(old: str, new: str, *expected: tuple[str, str]) -> None:
            self.assertIn(old, VPC)
            self.check("ec2", "CreateVpc", VPC.replace(old, new), *expected)

        replaced("<vpcId>", "<vpcID>", ("reply", "unparsable"))
        replaced("<state>available</state>", "<status>available</status>", ("reply.Vpc.status", "unknown"))
        replaced("<state>available</state>", "<state>gone</state>", ("reply.Vpc.State", "enum"))
        replaced("<state>available</state>", "<state/>")
        replaced("<state>available</state>", "<state><name>a</name></state>", ("reply.Vpc.State.name", "unknown"))
        replaced("false", "False", ("reply.Vpc.IsDefault", "type"))
        replaced("<isDefault>", "<isDefault>true</isDefault><isDefault>", ("reply.Vpc.IsDefault", "duplicate"))
        replaced("item>", "member>", ("reply.Vpc.Tags.member", "unknown"))
        replaced("<requestId>1</requestId>", "<RequestId>1</RequestId>", ("reply.RequestId", "unknown"))
        replaced("CreateVpcResponse", "MakeVpcResponse", ("reply", "root"))
        replaced("<tagSet>", "and<tagSet>", ("reply", "unknown"))
        replaced("<tagSet>", "<tagSet>and", ("reply", "unknown"))
        replaced("<vpc>", "and<vpc>", ("reply", "unknown"))
        replaced("<ipv6CidrBlockAssociationSet/>", "<ipv6CidrBlockAssociationSet>a</ipv6CidrBlockAssociationSet>",
                 ("reply.Vpc.Ipv6CidrBlockAssociationSet", "type"))
        self.check("ec2", "CreateVpc", "", ("reply", "unparsable"))
        self.check("ec2", "DeleteVpc", "<DeleteVpcResponse><vpcId/></DeleteVpcResponse>", ("reply.vpcId", "unknown"))

    def test_query(self) -> None:
        def replaced(old: str, new: str, *expected: tuple[str, str]) -> None:
            self.assertIn(old, ROLE)
            self.check("iam", "CreateRole", ROLE.replace(old, new), *expected)

        replaced("Arn>", "ARN>", ("reply.Role.ARN", "unknown"), ("reply.Role.Arn", "missing"))
        replaced("<Path>/</Path>", "", ("reply.Role.Path", "missing"))
        replaced("<Path>", "<PermissionsBoundary/><RoleLastUsed/><Path>")
        self.check("iam", "CreateRole", "<CreateRoleResponse><CreateRoleResult><Role/></CreateRoleResult>"
                                        "</CreateRoleResponse>", ("reply.Role", "missing"))
        replaced("2026-01-01T00:00:00Z", "2026-01-01", ("reply.Role.CreateDate", "type"))
        replaced("2026-01-01T00:00:00Z", "now", ("reply.Role.CreateDate", "type"), ("reply", "unparsable"))
        replaced("2026-01-01T00:00:00Z", "(secret)")
        replaced("CreateRoleResult", "Result", ("reply.CreateRoleResult", "missing"), ("reply.Result", "unknown"))
        replaced("ResponseMetadata>", "Metadata>", ("reply.Metadata", "unknown"))
        replaced("RequestId>", "Id>", ("reply.ResponseMetadata.Id", "unknown"))
        self.check("iam", "CreateRole", "{}", ("reply", "unparsable"))

    def test_rest_xml(self) -> None:
        def replaced(old: str, new: str, *expected: tuple[str, str]) -> None:
            self.assertIn(old, CHANGE)
            self.check("route53", "ChangeResourceRecordSets", CHANGE.replace(old, new), *expected)

        replaced("PENDING", "INSYNC")
        replaced("Status>", "State>", ("reply.ChangeInfo.State", "unknown"), ("reply.ChangeInfo.Status", "missing"))
        replaced("PENDING", "pending", ("reply.ChangeInfo.Status", "enum"))
        replaced("2026-01-01T", "yesterday ", ("reply.ChangeInfo.SubmittedAt", "type"), ("reply", "unparsable"))
        replaced("ChangeResourceRecordSetsResponse", "ChangeResponse", ("reply", "root"))
        replaced("</ChangeInfo>", "", ("reply", "unparsable"))
        self.check("route53", "ChangeResourceRecordSets", "", ("reply", "unparsable"))
        self.check("route53", "ChangeResourceRecordSets", CHANGE, ("reply", "status"), status=201)
        zone = "<GetHostedZoneResponse><HostedZone><Id>Z</Id><Name>a.</Name><CallerReference>1</CallerReference>" \
               "<ResourceRecordSetCount>{}</ResourceRecordSetCount></HostedZone></GetHostedZoneResponse>"
        self.check("route53", "GetHostedZone", zone.format(1))
        self.check("route53", "GetHostedZone", zone.format("x"), ("reply.HostedZone.ResourceRecordSetCount", "type"),
                   ("reply", "unparsable"))

    def test_headers_of_replies(self) -> None:
        reply = "<CreateHostedZoneResponse><HostedZone><Id>Z</Id><Name>a.</Name><CallerReference>1</CallerReference>" \
                f"</HostedZone>{CHANGE[CHANGE.index('<ChangeInfo'):CHANGE.index('</ChangeR')]}" \
                "<DelegationSet><NameServers><NameServer>ns</NameServer></NameServers></DelegationSet>" \
                "</CreateHostedZoneResponse>"
        self.check("route53", "CreateHostedZone", reply, status=201, headers={"location": "https://a"})
        self.check("route53", "CreateHostedZone", reply, ("reply.Location", "missing"), status=201)

    def test_json(self) -> None:
        def changed(member: str, value: object, *expected: tuple[str, str]) -> None:
            body = json.loads(PARAMETER)
            body["Parameter"][member] = value
            self.check("ssm", "GetParameter", json.dumps(body), *expected)

        changed("Alien", 1, ("reply.Parameter.Alien", "unknown"))
        changed("Version", "1", ("reply.Parameter.Version", "type"))
        changed("Version", 1.5, ("reply.Parameter.Version", "type"))
        changed("Version", None)
        changed("LastModifiedDate", "2026-01-01T00:00:00Z", ("reply.Parameter.LastModifiedDate", "type"))
        changed("LastModifiedDate", "(secret)")
        changed("Type", "Text", ("reply.Parameter.Type", "enum"))
        changed("Value", ["v"], ("reply.Parameter.Value", "type"))
        self.check("ssm", "GetParameter", "<a/>", ("reply", "unparsable"))
        self.check("acm", "DeleteCertificate", '{"a": 1}', ("reply.a", "unknown"))
        tags = {"Tags": [{"Value": "a"}]}
        self.check("acm", "ListTagsForCertificate", json.dumps(tags), ("reply.Tags[].Key", "missing"))

    def test_lengths_and_patterns_are_not_asked_of_replies(self) -> None:
        self.check("iam", "CreateRole", ROLE.replace("<RoleName>web", "<RoleName>" + "a/" * 100))

    def test_errors(self) -> None:
        self.check("ec2", "CreateVpc", EC2_ERROR, status=400)
        self.check("ec2", "CreateVpc", EC2_ERROR.replace("A.B", ""), ("reply", "error-code"), status=400)
        self.check("ec2", "CreateVpc", ERROR.format("A"), ("reply", "root"), ("reply", "error-code"),
                   ("reply", "error-message"), status=400)
        self.check("ec2", "CreateVpc", "", ("reply", "unparsable"), ("reply", "error-code"), ("reply", "error-message"),
                   status=503)
        self.check("iam", "CreateRole", ERROR.format("EntityAlreadyExists"), status=409)
        self.check("iam", "CreateRole", ERROR.format("ValidationError"), status=400)
        self.check("iam", "CreateRole", ERROR.format("Odd"), ("reply.Odd", "undocumented-error"), status=400)
        self.check("iam", "CreateRole", ERROR.format(""), ("reply", "error-code"), status=400)
        self.check("iam", "CreateRole", ERROR.format("Throttling").replace("Message", "Text"),
                   ("reply", "error-message"), status=400)
        self.check("iam", "CreateRole", ROLE, ("reply", "root"), ("reply", "error-code"), ("reply", "error-message"),
                   status=300)
        self.check("route53", "GetHostedZone", ERROR.format("NoSuchHostedZone"), status=404)
        self.check("route53", "GetHostedZone", ERROR.format("NoSuchZone"), ("reply.NoSuchZone", "undocumented-error"),
                   status=404)
        self.check("route53", "GetHostedZone", "no", ("reply", "unparsable"), ("reply", "error-code"),
                   ("reply", "error-message"), status=404)
        self.check("route53", "GetHostedZone", ERROR.format(""), ("reply", "error-code"), status=404)
        found = {"__type": "ParameterNotFound", "message": "no"}
        self.check("ssm", "GetParameter", json.dumps(found), status=400)
        self.check("ssm", "GetParameter", json.dumps(found | {"__type": "com.a#ParameterNotFound"}), status=400)
        self.check("ssm", "GetParameter", json.dumps(found | {"__type": "Odd"}), ("reply.Odd", "undocumented-error"),
                   status=400)
        self.check("ssm", "GetParameter", '{"message": "no"}', ("reply", "error-code"), status=400)
        self.check("ssm", "GetParameter", '{"__type": "ParameterNotFound"}', ("reply", "error-message"), status=400)
        self.check("ssm", "GetParameter", "[]", ("reply", "unparsable"), ("reply", "error-code"),
                   ("reply", "error-message"), status=400)


class Operations(unittest.TestCase):
    def test_what_is_in_no_model(self) -> None:
        record = exchange("sts", "GetCallerIdentity", {})
        self.assertEqual(judged(record | {"action": "Whoami"}), {("request", "unknown-operation")})
        self.assertEqual(judged(record | {"service": "nowhere"}), {("request", "unknown-operation")})

    def test_protocols_that_are_not_known(self) -> None:
        record = exchange("sts", "GetCallerIdentity", {}) | {"service": "lambda", "action": "ListFunctions"}
        self.assertEqual(judged(record), {("request", "unsupported")})

    def test_models_that_share_a_signing_name_are_found(self) -> None:
        operation = JUDGE.models.operation("dynamodb", "ListStreams", "", "DynamoDBStreams_20120810", "")
        self.assertEqual(operation.model.service_model.service_name, "dynamodbstreams")


class Patterns(unittest.TestCase):
    def test_translation(self) -> None:
        for pattern, right, wrong in (
            (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Grün 1/2", "a!"), (r"\p{Lu}+", "ÄB", "äb"), (r"\p{ASCII}+", "a", "ä"),
            (r"[\w-\/]+", "a-/", "a b"), (r"[\d]+", "12", "1٣"), (r"^(range|count|sum)", "range()", "a range"),
            (r"[a-z]+", "abc", "abc\n"), (r"^[a-z]+$", "abc", "abc1"), (r"a\]|[\]-]", "-", "b"),
            (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a\n\U0001f600", "a\0"),
            (r"[\u0009\u000A\u000D\u0020-\u007E\u10000-\u10FFFF]+", "a\U0001f600", "aä"),
        ):
            with self.subTest(pattern=pattern):
                matches = botocore_judge.matcher("Test", pattern)
                self.assertTrue(matches(right))
                self.assertFalse(matches(wrong))

    def test_what_python_cannot_compile_is_told(self) -> None:
        for pattern in (r"(?<name>a)", r"[a-z&&[^b]]", r"\p{InGreek}"):
            with self.subTest(pattern=pattern):
                self.addCleanup(botocore_judge.uncompiled.pop, ("Test", pattern))
                self.assertIsNone(botocore_judge.matcher("Test", pattern))
                self.assertIn(("Test", pattern), botocore_judge.uncompiled)


class Program(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, *lines: dict | str, name: str = "a.jsonl") -> pathlib.Path:
        path = self.folder / name
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("".join(text + "\n" for text in texts), "utf-8")
        return path

    def run_it(self, *arguments: object) -> tuple[int, str, str]:
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            code = botocore_judge.main([str(argument) for argument in arguments])
        return code, out.getvalue(), err.getvalue()

    def wrong(self) -> dict:
        record = exchange("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/16"}, VPC)
        return record | {"request": record["request"] + "&Alien=1"}

    def test_right_recordings_pass(self) -> None:
        self.write(exchange("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/16"}, VPC), "")
        self.write(exchange("ssm", "GetParameter", {"Name": "/a"}, PARAMETER), name="b.jsonl")
        self.write("not a recording", name="c.txt")
        code, out, _ = self.run_it(self.folder)
        self.assertEqual((code, [line.split() for line in out.splitlines()]), (0, [
            ["service", "exchanges", "operations", "findings", "notes"], ["ec2", "1", "1", "0", "0"],
            ["ssm", "1", "1", "0", "0"]]))

    def test_a_finding_is_told_once(self) -> None:
        path = self.write(self.wrong(), self.wrong())
        code, out, _ = self.run_it(path, "--json", self.folder / "report.json")
        self.assertEqual(code, 1)
        self.assertIn(f"ec2:CreateVpc request.Alien unknown\n    2 x, first at {path}:1: ", out)
        report = json.loads((self.folder / "report.json").read_text())
        self.assertEqual(report["services"], {"ec2": {"exchanges": 2, "operations": 1, "findings": 1, "notes": 0}})
        self.assertEqual([(finding["operation"], finding["path"], finding["class"], finding["count"])
                          for finding in report["findings"]], [("ec2:CreateVpc", "request.Alien", "unknown", 2)])

    def test_notes_do_not_fail(self) -> None:
        path = self.write(exchange("sts", "GetCallerIdentity", {}, ERROR.format("Odd"), 400))
        code, out, _ = self.run_it(path)
        self.assertEqual(code, 0)
        self.assertIn("sts:GetCallerIdentity reply.Odd undocumented-error (a note)", out)

    def test_exemptions(self) -> None:
        path, allow = self.write(self.wrong()), self.folder / "allow"
        allow.write_text("# what is known\n\nec2:CreateVpc request.Alien unknown # a test\n")
        self.assertEqual(self.run_it(path, "--allow", allow)[0], 0)
        allow.write_text("ec2:CreateVpc request.Alien enum # another class\n")
        code, out, _ = self.run_it(path, "--allow", allow)
        self.assertEqual(code, 1)
        self.assertIn("ec2:CreateVpc request.Alien unknown\n", out)
        self.assertIn(f"ec2:CreateVpc request.Alien:enum unused-exemption\n    1 x, first at {allow}:1: ", out)
        line = "ec2:CreateVpc request.Alien unknown # a test\n"
        for text in ("ec2:CreateVpc request.Alien unknown\n", "ec2:CreateVpc unknown # no path\n", line + line):
            allow.write_text(text)
            self.assertEqual(self.run_it(path, "--allow", allow)[0], 2, text)

    def test_lines_that_are_no_exchanges(self) -> None:
        right = exchange("sts", "GetCallerIdentity", {}, ERROR.format("Throttling"), 400)
        for line in ("{", "[]", {key: value for key, value in right.items() if key != "status"}, right | {"request": 1},
                     right | {"uri": "https://[/"}):
            code, out, _ = self.run_it(self.write(right, line))
            self.assertEqual(code, 1)
            self.assertRegex(out, r"recording \S+ record\n    1 x, first at \S+:2: ")

    def test_nothing_is_no_proof(self) -> None:
        self.assertEqual(self.run_it(self.folder)[0], 2)
        self.assertEqual(self.run_it(self.write(""))[0], 2)
        self.assertEqual(self.run_it(self.write("{"))[0], 2)
        self.assertEqual(self.run_it("--operations", self.write(""))[0], 2)
        self.assertEqual(self.run_it(self.folder / "nowhere.jsonl")[0], 2)

    def test_operations(self) -> None:
        path = self.write(self.wrong(), self.wrong(), exchange("sts", "GetCallerIdentity", {}))
        code, out, _ = self.run_it("--operations", path)
        self.assertEqual((code, out), (0, "ec2:CreateVpc\nsts:GetCallerIdentity\n"))


if __name__ == "__main__":
    unittest.main()
