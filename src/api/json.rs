//! `to_json`: values as text, as operations would get them.
//!
//! Rhai's own writes the Rust names of types it does not know, and goes as deep as a value does.

use rhai::{Array, Dynamic, Engine, ImmutableString, Map, NativeCallContext};

use super::{
    Handle,
    convert::{self, Secrets},
    session::Result,
};
use crate::script::Failure;

pub fn register(engine: &mut Engine) {
    engine.register_fn("to_json", |context: NativeCallContext, map: &mut Map| text(&context, map.clone().into()));
    engine.register_fn("to_json", |context: NativeCallContext, array: &mut Array| text(&context, array.clone().into()));
    engine.register_fn("to_json", |context: NativeCallContext, handle: &mut Handle| {
        text(&context, Dynamic::from(handle.clone()))
    });
}

fn text(context: &NativeCallContext, value: Dynamic) -> Result<ImmutableString> {
    let json = convert::to_json(&value, Secrets::Refuse).map_err(|stuck| {
        let whose = if stuck.path.is_empty() { "the value".to_owned() } else { format!("`{}`", stuck.path) };
        Failure::new(format!("{whose} cannot be written as JSON: it is {}", stuck.found)).at(context)
    })?;
    Ok(convert::shown(&json).to_string().into())
}
