//! Sees a run to its end, or to where it goes on another time: signals, rollback, figures.

use std::{
    sync::{Arc, Weak},
    time::Instant,
};

use jiff::Timestamp;
use miette::miette;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Exit, Failure, exit, place::Place};
use crate::{
    api::{FailureKind, ScriptFailure},
    aws::ConnectError,
    event::{Event, Outcome},
    ops,
    run::{Alive, JournalError, RollbackReport, Run},
    settings::OnInterrupt,
    sim::Fault,
};

/// How long calls under way may take once a run is told to stop: a CI job has ten seconds before it is killed.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// A run under way, driven by this process.
pub struct Driving {
    pub run: Arc<Run>,
    pub place: Place,
    pub started: Instant,
    pub on_interrupt: OnInterrupt,
    /// Dropped when it is over: others may take the run up then.
    pub alive: Alive,
}

impl Driving {
    /// Obeys signals from here on.
    pub fn obey_signals(&self, tokio: &tokio::runtime::Runtime) {
        // Weak: what the run holds, the next one may need.
        tokio.spawn(obey_signals(Arc::downgrade(&self.run), self.on_interrupt));
    }

    /// What became of the script is known: goes back if that is needed, and says how all was left.
    pub fn end(self, failure: Option<ScriptFailure>) -> Result<Exit, Failure> {
        let (outcome, exit) = match &failure {
            None => (Outcome::Succeeded, exit::DONE),
            Some(failure) => conclude(&self.run, failure, self.on_interrupt),
        };
        let error = failure.as_ref().map(|failure| failure.message.clone());
        self.close(outcome, exit, error)?;
        match failure {
            None => Ok(exit),
            Some(failure) => Err(Failure::new(exit, *failure.problem)),
        }
    }

    /// Tells how it ended, and lets go of everything.
    ///
    /// # Errors
    /// If the end of the run is not on record: it then is not over, and keeps its locks.
    pub fn close(self, outcome: Outcome, exit: Exit, error: Option<String>) -> Result<(), Failure> {
        let Self { run, place, started, .. } = self;
        run.warn_of_unused_overrides();
        run.warn_of_unwritten_wire();
        for fault in place.faults_unused() {
            run.emit(Event::Warning { message: unused(&fault) });
        }
        // Before the world is left: what is on record is what was done in it.
        let written = match outcome {
            Outcome::Suspended => Ok(()),
            _ => run.finish(exit.code),
        };
        if outcome != Outcome::Suspended && written.is_ok() {
            run.unlock();
        }
        let mut summary = run.summary();
        summary.wall = started.elapsed();
        summary.traffic = place.leave();
        run.emit(Event::RunFinished { outcome, exit_code: exit.code, error, summary: Box::new(summary) });
        written.map_err(|error| unwritten(&error))
    }
}

/// A fault that was asked for in vain.
pub fn unused(fault: &Fault) -> String {
    format!("the fault `{fault}` did not happen: there was no such call, or nothing it could happen to")
}

/// After a failure: goes back if there is something to take back, and says how the account was left. Where nothing went
/// wrong that a rollback would mend, the run is suspended.
///
/// If anything was changed, the code tells what became of it; if nothing was, it tells the cause.
pub fn conclude(run: &Arc<Run>, failure: &ScriptFailure, on_interrupt: OnInterrupt) -> (Outcome, Exit) {
    if let Some(exit) = suspension(&failure.kind, on_interrupt) {
        return suspend(run, &failure.trace().message, exit);
    }
    if let Some(exit) = cannot_go_on(run, &failure.kind) {
        return suspend(run, &failure.trace().message, exit);
    }
    if run.committed().is_some() && run.changed_anything() {
        return (Outcome::CleanUpUnfinished, exit::UNFINISHED);
    }
    let report = run.has_undos().then(|| run.roll_back(first_line(&failure.message)));
    if let Some(report) = &report
        && report.lost
    {
        let cause = run.journal_lost().map_or_else(String::new, |error| error.to_string());
        return suspend(run, &cause, exit::INTERRUPTED);
    }
    if run.changed_anything() {
        return match report {
            Some(report) if !report.is_clean() => {
                tell_what_is_left(run, &report);
                (Outcome::RollbackFailed, exit::ROLLBACK_FAILED)
            }
            _ => (Outcome::RolledBack, exit::ROLLED_BACK),
        };
    }
    by_cause(&failure.kind)
}

/// The exit code of a run that goes on another time; `None` if what happened is no reason for that.
fn suspension(kind: &FailureKind, on_interrupt: OnInterrupt) -> Option<Exit> {
    match kind {
        FailureKind::Interrupted => (on_interrupt == OnInterrupt::Suspend).then_some(exit::INTERRUPTED),
        FailureKind::Operation(error) => match &**error {
            ops::Error::Journal(JournalError::TakenOver { .. }) => Some(exit::LOCKED),
            error if error.suspends() => Some(exit::INTERRUPTED),
            _ => None,
        },
        FailureKind::Script | FailureKind::Usage | FailureKind::Bug => None,
    }
}

