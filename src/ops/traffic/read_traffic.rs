//! `traffic`: which version users are on.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Traffic;
use crate::{
    ops::{
        Error, IdOf, Operation,
        load_balancing::{
            TargetGroup, name_in,
            route::{self, Route},
        },
    },
    run::Ctx,
};

/// Reads where a route sends its requests. Changes nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadTraffic {
    /// The route: a listener, for its default action, or a listener rule.
    route: Route,
    /// What the runbook calls the target groups: `active` then says `blue`, and not the group's name.
    #[serde(default)]
    colours: BTreeMap<String, IdOf<TargetGroup>>,
}

impl Operation for ReadTraffic {
    const NAME: &'static str = "traffic";
    const AREA: &'static str = "Traffic";
    const POSITIONAL: &'static [&'static str] = &["route"];
    const EXAMPLE: &'static str = r#"traffic(#{ route: https, colours: #{ blue: blue, green: green } })"#;

    type Options = Self;
    type Handle = Traffic;

    fn subject(options: &Self) -> String {
        options.route.load_balancer().to_owned()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Traffic, Error> {
        let live = route::seen(ctx, &options.route).await?;
        Ok(Traffic::of(&options.route, &live.answer, |arn| {
            let colour = options.colours.iter().find(|(_, group)| group.as_str() == arn);
            colour.map_or_else(|| name_in(arn).to_owned(), |(colour, _)| colour.clone())
        }))
    }
}
