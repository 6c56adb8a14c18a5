//! Instances, and the service that runs on each.

use super::*;

/// What the service on an instance answers to a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    /// There is no running instance of that id: the connection fails.
    Absent,
    /// The instance runs, the service does not listen yet.
    Booting,
    /// The service answers well.
    Healthy,
    /// The service answers with errors.
    Unhealthy,
}

/// What the service on the instance answers at `tx.now`.
pub fn app(_tx: &Tx, _instance_id: &str) -> App {
    App::Absent
}
