//! Fleets of stacks.

use serde_json::json;

use super::{Belonging, Rank};
use crate::{
    ops::{
        Error,
        compute::{asg, drain::DELETE_GROUP},
    },
    run::Ctx,
};

/// Those of all stacks.
pub async fn all(ctx: &Ctx) -> Result<Vec<Belonging>, Error> {
    let groups = asg::all(ctx).await?;
    let found = groups.iter().filter_map(|group| {
        let name = group.auto_scaling_group_name()?;
        let found = Belonging::tagged(
            &asg::tags(group),
            "Auto Scaling group",
            name,
            Rank::Fleets,
            ("autoscaling:DeleteAutoScalingGroup", "AutoScalingGroupName"),
        )?
        .named(name);
        let stack = found.stack.clone();
        Some(found.gone_by(&DELETE_GROUP, json!({ "auto_scaling_group_name": name, "stack": stack })))
    });
    Ok(found.collect())
}
