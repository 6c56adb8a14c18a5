//! Load balancing: load balancers, target groups, listeners and rules. Moving weights between target groups is in
//! `ops::traffic`.

pub mod action;
pub mod attributes;
pub mod certificates;
mod condition;
pub mod ensure_listener;
pub mod ensure_listener_rule;
pub mod ensure_load_balancer;
pub mod ensure_target_group;
pub mod find_listener;
pub mod find_load_balancer;
pub mod find_target_group;
mod health_check;
pub mod listener_settings;
pub mod placement;
mod protocol;
pub mod read;
pub mod route;
pub mod rule_settings;
pub(super) mod shared;
pub mod tags;

pub use health_check::RESTORE_HEALTH_CHECK;

use aws_sdk_elasticloadbalancingv2::types as elb;
use serde::Serialize;

use super::{Error, Kind, require};

/// A load balancer.
#[derive(Debug, Serialize)]
pub struct LoadBalancer {
    pub load_balancer_arn: String,
    pub load_balancer_name: String,
    /// Where it answers; an alias record points here.
    pub dns_name: String,
    /// The hosted zone of `dns_name`: alias records want it.
    pub canonical_hosted_zone_id: String,
    /// `application` or `network`.
    pub r#type: String,
    /// `internet-facing` or `internal`.
    pub scheme: String,
    pub vpc_id: String,
    pub security_groups: Vec<String>,
}

impl Kind for LoadBalancer {
    const KIND: &'static str = "load_balancer";
    const ID: &'static str = "load_balancer_arn";
}

/// A target group.
#[derive(Debug, Serialize)]
pub struct TargetGroup {
    pub target_group_arn: String,
    pub target_group_name: String,
    pub protocol: String,
    pub port: i32,
    pub target_type: String,
    pub vpc_id: String,
}

impl Kind for TargetGroup {
    const KIND: &'static str = "target_group";
    const ID: &'static str = "target_group_arn";
}

/// A listener. It is also a route: its default action can forward.
#[derive(Debug, Serialize)]
pub struct Listener {
    pub listener_arn: String,
    pub load_balancer_arn: String,
    pub port: i32,
    pub protocol: String,
}

impl Kind for Listener {
    const KIND: &'static str = "listener";
    const ID: &'static str = "listener_arn";
}

/// A rule of a listener. It is also a route.
#[derive(Debug, Serialize)]
pub struct ListenerRule {
    pub rule_arn: String,
    pub listener_arn: String,
    pub priority: i32,
}

impl Kind for ListenerRule {
    const KIND: &'static str = "listener_rule";
    const ID: &'static str = "rule_arn";
}

impl LoadBalancer {
    fn from_elb(found: &elb::LoadBalancer) -> Result<Self, Error> {
        const CALL: &str = "elasticloadbalancing:DescribeLoadBalancers";
        Ok(Self {
            load_balancer_arn: require(CALL, "LoadBalancerArn", found.load_balancer_arn())?,
            load_balancer_name: require(CALL, "LoadBalancerName", found.load_balancer_name())?,
            dns_name: require(CALL, "DNSName", found.dns_name())?,
            canonical_hosted_zone_id: require(CALL, "CanonicalHostedZoneId", found.canonical_hosted_zone_id())?,
            r#type: found.r#type().map_or("application", elb::LoadBalancerTypeEnum::as_str).to_owned(),
            scheme: found.scheme().map_or("internet-facing", elb::LoadBalancerSchemeEnum::as_str).to_owned(),
            vpc_id: require(CALL, "VpcId", found.vpc_id())?,
            security_groups: found.security_groups().to_vec(),
        })
    }
}

impl TargetGroup {
    fn from_elb(found: &elb::TargetGroup) -> Result<Self, Error> {
        const CALL: &str = "elasticloadbalancing:DescribeTargetGroups";
        Ok(Self {
            target_group_arn: require(CALL, "TargetGroupArn", found.target_group_arn())?,
            target_group_name: require(CALL, "TargetGroupName", found.target_group_name())?,
            // Groups of Lambda functions have none of these.
            protocol: found.protocol().map_or("", elb::ProtocolEnum::as_str).to_owned(),
            port: found.port().unwrap_or_default(),
            target_type: found.target_type().map_or("instance", elb::TargetTypeEnum::as_str).to_owned(),
            vpc_id: found.vpc_id().unwrap_or_default().to_owned(),
        })
    }
}

impl Listener {
    fn from_elb(found: &elb::Listener) -> Result<Self, Error> {
        const CALL: &str = "elasticloadbalancing:DescribeListeners";
        Ok(Self {
            listener_arn: require(CALL, "ListenerArn", found.listener_arn())?,
            load_balancer_arn: require(CALL, "LoadBalancerArn", found.load_balancer_arn())?,
            port: require(CALL, "Port", found.port())?,
            protocol: require(CALL, "Protocol", found.protocol().map(elb::ProtocolEnum::as_str))?,
        })
    }
}

/// The name in the ARN of a load balancer or target group: `…:targetgroup/NAME/ID`, `…:loadbalancer/app/NAME/ID`.
pub fn name_in(arn: &str) -> &str {
    arn.rsplit('/').nth(1).unwrap_or(arn)
}
