//! The simulated AWS, asked as the SDK asks it: signed-looking HTTP in, AWS's bytes out.

mod autoscaling;
mod basics;
mod certificate;
mod compute;
mod coverage;
mod disk;
mod dns;
mod fork;
mod identity;
#[path = "../support/live.rs"]
mod live;
mod load_balancing;
mod network;
#[path = "../support/same.rs"]
mod same;
mod sdk;
mod support;
mod unmodelled;
mod worlds;
