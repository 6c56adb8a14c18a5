//! `shift_traffic`: from one group to another, in steps.

use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Route, Routes, Split, Traffic, guard::Guard, split::group_name};
use crate::{
    event::Change,
    ops::{Duration, Error, IdOf, Operation, load_balancing::TargetGroup, ownership::changed},
    run::Ctx,
};

/// How often health is looked at while a step holds.
const LOOK: std::time::Duration = std::time::Duration::from_secs(10);

/// Moves traffic to target groups in steps, on all routes together.
///
/// Before each step, and all the while it holds, the groups that get traffic have to be healthy; if they are not, the
/// operation fails, and the rollback takes the traffic straight back to where it was. Weights are read back after each
/// change. Steps that are behind the present weight are left out. The old fleet has to stay at its full size until the
/// traffic has moved: pin it with `scale_asg`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShiftTraffic {
    /// What moves where. All routes move as one unit.
    routes: Vec<Move>,
    /// The steps, in order.
    steps: Vec<Step>,
    /// How many targets of each receiving group have to be healthy; all that are registered at the start if left out.
    #[serde(default)]
    min_healthy: Option<u32>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// The listener or listener rule.
    pub route: Route,
    /// The group that gives traffic up. May be left out if the last step is the only one and is 100.
    #[serde(default)]
    pub from: Option<IdOf<TargetGroup>>,
    /// The group that gets it.
    pub to: IdOf<TargetGroup>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The receiving group's part, in percent.
    #[schemars(range(min = 0, max = 100))]
    pub weight: u32,
    /// How long to stay there, watching health, before the next step.
    #[serde(default)]
    pub hold: Option<Duration>,
}

impl Operation for ShiftTraffic {
    const NAME: &'static str = "shift_traffic";
    const AREA: &'static str = "Traffic";
    const EXAMPLE: &'static str = r#"shift_traffic(#{
    routes: [#{ route: listener, from: blue, to: green }],
    steps: [#{ weight: 10, hold: "5m" }, #{ weight: 50, hold: "5m" }, #{ weight: 100, hold: "10m" }],
})"#;

    type Options = Self;
    type Handle = Routes;

    fn subject(options: &Self) -> String {
        let names = options.routes.iter().map(|one| format!("{} → {}", one.route.name(), group_name(one.to.as_str())));
        names.collect::<Vec<_>>().join(", ")
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Routes, Error> {
        shift(ctx, &options.routes, &options.steps, options.min_healthy).await
    }
}

/// Moves `routes` through `steps`.
pub async fn shift(ctx: &Ctx, routes: &[Move], steps: &[Step], min_healthy: Option<u32>) -> Result<Routes, Error> {
    check(routes, steps)?;
    let found = try_join_all(routes.iter().map(|one| one.route.read(ctx))).await?;
    ctx.capture("weights", &found);
    for (index, (one, split)) in routes.iter().zip(&found).enumerate() {
        one.check(index, split, steps)?;
    }
    let mut now = found.clone();
    let present = routes.iter().zip(&found).map(|(one, split)| split.percent(one.to.as_str())).min().unwrap_or(0);
    let arrived = |step: &Step| routes.iter().zip(&found).all(|(one, split)| one.is_done(split, step));
    if steps.last().is_none_or(arrived) {
        ctx.did(Change::Unchanged, []);
        return Ok(result(routes, &now));
    }
    let guards = try_join_all(routes.iter().map(|one| Guard::new(ctx, one.to.as_str(), min_healthy))).await?;
    for step in steps.iter().filter(|step| step.weight >= present) {
        let wanted: Vec<Split> = routes.iter().zip(&now).map(|(one, split)| one.after(split, step)).collect();
        watch(ctx, &guards, &now).await?;
        try_join_all(routes.iter().zip(&wanted).map(|(one, split)| one.route.set(ctx, split))).await?;
        now = wanted;
        if let Some(hold) = step.hold {
            hold_step(ctx, &guards, &now, hold.0).await?;
        }
    }
    let fields = routes.iter().zip(found.iter().zip(&now)).map(|(one, (before, after))| {
        changed(&format!("weights of {}", one.route.name()), before.to_string(), after.to_string())
    });
    ctx.did(Change::Updated, fields);
    Ok(result(routes, &now))
}

/// Stays at a step, and looks at health all the while: also at its end, before anybody goes on.
async fn hold_step(ctx: &Ctx, guards: &[Guard], now: &[Split], hold: std::time::Duration) -> Result<(), Error> {
    let started = ctx.now();
    while let Some(left) = hold.checked_sub(ctx.since(started)).filter(|left| !left.is_zero()) {
        ctx.sleep(left.min(LOOK)).await?;
        watch(ctx, guards, now).await?;
    }
    Ok(())
}

async fn watch(ctx: &Ctx, guards: &[Guard], now: &[Split]) -> Result<(), Error> {
    try_join_all(guards.iter().zip(now).map(|(guard, split)| guard.check(ctx, split))).await?;
    Ok(())
}

fn result(routes: &[Move], now: &[Split]) -> Routes {
    Routes { routes: routes.iter().zip(now).map(|(one, split)| Traffic::new(&one.route, split, |_| None)).collect() }
}

fn check(routes: &[Move], steps: &[Step]) -> Result<(), Error> {
    if routes.is_empty() {
        return Err(Error::option("routes", "expected at least one route, found none"));
    }
    if steps.is_empty() {
        return Err(Error::option("steps", "expected at least one step, found none"));
    }
    for (index, step) in steps.iter().enumerate() {
        if step.weight > 100 {
            let message = format!("expected a weight from 0 to 100 percent, found {}", step.weight);
            return Err(Error::option(format!("steps[{index}].weight"), message));
        }
    }
    Ok(())
}

impl Move {
    /// What cannot be known before the route was read.
    fn check(&self, index: usize, split: &Split, steps: &[Step]) -> Result<(), Error> {
        let from = self.from.as_ref().map(IdOf::as_str);
        if let Some(from) = from {
            let stranger =
                split.groups().find(|(group, weight)| *weight > 0 && *group != from && *group != self.to.as_str());
            if let Some((stranger, weight)) = stranger {
                let (name, route) = (group_name(stranger), self.route.name());
                let message = format!("{route} sends weight {weight} to {name}, which is neither `from` nor `to`");
                return Err(Error::Unsafe(message));
            }
        } else if steps.iter().any(|step| step.weight != 100) {
            let message = "expected the group that keeps the rest of the traffic, found nothing";
            return Err(Error::option(format!("routes[{index}].from"), message));
        }
        Ok(())
    }

    fn after(&self, split: &Split, step: &Step) -> Split {
        split.moved(self.from.as_ref().map(IdOf::as_str), self.to.as_str(), step.weight)
    }

    fn is_done(&self, split: &Split, step: &Step) -> bool {
        split.percent(self.to.as_str()) == step.weight && split.weight(self.to.as_str()).is_some()
    }
}
