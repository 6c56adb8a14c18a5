//! Whether target groups get traffic: asked before anything behind them is taken away.

use crate::{
    ops::{
        Error, all_of,
        load_balancing::{action::Answer, name_in, read},
    },
    run::Ctx,
};

/// Where the target groups get traffic, in words: one line for each listener or rule that forwards to one with a weight
/// above zero.
///
/// # Errors
/// If a call fails. What is gone gets none.
pub async fn traffic_of(ctx: &Ctx, target_group_arns: &[String]) -> Result<Vec<String>, Error> {
    let groups = target_group_arns.iter().map(|arn| read::target_group(ctx, arn));
    let groups = all_of(groups.map(async |group| there(group.await, "TargetGroupNotFound"))).await?;
    let mut balancers: Vec<String> =
        groups.into_iter().flatten().flat_map(|group| group.load_balancer_arns.unwrap_or_default()).collect();
    balancers.sort();
    balancers.dedup();
    let listeners = balancers.iter().map(|arn| read::listeners_of(ctx, arn));
    let listeners = all_of(listeners.map(async |of| there(of.await, "LoadBalancerNotFound"))).await?;
    let listeners: Vec<_> = listeners.into_iter().flatten().flatten().collect();
    let rules = listeners.iter().map(|listener| read::rules_of(ctx, listener.listener_arn().unwrap_or_default()));
    let rules = all_of(rules.map(async |of| there(of.await, "ListenerNotFound"))).await?;
    let mut found = Vec::new();
    for (listener, rules) in listeners.iter().zip(rules) {
        let port = listener.port().unwrap_or_default();
        // The last rule is the listener's default action again.
        let rules = rules.unwrap_or_default();
        let actions = rules.iter().map(|rule| (rule.priority().unwrap_or("default"), rule.actions()));
        for (priority, actions) in actions.chain([("default", listener.default_actions())]) {
            let answer = Answer::of(actions);
            let shares = answer.target_groups().iter().filter(|share| share.weight > 0);
            for share in shares.filter(|share| target_group_arns.contains(&share.target_group)) {
                found.push(format!("{} on port {port}, rule {priority}", name_in(&share.target_group)));
            }
        }
    }
    found.dedup();
    Ok(found)
}

/// What was found, or none if it is gone.
fn there<T>(found: Result<T, Error>, gone: &str) -> Result<Option<T>, Error> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) if error.is(&[gone]) => Ok(None),
        Err(error) => Err(error),
    }
}
