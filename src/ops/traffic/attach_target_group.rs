//! `attach_target_group`: makes a route know a group before it gets traffic.

use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Route, Routes, Traffic, split::group_name};
use crate::{
    event::Change,
    ops::{Error, IdOf, Operation, load_balancing::TargetGroup, ownership::changed},
    run::Ctx,
};

/// Adds target groups to routes at weight 0.
///
/// A load balancer checks the health of a target group only when a listener or rule refers to it. At weight 0 it gets no
/// request, but its targets can become healthy. A group that is there already keeps its weight. When the run is rolled back,
/// the group is taken out again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachTargetGroup {
    /// Which group to add to which route.
    routes: Vec<Attachment>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Attachment {
    /// The listener or listener rule; it has to forward.
    route: Route,
    /// The group to add.
    target_group_arn: IdOf<TargetGroup>,
}

impl Operation for AttachTargetGroup {
    const NAME: &'static str = "attach_target_group";
    const AREA: &'static str = "Traffic";
    const EXAMPLE: &'static str = "attach_target_group(#{ routes: [#{ route: listener, target_group_arn: green }] })";

    type Options = Self;
    type Handle = Routes;

    fn subject(options: &Self) -> String {
        let names = options.routes.iter().map(|one| group_name(one.target_group_arn.as_str()).to_owned());
        names.collect::<Vec<_>>().join(", ")
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Routes, Error> {
        if options.routes.is_empty() {
            return Err(Error::option("routes", "expected at least one route, found none"));
        }
        let routes = try_join_all(options.routes.iter().map(|one| attach(ctx, one))).await?;
        Ok(Routes { routes })
    }
}

async fn attach(ctx: &Ctx, Attachment { route, target_group_arn: group }: &Attachment) -> Result<Traffic, Error> {
    let found = route.read(ctx).await?;
    if found.weight(group.as_str()).is_some() {
        ctx.did(Change::Unchanged, []);
        return Ok(Traffic::new(route, &found, |_| None));
    }
    let wanted = found.with(group.as_str(), 0);
    route.set(ctx, &wanted).await?;
    ctx.did(Change::Updated, [changed("weights", found.to_string(), wanted.to_string())]);
    Ok(Traffic::new(route, &wanted, |_| None))
}
