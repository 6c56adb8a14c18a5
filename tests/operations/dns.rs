//! Hosted zones and records.

use runner::{event::Event, ops::Error};
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    contract::{assert_same, contract},
    moto::moto,
};

fn zone(run: &mut Trial<'_>) -> Value {
    run.ok("ensure_hosted_zone", json!({ "name": "example.com" }))
}

fn record(zone: &Value, values: &[&str]) -> Value {
    json!({ "hosted_zone_id": zone["hosted_zone_id"], "name": "shop.example.com", "type": "A", "values": values })
}

#[test]
fn ensure_hosted_zone() {
    let contract = contract("ensure_hosted_zone", |_| {
        let options = json!({ "name": "example.com" });
        let changed = json!({ "name": "example.com", "comment": "the shop", "tags": { "team": "web" } });
        (options, changed)
    });
    assert_eq!(contract.created, ["route53:CreateHostedZone", "route53:ChangeTagsForResource"]);
    let mut updated = contract.updated;
    updated.sort();
    assert_eq!(updated, ["route53:ChangeTagsForResource", "route53:UpdateHostedZoneComment"]);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (3, 2));
}

#[test]
fn ensure_record() {
    let contract = contract("ensure_record", |needs| {
        let zone = zone(needs);
        let mut changed = record(&zone, &["192.0.2.2", "192.0.2.1"]);
        changed["ttl"] = json!("1m");
        (record(&zone, &["192.0.2.1"]), changed)
    });
    assert_eq!(contract.created, ["route53:ChangeResourceRecordSets"]);
    assert_eq!(contract.updated, ["route53:ChangeResourceRecordSets"]);
    // Looked for the record and whose it is at once, made it, and asked until the name servers had it.
    assert_eq!((contract.created_depth, contract.unchanged_depth), (9, 1));
}

#[test]
fn a_zone_knows_its_name_servers() {
    let account = Account::new();
    let mut run = account.run();
    let made = zone(&mut run);
    assert_eq!(made["name_servers"].as_array().map(Vec::len), Some(4));
    account.observe(); // Time passes: lists lag.
    let mut run = account.run();
    let found = run.ok("find_hosted_zone", json!({ "name": "Example.com." }));
    for field in ["hosted_zone_id", "name", "name_servers"] {
        assert_eq!(found[field], made[field], "{field}");
    }
    let error = run.op("find_hosted_zone", json!({ "name": "example.org" })).expect_err("not there");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn a_zone_of_somebody_else_is_refused_and_can_be_adopted() {
    let account = Account::new();
    let mut theirs = account.run();
    theirs.run.set_stack("domains".into());
    zone(&mut theirs);
    let before = account.observe();
    let mut run = account.run();
    let error = run.op("ensure_hosted_zone", json!({ "name": "example.com" })).expect_err("refused");
    assert!(matches!(&error, Error::NotOwned { owner: Some(owner), .. } if owner == "domains"), "{error}");
    run.ok("ensure_hosted_zone", json!({ "name": "example.com", "adopt": true }));
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "given back");
}

#[test]
fn an_alias_leads_to_a_load_balancer() {
    let account = Account::new();
    let mut run = account.run();
    let zone = zone(&mut run);
    let balancer = json!({
        "$handle": "load_balancer", "load_balancer_arn": "arn", "dns_name": "Shop-1.eu-central-1.elb.amazonaws.com",
        "canonical_hosted_zone_id": "Z215JYRZR1TBD5",
    });
    let mut options = record(&zone, &[]);
    options["alias"] = balancer;
    assert_eq!(run.ok("ensure_record", options.clone())["change"], "created");
    assert_eq!(run.ok("ensure_record", options.clone())["change"], "unchanged");
    options["alias"] =
        json!({ "dns_name": "shop-1.eu-central-1.elb.amazonaws.com", "hosted_zone_id": "Z215JYRZR1TBD5" });
    assert_eq!(run.ok("ensure_record", options)["change"], "unchanged");
    assert_eq!(run.ok("ensure_record", record(&zone, &["192.0.2.1"]))["change"], "updated");
}

#[test]
fn a_record_of_somebody_else_is_refused_and_can_be_adopted() {
    let account = Account::new();
    let mut theirs = account.run();
    theirs.run.set_stack("shop-staging".into());
    let zone = zone(&mut theirs);
    theirs.ok("ensure_record", record(&zone, &["192.0.2.1"]));
    let before = account.observe();
    let mut run = account.run();
    let error = run.op("ensure_record", record(&zone, &["192.0.2.2"])).expect_err("refused");
    assert!(matches!(&error, Error::NotOwned { owner: Some(owner), .. } if owner == "shop-staging"), "{error}");
    assert_eq!(run.mutations(), [""; 0]);
    let mut options = record(&zone, &["192.0.2.2"]);
    options["adopt"] = json!(true);
    assert_eq!(run.ok("ensure_record", options)["change"], "updated");
    assert_eq!(run.ok("ensure_record", record(&zone, &["192.0.2.2"]))["change"], "unchanged");
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "given back");
}

