//! What is written in certificates and keys: names, dates, and which key belongs to which certificate.

use jiff::Timestamp;
use thiserror::Error;
use x509_parser::{
    extensions::GeneralName,
    pem::Pem,
    prelude::{FromDer, X509Certificate},
    public_key::PublicKey,
};

/// Why a certificate or a key cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    #[error("it is not a certificate in PEM form")]
    Certificate,
    #[error("it is not an unencrypted RSA or elliptic-curve key in PEM form")]
    Key,
}

/// A certificate, as far as anybody here asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The common name first, then the alternative names, none twice.
    pub names: Vec<String>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub serial: String,
    pub subject: String,
    pub issuer: String,
    /// As ACM names it: `RSA_2048`, `EC_prime256v1`.
    pub key_algorithm: String,
    /// As ACM names them, with the object identifiers of extended ones.
    pub signature_algorithm: String,
    pub key_usages: Vec<String>,
    pub extended_key_usages: Vec<(String, String)>,
    /// The bits of the public key: what [`public_half`] returns for its private key.
    pub public_key: Vec<u8>,
    pub der: Vec<u8>,
}

/// All certificates in a PEM text, in its order.
pub fn certificates(text: &str) -> Result<Vec<Certificate>, Fault> {
    let all: Vec<Certificate> = Pem::iter_from_buffer(text.as_bytes())
        .map(|pem| match pem {
            Ok(pem) if pem.label == "CERTIFICATE" => read(&pem.contents),
            _ => Err(Fault::Certificate),
        })
        .collect::<Result<_, _>>()?;
    if all.is_empty() { Err(Fault::Certificate) } else { Ok(all) }
}

fn read(der: &[u8]) -> Result<Certificate, Fault> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| Fault::Certificate)?;
    let mut names: Vec<String> =
        certificate.subject().iter_common_name().filter_map(|name| Some(name.as_str().ok()?.to_owned())).collect();
    let alternatives = certificate.subject_alternative_name().map_err(|_| Fault::Certificate)?;
    for name in alternatives.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) if !names.iter().any(|known| known == name) => names.push((*name).to_owned()),
            _ => {}
        }
    }
    let time = |seconds| Timestamp::from_second(seconds).map_err(|_| Fault::Certificate);
    let validity = certificate.validity();
    Ok(Certificate {
        names,
        not_before: time(validity.not_before.timestamp())?,
        not_after: time(validity.not_after.timestamp())?,
        serial: certificate.raw_serial_as_string(),
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        key_algorithm: key_algorithm(&certificate)?,
        signature_algorithm: signature_algorithm(&certificate),
        key_usages: key_usages(&certificate)?,
        extended_key_usages: extended_key_usages(&certificate)?,
        public_key: certificate.public_key().subject_public_key.data.to_vec(),
        der: der.to_vec(),
    })
}

fn key_algorithm(certificate: &X509Certificate<'_>) -> Result<String, Fault> {
    let key = certificate.public_key();
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => Ok(format!("RSA_{}", rsa.key_size())),
        Ok(PublicKey::EC(_)) => {
            let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
            let name = match curve.ok_or(Fault::Certificate)?.to_id_string().as_str() {
                "1.2.840.10045.3.1.7" => "EC_prime256v1",
                "1.3.132.0.34" => "EC_secp384r1",
                "1.3.132.0.35" => "EC_secp521r1",
                _ => return Err(Fault::Certificate),
            };
            Ok(name.to_owned())
        }
        _ => Err(Fault::Certificate),
    }
}

