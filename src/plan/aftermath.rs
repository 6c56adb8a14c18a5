//! What is taken back in a rehearsed rollback.

use std::sync::{Arc, Mutex, PoisonError};

use crate::event::{Event, Report, Stamped, UndoOutcome};

/// Listens to a rollback. Copies listen to the same.
#[derive(Clone, Default)]
pub struct Aftermath(Arc<Mutex<(u32, Vec<String>)>>);

impl Aftermath {
    /// How much was taken back, and what could not be.
    pub fn undone(&self) -> (u32, Vec<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Report for Aftermath {
    fn event(&mut self, stamped: &Stamped) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &stamped.event {
            Event::UndoFinished { undo, outcome, detail } => match outcome {
                UndoOutcome::Undone | UndoOutcome::AlreadyGone => seen.0 += 1,
                UndoOutcome::Kept => {}
                UndoOutcome::Foreign | UndoOutcome::Failed => {
                    let detail = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
                    seen.1.push(format!("{undo}{detail}"));
                }
            },
            Event::HookFinished { hook, error: Some(error) } => seen.1.push(format!("hook {hook}: {error}")),
            _ => {}
        }
    }
}
