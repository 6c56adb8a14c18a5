//! `runner test`

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use miette::miette;

use super::{
    Console, Exit, Failure, Global, check,
    execute::runtime,
    exit,
    inputs::{self, Inputs, Place},
    print, run,
    sweep::{
        self, Baseline, Bounds, Case, NoBaseline, Swept, Tried,
        crash::{self, CrashCase},
        report,
    },
};
use crate::{
    api,
    report::{Ink, Verbosity},
    settings::{Target, WorldChoice},
    sim::{Fault, Simulator},
};

/// Try a runbook against faults, on the simulated AWS
///
/// Runs it once without faults and once more, which must change nothing. With --sweep, then once for each call it makes
/// times each kind of fault, once and lasting. Each time it has to end as deployed, or taken back with the world as before, or
/// be finished by the next run; no request may fail, nothing may be left without an owner or be there twice.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub inputs: Inputs,

    /// Have every call fail in every way
    #[arg(long, group = "many")]
    pub sweep: bool,

    /// Have the process that drives the run crash at every call, by itself or after a fault of AWS, and at every write of its
    /// journal, and the journal fail in every way; another one then resumes, rolls back, or does both
    #[arg(long, group = "many", conflicts_with = "sweep")]
    pub crashes: bool,

    /// Try this crash alone, as in `call#12=crash-after,resume`; -v shows each run of it
    #[arg(long, value_name = "CASE", conflicts_with_all = ["sweep", "crashes"])]
    pub crash: Option<CrashCase>,

    /// Leave nothing out
    ///
    /// Without it, of the calls by which a wait looks only the first, the second and the last fail; each fourth case is run
    /// twice, to see that the same seed gives the same run; and where many cases leave the same behind, the next run is tried
    /// after one of them.
    #[arg(long, requires = "many")]
    pub exhaustive: bool,

    /// Try at most this many cases, chosen by the seed
    #[arg(long, value_name = "NUMBER", requires = "many", conflicts_with = "double")]
    pub cases: Option<NonZeroUsize>,

    /// Begin no case after this long, as in 5m
    #[arg(long, value_name = "DURATION", requires = "many", value_parser = inputs::duration)]
    pub time: Option<Duration>,

    /// Try this many pairs of faults instead of single ones, chosen by the seed
    #[arg(long, value_name = "NUMBER", requires = "many")]
    pub double: Option<NonZeroUsize>,

    /// Cases at the same time [default: one per processor]
    #[arg(long, value_name = "NUMBER", requires = "many")]
    pub jobs: Option<NonZeroUsize>,

    /// Try this case alone, as in `ec2:CreateVpc#1=throttle`; -v shows each run of it; repeatable for faults that happen together
    #[arg(long, value_name = "FAULT", conflicts_with = "sweep")]
    pub case: Vec<Fault>,

    /// The folder of the world to begin with, which stays as it is; without it, an empty one
    #[arg(long, value_name = "PATH")]
    pub world: Option<std::path::PathBuf>,

    /// Choose another course of simulated events, and another order of cases [default: 1]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

const EXAMPLES: &str = "Examples:
  The first deploy, from an empty account:
    runner test runbooks/prod-deploy.rhai --sweep --param image=ami-healthy-1

  The next one, from a world in which the first one was run:
    runner run runbooks/prod-deploy.rhai --sim --world w --param image=ami-healthy-1
    runner test runbooks/prod-deploy.rhai --sweep --world w --param image=ami-healthy-2 --time 5m";

