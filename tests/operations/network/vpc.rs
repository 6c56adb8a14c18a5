//! VPCs and their internet gateways.

use runner::ops::Error;
use serde_json::json;

use crate::{account::Account, contract::contract};

#[test]
fn ensure_vpc() {
    let contract = contract("ensure_vpc", |_| {
        let options = json!({ "name": "main", "cidr_block": "10.20.0.0/16" });
        let mut changed = options.clone();
        changed["enable_dns_hostnames"] = json!(false);
        changed["tags"] = json!({ "team": "web" });
        (options, changed)
    });
    assert_eq!(contract.created, ["ec2:CreateVpc", "ec2:ModifyVpcAttribute"]);
    assert_eq!(contract.updated, ["ec2:CreateTags", "ec2:ModifyVpcAttribute"]);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (4, 2));
}

#[test]
fn a_vpc_of_somebody_else_is_refused() {
    let account = Account::new();
    let mut run = account.run();
    let vpc = run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16" }));
    run.run.set_stack("shop-staging".into());
    let error = run
        .op("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16" }))
        .map(|other| assert_ne!(other["vpc_id"], vpc["vpc_id"]));
    assert!(error.is_ok(), "another stack has a name of its own");
}

#[test]
fn the_range_of_a_vpc_cannot_be_changed() {
    let account = Account::new();
    let mut run = account.run();
    run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16" }));
    let error = run.op("ensure_vpc", json!({ "name": "main", "cidr_block": "10.21.0.0/16" })).expect_err("refused");
    assert!(matches!(error, Error::NeedsReplacement { field: "cidr_block", .. }), "{error}");
}

#[test]
fn a_vpc_is_found_by_what_is_known_of_it() {
    let account = Account::new();
    let mut run = account.run();
    let made = run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16", "tags": { "team": "web" } }));
    let default = run.ok("find_vpc", json!({ "vpc": "default" }));
    assert_eq!(default["cidr_block"], "172.31.0.0/16");
    for options in
        [json!({ "vpc": made["vpc_id"] }), json!({ "vpc": "shop-prod-main" }), json!({ "tags": { "team": "web" } })]
    {
        assert_eq!(run.ok("find_vpc", options)["vpc_id"], made["vpc_id"]);
    }
    let error = run.op("find_vpc", json!({ "vpc": "main" })).expect_err("no such name");
    assert_eq!(error.to_string(), "vpc main was not found");
    let error = run.op("find_vpc", json!({})).expect_err("nothing said");
    assert!(matches!(error, Error::Option { .. }), "{error}");
}

#[test]
fn ensure_internet_gateway() {
    let contract = contract("ensure_internet_gateway", |needs| {
        let vpc = needs.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16" }));
        let options = json!({ "name": "main", "vpc_id": vpc });
        let mut changed = options.clone();
        changed["tags"] = json!({ "team": "web" });
        (options, changed)
    });
    assert_eq!(contract.created, ["ec2:CreateInternetGateway", "ec2:AttachInternetGateway"]);
    assert_eq!(contract.updated, ["ec2:CreateTags"]);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (3, 1));
}

#[test]
fn the_gateway_of_somebody_else_is_refused_or_adopted() {
    let account = Account::new();
    let mut run = account.run();
    let vpc = run.ok("find_vpc", json!({ "vpc": "default" }));
    let mut options = json!({ "name": "main", "vpc_id": vpc });
    let error = run.op("ensure_internet_gateway", options.clone()).expect_err("refused");
    assert!(matches!(error, Error::NotOwned { .. }), "{error}");
    options["adopt"] = json!(true);
    assert_eq!(run.ok("ensure_internet_gateway", options)["change"], "updated");
}
