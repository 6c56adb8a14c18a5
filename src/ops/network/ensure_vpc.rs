//! `ensure_vpc`: the network everything else is in.

use aws_sdk_ec2::types::{self as ec2, AttributeBooleanValue, ResourceType, Tenancy, VpcAttributeName};
use ipnet::Ipv4Net;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Vpc,
    common::{IN_USE, LET_GO, filter, is_named, is_of_stack, only},
    read, shared,
};
use crate::{
    event::Change,
    ops::{
        Cidr, Error, Operation, Tags, arguments, ec2_tags,
        outcome::{deleted, fixed, nothing_to_undo, report},
        ownership::{Owned, changed, set},
        require,
    },
    run::{Class, Ctx, LookUp, Mutation, Reading, Undo, UndoAction, Undone},
};

/// Makes sure that the stack has a VPC of this name. Its CIDR block cannot be changed later.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureVpc {
    /// What the stack calls it; AWS shows `<stack>-<name>`.
    name: String,
    /// The IPv4 network range, between /16 and /28.
    cidr_block: Cidr<Ipv4Net>,
    /// Whether the Amazon DNS server answers inside the VPC.
    #[serde(default = "yes")]
    enable_dns_support: bool,
    /// Whether instances with public addresses get public DNS names.
    #[serde(default = "yes")]
    enable_dns_hostnames: bool,
    /// `default`, or `dedicated` for instances on hardware of their own.
    #[serde(default)]
    instance_tenancy: InstanceTenancy,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a VPC of this name that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum InstanceTenancy {
    #[default]
    Default,
    Dedicated,
}

impl InstanceTenancy {
    fn to_ec2(self) -> Tenancy {
        match self {
            Self::Default => Tenancy::Default,
            Self::Dedicated => Tenancy::Dedicated,
        }
    }
}

fn yes() -> bool {
    true
}

/// What is kept of a created VPC.
#[derive(Serialize, Deserialize)]
struct Made {
    vpc_id: String,
}

impl Operation for EnsureVpc {
    const NAME: &'static str = "ensure_vpc";
    const AREA: &'static str = "VPC";
    const EXAMPLE: &'static str = r#"ensure_vpc(#{ name: "main", cidr_block: "10.20.0.0/16" })"#;

    type Options = Self;
    type Handle = Vpc;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Vpc, Error> {
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let vpc_id = match named(shared::vpcs(ctx).await?, &owned.name)? {
            Some(vpc) => converge(ctx, &options, &owned, &vpc).await?,
            None => create(ctx, &options, &owned).await?,
        };
        Ok(Vpc { vpc_id, cidr_block: options.cidr_block.to_string(), name: owned.name })
    }
}

fn named(mut vpcs: Vec<ec2::Vpc>, name: &str) -> Result<Option<ec2::Vpc>, Error> {
    vpcs.retain(|vpc| is_named(vpc.tags(), name));
    only(&format!("vpc {name}"), vpcs, ec2::Vpc::vpc_id)
}

