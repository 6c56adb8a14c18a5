//! Subnets as handles: what `ensure_subnets` and `find_subnets` return, and others take.

use aws_sdk_ec2::types as ec2;
use serde::Serialize;

use crate::ops::{Error, Kind, require};

/// The tag that names the tier of a subnet.
pub const TIER_TAG: &str = "Tier";

/// Several subnets of a VPC, usually one per availability zone, in the order of the zones.
#[derive(Debug, Serialize)]
pub struct Subnets {
    pub subnet_ids: Vec<String>,
    pub subnets: Vec<Subnet>,
    pub vpc_id: String,
}

impl Kind for Subnets {
    const KIND: &'static str = "subnets";
    const ID: &'static str = "subnet_ids";
}

impl Subnets {
    pub fn new(vpc_id: impl Into<String>, subnets: Vec<Subnet>) -> Self {
        let subnet_ids = subnets.iter().map(|subnet| subnet.subnet_id.clone()).collect();
        Self { subnet_ids, subnets, vpc_id: vpc_id.into() }
    }
}

/// One of them.
#[derive(Clone, Debug, Serialize)]
pub struct Subnet {
    pub subnet_id: String,
    pub availability_zone: String,
    pub cidr_block: String,
}

impl Kind for Subnet {
    const KIND: &'static str = "subnet";
    const ID: &'static str = "subnet_id";
}

impl Subnet {
    /// # Errors
    /// If the reply lacks what every subnet has.
    pub fn from_ec2(call: &'static str, subnet: &ec2::Subnet) -> Result<Self, Error> {
        Ok(Self {
            subnet_id: require(call, "subnetId", subnet.subnet_id())?,
            availability_zone: require(call, "availabilityZone", subnet.availability_zone())?,
            // A subnet with IPv6 only has none.
            cidr_block: subnet.cidr_block().unwrap_or_default().to_owned(),
        })
    }
}
