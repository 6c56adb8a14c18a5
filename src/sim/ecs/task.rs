//! Tasks, from their network interface to their end. Facts are those of "Amazon ECS task lifecycle": a task is provisioned,
//! pending, runs; told to stop it is taken out of its target groups first, drained, and then stopped. It is shown for an hour
//! after that.

use std::time::Duration;

use jiff::Timestamp;

use super::settings::Spec;
use super::*;
use super::{cluster, deploy};
use crate::sim::ec2::NetworkInterface;
use crate::sim::ec2::instance::App;
use crate::sim::ec2::network_interface::{self, Wanted};
use crate::sim::ecr::{self, Conduct};

pub const ACTIONS: &[Action] = &[
    Action { name: "DescribeTasks", params: &["cluster tasks[] include[]"], run: describe_tasks },
    Action {
        name: "ListTasks",
        params: &["cluster serviceName family startedBy desiredStatus launchType", PAGES],
        run: list_tasks,
    },
    Action { name: "StopTask", params: &["cluster task reason"], run: stop_task },
];

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

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// 32 hexadecimal digits.
    pub id: String,
    pub cluster: String,
    pub group: String,
    /// The deployment of its service, or what a caller says.
    pub started_by: Option<String>,
    /// The key of its service.
    pub service: Option<String>,
    pub task_definition: String,
    pub status: Status,
    /// It was told to stop, or has ended.
    pub stopping: Option<Timestamp>,
    pub containers: Vec<Container>,
    pub interface: Option<String>,
    pub subnet: String,
    pub zone: String,
    pub ip: Option<String>,
    pub launch_type: String,
    pub capacity_provider: Option<String>,
    /// Target groups it is registered in, with its port.
    pub targets: Vec<(String, u16)>,
    pub conduct: Conduct,
    /// What it answers now.
    pub app: App,
    /// Containers of it have a health check of their own.
    pub checked: bool,
    pub overrides: Value,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub stopped: Option<Timestamp>,
    pub stop_code: Option<StopCode>,
    pub stopped_reason: Option<String>,
    pub tags: Tags,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Container {
    pub name: String,
    pub image: String,
    pub essential: bool,
    pub exit_code: Option<i64>,
    pub reason: Option<String>,
    pub ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    Provisioning,
    Pending,
    Running,
    Deactivating,
    Stopping,
    Deprovisioning,
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCode {
    EssentialContainerExited,
    ServiceSchedulerInitiated,
    TaskFailedToStart,
    UserInitiated,
}

/// What comes next for a task.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Step {
    Provisioned,
    Pulled,
    Answer(App),
    /// Its containers end by themselves with this code.
    Exit(i64),
    /// It was told to stop: are its targets drained?
    Drain,
    /// Its containers have ended.
    Ended,
    Deprovisioned,
    Forget,
}

resource!(
    Task,
    id,
    region.ecs.tasks,
    // They come with their service.
    Extent::With { kind: "Service", of: |_| None },
    |_: &str| invalid("The referenced task was not found.")
);

/// One task to be started.
pub struct Start<'a> {
    pub cluster: &'a str,
    pub spec: &'a Spec,
    pub group: String,
    pub started_by: Option<String>,
    pub service: Option<String>,
    pub overrides: Value,
    pub tags: Tags,
}

impl Task {
    /// It has not been told to stop, and has not ended.
    pub fn is_wanted(&self) -> bool {
        self.stopping.is_none()
    }

    /// Whether the health check of its own containers fails.
    pub fn checks_fail(&self) -> bool {
        self.checked && self.app == App::Unhealthy
    }

    fn arn(&self, tx: &Tx) -> String {
        tx.arn("ecs", &format!("task/{}/{}", self.cluster, self.id))
    }