async fn create(ctx: &Ctx, options: &EnsureVpc, owned: &Owned) -> Result<String, Error> {
    let name = &owned.name;
    let declared = Mutation::new("ec2:CreateVpc", Class::Unique, format!("vpc {name}"))
        .look_up(&VPC_BY_NAME, json!({ "name": name, "stack": owned.stack }))
        .undo(Undo::new(&DELETE_VPC, format!("delete vpc {name}"), json!({})).keep(options.keep_on_rollback));
    let Made { vpc_id } = ctx
        .mutate(
            declared,
            |permit| {
                ctx.aws()
                    .ec2
                    .create_vpc()
                    .cidr_block(options.cidr_block.to_string())
                    .instance_tenancy(options.instance_tenancy.to_ec2())
                    .tag_specifications(ec2_tags::specification(ResourceType::Vpc, owned))
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| {
                let vpc_id = reply.vpc().and_then(|vpc| vpc.vpc_id());
                Ok(Made { vpc_id: require("ec2:CreateVpc", "vpc.vpcId", vpc_id)? })
            },
        )
        .await?;
    // A new VPC resolves names, and gives none: what differs from that is set. No undo is
    // needed, the VPC goes as a whole.
    for (attribute, wanted, initial) in attributes(options, true, false) {
        if wanted != initial {
            modify_attribute(ctx, &vpc_id, attribute, wanted, None).await?;
        }
    }
    ctx.did(Change::Created, [set("vpc_id", vpc_id.clone()), set("cidr_block", options.cidr_block.to_string())]);
    Ok(vpc_id)
}

async fn converge(ctx: &Ctx, options: &EnsureVpc, owned: &Owned, vpc: &ec2::Vpc) -> Result<String, Error> {
    let vpc_id: String = require("ec2:DescribeVpcs", "vpcId", vpc.vpc_id())?;
    let resource = format!("vpc {} ({vpc_id})", owned.name);
    let tags = ec2_tags::from_ec2(vpc.tags());
    owned.check(&resource, &tags, options.adopt)?;
    fixed(&resource, "cidr_block", vpc.cidr_block().unwrap_or_default(), &options.cidr_block.to_string())?;
    let tenancy = vpc.instance_tenancy().map_or("default", Tenancy::as_str);
    fixed(&resource, "instance_tenancy", tenancy, options.instance_tenancy.to_ec2().as_str())?;

    let DnsAttributes { support, hostnames } = dns_attributes(ctx, &vpc_id).await?;
    let mut fields = ec2_tags::converge(ctx, &vpc_id, owned, &tags).await?;
    for (attribute, wanted, found) in attributes(options, support, hostnames) {
        if wanted != found {
            let before = Undo::new(
                &RESTORE_VPC_ATTRIBUTE,
                format!("set {} of {resource} back to {found}", snake(&attribute)),
                json!({ "vpc_id": vpc_id, "attribute": attribute.as_str(), "before": found, "ours": wanted }),
            );
            modify_attribute(ctx, &vpc_id, attribute.clone(), wanted, Some(before)).await?;
            fields.push(changed(snake(&attribute), found, wanted));
        }
    }
    report(ctx, fields);
    Ok(vpc_id)
}

/// The two attributes: which, wanted, found. Host names need DNS support: that comes first, and goes last, so that the way
/// back, newest first, is a way that AWS takes.
fn attributes(options: &EnsureVpc, support: bool, hostnames: bool) -> [(VpcAttributeName, bool, bool); 2] {
    let support = (VpcAttributeName::EnableDnsSupport, options.enable_dns_support, support);
    let hostnames = (VpcAttributeName::EnableDnsHostnames, options.enable_dns_hostnames, hostnames);
    if options.enable_dns_support { [support, hostnames] } else { [hostnames, support] }
}

fn snake(attribute: &VpcAttributeName) -> &'static str {
    match attribute {
        VpcAttributeName::EnableDnsSupport => "enable_dns_support",
        _ => "enable_dns_hostnames",
    }
}

/// Whether the VPC resolves names, and whether it gives instances names.
#[derive(Clone, Copy)]
pub struct DnsAttributes {
    support: bool,
    hostnames: bool,
}

/// AWS tells one attribute at a time. One that gives names resolves them: neither can be set without that
/// (ModifyVpcAttribute, `EnableDnsHostnames`).
pub async fn dns_attributes(ctx: &Ctx, vpc_id: &str) -> Result<DnsAttributes, Error> {
    const READING: Reading = Reading::new("ec2:DescribeVpcAttribute", &["VpcAttribute"]);
    let read = async || {
        let hostnames = read_attribute(ctx, vpc_id, VpcAttributeName::EnableDnsHostnames).await?;
        let support = hostnames || read_attribute(ctx, vpc_id, VpcAttributeName::EnableDnsSupport).await?;
        Ok(DnsAttributes { support, hostnames })
    };
    ctx.shared(READING, vpc_id, read).await
}

