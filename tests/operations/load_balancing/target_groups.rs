//! `ensure_target_group` and `find_target_group`.

use runner::ops::Error;
use serde_json::json;

use super::{group, network};
use crate::{account::Account, contract::contract};

#[test]
fn ensure_target_group() {
    let contract = contract("ensure_target_group", |run| {
        let network = network(run);
        let options = json!({
            "name": "blue", "vpc_id": network.vpc, "port": 8080, "deregistration_delay": "60s",
            "health_check": { "path": "/healthz", "interval": "10s", "timeout": "5s", "healthy_threshold": 2 },
        });
        let mut changed = options.clone();
        changed["health_check"]["path"] = json!("/ready");
        changed["deregistration_delay"] = json!("30s");
        changed["stickiness"] = json!({ "type": "lb_cookie", "duration": "1h" });
        changed["tags"] = json!({ "team": "web" });
        (options, changed)
    });
    let created = ["elasticloadbalancing:CreateTargetGroup", "elasticloadbalancing:ModifyTargetGroupAttributes"];
    assert_eq!(contract.created, created);
    let updated = [
        "elasticloadbalancing:ModifyTargetGroup",
        "elasticloadbalancing:ModifyTargetGroupAttributes",
        "elasticloadbalancing:AddTags",
    ];
    assert_eq!(contract.updated, updated);
    assert_eq!(contract.unchanged_depth, 2, "found; tags with attributes");
}

#[test]
fn the_port_of_a_target_group_cannot_be_changed() {
    let account = Account::new();
    let mut run = account.run();
    let network = network(&mut run);
    let made = group(&mut run, &network, "blue");
    let found = run.ok("find_target_group", json!({ "target_group": "shop-prod-blue" }));
    assert_eq!(found["target_group_arn"], made["target_group_arn"]);
    let error = run
        .op("ensure_target_group", json!({ "name": "blue", "vpc_id": network.vpc, "port": 9090 }))
        .expect_err("refused");
    assert!(matches!(error, Error::NeedsReplacement { field: "port", .. }), "{error}");
}

#[test]
fn what_does_not_fit_together_is_said_before_anything_is_made() {
    let account = Account::new();
    let mut run = account.run();
    let mut refused = |options| match run.op("ensure_target_group", options).expect_err("refused") {
        Error::Option { path, .. } => path,
        other => panic!("{other}"),
    };
    let base = json!({ "name": "blue", "vpc_id": "vpc-1", "port": 8080 });
    let with = |key: &str, value| {
        let mut options = base.clone();
        options[key] = value;
        options
    };
    assert_eq!(refused(with("health_check", json!({ "protocol": "TCP", "path": "/" }))), "health_check");
    let check = json!({ "interval": "10s", "timeout": "10s" });
    assert_eq!(refused(with("health_check", check)), "health_check.timeout");
    assert_eq!(refused(with("health_check", json!({ "port": "http" }))), "health_check.port");
    assert_eq!(refused(with("stickiness", json!({ "type": "app_cookie" }))), "stickiness.cookie_name");
    assert!(run.calls().iter().all(|call| call == "sts:GetCallerIdentity"), "{:?}", run.calls());
}
