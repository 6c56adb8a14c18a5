"""EC2's instances and what they are made of: images, types, launch templates, volumes.

RunInstances is not modelled: instances are those of Auto Scaling groups. Codes are those of "Error codes for the Amazon
EC2 API"; what else is expected is in the API reference of the action named beside it, or in botocore's model of it.
"""
import base64
import unittest

from botocore.exceptions import ClientError

from support import Case, named, network, tag_list, tags_of

ABSENT = "0123456789abcdef0"
BAD_FILTER = ("InvalidParameterValue", "InvalidFilter")  # as in test_ec2_network
SMALL = {"ImageId": "ami-healthy-1", "InstanceType": "t3.small"}


class Images(Case):
    def test_images(self) -> None:
        ec2 = self.client("ec2")
        shown = ec2.describe_images(ImageIds=["ami-healthy-1"])["Images"][0]
        self.has(shown, "ImageId", "ImageLocation", "OwnerId", "CreationDate", "Architecture", "Name", "Description",
                 "RootDeviceName", "RootDeviceType", "VirtualizationType", "ImageType", "Hypervisor")
        self.assertEqual((shown["State"], shown["Public"], shown["EnaSupport"]), ("available", False, True))
        root = shown["BlockDeviceMappings"][0]
        self.assertEqual(root["DeviceName"], shown["RootDeviceName"])
        self.has(root["Ebs"], "VolumeSize", "VolumeType", "DeleteOnTermination")
        self.wait(ec2, "image_exists", ImageIds=["ami-healthy-1"])
        self.wait(ec2, "image_available", ImageIds=["ami-healthy-1"])
        own = ec2.describe_images(Owners=["self"])["Images"]
        amazons = ec2.describe_images(Owners=["amazon"])["Images"]
        self.assertEqual({image["OwnerId"] for image in own}, {"210987654321"})
        self.assertEqual({image["ImageOwnerAlias"] for image in amazons}, {"amazon"})
        by_id = ec2.describe_images(Owners=[amazons[0]["OwnerId"]])["Images"]
        self.assertCountEqual([image["ImageId"] for image in by_id], [image["ImageId"] for image in amazons])
        newest = ec2.describe_images(Filters=[{"Name": "name", "Values": ["al2023-ami-2023*"]},
                                              {"Name": "architecture", "Values": ["arm64"]}])["Images"]
        self.assertEqual({image["Architecture"] for image in newest}, {"arm64"})
        tagged = ec2.describe_images(Filters=[{"Name": "tag:version", "Values": ["2"]}])["Images"]
        self.assertEqual([image["ImageId"] for image in tagged], ["ami-healthy-2"])
        with self.refused("InvalidAMIID.NotFound"):
            ec2.describe_images(ImageIds=[f"ami-{ABSENT}"])
        with self.refused("InvalidAMIID.Malformed"):
            ec2.describe_images(ImageIds=["image"])
        with self.refused(*BAD_FILTER):
            ec2.describe_images(Filters=[{"Name": "colour", "Values": ["blue"]}])
        self.paged(ec2, "describe_images", "Images", 5, lambda image: image["ImageId"])


class Types(Case):
    def test_types(self) -> None:
        ec2 = self.client("ec2")
        shown = ec2.describe_instance_types(InstanceTypes=["m7g.large", "t3.small"])["InstanceTypes"]
        kinds = {kind["InstanceType"]: kind for kind in shown}
        self.assertEqual(kinds["m7g.large"]["ProcessorInfo"]["SupportedArchitectures"], ["arm64"])
        self.assertEqual((kinds["t3.small"]["VCpuInfo"]["DefaultVCpus"], kinds["t3.small"]["MemoryInfo"]["SizeInMiB"],
                          kinds["t3.small"]["BurstablePerformanceSupported"]), (2, 2048, True))
        self.has(kinds["m7g.large"], "CurrentGeneration", "Hypervisor", "SupportedUsageClasses")
        with self.refused("InvalidInstanceType"):
            ec2.describe_instance_types(InstanceTypes=["z9.huge"])
        arm = ec2.describe_instance_types(Filters=[{"Name": "processor-info.supported-architecture",
                                                    "Values": ["arm64"]},
                                                   {"Name": "instance-type", "Values": ["t4g.*"]}])["InstanceTypes"]
        self.assertTrue(arm)
        self.assertTrue(all(kind["InstanceType"].startswith("t4g.") for kind in arm))
        with self.refused(*BAD_FILTER):
            ec2.describe_instance_types(Filters=[{"Name": "colour", "Values": ["blue"]}])
        self.paged(ec2, "describe_instance_types", "InstanceTypes", 20, lambda kind: kind["InstanceType"])

    def test_offerings(self) -> None:
        ec2 = self.client("ec2")
        zones = {zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]}
        by_type = [{"Name": "instance-type", "Values": ["t3.small"]}]
        for location_type, expected in [("region", {"eu-central-1"}), ("availability-zone", zones)]:
            offered = ec2.describe_instance_type_offerings(LocationType=location_type, Filters=by_type)
            offered = offered["InstanceTypeOfferings"]
            self.assertEqual({offer["Location"] for offer in offered}, expected)
            self.assertEqual({(offer["InstanceType"], offer["LocationType"]) for offer in offered},
                             {("t3.small", location_type)})
        with self.refused(*BAD_FILTER):
            ec2.describe_instance_type_offerings(Filters=[{"Name": "colour", "Values": ["blue"]}])
        self.paged(ec2, "describe_instance_type_offerings", "InstanceTypeOfferings", 50,
                   lambda offer: (offer["InstanceType"], offer["Location"]))


