//! Fleets behind a load balancer: what is refused while they get traffic, and how they come back.

use runner::ops::Error;
use serde_json::{Value, json};

use super::support::group as group_now;
use crate::{
    account::{Account, Trial},
    load_balancing::{Network, balancer, forward, group, listener, network},
};

/// A fleet of two that gets all traffic, and the options it was launched with.
fn live(run: &mut Trial<'_>) -> (Network, Value, Value) {
    let network = network(run);
    let balancer = balancer(run, &network);
    let target_group = group(run, &network, "blue");
    listener(run, &balancer, &forward(&[(&target_group, 1)]));
    let options = json!({
        "name": "blue", "launch_template": template(run, "ami-healthy-1"), "subnets": network.subnets,
        "min_size": 1, "max_size": 4, "desired_capacity": 2, "target_groups": [target_group],
    });
    let blue = run.ok("launch_asg", options.clone());
    let serving = json!({ "auto_scaling_group": blue, "desired_capacity": 2, "wait_timeout": "10m" });
    run.ok("scale_asg", serving);
    (network, blue, options)
}

fn template(run: &mut Trial<'_>, image: &str) -> Value {
    run.ok("ensure_launch_template", json!({ "name": "web", "image_id": image, "instance_type": "t3.small" }))
}

#[test]
fn a_fleet_with_traffic_is_not_retired() {
    let account = Account::new();
    let mut run = account.run();
    let (network, blue, _) = live(&mut run);
    let error = run.op("retire_asg", json!({ "auto_scaling_group": blue })).expect_err("refused");
    let Error::Unsafe(why) = &error else { panic!("{error}") };
    assert_eq!(why, "shop-prod-blue still gets traffic: shop-prod-blue on port 80, rule default");
    assert_eq!(group_now(&mut run, &blue)["in_service"], 2);

    let green = group(&mut run, &network, "green");
    let balancer = balancer(&mut run, &network);
    let blue_targets = json!({ "target_group_arn": blue["target_group_arns"][0] });
    let action = forward(&[(&blue_targets, 0), (&green, 1)]);
    run.ok(
        "ensure_listener",
        json!({
            "load_balancer": balancer, "port": 80, "protocol": "HTTP", "default_action": action, "weights": "set",
        }),
    );
    assert_eq!(run.ok("retire_asg", json!({ "auto_scaling_group": blue }))["in_service"], 0);
}

#[test]
fn a_target_group_with_traffic_is_not_detached() {
    let account = Account::new();
    let mut run = account.run();
    let (network, blue, mut options) = live(&mut run);
    let other = group(&mut run, &network, "other");
    options["target_groups"] = json!([options["target_groups"][0], other]);
    let before = account.observe();
    let mut second = account.run();
    assert_eq!(second.ok("launch_asg", options.clone())["target_group_arns"].as_array().unwrap().len(), 2);
    assert_eq!(second.mutations(), ["autoscaling:AttachLoadBalancerTargetGroups"]);
    account.observe();
    assert!(second.roll_back().is_clean());
    assert_eq!(account.observe(), before);
    options["target_groups"] = json!([other]);
    let error = run.op("launch_asg", options).expect_err("refused");
    assert!(matches!(&error, Error::Unsafe(why) if why.contains("rule default")), "{error}");
    assert_eq!(group_now(&mut run, &blue)["target_group_arns"].as_array().unwrap().len(), 1);
}

#[test]
fn scaling_down_and_back_is_back_when_targets_are_healthy() {
    let account = Account::new();
    let mut run = account.run();
    let (_, blue, _) = live(&mut run);
    let mut deploy = account.run();
    let nothing = json!({ "auto_scaling_group": blue, "min_size": 0, "desired_capacity": 0 });
    let refused = deploy.op("scale_asg", nothing).expect_err("it gets traffic");
    assert!(refused.to_string().contains("still gets traffic"), "{refused}");
    deploy.ok("scale_asg", json!({ "auto_scaling_group": blue, "desired_capacity": 1 }));
    account.observe();
    let report = deploy.roll_back();
    assert!(report.is_clean(), "{report:?}");
    let targets = json!([{ "target_group_arn": blue["target_group_arns"][0] }]);
    run.ok("wait_healthy", json!({ "target_groups": targets, "auto_scaling_group": blue, "timeout": "40s" }));
}

#[test]
fn an_image_that_never_answers_is_replaced_for_ever_and_does_not_serve() {
    let account = Account::new();
    let mut run = account.run();
    let (_, _, mut options) = live(&mut run);
    options["launch_template"] = template(&mut run, "ami-never-healthy");
    options["health_check_grace_period"] = json!("1m");
    let blue = run.ok("launch_asg", options);
    let more = json!({ "auto_scaling_group": blue, "desired_capacity": 4, "wait_timeout": "10m" });
    let error = run.op("scale_asg", more).expect_err("never");
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert!(error.to_string().contains("last seen: 2 healthy"), "{error}");
}
