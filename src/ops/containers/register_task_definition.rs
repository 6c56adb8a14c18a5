//! `register_task_definition`: what a task is made of.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    TaskDefinition,
    container_definition::ContainerDefinition,
    ecs::{self, EcsTags, Tag, from_ecs, to_ecs},
    task_content::{differences, normal, request},
};
use crate::{
    event::Change,
    ops::{
        Error, IdOf, Operation, Tags, Together, arguments,
        identity::{RoleArn, role_arn},
        outcome::report,
        ownership::{Owned, RUN_TAG, set},
        tagged,
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that the newest active revision of a task definition has this content. A new revision is registered only if it
/// has another one. Undone, the revision is deregistered: what runs of it goes on, and nothing new is started of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterTaskDefinition {
    /// What the stack calls it; ECS shows `<stack>-<family>`.
    family: String,
    /// CPU units of the task, of 1024 a CPU: `256`, `512`, `1024`, …
    cpu: Option<u32>,
    /// MiB of the task.
    memory: Option<u32>,
    /// `awsvpc`, `bridge`, `host` or `none`. Fargate has `awsvpc` only.
    #[serde(default = "awsvpc")]
    network_mode: String,
    #[serde(default = "fargate")]
    requires_compatibilities: Vec<String>,
    /// What ECS itself may do for the task: pull its images, write its logs, read its secrets. A role or its name or ARN.
    execution_role: Option<IdOf<RoleArn>>,
    /// What its containers may do.
    task_role: Option<IdOf<RoleArn>>,
    container_definitions: Vec<ContainerDefinition>,
    #[serde(default)]
    volumes: Vec<Volume>,
    /// GiB of scratch space; Fargate gives 20.
    ephemeral_storage: Option<u32>,
    runtime_platform: Option<RuntimePlatform>,
    /// More tags, of the revision. `propagate_tags` gives them to tasks.
    #[serde(default)]
    tags: Tags,
    /// Goes on with a family that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves the revision active when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

fn awsvpc() -> String {
    "awsvpc".to_owned()
}

fn fargate() -> Vec<String> {
    vec!["FARGATE".to_owned()]
}

/// Storage that containers share, or a file system.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct Volume {
    name: String,
    /// A file system of EFS.
    file_system_id: Option<String>,
    /// A folder of it.
    root_directory: Option<String>,
    /// The id of an access point of it.
    access_point_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all(serialize = "camelCase"))]
#[schemars(inline)]
struct RuntimePlatform {
    /// `X86_64` or `ARM64`.
    #[serde(default = "x86")]
    cpu_architecture: String,
    #[serde(default = "linux")]
    operating_system_family: String,
}

fn x86() -> String {
    "X86_64".to_owned()
}

fn linux() -> String {
    "LINUX".to_owned()
}

/// A revision as ECS shows it.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub arn: String,
    pub family: String,
    pub revision: i64,
    active: bool,
    /// All of it.
    content: Value,
    tags: BTreeMap<String, String>,
}

/// What is kept of a registered revision.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    task_definition_arn: String,
    family: String,
    revision: i64,
}

impl Operation for RegisterTaskDefinition {
    const NAME: &'static str = "register_task_definition";
    const AREA: &'static str = "ECS";
    const EXAMPLE: &'static str = r#"register_task_definition(#{
    family: "web", cpu: 512, memory: 1024, execution_role: "shop-prod-tasks",
    container_definitions: [#{
        name: "web", image: "shop-prod-web@sha256:0abc", port_mappings: [#{ container_port: 8080 }],
        environment: #{ LOG_LEVEL: "info" },
    }],
})"#;

    type Options = Self;
    type Handle = TaskDefinition;

    fn subject(options: &Self) -> String {
        options.family.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<TaskDefinition, Error> {
        options.check()?;
        let owned = Owned::new(ctx, &options.family, &options.tags)?;
        let family = owned.name_within(255);
        let wanted = options.content(ctx, &family).await?;
        let newest = find(ctx, &family).await?.filter(|found| found.active);
        let made = match newest {
            Some(newest) => {
                owned.check(&format!("task definition {family}"), &newest.tags, options.adopt)?;
                if normal(&newest.content) == normal(&wanted) {
                    let fields = tagged::converge::<EcsTags>(ctx, &newest.arn, &owned, &newest.tags).await?;
                    report(ctx, fields);
                    Made { task_definition_arn: newest.arn, family: newest.family, revision: newest.revision }
                } else {
                    let made = register(ctx, &options, &owned, &wanted, newest.revision).await?;
                    ctx.did(Change::Updated, differences(&normal(&newest.content), &normal(&wanted)));
                    made
                }
            }
            None => {
                let made = register(ctx, &options, &owned, &wanted, 0).await?;
                let arn = made.task_definition_arn.clone();
                ctx.did(Change::Created, [set("task_definition_arn", arn), set("family", family)]);
                made
            }
        };
        let images = options.container_definitions.iter();
        Ok(TaskDefinition {
            images: images.map(|container| (container.name.clone(), container.image.to_string())).collect(),
            task_definition_arn: made.task_definition_arn,
            family: made.family,
            revision: made.revision,
        })
    }
}

