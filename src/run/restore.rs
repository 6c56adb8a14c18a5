//! A run as its journal leaves it to another driver: what can be taken back, what has been, and what people say of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Entry, History, Intent, Past, Record, Refused, Run,
    replay::Replay,
    rollback::Hook,
    session::{Known, State},
    undo::{self, Armed, ArmedUndo},
};
use crate::event::UndoOutcome;

impl Run {
    /// Takes a run up where another driver has left it.
    pub fn go_on(&self, past: Past, entries: &[Entry]) {
        {
            let state = &mut *self.state();
            state.restore(entries);
            state.summary.mutations = u32::try_from(past.mutations()).unwrap_or(u32::MAX);
            state.stack.clone_from(&past.stack);
            // A rollback has no script that says so.
            state.environment = past.environment.as_ref().map(|before| Known {
                name: before.name.clone(),
                scope: before.scope.clone(),
                default_tags: before.default_tags.clone(),
            });
        }
        // A run is taken up once.
        let _ = self.replay.set(Replay::new(past));
    }

    /// Whether hooks were registered whose closures this process does not have.
    pub fn has_hooks_of_before(&self) -> bool {
        self.state().undos.has_hooks_of_before()
    }

    /// A person says what became of a call: nothing (`None`) means that it was carried out.
    ///
    /// # Errors
    /// If there is no such call whose outcome is unknown, in words.
    pub fn mark(&self, path: &str, error: Option<Refused>, reason: &str) -> Result<(), String> {
        let Some(replay) = self.replay() else { return Err("the run has not been taken up".to_owned()) };
        replay.settle(path, error.clone())?;
        if error.is_some() {
            self.state().undos.remove(path);
        }
        let said = Some(format!("{}: {reason}", crate::settings::actor()));
        let record = Record::Result { path: path.to_owned(), result: None, error, in_doubt: false, said };
        self.journal().commit(record).map_err(|error| error.to_string())
    }

    /// A person says what became of what a call has changed.
    ///
    /// # Errors
    /// If there is no such change, in words.
    pub fn mark_undo(&self, path: &str, outcome: UndoOutcome, reason: &str) -> Result<(), String> {
        let (undo, all) = {
            let state = self.state();
            (state.undos.description(path), state.undos.paths())
        };
        let undo = undo.ok_or_else(|| {
            let all = all.join("`, `");
            format!("`{path}` is no change of this run that can be taken back; there are `{all}`")
        })?;
        let detail = Some(reason.to_owned());
        self.state().undone.insert(path.to_owned(), (outcome, detail.clone()));
        let by = Some(crate::settings::actor());
        let record = Record::UndoEnded { path: path.to_owned(), undo, outcome, detail, by };
        self.journal().commit(record).map_err(|error| error.to_string())
    }
}

impl History {
    /// What takes a run back, in the order in which that would happen: the call, the words for it, and whether it is done.
    pub fn undo_plan(entries: &[Entry]) -> Vec<(String, String, bool)> {
        let mut state = State::default();
        state.restore(entries);
        let is_done = |path: &str| state.undone.get(path).is_some_and(|(outcome, _)| !outcome.stays());
        let line = |armed: &Armed| match armed {
            Armed::Undo(undo) => {
                let keep = if undo.undo.keep { "keep what would need: " } else { "" };
                (undo.path.clone(), format!("{keep}{}", undo.undo.description), is_done(&undo.path))
            }
            Armed::Hook(hook) => {
                (String::new(), format!("call hook {}", hook.label), state.hooks_run.contains(&hook.label))
            }
        };
        state.undos.in_order().into_iter().map(line).collect()
    }
}

impl State {
    /// What can be taken back, and what has been, as the journal has it.
    fn restore(&mut self, entries: &[Entry]) {
        let mut intents: BTreeMap<&str, (&Intent, Timestamp)> = BTreeMap::new();
        // Calls whose outcome is not known yet.
        let mut under_way: Vec<&str> = Vec::new();
        // When the driver of then was heard of last: until then it may have sent a call again.
        let mut heard = Timestamp::MIN;
        for Entry { at, record } in entries {
            if !matches!(record, Record::Fence { .. }) {
                heard = *at;
            }
            match record {
                Record::Intent(intent) if !self.rolling_back => {
                    intents.insert(&intent.path, (intent, *at));
                    under_way.push(&intent.path);
                }
                // What the driver before left open was in doubt from then on: whatever came later was done after it.
                Record::Fence { .. } => {
                    for path in under_way.drain(..) {
                        self.rearm(intents[path].0, None, heard);
                    }
                }
                Record::Result { path, result, error, in_doubt, said: _ } => {
                    let Some((intent, _)) = intents.get(path.as_str()) else { continue };
                    under_way.retain(|known| *known != path);
                    let result = result.clone().unwrap_or_default();
                    match error {
                        None => {
                            self.fresh.remember(&result, *at);
                            self.rearm(intent, Some(&result), *at);
                        }
                        Some(_) if *in_doubt => self.rearm(intent, None, *at),
                        Some(_) => self.undos.disarm(path),
                    }
                }
                Record::HookArmed { hook } => self.undos.hook(Hook { label: hook.clone(), call: None }),
                Record::Committed { label } => {
                    self.undos.clear();
                    self.committed = Some(label.clone());
                }
                Record::RollbackStarted { .. } => self.rolling_back = true,
                Record::UndoEnded { path, outcome, detail, .. } => {
                    self.undone.insert(path.clone(), (*outcome, detail.clone()));
                }
                Record::HookEnded { hook, error: None } => {
                    self.hooks_run.push(hook.clone());
                }
                _ => {}
            }
        }
        for path in under_way {
            self.rearm(intents[path].0, None, heard);
        }
    }

    /// `result` is what the call recorded, if that is known.
    fn rearm(&mut self, intent: &Intent, result: Option<&Value>, at: Timestamp) {
        let Some(mut undo) = intent.undo.clone().filter(|_| self.committed.is_none()) else { return };
        if let Some(result) = result {
            undo::complete(&mut undo.arguments, result);
        }
        let unresolved = intent.look_up.clone().filter(|_| result.is_none());
        self.undos.arm(ArmedUndo { path: intent.path.clone(), undo, scope: intent.scope.clone(), unresolved, at });
    }
}
