//! A certificate, however it came: shown, listed, tagged, deleted.

use jiff::Timestamp;

use super::request::{self, Validation};
use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "DescribeCertificate", params: &["CertificateArn"], run: describe_certificate },
    Action { name: "GetCertificate", params: &["CertificateArn"], run: get_certificate },
    Action {
        name: "ListCertificates",
        params: &["CertificateStatuses[] Includes.keyTypes[] MaxItems NextToken"],
        run: list_certificates,
    },
    Action { name: "DeleteCertificate", params: &["CertificateArn"], run: delete_certificate },
    Action {
        name: "AddTagsToCertificate",
        params: &["CertificateArn Tags[].Key Tags[].Value"],
        run: add_tags_to_certificate,
    },
    Action {
        name: "RemoveTagsFromCertificate",
        params: &["CertificateArn Tags[].Key Tags[].Value"],
        run: remove_tags_from_certificate,
    },
    Action { name: "ListTagsForCertificate", params: &["CertificateArn"], run: list_tags_for_certificate },
];

const PAGING: Paging = Paging {
    size: "MaxItems",
    token: "NextToken",
    default: 100,
    sizes: 1..=1000,
    invalid_token: "InvalidArgsException",
};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Certificate {
    pub arn: String,
    pub domain: String,
    /// With the domain.
    pub names: Vec<String>,
    pub state: State,
    pub created: Timestamp,
    pub imported: Option<Timestamp>,
    pub key_algorithm: String,
    /// There is none before it is issued.
    pub issued: Option<Issued>,
    /// PEM; what ACM issues has none here.
    pub body: Option<String>,
    pub chain: Option<String>,
    pub validations: Vec<Validation>,
    pub transparency: bool,
    /// Of a private authority, which nobody asks here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// What uses it in a forked account: load balancers until they are read, and what is no load balancer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<String>,
    pub tags: Tags,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum State {
    Pending,
    Issued,
    TimedOut,
    /// The names cannot be had from a public authority.
    Failed,
    // Nothing becomes these here: they are read.
    Inactive,
    Revoked,
}

/// What stands in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Issued {
    pub at: Timestamp,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub serial: String,
    pub subject: String,
    pub issuer: String,
    /// Of a certificate of an older world nothing is known of these.
    #[serde(default)]
    pub signature: String,
    #[serde(default)]
    pub key_usages: Vec<String>,
    /// With their object identifiers.
    #[serde(default)]
    pub extended_key_usages: Vec<(String, String)>,
}

resource!(Certificate, arn, region.acm.certificates, Extent::Row, |arn: &str| {
    if !is_arn(arn) {
        const PATTERN: &str = r"arn:[\w+=/,.@-]+:acm:[\w+=/,.@-]*:[0-9]+:[\w+=,.@-]+(/[\w+=,.@-]+)*";
        invalid(format!(
            "1 validation error detected: Value '{arn}' at 'certificateArn' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: {PATTERN}"
        ))
    } else if arn.contains(":certificate/") {
        AwsError::new("ResourceNotFoundException", format!("Could not find certificate {arn}."))
    } else {
        AwsError::new("InvalidArnException", format!("Invalid arn: {arn}"))
    }
});

/// Whether it has the form that the model gives to ARNs of ACM.
fn is_arn(arn: &str) -> bool {
    let words = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=/,.@-".contains(&byte));
    match arn.split(':').collect::<Vec<_>>()[..] {
        ["arn", partition, "acm", region, account, resource] => {
            let digits = !account.is_empty() && account.bytes().all(|byte| byte.is_ascii_digit());
            digits && [partition, region, resource].into_iter().all(words) && !resource.is_empty()
        }
        _ => false,
    }
}

