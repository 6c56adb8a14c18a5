//! `runner run`

use std::{fs::File, io, path::PathBuf};

use super::{
    Console, Exit, Failure, Global, check,
    execute::{execute, tell_of_new_world},
    exit,
    inputs::{self, Faults, Inputs, Place},
    plan,
};
use crate::{
    api,
    event::Report,
    report,
    settings::{Error, OnInterrupt, Target, WorldChoice},
    sim::Simulator,
};

/// Run a runbook
///
/// Whatever fails, what was changed is taken back: traffic on the old version, nothing left behind but what the runbook keeps.
/// What AWS does not let take back is listed (exit code 11). Progress goes to stderr, the summary to stdout.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub inputs: Inputs,

    /// Show what the run would do, and change nothing: as `runner plan`, with all its options
    #[arg(long, conflicts_with_all = ["json", "json_into"])]
    pub dry_run: bool,

    /// Write events to stdout, one JSON object per line, and nothing else
    #[arg(long)]
    pub json: bool,

    /// Write events to a file as well, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub json_into: Option<PathBuf>,

    /// Write all requests and replies to a file, without secrets, one exchange per line
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub record_wire: Option<PathBuf>,

    /// What a signal does: suspend, to go on with `runner resume`, or rollback
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "suspend",
        hide_possible_values = true,
        conflicts_with = "dry_run"
    )]
    pub on_interrupt: OnInterrupt,

    #[command(flatten)]
    pub place: Place,

    #[command(flatten)]
    pub faults: Faults,

    #[command(flatten, next_help_heading = "With --dry-run")]
    pub plan: plan::Options,
}

const EXAMPLES: &str = "Examples:
  Try a deploy on the simulated AWS:
    runner run runbooks/prod-deploy.rhai --sim --param image=ami-healthy-1

  Deploy to AWS:
    runner run runbooks/prod-deploy.rhai --env prod --param image=ami-0123456789abcdef0";

pub fn run(args: Args, global: &Global, console: &Console) -> Result<Exit, Failure> {
    if args.dry_run {
        let Args { inputs, place, faults, plan: options, .. } = args;
        return plan::plan(&plan::Args { inputs, place, faults, options }, global, console);
    }
    let mut reports = reports(args.json, global, console);
    if let Some(path) = &args.json_into {
        let file = File::create(path).map_err(|error| {
            Failure::new(exit::USAGE, miette::miette!("cannot write events to `{}`: {error}", path.display()))
        })?;
        reports.push(Box::new(report::Json::new(Box::new(file))));
    }
    let mut settings = inputs::settings(&args.inputs, &args.place, console.interactive)?;
    if settings.target == Target::Aws && !args.faults.sim_fault.is_empty() {
        return Err(Error::NeedsSim { flag: "--sim-fault", environment: settings.environment }.into());
    }
    settings.faults = args.faults.sim_fault.clone();
    settings.record_wire = args.record_wire.clone();
    settings.on_interrupt = args.on_interrupt;
    check::before(&settings, global, console)?;
    let runbook = api::load(&settings.runbook, &settings.project_root)
        .map_err(|failure| Failure::new(exit::USAGE, *failure.problem))?;
    // Where none can be made, the error says so.
    if !matches!(&settings.world, WorldChoice::Kept(dir) if Simulator::is_kept_out_of(dir)) {
        tell_of_new_world(&args.place, &settings, "a new one is made there", global, console);
    }
    execute(&settings, &runbook, reports)
}

/// The options of a plan mean nothing to a run that is none.
pub fn options_of_plan_need_dry_run(run: clap::Command) -> clap::Command {
    let plan = <plan::Options as clap::Args>::augment_args(clap::Command::new("plan"));
    run.mut_args(|argument| {
        let is_of_plan = plan.get_arguments().any(|of_plan| of_plan.get_id() == argument.get_id());
        if is_of_plan { argument.requires("dry_run") } else { argument }
    })
}

/// The views of the run that were asked for.
pub(super) fn reports(json: bool, global: &Global, console: &Console) -> Vec<Box<dyn Report>> {
    if json {
        return vec![Box::new(report::Json::new(Box::new(io::stdout())))];
    }
    let progress = (Box::new(io::stderr()) as _, console.err);
    let result = (Box::new(io::stdout()) as _, console.out);
    vec![Box::new(report::Terminal::new(progress, result, global.verbosity(), console.live.clone()))]
}
