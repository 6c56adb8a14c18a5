//! The read-only values that operations return.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine};
use serde_json::{Map, Value};

use super::{convert, session::Result};
use crate::{
    ops::holds_secret,
    script::{Failure, suggest},
};

/// A resource, or something else with named parts, that a script can read and pass on.
#[derive(Clone, Debug, PartialEq)]
pub struct Handle(Arc<Inner>);

#[derive(Debug, PartialEq)]
struct Inner {
    /// `target_group`
    kind: String,
    fields: Map<String, Value>,
}

impl Handle {
    pub fn new(kind: &str, fields: Map<String, Value>) -> Self {
        Self(Arc::new(Inner { kind: kind.to_owned(), fields }))
    }

    pub fn kind(&self) -> &str {
        &self.0.kind
    }

    /// As it travels to an operation: with its kind.
    pub fn to_json(&self) -> Value {
        convert::handle(&self.0.kind, &self.0.fields)
    }

    fn get(&self, name: &str) -> Option<Dynamic> {
        self.0.fields.get(name).map(convert::from_json)
    }

    /// Whether both say the same. With a secret in one of them, that would tell something of it.
    fn equals(&self, other: &Self) -> Result<bool> {
        let holds_one = |handle: &Self| handle.0.fields.values().any(holds_secret);
        if holds_one(self) || holds_one(other) {
            return Err(Failure::new("what holds a secret cannot be compared")
                .help("compare a field that is none, such as its version")
                .into());
        }
        Ok(self == other)
    }

    fn words(&self) -> String {
        self.0.kind.replace('_', " ")
    }

    pub(super) fn missing(&self, name: &str) -> Failure {
        let names = || self.0.fields.keys().map(String::as_str);
        let failure = match self.kind() {
            convert::VARS => Failure::new(format!("the environment has no var `{name}`")),
            _ => Failure::new(format!("{} has no `{name}`", with_article(&self.words()))),
        };
        let known = names().collect::<Vec<_>>().join("`, `");
        failure.help(suggest::did_you_mean(name, names()).unwrap_or_else(|| match (self.kind(), known.is_empty()) {
            (convert::VARS, true) => "add it to the environment's `vars` in runner.toml".into(),
            (_, true) => "it has nothing to read".into(),
            (convert::VARS, false) => format!("runner.toml has `{known}`"),
            (_, false) => format!("it has `{known}`"),
        }))
    }
}

/// `a vpc`, `an auto scaling group`
pub fn with_article(words: &str) -> String {
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {words}")
}

pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Handle>("handle");
    // Properties without a getter are looked up by index.
    engine.register_indexer_get(|handle: &mut Handle, name: &str| -> Result<Dynamic> {
        handle.get(name).ok_or_else(|| handle.missing(name).into())
    });
    engine.register_indexer_set(|handle: &mut Handle, name: &str, value: Dynamic| -> Result<()> {
        // Rhai sets a property after a method call on it, `handle.subnets.map(…)`, to what it was.
        if convert::to_json(&value, convert::Secrets::Refuse)
            .is_ok_and(|value| !holds_secret(&value) && handle.0.fields.get(name) == Some(&value))
        {
            return Ok(());
        }
        let words = handle.words();
        Err(Failure::new(format!(
            "`{name}` of {} cannot be set: what an operation returns is read-only",
            with_article(&words)
        ))
        .help(format!("call the operation that changes the {words}"))
        .into())
    });
    engine.register_fn("get", |handle: &mut Handle, name: &str| handle.get(name).unwrap_or(Dynamic::UNIT));
    engine.register_fn("keys", |handle: &mut Handle| -> Array {
        handle.0.fields.keys().map(|key| Dynamic::from(key.clone())).collect()
    });
    engine.register_fn("contains", |handle: &mut Handle, name: &str| handle.0.fields.contains_key(name));
    engine.register_fn("==", |a: &mut Handle, b: Handle| a.equals(&b));
    engine.register_fn("!=", |a: &mut Handle, b: Handle| a.equals(&b).map(|same| !same));
    for name in ["to_string", "to_debug"] {
        engine.register_fn(name, |handle: &mut Handle| {
            format!("{} {}", handle.words(), convert::shown(&Value::Object(handle.0.fields.clone())))
        });
    }
}
