//! The prod runbook in process, on the simulated AWS and against a moto server, where the waits of
//! real calls take no time. What was made on moto is read back with boto3.

use runner::event::Event;
use serde_json::json;

use crate::{
    account::{Account, Ran},
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
