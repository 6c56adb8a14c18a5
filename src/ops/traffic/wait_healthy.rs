//! `wait_healthy`: until a fleet can take traffic.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::{Activity, LifecycleState, ScalingActivityStatusCode as Status};
use futures::future::{try_join, try_join_all};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    health::{self, Health},
    split::group_name,
};
use crate::{
    event::Change,
    ops::{Duration, Error, IdOf, IdsOf, Kind, Operation, load_balancing::TargetGroup, require},
    run::{Ctx, Seen, Wait},
};

const CALL: &str = "autoscaling:DescribeAutoScalingGroups";

/// Waits until targets are healthy, and stay so for a while.
///
/// "Healthy" alone is a weak sign: a load balancer takes a new target for healthy after one passed check. So it has to hold
/// for the `dwell`. Fails at once, without waiting for the timeout, when an instance is terminated or cannot be launched,
/// in the words of the scaling activity.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitHealthy {
    /// The target groups in which targets have to be healthy.
    #[serde(default)]
    target_group_arns: Option<IdsOf<TargetGroup>>,
    /// The fleet. With target groups, only its instances count there; without, its instances have to be in service.
    #[serde(default)]
    auto_scaling_group_name: Option<IdOf<Fleet>>,
    /// How many; as many as the fleet wants, or as are registered, if left out.
    #[serde(default)]
    count: Option<u32>,
    /// How long it has to hold.
    #[serde(default = "default_dwell")]
    dwell: Duration,
    /// When to give up.
    #[serde(default = "default_timeout")]
    timeout: Duration,
    /// How many instances of the fleet may be terminated meanwhile.
    #[serde(default)]
    max_terminations: u32,
}

/// An Auto Scaling group, as another operation returned it.
struct Fleet;

impl Kind for Fleet {
    const KIND: &'static str = "auto_scaling_group";
    const ID: &'static str = "auto_scaling_group_name";
}

fn default_dwell() -> Duration {
    Duration::from_secs(30)
}

fn default_timeout() -> Duration {
    Duration::from_secs(600)
}

/// What was seen in the end.
#[derive(Debug, Serialize)]
pub struct Healthy {
    /// Targets, or instances in service.
    pub healthy: usize,
}

impl Kind for Healthy {
    const KIND: &'static str = "health";
    const ID: &'static str = "healthy";
}

impl Operation for WaitHealthy {
    const NAME: &'static str = "wait_healthy";
    const AREA: &'static str = "Traffic";
    const POSITIONAL: Option<&'static str> = Some("target_group_arns");
    const EXAMPLE: &'static str = r#"wait_healthy(#{ target_group_arns: [green], auto_scaling_group_name: fleet, dwell: "30s", timeout: "15m" })"#;

    type Options = Self;
    type Handle = Healthy;

    fn subject(options: &Self) -> String {
        match (&options.auto_scaling_group_name, &options.target_group_arns) {
            (Some(fleet), _) => fleet.to_string(),
            (None, Some(groups)) => groups.as_slice().iter().map(|arn| group_name(arn)).collect::<Vec<_>>().join(", "),
            (None, None) => String::new(),
        }
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Healthy, Error> {
        let groups = options.target_group_arns.as_ref().map(IdsOf::as_slice).unwrap_or_default();
        if groups.is_empty() && options.auto_scaling_group_name.is_none() {
            return Err(Error::option(
                "target_groups",
                "expected target groups or an `auto_scaling_group`, found neither",
            ));
        }
        let what = format!("{} to be healthy", Self::subject(&options));
        let mut watch = Watch { started: ctx.now(), since: None, options: &options, what: what.clone() };
        let wait = Wait { what, timeout: options.timeout.0, every: std::time::Duration::from_secs(5) };
        let healthy = ctx.wait(wait, async || watch.look(ctx, groups).await).await?;
        ctx.did(Change::Waited, []);
        Ok(Healthy { healthy })
    }
}

/// What is remembered between looks.
struct Watch<'a> {
    started: Timestamp,
    /// Since when everything is healthy.
    since: Option<Timestamp>,
    options: &'a WaitHealthy,
    what: String,
}

/// One look at a fleet.
#[derive(Default)]
struct Instances {
    desired: usize,
    all: BTreeSet<String>,
    in_service: BTreeSet<String>,
}

