//! The simulated AWS, asked as the SDK asks it: signed-looking HTTP in, AWS's bytes out.

mod autoscaling;
mod basics;
mod certificate;
mod compute;
mod disk;
mod dns;
mod identity;
mod load_balancing;
mod network;
mod sdk;
mod support;
