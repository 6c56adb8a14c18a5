//! The life of a task: started, run, told to stop, ended. Facts are those of "Amazon ECS task lifecycle".

use std::time::Duration;

use jiff::Timestamp;

use super::deploy;
use super::settings::Spec;
use super::task::{Container, Status, Step, StopCode, Task};
use super::*;
use crate::sim::ec2::Subnet;
use crate::sim::ec2::instance::App;
use crate::sim::ec2::network_interface::{self, Wanted};
use crate::sim::ecr::{self, Conduct};

/// How long its interface takes, and pulling its images.
const PROVISIONING: (Duration, Duration) = (Duration::from_secs(8), Duration::from_secs(14));
const PULLING: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(20));
/// How long a service takes to listen once its container runs.
const STARTING: Duration = Duration::from_secs(5);
const STARTING_SLOWLY: Duration = Duration::from_secs(240);
/// A crashing one answers with errors after this, and exits a minute later.
const CRASHES: Duration = Duration::from_secs(180);
const FLAPS: Duration = Duration::from_secs(60);
/// How long a container runs that exits.
const EXITS: Duration = Duration::from_secs(3);
/// How long a task that nobody keeps running takes for its work.
const WORKS: Duration = Duration::from_secs(30);
/// How long a container takes to end when it is told to.
const ENDS: Duration = Duration::from_secs(3);
const DEPROVISIONING: Duration = Duration::from_secs(5);
/// How often it is looked whether its targets are drained.
const LOOK: Duration = Duration::from_secs(5);
/// "Stopped tasks are shown for at least an hour" (DescribeTasks).
const SHOWN: Duration = Duration::from_secs(3600);

/// One task to be started.
pub struct Start<'a> {
    pub cluster: &'a str,
    pub spec: &'a Spec,
    pub group: String,
    pub started_by: Option<String>,
    pub service: Option<String>,
    pub overrides: Value,
    /// Commands may be executed in it.
    pub execute: bool,
    pub tags: Tags,
}

/// One that was read goes on.
pub fn go_on(tx: &mut Tx, task: &Task) {
    let (after, next) = match task.status {
        Status::Provisioning => (PROVISIONING.1, Step::Provisioned),
        Status::Pending => (PULLING.1, Step::Pulled),
        Status::Running => return,
        Status::Deactivating => (LOOK, Step::Drain),
        Status::Stopping => (ENDS, Step::Ended),
        Status::Deprovisioning => (DEPROVISIONING, Step::Deprovisioned),
        Status::Stopped => (SHOWN, Step::Forget),
    };
    tx.schedule(after, Event::Task { id: task.id.clone(), step: next });
}

/// Starts a task: its interface comes first.
pub fn start(tx: &mut Tx, wanted: Start) -> Result<Task, AwsError> {
    let Start { cluster, spec, group, started_by, service, overrides, execute, tags } = wanted;
    if tx.settings.short_of_capacity_until.is_some_and(|until| tx.now < until) {
        let message =
            "Capacity is unavailable at this time. Please try again later or in a different availability zone";
        return Err(AwsError::new("InvalidParameterException", message));
    }
    let definition =
        task_definition::find(tx, &spec.task_definition).ok_or_else(|| client("TaskDefinition not found."))?;
    let named = definition.containers();
    let containers: Vec<Container> = named.iter().map(container_of).collect();
    let of_task = containers.iter().filter(|container| container.essential).map(|it| Conduct::of_image(&it.image));
    let conduct = of_task.clone().find(|conduct| *conduct != Conduct::Healthy).unwrap_or(Conduct::Healthy);
    let conduct = if tx.settings.never_healthy { Conduct::NeverHealthy } else { conduct };
    let checked = named.iter().any(|container| container.has("healthCheck"));
    let task_definition = definition.id.clone();
    let id = tx.new_id("task");
    // A task has 32 digits.
    let id = format!("{TASK_DIGITS}{}", id.trim_start_matches("task-"));
    let placed = match &spec.network {
        Some(network) => {
            // Spread over zones, whichever order the subnets are given in.
            let fewest = |subnet: &&String| {
                let there =
                    tx.all::<Task>().filter(|task| task.is_wanted() && task.group == group && task.subnet == **subnet);
                (there.count(), tx.peek::<Subnet>(subnet).map(|subnet| subnet.zone.clone()))
            };
            let subnet = network.subnets.iter().min_by_key(fewest).cloned().unwrap_or_default();
            // The address is not shown, and nobody comes in by it: routes of the VPC are not followed here.
            let groups = network.groups(tx);
            let description = tx.arn("ecs", &format!("attachment/{id}"));
            let requester = Some("amazon-ecs");
            let wanted = Wanted {
                subnet: &subnet,
                groups,
                description,
                interface_type: "interface",
                requester,
                ..Wanted::default()
            };
            Some(network_interface::attach(tx, wanted)?)
        }
        None => None,
    };
    let provider = spec.strategy.iter().max_by_key(|part| part["weight"].as_i64().unwrap_or_default());
    let provider = provider.and_then(|part| part["capacityProvider"].as_str());
    let targets = spec.load_balancers.iter().map(|balancer| (balancer.target_group.clone(), balancer.port));
    let task = Task {
        id,
        cluster: cluster.to_owned(),
        group,
        started_by,
        service,
        task_definition,
        status: Status::Provisioning,
        stopping: None,
        containers,
        interface: placed.as_ref().map(|it| it.id.clone()),
        subnet: placed.as_ref().map(|it| it.subnet.clone()).unwrap_or_default(),
        zone: placed.as_ref().map(|it| it.zone.clone()).unwrap_or_default(),
        ip: placed.map(|it| it.private_ip),
        launch_type: "FARGATE".to_owned(),
        platform_version: spec.platform().to_owned(),
        capacity_provider: provider.map(str::to_owned),
        targets: targets.collect(),
        conduct,
        app: App::Absent,
        checked,
        overrides,
        execute,
        created: tx.now,
        started: None,
        stopped: None,
        stop_code: None,
        stopped_reason: None,
        tags,
    };
    tx.put(task.clone());
    next(tx, &task.id, PROVISIONING, Step::Provisioned);
    Ok(task)
}

