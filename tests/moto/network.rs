//! Networks.

use serde_json::json;

use crate::{account::Account, moto::moto};

#[test]
fn ensure_vpc() {
    let name = moto().new_account();
    let account = Account::moto(moto().url(), name.clone());
    let ranges = "sorted(v['CidrBlock'] for v in client('ec2').describe_vpcs()['Vpcs'])";
    let before = moto().boto3(&name, ranges);

    let options = json!({ "name": "main", "cidr_block": "10.20.0.0/16" });
    let mut first = account.run();
    assert_eq!(first.ok("ensure_vpc", options.clone())["change"], "created");
    assert_eq!(moto().boto3(&name, ranges), json!(["10.20.0.0/16", "172.31.0.0/16"]));
    assert_eq!(account.run().ok("ensure_vpc", options)["change"], "unchanged");

    assert!(first.roll_back().is_clean());
    assert_eq!(moto().boto3(&name, ranges), before);
}
