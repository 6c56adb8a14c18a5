//! Whose something of Route 53 is that takes tags only once it is there: until it has them, the caller reference it was made
//! with says so.

use std::collections::BTreeMap;

use crate::ops::{
    Error,
    ownership::{Owned, RUN_TAG, STACK_TAG},
};

type TagMap = BTreeMap<String, String>;

/// Something that has a caller reference and tags.
pub struct Referred<T> {
    pub what: T,
    pub id: String,
    pub reference: String,
    pub tags: TagMap,
}

impl<T> Referred<T> {
    /// Without tags, it belongs to whoever makes references that begin so.
    fn is_of(&self, owned: &Owned, prefix: &str) -> bool {
        match self.tags.get(STACK_TAG) {
            Some(owner) => *owner == owned.stack,
            None => self.reference.starts_with(prefix),
        }
    }

    /// The tags to add. One that its maker could not tag any more gets what the maker would have given it.
    pub fn missing(&self, owned: &Owned, prefix: &str) -> TagMap {
        let mut missing = owned.missing(&self.tags);
        let made = self.reference.strip_prefix(prefix);
        if let Some((run, _)) = made.and_then(|made| made.split_once('/'))
            && !self.tags.contains_key(RUN_TAG)
        {
            missing.insert(RUN_TAG.to_owned(), run.to_owned());
        }
        missing
    }
}

/// What the references of a stack's own begin with.
pub fn prefix_of(stack: &str) -> String {
    format!("runner/{stack}/")
}

/// The one that the stack owns, or the one to adopt.
///
/// # Errors
/// If there are several, or it is somebody else's and not to be adopted.
pub fn pick<T>(
    found: Vec<Referred<T>>,
    what: &str,
    owned: &Owned,
    prefix: &str,
    adopt: bool,
) -> Result<Option<Referred<T>>, Error> {
    let (ours, theirs): (Vec<_>, Vec<_>) = found.into_iter().partition(|one| one.is_of(owned, prefix));
    let is_ours = !ours.is_empty();
    let mut candidates = if is_ours { ours } else { theirs };
    let Some(one) = candidates.pop() else { return Ok(None) };
    if let Some(other) = candidates.first() {
        return Err(Error::Ambiguous { what: what.to_owned(), found: vec![one.id, other.id.clone()] });
    }
    if !is_ours {
        owned.check(&format!("{what} ({})", one.id), &one.tags, adopt)?;
    }
    Ok(Some(one))
}