#[test]
fn several_changes_of_a_record_are_undone_to_the_first() {
    let account = Account::new();
    let zone = zone(&mut account.run());
    account.run().ok("ensure_record", record(&zone, &["192.0.2.1"]));
    let before = account.observe();
    let mut run = account.run();
    run.ok("ensure_record", record(&zone, &["192.0.2.2"]));
    run.ok("ensure_record", record(&zone, &["192.0.2.3"]));
    let report = run.roll_back();
    assert!(report.is_clean() && report.done == 1, "{report:?}");
    assert_same(&account.observe(), &before, "undone");
}

#[test]
fn a_record_somebody_else_changed_since_is_left_alone() {
    let account = Account::new();
    let mut run = account.run();
    let zone = zone(&mut run);
    run.ok("ensure_record", record(&zone, &["192.0.2.1"]));
    account.run().ok("ensure_record", record(&zone, &["192.0.2.9"]));
    let report = run.roll_back();
    // Neither the record nor the zone it is in.
    assert_eq!(report.left.len(), 2, "{report:?}");
    assert!(report.left[0].1.contains("192.0.2.9"), "{report:?}");
    assert_eq!(account.run().ok("ensure_record", record(&zone, &["192.0.2.9"]))["change"], "unchanged");
}

#[test]
fn wildcards_and_texts() {
    let account = Account::new();
    let mut run = account.run();
    let zone = zone(&mut run);
    let wildcard = json!({
        "hosted_zone_id": zone, "name": "*.example.com", "type": "CNAME", "values": ["shop.example.com"],
    });
    run.ok("ensure_record", wildcard.clone());
    let text = json!({ "hosted_zone_id": zone, "name": "example.com", "type": "TXT", "values": ["v=spf1 -all"] });
    run.ok("ensure_record", text.clone());
    let mut again = account.run();
    assert_eq!(again.ok("ensure_record", wildcard)["change"], "unchanged");
    assert_eq!(again.ok("ensure_record", text)["change"], "unchanged");
    let before = account.observe().to_string();
    assert!(before.contains("_runner-cname._wildcard.example.com."), "{before}");
}

#[test]
fn wrong_options_say_where() {
    let account = Account::new();
    let mut run = account.run();
    let mut place = |options: Value| match run.op("ensure_record", options).expect_err("refused") {
        Error::Option { path, .. } => path,
        other => panic!("{other}"),
    };
    let with = |field: &str, value: Value| {
        let mut options =
            json!({ "hosted_zone_id": "Z1", "name": "a.example.com", "type": "A", "values": ["192.0.2.1"] });
        options[field] = value;
        options
    };
    assert_eq!(place(with("values", json!([]))), "values");
    assert_eq!(place(with("values", json!(["192.0.2.1", "shop.example.com"]))), "values[1]");
    assert_eq!(place(with("type", json!("WKS"))), "type");
    assert_eq!(place(with("alias", json!({ "dns_name": "x" }))), "alias");
    assert_eq!(place(with("alias", json!({ "dns_name": "x", "hosted_zone_id": "Z2" }))), "alias");
}

fn one_of(zone: &Value, id: &str, value: &str, weight: Option<u8>) -> Value {
    let mut options = record(zone, &[value]);
    options["set_identifier"] = json!(id);
    options["ttl"] = json!("30s");
    if let Some(weight) = weight {
        options["weight"] = json!(weight);
    }
    options
}

#[test]
fn one_of_several_records() {
    contract("ensure_record", |needs| {
        let zone = zone(needs);
        needs.ok("ensure_record", one_of(&zone, "blue", "192.0.2.1", Some(100)));
        (one_of(&zone, "green", "192.0.2.2", None), one_of(&zone, "green", "192.0.2.3", None))
    });
}

