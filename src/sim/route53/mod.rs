//! Route 53: hosted zones, the record sets in them, and the changes on their way to the name servers.
//!
//! It belongs to the account, not to a region. Element names are those of the service model, codes those of the API
//! reference; messages those real accounts are known to send.

mod change;
mod name;
mod record;
mod routes;
pub mod zone;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{AwsError, Reply};
use super::fork::Extent;
use super::read::{Read, Reader, Rows};
use super::service::{Action, Service, no_secrets};
use super::table::Table;
use super::tags::{self, Tags};
use super::tx::{Tx, resource};
use super::visit;
use super::wire::{Params, Protocol, time};

use change::Change;
pub use zone::Zone;

pub const SERVICE: Service = Service {
    name: "route53",
    protocol: Protocol::RestXml(routes::ROUTES),
    namespace: "https://route53.amazonaws.com/doc/2013-04-01/",
    actions: &[zone::ACTIONS, zone::TAG_ACTIONS, record::ACTIONS, change::ACTIONS],
    sanitise: no_secrets,
};

/// What Route 53 holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Route53 {
    hosted_zones: Table<Zone>,
    changes: Table<Change>,
}

/// What Route 53 does by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// A change has reached all name servers.
    Propagated(String),
    /// A change is no longer shown.
    Forgotten(String),
}

impl Event {
    pub fn happen(self, tx: &mut Tx) {
        match self {
            Event::Propagated(id) => change::propagated(tx, &id),
            Event::Forgotten(id) => tx.delete::<Change>(&id),
        }
    }
}

impl From<Event> for super::world::Event {
    fn from(event: Event) -> Self {
        super::world::Event::Route53(event)
    }
}

/// Whether the world's resolvers find `name` with this type and value: it stands in a public zone of the account that
/// is delegated. Every zone is, except those with a label `undelegated` and those under `.invalid`.
pub fn resolves(tx: &Tx, name: &str, kind: &str, value: &str) -> bool {
    let around =
        |zone: &&Zone| !zone.private && name::is_in(&name::normal(name), &zone.name) && is_delegated(&zone.name);
    // Lists do not show the records.
    let mut zones = tx.all::<Zone>().filter(around).filter_map(|zone| tx.peek::<Zone>(&zone.id));
    zones.any(|zone| zone.says(name, kind, value))
}

/// Where the world's resolvers are led by `name`: the name that an alias or a CNAME points at. Of weighted records one with
/// weight is taken, by the moment.
pub fn leads_to(tx: &Tx, name: &str) -> Option<String> {
    let name = name::normal(name);
    let around = |zone: &&Zone| !zone.private && name::is_in(&name, &zone.name) && is_delegated(&zone.name);
    // Lists do not show the records. The zone that is nearest to the name answers.
    let zones = tx.all::<Zone>().filter(around).filter_map(|zone| tx.peek::<Zone>(&zone.id));
    let records = zones.max_by_key(|zone| zone.name.len())?.records_of(&name);
    visit::drawn(tx, &records, |(weight, _)| *weight).map(|(_, leads_to)| leads_to.trim_end_matches('.').to_owned())
}

fn is_delegated(zone: &str) -> bool {
    !zone.ends_with(".invalid.") && !zone.split('.').any(|label| label == "undelegated")
}

fn invalid_input(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidInput", message)
}

/// How many rows a page may have. More than the most is taken for the most.
fn page_size(p: &Params, most: usize) -> Result<usize, AwsError> {
    match p.opt_int("MaxItems")? {
        None => Ok(most),
        Some(size @ 1..) => Ok(most.min(usize::try_from(size).unwrap_or(most))),
        Some(size) => Err(invalid_input(format!("maxitems must be at least 1, found {size}"))),
    }
}

/// `Z0123456789ABCDEF…`
fn new_id(tx: &mut Tx, prefix: &str) -> String {
    tx.new_id(prefix).replace('-', "").to_uppercase()
}
