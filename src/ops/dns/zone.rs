//! Zones by name.

use aws_sdk_route53::types::{HostedZone as Zone, RrType};

use super::{HostedZone, bare_id, normal, plain, record_set};
use crate::{ops::Error, run::Ctx};

/// What Route 53 says when a zone is not there.
pub const GONE: &[&str] = &["NoSuchHostedZone"];

/// All zones of this name, public or private. There can be several.
pub async fn find(ctx: &Ctx, name: &str, private: bool) -> Result<Vec<Zone>, Error> {
    let (wanted, mut start) = (normal(name), Some((normal(name), None)));
    let mut found = Vec::new();
    while let Some((dns_name, id)) = start {
        let request = || {
            let request = ctx.aws().route53.list_hosted_zones_by_name().dns_name(&dns_name);
            request.set_hosted_zone_id(id.clone()).send()
        };
        let reply = ctx.read("route53:ListHostedZonesByName", request).await?;
        let is_private = |zone: &Zone| zone.config().is_some_and(|config| config.private_zone());
        let zones = reply.hosted_zones.into_iter().filter(|zone| normal(&zone.name) == wanted);
        found.extend(zones.filter(|zone| is_private(zone) == private));
        // The list goes on with names further down the alphabet.
        let next = reply.next_dns_name.filter(|next| reply.is_truncated && normal(next) == wanted);
        start = next.map(|next| (next, reply.next_hosted_zone_id));
    }
    Ok(found)
}

/// The name servers that a zone's own record names, which is what its parent delegates to. It is among the records that
/// operations on it need anyway.
pub async fn seen_name_servers(ctx: &Ctx, id: &str, name: &str) -> Result<Vec<String>, Error> {
    let (records, _) = record_set::first_page(ctx, id).await?;
    let own = records.iter().find(|set| normal(set.name()) == normal(name) && *set.r#type() == RrType::Ns);
    match own {
        Some(own) => Ok(own.resource_records().iter().map(|record| plain(record.value())).collect()),
        None => name_servers(ctx, id).await,
    }
}

/// The name servers of a zone; a private one has none.
pub async fn name_servers(ctx: &Ctx, id: &str) -> Result<Vec<String>, Error> {
    let reply = ctx.read("route53:GetHostedZone", || ctx.aws().route53.get_hosted_zone().id(id).send()).await?;
    Ok(reply.delegation_set.map(|set| set.name_servers).unwrap_or_default())
}

/// The handle of a zone.
pub fn handle(zone: &Zone, name_servers: Vec<String>) -> HostedZone {
    HostedZone { hosted_zone_id: bare_id(zone.id()).to_owned(), name: plain(zone.name()), name_servers }
}
