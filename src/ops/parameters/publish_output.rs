//! `publish_output`: a result of this stack that other runbooks can read.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{
    ParameterType, WrittenParameter,
    store::{self, Wanted},
};
use crate::{
    ops::{Error, Operation, Tags, holds_secret},
    run::Ctx,
};

/// Where the outputs of a stack are.
pub(super) fn name_of(stack: &str, output: &str) -> String {
    format!("/runner/outputs/{stack}/{output}")
}

/// What is wrong with the name of an output, if something is.
pub(super) fn check_name(option: &str, name: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > 128 || !name.chars().all(allowed) {
        let message = format!("expected up to 128 letters, digits, `.`, `_` and `-`, found {name:?}");
        return Err(Error::option(option, message));
    }
    Ok(())
}

/// Makes sure that the stack has an output of this name that other runbooks can read, with `output_of`.
///
/// It is kept as JSON in the parameter `/runner/outputs/<stack>/<name>` of Systems Manager, which the stack owns. Everybody
/// who may read parameters can read it, so it takes no secrets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishOutput {
    /// What the output is called: letters, digits, `.`, `_` and `-`.
    name: String,
    /// Any value but a secret, also what an operation returned. As JSON it may have 4096 characters.
    value: Published,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Leaves a new one in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// Anything, and nothing is something too.
#[derive(Debug)]
struct Published(Value);

impl<'de> Deserialize<'de> for Published {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Published {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "any value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "x-type": "any value" })
    }
}

impl Operation for PublishOutput {
    const NAME: &'static str = "publish_output";
    const AREA: &'static str = "Systems Manager";
    const POSITIONAL: &'static [&'static str] = &["name"];
    const EXAMPLE: &'static str = r#"publish_output(#{ name: "vpc", value: vpc })"#;

    type Options = Self;
    type Handle = WrittenParameter;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<WrittenParameter, Error> {
        const MOST: usize = 4096;
        check_name("name", &options.name)?;
        let name = name_of(&ctx.stack()?, &options.name);
        let value = without_change(options.value.0);
        let text = value.to_string();
        if holds_secret(&value) || ctx.holds_secret(&text) {
            return Err(Error::option(
                "value",
                "a secret cannot be published: everybody who reads parameters could read it",
            ));
        }
        let length = text.chars().count();
        if length > MOST {
            let message =
                format!("expected at most {MOST} characters of JSON, found {length}: publish what others need of it");
            return Err(Error::option("value", message));
        }
        if text.contains("{{") && text.contains("}}") {
            return Err(Error::option("value", "Parameter Store takes no text with `{{` and `}}` in it"));
        }
        let owned = store::owned(ctx, &name, &options.tags)?;
        let kind = ParameterType::String;
        let wanted = Wanted {
            name: &name,
            kind,
            value: &text,
            description: Some("An output of a stack, kept by runner"),
            tier: None,
            key_id: None,
            adopt: false,
            keep_on_rollback: options.keep_on_rollback,
        };
        let version = store::ensure(ctx, &wanted, &owned).await?;
        Ok(WrittenParameter { arn: store::arn(ctx, &name), name, kind, version })
    }
}

/// A handle also says what this run did to its resource. That is no property of it: the next run would publish something else.
fn without_change(value: Value) -> Value {
    match value {
        Value::Object(mut fields) => {
            if fields.contains_key(crate::ops::HANDLE) {
                fields.shift_remove("change");
            }
            Value::Object(fields.into_iter().map(|(name, value)| (name, without_change(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(without_change).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}
