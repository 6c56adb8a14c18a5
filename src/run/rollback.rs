//! Goes backwards: capacity, traffic, then hooks and undos, newest first.
//!
//! A step that fails is reported and the next one has its turn: what can be taken back, is. But where traffic cannot be moved
//! back, or a fleet stays, so does what was done before: it rests on it.

use std::sync::Arc;

use super::{
    Ctx, Phase, Record, Run, Stand,
    send::{LOOK_AGAIN, QUARANTINE, says_absent},
    undo::{self, Armed, ArmedUndo, Undone},
};
use crate::{
    event::{Event, UndoOutcome},
    ops::{Error, catalog},
};

/// A closure of the runbook, to be called in a rollback.
pub struct Hook {
    pub label: String,
    /// `None`: it was registered before the run was taken up again, and the script has not come to it since.
    pub call: Option<Box<dyn FnOnce() -> Result<(), String> + Send>>,
}

/// What a rollback came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollbackReport {
    /// Undone, gone already, or kept as asked.
    pub done: u32,
    /// Not undone: what, and why. Somebody else's changes are among them.
    pub left: Vec<(String, String)>,
    /// The calls, by their path, of which an undo is left.
    pub paths: Vec<String>,
    /// The journal could not be written any more, and the rest was not tried.
    pub lost: bool,
}

impl RollbackReport {
    /// Whether the account is as it was before the run.
    pub fn is_clean(&self) -> bool {
        self.left.is_empty() && !self.lost
    }
}

impl Run {
    /// Takes back what this run changed. Must not be called while a strand waits.
    pub fn roll_back(self: &Arc<Self>, reason: &str) -> RollbackReport {
        let entries = self.state().undos.take();
        // One that had come to its end begins anew.
        let goes_on = self.is_rolling_back() && self.past().is_some_and(|past| past.stand == Stand::Back);
        self.set_rolling_back();
        let mut report = RollbackReport::default();
        if !goes_on && let Err(error) = self.journal().commit(Record::RollbackStarted { reason: reason.to_owned() }) {
            // Nothing can be sent without a journal.
            self.emit(Event::Warning { message: error.to_string() });
            report.lost = true;
            return report;
        }
        let count = |is: fn(&Armed) -> bool| entries.iter().filter(|entry| is(entry)).count();
        self.emit(Event::RollbackStarted {
            reason: reason.to_owned(),
            undos: count(
                |entry| matches!(entry, Armed::Undo(armed) if !armed.undo.keep && !armed.undo.is_impossible()),
            ),
            kept: count(|entry| matches!(entry, Armed::Undo(armed) if armed.undo.keep)),
            hooks: count(|entry| matches!(entry, Armed::Hook(_))),
        });
        // What could not be taken back and rests on all that was done before.
        let mut stuck: Option<String> = None;
        for (index, entry) in entries.into_iter().enumerate() {
            if self.journal().lost().is_some() {
                report.lost = true;
                break;
            }
            match entry {
                Armed::Hook(hook) => self.run_hook(hook, &mut report),
                Armed::Undo(armed) if armed.undo.phase == Phase::Rest && !armed.undo.keep && stuck.is_some() => {
                    self.leave(*armed, stuck.as_deref().unwrap_or_default(), &mut report);
                }
                Armed::Undo(armed) => {
                    let rests = armed.undo.rests || armed.undo.phase == Phase::Traffic;
                    let description = armed.undo.description.clone();
                    let is_taken_back = self.run_undo(index, *armed, &mut report);
                    if rests && !is_taken_back {
                        stuck.get_or_insert(description);
                    }
                }
            }
        }
        report.lost |= self.journal().lost().is_some();
        report
    }

    /// Leaves what something rests on that could not be taken back.
    fn leave(&self, armed: ArmedUndo, stuck: &str, report: &mut RollbackReport) {
        let undo = armed.undo.description;
        let detail = format!("not tried, as it may be needed; first {stuck}");
        report.left.push((undo.clone(), detail.clone()));
        report.paths.push(armed.path.clone());
        let outcome = UndoOutcome::Failed;
        self.note_undone(armed.path, &undo, outcome, Some(&detail));
        self.emit(Event::UndoFinished { undo, outcome, detail: Some(detail) });
    }

    fn run_hook(&self, hook: Hook, report: &mut RollbackReport) {
        if self.has_run_hook(&hook.label) {
            return;
        }
        let error = match hook.call {
            Some(call) => call().err(),
            None => Some("its closure is in the script, which was not run again".to_owned()),
        };
        match &error {
            None => report.done += 1,
            Some(error) => report.left.push((format!("hook {}", hook.label), error.clone())),
        }
        self.journal().note(Record::HookEnded { hook: hook.label.clone(), error: error.clone() });
        self.emit(Event::HookFinished { hook: hook.label, error });
    }