class LaunchTemplates(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.ec2 = cls.client("ec2")

    def template(self, name: str, **data: object) -> str:
        made = self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={**SMALL, **data})
        self.settle()
        return made["LaunchTemplate"]["LaunchTemplateId"]

    def test_a_new_template(self) -> None:
        made = self.ec2.create_launch_template(
            LaunchTemplateName="new", VersionDescription="first", LaunchTemplateData=SMALL,
            TagSpecifications=named("launch-template", Name="new"))["LaunchTemplate"]
        self.has(made, "LaunchTemplateId", "CreateTime", "CreatedBy")
        self.assertEqual((made["LaunchTemplateName"], made["DefaultVersionNumber"], made["LatestVersionNumber"]),
                         ("new", 1, 1))
        self.assertEqual(tags_of(made), {"Name": "new"})
        by_id = self.eventually(self.ec2.describe_launch_templates, LaunchTemplateIds=[made["LaunchTemplateId"]])
        self.settle()
        by_name = self.ec2.describe_launch_templates(LaunchTemplateNames=["new"])
        by_tag = self.ec2.describe_launch_templates(Filters=[{"Name": "tag:Name", "Values": ["new"]}])
        self.assertEqual(by_id["LaunchTemplates"], by_name["LaunchTemplates"])
        self.assertEqual(by_id["LaunchTemplates"], by_tag["LaunchTemplates"])

    def test_names(self) -> None:
        self.template("taken")
        with self.refused("InvalidLaunchTemplateName.AlreadyExistsException"):
            self.template("taken")
        with self.refused("InvalidLaunchTemplateName.MalformedException"):
            self.template("no spaces here")
        with self.refused("InvalidLaunchTemplateName.NotFoundException"):
            self.ec2.describe_launch_templates(LaunchTemplateNames=["absent"])
        with self.refused("InvalidLaunchTemplateId.NotFound"):
            self.ec2.describe_launch_templates(LaunchTemplateIds=[f"lt-{ABSENT}"])
        with self.refused("InvalidLaunchTemplateId.Malformed"):
            self.ec2.describe_launch_templates(LaunchTemplateIds=["template"])
        with self.refused(*BAD_FILTER):
            self.ec2.describe_launch_templates(Filters=[{"Name": "colour", "Values": ["blue"]}])

    def test_all_of_the_data_comes_back(self) -> None:
        data = {
            **SMALL,
            "EbsOptimized": True,
            "IamInstanceProfile": {"Name": "web"},
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {
                "VolumeSize": 20, "VolumeType": "gp3", "Iops": 4000, "Throughput": 200, "Encrypted": True,
                "DeleteOnTermination": True}}],
            "NetworkInterfaces": [{"DeviceIndex": 0, "AssociatePublicIpAddress": False, "Groups": [f"sg-{ABSENT}"],
                                   "DeleteOnTermination": True, "Description": "first"}],
            "KeyName": "admin",
            "Monitoring": {"Enabled": True},
            "Placement": {"Tenancy": "default"},
            "DisableApiTermination": False,
            "DisableApiStop": False,
            "InstanceInitiatedShutdownBehavior": "terminate",
            "UserData": base64.b64encode(b"#!/bin/sh\nexit 0\n").decode(),
            "TagSpecifications": [{"ResourceType": "instance", "Tags": tag_list(Name="web", role="shop")},
                                  {"ResourceType": "volume", "Tags": tag_list(Name="web")}],
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "HttpEndpoint": "enabled",
                                "HttpProtocolIpv6": "disabled", "InstanceMetadataTags": "enabled"},
            "CpuOptions": {"CoreCount": 1, "ThreadsPerCore": 2},
            "CreditSpecification": {"CpuCredits": "standard"},
            "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
            "EnclaveOptions": {"Enabled": False},
            "HibernationOptions": {"Configured": False},
            "MaintenanceOptions": {"AutoRecovery": "default"},
            "PrivateDnsNameOptions": {"HostnameType": "ip-name", "EnableResourceNameDnsARecord": True,
                                      "EnableResourceNameDnsAAAARecord": False},
        }
        made = self.ec2.create_launch_template(LaunchTemplateName="all", LaunchTemplateData=data)["LaunchTemplate"]
        self.settle()
        shown = self.ec2.describe_launch_template_versions(LaunchTemplateId=made["LaunchTemplateId"])
        shown = shown["LaunchTemplateVersions"][0]
        # ResponseLaunchTemplateData has the same members as RequestLaunchTemplateData, but for SecurityGroups.
        self.assertEqual(shown["LaunchTemplateData"], data)
        self.has(shown, "CreateTime", "CreatedBy", "LaunchTemplateName")

    def test_data_that_is_refused(self) -> None:
        with self.refused("InvalidUserData.Malformed"):
            self.template("user-data", UserData="§")
        with self.refused("InvalidParameterValue", "InvalidUserData"):  # "User data is limited to 16 KB"
            self.template("long", UserData=base64.b64encode(b"x" * 17_000).decode())
        # LaunchTemplateInstanceMetadataOptionsRequest: "Possible values: Integers from 1 to 64".
        with self.refused("InvalidParameterValue"):
            self.template("hops", MetadataOptions={"HttpPutResponseHopLimit": 65})
        with self.refused("MissingParameter"):
            self.ec2.create_launch_template(LaunchTemplateName="empty", LaunchTemplateData={})
        source = {"SourceVersion": "7", "LaunchTemplateData": SMALL}
        with self.refused("InvalidLaunchTemplateId.VersionNotFound"):
            self.ec2.create_launch_template_version(LaunchTemplateId=self.template("source"), **source)

    def test_versions(self) -> None:
        ec2, template = self.ec2, self.template("versions", KeyName="admin")
        made = ec2.create_launch_template_version(
            LaunchTemplateId=template, SourceVersion="1", VersionDescription="second",
            LaunchTemplateData={"ImageId": "ami-healthy-2"})["LaunchTemplateVersion"]
        self.assertEqual((made["VersionNumber"], made["DefaultVersion"], made["VersionDescription"]),
                         (2, False, "second"))
        # CreateLaunchTemplateVersion, SourceVersion: "The new version inherits the same launch parameters as the source
        # version, except for parameters that you specify".
        self.assertEqual(made["LaunchTemplateData"], {**SMALL, "ImageId": "ami-healthy-2", "KeyName": "admin"})
        alone = ec2.create_launch_template_version(LaunchTemplateName="versions",
                                                   LaunchTemplateData={"ImageId": "ami-healthy-3"})
        self.assertEqual(alone["LaunchTemplateVersion"]["LaunchTemplateData"], {"ImageId": "ami-healthy-3"})

        def numbers(**params: object) -> list[int]:
            shown = ec2.describe_launch_template_versions(LaunchTemplateId=template, **params)
            return [version["VersionNumber"] for version in shown["LaunchTemplateVersions"]]

        self.assertEqual(numbers(), [3, 2, 1])
        self.assertEqual(numbers(Versions=["$Latest"]), [3])
        self.assertEqual(numbers(Versions=["$Default"]), [1])
        self.assertCountEqual(numbers(Versions=["1", "2"]), [1, 2])
        self.assertCountEqual(numbers(MinVersion="2"), [2, 3])
        self.assertCountEqual(numbers(MaxVersion="2"), [1, 2])
        modified = ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="2")["LaunchTemplate"]
        self.assertEqual((modified["DefaultVersionNumber"], modified["LatestVersionNumber"]), (2, 3))
        self.assertEqual(numbers(Versions=["$Default"]), [2])
        for call in [lambda: numbers(Versions=["9"]),
                     lambda: ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="9")]:
            with self.refused("InvalidLaunchTemplateId.VersionNotFound"):
                call()
        rows = self.paged(ec2, "describe_launch_template_versions", "LaunchTemplateVersions", 2,
                          lambda version: version["VersionNumber"], LaunchTemplateId=template)
        self.assertEqual(len(rows), 3)

        deleted = ec2.delete_launch_template_versions(LaunchTemplateId=template, Versions=["1", "2", "9"])
        good = deleted["SuccessfullyDeletedLaunchTemplateVersions"]
        self.assertEqual([version["VersionNumber"] for version in good], [1])
        # DeleteLaunchTemplateVersions: "You can't delete the default version of a launch template".
        bad = {version["VersionNumber"]: version["ResponseError"]["Code"]
               for version in deleted["UnsuccessfullyDeletedLaunchTemplateVersions"]}
        self.assertEqual(set(bad), {2, 9})
        self.assertEqual(bad[9], "launchTemplateVersionDoesNotExist")  # LaunchTemplateErrorCode
        # CreateLaunchTemplateVersion: "Launch template versions are numbered in the order in which they are created."
        ec2.delete_launch_template_versions(LaunchTemplateId=template, Versions=["3"])
        made = ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=SMALL)
        self.assertEqual(made["LaunchTemplateVersion"]["VersionNumber"], 4)

    def test_the_latest_versions_of_all(self) -> None:
        self.template("one-more")
        # DescribeLaunchTemplateVersions: "$Latest […] for all launch templates in your account".
        shown = self.ec2.describe_launch_template_versions(Versions=["$Latest"])["LaunchTemplateVersions"]
        templates = self.ec2.describe_launch_templates()["LaunchTemplates"]
        self.assertCountEqual([version["LaunchTemplateId"] for version in shown],
                              [template["LaunchTemplateId"] for template in templates])

    def test_counts(self) -> None:
        net, ec2 = network(self, cidr="10.2.0.0/16", name="counts"), self.client("ec2")
        # MinCount, MaxCount: at least 1. The message of the second is quoted in jenkinsci/ec2-plugin#252.
        for least, most, says in [(0, 1, "Minimum instance count must be greater than zero"),
                                  (1, 0, "Maximum instance count must be greater than zero"), (2, 1, "maxCount")]:
            with self.subTest(says), self.refused("InvalidParameterValue", status=400, says=says):
                ec2.run_instances(ImageId="ami-healthy-1", InstanceType="t3.small", MinCount=least, MaxCount=most,
                                  SubnetId=net.subnets[0])
        self.settle()
        in_subnet = [{"Name": "subnet-id", "Values": [net.subnets[0]]}]
        self.assertEqual(ec2.describe_instances(Filters=in_subnet)["Reservations"], [])

    def test_tokens(self) -> None:
        def create(kind: str) -> str:
            data = {**SMALL, "InstanceType": kind}
            return self.ec2.create_launch_template(LaunchTemplateName="once", ClientToken="once",
                                                   LaunchTemplateData=data)["LaunchTemplate"]["LaunchTemplateId"]

        template = create("t3.small")
        self.assertEqual(create("t3.small"), template)
        with self.refused("IdempotentParameterMismatch"):
            create("t3.micro")
        self.settle()
        versions = {self.ec2.create_launch_template_version(
            LaunchTemplateId=template, LaunchTemplateData=SMALL, ClientToken="version",
        )["LaunchTemplateVersion"]["VersionNumber"] for _ in range(2)}
        self.assertEqual(versions, {2})

    def test_deletion(self) -> None:
        template = self.template("short-lived")
        deleted = self.ec2.delete_launch_template(LaunchTemplateId=template)["LaunchTemplate"]
        self.assertEqual(deleted["LaunchTemplateName"], "short-lived")
        self.settle()
        with self.refused("InvalidLaunchTemplateId.NotFound"):
            self.ec2.delete_launch_template(LaunchTemplateId=template)
        with self.refused("InvalidLaunchTemplateName.NotFoundException"):
            self.ec2.delete_launch_template(LaunchTemplateName="short-lived")
        with self.refused("InvalidLaunchTemplateId.NotFound"):
            self.ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=SMALL)
        with self.refused("InvalidLaunchTemplateId.NotFound"):
            self.ec2.describe_launch_template_versions(LaunchTemplateId=template)
        self.template("short-lived")  # the name is free again

    def test_pages(self) -> None:
        for at in range(6):
            self.template(f"page-{at}")
        self.paged(self.ec2, "describe_launch_templates", "LaunchTemplates", 5, lambda it: it["LaunchTemplateId"])


