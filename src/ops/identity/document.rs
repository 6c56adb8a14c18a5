//! Policy documents: written as object maps, compared by meaning.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value, json};

use crate::ops::{
    Error,
    options::{SECRET, describe},
};

/// A policy document, as an object map or as JSON text. Without a `Version` it is of `2012-10-17`.
#[derive(Clone, Debug)]
pub struct PolicyDocument(pub Value);

impl PolicyDocument {
    /// Reads a trust policy, for which a service or several are shorthand.
    pub fn trust<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let is_name = |value: &Value| value.as_str().is_some_and(|text| !text.trim_start().starts_with('{'));
        let services = match &value {
            Value::Array(names) => !names.is_empty() && names.iter().all(is_name),
            other => is_name(other),
        };
        if !services {
            return Self::read(value).map_err(D::Error::custom);
        }
        let principal = json!({ "Service": value });
        let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole" });
        Ok(Self(json!({ "Version": "2012-10-17", "Statement": [statement] })))
    }

    /// What [`trust`](Self::trust) reads.
    pub fn trust_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "array", "object"], "x-type": "service, services or policy document" })
    }

    /// The document inside a reply: percent-encoded JSON.
    pub fn from_reply(call: &'static str, text: &str) -> Result<Self, Error> {
        let read = percent_decoded(text).and_then(|text| serde_json::from_str(&text).ok());
        read.map(Self).ok_or(Error::Reply { call, member: "readable policy document" })
    }

    fn read(value: Value) -> Result<Self, String> {
        let value = match value {
            Value::String(text) => {
                serde_json::from_str(&text).map_err(|error| format!("the policy document is not JSON: {error}"))?
            }
            other => other,
        };
        if holds_secret(&value) {
            return Err("a policy document cannot hold a secret: whoever may read the policy could read it".into());
        }
        match value {
            Value::Object(mut fields) if fields.contains_key("Statement") => {
                fields.entry("Version").or_insert_with(|| json!("2012-10-17"));
                Ok(Self(Value::Object(fields)))
            }
            Value::Object(_) => Err("expected a policy document, found an object map without `Statement`".into()),
            other => Err(format!("expected a policy document, found {}", describe(&other))),
        }
    }
}

impl std::fmt::Display for PolicyDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl PartialEq for PolicyDocument {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl<'de> Deserialize<'de> for PolicyDocument {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl JsonSchema for PolicyDocument {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "policy document".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["object", "string"], "x-type": "policy document" })
    }
}

fn holds_secret(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.contains_key(SECRET) || fields.values().any(holds_secret),
        Value::Array(items) => items.iter().any(holds_secret),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Whether two documents mean the same: the order of statements, actions, resources and principals says nothing, one
/// value is a list of one, and an account is its root.
pub fn same(a: &Value, b: &Value) -> bool {
    canonical(a) == canonical(b)
}

fn canonical(document: &Value) -> Value {
    let Value::Object(fields) = document else { return document.clone() };
    let mut fields = sorted(fields, |name, value| match name {
        "Statement" => set(value, statement),
        _ => value.clone(),
    });
    // What IAM takes a document without version for.
    fields.entry("Version").or_insert_with(|| json!("2008-10-17"));
    Value::Object(fields)
}

fn statement(value: &Value) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    let mut fields = sorted(fields, |name, value| match name {
        "Action" | "NotAction" => set(value, |action| match action {
            // Actions are told apart without case.
            Value::String(text) => json!(text.to_ascii_lowercase()),
            other => other.clone(),
        }),
        "Resource" | "NotResource" => set(value, Value::clone),
        "Principal" | "NotPrincipal" => principals(value),
        "Condition" => conditions(value),
        _ => value.clone(),
    });
    fields.retain(|name, value| !(name == "Sid" && value == "" || name == "Condition" && value == &json!({})));
    Value::Object(fields)
}

fn principals(value: &Value) -> Value {
    match value {
        Value::String(_) => json!({ "AWS": [value] }),
        Value::Object(kinds) => Value::Object(sorted(kinds, |_, names| set(names, principal))),
        other => other.clone(),
    }
}

/// IAM hands an account number back as the ARN of its root user.
fn principal(name: &Value) -> Value {
    let root = |text: &str| {
        let mut parts = text.split(':');
        let parts: [_; 6] = std::array::from_fn(|_| parts.next().unwrap_or_default());
        (parts[0] == "arn" && parts[2] == "iam" && parts[5] == "root").then(|| parts[4].to_owned())
    };
    name.as_str().and_then(root).map_or_else(|| name.clone(), Value::String)
}

fn conditions(value: &Value) -> Value {
    let Value::Object(operators) = value else { return value.clone() };
    let keys = |_: &str, keys: &Value| match keys {
        Value::Object(keys) => Value::Object(sorted(keys, |_, values| set(values, text))),
        other => other.clone(),
    };
    Value::Object(sorted(operators, keys))
}

/// Numbers and booleans in conditions are text to IAM.
fn text(value: &Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) => json!(value.to_string()),
        other => other.clone(),
    }
}

fn sorted(fields: &Map<String, Value>, each: impl Fn(&str, &Value) -> Value) -> Map<String, Value> {
    let mut fields: Vec<(String, Value)> =
        fields.iter().map(|(name, value)| (name.clone(), each(name, value))).collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    fields.into_iter().collect()
}

fn set(value: &Value, each: impl Fn(&Value) -> Value) -> Value {
    let mut members: Vec<Value> = match value {
        Value::Array(members) => members.iter().map(each).collect(),
        one => vec![each(one)],
    };
    members.sort_by_key(Value::to_string);
    members.dedup();
    Value::Array(members)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match byte {
            b'%' => bytes.push(u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_compared_by_meaning() {
        let ours = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::shop/*",
                "Condition": { "Bool": { "aws:SecureTransport": true } },
            }],
        });
        let theirs = json!({
            "Statement": {
                "Condition": { "Bool": { "aws:SecureTransport": "true" } }, "Sid": "",
                "Resource": ["arn:aws:s3:::shop/*"], "Action": ["S3:PutObject", "s3:GetObject"], "Effect": "Allow",
            },
            "Version": "2012-10-17",
        });
        assert!(same(&ours, &theirs));
        let mut other = theirs.clone();
        other["Statement"]["Effect"] = json!("Deny");
        assert!(!same(&ours, &other));
        let mut older = theirs;
        older.as_object_mut().expect("a map").remove("Version");
        assert!(!same(&ours, &older));
    }

    #[test]
    fn an_account_is_its_root() {
        let trust = |who: &str| json!({ "Statement": { "Principal": { "AWS": who } } });
        assert!(same(&trust("123456789012"), &trust("arn:aws:iam::123456789012:root")));
        assert!(!same(&trust("123456789012"), &trust("arn:aws:iam::123456789012:role/root")));
    }

    #[test]
    fn replies_are_percent_encoded() {
        let document = PolicyDocument::from_reply("iam:GetRole", "%7B%22Id%22%3A%20%22a+b%22%7D").expect("readable");
        assert_eq!(document.0, json!({ "Id": "a+b" }));
        assert!(PolicyDocument::from_reply("iam:GetRole", "%7").is_err());
    }
}
