//! `run_task`: a task that does its work and ends, such as a migration.

use std::{collections::BTreeMap, time::Duration as Time};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Cluster, Ran, TaskDefinition,
    cluster_settings::{CapacityProviderShare, strategy},
    ecs::{self, Failure, to_ecs},
    register_task_definition, service_options,
    task_content::request,
    task_logs,
    tasks::{self, Container, Task},
};
use crate::{
    event::Change,
    ops::{
        Duration, Error, IdOf, IdsOf, Operation, Sensitive, Tags, all_of, arguments,
        network::{SecurityGroup, Subnets},
        ownership::{Owned, set},
    },
    run::{Class, Ctx, LookUp, Mutation, Seen, Undo, UndoAction, Undone, Wait},
};

/// Runs a task once, and waits until it has ended. Fails unless its essential containers, and those that are
/// overridden, exit with 0, with why it stopped and the end of its log. Containers that are overridden are what it is run for:
/// once they have exited with 0, ECS may end the others.
///
/// Undone, a task that still runs is stopped. What it has done stays done: a migration must be one that the old version can
/// live with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunTask {
    /// The cluster: what `ensure_cluster` returned, its ARN or its name.
    cluster: IdOf<Cluster>,
    /// The revision: what `register_task_definition` returned, or its ARN.
    task_definition: IdOf<TaskDefinition>,
    /// What is different this time.
    #[serde(default)]
    overrides: Overrides,
    /// `FARGATE`, `EC2` or `EXTERNAL`.
    #[serde(default = "fargate")]
    launch_type: String,
    /// Which capacity providers of the cluster may run it, in the place of a launch type.
    #[serde(default)]
    capacity_provider_strategy: Vec<CapacityProviderShare>,
    /// Where its network interface is.
    #[serde(default)]
    subnets: IdsOf<Subnets>,
    #[serde(default)]
    security_groups: IdsOf<SecurityGroup>,
    /// Gives it a public address: without it, and without a NAT gateway or endpoints, images cannot be pulled.
    #[serde(default)]
    assign_public_ip: bool,
    /// How long it may take.
    #[serde(default = "an_hour")]
    timeout: Duration,
    /// More tags.
    #[serde(default)]
    tags: Tags,
}

fn fargate() -> String {
    "FARGATE".to_owned()
}

fn an_hour() -> Duration {
    Duration::from_secs(3600)
}

/// What of a task definition is different for one task.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
struct Overrides {
    container_overrides: Vec<ContainerOverride>,
    /// CPU units of the task.
    cpu: Option<u32>,
    /// MiB of the task.
    memory: Option<u32>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct ContainerOverride {
    /// The container of the task definition.
    name: String,
    #[serde(default)]
    command: Vec<String>,
    /// By name, over those of the task definition.
    #[serde(default)]
    environment: BTreeMap<String, Sensitive>,
    cpu: Option<i64>,
    memory: Option<i64>,
}

/// What is kept of a started task.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    /// None if nothing was started, for this reason.
    task_arn: Option<String>,
    failure: Option<String>,
}

impl Operation for RunTask {
    const NAME: &'static str = "run_task";
    const AREA: &'static str = "ECS";
    const EXAMPLE: &'static str = r#"run_task(#{
    cluster: "shop-prod-main", task_definition: "shop-prod-web:3", subnets: ["subnet-0abc"],
    overrides: #{ container_overrides: [#{ name: "web", command: ["./migrate", "up"] }] },
})"#;

    type Options = Self;
    type Handle = Ran;

    fn subject(options: &Self) -> String {
        let definition = ecs::name_in(options.task_definition.as_str());
        let command = options.overrides.container_overrides.first().map(|over| over.command.join(" "));
        match command.filter(|command| !command.is_empty()) {
            Some(command) => format!("{definition} {command}"),
            None => definition.to_owned(),
        }
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Ran, Error> {
        options.check()?;
        let cluster = options.cluster.as_str();
        let definition = ecs::name_in(options.task_definition.as_str());
        let what = format!("task {definition} to end");
        let made = start(ctx, &options).await?;
        let Some(arn) = made.task_arn else {
            let reason = made.failure.unwrap_or_else(|| "it was not started".to_owned());
            return Err(Error::Hopeless { what, reason });
        };
        let wait = Wait { what: what.clone(), timeout: options.timeout.0, every: Time::from_secs(5) };
        let began = ctx.now();
        let ended = ctx
            .wait(wait, async || {
                let found = tasks::describe(ctx, cluster, std::slice::from_ref(&arn)).await?.into_iter().next();
                Ok(match found {
                    None if ctx.since(began) > SHOWN => {
                        let reason = "ECS does not show it any more, and how it ended is not known".to_owned();
                        return Err(Error::Hopeless { what: what.clone(), reason });
                    }
                    None => Seen::Pending("not shown yet".to_owned()),
                    Some(task) if task.last_status == "STOPPED" => Seen::Ready(task),
                    Some(task) => Seen::Pending(task.last_status.to_lowercase()),
                })
            })
            .await?;
        let definition = register_task_definition::find(ctx, options.task_definition.as_str()).await?;
        let definition = definition.unwrap_or_default();
        let failed = options.failed(&ended, &definition);
        if !failed.is_empty() {
            let log = log_of(ctx, &definition, &ended, &failed).await;
            return Err(Error::Hopeless { what, reason: join(ended.why(), log) });
        }
        let exit_codes = ended.exit_codes();
        ctx.did(Change::Created, [set("task_arn", arn.clone()), set("exit_codes", json!(exit_codes))]);
        Ok(Ran {
            task_arn: arn,
            task_definition: ended.task_definition_arn,
            exit_codes,
            stopped_reason: ended.stopped_reason.unwrap_or_default(),
        })
    }
}