impl Certificate {
    pub fn status(&self, now: Timestamp) -> &'static str {
        match (self.state, &self.issued) {
            (State::Pending, _) => "PENDING_VALIDATION",
            (State::TimedOut, _) => "VALIDATION_TIMED_OUT",
            (State::Failed, _) => "FAILED",
            (State::Inactive, _) => "INACTIVE",
            (State::Revoked, _) => "REVOKED",
            (State::Issued, Some(issued)) if now >= issued.not_after => "EXPIRED",
            (State::Issued, _) => "ISSUED",
        }
    }

    fn kind(&self) -> &'static str {
        match self.authority {
            Some(_) => "PRIVATE",
            None if self.imported.is_some() => "IMPORTED",
            None => "AMAZON_ISSUED",
        }
    }

    /// What lists and descriptions both show.
    fn common(&self, tx: &Tx) -> Value {
        let issued = self.issued.as_ref();
        json!({
            "CertificateArn": self.arn,
            "DomainName": self.domain,
            "Status": self.status(tx.now),
            "Type": self.kind(),
            // With a hyphen, unlike in requests.
            "KeyAlgorithm": self.key_algorithm.replace('_', "-"),
            "CreatedAt": epoch(self.created),
            "ImportedAt": self.imported.map(epoch),
            "IssuedAt": issued.filter(|_| self.imported.is_none()).map(|issued| epoch(issued.at)),
            "NotBefore": issued.map(|issued| epoch(issued.not_before)),
            "NotAfter": issued.map(|issued| epoch(issued.not_after)),
            "RenewalEligibility": if self.is_renewed(tx) { "ELIGIBLE" } else { "INELIGIBLE" },
        })
    }

    /// "ELIGIBLE if associated with another AWS service, such as ELB" ("Managed certificate renewal"); what was imported
    /// is its owner's to renew.
    fn is_renewed(&self, tx: &Tx) -> bool {
        self.imported.is_none() && self.state == State::Issued && !in_use_by(tx, self).is_empty()
    }

    fn summary(&self, tx: &Tx) -> Value {
        let mut view = self.common(tx);
        let extended = |issued: &Issued| issued.extended_key_usages.iter().map(|(name, _)| name.clone()).collect();
        view["KeyUsages"] = json!(self.issued.as_ref().map_or(&[][..], |issued| &issued.key_usages));
        view["ExtendedKeyUsages"] = json!(self.issued.as_ref().map_or(Vec::new(), extended));
        view["SubjectAlternativeNameSummaries"] = json!(self.names);
        view["HasAdditionalSubjectAlternativeNames"] = json!(false);
        view["InUse"] = json!(!in_use_by(tx, self).is_empty());
        view["Exported"] = json!(false);
        view
    }

    fn detail(&self, tx: &Tx) -> Value {
        let mut view = self.common(tx);
        let issued = self.issued.as_ref();
        view["SubjectAlternativeNames"] = json!(self.names);
        view["InUseBy"] = json!(in_use_by(tx, self));
        view["CertificateAuthorityArn"] = json!(self.authority);
        view["Serial"] = json!(issued.map(|issued| &issued.serial));
        view["Subject"] = json!(issued.map_or(format!("CN={}", self.domain), |issued| issued.subject.clone()));
        view["Issuer"] = json!(issued.map(|issued| &issued.issuer));
        let signature = issued.map(|issued| issued.signature.as_str()).filter(|name| !name.is_empty());
        view["SignatureAlgorithm"] = json!(signature.unwrap_or(signature_of(&self.key_algorithm)));
        let usages = issued.map_or(&[][..], |issued| &issued.key_usages);
        view["KeyUsages"] = usages.iter().map(|name| json!({ "Name": name })).collect();
        let usages = issued.map_or(&[][..], |issued| &issued.extended_key_usages);
        view["ExtendedKeyUsages"] = usages.iter().map(|(name, id)| json!({ "Name": name, "OID": id })).collect();
        let logging = if self.transparency { "ENABLED" } else { "DISABLED" };
        view["Options"] = json!({ "CertificateTransparencyLoggingPreference": logging });
        if self.imported.is_none() {
            let state = self.state;
            let validations: Vec<Value> = self.validations.iter().map(|validation| validation.view(state)).collect();
            view["DomainValidationOptions"] = json!(validations);
        }
        if self.state == State::Failed {
            view["FailureReason"] = json!("INVALID_PUBLIC_DOMAIN");
        }
        view
    }
}

pub const CALLS: &[&str] =
    &["acm:DescribeCertificate", "acm:GetCertificate", "acm:ListCertificates", "acm:ListTagsForCertificate"];

/// How ACM signs a key of this kind.
pub fn signature_of(key_algorithm: &str) -> &'static str {
    if key_algorithm.starts_with("RSA") { "SHA256WITHRSA" } else { "SHA256WITHECDSA" }
}

/// Whoever lists certificates without saying which keys gets those with two kinds of RSA keys only.
pub const KEY_TYPES: &[&str] =
    &["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"];

