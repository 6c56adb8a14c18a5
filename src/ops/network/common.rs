//! What the operations on networks share: found by name, by tags, by id.

use std::{collections::BTreeMap, time::Duration};

use crate::ops::{Error, ec2_tags, ownership::STACK_TAG};
use aws_sdk_ec2::types::{Filter, Tag};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_id() {
        assert!(is_id("vpc-0123456789abcdef0", "vpc-"));
        assert!(!is_id("vpc-main", "vpc-"));
    }
}
