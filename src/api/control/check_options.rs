//! `check_options`: how a function of a script says which options it takes.

use std::sync::Arc;

use rhai::{Dynamic, Engine, Map, NativeCallContext};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{ControlDoc, ControlOptions, decode, options};
use crate::{
    api::{
        bind,
        session::{Result, Session},
    },
    script::{Place, suggest, syntax},
};

pub const CHECK_OPTIONS: ControlDoc = ControlDoc {
    name: "check_options",
    signatures: &["check_options(options, #{ required: […], optional: […] })"],
    description: "\
Fails if an object map that a function of yours was given lacks a key it needs, or has one the function does not
know. In a function with a name, on a parameter and with literal keys, `runner check` looks at the calls of the
function, too.",
    example: r#"fn announce(options) {
    check_options(options, #{ required: ["channel"], optional: ["text"] });
    log(`${options.channel}: ${options.get("text") ?? "deployed"}`);
}"#,
    arity: 2..=2,
    options: Some(ControlOptions::of::<Accepted>(1)),
};

/// The options of a function.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The keys that have to be there.
    #[serde(default)]
    required: Vec<String>,
    /// The other keys that can be there.
    #[serde(default)]
    optional: Vec<String>,
}

impl Accepted {
    /// `None`: it is no description of options.
    pub fn of(description: Value) -> Option<Self> {
        decode(description).ok()
    }

    /// What is wrong with a map that has these keys, in the words of the decoders: unknown ones first.
    pub fn problems(&self, keys: &[&str]) -> Vec<String> {
        let known: Vec<&str> = self.required.iter().chain(&self.optional).map(String::as_str).collect();
        let unknown: Vec<&str> = keys.iter().copied().filter(|key| !known.contains(key)).collect();
        // A key that is meant to be this one is unknown: that says enough.
        let is_meant = |wanted: &str| unknown.iter().any(|key| suggest::closest(key, [wanted]).is_some());
        let missing = self.required.iter().filter(|wanted| !keys.contains(&wanted.as_str()) && !is_meant(wanted));
        let missing = missing.map(|wanted| format!("missing field `{wanted}`"));
        let expected = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        unknown.iter().map(|key| format!("unknown field `{key}`, expected one of {expected}")).chain(missing).collect()
    }
}

pub fn register(engine: &mut Engine, session: &Arc<Session>) {
    let at = Arc::clone(session);
    CHECK_OPTIONS.function(["options: map", "accepted: map"]).register_into_engine(
        engine,
        move |context: NativeCallContext, given: Dynamic, accepted: Dynamic| {
            check_options(&at, &context, &given, accepted)
        },
    );
}

fn check_options(session: &Session, context: &NativeCallContext, given: &Dynamic, accepted: Dynamic) -> Result<()> {
    session.watch.check()?;
    let accepted: Accepted = options(session, context, &CHECK_OPTIONS, accepted)?;
    let function = around(session, context).unwrap_or_else(|| "this function".to_owned());
    let Some(given) = given.read_lock::<Map>() else {
        return Err(bind::no_map(session, context, &function, given).into());
    };
    let keys: Vec<&str> = given.keys().map(|key| key.as_str()).collect();
    match accepted.problems(&keys).first() {
        None => Ok(()),
        Some(problem) => Err(bind::wrong_option(session, context, &function, &[], "", problem).into()),
    }
}

/// The function whose options are checked.
fn around(session: &Session, context: &NativeCallContext) -> Option<String> {
    let ast = session.library.ast(&Place::of_call(context)?.file)?;
    syntax::function_around(&ast, CHECK_OPTIONS.name, context.call_position())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_missing_keys_are_found() {
        let accepted = Accepted { required: vec!["image_id".into(), "min_size".into()], optional: vec!["name".into()] };
        let unknown = |key| format!("unknown field `{key}`, expected one of `image_id`, `min_size`, `name`");
        let table = [
            (vec!["image_id", "min_size"], vec![]),
            (vec!["image_id", "min_size", "name"], vec![]),
            (vec!["image_id"], vec!["missing field `min_size`".to_owned()]),
            (vec!["image_id", "min_siz"], vec![unknown("min_siz")]),
            (vec!["image_id", "colour"], vec![unknown("colour"), "missing field `min_size`".to_owned()]),
        ];
        for (keys, problems) in table {
            assert_eq!(accepted.problems(&keys), problems, "{keys:?}");
        }
    }
}
