//! What a runbook will do, as data: the one thing all forms of a plan are written from.
//!
//! `collect` makes it from the events of a dry run; `report/plan/` writes it as text, Markdown, JSON and HTML. The JSON
//! form is this struct, and its schema, `docs/plan.schema.json`, is generated from it: a field is added without a new
//! version, anything else needs one.

mod aftermath;
mod collect;
mod content;
mod diff;
mod longest;
mod names;
mod verdict;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use aftermath::Aftermath;
pub use collect::{Collector, Refusal};
pub use content::content;
pub use diff::{added, unified_diff};
pub use names::{Names, NewIds};
pub use verdict::{final_state, outcome_words};

/// Of the JSON form. A reader refuses a higher major version and ignores fields it does not know.
pub const VERSION: &str = "1.0";

/// What a runbook will do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Which format this is, for who reads it back.
    pub format: Format,
    /// The version of runner that made it.
    pub runner: String,
    /// The answer, first of all.
    pub verdict: Verdict,
    /// Its path below the project root.
    pub runbook: String,
    /// Where the project root is, below the top of its repository; empty if it is the top, or in none.
    #[serde(default)]
    pub project: String,
    /// What a comment with this plan is found again by: `--env`, and where the runbook is in the repository. It is known
    /// however little else is.
    #[serde(default)]
    pub marker: Marker,
    /// The environment the runbook names, or `--env`, as in `runner.toml`.
    pub environment: Option<String>,
    /// The owner of what is made: `shop-prod`.
    pub stack: Option<String>,
    pub region: Option<String>,
    /// The AWS account.
    pub account: Option<String>,
    /// Whose state it was made from: `aws`, `sim`, `offline`, or the URL of an endpoint.
    pub target: String,
    /// The plan in figures.
    pub totals: Totals,
    /// In the order of their first operation.
    pub stages: Vec<Stage>,
    /// What changes over time, beyond single steps.
    pub timeline: Timeline,
    /// How the run would be taken back.
    pub rollback: Rollback,
    /// What would happen if something went wrong.
    pub on_failure: Vec<Scenario>,
    /// What the users of load balancers would see of the run, as it was simulated.
    #[serde(default)]
    pub requests: Requests,
    /// What the runbook gives, in its order.
    pub outputs: Vec<Output>,
    /// What to know before it is run.
    pub warnings: Vec<String>,
    /// What policy says no to.
    pub policy: Vec<Denial>,
    /// Why the runbook did not reach its end, if it did not.
    pub failure: Option<Failure>,
}

/// Which plan of a repository it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Marker {
    /// `--env`. Without it, the runbook alone tells.
    pub environment: Option<String>,
    /// From the top of the repository.
    pub runbook: String,
}

/// Which format this is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Format {
    /// `runner-plan`
    pub name: String,
    /// `MAJOR.MINOR`: a reader refuses a higher major version and ignores fields it does not know.
    pub version: String,
}

impl Default for Format {
    fn default() -> Self {
        Self { name: "runner-plan".to_owned(), version: VERSION.to_owned() }
    }
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// The answer as a word.
    pub outcome: Outcome,
    /// The answer in one line: `33 to create, then nothing fails: about 14 min`
    pub text: String,
    /// What `runner run` would exit with. 0 also if that is not known: the simulator has no answer.
    #[serde(default)]
    pub exit_code: u8,
    /// What this exit code means: `failed and rolled back`
    #[serde(default)]
    pub exit_meaning: String,
}

/// What becomes of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The run would change something, and succeed.
    Changes,
    /// The run would change nothing.
    #[default]
    NoChanges,
    /// The runbook would fail, or cannot be planned.
    Fails,
    /// Policy says no.
    Refused,
}

