//! The command line as a user sees it: stdout, stderr and exit code.

mod exit_codes;
mod help;
mod policy;
#[path = "../support/project.rs"]
mod project;
mod reference;
mod rules;
mod runbooks;
mod settings;
mod usage;
