//! One case: the runbook is run while the faults happen, and again without them. Is everything as it may be?

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Baseline, Case};
use crate::{
    cli::{exit, rehearse::Rehearsal},
    event::{Report, Stamped},
    sim::FaultKind,
};

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// As without the fault.
    Deployed,
    /// The world is as it was before: nothing was changed, or all of it taken back but for what the runbook keeps.
    TakenBack,
    /// Deployed, and the next run finished the clean-up.
    Finished,
    /// The fault lasted into the rollback: what was left was said, and the next run finished.
    Told,
    /// The fault did not happen.
    Unused,
    /// Something is wrong.
    Failed,
}

impl Ending {
    pub const ALL: [Ending; 6] =
        [Ending::Deployed, Ending::TakenBack, Ending::Finished, Ending::Told, Ending::Unused, Ending::Failed];
}

/// What is found of a case.
#[derive(Clone, Debug)]
pub struct Judged {
    pub ending: Ending,
    /// What is wrong.
    pub faults: Vec<String>,
    /// Requests answered, and lost, in all runs of the case.
    pub served: u64,
    pub lost: u64,
    /// Runs of the runbook.
    pub runs: u32,
}

/// Makes one number of all that happened.
#[derive(Clone, Default)]
struct Digest(Arc<Mutex<DefaultHasher>>);

impl Report for Digest {
    fn event(&mut self, stamped: &Stamped) {
        let mut hasher = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{stamped:?}").hash(&mut *hasher);
    }
}

impl Digest {
    fn number(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).finish()
    }
}

pub fn judge(baseline: &Baseline, Case(faults): &Case) -> Judged {
    let stage = baseline.stage(faults.iter().cloned());
    let digest = Digest::default();
    let run = baseline.watched(&stage, Box::new(digest.clone()));
    let unused = stage.simulator.faults_unused();
    stage.simulator.ask_for([]);
    let mut judged = Judged {
        ending: Ending::Failed,
        faults: Vec::new(),
        served: run.traffic.served,
        lost: run.traffic.failed,
        runs: 1,
    };
    if run.traffic.failed > 0 {
        judged.faults.push(format!("{} requests failed", run.traffic.failed));
    }

    // What an alarm adds to a fleet stays.
    let grows = faults.iter().any(|fault| fault.kind == FaultKind::Alarm);
    let normal = |shape: crate::sim::Shape| if grows { shape.without_sizes() } else { shape };
    let deployed = normal(baseline.deployed.clone());
    let shape = normal(Baseline::settled(&stage));
    let lasts = faults.iter().any(|fault| fault.lasting);
    let why = why(&run);
    judged.ending = match run.exit {
        exit::DONE => {
            let unlike = shape.unlike(&deployed);
            if !unlike.is_nothing() {
                judged.faults.push(format!("deployed, but unlike without the fault: {unlike}"));
            }
            Ending::Deployed
        }
        exit::UNFINISHED => Ending::Finished,
        exit::ROLLBACK_FAILED if lasts || faults.len() > 1 => Ending::Told,
        exit::ROLLBACK_FAILED => {
            judged.faults.push(format!("the rollback failed: {why}"));
            Ending::Told
        }
        exit::BUG => {
            judged.faults.push(format!("a bug: {why}"));
            Ending::Failed
        }
        exit => {
            let gone = normal(baseline.empty.clone()).unlike(&shape).more;
            let beyond = shape.names_beyond(&normal(baseline.kept.clone()));
            if !beyond.is_empty() {
                judged.faults.push(format!("taken back (exit {}), but there is {}", exit.code, beyond.join(", ")));
            }
            if !gone.is_empty() {
                judged.faults.push(format!("taken back (exit {}), but gone is {}", exit.code, gone.join(", ")));
            }
            Ending::TakenBack
        }
    };
    if judged.ending != Ending::Deployed {
        finish(baseline, &stage, &mut judged, &deployed, normal);
    }

    let again = baseline.stage(faults.iter().cloned());
    let second = Digest::default();
    judged.runs += 1;
    baseline.watched(&again, Box::new(second.clone()));
    if second.number() != digest.number() {
        judged.faults.push("the same seed gave another run".to_owned());
    }
    if !judged.faults.is_empty() {
        judged.ending = Ending::Failed;
    } else if unused.len() == faults.len() {
        judged.ending = Ending::Unused;
    }
    judged
}

/// The next run, without faults, has to make of it what a run without faults makes.
fn finish(
    baseline: &Baseline,
    stage: &crate::cli::rehearse::Stage,
    judged: &mut Judged,
    deployed: &crate::sim::Shape,
    normal: impl Fn(crate::sim::Shape) -> crate::sim::Shape,
) {
    let next = baseline.run(stage);
    judged.runs += 1;
    judged.served += next.traffic.served;
    judged.lost += next.traffic.failed;
    if next.traffic.failed > 0 {
        judged.faults.push(format!("{} requests failed in the next run", next.traffic.failed));
    }
    // What is left half-way between two colours is for a person: a run that changes nothing and says so is as good.
    if judged.ending == Ending::Told && next.exit == exit::USAGE {
        return;
    }
    if !next.deployed() {
        judged.faults.push(format!("the next run ends with {}: {}", next.exit.code, why(&next)));
        return;
    }
    let unlike = normal(Baseline::settled(stage)).unlike(deployed);
    if !unlike.is_nothing() {
        judged.faults.push(format!("after the next run, unlike without the fault: {unlike}"));
    }
}

fn why(run: &Rehearsal) -> String {
    let message = run.failure.as_ref().map(|failure| failure.trace().message.clone());
    message.unwrap_or_default()
}
