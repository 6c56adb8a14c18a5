//! Made-up plans that show everything the views can show. For their tests, here and in `tests/cli/`.

use serde_json::{Value, json};

use crate::plan::{
    Action, Call, Change, Denial, Failure, Fleet, FleetSize, Hook, Mark, Marker, Outcome, Output, Plan,
    PointOfNoReturn, Scenario, Share, Stage, Step, Undo, Verdict, Wait, Weights, added, content, unified_diff,
};

/// Each with a name for a snapshot.
pub fn all() -> Vec<(&'static str, Plan)> {
    vec![
        ("first_deploy", first_deploy()),
        ("second_deploy", second_deploy()),
        ("no_changes", no_changes()),
        ("failing", failing()),
        ("refused", refused()),
        ("replacement", replacement()),
        ("many", many(500)),
    ]
}

/// Into an empty account.
pub fn first_deploy() -> Plan {
    let mut plan = Made::new("prod", "offline");
    plan.keeps = true;
    plan.stage("network");
    plan.step(Action::Create, "ensure_vpc", "main", 0.2, |step| {
        step.set("cidr_block", "10.20.0.0/16").set("vpc_id", "vpc-00000000000000001").reads(1);
        step.call(
            "ec2:CreateVpc",
            "shop-prod-main",
            json!({ "CidrBlock": "10.20.0.0/16", "TagSpecifications": tags("vpc", "shop-prod-main") }),
            Some("delete vpc shop-prod-main"),
        );
        let attribute = json!({ "VpcId": "vpc-00000000000000001", "EnableDnsHostnames": { "Value": true } });
        step.call("ec2:ModifyVpcAttribute", "shop-prod-main", attribute, None);
    });
    plan.step(Action::Create, "ensure_internet_gateway", "main", 2.7, |step| {
        step.set("internet_gateway_id", "igw-00000000000000009").set("vpc_id", "vpc-00000000000000001").reads(4);
        let gateway = json!({ "TagSpecifications": tags("internet-gateway", "shop-prod-main") });
        let undo = Some("delete internet gateway shop-prod-main");
        step.call("ec2:CreateInternetGateway", "shop-prod-main", gateway, undo);
        step.call(
            "ec2:AttachInternetGateway",
            "shop-prod-main",
            json!({ "InternetGatewayId": "igw-00000000000000009", "VpcId": "vpc-00000000000000001" }),
            Some("detach igw-00000000000000009 from vpc-00000000000000001"),
        );
    });
    for (kind, seconds, first) in [("public", 0.2, 0), ("private", 4.7, 3)] {
        plan.step(Action::Create, "ensure_subnets", kind, seconds, |step| {
            for (zone, number) in ["a", "b", "c"].iter().zip(first..) {
                let name = format!("shop-prod-{kind}-eu-central-1{zone}");
                let block = format!("10.20.{number}.0/24");
                step.set("cidr_block", block.as_str());
                let request = json!({ "VpcId": "vpc-00000000000000001", "CidrBlock": block, "AvailabilityZone": format!("eu-central-1{zone}") });
                step.call("ec2:CreateSubnet", &name, request, Some(&format!("delete subnet {name}")));
            }
            step.reads(4);
        });
    }
    plan.step(Action::Create, "ensure_nat_gateways", "main", 93.9, |step| {
        for (zone, id) in ["a", "b", "c"].iter().zip(["1d", "20", "23"]) {
            let name = format!("shop-prod-main-eu-central-1{zone}");
            step.set("nat_gateway_id", format!("nat-000000000000000{id}").as_str());
            let undo = format!("release address {name}");
            step.call("ec2:AllocateAddress", &name, json!({ "Domain": "vpc" }), Some(&undo));
            let request =
                json!({ "SubnetId": "subnet-0000000000000000a", "AllocationId": "eipalloc-00000000000000017" });
            step.call("ec2:CreateNatGateway", &name, request, Some(&format!("delete nat gateway {name}")));
        }
        step.reads(17).wait("3 nat gateways to be available", 3.5, 90.4, 600.0);
    });
    for zone in ["a", "b", "c"] {
        let name = format!("main-private-eu-central-1{zone}");
        plan.step(Action::Create, "ensure_route_table", &name, 0.9, |step| {
            step.set("route_table_id", "rtb-00000000000000026").reads(2);
            let undo = format!("delete route table shop-prod-{name}");
            let request = json!({ "VpcId": "vpc-00000000000000001" });
            step.call("ec2:CreateRouteTable", &format!("shop-prod-{name}"), request, Some(&undo));
        });
    }

    plan.keeps = false;
    plan.stage("service");
    plan.hook("tell the team");
    plan.step(Action::Create, "ensure_security_group", "web-lb", 0.9, |step| {
        step.set("group_id", "sg-0000000000000002c").set("ingress", json!(["443 from 0.0.0.0/0", "80 from 0.0.0.0/0"]));
        let request = json!({ "GroupName": "shop-prod-web-lb", "VpcId": "vpc-00000000000000001", "Description": "shop-prod-web-lb" });
        let undo = Some("delete security group shop-prod-web-lb");
        step.reads(2).call("ec2:CreateSecurityGroup", "shop-prod-web-lb", request, undo);
    });
    plan.step(Action::Create, "ensure_certificate", "web", 128.5, |step| {
        step.set("names", json!(["shop.example.com"])).reads(14);
        let request = json!({ "DomainName": "shop.example.com", "ValidationMethod": "DNS" });
        step.call("acm:RequestCertificate", "shop.example.com", request, Some("delete certificate shop.example.com"));
        step.wait("certificate shop.example.com to be issued", 8.4, 120.0, 1800.0);
    });
    plan.step(Action::Create, "ensure_load_balancer", "web", 121.7, |step| {
        step.set("scheme", "internet-facing")
            .set("dns_name", "shop-prod-web-1577420103.eu-central-1.elb.amazonaws.com");
        let request = json!({ "Name": "shop-prod-web", "Type": "application", "Scheme": "internet-facing" });
        let undo = Some("delete load balancer shop-prod-web");
        step.reads(14).call("elasticloadbalancing:CreateLoadBalancer", "shop-prod-web", request, undo);
        step.wait("load balancer shop-prod-web to be active", 1.6, 120.1, 900.0);
    });
    for colour in ["blue", "green"] {
        let name = format!("web-{colour}");
        plan.step(Action::Create, "ensure_target_group", &name, 1.1, |step| {
            step.set("port", 8080).set("health_check.path", "/healthz").reads(1);
            let request = json!({ "Name": format!("shop-prod-{name}"), "Protocol": "HTTP", "Port": 8080 });
            let undo = format!("delete target group shop-prod-{name}");
            step.call("elasticloadbalancing:CreateTargetGroup", &format!("shop-prod-{name}"), request, Some(&undo));
        });
        plan.step(Action::Create, "ensure_role", &name, 0.1, |step| {
            step.set("arn", format!("arn:aws:iam::123456789012:role/shop-prod-{name}").as_str()).reads(1);
            let request = json!({ "RoleName": format!("shop-prod-{name}"), "AssumeRolePolicyDocument": "{\"Version\":\"2012-10-17\"}" });
            step.call("iam:CreateRole", &format!("shop-prod-{name}"), request, Some(&format!("delete role shop-prod-{name}")));
        });
    }
    plan.step(Action::Create, "ensure_record", "A shop.example.com", 38.6, |step| {
        step.set("alias", "shop-prod-web-1577420103.eu-central-1.elb.amazonaws.com").reads(9);
        let request =
            json!({ "HostedZoneId": "Z00000000000000034", "ChangeBatch": { "Changes": [{ "Action": "CREATE" }] } });
        step.call(
            "route53:ChangeResourceRecordSets",
            "A shop.example.com",
            request,
            Some("delete record A shop.example.com"),
        );
        step.wait("record A shop.example.com to be on all name servers", 0.3, 38.1, 600.0);
    });
    plan.step(Action::Read, "traffic", "shop-prod-web", 0.1, |step| {
        step.reads(1);
    });

    plan.stage("deploy");
    plan.step(Action::Unchanged, "attach_target_group", "shop-prod-web-blue", 0.1, |step| {
        step.reads(1);
    });
    plan.launch("blue", "ami-healthy-1");
    plan.step(Action::Shift, "swap_listener", "to shop-prod-web-blue", 1.2, |step| {
        step.change("weights of shop-prod-web:443", "shop-prod-web-blue 0", "shop-prod-web-blue 100").reads(3);
        step.modify_listener(&[("blue", 100)], "shop-prod-web-blue 0").weights(1.1, &[("blue", 100)]);
    });
    plan.outputs("blue");
    plan.plan.on_failure = vec![Scenario {
        name: "blue never becomes healthy".into(),
        outcome: "failed and rolled back".into(),
        exit_code: 10,
        seconds: 1_325.0,
        error: Some("shop-prod-web-blue to be healthy: not within 15m, last seen: 0 of 3 healthy".into()),
        final_state: "as before, except subnets: 6 more; vpcs: 1 more".into(),
        undone: 12,
        kept: 18,
        left: Vec::new(),
        requests_served: 0,
        requests_lost: 0,
    }];
    plan.done(Outcome::Changes, "33 to create, 1 to change: about 8m 41s", |totals| {
        totals.create = 33;
        totals.update = 1;
    })
}

