//! The command line as a user sees it: stdout, stderr and exit code.

mod exit_codes;
#[path = "../support/forge.rs"]
mod forge;
mod help;
#[expect(dead_code, reason = "of moto's own environment, these tests use the interpreter")]
#[path = "../support/moto.rs"]
mod moto;
#[path = "../support/project.rs"]
mod project;
mod pull_request;
mod reference;
mod rules;
mod runbooks;
mod settings;
mod usage;
