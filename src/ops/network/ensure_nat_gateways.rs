//! `ensure_nat_gateways`: how private subnets reach the internet.

use aws_sdk_ec2::types as ec2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    NatGateway, NatGateways, Subnet, Subnets, Vpc, address,
    common::{is_named, only},
    nat_gateway, read, shared,
    surplus_nat_gateways::Surplus,
};
use crate::{
    event::Change,
    ops::{
        Duration, Error, IdOf, IdsOf, Operation, Tags, Together, all_of, ec2_tags,
        outcome::{fixed, report},
        ownership::{Owned, set},
        require,
    },
    run::Ctx,
};

/// Makes sure that a VPC has NAT gateways in its public subnets: one, or one for each availability zone. Each gets an
/// elastic IP address, and is waited for. The VPC needs an internet gateway first.
///
/// From `single` to `per_az` the one that is there stays and the others join it. What a mode no longer asks for is only
/// removed with `replace: true`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureNatGateways {
    /// What the stack calls them; AWS shows `<stack>-<name>-<availability zone>`.
    name: String,
    /// The VPC they are in.
    vpc_id: IdOf<Vpc>,
    /// The public subnets they may be in. With several of one zone, the first is used.
    #[serde(default)]
    subnet_ids: IdsOf<Subnets>,
    /// How many: `single` is one for all zones, `per_az` survives the loss of a zone, `none` makes none.
    #[serde(default)]
    mode: Mode,
    /// Addresses you have, one for each gateway in the order of the zones, instead of new ones.
    #[serde(default)]
    allocation_ids: Vec<String>,
    /// Removes gateways of this name that the mode does not ask for, as soon as no route leads to them, and releases
    /// their addresses. A rollback does not bring them back.
    #[serde(default)]
    replace: bool,
    /// How long to wait until they are available.
    #[serde(default = "ten_minutes")]
    timeout: Duration,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over gateways of these names that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves them in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Single,
    PerAz,
    None,
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

/// Where one of them should be, and what is there.
struct Place<'a> {
    subnet: &'a Subnet,
    owned: Owned,
    found: Option<&'a ec2::NatGateway>,
}

impl Place<'_> {
    fn is_available(&self) -> bool {
        self.found.is_some_and(|nat| nat_gateway::state(nat) == "available")
    }

    fn is_as_wanted(&self) -> bool {
        let is_tagged = |nat: &ec2::NatGateway| self.owned.missing(&ec2_tags::from_ec2(nat.tags())).is_empty();
        self.is_available() && self.found.is_some_and(is_tagged)
    }
}

/// The address a gateway gets.
struct Allocation {
    id: String,
    /// This run's rollback releases it.
    new: bool,
}

impl Operation for EnsureNatGateways {
    const NAME: &'static str = "ensure_nat_gateways";
    const AREA: &'static str = "VPC";
    const EXAMPLE: &'static str =
        r#"ensure_nat_gateways(#{ name: "nat", vpc_id: vpc, subnet_ids: front, mode: "per_az" })"#;

    type Options = Self;
    type Handle = NatGateways;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<NatGateways, Error> {
        if options.subnet_ids.as_slice().is_empty() && options.mode != Mode::None {
            return Err(Error::option("subnet_ids", "expected the public subnets, found none"));
        }
        let stack = ctx.stack()?;
        let vpc_id = options.vpc_id.as_str();
        let (subnets, nats) =
            futures::join!(zoned(ctx, vpc_id, options.subnet_ids.as_slice()), alive(ctx, vpc_id)).together()?;
        let places = options.places(ctx, &subnets, &nats)?;
        options.check(&places)?;
        // Addresses are taken, tagged and released with their gateways.
        let is_as_wanted = nats.len() == places.len() && places.iter().all(Place::is_as_wanted);
        let addresses = if is_as_wanted { Vec::new() } else { shared::addresses_of(ctx, &stack).await? };
        // First all addresses, then all gateways: undone backwards, the gateways go together and are waited for once.
        let allocations = places.iter().enumerate();
        let allocations = allocations.map(async |(index, place)| options.allocate(ctx, place, index, &addresses).await);
        let allocations = all_of(allocations).await?;
        let ids = places.iter().zip(&allocations).map(async |(place, allocation)| match place.found {
            Some(nat) => options.converge(ctx, place, nat, &addresses).await,
            None => options.create(ctx, place, allocation).await,
        });
        let ids = all_of(ids).await?;
        let settled = places.iter().all(Place::is_available);
        let available = match settled {
            true => nats.clone(),
            false => nat_gateway::wait_available(ctx, &ids, options.timeout.0).await?,
        };
        let surplus = Surplus { name: &options.name, vpc_id, wanted: &ids, nats: &nats, addresses: &addresses };
        surplus.see_to(ctx, options.replace).await?;
        handle(vpc_id, &subnets, &places, &ids, &available)
    }
}