/// Green takes over from blue.
pub fn second_deploy() -> Plan {
    let mut plan = Made::new("prod", "aws");
    plan.unchanged("network", &["ensure_vpc", "ensure_internet_gateway", "ensure_subnets", "ensure_nat_gateways"]);
    plan.unchanged(
        "service",
        &["ensure_security_group", "ensure_certificate", "ensure_load_balancer", "ensure_listener"],
    );
    plan.stage("deploy");
    for name in ["web-blue", "web-green", "web-blue"] {
        plan.step(Action::Read, "find_asg", name, 0.1, |step| {
            step.reads(1);
        });
    }
    plan.fleet("blue", 0.0, [3, 3, 3, 3]);
    plan.weights(0.0, &[("blue", 100)]);
    plan.step(Action::Update, "scale_asg", "shop-prod-web-blue", 0.1, |step| {
        step.change("pinned", false, true).reads(1);
        let request = json!({ "Tags": [{ "ResourceId": "shop-prod-web-blue", "Key": "runner:pinned", "Value": "3" }] });
        step.call("autoscaling:CreateOrUpdateTags", "shop-prod-web-blue", request, Some("unpin shop-prod-web-blue"));
    });
    plan.step(Action::Update, "attach_target_group", "shop-prod-web-green", 1.2, |step| {
        step.change(
            "weights of shop-prod-web:443",
            "shop-prod-web-blue 100",
            "shop-prod-web-blue 100, shop-prod-web-green 0",
        );
        step.reads(4).modify_listener(&[("blue", 100), ("green", 0)], "shop-prod-web-blue 100");
        step.wait("weights of shop-prod-web to be shop-prod-web-blue 100, shop-prod-web-green 0", 0.1, 1.0, 60.0);
        step.weights(1.1, &[("blue", 100), ("green", 0)]);
    });
    plan.launch("green", "ami-healthy-2");
    plan.mark("shop-prod-web-green is up and healthy");
    plan.step(Action::Shift, "shift_traffic", "to shop-prod-web-green", 1_203.8, |step| {
        step.change(
            "weights of shop-prod-web:443",
            "shop-prod-web-blue 100, shop-prod-web-green 0",
            "shop-prod-web-blue 0, shop-prod-web-green 100",
        );
        for (at, before, green, hold) in [(0.2, 0, 10, 300.0), (301.4, 10, 50, 300.0), (602.7, 50, 100, 600.0)] {
            let now = [("blue", 100 - green), ("green", green)];
            let before = format!("shop-prod-web-blue {}, shop-prod-web-green {before}", 100 - before);
            step.modify_listener(&now, &before);
            step.wait(&format!("weights of shop-prod-web to be {green} % green"), at, 1.0, 60.0);
            step.weights(at + 1.0, &now).wait(&format!("{green} % for {}m", hold / 60.0), at + 1.1, hold, hold);
        }
        step.reads(364);
    });
    plan.no_return("green is live, blue retires");
    plan.fleet("blue", 0.2, [0, 3, 3, 0]);
    plan.fleet("blue", 62.0, [0, 3, 0, 0]);
    plan.fleet("blue", 98.0, [0, 0, 0, 0]);
    plan.step(Action::Delete, "retire_asg", "shop-prod-web-blue", 103.4, |step| {
        step.change("instances", 3, 0).reads(20);
        let size =
            json!({ "AutoScalingGroupName": "shop-prod-web-blue", "MinSize": 0, "MaxSize": 0, "DesiredCapacity": 0 });
        step.call("autoscaling:UpdateAutoScalingGroup", "shop-prod-web-blue", size, None);
        let gone = json!({ "AutoScalingGroupName": "shop-prod-web-blue" });
        step.call("autoscaling:DeleteAutoScalingGroup", "shop-prod-web-blue", gone, None);
        step.wait("the instances of shop-prod-web-blue to be drained", 0.4, 97.8, 5_400.0);
        step.wait("Auto Scaling group shop-prod-web-blue to be gone", 98.3, 5.1, 1_200.0);
    });
    plan.outputs("green");
    plan.plan.on_failure = vec![
        Scenario {
            name: "green never becomes healthy".into(),
            outcome: "failed and rolled back".into(),
            exit_code: 10,
            seconds: 1_022.0,
            error: Some("shop-prod-web-green to be healthy: not within 15m, last seen: 0 of 3 healthy".into()),
            final_state: "all traffic on blue, as before".into(),
            undone: 4,
            kept: 0,
            left: Vec::new(),
            requests_served: 51_100,
            requests_lost: 0,
        },
        Scenario {
            name: "green dies at 50 %".into(),
            outcome: "failed and rolled back".into(),
            exit_code: 10,
            seconds: 486.0,
            error: Some("shop-prod-web-green: 0 of 3 healthy while it has traffic".into()),
            final_state: "all traffic on blue, as before".into(),
            undone: 6,
            kept: 0,
            left: Vec::new(),
            requests_served: 24_213,
            requests_lost: 87,
        },
    ];
    plan.done(Outcome::Changes, "2 to create, 3 to change, 1 to delete: about 23m 53s", |totals| {
        totals.create = 2;
        totals.update = 3;
        totals.delete = 1;
        totals.unchanged = 31;
    })
}

