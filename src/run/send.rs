//! How calls are sent: reads, and mutations as they were declared, each with the retries that its
//! outcome allows.

use std::{
    error::Error as StdError,
    future::Future,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{orchestrator::HttpResponse, result::SdkError},
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Class, Ctx, Intent, JournalError, LookUp, Mutation, Record, Refused, context,
    journal::{FRESH, FRESH_AGAIN, hex},
    past::Came,
    undo::{self, ArmedUndo, Undo},
};
use crate::{
    aws::{BeforeSend, Outgoing, Permit, memory::MEMORY, retry},
    event::Event,
    ops::{CallError, CallErrorKind, Error},
    policy::{Call, Refusal, danger},
    redact::{members, user_data},
};

/// How long to wait before believing that a call whose reply was lost did not make anything: what
/// was made may not be listed yet.
pub(super) const QUARANTINE: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How long AWS is sure to know a client token. The shortest is that of certificates: an hour.
const TOKENS_LAST: SignedDuration = SignedDuration::from_mins(50);

/// Whether something says that it found nothing of what it is about.
pub fn says_absent(error: &Error) -> bool {
    matches!(error, Error::Call(error) if retry::says_absent(error.code.as_deref().unwrap_or_default(), &error.message))
}

impl Ctx {
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
        self.judge_read(call)?;
        let mut delays = retry::delays(self.seed_of(call));
        let mut attempt = 1;
        loop {
            self.may_go_on()?;
            // The futures of SDK calls are large.
            let sent = Box::pin(self.attempt(call, false, attempt, send()));
            let sent = match self.memory() {
                Some(memory) => MEMORY.scope(memory, sent).await,
                None => sent.await,
            };
            let error = match sent {
                Ok(output) => return Ok(output),
                Err(Error::Call(error)) => *error,
                Err(other) => return Err(other),
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
    /// class forbids to repeat it; [`Error::Policy`] when policy says no; [`Error::Journal`] when the intent could not
    /// be written.
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
        let Mutation { call, resource, class, look_up, undo, patience, varies, refers, if_said } = mutation;
        debug_assert!(
            look_up.is_some() || undo.is_none() || matches!(class, Class::Idempotent | Class::Once),
            "{call}: if its reply is lost for good, nobody knows what to take back"
        );
        self.judge_change(call)?;
        let path = self.path(call, &resource);
        let token = hex(&Sha256::digest(format!("{}/{path}", self.run_id())))[..32].to_owned();
        let intent = Intent {
            path: path.clone(),
            call: call.to_owned(),
            class,
            token: token.clone(),
            request_sha256: String::new(),
            scope: self.own_scope().clone(),
            look_up: look_up.as_ref().map(|(look_up, arguments)| (look_up.name.to_owned(), arguments.clone())),
            undo: undo.clone(),
            can_be_said: class == Class::Once && if_said.is_some(),
        };
        if self.run.keeps_reads() && self.run.journal().would_hide(&intent) {
            let message =
                format!("a secret is in what has to be written down to take {call} back: it cannot be a name");
            return Err(Error::Unsafe(message));
        }
        let past = self.call_on_record(&path);
        if let Some(past) = &past {
            let digest = if varies { None } else { Some(Box::pin(self.digest_of(call, &token, &send)).await?) };
            self.compare_call(past, call, digest.as_deref())?;
            if let Some(came) = &past.came {
                return answered(call, &resource, came, if_said);
            }
        }
        let begun = Arc::new(AtomicBool::new(past.is_some()));
        let started = past.as_ref().map_or_else(|| self.now(), |past| past.at);
        let mut delays = retry::delays(self.seed_of(&path));
        let mut attempt = past.as_ref().map_or(1, |past| past.attempts + 1);
        let mut tries = 1;
        // Whether it may have been carried out, and nobody knows what it made.
        let mut in_doubt = past.is_some();
        // It was under way when the driver of then ended.
        let mut unresolved = past.is_some();
        let outcome: Result<R, Error> = async {
            loop {
                self.may_go_on()?;
                if std::mem::take(&mut unresolved) {
                    let look_up = look_up.as_ref();
                    let found = match class {
                        Class::Idempotent => None,
                        // Sent again with its token it is one and the same; unless AWS has forgotten the token.
                        Class::Token if self.run.clock().now().duration_since(started) < TOKENS_LAST => None,
                        Class::Token | Class::Unique | Class::Once => {
                            Box::pin(self.find_again(look_up, started)).await?
                        }
                    };
                    if let Some(found) = found {
                        return serde_json::from_value(found).map_err(|_| unlike(call));
                    }
                    if class == Class::Once {
                        let (resource, path) = (resource.clone(), path.clone());
                        return Err(Error::InDoubt { call, resource, path });
                    }
                    in_doubt = matches!(class, Class::Idempotent | Class::Token);
                }
                let ahead = self.write_ahead(&intent, varies, &resource, attempt, &begun);
                let permit = Permit::new(call, token.clone(), ahead);
                let error = match Box::pin(self.attempt(call, true, attempt, send(permit))).await {
                    Ok(output) => {
                        in_doubt = true;
                        return record(&output);
                    }
                    Err(Error::Call(error)) => *error,
                    Err(other) => return Err(other),
                };
                in_doubt |= error.kind == CallErrorKind::Unknown;
                let again = match error.kind {
                    CallErrorKind::Throttled => tries < retry::THROTTLED_ATTEMPTS,
                    CallErrorKind::NotSent => tries < retry::BROKEN_ATTEMPTS,
                    CallErrorKind::Refused => {
                        self.is_too_fresh(&error, "")
                            || refers.iter().any(|id| self.is_too_fresh(&error, id))
                            || patience.as_ref().is_some_and(|patience| {
                                error.code.as_deref().is_some_and(|code| patience.codes.contains(&code))
                                    && self.since(started) < patience.timeout
                            })
                    }
                    CallErrorKind::Unknown if tries >= retry::BROKEN_ATTEMPTS => false,
                    CallErrorKind::Unknown => match class {
                        Class::Idempotent | Class::Token => true,
                        Class::Unique | Class::Once => {
                            if let Some(found) = Box::pin(self.find_again(look_up.as_ref(), self.now())).await? {
                                return serde_json::from_value(found).map_err(|_| unlike(call));
                            }
                            in_doubt = class == Class::Once;
                            class == Class::Unique
                        }
                    },
                    CallErrorKind::Permission | CallErrorKind::Undeclared => false,
                };
                if !again {
                    return Err(Box::new(CallError { resource: Some(resource.clone()), ..error }).into());
                }
                self.back_off(call, &error, delays.next().unwrap_or_default()).await?;
                attempt += 1;
                tries += 1;
            }
        }
        .await;
        match &outcome {
            Ok(result) => self.carried_out(path, undo, result),
            Err(failure) => {
                if let Error::Call(failure) = failure {
                    let error = Some(Refused::of(failure));
                    let path = path.clone();
                    self.run.journal().note(Record::Result { path, result: None, error, in_doubt, said: None });
                }
                if let Some(undo) = undo.filter(|_| in_doubt) {
                    let unresolved = look_up.map(|(look_up, arguments)| (look_up.name.to_owned(), arguments));
                    self.arm(path, undo, unresolved);
                } else {
                    self.run.state().undos.disarm(&path);
                }
            }
        }
        outcome
    }

    /// The digest of the request that `send` would send. Nothing is sent.
    async fn digest_of<O, E, F>(
        &self,
        call: &'static str,
        token: &str,
        send: &impl Fn(Permit) -> F,
    ) -> Result<String, Error>
    where
        F: Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    {
        let seen = Arc::new(OnceLock::new());
        let digest = Arc::clone(&seen);
        let only_look: BeforeSend = Arc::new(move |outgoing| {
            let _ = seen.set(outgoing.digest);
            Box::pin(async { Err("it is on record, and was only compared".into()) })
        });
        // It cannot succeed: the permit keeps it from leaving.
        let _ = send(Permit::new(call, token.to_owned(), only_look)).await;
        digest.get().cloned().ok_or_else(|| unlike(call))
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
        self.mutate(mutation.if_said(Value::Null), send, |_| Ok(())).await
    }

    async fn attempt<O, E>(
        &self,
        call: &'static str,
        mutation: bool,
        attempt: u32,
        send: impl Future<Output = Result<O, SdkError<E, HttpResponse>>>,
    ) -> Result<O, Error>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        let started = self.now();
        if mutation {
            self.run.shared().sent(call);
        }
        let result = match send.await {
            Err(error) if let Some(refusal) = retry::held_back::<Box<Refusal>, _>(&error) => return Err(refusal.into()),
            Err(error) if let Some(lost) = retry::held_back::<JournalError, _>(&error) => return Err(lost.into()),
            result => result.map_err(|error| retry::classify(call, error, attempt)),
        };
        if mutation {
            self.run.shared().sent(call);
            self.op.must_see.store(self.run.shared().so_far(), Ordering::SeqCst);
        }
        match &result {
            // It never left.
            Err(error) if error.kind == CallErrorKind::Undeclared => {}
            Err(error) => self.run.count_call(mutation && error.kind == CallErrorKind::Unknown),
            Ok(_) => self.run.count_call(mutation),
        }
        let error = result.as_ref().err();
        let error = error.map(|error| error.code.clone().unwrap_or_else(|| error.message.clone()));
        let (id, call, poll) = (self.op.id.clone(), call.to_owned(), context::is_polling());
        self.emit(Event::Call { id, call, mutation, poll, attempt, error, elapsed: self.since(started) });
        result.map_err(|error| Box::new(error).into())
    }

