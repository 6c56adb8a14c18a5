//! A dry run says what the run does: the same changes, in the same order, with the same arguments but for what AWS makes up.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    account::{Account, Ran, Request},
    contract::assert_same,
    moto::Moto,
};

const PROD: &str = "prod-deploy.rhai";

/// Fails unless `plan` said what `run` did.
fn assert_foretold(plan: &Ran, run: &Ran) {
    assert_eq!(plan.failure, None, "the plan");
    assert_eq!(run.failure, None, "the run");
    let (planned, done) = (plan.requests(), run.requests());
    let words = |requests: &BTreeMap<String, Vec<Request>>| {
        let calls = requests
            .iter()
            .flat_map(|(thread, calls)| calls.iter().map(move |request| format!("{thread}: {}", request.call)));
        calls.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(words(&planned), words(&done), "the same calls of the same operations in the same order");
    assert_eq!(plan.order(), run.order(), "the same operations in the same order, branch by branch");
    // The run's own id is in tags, in records and in tokens.
    let mut made_up = MadeUp { run: run.id.clone(), known: BTreeMap::new() };
    // What is told apart by its name first: by that it is known which made-up id stands for which.
    let (nameless, named): (Vec<_>, Vec<_>) = planned.iter().partition(|(thread, _)| thread.contains('*'));
    let mut differences = Vec::new();
    for (thread, planned) in named.into_iter().chain(nameless) {
        let mut done: Vec<&Request> = done[thread].iter().collect();
        for request in planned {
            // Of those that only an id tells apart, the order is nobody's promise.
            let candidates = if thread.contains('*') { done.len() } else { 1 };
            let found = (0..candidates).find_map(|at| {
                let mut made_up = made_up.clone();
                made_up.same(&request.request, &done[at].request).then_some((at, made_up))
            });
            match found {
                Some((at, learned)) => {
                    made_up = learned;
                    done.remove(at);
                }
                None => {
                    let found = done.remove(0);
                    differences.push(format!("{thread} {}\n  {}\n  {}", request.call, request.request, found.request));
                }
            }
        }
    }
    assert!(differences.is_empty(), "planned, then done:\n{}", differences.join("\n"));
}

/// What AWS makes up, ids and tokens: in the plan another one stands for each, everywhere.
#[derive(Clone)]
struct MadeUp {
    run: String,
    known: BTreeMap<String, String>,
}

impl MadeUp {
    fn same(&mut self, planned: &Value, done: &Value) -> bool {
        match (planned, done) {
            (Value::Object(planned), Value::Object(done)) => {
                planned.len() == done.len()
                    && planned.iter().all(|(key, value)| done.get(key).is_some_and(|done| self.same(value, done)))
            }
            (Value::Array(planned), Value::Array(done)) => {
                planned.len() == done.len() && planned.iter().zip(done).all(|(planned, done)| self.same(planned, done))
            }
            (Value::String(planned), Value::String(done)) => self.same_text(planned, done),
            _ => planned == done,
        }
    }

    fn same_text(&mut self, planned: &str, done: &str) -> bool {
        let parts = |text: &str| -> Vec<String> {
            let parts = text.split(|c: char| !c.is_ascii_alphanumeric());
            // The number that a load balancer's name in DNS ends with is AWS's.
            let number =
                |part: &&str| text.contains(".elb.amazonaws.com") && part.parse::<u64>().is_ok_and(|_| *part != "1");
            parts.map(|part| if number(&part) { "1" } else { part }.to_owned()).collect()
        };
        let (planned, done) = (parts(planned), parts(&done.replace(&self.run, "plan")));
        planned.len() == done.len()
            && planned.iter().zip(&done).all(|(planned, done)| {
                planned == done || {
                    let known = self.known.entry(planned.clone()).or_insert_with(|| done.clone());
                    known == done && is_made_up(planned) && is_made_up(done)
                }
            })
    }
}

/// Ids hold digits, or are long; of a UUID, a group of four can be letters alone.
fn is_made_up(part: &str) -> bool {
    let is_hex = part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex || part.len() >= 10 || part.len() >= 4 && part.bytes().any(|byte| byte.is_ascii_digit())
}

#[test]
fn on_the_simulated_aws() {
    let account = Account::kept();
    for image in ["ami-healthy-1", "ami-healthy-2", "ami-healthy-2"] {
        let before = account.simulator().observe();
        let plan = account.plan(PROD, json!({ "image": image }));
        assert_eq!(account.simulator().observe(), before, "a plan changes nothing");
        assert_foretold(&plan, &account.runbook(PROD, json!({ "image": image })));
    }
}

/// The same on a fork of an account on a moto server, whose state is the same to the byte before and after each plan.
#[test]
fn on_a_fork_of_moto() {
    let moto = Moto::own();
    let name = moto.new_account();
    let account = Account::moto(moto.url(), name.clone());
    // What moto puts into an account, it makes when it is asked for the first time.
    moto.boto3(&name, "observe()");
    for image in ["ami-healthy-1", "ami-healthy-2", "ami-healthy-2"] {
        let before = moto.dump(&name);
        let plan = account.plan(PROD, json!({ "image": image }));
        assert_same(&moto.dump(&name), &before, "a plan changes nothing");
        assert_foretold(&plan, &account.runbook(PROD, json!({ "image": image })));
    }
}
