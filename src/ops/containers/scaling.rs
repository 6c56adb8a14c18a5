//! How a service is scaled, as Application Auto Scaling has it: bounds, and policies that track a target. Neither has tags
//! that a description shows: they belong to whom their service belongs. A policy is called `<service>-<name>`, which is the
//! evidence that it is the operation's: others are left alone.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use super::{
    deploy_ecs_service::without,
    ecs::name_in,
    scaling_policy::{Found, Policy, ShownPolicy},
    service,
};
use crate::{
    event::Field,
    ops::{Error, Together, all_of, arguments, outcome::nothing_to_undo, ownership::changed},
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

/// What somebody has stopped for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Suspended {
    dynamic_scaling_in_suspended: bool,
    dynamic_scaling_out_suspended: bool,
    scheduled_scaling_suspended: bool,
}

/// All of it, but for what is scheduled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scaling {
    pub bounds: Option<Bounds>,
    suspended: Suspended,
    pub policies: BTreeMap<String, Found>,
    /// By policy, the alarms of others that act on it.
    alarms: BTreeMap<String, Vec<String>>,
}

impl Scaling {
    pub fn wanted(bounds: Bounds, policies: BTreeMap<String, Policy>) -> Self {
        let policies = policies.into_iter().map(|(name, policy)| (name, Found::Tracking(policy))).collect();
        Self { bounds: Some(bounds), policies, ..Self::default() }
    }

    /// Its bounds with what is suspended: all that goes with the target.
    fn target(&self) -> Value {
        let mut target = json!(self.bounds);
        if let Some(target) = target.as_object_mut().filter(|_| self.suspended != Suspended::default()) {
            target.insert(SUSPENDED.to_owned(), json!(self.suspended));
        }
        target
    }
}

/// Beside the bounds of a target.
const SUSPENDED: &str = "suspended";

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

/// How a service is scaled now.
///
/// # Errors
/// If a call fails.
pub async fn read(ctx: &Ctx, resource: &str) -> Result<Scaling, Error> {
    let (target, shown) = futures::join!(
        read_target(ctx, resource),
        all::<ShownPolicy>(ctx, "application-autoscaling:DescribeScalingPolicies", resource)
    )
    .together()?;
    let mut scaling = target;
    for shown in shown {
        let name = shown.policy_name.clone();
        scaling.alarms.insert(name.clone(), shown.others_alarms());
        scaling.policies.insert(name, shown.into());
    }
    Ok(scaling)
}

/// Without policies.
async fn read_target(ctx: &Ctx, resource: &str) -> Result<Scaling, Error> {
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
        suspended_state: Suspended,
    }
    let input = json!({
        "ServiceNamespace": "ecs", "ResourceIds": [resource], "ScalableDimension": "ecs:service:DesiredCount",
    });
    let reply: Reply = ctx.fetch("application-autoscaling:DescribeScalableTargets", &input).await?;
    let found = reply.scalable_targets.into_iter().find(|target| target.resource_id == resource);
    Ok(found.map_or_else(Scaling::default, |Target { min_capacity, max_capacity, suspended_state, .. }| Scaling {
        bounds: Some(Bounds { min_capacity, max_capacity }),
        suspended: suspended_state,
        ..Scaling::default()
    }))
}

/// What is scheduled, by name: as PutScheduledAction takes it back.
async fn read_scheduled(ctx: &Ctx, resource: &str) -> Result<BTreeMap<String, Value>, Error> {
    const MEMBERS: [&str; 5] = ["Schedule", "Timezone", "StartTime", "EndTime", "ScalableTargetAction"];
    let shown: Vec<Map<String, Value>> = all(ctx, "application-autoscaling:DescribeScheduledActions", resource).await?;
    let action = |mut shown: Map<String, Value>| {
        let name = shown.get("ScheduledActionName")?.as_str()?.to_owned();
        shown.retain(|member, value| MEMBERS.contains(&member.as_str()) && !value.is_null());
        Some((name, Value::Object(shown)))
    };
    Ok(shown.into_iter().filter_map(action).collect())
}

/// All pages of what a call describes of a service.
async fn all<T>(ctx: &Ctx, call: &'static str, resource: &str) -> Result<Vec<T>, Error>
where
    T: DeserializeOwned + fmt::Debug + Send + Sync + 'static,
{
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Page<T> {
        #[serde(alias = "ScalingPolicies", alias = "ScheduledActions", default = "Vec::new")]
        found: Vec<T>,
        next_token: Option<String>,
    }
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let mut input = named(resource);
        if let Some(token) = &next {
            input["NextToken"] = json!(token);
        }
        let page: Page<T> = ctx.fetch(call, &input).await?;
        found.extend(page.found);
        next = page.next_token;
        if next.is_none() {
            return Ok(found);
        }
    }
}

/// A part that one call changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Bounds,
    Policy(String),
    /// What is scheduled under this name.
    Scheduled(String),
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
        let ours = json!(wanted.bounds);
        change(ctx, service_arn, Part::Bounds, &found.target(), &ours, keep).await?;
        fields.push(changed("bounds", json!(found.bounds), ours));
    }
    let superfluous = |(name, policy): &(&String, &Found)| {
        matches!(policy, Found::Tracking(_)) && name.starts_with(&prefix) && !wanted.policies.contains_key(*name)
    };
    let superfluous = found.policies.iter().filter(superfluous).map(|(name, _)| name);
    let names = wanted.policies.keys().chain(superfluous);
    let differ = names.filter(|name| found.policies.get(*name) != wanted.policies.get(*name));
    let changes = differ.map(async |name| {
        let (before, ours) = (json!(found.policies.get(name)), json!(wanted.policies.get(name)));
        change(ctx, service_arn, Part::Policy(name.clone()), &before, &ours, keep).await?;
        Ok::<Field, Error>(changed(&format!("target_tracking.{name}"), before, ours))
    });
    fields.extend(all_of(changes).await?);
    Ok((found, fields))
}

