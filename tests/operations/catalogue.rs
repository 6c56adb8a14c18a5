//! Every operation of the catalogue, one after the other, each with options of its own: on an account, again, and on a fork
//! of it.

use std::collections::{BTreeMap, BTreeSet};

use runner::{aws::is_read_only, event::Change, event::Event, ops::catalog, sim, sim::Scope};
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    live::{Origin, send},
    same::assert_same,
};

const SSM: &str = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";

/// What operations returned, by the names given here.
struct Made<'r, 'a> {
    run: &'r mut Trial<'a>,
    handles: BTreeMap<&'static str, Value>,
    used: BTreeSet<&'static str>,
}

impl Made<'_, '_> {
    fn ok(&mut self, name: &'static str, operation: &'static str, options: Value) {
        let handle = self.run.ok(operation, options);
        self.handles.insert(name, handle);
        self.used.insert(operation);
    }

    fn get(&self, name: &str) -> Value {
        self.handles[name].clone()
    }
}

/// Runs them all. Run again, there is nothing left to do for any of them.
fn run_all(run: &mut Trial<'_>) -> BTreeSet<&'static str> {
    let mut made = Made { run, handles: BTreeMap::new(), used: BTreeSet::new() };
    let allow = |action: &str| json!({ "Statement": [{ "Effect": "Allow", "Action": action, "Resource": "*" }] });

    made.ok("vpc", "ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16", "tags": { "team": "web" } }));
    let vpc = made.get("vpc");
    made.ok("gateway", "ensure_internet_gateway", json!({ "name": "main", "vpc_id": vpc }));
    for tier in ["public", "private"] {
        let options = json!({ "vpc_id": vpc, "tier": tier, "availability_zones": 2, "prefix_length": 24 });
        made.ok(tier, "ensure_subnets", options);
    }
    let (public, private) = (made.get("public"), made.get("private"));
    made.ok("nat", "ensure_nat_gateways", json!({ "name": "main", "vpc_id": vpc, "subnet_ids": public }));
    let everywhere = "0.0.0.0/0";
    let out = json!([{ "destination_cidr_block": everywhere, "gateway_id": made.get("gateway") }]);
    made.ok(
        "ways",
        "ensure_route_table",
        json!({ "name": "public", "vpc_id": vpc, "subnet_ids": public, "routes": out }),
    );
    let rules = json!([{ "cidr_block": everywhere, "protocol": "tcp", "port": 443 }, { "cidr_block": "10.0.0.0/8" }]);
    let acl = json!({ "name": "public", "vpc_id": vpc, "subnet_ids": public, "ingress": rules, "egress": rules });
    made.ok("acl", "ensure_network_acl", acl);
    let https =
        json!([{ "port": 443, "cidr_ip": everywhere, "description": "all" }, { "port": 443, "cidr_ipv6": "::/0" }]);
    made.ok("front", "ensure_security_group", json!({ "name": "front", "vpc_id": vpc, "ingress": https }));
    let http = json!([{ "port": 8080, "group_id": made.get("front") }, { "port": 9090, "group_id": "self" }]);
    made.ok("inner", "ensure_security_group", json!({ "name": "inner", "vpc_id": vpc, "ingress": http }));
    made.ok("found", "find_vpc", json!({ "vpc": "shop-prod-main" }));
    made.ok("found", "find_subnets", json!({ "vpc_id": vpc, "tier": "private" }));
    made.ok("found", "find_security_group", json!({ "security_group": "shop-prod-front", "vpc_id": vpc }));

    made.ok("policy", "ensure_policy", json!({ "name": "assets", "policy_document": allow("s3:GetObject") }));
    let role = json!({
        "name": "web", "trust": "ec2.amazonaws.com", "managed_policy_arns": [SSM, made.get("policy")],
        "inline_policies": { "queue": allow("sqs:SendMessage") }, "permissions_boundary": made.get("policy"),
    });
    made.ok("role", "ensure_role", role);
    made.ok("profile", "ensure_instance_profile", json!({ "name": "web", "role_name": made.get("role") }));

    made.ok("zone", "ensure_hosted_zone", json!({ "name": "shop-example.com", "comment": "the shop" }));
    made.ok("found", "find_hosted_zone", json!({ "name": "shop-example.com" }));
    let certificate =
        json!({ "name": "web", "domain_name": "www.shop-example.com", "hosted_zone_id": made.get("zone") });
    made.ok("certificate", "ensure_certificate", certificate);
    made.ok("found", "find_certificate", json!({ "domain_name": "www.shop-example.com" }));
    made.ok(
        "own",
        "ensure_certificate",
        json!({ "name": "own", "method": "self_signed", "domain_name": "own.shop.test" }),
    );

    let balancer = json!({
        "name": "web", "subnets": public, "security_groups": [made.get("front")], "idle_timeout": "90s", "tags": { "team": "web" },
    });
    made.ok("balancer", "ensure_load_balancer", balancer);
    for colour in ["blue", "green"] {
        let check = json!({ "path": "/healthz", "interval": "10s", "timeout": "5s" });
        let options = json!({
            "name": colour, "vpc_id": vpc, "port": 8080, "health_check": check, "deregistration_delay": "30s",
            "stickiness": { "duration": "1h" },
        });
        made.ok(colour, "ensure_target_group", options);
    }
    let (blue, green) = (made.get("blue"), made.get("green"));
    let forward = |weight| json!({ "forward": { "target_groups": [{ "target_group": blue, "weight": weight }] } });
    let listener = json!({
        "load_balancer": made.get("balancer"), "port": 443, "protocol": "HTTPS",
        "certificates": [made.get("certificate"), made.get("own")], "default_action": forward(100),
    });
    made.ok("listener", "ensure_listener", listener);
    let rule = json!({
        "name": "api", "listener": made.get("listener"), "conditions": [{ "path_pattern": ["/api/*"] }, { "http_request_method": ["GET"] }],
        "action": forward(1), "priority": 10,
    });
    made.ok("rule", "ensure_listener_rule", rule);
    made.ok("found", "find_load_balancer", json!({ "load_balancer": "shop-prod-web" }));
    made.ok("found", "find_listener", json!({ "load_balancer": made.get("balancer"), "port": 443 }));
    made.ok("found", "find_target_group", json!({ "target_group": "shop-prod-blue" }));
    let record = json!({
        "hosted_zone_id": made.get("zone"), "name": "www.shop-example.com", "type": "A", "alias": made.get("balancer"),
    });
    made.ok("record", "ensure_record", record);
    let one = |id: &str, weight: u8| {
        json!({
            "hosted_zone_id": made.handles["zone"], "name": "api.shop-example.com", "type": "A", "values": ["192.0.2.1"],
            "set_identifier": id, "weight": weight,
        })
    };
    let (blue_record, green_record) = (one("blue", 100), one("green", 0));
    made.ok("blue record", "ensure_record", blue_record);
    made.ok("green record", "ensure_record", green_record);
    let shift = json!({ "hosted_zone_id": made.get("zone"), "name": "api.shop-example.com", "to": "green" });
    made.ok("shifted records", "shift_dns", shift);

    made.ok("image", "find_image", json!({ "image_id": "ami-healthy-1" }));
    let template = json!({
        "name": "web", "image_id": "ami-healthy-1", "instance_type": "t3.small", "security_groups": [made.get("inner")],
        "instance_profile": made.get("profile"), "user_data": "#!/bin/sh\ntrue\n", "tags": { "team": "web" },
        "block_device_mappings": [{ "volume_size": 20 }],
    });
    made.ok("template", "ensure_launch_template", template.clone());
    made.ok("found", "compare_launch_template", template);
    for colour in ["blue", "green"] {
        let options = json!({
            "name": colour, "launch_template": made.get("template"), "subnets": private, "min_size": 2, "max_size": 4,
            "target_groups": [made.get(colour)], "enable_metrics_collection": true,
            "lifecycle_hooks": [{
                "lifecycle_hook_name": "leave", "lifecycle_transition": "autoscaling:EC2_INSTANCE_TERMINATING",
                "heartbeat_timeout": "30s", "default_result": "CONTINUE",
            }],
            "target_tracking": [{ "predefined_metric_type": "ASGAverageCPUUtilization", "target_value": 60 }],
        });
        let fleet = if colour == "blue" { "blue fleet" } else { "green fleet" };
        made.ok(fleet, "launch_asg", options);
    }
    let route = made.get("listener");
    made.ok("attached", "attach_target_group", json!({ "routes": [{ "route": route, "target_group": green }] }));
    for colour in ["blue", "green"] {
        let fleet = format!("shop-prod-{colour}");
        let wait = json!({ "target_groups": [made.get(colour)], "auto_scaling_group": fleet });
        made.ok("healthy", "wait_healthy", wait);
    }
    let steps = json!([{ "weight": 50, "hold": "1m" }, { "weight": 100 }]);
    let shift = json!({ "routes": [{ "route": route, "from": blue, "to": green }], "steps": steps });
    made.ok("shifted", "shift_traffic", shift);
    made.ok("swapped", "swap_listener", json!({ "routes": [{ "route": made.get("rule"), "to": blue }] }));
    made.ok("traffic", "traffic", json!({ "route": route, "colours": { "blue": blue, "green": green } }));
    let url = "https://www.shop-example.com/";
    made.ok("checked", "http_check", json!({ "url": url, "expect": { "json": { "/status": "ok" } } }));
    made.ok("checked", "wait_http", json!({ "url": url, "successes": 2 }));
    let check = json!({
        "name": "web", "type": "HTTPS", "fqdn": made.get("balancer")["dns_name"], "resource_path": "/healthz",
        "request_interval": "10s", "regions": ["us-east-1", "eu-west-1", "sa-east-1"],
    });
    made.ok("check", "ensure_health_check", check);
    made.ok("healthy", "wait_health_check", json!({ "health_check": made.get("check") }));
    let counted = json!({ "name": "any", "type": "CALCULATED", "child_health_checks": [made.get("check")] });
    made.ok("counted", "ensure_health_check", counted);
    made.ok("status", "health_check_status", json!({ "health_check": made.get("counted"), "expect_healthy": true }));
    made.ok("roles", "aws_call", json!({ "service": "iam", "action": "ListRoles" }));
    made.ok("listed", "list_stack", json!({}));
    made.ok("stale", "stale_stacks", json!({ "prefix": "shop", "live": ["shop"] }));
    made.ok("destroyed", "destroy_stack", json!({ "stack": "nobody" }));
    let size = json!({ "auto_scaling_group": made.get("green fleet"), "min_size": 2, "desired_capacity": 2, "wait_timeout": "10m" });
    made.ok("scaled", "scale_asg", size);
    made.ok("found", "find_asg", json!({ "name": "green" }));
    let fleet = made.get("green fleet");
    let steps = json!([{ "metric_interval_lower_bound": 0, "scaling_adjustment": 1 }]);
    let policy = json!({ "name": "grow", "auto_scaling_group": fleet, "step_adjustments": steps });
    made.ok("grow", "ensure_scaling_policy", policy);
    let night = json!({
        "name": "night", "auto_scaling_group": fleet, "recurrence": "0 22 * * *", "time_zone": "Europe/Berlin", "max_size": 4,
    });
    made.ok("night", "ensure_scheduled_action", night);
    let told = json!([
        { "protocol": "email", "endpoint": "oncall@example.com" },
        { "protocol": "sqs", "endpoint": "arn:aws:sqs:eu-central-1:123456789012:alerts" },
    ]);
    let policy = json!({ "Statement": [{
        "Effect": "Allow", "Principal": { "Service": "cloudwatch.amazonaws.com" }, "Action": "sns:Publish",
    }] });
    let topic = json!({ "name": "alerts", "display_name": "Shop", "subscriptions": told, "policy": policy });
    made.ok("topic", "ensure_topic", topic);
    let alarm = json!({
        "name": "cpu", "namespace": "AWS/EC2", "metric_name": "CPUUtilization", "statistic": "Average",
        "dimensions": { "AutoScalingGroupName": fleet }, "evaluation_periods": 3, "threshold": 99.5,
        "comparison_operator": "GreaterThanThreshold", "alarm_actions": [made.get("topic"), made.get("grow")],
    });
    made.ok("cpu", "ensure_alarm", alarm);
    let any = json!({ "name": "any", "alarm_rule": "ALARM(shop-prod-cpu)", "ok_actions": [made.get("topic")] });
    made.ok("any", "ensure_alarm", any);
    made.ok("quiet", "alarm_states", json!({ "expect_ok": true }));
    let widget =
        json!({ "type": "text", "x": 0, "y": 0, "width": 6, "height": 3, "properties": { "markdown": "# Shop" } });
    made.ok("dashboard", "ensure_dashboard", json!({ "name": "web", "body": { "widgets": [widget] } }));
    made.ok("logs", "ensure_log_group", json!({ "name": "web", "retention_in_days": 30 }));
    made.ok(
        "old",
        "launch_asg",
        json!({
            "name": "old", "launch_template": made.get("template"), "subnets": private, "min_size": 0, "max_size": 1,
        }),
    );
    made.ok("retired", "retire_asg", json!({ "auto_scaling_group": made.get("old"), "to": "zero" }));
    run_containers(&mut made, &vpc, &private);
    let url = json!({ "name": "/shop/url", "value": "https://www.shop-example.com", "description": "where it is" });
    made.ok("url", "put_ssm_parameter", url);
    made.ok("found", "ssm_parameter", json!({ "name": "/shop/url" }));
    made.ok("output", "publish_output", json!({ "name": "vpc", "value": made.get("vpc")["vpc_id"] }));
    made.ok("found", "output_of", json!({ "stack": "shop-prod", "name": "vpc" }));
    let baked = json!({
        "name": "web", "image_id": "ami-healthy-1", "subnet": private, "instance_profile": made.get("profile"),
        "commands": ["systemctl enable shop"],
    });
    made.ok("baked", "bake_image", baked);
    made.ok("pruned", "prune_images", json!({ "name": "web", "keep": 1 }));
    made.ok("password", "secret", json!({ "secretsmanager": "shop/db", "key": "password" }));
    made.used
}

