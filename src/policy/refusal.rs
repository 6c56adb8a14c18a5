//! What is said when policy says no.

use thiserror::Error;

use super::{Check, Level};

/// One check that says no to one thing.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("refused by policy: {message} ({})", self.rule())]
pub struct Denial {
    pub check: Check,
    pub level: Level,
    /// What was wanted, and what is allowed.
    pub message: String,
    pub environment: String,
    /// Where the rule is.
    pub file: String,
    pub overridable: bool,
}

impl Denial {
    /// `environments.prod.policy.max_size in runner.toml`
    pub fn rule(&self) -> String {
        format!("environments.{}.policy.{} in {}", self.environment, self.check, self.file)
    }

    /// What a person can do.
    pub fn hint(&self) -> String {
        let Self { check, environment, .. } = self;
        if self.overridable {
            return format!(
                "change the runbook; or, as `{environment}` lets a person override this check, add `--override {check} --reason TEXT`"
            );
        }
        format!("change the runbook, or the rule: `{environment}` lets nobody override this check")
    }
}

/// Why a run under a policy does not go on. No script can catch it.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Refusal {
    #[error(transparent)]
    Denied(#[from] Denial),

    /// `--override` of checks that policy does not let anybody override.
    #[error("policy of `{environment}` lets nobody override {}", listed(checks))]
    NotOverridable { environment: String, checks: Vec<Check>, overridable: Vec<Check>, file: String },

    #[error("there is nothing to override: `{environment}` has no policy")]
    NoPolicy { environment: String },

    /// Something outside AWS, which only a policy could allow.
    #[error("{what} is not allowed: no policy allows anything outside AWS")]
    Outside { what: String, rule: String },

    /// `--policy-from` names a file that does not have the environment.
    #[error("policy is taken from {file}, which has no environment `{environment}`")]
    UnknownEnvironment { environment: String, file: String },

    /// A change while it is not known whose policy is to be obeyed.
    #[error("{call} would change something, and no environment is named yet whose policy could allow it")]
    NoEnvironment { call: &'static str },
}

impl Refusal {
    pub fn hint(&self) -> String {
        match self {
            Self::Denied(denial) => denial.hint(),
            Self::NotOverridable { overridable, file, .. } if overridable.is_empty() => {
                format!("leave `--override` out: `overridable` of this policy in {file} is empty")
            }
            Self::NotOverridable { overridable, file, .. } => {
                format!("`overridable` of this policy in {file} has {}", listed(overridable))
            }
            Self::NoPolicy { .. } => "leave `--override` out".to_owned(),
            Self::UnknownEnvironment { environment, .. } => {
                format!(
                    "add `[environments.{environment}]` there first: nothing is allowed by a file that does not know it"
                )
            }
            Self::Outside { rule, .. } => format!("add `{rule}` to the environment's policy in runner.toml"),
            Self::NoEnvironment { .. } => "call `environment(\"…\")` first".to_owned(),
        }
    }
}

/// `` `freeze`, `max_size` ``
fn listed(checks: &[Check]) -> String {
    checks.iter().map(|check| format!("`{check}`")).collect::<Vec<_>>().join(", ")
}
