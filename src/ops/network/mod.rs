//! Networks: VPCs and what is in them.

mod carve;
pub(crate) mod common;
pub mod ensure_internet_gateway;
pub mod ensure_subnets;
pub mod ensure_vpc;
pub mod find_subnets;
pub mod find_vpc;
mod read;
mod subnets;
mod zones;

use serde::Serialize;

use super::Kind;
pub use subnets::{Subnet, Subnets};

/// A VPC.
#[derive(Debug, Serialize)]
pub struct Vpc {
    pub vpc_id: String,
    pub cidr_block: String,
    /// Its `Name` tag.
    pub name: String,
}

impl Kind for Vpc {
    const KIND: &'static str = "vpc";
    const ID: &'static str = "vpc_id";
}

/// The way from a VPC to the internet.
#[derive(Debug, Serialize)]
pub struct InternetGateway {
    pub internet_gateway_id: String,
    pub vpc_id: String,
    pub name: String,
}

impl Kind for InternetGateway {
    const KIND: &'static str = "internet_gateway";
    const ID: &'static str = "internet_gateway_id";
}
