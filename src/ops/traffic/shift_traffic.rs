//! `shift_traffic`: users move from one version to the next, a part at a time.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Moved,
    shift::{self, Enough, Order},
};
use crate::{
    ops::{
        Duration, Error, IdOf, Operation,
        load_balancing::{TargetGroup, name_in, route::Route},
    },
    run::Ctx,
};

/// Moves traffic on routes from one target group to another, in steps. Before each step and while it holds, both
/// groups must have enough healthy targets, or the operation fails; all weights are read back. All routes move
/// together. What an earlier run has done of it is not done again. Rolled back, traffic is where it was before the
/// first step, in one move.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShiftTraffic {
    /// Which routes, from where, to where.
    routes: Vec<Move>,
    /// How much is on the new group then, and for how long it stays so before the next step. Without steps, all moves
    /// at once.
    #[serde(default = "at_once")]
    steps: Vec<Step>,
    /// How many targets of the new group must be healthy.
    #[serde(default = "one")]
    min_healthy: u32,
    /// How many targets of the old group must be healthy while it has traffic; as many as of the new one, if not given.
    /// 0 lets a version go that is broken.
    min_healthy_from: Option<u32>,
}

/// A route, and where its traffic goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Move {
    /// A listener, for its default action, or a listener rule.
    route: Route,
    /// The target group that has the traffic now; none for a first deploy.
    from: Option<IdOf<TargetGroup>>,
    /// The target group that gets it. It must be on the route: see `attach_target_group`.
    to: IdOf<TargetGroup>,
}

/// A part of the way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    /// The percentage of the traffic that is on the new group then.
    weight: u8,
    /// How long it stays so, with both groups being watched.
    #[serde(default = "no_time")]
    hold: Duration,
}

fn one() -> u32 {
    1
}

fn no_time() -> Duration {
    Duration::from_secs(0)
}

fn at_once() -> Vec<Step> {
    vec![Step { weight: 100, hold: no_time() }]
}

impl Operation for ShiftTraffic {
    const NAME: &'static str = "shift_traffic";
    const AREA: &'static str = "Traffic";
    const EXAMPLE: &'static str = r#"shift_traffic(#{
    routes: [#{ route: https, from: blue, to: green }], min_healthy: 2,
    steps: [#{ weight: 10, hold: "5m" }, #{ weight: 50, hold: "5m" }, #{ weight: 100, hold: "10m" }],
})"#;

    type Options = Self;
    type Handle = Moved;

    fn subject(options: &Self) -> String {
        subject(&options.routes)
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Moved, Error> {
        let orders = orders(options.routes)?;
        if options.steps.is_empty() {
            return Err(Error::option("steps", "expected at least one step, found none"));
        }
        let mut last = 0;
        for (index, step) in options.steps.iter().enumerate() {
            if step.weight > 100 || step.weight <= last {
                let message = format!("expected a percentage above {last} and up to 100, found {}", step.weight);
                return Err(Error::option(format!("steps[{index}].weight"), message));
            }
            last = step.weight;
        }
        let steps: Vec<shift::Step> =
            options.steps.iter().map(|step| shift::Step { weight: step.weight, hold: step.hold.0 }).collect();
        let from = options.min_healthy_from.unwrap_or(options.min_healthy);
        shift::run(ctx, orders, &steps, Enough { to: options.min_healthy, from }).await
    }
}

pub(super) fn subject(routes: &[Move]) -> String {
    let mut names: Vec<&str> = routes.iter().map(|one| name_in(one.to.as_str())).collect();
    names.dedup();
    format!("to {}", names.join(", "))
}

/// Checked: each route once, and from one group to another.
pub(super) fn orders(routes: Vec<Move>) -> Result<Vec<Order>, Error> {
    if routes.is_empty() {
        return Err(Error::option("routes", "expected at least one route, found none"));
    }
    let mut orders: Vec<Order> = Vec::new();
    for (index, Move { route, from, to }) in routes.into_iter().enumerate() {
        let (from, to) = (from.map(IdOf::into_string), to.into_string());
        if from.as_ref() == Some(&to) {
            let message = "expected another target group than `from`";
            return Err(Error::option(format!("routes[{index}].to"), message));
        }
        if orders.iter().any(|known| known.route == route) {
            return Err(Error::option(format!("routes[{index}].route"), "this route is listed twice"));
        }
        orders.push(Order { route, from, to });
    }
    Ok(orders)
}
