//! Who owns what: the tags that say so, the names made from them, and the check before a change.
//!
//! What AWS can tag at creation carries these tags from its first instant. Nothing is changed or
//! deleted whose `runner:stack` is not the running stack's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Error, Tags};
use crate::{
    event::Field,
    run::{Ctx, hex},
};

/// The stack that owns a resource.
pub const STACK_TAG: &str = "runner:stack";
/// The run that made it. Never rewritten.
pub const RUN_TAG: &str = "runner:run";

/// The name and tags of one resource of the running stack.
#[derive(Clone, Debug)]
pub struct Owned {
    pub stack: String,
    /// The resource's name for AWS: `<stack>-<name>`.
    pub name: String,
    /// What the user asked for, with `Name` and the environment's default tags: what is compared.
    pub wanted: BTreeMap<String, String>,
    run: String,
}

/// Tags that only what one run has made under one name carries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MadeBy(pub BTreeMap<String, String>);

impl Owned {
    /// The identity of the resource a runbook calls `name`.
    ///
    /// # Errors
    /// If the runbook has not named a stack.
    pub fn new(ctx: &Ctx, name: &str, tags: &Tags) -> Result<Self, Error> {
        let stack = ctx.stack()?;
        let name = format!("{stack}-{name}");
        let mut wanted = ctx.defaults().default_tags;
        wanted.extend(tags.0.clone());
        wanted.insert("Name".to_owned(), name.clone());
        wanted.insert(STACK_TAG.to_owned(), stack.clone());
        Ok(Self { stack, name, wanted, run: ctx.run_id().to_owned() })
    }

    /// All tags of a new resource.
    pub fn tags(&self) -> BTreeMap<String, String> {
        let mut tags = self.wanted.clone();
        tags.insert(RUN_TAG.to_owned(), self.run.clone());
        tags
    }

    /// What tells a resource that this run has made from all others: `Name` and the run. Arguments of look-ups.
    pub fn made(&self) -> MadeBy {
        MadeBy(BTreeMap::from([("Name".to_owned(), self.name.clone()), (RUN_TAG.to_owned(), self.run.clone())]))
    }

    /// The name, within a limit of AWS's: what is too long is cut and gets a digest of the whole,
    /// so that two long names stay two.
    pub fn name_within(&self, limit: usize) -> String {
        shorten(&self.name, limit)
    }

    /// Refuses a resource that carries another stack's tags, or none.
    ///
    /// # Errors
    /// [`Error::NotOwned`], unless `adopt`.
    pub fn check(&self, resource: &str, tags: &BTreeMap<String, String>, adopt: bool) -> Result<(), Error> {
        let owner = tags.get(STACK_TAG);
        if owner == Some(&self.stack) || adopt {
            return Ok(());
        }
        Err(Error::NotOwned { resource: resource.to_owned(), stack: self.stack.clone(), owner: owner.cloned() })
    }

    /// The tags that are missing or have another value. Tags nobody asked for are left alone.
    pub fn missing(&self, found: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        self.wanted
            .iter()
            .filter(|(key, value)| found.get(*key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

/// Refuses what does not belong to the running stack.
///
/// # Errors
/// [`Error::NotOwned`], or if no stack is named.
pub fn check_stack(ctx: &Ctx, resource: &str, tags: &BTreeMap<String, String>) -> Result<(), Error> {
    let (stack, owner) = (ctx.stack()?, tags.get(STACK_TAG));
    match owner == Some(&stack) {
        true => Ok(()),
        false => Err(Error::NotOwned { resource: resource.to_owned(), stack, owner: owner.cloned() }),
    }
}

/// `name`, or its beginning and a digest when it is longer than `limit`.
pub fn shorten(name: &str, limit: usize) -> String {
    const DIGEST: usize = 7;
    if name.len() <= limit {
        return name.to_owned();
    }
    let digest = &hex(&Sha256::digest(name))[..DIGEST];
    let kept: String = name.chars().take(limit - DIGEST - 1).collect();
    format!("{}-{digest}", kept.trim_end_matches('-'))
}

/// The fields of a tag change, for the progress line.
pub fn tag_fields(found: &BTreeMap<String, String>, missing: &BTreeMap<String, String>) -> Vec<Field> {
    missing
        .iter()
        .map(|(key, value)| Field {
            name: format!("tags.{key}"),
            before: Some(found.get(key).map_or(Value::Null, |value| json!(value))),
            after: json!(value),
        })
        .collect()
}

/// A field that was set on something new.
pub fn set(name: &str, value: impl Into<Value>) -> Field {
    Field { name: name.to_owned(), before: None, after: value.into() }
}

/// A field that changed.
pub fn changed(name: &str, before: impl Into<Value>, after: impl Into<Value>) -> Field {
    Field { name: name.to_owned(), before: Some(before.into()), after: after.into() }
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn long_names_are_cut_and_stay_different() {
        assert_eq!(shorten("shop-prod-web", 32), "shop-prod-web");
        let blue = shorten("a-rather-long-application-name-prod-blue", 32);
        let green = shorten("a-rather-long-application-name-prod-green", 32);
        assert!(blue.len() <= 32 && green.len() <= 32);
        assert_ne!(blue, green);
        assert!(blue.starts_with("a-rather-long-applicatio"));
    }
}