    /// Whether what it is for is as it was.
    fn run_undo(self: &Arc<Self>, index: usize, armed: ArmedUndo, report: &mut RollbackReport) -> bool {
        let (path, description) = (armed.path.clone(), armed.undo.description.clone());
        let before = self.state().undone.get(&path).cloned();
        if let Some((outcome, _)) = before
            && !outcome.stays()
        {
            report.done += 1;
            // What a person wants to stay, stays with what it needs.
            return outcome != UndoOutcome::Kept;
        }
        self.journal().note(Record::UndoStarted { path: path.clone(), undo: description.clone() });
        let (outcome, detail) = if armed.undo.keep {
            (UndoOutcome::Kept, None)
        } else {
            let ctx = Ctx::new(self.clone(), format!("u{}", index + 1), Some(armed.scope.clone())).not_judged();
            match self.clock().block_on(undo_one(&ctx, armed)) {
                Ok(Undone::Done) => (UndoOutcome::Undone, None),
                Ok(Undone::Already) => (UndoOutcome::AlreadyGone, None),
                Ok(Undone::Foreign(detail)) => (UndoOutcome::Foreign, Some(detail)),
                Ok(Undone::Impossible) => {
                    let detail = "AWS has no way back; a run that asks for it makes another one";
                    (UndoOutcome::Impossible, Some(detail.to_owned()))
                }
                Err(error) => {
                    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                    (UndoOutcome::Failed, Some(format!("{error}{hint}")))
                }
            }
        };
        let is_done = !outcome.stays();
        if is_done {
            report.done += 1;
        } else {
            report.left.push((description.clone(), detail.clone().unwrap_or_default()));
            report.paths.push(path.clone());
        }
        self.note_undone(path, &description, outcome, detail.as_deref());
        self.emit(Event::UndoFinished { undo: description, outcome, detail });
        is_done
    }

    /// Whether a rollback of before has called that hook. Asked once for each.
    fn has_run_hook(&self, label: &str) -> bool {
        let hooks = &mut self.state().hooks_run;
        let at = hooks.iter().position(|known| known == label);
        at.map(|at| hooks.swap_remove(at)).is_some()
    }

    fn note_undone(&self, path: String, undo: &str, outcome: UndoOutcome, detail: Option<&str>) {
        let (undo, detail) = (undo.to_owned(), detail.map(str::to_owned));
        self.journal().note(Record::UndoEnded { path, undo, outcome, detail, by: None });
    }
}

/// Takes one change back. A change of a moment ago may not show everywhere: where there seems to be nothing to take back, it is
/// looked again. Otherwise a fleet that is not listed yet would stay, and nobody would know of it.
async fn undo_one(ctx: &Ctx, armed: ArmedUndo) -> Result<Undone, Error> {
    ctx.connect().await?;
    let started = ctx.now();
    let timeout = QUARANTINE.saturating_sub(ctx.age(armed.at));
    loop {
        let undone = undo_now(ctx, &armed).await;
        let may_not_show = match &undone {
            Ok(undone) => *undone == Undone::Already,
            Err(error) => says_absent(error),
        };
        let elapsed = ctx.since(started);
        if !may_not_show || elapsed >= timeout {
            return undone;
        }
        if elapsed < LOOK_AGAIN {
            let (what, seen) =
                (format!("{}, in case it shows late", armed.undo.description), "nothing there".to_owned());
            ctx.emit(Event::Waiting { id: ctx.id().to_owned(), what, seen, elapsed, timeout });
        }
        ctx.sleep(LOOK_AGAIN).await?;
    }
}

async fn undo_now(ctx: &Ctx, armed: &ArmedUndo) -> Result<Undone, Error> {
    let mut arguments = armed.undo.arguments.clone();
    if let Some((look_up, wanted)) = &armed.unresolved {
        // The call's reply was lost: undo what it made, if it made something.
        match find_look_up(look_up, ctx, wanted.clone()).await? {
            Some(found) => undo::complete(&mut arguments, &found),
            None => return Ok(Undone::Already),
        }
    }
    let Some(action) = undo::find(&armed.undo.action) else {
        return Err(Error::NotFound {
            what: format!("the undo `{}`", armed.undo.action),
            hint: Some("use the version of runner that wrote this journal".into()),
        });
    };
    (action.run)(ctx, arguments).await
}

async fn find_look_up(name: &str, ctx: &Ctx, wanted: serde_json::Value) -> Result<Option<serde_json::Value>, Error> {
    match catalog::LOOK_UPS.iter().find(|look_up| look_up.name == name) {
        Some(look_up) => (look_up.run)(ctx, wanted).await,
        None => Err(Error::NotFound { what: format!("the look-up `{name}`"), hint: None }),
    }
}
