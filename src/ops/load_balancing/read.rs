//! Describes of what load balancing is made of, to their last page.
//!
//! A "not found" of these often does not say of what, so each read says what it is about.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_elasticloadbalancingv2::types::{Listener, LoadBalancer, Rule, TargetGroup, TargetHealthDescription};

use crate::{
    ops::{Error, all_of, network::common::only},
    run::{Ctx, Reading},
};

/// How long lists may be behind.
const WINDOW: Duration = Duration::from_secs(15);

/// What AWS has just said to be there already ([`code`](Error::code) of `error`), and lists do not show yet.
///
/// # Errors
/// `error`, if it does not turn up.
pub async fn soon<T>(ctx: &Ctx, error: Error, find: impl AsyncFn() -> Result<Option<T>, Error>) -> Result<T, Error> {
    let started = ctx.now();
    loop {
        if let Some(found) = find().await? {
            return Ok(found);
        }
        if ctx.since(started) >= WINDOW {
            return Err(error);
        }
        ctx.sleep(Duration::from_secs(1)).await?;
    }
}

/// Describes take so many resources at a time.
const ARNS_PER_CALL: usize = 20;

/// What the service says of what is not there any more.
pub const GONE: &[&str] = &["LoadBalancerNotFound", "TargetGroupNotFound", "ListenerNotFound", "RuleNotFound"];

/// None for what a list still showed, and is gone: after a rollback, say.
pub fn unless_gone<T>(found: Result<T, Error>) -> Result<Option<T>, Error> {
    match found {
        Err(error) if error.is(GONE) => Ok(None),
        found => found.map(Some),
    }
}

/// None, instead of the service's word for it.
fn or_none<T>(found: Result<Vec<T>, Error>, gone: &str) -> Result<Vec<T>, Error> {
    match found {
        Err(error) if error.is(&[gone]) => Ok(Vec::new()),
        found => found,
    }
}

fn the_one<T>(found: Vec<T>, what: &str, arn: &str) -> Result<T, Error> {
    found.into_iter().next().ok_or_else(|| Error::NotFound { what: format!("{what} {arn}"), hint: None })
}

