//! Networks.

mod subnets;
mod vpc;
