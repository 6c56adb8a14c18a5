//! What takes a change back: data while the run goes forward, code when it goes back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Ctx, rollback::Hook};
use crate::{
    aws::Scope,
    ops::{Pending, catalog},
};

/// The code of an undo. Journals name it; the catalogue finds it again.
pub struct UndoAction {
    pub name: &'static str,
    /// Gets the declared arguments, completed by the recorded result of the call.
    pub run: for<'a> fn(&'a Ctx, Value) -> Pending<'a, Undone>,
}

/// How an undo ended, if it did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    Done,
    /// Nothing to do: it was gone already, or has its old value.
    Already,
    /// Somebody else has changed it since; it was left alone. Says what was expected and found.
    Foreign(String),
    /// AWS has no call that brings it back.
    Impossible,
}

/// Stands for what cannot be taken back, so that a rollback says so and is no clean one.
pub const IMPOSSIBLE: UndoAction =
    UndoAction { name: "impossible", run: |_, _| Box::pin(async { Ok(Undone::Impossible) }) };

/// When an undo has its turn. Traffic must not move back onto a fleet that was shrunk meanwhile,
/// and nothing is deleted that still gets traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// First: the old fleet gets its size back.
    Capacity,
    /// Then: the weights return to what they were.
    Traffic,
    /// Then everything else, newest first.
    Rest,
}

