//! `traffic`: who gets it now.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Route, Traffic};
use crate::{
    ops::{Error, IdOf, Operation, load_balancing::TargetGroup},
    run::Ctx,
};

/// Says what a route forwards to, and with which weights.
///
/// `active` is the colour (or the target group's name) that gets all the traffic, `none` when nobody does, `mixed` when
/// several do: a deploy is under way, or was left half-way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadTraffic {
    /// The listener or listener rule.
    route: Route,
    /// Names for target groups: `#{ blue: …, green: … }`.
    #[serde(default)]
    colours: BTreeMap<String, IdOf<TargetGroup>>,
}

impl Operation for ReadTraffic {
    const NAME: &'static str = "traffic";
    const AREA: &'static str = "Traffic";
    const POSITIONAL: Option<&'static str> = Some("route");
    const EXAMPLE: &'static str = "let now = traffic(listener).active;";

    type Options = Self;
    type Handle = Traffic;

    fn subject(options: &Self) -> String {
        options.route.name()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Traffic, Error> {
        let colour =
            |arn: &str| options.colours.iter().find(|(_, group)| group.as_str() == arn).map(|(name, _)| name.clone());
        let Some(split) = options.route.look(ctx).await? else {
            let (route_arn, active) = (options.route.arn().to_owned(), "none".to_owned());
            return Ok(Traffic { route_arn, active, weights: Vec::new() });
        };
        Ok(Traffic::new(&options.route, &split, colour))
    }
}