/// In steps, once, and back in one.
fn shift_on(account: &Account, observe: impl Fn() -> Value) {
    let mut run = account.run();
    let zone = zone(&mut run);
    run.ok("ensure_record", one_of(&zone, "blue", "192.0.2.1", Some(100)));
    run.ok("ensure_record", one_of(&zone, "green", "192.0.2.2", None));
    let before = observe();
    let shift = |steps: Value| json!({ "hosted_zone_id": zone["hosted_zone_id"], "name": "shop.example.com", "to": "green", "steps": steps });
    let steps = json!([{ "weight": 10 }, { "weight": 50, "hold": "5m" }]);
    let mut run = account.run();
    assert_eq!(run.ok("shift_dns", shift(steps.clone()))["weights"], json!({ "blue": 50, "green": 50 }));
    assert_eq!(run.mutations(), ["route53:ChangeResourceRecordSets"; 2]);
    run.ok("shift_dns", shift(steps));
    assert_eq!(run.mutations().len(), 2, "it is there already");
    // What is behind it already is left out.
    run.ok("shift_dns", shift(json!([{ "weight": 10 }, { "weight": 100 }])));
    assert_eq!(run.mutations().len(), 3);
    // And away from it again, at once.
    let back = run.ok("shift_dns", shift(json!([{ "weight": 0 }])));
    assert_eq!(back["weights"], json!({ "blue": 100, "green": 0 }));
    assert_eq!(run.mutations().len(), 4);
    let report = run.roll_back();
    assert!(report.is_clean() && report.done == 1, "{report:?}");
    assert_same(&observe(), &before, "undone");
}

#[test]
fn shift_dns() {
    let account = Account::new();
    shift_on(&account, || account.observe());
    let name = moto().new_account();
    shift_on(&Account::moto(moto().url(), name.clone()), || moto().boto3(&name, "observe()"));
}

/// How long a run of undos took, and whether it waited for resolvers.
fn way_back(run: &mut Trial<'_>) -> (i64, bool) {
    let (began, known) = (run.run.clock().now(), run.events().len());
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    let waits = |event: &Event| matches!(event, Event::Waited { what, .. } if what.as_str() == "resolvers to follow");
    (run.run.clock().now().duration_since(began).as_secs(), run.events()[known..].iter().any(waits))
}

/// What is behind a record is undone right after it: nobody may be led there any more then.
#[test]
fn an_undo_of_weights_waits_for_resolvers() {
    let account = Account::new();
    let zone = zone(&mut account.run());
    account.run().ok("ensure_record", one_of(&zone, "blue", "192.0.2.1", Some(100)));
    account.run().ok("ensure_record", one_of(&zone, "green", "192.0.2.2", None));
    let mut run = account.run();
    let shift = json!({ "hosted_zone_id": zone["hosted_zone_id"], "name": "shop.example.com", "to": "green" });
    run.ok("shift_dns", shift);
    let told = run.events().into_iter().any(|event| {
        matches!(event, Event::Waiting { what, seen, .. } if what == "resolvers to follow" && seen == "share of green: 100 %")
    });
    assert!(told, "{:?}", run.events());
    let (seconds, waited) = way_back(&mut run);
    assert!(waited && seconds >= 30, "{seconds}");

    // One with users is gone only when they have heard of it; one without has nobody to tell.
    let mut run = account.run();
    run.ok("ensure_record", one_of(&zone, "red", "192.0.2.3", Some(50)));
    let (seconds, waited) = way_back(&mut run);
    assert!(waited && seconds >= 30, "{seconds}");
    for options in [one_of(&zone, "red", "192.0.2.3", None), one_of(&zone, "green", "192.0.2.9", None)] {
        let mut run = account.run();
        run.ok("ensure_record", options);
        assert!(!way_back(&mut run).1);
    }
}

/// A record that was made again does not take users back from where they were moved.
#[test]
fn weights_belong_to_who_moves_them() {
    let account = Account::new();
    let mut run = account.run();
    let zone = zone(&mut run);
    run.ok("ensure_record", one_of(&zone, "blue", "192.0.2.1", Some(100)));
    run.ok("ensure_record", one_of(&zone, "green", "192.0.2.2", None));
    let shift = json!({ "hosted_zone_id": zone["hosted_zone_id"], "name": "shop.example.com", "to": "green" });
    let moved = run.ok("shift_dns", shift.clone());
    assert_eq!(moved["weights"], json!({ "blue": 0, "green": 100 }));
    run.ok("ensure_record", one_of(&zone, "blue", "192.0.2.9", Some(100)));
    assert_eq!(run.ok("shift_dns", shift)["weights"], json!({ "blue": 0, "green": 100 }));

    for (options, words) in [
        (json!({ "to": "red" }), "record A shop.example.com (red) was not found"),
        (
            json!({ "to": "green", "steps": [{ "weight": 50 }, { "weight": 50 }] }),
            "expected a percentage from 51 to 100",
        ),
        (json!({ "to": "green", "type": "AAAA" }), "was not found"),
    ] {
        let mut all = json!({ "hosted_zone_id": zone["hosted_zone_id"], "name": "shop.example.com" });
        all.as_object_mut().expect("options").extend(options.as_object().expect("options").clone());
        let error = run.op("shift_dns", all).expect_err("wrong").to_string();
        assert!(error.contains(words), "{error}");
    }
    let error = run.op("ensure_record", record(&zone, &["192.0.2.1"])).expect_err("a simple one").to_string();
    assert!(error.contains("has a routing policy"), "{error}");
}

