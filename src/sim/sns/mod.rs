//! SNS: topics and who is told of what is published. The query protocol, version 2010-03-31.
//!
//! Codes are those of the service model; messages those real accounts are known to send. The API reference speaks of no
//! delay until a topic is found, so there is none. Nothing is published here: nobody is told.

pub mod subscription;
pub mod topic;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{AwsError, Reply};
use super::fork::Extent;
use super::read::{Read, Reader, Rows, Token};
use super::select::{self, Paging};
use super::service::{Action, Service, no_secrets};
use super::table::Table;
use super::tags::{self, Tags};
use super::tx::{Tx, resource};
use super::wire::{Params, Protocol};

pub use subscription::Subscription;
pub use topic::Topic;

pub const SERVICE: Service = Service {
    name: "sns",
    protocol: Protocol::Query,
    namespace: "http://sns.amazonaws.com/doc/2010-03-31/",
    actions: &[topic::ACTIONS, subscription::ACTIONS],
    sanitise: no_secrets,
};

/// What SNS holds in a region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sns {
    topics: Table<Topic>,
    subscriptions: Table<Subscription>,
}

/// What SNS does by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// Nobody has confirmed a subscription in time.
    Expired(String),
}

impl Event {
    pub fn happen(self, tx: &mut Tx) {
        match self {
            Event::Expired(arn) => subscription::expired(tx, &arn),
        }
    }
}

impl From<Event> for super::world::Event {
    fn from(event: Event) -> Self {
        super::world::Event::Sns(event)
    }
}

const TOKEN: Token = ("NextToken", "NextToken");

/// "Each call returns a limited list […], up to 100": no request says how many.
const PAGING: Paging =
    Paging { size: "", token: "NextToken", default: 100, sizes: 1..=100, invalid_token: "InvalidParameter" };

fn invalid(message: impl AsRef<str>) -> AwsError {
    AwsError::new("InvalidParameter", format!("Invalid parameter: {}", message.as_ref()))
}

fn missing(parameter: &str) -> impl FnOnce(AwsError) -> AwsError + use<'_> {
    move |_| invalid(parameter)
}

fn not_found(what: &str) -> AwsError {
    AwsError::new("NotFound", format!("{what} does not exist")).status(404)
}

/// A map of a request or a reply.
fn map(p: &Params, name: &str) -> Tags {
    p.map(name, "key", "value")
}

/// A map as replies write it.
fn entries(map: &Tags) -> Value {
    tags::write(map, "key", "value")
}
