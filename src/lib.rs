//! `runner` executes Rhai runbooks that change AWS.
//!
//! ```text
//! words typed      settings         script              operation            journal + transport        AWS
//! cli/  ────────►  settings/ ────►  script/ + api/ ──►  ops/  ───────────►   run/  +  aws/  ─────────►  aws | sim/
//!                                                         │ events
//!                                                         └──────────────► report/
//! ```

pub mod api;
pub mod aws;
pub mod cli;
pub mod clock;
pub mod event;
mod memory;
pub mod ops;
pub mod outside;
pub mod plan;
pub mod policy;
mod private;
pub mod redact;
pub mod report;
pub mod run;
pub mod script;
pub mod serve;
pub mod settings;
pub mod sim;
pub mod web;
mod wildcard;
mod x509;