/// A third of the users is 34 of 100 here: that is what was wanted, and nothing to take back.
#[test]
fn weights_are_whole_numbers() {
    let account = Account::new();
    let mut run = account.run();
    let zone = zone(&mut run);
    for (name, address, weight) in [("blue", "192.0.2.1", 1), ("green", "192.0.2.2", 1), ("red", "192.0.2.3", 0)] {
        run.ok("ensure_record", one_of(&zone, name, address, Some(weight)));
    }
    let shift = json!({
        "hosted_zone_id": zone["hosted_zone_id"], "name": "shop.example.com", "to": "red", "steps": [{ "weight": 33 }],
    });
    assert_eq!(run.ok("shift_dns", shift.clone())["weights"], json!({ "blue": 33, "green": 33, "red": 34 }));
    let mut again = account.run();
    again.ok("shift_dns", shift);
    assert_eq!(again.mutations(), [""; 0]);
}

/// Weights of another stack's records are not moved.
#[test]
fn records_of_somebody_else_keep_their_weights() {
    let account = Account::new();
    let mut theirs = account.run();
    theirs.run.set_stack("bank-prod".into());
    let zone = zone(&mut theirs);
    theirs.ok("ensure_record", one_of(&zone, "blue", "192.0.2.1", Some(100)));
    let mut ours = account.run();
    ours.ok("ensure_record", one_of(&zone, "green", "192.0.2.2", None));
    let shift = json!({ "hosted_zone_id": zone["hosted_zone_id"], "name": "shop.example.com", "to": "green" });
    let error = ours.op("shift_dns", shift).expect_err("theirs");
    assert!(matches!(error, Error::NotOwned { owner: Some(owner), .. } if owner == "bank-prod"));
}

fn check(more: Value) -> Value {
    let mut options = json!({ "name": "eu", "type": "HTTPS", "fqdn": "eu.example.com", "resource_path": "/healthz", "tags": { "team": "web" } });
    options.as_object_mut().into_iter().zip(more.as_object()).for_each(|(all, more)| all.extend(more.clone()));
    options
}

#[test]
fn ensure_health_check() {
    let contract = contract("ensure_health_check", |_| {
        let more =
            json!({ "failure_threshold": 5, "inverted": true, "resource_path": "/", "tags": { "team": "shop" } });
        (check(json!({})), check(more))
    });
    assert_eq!(contract.created, ["route53:CreateHealthCheck", "route53:ChangeTagsForResource"]);
    let mut updated = contract.updated;
    updated.sort();
    assert_eq!(updated, ["route53:ChangeTagsForResource", "route53:UpdateHealthCheck"]);
    // Route 53 has to hear of it before it takes its tags.
    assert_eq!((contract.created_depth, contract.unchanged_depth), (4, 2));
}

/// Names and regions are set back to what is usual by a call of their own kind; moto does not know it.
#[test]
fn settings_of_a_health_check_go_and_come_back() {
    let account = Account::new();
    let at = json!({ "ip_address": "192.0.2.44", "regions": ["us-east-1", "eu-west-1", "sa-east-1"] });
    account.run().ok("ensure_health_check", check(at));
    let before = account.observe();
    let mut run = account.run();
    let mut bare = check(json!({ "ip_address": "192.0.2.45" }));
    bare.as_object_mut().expect("options").remove("fqdn");
    run.ok("ensure_health_check", bare.clone());
    let names: Vec<String> = run.fields().into_iter().map(|field| field.name).collect();
    assert_eq!(names, ["fqdn", "ip_address", "regions"]);
    assert_eq!(account.run().ok("ensure_health_check", bare)["change"], "unchanged");
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "undone");

    let mut run = account.run();
    let eu =
        run.ok("ensure_health_check", check(json!({ "name": "a", "type": "TCP", "port": 443, "resource_path": null })));
    let us = run.ok("ensure_health_check", check(json!({ "name": "b" })));
    let count = |children: Value, enough: u8| json!({ "name": "both", "type": "CALCULATED", "child_health_checks": children, "health_threshold": enough });
    run.ok("ensure_health_check", count(json!([eu, us]), 2));
    assert_eq!(run.ok("ensure_health_check", count(json!([us, eu]), 2))["change"], "unchanged");
    assert_eq!(run.ok("ensure_health_check", count(json!([us]), 1))["change"], "updated");
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "undone");
}

