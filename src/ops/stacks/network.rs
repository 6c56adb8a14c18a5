//! What EC2 knows of a stack: networks, and what fleets are launched from. One list has the tags of everything.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::NatGateway;
use serde_json::{Value, json};

use super::{Asks, Belonging, Rank, TagMap};
use crate::{
    ops::{
        Error, Together, all_of,
        compute::ensure_launch_template::DELETE_LAUNCH_TEMPLATE,
        ec2_tags::from_ec2,
        images::register::DEREGISTER_IMAGE,
        network::{
            address::RELEASE_ADDRESS,
            common::filter,
            ensure_internet_gateway::{DELETE_INTERNET_GATEWAY, DETACH_INTERNET_GATEWAY},
            ensure_network_acl::DELETE_NETWORK_ACL,
            ensure_route_table::DELETE_ROUTE_TABLE,
            ensure_security_group::DELETE_SECURITY_GROUP,
            ensure_subnets::DELETE_SUBNET,
            ensure_vpc::DELETE_VPC,
            nat_gateway::DELETE_NAT_GATEWAY,
            read,
        },
        ownership::STACK_TAG,
    },
    run::{Ctx, UndoAction},
};

/// A kind that one call deletes by its id.
struct ById {
    prefix: &'static str,
    kind: &'static str,
    rank: Rank,
    delete: &'static UndoAction,
    /// What the undo calls the id.
    parameter: &'static str,
    asks: Asks,
}

const KINDS: &[ById] = &[
    ById {
        prefix: "lt-",
        kind: "launch template",
        rank: Rank::Parts,
        delete: &DELETE_LAUNCH_TEMPLATE,
        parameter: "launch_template_id",
        asks: ("ec2:DeleteLaunchTemplate", "LaunchTemplateId"),
    },
    ById {
        prefix: "ami-",
        kind: "image",
        rank: Rank::Parts,
        delete: &DEREGISTER_IMAGE,
        parameter: "image_id",
        asks: ("ec2:DeregisterImage", "ImageId"),
    },
    ById {
        prefix: "eipalloc-",
        kind: "address",
        rank: Rank::Parts,
        delete: &RELEASE_ADDRESS,
        parameter: "allocation_id",
        asks: ("ec2:ReleaseAddress", "AllocationId"),
    },
    ById {
        prefix: "sg-",
        kind: "security group",
        rank: Rank::SecurityGroups,
        delete: &DELETE_SECURITY_GROUP,
        parameter: "group_id",
        asks: ("ec2:DeleteSecurityGroup", "GroupId"),
    },
    ById {
        prefix: "subnet-",
        kind: "subnet",
        rank: Rank::Subnets,
        delete: &DELETE_SUBNET,
        parameter: "subnet_id",
        asks: ("ec2:DeleteSubnet", "SubnetId"),
    },
    ById {
        prefix: "rtb-",
        kind: "route table",
        rank: Rank::Associated,
        delete: &DELETE_ROUTE_TABLE,
        parameter: "route_table_id",
        asks: ("ec2:DeleteRouteTable", "RouteTableId"),
    },
    ById {
        prefix: "acl-",
        kind: "network ACL",
        rank: Rank::Associated,
        delete: &DELETE_NETWORK_ACL,
        parameter: "network_acl_id",
        asks: ("ec2:DeleteNetworkAcl", "NetworkAclId"),
    },
    ById {
        prefix: "vpc-",
        kind: "VPC",
        rank: Rank::Vpcs,
        delete: &DELETE_VPC,
        parameter: "vpc_id",
        asks: ("ec2:DeleteVpc", "VpcId"),
    },
];

/// What the stack owns.
pub async fn of_stack(ctx: &Ctx, stack: &str) -> Result<Vec<Belonging>, Error> {
    let ours = [filter(format!("tag:{STACK_TAG}"), stack)];
    let (tagged, gateways, nat) = futures::join!(
        tagged(ctx, Some(stack)),
        read::internet_gateways(ctx, &ours),
        read::nat_gateways(ctx, &[], &[]),
    )
    .together()?;
    let attached = gateways.iter().map(|gateway| {
        let id = gateway.internet_gateway_id().unwrap_or_default();
        let tags = from_ec2(gateway.tags());
        let mut found = Belonging::tagged(
            &tags,
            "internet gateway",
            id,
            Rank::InternetGateways,
            ("ec2:DeleteInternetGateway", "InternetGatewayId"),
        )?;
        for vpc in gateway.attachments().iter().filter_map(|attachment| attachment.vpc_id()) {
            found = found.gone_by(&DETACH_INTERNET_GATEWAY, json!({ "internet_gateway_id": id, "vpc_id": vpc }));
        }
        Some(found.gone_by(&DELETE_INTERNET_GATEWAY, json!({ "internet_gateway_id": id })))
    });
    // AWS shows one for an hour after it is gone.
    let alive = |nat: &&NatGateway| !["deleted", "deleting"].contains(&nat.state().map_or("", |state| state.as_str()));
    let nat = nat.iter().filter(alive).map(|nat| {
        let id = nat.nat_gateway_id().unwrap_or_default();
        let found = Belonging::tagged(
            &from_ec2(nat.tags()),
            "NAT gateway",
            id,
            Rank::Fleets,
            ("ec2:DeleteNatGateway", "NatGatewayId"),
        )?;
        Some(found.gone_by(&DELETE_NAT_GATEWAY, json!({ "nat_gateway_id": id, "wait": true })))
    });
    let by_id = tagged.iter().map(|(id, tags)| by_id(id, tags));
    Ok(by_id.chain(attached).chain(nat).flatten().collect())
}

fn by_id(id: &str, tags: &TagMap) -> Option<Belonging> {
    let ById { kind, rank, delete, parameter, asks, .. } = KINDS.iter().find(|kind| id.starts_with(kind.prefix))?;
    let arguments = Value::Object([((*parameter).to_owned(), json!(id))].into_iter().collect());
    Some(Belonging::tagged(tags, kind, id, *rank, *asks)?.gone_by(delete, arguments))
}

/// Ids with their tags, of what a stack owns; without one, of what any stack does. Of what is of no kind that stacks make
/// (instances and volumes of a fleet have its tags) as well.
pub async fn tagged(ctx: &Ctx, stack: Option<&str>) -> Result<BTreeMap<String, TagMap>, Error> {
    let mut filters = vec![filter("key", STACK_TAG)];
    filters.extend(stack.map(|stack| filter("value", stack)));
    let ids: Vec<String> = tags(ctx, filters).await?.into_keys().collect();
    // A filter takes 200 values.
    let all = all_of(ids.chunks(200).map(|some| {
        let of_them = aws_sdk_ec2::types::Filter::builder().name("resource-id").set_values(Some(some.to_vec())).build();
        tags(ctx, vec![of_them])
    }));
    Ok(all.await?.into_iter().flatten().collect())
}

async fn tags(ctx: &Ctx, filters: Vec<aws_sdk_ec2::types::Filter>) -> Result<BTreeMap<String, TagMap>, Error> {
    let tags = ctx
        .read("ec2:DescribeTags", || {
            let request = ctx.aws().ec2.describe_tags().set_filters(Some(filters.clone()));
            request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let mut by_id = BTreeMap::<String, TagMap>::new();
    for tag in tags {
        if let (Some(id), Some(key)) = (tag.resource_id, tag.key) {
            by_id.entry(id).or_default().insert(key, tag.value.unwrap_or_default());
        }
    }
    Ok(by_id)
}
