//! The targets of a group, and how they are.

use std::collections::BTreeSet;

use aws_sdk_elasticloadbalancingv2::types::{TargetHealthDescription, TargetHealthStateEnum as State};

use crate::{ops::Error, run::Ctx};

/// The targets of one group that count: those that are to get requests.
#[derive(Debug, Default)]
pub struct Health {
    pub healthy: BTreeSet<String>,
    /// Registered and not on their way out, with what keeps them from being healthy.
    pub others: Vec<(String, String)>,
}

impl Health {
    pub fn registered(&self) -> usize {
        self.healthy.len() + self.others.len()
    }

    /// Only the targets in `instances`. An endpoint may list targets whose instances are long gone.
    pub fn among(mut self, instances: &BTreeSet<String>) -> Self {
        self.healthy.retain(|target| instances.contains(target));
        self.others.retain(|(target, _)| instances.contains(target));
        self
    }

    /// Why targets are not healthy, in AWS's words: each reason once.
    pub fn reasons(&self) -> String {
        let reasons: BTreeSet<&str> = self.others.iter().map(|(_, reason)| reason.as_str()).collect();
        reasons.into_iter().collect::<Vec<_>>().join(", ")
    }
}

/// Reads the health of a target group.
pub async fn read(ctx: &Ctx, group: &str) -> Result<Health, Error> {
    let call = "elasticloadbalancing:DescribeTargetHealth";
    let reply = ctx.read(call, || ctx.aws().elbv2.describe_target_health().target_group_arn(group).send()).await?;
    let mut health = Health::default();
    for target in reply.target_health_descriptions() {
        let Some(id) = target.target().and_then(|target| target.id()) else { continue };
        match target.target_health().and_then(|health| health.state()) {
            Some(State::Healthy) => {
                health.healthy.insert(id.to_owned());
            }
            Some(State::Draining) => {}
            _ => health.others.push((id.to_owned(), reason(target))),
        }
    }
    Ok(health)
}

fn reason(target: &TargetHealthDescription) -> String {
    let Some(health) = target.target_health() else { return "unknown".to_owned() };
    let state = health.state().map_or("unknown", State::as_str);
    match health.reason() {
        Some(reason) => format!("{state} ({})", reason.as_str()),
        None => state.to_owned(),
    }
}
