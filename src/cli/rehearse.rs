//! Runs a runbook to its end, and back if it fails, on an AWS of its own: a copy, or a fork of the live account. Nothing of
//! it stays.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::runtime::Handle;

use super::{Exit, drive::conclude, execute::given, exit};
use crate::{
    api::{Host, ScriptFailure},
    aws::{Endpoint, LiveAccounts},
    clock::Clock,
    event::{Event, Events, Outcome, Report, Traffic},
    ops::ownership::STACK_TAG,
    plan::{Collector, FleetSize},
    redact::Secrets,
    run::{Journal, Run, RunId},
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
}

/// What a rehearsal is for.
#[derive(Clone, Copy)]
pub enum Purpose<'a> {
    /// A plan: what each call asks for is told, and all that policy says no to, not only the first. The collector hears of
    /// everything but the rollback.
    Plan(Option<&'a Collector>),
    /// To see how a run goes, which has an id of its own.
    Trial,
}

/// Rehearses `runbook`.
pub fn rehearse(
    settings: &RunSettings,
    runbook: &Runbook,
    stage: &Stage,
    purpose: Purpose<'_>,
    mut reports: Vec<Box<dyn Report>>,
) -> Rehearsal {
    let Stage { name, simulator, live } = stage;
    let collector = match purpose {
        Purpose::Plan(collector) => collector,
        Purpose::Trial => None,
    };
    // A second of nothing, as before each run: the first event is not at the moment of the last one.
    let start = simulator.clock() + std::time::Duration::from_secs(1);
    let clock = Clock::virtual_from(start, settings.seed);
    simulator.advance(start);
    simulator.begin_run();
    let (world, watched) = (Arc::clone(simulator), collector.cloned());
    clock.on_advance(move |now| match &watched {
        Some(collector) => world.advance_by_steps(now, |at| collector.fleets(at, fleets(&world))),
        None => world.advance(now),
    });
    if let Some(collector) = collector {
        collector.fleets(start, fleets(simulator));
        reports.push(Box::new(collector.clone()));
    }
    let endpoint = match live {
        Some(live) => Endpoint::Fork { simulator: Arc::clone(simulator), live: Arc::clone(live) },
        None => Endpoint::Sim(Arc::clone(simulator)),
    };
    let events = Events::new(clock.clone(), reports);
    let id = match purpose {
        Purpose::Plan(_) => RunId::plan(),
        Purpose::Trial => RunId::new(start, settings.seed),
    };
    let journal = Journal::in_memory(id.as_str());
    let run = Run::new(id, clock.clone(), events, journal, endpoint, settings.seed);
    if let Purpose::Plan(_) = purpose {
        run.show_requests();
        run.collect_denials();
    }
    run.set_aside(settings.overrides.clone());
    run.emit(Event::RunStarted {
        run: run.id().as_str().to_owned(),
        runbook: runbook.name().to_owned(),
        target: name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    let host = Host::new(Arc::clone(&run), given(settings));
    let failure = host.execute(runbook).err();
    if failure.is_none() {
        run.warn_of_unused_overrides();
    }
    let (outcome, exit) = match &failure {
        None => (Outcome::Succeeded, exit::DONE),
        Some(failure) => conclude(&run, failure, OnInterrupt::Rollback),
    };
    simulator.advance(clock.now());
    let traffic = simulator.traffic();
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
        seconds: since(start, clock.now()),
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
