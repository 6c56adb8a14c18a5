//! `swap_listener`: all users move at once.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Moved,
    shift::{self, Enough, Step},
    shift_traffic::{Move, orders, subject},
};
use crate::{
    ops::{Error, Operation},
    run::Ctx,
};

/// Moves all traffic on routes from one target group to another at once: `shift_traffic` with one step.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwapListener {
    /// Which routes, from where, to where.
    routes: Vec<Move>,
    /// How many targets of the new group must be healthy.
    #[serde(default = "one")]
    min_healthy: u32,
}

fn one() -> u32 {
    1
}

impl Operation for SwapListener {
    const NAME: &'static str = "swap_listener";
    const AREA: &'static str = "Traffic";
    const EXAMPLE: &'static str = r#"swap_listener(#{ routes: [#{ route: https, from: blue, to: green }] })"#;

    type Options = Self;
    type Handle = Moved;

    fn subject(options: &Self) -> String {
        subject(&options.routes)
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Moved, Error> {
        let all = Step { weight: 100, hold: std::time::Duration::ZERO };
        // The old group has nothing left then: how it is does not matter.
        let enough = Enough { to: options.min_healthy, from: 0 };
        shift::run(ctx, orders(options.routes)?, &[all], enough).await
    }
}
