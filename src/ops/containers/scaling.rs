//! How a service is scaled, as Application Auto Scaling has it: bounds, and policies that track a target. Neither has tags
//! that a description shows: they belong to whom their service belongs. A policy is called `<service>-<name>`, which is the
//! evidence that it is the operation's: others are left alone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{deploy_ecs_service::without, ecs::name_in, service};
use crate::{
    event::Field,
    ops::{Error, all_of, arguments, network::common::nothing_to_undo, ownership::changed},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// What Application Auto Scaling says when something is not there.
const GONE: &[&str] = &["ObjectNotFoundException"];

/// How many tasks a service may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    pub min_capacity: i64,
    pub max_capacity: i64,
}

/// A policy that tracks a target, as it is compared and put back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub predefined_metric_type: String,
    pub resource_label: Option<String>,
    pub target_value: f64,
    pub scale_out_cooldown: Option<i64>,
    pub scale_in_cooldown: Option<i64>,
    pub disable_scale_in: bool,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scaling {
    pub bounds: Option<Bounds>,
    pub policies: BTreeMap<String, Policy>,
}

/// `service/CLUSTER/NAME`
pub fn resource_id(service_arn: &str) -> Result<String, Error> {
    Ok(format!("service/{}/{}", service::cluster_in(service_arn)?, name_in(service_arn)))
}

fn named(resource: &str) -> Value {
    json!({ "ServiceNamespace": "ecs", "ResourceId": resource, "ScalableDimension": "ecs:service:DesiredCount" })
}

fn with(resource: &str, more: Value) -> Value {
    let mut input = named(resource);
    if let (Some(input), Value::Object(more)) = (input.as_object_mut(), more) {
        input.extend(more);
    }
    input
}

/// How a service is scaled now. A policy of another kind than target tracking is not among its policies.
///
/// # Errors
/// If a call fails.
pub async fn read(ctx: &Ctx, resource: &str) -> Result<Scaling, Error> {
    let (bounds, policies) = futures::join!(read_bounds(ctx, resource), read_policies(ctx, resource));
    Ok(Scaling { bounds: bounds?, policies: policies? })
}

async fn read_bounds(ctx: &Ctx, resource: &str) -> Result<Option<Bounds>, Error> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Reply {
        scalable_targets: Vec<Target>,
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Target {
        resource_id: String,
        min_capacity: i64,
        max_capacity: i64,
    }
    let input = json!({
        "ServiceNamespace": "ecs", "ResourceIds": [resource], "ScalableDimension": "ecs:service:DesiredCount",
    });
    let reply: Reply = ctx.fetch("application-autoscaling:DescribeScalableTargets", &input).await?;
    let found = reply.scalable_targets.into_iter().find(|target| target.resource_id == resource);
    Ok(found.map(|target| Bounds { min_capacity: target.min_capacity, max_capacity: target.max_capacity }))
}

