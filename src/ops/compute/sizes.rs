//! The sizes of a group: set, written down on the group for those who have to repair it, and given back.

use std::time::Duration;

use aws_sdk_autoscaling::types::{self as autoscaling};
use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::asg;
use crate::{
    ops::{Error, all_of, arguments, load_balancing::read},
    policy::Kind,
    run::{Class, Ctx, Mutation, Phase, Seen, Undo, UndoAction, Undone, Wait},
};

/// The sizes a pinned group had before, as [`Sizes::to_tag`] writes them.
pub const PINNED_TAG: &str = "runner:pinned";
/// The sizes a group had before it was scaled to zero.
pub const RETIRED_TAG: &str = "runner:retired";

/// How long a fleet may take to come back in a rollback: launch, boot and health checks.
const RECOVERY: Duration = Duration::from_secs(20 * 60);

/// The sizes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    pub min: i32,
    pub max: i32,
    pub desired: i32,
}

impl Sizes {
    pub fn of(group: &autoscaling::AutoScalingGroup) -> Self {
        Self {
            min: group.min_size().unwrap_or_default(),
            max: group.max_size().unwrap_or_default(),
            desired: group.desired_capacity().unwrap_or_default(),
        }
    }

    /// For a tag: readable, and of characters that every service takes.
    pub fn to_tag(self) -> String {
        format!("min={} max={} desired={}", self.min, self.max, self.desired)
    }

    /// What [`to_tag`](Self::to_tag) wrote.
    pub fn from_tag(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(|part| part.split_once('=')?.1.parse().ok());
        let mut next = || numbers.next().flatten();
        Some(Self { min: next()?, max: next()?, desired: next()? })
    }

    /// The undo that gives these sizes back. What comes back or is held has its turn before traffic moves.
    pub fn undo(self, name: &str, ours: Self) -> Undo {
        let grows_back = self.desired >= ours.desired && self.min >= ours.min;
        let phase = if grows_back { Phase::Capacity } else { Phase::Rest };
        let change = SizeChange { auto_scaling_group_name: name.to_owned(), before: self, ours };
        Undo::new(&RESTORE_SIZES, format!("give {name} its size of {} back", self.desired), json!(change))
            .phase(phase)
            .key(format!("{phase:?} of {name}"))
    }
}

/// Sets the sizes of a group.
///
/// # Errors
/// If AWS refuses.
pub async fn set(ctx: &Ctx, name: &str, sizes: Sizes, undo: Option<Undo>) -> Result<(), Error> {
    let mut declared =
        Mutation::new("autoscaling:UpdateAutoScalingGroup", Class::Idempotent, format!("sizes of {name}"));
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    ctx.change(declared, |permit| {
        let request = ctx.aws().autoscaling.update_auto_scaling_group().auto_scaling_group_name(name);
        let request = request.min_size(sizes.min).max_size(sizes.max).desired_capacity(sizes.desired);
        request.customize().interceptor(permit).send()
    })
    .await
}

/// Looks in a row that do not show a group before it is taken to be gone: a list may be behind, of a new group above all.
const UNSEEN: u32 = 3;

/// Waits until `count` instances of the group serve: in service, and healthy for every target group that is in use.
///
/// # Errors
/// If they do not in time, or the group is gone.
pub async fn wait_in_service(ctx: &Ctx, name: &str, count: i32, timeout: Duration) -> Result<(), Error> {
    let what = format!("{count} instances of {name} in service");
    let wanted = usize::try_from(count).unwrap_or_default();
    let mut unseen = 0;
    ctx.wait(Wait { what: what.clone(), timeout, every: Duration::from_secs(10) }, async || {
        let Some(group) = asg::find(ctx, name).await? else {
            unseen += 1;
            return match unseen < UNSEEN {
                true => Ok(Seen::Pending("not listed".to_owned())),
                false => Err(Error::Hopeless { what: what.clone(), reason: "the group is gone".into() }),
            };
        };
        unseen = 0;
        let serving = asg::in_service(&group);
        let of_groups = all_of(group.target_group_arns().iter().map(|arn| unready(ctx, arn))).await?;
        let ready = serving.iter().filter(|id| !of_groups.iter().flatten().any(|unready| unready == *id)).count();
        Ok(match ready >= wanted {
            true => Seen::Ready(()),
            false => Seen::Pending(format!("{ready} healthy, {} in service", serving.len())),
        })
    })
    .await
}

/// The targets of a target group that would not answer. One whose group nothing refers to cannot be said to be healthy,
/// and needs not be.
async fn unready(ctx: &Ctx, target_group_arn: &str) -> Result<Vec<String>, Error> {
    let targets = match read::target_health(ctx, target_group_arn).await {
        Err(error) if error.is(&["TargetGroupNotFound"]) => return Ok(Vec::new()),
        targets => targets?,
    };
    let fine = [TargetHealthStateEnum::Healthy, TargetHealthStateEnum::Unused];
    let unready = targets.iter().filter(|target| {
        let state = target.target_health().and_then(|health| health.state());
        !state.is_some_and(|state| fine.contains(state))
    });
    Ok(unready.filter_map(|target| target.target()?.id().map(str::to_owned)).collect())
}

#[derive(Serialize, Deserialize)]
struct SizeChange {
    auto_scaling_group_name: String,
    before: Sizes,
    ours: Sizes,
}

/// Gives a group its sizes back, and waits until what came back serves. The desired capacity belongs to whoever scales
/// the group: it is raised to what it was, and lowered only if nobody has touched it.
pub const RESTORE_SIZES: UndoAction =
    UndoAction { name: "restore_sizes", run: |ctx, arguments| Box::pin(restore_sizes(ctx, arguments)) };

async fn restore_sizes(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let SizeChange { auto_scaling_group_name: name, before, ours } = arguments(change)?;
    let Some(group) = asg::find(ctx, &name).await?.filter(|group| group.status().is_none()) else {
        // Without this run it would not be there either.
        if ctx.has_made(Kind::AutoScalingGroup, &name) {
            return Ok(Undone::Already);
        }
        return Ok(Undone::Foreign(format!("expected {name} with {} instances, found no such group", ours.desired)));
    };
    let found = Sizes::of(&group);
    let back = |found: i32, before: i32, ours: i32| if found == ours { before } else { found };
    let (min, max) = (back(found.min, before.min, ours.min), back(found.max, before.max, ours.max));
    let max = max.max(min);
    let desired = match found.desired < before.desired {
        true => before.desired,
        false => back(found.desired, before.desired, ours.desired),
    };
    let wanted = Sizes { min, max, desired: desired.clamp(min, max) };
    if wanted != found {
        set(ctx, &name, wanted, None).await?;
    }
    if before.desired >= ours.desired && wanted.desired > 0 {
        wait_in_service(ctx, &name, wanted.desired, RECOVERY).await?;
    }
    Ok(if wanted == found { Undone::Already } else { Undone::Done })
}

#[cfg(test)]
mod tests {
    use super::Sizes;

    #[test]
    fn a_tag_can_be_read_again() {
        let sizes = Sizes { min: 1, max: 9, desired: 3 };
        assert_eq!(sizes.to_tag(), "min=1 max=9 desired=3");
        assert_eq!(Sizes::from_tag(&sizes.to_tag()), Some(sizes));
        assert_eq!(Sizes::from_tag("pinned"), None);
    }
}