    /// What the transport does before a mutation's bytes leave: policy is asked, and the intent goes to disk.
    ///
    /// Policy is asked until it has allowed the call. A repetition asks for nothing new, and the first may have been
    /// carried out. `begun` says whether the intent is on disk: an attempt can also end before that.
    fn write_ahead(
        &self,
        intent: &Intent,
        varies: bool,
        resource: &str,
        attempt: u32,
        begun: &Arc<AtomicBool>,
    ) -> BeforeSend {
        let (ctx, intent, resource, begun) = (self.clone(), intent.clone(), resource.to_owned(), Arc::clone(begun));
        Arc::new(move |Outgoing { digest, parameters }| {
            let (ctx, intent, resource, begun) = (ctx.clone(), intent.clone(), resource.clone(), Arc::clone(&begun));
            Box::pin(async move {
                let is_new = !begun.load(Ordering::SeqCst);
                if is_new {
                    let call = Call { action: &intent.call, resource: &resource, parameters: &parameters };
                    ctx.judge_call(&call).await.map_err(|error| match error {
                        Error::Policy(refusal) => BoxError::from(refusal),
                        other => other.into(),
                    })?;
                }
                let journal = ctx.run.journal();
                if is_new {
                    // Nobody compares what varies, and who knows the rest could guess a secret by its digest.
                    let request_sha256 = if varies { String::new() } else { digest };
                    let intent = Intent { request_sha256, ..intent.clone() };
                    journal.commit(Record::Intent(Box::new(intent)))?;
                } else {
                    let again = Record::Attempt { path: intent.path.clone(), attempt };
                    match intent.class {
                        // Whoever finds the intent does the same, however often it was sent.
                        Class::Idempotent | Class::Token | Class::Unique => journal.note(again),
                        Class::Once => journal.commit(again)?,
                    }
                }
                journal.is_still_ours(if is_new { FRESH } else { FRESH_AGAIN })?;
                begun.store(true, Ordering::SeqCst);
                if is_new {
                    ctx.tell(&intent, parameters);
                }
                Ok(())
            })
        })
    }

