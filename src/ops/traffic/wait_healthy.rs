//! `wait_healthy`: a new fleet is given traffic only after it has been well for a while.

use std::{collections::BTreeSet, time::Duration as Time};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use super::{
    health::Health,
    launches::{self, Fleet},
};
use crate::{
    event::Change,
    ops::{
        Duration, Error, IdOf, IdsOf, Kind, Operation, Together,
        compute::AutoScalingGroup,
        containers::{self, EcsService},
        load_balancing::{TargetGroup, name_in},
        ownership::set,
    },
    run::{Ctx, Seen, Wait},
};

/// For how long a group that was just attached may be said to be unused.
const UNUSED: Time = Time::from_secs(60);

/// Waits until targets are healthy, and have been for a while. Fails at once when instances cannot be launched or are
/// terminated: nobody has to wait for the timeout to learn that a version does not start.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitHealthy {
    /// The target groups in which they must be healthy.
    #[serde(default)]
    target_groups: IdsOf<TargetGroup>,
    /// The Auto Scaling group they belong to: only its instances count, and what goes wrong with them is told in its
    /// words. Without target groups, its instances must be in service.
    auto_scaling_group: Option<IdOf<AutoScalingGroup>>,
    /// The ECS service they belong to, in the place of a group: its tasks count, and what goes wrong with them is told in the
    /// words of ECS. Without target groups, its tasks must run.
    service: Option<IdOf<EcsService>>,
    /// How many in each target group, or `all`: as many as the Auto Scaling group is to have, or all that are
    /// registered.
    #[serde(default)]
    count: Count,
    /// For how long they must be healthy without a break. A load balancer calls a new target healthy after one good
    /// check.
    #[serde(default = "half_a_minute")]
    dwell: Duration,
    /// How long to wait for all this.
    #[serde(default = "ten_minutes")]
    timeout: Duration,
    /// How many instances may be terminated meanwhile.
    #[serde(default)]
    max_terminations: u32,
}

/// A number, or `all`.
#[derive(Clone, Copy, Debug, Default, JsonSchema)]
#[schemars(inline, extend("x-type" = "integer or \"all\""))]
enum Count {
    #[default]
    All,
    AtLeast(usize),
}

/// As the reference shows it.
impl Serialize for Count {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::AtLeast(count) => count.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "all" => Ok(Self::All),
            Value::Number(number) if number.as_u64().is_some_and(|count| count > 0) => {
                Ok(Self::AtLeast(number.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX)))
            }
            other => Err(D::Error::custom(format!("expected a number above 0 or \"all\", found {other}"))),
        }
    }
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

/// Who is healthy.
#[derive(Debug, Serialize)]
pub struct Healthy {
    pub target_groups: Vec<String>,
    pub auto_scaling_group_name: Option<String>,
    /// In the group that has fewest.
    pub healthy: usize,
    pub instance_ids: Vec<String>,
}

impl Kind for Healthy {
    const KIND: &'static str = "healthy";
    const ID: &'static str = "target_groups";
}

/// One look at everything.
struct Look {
    fleet: Option<Fleet>,
    groups: Vec<Health>,
    /// Why the service of the fleet has given up.
    given_up: Option<String>,
}

/// What was seen over time.
#[derive(Default)]
struct Memory {
    instances: BTreeSet<String>,
    terminated: BTreeSet<String>,
    healthy_since: Option<Timestamp>,
    unused_since: Option<Timestamp>,
}

impl Operation for WaitHealthy {
    const NAME: &'static str = "wait_healthy";
    const AREA: &'static str = "Traffic";
    const EXAMPLE: &'static str =
        r#"wait_healthy(#{ target_groups: [green], auto_scaling_group: fleet, dwell: "1m", timeout: "15m" })"#;

    type Options = Self;
    type Handle = Healthy;

