//! What the host functions of one run share.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
    atomic::{AtomicBool, Ordering},
};

use rhai::{Engine, EvalAltResult, NativeCallContext};

use super::{
    budget::{Budget, Count},
    control::Configs,
    handle::Handle,
    host::Inputs,
    strand,
};
use crate::{
    ops,
    run::Run,
    script::{Failure, Library, Project, Watch},
};

/// What a host function returns.
pub type Result<T> = std::result::Result<T, Box<EvalAltResult>>;

pub struct Session {
    pub run: Arc<Run>,
    pub inputs: Inputs,
    pub watch: Arc<Watch>,
    pub library: Arc<Library>,
    pub project: Project,
    pub budget: Budget,
    pub configs: Configs,
    /// Weak: the engine's functions own this session.
    engine: OnceLock<Weak<Engine>>,
    named: Mutex<Named>,
    going_back: Arc<AtomicBool>,
}

/// What the runbook has said about where it runs.
#[derive(Default)]
pub struct Named {
    /// The name, and what `environment` returned.
    pub environment: Option<(String, Handle)>,
    pub stack: Option<String>,
}

impl Session {
    pub fn new(run: Arc<Run>, inputs: Inputs, library: Arc<Library>, project: Project) -> Arc<Self> {
        let going_back = Arc::new(AtomicBool::new(false));
        let (asked, phase) = (Arc::clone(&run), Arc::clone(&going_back));
        let watch = Watch::new(move || {
            let interrupted = asked.interrupt().is_requested() && !phase.load(Ordering::Relaxed);
            if interrupted { Some(interruption()) } else { strand::stopped().filter(|_| !has_more(&asked)) }
        });
        Arc::new(Self {
            run,
            inputs,
            watch: Arc::new(watch),
            library,
            project,
            budget: Budget::default(),
            configs: Configs::default(),
            engine: OnceLock::new(),
            named: Mutex::default(),
            going_back,
        })
    }

    pub fn set_engine(&self, engine: &Arc<Engine>) {
        self.engine.set(Arc::downgrade(engine)).expect("a session has one engine");
    }

    /// `None` once the host is gone.
    pub fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.get()?.upgrade()
    }

    pub fn named(&self) -> MutexGuard<'_, Named> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prepares for a hook of the rollback: neither an interrupt nor what went wrong stops it. What
    /// the script may use, it may use once more for all hooks together.
    pub fn go_back(&self) {
        if self.going_back.swap(true, Ordering::Relaxed) {
            self.watch.forgive();
        } else {
            self.watch.start_over();
        }
    }

    /// Takes `amount` from what the run may have, or ends the script for good.
    pub fn spend(&self, context: &NativeCallContext, what: Count, amount: usize) -> Result<()> {
        self.budget.take(what, amount).map_err(|failure| self.watch.fail(failure.at(context)))
    }

    /// The same for a message of the runbook.
    pub fn say(&self, context: &NativeCallContext, bytes: usize) -> Result<()> {
        self.budget.say(bytes).map_err(|failure| self.watch.fail(failure.at(context)))
    }

    /// Waits for `future`. The only place where a script waits.
    pub fn wait<T>(
        &self,
        future: impl Future<Output = std::result::Result<T, ops::Error>>,
    ) -> std::result::Result<T, ops::Error> {
        let _pause = self.watch.pause();
        self.run.clock().block_on(future)
    }

    /// Waits for something the host function itself needs.
    pub fn wait_for<T>(
        &self,
        context: &NativeCallContext,
        future: impl Future<Output = std::result::Result<T, ops::Error>>,
    ) -> Result<T> {
        self.watch.check()?;
        self.wait(future).map_err(|error| super::failure::raise(self, error, Failure::new("").at(context)))
    }
}

/// Whether this strand did more when the run was driven before: then its sibling's failure came later.
fn has_more(run: &Run) -> bool {
    run.is_on_record(&strand::branch(|branch| branch.peek_id()))
}

/// The failure of a run that was asked to stop.
pub fn interruption() -> Failure {
    Failure::new(ops::Error::Interrupted.to_string()).because(super::failure::Cause::of(ops::Error::Interrupted))
}
