//! The command line as a user sees it: stdout, stderr and exit code.

mod help;
mod settings;
#[path = "../support/mod.rs"]
mod support;
mod usage;
