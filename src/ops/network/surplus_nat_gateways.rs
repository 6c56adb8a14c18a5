//! NAT gateways that `ensure_nat_gateways` made for another mode than the one that is asked for now.

use std::collections::BTreeSet;

use aws_sdk_ec2::types as ec2;
use serde_json::Value;

use super::{
    address,
    common::{is_named, is_of_stack, name_of},
    nat_gateway, read,
};
use crate::{
    event::{Change, Event},
    ops::{Error, all_of, ownership::changed},
    run::{Ctx, Undo},
};

/// What there is, and what of it is wanted.
pub struct Surplus<'a> {
    pub name: &'a str,
    pub vpc_id: &'a str,
    pub wanted: &'a [String],
    pub nats: &'a [ec2::NatGateway],
    /// The addresses of the stack.
    pub addresses: &'a [ec2::Address],
}

impl Surplus<'_> {
    /// Removes what nothing is routed through, or says that it is there.
    pub async fn see_to(&self, ctx: &Ctx, remove: bool) -> Result<(), Error> {
        let found = self.find(ctx).await?;
        if found.is_empty() {
            return Ok(());
        }
        let warn = |nat: &ec2::NatGateway, why: String| {
            let (name, id) = (name_of(nat.tags()), nat.nat_gateway_id().unwrap_or_default());
            let message = format!("nat gateway {name} ({id}) is not asked for any more and still costs money; {why}");
            ctx.emit(Event::Warning { message });
        };
        if !remove {
            found.iter().for_each(|nat| warn(nat, "`ensure_nat_gateways` with `replace: true` removes it".to_owned()));
            return Ok(());
        }
        let tables = read::route_tables_of(ctx, self.vpc_id).await?;
        let removals = found.into_iter().map(async |nat| {
            let leads_there = |table: &&ec2::RouteTable| {
                table
                    .routes()
                    .iter()
                    .any(|route| route.nat_gateway_id().is_some_and(|id| nat.nat_gateway_id() == Some(id)))
            };
            let routed: Vec<&str> =
                tables.iter().filter(leads_there).filter_map(|table| table.route_table_id()).collect();
            if !routed.is_empty() {
                let tables = routed.join(", ");
                warn(nat, format!("routes of {tables} lead to it: a later run removes it, when they do not"));
                return Ok(());
            }
            self.remove(ctx, nat).await
        });
        all_of(removals).await.map(drop)
    }

    /// The stack's gateways of this name. The name ends with the zone, which only the subnet knows: `nat-x-eu-west-1a`
    /// is none of `nat`.
    async fn find(&self, ctx: &Ctx) -> Result<Vec<&ec2::NatGateway>, Error> {
        let stack = ctx.stack()?;
        let prefix = format!("{stack}-{}-", self.name);
        let is_candidate = |nat: &&ec2::NatGateway| {
            let is_wanted = self.wanted.iter().any(|id| nat.nat_gateway_id() == Some(id));
            !is_wanted && is_of_stack(nat.tags(), &stack) && name_of(nat.tags()).starts_with(&prefix)
        };
        let candidates: Vec<&ec2::NatGateway> = self.nats.iter().filter(is_candidate).collect();
        if candidates.is_empty() {
            return Ok(candidates);
        }
        let ids: BTreeSet<&str> = candidates.iter().filter_map(|nat| nat.subnet_id()).collect();
        let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
        let subnets = read::subnets(ctx, &ids, &[]).await?;
        let is_ours = |nat: &&ec2::NatGateway| {
            let subnet = subnets.iter().find(|subnet| subnet.subnet_id() == nat.subnet_id());
            let zone = subnet.and_then(|subnet| subnet.availability_zone());
            zone.is_some_and(|zone| is_named(nat.tags(), &format!("{prefix}{zone}")))
        };
        Ok(candidates.into_iter().filter(is_ours).collect())
    }

    async fn remove(&self, ctx: &Ctx, nat: &ec2::NatGateway) -> Result<(), Error> {
        let id = nat.nat_gateway_id().unwrap_or_default();
        let undo = Undo::impossible(format!("bring back nat gateway {id}"));
        nat_gateway::delete(ctx, id, true, Some(undo)).await?;
        let has_name = |address: &&ec2::Address| is_named(address.tags(), name_of(nat.tags()));
        let allocated = nat.nat_gateway_addresses().iter().filter_map(|address| address.allocation_id());
        for allocation_id in allocated {
            // An address that was given stays with its owner.
            let address = self.addresses.iter().find(|address| address.allocation_id() == Some(allocation_id));
            if let Some(address) = address.filter(has_name) {
                let undo = format!("bring back address {}", address.public_ip().unwrap_or(allocation_id));
                address::release(ctx, allocation_id, Some(Undo::impossible(undo))).await?;
            }
        }
        ctx.did(Change::Deleted, [changed("nat_gateway_id", id, Value::Null)]);
        Ok(())
    }
}
