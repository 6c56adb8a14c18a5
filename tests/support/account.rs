//! An AWS account to try operations on, simulated or on a moto server, with runs on a virtual clock.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use runner::{
    api::{self, Host, Inputs},
    aws::{Endpoint, LiveAccounts},
    clock::Clock,
    event::{Event, Events, Field, Report, Stamped},
    ops::{self, catalog},
    run::{Branch, Journal, RollbackReport, Run, RunId},
    settings::Environment,
    sim::{Settings, Simulator, Source},
};
use serde_json::Value;

use crate::live::Origin;

/// An account that outlives the runs in it.
pub struct Account {
    target: Target,
    seed: u64,
    tokio: tokio::runtime::Runtime,
    journals: tempfile::TempDir,
}

enum Target {
    Sim(Arc<Simulator>),
    Moto {
        url: String,
        account: String,
    },
    /// A fork of an account on a moto server.
    ForkOfMoto {
        account: String,
        fork: Arc<Simulator>,
        live: Arc<LiveAccounts>,
    },
}

/// One run in an account, driven operation by operation.
pub struct Trial<'a> {
    pub run: Arc<Run>,
    branch: Branch,
    events: Arc<Mutex<Vec<Stamped>>>,
    account: &'a Account,
}

impl Account {
    pub fn new() -> Self {
        Self::seeded(1)
    }

    pub fn seeded(seed: u64) -> Self {
        Self::on(Target::Sim(Arc::new(Simulator::open(Source::Fresh, seed).expect("a fresh world"))), seed)
    }

    /// An account whose reads see everything at once.
    pub fn prompt() -> Self {
        let account = Self::new();
        account.simulator().configure(Settings { lag: false, ..Settings::default() }).expect("a fresh world");
        account
    }

    /// A fork of this account as it is now, and the account as the fork sees it.
    pub fn fork(&self) -> (Self, Arc<Origin>) {
        let Target::Sim(simulator) = &self.target else { panic!("this account is on a moto server") };
        let origin = Origin::new(simulator.clone());
        (Self::on(Target::Sim(Arc::new(origin.fork())), self.seed), origin)
    }

    /// An account on the moto server at `url`.
    pub fn moto(url: String, account: String) -> Self {
        Self::on(Target::Moto { url, account }, 1)
    }

    /// A fork of the account on the moto server, as it is now.
    pub fn fork_of_moto(&self) -> Self {
        let Target::Moto { url, account } = &self.target else { panic!("this account is not on a moto server") };
        let fork = Self::on(Target::Moto { url: url.clone(), account: account.clone() }, 1);
        let live = {
            let _context = fork.tokio.enter();
            Arc::new(LiveAccounts::new(Some(url.clone())))
        };
        let simulator = Arc::new(Simulator::fork(live.clone(), jiff::Timestamp::now(), 1));
        let account = account.clone();
        Self { target: Target::ForkOfMoto { account, fork: simulator, live }, ..fork }
    }

    fn on(target: Target, seed: u64) -> Self {
        Self {
            target,
            seed,
            tokio: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime"),
            journals: tempfile::tempdir().expect("a directory"),
        }
    }

    /// The simulated AWS behind it.
    pub fn simulator(&self) -> &Simulator {
        match &self.target {
            Target::Sim(simulator) | Target::ForkOfMoto { fork: simulator, .. } => simulator,
            Target::Moto { .. } => panic!("this account is on a moto server"),
        }
    }

    /// The same, to keep.
    pub fn shared_simulator(&self) -> Arc<Simulator> {
        match &self.target {
            Target::Sim(simulator) | Target::ForkOfMoto { fork: simulator, .. } => simulator.clone(),
            Target::Moto { .. } => panic!("this account is on a moto server"),
        }
    }

