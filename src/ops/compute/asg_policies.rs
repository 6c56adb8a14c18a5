//! Scaling policies of a group. Each is called `<group>-<policy>`: AWS keeps policies by group, but not everything that
//! speaks its API does. The name is also the evidence that a policy is the operation's: others are left alone.

use std::collections::BTreeMap;

use aws_sdk_autoscaling::types::{
    self as autoscaling, CustomizedMetricSpecification, MetricDimension, PredefinedMetricSpecification,
    TargetTrackingConfiguration,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::asg_options::TargetTracking;
use crate::{
    event::Field,
    ops::{
        Error, Tags, all_of, arguments,
        ownership::{changed, shorten},
    },
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// A policy that tracks a target, as it is compared and put back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    predefined_metric_type: Option<String>,
    resource_label: Option<String>,
    customized: Option<Customized>,
    target_value: f64,
    disable_scale_in: bool,
    estimated_instance_warmup: Option<i32>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Customized {
    namespace: String,
    metric_name: String,
    statistic: String,
    dimensions: Tags,
    unit: Option<String>,
}

/// The policies by name.
pub fn wanted(group: &str, policies: &[TargetTracking]) -> BTreeMap<String, Policy> {
    let one = |policy: &TargetTracking| {
        let metric = policy.customized_metric.as_ref().map(|metric| metric.metric_name.as_str());
        let metric = policy.predefined_metric_type.as_deref().or(metric).unwrap_or_default();
        let name = shorten(&format!("{group}-{}", policy.policy_name.as_deref().unwrap_or(metric)), 255);
        let customized = policy.customized_metric.as_ref().map(|metric| Customized {
            namespace: metric.namespace.clone(),
            metric_name: metric.metric_name.clone(),
            statistic: metric.statistic.clone(),
            dimensions: metric.dimensions.clone(),
            unit: metric.unit.clone(),
        });
        let policy = Policy {
            predefined_metric_type: policy.predefined_metric_type.clone(),
            resource_label: policy.resource_label.clone(),
            customized,
            target_value: policy.target_value,
            disable_scale_in: policy.disable_scale_in,
            estimated_instance_warmup: policy.estimated_instance_warmup.map(|warmup| warmup.as_secs()),
        };
        (name, policy)
    };
    policies.iter().map(one).collect()
}

impl Policy {
    fn found(policy: &autoscaling::ScalingPolicy) -> Option<Self> {
        let configuration = policy.target_tracking_configuration()?;
        let text = |text: Option<&str>| text.map(str::to_owned);
        let predefined = configuration.predefined_metric_specification();
        let customized = configuration.customized_metric_specification().map(|metric| Customized {
            namespace: text(metric.namespace()).unwrap_or_default(),
            metric_name: text(metric.metric_name()).unwrap_or_default(),
            statistic: text(metric.statistic().map(|it| it.as_str())).unwrap_or_default(),
            dimensions: Tags(
                metric.dimensions().iter().filter_map(|it| Some((text(it.name())?, text(it.value())?))).collect(),
            ),
            unit: text(metric.unit()),
        });
        Some(Self {
            predefined_metric_type: predefined
                .and_then(|metric| metric.predefined_metric_type())
                .map(|kind| kind.as_str().to_owned()),
            resource_label: text(predefined.and_then(|metric| metric.resource_label())),
            customized,
            target_value: configuration.target_value().unwrap_or_default(),
            disable_scale_in: configuration.disable_scale_in().unwrap_or(false),
            estimated_instance_warmup: policy.estimated_instance_warmup(),
        })
    }

    fn request(&self) -> TargetTrackingConfiguration {
        let predefined = self.predefined_metric_type.as_deref().map(|kind| {
            let metric = PredefinedMetricSpecification::builder().predefined_metric_type(kind.into());
            metric.set_resource_label(self.resource_label.clone()).build()
        });
        let customized = self.customized.as_ref().map(|metric| {
            let dimension =
                |(name, value): (&String, &String)| MetricDimension::builder().name(name).value(value).build();
            let dimensions: Vec<_> = metric.dimensions.0.iter().map(dimension).collect();
            CustomizedMetricSpecification::builder()
                .namespace(&metric.namespace)
                .metric_name(&metric.metric_name)
                .statistic(metric.statistic.as_str().into())
                .set_dimensions(Some(dimensions).filter(|list| !list.is_empty()))
                .set_unit(metric.unit.clone())
                .build()
        });
        TargetTrackingConfiguration::builder()
            .set_predefined_metric_specification(predefined)
            .set_customized_metric_specification(customized)
            .target_value(self.target_value)
            .disable_scale_in(self.disable_scale_in)
            .build()
    }
}

/// The group's policies by name; those that track no target are `None`.
async fn read(ctx: &Ctx, group: &str) -> Result<BTreeMap<String, Option<Policy>>, Error> {
    let policies = ctx
        .read("autoscaling:DescribePolicies", || {
            let pages = ctx.aws().autoscaling.describe_policies().auto_scaling_group_name(group).into_paginator();
            pages.items().send().collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let one = |policy: &autoscaling::ScalingPolicy| Some((policy.policy_name()?.to_owned(), Policy::found(policy)));
    Ok(policies.iter().filter_map(one).collect())
}

/// Puts all policies of a group that was just made. AWS would delete them with it; undone, they go by themselves, because
/// not everything that speaks its API does.
///
/// # Errors
/// If AWS refuses.
pub async fn create(ctx: &Ctx, group: &str, policies: &[TargetTracking], keep: bool) -> Result<(), Error> {
    let wanted = wanted(group, policies);
    let puts = wanted.iter().map(async |(name, policy)| {
        put(ctx, group, name, policy, Some(undo(group, name, None, Some(policy)).keep(keep))).await
    });
    all_of(puts).await?;
    Ok(())
}

fn undo(group: &str, name: &str, before: Option<&Policy>, ours: Option<&Policy>) -> Undo {
    let (before, ours) = (before.cloned(), ours.cloned());
    let change = Change { auto_scaling_group_name: group.to_owned(), name: name.to_owned(), before, ours };
    Undo::new(&RESTORE_POLICY, format!("restore scaling policy {name}"), json!(change))
}

/// Puts the policies that differ, and deletes the operation's own that are not wanted any more. Returns what changed.
///
/// # Errors
/// If AWS refuses.
pub async fn converge(ctx: &Ctx, group: &str, policies: &[TargetTracking]) -> Result<Vec<Field>, Error> {
    let (wanted, found) = (wanted(group, policies), read(ctx, group).await?);
    let prefix = format!("{group}-");
    let ours = |name: &String| name.starts_with(&prefix) && !wanted.contains_key(name);
    let puts = wanted.iter().map(|(name, policy)| (name, Some(policy)));
    let deletions = found.iter().filter(|(name, policy)| ours(name) && policy.is_some()).map(|(name, _)| (name, None));
    let differ = |(name, policy): &(&String, Option<&Policy>)| found.get(*name).cloned().flatten().as_ref() != *policy;
    let changes = puts.chain(deletions).filter(differ).map(async |(name, policy)| {
        let before = found.get(name).cloned().flatten();
        let field = changed(&format!("target_tracking.{name}"), json!(before), json!(policy));
        let undo = undo(group, name, before.as_ref(), policy);
        set(ctx, group, name, policy, Some(undo)).await?;
        Ok::<Field, Error>(field)
    });
    all_of(changes).await
}

async fn set(ctx: &Ctx, group: &str, name: &str, policy: Option<&Policy>, undo: Option<Undo>) -> Result<(), Error> {
    match policy {
        Some(policy) => put(ctx, group, name, policy, undo).await,
        None => delete(ctx, group, name, undo).await,
    }
}

async fn put(ctx: &Ctx, group: &str, name: &str, policy: &Policy, undo: Option<Undo>) -> Result<(), Error> {
    let mut declared =
        Mutation::new("autoscaling:PutScalingPolicy", Class::Idempotent, format!("scaling policy {name}"));
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    ctx.change(declared, |permit| {
        ctx.aws()
            .autoscaling
            .put_scaling_policy()
            .auto_scaling_group_name(group)
            .policy_name(name)
            .policy_type("TargetTrackingScaling")
            .target_tracking_configuration(policy.request())
            .set_estimated_instance_warmup(policy.estimated_instance_warmup)
            .customize()
            .interceptor(permit)
            .send()
    })
    .await
}

async fn delete(ctx: &Ctx, group: &str, name: &str, undo: Option<Undo>) -> Result<(), Error> {
    let mut declared = Mutation::new("autoscaling:DeletePolicy", Class::Idempotent, format!("scaling policy {name}"));
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    ctx.change(declared, |permit| {
        let request = ctx.aws().autoscaling.delete_policy().auto_scaling_group_name(group).policy_name(name);
        request.customize().interceptor(permit).send()
    })
    .await
}

#[derive(Serialize, Deserialize)]
struct Change {
    auto_scaling_group_name: String,
    name: String,
    before: Option<Policy>,
    ours: Option<Policy>,
}

/// Puts a changed or deleted policy back, or deletes a new one.
pub const RESTORE_POLICY: UndoAction =
    UndoAction { name: "restore_scaling_policy", run: |ctx, arguments| Box::pin(restore(ctx, arguments)) };

async fn restore(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let Change { auto_scaling_group_name: group, name, before, ours } = arguments(change)?;
    if super::asg::find(ctx, &group).await?.is_none() {
        return Ok(Undone::Already);
    }
    let found = read(ctx, &group).await?.remove(&name).flatten();
    if found == before {
        return Ok(Undone::Already);
    }
    if found != ours {
        return Ok(Undone::Foreign(format!("expected {}, found {}", json!(ours), json!(found))));
    }
    set(ctx, &group, &name, before.as_ref(), None).await?;
    Ok(Undone::Done)
}
