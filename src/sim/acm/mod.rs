//! ACM: certificates, imported or requested. It belongs to a region.
//!
//! Codes are those of the API reference; messages those real accounts are known to send where they are known. A private
//! key never gets further than [`sanitise`]: from there on its public half stands for it, also in the log.

pub mod certificate;
mod import;
mod request;

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::elbv2;
use super::error::{AwsError, Reply};
use super::fork::Extent;
use super::read::{Read, Reader, Rows};
use super::route53;
use super::select::{self, Paging};
use super::service::{Action, Service};
use super::table::{Table, mix};
use super::tags::{self, Tags};
use super::tx::{Tx, resource};
use super::wire::{Params, Protocol, Request, epoch};
use crate::x509;

pub use certificate::{Certificate, believed};

pub const SERVICE: Service = Service {
    name: "acm",
    protocol: Protocol::Json("CertificateManager"),
    namespace: "",
    actions: &[certificate::ACTIONS, import::ACTIONS, request::ACTIONS],
    sanitise,
};

/// What ACM holds in a region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Acm {
    certificates: Table<Certificate>,
}

/// What ACM does by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// The validation records of a requested certificate are decided.
    Prepared(String),
    /// It is looked whether they resolve.
    Checked(String),
}

impl Event {
    pub fn happen(self, tx: &mut Tx) {
        match self {
            Event::Prepared(arn) => request::prepared(tx, &arn),
            Event::Checked(arn) => request::checked(tx, &arn),
        }
    }
}

impl From<Event> for super::world::Event {
    fn from(event: Event) -> Self {
        super::world::Event::Acm(event)
    }
}

/// The ARNs of the load balancers that use a certificate: it cannot be deleted meanwhile.
fn in_use_by(tx: &Tx, certificate: &Certificate) -> Vec<String> {
    let mut users = elbv2::users_of_certificate(tx, &certificate.arn);
    // Of what was not read itself, the account's word stands.
    users.extend(certificate.held_by.iter().filter(|by| !tx.is_known::<elbv2::LoadBalancer>(by)).cloned());
    users
}

/// Whether a certificate is issued, so that a listener may have it; `None` if there is none.
pub fn is_issued(tx: &Tx, arn: &str) -> Option<bool> {
    Some(tx.get::<Certificate>(arn).ok()?.status(tx.now) == "ISSUED")
}

/// Stands for a key that cannot be read.
const UNREADABLE: &str = "unreadable";

/// Puts its public half in the place of a private key.
fn sanitise(request: &mut Request) {
    let Some(key) = request.params.0.get_mut("PrivateKey") else { return };
    let text = key.as_str().and_then(|key| decoded(key).ok());
    let half = text.and_then(|text| x509::public_half(&text).ok());
    *key = json!(half.map_or(UNREADABLE.to_owned(), |half| BASE64_STANDARD.encode(half)));
}

/// The text in a blob.
fn decoded(blob: &str) -> Result<String, AwsError> {
    let bytes = BASE64_STANDARD.decode(blob).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| AwsError::new("SerializationException", "a blob is not base64 of text"))
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationException", message)
}

/// Refuses what is none of an enumeration.
fn among(path: &str, value: &str, known: &[&str]) -> Result<(), AwsError> {
    match known.contains(&value) {
        true => Ok(()),
        false => Err(AwsError::outside_enum("ValidationException", path, value, known)),
    }
}

/// Both limits of a certificate's tags. "You cannot specify a tag value that begins with aws:", nor such a key.
fn add_tags(tags: &mut Tags, p: &Params) -> Result<(), AwsError> {
    let list = p.list("Tags");
    let reserved = |tag: &Params| ["Key", "Value"].iter().any(|part| tag.text(part).starts_with("aws:"));
    if list.iter().any(reserved) {
        let message = "Tag keys and values that begin with aws: are reserved.";
        return Err(AwsError::new("InvalidTagException", message));
    }
    tags.extend(tags::read(&list)?);
    if tags.len() > 50 {
        return Err(AwsError::new("TooManyTagsException", "A certificate can have at most 50 tags."));
    }
    Ok(())
}

/// `arn:aws:acm:REGION:ACCOUNT:certificate/UUID`
fn new_arn(tx: &mut Tx) -> String {
    let uuid = uuid_of(&tx.new_id("certificate"));
    tx.arn("acm", &format!("certificate/{uuid}"))
}

/// What the id of a certificate is written as.
pub fn uuid_of(id: &str) -> String {
    let [high, low] = [0, 1].map(|half| id.bytes().fold(half, |seed: u64, byte| mix(seed ^ u64::from(byte))));
    let (time, version, variant) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
    format!("{time:08x}-{version:04x}-4{variant:03x}-8{:03x}-{:012x}", low >> 52, low & 0xffff_ffff_ffff)
}