/// The same again.
pub fn no_changes() -> Plan {
    let mut plan = Made::new("prod", "aws");
    plan.unchanged("network", &["ensure_vpc", "ensure_internet_gateway", "ensure_subnets", "ensure_nat_gateways"]);
    plan.unchanged(
        "service",
        &["ensure_security_group", "ensure_certificate", "ensure_load_balancer", "ensure_listener"],
    );
    plan.unchanged("deploy", &["ensure_launch_template", "launch_asg"]);
    plan.outputs("green");
    plan.done(Outcome::NoChanges, "nothing to change", |totals| totals.unchanged = 31)
}

/// A runbook that does not reach its end.
pub fn failing() -> Plan {
    let mut plan = Made::new("staging", "aws");
    plan.unchanged("network", &["ensure_vpc", "ensure_subnets"]);
    plan.stage("deploy");
    plan.step(Action::Create, "ensure_launch_template", "web-green", 0.1, |step| {
        step.set("version", 1).set("image_id", "ami-gone-1").reads(2);
    });
    let error = "image ami-gone-1: not found in eu-central-1\nRequestId: 7f3a-11";
    plan.step(Action::Fail, "launch_asg", "web-green", 0.1, |step| {
        step.reads(3).step.error = Some(error.into());
    });
    plan.plan.failure = Some(Failure {
        message: "launch_asg: image ami-gone-1: not found in eu-central-1".into(),
        help: Some("give an image of this region with --param image=ami-…".into()),
        file: Some("runbooks/staging-deploy.rhai".into()),
        line: Some(31),
        column: Some(24),
        exit_code: 10,
    });
    plan.plan.warnings = vec!["the plan ends where the runbook fails: what comes after is not in it".into()];
    let mut plan =
        plan.done(Outcome::Fails, "fails at launch_asg web-green, after 1 creation", |totals| totals.create = 1);
    plan.verdict = plan.verdict.ending(10, "failed and rolled back");
    plan
}

