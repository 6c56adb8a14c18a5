//! Networks.

mod nat_gateways;
mod network_acls;
mod route_tables;
mod security_groups;
mod subnets;
mod vpc;
mod whole;
