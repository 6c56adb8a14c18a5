//! Taking a group's instances out of service in order, and the group itself away.

use std::time::Duration;

use aws_sdk_autoscaling::types as autoscaling;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    asg,
    sizes::{self, Sizes},
    traffic_guard::check_idle_but_for_own,
};
use crate::{
    ops::{Error, arguments, ownership::STACK_TAG},
    run::{Class, Ctx, Mutation, Seen, Undo, UndoAction, Undone, Wait},
};

/// How long instances may take to drain: the longest deregistration delay, and hooks.
pub const DRAIN: Duration = Duration::from_secs(90 * 60);

/// Scales a group to zero and waits until its instances are gone. Auto Scaling keeps an instance until its targets are
/// drained, so nobody's request is cut off. The maximum stays.
///
/// # Errors
/// If AWS refuses, or instances are still there at the deadline.
pub async fn to_zero(
    ctx: &Ctx,
    group: &autoscaling::AutoScalingGroup,
    undo: Option<Undo>,
    timeout: Duration,
) -> Result<(), Error> {
    let name = group.auto_scaling_group_name().unwrap_or_default();
    let found = Sizes::of(group);
    // Protected instances would stay for ever.
    let is_protected = |instance: &&autoscaling::Instance| instance.protected_from_scale_in() == Some(true);
    let protected: Vec<&str> =
        group.instances().iter().filter(is_protected).filter_map(|instance| instance.instance_id()).collect();
    // The call takes 50 instances.
    for some in protected.chunks(50) {
        unprotect(ctx, name, some).await?;
    }
    let zero = Sizes { min: 0, desired: 0, ..found };
    if found != zero {
        sizes::set(ctx, name, zero, undo).await?;
    }
    let every = Duration::from_secs(10);
    ctx.wait(Wait { what: format!("the instances of {name} to be drained"), timeout, every }, async || {
        let Some(group) = asg::find(ctx, name).await? else { return Ok(Seen::Ready(())) };
        Ok(match group.instances().len() {
            0 => Seen::Ready(()),
            left => Seen::Pending(format!("{left} left")),
        })
    })
    .await
}

async fn unprotect(ctx: &Ctx, name: &str, ids: &[&str]) -> Result<(), Error> {
    let declared =
        Mutation::new("autoscaling:SetInstanceProtection", Class::Idempotent, format!("instances of {name}"));
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    ctx.change(declared, |permit| {
        let request = ctx.aws().autoscaling.set_instance_protection().auto_scaling_group_name(name);
        let request = request.set_instance_ids(Some(ids.clone())).protected_from_scale_in(false);
        request.customize().interceptor(permit).send()
    })
    .await
}

/// Deletes a group, and waits until it is gone. `force` terminates what instances there are.
///
/// # Errors
/// If AWS refuses for longer than its last activity can take.
pub async fn delete(ctx: &Ctx, name: &str, force: bool, undo: Option<Undo>) -> Result<(), Error> {
    let declared = Mutation::new("autoscaling:DeleteAutoScalingGroup", Class::Idempotent, format!("group {name}"))
        .undo(undo)
        .patiently(&["ScalingActivityInProgress", "ResourceInUse"], Duration::from_secs(10 * 60));
    let deleted = ctx
        .change(declared, |permit| {
            let request = ctx.aws().autoscaling.delete_auto_scaling_group().auto_scaling_group_name(name);
            request.set_force_delete(force.then_some(true)).customize().interceptor(permit).send()
        })
        .await;
    match deleted {
        // One code for everything: looked for instead.
        Err(error) if error.is(&["ValidationError"]) && asg::find(ctx, name).await?.is_none() => return Ok(()),
        deleted => deleted?,
    }
    asg::gone(ctx, name).await
}

/// What is kept of a created group.
#[derive(Serialize, Deserialize)]
pub struct Made {
    pub auto_scaling_group_name: String,
    pub stack: String,
}

/// Deletes a group this run made: drained first, and by force if draining does not end.
pub const DELETE_GROUP: UndoAction =
    UndoAction { name: "delete_auto_scaling_group", run: |ctx, arguments| Box::pin(delete_group(ctx, arguments)) };

async fn delete_group(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { auto_scaling_group_name: name, stack } = arguments(made)?;
    let Some(group) = asg::settled(ctx, &name).await? else { return Ok(Undone::Already) };
    if asg::tags(&group).get(STACK_TAG) != Some(&stack) {
        return Ok(Undone::Foreign(format!("expected {name} to be owned by {stack}, found another owner")));
    }
    // Whatever became of the undo of the weights: nobody's traffic is cut off.
    check_idle_but_for_own(ctx, &name, group.target_group_arns()).await?;
    match to_zero(ctx, &group, None, DRAIN).await {
        Ok(()) => delete(ctx, &name, false, None).await?,
        Err(Error::TimedOut { .. }) => delete(ctx, &name, true, None).await?,
        Err(error) => return Err(error),
    }
    Ok(Undone::Done)
}