    fn subject(options: &Self) -> String {
        let groups = options.target_groups.as_slice().iter().map(|arn| name_in(arn).to_owned());
        let service = options.service.iter().map(|service| containers::ecs::name_in(service.as_str()).to_owned());
        let group = options.auto_scaling_group.iter().map(ToString::to_string);
        let mut names: Vec<String> = groups.chain(group).chain(service).collect();
        // A fleet and its target group are often called the same.
        names.dedup();
        names.join(", ")
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Healthy, Error> {
        if options.auto_scaling_group.is_some() && options.service.is_some() {
            return Err(Error::option("service", "expected an `auto_scaling_group` or a `service`, found both"));
        }
        let has_fleet = options.auto_scaling_group.is_some() || options.service.is_some();
        if options.target_groups.as_slice().is_empty() && !has_fleet {
            let message = "expected `target_groups`, an `auto_scaling_group` or a `service`, found neither";
            return Err(Error::option("", message));
        }
        if options.dwell >= options.timeout {
            let message = format!("expected more than the dwell of {}, found {}", options.dwell, options.timeout);
            return Err(Error::option("timeout", message));
        }
        let mut seen = Memory::default();
        let started = ctx.now();
        let what = format!("{} to be healthy", Self::subject(&options));
        let wait = Wait { what: what.clone(), timeout: options.timeout.0, every: Time::from_secs(5) };
        let healthy = ctx
            .wait(wait, async || {
                let look = options.look(ctx).await?;
                let hopeless = |reason| Err(Error::Hopeless { what: what.clone(), reason });
                if let Some(reason) = options.hopeless(ctx, &look, &mut seen).await? {
                    return hopeless(reason);
                }
                if !options.is_met(&look) {
                    seen.healthy_since = None;
                    return Ok(Seen::Pending(look.words()));
                }
                let since = *seen.healthy_since.get_or_insert_with(|| ctx.now());
                match options.dwell.0.checked_sub(ctx.since(since)).filter(|left| !left.is_zero()) {
                    Some(_) => Ok(Seen::Pending(format!("{}, for {} to be sure", look.words(), options.dwell))),
                    None => Ok(Seen::Ready(options.handle(&look))),
                }
            })
            .await?;
        let took = Duration(std::time::Duration::from_secs(ctx.since(started).as_secs())).to_string();
        ctx.did(Change::Waited, [set("healthy", healthy.healthy), set("after", took)]);
        Ok(healthy)
    }
}

impl WaitHealthy {
    async fn look(&self, ctx: &Ctx) -> Result<Look, Error> {
        let fleet = async {
            match (&self.auto_scaling_group, &self.service) {
                (Some(name), _) => Ok((Some(Fleet::read(ctx, name.as_str()).await?), None)),
                (None, Some(arn)) => {
                    launches::of_service(ctx, arn.as_str()).await.map(|(fleet, why)| (Some(fleet), why))
                }
                (None, None) => Ok((None, None)),
            }
        };
        let ((fleet, given_up), groups) =
            futures::join!(fleet, Health::read_all(ctx, self.target_groups.as_slice())).together()?;
        let groups = match &fleet {
            Some(fleet) => groups.into_iter().map(|group| group.of_instances(&fleet.instances)).collect(),
            None => groups,
        };
        Ok(Look { fleet, groups, given_up })
    }

    /// Why waiting longer is pointless, if it is.
    async fn hopeless(&self, ctx: &Ctx, look: &Look, seen: &mut Memory) -> Result<Option<String>, Error> {
        let there = look.there();
        seen.terminated.extend(seen.instances.difference(&there).cloned());
        seen.instances.extend(there);
        if let Some(why) = &look.given_up {
            return Ok(Some(why.clone()));
        }
        let activities = match &self.auto_scaling_group {
            Some(group) => launches::activities(ctx, group.as_str()).await?,
            None => Vec::new(),
        };
        if let Some(failure) = launches::failure(&activities) {
            return Ok(Some(failure));
        }
        if seen.terminated.len() > self.max_terminations as usize {
            let ids: Vec<&str> = seen.terminated.iter().map(String::as_str).collect();
            let cause = match &self.service {
                Some(arn) => launches::why_tasks_stopped(ctx, arn.as_str()).await?,
                None => ids.iter().find_map(|id| launches::cause(&activities, id)),
            };
            let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
            return Ok(Some(format!("{} terminated{cause}", ids.join(", "))));
        }
        let Some(unused) = look.groups.iter().find(|group| group.is_unused()) else {
            seen.unused_since = None;
            return Ok(None);
        };
        let since = *seen.unused_since.get_or_insert_with(|| ctx.now());
        Ok((ctx.since(since) > UNUSED).then(|| {
            let name = unused.name();
            format!("nothing forwards to {name}, so nobody checks it; `attach_target_group` puts it onto a route at weight 0")
        }))
    }

    fn is_met(&self, look: &Look) -> bool {
        let of_fleet = look.fleet.as_ref().map(|fleet| fleet.desired);
        if let (true, Some(fleet)) = (look.groups.is_empty(), &look.fleet) {
            let needed = if let Count::AtLeast(count) = self.count { count } else { fleet.desired };
            return fleet.in_service.len() >= needed.max(1);
        }
        look.groups.iter().all(|group| {
            let needed = match (self.count, of_fleet) {
                (Count::AtLeast(count), _) => count,
                (Count::All, Some(desired)) => desired,
                (Count::All, None) => group.staying().count(),
            };
            group.healthy() >= needed.max(1)
        })
    }

    fn handle(&self, look: &Look) -> Healthy {
        let fewest = look.groups.iter().map(Health::healthy).min();
        let in_service = look.fleet.as_ref().map(|fleet| fleet.in_service.len());
        Healthy {
            target_groups: self.target_groups.as_slice().to_vec(),
            auto_scaling_group_name: self.auto_scaling_group.as_ref().map(ToString::to_string),
            healthy: fewest.or(in_service).unwrap_or_default(),
            instance_ids: look.there().into_iter().collect(),
        }
    }
}

impl Look {
    /// The instances that are there to stay.
    fn there(&self) -> BTreeSet<String> {
        match &self.fleet {
            Some(fleet) => fleet.instances.difference(&fleet.leaving).cloned().collect(),
            None => self.groups.iter().flat_map(Health::staying).map(|target| target.id.clone()).collect(),
        }
    }

    fn words(&self) -> String {
        let groups = self.groups.iter().map(Health::words);
        groups.chain(self.fleet.as_ref().map(Fleet::words)).collect::<Vec<_>>().join("; ")
    }
}
