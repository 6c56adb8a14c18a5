//! What a run that goes on has done before: the answers of its journal, by operation.
//!
//! An operation that has ended returns what it returned. One that was under way is run again: what it read for itself, it
//! reads from here, calls that were answered are answered from here, and time stands where the record has it. What it
//! shares with other operations is read from AWS: that decides about nothing but calls, which are compared with those on record.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    Driver, Entry, Record,
    journal::{Answer, Failed, Intent, OnTimeout, Refused, Started},
};
use crate::{aws::Scope, event::UndoOutcome, policy::Overrides};

/// What became of a mutation, if that is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Came {
    Done(Option<Value>),
    Refused(Refused),
}

/// A mutation on record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PastCall {
    pub intent: Intent,
    /// When it was first sent.
    pub at: Timestamp,
    pub attempts: u32,
    /// `None`: the driver ended before it knew.
    pub came: Option<Came>,
    /// Whether it may have been carried out although it seems to have failed.
    pub in_doubt: bool,
}

/// An operation on record.
#[derive(Clone, Debug)]
pub struct PastOperation {
    pub operation: String,
    pub subject: String,
    pub arguments: Value,
    pub(super) started: Timestamp,
    /// What it returned, or how it failed. A result of `None` held a secret: it is run again.
    pub(super) ended: Option<Result<Option<Value>, Failed>>,
    /// The time of its last record.
    until: Timestamp,
    reads: BTreeMap<String, VecDeque<(Timestamp, Answer)>>,
    pub(super) calls: BTreeMap<String, PastCall>,
}

/// Where an operation that is run again stands in what it did before.
#[derive(Debug)]
pub(super) struct Again {
    now: Timestamp,
    /// How long nobody drove it.
    gap: Option<SignedDuration>,
    past: PastOperation,
}

/// A question to a person, and the answer if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub id: String,
    pub question: String,
    pub until: Timestamp,
    pub then: OnTimeout,
    pub other_person: bool,
    pub answer: Option<(bool, String, Option<String>)>,
}

/// How far a run has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stand {
    /// It goes forward, or went forward when its driver ended.
    Forward,
    Suspended {
        reason: String,
    },
    /// It waits for a person.
    Asks(Question),
    Back,
    Finished {
        exit_code: u8,
    },
}

/// All that is on record of a run, in the order of what can be asked.
#[derive(Clone, Debug)]
pub struct Past {
    pub started: Started,
    pub operations: BTreeMap<String, PastOperation>,
    /// Below the project: by the path that was asked for, the name and the digest.
    pub files: BTreeMap<String, (String, String)>,
    pub environment: Option<PastEnvironment>,
    /// Whose credentials were used where.
    pub accounts: BTreeMap<Scope, String>,
    pub stack: Option<String>,
    pub(super) moments: BTreeMap<String, Timestamp>,
    pub(super) commits: Vec<String>,
    /// The labels of hooks that were registered.
    pub(super) hooks: Vec<String>,
    pub questions: BTreeMap<String, Question>,
    pub stand: Stand,
    pub fences: Vec<(u64, Driver, String)>,
    /// What a rollback has done already, by the path of the call.
    pub(super) undone: BTreeMap<String, (UndoOutcome, Option<String>)>,
    pub(super) rolling_back: bool,
    pub overrides: Overrides,
    /// What it keeps others out of.
    pub locks: BTreeSet<String>,
    pub began: Timestamp,
    /// The time of the last record of a driver.
    heard: Timestamp,
}

/// The environment as the script saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct PastEnvironment {
    pub name: String,
    pub scope: Scope,
    pub vars: serde_json::Map<String, Value>,
    pub default_tags: BTreeMap<String, String>,
}

impl Past {
    /// What these records tell; `None` if they do not begin with the beginning of a run.
    pub fn of(entries: &[Entry]) -> Option<Self> {
        let (first, began) = entries.iter().find_map(|entry| match &entry.record {
            Record::RunStarted(started) => Some((started, entry.at)),
            _ => None,
        })?;
        let mut past = Self {
            started: (**first).clone(),
            operations: BTreeMap::new(),
            files: BTreeMap::new(),
            environment: None,
            accounts: BTreeMap::new(),
            stack: None,
            moments: BTreeMap::new(),
            commits: Vec::new(),
            hooks: Vec::new(),
            questions: BTreeMap::new(),
            stand: Stand::Forward,
            fences: Vec::new(),
            undone: BTreeMap::new(),
            rolling_back: false,
            overrides: Overrides::default(),
            locks: BTreeSet::new(),
            began,
            heard: began,
        };
        entries.iter().for_each(|entry| past.add(entry));
        Some(past)
    }