async fn read_attribute(ctx: &Ctx, vpc_id: &str, attribute: VpcAttributeName) -> Result<bool, Error> {
    let reply = ctx
        .read("ec2:DescribeVpcAttribute", || {
            ctx.aws().ec2.describe_vpc_attribute().vpc_id(vpc_id).attribute(attribute.clone()).send()
        })
        .await?;
    let value = match attribute {
        VpcAttributeName::EnableDnsSupport => reply.enable_dns_support(),
        _ => reply.enable_dns_hostnames(),
    };
    require("ec2:DescribeVpcAttribute", "value", value.and_then(AttributeBooleanValue::value))
}

async fn modify_attribute(
    ctx: &Ctx,
    vpc_id: &str,
    attribute: VpcAttributeName,
    value: bool,
    undo: Option<Undo>,
) -> Result<(), Error> {
    let subject = format!("{} of {vpc_id}", snake(&attribute));
    let mut declared = Mutation::new("ec2:ModifyVpcAttribute", Class::Idempotent, subject);
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    let value = AttributeBooleanValue::builder().value(value).build();
    ctx.change(declared, |permit| {
        let request = ctx.aws().ec2.modify_vpc_attribute().vpc_id(vpc_id);
        match attribute {
            VpcAttributeName::EnableDnsSupport => request.enable_dns_support(value.clone()),
            _ => request.enable_dns_hostnames(value.clone()),
        }
        .customize()
        .interceptor(permit)
        .send()
    })
    .await
}

/// Finds a VPC by the tags it was created with.
pub const VPC_BY_NAME: LookUp =
    LookUp { name: "vpc_by_name", run: |ctx, arguments| Box::pin(vpc_by_name(ctx, arguments)) };

#[derive(Deserialize)]
struct ByName {
    name: String,
    stack: String,
}

async fn vpc_by_name(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByName { name, stack } = arguments(wanted)?;
    let found = named(read::vpcs(ctx, &[], &[filter("tag:Name", &name)]).await?, &name)?;
    let found = found.filter(|vpc| is_of_stack(vpc.tags(), &stack));
    Ok(found.map(|vpc| json!({ "vpc_id": vpc.vpc_id() })))
}

/// Deletes a VPC this run made.
pub const DELETE_VPC: UndoAction =
    UndoAction { name: "delete_vpc", run: |ctx, arguments| Box::pin(delete_vpc(ctx, arguments)) };

async fn delete_vpc(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { vpc_id } = arguments(made)?;
    let declared = Mutation::new("ec2:DeleteVpc", Class::Idempotent, &vpc_id).patiently(IN_USE, LET_GO);
    let deletion = ctx
        .change(declared, |permit| ctx.aws().ec2.delete_vpc().vpc_id(&vpc_id).customize().interceptor(permit).send());
    deleted(deletion.await, &["InvalidVpcID.NotFound"])
}

/// Sets a changed attribute back.
pub const RESTORE_VPC_ATTRIBUTE: UndoAction =
    UndoAction { name: "restore_vpc_attribute", run: |ctx, arguments| Box::pin(restore_vpc_attribute(ctx, arguments)) };

#[derive(Deserialize)]
struct RestoreVpcAttribute {
    vpc_id: String,
    attribute: String,
    before: bool,
    ours: bool,
}

async fn restore_vpc_attribute(ctx: &Ctx, arguments_: Value) -> Result<Undone, Error> {
    let RestoreVpcAttribute { vpc_id, attribute, before, ours } = arguments(arguments_)?;
    let attribute = VpcAttributeName::from(attribute.as_str());
    let found = read_attribute(ctx, &vpc_id, attribute.clone()).await?;
    if let Some(undone) = nothing_to_undo(&found, &before, &ours) {
        return Ok(undone);
    }
    modify_attribute(ctx, &vpc_id, attribute, before, None).await?;
    Ok(Undone::Done)
}
