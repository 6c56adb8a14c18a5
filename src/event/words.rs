//! Which parts of an event somebody else wrote: a runbook, a person, AWS. There a secret may be.
//!
//! What this program writes itself — kinds, calls, ids — is no secret, whatever it is equal to. A runbook that could mask it
//! by a parameter called `created` could hide what it does.

use super::{Event, Field, Summary};
use crate::redact::Edit;

impl Event {
    /// Edits all words of others in it. No pattern here ends in `..`: a new field has to be sorted in.
    pub fn edit(&mut self, edit: &impl Edit) {
        let each = |texts: &mut [&mut String]| texts.iter_mut().for_each(|text| edit.text(text));
        let maybe = |text: &mut Option<String>| text.iter_mut().for_each(|text| edit.text(text));
        match self {
            Self::RunStarted { run: _, runbook, target, version: _ } => each(&mut [runbook, target]),
            Self::Resumed { operations: _, mutations: _, before } => edit.text(before),
            Self::Suspended { reason, resume: _ } => edit.text(reason),
            Self::Environment { environment, region: _, account: _ } => edit.text(environment),
            Self::Stack { stack } => edit.text(stack),
            Self::Override { check: _, reason, by } => each(&mut [reason, by]),
            Self::Policy { id: _, check: _, level: _, message, rule: _, place: _, overridden } => {
                edit.text(message);
                maybe(overridden);
            }
            Self::StageStarted { stage } | Self::StageFinished { stage, elapsed: _ } => edit.text(stage),
            Self::OperationStarted { id: _, operation: _, subject, stage, place: _ } => {
                edit.text(subject);
                maybe(stage);
            }
            Self::OperationFinished { id: _, operation: _, subject, change: _, fields, elapsed: _ } => {
                edit.text(subject);
                for Field { name, before, after } in fields {
                    // A tag's key, or what the weights are of.
                    edit.text(name);
                    before.iter_mut().for_each(|before| edit.tree(before));
                    edit.tree(after);
                }
            }
            Self::OperationFailed { id: _, operation: _, subject, error } => each(&mut [subject, error]),
            Self::Sending { id: _, call: _, resource, request, opens: _, allows_all: _, undo } => {
                edit.text(resource);
                edit.values(request);
                maybe(undo);
            }
            Self::Call { id: _, call: _, mutation: _, poll: _, attempt: _, error, elapsed: _ } => maybe(error),
            Self::Retrying { id: _, call: _, reason, delay: _ } => edit.text(reason),
            Self::Waiting { id: _, what, seen, elapsed: _, timeout: _ } => each(&mut [what, seen]),
            Self::Waited { id: _, what, elapsed: _, timeout: _ } => edit.text(what),
            Self::Weights { id: _, route, weights } => {
                edit.text(route);
                weights.iter_mut().for_each(|weight| edit.text(&mut weight.target_group));
            }
            Self::UndoArmed { id: _, undo, keep: _, impossible: _ } => edit.text(undo),
            Self::HookArmed { hook } => edit.text(hook),
            Self::Committed { label } => edit.text(label),
            Self::Log { message } | Self::Warning { message } => edit.text(message),
            Self::Output { name, value } => {
                edit.text(name);
                edit.tree(value);
            }
            Self::RollbackStarted { reason, undos: _, kept: _, hooks: _ } => edit.text(reason),
            Self::UndoFinished { undo, outcome: _, detail } => {
                edit.text(undo);
                maybe(detail);
            }
            Self::HookFinished { hook, error } => {
                edit.text(hook);
                maybe(error);
            }
            Self::RunFinished { outcome: _, exit_code: _, error, summary } => {
                maybe(error);
                let Summary {
                    stack,
                    environment,
                    outputs,
                    created: _,
                    updated: _,
                    deleted: _,
                    unchanged: _,
                    calls: _,
                    mutations: _,
                    elapsed: _,
                    wall: _,
                    traffic: _,
                } = &mut **summary;
                maybe(stack);
                maybe(environment);
                for (name, value) in outputs {
                    edit.text(name);
                    edit.tree(value);
                }
            }
        }
    }
}
