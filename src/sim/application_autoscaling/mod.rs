//! Application Auto Scaling: the bounds of ECS services, their policies and scheduled actions. Load is not measured, and what is
//! scheduled does not happen: a service is kept within its bounds, and not scaled between them. Services of other namespaces are
//! not modelled.

pub mod policy;
pub mod schedule;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sim::ecs;
use crate::sim::error::{AwsError, Reply};
use crate::sim::fork::Extent;
use crate::sim::read::{Read, Reader, Rows, Token};
use crate::sim::select::{self, Paging};
use crate::sim::service::{Action, Service, no_secrets};
use crate::sim::table::Table;
use crate::sim::tags::{self, Tags};
use crate::sim::tx::{Tx, resource};
use crate::sim::wire::{Params, Protocol, epoch};

pub use policy::ScalingPolicy;
pub use schedule::ScheduledAction;

pub const SERVICE: Service = Service {
    name: "application-autoscaling",
    protocol: Protocol::Json("AnyScaleFrontendService"),
    namespace: "",
    actions: &[ACTIONS, policy::ACTIONS, schedule::ACTIONS],
    sanitise: no_secrets,
};

const NAMED: &str = "ServiceNamespace ResourceId ScalableDimension";
const PAGES: &str = "MaxResults NextToken";

const ACTIONS: &[Action] = &[
    Action {
        name: "RegisterScalableTarget",
        params: &[
            NAMED,
            "
            MinCapacity MaxCapacity RoleARN Tags.** SuspendedState.DynamicScalingInSuspended
            SuspendedState.DynamicScalingOutSuspended SuspendedState.ScheduledScalingSuspended
            ",
        ],
        run: register_scalable_target,
    },
    Action {
        name: "DescribeScalableTargets",
        params: &["ServiceNamespace ResourceIds[] ScalableDimension", PAGES],
        run: describe_scalable_targets,
    },
    Action { name: "DeregisterScalableTarget", params: &[NAMED], run: deregister_scalable_target },
];

/// How long it takes until a service is brought within new bounds.
const ACTS: Duration = Duration::from_secs(10);

/// What Application Auto Scaling holds in a region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ApplicationAutoScaling {
    scalable_targets: Table<ScalableTarget>,
    tracking_policies: Table<ScalingPolicy>,
    scheduled_actions: Table<ScheduledAction>,
}

/// It looks whether a target is within its bounds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event(String);

impl Event {
    pub fn happen(self, tx: &mut Tx) {
        if let Some(target) = tx.peek::<ScalableTarget>(&self.0).cloned() {
            ecs::service::keep_within(tx, service_in(&target.resource), target.least, target.most);
        }
    }
}

impl From<Event> for crate::sim::world::Event {
    fn from(event: Event) -> Self {
        crate::sim::world::Event::ApplicationAutoScaling(event)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScalableTarget {
    /// `service/cluster/name`: there is one dimension of it.
    pub resource: String,
    pub arn: String,
    pub least: i64,
    pub most: i64,
    pub role: Option<String>,
    /// As it is shown.
    pub suspended: Value,
    pub created: Timestamp,
    pub tags: Tags,
}

resource!(ScalableTarget, resource, region.application_autoscaling.scalable_targets, Extent::Kind, |resource: &str| {
    unregistered(resource)
});
fn missing(what: &str, name_of: &str, key: &str) -> AwsError {
    let (resource, name) = key.rsplit_once('/').unwrap_or((key, ""));
    let message = format!(
        "No {what} found for service namespace: {NAMESPACE}, resource ID: {resource}, scalable dimension: {DIMENSION}, \
         {name_of}: {name}"
    );
    AwsError::new("ObjectNotFoundException", message)
}

pub const CALLS: &[&str] = &["application-autoscaling:DescribeScalableTargets"];

const NAMESPACE: &str = "ecs";
const DIMENSION: &str = "ecs:service:DesiredCount";
const TOKEN: Token = ("NextToken", "NextToken");
const PAGING: Paging = Paging {
    size: "MaxResults",
    token: "NextToken",
    default: 50,
    sizes: 1..=50,
    invalid_token: "InvalidNextTokenException",
};

fn unregistered(resource: &str) -> AwsError {
    let message = format!(
        "No scalable target found for service namespace: {NAMESPACE}, resource ID: {resource}, scalable dimension: \
         {DIMENSION}"
    );
    AwsError::new("ObjectNotFoundException", message)
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationException", message)
}

/// Reads the bounds of all services.
pub fn load(reader: &Reader, _: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let params = json!({ "ServiceNamespace": NAMESPACE, "MaxResults": 50 });
    let all = reader.pages("application-autoscaling", "DescribeScalableTargets", params, "ScalableTargets", TOKEN)?;
    for shown in all.iter().filter(|shown| shown.opt_str("ScalableDimension") == Some(DIMENSION)) {
        rows.whole(
            Read::of(ScalableTarget {
                resource: shown.text("ResourceId"),
                arn: shown.text("ScalableTargetARN"),
                least: shown.number("MinCapacity", 0),
                most: shown.number("MaxCapacity", 0),
                role: shown.opt_str("RoleARN").map(str::to_owned),
                suspended: shown.part("SuspendedState").0,
                created: shown.time("CreationTime"),
                tags: Tags::new(),
            })
            .shown(shown),
        );
    }
    Ok(())
}

/// `cluster/name` of `service/cluster/name`.
fn service_in(resource: &str) -> &str {
    resource.strip_prefix("service/").unwrap_or(resource)
}

/// Refuses what is no service of ECS.
fn namespace(tx: &Tx, p: &Params) -> Result<(), AwsError> {
    for (path, modelled) in [("ServiceNamespace", NAMESPACE), ("ScalableDimension", DIMENSION)] {
        if let Some(other) = p.opt_str(path).filter(|value| *value != modelled) {
            let action = format!("{}:{}", tx.service, tx.action);
            return Err(AwsError::not_modelled("ValidationException", path, other, &action));
        }
    }
    Ok(())
}

fn check_dimension(p: &Params, has_resource: bool) -> Result<(), AwsError> {
    match p.has("ScalableDimension") && !has_resource {
        true => Err(invalid("If you specify a scalable dimension, you must also specify a resource ID.")),
        false => Ok(()),
    }
}

fn resource<'p>(tx: &Tx, p: &'p Params) -> Result<&'p str, AwsError> {
    namespace(tx, p)?;
    let resource = p.str("ResourceId")?;
    match resource.strip_prefix("service/").is_some_and(|key| key.split('/').count() == 2) {
        true => Ok(resource),
        false => {
            Err(invalid(format!("Unsupported service namespace, resource type or scalable dimension: {resource}")))
        }
    }
}

