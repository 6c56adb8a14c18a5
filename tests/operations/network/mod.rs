//! Networks.

mod nat_gateways;
mod subnets;
mod vpc;
