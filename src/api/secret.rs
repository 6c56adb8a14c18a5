//! A secret in a script's hands: it can be passed on, and nothing else.

use std::{fmt, sync::Arc};

use rhai::{Dynamic, Engine, NativeCallContext};

use super::session::Result;
use crate::script::{Failure, Watch};

/// Text that a script can give to an operation, and not look at.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub(in crate::api) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

fn refusal(what: &str) -> Failure {
    Failure::new(format!("a secret cannot be {what}")).help("a secret can only be passed to an option of an operation")
}

fn refused<T>(what: &str) -> Result<T> {
    Err(refusal(what).into())
}

pub fn register(engine: &mut Engine, watch: &Arc<Watch>) {
    engine.register_type_with_name::<Secret>("secret");
    for name in ["to_string", "to_debug", "to_json"] {
        let watch = Arc::clone(watch);
        engine.register_fn(name, move |context: NativeCallContext, _: &mut Secret| -> Result<String> {
            // Where Rhai makes text by itself it ignores errors, and shows the name of the type:
            // harmless, and not what was meant. So the script ends here.
            Err(watch.fail(refusal("turned into text").at(&context)))
        });
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
    engine.register_fn("len", |_: &mut Secret| refused::<i64>("measured"));
}
