//! Moving weight, step by step, on several routes as one: look, guard, move, read back, hold.

use std::time::Duration;

use super::{Moved, Traffic, health::Health, tell, weights};
use crate::{
    event::{Event, Field},
    ops::{
        self, Error, Together, all_of,
        load_balancing::{
            action::Share,
            name_in,
            route::{self, Live, Route},
        },
        outcome::report,
        ownership::changed,
    },
    run::Ctx,
};

/// How often health and weights are looked at during a hold.
const LOOK: Duration = Duration::from_secs(10);

/// A move that was asked for.
pub struct Order {
    pub route: Route,
    pub from: Option<String>,
    pub to: String,
}

impl Order {
    /// The groups that have weight now or would have it then, and how many of their targets must be healthy.
    fn needs(&self, percentage: u8, enough: Enough) -> Vec<(String, u32)> {
        let mut needs = vec![(self.to.clone(), enough.to)];
        if let Some(from) = &self.from
            && percentage < 100
        {
            needs.push((from.clone(), enough.from));
        }
        needs
    }
}

/// A step: the percentage that is on the new group then, and for how long.
pub struct Step {
    pub weight: u8,
    pub hold: Duration,
}

/// How many healthy targets are enough, where traffic goes to and where it comes from.
#[derive(Clone, Copy)]
pub struct Enough {
    pub to: u32,
    pub from: u32,
}

/// A route under way.
struct Way {
    order: Order,
    live: Live,
    /// What was there at first.
    first: Vec<Share>,
    /// What has been set.
    moves: Vec<Vec<Share>>,
}

/// Moves the routes through the steps. What a route has behind it already is left out.
pub async fn run(ctx: &Ctx, orders: Vec<Order>, steps: &[Step], enough: Enough) -> Result<Moved, Error> {
    ctx.may_ask_for(enough.to)?;
    for order in &orders {
        route::lock(ctx, &order.route).await?;
    }
    let read = |order: Order| async move {
        let live = route::live(ctx, &order.route).await?;
        let first = live.answer.target_groups().to_vec();
        Ok::<_, Error>(Way { order, live, first, moves: Vec::new() })
    };
    // The health that the first step needs is read with the routes.
    let first = steps.first().map_or(100, |step| step.weight);
    let needed: Vec<String> =
        orders.iter().flat_map(|order| order.needs(first, enough)).map(|(group, _)| group).collect();
    let (ways, health) = futures::join!(all_of(orders.into_iter().map(read)), Health::read_all(ctx, &needed));
    let mut ways = ways?;
    ways.iter().try_for_each(Way::check)?;
    let mut health = Some(health?);
    for way in &ways {
        tell(ctx, &way.live);
        ctx.capture(&format!("weights of {}", way.order.route), &way.first);
    }
    for step in steps {
        let ahead: Vec<&mut Way> = ways.iter_mut().filter(|way| way.percentage() < u32::from(step.weight)).collect();
        if ahead.is_empty() {
            continue;
        }
        let moving: Vec<&Way> = ahead.iter().map(|way| &**way).collect();
        let read = health.take().filter(|_| step.weight == first);
        guard(ctx, &moving, step.weight, enough, read).await?;
        drop(moving);
        all_of(ahead.into_iter().map(|way| way.step(ctx, step.weight))).await?;
        hold(ctx, &ways, step, enough).await?;
    }
    report(ctx, ways.iter().filter_map(Way::change).collect());
    let name = |arn: &str| name_in(arn).to_owned();
    let traffic = ways.iter().map(|way| Traffic::of(&way.order.route, &way.live.answer, name)).collect();
    Ok(Moved { routes: ways.into_iter().map(|way| way.order.route).collect(), traffic })
}

impl Way {
    fn weight_of(&self, group: &str) -> Option<i32> {
        let groups = self.live.answer.target_groups();
        groups.iter().find(|share| share.target_group == group).map(|share| share.weight)
    }

    /// How much of the traffic is on the new group now.
    fn percentage(&self) -> u32 {
        let all: i32 = self.live.answer.target_groups().iter().map(|share| share.weight).sum();
        let to = self.weight_of(&self.order.to).unwrap_or_default();
        if all == 0 { 0 } else { (to.unsigned_abs() * 100) / all.unsigned_abs() }
    }

    /// Refuses to begin from a state nobody described.
    fn check(&self) -> Result<(), Error> {
        let Order { from, to, .. } = &self.order;
        let name = &self.live.name;
        let refuse = |why: String| Err(Error::Unsafe(why));
        if !self.live.answer.is_forward() {
            return refuse(format!("{name} {}: there is no weight to move", self.live.answer.words()));
        }
        if self.weight_of(to).is_none() {
            let to = name_in(to);
            return refuse(format!("{to} is not on {name}; `attach_target_group` puts it there at weight 0"));
        }
        if self.percentage() == 100 {
            return Ok(());
        }
        let others = self.live.answer.target_groups().iter();
        let mut others = others.filter(|share| share.target_group != *to && Some(&share.target_group) != from.as_ref());
        if let Some(other) = others.find(|share| share.weight > 0) {
            let (other, weight) = (name_in(&other.target_group), other.weight);
            return refuse(match from {
                Some(_) => format!("{name} also forwards to {other}, with weight {weight}"),
                None => format!("{name} forwards to {other} now: name it as `from`"),
            });
        }
        match from {
            Some(from) if self.weight_of(from).is_none() => {
                refuse(format!("{} is not on {name}: traffic does not come from there", name_in(from)))
            }
            _ => Ok(()),
        }
    }

