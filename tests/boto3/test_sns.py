"""SNS: topics, their attributes and tags, and subscriptions.

What is expected is in the API reference of the action, or in the guide's page named beside it.
"""
import json
import unittest

from support import ACCOUNT, Case, REGION, tag_list, tags_of

QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:alerts"


class Topics(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.sns = cls.client("sns")

    def topic(self, name: str, **params: object) -> str:
        return self.sns.create_topic(Name=name, **params)["TopicArn"]

    def shown(self, arn: str) -> dict:
        return self.sns.get_topic_attributes(TopicArn=arn)["Attributes"]

    def subscriptions(self, arn: str) -> list[dict]:
        return self.sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]

    def test_a_topic_is_made_once(self) -> None:
        arn = self.topic("once", Attributes={"DisplayName": "Shop"}, Tags=tag_list(team="web"))
        self.assertEqual(arn, f"arn:aws:sns:{REGION}:{ACCOUNT}:once")
        # "This action is idempotent, so if the requester already owns a topic with the specified name, that topic's ARN is
        # returned without creating a new topic."
        self.assertEqual(self.topic("once"), arn)
        self.assertEqual(self.topic("once", Attributes={"DisplayName": "Shop"}, Tags=tag_list(team="web")), arn)
        with self.refused("InvalidParameter", status=400, says="different attributes"):
            self.topic("once", Attributes={"DisplayName": "Other"})
        with self.refused("InvalidParameter", says="different tags"):
            self.topic("once", Tags=tag_list(team="other"))
        self.assertIn({"TopicArn": arn}, self.sns.list_topics()["Topics"])
        self.sns.delete_topic(TopicArn=arn)
        self.sns.delete_topic(TopicArn=arn)  # "deleting a topic that does not exist does not result in an error"
        with self.refused("NotFound", status=404):
            self.shown(arn)

    def test_attributes(self) -> None:
        arn = self.topic("attributes")
        shown = self.shown(arn)
        self.assertEqual((shown["TopicArn"], shown["Owner"], shown["DisplayName"]), (arn, ACCOUNT, ""))
        self.assertEqual((shown["SubscriptionsConfirmed"], shown["SubscriptionsPending"]), ("0", "0"))
        self.assertEqual(json.loads(shown["Policy"])["Statement"][0]["Resource"], arn)
        self.has(shown, "EffectiveDeliveryPolicy")
        for name, value in [("DisplayName", "Shop"), ("KmsMasterKeyId", "alias/aws/sns"),
                            ("Policy", json.dumps({"Version": "2012-10-17", "Statement": []}))]:
            self.sns.set_topic_attributes(TopicArn=arn, AttributeName=name, AttributeValue=value)
            self.assertEqual(self.shown(arn)[name], value)
        self.sns.set_topic_attributes(TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue="")
        self.assertNotIn("KmsMasterKeyId", self.shown(arn))
        for name, value in [("Colour", "blue"), ("DisplayName", "a" * 101), ("Policy", "none")]:
            with self.subTest(name), self.refused("InvalidParameter", status=400):
                self.sns.set_topic_attributes(TopicArn=arn, AttributeName=name, AttributeValue=value)
        for name in ["", "a b", "a" * 257]:
            with self.subTest(name), self.refused("InvalidParameter"):
                self.topic(name)

    def test_tags(self) -> None:
        arn = self.topic("tags", Tags=tag_list(team="web", old="yes"))
        self.sns.tag_resource(ResourceArn=arn, Tags=tag_list(team="shop", more="yes"))
        self.sns.untag_resource(ResourceArn=arn, TagKeys=["old"])
        self.assertEqual(tags_of(self.sns.list_tags_for_resource(ResourceArn=arn)), {"team": "shop", "more": "yes"})
        with self.refused("TagLimitExceeded"):
            self.sns.tag_resource(ResourceArn=arn, Tags=tag_list(**{f"tag{at}": "" for at in range(50)}))
        with self.refused("ResourceNotFound", status=404):
            self.sns.list_tags_for_resource(ResourceArn=arn + "-absent")

    def test_a_password_is_not_shown(self) -> None:
        arn = self.topic("pager")
        made = self.sns.subscribe(TopicArn=arn, Protocol="https", Endpoint="https://pager:hunter2@example.com/shop?a=b",
                                  ReturnSubscriptionArn=True)["SubscriptionArn"]
        attributes = self.sns.get_subscription_attributes(SubscriptionArn=made)["Attributes"]
        for shown in [self.subscriptions(arn)[0], attributes]:
            self.assertEqual(shown["Endpoint"], "https://pager:****@example.com/shop?a=b")

    def test_who_is_asked_by_mail_has_to_confirm(self) -> None:
        arn = self.topic("mail")
        made = self.sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="oncall@example.com")
        self.assertEqual(made["SubscriptionArn"], "pending confirmation")
        # "If you set this parameter to true, the response includes the ARN in all cases".
        again = self.sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="oncall@example.com",
                                   ReturnSubscriptionArn=True)["SubscriptionArn"]
        self.assertTrue(again.startswith(arn + ":"))
        [shown] = self.subscriptions(arn)
        self.assertEqual((shown["SubscriptionArn"], shown["Endpoint"], shown["Protocol"], shown["TopicArn"]),
                         ("PendingConfirmation", "oncall@example.com", "email", arn))
        self.assertEqual(self.shown(arn)["SubscriptionsPending"], "1")
        attributes = self.sns.get_subscription_attributes(SubscriptionArn=again)["Attributes"]
        self.assertEqual(attributes["PendingConfirmation"], "true")
        with self.refused("InvalidParameter", says="pending confirmation"):
            self.sns.unsubscribe(SubscriptionArn=again)
        # "Confirmation tokens are valid for two days."
        self.advance(47 * 3600)
        self.assertEqual(len(self.subscriptions(arn)), 1)
        self.advance(2 * 3600)
        self.assertEqual(self.subscriptions(arn), [])

    def test_a_queue_is_told_at_once(self) -> None:
        arn = self.topic("queue")
        made = self.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=QUEUE,
                                  Attributes={"RawMessageDelivery": "true"})["SubscriptionArn"]
        self.assertEqual([it["SubscriptionArn"] for it in self.subscriptions(arn)], [made])
        attributes = self.sns.get_subscription_attributes(SubscriptionArn=made)["Attributes"]
        self.assertEqual((attributes["RawMessageDelivery"], attributes["Endpoint"], attributes["PendingConfirmation"]),
                         ("true", QUEUE, "false"))
        self.assertEqual(self.shown(arn)["SubscriptionsConfirmed"], "1")
        self.sns.unsubscribe(SubscriptionArn=made)
        self.assertEqual(self.subscriptions(arn), [])
        self.assertEqual(self.shown(arn)["SubscriptionsDeleted"], "1")
        with self.refused("NotFound", status=404):
            self.sns.get_subscription_attributes(SubscriptionArn=made)
        # "if the endpoint and the topic are not in the same Amazon Web Services account, the endpoint owner must […] confirm"
        self.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=QUEUE.replace(ACCOUNT, "111111111111"))
        self.assertEqual(self.subscriptions(arn)[0]["SubscriptionArn"], "PendingConfirmation")

    def test_what_is_refused(self) -> None:
        arn = self.topic("refused")
        for protocol, endpoint in [("email", "oncall"), ("https", "http://a"), ("sqs", "queue"), ("pigeon", "x"),
                                   ("sms", "1")]:
            with self.subTest(protocol), self.refused("InvalidParameter", status=400):
                self.sns.subscribe(TopicArn=arn, Protocol=protocol, Endpoint=endpoint)
        with self.refused("InvalidParameter"):
            self.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=QUEUE, Attributes={"Colour": "blue"})
        with self.refused("NotFound"):
            self.sns.subscribe(TopicArn=arn + "-absent", Protocol="sqs", Endpoint=QUEUE)
        with self.refused("InvalidParameter"):
            self.sns.unsubscribe(SubscriptionArn="pending confirmation")

    def test_pages(self) -> None:
        for at in range(101):
            self.topic(f"page-{at:03}")
        pages = self.pages(self.sns, "list_topics", "Topics")
        self.assertEqual(len(pages[0]), 100)
        names = [it["TopicArn"] for page in pages for it in page]
        self.assertEqual(len(names), len(set(names)))


if __name__ == "__main__":
    unittest.main()
