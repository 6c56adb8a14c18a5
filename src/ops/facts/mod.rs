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
    policy::{Call, Facts, Known, Policy},
    run::Ctx,
};

/// What `policy` needs to know to judge `call`. `ctx` must not be judged itself.
pub async fn gather(ctx: &Ctx, policy: &Policy, call: &Call<'_>) -> Facts {
    let rules = &policy.rules;
    let protects = !rules.protected_names.is_empty() || !rules.protected_tags.is_empty();
    let counts =
        rules.max_instances.is_some() && Policy::fleet_of(call).is_some_and(|fleet| fleet.desired_capacity > 0);
    let resources = async { if protects { resources::changed_by(ctx, call).await } else { BTreeMap::new() } };
    let fleets = async { if counts { Some(known(fleets::of_stack(ctx).await)) } else { None } };
    let size = async {
        match policy.outgrown_by(call) {
            Some(group) => fleets::size_of(ctx, group).await.map_err(|error| error.to_string()).transpose(),
            None => None,
        }
    };
    let routes = routes::changed_by(ctx, rules, call);
    let (resources, fleets, size, (shares, health)) = futures::join!(resources, fleets, size, routes);
    Facts { resources, shares, health, fleets, size }
}

/// What could not be read, in words: policy refuses what it cannot judge.
fn known<T>(read: Result<T, Error>) -> Known<T> {
    read.map_err(|error| error.to_string())
}