impl RegisterTaskDefinition {
    fn check(&self) -> Result<(), Error> {
        if self.container_definitions.is_empty() {
            return Err(Error::option("container_definitions", "expected at least one container, found none"));
        }
        for (at, container) in self.container_definitions.iter().enumerate() {
            container.check(&format!("container_definitions[{at}]"))?;
        }
        if !self.container_definitions.iter().any(|container| container.essential) {
            return Err(Error::option("container_definitions", "expected an essential container, found none"));
        }
        let on_fargate = self.requires_compatibilities.iter().any(|name| name == "FARGATE");
        if on_fargate && self.network_mode != "awsvpc" {
            let message = format!("expected \"awsvpc\" on Fargate, found {:?}", self.network_mode);
            return Err(Error::option("network_mode", message));
        }
        for (name, size) in [("cpu", self.cpu), ("memory", self.memory)] {
            if on_fargate && size.is_none() {
                return Err(Error::option(name, "missing: tasks on Fargate have a size"));
            }
        }
        for (at, volume) in self.volumes.iter().enumerate() {
            if volume.file_system_id.is_none() && (volume.root_directory.is_some() || volume.access_point_id.is_some())
            {
                return Err(Error::option(format!("volumes[{at}].file_system_id"), "missing"));
            }
        }
        Ok(())
    }

    /// As RegisterTaskDefinition takes it.
    async fn content(&self, ctx: &Ctx, family: &str) -> Result<Value, Error> {
        // ECS shows roles by their ARN.
        let arn = async |role: &Option<IdOf<RoleArn>>| match role {
            Some(role) => role_arn(ctx, role).await.map(Some),
            None => Ok(None),
        };
        let (execution_role, task_role) = futures::join!(arn(&self.execution_role), arn(&self.task_role)).together()?;
        let volume = |volume: &Volume| {
            let authorization =
                volume.access_point_id.as_ref().map(|id| json!({ "accessPointId": id, "iam": "ENABLED" }));
            let efs = volume.file_system_id.as_ref().map(|id| {
                json!({
                    "fileSystemId": id, "rootDirectory": volume.root_directory, "transitEncryption": "ENABLED",
                    "authorizationConfig": authorization,
                })
            });
            json!({ "name": volume.name, "efsVolumeConfiguration": efs })
        };
        Ok(request(&json!({
            "family": family,
            "cpu": self.cpu.map(|cpu| cpu.to_string()),
            "memory": self.memory.map(|memory| memory.to_string()),
            "networkMode": self.network_mode,
            "requiresCompatibilities": self.requires_compatibilities,
            "executionRoleArn": execution_role,
            "taskRoleArn": task_role,
            "containerDefinitions":
                self.container_definitions.iter().map(ContainerDefinition::to_ecs).collect::<Vec<_>>(),
            "volumes": self.volumes.iter().map(volume).collect::<Vec<_>>(),
            "ephemeralStorage": self.ephemeral_storage.map(|size| json!({ "sizeInGiB": size })),
            "runtimePlatform": self.runtime_platform,
        })))
    }
}

