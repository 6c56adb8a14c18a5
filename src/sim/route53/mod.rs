//! Route 53: hosted zones, the record sets in them, the changes on their way to the name servers, and health checks.
//!
//! It belongs to the account, not to a region. Element names are those of the service model, codes those of the API
//! reference; messages those real accounts are known to send.

mod change;
pub mod checker;
pub mod health_check;
mod name;
mod record;
mod routes;
mod tag;
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
pub use checker::Watch;
pub use health_check::HealthCheck;
use health_check::Retired;
use zone::Lead;
pub use zone::Zone;

pub const SERVICE: Service = Service {
    name: "route53",
    protocol: Protocol::RestXml(routes::ROUTES),
    namespace: "https://route53.amazonaws.com/doc/2013-04-01/",
    actions: &[zone::ACTIONS, tag::ACTIONS, record::ACTIONS, change::ACTIONS, health_check::ACTIONS, checker::ACTIONS],
    sanitise: no_secrets,
};

/// What Route 53 holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Route53 {
    hosted_zones: Table<Zone>,
    changes: Table<Change>,
    health_checks: Table<HealthCheck>,
    health_check_watches: Table<Watch>,
    retired_references: Table<Retired>,
}

/// What Route 53 does by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// A change has reached all name servers.
    Propagated(String),
    /// A change is no longer shown.
    Forgotten(String),
    /// The checkers of a health check have looked.
    HealthChecked(String),
    /// The caller reference of a deleted health check may be used again.
    ReferenceForgotten(String),
}

impl Event {
    pub fn happen(self, tx: &mut Tx) {
        match self {
            Event::Propagated(id) => change::propagated(tx, &id),
            Event::Forgotten(id) => tx.delete::<Change>(&id),
            Event::HealthChecked(id) => checker::checked(tx, &id),
            Event::ReferenceForgotten(reference) => tx.delete::<Retired>(&reference),
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

/// Where the world's resolvers are led by `name`: the name that an alias or a CNAME points at, or an address. Of weighted records
/// one that may be answered is taken, by the moment.
pub fn leads_to(tx: &Tx, name: &str) -> Option<String> {
    let name = name::normal(name);
    let around = |zone: &&Zone| !zone.private && name::is_in(&name, &zone.name) && is_delegated(&zone.name);
    // Lists do not show the records. The zone that is nearest to the name answers.
    let zones = tx.all::<Zone>().filter(around).filter_map(|zone| tx.peek::<Zone>(&zone.id));
    let leads = may_be_answered(tx, zones.max_by_key(|zone| zone.name.len())?.leads(&name));
    visit::drawn(tx, &leads, |lead| lead.weight).map(|lead| lead.to.trim_end_matches('.').to_owned())
}

/// The records of a name among which Route 53 chooses, with weights: "How Amazon Route 53 chooses records when health checking
/// is configured".
fn may_be_answered<'r>(tx: &Tx, leads: Vec<Lead<'r>>) -> Vec<Lead<'r>> {
    // Without a health check, a record is always healthy.
    let is_healthy = |lead: &Lead<'_>| lead.health_check.is_none_or(|id| checker::is_healthy(tx, id));
    let (healthy, others): (Vec<_>, Vec<_>) = leads.into_iter().partition(is_healthy);
    // "If no record is healthy, all records are considered to be healthy."
    let mut leads = if healthy.is_empty() { others } else { healthy };
    // "Route 53 initially considers only the nonzero weighted records, if any"; those with a weight of zero are alike.
    if leads.iter().any(|lead| lead.weight > 0) {
        leads.retain(|lead| lead.weight > 0);
    } else {
        leads.iter_mut().for_each(|lead| lead.weight = 1);
    }
    leads
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
