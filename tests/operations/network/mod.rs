//! Networks.

mod nat_gateways;
mod network_acls;
mod route_tables;
mod subnets;
mod vpc;
