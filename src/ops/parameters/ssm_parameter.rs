//! `ssm_parameter`: what is in a parameter of Systems Manager.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Parameter, ParameterType,
    store::{self, Found},
};
use crate::{
    ops::{Error, Operation, Secret, holds_secret},
    run::Ctx,
};

/// Reads a parameter of Systems Manager, whoever made it. Nothing is changed.
///
/// The handle's `value` is text, a list for a `StringList`, and a secret for a `SecureString`: that can be given to an
/// option, and not be looked at. A plan does not read it; something else stands for it there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SsmParameter {
    /// The name, `/shop/prod/url`, or the ARN of one that another account shares. Amazon's own are below `/aws/service/`.
    name: String,
    /// A version by its number, or a label. Left out, the newest.
    #[schemars(with = "Option<i64>")]
    version: Option<Value>,
    /// The value if there is no such parameter. It makes `required` false.
    default_value: Option<Value>,
    /// Whether it is an error if there is none; if not, the handle says `exists: false`.
    required: Option<bool>,
}

impl Operation for SsmParameter {
    const NAME: &'static str = "ssm_parameter";
    const AREA: &'static str = "Systems Manager";
    const POSITIONAL: &'static [&'static str] = &["name"];
    const EXAMPLE: &'static str = r#"ssm_parameter("/shop/prod/url").value"#;

    type Options = Self;
    type Handle = Parameter;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Parameter, Error> {
        let name = &options.name;
        if name.is_empty() {
            return Err(Error::option("name", "expected the name of a parameter, found no text"));
        }
        let selector = match &options.version {
            None => String::new(),
            Some(Value::Number(version)) if version.as_i64().is_some_and(|version| version > 0) => {
                format!(":{version}")
            }
            Some(Value::String(label)) if !label.is_empty() => format!(":{label}"),
            Some(_) => return Err(Error::option("version", "expected the number of a version, or a label")),
        };
        if options.default_value.as_ref().is_some_and(holds_secret) {
            return Err(Error::option("default_value", "a secret cannot stand in a handle's place: use `secret(…)`"));
        }
        let is_required = options.required.unwrap_or(options.default_value.is_none());
        if options.required == Some(true) && options.default_value.is_some() {
            return Err(Error::option("default_value", "a parameter that is required needs no default"));
        }
        match store::read(ctx, &format!("{name}{selector}")).await? {
            Some(found) => Ok(handle(name, found)),
            None if is_required => Err(Error::NotFound {
                what: format!("parameter {name}{selector}"),
                hint: Some("parameters belong to one region; give a `default_value` if it need not be there".into()),
            }),
            None => Ok(Parameter {
                exists: false,
                name: name.clone(),
                arn: String::new(),
                kind: None,
                version: 0,
                value: options.default_value.unwrap_or_default(),
            }),
        }
    }
}

fn handle(name: &str, found: Found) -> Parameter {
    let value = match found.kind {
        ParameterType::String => json!(found.value),
        ParameterType::StringList => found.value.split(',').collect(),
        ParameterType::SecureString => json!(Secret::new(found.value)),
    };
    Parameter {
        exists: true,
        name: name.to_owned(),
        arn: found.arn,
        kind: Some(found.kind),
        version: found.version,
        value,
    }
}
