//! One run, from its id to its figures.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Branch, Consent, Ctx, Driver, Journal, JournalError, Record, Started, looks::Looks, policy::Standing,
    replay::Replay, rollback::Hook, shared::SharedReads, undo::UndoStack,
};
use crate::{
    aws::{Connections, Endpoint, Identity, Scope, WireLog, retry::Fresh},
    clock::Clock,
    event::{Change, Event, Events, Summary, UndoOutcome},
    ops::{Divergence, Error},
    redact::Secrets,
};

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
    pub(super) connections: Connections,
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
    pub(super) target: OnceLock<String>,
    /// What has to be typed beside its id to find it, as ` --journal PLACE`.
    found_by: OnceLock<String>,
    only_replays: AtomicBool,
    /// What it did before, if it goes on.
    pub(super) replay: OnceLock<Replay>,
    /// The ids of the operations that were called.
    called: Mutex<BTreeSet<String>>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) environment: Option<Known>,
    pub(super) stack: Option<String>,
    pub(super) identities: BTreeMap<Scope, Identity>,
    outputs: Vec<(String, Value)>,
    pub(super) summary: Summary,
    pub(super) committed: Option<String>,
    pub(super) rolling_back: bool,
    pub(super) consent: Consent,
    /// The locks that the run has.
    pub(super) locks: Vec<String>,
    /// What a rollback of before has done already.
    pub(super) undone: BTreeMap<String, (UndoOutcome, Option<String>)>,
    pub(super) hooks_run: Vec<String>,
    pub(super) policy: Standing,
    pub(super) undos: UndoStack,
    pub(super) fresh: Fresh,
}

/// The environment the runbook named, once its account is known.
#[derive(Clone)]
pub(super) struct Known {
    pub name: String,
    pub scope: Scope,
    pub default_tags: BTreeMap<String, String>,
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
            found_by: OnceLock::new(),
            only_replays: AtomicBool::new(false),
            replay: OnceLock::new(),
            called: Mutex::default(),
            state: Mutex::default(),
        })
    }

    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Says what has to be typed beside its id to find it.
    pub fn found_by(&self, flags: String) {
        // A run is at one place.
        let _ = self.found_by.set(flags);
    }

    /// The command line that does this with the run.
    pub fn command(&self, verb: &str) -> String {
        format!("runner {verb} {}{}", self.id.as_str(), self.found_by.get().map_or("", String::as_str))
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