/// A revision, or the newest one of a family that is active.
///
/// # Errors
/// If the call fails.
pub async fn find(ctx: &Ctx, definition: &str) -> Result<Option<Found>, Error> {
    const CALL: &str = "ecs:DescribeTaskDefinition";
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Reply {
        task_definition: Value,
        tags: Vec<Tag>,
    }
    let input = json!({ "taskDefinition": definition, "include": ["TAGS"] });
    let reply: Reply = match ctx.fetch(CALL, &input).await {
        // "Unable to describe task definition."
        Err(error) if error.is(&["ClientException"]) => return Ok(None),
        reply => reply?,
    };
    let shown = reply.task_definition;
    let text = |member: &str| shown[member].as_str().unwrap_or_default().to_owned();
    Ok(Some(Found {
        arn: text("taskDefinitionArn"),
        family: text("family"),
        revision: shown["revision"].as_i64().unwrap_or_default(),
        active: shown["status"] == "ACTIVE",
        tags: from_ecs(&reply.tags),
        content: shown,
    }))
}

impl Found {
    fn container(&self, name: &str) -> Option<&Value> {
        let mut containers = self.content["containerDefinitions"].as_array().into_iter().flatten();
        containers.find(|found| found["name"] == name)
    }

    /// How a container logs.
    pub fn log_configuration(&self, container: &str) -> Value {
        self.container(container).map(|found| found["logConfiguration"].clone()).unwrap_or_default()
    }

    /// Whether a task ends with this container. "All containers are essential by default".
    pub fn is_essential(&self, container: &str) -> bool {
        self.container(container).and_then(|found| found["essential"].as_bool()).unwrap_or(true)
    }
}

async fn register(
    ctx: &Ctx,
    options: &RegisterTaskDefinition,
    owned: &Owned,
    content: &Value,
    after: i64,
) -> Result<Made, Error> {
    let family = owned.name_within(255);
    let undo = Undo::new(&DEREGISTER_TASK_DEFINITION, format!("deregister the new revision of {family}"), json!({}));
    let looked_up = NewerThan { family: family.clone(), after, run: ctx.run_id().to_owned() };
    let declared = Mutation::new("ecs:RegisterTaskDefinition", Class::Unique, format!("task definition {family}"))
        .look_up(&TASK_DEFINITION_NEWER_THAN, json!(looked_up))
        .refers_to(options.execution_role.iter().chain(&options.task_role).map(IdOf::as_str))
        .undo(undo.keep(options.keep_on_rollback));
    let mut input = content.clone();
    input["tags"] = to_ecs(&owned.tags());
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Reply {
        task_definition: Registered,
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Registered {
        task_definition_arn: String,
        family: String,
        revision: i64,
    }
    ctx.mutate(
        declared,
        |permit| ctx.aws().call("ecs:RegisterTaskDefinition", &input).permit(permit).send::<Reply>(),
        |Reply { task_definition: made }| {
            let (task_definition_arn, family) = (made.task_definition_arn.clone(), made.family.clone());
            Ok(Made { task_definition_arn, family, revision: made.revision })
        },
    )
    .await
}

/// Finds a revision that this run has registered.
pub const TASK_DEFINITION_NEWER_THAN: LookUp = LookUp {
    name: "task_definition_newer_than",
    run: |ctx, arguments| Box::pin(task_definition_newer_than(ctx, arguments)),
};

#[derive(Serialize, Deserialize)]
struct NewerThan {
    family: String,
    after: i64,
    run: String,
}

async fn task_definition_newer_than(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let NewerThan { family, after, run } = arguments(wanted)?;
    let found = find(ctx, &family).await?;
    let ours = found.filter(|found| found.active && found.revision > after && found.tags.get(RUN_TAG) == Some(&run));
    Ok(ours.map(|found| json!(Made { task_definition_arn: found.arn, family: found.family, revision: found.revision })))
}

/// Takes a revision this run registered out of use.
pub const DEREGISTER_TASK_DEFINITION: UndoAction = UndoAction {
    name: "deregister_task_definition",
    run: |ctx, arguments| Box::pin(deregister_task_definition(ctx, arguments)),
};

async fn deregister_task_definition(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { task_definition_arn: arn, .. } = arguments(made)?;
    if find(ctx, &arn).await?.is_none_or(|found| !found.active) {
        return Ok(Undone::Already);
    }
    let declared = Mutation::new(
        "ecs:DeregisterTaskDefinition",
        Class::Idempotent,
        format!("task definition {}", ecs::name_in(&arn)),
    );
    let input = json!({ "taskDefinition": arn });
    ctx.change(declared, |permit| {
        ctx.aws().call("ecs:DeregisterTaskDefinition", &input).permit(permit).send::<Value>()
    })
    .await?;
    Ok(Undone::Done)
}
