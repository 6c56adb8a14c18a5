//! `runner plan`

use std::{
    fs,
    path::{Path, PathBuf},
};

use miette::miette;

use super::{
    Console, Exit, Failure, Global, check,
    execute::{runtime, tell_of_new_world},
    exit,
    inputs::{self, Faults, Inputs, Place},
    planner::{Planned, make},
    print,
    rehearse::{Stage, live},
    untrusted,
};
use crate::{
    api,
    plan::{self, Marker, Outcome, Plan, Verdict},
    report::{
        Verbosity,
        plan::{Detail, Format, file_name, write},
    },
    script::Runbook,
    settings::{RunSettings, Target, WorldChoice},
    sim::{Simulator, WorldError},
};

/// Show what a run would do, and change nothing
///
/// Runs the whole runbook to its end, waits and health and traffic included: on a fork of the live account, whose rows
/// are read as far as the runbook looks. Read-only credentials are enough; no lock is taken.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub inputs: Inputs,

    #[command(flatten)]
    pub place: Place,

    #[command(flatten)]
    pub faults: Faults,

    #[command(flatten)]
    pub options: Options,
}

/// How a plan is made and shown. `run --dry-run` takes the same.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// How to show it: text, markdown, json or html; repeatable [default: text]
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub format: Vec<Format>,

    /// Write each format to a file in this folder, `plan.md` and its like; text still goes to stdout
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// How much to show: summary, changes or full [default: changes]
    #[arg(long, value_name = "LEVEL", hide_possible_values = true)]
    pub detail: Option<Detail>,

    /// Exit with 2 when there are changes
    #[arg(long)]
    pub detailed_exitcode: bool,

    /// Make the plan in a child process with limits on memory and time: for runbooks of people you do not know
    #[arg(long)]
    pub untrusted: bool,

    /// Ask nobody: begin with an empty account, or with the one in the file given with --world
    #[arg(long, conflicts_with_all = ["sim", "target", "endpoint_url"], help_heading = "Target")]
    pub offline: bool,
}

const EXAMPLES: &str = "Examples:
  What would this deploy do to production?
    runner plan runbooks/prod-deploy.rhai --param image=ami-0123456789abcdef0

  Without credentials, beginning with an empty account:
    runner plan runbooks/prod-deploy.rhai --offline --param image=ami-0123456789abcdef0

  For a pull request, all formats into a folder:
    runner plan runbooks/prod-deploy.rhai --format markdown --format json --format html --out plan";

pub fn plan(args: &Args, global: &Global, console: &Console) -> Result<Exit, Failure> {
    let Args { options, .. } = args;
    if let Some(ended) = untrusted::guard(options.untrusted) {
        return ended;
    }
    if options.out.is_none() && options.format.len() > 1 {
        let help = "add `--out DIR`, or ask for one format";
        return Err(Failure::new(exit::USAGE, miette!(help = help, "several formats need a folder to be written to")));
    }
    let mut place = args.place.clone();
    // Offline, `--world` is the file of a snapshot.
    let snapshot = options.offline.then(|| place.world.take()).flatten();
    if options.offline {
        place.target = Some(Target::Aws);
    }
    if let Some(fresh) = snapshot.as_ref().filter(|file| file.as_os_str() == "fresh" && !file.exists()) {
        let help = "leave --world out: --offline begins with an empty account by itself";
        let words = "with --offline, --world is a file that `runner snapshot` wrote, and there is no file";
        return Err(Failure::new(exit::USAGE, miette!(help = help, "{words} `{}`", fresh.display())));
    }
    let settings = inputs::settings(&args.inputs, &place, false)?;
    let faults = inputs::of_aws(&args.faults.sim_fault)?;
    let findings = check::of_run(&settings)?;
    if let Some(error) = findings.first_error() {
        let plan = cannot_be_run(&settings, error, findings.errors() - 1, target(options.offline, &settings));
        show(&marked(plan, &settings), options, global, console)?;
        return Err(findings.refusal());
    }
    check::warn(&findings, global, console);
    let runbook = api::load(&settings.runbook, &settings.project_root)
        .map_err(|failure| Failure::new(exit::USAGE, *failure.problem))?;
    if !options.offline {
        tell_of_new_world(&place, &settings, "the plan begins with an empty one", global, console);
    }
    let tokio = runtime()?;
    let _tokio = tokio.enter();
    let stage = match (options.offline, settings.target) {
        (true, _) => offline(snapshot, settings.seed).map_err(unusable)?,
        (false, Target::Sim) => simulated(&settings).map_err(unusable)?,
        (false, Target::Aws) => live(settings.endpoint_url.clone(), settings.seed),
    };
    stage.simulator.ask_for(faults);
    let Planned { plan, failure, exit } = make(&settings, &runbook, &stage);
    let plan = marked(plan, &settings);
    show(&plan, options, global, console)?;
    match failure {
        Some(failure) => Err(Failure::new(exit, *failure.problem)),
        None if options.detailed_exitcode && exit == exit::DONE && plan.changes_anything() => Ok(exit::CHANGES),
        None => Ok(exit),
    }
}

