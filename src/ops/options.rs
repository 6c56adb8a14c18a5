//! Types that options of operations are made of.

use std::{collections::BTreeMap, fmt, marker::PhantomData, str::FromStr};

use ipnet::{Ipv4Net, Ipv6Net};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

/// Names the kind of a handle, and which of its fields says which resource it is.
pub trait Kind {
    /// `vpc`: said in errors, and carried by the value a script holds.
    const KIND: &'static str;
    /// The field that identifies it to AWS: `vpc_id`.
    const ID: &'static str;
}

/// The key under which a handle's kind travels when a script passes it on.
pub const HANDLE: &str = "$handle";
/// The key under which a secret's text travels from the script to an option.
pub const SECRET: &str = "$secret";

/// A resource of kind `K`, given as the handle an operation returned or as a plain id.
pub struct IdOf<K>(String, PhantomData<fn() -> K>);

impl<K> IdOf<K> {
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into(), PhantomData)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

impl<K> Clone for IdOf<K> {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl<K> fmt::Debug for IdOf<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K> fmt::Display for IdOf<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de, K: Kind> Deserialize<'de> for IdOf<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = || format!("a {} or its {}", words(K::KIND), words(K::ID));
        match Value::deserialize(deserializer)? {
            Value::String(id) if !id.is_empty() => Ok(Self::new(id)),
            Value::Object(fields) => {
                let kind = fields.get(HANDLE).and_then(Value::as_str);
                match (kind, fields.get(K::ID).and_then(Value::as_str)) {
                    (None, Some(id)) => Ok(Self::new(id)),
                    (Some(kind), Some(id)) if kind == K::KIND => Ok(Self::new(id)),
                    (Some(kind), _) => {
                        Err(D::Error::custom(format!("expected {}, found a {}", expected(), words(kind))))
                    }
                    (None, None) => {
                        Err(D::Error::custom(format!("expected {}, found an object without `{}`", expected(), K::ID)))
                    }
                }
            }
            other => Err(D::Error::custom(format!("expected {}, found {}", expected(), describe(&other)))),
        }
    }
}

impl<K: Kind> JsonSchema for IdOf<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        K::KIND.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "object"], "x-type": K::KIND })
    }
}

/// Several resources of kind `K`: what an operation returned that stands for several, a list of handles and ids, or
/// one of either. The order is kept; what is named twice counts once.
pub struct IdsOf<K>(Vec<String>, PhantomData<fn() -> K>);

impl<K> IdsOf<K> {
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    pub fn into_vec(self) -> Vec<String> {
        self.0
    }
}

impl<K> Clone for IdsOf<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<K> Default for IdsOf<K> {
    fn default() -> Self {
        Self(Vec::new(), PhantomData)
    }
}

impl<K> fmt::Debug for IdsOf<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<K: Kind> IdsOf<K> {
    /// A handle of several has them in the field `K::ID`, `subnet_ids`; a part of one has `subnet_id`.
    fn collect<E: serde::de::Error>(&mut self, value: Value) -> Result<(), E> {
        let expected = format!("{} handles or ids", words(K::KIND.strip_suffix('s').unwrap_or(K::KIND)));
        match value {
            Value::String(id) if !id.is_empty() => {
                if !self.0.contains(&id) {
                    self.0.push(id);
                }
                Ok(())
            }
            Value::Array(items) => items.into_iter().try_for_each(|item| self.collect(item)),
            Value::Object(mut fields) => {
                if let Some(kind) = fields.get(HANDLE).and_then(Value::as_str).filter(|kind| *kind != K::KIND) {
                    return Err(E::custom(format!("expected {expected}, found a {}", words(kind))));
                }
                let ids = fields.remove(K::ID).or_else(|| fields.remove(K::ID.strip_suffix('s')?));
                match ids {
                    Some(ids @ (Value::String(_) | Value::Array(_))) => self.collect(ids),
                    _ => Err(E::custom(format!("expected {expected}, found an object without `{}`", K::ID))),
                }
            }
            other => Err(E::custom(format!("expected {expected}, found {}", describe(&other)))),
        }
    }
}

impl<'de, K: Kind> Deserialize<'de> for IdsOf<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut ids = Self::default();
        ids.collect(Value::deserialize(deserializer)?)?;
        Ok(ids)
    }
}

