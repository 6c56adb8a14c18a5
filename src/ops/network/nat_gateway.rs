//! One NAT gateway: made, waited for, deleted.

use std::time::Duration;

use aws_sdk_ec2::types::{NatGateway, NatGatewayState, ResourceType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    common::{LET_GO, has_tags, tag_filters},
    read,
};
use crate::{
    ops::{
        Error, all_of, arguments, ec2_tags,
        outcome::deleted,
        ownership::{MadeBy, Owned},
        require,
    },
    run::{Class, Ctx, LookUp, Mutation, Reading, Seen, Undo, UndoAction, Undone, Wait},
};

/// How many a describe is asked about: a page.
const IDS_PER_CALL: usize = 1000;
/// The first time between two looks. AWS says a minute or two passes until one is there or gone.
const EVERY: Duration = Duration::from_secs(5);

/// What is kept of a created NAT gateway.
#[derive(Serialize, Deserialize)]
struct Made {
    nat_gateway_id: String,
}

/// Creates one. If the address is not `ours`, its undo waits until AWS has let go of it: else that of the address does.
pub async fn create(
    ctx: &Ctx,
    owned: &Owned,
    subnet_id: &str,
    allocation_id: &str,
    ours: bool,
    keep: bool,
) -> Result<String, Error> {
    let name = &owned.name;
    let undo = Undo::new(&DELETE_NAT_GATEWAY, format!("delete nat gateway {name}"), json!({ "wait": !ours }));
    let declared = Mutation::new("ec2:CreateNatGateway", Class::Token, format!("nat gateway {name}"))
        .look_up(&NAT_GATEWAY_BY_TAGS, json!(owned.made()))
        .undo(undo.keep(keep));
    let made = ctx
        .mutate(
            declared,
            |permit| {
                ctx.aws()
                    .ec2
                    .create_nat_gateway()
                    .client_token(permit.token())
                    .subnet_id(subnet_id)
                    .allocation_id(allocation_id)
                    .tag_specifications(ec2_tags::specification(ResourceType::Natgateway, owned))
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| {
                let id = reply.nat_gateway().and_then(|nat| nat.nat_gateway_id());
                Ok(Made { nat_gateway_id: require("ec2:CreateNatGateway", "natGateway.natGatewayId", id)? })
            },
        )
        .await?;
    Ok(made.nat_gateway_id)
}

/// Finds a NAT gateway by the tags it was created with.
pub const NAT_GATEWAY_BY_TAGS: LookUp =
    LookUp { name: "nat_gateway_by_tags", run: |ctx, arguments| Box::pin(nat_gateway_by_tags(ctx, arguments)) };

async fn nat_gateway_by_tags(ctx: &Ctx, made: Value) -> Result<Option<Value>, Error> {
    let MadeBy(tags) = arguments(made)?;
    let mut found = read::nat_gateways(ctx, &[], &tag_filters(&tags)).await?;
    found.retain(|nat| has_tags(nat.tags(), &tags) && !matches!(state(nat), "deleting" | "deleted"));
    Ok(found.first().map(|nat| json!({ "nat_gateway_id": nat.nat_gateway_id() })))
}

/// Waits until all are available. One that fails never will be.
pub async fn wait_available(ctx: &Ctx, ids: &[String], timeout: Duration) -> Result<Vec<NatGateway>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let what = format!("nat gateways {} to be available", ids.join(", "));
    ctx.wait(Wait { what: what.clone(), timeout, every: EVERY }, async || {
        let found = all_of(ids.iter().map(|id| look(ctx, id))).await?;
        let found: Vec<NatGateway> = found.into_iter().flatten().collect();
        let broken = found.iter().find(|nat| !matches!(state(nat), "pending" | "available"));
        if let Some(nat) = broken {
            let code = nat.failure_code().unwrap_or_else(|| state(nat));
            let message = nat.failure_message().unwrap_or("no reason given");
            let reason = format!("{}: {code}: {message}", nat.nat_gateway_id().unwrap_or_default());
            return Err(Error::Hopeless { what: what.clone(), reason });
        }
        let available = found.iter().filter(|nat| state(nat) == "available").count();
        Ok(match available == ids.len() {
            true => Seen::Ready(found),
            false => Seen::Pending(format!("{available} of {} available", ids.len())),
        })
    })
    .await
}

/// One of those that are waited for.
async fn look(ctx: &Ctx, id: &str) -> Result<Option<NatGateway>, Error> {
    const READING: Reading = Reading::new("ec2:DescribeNatGateways", &["NatGateway"]);
    let read = |ids: Vec<String>| async move {
        let found = read::nat_gateways(ctx, &ids, &[]).await?.into_iter();
        Ok(found.map(|nat| (nat.nat_gateway_id().unwrap_or_default().to_owned(), nat)).collect())
    };
    ctx.look(READING, id, IDS_PER_CALL, read).await
}

/// Its state, in AWS's word.
pub fn state(nat: &NatGateway) -> &str {
    nat.state().map_or("unknown", NatGatewayState::as_str)
}

/// Deletes a NAT gateway this run made.
pub const DELETE_NAT_GATEWAY: UndoAction =
    UndoAction { name: "delete_nat_gateway", run: |ctx, arguments| Box::pin(delete_nat_gateway(ctx, arguments)) };

#[derive(Deserialize)]
struct Delete {
    nat_gateway_id: String,
    wait: bool,
}

async fn delete_nat_gateway(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Delete { nat_gateway_id, wait } = arguments(made)?;
    delete(ctx, &nat_gateway_id, wait, None).await
}

/// Deletes one. It goes at once, and its interface and address about a minute later: `wait` waits for that.
pub async fn delete(ctx: &Ctx, id: &str, wait: bool, undo: Option<Undo>) -> Result<Undone, Error> {
    let declared = Mutation::new("ec2:DeleteNatGateway", Class::Idempotent, id).undo(undo);
    let deletion = ctx.change(declared, |permit| {
        ctx.aws().ec2.delete_nat_gateway().nat_gateway_id(id).customize().interceptor(permit).send()
    });
    let outcome = deleted(deletion.await, &["NatGatewayNotFound"])?;
    if wait && outcome == Undone::Done {
        let wait = Wait { what: format!("nat gateway {id} to be deleted"), timeout: LET_GO, every: EVERY };
        ctx.wait(wait, async || {
            let found = match read::nat_gateways(ctx, &[id.to_owned()], &[]).await {
                Err(error) if error.is(&["NatGatewayNotFound"]) => Vec::new(),
                other => other?,
            };
            // moto does not show it any more, AWS does for an hour.
            Ok(match found.first().map(state) {
                None | Some("deleted") => Seen::Ready(()),
                Some(other) => Seen::Pending(other.to_owned()),
            })
        })
        .await?;
    }
    Ok(outcome)
}
