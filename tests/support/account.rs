//! An AWS account to try operations on, simulated or on a moto server, with runs on a virtual clock.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use runner::{
    api::{self, Host, Inputs},
    aws::{Endpoint, LiveAccounts},
    clock::Clock,
    event::{Event, Events, Field, Report, Stamped},
    ops::{self, catalog},
    policy::{Governed, Policy, Rules},
    run::{Branch, Journal, RollbackReport, Run, RunId, Store},
    script::Runbook,
    settings::Environment,
    sim::{Settings, Simulator, Source},
};
use serde_json::Value;

use crate::live::Origin;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// An account that outlives the runs in it.
pub struct Account {
    target: Target,
    seed: u64,
    tokio: tokio::runtime::Runtime,
    journals: tempfile::TempDir,
    /// Where the world is, if it is kept.
    world: Option<tempfile::TempDir>,
    /// Variables of its environments, instead of those of runner.toml.
    pub vars: serde_json::Map<String, Value>,
    /// The project of its runbooks, and the folder they are in.
    project: PathBuf,
    pub runbooks: PathBuf,
}

enum Target {
    Sim(Arc<Simulator>),
    Moto { url: String, account: String },
}

/// A run, and what it tells.
type Begun = (Arc<Run>, Arc<Mutex<Vec<Stamped>>>);

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

    /// A simulated one, in a folder: dry runs are made on copies of it.
    pub fn kept() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let world = Simulator::open(Source::Dir(dir.path().to_owned()), 1).expect("a new world");
        Self { world: Some(dir), ..Self::on(Target::Sim(Arc::new(world)), 1) }
    }

    /// The same account for the runbooks of another project of `runbooks/`.
    pub fn with_project(self, name: &str) -> Self {
        let project = Path::new(ROOT).join("runbooks").join(name);
        Self { runbooks: project.clone(), project, ..self }
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
            world: None,
            vars: serde_json::Map::new(),
            project: ROOT.into(),
            runbooks: Path::new(ROOT).join("runbooks"),
        }
    }

    /// The simulated AWS behind it.
    pub fn simulator(&self) -> &Simulator {
        match &self.target {
            Target::Sim(simulator) => simulator,
            Target::Moto { .. } => panic!("this account is on a moto server"),
        }
    }

    /// The same, to keep.
    pub fn shared_simulator(&self) -> Arc<Simulator> {
        match &self.target {
            Target::Sim(simulator) => simulator.clone(),
            Target::Moto { .. } => panic!("this account is on a moto server"),
        }
    }

    /// Begins a run of stack `shop-prod`.
    pub fn run(&self) -> Trial<'_> {
        self.run_under("")
    }

    /// Begins one that is under a policy, as runner.toml would have it.
    pub fn run_under(&self, policy: &str) -> Trial<'_> {
        let _context = self.tokio.enter();
        let (run, events) = self.begin(self.place());
        let environment = self.environments(policy).remove("prod").expect("it has one");
        run.clock().block_on(run.use_environment(&environment)).expect("the environment");
        run.set_stack("shop-prod".into());
        Trial { run, branch: Branch::root(), events, account: self }
    }

    /// Runs a runbook of this project to its end, or back. Waits take no time, whatever the target.
    pub fn runbook(&self, name: &str, params: Value) -> Ran {
        self.watched(name, params, |_| {})
    }

    /// The same with a runbook of this text.
    pub fn script(&self, text: &str, params: Value) -> Ran {
        self.script_under("", text, params)
    }

    /// The same under a policy.
    pub fn script_under(&self, policy: &str, text: &str, params: Value) -> Ran {
        let _context = self.tokio.enter();
        self.execute_runbook(self.begin(self.place()), policy, &self.script_of(text), params)
    }

    /// The same, with somebody who sees each event as it happens.
    pub fn watched(&self, name: &str, params: Value, watch: impl FnMut(&Event) + Send + 'static) -> Ran {
        let _context = self.tokio.enter();
        self.execute(self.begin_watched(self.place(), watch), "", name, params)
    }

    /// The same under a policy; what each call asks for is among the events.
    pub fn runbook_under(&self, policy: &str, name: &str, params: Value) -> Ran {
        let _context = self.tokio.enter();
        self.execute(self.begin(self.place()), policy, name, params)
    }

    /// The same as a dry run: on a copy of the simulated world, or on a fork of the account on moto.
    pub fn plan(&self, name: &str, params: Value) -> Ran {
        let _context = self.tokio.enter();
        self.plan_of("", &self.load(name), params)
    }

    /// The same with a runbook of this text.
    pub fn plan_script(&self, text: &str) -> Ran {
        self.plan_script_under("", text)
    }

    /// The same under a policy.
    pub fn plan_script_under(&self, policy: &str, text: &str) -> Ran {
        let _context = self.tokio.enter();
        self.plan_of(policy, &self.script_of(text), Value::Null)
    }

    fn plan_of(&self, policy: &str, runbook: &Runbook, params: Value) -> Ran {
        let place = match (&self.target, &self.world) {
            (Target::Moto { url, .. }, _) => {
                let live = Arc::new(LiveAccounts::new(Some(url.clone())));
                let simulator = Arc::new(Simulator::fork(live.clone(), jiff::Timestamp::now(), self.seed));
                (simulated_clock(&simulator, self.seed), Endpoint::Fork { simulator, live })
            }
            (Target::Sim(_), Some(dir)) => {
                let simulator = Arc::new(Simulator::copy(dir.path(), self.seed).expect("a readable world"));
                (simulated_clock(&simulator, self.seed), Endpoint::Sim(simulator))
            }
            (Target::Sim(_), None) => panic!("only a kept world can be copied"),
        };
        let run = self.run_in(place, RunId::plan(), Journal::in_memory("plan"), |_| {});
        self.execute_runbook(run, policy, runbook, params)
    }

    fn execute(&self, run: Begun, policy: &str, name: &str, params: Value) -> Ran {
        self.execute_runbook(run, policy, &self.load(name), params)
    }

    fn load(&self, name: &str) -> Runbook {
        api::load(&self.runbooks.join(name), &self.project).expect("a runbook that compiles")
    }

    fn script_of(&self, text: &str) -> Runbook {
        Runbook::from_text("script.rhai", text, &self.project, api::vocabulary()).expect("a runbook that compiles")
    }

    fn execute_runbook(&self, (run, events): Begun, policy: &str, runbook: &Runbook, params: Value) -> Ran {
        run.show_requests();
        let environments = self.environments(policy);
        let params = params.as_object().cloned().unwrap_or_default().into_iter().collect();
        let inputs = Inputs { environments, environment: None, params, interactive: false };
        let host = Host::new(run.clone(), inputs);
        let failure = host.execute(runbook).err().map(|failure| failure.message);
        let rollback = failure.as_deref().map(|failure| run.roll_back(failure));
        let stamped = events.lock().expect("no report panicked").clone();
        Ran {
            id: run.id().as_str().to_owned(),
            failure,
            rollback,
            outputs: run.summary().outputs.into_iter().collect(),
            events: stamped,
        }
    }

    /// Where its runs take place.
    fn place(&self) -> (Clock, Endpoint) {
        match &self.target {
            Target::Sim(simulator) => (simulated_clock(simulator, self.seed), Endpoint::Sim(simulator.clone())),
            Target::Moto { url, .. } => {
                (Clock::virtual_from(jiff::Timestamp::now(), self.seed), Endpoint::Url(url.clone()))
            }
        }
    }

    fn begin(&self, place: (Clock, Endpoint)) -> Begun {
        self.begin_watched(place, |_| {})
    }

    fn begin_watched(&self, (clock, endpoint): (Clock, Endpoint), watch: impl FnMut(&Event) + Send + 'static) -> Begun {
        let id = RunId::new(clock.now(), self.seed);
        let journal = Journal::new(Store::folder(self.journals.path()).expect("a store"), id.as_str());
        self.run_in((clock, endpoint), id, journal, watch)
    }

    fn run_in(
        &self,
        (clock, endpoint): (Clock, Endpoint),
        id: RunId,
        journal: Journal,
        watch: impl FnMut(&Event) + Send + 'static,
    ) -> Begun {
        let events = Arc::new(Mutex::new(Vec::new()));
        let reports: Vec<Box<dyn Report>> = vec![Box::new(Keep(events.clone())), Box::new(Watch(watch))];
        let run = Run::new(id, clock.clone(), Events::new(clock, reports), journal, endpoint, self.seed);
        (run, events)
    }

    /// The environments of runner.toml, in this account, under a policy.
    fn environments(&self, policy: &str) -> BTreeMap<String, Environment> {
        let settings = std::fs::read_to_string(self.project.join("runner.toml")).expect("a readable runner.toml");
        let settings: Value = toml::from_str(&settings).expect("runner.toml is TOML");
        let role_arn = match &self.target {
            Target::Sim(_) => None,
            Target::Moto { account, .. } => Some(format!("arn:aws:iam::{account}:role/runner")),
        };
        let of = |(name, settings): (&String, &Value)| {
            let mut vars = settings["vars"].as_object().cloned().unwrap_or_default();
            vars.extend(self.vars.clone());
            let environment = Environment {
                name: name.clone(),
                region: settings["region"].as_str().map(str::to_owned),
                vars,
                role_arn: role_arn.clone(),
                policy: governed(policy),
                ..Environment::default()
            };
            (name.clone(), environment)
        };
        settings["environments"].as_object().into_iter().flatten().map(of).collect()
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

/// The time of a simulated world as a run's clock. A second of nothing before it, so that no two runs start at the same
/// time.
fn simulated_clock(simulator: &Arc<Simulator>, seed: u64) -> Clock {
    let start = simulator.clock() + std::time::Duration::from_secs(1);
    let clock = Clock::virtual_from(start, seed);
    let world = simulator.clone();
    clock.on_advance(move |now| world.advance(now));
    simulator.advance(start);
    simulator.begin_run();
    clock
}

/// What runner.toml would make of these rules; none are no policy.
fn governed(rules: &str) -> Governed {
    let rules = toml::from_str(rules).unwrap_or_else(|error| panic!("{rules}: {error}"));
    if rules == Rules::default() {
        return Governed::Freely;
    }
    Governed::By(Arc::new(Policy { environment: "prod".into(), file: "runner.toml".into(), rules }))
}

/// How a runbook ended.
pub struct Ran {
    /// The run's id.
    pub id: String,
    pub failure: Option<String>,
    pub rollback: Option<RollbackReport>,
    pub outputs: BTreeMap<String, Value>,
    pub events: Vec<Stamped>,
}

impl Ran {
    /// What happened before the way back.
    pub fn forward(&self) -> impl Iterator<Item = &Event> {
        let events = self.events.iter().map(|stamped| &stamped.event);
        events.take_while(|event| !matches!(event, Event::RollbackStarted { .. }))
    }

    /// How many calls it made and how deep they were, without the looks of waits: their number depends on how long AWS takes.
    pub fn effort(&self) -> Effort {
        let under_way = self.events.iter().filter_map(|stamped| match &stamped.event {
            Event::Call { poll: false, elapsed, .. } => Some((stamped.at - *elapsed, stamped.at)),
            _ => None,
        });
        // Before the first event of the runbook it was asked who the credentials belong to.
        Effort { calls: 1 + under_way.clone().count(), depth: 1 + depth(under_way.collect()) }
    }

    /// How often waits looked.
    pub fn looks(&self) -> usize {
        self.events.iter().filter(|stamped| matches!(stamped.event, Event::Call { poll: true, .. })).count()
    }

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
}

/// What a run asked of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    pub calls: usize,
    /// How many calls one after the other take as long: what is under way at the same time counts once.
    pub depth: usize,
}

