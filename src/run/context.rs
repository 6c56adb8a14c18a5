//! What an operation has in its hands: clients, reads, declared mutations, waits, time.

use std::{
    collections::BTreeMap,
    error::Error as StdError,
    future::Future,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Class, Mutation, Record, Run,
    journal::hex,
    session::Defaults,
    undo::{self, ArmedUndo},
};
use crate::{
    aws::{BeforeSend, Clients, Permit, Scope, retry},
    event::{Change, Event, Field},
    ops::{CallError, CallErrorKind, Error, catalog::Prepared},
};

/// How long to wait before believing that a call whose reply was lost did not make anything: what
/// was made may not be listed yet.
const QUARANTINE: Duration = Duration::from_secs(60);

/// The context of one operation, or of one undo. Cheap to clone.
#[derive(Clone)]
pub struct Ctx {
    run: Arc<Run>,
    op: Arc<Op>,
    scope: Option<Scope>,
    clients: OnceLock<Arc<Clients>>,
}

/// The operation a context belongs to.
struct Op {
    id: String,
    state: Mutex<OpState>,
}

#[derive(Default)]
struct OpState {
    change: Option<Change>,
    fields: Vec<Field>,
    /// How often each path was used: a second change of the same thing gets `#2`.
    paths: BTreeMap<String, u32>,
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

impl Ctx {
    pub(super) fn new(run: Arc<Run>, id: String, scope: Option<Scope>) -> Self {
        let op = Op { id, state: Mutex::default() };
        Self { run, op: Arc::new(op), scope, clients: OnceLock::new() }
    }

    /// Runs an operation, with its events. The entry point of the script host.
    pub async fn operation(&self, name: &'static str, prepared: Prepared) -> Result<Value, Error> {
        let (id, subject) = (self.op.id.clone(), prepared.subject);
        let started = self.now();
        self.run.journal().note(Record::Operation { id: id.clone(), operation: name.into(), subject: subject.clone() });
        self.run.emit(Event::OperationStarted { id: id.clone(), operation: name.into(), subject: subject.clone() });
        let result = async {
            self.connect().await?;
            (prepared.run)(self).await
        };
        let result = result.await;
        let error = result.as_ref().err().map(ToString::to_string);
        self.run.journal().note(Record::OperationEnded { id: id.clone(), error: error.clone() });
        let operation = name.to_owned();
        match result {
            Ok(mut handle) => {
                let (change, fields) = {
                    let mut state = self.op_state();
                    (state.change.unwrap_or(Change::Read), std::mem::take(&mut state.fields))
                };
                if let Some(handle) = handle.as_object_mut() {
                    let change = serde_json::to_value(change).expect("a unit variant");
                    handle.entry("change").or_insert(change);
                }
                let elapsed = self.since(started);
                self.run.emit(Event::OperationFinished { id, operation, subject, change, fields, elapsed });
                Ok(handle)
            }
            Err(failure) => {
                let error = error.unwrap_or_default();
                self.run.emit(Event::OperationFailed { id, operation, subject, error });
                Err(failure)
            }
        }
    }

    /// Makes the clients; everything else in here needs them.
    pub(super) async fn connect(&self) -> Result<(), Error> {
        if self.clients.get().is_none() {
            let clients = self.run.clients(self.scope.as_ref()).await?;
            let _ = self.clients.set(clients);
        }
        Ok(())
    }

    /// The SDK clients of the scope this operation runs in.
    pub fn aws(&self) -> &Clients {
        self.clients.get().expect("an operation runs connected")
    }

