//! Certificates that ACM issues, once the DNS says that the domain is ours.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_acm::types::{CertificateDetail, CertificateStatus, KeyAlgorithm, RecordType, ValidationMethod};
use serde_json::json;

use super::{ByTags, CERTIFICATE_BY_TAGS, DELETE_CERTIFICATE, Made, acm};
use crate::{
    ops::{
        Error, all_of,
        dns::{
            bare_id, normal, plain,
            record_set::{Batch, Content, RecordSet, read},
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

/// Puts the records that ACM asks for into the zone, and waits until it has issued the certificate.
pub async fn validate(ctx: &Ctx, arn: &str, zone: &str, timeout: Duration, keep: bool) -> Result<(), Error> {
    let (zone, started) = (bare_id(zone), ctx.now());
    let what = format!("certificate {arn}");
    let wait = Wait { what: format!("{what}: what to put into DNS"), timeout, every: Duration::from_secs(2) };
    let records = ctx
        .wait(wait, async || {
            let certificate = acm::describe(ctx, arn).await?;
            check(&certificate, &what)?;
            let records = records(&certificate);
            let decided = records.len() == certificate.domain_validation_options().len() && !records.is_empty();
            // A name and its wildcard share a record.
            let distinct: BTreeMap<String, RecordSet> =
                records.into_iter().map(|set| (set.name.clone(), set)).collect();
            Ok(if decided { Seen::Ready(distinct) } else { Seen::Pending("ACM has not decided yet".into()) })
        })
        .await?;
    let found = all_of(records.values().map(|set| read(ctx, zone, &set.name, &set.r#type))).await?;
    let sets: Vec<_> = found.into_iter().zip(records.into_values()).collect();
    if sets.iter().any(|(found, wanted)| found.as_ref().is_none_or(|found| !found.is_same(wanted))) {
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
        other => other,
    }
}

/// The records that are decided so far.
fn records(certificate: &CertificateDetail) -> Vec<RecordSet> {
    let record = |record: &aws_sdk_acm::types::ResourceRecord| {
        let values = vec![record.value().to_owned()];
        let r#type = match record.r#type() {
            RecordType::Cname => "CNAME".to_owned(),
            other => other.as_str().to_owned(),
        };
        RecordSet { name: normal(record.name()), r#type, content: Content::Values { ttl: 300, values } }
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