impl ScalableTarget {
    fn view(&self, tx: &Tx) -> Value {
        let role = "role/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService";
        json!({
            "ServiceNamespace": NAMESPACE,
            "ResourceId": self.resource,
            "ScalableDimension": DIMENSION,
            "MinCapacity": self.least,
            "MaxCapacity": self.most,
            "RoleARN": self.role.clone().unwrap_or_else(|| tx.global_arn("iam", role)),
            "CreationTime": epoch(self.created),
            "SuspendedState": self.suspended,
            "ScalableTargetARN": self.arn,
        })
    }
}

fn register_scalable_target(tx: &mut Tx, p: &Params) -> Reply {
    let resource = resource(tx, p)?.to_owned();
    if !ecs::service::is_there(tx, service_in(&resource)) {
        return Err(invalid(format!("ECS service doesn't exist: {resource}")));
    }
    let before = tx.peek::<ScalableTarget>(&resource).cloned();
    let bound = |path: &str, known: Option<i64>| match (p.opt_int(path)?, known) {
        (Some(bound), _) if bound < 0 => Err(invalid(format!("{path} must not be negative"))),
        (Some(bound), _) | (None, Some(bound)) => Ok(bound),
        (None, None) => {
            Err(invalid("MinCapacity and MaxCapacity must be specified when registering a new scalable target"))
        }
    };
    let least = bound("MinCapacity", before.as_ref().map(|it| it.least))?;
    let most = bound("MaxCapacity", before.as_ref().map(|it| it.most))?;
    if most < least {
        return Err(invalid("Maximum capacity cannot be less than minimum capacity"));
    }
    let mut suspended = before.as_ref().map_or_else(
        || {
            json!({
                "DynamicScalingInSuspended": false,
                "DynamicScalingOutSuspended": false,
                "ScheduledScalingSuspended": false,
            })
        },
        |it| it.suspended.clone(),
    );
    if let (Some(known), Some(given)) = (suspended.as_object_mut(), p.get("SuspendedState").and_then(Value::as_object))
    {
        known.extend(given.clone());
    }
    let tags: Vec<Params> = p
        .part("Tags")
        .0
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| Params(json!({ "Key": key, "Value": value })))
        .collect();
    if before.is_some() && !tags.is_empty() {
        return Err(invalid("Tags can only be given when a scalable target is registered for the first time."));
    }
    let target = match before {
        Some(before) => ScalableTarget { least, most, suspended, ..before },
        None => {
            let id = tx.new_id("x");
            ScalableTarget {
                arn: tx.arn("application-autoscaling", &format!("scalable-target/{}", id.trim_start_matches("x-"))),
                role: p.opt_str("RoleARN").map(str::to_owned),
                created: tx.now,
                tags: tags::read(&tags)?,
                resource: resource.clone(),
                least,
                most,
                suspended,
            }
        }
    };
    let arn = target.arn.clone();
    match tx.peek_mut::<ScalableTarget>(&resource) {
        Some(row) => *row = target,
        None => tx.put(target),
    }
    tx.schedule(ACTS, Event(resource));
    Ok(json!({ "ScalableTargetARN": arn }))
}

fn describe_scalable_targets(tx: &mut Tx, p: &Params) -> Reply {
    let asked = p.strings("ResourceIds");
    namespace(tx, p)?;
    check_dimension(p, !asked.is_empty())?;
    let rows = tx.select::<ScalableTarget>(&[])?.into_iter();
    let rows = rows.filter(|target| asked.is_empty() || asked.contains(&target.resource.as_str())).collect();
    let (rows, next) = select::page(&PAGING, p, rows, |target: &&ScalableTarget| &target.resource)?;
    let views: Vec<Value> = rows.into_iter().map(|target| tx.shown(target, ScalableTarget::view)).collect();
    Ok(json!({ "ScalableTargets": views, "NextToken": next }))
}

/// "Deregistering a scalable target deletes the scaling policies and the scheduled actions that are associated with it."
fn deregister_scalable_target(tx: &mut Tx, p: &Params) -> Reply {
    let resource = resource(tx, p)?.to_owned();
    tx.get::<ScalableTarget>(&resource)?;
    policy::delete_all(tx, &resource)?;
    schedule::delete_all(tx, &resource);
    tx.delete::<ScalableTarget>(&resource);
    Ok(json!({}))
}
