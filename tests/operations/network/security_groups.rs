//! Security groups and their rules.

use runner::ops::Error;
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    contract::contract,
};

fn vpc(run: &mut Trial<'_>) -> Value {
    run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16" }))
}

fn options(run: &mut Trial<'_>) -> Value {
    let vpc = vpc(run);
    let front = run.ok("ensure_security_group", json!({ "name": "front", "vpc_id": vpc }));
    json!({
        "name": "web", "vpc_id": vpc, "description": "instances",
        "ingress": [
            { "port": 8080, "group_id": front, "description": "the load balancer" },
            { "protocol": "6", "from_port": 7000, "to_port": 7001, "group_id": "self" },
            { "protocol": "icmp", "icmp_type": 8, "cidr_ip": "10.20.7.9/16", "description": "ping" },
            { "port": 22, "cidr_ipv6": "2001:db8::/32" },
        ],
        "egress": [{ "port": 443, "cidr_ip": "0.0.0.0/0" }],
    })
}

#[test]
fn ensure_security_group() {
    let contract = contract("ensure_security_group", |needs| {
        let options = options(needs);
        let mut changed = options.clone();
        changed["ingress"][2]["description"] = json!("pings");
        changed["ingress"][3]["port"] = json!(2222);
        changed["egress"] = json!([{ "protocol": "all", "cidr_ip": "0.0.0.0/0" }]);
        changed["tags"] = json!({ "team": "web" });
        (options, changed)
    });
    let mut created = contract.created;
    created.sort();
    assert_eq!(
        created,
        [
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:CreateSecurityGroup",
            "ec2:RevokeSecurityGroupEgress",
        ]
    );
    let mut updated = contract.updated;
    updated.sort();
    assert_eq!(
        updated,
        [
            "ec2:AuthorizeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:CreateTags",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:RevokeSecurityGroupIngress",
            "ec2:UpdateSecurityGroupRuleDescriptionsIngress",
        ]
    );
    assert_eq!(contract.unchanged_depth, 1);
}

#[test]
fn what_is_new_is_let_in_before_what_is_old_is_shut_out() {
    let account = Account::new();
    let mut run = account.run();
    let mut options = options(&mut run);
    run.ok("ensure_security_group", options.clone());
    options["ingress"] = json!([{ "port": 9090, "cidr_ip": "10.0.0.0/8" }]);
    let mut change = account.run();
    change.ok("ensure_security_group", options);
    assert_eq!(change.mutations(), ["ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress"]);
    assert_eq!(change.depth(), 3);
}

#[test]
fn descriptions_come_go_and_come_back() {
    let account = Account::new();
    let mut run = account.run();
    let mut options = options(&mut run);
    run.ok("ensure_security_group", options.clone());
    let before = account.observe();
    // moto forgets those of groups, and removes none.
    options["ingress"][0].as_object_mut().expect("a rule").remove("description");
    options["ingress"][1]["description"] = json!("among themselves");
    let mut change = account.run();
    change.ok("ensure_security_group", options.clone());
    assert_eq!(change.mutations(), ["ec2:UpdateSecurityGroupRuleDescriptionsIngress"]);
    assert_eq!(account.run().ok("ensure_security_group", options)["change"], "unchanged");
    assert!(change.roll_back().is_clean());
    assert_eq!(account.observe(), before);
}

#[test]
fn a_new_group_lets_everything_out_and_nothing_in() {
    let account = Account::new();
    let mut run = account.run();
    let vpc = vpc(&mut run);
    let before = run.mutations().len();
    run.ok("ensure_security_group", json!({ "name": "web", "vpc_id": vpc }));
    assert_eq!(run.mutations()[before..], ["ec2:CreateSecurityGroup"]);
    assert_eq!(
        account.run().ok("ensure_security_group", json!({ "name": "web", "vpc_id": vpc }))["change"],
        "unchanged"
    );
    let options = json!({ "name": "shut", "vpc_id": vpc, "egress": [] });
    run.ok("ensure_security_group", options.clone());
    assert_eq!(run.mutations().last().map(String::as_str), Some("ec2:RevokeSecurityGroupEgress"));
    assert_eq!(account.run().ok("ensure_security_group", options)["change"], "unchanged");
}

#[test]
fn other_rules_stay_when_these_are_the_least() {
    let account = Account::new();
    let mut run = account.run();
    let vpc = vpc(&mut run);
    let rule = |port: u16| json!({ "port": port, "cidr_ip": "10.0.0.0/8" });
    let mut options = json!({ "name": "web", "vpc_id": vpc, "ingress": [rule(80)] });
    run.ok("ensure_security_group", options.clone());
    options["ingress"] = json!([rule(443)]);
    options["rules"] = json!("at_least");
    let mut more = account.run();
    more.ok("ensure_security_group", options.clone());
    assert_eq!(more.mutations(), ["ec2:AuthorizeSecurityGroupIngress"]);
    options["ingress"] = json!([rule(80), rule(443)]);
    options["rules"] = json!("exact");
    assert_eq!(account.run().ok("ensure_security_group", options)["change"], "unchanged", "both are there");
}

#[test]
fn prefix_lists_are_known_by_name() {
    let account = Account::new();
    let mut run = account.run();
    let vpc = vpc(&mut run);
    let with =
        |list: &str| json!({ "name": "web", "vpc_id": vpc, "ingress": [{ "port": 443, "prefix_list_id": list }] });
    let options = with("com.amazonaws.global.cloudfront.origin-facing");
    run.ok("ensure_security_group", options.clone());
    assert_eq!(account.run().ok("ensure_security_group", options)["change"], "unchanged");
    let error = run.op("ensure_security_group", with("com.example.none")).expect_err("no such list");
    assert_eq!(error.to_string(), "prefix list com.example.none was not found");
}

