//! Whether target groups get traffic: asked before anything behind them is taken away.

use aws_sdk_elasticloadbalancingv2::types::{Action, Listener, Rule, TargetGroup};
use futures::future::try_join_all;

use crate::{ops::Error, run::Ctx};

/// Where the target groups get traffic, in words: one line for each listener or rule that forwards to one with a weight
/// above zero.
///
/// # Errors
/// If a call fails. A target group that is gone gets none.
pub async fn traffic_of(ctx: &Ctx, target_group_arns: &[String]) -> Result<Vec<String>, Error> {
    let groups = try_join_all(target_group_arns.iter().map(|arn| target_group(ctx, arn))).await?;
    let mut balancers: Vec<String> =
        groups.iter().flatten().flat_map(|group| group.load_balancer_arns().to_vec()).collect();
    balancers.sort();
    balancers.dedup();
    let listeners = try_join_all(balancers.iter().map(|arn| listeners(ctx, arn))).await?.concat();
    let rules = try_join_all(listeners.iter().map(|listener| rules(ctx, listener))).await?;
    let mut found = Vec::new();
    for (listener, rules) in listeners.iter().zip(&rules) {
        let port = listener.port().unwrap_or_default();
        // Rules end with the default one, which is the listener's default action.
        let actions = rules.iter().map(|rule| (rule.priority().unwrap_or("default"), rule.actions()));
        for (priority, actions) in actions.chain([("default", listener.default_actions())]) {
            for arn in actions.iter().flat_map(weighted).filter(|arn| target_group_arns.contains(arn)) {
                let line = format!("{} through listener {port}, rule {priority}", short(&arn));
                if !found.contains(&line) {
                    found.push(line);
                }
            }
        }
    }
    Ok(found)
}

async fn target_group(ctx: &Ctx, arn: &str) -> Result<Option<TargetGroup>, Error> {
    let call = "elasticloadbalancing:DescribeTargetGroups";
    let reply = ctx.read(call, || ctx.aws().elbv2.describe_target_groups().target_group_arns(arn).send()).await;
    match reply {
        Ok(reply) => Ok(reply.target_groups.unwrap_or_default().into_iter().next()),
        Err(error) if error.is(&["TargetGroupNotFound"]) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn listeners(ctx: &Ctx, load_balancer: &str) -> Result<Vec<Listener>, Error> {
    let reply = ctx
        .read("elasticloadbalancing:DescribeListeners", || {
            let pages = ctx.aws().elbv2.describe_listeners().load_balancer_arn(load_balancer).into_paginator();
            pages.items().send().collect::<Result<Vec<_>, _>>()
        })
        .await;
    match reply {
        Err(error) if error.is(&["LoadBalancerNotFound"]) => Ok(Vec::new()),
        reply => reply,
    }
}

async fn rules(ctx: &Ctx, listener: &Listener) -> Result<Vec<Rule>, Error> {
    let arn = listener.listener_arn().unwrap_or_default();
    let reply = ctx
        .read("elasticloadbalancing:DescribeRules", || {
            let pages = ctx.aws().elbv2.describe_rules().listener_arn(arn).into_paginator();
            pages.items().send().collect::<Result<Vec<_>, _>>()
        })
        .await;
    match reply {
        Err(error) if error.is(&["ListenerNotFound"]) => Ok(Vec::new()),
        reply => reply,
    }
}

/// The target groups an action forwards to with a weight. Without weights there is one, and it gets everything.
fn weighted(action: &Action) -> Vec<String> {
    let weights = action.forward_config().map(|forward| forward.target_groups()).unwrap_or_default();
    match (weights, action.target_group_arn()) {
        ([], None) => Vec::new(),
        ([], Some(arn)) => vec![arn.to_owned()],
        (weights, _) => weights
            .iter()
            .filter(|group| group.weight().unwrap_or(1) > 0)
            .filter_map(|group| group.target_group_arn().map(str::to_owned))
            .collect(),
    }
}

/// `arn:…:targetgroup/NAME/ID` is known by its name.
fn short(arn: &str) -> &str {
    arn.rsplit('/').nth(1).unwrap_or(arn)
}
