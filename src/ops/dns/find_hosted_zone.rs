//! `find_hosted_zone`: a zone that somebody else looks after.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{HostedZone, bare_id, zone};
use crate::{
    event::Change,
    ops::{Error, Operation},
    run::Ctx,
};

/// Finds the hosted zone of this name, whoever owns it. It is not touched.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindHostedZone {
    /// The domain name: `"example.com"`.
    name: String,
    /// Looks for a private zone instead of a public one.
    #[serde(default)]
    private_zone: bool,
}

impl Operation for FindHostedZone {
    const NAME: &'static str = "find_hosted_zone";
    const AREA: &'static str = "Route 53";
    const POSITIONAL: &'static [&'static str] = &["name"];
    const EXAMPLE: &'static str = r#"find_hosted_zone("example.com")"#;

    type Options = Self;
    type Handle = HostedZone;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<HostedZone, Error> {
        let mut zones = zone::find(ctx, &options.name, options.private_zone).await?;
        let kind = if options.private_zone { "private" } else { "public" };
        let what = format!("the {kind} hosted zone {}", options.name);
        let Some(found) = zones.pop() else {
            let hint = Some("`ensure_hosted_zone` makes one; a zone in another account needs `within`".into());
            return Err(Error::NotFound { what, hint });
        };
        if !zones.is_empty() {
            let found = zones.iter().chain([&found]).map(|zone| bare_id(zone.id()).to_owned()).collect();
            return Err(Error::Ambiguous { what, found });
        }
        let name_servers = zone::name_servers(ctx, found.id()).await?;
        ctx.did(Change::Read, []);
        Ok(zone::handle(&found, name_servers))
    }
}