/// The load balancer of that name.
pub async fn load_balancer_named(ctx: &Ctx, name: &str) -> Result<Option<LoadBalancer>, Error> {
    let found = ctx
        .read_of("elasticloadbalancing:DescribeLoadBalancers", name, || {
            let request = ctx.aws().elbv2.describe_load_balancers().names(name);
            request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await;
    let mut found = or_none(found, "LoadBalancerNotFound")?;
    found.retain(|one| one.load_balancer_name() == Some(name));
    only(&format!("load balancer {name}"), found, LoadBalancer::load_balancer_arn)
}

pub async fn load_balancer(ctx: &Ctx, arn: &str) -> Result<LoadBalancer, Error> {
    const READING: Reading = Reading::new("elasticloadbalancing:DescribeLoadBalancers", &[""]);
    let read = |arns: Vec<String>| async move {
        let found = ctx
            .read_of(READING.call, arn, || {
                let request = ctx.aws().elbv2.describe_load_balancers().set_load_balancer_arns(Some(arns.clone()));
                request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
            })
            .await?;
        Ok(found.into_iter().map(|one| (one.load_balancer_arn().unwrap_or_default().to_owned(), one)).collect())
    };
    let found = ctx.look(READING, arn, ARNS_PER_CALL, read).await?;
    found.ok_or_else(|| Error::NotFound { what: format!("load balancer {arn}"), hint: None })
}

/// All load balancers of the region.
pub async fn load_balancers(ctx: &Ctx) -> Result<Vec<LoadBalancer>, Error> {
    ctx.read("elasticloadbalancing:DescribeLoadBalancers", || {
        ctx.aws().elbv2.describe_load_balancers().into_paginator().items().send().collect::<Result<Vec<_>, _>>()
    })
    .await
}

/// All target groups of the region.
pub async fn target_groups(ctx: &Ctx) -> Result<Vec<TargetGroup>, Error> {
    ctx.read("elasticloadbalancing:DescribeTargetGroups", || {
        ctx.aws().elbv2.describe_target_groups().into_paginator().items().send().collect::<Result<Vec<_>, _>>()
    })
    .await
}

/// The load balancers of the region, if one page has them all.
pub async fn one_page_of_load_balancers(ctx: &Ctx) -> Result<Option<Vec<LoadBalancer>>, Error> {
    let call = "elasticloadbalancing:DescribeLoadBalancers";
    let reply = ctx.read(call, || ctx.aws().elbv2.describe_load_balancers().send()).await?;
    Ok(reply.load_balancers.filter(|_| reply.next_marker.is_none()))
}

/// The target groups of the region, if one page has them all.
pub async fn one_page_of_target_groups(ctx: &Ctx) -> Result<Option<Vec<TargetGroup>>, Error> {
    let call = "elasticloadbalancing:DescribeTargetGroups";
    let reply = ctx.read(call, || ctx.aws().elbv2.describe_target_groups().send()).await?;
    Ok(reply.target_groups.filter(|_| reply.next_marker.is_none()))
}

/// The target group of that name.
pub async fn target_group_named(ctx: &Ctx, name: &str) -> Result<Option<TargetGroup>, Error> {
    let found = ctx
        .read_of("elasticloadbalancing:DescribeTargetGroups", name, || {
            let request = ctx.aws().elbv2.describe_target_groups().names(name);
            request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await;
    let mut found = or_none(found, "TargetGroupNotFound")?;
    found.retain(|one| one.target_group_name() == Some(name));
    only(&format!("target group {name}"), found, TargetGroup::target_group_arn)
}

pub async fn target_group(ctx: &Ctx, arn: &str) -> Result<TargetGroup, Error> {
    let found = ctx
        .read_of("elasticloadbalancing:DescribeTargetGroups", arn, || {
            let request = ctx.aws().elbv2.describe_target_groups().target_group_arns(arn);
            request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await?;
    the_one(found, "target group", arn)
}

/// The listeners of a load balancer.
pub async fn listeners_of(ctx: &Ctx, load_balancer: &str) -> Result<Vec<Listener>, Error> {
    ctx.read_of("elasticloadbalancing:DescribeListeners", load_balancer, || {
        let request = ctx.aws().elbv2.describe_listeners().load_balancer_arn(load_balancer);
        request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
    })
    .await
}

pub async fn listener(ctx: &Ctx, arn: &str) -> Result<Listener, Error> {
    let found = ctx
        .read_of("elasticloadbalancing:DescribeListeners", arn, || {
            let request = ctx.aws().elbv2.describe_listeners().listener_arns(arn);
            request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await?;
    the_one(found, "listener", arn)
}

/// The rules of a listener, the default rule with them.
pub async fn rules_of(ctx: &Ctx, listener: &str) -> Result<Vec<Rule>, Error> {
    ctx.read_of("elasticloadbalancing:DescribeRules", listener, || {
        let request = ctx.aws().elbv2.describe_rules().listener_arn(listener);
        request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
    })
    .await
}

pub async fn rule(ctx: &Ctx, arn: &str) -> Result<Rule, Error> {
    let found = ctx
        .read_of("elasticloadbalancing:DescribeRules", arn, || {
            let request = ctx.aws().elbv2.describe_rules().rule_arns(arn);
            request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await?;
    the_one(found, "rule", arn)
}

/// The tags of one resource.
pub async fn tags(ctx: &Ctx, arn: &str) -> Result<BTreeMap<String, String>, Error> {
    let mut all = describe_tags(ctx, &[arn.to_owned()]).await?;
    Ok(all.remove(arn).unwrap_or_default())
}

/// The tags of several resources, by ARN, of those that are there: a list may show what is gone.
pub async fn tags_of(ctx: &Ctx, arns: &[String]) -> Result<TagsByArn, Error> {
    let some = async |arns: &[String]| {
        if let Some(found) = unless_gone(describe_tags(ctx, arns).await)? {
            return Ok(found);
        }
        // One that is gone fails the call for all.
        let each = arns.iter().map(async |arn| unless_gone(describe_tags(ctx, std::slice::from_ref(arn)).await));
        Ok::<TagsByArn, Error>(all_of(each).await?.into_iter().flatten().flatten().collect())
    };
    Ok(all_of(arns.chunks(ARNS_PER_CALL).map(some)).await?.into_iter().flatten().collect())
}

type TagsByArn = BTreeMap<String, BTreeMap<String, String>>;

async fn describe_tags(ctx: &Ctx, arns: &[String]) -> Result<TagsByArn, Error> {
    let reply = ctx
        .read_of("elasticloadbalancing:DescribeTags", &arns[0], || {
            ctx.aws().elbv2.describe_tags().set_resource_arns(Some(arns.to_vec())).send()
        })
        .await?;
    let tag = |tag: &aws_sdk_elasticloadbalancingv2::types::Tag| {
        Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))
    };
    let described = reply.tag_descriptions().iter();
    Ok(described
        .map(|one| (one.resource_arn().unwrap_or_default().to_owned(), one.tags().iter().filter_map(tag).collect()))
        .collect())
}

/// What the target group says of its targets.
pub async fn target_health(ctx: &Ctx, target_group: &str) -> Result<Vec<TargetHealthDescription>, Error> {
    let reply = ctx
        .read_of("elasticloadbalancing:DescribeTargetHealth", target_group, || {
            ctx.aws().elbv2.describe_target_health().target_group_arn(target_group).send()
        })
        .await?;
    Ok(reply.target_health_descriptions.unwrap_or_default())
}
