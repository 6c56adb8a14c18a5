//! What an operation has in its hands: clients, waits, time, and its say about what it did. Calls are
//! in `send`.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{Failed, FailedAs, Record, Run, past::Again, replay::Recorded, session::Defaults};
use crate::{
    aws::{Clients, Scope},
    event::{Change, Event, Field},
    ops::{Error, catalog::Prepared, holds_secret, survey},
    web,
};

/// The id of the calls that are made before the first operation, for all of them.
pub const SURVEY: &str = "survey";

tokio::task_local! {
    /// Which wait of its operation looks, while one does.
    static POLLING: u32;
}

/// Whether a call is one of the looks of a wait.
pub(super) fn is_polling() -> bool {
    wait_here().is_some()
}

/// Which wait of its operation looks here, if one does.
pub(super) fn wait_here() -> Option<u32> {
    POLLING.try_with(|wait| *wait).ok()
}

/// The context of one operation, or of one undo. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    pub(super) run: Arc<Run>,
    pub(super) op: Arc<Op>,
    pub(super) scope: Option<Scope>,
    stage: Option<String>,
    /// Where in the runbook it was called.
    pub(super) place: Option<String>,
    /// Whether policy is asked before it does something.
    pub(super) is_judged: bool,
    /// Where its calls go, and by which clients.
    clients: OnceLock<(Scope, Arc<Clients>)>,
}

/// The operation a context belongs to.
pub(super) struct Op {
    pub id: String,
    /// How much the run had sent when the operation began, or when it last sent something itself: what its waits must see.
    pub must_see: AtomicUsize,
    state: Mutex<OpState>,
    /// How many waits it has begun.
    waits: AtomicU32,
    /// Where it stands in what it did before, if it does it again.
    again: OnceLock<Mutex<Option<Box<Again>>>>,
}

#[derive(Default)]
pub(super) struct OpState {
    change: Option<Change>,
    fields: Vec<Field>,
    /// How often each path was used: a second change of the same thing gets `#2`.
    pub paths: BTreeMap<String, u32>,
}

/// A wait: what for, how long at most, and how often to look.
#[derive(Clone, Debug)]
pub struct Wait {
    /// Completes the sentence "waiting for …".
    pub what: String,
    pub timeout: Duration,
    /// The first interval between looks; it grows to three times this.
    pub every: Duration,
}

/// What a look showed.
pub enum Seen<T> {
    /// It is there.
    Ready(T),
    /// Not yet; this is what was seen.
    Pending(String),
}

impl Op {
    fn new(run: &Run, id: String) -> Self {
        Self {
            id,
            must_see: run.shared().so_far().into(),
            state: Mutex::default(),
            waits: AtomicU32::new(0),
            again: OnceLock::new(),
        }
    }

