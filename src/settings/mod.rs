//! From `runner.toml` and flags to one resolved struct per verb.
//!
//! What was typed is in `cli/`, as raw as it was typed; what is meant by it is decided here, before
//! anything runs.

mod check;
mod error;
mod file;
mod journal;
mod params;
mod policy;
mod run;

pub use check::{CheckProject, CheckSettings};
pub use error::{Error, shown};
pub use file::File;
pub use journal::JournalPlace;
pub use params::resolve as resolve_params;
pub use policy::actor;
pub use policy::{overrides, replace as replace_policies};
pub use run::{OnInterrupt, RunSettings, WorldChoice, found_by};

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::policy::Governed;

/// One `[environments.NAME]` of `runner.toml`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Environment {
    pub name: String,
    pub region: Option<String>,
    /// The account to insist on.
    pub account_id: Option<String>,
    pub role_arn: Option<String>,
    pub external_id: Option<String>,
    pub target: Option<Target>,
    /// What the runbook reads as `environment(…).vars`.
    pub vars: serde_json::Map<String, serde_json::Value>,
    pub default_tags: BTreeMap<String, String>,
    /// What its runs may do.
    pub policy: Governed,
}

/// Where calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// AWS, or the endpoint given with --endpoint-url
    Aws,
    /// The simulated AWS inside this program
    Sim,
}
