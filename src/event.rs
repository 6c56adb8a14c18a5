//! The one enum of what can happen in a run.
//!
//! The engine emits events and never prints. Terminal, JSON lines and every later view are
//! consumers of this stream; see `report/`.

mod words;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    clock::Clock,
    policy::{Check, Level},
    redact::{Edit, Secrets, looks},
};

/// Something that happened, with its place in the stream and its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stamped {
    /// Counts from 1 within a run, without gaps.
    pub seq: u64,
    /// The run's time: the simulated world's with a virtual clock.
    pub at: Timestamp,
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen. The JSON form (`--json`) is this enum, tagged by `event`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A run began. Always the first event.
    RunStarted {
        run: String,
        runbook: String,
        /// `aws`, `sim`, or the endpoint's URL.
        target: String,
        version: String,
    },
    /// The run goes on where another driver has left it.
    Resumed {
        /// Operations that it had done.
        operations: usize,
        /// Calls that had changed something, or may have.
        mutations: usize,
        /// Who drove it before.
        before: String,
    },
    /// The runbook named its environment, and where calls go is settled.
    Environment {
        environment: String,
        region: String,
        account: String,
    },
    /// The runbook named the stack that owns what is made from here on.
    Stack {
        stack: String,
    },
    /// A person has set a check of the environment's policy aside.
    Override {
        check: Check,
        reason: String,
        /// `anna@laptop`
        by: String,
    },
    /// Policy says no. It is said once of one thing.
    Policy {
        /// The operation; `None`: the environment itself.
        id: Option<String>,
        check: Check,
        level: Level,
        /// What was wanted, and what is allowed.
        message: String,
        /// `environments.prod.policy.max_size in runner.toml`
        rule: String,
        /// Where in the runbook: `file:line:column`.
        place: Option<String>,
        /// The reason for which a person has set the check aside, if one has.
        overridden: Option<String>,
    },
    StageStarted {
        stage: String,
    },
    StageFinished {
        stage: String,
        #[serde(with = "seconds")]
        elapsed: Duration,
    },
    OperationStarted {
        /// Path id, `3` or `3.1.2`: stable for the same runbook, whatever the timing.
        id: String,
        operation: String,
        /// What it is about, in the user's words: usually the name.
        subject: String,
        /// The innermost `stage` it is called in.
        stage: Option<String>,
        /// Where in the runbook: `file:line:column`.
        place: Option<String>,
    },
    OperationFinished {
        id: String,
        operation: String,
        subject: String,
        change: Change,
        /// What differed, or was set.
        fields: Vec<Field>,
        #[serde(with = "seconds")]
        elapsed: Duration,
    },
    OperationFailed {
        id: String,
        operation: String,
        subject: String,
        error: String,
    },
    /// A mutation is about to be sent; only in a dry run.
    Sending {
        id: String,
        /// As AWS names it: `ec2:CreateVpc`.
        call: String,
        /// What it changes, in the user's words.
        resource: String,
        /// What it asks for, under AWS's names.
        request: Value,
        /// What it opens to everybody: `tcp 22`.
        opens: Vec<String>,
        /// It lets somebody do everything.
        allows_all: bool,
        /// What would take it back.
        undo: Option<String>,
    },
    /// One request was answered, or given up.
    Call {
        /// The operation it belongs to.
        id: String,
        /// As AWS names it: `ec2:CreateVpc`.
        call: String,
        mutation: bool,
        /// Whether it is one of the looks of a wait: how many there are depends on how long AWS takes.
        poll: bool,
        /// Counts from 1.
        attempt: u32,
        /// AWS's error code, or what happened to the connection. `None`: it succeeded.
        error: Option<String>,
        #[serde(with = "seconds")]
        elapsed: Duration,
    },
    /// A call will be sent again.
    Retrying {
        id: String,
        call: String,
        reason: String,
        #[serde(with = "seconds")]
        delay: Duration,
    },
    /// An operation waits; sent when it begins to wait and whenever what it sees changes.
    Waiting {
        id: String,
        /// What for: `nat gateway nat-1 to be available`.
        what: String,
        /// What it sees now: `pending`.
        seen: String,
        #[serde(with = "seconds")]
        elapsed: Duration,
        #[serde(with = "seconds")]
        timeout: Duration,
    },
    /// What an operation waited for has come.
    Waited {
        id: String,
        what: String,
        #[serde(with = "seconds")]
        elapsed: Duration,
        #[serde(with = "seconds")]
        timeout: Duration,
    },
    /// The weights of a route, as read before and after a change.
    Weights {
        id: String,
        route: String,
        weights: Vec<Weight>,
    },
    /// What this run would do to take a change back.
    UndoArmed {
        id: String,
        undo: String,
        /// `keep_on_rollback`: a rollback leaves the change as it is.
        #[serde(default)]
        keep: bool,
        /// Nothing takes the change back: it is listed, so that a rollback is not taken for a clean one.
        #[serde(default)]
        impossible: bool,
    },
    /// The runbook registered a hook with `on_rollback`.
    HookArmed {
        hook: String,
    },
    /// The point of no return: earlier undos are not run any more.
    Committed {
        label: String,
    },
    Log {
        message: String,
    },
    Warning {
        message: String,
    },
    Output {
        name: String,
        value: Value,
    },
    RollbackStarted {
        reason: String,
        /// Changes that are taken back.
        undos: usize,
        /// Changes that are kept: `keep_on_rollback`.
        #[serde(default)]
        kept: usize,
        /// Hooks that are run.
        #[serde(default)]
        hooks: usize,
    },
    UndoFinished {
        undo: String,
        outcome: UndoOutcome,
        /// Why, and what to do, when it was not undone.
        detail: Option<String>,
    },
    /// A hook of the runbook ran during rollback.
    HookFinished {
        hook: String,
        error: Option<String>,
    },
    /// The driver stops, and the run goes on another time.
    Suspended {
        reason: String,
        /// The command that goes on with it.
        resume: String,
    },
    /// Always the last event.
    RunFinished {
        outcome: Outcome,
        exit_code: u8,
        error: Option<String>,
        summary: Box<Summary>,
    },
}

