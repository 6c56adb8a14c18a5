//! `ensure_internet_gateway`: the door of a VPC.

use aws_sdk_ec2::types::{self as ec2, ResourceType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    InternetGateway, Vpc,
    common::{IN_USE, LET_GO, filter, is_named, is_of_stack, only},
    read, shared,
};
use crate::{
    event::Change,
    ops::{
        Error, IdOf, Operation, Tags, arguments, ec2_tags,
        outcome::{deleted, fixed, report},
        ownership::{Owned, changed, set},
        require,
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that a VPC has an internet gateway. A VPC can have one only: one that is attached and is not the stack's
/// is refused, or taken over with `adopt: true`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureInternetGateway {
    /// What the stack calls it; AWS shows `<stack>-<name>`.
    name: String,
    /// The VPC it is attached to.
    vpc_id: IdOf<Vpc>,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over the gateway of the VPC, should the stack not own it.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// What is kept of a created gateway.
#[derive(Serialize, Deserialize)]
struct Made {
    internet_gateway_id: String,
}

impl Operation for EnsureInternetGateway {
    const NAME: &'static str = "ensure_internet_gateway";
    const AREA: &'static str = "VPC";
    const EXAMPLE: &'static str = r#"ensure_internet_gateway(#{ name: "main", vpc_id: vpc })"#;

    type Options = Self;
    type Handle = InternetGateway;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<InternetGateway, Error> {
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let vpc_id = options.vpc_id.as_str();
        let gateways = shared::internet_gateways(ctx).await?;
        let (attached, named) = (attached_to(gateways.clone(), vpc_id)?, named(gateways, &owned.name)?);
        let internet_gateway_id = match attached.or(named) {
            Some(gateway) => converge(ctx, &options, &owned, &gateway).await?,
            None => {
                let Made { internet_gateway_id } = create(ctx, &options, &owned).await?;
                attach(ctx, &options, &internet_gateway_id, options.keep_on_rollback).await?;
                let fields = [set("internet_gateway_id", internet_gateway_id.clone()), set("vpc_id", vpc_id)];
                ctx.did(Change::Created, fields);
                internet_gateway_id
            }
        };
        Ok(InternetGateway { internet_gateway_id, vpc_id: vpc_id.to_owned(), name: owned.name })
    }
}

fn vpc_of(gateway: &ec2::InternetGateway) -> Option<&str> {
    gateway.attachments().first().and_then(|attachment| attachment.vpc_id())
}

fn attached_to(mut found: Vec<ec2::InternetGateway>, vpc_id: &str) -> Result<Option<ec2::InternetGateway>, Error> {
    found.retain(|gateway| vpc_of(gateway) == Some(vpc_id));
    only(&format!("internet gateway of {vpc_id}"), found, ec2::InternetGateway::internet_gateway_id)
}

fn named(mut found: Vec<ec2::InternetGateway>, name: &str) -> Result<Option<ec2::InternetGateway>, Error> {
    found.retain(|gateway| is_named(gateway.tags(), name));
    only(&format!("internet gateway {name}"), found, ec2::InternetGateway::internet_gateway_id)
}

async fn converge(
    ctx: &Ctx,
    options: &EnsureInternetGateway,
    owned: &Owned,
    gateway: &ec2::InternetGateway,
) -> Result<String, Error> {
    let id: String = require("ec2:DescribeInternetGateways", "internetGatewayId", gateway.internet_gateway_id())?;
    let resource = format!("internet gateway {} ({id})", owned.name);
    let tags = ec2_tags::from_ec2(gateway.tags());
    owned.check(&resource, &tags, options.adopt)?;
    let vpc_id = options.vpc_id.as_str();
    let mut fields = Vec::new();
    match vpc_of(gateway) {
        Some(attached) => fixed(&resource, "vpc_id", attached, vpc_id)?,
        None => {
            // What this run has made is kept with what belongs to it, also if it was interrupted in between.
            let keep = options.keep_on_rollback && ctx.has_made_id(&id);
            attach(ctx, options, &id, keep).await?;
            fields.push(changed("vpc_id", Value::Null, vpc_id));
        }
    }
    fields.extend(ec2_tags::converge(ctx, &id, owned, &tags).await?);
    report(ctx, fields);
    Ok(id)
}

async fn create(ctx: &Ctx, options: &EnsureInternetGateway, owned: &Owned) -> Result<Made, Error> {
    let name = &owned.name;
    let undo = Undo::new(&DELETE_INTERNET_GATEWAY, format!("delete internet gateway {name}"), json!({}));
    let declared = Mutation::new("ec2:CreateInternetGateway", Class::Unique, format!("internet gateway {name}"))
        .look_up(&INTERNET_GATEWAY_BY_NAME, json!({ "name": name, "stack": owned.stack }))
        .undo(undo.keep(options.keep_on_rollback));
    ctx.mutate(
        declared,
        |permit| {
            ctx.aws()
                .ec2
                .create_internet_gateway()
                .tag_specifications(ec2_tags::specification(ResourceType::InternetGateway, owned))
                .customize()
                .interceptor(permit)
                .send()
        },
        |reply| {
            let id = reply.internet_gateway().and_then(|gateway| gateway.internet_gateway_id());
            let internet_gateway_id = require("ec2:CreateInternetGateway", "internetGateway.internetGatewayId", id)?;
            Ok(Made { internet_gateway_id })
        },
    )
    .await
}

/// Unique, not idempotent: attached again, it is `Resource.AlreadyAssociated`.
async fn attach(ctx: &Ctx, options: &EnsureInternetGateway, id: &str, keep: bool) -> Result<(), Error> {
    let vpc_id = options.vpc_id.as_str();
    let attachment = json!({ "internet_gateway_id": id, "vpc_id": vpc_id });
    let undo = Undo::new(&DETACH_INTERNET_GATEWAY, format!("detach {id} from {vpc_id}"), attachment.clone());
    let declared = Mutation::new("ec2:AttachInternetGateway", Class::Unique, format!("{id} to {vpc_id}"))
        .look_up(&INTERNET_GATEWAY_ATTACHED, attachment)
        .undo(undo.keep(keep));
    ctx.change(declared, |permit| {
        ctx.aws()
            .ec2
            .attach_internet_gateway()
            .internet_gateway_id(id)
            .vpc_id(vpc_id)
            .customize()
            .interceptor(permit)
            .send()
    })
    .await
}

/// Finds an internet gateway by the tags it was created with.
pub const INTERNET_GATEWAY_BY_NAME: LookUp = LookUp {
    name: "internet_gateway_by_name",
    run: |ctx, arguments| Box::pin(internet_gateway_by_name(ctx, arguments)),
};

#[derive(Deserialize)]
struct ByName {
    name: String,
    stack: String,
}

async fn internet_gateway_by_name(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByName { name, stack } = arguments(wanted)?;
    let found = named(read::internet_gateways(ctx, &[filter("tag:Name", &name)]).await?, &name)?;
    let found = found.filter(|gateway| is_of_stack(gateway.tags(), &stack));
    Ok(found.map(|gateway| json!({ "internet_gateway_id": gateway.internet_gateway_id() })))
}

#[derive(Deserialize)]
struct Attachment {
    internet_gateway_id: String,
    vpc_id: String,
}

/// Finds out whether an internet gateway was attached.
pub const INTERNET_GATEWAY_ATTACHED: LookUp = LookUp {
    name: "internet_gateway_attached",
    run: |ctx, arguments| Box::pin(internet_gateway_attached(ctx, arguments)),
};

async fn internet_gateway_attached(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let Attachment { internet_gateway_id, vpc_id } = arguments(wanted)?;
    let attached = read::internet_gateways(ctx, &[filter("attachment.vpc-id", &vpc_id)]).await?;
    let attached = attached_to(attached, &vpc_id)?;
    let is_it = attached.is_some_and(|gateway| gateway.internet_gateway_id() == Some(&internet_gateway_id));
    Ok(is_it.then_some(Value::Null))
}

/// Detaches an internet gateway this run attached.
pub const DETACH_INTERNET_GATEWAY: UndoAction = UndoAction {
    name: "detach_internet_gateway",
    run: |ctx, arguments| Box::pin(detach_internet_gateway(ctx, arguments)),
};

async fn detach_internet_gateway(ctx: &Ctx, attachment: Value) -> Result<Undone, Error> {
    let Attachment { internet_gateway_id, vpc_id } = arguments(attachment)?;
    // Refused while anything in the VPC has a public address: NAT gateways keep theirs for a minute.
    let declared =
        Mutation::new("ec2:DetachInternetGateway", Class::Idempotent, &internet_gateway_id).patiently(IN_USE, LET_GO);
    let detached = ctx.change(declared, |permit| {
        ctx.aws()
            .ec2
            .detach_internet_gateway()
            .internet_gateway_id(&internet_gateway_id)
            .vpc_id(&vpc_id)
            .customize()
            .interceptor(permit)
            .send()
    });
    deleted(detached.await, &["Gateway.NotAttached", "InvalidInternetGatewayID.NotFound", "InvalidVpcID.NotFound"])
}

/// Deletes an internet gateway this run made.
pub const DELETE_INTERNET_GATEWAY: UndoAction = UndoAction {
    name: "delete_internet_gateway",
    run: |ctx, arguments| Box::pin(delete_internet_gateway(ctx, arguments)),
};

async fn delete_internet_gateway(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { internet_gateway_id: id } = arguments(made)?;
    let declared = Mutation::new("ec2:DeleteInternetGateway", Class::Idempotent, &id).patiently(IN_USE, LET_GO);
    let deletion = ctx.change(declared, |permit| {
        ctx.aws().ec2.delete_internet_gateway().internet_gateway_id(&id).customize().interceptor(permit).send()
    });
    deleted(deletion.await, &["InvalidInternetGatewayID.NotFound"])
}
