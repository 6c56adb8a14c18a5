//! `find_ecs_service`: a service as it is now.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Cluster, EcsService, service};
use crate::{
    ops::{Error, IdOf, Operation, Tags, ownership::Owned},
    run::Ctx,
};

/// Finds an ECS service, with its counts and its task definition as they are now. Nothing is changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindEcsService {
    /// What the stack calls it; ECS knows it as `<stack>-<name>`.
    name: Option<String>,
    /// The name ECS knows it by, for services of others.
    service_name: Option<String>,
    /// The cluster it is in.
    cluster: IdOf<Cluster>,
    /// Whether it is an error if there is none; if not, the handle says `exists: false`.
    #[serde(default = "yes")]
    required: bool,
}

fn yes() -> bool {
    true
}

impl Operation for FindEcsService {
    const NAME: &'static str = "find_ecs_service";
    const AREA: &'static str = "ECS";
    const EXAMPLE: &'static str =
        r#"find_ecs_service(#{ name: "web-blue", cluster: "shop-prod-main", required: false })"#;

    type Options = Self;
    type Handle = EcsService;

    fn subject(options: &Self) -> String {
        options.name.clone().or_else(|| options.service_name.clone()).unwrap_or_default()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<EcsService, Error> {
        let name = match (options.name, options.service_name) {
            (Some(name), None) => Owned::new(ctx, &name, &Tags::default())?.name_within(255),
            (None, Some(name)) => name,
            _ => return Err(Error::option("", "expected `name` or `service_name`")),
        };
        let arn = service::arn(ctx, options.cluster.as_str(), &name);
        let found = match service::find(ctx, &arn).await? {
            None if options.required => Some(service::existing(ctx, &arn).await?),
            found => found,
        };
        Ok(found.map_or_else(|| service::absent(&arn), |found| found.handle()))
    }
}
