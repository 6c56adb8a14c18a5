//! `ensure_listener`, `ensure_listener_rule`, `find_listener`.

use runner::ops::Error;
use serde_json::{Value, json};

use super::{balancer, forward, group, listener, network};
use crate::{
    account::{Account, Trial},
    contract::contract,
};

fn redirect() -> Value {
    json!({ "redirect": { "protocol": "HTTPS", "port": 443 } })
}

fn weights(run: &mut Trial<'_>, route: &Value) -> Vec<Value> {
    let shown = run.ok("traffic", json!({ "route": route }));
    shown["weights"].as_array().expect("weights").iter().map(|one| one["weight"].clone()).collect()
}

#[test]
fn ensure_listener() {
    let contract = contract("ensure_listener", |run| {
        let network = network(run);
        let (balancer, blue) = (balancer(run, &network), group(run, &network, "blue"));
        let options = json!({
            "load_balancer": balancer, "port": 80, "protocol": "HTTP", "default_action": forward(&[(&blue, 100)]),
        });
        let mut changed = options.clone();
        changed["default_action"] = redirect();
        changed["tags"] = json!({ "team": "web" });
        (options, changed)
    });
    assert_eq!(contract.created, ["elasticloadbalancing:CreateListener"]);
    assert_eq!(contract.created_depth, 2);
    assert_eq!(contract.updated, ["elasticloadbalancing:ModifyListener", "elasticloadbalancing:AddTags"]);
    assert_eq!(contract.unchanged_depth, 2, "found; tags");
}

#[test]
fn ensure_listener_rule() {
    let contract = contract("ensure_listener_rule", |run| {
        let network = network(run);
        let (balancer, blue) = (balancer(run, &network), group(run, &network, "blue"));
        let listener = listener(run, &balancer, &redirect());
        let options = json!({
            "name": "api", "listener": listener, "conditions": [{ "path_pattern": ["/api/*"] }],
            "action": forward(&[(&blue, 1)]),
        });
        let mut changed = options.clone();
        changed["conditions"] = json!([
            { "path_pattern": ["/api/*", "/v2/*"] },
            { "http_header": { "name": "X-Canary", "values": ["1"] } },
        ]);
        changed["priority"] = json!(7);
        (options, changed)
    });
    assert_eq!(contract.created, ["elasticloadbalancing:CreateRule"]);
    let updated = ["elasticloadbalancing:ModifyRule", "elasticloadbalancing:SetRulePriorities"];
    assert_eq!(contract.updated, updated);
}

#[test]
fn a_rule_takes_the_first_free_priority() {
    let account = Account::new();
    let mut run = account.run();
    let network = network(&mut run);
    let (balancer, blue) = (balancer(&mut run, &network), group(&mut run, &network, "blue"));
    let listener = listener(&mut run, &balancer, &redirect());
    let mut rule = |name: &str, priority: Option<u32>| {
        let mut options = json!({
            "name": name, "listener": listener, "conditions": [{ "host_header": [format!("{name}.example.com")] }],
            "action": forward(&[(&blue, 1)]),
        });
        if let Some(priority) = priority {
            options["priority"] = json!(priority);
        }
        run.op("ensure_listener_rule", options)
    };
    assert_eq!(rule("a", None).expect("made")["priority"], 1);
    assert_eq!(rule("b", Some(2)).expect("made")["priority"], 2);
    assert_eq!(rule("c", None).expect("made")["priority"], 3);
    assert_eq!(rule("a", None).expect("there")["change"], "unchanged");
    run.run.set_stack("other".into());
    let options = json!({
        "name": "mine", "listener": listener, "conditions": [{ "host_header": ["x.example.com"] }], "priority": 2,
        "action": redirect(),
    });
    let error = run.op("ensure_listener_rule", options).expect_err("refused");
    assert!(matches!(error, Error::NotOwned { .. }), "{error}");
}

#[test]
fn live_weights_are_kept_unless_they_are_to_be_set() {
    let account = Account::new();
    let mut run = account.run();
    let network = network(&mut run);
    let (balancer, blue) = (balancer(&mut run, &network), group(&mut run, &network, "blue"));
    let green = group(&mut run, &network, "green");
    let live = listener(&mut run, &balancer, &forward(&[(&blue, 0), (&green, 100)]));
    let mut again = |action: Value, weights: Option<&str>| {
        let mut options =
            json!({ "load_balancer": balancer, "port": 80, "protocol": "HTTP", "default_action": action });
        if let Some(weights) = weights {
            options["weights"] = json!(weights);
        }
        run.ok("ensure_listener", options)["change"].clone()
    };
    let first = forward(&[(&blue, 100)]);
    let sorry = json!({ "fixed_response": { "status_code": 503 } });
    assert_eq!(again(first.clone(), None), "unchanged", "a re-run does not undo a shift");
    assert_eq!(again(sorry.clone(), Some("keep")), "unchanged");
    assert_eq!(again(sorry, None), "updated", "what does not forward is made as given");
    assert_eq!(again(forward(&[(&blue, 0), (&green, 100)]), None), "updated");
    assert_eq!(again(first, Some("set")), "updated");
    assert_eq!(weights(&mut run, &live), [json!(100)]);
}

#[test]
fn a_listener_is_found_by_its_port() {
    let account = Account::new();
    let mut run = account.run();
    let network = network(&mut run);
    let balancer = balancer(&mut run, &network);
    let made = listener(&mut run, &balancer, &redirect());
    // Lists show it after a moment.
    account.observe();
    let mut run = account.run();
    let found = run.ok("find_listener", json!({ "load_balancer": balancer, "port": 80 }));
    assert_eq!(found["listener_arn"], made["listener_arn"]);
    let error = run.op("find_listener", json!({ "load_balancer": balancer, "port": 443 })).expect_err("none");
    assert_eq!(error.hint().as_deref(), Some("it listens on 80"));
}

#[test]
fn https_needs_a_certificate() {
    let account = Account::new();
    let mut options = json!({
        "load_balancer": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/web/1",
        "port": 443, "protocol": "HTTPS", "default_action": redirect(),
    });
    let error = account.run().op("ensure_listener", options.clone()).expect_err("refused");
    assert!(matches!(&error, Error::Option { path, .. } if path == "certificates"), "{error}");
    options["protocol"] = json!("HTTP");
    options["certificates"] = json!(["arn:aws:acm:eu-central-1:123456789012:certificate/1"]);
    let error = account.run().op("ensure_listener", options).expect_err("refused");
    assert!(matches!(&error, Error::Option { path, .. } if path == "protocol"), "{error}");
}
