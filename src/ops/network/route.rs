//! Routes of a route table: as options say them, as EC2 shows them, and from one to the other.

use std::collections::BTreeMap;

use aws_sdk_ec2::types as ec2;
use futures::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    InternetGateway, NatGateway,
    common::{filter, nothing_to_undo},
    read,
};
use crate::{
    event::Field,
    ops::{Error, IdOf, arguments},
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// A route: one destination and one target.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteOptions {
    /// Where packets go: an IPv4 range, `0.0.0.0/0` for everywhere.
    destination_cidr_block: Option<String>,
    /// Where packets go: an IPv6 range.
    destination_ipv6_cidr_block: Option<String>,
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
        let wrong = |option: &str, message: &str| Error::option(format!("{path}.{option}"), message);
        let destinations = [
            self.destination_cidr_block.as_ref().map(|block| {
                let net: Result<ipnet::Ipv4Net, _> = block.parse();
                net.map(|net| net.trunc().to_string())
                    .map_err(|_| wrong("destination_cidr_block", "expected an IPv4 range such as \"0.0.0.0/0\""))
            }),
            self.destination_ipv6_cidr_block.as_ref().map(|block| {
                let net: Result<ipnet::Ipv6Net, _> = block.parse();
                net.map(|net| net.trunc().to_string())
                    .map_err(|_| wrong("destination_ipv6_cidr_block", "expected an IPv6 range such as \"::/0\""))
            }),
            self.destination_prefix_list_id.clone().map(Ok),
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
        let destination = one(destinations, path, "destination, such as `destination_cidr_block`")??;
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

/// Makes the routes of a table the wanted ones. `undone` is whether each change gets an undo: those of a new table
/// need none. Returns what changed.
pub async fn converge(
    ctx: &Ctx,
    table: &str,
    found: &Routes,
    wanted: &Routes,
    undone: bool,
) -> Result<Vec<Field>, Error> {
    let destinations: std::collections::BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
    let changes = destinations.into_iter().filter(|destination| found.get(*destination) != wanted.get(*destination));
    let changes: Vec<Change> = changes
        .map(|destination| Change {
            route_table_id: table.to_owned(),
            destination: destination.clone(),
            before: found.get(destination).cloned(),
            ours: wanted.get(destination).cloned(),
        })
        .collect();
    try_join_all(changes.iter().map(|change| change.make(ctx, undone))).await?;
    Ok(changes.into_iter().map(Change::into_field).collect())
}

/// One destination that gets another target, its first, or none any more. Also what its undo and its look-up need.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Change {
    route_table_id: String,
    destination: String,
    before: Option<Target>,
    ours: Option<Target>,
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

impl Change {
    fn into_field(self) -> Field {
        Field {
            name: format!("routes.{}", self.destination),
            before: self.before.map(|target| json!(target)),
            after: json!(self.ours),
        }
    }

    /// Made again, what is done is refused (`RouteAlreadyExists`, `InvalidRoute.NotFound`): so they are looked up.
    async fn make(&self, ctx: &Ctx, undone: bool) -> Result<(), Error> {
        let Self { route_table_id: table, destination, before, ours } = self;
        let subject = format!("route to {destination} of {table}");
        let declare = |call| {
            let declared = Mutation::new(call, Class::Unique, &subject).look_up(&ROUTE_IS_SET, json!(self));
            match undone {
                true => declared.undo(Undo::new(&RESTORE_ROUTE, format!("restore {subject}"), json!(self))),
                false => declared,
            }
        };
        match (before, ours) {
            (None, None) => Ok(()),
            (None, Some(target)) => {
                ctx.change(declare("ec2:CreateRoute"), |permit| {
                    route!(ctx.aws().ec2.create_route(), table, destination, target)
                        .customize()
                        .interceptor(permit)
                        .send()
                })
                .await
            }
            (Some(_), Some(target)) => {
                ctx.change(declare("ec2:ReplaceRoute"), |permit| {
                    route!(ctx.aws().ec2.replace_route(), table, destination, target)
                        .customize()
                        .interceptor(permit)
                        .send()
                })
                .await
            }
            (Some(_), None) => {
                ctx.change(declare("ec2:DeleteRoute"), |permit| {
                    let request = ctx.aws().ec2.delete_route().route_table_id(table);
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

    /// The target there is now.
    async fn now(&self, ctx: &Ctx) -> Result<Option<Option<Target>>, Error> {
        let tables = read::route_tables(ctx, &[], &[filter("route-table-id", &self.route_table_id)]).await?;
        let table = tables.iter().find(|table| table.route_table_id() == Some(&self.route_table_id));
        Ok(table.map(|table| of_table(table).remove(&self.destination)))
    }
}

/// Finds out whether a route was changed as declared.
pub const ROUTE_IS_SET: LookUp =
    LookUp { name: "route_is_set", run: |ctx, arguments| Box::pin(route_is_set(ctx, arguments)) };

async fn route_is_set(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let change: Change = arguments(wanted)?;
    Ok(change.now(ctx).await?.is_some_and(|now| now == change.ours).then_some(Value::Null))
}

/// Gives a destination its old target back, or none.
pub const RESTORE_ROUTE: UndoAction =
    UndoAction { name: "restore_route", run: |ctx, arguments| Box::pin(restore_route(ctx, arguments)) };

async fn restore_route(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let change: Change = arguments(change)?;
    // No table, no route.
    let Some(now) = change.now(ctx).await? else { return Ok(Undone::Already) };
    if let Some(undone) = nothing_to_undo(&now, &change.before, &change.ours) {
        return Ok(undone);
    }
    let back = Change { before: now, ours: change.before, ..change };
    back.make(ctx, false).await?;
    Ok(Undone::Done)
}