fn signature_algorithm(certificate: &X509Certificate<'_>) -> String {
    let id = certificate.signature_algorithm.algorithm.to_id_string();
    let name = match id.as_str() {
        "1.2.840.113549.1.1.5" => "SHA1WITHRSA",
        "1.2.840.113549.1.1.11" => "SHA256WITHRSA",
        "1.2.840.113549.1.1.12" => "SHA384WITHRSA",
        "1.2.840.113549.1.1.13" => "SHA512WITHRSA",
        "1.2.840.10045.4.3.2" => "SHA256WITHECDSA",
        "1.2.840.10045.4.3.3" => "SHA384WITHECDSA",
        "1.2.840.10045.4.3.4" => "SHA512WITHECDSA",
        _ => return id,
    };
    name.to_owned()
}

/// By their bits, RFC 5280, section 4.2.1.3.
fn key_usages(certificate: &X509Certificate<'_>) -> Result<Vec<String>, Fault> {
    const NAMES: [&str; 9] = [
        "DIGITAL_SIGNATURE",
        "NON_REPUDIATION",
        "KEY_ENCIPHERMENT",
        "DATA_ENCIPHERMENT",
        "KEY_AGREEMENT",
        "CERTIFICATE_SIGNING",
        "CRL_SIGNING",
        "ENCIPHER_ONLY",
        "DECIPHER_ONLY",
    ];
    let usage = certificate.key_usage().map_err(|_| Fault::Certificate)?;
    let flags = usage.map_or(0, |usage| usage.value.flags);
    let named = NAMES.iter().enumerate().filter(|(bit, _)| flags & (1 << bit) != 0);
    Ok(named.map(|(_, name)| (*name).to_owned()).collect())
}

fn extended_key_usages(certificate: &X509Certificate<'_>) -> Result<Vec<(String, String)>, Fault> {
    let Some(usage) = certificate.extended_key_usage().map_err(|_| Fault::Certificate)? else { return Ok(Vec::new()) };
    let usage = usage.value;
    let known = [
        (usage.server_auth, "TLS_WEB_SERVER_AUTHENTICATION", "1.3.6.1.5.5.7.3.1"),
        (usage.client_auth, "TLS_WEB_CLIENT_AUTHENTICATION", "1.3.6.1.5.5.7.3.2"),
        (usage.code_signing, "CODE_SIGNING", "1.3.6.1.5.5.7.3.3"),
        (usage.email_protection, "EMAIL_PROTECTION", "1.3.6.1.5.5.7.3.4"),
        (usage.time_stamping, "TIME_STAMPING", "1.3.6.1.5.5.7.3.8"),
        (usage.ocsp_signing, "OCSP_SIGNING", "1.3.6.1.5.5.7.3.9"),
        (usage.any, "ANY", "2.5.29.37.0"),
    ];
    let known = known.into_iter().filter(|(has, ..)| *has).map(|(_, name, id)| (name.to_owned(), id.to_owned()));
    let others = usage.other.iter().map(|id| ("CUSTOM".to_owned(), id.to_id_string()));
    Ok(known.chain(others).collect())
}

/// The bits of the public key that belong to a private key in PEM form: PKCS #8, or as OpenSSL wrote keys before.
pub fn public_half(text: &str) -> Result<Vec<u8>, Fault> {
    let pem = Pem::iter_from_buffer(text.as_bytes()).next().and_then(Result::ok).ok_or(Fault::Key)?;
    let half = match pem.label.as_str() {
        "PRIVATE KEY" => of_pkcs8(&pem.contents),
        "RSA PRIVATE KEY" => of_rsa(&pem.contents),
        "EC PRIVATE KEY" => of_ec(&pem.contents),
        _ => None,
    };
    half.ok_or(Fault::Key)
}

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// `SEQUENCE { version, algorithm, OCTET STRING { the key } }`, RFC 5208.
fn of_pkcs8(der: &[u8]) -> Option<Vec<u8>> {
    let mut fields = Fields(inside(der, SEQUENCE)?);
    fields.next(INTEGER)?;
    fields.next(SEQUENCE)?;
    let key = fields.next(OCTET_STRING)?.content;
    of_rsa(key).or_else(|| of_ec(key))
}