/// The plan in figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Resources that are made.
    pub create: u32,
    /// Resources that are changed.
    pub update: u32,
    /// Resources that are deleted and made anew.
    pub replace: u32,
    /// Resources that are deleted.
    pub delete: u32,
    /// Resources that are as they should be.
    pub unchanged: u32,
    /// Changes of weights.
    pub traffic_shifts: u32,
    /// Waits for something to come.
    pub waits: u32,
    /// API calls of the run, as often as they are sent.
    pub calls: u32,
    /// Of these, how many only read. What is neither read nor repeated changes something.
    pub reads: u32,
    /// Of these, how many are sent again, because the first answer was "not yet".
    #[serde(default)]
    pub repeated: u32,
    /// How long the run takes when all goes well, or until it fails, in seconds.
    pub seconds: f64,
    /// How long it takes at most before it gives up: every wait at its limit, in seconds.
    pub seconds_at_most: f64,
    /// Instances that run at the same time, at most.
    pub peak_instances: u32,
}

/// A part of the runbook with a name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// `None`: operations outside of any stage.
    pub name: Option<String>,
    /// Seconds from the start of the run.
    pub starts: f64,
    /// How long it lasts.
    pub seconds: f64,
    /// Its operations, in the order in which they begin.
    pub steps: Vec<Step>,
}

/// One operation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Path id, `3` or `3.1.2`.
    pub id: String,
    /// As the runbook calls it: `ensure_vpc`.
    pub operation: String,
    /// What it is about, usually a name.
    pub subject: String,
    /// What it does to its subject.
    pub action: Action,
    /// Seconds from the start of the run.
    pub starts: f64,
    /// How long it lasts.
    pub seconds: f64,
    /// Where in the runbook: `file:line:column`.
    pub place: Option<String>,
    /// The fields it sets or changes.
    pub changes: Vec<Change>,
    /// The mutations, in the order in which they are sent.
    pub calls: Vec<Call>,
    /// Of something new, what decides: whom it lets in, what it grants, what it is made of.
    #[serde(default)]
    pub content: Vec<Fact>,
    /// How many calls only read.
    pub reads: u32,
    /// What it waits for, in the order in which it does.
    pub waits: Vec<Wait>,
    /// Weights after each change.
    pub weights: Vec<Weights>,
    /// Why it failed.
    pub error: Option<String>,
}

/// What a step does to its subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It only looks.
    #[default]
    Read,
    /// All is as it should be.
    Unchanged,
    /// It waits.
    Wait,
    /// It moves traffic.
    Shift,
    /// It makes something new.
    Create,
    /// It changes what is there.
    Update,
    /// Deletes one and creates another in its place.
    Replace,
    /// It deletes.
    Delete,
    /// It fails.
    Fail,
}

/// A field that is set or changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Its name, as in the options of the operation where there is one.
    pub field: String,
    /// `null` for something new.
    pub before: Option<Value>,
    /// `null` for something that goes.
    pub after: Value,
    /// Long text as a unified diff; new text of several lines as lines that begin with `+`.
    pub diff: Option<String>,
}

/// What decides about something new, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fact {
    /// `ingress`
    pub name: String,
    /// `tcp 443 from 0.0.0.0/0`
    pub value: String,
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
    /// What it opens to everybody: `tcp 22`.
    #[serde(default)]
    pub opens: Vec<String>,
    /// It lets somebody do everything.
    #[serde(default)]
    pub allows_all: bool,
    /// What takes it back.
    pub undo: Option<String>,
}

/// Something a step waits for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Wait {
    /// Completes "waiting for …".
    pub what: String,
    /// Seconds from the start of the run.
    pub starts: f64,
    /// How long it lasts when all goes well.
    pub expected_seconds: f64,
    /// How long it lasts before the run gives up.
    pub at_most_seconds: f64,
}

/// How a route spreads its requests from a moment on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Weights {
    /// Seconds from the start of the run.
    pub at: f64,
    /// A listener or one of its rules.
    pub route: String,
    /// Of all its target groups.
    pub shares: Vec<Share>,
}

