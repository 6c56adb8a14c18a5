//! The shipped runbooks, as a user runs them.

#[path = "../support/project.rs"]
mod project;
mod simulated;
