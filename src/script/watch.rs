//! What can stop a script from outside, and how much it has used.
//!
//! Rhai's uncatchable errors become catchable when they pass through `map` and its relatives, and
//! vanish in the comparators of `sort`; its operation counter forgets what closures used. So a fatal
//! failure is latched here and repeated at every step, and every step is counted here.

use std::{
    cell::Cell,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use rhai::{Dynamic, EvalAltResult, Position};
use rustix::time::{ClockId, clock_gettime};

use super::{Failure, Limits, thread};
use crate::memory;

/// How many steps lie between two looks at the clock, which is a call of the operating system.
const CLOCK_EVERY: u64 = 32;

/// The most that counts between two looks: a machine that was asleep is not the script's doing.
const GAP: Duration = Duration::from_millis(250);

/// Watches one script, with all its threads.
pub struct Watch {
    latched: AtomicBool,
    fatal: Mutex<Option<Failure>>,
    limits: Mutex<Limits>,
    steps: AtomicU64,
    step_limit: AtomicU64,
    /// Nanoseconds of the processor.
    computed: AtomicU64,
    compute_limit: AtomicU64,
    /// Nanoseconds of any clock.
    elapsed: AtomicU64,
    elapse_limit: AtomicU64,
    /// What the whole program may hold.
    memory_limit: AtomicUsize,
    poll: Box<dyn Fn() -> Option<Failure> + Send + Sync>,
}

thread_local! {
    /// The time of this thread that is accounted for: of the processor, and of any clock.
    static ACCOUNTED: Cell<Option<(u64, Instant)>> = const { Cell::new(None) };
    /// How many pauses this thread is in.
    static PAUSES: Cell<u32> = const { Cell::new(0) };
}

impl Watch {
    /// `poll` is asked at every step, on the thread that takes it, whether somebody wants that
    /// thread to stop: it must be cheap, and once it said so, say so again.
    pub fn new(poll: impl Fn() -> Option<Failure> + Send + Sync + 'static) -> Self {
        Self {
            latched: AtomicBool::new(false),
            fatal: Mutex::new(None),
            limits: Mutex::default(),
            steps: AtomicU64::new(0),
            step_limit: AtomicU64::new(u64::MAX),
            computed: AtomicU64::new(0),
            compute_limit: AtomicU64::new(u64::MAX),
            elapsed: AtomicU64::new(0),
            elapse_limit: AtomicU64::new(u64::MAX),
            memory_limit: AtomicUsize::new(usize::MAX),
            poll: Box::new(poll),
        }
    }

    pub(super) fn limit(&self, limits: &Limits) {
        *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits.clone();
        self.step_limit.store(limits.steps, Ordering::Relaxed);
        self.compute_limit.store(nanoseconds(limits.computing), Ordering::Relaxed);
        self.elapse_limit.store(nanoseconds(limits.elapsing), Ordering::Relaxed);
        self.memory_limit.store(memory::allocated().saturating_add(limits.memory), Ordering::Relaxed);
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

    /// Forgets what was used: the hooks of a rollback run after a script that used up everything.
    pub fn start_over(&self) {
        self.forgive();
        self.steps.store(0, Ordering::Relaxed);
        self.computed.store(0, Ordering::Relaxed);
        self.elapsed.store(0, Ordering::Relaxed);
        let memory = self.limits.lock().unwrap_or_else(PoisonError::into_inner).memory;
        self.memory_limit.store(memory::allocated().saturating_add(memory), Ordering::Relaxed);
    }

    /// Forgets the failure, and not what was used: the next hook runs when one failed.
    pub fn forgive(&self) {
        self.latched.store(false, Ordering::Release);
        *self.fatal() = None;
    }

    /// What this thread does until the guard is dropped is not the script's own computing.
    pub fn pause(&self) -> Pause {
        self.account();
        PAUSES.set(PAUSES.get() + 1);
        Pause(())
    }

    /// Called by the engine at every step. `Some` ends the script.
    pub(super) fn step(&self) -> Option<Dynamic> {
        let steps = self.steps.fetch_add(1, Ordering::Relaxed);
        if let Some(failure) = self.exceeded(steps) {
            self.latch(failure);
        }
        self.stopped().map(Dynamic::from)
    }

    /// The limit that is reached with this step.
    fn exceeded(&self, steps: u64) -> Option<Failure> {
        let limit = self.step_limit.load(Ordering::Relaxed);
        if steps >= limit {
            let failure = Failure::new(format!("the script took more than {limit} steps"));
            return Some(failure.help(LOOPS));
        }
        if thread::is_deep() {
            let failure = Failure::new("functions, closures and expressions are nested too deeply");
            return Some(failure.help("a function that calls itself needs a way to end"));
        }
        if memory::allocated() > self.memory_limit.load(Ordering::Relaxed) {
            let limit = self.limits.lock().unwrap_or_else(PoisonError::into_inner).memory >> 20;
            let failure = Failure::new(format!("the script holds more than {limit} MiB"));
            return Some(failure.help("it keeps values that it no longer needs, or makes them too large"));
        }
        if steps.is_multiple_of(CLOCK_EVERY) {
            self.account();
            let over = |used: &AtomicU64, limit: &AtomicU64| {
                let limit = limit.load(Ordering::Relaxed);
                (used.load(Ordering::Relaxed) > limit).then(|| Duration::from_nanos(limit))
            };
            if let Some(limit) = over(&self.computed, &self.compute_limit) {
                return Some(
                    Failure::new(format!("the script was busy for more than {limit:?} of the processor")).help(LOOPS),
                );
            }
            if let Some(limit) = over(&self.elapsed, &self.elapse_limit) {
                return Some(Failure::new(format!("the script was busy for more than {limit:?}")).help(LOOPS));
            }
        }
        None
    }

    /// Adds what this thread took since the last look.
    fn account(&self) {
        if PAUSES.get() > 0 {
            return;
        }
        let (processor, now) = (processor_time(), Instant::now());
        if let Some((accounted, since)) = ACCOUNTED.replace(Some((processor, now))) {
            self.computed.fetch_add(processor.saturating_sub(accounted), Ordering::Relaxed);
            self.elapsed.fetch_add(nanoseconds(now.duration_since(since).min(GAP)), Ordering::Relaxed);
        }
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

const LOOPS: &str = "a loop that waits for something has to `sleep`, or to use a `wait_…` operation";

/// While it lives, this thread works for the host. There can be one in another.
#[must_use]
pub struct Pause(());

impl Drop for Pause {
    fn drop(&mut self) {
        PAUSES.set(PAUSES.get() - 1);
        ACCOUNTED.set(Some((processor_time(), Instant::now())));
    }
}

/// What the processor has given to this thread. Not the time of day: a machine that is busy with
/// something else makes no script fail.
pub(super) fn processor_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, rest) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn terminated(failure: Failure) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorTerminated(Dynamic::from(failure), Position::NONE))
}
