//! The parameters of a call: one tree for every protocol, read by dotted paths such as `Placement.AvailabilityZone`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::sim::error::AwsError;

/// Structures are objects, lists are arrays. Scalars of the query and XML protocols are strings, so every accessor
/// takes a string where JSON would have a number or a boolean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Params(pub Value);

impl Params {
    pub fn get(&self, path: &str) -> Option<&Value> {
        path.split('.').try_fold(&self.0, |value, name| value.get(name)).filter(|value| !value.is_null())
    }

    pub fn has(&self, path: &str) -> bool {
        self.get(path).is_some()
    }

    pub fn opt_str(&self, path: &str) -> Option<&str> {
        self.get(path).and_then(Value::as_str)
    }

    pub fn str(&self, path: &str) -> Result<&str, AwsError> {
        self.opt_str(path).ok_or_else(|| AwsError::missing(path))
    }

    pub fn opt_int(&self, path: &str) -> Result<Option<i64>, AwsError> {
        self.scalar(path, "Expected an integer.", Value::as_i64)
    }

    pub fn int(&self, path: &str) -> Result<i64, AwsError> {
        self.opt_int(path)?.ok_or_else(|| AwsError::missing(path))
    }

    pub fn opt_bool(&self, path: &str) -> Result<Option<bool>, AwsError> {
        self.scalar(path, "Expected true or false.", Value::as_bool)
    }

    pub fn bool(&self, path: &str) -> Result<bool, AwsError> {
        self.opt_bool(path)?.ok_or_else(|| AwsError::missing(path))
    }

    fn scalar<T: std::str::FromStr>(
        &self,
        path: &str,
        expected: &str,
        typed: fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, AwsError> {
        let Some(value) = self.get(path) else {
            return Ok(None);
        };
        let read = typed(value).or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        read.map(Some).ok_or_else(|| AwsError::invalid(path, value, expected))
    }

    /// A structure; an absent one is empty.
    pub fn part(&self, path: &str) -> Params {
        self.get(path).cloned().map(Params).unwrap_or_default()
    }

    /// Text of a reply; absent text is empty.
    pub fn text(&self, path: &str) -> String {
        self.opt_str(path).unwrap_or_default().to_owned()
    }

    /// A number of a reply, or the default.
    pub fn number(&self, path: &str, default: i64) -> i64 {
        self.opt_int(path).ok().flatten().unwrap_or(default)
    }

    /// A switch of a reply; an absent one is off.
    pub fn flag(&self, path: &str) -> bool {
        self.opt_bool(path).ok().flatten().unwrap_or(false)
    }

    /// A time of a reply: text, or seconds since 1970. An absent one is long ago.
    pub fn time(&self, path: &str) -> jiff::Timestamp {
        let time = match self.get(path) {
            Some(Value::String(text)) => text.parse().ok(),
            // Whole milliseconds: a fraction of seconds is not exact.
            Some(Value::Number(seconds)) => {
                seconds.as_f64().and_then(|secs| jiff::Timestamp::from_millisecond((secs * 1000.0).round() as i64).ok())
            }
            _ => None,
        };
        time.unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// A list of keys and values of a reply as a map.
    pub fn map(&self, list: &str, key: &str, value: &str) -> std::collections::BTreeMap<String, String> {
        self.list(list).iter().map(|entry| (entry.text(key), entry.text(value))).collect()
    }

    /// The parameters without those that say nothing: empty elements of a reply.
    pub fn without_nulls(&self) -> Params {
        Params(without_nulls(&self.0))
    }

    /// The structures of a list; an absent list is an empty one.
    pub fn list(&self, path: &str) -> Vec<Params> {
        self.elements(path).iter().cloned().map(Params).collect()
    }

    /// The strings of a list; an absent list is an empty one.
    pub fn strings(&self, path: &str) -> Vec<&str> {
        self.elements(path).iter().filter_map(Value::as_str).collect()
    }

    // The query protocol writes an empty list as an empty string.
    fn elements(&self, path: &str) -> &[Value] {
        self.get(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Every path that is set, list indices folded: `TagSpecification[].Tag[].Key`.
    pub fn paths(&self) -> Vec<String> {
        fn walk(value: &Value, path: String, into: &mut Vec<String>) {
            match value {
                Value::Object(fields) if !fields.is_empty() => {
                    for (name, value) in fields {
                        let dot = if path.is_empty() { "" } else { "." };
                        walk(value, format!("{path}{dot}{name}"), into);
                    }
                }
                Value::Array(elements) if !elements.is_empty() => {
                    elements.iter().for_each(|element| walk(element, format!("{path}[]"), into));
                }
                _ if path.is_empty() || into.contains(&path) => {}
                _ => into.push(path),
            }
        }
        let mut paths = Vec::new();
        walk(&self.0, String::new(), &mut paths);
        paths
    }

    /// Builds the tree of `Filter.1.Value.2=x` pairs: a structure whose names are all numbers is a list.
    pub(super) fn from_pairs(pairs: impl Iterator<Item = (String, String)>) -> Params {
        let mut root = Value::Object(Map::new());
        for (name, text) in pairs {
            let mut at = &mut root;
            for part in name.split('.') {
                if !at.is_object() {
                    *at = Value::Object(Map::new());
                }
                at = &mut at[part];
            }
            *at = Value::String(text);
        }
        Params(fold(root))
    }
}

/// The value without fields that are null, however deep.
pub fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        Value::Array(elements) => Value::Array(elements.iter().map(without_nulls).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn fold(value: Value) -> Value {
    let Value::Object(fields) = value else {
        return value;
    };
    let mut numbered: Vec<(usize, &String)> =
        fields.keys().filter_map(|name| Some((name.parse().ok()?, name))).collect();
    if fields.is_empty() || numbered.len() < fields.len() {
        return Value::Object(fields.into_iter().map(|(name, value)| (name, fold(value))).collect());
    }
    numbered.sort_unstable();
    Value::Array(numbered.into_iter().map(|(_, name)| fold(fields[name].clone())).collect())
}
