//! What has to hold while traffic moves: whoever gets requests can answer them.
//!
//! A load balancer "fails open": when no target of a group is healthy, it sends requests to all of them. So a weight is
//! never given to a group whose required targets are not healthy, and never left on one that has no healthy target.

use super::{Split, health, split::group_name};
use crate::{ops::Error, run::Ctx};

/// Requires targets of the group that traffic moves to.
#[derive(Clone, Debug)]
pub struct Guard {
    group: String,
    required: usize,
}

impl Guard {
    /// Requires `min_healthy` targets, or, if nothing is said, all that are registered now.
    ///
    /// # Errors
    /// If they are not healthy already.
    pub async fn new(ctx: &Ctx, group: &str, min_healthy: Option<u32>) -> Result<Self, Error> {
        let health = health::read(ctx, group).await?;
        let required = match min_healthy {
            Some(count) => count as usize,
            None => health.registered().max(1),
        };
        let guard = Self { group: group.to_owned(), required };
        guard.judge(&health)?;
        Ok(guard)
    }

    /// Looks at the group that gets traffic, and at the others that have weight in `split`.
    ///
    /// # Errors
    /// [`Error::Unsafe`], with the targets and their reasons.
    pub async fn check(&self, ctx: &Ctx, split: &Split) -> Result<(), Error> {
        let others = split.groups().filter(|(group, weight)| *weight > 0 && *group != self.group);
        let others = others.map(|(group, _)| check_alive(ctx, group));
        let (health, _) = futures::try_join!(health::read(ctx, &self.group), futures::future::try_join_all(others))?;
        self.judge(&health)
    }

    fn judge(&self, health: &health::Health) -> Result<(), Error> {
        if health.healthy.len() >= self.required {
            return Ok(());
        }
        let reasons = health.reasons();
        let why = if reasons.is_empty() { "no other target is registered" } else { reasons.as_str() };
        Err(Error::Unsafe(format!(
            "target group {} has {} of {} required targets healthy: {why}",
            group_name(&self.group),
            health.healthy.len(),
            self.required,
        )))
    }
}

async fn check_alive(ctx: &Ctx, group: &str) -> Result<(), Error> {
    let health = health::read(ctx, group).await?;
    if health.healthy.is_empty() {
        let name = group_name(group);
        return Err(Error::Unsafe(format!(
            "target group {name} gets traffic and has no healthy target: {}",
            health.reasons()
        )));
    }
    Ok(())
}