    fn add(&mut self, Entry { at, record }: &Entry) {
        let at = *at;
        if !matches!(record, Record::Fence { .. }) {
            self.heard = at;
        }
        match record.clone() {
            Record::Fence { epoch, driver, verb } => {
                self.fences.push((epoch, driver, verb));
                self.claimed();
                if !self.rolling_back && !matches!(self.stand, Stand::Finished { .. }) {
                    self.stand = Stand::Forward;
                }
            }
            Record::File { path, name, sha256 } => {
                self.files.insert(path, (name, sha256));
            }
            Record::Environment { name, scope, vars, default_tags } => {
                self.environment = Some(PastEnvironment { name, scope, vars, default_tags });
            }
            Record::Account { scope, account } => {
                self.accounts.insert(scope, account);
            }
            Record::ScriptChanged { runbook } => self.started.runbook = runbook,
            Record::Stack { stack } => self.stack = Some(stack),
            Record::Moment { id, time } => {
                self.moments.insert(id, time);
            }
            Record::Operation { id, operation, subject, arguments } => {
                // Of an operation that is run again, the beginning counts.
                self.operations.entry(id).or_insert_with(|| PastOperation::new(operation, subject, arguments, at));
            }
            Record::OperationEnded { id, result, error } => {
                if let Some(operation) = self.operations.get_mut(&id) {
                    operation.ended = Some(error.map_or(Ok(result), Err));
                }
            }
            Record::Read { id, request_sha256, answer, .. } => {
                if let Some(operation) = self.touch(&id, at) {
                    operation.reads.entry(request_sha256).or_default().push_back((at, answer));
                }
            }
            Record::Intent(intent) => {
                let call = PastCall { at, attempts: 1, came: None, in_doubt: true, intent: *intent };
                if let Some(operation) = self.touch(id_of(&call.intent.path), at) {
                    operation.calls.entry(call.intent.path.clone()).or_insert(call);
                }
            }
            Record::Attempt { path, attempt } => {
                if let Some(call) = self.touch(id_of(&path), at).and_then(|operation| operation.calls.get_mut(&path)) {
                    call.attempts = attempt;
                    call.at = at;
                    (call.came, call.in_doubt) = (None, true);
                }
            }
            Record::Result { path, result, error, in_doubt, said: _ } => {
                if let Some(call) = self.touch(id_of(&path), at).and_then(|operation| operation.calls.get_mut(&path)) {
                    call.came = Some(error.map_or(Came::Done(result), Came::Refused));
                    call.in_doubt = in_doubt;
                }
            }
            Record::HookArmed { hook } => self.hooks.push(hook),
            Record::Committed { label } => self.commits.push(label),
            Record::Asked { id, question, until, then, other_person } => {
                let question = Question { id: id.clone(), question, until, then, other_person, answer: None };
                self.stand = Stand::Asks(question.clone());
                self.questions.insert(id, question);
            }
            Record::Answered { id, approved, by, reason } => {
                if let Some(question) = self.questions.get_mut(&id) {
                    question.answer = Some((approved, by, reason));
                    self.stand = Stand::Forward;
                }
            }
            Record::Suspended { reason } => {
                if !self.rolling_back {
                    // Without its lock, an answer would not let it go on.
                    let is_unlocked = self.fences.last().is_some_and(|(_, _, verb)| verb == "unlock");
                    let mut open = self.questions.values().filter(|question| question.answer.is_none() && !is_unlocked);
                    let open = open.next().cloned();
                    self.stand = open.map_or(Stand::Suspended { reason }, Stand::Asks);
                }
            }
            Record::RollbackStarted { .. } => {
                self.rolling_back = true;
                self.stand = Stand::Back;
            }
            Record::UndoEnded { path, undo: _, outcome, detail, by: _ } => {
                self.undone.insert(path, (outcome, detail));
            }
            Record::Finished { exit_code } => self.stand = Stand::Finished { exit_code },
            Record::Locked { name } => {
                self.locks.insert(name);
            }
            Record::Override { check, reason, by } => {
                self.overrides.checks.insert(check);
                (self.overrides.reason, self.overrides.by) = (reason, by);
            }
            Record::RunStarted(_)
            | Record::StillDriving
            | Record::Capture { .. }
            | Record::UndoStarted { .. }
            | Record::HookEnded { .. } => {}
        }
    }

