//! Targets of target groups, as instances and Auto Scaling groups see them.

use crate::sim::error::AwsError;
use crate::sim::tx::Tx;

/// How a target group sees a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(dead_code, reason = "load balancing says these")]
pub enum TargetState {
    Initial,
    Healthy,
    Unhealthy,
    Draining,
    Unused,
}

/// Adds an instance to a target group.
pub fn register(_: &mut Tx, _target_group_arn: &str, _instance_id: &str, _port: Option<u16>) -> Result<(), AwsError> {
    Ok(())
}

/// Takes an instance out of a target group: it drains for the deregistration delay, then it is gone.
pub fn deregister(_: &mut Tx, _target_group_arn: &str, _instance_id: &str, _port: Option<u16>) {}

/// How the target group sees the instance, if it knows it.
pub fn state(_: &Tx, _target_group_arn: &str, _instance_id: &str) -> Option<TargetState> {
    None
}

/// The instance is terminated: every target group forgets it.
pub fn gone(_: &mut Tx, _instance_id: &str) {}
