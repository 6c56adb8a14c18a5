//! Load balancers of a stack with their target groups; listeners and rules that it has on those of others.

use serde_json::{Value, json};

use super::{Asks, Belonging, Rank, TagMap};
use crate::{
    ops::{
        Error, Together, all_of,
        load_balancing::{
            ensure_listener::DELETE_LISTENER, ensure_listener_rule::DELETE_RULE,
            ensure_load_balancer::DELETE_LOAD_BALANCER, ensure_target_group::DELETE_TARGET_GROUP, name_in, read,
        },
        ownership::STACK_TAG,
    },
    run::{Ctx, UndoAction},
};

/// What the stack owns.
pub async fn of_stack(ctx: &Ctx, stack: &str) -> Result<Vec<Belonging>, Error> {
    let (balancers, groups) = futures::join!(read::load_balancers(ctx), read::target_groups(ctx)).together()?;
    let balancers = balancers.iter().filter_map(|one| one.load_balancer_arn());
    let groups = groups.iter().filter_map(|one| one.target_group_arn());
    let (balancers, groups) = futures::join!(tagged(ctx, balancers), tagged(ctx, groups)).together()?;
    let is_ours = |(_, tags): &&(String, TagMap)| tags.get(STACK_TAG).is_some_and(|owner| owner == stack);
    let (ours, theirs): (Vec<_>, Vec<_>) = balancers.iter().partition(is_ours);
    let guests = all_of(theirs.into_iter().map(|(arn, _)| guests(ctx, arn, stack))).await?;

    let mut found = Vec::new();
    for (arn, tags) in ours {
        let arguments = json!({ "load_balancer_arn": arn, "load_balancer_name": name_in(arn) });
        let asks = ("elasticloadbalancing:DeleteLoadBalancer", "LoadBalancerArn");
        found.extend(one(tags, "load balancer", arn, Rank::LoadBalancers, asks, (&DELETE_LOAD_BALANCER, arguments)));
    }
    for (arn, tags) in &groups {
        let arguments = json!({ "target_group_arn": arn, "target_group_name": name_in(arn) });
        let asks = ("elasticloadbalancing:DeleteTargetGroup", "TargetGroupArn");
        found.extend(one(tags, "target group", arn, Rank::Parts, asks, (&DELETE_TARGET_GROUP, arguments)));
    }
    Ok(found.into_iter().chain(guests.into_iter().flatten()).collect())
}

fn one(
    tags: &TagMap,
    kind: &'static str,
    arn: &str,
    rank: Rank,
    asks: Asks,
    (delete, arguments): (&'static UndoAction, Value),
) -> Option<Belonging> {
    Some(Belonging::tagged(tags, kind, arn, rank, asks)?.named(name_in(arn)).gone_by(delete, arguments))
}

/// What a stack has on somebody else's load balancer. A rule of a listener of its own goes with that.
async fn guests(ctx: &Ctx, balancer: &str, stack: &str) -> Result<Vec<Belonging>, Error> {
    let listeners = read::listeners_of(ctx, balancer).await?;
    let listeners = tagged(ctx, listeners.iter().filter_map(|one| one.listener_arn())).await?;
    let (ours, theirs): (Vec<_>, Vec<_>) =
        listeners.iter().partition(|(_, tags)| tags.get(STACK_TAG).is_some_and(|owner| owner == stack));
    let mut found = Vec::new();
    for (arn, tags) in ours {
        let arguments = json!({ "listener_arn": arn });
        let asks = ("elasticloadbalancing:DeleteListener", "ListenerArn");
        found.extend(one(tags, "listener", arn, Rank::LoadBalancers, asks, (&DELETE_LISTENER, arguments)));
    }
    let rules = all_of(theirs.into_iter().map(async |(arn, _)| {
        let rules = read::rules_of(ctx, arn).await?;
        let own = rules.iter().filter(|rule| rule.is_default() != Some(true)).filter_map(|rule| rule.rule_arn());
        tagged(ctx, own).await
    }));
    for (arn, tags) in rules.await?.iter().flatten() {
        let asks = ("elasticloadbalancing:DeleteRule", "RuleArn");
        let delete = (&DELETE_RULE, json!({ "rule_arn": arn }));
        found.extend(one(tags, "listener rule", arn, Rank::LoadBalancers, asks, delete));
    }
    Ok(found)
}

/// ARNs with their tags.
async fn tagged<'a>(ctx: &Ctx, arns: impl Iterator<Item = &'a str>) -> Result<Vec<(String, TagMap)>, Error> {
    let arns: Vec<String> = arns.map(str::to_owned).collect();
    Ok(read::tags_of(ctx, &arns).await?.into_iter().collect())
}
