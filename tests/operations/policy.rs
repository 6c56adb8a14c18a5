//! Policy on the bytes of calls: what is protected whoever made it, and that nothing refused is ever sent.

use std::collections::BTreeMap;

use proptest::prelude::*;
use runner::{
    event::Event,
    ops::Error,
    policy::{Check, Refusal},
};
use serde_json::{Value, json};

use crate::{
    account::{Account, Ran},
    compute::support::fleet,
};

#[track_caller]
fn is_denied(result: Result<Value, Error>, check: Check, words: &str) {
    match result.expect_err("refused") {
        Error::Policy(refusal) => match *refusal {
            Refusal::Denied(denial) => {
                assert_eq!(denial.check, check, "{denial}");
                assert!(denial.message.contains(words), "{words}: {denial}");
            }
            other => panic!("{other}"),
        },
        other => panic!("{other}"),
    }
}

const PROTECTED: &str = "protected_tags = { protected = \"true\" }";

/// What another stack has made and protects: neither adopted nor used in a way that changes it.
#[test]
fn what_another_stack_protects() {
    let account = Account::new();
    let mut theirs = account.run();
    theirs.run.set_stack("shop-prod-bank".into());
    let tags = json!({ "protected": "true" });
    let vpc = theirs.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.0.0.0/16", "tags": tags }));
    let subnets = json!({ "vpc_id": vpc, "tier": "public", "availability_zones": 2, "tags": tags });
    let subnets = theirs.ok("ensure_subnets", subnets);
    let group = json!({ "name": "app", "vpc_id": vpc, "description": "app", "tags": tags });
    theirs.ok("ensure_security_group", group);
    theirs.ok("ensure_role", json!({ "name": "app", "trust": "ec2.amazonaws.com", "tags": tags }));
    theirs.ok("ensure_route_table", json!({ "name": "app", "vpc_id": vpc, "subnet_ids": subnets, "tags": tags }));
    let before = account.observe();

    let mut ours = account.run_under(PROTECTED);
    let table = [
        (
            "ensure_vpc",
            json!({ "name": "bank-main", "cidr_block": "10.0.0.0/16", "adopt": true }),
            "(shop-prod-bank-main)",
        ),
        (
            "ensure_security_group",
            json!({ "name": "bank-app", "vpc_id": vpc, "description": "app", "adopt": true }),
            "(shop-prod-bank-app), which is tagged protected = true",
        ),
        (
            "ensure_role",
            json!({ "name": "bank-app", "trust": "ec2.amazonaws.com", "adopt": true }),
            "shop-prod-bank-app",
        ),
        (
            "ensure_route_table",
            json!({ "name": "own", "vpc_id": vpc, "subnet_ids": subnets, "adopt": true }),
            "ec2:ReplaceRouteTableAssociation would change",
        ),
    ];
    for (operation, options, words) in table {
        is_denied(ours.op(operation, options), Check::ProtectedTags, words);
    }
    ours.roll_back();
    assert_eq!(account.observe(), before);
}

#[test]
fn a_group_of_another_stack_is_neither_scaled_nor_retired_by_its_name() {
    let account = Account::new();
    let mut run = account.run();
    let (blue, options) = fleet(&mut run, 2);
    let before = account.observe();

    let mut run = account.run_under("protected_names = [\"shop-prod-bl*\"]");
    let words = "would change shop-prod-blue, which `shop-prod-bl*` protects";
    let larger = json!({ "auto_scaling_group": blue, "desired_capacity": 3 });
    is_denied(run.op("scale_asg", larger), Check::ProtectedNames, words);
    is_denied(run.op("retire_asg", json!({ "auto_scaling_group": blue })), Check::ProtectedNames, words);
    let mut more = options;
    more["max_size"] = json!(9);
    is_denied(run.op("launch_asg", more), Check::ProtectedNames, words);
    assert_eq!(run.mutations(), [""; 0]);
    assert_eq!(account.observe(), before);
}

/// A group that this run has just made is its own, also while lists do not show it yet.
#[test]
fn what_a_run_has_made_it_may_change() {
    let account = Account::new();
    let mut run = account.run_under("protected_names = [\"*\"]\nprotected_tags = { Name = \"*\" }");
    let (blue, _) = fleet(&mut run, 2);
    run.ok("scale_asg", json!({ "auto_scaling_group": blue, "desired_capacity": 3 }));
    run.ok("retire_asg", json!({ "auto_scaling_group": blue }));
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
}

