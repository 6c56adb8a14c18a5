//! Services: the row, and its create, update, delete and describe. What their deployments do is in `deploy`.

use jiff::Timestamp;

use super::settings::{RUNS, SERVES, Spec};
use super::*;
use super::{cluster, deploy};

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateService",
        params: &["serviceName clientToken schedulingStrategy deploymentController.type role", RUNS, SERVES, TAGS],
        run: create_once,
    },
    Action { name: "UpdateService", params: &["service forceNewDeployment", RUNS, SERVES], run: update_service },
    Action { name: "DeleteService", params: &["cluster service force"], run: delete_service },
    Action { name: "DescribeServices", params: &["cluster services[] include[]"], run: describe_services },
    Action { name: "ListServices", params: &["cluster launchType schedulingStrategy", PAGES], run: list_services },
];

/// How long ECS knows a client token.
pub const TOKENS: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Service {
    /// `cluster/name`
    pub key: String,
    pub cluster: String,
    pub name: String,
    pub status: Status,
    pub desired: i64,
    pub spec: Spec,
    /// What else is shown of it as it was given, by AWS's names.
    pub settings: serde_json::Map<String, Value>,
    /// The one under way is the first.
    pub deployments: Vec<Deployment>,
    pub events: Vec<Happened>,
    pub created: Timestamp,
    pub tags: Tags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    Active,
    Draining,
    Inactive,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployment {
    pub id: String,
    pub spec: Spec,
    pub created: Timestamp,
    pub updated: Timestamp,
    pub state: Rollout,
    pub reason: String,
    /// Consecutive tasks that failed.
    pub failed: i64,
    /// It puts back what was before one that failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rolls_back: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Rollout {
    InProgress,
    Completed,
    Failed,
}

/// Something a service tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Happened {
    pub id: String,
    pub at: Timestamp,
    pub message: String,
}

resource!(Service, key, region.ecs.services, Extent::Row, |_: &str| {
    AwsError::new("ServiceNotFoundException", "Service not found.")
});

impl Service {
    pub fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    pub fn is_inactive(&self) -> bool {
        self.status == Status::Inactive
    }

    pub fn arn(&self, tx: &Tx) -> String {
        arn_of(tx, &self.cluster, &self.name)
    }

    pub fn percent(&self, name: &str, default: i64) -> i64 {
        self.settings.get("deploymentConfiguration").and_then(|it| it[name].as_i64()).unwrap_or(default)
    }

    /// Whether a failing deployment is given up, and whether it is rolled back.
    pub fn breaker(&self) -> (bool, bool) {
        let breaker = self.settings.get("deploymentConfiguration").map(|it| &it["deploymentCircuitBreaker"]);
        let on = |name: &str| breaker.and_then(|it| it[name].as_bool()).unwrap_or(false);
        (on("enable"), on("rollback"))
    }

    pub fn grace(&self) -> std::time::Duration {
        let seconds = self.settings.get("healthCheckGracePeriodSeconds").and_then(Value::as_u64);
        std::time::Duration::from_secs(seconds.unwrap_or(0))
    }

    pub fn propagates(&self) -> Option<&str> {
        self.settings.get("propagateTags").and_then(Value::as_str)
    }