impl EnsureNatGateways {
    /// One place, or one for each zone of the subnets.
    fn places<'a>(
        &self,
        ctx: &Ctx,
        subnets: &'a [Subnet],
        nats: &'a [ec2::NatGateway],
    ) -> Result<Vec<Place<'a>>, Error> {
        let mut places: Vec<Place<'a>> = Vec::new();
        for subnet in subnets {
            let owned = Owned::new(ctx, &format!("{}-{}", self.name, subnet.availability_zone), &self.tags)?;
            if places.iter().any(|place| place.subnet.availability_zone == subnet.availability_zone) {
                continue;
            }
            let named: Vec<_> = nats.iter().filter(|nat| is_named(nat.tags(), &owned.name)).collect();
            let found = only(&format!("nat gateway {}", owned.name), named, |nat| nat.nat_gateway_id())?;
            // The one that is there may be in another subnet of the zone.
            let its_subnet =
                subnets.iter().find(|other| found.is_some_and(|nat| nat.subnet_id() == Some(&other.subnet_id)));
            places.push(Place { subnet: its_subnet.unwrap_or(subnet), owned, found });
        }
        match self.mode {
            Mode::PerAz => {}
            Mode::None => places.clear(),
            Mode::Single => {
                let stays = places.iter().position(|place| place.found.is_some()).unwrap_or(0);
                places = places.into_iter().skip(stays).take(1).collect();
            }
        }
        Ok(places)
    }

    fn check(&self, places: &[Place<'_>]) -> Result<(), Error> {
        let given = self.allocation_ids.len();
        if given != 0 && given != places.len() {
            let message = format!("expected an address for each of the {} gateways, found {given}", places.len());
            return Err(Error::option("allocation_ids", message));
        }
        Ok(())
    }

    /// The address for a place: the one its gateway has, the one that was given, one left over by a run that was cut
    /// off, or a new one.
    async fn allocate(
        &self,
        ctx: &Ctx,
        place: &Place<'_>,
        index: usize,
        addresses: &[ec2::Address],
    ) -> Result<Allocation, Error> {
        let owned = &place.owned;
        let present = place.found.and_then(|nat| nat.nat_gateway_addresses().first()?.allocation_id());
        let given = self.allocation_ids.get(index).map(String::as_str);
        if let (Some(present), Some(given)) = (present, given) {
            fixed(&format!("nat gateway {}", owned.name), "allocation_id", present, given)?;
        }
        let left_over = || address::free(addresses, &owned.name, &owned.stack)?.allocation_id();
        match present.or(given).or_else(left_over) {
            Some(id) => Ok(Allocation { id: id.to_owned(), new: false }),
            None => Ok(Allocation { id: address::allocate(ctx, owned, self.keep_on_rollback).await?, new: true }),
        }
    }

    async fn create(&self, ctx: &Ctx, place: &Place<'_>, allocation: &Allocation) -> Result<String, Error> {
        let subnet_id = &place.subnet.subnet_id;
        let keep = self.keep_on_rollback;
        let id = nat_gateway::create(ctx, &place.owned, subnet_id, &allocation.id, allocation.new, keep).await?;
        ctx.did(Change::Created, [set("nat_gateway_id", id.clone()), set("allocation_id", allocation.id.clone())]);
        Ok(id)
    }

    async fn converge(
        &self,
        ctx: &Ctx,
        place: &Place<'_>,
        nat: &ec2::NatGateway,
        addresses: &[ec2::Address],
    ) -> Result<String, Error> {
        let owned = &place.owned;
        let id: String = require("ec2:DescribeNatGateways", "natGatewayId", nat.nat_gateway_id())?;
        let resource = format!("nat gateway {} ({id})", owned.name);
        let tags = ec2_tags::from_ec2(nat.tags());
        owned.check(&resource, &tags, self.adopt)?;
        fixed(&resource, "subnet_id", nat.subnet_id().unwrap_or_default(), &place.subnet.subnet_id)?;
        let its_address = async {
            let allocated = nat.nat_gateway_addresses().first().and_then(|address| address.allocation_id());
            let Some(allocation_id) = allocated else { return Ok(Vec::new()) };
            // One that was given, or adopted, is not ours to tag.
            let address = addresses.iter().find(|address| address.allocation_id() == Some(allocation_id));
            match address.filter(|address| is_named(address.tags(), &owned.name)) {
                Some(address) => {
                    ec2_tags::converge(ctx, allocation_id, owned, &ec2_tags::from_ec2(address.tags())).await
                }
                None => Ok(Vec::new()),
            }
        };
        let (fields, of_address) =
            futures::join!(ec2_tags::converge(ctx, &id, owned, &tags), its_address).together()?;
        report(ctx, if fields.is_empty() { of_address } else { fields });
        Ok(id)
    }
}

