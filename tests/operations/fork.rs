//! Forks of accounts that the program itself has brought into all kinds of states.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use runner::event::Event;
use serde_json::{Value, json};

use crate::{
    account::Account,
    live::{Origin, shown},
    moto::Moto,
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
    let looks = ["ami-healthy-1", "ami-healthy-2"].map(|image| deploy(&account, image));
    assert!(looks.iter().all(|looks| *looks > 40), "{looks:?}");
}

/// All that a moto server has, as it dumps it itself. Who has assumed which role, and the keys for it, are no part of an
/// account's resources; and moto dumps what it copies for a reply too, of security group rules with other ports.
fn state(moto: &Moto, account: &str) -> Value {
    let dump = "json.loads(__import__('urllib.request').request.urlopen(current.url + '/moto-api/data.json').read())";
    let mut dump = moto.boto3(account, dump);
    for (service, kind) in [("sts", "AssumedRole"), ("iam", "AccessKey")] {
        dump[service][kind].take();
    }
    for rule in dump["ec2"]["SecurityGroupRule"].as_array_mut().into_iter().flatten() {
        *rule = rule["id"].take();
    }
    for rows in dump.as_object_mut().into_iter().flat_map(|services| services.values_mut()) {
        for rows in
            rows.as_object_mut().into_iter().flat_map(|kinds| kinds.values_mut()).filter_map(Value::as_array_mut)
        {
            rows.sort_by_key(Value::to_string);
            rows.dedup();
        }
    }
    dump
}

#[test]
fn prod_on_a_fork_of_moto() {
    let moto = Moto::alone();
    let name = moto.new_account();
    let account = Account::moto(moto.url(), name.clone());
    // moto furnishes a service when it is first asked for: that is no change of a plan's.
    assert_eq!(account.fork_of_moto().runbook(PROD, json!({ "image": "ami-healthy-1" })).failure, None);
    let untouched = state(&moto, &name);
    let image = |image: &str| json!({ "image": image });

    // Nothing is there yet: the whole plan happens in the fork.
    let planned = account.fork_of_moto().runbook(PROD, image("ami-healthy-1"));
    assert_eq!(planned.failure, None);
    assert_eq!(planned.outputs["colour"], "blue");
    assert_same(&state(&moto, &name), &untouched, "after the first plan");
    let first = account.runbook(PROD, image("ami-healthy-1"));
    assert_eq!(first.failure, None);
    assert_eq!(planned.mutations_by_operation(), first.mutations_by_operation());

    let deployed = state(&moto, &name);
    assert_ne!(deployed, untouched);
    let again = account.fork_of_moto().runbook(PROD, image("ami-healthy-1"));
    assert_eq!(again.failure, None);
    assert_eq!(again.mutations(), [""; 0], "what is deployed is unchanged");
    let next = account.fork_of_moto().runbook(PROD, image("ami-healthy-2"));
    assert_eq!(next.failure, None);
    assert_eq!(next.outputs["colour"], "green");
    assert_same(&state(&moto, &name), &deployed, "after two more plans");
    let second = account.runbook(PROD, image("ami-healthy-2"));
    assert_eq!(second.failure, None);
    assert_eq!(next.mutations_by_operation(), second.mutations_by_operation());
}
