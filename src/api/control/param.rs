//! `param`: what a runbook asks the person who runs it.

use std::{collections::BTreeSet, sync::Arc};

use rhai::{Dynamic, Engine, Map, NativeCallContext};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{ControlDoc, ControlOptions, options};
use crate::{
    api::{
        Secret, bind, convert,
        failure::Usage,
        session::{Result, Session},
    },
    script::{Failure, Runbook, Stdlib, suggest},
};

pub const PARAM: ControlDoc = ControlDoc {
    name: "param",
    signatures: &[r#"param("image")"#, r#"param("image", #{ … })"#],
    description: "\
A value given with `--param NAME=VALUE` or in a file of parameters. Without `default_value` it is required,
unless `required: false` makes it `()`.",
    example: r#"let image = param("image", #{ help: "AMI to deploy" });
let size = param("size", #{ type: "integer", default_value: 3 });"#,
    arity: 1..=2,
    options: Some(ControlOptions::of::<ParamOptions>(1)),
};

/// How a parameter is described.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ParamOptions {
    /// What it has to be; if left out, what the default is, or a string.
    #[serde(default, rename = "type")]
    kind: Option<Type>,
    /// The value if none is given. (`default` is a reserved word of the language.)
    #[serde(default, alias = "default")]
    default_value: Option<Value>,
    /// One line for the person who runs it.
    #[serde(default)]
    help: Option<String>,
    /// Whether it must be given; if left out, it must unless there is a default.
    #[serde(default)]
    required: Option<bool>,
    /// The values it can have.
    #[serde(default, alias = "allowed")]
    one_of: Option<Vec<Value>>,
    /// Makes it a secret: it can be passed to options, and not be read.
    #[serde(default)]
    secret: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Type {
    String,
    Integer,
    Number,
    Boolean,
    List,
    Map,
}

impl Type {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null | Value::String(_) => Self::String,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.is_f64() => Self::Number,
            Value::Number(_) => Self::Integer,
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Map,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Boolean => "a boolean (true or false)",
            Self::List => "a list",
            Self::Map => "a map",
        }
    }

    /// The value as this type: text from the command line is read, other values must fit.
    fn read(self, value: &Value) -> Option<Value> {
        let Value::String(text) = value else {
            return match (self, value) {
                (Self::Number, Value::Number(_)) => Some(value.clone()),
                _ => (Self::of(value) == self).then(|| value.clone()),
            };
        };
        let json = || serde_json::from_str::<Value>(text).ok().filter(|value| Self::of(value) == self);
        match self {
            Self::String => Some(value.clone()),
            Self::Integer => text.trim().parse::<i64>().ok().map(Value::from),
            Self::Number => text.trim().parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from),
            Self::Boolean => text.trim().parse::<bool>().ok().map(Value::from),
            Self::List if text.trim_start().starts_with('[') => json(),
            Self::List => Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()),
            Self::Map => json(),
        }
    }
}

pub fn register(engine: &mut Engine, session: &Arc<Session>) {
    let at = Arc::clone(session);
    PARAM
        .function(["name: string", "?"])
        .register_into_engine(engine, move |context: NativeCallContext, name: &str| {
            param(&at, &context, name, Dynamic::from(Map::new()))
        });
    let at = Arc::clone(session);
    PARAM
        .function(["name: string", "options: map", "?"])
        .register_into_engine(engine, move |context: NativeCallContext, name: &str, options: Dynamic| {
            param(&at, &context, name, options)
        });
}

fn param(session: &Session, context: &NativeCallContext, name: &str, given: Dynamic) -> Result<Dynamic> {
    session.watch.check()?;
    let described: ParamOptions = options(session, context, &PARAM, given)?;
    let value = value(name, session.inputs.params.get(name), &described);
    if let Ok(secret) = &value
        && let Some(secret) = secret.read_lock::<Secret>()
    {
        session.run.secrets().hide(secret.expose());
    }
    value.map_err(|failure| failure.because(Usage).at(context).into())
}

