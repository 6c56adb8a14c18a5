//! Certificates made here. The key lives in this process until it is imported, and is written down nowhere.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

use super::import::Pems;
use crate::ops::Error;

/// The longest common name (RFC 5280, ub-common-name). Alternative names may be longer.
const COMMON_NAME: usize = 64;

/// A new key, and a certificate for `names` that it signs itself.
pub fn make(names: &[String], key_algorithm: &str, now: Timestamp, not_after: Timestamp) -> Result<Pems, Error> {
    let fault = |error: rcgen::Error| Error::option("domain_name", format!("no certificate can be made: {error}"));
    let algorithm = match key_algorithm {
        "EC_secp384r1" => &rcgen::PKCS_ECDSA_P384_SHA384,
        _ => &rcgen::PKCS_ECDSA_P256_SHA256,
    };
    let mut params = CertificateParams::new(names).map_err(fault)?;
    params.distinguished_name = DistinguishedName::new();
    if let Some(domain) = names.first().filter(|domain| domain.len() <= COMMON_NAME) {
        params.distinguished_name.push(DnType::CommonName, domain.as_str());
    }
    let at = |time: Timestamp| {
        let seconds = u64::try_from(time.as_second()).unwrap_or_default();
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    // Clocks differ.
    params.not_before = at(now - Duration::from_secs(3600));
    params.not_after = at(not_after);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate_for(algorithm).map_err(fault)?;
    let certificate = params.self_signed(&key).map_err(fault)?;
    Ok(Pems { certificate: certificate.pem(), private_key: key.serialize_pem(), chain: None })
}