#[test]
fn somebody_elses_rule_is_left_in_a_rollback() {
    let account = Account::new();
    let mut run = account.run();
    let vpc = vpc(&mut run);
    let rules = |rules: Value| json!({ "name": "web", "vpc_id": vpc, "ingress": rules });
    run.ok("ensure_security_group", rules(json!([])));
    let before = account.observe();
    let mut ours = account.run();
    ours.ok(
        "ensure_security_group",
        rules(json!([
            { "port": 80, "cidr_ip": "10.0.0.0/8" }, { "port": 443, "cidr_ip": "10.0.0.0/8" },
        ])),
    );
    // One of the two is removed, the other gets a description.
    let mut theirs = account.run();
    theirs.ok("ensure_security_group", rules(json!([{ "port": 443, "cidr_ip": "10.0.0.0/8", "description": "mine" }])));
    let report = ours.roll_back();
    assert_eq!(report.left.len(), 1, "{report:?}");
    assert!(report.left[0].1.contains("somebody else changed tcp 443 10.0.0.0/8"), "{report:?}");
    assert!(theirs.roll_back().is_clean());
    account.run().ok("ensure_security_group", rules(json!([])));
    assert_eq!(account.observe(), before);
}

#[test]
fn groups_that_name_each_other_go_in_one_rollback() {
    let account = Account::new();
    let before = account.observe();
    let mut run = account.run();
    let vpc = vpc(&mut run);
    let front = run.ok("ensure_security_group", json!({ "name": "front", "vpc_id": vpc }));
    let ingress = json!([{ "port": 8080, "group_id": front }]);
    let back = run.ok("ensure_security_group", json!({ "name": "back", "vpc_id": vpc, "ingress": ingress }));
    let egress = json!([{ "port": 8080, "group_id": back }]);
    run.ok("ensure_security_group", json!({ "name": "front", "vpc_id": vpc, "egress": egress }));
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(account.observe(), before);
}

#[test]
fn a_description_cannot_change_and_a_group_of_others_is_refused() {
    let account = Account::new();
    let mut run = account.run();
    let vpc = vpc(&mut run);
    run.ok("ensure_security_group", json!({ "name": "web", "vpc_id": vpc, "description": "one" }));
    let error = run
        .op("ensure_security_group", json!({ "name": "web", "vpc_id": vpc, "description": "another" }))
        .expect_err("refused");
    assert!(matches!(error, Error::NeedsReplacement { field: "description", .. }), "{error}");
    assert_eq!(run.ok("ensure_security_group", json!({ "name": "web", "vpc_id": vpc }))["change"], "unchanged");
}

#[test]
fn rules_that_make_no_sense_are_refused_before_anything_is_made() {
    let account = Account::new();
    let mut run = account.run();
    for (rules, path, message) in [
        (json!([{ "port": 80 }]), "ingress[0]", "expected one of `cidr_ip`"),
        (json!([{ "port": 80, "cidr_ip": "10.0.0.0/8", "group_id": "sg-1" }]), "ingress[0]", "found 2"),
        (json!([{ "cidr_ip": "10.0.0.0/8" }]), "ingress[0]", "expected `port`"),
        (json!([{ "port": 80, "cidr_ip": "here" }]), "ingress[0].cidr_ip", "found \"here\""),
        (json!([{ "port": 80, "to_port": 90, "cidr_ip": "10.0.0.0/8" }]), "ingress[0]", "expected `port`, or"),
        (
            json!([{ "port": 80, "cidr_ip": "10.0.0.0/8" }, { "protocol": "6", "port": 80, "cidr_ip": "10.1.0.0/8" }]),
            "ingress[1]",
            "there is another rule for tcp 80 10.0.0.0/8",
        ),
    ] {
        let options = json!({ "name": "web", "vpc_id": "vpc-1", "ingress": rules });
        let Err(Error::Option { path: at, message: said }) = run.op("ensure_security_group", options) else {
            panic!("{message}: accepted");
        };
        assert_eq!(at, path);
        assert!(said.contains(message), "{said}");
    }
    assert_eq!(run.calls(), [""; 0]);
}

#[test]
fn a_group_is_found_by_what_is_known_of_it() {
    let account = Account::new();
    let mut run = account.run();
    let default = run.ok("find_vpc", json!({ "vpc": "default" }));
    let vpc = vpc(&mut run);
    let made = run.ok("ensure_security_group", json!({ "name": "web", "vpc_id": vpc, "tags": { "team": "web" } }));
    for by in [
        json!({ "security_group": made["group_id"] }),
        json!({ "security_group": "shop-prod-web" }),
        json!({ "tags": { "team": "web" }, "vpc_id": vpc }),
    ] {
        assert_eq!(account.run().ok("find_security_group", by)["group_id"], made["group_id"]);
    }
    let error = account.run().op("find_security_group", json!({ "security_group": "default" })).expect_err("two");
    assert!(matches!(error, Error::Ambiguous { .. }), "{error}");
    let found = account.run().ok("find_security_group", json!({ "security_group": "default", "vpc_id": default }));
    assert_eq!(found["vpc_id"], default["vpc_id"]);
}
