//! Puts a run together and sees it to its end: target, journal, script, rollback, figures.

use std::{fs, io::Write as _, path::Path, sync::Arc, time::Instant};

use jiff::Timestamp;
use miette::miette;
use sha2::{Digest, Sha256};
use tokio::signal::unix::{SignalKind, signal};

use super::{Console, Exit, Failure, Global, exit, inputs};
use crate::{
    api::{FailureKind, Host, Inputs, ScriptFailure},
    aws::{ConnectError, Endpoint},
    clock::Clock,
    event::{Event, Events, Outcome, Report, Traffic},
    ops,
    report::{Ink, Verbosity},
    run::{Journal, Record, Run, RunId, hex},
    script::Runbook,
    settings::{RunSettings, Target, WorldChoice},
    sim::{Fault, Simulator, Source},
};

/// Threads for I/O. The work itself is done by the strands of the run.
const IO_THREADS: usize = 2;

/// What drives the I/O of a run.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(IO_THREADS)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(exit::FAILED, miette!("the operating system gives no threads: {error}")))
}

/// Runs `runbook` to its end, or back.
pub fn execute(settings: &RunSettings, runbook: &Runbook, reports: Vec<Box<dyn Report>>) -> Result<Exit, Failure> {
    let started = Instant::now();
    let tokio = runtime()?;
    let _tokio = tokio.enter();
    let place = Place::open(settings)?;
    let events = Events::new(place.clock.clone(), reports);
    let (id, journal) = begin_journal(settings, place.clock.now())?;
    let run = Run::new(id, place.clock.clone(), events, journal, place.endpoint.clone(), settings.seed);
    if let Some(file) = &settings.record_wire {
        run.record_wire(file).map_err(|error| {
            Failure::new(exit::USAGE, miette!("cannot write requests and replies to `{}`: {error}", file.display()))
        })?;
    }
    run.emit(Event::RunStarted {
        run: run.id().as_str().to_owned(),
        runbook: runbook.name().to_owned(),
        target: place.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    });
    let text = fs::read(&settings.runbook).unwrap_or_default();
    run.begin(Record::RunStarted {
        runbook: runbook.name().to_owned(),
        script_sha256: hex(&Sha256::digest(text)),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        target: place.name.clone(),
        seed: settings.seed,
    })
    .map_err(|error| Failure::new(exit::FAILED, miette!("{error}")))?;
    run.set_aside(settings.overrides.clone());
    tokio.spawn(obey_signals(run.clone()));

    let host = Host::new(run.clone(), given(settings));
    let failure = host.execute(runbook).err();
    let (outcome, exit) = match &failure {
        None => (Outcome::Succeeded, exit::DONE),
        Some(failure) => conclude(&run, failure),
    };
    run.warn_of_unused_overrides();
    run.warn_of_unwritten_wire();
    for fault in place.faults_unused() {
        run.emit(Event::Warning { message: unused(&fault) });
    }
    let mut summary = run.summary();
    summary.wall = started.elapsed();
    summary.traffic = place.leave();
    let error = failure.as_ref().map(|failure| failure.message.clone());
    run.emit(Event::RunFinished { outcome, exit_code: exit.code, error, summary: Box::new(summary) });
    if let Err(error) = run.finish(exit.code) {
        run.emit(Event::Warning { message: error.to_string() });
    }
    match failure {
        None => Ok(exit),
        Some(failure) => Err(Failure::new(exit, *failure.problem)),
    }
}

/// What the runbook is given.
pub(super) fn given(settings: &RunSettings) -> Inputs {
    Inputs {
        environments: settings.environments.clone(),
        environment: settings.environment.clone(),
        params: settings.params.clone(),
        interactive: settings.interactive,
    }
}

/// Where a run takes place.
struct Place {
    /// As events and journal name it.
    name: String,
    clock: Clock,
    endpoint: Endpoint,
}

impl Place {
    fn open(settings: &RunSettings) -> Result<Self, Failure> {
        if let Some(url) = &settings.endpoint_url {
            return Ok(Self { name: url.clone(), clock: Clock::real(), endpoint: Endpoint::Url(url.clone()) });
        }
        match settings.target {
            Target::Aws => Ok(Self { name: "aws".to_owned(), clock: Clock::real(), endpoint: Endpoint::Aws }),
            Target::Sim => Self::open_world(settings),
        }
    }

    fn open_world(settings: &RunSettings) -> Result<Self, Failure> {
        let source = match &settings.world {
            WorldChoice::Fresh => Source::Fresh,
            WorldChoice::Kept(dir) => Source::Dir(dir.clone()),
        };
        let simulator =
            Simulator::open(source, settings.seed).map_err(|error| Failure::new(exit::USAGE, miette!("{error}")))?;
        let simulator = Arc::new(simulator);
        // A second of nothing: a run never begins in the moment in which another one ended.
        let clock = Clock::virtual_from(simulator.clock() + std::time::Duration::from_secs(1), settings.seed);
        simulator.advance(clock.now());
        simulator.begin_run();
        simulator.ask_for(settings.faults.clone());
        let world = simulator.clone();
        clock.on_advance(move |now| world.advance(now));
        Ok(Self { name: "sim".to_owned(), clock, endpoint: Endpoint::Sim(simulator) })
    }

