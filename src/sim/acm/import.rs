//! Imports: the certificate is read, its key must belong to it; again under the same ARN it replaces what was there.

use super::certificate::{Issued, State};
use super::*;

pub const ACTIONS: &[Action] = &[Action {
    name: "ImportCertificate",
    params: &["CertificateArn Certificate PrivateKey CertificateChain Tags[].Key Tags[].Value"],
    run: import_certificate,
}];

fn import_certificate(tx: &mut Tx, p: &Params) -> Reply {
    let body = decoded(p.str("Certificate")?)?;
    let chain = p.opt_str("CertificateChain").map(decoded).transpose()?;
    let read = check(tx, &body, chain.as_deref(), p.str("PrivateKey")?)?;
    let Some(domain) = read.names.first().cloned() else {
        return Err(invalid("The certificate has neither a common name nor a DNS name."));
    };
    let issued = Issued {
        at: tx.now,
        not_before: read.not_before,
        not_after: read.not_after,
        serial: read.serial,
        subject: read.subject,
        issuer: read.issuer,
        signature: read.signature_algorithm,
        key_usages: read.key_usages,
        extended_key_usages: read.extended_key_usages,
    };
    let imported = Some(tx.now);
    if let Some(arn) = p.opt_str("CertificateArn") {
        let certificate = tx.get_mut::<Certificate>(arn)?;
        again(certificate, &read.key_algorithm, p)?;
        *certificate = Certificate {
            domain,
            names: read.names,
            imported,
            issued: Some(issued),
            body: Some(body),
            chain,
            ..certificate.clone()
        };
        return Ok(json!({ "CertificateArn": arn }));
    }
    let mut certificate = Certificate {
        arn: new_arn(tx),
        domain,
        names: read.names,
        state: State::Issued,
        created: tx.now,
        imported,
        key_algorithm: read.key_algorithm,
        issued: Some(issued),
        body: Some(body),
        chain,
        validations: Vec::new(),
        transparency: false,
        authority: None,
        held_by: Vec::new(),
        tags: Tags::new(),
    };
    add_tags(&mut certificate.tags, p)?;
    let arn = certificate.arn.clone();
    tx.put(certificate);
    Ok(json!({ "CertificateArn": arn }))
}

/// "Reimport a certificate": the key's type and size stay, and tags are not given again.
fn again(certificate: &Certificate, key_algorithm: &str, p: &Params) -> Result<(), AwsError> {
    if certificate.imported.is_none() {
        return Err(invalid("Only imported certificates can be reimported."));
    }
    if p.has("Tags") {
        return Err(AwsError::new("InvalidParameterException", "Tags are not permitted on reimport."));
    }
    if certificate.key_algorithm != key_algorithm {
        let message = format!("The key type cannot be changed from {} to {key_algorithm}.", certificate.key_algorithm);
        return Err(invalid(message));
    }
    Ok(())
}

fn check(tx: &Tx, body: &str, chain: Option<&str>, public_half: &str) -> Result<x509::Certificate, AwsError> {
    const NO_PEM: &str = "The certificate body/chain provided is not in a valid PEM format.";
    let mut bodies = x509::certificates(body).map_err(|_| invalid(NO_PEM))?;
    let read = bodies.swap_remove(0);
    if !bodies.is_empty() {
        let message = "The certificate field contains more than one certificate. You can specify only one certificate \
                       in this field.";
        return Err(invalid(message));
    }
    // "Prerequisites for importing certificates".
    if !certificate::KEY_TYPES.contains(&read.key_algorithm.as_str()) {
        return Err(invalid("The certificate's key algorithm is not supported."));
    }
    if public_half == UNREADABLE {
        return Err(invalid("The private key is not supported. It must be unencrypted and in PEM format."));
    }
    if public_half != BASE64_STANDARD.encode(&read.public_key) {
        return Err(invalid("The certificate and the private key do not match."));
    }
    if tx.now >= read.not_after {
        return Err(invalid("The certificate has expired."));
    }
    if tx.now < read.not_before {
        return Err(invalid("The certificate is not valid yet."));
    }
    match chain.map(x509::certificates) {
        None if read.issuer != read.subject => {
            let message = "Provided certificate is not a valid self signed. Please provide either a valid self-signed \
                           certificate or certificate chain.";
            Err(invalid(message))
        }
        Some(Err(_)) => Err(invalid(NO_PEM)),
        Some(Ok(chain)) if chain.first().is_none_or(|signer| signer.subject != read.issuer) => {
            let message = "Unable to validate certificate chain. The certificate chain must start with the immediate \
                           signing certificate, followed by any intermediaries in order.";
            Err(invalid(message))
        }
        None | Some(Ok(_)) => Ok(read),
    }
}
