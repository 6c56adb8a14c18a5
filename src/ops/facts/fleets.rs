//! The Auto Scaling groups of the running stack, and how many instances each is to have.

use crate::{
    ops::{Error, compute::asg, ownership::STACK_TAG},
    policy::{Fleet, Size},
    run::Ctx,
};

/// The size of a group. `None`: there is no such group.
pub async fn size_of(ctx: &Ctx, name: &str) -> Result<Option<Size>, Error> {
    let size = |size: Option<i32>| size.and_then(|size| u32::try_from(size).ok()).unwrap_or_default();
    let group = asg::find(ctx, name).await?;
    Ok(group.map(|group| Size { max_size: size(group.max_size()), desired_capacity: size(group.desired_capacity()) }))
}

pub async fn of_stack(ctx: &Ctx) -> Result<Vec<Fleet>, Error> {
    let stack = ctx.stack()?;
    let groups = asg::all(ctx).await?;
    let ours = groups.iter().filter(|group| asg::tags(group).get(STACK_TAG) == Some(&stack));
    let fleet = |group: &aws_sdk_autoscaling::types::AutoScalingGroup| {
        let desired_capacity = group.desired_capacity().and_then(|size| u32::try_from(size).ok()).unwrap_or_default();
        Some(Fleet { name: group.auto_scaling_group_name()?.to_owned(), desired_capacity })
    };
    Ok(ours.filter_map(fleet).collect())
}
