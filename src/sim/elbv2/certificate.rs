//! Certificates of listeners: the default one, and more for other names.

use super::*;
use crate::sim::acm;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "AddListenerCertificates",
        params: &["ListenerArn Certificates[].CertificateArn"],
        run: add_listener_certificates,
    },
    Action {
        name: "RemoveListenerCertificates",
        params: &["ListenerArn Certificates[].CertificateArn"],
        run: remove_listener_certificates,
    },
    Action {
        name: "DescribeListenerCertificates",
        params: &["ListenerArn", PAGES],
        run: describe_listener_certificates,
    },
];

/// Whether listeners have it: certificates in use are not deleted.
pub fn used_by(tx: &Tx, arn: &str) -> Vec<String> {
    let uses = |listener: &&Listener| {
        listener.certificate.as_deref() == Some(arn) || listener.more_certificates.iter().any(|more| more == arn)
    };
    tx.all::<Listener>().filter(uses).map(|listener| listener.load_balancer.clone()).collect()
}

/// It must be of this account and, for ACM, of this region, and issued. Server certificates of IAM are not modelled.
pub fn check(tx: &Tx, arn: &str) -> Result<(), AwsError> {
    match acm::is_issued(tx, arn) {
        Some(true) => Ok(()),
        Some(false) => {
            let message = format!(
                "The certificate '{arn}' must have a fully-qualified domain name, a supported signature, and a \
                 supported key size."
            );
            Err(AwsError::new("UnsupportedCertificate", message))
        }
        None => Err(AwsError::new("CertificateNotFound", format!("Certificate '{arn}' not found"))),
    }
}

/// The one certificate that creating and modifying a listener take.
pub fn only(tx: &Tx, p: &Params) -> Result<Option<String>, AwsError> {
    match &p.list("Certificates")[..] {
        [] => Ok(None),
        [one] => {
            let arn = one.str("CertificateArn")?;
            check(tx, arn)?;
            Ok(Some(arn.to_owned()))
        }
        _ => {
            Err(AwsError::new("ValidationError", "Up to '1' certificate can be specified, use AddListenerCertificates"))
        }
    }
}

fn named(p: &Params) -> Result<Vec<String>, AwsError> {
    p.list("Certificates").iter().map(|one| one.str("CertificateArn").map(str::to_owned)).collect()
}

fn add_listener_certificates(tx: &mut Tx, p: &Params) -> Reply {
    let arns = named(p)?;
    arns.iter().try_for_each(|arn| check(tx, arn))?;
    let listener = tx.get_mut::<Listener>(p.str("ListenerArn")?)?;
    if !listener.is_secure() {
        let message = format!("A certificate cannot be specified for {} listeners", listener.protocol);
        return Err(AwsError::new("ValidationError", message));
    }
    for arn in &arns {
        // "If the default certificate is also in the certificate list, it appears twice" when they are described.
        if !listener.more_certificates.contains(arn) {
            listener.more_certificates.push(arn.clone());
        }
    }
    // Quota: 25 certificates per load balancer, default certificates aside.
    if listener.more_certificates.len() > 25 {
        return Err(AwsError::new("TooManyCertificates", "The maximum number of certificates has been reached"));
    }
    let shown: Vec<Value> = arns.iter().map(|arn| json!({ "CertificateArn": arn, "IsDefault": false })).collect();
    Ok(json!({ "Certificates": shown }))
}

fn remove_listener_certificates(tx: &mut Tx, p: &Params) -> Reply {
    let arns = named(p)?;
    let listener = tx.get_mut::<Listener>(p.str("ListenerArn")?)?;
    let is_only_default =
        |arn: &&String| listener.certificate.as_ref() == Some(*arn) && !listener.more_certificates.contains(arn);
    if let Some(default) = arns.iter().find(is_only_default) {
        let message = format!("Default certificate '{default}' cannot be removed");
        return Err(AwsError::new("OperationNotPermitted", message));
    }
    listener.more_certificates.retain(|arn| !arns.contains(arn));
    Ok(json!({}))
}

fn describe_listener_certificates(tx: &mut Tx, p: &Params) -> Reply {
    let listener = tx.get::<Listener>(p.str("ListenerArn")?)?;
    let default = listener.certificate.iter().map(|arn| (arn, true));
    let all = default.chain(listener.more_certificates.iter().map(|arn| (arn, false)));
    let rows =
        all.map(|(arn, default)| (format!("{arn} {default}"), json!({ "CertificateArn": arn, "IsDefault": default })));
    pages(p, "Certificates", rows.collect(), |row| row)
}
