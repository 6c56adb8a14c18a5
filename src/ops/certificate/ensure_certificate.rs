//! `ensure_certificate`: what listeners show to browsers.

use aws_sdk_acm::types::{CertificateDetail, CertificateStatus, CertificateSummary, CertificateType};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Certificate, acm,
    import::{self, Pems},
    request, self_signed,
};
use crate::{
    event::{Change, Field},
    ops::{
        Duration, Error, IdOf, Operation, Sensitive, Tags,
        dns::HostedZone,
        ownership::{Owned, changed, set},
        require, tagged,
    },
    run::Ctx,
    x509,
};

/// Makes sure that the stack has a certificate of this name for these domains.
///
/// With `dns`, ACM issues it: the records it asks for are put into the hosted zone, and the operation waits. It renews
/// itself. With `self_signed`, it is made here and imported: browsers warn of it. With `imported`, it is one of yours.
/// Those two are renewed in place, under the same ARN; a rollback leaves a renewal as it is, because ACM hands no keys
/// back. A self-signed one whose names were changed gets the old names again, with another key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureCertificate {
    /// What the stack calls it; the tag `Name` is `<stack>-<name>`.
    name: String,
    /// Where it comes from.
    #[serde(default)]
    method: Method,
    /// The domain: `"shop.example.com"` or `"*.example.com"`. With `imported` it is read from the certificate.
    domain_name: Option<String>,
    /// More names.
    #[serde(default)]
    subject_alternative_names: Vec<String>,
    /// With `dns`: the zone for the validation records, as an id or a handle.
    hosted_zone_id: Option<IdOf<HostedZone>>,
    /// With `dns`: how long to wait until it is issued.
    #[serde(default = "half_an_hour")]
    timeout: Duration,
    /// `RSA_2048` with `dns` unless given, `EC_prime256v1` with `self_signed`, which knows `EC_secp384r1` besides.
    key_algorithm: Option<KeyAlgorithm>,
    /// With `self_signed`: how long it lasts, up to ten years.
    #[serde(default = "a_year")]
    validity: Duration,
    /// With `self_signed`: how long before its end it is made anew.
    #[serde(default = "thirty_days")]
    renew_before: Duration,
    /// With `imported`: the certificate, as PEM.
    certificate: Option<String>,
    /// With `imported`: its key, as PEM, without a password. Give it as a secret.
    private_key: Option<Sensitive>,
    /// With `imported`: the certificates between it and the root, as PEM.
    certificate_chain: Option<String>,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a certificate with this `Name` that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Method {
    #[default]
    Dns,
    SelfSigned,
    Imported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(inline)]
enum KeyAlgorithm {
    #[serde(rename = "RSA_2048")]
    Rsa2048,
    #[serde(rename = "EC_prime256v1")]
    Prime256v1,
    #[serde(rename = "EC_secp384r1")]
    Secp384r1,
}

impl KeyAlgorithm {
    fn as_str(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA_2048",
            Self::Prime256v1 => "EC_prime256v1",
            Self::Secp384r1 => "EC_secp384r1",
        }
    }
}

fn half_an_hour() -> Duration {
    Duration::from_secs(30 * 60)
}

fn a_year() -> Duration {
    Duration::from_secs(365 * 24 * 3600)
}

fn thirty_days() -> Duration {
    Duration::from_secs(30 * 24 * 3600)
}

/// Ten years: after that nobody remembers where it came from.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 3600);

/// What the options come to.
enum Plan {
    Dns { zone: String },
    SelfSigned,
    Imported { pems: Pems, der: Vec<u8>, key_algorithm: String },
}

/// What the certificate is, whether it was made now, and what changed.
type Outcome = (String, Vec<String>, bool, Vec<Field>);

