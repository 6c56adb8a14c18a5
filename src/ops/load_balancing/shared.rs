//! Describes of load balancing that the operations of a run share. Weights and health, before anything moves, are not
//! among them.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::{Listener, LoadBalancer, TargetGroup};

use super::{attributes, attributes::Attributes, read};
use crate::{
    ops::{Error, network::common::only},
    run::{Ctx, Reading},
};

/// What there is once in a region.
const REGION: &str = "";

const LOAD_BALANCERS: Reading = Reading::new(
    "elasticloadbalancing:DescribeLoadBalancers",
    &["LoadBalancer", "SecurityGroups", "Subnets", "IpAddressType"],
);
const TARGET_GROUPS: Reading = Reading::new("elasticloadbalancing:DescribeTargetGroups", &["TargetGroup"]);
const LISTENERS: Reading = Reading::new("elasticloadbalancing:DescribeListeners", &["Listener"]);
const TAGS: Reading = Reading::new("elasticloadbalancing:DescribeTags", &["Tags"]);
const ATTRIBUTES: Reading = Reading::new("elasticloadbalancing:DescribeTargetGroupAttributes", &["Attributes"]);

/// The load balancers of the region, if they are not more than one page has. Who needs one of many asks by name.
pub async fn load_balancers(ctx: &Ctx) -> Result<Option<Vec<LoadBalancer>>, Error> {
    ctx.shared(LOAD_BALANCERS, REGION, async || read::one_page_of_load_balancers(ctx).await).await
}

/// The target groups of the region, if they are not more than one page has.
pub async fn target_groups(ctx: &Ctx) -> Result<Option<Vec<TargetGroup>>, Error> {
    ctx.shared(TARGET_GROUPS, REGION, async || read::one_page_of_target_groups(ctx).await).await
}

/// The load balancer of that name.
pub async fn load_balancer_named(ctx: &Ctx, name: &str) -> Result<Option<LoadBalancer>, Error> {
    let Some(mut all) = ctx.known::<Option<Vec<LoadBalancer>>>(LOAD_BALANCERS, REGION).await.flatten() else {
        return ctx.shared(LOAD_BALANCERS, name, async || read::load_balancer_named(ctx, name).await).await;
    };
    all.retain(|one| one.load_balancer_name() == Some(name));
    only(&format!("load balancer {name}"), all, LoadBalancer::load_balancer_arn)
}

/// The target group of that name.
pub async fn target_group_named(ctx: &Ctx, name: &str) -> Result<Option<TargetGroup>, Error> {
    let Some(mut all) = ctx.known::<Option<Vec<TargetGroup>>>(TARGET_GROUPS, REGION).await.flatten() else {
        return ctx.shared(TARGET_GROUPS, name, async || read::target_group_named(ctx, name).await).await;
    };
    all.retain(|one| one.target_group_name() == Some(name));
    only(&format!("target group {name}"), all, TargetGroup::target_group_arn)
}

/// The listeners of a load balancer.
pub async fn listeners_of(ctx: &Ctx, load_balancer: &str) -> Result<Vec<Listener>, Error> {
    ctx.shared(LISTENERS, load_balancer, async || read::listeners_of(ctx, load_balancer).await).await
}

/// The listener as it was a moment ago. Whoever moves traffic reads it again.
pub async fn listener(ctx: &Ctx, arn: &str) -> Result<Listener, Error> {
    // …:listener/app/NAME/ID/LISTENER is one of …:loadbalancer/app/NAME/ID
    let balancer =
        arn.rsplit_once('/').map_or(arn, |(balancer, _)| balancer).replacen(":listener/", ":loadbalancer/", 1);
    let known = ctx.known::<Vec<Listener>>(LISTENERS.moving(), &balancer).await.unwrap_or_default();
    match known.into_iter().find(|listener| listener.listener_arn() == Some(arn)) {
        Some(listener) => Ok(listener),
        None => ctx.shared(LISTENERS.moving(), arn, async || read::listener(ctx, arn).await).await,
    }
}

/// The tags of one resource.
pub async fn tags(ctx: &Ctx, arn: &str) -> Result<BTreeMap<String, String>, Error> {
    ctx.shared(TAGS, arn, async || read::tags(ctx, arn).await).await
}

/// Reads the tags of several resources together, for [`tags`].
pub async fn read_tags(ctx: &Ctx, arns: &[String]) -> Result<(), Error> {
    let mut all = read::tags_of(ctx, arns).await?;
    for arn in arns {
        // What is gone says so when it is asked for.
        let Some(tags) = all.remove(arn) else { continue };
        ctx.shared(TAGS, arn, async || Ok(tags)).await?;
    }
    Ok(())
}

/// All attributes of a load balancer or target group.
pub async fn attributes(ctx: &Ctx, arn: &str) -> Result<Attributes, Error> {
    ctx.shared(ATTRIBUTES, arn, async || attributes::read(ctx, arn).await).await
}
