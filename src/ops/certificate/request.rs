//! Certificates that ACM issues, once the DNS says that the domain is ours.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_acm::types::{CertificateDetail, CertificateStatus, KeyAlgorithm, RecordType, ValidationMethod};
use aws_sdk_route53::types::{ResourceRecordSet, RrType};
use serde_json::json;

use super::{ByTags, CERTIFICATE_BY_TAGS, DELETE_CERTIFICATE, Made, acm};
use crate::{
    ops::{
        Error, all_of,
        dns::{
            bare_id, normal, plain,
            record_set::{Batch, Content, RecordSet, first_page, read},
            zone,
        },
        ownership::Owned,
        require,
    },
    run::{Class, Ctx, Mutation, Seen, Undo, Wait},
};

/// Requests a certificate. Returns its ARN.
pub async fn request(
    ctx: &Ctx,
    owned: &Owned,
    names: &[String],
    key_algorithm: &str,
    keep: bool,
) -> Result<String, Error> {
    const CALL: &str = "acm:RequestCertificate";
    let name = &owned.name;
    let by_tags = json!(ByTags { name: name.clone(), run: ctx.run_id().to_owned() });
    let declared = Mutation::new(CALL, Class::Token, format!("certificate {name}"))
        .look_up(&CERTIFICATE_BY_TAGS, by_tags)
        .undo(Undo::new(&DELETE_CERTIFICATE, format!("delete certificate {name}"), json!({})).keep(keep));
    let (domain, others) = names.split_first().ok_or_else(|| Error::option("domain_name", "a name is needed"))?;
    let others = Some(others.to_vec()).filter(|others| !others.is_empty());
    let tags = acm::to_acm(&owned.tags());
    let made: Made = ctx
        .mutate(
            declared,
            |permit| {
                ctx.aws()
                    .acm
                    .request_certificate()
                    .domain_name(domain)
                    .set_subject_alternative_names(others.clone())
                    .validation_method(ValidationMethod::Dns)
                    .key_algorithm(KeyAlgorithm::from(key_algorithm))
                    .idempotency_token(permit.token())
                    .set_tags(Some(tags.clone()))
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| Ok(Made { certificate_arn: require(CALL, "CertificateArn", reply.certificate_arn())? }),
        )
        .await?;
    Ok(made.certificate_arn)
}

/// Whether the zone has a record for each name below it that looks like those that ACM asks for, by which it also renews.
/// Which ones it asks for takes a call to know; the first page of the zone has been read by then.
/// https://docs.aws.amazon.com/acm/latest/userguide/dns-validation.html
pub async fn seems_validated(ctx: &Ctx, zone: &str, names: &[String]) -> Result<bool, Error> {
    let (page, _) = first_page(ctx, bare_id(zone)).await?;
    let is_for = |set: &ResourceRecordSet, domain: &str| {
        let leads_to_acm =
            || set.resource_records().iter().any(|record| normal(record.value()).ends_with(".acm-validations.aws."));
        let name = normal(set.name());
        let is_below = name.split_once('.').is_some_and(|(label, rest)| label.starts_with('_') && rest == domain);
        *set.r#type() == RrType::Cname && is_below && leads_to_acm()
    };
    // Somebody has put the records of other names into other zones, or it would not be issued.
    let apex = page.iter().find(|set| *set.r#type() == RrType::Soa).map(|set| normal(set.name()));
    let is_here = |domain: &String| {
        let Some(apex) = apex.as_deref() else { return true };
        domain.strip_suffix(apex).is_some_and(|above| above.is_empty() || above.ends_with('.'))
    };
    let mut domains = names.iter().map(|name| normal(name.strip_prefix("*.").unwrap_or(name))).filter(is_here);
    Ok(domains.all(|domain| page.iter().any(|set| is_for(set, &domain))))
}

/// Puts the records that ACM asks for into the zone, and waits until it has issued the certificate. Returns the names of those
/// that were not there.
pub async fn validate(ctx: &Ctx, arn: &str, zone: &str, timeout: Duration, keep: bool) -> Result<Vec<String>, Error> {
    let (zone, started) = (bare_id(zone), ctx.now());
    let what = format!("certificate {arn}");
    let wait = Wait { what: format!("{what}: what to put into DNS"), timeout, every: Duration::from_secs(2) };
    let records = ctx
        .wait(wait, async || {
            let certificate = acm::describe(ctx, arn).await?;
            check(&certificate, &what)?;
            let records = records(&certificate);
            // What is issued by other evidence, as by e-mail, has no records.
            let is_issued = certificate.status() == Some(&CertificateStatus::Issued);
            let has_all = records.len() == certificate.domain_validation_options().len() && !records.is_empty();
            // A name and its wildcard share a record.
            let distinct: BTreeMap<String, RecordSet> =
                records.into_iter().map(|set| (set.name.clone(), set)).collect();
            Ok(if has_all || is_issued {
                Seen::Ready(distinct)
            } else {
                Seen::Pending("ACM has not decided yet".into())
            })
        })
        .await?;
    let found = all_of(records.values().map(|set| read(ctx, zone, set.key()))).await?;
    let sets: Vec<_> = found.into_iter().zip(records.into_values()).collect();
    let differs =
        |(found, wanted): &&(Option<RecordSet>, RecordSet)| found.as_ref().is_none_or(|found| !found.is_same(wanted));
    let put: Vec<String> = sets.iter().filter(differs).map(|(_, wanted)| plain(&wanted.name)).collect();
    if !put.is_empty() {
        let what = format!("the validation records of {what}");
        Batch { zone, what, sets, keep_on_rollback: keep }.apply(ctx).await?;
    }
    let left = timeout.saturating_sub(ctx.since(started));
    let wait = Wait { what: format!("{what} to be issued"), timeout: left, every: Duration::from_secs(10) };
    let issued = ctx.wait(wait, async || {
        let certificate = acm::describe(ctx, arn).await?;
        check(&certificate, &what)?;
        let status = certificate.status().map_or("", |status| status.as_str());
        Ok(if status == "ISSUED" { Seen::Ready(()) } else { Seen::Pending(status.to_owned()) })
    });
    match issued.await {
        Err(Error::TimedOut { what, seen, .. }) => {
            let servers = zone::name_servers(ctx, zone).await?.join(", ");
            let seen = format!("{seen}; the parent zone must delegate to the zone's name servers: {servers}");
            Err(Error::TimedOut { what, timeout, seen })
        }
        other => other.map(|()| put),
    }
}

/// The records that prove who owns its names, as far as they are decided.
pub fn records(certificate: &CertificateDetail) -> Vec<RecordSet> {
    let record = |record: &aws_sdk_acm::types::ResourceRecord| {
        let values = vec![record.value().to_owned()];
        let r#type = match record.r#type() {
            RecordType::Cname => "CNAME".to_owned(),
            other => other.as_str().to_owned(),
        };
        RecordSet {
            name: normal(record.name()),
            r#type,
            content: Content::Values { ttl: 300, values },
            weighted: None,
            health_check_id: None,
        }
    };
    certificate.domain_validation_options().iter().filter_map(|option| option.resource_record()).map(record).collect()
}

/// Waiting is pointless once ACM has given up.
fn check(certificate: &CertificateDetail, what: &str) -> Result<(), Error> {
    let reason = match certificate.status() {
        Some(CertificateStatus::Failed) => {
            let reason = certificate.failure_reason().map_or("no reason given", |reason| reason.as_str());
            format!("ACM refused it: {reason}")
        }
        Some(CertificateStatus::ValidationTimedOut) => "ACM waited three days for its records".to_owned(),
        Some(CertificateStatus::Revoked) => "it is revoked".to_owned(),
        _ => return Ok(()),
    };
    let names: Vec<String> = acm::names(certificate).iter().map(|name| plain(name)).collect();
    Err(Error::Hopeless { what: format!("{what} for {}", names.join(", ")), reason })
}
