//! What a forked account showed of a row, kept beside it, so that what is not modelled of it is shown as the account
//! shows it.
//!
//! A row is shown as a merge of three trees: what the account showed, how the row would be shown here if nothing had been
//! changed (what was understood), and how it would be shown now. Where the last two are the same, the account's own
//! words stand: fields that no row has, and fields that are always the same here. Where they differ something was
//! changed, and the row's present words stand.

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AsRead {
    /// By the account.
    pub shown: Value,
    /// What of it the simulator has no model of, so that it must not be changed here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmodelled: Option<String>,
}

impl AsRead {
    /// How the row is shown, if it would be shown as `now` by itself, and as `understood` if nothing had been changed.
    pub fn merged(&self, understood: &Value, now: Value) -> Value {
        merge(&self.shown, understood, now)
    }
}

fn merge(shown: &Value, understood: &Value, now: Value) -> Value {
    if now == *understood {
        return shown.clone();
    }
    match (shown, understood, now) {
        (Value::Object(shown), Value::Object(understood), Value::Object(now)) => {
            let part = |of: &serde_json::Map<String, Value>, name: &str| of.get(name).cloned().unwrap_or(Value::Null);
            let mut merged = shown.clone();
            for (name, now) in now {
                let value = merge(&part(shown, &name), &part(understood, &name), now);
                merged.insert(name, value);
            }
            Value::Object(merged)
        }
        (Value::Array(shown), Value::Array(understood), Value::Array(now)) => {
            let element = |now: Value| match understood.contains(&now) {
                true => shown.iter().find(|shown| covers(shown, &now)).cloned().unwrap_or(now),
                false => now,
            };
            Value::Array(now.into_iter().map(element).collect())
        }
        (_, _, now) => now,
    }
}

/// Whether `shown` says all that `now` says. Replies in XML have text where rows have numbers and switches.
pub fn covers(shown: &Value, now: &Value) -> bool {
    match (shown, now) {
        (_, Value::Null) => true,
        (Value::Object(shown), Value::Object(now)) => {
            now.iter().all(|(name, now)| covers(shown.get(name).unwrap_or(&Value::Null), now))
        }
        (Value::Array(shown), Value::Array(now)) => {
            shown.len() == now.len() && shown.iter().zip(now).all(|(shown, now)| covers(shown, now))
        }
        // An empty list is an empty element.
        (Value::Null, Value::Array(now)) => now.is_empty(),
        (Value::Null, Value::Object(now)) => now.values().all(Value::is_null),
        (shown, now) => text(shown) == text(now),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_did_not_change_is_shown_as_the_account_shows_it() {
        let shown = json!({ "subnetId": "subnet-1", "ipv6Native": "true", "outpostArn": "arn:1", "count": "245" });
        let understood = json!({ "subnetId": "subnet-1", "ipv6Native": false, "count": 251 });
        assert_eq!(merge(&shown, &understood, understood.clone()), shown);
        let now = json!({ "subnetId": "subnet-1", "ipv6Native": false, "count": 244 });
        let wanted = json!({ "subnetId": "subnet-1", "ipv6Native": "true", "outpostArn": "arn:1", "count": 244 });
        assert_eq!(merge(&shown, &understood, now), wanted);
    }

    #[test]
    fn elements_keep_what_is_not_modelled_of_them() {
        let shown =
            json!([{ "to": "10.0.0.0/8", "via": "tgw-1" }, { "to": "0.0.0.0/0", "gateway": "igw-1", "odd": "x" }]);
        let understood = json!([{ "to": "10.0.0.0/8" }, { "to": "0.0.0.0/0", "gateway": "igw-1" }]);
        let now = json!([
            { "to": "0.0.0.0/0", "gateway": "igw-1" }, { "to": "10.9.0.0/16", "gateway": "igw-1" }, { "to": "10.0.0.0/8" },
        ]);
        let wanted = json!([
            { "to": "0.0.0.0/0", "gateway": "igw-1", "odd": "x" }, { "to": "10.9.0.0/16", "gateway": "igw-1" },
            { "to": "10.0.0.0/8", "via": "tgw-1" },
        ]);
        assert_eq!(merge(&shown, &understood, now), wanted);
    }

    #[test]
    fn numbers_are_text_on_the_wire() {
        assert!(covers(
            &json!({ "a": "1", "b": "true", "c": null, "d": "more" }),
            &json!({ "a": 1, "b": true, "c": [] })
        ));
        assert!(!covers(&json!({ "a": "1" }), &json!({ "a": 2 })));
        assert!(!covers(&json!({ "a": ["1"] }), &json!({ "a": [1, 2] })));
    }
}
