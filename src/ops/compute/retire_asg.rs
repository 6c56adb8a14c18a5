//! `retire_asg`: a fleet that is not needed any more.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{
    AutoScalingGroup,
    asg::{self, GroupTags},
    drain,
    scale_asg::differences,
    sizes::{PINNED_TAG, RETIRED_TAG, Sizes},
    traffic_guard::check_idle,
};
use crate::{
    event::Change,
    ops::{Duration, Error, IdOf, Operation, ownership::changed, tagged::Tagged},
    run::{Ctx, Undo},
};

/// Takes a fleet out of service: its targets are drained, its instances terminated, and the group is left empty or
/// deleted. A fleet that still gets traffic is refused. A group that is gone, or empty, is fine as it is.
///
/// An empty group gets its size back on rollback. A deleted one cannot come back: `commit` before that, or say with
/// `keep_on_rollback` that nobody will miss it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireAsg {
    /// The group.
    auto_scaling_group: IdOf<AutoScalingGroup>,
    /// `zero` leaves the group, without instances. `delete` deletes it too.
    #[serde(default)]
    to: To,
    /// How long draining may take.
    #[serde(default = "an_hour_and_a_half")]
    timeout: Duration,
    /// Leaves the group retired when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum To {
    #[default]
    Zero,
    Delete,
}

fn an_hour_and_a_half() -> Duration {
    Duration(drain::DRAIN)
}

impl Operation for RetireAsg {
    const NAME: &'static str = "retire_asg";
    const AREA: &'static str = "Auto Scaling";
    const EXAMPLE: &'static str = r#"retire_asg(#{ auto_scaling_group: find_asg("web-blue"), to: "delete" })"#;

    type Options = Self;
    type Handle = AutoScalingGroup;

    fn subject(options: &Self) -> String {
        options.auto_scaling_group.to_string()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<AutoScalingGroup, Error> {
        let name = options.auto_scaling_group.as_str();
        let Some(group) = asg::settled(ctx, name).await? else {
            ctx.did(Change::Unchanged, []);
            return Ok(AutoScalingGroup::absent(name.to_owned()));
        };
        asg::check_owner(ctx, &group)?;
        check_idle(ctx, name, group.target_group_arns()).await?;
        let found = Sizes::of(&group);
        let zero = Sizes { min: 0, desired: 0, ..found };
        let empty = found == zero && group.instances().is_empty();
        if found != zero {
            ctx.capture("sizes", &found);
            let tags = asg::tags(&group);
            // The pin says what it was; it goes with the group.
            if options.to == To::Zero || !tags.contains_key(PINNED_TAG) {
                record(ctx, name, found, &tags, options.keep_on_rollback).await?;
            }
        }
        if !empty {
            let undo = found.undo(name, zero).keep(options.keep_on_rollback);
            drain::to_zero(ctx, &group, Some(undo), options.timeout.0).await?;
        }
        if options.to == To::Delete {
            // One that had instances has the undo of its sizes, which finds no group.
            let undo = Undo::impossible(format!("bring back group {name}")).keep(options.keep_on_rollback);
            drain::delete(ctx, name, false, empty.then_some(undo)).await?;
            ctx.did(Change::Deleted, [changed("instances", group.instances().len(), 0)]);
            return Ok(AutoScalingGroup::absent(name.to_owned()));
        }
        let change = if empty { Change::Unchanged } else { Change::Updated };
        ctx.did(change, differences(found, zero));
        let handle = asg::handle(&group)?;
        let none = AutoScalingGroup { min_size: 0, desired_capacity: 0, in_service: 0, ..handle };
        Ok(AutoScalingGroup { instance_ids: Vec::new(), ..none })
    }
}

/// Writes down what the group was, so that anyone can bring it back. A pinned group is remembered as it was before, and
/// is not pinned any more.
async fn record(ctx: &Ctx, name: &str, found: Sizes, tags: &BTreeMap<String, String>, keep: bool) -> Result<(), Error> {
    let pinned = tags.get(PINNED_TAG).and_then(|tag| Sizes::from_tag(tag));
    let sizes = pinned.map_or(found, |before| Sizes { min: before.min, ..found }).to_tag();
    let change = json!({
        "id": name,
        "before": { RETIRED_TAG: tags.get(RETIRED_TAG) },
        "ours": { RETIRED_TAG: sizes },
    });
    let undo = Undo::new(GroupTags::RESTORE, format!("restore tags of {name}"), change).keep(keep);
    GroupTags::set(ctx, name, &BTreeMap::from([(RETIRED_TAG.to_owned(), sizes)]), Some(undo)).await?;
    match tags.get(PINNED_TAG) {
        Some(pin) => asg::remove_tag(ctx, name, PINNED_TAG, pin, keep).await,
        None => Ok(()),
    }
}
