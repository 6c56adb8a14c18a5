//! `approve` and `lock`: what a run needs from others before it goes on.

use std::sync::Arc;

use rhai::{Dynamic, Engine, Map, NativeCallContext};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{ControlDoc, ControlOptions, options};
use crate::{
    api::{
        budget::Count,
        session::{Result, Session},
        strand,
    },
    ops::Duration,
    run::{OnTimeout, Request},
    script::{Failure, Place},
};

pub const APPROVE: ControlDoc = ControlDoc {
    name: "approve",
    signatures: &[r#"approve("question")"#, r#"approve("question", #{ … })"#],
    description: "\
Asks a person, and goes on when they have approved; otherwise the run fails, which rolls it back. On a terminal the
question is asked there. Where nobody is, the run is suspended and keeps its locks: `runner approve` and `runner
reject` answer from any machine, and `runner resume` goes on. A plan takes the answer to be yes.",
    example: r#"approve("Shift 100 % to green?", #{ timeout: "4h" });"#,
    arity: 1..=2,
    options: Some(ControlOptions::of::<ApproveOptions>(1)),
};

pub const LOCK: ControlDoc = ControlDoc {
    name: "lock",
    signatures: &[r#"lock("name")"#],
    description: "\
Keeps other runs out: only one run at a time has the lock of that name in an account and region, until it ends. A run that
does not get it fails, and the message says who has it. `stack` locks the stack by itself. A plan takes no locks.",
    example: r#"lock("shared database");"#,
    arity: 1..=1,
    options: None,
};

/// How long somebody has time to answer.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ApproveOptions {
    /// For how long the run waits.
    #[serde(default = "a_day")]
    timeout: Duration,
    /// What is done when nobody has answered.
    #[serde(default = "rollback")]
    on_timeout: OnTimeout,
    /// Whoever started the run may not answer.
    #[serde(default)]
    other_person: bool,
}

fn a_day() -> Duration {
    Duration::from_secs(24 * 3_600)
}

fn rollback() -> OnTimeout {
    OnTimeout::Rollback
}

pub fn register(engine: &mut Engine, session: &Arc<Session>) {
    let at = Arc::clone(session);
    APPROVE
        .function(["question: string"])
        .register_into_engine(engine, move |context: NativeCallContext, question: &str| {
            approve(&at, &context, question, Dynamic::from(Map::new()))
        });
    let at = Arc::clone(session);
    APPROVE
        .function(["question: string", "options: map"])
        .register_into_engine(engine, move |context: NativeCallContext, question: &str, given: Dynamic| {
            approve(&at, &context, question, given)
        });
    let at = Arc::clone(session);
    LOCK.function(["name: string"])
        .register_into_engine(engine, move |context: NativeCallContext, name: &str| lock(&at, &context, name));
}

fn approve(session: &Session, context: &NativeCallContext, question: &str, given: Dynamic) -> Result<()> {
    session.watch.check()?;
    let ApproveOptions { timeout, on_timeout, other_person } = options(session, context, &APPROVE, given)?;
    session.spend(context, Count::Operations, 1)?;
    session.say(context, question.len())?;
    let place = Place::of_call(context).map(|place| place.to_string());
    let ctx = strand::branch(|branch| session.run.context(branch)).at(place);
    let request = Request { question: question.to_owned(), timeout: timeout.0, then: on_timeout, other_person };
    session.wait_for(context, ctx.consent(request))
}

fn lock(session: &Session, context: &NativeCallContext, name: &str) -> Result<()> {
    session.watch.check()?;
    session.spend(context, Count::Operations, 1)?;
    if name.is_empty() || name.len() > 200 {
        return Err(Failure::new("the name of a lock has 1 to 200 characters").at(context).into());
    }
    let run = &session.run;
    session.wait_for(context, run.lock(name))
}
