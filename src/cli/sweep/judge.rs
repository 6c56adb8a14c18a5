//! One case: the runbook is run while the faults happen, and again without them. Is everything as it may be?

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, PoisonError},
};

use super::{Baseline, Case, Judged, Tried};
use crate::{
    cli::{
        exit,
        rehearse::{Rehearsal, Stage},
    },
    event::{Report, Stamped},
    sim::{Fault, FaultKind, Shape},
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

impl Tried for Case {
    type Ending = Ending;
    type Kind = FaultKind;

    const ENDINGS: [(Ending, &'static str); 6] = [
        (Ending::Deployed, "deployed"),
        (Ending::TakenBack, "taken back"),
        (Ending::Finished, "finished by the next run"),
        (Ending::Told, "told"),
        (Ending::Unused, "not used"),
        (Ending::Failed, "FAILED"),
    ];
    const HEAD: &'static str = "fault at each call";

    fn kind(&self) -> Option<FaultKind> {
        Some(self.0.first()?.kind)
    }
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

/// Worlds that were taken back, and that the next run made of what it has to.
#[derive(Default)]
pub struct Finished(Mutex<BTreeSet<Shape>>);

impl Finished {
    pub(super) fn has(&self, shape: &Shape) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(shape)
    }

    pub(super) fn add(&self, shape: Shape) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(shape);
    }
}

/// `twice`: and it is run once more, which has to be the same to the last event. `finished`: a world like one that was finished
/// by the next run already is not given to it again.
pub fn judge(baseline: &Baseline, Case(faults): &Case, twice: bool, finished: Option<&Finished>) -> Judged<Ending> {
    let stage = baseline.stage(faults.iter().cloned());
    let digest = twice.then(Digest::default);
    let run = match &digest {
        Some(digest) => baseline.watched(&stage, Box::new(digest.clone())),
        None => baseline.run(&stage),
    };
    let unused = stage.simulator.faults_unused();
    stage.simulator.ask_for([]);
    // What an alarm adds to a fleet stays.
    let grows = faults.iter().any(|fault| fault.kind == FaultKind::Alarm);
    let normal = |shape: Shape| if grows { shape.without_sizes() } else { shape };
    let deployed = normal(baseline.deployed.clone());
    let left = Baseline::settled(&stage);
    let shape = normal(left.clone());
    // Those that fail when the run is over count too.
    let traffic = stage.simulator.traffic();
    let mut judged =
        Judged { ending: Ending::Failed, faults: Vec::new(), served: traffic.served, lost: traffic.failed, runs: 1 };
    if traffic.failed > 0 {
        judged.faults.push(format!("{} requests failed", traffic.failed));
    }
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
        exit::ROLLBACK_FAILED => {
            if faults.iter().all(|fault| !fault.lasting) && faults.len() == 1 {
                judged.faults.push(format!("the rollback failed: {why}"));
            }
            Ending::Told
        }
        exit::BUG => {
            judged.faults.push(format!("a bug: {why}"));
            Ending::Failed
        }
        exit => {
            let gone = normal(baseline.empty.clone()).unlike(&shape).more;
            let beyond = shape.names_beyond(&normal(baseline.kept.clone()));
            for (what, rows) in [("there is", beyond), ("gone is", gone)] {
                if !rows.is_empty() {
                    judged.faults.push(format!("taken back (exit {}), but {what} {}", exit.code, rows.join(", ")));
                }
            }
            Ending::TakenBack
        }
    };
    // What is not taken back in whole may have more to it than can be seen.
    let finished = finished.filter(|_| judged.ending == Ending::TakenBack);
    if judged.ending != Ending::Deployed && !finished.is_some_and(|finished| finished.has(&left)) {
        finish(baseline, &stage, &mut judged, &deployed, normal);
        if let Some(finished) = finished.filter(|_| judged.faults.is_empty()) {
            finished.add(left);
        }
    }
    if let Some(digest) = digest {
        judged.runs += 1;
        if again(baseline, faults) != digest.number() {
            judged.faults.push("the same seed gave another run".to_owned());
        }
    }
    if !judged.faults.is_empty() {
        judged.ending = Ending::Failed;
    } else if unused.len() == faults.len() {
        judged.ending = Ending::Unused;
    }
    judged
}

/// The same once more, as a number.
fn again(baseline: &Baseline, faults: &[Fault]) -> u64 {
    let digest = Digest::default();
    baseline.watched(&baseline.stage(faults.iter().cloned()), Box::new(digest.clone()));
    digest.number()
}

/// The next run, without faults, has to make of it what a run without faults makes.
fn finish(
    baseline: &Baseline,
    stage: &Stage,
    judged: &mut Judged<Ending>,
    deployed: &Shape,
    normal: impl Fn(Shape) -> Shape,
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
