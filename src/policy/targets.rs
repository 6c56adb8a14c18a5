//! Which resources a call changes: by the parameters that name them.
//!
//! A part without tags of its own (a route, a rule of a security group, a version, a record) belongs to the resource it is
//! part of. A resource with tags of its own does not: a listener is not its load balancer, a subnet not its VPC.

use serde_json::Value;

use super::{Call, Pattern};

/// A resource that a call changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub kind: Kind,
    /// As the call names it: an id, an ARN or a name.
    pub id: String,
}

/// What it is: how its tags are read depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// By its id.
    Ec2,
    /// Load balancer, target group, listener or rule, by its ARN.
    LoadBalancing,
    /// By its name.
    AutoScalingGroup,
    /// By its name.
    Role,
    /// By its ARN.
    ManagedPolicy,
    /// By its name.
    InstanceProfile,
    /// By its ARN.
    Certificate,
    /// By its id.
    HostedZone,
    /// By its id.
    HealthCheck,
    /// Of ECR, by its name.
    Repository,
    /// Cluster, service, task definition or task, by its ARN.
    Ecs,
    /// By its name. It has no tags.
    Record,
    /// By its ARN, or that of one of its subscriptions.
    Topic,
    /// By its name or its ARN.
    Alarm,
    /// By its name. It has no tags here.
    Dashboard,
    /// By its name or its ARN.
    LogGroup,
    /// Of Systems Manager, by its name.
    Parameter,
    /// Of a kind whose tags cannot be read.
    Other,
}

/// Calls and the parameters that name what they change; the first line that fits counts. `ID` is every parameter at the
/// top that ends in `Id`; `ANY` every one that could name something.
const TABLE: &[(&str, &[&str])] = &[
    ("acm:RequestCertificate", &[]),
    ("acm:*", &["CertificateArn"]),
    ("autoscaling:CreateAutoScalingGroup", &[]),
    ("autoscaling:CreateOrUpdateTags", &["Tags.ResourceId"]),
    ("autoscaling:DeleteTags", &["Tags.ResourceId"]),
    ("autoscaling:*", &["AutoScalingGroupName"]),
    ("ec2:CreateTags", &["ResourceId"]),
    ("ec2:DeleteTags", &["ResourceId"]),
    ("ec2:CreateRoute", &["RouteTableId"]),
    ("ec2:ReplaceRoute", &["RouteTableId"]),
    ("ec2:DeleteRoute", &["RouteTableId"]),
    ("ec2:CreateNetworkAclEntry", &["NetworkAclId"]),
    ("ec2:CreateLaunchTemplateVersion", &["LaunchTemplateId", "LaunchTemplateName"]),
    ("ec2:CopyImage", &[]),
    ("ec2:RunInstances", &[]),
    ("ec2:Create*", &[]),
    ("ec2:AllocateAddress", &[]),
    ("ec2:*LaunchTemplate*", &["LaunchTemplateId", "LaunchTemplateName"]),
    ("ec2:*", &[ID]),
    ("elasticloadbalancing:AddTags", &["ResourceArns"]),
    ("elasticloadbalancing:RemoveTags", &["ResourceArns"]),
    ("elasticloadbalancing:SetRulePriorities", &["RulePriorities.RuleArn"]),
    ("elasticloadbalancing:Create*", &[]),
    ("elasticloadbalancing:*", &["LoadBalancerArn", "TargetGroupArn", "ListenerArn", "RuleArn"]),
    ("iam:CreatePolicyVersion", &["PolicyArn"]),
    ("iam:Create*", &[]),
    ("iam:AttachRolePolicy", &["RoleName"]),
    ("iam:DetachRolePolicy", &["RoleName"]),
    ("iam:AddRoleToInstanceProfile", &["InstanceProfileName"]),
    ("iam:RemoveRoleFromInstanceProfile", &["InstanceProfileName"]),
    ("iam:*RolePolicy", &["RoleName"]),
    ("iam:*", &["RoleName", "PolicyArn", "InstanceProfileName"]),
    ("route53:CreateHostedZone", &[]),
    ("route53:CreateHealthCheck", &[]),
    ("route53:ChangeTagsForResource", &[TAGGED]),
    ("route53:*", &["Id", "HostedZoneId", "HealthCheckId", RECORDS]),
    ("ecr:CreateRepository", &[]),
    ("ecr:TagResource", &["resourceArn"]),
    ("ecr:UntagResource", &["resourceArn"]),
    ("ecr:*", &["repositoryName"]),
    ("ecs:Create*", &[]),
    ("ecs:RegisterTaskDefinition", &[]),
    ("ecs:RunTask", &[]),
    ("ecs:DeregisterTaskDefinition", &["taskDefinition"]),
    ("ecs:DeleteTaskDefinitions", &["taskDefinitions"]),
    ("ecs:*CapacityProvider", &["capacityProvider", "name"]),
    ("ecs:*Cluster*", &["cluster"]),
    ("ecs:*", &["service", "task", "resourceArn"]),
    ("application-autoscaling:*", &["ResourceId"]),
    ("sns:CreateTopic", &[]),
    ("sns:TagResource", &["ResourceArn"]),
    ("sns:UntagResource", &["ResourceArn"]),
    ("sns:Unsubscribe", &["SubscriptionArn"]),
    ("sns:*", &["TopicArn", "SubscriptionArn"]),
    ("cloudwatch:*Alarm", &["AlarmName"]),
    ("cloudwatch:*Alarm*", &["AlarmName", "AlarmNames"]),
    ("cloudwatch:*Dashboard*", &["DashboardName", "DashboardNames"]),
    ("cloudwatch:*Resource", &["ResourceARN"]),
    ("logs:CreateLogGroup", &[]),
    ("logs:*Resource", &["resourceArn"]),
    ("logs:*", &["logGroupName"]),
    ("ssm:PutParameter", &["Name"]),
    ("ssm:DeleteParameter", &["Name"]),
    ("ssm:*Resource", &["ResourceId"]),
    ("ssm:SendCommand", &["InstanceIds"]),
    ("*", &[ANY]),
];

