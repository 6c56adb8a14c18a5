//! The process that drives a run ends, or its journal fails, at every call and at every object of the journal; another one goes on
//! with the run, or takes it back, or does one after the other. Is everything as it may be?

use std::{fmt, str::FromStr, sync::Arc, thread, time::Duration};

use indicatif::ProgressBar;
use tokio::runtime::Handle;

use super::{Baseline, Bounds, Judged, Swept, Tried, cases::telling, each, judge::Finished};
use crate::{
    cli::{
        exit,
        rehearse::{Rehearsal, STORED, Stage, Verb},
    },
    run::{History, HistoryError, Past, Stand, Store, Trouble, Troubles},
    sim::{Called, Fault, FaultKind, Shape},
};

/// How much later another process takes the run up.
const LATER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10 * 60)];

/// Where the driver of a run has trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// It ends at that call, before it was carried out or after.
    Call { nth: u32, applied: bool },
    /// AWS has a fault at that call, and the driver ends before its next one.
    Fault { nth: u32, kind: FaultKind },
    /// It has trouble with that object of its journal.
    Write { nth: u64, trouble: Trouble },
}

/// What the next driver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recovery {
    Resume,
    Rollback,
    ResumeThenRollback,
}

/// The driver of the run has trouble at the first point, the next one at the second; the last one has none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrashCase {
    pub points: Vec<Point>,
    pub recovery: Recovery,
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CrashEnding {
    /// As without trouble.
    Deployed,
    /// The world is as before, but for what the runbook keeps.
    TakenBack,
    /// It had passed its point of no return: the next run finished it.
    Finished,
    /// There was nothing on record, and nothing had been done.
    Nothing,
    /// The journal is torn: it was refused by name.
    Refused,
    Failed,
}

impl Tried for CrashCase {
    type Ending = CrashEnding;
    type Kind = String;

    const ENDINGS: [(CrashEnding, &'static str); 6] = [
        (CrashEnding::Deployed, "deployed"),
        (CrashEnding::TakenBack, "taken back"),
        (CrashEnding::Finished, "finished by the next run"),
        (CrashEnding::Nothing, "nothing done"),
        (CrashEnding::Refused, "torn: refused"),
        (CrashEnding::Failed, "FAILED"),
    ];
    const HEAD: &'static str = "trouble of the driver";

    fn kind(&self) -> Option<String> {
        Some(self.points.first()?.kind())
    }
}

/// Each call and each object times each trouble times each recovery, in an order that the seed decides. AWS's faults at those of
/// the looks of a wait that tell something, unless `every_look` is wanted.
pub fn all(calls: &[Called], written: u64, seed: u64, every_look: bool) -> Vec<CrashCase> {
    let points = points(calls, written, every_look);
    let mut cases = Vec::new();
    for (recovery, _) in Recovery::ALL {
        cases.extend(points.iter().map(|point| CrashCase { points: vec![*point], recovery }));
    }
    fastrand::Rng::with_seed(seed).shuffle(&mut cases);
    cases
}

/// Trouble in the run, and once more in what follows it.
pub fn doubles(calls: &[Called], written: u64, count: usize, seed: u64) -> Vec<CrashCase> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let points = points(calls, written, true);
    let one = |rng: &mut fastrand::Rng| points[rng.usize(..points.len())];
    let case = |_| CrashCase {
        points: vec![one(&mut rng), one(&mut rng)],
        recovery: Recovery::ALL[rng.usize(..Recovery::ALL.len())].0,
    };
    (0..count).map(case).collect()
}

fn points(calls: &[Called], written: u64, every_look: bool) -> Vec<Point> {
    let mut points = Vec::new();
    let tells = if every_look { vec![true; calls.len()] } else { telling(calls) };
    for ((call, tells), nth) in calls.iter().zip(tells).zip(1..) {
        if tells {
            points.extend(call.kinds.iter().map(|kind| Point::Fault { nth, kind: *kind }));
        }
        points.push(Point::Call { nth, applied: false });
        if call.changes() {
            points.push(Point::Call { nth, applied: true });
        }
    }
    for nth in 1..=written {
        points.extend(Trouble::ALL.map(|trouble| Point::Write { nth, trouble }));
    }
    points
}

/// Tries the cases in their order, as many as the bounds allow.
pub fn sweep(baseline: &Arc<Baseline>, cases: &[CrashCase], bounds: Bounds, bar: &ProgressBar) -> Swept<CrashCase> {
    let finished = Finished::default();
    each(cases, bounds, bar, |_, case| judge(baseline, case, (!bounds.thorough).then_some(&finished)))
}