#[test]
fn what_a_health_check_cannot_change() {
    let account = Account::prompt();
    let mut run = account.run();
    run.ok("ensure_health_check", check(json!({})));
    for (more, field) in [
        (json!({ "type": "HTTP" }), "type"),
        (json!({ "request_interval": "10s" }), "request_interval"),
        (json!({ "measure_latency": true }), "measure_latency"),
        (json!({ "ip_address": "192.0.2.44" }), "ip_address"),
    ] {
        match run.op("ensure_health_check", check(more)).expect_err("refused") {
            Error::NeedsReplacement { field: found, .. } => assert_eq!(found, field),
            other => panic!("{field}: {other}"),
        }
    }
    let private = run.op("ensure_health_check", check(json!({ "ip_address": "10.0.0.7" }))).expect_err("refused");
    assert!(private.to_string().contains("10.0.0.7 is a private or reserved address"), "{private}");
}

/// Between its creation and its tags, the caller reference says whose a health check is.
#[test]
fn a_health_check_without_tags_is_found_again() {
    let account = Account::prompt();
    account.simulator().ask_for(["route53:ChangeTagsForResource#1=denied".parse().expect("a fault")]);
    let mut first = account.run();
    first.op("ensure_health_check", check(json!({}))).expect_err("no tags");
    let listed = account.script(
        "environment(\"prod\");\nstack(\"shop\");\noutput(\"kinds\", list_stack().resources.map(|one| one.kind));",
        json!({}),
    );
    assert_eq!(listed.outputs["kinds"], json!(["health check"]), "{:?}", listed.failure);
    let mut again = account.run();
    assert_eq!(again.ok("ensure_health_check", check(json!({})))["change"], "updated");
    assert_eq!(again.mutations(), ["route53:ChangeTagsForResource"]);
    let tagged = account.observe().to_string();
    assert!(tagged.contains(&format!("\"runner:run\":\"{}\"", first.run.id().as_str())), "its maker: {tagged}");
    assert_eq!(account.run().ok("ensure_health_check", check(json!({})))["change"], "unchanged");
    // Of another stack it is not, and another name is another one.
    let mut theirs = account.run();
    theirs.run.set_stack("bank-prod".into());
    assert_eq!(theirs.ok("ensure_health_check", check(json!({})))["change"], "created");
    assert_eq!(again.ok("ensure_health_check", check(json!({ "name": "eu-2" })))["change"], "created");
}

#[test]
fn lost_replies_about_health_checks() {
    for seed in 0..6 {
        let account = Account::seeded(seed);
        let before = account.observe();
        let mut run = account.run();
        for (fault, options) in [
            ("route53:CreateHealthCheck#1=timeout-applied", check(json!({}))),
            ("route53:UpdateHealthCheck#1=timeout-applied", check(json!({ "failure_threshold": 1 }))),
        ] {
            account.simulator().ask_for([fault.parse().expect("a fault")]);
            run.ok("ensure_health_check", options.clone());
            assert_eq!(account.run().ok("ensure_health_check", options)["change"], "unchanged", "{seed} {fault}");
        }
        let report = run.roll_back();
        assert!(report.is_clean(), "{report:?}");
        assert_same(&account.observe(), &before, "undone");
    }
}

#[test]
fn a_health_check_that_somebody_else_changed_since() {
    let account = Account::prompt();
    account.run().ok("ensure_health_check", check(json!({})));
    let mut run = account.run();
    run.ok("ensure_health_check", check(json!({ "failure_threshold": 5 })));
    // Another setting is theirs, and stays.
    account.run().ok("ensure_health_check", check(json!({ "failure_threshold": 5, "inverted": true })));
    assert!(run.roll_back().is_clean());
    let stays = check(json!({ "inverted": true }));
    assert_eq!(account.run().ok("ensure_health_check", stays)["change"], "unchanged");
    let mut run = account.run();
    run.ok("ensure_health_check", check(json!({ "failure_threshold": 5, "inverted": true })));
    account.run().ok("ensure_health_check", check(json!({ "failure_threshold": 7, "inverted": true })));
    let report = run.roll_back();
    assert!(report.left.len() == 1 && report.left[0].1.contains("expected failure_threshold 5, found 7"), "{report:?}");
}

#[test]
fn a_health_check_of_somebody_else_can_be_adopted() {
    let account = Account::prompt();
    let mut theirs = account.run();
    // Together they make the same name.
    theirs.run.set_stack("shop".into());
    theirs.ok("ensure_health_check", check(json!({ "name": "prod-eu" })));
    let before = account.observe();
    let mut run = account.run();
    let error = run.op("ensure_health_check", check(json!({}))).expect_err("refused");
    assert!(matches!(&error, Error::NotOwned { owner: Some(owner), .. } if owner == "shop"), "{error}");
    run.ok("ensure_health_check", check(json!({ "adopt": true })));
    assert_eq!(account.run().ok("ensure_health_check", check(json!({})))["change"], "unchanged");
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "given back");
}

