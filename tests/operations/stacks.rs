//! Whole stacks: what they own, taken away, and found when nobody needs them any more.

use runner::event::Event;
use serde_json::{Value, json};

use crate::{
    account::{Account, Ran},
    contract::assert_same,
    moto::moto,
};

const PROD: &str = "prod-deploy.rhai";

fn ran(account: &Account, body: &str) -> Ran {
    account.script(&format!("environment(\"prod\");\nstack(\"shop\");\n{body}"), json!({}))
}

/// A deployed shop, and what is in the account without it.
fn deployed(account: &Account, observe: &impl Fn() -> Value) -> Value {
    let before = observe();
    for image in ["ami-healthy-1", "ami-healthy-2"] {
        assert_eq!(account.runbook(PROD, json!({ "image": image })).failure, None);
    }
    before
}

/// Everything goes, in whatever order AWS wants it; again, there is nothing to do.
fn destroyed(account: &Account, observe: impl Fn() -> Value, keep: &[&str]) {
    let before = deployed(account, &observe);
    let listed = ran(account, r#"output("found", list_stack().resources.map(|one| one.kind));"#);
    assert_eq!(listed.failure, None);
    let found: Vec<&str> =
        listed.outputs["found"].as_array().expect("kinds").iter().filter_map(Value::as_str).collect();
    for kind in ["record", "load balancer", "Auto Scaling group", "NAT gateway", "IAM role", "security group", "VPC"] {
        assert!(found.contains(&kind), "{kind}: {found:?}");
    }
    let destroy = format!("output(\"deleted\", destroy_stack(#{{ keep: {} }}).deleted);", json!(keep));
    let gone = ran(account, &destroy);
    assert_eq!(gone.failure, None);
    assert_eq!(gone.outputs["deleted"]["load balancer"], json!(1));
    if !keep.is_empty() {
        return;
    }
    assert_same(&observe(), &before, "the stack is gone");
    let again = ran(account, &destroy);
    assert_eq!((again.failure.as_deref(), again.mutations().len()), (None, 0));
    let left = ran(account, r#"output("found", list_stack().resources.map(|one| one.kind));"#);
    assert_eq!(left.outputs["found"], json!([]));
}

#[test]
fn a_stack_goes_as_a_whole() {
    let account = Account::new();
    destroyed(&account, || account.observe(), &[]);
}

/// What is misspelt would not stay.
#[test]
fn only_kinds_can_be_kept() {
    let account = Account::new();
    let refused = ran(&account, r#"destroy_stack(#{ keep: ["hosted zone", "vpc"] });"#).failure.expect("a typo");
    assert!(refused.contains("keep[1]") && refused.contains("found `vpc`"), "{refused}");
}

#[test]
fn a_stack_goes_as_a_whole_on_moto() {
    let name = moto().new_account();
    let account = Account::moto(moto().url(), name.clone());
    // moto's route tables and network ACLs stay associated with subnets that are gone, and so keep the VPC, and its list of tags
    // shows what is deleted; AWS does neither.
    destroyed(&account, || moto().boto3(&name, "observe()"), &["route table", "network ACL", "VPC"]);
    for left in [
        "client('elbv2').describe_load_balancers()['LoadBalancers']",
        "client('elbv2').describe_target_groups()['TargetGroups']",
        "client('autoscaling').describe_auto_scaling_groups()['AutoScalingGroups']",
        "[role['RoleName'] for role in client('iam').list_roles()['Roles'] if role['RoleName'].startswith('shop-')]",
        "client('route53').list_hosted_zones()['HostedZones']",
        "client('acm').list_certificates()['CertificateSummaryList']",
        "[nat for nat in client('ec2').describe_nat_gateways()['NatGateways'] if nat['State'] == 'available']",
        "client('ec2').describe_addresses()['Addresses']",
        "[group for group in client('ec2').describe_security_groups()['SecurityGroups'] if group['GroupName'] != 'default']",
        "[tpl for tpl in client('ec2').describe_launch_templates()['LaunchTemplates']]",
    ] {
        assert_eq!(moto().boto3(&name, left), json!([]), "{left}");
    }
}

/// A dry run shows what would go, and nothing does.
#[test]
fn a_plan_shows_what_would_go() {
    let account = Account::kept();
    let before = {
        assert_eq!(account.runbook(PROD, json!({ "image": "ami-healthy-1" })).failure, None);
        account.observe()
    };
    let plan = account.plan_script("environment(\"prod\");\nstack(\"shop\");\ndestroy_stack();");
    assert_eq!(plan.failure, None);
    let mutations = plan.mutations();
    for call in ["ec2:DeleteVpc", "iam:DeleteRole", "elasticloadbalancing:DeleteLoadBalancer"] {
        assert!(mutations.contains(&call), "{call}: {mutations:?}");
    }
    assert_same(&account.observe(), &before, "a plan changes nothing");
}

#[test]
fn what_is_protected_or_of_others_stays() {
    let account = Account::prompt();
    let mut theirs = account.run();
    theirs.run.set_stack("bank-prod".into());
    theirs.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.99.0.0/16" }));
    let zone = theirs.ok("ensure_hosted_zone", json!({ "name": "example.com" }));
    let before = account.observe();
    let mut run = account.run();
    let vpc = run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.1.0.0/16" }));
    run.ok("ensure_internet_gateway", json!({ "name": "main", "vpc_id": vpc }));
    let subnets = run
        .ok("ensure_subnets", json!({ "vpc_id": vpc, "tier": "public", "availability_zones": 2, "prefix_length": 24 }));
    let group = |name: &str, from: &Value| json!({ "name": name, "vpc_id": vpc, "description": name, "ingress": [{ "port": 80, "group_id": from }] });
    let front = run.ok("ensure_security_group", group("front", &json!("self")));
    let back = run.ok("ensure_security_group", group("back", &front));
    // They name each other.
    run.ok("ensure_security_group", group("front", &back));
    let balancer = json!({
        "name": "web", "subnets": subnets, "security_groups": [front], "attributes": { "deletion_protection.enabled": "true" },
    });
    run.ok("ensure_load_balancer", balancer.clone());
    let record = json!({ "hosted_zone_id": zone, "name": "shop.example.com", "type": "A", "values": ["192.0.2.1"] });
    run.ok("ensure_record", record);

    let refused = ran(&account, "destroy_stack();").failure.expect("refused");
    assert!(refused.contains("shop-prod-web has deletion protection: nothing was deleted"), "{refused}");

    let mut open = balancer;
    open["attributes"]["deletion_protection.enabled"] = json!("false");
    run.ok("ensure_load_balancer", open);
    let refused = account.script_under(
        "protected_names = [\"shop-prod-web\"]",
        "environment(\"prod\");\nstack(\"shop\");\ndestroy_stack();",
        json!({}),
    );
    assert!(refused.failure.expect("refused").contains("protected_names"));
    // What is asked about before the first deletion is all that will be sent.
    for policy in ["protected_names = [\"shop.example.com\"]", "denied_actions = [\"ec2:RevokeSecurityGroupEgress\"]"] {
        let body = "environment(\"prod\");\nstack(\"shop\");\ndestroy_stack();";
        let refused = account.script_under(policy, body, json!({}));
        let committed = refused.forward().filter(|event| matches!(event, Event::Committed { .. })).count();
        assert!(refused.failure.is_some(), "{policy}");
        assert_eq!((committed, refused.mutations().len()), (0, 0), "{policy}");
    }
    let kept = ran(&account, r#"destroy_stack(#{ keep: ["VPC", "subnet", "internet gateway"] });"#);
    assert_eq!(kept.failure, None);
    let left = ran(&account, r#"output("left", list_stack().resources.map(|one| one.kind));"#);
    assert_eq!(left.outputs["left"], json!(["subnet", "subnet", "internet gateway", "VPC"]));
    assert_eq!(ran(&account, "destroy_stack();").failure, None);
    assert_same(&account.observe(), &before, "theirs is untouched");
}

/// What is the stack's is so by its tags, whatever it is called.
fn found_whatever_it_is_called(account: &Account) {
    let body = r#"
        put_ssm_parameter(#{ name: "/elsewhere/url", value: "https://example.com" });
        ensure_log_group(#{ name: "/aws/ecs/web" });
        output("found", list_stack().resources.map(|one| one.name));
    "#;
    let theirs = r#"environment("prod"); stack("bank"); put_ssm_parameter(#{ name: "/shop-prod/key", value: "1" });"#;
    assert_eq!(account.script(theirs, json!({})).failure, None);
    let listed = ran(account, body);
    assert_eq!((&listed.failure, &listed.outputs["found"]), (&None, &json!(["/elsewhere/url", "/aws/ecs/web"])));
    assert_eq!(ran(account, "destroy_stack();").failure, None);
    let left = ran(account, r#"output("found", list_stack().resources);"#);
    assert_eq!(left.outputs["found"], json!([]));
}

#[test]
fn a_stack_is_found_by_its_tags() {
    found_whatever_it_is_called(&Account::prompt());
    found_whatever_it_is_called(&Account::moto(moto().url(), moto().new_account()));
}

/// Lists of parameters show no tags: a dry run asks for those that have one.
#[test]
fn a_plan_finds_parameters_by_their_tags() {
    let account = Account::prompt();
    for name in ["/elsewhere/url", "/elsewhere/key"] {
        account.run().ok("put_ssm_parameter", json!({ "name": name, "value": "1" }));
    }
    account.observe();
    let (fork, _) = account.fork();
    let gone = ran(&fork, r#"ssm_parameter("/elsewhere/url"); destroy_stack();"#);
    assert_eq!(gone.failure, None);
    assert_eq!(gone.mutations().iter().filter(|call| **call == "ssm:DeleteParameter").count(), 2);
    assert_eq!(ran(&fork, r#"output("left", list_stack().resources);"#).outputs["left"], json!([]));
}

/// The record that proves a name is the same for all certificates of an account, and ACM renews by it.
#[test]
fn proofs_that_certificates_of_other_regions_need_stay() {
    let account = Account::prompt();
    let mut theirs = account.run();
    theirs.run.set_stack("dns-prod".into());
    theirs.ok("ensure_hosted_zone", json!({ "name": "example.com" }));
    let certificate = |domain: &str| {
        format!(
            r#"ensure_certificate(#{{ name: "{domain}", domain_name: "{domain}", hosted_zone_id: find_hosted_zone(#{{ name: "example.com" }}) }});"#
        )
    };
    let there = format!(
        r#"environment("prod"); stack("bank"); within(#{{ region: "us-east-1" }}, || {{ {} }});"#,
        certificate("shop.example.com")
    );
    assert_eq!(account.script(&there, json!({})).failure, None);
    let here = [certificate("shop.example.com"), certificate("api.example.com")].concat();
    assert_eq!(ran(&account, &here).failure, None);
    let proofs = || {
        let found = ran(
            &account,
            r#"output("found", list_stack().resources.filter(|one| one.kind == "record").map(|one| one.name));"#,
        );
        assert_eq!(found.failure, None);
        found.outputs["found"].to_string()
    };
    let listed = proofs();
    assert!(listed.contains("api.example.com") && !listed.contains("shop.example.com"), "{listed}");
    assert_eq!(ran(&account, "destroy_stack();").failure, None);
    // Where nobody may look, they stay.
    assert_eq!(ran(&account, &certificate("api.example.com")).failure, None);
    let policy = "allowed_regions = [\"eu-central-1\"]";
    let body = "environment(\"prod\");\nstack(\"shop\");\noutput(\"found\", list_stack().resources.len());";
    let limited = account.script_under(policy, body, json!({}));
    assert_eq!((&limited.failure, &limited.outputs["found"]), (&None, &json!(1)));
}

/// Names that a health check decides about go before it.
#[test]
fn health_checks_go_after_their_records() {
    let account = Account::new();
    let mut theirs = account.run();
    theirs.run.set_stack("bank-prod".into());
    let zone = theirs.ok("ensure_hosted_zone", json!({ "name": "example.com" }));
    theirs.ok("ensure_health_check", json!({ "name": "eu", "type": "HTTP", "fqdn": "eu.example.com" }));
    let before = account.observe();
    let mut run = account.run();
    let check = run.ok("ensure_health_check", json!({ "name": "eu", "type": "HTTP", "fqdn": "eu.example.com" }));
    let record = json!({
        "hosted_zone_id": zone, "name": "shop.example.com", "type": "A", "values": ["192.0.2.1"], "set_identifier": "eu",
        "health_check": check,
    });
    run.ok("ensure_record", record);
    let listed = ran(&account, r#"output("found", list_stack().resources.map(|one| [one.kind, one.name]));"#);
    let expected = json!([["record", "A shop.example.com (eu)"], ["health check", "shop-prod-eu"]]);
    assert_eq!(listed.outputs["found"], expected);
    let gone = ran(&account, r#"output("deleted", destroy_stack().deleted);"#);
    assert_eq!((gone.failure.as_deref(), &gone.outputs["deleted"]), (None, &json!({ "health check": 1, "record": 1 })));
    let calls = gone.mutations();
    assert_eq!(calls, ["route53:ChangeResourceRecordSets", "route53:DeleteHealthCheck"]);
    assert_same(&account.observe(), &before, "theirs is untouched");
}

/// By the list of live branches, and by age.
#[test]
fn stale_stacks() {
    let account = Account::prompt();
    let vpc = r#"ensure_vpc(#{ name: "main", cidr_block: "10.1.0.0/16" });"#;
    for branch in ["shop-fix-1", "shop-feature-2", "bank"] {
        let made = account.script(&format!("environment(\"prod\");\nstack(\"{branch}\");\n{vpc}"), json!({}));
        assert_eq!(made.failure, None);
        assert_eq!(ran(&account, r#"sleep("3h");"#).failure, None);
    }
    let stale = |options: &str| {
        let body = format!("output(\"stale\", stale_stacks(#{{ {options} }}).stacks.map(|one| one.name));");
        let found = ran(&account, &body);
        found.failure.map_or_else(|| found.outputs["stale"].clone(), Value::from)
    };
    assert_eq!(stale(r#"prefix: "shop-", live: ["shop-fix-1"]"#), json!(["shop-feature-2"]));
    assert_eq!(stale(r#"prefix: "shop-", older_than: "8h""#), json!(["shop-fix-1"]));
    assert_eq!(stale(r#"prefix: "shop-", older_than: "1h", live: ["shop-fix-1"]"#), json!(["shop-feature-2"]));
    assert!(stale(r#"prefix: "shop-""#).as_str().is_some_and(|error| error.contains("expected `live`")));
    assert!(stale(r#"prefix: "shop-", live: []"#).as_str().is_some_and(|error| error.contains("found none")));
    let swept = ran(
        &account,
        r#"for stale in stale_stacks(#{ prefix: "shop-", older_than: "8h" }).stacks { destroy_stack(stale.name); }"#,
    );
    assert_eq!(swept.failure, None);
    assert_eq!(stale(r#"prefix: "shop-", older_than: "1h""#), json!(["shop-feature-2"]));
}
