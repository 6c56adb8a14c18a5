//! The prod runbook in process, on the simulated AWS and against a moto server, where the waits of
//! real calls take no time. What was made on moto is read back with boto3.

use runner::event::Event;
use serde_json::json;

use crate::{
    account::{Account, Effort, Ran},
    moto::moto,
};

const PROD: &str = "prod-deploy.rhai";

fn succeeded(ran: &Ran) {
    assert_eq!(ran.failure, None, "{:?}", ran.rollback);
}

#[test]
fn prod_on_moto() {
    let name = moto().new_account();
    let account = Account::moto(moto().url(), name.clone());
    let weights = "{t['TargetGroupArn'].split('/')[1]: t['Weight'] for b in client('elbv2').describe_load_balancers()['LoadBalancers'] \
        for l in client('elbv2').describe_listeners(LoadBalancerArn=b['LoadBalancerArn'])['Listeners'] if l['Port'] == 443 \
        for t in l['DefaultActions'][0]['ForwardConfig']['TargetGroups']}";
    let fleets = "{g['AutoScalingGroupName']: len(g['Instances']) for g in client('autoscaling').describe_auto_scaling_groups()['AutoScalingGroups']}";
    let images = "sorted({i['ImageId'] for r in client('ec2').describe_instances()['Reservations'] for i in r['Instances'] if i['State']['Name'] == 'running'})";

    let first = account.runbook(PROD, json!({ "image": "ami-healthy-1" }));
    succeeded(&first);
    assert_eq!(first.outputs["colour"], "blue");
    assert_eq!(moto().boto3(&name, weights), json!({ "shop-prod-web-blue": 100 }));
    assert_eq!(moto().boto3(&name, fleets), json!({ "shop-prod-web-blue": 3 }));
    assert_eq!(moto().boto3(&name, images), json!(["ami-healthy-1"]));

    let again = account.runbook(PROD, json!({ "image": "ami-healthy-1" }));
    succeeded(&again);
    assert_eq!(again.mutations(), [""; 0]);

    let second = account.runbook(PROD, json!({ "image": "ami-healthy-2" }));
    succeeded(&second);
    assert_eq!(second.outputs["colour"], "green");
    assert_eq!(moto().boto3(&name, weights), json!({ "shop-prod-web-blue": 0, "shop-prod-web-green": 100 }));
    assert_eq!(moto().boto3(&name, fleets), json!({ "shop-prod-web-green": 3 }));
    assert_eq!(moto().boto3(&name, images), json!(["ami-healthy-2"]));
    assert!(second.events.iter().any(|stamped| matches!(stamped.event, Event::Committed { .. })));
}

/// One round trip after the other is what a deploy takes, besides the waits: docs/performance.md. Without the lag of reads, for
/// which calls are repeated.
#[test]
fn prod_asks_no_more_than_it_has_to() {
    let account = Account::prompt();
    let deploy = |image: &str| {
        let ran = account.runbook(PROD, json!({ "image": image }));
        succeeded(&ran);
        ran.effort()
    };
    let first = deploy("ami-healthy-1");
    let again = deploy("ami-healthy-1");
    let second = deploy("ami-healthy-2");
    let Effort { depth, .. } = first;
    assert!(depth <= 35, "{first:?}");
    assert!(again.depth <= 10 && again.calls <= 32, "{again:?}");
    assert!(second.calls <= 60, "{second:?}");
}

/// Auto Scaling is asked once about all the fleets that are waited for.
#[test]
fn waiting_for_many_is_no_more_than_waiting_for_one() {
    let wait = |fleets: usize| {
        let account = Account::prompt();
        let ran = account.script(&fleets_side_by_side(fleets), json!({}));
        succeeded(&ran);
        let ends = |name: &str| {
            ran.events.iter().rev().find(
                |stamped| matches!(&stamped.event, Event::OperationFinished { operation, .. } if operation == name),
            )
        };
        let took = ends("scale_asg").expect("waits").at.duration_since(ends("launch_asg").expect("launches").at);
        (ran.looks(), took.unsigned_abs().as_secs())
    };
    let (one, many) = (wait(1), wait(64));
    assert!(one.0 >= 3, "there is something to wait for: {one:?}");
    assert!(many.0 <= one.0 * 2, "{one:?} {many:?}");
    assert!(many.1 <= one.1 + 15, "{one:?} {many:?}");
}

/// Lists are behind for a moment: of so many fleets, one is not listed by the first look at it.
#[test]
fn a_new_fleet_that_is_not_listed_yet_is_not_gone() {
    let scaled = r#"
        for i in 0..40 { numbers.push(i); }
        parallel(numbers.map(|i| || {
            let fleet = launch_asg(#{
                name: `web-${i}`, launch_template: template, subnets: subnets, min_size: 1, max_size: 1,
            });
            scale_asg(#{ auto_scaling_group: fleet, desired_capacity: 1, wait_timeout: "10m" });
        }));
    "#;
    succeeded(&Account::new().script(&format!("{}{scaled}", fleets_side_by_side(0)), json!({})));
}

/// Launches fleets one after the other, and waits for them together.
fn fleets_side_by_side(count: usize) -> String {
    format!(
        r#"
        environment("prod");
        stack("shop");
        let vpc = ensure_vpc(#{{ name: "main", cidr_block: "10.0.0.0/16" }});
        let subnets = ensure_subnets(#{{ vpc_id: vpc, tier: "private", availability_zones: 2 }});
        let template = ensure_launch_template(#{{ name: "web", image_id: "ami-healthy-1", instance_type: "t3.small" }});
        let numbers = [];
        for i in 0..{count} {{ numbers.push(i); }}
        let fleets = parallel(numbers.map(|i| || launch_asg(#{{
            name: `web-${{i}}`, launch_template: template, subnets: subnets, min_size: 1, max_size: 1,
        }})));
        parallel(fleets.map(|fleet| || scale_asg(#{{ auto_scaling_group: fleet, desired_capacity: 1, wait_timeout: "10m" }})));
        "#
    )
}