/// A group that is larger than policy has it since yesterday may be made smaller, and be retired.
#[test]
fn what_is_too_large_already_may_shrink() {
    let account = Account::new();
    let (blue, _) = fleet(&mut account.run(), 4);
    let mut run = account.run_under("max_size = 2\nmax_instances = 2");
    let size = |size: i32| json!({ "auto_scaling_group": blue, "desired_capacity": size, "min_size": 0 });
    is_denied(run.op("scale_asg", size(5)), Check::MaxSize, "a desired_capacity of 5");
    run.ok("scale_asg", size(3));
    run.ok("retire_asg", json!({ "auto_scaling_group": blue }));
    assert!(run.roll_back().is_clean());
}

/// All groups of the stack count, also those an earlier run has made, and none that is gone.
#[test]
fn instances_of_a_stack() {
    let account = Account::new();
    let (blue, options) = fleet(&mut account.run(), 2);
    let mut run = account.run_under("max_instances = 4");
    let mut green = options.clone();
    green["name"] = json!("green");
    green["desired_capacity"] = json!(3);
    is_denied(
        run.op("launch_asg", green.clone()),
        Check::MaxInstances,
        "5 instances (shop-prod-green 3, shop-prod-blue 2)",
    );
    run.ok("retire_asg", json!({ "auto_scaling_group": blue, "to": "delete" }));
    run.ok("launch_asg", green);
    let larger = json!({ "auto_scaling_group": "shop-prod-green", "desired_capacity": 5 });
    is_denied(run.op("scale_asg", larger), Check::MaxInstances, "5 instances (shop-prod-green 5), and 4 are the most");
}

/// In a dry run all denials are told, each once, and nothing stops.
#[test]
fn denials_can_be_collected() {
    let account = Account::new();
    let mut run =
        account.run_under("max_size = 5\ndenied_actions = [\"ec2:CreateVpc\"]\nrequired_tags = { team = \"*\" }");
    run.run.collect_denials();
    fleet(&mut run, 2);
    let denied = run.events().into_iter().filter_map(|event| match event {
        Event::Policy { check, message, .. } => Some((check, message)),
        _ => None,
    });
    let denied: Vec<_> = denied.collect();
    assert!(denied.iter().any(|(check, _)| *check == Check::MaxSize), "{denied:?}");
    assert!(denied.iter().any(|(check, _)| *check == Check::DeniedActions), "{denied:?}");
    let untagged = denied.iter().filter(|(check, _)| *check == Check::RequiredTags).count();
    assert_eq!(untagged, 5, "VPC, two subnets, template and group: {denied:?}");
    assert!(run.roll_back().is_clean());
}

/// A policy of a few rules, and what they forbid, said once more in other words.
#[derive(Clone, Debug)]
struct Random {
    denied: Vec<&'static str>,
    allowed: Option<Vec<&'static str>>,
    max_size: Option<u32>,
    max_instances: Option<u32>,
    max_weight_step: Option<u32>,
    protected: Option<&'static str>,
    required: bool,
}

impl Random {
    fn rules(&self) -> String {
        let mut rules = format!("denied_actions = {:?}\n", self.denied);
        let mut add = |key: &str, value: Option<String>| rules.extend(value.map(|value| format!("{key} = {value}\n")));
        add("allowed_actions", self.allowed.as_ref().map(|list| format!("{list:?}")));
        add("max_size", self.max_size.map(|size| size.to_string()));
        add("max_instances", self.max_instances.map(|size| size.to_string()));
        add("max_weight_step", self.max_weight_step.map(|step| step.to_string()));
        add("protected_names", self.protected.map(|name| format!("[{name:?}]")));
        add("required_tags", self.required.then(|| "{ team = \"*\" }".to_owned()));
        rules
    }