const ID: &str = "*Id";
const ANY: &str = "*";
/// The records of a batch that are there already.
const RECORDS: &str = "*Records";
/// What Route 53 tags: the request says of which type it is.
const TAGGED: &str = "*Tagged";

/// What a call changes.
pub fn targets(call: &Call<'_>) -> Vec<Target> {
    let fits = |(action, _): &&(&str, &[&str])| match action.contains('*') {
        true => Pattern::try_from((*action).to_owned()).is_ok_and(|pattern| pattern.matches(call.action)),
        false => *action == call.action,
    };
    let Some((action, paths)) = TABLE.iter().find(fits) else { return Vec::new() };
    let found = named_by(call, paths);
    // What a whole service's line does not know of it is looked for by its look.
    if found.is_empty() && action.ends_with(":*") { named_by(call, &[ANY]) } else { found }
}

fn named_by(call: &Call<'_>, paths: &[&'static str]) -> Vec<Target> {
    let mut found = Vec::new();
    for path in paths {
        let named: Vec<(&str, String)> = match *path {
            ID => at_the_top(call, &["Id"]),
            ANY => at_the_top(call, &["Id", "Ids", "Arn", "ARN", "Arns", "ARNs", "Name", "Names"]),
            RECORDS => records(call),
            TAGGED => tagged(call),
            path => call.texts(path).into_iter().map(|id| (path, id.to_owned())).collect(),
        };
        for (path, id) in named {
            let target = Target { kind: kind(call.service(), path), id };
            if !target.id.is_empty() && !found.contains(&target) {
                found.push(target);
            }
        }
    }
    found
}

fn at_the_top<'a>(call: &Call<'a>, endings: &[&str]) -> Vec<(&'a str, String)> {
    let Some(parameters) = call.parameters.as_object() else { return Vec::new() };
    let is_one = |name: &str| endings.iter().any(|ending| name.ends_with(ending) || name.eq_ignore_ascii_case(ending));
    let names = parameters.keys().filter(|name| is_one(name)).map(|name| (name, name.clone()));
    // Of calls by method and path: what is in the path, and what is in the body.
    let inner = |part: &'static str| {
        let fields = parameters.get(part).and_then(Value::as_object).into_iter().flatten();
        fields.map(move |(name, _)| (name, format!("{part}.{name}")))
    };
    let in_body = inner("body").filter(|(name, _)| is_one(name));
    let all = names.chain(inner("labels")).chain(in_body);
    all.flat_map(|(name, path)| call.texts(&path).into_iter().map(move |id| (name.as_str(), id.to_owned()))).collect()
}

fn tagged<'a>(call: &Call<'a>) -> Vec<(&'a str, String)> {
    let path = if call.text("ResourceType") == Some("healthcheck") { "HealthCheckId" } else { "ResourceId" };
    call.texts("ResourceId").into_iter().map(|id| (path, id.to_owned())).collect()
}

