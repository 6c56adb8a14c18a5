//! Routes of a route table: as options say them, as EC2 shows them, and from one to the other.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types as ec2;
use ipnet::{Ipv4Net, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    InternetGateway, NatGateway, read,
    setting::{self, Setting, Undoing},
};
use crate::{
    event::Field,
    ops::{Cidr, Error, IdOf, all_of},
    run::{Ctx, LookUp, Mutation, UndoAction},
};

/// A route: one destination and one target.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteOptions {
    /// Where packets go: an IPv4 range, `0.0.0.0/0` for everywhere.
    destination_cidr_block: Option<Cidr<Ipv4Net>>,
    /// Where packets go: an IPv6 range.
    destination_ipv6_cidr_block: Option<Cidr<Ipv6Net>>,
    /// Where packets go: the ranges of a prefix list.
    destination_prefix_list_id: Option<String>,
    /// Through an internet gateway, or a virtual private gateway by its id.
    gateway_id: Option<IdOf<InternetGateway>>,
    /// Through a NAT gateway.
    nat_gateway_id: Option<IdOf<NatGateway>>,
    /// Through a network interface.
    network_interface_id: Option<String>,
    /// Through a transit gateway.
    transit_gateway_id: Option<String>,
    /// Through a VPC peering connection.
    vpc_peering_connection_id: Option<String>,
    /// Through a Gateway Load Balancer endpoint.
    vpc_endpoint_id: Option<String>,
    /// Through an egress-only internet gateway, for IPv6.
    egress_only_internet_gateway_id: Option<String>,
}

/// What a route leads through. Undos keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    GatewayId(String),
    NatGatewayId(String),
    NetworkInterfaceId(String),
    TransitGatewayId(String),
    VpcPeeringConnectionId(String),
    VpcEndpointId(String),
    EgressOnlyInternetGatewayId(String),
}

/// The routes of a table that are ours to change, by destination.
pub type Routes = BTreeMap<String, Target>;

impl RouteOptions {
    fn read(&self, path: &str) -> Result<(String, Target), Error> {
        let destinations = [
            self.destination_cidr_block.map(|range| range.0.trunc().to_string()),
            self.destination_ipv6_cidr_block.map(|range| range.0.trunc().to_string()),
            self.destination_prefix_list_id.clone(),
        ];
        let targets = [
            self.gateway_id.clone().map(|id| Target::GatewayId(id.into_string())),
            self.nat_gateway_id.clone().map(|id| Target::NatGatewayId(id.into_string())),
            self.network_interface_id.clone().map(Target::NetworkInterfaceId),
            self.transit_gateway_id.clone().map(Target::TransitGatewayId),
            self.vpc_peering_connection_id.clone().map(Target::VpcPeeringConnectionId),
            self.vpc_endpoint_id.clone().map(Target::VpcEndpointId),
            self.egress_only_internet_gateway_id.clone().map(Target::EgressOnlyInternetGatewayId),
        ];
        let destination = one(destinations, path, "destination, such as `destination_cidr_block`")?;
        let target = one(targets, path, "target, such as `gateway_id` or `nat_gateway_id`")?;
        Ok((destination, target))
    }
}

fn one<T, const N: usize>(given: [Option<T>; N], path: &str, what: &str) -> Result<T, Error> {
    let mut given: Vec<T> = given.into_iter().flatten().collect();
    match (given.pop(), given.len()) {
        (Some(one), 0) => Ok(one),
        (_, others) => {
            Err(Error::option(path, format!("expected one {what}, found {}", if others == 0 { 0 } else { others + 1 })))
        }
    }
}

/// The routes that options describe.
pub fn wanted(options: &[RouteOptions]) -> Result<Routes, Error> {
    let mut routes = Routes::new();
    for (index, route) in options.iter().enumerate() {
        let path = format!("routes[{index}]");
        let (destination, target) = route.read(&path)?;
        if routes.insert(destination.clone(), target).is_some() {
            return Err(Error::option(path, format!("there is another route to {destination}")));
        }
    }
    Ok(routes)
}

/// The routes of a table that somebody made: not the local ones, not what a virtual private gateway propagates, and
/// not those that a gateway endpoint keeps for its prefix list.
pub fn of_table(table: &ec2::RouteTable) -> Routes {
    table.routes().iter().filter_map(from_ec2).collect()
}

fn from_ec2(route: &ec2::Route) -> Option<(String, Target)> {
    let list = route.destination_prefix_list_id();
    let destination = route.destination_cidr_block().or(route.destination_ipv6_cidr_block()).or(list)?;
    if route.origin() == Some(&ec2::RouteOrigin::EnableVgwRoutePropagation) {
        return None;
    }
    let own = |id: &str| id.to_owned();
    let target = if let Some(id) = route.nat_gateway_id() {
        Target::NatGatewayId(own(id))
    } else if let Some(id) = route.transit_gateway_id() {
        Target::TransitGatewayId(own(id))
    } else if let Some(id) = route.vpc_peering_connection_id() {
        Target::VpcPeeringConnectionId(own(id))
    } else if let Some(id) = route.egress_only_internet_gateway_id() {
        Target::EgressOnlyInternetGatewayId(own(id))
    } else if let Some(id) = route.gateway_id() {
        match id {
            "local" => return None,
            // Endpoints are shown as gateways.
            _ if id.starts_with("vpce-") && list.is_some() => return None,
            _ if id.starts_with("vpce-") => Target::VpcEndpointId(own(id)),
            _ => Target::GatewayId(own(id)),
        }
    } else {
        Target::NetworkInterfaceId(own(route.network_interface_id()?))
    };
    Some((own(destination), target))
}

