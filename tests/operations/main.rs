//! Each operation's contract on the simulated AWS: from an empty account, again, after a change,
//! and undone.

#[path = "../support/account.rs"]
mod account;
mod network;
