"""Serves moto on a free port, and reads back with boto3 what was made there.

Prints the port, then answers lines: `{"account": …, "expression": …}` is answered by the value of the expression as JSON
in one line. The expression sees `client(service)`, a boto3 client in the account, and `observe()`, what of the account's
resources can be observed. Ends when stdin does, which is when the test process does.
"""
import datetime, functools, json, os, sys, threading, time

import boto3
from moto.moto_server import threaded_moto_server
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"
current = threading.local()


@functools.cache
def session(url, account):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
    role = f"arn:aws:iam::{account}:role/reader"
    assumed = boto3.client("sts", endpoint_url=url, **keys).assume_role(RoleArn=role, RoleSessionName="reader")["Credentials"]
    return boto3.Session(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"], REGION)


@functools.cache
def client_of(url, account, service):
    return session(url, account).client(service, endpoint_url=url)


def client(service):
    return client_of(current.url, current.account, service)


def listed(service, operation, member, drop=(), keep=lambda row: True):
    rows = [row for page in client(service).get_paginator(operation).paginate() for row in page[member]]
    return [{key: value for key, value in row.items() if key not in drop} for row in rows if keep(row)]


def alive(row):
    state = row.get("State")
    return (state["Name"] if isinstance(state, dict) else state) not in ("deleted", "terminated", "shutting-down")


def observe():
    ec2, zones = client("ec2"), listed("route53", "list_hosted_zones", "HostedZones")
    records = {zone["Name"]: client("route53").list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
               for zone in zones}
    # moto goes on naming the load balancer of a target group that no listener refers to any more.
    targets = {group["TargetGroupName"]: group for group in
               listed("elbv2", "describe_target_groups", "TargetGroups", drop=("LoadBalancerArns",))}
    balancers = listed("elbv2", "describe_load_balancers", "LoadBalancers")
    listeners = [listener for balancer in balancers for listener in
                 client("elbv2").describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]]
    rules = [rule for listener in listeners for rule in
             client("elbv2").describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]]
    roles = listed("iam", "list_roles", "Roles", keep=lambda role: role["RoleName"] != "reader")
    names = [role["RoleName"] for role in roles]
    iam = client("iam")
    # moto forgets to delete the network ACL of a deleted VPC, and its associations with deleted subnets. The id of an
    # association is a new one whenever a subnet moves, as in AWS.
    vpcs = [vpc["VpcId"] for vpc in listed("ec2", "describe_vpcs", "Vpcs")]
    subnets = [subnet["SubnetId"] for subnet in listed("ec2", "describe_subnets", "Subnets")]
    acls = listed("ec2", "describe_network_acls", "NetworkAcls", keep=lambda row: row["VpcId"] in vpcs)
    for acl in acls:
        acl["Associations"] = sorted({row["SubnetId"] for row in acl["Associations"]} & set(subnets))
        acl["Entries"].sort(key=lambda row: (row["Egress"], row["RuleNumber"]))
    # Their order means nothing: what is put back is the last.
    groups = listed("ec2", "describe_security_groups", "SecurityGroups")
    for group in groups:
        group["IpPermissions"].sort(key=str)
        group["IpPermissionsEgress"].sort(key=str)
    sns, topics = client("sns"), [row["TopicArn"] for row in listed("sns", "list_topics", "Topics")]
    logs = listed("logs", "describe_log_groups", "logGroups")
    clock = ("AlarmConfigurationUpdatedTimestamp", "StateUpdatedTimestamp")
    dashboards = listed("cloudwatch", "list_dashboards", "DashboardEntries", drop=("LastModified",))
    return {
        "topics": {arn: {"attributes": sns.get_topic_attributes(TopicArn=arn)["Attributes"],
                         "tags": sns.list_tags_for_resource(ResourceArn=arn)["Tags"],
                         "subscriptions": sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]} for arn in topics},
        "alarms": listed("cloudwatch", "describe_alarms", "MetricAlarms", drop=clock),
        "tags of alarms": {row["AlarmArn"]: client("cloudwatch").list_tags_for_resource(ResourceARN=row["AlarmArn"])["Tags"]
                           for row in listed("cloudwatch", "describe_alarms", "MetricAlarms")},
        "dashboards": {row["DashboardName"]: client("cloudwatch").get_dashboard(DashboardName=row["DashboardName"])["DashboardBody"]
                       for row in dashboards},
        "log groups": {row["logGroupName"]: (row.get("retentionInDays"), client("logs").list_tags_for_resource(
            resourceArn=row["logGroupArn"])["tags"]) for row in logs},
        "scheduled actions": listed("autoscaling", "describe_scheduled_actions", "ScheduledUpdateGroupActions"),
        "vpcs": listed("ec2", "describe_vpcs", "Vpcs"),
        "subnets": listed("ec2", "describe_subnets", "Subnets", drop=("AvailableIpAddressCount",)),
        "internet gateways": listed("ec2", "describe_internet_gateways", "InternetGateways"),
        "nat gateways": [row["NatGatewayId"] for row in ec2.describe_nat_gateways()["NatGateways"] if alive(row)],
        "addresses": ec2.describe_addresses()["Addresses"],
        "route tables": listed("ec2", "describe_route_tables", "RouteTables"),
        "network acls": acls,
        "security groups": groups,
        "launch templates": listed("ec2", "describe_launch_templates", "LaunchTemplates", drop=("LatestVersionNumber",)),
        "groups": listed("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", drop=("Instances",)),
        "policies of groups": listed("autoscaling", "describe_policies", "ScalingPolicies"),
        "hooks": [client("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=group["AutoScalingGroupName"])["LifecycleHooks"]
                  for group in client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]],
        "target groups": targets,
        "load balancers": balancers,
        "listeners": listeners,
        "rules": rules,
        "roles": roles,
        "inline policies": {name: {policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
                                   for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]} for name in names},
        "attached policies": {name: iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] for name in names},
        "policies": [client("iam").get_policy(PolicyArn=row["Arn"])["Policy"]["DefaultVersionId"] + row["Arn"] for row in
                     iam.list_policies(Scope="Local")["Policies"]],
        "instance profiles": listed("iam", "list_instance_profiles", "InstanceProfiles"),
        "certificates": sorted(row["CertificateArn"] for row in listed("acm", "list_certificates", "CertificateSummaryList")),
        "repositories": repositories(),
        "clusters": clusters(),
        "task definitions": task_definitions(),
        "scalable targets": client("application-autoscaling").describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"],
        "service policies": client("application-autoscaling").describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"],
        "parameters": {row["Name"]: [row["Type"], row.get("Description"), row.get("Tier"), parameter(row["Name"])] for row in
                       listed("ssm", "describe_parameters", "Parameters")},
        "health checks": {row["Id"]: [row["HealthCheckConfig"], client("route53").list_tags_for_resource(
            ResourceType="healthcheck", ResourceId=row["Id"])["ResourceTagSet"]["Tags"]] for row in
            client("route53").list_health_checks()["HealthChecks"]},
        "zones": zones,
        "records": records,
    }


