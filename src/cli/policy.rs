//! The flags about policy, for every verb that runs a runbook.

use std::path::PathBuf;

use crate::policy::Check;

/// What is set aside of an environment's policy, and where that is read.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PolicyArgs {
    /// Set a check aside, where the environment's policy lets a person do so; repeatable
    #[arg(long = "override", value_name = "CHECK", requires = "reason")]
    #[arg(hide_possible_values = true, help_heading = "Policy")]
    pub overrides: Vec<Check>,

    /// Why checks are set aside; it is written down
    #[arg(long, value_name = "TEXT", value_parser = reason, help_heading = "Policy")]
    pub reason: Option<String>,

    /// Take policy from this file, or runner.toml in this folder: the base branch's, for a change nobody has reviewed
    #[arg(long, value_name = "FILE|DIR", help_heading = "Policy")]
    pub policy_from: Option<PathBuf>,
}

fn reason(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        Err("expected a reason, as in `--reason \"the fix for the outage\"`")
    } else {
        Ok(text.to_owned())
    }
}
