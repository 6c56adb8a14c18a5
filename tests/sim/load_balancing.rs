//! Elastic Load Balancing: what is refused, what takes time, who is healthy when, and what users see of a deploy.

use crate::support::{Answer, Caller};

struct Web {
    caller: Caller,
    subnets: Vec<String>,
    balancer: String,
}

impl Web {
    /// A load balancer in the default VPC, active.
    fn new() -> Web {
        let web = Web::bare();
        let subnets = web.subnets.clone();
        let made = web.elb(
            "CreateLoadBalancer",
            &[("Name", "web"), ("Subnets.member.1", &subnets[0]), ("Subnets.member.2", &subnets[1])],
        );
        let balancer = made.one("LoadBalancerArn");
        web.caller.pass(130);
        Web { balancer, ..web }
    }

    fn bare() -> Web {
        let caller = Caller::prompt();
        let shown = caller.ec2("DescribeSubnets", &[]).ok();
        let subnets = shown.all("subnetId").into_iter().map(str::to_owned).collect();
        Web { caller, subnets, balancer: String::new() }
    }

    fn elb(&self, action: &str, params: &[(&str, &str)]) -> Answer {
        self.call("elasticloadbalancing", "2015-12-01", action, params)
    }

    fn call(&self, service: &str, version: &str, action: &str, params: &[(&str, &str)]) -> Answer {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action).append_pair("Version", version).extend_pairs(params);
        self.caller.send(service, form.finish())
    }

    fn vpc(&self) -> String {
        self.caller.ec2("DescribeVpcs", &[]).one("vpcId")
    }

    /// A target group that is checked every ten seconds.
    fn group(&self, name: &str) -> String {
        let vpc = self.vpc();
        let made = self.elb(
            "CreateTargetGroup",
            &[
                ("Name", name),
                ("Protocol", "HTTP"),
                ("Port", "8080"),
                ("VpcId", &vpc),
                ("HealthCheckIntervalSeconds", "10"),
            ],
        );
        made.one("TargetGroupArn")
    }

    fn set_attribute(&self, group: &str, key: &str, value: &str) {
        self.elb(
            "ModifyTargetGroupAttributes",
            &[("TargetGroupArn", group), ("Attributes.member.1.Key", key), ("Attributes.member.1.Value", value)],
        )
        .ok();
    }

    fn listener(&self, weights: &[(&str, &str)]) -> String {
        let mut params = vec![
            ("LoadBalancerArn".to_owned(), self.balancer.clone()),
            ("Protocol".into(), "HTTP".into()),
            ("Port".into(), "80".into()),
        ];
        params.extend(forward(weights));
        self.elb("CreateListener", &borrowed(&params)).one("ListenerArn")
    }

    fn shift(&self, listener: &str, weights: &[(&str, &str)]) -> Answer {
        let mut params = vec![("ListenerArn".to_owned(), listener.to_owned())];
        params.extend(forward(weights));
        self.elb("ModifyListener", &borrowed(&params))
    }

    /// A fleet whose instances register with a group.
    fn fleet(&self, name: &str, image: &str, size: &str, group: &str) {
        self.caller
            .ec2(
                "CreateLaunchTemplate",
                &[
                    ("LaunchTemplateName", name),
                    ("LaunchTemplateData.ImageId", image),
                    ("LaunchTemplateData.InstanceType", "t3.small"),
                ],
            )
            .ok();
        self.call(
            "autoscaling",
            "2011-01-01",
            "CreateAutoScalingGroup",
            &[
                ("AutoScalingGroupName", name),
                ("LaunchTemplate.LaunchTemplateName", name),
                ("LaunchTemplate.Version", "1"),
                ("MinSize", size),
                ("MaxSize", size),
                ("VPCZoneIdentifier", &self.subnets[..2].join(",")),
                ("TargetGroupARNs.member.1", group),
            ],
        )
        .ok();
    }

    fn resize(&self, name: &str, size: &str) {
        self.call(
            "autoscaling",
            "2011-01-01",
            "UpdateAutoScalingGroup",
            &[("AutoScalingGroupName", name), ("MinSize", size), ("MaxSize", size), ("DesiredCapacity", size)],
        )
        .ok();
    }

    fn instances(&self, group: &str) -> Vec<String> {
        self.health(group).all("Id").into_iter().map(str::to_owned).collect()
    }

    fn health(&self, group: &str) -> Answer {
        self.elb("DescribeTargetHealth", &[("TargetGroupArn", group)]).ok()
    }

    fn states(&self, group: &str) -> Vec<String> {
        self.health(group).all("State").into_iter().map(str::to_owned).collect()
    }

    /// A listener that forwards to two healthy blue instances, and a run that begins.
    fn serving() -> (Web, String, String) {
        let web = Web::new();
        let blue = web.group("blue");
        let listener = web.listener(&[(&blue, "100")]);
        web.fleet("blue", "ami-healthy-1", "2", &blue);
        web.caller.pass(120);
        assert_eq!(web.states(&blue), ["healthy", "healthy"]);
        web.caller.sim.begin_run();
        web.caller.pass(1);
        (web, listener, blue)
    }

    fn failed(&self) -> u64 {
        self.caller.sim.traffic().failed
    }
}

