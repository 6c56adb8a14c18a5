//! Time and turn-taking of one run.
//!
//! A run is a handful of *strands*: the script's own thread and one thread per branch of `parallel`.
//! One strand runs at a time; a strand gives its turn away when it waits. That keeps a run free of
//! data races, and it is what makes virtual time possible: when every strand waits and no real I/O
//! is pending, nothing can happen before the earliest timer, so the clock jumps there.
//!
//! With a virtual clock the next strand is chosen by a seed, so the same seed gives the same run.
//! With a real clock turns are taken the same way; only the timers are the operating system's.
//! Clock and target are independent: a virtual clock over a real endpoint is a supported test mode,
//! in which [`Clock::external`] holds the time still while a reply is awaited.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use jiff::Timestamp;

thread_local! {
    /// Which strand this thread is. The script's thread is strand 0.
    static STRAND: Cell<usize> = const { Cell::new(0) };
}

/// Has the turn while the clock itself moves.
const CLOCK: usize = usize::MAX;

/// The clock of a run. Cheap to clone; all clones tell the same time.
#[derive(Clone)]
pub struct Clock(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Timers and sockets of real I/O live here.
    tokio: tokio::runtime::Handle,
    /// Called with the new time whenever virtual time moves.
    on_advance: Mutex<Option<OnAdvance>>,
}

type OnAdvance = Box<dyn Fn(Timestamp) + Send>;

struct State {
    /// `None`: the real clock.
    virtual_now: Option<Timestamp>,
    rng: fastrand::Rng,
    running: Option<usize>,
    ready: BTreeSet<usize>,
    /// Strands that have not ended, for a waker can outlive its strand, and how each is told that it has the turn. One for
    /// all would wake them all, each time.
    live: BTreeMap<usize, Arc<Condvar>>,
    next_strand: usize,
    next_timer: u64,
    /// Timers by deadline, then by the order in which they were set.
    timers: BTreeMap<(Timestamp, u64), Waker>,
    /// Replies awaited from outside the process.
    external: usize,
}

impl Clock {
    /// The operating system's clock. Must be called inside a multi-threaded tokio runtime, which
    /// drives the I/O of every strand.
    pub fn real() -> Self {
        Self::new(None, 0)
    }

    /// A clock that stands at `start` and moves only when everybody waits.
    pub fn virtual_from(start: Timestamp, seed: u64) -> Self {
        Self::new(Some(start), seed)
    }