/// A declared undo: which code, with which arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    pub action: String,
    /// In the user's words: `delete vpc main`.
    pub description: String,
    pub arguments: Value,
    pub phase: Phase,
    /// The user asked to keep it: it is listed, and not run.
    pub keep: bool,
    /// Several changes of one thing are one undo, to the first value: the field `ours` of the
    /// arguments follows, the others stay.
    pub key: Option<String>,
    /// What this is about rests on what was done before it: if it stays, so does that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub rests: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Undo {
    pub fn new(action: &'static UndoAction, description: impl Into<String>, arguments: Value) -> Self {
        Self {
            action: action.name.to_owned(),
            description: description.into(),
            arguments,
            phase: Phase::Rest,
            keep: false,
            key: None,
            rests: false,
        }
    }

    /// It is a fleet, or something else that goes on working and needs what was made before it. See [`Undo::rests`].
    pub fn rests(mut self) -> Self {
        self.rests = true;
        self
    }

    /// Nothing takes this change back. `description` is what would have to be done: `bring back nat gateway nat-1`.
    pub fn impossible(description: impl Into<String>) -> Self {
        Self::new(&IMPOSSIBLE, description, Value::Null)
    }

    pub fn is_impossible(&self) -> bool {
        self.action == IMPOSSIBLE.name
    }

    pub fn phase(mut self, phase: Phase) -> Self {
        self.phase = phase;
        self
    }

    /// `keep_on_rollback` of the operation.
    pub fn keep(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// Merges this undo with an earlier one of the same key; see [`Undo::key`].
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

/// Undos and hooks in the order in which they were registered.
#[derive(Default)]
pub(super) struct UndoStack {
    entries: Vec<Armed>,
}

/// What will be done in a rollback, with what it needs.
pub(super) enum Armed {
    Undo(Box<ArmedUndo>),
    Hook(Hook),
}

/// An undo whose call was sent.
#[derive(Clone)]
pub(super) struct ArmedUndo {
    /// Of the call.
    pub path: String,
    pub undo: Undo,
    pub scope: Scope,
    /// The call's outcome is not known: look for what it made before undoing it.
    pub unresolved: Option<(String, Value)>,
    /// When the last change of what it is about was sent.
    pub at: Timestamp,
}

impl UndoStack {
    /// Whether it is one more, not the next value of a thing that has an undo, nor one that was in doubt.
    pub fn arm(&mut self, armed: ArmedUndo) -> bool {
        let same_thing = |first: &ArmedUndo| {
            first.undo.key.is_some() && first.undo.key == armed.undo.key && first.scope == armed.scope
        };
        let mut undos = self.entries.iter_mut().filter_map(|entry| match entry {
            Armed::Undo(undo) => Some(undo),
            Armed::Hook(_) => None,
        });
        match undos.find(|first| first.path == armed.path || same_thing(first)) {
            // What an earlier driver left in doubt is known now.
            Some(first) if !same_thing(first) => **first = armed,
            Some(first) => {
                if let (Some(arguments), Some(ours)) =
                    (first.undo.arguments.as_object_mut(), armed.undo.arguments.get("ours"))
                {
                    arguments.insert("ours".to_owned(), ours.clone());
                }
                first.at = armed.at;
            }
            None => {
                self.entries.push(Armed::Undo(Box::new(armed)));
                return true;
            }
        }
        false
    }

    /// The call of that path was not carried out, as it turned out.
    pub fn disarm(&mut self, path: &str) {
        self.entries
            .retain(|entry| !matches!(entry, Armed::Undo(undo) if undo.path == path && undo.unresolved.is_some()));
    }

    /// A person says that the call of that path was not carried out.
    pub fn remove(&mut self, path: &str) {
        self.entries.retain(|entry| !matches!(entry, Armed::Undo(undo) if undo.path == path));
    }

    /// Keeps a hook; in the place of one that an earlier driver of the run had.
    pub fn hook(&mut self, hook: Hook) {
        let of_before = self.entries.iter_mut().find_map(|entry| match entry {
            Armed::Hook(known) if known.call.is_none() && known.label == hook.label => Some(known),
            _ => None,
        });
        match of_before {
            Some(known) => *known = hook,
            None => self.entries.push(Armed::Hook(hook)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether there are hooks whose closures are not known.
    pub fn has_hooks_of_before(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry, Armed::Hook(hook) if hook.call.is_none()))
    }

    /// What takes the call of that path back, in words.
    pub fn description(&self, path: &str) -> Option<String> {
        self.undos().find(|undo| undo.path == path).map(|undo| undo.undo.description.clone())
    }

    /// The calls that can be taken back.
    pub fn paths(&self) -> Vec<String> {
        self.undos().map(|undo| undo.path.clone()).collect()
    }

    fn undos(&self) -> impl Iterator<Item = &ArmedUndo> {
        self.entries.iter().filter_map(|entry| match entry {
            Armed::Undo(undo) => Some(&**undo),
            Armed::Hook(_) => None,
        })
    }

    /// The entries in the order of the rollback: capacity, traffic, then the rest with the hooks, each newest first.
    pub fn in_order(&self) -> Vec<&Armed> {
        let mut entries: Vec<&Armed> = self.entries.iter().rev().collect();
        entries.sort_by_key(|entry| entry.phase());
        entries
    }

    /// Takes all entries, in that order.
    pub fn take(&mut self) -> Vec<Armed> {
        let mut entries = std::mem::take(self).entries;
        entries.reverse();
        entries.sort_by_key(Armed::phase);
        entries
    }
}

impl Armed {
    fn phase(&self) -> Phase {
        match self {
            Self::Undo(armed) => armed.undo.phase,
            Self::Hook(_) => Phase::Rest,
        }
    }
}

/// The code of the undo called `name`.
pub(super) fn find(name: &str) -> Option<&'static UndoAction> {
    catalog::UNDOS.iter().copied().find(|action| action.name == name)
}

/// Adds what the call recorded to the arguments of its undo.
pub(super) fn complete(arguments: &mut Value, result: &Value) {
    if let (Value::Object(arguments), Value::Object(result)) = (&mut *arguments, result) {
        arguments.extend(result.clone());
    } else if arguments.is_null() {
        *arguments = if result.is_null() { Value::Object(Map::new()) } else { result.clone() };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn armed(name: &str, phase: Phase, key: Option<&str>, arguments: Value) -> ArmedUndo {
        let undo = Undo {
            action: name.into(),
            description: name.into(),
            arguments,
            phase,
            keep: false,
            key: key.map(str::to_owned),
            rests: false,
        };
        // Each is of a call of its own.
        let path = fastrand::u64(..).to_string();
        let scope = Scope { region: "eu-west-1".into(), role_arn: None, external_id: None };
        ArmedUndo { path, undo, scope, unresolved: None, at: Timestamp::UNIX_EPOCH }
    }

    /// A rollback in another process has to leave the same things alone.
    #[test]
    fn an_undo_comes_back_from_a_journal_as_it_was() {
        for undo in [armed("a", Phase::Rest, None, json!({ "id": 1 })).undo.rests(), Undo::impossible("bring it back")]
        {
            let written = serde_json::to_string(&undo).expect("it serialises");
            assert_eq!(serde_json::from_str::<Undo>(&written).expect("it was one"), undo);
        }
    }

    fn names(entries: Vec<Armed>) -> Vec<String> {
        entries
            .into_iter()
            .map(|entry| match entry {
                Armed::Undo(armed) => armed.undo.action,
                Armed::Hook(hook) => hook.label,
            })
            .collect()
    }

    #[test]
    fn capacity_then_traffic_then_the_rest_backwards() {
        let mut stack = UndoStack::default();
        stack.arm(armed("vpc", Phase::Rest, None, json!({})));
        stack.arm(armed("size", Phase::Capacity, None, json!({})));
        stack.hook(Hook { label: "tell".into(), call: Some(Box::new(|| Ok(()))) });
        stack.arm(armed("weights", Phase::Traffic, None, json!({})));
        stack.arm(armed("group", Phase::Rest, None, json!({})));
        assert_eq!(names(stack.take()), ["size", "weights", "group", "tell", "vpc"]);
        assert!(stack.take().is_empty());
    }

    #[test]
    fn several_changes_of_one_field_are_one_undo_to_the_first_value() {
        let mut stack = UndoStack::default();
        for (before, ours) in [(0, 10), (10, 50), (50, 100)] {
            stack.arm(armed("weights", Phase::Traffic, Some("listener"), json!({ "before": before, "ours": ours })));
        }
        let Some(Armed::Undo(only)) = stack.take().pop() else { panic!("one undo") };
        assert_eq!(only.undo.arguments, json!({ "before": 0, "ours": 100 }));
    }

    proptest::proptest! {
        /// Whatever was armed, in whatever order: each change once, phases in order, newest first within a phase, and
        /// several changes of one thing end at its first value.
        #[test]
        fn the_order_of_a_rollback(changes in proptest::collection::vec((0_u8..3, 0_u8..4, proptest::bool::ANY), 0..40)) {
            let mut stack = UndoStack::default();
            let mut firsts = BTreeMap::new();
            for (index, (phase, thing, keyed)) in changes.iter().enumerate() {
                let phase = [Phase::Capacity, Phase::Traffic, Phase::Rest][usize::from(*phase)];
                let key = keyed.then(|| format!("{phase:?} {thing}"));
                if let Some(key) = &key {
                    firsts.entry(key.clone()).or_insert(index);
                }
                stack.arm(armed("undo", phase, key.as_deref(), json!({ "before": index, "ours": index })));
            }
            let singles = changes.iter().filter(|(.., keyed)| !keyed).count();
            let taken: Vec<(Phase, u64)> = stack.take().iter().map(|entry| {
                let Armed::Undo(armed) = entry else { panic!("no hooks here") };
                if let Some(key) = &armed.undo.key {
                    assert_eq!(armed.undo.arguments["before"], firsts[key], "the first value");
                }
                (armed.undo.phase, armed.undo.arguments["before"].as_u64().expect("a number"))
            }).collect();
            proptest::prop_assert_eq!(taken.len(), singles + firsts.len());
            for pair in taken.windows(2) {
                proptest::prop_assert!(pair[0].0 < pair[1].0 || (pair[0].0 == pair[1].0 && pair[0].1 > pair[1].1));
            }
        }
    }
}
