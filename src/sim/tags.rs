//! Tags, as most services have them: a map by key, written as a list of key and value.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::error::AwsError;
use super::wire::Params;

pub type Tags = BTreeMap<String, String>;

/// Reads a list of `Key`/`Value` structures.
pub fn read(list: &[Params]) -> Result<Tags, AwsError> {
    list.iter()
        .map(|tag| {
            let (key, value) = (tag.str("Key")?, tag.opt_str("Value").unwrap_or_default());
            check(key, value).map(|()| (key.to_owned(), value.to_owned()))
        })
        .collect()
}

/// The limits all of AWS shares: 128 and 256 characters, and `aws:` is AWS's own.
fn check(key: &str, value: &str) -> Result<(), AwsError> {
    if key.is_empty() || key.chars().count() > 128 {
        return Err(AwsError::invalid("Key", key, "Tag keys are 1 to 128 characters long."));
    }
    if key.starts_with("aws:") {
        return Err(AwsError::invalid("Key", key, "Tag keys starting with 'aws:' are reserved for internal use."));
    }
    if value.chars().count() > 256 {
        return Err(AwsError::invalid("Value", value, "Tag values are at most 256 characters long."));
    }
    Ok(())
}

/// `[{"key": …, "value": …}]` with the given names: EC2 writes them small, the others `Key` and `Value`.
pub fn write(tags: &Tags, key: &str, value: &str) -> Value {
    tags.iter().map(|(name, text)| json!({ (key): name, (value): text })).collect()
}
