//! Who is unhealthy: looked at every 30 seconds, and replaced.

use std::time::Duration;

use super::group::Group;
use super::member::{Lifecycle, Member};
use super::*;
use super::{activity, attach, fleet, policy};
use crate::sim::ec2::Instance;
use crate::sim::elbv2::targets::{self, TargetState};

pub const EVERY: Duration = Duration::from_secs(30);

pub fn check(tx: &mut Tx, name: &str) {
    let Some(group) = tx.peek::<Group>(name).cloned() else { return };
    if group.deleting {
        return;
    }
    fleet::soon(tx, name, Step::Check, EVERY);
    attach::forget_drained(tx, name);
    policy::scale_in(tx, name);
    let mut replaced = false;
    for member in group.members.iter().filter(|member| member.state == Lifecycle::InService) {
        let Some(why) = trouble(tx, &group, member) else { continue };
        if let Some(member) = tx.peek_mut::<Group>(name).and_then(|group| group.member(&member.instance)) {
            member.healthy = false;
        }
        if group.runs("ReplaceUnhealthy") && group.runs("Terminate") {
            let now = activity::moment(tx.now);
            fleet::leave(
                tx,
                name,
                &member.instance,
                &format!("At {now} an instance was taken out of service in response to {why}."),
            );
            replaced = true;
        }
    }
    if replaced {
        fleet::soon(tx, name, Step::Reconcile, Duration::from_secs(2));
    }
}

/// What is wrong with an instance in service, in AWS's words.
fn trouble(tx: &Tx, group: &Group, member: &Member) -> Option<&'static str> {
    let since = |at: jiff::Timestamp| tx.now.duration_since(at).as_secs();
    let expired = |limit: i64| since(member.launched) >= limit;
    if group.settings.max_instance_lifetime.is_some_and(expired) {
        return Some("the instance reaching the group's maximum instance lifetime");
    }
    if !member.healthy {
        return Some("a user health-check");
    }
    if !group.runs("HealthCheck") {
        return None;
    }
    if tx.peek::<Instance>(&member.instance).is_none_or(|instance| !instance.state.lives()) {
        return Some("an EC2 health check indicating it has been terminated or stopped");
    }
    let in_grace = member.in_service_since.is_none_or(|at| since(at) < group.settings.grace_period);
    let looks_at_targets = group.settings.health_check_type.split(',').any(|kind| kind == "ELB");
    let unhealthy = |arn: &String| targets::state(tx, arn, &member.instance) == Some(TargetState::Unhealthy);
    (looks_at_targets && !in_grace && group.target_groups.iter().any(unhealthy))
        .then_some("an ELB system health check failure")
}