/// Tries one case.
fn judge(baseline: &Arc<Baseline>, case: &CrashCase, finished: Option<&Finished>) -> Judged<CrashEnding> {
    let mut points = case.points.iter().copied();
    let mut trial = Trial {
        baseline,
        stage: baseline.stage([]),
        store: Store::in_memory(),
        later: LATER[case.points.iter().map(|point| point.nth()).sum::<usize>() % LATER.len()],
        grows: case.points.iter().any(|point| matches!(point, Point::Fault { kind: FaultKind::Alarm, .. })),
        judged: Judged { ending: CrashEnding::Failed, faults: Vec::new(), served: 0, lost: 0, runs: 0 },
    };
    trial.first(points.next());
    for verb in case.recovery.verbs() {
        if let Some(point) = points.next() {
            trial.next(*verb, Some(point));
        }
        trial.next(*verb, None);
    }
    // An undo that AWS refused once is told (exit code 11), and tried again when somebody asks for it.
    if case.points.iter().skip(1).any(|point| matches!(point, Point::Fault { .. })) {
        trial.ask_again();
    }
    trial.end(finished)
}

/// A case under way.
struct Trial<'a> {
    baseline: &'a Arc<Baseline>,
    stage: Stage,
    store: Store,
    later: Duration,
    /// An alarm adds to a fleet meanwhile.
    grows: bool,
    judged: Judged<CrashEnding>,
}

