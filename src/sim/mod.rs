//! The simulated AWS: a request as the SDK signs it goes in, the reply as AWS sends it comes out.
//!
//! It stands where the HTTP client stands, so nothing above it knows. It behaves, it does not just store: things take
//! time, names collide, what is in use is not deleted, what was just made is not found for a moment. Time is the
//! caller's: nothing in here looks at a clock.
//!
//! ```text
//! wire     any protocol -> Request                 Reply -> bytes
//! service  is the action modelled, are its parameters?
//! ec2, …   handlers: fn(&mut Tx, &Params) -> Reply
//! tx       one account and region of the world, while one handler runs
//! world    state, clock, events      table  rows and their lag
//! store    on disk                   observe  what counts as "the same"
//! ```
//!
//! A new service is a file (or folder) with a `SERVICE` and its `ACTIONS`, one line in `service::SERVICES`, and one
//! field in `world::Region` (or `world::Global`) for its tables. A kind of row is a struct, a `Table` of it there, and
//! one `resource!` line. What happens by itself is an enum with one variant in `world::Event`. `observe` sees new
//! tables by itself. `ec2/internet_gateway.rs` is the example to copy, `ec2/nat_gateway.rs` the one with events.

mod acm;
mod application_autoscaling;
mod autoscaling;
mod cloudwatch;
mod ec2;
mod ecr;
mod ecs;
mod elbv2;
mod error;
mod exchange;
mod fault;
mod fork;
mod iam;
mod kinds;
mod logs;
mod observe;
mod overlay;
mod past;
mod read;
mod route53;
mod secretsmanager;
mod select;
mod service;
mod shape;
mod shared;
mod sns;
mod ssm;
mod store;
mod sts;
mod table;
mod tags;
mod traffic;
mod tx;
mod visit;
mod wire;
mod world;

use std::path::PathBuf;
use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

pub use autoscaling::Fleet;
pub use error::{AwsError, Reply};
pub use exchange::{Called, Exchange};
pub use fault::{Fault, FaultError, FaultKind};
pub use kinds::reads;
pub use observe::{Difference, Residue, residues};
pub use read::Live;
pub use service::{Action, SERVICES, Service, models, of_prefix};
pub use shape::{Shape, Unlike};
pub use store::WorldError;
pub use traffic::Traffic;
pub use tx::Scope;
pub use wire::{DEFAULT_ACCOUNT, Protocol, SignedFor, UNANSWERED, ask, signed_for};
pub use world::Settings;

use crate::redact::{Edit as _, Secrets, user_data};
use fault::Faults;
use past::Past;
use store::{Change, Entry, Store};
use wire::Request;
use world::World;

/// What a request asks for: its parameters under AWS's names, whatever its protocol, without private keys.
///
/// # Errors
/// If it is not of its service's protocol.
pub fn parameters(request: &http::Request<Bytes>) -> Result<serde_json::Value, AwsError> {
    let caller = match wire::caller(request) {
        Ok(caller) => caller,
        Err(error) if error.unanswered => return wire::unmodelled_parameters(request),
        Err(error) => return Err(error),
    };
    let sanitise = caller.service.sanitise;
    let mut request = wire::read(caller, request)?;
    sanitise(&mut request);
    Ok(request.params.0)
}

