//! `find_target_group`: one that is there, whoever made it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{TargetGroup, read, shared};
use crate::{
    ops::{Error, Operation},
    run::Ctx,
};

/// Finds a target group. It is used, and not changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindTargetGroup {
    /// Its name as AWS shows it, or its ARN.
    target_group: String,
}

impl Operation for FindTargetGroup {
    const NAME: &'static str = "find_target_group";
    const AREA: &'static str = "Elastic Load Balancing";
    const POSITIONAL: &'static [&'static str] = &["target_group"];
    const EXAMPLE: &'static str = r#"find_target_group("shop-prod-web-blue")"#;

    type Options = Self;
    type Handle = TargetGroup;

    fn subject(options: &Self) -> String {
        options.target_group.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<TargetGroup, Error> {
        let described = options.target_group;
        let found = if described.starts_with("arn:") {
            match read::target_group(ctx, &described).await {
                Err(error) if error.is(&["TargetGroupNotFound"]) => None,
                found => Some(found?),
            }
        } else {
            shared::target_group_named(ctx, &described).await?
        };
        let found = found.ok_or(Error::NotFound { what: format!("target group {described}"), hint: None })?;
        TargetGroup::from_elb(&found)
    }
}
