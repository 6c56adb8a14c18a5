//! `swap_listener`: all at once.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Routes,
    shift_traffic::{Move, Step, shift},
    split::group_name,
};
use crate::{
    ops::{Error, Operation},
    run::Ctx,
};

/// Moves all traffic of the routes to other target groups, at once.
///
/// The receiving groups have to be healthy; the weights are read back. For a change that should be felt by a few first, use
/// `shift_traffic`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwapListener {
    /// What moves where. All routes move as one unit.
    routes: Vec<Move>,
    /// How many targets of each receiving group have to be healthy; all that are registered if left out.
    #[serde(default)]
    min_healthy: Option<u32>,
}

impl Operation for SwapListener {
    const NAME: &'static str = "swap_listener";
    const AREA: &'static str = "Traffic";
    const EXAMPLE: &'static str = "swap_listener(#{ routes: [#{ route: listener, from: blue, to: green }] })";

    type Options = Self;
    type Handle = Routes;

    fn subject(options: &Self) -> String {
        let names = options.routes.iter().map(|one| format!("{} → {}", one.route.name(), group_name(one.to.as_str())));
        names.collect::<Vec<_>>().join(", ")
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Routes, Error> {
        let at_once = [Step { weight: 100, hold: None }];
        shift(ctx, &options.routes, &at_once, options.min_healthy).await
    }
}
