//! Certificates, zones, records and health checks of a stack. Whose a record is says the text beside it.

use aws_sdk_acm::types::{CertificateSummary, CertificateType};
use serde_json::{Value, json};

use super::{Belonging, Rank, TagMap};
use crate::{
    event::Event,
    ops::{
        Error, Together, all_of,
        certificate::{DELETE_CERTIFICATE, acm, request},
        dns::{
            bare_id,
            ensure_hosted_zone::DELETE_HOSTED_ZONE,
            ensure_record::{evidence_name, owner, run_of},
            health_check::{self, DELETE_HEALTH_CHECK},
            plain,
            record_set::{self, RESTORE_RECORDS, RecordSet},
            reference,
            tags::ZoneTags,
        },
        ownership::STACK_TAG,
        tagged::Tagged,
    },
    run::Ctx,
};

/// What the stack owns.
pub async fn of_stack(ctx: &Ctx, stack: &str) -> Result<Vec<Belonging>, Error> {
    let (certificates, zones, checks) =
        futures::join!(certificates(ctx, stack), zones(ctx), health_checks(ctx, stack)).together()?;
    let (mut found, Proofs { alone, unseen }) = certificates;
    found.extend(checks);
    for Zone { id, name, tags, sets } in &zones {
        found.extend(records(id, sets, stack));
        let is_proof = |set: &&RecordSet| alone.iter().any(|proof| proof.is_same(set));
        let mut proofs: Vec<_> = sets.iter().filter(is_proof).map(|set| record(id, set, &[set], stack)).collect();
        // The stack's own zone goes with all that is in it.
        if !unseen.is_empty() && tags.get(STACK_TAG).is_none_or(|owner| owner != stack) && !proofs.is_empty() {
            let message = format!(
                "the validation records in zone {name} stay: whether certificates in {} need them is not known, as nobody \
                 may look there",
                unseen.join(", ")
            );
            ctx.emit(Event::Warning { message });
            proofs.clear();
        }
        found.append(&mut proofs);
        let own = Belonging::tagged(tags, "hosted zone", id, Rank::Zones, ("route53:DeleteHostedZone", "Id"));
        found.extend(own.map(|own| {
            let arguments = json!({ "hosted_zone_id": id, "name_servers": [] });
            own.named(name).gone_by(&DELETE_HOSTED_ZONE, arguments)
        }));
    }
    Ok(found)
}

/// The records that prove who owns the names of a stack's certificates.
struct Proofs {
    /// Those that no certificate needs that is known of.
    alone: Vec<RecordSet>,
    /// The regions whose certificates nobody may look at.
    unseen: Vec<String>,
}

/// Certificates, and the records that prove for these alone who owns their names: those of one name are the same for all
/// certificates of an account, in whatever region.
async fn certificates(ctx: &Ctx, stack: &str) -> Result<(Vec<Belonging>, Proofs), Error> {
    let all = acm::list(ctx, &[]).await?;
    let tagged = acm::tagged(ctx, all.iter().collect()).await?;
    let is_ours = |(_, tags): &(_, TagMap)| tags.get(STACK_TAG).is_some_and(|owner| owner == stack);
    let (ours, theirs): (Vec<_>, Vec<_>) = tagged.into_iter().partition(is_ours);
    let records = async |certificates: Vec<&str>| {
        let described = all_of(certificates.into_iter().map(|arn| acm::describe(ctx, arn))).await?;
        Ok::<_, Error>(described.iter().flat_map(request::records).collect::<Vec<RecordSet>>())
    };
    let arn = |(certificate, _): &(&CertificateSummary, TagMap)| certificate.certificate_arn.clone();
    // All of them: a name can be among several of a certificate, and a wildcard has the record of its parent.
    let others: Vec<String> = theirs.iter().filter_map(arn).collect();
    let arns: Vec<String> = ours.iter().filter_map(arn).collect();
    let (mut proofs, needed) = futures::join!(
        records(arns.iter().map(String::as_str).collect()),
        records(others.iter().map(String::as_str).collect()),
    )
    .together()?;
    proofs.retain(|proof| !needed.contains(proof));
    let (needed, unseen) = if proofs.is_empty() { Default::default() } else { needed_elsewhere(ctx).await? };
    proofs.retain(|proof| !needed.contains(proof));
    let found = ours.into_iter().filter_map(|(certificate, tags)| {
        let arn = certificate.certificate_arn()?;
        let found =
            Belonging::tagged(&tags, "certificate", arn, Rank::Parts, ("acm:DeleteCertificate", "CertificateArn"))?;
        let found = found.named(certificate.domain_name().unwrap_or(arn));
        Some(found.gone_by(&DELETE_CERTIFICATE, json!({ "certificate_arn": arn })))
    });
    Ok((found.collect(), Proofs { alone: proofs, unseen }))
}

