"""CloudWatch Logs: log groups, their retention, key and tags.

What is expected is in the API reference of the action.
"""
import unittest

from support import ACCOUNT, Case, REGION

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0a1b2c3d"


class Groups(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.logs = cls.client("logs")

    def shown(self, name: str) -> dict:
        groups = self.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        return next(group for group in groups if group["logGroupName"] == name)

    def test_a_group(self) -> None:
        self.logs.create_log_group(logGroupName="/shop/web", tags={"team": "web"})
        shown = self.shown("/shop/web")
        arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/shop/web"
        # LogGroup: one ARN with `:*` at its end, one without.
        self.assertEqual((shown["arn"], shown["logGroupArn"]), (arn + ":*", arn))
        self.assertEqual((shown["storedBytes"], shown["logGroupClass"]), (0, "STANDARD"))
        self.assertNotIn("retentionInDays", shown)  # "By default, log events […] do not expire."
        with self.refused("ResourceAlreadyExistsException", status=400):
            self.logs.create_log_group(logGroupName="/shop/web")
        self.logs.delete_log_group(logGroupName="/shop/web")
        for call in [self.logs.delete_log_group, self.logs.delete_retention_policy]:
            with self.refused("ResourceNotFoundException", status=400):
                call(logGroupName="/shop/web")

    def test_retention(self) -> None:
        self.logs.create_log_group(logGroupName="retention")
        self.logs.put_retention_policy(logGroupName="retention", retentionInDays=30)
        self.assertEqual(self.shown("retention")["retentionInDays"], 30)
        # Days: the possible values.
        with self.refused("InvalidParameterException"):
            self.logs.put_retention_policy(logGroupName="retention", retentionInDays=31)
        self.logs.delete_retention_policy(logGroupName="retention")
        self.assertNotIn("retentionInDays", self.shown("retention"))

    def test_keys(self) -> None:
        self.logs.create_log_group(logGroupName="keys", kmsKeyId=KEY)
        self.assertEqual(self.shown("keys")["kmsKeyId"], KEY)
        self.logs.associate_kms_key(logGroupName="keys", kmsKeyId=KEY + "4")
        self.assertEqual(self.shown("keys")["kmsKeyId"], KEY + "4")
        self.logs.disassociate_kms_key(logGroupName="keys")
        self.assertNotIn("kmsKeyId", self.shown("keys"))

    def test_tags(self) -> None:
        self.logs.create_log_group(logGroupName="tags", tags={"team": "web", "old": "yes"})
        arn = self.shown("tags")["logGroupArn"]
        self.logs.tag_resource(resourceArn=arn, tags={"team": "shop"})
        self.logs.untag_resource(resourceArn=arn, tagKeys=["old"])
        self.assertEqual(self.logs.list_tags_for_resource(resourceArn=arn)["tags"], {"team": "shop"})
        with self.refused("TooManyTagsException"):
            self.logs.tag_resource(resourceArn=arn, tags={f"tag{at}": "" for at in range(50)})
        with self.refused("ResourceNotFoundException"):
            self.logs.list_tags_for_resource(resourceArn=arn + "-absent")

    def test_names(self) -> None:
        for name in ["a b", "aws/mine"]:
            with self.subTest(name), self.refused("InvalidParameterException", status=400):
                self.logs.create_log_group(logGroupName=name)

    def test_lists(self) -> None:
        for name in ["list/a", "list/b", "other/list"]:
            self.logs.create_log_group(logGroupName=name)
        self.paged(self.logs, "describe_log_groups", "logGroups", 1, lambda it: it["logGroupName"],
                   logGroupNamePrefix="list/")
        shown = self.logs.describe_log_groups(logGroupNamePattern="list")["logGroups"]
        self.assertEqual([it["logGroupName"] for it in shown], ["list/a", "list/b", "other/list"])
        with self.refused("InvalidParameterException", says="mutually exclusive"):
            self.logs.describe_log_groups(logGroupNamePattern="list", logGroupNamePrefix="list")


if __name__ == "__main__":
    unittest.main()
