//! Systems Manager: parameters and commands. It belongs to a region.

mod command;
pub mod parameter;
pub mod public;
mod shell;
mod tag;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{AwsError, Reply};
use super::fork::Extent;
use super::read::{Read, Reader, Rows};
use super::select::{self, Paging};
use super::service::{Action, Service, no_secrets};
use super::table::Table;
use super::tags::{self, Tags};
use super::tx::{Resource as _, Tx, resource};
use super::wire::{Params, Protocol, epoch};

pub use command::{Command, Event};
pub use parameter::Parameter;
pub use public::is_of_others;

pub const SERVICE: Service = Service {
    name: "ssm",
    protocol: Protocol::Json("AmazonSSM"),
    namespace: "",
    actions: &[parameter::ACTIONS, tag::ACTIONS, command::ACTIONS],
    // A secure value is what the simulated AWS has to give back: it is masked where requests are shown.
    sanitise: no_secrets,
};

/// What Systems Manager holds in a region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ssm {
    parameters: Table<Parameter>,
    commands: Table<Command>,
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