impl<K: Kind> JsonSchema for IdsOf<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("list of {}", K::KIND).into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["array", "object", "string"], "x-type": format!("list of {}", words(K::KIND)) })
    }
}

/// A length of time, written `"90s"`, `"5m"`, `"1h 30m"`, `"30d"`. A day has 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub std::time::Duration);

impl Duration {
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// Whole seconds, as most of AWS's parameters want it.
    pub fn as_secs(self) -> i32 {
        i32::try_from(self.0.as_secs()).unwrap_or(i32::MAX)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::SignedDuration::try_from(self.0) {
            Ok(duration) => write!(f, "{duration:#}"),
            Err(_) => write!(f, "{:?}", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = r#"a duration such as "90s", "5m" or "1h 30m""#;
        let value = Value::deserialize(deserializer)?;
        let Value::String(text) = &value else {
            return Err(D::Error::custom(format!("expected {EXPECTED}, found {}", describe(&value))));
        };
        let parsed =
            text.parse().and_then(|span: jiff::Span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()));
        let parsed = parsed.map_err(|_| D::Error::custom(format!("expected {EXPECTED}, found {text:?}")))?;
        std::time::Duration::try_from(parsed)
            .map(Self)
            .map_err(|_| D::Error::custom(format!("expected {EXPECTED}, found the negative {text:?}")))
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Duration {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-type": "duration" })
    }
}

/// A range of addresses, written `"10.0.0.0/16"`. `N` is [`Ipv4Net`] or [`Ipv6Net`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr<N>(pub N);

/// A family of addresses.
pub trait Family: FromStr + fmt::Display {
    const NAME: &'static str;
    const EXAMPLE: &'static str;
}

impl Family for Ipv4Net {
    const NAME: &'static str = "IPv4 range";
    const EXAMPLE: &'static str = "10.0.0.0/16";
}

impl Family for Ipv6Net {
    const NAME: &'static str = "IPv6 range";
    const EXAMPLE: &'static str = "fd00::/8";
}

impl<N: Family> fmt::Display for Cidr<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de, N: Family> Deserialize<'de> for Cidr<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let range = value.as_str().and_then(|text| text.parse().ok());
        range.map(Self).ok_or_else(|| {
            let found = value.as_str().map_or_else(|| describe(&value), |text| format!("{text:?}"));
            D::Error::custom(format!("expected an {} such as {:?}, found {found}", N::NAME, N::EXAMPLE))
        })
    }
}

impl<N: Family> JsonSchema for Cidr<N> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        N::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-type": N::NAME })
    }
}

/// Text that may be a secret. It is shown nowhere: not in `Debug`, events or the journal.
#[derive(Clone, PartialEq, Eq)]
pub struct Sensitive {
    text: String,
    secret: bool,
}

impl Sensitive {
    /// The text itself, for the one request that needs it.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whether the runbook marked it as a secret.
    pub fn is_secret(&self) -> bool {
        self.secret
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(sensitive)")
    }
}

impl<'de> Deserialize<'de> for Sensitive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self { text, secret: false }),
            Value::Object(mut fields) if fields.contains_key(SECRET) => match fields.remove(SECRET) {
                Some(Value::String(text)) => Ok(Self { text, secret: true }),
                _ => Err(D::Error::custom("expected text or a secret")),
            },
            other => Err(D::Error::custom(format!("expected text or a secret, found {}", describe(&other)))),
        }
    }
}

impl JsonSchema for Sensitive {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "object"], "x-type": "string or secret" })
    }
}

/// A secret that an operation returns: opaque to the runbook.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Secret {
    #[serde(rename = "$secret")]
    text: String,
}

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Whether a secret is in a value, as it travels between script and operations.
pub fn holds_secret(value: &Value) -> bool {
    secret_in(value).is_some()
}

/// Tags a runbook gives a resource, besides those that say who owns it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Tags(pub BTreeMap<String, String>);

