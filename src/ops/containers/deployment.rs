//! Waiting for a deployment of a service: until it is stable, or ECS gives it up.

use std::time::Duration;

use super::{
    ecs::name_in,
    service::{self, Deployment, Found},
    tasks,
};
use crate::{
    ops::Error,
    run::{Ctx, Seen, Wait},
};

/// The rules of the waiter `services_stable`: one deployment, and as many tasks as are wanted; and, where ECS says so, the
/// deployment must be complete, which is so when load balancers and health checks agree.
pub fn is_stable(found: &Found) -> bool {
    let complete =
        |deployment: &Deployment| deployment.rollout_state.as_deref().is_none_or(|state| state == "COMPLETED");
    found.deployments.len() == 1 && found.running_count == found.desired_count && found.deployments.iter().all(complete)
}

/// How long reads may not show a deployment that a call has just made: "Amazon ECS follows an eventual consistency model".
const SHOWN: Duration = Duration::from_secs(60);

/// Waits until the service is stable with its deployment `id`.
///
/// # Errors
/// [`Error::Hopeless`] when ECS has given it up or another deployment has taken its place; [`Error::TimedOut`].
pub async fn wait_stable(ctx: &Ctx, service_arn: &str, id: &str, timeout: Duration) -> Result<Found, Error> {
    let (cluster, name) = (service::cluster_in(service_arn)?, name_in(service_arn));
    let what = format!("service {name} to be stable");
    let began = ctx.now();
    let wait = Wait { what: what.clone(), timeout, every: Duration::from_secs(10) };
    ctx.wait(wait, async || {
        let Some(found) = service::read(ctx, service_arn).await? else {
            return Ok(Seen::Pending("not shown yet".to_owned()));
        };
        let hopeless = |reason: String| Err(Error::Hopeless { what: what.clone(), reason });
        if !found.is_active() {
            return hopeless(format!("it is {}", found.status.to_lowercase()));
        }
        let ours = found.deployments.iter().find(|deployment| deployment.id == id);
        let failed = ours.is_some_and(|deployment| deployment.rollout_state.as_deref() == Some("FAILED"));
        let others = found.primary().filter(|primary| primary.id != id);
        if others.is_some() && ours.is_none() && ctx.since(began) < SHOWN {
            return Ok(Seen::Pending("the deployment is not shown yet".to_owned()));
        }
        if failed || others.is_some() {
            let reasons = tasks::failures(ctx, cluster, name, id).await?;
            let said = ours.and_then(|deployment| deployment.rollout_state_reason.clone());
            let said = said.filter(|_| failed).unwrap_or_else(|| taken_over(&found, id));
            return hopeless(join(said, &reasons));
        }
        if is_stable(&found) {
            return Ok(Seen::Ready(found));
        }
        let reasons = match ours.is_some_and(|deployment| deployment.failed_tasks > 0) {
            true => tasks::failures(ctx, cluster, name, id).await?,
            false => Vec::new(),
        };
        Ok(Seen::Pending(join(words(&found, ours), &reasons)))
    })
    .await
}

/// The deployment under way is another one: after a rollback of ECS's own that is over, or because somebody else has deployed.
fn taken_over(found: &Found, id: &str) -> String {
    let failed = found.events.iter().find(|event| event.message.contains(id) && event.message.contains("failed"));
    failed.map_or_else(
        || "another deployment has taken its place".to_owned(),
        |event| format!("rolled back by ECS: {}", event.message),
    )
}

fn join(said: String, reasons: &[String]) -> String {
    match reasons.is_empty() {
        true => said,
        false => format!("{}; {}", said.trim_end_matches('.'), reasons.join("; ")),
    }
}

/// `1 of 2 running, 1 starting, 2 failed`
fn words(found: &Found, ours: Option<&Deployment>) -> String {
    let running = ours.map_or(found.running_count, |deployment| deployment.running_count);
    let mut words = vec![format!("{running} of {} running", found.desired_count)];
    if found.pending_count > 0 {
        words.push(format!("{} starting", found.pending_count));
    }
    if let Some(failed) = ours.map(|deployment| deployment.failed_tasks).filter(|failed| *failed > 0) {
        words.push(format!("{failed} failed"));
    }
    let old: i64 = found.deployments.iter().filter(|it| it.status != "PRIMARY").map(|it| it.running_count).sum();
    if old > 0 {
        words.push(format!("{old} of before"));
    }
    if running >= found.desired_count && old == 0 {
        words.push("not healthy yet".to_owned());
    }
    // What keeps tasks from being placed is only told here.
    let stuck = found.events.first().filter(|event| event.message.contains("was unable to place a task"));
    words.extend(stuck.map(|event| event.message.clone()));
    words.join(", ")
}
