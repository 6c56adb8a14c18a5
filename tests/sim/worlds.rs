//! Worlds made of random steps, to be read by forks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::{Answer, Caller};

/// Makes a world step by step. What is refused is refused: the next step comes.
pub struct Maker {
    aws: Caller,
    /// What was made, by kind.
    ids: BTreeMap<&'static str, Vec<String>>,
}

const ELB: &str = "elasticloadbalancing";
const ASG: &str = "autoscaling";
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const ALLOW: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

impl Maker {
    fn new() -> Maker {
        let aws = Caller::prompt();
        let mut maker = Maker { aws, ids: BTreeMap::new() };
        let found = |answer: Answer, name: &str| answer.all(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
        let vpcs = found(maker.aws.ec2("DescribeVpcs", &[]), "vpcId");
        let subnets = found(maker.aws.ec2("DescribeSubnets", &[]), "subnetId");
        let groups = found(maker.aws.ec2("DescribeSecurityGroups", &[]), "groupId");
        maker.ids.extend([("vpc", vpcs), ("subnet", subnets), ("group", groups[..1].to_vec())]);
        maker
    }

    /// The world of these steps: what to do, and two choices.
    pub fn make(steps: &[(u8, u8, u8)]) -> Caller {
        let mut maker = Maker::new();
        for (number, (step, a, b)) in steps.iter().enumerate() {
            maker.step(number, *step % 45, *a as usize, *b as usize);
        }
        // Nodes of load balancers have heard of everything.
        maker.aws.pass(3);
        maker.aws
    }

    /// A world in which much is under way: a NAT gateway comes and one goes, a load balancer is provisioned, a group
    /// launches, and targets drain.
    pub fn busy() -> Caller {
        let mut maker = Maker::new();
        let steps = [
            // A target group on a listener of an active load balancer, with two instances of a group; two NAT gateways.
            &[(20, 0, 0), (21, 0, 0), (22, 0, 0), (18, 0, 0), (27, 0, 2), (4, 0, 0), (4, 0, 0), (5, 0, 0), (5, 1, 1)][..],
            &[(44, 255, 0), (44, 255, 0)],
            // Something of each kind that takes time.
            &[(17, 0, 0), (4, 0, 0), (5, 2, 2), (21, 1, 1), (35, 0, 0), (28, 0, 4)],
        ];
        for (number, (step, a, b)) in steps.concat().into_iter().enumerate() {
            maker.step(number, step, a, b);
        }
        maker.aws.pass(9);
        maker.aws
    }

    /// Of an observation, how things stand: states and numbers, not ids and times.
    pub fn states(observed: &Value) -> Value {
        // What was made since has ids of each world's own, and so comes in another order.
        let sorted = |mut all: Vec<Value>| {
            all.sort_by_key(Value::to_string);
            all
        };
        let region = &observed["111122223333"]["regions"]["eu-west-1"];
        let rows = |service: &str, table: &str| {
            region[service][table].as_object().into_iter().flatten().map(|(_, row)| row.clone())
        };
        let of = |service: &str, table: &str, field: &str| {
            rows(service, table).map(|row| row[field].clone()).collect::<Vec<_>>()
        };
        let groups: Vec<Value> = rows(ASG, "auto_scaling_groups")
            .map(|group| {
                let members = group["members"].as_array().into_iter().flatten();
                let states: Vec<Value> = members.map(|member| member["state"].clone()).collect();
                json!({ "desired": group["desired"], "states": sorted(states) })
            })
            .collect();
        let targets: Vec<Value> = rows("elbv2", "target_groups")
            .map(|group| {
                group["targets"].as_array().into_iter().flatten().map(|target| target["health"].clone()).collect()
            })
            .map(|targets: Vec<Value>| Value::Array(sorted(targets)))
            .collect();
        json!({
            "nat gateways": of("ec2", "nat_gateways", "state"),
            "load balancers": of("elbv2", "load_balancers", "active"),
            "addresses": rows("ec2", "addresses").map(|row| row["association"].is_null()).collect::<Vec<_>>(),
            "instances": sorted(of("ec2", "instances", "state")),
            "interfaces": rows("ec2", "network_interfaces").count(),
            "groups": groups,
            "targets": targets,
        })
    }

    fn pick(&self, kind: &str, choice: usize) -> String {
        let known = self.ids.get(kind).map(Vec::as_slice).unwrap_or_default();
        known.get(choice % known.len().max(1)).cloned().unwrap_or_else(|| "none".to_owned())
    }

    fn keep(&mut self, kind: &'static str, answer: &Answer, name: &str) {
        if answer.status == 200 {
            self.ids.entry(kind).or_default().extend(answer.all(name).first().map(|id| (*id).to_owned()));
        }
    }

    fn name(&mut self, kind: &'static str, answer: &Answer, name: &str) {
        if answer.status == 200 {
            self.ids.entry(kind).or_default().push(name.to_owned());
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table of what can happen")]
    fn step(&mut self, number: usize, step: u8, a: usize, b: usize) {
        let name = format!("n{number}");
        let (low, more) = ((a % 200).to_string(), b % 3);
        let vpc = self.pick("vpc", a);
        let subnet = self.pick("subnet", a);
        match step {
            0 | 1 => {
                let made = self.aws.ec2("CreateVpc", &[("CidrBlock", &format!("10.{low}.0.0/16"))]);
                self.keep("vpc", &made, "vpcId");
            }
            2 | 3 => {
                let zone = ["eu-west-1a", "eu-west-1b", "eu-west-1c"][more];
                let block = format!("10.{}.{}.0/24", b % 200, a % 250);
                let made =
                    self.aws.ec2("CreateSubnet", &[("VpcId", &vpc), ("CidrBlock", &block), ("AvailabilityZone", zone)]);
                self.keep("subnet", &made, "subnetId");
            }
            4 => {
                let made = self.aws.ec2("AllocateAddress", &[("Domain", "vpc")]);
                self.keep("address", &made, "allocationId");
            }
            5 => {
                let address = self.pick("address", b);
                let made = self.aws.ec2("CreateNatGateway", &[("SubnetId", &subnet), ("AllocationId", &address)]);
                self.keep("nat", &made, "natGatewayId");
            }
            6 => {
                let made = self.aws.ec2("CreateInternetGateway", &[]);
                self.keep("gateway", &made, "internetGatewayId");
                let gateway = self.pick("gateway", b);
                self.aws.ec2("AttachInternetGateway", &[("InternetGatewayId", &gateway), ("VpcId", &vpc)]);
            }
            7 => {
                let made = self.aws.ec2("CreateRouteTable", &[("VpcId", &vpc)]);
                self.keep("table", &made, "routeTableId");
            }
            8 => {
                let table = self.pick("table", a);
                self.aws.ec2("AssociateRouteTable", &[("RouteTableId", &table), ("SubnetId", &self.pick("subnet", b))]);
            }
            9 => {
                let (table, block) = (self.pick("table", a), format!("192.168.{b}.0/24"));
                let (kind, id) = if more == 0 { ("NatGatewayId", "nat") } else { ("GatewayId", "gateway") };
                let route =
                    [("RouteTableId", table.as_str()), ("DestinationCidrBlock", &block), (kind, &self.pick(id, b))];
                self.aws.ec2("CreateRoute", &route);
            }
            10 => {
                let made = self.aws.ec2("CreateNetworkAcl", &[("VpcId", &vpc)]);
                self.keep("acl", &made, "networkAclId");
            }
            11 => {
                let (acl, number) = (self.pick("acl", a), (b + 1).to_string());
                let mut entry = vec![
                    ("NetworkAclId", acl.as_str()),
                    ("RuleNumber", &number),
                    ("CidrBlock", "10.0.0.0/8"),
                    ("Egress", if a.is_multiple_of(2) { "true" } else { "false" }),
                    ("RuleAction", "allow"),
                ];
                entry.extend(match more {
                    0 => vec![("Protocol", "tcp"), ("PortRange.From", "80"), ("PortRange.To", "90")],
                    1 => vec![("Protocol", "icmp"), ("Icmp.Type", "-1"), ("Icmp.Code", "-1")],
                    _ => vec![("Protocol", "all")],
                });
                self.aws.ec2("CreateNetworkAclEntry", &entry);
            }
            12 => {
                let params = [("GroupName", name.as_str()), ("GroupDescription", "a & b"), ("VpcId", &vpc)];
                let made = self.aws.ec2("CreateSecurityGroup", &params);
                self.keep("group", &made, "groupId");
            }
            13 | 14 => {
                let (group, other) = (self.pick("group", a), self.pick("group", b));
                let port = (80 + b).to_string();
                let mut rule = vec![("GroupId", group.as_str())];
                rule.extend(match b % 5 {
                    0 => {
                        vec![("IpPermissions.1.IpProtocol", "-1"), ("IpPermissions.1.IpRanges.1.CidrIp", "10.0.0.0/8")]
                    }
                    1 => vec![
                        ("IpPermissions.1.IpProtocol", "tcp"),
                        ("IpPermissions.1.FromPort", &port),
                        ("IpPermissions.1.ToPort", &port),
                        ("IpPermissions.1.Groups.1.GroupId", &other),
                        ("IpPermissions.1.Groups.1.Description", "the others"),
                    ],
                    2 => vec![
                        ("IpPermissions.1.IpProtocol", "udp"),
                        ("IpPermissions.1.FromPort", &port),
                        ("IpPermissions.1.ToPort", &port),
                        ("IpPermissions.1.Ipv6Ranges.1.CidrIpv6", "2001:db8::/32"),
                    ],
                    3 => {
                        vec![("IpPermissions.1.IpProtocol", "icmp"), ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0")]
                    }
                    _ => {
                        vec![("IpPermissions.1.IpProtocol", "50"), ("IpPermissions.1.IpRanges.1.CidrIp", "10.1.0.0/16")]
                    }
                });
                let action = if step == 13 { "AuthorizeSecurityGroupIngress" } else { "AuthorizeSecurityGroupEgress" };
                self.aws.ec2(action, &rule);
            }
            15 => {
                let of = ["vpc", "subnet", "group", "nat", "table", "acl", "gateway", "address"][b % 8];
                let value = format!("<{name}> \"&\"");
                let tag = [("ResourceId.1", self.pick(of, a)), ("Tag.1.Key", "k".to_owned()), ("Tag.1.Value", value)];
                self.aws.ec2("CreateTags", &tag.each_ref().map(|(name, value)| (*name, value.as_str())));
            }
            16 => {
                let on = if more == 0 { "true" } else { "false" };
                self.aws.ec2("ModifyVpcAttribute", &[("VpcId", &vpc), ("EnableDnsHostnames.Value", on)]);
                self.aws.ec2("ModifySubnetAttribute", &[("SubnetId", &subnet), ("MapPublicIpOnLaunch.Value", on)]);
            }
            17 => {
                let nat = self.pick("nat", a);
                self.aws.ec2("DeleteNatGateway", &[("NatGatewayId", &nat)]);
            }
            18 | 19 => {
                let template = self.pick("template", a);
                let group = self.pick("group", b);
                let mut data = vec![
                    ("LaunchTemplateData.ImageId", "ami-healthy-1"),
                    ("LaunchTemplateData.InstanceType", "t3.small"),
                    ("LaunchTemplateData.UserData", "IyEvYmluL3No"),
                    ("LaunchTemplateData.MetadataOptions.HttpTokens", "required"),
                    ("LaunchTemplateData.BlockDeviceMapping.1.DeviceName", "/dev/xvda"),
                    ("LaunchTemplateData.BlockDeviceMapping.1.Ebs.VolumeSize", "20"),
                    ("LaunchTemplateData.TagSpecification.1.ResourceType", "instance"),
                    ("LaunchTemplateData.TagSpecification.1.Tag.1.Key", "k"),
                    ("LaunchTemplateData.TagSpecification.1.Tag.1.Value", "v"),
                ];
                data.extend(match more {
                    0 => vec![("LaunchTemplateData.KeyName", "key"), ("LaunchTemplateData.Monitoring.Enabled", "true")],
                    1 => vec![
                        ("LaunchTemplateData.NetworkInterface.1.DeviceIndex", "0"),
                        ("LaunchTemplateData.NetworkInterface.1.AssociatePublicIpAddress", "true"),
                        ("LaunchTemplateData.NetworkInterface.1.SecurityGroupId.1", &group),
                    ],
                    _ => vec![
                        ("LaunchTemplateData.DisableApiTermination", "false"),
                        ("LaunchTemplateData.EbsOptimized", "true"),
                    ],
                });
                if step == 18 {
                    data.push(("LaunchTemplateName", &name));
                    let made = self.aws.ec2("CreateLaunchTemplate", &data);
                    self.keep("template", &made, "launchTemplateId");
                } else {
                    data.extend([("LaunchTemplateId", template.as_str()), ("VersionDescription", "more")]);
                    self.aws.ec2("CreateLaunchTemplateVersion", &data);
                }
            }
            20 => {
                let protocol = ["HTTP", "HTTP", "TCP"][more];
                let kind = if a % 3 == 2 { "ip" } else { "instance" };
                let params = [
                    ("Name", name.as_str()),
                    ("Protocol", protocol),
                    ("Port", "80"),
                    ("VpcId", &vpc),
                    ("TargetType", kind),
                ];
                let made = self.aws.query(ELB, "CreateTargetGroup", &params);
                self.keep("targets", &made, "TargetGroupArn");
            }
            21 => {
                let kind = if more == 2 { "network" } else { "application" };
                let subnets = [self.pick("subnet", 0), self.pick("subnet", 1)];
                let params = [
                    ("Name", name.as_str()),
                    ("Type", kind),
                    ("Subnets.member.1", &subnets[0]),
                    ("Subnets.member.2", &subnets[1]),
                ];
                let made = self.aws.query(ELB, "CreateLoadBalancer", &params);
                self.keep("balancer", &made, "LoadBalancerArn");
            }
            22 => {
                let (balancer, targets, port) =
                    (self.pick("balancer", a), self.pick("targets", b), (80 + b).to_string());
                let protocol = if balancer.contains("/net/") { "TCP" } else { "HTTP" };
                let mut params = vec![("LoadBalancerArn", balancer.as_str()), ("Protocol", protocol), ("Port", &port)];
                params.extend(match a % 3 {
                    0 | 1 => vec![
                        ("DefaultActions.member.1.Type", "forward"),
                        ("DefaultActions.member.1.TargetGroupArn", &targets),
                    ],
                    _ => vec![
                        ("DefaultActions.member.1.Type", "redirect"),
                        ("DefaultActions.member.1.RedirectConfig.StatusCode", "HTTP_301"),
                        ("DefaultActions.member.1.RedirectConfig.Port", "443"),
                    ],
                });
                let made = self.aws.query(ELB, "CreateListener", &params);
                self.keep("listener", &made, "ListenerArn");
            }
            23 => {
                let (listener, targets, priority) =
                    (self.pick("listener", a), self.pick("targets", b), (b + 1).to_string());
                let mut params = vec![
                    ("ListenerArn", listener.as_str()),
                    ("Priority", &priority),
                    ("Tags.member.1.Key", "k"),
                    ("Tags.member.1.Value", "v"),
                ];
                params.extend(match b % 4 {
                    0 => vec![
                        ("Conditions.member.1.Field", "path-pattern"),
                        ("Conditions.member.1.Values.member.1", "/a*"),
                    ],
                    1 => vec![
                        ("Conditions.member.1.Field", "http-header"),
                        ("Conditions.member.1.HttpHeaderConfig.HttpHeaderName", "X-A"),
                        ("Conditions.member.1.HttpHeaderConfig.Values.member.1", "1"),
                    ],
                    2 => vec![
                        ("Conditions.member.1.Field", "query-string"),
                        ("Conditions.member.1.QueryStringConfig.Values.member.1.Value", "x"),
                    ],
                    _ => vec![
                        ("Conditions.member.1.Field", "source-ip"),
                        ("Conditions.member.1.SourceIpConfig.Values.member.1", "10.0.0.0/8"),
                    ],
                });
                params.extend(match a % 2 {
                    0 => vec![
                        ("Actions.member.1.Type", "forward"),
                        ("Actions.member.1.Order", "1"),
                        ("Actions.member.1.ForwardConfig.TargetGroups.member.1.TargetGroupArn", targets.as_str()),
                        ("Actions.member.1.ForwardConfig.TargetGroups.member.1.Weight", "7"),
                        ("Actions.member.1.ForwardConfig.TargetGroupStickinessConfig.Enabled", "true"),
                        ("Actions.member.1.ForwardConfig.TargetGroupStickinessConfig.DurationSeconds", "60"),
                    ],
                    _ => vec![
                        ("Actions.member.1.Type", "fixed-response"),
                        ("Actions.member.1.FixedResponseConfig.StatusCode", "503"),
                        ("Actions.member.1.FixedResponseConfig.MessageBody", "<b>later</b>"),
                        ("Actions.member.1.FixedResponseConfig.ContentType", "text/html"),
                    ],
                });
                self.aws.query(ELB, "CreateRule", &params);
            }
            24 => {
                let (targets, id) = (self.pick("targets", a), format!("172.31.0.{}", b % 250));
                self.aws.query(ELB, "RegisterTargets", &[("TargetGroupArn", &targets), ("Targets.member.1.Id", &id)]);
            }
            25 => {
                let (targets, balancer) = (self.pick("targets", a), self.pick("balancer", b));
                let delay = [
                    ("TargetGroupArn", targets.as_str()),
                    ("Attributes.member.1.Key", "deregistration_delay.timeout_seconds"),
                    ("Attributes.member.1.Value", "30"),
                ];
                self.aws.query(ELB, "ModifyTargetGroupAttributes", &delay);
                let tags = [
                    ("ResourceArns.member.1", balancer.as_str()),
                    ("Tags.member.1.Key", "k"),
                    ("Tags.member.1.Value", "v"),
                ];
                self.aws.query(ELB, "AddTags", &tags);
            }
            26 | 27 => {
                let (template, targets, size) =
                    (self.pick("template", a), self.pick("targets", b), (b % 4).to_string());
                let subnets = [self.pick("subnet", a), self.pick("subnet", a + 1)].join(",");
                let mut params = vec![
                    ("AutoScalingGroupName", name.as_str()),
                    ("MinSize", "0"),
                    ("MaxSize", "6"),
                    ("DesiredCapacity", &size),
                    ("VPCZoneIdentifier", &subnets),
                    ("Tags.member.1.Key", "k"),
                    ("Tags.member.1.Value", "v"),
                    ("Tags.member.1.PropagateAtLaunch", "true"),
                ];
                params.extend(match a % 4 {
                    3 => vec![
                        (
                            "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId",
                            template.as_str(),
                        ),
                        ("MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.Version", "1"),
                        ("MixedInstancesPolicy.LaunchTemplate.Overrides.member.1.InstanceType", "t3.medium"),
                        ("MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity", "1"),
                    ],
                    _ => vec![("LaunchTemplate.LaunchTemplateId", template.as_str()), ("LaunchTemplate.Version", "1")],
                });
                if step == 27 {
                    params.push(("TargetGroupARNs.member.1", &targets));
                }
                let made = self.aws.query(ASG, "CreateAutoScalingGroup", &params);
                self.name("fleet", &made, &name);
            }
            28 => {
                let (fleet, size) = (self.pick("fleet", a), (b % 5).to_string());
                self.aws.query(
                    ASG,
                    "SetDesiredCapacity",
                    &[("AutoScalingGroupName", &fleet), ("DesiredCapacity", &size)],
                );
            }
            29 => {
                let fleet = self.pick("fleet", a);
                let transition = ["autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"][b % 2];
                let params = [
                    ("AutoScalingGroupName", fleet.as_str()),
                    ("LifecycleHookName", &name),
                    ("LifecycleTransition", transition),
                    ("HeartbeatTimeout", "60"),
                    ("DefaultResult", "CONTINUE"),
                ];
                self.aws.query(ASG, "PutLifecycleHook", &params);
            }
            30 => {
                let fleet = self.pick("fleet", a);
                let params = [
                    ("AutoScalingGroupName", fleet.as_str()),
                    ("PolicyName", &name),
                    ("PolicyType", "TargetTrackingScaling"),
                    (
                        "TargetTrackingConfiguration.PredefinedMetricSpecification.PredefinedMetricType",
                        "ASGAverageCPUUtilization",
                    ),
                    ("TargetTrackingConfiguration.TargetValue", "55.5"),
                    ("EstimatedInstanceWarmup", "60"),
                ];
                self.aws.query(ASG, "PutScalingPolicy", &params);
            }
            31 => {
                let fleet = self.pick("fleet", a);
                let process = ["Launch", "Terminate", "AZRebalance"][more];
                self.aws.query(
                    ASG,
                    "SuspendProcesses",
                    &[("AutoScalingGroupName", &fleet), ("ScalingProcesses.member.1", process)],
                );
                self.aws.query(
                    ASG,
                    "EnableMetricsCollection",
                    &[("AutoScalingGroupName", &fleet), ("Granularity", "1Minute")],
                );
            }
            32 => {
                let fleet = self.pick("fleet", a);
                let grace = b.to_string();
                let params = [
                    ("AutoScalingGroupName", fleet.as_str()),
                    ("HealthCheckType", "ELB"),
                    ("HealthCheckGracePeriod", &grace),
                    ("TerminationPolicies.member.1", "OldestInstance"),
                    ("DefaultInstanceWarmup", "30"),
                    ("CapacityRebalance", "true"),
                    ("InstanceMaintenancePolicy.MinHealthyPercentage", "90"),
                    ("InstanceMaintenancePolicy.MaxHealthyPercentage", "120"),
                    ("NewInstancesProtectedFromScaleIn", "true"),
                    ("MaxInstanceLifetime", "86400"),
                ];
                self.aws.query(ASG, "UpdateAutoScalingGroup", &params);
            }
            33 => {
                let fleet = self.pick("fleet", a);
                self.aws.query(
                    ASG,
                    "DeleteAutoScalingGroup",
                    &[("AutoScalingGroupName", &fleet), ("ForceDelete", "true")],
                );
            }
            34 => {
                let fleet = self.pick("fleet", a);
                let targets = self.pick("targets", b);
                let params = [("AutoScalingGroupName", fleet.as_str()), ("TargetGroupARNs.member.1", &targets)];
                let action =
                    if more == 0 { "DetachLoadBalancerTargetGroups" } else { "AttachLoadBalancerTargetGroups" };
                self.aws.query(ASG, action, &params);
            }
            35 => {
                let shown = self.aws.query(ASG, "DescribeAutoScalingInstances", &[]);
                let instances = shown.all("InstanceId");
                let Some(instance) = instances.get(a % instances.len().max(1)) else { return };
                let keep = if more == 0 { "true" } else { "false" };
                let params = [("InstanceId", *instance), ("ShouldDecrementDesiredCapacity", keep)];
                self.aws.query(ASG, "TerminateInstanceInAutoScalingGroup", &params);
            }
            36 => {
                let params = [
                    ("RoleName", name.as_str()),
                    ("AssumeRolePolicyDocument", TRUST),
                    ("Description", "a <role>"),
                    ("Tags.member.1.Key", "k"),
                    ("Tags.member.1.Value", "v & w"),
                ];
                let made = self.aws.query("iam", "CreateRole", &params);
                self.name("role", &made, &name);
            }
            37 => {
                let params = [("PolicyName", name.as_str()), ("PolicyDocument", ALLOW), ("Path", "/shop/")];
                let made = self.aws.query("iam", "CreatePolicy", &params);
                self.keep("policy", &made, "Arn");
            }
            38 => {
                let (role, policy) = (self.pick("role", a), self.pick("policy", b));
                match more {
                    0 => {
                        let aws = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";
                        self.aws.query("iam", "AttachRolePolicy", &[("RoleName", &role), ("PolicyArn", aws)]);
                    }
                    1 => {
                        self.aws.query("iam", "AttachRolePolicy", &[("RoleName", &role), ("PolicyArn", &policy)]);
                    }
                    _ => {
                        self.aws.query(
                            "iam",
                            "PutRolePermissionsBoundary",
                            &[("RoleName", &role), ("PermissionsBoundary", &policy)],
                        );
                    }
                }
            }
            39 => {
                let role = self.pick("role", a);
                let params = [("RoleName", role.as_str()), ("PolicyName", "own"), ("PolicyDocument", ALLOW)];
                self.aws.query("iam", "PutRolePolicy", &params);
            }
            40 => {
                let policy = self.pick("policy", a);
                let default = if more == 0 { "true" } else { "false" };
                let params = [("PolicyArn", policy.as_str()), ("PolicyDocument", ALLOW), ("SetAsDefault", default)];
                self.aws.query("iam", "CreatePolicyVersion", &params);
            }
            41 => {
                let made = self.aws.query("iam", "CreateInstanceProfile", &[("InstanceProfileName", &name)]);
                self.name("profile", &made, &name);
                let role = self.pick("role", b);
                self.aws.query(
                    "iam",
                    "AddRoleToInstanceProfile",
                    &[("InstanceProfileName", &name), ("RoleName", &role)],
                );
            }
            42 => {
                let balancer = self.pick("balancer", a);
                self.aws.query(ELB, "DeleteLoadBalancer", &[("LoadBalancerArn", &balancer)]);
            }
            43 => {
                let template = self.pick("template", a);
                self.aws.ec2("ModifyLaunchTemplate", &[("LaunchTemplateId", &template), ("SetDefaultVersion", "2")]);
                self.aws.ec2(
                    "DeleteLaunchTemplateVersions",
                    &[("LaunchTemplateId", &template), ("LaunchTemplateVersion.1", "1")],
                );
            }
            _ => self.aws.pass(a as u64),
        }
    }
}
