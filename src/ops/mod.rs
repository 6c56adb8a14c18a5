//! What a runbook can do: one operation per file, a folder per AWS area, listed in `catalog`.
//!
//! An operation is ordinary AWS SDK code. It gets a [`Ctx`](crate::run::Ctx) and decoded options,
//! reads what is there, changes what differs, and returns a handle. It never asks whether it is
//! simulated, never names the script language, and changes AWS only through
//! [`Ctx::mutate`](crate::run::Ctx::mutate), which declares the call with its undo.

pub mod calls;
pub mod catalog;
pub mod certificate;
pub mod checks;
pub mod commands;
pub mod compute;
pub mod containers;
pub mod dns;
pub mod ec2_tags;
mod error;
pub mod facts;
pub mod identity;
pub mod images;
pub mod load_balancing;
pub mod monitoring;
pub mod network;
mod options;
pub(crate) mod outcome;
pub mod outside;
pub mod ownership;
pub mod parameters;
pub mod secrets;
pub mod stack;
pub mod stacks;
pub mod survey;
pub(crate) mod tagged;
mod together;
pub mod traffic;

pub use error::{CallError, CallErrorKind, Divergence, Error};
pub use options::{
    Cidr, Duration, HANDLE, IdOf, IdsOf, Kind, SECRET, Secret, Sensitive, Tags, describe, holds_secret, secret_in,
};
pub(crate) use together::{Together, all_of};

use std::future::Future;

use futures::future::LocalBoxFuture;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::run::Ctx;

/// Work that was begun on a context, with its type taken off.
pub type Pending<'a, T> = LocalBoxFuture<'a, Result<T, Error>>;

/// One verb of the runbook language.
///
/// The doc comment of `Options` is the operation's description, the doc comments of its fields are
/// the reference of its option keys: they feed `runner docs`, `check` and decoding alike.
pub trait Operation: 'static {
    /// What a runbook calls it.
    const NAME: &'static str;
    /// The area it is listed under in the reference, as AWS names it: `VPC`, `Auto Scaling`.
    const AREA: &'static str;
    /// The options a runbook may give as plain arguments before the others: `traffic(route)`.
    const POSITIONAL: &'static [&'static str] = &[];
    /// Whether the runbook gets the field `value` of what it returns, instead of a handle.
    const PLAIN: bool = false;
    /// A runnable example of its use, without what it needs around it.
    const EXAMPLE: &'static str;

    type Options: DeserializeOwned + JsonSchema;
    /// What the runbook gets back: a read-only value whose fields are AWS's names in snake_case.
    type Handle: Serialize + Kind;

    /// What this call is about, in the user's words, for the progress line: usually a name.
    fn subject(options: &Self::Options) -> String;

    /// Texts among the options that are secrets, though the runbook may not have marked them as such.
    fn secrets(options: &Self::Options) -> Vec<String> {
        let _ = options;
        Vec::new()
    }

    /// Does it.
    fn run(ctx: &Ctx, options: Self::Options) -> impl Future<Output = Result<Self::Handle, Error>>;
}

/// Decodes the arguments of an undo or a look-up, as an earlier version may have journaled them.
///
/// # Errors
/// If they do not fit: the journal was written by another version.
pub fn arguments<T: DeserializeOwned>(arguments: Value) -> Result<T, Error> {
    serde_json::from_value(arguments).map_err(|error| Error::option("", format!("journaled arguments: {error}")))
}

/// A member that AWS documents to be in a reply.
///
/// # Errors
/// [`Error::Reply`] if it is not.
pub fn require<T, U: From<T>>(call: &'static str, member: &'static str, value: Option<T>) -> Result<U, Error> {
    value.map(U::from).ok_or(Error::Reply { call, member })
}
