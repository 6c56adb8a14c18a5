//! `on_rollback`, `commit` and `fail`: what happens when things go wrong.

use std::sync::{Arc, Weak};

use rhai::{Dynamic, Engine, FnPtr, NativeCallContext};

use super::ControlDoc;
use crate::{
    api::{
        budget::Count,
        failure,
        session::{Result, Session},
        strand::{self, Strand},
    },
    run::Hook,
    script::{Callback, Failure, Place, Trace, Vocabulary, thread},
};

pub const ON_ROLLBACK: ControlDoc = ControlDoc {
    name: "on_rollback",
    signatures: &["on_rollback(|| …)", r#"on_rollback("label", || …)"#],
    description: "\
Registers a function to be called if the run is rolled back, between the undos of what was done before
and after. It sees the variables as they are now. What operations did is undone without it.",
    example: r#"on_rollback("tell the team", || log("production is back on the old version"));"#,
    arity: 1..=2,
    options: None,
};

pub const COMMIT: ControlDoc = ControlDoc {
    name: "commit",
    signatures: &[r#"commit("label")"#],
    description: "\
The point of no return: what was done until here stays, whatever happens later. `bluegreen::deploy`
calls it when it begins to remove the old fleet.",
    example: r#"commit("traffic is on the new version");"#,
    arity: 1..=1,
    options: None,
};

pub const FAIL: ControlDoc = ControlDoc {
    name: "fail",
    signatures: &[r#"fail("message")"#],
    description: "Ends the run as failed, which rolls it back, unless the runbook catches it.",
    example: r#"if env.vars.frozen { fail("production is frozen"); }"#,
    arity: 1..=1,
    options: None,
};

pub fn register(engine: &mut Engine, session: &Arc<Session>) {
    let at = Arc::clone(session);
    ON_ROLLBACK.function(["hook: Fn"]).register_into_engine(engine, move |context: NativeCallContext, hook: FnPtr| {
        on_rollback(&at, &context, None, &hook)
    });
    let at = Arc::clone(session);
    ON_ROLLBACK
        .function(["label: string", "hook: Fn"])
        .register_into_engine(engine, move |context: NativeCallContext, label: &str, hook: FnPtr| {
            on_rollback(&at, &context, Some(label), &hook)
        });
    let at = Arc::clone(session);
    COMMIT.function(["label: string"]).register_into_engine(
        engine,
        move |context: NativeCallContext, label: &str| -> Result<()> {
            at.watch.check()?;
            at.spend(&context, Count::Commits, 1)?;
            at.say(&context, label.len())?;
            at.run.commit(label).map_err(|error| failure::raise(&at, error, Failure::new("").at(&context)))
        },
    );
    FAIL.function(["message: string"]).register_into_engine(
        engine,
        |context: NativeCallContext, message: &str| -> Result<Dynamic> {
            Err(Failure::new(message).at(&context).into())
        },
    );
}

fn on_rollback(session: &Arc<Session>, context: &NativeCallContext, label: Option<&str>, hook: &FnPtr) -> Result<()> {
    session.watch.check()?;
    session.spend(context, Count::Hooks, 1)?;
    let hook = Callback::capture(context, hook)?;
    let place = Place::of_call(context).map(|place| format!("{}:{}", place.file, place.line));
    let label = label.map(str::to_owned).or(place).unwrap_or_default();
    let strand = strand::later();
    // Weak: the run keeps the hook, and the session the run.
    let at = Arc::downgrade(session);
    session.run.on_rollback(Hook { label, call: Some(Box::new(move || call_hook(&at, &hook, strand))) });
    Ok(())
}

fn call_hook(session: &Weak<Session>, hook: &Callback, strand: Strand) -> std::result::Result<(), String> {
    let gone = || "the script it belongs to is gone".to_owned();
    let session = session.upgrade().ok_or_else(gone)?;
    let engine = session.engine().ok_or_else(gone)?;
    session.go_back();
    let result = thread::run("hook", || {
        strand.enter();
        hook.call(&engine, Vec::new())
    });
    match result {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            let file = hook.place().map_or_else(Default::default, |place| place.file);
            Err(Trace::new(&file, *error, &session.library, &Vocabulary::default()).compact())
        }
        Err(panic) => Err(format!("a bug in runner: {panic}")),
    }
}
