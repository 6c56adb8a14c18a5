//! Finds what is wrong with a script, and with all it imports, without running any of it.
//!
//! `program` reads a script and follows its imports. `walk` goes through a syntax tree once and leaves
//! an `outline`: what is called where, with which literal arguments (`written`), and what becomes of
//! variables. `calls` looks up what is called, `functions` knows what there is to call. The host
//! judges the calls of its own functions on the same outlines.
//!
//! A false alarm is worse than a problem that only running finds: what cannot be known is accepted.

mod calls;
mod finding;
mod functions;
pub mod lints;
mod outline;
mod program;
mod walk;
mod written;

pub use finding::{Extent, Finding, Found, Lint, Severity, error, warning};
pub use functions::Functions;
pub use outline::{Call, Closure, Function, Import, Outline, Properties, Style};
pub use program::{Checker, Program};
pub use written::{Entry, Shape, Written};
