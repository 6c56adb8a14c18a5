"""Systems Manager's parameters, and STS: who is asking.

What is expected is in the API reference of the action, or in the guide's page named beside it.
"""
import json
import unittest

from support import Case, network, tag_list, tags_of

# "Calling AMI public parameters in Parameter Store"
NEWEST = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
ARM = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
OLDER = "/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-x86_64-gp2"


class Parameters(Case):
    def test_the_newest_images(self) -> None:
        ssm, ec2 = self.client("ssm"), self.client("ec2")
        for name, architecture in [(NEWEST, "x86_64"), (ARM, "arm64"), (OLDER, "x86_64")]:
            shown = ssm.get_parameter(Name=name)["Parameter"]
            self.assertEqual((shown["Name"], shown["Type"]), (name, "String"))
            self.has(shown, "Value", "Version", "LastModifiedDate", "ARN", "DataType")
            self.assertEqual(shown["ARN"], f"arn:aws:ssm:eu-central-1::parameter{name}")
            image = ec2.describe_images(ImageIds=[shown["Value"]])["Images"][0]
            self.assertEqual(image["Architecture"], architecture)

    def test_several(self) -> None:
        reply = self.client("ssm").get_parameters(Names=[NEWEST, "/absent", ARM], WithDecryption=True)
        self.assertCountEqual([it["Name"] for it in reply["Parameters"]], [NEWEST, ARM])
        self.assertEqual(reply["InvalidParameters"], ["/absent"])

    def test_one_that_is_absent(self) -> None:
        ssm = self.client("ssm")
        for name in ("/shop/password", NEWEST + "-absent"):
            with self.refused("ParameterNotFound", status=400):
                ssm.get_parameter(Name=name, WithDecryption=True)


