//! Elastic IP addresses of the stack: allocated, found again, released.

use aws_sdk_ec2::types::{Address, DomainType, ResourceType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    common::{IN_USE, LET_GO, filter, is_named, is_of_stack},
    read,
};
use crate::{
    ops::{Error, arguments, ec2_tags, outcome::deleted, ownership::Owned, require},
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// What is kept of an allocated address.
#[derive(Serialize, Deserialize)]
struct Made {
    allocation_id: String,
}

/// Allocates an address. Returns its allocation id.
pub async fn allocate(ctx: &Ctx, owned: &Owned, keep: bool) -> Result<String, Error> {
    let name = &owned.name;
    let declared = Mutation::new("ec2:AllocateAddress", Class::Unique, format!("address {name}"))
        .look_up(&FREE_ADDRESS_BY_NAME, json!({ "name": name, "stack": owned.stack }))
        .undo(Undo::new(&RELEASE_ADDRESS, format!("release address {name}"), json!({})).keep(keep));
    let made = ctx
        .mutate(
            declared,
            |permit| {
                ctx.aws()
                    .ec2
                    .allocate_address()
                    .domain(DomainType::Vpc)
                    .tag_specifications(ec2_tags::specification(ResourceType::ElasticIp, owned))
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| Ok(Made { allocation_id: require("ec2:AllocateAddress", "allocationId", reply.allocation_id())? }),
        )
        .await?;
    Ok(made.allocation_id)
}

/// The one of `addresses` that a run of this stack allocated under that name, and that nothing uses.
pub fn free<'a>(addresses: &'a [Address], name: &str, stack: &str) -> Option<&'a Address> {
    let is_free = |address: &&Address| {
        is_named(address.tags(), name) && is_of_stack(address.tags(), stack) && address.association_id().is_none()
    };
    addresses.iter().find(is_free)
}

/// Finds an address by the tags it was allocated with.
pub const FREE_ADDRESS_BY_NAME: LookUp =
    LookUp { name: "free_address_by_name", run: |ctx, arguments| Box::pin(free_address_by_name(ctx, arguments)) };

#[derive(Deserialize)]
struct ByName {
    name: String,
    stack: String,
}

async fn free_address_by_name(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByName { name, stack } = arguments(wanted)?;
    let addresses = read::addresses(ctx, &[filter("tag:Name", &name)]).await?;
    Ok(free(&addresses, &name, &stack).map(|address| json!({ "allocation_id": address.allocation_id() })))
}

/// Releases an address this run allocated.
pub const RELEASE_ADDRESS: UndoAction =
    UndoAction { name: "release_address", run: |ctx, arguments| Box::pin(release_address(ctx, arguments)) };

async fn release_address(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { allocation_id } = arguments(made)?;
    release(ctx, &allocation_id, None).await
}

/// Releases an address, as soon as the NAT gateway that has it is gone.
pub async fn release(ctx: &Ctx, allocation_id: &str, undo: Option<Undo>) -> Result<Undone, Error> {
    let declared = Mutation::new("ec2:ReleaseAddress", Class::Idempotent, allocation_id).undo(undo);
    let declared = declared.patiently(IN_USE, LET_GO);
    let released = ctx.change(declared, |permit| {
        ctx.aws().ec2.release_address().allocation_id(allocation_id).customize().interceptor(permit).send()
    });
    deleted(released.await, &["InvalidAllocationID.NotFound"])
}
