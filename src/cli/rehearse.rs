//! Runs a runbook to its end, and back if it fails, on an AWS of its own: a copy, or a fork of the live account. Nothing of
//! it stays.

use std::sync::Arc;

use jiff::Timestamp;
use thiserror::Error;
use tokio::runtime::Handle;

use super::{
    Exit,
    drive::conclude,
    execute::{beginning, given},
    exit,
};
use crate::{
    api::{Host, ScriptFailure},
    aws::{Endpoint, LiveAccounts},
    clock::Clock,
    event::{Event, Events, Outcome, Report, Traffic},
    ops::ownership::STACK_TAG,
    plan::{Collector, FleetSize},
    redact::Secrets,
    run::{Consent, Driver, History, HistoryError, Journal, JournalError, Past, Run, RunId, Store},
    script::Runbook,
    settings::{OnInterrupt, RunSettings},
    sim::Simulator,
};

/// Where it is rehearsed.
#[derive(Clone)]
pub struct Stage {
    /// As the plan names it: `aws`, `sim`, `offline`, a URL.
    pub name: String,
    pub simulator: Arc<Simulator>,
    /// The accounts that the simulator is a fork of.
    pub live: Option<Arc<LiveAccounts>>,
}

/// How a rehearsal went.
pub struct Rehearsal {
    /// What the runbook was given and nobody is to see.
    pub secrets: Secrets,
    pub failure: Option<ScriptFailure>,
    pub outcome: Outcome,
    /// What a run would exit with.
    pub exit: Exit,
    pub traffic: Traffic,
    /// How long it took in its own time, rollback included.
    pub seconds: f64,
    /// Objects of the journal that it has written.
    pub written: u64,
}

/// What a rehearsal is for.
#[derive(Clone, Copy)]
pub enum Purpose<'a> {
    /// A plan: what each call asks for is told, and all that policy says no to, not only the first. The collector hears of
    /// everything but the rollback.
    Plan(Option<&'a Collector>),
    /// To see how a run goes, which has an id of its own.
    Trial,
    /// The same, with a journal that another process can go on from.
    Journaled(&'a Store),
}

/// What is done with a run that is taken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Resume,
    Rollback,
}

/// The id of a run that is alone in its store.
pub const STORED: &str = "rehearsed";

/// Rehearses `runbook`.
pub fn rehearse(
    settings: &RunSettings,
    runbook: &Runbook,
    stage: &Stage,
    purpose: Purpose<'_>,
    mut reports: Vec<Box<dyn Report>>,
) -> Rehearsal {
    let collector = match purpose {
        Purpose::Plan(collector) => collector,
        Purpose::Trial | Purpose::Journaled(_) => None,
    };
    let (start, clock) = stage.begin(settings.seed, collector);
    stage.simulator.begin_run();
    if let Some(collector) = collector {
        collector.fleets(start, fleets(&stage.simulator));
        reports.push(Box::new(collector.clone()));
    }
    let id = match purpose {
        Purpose::Plan(_) => RunId::plan(),
        Purpose::Trial => RunId::new(start, settings.seed),
        Purpose::Journaled(_) => RunId::known(STORED),
    };
    let journal = match purpose {
        Purpose::Plan(_) | Purpose::Trial => Journal::in_memory(id.as_str()),
        Purpose::Journaled(store) => Journal::new(store.clone(), STORED),
    };
    let run = stage.run(settings, runbook, id, clock, journal, reports);
    match purpose {
        Purpose::Plan(_) => {
            run.show_requests();
            run.collect_denials();
        }
        Purpose::Journaled(_) => {
            run.can_go_on(STORED);
            // If it cannot be written, the first change says so.
            let _ = run.begin(beginning(settings, runbook, &stage.name, STORED, None), Driver::here());
        }
        Purpose::Trial => {}
    }
    let host = Host::new(Arc::clone(&run), given(settings));
    let failure = host.execute(runbook).err();
    if failure.is_none() {
        run.warn_of_unused_overrides();
    }
    let concluded = match &failure {
        None => (Outcome::Succeeded, exit::DONE),
        Some(failure) => conclude(&run, failure, OnInterrupt::Rollback),
    };
    stage.end(&run, start, concluded, failure)
}