/// What the ids of all tasks begin with: what tells them apart is the number the world gives out.
const TASK_DIGITS: &str = "7e1a9c5d3b2f486";

fn container_of(container: &Params) -> Container {
    Container {
        name: container.text("name"),
        image: container.text("image"),
        essential: container.opt_bool("essential").ok().flatten().unwrap_or(true),
        exit_code: None,
        reason: None,
        ended: false,
    }
}

fn next(tx: &mut Tx, id: &str, (low, high): (Duration, Duration), step: Step) {
    let after = tx.between(&format!("{id}/{step:?}"), low, high);
    tx.schedule(after, Event::Task { id: id.to_owned(), step });
}

fn after(tx: &mut Tx, id: &str, time: Duration, step: Step) {
    tx.schedule(time, Event::Task { id: id.to_owned(), step });
}

pub fn step(tx: &mut Tx, id: &str, step: Step) {
    let Some(task) = tx.peek::<Task>(id).cloned() else { return };
    match step {
        Step::Provisioned if task.status == Status::Provisioning && task.is_wanted() => {
            set(tx, id, |task, _| task.status = Status::Pending);
            next(tx, id, PULLING, Step::Pulled);
        }
        Step::Pulled if task.status == Status::Pending && task.is_wanted() => pulled(tx, &task),
        Step::Answer(app) if task.status == Status::Running => answers(tx, &task, app),
        Step::Exit(code) if matches!(task.status, Status::Running | Status::Deactivating) => exited(tx, &task, code),
        Step::Drain if task.status == Status::Deactivating => drained(tx, &task),
        Step::Ended if task.status == Status::Stopping => {
            set(tx, id, |task, _| {
                task.status = Status::Deprovisioning;
                task.app = App::Absent;
                for container in task.containers.iter_mut().filter(|container| !container.ended) {
                    // A server that is told to end does so in time.
                    (container.ended, container.exit_code) = (true, Some(0));
                }
            });
            after(tx, id, DEPROVISIONING, Step::Deprovisioned);
        }
        Step::Deprovisioned if task.status == Status::Deprovisioning => stopped(tx, &task),
        Step::Forget => tx.delete::<Task>(id),
        _ => {}
    }
}

fn set(tx: &mut Tx, id: &str, change: impl FnOnce(&mut Task, Timestamp)) {
    let now = tx.now;
    if let Some(task) = tx.peek_mut::<Task>(id) {
        change(task, now);
    }
}

/// Its images are there, or it fails.
fn pulled(tx: &mut Tx, task: &Task) {
    let host = format!("{}/", ecr::repository::registry(tx));
    let lacks = task.containers.iter().find(|container| {
        container.image.strip_prefix(&host).is_some_and(|reference| !ecr::image::is_there(tx, reference))
    });
    if let Some(container) = lacks {
        let reason = format!(
            "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref {0}: {0}: not \
             found",
            container.image
        );
        let name = container.name.clone();
        set(tx, &task.id, |task, now| {
            (task.stopping, task.stop_code) = (Some(now), Some(StopCode::TaskFailedToStart));
            task.stopped_reason = Some(reason.clone());
            task.status = Status::Deprovisioning;
            if let Some(container) = task.containers.iter_mut().find(|container| container.name == name) {
                container.reason = Some(reason);
            }
            task.containers.iter_mut().for_each(|container| container.ended = true);
        });
        after(tx, &task.id, DEPROVISIONING, Step::Deprovisioned);
        deploy::failed(tx, task);
        return;
    }
    set(tx, &task.id, |task, now| {
        (task.status, task.started, task.app) = (Status::Running, Some(now), App::Booting);
    });
    if task.service.is_some() {
        register(tx, task);
        match task.conduct {
            Conduct::Exits(code) => after(tx, &task.id, EXITS, Step::Exit(i64::from(code))),
            Conduct::Slow => after(tx, &task.id, STARTING_SLOWLY, Step::Answer(App::Healthy)),
            Conduct::NeverHealthy => after(tx, &task.id, STARTING, Step::Answer(App::Unhealthy)),
            Conduct::Healthy | Conduct::Crashing | Conduct::Flapping => {
                after(tx, &task.id, STARTING, Step::Answer(App::Healthy));
            }
        }
        return;
    }
    // A task that was run by itself does its work and ends.
    match task.conduct {
        Conduct::Healthy | Conduct::Flapping => after(tx, &task.id, WORKS, Step::Exit(0)),
        Conduct::Slow => after(tx, &task.id, STARTING_SLOWLY, Step::Exit(0)),
        Conduct::Crashing => after(tx, &task.id, WORKS, Step::Exit(1)),
        Conduct::Exits(code) => after(tx, &task.id, WORKS, Step::Exit(i64::from(code))),
        // It hangs.
        Conduct::NeverHealthy => {}
    }
}