/// A certificate with its text and tags, or all as a list shows them.
pub fn load(reader: &Reader, arn: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(arn) = arn else {
        let params = json!({ "Includes": { "keyTypes": KEY_TYPES }, "MaxItems": 1000 });
        let token = ("NextToken", "NextToken");
        let listed = reader.pages("acm", "ListCertificates", params, "CertificateSummaryList", token)?;
        listed.iter().for_each(|shown| rows.listed(Read::of(read(shown, "SubjectAlternativeNameSummaries"))));
        return Ok(());
    };
    let named = json!({ "CertificateArn": arn });
    let absent = ["ResourceNotFoundException", "InvalidArnException", "ValidationException"];
    let Some(reply) = reader.find("acm", "DescribeCertificate", named.clone(), &absent)? else { return Ok(()) };
    let shown = reply.part("Certificate");
    let mut certificate = read(&shown, "SubjectAlternativeNames");
    certificate.tags = reader.get("acm", "ListTagsForCertificate", named.clone())?.map("Tags", "Key", "Value");
    if certificate.state == State::Issued {
        let text = reader.find("acm", "GetCertificate", named, &["ResourceNotFoundException", "RequestInProgress"])?;
        certificate.body = text.as_ref().and_then(|text| text.opt_str("Certificate").map(str::to_owned));
        certificate.chain = text.as_ref().and_then(|text| text.opt_str("CertificateChain").map(str::to_owned));
    }
    let by_mail = certificate.authority.is_none() && certificate.imported.is_none();
    let by_mail = by_mail && shown.list("DomainValidationOptions").iter().any(|option| !is_by_dns(option));
    let pending = certificate.state == State::Pending && !by_mail;
    let arn = certificate.arn.clone();
    let prepared = certificate.validations.iter().all(Validation::is_prepared);
    rows.whole(Read::of(certificate).shown(&shown));
    if pending {
        rows.then(move |tx| request::go_on(tx, &arn, prepared));
    }
    Ok(())
}

fn is_by_dns(option: &Params) -> bool {
    option.opt_str("ValidationMethod").is_none_or(|method| method == "DNS")
}

/// What a description and, under other names, a list say.
fn read(shown: &Params, names: &str) -> Certificate {
    let optional = |path: &str| shown.opt_str(path).map(str::to_owned);
    let imported = shown.has("ImportedAt").then(|| shown.time("ImportedAt"));
    // A list has the name alone.
    let usage = |shown: &Params| shown.0.as_str().map_or_else(|| shown.text("Name"), str::to_owned);
    let issued = shown.has("NotAfter").then(|| Issued {
        at: if shown.has("IssuedAt") { shown.time("IssuedAt") } else { imported.unwrap_or_default() },
        not_before: shown.time("NotBefore"),
        not_after: shown.time("NotAfter"),
        serial: shown.text("Serial"),
        subject: shown.text("Subject"),
        issuer: shown.text("Issuer"),
        signature: shown.text("SignatureAlgorithm"),
        key_usages: shown.list("KeyUsages").iter().map(usage).collect(),
        extended_key_usages: shown
            .list("ExtendedKeyUsages")
            .iter()
            .map(|shown| (usage(shown), shown.text("OID")))
            .collect(),
    });
    let private = shown.opt_str("Type") == Some("PRIVATE");
    Certificate {
        arn: shown.text("CertificateArn"),
        domain: shown.text("DomainName"),
        names: shown.strings(names).into_iter().map(str::to_owned).collect(),
        state: match shown.opt_str("Status").unwrap_or_default() {
            "PENDING_VALIDATION" => State::Pending,
            "VALIDATION_TIMED_OUT" => State::TimedOut,
            "FAILED" => State::Failed,
            "INACTIVE" => State::Inactive,
            "REVOKED" => State::Revoked,
            _ => State::Issued,
        },
        created: if shown.has("CreatedAt") { shown.time("CreatedAt") } else { imported.unwrap_or_default() },
        imported,
        // With a hyphen, unlike in requests.
        key_algorithm: shown.text("KeyAlgorithm").replace('-', "_"),
        issued,
        body: None,
        chain: None,
        validations: shown.list("DomainValidationOptions").iter().map(Validation::read).collect(),
        transparency: shown.opt_str("Options.CertificateTransparencyLoggingPreference") == Some("ENABLED"),
        authority: optional("CertificateAuthorityArn").or(private.then(String::new)),
        held_by: shown.strings("InUseBy").into_iter().map(str::to_owned).collect(),
        tags: Tags::new(),
    }
}

fn certificate<'t>(tx: &'t mut Tx, p: &Params) -> Result<&'t mut Certificate, AwsError> {
    tx.get_mut::<Certificate>(p.str("CertificateArn")?)
}

fn describe_certificate(tx: &mut Tx, p: &Params) -> Reply {
    let certificate = tx.get::<Certificate>(p.str("CertificateArn")?)?;
    Ok(json!({ "Certificate": tx.shown(certificate, Certificate::detail) }))
}

