//! `output_of`: what another runbook's stack has published.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    ParameterType, Plain,
    publish_output::{check_name, name_of},
    store,
};
use crate::{
    ops::{Error, Operation, holds_secret},
    run::Ctx,
};

/// Reads an output that a stack has published with `publish_output`: the value as it was, also a handle.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputOf {
    /// The whole name of the stack: `network-prod`.
    stack: String,
    /// What the output is called.
    name: String,
    /// The value if there is none. It makes `required` false.
    default_value: Option<Value>,
    /// Whether it is an error if there is none; if not, and without a default, the value is `()`.
    required: Option<bool>,
}

impl Operation for OutputOf {
    const NAME: &'static str = "output_of";
    const AREA: &'static str = "Systems Manager";
    const POSITIONAL: &'static [&'static str] = &["stack", "name"];
    const PLAIN: bool = true;
    const EXAMPLE: &'static str = r#"let vpc = output_of("network-prod", "vpc");"#;

    type Options = Self;
    type Handle = Plain;

    fn subject(options: &Self) -> String {
        format!("{} of {}", options.name, options.stack)
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Plain, Error> {
        let OutputOf { stack, name, default_value, required } = options;
        check_name("stack", &stack)?;
        check_name("name", &name)?;
        if default_value.as_ref().is_some_and(holds_secret) {
            return Err(Error::option("default_value", "outputs are no secrets, and neither is what stands for one"));
        }
        let is_required = required.unwrap_or(default_value.is_none());
        let parameter = name_of(&stack, &name);
        let Some(found) = store::read(ctx, &parameter).await? else {
            if is_required {
                return Err(Error::NotFound {
                    what: format!("output {name} of stack {stack}"),
                    hint: Some(format!(
                        "the runbook of {stack} has to say `publish_output(#{{ name: {name:?}, value: … }})`, and be run here \
                         first; give a `default_value` if it need not be there"
                    )),
                });
            }
            return Ok(Plain { value: default_value.unwrap_or_default() });
        };
        let value = serde_json::from_str(&found.value).ok();
        let value = value.filter(|value| found.kind == ParameterType::String && !holds_secret(value));
        let value = value.ok_or_else(|| Error::NotFound {
            what: format!("an output in parameter {parameter}"),
            hint: Some("something else than `publish_output` has written it".into()),
        })?;
        Ok(Plain { value })
    }
}
