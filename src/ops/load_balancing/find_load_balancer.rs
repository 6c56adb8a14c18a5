//! `find_load_balancer`: one that is there, whoever made it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{LoadBalancer, read, shared};
use crate::{
    ops::{Error, Operation, Tags, network::common::only},
    run::Ctx,
};

/// Finds the one load balancer of a description. It is used, and not changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindLoadBalancer {
    /// Its name as AWS shows it, or its ARN.
    load_balancer: Option<String>,
    /// Tags it has.
    #[serde(default)]
    tags: Tags,
}

impl Operation for FindLoadBalancer {
    const NAME: &'static str = "find_load_balancer";
    const AREA: &'static str = "Elastic Load Balancing";
    const POSITIONAL: &'static [&'static str] = &["load_balancer"];
    const EXAMPLE: &'static str = r#"find_load_balancer("shared-web")"#;

    type Options = Self;
    type Handle = LoadBalancer;

    fn subject(options: &Self) -> String {
        options.load_balancer.clone().unwrap_or_else(|| "by tags".to_owned())
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<LoadBalancer, Error> {
        let described = options.load_balancer.as_deref();
        let found = match described {
            Some(arn) if arn.starts_with("arn:") => match read::load_balancer(ctx, arn).await {
                Err(error) if error.is(&["LoadBalancerNotFound"]) => Vec::new(),
                found => vec![found?],
            },
            Some(name) => shared::load_balancer_named(ctx, name).await?.into_iter().collect(),
            None if options.tags.0.is_empty() => {
                let message = "expected a `load_balancer` or `tags` to find it by, found neither";
                return Err(Error::option("", message));
            }
            None => read::load_balancers(ctx).await?,
        };
        let mut handles = found.iter().map(LoadBalancer::from_elb).collect::<Result<Vec<_>, _>>()?;
        if !options.tags.0.is_empty() {
            let arns: Vec<String> = handles.iter().map(|handle| handle.load_balancer_arn.clone()).collect();
            let tags = read::tags_of(ctx, &arns).await?;
            handles.retain(|handle| {
                let tags = tags.get(&handle.load_balancer_arn);
                options.tags.0.iter().all(|(key, value)| tags.and_then(|tags| tags.get(key)) == Some(value))
            });
        }
        let what = format!("load balancer {}", described.unwrap_or("with these tags"));
        only(&what, handles, |handle| Some(&handle.load_balancer_name))?.ok_or(Error::NotFound { what, hint: None })
    }
}
