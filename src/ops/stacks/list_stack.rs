//! `list_stack`: what a stack owns.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{StackResource, StackResources, full_name, of_stack};
use crate::{
    event::Change,
    ops::{Error, Operation, ownership::set},
    run::Ctx,
};

/// Lists what a stack owns in this region, and of what is outside of regions (IAM, DNS), in the order in which it can be
/// deleted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListStack {
    /// The name, as `stack` takes it; the runbook's own.
    stack: Option<String>,
}

impl Operation for ListStack {
    const NAME: &'static str = "list_stack";
    const AREA: &'static str = "Stacks";
    const POSITIONAL: &'static [&'static str] = &["stack"];
    const EXAMPLE: &'static str = r#"for resource in list_stack().resources { log(resource.kind, resource.name); }"#;

    type Options = Self;
    type Handle = StackResources;

    fn subject(options: &Self) -> String {
        options.stack.clone().unwrap_or_default()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<StackResources, Error> {
        let stack = match &options.stack {
            Some(name) => full_name(ctx, name)?,
            None => ctx.stack()?,
        };
        let found = of_stack(ctx, &stack).await?;
        ctx.did(Change::Read, [set("resources", found.len())]);
        Ok(StackResources { stack, resources: found.iter().map(StackResource::from).collect() })
    }
}