    /// Why `request` of `call` should never have been sent.
    fn forbids(&self, call: &str, request: &Value) -> Option<&'static str> {
        let begins = |list: &[&str]| list.iter().any(|pattern| call.starts_with(pattern.trim_end_matches('*')));
        let size = |name: &str| request[name].as_str().and_then(|size| size.parse::<u32>().ok());
        let names = ["AutoScalingGroupName", "RoleName"].map(|name| request[name].as_str().unwrap_or_default());
        let creates = call.split_once(':').is_some_and(|(_, name)| name.starts_with("Create"));
        if begins(&self.denied) {
            return Some("denied_actions");
        }
        if self.allowed.as_ref().is_some_and(|list| !begins(list)) {
            return Some("allowed_actions");
        }
        if self.max_size.is_some_and(|limit| size("MaxSize") > Some(limit)) {
            return Some("max_size");
        }
        if self.protected.is_some_and(|name| names.contains(&name)) && !creates {
            return Some("protected_names");
        }
        // Nothing of the runbook has a tag `team`.
        if self.required && ["ec2:CreateLaunchTemplate", "autoscaling:CreateAutoScalingGroup"].contains(&call) {
            return Some("required_tags");
        }
        None
    }

    fn forbids_after(&self, ran: &Ran) -> Option<&'static str> {
        let (mut fleets, mut green) = (BTreeMap::from([("shop-prod-web-blue".to_owned(), 3)]), 0);
        for event in ran.forward() {
            match event {
                Event::Sending { call, request, .. } => {
                    if let Some(rule) = self.forbids(call, request) {
                        return Some(rule);
                    }
                    let name = request["AutoScalingGroupName"].as_str().unwrap_or_default().to_owned();
                    if let Some(size) = request["DesiredCapacity"].as_str().and_then(|size| size.parse::<u32>().ok()) {
                        fleets.insert(name, size);
                        if self.max_instances.is_some_and(|limit| size > 0 && fleets.values().sum::<u32>() > limit) {
                            return Some("max_instances");
                        }
                    }
                }
                Event::Call { call, .. } if self.denied.contains(&call.as_str()) => return Some("denied_actions"),
                Event::Weights { weights, .. } => {
                    let of_green = weights.iter().find(|one| one.target_group.ends_with("green"));
                    let now = of_green.map_or(0, |one| one.weight);
                    if self.max_weight_step.is_some_and(|limit| now.abs_diff(green) > limit) {
                        return Some("max_weight_step");
                    }
                    green = now;
                }
                _ => {}
            }
        }
        None
    }
}

fn random() -> impl Strategy<Value = Random> {
    let actions = [
        "autoscaling:Create*",
        "autoscaling:Delete*",
        "autoscaling:PutScalingPolicy",
        "autoscaling:Update*",
        "ec2:CreateLaunchTemplate",
        "ec2:DescribeImages",
        "elasticloadbalancing:Modify*",
        "route53:*",
    ];
    let some = |limit| proptest::option::weighted(0.3, limit);
    let denied = proptest::sample::subsequence(actions.to_vec(), 0..2);
    let allowed = proptest::option::weighted(0.2, Just(vec!["autoscaling:*", "ec2:*", "elasticloadbalancing:*"]));
    let protected =
        proptest::option::weighted(0.2, proptest::sample::select(vec!["shop-prod-web-blue", "shop-prod-web-green"]));
    let numbers = (some(7..11_u32), some(3..8_u32), some(20..60_u32));
    (denied, allowed, numbers, protected, proptest::bool::weighted(0.1)).prop_map(
        |(denied, allowed, (max_size, max_instances, max_weight_step), protected, required)| Random {
            denied,
            allowed,
            max_size,
            max_instances,
            max_weight_step,
            protected,
            required,
        },
    )
}

/// Records have no tags: they are part of their zone.
#[test]
fn the_records_of_a_protected_zone_are_protected() {
    let account = Account::new();
    let mut theirs = account.run();
    theirs.run.set_stack("dns-prod".into());
    theirs.ok("ensure_hosted_zone", json!({ "name": "example.com", "tags": { "protected": "true" } }));
    let script = r#"
        environment("prod");
        stack("shop");
        ensure_record(#{
            hosted_zone_id: find_hosted_zone("example.com"), name: "shop.example.com", type: "A", values: ["192.0.2.1"],
        });
    "#;
    let refused = account.script_under("protected_tags = { protected = \"true\" }", script, json!({}));
    let failure = refused.failure.expect("it is refused");
    assert!(failure.contains("(dns-prod-example.com), which is tagged protected = true"), "{failure}");
    assert_eq!(account.script_under("protected_tags = { protected = \"no\" }", script, json!({})).failure, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 0, ..ProptestConfig::default() })]

    /// Whatever the policy: what it forbids is never sent, and a deploy that it refuses leaves production as it was.
    #[test]
    fn nothing_that_is_refused_is_sent(policy in random()) {
        let account = Account::new();
        let deploy = |rules: &str, image: &str| account.runbook_under(rules, "prod-deploy.rhai", json!({ "image": image }));
        prop_assert_eq!(deploy("", "ami-healthy-1").failure, None);
        let before = account.observe();
        let ran = deploy(&policy.rules(), "ami-healthy-2");
        prop_assert_eq!(policy.forbids_after(&ran), None, "{:?}", ran.failure);
        if let (Some(failure), Some(rollback)) = (&ran.failure, &ran.rollback) {
            prop_assert!(failure.contains("refused by policy"), "{}", failure);
            let committed = ran.events.iter().any(|stamped| matches!(stamped.event, Event::Committed { .. }));
            if !committed {
                prop_assert!(rollback.is_clean(), "{:?}", rollback);
                prop_assert_eq!(account.observe(), before);
            }
        }
    }
}