/// What does something each time is tried by itself: see `docker`, `outside` and `commands`.
const EACH_TIME: &[&str] = &["build_image", "exec", "http_request", "notify", "push_image", "run_command"];

/// The operations on containers, behind a rule of their own.
fn run_containers(made: &mut Made<'_, '_>, vpc: &Value, private: &Value) {
    let rules = json!([{ "rulePriority": 1, "action": { "type": "expire" }, "selection": {
        "tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 5,
    } }]);
    let pull = json!({ "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:root" }, "Action": "ecr:BatchGetImage" });
    let repository = json!({
        "name": "shop", "lifecycle_policy": { "rules": rules }, "repository_policy": { "Statement": [pull] },
    });
    made.ok("repository", "ensure_repository", repository);
    made.ok(
        "container image",
        "find_container_image",
        json!({ "repository": made.get("repository"), "tag": "healthy-1" }),
    );
    let cluster = json!({
        "name": "main", "container_insights": "enabled", "capacity_providers": ["FARGATE"],
        "default_capacity_provider_strategy": [{ "capacity_provider": "FARGATE" }],
    });
    made.ok("cluster", "ensure_cluster", cluster);
    made.ok("tasks role", "ensure_role", json!({ "name": "tasks", "trust": "ecs-tasks.amazonaws.com" }));
    let container =
        json!({ "name": "shop", "image": made.get("container image"), "port_mappings": [{ "container_port": 8080 }] });
    let definition = json!({
        "family": "shop", "cpu": 256, "memory": 512, "execution_role": made.get("tasks role"),
        "container_definitions": [container],
    });
    made.ok("definition", "register_task_definition", definition);
    let group = json!({
        "name": "tasks", "vpc_id": vpc, "port": 8080, "target_type": "ip", "deregistration_delay": "30s",
        "health_check": { "path": "/healthz", "interval": "10s", "timeout": "5s" },
    });
    made.ok("tasks group", "ensure_target_group", group);
    let forward = json!({ "forward": { "target_groups": [{ "target_group": made.get("tasks group"), "weight": 1 }] } });
    let rule = json!({
        "name": "tasks", "listener": made.get("listener"), "conditions": [{ "path_pattern": ["/tasks/*"] }], "action": forward,
        "priority": 20,
    });
    made.ok("tasks rule", "ensure_listener_rule", rule);
    let service = json!({
        "name": "shop", "cluster": made.get("cluster"), "task_definition": made.get("definition"), "desired_count": 2,
        "subnets": private, "security_groups": [made.get("inner")],
        "load_balancers": [{
            "target_group": made.get("tasks group"), "container_name": "shop", "container_port": 8080,
        }],
    });
    made.ok("service", "deploy_ecs_service", service);
    made.ok("found", "find_ecs_service", json!({ "name": "shop", "cluster": made.get("cluster") }));
    made.ok(
        "healthy",
        "wait_healthy",
        json!({ "target_groups": [made.get("tasks group")], "service": made.get("service") }),
    );
    let cpu = json!({ "predefined_metric_type": "ECSServiceAverageCPUUtilization", "target_value": 60 });
    let scaling =
        json!({ "service": made.get("service"), "min_capacity": 2, "max_capacity": 4, "target_tracking": [cpu] });
    made.ok("scaling", "ensure_service_scaling", scaling);
    let worker = json!({
        "name": "worker", "cluster": made.get("cluster"), "task_definition": made.get("definition"), "desired_count": 0,
        "subnets": private,
    });
    made.ok("worker", "deploy_ecs_service", worker);
    made.ok("retired", "retire_ecs_service", json!({ "service": made.get("worker"), "to": "zero" }));
}

