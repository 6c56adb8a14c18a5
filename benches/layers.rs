//! What the layers between a runbook and the SDK cost, by the processor time of this machine.

use std::{sync::Arc, time::Instant};

use runner::{
    aws::{Connections, Endpoint, Scope},
    clock::Clock,
    sim::{Simulator, Source},
};
use serde_json::json;

use crate::{account::Account, median};

const TIMES: usize = 200;
const ROUNDS: usize = 9;

/// An operation that makes one call, the call alone, and a call that changes something with its intent on disk.
pub fn measure() {
    let account = Account::prompt();
    let mut run = account.run();
    run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.0.0.0/16" }));
    let operation = per_time(|| drop(run.ok("find_vpc", json!({ "vpc": "shop-prod-main" }))));
    let mut number = 0;
    let mutation = per_time(|| {
        number += 1;
        run.ok(
            "ensure_vpc",
            json!({ "name": "main", "cidr_block": "10.0.0.0/16", "tags": { "number": number.to_string() } }),
        );
    });
    let call = a_call();
    println!("| what | on the wall |\n|---|---|");
    println!("| a call of the SDK to the simulated AWS in this process | {call} µs |");
    println!("| an operation that makes one: `find_vpc` | {operation} µs |");
    println!(
        "| one that changes something: `ensure_vpc` with another tag (2 calls, and an intent on disk) | {mutation} µs |"
    );
}

fn a_call() -> u128 {
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let _context = tokio.enter();
    let simulator = Arc::new(Simulator::open(Source::Fresh, 1).expect("a fresh world"));
    let clock = Clock::virtual_from(simulator.clock(), 1);
    let connections = Connections::new(Endpoint::Sim(simulator), clock.clone(), "bench");
    let scope = Scope { region: "eu-central-1".into(), role_arn: None, external_id: None };
    let clients = clock.block_on(async {
        let identity = connections.identify(&scope).await.expect("the simulated account");
        connections.clients(&scope, &identity).await.expect("clients")
    });
    per_time(|| drop(clock.block_on(clients.ec2.describe_vpcs().send()).expect("an answer")))
}

/// Microseconds for one time, the median of some rounds.
fn per_time(mut work: impl FnMut()) -> u128 {
    let round = |_| {
        let started = Instant::now();
        (0..TIMES).for_each(|_| work());
        started.elapsed().as_micros() / TIMES as u128
    };
    median((0..ROUNDS).map(round).collect())
}