/// How long a new task may not be shown. One that has ended is shown for an hour.
const SHOWN: Time = Time::from_secs(120);

fn join(why: String, log: Vec<String>) -> String {
    match log.is_empty() {
        true => why,
        false => format!("{why}; the end of its log:\n{}", log.join("\n")),
    }
}

impl RunTask {
    fn check(&self) -> Result<(), Error> {
        for (at, over) in self.overrides.container_overrides.iter().enumerate() {
            for (name, value) in &over.environment {
                if value.is_secret() {
                    let path = format!("overrides.container_overrides[{at}].environment.{name}");
                    let message = "a secret would be there for everyone who may describe the task: give the task definition's \
                                   `secrets` the ARN it is kept under";
                    return Err(Error::option(path, message));
                }
            }
        }
        let on_fargate = self.capacity_provider_strategy.is_empty() && self.launch_type == "FARGATE";
        match self.subnets.as_slice().is_empty() && on_fargate {
            true => Err(Error::option("subnets", "missing: tasks on Fargate have network interfaces")),
            false => Ok(()),
        }
    }

    /// The containers that decide and did not exit with 0. Essential ones do, and those that are overridden, as they are what
    /// the task is run for.
    fn failed(&self, task: &Task, definition: &register_task_definition::Found) -> Vec<String> {
        let is_overridden = |name: &str| self.overrides.container_overrides.iter().any(|over| over.name == name);
        let decides =
            |container: &&Container| is_overridden(&container.name) || definition.is_essential(&container.name);
        let all: Vec<&Container> = task.containers.iter().filter(decides).collect();
        // With the first essential container that ends, ECS ends the others: only if that one is what the task is run for, its
        // work is done.
        let is_done = all.iter().any(|container| container.exit_code == Some(0) && is_overridden(&container.name));
        let failed = all.iter().filter(|container| match container.exit_code {
            Some(0) => false,
            _ => !(is_done && container.was_ended() && !is_overridden(&container.name)),
        });
        failed.map(|container| container.name.clone()).collect()
    }

    fn input(&self, ctx: &Ctx, tags: &BTreeMap<String, String>) -> Value {
        let environment = |over: &ContainerOverride| -> Value {
            over.environment.iter().map(|(name, value)| json!({ "name": name, "value": value.expose() })).collect()
        };
        let container = |over: &ContainerOverride| {
            json!({
                "name": over.name, "command": over.command, "environment": environment(over), "cpu": over.cpu,
                "memory": over.memory,
            })
        };
        let subnets = self.subnets.as_slice();
        let network = (!subnets.is_empty())
            .then(|| service_options::network(subnets, self.security_groups.as_slice(), self.assign_public_ip));
        let mut input = request(&json!({
            "cluster": self.cluster.as_str(),
            "taskDefinition": self.task_definition.as_str(),
            "count": 1,
            "startedBy": started_by(ctx),
            "networkConfiguration": network,
            "overrides": {
                "containerOverrides": self.overrides.container_overrides.iter().map(container).collect::<Vec<_>>(),
                "cpu": self.overrides.cpu.map(|cpu| cpu.to_string()),
                "memory": self.overrides.memory.map(|memory| memory.to_string()),
            },
        }));
        match self.capacity_provider_strategy.is_empty() {
            true => input["launchType"] = json!(self.launch_type),
            false => {
                input["capacityProviderStrategy"] = strategy(self.capacity_provider_strategy.iter().cloned());
            }
        }
        input["tags"] = to_ecs(tags);
        input
    }
}

