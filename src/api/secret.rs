//! A secret in a script's hands: it can be passed on, and nothing else.

use std::{fmt, sync::Arc};

use rhai::{Dynamic, Engine, EvalAltResult};

use super::session::Result;
use crate::script::Failure;

/// Text that a script can give to an operation, and not look at.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

fn refused<T>(what: &str) -> Result<T> {
    let failure = Failure::new(format!("a secret cannot be {what}"));
    Err(Box::<EvalAltResult>::from(failure.help("a secret can only be passed to an option of an operation")))
}

pub fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Secret>("secret");
    for name in ["to_string", "to_debug", "to_json", "print", "debug"] {
        engine.register_fn(name, |_: &mut Secret| refused::<String>("turned into text"));
    }
    for name in ["+", "+="] {
        engine.register_fn(name, |_: Secret, _: Dynamic| refused::<Dynamic>("joined with text"));
        engine.register_fn(name, |_: &str, _: Secret| refused::<Dynamic>("joined with text"));
    }
    for name in ["==", "!=", "<", "<=", ">", ">=", "contains"] {
        engine.register_fn(name, |_: Secret, _: Secret| refused::<bool>("compared"));
        engine.register_fn(name, |_: Secret, _: Dynamic| refused::<bool>("compared"));
        engine.register_fn(name, |_: &str, _: Secret| refused::<bool>("compared"));
    }
    engine.register_indexer_get(|_: &mut Secret, _: Dynamic| refused::<Dynamic>("taken apart"));
    engine.register_get("len", |_: &mut Secret| refused::<i64>("measured"));
}