    /// Whether a setting is on.
    pub fn has_on(&self, name: &str) -> bool {
        self.settings.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Those of an account may be daemons.
    fn scheduling(&self) -> &str {
        self.settings.get("schedulingStrategy").and_then(Value::as_str).unwrap_or("REPLICA")
    }

    pub fn tell(&mut self, id: String, at: Timestamp, message: String) {
        self.events.insert(0, Happened { id, at, message: format!("(service {}) {message}", self.name) });
        self.events.truncate(100);
    }

    fn view(&self, tx: &Tx) -> Value {
        let tasks: Vec<&Task> = tx.all::<Task>().filter(|task| task.service.as_deref() == Some(&self.key)).collect();
        let count = |of: Option<&str>, pending: bool| {
            let counts = |task: &&&Task| match pending {
                true => matches!(task.status, task::Status::Provisioning | task::Status::Pending),
                false => task.status == task::Status::Running,
            };
            tasks
                .iter()
                .filter(|task| of.is_none_or(|of| task.started_by.as_deref() == Some(of)))
                .filter(counts)
                .count()
        };
        let deployment = |(place, deployment): (usize, &Deployment)| {
            let failed = deployment.state == Rollout::Failed;
            json!({
                "id": deployment.id,
                "status": if place == 0 { "PRIMARY" } else { "ACTIVE" },
                "taskDefinition": tx.arn("ecs", &format!("task-definition/{}", deployment.spec.task_definition)),
                "desiredCount": if place == 0 && !failed { self.desired } else { 0 },
                "pendingCount": count(Some(&deployment.id), true),
                "runningCount": count(Some(&deployment.id), false),
                "failedTasks": deployment.failed,
                "createdAt": epoch(deployment.created),
                "updatedAt": epoch(deployment.updated),
                "launchType": deployment.spec.launch_type,
                "capacityProviderStrategy": some(&deployment.spec.strategy),
                "platformVersion": deployment.spec.is_fargate().then(|| deployment.spec.platform()),
                "platformFamily": deployment.spec.is_fargate().then_some("Linux"),
                "networkConfiguration": deployment.spec.show_network(),
                "rolloutState": deployment.state,
                "rolloutStateReason": deployment.reason,
            })
        };
        let event =
            |event: &Happened| json!({ "id": event.id, "createdAt": epoch(event.at), "message": event.message });
        let mut view = json!({
            "serviceArn": self.arn(tx),
            "serviceName": self.name,
            "clusterArn": cluster::arn_of(tx, &self.cluster),
            "loadBalancers": self.spec.show_load_balancers(),
            "serviceRegistries": [],
            "status": self.status,
            "desiredCount": self.desired,
            "runningCount": count(None, false),
            "pendingCount": count(None, true),
            "launchType": self.spec.launch_type,
            "capacityProviderStrategy": some(&self.spec.strategy),
            "platformVersion": self.spec.is_fargate().then(|| self.spec.platform_version.clone()),
            "platformFamily": self.spec.is_fargate().then_some("Linux"),
            "taskDefinition": tx.arn("ecs", &format!("task-definition/{}", self.spec.task_definition)),
            "deployments": self.deployments.iter().enumerate().map(deployment).collect::<Vec<_>>(),
            "roleArn": tx.global_arn("iam", "role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"),
            "events": self.events.iter().map(event).collect::<Vec<_>>(),
            "createdAt": epoch(self.created),
            "networkConfiguration": self.spec.show_network(),
            "schedulingStrategy": self.scheduling(),
            "deploymentController": { "type": "ECS" },
            "createdBy": format!("arn:aws:iam::{}:root", tx.scope.account),
            "tags": show_tags(&self.tags),
        });
        for (name, value) in &self.settings {
            view[name.as_str()] = value.clone();
        }
        view
    }
}

fn some(list: &[Value]) -> Value {
    if list.is_empty() { Value::Null } else { json!(list) }
}

pub fn arn_of(tx: &Tx, cluster: &str, name: &str) -> String {
    tx.arn("ecs", &format!("service/{cluster}/{name}"))
}

/// What of a service is kept as it was given.
pub const SETTINGS: &[&str] = &[
    "deploymentConfiguration",
    "healthCheckGracePeriodSeconds",
    "placementConstraints",
    "placementStrategy",
    "propagateTags",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "availabilityZoneRebalancing",
    "schedulingStrategy",
];

/// With ECS's defaults, over what there was.
fn settings(p: &Params, before: Option<&Service>, balanced: bool) -> Result<serde_json::Map<String, Value>, AwsError> {
    among(p, "propagateTags", &["TASK_DEFINITION", "SERVICE", "NONE"])?;
    if p.has("healthCheckGracePeriodSeconds") && !balanced {
        return Err(invalid("Health check grace period is only valid for services configured to use load balancers."));
    }
    let defaults = json!({
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": { "enable": false, "rollback": false },
            "maximumPercent": 200,
            "minimumHealthyPercent": 100,
            "strategy": "ROLLING",
            "bakeTimeInMinutes": 0,
        },
        "placementConstraints": [],
        "placementStrategy": [],
        "propagateTags": "NONE",
        "enableECSManagedTags": false,
        "enableExecuteCommand": false,
        "availabilityZoneRebalancing": if before.is_none() { "ENABLED" } else { "DISABLED" },
    });
    let mut settings = defaults.as_object().cloned().unwrap_or_default();
    if balanced {
        settings.insert("healthCheckGracePeriodSeconds".to_owned(), json!(0));
    }
    // An account may not show all of them.
    settings.extend(before.map(|service| service.settings.clone()).unwrap_or_default());
    for name in SETTINGS {
        let Some(value) = p.get(name) else { continue };
        match (settings.get_mut(*name).and_then(Value::as_object_mut), value.as_object()) {
            // What a request does not say of it stays.
            (Some(known), Some(value)) => known.extend(value.clone()),
            _ => drop(settings.insert((*name).to_owned(), value.clone())),
        }
    }
    let configuration = &settings["deploymentConfiguration"];
    let strategy = configuration["strategy"].as_str().unwrap_or("ROLLING");
    if strategy != "ROLLING" {
        return Err(AwsError::not_modelled(
            "InvalidParameterException",
            "deployment strategy",
            strategy,
            "ecs services",
        ));
    }
    let percent = |name: &str, or: i64| configuration[name].as_i64().unwrap_or(or);
    let (least, most) = (percent("minimumHealthyPercent", 100), percent("maximumPercent", 200));
    let grace = settings.get("healthCheckGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(0);
    // They are 32 bits long in the model.
    if most > i32::MAX.into() || !(0..=i32::MAX.into()).contains(&grace) {
        return Err(invalid("The number is out of range."));
    }
    if least < 0 || most < 1 || least > most || (least == 100 && most == 100) {
        return Err(invalid(
            "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.",
        ));
    }
    let breaker = &configuration["deploymentCircuitBreaker"];
    if breaker["rollback"] == true && breaker["enable"] != true {
        return Err(invalid("Deployment circuit breaker must be enabled to roll back."));
    }
    Ok(settings)
}

/// The service that a request names, as a name or an ARN.
fn key_of(tx: &Tx, p: &Params, given: &str) -> Result<String, AwsError> {
    let cluster = &cluster::named(tx, p)?.name;
    Ok(format!("{cluster}/{}", name_in(cluster, given)?))
}

/// One that may be changed.
fn active(tx: &Tx, key: &str) -> Result<Service, AwsError> {
    let service = tx.get::<Service>(key)?;
    match service.is_active() {
        true => Ok(service.clone()),
        false => Err(AwsError::new("ServiceNotActiveException", "Service was not ACTIVE.")),
    }
}

fn count(p: &Params) -> Result<Option<i64>, AwsError> {
    match p.opt_int("desiredCount")? {
        Some(count) if !(0..=5000).contains(&count) => Err(invalid(format!("Invalid desired count: {count}"))),
        count => Ok(count),
    }
}

/// A token that was used with other parameters has no code of its own.
fn create_once(tx: &mut Tx, p: &Params) -> Reply {
    tx.once(p, "clientToken", TOKENS, |tx| create_service(tx, p)).map_err(|error| match error.code.as_str() {
        "IdempotentParameterMismatch" => invalid("Creation of service was not idempotent."),
        _ => error,
    })
}

fn create_service(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("serviceName")?.to_owned();
    if name.is_empty() || name.len() > 255 || !name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        return Err(invalid("Identifiers can only contain alphanumeric characters, underscores and hyphens."));
    }
    for (path, modelled) in [("schedulingStrategy", "REPLICA"), ("deploymentController.type", "ECS")] {
        if let Some(other) = p.opt_str(path).filter(|value| *value != modelled) {
            return Err(AwsError::not_modelled("InvalidParameterException", path, other, "ecs:CreateService"));
        }
    }
    let cluster = cluster::named(tx, p)?.clone();
    let key = format!("{}/{name}", cluster.name);
    match tx.peek::<Service>(&key).map(|service| service.status) {
        Some(Status::Active) => return Err(invalid("Creation of service was not idempotent.")),
        Some(Status::Draining) => return Err(invalid("Unable to Start a service that is still Draining.")),
        Some(Status::Inactive) | None => {}
    }
    let spec = Spec::asked(tx, p, None, &cluster)?;
    let settings = settings(p, None, !spec.load_balancers.is_empty())?;
    let service = Service {
        key: key.clone(),
        cluster: cluster.name,
        name,
        status: Status::Active,
        desired: count(p)?.unwrap_or(0),
        spec,
        settings,
        deployments: Vec::new(),
        events: Vec::new(),
        created: tx.now,
        tags: own_tags(p)?,
    };
    match tx.peek_mut::<Service>(&key) {
        Some(row) => *row = service,
        None => tx.put(service),
    }
    deploy::begin(tx, &key);
    deploy::soon(tx, &key, true);
    shown(tx, &key)
}