fn get_certificate(tx: &mut Tx, p: &Params) -> Reply {
    let certificate = certificate(tx, p)?;
    if certificate.state == State::Pending {
        let message = format!("Certificate {} has not been issued yet.", certificate.arn);
        return Err(AwsError::new("RequestInProgressException", message));
    }
    let Some(body) = &certificate.body else {
        let message = "the simulator does not model the text of certificates that ACM issues";
        return Err(AwsError::unanswered("ResourceNotFoundException", message));
    };
    Ok(json!({ "Certificate": body, "CertificateChain": certificate.chain }))
}

/// Without `keyTypes` only RSA keys of 1024 and 2048 bits are listed ("ListCertificates", Filters).
fn list_certificates(tx: &mut Tx, p: &Params) -> Reply {
    let (statuses, mut key_types) = (p.strings("CertificateStatuses"), p.strings("Includes.keyTypes"));
    if key_types.is_empty() {
        key_types = vec!["RSA_1024", "RSA_2048"];
    }
    const STATUSES: &[&str] =
        &["PENDING_VALIDATION", "ISSUED", "INACTIVE", "EXPIRED", "VALIDATION_TIMED_OUT", "REVOKED", "FAILED"];
    key_types.iter().try_for_each(|kind| among("includes.keyTypes", kind, KEY_TYPES))?;
    statuses.iter().try_for_each(|status| among("certificateStatuses", status, STATUSES))?;
    let mut all = tx.select::<Certificate>(&[])?;
    all.retain(|certificate| {
        (statuses.is_empty() || statuses.contains(&certificate.status(tx.now)))
            && key_types.contains(&certificate.key_algorithm.as_str())
    });
    let (page, next) = select::page(&PAGING, p, all, |certificate| &certificate.arn)?;
    let page: Vec<Value> = page.into_iter().map(|certificate| certificate.summary(tx)).collect();
    Ok(json!({ "CertificateSummaryList": page, "NextToken": next }))
}

fn delete_certificate(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("CertificateArn")?;
    let certificate = tx.get::<Certificate>(arn)?;
    if !in_use_by(tx, certificate).is_empty() {
        let message = format!("Certificate {arn} in account {} is in use.", tx.scope.account);
        return Err(AwsError::new("ResourceInUseException", message));
    }
    tx.delete::<Certificate>(arn);
    Ok(json!({}))
}

fn add_tags_to_certificate(tx: &mut Tx, p: &Params) -> Reply {
    add_tags(&mut certificate(tx, p)?.tags, p)?;
    Ok(json!({}))
}

/// A value must match to be removed, if one is given.
fn remove_tags_from_certificate(tx: &mut Tx, p: &Params) -> Reply {
    let certificate = certificate(tx, p)?;
    for tag in p.list("Tags") {
        let (key, value) = (tag.str("Key")?, tag.opt_str("Value"));
        if value.is_none_or(|value| certificate.tags.get(key).is_some_and(|found| found == value)) {
            certificate.tags.remove(key);
        }
    }
    Ok(json!({}))
}

fn list_tags_for_certificate(tx: &mut Tx, p: &Params) -> Reply {
    let certificate = certificate(tx, p)?;
    Ok(json!({ "Tags": tags::write(&certificate.tags, "Key", "Value") }))
}

/// Whether a client that trusts `ca` beside public authorities believes a certificate to be that of `host`. An imported one is
/// believed if it, or what has signed it, is among what the client trusts.
pub fn believed(tx: &Tx, arn: &str, host: &str, ca: Option<&str>) -> Result<(), String> {
    let certificate = tx.peek::<Certificate>(arn).ok_or("the certificate is gone")?;
    let fits = |name: &String| match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => name.eq_ignore_ascii_case(host),
    };
    if !certificate.names.iter().any(fits) {
        return Err(format!("the certificate is for {}, not for {host}", certificate.names.join(", ")));
    }
    match (&certificate.imported, certificate.state) {
        (None, State::Issued) => Ok(()),
        (None, _) => Err("the certificate has not been issued".to_owned()),
        (Some(_), _) => {
            let plain = |pem: &str| pem.split_whitespace().collect::<String>();
            let trusted = plain(ca.unwrap_or_default());
            let mut known = certificate.body.iter().chain(&certificate.chain).map(|pem| plain(pem));
            match !trusted.is_empty() && known.any(|pem| pem.contains(&trusted) || trusted.contains(&pem)) {
                true => Ok(()),
                false => Err("the certificate is signed by nobody who is trusted".to_owned()),
            }
        }
    }
}
