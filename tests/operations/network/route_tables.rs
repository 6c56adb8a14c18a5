//! Route tables, their routes and their subnets.

use runner::ops::Error;
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    contract::contract,
};

struct Network {
    vpc: Value,
    gateway: Value,
    public: Value,
    private: Value,
}

fn network(run: &mut Trial<'_>) -> Network {
    let vpc = run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16" }));
    let gateway = run.ok("ensure_internet_gateway", json!({ "name": "main", "vpc_id": vpc }));
    let mut tier = |tier| {
        let options = json!({ "vpc_id": vpc, "tier": tier, "availability_zones": 3, "prefix_length": 24 });
        run.ok("ensure_subnets", options)
    };
    let (public, private) = (tier("public"), tier("private"));
    Network { vpc, gateway, public, private }
}

fn public_table(network: &Network) -> Value {
    json!({
        "name": "public", "vpc_id": network.vpc, "subnet_ids": network.public,
        "routes": [{ "destination_cidr_block": "0.0.0.0/0", "gateway_id": network.gateway }],
    })
}

#[test]
fn ensure_route_table() {
    let contract = contract("ensure_route_table", |needs| {
        let network = network(needs);
        let options = public_table(&network);
        let mut changed = options.clone();
        changed["routes"][0]["destination_cidr_block"] = json!("198.51.100.0/24");
        changed["tags"] = json!({ "team": "web" });
        (options, changed)
    });
    let associate = "ec2:AssociateRouteTable";
    let mut created = contract.created;
    created.sort();
    assert_eq!(created, [associate, associate, associate, "ec2:CreateRoute", "ec2:CreateRouteTable"]);
    let mut updated = contract.updated;
    updated.sort();
    assert_eq!(updated, ["ec2:CreateRoute", "ec2:CreateTags", "ec2:DeleteRoute"]);
    assert_eq!(contract.unchanged_depth, 1);
    assert_eq!(contract.created_depth, 3, "look; create; everything else together");
}

#[test]
fn private_subnets_leave_through_the_nat_gateway_of_their_zone() {
    let account = Account::new();
    let before = account.observe();
    let mut run = account.run();
    let network = network(&mut run);
    run.ok("ensure_route_table", public_table(&network));
    let options = json!({ "name": "nat", "vpc_id": network.vpc, "subnet_ids": network.public, "mode": "per_az" });
    let nats = run.ok("ensure_nat_gateways", options);
    for subnet in network.private["subnets"].as_array().expect("a list") {
        let zone = subnet["availability_zone"].as_str().expect("a name");
        let options = json!({
            "name": format!("private-{zone}"), "vpc_id": network.vpc, "subnet_ids": subnet,
            "routes": [
                { "destination_cidr_block": "0.0.0.0/0", "nat_gateway_id": nats["by_availability_zone"][zone] },
            ],
        });
        assert_eq!(run.ok("ensure_route_table", options.clone())["change"], "created");
        let mut other = account.run();
        assert_eq!(other.ok("ensure_route_table", options)["change"], "unchanged");
    }
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(account.observe(), before);
}

#[test]
fn from_one_nat_gateway_to_one_per_zone_and_back() {
    let account = Account::new();
    let mut run = account.run();
    let network = network(&mut run);
    let mut nat_options = json!({ "name": "nat", "vpc_id": network.vpc, "subnet_ids": network.public });
    let zone = "eu-central-1c";
    let table = |nats: &Value| {
        let nat = &nats["by_availability_zone"][zone];
        json!({
            "name": "private-c", "vpc_id": network.vpc, "subnet_ids": network.private["subnets"][2],
            "routes": [{ "destination_cidr_block": "0.0.0.0/0", "nat_gateway_id": nat }],
        })
    };
    let nats = run.ok("ensure_nat_gateways", nat_options.clone());
    run.ok("ensure_route_table", table(&nats));
    let single = account.observe();

    nat_options["mode"] = json!("per_az");
    let mut change = account.run();
    let nats = change.ok("ensure_nat_gateways", nat_options.clone());
    change.ok("ensure_route_table", table(&nats));
    let per_az = account.observe();
    assert!(change.mutations().contains(&"ec2:ReplaceRoute".to_owned()));

    // Back, the gateway of the zone stays until no route leads to it.
    nat_options["mode"] = json!("single");
    nat_options["replace"] = json!(true);
    let mut back = account.run();
    let nats = back.ok("ensure_nat_gateways", nat_options.clone());
    assert_eq!(back.mutations(), ["ec2:DeleteNatGateway", "ec2:ReleaseAddress"], "only that of zone b");
    back.ok("ensure_route_table", table(&nats));
    account.run().ok("ensure_nat_gateways", nat_options);
    assert_eq!(account.observe(), single);
    assert_ne!(per_az, single);
}

