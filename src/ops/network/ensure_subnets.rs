//! `ensure_subnets`: the subnets of one tier, one per availability zone.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{self as ec2, AttributeBooleanValue, ResourceType, SubnetState};
use ipnet::Ipv4Net;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Subnet, Subnets, Vpc,
    carve::{Length, Range},
    common::{IN_USE, LET_GO, filter, is_named, is_of_stack, only},
    read, shared,
    subnets::TIER_TAG,
    zones::{self, Zones},
};
use crate::{
    event::Change,
    ops::{
        Cidr, Error, IdOf, Operation, Tags, Together, all_of, arguments, ec2_tags,
        outcome::{deleted, fixed, nothing_to_undo, report},
        ownership::{Owned, changed, set},
        require,
    },
    run::{Class, Ctx, LookUp, Mutation, Seen, Undo, UndoAction, Undone, Wait},
};

/// Makes sure that a VPC has the subnets of a tier, one in each availability zone. Their blocks are given, or cut from
/// the VPC's range: the first that are free. Subnets in zones that are no longer asked for are left alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureSubnets {
    /// The VPC they are in.
    vpc_id: IdOf<Vpc>,
    /// What they are for: `public`, `private`, or any other word. It becomes the tag `Tier`. The tier alone does not
    /// route anything: see `ensure_route_table`.
    tier: String,
    /// What the stack calls them, if not by their tier; AWS shows `<stack>-<name>-<availability zone>`.
    name: Option<String>,
    /// How many availability zones, the first by name, or a list of names.
    availability_zones: Zones,
    /// One IPv4 block for each zone, instead of cutting them from the VPC's range.
    cidr_blocks: Option<Vec<Cidr<Ipv4Net>>>,
    /// The length of the blocks that are cut: 24 for a `/24` each.
    prefix_length: Option<u8>,
    /// The length of the blocks that are cut, counted from the VPC's: 8 for a `/24` each in a `/16`. Four, if neither
    /// this nor another way to choose blocks is given.
    new_bits: Option<u8>,
    /// Whether instances get a public address. By default those of the tier `public` do.
    map_public_ip_on_launch: Option<bool>,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over subnets of these names that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves them in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// What is kept of a created subnet.
#[derive(Serialize, Deserialize)]
struct Made {
    subnet_id: String,
}

/// Where one of the subnets should be, and what is there.
struct Place {
    zone: String,
    owned: Owned,
    found: Option<ec2::Subnet>,
    /// Its block, if one was given or cut.
    block: Option<Ipv4Net>,
}

impl Operation for EnsureSubnets {
    const NAME: &'static str = "ensure_subnets";
    const AREA: &'static str = "VPC";
    const EXAMPLE: &'static str =
        r#"ensure_subnets(#{ vpc_id: vpc, tier: "public", availability_zones: 3, prefix_length: 24 })"#;

    type Options = Self;
    type Handle = Subnets;

    fn subject(options: &Self) -> String {
        options.name().to_owned()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Subnets, Error> {
        let (given, length) = (options.given_blocks()?, options.length()?);
        let vpc_id = options.vpc_id.as_str();
        let (whole, existing) = futures::join!(range_of(ctx, vpc_id), shared::subnets_of(ctx, vpc_id)).together()?;
        let zones = options.candidates(ctx, &existing).await?;
        let taken = existing.iter().filter_map(|subnet| subnet.cidr_block()?.parse().ok()).collect();
        let range = Range::new(whole, length, taken);
        let mut places = options.places(ctx, zones, &existing, given)?;
        // All blocks are cut before anything is under way, in the order of the zones.
        for place in places.iter_mut().filter(|place| place.found.is_none() && place.block.is_none()) {
            place.block = Some(range.carve()?);
        }
        let subnets = places.iter().map(async |place| match &place.found {
            Some(subnet) => converge(ctx, &options, place, subnet, &range).await,
            None => create(ctx, &options, place, &range).await,
        });
        let subnets = all_of(subnets).await?;
        let new = places.iter().zip(&subnets).filter(|(place, _)| place.found.is_none());
        wait_available(ctx, &new.map(|(_, subnet)| subnet.subnet_id.clone()).collect::<Vec<_>>()).await?;
        Ok(Subnets::new(vpc_id, subnets))
    }
}

impl EnsureSubnets {
    fn name(&self) -> &str {
        self.name.as_ref().unwrap_or(&self.tier)
    }

