//! Subnets.

use runner::ops::Error;
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    contract::contract,
};

fn vpc(run: &mut Trial<'_>) -> Value {
    run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16" }))
}

fn blocks(subnets: &Value) -> Vec<&str> {
    let subnets = subnets["subnets"].as_array().expect("a list");
    subnets.iter().filter_map(|subnet| subnet["cidr_block"].as_str()).collect()
}

#[test]
fn ensure_subnets() {
    let contract = contract("ensure_subnets", |needs| {
        let options = json!({ "vpc_id": vpc(needs), "tier": "public", "availability_zones": 2 });
        let mut changed = options.clone();
        changed["map_public_ip_on_launch"] = json!(false);
        changed["tags"] = json!({ "team": "web" });
        (options, changed)
    });
    let create = ["ec2:CreateSubnet", "ec2:CreateSubnet", "ec2:ModifySubnetAttribute", "ec2:ModifySubnetAttribute"];
    assert_eq!(contract.created, create);
    let change = ["ec2:CreateTags", "ec2:CreateTags", "ec2:ModifySubnetAttribute", "ec2:ModifySubnetAttribute"];
    assert_eq!(contract.updated, change);
    // Look, create, map, look whether they are available; two calls came before a new subnet was known everywhere.
    assert_eq!((contract.created_depth, contract.unchanged_depth), (7, 1));
}

#[test]
fn blocks_are_cut_one_after_the_other_and_never_overlap() {
    // Twenty seeds, because new subnets are not listed at once, and whether they are is the seed's choice.
    for seed in 0..20 {
        let account = Account::seeded(seed);
        let mut run = account.run();
        let vpc = vpc(&mut run);
        let public = run.ok("ensure_subnets", json!({ "vpc_id": vpc, "tier": "public", "availability_zones": 3 }));
        assert_eq!(blocks(&public), ["10.20.0.0/20", "10.20.16.0/20", "10.20.32.0/20"]);
        let options = json!({ "vpc_id": vpc, "tier": "private", "availability_zones": 3, "prefix_length": 19 });
        let private = run.ok("ensure_subnets", options);
        assert_eq!(blocks(&private), ["10.20.64.0/19", "10.20.96.0/19", "10.20.128.0/19"]);
        let options = json!({ "vpc_id": vpc, "tier": "data", "availability_zones": 2, "new_bits": 8 });
        assert_eq!(blocks(&run.ok("ensure_subnets", options)), ["10.20.48.0/24", "10.20.49.0/24"]);
    }
}

#[test]
fn a_third_zone_joins_two() {
    let account = Account::new();
    let mut run = account.run();
    let vpc = vpc(&mut run);
    let zones = json!(["eu-central-1c", "eu-central-1b"]);
    let options = json!({ "vpc_id": vpc, "tier": "private", "availability_zones": zones, "prefix_length": 24 });
    let two = run.ok("ensure_subnets", options);
    assert_eq!(two["subnets"][0]["availability_zone"], "eu-central-1c");
    let mut options = json!({ "vpc_id": vpc, "tier": "private", "availability_zones": 2, "prefix_length": 24 });
    let same = account.run().ok("ensure_subnets", options.clone());
    assert_eq!(same["change"], "unchanged", "zones in use are chosen first");
    options["availability_zones"] = json!(3);
    let three = account.run().ok("ensure_subnets", options);
    assert_eq!(blocks(&three), ["10.20.2.0/24", "10.20.1.0/24", "10.20.0.0/24"]);
}

#[test]
fn blocks_can_be_given_and_do_not_change() {
    let account = Account::new();
    let mut run = account.run();
    let vpc = vpc(&mut run);
    let mut options = json!({
        "vpc_id": vpc, "tier": "public", "availability_zones": 2, "cidr_blocks": ["10.20.7.0/24", "10.20.9.0/24"],
    });
    assert_eq!(blocks(&run.ok("ensure_subnets", options.clone())), ["10.20.7.0/24", "10.20.9.0/24"]);
    options["cidr_blocks"][1] = json!("10.20.10.0/24");
    let error = account.run().op("ensure_subnets", options).expect_err("refused");
    assert!(matches!(error, Error::NeedsReplacement { field: "cidr_block", .. }), "{error}");
    let options = json!({ "vpc_id": vpc, "tier": "public", "availability_zones": 2, "prefix_length": 20 });
    let error = account.run().op("ensure_subnets", options).expect_err("refused");
    assert!(error.to_string().contains("has cidr_block 10.20.7.0/24, wanted a block of /20"), "{error}");
}

#[test]
fn what_cannot_be_is_said_before_anything_is_made() {
    let account = Account::new();
    let mut run = account.run();
    let vpc = vpc(&mut run);
    for (more, path, message) in [
        (json!({ "availability_zones": 4 }), "availability_zones", "expected at most 3, found 4"),
        (json!({ "availability_zones": 0 }), "availability_zones", "found the integer 0"),
        (json!({ "availability_zones": ["a", "a"] }), "availability_zones", "named twice"),
        (json!({ "cidr_blocks": ["10.20.0.0/24"] }), "cidr_blocks", "each of the 2 availability zones"),
        (json!({ "cidr_blocks": ["10.20.0.0/24", "x"] }), "cidr_blocks[1]", "expected an IPv4 range"),
        (json!({ "prefix_length": 24, "new_bits": 8 }), "prefix_length", "exclude each other"),
        (json!({ "prefix_length": 12 }), "", "no free block of /12"),
    ] {
        let mut options = json!({ "vpc_id": vpc, "tier": "public", "availability_zones": 2 });
        options.as_object_mut().expect("options").extend(more.as_object().expect("options").clone());
        let Err(Error::Option { path: at, message: said }) = run.op("ensure_subnets", options) else {
            panic!("{message}: accepted");
        };
        assert_eq!(at, path);
        assert!(said.contains(message), "{said}");
    }
    assert_eq!(run.mutations(), ["ec2:CreateVpc", "ec2:ModifyVpcAttribute"]);
}

#[test]
fn subnets_are_found_by_what_is_known_of_them() {
    let account = Account::new();
    let mut run = account.run();
    let default = run.ok("find_subnets", json!({ "vpc_id": run_default(&account) }));
    assert_eq!(default["subnet_ids"].as_array().map(Vec::len), Some(3));
    let vpc = vpc(&mut run);
    let made = run.ok("ensure_subnets", json!({ "vpc_id": vpc, "tier": "private", "availability_zones": 3 }));
    run.ok("ensure_subnets", json!({ "vpc_id": vpc, "tier": "public", "availability_zones": 3 }));
    for by in [json!({ "tier": "Private" }), json!({ "name": "*-private-*" }), json!({ "tags": { "Tier": "private" } })]
    {
        let mut options = by.clone();
        options["vpc_id"] = vpc.clone();
        assert_eq!(account.run().ok("find_subnets", options)["subnet_ids"], made["subnet_ids"], "{by}");
    }
    let options = json!({ "vpc_id": vpc, "tier": "private", "availability_zones": ["eu-central-1b"] });
    assert_eq!(account.run().ok("find_subnets", options)["subnet_ids"], json!([made["subnet_ids"][1]]));
    let error = account.run().op("find_subnets", json!({ "vpc_id": vpc, "tier": "data" })).expect_err("none");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

fn run_default(account: &Account) -> Value {
    account.run().ok("find_vpc", json!({ "vpc": "default" }))
}