/// The exit code of a run that could not be gone on with, for a reason that lies here and not in what it does: somebody else's
/// credentials, settings or locks are no reason to take back what another process has done.
fn cannot_go_on(run: &Run, kind: &FailureKind) -> Option<Exit> {
    run.past()?;
    let is_of_here = match kind {
        FailureKind::Usage => true,
        FailureKind::Operation(error) => match &**error {
            ops::Error::Connect(_) | ops::Error::Locked(_) | ops::Error::Superseded(_) | ops::Error::Store(_) => true,
            ops::Error::Policy(_) => run.is_replaying(),
            // What another process has met is what went wrong.
            ops::Error::Before(_) => false,
            ops::Error::Call(error) if error.before => false,
            error => error.is_permission(),
        },
        FailureKind::Script | FailureKind::Interrupted | FailureKind::Bug => false,
    };
    is_of_here.then(|| by_cause(kind).1)
}

/// Stops here. Another process goes on, or this one's user says so.
pub fn suspend(run: &Run, reason: &str, exit: Exit) -> (Outcome, Exit) {
    // What cannot be written is on record as far as it was done.
    if run.journal_lost().is_none()
        && let Err(error) = run.suspend(reason)
    {
        run.emit(Event::Warning { message: error.to_string() });
    }
    run.emit(Event::Suspended { reason: reason.to_owned(), resume: run.command("resume") });
    (Outcome::Suspended, exit)
}

/// Says how to go on with a rollback that could not do all.
pub fn tell_what_is_left(run: &Run, report: &RollbackReport) {
    let rollback = run.command("rollback");
    let mut message =
        format!("{} could not be taken back; mend what stands in the way, then:\n{rollback}", report.left.len());
    if let Some(path) = report.paths.first() {
        let others = if report.paths.len() > 1 { ", or another one of `--undo-plan`" } else { "" };
        message += &format!("\nwhere you have done it yourself{others}:\n{rollback} --mark-done '{path}' --reason '…'");
    }
    run.emit(Event::Warning { message });
}

/// What the cause says when nothing was changed.
pub fn by_cause(kind: &FailureKind) -> (Outcome, Exit) {
    match kind {
        FailureKind::Interrupted => (Outcome::Failed, exit::INTERRUPTED),
        FailureKind::Script | FailureKind::Usage => (Outcome::Failed, exit::USAGE),
        FailureKind::Bug => (Outcome::Failed, exit::BUG),
        FailureKind::Operation(error) if error.is_permission() => (Outcome::Failed, exit::PERMISSION),
        FailureKind::Operation(error) => match **error {
            ops::Error::TimedOut { .. } => (Outcome::Failed, exit::TIMED_OUT),
            ops::Error::Policy(_) => (Outcome::Failed, exit::REFUSED),
            ops::Error::Locked(_) | ops::Error::Superseded(_) => (Outcome::Failed, exit::LOCKED),
            ops::Error::Connect(ConnectError::NoRegion | ConnectError::BadRole(_)) => (Outcome::Failed, exit::USAGE),
            _ => (Outcome::Failed, exit::FAILED),
        },
    }
}

/// The error itself, without the places it went through.
pub fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// The first signal suspends the run or takes it back, the second leaves at once.
async fn obey_signals(run: Weak<Run>, on_interrupt: OnInterrupt) {
    let listen = || -> std::io::Result<[Signal; 3]> {
        Ok([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?])
    };
    let Ok([mut interrupt, mut terminate, mut hangup]) = listen() else {
        if let Some(run) = run.upgrade() {
            run.emit(Event::Warning { message: "Ctrl-C cannot be caught: it will end the run at once".to_owned() });
        }
        return;
    };
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        let Some(run) = run.upgrade() else { std::process::exit(exit::INTERRUPTED.code.into()) };
        if run.interrupt().request() {
            std::process::exit(exit::INTERRUPTED.code.into());
        }
        if run.is_rolling_back() {
            let resume = run.command("resume");
            let message = format!("the rollback goes on; again to leave it, and go on with it by `{resume}`");
            run.emit(Event::Warning { message });
            continue;
        }
        let then = match on_interrupt {
            OnInterrupt::Suspend => "suspended",
            OnInterrupt::Rollback => "rolled back",
        };
        let message = format!("stopping: calls under way are finished, then the run is {then}; again to leave at once");
        run.emit(Event::Warning { message });
        if on_interrupt == OnInterrupt::Suspend {
            tokio::spawn(leave_in_time(Arc::clone(&run)));
        }
    }
}

/// Leaves when calls under way take too long. They are on record, and are resolved by whoever goes on.
async fn leave_in_time(run: Arc<Run>) {
    tokio::time::sleep(GRACE).await;
    if run.is_rolling_back() {
        return;
    }
    let reason = "calls under way were not answered in time";
    let written = Arc::clone(&run);
    let written = tokio::task::spawn_blocking(move || written.suspend(reason));
    // What was done is on record, also if this is not.
    let _ = tokio::time::timeout(GRACE / 4, written).await;
    run.emit(Event::Suspended { reason: reason.to_owned(), resume: run.command("resume") });
    std::process::exit(exit::INTERRUPTED.code.into());
}

/// The error of a run that cannot be written about.
pub fn unwritten(error: &JournalError) -> Failure {
    let exit = match error {
        JournalError::TakenOver { .. } => exit::LOCKED,
        JournalError::Lost { .. } | JournalError::Exists { .. } => exit::FAILED,
    };
    Failure::new(exit, miette!("{error}"))
}

/// A moment as people read it.
pub fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
