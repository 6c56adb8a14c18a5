//! Networks.

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