    /// Begins a run of stack `shop-prod`.
    pub fn run(&self) -> Trial<'_> {
        let _context = self.tokio.enter();
        let (run, events) = self.begin();
        run.clock().block_on(run.use_environment(&self.environment("prod"))).expect("the environment");
        run.set_stack("shop-prod".into());
        Trial { run, branch: Branch::root(), events, account: self }
    }

    /// Runs a runbook of this project to its end, or back. Waits take no time, whatever the target.
    pub fn runbook(&self, name: &str, params: Value) -> Ran {
        self.watched(name, params, |_| {})
    }

    /// The same, with somebody who sees each event as it happens.
    pub fn watched(&self, name: &str, params: Value, watch: impl FnMut(&Event) + Send + 'static) -> Ran {
        let _context = self.tokio.enter();
        let (run, events) = self.begin_watched(watch);
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let runbook = api::load(&root.join("runbooks").join(name), root).expect("a runbook that compiles");
        let environments = ["prod", "staging"].map(|name| (name.to_owned(), self.environment(name)));
        let params = params.as_object().cloned().unwrap_or_default().into_iter().collect();
        let inputs = Inputs { environments: environments.into(), environment: None, params, interactive: false };
        let host = Host::new(run.clone(), inputs);
        let failure = host.execute(&runbook).err().map(|failure| failure.message);
        let rollback = failure.as_deref().map(|failure| run.roll_back(failure));
        let stamped = events.lock().expect("no report panicked").clone();
        Ran { failure, rollback, outputs: run.summary().outputs.into_iter().collect(), events: stamped }
    }

    fn begin(&self) -> (Arc<Run>, Arc<Mutex<Vec<Stamped>>>) {
        self.begin_watched(|_| {})
    }

    fn begin_watched(&self, watch: impl FnMut(&Event) + Send + 'static) -> (Arc<Run>, Arc<Mutex<Vec<Stamped>>>) {
        let simulated = |simulator: &Arc<Simulator>| {
            // A second of nothing, so that no two runs start at the same time.
            let start = simulator.clock() + std::time::Duration::from_secs(1);
            let clock = Clock::virtual_from(start, self.seed);
            let world = simulator.clone();
            clock.on_advance(move |now| world.advance(now));
            simulator.advance(start);
            simulator.begin_run();
            clock
        };
        let (clock, endpoint) = match &self.target {
            Target::Sim(simulator) => (simulated(simulator), Endpoint::Sim(simulator.clone())),
            Target::ForkOfMoto { fork, live, .. } => {
                (simulated(fork), Endpoint::Fork { simulator: fork.clone(), live: live.clone() })
            }
            Target::Moto { url, .. } => {
                (Clock::virtual_from(jiff::Timestamp::now(), self.seed), Endpoint::Url(url.clone()))
            }
        };
        let events = Arc::new(Mutex::new(Vec::new()));
        let id = RunId::new(clock.now(), self.seed);
        let journal = Journal::create(self.journals.path(), id.as_str()).expect("a journal");
        let reports: Vec<Box<dyn Report>> = vec![Box::new(Keep(events.clone())), Box::new(Watch(watch))];
        (Run::new(id, clock.clone(), Events::new(clock, reports), journal, endpoint, self.seed), events)
    }

    /// The environment of the shipped runner.toml, in this account.
    fn environment(&self, name: &str) -> Environment {
        let settings: Value = toml::from_str(include_str!("../../runner.toml")).expect("runner.toml is TOML");
        let vars = settings["environments"][name]["vars"].as_object().cloned().unwrap_or_default();
        let role_arn = match &self.target {
            Target::Sim(_) => None,
            Target::Moto { account, .. } | Target::ForkOfMoto { account, .. } => {
                Some(format!("arn:aws:iam::{account}:role/runner"))
            }
        };
        Environment { name: name.into(), region: Some("eu-central-1".into()), vars, role_arn, ..Default::default() }
    }

    /// All that its runs have written down.
    pub fn journals(&self) -> String {
        fn read(path: &std::path::Path, into: &mut String) {
            if path.is_dir() {
                let entries = std::fs::read_dir(path).expect("a readable directory");
                entries.for_each(|entry| read(&entry.expect("an entry").path(), into));
            } else {
                into.push_str(&String::from_utf8_lossy(&std::fs::read(path).expect("a readable file")));
            }
        }
        let mut all = String::new();
        read(self.journals.path(), &mut all);
        all
    }

    /// What can be observed once everything has settled.
    pub fn observe(&self) -> Value {
        let simulator = self.simulator();
        simulator.advance(simulator.clock() + std::time::Duration::from_secs(2 * 3600));
        simulator.observe()
    }
}

