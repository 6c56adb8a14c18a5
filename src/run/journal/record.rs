//! What a journal tells: one record for each thing a run did, saw, or is about to do.

use std::{collections::BTreeMap, path::PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{Class, Undo};
use crate::{aws::Scope, ops::CallErrorKind, policy::Check, redact::Edit, run::Driver};

/// A record with the run's time, which is the simulated world's with a virtual clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub at: Timestamp,
    #[serde(flatten)]
    pub record: Record,
}

/// One thing a run did, or is about to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    RunStarted(Box<Started>),
    /// Somebody drives the run from here on: who holds an older epoch has lost it.
    Fence {
        epoch: u64,
        driver: Driver,
        /// `run`, `resume`, `rollback`, `approve`: what the driver was told to do.
        verb: String,
    },
    /// The driver was away for longer than a request may wait between intent and wire, and is still the one.
    StillDriving,
    /// A file of the project, as the script saw it. Its text is stored by its digest.
    File {
        /// Below the project root, as it was asked for.
        path: String,
        /// The same after links were followed.
        name: String,
        sha256: String,
    },
    /// The run goes on with another script, which does what the one before did.
    ScriptChanged {
        runbook: String,
    },
    /// The environment the runbook named, as it was then.
    Environment {
        name: String,
        scope: Scope,
        vars: serde_json::Map<String, Value>,
        default_tags: BTreeMap<String, String>,
    },
    /// Calls go there from here on, to that account.
    Account {
        scope: Scope,
        account: String,
    },
    /// The runbook asked for the time.
    Moment {
        id: String,
        time: Timestamp,
    },
    Stack {
        stack: String,
    },
    /// The run keeps others out of this.
    Locked {
        name: String,
    },
    /// A person has set a check of policy aside.
    Override {
        check: Check,
        reason: String,
        by: String,
    },
    /// An operation of the runbook began.
    Operation {
        id: String,
        operation: String,
        subject: String,
        /// What it was called with.
        arguments: Value,
    },
    /// What an operation read from AWS for itself. Kept as long as it may have to see the same again.
    Read {
        id: String,
        /// Of what was asked.
        request_sha256: String,
        #[serde(flatten)]
        answer: Answer,
        /// Which of the operation's waits looks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait: Option<u32>,
    },
    /// A mutation is about to be sent.
    Intent(Box<Intent>),
    /// The same mutation is about to be sent again.
    Attempt {
        path: String,
        attempt: u32,
    },
    /// What came of a mutation.
    Result {
        path: String,
        result: Option<Value>,
        error: Option<Refused>,
        /// It may have been carried out all the same.
        #[serde(default, skip_serializing_if = "is_false")]
        in_doubt: bool,
        /// Who says so, and why, if nobody here has seen it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        said: Option<String>,
    },
    /// Something an operation saw before its first change, and must not see differently later.
    Capture {
        path: String,
        value: Value,
    },
    OperationEnded {
        id: String,
        /// What it returned; `None` if it failed, or if a secret is in it.
        result: Option<Value>,
        error: Option<Failed>,
    },
    /// A closure for the rollback was registered.
    HookArmed {
        hook: String,
    },
    /// The point of no return.
    Committed {
        label: String,
    },
    /// The runbook asks for a person's consent.
    Asked {
        id: String,
        question: String,
        /// The run's time at which it is given up.
        until: Timestamp,
        /// What is done then.
        then: OnTimeout,
        /// Whoever started the run may not answer.
        other_person: bool,
    },
    /// What became of it.
    Answered {
        id: String,
        approved: bool,
        by: String,
        reason: Option<String>,
    },
    /// The driver stops, and the run goes on another time.
    Suspended {
        reason: String,
    },
    /// From here on it goes backwards.
    RollbackStarted {
        reason: String,
    },
    UndoStarted {
        /// Of the call that is taken back.
        path: String,
        undo: String,
    },
    UndoEnded {
        path: String,
        undo: String,
        outcome: crate::event::UndoOutcome,
        detail: Option<String>,
        /// The person who said so, if it was not tried.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    HookEnded {
        hook: String,
        error: Option<String>,
    },
    Finished {
        exit_code: u8,
    },
}

/// How a run began: all that is needed to run it again elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Started {
    pub runbook: String,
    pub version: String,
    /// What a script means. A binary with another number cannot go on with the run.
    pub semantics: u32,
    /// `aws`, `sim`, or the endpoint's URL, for people.
    pub target: String,
    /// The same as an identity: the world's id, the endpoint.
    pub target_id: String,
    /// The folder of the simulated world.
    pub world: Option<PathBuf>,
    pub seed: u64,
    /// `--env`
    pub environment: Option<String>,
    pub params: BTreeMap<String, Given>,
    /// Makes the digests of secrets of this run unlike those of others.
    pub salt: String,
}

impl Started {
    /// Whether it takes place in a simulated AWS, which has a time of its own.
    pub fn is_simulated(&self) -> bool {
        self.target == "sim"
    }
}

/// A parameter as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    Value(Value),
    /// It is, or may be, a secret: it has to be given again.
    Digest(String),
}

