//! CloudWatch: alarms, which watch metrics of what is simulated, and dashboards. The query protocol, version 2010-08-01, and
//! JSON for newer clients.
//!
//! ```text
//! alarm      the row, and its put, describe, delete      metric     what fleets and load balancers measure
//! evaluate   states over time, and what follows          rule       what composite alarms are made of
//! tag        tags of alarms                              dashboard  dashboards, which belong to the account
//! ```
//!
//! Codes are those of the service model; messages those real accounts are known to send, where they are known. The API
//! reference speaks of no delay until an alarm or a dashboard is found, so there is none.

pub mod alarm;
pub mod dashboard;
mod evaluate;
mod metric;
mod rule;
mod tag;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{AwsError, Reply};
use super::fork::Extent;
use super::read::{Read, Reader, Rows, Token};
use super::select::{self, Paging};
use super::service::{Action, Service, no_secrets};
use super::table::Table;
use super::tags::{self, Tags};
use super::tx::{Resource, Tx, resource};
use super::wire::{Params, Protocol, time};

pub use alarm::Alarm;
pub use dashboard::Dashboard;

pub const SERVICE: Service = Service {
    name: "monitoring",
    protocol: Protocol::Query,
    namespace: "http://monitoring.amazonaws.com/doc/2010-08-01/",
    actions: &[alarm::ACTIONS, tag::ACTIONS, dashboard::ACTIONS],
    sanitise: no_secrets,
};

/// The same for those who ask in JSON: botocore does.
pub const IN_JSON: Service = Service { protocol: Protocol::Json("GraniteServiceVersion20100801"), ..SERVICE };

/// What CloudWatch holds in a region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CloudWatch {
    alarms: Table<Alarm>,
}

/// What it holds for all regions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Everywhere {
    dashboards: Table<Dashboard>,
}

/// What CloudWatch does by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// A period of the alarm of that name and time of creation is over.
    Period { alarm: String, created: Timestamp },
    /// A composite alarm is evaluated: it is new, or its rule is.
    Rule { alarm: String },
}

impl Event {
    pub fn happen(self, tx: &mut Tx) {
        match self {
            Event::Period { alarm, created } => evaluate::period(tx, &alarm, created),
            Event::Rule { alarm } => evaluate::composite(tx, &alarm),
        }
    }
}

impl From<Event> for super::world::Event {
    fn from(event: Event) -> Self {
        super::world::Event::CloudWatch(event)
    }
}

/// The alarms that tell this action of theirs, as Auto Scaling shows them. In a fork, those that are known: nothing is read to
/// show them.
pub fn alarms_telling(tx: &Tx, arn: &str) -> Vec<Value> {
    let tells = |alarm: &&Alarm| {
        ["AlarmActions", "OKActions", "InsufficientDataActions"]
            .iter()
            .any(|list| alarm.definition.strings(list).contains(&arn))
    };
    let telling = Alarm::table(tx).all().filter(tells);
    telling.map(|alarm| json!({ "AlarmName": alarm.name, "AlarmARN": alarm.arn(tx) })).collect()
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationError", message)
}

/// The reply of actions that have no output in the model.
fn done() -> Reply {
    Ok(Value::Null)
}
