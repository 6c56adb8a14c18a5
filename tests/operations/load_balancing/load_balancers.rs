//! `ensure_load_balancer` and `find_load_balancer`.

use runner::ops::Error;
use serde_json::json;

use super::{balancer, network};
use crate::{account::Account, contract::contract};

#[test]
fn ensure_load_balancer() {
    let contract = contract("ensure_load_balancer", |run| {
        let network = network(run);
        let options = json!({
            "name": "web", "subnets": network.subnets, "idle_timeout": "30s", "deletion_protection": false,
        });
        let mut changed = options.clone();
        changed["idle_timeout"] = json!("45s");
        changed["attributes"] = json!({ "routing.http.drop_invalid_header_fields.enabled": "true" });
        changed["tags"] = json!({ "team": "web" });
        (options, changed)
    });
    let created = ["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:ModifyLoadBalancerAttributes"];
    assert_eq!(contract.created, created);
    let updated = ["elasticloadbalancing:ModifyLoadBalancerAttributes", "elasticloadbalancing:AddTags"];
    assert_eq!(contract.updated, updated);
    assert_eq!(contract.unchanged_depth, 2, "found, and active; tags with attributes");
}

#[test]
fn a_load_balancer_is_waited_for() {
    let account = Account::new();
    let mut run = account.run();
    let network = network(&mut run);
    let started = run.run.clock().now();
    let made = balancer(&mut run, &network);
    assert!(run.run.clock().now().duration_since(started).as_secs() >= 120);
    assert_eq!(made["scheme"], "internet-facing");
    assert_eq!(made["canonical_hosted_zone_id"], "Z215JYRZR1TBD5");
    assert!(made["dns_name"].as_str().expect("text").ends_with(".eu-central-1.elb.amazonaws.com"));
    let found = run.ok("find_load_balancer", json!({ "load_balancer": "shop-prod-web" }));
    assert_eq!(found["load_balancer_arn"], made["load_balancer_arn"]);
    let found = run.ok("find_load_balancer", json!({ "tags": { "Name": "shop-prod-web" } }));
    assert_eq!(found["load_balancer_arn"], made["load_balancer_arn"]);
    let error = run.op("find_load_balancer", json!({ "load_balancer": "nobody" })).expect_err("none");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn a_load_balancer_that_was_protected_by_the_run_that_made_it_is_deleted_by_its_rollback() {
    let account = Account::new();
    let mut needs = account.run();
    let network = network(&mut needs);
    let before = account.observe();
    let mut run = account.run();
    run.ok("ensure_load_balancer", json!({ "name": "web", "subnets": network.subnets, "deletion_protection": true }));
    assert!(run.roll_back().is_clean());
    assert_eq!(account.observe(), before);
}

#[test]
fn long_names_are_cut_and_type_and_scheme_are_fixed() {
    let account = Account::new();
    let mut run = account.run();
    let network = network(&mut run);
    let name = "a-service-with-a-rather-long-name";
    let options = json!({ "name": name, "subnets": network.subnets });
    let made = run.ok("ensure_load_balancer", options.clone());
    assert_eq!(made["load_balancer_name"].as_str().map(str::len), Some(32));
    assert_eq!(run.ok("ensure_load_balancer", options.clone())["change"], "unchanged");
    let mut other = options;
    other["scheme"] = json!("internal");
    let error = run.op("ensure_load_balancer", other).expect_err("refused");
    assert!(matches!(error, Error::NeedsReplacement { field: "scheme", .. }), "{error}");
}

#[test]
fn a_load_balancer_of_somebody_else_is_refused_and_adopted_when_told() {
    let account = Account::new();
    let mut run = account.run();
    let network = network(&mut run);
    run.run.set_stack("shop-prod-x".into());
    run.ok("ensure_load_balancer", json!({ "name": "y", "subnets": network.subnets }));
    run.run.set_stack("shop-prod".into());
    let mut options = json!({ "name": "x-y", "subnets": network.subnets });
    let error = run.op("ensure_load_balancer", options.clone()).expect_err("refused");
    assert!(matches!(error, Error::NotOwned { .. }), "{error}");
    options["adopt"] = json!(true);
    assert_eq!(run.ok("ensure_load_balancer", options)["change"], "updated");
}

#[test]
fn an_attribute_is_said_once() {
    let account = Account::new();
    let error = account
        .run()
        .op(
            "ensure_load_balancer",
            json!({
                "name": "web", "subnets": ["subnet-1"], "idle_timeout": "30s",
                "attributes": { "idle_timeout.timeout_seconds": "60" },
            }),
        )
        .expect_err("refused");
    let Error::Option { path, .. } = error else { panic!("{error}") };
    assert_eq!(path, "attributes.idle_timeout.timeout_seconds");
}