/// The value of a parameter for which `given` was given.
fn value(name: &str, given: Option<&Value>, described: &ParamOptions) -> std::result::Result<Dynamic, Failure> {
    let kind = described.kind.unwrap_or_else(|| described.default_value.as_ref().map_or(Type::String, Type::of));
    let Some(given) = given.or(described.default_value.as_ref()) else {
        if described.required == Some(false) {
            return Ok(Dynamic::UNIT);
        }
        let about = described.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        let help = match described.secret {
            false => format!("add `--param {name}=…`"),
            // What is typed is in the shell's history, and everybody on the machine sees it.
            true => format!("give it in a file that only you can read: `--params-file`, with `{name} = \"…\"`"),
        };
        return Err(Failure::new(format!("the parameter `{name}` is missing{about}")).help(help));
    };
    // The value of a secret is not for messages.
    let found = if described.secret { "another value".into() } else { bind::described(given) };
    let value = kind
        .read(given)
        .ok_or_else(|| Failure::new(format!("the parameter `{name}` is {}, found {found}", kind.words())))?;
    if let Some(allowed) = described.one_of.as_ref().filter(|allowed| !allowed.contains(&value)) {
        let values = allowed.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
        let failure = Failure::new(format!("the parameter `{name}` is one of {values}, found {found}"));
        let near = given.as_str().and_then(|given| suggest::closest(given, allowed.iter().filter_map(Value::as_str)));
        return Err(match near {
            Some(near) if !described.secret => failure.help(format!("did you mean {near:?}?")),
            _ => failure,
        });
    }
    match value {
        Value::String(text) if described.secret => Ok(Dynamic::from(Secret::new(&text))),
        _ if described.secret => Err(Failure::new(format!("the secret parameter `{name}` has to be a string"))),
        value => Ok(convert::from_json(&value)),
    }
}

/// Whether `given` is what `param(name, options)` accepts.
pub fn judge(name: &str, given: Option<&Value>, options: Value) -> std::result::Result<(), Failure> {
    match super::decode::<ParamOptions>(options) {
        Ok(described) => value(name, given, &described).map(drop),
        // Wrong options are another problem.
        Err(_) => Ok(()),
    }
}

/// The failure of a parameter that is given to the runbook `runbook`, which has only those `declared`.
pub fn undeclared(runbook: &str, given: &str, declared: &[&str]) -> Failure {
    let help = suggest::did_you_mean(given, declared.iter().copied()).unwrap_or_else(|| match declared.len() {
        0 => "it has no parameters".into(),
        _ => format!("it has `{}`", declared.join("`, `")),
    });
    Failure::new(format!("`{runbook}` has no parameter `{given}`")).help(help)
}

/// The parameters a runbook asks for by a literal name, in it and in the modules it imports.
pub fn declared(runbook: &Runbook, stdlib: Stdlib) -> Vec<Declared> {
    let mut seen = BTreeSet::new();
    let calls = runbook.all_calls(stdlib, PARAM.name).into_iter();
    let declared = calls.filter_map(|call| {
        let mut arguments = call.arguments.into_iter();
        let name = arguments.next()??.into_string().ok()?;
        let options = arguments.next().flatten().and_then(Dynamic::try_cast::<Map>).unwrap_or_default();
        let help = options.get("help").and_then(|help| help.clone().into_string().ok());
        Some(Declared { name, help })
    });
    declared.filter(|declared| seen.insert(declared.name.clone())).collect()
}

/// Whether the parameter `name` may be a secret, as far as the text of the runbook and its modules tells.
pub fn may_be_secret(runbook: &Runbook, stdlib: Stdlib, name: &str) -> bool {
    runbook.all_calls(stdlib, PARAM.name).iter().any(|call| {
        let mut arguments = call.arguments.iter();
        match (arguments.next(), arguments.next()) {
            (Some(Some(named)), _) if named.clone().into_string().is_ok_and(|named| named != name) => false,
            // Neither the name nor the options are computed.
            (Some(Some(_)), None) => false,
            (Some(Some(_)), Some(Some(options))) => options.read_lock::<Map>().is_none_or(|options| {
                options.get("secret").is_some_and(|secret| !matches!(secret.as_bool(), Ok(false)))
            }),
            _ => true,
        }
    })
}

