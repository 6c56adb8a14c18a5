//! The group's own metrics in CloudWatch: all of them, or none.

use aws_sdk_autoscaling::types as autoscaling;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::asg;
use crate::{
    event::Field,
    ops::{Error, arguments, ownership::changed},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// Switches the metrics of a new group on.
///
/// # Errors
/// If AWS refuses.
pub async fn create(ctx: &Ctx, name: &str, on: bool) -> Result<(), Error> {
    if on { switch(ctx, name, true, None).await } else { Ok(()) }
}

/// Switches the metrics on, or off where all of them are on. Single metrics that somebody chose are left alone.
///
/// # Errors
/// If AWS refuses.
pub async fn converge(
    ctx: &Ctx,
    name: &str,
    group: &autoscaling::AutoScalingGroup,
    on: bool,
) -> Result<Vec<Field>, Error> {
    let some = !group.enabled_metrics().is_empty();
    if some == on {
        return Ok(Vec::new());
    }
    let change = Change { auto_scaling_group_name: name.to_owned(), before: some, ours: on };
    let undo = Undo::new(&RESTORE_METRICS, format!("restore metrics of {name}"), json!(change));
    switch(ctx, name, on, Some(undo)).await?;
    Ok(vec![changed("enable_metrics_collection", some, on)])
}

async fn switch(ctx: &Ctx, name: &str, on: bool, undo: Option<Undo>) -> Result<(), Error> {
    let declare = |call| {
        let declared = Mutation::new(call, Class::Idempotent, format!("metrics of {name}"));
        match undo.clone() {
            Some(undo) => declared.undo(undo),
            None => declared,
        }
    };
    let client = &ctx.aws().autoscaling;
    if on {
        ctx.change(declare("autoscaling:EnableMetricsCollection"), |permit| {
            let request = client.enable_metrics_collection().auto_scaling_group_name(name);
            request.granularity("1Minute").customize().interceptor(permit).send()
        })
        .await
    } else {
        ctx.change(declare("autoscaling:DisableMetricsCollection"), |permit| {
            client.disable_metrics_collection().auto_scaling_group_name(name).customize().interceptor(permit).send()
        })
        .await
    }
}

#[derive(Serialize, Deserialize)]
struct Change {
    auto_scaling_group_name: String,
    before: bool,
    ours: bool,
}

/// Switches the metrics of a group back.
pub const RESTORE_METRICS: UndoAction =
    UndoAction { name: "restore_metrics", run: |ctx, arguments| Box::pin(restore(ctx, arguments)) };

async fn restore(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let Change { auto_scaling_group_name: name, before, ours } = arguments(change)?;
    let Some(group) = asg::find(ctx, &name).await?.filter(|group| group.status().is_none()) else {
        return Ok(Undone::Already);
    };
    if group.enabled_metrics().is_empty() == ours {
        return Ok(Undone::Already);
    }
    switch(ctx, &name, before, None).await?;
    Ok(Undone::Done)
}
