//! What is taken back in a rehearsed rollback.

use std::sync::{Arc, Mutex, PoisonError};

use crate::event::{Event, Report, Stamped, UndoOutcome};

/// Listens to a rollback. Copies listen to the same.
#[derive(Clone, Default)]
pub struct Aftermath(Arc<Mutex<Undone>>);

/// What came of the undos.
#[derive(Clone, Debug, Default)]
pub struct Undone {
    pub done: u32,
    /// Left in place because the runbook says `keep_on_rollback`.
    pub kept: u32,
    /// What could not be taken back, and why.
    pub left: Vec<String>,
}

impl Aftermath {
    pub fn undone(&self) -> Undone {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Report for Aftermath {
    fn event(&mut self, stamped: &Stamped) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &stamped.event {
            Event::UndoFinished { undo, outcome, detail } => match outcome {
                UndoOutcome::Undone | UndoOutcome::AlreadyGone => seen.done += 1,
                UndoOutcome::Kept => seen.kept += 1,
                UndoOutcome::Foreign | UndoOutcome::Impossible | UndoOutcome::Failed => {
                    let detail = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
                    seen.left.push(format!("{undo}{detail}"));
                }
            },
            Event::HookFinished { hook, error: Some(error) } => seen.left.push(format!("hook {hook}: {error}")),
            _ => {}
        }
    }
}
