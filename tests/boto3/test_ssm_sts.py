"""Systems Manager's public parameters, and STS: who is asking.

What is expected is in the API reference of the action, or in the guide's page named beside it.
"""
import unittest

from support import Case

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
