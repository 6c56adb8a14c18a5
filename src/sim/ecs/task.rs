//! Tasks: the row, and what shows and stops it. A task is provisioned, pending, runs; told to stop it is taken out of its target
//! groups first, drained, and then stopped. It is shown for an hour after that.

use jiff::Timestamp;

use super::settings::LATEST;
use super::*;
use super::{cluster, life};
use crate::sim::ec2::NetworkInterface;
use crate::sim::ec2::instance::App;
use crate::sim::ecr::Conduct;

pub const ACTIONS: &[Action] = &[
    Action { name: "DescribeTasks", params: &["cluster tasks[] include[]"], run: describe_tasks },
    Action {
        name: "ListTasks",
        params: &["cluster serviceName family startedBy desiredStatus launchType", PAGES],
        run: list_tasks,
    },
    Action { name: "StopTask", params: &["cluster task reason"], run: stop_task },
];

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
    #[serde(default = "latest")]
    pub platform_version: String,
    pub capacity_provider: Option<String>,
    /// Target groups it is registered in, with its port.
    pub targets: Vec<(String, u16)>,
    pub conduct: Conduct,
    /// What it answers now.
    pub app: App,
    /// Containers of it have a health check of their own.
    pub checked: bool,
    pub overrides: Value,
    /// Commands may be executed in it.
    #[serde(default)]
    pub execute: bool,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub stopped: Option<Timestamp>,
    pub stop_code: Option<StopCode>,
    pub stopped_reason: Option<String>,
    pub tags: Tags,
}

fn latest() -> String {
    LATEST.to_owned()
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
        // 20 GiB unless told otherwise, from platform version 1.4.0 on ("Fargate task ephemeral storage").
        let storage = self.overrides.get("ephemeralStorage").filter(|storage| !storage.is_null());
        let storage = storage.or_else(|| definition?.content.get("ephemeralStorage")).cloned();
        let storage = storage.unwrap_or_else(|| json!({ "sizeInGiB": 20 }));
        let container = |container: &Container| {
            let status = match self.status {
                _ if container.ended => "STOPPED",
                Status::Running | Status::Deactivating | Status::Stopping => "RUNNING",
                Status::Provisioning | Status::Pending => "PENDING",
                Status::Deprovisioning | Status::Stopped => "STOPPED",
            };
            json!({
                "containerArn": tx.arn("ecs", &format!("container/{}/{}/{}", self.cluster, self.id, container.name)),
                "taskArn": self.arn(tx),
                "name": container.name,
                "image": container.image,
                "imageDigest": container.image.split_once('@').map(|(_, digest)| digest),
                "lastStatus": status,
                "exitCode": container.exit_code,
                "reason": container.reason,
                "networkBindings": [],
                "networkInterfaces": self.ip.as_ref().map(|ip| json!([{ "privateIpv4Address": ip }])),
                "healthStatus": if self.checked { self.health() } else { "UNKNOWN" },
                "managedAgents": self.execute.then(|| json!([{ "name": "ExecuteCommandAgent", "lastStatus": status }])),
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
            "platformVersion": self.platform_version,
            "platformFamily": "Linux",
            "overrides": self.overrides,
            "ephemeralStorage": (self.platform_version == LATEST).then_some(storage),
            "enableExecuteCommand": self.execute,
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
            platform_version: shown.opt_str("platformVersion").map_or_else(latest, str::to_owned),
            capacity_provider: shown.opt_str("capacityProviderName").map(str::to_owned),
            targets: targets.to_vec(),
            conduct: Conduct::Healthy,
            app: if status == Status::Running { App::Healthy } else { App::Absent },
            checked: false,
            overrides: shown.part("overrides").0,
            execute: shown.flag("enableExecuteCommand"),
            created: shown.time("createdAt"),
            started: time("startedAt"),
            stopped: time("stoppedAt"),
            stop_code: None,
            stopped_reason: shown.opt_str("stoppedReason").map(str::to_owned),
            tags: shown.map("tags", "key", "value"),
        }
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
    for given in given {
        let id = name_in(&cluster, given)?;
        let Some(task) = tx.get::<Task>(id).ok().filter(|task| task.cluster == cluster) else {
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
            let key = format!("{cluster}/{}", name_in(&cluster, name)?);
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
    let id = name_in(&cluster, p.str("task")?)?.to_owned();
    if tx.get::<Task>(&id)?.cluster != cluster {
        return Err(Task::absent(&id));
    }
    life::stop(tx, &id, StopCode::UserInitiated, p.opt_str("reason").unwrap_or("Task stopped by user"));
    let task = tx.peek::<Task>(&id).ok_or_else(|| Task::absent(&id))?;
    Ok(json!({ "task": task.view(tx) }))
}

/// The view of a task, for who has just started it.
pub fn shown(tx: &Tx, task: &Task) -> Value {
    task.view(tx)
}