/// Set, changed, kept when it is left out and when weights move, and put back.
fn records_on(account: &Account, observe: impl Fn() -> Value) {
    let mut run = account.run();
    let zone = zone(&mut run);
    let [one, two] = ["one", "two"]
        .map(|name| run.ok("ensure_health_check", check(json!({ "name": name })))["health_check_id"].clone());
    let blue = |check: &Value| {
        let mut options = one_of(&zone, "blue", "192.0.2.1", Some(100));
        options["health_check"] = check.clone();
        options
    };
    run.ok("ensure_record", blue(&one));
    assert!(run.fields().iter().any(|field| field.name == "health_check" && field.after == one));
    run.ok("ensure_record", one_of(&zone, "green", "192.0.2.2", None));
    let before = observe();
    let mut change = account.run();
    assert_eq!(change.ok("ensure_record", blue(&one))["change"], "unchanged");
    assert_eq!(change.ok("ensure_record", one_of(&zone, "blue", "192.0.2.1", None))["change"], "unchanged");
    assert_eq!(change.ok("ensure_record", blue(&two))["change"], "updated");
    let field = change.fields().pop().expect("a field");
    assert_eq!((field.name.as_str(), field.before, field.after), ("health_check", Some(one.clone()), two.clone()));
    change.ok("ensure_record", one_of(&zone, "blue", "192.0.2.9", None));
    let shift = json!({ "hosted_zone_id": zone["hosted_zone_id"], "name": "shop.example.com", "to": "green" });
    change.ok("shift_dns", shift);
    assert!(observe().to_string().contains(two.as_str().expect("an id")), "it is kept");
    assert_eq!(
        change.ok("ensure_record", {
            let mut options = blue(&two);
            options["values"] = json!(["192.0.2.9"]);
            options
        })["change"],
        "unchanged"
    );
    let report = change.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_same(&observe(), &before, "the former is back");
}

#[test]
fn records_with_health_checks() {
    let account = Account::new();
    records_on(&account, || account.observe());
    let name = moto().new_account();
    records_on(&Account::moto(moto().url(), name.clone()), || moto().boto3(&name, "observe()"));
}

fn with_check(id: &str, value: &str, check: &Value, zone: &Value) -> Value {
    let mut options = one_of(zone, id, value, Some(50));
    options["health_check"] = check.clone();
    options
}

#[test]
fn a_health_check_is_taken_off_a_record() {
    let account = Account::new();
    let mut run = account.run();
    let zone = zone(&mut run);
    let made = run.ok("ensure_health_check", check(json!({})));
    run.ok("ensure_record", with_check("blue", "192.0.2.1", &made, &zone));
    let before = account.observe();
    let off = with_check("blue", "192.0.2.1", &json!(false), &zone);
    let mut run = account.run();
    assert_eq!(run.ok("ensure_record", off.clone())["change"], "updated");
    let field = run.fields().pop().expect("a field");
    assert_eq!((field.name.as_str(), field.before), ("health_check", Some(made["health_check_id"].clone())));
    assert_eq!(run.ok("ensure_record", off.clone())["change"], "unchanged");
    assert_eq!(run.ok("ensure_record", one_of(&zone, "blue", "192.0.2.1", None))["weight"], 50);
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "it is back");
    let wrong = run.op("ensure_record", with_check("blue", "192.0.2.1", &json!(true), &zone)).expect_err("wrong");
    assert!(wrong.to_string().contains("found the boolean true"), "{wrong}");
}

/// A record that stays keeps its health check.
#[test]
fn a_health_check_stays_with_its_record() {
    let account = Account::new();
    let zone = zone(&mut account.run());
    let mut run = account.run();
    let made = run.ok("ensure_health_check", check(json!({})));
    run.ok("ensure_record", with_check("blue", "192.0.2.1", &made, &zone));
    account.run().ok("ensure_record", with_check("blue", "192.0.2.9", &made, &zone));
    let report = run.roll_back();
    assert_eq!(report.left.len(), 2, "{report:?}");
    assert!(report.left[0].1.contains("192.0.2.9") && report.left[1].1.contains("it may be needed"), "{report:?}");
    account.run().ok("health_check_status", json!({ "health_check": made }));
}