    fn new(virtual_now: Option<Timestamp>, seed: u64) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                virtual_now,
                rng: fastrand::Rng::with_seed(seed),
                running: None,
                ready: BTreeSet::new(),
                live: BTreeMap::from([(0, Arc::default())]),
                next_strand: 1,
                next_timer: 0,
                timers: BTreeMap::new(),
                external: 0,
            }),
            tokio: tokio::runtime::Handle::current(),
            on_advance: Mutex::new(None),
        }))
    }

    /// Whether time is virtual: it then costs nothing to wait.
    pub fn is_virtual(&self) -> bool {
        self.state().virtual_now.is_some()
    }

    /// The time of the run.
    pub fn now(&self) -> Timestamp {
        self.state().virtual_now.unwrap_or_else(Timestamp::now)
    }

    /// Lets `f` know of every jump of virtual time: the simulated world lives through it.
    pub fn on_advance(&self, f: impl Fn(Timestamp) + Send + 'static) {
        *lock(&self.0.on_advance) = Some(Box::new(f));
    }

    /// Waits for `duration` of the run's time.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        let deadline = self.now().checked_add(duration).unwrap_or(Timestamp::MAX);
        let kind = if self.is_virtual() {
            SleepKind::Virtual { timer: None }
        } else {
            let _context = self.0.tokio.enter();
            SleepKind::Real(Box::pin(tokio::time::sleep(duration)))
        };
        Sleep { clock: self.clone(), deadline, kind }
    }

    /// Runs `future`, which waits for something outside the process. Virtual time stands still
    /// until it is done: how long the outside takes must not decide what the run sees.
    pub async fn external<F: Future>(&self, future: F) -> F::Output {
        let _pending = External::new(self);
        future.await
    }

    /// Drives `future` on the calling strand until it is done. The only place where a strand waits.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let me = STRAND.get();
        let waker = Waker::from(Arc::new(StrandWaker { clock: self.clone(), strand: me }));
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        let _tokio = self.0.tokio.enter();
        self.take_turn(me);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            self.wait_turn(me);
        }
    }

    /// Runs `work(0..count)` on threads of their own, at most `at_once` at a time, and returns what
    /// they returned, in order. The calling strand waits meanwhile.
    ///
    /// A panic in a branch is raised again here, after the other branches have ended.
    pub fn branches<T: Send>(
        &self,
        count: usize,
        at_once: usize,
        stack_size: usize,
        work: impl Fn(usize) -> T + Sync,
    ) -> Vec<T> {
        let me = STRAND.get();
        // Branches that end before this strand waits give the turn back: it must have been its own.
        self.take_turn(me);
        let results: Mutex<Vec<Option<T>>> = Mutex::new((0..count).map(|_| None).collect());
        let next = Mutex::new(0..count);
        let workers = count.min(at_once.max(1));
        let running = Mutex::new(workers);
        let first = {
            let mut state = self.state();
            let first = state.next_strand;
            state.next_strand += workers;
            state.ready.extend(first..first + workers);
            state.live.extend((first..first + workers).map(|strand| (strand, Arc::default())));
            first
        };
        let (work, results_of, next, running) = (&work, &results, &next, &running);
        std::thread::scope(|scope| {
            for strand in first..first + workers {
                let worker = move || {
                    STRAND.set(strand);
                    let _leave = Leave { clock: self, strand, parent: me, running };
                    self.await_turn(strand);
                    loop {
                        let Some(index) = lock(next).next() else { break };
                        let result = work(index);
                        lock(results_of)[index] = Some(result);
                    }
                };
                std::thread::Builder::new()
                    .name(format!("branch-{strand}"))
                    .stack_size(stack_size)
                    .spawn_scoped(scope, worker)
                    .expect("the operating system can start a thread");
            }
            // A waker of something this strand waited for before may give it the turn too early.
            while *lock(running) > 0 {
                self.wait_turn(me);
            }
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.into_iter().map(|result| result.expect("every branch was run")).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }

    /// The main strand has the turn from the start; a branch has it already. Only a strand that
    /// nobody scheduled (the first `block_on` or `branches` of a run) takes it here.
    fn take_turn(&self, me: usize) {
        let mut state = self.state();
        if state.running.is_none() {
            state.ready.remove(&me);
            state.running = Some(me);
        }
    }

    /// Gives the turn away, and returns when it comes back.
    fn wait_turn(&self, me: usize) {
        {
            let mut state = self.state();
            if state.running == Some(me) {
                state.running = None;
            }
            self.hand_on(state);
        }
        self.await_turn(me);
    }

    fn await_turn(&self, me: usize) {
        let mut state = self.state();
        if state.running.is_none() {
            self.hand_on(state);
            state = self.state();
        }
        while state.running != Some(me) {
            let turn = Arc::clone(state.live.entry(me).or_default());
            state = turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Chooses who runs next; moves virtual time when nobody can.
    fn hand_on<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        loop {
            if state.running.is_some() {
                return;
            }
            if !state.ready.is_empty() {
                let nth = if state.virtual_now.is_some() && state.ready.len() > 1 {
                    let count = state.ready.len();
                    state.rng.usize(..count)
                } else {
                    0
                };
                let chosen = *state.ready.iter().nth(nth).expect("nth is below the count");
                state.ready.remove(&chosen);
                state.running = Some(chosen);
                if let Some(turn) = state.live.get(&chosen) {
                    turn.notify_all();
                }
                return;
            }
            if state.virtual_now.is_none() || state.external > 0 {
                return;
            }
            let Some((&(deadline, _), _)) = state.timers.first_key_value() else { return };
            let later = state.timers.split_off(&(deadline, u64::MAX));
            let due = std::mem::replace(&mut state.timers, later);
            state.virtual_now = Some(deadline);
            // All that are due become ready before one of them is chosen.
            state.running = Some(CLOCK);
            drop(state);
            if let Some(f) = &*lock(&self.0.on_advance) {
                f(deadline);
            }
            due.into_values().for_each(Waker::wake);
            state = self.state();
            state.running = None;
        }
    }

    fn wake(&self, strand: usize) {
        let mut state = self.state();
        if state.live.contains_key(&strand) {
            // Also while it runs: it is then polled again before it waits.
            state.ready.insert(strand);
            self.hand_on(state);
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A strand that panicked is reported as a bug elsewhere; the others still have to roll back.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct StrandWaker {
    clock: Clock,
    strand: usize,
}

impl Wake for StrandWaker {
    fn wake(self: Arc<Self>) {
        self.clock.wake(self.strand);
    }
}

/// Ends a branch's strand, also when it panics, and lets the parent go on after the last one.
struct Leave<'a> {
    clock: &'a Clock,
    strand: usize,
    parent: usize,
    running: &'a Mutex<usize>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let last = {
            let mut running = lock(self.running);
            *running -= 1;
            *running == 0
        };
        let mut state = self.clock.state();
        state.ready.remove(&self.strand);
        state.live.remove(&self.strand);
        if last {
            state.ready.insert(self.parent);
        }
        if state.running == Some(self.strand) {
            state.running = None;
        }
        self.clock.hand_on(state);
    }
}

/// Counts a reply that is awaited from outside; see [`Clock::external`].
struct External<'a>(&'a Clock);

impl<'a> External<'a> {
    fn new(clock: &'a Clock) -> Self {
        clock.state().external += 1;
        Self(clock)
    }
}

impl Drop for External<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.external -= 1;
        self.0.hand_on(state);
    }
}

