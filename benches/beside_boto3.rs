//! The same deploys by this program and by a boto3 script, on a moto server that takes 30 ms longer for each call.

use std::{process::Command, time::Instant};

use serde_json::{Value, json};

use crate::{account::Account, deploy::prod, moto};

/// About what a call to AWS takes from the same region.
const DELAY_MS: &str = "30";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/boto3_deploy.py");

/// Waits take no time here, with either: the server has everything ready at once, and the program's clock is virtual.
pub fn measure() {
    // SAFETY: nothing else reads the environment meanwhile.
    unsafe { std::env::set_var("MOTO_DELAY_MS", DELAY_MS) };
    let server = moto::Moto::own();
    let (ours, theirs) = (server.new_account(), server.new_account());
    // The first to come to an account has it made, which takes seconds.
    for account in [&ours, &theirs] {
        server.boto3(account, "observe()");
    }
    let mut account = Account::moto(server.url(), ours);
    // The script does not stay at a weight to see whether it holds.
    let steps = json!([{ "weight": 10, "hold": "0s" }, { "weight": 50, "hold": "0s" }]);
    account.vars.extend([("steps".to_owned(), steps), ("bake_time".to_owned(), json!("0s"))]);
    println!(
        "| deploy | runner | calls | boto3, one call after the other | calls | ratio |\n|---|---|---|---|---|---|"
    );
    for (what, image) in
        [("first", "ami-healthy-1"), ("the same again", "ami-healthy-1"), ("second colour", "ami-healthy-2")]
    {
        let started = Instant::now();
        let ran = prod(&account, image);
        let own = started.elapsed().as_secs_f64();
        let calls = ran.effort().calls + ran.looks();
        let beside = boto3(&server.url(), &theirs, image);
        let seconds = beside["seconds"].as_f64().expect("a number");
        println!("| {what} | {own:.2} s | {calls} | {seconds:.2} s | {} | {:.2} |", beside["calls"], own / seconds);
    }
}

fn boto3(url: &str, account: &str, image: &str) -> Value {
    let output = Command::new(moto::python()).args([SCRIPT, url, account, image]).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a line of JSON")
}