/// A deploy that policy stops, and one of its checks overridden.
pub fn refused() -> Plan {
    let mut plan = second_deploy();
    plan.verdict =
        Verdict::new(Outcome::Refused, "refused by policy: 1 of 2 checks stands").ending(10, "failed and rolled back");
    plan.policy = vec![
        Denial {
            check: "max_weight_step".into(),
            message: "shift_traffic moves 50 % in one step, prod allows 25 %".into(),
            overridden: None,
        },
        Denial {
            check: "freeze_window".into(),
            message: "2026-12-24 is in the freeze window \"christmas\"".into(),
            overridden: Some("hotfix for CVE-2026-1234, agreed with the on-call lead".into()),
        },
    ];
    plan.warnings = vec!["the credentials expire in 12m, the run takes 23m 53s".into()];
    plan
}

/// What cannot be changed in place, and long texts.
pub fn replacement() -> Plan {
    let mut plan = Made::new("prod", "http://localhost:4566");
    plan.stage("fleet");
    let before = "#!/bin/bash\nset -euo pipefail\n\nexport SHOP_VERSION=1.4.2\nexport SHOP_PORT=8080\nexport SHOP_DB=$(aws ssm get-parameter --name /shop/prod/db --with-decryption)\n\nsystemctl restart shop\n";
    let after = "#!/bin/bash\nset -euo pipefail\n\nexport SHOP_VERSION=1.5.0\nexport SHOP_PORT=8080\nexport SHOP_DB=$(aws ssm get-parameter --name /shop/prod/db --with-decryption)\nexport SHOP_CACHE=10.20.4.17:6379\n\nsystemctl restart shop\nsystemctl enable --now shop-metrics\n";
    plan.step(Action::Update, "ensure_launch_template", "web-blue", 0.2, |step| {
        step.change("version", 3, 4).change("instance_type", "t3.small", "t3.medium").reads(2);
        let subnets = |last: &str| json!(["a", "b", last].map(|end| format!("subnet-{}{end}", "0".repeat(16))));
        step.change("subnets", subnets("c"), subnets("d"));
        let names = |end: &str| format!("{}{end}", "a-name-that-is-cut-".repeat(20));
        step.change("description", names("old"), names("new"));
        step.step.changes.push(Change {
            field: "user_data".into(),
            before: Some(before.into()),
            after: after.into(),
            diff: Some(unified_diff(before, after)),
        });
        let request = json!({ "LaunchTemplateId": "lt-0000000000000004d", "SourceVersion": "3", "LaunchTemplateData": { "InstanceType": "t3.medium", "UserData": "(a secret is in it)" } });
        step.call("ec2:CreateLaunchTemplateVersion", "shop-prod-web-blue", request, Some("delete version 4 of shop-prod-web-blue"));
    });
    plan.step(Action::Replace, "ensure_target_group", "web-blue", 6.4, |step| {
        step.change("port", 8080, 9090).change("protocol_version", "HTTP1", "HTTP2").reads(3);
        let gone = json!({ "TargetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/shop-prod-web-blue/44" });
        step.call("elasticloadbalancing:DeleteTargetGroup", "shop-prod-web-blue", gone, None);
        let request = json!({ "Name": "shop-prod-web-blue", "Port": 9090, "ProtocolVersion": "HTTP2" });
        let undo = Some("delete target group shop-prod-web-blue");
        step.call("elasticloadbalancing:CreateTargetGroup", "shop-prod-web-blue", request, undo);
        step.wait("target group shop-prod-web-blue to have no targets", 0.5, 5.2, 300.0);
    });
    plan.done(Outcome::Changes, "1 to change, 1 to replace: about 6s", |totals| {
        totals.update = 1;
        totals.replace = 1;
    })
}