/// The given subnets with their zones, in the order of the zones.
async fn zoned(ctx: &Ctx, vpc_id: &str, ids: &[String]) -> Result<Vec<Subnet>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = shared::subnets_of(ctx, vpc_id).await?;
    if !ids.iter().all(|id| found.iter().any(|subnet| subnet.subnet_id() == Some(id))) {
        // AWS says which of them are not there.
        found = read::subnets(ctx, ids, &[]).await?;
    }
    let subnet = |id: &String| {
        let subnet = found.iter().find(|subnet| subnet.subnet_id() == Some(id));
        Subnet::from_ec2(
            "ec2:DescribeSubnets",
            subnet.ok_or(Error::Reply { call: "ec2:DescribeSubnets", member: "subnetId" })?,
        )
    };
    let mut subnets = ids.iter().map(subnet).collect::<Result<Vec<_>, _>>()?;
    subnets.sort_by(|a, b| a.availability_zone.cmp(&b.availability_zone));
    Ok(subnets)
}

/// The gateways of a VPC that are there, or will be. The others are shown for an hour after their end.
async fn alive(ctx: &Ctx, vpc_id: &str) -> Result<Vec<ec2::NatGateway>, Error> {
    let mut nats = shared::nat_gateways_of(ctx, vpc_id).await?;
    nats.retain(|nat| matches!(nat_gateway::state(nat), "pending" | "available"));
    Ok(nats)
}

fn handle(
    vpc_id: &str,
    subnets: &[Subnet],
    places: &[Place<'_>],
    ids: &[String],
    nats: &[ec2::NatGateway],
) -> Result<NatGateways, Error> {
    const CALL: &str = "ec2:DescribeNatGateways";
    let gateway = |(place, id): (&Place<'_>, &String)| {
        let nat = nats.iter().find(|nat| nat.nat_gateway_id() == Some(id));
        let address = nat.and_then(|nat| nat.nat_gateway_addresses().first());
        Ok(NatGateway {
            nat_gateway_id: id.clone(),
            availability_zone: place.subnet.availability_zone.clone(),
            subnet_id: place.subnet.subnet_id.clone(),
            allocation_id: require(CALL, "allocationId", address.and_then(|address| address.allocation_id()))?,
            public_ip: require(CALL, "publicIp", address.and_then(|address| address.public_ip()))?,
        })
    };
    let nat_gateways = places.iter().zip(ids).map(gateway).collect::<Result<Vec<_>, Error>>()?;
    let by_availability_zone = subnets.iter().filter_map(|subnet| {
        let own = nat_gateways.iter().find(|nat| nat.availability_zone == subnet.availability_zone);
        Some((subnet.availability_zone.clone(), own.or(nat_gateways.first())?.nat_gateway_id.clone()))
    });
    Ok(NatGateways {
        nat_gateway_ids: ids.to_vec(),
        by_availability_zone: by_availability_zone.collect(),
        nat_gateways,
        vpc_id: vpc_id.to_owned(),
    })
}
