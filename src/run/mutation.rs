//! What an operation declares before it changes something.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Ctx, undo::Undo};
use crate::ops::Pending;

/// One call that changes AWS, declared before it is sent.
pub struct Mutation {
    pub(super) call: &'static str,
    pub(super) resource: String,
    pub(super) class: Class,
    pub(super) look_up: Option<(&'static LookUp, Value)>,
    pub(super) undo: Option<Undo>,
    pub(super) patience: Option<Patience>,
    /// Its bytes are others each time, or hold a secret.
    pub(super) varies: bool,
    /// What it names besides what it changes.
    pub(super) refers: Vec<String>,
    /// What is taken for its result if a person says that it was carried out.
    pub(super) if_said: Option<Value>,
}

/// What may be done when it is not known whether a call was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Sets or removes: sending it again ends in the same state.
    Idempotent,
    /// Carries a client token: sent again with the same token, it is carried out once.
    Token,
    /// Makes something with a name or tag of its own: looked up before it is sent again.
    Unique,
    /// Cannot be repeated. What it has left, if anything, says that it was carried out; that nothing is found says nothing.
    Once,
}

/// Finds what a call made whose reply was lost. Kept in the journal by name, found in the catalogue.
pub struct LookUp {
    pub name: &'static str,
    /// Gets the declared arguments; returns what the call would have recorded, or `None`.
    pub run: for<'a> fn(&'a Ctx, Value) -> Pending<'a, Option<Value>>,
}

/// Refusals that pass by themselves, like a security group that an interface still uses.
pub(super) struct Patience {
    pub codes: &'static [&'static str],
    pub timeout: std::time::Duration,
}

impl Mutation {
    /// Declares `call` (`ec2:CreateVpc`), which changes `resource` (in the user's words).
    pub fn new(call: &'static str, class: Class, resource: impl Into<String>) -> Self {
        Self {
            call,
            resource: resource.into(),
            class,
            look_up: None,
            undo: None,
            patience: None,
            varies: false,
            refers: Vec::new(),
            if_said: None,
        }
    }

    /// How to find what the call made, should its reply be lost. Needed by [`Class::Unique`].
    pub fn look_up(mut self, look_up: &'static LookUp, arguments: Value) -> Self {
        self.look_up = Some((look_up, arguments));
        self
    }

    /// What takes the call back. The recorded result is added to the undo's arguments.
    pub fn undo(mut self, undo: impl Into<Option<Undo>>) -> Self {
        self.undo = undo.into();
        self
    }

    /// Its bytes are others each time it is made: a new private key is in them. Or they hold a secret that could be guessed
    /// from their digest. They are not compared with those on record, and no digest of them is written down.
    pub fn varies(mut self) -> Self {
        self.varies = true;
        self
    }

    /// The ids and ARNs it names, for services whose "not found" does not say of what: if this run has just made one of
    /// them, AWS has not heard of it everywhere yet.
    pub fn refers_to(mut self, ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.refers = ids.into_iter().map(Into::into).collect();
        self
    }

    /// What is taken for its result if it is of [`Class::Once`], nobody knows what came of it, and a person says that it was
    /// carried out. Without it nobody can say that.
    pub fn if_said(mut self, result: Value) -> Self {
        self.if_said = Some(result);
        self
    }

    /// Repeats the call while AWS refuses it with one of `codes`, for at most `timeout`: for
    /// deletions of what others let go of only after a while.
    pub fn patiently(mut self, codes: &'static [&'static str], timeout: std::time::Duration) -> Self {
        self.patience = Some(Patience { codes, timeout });
        self
    }
}
