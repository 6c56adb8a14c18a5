"""Secrets Manager: secrets and their versions.

What is expected is in the API reference of the action.
"""
import unittest

from support import Case, tag_list, tags_of


class Secrets(Case):
    def test_from_its_making_to_its_end(self) -> None:
        secrets = self.client("secretsmanager")
        made = secrets.create_secret(Name="shop/db", Description="of the shop", SecretString="one", Tags=tag_list(team="web"))
        self.assertRegex(made["ARN"], r"^arn:aws:secretsmanager:eu-central-1:210987654321:secret:shop/db-\w{6}$")
        self.settle()
        for name in ("shop/db", made["ARN"]):
            shown = secrets.get_secret_value(SecretId=name)
            self.assertEqual((shown["SecretString"], shown["VersionStages"]), ("one", ["AWSCURRENT"]))
            self.assertEqual(shown["VersionId"], made["VersionId"])
        shown = secrets.describe_secret(SecretId="shop/db")
        self.assertEqual((shown["Description"], tags_of(shown)), ("of the shop", {"team": "web"}))
        self.assertNotIn("SecretString", shown)

        second = secrets.put_secret_value(SecretId="shop/db", SecretString="two")["VersionId"]
        self.assertEqual(secrets.get_secret_value(SecretId="shop/db")["SecretString"], "two")
        before = secrets.get_secret_value(SecretId="shop/db", VersionStage="AWSPREVIOUS")
        self.assertEqual((before["SecretString"], before["VersionId"]), ("one", made["VersionId"]))
        self.assertEqual(secrets.get_secret_value(SecretId="shop/db", VersionId=second)["SecretString"], "two")
        with self.refused("ResourceNotFoundException", says="staging label"):
            secrets.get_secret_value(SecretId="shop/db", VersionStage="AWSPENDING")
        self.assertEqual([it["Name"] for it in secrets.list_secrets()["SecretList"]], ["shop/db"])

        # DeleteSecret: "the default recovery window is 30 days".
        secrets.delete_secret(SecretId="shop/db")
        with self.refused("InvalidRequestException", says="marked for deletion"):
            secrets.get_secret_value(SecretId="shop/db")
        self.has(secrets.describe_secret(SecretId="shop/db"), "DeletedDate")
        with self.refused("InvalidRequestException"):
            secrets.create_secret(Name="shop/db", SecretString="three")
        self.assertEqual(secrets.list_secrets()["SecretList"], [])

    def test_the_recovery_window_ends(self) -> None:
        secrets = self.client("secretsmanager")
        secrets.create_secret(Name="due", SecretString="one")
        self.settle()
        secrets.delete_secret(SecretId="due", RecoveryWindowInDays=7)
        self.advance(6 * 24 * 3600)
        with self.refused("InvalidRequestException"):
            secrets.create_secret(Name="due", SecretString="two")
        # DeleteSecret: "At the end of the recovery window, Secrets Manager deletes the secret permanently."
        self.advance(25 * 3600)
        with self.refused("ResourceNotFoundException", status=400):
            secrets.describe_secret(SecretId="due")
        secrets.create_secret(Name="due", SecretString="three")
        self.settle()
        # One that was to go later goes at once by force, and what is made anew under its name stays.
        secrets.delete_secret(SecretId="due", RecoveryWindowInDays=7)
        secrets.delete_secret(SecretId="due", ForceDeleteWithoutRecovery=True)
        self.settle()
        secrets.create_secret(Name="due", SecretString="four")
        self.advance(8 * 24 * 3600)
        self.assertEqual(secrets.get_secret_value(SecretId="due")["SecretString"], "four")

    def test_at_once(self) -> None:
        secrets = self.client("secretsmanager")
        secrets.create_secret(Name="short", SecretString="one")
        self.settle()
        with self.refused("ResourceExistsException", status=400):
            secrets.create_secret(Name="short", SecretString="two")
        with self.refused("InvalidParameterException"):
            secrets.delete_secret(SecretId="short", ForceDeleteWithoutRecovery=True, RecoveryWindowInDays=7)
        secrets.delete_secret(SecretId="short", ForceDeleteWithoutRecovery=True)
        self.settle()
        with self.refused("ResourceNotFoundException", status=400):
            secrets.get_secret_value(SecretId="short")

    def test_pages(self) -> None:
        secrets = self.client("secretsmanager")
        for at in range(3):
            secrets.create_secret(Name=f"paged-{at}", SecretString="x")
        self.settle()
        self.paged(secrets, "list_secrets", "SecretList", 2, lambda it: it["Name"])


if __name__ == "__main__":
    unittest.main()
