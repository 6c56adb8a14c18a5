//! Something that has one value at a time: the target of a route, the route table of a subnet. It is changed by one
//! call, which is found again and taken back by comparing values.
//!
//! Such calls are refused when they are repeated — the route exists, the association has a new id — so that none of
//! them counts as idempotent.

use std::future::Future;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    ops::{Error, arguments},
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// What has a value. Kept in the journal.
pub trait Setting: Serialize + DeserializeOwned {
    type Value: Serialize + DeserializeOwned + PartialEq;
    /// Runs [`is_set`].
    const LOOK_UP: &'static LookUp;
    /// Runs [`restore`].
    const UNDO: &'static UndoAction;

    /// In the user's words: `route to 0.0.0.0/0 of rtb-1`.
    fn subject(&self) -> String;

    /// The value it has now, after it was set to `ours`: what that names may be so new that lists do not show it.
    /// `None` if what it belongs to is gone.
    fn now(&self, ctx: &Ctx, ours: &Self::Value) -> impl Future<Output = Result<Option<Self::Value>, Error>>;

    /// Sends the call that makes `to` of `from`, declared by `declare`.
    fn send(
        &self,
        ctx: &Ctx,
        from: &Self::Value,
        to: &Self::Value,
        declare: impl FnOnce(&'static str) -> Mutation,
    ) -> impl Future<Output = Result<(), Error>>;
}

/// Whether a change is undone.
#[derive(Clone, Copy, Debug)]
pub enum Undoing {
    Yes,
    /// `keep_on_rollback` says that it stays.
    Keep,
    /// It goes with what it belongs to, or is an undo itself.
    No,
}

/// A change as look-up and undo read it back.
#[derive(Serialize, Deserialize)]
struct Change<S, V> {
    #[serde(flatten)]
    setting: S,
    before: V,
    ours: V,
}

/// Changes the value.
pub async fn set<S: Setting>(
    ctx: &Ctx,
    setting: &S,
    before: &S::Value,
    ours: &S::Value,
    undoing: Undoing,
) -> Result<(), Error> {
    let change = json!(Change { setting, before, ours });
    let subject = setting.subject();
    let declare = |call| {
        let declared = Mutation::new(call, Class::Unique, &subject).look_up(S::LOOK_UP, change.clone());
        let keep = match undoing {
            Undoing::No => return declared,
            Undoing::Yes => false,
            Undoing::Keep => true,
        };
        declared.undo(Undo::new(S::UNDO, format!("restore {subject}"), change.clone()).keep(keep))
    };
    setting.send(ctx, before, ours, declare).await
}

/// Finds out whether a change was carried out.
pub async fn is_set<S: Setting>(ctx: &Ctx, change: Value) -> Result<Option<Value>, Error> {
    let Change::<S, S::Value> { setting, ours, .. } = arguments(change)?;
    Ok(setting.now(ctx, &ours).await?.is_some_and(|now| now == ours).then_some(Value::Null))
}

/// Sets the value back, unless somebody else has changed it since.
pub async fn restore<S: Setting>(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let Change::<S, S::Value> { setting, before, ours } = arguments(change)?;
    let Some(now) = setting.now(ctx, &ours).await? else { return Ok(Undone::Already) };
    if now == before {
        return Ok(Undone::Already);
    }
    if now != ours {
        return Ok(Undone::Foreign(format!("expected {}, found {}", json!(ours), json!(now))));
    }
    set(ctx, &setting, &now, &before, Undoing::No).await?;
    Ok(Undone::Done)
}
