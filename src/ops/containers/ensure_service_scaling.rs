//! `ensure_service_scaling`: how many tasks a service has, as its load asks for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    EcsService, ServiceScaling,
    ecs::name_in,
    scaling::{Bounds, Scaling, converge, resource_id},
    scaling_policy::Policy,
    service,
};
use crate::{
    event::Change,
    ops::{
        Duration, Error, IdOf, Operation,
        load_balancing::{LoadBalancer, TargetGroup},
        ownership::shorten,
    },
    run::Ctx,
};

/// Makes sure that a service has between so many and so many tasks, and that its count follows its load. Policies that this
/// operation has made and that are not among those given are deleted; others are left alone.
///
/// Undone, bounds and policies are what they were; the count is left as scaling has made it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureServiceScaling {
    /// The service: what `deploy_ecs_service` returned, or its ARN.
    service: IdOf<EcsService>,
    min_capacity: u32,
    max_capacity: u32,
    /// What the count follows.
    #[serde(default)]
    target_tracking: Vec<TargetTracking>,
    /// Leaves it as it is when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// Keeps a metric near a value.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct TargetTracking {
    /// Left out, the name of the metric. AWS shows `<service>-<policy_name>`.
    policy_name: Option<String>,
    /// `ECSServiceAverageCPUUtilization`, `ECSServiceAverageMemoryUtilization` or `ALBRequestCountPerTarget`.
    predefined_metric_type: String,
    /// Percent, or requests per target and minute.
    target_value: f64,
    /// For `ALBRequestCountPerTarget`: the load balancer, and the target group whose requests are counted.
    load_balancer: Option<IdOf<LoadBalancer>>,
    target_group: Option<IdOf<TargetGroup>>,
    /// How long after tasks were added no more are.
    scale_out_cooldown: Option<Duration>,
    /// How long after tasks were taken away no more are.
    scale_in_cooldown: Option<Duration>,
    /// Only adds tasks.
    #[serde(default)]
    disable_scale_in: bool,
}

const METRICS: &[&str] =
    &["ECSServiceAverageCPUUtilization", "ECSServiceAverageMemoryUtilization", "ALBRequestCountPerTarget"];

impl Operation for EnsureServiceScaling {
    const NAME: &'static str = "ensure_service_scaling";
    const AREA: &'static str = "ECS";
    const EXAMPLE: &'static str = r#"ensure_service_scaling(#{
    service: web, min_capacity: 2, max_capacity: 10,
    target_tracking: [#{ predefined_metric_type: "ECSServiceAverageCPUUtilization", target_value: 60 }],
})"#;

    type Options = Self;
    type Handle = ServiceScaling;

    fn subject(options: &Self) -> String {
        name_in(options.service.as_str()).to_owned()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<ServiceScaling, Error> {
        let arn = options.service.as_str();
        service::cluster_in(arn)?;
        let wanted = options.wanted(name_in(arn))?;
        let found = service::existing(ctx, arn).await?;
        service::check_owner(ctx, &found)?;
        let (before, fields) = converge(ctx, arn, &wanted, options.keep_on_rollback).await?;
        let change = match (before.bounds, fields.is_empty()) {
            (None, _) => Change::Created,
            (Some(_), true) => Change::Unchanged,
            (Some(_), false) => Change::Updated,
        };
        ctx.did(change, fields);
        Ok(ServiceScaling {
            resource_id: resource_id(arn)?,
            min_capacity: options.min_capacity.into(),
            max_capacity: options.max_capacity.into(),
            policies: wanted.policies.into_keys().collect(),
        })
    }
}

impl EnsureServiceScaling {
    fn wanted(&self, service: &str) -> Result<Scaling, Error> {
        if self.max_capacity < self.min_capacity {
            let message = format!("expected {} or more, found {}", self.min_capacity, self.max_capacity);
            return Err(Error::option("max_capacity", message));
        }
        let mut policies = BTreeMap::new();
        for (at, tracking) in self.target_tracking.iter().enumerate() {
            let path = format!("target_tracking[{at}]");
            let name = tracking.policy_name.as_ref().unwrap_or(&tracking.predefined_metric_type);
            let name = shorten(&format!("{service}-{name}"), 255);
            if policies.insert(name.clone(), tracking.policy(&path)?).is_some() {
                let message = format!("two policies are called {name}: give one of them another `policy_name`");
                return Err(Error::option(path, message));
            }
        }
        let (min_capacity, max_capacity) = (self.min_capacity.into(), self.max_capacity.into());
        Ok(Scaling::wanted(Bounds { min_capacity, max_capacity }, policies))
    }
}

impl TargetTracking {
    fn policy(&self, path: &str) -> Result<Policy, Error> {
        let metric = self.predefined_metric_type.as_str();
        if !METRICS.contains(&metric) {
            let message = format!("expected one of {}, found {metric:?}", METRICS.join(", "));
            return Err(Error::option(format!("{path}.predefined_metric_type"), message));
        }
        if self.target_value <= 0.0 {
            let message = format!("expected more than 0, found {}", self.target_value);
            return Err(Error::option(format!("{path}.target_value"), message));
        }
        let resource_label = match (&self.load_balancer, &self.target_group, metric == "ALBRequestCountPerTarget") {
            (None, None, false) => None,
            (Some(balancer), Some(group), true) => Some(label(balancer.as_str(), group.as_str(), path)?),
            (_, _, true) => {
                return Err(Error::option(
                    path,
                    "expected `load_balancer` and `target_group` with ALBRequestCountPerTarget",
                ));
            }
            (_, _, false) => {
                return Err(Error::option(path, format!("expected no load balancer and target group with {metric}")));
            }
        };
        Ok(Policy {
            predefined_metric_type: metric.to_owned(),
            resource_label,
            target_value: self.target_value,
            scale_out_cooldown: self.scale_out_cooldown.map(|it| it.as_secs().into()),
            scale_in_cooldown: self.scale_in_cooldown.map(|it| it.as_secs().into()),
            disable_scale_in: self.disable_scale_in,
        })
    }
}

/// "app/my-alb/778d41231b141a0f/targetgroup/my-alb-target-group/943f017f100becff" (PredefinedMetricSpecification).
fn label(balancer: &str, group: &str, path: &str) -> Result<String, Error> {
    let balancer = balancer.split_once(":loadbalancer/").map(|(_, rest)| rest);
    let group = group.rsplit(':').next().filter(|rest| rest.starts_with("targetgroup/"));
    match (balancer, group) {
        (Some(balancer), Some(group)) => Ok(format!("{balancer}/{group}")),
        (None, _) => Err(Error::option(format!("{path}.load_balancer"), "expected a load balancer or its ARN")),
        (_, None) => Err(Error::option(format!("{path}.target_group"), "expected a target group or its ARN")),
    }
}