/// The proofs that certificates of other regions need, and the regions that nobody may look at.
async fn needed_elsewhere(ctx: &Ctx) -> Result<(Vec<RecordSet>, Vec<String>), Error> {
    let reply = ctx.read("ec2:DescribeRegions", || ctx.aws().ec2.describe_regions().send()).await?;
    let regions = reply.regions().iter().filter_map(|region| region.region_name());
    let looks =
        regions.filter(|region| *region != ctx.aws().region).map(async |region| match needed_in(ctx, region).await {
            Err(error) if error.is_permission() || matches!(error, Error::Policy(_)) => Ok((Vec::new(), Some(region))),
            needed => needed.map(|needed| (needed, None)),
        });
    let (needed, unseen): (Vec<_>, Vec<_>) = all_of(looks).await?.into_iter().unzip();
    Ok((needed.concat(), unseen.into_iter().flatten().map(str::to_owned).collect()))
}

async fn needed_in(ctx: &Ctx, region: &str) -> Result<Vec<RecordSet>, Error> {
    let there = ctx.in_region(region).await?;
    let all = acm::list(&there, &[]).await?;
    let is_issued = |certificate: &&CertificateSummary| certificate.r#type() != Some(&CertificateType::Imported);
    let issued = all.iter().filter(is_issued).filter_map(CertificateSummary::certificate_arn);
    let described = all_of(issued.map(|arn| acm::describe(&there, arn))).await?;
    Ok(described.iter().flat_map(request::records).collect())
}

/// Health checks. One whose maker could not tag it any more is told by its caller reference.
async fn health_checks(ctx: &Ctx, stack: &str) -> Result<Vec<Belonging>, Error> {
    let (all, prefix) = (health_check::list(ctx).await?, reference::prefix_of(stack));
    let tagged = health_check::with_tags(ctx, all.iter()).await?.into_iter().map(|mut one| {
        if !one.tags.contains_key(STACK_TAG) && one.reference.starts_with(&prefix) {
            one.tags.insert(STACK_TAG.to_owned(), stack.to_owned());
        }
        one
    });
    let asks = ("route53:DeleteHealthCheck", "HealthCheckId");
    let found = tagged.filter_map(|one| {
        // What counts others goes before them.
        let rank = if one.what.settings.is_calculated() { Rank::LoadBalancers } else { Rank::Parts };
        let found = Belonging::tagged(&one.tags, "health check", &one.id, rank, asks)?;
        Some(found.gone_by(&DELETE_HEALTH_CHECK, json!({ "health_check_id": one.id })))
    });
    Ok(found.collect())
}

/// A zone, and what is in it.
struct Zone {
    id: String,
    name: String,
    tags: TagMap,
    sets: Vec<RecordSet>,
}

async fn zones(ctx: &Ctx) -> Result<Vec<Zone>, Error> {
    let zones = ctx
        .read("route53:ListHostedZones", || {
            ctx.aws().route53.list_hosted_zones().into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let read = async |zone: &aws_sdk_route53::types::HostedZone| {
        let id = bare_id(zone.id()).to_owned();
        match futures::join!(ZoneTags::read(ctx, &id), record_set::all(ctx, &id)).together() {
            Ok((tags, sets)) => Ok(Some(Zone { name: plain(zone.name()), id, tags, sets })),
            // The list was behind.
            Err(error) if error.is(ZoneTags::GONE) => Ok(None),
            Err(error) => Err(error),
        }
    };
    Ok(all_of(zones.iter().map(read)).await?.into_iter().flatten().collect())
}

/// Those that a text beside them says to be the stack's.
fn records(zone: &str, sets: &[RecordSet], stack: &str) -> Vec<Belonging> {
    let evidence_of = |set: &RecordSet| {
        let name = evidence_name(set);
        sets.iter().find(|other| other.name == name && other.r#type == "TXT" && other.weighted.is_none())
    };
    let found = sets.iter().filter_map(|set| {
        let evidence = evidence_of(set).filter(|evidence| owner(evidence).as_deref() == Some(stack))?;
        Some(Belonging { run: run_of(evidence), ..record(zone, set, &[set, evidence], stack) })
    });
    found.collect()
}

/// A record set, which goes with others.
fn record(zone: &str, set: &RecordSet, all: &[&RecordSet], stack: &str) -> Belonging {
    let one = set.weighted.as_ref().map(|one| format!(" ({})", one.set_identifier)).unwrap_or_default();
    let name = format!("{} {}{one}", set.r#type, plain(&set.name));
    let before = vec![None::<RecordSet>; all.len()];
    let deletion =
        |set: &&RecordSet| json!({ "Action": "DELETE", "ResourceRecordSet": { "Name": set.name, "Type": set.r#type } });
    let deletions: Vec<Value> = all.iter().map(deletion).collect();
    Belonging {
        stack: stack.to_owned(),
        run: None,
        kind: "record",
        id: name.clone(),
        name,
        rank: Rank::Names,
        asks: (
            "route53:ChangeResourceRecordSets",
            json!({ "HostedZoneId": zone, "ChangeBatch": { "Changes": deletions } }),
        ),
        steps: vec![(&RESTORE_RECORDS, json!({ "hosted_zone_id": zone, "before": before, "ours": all }))],
    }
}