/// Goes on with the run in this journal, in the world as it is by now, or takes it back.
///
/// # Errors
/// If the journal is not whole, or somebody else has written it meanwhile.
pub fn rehearse_again(
    settings: &RunSettings,
    runbook: &Runbook,
    stage: &Stage,
    store: &Store,
    verb: Verb,
    reports: Vec<Box<dyn Report>>,
) -> Result<Rehearsal, NotTakenUp> {
    let history = History::read(store, STORED)?;
    let past = Past::of(&history.entries).ok_or_else(|| HistoryError::Absent(STORED.to_owned()))?;
    let journal = Journal::claim(store.clone(), &history, Driver::here(), "resume", false)?;
    let (start, clock) = stage.begin(settings.seed, None);
    // What its users see is counted from its beginning.
    let before = stage.simulator.traffic();
    let run = stage.run(settings, runbook, RunId::known(STORED), clock, journal, reports);
    run.can_go_on(STORED);
    run.go_on(past, &history.entries);
    let host = Host::new(Arc::clone(&run), given(settings));
    let goes_back = verb == Verb::Rollback || run.is_rolling_back();
    if goes_back && run.has_hooks_of_before() {
        run.only_replay();
    }
    let failure = if goes_back && !run.has_hooks_of_before() { None } else { host.execute(runbook).err() };
    let concluded = match &failure {
        _ if goes_back => {
            let report = run.roll_back("asked for");
            match (report.lost, report.is_clean()) {
                (true, _) => (Outcome::Suspended, exit::INTERRUPTED),
                (false, true) => (Outcome::RolledBack, exit::ROLLED_BACK),
                (false, false) => (Outcome::RollbackFailed, exit::ROLLBACK_FAILED),
            }
        }
        None => (Outcome::Succeeded, exit::DONE),
        Some(failure) => conclude(&run, failure, OnInterrupt::Rollback),
    };
    let mut ended = stage.end(&run, start, concluded, failure.filter(|_| !goes_back));
    ended.traffic.served -= before.served;
    ended.traffic.failed -= before.failed;
    Ok(ended)
}

/// Why a run could not be taken up.
#[derive(Debug, Error)]
pub enum NotTakenUp {
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Stage {
    /// The clock of a run that begins now.
    fn begin(&self, seed: u64, collector: Option<&Collector>) -> (Timestamp, Clock) {
        // A second of nothing, as before each run: the first event is not at the moment of the last one.
        let start = self.simulator.clock() + std::time::Duration::from_secs(1);
        let clock = Clock::virtual_from(start, seed);
        self.simulator.advance(start);
        let (world, watched) = (Arc::clone(&self.simulator), collector.cloned());
        clock.on_advance(move |now| match &watched {
            Some(collector) => world.advance_by_steps(now, |at| collector.fleets(at, fleets(&world))),
            None => world.advance(now),
        });
        (start, clock)
    }

    fn run(
        &self,
        settings: &RunSettings,
        runbook: &Runbook,
        id: RunId,
        clock: Clock,
        journal: Journal,
        reports: Vec<Box<dyn Report>>,
    ) -> Arc<Run> {
        let simulator = Arc::clone(&self.simulator);
        let endpoint = match &self.live {
            Some(live) => Endpoint::Fork { simulator, live: Arc::clone(live) },
            None => Endpoint::Sim(simulator),
        };
        let events = Events::new(clock.clone(), reports);
        let run = Run::new(id, clock, events, journal, endpoint, settings.seed);
        run.set_aside(settings.overrides.clone());
        run.asks(Consent::Assumed);
        run.emit(Event::RunStarted {
            run: run.id().as_str().to_owned(),
            runbook: runbook.name().to_owned(),
            target: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        run
    }

    fn end(
        &self,
        run: &Arc<Run>,
        start: Timestamp,
        (outcome, exit): (Outcome, Exit),
        failure: Option<ScriptFailure>,
    ) -> Rehearsal {
        if outcome != Outcome::Suspended {
            // What is lost is lost with the run.
            let _ = run.finish(exit.code);
        }
        let now = run.clock().now();
        self.simulator.advance(now);
        let traffic = self.simulator.traffic();
        run.emit(Event::RunFinished {
            outcome,
            exit_code: exit.code,
            error: failure.as_ref().map(|failure| failure.message.clone()),
            summary: Box::new(run.summary()),
        });
        Rehearsal {
            secrets: run.secrets().clone(),
            failure,
            outcome,
            exit,
            traffic: traffic.into(),
            seconds: since(start, now),
            written: run.written(),
        }
    }
}

/// The accounts to read, at the time of now.
pub fn live(endpoint_url: Option<String>, seed: u64) -> Stage {
    // Called inside the runtime: `LiveAccounts` keeps its handle.
    debug_assert!(Handle::try_current().is_ok());
    let live = Arc::new(LiveAccounts::new(endpoint_url.clone()));
    let simulator = Simulator::fork(live.clone(), Timestamp::now(), seed);
    Stage { name: endpoint_url.unwrap_or_else(|| "aws".to_owned()), simulator: Arc::new(simulator), live: Some(live) }
}

/// The fleets as they are, each with the stack that owns it.
fn fleets(simulator: &Simulator) -> Vec<(Option<String>, FleetSize)> {
    let owned = |mut fleet: crate::sim::Fleet| {
        let size = FleetSize {
            auto_scaling_group: fleet.name,
            desired: fleet.desired,
            instances: fleet.instances,
            in_service: fleet.in_service,
            healthy: fleet.healthy,
        };
        (fleet.tags.remove(STACK_TAG), size)
    };
    simulator.fleets().into_iter().map(owned).collect()
}

fn since(start: Timestamp, end: Timestamp) -> f64 {
    end.duration_since(start).as_secs_f64()
}
