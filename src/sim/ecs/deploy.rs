//! Deployments of services: new tasks are started, registered and found well before old ones go, within the percentages of the
//! service; a deployment whose tasks fail is given up, and taken back if the service says so.
//!
//! A service looks after itself every ten seconds, and when something of it has ended. Facts are those of "Amazon ECS
//! deployment circuit breaker" and "Rolling deployments" of the developer guide.

use std::time::Duration;

use super::life::{self, Start};
use super::service::{Deployment, Rollout, Service, Status};
use super::task;
use super::*;

const EVERY: Duration = Duration::from_secs(10);

/// Has a service look at itself soon; `again`: and from then on.
pub fn soon(tx: &mut Tx, key: &str, again: bool) {
    let after = tx.between(&format!("{key}/{}", tx.now), Duration::from_secs(1), Duration::from_secs(3));
    tx.schedule(after, Event::Look { service: key.to_owned(), again });
}

/// Goes on with a service that was read.
pub fn go_on(tx: &mut Tx, key: &str) {
    tx.schedule(EVERY, Event::Look { service: key.to_owned(), again: true });
}

/// Begins a deployment of what the service is to be now.
pub fn begin(tx: &mut Tx, key: &str) {
    // Its digits are those of an id: AWS's are decimal, and nobody reads them.
    let id = format!("ecs-svc/{}", tx.new_id("x").trim_start_matches("x-"));
    let now = tx.now;
    let Some(service) = tx.peek_mut::<Service>(key) else { return };
    let deployment = Deployment {
        reason: format!("ECS deployment {id} in progress."),
        id,
        spec: service.spec.clone(),
        created: now,
        updated: now,
        state: Rollout::InProgress,
        failed: 0,
        rolls_back: false,
    };
    service.deployments.insert(0, deployment);
}

pub fn look(tx: &mut Tx, key: &str, again: bool) {
    let Some(service) = tx.peek::<Service>(key).cloned() else { return };
    match service.status {
        Status::Inactive => return,
        Status::Draining => drain(tx, &service),
        Status::Active => {
            stop_unwell(tx, &service);
            let rolls_back = give_up(tx, key);
            start_and_stop(tx, key);
            // What was put back is complete at the next look at the earliest: what failed is shown beside it until then.
            if !rolls_back {
                complete(tx, key);
            }
        }
    }
    if again {
        tx.schedule(EVERY, Event::Look { service: key.to_owned(), again: true });
    }
}

/// A deleted service: its tasks go, and then it is inactive.
fn drain(tx: &mut Tx, service: &Service) {
    let all: Vec<Task> = tasks(tx, &service.key);
    for task in all.iter().filter(|task| task.is_wanted()) {
        life::stop(tx, &task.id, task::StopCode::ServiceSchedulerInitiated, &scaling(task));
    }
    if all.iter().all(|task| task.status == task::Status::Stopped)
        && let Some(service) = tx.peek_mut::<Service>(&service.key)
    {
        service.status = Status::Inactive;
        service.deployments.clear();
        service.tags.clear();
    }
}

/// Its tasks, the oldest first.
fn tasks(tx: &Tx, key: &str) -> Vec<Task> {
    let of_it = |task: &&Task| task.service.as_deref() == Some(key);
    let mut tasks: Vec<Task> = tx.all::<Task>().filter(of_it).cloned().collect();
    tasks.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
    tasks
}

fn scaling(task: &Task) -> String {
    let deployment = task.started_by.as_deref().unwrap_or_default();
    format!("Scaling activity initiated by (deployment {deployment})")
}

/// Whether a task does what it is for: it runs, its container's own check says so, and its targets are healthy.
pub fn is_well(tx: &Tx, task: &Task) -> bool {
    task.status == task::Status::Running
        && task.is_wanted()
        && !task.checks_fail()
        && targets_of(tx, task).all(|state| {
            // A target group that nothing forwards to any more says nothing of its targets.
            matches!(state, Some(TargetState::Healthy | TargetState::Unused))
        })
}

fn targets_of<'t>(tx: &'t Tx, task: &'t Task) -> impl Iterator<Item = Option<TargetState>> + 't {
    task.targets.iter().map(|(arn, _)| task.ip.as_ref().and_then(|ip| targets::state(tx, arn, ip)))
}

