//! The bridge between runbooks and operations, and the only place that knows both.
//!
//! `bind` registers the operations of the catalogue, `control` the words that are none: stages,
//! branches, parameters. `convert` carries values across, `options` finds the words for what is
//! wrong with them, `handle` and `secret` are the values a runbook gets back; `budget` counts what
//! it asks for. `docs` writes the reference from the same descriptions, `check` judges by them what a
//! runbook would do. `host` puts it all together for one run.

mod bind;
mod budget;
pub mod check;
pub mod control;
mod convert;
pub mod docs;
mod failure;
mod handle;
mod host;
mod json;
mod options;
mod secret;
mod session;
pub mod stdlib;
mod strand;

pub use control::{CONTROLS, ControlDoc, ControlOptions};
pub use handle::Handle;
pub use host::{
    FailureKind, Host, Inputs, ScriptFailure, declared_environment, load, may_be_secret, may_launch, read_modules,
    stored, vocabulary,
};
pub use secret::Secret;