    fn is_mapping_public_ip(&self) -> bool {
        self.map_public_ip_on_launch.unwrap_or(self.tier == "public")
    }

    fn given_blocks(&self) -> Result<Option<Vec<Ipv4Net>>, Error> {
        let Some(blocks) = &self.cidr_blocks else { return Ok(None) };
        let zones = match &self.availability_zones {
            Zones::Count(count) => *count,
            Zones::Names(names) => names.len(),
        };
        if blocks.len() != zones {
            let message =
                format!("expected a block for each of the {zones} availability zones, found {}", blocks.len());
            return Err(Error::option("cidr_blocks", message));
        }
        Ok(Some(blocks.iter().map(|block| block.0).collect()))
    }

    fn length(&self) -> Result<Length, Error> {
        match (&self.cidr_blocks, self.prefix_length, self.new_bits) {
            (_, None, None) => Ok(Length::Default),
            (None, Some(length), None) => Ok(Length::Prefix(length)),
            (None, None, Some(bits)) => Ok(Length::NewBits(bits)),
            (_, Some(_), _) => Err(Error::option("prefix_length", ONE_WAY)),
            (_, None, Some(_)) => Err(Error::option("new_bits", ONE_WAY)),
        }
    }

    /// The zones to choose from. Those that are named need no look: AWS knows them. Nor do those of subnets that are there,
    /// if there are enough of them: a network stays where it is.
    async fn candidates(&self, ctx: &Ctx, existing: &[ec2::Subnet]) -> Result<Vec<String>, Error> {
        let count = match &self.availability_zones {
            Zones::Names(names) => return Ok(names.clone()),
            Zones::Count(count) => *count,
        };
        let mut in_use = BTreeSet::new();
        for subnet in existing {
            let zone = subnet.availability_zone().unwrap_or_default();
            if is_named(subnet.tags(), &self.owned(ctx, zone)?.name) {
                in_use.insert(zone.to_owned());
            }
        }
        if in_use.len() >= count { Ok(in_use.into_iter().collect()) } else { shared::zones(ctx).await }
    }

    fn owned(&self, ctx: &Ctx, zone: &str) -> Result<Owned, Error> {
        let mut tags = self.tags.clone();
        tags.0.entry(TIER_TAG.to_owned()).or_insert_with(|| self.tier.clone());
        Owned::new(ctx, &format!("{}-{zone}", self.name()), &tags)
    }

