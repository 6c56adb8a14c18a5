//! Describes of networks that the operations of a run share, a whole VPC at a time. What was changed is read again.

use aws_sdk_ec2::types::{Address, InternetGateway, NatGateway, NetworkAcl, RouteTable, SecurityGroup, Subnet, Vpc};

use super::{
    common::{filter, is_of_stack},
    read, zones,
};
use crate::{
    ops::{Error, ownership::STACK_TAG},
    run::{Ctx, Reading},
};

/// What there is once in a region.
const REGION: &str = "";

/// `of_vpc!(subnets_of, Subnet, "ec2:DescribeSubnets", ["Subnet"])`: everything of a kind in a VPC, until an action with
/// such a name is sent.
macro_rules! of_vpc {
    ($name:ident, $type:ty, $call:literal, [$($changed_by:literal),+]) => {
        pub async fn $name(ctx: &Ctx, vpc_id: &str) -> Result<Vec<$type>, Error> {
            const READING: Reading = Reading::new($call, &[$($changed_by),+, "Tags"]);
            ctx.shared(READING, vpc_id, async || read::$name(ctx, vpc_id).await).await
        }
    };
}

of_vpc!(subnets_of, Subnet, "ec2:DescribeSubnets", ["Subnet"]);
of_vpc!(nat_gateways_of, NatGateway, "ec2:DescribeNatGateways", ["NatGateway"]);
of_vpc!(route_tables_of, RouteTable, "ec2:DescribeRouteTables", ["Route"]);
// A new subnet has the VPC's default ACL.
of_vpc!(network_acls_of, NetworkAcl, "ec2:DescribeNetworkAcls", ["NetworkAcl", "Subnet"]);
of_vpc!(security_groups_of, SecurityGroup, "ec2:DescribeSecurityGroups", ["SecurityGroup"]);

const VPCS: Reading = Reading::new("ec2:DescribeVpcs", &["Vpc", "Tags"]);

/// All VPCs of the region: there are few.
pub async fn vpcs(ctx: &Ctx) -> Result<Vec<Vpc>, Error> {
    ctx.shared(VPCS, REGION, async || read::vpcs(ctx, &[], &[]).await).await
}

/// The VPC of that id.
pub async fn vpc(ctx: &Ctx, id: &str) -> Result<Option<Vpc>, Error> {
    let all = ctx.known::<Vec<Vpc>>(VPCS, REGION).await.unwrap_or_default();
    if let Some(vpc) = all.into_iter().find(|vpc| vpc.vpc_id() == Some(id)) {
        return Ok(Some(vpc));
    }
    let read = async || read::vpcs(ctx, &[id.to_owned()], &[]).await;
    Ok(ctx.shared(VPCS, id, read).await?.into_iter().next())
}

/// All internet gateways of the region: at most one for each VPC, and a few that belong to none.
pub async fn internet_gateways(ctx: &Ctx) -> Result<Vec<InternetGateway>, Error> {
    const READING: Reading = Reading::new("ec2:DescribeInternetGateways", &["InternetGateway", "Tags"]);
    ctx.shared(READING, REGION, async || read::internet_gateways(ctx, &[]).await).await
}

/// The region's zones that anybody can use, by name.
pub async fn zones(ctx: &Ctx) -> Result<Vec<String>, Error> {
    const READING: Reading = Reading::new("ec2:DescribeAvailabilityZones", &[]);
    ctx.shared(READING, REGION, async || zones::of_region(ctx).await).await
}

/// The addresses of the stack.
pub async fn addresses_of(ctx: &Ctx, stack: &str) -> Result<Vec<Address>, Error> {
    const READING: Reading = Reading::new("ec2:DescribeAddresses", &["Address", "NatGateway", "Tags"]);
    let read = async || read::addresses(ctx, &[filter(format!("tag:{STACK_TAG}"), stack)]).await;
    let mut addresses = ctx.shared(READING, stack, read).await?;
    addresses.retain(|address| is_of_stack(address.tags(), stack));
    Ok(addresses)
}
