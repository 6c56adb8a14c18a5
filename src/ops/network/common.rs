//! What the operations on networks share: found by name, compared, reported, deleted.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_ec2::types::{Filter, Tag};
use serde::Serialize;
use serde_json::json;

use crate::{
    event::{Change, Field},
    ops::{Error, ec2_tags, ownership::STACK_TAG},
    run::{Ctx, Undone},
};

/// How long something may still be in use after what used it was deleted: interfaces of load balancers linger for
/// minutes.
pub const LET_GO: Duration = Duration::from_secs(20 * 60);
/// Given for as long.
pub const IN_USE: &[&str] = &["DependencyViolation", "InvalidGroup.InUse", "InvalidIPAddress.InUse"];

/// A filter of a describe.
pub fn filter(name: impl Into<String>, value: impl Into<String>) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// Filters by tags.
pub fn tag_filters(tags: &BTreeMap<String, String>) -> Vec<Filter> {
    tags.iter().map(|(key, value)| filter(format!("tag:{key}"), value)).collect()
}

/// Whether all of `wanted` are there. Filters are checked on our side again: not every AWS-compatible endpoint knows
/// them all, and to adopt somebody else's network would be a serious fault.
pub fn has_tags(tags: &[Tag], wanted: &BTreeMap<String, String>) -> bool {
    let tags = ec2_tags::from_ec2(tags);
    wanted.iter().all(|(key, value)| tags.get(key) == Some(value))
}

/// Whether the `Name` tag is `name`.
pub fn is_named(tags: &[Tag], name: &str) -> bool {
    name_of(tags) == name
}

/// The `Name` tag.
pub fn name_of(tags: &[Tag]) -> &str {
    tags.iter().find(|tag| tag.key() == Some("Name")).and_then(Tag::value).unwrap_or_default()
}

/// Whether the stack owns it.
pub fn is_of_stack(tags: &[Tag], stack: &str) -> bool {
    tags.iter().any(|tag| tag.key() == Some(STACK_TAG) && tag.value() == Some(stack))
}

/// Whether `text` is an id as EC2 makes them: `vpc-` and hexadecimal digits, eight or more.
pub fn is_id(text: &str, prefix: &str) -> bool {
    let digits = text.strip_prefix(prefix).unwrap_or_default();
    digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The one that was found, or none.
///
/// # Errors
/// [`Error::Ambiguous`] if there are several.
pub fn only<T>(what: &str, found: Vec<T>, id: impl Fn(&T) -> Option<&str>) -> Result<Option<T>, Error> {
    if found.len() > 1 {
        let found = found.iter().map(|one| id(one).unwrap_or_default().to_owned()).collect();
        return Err(Error::Ambiguous { what: what.to_owned(), found });
    }
    Ok(found.into_iter().next())
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_id() {
        assert!(is_id("vpc-0123456789abcdef0", "vpc-"));
        assert!(!is_id("vpc-main", "vpc-"));
    }
}
