//! Network ACLs, their rules and their subnets.

use runner::ops::Error;
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    contract::contract,
};

/// Options for an ACL of two subnets in a VPC of three.
fn options(run: &mut Trial<'_>) -> Value {
    let vpc = run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16" }));
    let subnets = run.ok("ensure_subnets", json!({ "vpc_id": vpc, "tier": "data", "availability_zones": 3 }));
    json!({
        "name": "data", "vpc_id": vpc, "subnet_ids": [subnets["subnet_ids"][0], subnets["subnet_ids"][1]],
        "ingress": [
            { "protocol": "tcp", "port": 5432, "cidr_block": "10.20.0.0/16" },
            { "protocol": "udp", "from_port": 5000, "to_port": 5999, "cidr_block": "10.20.0.0/16" },
            { "rule_number": 200, "cidr_block": "10.0.0.0/8", "rule_action": "deny" },
        ],
        "egress": [{ "protocol": "6", "from_port": 1024, "to_port": 65535, "cidr_block": "10.20.7.9/16" }],
    })
}

#[test]
fn ensure_network_acl() {
    let contract = contract("ensure_network_acl", |needs| {
        let options = options(needs);
        let mut changed = options.clone();
        changed["ingress"][0]["port"] = json!(3306);
        changed["ingress"][2]["rule_number"] = json!(210);
        changed["subnet_ids"] = json!([options["subnet_ids"][0]]);
        changed["tags"] = json!({ "team": "web" });
        (options, changed)
    });
    let mut created = contract.created;
    created.dedup();
    assert_eq!(created, ["ec2:CreateNetworkAcl", "ec2:CreateNetworkAclEntry", "ec2:ReplaceNetworkAclAssociation"]);
    let mut updated = contract.updated;
    updated.sort();
    assert_eq!(
        updated,
        [
            "ec2:CreateNetworkAclEntry",
            "ec2:CreateTags",
            "ec2:DeleteNetworkAclEntry",
            "ec2:ReplaceNetworkAclAssociation",
            "ec2:ReplaceNetworkAclEntry",
        ]
    );
    assert_eq!(contract.unchanged_depth, 1);
}

#[test]
fn rules_are_numbered_in_their_order() {
    let account = Account::new();
    let mut run = account.run();
    let mut options = options(&mut run);
    run.ok("ensure_network_acl", options.clone());
    for (index, number) in [100, 110, 200].into_iter().enumerate() {
        options["ingress"][index]["rule_number"] = json!(number);
    }
    options["egress"][0]["rule_number"] = json!(100);
    options["egress"][0]["protocol"] = json!("tcp");
    assert_eq!(run.ok("ensure_network_acl", options.clone())["change"], "unchanged");
    // moto does not show the ICMP type.
    options["ingress"][1] = json!({ "protocol": "icmp", "icmp_type": 8, "cidr_block": "10.20.0.0/16" });
    assert_eq!(run.ok("ensure_network_acl", options.clone())["change"], "updated");
    assert_eq!(run.ok("ensure_network_acl", options)["change"], "unchanged");
}

#[test]
fn rules_that_make_no_sense_are_refused_before_anything_is_made() {
    let account = Account::new();
    let mut run = account.run();
    let block = "10.0.0.0/8";
    for (rules, path, message) in [
        (json!([{ "rule_number": 32767, "cidr_block": block }]), "ingress[0]", "1 to 32766"),
        (
            json!([{ "cidr_block": block }, { "rule_number": 100, "cidr_block": block }]),
            "ingress[1]",
            "there is another rule 100",
        ),
        (json!([{ "protocol": "all" }]), "ingress[0]", "expected `cidr_block` or `ipv6_cidr_block`"),
        (json!([{ "protocol": "tcp", "cidr_block": block }]), "ingress[0]", "expected `port`"),
        (json!([{ "protocol": "ftp", "cidr_block": block }]), "ingress[0].protocol", "found \"ftp\""),
        (json!([{ "cidr_block": "here" }]), "ingress[0].cidr_block", "found \"here\""),
    ] {
        let options = json!({ "name": "data", "vpc_id": "vpc-1", "ingress": rules });
        let Err(Error::Option { path: at, message: said }) = run.op("ensure_network_acl", options) else {
            panic!("{message}: accepted");
        };
        assert_eq!(at, path);
        assert!(said.contains(message), "{said}");
    }
    assert_eq!(run.calls(), [""; 0]);
}

#[test]
fn a_subnet_changes_over_within_the_stack_only() {
    let account = Account::new();
    let mut run = account.run();
    let mut options = options(&mut run);
    run.ok("ensure_network_acl", options.clone());
    let before = account.observe();
    let mut other = account.run();
    options["name"] = json!("other");
    other.ok("ensure_network_acl", options.clone());
    let report = other.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(account.observe(), before);

    let mut other = account.run();
    other.run.set_stack("shop-staging".into());
    let error = other.op("ensure_network_acl", options.clone()).expect_err("refused");
    assert!(matches!(error, Error::NotOwned { .. }), "{error}");
    assert_eq!(other.mutations(), [""; 0]);
    options["adopt"] = json!(true);
    other.ok("ensure_network_acl", options);
}