/// A world's tree without what may be secret in it. User data in which nothing looks like a secret stays as it is, so
/// that it can be compared.
fn without_secrets(tree: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match tree {
        Value::Object(mut fields) => {
            if fields.get("Type").is_some_and(|kind| kind == "SecureString") {
                fields.remove("Value");
            }
            fields.remove("SecretString");
            let fields = fields.into_iter().map(|(name, value)| {
                let value = match value {
                    Value::String(encoded) if name == "UserData" => Value::String(user_data::masked(&encoded)),
                    value => without_secrets(value),
                };
                (name, value)
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_secrets).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => tree,
    }
}

/// Where a world comes from.
pub enum Source {
    /// A new one, gone with the process.
    Fresh,
    /// Kept in this directory, which is made when it is not there.
    Dir(PathBuf),
}

/// One simulated AWS, shared by all clients of a process.
pub struct Simulator {
    inner: Mutex<Inner>,
    /// The caller has crashed: nothing it sends arrives any more.
    crashed: AtomicBool,
    /// What ends the caller's process.
    end: OnceLock<fn()>,
}

struct Inner {
    world: World,
    store: Option<Store>,
    /// The world as it was, when it is a copy.
    first: Option<World>,
    faults: Faults,
    /// The world before the last changes, if a fault may ask for it.
    past: Option<Past>,
    /// The calls that were made, if somebody wants to know.
    calls: Option<Vec<Called>>,
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Simulator({})", self.world_id())
    }
}

impl Simulator {
    fn of(inner: Inner) -> Self {
        Self { inner: Mutex::new(inner), crashed: AtomicBool::new(false), end: OnceLock::new() }
    }

    /// Opens a world. That of a directory is locked until the simulator is dropped; its own seed wins over `seed`.
    pub fn open(source: Source, seed: u64) -> Result<Simulator, WorldError> {
        let inner = match source {
            Source::Fresh => Inner::of(World::new(format!("world-{seed:016x}"), seed)),
            Source::Dir(dir) => {
                // Two directories are two worlds, whatever their seeds: runs are remembered by world.
                let create = || World::new(format!("world-{:016x}", fastrand::u64(..)), seed);
                let (store, world, entries) = Store::open(dir, create)?;
                let mut inner = Inner { store: Some(store), ..Inner::of(world) };
                inner.replay(&entries)?;
                inner
            }
        };
        Ok(Self::of(inner))
    }

    /// A copy of the world in a directory, to try something on: nothing is written, and whoever uses the world goes on.
    /// An empty world where there is none.
    pub fn copy(dir: &std::path::Path, seed: u64) -> Result<Simulator, WorldError> {
        let mut inner = match Store::peek(dir)? {
            None => Inner::of(World::new(format!("world-{seed:016x}"), seed)),
            Some((world, entries)) => {
                let mut inner = Inner::of(world);
                inner.replay(&entries)?;
                inner
            }
        };
        inner.first = Some(inner.world.clone());
        Ok(Self::of(inner))
    }

    /// An empty world that is not kept, in which images that are not known are taken to be there.
    pub fn offline(seed: u64) -> Simulator {
        let mut world = World::new(format!("world-{seed:016x}"), seed);
        world.settings = Settings { lag: false, assume_images: true, ..Settings::default() };
        Self::of(Inner { first: Some(world.clone()), ..Inner::of(world) })
    }

    /// A fork of the account behind `live`, at the time `now`: what is looked at is read, what is changed is changed
    /// here.
    pub fn fork(live: Arc<dyn Live>, now: Timestamp, seed: u64) -> Simulator {
        Self::of(Inner::of(World::fork_of(Some(live), now, seed)))
    }

    /// Has a fork read everything of a region of its account.
    ///
    /// # Errors
    /// AWS's own, or why it could not be asked.
    pub fn read_all(&self, account: &str, region: &str) -> Result<(), AwsError> {
        let scope = Scope { account: account.to_owned(), region: region.to_owned() };
        self.inner().world.read_all(&scope)
    }

    /// Whether the folder has a world.
    pub fn is_in(dir: &std::path::Path) -> bool {
        store::is_there(dir)
    }

    /// Whether the folder has other files, so that no world can begin in it.
    pub fn is_kept_out_of(dir: &std::path::Path) -> bool {
        store::is_occupied(dir)
    }

    /// What a fork has read, from the file `Simulator::snapshot` wrote. What is not in it cannot be looked at.
    pub fn from_file(file: &std::path::Path) -> Result<Simulator, WorldError> {
        let mut world = store::read_named(file)?;
        // The next image is not in it: nobody had looked at it then.
        world.settings.assume_images = true;
        world.fork = world.fork.take().map(|fork| fork.restored(&world));
        let inner = Inner { first: world.fork.is_none().then(|| world.clone()), ..Inner::of(world) };
        Ok(Self::of(inner))
    }

    /// Writes down what this fork has read of its account, without what was changed here and without secrets: those that
    /// are known, those in user data, and the values of secure parameters.
    pub fn snapshot(&self, file: &std::path::Path, secrets: &Secrets) -> Result<(), WorldError> {
        let inner = self.inner();
        let world = inner.first().unwrap_or_else(|| inner.world.clone());
        let tree = serde_json::to_value(&world)
            .map_err(|error| WorldError::Io { file: file.to_owned(), source: error.into() })?;
        let mut tree = without_secrets(tree);
        secrets.values(&mut tree);
        store::write_file(&tree, file)
    }

    /// The same copy once more, without what was changed here: to see what would happen if.
    pub fn again(&self, what_if: impl FnOnce(&mut Settings)) -> Option<Simulator> {
        let mut world = self.inner().first()?;
        what_if(&mut world.settings);
        Some(Self::of(Inner { first: Some(world.clone()), ..Inner::of(world) }))
    }

    /// A copy of the world as it is now, for another caller: without faults, and alive.
    pub fn go_on(&self) -> Simulator {
        let world = self.inner().world.clone();
        Self::of(Inner { first: Some(world.clone()), ..Inner::of(world) })
    }

    /// How a copy differs by now from what it would be if nobody had changed it.
    pub fn differences(&self) -> Vec<Difference> {
        let inner = self.inner();
        let Some(mut first) = inner.first() else { return Vec::new() };
        // What was under way then has come to its end too.
        first.advance(inner.world.now);
        observe::differences(&first, &inner.world)
    }

    /// Whether images that are not known are taken to be there.
    pub fn assumes_images(&self) -> bool {
        self.inner().world.settings.assume_images
    }

    /// Whether it is a copy of what is, as far as it was read.
    pub fn is_fork(&self) -> bool {
        self.inner().world.fork.is_some()
    }

    /// Which ids were given out: the digits all have, and the number of the last.
    pub fn ids(&self) -> (String, u64) {
        self.inner().world.ids()
    }

    /// The ids given out after `after` that are not written as such, each with its number: as a UUID, or as the digits
    /// in the name of a load balancer.
    pub fn other_forms(&self, after: u64) -> std::collections::BTreeMap<String, u64> {
        let (family, last) = self.ids();
        let forms = |number: u64| {
            [
                acm::uuid_of(&format!("certificate-{family}{number:08x}")),
                autoscaling::uuid_of(&format!("x-{family}{number:08x}")),
                elbv2::dns_digits(number).to_string(),
            ]
        };
        (after + 1..=last).flat_map(|number| forms(number).map(|form| (form, number))).collect()
    }

    /// What there is, apart from the names AWS gave it.
    pub fn shape(&self) -> Shape {
        let other_forms = self.other_forms(0);
        Shape::of(&self.inner().world, &other_forms)
    }

    /// The Auto Scaling groups as they are now.
    pub fn fleets(&self) -> Vec<Fleet> {
        self.inner().world.fleets()
    }

    pub fn world_id(&self) -> String {
        self.inner().world.id.clone()
    }

    /// Where the world's time stands: a run's clock starts here.
    pub fn clock(&self) -> Timestamp {
        self.inner().world.now
    }

    /// The reply to a request at the time `now`, whatever faults were asked for.
    pub fn answer(&self, request: &http::Request<Bytes>, now: Timestamp) -> http::Response<Bytes> {
        self.inner().answer(request, now)
    }

    /// What becomes of a request at the time `now`.
    pub fn exchange(&self, request: &http::Request<Bytes>, now: Timestamp) -> Exchange {
        if self.has_crashed() {
            return Exchange { after: Duration::ZERO, reply: None, crash: true };
        }
        let exchange = self.inner().exchange(request, now);
        if exchange.crash {
            self.crash();
        }
        exchange
    }

    /// Whether the caller has crashed, as a fault had it.
    pub fn has_crashed(&self) -> bool {
        self.crashed.load(Ordering::SeqCst)
    }

    /// The caller is no more.
    pub fn crash(&self) {
        self.crashed.store(true, Ordering::SeqCst);
        if let Some(end) = self.end.get() {
            end();
        }
    }

    /// Has `end` end the process when a fault says that it crashes. Without it, nothing arrives here any more.
    pub fn at_crash(&self, end: fn()) {
        // One is enough.
        let _ = self.end.set(end);
    }

    /// Has these faults happen from now on, and no others.
    pub fn ask_for(&self, faults: impl IntoIterator<Item = Fault>) {
        let inner = &mut *self.inner();
        if inner.world.settings.short_of_capacity_until.is_some() {
            let settings = Settings { short_of_capacity_until: None, ..inner.world.settings.clone() };
            // A log that cannot be written refuses the next change too, and says so there.
            let _ = inner.change(Change::Settings(settings));
        }
        inner.faults = Faults::new(faults);
        inner.past = inner.faults.need_past().then(Past::default);
    }

    /// Those of the faults that did not happen: their call was not made, or there was nothing they could happen to.
    pub fn faults_unused(&self) -> Vec<Fault> {
        self.inner().faults.unused()
    }

    /// Notes the calls that are made from now on.
    pub fn note_calls(&self) {
        self.inner().calls = Some(Vec::new());
    }

    /// The calls since `note_calls`.
    pub fn calls(&self) -> Vec<Called> {
        self.inner().calls.clone().unwrap_or_default()
    }

    /// How long one call takes.
    pub fn latency(&self) -> Duration {
        Duration::from_millis(50)
    }

    /// Time passes without a call.
    pub fn advance(&self, now: Timestamp) {
        self.inner().world.advance(now);
    }

    /// The same step by step: `after` is called whenever something has happened by itself, and at the end.
    pub fn advance_by_steps(&self, to: Timestamp, mut after: impl FnMut(Timestamp)) {
        let next = || self.inner().world.next_until(to);
        while let Some(at) = next() {
            self.advance(at);
            after(at);
        }
        self.advance(to);
        after(to);
    }

    /// When something happens by itself next, if that is before `until`.
    pub fn next_event(&self, until: Timestamp) -> Option<Timestamp> {
        self.inner().world.next_until(until)
    }

    /// A run begins: traffic is counted from here, against the routes that are in service now.
    pub fn begin_run(&self) {
        // A log that cannot be written refuses the next change too, and says so there.
        let _ = self.inner().change(Change::BeginRun);
    }

    /// How this AWS behaves from now on.
    pub fn configure(&self, settings: Settings) -> Result<(), WorldError> {
        self.inner().change(Change::Settings(settings))
    }

    /// What users of the load balancers saw since the run began.
    pub fn traffic(&self) -> Traffic {
        self.inner().world.load.traffic()
    }

    /// What of the world can be observed: see `observe`.
    pub fn observe(&self) -> serde_json::Value {
        observe::observe(&self.inner().world)
    }

    /// Writes the snapshot and empties the log. Not needed for safety: it makes the next opening quick, and keeps the
    /// time that passed since the last change.
    pub fn close(&self) -> Result<(), WorldError> {
        let Inner { world, store, .. } = &mut *self.inner();
        store.as_mut().map_or(Ok(()), |store| store.write_snapshot(world))
    }

    // A panic elsewhere leaves the world as it was between two statements; there is no better one to go on with.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn of(world: World) -> Inner {
        Inner { world, store: None, first: None, faults: Faults::default(), past: None, calls: None }
    }

    /// The world as it was before anything was changed, if it is a copy.
    fn first(&self) -> Option<World> {
        self.world.fork.as_ref().map_or_else(|| self.first.clone(), fork::Fork::again)
    }

    fn call(&mut self, service: &Service, mut request: Request) -> Reply {
        let action = service.action(&request.action)?;
        let scope = Scope { account: request.account.clone(), region: request.region.clone() };
        let of_images = action.name == "DescribeImages" && self.world.fork.is_some();
        let is_own = of_images && ec2::image::are_own(&self.world.tx(&scope, "", ""), &request.params);
        let passes = || service::is_passed_on(service.name, action.name, &request) && !is_own;
        if let Some(fork) = self.world.fork.as_mut().filter(|_| passes()) {
            let reply = fork.pass(&scope, service.name, action.name, &request.params.0);
            if let (true, Ok(reply)) = (of_images, &reply) {
                service.check(action, &request.params)?;
                let (params, reply) = (request.params.clone(), reply.clone());
                return ec2::image::with_own(&mut self.world.tx(&scope, service.name, action.name), &params, reply);
            }
            let by_id = action.name == "DescribeImages" && !request.params.strings("ImageId").is_empty();
            if !(by_id && self.world.settings.assume_images && reply.as_ref().is_err_and(|error| error.unanswered)) {
                return reply;
            }
        }
        service.check(action, &request.params)?;
        if request.params.opt_bool("DryRun")? == Some(true) && matches!(service.protocol, Protocol::Ec2) {
            let message = "Request would have succeeded, but DryRun flag is set.";
            return Err(AwsError::new("DryRunOperation", message).status(412));
        }
        (service.sanitise)(&mut request);
        let Request { account, region, params, .. } = request;
        let scope = Scope { account, region };
        if let Some(error) = self.world.fork.as_ref().and_then(|fork| fork.failed.clone()) {
            return Err(error);
        }
        let run = |world: &mut World| (action.run)(&mut world.tx(&scope, service.name, action.name), &params);
        if action.reads() {
            return self.world.informed(run)?;
        }
        if let Some(past) = &mut self.past {
            past.keep(&self.world);
        }
        let reply = self.world.informed(|world| world.attempt(run))??;
        let (service, action) = (service.name.to_owned(), action.name.to_owned());
        self.log(Change::Call { scope, service, action, params }).map_err(|error| {
            // As with a 500 of AWS: the change may have been made. Here it has, for as long as the process lives.
            AwsError::new("InternalError", error.to_string()).status(500)
        })?;
        Ok(reply)
    }

    fn change(&mut self, change: Change) -> Result<(), WorldError> {
        self.apply(&change).expect("only calls can be refused");
        self.log(change)
    }

    fn log(&mut self, change: Change) -> Result<(), WorldError> {
        let World { now: at, requests, .. } = self.world;
        self.world.logged += 1;
        let entry = Entry { number: self.world.logged, at, requests, change };
        self.store.as_mut().map_or(Ok(()), |store| store.append(&entry))
    }

    fn replay(&mut self, entries: &[Entry]) -> Result<(), WorldError> {
        for entry in entries.iter().filter(|entry| entry.number > self.world.logged).collect::<Vec<_>>() {
            self.world.advance(entry.at);
            if let (Err(error), Some(store)) = (self.apply(&entry.change), &self.store) {
                return Err(store.damaged(entry, error));
            }
            self.world.logged = entry.number;
            self.world.requests = entry.requests;
        }
        Ok(())
    }

    fn apply(&mut self, change: &Change) -> Result<(), AwsError> {
        match change {
            Change::Call { scope, service, action, params } => {
                let service = service::find(service)
                    .ok_or_else(|| AwsError::new("InvalidAction", format!("service `{service}` is not modelled")))?;
                let action = service.action(action)?;
                self.world.attempt(|world| (action.run)(&mut world.tx(scope, service.name, action.name), params))?;
            }
            Change::Settings(settings) => self.world.settings = settings.clone(),
            Change::BeginRun => self.world.begin_run(),
            Change::Mishap(mishap) => {
                mishap.happen(&mut self.world);
            }
        }
        Ok(())
    }
}