/// Stops tasks that fail the checks of their load balancer, or their own, once the grace period is over.
fn stop_unwell(tx: &mut Tx, service: &Service) {
    for task in tasks(tx, &service.key) {
        let running = task.status == task::Status::Running && task.is_wanted();
        let Some(started) = task.started.filter(|_| running) else { continue };
        if tx.now < started + service.grace() {
            continue;
        }
        let failing = task.targets.iter().find(|(arn, _)| {
            task.ip.as_ref().and_then(|ip| targets::state(tx, arn, ip)) == Some(TargetState::Unhealthy)
        });
        let reason = match failing {
            Some((arn, _)) => format!("Task failed ELB health checks in (target-group {arn})"),
            None if task.checks_fail() => "Task failed container health checks".to_owned(),
            None => continue,
        };
        let what = format!("(task {}) {}", task.id, reason.trim_start_matches("Task "));
        tell(tx, &service.key, format!("{what}."));
        life::stop(tx, &task.id, task::StopCode::ServiceSchedulerInitiated, &reason);
        failed(tx, &task);
    }
}

/// A task of a service came to nothing by itself: it failed its checks, its container exited, its image is not there.
pub fn failed(tx: &mut Tx, task: &Task) {
    let (Some(key), Some(deployment)) = (&task.service, &task.started_by) else { return };
    if let Some(service) = tx.peek_mut::<Service>(key)
        && let Some(of_it) = service.deployments.iter_mut().find(|known| known.id == *deployment)
        && of_it.state == Rollout::InProgress
    {
        of_it.failed += 1;
    }
    soon(tx, key, false);
}

pub fn tell(tx: &mut Tx, key: &str, message: String) {
    let id = uuid(tx);
    let now = tx.now;
    if let Some(service) = tx.peek_mut::<Service>(key) {
        service.tell(id, now, message);
    }
}

fn uuid(tx: &mut Tx) -> String {
    crate::sim::autoscaling::uuid_of(&tx.new_id("x"))
}

/// "The failure threshold is half of the desired count, at least 3 and at most 200."
fn threshold(desired: i64) -> i64 {
    ((desired + 1) / 2).clamp(3, 200)
}

/// The circuit breaker: a deployment whose tasks go on failing is one no more. Returns whether it is taken back.
fn give_up(tx: &mut Tx, key: &str) -> bool {
    let Some(service) = tx.peek::<Service>(key).cloned() else { return false };
    let (enabled, rolls_back) = service.breaker();
    let Some(primary) = service.deployments.first() else { return false };
    if !enabled || primary.state != Rollout::InProgress || primary.failed < threshold(service.desired) {
        return false;
    }
    let before = service.deployments.iter().skip(1).find(|known| known.state == Rollout::Completed).cloned();
    let failing = primary.id.clone();
    let now = tx.now;
    if let Some(service) = tx.peek_mut::<Service>(key)
        && let Some(primary) = service.deployments.first_mut()
    {
        primary.state = Rollout::Failed;
        primary.reason = "ECS deployment circuit breaker: tasks failed to start.".to_owned();
        primary.updated = now;
    }
    tell(tx, key, format!("(deployment {failing}) deployment failed: tasks failed to start."));
    // "Without a deployment that was completed before, the circuit breaker launches no new tasks, and stops there."
    let Some(before) = before.filter(|_| rolls_back && !primary.rolls_back) else { return false };
    // Its tasks run still: it goes on where it was.
    if let Some(service) = tx.peek_mut::<Service>(key) {
        service.spec = before.spec.clone();
        service.deployments.retain(|known| known.id != before.id);
        if let Some(failed) = service.deployments.first_mut() {
            failed.reason = format!("ECS deployment circuit breaker: rolling back to deploymentId {}.", before.id);
        }
        let reason = format!("ECS deployment circuit breaker: rolling back from deploymentId {failing}.");
        let again = Deployment { state: Rollout::InProgress, reason, updated: now, rolls_back: true, ..before.clone() };
        service.deployments.insert(0, again);
    }
    tell(tx, key, format!("rolling back to deployment {}.", before.id));
    true
}

