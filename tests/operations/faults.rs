//! Replies that are lost, and lists that are behind: what was made all the same is taken back.

use runner::sim::Fault;
use serde_json::{Value, json};

use crate::account::Account;

fn fault(text: &str) -> Fault {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A target group in an account of this seed, whose calls fail in these ways; then everything is taken back.
fn target_group(seed: u64, faults: &[&str]) -> (Option<String>, Value, Value) {
    let account = Account::seeded(seed);
    let vpc = account.run().ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.0.0.0/16" }));
    let before = account.observe();
    account.simulator().ask_for(faults.iter().copied().map(fault));
    let mut run = account.run();
    let made = run.op("ensure_target_group", json!({ "name": "web", "vpc_id": vpc, "port": 8080 }));
    let report = run.roll_back();
    assert!(report.is_clean(), "{seed} {faults:?}: {made:?} {report:?}");
    (made.err().map(|error| error.to_string()), before, account.observe())
}

/// Some calls show what was made already, and others do not.
#[test]
fn what_a_lost_reply_made_is_found() {
    for seed in 0..12 {
        let (failure, before, after) = target_group(seed, &["elasticloadbalancing:CreateTargetGroup#1=500-applied"]);
        assert_eq!(failure, None, "{seed}");
        assert_eq!(before, after, "{seed}");
    }
}

/// Whoever may not look for it cannot go on; the rollback may look again.
#[test]
fn what_a_lost_reply_made_is_taken_back_where_nobody_could_look_for_it() {
    let created = "elasticloadbalancing:CreateTargetGroup#1=500-applied";
    let (failure, before, after) = target_group(1, &[created, "elasticloadbalancing:DescribeTargetGroups#2=denied"]);
    assert!(failure.is_some_and(|failure| failure.contains("not authorized")));
    assert_eq!(before, after);
    // All attempts got lost: the last one has nobody to look for it but the rollback.
    for seed in 0..12 {
        let (_, before, after) = target_group(seed, &["elasticloadbalancing:CreateTargetGroup#1+=500-applied"]);
        assert_eq!(before, after, "{seed}");
    }
}

/// A fleet that a list does not show yet would be left behind, and go on launching instances.
#[test]
fn a_fleet_that_is_not_listed_yet_is_taken_back() {
    let fails = r#"
        environment("prod");
        stack("shop");
        let vpc = ensure_vpc(#{ name: "main", cidr_block: "10.0.0.0/16" });
        let subnets = ensure_subnets(#{ vpc_id: vpc, tier: "private", availability_zones: 2 });
        let template = ensure_launch_template(#{ name: "web", image_id: "ami-healthy-1", instance_type: "t3.small" });
        launch_asg(#{ name: "web", launch_template: template, subnets: subnets, min_size: 0, max_size: 1 });
        throw "enough";
    "#;
    for seed in 1..=6 {
        let account = Account::seeded(seed);
        let before = account.observe();
        let ran = account.script(fails, json!({}));
        assert!(ran.failure.is_some());
        assert!(ran.rollback.as_ref().is_some_and(|report| report.is_clean()), "{seed}: {:?}", ran.rollback);
        assert_eq!(before, account.observe(), "{seed}");
    }
}
