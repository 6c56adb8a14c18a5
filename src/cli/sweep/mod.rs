//! A runbook against faults: run once for each call it makes times each kind of fault, and judged each time.
//!
//! ```text
//! baseline   no fault: which calls are there, and what does the world look like after
//! cases      which fault befalls which call, and in which order they are tried
//! judge      one case: run, look, run again
//! report     all of it in figures
//! crash      the same with the driver of the run, which crashes, and its journal, which fails
//! ```

mod baseline;
mod cases;
pub mod crash;
mod judge;
pub mod report;

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Handle;

pub use baseline::{Baseline, NoBaseline};
pub use cases::{Case, all, doubles};

/// How much is tried.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Cases at most.
    pub cases: Option<usize>,
    /// No case is begun after this.
    pub time: Option<Duration>,
    /// Cases at the same time.
    pub jobs: usize,
    /// Each case is run twice, to see that the same seed gives the same run, and is followed by the next run. Without it,
    /// each fourth is run twice, and worlds that look the same are given to the next run once.
    pub thorough: bool,
}

/// What a sweep tries.
pub trait Tried: Clone + fmt::Display + Send + Sync {
    /// How it can end.
    type Ending: Copy + Eq + Send;
    /// What a row of the table stands for.
    type Kind: Ord + fmt::Display;

    /// The endings, with what stands above their columns. The last one is that something is wrong.
    const ENDINGS: [(Self::Ending, &'static str); 6];
    const FAILED: Self::Ending = Self::ENDINGS[5].0;
    /// What stands above the rows.
    const HEAD: &'static str;

    fn kind(&self) -> Option<Self::Kind>;
}

/// What is found of a case.
#[derive(Clone, Debug)]
pub struct Judged<E> {
    pub ending: E,
    /// What is wrong.
    pub faults: Vec<String>,
    /// Requests answered, and lost, in all runs of the case.
    pub served: u64,
    pub lost: u64,
    /// Runs of the runbook.
    pub runs: u32,
}

/// What came of a sweep.
pub struct Swept<C: Tried> {
    pub judged: Vec<(C, Judged<C::Ending>)>,
    /// How many cases there are, tried or not.
    pub all: usize,
    pub took: Duration,
}

/// Which cases are run twice at least: a run depends on its seed alone, or it does not, whatever the fault.
const TWICE: usize = 4;

/// Tries the cases in their order, as many as the bounds allow.
pub fn sweep(baseline: &Baseline, cases: &[Case], bounds: Bounds, bar: &ProgressBar) -> Swept<Case> {
    let finished = judge::Finished::default();
    each(cases, bounds, bar, |at, case| {
        let twice = bounds.thorough || at % TWICE == 0;
        judge::judge(baseline, case, twice, (!bounds.thorough).then_some(&finished))
    })
}

/// Judges cases on as many threads as the bounds say, and tells of those that fail at once.
fn each<C: Tried>(
    cases: &[C],
    bounds: Bounds,
    bar: &ProgressBar,
    judge: impl Fn(usize, &C) -> Judged<C::Ending> + Sync,
) -> Swept<C> {
    let started = Instant::now();
    let tried = bounds.cases.unwrap_or(cases.len()).min(cases.len());
    bar.set_length(tried as u64);
    let (next, judged) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(tried)));
    let tokio = Handle::current();
    let work = || {
        let _tokio = tokio.enter();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let is_late = bounds.time.is_some_and(|time| started.elapsed() >= time);
            let Some(case) = cases[..tried].get(at).filter(|_| !is_late) else { break };
            let result = judge(at, case);
            if result.ending == C::FAILED {
                bar.println(format!("{case}: {}", result.faults.join("; ")));
            }
            judged.lock().unwrap_or_else(PoisonError::into_inner).push((at, case.clone(), result));
            bar.inc(1);
        }
    };
    thread::scope(|scope| {
        for _ in 0..bounds.jobs.max(1) {
            scope.spawn(work);
        }
    });
    let mut judged = judged.into_inner().unwrap_or_else(PoisonError::into_inner);
    judged.sort_by_key(|(at, ..)| *at);
    let judged = judged.into_iter().map(|(_, case, result)| (case, result)).collect();
    Swept { judged, all: cases.len(), took: started.elapsed() }
}

/// A bar on stderr, or nothing where nobody looks.
pub fn bar(visible: bool) -> ProgressBar {
    if !visible {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    // The template is a constant, and the default is as good.
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos} of {len} cases, {per_sec}, {eta} left") {
        bar.set_style(style);
    }
    bar
}
