//! Load balancing. Only what Auto Scaling needs of it, until it is here.

pub mod targets;