    /// The run's time.
    pub fn now(&self) -> Timestamp {
        self.run.clock().now()
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
        self.run.state().fresh.ids(prefix, self.now())
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
    pub async fn wait<T>(&self, wait: Wait, mut look: impl AsyncFnMut() -> Result<Seen<T>, Error>) -> Result<T, Error> {
        let started = self.now();
        let mut interval = wait.every;
        let mut shown: Option<String> = None;
        loop {
            let seen = match look().await? {
                Seen::Ready(value) => return Ok(value),
                Seen::Pending(seen) => seen,
            };
            let elapsed = self.since(started);
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

    /// Sends a call that only reads. Throttling, lost replies and "not found" of what this run has
    /// just made are retried.
    ///
    /// # Errors
    /// [`Error::Call`], with AWS's code, when AWS said no or could not be reached.
    pub async fn read<O, E, F>(&self, call: &'static str, send: impl Fn() -> F) -> Result<O, Error>
    where
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        self.read_of(call, "", send).await
    }

    /// [`read`](Self::read) for calls about `subject` (an id, a name) whose "not found" does not say of what.
    ///
    /// # Errors
    /// As `read`.
    pub async fn read_of<O, E, F>(&self, call: &'static str, subject: &str, send: impl Fn() -> F) -> Result<O, Error>
    where
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let mut delays = retry::delays(self.seed_of(call));
        let mut attempt = 1;
        loop {
            self.may_go_on()?;
            let error = match self.attempt(call, false, attempt, send()).await {
                Ok(output) => return Ok(output),
                Err(error) => error,
            };
            let again = match error.kind {
                CallErrorKind::Throttled => attempt < retry::THROTTLED_ATTEMPTS,
                CallErrorKind::Unknown | CallErrorKind::NotSent => attempt < retry::BROKEN_ATTEMPTS,
                CallErrorKind::Refused => self.is_too_fresh(&error, subject),
                CallErrorKind::Permission | CallErrorKind::Undeclared => false,
            };
            if !again {
                return Err(Box::new(error).into());
            }
            self.back_off(call, &error, delays.next().unwrap_or_default()).await?;
            attempt += 1;
        }
    }

    /// Sends a declared mutation, and returns what `record` keeps of its reply: the little that the
    /// journal and the undo need.
    ///
    /// `send` must build the request with `.customize().interceptor(permit)`, and give it
    /// `permit.token()` as client token where the call takes one.
    ///
    /// # Errors
    /// [`Error::Call`] when AWS said no, or when it is not known whether it was carried out and the
    /// class forbids to repeat it; [`Error::Journal`] when the intent could not be written.
    pub async fn mutate<O, E, F, R>(
        &self,
        mutation: Mutation,
        send: impl Fn(Permit) -> F,
        record: impl Fn(&O) -> Result<R, Error>,
    ) -> Result<R, Error>
    where
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
        R: Serialize + DeserializeOwned,
    {
        let Mutation { call, resource, class, look_up, undo, patience } = mutation;
        let path = self.path(call, &resource);
        let token = hex(&Sha256::digest(format!("{}/{path}", self.run_id())))[..32].to_owned();
        let intent = Record::Intent {
            path: path.clone(),
            call: call.to_owned(),
            class,
            token: token.clone(),
            request_sha256: String::new(),
            look_up: look_up.as_ref().map(|(look_up, arguments)| (look_up.name.to_owned(), arguments.clone())),
            undo: undo.clone().map(Box::new),
        };
        let started = self.now();
        let mut delays = retry::delays(self.seed_of(&path));
        let mut attempt = 1;
        let failure = loop {
            self.may_go_on()?;
            let permit = Permit::new(call, token.clone(), self.write_ahead(&intent, attempt));
            let error = match self.attempt(call, true, attempt, send(permit)).await {
                Ok(output) => {
                    let result = record(&output)?;
                    self.carried_out(&path, undo, &result);
                    return Ok(result);
                }
                Err(error) => error,
            };
            let again = match error.kind {
                CallErrorKind::Throttled => attempt < retry::THROTTLED_ATTEMPTS,
                CallErrorKind::NotSent => attempt < retry::BROKEN_ATTEMPTS,
                CallErrorKind::Refused => {
                    self.is_too_fresh(&error, "")
                        || patience.as_ref().is_some_and(|patience| {
                            error.code.as_deref().is_some_and(|code| patience.codes.contains(&code))
                                && self.since(started) < patience.timeout
                        })
                }
                CallErrorKind::Unknown if attempt >= retry::BROKEN_ATTEMPTS => false,
                CallErrorKind::Unknown => match class {
                    Class::Idempotent | Class::Token => true,
                    Class::Once => false,
                    Class::Unique => {
                        if let Some(found) = self.find_again(&look_up).await? {
                            let result = serde_json::from_value(found)
                                .map_err(|_| Error::Reply { call, member: "what its look-up should return" })?;
                            self.carried_out(&path, undo, &result);
                            return Ok(result);
                        }
                        true
                    }
                },
                CallErrorKind::Permission | CallErrorKind::Undeclared => false,
            };
            if !again {
                break error;
            }
            self.back_off(call, &error, delays.next().unwrap_or_default()).await?;
            attempt += 1;
        };
        self.run.journal().note(Record::Result { path, result: None, error: Some(failure.to_string()) });
        if failure.kind == CallErrorKind::Unknown
            && let Some(undo) = undo
        {
            let unresolved = look_up.map(|(look_up, arguments)| (look_up.name.to_owned(), arguments));
            self.arm(undo, unresolved);
        }
        Err(Box::new(CallError { resource: Some(resource), ..failure }).into())
    }

    /// [`mutate`](Self::mutate) for calls whose reply nobody needs.
    ///
    /// # Errors
    /// As `mutate`.
    pub async fn change<O, E, F>(&self, mutation: Mutation, send: impl Fn(Permit) -> F) -> Result<(), Error>
    where
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        self.mutate(mutation, send, |_| Ok(())).await
    }

    /// Writes down what was seen before the first change: "the weight before" must stay what it
    /// was, also for a run that is continued half-way through the change.
    pub fn capture(&self, what: &str, value: &impl Serialize) {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.run.journal().note(Record::Capture { path: format!("{}/{what}", self.op.id), value });
    }

    /// How much of the run's time has passed since `start`.
    pub fn since(&self, start: Timestamp) -> Duration {
        self.now().duration_since(start).unsigned_abs()
    }

    async fn attempt<O, E>(
        &self,
        call: &'static str,
        mutation: bool,
        attempt: u32,
        send: impl Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    ) -> Result<O, CallError>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let started = self.now();
        let result = send.await.map_err(|error| retry::classify(call, error, attempt));
        match &result {
            // It never left.
            Err(error) if error.kind == CallErrorKind::Undeclared => {}
            Err(error) => self.run.count_call(mutation && error.kind == CallErrorKind::Unknown),
            Ok(_) => self.run.count_call(mutation),
        }
        let error = result.as_ref().err();
        let error = error.map(|error| error.code.clone().unwrap_or_else(|| error.message.clone()));
        let (id, call) = (self.op.id.clone(), call.to_owned());
        self.emit(Event::Call { id, call, mutation, attempt, error, elapsed: self.since(started) });
        result
    }

    /// What the transport does before a mutation's bytes leave: the intent, on disk.
    fn write_ahead(&self, intent: &Record, attempt: u32) -> BeforeSend {
        let (run, intent) = (self.run.clone(), intent.clone());
        Arc::new(move |digest| {
            let record = match intent.clone() {
                Record::Intent { path, .. } if attempt > 1 => Record::Attempt { path, attempt },
                Record::Intent { path, call, class, token, look_up, undo, .. } => {
                    Record::Intent { path, call, class, token, request_sha256: digest, look_up, undo }
                }
                other => other,
            };
            let written = run.journal().commit(record);
            Box::pin(async move { Ok(written?) })
        })
    }

    fn carried_out(&self, path: &str, undo: Option<undo::Undo>, result: &impl Serialize) {
        let result = serde_json::to_value(result).unwrap_or_default();
        self.run.state().fresh.remember(&result, self.now());
        if let Some(mut undo) = undo {
            undo::complete(&mut undo.arguments, &result);
            self.arm(undo, None);
        }
        let result = (!result.is_null()).then_some(result);
        self.run.journal().note(Record::Result { path: path.to_owned(), result, error: None });
    }

    fn arm(&self, undo: undo::Undo, unresolved: Option<(String, Value)>) {
        if self.run.is_rolling_back() || self.run.committed().is_some() {
            return;
        }
        self.emit(Event::UndoArmed { id: self.op.id.clone(), undo: undo.description.clone() });
        self.run.state().undos.arm(ArmedUndo { undo, scope: self.scope.clone(), unresolved });
    }

    /// Looks for what a call made whose reply was lost, until it is certain that it made nothing.
    async fn find_again(&self, look_up: &Option<(&'static super::LookUp, Value)>) -> Result<Option<Value>, Error> {
        let Some((look_up, arguments)) = look_up else { return Ok(None) };
        let started = self.now();
        loop {
            if let Some(found) = (look_up.run)(self, arguments.clone()).await? {
                return Ok(Some(found));
            }
            if self.since(started) >= QUARANTINE {
                return Ok(None);
            }
            self.sleep(Duration::from_secs(5)).await?;
        }
    }

    fn is_too_fresh(&self, error: &CallError, subject: &str) -> bool {
        self.run.state().fresh.explains(error, subject, self.now())
    }

    async fn back_off(&self, call: &str, error: &CallError, delay: Duration) -> Result<(), Error> {
        let reason = error.code.clone().unwrap_or_else(|| error.message.clone());
        self.emit(Event::Retrying { id: self.op.id.clone(), call: call.to_owned(), reason, delay });
        self.sleep(delay).await
    }

    /// No call is begun once the run is to stop; going back is not stopped.
    fn may_go_on(&self) -> Result<(), Error> {
        if self.run.interrupt().is_requested() && !self.run.is_rolling_back() {
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    fn path(&self, call: &str, resource: &str) -> String {
        let path = format!("{}/{call}/{resource}", self.op.id);
        let mut state = self.op_state();
        let count = state.paths.entry(path.clone()).or_default();
        *count += 1;
        if *count == 1 { path } else { format!("{path}#{count}") }
    }

    /// Makes the jitter of a call's retries repeat in a simulated run.
    fn seed_of(&self, what: &str) -> u64 {
        let digest = Sha256::digest(format!("{}/{}/{what}", self.run.seed(), self.op.id));
        u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
    }

    fn op_state(&self) -> std::sync::MutexGuard<'_, OpState> {
        self.op.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
