//! Traffic: which target group a route forwards to, and moving it from one to another.
//!
//! A route is a listener's default action or a listener rule. All operations in here change the
//! weights of its forward action and nothing else of it, read back what they set, and share one
//! undo per route: back to what the run found.

pub mod attach_target_group;
mod guard;
mod health;
mod route;
pub mod shift_traffic;
mod split;
pub mod swap_listener;
#[expect(clippy::module_inception, reason = "one operation per file, named as runbooks call it")]
pub mod traffic;
pub mod wait_healthy;

use serde::Serialize;

use super::Kind;
pub use route::{RESTORE_ROUTE, Route};
use split::Split;

/// What routes forward to.
#[derive(Debug, Serialize)]
pub struct Traffic {
    pub route_arn: String,
    /// The one that gets traffic: its colour, or its target group's name; `none`, or `mixed`.
    pub active: String,
    pub weights: Vec<Share>,
}

/// A target group's part of a route.
#[derive(Debug, Serialize)]
pub struct Share {
    pub target_group_arn: String,
    pub target_group: String,
    pub weight: i32,
}

impl Kind for Traffic {
    const KIND: &'static str = "traffic";
    const ID: &'static str = "route_arn";
}

/// The routes an operation set.
#[derive(Debug, Serialize)]
pub struct Routes {
    pub routes: Vec<Traffic>,
}

impl Kind for Routes {
    const KIND: &'static str = "routes";
    const ID: &'static str = "routes";
}

impl Traffic {
    fn new(route: &Route, split: &Split, name: impl Fn(&str) -> Option<String>) -> Self {
        let weights: Vec<Share> = split
            .groups()
            .map(|(arn, weight)| Share {
                target_group_arn: arn.to_owned(),
                target_group: split::group_name(arn).to_owned(),
                weight,
            })
            .collect();
        let mut live = weights.iter().filter(|share| share.weight > 0);
        let active = match (live.next(), live.next()) {
            (None, _) => "none".to_owned(),
            (Some(share), None) => name(&share.target_group_arn).unwrap_or_else(|| share.target_group.clone()),
            (Some(_), Some(_)) => "mixed".to_owned(),
        };
        Self { route_arn: route.arn().to_owned(), active, weights }
    }
}
