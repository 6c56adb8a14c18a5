"""Application Auto Scaling: the bounds of ECS services, and policies that track a target.

What is expected is in the API reference of the action. botocore has no waiters for this service.
"""
import unittest

from support import ACCOUNT, Case, REGION, network

CPU = {"TargetValue": 60.0,
       "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}
DIMENSION = "ecs:service:DesiredCount"


class Scaled(Case):
    """With a cluster and what a service of one task needs."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.scaling, cls.ecs = cls.client("application-autoscaling"), cls.client("ecs")
        cls.net = network(cls)
        cls.ecs.create_cluster(clusterName="shop")
        cls.ecs.register_task_definition(
            family="web", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
            containerDefinitions=[{"name": "web", "image": "registry.example/web:healthy-1"}])
        cls.settle()

    def service(self, name: str, count: int = 1) -> str:
        """Makes a service; it is scaled by this id."""
        self.ecs.create_service(
            cluster="shop", serviceName=name, taskDefinition="web", desiredCount=count, launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": self.net.subnets}})
        self.settle()
        return f"service/shop/{name}"

    def desired(self, resource: str) -> int:
        shown = self.ecs.describe_services(cluster="shop", services=[resource.split("/")[-1]])["services"]
        return shown[0]["desiredCount"]

    @staticmethod
    def named(resource: str) -> dict:
        return {"ServiceNamespace": "ecs", "ResourceId": resource, "ScalableDimension": DIMENSION}

    def register(self, resource: str, **params: object) -> dict:
        made = self.scaling.register_scalable_target(**self.named(resource), **params)
        self.settle()
        return made

    def put(self, resource: str, name: str = "cpu", **params: object) -> dict:
        settings = {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": CPU, **params}
        settings = {name: it for name, it in settings.items() if it is not None}
        made = self.scaling.put_scaling_policy(PolicyName=name, **self.named(resource), **settings)
        self.settle()
        return made

    def target(self, name: str) -> str:
        resource = self.service(name)
        self.register(resource, MinCapacity=1, MaxCapacity=4)
        return resource


class Targets(Scaled):
    def targets(self, *resources: str) -> list[dict]:
        return self.scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=resources)["ScalableTargets"]

    def test_a_target(self) -> None:
        web = self.service("web")
        arn = self.register(web, MinCapacity=1, MaxCapacity=4, Tags={"team": "web"})["ScalableTargetARN"]
        self.assertTrue(arn.startswith(f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:scalable-target/"))
        [shown] = self.targets(web)
        self.assertEqual({name: shown[name] for name in self.named(web)}, self.named(web))
        self.assertEqual((shown["MinCapacity"], shown["MaxCapacity"], shown["ScalableTargetARN"]), (1, 4, arn))
        # RoleARN: "If the service supports service-linked roles, Application Auto Scaling uses a service-linked role".
        self.assertIn("AWSServiceRoleForApplicationAutoScaling_ECSService", shown["RoleARN"])
        goes_on = {"DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": False,
                   "ScheduledScalingSuspended": False}
        self.assertEqual(shown["SuspendedState"], goes_on)
        self.has(shown, "CreationTime")
        # "Any parameters that you don't specify are not changed by this update request."
        again = self.register(web, MaxCapacity=6, SuspendedState={"DynamicScalingInSuspended": True})
        self.assertEqual(again["ScalableTargetARN"], arn)
        [shown] = self.targets(web)
        self.assertEqual((shown["MinCapacity"], shown["MaxCapacity"]), (1, 6))
        self.assertEqual(shown["SuspendedState"], {**goes_on, "DynamicScalingInSuspended": True})
        self.scaling.deregister_scalable_target(**self.named(web))
        self.settle()
        self.assertEqual(self.targets(web), [])
        with self.refused("ObjectNotFoundException", status=400, says="No scalable target"):
            self.scaling.deregister_scalable_target(**self.named(web))

    def test_a_service_is_kept_within_its_bounds(self) -> None:
        kept = self.service("kept")
        self.register(kept, MinCapacity=2, MaxCapacity=3)
        self.until(lambda: self.desired(kept) == 2, "as many as the least")
        self.register(kept, MinCapacity=0, MaxCapacity=1)
        self.until(lambda: self.desired(kept) == 1, "as many as the most")

    def test_what_is_refused(self) -> None:
        wrong = self.service("wrong")
        for name, resource, params in [
            ("absent", "service/shop/absent", {"MinCapacity": 1, "MaxCapacity": 2}),
            ("resource", "shop/wrong", {"MinCapacity": 1, "MaxCapacity": 2}),
            # MinCapacity, MaxCapacity: "required when registering a new scalable target".
            ("min", wrong, {"MaxCapacity": 2}), ("max", wrong, {"MinCapacity": 1}), ("none", wrong, {}),
            ("bounds", wrong, {"MinCapacity": 3, "MaxCapacity": 2}),
            ("negative", wrong, {"MinCapacity": -1, "MaxCapacity": 2}),
        ]:
            with self.subTest(name), self.refused("ValidationException", status=400):
                self.register(resource, **params)
        self.assertEqual(self.targets(wrong), [])
        with self.subTest("dimension"), self.refused("ValidationException", status=400):
            self.scaling.register_scalable_target(**{**self.named(wrong), "ScalableDimension": "ecs:service:Mood"},
                                                  MinCapacity=1, MaxCapacity=2)
        with self.subTest("namespace"), self.refused("ValidationException", status=400):
            self.scaling.describe_scalable_targets(ServiceNamespace="mood")

    def test_pages(self) -> None:
        for at in range(3):
            self.register(self.service(f"page-{at}", 0), MinCapacity=0, MaxCapacity=2)
        self.paged(self.scaling, "describe_scalable_targets", "ScalableTargets", 1, lambda it: it["ResourceId"],
                   ServiceNamespace="ecs")
        with self.refused("InvalidNextTokenException", status=400):
            self.scaling.describe_scalable_targets(ServiceNamespace="ecs", NextToken="absent")

    def test_a_dimension_is_of_a_resource(self) -> None:
        # ScalableDimension: "If you specify a scalable dimension, you must also specify a resource ID."
        for call in [self.scaling.describe_scalable_targets, self.scaling.describe_scaling_policies]:
            with self.subTest(call.__name__), self.refused("ValidationException", status=400):
                call(ServiceNamespace="ecs", ScalableDimension=DIMENSION)


class Policies(Scaled):
    def policies(self, **params: object) -> list[dict]:
        return self.scaling.describe_scaling_policies(ServiceNamespace="ecs", **params)["ScalingPolicies"]

    def test_policies(self) -> None:
        web = self.target("web")
        made = self.put(web)
        # PutScalingPolicy: the ARN, and the alarms that were made for it.
        self.assertTrue(made["PolicyARN"].startswith(f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:"))
        self.assertTrue(made["PolicyARN"].endswith(f":resource/ecs/{web}:policyName/cpu"))
        self.assertEqual(len(made["Alarms"]), 2)
        for alarm in made["Alarms"]:
            self.has(alarm, "AlarmName", "AlarmARN")
            self.assertTrue(alarm["AlarmName"].startswith(f"TargetTracking-{web}-Alarm"))
        again = self.put(web, TargetTrackingScalingPolicyConfiguration={
            **CPU, "TargetValue": 70.0, "ScaleOutCooldown": 30, "ScaleInCooldown": 90, "DisableScaleIn": True})
        self.assertEqual(again["PolicyARN"], made["PolicyARN"])
        [shown] = self.policies(ResourceId=web, ScalableDimension=DIMENSION)
        self.assertEqual({name: shown[name] for name in self.named(web)}, self.named(web))
        self.assertEqual((shown["PolicyName"], shown["PolicyType"], shown["PolicyARN"]),
                         ("cpu", "TargetTrackingScaling", made["PolicyARN"]))
        self.assertEqual(shown["TargetTrackingScalingPolicyConfiguration"], {
            **CPU, "TargetValue": 70.0, "ScaleOutCooldown": 30, "ScaleInCooldown": 90, "DisableScaleIn": True})
        self.has(shown, "CreationTime")
        self.put(web, "memory", TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 50.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageMemoryUtilization"}})
        [shown] = self.policies(PolicyNames=["memory"])
        self.assertFalse(shown["TargetTrackingScalingPolicyConfiguration"]["DisableScaleIn"])
        self.paged(self.scaling, "describe_scaling_policies", "ScalingPolicies", 1, lambda it: it["PolicyARN"],
                   ServiceNamespace="ecs")
        self.scaling.delete_scaling_policy(PolicyName="cpu", **self.named(web))
        self.settle()
        with self.refused("ObjectNotFoundException", status=400, says="cpu"):
            self.scaling.delete_scaling_policy(PolicyName="cpu", **self.named(web))
        self.settle()
        self.assertEqual([it["PolicyName"] for it in self.policies(ResourceId=web)], ["memory"])
        # "Deregistering a scalable target deletes the scaling policies […] that are associated with it."
        self.scaling.deregister_scalable_target(**self.named(web))
        self.settle()
        self.assertEqual(self.policies(ResourceId=web), [])

    def test_what_is_refused(self) -> None:
        web, bare = self.target("refused"), self.service("bare")
        with self.refused("ObjectNotFoundException", status=400, says="No scalable target"):
            self.put(bare)
        requests = {"PredefinedMetricType": "ALBRequestCountPerTarget"}
        label = {"ResourceLabel": "app/a/b/targetgroup/c/d"}
        for name, wrong in [
            ("none", {"TargetValue": 60.0}),
            ("label", {"PredefinedMetricSpecification": requests, "TargetValue": 60.0}),
            ("labelled", {**CPU, "PredefinedMetricSpecification": {**CPU["PredefinedMetricSpecification"], **label}}),
            ("metric", {"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
                        "TargetValue": 60.0}),
            ("configuration", None),
        ]:
            with self.subTest(name), self.refused("ValidationException", status=400):
                self.put(web, TargetTrackingScalingPolicyConfiguration=wrong)

    def test_other_kinds(self) -> None:
        web, cloudwatch = self.target("others"), self.client("cloudwatch")
        queue = {"MetricName": "Backlog", "Namespace": "Shop", "Statistic": "Average",
                 "Dimensions": [{"Name": "Queue", "Value": "orders"}]}
        self.put(web, "queue", TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 10.0, "CustomizedMetricSpecification": queue})
        [shown] = self.policies(PolicyNames=["queue"])
        self.assertEqual(shown["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"], queue)
        steps = {"AdjustmentType": "ChangeInCapacity", "Cooldown": 60,
                 "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 2}]}
        made = self.put(web, "steps", PolicyType="StepScaling", TargetTrackingScalingPolicyConfiguration=None,
                        StepScalingPolicyConfiguration=steps)
        self.assertEqual(made["Alarms"], [])
        cloudwatch.put_metric_alarm(AlarmName="backlog", Namespace="Shop", MetricName="Backlog", Statistic="Average",
                                    Period=60, EvaluationPeriods=1, Threshold=100.0,
                                    ComparisonOperator="GreaterThanThreshold", AlarmActions=[made["PolicyARN"]])
        self.settle()
        [shown] = self.policies(PolicyNames=["steps"])
        self.assertEqual((shown["PolicyType"], shown["StepScalingPolicyConfiguration"]), ("StepScaling", steps))
        # Alarms: "The CloudWatch alarms associated with the scaling policy."
        self.assertEqual([alarm["AlarmName"] for alarm in shown["Alarms"]], ["backlog"])
        for wrong in [{}, {**steps, "AdjustmentType": "Mood"}, {**steps, "StepAdjustments": []}]:
            with self.refused("ValidationException", status=400):
                self.put(web, "wrong", PolicyType="StepScaling", TargetTrackingScalingPolicyConfiguration=None,
                         StepScalingPolicyConfiguration=wrong)
        with self.refused("ValidationException", status=400):
            self.put(web, "both", TargetTrackingScalingPolicyConfiguration={
                **CPU, "CustomizedMetricSpecification": queue})

    def test_the_alarms_are_there(self) -> None:
        # Alarms: "The CloudWatch alarms created for the target tracking scaling policy."
        web, cloudwatch = self.target("alarmed"), self.client("cloudwatch")
        made = self.put(web)
        names = sorted(alarm["AlarmName"] for alarm in made["Alarms"])
        shown = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
        self.assertEqual(sorted(alarm["AlarmName"] for alarm in shown), names)
        for alarm in shown:
            dimensions = {it["Name"]: it["Value"] for it in alarm["Dimensions"]}
            self.assertEqual((alarm["Namespace"], alarm["MetricName"], dimensions, alarm["AlarmActions"]), (
                "AWS/ECS", "CPUUtilization", {"ClusterName": "shop", "ServiceName": "alarmed"}, [made["PolicyARN"]]))
        # As accounts show them: three minutes above the target, fifteen below nine tenths of it.
        judged = {(it["ComparisonOperator"], it["Threshold"], it["EvaluationPeriods"]) for it in shown}
        self.assertEqual(judged, {("GreaterThanThreshold", 60.0, 3), ("LessThanThreshold", 54.0, 15)})
        # One that does not scale in has no alarm for it.
        changed = self.put(web, TargetTrackingScalingPolicyConfiguration={
            **CPU, "TargetValue": 70.0, "DisableScaleIn": True})["Alarms"]
        [high] = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
        self.assertEqual(([it["AlarmName"] for it in changed], high["Threshold"]), ([high["AlarmName"]], 70.0))
        self.scaling.delete_scaling_policy(PolicyName="cpu", **self.named(web))
        self.settle()
        self.assertEqual(cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"], [])
        requests = {"PredefinedMetricType": "ALBRequestCountPerTarget",
                    "ResourceLabel": "app/web/0123456789abcdef/targetgroup/web/fedcba9876543210"}
        made = self.put(web, "requests", TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 100.0, "PredefinedMetricSpecification": requests})
        names = [alarm["AlarmName"] for alarm in made["Alarms"]]
        for alarm in cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]:
            dimensions = {it["Name"]: it["Value"] for it in alarm["Dimensions"]}
            self.assertEqual((alarm["Namespace"], alarm["MetricName"], alarm["Statistic"], dimensions), (
                "AWS/ApplicationELB", "RequestCountPerTarget", "Sum",
                {"LoadBalancer": "app/web/0123456789abcdef", "TargetGroup": "targetgroup/web/fedcba9876543210"}))
        self.scaling.deregister_scalable_target(**self.named(web))
        self.assertEqual(cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"], [])

    def test_a_new_policy_has_a_type(self) -> None:
        # PolicyType: "This parameter is required if you are creating a scaling policy."
        web = self.target("untyped")
        with self.refused("ValidationException", status=400):
            self.put(web, "untyped", PolicyType=None)
        made = self.put(web, "typed")
        self.assertEqual(self.put(web, "typed", PolicyType=None)["PolicyARN"], made["PolicyARN"])


class Schedules(Scaled):
    def actions(self, resource: str) -> list[dict]:
        shown = self.scaling.describe_scheduled_actions(ServiceNamespace="ecs", ResourceId=resource)
        return shown["ScheduledActions"]

    def schedule(self, resource: str, name: str = "night", **params: object) -> None:
        self.scaling.put_scheduled_action(ScheduledActionName=name, **self.named(resource), **params)
        self.settle()

    def test_scheduled_actions(self) -> None:
        web = self.target("scheduled")
        fewer = {"MinCapacity": 1, "MaxCapacity": 2}
        self.schedule(web, Schedule="cron(0 22 * * ? *)", Timezone="Europe/Berlin", ScalableTargetAction=fewer)
        [shown] = self.actions(web)
        self.assertEqual({name: shown[name] for name in self.named(web)}, self.named(web))
        self.assertEqual((shown["Schedule"], shown["Timezone"], shown["ScalableTargetAction"]),
                         ("cron(0 22 * * ? *)", "Europe/Berlin", fewer))
        self.assertTrue(shown["ScheduledActionARN"].endswith(f":resource/ecs/{web}:scheduledActionName/night"))
        self.has(shown, "CreationTime")
        # "Any parameters that you don't specify are not changed by this update request."
        self.schedule(web, Schedule="rate(1 day)")
        [shown] = self.actions(web)
        self.assertEqual((shown["Schedule"], shown["ScalableTargetAction"]), ("rate(1 day)", fewer))
        self.schedule(web, "day", Schedule="at(2030-01-01T08:00:00)", ScalableTargetAction=fewer)
        self.paged(self.scaling, "describe_scheduled_actions", "ScheduledActions", 1,
                   lambda it: it["ScheduledActionName"], ServiceNamespace="ecs")
        self.scaling.delete_scheduled_action(ScheduledActionName="night", **self.named(web))
        self.settle()
        self.assertEqual([it["ScheduledActionName"] for it in self.actions(web)], ["day"])
        with self.refused("ObjectNotFoundException", status=400, says="night"):
            self.scaling.delete_scheduled_action(ScheduledActionName="night", **self.named(web))
        # "Deregistering a scalable target deletes the scaling policies and the scheduled actions".
        self.scaling.deregister_scalable_target(**self.named(web))
        self.settle()
        self.assertEqual(self.actions(web), [])
        with self.refused("ObjectNotFoundException", status=400, says="No scalable target"):
            self.schedule(web, Schedule="rate(1 day)")

    def test_what_is_refused(self) -> None:
        web = self.target("unscheduled")
        for wrong in [{}, {"Schedule": "daily"}]:
            with self.refused("ValidationException", status=400):
                self.schedule(web, ScalableTargetAction={"MinCapacity": 1}, **wrong)


if __name__ == "__main__":
    unittest.main()
