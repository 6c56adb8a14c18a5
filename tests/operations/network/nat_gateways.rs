//! NAT gateways.

use runner::{event::Event, ops::Error};
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    contract::contract,
};

/// A VPC with a door and three public subnets.
fn public(run: &mut Trial<'_>) -> (Value, Value) {
    let vpc = run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16" }));
    run.ok("ensure_internet_gateway", json!({ "name": "main", "vpc_id": vpc }));
    let options = json!({ "vpc_id": vpc, "tier": "public", "availability_zones": 3, "prefix_length": 24 });
    let subnets = run.ok("ensure_subnets", options);
    (vpc, subnets)
}

fn options(run: &mut Trial<'_>, mode: &str) -> Value {
    let (vpc, subnets) = public(run);
    json!({ "name": "nat", "vpc_id": vpc, "subnet_ids": subnets, "mode": mode })
}

fn warnings(run: &Trial<'_>) -> Vec<String> {
    let warning = |event| if let Event::Warning { message } = event { Some(message) } else { None };
    run.events().into_iter().filter_map(warning).collect()
}

#[test]
fn ensure_nat_gateways() {
    let contract = contract("ensure_nat_gateways", |needs| {
        let options = options(needs, "per_az");
        let mut changed = options.clone();
        changed["tags"] = json!({ "team": "web" });
        (options, changed)
    });
    let [address, gateway] = ["ec2:AllocateAddress", "ec2:CreateNatGateway"];
    assert_eq!(contract.created, [address, address, address, gateway, gateway, gateway]);
    assert_eq!(contract.updated, ["ec2:CreateTags"; 6], "gateways and addresses");
    assert_eq!(contract.unchanged_depth, 1);
}

#[test]
fn every_zone_has_its_own_or_all_have_one() {
    let account = Account::new();
    let mut run = account.run();
    let mut options = options(&mut run, "single");
    let single = run.ok("ensure_nat_gateways", options.clone());
    let only = &single["nat_gateway_ids"][0];
    assert_eq!(single["nat_gateway_ids"].as_array().map(Vec::len), Some(1));
    let zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"];
    assert!(zones.iter().all(|zone| single["by_availability_zone"][zone] == *only), "{single}");

    options["mode"] = json!("per_az");
    let mut run = account.run();
    let per_az = run.ok("ensure_nat_gateways", options.clone());
    assert_eq!(run.mutations().len(), 4, "two addresses, two gateways: the first stays");
    assert_eq!(per_az["nat_gateways"][0]["nat_gateway_id"], *only);
    for (zone, nat) in zones.iter().zip(per_az["nat_gateways"].as_array().expect("a list")) {
        assert_eq!(nat["availability_zone"], *zone);
        assert_eq!(per_az["by_availability_zone"][zone], nat["nat_gateway_id"]);
        assert!(nat["public_ip"].is_string() && nat["allocation_id"].is_string());
    }
}

#[test]
fn what_a_mode_does_not_ask_for_is_removed_only_when_told() {
    let account = Account::new();
    let mut run = account.run();
    let mut options = options(&mut run, "single");
    let before = account.observe();
    run.ok("ensure_nat_gateways", options.clone());
    let single = account.observe();
    options["mode"] = json!("per_az");
    account.run().ok("ensure_nat_gateways", options.clone());

    options["mode"] = json!("single");
    let mut run = account.run();
    let handle = run.ok("ensure_nat_gateways", options.clone());
    assert_eq!(handle["change"], "unchanged");
    assert_eq!(handle["nat_gateway_ids"].as_array().map(Vec::len), Some(1));
    assert_eq!((run.mutations().len(), warnings(&run).len()), (0, 2));
    assert!(warnings(&run)[0].contains("with `replace: true`"), "{:?}", warnings(&run));

    options["replace"] = json!(true);
    let mut run = account.run();
    run.ok("ensure_nat_gateways", options.clone());
    assert_eq!(account.observe(), single);
    // Neither a gateway nor its address comes back, and a rollback does not claim that they do.
    let left = run.roll_back().left;
    let gone = |what: &str| left.iter().filter(|(left, _)| left.starts_with(&format!("bring back {what}"))).count();
    assert_eq!((gone("nat gateway nat-"), gone("address ")), (2, 2), "{left:?}");
    options["mode"] = json!("none");
    assert_eq!(account.run().ok("ensure_nat_gateways", options)["nat_gateway_ids"], json!([]));
    assert_eq!(account.observe(), before);
}

#[test]
fn a_vpc_without_a_door_fails_in_the_words_of_aws() {
    let account = Account::new();
    let mut run = account.run();
    let vpc = run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16" }));
    let subnets = run.ok("ensure_subnets", json!({ "vpc_id": vpc, "tier": "public", "availability_zones": 1 }));
    let before = account.observe();
    let mut run = account.run();
    let options = json!({ "name": "nat", "vpc_id": vpc, "subnet_ids": subnets });
    let error = run.op("ensure_nat_gateways", options).expect_err("no internet gateway");
    assert!(matches!(error, Error::Hopeless { .. }), "{error}");
    assert!(error.to_string().contains("Gateway.NotAttached: Network vpc-"), "{error}");
    assert!(run.roll_back().is_clean());
    assert_eq!(account.observe(), before);
}

#[test]
fn a_whole_network_goes_in_one_rollback() {
    let account = Account::new();
    let before = account.observe();
    let mut run = account.run();
    let options = options(&mut run, "per_az");
    run.ok("ensure_nat_gateways", options);
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(account.observe(), before);
}

#[test]
fn a_given_address_is_compared() {
    let account = Account::new();
    let mut run = account.run();
    let mut options = options(&mut run, "single");
    let nat = run.ok("ensure_nat_gateways", options.clone());
    options["allocation_ids"] = json!([nat["nat_gateways"][0]["allocation_id"]]);
    assert_eq!(account.run().ok("ensure_nat_gateways", options.clone())["change"], "unchanged");
    options["allocation_ids"] = json!(["eipalloc-00000000000000000"]);
    let error = account.run().op("ensure_nat_gateways", options.clone()).expect_err("another address");
    assert!(matches!(error, Error::NeedsReplacement { field: "allocation_id", .. }), "{error}");
    options["allocation_ids"] = json!(["eipalloc-1", "eipalloc-2"]);
    let error = account.run().op("ensure_nat_gateways", options).expect_err("too many");
    assert!(matches!(error, Error::Option { .. }), "{error}");
}