    /// Shows a request to whoever wants to know what exactly is sent: a dry run.
    fn tell(&self, Intent { path, call, undo, .. }: &Intent, request: Value) {
        if !self.run.shows_requests() {
            return;
        }
        let resource = path.splitn(3, '/').last().unwrap_or_default();
        let judged = Call { action: call, resource, parameters: &request };
        let (opens, allows_all) = (danger::opens(&judged), danger::allows_all(&judged));
        let mut request = request;
        members::mask(&mut request, &[]);
        let request = user_data::in_request(request);
        self.emit(Event::Sending {
            id: self.op.id.clone(),
            call: call.clone(),
            resource: resource.to_owned(),
            opens,
            allows_all,
            request,
            undo: undo.as_ref().map(|undo| undo.description.clone()),
        });
    }

    pub(super) fn carried_out(&self, path: String, undo: Option<Undo>, result: &impl Serialize) {
        let result = serde_json::to_value(result).unwrap_or_default();
        self.run.state().fresh.remember(&result, self.run_time());
        if let Some(mut undo) = undo {
            undo::complete(&mut undo.arguments, &result);
            self.arm(path.clone(), undo, None);
        }
        let result = (!result.is_null()).then_some(result);
        self.run.journal().note(Record::Result { path, result, error: None, in_doubt: false, said: None });
    }