/// What a mutation is, before it is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// `3/ec2:CreateSubnet/public-a`: the operation, the call, what it changes.
    pub path: String,
    pub call: String,
    pub class: Class,
    pub token: String,
    pub request_sha256: String,
    /// Where it goes.
    pub scope: Scope,
    /// How to find what it made, should the reply be lost: name and arguments.
    pub look_up: Option<(String, Value)>,
    pub undo: Option<Undo>,
    /// Of [`Class::Once`]: whether a person can say that it was carried out, as the run can do without what it returned.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub can_be_said: bool,
}

/// AWS's answer to a read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    /// `None`: it holds a secret, and is read again.
    pub body: Option<String>,
}

/// How a mutation failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub kind: CallErrorKind,
    pub code: Option<String>,
    pub message: String,
    pub request_id: Option<String>,
    pub attempts: u32,
}

/// How an operation failed, as far as a script can see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub message: String,
    pub code: Option<String>,
    pub hint: Option<String>,
    pub kind: FailedAs,
}

/// What decides about the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailedAs {
    Permission,
    TimedOut,
    Option,
    Other,
}

/// What is done when nobody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    Rollback,
    Approve,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Record {
    /// Edits what somebody else wrote in it, see [`Event::edit`](crate::event::Event::edit). The keys of arguments and
    /// results are this program's.
    pub(super) fn edit(&mut self, edit: &impl Edit) {
        let each = |texts: &mut [&mut String]| texts.iter_mut().for_each(|text| edit.text(text));
        let maybe = |text: &mut Option<String>| text.iter_mut().for_each(|text| edit.text(text));
        match self {
            Self::RunStarted(started) => {
                each(&mut [&mut started.runbook, &mut started.target]);
                started.params.values_mut().for_each(|given| {
                    if let Given::Value(value) = given {
                        edit.tree(value);
                    }
                });
            }
            // The file's digest would not fit its name any more.
            Self::File { .. }
            | Self::Fence { .. }
            | Self::StillDriving
            | Self::Environment { .. }
            | Self::Account { .. }
            | Self::Moment { .. } => {}
            Self::ScriptChanged { runbook } => edit.text(runbook),
            // Found again by its name.
            Self::Locked { .. } => {}
            Self::Stack { stack } => edit.text(stack),
            Self::Override { check: _, reason, by } => each(&mut [reason, by]),
            Self::Operation { id: _, operation: _, subject, arguments } => {
                edit.text(subject);
                edit.tree(arguments);
            }
            Self::Read { answer: Answer { body, .. }, .. } => {
                // Half a reply is none.
                let mut edited = body.clone().unwrap_or_default();
                edit.text(&mut edited);
                body.take_if(|body| *body != edited);
            }
            Self::Intent(intent) => {
                edit_resource(&mut intent.path, edit);
                if let Some((_, arguments)) = &mut intent.look_up {
                    edit.values(arguments);
                }
                if let Some(undo) = &mut intent.undo {
                    edit.text(&mut undo.description);
                    edit.values(&mut undo.arguments);
                }
            }
            Self::Attempt { path, attempt: _ } => edit_resource(path, edit),
            Self::Result { path, result, error, in_doubt: _, said } => {
                edit_resource(path, edit);
                maybe(said);
                result.iter_mut().for_each(|result| edit.values(result));
                if let Some(refused) = error {
                    edit.text(&mut refused.message);
                }
            }
            Self::Capture { path, value } => {
                edit_resource(path, edit);
                edit.values(value);
            }
            Self::OperationEnded { id: _, result, error } => {
                let edited = result.clone().map(|mut result| {
                    edit.values(&mut result);
                    result
                });
                result.take_if(|result| Some(&*result) != edited.as_ref());
                if let Some(Failed { message, code: _, hint, kind: _ }) = error {
                    edit.text(message);
                    maybe(hint);
                }
            }
            Self::HookArmed { hook } => edit.text(hook),
            Self::Committed { label } => edit.text(label),
            Self::Asked { question, .. } => edit.text(question),
            Self::Answered { id: _, approved: _, by, reason } => {
                edit.text(by);
                maybe(reason);
            }
            Self::Suspended { reason } | Self::RollbackStarted { reason } => edit.text(reason),
            Self::UndoStarted { path, undo } => {
                edit_resource(path, edit);
                edit.text(undo);
            }
            Self::UndoEnded { path, undo, outcome: _, detail, by } => {
                edit_resource(path, edit);
                edit.text(undo);
                maybe(detail);
                maybe(by);
            }
            Self::HookEnded { hook, error } => {
                edit.text(hook);
                maybe(error);
            }
            Self::Finished { exit_code: _ } => {}
        }
    }
}

/// The last part of a path, `3/ec2:CreateSubnet/public-a`, is somebody's name for it.
fn edit_resource(path: &mut String, edit: &impl Edit) {
    if let Some((start, _)) = path.match_indices('/').nth(1) {
        let mut resource = path.split_off(start + 1);
        edit.text(&mut resource);
        path.push_str(&resource);
    }
}
