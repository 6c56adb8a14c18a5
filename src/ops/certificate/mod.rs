//! Certificates: made here and imported, imported from elsewhere, or issued by ACM.

pub(super) mod acm;
pub mod ensure_certificate;
pub mod find_certificate;
pub mod import;
pub mod request;
mod self_signed;

pub use acm::{CertificateTags, RESTORE_CERTIFICATE_TAGS};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Error, Kind, arguments, outcome::deleted};
use crate::run::{Class, Ctx, LookUp, Mutation, UndoAction, Undone};

/// A certificate.
#[derive(Debug, Serialize)]
pub struct Certificate {
    pub certificate_arn: String,
    pub domain_name: String,
    /// With the domain name.
    pub subject_alternative_names: Vec<String>,
}

impl Kind for Certificate {
    const KIND: &'static str = "certificate";
    const ID: &'static str = "certificate_arn";
}

/// What is kept of a certificate that was imported or requested.
#[derive(Serialize, Deserialize)]
struct Made {
    certificate_arn: String,
}

/// Finds a certificate by the tags this run gave it.
pub const CERTIFICATE_BY_TAGS: LookUp =
    LookUp { name: "certificate_by_tags", run: |ctx, arguments| Box::pin(certificate_by_tags(ctx, arguments)) };

#[derive(Serialize, Deserialize)]
pub(super) struct ByTags {
    /// The tag `Name`.
    pub name: String,
    /// The tag `runner:run`.
    pub run: String,
}

async fn certificate_by_tags(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByTags { name, run } = arguments(wanted)?;
    let all = acm::list(ctx, &[]).await?;
    let tagged = acm::tagged(ctx, all.iter().collect()).await?;
    let ours = |(_, tags): &&(_, acm::TagMap)| {
        tags.get("Name") == Some(&name) && tags.get(super::ownership::RUN_TAG) == Some(&run)
    };
    let found: Option<&(&aws_sdk_acm::types::CertificateSummary, _)> = tagged.iter().find(ours);
    Ok(found.map(|(certificate, _)| serde_json::json!({ "certificate_arn": certificate.certificate_arn() })))
}

/// Deletes a certificate this run made.
pub const DELETE_CERTIFICATE: UndoAction =
    UndoAction { name: "delete_certificate", run: |ctx, arguments| Box::pin(delete_certificate(ctx, arguments)) };

async fn delete_certificate(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { certificate_arn: arn } = arguments(made)?;
    // A load balancer that is gone lets go of it only after a while.
    let declared = Mutation::new("acm:DeleteCertificate", Class::Idempotent, &arn)
        .patiently(&["ResourceInUseException"], std::time::Duration::from_secs(10 * 60));
    let gone = ctx.change(declared, |permit| {
        ctx.aws().acm.delete_certificate().certificate_arn(&arn).customize().interceptor(permit).send()
    });
    deleted(gone.await, acm::GONE)
}