fn shown(tx: &Tx, key: &str) -> Reply {
    let service = tx.peek::<Service>(key).ok_or_else(|| Service::absent(key))?;
    Ok(json!({ "service": tx.shown(service, Service::view) }))
}

fn update_service(tx: &mut Tx, p: &Params) -> Reply {
    let key = key_of(tx, p, p.str("service")?)?;
    let before = active(tx, &key)?;
    let cluster = cluster::named(tx, p)?.clone();
    let spec = Spec::asked(tx, p, Some(&before.spec), &cluster)?;
    let settings = settings(p, Some(&before), !spec.load_balancers.is_empty())?;
    let desired = count(p)?.unwrap_or(before.desired);
    let anew = spec.redeploys(&before.spec) || p.opt_bool("forceNewDeployment")?.unwrap_or(false);
    let service = tx.get_mut::<Service>(&key)?;
    (service.spec, service.settings, service.desired) = (spec, settings, desired);
    if anew {
        deploy::begin(tx, &key);
    }
    deploy::soon(tx, &key, false);
    shown(tx, &key)
}

/// "You can delete a service if you have no running tasks in it and the desired task count is zero", or by force.
fn delete_service(tx: &mut Tx, p: &Params) -> Reply {
    let key = key_of(tx, p, p.str("service")?)?;
    let service = tx.get::<Service>(&key)?;
    if !service.is_active() {
        return Err(AwsError::new("ServiceNotFoundException", "Service not found."));
    }
    if service.desired > 0 && !p.opt_bool("force")?.unwrap_or(false) {
        return Err(invalid("The service cannot be stopped while it is scaled above 0."));
    }
    let service = tx.get_mut::<Service>(&key)?;
    (service.status, service.desired) = (Status::Draining, 0);
    deploy::soon(tx, &key, false);
    shown(tx, &key)
}

