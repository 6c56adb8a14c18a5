//! Networks: VPCs and what is in them.

pub mod address;
mod carve;
pub(crate) mod common;
pub mod ensure_internet_gateway;
pub mod ensure_nat_gateways;
pub mod ensure_network_acl;
pub mod ensure_route_table;
pub mod ensure_security_group;
pub mod ensure_subnets;
pub mod ensure_vpc;
pub mod find_security_group;
pub mod find_subnets;
pub mod find_vpc;
pub mod nat_gateway;
pub mod network_acl_association;
pub mod network_acl_rule;
pub(super) mod read;
pub mod route;
pub mod route_table_association;
pub mod security_group_rule;
pub mod security_group_rules;
mod setting;
pub(super) mod shared;
mod subnets;
mod surplus_nat_gateways;
mod traffic;
mod zones;

use std::collections::BTreeMap;

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

/// The NAT gateways of a VPC.
#[derive(Debug, Serialize)]
pub struct NatGateways {
    pub nat_gateway_ids: Vec<String>,
    /// In the order of their zones.
    pub nat_gateways: Vec<NatGateway>,
    /// The gateway that private subnets of a zone should use, by zone: that zone's own, or the single one. Empty if
    /// there is none.
    pub by_availability_zone: BTreeMap<String, String>,
    pub vpc_id: String,
}

impl Kind for NatGateways {
    const KIND: &'static str = "nat_gateways";
    const ID: &'static str = "nat_gateway_ids";
}

/// One of them.
#[derive(Debug, Serialize)]
pub struct NatGateway {
    pub nat_gateway_id: String,
    pub availability_zone: String,
    pub subnet_id: String,
    pub allocation_id: String,
    pub public_ip: String,
}

impl Kind for NatGateway {
    const KIND: &'static str = "nat_gateway";
    const ID: &'static str = "nat_gateway_id";
}

/// A route table.
#[derive(Debug, Serialize)]
pub struct RouteTable {
    pub route_table_id: String,
    pub vpc_id: String,
    pub name: String,
}

impl Kind for RouteTable {
    const KIND: &'static str = "route_table";
    const ID: &'static str = "route_table_id";
}

/// A network ACL.
#[derive(Debug, Serialize)]
pub struct NetworkAcl {
    pub network_acl_id: String,
    pub vpc_id: String,
    pub name: String,
}

impl Kind for NetworkAcl {
    const KIND: &'static str = "network_acl";
    const ID: &'static str = "network_acl_id";
}

/// A security group.
#[derive(Debug, Serialize)]
pub struct SecurityGroup {
    pub group_id: String,
    pub group_name: String,
    pub vpc_id: String,
}

impl Kind for SecurityGroup {
    const KIND: &'static str = "security_group";
    const ID: &'static str = "group_id";
}