/// Where in a value of an option a secret is, as a path.
pub fn secret_in(value: &Value) -> Option<String> {
    match value {
        Value::Object(fields) if fields.contains_key(SECRET) => Some(String::new()),
        Value::Object(fields) => fields.iter().find_map(|(key, value)| Some(format!(".{key}{}", secret_in(value)?))),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, value)| Some(format!("[{index}]{}", secret_in(value)?)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// What a JSON value is, for errors: `the integer 3`.
pub fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(b) => format!("the boolean {b}"),
        Value::Number(n) if n.is_f64() => format!("the number {n}"),
        Value::Number(n) => format!("the integer {n}"),
        Value::String(s) => format!("the string {s:?}"),
        Value::Array(a) => format!("an array of {}", a.len()),
        Value::Object(o) => match o.get(HANDLE).and_then(Value::as_str) {
            Some(kind) => format!("a {}", words(kind)),
            None if o.contains_key(SECRET) => "a secret".into(),
            None => "an object map".into(),
        },
    }
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Vpc;
    impl Kind for Vpc {
        const KIND: &'static str = "vpc";
        const ID: &'static str = "vpc_id";
    }

    #[test]
    fn a_resource_is_a_handle_or_an_id() {
        let read =
            |value| serde_json::from_value::<IdOf<Vpc>>(value).map(|id| id.to_string()).map_err(|e| e.to_string());
        assert_eq!(read(json!("vpc-1")), Ok("vpc-1".into()));
        assert_eq!(read(json!({ "$handle": "vpc", "vpc_id": "vpc-1" })), Ok("vpc-1".into()));
        assert_eq!(
            read(json!({ "$handle": "security_group", "vpc_id": "vpc-1", "group_id": "sg-1" })),
            Err("expected a vpc or its vpc id, found a security group".into())
        );
        assert_eq!(read(json!(7)), Err("expected a vpc or its vpc id, found the integer 7".into()));
    }

    struct Subnets;
    impl Kind for Subnets {
        const KIND: &'static str = "subnets";
        const ID: &'static str = "subnet_ids";
    }

    #[test]
    fn several_resources_are_a_handle_or_a_list() {
        let read =
            |value| serde_json::from_value::<IdsOf<Subnets>>(value).map(IdsOf::into_vec).map_err(|e| e.to_string());
        let handle = json!({ "$handle": "subnets", "subnet_ids": ["subnet-1", "subnet-2"] });
        assert_eq!(read(handle.clone()), Ok(vec!["subnet-1".into(), "subnet-2".into()]));
        assert_eq!(read(json!([handle, "subnet-3", "subnet-1"])).map(|ids| ids.len()), Ok(3));
        assert_eq!(read(json!({ "subnet_id": "subnet-1", "cidr_block": "10.0.0.0/24" })), Ok(vec!["subnet-1".into()]));
        assert_eq!(
            read(json!([{ "$handle": "vpc", "vpc_id": "vpc-1" }])),
            Err("expected subnet handles or ids, found a vpc".into())
        );
        assert_eq!(read(json!([7])), Err("expected subnet handles or ids, found the integer 7".into()));
    }

    #[test]
    fn durations_are_strings() {
        let read = |value| serde_json::from_value::<Duration>(value).map(Duration::as_secs).map_err(|e| e.to_string());
        assert_eq!(read(json!("90s")), Ok(90));
        assert_eq!(read(json!("1h 30m")), Ok(5400));
        assert_eq!(read(json!("30d")), Ok(30 * 24 * 3600));
        assert!(read(json!("1 month")).is_err(), "months differ in length");
        assert_eq!(
            read(json!(90)),
            Err(r#"expected a duration such as "90s", "5m" or "1h 30m", found the integer 90"#.into())
        );
    }

    #[test]
    fn ranges_are_strings() {
        let v4 = |value| {
            serde_json::from_value::<Cidr<Ipv4Net>>(value).map(|range| range.to_string()).map_err(|e| e.to_string())
        };
        assert_eq!(v4(json!("10.0.0.0/16")), Ok("10.0.0.0/16".into()));
        for (wrong, found) in
            [(json!("10"), "\"10\""), (json!("fd00::/8"), "\"fd00::/8\""), (json!(10), "the integer 10")]
        {
            assert_eq!(v4(wrong), Err(format!("expected an IPv4 range such as \"10.0.0.0/16\", found {found}")));
        }
        let v6 = serde_json::from_value::<Cidr<Ipv6Net>>(json!("::/0")).map(|range| range.to_string());
        assert_eq!(v6.ok().as_deref(), Some("::/0"));
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret: Sensitive = serde_json::from_value(json!({ SECRET: "hunter2" })).expect("a secret");
        assert_eq!(format!("{secret:?}"), "(sensitive)");
        assert_eq!(secret.expose(), "hunter2");
    }
}
