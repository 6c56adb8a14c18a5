//! Reads what policy has to know of the account before a call leaves: as much as its rules ask for, and not more.
//!
//! It is read anew for each call. What an operation has read before may be hours old, and an operation could be wrong.

mod ec2;
mod fleets;
mod resources;
mod routes;

use std::collections::BTreeMap;

use super::Error;
use crate::{
    policy::{Call, Facts, Known, Policy, Rules},
    run::Ctx,
};

/// What `rules` need to know to judge `call`. `ctx` must not be judged itself.
pub async fn gather(ctx: &Ctx, rules: &Rules, call: &Call<'_>) -> Facts {
    let protects = !rules.protected_names.is_empty() || !rules.protected_tags.is_empty();
    let counts =
        rules.max_instances.is_some() && Policy::fleet_of(call).is_some_and(|fleet| fleet.desired_capacity > 0);
    let resources = async { if protects { resources::changed_by(ctx, call).await } else { BTreeMap::new() } };
    let fleets = async { if counts { Some(known(fleets::of_stack(ctx).await)) } else { None } };
    let (resources, fleets, (shares, health)) = futures::join!(resources, fleets, routes::changed_by(ctx, rules, call));
    Facts { resources, shares, health, fleets }
}

/// What could not be read, in words: policy refuses what it cannot judge.
fn known<T>(read: Result<T, Error>) -> Known<T> {
    read.map_err(|error| error.to_string())
}