fn records<'a>(call: &Call<'a>) -> Vec<(&'a str, String)> {
    let changes = call.at("ChangeBatch.Changes").into_iter();
    let existing = changes.filter(|change| change.get("Action").and_then(Value::as_str) != Some("CREATE"));
    let name = |change: &Value| {
        change.pointer("/ResourceRecordSet/Name")?.as_str().map(|name| name.trim_end_matches('.').to_owned())
    };
    existing.filter_map(name).map(|name| (RECORDS, name)).collect()
}

fn kind(service: &str, path: &str) -> Kind {
    match (service, path) {
        ("ec2", "LaunchTemplateName") => Kind::Other,
        ("ec2", _) => Kind::Ec2,
        ("elasticloadbalancing", _) => Kind::LoadBalancing,
        ("autoscaling", _) => Kind::AutoScalingGroup,
        ("iam", "RoleName") => Kind::Role,
        ("iam", "PolicyArn") => Kind::ManagedPolicy,
        ("iam", "InstanceProfileName") => Kind::InstanceProfile,
        ("acm", _) => Kind::Certificate,
        ("route53", RECORDS) => Kind::Record,
        ("route53", "HealthCheckId") => Kind::HealthCheck,
        ("route53", _) => Kind::HostedZone,
        ("ecr", _) => Kind::Repository,
        ("ecs" | "application-autoscaling", _) => Kind::Ecs,
        ("sns", "TopicArn" | "ResourceArn" | "SubscriptionArn") => Kind::Topic,
        ("cloudwatch", "AlarmName" | "AlarmNames" | "ResourceARN") => Kind::Alarm,
        ("cloudwatch", "DashboardName" | "DashboardNames") => Kind::Dashboard,
        ("logs", "logGroupName" | "resourceArn") => Kind::LogGroup,
        ("ssm", "Name" | "ResourceId") => Kind::Parameter,
        ("ssm", "InstanceIds") => Kind::Ec2,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_calls_change() {
        let table = [
            ("ec2:CreateVpc", json!({ "CidrBlock": "10.0.0.0/16" }), vec![]),
            ("ec2:CreateSubnet", json!({ "VpcId": "vpc-1" }), vec![]),
            ("ec2:CreateRoute", json!({ "RouteTableId": "rtb-1", "NatGatewayId": "nat-1" }), vec!["rtb-1"]),
            ("ec2:CreateTags", json!({ "ResourceId": ["vpc-1", "subnet-1"] }), vec!["vpc-1", "subnet-1"]),
            (
                "ec2:AttachInternetGateway",
                json!({ "InternetGatewayId": "igw-1", "VpcId": "vpc-1" }),
                vec!["igw-1", "vpc-1"],
            ),
            (
                "ec2:AuthorizeSecurityGroupIngress",
                json!({ "GroupId": "sg-1", "IpPermissions": [{ "Groups": [{ "GroupId": "sg-2" }] }] }),
                vec!["sg-1"],
            ),
            ("ec2:CreateLaunchTemplate", json!({ "LaunchTemplateName": "web" }), vec![]),
            ("ec2:CreateLaunchTemplateVersion", json!({ "LaunchTemplateId": "lt-1" }), vec!["lt-1"]),
            ("ec2:DeleteLaunchTemplate", json!({ "LaunchTemplateName": "web" }), vec!["web"]),
            ("autoscaling:CreateAutoScalingGroup", json!({ "AutoScalingGroupName": "web" }), vec![]),
            (
                "autoscaling:PutScalingPolicy",
                json!({ "AutoScalingGroupName": "web", "PolicyName": "cpu" }),
                vec!["web"],
            ),
            (
                "autoscaling:DeleteTags",
                json!({ "Tags": [{ "ResourceId": "web", "Key": "a" }, { "ResourceId": "web" }] }),
                vec!["web"],
            ),
            ("elasticloadbalancing:CreateListener", json!({ "LoadBalancerArn": "lb" }), vec![]),
            (
                "elasticloadbalancing:ModifyListener",
                json!({ "ListenerArn": "listener", "DefaultActions": [{ "TargetGroupArn": "tg" }] }),
                vec!["listener"],
            ),
            (
                "elasticloadbalancing:SetRulePriorities",
                json!({ "RulePriorities": [{ "RuleArn": "rule", "Priority": "1" }] }),
                vec!["rule"],
            ),
            ("iam:AttachRolePolicy", json!({ "RoleName": "web", "PolicyArn": "arn" }), vec!["web"]),
            ("iam:CreatePolicyVersion", json!({ "PolicyArn": "arn" }), vec!["arn"]),
            ("iam:CreateRole", json!({ "RoleName": "web" }), vec![]),
            ("acm:ImportCertificate", json!({ "Certificate": "-" }), vec![]),
            ("acm:ImportCertificate", json!({ "CertificateArn": "arn" }), vec!["arn"]),
            (
                "route53:ChangeResourceRecordSets",
                json!({ "HostedZoneId": "Z1", "ChangeBatch": { "Changes": [
                    { "Action": "CREATE", "ResourceRecordSet": { "Name": "new.example.com." } },
                    { "Action": "UPSERT", "ResourceRecordSet": { "Name": "shop.example.com." } },
                ] } }),
                vec!["Z1", "shop.example.com"],
            ),
            ("route53:CreateHealthCheck", json!({ "CallerReference": "r" }), vec![]),
            ("route53:UpdateHealthCheck", json!({ "HealthCheckId": "h1", "HealthCheckVersion": 1 }), vec!["h1"]),
            ("route53:ChangeTagsForResource", json!({ "ResourceType": "healthcheck", "ResourceId": "h1" }), vec!["h1"]),
            (
                "eks:DeleteNodegroup",
                json!({ "method": "DELETE", "path": "/clusters/prod/node-groups/web", "body": null,
                        "labels": { "name": "prod", "nodegroupName": "web" } }),
                vec!["prod", "web"],
            ),
            (
                "elasticfilesystem:CreateMountTarget",
                json!({ "method": "POST", "path": "/2015-02-01/mount-targets", "labels": {},
                        "body": { "FileSystemId": "fs-1", "IpAddress": "10.0.0.1" } }),
                vec!["fs-1"],
            ),
            ("sqs:SetQueueAttributes", json!({ "QueueName": "web", "KeyArn": "arn", "Count": 1 }), vec!["web", "arn"]),
            ("ecr:CreateRepository", json!({ "repositoryName": "web" }), vec![]),
            ("ecr:PutLifecyclePolicy", json!({ "repositoryName": "web" }), vec!["web"]),
            ("ecs:CreateService", json!({ "cluster": "arn", "serviceName": "web" }), vec![]),
            (
                "ecs:UpdateService",
                json!({ "cluster": "main", "service": "arn:service", "taskDefinition": "arn:revision" }),
                vec!["arn:service"],
            ),
            ("ecs:PutClusterCapacityProviders", json!({ "cluster": "arn" }), vec!["arn"]),
            ("ecs:DeregisterTaskDefinition", json!({ "taskDefinition": "arn" }), vec!["arn"]),
            (
                "application-autoscaling:PutScalingPolicy",
                json!({ "ResourceId": "service/main/web" }),
                vec!["service/main/web"],
            ),
            ("sns:CreateTopic", json!({ "Name": "t" }), vec![]),
            ("sns:Subscribe", json!({ "TopicArn": "arn:t", "Endpoint": "a@b" }), vec!["arn:t"]),
            ("cloudwatch:PutMetricAlarm", json!({ "AlarmName": "a", "MetricName": "m" }), vec!["a"]),
            ("cloudwatch:DeleteAlarms", json!({ "AlarmNames": ["a", "b"] }), vec!["a", "b"]),
            ("cloudwatch:PutDashboard", json!({ "DashboardName": "d" }), vec!["d"]),
            ("cloudwatch:TagResource", json!({ "ResourceARN": "arn" }), vec!["arn"]),
            ("logs:CreateLogGroup", json!({ "logGroupName": "g" }), vec![]),
            ("logs:PutRetentionPolicy", json!({ "logGroupName": "g", "retentionInDays": 1 }), vec!["g"]),
            ("ssm:PutParameter", json!({ "Name": "/shop/url", "Value": "v", "Overwrite": true }), vec!["/shop/url"]),
            (
                "ssm:AddTagsToResource",
                json!({ "ResourceType": "Parameter", "ResourceId": "/shop/url", "Tags": [{ "Key": "a", "Value": "b" }] }),
                vec!["/shop/url"],
            ),
            ("ssm:SendCommand", json!({ "DocumentName": "d", "InstanceIds": ["i-1", "i-2"] }), vec!["i-1", "i-2"]),
        ];
        for (action, parameters, expected) in table {
            let found = targets(&Call { action, resource: "", parameters: &parameters });
            assert_eq!(
                found.iter().map(|target| target.id.as_str()).collect::<Vec<_>>(),
                expected,
                "{action} {parameters}"
            );
        }
    }
}