/// More operations than anybody wants to read: services of one kind, in stages of fifty.
pub fn many(operations: usize) -> Plan {
    let mut plan = Made::new("prod", "aws");
    for number in 0..operations {
        if number % 50 == 0 {
            plan.stage(&format!("services {number} to {}", number + 49));
        }
        let name = format!("service-{number:04}");
        match number % 5 {
            0 => plan.step(Action::Unchanged, "ensure_role", &name, 0.1, |step| {
                step.reads(2);
            }),
            1 => plan.step(Action::Update, "ensure_security_group", &name, 0.6, |step| {
                let (old, new) = (json!(["443 from 10.0.0.0/8"]), json!(["443 from 10.0.0.0/8", "9090 from 10.20.0.0/16"]));
                step.change("ingress", old, new).reads(2);
                let request = json!({ "GroupId": format!("sg-{number:017x}"), "IpPermissions": [{ "FromPort": 9090, "ToPort": 9090, "IpProtocol": "tcp" }] });
                let undo = format!("revoke port 9090 of {name}");
                step.call("ec2:AuthorizeSecurityGroupIngress", &name, request, Some(&undo));
            }),
            _ => plan.step(Action::Create, "ensure_target_group", &name, 0.9, |step| {
                step.set("port", 8080).set("protocol", "HTTP").set("health_check.path", "/healthz").reads(1);
                let request = json!({ "Name": name, "Protocol": "HTTP", "Port": 8080, "VpcId": "vpc-00000000000000001" });
                let undo = format!("delete target group {name}");
                step.call("elasticloadbalancing:CreateTargetGroup", &name, request, Some(&undo));
                step.wait(&format!("target group {name} to be seen"), 0.2, 3.0, 60.0);
            }),
        }
    }
    let count = |part: usize| (operations * part / 5) as u32;
    plan.done(Outcome::Changes, "300 to create, 100 to change: about 5m 40s", |totals| {
        totals.create = count(3);
        totals.update = count(1);
        totals.unchanged = count(1);
    })
}

