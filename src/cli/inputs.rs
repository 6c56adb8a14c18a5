//! What a runbook is run with, and where: arguments that several verbs have.

use std::path::PathBuf;

use miette::miette;

use super::{Failure, exit, policy::PolicyArgs};
use crate::{
    api,
    settings::{JournalPlace, RunSettings, Target},
    sim::{Fault, FaultKind},
};

/// The runbook and its parameters.
#[derive(Clone, Debug, clap::Args)]
pub struct Inputs {
    /// The runbook, a .rhai file
    pub runbook: PathBuf,

    /// The environment of runner.toml that the runbook has to name
    #[arg(long, value_name = "NAME")]
    pub env: Option<String>,

    /// Set a parameter of the runbook, as text; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = param)]
    pub param: Vec<(String, String)>,

    /// Read parameters, with their types, from a .toml or .json file; --param wins
    #[arg(long, value_name = "FILE")]
    pub params_file: Option<PathBuf>,

    /// Read settings from this file instead of the nearest runner.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    #[command(flatten)]
    pub policy: PolicyArgs,
}

/// Whose resources it is about.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Place {
    /// Where calls go: aws, or sim, the simulated AWS inside this program
    ///
    /// Without it, what the environment says in runner.toml; without that, aws.
    #[arg(long, value_name = "TARGET", hide_possible_values = true, help_heading = "Target")]
    pub target: Option<Target>,

    /// Short for --target sim
    #[arg(long, conflicts_with = "target", help_heading = "Target")]
    pub sim: bool,

    /// Send all calls to an AWS-compatible server instead
    ///
    /// With RUNNER_TIME=virtual in the environment, waits take no time: an emulator has nothing to wait for.
    #[arg(long, value_name = "URL", conflicts_with = "sim", value_parser = url, help_heading = "Target")]
    pub endpoint_url: Option<String>,

    /// The folder that keeps the simulated world, or `fresh` for an empty one that is not kept; with `plan --offline`, the
    /// file of a snapshot
    ///
    /// Without it, the world in .runner/sim, which each simulated run goes on with.
    #[arg(long, value_name = "PATH|fresh", conflicts_with = "endpoint_url", help_heading = "Target")]
    pub world: Option<PathBuf>,

    /// Keep the journal of the run there: a folder, or s3://BUCKET/PREFIX [default: what runner.toml says, or
    /// .runner/journal]
    #[arg(long, value_name = "PLACE", help_heading = "Target")]
    pub journal: Option<JournalPlace>,

    /// Choose another course of simulated events; the same seed gives the same run [default: 1]
    #[arg(long, value_name = "NUMBER", help_heading = "Target")]
    pub seed: Option<u64>,
}

/// What is to go wrong in the simulated AWS.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Faults {
    /// Have the simulated AWS fail at a call, as in `ec2:CreateVpc#1=throttle`: service, action, which of those calls (`#2+`: the
    /// second and all later ones), and what happens; repeatable
    ///
    /// throttle, 500-applied, 500-not-applied, timeout-applied, timeout-not-applied, reset, denied, expired-credentials,
    /// insufficient-capacity, quota, slow, stale-read, instance-death, target-flap, alarm. Service and action may have a `*`.
    /// crash-before and crash-after end a run as `kill -9` does, before the call is carried out or after.
    #[arg(long, value_name = "SERVICE:ACTION#N=KIND", help_heading = "Target")]
    pub sim_fault: Vec<Fault>,
}

/// A time to come, as people type it.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    let duration = text.parse::<jiff::SignedDuration>().map_err(|error| error.to_string())?;
    duration.try_into().map_err(|_| "expected a time to come, as in `5m`".to_owned())
}

/// The faults that AWS can have. Where nothing is run that another process could go on with, there are no others.
pub fn of_aws(faults: &[Fault]) -> Result<Vec<Fault>, Failure> {
    let crash = faults.iter().find(|fault| FaultKind::CRASHES.contains(&fault.kind));
    crash.map_or(Ok(faults.to_vec()), |crash| {
        let help = "`runner run --sim` can be ended so; `runner test --crashes` tries it at every call";
        Err(Failure::new(exit::USAGE, miette!(help = help, "`{crash}` ends a run, and here is none")))
    })
}

/// The settings of a run. The environment may say where it takes place, so the runbook is asked which one it names.
pub fn settings(inputs: &Inputs, place: &Place, interactive: bool) -> Result<RunSettings, Failure> {
    let declared = api::declared_environment(&inputs.runbook);
    Ok(RunSettings::resolve(inputs, place, declared.as_deref(), interactive)?)
}

/// The first `=` ends the name, so a value can have more of them.
pub(super) fn param(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected a name and a value, as in `--param image=ami-0123`"),
    }
}

fn url(text: &str) -> Result<String, &'static str> {
    let is_url = text
        .parse()
        .is_ok_and(|uri: http::Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some());
    if is_url { Ok(text.to_owned()) } else { Err("expected a URL, as in `http://127.0.0.1:5000`") }
}
