//! `stage` and `parallel`: the structure of a runbook.

use std::{num::NonZeroUsize, sync::Arc};

use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, ImmutableString, Map, NativeCallContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ControlDoc, ControlOptions, options};
use crate::{
    api::{
        session::{Result, Session},
        strand::{self, Group, StoppedBySibling},
    },
    event::Event,
    run::Branch,
    script::{Callback, Failure, thread},
};

pub const STAGE: ControlDoc = ControlDoc {
    name: "stage",
    signatures: &[r#"stage("name", || { … })"#],
    description: "\
Groups steps under a name in the output, and returns what the block returns. A stage that fails is not
reported as finished.",
    example: r#"let net = stage("network", || ensure_vpc(#{ name: "main", cidr_block: "10.20.0.0/16" }));"#,
    arity: 2..=2,
    options: None,
};

/// How deep `parallel` may nest: each branch on the way waits on a thread of its own.
const NESTED: usize = 8;

pub const PARALLEL: ControlDoc = ControlDoc {
    name: "parallel",
    signatures: &["parallel([|| …, || …])", "parallel(#{ a: || …, b: || … })", "parallel(branches, #{ … })"],
    description: "\
Runs functions at the same time, and returns their results: an array for an array, a map for a map.
Each branch has a copy of the variables it uses. When one fails, the others end after the operation
they are in, and the failure is raised here.",
    example: r#"let zones = parallel(#{
    a: || ensure_vpc(#{ name: "a", cidr_block: "10.20.0.0/16" }),
    b: || ensure_vpc(#{ name: "b", cidr_block: "10.21.0.0/16" }),
});"#,
    arity: 1..=2,
    options: Some(ControlOptions::of::<ParallelOptions>(1)),
};

/// How branches run.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ParallelOptions {
    /// How many run at the same time: all of them if left out, but no more than 64 of a run. Others wait for their turn.
    #[serde(default)]
    max_concurrency: Option<NonZeroUsize>,
    /// What the others do when a branch fails.
    #[serde(default)]
    on_failure: OnFailure,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OnFailure {
    /// They end after the operation they are in.
    #[default]
    RollBack,
    /// They run to their end first.
    Finish,
}

pub fn register(engine: &mut Engine, session: &Arc<Session>) {
    let at = Arc::clone(session);
    STAGE
        .function(["name: string", "block: Fn", "?"])
        .register_into_engine(engine, move |context: NativeCallContext, name: &str, block: FnPtr| {
            stage(&at, &context, name, &block)
        });
    let at = Arc::clone(session);
    PARALLEL.function(["branches: array or map", "?"]).register_into_engine(
        engine,
        move |context: NativeCallContext, branches: Dynamic| {
            parallel(&at, &context, &branches, ParallelOptions::default())
        },
    );
    let at = Arc::clone(session);
    PARALLEL.function(["branches: array or map", "options: map", "?"]).register_into_engine(
        engine,
        move |context: NativeCallContext, branches: Dynamic, given: Dynamic| {
            let given = options(&at, &context, &PARALLEL, given)?;
            parallel(&at, &context, &branches, given)
        },
    );
}

fn stage(session: &Session, context: &NativeCallContext, name: &str, block: &FnPtr) -> Result<Dynamic> {
    session.watch.check()?;
    session.say(context, name.len())?;
    let run = &session.run;
    let started = run.clock().now();
    run.emit(Event::StageStarted { stage: name.to_owned() });
    strand::branch(|branch| branch.enter_stage(name));
    let result = block.call_within_context(context, ());
    strand::branch(Branch::leave_stage);
    if result.is_ok() {
        let elapsed = run.clock().now().duration_since(started).unsigned_abs();
        run.emit(Event::StageFinished { stage: name.to_owned(), elapsed });
    }
    result
}

fn parallel(
    session: &Session,
    context: &NativeCallContext,
    branches: &Dynamic,
    options: ParallelOptions,
) -> Result<Dynamic> {
    session.watch.check()?;
    let (keys, branches) = take_branches(context, branches)?;
    if strand::branch(|branch| branch.depth()) >= NESTED {
        let failure = Failure::new(format!("`parallel` nests more than {NESTED} levels deep"));
        return Err(session.watch.fail(failure.at(context)));
    }
    let at_most = options.max_concurrency.map_or(usize::MAX, NonZeroUsize::get);
    let room = session.budget.branches(branches.len(), at_most);
    let room = room.map_err(|failure| session.watch.fail(failure.at(context)))?;
    let engine = session.engine().expect("the engine runs this function");
    let group = Arc::new(Group::default());
    let strands = strand::fork(branches.len(), &group);
    let _pause = session.watch.pause();
    let results = session.run.clock().branches(branches.len(), room.at_once(), thread::BRANCH_STACK, |index| {
        strands[index].clone().enter();
        thread::enter(thread::BRANCH_STACK);
        // One that has not begun when another fails does not begin.
        let result = session.watch.check().and_then(|()| branches[index].call(&engine, Vec::new()));
        if result.is_err() && options.on_failure == OnFailure::RollBack {
            group.stop();
        }
        result
    });

    let mut values = Vec::with_capacity(results.len());
    let mut stopped = None;
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) if was_stopped(&error) => stopped = stopped.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    if let Some(error) = stopped {
        // By a failure further out.
        return Err(error);
    }
    Ok(match keys {
        None => Dynamic::from(values),
        Some(keys) => {
            let keys = keys.iter().map(|key| key.as_str().into());
            Dynamic::from(keys.zip(values).collect::<Map>())
        }
    })
}

/// The branches with copies of what they captured, and their keys if they came in a map.
fn take_branches(
    context: &NativeCallContext,
    branches: &Dynamic,
) -> Result<(Option<Vec<ImmutableString>>, Vec<Callback>)> {
    let capture = |which: String, branch: &Dynamic| match branch.read_lock::<FnPtr>() {
        Some(function) => Callback::capture(context, &function),
        None => Err(Failure::new(format!("branch {which} of `parallel` is not a function"))
            .help("write `|| …` around it: without that it runs before `parallel` begins")
            .at(context)
            .into()),
    };
    if let Some(items) = branches.read_lock::<Array>() {
        let items = items.iter().enumerate().map(|(index, item)| capture((index + 1).to_string(), item));
        return Ok((None, items.collect::<Result<_>>()?));
    }
    if let Some(map) = branches.read_lock::<Map>() {
        let keys = map.keys().map(|key| key.as_str().into()).collect();
        let items = map.iter().map(|(key, item)| capture(format!("`{key}`"), item));
        return Ok((Some(keys), items.collect::<Result<_>>()?));
    }
    Err(Failure::new("`parallel` expects an array or a map of functions")
        .help("write parallel([|| …, || …])")
        .at(context)
        .into())
}

fn was_stopped(error: &EvalAltResult) -> bool {
    match error.unwrap_inner() {
        EvalAltResult::ErrorTerminated(value, _) | EvalAltResult::ErrorRuntime(value, _) => {
            value.read_lock::<Failure>().is_some_and(|failure| failure.cause::<StoppedBySibling>().is_some())
        }
        _ => false,
    }
}
