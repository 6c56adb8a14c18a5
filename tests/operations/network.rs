//! Networks.

use runner::ops::Error;
use serde_json::json;

use crate::account::Account;

#[test]
fn a_vpc_is_made_once() {
    let account = Account::new();
    let before = account.observe();
    let mut first = account.run();
    let options = json!({ "name": "main", "cidr_block": "10.20.0.0/16" });
    let vpc = first.ok("ensure_vpc", options.clone());
    assert_eq!(vpc["change"], "created");
    assert_eq!(first.mutations(), ["ec2:CreateVpc", "ec2:ModifyVpcAttribute"]);

    let mut second = account.run();
    let again = second.ok("ensure_vpc", options);
    assert_eq!(again["change"], "unchanged");
    assert_eq!(again["vpc_id"], vpc["vpc_id"]);
    assert!(second.mutations().is_empty());

    let mut third = account.run();
    let changed = json!({ "name": "main", "cidr_block": "10.20.0.0/16", "enable_dns_hostnames": false, "tags": { "team": "web" } });
    let changed = third.ok("ensure_vpc", changed);
    assert_eq!(changed["change"], "updated");
    assert_eq!(third.mutations(), ["ec2:CreateTags", "ec2:ModifyVpcAttribute"]);

    let report = third.roll_back();
    assert!(report.is_clean(), "{report:?}");
    let report = first.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(account.observe(), before);
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