/// Makes the routes of a table the wanted ones. Returns what changed.
pub async fn converge(
    ctx: &Ctx,
    table: &str,
    found: &Routes,
    wanted: &Routes,
    undoing: Undoing,
) -> Result<Vec<Field>, Error> {
    let destinations: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
    let changes =
        destinations.into_iter().map(|destination| (destination, found.get(destination), wanted.get(destination)));
    let changes: Vec<_> = changes.filter(|(_, before, ours)| before != ours).collect();
    all_of(changes.iter().map(async |(destination, before, ours)| {
        let route = RouteOf { route_table_id: table.to_owned(), destination: (*destination).clone() };
        setting::set(ctx, &route, &before.cloned(), &ours.cloned(), undoing).await
    }))
    .await?;
    let field = |(destination, before, ours): (&String, Option<&Target>, Option<&Target>)| Field {
        name: format!("routes.{destination}"),
        before: before.map(|target| json!(target)),
        after: json!(ours),
    };
    Ok(changes.into_iter().map(field).collect())
}

/// The same setters on two builders without a common trait.
macro_rules! route {
    ($request:expr, $table:expr, $destination:expr, $target:expr) => {{
        let request = $request.route_table_id($table);
        let request = match kind($destination) {
            Destination::Ipv4 => request.destination_cidr_block($destination),
            Destination::Ipv6 => request.destination_ipv6_cidr_block($destination),
            Destination::PrefixList => request.destination_prefix_list_id($destination),
        };
        match $target {
            Target::GatewayId(id) => request.gateway_id(id),
            Target::NatGatewayId(id) => request.nat_gateway_id(id),
            Target::NetworkInterfaceId(id) => request.network_interface_id(id),
            Target::TransitGatewayId(id) => request.transit_gateway_id(id),
            Target::VpcPeeringConnectionId(id) => request.vpc_peering_connection_id(id),
            Target::VpcEndpointId(id) => request.vpc_endpoint_id(id),
            Target::EgressOnlyInternetGatewayId(id) => request.egress_only_internet_gateway_id(id),
        }
    }};
}

enum Destination {
    Ipv4,
    Ipv6,
    PrefixList,
}

fn kind(destination: &str) -> Destination {
    match destination {
        list if list.starts_with("pl-") => Destination::PrefixList,
        block if block.contains(':') => Destination::Ipv6,
        _ => Destination::Ipv4,
    }
}

/// The target for one destination: none, if there is no route.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RouteOf {
    route_table_id: String,
    destination: String,
}

impl Setting for RouteOf {
    type Value = Option<Target>;
    const LOOK_UP: &'static LookUp = &ROUTE_IS_SET;
    const UNDO: &'static UndoAction = &RESTORE_ROUTE;

    fn subject(&self) -> String {
        format!("route to {} of {}", self.destination, self.route_table_id)
    }

    async fn now(&self, ctx: &Ctx, _: &Option<Target>) -> Result<Option<Option<Target>>, Error> {
        let table = read::route_table(ctx, &self.route_table_id).await?;
        Ok(table.map(|table| of_table(&table).remove(&self.destination)))
    }

    async fn send(
        &self,
        ctx: &Ctx,
        from: &Option<Target>,
        to: &Option<Target>,
        declare: impl FnOnce(&'static str) -> Mutation,
    ) -> Result<(), Error> {
        let (ec2, table, destination) = (&ctx.aws().ec2, &self.route_table_id, &self.destination);
        match (from, to) {
            (None, None) => Ok(()),
            (None, Some(target)) => {
                ctx.change(declare("ec2:CreateRoute"), |permit| {
                    route!(ec2.create_route(), table, destination, target).customize().interceptor(permit).send()
                })
                .await
            }
            (Some(_), Some(target)) => {
                ctx.change(declare("ec2:ReplaceRoute"), |permit| {
                    route!(ec2.replace_route(), table, destination, target).customize().interceptor(permit).send()
                })
                .await
            }
            (Some(_), None) => {
                ctx.change(declare("ec2:DeleteRoute"), |permit| {
                    let request = ec2.delete_route().route_table_id(table);
                    match kind(destination) {
                        Destination::Ipv4 => request.destination_cidr_block(destination),
                        Destination::Ipv6 => request.destination_ipv6_cidr_block(destination),
                        Destination::PrefixList => request.destination_prefix_list_id(destination),
                    }
                    .customize()
                    .interceptor(permit)
                    .send()
                })
                .await
            }
        }
    }
}

/// Finds out whether a route was changed as declared.
pub const ROUTE_IS_SET: LookUp =
    LookUp { name: "route_is_set", run: |ctx, change| Box::pin(setting::is_set::<RouteOf>(ctx, change)) };

/// Gives a destination its old target back, or none.
pub const RESTORE_ROUTE: UndoAction =
    UndoAction { name: "restore_route", run: |ctx, change| Box::pin(setting::restore::<RouteOf>(ctx, change)) };
