//! `ensure_network_acl`: what may pass the border of subnets.

use aws_sdk_ec2::types::{self as ec2, ResourceType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    NetworkAcl, Subnets, Vpc,
    common::{IN_USE, LET_GO, has_tags, is_named, only, tag_filters},
    network_acl_association as association,
    network_acl_rule::{self as rule, RuleOptions, Rules},
    read,
    setting::Undoing,
    shared,
};
use crate::{
    event::{Change, Field},
    ops::{
        Error, IdOf, IdsOf, Operation, Tags, Together, arguments, ec2_tags,
        outcome::{deleted, report},
        ownership::{MadeBy, Owned, set},
        require,
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that a VPC has this network ACL, that it has these rules and no others, and that these subnets have it.
/// It knows no connections: replies need a rule of their own, usually for ports 1024 to 65535. What no rule decides is
/// denied.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureNetworkAcl {
    /// What the stack calls it; AWS shows `<stack>-<name>`.
    name: String,
    /// The VPC it is in.
    vpc_id: IdOf<Vpc>,
    /// The subnets that have it, and no others: one that had another of the stack changes over, one that is not listed
    /// goes back to the VPC's default ACL. If left out, the subnets that have it are left alone.
    subnet_ids: Option<IdsOf<Subnets>>,
    /// What may come in, in order.
    #[serde(default)]
    ingress: Vec<RuleOptions>,
    /// What may go out, in order.
    #[serde(default)]
    egress: Vec<RuleOptions>,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a network ACL of this name that the stack does not own, and subnets that have one of others.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place, with its subnets, when the run that made it is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// What is kept of a created ACL.
#[derive(Serialize, Deserialize)]
struct Made {
    network_acl_id: String,
}

impl Operation for EnsureNetworkAcl {
    const NAME: &'static str = "ensure_network_acl";
    const AREA: &'static str = "VPC";
    const EXAMPLE: &'static str = r#"ensure_network_acl(#{
    name: "data", vpc_id: vpc, subnet_ids: data,
    ingress: [#{ protocol: "tcp", port: 5432, cidr_block: "10.20.0.0/16" }],
    egress: [#{ protocol: "tcp", from_port: 1024, to_port: 65535, cidr_block: "10.20.0.0/16" }],
})"#;

    type Options = Self;
    type Handle = NetworkAcl;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<NetworkAcl, Error> {
        let ingress = rule::wanted("ingress", &options.ingress)?;
        let egress = rule::wanted("egress", &options.egress)?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let vpc_id = options.vpc_id.as_str();
        // All of the VPC: the others show which subnets they have.
        let acls = shared::network_acls_of(ctx, vpc_id).await?;
        let named = acls.iter().filter(|acl| is_named(acl.tags(), &owned.name)).collect();
        let found = only(&format!("network acl {}", owned.name), named, |acl| acl.network_acl_id())?;
        let subnets = options.subnet_ids.as_ref().map(IdsOf::as_slice);
        // The subnets of an ACL that is kept stay with it.
        let undoing = if found.is_none() && options.keep_on_rollback { Undoing::Keep } else { Undoing::Yes };
        let subnets = association::Wanted { subnets, owned: &owned, adopt: options.adopt, undoing };
        association::check(&acls, &subnets)?;
        let present = |egress| found.map(|acl| rule::of_acl(acl, egress)).unwrap_or_default();
        let [present_in, present_out] = [false, true].map(present);
        let network_acl_id = match found {
            Some(acl) => {
                let id: String = require("ec2:DescribeNetworkAcls", "networkAclId", acl.network_acl_id())?;
                let tags = ec2_tags::from_ec2(acl.tags());
                owned.check(&format!("network acl {} ({id})", owned.name), &tags, options.adopt)?;
                let (mut fields, changes, moved) = futures::join!(
                    ec2_tags::converge(ctx, &id, &owned, &tags),
                    both(ctx, &id, [&present_in, &present_out], [&ingress, &egress], Undoing::Yes),
                    association::converge(ctx, &id, &acls, &subnets),
                )
                .together()?;
                fields.extend(changes);
                fields.extend(moved);
                report(ctx, fields);
                id
            }
            None => {
                let Made { network_acl_id: id } = create(ctx, &options, &owned).await?;
                // First its rules, without which nothing passes; they go with it and need no undo.
                both(ctx, &id, [&present_in, &present_out], [&ingress, &egress], Undoing::No).await?;
                association::converge(ctx, &id, &acls, &subnets).await?;
                ctx.did(Change::Created, [set("network_acl_id", id.clone())]);
                id
            }
        };
        Ok(NetworkAcl { network_acl_id, vpc_id: vpc_id.to_owned(), name: owned.name })
    }
}

/// Converges what comes in and what goes out.
async fn both(
    ctx: &Ctx,
    acl: &str,
    found: [&Rules; 2],
    wanted: [&Rules; 2],
    undoing: Undoing,
) -> Result<Vec<Field>, Error> {
    let (mut ingress, egress) = futures::join!(
        rule::converge(ctx, acl, false, found[0], wanted[0], undoing),
        rule::converge(ctx, acl, true, found[1], wanted[1], undoing),
    )
    .together()?;
    ingress.extend(egress);
    Ok(ingress)
}

async fn create(ctx: &Ctx, options: &EnsureNetworkAcl, owned: &Owned) -> Result<Made, Error> {
    let name = &owned.name;
    let undo = Undo::new(&DELETE_NETWORK_ACL, format!("delete network acl {name}"), json!({}));
    let declared = Mutation::new("ec2:CreateNetworkAcl", Class::Token, format!("network acl {name}"))
        .look_up(&NETWORK_ACL_BY_TAGS, json!(owned.made()))
        .undo(undo.keep(options.keep_on_rollback));
    ctx.mutate(
        declared,
        |permit| {
            ctx.aws()
                .ec2
                .create_network_acl()
                .client_token(permit.token())
                .vpc_id(options.vpc_id.as_str())
                .tag_specifications(ec2_tags::specification(ResourceType::NetworkAcl, owned))
                .customize()
                .interceptor(permit)
                .send()
        },
        |reply| {
            let id = reply.network_acl().and_then(ec2::NetworkAcl::network_acl_id);
            Ok(Made { network_acl_id: require("ec2:CreateNetworkAcl", "networkAcl.networkAclId", id)? })
        },
    )
    .await
}

/// Finds a network ACL by the tags it was created with.
pub const NETWORK_ACL_BY_TAGS: LookUp =
    LookUp { name: "network_acl_by_tags", run: |ctx, arguments| Box::pin(network_acl_by_tags(ctx, arguments)) };

async fn network_acl_by_tags(ctx: &Ctx, made: Value) -> Result<Option<Value>, Error> {
    let MadeBy(tags) = arguments(made)?;
    let mut found = read::network_acls(ctx, &[], &tag_filters(&tags)).await?;
    found.retain(|acl| has_tags(acl.tags(), &tags));
    Ok(found.first().map(|acl| json!({ "network_acl_id": acl.network_acl_id() })))
}

/// Deletes a network ACL this run made.
pub const DELETE_NETWORK_ACL: UndoAction =
    UndoAction { name: "delete_network_acl", run: |ctx, arguments| Box::pin(delete_network_acl(ctx, arguments)) };

async fn delete_network_acl(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { network_acl_id: id } = arguments(made)?;
    let declared = Mutation::new("ec2:DeleteNetworkAcl", Class::Idempotent, &id).patiently(IN_USE, LET_GO);
    let deletion = ctx.change(declared, |permit| {
        ctx.aws().ec2.delete_network_acl().network_acl_id(&id).customize().interceptor(permit).send()
    });
    deleted(deletion.await, &["InvalidNetworkAclID.NotFound"])
}
