//! What decides about a new resource, in words: whom it lets in, what it grants, what it is made of and how large it gets.
//!
//! Taken from the requests that make it, since these are what AWS is told. What a call is not listed for here is in its
//! request, which every plan has too.

use serde_json::Value;

use super::{Call, Fact};
use crate::{
    policy::danger::{ports, protocol},
    report::{plural, value as words},
};

/// Sources of one rule in a line.
const SOURCES: usize = 6;

/// The facts about what these calls make, in their order.
pub fn content(calls: &[Call]) -> Vec<Fact> {
    let mut facts = Facts::default();
    for call in calls {
        facts.add(call);
    }
    let is_there = |name: &str| calls.iter().any(|call| call.call == name);
    if is_there("ec2:CreateSecurityGroup") && !is_there("ec2:RevokeSecurityGroupEgress") {
        facts.push("egress", "all to 0.0.0.0/0, as every new security group has it");
    }
    facts.0
}

/// `tcp 443`
fn traffic(permission: &Value) -> String {
    let ports = ports(&text(permission, "FromPort"), &text(permission, "ToPort"));
    format!("{}{ports}", protocol(&text(permission, "IpProtocol")))
}

#[derive(Default)]
struct Facts(Vec<Fact>);

impl Facts {
    fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let fact = Fact { name: name.into(), value: value.into().trim().to_owned() };
        if !fact.value.is_empty() && !self.0.contains(&fact) {
            self.0.push(fact);
        }
    }

    /// The members of the request that are there, as they are.
    fn members(&mut self, request: &Value, members: &[(&str, &str)]) {
        for (name, path) in members {
            self.push(*name, text(request, path));
        }
    }

    fn add(&mut self, call: &Call) {
        let request = &call.request;
        match call.call.as_str() {
            "ec2:CreateSubnet" => self.push("subnet", joined(request, "{CidrBlock} in {AvailabilityZone}")),
            "ec2:ModifySubnetAttribute" if text(request, "MapPublicIpOnLaunch.Value") == "true" => {
                self.push("public addresses", "for every instance");
            }
            "ec2:CreateRoute" => self.route(request),
            "ec2:AuthorizeSecurityGroupIngress" => self.permissions("ingress", "from", request),
            "ec2:AuthorizeSecurityGroupEgress" => self.permissions("egress", "to", request),
            "ec2:CreateNetworkAclEntry" => self.acl_entry(request),
            "ec2:CreateLaunchTemplate" => self.launch_template(at(request, "LaunchTemplateData")),
            "iam:CreateRole" => {
                self.statements("trust", &text(request, "AssumeRolePolicyDocument"));
                self.members(request, &[("permissions boundary", "PermissionsBoundary")]);
            }
            "iam:PutRolePermissionsBoundary" => {
                self.members(request, &[("permissions boundary", "PermissionsBoundary")])
            }
            "iam:AttachRolePolicy" => self.members(request, &[("policy", "PolicyArn")]),
            "iam:PutRolePolicy" => {
                let name = format!("policy {}", text(request, "PolicyName"));
                self.statements(&name, &text(request, "PolicyDocument"));
            }
            "iam:CreatePolicy" => self.statements("policy", &text(request, "PolicyDocument")),
            "elasticloadbalancing:CreateLoadBalancer" => {
                let scheme = text(request, "Scheme");
                self.push("scheme", if scheme.is_empty() { "internet-facing" } else { &scheme });
                self.members(request, &[("security groups", "SecurityGroups"), ("subnets", "Subnets")]);
            }
            "elasticloadbalancing:CreateTargetGroup" => self.target_group(request),
            "elasticloadbalancing:CreateListener" => {
                self.push("listens", joined(request, "{Protocol} {Port}"));
                self.certificates(request);
                self.members(request, &[("TLS policy", "SslPolicy")]);
                self.actions(at(request, "DefaultActions"));
            }
            "elasticloadbalancing:AddListenerCertificates" => self.certificates(request),
            "elasticloadbalancing:CreateRule" => self.rule(request),
            "autoscaling:CreateAutoScalingGroup" => self.fleet(request),
            "autoscaling:PutScalingPolicy" => self.members(request, &[("scaling policy", "PolicyName")]),
            "route53:CreateHealthCheck" => {
                let of = |member: &str| text(request, &format!("HealthCheckConfig.{member}"));
                let parts = ["Type", "FullyQualifiedDomainName", "IPAddress", "Port", "ResourcePath"].map(of);
                self.push("checks", parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "));
            }
            "route53:ChangeResourceRecordSets" => {
                items(at(request, "ChangeBatch.Changes")).iter().for_each(|change| self.record(change));
            }
            _ => {}
        }
    }

    fn route(&mut self, request: &Value) {
        const TO: [&str; 6] = [
            "GatewayId",
            "NatGatewayId",
            "TransitGatewayId",
            "VpcPeeringConnectionId",
            "NetworkInterfaceId",
            "EgressOnlyInternetGatewayId",
        ];
        let first = |paths: &[&str]| paths.iter().map(|path| text(request, path)).find(|text| !text.is_empty());
        let from = first(&["DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId"]);
        let to = first(&TO).unwrap_or_else(|| "another target".to_owned());
        self.push("route", format!("{} to {to}", from.unwrap_or_default()));
    }

    /// `tcp 443 from 0.0.0.0/0`
    fn permissions(&mut self, direction: &str, preposition: &str, request: &Value) {
        for permission in items(at(request, "IpPermissions")) {
            let what = traffic(permission);
            let peers = [
                ("IpRanges", "CidrIp"),
                ("Ipv6Ranges", "CidrIpv6"),
                ("Groups", "GroupId"),
                ("PrefixListIds", "PrefixListId"),
            ];
            let peers: Vec<String> = peers
                .iter()
                .flat_map(|(list, peer)| items(at(permission, list)).iter().map(|item| text(item, peer)))
                .collect();
            for some in peers.chunks(SOURCES) {
                self.push(direction, format!("{what} {preposition} {}", some.join(", ")));
            }
        }
    }

    /// `allow tcp 443 from 0.0.0.0/0`
    fn acl_entry(&mut self, request: &Value) {
        let egress = text(request, "Egress") == "true";
        let (direction, preposition) = if egress { ("egress", "to") } else { ("ingress", "from") };
        let ports = ports(&text(request, "PortRange.From"), &text(request, "PortRange.To"));
        let source = format!("{}{}", text(request, "CidrBlock"), text(request, "Ipv6CidrBlock"));
        let what = format!("{}{ports}", protocol(&text(request, "Protocol")));
        self.push(
            format!("{direction} {}", text(request, "RuleNumber")),
            format!("{} {what} {preposition} {source}", text(request, "RuleAction")),
        );
    }

    fn launch_template(&mut self, data: &Value) {
        self.members(
            data,
            &[
                ("image", "ImageId"),
                ("instance type", "InstanceType"),
                ("instance profile", "IamInstanceProfile.Name"),
                ("instance profile", "IamInstanceProfile.Arn"),
                ("security groups", "SecurityGroupId"),
                ("key", "KeyName"),
            ],
        );
        for interface in items(at(data, "NetworkInterface")) {
            self.members(interface, &[("security groups", "SecurityGroupId")]);
            if text(interface, "AssociatePublicIpAddress") == "true" {
                self.push("public addresses", "for every instance");
            }
        }
        if text(data, "MetadataOptions.HttpTokens") == "optional" {
            self.push("instance metadata", "without a token");
        }
        let script = at(data, "UserData").as_str().map_or(0, |text| text.lines().count());
        self.push("user data", if script == 0 { "none".to_owned() } else { plural(script, "line") });
    }

    fn target_group(&mut self, request: &Value) {
        self.push("targets", joined(request, "{Protocol} {Port}"));
        let mut check = vec![text(request, "HealthCheckProtocol"), text(request, "HealthCheckPath")];
        let mut part = |before: &str, path: &str, after: &str| {
            let text = text(request, path);
            check.push(if text.is_empty() { text } else { format!("{before}{text}{after}") });
        };
        part("on port ", "HealthCheckPort", "");
        part("every ", "HealthCheckIntervalSeconds", "s");
        part("to answer ", "Matcher.HttpCode", "");
        part("healthy after ", "HealthyThresholdCount", "");
        part("unhealthy after ", "UnhealthyThresholdCount", "");
        check.retain(|part| !part.is_empty());
        self.push("health check", check.join(" "));
    }

    fn certificates(&mut self, request: &Value) {
        for certificate in items(at(request, "Certificates")) {
            self.members(certificate, &[("certificate", "CertificateArn")]);
        }
    }

    fn rule(&mut self, request: &Value) {
        self.members(request, &[("priority", "Priority")]);
        for condition in items(at(request, "Conditions")) {
            let Value::Object(fields) = condition else { continue };
            // `Values` of old clients, or the settings of its kind.
            let settings = fields.iter().filter(|(name, _)| *name != "Field").map(|(_, settings)| settings);
            let values: Vec<String> =
                settings.map(|settings| settings.get("Values").unwrap_or(settings)).map(words).collect();
            self.push("if", format!("{} is {}", text(condition, "Field"), values.join(" ")));
        }
        self.actions(at(request, "Actions"));
    }

    fn actions(&mut self, actions: &Value) {
        for action in items(actions) {
            let kind = text(action, "Type");
            let value = match kind.as_str() {
                "forward" => {
                    let groups = items(at(action, "ForwardConfig.TargetGroups")).iter().map(|group| {
                        let weight = text(group, "Weight");
                        let weight = if weight.is_empty() { weight } else { format!(" with weight {weight}") };
                        format!("{}{weight}", named(&text(group, "TargetGroupArn")))
                    });
                    let groups: Vec<String> = groups.chain([named(&text(action, "TargetGroupArn"))]).collect();
                    let groups: Vec<String> = groups.into_iter().filter(|group| !group.is_empty()).collect();
                    format!("forward to {}", groups.join(", "))
                }
                "redirect" => joined(
                    at(action, "RedirectConfig"),
                    "redirect to {Protocol}://{Host}:{Port}{Path}?{Query}, {StatusCode}",
                ),
                "fixed-response" => joined(at(action, "FixedResponseConfig"), "answer {StatusCode}"),
                other => other.to_owned(),
            };
            self.push("action", value);
        }
    }

    /// What the fields of the step do not say: they have its sizes, its launch template and its subnets.
    fn fleet(&mut self, request: &Value) {
        for arn in items(at(request, "TargetGroupARNs")) {
            self.push("target group", arn.as_str().map(named).unwrap_or_default());
        }
    }

    fn record(&mut self, change: &Value) {
        let set = at(change, "ResourceRecordSet");
        let values: Vec<String> =
            items(at(set, "ResourceRecords")).iter().map(|record| text(record, "Value")).collect();
        let alias = text(set, "AliasTarget.DNSName");
        // The mark of who owns a record says nothing to a reader.
        if values.iter().any(|value| value.contains("heritage=runner,")) || text(change, "Action") == "DELETE" {
            return;
        }
        let target = if alias.is_empty() { values.join(", ") } else { format!("alias of {alias}") };
        let check = text(set, "HealthCheckId");
        let checked = if check.is_empty() { check } else { format!(" while health check {check} is healthy") };
        self.push("record", format!("{} {target}{checked}", joined(set, "{Name} {Type}")));
    }

    /// A policy document, a line for each statement; what is no document, as it is.
    fn statements(&mut self, name: &str, document: &str) {
        let Ok(tree) = serde_json::from_str::<Value>(document) else { return self.push(name, document) };
        let statements = at(&tree, "Statement");
        match statements {
            Value::Array(all) => all.iter().for_each(|one| self.push(name, statement(one))),
            one => self.push(name, statement(one)),
        }
    }
}