impl Trial<'_> {
    fn first(&mut self, point: Option<Point>) {
        let store = self.troubled(point);
        let run = self.baseline.journaled(&self.stage, &store);
        self.count(&run, false);
        self.has_sent_nothing(point);
    }

    /// A driver that slept, and was overtaken meanwhile, may read, and nothing else.
    fn has_sent_nothing(&mut self, point: Option<Point>) {
        if let Some(Point::Write { trouble: Trouble::Overtaken, .. }) = point
            && let Some(sent) = self.stage.simulator.calls().iter().find(|call| call.changes())
        {
            let fault = format!("the driver that slept has sent {}:{}", sent.service, sent.action);
            self.judged.faults.push(fault);
        }
    }

    /// What is on record; `None` if nothing is, or if it cannot be read.
    fn past(&self) -> Result<Option<Past>, HistoryError> {
        match History::read(&self.store, STORED) {
            Ok(history) => Ok(Past::of(&history.entries)),
            Err(HistoryError::Absent(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The next driver of the run, if there is something for it to do.
    fn next(&mut self, verb: Verb, point: Option<Point>) {
        let Ok(Some(past)) = self.past() else { return };
        let is_due = match (verb, &past.stand) {
            (Verb::Resume, Stand::Finished { .. }) => false,
            (Verb::Resume, _) => true,
            // As the command line has it, but for a rollback that has failed: that is not to happen here.
            (Verb::Rollback, Stand::Finished { exit_code }) => past.committed().is_none() && *exit_code == 0,
            (Verb::Rollback, _) => past.committed().is_none(),
        };
        if is_due {
            self.take_up(verb, point);
        }
    }

    /// A rollback that has said what is left is asked for once more.
    fn ask_again(&mut self) {
        let Ok(Some(past)) = self.past() else { return };
        if past.stand == (Stand::Finished { exit_code: exit::ROLLBACK_FAILED.code }) {
            self.take_up(Verb::Rollback, None);
        }
    }

    fn take_up(&mut self, verb: Verb, point: Option<Point>) {
        let survivor = self.stage.simulator.go_on();
        survivor.advance(survivor.clock() + self.later);
        self.stage.simulator = Arc::new(survivor);
        let store = self.troubled(point);
        match self.baseline.again(&self.stage, &store, verb) {
            Ok(run) => {
                self.count(&run, verb == Verb::Rollback);
                self.has_sent_nothing(point);
            }
            // It ended before it had taken the run up.
            Err(_) if point.is_some() => {}
            Err(error) => self.judged.faults.push(format!("the run was not taken up: {error}")),
        }
    }

    fn troubled(&self, point: Option<Point>) -> Store {
        let at = match point {
            Some(Point::Write { nth, trouble }) => Some((nth, trouble)),
            Some(Point::Call { .. } | Point::Fault { .. }) | None => None,
        };
        if let Some(point) = point {
            self.stage.simulator.ask_for(point.faults());
        }
        let (here, there) = (Arc::clone(&self.stage.simulator), Arc::clone(&self.stage.simulator));
        let (stage, store, baseline) = (self.stage.clone(), self.store.clone(), Arc::clone(self.baseline));
        // In the same world, which lives through what the other process does while this one sleeps.
        let tokio = Handle::current();
        let overtake = move || {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let _tokio = tokio.enter();
                    // How that went is on record.
                    let _ = baseline.again(&stage, &store, Verb::Resume);
                });
            });
            // Whatever is sent from now on, is sent by the one that slept.
            stage.simulator.note_calls();
        };
        self.store.troubled(Troubles::new(at, move || here.crash(), move || there.has_crashed(), overtake))
    }

    fn count(&mut self, run: &Rehearsal, goes_back: bool) {
        self.judged.runs += 1;
        self.judged.served += run.traffic.served;
        // A service that was not there before is not there again: its users notice.
        if run.traffic.failed > 0 && !(goes_back && self.baseline.is_first()) {
            self.judged.lost += run.traffic.failed;
            self.judged.faults.push(format!(
                "{} requests failed in run {}, exit {}",
                run.traffic.failed, self.judged.runs, run.exit.code
            ));
        }
        if run.exit == exit::BUG {
            let why = run.failure.as_ref().map(|failure| failure.trace().message.clone()).unwrap_or_default();
            self.judged.faults.push(format!("a bug: {why}"));
        }
    }

    fn settled(&self) -> Shape {
        self.normal(&Baseline::settled(&self.stage))
    }

    fn deployed(&self) -> Shape {
        self.normal(&self.baseline.deployed)
    }

    /// What an alarm adds to a fleet stays.
    fn normal(&self, shape: &Shape) -> Shape {
        if self.grows { shape.without_sizes() } else { shape.clone() }
    }

    /// Looks at what there is in the end.
    fn end(mut self, finished: Option<&Finished>) -> Judged<CrashEnding> {
        let survivor = self.stage.simulator.go_on();
        self.stage.simulator = Arc::new(survivor);
        let left = self.settled();
        self.judged.ending = match self.past() {
            Err(HistoryError::Torn { .. }) => CrashEnding::Refused,
            Err(error) => {
                self.judged.faults.push(format!("the journal cannot be read: {error}"));
                CrashEnding::Failed
            }
            Ok(None) => CrashEnding::Nothing,
            Ok(Some(past)) => match past.stand {
                Stand::Finished { exit_code: 0 } => CrashEnding::Deployed,
                // It failed before its first change.
                Stand::Finished { .. } if past.mutations() == 0 => CrashEnding::Nothing,
                Stand::Finished { exit_code } if exit_code == exit::ROLLED_BACK.code => CrashEnding::TakenBack,
                _ if past.committed().is_some() => CrashEnding::Finished,
                stand => {
                    self.judged.faults.push(format!("it has not come to an end: {stand:?}"));
                    CrashEnding::Failed
                }
            },
        };
        match self.judged.ending {
            CrashEnding::Deployed => {
                let unlike = left.unlike(&self.deployed());
                if !unlike.is_nothing() {
                    self.judged.faults.push(format!("deployed, but unlike without trouble: {unlike}"));
                }
            }
            CrashEnding::TakenBack | CrashEnding::Nothing => {
                let gone = self.normal(&self.baseline.empty).unlike(&left).more;
                let beyond = left.names_beyond(&self.normal(&self.baseline.kept));
                for (what, rows) in [("there is", beyond), ("gone is", gone)] {
                    if !rows.is_empty() {
                        self.judged.faults.push(format!("taken back, but {what} {}", rows.join(", ")));
                    }
                }
            }
            CrashEnding::Finished | CrashEnding::Refused | CrashEnding::Failed => {}
        }
        let is_known = finished.is_some_and(|finished| finished.has(&left));
        let has_to_go_on = match self.judged.ending {
            CrashEnding::TakenBack => !is_known,
            CrashEnding::Finished => true,
            _ => false,
        };
        if has_to_go_on && self.judged.faults.is_empty() {
            self.finish();
            if let Some(finished) = finished.filter(|_| self.judged.faults.is_empty()) {
                finished.add(left);
            }
        }
        if !self.judged.faults.is_empty() {
            self.judged.ending = CrashEnding::Failed;
        }
        self.judged
    }

    /// The next run has to make of it what a run without trouble makes.
    fn finish(&mut self) {
        let next = self.baseline.run(&self.stage);
        self.count(&next, false);
        if !next.deployed() {
            let why = next.failure.as_ref().map(|failure| failure.trace().message.clone()).unwrap_or_default();
            self.judged.faults.push(format!("the next run ends with {}: {why}", next.exit.code));
            return;
        }
        let unlike = self.settled().unlike(&self.deployed());
        if !unlike.is_nothing() {
            self.judged.faults.push(format!("after the next run, unlike without trouble: {unlike}"));
        }
    }
}

