//! `launch_asg`, `scale_asg`, `retire_asg` and `find_asg`.

use runner::ops::Error;
use serde_json::{Value, json};

use super::support::{fleet, group, needs};
use crate::{account::Account, contract::contract};

#[test]
fn launch_asg() {
    let contract = contract("launch_asg", |run| {
        let mut options = needs(run);
        options["target_tracking"] =
            json!([{ "predefined_metric_type": "ASGAverageCPUUtilization", "target_value": 50.0 }]);
        let mut changed = options.clone();
        changed["max_size"] = json!(5);
        changed["health_check_grace_period"] = json!("2m");
        changed["tags"] = json!({ "team": "web" });
        changed["target_tracking"][0]["target_value"] = json!(60.0);
        (options, changed)
    });
    assert_eq!(contract.created, ["autoscaling:CreateAutoScalingGroup", "autoscaling:PutScalingPolicy"]);
    let mut updated = contract.updated.clone();
    updated.sort();
    assert_eq!(
        updated,
        [
            "autoscaling:CreateOrUpdateTags",
            "autoscaling:PutScalingPolicy",
            "autoscaling:UpdateAutoScalingGroup",
            "autoscaling:UpdateAutoScalingGroup",
        ]
    );
    assert_eq!((contract.created_depth, contract.unchanged_depth), (4, 2));
}

#[test]
fn every_setting_is_found_again_changed_and_put_back() {
    let account = Account::new();
    let mut run = account.run();
    let plain = needs(&mut run);
    let mut full = plain.clone();
    let settings = json!({
        "health_check_type": "ELB", "default_instance_warmup": "90s", "default_cooldown": "60s",
        "termination_policies": ["OldestLaunchTemplate", "Default"], "max_instance_lifetime": "168h",
        "instance_maintenance_policy": { "min_healthy_percentage": 90, "max_healthy_percentage": 150 },
        "new_instances_protected_from_scale_in": true, "capacity_rebalance": true, "enable_metrics_collection": true,
        "mixed_instances_policy": { "instance_types": ["t3.small", "t3a.small"], "on_demand_base_capacity": 1,
                                    "on_demand_percentage_above_base_capacity": 50 },
        "target_tracking": [{ "policy_name": "queue", "target_value": 10.0, "disable_scale_in": true,
            "customized_metric": { "namespace": "Shop", "metric_name": "Backlog", "statistic": "Average",
                                   "dimensions": { "Queue": "orders" } } }],
    });
    full.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let mut first = account.run();
    first.ok("launch_asg", plain.clone());
    let before = account.observe();
    let mut second = account.run();
    assert_eq!(second.ok("launch_asg", full.clone())["change"], "updated");
    let mut again = account.run();
    assert_eq!(again.ok("launch_asg", full.clone())["change"], "unchanged", "{:?}", again.fields());
    let mut back = account.run();
    back.ok("launch_asg", plain);
    assert!(back.roll_back().is_clean());
    let mut again = account.run();
    assert_eq!(again.ok("launch_asg", full)["change"], "unchanged", "{:?}", again.fields());
    assert!(second.roll_back().is_clean());
    assert_eq!(account.observe(), before);
}

/// moto takes no hooks along with a group, so this is not part of the contract.
#[test]
fn hooks_hold_the_first_instance_already() {
    let account = Account::new();
    let mut run = account.run();
    let mut options = needs(&mut run);
    let before = account.observe();
    options["lifecycle_hooks"] = json!([{
        "lifecycle_hook_name": "warm-up", "lifecycle_transition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "heartbeat_timeout": "5m", "default_result": "CONTINUE",
    }]);
    let mut first = account.run();
    let blue = first.ok("launch_asg", options.clone());
    let start = first.run.clock().now();
    first.ok("scale_asg", json!({ "auto_scaling_group": blue, "desired_capacity": 2, "wait_timeout": "20m" }));
    assert!(first.run.clock().now().duration_since(start).as_secs() >= 300, "the hook was waited for");
    let launched = account.observe();
    options["lifecycle_hooks"][0]["heartbeat_timeout"] = json!("2m");
    options["lifecycle_hooks"].as_array_mut().unwrap().push(json!({
        "lifecycle_hook_name": "drain", "lifecycle_transition": "autoscaling:EC2_INSTANCE_TERMINATING",
    }));
    let mut second = account.run();
    assert_eq!(second.ok("launch_asg", options.clone())["change"], "updated");
    assert_eq!(second.mutations(), ["autoscaling:PutLifecycleHook"; 2]);
    assert_eq!(account.run().ok("launch_asg", options)["change"], "unchanged");
    assert!(second.roll_back().is_clean());
    assert_eq!(account.observe(), launched);
    assert!(first.roll_back().is_clean());
    assert_eq!(account.observe(), before);
}