fn start_and_stop(tx: &mut Tx, key: &str) {
    let Some(service) = tx.peek::<Service>(key).cloned() else { return };
    let Some(primary) = service.deployments.first() else { return };
    let all = tasks(tx, key);
    let wanted: Vec<&Task> = all.iter().filter(|task| task.is_wanted()).collect();
    let (new, old): (Vec<&Task>, Vec<&Task>) =
        wanted.into_iter().partition(|task| task.started_by.as_deref() == Some(&primary.id));
    let desired = service.desired;
    let least = (desired * service.percent("minimumHealthyPercent", 100) + 99) / 100;
    // What is on its way out runs still, and takes no place: a task counts until it is told to stop.
    let most = (desired * service.percent("maximumPercent", 200) / 100).max(desired.min(1));
    let failed = primary.state == Rollout::Failed;

    let missing = if failed { 0 } else { desired - new.len() as i64 };
    let room = most - (new.len() + old.len()) as i64;
    for _ in 0..missing.min(room).max(0) {
        if !start(tx, key) {
            break;
        }
    }

    let mut well = new.iter().chain(&old).filter(|task| is_well(tx, task)).count() as i64;
    let mut going: Vec<Task> = Vec::new();
    // Of a deployment that failed everything goes, if another one takes its place; what it replaced stays otherwise.
    let replaced: Vec<&&Task> = if failed { Vec::new() } else { old.iter().collect() };
    for task in replaced {
        match is_well(tx, task) {
            false => going.push((**task).clone()),
            true if well > least => {
                well -= 1;
                going.push((**task).clone());
            }
            true => {}
        }
    }
    // Fewer are wanted: the youngest go.
    let surplus = new.len() as i64 - desired;
    if surplus > 0 && !failed {
        going.extend(new.iter().rev().take(surplus as usize).map(|task| (**task).clone()));
    }
    if failed {
        // And so do those of the one that failed, where its predecessor goes on.
        going.extend(new.iter().filter(|_| !old.is_empty()).map(|task| (**task).clone()));
    }
    if going.is_empty() {
        return;
    }
    for task in &going {
        life::stop(tx, &task.id, task::StopCode::ServiceSchedulerInitiated, &scaling(task));
    }
    let names: Vec<String> = going.iter().map(|task| format!("(task {})", task.id)).collect();
    tell(tx, key, format!("has stopped {} running tasks: {}.", going.len(), names.join(" ")));
}

/// Starts one task of the deployment under way; false if there is no place for it.
fn start(tx: &mut Tx, key: &str) -> bool {
    let Some(service) = tx.peek::<Service>(key).cloned() else { return false };
    let Some(primary) = service.deployments.first() else { return false };
    if !primary.spec.is_fargate() {
        no_place(
            tx,
            key,
            "was unable to place a task because no container instance met all of its requirements. Reason: No Container \
             Instances were found in your cluster. For more information, see the Troubleshooting section of the Amazon ECS \
             Developer Guide.",
        );
        return false;
    }
    let mut tags = match service.propagates() {
        Some("SERVICE") => service.tags.clone(),
        Some("TASK_DEFINITION") => {
            tx.peek::<TaskDefinition>(&primary.spec.task_definition).map(|it| it.tags.clone()).unwrap_or_default()
        }
        _ => Tags::new(),
    };
    if service.has_on("enableECSManagedTags") {
        tags.extend(tag::managed(&service.cluster, Some(&service.name)));
    }
    let started = life::start(
        tx,
        Start {
            cluster: &service.cluster,
            spec: &primary.spec,
            group: format!("service:{}", service.name),
            started_by: Some(primary.id.clone()),
            service: Some(service.key.clone()),
            overrides: json!({ "containerOverrides": [], "inferenceAcceleratorOverrides": [] }),
            execute: service.has_on("enableExecuteCommand"),
            tags,
        },
    );
    match started {
        Ok(task) => {
            tell(tx, key, format!("has started 1 tasks: (task {}).", task.id));
            true
        }
        Err(error) => {
            no_place(tx, key, &format!("was unable to place a task. Reason: {}", error.message));
            false
        }
    }
}

/// Said once as long as nothing else happens.
fn no_place(tx: &mut Tx, key: &str, message: &str) {
    let said = tx
        .peek::<Service>(key)
        .and_then(|service| service.events.first())
        .is_some_and(|last| last.message.ends_with(message));
    if !said {
        tell(tx, key, message.to_owned());
    }
}

/// A deployment is complete when as many of its tasks as are wanted are well, and no others are left running.
fn complete(tx: &mut Tx, key: &str) {
    let Some(service) = tx.peek::<Service>(key).cloned() else { return };
    let Some(primary) = service.deployments.first() else { return };
    let all = tasks(tx, key);
    let of_primary = |task: &&Task| task.started_by.as_deref() == Some(&primary.id);
    let well = all.iter().filter(of_primary).filter(|task| is_well(tx, task)).count() as i64;
    let left = all.iter().any(|task| !of_primary(&task) && task.status == task::Status::Running);
    let settled = well == service.desired && !left;
    let now = tx.now;
    let mut news = Vec::new();
    if let Some(row) = tx.peek_mut::<Service>(key) {
        if settled {
            row.deployments.truncate(1);
        }
        if let Some(first) = row.deployments.first_mut()
            && first.state == Rollout::InProgress
            && settled
        {
            first.state = Rollout::Completed;
            first.failed = 0;
            first.updated = now;
            first.reason = format!("ECS deployment {} completed.", first.id);
            news.push(format!("(deployment {}) deployment completed.", first.id));
            news.push("has reached a steady state.".to_owned());
        }
    }
    for message in news {
        tell(tx, key, message);
    }
}
