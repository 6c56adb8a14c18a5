"""CloudWatch: alarms of metrics and of other alarms, their states over time, tags, and dashboards.

What is expected is in the API reference of the action, or in the guide's page named beside it. boto3 asks in JSON.
"""
import json
import unittest

from support import ACCOUNT, Case, REGION, network, tag_list, tags_of

CPU = {"Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "Statistic": "Average", "Period": 60,
       "EvaluationPeriods": 1, "Threshold": 80.0, "ComparisonOperator": "GreaterThanThreshold"}
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alerts"


class Watched(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.watch = cls.client("cloudwatch")

    def put(self, name: str, **params: object) -> None:
        settings = {**CPU, **params}
        self.watch.put_metric_alarm(AlarmName=name, **{name: it for name, it in settings.items() if it is not None})

    def shown(self, name: str) -> dict:
        reply = self.watch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        [alarm] = reply["MetricAlarms"] + reply["CompositeAlarms"]
        return alarm

    def state(self, name: str) -> str:
        return self.shown(name)["StateValue"]


class Alarms(Watched):
    def test_a_new_alarm(self) -> None:
        self.put("new", AlarmDescription="busy", AlarmActions=[TOPIC], Dimensions=[{"Name": "a", "Value": "b"}],
                 DatapointsToAlarm=1, TreatMissingData="ignore", Tags=tag_list(team="web"))
        shown = self.shown("new")
        self.assertEqual(
            {name: shown.get(name) for name in (
                "AlarmName", "AlarmArn", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "Period",
                "Threshold", "EvaluationPeriods", "DatapointsToAlarm", "Dimensions", "StateValue", "TreatMissingData")},
            {"AlarmName": "new", "AlarmArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:new",
             "AlarmDescription": "busy", "ActionsEnabled": True, "OKActions": [], "AlarmActions": [TOPIC], "Period": 60,
             "Threshold": 80.0, "EvaluationPeriods": 1, "DatapointsToAlarm": 1,
             "Dimensions": [{"Name": "a", "Value": "b"}],
             # "When this operation creates an alarm, the alarm state is immediately set to INSUFFICIENT_DATA."
             "StateValue": "INSUFFICIENT_DATA", "TreatMissingData": "ignore"})
        self.assertEqual(shown["StateUpdatedTimestamp"].year, 2026)
        # "the update completely overwrites the previous configuration of the alarm"; tags are not touched.
        self.put("new", Threshold=90.0, Tags=tag_list(team="other"))
        shown = self.shown("new")
        self.assertEqual((shown["Threshold"], shown.get("AlarmDescription"), shown["AlarmActions"]), (90.0, None, []))
        self.assertEqual(tags_of(self.watch.list_tags_for_resource(ResourceARN=shown["AlarmArn"])), {"team": "web"})
        self.watch.delete_alarms(AlarmNames=["new", "absent"])
        self.assertEqual(self.watch.describe_alarms(AlarmNames=["new"])["MetricAlarms"], [])

    def test_what_is_refused(self) -> None:
        for name, wrong in [
            ("period", {"Period": 45}), ("a day", {"Period": 300, "EvaluationPeriods": 289}),
            ("datapoints", {"DatapointsToAlarm": 2}), ("metric", {"MetricName": None}),
            ("missing", {"TreatMissingData": "maybe"}), ("comparison", {"ComparisonOperator": "Equals"}),
            ("action", {"AlarmActions": ["topic"]}), ("threshold", {"Threshold": None}),
            ("statistics", {"ExtendedStatistic": "p99"}),
        ]:
            with self.subTest(name), self.refused("ValidationError", "InvalidParameterCombination", status=400):
                self.put("wrong", **wrong)

    def test_metrics_are_computed_with(self) -> None:
        def query(name: str) -> dict:
            stat = {"Metric": {"Namespace": "Shop", "MetricName": name}, "Period": 60, "Stat": "Sum"}
            return {"Id": name, "MetricStat": stat, "ReturnData": False}

        metrics = [query("errors"), query("requests"), {"Id": "ratio", "Expression": "errors / requests",
                                                         "ReturnData": True}]
        none = dict.fromkeys(["Namespace", "MetricName", "Statistic", "Period"])
        self.put("ratio", **none, Metrics=metrics)
        self.assertEqual(self.shown("ratio")["Metrics"], metrics)
        metrics[0]["ReturnData"] = True
        with self.refused("ValidationError"):
            self.put("ratio", **none, Metrics=metrics)

    def test_lists(self) -> None:
        for name in ["list-a", "list-b", "list-c"]:
            self.put(name, TreatMissingData="ignore")
        self.watch.set_alarm_state(AlarmName="list-b", StateValue="ALARM", StateReason="a test")
        self.paged(self.watch, "describe_alarms", "MetricAlarms", 2, lambda it: it["AlarmName"], AlarmNamePrefix="list-")
        shown = self.watch.describe_alarms(AlarmNamePrefix="list-", StateValue="ALARM")["MetricAlarms"]
        self.assertEqual([(it["AlarmName"], it["StateReason"]) for it in shown], [("list-b", "a test")])
        with self.refused("ResourceNotFound", status=404):
            self.watch.set_alarm_state(AlarmName="absent", StateValue="OK", StateReason="a test")
        with self.refused("InvalidFormat"):
            self.watch.set_alarm_state(AlarmName="list-a", StateValue="OK", StateReason="a test", StateReasonData="{")

    def test_tags(self) -> None:
        self.put("tags", Tags=tag_list(team="web", old="yes"))
        arn = self.shown("tags")["AlarmArn"]
        self.watch.tag_resource(ResourceARN=arn, Tags=tag_list(team="shop"))
        self.watch.untag_resource(ResourceARN=arn, TagKeys=["old"])
        self.assertEqual(tags_of(self.watch.list_tags_for_resource(ResourceARN=arn)), {"team": "shop"})
        with self.refused("ResourceNotFoundException", status=404):
            self.watch.list_tags_for_resource(ResourceARN=arn + "-absent")

    def test_alarms_over_alarms(self) -> None:
        self.put("child", Dimensions=[{"Name": "a", "Value": "b"}], TreatMissingData="ignore")
        self.watch.put_composite_alarm(AlarmName="parent", AlarmRule="ALARM(child) OR FALSE", Tags=tag_list(team="web"))
        # "If you omit this parameter, only metric alarms are returned".
        self.assertEqual(self.watch.describe_alarms(AlarmNames=["parent"])["CompositeAlarms"], [])
        self.advance(15)
        self.assertEqual(self.state("parent"), "OK")
        self.watch.set_alarm_state(AlarmName="child", StateValue="ALARM", StateReason="a test")
        self.advance(5)
        self.assertEqual(self.state("parent"), "ALARM")
        with self.refused("ValidationError", says="depending on it"):
            self.watch.delete_alarms(AlarmNames=["child"])
        for rule in ["ALARM(child", "ALARM(absent)", "WRONG(child)"]:
            with self.subTest(rule), self.refused("ValidationError"):
                self.watch.put_composite_alarm(AlarmName="wrong", AlarmRule=rule)
        self.watch.delete_alarms(AlarmNames=["parent"])
        self.watch.delete_alarms(AlarmNames=["child"])

    def test_alarms_in_a_circle(self) -> None:
        # PutCompositeAlarm: "It is possible to create a loop or cycle of composite alarms".
        self.put("outside", TreatMissingData="ignore")
        self.watch.put_composite_alarm(AlarmName="one", AlarmRule="ALARM(outside)")
        self.watch.put_composite_alarm(AlarmName="two", AlarmRule="ALARM(one)")
        self.advance(15)
        self.watch.put_composite_alarm(AlarmName="one", AlarmRule="ALARM(outside) OR NOT ALARM(two)")
        # "the evaluation of composite alarms stops if CloudWatch detects a cycle in the evaluation path."
        self.watch.set_alarm_state(AlarmName="outside", StateValue="ALARM", StateReason="a test")
        self.advance(60)
        self.assertEqual([self.state("one"), self.state("two")], ["OK", "OK"])
        # "you can't delete any composite alarm that is part of the cycle".
        for name in ["one", "two"]:
            with self.subTest(name), self.refused("ValidationError", says="depending on it"):
                self.watch.delete_alarms(AlarmNames=[name])
        # "The simplest change to make to break a cycle is to change the AlarmRule of one of the alarms to false."
        self.watch.put_composite_alarm(AlarmName="two", AlarmRule="FALSE")
        self.advance(60)
        self.watch.set_alarm_state(AlarmName="outside", StateValue="OK", StateReason="a test")
        self.advance(5)
        self.assertEqual([self.state("one"), self.state("two")], ["ALARM", "OK"])
        self.watch.delete_alarms(AlarmNames=["one"])
        self.watch.delete_alarms(AlarmNames=["two"])

    def test_states_over_time(self) -> None:
        scaling, ec2, net = self.client("autoscaling"), self.client("ec2"), network(self)
        ec2.create_launch_template(LaunchTemplateName="web", LaunchTemplateData={
            "ImageId": "ami-healthy-1", "InstanceType": "t3.small"})
        self.settle()
        scaling.create_auto_scaling_group(
            AutoScalingGroupName="web", MinSize=1, MaxSize=3, LaunchTemplate={"LaunchTemplateName": "web"},
            VPCZoneIdentifier=",".join(net.subnets))
        of_group = [{"Name": "AutoScalingGroupName", "Value": "web"}]
        self.put("busy", Dimensions=of_group)
        self.put("idle", Dimensions=of_group, ComparisonOperator="LessThanThreshold")
        self.put("unknown", Dimensions=[{"Name": "AutoScalingGroupName", "Value": "absent"}])
        self.put("missing", Dimensions=[{"Name": "AutoScalingGroupName", "Value": "absent"}],
                 TreatMissingData="breaching")
        self.advance(300)
        states = {name: self.state(name) for name in ["busy", "idle", "unknown", "missing"]}
        self.assertEqual(states, {"busy": "OK", "idle": "ALARM", "unknown": "INSUFFICIENT_DATA", "missing": "ALARM"})
        self.assertIn("was less than the threshold (80.0)", self.shown("idle")["StateReason"])
        # "Metric alarms returns to their actual state quickly".
        self.watch.set_alarm_state(AlarmName="busy", StateValue="ALARM", StateReason="a test")
        self.assertEqual(self.state("busy"), "ALARM")
        self.advance(60)
        self.assertEqual(self.state("busy"), "OK")


class Dashboards(Watched):
    TEXT = {"type": "text", "x": 0, "y": 0, "width": 6, "height": 3, "properties": {"markdown": "# Shop"}}

    def test_a_dashboard(self) -> None:
        body = json.dumps({"widgets": [self.TEXT]})
        made = self.watch.put_dashboard(DashboardName="web", DashboardBody=body)
        self.assertEqual(made["DashboardValidationMessages"], [])
        shown = self.watch.get_dashboard(DashboardName="web")
        self.assertEqual((shown["DashboardBody"], shown["DashboardName"], shown["DashboardArn"]),
                         (body, "web", f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/web"))
        # "All dashboards in your account are global, not region-specific."
        elsewhere = self.client("cloudwatch", region="eu-west-1")
        self.assertEqual(elsewhere.get_dashboard(DashboardName="web")["DashboardBody"], body)
        [entry] = self.watch.list_dashboards(DashboardNamePrefix="we")["DashboardEntries"]
        self.assertEqual((entry["DashboardName"], entry["Size"]), ("web", len(body)))
        self.watch.delete_dashboards(DashboardNames=["web"])
        with self.refused("ResourceNotFound", "DashboardNotFoundError", status=404):
            self.watch.get_dashboard(DashboardName="web")

    def test_what_is_refused(self) -> None:
        metric = {**self.TEXT, "type": "metric", "properties": {"region": REGION}}
        for body in ["none", "[]", {}, {"widgets": {}}, {"widgets": [{**self.TEXT, "type": "pie"}]},
                     {"widgets": [{**self.TEXT, "width": 25}]}, {"widgets": [metric]}]:
            text = body if isinstance(body, str) else json.dumps(body)
            with self.subTest(text), self.refused("InvalidParameterInput", "DashboardInvalidInputError", status=400):
                self.watch.put_dashboard(DashboardName="wrong", DashboardBody=text)
        with self.refused("InvalidParameterInput", "DashboardInvalidInputError"):
            self.watch.put_dashboard(DashboardName="a b", DashboardBody='{"widgets": []}')
        # "If this result includes only warning messages, then the input was valid enough".
        made = self.watch.put_dashboard(DashboardName="warned", DashboardBody='{"widgets": [], "colour": "blue"}')
        self.assertEqual([it["DataPath"] for it in made["DashboardValidationMessages"]], ["/colour"])


if __name__ == "__main__":
    unittest.main()
