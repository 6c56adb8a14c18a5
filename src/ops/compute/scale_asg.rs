//! `scale_asg`: the sizes of a group, and holding it at its size while a deploy needs it.

use std::collections::BTreeMap;

use aws_sdk_autoscaling::types as autoscaling;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    AutoScalingGroup,
    asg::{self, GroupTags},
    sizes::{self, PINNED_TAG, Sizes},
    traffic_guard::check_idle,
};
use crate::{
    event::{Event, Field},
    ops::{Duration, Error, IdOf, Operation, arguments, outcome::report, ownership::changed, tagged::Tagged},
    run::{Ctx, Phase, Undo, UndoAction, Undone},
};

/// Changes the sizes of an Auto Scaling group, or pins it: a pinned group cannot be scaled in. A fleet that gets traffic is not
/// scaled to nothing. On rollback the group is back at its size, and healthy, before traffic moves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScaleAsg {
    /// The group.
    auto_scaling_group: IdOf<AutoScalingGroup>,
    /// The least number of instances.
    min_size: Option<i32>,
    /// The greatest number of instances.
    max_size: Option<i32>,
    /// How many there should be now. If not said, it stays, as far as the bounds let it.
    desired_capacity: Option<i32>,
    /// Holds the group at the size it has: its minimum becomes the number of instances it should have now. What it was
    /// before is written down in the tag `runner:pinned`.
    #[serde(default)]
    pin: bool,
    /// Lets a pinned group go: its minimum is what it was before. A group that is not pinned stays as it is.
    #[serde(default)]
    unpin: bool,
    /// Waits, at most so long, until all instances are in service and healthy. If not said, it does not wait.
    wait_timeout: Option<Duration>,
}

impl Operation for ScaleAsg {
    const NAME: &'static str = "scale_asg";
    const AREA: &'static str = "Auto Scaling";
    const EXAMPLE: &'static str = r#"scale_asg(#{ auto_scaling_group: find_asg("web-blue"), pin: true })"#;

    type Options = Self;
    type Handle = AutoScalingGroup;

