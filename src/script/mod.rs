//! The Rhai host: everything about the language, nothing about what runbooks do with it.
//!
//! `runbook` loads and runs a script that `parse` accepts, on an engine that `engine` builds, `bounded`
//! keeps small and `watch` can stop; `import` finds modules below the root of the `project`; `callback`
//! keeps closures for later and for other threads; `diagnostic` turns what went wrong into a report that
//! shows the source; `check` finds what would go wrong, without running anything. `api/` registers the
//! host functions.
//!
//! All of Rhai's volatile interfaces are used in this folder only, and `tests/hosting` asserts the
//! behaviour of Rhai that it relies on.

mod bounded;
pub mod callback;
pub mod check;
pub mod diagnostic;
pub mod engine;
pub mod failure;
pub mod import;
pub mod library;
pub mod parse;
pub mod project;
pub mod runbook;
pub mod suggest;
pub mod syntax;
pub mod thread;
pub mod watch;
mod words;

pub use callback::Callback;
pub use diagnostic::{Problem, Trace};
pub use engine::Limits;
pub use failure::{Failure, Place};
pub use import::is_stdlib;
pub use library::Library;
pub use project::{Project, ProjectFile};
pub use runbook::{Runbook, Script, Stdlib};
pub use syntax::Vocabulary;
pub use watch::Watch;
