//! How many calls a deploy makes, and how many of them one after the other.

use serde_json::json;

use crate::account::{Account, Ran};

/// The runbook of the shipped service: network, certificate, load balancer, DNS, two colours.
const PROD: &str = "prod-deploy.rhai";

/// A deploy that must succeed.
pub fn prod(account: &Account, image: &str) -> Ran {
    let ran = account.runbook(PROD, json!({ "image": image }));
    assert_eq!(ran.failure, None);
    ran
}

/// Without the lag of reads, for which calls are repeated, and without the looks of waits.
pub fn calls() {
    let account = Account::prompt();
    println!("| deploy | calls | deep | of them mutations | looks of waits besides |\n|---|---|---|---|---|");
    for (what, image) in [
        ("first", "ami-healthy-1"),
        ("the same again", "ami-healthy-1"),
        ("second colour", "ami-healthy-2"),
        ("back to the first colour", "ami-healthy-1"),
    ] {
        let ran = prod(&account, image);
        let effort = ran.effort();
        println!("| {what} | {} | {} | {} | {} |", effort.calls, effort.depth, ran.mutations().len(), ran.looks());
    }
}
