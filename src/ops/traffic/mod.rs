//! Traffic: which target group users are on, and how they get from one to another.
//!
//! A route is a listener's default action or a rule. Weights of routes are moved here and nowhere else: `ensure_listener`
//! and `ensure_listener_rule` leave live weights alone.

pub mod attach_target_group;
pub(super) mod health;
mod launches;
pub mod read_traffic;
mod shift;
pub mod shift_traffic;
pub mod swap_listener;
pub mod wait_healthy;
pub mod weights;

use serde::Serialize;

use super::{
    Kind,
    load_balancing::{
        action::{Answer, Share},
        name_in,
        route::{Live, Route},
    },
};
use crate::{
    event::{Event, Weight},
    run::Ctx,
};

/// Where a route sends its requests.
#[derive(Debug, Serialize)]
pub struct Traffic {
    /// The ARN of the listener or rule.
    pub route: Route,
    /// The colour or the name of the one target group with weight; `none` if there is none, `mixed` if there are
    /// several.
    pub active: String,
    pub weights: Vec<GroupWeight>,
}

impl Kind for Traffic {
    const KIND: &'static str = "traffic";
    const ID: &'static str = "route";
}

/// The weight of a target group on a route.
#[derive(Debug, Serialize)]
pub struct GroupWeight {
    pub target_group_arn: String,
    pub target_group: String,
    pub weight: i32,
}

/// What was moved, route by route.
#[derive(Debug, Serialize)]
pub struct Moved {
    /// The ARNs of the routes.
    pub routes: Vec<Route>,
    pub traffic: Vec<Traffic>,
}

impl Kind for Moved {
    const KIND: &'static str = "shift";
    const ID: &'static str = "routes";
}

impl Traffic {
    /// `name_of` says what the runbook calls a target group.
    fn of(route: &Route, answer: &Answer, name_of: impl Fn(&str) -> String) -> Self {
        let groups = answer.target_groups();
        let serving: Vec<&Share> = groups.iter().filter(|share| share.weight > 0).collect();
        let active = match &serving[..] {
            [] => "none".to_owned(),
            [one] => name_of(&one.target_group),
            _ => "mixed".to_owned(),
        };
        let weight = |share: &Share| GroupWeight {
            target_group_arn: share.target_group.clone(),
            target_group: name_in(&share.target_group).to_owned(),
            weight: share.weight,
        };
        Self { route: route.clone(), active, weights: groups.iter().map(weight).collect() }
    }
}

/// Tells of the weights that were read back.
fn tell(ctx: &Ctx, live: &Live) {
    let weight = |share: &Share| Weight {
        target_group: name_in(&share.target_group).to_owned(),
        weight: share.weight.unsigned_abs(),
    };
    let weights = live.answer.target_groups().iter().map(weight).collect();
    ctx.emit(Event::Weights { id: ctx.id().to_owned(), route: live.name.clone(), weights });
}
