//! The command line as a user sees it: stdout, stderr and exit code.

mod help;
#[path = "../support/project.rs"]
mod project;
mod settings;
mod usage;
