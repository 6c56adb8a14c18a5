//! `runner run`

use std::{io, path::PathBuf};

use super::{Console, Exit, Failure, Global, execute::execute, exit, policy::PolicyArgs};
use crate::{
    api,
    event::Report,
    report,
    settings::{RunSettings, Target},
};

/// Run a runbook
///
/// Whatever fails, the account comes back to what it was: traffic on the old version, nothing left
/// behind. Progress goes to stderr, the summary to stdout.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
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

    /// Write events to stdout, one JSON object per line, and nothing else
    #[arg(long)]
    pub json: bool,

    /// Where calls go: aws, or sim, the simulated AWS inside this program
    ///
    /// Without it, what the environment says in runner.toml; without that, aws.
    #[arg(long, value_name = "TARGET", hide_possible_values = true, help_heading = "Target")]
    pub target: Option<Target>,

    /// Short for --target sim
    #[arg(long, conflicts_with = "target", help_heading = "Target")]
    pub sim: bool,

    /// Send all calls to an AWS-compatible server instead
    #[arg(long, value_name = "URL", conflicts_with = "sim", value_parser = url, help_heading = "Target")]
    pub endpoint_url: Option<String>,

    /// The folder that keeps the simulated world, or `fresh` for an empty one that is not kept
    ///
    /// Without it, the world in .runner/sim, which each simulated run goes on with.
    #[arg(long, value_name = "PATH|fresh", conflicts_with = "endpoint_url", help_heading = "Target")]
    pub world: Option<PathBuf>,

    #[command(flatten)]
    pub policy: PolicyArgs,

    /// Choose another course of simulated events; the same seed gives the same run [default: 1]
    #[arg(long, value_name = "NUMBER", help_heading = "Target")]
    pub seed: Option<u64>,
}

const EXAMPLES: &str = "Examples:
  Try a deploy on the simulated AWS:
    runner run runbooks/prod-deploy.rhai --sim --param image=ami-healthy-1

  Deploy to AWS:
    runner run runbooks/prod-deploy.rhai --env prod --param image=ami-0123456789abcdef0";

pub fn run(args: Args, global: &Global, console: &Console) -> Result<Exit, Failure> {
    let reports = reports(args.json, global, console);
    let mut settings = RunSettings::resolve(args.clone(), None, console.interactive)?;
    let runbook = api::load(&settings.runbook, &settings.project_root)
        .map_err(|failure| Failure::new(exit::USAGE, *failure.problem))?;
    if let Some(declared) = runbook.declared_environment() {
        // The environment may say where its runs take place.
        settings = RunSettings::resolve(args, Some(&declared), console.interactive)?;
    }
    execute(&settings, &runbook, reports)
}

/// The views of the run that were asked for.
fn reports(json: bool, global: &Global, console: &Console) -> Vec<Box<dyn Report>> {
    if json {
        return vec![Box::new(report::Json::new(Box::new(io::stdout())))];
    }
    let progress = (Box::new(io::stderr()) as _, console.err);
    let result = (Box::new(io::stdout()) as _, console.out);
    vec![Box::new(report::Terminal::new(progress, result, global.verbosity(), console.live.clone()))]
}

/// The first `=` ends the name, so a value can have more of them.
fn param(text: &str) -> Result<(String, String), &'static str> {
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