/// The plan of a runbook in which `check` finds errors: the first, and how many more.
fn cannot_be_run(settings: &RunSettings, error: plan::Failure, more: usize, target: String) -> Plan {
    let runbook = api::load(&settings.runbook, &settings.project_root).ok();
    let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
    let verdict = Verdict::new(Outcome::Fails, format!("cannot be run: {}{more}", error.message));
    Plan {
        runner: env!("CARGO_PKG_VERSION").to_owned(),
        runbook: below(&settings.project_root, &settings.runbook),
        target,
        environment: environment(settings, runbook.as_ref()),
        verdict: verdict.ending(exit::USAGE.code, exit::USAGE.meaning),
        failure: Some(error),
        ..Plan::default()
    }
}

/// The environment, as far as it is known before the runbook names it.
pub(super) fn environment(settings: &RunSettings, runbook: Option<&Runbook>) -> Option<String> {
    settings.environment.clone().or_else(|| runbook?.declared_environment())
}

/// The plan with its place in the repository, which is the folder around it that git knows.
fn marked(plan: Plan, settings: &RunSettings) -> Plan {
    let root = &settings.project_root;
    let top = root.ancestors().find(|dir| dir.join(".git").exists()).unwrap_or(root);
    let marker = Marker { environment: settings.environment.clone(), runbook: below(top, &settings.runbook) };
    Plan { project: below(top, root), marker, ..plan }
}

/// The path below a folder, or as it is if it is not there.
fn below(folder: &Path, path: &Path) -> String {
    let whole = path.canonicalize();
    let whole = whole.as_deref().unwrap_or(path);
    whole.strip_prefix(folder).unwrap_or(path).display().to_string()
}

/// Whose state a plan is made from, as events name it.
fn target(offline: bool, settings: &RunSettings) -> String {
    match (offline, settings.target) {
        (true, _) => "offline".to_owned(),
        (false, Target::Sim) => "sim".to_owned(),
        (false, Target::Aws) => settings.endpoint_url.clone().unwrap_or_else(|| "aws".to_owned()),
    }
}

fn unusable(error: WorldError) -> Failure {
    Failure::new(exit::USAGE, miette!("{error}"))
}

/// An empty account, or the one of a snapshot.
fn offline(snapshot: Option<PathBuf>, seed: u64) -> Result<Stage, WorldError> {
    let simulator = match snapshot {
        Some(file) => Simulator::from_file(&file)?,
        None => Simulator::offline(seed),
    };
    Ok(Stage { name: "offline".to_owned(), simulator: simulator.into(), live: None })
}

/// A copy of the kept simulated world.
fn simulated(settings: &RunSettings) -> Result<Stage, WorldError> {
    let simulator = match &settings.world {
        WorldChoice::Kept(dir) => Simulator::copy(dir, settings.seed)?,
        WorldChoice::Fresh => Simulator::copy(std::path::Path::new(""), settings.seed)?,
    };
    Ok(Stage { name: "sim".to_owned(), simulator: simulator.into(), live: None })
}

/// Writes the plan to stdout, and to the files that were asked for. With `-q` the summary, with `-qq` only what was asked for.
fn show(plan: &Plan, output: &Options, global: &Global, console: &Console) -> Result<(), Failure> {
    let verbosity = global.verbosity();
    let brief = if verbosity < Verbosity::Normal { Detail::Summary } else { Detail::default() };
    let detail = output.detail.unwrap_or(brief);
    let text: &[Format] = if verbosity == Verbosity::Errors { &[] } else { &[Format::Text] };
    let Some(dir) = &output.out else {
        let formats = if output.format.is_empty() { text } else { &output.format };
        for format in formats {
            print(&write(plan, *format, detail, &console.out))?;
        }
        return Ok(());
    };
    let unwritable =
        |error: std::io::Error| Failure::new(exit::FAILED, miette!("cannot write to `{}`: {error}", dir.display()));
    fs::create_dir_all(dir).map_err(unwritable)?;
    for format in &output.format {
        let plain = crate::report::Look { colour: false, ..console.out };
        fs::write(dir.join(file_name(*format)), write(plan, *format, detail, &plain)).map_err(unwritable)?;
    }
    for format in text {
        print(&write(plan, *format, detail, &console.out))?;
    }
    Ok(())
}