impl Operation for EnsureCertificate {
    const NAME: &'static str = "ensure_certificate";
    const AREA: &'static str = "ACM";
    const EXAMPLE: &'static str = r#"ensure_certificate(#{
    name: "web", domain_name: "shop.example.com", hosted_zone_id: zone,
})"#;

    type Options = Self;
    type Handle = Certificate;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Certificate, Error> {
        let (plan, names) = options.plan()?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let (arn, names, is_new, fields) = match options.find(ctx, &owned, &names).await? {
            Some((summary, tags)) => options.converge(ctx, &owned, &plan, names, &summary, &tags).await?,
            None => options.create(ctx, &owned, &plan, names).await?,
        };
        let change = match fields.is_empty() {
            _ if is_new => Change::Created,
            true => Change::Unchanged,
            false => Change::Updated,
        };
        ctx.did(change, fields);
        let domain_name = names.first().cloned().unwrap_or_default();
        Ok(Certificate { certificate_arn: arn, domain_name, subject_alternative_names: names })
    }
}

impl EnsureCertificate {
    fn plan(&self) -> Result<(Plan, Vec<String>), Error> {
        let only_with = |given: bool, option: &str, method: &str| match given {
            true => Err(Error::option(option, format!("only with `method: \"{method}\"`"))),
            false => Ok(()),
        };
        let (dns, imported) = (self.method == Method::Dns, self.method == Method::Imported);
        only_with(!dns && self.hosted_zone_id.is_some(), "hosted_zone_id", "dns")?;
        only_with(!imported && self.certificate.is_some(), "certificate", "imported")?;
        only_with(!imported && self.private_key.is_some(), "private_key", "imported")?;
        only_with(!imported && self.certificate_chain.is_some(), "certificate_chain", "imported")?;
        if imported {
            return self.plan_import();
        }
        let domain = self.domain_name.as_ref().ok_or_else(|| Error::option("domain_name", "a domain is needed"))?;
        let mut names: Vec<String> = Vec::new();
        for name in std::iter::once(domain).chain(&self.subject_alternative_names) {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if dns {
            let needed = "the zone for the validation records is needed; or say `method: \"self_signed\"`";
            let zone = self.hosted_zone_id.as_ref().ok_or_else(|| Error::option("hosted_zone_id", needed))?;
            return Ok((Plan::Dns { zone: zone.to_string() }, names));
        }
        if self.key_algorithm == Some(KeyAlgorithm::Rsa2048) {
            let message = "self-signed certificates have EC_prime256v1 or EC_secp384r1 keys, found RSA_2048";
            return Err(Error::option("key_algorithm", message));
        }
        if self.validity > LONGEST {
            return Err(Error::option("validity", format!("expected at most {LONGEST}, found {}", self.validity)));
        }
        if self.validity <= self.renew_before {
            let message = format!("expected more than `renew_before` ({}), found {}", self.renew_before, self.validity);
            return Err(Error::option("validity", message));
        }
        Ok((Plan::SelfSigned, names))
    }

    fn plan_import(&self) -> Result<(Plan, Vec<String>), Error> {
        let missing = |option: &str| Error::option(option, "needed with `method: \"imported\"`");
        let certificate = self.certificate.clone().ok_or_else(|| missing("certificate"))?;
        let private_key = self.private_key.as_ref().ok_or_else(|| missing("private_key"))?.expose().to_owned();
        let fault = |option: &'static str| move |fault: x509::Fault| Error::option(option, fault.to_string());
        let mut read = x509::certificates(&certificate).map_err(fault("certificate"))?;
        if read.len() > 1 {
            let message =
                format!("expected one certificate, found {}; the others are the `certificate_chain`", read.len());
            return Err(Error::option("certificate", message));
        }
        let x509::Certificate { names, der, public_key, key_algorithm, .. } = read.swap_remove(0);
        if x509::public_half(&private_key).map_err(fault("private_key"))? != public_key {
            return Err(Error::option("private_key", "it does not belong to the certificate"));
        }
        if let Some(domain) = self.domain_name.as_ref().filter(|domain| !names.contains(domain)) {
            let message = format!("the certificate is for {}, not for {domain}", names.join(", "));
            return Err(Error::option("domain_name", message));
        }
        let pems = Pems { certificate, private_key, chain: self.certificate_chain.clone() };
        Ok((Plan::Imported { pems, der, key_algorithm }, names))
    }

    /// The certificate with this tag `Name`, and its tags. Those with a name in common are looked at first.
    async fn find(
        &self,
        ctx: &Ctx,
        owned: &Owned,
        names: &[String],
    ) -> Result<Option<(CertificateSummary, acm::TagMap)>, Error> {
        let all = acm::shared_list(ctx).await?;
        let dns = self.method == Method::Dns;
        let usable = |certificate: &&CertificateSummary| {
            let issued_by_acm = certificate.r#type().is_none_or(|kind| *kind == CertificateType::AmazonIssued);
            let imported = certificate.r#type().is_none_or(|kind| *kind == CertificateType::Imported);
            let dead = matches!(
                certificate.status(),
                Some(
                    CertificateStatus::Failed
                        | CertificateStatus::Revoked
                        | CertificateStatus::ValidationTimedOut
                        | CertificateStatus::Expired
                )
            );
            // What ACM issues cannot be revived; what was imported can be imported again.
            if dns { issued_by_acm && !dead } else { imported }
        };
        let likely = |certificate: &&CertificateSummary| {
            let mut shown = certificate.domain_name().into_iter();
            shown.any(|name| names.iter().any(|wanted| wanted == name))
        };
        let (near, far): (Vec<_>, Vec<_>) = all.iter().filter(usable).partition(likely);
        for certificates in [near, far] {
            let tagged = acm::tagged(ctx, certificates).await?;
            let mut ours = tagged.into_iter().filter(|(_, tags)| tags.get("Name") == Some(&owned.name));
            let newest = ours.by_ref().max_by_key(|(certificate, _)| certificate.created_at().map(|date| date.secs()));
            if let Some((certificate, tags)) = newest {
                let arn = certificate.certificate_arn().unwrap_or_default();
                owned.check(&format!("certificate {} ({arn})", owned.name), &tags, self.adopt)?;
                return Ok(Some((certificate.clone(), tags)));
            }
        }
        Ok(None)
    }

    async fn create(&self, ctx: &Ctx, owned: &Owned, plan: &Plan, names: Vec<String>) -> Result<Outcome, Error> {
        let keep = self.keep_on_rollback;
        let arn = match plan {
            Plan::Dns { zone } => {
                let algorithm = self.key_algorithm.unwrap_or(KeyAlgorithm::Rsa2048).as_str();
                let arn = request::request(ctx, owned, &names, algorithm, keep).await?;
                request::validate(ctx, &arn, zone, self.timeout.0, keep).await?;
                arn
            }
            Plan::SelfSigned => {
                let algorithm = self.key_algorithm.unwrap_or(KeyAlgorithm::Prime256v1).as_str();
                let pems = self_signed::make(&names, algorithm, ctx.now(), ctx.now() + self.validity.0)?;
                import::first(ctx, owned, &pems, keep).await?
            }
            Plan::Imported { pems, .. } => import::first(ctx, owned, pems, keep).await?,
        };
        let fields = vec![set("certificate_arn", arn.clone()), set("names", names.clone())];
        Ok((arn, names, true, fields))
    }

    async fn converge(
        &self,
        ctx: &Ctx,
        owned: &Owned,
        plan: &Plan,
        names: Vec<String>,
        summary: &CertificateSummary,
        tags: &acm::TagMap,
    ) -> Result<Outcome, Error> {
        let arn: String = require("acm:ListCertificates", "CertificateArn", summary.certificate_arn())?;
        let told = acm::told(summary).filter(|_| matches!(plan, Plan::Dns { .. }));
        let found = match told {
            Some(told) => told,
            None => acm::describe(ctx, &arn).await?,
        };
        let algorithm = acm::key_algorithm(&found);
        let wanted = match plan {
            Plan::Imported { key_algorithm, .. } => Some(key_algorithm.as_str()),
            Plan::Dns { .. } | Plan::SelfSigned => self.key_algorithm.map(KeyAlgorithm::as_str),
        };
        if let Some(wanted) = wanted.filter(|wanted| *wanted != algorithm) {
            return Err(self.needs_replacement(&arn, "key_algorithm", &algorithm, wanted));
        }
        let mut fields = tagged::converge::<acm::CertificateTags>(ctx, &arn, owned, tags).await?;
        match plan {
            Plan::Dns { zone } => {
                let found_names = acm::names(&found);
                if !acm::same_names(&found_names, &names) {
                    let (found, wanted) = (found_names.join(", "), names.join(", "));
                    return Err(self.needs_replacement(&arn, "names", &found, &wanted));
                }
                let is_pending = found.status() == Some(&CertificateStatus::PendingValidation);
                if is_pending || !request::seems_validated(ctx, zone, &names).await? {
                    let put = request::validate(ctx, &arn, zone, self.timeout.0, self.keep_on_rollback).await?;
                    fields.extend((!put.is_empty()).then(|| set("validation_records", put)));
                    fields.extend(is_pending.then(|| changed("status", "PENDING_VALIDATION", "ISSUED")));
                }
            }
            Plan::SelfSigned => fields.extend(self.renew(ctx, owned, &arn, &found, &names).await?),
            Plan::Imported { pems, der, .. } => {
                if !is_this(ctx, &arn, der).await? {
                    let ends = ends(&found).map_or_else(String::new, |ends| ends.to_string());
                    import::again(ctx, owned, &arn, pems, import::stays(&arn)).await?;
                    fields.push(changed("certificate", format!("one until {ends}"), "another one"));
                }
            }
        }
        Ok((arn, names, false, fields))
    }

    /// Makes a self-signed certificate anew when its names differ or its end is near.
    async fn renew(
        &self,
        ctx: &Ctx,
        owned: &Owned,
        arn: &str,
        found: &CertificateDetail,
        names: &[String],
    ) -> Result<Vec<Field>, Error> {
        let before = acm::names(found);
        let renamed = !acm::same_names(&before, names);
        let ends = ends(found).ok_or(Error::Reply { call: "acm:DescribeCertificate", member: "NotAfter" })?;
        let due = ends <= ctx.now() + self.renew_before.0;
        if !renamed && !due {
            return Ok(Vec::new());
        }
        let (algorithm, not_after) = (acm::key_algorithm(found), ctx.now() + self.validity.0);
        let pems = self_signed::make(names, &algorithm, ctx.now(), not_after)?;
        let undo = match renamed {
            true => import::back_to(arn, &algorithm, &before, ends, names),
            false => import::stays(arn),
        };
        import::again(ctx, owned, arn, &pems, undo).await?;
        let names = renamed.then(|| changed("names", before, names.to_vec()));
        Ok(names.into_iter().chain([changed("not_after", ends.to_string(), not_after.to_string())]).collect())
    }

    fn needs_replacement(&self, arn: &str, field: &'static str, found: &str, wanted: &str) -> Error {
        let resource = format!("certificate {} ({arn})", self.name);
        Error::NeedsReplacement { resource, field, found: found.to_owned(), wanted: wanted.to_owned() }
    }
}

fn ends(certificate: &CertificateDetail) -> Option<Timestamp> {
    certificate.not_after().and_then(|date| Timestamp::from_second(date.secs()).ok())
}

/// Whether ACM has exactly this certificate.
async fn is_this(ctx: &Ctx, arn: &str, der: &[u8]) -> Result<bool, Error> {
    let reply = ctx.read("acm:GetCertificate", || ctx.aws().acm.get_certificate().certificate_arn(arn).send()).await?;
    let found = x509::certificates(reply.certificate().unwrap_or_default());
    Ok(found.is_ok_and(|found| found.first().is_some_and(|found| found.der == der)))
}
