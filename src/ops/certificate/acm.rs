//! Reading ACM: lists with everything in them, descriptions, tags.

use std::collections::BTreeMap;

use aws_sdk_acm::types::{CertificateDetail, CertificateStatus, CertificateSummary, Filters, KeyAlgorithm, Tag};
use futures::{StreamExt, TryStreamExt, stream};

use crate::{
    ops::{
        Error,
        tagged::{Tagged, restore},
    },
    run::{Class, Ctx, Mutation, Reading, Undo, UndoAction},
};

pub type TagMap = BTreeMap<String, String>;

/// What ACM says when a certificate is not there.
pub const GONE: &[&str] = &["ResourceNotFoundException"];

/// All certificates in these states; without one, in any.
pub async fn list(ctx: &Ctx, statuses: &[CertificateStatus]) -> Result<Vec<CertificateSummary>, Error> {
    // Left alone, ACM lists RSA keys of up to 2048 bits only.
    let every_key = Filters::builder().set_key_types(Some(key_types())).build();
    let statuses = Some(statuses.to_vec()).filter(|statuses| !statuses.is_empty());
    let (mut all, mut next) = (Vec::new(), None);
    loop {
        let request = || {
            let request = ctx.aws().acm.list_certificates().includes(every_key.clone());
            request.set_certificate_statuses(statuses.clone()).set_next_token(next.clone()).send()
        };
        let reply = ctx.read("acm:ListCertificates", request).await?;
        all.extend(reply.certificate_summary_list.unwrap_or_default());
        next = reply.next_token;
        if next.is_none() {
            return Ok(all);
        }
    }
}

/// All certificates, as they were a moment ago.
pub async fn shared_list(ctx: &Ctx) -> Result<Vec<CertificateSummary>, Error> {
    const READING: Reading = Reading::new("acm:ListCertificates", &["Certificate"]);
    ctx.shared(READING, "", async || list(ctx, &[]).await).await
}

/// What a list says of an issued certificate, if that is all that a comparison needs: it shows the first hundred names, and
/// not every endpoint shows any.
pub fn told(summary: &CertificateSummary) -> Option<CertificateDetail> {
    let names = summary.subject_alternative_name_summaries();
    let is_issued = summary.status() == Some(&CertificateStatus::Issued);
    let has_all = !names.is_empty() && summary.has_additional_subject_alternative_names() == Some(false);
    let algorithm = summary.key_algorithm().filter(|_| is_issued && has_all)?;
    let detail = CertificateDetail::builder()
        .set_domain_name(summary.domain_name.clone())
        .set_subject_alternative_names(Some(names.to_vec()))
        .key_algorithm(algorithm.clone())
        .status(CertificateStatus::Issued);
    Some(detail.build())
}

fn key_types() -> Vec<KeyAlgorithm> {
    KeyAlgorithm::values().iter().map(|name| KeyAlgorithm::from(*name)).collect()
}

/// Certificates with their tags. ACM answers one at a time, and not many at once.
pub async fn tagged<'c>(
    ctx: &Ctx,
    certificates: Vec<&'c CertificateSummary>,
) -> Result<Vec<(&'c CertificateSummary, TagMap)>, Error> {
    let one = async |certificate: &'c CertificateSummary| {
        let tags = CertificateTags::read(ctx, certificate.certificate_arn().unwrap_or_default()).await?;
        Ok((certificate, tags))
    };
    stream::iter(certificates).map(one).buffered(8).try_collect().await
}

pub async fn describe(ctx: &Ctx, arn: &str) -> Result<CertificateDetail, Error> {
    const CALL: &str = "acm:DescribeCertificate";
    let reply = ctx.read(CALL, || ctx.aws().acm.describe_certificate().certificate_arn(arn).send()).await?;
    reply.certificate.ok_or(Error::Reply { call: CALL, member: "Certificate" })
}

/// Domain and alternative names, none twice.
pub fn names(certificate: &CertificateDetail) -> Vec<String> {
    let mut names: Vec<String> = certificate.domain_name().map(str::to_owned).into_iter().collect();
    for name in certificate.subject_alternative_names() {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The order of names says nothing, case neither.
pub fn same_names(a: &[String], b: &[String]) -> bool {
    let sorted = |names: &[String]| {
        let mut names: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        names.sort();
        names.dedup();
        names
    };
    sorted(a) == sorted(b)
}

/// `RSA_2048`: descriptions write it with a hyphen.
pub fn key_algorithm(certificate: &CertificateDetail) -> String {
    certificate.key_algorithm().map(|name| name.as_str().replace('-', "_")).unwrap_or_default()
}

pub fn to_acm(tags: &TagMap) -> Vec<Tag> {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.iter().map(tag).collect::<Result<_, _>>().expect("the key is set")
}

/// Tags of a certificate, by its ARN.
pub struct CertificateTags;

/// Puts changed tags back.
pub const RESTORE_CERTIFICATE_TAGS: UndoAction = UndoAction {
    name: "restore_certificate_tags",
    run: |ctx, arguments| Box::pin(restore::<CertificateTags>(ctx, arguments)),
};

impl Tagged for CertificateTags {
    const RESTORE: &'static UndoAction = &RESTORE_CERTIFICATE_TAGS;
    const GONE: &'static [&'static str] = GONE;

    async fn read(ctx: &Ctx, id: &str) -> Result<TagMap, Error> {
        let request = || ctx.aws().acm.list_tags_for_certificate().certificate_arn(id).send();
        let reply = ctx.read("acm:ListTagsForCertificate", request).await?;
        let tag = |tag: &Tag| (tag.key().to_owned(), tag.value().unwrap_or_default().to_owned());
        Ok(reply.tags().iter().map(tag).collect())
    }

    async fn set(ctx: &Ctx, id: &str, tags: &TagMap, undo: Option<Undo>) -> Result<(), Error> {
        let mut declared = Mutation::new("acm:AddTagsToCertificate", Class::Idempotent, id);
        if let Some(undo) = undo {
            declared = declared.undo(undo);
        }
        let tags = to_acm(tags);
        ctx.change(declared, |permit| {
            let request = ctx.aws().acm.add_tags_to_certificate().certificate_arn(id).set_tags(Some(tags.clone()));
            request.customize().interceptor(permit).send()
        })
        .await
    }

    async fn remove(ctx: &Ctx, id: &str, keys: &[String]) -> Result<(), Error> {
        let tag = |key| Tag::builder().key(key).build();
        let tags: Vec<Tag> = keys.iter().map(tag).collect::<Result<_, _>>().expect("the key is set");
        ctx.change(Mutation::new("acm:RemoveTagsFromCertificate", Class::Idempotent, id), |permit| {
            let request = ctx.aws().acm.remove_tags_from_certificate().certificate_arn(id);
            request.set_tags(Some(tags.clone())).customize().interceptor(permit).send()
        })
        .await
    }
}
