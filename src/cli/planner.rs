//! From rehearsals to the plan: how it goes, how it ends, and what would happen if it went wrong.

use std::{
    thread::{Builder, JoinHandle},
    time::Duration,
};

use tokio::runtime::Handle;

use super::{
    Exit,
    drive::{by_cause, unused},
    exit,
    plan::environment,
    rehearse::{Purpose, Rehearsal, Stage, rehearse},
};
use crate::{
    api::{self, ScriptFailure},
    event::{Report, Traffic},
    plan::{self, Action, Aftermath, Collector, Outcome, Plan, Refusal, Requests, Scenario, Verdict},
    script::{Runbook, is_stdlib},
    settings::RunSettings,
};

/// After this long, what AWS shows of deleted things for a while is gone.
const AFTERWARDS: Duration = Duration::from_secs(2 * 3600);

/// A plan, and how the verb is to end.
pub struct Planned {
    pub plan: Plan,
    pub failure: Option<ScriptFailure>,
    pub exit: Exit,
}

/// Rehearses the runbook on `stage`, and what could go wrong beside it.
pub fn make(settings: &RunSettings, runbook: &Runbook, stage: &Stage) -> Planned {
    let (family, after) = stage.simulator.ids();
    let collector = Collector::default();
    let aftermath = Aftermath::default();
    let reports: Vec<Box<dyn Report>> = vec![Box::new(aftermath.clone())];
    let beside = never_healthy_beside(settings, runbook, stage);
    let rehearsal = rehearse(settings, runbook, stage, Purpose::Plan(Some(&collector)), reports);
    let (_, last) = stage.simulator.ids();
    let mut plan = collector.plan();
    plan.environment = plan.environment.or_else(|| environment(settings, Some(runbook)));
    if stage.simulator.assumes_images() {
        let account = if stage.simulator.is_fork() { "as it was in the file" } else { "empty" };
        let message =
            format!("made without asking AWS: the account is taken to be {account}, and images to be there and well");
        plan.warnings.push(message);
    }
    plan.warnings.extend(stage.simulator.faults_unused().iter().map(unused));
    // A run would get an answer: how it ends is not known.
    let unanswered = rehearsal.failure.as_ref().is_some_and(|failure| failure.kind.is_unanswered());
    let exit = match &rehearsal.failure {
        None => exit::DONE,
        Some(failure) => by_cause(&failure.kind).1,
    };
    let Traffic { served, failed: lost, died } = rehearsal.traffic;
    plan.requests = Requests { served, lost: lost + died };
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
        // What went wrong on the other thread goes wrong here again, where it is told.
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
    // One whose failure was caught is not the one that ended it.
    let step = failed().find(|step| step.error.as_deref().is_some_and(|error| error.contains(&trace.message)));
    let step = step.map(|step| format!("`{} {}`", step.operation, step.subject));
    let at = step.or_else(|| place.map(ToString::to_string)).map(|at| format!(" at {at}")).unwrap_or_default();
    let fails = match exit {
        None => "cannot be planned any further",
        Some(exit::REFUSED) => "refused by policy",
        Some(_) => "would fail",
    };
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
    let rehearsal = rehearse(settings, runbook, stage, Purpose::Plan(None), reports);
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
    let Rehearsal { failure, outcome, exit, traffic, seconds, secrets: _, written: _ } = rehearsal;
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
        requests_lost: traffic.failed + traffic.died,
    }
}