    fn health(&self) -> &'static str {
        match (self.checked, self.status, self.app) {
            (true, Status::Running, App::Healthy) => "HEALTHY",
            (true, Status::Running, App::Unhealthy) => "UNHEALTHY",
            _ => "UNKNOWN",
        }
    }

    fn view(&self, tx: &Tx) -> Value {
        let definition = tx.peek::<TaskDefinition>(&self.task_definition);
        let size = |member: &str| definition.map(|it| it.text(member)).filter(|size| !size.is_empty());
        let attachment = self.interface.as_ref().map(|id| {
            let gone = self.status == Status::Stopped;
            json!({
                "id": format!("attachment-{id}"),
                "type": "ElasticNetworkInterface",
                "status": if gone { "DELETED" } else { "ATTACHED" },
                "details": [
                    { "name": "subnetId", "value": self.subnet },
                    { "name": "networkInterfaceId", "value": id },
                    { "name": "privateIPv4Address", "value": self.ip },
                ],
            })
        });
        let container = |container: &Container| {
            json!({
                "containerArn": tx.arn("ecs", &format!("container/{}/{}/{}", self.cluster, self.id, container.name)),
                "taskArn": self.arn(tx),
                "name": container.name,
                "image": container.image,
                "imageDigest": container.image.split_once('@').map(|(_, digest)| digest),
                "lastStatus": if container.ended { "STOPPED" } else {
                    match self.status {
                        Status::Running | Status::Deactivating | Status::Stopping => "RUNNING",
                        Status::Provisioning | Status::Pending => "PENDING",
                        Status::Deprovisioning | Status::Stopped => "STOPPED",
                    }
                },
                "exitCode": container.exit_code,
                "reason": container.reason,
                "networkBindings": [],
                "networkInterfaces": self.ip.as_ref().map(|ip| json!([{ "privateIpv4Address": ip }])),
                "healthStatus": if self.checked { self.health() } else { "UNKNOWN" },
            })
        };
        json!({
            "taskArn": self.arn(tx),
            "clusterArn": cluster::arn_of(tx, &self.cluster),
            "taskDefinitionArn": tx.arn("ecs", &format!("task-definition/{}", self.task_definition)),
            "group": self.group,
            "startedBy": self.started_by,
            "lastStatus": self.status,
            "desiredStatus": if self.is_wanted() { "RUNNING" } else { "STOPPED" },
            "healthStatus": self.health(),
            "containers": self.containers.iter().map(container).collect::<Vec<_>>(),
            "attachments": attachment.into_iter().collect::<Vec<_>>(),
            "attributes": [],
            "availabilityZone": self.zone,
            "capacityProviderName": self.capacity_provider,
            "connectivity": self.started.map(|_| "CONNECTED"),
            "cpu": size("cpu"),
            "memory": size("memory"),
            "createdAt": epoch(self.created),
            "startedAt": self.started.map(epoch),
            "stoppingAt": self.stopping.map(epoch),
            "stoppedAt": self.stopped.map(epoch),
            "stopCode": self.stop_code,
            "stoppedReason": self.stopped_reason,
            "launchType": self.launch_type,
            "platformVersion": "1.4.0",
            "platformFamily": "Linux",
            "overrides": self.overrides,
            "enableExecuteCommand": false,
            "version": 1,
            "tags": show_tags(&self.tags),
        })
    }

    /// The inverse of what is shown. What it answers is not: it is well if it runs; where a target group says otherwise, that is
    /// kept with the target (`elbv2::targets::Target::answers`).
    pub fn read(shown: &Params, service: Option<&str>, targets: &[(String, u16)]) -> Task {
        let status = match shown.opt_str("lastStatus").unwrap_or_default() {
            "PROVISIONING" => Status::Provisioning,
            "PENDING" | "ACTIVATING" => Status::Pending,
            "DEACTIVATING" => Status::Deactivating,
            "STOPPING" => Status::Stopping,
            "DEPROVISIONING" => Status::Deprovisioning,
            "STOPPED" | "DELETED" => Status::Stopped,
            _ => Status::Running,
        };
        let attachment = shown.list("attachments").into_iter().find(|it| it.text("type") == "ElasticNetworkInterface");
        let details = attachment.map(|it| it.map("details", "name", "value")).unwrap_or_default();
        let container = |container: &Params| Container {
            name: container.text("name"),
            image: container.text("image"),
            // Which of them are is in the task definition, and nothing here depends on it once it runs.
            essential: true,
            exit_code: container.opt_int("exitCode").ok().flatten(),
            reason: container.opt_str("reason").map(str::to_owned),
            ended: container.opt_str("lastStatus") == Some("STOPPED"),
        };
        let time = |member: &str| shown.has(member).then(|| shown.time(member));
        let wanted = shown.opt_str("desiredStatus") == Some("RUNNING");
        Task {
            id: name_of(&shown.text("taskArn")).to_owned(),
            cluster: name_of(&shown.text("clusterArn")).to_owned(),
            group: shown.text("group"),
            started_by: shown.opt_str("startedBy").map(str::to_owned),
            service: service.map(str::to_owned),
            task_definition: name_of(&shown.text("taskDefinitionArn")).to_owned(),
            status,
            stopping: time("stoppingAt").or_else(|| (!wanted).then(|| shown.time("createdAt"))),
            containers: shown.list("containers").iter().map(container).collect(),
            interface: details.get("networkInterfaceId").cloned(),
            subnet: details.get("subnetId").cloned().unwrap_or_default(),
            zone: shown.text("availabilityZone"),
            ip: details.get("privateIPv4Address").cloned(),
            launch_type: shown.text("launchType"),
            capacity_provider: shown.opt_str("capacityProviderName").map(str::to_owned),
            targets: targets.to_vec(),
            conduct: Conduct::Healthy,
            app: if status == Status::Running { App::Healthy } else { App::Absent },
            checked: false,
            overrides: shown.part("overrides").0,
            created: shown.time("createdAt"),
            started: time("startedAt"),
            stopped: time("stoppedAt"),
            stop_code: None,
            stopped_reason: shown.opt_str("stoppedReason").map(str::to_owned),
            tags: shown.map("tags", "key", "value"),
        }
    }

    /// One that was read goes on.
    pub fn go_on(&self, tx: &mut Tx) {
        let (after, next) = match self.status {
            Status::Provisioning => (PROVISIONING.1, Step::Provisioned),
            Status::Pending => (PULLING.1, Step::Pulled),
            Status::Running => return,
            Status::Deactivating => (LOOK, Step::Drain),
            Status::Stopping => (ENDS, Step::Ended),
            Status::Deprovisioning => (DEPROVISIONING, Step::Deprovisioned),
            Status::Stopped => (SHOWN, Step::Forget),
        };
        tx.schedule(after, Event::Task { id: self.id.clone(), step: next });
    }
}