/// What an operation did to its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Created,
    Updated,
    Unchanged,
    Deleted,
    /// It only looked.
    Read,
    /// It waited, and what it waited for came.
    Waited,
}

/// A field an operation set or changed. `before` is `None` for a new resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    pub name: String,
    pub before: Option<Value>,
    pub after: Value,
}

/// A target group's share of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weight {
    pub target_group: String,
    pub weight: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndoOutcome {
    Undone,
    /// Nothing to do: it was gone, or had its old value.
    AlreadyGone,
    /// The user asked to keep it.
    Kept,
    /// Somebody else changed it since; it was left as it is.
    Foreign,
    /// Nothing brings it back.
    Impossible,
    Failed,
}

impl UndoOutcome {
    /// Whether what was to be taken back is still there, unasked.
    pub fn stays(self) -> bool {
        match self {
            Self::Undone | Self::AlreadyGone | Self::Kept => false,
            Self::Foreign | Self::Impossible | Self::Failed => true,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Succeeded,
    /// It failed before it changed anything.
    Failed,
    RolledBack,
    /// It failed, and something could not be taken back.
    RollbackFailed,
    /// Deployed; the clean-up after the point of no return is for the next run.
    CleanUpUnfinished,
    /// It goes on another time.
    Suspended,
}

/// The figures of a finished run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub stack: Option<String>,
    pub environment: Option<String>,
    /// In the order in which the runbook gave them.
    pub outputs: Vec<(String, Value)>,
    pub created: u32,
    pub updated: u32,
    pub deleted: u32,
    pub unchanged: u32,
    pub calls: u32,
    pub mutations: u32,
    /// The run's own time.
    #[serde(with = "seconds")]
    pub elapsed: Duration,
    /// Time on the wall. Left out of snapshots and of the journal's comparison.
    #[serde(with = "seconds")]
    pub wall: Duration,
    /// Simulated requests, when the target is the simulated AWS.
    pub traffic: Option<Traffic>,
}

/// Requests of the simulated load during a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    pub served: u64,
    pub failed: u64,
    /// Lost with instances that died by themselves, as a fault had it: not among those that failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub died: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<crate::sim::Traffic> for Traffic {
    fn from(crate::sim::Traffic { served, failed, died }: crate::sim::Traffic) -> Self {
        Self { served, failed, died }
    }
}

/// Consumes events. Called in order, from one thread at a time.
pub trait Report: Send {
    fn event(&mut self, stamped: &Stamped);
}

/// Where the engine sends events. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    clock: Clock,
    secrets: Secrets,
    fan_out: Arc<Mutex<FanOut>>,
}

struct FanOut {
    seq: u64,
    reports: Vec<Box<dyn Report>>,
}

impl Events {
    pub fn new(clock: Clock, reports: Vec<Box<dyn Report>>) -> Self {
        Self { clock, secrets: Secrets::default(), fan_out: Arc::new(Mutex::new(FanOut { seq: 0, reports })) }
    }

    /// What no event shows.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    pub fn emit(&self, mut event: Event) {
        event.edit(&Shown(&self.secrets));
        let at = self.clock.now();
        let mut fan_out = self.fan_out.lock().unwrap_or_else(PoisonError::into_inner);
        fan_out.seq += 1;
        let stamped = Stamped { seq: fan_out.seq, at, event };
        for report in &mut fan_out.reports {
            report.event(&stamped);
        }
    }
}

/// Words as they may be shown: without the secrets of the run, and without what looks like one.
struct Shown<'a>(&'a Secrets);

impl Edit for Shown<'_> {
    fn text(&self, text: &mut String) {
        self.0.text(text);
        if looks::may_be_in(text) {
            *text = looks::in_message(text);
        }
    }

    fn tree(&self, tree: &mut Value) {
        self.0.tree(tree);
        self.values(tree);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

/// Durations as seconds with a fraction: what jq users expect.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(value.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