/// A record comes back without the health check that somebody has deleted meanwhile.
#[test]
fn a_record_comes_back_without_a_health_check_that_is_gone() {
    let account = Account::prompt();
    let zone = zone(&mut account.run());
    let mut theirs = account.run();
    let one = theirs.ok("ensure_health_check", check(json!({ "name": "one" })));
    let two = account.run().ok("ensure_health_check", check(json!({ "name": "two" })));
    account.run().ok("ensure_record", with_check("blue", "192.0.2.1", &one, &zone));
    let mut run = account.run();
    run.ok("ensure_record", with_check("blue", "192.0.2.1", &two, &zone));
    assert!(theirs.roll_back().is_clean());
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    let told = |event: &Event| matches!(event, Event::Warning { message } if message.contains("put back without its health check"));
    assert!(run.events().iter().any(told), "{:?}", run.events());
    let bare = with_check("blue", "192.0.2.1", &json!(false), &zone);
    assert_eq!(account.run().ok("ensure_record", bare)["change"], "unchanged");
}

/// Nobody is led to where the health check says not to go; away from there at any time.
#[test]
fn shift_dns_looks_at_the_health_check() {
    let account = Account::new();
    let mut run = account.run();
    let zone = zone(&mut run);
    // Nothing has this name.
    let made = run.ok("ensure_health_check", check(json!({})));
    let at_first = run.op("health_check_status", json!({ "health_check": made, "expect_healthy": true }));
    let words = at_first.expect_err("nobody has looked").to_string();
    assert!(words.contains("is not healthy: no checker has looked yet"), "{words}");
    run.ok("ensure_record", one_of(&zone, "blue", "192.0.2.1", Some(50)));
    run.ok("ensure_record", with_check("green", "192.0.2.2", &made, &zone));
    let shift = |to: &str, weight: u8| json!({ "hosted_zone_id": zone["hosted_zone_id"], "name": "shop.example.com", "to": to, "steps": [{ "weight": weight }] });
    let mut run = account.run();
    let mut refused = |words: &str| {
        let error = run.op("shift_dns", shift("green", 60)).expect_err("ill");
        assert!(matches!(&error, Error::Unsafe(message) if message.contains(words)), "{error}");
        assert_eq!(run.mutations(), [""; 0]);
    };
    refused(
        "record A shop.example.com (green) gets no more users: health check shop-prod-eu (HTTPS eu.example.com:443/healthz)",
    );
    refused("not healthy: 0 of 8 checkers reach it; us-east-1 says Failure: DNS resolution failed");
    assert_eq!(account.run().ok("shift_dns", shift("green", 10))["weights"], json!({ "blue": 90, "green": 10 }));
    assert_eq!(account.run().ok("shift_dns", shift("blue", 100))["weights"], json!({ "blue": 100, "green": 0 }));
    account.run().ok("ensure_health_check", check(json!({ "inverted": true })));
    assert_eq!(account.run().ok("shift_dns", shift("green", 60))["weights"], json!({ "blue": 40, "green": 60 }));
}

#[test]
fn aliases_with_health_checks() {
    let account = Account::prompt();
    let mut run = account.run();
    let zone = zone(&mut run);
    let made = run.ok("ensure_health_check", check(json!({})));
    let mut options = record(&zone, &[]);
    options["alias"] =
        json!({ "dns_name": "shop-1.eu-central-1.elb.amazonaws.com", "hosted_zone_id": "Z215JYRZR1TBD5" });
    options["health_check"] = made.clone();
    match run.op("ensure_record", options.clone()).expect_err("alone") {
        Error::Option { path, .. } => assert_eq!(path, "health_check"),
        other => panic!("{other}"),
    }
    options["set_identifier"] = json!("eu");
    assert_eq!(run.ok("ensure_record", options.clone())["change"], "created");
    assert_eq!(run.ok("ensure_record", options.clone())["change"], "unchanged");
    options["health_check"] = json!("51fbac21-c998-4b3d-9d4c-b0f27125a426");
    let absent = run.op("ensure_record", options).expect_err("no such health check");
    assert!(absent.is(&["NoSuchHealthCheck"]), "{absent}");
}