#[test]
fn a_live_fleet_gives_its_size() {
    let account = Account::new();
    let mut run = account.run();
    let (blue, mut options) = fleet(&mut run, 3);
    run.ok("scale_asg", json!({ "auto_scaling_group": blue, "desired_capacity": 4 }));
    run.ok("scale_asg", json!({ "auto_scaling_group": blue, "pin": true }));
    options["name"] = json!("green");
    for size in ["min_size", "max_size", "desired_capacity"] {
        options.as_object_mut().unwrap().remove(size);
    }
    options["capacity_from"] = blue.clone();
    let green = run.ok("launch_asg", options.clone());
    assert_eq!([&green["min_size"], &green["max_size"], &green["desired_capacity"]], [1, 6, 4], "as before the pin");
    options["name"] = json!("red");
    options["max_size"] = json!(2);
    assert_eq!(run.ok("launch_asg", options)["desired_capacity"], 2, "as far as the maximum lets it");
}

#[test]
fn one_size_is_enough_to_say() {
    let account = Account::new();
    let mut run = account.run();
    let (blue, _) = fleet(&mut run, 3);
    let mut sizes = |size: &str, to: i32| {
        let scaled = run.ok("scale_asg", json!({ "auto_scaling_group": blue, size: to }));
        ["min_size", "max_size", "desired_capacity"].map(|size| scaled[size].clone())
    };
    assert_eq!(sizes("min_size", 2), [2, 6, 3]);
    assert_eq!(sizes("max_size", 4), [2, 4, 3]);
    assert_eq!(sizes("desired_capacity", 4), [2, 4, 4]);
}

#[test]
fn the_desired_capacity_is_raised_and_not_lowered() {
    let account = Account::new();
    let mut run = account.run();
    let (blue, mut options) = fleet(&mut run, 3);
    run.ok("scale_asg", json!({ "auto_scaling_group": blue, "desired_capacity": 5 }));
    let again = run.ok("launch_asg", options.clone());
    assert_eq!((&again["desired_capacity"], &again["change"]), (&json!(5), &json!("unchanged")));
    options["desired_capacity"] = json!(6);
    assert_eq!(run.ok("launch_asg", options)["desired_capacity"], 6);
}

#[test]
fn a_version_must_be_a_number() {
    let account = Account::new();
    let mut run = account.run();
    let mut options = needs(&mut run);
    options["launch_template"]["version"] = json!("$Latest");
    let Err(Error::Option { path, message }) = run.op("launch_asg", options.clone()) else { panic!("refused") };
    assert_eq!(path, "launch_template");
    assert_eq!(message, "expected the number of a version of the launch template, found the string \"$Latest\"");
    options["launch_template"] = json!("lt-1");
    let Err(Error::Option { message, .. }) = run.op("launch_asg", options) else { panic!("refused") };
    assert!(message.starts_with("expected a launch template, or its"), "{message}");
}

#[test]
fn a_group_that_is_being_deleted_is_waited_for() {
    let account = Account::new();
    let mut run = account.run();
    let (blue, options) = fleet(&mut run, 2);
    let name = blue["name"].as_str().unwrap();
    super::support::call(
        &account,
        "autoscaling",
        "DeleteAutoScalingGroup",
        &[("AutoScalingGroupName", name), ("ForceDelete", "true")],
    );
    let again = account.run().ok("launch_asg", options);
    assert_eq!(again["change"], "created");
    assert_ne!(again["auto_scaling_group_arn"], blue["auto_scaling_group_arn"]);
}