pub fn test(args: &Args, global: &Global, console: &Console) -> Result<Exit, Failure> {
    let world = args.world.clone().unwrap_or_else(|| "fresh".into());
    let place = Place { sim: true, world: Some(world), seed: args.seed, ..Place::default() };
    let settings = inputs::settings(&args.inputs, &place, false)?;
    debug_assert_eq!(settings.target, Target::Sim);
    if let WorldChoice::Kept(dir) = &settings.world
        && !Simulator::is_in(dir)
    {
        let help =
            "make one with `runner run … --sim --world PATH`, or leave `--world` out to begin with an empty account";
        return Err(Failure::new(
            exit::USAGE,
            miette!(help = help, "there is no simulated world in `{}`", dir.display()),
        ));
    }
    check::before(&settings, global, console)?;
    let runbook = api::load(&settings.runbook, &settings.project_root)
        .map_err(|failure| Failure::new(exit::USAGE, *failure.problem))?;
    let seed = settings.seed;
    let tokio = runtime()?;
    let _tokio = tokio.enter();
    let mut baseline = Baseline::new(settings, runbook).map_err(no_baseline)?;
    let is_one = args.crash.is_some() || !args.case.is_empty();
    if is_one && global.verbosity() >= Verbosity::Verbose {
        let (global, console) = (global.clone(), console.clone());
        baseline.show(Box::new(move || run::reports(false, &global, &console)));
    }
    let baseline = Arc::new(baseline);
    if !args.sweep && !args.crashes && args.crash.is_none() && args.case.is_empty() {
        let done = console.out.paint(Ink::Green, console.out.done());
        return print(&format!(
            "{done} deploys with {} calls, and changes nothing when run again\n",
            baseline.calls.len()
        ));
    }
    let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let thorough = args.exhaustive || is_one;
    let bounds = Bounds { cases: args.cases.map(NonZeroUsize::get), time: args.time, jobs, thorough };
    let bar = sweep::bar(console.interactive && global.verbosity() >= Verbosity::Normal);
    if args.crashes || args.crash.is_some() {
        return crashes(args, &baseline, bounds, &bar, console);
    }
    let cases = match (&args.case[..], args.double) {
        ([], None) => sweep::all(&baseline.calls, seed, args.exhaustive),
        ([], Some(pairs)) => sweep::doubles(&baseline.calls, pairs.get(), seed),
        (faults, _) => vec![Case(inputs::of_aws(faults)?)],
    };
    let swept = sweep::sweep(&baseline, &cases, bounds, &bar);
    bar.finish_and_clear();
    told(&baseline, &swept, console, |case| replay(args, "--case", case))
}

/// Crashes of the driver and failures of its journal.
fn crashes(
    args: &Args,
    baseline: &Arc<Baseline>,
    bounds: Bounds,
    bar: &indicatif::ProgressBar,
    console: &Console,
) -> Result<Exit, Failure> {
    let seed = args.seed.unwrap_or(1);
    let cases = match (&args.crash, args.double) {
        (Some(case), _) => vec![case.clone()],
        (None, Some(pairs)) => crash::doubles(&baseline.calls, baseline.written(), pairs.get(), seed),
        (None, None) => crash::all(&baseline.calls, baseline.written(), seed, args.exhaustive),
    };
    let crashed = crash::sweep(baseline, &cases, bounds, bar);
    bar.finish_and_clear();
    told(baseline, &crashed, console, |case| replay(args, "--crash", case))
}

/// Says what came of a sweep.
fn told<C: Tried>(
    baseline: &Baseline,
    swept: &Swept<C>,
    console: &Console,
    replay: impl Fn(&str) -> String,
) -> Result<Exit, Failure> {
    print(&report::text(baseline, swept, &console.out, replay))?;
    match report::failures(swept) {
        0 => Ok(exit::DONE),
        failed => Err(Failure::new(exit::FAILED, miette!("{failed} of {} cases failed", swept.judged.len()))),
    }
}

/// The command that tries one case again.
fn replay(args: &Args, flag: &str, case: &str) -> String {
    let mut words = vec!["runner test".to_owned(), args.inputs.runbook.display().to_string()];
    words.extend(args.inputs.env.iter().map(|env| format!("--env {env}")));
    words.extend(args.inputs.param.iter().map(|(name, value)| format!("--param '{name}={value}'")));
    words.extend(args.inputs.params_file.iter().map(|file| format!("--params-file {}", file.display())));
    words.extend(args.inputs.config.iter().map(|file| format!("--config {}", file.display())));
    words.extend(args.inputs.policy.policy_from.iter().map(|from| format!("--policy-from {}", from.display())));
    words.extend(args.world.iter().map(|world| format!("--world {}", world.display())));
    words.extend(args.seed.map(|seed| format!("--seed {seed}")));
    words.extend(case.split(' ').map(|fault| format!("{flag} '{fault}'")));
    words.join(" ")
}

fn no_baseline(why: NoBaseline) -> Failure {
    match why {
        NoBaseline::World(error) => Failure::new(exit::USAGE, miette!("{error}")),
        NoBaseline::Fails(failure) => Failure::new(exit::FAILED, *failure.problem),
        NoBaseline::Unstable(what) => {
            let help = "a runbook that is run again has to find everything as it is to be";
            Failure::new(exit::FAILED, miette!(help = help, "a second run is not without changes: {what}"))
        }
        NoBaseline::NotTakenBack(why) => {
            Failure::new(exit::FAILED, miette!("a run that fails at its end is not taken back: {why}"))
        }
        NoBaseline::LosesRequests(count) => {
            let help = "`runner plan` shows when: traffic goes to a fleet that does not answer yet, or not any more";
            Failure::new(exit::FAILED, miette!(help = help, "{count} requests fail, without any fault"))
        }
    }
}