impl Watch<'_> {
    async fn look(&mut self, ctx: &Ctx, groups: &[String]) -> Result<Seen<usize>, Error> {
        let health = try_join_all(groups.iter().map(|group| health::read(ctx, group)));
        let (health, instances) = match &self.options.auto_scaling_group_name {
            Some(fleet) => {
                let (health, instances) = try_join(health, self.look_at_fleet(ctx, fleet.as_str())).await?;
                (health, Some(instances))
            }
            None => (health.await?, None),
        };
        let (healthy, required, reasons) = self.count(health, instances.as_ref());
        if required == 0 || healthy < required {
            self.since = None;
            let reasons = if reasons.is_empty() { String::new() } else { format!(": {reasons}") };
            return Ok(Seen::Pending(format!("{healthy} of {required} healthy{reasons}")));
        }
        let since = *self.since.get_or_insert(ctx.now());
        if ctx.since(since) < self.options.dwell.0 {
            return Ok(Seen::Pending(format!("{healthy} of {required} healthy, holding for {}", self.options.dwell)));
        }
        Ok(Seen::Ready(healthy))
    }

    /// How many are healthy in the group that has the fewest, how many there have to be, and what is wrong with the rest.
    fn count(&self, health: Vec<Health>, instances: Option<&Instances>) -> (usize, usize, String) {
        let wanted = self.options.count.map(|count| count as usize);
        if health.is_empty() {
            let fleet = instances.map_or((0, 0), |fleet| (fleet.in_service.len(), fleet.desired));
            return (fleet.0, wanted.unwrap_or(fleet.1), String::new());
        }
        let health: Vec<Health> = health
            .into_iter()
            .map(|health| match instances {
                Some(fleet) => health.among(&fleet.all),
                None => health,
            })
            .collect();
        let registered = health.iter().map(Health::registered).max().unwrap_or(0);
        let required = wanted.unwrap_or_else(|| instances.map_or(registered, |fleet| fleet.desired));
        let fewest = health.iter().min_by_key(|health| health.healthy.len());
        fewest.map_or((0, required, String::new()), |health| (health.healthy.len(), required, health.reasons()))
    }

    /// The fleet's instances. Fails when waiting longer is pointless.
    async fn look_at_fleet(&self, ctx: &Ctx, name: &str) -> Result<Instances, Error> {
        let aws = &ctx.aws().autoscaling;
        let (group, activities) = try_join(
            ctx.read(CALL, || aws.describe_auto_scaling_groups().auto_scaling_group_names(name).send()),
            // The newest come first; one page is more than what happens between two looks.
            ctx.read("autoscaling:DescribeScalingActivities", || {
                aws.describe_scaling_activities().auto_scaling_group_name(name).send()
            }),
        )
        .await?;
        self.judge(activities.activities())?;
        let Some(group) = group.auto_scaling_groups().first() else {
            return Err(Error::NotFound { what: format!("auto scaling group {name}"), hint: None });
        };
        let desired: i32 = require(CALL, "DesiredCapacity", group.desired_capacity())?;
        let mut instances = Instances { desired: usize::try_from(desired).unwrap_or(0), ..Instances::default() };
        for instance in group.instances() {
            let Some(id) = instance.instance_id() else { continue };
            instances.all.insert(id.to_owned());
            if instance.lifecycle_state() == Some(&LifecycleState::InService) {
                instances.in_service.insert(id.to_owned());
            }
        }
        Ok(instances)
    }

    fn judge(&self, activities: &[Activity]) -> Result<(), Error> {
        let began = |activity: &&Activity| {
            let start = activity.start_time().map(aws_sdk_autoscaling::primitives::DateTime::secs);
            start.is_some_and(|start| start >= self.started.as_second())
        };
        let mut terminations = BTreeMap::new();
        for activity in activities.iter().filter(began) {
            let description = activity.description().unwrap_or_default();
            if activity.status_code() == Some(&Status::Failed) {
                let why = activity.status_message().unwrap_or("no reason given");
                return Err(self.hopeless(format!("{description}: {why}")));
            }
            if description.starts_with("Terminating EC2 instance") {
                let cause = activity.cause().unwrap_or("no cause given");
                terminations.insert(description.to_owned(), cause.to_owned());
            }
        }
        if terminations.len() > self.options.max_terminations as usize {
            let (description, cause) = terminations.pop_first().unwrap_or_default();
            return Err(self.hopeless(format!("{description}: {cause}")));
        }
        Ok(())
    }

    fn hopeless(&self, reason: String) -> Error {
        Error::Hopeless { what: self.what.clone(), reason }
    }
}
