//! How operations and undos end, said in one way: what changed, what cannot, what was gone or is another's.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Error, ownership::changed};
use crate::{
    event::{Change, Field},
    run::{Ctx, Undone},
};

/// Refuses a difference that AWS cannot change in place.
///
/// # Errors
/// [`Error::NeedsReplacement`]
pub fn fixed(resource: &str, field: &'static str, found: &str, wanted: &str) -> Result<(), Error> {
    if found == wanted {
        return Ok(());
    }
    let (resource, found, wanted) = (resource.to_owned(), found.to_owned(), wanted.to_owned());
    Err(Error::NeedsReplacement { resource, field, found, wanted })
}

/// Says what became of a resource that was there.
pub fn report(ctx: &Ctx, fields: Vec<Field>) {
    let change = if fields.is_empty() { Change::Unchanged } else { Change::Updated };
    ctx.did(change, fields);
}

/// How an undo that deletes ended: `gone` are the codes of what is not there any more.
///
/// # Errors
/// All others.
pub fn deleted(outcome: Result<(), Error>, gone: &[&str]) -> Result<Undone, Error> {
    match outcome {
        Ok(()) => Ok(Undone::Done),
        Err(error) if error.is(gone) => Ok(Undone::Already),
        Err(error) => Err(error),
    }
}

/// How an undo that sets something back ends when it need not, or must not, change what it finds.
pub fn nothing_to_undo<T: PartialEq + Serialize>(found: &T, before: &T, ours: &T) -> Option<Undone> {
    if found == before {
        return Some(Undone::Already);
    }
    (found != ours).then(|| Undone::Foreign(format!("expected {}, found {}", json!(ours), json!(found))))
}

/// The members of what is wanted that are there otherwise. One that is not there is null.
pub fn differences(found: &Map<String, Value>, wanted: &Map<String, Value>) -> Vec<Field> {
    let before = |name: &String| found.get(name).cloned().unwrap_or_default();
    let differ = wanted.iter().filter(|(name, value)| before(name) != **value);
    differ.map(|(name, value)| changed(name, before(name), value.clone())).collect()
}
