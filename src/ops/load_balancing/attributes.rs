//! Attributes of load balancers and target groups: pairs of text, compared, changed, put back.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::{LoadBalancerAttribute, TargetGroupAttribute};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::name_in;
use crate::{
    event::Field,
    ops::{Error, arguments, outcome::nothing_to_undo, ownership::changed},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// Attributes by AWS's names.
pub type Attributes = BTreeMap<String, String>;

fn is_load_balancer(arn: &str) -> bool {
    arn.contains(":loadbalancer/")
}

/// All attributes of a load balancer or target group.
pub async fn read(ctx: &Ctx, arn: &str) -> Result<Attributes, Error> {
    let pair = |key: Option<&str>, value: Option<&str>| Some((key?.to_owned(), value.unwrap_or_default().to_owned()));
    if is_load_balancer(arn) {
        let reply = ctx
            .read_of("elasticloadbalancing:DescribeLoadBalancerAttributes", arn, || {
                ctx.aws().elbv2.describe_load_balancer_attributes().load_balancer_arn(arn).send()
            })
            .await?;
        return Ok(reply.attributes().iter().filter_map(|one| pair(one.key(), one.value())).collect());
    }
    let reply = ctx
        .read_of("elasticloadbalancing:DescribeTargetGroupAttributes", arn, || {
            ctx.aws().elbv2.describe_target_group_attributes().target_group_arn(arn).send()
        })
        .await?;
    Ok(reply.attributes().iter().filter_map(|one| pair(one.key(), one.value())).collect())
}

/// Sets attributes.
pub async fn set(ctx: &Ctx, arn: &str, attributes: &Attributes, undo: Option<Undo>) -> Result<(), Error> {
    let declare = |call| {
        let declared = Mutation::new(call, Class::Idempotent, format!("attributes of {}", name_in(arn)));
        match undo {
            Some(undo) => declared.undo(undo),
            None => declared,
        }
    };
    if is_load_balancer(arn) {
        let one = |(key, value): (&String, &String)| LoadBalancerAttribute::builder().key(key).value(value).build();
        let attributes: Vec<_> = attributes.iter().map(one).collect();
        return ctx
            .change(declare("elasticloadbalancing:ModifyLoadBalancerAttributes"), |permit| {
                let request = ctx.aws().elbv2.modify_load_balancer_attributes().load_balancer_arn(arn);
                request.set_attributes(Some(attributes.clone())).customize().interceptor(permit).send()
            })
            .await;
    }
    let one = |(key, value): (&String, &String)| TargetGroupAttribute::builder().key(key).value(value).build();
    let attributes: Vec<_> = attributes.iter().map(one).collect();
    ctx.change(declare("elasticloadbalancing:ModifyTargetGroupAttributes"), |permit| {
        let request = ctx.aws().elbv2.modify_target_group_attributes().target_group_arn(arn);
        request.set_attributes(Some(attributes.clone())).customize().interceptor(permit).send()
    })
    .await
}

/// Sets those that differ from what was found. Returns what changed.
pub async fn converge(ctx: &Ctx, arn: &str, wanted: &Attributes, found: &Attributes) -> Result<Vec<Field>, Error> {
    let ours: Attributes = wanted
        .iter()
        .filter(|(key, value)| found.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if ours.is_empty() {
        return Ok(Vec::new());
    }
    let before: Attributes =
        ours.keys().map(|key| (key.clone(), found.get(key).cloned().unwrap_or_default())).collect();
    let fields = ours.iter().map(|(key, value)| changed(key, json!(found.get(key)), value.as_str())).collect();
    let undo = Undo::new(
        &RESTORE_ATTRIBUTES,
        format!("set attributes of {} back", name_in(arn)),
        json!({ "arn": arn, "before": before, "ours": ours }),
    );
    set(ctx, arn, &ours, Some(undo)).await?;
    Ok(fields)
}

/// Sets changed attributes back.
pub const RESTORE_ATTRIBUTES: UndoAction = UndoAction {
    name: "restore_load_balancing_attributes",
    run: |ctx, arguments| Box::pin(restore_attributes(ctx, arguments)),
};

#[derive(Serialize, Deserialize)]
struct RestoreAttributes {
    arn: String,
    before: Attributes,
    ours: Attributes,
}

async fn restore_attributes(ctx: &Ctx, given: Value) -> Result<Undone, Error> {
    let RestoreAttributes { arn, before, ours } = arguments(given)?;
    let mut found = match read(ctx, &arn).await {
        Err(error) if error.is(&["LoadBalancerNotFound", "TargetGroupNotFound"]) => return Ok(Undone::Already),
        found => found?,
    };
    found.retain(|key, _| ours.contains_key(key));
    // An attribute that was not there is one that has no value.
    for key in ours.keys() {
        found.entry(key.clone()).or_default();
    }
    if let Some(undone) = nothing_to_undo(&found, &before, &ours) {
        return Ok(undone);
    }
    set(ctx, &arn, &before, None).await?;
    Ok(Undone::Done)
}