fn tags(kind: &str, name: &str) -> Value {
    json!([{ "ResourceType": kind, "Tags": [
        { "Key": "Name", "Value": name }, { "Key": "runner:stack", "Value": "shop-prod" },
    ] }])
}

/// A plan in the making: its clock goes on with each step.
struct Made {
    plan: Plan,
    clock: f64,
    steps: usize,
    keeps: bool,
}

impl Made {
    fn new(environment: &str, target: &str) -> Self {
        let plan = Plan {
            runner: "0.1.0".into(),
            runbook: format!("runbooks/{environment}-deploy.rhai"),
            marker: Marker {
                environment: Some(environment.into()),
                runbook: format!("runbooks/{environment}-deploy.rhai"),
            },
            environment: Some(environment.into()),
            stack: Some(format!("shop-{environment}")),
            region: Some("eu-central-1".into()),
            account: Some("123456789012".into()),
            target: target.into(),
            ..Plan::default()
        };
        Self { plan, clock: 0.1, steps: 0, keeps: false }
    }

    fn stage(&mut self, name: &str) {
        let stage = Stage { name: Some(name.into()), starts: round(self.clock), ..Stage::default() };
        self.plan.stages.push(stage);
    }

    fn step(
        &mut self,
        action: Action,
        operation: &str,
        subject: &str,
        seconds: f64,
        detail: impl FnOnce(&mut Detailed<'_>),
    ) {
        self.steps += 1;
        let place = match action {
            Action::Read | Action::Unchanged => None,
            _ => Some(format!("{}:{}:5", self.plan.runbook, 10 + self.steps)),
        };
        let mut step = Step {
            id: self.steps.to_string(),
            operation: operation.into(),
            subject: subject.into(),
            action,
            starts: round(self.clock),
            seconds,
            place,
            ..Step::default()
        };
        let keeps = self.keeps;
        detail(&mut Detailed { keeps, step: &mut step, plan: &mut self.plan });
        if matches!(action, Action::Create | Action::Replace) {
            step.content = content(&step.calls);
        }
        self.clock += seconds;
        let stage = self.plan.stages.last_mut().expect("a step is in a stage");
        stage.steps.push(step);
        stage.seconds = round(self.clock - stage.starts);
    }

    fn unchanged(&mut self, stage: &str, operations: &[&str]) {
        self.stage(stage);
        for operation in operations {
            self.step(Action::Unchanged, operation, "main", 0.1, |step| {
                step.reads(2);
            });
        }
    }

    /// A fleet of three, launched and waited for.
    fn launch(&mut self, colour: &str, image: &str) {
        let name = format!("shop-prod-web-{colour}");
        self.step(Action::Create, "ensure_launch_template", &format!("web-{colour}"), 0.1, |step| {
            step.set("launch_template_id", "lt-0000000000000005e").set("version", 1).set("image_id", image).reads(2);
            let script: String = (1..=60).map(|number| format!("  echo {number}\n")).collect();
            let script = format!("#!/bin/sh\nif true; then\n{script}fi\n");
            let diff = Some(added(&script));
            step.step.changes.push(Change { field: "user_data".into(), before: None, after: script.into(), diff });
            let request = json!({ "LaunchTemplateName": name, "LaunchTemplateData": { "ImageId": image, "InstanceType": "t3.small" } });
            step.call("ec2:CreateLaunchTemplate", &name, request, Some(&format!("delete launch template {name}")));
        });
        self.fleet(colour, 0.1, [3, 0, 0, 0]);
        self.step(Action::Create, "launch_asg", &format!("web-{colour}"), 2.2, |step| {
            step.set("auto_scaling_group_name", name.as_str()).set("min_size", 3).set("max_size", 9);
            step.set("health_check_type", "ELB").set("health_check_grace_period", 300);
            step.set("vpc_zone_identifier", json!(["subnet-0010", "subnet-0012", "subnet-0014"])).reads(3);
            let request = json!({ "AutoScalingGroupName": name, "MinSize": 3, "MaxSize": 9, "DesiredCapacity": 3, "HealthCheckType": "ELB" });
            let undo = format!("delete Auto Scaling group {name}");
            step.call("autoscaling:CreateAutoScalingGroup", &name, request, Some(&undo));
        });
        self.fleet(colour, 1.0, [3, 3, 0, 0]);
        self.fleet(colour, 17.0, [3, 3, 3, 0]);
        self.fleet(colour, 49.5, [3, 3, 3, 1]);
        self.fleet(colour, 91.0, [3, 3, 3, 3]);
        self.step(Action::Wait, "wait_healthy", &name, 121.2, |step| {
            step.set("healthy", 3).wait(&format!("{name} to be healthy"), 0.1, 121.0, 900.0).reads(36);
        });
    }

    /// Desired, instances, in service, healthy: `after` seconds from now on.
    fn fleet(&mut self, colour: &str, after: f64, [desired, instances, in_service, healthy]: [u32; 4]) {
        let auto_scaling_group = format!("shop-prod-web-{colour}");
        let size = FleetSize { auto_scaling_group, desired, instances, in_service, healthy };
        self.plan.timeline.fleets.push(Fleet { at: round(self.clock + after), size });
    }

    fn weights(&mut self, at: f64, shares: &[(&str, u32)]) {
        self.plan.timeline.weights.push(weights(at, shares));
    }

    fn mark(&mut self, text: &str) {
        self.plan.timeline.marks.push(Mark { at: round(self.clock), text: text.into() });
    }

    fn hook(&mut self, label: &str) {
        let after_undos = self.plan.rollback.undos.len() as u32;
        self.plan.rollback.hooks.push(Hook { label: label.into(), after_undos });
    }

    fn no_return(&mut self, label: &str) {
        let (at, after) = (round(self.clock), Some(self.steps.to_string()));
        self.plan.rollback.point_of_no_return = Some(PointOfNoReturn { label: label.into(), at, after });
        self.mark(&format!("point of no return: {label}"));
    }

    fn outputs(&mut self, colour: &str) {
        let output = |name: &str, value: &str| Output { name: name.into(), value: value.into() };
        self.plan.outputs = vec![
            output("url", "https://shop.example.com"),
            output("colour", colour),
            output("load_balancer", "shop-prod-web-1577420103.eu-central-1.elb.amazonaws.com"),
        ];
    }

    fn done(mut self, outcome: Outcome, text: &str, count: impl FnOnce(&mut crate::plan::Totals)) -> Plan {
        let plan = &mut self.plan;
        plan.verdict = Verdict::new(outcome, text).ending(0, "done");
        let steps = || plan.stages.iter().flat_map(|stage| &stage.steps);
        let waits = || steps().flat_map(|step| &step.waits);
        let mut totals = crate::plan::Totals {
            traffic_shifts: steps().map(|step| step.weights.len() as u32).sum(),
            waits: waits().count() as u32,
            reads: steps().map(|step| step.reads).sum(),
            calls: steps().map(|step| step.reads + step.calls.len() as u32).sum(),
            seconds: round(self.clock),
            seconds_at_most: round(
                self.clock + waits().map(|wait| wait.at_most_seconds - wait.expected_seconds).sum::<f64>(),
            ),
            peak_instances: peak(&plan.timeline.fleets),
            ..Default::default()
        };
        count(&mut totals);
        plan.totals = totals;
        self.plan
    }
}

fn peak(fleets: &[Fleet]) -> u32 {
    let mut now = std::collections::BTreeMap::new();
    let sums = fleets.iter().map(|fleet| {
        now.insert(&fleet.size.auto_scaling_group, fleet.size.instances);
        now.values().sum()
    });
    sums.max().unwrap_or(0)
}

/// A step in the making.
struct Detailed<'a> {
    /// `keep_on_rollback`
    keeps: bool,
    step: &'a mut Step,
    plan: &'a mut Plan,
}