class OwnParameters(Case):
    def test_from_its_making_to_its_end(self) -> None:
        ssm = self.client("ssm")
        made = ssm.put_parameter(Name="/shop/url", Type="String", Value="one", Description="where", Tags=tag_list(a="b"))
        self.assertEqual((made["Version"], made["Tier"]), (1, "Standard"))
        self.settle()
        shown = ssm.get_parameter(Name="/shop/url")["Parameter"]
        self.assertEqual((shown["Value"], shown["Version"], shown["Type"]), ("one", 1, "String"))
        self.assertEqual(shown["ARN"], "arn:aws:ssm:eu-central-1:210987654321:parameter/shop/url")
        with self.refused("ParameterAlreadyExists", status=400):
            ssm.put_parameter(Name="/shop/url", Type="String", Value="two")
        self.assertEqual(ssm.put_parameter(Name="/shop/url", Value="two", Overwrite=True)["Version"], 2)
        # "Working with parameter versions": name:version.
        self.assertEqual(ssm.get_parameter(Name="/shop/url:1")["Parameter"]["Value"], "one")
        self.assertEqual(ssm.get_parameter(Name=shown["ARN"] + ":2")["Parameter"]["Value"], "two")
        with self.refused("ParameterVersionNotFound"):
            ssm.get_parameter(Name="/shop/url:3")
        about = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": ["/shop/url"]}])["Parameters"][0]
        self.assertEqual((about["Description"], about["Version"], about["Tier"]), ("where", 2, "Standard"))
        ssm.delete_parameter(Name="/shop/url")
        self.settle()
        for call in (ssm.get_parameter, ssm.delete_parameter):
            with self.refused("ParameterNotFound", status=400):
                call(Name="/shop/url")

    def test_tags(self) -> None:
        ssm = self.client("ssm")
        ssm.put_parameter(Name="tagged", Type="StringList", Value="a,b", Tags=tag_list(one="1", two="2"))
        self.settle()
        of = {"ResourceType": "Parameter", "ResourceId": "tagged"}
        ssm.add_tags_to_resource(**of, Tags=tag_list(two="3", four="4"))
        ssm.remove_tags_from_resource(**of, TagKeys=["one"])
        self.assertEqual(tags_of(ssm.list_tags_for_resource(**of)["TagList"]), {"two": "3", "four": "4"})
        with self.refused("InvalidResourceId", status=400):
            ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId="absent")
        # PutParameter: "tags and overwrite can't be used together".
        with self.refused("ValidationException", says="overwrite"):
            ssm.put_parameter(Name="tagged", Value="c", Overwrite=True, Tags=tag_list(a="b"))

    def test_secure(self) -> None:
        ssm = self.client("ssm")
        ssm.put_parameter(Name="/shop/key", Type="SecureString", Value="hunter2")
        self.settle()
        self.assertNotIn("hunter2", ssm.get_parameter(Name="/shop/key")["Parameter"]["Value"])
        shown = ssm.get_parameter(Name="/shop/key", WithDecryption=True)["Parameter"]
        self.assertEqual((shown["Value"], shown["Type"]), ("hunter2", "SecureString"))
        about = ssm.describe_parameters(ParameterFilters=[{"Key": "Type", "Values": ["SecureString"]}])["Parameters"]
        self.assertEqual([it["KeyId"] for it in about], ["alias/aws/ssm"])
        # HierarchyTypeMismatchException.
        with self.refused("HierarchyTypeMismatchException"):
            ssm.put_parameter(Name="/shop/key", Type="String", Value="x", Overwrite=True)

    def test_tiers(self) -> None:
        ssm = self.client("ssm")
        with self.refused("ValidationException", says="4096"):
            ssm.put_parameter(Name="large", Type="String", Value="x" * 4097)
        made = ssm.put_parameter(Name="large", Type="String", Value="x" * 4097, Tier="Intelligent-Tiering")
        self.assertEqual(made["Tier"], "Advanced")
        with self.refused("ValidationException", says="downgrade"):
            ssm.put_parameter(Name="large", Value="x", Overwrite=True, Tier="Standard")

    def test_names_and_values_that_are_refused(self) -> None:
        ssm = self.client("ssm")
        for name, value in [("a b", "x"), ("a/b", "x"), ("ssmx", "x"), ("ok", "{{ssm:other}}")]:
            with self.subTest(name), self.refused("ValidationException"):
                ssm.put_parameter(Name=name, Type="String", Value=value)
        with self.refused("AccessDeniedException"):
            ssm.put_parameter(Name="/aws/x", Type="String", Value="x")
        with self.refused("ValidationException", says="type is required"):
            ssm.put_parameter(Name="untyped", Value="x")

    def test_filters_by_tags(self) -> None:
        ssm = self.client("ssm")
        for name, team in [("/tagged/a", "web"), ("/tagged/b", "data")]:
            ssm.put_parameter(Name=name, Type="String", Value="x", Tags=[{"Key": "runner:team", "Value": team}])
        self.settle()
        # ParameterStringFilter, Key: "tag:.+".
        for values, names in [(["web"], ["/tagged/a"]), (["web", "data"], ["/tagged/a", "/tagged/b"]), (["other"], [])]:
            found = ssm.describe_parameters(ParameterFilters=[{"Key": "tag:runner:team", "Values": values}])
            self.assertEqual([it["Name"] for it in found["Parameters"]], names)

    def test_pages(self) -> None:
        ssm = self.client("ssm")
        for at in range(3):
            ssm.put_parameter(Name=f"/paged/{at}", Type="String", Value="x")
        self.settle()
        self.paged(ssm, "describe_parameters", "Parameters", 2, lambda it: it["Name"],
                   ParameterFilters=[{"Key": "Name", "Option": "BeginsWith", "Values": ["/paged/"]}])


