//! `ensure_scaling_policy` and `ensure_scheduled_action`.

use runner::ops::Error;
use serde_json::{Value, json};

use super::support::{call, needs};
use crate::{
    account::{Account, Trial},
    contract::{assert_same, contract},
};

/// A group without instances.
fn empty(run: &mut Trial<'_>) -> Value {
    let mut options = needs(run);
    options["min_size"] = json!(0);
    options["desired_capacity"] = json!(0);
    run.ok("launch_asg", options)
}

fn steps(adjustments: &[i32]) -> Value {
    let last = adjustments.len() - 1;
    let step = |(at, change): (usize, &i32)| {
        let mut step = json!({ "metric_interval_lower_bound": at * 10, "scaling_adjustment": change });
        if at < last {
            step["metric_interval_upper_bound"] = json!((at + 1) * 10);
        }
        step
    };
    adjustments.iter().enumerate().map(step).collect()
}

#[test]
fn ensure_scaling_policy() {
    let contract = contract("ensure_scaling_policy", |run| {
        let group = empty(run);
        let options = |steps: Value| json!({ "name": "grow", "auto_scaling_group": group, "step_adjustments": steps });
        let mut changed = options(steps(&[2, 4]));
        changed["adjustment_type"] = json!("PercentChangeInCapacity");
        changed["min_adjustment_magnitude"] = json!(1);
        changed["estimated_instance_warmup"] = json!("2m");
        (options(steps(&[1, 3])), changed)
    });
    assert_eq!(contract.created, ["autoscaling:PutScalingPolicy"]);
    assert_eq!(contract.updated, ["autoscaling:PutScalingPolicy"]);
    assert_eq!(contract.unchanged_depth, 1);
}

#[test]
fn a_simple_policy_and_what_does_not_fit() {
    let account = Account::new();
    let mut run = account.run();
    let group = empty(&mut run);
    let before = account.observe();
    let simple = json!({ "name": "shrink", "auto_scaling_group": group, "scaling_adjustment": -1, "cooldown": "5m" });
    let mut run = account.run();
    let made = run.ok("ensure_scaling_policy", simple.clone());
    assert!(made["policy_arn"].as_str().unwrap().contains(":scalingPolicy:"), "{made}");
    assert_eq!(made["policy_name"], "shop-prod-blue-shrink");
    let mut again = account.run();
    assert_eq!(again.ok("ensure_scaling_policy", simple.clone())["change"], "unchanged", "{:?}", again.fields());
    let stepped = json!({ "name": "shrink", "auto_scaling_group": group, "step_adjustments": steps(&[1]) });
    assert!(matches!(account.run().op("ensure_scaling_policy", stepped), Err(Error::NeedsReplacement { .. })));
    for (more, path) in [
        (json!({ "step_adjustments": steps(&[1]) }), ""),
        (json!({ "estimated_instance_warmup": "1m" }), "estimated_instance_warmup"),
        (json!({ "metric_aggregation_type": "Maximum" }), "metric_aggregation_type"),
        (json!({ "min_adjustment_magnitude": 2 }), "min_adjustment_magnitude"),
    ] {
        let mut options = simple.clone();
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let refused = account.run().op("ensure_scaling_policy", options);
        assert!(matches!(&refused, Err(Error::Option { path: at, .. }) if at == path), "{path}: {refused:?}");
    }
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "undone");
}

/// `launch_asg` puts policies that track a target, and leaves the others alone.
#[test]
fn a_policy_tracks_requests_by_target_beside_one_with_steps() {
    let account = Account::new();
    let mut run = account.run();
    let mut options = needs(&mut run);
    let label = "app/web/0123456789abcdef/targetgroup/blue/fedcba9876543210";
    options["target_tracking"] = json!([
        { "predefined_metric_type": "ALBRequestCountPerTarget", "resource_label": label, "target_value": 100 },
        { "predefined_metric_type": "ASGAverageCPUUtilization", "target_value": 60 },
    ]);
    let group = run.ok("launch_asg", options.clone());
    run.ok(
        "ensure_scaling_policy",
        json!({
            "name": "grow", "auto_scaling_group": group, "step_adjustments": steps(&[1]),
        }),
    );
    assert_eq!(account.run().ok("launch_asg", options.clone())["change"], "unchanged");
    let shown = call(&account, "autoscaling", "DescribePolicies", &[("PolicyTypes.member.1", "TargetTrackingScaling")]);
    assert!(shown.contains(&format!("<ResourceLabel>{label}</ResourceLabel>")), "{shown}");
    let mut wrong = options;
    wrong["target_tracking"][0].as_object_mut().unwrap().remove("resource_label");
    let Err(Error::Option { path, .. }) = account.run().op("launch_asg", wrong) else { panic!("refused") };
    assert_eq!(path, "target_tracking[0].resource_label");
}

