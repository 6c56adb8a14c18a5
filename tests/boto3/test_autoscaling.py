"""Auto Scaling: groups and what they do, target groups, hooks, policies, processes, tags, activities.

The service model lists few codes: `ValidationError` is the API's common one for what is absent or wrong. What else is
expected is in the API reference or the user guide named beside it. botocore has no waiters for this service.
"""
import datetime
import json
import unittest

from support import Case, network

SMALL = {"ImageId": "ami-healthy-1", "InstanceType": "t3.small"}


class Scaled(Case):
    """With a network of two zones and a launch template."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.scaling, cls.ec2, cls.elb = cls.client("autoscaling"), cls.client("ec2"), cls.client("elbv2")
        cls.net = network(cls)
        made = cls.ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData=SMALL)["LaunchTemplate"]
        cls.template = made["LaunchTemplateId"]
        cls.settle()

    def group(self, name: str, size: int = 0, **params: object) -> str:
        settings = {"MinSize": 0, "MaxSize": 10, "DesiredCapacity": size,
                    "LaunchTemplate": {"LaunchTemplateName": "web", "Version": "$Latest"},
                    "VPCZoneIdentifier": ",".join(self.net.subnets), **params}
        self.scaling.create_auto_scaling_group(AutoScalingGroupName=name, **settings)
        self.settle()
        return name

    def shown(self, name: str) -> dict:
        return self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]

    def states(self, name: str) -> list[str]:
        return sorted(instance["LifecycleState"] for instance in self.shown(name)["Instances"])

    def in_service(self, name: str, count: int) -> list[str]:
        """The ids of the instances, once there are so many and all are in service."""
        self.until(lambda: self.states(name) == ["InService"] * count, f"{count} in service in {name}")
        return [instance["InstanceId"] for instance in self.shown(name)["Instances"]]

    def gone(self, name: str) -> bool:
        return not self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]

    def target_group(self, name: str, **params: object) -> str:
        made = self.elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=self.net.vpc,
                                            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, **params)
        self.settle()
        return made["TargetGroups"][0]["TargetGroupArn"]

    def serve(self, name: str, *groups: str) -> None:
        """Has a load balancer forward to these target groups, so that their targets are checked and drain."""
        made = self.elb.create_load_balancer(Name=name, Subnets=self.net.subnets, SecurityGroups=[self.net.group])
        self.settle()
        for at, group in enumerate(groups):
            self.elb.create_listener(LoadBalancerArn=made["LoadBalancers"][0]["LoadBalancerArn"], Protocol="HTTP",
                                     Port=80 + at, DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])


class Groups(Scaled):
    def test_a_new_group(self) -> None:
        self.group("new", 2, DesiredCapacity=2, Tags=[{"Key": "Name", "Value": "new", "PropagateAtLaunch": True}])
        shown = self.shown("new")
        # CreateAutoScalingGroup: the defaults.
        self.assertEqual(
            {name: shown.get(name) for name in (
                "MinSize", "MaxSize", "DesiredCapacity", "DefaultCooldown", "HealthCheckType",
                "HealthCheckGracePeriod", "TerminationPolicies", "NewInstancesProtectedFromScaleIn",
                "SuspendedProcesses", "EnabledMetrics", "LoadBalancerNames", "TargetGroupARNs", "TrafficSources",
                "VPCZoneIdentifier")},
            {"MinSize": 0, "MaxSize": 10, "DesiredCapacity": 2, "DefaultCooldown": 300, "HealthCheckType": "EC2",
             "HealthCheckGracePeriod": 0, "TerminationPolicies": ["Default"],
             "NewInstancesProtectedFromScaleIn": False, "SuspendedProcesses": [], "EnabledMetrics": [],
             "LoadBalancerNames": [], "TargetGroupARNs": [], "TrafficSources": [],
             "VPCZoneIdentifier": ",".join(self.net.subnets)})
        self.assertEqual(shown["LaunchTemplate"], {"LaunchTemplateId": self.template, "LaunchTemplateName": "web",
                                                   "Version": "$Latest"})
        self.assertRegex(shown["AutoScalingGroupARN"], r":autoScalingGroup:[0-9a-f-]{36}:autoScalingGroupName/new$")
        self.assertEqual(shown["Tags"], [{"ResourceId": "new", "ResourceType": "auto-scaling-group", "Key": "Name",
                                          "Value": "new", "PropagateAtLaunch": True}])
        self.has(shown, "CreatedTime", "ServiceLinkedRoleARN")
        self.assertEqual(len(shown["AvailabilityZones"]), 2)
        ids = self.in_service("new", 2)
        instances = self.shown("new")["Instances"]
        for instance in instances:
            self.assertEqual((instance["HealthStatus"], instance["ProtectedFromScaleIn"], instance["InstanceType"]),
                             ("Healthy", False, "t3.small"))
            self.assertEqual(instance["LaunchTemplate"]["Version"], "1", "the number, not $Latest")
        # User guide, "How Amazon EC2 Auto Scaling works": a group is balanced over its zones.
        self.assertEqual(len({instance["AvailabilityZone"] for instance in instances}), 2)
        described = self.scaling.describe_auto_scaling_instances(InstanceIds=ids)["AutoScalingInstances"]
        self.assertEqual({(it["AutoScalingGroupName"], it["LifecycleState"], it["HealthStatus"]) for it in described},
                         {("new", "InService", "HEALTHY")})  # the example response of that action is in capitals

    def test_what_is_refused(self) -> None:
        self.group("taken")
        with self.refused("AlreadyExists", status=400):
            self.group("taken")
        absent_subnet = {"VPCZoneIdentifier": "subnet-0123456789abcdef0"}
        with self.refused("ValidationError"):
            self.group("refused", **absent_subnet)
        with self.refused("ValidationError"):  # neither subnets nor zones
            self.scaling.create_auto_scaling_group(AutoScalingGroupName="refused", MinSize=0, MaxSize=1,
                                                   LaunchTemplate={"LaunchTemplateName": "web"})
        with self.refused("ValidationError"):
            self.group("refused", 11)
        with self.refused("ValidationError"):
            self.group("refused", 1, MinSize=5, MaxSize=4)
        with self.refused("ValidationError", says="launch template"):
            self.group("refused", LaunchTemplate={"LaunchTemplateName": "absent"})
        with self.refused("ValidationError"):
            self.group("refused", TargetGroupARNs=[
                "arn:aws:elasticloadbalancing:eu-central-1:210987654321:targetgroup/none/0123456789abcdef"])
        for wrong in [{"HealthCheckType": "MOOD"}, {"TerminationPolicies": ["Random"]}, {"MaxInstanceLifetime": 60}]:
            with self.refused("ValidationError"):
                self.group("refused", **wrong)
        with self.refused("ValidationError"):
            self.scaling.create_auto_scaling_group(AutoScalingGroupName="refused", MinSize=0, MaxSize=1,
                                                   VPCZoneIdentifier=self.net.subnets[0])
        bad = self.ec2.create_launch_template(LaunchTemplateName="bad", LaunchTemplateData={
            **SMALL, "ImageId": "ami-0123456789abcdef0"})["LaunchTemplate"]["LaunchTemplateId"]
        self.settle()
        # User guide, "Troubleshoot issues with launch templates": "You must use a valid fully-formed launch template".
        with self.refused("ValidationError", says="valid fully-formed launch template"):
            self.group("refused", LaunchTemplate={"LaunchTemplateId": bad})

    def test_those_that_are_absent(self) -> None:
        # DescribeAutoScalingGroups says nothing of names that are not there.
        self.assertTrue(self.gone("absent"))
        calls = [
            lambda: self.scaling.update_auto_scaling_group(AutoScalingGroupName="absent", MaxSize=1),
            lambda: self.scaling.set_desired_capacity(AutoScalingGroupName="absent", DesiredCapacity=1),
            lambda: self.scaling.delete_auto_scaling_group(AutoScalingGroupName="absent"),
            lambda: self.scaling.suspend_processes(AutoScalingGroupName="absent"),
            lambda: self.scaling.put_lifecycle_hook(AutoScalingGroupName="absent", LifecycleHookName="h",
                                                    LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING"),
            lambda: self.scaling.describe_load_balancer_target_groups(AutoScalingGroupName="absent"),
            lambda: self.scaling.describe_traffic_sources(AutoScalingGroupName="absent"),
            lambda: self.scaling.enable_metrics_collection(AutoScalingGroupName="absent", Granularity="1Minute"),
        ]
        for call in calls:
            with self.refused("ValidationError", status=400, says="not found"):
                call()

    def test_updates(self) -> None:
        self.group("updated", 1)
        changes = {"MaxSize": 4, "DefaultCooldown": 60, "HealthCheckType": "ELB", "HealthCheckGracePeriod": 90,
                   "TerminationPolicies": ["OldestInstance"], "NewInstancesProtectedFromScaleIn": True,
                   "MaxInstanceLifetime": 86400, "DefaultInstanceWarmup": 30, "CapacityRebalance": True,
                   "InstanceMaintenancePolicy": {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150},
                   "VPCZoneIdentifier": self.net.subnets[0]}
        self.scaling.update_auto_scaling_group(AutoScalingGroupName="updated", **changes)
        shown = self.shown("updated")
        self.assertEqual({name: shown[name] for name in changes}, changes)
        self.assertEqual((shown["DesiredCapacity"], shown["MinSize"], len(shown["AvailabilityZones"])), (1, 0, 1))
        # UpdateAutoScalingGroup: "If you specify a new value for MinSize without specifying a value for
        # DesiredCapacity, and the new MinSize is larger than the current size of the group, this sets the group's
        # DesiredCapacity to the new MinSize value." And so with MaxSize.
        self.scaling.update_auto_scaling_group(AutoScalingGroupName="updated", MinSize=3)
        self.assertEqual(self.shown("updated")["DesiredCapacity"], 3)
        self.scaling.update_auto_scaling_group(AutoScalingGroupName="updated", MinSize=0, MaxSize=2)
        self.assertEqual(self.shown("updated")["DesiredCapacity"], 2)
        with self.refused("ValidationError"):
            self.scaling.update_auto_scaling_group(AutoScalingGroupName="updated", MinSize=3)
        with self.refused("ValidationError"):
            self.scaling.update_auto_scaling_group(AutoScalingGroupName="updated", DesiredCapacity=3)

    def test_scaling_out_and_in(self) -> None:
        self.group("scaled", 1)
        self.in_service("scaled", 1)
        self.scaling.set_desired_capacity(AutoScalingGroupName="scaled", DesiredCapacity=3)
        self.in_service("scaled", 3)
        for wrong in (11, -1):
            with self.refused("ValidationError"):
                self.scaling.set_desired_capacity(AutoScalingGroupName="scaled", DesiredCapacity=wrong)
        self.scaling.set_desired_capacity(AutoScalingGroupName="scaled", DesiredCapacity=1)
        self.in_service("scaled", 1)
        activities = self.scaling.describe_scaling_activities(AutoScalingGroupName="scaled")["Activities"]
        starts = [activity["StartTime"] for activity in activities]
        self.assertEqual(starts, sorted(starts, reverse=True), "the newest first")
        self.assertEqual(len(activities), 5)
        for activity in activities:
            self.assertEqual((activity["StatusCode"], activity["Progress"]), ("Successful", 100))
            self.has(activity, "ActivityId", "Description", "Cause", "EndTime", "Details", "AutoScalingGroupARN")
            self.assertIn("Availability Zone", json.loads(activity["Details"]))
        self.paged(self.scaling, "describe_scaling_activities", "Activities", 2, lambda it: it["ActivityId"],
                   AutoScalingGroupName="scaled")
        one = self.scaling.describe_scaling_activities(ActivityIds=[activities[0]["ActivityId"]])["Activities"]
        self.assertEqual(one, activities[:1])

    def test_deletion(self) -> None:
        self.group("busy", 1)
        with self.refused("ScalingActivityInProgress"):
            self.until(lambda: self.states("busy") == ["Pending"])
            self.scaling.delete_auto_scaling_group(AutoScalingGroupName="busy")
        self.in_service("busy", 1)
        with self.refused("ResourceInUse"):
            self.scaling.delete_auto_scaling_group(AutoScalingGroupName="busy")
        self.scaling.delete_auto_scaling_group(AutoScalingGroupName="busy", ForceDelete=True)
        shown = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["busy"])["AutoScalingGroups"]
        self.assertEqual([group.get("Status") for group in shown], ["Delete in progress"])
        with self.refused("ValidationError", says="pending delete"):
            self.scaling.update_auto_scaling_group(AutoScalingGroupName="busy", MaxSize=1)
        self.until(lambda: self.gone("busy"), "it is gone")
        # DescribeScalingActivities, IncludeDeletedGroups
        kept = self.scaling.describe_scaling_activities(AutoScalingGroupName="busy", IncludeDeletedGroups=True)
        self.assertEqual(len(kept["Activities"]), 2)
        self.group("busy")  # the name is free again
        self.scaling.delete_auto_scaling_group(AutoScalingGroupName="busy")
        self.until(lambda: self.gone("busy"), "it is gone again")

    def test_mixed_instances(self) -> None:
        policy = {"LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateName": "web", "Version": "1"},
                                     "Overrides": [{"InstanceType": "t3.medium"}, {"InstanceType": "t3.small"}]},
                  "InstancesDistribution": {"OnDemandBaseCapacity": 1}}
        self.scaling.create_auto_scaling_group(AutoScalingGroupName="mixed", MinSize=1, MaxSize=1,
                                               MixedInstancesPolicy=policy, VPCZoneIdentifier=self.net.subnets[0])
        self.in_service("mixed", 1)
        shown = self.shown("mixed")
        self.assertNotIn("LaunchTemplate", shown)
        self.assertEqual(shown["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"],
                         policy["LaunchTemplate"]["Overrides"])
        # InstancesDistribution: the defaults.
        distribution = shown["MixedInstancesPolicy"]["InstancesDistribution"]
        self.assertEqual((distribution["OnDemandAllocationStrategy"], distribution["OnDemandBaseCapacity"],
                          distribution["OnDemandPercentageAboveBaseCapacity"]), ("prioritized", 1, 100))
        self.assertEqual(shown["Instances"][0]["InstanceType"], "t3.medium")

    def test_a_launch_that_fails(self) -> None:
        # There is no capacity for this type here: the group is made, its activity fails.
        self.ec2.create_launch_template(LaunchTemplateName="huge", LaunchTemplateData={
            **SMALL, "InstanceType": "p5.48xlarge"})
        self.settle()
        self.group("starved", 1, LaunchTemplate={"LaunchTemplateName": "huge"})

        def failed() -> list[dict]:
            activities = self.scaling.describe_scaling_activities(AutoScalingGroupName="starved")["Activities"]
            return [activity for activity in activities if activity["StatusCode"] == "Failed"]

        activity = self.until(failed, "a failed activity")[0]
        self.assertIn("Launching EC2 instance failed", activity["StatusMessage"])
        self.assertEqual(self.shown("starved")["Instances"], [])

    def test_filters_and_pages(self) -> None:
        for at in range(5):
            self.group(f"page-{at}", Tags=[{"Key": "page", "Value": str(at)}])

        def found(name: str, *values: str) -> list[str]:
            filters = [{"Name": name, "Values": list(values)}]
            groups = self.scaling.describe_auto_scaling_groups(Filters=filters)["AutoScalingGroups"]
            return [group["AutoScalingGroupName"] for group in groups]

        # DescribeAutoScalingGroups, Filters
        self.assertEqual(found("tag:page", "1"), ["page-1"])
        self.assertCountEqual(found("tag:page", "1", "3"), ["page-1", "page-3"])
        self.assertEqual(len(found("tag-key", "page")), 5)
        self.assertEqual(found("tag-value", "2"), ["page-2"])
        with self.refused("ValidationError"):
            found("colour", "blue")
        self.paged(self.scaling, "describe_auto_scaling_groups", "AutoScalingGroups", 2,
                   lambda group: group["AutoScalingGroupName"])
        with self.refused("InvalidNextToken", "ValidationError"):
            self.scaling.describe_auto_scaling_groups(NextToken="nonsense")
        self.paged(self.scaling, "describe_tags", "Tags", 2, lambda tag: (tag["ResourceId"], tag["Key"]),
                   Filters=[{"Name": "key", "Values": ["page"]}])

    def test_the_cooldown_is_honoured(self) -> None:
        # SetDesiredCapacity, HonorCooldown; the model lists ScalingActivityInProgress: "Scaling activity … is in
        # progress and blocks this action".
        self.group("cooling", 1)
        self.until(lambda: self.states("cooling") == ["Pending"], "one is on its way")
        with self.refused("ScalingActivityInProgress"):
            self.scaling.set_desired_capacity(AutoScalingGroupName="cooling", DesiredCapacity=2, HonorCooldown=True)

    def test_zones_and_subnets_must_agree(self) -> None:
        # CreateAutoScalingGroup, VPCZoneIdentifier: "If you specify VPCZoneIdentifier with AvailabilityZones, the
        # subnets that you specify must reside in those Availability Zones."
        third = self.ec2.describe_availability_zones()["AvailabilityZones"][2]["ZoneName"]
        with self.refused("ValidationError"):
            self.group("elsewhere", AvailabilityZones=[third])


class Instances(Scaled):
    def test_one_is_terminated(self) -> None:
        self.group("shrunk", 2)
        first, second = self.in_service("shrunk", 2)
        reply = self.scaling.terminate_instance_in_auto_scaling_group(InstanceId=first,
                                                                      ShouldDecrementDesiredCapacity=True)
        self.assertIn(first, reply["Activity"]["Description"])
        self.assertEqual(self.in_service("shrunk", 1), [second])
        self.assertEqual(self.shown("shrunk")["DesiredCapacity"], 1)
        self.scaling.terminate_instance_in_auto_scaling_group(InstanceId=second, ShouldDecrementDesiredCapacity=False)
        self.until(lambda: second not in [it["InstanceId"] for it in self.shown("shrunk")["Instances"]], "it is gone")
        self.assertNotEqual(self.in_service("shrunk", 1), [second])
        with self.refused("ValidationError"):
            self.scaling.terminate_instance_in_auto_scaling_group(InstanceId="i-0123456789abcdef0",
                                                                  ShouldDecrementDesiredCapacity=False)
        self.scaling.update_auto_scaling_group(AutoScalingGroupName="shrunk", MinSize=1)
        with self.refused("ValidationError"):
            self.scaling.terminate_instance_in_auto_scaling_group(InstanceId=self.in_service("shrunk", 1)[0],
                                                                  ShouldDecrementDesiredCapacity=True)

    def test_an_unhealthy_one_is_replaced(self) -> None:
        self.group("healthy", 1)
        first = self.in_service("healthy", 1)[0]
        self.scaling.set_instance_health(InstanceId=first, HealthStatus="Unhealthy")
        self.assertEqual(self.shown("healthy")["Instances"][0]["HealthStatus"], "Unhealthy")
        self.until(lambda: first not in [it["InstanceId"] for it in self.shown("healthy")["Instances"]], "replaced")
        self.in_service("healthy", 1)
        with self.refused("ValidationError"):
            self.scaling.set_instance_health(InstanceId="i-0123456789abcdef0", HealthStatus="Unhealthy")

    def test_one_that_is_terminated_behind_its_back_is_replaced(self) -> None:
        self.group("robbed", 1)
        first = self.in_service("robbed", 1)[0]
        self.ec2.terminate_instances(InstanceIds=[first])
        self.until(lambda: [it["InstanceId"] for it in self.shown("robbed")["Instances"]] not in ([first], []),
                   "another one")
        self.in_service("robbed", 1)

    def test_a_protected_one_stays(self) -> None:
        self.group("protected", 3)
        ids = self.in_service("protected", 3)
        self.scaling.set_instance_protection(AutoScalingGroupName="protected", InstanceIds=ids[:2],
                                             ProtectedFromScaleIn=True)
        self.scaling.set_desired_capacity(AutoScalingGroupName="protected", DesiredCapacity=1)
        self.in_service("protected", 2)
        self.advance(120)
        self.assertCountEqual(self.in_service("protected", 2), ids[:2])
        self.scaling.set_instance_protection(AutoScalingGroupName="protected", InstanceIds=ids[:1],
                                             ProtectedFromScaleIn=False)
        with self.refused("ValidationError"):
            self.scaling.set_instance_protection(AutoScalingGroupName="protected", ProtectedFromScaleIn=True,
                                                 InstanceIds=["i-0123456789abcdef0"])

    def test_pages(self) -> None:
        self.group("many", 3)
        self.in_service("many", 3)
        self.paged(self.scaling, "describe_auto_scaling_instances", "AutoScalingInstances", 2,
                   lambda it: it["InstanceId"])


class TargetGroups(Scaled):
    def test_instances_become_targets(self) -> None:
        first, second = self.target_group("first"), self.target_group("second")
        self.serve("first", first, second)
        self.group("web", 2, TargetGroupARNs=[first])
        ids = self.in_service("web", 2)

        def targets(group: str) -> dict[str, str]:
            shown = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
            return {it["Target"]["Id"]: it["TargetHealth"]["State"] for it in shown}

        self.assertCountEqual(targets(first), ids)
        self.wait(self.elb, "target_in_service", TargetGroupArn=first)
        self.assertEqual(self.shown("web")["TrafficSources"], [{"Identifier": first, "Type": "elbv2"}])
        self.scaling.attach_load_balancer_target_groups(AutoScalingGroupName="web", TargetGroupARNs=[second])
        self.scaling.attach_load_balancer_target_groups(AutoScalingGroupName="web", TargetGroupARNs=[second])
        self.assertCountEqual(self.shown("web")["TargetGroupARNs"], [first, second])
        self.assertCountEqual(targets(second), ids)
        self.paged(self.scaling, "describe_load_balancer_target_groups", "LoadBalancerTargetGroups", 1,
                   lambda it: it["LoadBalancerTargetGroupARN"], AutoScalingGroupName="web")
        with self.refused("ValidationError"):
            self.scaling.attach_load_balancer_target_groups(AutoScalingGroupName="web", TargetGroupARNs=[
                first[:-16] + "0123456789abcdef"])
        # DetachLoadBalancerTargetGroups: "When you detach a target group, it enters the Removing state while
        # deregistering the instances in the group."
        self.wait(self.elb, "target_in_service", TargetGroupArn=second)
        self.scaling.detach_load_balancer_target_groups(AutoScalingGroupName="web", TargetGroupARNs=[second])
        self.assertEqual(self.shown("web")["TargetGroupARNs"], [first])
        states = self.scaling.describe_load_balancer_target_groups(AutoScalingGroupName="web")
        self.assertEqual({it["LoadBalancerTargetGroupARN"]: it["State"] for it in states["LoadBalancerTargetGroups"]},
                         {first: "InService", second: "Removing"})
        self.assertEqual(set(targets(second).values()), {"draining"})
        self.until(lambda: len(self.scaling.describe_load_balancer_target_groups(AutoScalingGroupName="web")
                               ["LoadBalancerTargetGroups"]) == 1, "it has drained")
        with self.refused("ValidationError"):
            self.scaling.detach_load_balancer_target_groups(AutoScalingGroupName="web", TargetGroupARNs=[second])

    def test_traffic_sources(self) -> None:
        group = self.target_group("source")
        self.group("sourced")
        self.scaling.attach_traffic_sources(AutoScalingGroupName="sourced",
                                            TrafficSources=[{"Identifier": group, "Type": "elbv2"}])
        shown = self.scaling.describe_traffic_sources(AutoScalingGroupName="sourced")["TrafficSources"]
        self.assertEqual([(it["Identifier"], it["Type"]) for it in shown], [(group, "elbv2")])
        self.assertIn(shown[0]["State"], {"Adding", "Added", "InService"})
        self.assertEqual(self.shown("sourced")["TargetGroupARNs"], [group])
        self.scaling.detach_traffic_sources(AutoScalingGroupName="sourced", TrafficSources=[{"Identifier": group}])
        self.assertEqual(self.shown("sourced")["TrafficSources"], [])
        with self.refused("ValidationError"):
            self.scaling.detach_traffic_sources(AutoScalingGroupName="sourced", TrafficSources=[{"Identifier": group}])

    def test_those_that_leave_drain_first(self) -> None:
        group = self.target_group("drained")
        self.elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": "60"}])
        self.serve("drained", group)
        self.group("drained", 1, TargetGroupARNs=[group])
        one = self.in_service("drained", 1)[0]
        self.wait(self.elb, "target_in_service", TargetGroupArn=group)
        self.scaling.set_desired_capacity(AutoScalingGroupName="drained", DesiredCapacity=0)
        self.until(lambda: self.states("drained") == ["Terminating"], "it is leaving")
        self.settle()
        health = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        self.assertEqual([it["TargetHealth"]["State"] for it in health], ["draining"])
        running = self.ec2.describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]
        self.assertEqual(running["State"]["Name"], "running", "its requests come to an end first")
        activity = self.scaling.describe_scaling_activities(AutoScalingGroupName="drained")["Activities"][0]
        self.assertEqual(activity["StatusCode"], "WaitingForELBConnectionDraining")  # ScalingActivityStatusCode
        self.until(lambda: not self.states("drained"), "it is gone")

    def test_a_sick_target_is_replaced(self) -> None:
        self.ec2.create_launch_template(LaunchTemplateName="sick", LaunchTemplateData={
            **SMALL, "ImageId": "ami-never-healthy"})
        group = self.target_group("sick")
        self.serve("sick", group)
        self.group("sick", 1, LaunchTemplate={"LaunchTemplateName": "sick"}, TargetGroupARNs=[group],
                   HealthCheckType="ELB", HealthCheckGracePeriod=60)
        first = self.in_service("sick", 1)[0]
        # User guide, "Health checks for instances": with ELB checks, an instance that a target group calls unhealthy is
        # replaced, after the grace period.
        self.until(lambda: first not in [it["InstanceId"] for it in self.shown("sick")["Instances"]], "replaced")
        causes = [it["Cause"] for it in
                  self.scaling.describe_scaling_activities(AutoScalingGroupName="sick")["Activities"]]
        self.assertTrue(any("ELB system health check failure" in cause for cause in causes), causes)

    def test_a_target_group_is_in_service_if_its_health_counts(self) -> None:
        # DescribeLoadBalancerTargetGroups: "The state transitions to Added after all Auto Scaling instances are
        # registered with the target group. If Elastic Load Balancing health checks are enabled for the Auto Scaling
        # group, the state transitions to InService after at least one Auto Scaling instance passes the health check."
        group = self.target_group("counted")
        self.serve("counted", group)
        self.group("counted", 1, HealthCheckType="EC2")
        self.in_service("counted", 1)
        self.scaling.attach_load_balancer_target_groups(AutoScalingGroupName="counted", TargetGroupARNs=[group])
        self.wait(self.elb, "target_in_service", TargetGroupArn=group)
        shown = self.scaling.describe_load_balancer_target_groups(AutoScalingGroupName="counted")
        self.assertEqual([it["State"] for it in shown["LoadBalancerTargetGroups"]], ["Added"])

    def test_a_target_group_given_at_creation_is_in_service(self) -> None:
        # The same page: "Target groups also have an InService state if you attach them in the CreateAutoScalingGroup
        # API call."
        group = self.target_group("given")
        self.group("given", TargetGroupARNs=[group])
        shown = self.scaling.describe_load_balancer_target_groups(AutoScalingGroupName="given")
        self.assertEqual([it["State"] for it in shown["LoadBalancerTargetGroups"]], ["InService"])

    def test_traffic_sources_by_type(self) -> None:
        # DescribeTrafficSources: "If you provide a traffic source type, then the results only include that traffic
        # source type."
        group = self.target_group("typed")
        self.group("typed", TargetGroupARNs=[group])
        for kind, expected in [("elbv2", [group]), ("vpc-lattice", [])]:
            shown = self.scaling.describe_traffic_sources(AutoScalingGroupName="typed", TrafficSourceType=kind)
            with self.subTest(kind):
                self.assertEqual([it["Identifier"] for it in shown["TrafficSources"]], expected)


class Hooks(Scaled):
    def hook(self, group: str, transition: str = "LAUNCHING", **params: object) -> None:
        self.scaling.put_lifecycle_hook(AutoScalingGroupName=group, LifecycleHookName="hook",
                                        LifecycleTransition=f"autoscaling:EC2_INSTANCE_{transition}", **params)

    def complete(self, group: str, result: str, instance: str, hook: str = "hook") -> None:
        self.scaling.complete_lifecycle_action(AutoScalingGroupName=group, LifecycleHookName=hook,
                                               LifecycleActionResult=result, InstanceId=instance)

    def test_hooks_are_kept(self) -> None:
        self.group("hooked")
        self.hook("hooked")
        shown = self.scaling.describe_lifecycle_hooks(AutoScalingGroupName="hooked")["LifecycleHooks"]
        # PutLifecycleHook: the defaults; the global timeout is 48 hours or 100 times the heartbeat's at most.
        self.assertEqual(shown, [{"LifecycleHookName": "hook", "AutoScalingGroupName": "hooked",
                                  "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "HeartbeatTimeout": 3600,
                                  "GlobalTimeout": 172800, "DefaultResult": "ABANDON"}])
        self.hook("hooked", HeartbeatTimeout=60, DefaultResult="CONTINUE", NotificationMetadata="m")
        named = self.scaling.describe_lifecycle_hooks(AutoScalingGroupName="hooked", LifecycleHookNames=["hook"])
        named = named["LifecycleHooks"][0]
        self.assertEqual((named["HeartbeatTimeout"], named["GlobalTimeout"], named["DefaultResult"],
                          named["NotificationMetadata"]), (60, 6000, "CONTINUE", "m"))
        for wrong in [{"HeartbeatTimeout": 10}, {"DefaultResult": "PERHAPS"}, {"transition": "SLEEPING"}]:
            with self.refused("ValidationError"):
                self.hook("hooked", **wrong)
        self.scaling.delete_lifecycle_hook(AutoScalingGroupName="hooked", LifecycleHookName="hook")
        with self.refused("ValidationError"):
            self.scaling.delete_lifecycle_hook(AutoScalingGroupName="hooked", LifecycleHookName="hook")

    def test_an_instance_waits_on_its_way_in(self) -> None:
        self.group("entering", 1, LifecycleHookSpecificationList=[
            {"LifecycleHookName": "hook", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
             "HeartbeatTimeout": 600}])
        self.until(lambda: self.states("entering") == ["Pending:Wait"], "it waits")
        first = self.shown("entering")["Instances"][0]["InstanceId"]
        self.complete("entering", "ABANDON", first)
        self.until(lambda: first not in [it["InstanceId"] for it in self.shown("entering")["Instances"]], "given up")
        self.until(lambda: self.states("entering") == ["Pending:Wait"], "another one waits")
        self.complete("entering", "CONTINUE", self.shown("entering")["Instances"][0]["InstanceId"])
        one = self.in_service("entering", 1)[0]
        with self.refused("ValidationError"):  # "No active Lifecycle Action found"
            self.complete("entering", "CONTINUE", one)

    def test_an_instance_waits_on_its_way_out(self) -> None:
        self.group("leaving", 1)
        self.hook("leaving", "TERMINATING", HeartbeatTimeout=600)
        one = self.in_service("leaving", 1)[0]
        self.scaling.set_desired_capacity(AutoScalingGroupName="leaving", DesiredCapacity=0)
        self.until(lambda: self.states("leaving") == ["Terminating:Wait"], "it waits")
        self.complete("leaving", "CONTINUE", one)
        self.until(lambda: not self.states("leaving"), "it is gone")

    def test_nobody_answers(self) -> None:
        self.group("silent")
        self.hook("silent", HeartbeatTimeout=30, DefaultResult="CONTINUE")
        self.scaling.set_desired_capacity(AutoScalingGroupName="silent", DesiredCapacity=1)
        self.until(lambda: self.states("silent") == ["Pending:Wait"], "it waits")
        self.in_service("silent", 1)


class Policies(Scaled):
    def put(self, name: str, **params: object) -> dict:
        settings = {"PolicyType": "TargetTrackingScaling", "TargetTrackingConfiguration": {
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}, "TargetValue": 50.0},
            **params}
        return self.scaling.put_scaling_policy(AutoScalingGroupName="web", PolicyName=name, **settings)

    def setUp(self) -> None:
        if self.gone("web"):
            self.group("web")

    def test_policies(self) -> None:
        made = self.put("cpu", EstimatedInstanceWarmup=60)
        # PutScalingPolicy: the ARN, and the alarms that were made for it.
        self.assertIn(":autoScalingGroupName/web:policyName/cpu", made["PolicyARN"])
        self.assertEqual(len(made["Alarms"]), 2)
        for alarm in made["Alarms"]:
            self.has(alarm, "AlarmName", "AlarmARN")
        again = self.put("cpu", TargetTrackingConfiguration={
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
            "TargetValue": 60.0, "DisableScaleIn": True})
        self.assertEqual(again["PolicyARN"], made["PolicyARN"])
        shown = self.scaling.describe_policies(AutoScalingGroupName="web", PolicyNames=["cpu"])["ScalingPolicies"][0]
        self.assertEqual((shown["PolicyType"], shown["Enabled"], shown["PolicyName"]),
                         ("TargetTrackingScaling", True, "cpu"))
        tracking = shown["TargetTrackingConfiguration"]
        self.assertEqual((tracking["TargetValue"], tracking["DisableScaleIn"]), (60.0, True))
        self.assertEqual(self.scaling.describe_policies(PolicyTypes=["StepScaling"])["ScalingPolicies"], [])
        self.put("requests", TargetTrackingConfiguration={"TargetValue": 5.0, "CustomizedMetricSpecification": {
            "MetricName": "Requests", "Namespace": "Shop", "Statistic": "Average",
            "Dimensions": [{"Name": "stage", "Value": "test"}]}})
        self.paged(self.scaling, "describe_policies", "ScalingPolicies", 1, lambda it: it["PolicyARN"])
        self.scaling.delete_policy(AutoScalingGroupName="web", PolicyName="cpu")
        with self.refused("ValidationError"):
            self.scaling.delete_policy(AutoScalingGroupName="web", PolicyName="cpu")
        names = [it["PolicyName"] for it in self.scaling.describe_policies()["ScalingPolicies"]]
        self.assertEqual(names, ["requests"])

    def test_what_is_refused(self) -> None:
        cpu = {"PredefinedMetricType": "ASGAverageCPUUtilization"}
        for wrong in [
            {"PredefinedMetricSpecification": {"PredefinedMetricType": "ALBRequestCountPerTarget"}, "TargetValue": 1.0},
            {"PredefinedMetricSpecification": {**cpu, "ResourceLabel": "app/a/b/targetgroup/c/d"}, "TargetValue": 1.0},
            {"TargetValue": 1.0},
        ]:
            with self.refused("ValidationError"):
                self.put("wrong", TargetTrackingConfiguration=wrong)
        with self.refused("ValidationError"):
            self.scaling.put_scaling_policy(AutoScalingGroupName="absent", PolicyName="cpu",
                                            PolicyType="TargetTrackingScaling",
                                            TargetTrackingConfiguration={"PredefinedMetricSpecification": cpu,
                                                                         "TargetValue": 1.0})

    def step(self, name: str, **params: object) -> dict:
        settings = {"PolicyType": "StepScaling", "AdjustmentType": "ChangeInCapacity", "StepAdjustments": [
            {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 1},
            {"MetricIntervalLowerBound": 10.0, "ScalingAdjustment": 3}], **params}
        settings = {name: it for name, it in settings.items() if it is not None}
        return self.scaling.put_scaling_policy(AutoScalingGroupName="web", PolicyName=name, **settings)

    def test_steps(self) -> None:
        made = self.step("steps", EstimatedInstanceWarmup=60)
        shown = self.scaling.describe_policies(AutoScalingGroupName="web", PolicyNames=["steps"])["ScalingPolicies"][0]
        self.assertEqual((shown["PolicyType"], shown["AdjustmentType"], shown["EstimatedInstanceWarmup"]),
                         ("StepScaling", "ChangeInCapacity", 60))
        # "If the aggregation type is null, the value is treated as Average."
        self.assertEqual((shown["MetricAggregationType"], shown["PolicyARN"]), ("Average", made["PolicyARN"]))
        self.assertEqual(shown["StepAdjustments"][1], {"MetricIntervalLowerBound": 10.0, "ScalingAdjustment": 3})
        simple = dict(PolicyType="SimpleScaling", StepAdjustments=None, ScalingAdjustment=-1, Cooldown=60)
        self.step("simple", **simple)
        # An alarm that tells the policy is shown with it.
        self.client("cloudwatch").put_metric_alarm(
            AlarmName="busy", Namespace="AWS/EC2", MetricName="CPUUtilization", Statistic="Average", Period=60,
            EvaluationPeriods=1, Threshold=80.0, ComparisonOperator="GreaterThanThreshold", AlarmActions=[made["PolicyARN"]])
        shown = self.scaling.describe_policies(PolicyNames=["steps", "simple"])["ScalingPolicies"]
        self.assertEqual({it["PolicyName"]: [alarm["AlarmName"] for alarm in it["Alarms"]] for it in shown},
                         {"steps": ["busy"], "simple": []})
        # StepAdjustment: no gap, no overlap, and open ends.
        for name, wrong in [
            ("end", {"StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 1.0,
                                          "ScalingAdjustment": 1}]}),
            ("none", {"StepAdjustments": None}), ("both", {"ScalingAdjustment": 1}), ("type", {"AdjustmentType": "Add"}),
            ("magnitude", {"MinAdjustmentMagnitude": 2}), ("cooldown", {"Cooldown": 60}),
        ]:
            with self.subTest(name), self.refused("ValidationError"):
                self.step("wrong", **wrong)
        for name in ["steps", "simple"]:
            self.scaling.delete_policy(AutoScalingGroupName="web", PolicyName=name)


class Schedules(Scaled):
    def put(self, name: str, **params: object) -> None:
        self.scaling.put_scheduled_update_group_action(AutoScalingGroupName="planned", ScheduledActionName=name, **params)

    def actions(self) -> dict[str, dict]:
        shown = self.scaling.describe_scheduled_actions(AutoScalingGroupName="planned")["ScheduledUpdateGroupActions"]
        return {it["ScheduledActionName"]: it for it in shown}

    def test_schedules(self) -> None:
        self.group("planned")
        self.put("daily", Recurrence="0 6 * * *", TimeZone="Europe/Berlin", DesiredCapacity=2)
        later = self.now() + datetime.timedelta(hours=20)
        self.put("once", StartTime=later, MinSize=1)
        shown = self.actions()
        self.assertEqual((shown["daily"]["Recurrence"], shown["daily"]["TimeZone"], shown["daily"]["DesiredCapacity"]),
                         ("0 6 * * *", "Europe/Berlin", 2))
        self.has(shown["daily"], "ScheduledActionARN", "StartTime")
        self.advance(6 * 3600)
        self.assertEqual(self.shown("planned")["DesiredCapacity"], 2)
        self.advance(15 * 3600)
        self.assertEqual(self.shown("planned")["MinSize"], 1)
        self.assertEqual(list(self.actions()), ["daily"])
        self.scaling.delete_scheduled_action(AutoScalingGroupName="planned", ScheduledActionName="daily")
        self.assertEqual(self.actions(), {})
        with self.refused("ValidationError"):
            self.scaling.delete_scheduled_action(AutoScalingGroupName="planned", ScheduledActionName="daily")
        for name, wrong in [
            ("sizes", {"Recurrence": "0 6 * * *"}), ("time", {"MinSize": 1}),
            ("cron", {"Recurrence": "daily", "MinSize": 1}), ("past", {"StartTime": self.now() - datetime.timedelta(hours=1),
                                                                     "MinSize": 1}),
            ("zone", {"Recurrence": "0 6 * * *", "TimeZone": "Berlin", "MinSize": 1}),
            ("bounds", {"Recurrence": "0 6 * * *", "MinSize": 2, "MaxSize": 1}),
        ]:
            with self.subTest(name), self.refused("ValidationError"):
                self.put("wrong", **wrong)


class Switches(Scaled):
    def test_processes(self) -> None:
        self.group("suspended")
        self.scaling.suspend_processes(AutoScalingGroupName="suspended", ScalingProcesses=["Launch", "AZRebalance"])
        shown = {it["ProcessName"]: it["SuspensionReason"] for it in self.shown("suspended")["SuspendedProcesses"]}
        self.assertEqual(set(shown), {"Launch", "AZRebalance"})
        self.assertTrue(shown["Launch"].startswith("User suspended at "))  # the example of DescribeAutoScalingGroups
        self.scaling.set_desired_capacity(AutoScalingGroupName="suspended", DesiredCapacity=1)
        self.advance(120)
        self.assertEqual(self.shown("suspended")["Instances"], [])
        self.scaling.resume_processes(AutoScalingGroupName="suspended", ScalingProcesses=["Launch"])
        self.in_service("suspended", 1)
        # SuspendProcesses: "If you omit this property, all processes are specified."
        self.scaling.suspend_processes(AutoScalingGroupName="suspended")
        self.assertEqual({it["ProcessName"] for it in self.shown("suspended")["SuspendedProcesses"]}, {
            "AZRebalance", "AddToLoadBalancer", "AlarmNotification", "HealthCheck", "InstanceRefresh", "Launch",
            "ReplaceUnhealthy", "ScheduledActions", "Terminate"})
        self.scaling.resume_processes(AutoScalingGroupName="suspended")
        self.assertEqual(self.shown("suspended")["SuspendedProcesses"], [])
        with self.refused("ValidationError"):
            self.scaling.suspend_processes(AutoScalingGroupName="suspended", ScalingProcesses=["Sleep"])

    def test_metrics(self) -> None:
        self.group("measured")
        self.scaling.enable_metrics_collection(AutoScalingGroupName="measured", Granularity="1Minute",
                                               Metrics=["GroupMinSize", "GroupMaxSize"])
        self.assertCountEqual(self.shown("measured")["EnabledMetrics"], [
            {"Metric": "GroupMinSize", "Granularity": "1Minute"}, {"Metric": "GroupMaxSize", "Granularity": "1Minute"}])
        self.scaling.disable_metrics_collection(AutoScalingGroupName="measured", Metrics=["GroupMinSize"])
        self.assertEqual([it["Metric"] for it in self.shown("measured")["EnabledMetrics"]], ["GroupMaxSize"])
        self.scaling.enable_metrics_collection(AutoScalingGroupName="measured", Granularity="1Minute")
        self.assertGreaterEqual(len(self.shown("measured")["EnabledMetrics"]), 8)
        # DisableMetricsCollection: "If you omit this property, all metrics are disabled."
        self.scaling.disable_metrics_collection(AutoScalingGroupName="measured")
        self.assertEqual(self.shown("measured")["EnabledMetrics"], [])
        with self.refused("ValidationError"):
            self.scaling.enable_metrics_collection(AutoScalingGroupName="measured", Granularity="5Minute")
        with self.refused("ValidationError"):
            self.scaling.enable_metrics_collection(AutoScalingGroupName="measured", Granularity="1Minute",
                                                   Metrics=["Mood"])


def tag(group: str, key: str, value: str = "", propagate: bool = False) -> dict:
    return {"ResourceId": group, "ResourceType": "auto-scaling-group", "Key": key, "Value": value,
            "PropagateAtLaunch": propagate}


class Tags(Scaled):
    def test_tags(self) -> None:
        self.group("tagged")
        self.scaling.create_or_update_tags(Tags=[tag("tagged", "colour", "blue", True), tag("tagged", "size", "big")])
        self.scaling.create_or_update_tags(Tags=[tag("tagged", "colour", "green")])
        self.assertCountEqual(self.shown("tagged")["Tags"],
                              [tag("tagged", "colour", "green"), tag("tagged", "size", "big")])

        def found(name: str, *values: str) -> list[str]:
            tags = self.scaling.describe_tags(Filters=[{"Name": name, "Values": list(values)},
                                                       {"Name": "auto-scaling-group", "Values": ["tagged"]}])["Tags"]
            return [it["Key"] for it in tags]

        self.assertEqual(found("value", "green"), ["colour"])
        self.assertEqual(found("propagate-at-launch", "true"), [])
        self.assertCountEqual(found("key", "colour", "size"), ["colour", "size"])
        with self.refused("ValidationError"):
            found("mood", "good")
        self.scaling.delete_tags(Tags=[tag("tagged", "size", "big"), tag("tagged", "absent")])
        self.assertEqual([it["Key"] for it in self.shown("tagged")["Tags"]], ["colour"])
        with self.refused("ValidationError"):
            self.scaling.create_or_update_tags(Tags=[tag("absent", "colour", "blue")])

    def test_enumerations(self) -> None:
        # The model: CapacityDistributionStrategy; Tag, ResourceType: "The only supported value is auto-scaling-group."
        with self.subTest("distribution"), self.refused("ValidationError"):
            self.group("even", AvailabilityZoneDistribution={"CapacityDistributionStrategy": "even"})
        self.group("typed-tag")
        with self.subTest("tag"), self.refused("ValidationError"):
            self.scaling.create_or_update_tags(Tags=[{**tag("typed-tag", "colour"), "ResourceType": "instance"}])


if __name__ == "__main__":
    unittest.main()