class Commands(Case):
    def test_a_command_on_an_instance(self) -> None:
        ssm, instance = self.client("ssm"), managed(self)
        of = [{"Key": "InstanceIds", "Values": [instance]}]
        self.until(lambda: ssm.describe_instance_information(Filters=of)["InstanceInformationList"], "it is managed")
        lines = ["echo hello", "echo careful >&2", "exit 2"]
        sent = ssm.send_command(InstanceIds=[instance], DocumentName="AWS-RunShellScript",
                                Parameters={"commands": lines}, Comment="a test")["Command"]
        self.assertEqual((sent["Status"], sent["InstanceIds"]), ("Pending", [instance]))
        self.settle()
        ask = {"CommandId": sent["CommandId"], "InstanceId": instance}
        self.until(lambda: ssm.get_command_invocation(**ask)["Status"] == "Failed", "it has ended")
        shown = ssm.get_command_invocation(**ask)
        self.assertEqual((shown["ResponseCode"], shown["StandardOutputContent"], shown["StandardErrorContent"]),
                         (2, "hello\n", "careful\n"))
        listed = ssm.list_command_invocations(CommandId=sent["CommandId"])["CommandInvocations"]
        self.assertEqual([(it["InstanceId"], it["Status"]) for it in listed], [(instance, "Failed")])
        with self.refused("InvocationDoesNotExist"):
            ssm.get_command_invocation(CommandId=sent["CommandId"], InstanceId="i-0123456789abcdef0")

    def test_what_is_refused(self) -> None:
        ssm = self.client("ssm")
        with self.refused("InvalidInstanceId", says="not in a valid state"):
            ssm.send_command(InstanceIds=["i-0123456789abcdef0"], DocumentName="AWS-RunShellScript",
                             Parameters={"commands": ["true"]})
        with self.refused("InvalidParameters"):
            ssm.send_command(InstanceIds=["i-0123456789abcdef0"], DocumentName="AWS-RunShellScript")
        with self.not_modelled("InvalidDocument"):
            ssm.send_command(InstanceIds=["i-0123456789abcdef0"], DocumentName="Other")


def managed(case: Case) -> str:
    """An instance with a role, launched by a group."""
    net, iam, groups = network(case), case.client("iam"), case.client("autoscaling")
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
    iam.create_role(RoleName="managed", AssumeRolePolicyDocument=json.dumps(trust))
    iam.create_instance_profile(InstanceProfileName="managed")
    case.settle()
    iam.add_role_to_instance_profile(InstanceProfileName="managed", RoleName="managed")
    case.advance(30)
    data = {"ImageId": "ami-healthy-1", "InstanceType": "t3.small", "IamInstanceProfile": {"Name": "managed"}}
    template = case.client("ec2").create_launch_template(LaunchTemplateName="managed", LaunchTemplateData=data)
    case.settle()
    launch = {"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"}
    groups.create_auto_scaling_group(AutoScalingGroupName="managed", MinSize=1, MaxSize=1, LaunchTemplate=launch,
                                     VPCZoneIdentifier=net.subnets[0])
    case.advance(300)
    return groups.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"][0]["InstanceId"]


class Caller(Case):
    def test_the_account_is_that_of_the_key(self) -> None:
        for account in ("210987654321", "111111111111"):
            shown = self.client("sts", account=account).get_caller_identity()
            self.assertEqual(shown["Account"], account)
            self.assertRegex(shown["Arn"], rf"^arn:aws:sts::{account}:assumed-role/[^/]+/[^/]+$")
            # "IAM identifiers": an assumed role's id is the role's, a colon, and the name of the session.
            self.assertRegex(shown["UserId"], r"^AROA\w+:.+$")
            self.assertEqual(shown["UserId"].split(":")[1], shown["Arn"].split("/")[2])

    def test_any_other_key_is_the_same_account(self) -> None:
        accounts = {self.client("sts", account=key).get_caller_identity()["Account"] for key in ("any", "AKIAEXAMPLE")}
        self.assertEqual(len(accounts), 1)
        self.assertRegex(accounts.pop(), r"^\d{12}$")

    def test_partitions(self) -> None:
        # "Amazon Resource Names (ARNs)": regions in China are of the partition aws-cn.
        shown = self.client("sts", region="cn-north-1").get_caller_identity()
        self.assertTrue(shown["Arn"].startswith("arn:aws-cn:sts::"), shown["Arn"])


if __name__ == "__main__":
    unittest.main()