/// The shop of the prod runbook, checked from outside by its load balancer's name.
#[test]
fn health_checks_see_what_users_see() {
    let account = Account::prompt();
    assert_eq!(account.runbook("prod-deploy.rhai", json!({ "image": "ami-healthy-1" })).failure, None);
    let ran = |body: &str| {
        let checks = r#"
            let lb = find_load_balancer("shop-prod-web");
            let well = ensure_health_check(#{ name: "well", type: "HTTPS", fqdn: lb.dns_name, request_interval: "10s" });
            let ill = ensure_health_check(#{ name: "ill", type: "TCP", fqdn: lb.dns_name, port: 8443, request_interval: "10s" });
            let both = ensure_health_check(#{ name: "both", type: "CALCULATED", child_health_checks: [well, ill] });
            let one = ensure_health_check(#{ name: "one", type: "CALCULATED", child_health_checks: [well, ill], health_threshold: 1 });
        "#;
        account.script(&format!("environment(\"prod\");\nstack(\"shop\");\n{checks}\n{body}"), json!({}))
    };
    let at_first = ran("output(\"healthy\", health_check_status(well).healthy);");
    assert_eq!((at_first.failure, &at_first.outputs["healthy"]), (None, &json!(false)), "nobody has looked");
    let seen = ran(r#"
        let status = wait_health_check(well);
        output("well", [status.healthy, status.checkers, status.healthy_checkers]);
        output("words", status.observations[0].status);
        wait_health_check(one);
        output("both", health_check_status(both).healthy);
        // Inverted, what fails is well; disabled, it is not even looked at.
        ensure_health_check(#{ name: "ill", type: "TCP", fqdn: lb.dns_name, port: 8443, request_interval: "10s", inverted: true });
        wait_health_check(#{ health_check: both, dwell: "10s" });
        ensure_health_check(#{ name: "ill", type: "TCP", fqdn: lb.dns_name, port: 8443, request_interval: "10s", disabled: true });
        output("disabled", health_check_status(ill).healthy);
        "#);
    assert_eq!(seen.failure, None);
    assert_eq!(seen.outputs["well"], json!([true, 8, 8]));
    assert_eq!(seen.outputs["words"], json!("Success: HTTP Status Code 200"));
    assert_eq!((&seen.outputs["both"], &seen.outputs["disabled"]), (&json!(false), &json!(true)));
    for (body, words) in [
        (
            "wait_health_check(#{ health_check: ill, timeout: \"2m\" });",
            "not healthy: 0 of 8 checkers reach it; us-east-1 says Failure: Connection timed out",
        ),
        (
            "health_check_status(#{ health_check: both, expect_healthy: true });",
            "health check shop-prod-both (CALCULATED) is not healthy: 1 of 2 health checks are healthy, 2 have to be",
        ),
        (
            "wait_health_check(#{ health_check: ill, timeout: \"2m\" });",
            "health check shop-prod-ill (TCP shop-prod-web-",
        ),
        // What the checkers have seen of the former endpoint says nothing.
        (
            r#"
            let other = #{ name: "well", type: "HTTPS", fqdn: lb.dns_name, port: 8443, request_interval: "10s" };
            wait_health_check(#{ health_check: ensure_health_check(other), dwell: "1s", timeout: "1m" });
            "#,
            "not healthy: 0 of 8 checkers reach it",
        ),
        (
            r#"
            let inverted = #{ name: "well", type: "HTTPS", fqdn: lb.dns_name, request_interval: "10s", inverted: true };
            wait_health_check(#{ health_check: ensure_health_check(inverted), timeout: "1m" });
            "#,
            "not healthy: 8 of 8 checkers reach it, inverted",
        ),
        ("wait_health_check(#{ health_check: well, timeout: \"20s\" });", "expected more than the dwell of 30s"),
        (
            "health_check_status(\"51fbac21-c998-4b3d-9d4c-b0f27125a426\");",
            "health check 51fbac21-c998-4b3d-9d4c-b0f27125a426 was not found",
        ),
    ] {
        let failure = ran(body).failure.unwrap_or_else(|| panic!("{body} fails"));
        assert!(failure.contains(words), "{body}: {failure}");
    }
}

#[test]
fn health_check_status_on_moto() {
    let account = Account::moto(moto().url(), moto().new_account());
    let mut run = account.run();
    let made = run.ok("ensure_health_check", check(json!({})));
    let status = run.ok("wait_health_check", json!({ "health_check": made }));
    assert_eq!((&status["healthy"], &status["checkers"]), (&json!(true), &json!(1)));
    assert!(run.events().iter().any(|event| matches!(event, Event::Waited { .. })));
}

/// Its name and its tags are known to policy, when its settings change and when its tags do.
#[test]
fn a_protected_health_check_stays_as_it_is() {
    let account = Account::prompt();
    account.run().ok("ensure_health_check", check(json!({})));
    for more in [json!({ "failure_threshold": 5 }), json!({ "tags": { "team": "shop" } })] {
        for rule in ["protected_names = [\"shop-prod-eu\"]", "protected_tags = { team = \"web\" }"] {
            let mut run = account.run_under(rule);
            let refused = run.op("ensure_health_check", check(more.clone())).expect_err("protected");
            assert!(matches!(refused, Error::Policy(_)), "{rule}: {refused}");
            assert_eq!(run.mutations(), [""; 0], "{rule}");
        }
    }
}