#[test]
fn ensure_scheduled_action() {
    let contract = contract("ensure_scheduled_action", |run| {
        let group = empty(run);
        let options = json!({
            "name": "morning", "auto_scaling_group": group, "recurrence": "0 7 * * MON-FRI", "min_size": 2, "max_size": 3,
        });
        let mut changed = options.clone();
        changed["time_zone"] = json!("Europe/Berlin");
        changed["desired_capacity"] = json!(3);
        changed.as_object_mut().unwrap().remove("max_size");
        (options, changed)
    });
    assert_eq!(contract.created, ["autoscaling:PutScheduledUpdateGroupAction"]);
    // What is not wanted any more would stay.
    assert_eq!(contract.updated, ["autoscaling:DeleteScheduledAction", "autoscaling:PutScheduledUpdateGroupAction"]);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (2, 1));
}

#[test]
fn a_scheduled_action_is_carried_out() {
    let account = Account::prompt();
    let mut run = account.run();
    let group = empty(&mut run);
    // The world begins on a Thursday at midnight.
    run.ok(
        "ensure_scheduled_action",
        json!({
            "name": "morning", "auto_scaling_group": group, "recurrence": "0 6 * * *", "time_zone": "Europe/Berlin",
            "min_size": 1, "desired_capacity": 2,
        }),
    );
    run.ok(
        "ensure_scheduled_action",
        json!({
            "name": "evening", "auto_scaling_group": group, "start_time": "2026-01-01T20:00:00Z", "min_size": 0,
            "desired_capacity": 0,
        }),
    );
    let size = |hours: u64| {
        let simulator = account.simulator();
        simulator.advance(simulator.clock() + std::time::Duration::from_secs(hours * 3600));
        let group = account.run().ok("find_asg", json!({ "name": "blue" }));
        (group["min_size"].clone(), group["desired_capacity"].clone())
    };
    assert_eq!(size(4), (json!(0), json!(0)));
    assert_eq!(size(2), (json!(1), json!(2)));
    assert_eq!(size(15), (json!(0), json!(0)));
    let left = call(&account, "autoscaling", "DescribeScheduledActions", &[]);
    assert!(left.contains("shop-prod-blue-morning") && !left.contains("shop-prod-blue-evening"), "{left}");
    assert!(left.contains("<StartTime>2026-01-02T05:00:00.000Z</StartTime>"), "{left}");
}

#[test]
fn a_scheduled_action_is_refused_before_anything_is_asked() {
    let account = Account::new();
    let mut run = account.run();
    let good = json!({ "name": "a", "auto_scaling_group": "web", "recurrence": "0 7 * * *", "min_size": 1 });
    for (more, path) in [
        (json!({ "min_size": null }), ""),
        (json!({ "recurrence": null }), ""),
        (json!({ "recurrence": "daily" }), "recurrence"),
        (json!({ "time_zone": "Berlin" }), "time_zone"),
        (json!({ "start_time": "tomorrow" }), "start_time"),
        (json!({ "min_size": -1 }), "min_size"),
        (json!({ "min_size": 3, "max_size": 2 }), ""),
        (json!({ "start_time": "2027-01-01T06:00:00Z", "end_time": "2027-01-01T05:00:00Z" }), "end_time"),
    ] {
        let mut options = good.clone();
        options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let refused = run.op("ensure_scheduled_action", options);
        assert!(matches!(&refused, Err(Error::Option { path: at, .. }) if at == path), "{more}: {refused:?}");
    }
    assert_eq!(run.calls(), [""; 0]);
}