/// Starts a task: its interface comes first.
pub fn start(tx: &mut Tx, wanted: Start) -> Result<Task, AwsError> {
    let Start { cluster, spec, group, started_by, service, overrides, tags } = wanted;
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
            let fewest = |subnet: &&String| {
                let there =
                    tx.all::<Task>().filter(|task| task.is_wanted() && task.group == group && task.subnet == **subnet);
                there.count()
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
        capacity_provider: provider.map(str::to_owned),
        targets: targets.collect(),
        conduct,
        app: App::Absent,
        checked,
        overrides,
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

/// The task behind a network interface: what it answers, who it is and what it was made of.
pub fn behind<'t>(tx: &'t Tx, interface: &NetworkInterface) -> Option<&'t Task> {
    tx.all::<Task>().find(|task| task.interface.as_deref() == Some(&interface.id))
}

fn describe_tasks(tx: &mut Tx, p: &Params) -> Reply {
    let cluster = cluster::named(tx, p)?.name.clone();
    let given = p.strings("tasks");
    if given.is_empty() || given.len() > 100 {
        return Err(invalid("Tasks must be between 1 and 100."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for id in given.into_iter().map(name_of) {
        let Ok(task) = tx.get::<Task>(id) else {
            failures.push(missing(tx.arn("ecs", &format!("task/{cluster}/{id}"))));
            continue;
        };
        let mut view = task.view(tx);
        if let (false, Some(view)) = (includes(p, "TAGS"), view.as_object_mut()) {
            view.insert("tags".to_owned(), json!([]));
        }
        found.push(view);
    }
    Ok(json!({ "tasks": found, "failures": failures }))
}

fn list_tasks(tx: &mut Tx, p: &Params) -> Reply {
    let cluster = cluster::named(tx, p)?.name.clone();
    let service = match p.opt_str("serviceName") {
        Some(name) => {
            let key = format!("{cluster}/{}", name_of(name));
            Some(tx.get::<Service>(&key)?.key.clone())
        }
        None => None,
    };
    let wanted = among(p, "desiredStatus", &["RUNNING", "PENDING", "STOPPED"])?.unwrap_or("RUNNING");
    let rows = tx.select::<Task>(&[])?.into_iter();
    let rows = rows.filter(|task| {
        task.cluster == cluster
            && task.is_wanted() == (wanted == "RUNNING")
            // "Although you can filter on the desired status PENDING, this doesn't return any results" (ListTasks).
            && wanted != "PENDING"
            && (service.is_none() || task.service == service)
            && p.opt_str("family").is_none_or(|family| task.task_definition.rsplit_once(':').is_some_and(|it| it.0 == family))
            && p.opt_str("startedBy").is_none_or(|by| task.started_by.as_deref() == Some(by))
            && p.opt_str("launchType").is_none_or(|kind| task.launch_type == kind)
    });
    let (rows, next) = select::page(&PAGING, p, rows.collect(), |task: &&Task| &task.id)?;
    let arns: Vec<String> = rows.iter().map(|task| task.arn(tx)).collect();
    Ok(json!({ "taskArns": arns, "nextToken": next }))
}

fn stop_task(tx: &mut Tx, p: &Params) -> Reply {
    let cluster = cluster::named(tx, p)?.name.clone();
    let id = name_of(p.str("task")?).to_owned();
    if tx.get::<Task>(&id)?.cluster != cluster {
        return Err(Task::absent(&id));
    }
    stop(tx, &id, StopCode::UserInitiated, p.opt_str("reason").unwrap_or("Task stopped by user"));
    let task = tx.peek::<Task>(&id).ok_or_else(|| Task::absent(&id))?;
    Ok(json!({ "task": task.view(tx) }))
}

/// The view of a task, for who has just started it.
pub fn shown(tx: &Tx, task: &Task) -> Value {
    task.view(tx)
}
