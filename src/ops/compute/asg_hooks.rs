//! Lifecycle hooks of a group: put where they differ. Those that are not named are somebody else's.

use aws_sdk_autoscaling::types::{self as autoscaling, LifecycleHookSpecification};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::asg_options::LifecycleHook;
use crate::{
    event::Field,
    ops::{Error, all_of, arguments, ownership::changed},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// A hook, as it is compared and put back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Hook {
    lifecycle_transition: String,
    heartbeat_timeout: i32,
    default_result: String,
    notification_metadata: Option<String>,
    notification_target_arn: Option<String>,
    role_arn: Option<String>,
}

impl Hook {
    fn wanted(hook: &LifecycleHook) -> Self {
        Self {
            lifecycle_transition: hook.lifecycle_transition.as_str().to_owned(),
            heartbeat_timeout: hook.heartbeat_timeout.as_secs(),
            default_result: hook.default_result.as_str().to_owned(),
            notification_metadata: hook.notification_metadata.clone(),
            notification_target_arn: hook.notification_target_arn.clone(),
            role_arn: hook.role_arn.clone(),
        }
    }

    fn found(hook: &autoscaling::LifecycleHook) -> Self {
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            lifecycle_transition: hook.lifecycle_transition().unwrap_or_default().to_owned(),
            heartbeat_timeout: hook.heartbeat_timeout().unwrap_or_default(),
            default_result: hook.default_result().unwrap_or_default().to_owned(),
            notification_metadata: text(hook.notification_metadata()),
            notification_target_arn: text(hook.notification_target_arn()),
            role_arn: text(hook.role_arn()),
        }
    }
}

/// The hooks in the form the group's creating call takes: the first instance waits already.
pub fn specifications(hooks: &[LifecycleHook]) -> Vec<LifecycleHookSpecification> {
    let one = |hook: &LifecycleHook| {
        LifecycleHookSpecification::builder()
            .lifecycle_hook_name(&hook.lifecycle_hook_name)
            .lifecycle_transition(hook.lifecycle_transition.as_str())
            .heartbeat_timeout(hook.heartbeat_timeout.as_secs())
            .default_result(hook.default_result.as_str())
            .set_notification_metadata(hook.notification_metadata.clone())
            .set_notification_target_arn(hook.notification_target_arn.clone())
            .set_role_arn(hook.role_arn.clone())
            .build()
    };
    hooks.iter().map(one).collect()
}

async fn read(ctx: &Ctx, group: &str) -> Result<Vec<autoscaling::LifecycleHook>, Error> {
    let call = "autoscaling:DescribeLifecycleHooks";
    let reply = ctx
        .read(call, || ctx.aws().autoscaling.describe_lifecycle_hooks().auto_scaling_group_name(group).send())
        .await?;
    Ok(reply.lifecycle_hooks.unwrap_or_default())
}

/// Puts the hooks that differ. Returns what changed.
///
/// # Errors
/// If AWS refuses.
pub async fn converge(ctx: &Ctx, group: &str, hooks: &[LifecycleHook]) -> Result<Vec<Field>, Error> {
    if hooks.is_empty() {
        return Ok(Vec::new());
    }
    let found = read(ctx, group).await?;
    let of_name = |name: &str| found.iter().find(|hook| hook.lifecycle_hook_name() == Some(name)).map(Hook::found);
    let puts = hooks.iter().filter_map(|hook| {
        let (name, wanted) = (hook.lifecycle_hook_name.clone(), Hook::wanted(hook));
        let before = of_name(&name);
        (before.as_ref() != Some(&wanted)).then_some((name, before, wanted))
    });
    let puts = puts.map(async |(name, before, ours)| {
        let field = changed(&format!("lifecycle_hooks.{name}"), json!(before), json!(ours));
        let change =
            Change { auto_scaling_group_name: group.to_owned(), name: name.clone(), before, ours: ours.clone() };
        let undo = Undo::new(&RESTORE_HOOK, format!("restore lifecycle hook {name} of {group}"), json!(change));
        put(ctx, group, &name, &ours, Some(undo)).await?;
        Ok::<Field, Error>(field)
    });
    all_of(puts).await
}

async fn put(ctx: &Ctx, group: &str, name: &str, hook: &Hook, undo: Option<Undo>) -> Result<(), Error> {
    let mut declared =
        Mutation::new("autoscaling:PutLifecycleHook", Class::Idempotent, format!("lifecycle hook {name} of {group}"));
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    ctx.change(declared, |permit| {
        ctx.aws()
            .autoscaling
            .put_lifecycle_hook()
            .auto_scaling_group_name(group)
            .lifecycle_hook_name(name)
            .lifecycle_transition(&hook.lifecycle_transition)
            .heartbeat_timeout(hook.heartbeat_timeout)
            .default_result(&hook.default_result)
            .set_notification_metadata(hook.notification_metadata.clone())
            .set_notification_target_arn(hook.notification_target_arn.clone())
            .set_role_arn(hook.role_arn.clone())
            .customize()
            .interceptor(permit)
            .send()
    })
    .await
}

#[derive(Serialize, Deserialize)]
struct Change {
    auto_scaling_group_name: String,
    name: String,
    before: Option<Hook>,
    ours: Hook,
}

/// Puts a changed hook back, or deletes a new one.
pub const RESTORE_HOOK: UndoAction =
    UndoAction { name: "restore_lifecycle_hook", run: |ctx, arguments| Box::pin(restore(ctx, arguments)) };

async fn restore(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let Change { auto_scaling_group_name: group, name, before, ours } = arguments(change)?;
    if super::asg::find(ctx, &group).await?.is_none() {
        return Ok(Undone::Already);
    }
    let hooks = read(ctx, &group).await?;
    let found = hooks.iter().find(|hook| hook.lifecycle_hook_name() == Some(&name)).map(Hook::found);
    if found == before {
        return Ok(Undone::Already);
    }
    if found.as_ref() != Some(&ours) {
        return Ok(Undone::Foreign(format!("expected {}, found {}", json!(ours), json!(found))));
    }
    match before {
        Some(before) => put(ctx, &group, &name, &before, None).await?,
        None => {
            let subject = format!("lifecycle hook {name} of {group}");
            ctx.change(Mutation::new("autoscaling:DeleteLifecycleHook", Class::Idempotent, subject), |permit| {
                let request = ctx.aws().autoscaling.delete_lifecycle_hook().auto_scaling_group_name(&group);
                request.lifecycle_hook_name(&name).customize().interceptor(permit).send()
            })
            .await?;
        }
    }
    Ok(Undone::Done)
}