/// What is done anew each time it is asked for.
fn run_task(run: &mut Trial<'_>) -> &'static str {
    let cluster = run.ok("ensure_cluster", json!({ "name": "main", "container_insights": "enabled" }));
    let vpc = run.ok("find_vpc", json!({ "vpc": "shop-prod-main" }));
    let subnets = run.ok("find_subnets", json!({ "vpc_id": vpc, "tier": "private" }));
    let options = json!({ "cluster": cluster, "task_definition": "shop-prod-shop:1", "subnets": subnets });
    let ran = run.ok("run_task", options);
    assert_eq!(ran["exit_codes"], json!({ "shop": 0 }));
    "run_task"
}

/// A secret that somebody else keeps in the account.
fn keep_a_secret(account: &Account) {
    let scope = Scope { account: "123456789012".into(), region: "eu-central-1".into() };
    let text = r#"{ "user": "shop", "password": "correct horse" }"#;
    let params = json!({ "Name": "shop/db", "SecretString": text });
    send(account.simulator(), &scope, "secretsmanager", "CreateSecret", &params).expect("a new secret");
    account.simulator().advance(account.simulator().clock() + std::time::Duration::from_secs(5));
}

/// What operations said they did.
fn changes(run: &Trial<'_>) -> Vec<(String, Change)> {
    let one = |event| match event {
        Event::OperationFinished { operation, subject, change, .. } => Some((format!("{operation} {subject}"), change)),
        _ => None,
    };
    run.events().into_iter().filter_map(one).collect()
}

fn nothing_to_do(run: &Trial<'_>, whose: &str) {
    assert_eq!(run.mutations(), [""; 0], "{whose}");
    let done: Vec<_> = changes(run)
        .into_iter()
        .filter(|(_, change)| !matches!(change, Change::Unchanged | Change::Read | Change::Waited))
        .collect();
    assert_eq!(done, [], "{whose}");
}

#[test]
fn on_a_fork_of_an_account_where_it_was_run_no_operation_has_anything_to_do() {
    let account = Account::new();
    keep_a_secret(&account);
    let mut used = run_all(&mut account.run());
    used.insert(run_task(&mut account.run()));
    let all = catalog::OPERATIONS.iter().map(|entry| entry.name).filter(|name| !EACH_TIME.contains(name));
    assert_eq!(used, all.collect(), "every operation is tried here");
    let mut again = account.run();
    run_all(&mut again);
    nothing_to_do(&again, "on the account itself");

    let before = account.simulator().observe();
    let (fork, origin) = account.fork();
    let mut planned = fork.run();
    run_all(&mut planned);
    nothing_to_do(&planned, "on a fork");
    assert_same(&account.simulator().observe(), &before, "after the fork");
    let mut calls = origin.calls();
    assert!(calls.iter().all(|call| is_read_only(call) && sim::reads().contains(call)), "{calls:?}");

    // And no call is declared, and so asked permission for, that is not made.
    let everything = Origin::new(account.shared_simulator());
    everything.fork().read_all("123456789012", "eu-central-1").expect("everything can be read");
    calls.extend(everything.calls());
    let unused: Vec<String> = sim::reads().into_iter().filter(|read| !calls.contains(read)).collect();
    // Which only a launch, or a runbook with such options, asks for.
    let rare = ["ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstanceTypes", "ec2:DescribeManagedPrefixLists"];
    assert_eq!(unused, rare);
}

/// Whatever an operation would change, it changes in the fork.
#[test]
fn on_a_fork_of_an_empty_account_every_operation_does_its_work_and_the_account_sees_reads_only() {
    let account = Account::new();
    keep_a_secret(&account);
    let before = account.simulator().observe();
    let (fork, origin) = account.fork();
    let mut planned = fork.run();
    run_all(&mut planned);
    run_task(&mut planned);
    assert!(planned.mutations().len() > 50, "{} mutations", planned.mutations().len());
    assert!(changes(&planned).iter().filter(|(_, change)| *change == Change::Created).count() > 20);
    let report = planned.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(account.simulator().observe(), before);
    assert!(origin.calls().iter().all(|call| is_read_only(call)));
}

/// How many calls a plan of the shipped runbook makes, as docs/fork.md has it.
#[test]
fn the_calls_of_a_plan_are_as_many_as_the_documentation_says() {
    const DOCS: &str = include_str!("../../docs/fork.md");
    let account = Account::prompt();
    let image = |image: &str| json!({ "image": image });
    let mut rows = Vec::new();
    for (deployed, planned, row) in [
        (None, "ami-healthy-1", "first deploy, nothing is there"),
        (Some("ami-healthy-1"), "ami-healthy-1", "the deployed version again"),
        (None, "ami-healthy-2", "the next version"),
    ] {
        if let Some(deployed) = deployed {
            assert_eq!(account.runbook("prod-deploy.rhai", image(deployed)).failure, None);
        }
        let before = account.simulator().observe();
        let (fork, origin) = account.fork();
        let ran = fork.runbook("prod-deploy.rhai", image(planned));
        assert_eq!(ran.failure, None, "{:?}", ran.rollback);
        assert_same(&account.simulator().observe(), &before, "after the plan");
        rows.push(format!("| {row} | {} |", origin.calls().len()));
    }
    let missing: Vec<&String> = rows.iter().filter(|row| !DOCS.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "docs/fork.md lacks {missing:#?}");
}
