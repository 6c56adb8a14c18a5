//! Requests: the validation records are decided after a few seconds; once they all resolve, the certificate is issued
//! within minutes; after three days ACM gives up.

use jiff::Timestamp;

use super::certificate::{Issued, State};
use super::*;

pub const ACTIONS: &[Action] = &[Action {
    name: "RequestCertificate",
    params: &[
        "DomainName ValidationMethod SubjectAlternativeNames[] IdempotencyToken KeyAlgorithm Tags[].Key Tags[].Value",
        "Options.CertificateTransparencyLoggingPreference",
    ],
    run: request_certificate,
}];

/// "Idempotency tokens time out after one hour" (RequestCertificate).
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
const PREPARATION: Duration = Duration::from_secs(4);
/// ACM looks again and again; a record that was just made is seen at the next look, and issuing takes one more.
const LOOKS_EVERY: Duration = Duration::from_secs(60);
const GIVES_UP_AFTER: Duration = Duration::from_secs(72 * 3600);
/// Public certificates of ACM's last 13 months.
const LIFE: Duration = Duration::from_secs(395 * 24 * 3600);
/// Names of a certificate, the domain included, in a new account ("Quotas").
const NAMES: usize = 10;

/// The state of one name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Validation {
    domain: String,
    /// CNAME and its value, once they are decided.
    record: Option<(String, String)>,
    seen: bool,
}

impl Validation {
    /// The inverse of `view`.
    pub fn read(shown: &Params) -> Validation {
        let record = shown.part("ResourceRecord");
        Validation {
            domain: shown.text("DomainName"),
            record: shown.has("ResourceRecord").then(|| (record.text("Name"), record.text("Value"))),
            seen: shown.opt_str("ValidationStatus") == Some("SUCCESS"),
        }
    }

    pub fn is_prepared(&self) -> bool {
        self.record.is_some()
    }

    pub fn view(&self, state: State) -> Value {
        let status = match state {
            _ if self.seen => "SUCCESS",
            State::Failed | State::TimedOut => "FAILED",
            State::Pending | State::Issued | State::Inactive | State::Revoked => "PENDING_VALIDATION",
        };
        json!({
            "DomainName": self.domain,
            "ValidationDomain": self.domain,
            "ValidationStatus": status,
            "ValidationMethod": "DNS",
            "ResourceRecord": self.record.as_ref().map(|(name, value)| json!({
                "Name": name, "Type": "CNAME", "Value": value,
            })),
        })
    }
}

fn request_certificate(tx: &mut Tx, p: &Params) -> Reply {
    let is_word = |token: &str| token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if let Some(token) = p.opt_str("IdempotencyToken").filter(|it| !is_word(it) || !(1..=32).contains(&it.len())) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{token}' at 'idempotencyToken' failed to satisfy constraint: Member must \
             satisfy regular expression pattern: \\w+"
        )));
    }
    let key_algorithm = p.opt_str("KeyAlgorithm").unwrap_or("RSA_2048");
    among("keyAlgorithm", key_algorithm, certificate::KEY_TYPES)?;
    // "Other listed algorithms are for imported certificates only."
    if !["RSA_2048", "EC_prime256v1", "EC_secp384r1"].contains(&key_algorithm) {
        let message = format!("The key algorithm {key_algorithm} is not supported for requested certificates.");
        return Err(AwsError::new("InvalidParameterException", message));
    }
    tx.once(p, "IdempotencyToken", TOKEN_LIFE, |tx| {
        match p.opt_str("ValidationMethod") {
            Some("DNS") => {}
            other => {
                let (method, action) = (other.unwrap_or("EMAIL"), "acm:RequestCertificate");
                return Err(AwsError::not_modelled("ValidationException", "validation method", method, action));
            }
        }
        let domain = p.str("DomainName")?.to_ascii_lowercase();
        // "In compliance with RFC 5280, the length of the domain name […] cannot exceed 64 octets".
        if domain.len() > 64 {
            let message = format!("The domain name {domain} is longer than 64 octets; other names may be.");
            return Err(AwsError::new("InvalidParameterException", message));
        }
        let mut names = vec![domain.clone()];
        for name in p.strings("SubjectAlternativeNames") {
            let name = name.to_ascii_lowercase();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.iter().try_for_each(|name| check_name(name))?;
        if names.len() > NAMES {
            let message = format!("Certificates can have at most {NAMES} names.");
            return Err(AwsError::new("LimitExceededException", message));
        }
        let transparency = p.opt_str("Options.CertificateTransparencyLoggingPreference") != Some("DISABLED");
        let validation = |domain: &String| Validation { domain: domain.clone(), record: None, seen: false };
        let mut certificate = Certificate {
            arn: new_arn(tx),
            domain,
            validations: names.iter().map(validation).collect(),
            names,
            state: State::Pending,
            created: tx.now,
            imported: None,
            key_algorithm: key_algorithm.to_owned(),
            issued: None,
            body: None,
            chain: None,
            transparency,
            authority: None,
            held_by: Vec::new(),
            tags: Tags::new(),
        };
        add_tags(&mut certificate.tags, p)?;
        let arn = certificate.arn.clone();
        tx.put(certificate);
        tx.schedule(PREPARATION, Event::Prepared(arn.clone()));
        Ok(json!({ "CertificateArn": arn }))
    })
}