class Instances(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.ec2, cls.scaling = cls.client("ec2"), cls.client("autoscaling")
        cls.net = network(cls)
        data = {
            **SMALL,
            "SecurityGroupIds": [cls.net.group],
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
            "Monitoring": {"Enabled": True},
            "TagSpecifications": [{"ResourceType": "volume", "Tags": tag_list(role="disk")},
                                  {"ResourceType": "instance", "Tags": tag_list(Name="template", only="template")}],
            "BlockDeviceMappings": [
                {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 16, "VolumeType": "gp3", "Encrypted": True}},
                {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 100, "VolumeType": "gp2"}},
            ],
        }
        cls.template = cls.ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=data)
        cls.settle()
        cls.scaling.create_auto_scaling_group(
            AutoScalingGroupName="web", MinSize=0, MaxSize=10, DesiredCapacity=3,
            LaunchTemplate={"LaunchTemplateName": "web", "Version": "$Latest"},
            VPCZoneIdentifier=",".join(cls.net.subnets),
            Tags=[{"Key": "Name", "Value": "group", "PropagateAtLaunch": True},
                  {"Key": "hidden", "Value": "yes", "PropagateAtLaunch": False}])

    def setUp(self) -> None:
        self.of_group = [{"Name": "tag:aws:autoscaling:groupName", "Values": ["web"]}]
        self.until(lambda: len(self.live()) == 3, "three instances that run")

    def live(self) -> list[dict]:
        running = [*self.of_group, {"Name": "instance-state-name", "Values": ["running"]}]
        reservations = self.ec2.describe_instances(Filters=running)["Reservations"]
        return [instance for reservation in reservations for instance in reservation["Instances"]]

    def test_a_running_instance(self) -> None:
        instance = self.live()[0]
        one = [instance["InstanceId"]]
        for waiter in ("instance_exists", "instance_running", "instance_status_ok", "system_status_ok"):
            self.wait(self.ec2, waiter, InstanceIds=one)
        self.has(instance, "InstanceId", "ImageId", "PrivateDnsName", "PrivateIpAddress", "LaunchTime", "SubnetId",
                 "VpcId", "Architecture", "RootDeviceName", "RootDeviceType", "VirtualizationType", "Hypervisor",
                 "Placement.AvailabilityZone", "Placement.Tenancy")
        self.assertEqual(instance["State"], {"Code": 16, "Name": "running"})
        self.assertEqual((instance["ImageId"], instance["InstanceType"], instance["VpcId"]),
                         ("ami-healthy-1", "t3.small", self.net.vpc))
        self.assertEqual([group["GroupId"] for group in instance["SecurityGroups"]], [self.net.group])
        self.assertEqual(instance["Monitoring"], {"State": "enabled"})
        self.assertEqual((instance["MetadataOptions"]["HttpTokens"],
                          instance["MetadataOptions"]["HttpPutResponseHopLimit"]), ("required", 2))
        interface = instance["NetworkInterfaces"][0]
        self.assertEqual((interface["PrivateIpAddress"], interface["SubnetId"]),
                         (instance["PrivateIpAddress"], instance["SubnetId"]))
        shown = self.ec2.describe_network_interfaces(Filters=[{"Name": "attachment.instance-id", "Values": one}])
        self.assertEqual([each["NetworkInterfaceId"] for each in shown["NetworkInterfaces"]],
                         [interface["NetworkInterfaceId"]])

    def test_tags_of_the_group_win(self) -> None:
        # Auto Scaling guide, "Tag Auto Scaling groups and instances": for a key that both have, the group's value is
        # taken; AWS adds its own.
        tags = tags_of(self.live()[0])
        self.assertEqual((tags["Name"], tags["only"], tags["aws:autoscaling:groupName"]), ("group", "template", "web"))
        self.assertEqual((tags["aws:ec2launchtemplate:id"], tags["aws:ec2launchtemplate:version"]),
                         (self.template["LaunchTemplate"]["LaunchTemplateId"], "1"))
        self.assertNotIn("hidden", tags)

    def test_tags_of_aws_stay(self) -> None:
        one = self.live()[0]["InstanceId"]
        self.ec2.create_tags(Resources=[one], Tags=tag_list(colour="blue"))
        self.ec2.delete_tags(Resources=[one])  # "Tags […] with the aws: prefix are not deleted"
        shown = self.ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]
        self.assertTrue(tags_of(shown) and all(key.startswith("aws:") for key in tags_of(shown)))
        self.ec2.create_tags(Resources=[one], Tags=tag_list(Name="group", only="template"))

    def test_volumes(self) -> None:
        instance = self.live()[0]
        mappings = {mapping["DeviceName"]: mapping["Ebs"] for mapping in instance["BlockDeviceMappings"]}
        self.assertEqual(set(mappings), {"/dev/xvda", "/dev/sdb"})
        for waiter in ("volume_in_use",):
            self.wait(self.ec2, waiter, VolumeIds=[ebs["VolumeId"] for ebs in mappings.values()])
        shown = self.ec2.describe_volumes(VolumeIds=[mappings["/dev/xvda"]["VolumeId"]])["Volumes"][0]
        self.assertEqual((shown["Size"], shown["VolumeType"], shown["Encrypted"], shown["Iops"], shown["Throughput"],
                          shown["State"]), (16, "gp3", True, 3000, 125, "in-use"))
        self.assertEqual(tags_of(shown), {"role": "disk"})
        attachment = shown["Attachments"][0]
        self.assertEqual((attachment["InstanceId"], attachment["Device"], attachment["State"],
                          attachment["DeleteOnTermination"]), (instance["InstanceId"], "/dev/xvda", "attached", True))
        by_instance = [{"Name": "attachment.instance-id", "Values": [instance["InstanceId"]]}]
        found = self.ec2.describe_volumes(Filters=by_instance)["Volumes"]
        self.assertEqual({volume["VolumeId"] for volume in found}, {ebs["VolumeId"] for ebs in mappings.values()})
        encrypted = self.ec2.describe_volumes(Filters=[*by_instance, {"Name": "encrypted", "Values": ["true"]}])
        self.assertEqual(len(encrypted["Volumes"]), 1)
        with self.refused("InvalidVolume.NotFound"):
            self.ec2.describe_volumes(VolumeIds=[f"vol-{ABSENT}"])
        with self.refused(*BAD_FILTER):
            self.ec2.describe_volumes(Filters=[{"Name": "colour", "Values": ["blue"]}])
        self.paged(self.ec2, "describe_volumes", "Volumes", 5, lambda volume: volume["VolumeId"])

    def test_filters(self) -> None:
        first, *others = self.live()

        def found(name: str, *values: str) -> set[str]:
            filters = [*self.of_group, {"Name": name, "Values": list(values)}]
            pages = self.ec2.get_paginator("describe_instances").paginate(Filters=filters)
            return {instance["InstanceId"] for page in pages for reservation in page["Reservations"]
                    for instance in reservation["Instances"]}

        self.assertEqual(found("private-ip-address", first["PrivateIpAddress"]) & {first["InstanceId"]},
                         {first["InstanceId"]})
        everyone = {instance["InstanceId"] for instance in (first, *others)}
        for name, value in [("vpc-id", self.net.vpc), ("image-id", "ami-healthy-1"), ("instance-type", "t3.*"),
                            ("instance-state-code", "16"), ("architecture", "x86_64"),
                            ("instance.group-id", self.net.group)]:
            self.assertLessEqual(everyone, found(name, value), name)
        self.assertEqual(found("subnet-id", f"subnet-{ABSENT}"), set())
        with self.refused(*BAD_FILTER):
            found("colour", "blue")

    def test_statuses(self) -> None:
        ids = [instance["InstanceId"] for instance in self.live()]
        self.wait(self.ec2, "instance_status_ok", InstanceIds=ids)
        shown = self.ec2.describe_instance_status(InstanceIds=ids)["InstanceStatuses"]
        self.assertCountEqual([status["InstanceId"] for status in shown], ids)
        for status in shown:
            self.assertEqual((status["InstanceStatus"]["Status"], status["SystemStatus"]["Status"]), ("ok", "ok"))
            self.assertEqual(status["InstanceStatus"]["Details"][0], {"Name": "reachability", "Status": "passed"})
            self.assertEqual(status["InstanceState"]["Name"], "running")
            self.has(status, "AvailabilityZone")
        with self.refused("InvalidInstanceID.NotFound"):
            self.ec2.describe_instance_status(InstanceIds=[f"i-{ABSENT}"])

    def test_pages(self) -> None:
        self.scaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=7)
        self.until(lambda: len(self.live()) == 7, "seven instances that run")
        pages = self.pages(self.ec2, "describe_instances", "Reservations", 5)
        ids = [instance["InstanceId"] for page in pages for reservation in page
               for instance in reservation["Instances"]]
        self.assertGreater(len(pages), 1)
        self.assertEqual(len(ids), len(set(ids)))
        self.paged(self.ec2, "describe_instance_status", "InstanceStatuses", 5, lambda it: it["InstanceId"],
                   IncludeAllInstances=True)
        self.scaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=3)
        self.until(lambda: len(self.live()) == 3, "three instances again")

    def test_termination(self) -> None:
        instance = self.live()[0]
        one, volumes = instance["InstanceId"], [it["Ebs"]["VolumeId"] for it in instance["BlockDeviceMappings"]]
        changes = self.ec2.terminate_instances(InstanceIds=[one])["TerminatingInstances"]
        self.assertEqual(changes, [{"InstanceId": one, "PreviousState": {"Code": 16, "Name": "running"},
                                    "CurrentState": {"Code": 32, "Name": "shutting-down"}}])
        # TerminateInstances: "This operation is idempotent; if you terminate an instance more than once, each call
        # succeeds."
        again = self.ec2.terminate_instances(InstanceIds=[one])["TerminatingInstances"][0]
        self.assertIn(again["CurrentState"]["Name"], {"shutting-down", "terminated"})
        # DescribeInstanceStatus: "By default, only running instances are described".
        self.assertEqual(self.ec2.describe_instance_status(InstanceIds=[one])["InstanceStatuses"], [])
        # TerminateInstances: "Terminated instances remain visible after termination (for approximately one hour)".
        self.wait(self.ec2, "instance_terminated", InstanceIds=[one])
        shown = self.ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]
        self.assertEqual(shown["State"], {"Code": 48, "Name": "terminated"})
        self.assertEqual(shown["StateReason"]["Code"], "Client.UserInitiatedShutdown")
        self.assertNotIn("VpcId", shown)
        self.settle()
        # Root volumes go with their instance, others stay unless they were asked to go (BlockDeviceMapping's guide).
        with self.refused("InvalidVolume.NotFound"):
            self.ec2.describe_volumes(VolumeIds=volumes[:1])
        kept = self.ec2.describe_volumes(VolumeIds=volumes[1:])["Volumes"][0]
        self.assertEqual((kept["State"], kept["Attachments"]), ("available", []))
        self.wait(self.ec2, "volume_available", VolumeIds=volumes[1:])
        with self.refused("InvalidInstanceID.NotFound"):
            self.ec2.terminate_instances(InstanceIds=[f"i-{ABSENT}"])
        with self.refused("InvalidInstanceID.Malformed"):
            self.ec2.terminate_instances(InstanceIds=["instance"])
        # "If you specify multiple instances and the request fails (for example, because of a single incorrect instance
        # ID), none of the instances are terminated."
        another = self.until(self.live)[0]["InstanceId"]
        with self.refused("InvalidInstanceID.NotFound"):
            self.ec2.terminate_instances(InstanceIds=[another, f"i-{ABSENT}"])
        shown = self.ec2.describe_instances(InstanceIds=[another])["Reservations"][0]["Instances"][0]
        self.assertEqual(shown["State"]["Name"], "running")
        with self.refused("InvalidInstanceID.NotFound"):
            self.ec2.describe_instances(InstanceIds=[f"i-{ABSENT}"])
        self.until(lambda: len(self.live()) == 3, "the group replaces it")


