//! Puts a run together and begins it: target, journal, script.

use std::{io::Write as _, path::PathBuf, sync::Arc, time::Instant};

use jiff::Timestamp;
use miette::miette;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Console, Exit, Failure, Global,
    drive::{Driving, unwritten},
    exit, inputs,
    place::{Place, open_store},
    take_up::Found,
};
use crate::{
    api::{self, Host, Inputs},
    event::{Event, Events, Report},
    report::{Ink, Verbosity},
    run::{Alive, Consent, Driver, Given, Journal, Run, RunId, Started, Store, StoreError, hex},
    script::Runbook,
    settings::{OnInterrupt, RunSettings, Target, WorldChoice},
    sim::Simulator,
};

/// What scripts and journals mean. It changes when a run that another version has begun cannot be gone on with.
pub(super) const SEMANTICS: u32 = 1;

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
    let began = Instant::now();
    let tokio = runtime()?;
    let _tokio = tokio.enter();
    let place = Place::open(settings)?;
    let events = Events::new(place.clock.clone(), reports);
    let (id, journal, alive) = begin_journal(settings, place.clock.now())?;
    let run = Run::new(id, place.clock.clone(), events, journal, place.endpoint.clone(), settings.seed);
    run.can_go_on(&place.id);
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
    // Also of a script that came with this program, and is no file of the project.
    if let Some(text) = runbook.library().text(runbook.name()) {
        run.keep_file(runbook.name(), runbook.name(), &text);
    }
    let files = Arc::downgrade(&run);
    runbook.project().observe(move |file| {
        if let Some(run) = files.upgrade() {
            run.keep_file(&file.asked, &file.name, &file.text);
        }
    });
    // All of them are on record before anything is done.
    api::read_modules(runbook);
    let started = beginning(settings, runbook, &place.name, &place.id, place.world.clone());
    run.begin(started, Driver::here()).map_err(|error| unwritten(&error))?;
    run.set_aside(settings.overrides.clone());
    run.found_by(settings.found_by.clone());
    run.asks(consent(settings.interactive));
    // In a world that is gone with the process nobody goes on.
    let can_go_on = place.world.is_some() || settings.target != Target::Sim;
    let on_interrupt = if can_go_on { settings.on_interrupt } else { OnInterrupt::Rollback };
    let driving = Driving { run, place, started: began, on_interrupt, alive };
    driving.obey_signals(&tokio);
    let host = Host::new(driving.run.clone(), given(settings));
    let failure = host.execute(runbook).err();
    driving.end(failure)
}

/// All that is needed to run it again elsewhere.
pub(super) fn beginning(
    settings: &RunSettings,
    runbook: &Runbook,
    target: &str,
    target_id: &str,
    world: Option<PathBuf>,
) -> Started {
    let salt = format!("{:032x}", fastrand::u128(..));
    let given = |(name, value): (&String, &Value)| {
        let given = match api::may_be_secret(runbook, name) {
            true => Given::Digest(digest(&salt, name, value)),
            false => Given::Value(value.clone()),
        };
        (name.clone(), given)
    };
    Started {
        runbook: runbook.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        semantics: SEMANTICS,
        target: target.to_owned(),
        target_id: target_id.to_owned(),
        world,
        seed: settings.seed,
        environment: settings.environment.clone(),
        params: settings.params.iter().map(given).collect(),
        salt,
    }
}

/// Tells whether a secret that is given again is the same one, and nothing else about it.
pub(super) fn digest(salt: &str, name: &str, value: &Value) -> String {
    hex(&Sha256::digest(format!("{salt}/{name}/{value}")))
}

/// Who is asked for approvals.
pub(super) fn consent(interactive: bool) -> Consent {
    if interactive { Consent::Person(ask) } else { Consent::Elsewhere }
}

/// Asks on the terminal.
fn ask(question: &str) -> Option<bool> {
    let mut err = std::io::stderr();
    write!(err, "\n{question}").ok()?;
    loop {
        write!(err, "\n[yes/no, nothing to answer later] ").and_then(|()| err.flush()).ok()?;
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim().to_lowercase().as_str() {
            "y" | "yes" => return Some(true),
            "n" | "no" => return Some(false),
            "" => return None,
            _ => {}
        }
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
fn begin_journal(settings: &RunSettings, now: Timestamp) -> Result<(RunId, Journal, Alive), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(exit::FAILED, miette!("{error}"));
    let store = open_store(&settings.journal)?;
    let repeats = settings.target == Target::Sim && settings.world == WorldChoice::Fresh;
    let mut seed = settings.seed;
    loop {
        let id = RunId::new(now, seed);
        // The same run in the same new world again takes the place of the one before, which nobody can go on with.
        let is_there = Journal::is_there(&store, id.as_str()).map_err(|error| failed(&error))?;
        let is_gone = || Found::read(store.clone(), id.as_str()).is_ok_and(|found| found.past.started.world.is_none());
        if is_there && !(repeats && is_gone()) {
            seed = seed.wrapping_add(1);
            continue;
        }
        let alive = Alive::show(&store, id.as_str(), 1).map_err(|error| failed(&error))?;
        // Another process is about to begin it, in this very moment.
        let Some(alive) = alive else {
            seed = seed.wrapping_add(1);
            continue;
        };
        if is_there {
            remove(&store, id.as_str()).map_err(|error| failed(&error))?;
        }
        let journal = Journal::new(store, id.as_str());
        return Ok((id, journal, alive));
    }
}

fn remove(store: &Store, run: &str) -> Result<(), StoreError> {
    // From its end: what is left of a journal is whole, whenever this stops.
    store.list(&format!("runs/{run}/j"))?.iter().rev().try_for_each(|key| store.remove(key))
}