async fn read_policies(ctx: &Ctx, resource: &str) -> Result<BTreeMap<String, Policy>, Error> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Reply {
        scaling_policies: Vec<Shown>,
        next_token: Option<String>,
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Shown {
        policy_name: String,
        resource_id: String,
        target_tracking_scaling_policy_configuration: Option<Tracking>,
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Tracking {
        target_value: f64,
        predefined_metric_specification: Option<Metric>,
        scale_out_cooldown: Option<i64>,
        scale_in_cooldown: Option<i64>,
        disable_scale_in: bool,
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Metric {
        predefined_metric_type: String,
        resource_label: Option<String>,
    }
    let (mut policies, mut next) = (BTreeMap::new(), None);
    loop {
        let mut input = named(resource);
        if let Some(token) = &next {
            input["NextToken"] = json!(token);
        }
        let reply: Reply = ctx.fetch("application-autoscaling:DescribeScalingPolicies", &input).await?;
        for shown in reply.scaling_policies.into_iter().filter(|shown| shown.resource_id == resource) {
            let Some(tracking) = shown.target_tracking_scaling_policy_configuration else { continue };
            let Some(metric) = tracking.predefined_metric_specification else { continue };
            let policy = Policy {
                predefined_metric_type: metric.predefined_metric_type,
                resource_label: metric.resource_label,
                target_value: tracking.target_value,
                scale_out_cooldown: tracking.scale_out_cooldown,
                scale_in_cooldown: tracking.scale_in_cooldown,
                disable_scale_in: tracking.disable_scale_in,
            };
            policies.insert(shown.policy_name, policy);
        }
        next = reply.next_token;
        if next.is_none() {
            return Ok(policies);
        }
    }
}

/// A part that one call changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Bounds,
    Policy(String),
}

/// Brings the scaling of a service to what is wanted. Returns what changed.
///
/// # Errors
/// If AWS refuses.
pub async fn converge(
    ctx: &Ctx,
    service_arn: &str,
    wanted: &Scaling,
    keep: bool,
) -> Result<(Scaling, Vec<Field>), Error> {
    let resource = resource_id(service_arn)?;
    let found = read(ctx, &resource).await?;
    let prefix = format!("{}-", name_in(service_arn));
    let mut fields = Vec::new();
    // Policies need bounds.
    if found.bounds != wanted.bounds {
        let (before, ours) = (json!(found.bounds), json!(wanted.bounds));
        change(ctx, service_arn, Part::Bounds, &before, &ours, keep).await?;
        fields.push(changed("bounds", before, ours));
    }
    let superfluous = |name: &&String| name.starts_with(&prefix) && !wanted.policies.contains_key(*name);
    let names = wanted.policies.keys().chain(found.policies.keys().filter(superfluous));
    let differ = names.filter(|name| found.policies.get(*name) != wanted.policies.get(*name));
    let changes = differ.map(async |name| {
        let (before, ours) = (json!(found.policies.get(name)), json!(wanted.policies.get(name)));
        change(ctx, service_arn, Part::Policy(name.clone()), &before, &ours, keep).await?;
        Ok::<Field, Error>(changed(&format!("target_tracking.{name}"), before, ours))
    });
    fields.extend(all_of(changes).await?);
    Ok((found, fields))
}

/// Takes off what scales a service. Returns whether there was anything. Policies go first, so that each can be put back.
///
/// # Errors
/// If AWS refuses.
pub async fn remove(ctx: &Ctx, service_arn: &str, keep: bool) -> Result<bool, Error> {
    let found = read(ctx, &resource_id(service_arn)?).await?;
    let Some(bounds) = found.bounds else { return Ok(false) };
    // Undone newest first: the bounds are there again before the policies that need them.
    let removals = found.policies.iter().map(async |(name, policy)| {
        change(ctx, service_arn, Part::Policy(name.clone()), &json!(policy), &Value::Null, keep).await
    });
    all_of(removals).await?;
    change(ctx, service_arn, Part::Bounds, &json!(bounds), &Value::Null, keep).await?;
    Ok(true)
}

async fn change(
    ctx: &Ctx,
    service_arn: &str,
    part: Part,
    before: &Value,
    ours: &Value,
    keep: bool,
) -> Result<(), Error> {
    let what = part.words(service_arn);
    let change = ScalingChange {
        service_arn: service_arn.to_owned(),
        part: part.clone(),
        before: before.clone(),
        ours: ours.clone(),
    };
    let undo = Undo::new(&RESTORE_SERVICE_SCALING, format!("restore {what}"), json!(change)).keep(keep).key(what);
    write(ctx, service_arn, &part, ours, Some(undo)).await
}

impl Part {
    fn words(&self, service_arn: &str) -> String {
        match self {
            Self::Bounds => format!("bounds of service {}", name_in(service_arn)),
            Self::Policy(name) => format!("scaling policy {name} of service {}", name_in(service_arn)),
        }
    }
}

async fn write(ctx: &Ctx, service_arn: &str, part: &Part, value: &Value, undo: Option<Undo>) -> Result<(), Error> {
    let resource = resource_id(service_arn)?;
    let what = part.words(service_arn);
    let (call, input) = match (part, value.is_null()) {
        (Part::Bounds, false) => (
            "application-autoscaling:RegisterScalableTarget",
            with(&resource, json!({ "MinCapacity": value["min_capacity"], "MaxCapacity": value["max_capacity"] })),
        ),
        (Part::Bounds, true) => ("application-autoscaling:DeregisterScalableTarget", named(&resource)),
        (Part::Policy(name), false) => {
            let policy: Policy = arguments(value.clone())?;
            let input = with(
                &resource,
                json!({
                    "PolicyName": name,
                    "PolicyType": "TargetTrackingScaling",
                    "TargetTrackingScalingPolicyConfiguration": policy.request(),
                }),
            );
            ("application-autoscaling:PutScalingPolicy", input)
        }
        (Part::Policy(name), true) => {
            ("application-autoscaling:DeleteScalingPolicy", with(&resource, json!({ "PolicyName": name })))
        }
    };
    let declared = Mutation::new(call, Class::Idempotent, what).refers_to([service_arn]).undo(undo);
    let sent = ctx.change(declared, |permit| ctx.aws().call(call, &input).permit(permit).send::<Value>()).await;
    match sent {
        // A policy goes with its target.
        Err(error) if value.is_null() && error.is(GONE) => Ok(()),
        sent => sent,
    }
}

impl Policy {
    fn request(&self) -> Value {
        let mut metric = json!({ "PredefinedMetricType": self.predefined_metric_type });
        if let Some(label) = &self.resource_label {
            metric["ResourceLabel"] = json!(label);
        }
        let mut configuration = json!({
            "TargetValue": self.target_value,
            "PredefinedMetricSpecification": metric,
            "DisableScaleIn": self.disable_scale_in,
        });
        for (name, cooldown) in
            [("ScaleOutCooldown", self.scale_out_cooldown), ("ScaleInCooldown", self.scale_in_cooldown)]
        {
            if let Some(cooldown) = cooldown {
                configuration[name] = json!(cooldown);
            }
        }
        configuration
    }
}

#[derive(Serialize, Deserialize)]
struct ScalingChange {
    service_arn: String,
    part: Part,
    before: Value,
    ours: Value,
}

/// Puts bounds or a policy back. The count stays what scaling has made of it.
pub const RESTORE_SERVICE_SCALING: UndoAction =
    UndoAction { name: "restore_service_scaling", run: |ctx, arguments| Box::pin(restore(ctx, arguments)) };

async fn restore(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let ScalingChange { service_arn, part, before, ours } = arguments(change)?;
    if service::find(ctx, &service_arn).await?.is_none() {
        return Ok(without(ctx, &service_arn));
    }
    let found = read(ctx, &resource_id(&service_arn)?).await?;
    let found = match &part {
        Part::Bounds => json!(found.bounds),
        Part::Policy(name) => json!(found.policies.get(name)),
    };
    if let Some(undone) = nothing_to_undo(&found, &before, &ours) {
        return Ok(undone);
    }
    write(ctx, &service_arn, &part, &before, None).await?;
    Ok(Undone::Done)
}