/// A target group's part of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    /// The name of the target group.
    pub target_group: String,
    /// Its weight; its part of the requests is its part of the sum.
    pub weight: u32,
}

/// What changes over time, beyond single steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// Every change of a weight.
    pub weights: Vec<Weights>,
    /// Every change of the size or health of a fleet.
    pub fleets: Vec<Fleet>,
    /// Moments with a name.
    pub marks: Vec<Mark>,
}

/// An Auto Scaling group from a moment on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FleetSize {
    /// Its name.
    pub auto_scaling_group: String,
    /// How many instances it should have.
    pub desired: u32,
    /// Instances that exist: starting, in service, or leaving.
    pub instances: u32,
    /// Of these, how many are in service.
    pub in_service: u32,
    /// Of these, how many the load balancer calls healthy.
    pub healthy: u32,
}

/// The size of a fleet from a moment on.
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
    /// One line.
    pub text: String,
}

/// How the run would be taken back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rollback {
    /// In the order in which they are armed; a rollback runs them newest first, capacity and traffic before the rest.
    pub undos: Vec<Undo>,
    /// What the runbook has registered with `on_rollback`, in its order.
    #[serde(default)]
    pub hooks: Vec<Hook>,
    /// From here on nothing is taken back.
    pub point_of_no_return: Option<PointOfNoReturn>,
}

/// What takes one change back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Undo {
    /// The step whose change it takes back.
    pub step: String,
    /// What is done: `delete vpc shop-prod-main`.
    pub description: String,
    /// The runbook says `keep_on_rollback`: the change stays, the undo is not run.
    #[serde(default)]
    pub keep: bool,
    /// Nothing takes the change back: a rollback says so and is no clean one.
    #[serde(default)]
    pub impossible: bool,
}

/// A closure of the runbook that a rollback calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hook {
    /// Its label, or where it is: `file:line`.
    pub label: String,
    /// How many undos are older than it: a rollback calls it before them.
    pub after_undos: u32,
}

/// From when on nothing is taken back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointOfNoReturn {
    /// Why, in the runbook's words.
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
    /// That of `runner run`.
    pub exit_code: u8,
    /// Until it has ended, rollback included, in seconds.
    pub seconds: f64,
    /// The error.
    pub error: Option<String>,
    /// How the account is left.
    pub final_state: String,
    /// How many changes were taken back.
    pub undone: u32,
    /// How many were kept, because the runbook says `keep_on_rollback`.
    #[serde(default)]
    pub kept: u32,
    /// What could not be taken back.
    pub left: Vec<String>,
    /// Requests answered on routes that served before, while it happened.
    pub requests_served: u64,
    /// Requests on these routes that were not answered.
    pub requests_lost: u64,
}

/// Requests on routes that served when the run began, as they are simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Requests {
    /// Those that are answered.
    pub served: u64,
    /// Those that are not.
    pub lost: u64,
}

/// What the runbook gives to who runs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    pub name: String,
    /// As it is in the dry run: ids that do not exist yet are made up.
    pub value: Value,
}

/// What policy says no to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Denial {
    /// The check, as `--override` names it.
    pub check: String,
    /// What it found.
    pub message: String,
    /// The reason given with `--override`, if it was overridden.
    pub overridden: Option<String>,
}

/// Why the runbook did not reach its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// The error.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The file with the cause, below the project root.
    pub file: Option<String>,
    /// Counts from 1.
    pub line: Option<u32>,
    /// Counts from 1.
    pub column: Option<u32>,
    /// That of `runner run`, which would fail in the same way. 0: a run may go further, the simulator has no answer.
    pub exit_code: u8,
}

impl Rollback {
    /// Whether there is nothing to say about it.
    pub fn is_empty(&self) -> bool {
        self.undos.is_empty() && self.hooks.is_empty() && self.point_of_no_return.is_none()
    }
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
