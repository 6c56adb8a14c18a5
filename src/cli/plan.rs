//! `runner plan`

use std::{
    fs,
    path::{Path, PathBuf},
    thread::{Builder, JoinHandle},
    time::Duration,
};

use miette::miette;
use tokio::runtime::Handle;

use super::{
    Console, Exit, Failure, Global, check,
    execute::{by_cause, runtime, tell_of_new_world},
    exit,
    inputs::{self, Inputs, Place},
    print,
    rehearse::{Rehearsal, Stage, live, rehearse},
    untrusted,
};
use crate::{
    api::{self, ScriptFailure},
    event::{Report, Traffic},
    plan::{self, Action, Aftermath, Collector, Marker, Outcome, Plan, Refusal, Requests, Scenario, Verdict},
    report::{
        Verbosity,
        plan::{Detail, Format, file_name, write},
    },
    script::{Runbook, is_stdlib},
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

/// After this long, what AWS shows of deleted things for a while is gone.
const AFTERWARDS: Duration = Duration::from_secs(2 * 3600);

pub fn plan(args: &Args, global: &Global, console: &Console) -> Result<Exit, Failure> {
    let Args { options, .. } = args;
    if let Some(ended) = untrusted::guard(options.untrusted) {
        return ended;
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
    let findings = check::of_run(&settings)?;
    if let Some(error) = findings.first_error() {
        let runbook = api::load(&settings.runbook, &settings.project_root).ok();
        let environment = environment(&settings, runbook.as_ref());
        let more = match findings.errors() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let verdict = Verdict::new(Outcome::Fails, format!("cannot be run: {}{more}", error.message));
        let verdict = verdict.ending(exit::USAGE.code, exit::USAGE.meaning);
        let plan = Plan {
            runner: env!("CARGO_PKG_VERSION").to_owned(),
            runbook: below(&settings.project_root, &settings.runbook),
            target: target(options.offline, &settings),
            environment,
            verdict,
            failure: Some(error),
            ..Plan::default()
        };
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
    let Planned { plan, failure, exit } = make(&settings, &runbook, &stage);
    let plan = marked(plan, &settings);
    show(&plan, options, global, console)?;
    match failure {
        Some(failure) => Err(Failure::new(exit, *failure.problem)),
        None if options.detailed_exitcode && exit == exit::DONE && plan.changes_anything() => Ok(exit::CHANGES),
        None => Ok(exit),
    }
}

/// The environment, as far as it is known before the runbook names it.
fn environment(settings: &RunSettings, runbook: Option<&Runbook>) -> Option<String> {
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

/// A plan, and how the verb is to end.
struct Planned {
    plan: Plan,
    failure: Option<ScriptFailure>,
    exit: Exit,
}

fn make(settings: &RunSettings, runbook: &Runbook, stage: &Stage) -> Planned {
    let (family, after) = stage.simulator.ids();
    let collector = Collector::default();
    let aftermath = Aftermath::default();
    let reports: Vec<Box<dyn Report>> = vec![Box::new(aftermath.clone())];
    let beside = never_healthy_beside(settings, runbook, stage);
    let rehearsal = rehearse(settings, runbook, stage, Some(&collector), reports);
    let (_, last) = stage.simulator.ids();
    let mut plan = collector.plan();
    plan.environment = plan.environment.or_else(|| environment(settings, Some(runbook)));
    if stage.simulator.assumes_images() {
        let account = if stage.simulator.is_fork() { "as it was in the file" } else { "empty" };
        let message =
            format!("made without asking AWS: the account is taken to be {account}, and images to be there and well");
        plan.warnings.push(message);
    }
    // A run would get an answer: how it ends is not known.
    let unanswered = rehearsal.failure.as_ref().is_some_and(|failure| failure.kind.is_unanswered());
    let exit = match &rehearsal.failure {
        None => exit::DONE,
        Some(failure) => by_cause(&failure.kind).1,
    };
    let Traffic { served, failed: lost } = rehearsal.traffic;
    plan.requests = Requests { served, lost };
    plan = match &rehearsal.failure {
        Some(failure) => failed(plan, failure, (!unanswered).then_some(rehearsal.exit)),
        None => Plan { verdict: plan.judge(), ..plan },
    };
    let exit = if plan.verdict.outcome == Outcome::Refused { exit::REFUSED } else { exit };
    // A run stops at the first denial, whatever comes after it in a plan.
    if let Some(ends) = collector.refusal().map(refused).or((!unanswered).then_some(rehearsal.exit)) {
        plan.verdict = plan.verdict.ending(ends.code, ends.meaning);
    }
    if rehearsal.failure.is_some() && plan.changes_anything() && !unanswered {
        plan.on_failure.push(scenario("this run".to_owned(), &rehearsal, stage, &aftermath));
    } else if plan.verdict.outcome == Outcome::Changes && launches(&plan) {
        let scenario = beside.and_then(|thread| thread.join().ok().flatten());
        let scenario = scenario.or_else(|| Some(never_healthy(settings, runbook, &unhealthy(stage)?)));
        let fleet = plan.new_fleet().unwrap_or("the new fleet");
        plan.on_failure
            .extend(scenario.map(|scenario| Scenario { name: format!("{fleet} {}", scenario.name), ..scenario }));
    }
    let other_forms = stage.simulator.other_forms(after);
    let ids = plan::NewIds { family, after, last, other_forms };
    let mut names = plan::Names::new(&ids);
    let plan = names.plan(plan);
    // The error is told beside the plan, about the same things.
    let failure = rehearsal.failure.map(|mut failure| {
        failure.problem = Box::new(failure.problem.in_words(|text| names.text(text)));
        failure
    });
    Planned { plan, failure, exit }
}

/// What a run exits with that policy stops.
fn refused(refusal: Refusal) -> Exit {
    match refusal {
        Refusal::BeforeAnyChange => exit::REFUSED,
        Refusal::AfterChanges => exit::ROLLED_BACK,
        Refusal::AfterPointOfNoReturn => exit::UNFINISHED,
    }
}

/// The plan of a runbook that does not reach its end. A run would end with `exit`; `None`: it may go further.
fn failed(plan: Plan, failure: &ScriptFailure, exit: Option<Exit>) -> Plan {
    let trace = failure.trace();
    // Who reads it looks for a file of the project: a module of the standard library is none.
    let places = trace.place.iter().chain(trace.callers.iter().map(|caller| &caller.place));
    let place = places.clone().find(|place| !is_stdlib(&place.file)).or(trace.place.as_ref());
    // Branches that fail together fail in several steps: the one that ended the run has its error.
    let failed = || plan.steps().filter(|step| step.action == Action::Fail);
    let step = failed().find(|step| step.error.as_deref().is_some_and(|error| error.contains(&trace.message)));
    let step = step.or_else(|| failed().next());
    let step = step.map(|step| format!("`{} {}`", step.operation, step.subject));
    let at = step.or_else(|| place.map(ToString::to_string)).map(|at| format!(" at {at}")).unwrap_or_default();
    let fails = if exit.is_some() { "would fail" } else { "cannot be planned any further" };
    let text = format!("{fails}{at}: {}", trace.message);
    Plan {
        verdict: Verdict::new(if exit == Some(exit::REFUSED) { Outcome::Refused } else { Outcome::Fails }, text),
        failure: Some(plan::Failure {
            message: trace.message.clone(),
            help: trace.help.clone(),
            file: place.map(|place| place.file.to_string()),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            exit_code: exit.map_or(0, |exit| exit.code),
        }),
        ..plan
    }
}

/// Whether a new fleet is launched.
fn launches(plan: &Plan) -> bool {
    plan.steps().flat_map(|step| &step.calls).any(|call| call.call == "autoscaling:CreateAutoScalingGroup")
}

/// The same AWS before any change, but nothing that is launched in it passes its health checks.
fn unhealthy(stage: &Stage) -> Option<Stage> {
    let simulator = stage.simulator.again(|settings| settings.never_healthy = true)?;
    Some(Stage { simulator: simulator.into(), ..stage.clone() })
}

/// What happens if the new fleet never becomes healthy: the same once more on `stage`, which is such an AWS.
fn never_healthy(settings: &RunSettings, runbook: &Runbook, stage: &Stage) -> Scenario {
    let aftermath = Aftermath::default();
    let reports: Vec<Box<dyn Report>> = vec![Box::new(aftermath.clone())];
    let rehearsal = rehearse(settings, runbook, stage, None, reports);
    scenario("never becomes healthy".to_owned(), &rehearsal, stage, &aftermath)
}

/// The same, on a thread of its own while the plan is made. Whose plan comes to launch nothing need not wait for it. A fork
/// of an account is left for later, when the plan has read what both look at.
fn never_healthy_beside(
    settings: &RunSettings,
    runbook: &Runbook,
    stage: &Stage,
) -> Option<JoinHandle<Option<Scenario>>> {
    if stage.live.is_some() {
        return None;
    }
    let (settings, runbook, stage, tokio) = (settings.clone(), runbook.clone(), unhealthy(stage)?, Handle::current());
    let work = move || {
        let _tokio = tokio.enter();
        api::may_launch(&runbook).then(|| never_healthy(&settings, &runbook, &stage))
    };
    Builder::new().name("scenario".to_owned()).spawn(work).ok()
}

/// What a rehearsal came to that failed.
fn scenario(name: String, rehearsal: &Rehearsal, stage: &Stage, aftermath: &Aftermath) -> Scenario {
    let Rehearsal { failure, outcome, exit, traffic, seconds, secrets: _ } = rehearsal;
    // What AWS does by itself afterwards: volumes, interfaces and gateways go.
    stage.simulator.advance(stage.simulator.clock() + AFTERWARDS);
    let undone = aftermath.undone();
    Scenario {
        name,
        outcome: plan::outcome_words(*outcome).to_owned(),
        exit_code: exit.code,
        seconds: *seconds,
        error: failure.as_ref().map(|failure| failure.trace().message.clone()),
        final_state: plan::final_state(&stage.simulator.differences()),
        undone: undone.done,
        kept: undone.kept,
        left: undone.left,
        requests_served: traffic.served,
        requests_lost: traffic.failed,
    }
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