/// Who has started a task: this operation of this run, in at most 128 characters.
fn started_by(ctx: &Ctx) -> String {
    let words = format!("runner/{}/{}", ctx.run_id(), ctx.id().replace('.', "-"));
    crate::ops::ownership::shorten(&words, 128)
}

async fn start(ctx: &Ctx, options: &RunTask) -> Result<Made, Error> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Reply {
        tasks: Vec<Task>,
        failures: Vec<Failure>,
    }
    let definition = ecs::name_in(options.task_definition.as_str());
    let owned = Owned::new(ctx, definition, &options.tags)?;
    let input = options.input(ctx, &owned.tags());
    let cluster = options.cluster.to_string();
    let undo = Undo::new(&STOP_TASK, format!("stop task {definition}"), json!({ "cluster": cluster }));
    let looked_up = json!({ "cluster": cluster, "started_by": started_by(ctx) });
    let declared = Mutation::new("ecs:RunTask", Class::Token, format!("task {definition}"))
        .look_up(&TASK_STARTED_BY, looked_up)
        .refers_to([options.cluster.as_str(), options.task_definition.as_str()])
        .undo(undo);
    let send = |permit: crate::aws::Permit| {
        let mut input = input.clone();
        input["clientToken"] = json!(permit.token());
        ctx.aws().call("ecs:RunTask", &input).permit(permit).send::<Reply>()
    };
    let made = |reply: &Reply| {
        Ok(Made {
            task_arn: reply.tasks.first().map(|task| task.task_arn.clone()),
            failure: reply.failures.first().map(|failure| failure.reason.clone()),
        })
    };
    ctx.mutate(declared, send, made).await
}

/// The end of the logs of these containers.
async fn log_of(
    ctx: &Ctx,
    definition: &register_task_definition::Found,
    task: &Task,
    containers: &[String],
) -> Vec<String> {
    let tails = containers.iter().map(async |container| {
        let lines = task_logs::tail(ctx, &definition.log_configuration(container), container, task.id()).await;
        Ok::<Vec<String>, Error>(lines)
    });
    all_of(tails).await.unwrap_or_default().concat()
}

/// Finds a task by who has started it.
pub const TASK_STARTED_BY: LookUp =
    LookUp { name: "task_started_by", run: |ctx, arguments| Box::pin(task_started_by(ctx, arguments)) };

#[derive(Deserialize)]
struct StartedBy {
    cluster: String,
    started_by: String,
}

async fn task_started_by(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Reply {
        task_arns: Vec<String>,
    }
    let StartedBy { cluster, started_by } = arguments(wanted)?;
    // One that has ended is not among them; sent again with its token, the call says which it was.
    let reply: Reply = ctx.fetch("ecs:ListTasks", &json!({ "cluster": cluster, "startedBy": started_by })).await?;
    let task_arn = reply.task_arns.into_iter().next();
    Ok(task_arn.map(|arn| json!(Made { task_arn: Some(arn), failure: None })))
}

/// Stops a task that this run has started and that has not ended.
pub const STOP_TASK: UndoAction =
    UndoAction { name: "stop_task", run: |ctx, arguments| Box::pin(stop_task(ctx, arguments)) };

#[derive(Deserialize)]
struct Stop {
    cluster: String,
    task_arn: Option<String>,
}

async fn stop_task(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Stop { cluster, task_arn } = arguments(made)?;
    let Some(arn) = task_arn else { return Ok(Undone::Already) };
    let found = match tasks::describe(ctx, &cluster, std::slice::from_ref(&arn)).await {
        Err(error) if error.is(&["ClusterNotFoundException"]) => return Ok(Undone::Already),
        found => found?.into_iter().next(),
    };
    let Some(task) = found.filter(|task| !task.is_to_stop()) else { return Ok(Undone::Already) };
    let declared = Mutation::new("ecs:StopTask", Class::Idempotent, format!("task {}", task.id()));
    let input = json!({ "cluster": cluster, "task": arn, "reason": format!("rolled back by run {}", ctx.run_id()) });
    ctx.change(declared, |permit| ctx.aws().call("ecs:StopTask", &input).permit(permit).send::<Value>()).await?;
    let wait = Wait {
        what: format!("task {} to stop", task.id()),
        timeout: Time::from_secs(10 * 60),
        every: Time::from_secs(5),
    };
    ctx.wait(wait, async || {
        let found = tasks::describe(ctx, &cluster, std::slice::from_ref(&arn)).await?.into_iter().next();
        Ok(match found {
            Some(task) if task.last_status != "STOPPED" => Seen::Pending(task.last_status.to_lowercase()),
            _ => Seen::Ready(()),
        })
    })
    .await?;
    Ok(Undone::Done)
}
