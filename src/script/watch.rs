//! What can stop a script from outside, and how much it has used.
//!
//! Rhai's uncatchable errors become catchable when they pass through `map` and its relatives, and
//! vanish in the comparators of `sort`; its operation counter forgets what closures used. So a fatal
//! failure is latched here and repeated at every step, and every step is counted here.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use rhai::{Dynamic, EvalAltResult, Position};

use super::Failure;

/// Watches one script, with all its threads.
pub struct Watch {
    latched: AtomicBool,
    fatal: Mutex<Option<Failure>>,
    steps: AtomicU64,
    limit: AtomicU64,
    poll: Box<dyn Fn() -> Option<Failure> + Send + Sync>,
}

impl Watch {
    /// `poll` is asked at every step, on the thread that takes it, whether somebody wants that
    /// thread to stop: it must be cheap, and once it said so, say so again.
    pub fn new(poll: impl Fn() -> Option<Failure> + Send + Sync + 'static) -> Self {
        Self {
            latched: AtomicBool::new(false),
            fatal: Mutex::new(None),
            steps: AtomicU64::new(0),
            limit: AtomicU64::new(u64::MAX),
            poll: Box::new(poll),
        }
    }

    pub(super) fn limit(&self, steps: u64) {
        self.limit.store(steps, Ordering::Relaxed);
    }

    /// Ends the script for good: no `try` can go on after this. The first failure stays.
    pub fn fail(&self, failure: Failure) -> Box<EvalAltResult> {
        terminated(self.latch(failure))
    }

    /// The first thing every host function does: nothing happens after a fatal failure.
    pub fn check(&self) -> Result<(), Box<EvalAltResult>> {
        match self.stopped() {
            Some(failure) => Err(terminated(failure)),
            None => Ok(()),
        }
    }

    /// The failure that ended the script, whatever the script made of it.
    pub fn latched(&self) -> Option<Failure> {
        self.latched.load(Ordering::Acquire).then(|| self.fatal().clone()).flatten()
    }

    /// Forgets the failure and what was used: the hooks of a rollback run after a fatal failure.
    pub fn start_over(&self) {
        self.latched.store(false, Ordering::Release);
        *self.fatal() = None;
        self.steps.store(0, Ordering::Relaxed);
    }

    /// Called by the engine at every step. `Some` ends the script.
    pub(super) fn step(&self) -> Option<Dynamic> {
        let limit = self.limit.load(Ordering::Relaxed);
        if self.steps.fetch_add(1, Ordering::Relaxed) >= limit {
            let failure = Failure::new(format!("the script took more than {limit} steps"));
            self.latch(failure.help("a loop that waits for something has to `sleep`, or to use a `wait_…` operation"));
        }
        self.stopped().map(Dynamic::from)
    }

    fn stopped(&self) -> Option<Failure> {
        self.latched().or_else(&self.poll)
    }

    /// Keeps the first failure, and returns it.
    fn latch(&self, failure: Failure) -> Failure {
        let first = self.fatal().get_or_insert(failure).clone();
        self.latched.store(true, Ordering::Release);
        first
    }

    fn fatal(&self) -> MutexGuard<'_, Option<Failure>> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn terminated(failure: Failure) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorTerminated(Dynamic::from(failure), Position::NONE))
}
