//! Health checks: all targets of a group at once, each interval.

use super::targets::{Health, Why};
use super::*;
use crate::sim::ec2::instance::App;

/// Checks the targets of a group, and comes back after the interval for as long as there are any.
pub fn check(tx: &mut Tx, arn: &str) {
    let Some(group) = tx.peek::<TargetGroup>(arn) else { return };
    if group.targets.is_empty() {
        if let Some(group) = tx.peek_mut::<TargetGroup>(arn) {
            group.checking = false;
        }
        return;
    }
    let after: Vec<Health> = group
        .targets
        .iter()
        .map(|target| {
            let answer = targets::app(tx, group, &target.key);
            next(&target.health, outcome(&group.check.protocol, answer), group)
        })
        .collect();
    let interval = Duration::from_secs(group.check.interval.unsigned_abs());
    if let Some(group) = tx.peek_mut::<TargetGroup>(arn) {
        for (target, after) in group.targets.iter_mut().zip(after) {
            target.health = after;
        }
    }
    tx.schedule(interval, Event::Check(arn.to_owned()));
}

/// A TCP check only connects: it is content with a service that answers with errors.
fn outcome(protocol: &str, answer: App) -> Result<(), Why> {
    match answer {
        App::Healthy => Ok(()),
        App::Unhealthy if protocol == "TCP" => Ok(()),
        App::Unhealthy => Err(Why::Mismatch),
        App::Booting => Err(Why::Refused),
        App::Absent => Err(Why::Timeout),
    }
}

/// The health after one more check. A new target is healthy after one check it passes; one that was unhealthy needs
/// the healthy threshold ("Health checks for Application Load Balancer target groups").
fn next(health: &Health, outcome: Result<(), Why>, group: &TargetGroup) -> Health {
    match (health, outcome) {
        (Health::Unused | Health::Registering | Health::Draining { .. }, _) => health.clone(),
        (Health::Initial { .. } | Health::Healthy { .. }, Ok(())) => Health::Healthy { failed: 0 },
        (Health::Initial { failed }, Err(why)) => match failed + 1 >= group.check.unhealthy {
            true => Health::Unhealthy { passed: 0, why },
            false => Health::Initial { failed: failed + 1 },
        },
        (Health::Healthy { failed }, Err(why)) => match failed + 1 >= group.check.unhealthy {
            true => Health::Unhealthy { passed: 0, why },
            false => Health::Healthy { failed: failed + 1 },
        },
        (Health::Unhealthy { passed, why }, Ok(())) => match passed + 1 >= group.check.healthy {
            true => Health::Healthy { failed: 0 },
            false => Health::Unhealthy { passed: passed + 1, why: *why },
        },
        (Health::Unhealthy { .. }, Err(why)) => Health::Unhealthy { passed: 0, why },
    }
}
