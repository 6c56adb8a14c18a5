//! One run, from its id to its figures.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Branch, Consent, Ctx, Driver, Entry, History, Intent, Journal, JournalError, LockError, Past, Record, Refused,
    Started, lock,
    looks::Looks,
    policy::Standing,
    replay::Replay,
    rollback::Hook,
    shared::SharedReads,
    undo::{self, Armed, ArmedUndo, UndoStack},
};
use crate::{
    aws::{Clients, ConnectError, Connections, Endpoint, Identity, Scope, WireLog, retry::Fresh},
    clock::Clock,
    event::{Change, Event, Events, Summary, UndoOutcome},
    ops::{Divergence, Error},
    redact::Secrets,
    settings::Environment,
};

/// Credentials that end sooner than this are warned of: a deploy with a bake takes about as long.
const SHORT_CREDENTIALS: Duration = Duration::from_secs(3600);

/// Names one run: sortable by time, and unique within a journal store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunId(String);

impl RunId {
    /// The id of a run that starts at `start`; `seed` tells runs of the same second apart.
    pub fn new(start: Timestamp, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ start.as_nanosecond() as u64);
        let tail: String = (0..4).map(|_| rng.digit(36)).collect();
        Self(format!("{}-{tail}", start.strftime("%Y%m%d-%H%M%S")))
    }

    /// One that is in a journal.
    pub fn known(id: &str) -> Self {
        Self(id.to_owned())
    }

    /// A dry run has no place in any store, and the same id each time.
    pub fn plan() -> Self {
        Self("plan".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One execution of one runbook. Shared by the script host, the operations and the rollback.
pub struct Run {
    id: RunId,
    clock: Clock,
    events: Events,
    journal: Journal,
    connections: Connections,
    seed: u64,
    started: Timestamp,
    interrupt: Interrupt,
    shows_requests: AtomicBool,
    shared: SharedReads,
    looks: Looks,
    /// The operations that the runbook names.
    expected: OnceLock<BTreeSet<&'static str>>,
    surveyed: tokio::sync::OnceCell<()>,
    keeps_reads: AtomicBool,
    target: OnceLock<String>,
    only_replays: AtomicBool,
    /// What it did before, if it goes on.
    replay: OnceLock<Replay>,
    /// The ids of the operations that were called.
    called: Mutex<BTreeSet<String>>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    environment: Option<Known>,
    stack: Option<String>,
    identities: BTreeMap<Scope, Identity>,
    outputs: Vec<(String, Value)>,
    summary: Summary,
    committed: Option<String>,
    rolling_back: bool,
    pub(super) consent: Consent,
    /// The locks that the run has.
    locks: Vec<String>,
    /// What a rollback of before has done already.
    pub(super) undone: BTreeMap<String, (UndoOutcome, Option<String>)>,
    pub(super) hooks_run: Vec<String>,
    pub(super) policy: Standing,
    pub(super) undos: UndoStack,
    pub(super) fresh: Fresh,
}

/// The environment the runbook named, once its account is known.
#[derive(Clone)]
struct Known {
    name: String,
    scope: Scope,
    default_tags: BTreeMap<String, String>,
}

/// What an operation gets to know of the run it is part of.
#[derive(Clone, Debug, Default)]
pub struct Defaults {
    pub environment: Option<String>,
    pub stack: Option<String>,
    pub default_tags: BTreeMap<String, String>,
}

impl Run {
    pub fn new(
        id: RunId,
        clock: Clock,
        events: Events,
        mut journal: Journal,
        endpoint: Endpoint,
        seed: u64,
    ) -> Arc<Self> {
        journal.attach(events.secrets().clone(), clock.clone());
        Arc::new(Self {
            connections: Connections::new(endpoint, clock.clone(), id.as_str()),
            started: clock.now(),
            id,
            clock,
            events,
            journal,
            seed,
            interrupt: Interrupt::default(),
            shows_requests: AtomicBool::new(false),
            shared: SharedReads::default(),
            looks: Looks::default(),
            expected: OnceLock::new(),
            surveyed: tokio::sync::OnceCell::new(),
            keeps_reads: AtomicBool::new(false),
            target: OnceLock::new(),
            only_replays: AtomicBool::new(false),
            replay: OnceLock::new(),
            called: Mutex::default(),
            state: Mutex::default(),
        })
    }

    pub fn id(&self) -> &RunId {
        &self.id
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub fn events(&self) -> &Events {
        &self.events
    }

    /// What is shown and written down nowhere.
    pub fn secrets(&self) -> &Secrets {
        self.events.secrets()
    }

    pub fn emit(&self, event: Event) {
        // What a script says again was said before.
        let is_said_again = matches!(
            event,
            Event::Log { .. }
                | Event::StageStarted { .. }
                | Event::StageFinished { .. }
                | Event::Output { .. }
                | Event::Committed { .. }
        );
        if !(is_said_again && self.is_replaying()) {
            self.events.emit(event);
        }
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Writes all requests and replies to a file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn record_wire(&self, file: &std::path::Path) -> std::io::Result<()> {
        self.connections.record(WireLog::create(file, self.secrets().clone())?);
        Ok(())
    }

    /// Says so if not all requests and replies could be written.
    pub fn warn_of_unwritten_wire(&self) {
        if let Some(error) = self.connections.record_failure() {
            self.emit(Event::Warning { message: format!("not all requests and replies are recorded: {error}") });
        }
    }

    /// Emits what each mutation asks for, before it is sent.
    pub fn show_requests(&self) {
        self.shows_requests.store(true, Ordering::Relaxed);
    }

    pub(super) fn shows_requests(&self) -> bool {
        self.shows_requests.load(Ordering::Relaxed)
    }

    /// Says which operations are going to be called: what they look at is read at once, before the first of them.
    pub fn expect_operations(&self, names: BTreeSet<&'static str>) {
        // A run has one runbook.
        let _ = self.expected.set(names);
    }

    pub(super) fn shared(&self) -> &SharedReads {
        &self.shared
    }

    pub(super) fn looks(&self) -> &Looks {
        &self.looks
    }

    /// The operations that are expected, and whether what they look at has been read.
    pub(super) fn survey(&self) -> Option<(&BTreeSet<&'static str>, &tokio::sync::OnceCell<()>)> {
        Some((self.expected.get()?, &self.surveyed))
    }

    /// How many objects of the journal this driver has written.
    pub fn written(&self) -> u64 {
        self.journal.written()
    }

    /// Whether the journal cannot be written any more, and why.
    pub fn journal_lost(&self) -> Option<JournalError> {
        self.journal.lost()
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Writes down that the run began, and who drives it; nothing may be sent before.
    ///
    /// # Errors
    /// If it is not durable.
    pub fn begin(&self, started: Started, driver: Driver) -> Result<(), JournalError> {
        self.journal.note(Record::RunStarted(Box::new(started)));
        let epoch = self.journal.epoch();
        self.journal.commit(Record::Fence { epoch, driver, verb: "run".to_owned() })
    }

    /// Keeps a file of the project as the script sees it. If that cannot be done, nothing is sent any more.
    pub fn keep_file(&self, asked: &str, name: &str, text: &str) {
        self.journal.keep_file(asked, name, text);
    }

    /// Makes durable what was noted: files that were read, before the script does anything with them.
    ///
    /// # Errors
    /// If it is not.
    pub fn flush(&self) -> Result<(), Error> {
        Ok(self.journal.flush()?)
    }

    /// The run goes on with the script called so.
    pub fn change_script(&self, runbook: &str) {
        self.journal.note(Record::ScriptChanged { runbook: runbook.to_owned() });
    }

    /// The driver stops here, and the run goes on another time.
    ///
    /// # Errors
    /// If that is not durable. What was done is.
    pub fn suspend(&self, reason: &str) -> Result<(), JournalError> {
        self.journal.commit(Record::Suspended { reason: reason.to_owned() })
    }

    /// Writes down what another driver needs to go on with the run, from here on.
    ///
    /// `target` is where it takes place, as an identity: a lock is one there, and not elsewhere.
    pub fn can_go_on(&self, target: &str) {
        self.keeps_reads.store(true, Ordering::Relaxed);
        // A run takes place in one.
        let _ = self.target.set(target.to_owned());
    }

    pub(super) fn keeps_reads(&self) -> bool {
        self.keeps_reads.load(Ordering::Relaxed)
    }

    /// Takes a run up where another driver has left it.
    pub fn go_on(&self, past: Past, entries: &[Entry]) {
        {
            let state = &mut *self.state();
            state.restore(entries);
            state.summary.mutations = u32::try_from(past.mutations()).unwrap_or(u32::MAX);
            state.stack.clone_from(&past.stack);
            // A rollback has no script that says so.
            state.environment = past.environment.as_ref().map(|before| Known {
                name: before.name.clone(),
                scope: before.scope.clone(),
                default_tags: before.default_tags.clone(),
            });
        }
        // A run is taken up once.
        let _ = self.replay.set(Replay::new(past));
    }

    /// The script is run only as far as it is on record, for the closures in it.
    pub fn only_replay(&self) {
        self.only_replays.store(true, Ordering::Relaxed);
    }

    /// Ends a script that is run only as far as it is on record: what it asks for now is not.
    pub(super) fn ends_here(&self) -> Result<(), Error> {
        if self.only_replays() { Err(Error::Interrupted) } else { Ok(()) }
    }

    pub(super) fn only_replays(&self) -> bool {
        self.only_replays.load(Ordering::Relaxed)
    }

    /// Whether hooks were registered whose closures this process does not have.
    pub fn has_hooks_of_before(&self) -> bool {
        self.state().undos.has_hooks_of_before()
    }

    /// A person says what became of a call: nothing (`None`) means that it was carried out.
    ///
    /// # Errors
    /// If there is no such call whose outcome is unknown, in words.
    pub fn mark(&self, path: &str, error: Option<Refused>, reason: &str) -> Result<(), String> {
        let Some(replay) = self.replay() else { return Err("the run has not been taken up".to_owned()) };
        replay.settle(path, error.clone())?;
        if error.is_some() {
            self.state().undos.remove(path);
        }
        let said = Some(format!("{}: {reason}", crate::settings::actor()));
        let record = Record::Result { path: path.to_owned(), result: None, error, in_doubt: false, said };
        self.journal.commit(record).map_err(|error| error.to_string())
    }

    /// A person says what became of what a call has changed.
    ///
    /// # Errors
    /// If there is no such change, in words.
    pub fn mark_undo(&self, path: &str, outcome: UndoOutcome, reason: &str) -> Result<(), String> {
        let (undo, all) = {
            let state = self.state();
            (state.undos.description(path), state.undos.paths())
        };
        let undo = undo.ok_or_else(|| {
            let all = all.join("`, `");
            format!("`{path}` is no change of this run that can be taken back; there are `{all}`")
        })?;
        let detail = Some(reason.to_owned());
        self.state().undone.insert(path.to_owned(), (outcome, detail.clone()));
        let by = Some(crate::settings::actor());
        let record = Record::UndoEnded { path: path.to_owned(), undo, outcome, detail, by };
        self.journal.commit(record).map_err(|error| error.to_string())
    }

    pub(super) fn replay(&self) -> Option<&Replay> {
        self.replay.get()
    }

    /// An operation of that id is called; whether for the first time.
    pub(super) fn call(&self, id: &str) -> bool {
        self.called.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned())
    }

    pub(super) fn called(&self) -> BTreeSet<String> {
        self.called.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Settles where calls go, and that it is the right account.
    pub async fn use_environment(&self, environment: &Environment) -> Result<Identity, Error> {
        self.come_under(&environment.name, &environment.policy)?;
        let region = match &environment.region {
            Some(region) => region.clone(),
            None => self.connections.default_region().await?,
        };
        let scope =
            Scope { region, role_arn: environment.role_arn.clone(), external_id: environment.external_id.clone() };
        let identity = self.identify(&scope).await?;
        if let Some(wanted) = &environment.account_id
            && !self.connections.is_simulated()
            && *wanted != identity.account
        {
            return Err(ConnectError::OtherAccount {
                environment: environment.name.clone(),
                wanted: wanted.clone(),
                found: identity.account,
            }
            .into());
        }
        self.judge_environment(&scope, &identity)?;
        let known = self.as_before(environment, scope)?;
        self.state().environment = Some(known);
        self.emit(Event::Environment {
            environment: environment.name.clone(),
            region: identity.region.clone(),
            account: identity.account.clone(),
        });
        Ok(identity)
    }

    /// Writes down which environment it is, as the script sees it; or takes it as the script saw it before.
    fn as_before(&self, environment: &Environment, scope: Scope) -> Result<Known, Error> {
        let (name, vars) = (environment.name.clone(), environment.vars.clone());
        let default_tags = environment.default_tags.clone();
        let Some(before) = self.past().and_then(|past| past.environment.clone()) else {
            let record = Record::Environment {
                name: name.clone(),
                scope: scope.clone(),
                vars,
                default_tags: default_tags.clone(),
            };
            self.journal.note(record);
            return Ok(Known { name, scope, default_tags });
        };
        if before.name == name && before.scope == scope {
            return Ok(Known { name, scope, default_tags: before.default_tags });
        }
        let words = |name: &str, scope: &Scope| {
            let role = scope.role_arn.as_ref().map(|role| format!(" as {role}")).unwrap_or_default();
            format!("{name} in {}{role}", scope.region)
        };
        let (place, recorded) = ("the environment".to_owned(), words(&before.name, &before.scope));
        Err(Box::new(Divergence { place, recorded, now: words(&name, &scope) }).into())
    }

    /// What the script saw as the environment's `vars`, if the run goes on.
    pub fn vars_before(&self) -> Option<&serde_json::Map<String, Value>> {
        self.past()?.environment.as_ref().map(|environment| &environment.vars)
    }

    /// Whether calls go to the simulated AWS.
    pub(super) fn is_simulated(&self) -> bool {
        self.connections.is_simulated()
    }

    /// The scope that is given, or the environment's own.
    pub(super) async fn scope_or_own(&self, scope: Option<&Scope>) -> Result<Scope, Error> {
        let known = self.state().environment.as_ref().map(|known| known.scope.clone());
        match scope.cloned().or(known) {
            Some(scope) => Ok(scope),
            None => Ok(Scope { region: self.connections.default_region().await?, role_arn: None, external_id: None }),
        }
    }

    pub(super) async fn clients(&self, scope: &Scope, identity: &Identity) -> Result<Arc<Clients>, Error> {
        Ok(self.connections.clients(scope, identity).await?)
    }

    pub(super) async fn identify(&self, scope: &Scope) -> Result<Identity, Error> {
        if let Some(identity) = self.state().identities.get(scope) {
            return Ok(identity.clone());
        }
        if self.only_replays() {
            // Nothing is asked of AWS; where the record ends, so does the script.
            let account = self.past().and_then(|past| past.accounts.get(scope)).cloned().ok_or(Error::Interrupted)?;
            let (arn, region) = (String::new(), scope.region.clone());
            return Ok(Identity { account, arn, region, expires: None });
        }
        let identity = self.connections.identify(scope).await?;
        if let Some(expires) = identity.expires
            && let Ok(left) = expires.duration_since(SystemTime::now())
            && left < SHORT_CREDENTIALS
        {
            self.emit(Event::Warning {
                message: format!(
                    "the AWS credentials end in {} min and are not renewed by themselves: a longer run would stop half-way",
                    left.as_secs() / 60
                ),
            });
        }
        let account = identity.account.clone();
        match self.past().and_then(|past| past.accounts.get(scope)) {
            None => self.journal.note(Record::Account { scope: scope.clone(), account }),
            Some(before) if *before == account => {}
            Some(before) => {
                let (place, recorded) = (format!("the account in {}", scope.region), before.clone());
                return Err(Box::new(Divergence { place, recorded, now: account }).into());
            }
        }
        self.state().identities.insert(scope.clone(), identity.clone());
        Ok(identity)
    }

    /// The scope `within` means: the environment's own, with what is given instead.
    pub async fn scope_within(
        &self,
        outer: Option<&Scope>,
        region: Option<String>,
        role_arn: Option<String>,
        external_id: Option<String>,
    ) -> Result<Scope, Error> {
        let base = self.scope_or_own(outer).await?;
        let external_id = if role_arn.is_some() { external_id } else { external_id.or(base.external_id) };
        Ok(Scope { region: region.unwrap_or(base.region), role_arn: role_arn.or(base.role_arn), external_id })
    }

    /// Keeps other runs out of what is called so, in the account and region of the environment, until this run ends. A dry run
    /// keeps nobody out.
    ///
    /// # Errors
    /// If another run has it.
    pub async fn lock(&self, name: &str) -> Result<(), Error> {
        // Only a run that others can go on with has a place that others look at.
        if !self.keeps_reads() {
            return Ok(());
        }
        let scope = self.scope_or_own(None).await?;
        let identity = self.identify(&scope).await?;
        let place = match self.target.get().map(String::as_str) {
            None | Some("aws") => identity.account,
            Some(other) => format!("{} at {}", identity.account, other.replace('/', "_")),
        };
        let name = format!("{place}/{}/{name}", scope.region);
        if self.state().locks.contains(&name) {
            return Ok(());
        }
        self.take_lock(name)?;
        Ok(())
    }

    fn take_lock(&self, name: String) -> Result<(), LockError> {
        lock::take(self.journal.store(), &name, self.id.as_str())?;
        self.journal.note(Record::Locked { name: name.clone() });
        self.state().locks.push(name);
        Ok(())
    }

    /// Takes the locks again that the run has had: for a rollback, which has no script that does.
    ///
    /// # Errors
    /// If another run has one of them by now.
    pub fn lock_again(&self) -> Result<(), Error> {
        let had = self.past().map(|past| past.locks.clone()).unwrap_or_default();
        let new = had.into_iter().filter(|name| !self.state().locks.contains(name)).collect::<Vec<_>>();
        new.into_iter().try_for_each(|name| self.take_lock(name)).map_err(Error::from)
    }

    /// Lets other runs in again.
    pub fn unlock(&self) {
        let locks = std::mem::take(&mut self.state().locks);
        for name in locks {
            // The end of the run frees it as well.
            let _ = lock::release(self.journal.store(), &name, self.id.as_str());
        }
    }

    /// Whether the stack is the one that the run has had before, if it goes on.
    ///
    /// # Errors
    /// [`Error::Diverged`] if it is not.
    pub fn is_same_stack(&self, stack: &str) -> Result<(), Error> {
        match self.past().and_then(|past| past.stack.as_deref()) {
            Some(before) if before != stack => {
                let (place, recorded, now) = ("the stack".to_owned(), before.to_owned(), stack.to_owned());
                Err(Box::new(Divergence { place, recorded, now }).into())
            }
            _ => Ok(()),
        }
    }

    /// Names the stack that owns what is made from here on.
    pub fn set_stack(&self, stack: String) {
        if self.past().is_none_or(|past| past.stack.is_none()) {
            self.journal.note(Record::Stack { stack: stack.clone() });
        }
        self.emit(Event::Stack { stack: stack.clone() });
        self.state().stack = Some(stack);
    }

    /// What operations inherit.
    pub fn defaults(&self) -> Defaults {
        let state = self.state();
        Defaults {
            environment: state.environment.as_ref().map(|known| known.name.clone()),
            stack: state.stack.clone(),
            default_tags: state.environment.as_ref().map(|known| known.default_tags.clone()).unwrap_or_default(),
        }
    }

    /// The context of the next operation at `branch`.
    pub fn context(self: &Arc<Self>, branch: &mut Branch) -> Ctx {
        let (scope, stage) = (branch.scope().cloned(), branch.stage().map(str::to_owned));
        Ctx::new(self.clone(), branch.next_id(), scope).in_stage(stage)
    }

    pub fn output(&self, name: String, value: Value) {
        self.emit(Event::Output { name: name.clone(), value: value.clone() });
        let mut state = self.state();
        state.outputs.retain(|(known, _)| *known != name);
        state.outputs.push((name, value));
    }

    /// Keeps a closure of the runbook for the rollback.
    pub fn on_rollback(&self, hook: Hook) {
        let label = hook.label.clone();
        let is_known = self.was_armed(&label);
        if !is_known && self.only_replays() {
            return;
        }
        self.state().undos.hook(hook);
        if is_known {
            return;
        }
        self.journal.note(Record::HookArmed { hook: label.clone() });
        // After the point of no return nothing goes back that it could be part of.
        if self.committed().is_none() {
            self.emit(Event::HookArmed { hook: label });
        }
    }

    /// The point of no return: what was done until here stays, whatever happens.
    ///
    /// # Errors
    /// If it is not durable.
    pub fn commit(&self, label: &str) -> Result<(), Error> {
        if self.was_committed(label) {
            return Ok(());
        }
        self.ends_here()?;
        self.journal.commit(Record::Committed { label: label.to_owned() })?;
        let mut state = self.state();
        state.undos.clear();
        state.committed = Some(label.to_owned());
        drop(state);
        self.emit(Event::Committed { label: label.to_owned() });
        Ok(())
    }

    pub fn committed(&self) -> Option<String> {
        self.state().committed.clone()
    }

    /// Whether there is something to take back, or to call in a rollback.
    pub fn has_undos(&self) -> bool {
        !self.state().undos.is_empty()
    }

    /// Whether any mutation was carried out, or may have been.
    pub fn changed_anything(&self) -> bool {
        self.state().summary.mutations > 0
    }

    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    pub(super) fn set_rolling_back(&self) {
        self.state().rolling_back = true;
    }

    /// Whether it takes back what it did.
    pub fn is_rolling_back(&self) -> bool {
        self.state().rolling_back
    }

    /// The figures so far. `wall` and `traffic` are known to the caller only.
    pub fn summary(&self) -> Summary {
        let state = self.state();
        Summary {
            stack: state.stack.clone(),
            environment: state.environment.as_ref().map(|known| known.name.clone()),
            outputs: state.outputs.clone(),
            elapsed: self.clock.now().duration_since(self.started).unsigned_abs(),
            ..state.summary.clone()
        }
    }

    pub(super) fn count_call(&self, mutation: bool) {
        let mut state = self.state();
        state.summary.calls += 1;
        state.summary.mutations += u32::from(mutation);
    }

    pub(super) fn count_change(&self, change: Change) {
        let summary = &mut self.state().summary;
        match change {
            Change::Created => summary.created += 1,
            Change::Updated => summary.updated += 1,
            Change::Deleted => summary.deleted += 1,
            Change::Unchanged => summary.unchanged += 1,
            Change::Read | Change::Waited => {}
        }
    }

    /// Ends the journal.
    pub fn finish(&self, exit_code: u8) -> Result<(), JournalError> {
        self.journal.commit(Record::Finished { exit_code })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    /// What takes a run back, in the order in which that would happen: the call, the words for it, and whether it is done.
    pub fn undo_plan(entries: &[Entry]) -> Vec<(String, String, bool)> {
        let mut state = State::default();
        state.restore(entries);
        let is_done = |path: &str| state.undone.get(path).is_some_and(|(outcome, _)| !outcome.stays());
        let line = |armed: &Armed| match armed {
            Armed::Undo(undo) => {
                let keep = if undo.undo.keep { "keep what would need: " } else { "" };
                (undo.path.clone(), format!("{keep}{}", undo.undo.description), is_done(&undo.path))
            }
            Armed::Hook(hook) => {
                (String::new(), format!("call hook {}", hook.label), state.hooks_run.contains(&hook.label))
            }
        };
        state.undos.in_order().into_iter().map(line).collect()
    }
}

impl State {
    /// What can be taken back, and what has been, as the journal has it.
    fn restore(&mut self, entries: &[Entry]) {
        let mut intents: BTreeMap<&str, (&Intent, Timestamp)> = BTreeMap::new();
        // Calls whose outcome is not known yet.
        let mut under_way: Vec<&str> = Vec::new();
        // When the driver of then was heard of last: until then it may have sent a call again.
        let mut heard = Timestamp::MIN;
        for Entry { at, record } in entries {
            if !matches!(record, Record::Fence { .. }) {
                heard = *at;
            }
            match record {
                Record::Intent(intent) if !self.rolling_back => {
                    intents.insert(&intent.path, (intent, *at));
                    under_way.push(&intent.path);
                }
                // What the driver before left open was in doubt from then on: whatever came later was done after it.
                Record::Fence { .. } => {
                    for path in under_way.drain(..) {
                        self.rearm(intents[path].0, None, heard);
                    }
                }
                Record::Result { path, result, error, in_doubt, said: _ } => {
                    let Some((intent, _)) = intents.get(path.as_str()) else { continue };
                    under_way.retain(|known| *known != path);
                    let result = result.clone().unwrap_or_default();
                    match error {
                        None => {
                            self.fresh.remember(&result, *at);
                            self.rearm(intent, Some(&result), *at);
                        }
                        Some(_) if *in_doubt => self.rearm(intent, None, *at),
                        Some(_) => self.undos.disarm(path),
                    }
                }
                Record::HookArmed { hook } => self.undos.hook(Hook { label: hook.clone(), call: None }),
                Record::Committed { label } => {
                    self.undos.clear();
                    self.committed = Some(label.clone());
                }
                Record::RollbackStarted { .. } => self.rolling_back = true,
                Record::UndoEnded { path, outcome, detail, .. } => {
                    self.undone.insert(path.clone(), (*outcome, detail.clone()));
                }
                Record::HookEnded { hook, error: None } => {
                    self.hooks_run.push(hook.clone());
                }
                _ => {}
            }
        }
        for path in under_way {
            self.rearm(intents[path].0, None, heard);
        }
    }

    /// `result` is what the call recorded, if that is known.
    fn rearm(&mut self, intent: &Intent, result: Option<&Value>, at: Timestamp) {
        let Some(mut undo) = intent.undo.clone().filter(|_| self.committed.is_none()) else { return };
        if let Some(result) = result {
            undo::complete(&mut undo.arguments, result);
        }
        let unresolved = intent.look_up.clone().filter(|_| result.is_none());
        self.undos.arm(ArmedUndo { path: intent.path.clone(), undo, scope: intent.scope.clone(), unresolved, at });
    }
}

/// Somebody's wish that the run stop. Calls in flight are finished, waits are left.
#[derive(Default)]
pub struct Interrupt {
    requested: AtomicBool,
    notify: tokio::sync::Notify,
}

impl Interrupt {
    /// Asks the run to stop. Asked twice, it says so: the second time means "at once".
    pub fn request(&self) -> bool {
        let again = self.requested.swap(true, Ordering::SeqCst);
        self.notify.notify_waiters();
        again
    }

    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    pub(super) async fn requested(&self) {
        loop {
            let notified = self.notify.notified();
            if self.is_requested() {
                return;
            }
            notified.await;
        }
    }
}
