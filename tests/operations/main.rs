//! Each operation's contract, on the simulated AWS and against a moto server: from an empty
//! account, again, after a change, and undone.

#[path = "../support/account.rs"]
mod account;
mod calls;
mod catalogue;
mod certificate;
mod checks;
mod commands;
mod compute;
mod containers;
mod contract;
mod dns;
mod docker;
mod faults;
mod fork;
mod guard;
mod identity;
mod images;
#[path = "../support/live.rs"]
mod live;
mod load_balancing;
mod monitoring;
#[path = "../support/moto.rs"]
mod moto;
mod network;
mod outside;
mod parameters;
mod plan;
mod policy;
mod runbooks;
#[path = "../support/same.rs"]
mod same;
mod stacks;
mod systems;
mod traffic;
