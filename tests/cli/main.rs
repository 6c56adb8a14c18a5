//! The command line as a user sees it: stdout, stderr and exit code.

mod check;
mod exit_codes;
mod help;
#[path = "../support/project.rs"]
mod project;
mod reference;
mod rules;
mod runbooks;
mod settings;
mod usage;
