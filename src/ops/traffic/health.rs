//! How well target groups are, as their load balancer sees them.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{TargetHealthReasonEnum, TargetHealthStateEnum};

use crate::{
    ops::{
        Error, all_of,
        load_balancing::{name_in, read},
    },
    run::Ctx,
};

/// A target group at one look.
pub struct Health {
    pub target_group: String,
    pub targets: Vec<Target>,
}

/// One of its targets.
pub struct Target {
    pub id: String,
    pub state: TargetHealthStateEnum,
    pub reason: Option<TargetHealthReasonEnum>,
    /// AWS's words for the reason.
    pub description: Option<String>,
}

impl Health {
    pub async fn read(ctx: &Ctx, target_group: &str) -> Result<Self, Error> {
        let described = read::target_health(ctx, target_group).await?;
        let targets = described.iter().filter_map(|one| {
            let health = one.target_health()?;
            Some(Target {
                id: one.target()?.id()?.to_owned(),
                state: health.state()?.clone(),
                reason: health.reason().cloned(),
                description: health.description().map(str::to_owned),
            })
        });
        Ok(Self { target_group: target_group.to_owned(), targets: targets.collect() })
    }

    /// All of these groups, at once.
    pub async fn read_all(ctx: &Ctx, target_groups: &[String]) -> Result<Vec<Self>, Error> {
        let groups: BTreeSet<&String> = target_groups.iter().collect();
        all_of(groups.into_iter().map(|group| Self::read(ctx, group))).await
    }

    /// Without targets that are not among these instances: not every endpoint forgets targets that are gone.
    pub fn of_instances(mut self, instances: &BTreeSet<String>) -> Self {
        self.targets.retain(|target| instances.contains(&target.id));
        self
    }

    pub fn name(&self) -> &str {
        name_in(&self.target_group)
    }

    pub fn healthy(&self) -> usize {
        self.targets.iter().filter(|target| target.state == TargetHealthStateEnum::Healthy).count()
    }

    /// Those that are to serve: not on their way out.
    pub fn staying(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|target| target.state != TargetHealthStateEnum::Draining && !target.is_gone())
    }

    /// Whether no load balancer checks them, as none refers to the group.
    pub fn is_unused(&self) -> bool {
        !self.targets.is_empty() && self.staying().all(|target| target.reason == Some(TargetHealthReasonEnum::NotInUse))
    }

    /// `shop-prod-blue: 2 healthy, 1 initial (Target registration is in progress)`
    pub fn words(&self) -> String {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for target in &self.targets {
            let why = target.description.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            *counts.entry(format!("{}{why}", target.state.as_str())).or_default() += 1;
        }
        let counts: Vec<String> = counts.into_iter().map(|(state, count)| format!("{count} {state}")).collect();
        let counts = if counts.is_empty() { "no targets".to_owned() } else { counts.join(", ") };
        format!("{}: {counts}", self.name())
    }
}

impl Target {
    /// Stopped or terminated.
    pub fn is_gone(&self) -> bool {
        self.reason == Some(TargetHealthReasonEnum::InvalidState)
    }
}
