//! `find_asg`: an Auto Scaling group as it is now, whoever made it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{AutoScalingGroup, asg};
use crate::{
    ops::{Error, Operation, Tags, ownership::Owned},
    run::Ctx,
};

/// Finds an Auto Scaling group, with its sizes and instances as they are now. Nothing is changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindAsg {
    /// What the stack calls it; AWS knows it as `<stack>-<name>`.
    name: Option<String>,
    /// The name AWS knows it by, for groups of others.
    auto_scaling_group_name: Option<String>,
    /// Whether it is an error if there is none; if not, the handle says `exists: false`.
    #[serde(default = "yes")]
    required: bool,
}

fn yes() -> bool {
    true
}

impl Operation for FindAsg {
    const NAME: &'static str = "find_asg";
    const AREA: &'static str = "Auto Scaling";
    const POSITIONAL: &'static [&'static str] = &["name"];
    const EXAMPLE: &'static str = r#"find_asg(#{ name: "web-blue", required: false })"#;

    type Options = Self;
    type Handle = AutoScalingGroup;

    fn subject(options: &Self) -> String {
        options.name.clone().or_else(|| options.auto_scaling_group_name.clone()).unwrap_or_default()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<AutoScalingGroup, Error> {
        let name = match (options.name, options.auto_scaling_group_name) {
            (Some(name), None) => asg::name_of(&Owned::new(ctx, &name, &Tags::default())?),
            (None, Some(name)) => name,
            _ => return Err(Error::option("", "expected `name` or `auto_scaling_group_name`")),
        };
        let group = match asg::seen(ctx, &name).await? {
            None if options.required => Some(asg::existing(ctx, &name).await?),
            seen => seen,
        };
        group.map_or_else(|| Ok(AutoScalingGroup::absent(name)), |group| asg::handle(&group))
    }
}
