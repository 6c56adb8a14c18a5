//! Where a load balancer is in the network: subnets, security groups, kind of addresses. Each is one call to change.

use std::collections::BTreeSet;

use aws_sdk_elasticloadbalancingv2::types::{IpAddressType, LoadBalancer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{name_in, read};
use crate::{
    event::Field,
    ops::{Error, arguments, outcome::nothing_to_undo, ownership::changed},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// One aspect of the placement.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    Subnets,
    SecurityGroups,
    IpAddressType,
}

impl Aspect {
    fn name(self) -> &'static str {
        match self {
            Self::Subnets => "subnets",
            Self::SecurityGroups => "security_groups",
            Self::IpAddressType => "ip_address_type",
        }
    }

    /// What a load balancer has; the order of ids means nothing.
    fn of(self, found: &LoadBalancer) -> BTreeSet<String> {
        match self {
            Self::Subnets => {
                let zones = found.availability_zones().iter();
                zones.filter_map(|zone| zone.subnet_id().map(str::to_owned)).collect()
            }
            Self::SecurityGroups => found.security_groups().iter().cloned().collect(),
            Self::IpAddressType => found.ip_address_type().map(|kind| kind.as_str().to_owned()).into_iter().collect(),
        }
    }

    async fn set(self, ctx: &Ctx, arn: &str, values: &BTreeSet<String>, undo: Option<Undo>) -> Result<(), Error> {
        let list: Vec<String> = values.iter().cloned().collect();
        let elb = &ctx.aws().elbv2;
        let declare = |call| {
            let declared = Mutation::new(call, Class::Idempotent, format!("{} of {}", self.name(), name_in(arn)));
            match undo {
                Some(undo) => declared.undo(undo),
                None => declared,
            }
        };
        match self {
            Self::Subnets => {
                ctx.change(declare("elasticloadbalancing:SetSubnets"), |permit| {
                    let request = elb.set_subnets().load_balancer_arn(arn).set_subnets(Some(list.clone()));
                    request.customize().interceptor(permit).send()
                })
                .await
            }
            Self::SecurityGroups => {
                ctx.change(declare("elasticloadbalancing:SetSecurityGroups"), |permit| {
                    let request = elb.set_security_groups().load_balancer_arn(arn);
                    request.set_security_groups(Some(list.clone())).customize().interceptor(permit).send()
                })
                .await
            }
            Self::IpAddressType => {
                let kind = IpAddressType::from(list.first().map_or("ipv4", String::as_str));
                ctx.change(declare("elasticloadbalancing:SetIpAddressType"), |permit| {
                    let request = elb.set_ip_address_type().load_balancer_arn(arn).ip_address_type(kind.clone());
                    request.customize().interceptor(permit).send()
                })
                .await
            }
        }
    }
}

/// Sets an aspect that is not as wanted. `None` wants nothing. Returns what changed.
pub async fn converge(
    ctx: &Ctx,
    found: &LoadBalancer,
    aspect: Aspect,
    wanted: Option<BTreeSet<String>>,
) -> Result<Option<Field>, Error> {
    let (arn, before) = (found.load_balancer_arn().unwrap_or_default(), aspect.of(found));
    let Some(ours) = wanted.filter(|wanted| *wanted != before) else { return Ok(None) };
    let undo = Undo::new(
        &RESTORE_PLACEMENT,
        format!("set {} of {} back", aspect.name(), name_in(arn)),
        json!({ "arn": arn, "aspect": aspect, "before": before, "ours": ours }),
    );
    aspect.set(ctx, arn, &ours, Some(undo)).await?;
    Ok(Some(changed(aspect.name(), json!(before), json!(ours))))
}

/// Sets a changed aspect back.
pub const RESTORE_PLACEMENT: UndoAction = UndoAction {
    name: "restore_load_balancer_placement",
    run: |ctx, arguments| Box::pin(restore_placement(ctx, arguments)),
};

#[derive(Deserialize)]
struct RestorePlacement {
    arn: String,
    aspect: Aspect,
    before: BTreeSet<String>,
    ours: BTreeSet<String>,
}

async fn restore_placement(ctx: &Ctx, given: Value) -> Result<Undone, Error> {
    let RestorePlacement { arn, aspect, before, ours } = arguments(given)?;
    let found = match read::load_balancer(ctx, &arn).await {
        Err(error) if error.is(&["LoadBalancerNotFound"]) => return Ok(Undone::Already),
        found => aspect.of(&found?),
    };
    if let Some(undone) = nothing_to_undo(&found, &before, &ours) {
        return Ok(undone);
    }
    aspect.set(ctx, &arn, &before, None).await?;
    Ok(Undone::Done)
}
