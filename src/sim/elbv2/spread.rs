//! How a route spreads its requests right now: over lanes, groups by weight, and targets; and which of them are
//! answered properly. `sim::traffic` sums this over time.
//!
//! Slow start, stickiness and the algorithm only decide which of several healthy targets answers: as that changes no
//! sum, each gets the same share. Zones share their targets, as if cross-zone load balancing were always on.

use super::action::{Does, Share};
use super::route::{self, Lane, Route};
use super::targets::Health;
use super::*;
use crate::sim::ec2::instance::App;
use crate::sim::traffic::{KEPT_ALIVE, Server, Spread, Stream, WHOLE};

/// The routes of this region.
pub fn routes(tx: &Tx) -> Vec<String> {
    route::all(tx).map(|(arn, ..)| arn.to_owned()).collect()
}

/// Whether all is known that decides about the requests on a route: in a fork, not every target group was read.
pub fn is_known(tx: &Tx, arn: &str) -> bool {
    let Some(route) = route::of(tx, arn) else { return true };
    let actions = [Lane::New, Lane::Kept].into_iter().filter_map(|lane| route.followed(lane));
    let mut groups = actions.flat_map(|action| action.groups()).filter(|share| share.weight > 0);
    groups.all(|share| tx.is_known::<TargetGroup>(&share.group))
}

/// Whether a target group is sent requests.
pub fn gets_requests(tx: &Tx, group: &str) -> bool {
    let sends = |route: &Route| {
        let actions = [Lane::New, Lane::Kept].into_iter().filter_map(|lane| route.followed(lane));
        actions.flat_map(|action| action.groups()).any(|share| share.group == group && share.weight > 0)
    };
    route::all(tx).any(|(_, route, _)| sends(route))
}

/// How the requests on a route are answered now. A rule that is gone leaves its requests to the default action;
/// `None` if nobody answers them.
pub fn of(tx: &Tx, arn: &str) -> Option<Spread> {
    let listener = tx.peek::<Listener>(&route::listener_of(arn))?;
    let route = route::of(tx, arn).unwrap_or(&listener.route);
    let balancer = tx.peek::<LoadBalancer>(&listener.load_balancer).filter(|balancer| balancer.active)?;
    let mut spread = Spread::default();
    for (lane, share) in [(Lane::New, WHOLE - KEPT_ALIVE), (Lane::Kept, KEPT_ALIVE)] {
        lane_of(tx, balancer, route, lane, share, &mut spread);
    }
    Some(spread)
}

fn lane_of(tx: &Tx, balancer: &LoadBalancer, route: &Route, lane: Lane, share: u64, spread: &mut Spread) {
    let itself = |good| Stream { share, server: None, good };
    match route.followed(lane).map(|action| &action.does) {
        None => spread.streams.push(itself(false)),
        // One that is not modelled is taken to do its work.
        Some(Does::Redirect { .. } | Does::Other(_)) => spread.streams.push(itself(true)),
        Some(Does::FixedResponse { status, .. }) => spread.streams.push(itself(!status.starts_with('5'))),
        Some(Does::Forward { groups, .. }) => {
            let groups: Vec<&Share> = groups.iter().filter(|share| share.weight > 0).collect();
            let weights: Vec<u64> = groups.iter().map(|share| share.weight.unsigned_abs()).collect();
            if groups.is_empty() {
                spread.streams.push(itself(false));
            }
            for (group, share) in groups.iter().zip(split(share, &weights)) {
                group_of(tx, balancer, &group.group, lane, share, spread);
            }
        }
    }
}

/// Requests stay with the group that was drawn, whatever its health: there is no failing over to another one.
fn group_of(tx: &Tx, balancer: &LoadBalancer, arn: &str, lane: Lane, share: u64, spread: &mut Spread) {
    let nobody = Stream { share, server: None, good: false };
    let Some(group) = tx.peek::<TargetGroup>(arn) else {
        spread.streams.push(nobody);
        return;
    };
    // A network load balancer leaves open connections with a target that drains.
    let keeps = balancer.network && lane == Lane::Kept;
    let reachable: Vec<_> = group
        .targets
        .iter()
        .filter(|target| match target.health {
            Health::Unused | Health::Registering => false,
            Health::Draining { .. } => keeps,
            Health::Initial { .. } | Health::Healthy { .. } | Health::Unhealthy { .. } => true,
        })
        .filter(|target| targets::is_in_enabled_zone(tx, group, &target.key))
        .collect();
    let mut chosen: Vec<_> = reachable
        .iter()
        .copied()
        .filter(|target| matches!(target.health, Health::Healthy { .. } | Health::Draining { .. }))
        .collect();
    let healthy = chosen.iter().filter(|target| matches!(target.health, Health::Healthy { .. })).count();
    spread.serves |= healthy > 0;
    if fails_open(group, healthy, reachable.len()) {
        chosen = reachable;
    }
    if chosen.is_empty() {
        spread.streams.push(nobody);
        return;
    }
    for (target, share) in chosen.iter().zip(split(share, &vec![1; chosen.len()])) {
        let key = &target.key;
        let good = targets::app(tx, group, key) == App::Healthy;
        let server = Server { group: arn.to_owned(), id: key.id.clone(), port: key.port };
        spread.streams.push(Stream { share, server: Some(server), good });
    }
}

/// With fewer healthy targets than these thresholds say, requests go to all targets, healthy or not.
fn fails_open(group: &TargetGroup, healthy: usize, all: usize) -> bool {
    let threshold = |unit: &str| {
        let key = format!("target_group_health.unhealthy_state_routing.minimum_healthy_targets.{unit}");
        group.attribute(&key).parse::<usize>().ok()
    };
    threshold("count").is_some_and(|count| healthy < count)
        || threshold("percentage").is_some_and(|percentage| healthy * 100 < percentage * all)
}

/// Parts of a whole in the proportion of the weights; they add up to it.
fn split(whole: u64, weights: &[u64]) -> Vec<u64> {
    let total: u64 = weights.iter().sum();
    let (mut so_far, mut given) = (0, 0);
    weights
        .iter()
        .map(|weight| {
            so_far += weight;
            let part = whole * so_far / total - given;
            given += part;
            part
        })
        .collect()
}

/// Whether requests that are under way on a server of this route come to nothing: the instance is gone, or the load
/// balancer has let go of the target, the group or the listener.
pub fn is_cut(tx: &Tx, route: &str, server: &Server) -> bool {
    let listener = tx.peek::<Listener>(&route::listener_of(route));
    let Some(balancer) = listener.and_then(|listener| tx.peek::<LoadBalancer>(&listener.load_balancer)) else {
        return true;
    };
    let Some(group) = tx.peek::<TargetGroup>(&server.group) else { return true };
    let key = targets::Key { id: server.id.clone(), port: server.port };
    let registered = group.targets.iter().any(|target| target.key == key);
    // At the end of the delay an application load balancer closes connections; a network one leaves them alone.
    let let_go = !registered && !balancer.network;
    let_go || targets::app(tx, group, &key) == App::Absent
}
