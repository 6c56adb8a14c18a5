"""What is not modelled: refused by name, in the protocol it was asked in, so that boto3 can say what it was.

Beside it, what all replies have in common, and the server's own paths.

Which codes are right: InvalidAction is in "Common Errors" of the query APIs ("The action or operation requested is not
valid"), UnknownOperationException what JSON services answer to an operation they do not have.
"""
import json
import unittest

from certificates import WEB
from support import Case, network, tag_list, tags_of

# What XML, JSON or a form may take for something of its own.
TEXT = "  a & b <c> \"d\" 'e' \\ 100%+1 größe 漢字 😀\n\tend  "

ARN = "arn:aws:acm:eu-central-1:210987654321:certificate/01234567-89ab-cdef-0123-456789abcdef"


class Actions(Case):
    def test_each_protocol(self) -> None:
        calls = [
            ("ec2", "describe_reserved_instances", {}, "InvalidAction"),
            ("ec2", "import_image", {"Description": "one"}, "InvalidAction"),
            ("elbv2", "describe_ssl_policies", {}, "InvalidAction"),
            ("autoscaling", "start_instance_refresh", {"AutoScalingGroupName": "web"}, "InvalidAction"),
            ("iam", "create_user", {"UserName": "user"}, "InvalidAction"),
            ("sts", "get_session_token", {}, "InvalidAction"),
            ("route53", "list_traffic_policies", {}, "InvalidAction"),
            ("route53", "create_reusable_delegation_set", {"CallerReference": "one"}, "InvalidAction"),
            ("acm", "export_certificate", {"CertificateArn": ARN, "Passphrase": b"secret"},
             "UnknownOperationException"),
            ("ssm", "create_document", {"Name": "shop", "Content": "{}"}, "UnknownOperationException"),
        ]
        for service, operation, params, code in calls:
            with self.subTest(f"{service}.{operation}"), self.not_modelled(code):
                getattr(self.client(service), operation)(**params)


class Services(Case):
    def test_each_protocol(self) -> None:
        calls = [
            ("redshift", "describe_clusters", "InvalidAction"),  # query
            ("rds", "describe_db_instances", "InvalidAction"),
            ("cloudformation", "list_stacks", "InvalidAction"),
            ("s3", "list_buckets", "InvalidAction"),  # REST and XML
            ("cloudfront", "list_distributions", "InvalidAction"),
            ("dynamodb", "list_tables", "UnknownOperationException"),  # JSON
            ("codepipeline", "list_pipelines", "UnknownOperationException"),
            ("kms", "list_keys", "UnknownOperationException"),
            ("cloudwatch", "list_metrics", "UnknownOperationException"),
            ("kinesis", "list_streams", "UnknownOperationException"),
        ]
        for service, operation, code in calls:
            with self.subTest(service), self.not_modelled(code):
                getattr(self.client(service), operation)()

    def test_classic_load_balancers(self) -> None:
        # Version 2012-06-01 of the API signs as version 2015-12-01 does and has other actions of the same names.
        with self.not_modelled("InvalidAction"):
            self.client("elb").describe_load_balancers()

    def test_services_of_rest_and_json(self) -> None:
        # Their errors have a code in the body or in `x-amzn-errortype`, not XML.
        for service, operation in [("lambda", "list_functions"), ("eks", "list_clusters"),
                                   ("apigateway", "get_rest_apis"), ("efs", "describe_file_systems")]:
            with self.subTest(service), self.not_modelled("UnknownOperationException", "InvalidAction"):
                getattr(self.client(service), operation)()


class Parameters(Case):
    def test_each_protocol(self) -> None:
        calls = [
            # "Client error codes" of EC2: UnknownParameter.
            ("ec2", "create_vpc", {"CidrBlock": "10.0.0.0/16", "AmazonProvidedIpv6CidrBlock": True},
             "UnknownParameter"),
            ("ec2", "describe_vpcs", {"Filters": [{"Name": "dhcp-options-id", "Values": ["x"]}]},
             "InvalidParameterValue"),
            ("elbv2", "create_load_balancer", {"Name": "web", "CustomerOwnedIpv4Pool": "pool"}, "ValidationError"),
            ("autoscaling", "create_auto_scaling_group",
             {"AutoScalingGroupName": "web", "MinSize": 0, "MaxSize": 1, "LoadBalancerNames": ["old"]},
             "ValidationError"),
            ("route53", "create_hosted_zone", {"Name": "a.com", "CallerReference": "1", "DelegationSetId": "N1"},
             "InvalidInput"),
            ("acm", "list_certificates", {"SortBy": "CREATED_AT", "SortOrder": "ASCENDING"}, "ValidationException"),
            ("acm", "request_certificate", {"DomainName": "a.com", "ValidationMethod": "EMAIL"}, "ValidationException"),
        ]
        for service, operation, params, code in calls:
            with self.subTest(f"{service}.{operation}"), self.not_modelled(code):
                getattr(self.client(service), operation)(**params)

    def test_nothing_of_it_was_done(self) -> None:
        ec2 = self.client("ec2")
        with self.not_modelled("UnknownParameter"):
            ec2.create_vpc(CidrBlock="10.0.0.0/16", AmazonProvidedIpv6CidrBlock=True)
        self.settle()
        self.assertEqual([vpc["IsDefault"] for vpc in ec2.describe_vpcs()["Vpcs"]], [True])


