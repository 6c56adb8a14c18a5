//! The simulated AWS, asked as the SDK asks it: signed-looking HTTP in, AWS's bytes out.

mod basics;
mod certificate;
mod disk;
mod dns;
mod identity;
mod load_balancing;
mod network;
mod sdk;
mod support;