def repositories():
    ecr = client("ecr")
    found = {row["repositoryName"]: row for row in listed("ecr", "describe_repositories", "repositories")}
    for name, row in found.items():
        row["tags"] = sorted(ecr.list_tags_for_resource(resourceArn=row["repositoryArn"])["tags"], key=str)
        for call, member in (("get_lifecycle_policy", "lifecyclePolicyText"), ("get_repository_policy", "policyText")):
            try:
                row[member] = json.loads(getattr(ecr, call)(repositoryName=name)[member])
            except ecr.exceptions.ClientError:
                row[member] = None
    return found


def clusters():
    ecs = client("ecs")
    arns = ecs.list_clusters()["clusterArns"]
    found = ecs.describe_clusters(clusters=arns, include=["SETTINGS", "TAGS"])["clusters"] if arns else []
    for row in found:
        row["tags"] = sorted(row.get("tags", []), key=str)
    return [row for row in found if row["status"] == "ACTIVE"]


def task_definitions():
    ecs = client("ecs")
    arns = [arn for page in ecs.get_paginator("list_task_definitions").paginate() for arn in page["taskDefinitionArns"]]
    found = [ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"]) for arn in arns]
    return [[row["taskDefinition"], row.get("tags")] for row in found if row["taskDefinition"]["status"] == "ACTIVE"]
def parameter(name):
    tags = client("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    return [client("ssm").get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"], sorted(tags, key=str)]


def plain(value):
    return value.isoformat() if isinstance(value, datetime.datetime) else str(value)


class Distant(threaded_moto_server.DomainDispatcherApplication):
    """Answers each request MOTO_DELAY_MS later: figures of docs/performance.md are taken with the round trip of a real
    endpoint. It sleeps in the thread of the request, so requests that are under way together wait at the same time."""

    def __call__(self, environ, start_response):
        time.sleep(int(os.environ["MOTO_DELAY_MS"]) / 1000)
        return super().__call__(environ, start_response)


def main():
    if os.environ.get("MOTO_DELAY_MS"):
        threaded_moto_server.DomainDispatcherApplication = Distant
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    current.url = f"http://{host}:{port}"
    print(port, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        current.account = question["account"]
        try:
            answer = {"value": eval(question["expression"])}
        except Exception as error:  # The test says what it asked.
            answer = {"error": repr(error)}
        print(json.dumps(answer, default=plain), flush=True)


main()
