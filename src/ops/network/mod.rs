//! Networks: VPCs and what is in them.

pub mod ensure_vpc;

use serde::Serialize;

use super::Kind;

/// A VPC.
#[derive(Debug, Serialize)]
pub struct Vpc {
    pub vpc_id: String,
    pub cidr_block: String,
    pub name: String,
}

impl Kind for Vpc {
    const KIND: &'static str = "vpc";
    const ID: &'static str = "vpc_id";
}