    fn faults_unused(&self) -> Vec<Fault> {
        let Endpoint::Sim(simulator) = &self.endpoint else { return Vec::new() };
        simulator.faults_unused()
    }

    /// Leaves the world as the next run is to find it. Returns what its users saw meanwhile.
    fn leave(&self) -> Option<Traffic> {
        let Endpoint::Sim(simulator) = &self.endpoint else { return None };
        simulator.advance(self.clock.now());
        let traffic = simulator.traffic();
        // Without the snapshot the next opening replays the log: slower, and no less right.
        let _ = simulator.close();
        Some(traffic.into())
    }
}

/// A fault that was asked for in vain.
pub(super) fn unused(fault: &Fault) -> String {
    format!("the fault `{fault}` did not happen: there was no such call, or nothing it could happen to")
}

/// Says that a world which was named is not there: after a slip, everything would look like a new account.
pub(super) fn tell_of_new_world(
    place: &inputs::Place,
    settings: &RunSettings,
    what: &str,
    global: &Global,
    console: &Console,
) {
    let WorldChoice::Kept(dir) = &settings.world else { return };
    let is_named = settings.target == Target::Sim && place.world.is_some();
    if is_named && !Simulator::is_in(dir) && global.verbosity() >= Verbosity::Normal {
        let note = format!(
            "{} there is no simulated world in `{}`: {what}",
            console.err.paint(Ink::Yellow, "!"),
            dir.display()
        );
        // Nobody is left to be told when this cannot be written.
        let _ = writeln!(std::io::stderr(), "{note}");
    }
}

/// Finds an id that no journal has yet, and begins its journal.
fn begin_journal(settings: &RunSettings, now: Timestamp) -> Result<(RunId, Journal), Failure> {
    let root = settings.state_dir.join("journal");
    let failed = |error: &dyn std::fmt::Display| Failure::new(exit::FAILED, miette!("{error}"));
    let repeats = settings.target == Target::Sim && settings.world == WorldChoice::Fresh;
    let mut seed = settings.seed;
    loop {
        let id = RunId::new(now, seed);
        let dir = root.join("runs").join(id.as_str());
        if repeats {
            // The same run in the same new world again: it takes the place of the one before.
            remove(&dir).map_err(|error| failed(&error))?;
        } else if dir.exists() {
            seed = seed.wrapping_add(1);
            continue;
        }
        let journal = Journal::create(&root, id.as_str()).map_err(|error| failed(&error))?;
        return Ok((id, journal));
    }
}

fn remove(dir: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// After a failure: goes back if there is something to take back, and says how the account was left.
///
/// If anything was changed, the code tells what became of it; if nothing was, it tells the cause.
pub(super) fn conclude(run: &Arc<Run>, failure: &ScriptFailure) -> (Outcome, Exit) {
    if run.committed().is_some() && run.changed_anything() {
        return (Outcome::CleanUpUnfinished, exit::UNFINISHED);
    }
    let report = run.has_undos().then(|| run.roll_back(first_line(&failure.message)));
    if run.changed_anything() {
        return match report {
            Some(report) if !report.is_clean() => (Outcome::RollbackFailed, exit::ROLLBACK_FAILED),
            _ => (Outcome::RolledBack, exit::ROLLED_BACK),
        };
    }
    by_cause(&failure.kind)
}

/// What the cause says when nothing was changed.
pub(super) fn by_cause(kind: &FailureKind) -> (Outcome, Exit) {
    match kind {
        FailureKind::Interrupted => (Outcome::Interrupted, exit::INTERRUPTED),
        FailureKind::Script | FailureKind::Usage => (Outcome::Failed, exit::USAGE),
        FailureKind::Bug => (Outcome::Failed, exit::BUG),
        FailureKind::Operation(error) if error.is_permission() => (Outcome::Failed, exit::PERMISSION),
        FailureKind::Operation(error) => match **error {
            ops::Error::TimedOut { .. } => (Outcome::Failed, exit::TIMED_OUT),
            ops::Error::Policy(_) => (Outcome::Failed, exit::REFUSED),
            ops::Error::Connect(ConnectError::NoRegion | ConnectError::BadRole(_)) => (Outcome::Failed, exit::USAGE),
            _ => (Outcome::Failed, exit::FAILED),
        },
    }
}

/// The error itself, without the places it went through.
pub(super) fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// The first signal takes the run back, the second leaves at once.
async fn obey_signals(run: Arc<Run>) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        run.emit(Event::Warning { message: "Ctrl-C cannot be caught: it will end the run at once".to_owned() });
        return;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if run.interrupt().request() {
            std::process::exit(exit::INTERRUPTED.code.into());
        }
        let message = "stopping: calls under way are finished, then the run is rolled back; again to leave at once";
        run.emit(Event::Warning { message: message.to_owned() });
    }
}
