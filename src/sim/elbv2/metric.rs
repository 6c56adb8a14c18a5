//! What load balancers measure: hosts and requests, as CloudWatch shows them.

use super::targets::Health;
use super::*;
use crate::sim::traffic::{RATE, WHOLE};

/// Requests a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requests {
    pub all: f64,
    pub failed_by_targets: f64,
    pub failed_by_balancer: f64,
}

/// Healthy and unhealthy targets of a group, by what metrics call it: `targetgroup/NAME/ID`. `None` without targets.
pub fn hosts(tx: &Tx, group: &str) -> Option<(usize, usize)> {
    let group = tx.all::<TargetGroup>().find(|row| row.arn.ends_with(&format!(":{group}")))?;
    let count = |is_it: fn(&Health) -> bool| group.targets.iter().filter(|target| is_it(&target.health)).count();
    let (healthy, unhealthy) =
        (count(|it| matches!(it, Health::Healthy { .. })), count(|it| matches!(it, Health::Unhealthy { .. })));
    (healthy + unhealthy > 0).then_some((healthy, unhealthy))
}

/// The requests of a load balancer (`app/NAME/ID`), or to a target group, or to a target group by a load balancer.
pub fn requests(tx: &Tx, balancer: Option<&str>, group: Option<&str>) -> Requests {
    let mut sum = Requests::default();
    for route in spread::routes(tx) {
        if balancer.is_some_and(|name| balancer_in(&route) != name) {
            continue;
        }
        for stream in streams(tx, &route) {
            let is_of = |arn: &str| group.is_none_or(|name| arn.ends_with(&format!(":{name}")));
            let counts = match &stream.server {
                Some(server) => is_of(&server.group),
                None => group.is_none(),
            };
            let rate = RATE as f64 * stream.share as f64 / WHOLE as f64;
            if counts {
                sum.all += rate;
                match (&stream.server, stream.good) {
                    (_, true) => {}
                    (Some(_), false) => sum.failed_by_targets += rate,
                    (None, false) => sum.failed_by_balancer += rate,
                }
            }
        }
    }
    sum
}

/// How much of a route's requests an instance answers, of all routes together.
pub fn share_of(tx: &Tx, instance: &str) -> f64 {
    let routes = spread::routes(tx);
    let streams = routes.iter().flat_map(|route| streams(tx, route));
    let of_it = streams.filter(|stream| stream.server.as_ref().is_some_and(|server| server.id == instance));
    of_it.map(|stream| stream.share as f64 / WHOLE as f64).sum()
}

/// How the requests on a route are answered, if it has any: users come to what forwards to targets.
fn streams(tx: &Tx, route: &str) -> Vec<crate::sim::traffic::Stream> {
    let spread = spread::of(tx, route).unwrap_or_default();
    let has_users = spread.serves || spread.streams.iter().any(|stream| stream.server.is_some());
    if has_users { spread.streams } else { Vec::new() }
}

/// `app/NAME/ID` in the ARN of a listener or a rule.
fn balancer_in(route: &str) -> String {
    let path = route.rsplit(':').next().unwrap_or_default();
    path.split('/').skip(1).take(3).collect::<Vec<_>>().join("/")
}