/// For how many times the duration of one call there was a call under way.
fn depth(mut under_way: Vec<(jiff::Timestamp, jiff::Timestamp)>) -> usize {
    under_way.sort();
    let Some(&(first, _)) = under_way.first() else { return 0 };
    let (mut busy, mut until) = (std::time::Duration::ZERO, first);
    for (begin, end) in under_way {
        busy += end.duration_since(begin.max(until).min(end)).unsigned_abs();
        until = until.max(end);
    }
    (busy.as_secs_f64() / CALL.as_secs_f64()).round() as usize
}

/// How long a call takes in the simulated AWS.
const CALL: std::time::Duration = std::time::Duration::from_millis(50);

/// A change that was sent, or would be.
#[derive(Clone, Debug)]
pub struct Request {
    /// The operation it is part of.
    pub id: String,
    /// What it changes, in the user's words.
    pub resource: String,
    pub call: String,
    pub request: Value,
}

impl Request {
    /// The operation and what it changes, without the ids that AWS makes up.
    fn thread(&self) -> String {
        let made_up = |word: &str| word.len() > 9 && word.chars().any(|c| c.is_ascii_digit());
        let words = self.resource.split(' ').map(|word| if made_up(word) { "*" } else { word });
        format!("{} {}", self.id, words.collect::<Vec<_>>().join(" "))
    }
}