fn register(tx: &mut Tx, task: &Task) {
    let Some(ip) = &task.ip else { return };
    let Some(key) = task.service.clone() else { return };
    for (arn, port) in &task.targets {
        // A target group that was deleted meanwhile keeps no task from running.
        if targets::register(tx, arn, ip, Some(*port)).is_ok() {
            deploy::tell(tx, &key, format!("registered 1 targets in (target-group {arn})"));
        }
    }
}

/// It answers so from now on; some go on to something else.
fn answers(tx: &mut Tx, task: &Task, app: App) {
    set(tx, &task.id, |task, _| task.app = app);
    match (task.conduct, app) {
        (Conduct::Crashing, App::Healthy) => after(tx, &task.id, CRASHES, Step::Answer(App::Unhealthy)),
        (Conduct::Crashing, _) => after(tx, &task.id, Duration::from_secs(60), Step::Exit(1)),
        (Conduct::Flapping, App::Healthy) => after(tx, &task.id, FLAPS, Step::Answer(App::Unhealthy)),
        (Conduct::Flapping, _) => after(tx, &task.id, FLAPS, Step::Answer(App::Healthy)),
        _ => {}
    }
}

/// Its containers have ended by themselves.
fn exited(tx: &mut Tx, task: &Task, code: i64) {
    let was_wanted = task.is_wanted();
    deregister(tx, task);
    set(tx, &task.id, |task, now| {
        task.app = App::Absent;
        task.status = Status::Deprovisioning;
        for container in task.containers.iter_mut().filter(|container| !container.ended) {
            let own = match Conduct::of_image(&container.image) {
                Conduct::Exits(own) => i64::from(own),
                _ if container.essential => code,
                _ => 0,
            };
            (container.ended, container.exit_code) = (true, Some(own));
        }
        if was_wanted {
            (task.stopping, task.stop_code) = (Some(now), Some(StopCode::EssentialContainerExited));
            task.stopped_reason = Some("Essential container in task exited".to_owned());
        }
    });
    after(tx, &task.id, DEPROVISIONING, Step::Deprovisioned);
    if was_wanted {
        deploy::failed(tx, task);
    }
}

fn deregister(tx: &mut Tx, task: &Task) {
    let Some(ip) = &task.ip else { return };
    for (arn, port) in &task.targets {
        targets::deregister(tx, arn, ip, Some(*port));
    }
}

/// Tells a task to stop. It gets no new requests from here on, and ends when those it has are done.
pub fn stop(tx: &mut Tx, id: &str, code: StopCode, reason: &str) {
    let Some(task) = tx.peek::<Task>(id).filter(|task| task.is_wanted()).cloned() else { return };
    let running = task.status == Status::Running;
    if running {
        deregister(tx, &task);
    }
    set(tx, id, |task, now| {
        (task.stopping, task.stop_code) = (Some(now), Some(code));
        task.stopped_reason = Some(reason.to_owned());
        task.status = if running { Status::Deactivating } else { Status::Deprovisioning };
    });
    match running {
        true => after(tx, id, Duration::from_secs(1), Step::Drain),
        false => after(tx, id, DEPROVISIONING, Step::Deprovisioned),
    }
}

fn drained(tx: &mut Tx, task: &Task) {
    let drains = |(arn, _): &(String, u16)| {
        task.ip.as_ref().and_then(|ip| targets::state(tx, arn, ip)) == Some(TargetState::Draining)
    };
    if task.targets.iter().any(drains) {
        return after(tx, &task.id, LOOK, Step::Drain);
    }
    set(tx, &task.id, |task, _| task.status = Status::Stopping);
    after(tx, &task.id, ENDS, Step::Ended);
}

fn stopped(tx: &mut Tx, task: &Task) {
    if let Some(interface) = &task.interface {
        network_interface::detach(tx, interface);
    }
    if let Some(ip) = &task.ip {
        // Nothing is left behind it.
        for (arn, _) in &task.targets {
            targets::forget_in(tx, arn, ip);
        }
    }
    set(tx, &task.id, |task, now| (task.status, task.stopped) = (Status::Stopped, Some(now)));
    after(tx, &task.id, SHOWN, Step::Forget);
    if let Some(service) = &task.service {
        deploy::soon(tx, service, false);
    }
}