/// `SEQUENCE { version, modulus, public exponent, … }`, RFC 8017; the public key is `SEQUENCE { modulus, exponent }`.
fn of_rsa(der: &[u8]) -> Option<Vec<u8>> {
    let mut fields = Fields(inside(der, SEQUENCE)?);
    fields.next(INTEGER)?;
    let content = [fields.next(INTEGER)?.whole, fields.next(INTEGER)?.whole].concat();
    let length = content.len();
    let mut public = vec![SEQUENCE];
    match u8::try_from(length) {
        Ok(short @ ..0x80) => public.push(short),
        _ => public.extend([0x82, u8::try_from(length >> 8).ok()?, (length & 0xff) as u8]),
    }
    public.extend(content);
    Some(public)
}

/// `SEQUENCE { version, OCTET STRING, [0] curve, [1] BIT STRING { public key } }`, RFC 5915.
fn of_ec(der: &[u8]) -> Option<Vec<u8>> {
    const CURVE: u8 = 0xa0;
    const PUBLIC: u8 = 0xa1;
    let mut fields = Fields(inside(der, SEQUENCE)?);
    fields.next(INTEGER)?;
    fields.next(OCTET_STRING)?;
    let _ = fields.next(CURVE);
    let bits = inside(fields.next(PUBLIC)?.content, 0x03)?;
    // The first byte of a bit string counts unused bits.
    Some(bits.split_first()?.1.to_vec())
}

/// The fields of a DER structure, one after the other.
struct Fields<'d>(&'d [u8]);

struct Field<'d> {
    content: &'d [u8],
    whole: &'d [u8],
}

impl<'d> Fields<'d> {
    /// The next field, if it has this tag.
    fn next(&mut self, tag: u8) -> Option<Field<'d>> {
        let (&found, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            short @ ..0x80 => (usize::from(short), rest),
            long => {
                let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                (digits.iter().try_fold(0usize, |sum, digit| sum.checked_mul(256)?.checked_add((*digit).into()))?, rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - rest.len()];
        (found == tag).then(|| {
            self.0 = rest;
            Field { content, whole }
        })
    }
}

fn inside(der: &[u8], tag: u8) -> Option<&[u8]> {
    Some(Fields(der).next(tag)?.content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_and_its_key_belong_together() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params =
            rcgen::CertificateParams::new(["shop.example.com".to_owned(), "*.example.com".to_owned()]).expect("names");
        params.distinguished_name.push(rcgen::DnType::CommonName, "shop.example.com");
        let certificate = params.self_signed(&key).expect("a certificate");
        let [read] = &certificates(&certificate.pem()).expect("readable")[..] else { panic!("one certificate") };
        assert_eq!(read.names, ["shop.example.com", "*.example.com"]);
        assert_eq!(read.key_algorithm, "EC_prime256v1");
        assert_eq!(public_half(&key.serialize_pem()), Ok(read.public_key.clone()));
        let other = rcgen::KeyPair::generate().expect("a key");
        assert_ne!(public_half(&other.serialize_pem()), Ok(read.public_key.clone()));
    }

    #[test]
    fn rsa_keys_in_both_forms() {
        let (pkcs8, pkcs1, certificate) = (
            include_str!("../tests/support/rsa.pkcs8.pem"),
            include_str!("../tests/support/rsa.pkcs1.pem"),
            include_str!("../tests/support/rsa.certificate.pem"),
        );
        let certificate = certificates(certificate).expect("readable").remove(0);
        assert_eq!(certificate.key_algorithm, "RSA_2048");
        assert_eq!(public_half(pkcs8), Ok(certificate.public_key.clone()));
        assert_eq!(public_half(pkcs1), Ok(certificate.public_key));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert_eq!(certificates("nothing"), Err(Fault::Certificate));
        assert_eq!(public_half("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"), Err(Fault::Key));
        assert_eq!(public_half("nothing"), Err(Fault::Key));
    }
}
