//! Describes of what networks are made of, to their last page. An empty list of ids or filters is none.

use aws_sdk_ec2::types::{
    Address, Filter, InternetGateway, ManagedPrefixList, NatGateway, NetworkAcl, RouteTable, SecurityGroup, Subnet, Vpc,
};

use super::common::filter;
use crate::{
    ops::{Error, Together},
    run::Ctx,
};

/// `pages!(ctx, "ec2:DescribeVpcs", describe_vpcs, set_vpc_ids(ids), …)`: all rows of all pages.
macro_rules! pages {
    ($ctx:ident, $call:literal, $describe:ident, $($set:ident($value:expr)),+) => {
        $ctx.read($call, || {
            let request = $ctx.aws().ec2.$describe()$(.$set(some($value)))+;
            request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await
    };
}

fn some<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

/// `of_vpc!(subnets_of, Subnet, "subnet-", subnets, subnet_id)`: everything of a kind in a VPC. What this run has just made
/// is in it, although AWS may not list it yet: the next decision is about it.
macro_rules! of_vpc {
    ($name:ident, $type:ty, $prefix:literal, $read:ident, $id:ident) => {
        pub async fn $name(ctx: &Ctx, vpc_id: &str) -> Result<Vec<$type>, Error> {
            let new = ctx.just_made($prefix);
            let in_vpc = [filter("vpc-id", vpc_id)];
            let by_id = async { if new.is_empty() { Ok(Vec::new()) } else { $read(ctx, &new, &[]).await } };
            let (mut rows, new) = futures::join!($read(ctx, &[], &in_vpc), by_id).together()?;
            for row in new {
                if rows.iter().all(|other| other.$id() != row.$id()) {
                    rows.push(row);
                }
            }
            rows.retain(|row| row.vpc_id() == Some(vpc_id));
            Ok(rows)
        }
    };
}

of_vpc!(subnets_of, Subnet, "subnet-", subnets, subnet_id);
of_vpc!(nat_gateways_of, NatGateway, "nat-", nat_gateways, nat_gateway_id);
of_vpc!(route_tables_of, RouteTable, "rtb-", route_tables, route_table_id);
of_vpc!(network_acls_of, NetworkAcl, "acl-", network_acls, network_acl_id);
of_vpc!(security_groups_of, SecurityGroup, "sg-", security_groups, group_id);

pub async fn vpcs(ctx: &Ctx, ids: &[String], filters: &[Filter]) -> Result<Vec<Vpc>, Error> {
    pages!(ctx, "ec2:DescribeVpcs", describe_vpcs, set_vpc_ids(ids), set_filters(filters))
}

pub async fn subnets(ctx: &Ctx, ids: &[String], filters: &[Filter]) -> Result<Vec<Subnet>, Error> {
    pages!(ctx, "ec2:DescribeSubnets", describe_subnets, set_subnet_ids(ids), set_filters(filters))
}

pub async fn internet_gateways(ctx: &Ctx, filters: &[Filter]) -> Result<Vec<InternetGateway>, Error> {
    pages!(ctx, "ec2:DescribeInternetGateways", describe_internet_gateways, set_filters(filters))
}

pub async fn nat_gateways(ctx: &Ctx, ids: &[String], filters: &[Filter]) -> Result<Vec<NatGateway>, Error> {
    pages!(ctx, "ec2:DescribeNatGateways", describe_nat_gateways, set_nat_gateway_ids(ids), set_filter(filters))
}

pub async fn route_tables(ctx: &Ctx, ids: &[String], filters: &[Filter]) -> Result<Vec<RouteTable>, Error> {
    pages!(ctx, "ec2:DescribeRouteTables", describe_route_tables, set_route_table_ids(ids), set_filters(filters))
}

pub async fn network_acls(ctx: &Ctx, ids: &[String], filters: &[Filter]) -> Result<Vec<NetworkAcl>, Error> {
    pages!(ctx, "ec2:DescribeNetworkAcls", describe_network_acls, set_network_acl_ids(ids), set_filters(filters))
}

pub async fn security_groups(ctx: &Ctx, ids: &[String], filters: &[Filter]) -> Result<Vec<SecurityGroup>, Error> {
    pages!(ctx, "ec2:DescribeSecurityGroups", describe_security_groups, set_group_ids(ids), set_filters(filters))
}

pub async fn prefix_lists(ctx: &Ctx, filters: &[Filter]) -> Result<Vec<ManagedPrefixList>, Error> {
    pages!(ctx, "ec2:DescribeManagedPrefixLists", describe_managed_prefix_lists, set_filters(filters))
}

/// `by_id!(route_table, RouteTable, route_tables, "Invalid…NotFound")`: one by its id, if there is one. Unlike a list,
/// this finds what this run has just made.
macro_rules! by_id {
    ($name:ident, $type:ty, $read:ident, $gone:literal) => {
        pub async fn $name(ctx: &Ctx, id: &str) -> Result<Option<$type>, Error> {
            match $read(ctx, &[id.to_owned()], &[]).await {
                Ok(rows) => Ok(rows.into_iter().next()),
                Err(error) if error.is(&[$gone]) => Ok(None),
                Err(error) => Err(error),
            }
        }
    };
}

by_id!(route_table, RouteTable, route_tables, "InvalidRouteTableID.NotFound");
by_id!(network_acl, NetworkAcl, network_acls, "InvalidNetworkAclID.NotFound");
by_id!(security_group, SecurityGroup, security_groups, "InvalidGroup.NotFound");

/// Addresses come in one page.
pub async fn addresses(ctx: &Ctx, filters: &[Filter]) -> Result<Vec<Address>, Error> {
    let reply = ctx
        .read("ec2:DescribeAddresses", || ctx.aws().ec2.describe_addresses().set_filters(some(filters)).send())
        .await?;
    Ok(reply.addresses.unwrap_or_default())
}