#[test]
fn routes_are_exact_and_come_back() {
    let account = Account::new();
    let mut run = account.run();
    let network = network(&mut run);
    let mut options = public_table(&network);
    options["routes"] = json!([
        { "destination_cidr_block": "198.51.100.7/24", "gateway_id": network.gateway },
        { "destination_cidr_block": "0.0.0.0/0", "gateway_id": network.gateway },
    ]);
    run.ok("ensure_route_table", options.clone());
    assert_eq!(
        account.run().ok("ensure_route_table", options.clone())["change"],
        "unchanged",
        "host bits do not count"
    );

    let nats = json!({ "name": "nat", "vpc_id": network.vpc, "subnet_ids": network.public });
    let nat = run.ok("ensure_nat_gateways", nats)["nat_gateways"][0].clone();
    let with_nat = account.observe();
    options["routes"] = json!([{ "destination_cidr_block": "0.0.0.0/0", "nat_gateway_id": nat }]);
    let mut change = account.run();
    change.ok("ensure_route_table", options);
    let mut mutations = change.mutations();
    mutations.sort();
    assert_eq!(mutations, ["ec2:DeleteRoute", "ec2:ReplaceRoute"]);
    assert!(change.roll_back().is_clean());
    assert_eq!(account.observe(), with_nat);
}

#[test]
fn subnets_change_over_leave_and_come_back() {
    let account = Account::new();
    let mut run = account.run();
    let network = network(&mut run);
    run.ok("ensure_route_table", public_table(&network));
    let before = account.observe();
    let two = json!([network.public["subnet_ids"][0], network.public["subnet_ids"][1]]);
    let mut options = json!({ "name": "other", "vpc_id": network.vpc, "subnet_ids": two });
    let mut other = account.run();
    assert_eq!(other.ok("ensure_route_table", options.clone())["change"], "created");
    assert_eq!(other.mutations()[1..], ["ec2:ReplaceRouteTableAssociation"; 2]);

    options["subnet_ids"] = json!([network.public["subnet_ids"][0]]);
    let mut less = account.run();
    assert_eq!(less.ok("ensure_route_table", options.clone())["change"], "updated");
    assert_eq!(less.mutations(), ["ec2:DisassociateRouteTable"]);
    options.as_object_mut().expect("options").remove("subnet_ids");
    assert_eq!(account.run().ok("ensure_route_table", options)["change"], "unchanged", "left alone");

    assert!(less.roll_back().is_clean());
    assert!(other.roll_back().is_clean());
    assert_eq!(account.observe(), before, "all are back");
}

#[test]
fn subnets_of_a_table_of_others_are_only_taken_when_told() {
    let account = Account::new();
    let mut run = account.run();
    let network = network(&mut run);
    run.run.set_stack("shop-staging".into());
    run.ok("ensure_route_table", public_table(&network));
    run.run.set_stack("shop-prod".into());
    let mut options = public_table(&network);
    let before = run.mutations().len();
    let error = run.op("ensure_route_table", options.clone()).expect_err("refused");
    assert!(matches!(error, Error::NotOwned { .. }), "{error}");
    assert_eq!(run.mutations().len(), before);
    options["adopt"] = json!(true);
    run.ok("ensure_route_table", options);
}

#[test]
fn somebody_elses_route_is_left_in_a_rollback() {
    let account = Account::new();
    let mut run = account.run();
    let network = network(&mut run);
    let mut options = public_table(&network);
    run.ok("ensure_route_table", options.clone());
    let nats = json!({ "name": "nat", "vpc_id": network.vpc, "subnet_ids": network.public, "mode": "per_az" });
    let nats = run.ok("ensure_nat_gateways", nats);
    let via = |index: usize| json!([{ "destination_cidr_block": "0.0.0.0/0", "nat_gateway_id": nats["nat_gateways"][index] }]);
    let mut ours = account.run();
    options["routes"] = via(0);
    ours.ok("ensure_route_table", options.clone());
    options["routes"] = via(1);
    account.run().ok("ensure_route_table", options);
    let report = ours.roll_back();
    assert_eq!(report.left.len(), 1, "{report:?}");
    assert!(report.left[0].1.contains("expected") && report.left[0].1.contains("found"), "{report:?}");
}

#[test]
fn a_route_has_one_destination_and_one_target() {
    let account = Account::new();
    let mut run = account.run();
    for (route, path, message) in [
        (json!({ "destination_cidr_block": "0.0.0.0/0" }), "routes[0]", "expected one target, such as `gateway_id`"),
        (json!({ "gateway_id": "igw-1" }), "routes[0]", "expected one destination"),
        (
            json!({ "destination_cidr_block": "0.0.0.0/0", "gateway_id": "igw-1", "nat_gateway_id": "nat-1" }),
            "routes[0]",
            "found 2",
        ),
        (
            json!({ "destination_cidr_block": "everywhere", "gateway_id": "igw-1" }),
            "routes[0].destination_cidr_block",
            "expected an IPv4 range",
        ),
    ] {
        let options = json!({ "name": "public", "vpc_id": "vpc-1", "routes": [route] });
        let Err(Error::Option { path: at, message: said }) = run.op("ensure_route_table", options) else {
            panic!("{message}: accepted");
        };
        assert_eq!(at, path);
        assert!(said.contains(message), "{said}");
    }
    assert_eq!(run.calls(), [""; 0]);
}