/// A wait for a moment of the run's time; made by [`Clock::sleep`].
#[must_use = "a sleep does nothing until it is awaited"]
pub struct Sleep {
    clock: Clock,
    deadline: Timestamp,
    kind: SleepKind,
}

enum SleepKind {
    Real(Pin<Box<tokio::time::Sleep>>),
    Virtual { timer: Option<u64> },
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        match &mut this.kind {
            SleepKind::Real(sleep) => sleep.as_mut().poll(context),
            SleepKind::Virtual { timer } => {
                let mut state = this.clock.state();
                if state.virtual_now >= Some(this.deadline) {
                    return Poll::Ready(());
                }
                let id = *timer.get_or_insert_with(|| {
                    state.next_timer += 1;
                    state.next_timer
                });
                state.timers.insert((this.deadline, id), context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let SleepKind::Virtual { timer: Some(id) } = self.kind {
            self.clock.state().timers.remove(&(self.deadline, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_clock<T>(seed: u64, f: impl FnOnce(&Clock) -> T) -> T {
        let tokio =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let _context = tokio.enter();
        f(&Clock::virtual_from(Timestamp::UNIX_EPOCH, seed))
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// A connection keeps the waker of a wait that is long over, and wakes it when it is closed.
    #[test]
    fn a_late_waker_does_not_take_the_turn_from_branches() {
        with_clock(1, |clock| {
            let late = clock.block_on(std::future::poll_fn(|context| Poll::Ready(context.waker().clone())));
            let done = clock.branches(2, 2, 1 << 20, |index| {
                late.wake_by_ref();
                clock.block_on(clock.sleep(seconds(5)));
                index
            });
            assert_eq!(done, [0, 1]);
        });
    }

    #[test]
    fn virtual_time_jumps_to_the_earliest_timer() {
        with_clock(1, |clock| {
            let order = clock.block_on(async {
                let mut order = Vec::new();
                let (mut slow, mut quick) = (pin!(clock.sleep(seconds(60))), pin!(clock.sleep(seconds(5))));
                tokio::select! { biased; () = &mut slow => order.push(60), () = &mut quick => order.push(5) }
                order.push(clock.now().as_second());
                slow.await;
                order.push(clock.now().as_second());
                order
            });
            assert_eq!(order, [5, 5, 60]);
        });
    }

    #[test]
    fn branches_overlap_in_virtual_time_and_return_in_order() {
        with_clock(1, |clock| {
            let results = clock.branches(8, 4, 1 << 20, |i| {
                clock.block_on(clock.sleep(seconds(10)));
                i
            });
            assert_eq!(results, (0..8).collect::<Vec<_>>());
            assert_eq!(clock.now().as_second(), 20, "two rounds of four");
        });
    }

    #[test]
    fn branches_can_end_before_anybody_waits_for_them() {
        for seed in 0..200 {
            assert_eq!(with_clock(seed, |clock| clock.branches(3, 3, 1 << 20, |i| i)), [0, 1, 2]);
        }
    }

    #[test]
    fn the_seed_decides_the_order_of_branches() {
        let order = |seed| {
            with_clock(seed, |clock| {
                let seen = Mutex::new(Vec::new());
                clock.branches(6, 6, 1 << 20, |i| {
                    for _ in 0..3 {
                        clock.block_on(clock.sleep(seconds(1)));
                        lock(&seen).push(i);
                    }
                });
                seen.into_inner().expect("no branch panicked")
            })
        };
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
    }

    #[test]
    fn real_io_holds_virtual_time() {
        with_clock(1, |clock| {
            let now = clock.block_on(async {
                let outside = clock.external(tokio::time::sleep(Duration::from_millis(30)));
                let mut timer = pin!(clock.sleep(seconds(100)));
                tokio::select! { biased; () = outside => clock.now(), () = &mut timer => clock.now() }
            });
            assert_eq!(now.as_second(), 0, "the timer waited for the reply");
        });
    }

    #[test]
    fn branches_nest() {
        with_clock(3, |clock| {
            let sums = clock.branches(3, 3, 1 << 20, |i| {
                clock.branches(3, 3, 1 << 20, |j| {
                    clock.block_on(clock.sleep(seconds((i * 3 + j) as u64)));
                    i * 3 + j
                })
            });
            assert_eq!(sums.concat(), (0..9).collect::<Vec<_>>());
            assert_eq!(clock.now().as_second(), 8);
        });
    }
}
