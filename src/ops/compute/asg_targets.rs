//! Target groups of a group that is there: attached, and detached where that takes nothing out of traffic.

use aws_sdk_autoscaling::types as autoscaling;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{asg, traffic_guard::check_idle};
use crate::{
    event::Field,
    ops::{Error, arguments, ownership::changed},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// Attaches the target groups that are missing and detaches those that are not wanted. Returns what changed.
///
/// # Errors
/// [`Error::Unsafe`] if one of those still gets traffic; whatever AWS refuses.
pub async fn converge(
    ctx: &Ctx,
    name: &str,
    group: &autoscaling::AutoScalingGroup,
    wanted: &[String],
) -> Result<Vec<Field>, Error> {
    let found = group.target_group_arns();
    let without = |list: &[String], others: &[String]| -> Vec<String> {
        list.iter().filter(|arn| !others.contains(arn)).cloned().collect()
    };
    let (attach, detach) = (without(wanted, found), without(found, wanted));
    if attach.is_empty() && detach.is_empty() {
        return Ok(Vec::new());
    }
    check_idle(ctx, &format!("a target group to be detached from {name}"), &detach).await?;
    for (arns, way) in [(attach, Way::Attach), (detach, Way::Detach)] {
        if !arns.is_empty() {
            let change = Change { auto_scaling_group_name: name.to_owned(), target_group_arns: arns, way };
            let undo = Undo::new(&RESTORE_TARGET_GROUPS, format!("restore target groups of {name}"), json!(change));
            send(ctx, &change, Some(undo)).await?;
        }
    }
    Ok(vec![changed("target_groups", json!(found), json!(wanted))])
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Attach,
    Detach,
}

#[derive(Serialize, Deserialize)]
struct Change {
    auto_scaling_group_name: String,
    target_group_arns: Vec<String>,
    way: Way,
}

async fn send(ctx: &Ctx, change: &Change, undo: Option<Undo>) -> Result<(), Error> {
    let Change { auto_scaling_group_name: name, target_group_arns, way } = change;
    let arns = || Some(target_group_arns.clone());
    let declare = |call| {
        let declared = Mutation::new(call, Class::Idempotent, format!("target groups of {name}"));
        match undo.clone() {
            Some(undo) => declared.undo(undo),
            None => declared,
        }
    };
    let client = &ctx.aws().autoscaling;
    match way {
        Way::Attach => {
            ctx.change(declare("autoscaling:AttachLoadBalancerTargetGroups"), |permit| {
                let request = client.attach_load_balancer_target_groups().auto_scaling_group_name(name);
                request.set_target_group_arns(arns()).customize().interceptor(permit).send()
            })
            .await
        }
        Way::Detach => {
            ctx.change(declare("autoscaling:DetachLoadBalancerTargetGroups"), |permit| {
                let request = client.detach_load_balancer_target_groups().auto_scaling_group_name(name);
                request.set_target_group_arns(arns()).customize().interceptor(permit).send()
            })
            .await
        }
    }
}

/// Detaches what was attached, and attaches what was detached.
pub const RESTORE_TARGET_GROUPS: UndoAction =
    UndoAction { name: "restore_target_groups", run: |ctx, arguments| Box::pin(restore(ctx, arguments)) };

async fn restore(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let mut change: Change = arguments(change)?;
    let Some(group) = asg::find(ctx, &change.auto_scaling_group_name).await?.filter(|it| it.status().is_none()) else {
        return Ok(Undone::Already);
    };
    change.way = if change.way == Way::Attach { Way::Detach } else { Way::Attach };
    let there = |arn: &String| group.target_group_arns().contains(arn);
    change.target_group_arns.retain(|arn| there(arn) == (change.way == Way::Detach));
    if change.target_group_arns.is_empty() {
        return Ok(Undone::Already);
    }
    send(ctx, &change, None).await?;
    Ok(Undone::Done)
}