class Protected(Case):
    def test_an_instance_that_may_not_be_terminated(self) -> None:
        ec2, scaling, net = self.client("ec2"), self.client("autoscaling"), network(self)
        data = {**SMALL, "DisableApiTermination": True}
        ec2.create_launch_template(LaunchTemplateName="kept", LaunchTemplateData=data)
        self.settle()
        scaling.create_auto_scaling_group(AutoScalingGroupName="kept", MinSize=1, MaxSize=1,
                                          LaunchTemplate={"LaunchTemplateName": "kept"},
                                          VPCZoneIdentifier=net.subnets[0])
        by_group = [{"Name": "tag:aws:autoscaling:groupName", "Values": ["kept"]},
                    {"Name": "instance-state-name", "Values": ["running"]}]
        found = self.until(lambda: ec2.describe_instances(Filters=by_group)["Reservations"], "an instance")
        # TerminateInstances: "If termination protection is enabled […] the request fails".
        with self.refused("OperationNotPermitted"):
            ec2.terminate_instances(InstanceIds=[found[0]["Instances"][0]["InstanceId"]])


class Running(Case):
    """With an instance that runs, and a template that others can be made of."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.ec2, cls.scaling = cls.client("ec2"), cls.client("autoscaling")
        cls.net = network(cls)
        disks = [{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 100, "VolumeType": "gp2"}}]
        cls.ec2.create_launch_template(LaunchTemplateName="web",
                                       LaunchTemplateData={**SMALL, "BlockDeviceMappings": disks})
        cls.settle()
        cls.scaling.create_auto_scaling_group(AutoScalingGroupName="web", MinSize=1, MaxSize=1,
                                              LaunchTemplate={"LaunchTemplateName": "web"},
                                              VPCZoneIdentifier=cls.net.subnets[0])

    def reservation(self) -> dict:
        running = [{"Name": "instance-state-name", "Values": ["running"]}]
        return self.until(lambda: self.ec2.describe_instances(Filters=running)["Reservations"], "an instance")[0]

    def test_instances_are_not_paged_by_id(self) -> None:
        # DescribeInstances and DescribeInstanceStatus, MaxResults: "You cannot specify this parameter and the instance
        # IDs parameter in the same request."
        ids = [self.reservation()["Instances"][0]["InstanceId"]]
        for call in (self.ec2.describe_instances, self.ec2.describe_instance_status):
            with self.refused("InvalidParameterCombination"):
                call(InstanceIds=ids, MaxResults=5)

    def test_statuses_have_filters_of_their_own(self) -> None:
        # DescribeInstanceStatus, Filters: there is none for tags, images or networks. EC2 answers "The filter
        # 'tag:Name' is invalid".
        self.reservation()
        for name in ("tag:Name", "image-id", "vpc-id"):
            with self.subTest(name), self.refused(*BAD_FILTER):
                self.ec2.describe_instance_status(Filters=[{"Name": name, "Values": ["x"]}])

    def test_pages_of_templates_may_have_one_row(self) -> None:
        # DescribeLaunchTemplates, MaxResults: "This value can be between 1 and 200."
        self.ec2.create_launch_template(LaunchTemplateName="another", LaunchTemplateData=SMALL)
        self.settle()
        self.paged(self.ec2, "describe_launch_templates", "LaunchTemplates", 1, lambda it: it["LaunchTemplateId"])

    def test_names_and_filters_of_templates_go_together(self) -> None:
        # DescribeLaunchTemplates: Filters narrow what LaunchTemplateNames lists.
        found = self.ec2.describe_launch_templates(LaunchTemplateNames=["web"],
                                                   Filters=[{"Name": "tag:Name", "Values": ["absent"]}])
        self.assertEqual(found["LaunchTemplates"], [])

    def test_templates_are_checked_when_they_are_used(self) -> None:
        # EC2 takes a template with security groups beside network interfaces (CreateLaunchTemplate, Warning: "If the
        # launch template contains parameters or parameter combinations that are not valid, an error code and an error
        # message are returned"). Auto Scaling refuses to use it: InvalidQueryParameter, "Invalid launch template: When
        # a network interface is provided, the security groups must be a part of it."
        data = {**SMALL, "SecurityGroupIds": [self.net.group], "NetworkInterfaces": [{"DeviceIndex": 0}]}
        self.ec2.create_launch_template(LaunchTemplateName="both", LaunchTemplateData=data)
        self.settle()
        with self.refused("InvalidQueryParameter"):
            self.scaling.create_auto_scaling_group(AutoScalingGroupName="both", MinSize=0, MaxSize=1,
                                                   LaunchTemplate={"LaunchTemplateName": "both"},
                                                   VPCZoneIdentifier=self.net.subnets[0])

    def test_images_by_parameter(self) -> None:
        # RequestLaunchTemplateData, ImageId: "resolve:ssm:public-parameter". Here it is refused by name.
        image = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
        try:
            self.ec2.create_launch_template(LaunchTemplateName="newest", LaunchTemplateData={**SMALL, "ImageId": image})
            self.settle()
            self.scaling.create_auto_scaling_group(AutoScalingGroupName="newest", MinSize=0, MaxSize=1,
                                                   LaunchTemplate={"LaunchTemplateName": "newest"},
                                                   VPCZoneIdentifier=self.net.subnets[0])
        except ClientError as error:
            self.assertIn("the simulator does not model", str(error))

    def test_nothing_to_terminate(self) -> None:
        # TerminateInstances: the ids are required, and an empty list is not sent.
        with self.refused("InvalidParameterCombination", "MissingParameter"):
            self.ec2.terminate_instances(InstanceIds=[])

    def test_volumes_say_their_speed(self) -> None:
        # Volume, Iops: "For gp2 volumes, this represents the baseline performance": 3 per GiB, 100 at least.
        instance = self.reservation()["Instances"][0]
        ids = [mapping["Ebs"]["VolumeId"] for mapping in instance["BlockDeviceMappings"]
               if mapping["DeviceName"] == "/dev/sdb"]
        self.assertEqual(self.ec2.describe_volumes(VolumeIds=ids)["Volumes"][0].get("Iops"), 300)

    def test_interfaces_of_instances_say_how_they_are_attached(self) -> None:
        # InstanceNetworkInterface: Attachment (with DeviceIndex), MacAddress, OwnerId, PrivateIpAddresses, as in the
        # example response of DescribeInstances. Scripts find the primary interface by its device index.
        interface = self.reservation()["Instances"][0]["NetworkInterfaces"][0]
        self.has(interface, "Attachment.AttachmentId", "Attachment.DeviceIndex", "Attachment.Status", "MacAddress",
                 "OwnerId", "PrivateIpAddresses", "SourceDestCheck")

    def test_instances_say_more(self) -> None:
        # The example response of DescribeInstances has these of every instance; RequesterId is "the ID of the requester
        # that launched the instances on your behalf (for example, […] Auto Scaling)".
        reservation = self.reservation()
        self.has(reservation["Instances"][0], "SourceDestCheck", "ClientToken", "CpuOptions", "PlatformDetails",
                 "UsageOperation")
        self.has(reservation, "RequesterId")


class OwnImages(Case):
    def launched(self) -> str:
        net, ec2 = network(self), self.client("ec2")
        reply = ec2.run_instances(ImageId="ami-healthy-1", InstanceType="t3.small", MinCount=1, MaxCount=1,
                                  SubnetId=net.subnets[0], SecurityGroupIds=[net.group], UserData="#!/bin/sh",
                                  TagSpecifications=named("instance", Name="builder"))
        self.assertEqual((reply["OwnerId"], len(reply["Instances"])), ("210987654321", 1))
        instance = reply["Instances"][0]
        self.assertEqual((instance["State"]["Name"], instance["ImageId"]), ("pending", "ami-healthy-1"))
        self.settle()
        self.wait(ec2, "instance_running", InstanceIds=[instance["InstanceId"]])
        return instance["InstanceId"]

    def test_from_an_instance_to_an_image_and_back(self) -> None:
        ec2, instance = self.client("ec2"), self.launched()
        stopping = ec2.stop_instances(InstanceIds=[instance])["StoppingInstances"][0]
        self.assertEqual((stopping["PreviousState"]["Name"], stopping["CurrentState"]["Name"]), ("running", "stopping"))
        self.wait(ec2, "instance_stopped", InstanceIds=[instance])
        made = ec2.create_image(InstanceId=instance, Name="web-1", Description="the first",
                                TagSpecifications=named("image", Name="web") + named("snapshot", Name="web"))["ImageId"]
        self.settle()
        with self.refused("InvalidAMIName.Duplicate"):
            ec2.create_image(InstanceId=instance, Name="web-1")
        self.wait(ec2, "image_available", ImageIds=[made])
        tagged = [{"Name": "tag:Name", "Values": ["web"]}]
        shown = ec2.describe_images(Owners=["self"], Filters=tagged)["Images"]
        self.assertEqual([(it["ImageId"], it["Name"], it["State"]) for it in shown], [(made, "web-1", "available")])
        snapshot = shown[0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        of_self = ec2.describe_snapshots(OwnerIds=["self"], Filters=tagged)["Snapshots"]
        self.assertEqual([(it["SnapshotId"], it["State"]) for it in of_self], [(snapshot, "completed")])

        # "Share an AMI with specific AWS accounts".
        ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"UserId": "111111111111"}]})
        ask = {"ImageId": made, "Attribute": "launchPermission"}
        self.assertEqual(ec2.describe_image_attribute(**ask)["LaunchPermissions"], [{"UserId": "111111111111"}])
        ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Remove": [{"UserId": "111111111111"}]})
        self.assertEqual(ec2.describe_image_attribute(**ask)["LaunchPermissions"], [])

        # CopyImage, in the region of the copy.
        there = self.client("ec2", region="eu-west-1")
        copy = there.copy_image(SourceRegion="eu-central-1", SourceImageId=made, Name="web-1", Encrypted=True)["ImageId"]
        self.settle()
        self.wait(there, "image_available", ImageIds=[copy])
        disk = there.describe_images(ImageIds=[copy])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]
        self.assertIs(disk["Encrypted"], True)

        # DeleteSnapshot: "You cannot delete a snapshot of the root device of an EBS volume used by a registered AMI."
        with self.refused("InvalidSnapshot.InUse"):
            ec2.delete_snapshot(SnapshotId=snapshot)
        ec2.deregister_image(ImageId=made)
        ec2.delete_snapshot(SnapshotId=snapshot)
        self.settle()
        self.assertEqual(ec2.describe_images(Owners=["self"], Filters=tagged)["Images"], [])
        self.assertEqual(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"], [])
        with self.refused("InvalidAMIID.Unavailable", "InvalidAMIID.NotFound"):
            ec2.deregister_image(ImageId=made)
        # DeleteAssociatedSnapshots: "whether to delete the snapshots associated with the AMI during deregistration".
        [disk] = there.describe_images(ImageIds=[copy])["Images"][0]["BlockDeviceMappings"]
        gone = there.deregister_image(ImageId=copy, DeleteAssociatedSnapshots=True)
        self.assertEqual(gone["DeleteSnapshotResults"],
                         [{"SnapshotId": disk["Ebs"]["SnapshotId"], "ReturnCode": "success"}])
        self.settle()
        self.assertEqual(there.describe_snapshots(OwnerIds=["self"])["Snapshots"], [])

    def test_tokens(self) -> None:
        net, ec2 = network(self, cidr="10.1.0.0/16", name="tokens"), self.client("ec2")
        launch = {"ImageId": "ami-healthy-1", "InstanceType": "t3.small", "MinCount": 2, "MaxCount": 2,
                  "SubnetId": net.subnets[0], "ClientToken": "one"}
        first = [it["InstanceId"] for it in ec2.run_instances(**launch)["Instances"]]
        self.assertEqual(len(first), 2)
        self.assertEqual([it["InstanceId"] for it in ec2.run_instances(**launch)["Instances"]], first)


if __name__ == "__main__":
    unittest.main()
