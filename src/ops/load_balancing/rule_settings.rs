//! What a rule is besides its action: conditions and priority.

use aws_sdk_elasticloadbalancingv2::types::{self as elb, RulePriorityPair};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    condition::{self, Condition},
    read,
};
use crate::{
    event::Field,
    ops::{Error, arguments, outcome::nothing_to_undo, ownership::changed},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// Sets conditions that differ. Returns what changed.
pub async fn converge_conditions(ctx: &Ctx, found: &elb::Rule, wanted: Vec<Condition>) -> Result<Option<Field>, Error> {
    let (arn, before) = (found.rule_arn().unwrap_or_default(), condition::of(found.conditions()));
    if before.as_ref() == Some(&wanted) {
        return Ok(None);
    }
    let undo = before.as_ref().map(|before| {
        Undo::new(
            &RESTORE_CONDITIONS,
            format!("set the conditions of {arn} back"),
            json!({ "arn": arn, "before": before, "ours": wanted }),
        )
    });
    // Conditions of a kind that is not known here could not be put back.
    let Some(undo) = undo else {
        return Err(Error::NeedsReplacement {
            resource: format!("rule {arn}"),
            field: "conditions",
            found: "regular expressions".into(),
            wanted: json!(wanted).to_string(),
        });
    };
    set_conditions(ctx, arn, &wanted, Some(undo)).await?;
    Ok(Some(changed("conditions", json!(before), json!(wanted))))
}

async fn set_conditions(ctx: &Ctx, arn: &str, conditions: &[Condition], undo: Option<Undo>) -> Result<(), Error> {
    let mut declared = Mutation::new("elasticloadbalancing:ModifyRule", Class::Idempotent, arn);
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    let conditions: Vec<elb::RuleCondition> = conditions.iter().map(Condition::to_elb).collect();
    ctx.change(declared, |permit| {
        let request = ctx.aws().elbv2.modify_rule().rule_arn(arn).set_conditions(Some(conditions.clone()));
        request.customize().interceptor(permit).send()
    })
    .await
}

/// Sets changed conditions back.
pub const RESTORE_CONDITIONS: UndoAction =
    UndoAction { name: "restore_conditions", run: |ctx, arguments| Box::pin(restore_conditions(ctx, arguments)) };

#[derive(Deserialize)]
struct Restore<T> {
    arn: String,
    before: T,
    ours: T,
}

async fn find(ctx: &Ctx, arn: &str) -> Result<Option<elb::Rule>, Error> {
    match read::rule(ctx, arn).await {
        Err(error) if error.is(&["RuleNotFound"]) => Ok(None),
        found => found.map(Some),
    }
}

async fn restore_conditions(ctx: &Ctx, given: Value) -> Result<Undone, Error> {
    let Restore { arn, before, ours } = arguments::<Restore<Vec<Condition>>>(given)?;
    let Some(rule) = find(ctx, &arn).await? else { return Ok(Undone::Already) };
    let found = condition::of(rule.conditions()).unwrap_or_default();
    if let Some(undone) = nothing_to_undo(&found, &before, &ours) {
        return Ok(undone);
    }
    set_conditions(ctx, &arn, &before, None).await?;
    Ok(Undone::Done)
}

/// Sets a priority that differs. Returns what changed.
pub async fn converge_priority(ctx: &Ctx, arn: &str, before: i32, wanted: Option<i32>) -> Result<Option<Field>, Error> {
    let Some(ours) = wanted.filter(|wanted| *wanted != before) else { return Ok(None) };
    let undo = Undo::new(
        &RESTORE_PRIORITY,
        format!("set the priority of {arn} back to {before}"),
        json!({ "arn": arn, "before": before, "ours": ours }),
    );
    set_priority(ctx, arn, ours, Some(undo)).await?;
    Ok(Some(changed("priority", before, ours)))
}

async fn set_priority(ctx: &Ctx, arn: &str, priority: i32, undo: Option<Undo>) -> Result<(), Error> {
    let mut declared = Mutation::new("elasticloadbalancing:SetRulePriorities", Class::Idempotent, arn);
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    let pair = RulePriorityPair::builder().rule_arn(arn).priority(priority).build();
    ctx.change(declared, |permit| {
        let request = ctx.aws().elbv2.set_rule_priorities().rule_priorities(pair.clone());
        request.customize().interceptor(permit).send()
    })
    .await
}

/// Sets a changed priority back.
pub const RESTORE_PRIORITY: UndoAction =
    UndoAction { name: "restore_priority", run: |ctx, arguments| Box::pin(restore_priority(ctx, arguments)) };

async fn restore_priority(ctx: &Ctx, given: Value) -> Result<Undone, Error> {
    let Restore { arn, before, ours } = arguments::<Restore<i32>>(given)?;
    let Some(rule) = find(ctx, &arn).await? else { return Ok(Undone::Already) };
    let found: i32 = rule.priority().and_then(|priority| priority.parse().ok()).unwrap_or_default();
    if let Some(undone) = nothing_to_undo(&found, &before, &ours) {
        return Ok(undone);
    }
    set_priority(ctx, &arn, before, None).await?;
    Ok(Undone::Done)
}
