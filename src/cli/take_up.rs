//! Takes a run up from its journal: finds it, makes sure that nobody else drives it, and puts it together again.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Instant};

use miette::miette;
use serde_json::Value;

use super::{
    Failure, against,
    drive::{Driving, unwritten},
    execute::{SEMANTICS, digest},
    exit,
    place::{Place, find_store, is_absent},
    policy::PolicyArgs,
};
use crate::{
    api,
    event::{Event, Events, Report},
    run::{Alive, Driver, Given, History, HistoryError, Journal, Past, Run, RunId, Stand, Started, Store, text_key},
    script::{Project, Runbook, project::Stored},
    settings::{
        File, JournalPlace, OnInterrupt, RunSettings, Target, WorldChoice, found_by, overrides, replace_policies,
        resolve_params,
    },
};

/// Where journals are found.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Journals {
    /// The place of the journals: a folder, or s3://BUCKET/PREFIX [default: what runner.toml says, or .runner/journal]
    #[arg(long, value_name = "PLACE")]
    pub journal: Option<JournalPlace>,

    /// Read settings from this file instead of the nearest runner.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Journals {
    /// The same as they were typed.
    pub fn flags(&self) -> String {
        found_by(self.journal.as_ref(), self.config.as_deref())
    }
}

/// What a run that goes on is given again.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Again {
    /// Give a secret parameter again; repeatable. All others are in the journal
    #[arg(long, value_name = "NAME=VALUE", value_parser = super::inputs::param)]
    pub param: Vec<(String, String)>,

    /// Read secret parameters from a .toml or .json file
    #[arg(long, value_name = "FILE")]
    pub params_file: Option<PathBuf>,

    /// The folder of the simulated world, if it is not where it was
    #[arg(long, value_name = "PATH")]
    pub world: Option<PathBuf>,

    /// Go on with this script instead of the one the run began with, if it does what that has done
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,

    /// Take the run from a driver that seems to live: it can do nothing more from then on
    #[arg(long)]
    pub takeover: bool,
}

/// A run as its journal has it, not taken up yet.
pub struct Found {
    pub store: Store,
    pub history: History,
    pub past: Past,
}

/// A run that this process drives now.
pub struct Taken {
    pub driving: Driving,
    pub settings: RunSettings,
    /// The script with all files it read; or why there is none.
    pub runbook: Result<Runbook, Box<api::ScriptFailure>>,
}

impl Journals {
    /// The places where a run may be, in the order in which they are looked at.
    pub fn places(&self, file: &File) -> Vec<JournalPlace> {
        if let Some(place) = &self.journal {
            return vec![place.clone()];
        }
        let mut places = vec![file.journal(Target::Aws), file.journal(Target::Sim)];
        places.dedup();
        places
    }

    /// Settings of the project.
    pub fn file(&self) -> Result<File, Failure> {
        let here = std::path::absolute(".").unwrap_or_else(|_| PathBuf::from("."));
        Ok(File::load(self.config.as_deref(), &[&here])?)
    }

    /// The stores that are there.
    pub fn stores(&self, file: &File) -> Result<Vec<Store>, Failure> {
        self.places(file).iter().filter(|place| !is_absent(place)).map(find_store).collect()
    }

    /// The run of that id, or of an id that begins so.
    pub fn find(&self, file: &File, run: &str) -> Result<Found, Failure> {
        let mut like = Vec::new();
        for store in self.stores(file)? {
            let runs = History::runs(&store).map_err(|error| unreadable(&error.into()))?;
            if runs.iter().any(|known| known == run) {
                return Found::read(store, run);
            }
            like.extend(runs.into_iter().filter(|known| known.starts_with(run)).map(|known| (store.clone(), known)));
        }
        match &like[..] {
            [(store, run)] => Found::read(store.clone(), run),
            [] => {
                let places = self.stores(file)?.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
                let help = "`runner runs` lists all; `--journal` names another place";
                Err(Failure::new(exit::USAGE, miette!(help = help, "there is no run {run} in {places}")))
            }
            [..] => {
                let names: Vec<&str> = like.iter().map(|(_, run)| run.as_str()).collect();
                Err(Failure::new(exit::USAGE, miette!("`{run}` may be {}", names.join(", "))))
            }
        }
    }
}

/// The failure of a journal that cannot be used.
pub fn unreadable(error: &HistoryError) -> Failure {
    let exit = if matches!(error, HistoryError::Absent(_)) { exit::USAGE } else { exit::FAILED };
    Failure::new(exit, miette!(help = error.hint(), "{error}"))
}