    fn places(
        &self,
        ctx: &Ctx,
        zones: Vec<String>,
        existing: &[ec2::Subnet],
        given: Option<Vec<Ipv4Net>>,
    ) -> Result<Vec<Place>, Error> {
        let place = |zone: String| {
            let owned = self.owned(ctx, &zone)?;
            let found = existing.iter().filter(|subnet| is_named(subnet.tags(), &owned.name)).cloned().collect();
            let found = only(&format!("subnet {}", owned.name), found, ec2::Subnet::subnet_id)?;
            Ok(Place { zone, owned, found, block: None })
        };
        let mut places = zones.into_iter().map(place).collect::<Result<Vec<_>, Error>>()?;
        if let Zones::Count(count) = self.availability_zones {
            places = zones::pick(count, places, |place| place.found.is_some(), |place| &place.zone)?;
        }
        for (place, block) in places.iter_mut().zip(given.unwrap_or_default()) {
            place.block = Some(block);
        }
        Ok(places)
    }
}

const ONE_WAY: &str = "`cidr_blocks`, `prefix_length` and `new_bits` exclude each other";

async fn range_of(ctx: &Ctx, vpc_id: &str) -> Result<Ipv4Net, Error> {
    let block = shared::vpc(ctx, vpc_id).await?.and_then(|vpc| vpc.cidr_block()?.parse().ok());
    block.ok_or(Error::Reply { call: "ec2:DescribeVpcs", member: "cidrBlock" })
}

async fn converge(
    ctx: &Ctx,
    options: &EnsureSubnets,
    place: &Place,
    found: &ec2::Subnet,
    range: &Range,
) -> Result<Subnet, Error> {
    let subnet = Subnet::from_ec2("ec2:DescribeSubnets", found)?;
    let (id, owned) = (&subnet.subnet_id, &place.owned);
    let resource = format!("subnet {} ({id})", owned.name);
    let tags = ec2_tags::from_ec2(found.tags());
    owned.check(&resource, &tags, options.adopt)?;
    fixed(&resource, "availability_zone", &subnet.availability_zone, &place.zone)?;
    let present: Option<Ipv4Net> = subnet.cidr_block.parse().ok();
    if let Some(block) = place.block {
        fixed(&resource, "cidr_block", &subnet.cidr_block, &block.to_string())?;
    } else if options.length()? != Length::Default && present.is_some_and(|it| it.prefix_len() != range.prefix_length())
    {
        fixed(&resource, "cidr_block", &subnet.cidr_block, &format!("a block of /{}", range.prefix_length()))?;
    }
    let mut fields = ec2_tags::converge(ctx, id, owned, &tags).await?;
    let (present, wanted) = (found.map_public_ip_on_launch().unwrap_or(false), options.is_mapping_public_ip());
    if present != wanted {
        let undo = Undo::new(
            &RESTORE_MAP_PUBLIC_IP,
            format!("set map_public_ip_on_launch of {resource} back to {present}"),
            json!({ "subnet_id": id, "before": present, "ours": wanted }),
        );
        // One that this run has made goes as a whole, or stays as a whole, also if the run was interrupted in between.
        let undo = (!ctx.has_made_id(id)).then_some(undo);
        map_public_ip(ctx, id, wanted, undo).await?;
        fields.push(changed("map_public_ip_on_launch", present, wanted));
    }
    report(ctx, fields);
    Ok(subnet)
}

async fn create(ctx: &Ctx, options: &EnsureSubnets, place: &Place, range: &Range) -> Result<Subnet, Error> {
    let mut block = match place.block {
        Some(block) => block,
        None => range.carve()?,
    };
    let subnet_id = loop {
        match create_in(ctx, options, place, block).await {
            Ok(Made { subnet_id }) => break subnet_id,
            // Somebody was faster, or what was just made is not listed yet: the next one, if we may choose.
            Err(error) if error.is(&["InvalidSubnet.Conflict"]) && options.cidr_blocks.is_none() => {
                block = range.carve()?;
            }
            Err(error) => return Err(error),
        }
    };
    if options.is_mapping_public_ip() {
        // No undo is needed, the subnet goes as a whole.
        map_public_ip(ctx, &subnet_id, true, None).await?;
    }
    let cidr_block = block.to_string();
    ctx.did(Change::Created, [set("subnet_id", subnet_id.clone()), set("cidr_block", cidr_block.clone())]);
    Ok(Subnet { subnet_id, availability_zone: place.zone.clone(), cidr_block })
}

async fn create_in(ctx: &Ctx, options: &EnsureSubnets, place: &Place, block: Ipv4Net) -> Result<Made, Error> {
    let Place { zone, owned, .. } = place;
    let vpc_id = options.vpc_id.as_str();
    let undo = Undo::new(&DELETE_SUBNET, format!("delete subnet {}", owned.name), json!({}));
    let declared = Mutation::new("ec2:CreateSubnet", Class::Unique, format!("subnet {}", owned.name))
        .look_up(&SUBNET_BY_NAME, json!({ "vpc_id": vpc_id, "name": owned.name, "stack": owned.stack }))
        .undo(undo.keep(options.keep_on_rollback));
    ctx.mutate(
        declared,
        |permit| {
            ctx.aws()
                .ec2
                .create_subnet()
                .vpc_id(vpc_id)
                .cidr_block(block.to_string())
                .availability_zone(zone)
                .tag_specifications(ec2_tags::specification(ResourceType::Subnet, owned))
                .customize()
                .interceptor(permit)
                .send()
        },
        |reply| {
            let subnet_id = reply.subnet().and_then(|subnet| subnet.subnet_id());
            Ok(Made { subnet_id: require("ec2:CreateSubnet", "subnet.subnetId", subnet_id)? })
        },
    )
    .await
}

/// New subnets are `pending` for a moment, and the next operation may want to see them.
async fn wait_available(ctx: &Ctx, subnet_ids: &[String]) -> Result<(), Error> {
    if subnet_ids.is_empty() {
        return Ok(());
    }
    let wait = Wait {
        what: "new subnets to be available".to_owned(),
        timeout: std::time::Duration::from_secs(5 * 60),
        every: std::time::Duration::from_secs(2),
    };
    ctx.wait(wait, async || {
        let subnets = read::subnets(ctx, subnet_ids, &[]).await?;
        let available = subnets.iter().filter(|subnet| subnet.state() == Some(&SubnetState::Available)).count();
        Ok(match available == subnet_ids.len() {
            true => Seen::Ready(()),
            false => Seen::Pending(format!("{available} of {}", subnet_ids.len())),
        })
    })
    .await
}

async fn map_public_ip(ctx: &Ctx, subnet_id: &str, value: bool, undo: Option<Undo>) -> Result<(), Error> {
    let subject = format!("map_public_ip_on_launch of {subnet_id}");
    let mut declared = Mutation::new("ec2:ModifySubnetAttribute", Class::Idempotent, subject);
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    let value = AttributeBooleanValue::builder().value(value).build();
    ctx.change(declared, |permit| {
        ctx.aws()
            .ec2
            .modify_subnet_attribute()
            .subnet_id(subnet_id)
            .map_public_ip_on_launch(value.clone())
            .customize()
            .interceptor(permit)
            .send()
    })
    .await
}

/// Finds a subnet by the tags it was created with.
pub const SUBNET_BY_NAME: LookUp =
    LookUp { name: "subnet_by_name", run: |ctx, arguments| Box::pin(subnet_by_name(ctx, arguments)) };

#[derive(Deserialize)]
struct ByName {
    vpc_id: String,
    name: String,
    stack: String,
}

async fn subnet_by_name(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByName { vpc_id, name, stack } = arguments(wanted)?;
    let mut found = read::subnets(ctx, &[], &[filter("vpc-id", vpc_id), filter("tag:Name", &name)]).await?;
    found.retain(|subnet| is_named(subnet.tags(), &name) && is_of_stack(subnet.tags(), &stack));
    Ok(found.first().map(|subnet| json!({ "subnet_id": subnet.subnet_id() })))
}

/// Deletes a subnet this run made.
pub const DELETE_SUBNET: UndoAction =
    UndoAction { name: "delete_subnet", run: |ctx, arguments| Box::pin(delete_subnet(ctx, arguments)) };

async fn delete_subnet(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { subnet_id } = arguments(made)?;
    let declared = Mutation::new("ec2:DeleteSubnet", Class::Idempotent, &subnet_id).patiently(IN_USE, LET_GO);
    let deletion = ctx.change(declared, |permit| {
        ctx.aws().ec2.delete_subnet().subnet_id(&subnet_id).customize().interceptor(permit).send()
    });
    deleted(deletion.await, &["InvalidSubnetID.NotFound"])
}

/// Sets a changed `map_public_ip_on_launch` back.
pub const RESTORE_MAP_PUBLIC_IP: UndoAction =
    UndoAction { name: "restore_map_public_ip", run: |ctx, arguments| Box::pin(restore_map_public_ip(ctx, arguments)) };

#[derive(Deserialize)]
struct RestoreMapPublicIp {
    subnet_id: String,
    before: bool,
    ours: bool,
}

async fn restore_map_public_ip(ctx: &Ctx, arguments_: Value) -> Result<Undone, Error> {
    let RestoreMapPublicIp { subnet_id, before, ours } = arguments(arguments_)?;
    let subnets = read::subnets(ctx, std::slice::from_ref(&subnet_id), &[]).await?;
    let found = subnets.first().and_then(ec2::Subnet::map_public_ip_on_launch);
    let found: bool = require("ec2:DescribeSubnets", "mapPublicIpOnLaunch", found)?;
    if let Some(undone) = nothing_to_undo(&found, &before, &ours) {
        return Ok(undone);
    }
    map_public_ip(ctx, &subnet_id, before, None).await?;
    Ok(Undone::Done)
}
