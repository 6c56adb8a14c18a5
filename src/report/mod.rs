//! Views of a run: each consumes the events of [`crate::event`] and nothing else.
//!
//! Progress goes to stderr, results go to stdout, so `runner run … > result` keeps what matters.
//! Why a run failed is explained by `cli/`, which has the source; the views say what happened.

mod account;
mod changed;
mod json;
pub mod lines;
mod live;
mod look;
pub mod plan;
#[cfg(test)]
mod sample;
mod summary;
mod terminal;
mod words;

pub use account::Account;
pub use json::Json;
pub use live::Live;
pub use look::{Ink, Look};
pub use terminal::{Terminal, Verbosity};
pub use words::{count, friendly, plural, value};