impl Found {
    pub fn read(store: Store, run: &str) -> Result<Self, Failure> {
        let history = History::read(&store, run).map_err(|error| unreadable(&error))?;
        let past = Past::of(&history.entries)
            .ok_or_else(|| unreadable(&HistoryError::Torn { run: run.to_owned(), seq: 1 }))?;
        Ok(Self { store, history, past })
    }

    pub fn id(&self) -> &str {
        &self.history.run
    }

    /// Who drove it last.
    pub fn driver(&self) -> String {
        self.past.fences.last().map_or_else(|| "nobody".to_owned(), |(_, driver, _)| driver.to_string())
    }

    /// Whether somebody drives it now. Where that cannot be seen at once, it takes half a minute.
    pub fn is_driven(&self) -> Result<bool, Failure> {
        match self.past.stand {
            Stand::Suspended { .. } | Stand::Asks(_) | Stand::Finished { .. } => Ok(false),
            Stand::Forward | Stand::Back => {
                Alive::is_seen(&self.store, self.id(), self.history.epoch()).map_err(|error| unreadable(&error.into()))
            }
        }
    }

    /// Drives it from here on, to do what `verb` says. Nothing is done yet.
    pub fn take_up(
        self,
        file: &File,
        again: &Again,
        policy: &PolicyArgs,
        on_interrupt: OnInterrupt,
        verb: &str,
        reports: Vec<Box<dyn Report>>,
    ) -> Result<Taken, Failure> {
        let began = Instant::now();
        let started = &self.past.started;
        // Going back needs no script.
        let goes_back = verb == "rollback" || self.past.is_rolling_back();
        if started.semantics != SEMANTICS && !goes_back {
            let help = "resume it with that version, or take it back with `runner rollback`";
            let message =
                format!("run {} was begun by runner {}, which means something else", self.id(), started.version);
            return Err(Failure::new(exit::USAGE, miette!(help = help, "{message}")));
        }
        let mut settings = settings(started, file, again, policy, on_interrupt, goes_back)?;
        if !again.takeover && self.is_driven()? {
            return Err(self.driven());
        }
        let runbook = match &again.script {
            None => stored_runbook(&self, &settings)?,
            Some(script) => {
                let runbook = api::load(script, &settings.project_root)
                    .map_err(|failure| Failure::new(exit::USAGE, *failure.problem))?;
                against::matches(&self, &runbook, file, again)?;
                Ok(runbook)
            }
        };
        let place = Place::reopen(&settings, self.history.last_time())?;
        if place.id != started.target_id {
            let (wanted, found) = (&started.target_id, &place.id);
            let help = "it goes on only where it began: give its folder with `--world`";
            return Err(Failure::new(
                exit::USAGE,
                miette!(help = help, "run {} is of `{wanted}`, this is `{found}`", self.id()),
            ));
        }
        let epoch = self.history.epoch() + 1;
        let alive = Alive::show(&self.store, self.id(), epoch).map_err(|error| unreadable(&error.into()))?;
        let Some(alive) = alive else { return Err(self.driven()) };
        let (this, journal) = self.claim(verb, again.takeover)?;
        let before = this.driver();
        let Self { history, mut past, .. } = this;
        past.claimed();
        let clock = place.clock.clone();
        let events = Events::new(clock.clone(), reports);
        let id = RunId::known(&history.run);
        let run = Run::new(id, clock, events, journal, place.endpoint.clone(), past.started.seed);
        run.can_go_on(&place.id);
        settings.overrides.checks.extend(past.overrides.checks.iter().copied());
        if settings.overrides.reason.is_empty() {
            settings.overrides.reason.clone_from(&past.overrides.reason);
        }
        run.set_aside(settings.overrides.clone());
        run.emit(Event::RunStarted {
            run: history.run.clone(),
            runbook: past.started.runbook.clone(),
            target: place.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        let operations = past.operations.values().filter(|operation| operation.is_ended()).count();
        run.emit(Event::Resumed { operations, mutations: past.mutations(), before });
        run.go_on(past, &history.entries);
        if let Ok(runbook) = &runbook {
            // What it reads for the first time is on record from here on.
            let files = Arc::downgrade(&run);
            runbook.project().observe(move |file| {
                if let Some(run) = files.upgrade() {
                    run.keep_file(&file.asked, &file.name, &file.text);
                }
            });
            if again.script.is_some() {
                run.change_script(runbook.name());
            }
        }
        let driving = Driving { run, place, started: began, on_interrupt, alive };
        Ok(Taken { driving, settings, runbook })
    }

    /// Writes a fence, from which on this process drives it; `insist`: also if its driver lives.
    pub fn claim(self, verb: &str, insist: bool) -> Result<(Self, Journal), Failure> {
        let journal = Journal::claim(self.store.clone(), &self.history, Driver::here(), verb, insist);
        let journal = journal.map_err(|error| unwritten(&error))?;
        // What the driver before has written in the last moment is part of the run.
        let this = if insist { Self::read(self.store.clone(), &self.history.run)? } else { self };
        Ok((this, journal))
    }

    fn driven(&self) -> Failure {
        let help = "wait for it, or give `--takeover` if you know that it does nothing any more";
        Failure::new(exit::LOCKED, miette!(help = help, "run {} is driven by {}", self.id(), self.driver()))
    }
}

/// The settings of a run as it was begun.
pub fn settings_of(started: &Started, file: &File, again: &Again) -> Result<RunSettings, Failure> {
    settings(started, file, again, &PolicyArgs::default(), OnInterrupt::default(), false)
}

/// The same, with what is the project's now: policies.
fn settings(
    started: &Started,
    file: &File,
    again: &Again,
    policy: &PolicyArgs,
    on_interrupt: OnInterrupt,
    goes_back: bool,
) -> Result<RunSettings, Failure> {
    let mut environments = file.environments.clone();
    if let Some(from) = &policy.policy_from {
        replace_policies(&mut environments, from)?;
    }
    let is_simulated = started.is_simulated();
    let world = again.world.clone().or_else(|| started.world.clone());
    let world = match (is_simulated, world) {
        (true, None) => {
            let help = "a run can go on in a world that is kept: leave `--world fresh` out";
            return Err(Failure::new(exit::USAGE, miette!(help = help, "the simulated world of this run is gone")));
        }
        (true, Some(world)) => WorldChoice::Kept(world),
        (false, _) => WorldChoice::Fresh,
    };
    let root = file.root();
    let target = if is_simulated { Target::Sim } else { Target::Aws };
    Ok(RunSettings {
        runbook: root.join(&started.runbook),
        project_root: root,
        state_dir: file.state_dir.clone(),
        environments,
        environment: started.environment.clone(),
        // Without a secret the script is not run again for its hooks: the rollback says so.
        params: match params(started, again) {
            Err(_) if goes_back => BTreeMap::new(),
            params => params?,
        },
        target,
        world,
        seed: started.seed,
        endpoint_url: (!is_simulated && started.target != "aws").then(|| started.target.clone()),
        overrides: overrides(policy.clone()),
        faults: Vec::new(),
        journal: file.journal(target),
        found_by: String::new(),
        on_interrupt,
        record_wire: None,
        interactive: false,
    })
}

/// The parameters of then. Secrets are given again, and have to be the same.
fn params(started: &Started, again: &Again) -> Result<BTreeMap<String, Value>, Failure> {
    let mut given = resolve_params(again.params_file.as_deref(), again.param.clone())?;
    let usage = |help: String, message: String| Failure::new(exit::USAGE, miette!(help = help, "{message}"));
    let mut params = BTreeMap::new();
    for (name, known) in &started.params {
        let value = match (known, given.remove(name)) {
            (Given::Value(value), None) => value.clone(),
            (Given::Value(value), Some(now)) if *value == now => now,
            (Given::Digest(known), Some(now)) if *known == digest(&started.salt, name, &now) => now,
            (Given::Value(_) | Given::Digest(_), Some(_)) => {
                let help = "a run goes on with what it began with; begin another one to change it".to_owned();
                return Err(usage(help, format!("the run was begun with another value of the parameter `{name}`")));
            }
            (Given::Digest(_), None) => {
                let help = format!("give it in a file that only you can read: `--params-file`, with `{name} = \"…\"`");
                return Err(usage(help, format!("the parameter `{name}` is a secret, and not in the journal")));
            }
        };
        params.insert(name.clone(), value);
    }
    match given.into_keys().next() {
        None => Ok(params),
        Some(name) => {
            let help = "a run goes on with what it began with".to_owned();
            Err(usage(help, format!("the run was begun without the parameter `{name}`")))
        }
    }
}

/// The script of the run, from its journal. What is not there is missed by the script, and said then.
fn stored_runbook(found: &Found, settings: &RunSettings) -> Result<Result<Runbook, Box<api::ScriptFailure>>, Failure> {
    let mut files = Stored::new();
    for (path, (name, sha256)) in &found.past.files {
        let text = found.store.get(&text_key(sha256)).map_err(|error| unreadable(&error.into()))?;
        if let Some(text) = text.and_then(|text| String::from_utf8(text).ok()) {
            files.insert(path.clone(), (name.clone(), text));
        }
    }
    let project = Project::stored(&settings.project_root, files);
    Ok(api::stored(&found.past.started.runbook, project).map_err(Box::new))
}

impl Taken {
    pub fn run(&self) -> &Arc<Run> {
        &self.driving.run
    }
}