impl Detailed<'_> {
    fn set(&mut self, field: &str, after: impl Into<Value>) -> &mut Self {
        self.step.changes.push(Change { field: field.into(), before: None, after: after.into(), diff: None });
        self
    }

    fn change(&mut self, field: &str, before: impl Into<Value>, after: impl Into<Value>) -> &mut Self {
        let (before, after) = (Some(before.into()), after.into());
        self.step.changes.push(Change { field: field.into(), before, after, diff: None });
        self
    }

    fn reads(&mut self, reads: u32) -> &mut Self {
        self.step.reads = reads;
        self
    }

    fn call(&mut self, call: &str, resource: &str, request: Value, undo: Option<&str>) -> &mut Self {
        if let Some(undo) = undo {
            let keep = self.keeps;
            self.plan.rollback.undos.push(Undo {
                step: self.step.id.clone(),
                description: undo.into(),
                keep,
                impossible: false,
            });
        }
        let undo = undo.map(Into::into);
        self.step.calls.push(Call { call: call.into(), resource: resource.into(), request, undo, ..Call::default() });
        self
    }

    fn modify_listener(&mut self, shares: &[(&str, u32)], before: &str) -> &mut Self {
        let groups: Vec<Value> = shares
            .iter()
            .map(|(colour, weight)| json!({ "TargetGroupArn": format!("arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/shop-prod-web-{colour}/44"), "Weight": weight }))
            .collect();
        let request = json!({ "DefaultActions": [{ "Type": "forward", "ForwardConfig": { "TargetGroups": groups } }] });
        let undo = format!("move traffic of shop-prod-web:443 back to {before}");
        self.call("elasticloadbalancing:ModifyListener", "shop-prod-web:443", request, Some(&undo))
    }

    /// `after` seconds into the step.
    fn wait(&mut self, what: &str, after: f64, expected_seconds: f64, at_most_seconds: f64) -> &mut Self {
        let starts = round(self.step.starts + after);
        self.step.waits.push(Wait { what: what.into(), starts, expected_seconds, at_most_seconds });
        self
    }

    fn weights(&mut self, after: f64, shares: &[(&str, u32)]) -> &mut Self {
        let weights = weights(self.step.starts + after, shares);
        self.plan.timeline.weights.push(weights.clone());
        self.step.weights.push(weights);
        self
    }
}

fn weights(at: f64, shares: &[(&str, u32)]) -> Weights {
    let share =
        |(colour, weight): &(&str, u32)| Share { target_group: format!("shop-prod-web-{colour}"), weight: *weight };
    Weights { at: round(at), route: "shop-prod-web:443".into(), shares: shares.iter().map(share).collect() }
}

fn round(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}
