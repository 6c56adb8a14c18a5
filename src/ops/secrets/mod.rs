//! Secrets, wherever they are kept.

pub mod secret;

use serde::Serialize;

use super::{Kind, Secret};

/// A secret: the runbook gets it without a handle around it.
#[derive(Debug, Serialize)]
pub struct Kept {
    value: Secret,
}

impl Kind for Kept {
    const KIND: &'static str = "secret";
    const ID: &'static str = "value";
}
