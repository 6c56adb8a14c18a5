//! Where a run takes place: AWS, another endpoint, or a simulated world; and where its journal is.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use miette::miette;

use super::{Failure, exit};
use crate::{
    aws::{Endpoint, bucket},
    clock::Clock,
    event::Traffic,
    run::Store,
    settings::{JournalPlace, RunSettings, Target, WorldChoice},
    sim::{Fault, Simulator, Source, WorldError},
};

/// `virtual`: the waits of a run at another endpoint take no time. An emulator has nothing to wait for.
const TIME: &str = "RUNNER_TIME";

/// Where a run takes place.
pub struct Place {
    /// As events and journal name it.
    pub name: String,
    /// The same as an identity: a run that goes on has to find the one it began in.
    pub id: String,
    /// The folder of the simulated world.
    pub world: Option<PathBuf>,
    pub clock: Clock,
    pub endpoint: Endpoint,
}

impl Place {
    pub fn open(settings: &RunSettings) -> Result<Self, Failure> {
        let place = Self::reopen(settings, None)?;
        if let Endpoint::Sim(simulator) = &place.endpoint {
            simulator.begin_run();
        }
        Ok(place)
    }

    /// For a run that goes on: what its users see is counted from its beginning. Where time is virtual, that of its last record
    /// has `passed`: a simulated AWS knows after a crash only of its last change.
    pub fn reopen(settings: &RunSettings, passed: Option<Timestamp>) -> Result<Self, Failure> {
        let at = |name: &str, clock, endpoint| Self {
            name: name.to_owned(),
            id: name.to_owned(),
            world: None,
            clock,
            endpoint,
        };
        if let Some(url) = &settings.endpoint_url {
            let clock = match std::env::var_os(TIME).as_deref().map(std::ffi::OsStr::to_str) {
                None | Some(Some("real")) => Clock::real(),
                Some(Some("virtual")) => {
                    let now = Timestamp::now();
                    Clock::virtual_from(passed.map_or(now, |passed| passed.max(now)), settings.seed)
                }
                Some(other) => {
                    let found = other.unwrap_or("no text");
                    let message = miette!("{TIME} is `virtual` or `real`, found `{found}`");
                    return Err(Failure::new(exit::USAGE, message));
                }
            };
            return Ok(at(url, clock, Endpoint::Url(url.clone())));
        }
        match settings.target {
            Target::Aws => Ok(at("aws", Clock::real(), Endpoint::Aws)),
            Target::Sim => Self::open_world(settings, passed),
        }
    }

    /// For a look: a simulated world is copied, and whoever uses it goes on.
    pub fn look_at(settings: &RunSettings) -> Result<Self, Failure> {
        match (&settings.endpoint_url, settings.target, &settings.world) {
            (None, Target::Sim, WorldChoice::Kept(dir)) => {
                let simulator = Simulator::copy(dir, settings.seed).map_err(|error| no_world(&error))?;
                Ok(Self::in_world(settings, simulator, None, None))
            }
            _ => Self::reopen(settings, None),
        }
    }

    fn open_world(settings: &RunSettings, passed: Option<Timestamp>) -> Result<Self, Failure> {
        let (source, world) = match &settings.world {
            WorldChoice::Fresh => (Source::Fresh, None),
            WorldChoice::Kept(dir) => (Source::Dir(dir.clone()), Some(dir)),
        };
        let simulator = Simulator::open(source, settings.seed).map_err(|error| no_world(&error))?;
        Ok(Self::in_world(settings, simulator, world, passed))
    }

    fn in_world(
        settings: &RunSettings,
        simulator: Simulator,
        world: Option<&PathBuf>,
        passed: Option<Timestamp>,
    ) -> Self {
        let simulator = Arc::new(simulator);
        // A second of nothing: a run never begins in the moment in which another one ended.
        let left = passed.map_or(simulator.clock(), |passed| passed.max(simulator.clock()));
        let clock = Clock::virtual_from(left + std::time::Duration::from_secs(1), settings.seed);
        simulator.advance(clock.now());
        simulator.ask_for(settings.faults.clone());
        simulator.at_crash(|| {
            // As `kill -9`: nothing is written, told or let go of.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        });
        let living = simulator.clone();
        clock.on_advance(move |now| living.advance(now));
        Self {
            name: "sim".to_owned(),
            id: format!("sim:{}", simulator.world_id()),
            // From another folder it is the same one.
            world: world.map(|dir| std::path::absolute(dir).unwrap_or_else(|_| dir.clone())),
            clock,
            endpoint: Endpoint::Sim(simulator),
        }
    }

    pub fn faults_unused(&self) -> Vec<Fault> {
        let Endpoint::Sim(simulator) = &self.endpoint else { return Vec::new() };
        simulator.faults_unused()
    }

    /// Leaves the world as the next run is to find it. Returns what its users saw meanwhile.
    pub fn leave(&self) -> Option<Traffic> {
        let Endpoint::Sim(simulator) = &self.endpoint else { return None };
        simulator.advance(self.clock.now());
        let traffic = simulator.traffic();
        // Without the snapshot the next opening replays the log: slower, and no less right.
        let _ = simulator.close();
        Some(traffic.into())
    }
}

fn no_world(error: &WorldError) -> Failure {
    Failure::new(exit::USAGE, miette!("{error}"))
}

/// Opens the place of the journals for a new run, and makes sure that it keeps what it is given.
pub fn open_store(place: &JournalPlace) -> Result<Store, Failure> {
    let store = find_store(place)?;
    store.probe().map_err(|error| unusable(&error))?;
    Ok(store)
}

fn unusable(error: &dyn std::fmt::Display) -> Failure {
    let help = "check `journal` in runner.toml, `--journal`, and the credentials for it";
    Failure::new(exit::FAILED, miette!(help = help, "the journal cannot be used: {error}"))
}

/// The place of the journals, to look at what is there.
pub fn find_store(place: &JournalPlace) -> Result<Store, Failure> {
    let store = match place {
        JournalPlace::Folder(folder) => Store::folder(folder),
        JournalPlace::Bucket { bucket, prefix } => bucket::open(bucket, prefix),
    };
    store.map_err(|error| unusable(&error))
}

/// Whether a journal place is a folder that is not there: nothing has been run yet.
pub fn is_absent(place: &JournalPlace) -> bool {
    matches!(place, JournalPlace::Folder(folder) if !Path::is_dir(folder))
}