/// Takes off what scales a service. Returns whether there was anything. "Deregistering a scalable target deletes the scaling
/// policies and the scheduled actions that are associated with it": they go before it, so that each can be put back.
///
/// # Errors
/// If AWS refuses.
pub async fn remove(ctx: &Ctx, service_arn: &str, keep: bool) -> Result<bool, Error> {
    let resource = resource_id(service_arn)?;
    let (found, scheduled) = futures::join!(read(ctx, &resource), read_scheduled(ctx, &resource)).together()?;
    if found.bounds.is_none() {
        return Ok(false);
    }
    let policies = found.policies.iter().map(|(name, policy)| (Part::Policy(name.clone()), json!(policy)));
    let parts: Vec<(Part, Value)> =
        policies.chain(scheduled.into_iter().map(|(name, action)| (Part::Scheduled(name), action))).collect();
    // Undone newest first: the bounds are there again before what needs them.
    let removals = parts.iter().map(async |(part, before)| match part {
        Part::Policy(name) if found.alarms.get(name).is_some_and(|alarms| !alarms.is_empty()) => {
            // Put again it has another ARN, and its alarms act on the old one.
            let alarms = found.alarms[name].join(", ");
            let words = format!("bring back {}, on which alarms act: {alarms}", part.words(service_arn));
            write(ctx, service_arn, part, &Value::Null, Some(Undo::impossible(words).keep(keep))).await
        }
        part => change(ctx, service_arn, part.clone(), before, &Value::Null, keep).await,
    });
    all_of(removals).await?;
    change(ctx, service_arn, Part::Bounds, &found.target(), &Value::Null, keep).await?;
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
            Self::Scheduled(name) => format!("scheduled action {name} of service {}", name_in(service_arn)),
        }
    }
}

async fn write(ctx: &Ctx, service_arn: &str, part: &Part, value: &Value, undo: Option<Undo>) -> Result<(), Error> {
    let resource = resource_id(service_arn)?;
    let what = part.words(service_arn);
    let (call, input) = match (part, value.is_null()) {
        (Part::Bounds, false) => {
            let bounds = json!({ "MinCapacity": value["min_capacity"], "MaxCapacity": value["max_capacity"] });
            let mut input = with(&resource, bounds);
            if let Some(suspended) = value.get(SUSPENDED) {
                input["SuspendedState"] = suspended.clone();
            }
            ("application-autoscaling:RegisterScalableTarget", input)
        }
        (Part::Bounds, true) => ("application-autoscaling:DeregisterScalableTarget", named(&resource)),
        (Part::Policy(name), false) => {
            let mut input = with(&resource, arguments::<Found>(value.clone())?.request());
            input["PolicyName"] = json!(name);
            ("application-autoscaling:PutScalingPolicy", input)
        }
        (Part::Policy(name), true) => {
            ("application-autoscaling:DeleteScalingPolicy", with(&resource, json!({ "PolicyName": name })))
        }
        (Part::Scheduled(name), false) => {
            let mut input = with(&resource, value.clone());
            input["ScheduledActionName"] = json!(name);
            // It has begun: that is what it is without a start.
            let has_begun = value["StartTime"].as_f64().is_some_and(|start| start <= ctx.now().as_second() as f64);
            if let Some(input) = input.as_object_mut().filter(|_| has_begun) {
                input.remove("StartTime");
            }
            ("application-autoscaling:PutScheduledAction", input)
        }
        (Part::Scheduled(name), true) => {
            let input = with(&resource, json!({ "ScheduledActionName": name }));
            ("application-autoscaling:DeleteScheduledAction", input)
        }
    };
    let declared = Mutation::new(call, Class::Idempotent, what).refers_to([service_arn]).undo(undo);
    let sent = ctx.change(declared, |permit| ctx.aws().call(call, &input).permit(permit).send::<Value>()).await;
    match sent {
        // Policies and scheduled actions go with their target.
        Err(error) if value.is_null() && error.is(GONE) => Ok(()),
        sent => sent,
    }
}

#[derive(Serialize, Deserialize)]
struct ScalingChange {
    service_arn: String,
    part: Part,
    before: Value,
    ours: Value,
}

/// Puts bounds (of a target that was taken away, with what was suspended of it), a policy or a scheduled action back. The count
/// stays what scaling has made of it.
pub const RESTORE_SERVICE_SCALING: UndoAction =
    UndoAction { name: "restore_service_scaling", run: |ctx, arguments| Box::pin(restore(ctx, arguments)) };

async fn restore(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let ScalingChange { service_arn, part, mut before, ours } = arguments(change)?;
    if service::find(ctx, &service_arn).await?.is_none() {
        return Ok(without(ctx, &service_arn));
    }
    let resource = resource_id(&service_arn)?;
    let mut found = match &part {
        Part::Bounds => read_target(ctx, &resource).await?.target(),
        Part::Policy(name) => json!(read(ctx, &resource).await?.policies.get(name)),
        Part::Scheduled(name) => json!(read_scheduled(ctx, &resource).await?.get(name)),
    };
    // What is suspended went away with the target. Of one that is there it was never changed.
    if part == Part::Bounds && !ours.is_null() {
        [&mut found, &mut before].into_iter().filter_map(Value::as_object_mut).for_each(|target| {
            target.remove(SUSPENDED);
        });
    }
    if let Some(undone) = nothing_to_undo(&found, &before, &ours) {
        return Ok(undone);
    }
    write(ctx, &service_arn, &part, &before, None).await?;
    Ok(Undone::Done)
}
