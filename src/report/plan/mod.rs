//! A plan as a reader wants it: text for a terminal, Markdown for a pull request, JSON for programs, HTML for a browser.
//!
//! Pure functions from [`Plan`] to a string. What all forms say in the same words is in `facts.rs`; each form escapes
//! what comes from the plan in its own way, since names and messages are somebody else's text.

mod facts;
mod html;
mod json;
mod markdown;
#[cfg(test)]
mod random;
#[cfg(test)]
mod sample;
mod svg;
mod text;

use clap::ValueEnum;

use super::Look;
use crate::plan::Plan;

pub use html::page;
pub use json::schema;
pub use markdown::escape;

/// What a plan is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Format {
    /// For a terminal
    #[default]
    Text,
    /// For a comment on a pull request: at most 60,000 characters
    Markdown,
    /// For programs: see docs/plan.schema.json
    Json,
    /// For a browser: one file, with a picture of the run
    Html,
}

/// How much of a plan is written. JSON always has all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Detail {
    /// The verdict, what is destructive, figures, and a line for each stage
    Summary,
    /// What changes, waits and shifts traffic, with the fields that change
    #[default]
    Changes,
    /// Everything: what is only read, each request, each undo
    Full,
}

/// The plan in a form. Only text has looks.
pub fn write(plan: &Plan, format: Format, detail: Detail, look: &Look) -> String {
    match format {
        Format::Text => text::write(plan, detail, look),
        Format::Markdown => markdown::write(plan, detail),
        Format::Json => json::write(plan),
        Format::Html => html::write(plan, detail),
    }
}

/// The name of the file a form is written to.
pub fn file_name(format: Format) -> &'static str {
    match format {
        Format::Text => "plan.txt",
        Format::Markdown => "plan.md",
        Format::Json => "plan.json",
        Format::Html => "plan.html",
    }
}
