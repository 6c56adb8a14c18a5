//! Whether a script does what a run of before has done: it is run against the journal, and nothing else.

use std::sync::Arc;

use super::{
    Failure,
    execute::given,
    exit,
    take_up::{Again, Found, settings_of},
};
use crate::{
    api::{FailureKind, Host, ScriptFailure},
    aws::Endpoint,
    clock::Clock,
    event::Events,
    ops,
    run::{Journal, Run, RunId},
    script::Runbook,
    settings::File,
    sim::{Simulator, Source},
};

/// Runs `runbook` as far as the journal goes. Nothing is sent, and nothing written down.
///
/// # Errors
/// With the first difference; or if the script fails where it did not fail then.
pub fn matches(found: &Found, runbook: &Runbook, file: &File, again: &Again) -> Result<(), Failure> {
    let settings = settings_of(&found.past.started, file, again)?;
    // The time of the run is on record; whatever is asked beyond the record, ends.
    let simulator = Simulator::open(Source::Fresh, 1);
    let simulator = simulator.map_err(|error| Failure::new(exit::BUG, miette::miette!("{error}")))?;
    let clock = Clock::virtual_from(found.past.began, found.past.started.seed);
    let events = Events::new(clock.clone(), Vec::new());
    let (id, journal) = (RunId::known(found.id()), Journal::in_memory(found.id()));
    let run = Run::new(id, clock, events, journal, Endpoint::Sim(Arc::new(simulator)), found.past.started.seed);
    run.go_on(found.past.clone(), &found.history.entries);
    run.only_replay();
    match Host::new(Arc::clone(&run), given(&settings)).execute(runbook) {
        Ok(()) => Ok(()),
        Err(failure) if is_the_end(&failure) || fails_as_then(found, &failure) => Ok(()),
        Err(failure) => Err(Failure::new(exit::USAGE, *failure.problem)),
    }
}

/// The record ends, and the script wants to go on.
fn is_the_end(failure: &ScriptFailure) -> bool {
    match &failure.kind {
        FailureKind::Interrupted => true,
        FailureKind::Operation(error) => matches!(**error, ops::Error::Asks { .. }),
        FailureKind::Script | FailureKind::Usage | FailureKind::Bug => false,
    }
}

/// It ended with a failure then, and does so now.
fn fails_as_then(found: &Found, failure: &ScriptFailure) -> bool {
    let is_difference =
        matches!(&failure.kind, FailureKind::Operation(error) if matches!(**error, ops::Error::Diverged(_)));
    found.past.is_rolling_back() && !is_difference
}
