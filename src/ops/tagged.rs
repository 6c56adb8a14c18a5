//! Tags of resources whose service has calls of its own for them: compared, changed, put back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Error,
    ownership::{Owned, tag_fields},
};
use crate::{
    event::Field,
    run::{Ctx, Undo, UndoAction, Undone},
};

/// A kind of resource, seen by its tags.
pub(crate) trait Tagged {
    /// [`restore`] of this kind, as the catalogue lists it.
    const RESTORE: &'static UndoAction;
    /// The code with which the service says that the resource is not there.
    const GONE: &'static [&'static str];

    async fn read(ctx: &Ctx, id: &str) -> Result<BTreeMap<String, String>, Error>;
    async fn set(ctx: &Ctx, id: &str, tags: &BTreeMap<String, String>, undo: Option<Undo>) -> Result<(), Error>;
    async fn remove(ctx: &Ctx, id: &str, keys: &[String]) -> Result<(), Error>;
}

/// Sets the tags that differ from `found`. Returns what changed.
pub(crate) async fn converge<T: Tagged>(
    ctx: &Ctx,
    id: &str,
    owned: &Owned,
    found: &BTreeMap<String, String>,
) -> Result<Vec<Field>, Error> {
    add::<T>(ctx, id, found, owned.missing(found)).await
}

/// Adds these tags to those that were `found`. Returns what changed.
pub(crate) async fn add<T: Tagged>(
    ctx: &Ctx,
    id: &str,
    found: &BTreeMap<String, String>,
    missing: BTreeMap<String, String>,
) -> Result<Vec<Field>, Error> {
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let before = missing.keys().map(|key| (key.clone(), found.get(key).cloned())).collect();
    let change = TagChange { id: id.to_owned(), before, ours: missing.clone() };
    let arguments = serde_json::to_value(change).unwrap_or_default();
    T::set(ctx, id, &missing, Some(Undo::new(T::RESTORE, format!("restore tags of {id}"), arguments))).await?;
    Ok(tag_fields(found, &missing))
}

/// What a change of tags replaced, and by what.
#[derive(Serialize, Deserialize)]
struct TagChange {
    id: String,
    before: BTreeMap<String, Option<String>>,
    ours: BTreeMap<String, String>,
}

/// Puts changed tags back to what they were; those that somebody else has changed since are left alone.
pub(crate) async fn restore<T: Tagged>(ctx: &Ctx, arguments: Value) -> Result<Undone, Error> {
    let TagChange { id, before, ours } = super::arguments(arguments)?;
    let found = match T::read(ctx, &id).await {
        Ok(found) => found,
        Err(error) if error.is(T::GONE) => return Ok(Undone::Already),
        Err(error) => return Err(error),
    };
    let still_ours = |key: &String| found.get(key) == ours.get(key);
    let (mut set, mut remove) = (BTreeMap::new(), Vec::new());
    for (key, before) in before.into_iter().filter(|(key, _)| still_ours(key)) {
        match before {
            Some(value) => drop(set.insert(key, value)),
            None => remove.push(key),
        }
    }
    if set.is_empty() && remove.is_empty() {
        return Ok(Undone::Already);
    }
    if !set.is_empty() {
        T::set(ctx, &id, &set, None).await?;
    }
    if !remove.is_empty() {
        T::remove(ctx, &id, &remove).await?;
    }
    Ok(Undone::Done)
}