    /// Where it stands in what it did before; `None` if it is new.
    pub fn again(&self) -> Option<MutexGuard<'_, Option<Box<Again>>>> {
        Some(self.again.get()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Ctx {
    pub(super) fn new(run: Arc<Run>, id: String, scope: Option<Scope>) -> Self {
        let op = Arc::new(Op::new(&run, id));
        Self { run, op, scope, stage: None, place: None, is_judged: true, clients: OnceLock::new() }
    }

    /// For what must not be stopped: undos, and what policy itself reads.
    pub(super) fn not_judged(mut self) -> Self {
        self.is_judged = false;
        self
    }

    pub(super) fn in_stage(mut self, stage: Option<String>) -> Self {
        self.stage = stage;
        self
    }

    /// Called at `place` of the runbook, `file:line:column`: for whoever reads what it did.
    pub fn at(mut self, place: Option<String>) -> Self {
        self.place = place;
        self
    }

    /// Runs an operation that is called with `arguments`, with its events; or answers from the journal, if it was run
    /// before. The entry point of the script host.
    pub async fn operation(&self, name: &'static str, arguments: Value, prepared: Prepared) -> Result<Value, Error> {
        let (id, subject) = (self.op.id.clone(), prepared.subject);
        prepared.secrets.iter().for_each(|secret| self.hide(secret));
        if let Some(result) = self.begin(name, &subject, arguments)? {
            return Ok(result);
        }
        let started = self.now();
        self.tell_start(name, &subject);
        let result = async {
            self.judge_operation(name)?;
            self.connect().await?;
            Box::pin(self.resolve()).await?;
            Box::pin(self.survey()).await;
            (prepared.run)(self).await
        };
        let operation = name.to_owned();
        match result.await {
            Ok(mut handle) => {
                let (change, fields) = {
                    let mut state = self.op_state();
                    (state.change.unwrap_or(Change::Read), std::mem::take(&mut state.fields))
                };
                if let Some(handle) = handle.as_object_mut() {
                    let change = serde_json::to_value(change).expect("a unit variant");
                    handle.entry("change").or_insert(change);
                }
                self.end(Ok(&handle));
                let elapsed = self.since(started);
                self.run.emit(Event::OperationFinished { id, operation, subject, change, fields, elapsed });
                Ok(handle)
            }
            Err(failure) => {
                self.end(Err(&failure));
                let error = failure.to_string();
                self.run.emit(Event::OperationFailed { id, operation, subject, error });
                Err(failure)
            }
        }
    }

    /// Writes down that an operation begins. Returns what it returned, if it was run before.
    pub(super) fn begin(&self, name: &str, subject: &str, arguments: Value) -> Result<Option<Value>, Error> {
        let arguments = self.masked(arguments);
        match self.recorded(name, subject, &arguments)? {
            Recorded::Ended(result) => return Ok(Some(result)),
            Recorded::Begun(again) => {
                let _ = self.op.again.set(Mutex::new(Some(again)));
            }
            Recorded::No => {
                let (id, operation, subject) = (self.op.id.clone(), name.to_owned(), subject.to_owned());
                self.run.journal().note(Record::Operation { id, operation, subject, arguments });
            }
        }
        Ok(None)
    }

    /// Writes down how it ended, unless it is to be done again.
    pub(super) fn end(&self, result: Result<&Value, &Error>) {
        let id = self.op.id.clone();
        let (result, error) = match result {
            // What holds a secret is asked for again.
            Ok(handle) => (Some(handle).filter(|handle| !holds_secret(handle)).cloned(), None),
            // It is not over; or policy has to be asked again.
            Err(error) if error.suspends() || matches!(error, Error::Policy(_)) => return,
            Err(error) => (None, Some(Failed::of(error))),
        };
        self.run.journal().note(Record::OperationEnded { id, result, error });
    }

    /// A wait that the runbook asks for by itself: shown as an operation is.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if the run is to stop.
    pub async fn pause(&self, name: &'static str, duration: crate::ops::Duration) -> Result<(), Error> {
        let (id, subject, elapsed) = (self.op.id.clone(), duration.to_string(), duration.0);
        if self.begin(name, &subject, Value::Null)?.is_some() {
            return Ok(());
        }
        self.tell_start(name, &subject);
        let started = self.op.again().and_then(|again| Some(again.as_ref()?.started()));
        let now = self.run.clock().now();
        let until = started.unwrap_or(now).checked_add(elapsed).unwrap_or(Timestamp::MAX);
        self.will_wait(elapsed)?;
        self.sleep_now(until.duration_since(now).try_into().unwrap_or_default()).await?;
        self.end(Ok(&Value::Bool(true)));
        self.emit(Event::Waited { id: id.clone(), what: format!("{subject} to pass"), elapsed, timeout: elapsed });
        self.emit(Event::OperationFinished {
            id,
            operation: name.to_owned(),
            subject,
            change: Change::Waited,
            fields: Vec::new(),
            elapsed,
        });
        Ok(())
    }

    fn tell_start(&self, name: &'static str, subject: &str) {
        self.emit(Event::OperationStarted {
            id: self.op.id.clone(),
            operation: name.to_owned(),
            subject: subject.to_owned(),
            stage: self.stage.clone(),
            place: self.place.clone(),
        });
    }

    /// Makes the clients; everything else in here needs them.
    pub(super) async fn connect(&self) -> Result<(), Error> {
        if self.clients.get().is_none() {
            let scope = self.run.scope_or_own(self.scope.as_ref()).await?;
            let identity = self.run.identify(&scope).await?;
            self.judge_scope(&scope, &identity)?;
            let clients = self.run.clients(&scope, &identity).await?;
            let _ = self.clients.set((scope, clients));
        }
        Ok(())
    }

    /// The same operation in another region of the same account.
    ///
    /// # Errors
    /// If nobody can be found who may work there, or policy says no.
    pub async fn in_region(&self, region: &str) -> Result<Self, Error> {
        let scope = Scope { region: region.to_owned(), ..self.own_scope().clone() };
        let there = Self { scope: Some(scope), clients: OnceLock::new(), ..self.clone() };
        there.connect().await?;
        Ok(there)
    }

    /// Reads what the operations of the runbook are going to look at, before the first of them. What cannot be read is left
    /// to the operation that needs it; so is all that `within` leads to, where few of them may be called or allowed.
    async fn survey(&self) {
        let Some((operations, made)) = self.run.survey() else { return };
        if self.scope.is_some() || self.run.defaults().stack.is_none() || self.run.is_rolling_back() {
            return;
        }
        made.get_or_init(|| async {
            let op = Op::new(&self.run, SURVEY.to_owned());
            let ctx = Self { op: Arc::new(op), stage: None, place: None, ..self.clone() };
            survey::read(&ctx, operations).await;
        })
        .await;
    }

    /// Keeps other runs out of what is called so, until this run ends.
    ///
    /// # Errors
    /// [`Error::Locked`] if another run has it.
    pub async fn lock(&self, name: &str) -> Result<(), Error> {
        self.run.lock(name).await
    }

    /// A point of no return: what the run has done so far is not taken back any more.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn commit(&self, label: &str) -> Result<(), Error> {
        self.run.commit(label)
    }

    /// The SDK clients of the scope this operation runs in.
    pub fn aws(&self) -> &Clients {
        &self.connected().1
    }

    /// Where its calls go.
    pub(super) fn own_scope(&self) -> &Scope {
        &self.connected().0
    }

    fn connected(&self) -> &(Scope, Arc<Clients>) {
        self.clients.get().expect("an operation runs connected")
    }

    /// The time of this operation. Where it does again what it did before, that is behind the run's.
    pub fn now(&self) -> Timestamp {
        self.time_on_record().unwrap_or_else(|| self.run.clock().now())
    }

    /// The time of the whole run: of what other operations are to know the age of.
    pub(super) fn run_time(&self) -> Timestamp {
        self.run.clock().now()
    }

    /// Sends a request as a user of the services here does. It asks, and changes nothing.
    ///
    /// # Errors
    /// If there is no reply.
    pub async fn visit(&self, request: &web::Request) -> Result<web::Reply, web::Trouble> {
        let (account, region) = (&self.aws().account, &self.aws().region);
        self.run.connections.visit(account, region, request).await
    }

    /// The run this operation is part of, as its id.
    pub fn run_id(&self) -> &str {
        self.run.id().as_str()
    }

    /// What the run gives all operations.
    pub fn defaults(&self) -> Defaults {
        self.run.defaults()
    }

    /// The stack that owns what this operation makes.
    ///
    /// # Errors
    /// If the runbook has not named one.
    pub fn stack(&self) -> Result<String, Error> {
        self.run.defaults().stack.ok_or_else(|| Error::Missing {
            what: "making a resource".into(),
            needs: "a stack that owns it",
            hint: "call `stack(\"name\")` before the first operation",
        })
    }

    /// The ids with that prefix (`subnet-`) of what this run made in the last minute. A list may not show them yet, a
    /// read that names them waits for them. In a rollback there are none: they are about to go, or gone.
    pub fn just_made(&self, prefix: &str) -> Vec<String> {
        if self.run.is_rolling_back() {
            return Vec::new();
        }
        self.run.state().fresh.ids(prefix, self.run_time())
    }

    /// Says what the operation did to a resource, for the progress line and the summary. With
    /// several resources the strongest change is shown: created, then updated, then unchanged.
    pub fn did(&self, change: Change, fields: impl IntoIterator<Item = Field>) {
        fn strength(change: Change) -> u8 {
            match change {
                Change::Read => 0,
                Change::Waited => 1,
                Change::Unchanged => 2,
                Change::Deleted => 3,
                Change::Updated => 4,
                Change::Created => 5,
            }
        }
        self.run.count_change(change);
        let mut state = self.op_state();
        if state.change.is_none_or(|known| strength(known) < strength(change)) {
            state.change = Some(change);
        }
        state.fields.extend(fields);
    }

    /// Emits an event of this operation.
    pub fn emit(&self, event: Event) {
        self.run.emit(event);
    }

    /// The id of this operation, for its events.
    pub fn id(&self) -> &str {
        &self.op.id
    }

    /// Lets `duration` of the run's time pass.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if the run is to stop.
    pub async fn sleep(&self, duration: Duration) -> Result<(), Error> {
        let until = self.now().checked_add(duration).unwrap_or(Timestamp::MAX);
        if self.waited_until(until) {
            return Ok(());
        }
        // Part of it may have passed before the run was taken up again.
        self.sleep_now(until.duration_since(self.now()).try_into().unwrap_or_default()).await
    }

    /// Lets `duration` pass, whatever is on record.
    async fn sleep_now(&self, duration: Duration) -> Result<(), Error> {
        if self.run.is_rolling_back() {
            self.run.clock().sleep(duration).await;
            return Ok(());
        }
        tokio::select! {
            biased;
            () = self.run.interrupt().requested() => Err(Error::Interrupted),
            () = self.run.clock().sleep(duration) => Ok(()),
        }
    }

    /// Looks again and again until `look` sees what is waited for.
    ///
    /// # Errors
    /// [`Error::TimedOut`] at the deadline; whatever `look` returns; [`Error::Interrupted`].
    pub async fn wait<T>(&self, wait: Wait, look: impl AsyncFnMut() -> Result<Seen<T>, Error>) -> Result<T, Error> {
        let seen = self.look_until_ready(wait, look).await;
        self.run.looks().end(&self.op.id);
        seen
    }

    async fn look_until_ready<T>(
        &self,
        wait: Wait,
        mut look: impl AsyncFnMut() -> Result<Seen<T>, Error>,
    ) -> Result<T, Error> {
        let nth = 2 * self.op.waits.fetch_add(1, Ordering::SeqCst) + 1;
        let started = self.now();
        let mut interval = wait.every;
        let mut shown: Option<String> = None;
        loop {
            let seen = match POLLING.scope(nth, look()).await? {
                Seen::Ready(value) => {
                    if shown.is_some() {
                        let (id, elapsed) = (self.op.id.clone(), self.since(started));
                        self.emit(Event::Waited { id, what: wait.what, elapsed, timeout: wait.timeout });
                    }
                    return Ok(value);
                }
                Seen::Pending(seen) => seen,
            };
            let elapsed = self.since(started);
            if shown.is_none() {
                self.will_wait(wait.timeout)?;
            }
            if shown.as_ref() != Some(&seen) {
                self.emit(Event::Waiting {
                    id: self.op.id.clone(),
                    what: wait.what.clone(),
                    seen: seen.clone(),
                    elapsed,
                    timeout: wait.timeout,
                });
                shown = Some(seen.clone());
            }
            let Some(left) = wait.timeout.checked_sub(elapsed).filter(|left| !left.is_zero()) else {
                return Err(Error::TimedOut { what: wait.what, timeout: wait.timeout, seen });
            };
            self.sleep(interval.min(left)).await?;
            interval = (interval + wait.every / 4).min(wait.every * 3);
        }
    }

    /// What was done so far is durable before a longer wait begins: whoever goes on with the run knows since when it waits.
    ///
    /// # Errors
    /// If the journal cannot be written.
    pub fn will_wait(&self, at_most: Duration) -> Result<(), Error> {
        if at_most > Duration::from_secs(1) && !self.run.is_rolling_back() {
            self.run.journal().flush_if_older(Duration::from_secs(2))?;
        }
        Ok(())
    }

    /// Does what is part of a wait, but for the time it takes.
    pub async fn polling<T>(&self, look: impl Future<Output = T>) -> T {
        // Of the same wait, until the operation begins another one.
        POLLING.scope(2 * self.op.waits.load(Ordering::SeqCst), look).await
    }

    /// Writes down what was seen before the first change: "the weight before" must stay what it
    /// was, also for a run that is continued half-way through the change.
    pub fn capture(&self, what: &str, value: &impl Serialize) {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.run.journal().note(Record::Capture { path: format!("{}/{what}", self.op.id), value });
    }

    /// How much of the operation's time has passed since `start`.
    pub fn since(&self, start: Timestamp) -> Duration {
        // Clocks of two machines may differ: what seems to be to come has just been.
        self.now().duration_since(start).try_into().unwrap_or_default()
    }

    /// How old something is that has a time of the whole run.
    pub(super) fn age(&self, at: Timestamp) -> Duration {
        self.run_time().duration_since(at).try_into().unwrap_or_default()
    }

    pub(super) fn op_state(&self) -> std::sync::MutexGuard<'_, OpState> {
        self.op.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failed {
    fn of(error: &Error) -> Self {
        let kind = match error {
            Error::TimedOut { .. } => FailedAs::TimedOut,
            Error::Option { .. } => FailedAs::Option,
            _ if error.is_permission() => FailedAs::Permission,
            _ => FailedAs::Other,
        };
        Self { message: error.to_string(), code: error.code().map(str::to_owned), hint: error.hint(), kind }
    }
}