impl Ran {
    /// The operations that changed something, in the order of their first change, for each branch: there they follow each
    /// other.
    pub fn order(&self) -> BTreeMap<String, Vec<String>> {
        let mut order: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for stamped in &self.events {
            if let Event::Sending { id, .. } = &stamped.event {
                let branch = id.rsplit_once('.').map_or("", |(branch, _)| branch);
                let known = order.entry(branch.to_owned()).or_default();
                if !known.contains(id) {
                    known.push(id.clone());
                }
            }
        }
        order
    }

    /// What was sent to change something, in its order, for each operation and what it changes. Branches run at the same time,
    /// and so do calls of one operation about several things: their order among each other is nobody's promise.
    pub fn requests(&self) -> BTreeMap<String, Vec<Request>> {
        let mut requests: BTreeMap<String, Vec<Request>> = BTreeMap::new();
        for stamped in &self.events {
            if let Event::Sending { id, call, resource, request, .. } = &stamped.event {
                let request = Request {
                    id: id.clone(),
                    resource: resource.clone(),
                    call: call.clone(),
                    request: request.clone(),
                };
                requests.entry(request.thread()).or_default().push(request);
            }
        }
        requests
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
        self.run.clock().block_on(ctx.operation(entry.name, serde_json::Value::Null, prepared))
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
