//! One run: what operations get to work with, what they declare, and how it is taken back.
//!
//! `context` is what an operation sees, `send` how its calls leave (`fetch` those of services without a crate); `mutation` is what it declares; `policy` is
//! asked about it; `shared` keeps what was read for the next operation, and `looks` what waits see; `undo` keeps what was
//! declared and runs it backwards; `journal` writes it all down before it is sent, to a `store`; when another
//! `driver` goes on with the run, `restore` takes it up from there, and `replay` answers from what `past` tells. `lock` keeps other
//! runs out, `consent` asks people, and `scope` says where calls go.

mod branch;
mod consent;
mod context;
mod driver;
mod fetch;
mod journal;
mod lock;
mod looks;
mod mutation;
mod outside;
mod past;
mod policy;
mod replay;
mod restore;
mod rollback;
mod scope;
mod send;
mod session;
mod shared;
mod store;
mod undo;

pub use branch::Branch;
pub use consent::{Consent, Request};
pub use context::{Ctx, SURVEY, Seen, Wait};
pub use driver::{Alive, Driver};
pub use journal::{
    Answer, Entry, Failed, FailedAs, Given, History, HistoryError, Intent, Journal, JournalError, OnTimeout, Record,
    Refused, Started, hex, keep_text, text_key,
};
pub use lock::{Holder, Lock, LockError, Locked, Superseded};
pub use mutation::{Class, LookUp, Mutation};
pub use outside::Outcome;
pub use past::{Past, PastEnvironment, PastOperation, Question, Stand};
pub use rollback::{Hook, RollbackReport};
pub use send::says_absent;
pub use session::{Defaults, Interrupt, Run, RunId};
pub use shared::Reading;
pub use store::{Made, Store, StoreError, Trouble, Troubles};
pub use undo::{IMPOSSIBLE, Phase, Undo, UndoAction, Undone};
