//! Why an operation failed, and the words for it.
//!
//! The message is a lowercase fragment that says what was wanted and what was found; the hint says
//! what to do next.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    policy::Refusal,
    run::{Failed, FailedAs, LockError, Locked, StoreError, Superseded},
};

/// Why an operation failed.
#[derive(Debug, Error)]
pub enum Error {
    /// An option has the wrong type or value. `path` is the place inside the options: `ingress[1].port`.
    #[error("{message}")]
    Option { path: String, message: String },

    /// AWS refused a call, or it could not be made.
    #[error(transparent)]
    Call(#[from] Box<CallError>),

    /// No clients for where the calls should go.
    #[error(transparent)]
    Connect(#[from] crate::aws::ConnectError),

    /// The resource exists, and is not this stack's.
    #[error("{resource} exists and is not owned by stack `{stack}`{}", owner.as_ref().map(|o| format!(", but by `{o}`")).unwrap_or_default())]
    NotOwned { resource: String, stack: String, owner: Option<String> },

    /// AWS cannot change this field in place.
    #[error("{resource} has {field} {found}, wanted {wanted}, and AWS cannot change it in place")]
    NeedsReplacement { resource: String, field: &'static str, found: String, wanted: String },

    /// What was looked for is not there.
    #[error("{what} was not found")]
    NotFound { what: String, hint: Option<String> },

    /// More than one thing answers to the description.
    #[error("{what} is ambiguous: {}", found.join(", "))]
    Ambiguous { what: String, found: Vec<String> },

    /// A wait reached its deadline.
    #[error("waited for {what}: not within {}, last seen: {seen}", crate::ops::Duration(*timeout))]
    TimedOut { what: String, timeout: Duration, seen: String },

    /// Waiting longer is pointless.
    #[error("gave up waiting for {what}: {reason}")]
    Hopeless { what: String, reason: String },

    /// A service does not answer as it should.
    #[error("{what} does not answer as expected: {}", faults.join("; "))]
    Unexpected { what: String, faults: Vec<String> },

    /// A command has failed, here or on instances.
    #[error("{what} failed: {}", faults.join("; "))]
    Failed { what: String, faults: Vec<String> },

    /// A safety rule says no: weight onto an unhealthy group, a fleet that serves would be removed, …
    #[error("refused: {0}")]
    Unsafe(String),

    /// Policy says no. Nothing was sent, and nothing more is.
    #[error(transparent)]
    Policy(#[from] Box<Refusal>),

    /// Declared outside a stack, environment or scope that it needs.
    #[error("{what} needs {needs}")]
    Missing { what: String, needs: &'static str, hint: &'static str },

    /// The journal could not be written. Nothing was sent.
    #[error(transparent)]
    Journal(#[from] crate::run::JournalError),

    /// It failed so before the run was taken up again.
    #[error("{}", .0.message)]
    Before(Box<Failed>),

    /// What is done now is not what the journal has.
    #[error(transparent)]
    Diverged(#[from] Box<Divergence>),

    /// The driver ended while this call was under way, and AWS leaves no trace of it.
    #[error("it is not known whether {call} for {resource} was carried out, and AWS leaves no trace of it")]
    InDoubt { call: &'static str, resource: String, path: String },

    /// A person has to answer first.
    #[error("waits for approval: {question}")]
    Asks { question: String, run: String },

    /// A person has said no.
    #[error("rejected by {by}: {question}{}", reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default())]
    Rejected { question: String, by: String, reason: Option<String> },

    /// Nobody has answered in time.
    #[error("nobody has approved in time: {question}")]
    Unanswered { question: String },

    /// Another run is at it.
    #[error(transparent)]
    Locked(#[from] Box<Locked>),

    /// Others have been at it since this run had its lock.
    #[error(transparent)]
    Superseded(#[from] Box<Superseded>),

    /// The place of journals and locks could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),

    /// Somebody asked the run to stop.
    #[error("interrupted")]
    Interrupted,

    /// A reply lacks what AWS documents to be there.
    #[error("the reply of {call} has no {member}")]
    Reply { call: &'static str, member: &'static str },
}

impl Error {
    /// The option at `path` is wrong.
    pub fn option(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Option { path: path.into(), message: message.into() }
    }

    /// AWS's error code, when a call was refused.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Call(error) => error.code.as_deref(),
            Self::Before(failed) => failed.code.as_deref(),
            _ => None,
        }
    }

    /// Whether AWS refused the call with one of these codes.
    pub fn is(&self, codes: &[&str]) -> bool {
        self.code().is_some_and(|code| codes.contains(&code))
    }

    /// Whether only the simulated AWS, or a dry run, failed: AWS would have an answer.
    pub fn is_unanswered(&self) -> bool {
        matches!(self, Self::Call(error) if error.unanswered)
    }

    /// Whether credentials or permissions are the cause.
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Call(error) => error.kind == CallErrorKind::Permission,
            Self::Connect(error) => error.is_permission(),
            Self::Before(failed) => failed.kind == FailedAs::Permission,
            _ => false,
        }
    }

    /// Whether the run stops here and goes on another time: nothing went wrong that a rollback would mend.
    pub fn suspends(&self) -> bool {
        matches!(
            self,
            Self::Interrupted | Self::Journal(_) | Self::Diverged(_) | Self::InDoubt { .. } | Self::Asks { .. }
        )
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotOwned { .. } => Some(
                "use `find_…` to use it without touching it, give another `name`, or say `adopt: true` to take it over"
                    .into(),
            ),
            Self::NeedsReplacement { .. } => Some(
                "put the old value back, make another one under a new name, or say `replace: true` where the \
                     operation offers it"
                    .into(),
            ),
            Self::NotFound { hint, .. } => hint.clone(),
            Self::Ambiguous { .. } => Some("narrow the description, or give the id".into()),
            Self::Missing { hint, .. } => Some((*hint).into()),
            Self::Call(error) => error.hint(),
            Self::Policy(refusal) => Some(refusal.hint()),
            Self::Connect(error) => Some(error.hint().into()),
            Self::Before(failed) => failed.hint.clone(),
            Self::Asks { run, .. } => Some(format!("`runner approve {run}` or `runner reject {run}`, then `runner resume {run}`")),
            Self::Locked(locked) => Some(format!(
                "`runner show {0}` tells what it does; if its driver is gone, `runner resume {0}` goes on with it and \
                 `runner rollback {0}` takes it back",
                locked.holder.run
            )),
            Self::Superseded(superseded) => Some(format!(
                "run the runbook again, which begins with what is there now; `runner rollback {}` takes back what that run \
                 did, where nobody has changed it since",
                superseded.run
            )),
            Self::Diverged(_) => Some(
                "nothing was sent: resume with the version of runner and the script that began the run, or take it back with \
                 `runner rollback`"
                    .into(),
            ),
            Self::InDoubt { path, .. } => Some(format!(
                "look whether it was, then say so: `runner resume RUN --mark-done '{path}'` or `--mark-not-done '{path}'`, with \
                 `--reason`"
            )),
            Self::TimedOut { .. } => Some("if this is how long it takes, give a longer `timeout`".into()),
            Self::Option { .. }
            | Self::Hopeless { .. }
            | Self::Unexpected { .. }
            | Self::Failed { .. }
            | Self::Unsafe(_)
            | Self::Journal(_)
            | Self::Rejected { .. }
            | Self::Unanswered { .. }
            | Self::Store(_)
            | Self::Interrupted
            | Self::Reply { .. } => None,
        }
    }
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Locked(locked) => Self::Locked(locked),
            LockError::Superseded(superseded) => Self::Superseded(superseded),
            LockError::Store(error) => Self::Store(error),
        }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Policy(Box::new(refusal))
    }
}

/// A call that failed for good: what was asked, of what, and AWS's own words.
#[derive(Debug, Error)]
#[error("{call}{} failed: {}{message}{}",
    resource.as_ref().map(|r| format!(" for {r}")).unwrap_or_default(),
    code.as_ref().map(|c| format!("{c}: ")).unwrap_or_default(),
    request_id.as_ref().map(|id| format!(" (request id {id})")).unwrap_or_default())]
