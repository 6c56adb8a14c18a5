//! Hosted zones and records.

use runner::ops::Error;
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
