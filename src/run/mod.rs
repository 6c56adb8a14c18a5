//! One run: what operations get to work with, what they declare, and how it is taken back.
//!
//! `context` is what an operation sees, `send` how its calls leave; `mutation` is what it declares; `policy` is
//! asked about it; `shared` keeps what was read for the next operation, and `looks` what waits see; `undo` keeps what was declared and runs it backwards; `journal` writes it all down before it is sent.

mod branch;
mod context;
mod journal;
mod looks;
mod mutation;
mod policy;
mod rollback;
mod send;
mod session;
mod shared;
mod undo;

pub use branch::Branch;
pub use context::{Ctx, SURVEY, Seen, Wait};
pub use journal::{Journal, JournalError, Record, hex};
pub use mutation::{Class, LookUp, Mutation};
pub use rollback::{Hook, RollbackReport};
pub use session::{Defaults, Interrupt, Run, RunId};
pub use shared::Reading;
pub use undo::{IMPOSSIBLE, Phase, Undo, UndoAction, Undone};