class Replies(Case):
    def test_good_and_bad_ones_have_an_id(self) -> None:
        # ResponseMetadata.RequestId is in the body of the query protocols, and in a header of the others.
        calls = [("ec2", "describe_vpcs", {}), ("elbv2", "describe_load_balancers", {}), ("iam", "list_roles", {}),
                 ("autoscaling", "describe_auto_scaling_groups", {}), ("sts", "get_caller_identity", {}),
                 ("route53", "list_hosted_zones", {}), ("acm", "list_certificates", {}),
                 ("ssm", "get_parameters", {"Names": ["x"]})]
        seen = set()
        for service, operation, params in calls:
            with self.subTest(service):
                metadata = getattr(self.client(service), operation)(**params)["ResponseMetadata"]
                self.assertTrue(metadata.get("RequestId"))
                self.assertEqual(metadata["HTTPStatusCode"], 200)
                seen.add(metadata["RequestId"])
        self.assertEqual(len(seen), len(calls), "each has its own")
        missing = [("ec2", "describe_vpcs", {"VpcIds": ["vpc-0123456789abcdef0"]}),
                   ("elbv2", "describe_load_balancers", {"Names": ["absent"]}), ("iam", "get_role", {"RoleName": "x"}),
                   ("route53", "get_hosted_zone", {"Id": "Z0"}), ("ssm", "get_parameter", {"Name": "x"}),
                   ("acm", "describe_certificate", {"CertificateArn": ARN})]
        for service, operation, params in missing:
            client = self.client(service)
            with self.subTest(service), self.assertRaises(client.exceptions.ClientError) as caught:
                getattr(client, operation)(**params)
            self.assertTrue(caught.exception.response["ResponseMetadata"].get("RequestId"), service)

    def test_any_text_comes_back(self) -> None:
        # Three protocols write it in three ways, both ways.
        ec2, iam, dns, acm = (self.client(service) for service in ("ec2", "iam", "route53", "acm"))
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"},
                                "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"aws:text": TEXT}}}]}
        iam.create_role(RoleName="text", AssumeRolePolicyDocument=json.dumps(trust))
        made = dns.create_hosted_zone(Name="text.com", CallerReference=TEXT, HostedZoneConfig={"Comment": TEXT})
        arn = acm.import_certificate(Certificate=WEB.certificate, PrivateKey=WEB.key)["CertificateArn"]
        self.settle()
        zone, tags = made["HostedZone"]["Id"].removeprefix("/hostedzone/"), tag_list(text=TEXT)
        ec2.create_tags(Resources=[vpc], Tags=tags)
        iam.tag_role(RoleName="text", Tags=tags)
        dns.change_tags_for_resource(ResourceType="hostedzone", ResourceId=zone, AddTags=tags)
        acm.add_tags_to_certificate(CertificateArn=arn, Tags=tags)
        role, shown = iam.get_role(RoleName="text")["Role"], dns.get_hosted_zone(Id=zone)["HostedZone"]
        texts = {
            "ec2": tags_of(ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0])["text"],
            "iam": tags_of(role)["text"],
            "policy": role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]["StringEquals"]["aws:text"],
            "route53": tags_of(dns.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone)
                               ["ResourceTagSet"])["text"],
            "comment": shown["Config"]["Comment"],
            "reference": shown["CallerReference"],
            "acm": tags_of(acm.list_tags_for_certificate(CertificateArn=arn))["text"],
        }
        self.assertEqual(texts, {name: TEXT for name in texts})

    def test_errors_are_the_models(self) -> None:
        # boto3 finds the exception of the model by its code.
        cases = [("elbv2", "LoadBalancerNotFoundException", "describe_load_balancers", {"Names": ["absent"]}),
                 ("iam", "NoSuchEntityException", "get_role", {"RoleName": "absent"}),
                 ("route53", "NoSuchHostedZone", "get_hosted_zone", {"Id": "Z0"}),
                 ("acm", "ResourceNotFoundException", "describe_certificate", {"CertificateArn": ARN}),
                 ("ssm", "ParameterNotFound", "get_parameter", {"Name": "absent"})]
        for service, name, operation, params in cases:
            client = self.client(service)
            with self.subTest(service), self.assertRaises(getattr(client.exceptions, name)):
                getattr(client, operation)(**params)


class OwnPaths(Case):
    def test_time_passes_by_hand(self) -> None:
        before = self.now()
        self.advance(3600)
        self.assertEqual((self.now() - before).total_seconds(), 3600)

    def test_what_is_gone_is_shown_for_a_while(self) -> None:
        # VPC guide, "Delete a NAT gateway": it is shown as deleted for about an hour. Served with `--speed max`, the
        # request after the one that saw `deleted` does not go on by this whole hour.
        ec2, net = self.client("ec2"), network(self)
        nat = ec2.create_nat_gateway(SubnetId=net.subnets[0], ConnectivityType="private")["NatGateway"]["NatGatewayId"]
        self.settle()
        ec2.delete_nat_gateway(NatGatewayId=nat)
        self.wait(ec2, "nat_gateway_deleted", NatGatewayIds=[nat])
        shown = ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"]
        self.assertEqual([it["State"] for it in shown], ["deleted"])


if __name__ == "__main__":
    unittest.main()
