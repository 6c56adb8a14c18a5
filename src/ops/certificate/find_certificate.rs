//! `find_certificate`: one that is there already.

use aws_sdk_acm::types::{CertificateDetail, CertificateStatus, CertificateSummary};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Certificate, acm};
use crate::{
    event::Change,
    ops::{Error, Operation, all_of},
    run::Ctx,
};

/// Finds the newest certificate that is valid for this name, by itself or through a wildcard, whoever owns it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindCertificate {
    /// The name users type: `"shop.example.com"`.
    domain_name: String,
}

impl Operation for FindCertificate {
    const NAME: &'static str = "find_certificate";
    const AREA: &'static str = "ACM";
    const POSITIONAL: &'static [&'static str] = &["domain_name"];
    const EXAMPLE: &'static str = r#"find_certificate("shop.example.com")"#;

    type Options = Self;
    type Handle = Certificate;

    fn subject(options: &Self) -> String {
        options.domain_name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Certificate, Error> {
        let wanted = options.domain_name.trim_end_matches('.').to_ascii_lowercase();
        let all = acm::list(ctx, &[CertificateStatus::Issued]).await?;
        let arns = all.iter().filter(|certificate| may_cover(certificate, &wanted)).filter_map(|c| c.certificate_arn());
        let mut found = all_of(arns.map(|arn| acm::describe(ctx, arn))).await?;
        found.retain(|certificate| acm::names(certificate).iter().any(|name| covers(name, &wanted)));
        let Some(newest) = found.into_iter().max_by_key(made_at) else {
            let what = format!("an issued certificate for {wanted} in {}", ctx.aws().region);
            let hint =
                Some("a certificate must be in the region of the load balancer; `ensure_certificate` makes one".into());
            return Err(Error::NotFound { what, hint });
        };
        ctx.did(Change::Read, []);
        let names = acm::names(&newest);
        Ok(Certificate {
            certificate_arn: newest.certificate_arn.unwrap_or_default(),
            domain_name: newest.domain_name.unwrap_or_default(),
            subject_alternative_names: names,
        })
    }
}

/// Lists show only the first hundred names, and some endpoints none but the first.
fn may_cover(certificate: &CertificateSummary, wanted: &str) -> bool {
    let mut names = certificate
        .domain_name()
        .into_iter()
        .chain(certificate.subject_alternative_name_summaries().iter().map(String::as_str));
    certificate.has_additional_subject_alternative_names() == Some(true) || names.any(|name| covers(name, wanted))
}

/// A wildcard stands for exactly one label.
fn covers(name: &str, wanted: &str) -> bool {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("*.") {
        Some(parent) => wanted.split_once('.').is_some_and(|(_, rest)| rest == parent),
        None => name == wanted,
    }
}

fn made_at(certificate: &CertificateDetail) -> Option<i64> {
    let dates = [certificate.imported_at(), certificate.issued_at(), certificate.created_at()];
    dates.into_iter().flatten().map(|date| date.secs()).max()
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn a_wildcard_stands_for_one_label() {
        assert!(covers("Shop.example.com", "shop.example.com"));
        assert!(covers("*.example.com", "shop.example.com"));
        assert!(!covers("*.example.com", "example.com"));
        assert!(!covers("*.example.com", "a.shop.example.com"));
    }
}