/// How a runbook ended.
pub struct Ran {
    pub failure: Option<String>,
    pub rollback: Option<RollbackReport>,
    pub outputs: BTreeMap<String, Value>,
    pub events: Vec<Stamped>,
}

impl Ran {
    /// The calls that changed something.
    pub fn mutations(&self) -> Vec<&str> {
        self.events
            .iter()
            .filter_map(|stamped| match &stamped.event {
                Event::Call { call, mutation: true, error: None, .. } => Some(call.as_str()),
                _ => None,
            })
            .collect()
    }

    /// The same, operation by operation: on a real network, which of several calls under way is answered first is chance.
    pub fn mutations_by_operation(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for stamped in &self.events {
            if let Event::Call { id, call, mutation: true, error: None, .. } = &stamped.event {
                all.entry(id).or_default().push(call);
            }
        }
        all.values_mut().for_each(|calls| calls.sort_unstable());
        all
    }
}

impl Trial<'_> {
    /// Runs an operation.
    pub fn op(&mut self, name: &str, options: Value) -> Result<Value, ops::Error> {
        let _context = self.account.tokio.enter();
        let entry = catalog::find(name).unwrap_or_else(|| panic!("no operation {name}"));
        let prepared = (entry.prepare)(options)?;
        self.catch_up();
        let ctx = self.run.context(&mut self.branch);
        self.run.clock().block_on(ctx.operation(entry.name, prepared))
    }

    /// Runs an operation that must succeed.
    pub fn ok(&mut self, name: &str, options: Value) -> Value {
        match self.op(name, options.clone()) {
            Ok(handle) => handle,
            Err(error) => panic!("{name}({options}) failed: {error}\n{}", self.calls().join("\n")),
        }
    }

    pub fn roll_back(&mut self) -> RollbackReport {
        let _context = self.account.tokio.enter();
        self.catch_up();
        self.run.roll_back("a test")
    }

    /// Lets the run's time pass up to the world's, which other runs and looks at the account have moved on.
    fn catch_up(&self) {
        let Target::Sim(simulator) = &self.account.target else { return };
        let behind = simulator.clock().duration_since(self.run.clock().now());
        if let Ok(behind) = std::time::Duration::try_from(behind) {
            self.run.clock().block_on(self.run.clock().sleep(behind));
        }
    }

    pub fn events(&self) -> Vec<Event> {
        self.events.lock().expect("no report panicked").iter().map(|stamped| stamped.event.clone()).collect()
    }

    /// All calls so far, with the error of those that failed.
    pub fn calls(&self) -> Vec<String> {
        let one = |event| match event {
            Event::Call { call, error, .. } => Some(error.map_or(call.clone(), |error| format!("{call} {error}"))),
            _ => None,
        };
        self.events().into_iter().filter_map(one).collect()
    }

    /// The calls that changed something, so far.
    pub fn mutations(&self) -> Vec<String> {
        let one = |event| match event {
            Event::Call { call, mutation: true, error: None, .. } => Some(call),
            _ => None,
        };
        self.events().into_iter().filter_map(one).collect()
    }
}

impl Trial<'_> {
    /// What operations said they changed.
    pub fn fields(&self) -> Vec<Field> {
        let one = |event| match event {
            Event::OperationFinished { fields, .. } => fields,
            _ => Vec::new(),
        };
        self.events().into_iter().flat_map(one).collect()
    }

    /// How many calls deep the run was so far: calls that were under way together count once.
    /// With a virtual clock every call takes the same time, so their ends tell.
    pub fn depth(&self) -> usize {
        let events = self.events.lock().expect("no report panicked");
        let ends =
            events.iter().filter(|stamped| matches!(stamped.event, Event::Call { .. })).map(|stamped| stamped.at);
        ends.collect::<std::collections::BTreeSet<_>>().len()
    }
}

struct Keep(Arc<Mutex<Vec<Stamped>>>);

struct Watch<W>(W);

impl<W: FnMut(&Event) + Send> Report for Watch<W> {
    fn event(&mut self, stamped: &Stamped) {
        (self.0)(&stamped.event);
    }
}

impl Report for Keep {
    fn event(&mut self, stamped: &Stamped) {
        self.0.lock().expect("no report panicked").push(stamped.clone());
    }
}
