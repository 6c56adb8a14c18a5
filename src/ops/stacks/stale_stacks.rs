//! `stale_stacks`: stacks that nobody needs any more.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Belonging, Rank, fleets, full_name, network};
use crate::{
    event::Change,
    ops::{Duration, Error, Kind, Operation, Together, ownership::set},
    run::Ctx,
};

/// Finds the stacks of this environment that are not in a list of live ones, or that were not changed for long. Stacks are seen by
/// their networks, security groups and fleets; when a stack was changed say the runs that have made something in it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StaleStacks {
    /// Only stacks whose names begin so, as `stack` takes them: `"shop-branch-"`.
    prefix: String,
    /// The names of those that are alive, as `stack` takes them.
    live: Option<Vec<String>>,
    /// No run has made anything in it for so long.
    older_than: Option<Duration>,
}

/// Stacks that nobody needs any more.
#[derive(Debug, Serialize)]
pub struct FoundStacks {
    /// All stacks that were looked at.
    pub looked_at: usize,
    pub stacks: Vec<FoundStack>,
}

/// A stack.
#[derive(Debug, Serialize)]
pub struct FoundStack {
    /// As `stack` takes it.
    pub name: String,
    /// When a run has last made something in it.
    pub last_change: Option<Timestamp>,
}

impl Kind for FoundStacks {
    const KIND: &'static str = "found_stacks";
    const ID: &'static str = "looked_at";
}

impl Operation for StaleStacks {
    const NAME: &'static str = "stale_stacks";
    const AREA: &'static str = "Stacks";
    const EXAMPLE: &'static str =
        r#"for stale in stale_stacks(#{ prefix: "shop-", older_than: "7d" }).stacks { destroy_stack(stale.name); }"#;

    type Options = Self;
    type Handle = FoundStacks;

    fn subject(options: &Self) -> String {
        format!("{}*", options.prefix)
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<FoundStacks, Error> {
        if options.live.is_none() && options.older_than.is_none() {
            return Err(Error::option("live", "expected `live`, `older_than` or both: without them no stack is stale"));
        }
        // A list that a failed command left empty would be the end of all of them.
        if options.live.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::option("live", "expected the names of the stacks that are alive, found none"));
        }
        let ending = full_name(ctx, "")?;
        let (tagged, fleets) = futures::join!(network::tagged(ctx, None), fleets::all(ctx)).together()?;
        let by_id = tagged.iter().filter_map(|(id, tags)| Belonging::tagged(tags, "", id, Rank::Names, ("", "")));
        let mut stacks = BTreeMap::<String, Option<Timestamp>>::new();
        for one in by_id.chain(fleets) {
            let Some(name) = one.stack.strip_suffix(&ending).filter(|name| name.starts_with(&options.prefix)) else {
                continue;
            };
            let last = stacks.entry(name.to_owned()).or_default();
            *last = (*last).max(one.run.as_deref().and_then(began));
        }
        let is_stale = |(name, last): &(&String, &Option<Timestamp>)| {
            let is_live = options.live.as_ref().is_some_and(|live| live.contains(name));
            // Of one that does not say, nobody knows how old it is.
            let is_old = options.older_than.is_none_or(|age| last.is_some_and(|last| ctx.since(last) > age.0));
            !is_live && is_old
        };
        let stale = stacks.iter().filter(is_stale);
        let stale: Vec<FoundStack> =
            stale.map(|(name, last)| FoundStack { name: name.clone(), last_change: *last }).collect();
        ctx.did(Change::Read, [set("stale", stale.len()), set("looked_at", stacks.len())]);
        Ok(FoundStacks { looked_at: stacks.len(), stacks: stale })
    }
}

/// When a run began: its id says.
fn began(run: &str) -> Option<Timestamp> {
    let (time, _) = run.rsplit_once('-')?;
    let time = DateTime::strptime("%Y%m%d-%H%M%S", time).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::began;

    #[test]
    fn the_id_of_a_run_says_when_it_began() {
        let at = began("20261127-151323-a1b2").expect("a time");
        assert_eq!(at.to_string(), "2026-11-27T15:13:23Z");
        assert_eq!((began("plan"), began("by-hand-x")), (None, None));
    }
}