    /// Another driver has it from here on. What the one before left open, that one may have sent again for as long as it was
    /// heard of.
    pub fn claimed(&mut self) {
        let heard = self.heard;
        let calls = self.operations.values_mut().flat_map(|operation| operation.calls.values_mut());
        calls.filter(|call| call.came.is_none()).for_each(|call| call.at = call.at.max(heard));
    }

    /// The operation that a record of `at` belongs to.
    fn touch(&mut self, id: &str, at: Timestamp) -> Option<&mut PastOperation> {
        let operation = self.operations.get_mut(id)?;
        operation.until = operation.until.max(at);
        Some(operation)
    }

    /// Whether it has taken back what it did, or is about to.
    pub fn is_rolling_back(&self) -> bool {
        self.rolling_back
    }

    /// The point of no return, if it was passed.
    pub fn committed(&self) -> Option<&str> {
        self.commits.last().map(String::as_str)
    }

    /// How many calls that change something it has sent, or may have.
    pub fn mutations(&self) -> usize {
        let calls = self.operations.values().flat_map(|operation| operation.calls.values());
        calls.filter(|call| !matches!(call.came, Some(Came::Refused(_))) || call.in_doubt).count()
    }
}

/// The operation that a path is of.
fn id_of(path: &str) -> &str {
    path.split('/').next().unwrap_or_default()
}

impl PastOperation {
    fn new(operation: String, subject: String, arguments: Value, at: Timestamp) -> Self {
        let (reads, calls) = (BTreeMap::new(), BTreeMap::new());
        Self { operation, subject, arguments, started: at, ended: None, until: at, reads, calls }
    }

    /// Begins it once more.
    pub(super) fn again(self) -> Again {
        Again { now: self.started, gap: None, past: self }
    }

    /// Whether it has come to its end.
    pub fn is_ended(&self) -> bool {
        self.ended.is_some()
    }
}

impl Again {
    /// When it was begun.
    pub fn started(&self) -> Timestamp {
        self.past.started
    }

    /// The time of this operation, when it is `real`: as long as it is on record, the time of the record; from then on it goes
    /// on from there. The time in which nobody drove it does not count for its deadlines.
    pub fn now(&mut self, real: Timestamp) -> Timestamp {
        if self.now < self.past.until {
            return self.now;
        }
        let until = self.past.until;
        let gap = *self.gap.get_or_insert_with(|| real.duration_since(until).max(SignedDuration::ZERO));
        real.checked_sub(gap).unwrap_or(real)
    }

    /// Whether it is on record that time went on until then; it then does.
    pub fn skips_to(&mut self, time: Timestamp) -> bool {
        let is_past = time <= self.past.until;
        if is_past {
            self.now = self.now.max(time);
        } else {
            self.now = self.past.until;
        }
        is_past
    }

    /// What it read when it asked for this.
    pub fn answer(&mut self, request_sha256: &str) -> Option<Answer> {
        let (at, answer) = self.past.reads.get_mut(request_sha256)?.pop_front()?;
        self.now = self.now.max(at);
        // What holds a secret is not on record, and read again.
        Some(answer).filter(|answer| answer.body.is_some())
    }

    /// The mutations whose outcome is not on record.
    pub fn open_calls(&self) -> Vec<PastCall> {
        self.past.calls.values().filter(|call| call.came.is_none()).cloned().collect()
    }

    /// What the mutation of that path made has been found.
    pub fn answer_call(&mut self, path: &str, result: Value) {
        if let Some(call) = self.past.calls.get_mut(path) {
            call.came = Some(Came::Done(Some(result)));
        }
    }

    /// The mutation of that path.
    pub fn call(&mut self, path: &str) -> Option<PastCall> {
        let call = self.past.calls.get(path)?.clone();
        self.now = self.now.max(call.at);
        Some(call)
    }
}
