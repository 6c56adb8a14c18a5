//! Networks.

mod nat_gateways;
mod route_tables;
mod subnets;
mod vpc;