#[test]
fn a_pin_holds_and_is_taken_off() {
    let account = Account::new();
    let mut run = account.run();
    let (blue, _) = fleet(&mut run, 3);
    let before = account.observe();
    let mut deploy = account.run();
    let pinned = deploy.ok("scale_asg", json!({ "auto_scaling_group": blue, "pin": true }));
    assert_eq!([&pinned["min_size"], &pinned["desired_capacity"]], [3, 3]);
    assert_eq!(group(&mut deploy, &blue)["tags"]["runner:pinned"], "min=1 max=6 desired=3");
    assert_eq!(deploy.mutations(), ["autoscaling:CreateOrUpdateTags", "autoscaling:UpdateAutoScalingGroup"]);
    let again = deploy.ok("scale_asg", json!({ "auto_scaling_group": blue, "pin": true }));
    assert_eq!(again["change"], "unchanged");
    assert!(deploy.roll_back().is_clean());
    assert_eq!(account.observe(), before);

    let mut deploy = account.run();
    deploy.ok("scale_asg", json!({ "auto_scaling_group": blue, "pin": true }));
    let pinned = account.observe();
    let mut later = account.run();
    let free = later.ok("scale_asg", json!({ "auto_scaling_group": blue, "unpin": true }));
    assert_eq!([&free["min_size"], &free["desired_capacity"]], [1, 3]);
    assert_eq!(account.observe(), before);
    let again = later.ok("scale_asg", json!({ "auto_scaling_group": blue, "unpin": true }));
    assert_eq!(again["change"], "unchanged", "not pinned is fine");
    assert!(later.roll_back().is_clean());
    assert_eq!(account.observe(), pinned);
}

#[test]
fn what_was_scaled_in_comes_back_before_a_rollback_goes_on() {
    let account = Account::new();
    let mut run = account.run();
    let (blue, _) = fleet(&mut run, 3);
    account.observe();
    let mut deploy = account.run();
    deploy.ok("scale_asg", json!({ "auto_scaling_group": blue, "min_size": 0, "desired_capacity": 0 }));
    account.observe();
    assert_eq!(group(&mut deploy, &blue)["in_service"], 0);
    let report = deploy.roll_back();
    assert!(report.is_clean(), "{report:?}");
    let back = group(&mut run, &blue);
    assert_eq!([&back["min_size"], &back["desired_capacity"], &back["in_service"]], [1, 3, 3], "and serves at once");
}

#[test]
fn somebody_elses_sizes_are_left_alone() {
    let account = Account::new();
    let mut run = account.run();
    let (blue, _) = fleet(&mut run, 3);
    let mut deploy = account.run();
    deploy.ok("scale_asg", json!({ "auto_scaling_group": blue, "desired_capacity": 4, "max_size": 8 }));
    account.run().ok("scale_asg", json!({ "auto_scaling_group": blue, "desired_capacity": 7 }));
    assert!(deploy.roll_back().is_clean());
    let now = group(&mut run, &blue);
    assert_eq!([&now["max_size"], &now["desired_capacity"]], [6, 6], "the bound is back, the load's own size stays");
}

#[test]
fn a_fleet_retires_and_comes_back() {
    let account = Account::new();
    let mut run = account.run();
    let (blue, _) = fleet(&mut run, 2);
    account.observe();
    let mut deploy = account.run();
    let empty = deploy.ok("retire_asg", json!({ "auto_scaling_group": blue }));
    assert_eq!([&empty["min_size"], &empty["max_size"], &empty["desired_capacity"]], [0, 6, 0]);
    let now = group(&mut deploy, &blue);
    assert_eq!(now["instance_ids"], json!([]));
    assert_eq!(now["tags"]["runner:retired"], "min=1 max=6 desired=2");
    assert_eq!(deploy.ok("retire_asg", json!({ "auto_scaling_group": blue }))["change"], "unchanged");
    assert!(deploy.roll_back().is_clean());
    let back = group(&mut run, &blue);
    assert_eq!([&back["min_size"], &back["desired_capacity"], &back["in_service"]], [1, 2, 2]);
    assert_eq!(back["tags"]["runner:retired"], Value::Null);
}