    fn subject(options: &Self) -> String {
        options.auto_scaling_group.to_string()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<AutoScalingGroup, Error> {
        let sized = options.min_size.is_some() || options.max_size.is_some() || options.desired_capacity.is_some();
        if usize::from(sized) + usize::from(options.pin) + usize::from(options.unpin) != 1 {
            return Err(Error::option("", "expected sizes, or `pin: true`, or `unpin: true`"));
        }
        let name = options.auto_scaling_group.as_str();
        let group = match asg::seen(ctx, name).await? {
            Some(group) if options.unpin && !asg::tags(&group).contains_key(PINNED_TAG) => group,
            _ => asg::existing(ctx, name).await?,
        };
        asg::check_owner(ctx, &group)?;
        let found = Sizes::of(&group);
        ctx.capture("sizes", &found);
        let wanted = if options.pin {
            pin(ctx, name, &group, found).await?
        } else if options.unpin {
            unpin(ctx, name, &group, found).await?
        } else {
            scale(ctx, name, &group, &options, found).await?
        };
        if let Some(Duration(timeout)) = options.wait_timeout {
            sizes::wait_in_service(ctx, name, wanted.desired, timeout).await?;
        }
        let handle = asg::handle(&group)?;
        let Sizes { min, max, desired } = wanted;
        Ok(AutoScalingGroup { min_size: min, max_size: max, desired_capacity: desired, ..handle })
    }
}

async fn scale(
    ctx: &Ctx,
    name: &str,
    group: &autoscaling::AutoScalingGroup,
    options: &ScaleAsg,
    found: Sizes,
) -> Result<Sizes, Error> {
    let (min, max) = (options.min_size.unwrap_or(found.min), options.max_size.unwrap_or(found.max));
    if min < 0 || max < min {
        let path = if options.max_size.is_some() { "max_size" } else { "min_size" };
        return Err(Error::option(path, format!("a minimum of {min} and a maximum of {max} do not fit")));
    }
    let desired = options.desired_capacity.unwrap_or_else(|| found.desired.clamp(min, max));
    if !(min..=max).contains(&desired) {
        return Err(Error::option("desired_capacity", format!("expected {min} to {max}, found {desired}")));
    }
    let wanted = Sizes { min, max, desired };
    if desired == 0 && found.desired > 0 {
        check_idle(ctx, name, group.target_group_arns()).await?;
    }
    set(ctx, name, found, wanted).await?;
    report(ctx, differences(found, wanted));
    Ok(wanted)
}

async fn set(ctx: &Ctx, name: &str, found: Sizes, wanted: Sizes) -> Result<(), Error> {
    match wanted == found {
        true => Ok(()),
        false => sizes::set(ctx, name, wanted, Some(found.undo(name, wanted))).await,
    }
}

/// What differs between two sizes, for the progress line.
pub fn differences(found: Sizes, wanted: Sizes) -> Vec<Field> {
    let all = [
        ("min_size", found.min, wanted.min),
        ("max_size", found.max, wanted.max),
        ("desired_capacity", found.desired, wanted.desired),
    ];
    let differ = all.into_iter().filter(|(_, found, wanted)| found != wanted);
    differ.map(|(name, found, wanted)| changed(name, found, wanted)).collect()
}

/// Two undos: the size is held, or brought back, before traffic moves; the pin is taken off when all is over.
async fn pin(ctx: &Ctx, name: &str, group: &autoscaling::AutoScalingGroup, found: Sizes) -> Result<Sizes, Error> {
    let pinned = Sizes { min: found.desired, ..found };
    let mut fields = Vec::new();
    match asg::tags(group).get(PINNED_TAG).and_then(|tag| Sizes::from_tag(tag)) {
        Some(before) => {
            ctx.emit(Event::Warning { message: format!("{name} is pinned already; it had {}", before.to_tag()) })
        }
        None => {
            // First of all written down, so that whoever finds the group can repair it.
            let change = Pin { auto_scaling_group_name: name.to_owned(), before: found, pinned: pinned.min };
            let undo = Undo::new(&UNPIN, format!("unpin {name}"), json!(change)).phase(Phase::Rest);
            let tags = BTreeMap::from([(PINNED_TAG.to_owned(), found.to_tag())]);
            GroupTags::set(ctx, name, &tags, Some(undo)).await?;
            fields.push(changed("pinned", false, true));
        }
    }
    if pinned != found {
        // What was scaled in before the pin held comes back too.
        sizes::set(ctx, name, pinned, Some(pinned.undo(name, pinned))).await?;
    }
    fields.extend(differences(found, pinned));
    report(ctx, fields);
    Ok(pinned)
}

async fn unpin(ctx: &Ctx, name: &str, group: &autoscaling::AutoScalingGroup, found: Sizes) -> Result<Sizes, Error> {
    let tags = asg::tags(group);
    let Some(tag) = tags.get(PINNED_TAG) else {
        report(ctx, Vec::new());
        return Ok(found);
    };
    // A tag that somebody wrote over says nothing any more; the minimum stays then.
    let min = Sizes::from_tag(tag).map_or(found.min, |before| before.min.min(found.max));
    let wanted = Sizes { min, ..found };
    set(ctx, name, found, wanted).await?;
    asg::remove_tag(ctx, name, PINNED_TAG, tag, false).await?;
    let mut fields = vec![changed("pinned", true, false)];
    fields.extend(differences(found, wanted));
    report(ctx, fields);
    Ok(wanted)
}

#[derive(Serialize, Deserialize)]
struct Pin {
    auto_scaling_group_name: String,
    before: Sizes,
    /// The minimum that holds it.
    pinned: i32,
}

/// Takes a pin off: the minimum is what it was, and the tag goes.
pub const UNPIN: UndoAction = UndoAction { name: "unpin", run: |ctx, arguments| Box::pin(unpin_again(ctx, arguments)) };

async fn unpin_again(ctx: &Ctx, pin: Value) -> Result<Undone, Error> {
    let Pin { auto_scaling_group_name: name, before, pinned } = arguments(pin)?;
    let Some(group) = asg::find(ctx, &name).await?.filter(|group| group.status().is_none()) else {
        return Ok(Undone::Already);
    };
    if asg::tags(&group).get(PINNED_TAG) != Some(&before.to_tag()) {
        return Ok(Undone::Already);
    }
    let found = Sizes::of(&group);
    let foreign = found.min != pinned && found.min != before.min;
    if found.min == pinned && before.min != pinned {
        sizes::set(ctx, &name, Sizes { min: before.min, ..found }, None).await?;
    }
    GroupTags::remove(ctx, &name, &[PINNED_TAG.to_owned()]).await?;
    Ok(match foreign {
        true => Undone::Foreign(format!("expected a minimum of {pinned}, found {}", found.min)),
        false => Undone::Done,
    })
}
