//! The command line as a user sees it: stdout, stderr and exit code.

#[path = "../support/chromium.rs"]
mod chromium;
mod exit_codes;
mod help;
mod html;
mod planning;
#[path = "../support/project.rs"]
mod project;
mod reference;
mod rules;
mod runbooks;
mod settings;
mod usage;

// The samples in `src/` call it by the same name.
use runner::plan;
