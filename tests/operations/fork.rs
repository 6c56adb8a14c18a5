//! Forks of accounts that the program itself has brought into all kinds of states.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use runner::{aws::is_read_only, event::Event};
use serde_json::{Value, json};

use crate::{
    account::Account,
    live::{Origin, shown},
    same::assert_same,
};

const PROD: &str = "prod-deploy.rhai";
const REGION: &str = "eu-central-1";
const ACCOUNT: &str = "123456789012";

/// Everything of an account, read by a fork of it.
fn read(origin: &Arc<Origin>) -> Value {
    let fork = origin.fork();
    fork.read_all(ACCOUNT, REGION).expect("everything can be read");
    shown(fork.observe())
}

/// Deploys with the prod runbook, and compares the account with a fork of it after each operation and at each look of a
/// wait that shows something new. Returns how often.
fn deploy(account: &Account, image: &str) -> u32 {
    let simulator = account.shared_simulator();
    let origin = Origin::new(simulator.clone());
    let looks = Arc::new(AtomicU32::new(0));
    let count = looks.clone();
    let ran = account.watched(PROD, json!({ "image": image }), move |event| {
        let when = match event {
            Event::OperationFinished { operation, subject, .. } => format!("after {operation} {subject}"),
            Event::Waiting { what, seen, .. } => format!("waiting for {what}, {seen}"),
            Event::Weights { .. } => "at new weights".to_owned(),
            _ => return,
        };
        assert_same(&read(&origin), &shown(simulator.observe()), &when);
        count.fetch_add(1, Ordering::SeqCst);
    });
    assert_eq!(ran.failure, None);
    looks.load(Ordering::SeqCst)
}

#[test]
fn a_fork_has_everything_its_account_has_at_any_time_of_two_deploys() {
    let account = Account::prompt();
    assert!(deploy(&account, "ami-healthy-1") > 30);
    assert!(deploy(&account, "ami-healthy-2") > 30);
}

/// Whatever the runbook does on a fork, the account is only read.
#[test]
fn a_deploy_on_a_fork_reads_the_account_and_changes_nothing_in_it() {
    let account = Account::prompt();
    assert_eq!(account.runbook(PROD, json!({ "image": "ami-healthy-1" })).failure, None);
    let before = account.simulator().observe();
    for (image, changes) in [("ami-healthy-1", false), ("ami-healthy-2", true)] {
        let (fork, origin) = account.fork();
        let ran = fork.runbook(PROD, json!({ "image": image }));
        assert_eq!(ran.failure, None, "{image}");
        assert_eq!(!ran.mutations().is_empty(), changes, "{image}: {:?}", ran.mutations());
        let calls = origin.calls();
        assert!(calls.len() > 20 && calls.iter().all(|call| is_read_only(call)), "{calls:?}");
    }
    assert_eq!(account.simulator().observe(), before);
}
