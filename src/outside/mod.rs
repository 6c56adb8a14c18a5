//! What a runbook does outside AWS: commands of this machine. Requests to other services are in `web`.
//!
//! All of it passes the gate that calls of AWS pass: declared, judged, written down, and only shown in a dry run. That is
//! [`Ctx::outside`](crate::run::Ctx::outside); here is how it is done.

mod command;

use thiserror::Error;

pub use command::{Command, Finished};

/// Why something outside AWS failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Trouble {
    /// Nothing was done, or it was done and went wrong in a way that is known.
    #[error("{message}")]
    Failed { code: &'static str, message: String },
    /// It is not known how far it came.
    #[error("{0}")]
    Unknown(String),
}