fn forward(weights: &[(&str, &str)]) -> Vec<(String, String)> {
    let path = |index: usize, name: &str| {
        format!("DefaultActions.member.1.ForwardConfig.TargetGroups.member.{}.{name}", index + 1)
    };
    let mut params = vec![("DefaultActions.member.1.Type".to_owned(), "forward".to_owned())];
    for (index, (group, weight)) in weights.iter().enumerate() {
        params.push((path(index, "TargetGroupArn"), (*group).to_owned()));
        params.push((path(index, "Weight"), (*weight).to_owned()));
    }
    params
}

fn borrowed(params: &[(String, String)]) -> Vec<(&str, &str)> {
    params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn a_load_balancer_comes_into_being_and_lets_go_of_its_subnets_late() {
    let web = Web::bare();
    let subnets = web.subnets.clone();
    let create = |name: &str, subnets: &[&str]| {
        let mut params = vec![("Name".to_owned(), name.to_owned())];
        let named = subnets.iter().enumerate();
        params.extend(named.map(|(index, id)| (format!("Subnets.member.{}", index + 1), (*id).to_owned())));
        web.elb("CreateLoadBalancer", &borrowed(&params))
    };
    let two = [subnets[0].as_str(), &subnets[1]];
    assert_eq!(create("web_1", &two).error(), "ValidationError");
    assert_eq!(create(&"x".repeat(33), &two).error(), "ValidationError");
    assert_eq!(create("web", &two[..1]).error(), "ValidationError");
    assert_eq!(create("web", &["subnet-0", two[0]]).error(), "SubnetNotFound");
    let made = create("web", &two);
    let arn = made.one("LoadBalancerArn");
    assert_eq!(made.one("Code"), "provisioning");
    assert_eq!(made.one("CanonicalHostedZoneId"), "Z32O12XQLNTSW2");
    assert!(made.one("DNSName").starts_with("web-") && made.one("DNSName").ends_with(".eu-west-1.elb.amazonaws.com"));
    assert_eq!(create("web", &two).one("LoadBalancerArn"), arn, "the same settings are the same load balancer");
    let other = [subnets[0].as_str(), &subnets[2]];
    assert_eq!(create("web", &other).error(), "DuplicateLoadBalancerName");
    web.caller.pass(125);
    assert_eq!(web.elb("DescribeLoadBalancers", &[("Names.member.1", "web")]).one("Code"), "active");
    assert_eq!(web.elb("DescribeLoadBalancers", &[("Names.member.1", "nobody")]).error(), "LoadBalancerNotFound");

    let attribute = |key: &str, value: &str| {
        web.elb(
            "ModifyLoadBalancerAttributes",
            &[("LoadBalancerArn", &arn), ("Attributes.member.1.Key", key), ("Attributes.member.1.Value", value)],
        )
    };
    assert_eq!(attribute("idle_timeout.timeout_seconds", "4001").error(), "ValidationError");
    assert_eq!(attribute("idle_timeout", "60").error(), "ValidationError");
    attribute("deletion_protection.enabled", "true").ok();
    let delete = || web.elb("DeleteLoadBalancer", &[("LoadBalancerArn", &arn)]);
    assert_eq!(delete().error(), "OperationNotPermitted");
    attribute("deletion_protection.enabled", "false").ok();
    delete().ok();
    delete().ok();
    let free = || web.caller.ec2("DeleteSubnet", &[("SubnetId", &subnets[0])]);
    assert_eq!(free().error(), "DependencyViolation");
    web.caller.pass(160);
    free().ok();
}

#[test]
fn listeners_and_rules_refuse_what_aws_refuses() {
    let web = Web::new();
    let blue = web.group("blue");
    let secure = |certificate: Option<&str>| {
        let mut params = vec![
            ("LoadBalancerArn".to_owned(), web.balancer.clone()),
            ("Protocol".into(), "HTTPS".into()),
            ("Port".into(), "443".into()),
        ];
        params.extend(certificate.map(|arn| ("Certificates.member.1.CertificateArn".to_owned(), arn.to_owned())));
        params.extend(forward(&[(&blue, "1")]));
        web.elb("CreateListener", &borrowed(&params))
    };
    assert_eq!(secure(None).error(), "ValidationError");
    assert_eq!(secure(Some("arn:aws:acm:us-east-1:111122223333:certificate/x")).error(), "CertificateNotFound");

    let listener = web.listener(&[(&blue, "1")]);
    assert_eq!(web.listener(&[(&blue, "1")]), listener, "the same settings are the same listener");
    assert_eq!(web.shift(&listener, &[("arn:nobody", "1")]).error(), "TargetGroupNotFound");
    assert_eq!(web.shift(&listener, &[(&blue, "1000")]).error(), "ValidationError");
    assert_eq!(web.elb("DeleteTargetGroup", &[("TargetGroupArn", &blue)]).error(), "ResourceInUse");
    let on_port_80 = web.elb(
        "CreateListener",
        &[
            ("LoadBalancerArn", &web.balancer),
            ("Protocol", "HTTP"),
            ("Port", "80"),
            ("DefaultActions.member.1.Type", "fixed-response"),
            ("DefaultActions.member.1.FixedResponseConfig.StatusCode", "503"),
        ],
    );
    assert_eq!(on_port_80.error(), "DuplicateListener");

    let rule = |priority: &str, host: &str| {
        web.elb(
            "CreateRule",
            &[
                ("ListenerArn", &listener),
                ("Priority", priority),
                ("Conditions.member.1.Field", "host-header"),
                ("Conditions.member.1.HostHeaderConfig.Values.member.1", host),
                ("Actions.member.1.Type", "forward"),
                ("Actions.member.1.TargetGroupArn", &blue),
            ],
        )
    };
    let made = rule("10", "a.example.com");
    assert_eq!(rule("10", "b.example.com").error(), "PriorityInUse");
    assert_eq!(rule("50001", "b.example.com").error(), "ValidationError");
    rule("2", "b.example.com").ok();
    let shown = web.elb("DescribeRules", &[("ListenerArn", &listener)]).ok();
    assert_eq!(shown.all("Priority"), ["2", "10", "default"]);
    let default = shown.all("RuleArn")[2].to_owned();
    assert_eq!(web.elb("DeleteRule", &[("RuleArn", &default)]).error(), "OperationNotPermitted");
    let swap = web.elb(
        "SetRulePriorities",
        &[("RulePriorities.member.1.RuleArn", &made.one("RuleArn")), ("RulePriorities.member.1.Priority", "2")],
    );
    assert_eq!(swap.error(), "PriorityInUse");
    let page = web.elb("DescribeRules", &[("ListenerArn", &listener), ("PageSize", "1")]).ok();
    let marker = page.one("NextMarker");
    let rest = web.elb("DescribeRules", &[("ListenerArn", &listener), ("Marker", &marker)]);
    assert_eq!(rest.ok().all("Priority"), ["10", "default"]);
}

#[test]
fn targets_are_unused_then_initial_then_healthy_and_drain() {
    let web = Web::new();
    let blue = web.group("blue");
    web.set_attribute(&blue, "deregistration_delay.timeout_seconds", "60");
    web.fleet("blue", "ami-healthy-1", "2", &blue);
    web.caller.pass(120);
    assert_eq!(web.states(&blue), ["unused", "unused"], "no listener refers to the group");
    assert_eq!(web.health(&blue).all("Reason"), ["Target.NotInUse", "Target.NotInUse"]);
    // Referred to at weight 0: checked.
    web.listener(&[(&blue, "0")]);
    assert_eq!(web.health(&blue).all("Reason"), ["Elb.RegistrationInProgress"; 2]);
    web.caller.pass(20);
    assert_eq!(web.states(&blue), ["healthy", "healthy"], "one good check is enough");

    let first = web.instances(&blue)[0].clone();
    let target = [("TargetGroupArn", blue.as_str()), ("Targets.member.1.Id", &first)];
    web.elb("DeregisterTargets", &target).ok();
    assert_eq!(web.states(&blue), ["draining", "healthy"]);
    web.caller.pass(61);
    assert_eq!(web.states(&blue), ["healthy"]);
    let asked = web.elb("DescribeTargetHealth", &target).ok();
    assert_eq!(asked.one("Reason"), "Target.NotRegistered");
    let nobody = [("TargetGroupArn", blue.as_str()), ("Targets.member.1.Id", "i-0")];
    assert_eq!(web.elb("RegisterTargets", &nobody).error(), "InvalidTarget");
}

#[test]
fn a_target_that_answers_badly_is_unhealthy_and_needs_the_threshold_to_recover() {
    let web = Web::new();
    let (bad, flapping) = (web.group("bad"), web.group("flapping"));
    web.listener(&[(&bad, "1"), (&flapping, "0")]);
    web.fleet("bad", "ami-never-healthy-1", "1", &bad);
    web.fleet("flapping", "ami-flapping-1", "1", &flapping);
    web.caller.pass(100);
    assert_eq!(web.health(&bad).all("Reason"), ["Target.ResponseCodeMismatch"]);
    // A minute each: six checks pass and six fail, two failures are enough, recovery takes five.
    let mut healthy = 0;
    for _ in 0..48 {
        web.caller.pass(10);
        healthy += usize::from(web.states(&flapping) == ["healthy"]);
    }
    assert!((8..=24).contains(&healthy), "healthy in {healthy} of 48 looks");
}

#[test]
fn a_shift_with_both_fleets_healthy_fails_nothing() {
    let (web, listener, blue) = Web::serving();
    let green = web.group("green");
    web.shift(&listener, &[(&blue, "100"), (&green, "0")]).ok();
    web.fleet("green", "ami-healthy-2", "2", &green);
    web.caller.pass(120);
    for weight in ["10", "50", "100"] {
        let rest = (100 - weight.parse::<i32>().unwrap()).to_string();
        web.shift(&listener, &[(&blue, &rest), (&green, weight)]).ok();
        web.caller.pass(60);
    }
    web.resize("blue", "0");
    web.caller.pass(600);
    assert_eq!(web.instances(&blue), [""; 0]);
    assert_eq!(web.failed(), 0);
    // 15 minutes of 50 requests a second, and a few seconds of calls.
    assert!((45_000..46_000).contains(&web.caller.sim.traffic().served), "{:?}", web.caller.sim.traffic());
}

#[test]
fn weight_on_a_group_that_is_not_healthy_fails_open() {
    let (web, listener, blue) = Web::serving();
    let green = web.group("green");
    web.shift(&listener, &[(&blue, "100"), (&green, "0")]).ok();
    web.fleet("green", "ami-never-healthy-1", "2", &green);
    web.caller.pass(120);
    assert_eq!(web.failed(), 0);
    web.shift(&listener, &[(&blue, "50"), (&green, "50")]).ok();
    web.caller.pass(10);
    // New connections have half of their requests on green after a second, kept ones after two: 25 * (9 + 8) / 2.
    // The call itself took 50 ms, which are part of the ten seconds only for the clock.
    let failed = web.failed();
    assert!((210..=216).contains(&failed), "{failed}");
}

#[test]
fn targets_that_are_let_go_with_requests_under_way_fail_them() {
    let (web, _, blue) = Web::serving();
    web.set_attribute(&blue, "deregistration_delay.timeout_seconds", "0");
    let first = web.instances(&blue)[0].clone();
    web.elb("DeregisterTargets", &[("TargetGroupArn", &blue), ("Targets.member.1.Id", &first)]).ok();
    web.caller.pass(10);
    assert_eq!(web.failed(), 5, "half of the ten requests that were under way");
}

#[test]
fn an_instance_that_is_terminated_while_it_serves_fails_requests() {
    let (web, _, blue) = Web::serving();
    let first = web.instances(&blue)[0].clone();
    web.caller.ec2("TerminateInstances", &[("InstanceId.1", &first)]).ok();
    web.caller.pass(5);
    // 5 under way, and half of 50 a second for five seconds.
    assert!((129..=132).contains(&web.failed()), "{}", web.failed());
    web.caller.pass(300);
    assert!(web.failed() < 5 + 25 * 50, "health checks end it: {}", web.failed());
}

#[test]
fn a_listener_that_is_deleted_was_promised() {
    let (web, listener, _) = Web::serving();
    web.elb("DeleteListener", &[("ListenerArn", &listener)]).ok();
    web.caller.pass(10);
    // Ten under way, then 50 a second.
    assert!((508..=513).contains(&web.failed()), "{}", web.failed());
}

#[test]
fn an_hour_of_load_is_cheap() {
    let (web, _, _) = Web::serving();
    let started = std::time::Instant::now();
    web.caller.pass(3600);
    assert_eq!(web.caller.sim.traffic().served / 1000, 180);
    assert!(started.elapsed().as_millis() < 500, "{:?}", started.elapsed());
}