pub struct CallError {
    /// `ec2:CreateVpc`
    pub call: &'static str,
    pub resource: Option<String>,
    pub kind: CallErrorKind,
    pub code: Option<String>,
    pub message: String,
    pub request_id: Option<String>,
    /// How often it was sent.
    pub attempts: u32,
    /// AWS would have an answer; the simulated one has none, or a dry run could not look it up.
    pub unanswered: bool,
    /// It was refused before the run was taken up again: what another process met is what went wrong.
    pub before: bool,
}

/// What kind of failure it is: decides about retries and the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallErrorKind {
    /// AWS understood the request and said no.
    Refused,
    /// No credentials, expired ones, or not allowed.
    Permission,
    /// Too many requests; nothing was done.
    Throttled,
    /// The request did not reach AWS; nothing was done.
    NotSent,
    /// The reply is lost or says that AWS failed: it may have been done.
    Unknown,
    /// The declaration and the request do not agree. A bug in the operation.
    Undeclared,
}

impl CallError {
    fn hint(&self) -> Option<String> {
        match self.kind {
            CallErrorKind::Permission => Some(format!(
                "check the credentials (`aws sts get-caller-identity`) and that their policies allow `{}`",
                self.call
            )),
            CallErrorKind::Undeclared => Some("this is a bug in runner, please report it".into()),
            CallErrorKind::Unknown => {
                Some("the request may have been carried out: look at the resource before you repeat it".into())
            }
            // The words of the simulated AWS, which a call by name can go beyond.
            CallErrorKind::Refused if self.message.contains("the simulator does not model the service") => {
                Some("a plan, and a run on the simulated AWS, take `assume` of `aws_call` for its reply".into())
            }
            CallErrorKind::Refused | CallErrorKind::Throttled | CallErrorKind::NotSent => None,
        }
    }
}

/// Where a run that goes on does something else than it did before.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place} is not what the journal has: recorded {recorded}, now {now}")]
pub struct Divergence {
    /// `operation 3`, `3/ec2:CreateVpc/main`
    pub place: String,
    pub recorded: String,
    pub now: String,
}