/// A parameter a runbook asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    pub name: String,
    pub help: Option<String>,
}

/// Whether the runbook asks for all that is given: a mistyped `--param` must not be ignored.
pub fn check<'a>(
    runbook: &Runbook,
    stdlib: Stdlib,
    given: impl IntoIterator<Item = &'a str>,
) -> std::result::Result<(), Failure> {
    let calls = runbook.all_calls(stdlib, PARAM.name);
    if calls.iter().any(|call| !matches!(call.arguments.first(), Some(Some(_)))) {
        // A name is computed: only running it would tell.
        return Ok(());
    }
    let declared = declared(runbook, stdlib);
    let names: Vec<_> = declared.iter().map(|declared| declared.name.as_str()).collect();
    match given.into_iter().find(|given| !names.contains(given)) {
        None => Ok(()),
        Some(given) => Err(undeclared(runbook.name(), given, &names).because(Usage)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn get(given: Option<Value>, described: Value) -> std::result::Result<String, String> {
        let described = serde_json::from_value(described).expect("a description");
        value("p", given.as_ref(), &described).map(|value| value.to_string()).map_err(|failure| failure.message)
    }

    #[test]
    fn text_is_read_as_what_is_asked_for() {
        let table = [
            (json!("7"), json!({}), Ok("7")),
            (json!("7"), json!({ "type": "integer" }), Ok("7")),
            (
                json!("7.5"),
                json!({ "type": "integer" }),
                Err("the parameter `p` is an integer, found the string \"7.5\""),
            ),
            (json!("7.5"), json!({ "type": "number" }), Ok("7.5")),
            (json!("true"), json!({ "type": "boolean" }), Ok("true")),
            (
                json!("yes"),
                json!({ "default": false }),
                Err("the parameter `p` is a boolean (true or false), found the string \"yes\""),
            ),
            (json!("a, b,c"), json!({ "type": "list" }), Ok(r#"["a", "b", "c"]"#)),
            (json!("[1, 2]"), json!({ "type": "list" }), Ok("[1, 2]")),
            (json!(r#"{"a": 1}"#), json!({ "type": "map" }), Ok(r#"#{"a": 1}"#)),
            (json!(3), json!({ "default": 1 }), Ok("3")),
            (json!(3), json!({ "type": "number" }), Ok("3")),
            (json!(3), json!({}), Err("the parameter `p` is a string, found the integer 3")),
            (json!("b"), json!({ "one_of": ["a", "b"] }), Ok("b")),
            (json!("2"), json!({ "type": "integer", "allowed": [1, 2] }), Ok("2")),
            (
                json!("c"),
                json!({ "one_of": ["a", "b"] }),
                Err(r#"the parameter `p` is one of "a", "b", found the string "c""#),
            ),
        ];
        for (given, described, expected) in table {
            let text = format!("{given} as {described}");
            assert_eq!(get(Some(given), described), expected.map(Into::into).map_err(Into::into), "{text}");
        }
    }

    #[test]
    fn what_is_not_given_has_a_default_or_is_missing() {
        assert_eq!(get(None, json!({ "default": 3 })), Ok("3".into()));
        assert_eq!(get(None, json!({ "required": false })), Ok(String::new()));
        assert_eq!(get(None, json!({ "help": "the AMI" })), Err("the parameter `p` is missing (the AMI)".into()));
    }

    #[test]
    fn a_secret_is_in_no_message() {
        let described = json!({ "secret": true, "one_of": ["hunter2"] });
        let error = get(Some(json!("hunter3")), described).expect_err("not allowed");
        assert!(!error.contains("hunter3"), "{error}");
    }
}
