"""IAM: roles, inline and managed policies, instance profiles, their tags.

Codes and their HTTP statuses are those that the service model lists with the action. What else is expected is in the
API reference or in the user guide's page named beside it.
"""
import json
import unittest

from support import Case, network, tag_list, tags_of

AWS_POLICY = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"


def document(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


TRUST = document({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})
READ = document({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::shop/*"})
WRITE = document({"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": "*"})


class Identities(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.iam = cls.client("iam")

    def role(self, name: str, **params: object) -> str:
        made = self.iam.create_role(RoleName=name, **{"AssumeRolePolicyDocument": TRUST, **params})["Role"]["Arn"]
        self.settle()
        return made

    def policy(self, name: str, **params: object) -> str:
        made = self.iam.create_policy(PolicyName=name, **{"PolicyDocument": READ, **params})["Policy"]["Arn"]
        self.settle()
        return made

    def profile(self, name: str, **params: object) -> str:
        made = self.iam.create_instance_profile(InstanceProfileName=name, **params)["InstanceProfile"]["Arn"]
        self.settle()
        return made


class Roles(Identities):
    def test_a_new_role(self) -> None:
        made = self.iam.create_role(RoleName="new", AssumeRolePolicyDocument=TRUST, Path="/shop/", Description="d",
                                    MaxSessionDuration=7200, Tags=tag_list(Name="new"))["Role"]
        self.assertEqual(made["Arn"], "arn:aws:iam::210987654321:role/shop/new")
        self.assertRegex(made["RoleId"], "^AROA[A-Z0-9]{12,17}")  # "IAM identifiers": the prefix of roles
        self.assertEqual(made["AssumeRolePolicyDocument"], json.loads(TRUST))
        self.wait(self.iam, "role_exists", RoleName="new")
        self.settle()
        shown = self.iam.get_role(RoleName="new")["Role"]
        self.assertEqual((shown["Path"], shown["Description"], shown["MaxSessionDuration"], tags_of(shown)),
                         ("/shop/", "d", 7200, {"Name": "new"}))
        self.assertEqual(shown["RoleLastUsed"], {})
        listed = self.iam.list_roles(PathPrefix="/shop/")["Roles"]
        self.assertEqual([role["RoleName"] for role in listed], ["new"])
        # ListRoles: it does not return PermissionsBoundary, RoleLastUsed and Tags.
        self.assertFalse({"Tags", "RoleLastUsed", "PermissionsBoundary"} & set(listed[0]))
        self.assertEqual(self.client("iam", region="us-east-1").get_role(RoleName="new")["Role"], shown)

    def test_names(self) -> None:
        self.role("taken")
        with self.refused("EntityAlreadyExists", status=409):
            self.role("taken")
        # CreateRole, RoleName: "names are not distinguished by case".
        with self.refused("EntityAlreadyExists", status=409):
            self.role("TAKEN")
        with self.refused("ValidationError"):
            self.role("no spaces")
        with self.refused("ValidationError"):
            self.role("r" * 65)
        with self.refused("ValidationError"):
            self.role("path", Path="shop")
        for call in [self.iam.get_role, self.iam.delete_role, self.iam.list_role_tags, self.iam.list_role_policies,
                     self.iam.list_attached_role_policies, self.iam.list_instance_profiles_for_role]:
            with self.refused("NoSuchEntity", status=404):
                call(RoleName="absent")

    def test_trust_policies_are_checked(self) -> None:
        allow = {"Effect": "Allow", "Action": "sts:AssumeRole"}
        for wrong in ["{", document(allow), document({**allow, "Principal": {"Service": "ec2"}}),
                      document({**allow, "Principal": "*", "Resource": "*"}),
                      document({**allow, "Principal": {"AWS": "arn:aws:iam::210987654321:role/absent"}})]:
            with self.subTest(wrong), self.refused("MalformedPolicyDocument", status=400):
                self.role("refused", AssumeRolePolicyDocument=wrong)
        with self.refused("ValidationError"):
            self.role("refused", MaxSessionDuration=43201)

    def test_changes(self) -> None:
        self.role("changed")
        self.iam.update_role(RoleName="changed", Description="new", MaxSessionDuration=3601)
        trust = document({"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"})
        self.iam.update_assume_role_policy(RoleName="changed", PolicyDocument=trust)
        shown = self.iam.get_role(RoleName="changed")["Role"]
        self.assertEqual((shown["Description"], shown["MaxSessionDuration"], shown["AssumeRolePolicyDocument"]),
                         ("new", 3601, json.loads(trust)))
        with self.refused("MalformedPolicyDocument"):
            self.iam.update_assume_role_policy(RoleName="changed", PolicyDocument=READ)
        with self.refused("NoSuchEntity"):
            self.iam.update_role(RoleName="absent", Description="d")
        with self.refused("NoSuchEntity"):
            self.iam.update_assume_role_policy(RoleName="absent", PolicyDocument=trust)

    def test_tags(self) -> None:
        self.role("tagged", Tags=tag_list(colour="blue", size="big"))
        self.iam.tag_role(RoleName="tagged", Tags=tag_list(colour="green", shape="round"))
        self.iam.untag_role(RoleName="tagged", TagKeys=["size", "absent"])
        self.assertEqual(tags_of(self.iam.list_role_tags(RoleName="tagged")), {"colour": "green", "shape": "round"})
        self.paged(self.iam, "list_role_tags", "Tags", 1, lambda tag: tag["Key"], RoleName="tagged")
        with self.refused("LimitExceeded", status=409):
            self.iam.tag_role(RoleName="tagged", Tags=tag_list(**{f"tag{at}": "" for at in range(49)}))
        with self.refused("InvalidInput", "ValidationError"):
            self.iam.tag_role(RoleName="tagged", Tags=[{"Key": "aws:colour", "Value": "blue"}])
        for call in [lambda: self.iam.tag_role(RoleName="absent", Tags=tag_list(a="b")),
                     lambda: self.iam.untag_role(RoleName="absent", TagKeys=["a"])]:
            with self.refused("NoSuchEntity"):
                call()

    def test_inline_policies(self) -> None:
        self.role("inline")
        for name, text in [("read", READ), ("write", WRITE), ("read", WRITE)]:
            self.iam.put_role_policy(RoleName="inline", PolicyName=name, PolicyDocument=text)
        shown = self.iam.get_role_policy(RoleName="inline", PolicyName="read")
        self.assertEqual((shown["RoleName"], shown["PolicyName"], shown["PolicyDocument"]),
                         ("inline", "read", json.loads(WRITE)))
        self.paged(self.iam, "list_role_policies", "PolicyNames", 1, str, RoleName="inline")
        # DeleteRole: what must go first.
        with self.refused("DeleteConflict", status=409):
            self.iam.delete_role(RoleName="inline")
        for name in ("read", "write"):
            self.iam.delete_role_policy(RoleName="inline", PolicyName=name)
        for call in [self.iam.get_role_policy, self.iam.delete_role_policy]:
            with self.refused("NoSuchEntity", status=404):
                call(RoleName="inline", PolicyName="read")
        with self.refused("NoSuchEntity"):
            self.iam.put_role_policy(RoleName="absent", PolicyName="read", PolicyDocument=READ)
        for wrong in ["no", TRUST, document({"Effect": "Allow", "Action": "s3:GetObject"}),
                      document({"Effect": "Maybe", "Action": "s3:GetObject", "Resource": "*"}),
                      document({"Effect": "Allow", "Action": "GetObject", "Resource": "*"})]:
            with self.subTest(wrong), self.refused("MalformedPolicyDocument", status=400):
                self.iam.put_role_policy(RoleName="inline", PolicyName="wrong", PolicyDocument=wrong)
        # "IAM and AWS STS quotas": the inline policies of a role hold 10,240 characters.
        long = document({"Effect": "Allow", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{'b' * 60}{at}"
                                                                           for at in range(150)]})
        with self.refused("LimitExceeded", status=409):
            self.iam.put_role_policy(RoleName="inline", PolicyName="long", PolicyDocument=long)
        self.iam.delete_role(RoleName="inline")
        self.settle()
        with self.refused("NoSuchEntity", status=404):
            self.iam.get_role(RoleName="inline")

    def test_managed_policies(self) -> None:
        self.role("managed")
        policy = self.policy("for-role", Path="/shop/")
        for arn in (policy, AWS_POLICY, policy):
            self.iam.attach_role_policy(RoleName="managed", PolicyArn=arn)
        attached = self.paged(self.iam, "list_attached_role_policies", "AttachedPolicies", 1,
                              lambda it: it["PolicyArn"], RoleName="managed")
        self.assertCountEqual(attached, [{"PolicyName": "for-role", "PolicyArn": policy},
                                         {"PolicyName": "AmazonSSMManagedInstanceCore", "PolicyArn": AWS_POLICY}])
        own = self.iam.list_attached_role_policies(RoleName="managed", PathPrefix="/shop/")["AttachedPolicies"]
        self.assertEqual([it["PolicyArn"] for it in own], [policy])
        with self.refused("DeleteConflict", status=409):
            self.iam.delete_role(RoleName="managed")
        with self.refused("DeleteConflict", status=409):
            self.iam.delete_policy(PolicyArn=policy)
        for arn in (policy, AWS_POLICY):
            self.iam.detach_role_policy(RoleName="managed", PolicyArn=arn)
        with self.refused("NoSuchEntity", status=404):
            self.iam.detach_role_policy(RoleName="managed", PolicyArn=policy)
        with self.refused("NoSuchEntity", status=404):
            self.iam.attach_role_policy(RoleName="managed", PolicyArn=policy + "-absent")
        with self.refused("NoSuchEntity", status=404):
            self.iam.attach_role_policy(RoleName="absent", PolicyArn=policy)
        with self.refused("InvalidInput", "ValidationError", status=400):
            self.iam.attach_role_policy(RoleName="managed", PolicyArn="a policy that is no arn")
        for at in range(10):
            arn = self.policy(f"many-{at}")
            self.iam.attach_role_policy(RoleName="managed", PolicyArn=arn)
        # "IAM and AWS STS quotas": ten managed policies per role.
        with self.refused("LimitExceeded", status=409):
            self.iam.attach_role_policy(RoleName="managed", PolicyArn=policy)

    def test_boundaries(self) -> None:
        policy = self.policy("boundary")
        self.role("bounded", PermissionsBoundary=policy)
        self.role("unbounded")
        self.iam.put_role_permissions_boundary(RoleName="unbounded", PermissionsBoundary=policy)
        for name in ("bounded", "unbounded"):
            shown = self.iam.get_role(RoleName=name)["Role"]["PermissionsBoundary"]
            self.assertEqual(shown, {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": policy})
        self.assertEqual(self.iam.get_policy(PolicyArn=policy)["Policy"]["PermissionsBoundaryUsageCount"], 2)
        users = self.iam.list_entities_for_policy(PolicyArn=policy, PolicyUsageFilter="PermissionsBoundary")
        self.assertCountEqual([role["RoleName"] for role in users["PolicyRoles"]], ["bounded", "unbounded"])
        with self.refused("DeleteConflict", status=409):
            self.iam.delete_policy(PolicyArn=policy)
        self.iam.delete_role_permissions_boundary(RoleName="unbounded")
        self.assertNotIn("PermissionsBoundary", self.iam.get_role(RoleName="unbounded")["Role"])
        with self.refused("NoSuchEntity", status=404):
            self.iam.put_role_permissions_boundary(RoleName="unbounded", PermissionsBoundary=policy + "-absent")
        with self.refused("NoSuchEntity", status=404):
            self.iam.put_role_permissions_boundary(RoleName="absent", PermissionsBoundary=policy)

    def test_pages(self) -> None:
        for at in range(4):
            self.role(f"page-{at}", Path="/pages/")
        self.paged(self.iam, "list_roles", "Roles", 2, lambda role: role["RoleName"], PathPrefix="/pages/")
        first = self.iam.list_roles(PathPrefix="/pages/", MaxItems=1)
        self.assertIs(first["IsTruncated"], True)
        self.has(first, "Marker")
        with self.refused("ValidationError", "InvalidInput"):
            self.iam.list_roles(Marker="nonsense")

    def test_keys_of_tags_have_no_case(self) -> None:
        # "Tags for IAM resources": "Tag key values […] for IAM users and roles are not case sensitive, but case is
        # preserved. This means that you cannot have separate Department and department tag keys."
        self.role("cased", Tags=tag_list(Department="foo"))
        self.iam.tag_role(RoleName="cased", Tags=tag_list(department="bar"))
        self.assertEqual([tag["Value"] for tag in self.iam.list_role_tags(RoleName="cased")["Tags"]], ["bar"])


class Policies(Identities):
    def test_a_new_policy(self) -> None:
        made = self.iam.create_policy(PolicyName="new", PolicyDocument=READ, Path="/shop/", Description="d",
                                      Tags=tag_list(Name="new"))["Policy"]
        self.assertEqual(made["Arn"], "arn:aws:iam::210987654321:policy/shop/new")
        self.assertEqual((made["DefaultVersionId"], made["AttachmentCount"], made["IsAttachable"]), ("v1", 0, True))
        self.has(made, "PolicyId", "CreateDate", "UpdateDate")
        self.wait(self.iam, "policy_exists", PolicyArn=made["Arn"])
        self.settle()
        shown = self.iam.get_policy(PolicyArn=made["Arn"])["Policy"]
        self.assertEqual((shown["Description"], tags_of(shown), shown["Path"]), ("d", {"Name": "new"}, "/shop/"))
        listed = self.iam.list_policies(Scope="Local", PathPrefix="/shop/")["Policies"]
        # ListPolicies: no tags; Policy, Description: "This element is included in the response to the GetPolicy
        # operation. It is not included in the response to the ListPolicies operation."
        self.assertEqual([policy["PolicyName"] for policy in listed], ["new"])
        self.assertFalse({"Tags", "Description"} & set(listed[0]))
        with self.refused("EntityAlreadyExists", status=409):
            self.policy("new", Path="/shop/")
        with self.refused("MalformedPolicyDocument"):
            self.policy("refused", PolicyDocument=TRUST)

    def test_versions(self) -> None:
        policy = self.policy("versions")

        def create(**params: object) -> dict:
            return self.iam.create_policy_version(PolicyArn=policy, PolicyDocument=WRITE, **params)["PolicyVersion"]

        self.assertEqual([create()["VersionId"], create(SetAsDefault=True)["VersionId"]], ["v2", "v3"])
        shown = self.iam.get_policy_version(PolicyArn=policy, VersionId="v1")["PolicyVersion"]
        self.assertEqual((shown["Document"], shown["IsDefaultVersion"]), (json.loads(READ), False))
        versions = self.iam.list_policy_versions(PolicyArn=policy)["Versions"]
        self.assertEqual([(it["VersionId"], it["IsDefaultVersion"]) for it in versions],
                         [("v3", True), ("v2", False), ("v1", False)])
        self.assertEqual(self.iam.get_policy(PolicyArn=policy)["Policy"]["DefaultVersionId"], "v3")
        self.iam.set_default_policy_version(PolicyArn=policy, VersionId="v2")
        self.assertEqual(self.iam.get_policy(PolicyArn=policy)["Policy"]["DefaultVersionId"], "v2")
        # DeletePolicyVersion: "You cannot delete the default version"
        with self.refused("DeleteConflict", status=409):
            self.iam.delete_policy_version(PolicyArn=policy, VersionId="v2")
        create(), create()
        # CreatePolicyVersion: "A managed policy can have up to five versions."
        with self.refused("LimitExceeded", status=409):
            create()
        # DeletePolicy: all versions but the default one must go first.
        with self.refused("DeleteConflict", status=409):
            self.iam.delete_policy(PolicyArn=policy)
        for version in ("v1", "v3", "v4", "v5"):
            self.iam.delete_policy_version(PolicyArn=policy, VersionId=version)
        for call in [self.iam.get_policy_version, self.iam.delete_policy_version, self.iam.set_default_policy_version]:
            with self.refused("NoSuchEntity", status=404):
                call(PolicyArn=policy, VersionId="v9")
        # "Versioning IAM policies": numbers are not given again.
        self.assertEqual(create()["VersionId"], "v6")
        self.iam.delete_policy_version(PolicyArn=policy, VersionId="v6")
        self.iam.delete_policy(PolicyArn=policy)
        self.settle()
        for call in [self.iam.get_policy, self.iam.delete_policy, self.iam.list_policy_versions,
                     self.iam.list_entities_for_policy, self.iam.list_policy_tags]:
            with self.refused("NoSuchEntity", status=404):
                call(PolicyArn=policy)

    def test_who_has_it(self) -> None:
        policy = self.policy("held")
        for name in ("first", "second", "third"):
            self.role(name)
            self.iam.attach_role_policy(RoleName=name, PolicyArn=policy)
        roles = self.iam.list_entities_for_policy(PolicyArn=policy, EntityFilter="Role")["PolicyRoles"]
        self.assertCountEqual([role["RoleName"] for role in roles], ["first", "second", "third"])
        for role in roles:
            self.has(role, "RoleId")
        pages = self.pages(self.iam, "list_entities_for_policy", "PolicyRoles", 2, PolicyArn=policy)
        self.assertEqual(sorted(role["RoleName"] for page in pages for role in page), ["first", "second", "third"])
        self.assertEqual(self.iam.get_policy(PolicyArn=policy)["Policy"]["AttachmentCount"], 3)
        self.policy("idle")
        attached = self.iam.list_policies(Scope="Local", OnlyAttached=True)["Policies"]
        self.assertEqual([it["PolicyName"] for it in attached], ["held"])

    def test_tags_and_pages(self) -> None:
        policies = [self.policy(f"page-{at}", Path="/pages/") for at in range(3)]
        self.paged(self.iam, "list_policies", "Policies", 2, lambda it: it["Arn"], Scope="Local", PathPrefix="/pages/")
        self.iam.tag_policy(PolicyArn=policies[0], Tags=tag_list(colour="blue", size="big", shape="round"))
        self.iam.untag_policy(PolicyArn=policies[0], TagKeys=["size"])
        self.assertEqual(tags_of(self.iam.list_policy_tags(PolicyArn=policies[0])),
                         {"colour": "blue", "shape": "round"})
        self.paged(self.iam, "list_policy_tags", "Tags", 1, lambda tag: tag["Key"], PolicyArn=policies[0])
        for call in [lambda: self.iam.tag_policy(PolicyArn=policies[0] + "0", Tags=tag_list(a="b")),
                     lambda: self.iam.untag_policy(PolicyArn=policies[0] + "0", TagKeys=["a"])]:
            with self.refused("NoSuchEntity"):
                call()

    def test_policies_of_aws(self) -> None:
        shown = self.iam.get_policy(PolicyArn=AWS_POLICY)["Policy"]
        self.assertEqual((shown["PolicyName"], shown["Arn"], shown["IsAttachable"]),
                         ("AmazonSSMManagedInstanceCore", AWS_POLICY, True))
        # By design: what is in them is not modelled, nor are they listed.
        with self.not_modelled("InvalidInput"):
            self.iam.get_policy_version(PolicyArn=AWS_POLICY, VersionId="v1")
        with self.refused("InvalidInput"):
            self.iam.list_policies()

    def test_policies_of_aws_have_dates(self) -> None:
        # Policy, CreateDate and UpdateDate: the example response of GetPolicy has them.
        self.has(self.iam.get_policy(PolicyArn=AWS_POLICY)["Policy"], "CreateDate", "UpdateDate")


class InstanceProfiles(Identities):
    def test_from_creation_to_deletion(self) -> None:
        self.role("web"), self.role("other")
        made = self.iam.create_instance_profile(InstanceProfileName="web", Path="/shop/",
                                                Tags=tag_list(Name="web"))["InstanceProfile"]
        self.assertEqual(made["Arn"], "arn:aws:iam::210987654321:instance-profile/shop/web")
        self.assertRegex(made["InstanceProfileId"], "^AIPA")
        self.assertEqual(made["Roles"], [])
        self.wait(self.iam, "instance_profile_exists", InstanceProfileName="web")
        self.settle()
        with self.refused("EntityAlreadyExists", status=409):
            self.profile("web")
        self.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
        # "An instance profile can contain only one role, and this quota cannot be increased."
        with self.refused("LimitExceeded", status=409):
            self.iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="other")
        shown = self.iam.get_instance_profile(InstanceProfileName="web")["InstanceProfile"]
        self.assertEqual([role["RoleName"] for role in shown["Roles"]], ["web"])
        self.assertEqual(shown["Roles"][0]["AssumeRolePolicyDocument"], json.loads(TRUST))
        self.assertEqual(tags_of(shown), {"Name": "web"})
        of_role = self.iam.list_instance_profiles_for_role(RoleName="web")["InstanceProfiles"]
        self.assertEqual([it["InstanceProfileName"] for it in of_role], ["web"])
        for call in [lambda: self.iam.delete_instance_profile(InstanceProfileName="web"),
                     lambda: self.iam.delete_role(RoleName="web")]:
            with self.refused("DeleteConflict", status=409):
                call()
        with self.refused("NoSuchEntity"):
            self.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="other")
        self.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="web")
        with self.refused("NoSuchEntity"):
            self.iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="web")
        for profile, role in [("absent", "web"), ("web", "absent")]:
            with self.refused("NoSuchEntity", status=404):
                self.iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=role)
        self.iam.delete_instance_profile(InstanceProfileName="web")
        self.settle()
        for call in [self.iam.get_instance_profile, self.iam.delete_instance_profile,
                     self.iam.list_instance_profile_tags]:
            with self.refused("NoSuchEntity", status=404):
                call(InstanceProfileName="web")

    def test_tags_and_pages(self) -> None:
        self.role("paged")
        for at in range(3):
            self.profile(f"page-{at}", Path="/pages/")
            self.iam.add_role_to_instance_profile(InstanceProfileName=f"page-{at}", RoleName="paged")
        self.paged(self.iam, "list_instance_profiles", "InstanceProfiles", 2, lambda it: it["Arn"],
                   PathPrefix="/pages/")
        self.paged(self.iam, "list_instance_profiles_for_role", "InstanceProfiles", 2, lambda it: it["Arn"],
                   RoleName="paged")
        one = {"InstanceProfileName": "page-0"}
        self.iam.tag_instance_profile(**one, Tags=tag_list(colour="blue", size="big", shape="round"))
        self.iam.untag_instance_profile(**one, TagKeys=["size"])
        self.assertEqual(tags_of(self.iam.list_instance_profile_tags(**one)), {"colour": "blue", "shape": "round"})
        self.paged(self.iam, "list_instance_profile_tags", "Tags", 1, lambda tag: tag["Key"], **one)

    def test_ec2_hears_of_it_late(self) -> None:
        # "Changes that I make are not always immediately visible": IAM shows it, EC2 and Auto Scaling do not know it
        # yet.
        ec2, scaling, net = self.client("ec2"), self.client("autoscaling"), network(self)
        ec2.create_launch_template(LaunchTemplateName="late", LaunchTemplateData={
            "ImageId": "ami-healthy-1", "InstanceType": "t3.small", "IamInstanceProfile": {"Name": "late"}})
        self.role("late"), self.profile("late")
        group = {"AutoScalingGroupName": "late", "MinSize": 0, "MaxSize": 1, "VPCZoneIdentifier": net.subnets[0],
                 "LaunchTemplate": {"LaunchTemplateName": "late"}}
        self.iam.add_role_to_instance_profile(InstanceProfileName="late", RoleName="late")
        self.iam.get_instance_profile(InstanceProfileName="late")
        with self.refused("ValidationError", says="Invalid IAM Instance Profile name"):
            scaling.create_auto_scaling_group(**group)
        self.advance(30)
        scaling.create_auto_scaling_group(**group)

    def test_keys_of_tags_are_given_once(self) -> None:
        # IAM answers InvalidInput, "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        with self.refused("InvalidInput"):
            self.profile("twice", Tags=tag_list(a="1") + tag_list(a="2"))


if __name__ == "__main__":
    unittest.main()