    fn arm(&self, path: String, undo: Undo, unresolved: Option<(String, Value)>) {
        if self.run.is_rolling_back() || self.run.committed().is_some() {
            return;
        }
        let (description, keep, impossible) = (undo.description.clone(), undo.keep, undo.is_impossible());
        let armed = ArmedUndo { path, undo, scope: self.own_scope().clone(), unresolved, at: self.run_time() };
        let is_new = self.run.state().undos.arm(armed);
        if is_new {
            self.emit(Event::UndoArmed { id: self.op.id.clone(), undo: description, keep, impossible });
        }
    }

    /// Looks for what a call made whose reply was lost, until it is certain that it made nothing.
    /// It was sent for the last time at `sent`.
    pub(super) async fn find_again(
        &self,
        look_up: Option<&(&'static LookUp, Value)>,
        sent: Timestamp,
    ) -> Result<Option<Value>, Error> {
        let Some((look_up, arguments)) = look_up else { return Ok(None) };
        // These reads are about a call, and on record as its result.
        let looking = self.clone().not_judged();
        loop {
            let found = match (look_up.run)(&looking, arguments.clone()).await {
                // One call shows it already, another one does not.
                Err(error) if says_absent(&error) => None,
                found => found?,
            };
            if found.is_some() || self.since(sent) >= QUARANTINE {
                return Ok(found);
            }
            self.sleep(LOOK_AGAIN).await?;
        }
    }

    fn is_too_fresh(&self, error: &CallError, subject: &str) -> bool {
        self.run.state().fresh.explains(error, subject, self.run_time())
    }

    async fn back_off(&self, call: &str, error: &CallError, delay: Duration) -> Result<(), Error> {
        let reason = error.code.clone().unwrap_or_else(|| error.message.clone());
        self.emit(Event::Retrying { id: self.op.id.clone(), call: call.to_owned(), reason, delay });
        self.sleep(delay).await
    }

    /// No call is begun once the run is to stop; going back is not stopped.
    pub(super) fn may_go_on(&self) -> Result<(), Error> {
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
}

/// What an earlier driver of the run was answered; or what a person says, who knows no result.
fn answered<R: DeserializeOwned>(
    call: &'static str,
    resource: &str,
    came: &Came,
    if_said: Option<Value>,
) -> Result<R, Error> {
    match came {
        Came::Done(result) => {
            let result = result.clone().or(if_said).unwrap_or_default();
            serde_json::from_value(result).map_err(|_| unlike(call))
        }
        Came::Refused(Refused { kind, code, message, request_id, attempts }) => Err(Box::new(CallError {
            call,
            resource: Some(resource.to_owned()),
            kind: *kind,
            code: code.clone(),
            message: message.clone(),
            request_id: request_id.clone(),
            attempts: *attempts,
            unanswered: false,
            before: true,
        })
        .into()),
    }
}

fn unlike(call: &'static str) -> Error {
    Error::Reply { call, member: "what its look-up or the journal should have" }
}

impl Refused {
    fn of(error: &CallError) -> Self {
        let CallError { kind, code, message, request_id, attempts, .. } = error;
        Self {
            kind: *kind,
            code: code.clone(),
            message: message.clone(),
            request_id: request_id.clone(),
            attempts: *attempts,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::outside::Finished;

    /// Who says that a command was carried out does not say what it printed.
    #[test]
    fn what_a_person_says_is_done_has_a_result() {
        let done = |result: Option<Value>, if_said: Option<Value>| {
            answered::<Finished>("exec:make", "make", &Came::Done(result), if_said)
        };
        let default = Finished::default();
        assert_eq!(done(None, Some(json!(default))).expect("said"), default);
        let ended = Finished { stdout: "built".to_owned(), ..Finished::default() };
        assert_eq!(done(Some(json!(ended)), Some(json!(default))).expect("on record"), ended);
        assert!(done(None, None).is_err());
    }
}