    async fn step(&mut self, ctx: &Ctx, percentage: u8) -> Result<(), Error> {
        let mut weights = vec![Share { target_group: self.order.to.clone(), weight: percentage.into() }];
        if let Some(from) = &self.order.from {
            weights.push(Share { target_group: from.clone(), weight: i32::from(100 - percentage) });
        }
        let wanted = weights::with(&self.live.answer, &weights);
        self.moves.push(wanted.target_groups().to_vec());
        weights::set(ctx, &self.order.route, &self.live, &self.moves).await?;
        self.live = weights::read_back(ctx, &self.order.route, &wanted).await?;
        Ok(())
    }

    /// Refuses to go on when the weights are not those that were set: a read may be behind, so it is looked again.
    async fn is_ours(&self, ctx: &Ctx, live: Live) -> Result<(), Error> {
        let ours = self.live.answer.target_groups();
        if live.answer.target_groups() == ours {
            return Ok(());
        }
        let live = route::settled(ctx, &self.order.route, |answer| answer.target_groups() == ours).await?;
        let found = live.answer.target_groups();
        if found == ours {
            return Ok(());
        }
        let (ours, found) = (weights::words(ours), weights::words(found));
        Err(Error::Unsafe(format!("somebody else changed the weights of {} from {ours} to {found}", live.name)))
    }

    fn change(&self) -> Option<Field> {
        let after = self.moves.last()?;
        let name = format!("weights of {}", self.live.name);
        Some(changed(&name, weights::words(&self.first), weights::words(after)))
    }
}

/// Refuses to go on when a group that has traffic, or is to get it, has too few healthy targets. A load balancer
/// would not: with none healthy it sends requests to all of them.
async fn guard(
    ctx: &Ctx,
    ways: &[&Way],
    percentage: u8,
    enough: Enough,
    read: Option<Vec<Health>>,
) -> Result<Vec<Health>, Error> {
    let needs: Vec<(String, u32)> = ways.iter().flat_map(|way| way.order.needs(percentage, enough)).collect();
    let groups: Vec<String> = needs.iter().map(|(group, _)| group.clone()).collect();
    let health = match read {
        Some(read) => read,
        None => Health::read_all(ctx, &groups).await?,
    };
    for group in &health {
        let needed = needs.iter().filter(|(arn, _)| *arn == group.target_group).map(|(_, needed)| *needed).max();
        let needed = needed.unwrap_or_default();
        if u32::try_from(group.healthy()).unwrap_or(u32::MAX) < needed {
            let words = group.words();
            return Err(Error::Unsafe(format!("{words}; {needed} healthy needed to have {percentage} % moved")));
        }
    }
    Ok(health)
}

/// Stays at a step, and looks whether it stays good.
async fn hold(ctx: &Ctx, ways: &[Way], step: &Step, enough: Enough) -> Result<(), Error> {
    let started = ctx.now();
    let all: Vec<&Way> = ways.iter().collect();
    let mut shown = None;
    loop {
        let elapsed = ctx.since(started);
        let Some(left) = step.hold.max(route::HEARD_OF).checked_sub(elapsed).filter(|left| !left.is_zero()) else {
            let what = format!("{} % for {}", step.weight, ops::Duration(step.hold));
            if shown.is_some() {
                ctx.emit(Event::Waited { id: ctx.id().to_owned(), what, elapsed, timeout: step.hold });
            }
            return Ok(());
        };
        ctx.sleep(left.min(LOOK)).await?;
        let health = guard(ctx, &all, step.weight, enough, None);
        let lives = all_of(ways.iter().map(|way| route::live(ctx, &way.order.route)));
        let (health, lives) = ctx.polling(async { futures::join!(health, lives).together() }).await?;
        for (way, live) in ways.iter().zip(lives) {
            way.is_ours(ctx, live).await?;
        }
        let seen = health.iter().map(Health::words).collect::<Vec<_>>().join("; ");
        if shown.as_ref() != Some(&seen) {
            let what = format!("{} % for {}", step.weight, ops::Duration(step.hold));
            let (id, elapsed, timeout) = (ctx.id().to_owned(), ctx.since(started), step.hold);
            ctx.emit(Event::Waiting { id, what, seen: seen.clone(), elapsed, timeout });
            shown = Some(seen);
        }
    }
}
