//! Whether target groups get traffic: asked before anything behind them is taken away.

use crate::{
    ops::{
        Error, all_of,
        load_balancing::{action::Answer, name_in, read},
    },
    policy::Kind,
    run::Ctx,
};

/// A listener or rule that forwards to a target group with a weight above zero.
#[derive(PartialEq)]
pub struct Serving {
    route: String,
    /// Where that is.
    words: String,
}

/// Refuses to take a fleet away that gets traffic.
///
/// # Errors
/// [`Error::Unsafe`]; or if a call fails, as nobody knows then.
pub async fn check_idle(ctx: &Ctx, name: &str, target_group_arns: &[String]) -> Result<(), Error> {
    refuse(name, traffic_of(ctx, target_group_arns).await?)
}

/// The same when this run takes back what it made: routes that it made itself are about to go, and were promised to nobody.
///
/// # Errors
/// As `check_idle`.
pub async fn check_idle_but_for_own(ctx: &Ctx, name: &str, target_group_arns: &[String]) -> Result<(), Error> {
    let mut traffic = traffic_of(ctx, target_group_arns).await?;
    traffic.retain(|serving| !ctx.has_made(Kind::LoadBalancing, &serving.route));
    refuse(name, traffic)
}

fn refuse(name: &str, traffic: Vec<Serving>) -> Result<(), Error> {
    if traffic.is_empty() {
        return Ok(());
    }
    let places: Vec<String> = traffic.into_iter().map(|serving| serving.words).collect();
    Err(Error::Unsafe(format!("{name} still gets traffic: {}", places.join("; "))))
}

/// Where the target groups get traffic.
///
/// # Errors
/// If a call fails. What is gone gets none.
async fn traffic_of(ctx: &Ctx, target_group_arns: &[String]) -> Result<Vec<Serving>, Error> {
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
        let own = rules.iter().filter(|rule| rule.is_default() != Some(true));
        let own = own.map(|rule| (rule.rule_arn(), rule.priority().unwrap_or_default(), rule.actions()));
        let default = (listener.listener_arn(), "default", listener.default_actions());
        for (route, priority, actions) in own.chain([default]) {
            let answer = Answer::of(actions);
            let shares = answer.target_groups().iter().filter(|share| share.weight > 0);
            for share in shares.filter(|share| target_group_arns.contains(&share.target_group)) {
                let words = format!("{} on port {port}, rule {priority}", name_in(&share.target_group));
                found.push(Serving { route: route.unwrap_or_default().to_owned(), words });
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