/// The model's pattern for domain names, wildcard included.
fn check_name(name: &str) -> Result<(), AwsError> {
    let plain = name.strip_prefix("*.").unwrap_or(name);
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    match plain.contains('.') && name.len() <= 253 && plain.split('.').all(label) {
        true => Ok(()),
        false => Err(invalid(format!("1 validation error detected: '{name}' is not a valid domain name"))),
    }
}

/// Top-level domains nobody can get a public certificate for (RFC 6761 and ICANN's list of special names).
fn is_public(name: &str) -> bool {
    !["example", "internal", "invalid", "local", "localhost", "test"].contains(&name.rsplit('.').next().unwrap_or(name))
}

/// The same for every certificate of a name in an account, and for its wildcard ("DNS validation").
fn record(account: &str, domain: &str) -> (String, String) {
    let domain = domain.strip_prefix("*.").unwrap_or(domain);
    let seed = account.bytes().chain(domain.bytes()).fold(0, |seed, byte| mix(seed ^ u64::from(byte)));
    let digits = |at: u64| format!("_{:016x}{:016x}", mix(seed ^ at), mix(seed ^ (at + 1)));
    (format!("{}.{domain}.", digits(1)), format!("{}.mhbtsbpdnt.acm-validations.aws.", digits(3)))
}

/// A certificate that was read while it was pending goes on.
pub fn go_on(tx: &mut Tx, arn: &str, prepared: bool) {
    match prepared {
        true => tx.schedule(LOOKS_EVERY, Event::Checked(arn.to_owned())),
        false => tx.schedule(PREPARATION, Event::Prepared(arn.to_owned())),
    }
}

pub fn prepared(tx: &mut Tx, arn: &str) {
    let account = tx.scope.account.clone();
    let Some(certificate) = tx.peek_mut::<Certificate>(arn) else { return };
    if !certificate.names.iter().all(|name| is_public(name)) {
        certificate.state = State::Failed;
        return;
    }
    for validation in &mut certificate.validations {
        validation.record = Some(record(&account, &validation.domain));
    }
    tx.schedule(LOOKS_EVERY, Event::Checked(arn.to_owned()));
}

pub fn checked(tx: &mut Tx, arn: &str) {
    let Some(mut certificate) = tx.peek::<Certificate>(arn).cloned() else { return };
    let now = tx.now;
    if certificate.validations.iter().all(|validation| validation.seen) {
        certificate.state = State::Issued;
        certificate.issued = Some(issue(&certificate, now));
    } else if now.duration_since(certificate.created).unsigned_abs() >= GIVES_UP_AFTER {
        certificate.state = State::TimedOut;
    } else {
        for validation in &mut certificate.validations {
            let resolves = |(name, value): &(String, String)| route53::resolves(tx, name, "CNAME", value);
            validation.seen |= validation.record.as_ref().is_some_and(resolves);
        }
        tx.schedule(LOOKS_EVERY, Event::Checked(arn.to_owned()));
    }
    if let Some(row) = tx.peek_mut::<Certificate>(arn) {
        *row = certificate;
    }
}

fn issue(certificate: &Certificate, now: Timestamp) -> Issued {
    // Only RSA keys encrypt other keys.
    let rsa = certificate.key_algorithm.starts_with("RSA");
    let usages = if rsa { vec!["DIGITAL_SIGNATURE", "KEY_ENCIPHERMENT"] } else { vec!["DIGITAL_SIGNATURE"] };
    let extended = [
        ("TLS_WEB_SERVER_AUTHENTICATION", "1.3.6.1.5.5.7.3.1"),
        ("TLS_WEB_CLIENT_AUTHENTICATION", "1.3.6.1.5.5.7.3.2"),
    ];
    let serial = certificate.arn.bytes().fold(0, |seed, byte| mix(seed ^ u64::from(byte))).to_be_bytes();
    Issued {
        at: now,
        not_before: now,
        not_after: now + LIFE,
        serial: serial.map(|byte| format!("{byte:02x}")).join(":"),
        subject: format!("CN={}", certificate.domain),
        issuer: "Amazon".to_owned(),
        signature: certificate::signature_of(&certificate.key_algorithm).to_owned(),
        key_usages: usages.into_iter().map(str::to_owned).collect(),
        extended_key_usages: extended.map(|(name, id)| (name.to_owned(), id.to_owned())).into(),
    }
}