impl Recovery {
    fn verbs(self) -> &'static [Verb] {
        match self {
            Self::Resume => &[Verb::Resume],
            Self::Rollback => &[Verb::Rollback],
            Self::ResumeThenRollback => &[Verb::Resume, Verb::Rollback],
        }
    }

    const ALL: [(Self, &'static str); 3] =
        [(Self::Resume, "resume"), (Self::Rollback, "rollback"), (Self::ResumeThenRollback, "resume-rollback")];
}

impl Point {
    fn nth(self) -> usize {
        match self {
            Self::Call { nth, .. } | Self::Fault { nth, .. } => nth as usize,
            Self::Write { nth, .. } => usize::try_from(nth).unwrap_or_default(),
        }
    }

    /// What the simulated AWS is asked for.
    fn faults(self) -> Vec<Fault> {
        let any = || "*".to_owned();
        let fault = |at, kind| Fault { service: any(), action: any(), at, lasting: false, kind };
        match self {
            Self::Call { nth, applied: false } => vec![fault(nth, FaultKind::CrashBefore)],
            Self::Call { nth, applied: true } => vec![fault(nth, FaultKind::CrashAfter)],
            Self::Fault { nth, kind } => vec![fault(nth, kind), fault(nth + 1, FaultKind::CrashBefore)],
            Self::Write { .. } => Vec::new(),
        }
    }

    /// What it is about, without where.
    fn kind(self) -> String {
        match self {
            Self::Call { applied: false, .. } => "crash before a call".to_owned(),
            Self::Call { applied: true, .. } => "crash after a call".to_owned(),
            Self::Fault { kind, .. } => format!("crash after {kind}"),
            Self::Write { trouble, .. } => format!("journal: {}", trouble.name()),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { nth, applied: false } => write!(f, "call#{nth}=crash-before"),
            Self::Call { nth, applied: true } => write!(f, "call#{nth}=crash-after"),
            Self::Fault { nth, kind } => write!(f, "call#{nth}={kind}"),
            Self::Write { nth, trouble } => write!(f, "write#{nth}={}", trouble.name()),
        }
    }
}

impl fmt::Display for CrashCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for point in &self.points {
            write!(f, "{point},")?;
        }
        let name = Recovery::ALL.iter().find(|(recovery, _)| *recovery == self.recovery).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl FromStr for CrashCase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || {
            format!(
                "expected `call#N=crash-before,resume`, `call#N=throttle,resume` or `write#N=torn,rollback`, found `{text}`"
            )
        };
        let (points, recovery) = text.rsplit_once(',').ok_or_else(form)?;
        let recovery = Recovery::ALL.iter().find(|(_, name)| *name == recovery).ok_or_else(form)?.0;
        let point = |text: &str| {
            let (at, trouble) = text.split_once('=')?;
            let (what, nth) = at.split_once('#')?;
            match (what, trouble) {
                ("call", "crash-before") => Some(Point::Call { nth: nth.parse().ok()?, applied: false }),
                ("call", "crash-after") => Some(Point::Call { nth: nth.parse().ok()?, applied: true }),
                ("call", name) => Some(Point::Fault { nth: nth.parse().ok()?, kind: FaultKind::named(name)? }),
                ("write", name) => {
                    let trouble = Trouble::ALL.into_iter().find(|trouble| trouble.name() == name)?;
                    Some(Point::Write { nth: nth.parse().ok()?, trouble })
                }
                _ => None,
            }
        };
        let points = points.split(',').map(|text| point(text).ok_or_else(form)).collect::<Result<_, _>>()?;
        Ok(Self { points, recovery })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_has_a_name_that_replays_it() {
        for text in
            ["call#12=crash-after,resume", "call#7=denied,rollback", "write#3=torn,call#1=crash-before,resume-rollback"]
        {
            assert_eq!(text.parse::<CrashCase>().expect("a case").to_string(), text);
        }
        for text in ["call#12=torn,resume", "call#12=crash-after", "write#x=torn,rollback"] {
            assert!(text.parse::<CrashCase>().is_err(), "{text}");
        }
    }
}
