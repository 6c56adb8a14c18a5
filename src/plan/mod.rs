//! What a runbook will do, as data: the one thing all forms of a plan are written from.
//!
//! `collect` makes it from the events of a dry run; `report/plan/` writes it as text, Markdown, JSON and HTML. The JSON
//! form is this struct, and its schema, `docs/plan.schema.json`, is generated from it: a field is added without a new
//! version, anything else needs one.

mod aftermath;
mod collect;
mod names;
mod verdict;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use aftermath::Aftermath;
pub use collect::Collector;
pub use names::{NewIds, name_new_ids};
pub use verdict::{final_state, outcome_words};

/// Of the JSON form. A reader refuses a higher major version and ignores fields it does not know.
pub const VERSION: &str = "1.0";

/// What a runbook will do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    pub format: Format,
    /// The version of runner that made it.
    pub runner: String,
    pub verdict: Verdict,
    /// Its path below the project root.
    pub runbook: String,
    pub environment: Option<String>,
    pub stack: Option<String>,
    pub region: Option<String>,
    pub account: Option<String>,
    /// Whose state it was made from: `aws`, `sim`, `offline`, or the URL of an endpoint.
    pub target: String,
    pub totals: Totals,
    /// In the order of their first operation.
    pub stages: Vec<Stage>,
    pub timeline: Timeline,
    pub rollback: Rollback,
    /// What would happen if something went wrong.
    pub on_failure: Vec<Scenario>,
    pub outputs: Vec<Output>,
    pub warnings: Vec<String>,
    /// What policy says no to.
    pub policy: Vec<Denial>,
    /// Why the runbook did not reach its end, if it did not.
    pub failure: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Format {
    pub name: String,
    pub version: String,
}

impl Default for Format {
    fn default() -> Self {
        Self { name: "runner-plan".to_owned(), version: VERSION.to_owned() }
    }
}

/// The answer in one line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    pub outcome: Outcome,
    /// `33 to create, then nothing fails: about 14 min`
    pub text: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Changes,
    #[default]
    NoChanges,
    /// The runbook would fail, or cannot be planned.
    Fails,
    /// Policy says no.
    Refused,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    pub create: u32,
    pub update: u32,
    pub replace: u32,
    pub delete: u32,
    pub unchanged: u32,
    /// Changes of weights.
    pub traffic_shifts: u32,
    pub waits: u32,
    /// API calls of the run.
    pub calls: u32,
    /// Of these, how many only read.
    pub reads: u32,
    /// How long the run takes when all goes well, in seconds.
    pub seconds: f64,
    /// How long it takes at most before it gives up: every wait at its limit, in seconds.
    pub seconds_at_most: f64,
    /// Instances that run at the same time, at most.
    pub peak_instances: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// `None`: operations outside of any stage.
    pub name: Option<String>,
    /// Seconds from the start of the run.
    pub starts: f64,
    pub seconds: f64,
    pub steps: Vec<Step>,
}

/// One operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Path id, `3` or `3.1.2`.
    pub id: String,
    pub operation: String,
    /// What it is about, usually a name.
    pub subject: String,
    pub action: Action,
    /// Seconds from the start of the run.
    pub starts: f64,
    pub seconds: f64,
    /// Where in the runbook: `file:line:column`.
    pub place: Option<String>,
    pub changes: Vec<Change>,
    /// The mutations, in the order in which they are sent.
    pub calls: Vec<Call>,
    /// How many calls only read.
    pub reads: u32,
    pub waits: Vec<Wait>,
    /// Weights after each change.
    pub weights: Vec<Weights>,
    /// Why it failed.
    pub error: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It only looks.
    #[default]
    Read,
    Unchanged,
    Wait,
    /// It moves traffic.
    Shift,
    Create,
    Update,
    /// Deletes one and creates another in its place.
    Replace,
    Delete,
    Fail,
}

/// A field that is set or changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    pub field: String,
    /// `None` for something new.
    pub before: Option<Value>,
    pub after: Value,
    /// Long text as a unified diff.
    pub diff: Option<String>,
}

/// A mutation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// As AWS names it: `ec2:CreateVpc`.
    pub call: String,
    /// What it changes, in the user's words.
    pub resource: String,
    /// Under AWS's names. Ids that do not exist yet are those of the dry run.
    pub request: Value,
    /// What takes it back.
    pub undo: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wait {
    /// Completes "waiting for …".
    pub what: String,
    pub expected_seconds: f64,
    pub at_most_seconds: f64,
}

/// How a route spreads its requests from a moment on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Weights {
    /// Seconds from the start of the run.
    pub at: f64,
    pub route: String,
    pub shares: Vec<Share>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    pub target_group: String,
    pub weight: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// Every change of a weight.
    pub weights: Vec<Weights>,
    /// Every change of the size or health of a fleet.
    pub fleets: Vec<Fleet>,
    pub marks: Vec<Mark>,
}

/// An Auto Scaling group from a moment on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FleetSize {
    pub auto_scaling_group: String,
    pub desired: u32,
    /// Instances that exist: starting, in service, or leaving.
    pub instances: u32,
    pub in_service: u32,
    /// Of these, how many the load balancer calls healthy.
    pub healthy: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fleet {
    /// Seconds from the start of the run.
    pub at: f64,
    #[serde(flatten)]
    pub size: FleetSize,
}

/// A moment with a name: the point of no return, a message of the runbook.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// Seconds from the start of the run.
    pub at: f64,
    pub text: String,
}

/// How the run would be taken back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rollback {
    /// In the order in which they are armed; a rollback runs them newest first, capacity and traffic before the rest.
    pub undos: Vec<Undo>,
    /// From here on nothing is taken back.
    pub point_of_no_return: Option<PointOfNoReturn>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Undo {
    /// The step whose change it takes back.
    pub step: String,
    pub description: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointOfNoReturn {
    pub label: String,
    /// Seconds from the start of the run.
    pub at: f64,
    /// The last step that can be taken back.
    pub after: Option<String>,
}

/// What would happen if something went wrong, as it was simulated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scenario {
    /// `green never becomes healthy`
    pub name: String,
    /// `failed and rolled back`
    pub outcome: String,
    pub exit_code: u8,
    /// Until it has ended, rollback included, in seconds.
    pub seconds: f64,
    /// The error.
    pub error: Option<String>,
    /// How the account is left.
    pub final_state: String,
    pub undone: u32,
    /// What could not be taken back.
    pub left: Vec<String>,
    /// Requests on routes that served before, while it happened.
    pub requests_served: u64,
    pub requests_lost: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    pub name: String,
    pub value: Value,
}

/// What policy says no to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Denial {
    /// The check, as `--override` names it.
    pub check: String,
    pub message: String,
    /// The reason given with `--override`, if it was overridden.
    pub overridden: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    pub message: String,
    pub help: Option<String>,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub exit_code: u8,
}

impl Plan {
    /// All steps, in the order of the stages.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }

    /// Whether the run would change anything.
    pub fn changes_anything(&self) -> bool {
        self.steps().any(|step| !step.calls.is_empty())
    }
}