fn describe_services(tx: &mut Tx, p: &Params) -> Reply {
    let cluster = cluster::named(tx, p)?.name.clone();
    let given = p.strings("services");
    if given.is_empty() || given.len() > 10 {
        return Err(invalid("Services must be between 1 and 10."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for given in given {
        let name = name_in(&cluster, given)?;
        let Ok(service) = tx.get::<Service>(&format!("{cluster}/{name}")) else {
            failures.push(missing(arn_of(tx, &cluster, name)));
            continue;
        };
        let mut view = tx.shown(service, Service::view);
        if let (false, Some(view)) = (includes(p, "TAGS"), view.as_object_mut()) {
            view.remove("tags");
        }
        found.push(view);
    }
    Ok(json!({ "services": found, "failures": failures }))
}

fn list_services(tx: &mut Tx, p: &Params) -> Reply {
    let cluster = cluster::named(tx, p)?.name.clone();
    let kind = p.opt_str("launchType");
    let strategy = among(p, "schedulingStrategy", &["REPLICA", "DAEMON"])?;
    let of_kind = |service: &Service| {
        kind.is_none_or(|kind| service.spec.launch_type.as_deref() == Some(kind))
            && strategy.is_none_or(|strategy| service.scheduling() == strategy)
    };
    let rows = tx.select::<Service>(&[])?.into_iter();
    let rows =
        rows.filter(|service| service.cluster == cluster && !service.is_inactive() && of_kind(service)).collect();
    let paging = Paging { default: 10, ..PAGING };
    let (rows, next) = select::page(&paging, p, rows, |service: &&Service| &service.name)?;
    let arns: Vec<String> = rows.iter().map(|service| service.arn(tx)).collect();
    Ok(json!({ "serviceArns": arns, "nextToken": next }))
}

/// Application Auto Scaling keeps a service within its bounds.
pub fn keep_within(tx: &mut Tx, key: &str, least: i64, most: i64) {
    let Some(service) = tx.peek_mut::<Service>(key).filter(|service| service.is_active()) else { return };
    let wanted = service.desired.clamp(least, most);
    if wanted != service.desired {
        service.desired = wanted;
        deploy::soon(tx, key, false);
    }
}

/// Whether there is a service that can be scaled.
pub fn is_there(tx: &Tx, key: &str) -> bool {
    tx.get::<Service>(key).is_ok_and(Service::is_active)
}