#[test]
fn a_deleted_fleet_is_gone_with_its_instances() {
    let account = Account::new();
    let mut run = account.run();
    let options = needs(&mut run);
    let before = account.observe();
    let mut deploy = account.run();
    let blue = deploy.ok("launch_asg", options);
    let gone = deploy.ok("retire_asg", json!({ "auto_scaling_group": blue, "to": "delete" }));
    assert_eq!((&gone["exists"], &gone["change"]), (&json!(false), &json!("deleted")));
    assert_eq!(account.observe(), before);
    let again = deploy.ok("retire_asg", json!({ "auto_scaling_group": blue, "to": "delete" }));
    assert_eq!((&again["exists"], &again["change"]), (&json!(false), &json!("unchanged")));
}

/// One without instances may be about to launch some; one of size zero may still have some.
#[test]
fn a_group_is_retired_once_it_is_to_be_empty_and_is() {
    let account = Account::new();
    let mut run = account.run();
    let (blue, _) = fleet(&mut run, 2);
    account.observe();
    let retire = json!({ "auto_scaling_group": blue });
    run.ok("scale_asg", json!({ "auto_scaling_group": blue, "min_size": 0, "desired_capacity": 0 }));
    assert_ne!(group(&mut run, &blue)["instance_ids"], json!([]), "they are on their way out");
    assert_eq!(run.ok("retire_asg", retire.clone())["change"], "updated");
    assert_eq!(group(&mut run, &blue)["instance_ids"], json!([]));

    run.ok("scale_asg", json!({ "auto_scaling_group": blue, "desired_capacity": 2 }));
    assert_eq!(group(&mut run, &blue)["instance_ids"], json!([]), "nothing is launched yet");
    assert_eq!(run.ok("retire_asg", retire)["change"], "updated");
    let now = group(&mut run, &blue);
    assert_eq!([&now["desired_capacity"], &now["in_service"]], [0, 0]);
}

#[test]
fn groups_of_others_are_found_and_not_touched() {
    let account = Account::new();
    let mut run = account.run();
    let (blue, _) = fleet(&mut run, 1);
    assert_eq!(run.ok("find_asg", json!({ "name": "blue" }))["in_service"], 1);
    assert_eq!(run.ok("find_asg", json!({ "name": "green", "required": false }))["exists"], false);
    let error = run.op("find_asg", json!({ "name": "green" })).expect_err("absent");
    assert_eq!(error.to_string(), "Auto Scaling group shop-prod-green was not found");
    run.run.set_stack("other".into());
    let name = &blue["name"];
    assert_eq!(run.ok("find_asg", json!({ "auto_scaling_group_name": name }))["exists"], true);
    for (op, options) in [
        ("scale_asg", json!({ "auto_scaling_group": name, "pin": true })),
        ("retire_asg", json!({ "auto_scaling_group": name })),
    ] {
        let error = run.op(op, options).expect_err("refused");
        assert!(matches!(error, Error::NotOwned { .. }), "{error}");
    }
}

/// A group of this run's own is as little there after a rollback as before; one that was there cannot come back, and the
/// rollback says so.
#[test]
fn the_rollback_of_a_group_that_was_deleted() {
    let account = Account::new();
    let mut run = account.run();
    let (blue, _) = fleet(&mut run, 2);
    run.ok("scale_asg", json!({ "auto_scaling_group": blue, "desired_capacity": 3 }));
    run.ok("retire_asg", json!({ "auto_scaling_group": blue, "to": "delete" }));
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");

    fleet(&mut account.run(), 2);
    let mut run = account.run();
    run.ok("scale_asg", json!({ "auto_scaling_group": blue, "desired_capacity": 3 }));
    run.ok("retire_asg", json!({ "auto_scaling_group": blue, "to": "delete" }));
    let left = run.roll_back().left;
    assert!(left[0].1.contains("found no such group"), "{left:?}");

    fleet(&mut account.run(), 2);
    account.run().ok("retire_asg", json!({ "auto_scaling_group": blue }));
    let mut run = account.run();
    run.ok("retire_asg", json!({ "auto_scaling_group": blue, "to": "delete" }));
    assert_eq!(run.roll_back().left[0].0, "bring back group shop-prod-blue", "it was empty already");
}
