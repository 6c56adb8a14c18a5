//! The route that a call changes: its weights now, and the health of the groups that would get more.

use std::collections::BTreeMap;

use super::known;
use crate::{
    ops::{
        Error,
        load_balancing::route::{self, Route},
        traffic::health,
    },
    policy::{Call, Health, Known, Rules, Share, asked, gaining},
    run::Ctx,
};

/// `None` if the call says nothing about the weights of a route, or no rule asks.
pub async fn changed_by(
    ctx: &Ctx,
    rules: &Rules,
    call: &Call<'_>,
) -> (Option<Known<Vec<Share>>>, BTreeMap<String, Known<Health>>) {
    let nothing = (None, BTreeMap::new());
    if rules.max_weight_step.is_none() && rules.min_healthy.is_none() {
        return nothing;
    }
    let (Some(after), Some(arn)) = (asked(call), call.text("ListenerArn").or(call.text("RuleArn"))) else {
        return nothing;
    };
    let before = known(shares(ctx, arn).await);
    let mut groups = BTreeMap::new();
    if rules.min_healthy.is_some() {
        // Where it is not known what they have, all are taken to gain.
        for group in gaining(before.as_deref().unwrap_or_default(), &after) {
            groups.insert(group.to_owned(), known(health(ctx, group).await));
        }
    }
    (Some(before), groups)
}

async fn shares(ctx: &Ctx, route: &str) -> Result<Vec<Share>, Error> {
    let live = route::live(ctx, &Route::new(route)).await?;
    let share = |share: &crate::ops::load_balancing::action::Share| Share {
        target_group: share.target_group.clone(),
        weight: share.weight.unsigned_abs(),
    };
    Ok(live.answer.target_groups().iter().map(share).collect())
}

async fn health(ctx: &Ctx, target_group: &str) -> Result<Health, Error> {
    let health = health::Health::read(ctx, target_group).await?;
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(Health { healthy: count(health.healthy()), targets: count(health.staying().count()) })
}