/// `Allow ssm:GetParameter on *`, `Allow sts:AssumeRole by Service ec2.amazonaws.com`
fn statement(statement: &Value) -> String {
    let mut parts = vec![text(statement, "Effect")];
    for (member, before) in [
        ("Action", ""),
        ("NotAction", "all but "),
        ("Resource", "on "),
        ("NotResource", "on all but "),
        ("Principal", "by "),
        ("NotPrincipal", "by all but "),
        ("Condition", "if "),
    ] {
        let value = at(statement, member);
        let text = match value {
            Value::Null => continue,
            Value::Object(principals) if member.ends_with("Principal") => {
                principals.iter().map(|(kind, who)| format!("{kind} {}", list(who))).collect::<Vec<_>>().join(", ")
            }
            value => list(value),
        };
        parts.push(format!("{before}{text}"));
    }
    parts.join(" ")
}

/// One or many, with commas.
fn list(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        value => words(value),
    }
}

/// What is at the path, members separated by dots; null if nothing is.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, member| value.get(member).unwrap_or(&Value::Null))
}

fn text(value: &Value, path: &str) -> String {
    match at(value, path) {
        Value::Null => String::new(),
        found => list(found),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The template with the members of the request for their names in braces. Nothing, if none of them is there.
fn joined(request: &Value, template: &str) -> String {
    let (mut out, mut any) = (String::new(), false);
    for (nth, part) in template.split('{').enumerate() {
        match part.split_once('}').filter(|_| nth > 0) {
            Some((member, rest)) => {
                let text = text(request, member);
                any |= !text.is_empty();
                out += &text;
                out += rest;
            }
            None => out += part,
        }
    }
    if any { out.trim().to_owned() } else { String::new() }
}

/// The name in the ARN of a target group.
fn named(arn: &str) -> String {
    let name = arn.rsplit_once(":targetgroup/").and_then(|(_, rest)| rest.split('/').next());
    name.unwrap_or(arn).to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(call: &str, request: Value) -> Vec<String> {
        let call = Call { call: call.into(), request, ..Call::default() };
        content(&[call]).into_iter().map(|fact| format!("{}: {}", fact.name, fact.value)).collect()
    }

    #[test]
    fn whom_it_lets_in() {
        let request = json!({ "GroupId": "sg-1", "IpPermissions": [
            { "IpProtocol": "tcp", "FromPort": "443", "ToPort": "443", "IpRanges": [{ "CidrIp": "0.0.0.0/0" }], "Ipv6Ranges": [{ "CidrIpv6": "::/0" }] },
            { "IpProtocol": "udp", "FromPort": "80", "ToPort": "90", "Groups": [{ "GroupId": "sg-2" }] },
            { "IpProtocol": "-1", "PrefixListIds": [{ "PrefixListId": "pl-1" }] },
        ] });
        let wanted =
            ["ingress: tcp 443 from 0.0.0.0/0, ::/0", "ingress: udp 80 to 90 from sg-2", "ingress: all from pl-1"];
        assert_eq!(facts("ec2:AuthorizeSecurityGroupIngress", request), wanted);
        let many: Vec<Value> = (0..8).map(|i| json!({ "CidrIp": format!("10.0.{i}.0/24") })).collect();
        let request =
            json!({ "IpPermissions": [{ "IpProtocol": "tcp", "FromPort": "0", "ToPort": "65535", "IpRanges": many }] });
        let lines = facts("ec2:AuthorizeSecurityGroupEgress", request);
        assert_eq!(lines[1], "egress: tcp to 10.0.6.0/24, 10.0.7.0/24", "all of them are told");
        let request = json!({ "RuleNumber": "100", "Protocol": "6", "RuleAction": "allow", "Egress": "false", "CidrBlock": "0.0.0.0/0", "PortRange": { "From": "22", "To": "22" } });
        assert_eq!(facts("ec2:CreateNetworkAclEntry", request), ["ingress 100: allow tcp 22 from 0.0.0.0/0"]);
        let wanted = ["egress: all to 0.0.0.0/0, as every new security group has it"];
        assert_eq!(facts("ec2:CreateSecurityGroup", json!({ "GroupName": "web" })), wanted);
    }

    #[test]
    fn what_it_grants() {
        let trust = json!({ "Statement": { "Effect": "Allow", "Principal": { "Service": "ec2.amazonaws.com", "AWS": ["*"] }, "Action": "sts:AssumeRole", "Condition": { "Bool": { "a": "true" } } } });
        let request = json!({ "RoleName": "web", "AssumeRolePolicyDocument": trust.to_string(), "PermissionsBoundary": "arn:aws:iam::1:policy/b" });
        let wanted = [
            r#"trust: Allow sts:AssumeRole by Service ec2.amazonaws.com, AWS * if {"Bool":{"a":"true"}}"#,
            "permissions boundary: arn:aws:iam::1:policy/b",
        ];
        assert_eq!(facts("iam:CreateRole", request), wanted);
        let policy = json!({ "Statement": [{ "Effect": "Allow", "Action": ["s3:*", "ssm:*"], "Resource": "*" }, { "Effect": "Deny", "NotAction": "iam:*", "NotResource": "a" }] });
        let request = json!({ "PolicyName": "service", "PolicyDocument": policy.to_string() });
        let wanted = ["policy service: Allow s3:*, ssm:* on *", "policy service: Deny all but iam:* on all but a"];
        assert_eq!(facts("iam:PutRolePolicy", request), wanted);
        let request = json!({ "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess" });
        assert_eq!(facts("iam:AttachRolePolicy", request), ["policy: arn:aws:iam::aws:policy/AdministratorAccess"]);
    }

    #[test]
    fn what_it_is_made_of() {
        let request = json!({ "LaunchTemplateData": {
            "ImageId": "ami-1", "InstanceType": "t3.small", "IamInstanceProfile": { "Name": "web" }, "SecurityGroupId": ["sg-1", "sg-2"],
            "UserData": "#!/bin/sh\nrun\n", "MetadataOptions": { "HttpTokens": "optional" },
        } });
        let wanted = [
            "image: ami-1",
            "instance type: t3.small",
            "instance profile: web",
            "security groups: sg-1, sg-2",
            "instance metadata: without a token",
            "user data: 2 lines",
        ];
        assert_eq!(facts("ec2:CreateLaunchTemplate", request), wanted);
        let group = "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/web-blue/44";
        let request = json!({ "MinSize": "3", "VPCZoneIdentifier": "subnet-1,subnet-2", "TargetGroupARNs": [group] });
        assert_eq!(
            facts("autoscaling:CreateAutoScalingGroup", request),
            ["target group: web-blue"],
            "fields have the rest"
        );
    }

    #[test]
    fn where_traffic_goes() {
        let group = "arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/web-blue/44";
        let request = json!({ "Protocol": "HTTPS", "Port": "443", "Certificates": [{ "CertificateArn": "arn:c" }], "SslPolicy": "P",
            "DefaultActions": [{ "Type": "forward", "ForwardConfig": { "TargetGroups": [{ "TargetGroupArn": group, "Weight": "0" }] } }] });
        let wanted =
            ["listens: HTTPS 443", "certificate: arn:c", "TLS policy: P", "action: forward to web-blue with weight 0"];
        assert_eq!(facts("elasticloadbalancing:CreateListener", request), wanted);
        let request = json!({ "Priority": "5", "Conditions": [{ "Field": "path-pattern", "PathPatternConfig": { "Values": ["/a", "/b"] } }], "Actions": [{ "Type": "fixed-response", "FixedResponseConfig": { "StatusCode": "404" } }] });
        assert_eq!(
            facts("elasticloadbalancing:CreateRule", request),
            ["priority: 5", "if: path-pattern is [/a, /b]", "action: answer 404"]
        );
        let request = json!({ "Protocol": "HTTP", "Port": "8080", "HealthCheckPath": "/healthz", "HealthCheckIntervalSeconds": "10" });
        assert_eq!(
            facts("elasticloadbalancing:CreateTargetGroup", request),
            ["targets: HTTP 8080", "health check: /healthz every 10s"]
        );
        let change =
            |set: Value| json!({ "ChangeBatch": { "Changes": [{ "Action": "CREATE", "ResourceRecordSet": set }] } });
        let request = change(json!({ "Name": "a.example.com.", "Type": "A", "AliasTarget": { "DNSName": "lb." } }));
        assert_eq!(facts("route53:ChangeResourceRecordSets", request), ["record: a.example.com. A alias of lb."]);
        let request = change(json!({
            "Name": "a.example.com.", "Type": "A", "ResourceRecords": [{ "Value": "192.0.2.1" }], "HealthCheckId": "h-1",
        }));
        let told = ["record: a.example.com. A 192.0.2.1 while health check h-1 is healthy"];
        assert_eq!(facts("route53:ChangeResourceRecordSets", request), told);
        let config = json!({ "Type": "HTTPS", "FullyQualifiedDomainName": "eu.example.com", "Port": "443", "ResourcePath": "/" });
        let told = facts("route53:CreateHealthCheck", json!({ "HealthCheckConfig": config }));
        assert_eq!(told, ["checks: HTTPS eu.example.com 443 /"]);
        assert_eq!(facts("elasticloadbalancing:CreateLoadBalancer", json!({})), ["scheme: internet-facing"]);
    }

    #[test]
    fn a_request_of_any_form_is_no_trouble() {
        for call in [
            "ec2:AuthorizeSecurityGroupIngress",
            "iam:CreateRole",
            "elasticloadbalancing:CreateRule",
            "ec2:CreateRoute",
        ] {
            for request in [
                Value::Null,
                json!([]),
                json!({ "IpPermissions": 1, "AssumeRolePolicyDocument": "{", "Conditions": [1, {}] }),
            ] {
                facts(call, request);
            }
        }
    }
}
