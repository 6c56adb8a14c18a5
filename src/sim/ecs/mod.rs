//! ECS: clusters, task definitions, services that keep their number of tasks, tasks that run by themselves. JSON 1.1.
//!
//! ```text
//! cluster          the row, its capacity providers and settings        tag      tags of everything
//! task_definition  revisions of families, active or not                load     a service of a forked account
//! service          the row, and its create, update, delete, describe   settings what a request says of it
//! deploy           its deployments: start, register, replace, roll back
//! task, life       a task, and how it goes on                          run      tasks that nobody keeps running
//! content          what a task definition says
//! ```
//!
//! Tasks run on Fargate. There are no container instances: the launch type EC2 finds none, as in a cluster without any.
//! Codes are those of the service model; messages and stop reasons those of the developer guide and of real accounts, as
//! people quote them in the issues of Terraform and of the ECS agent. Service Connect, service discovery, task sets,
//! CodeDeploy's controller and daemons are not modelled.

mod cluster;
mod content;
mod deploy;
mod life;
mod load;
mod run;
pub mod service;
mod settings;
mod tag;
pub mod task;
pub mod task_definition;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::elbv2::targets::{self, TargetState};
use super::error::{AwsError, Reply};
use super::fork::Extent;
use super::read::{Read, Reader, Rows, Token};
use super::select::{self, Paging};
use super::service::{Action, Service as Actions, no_secrets};
use super::table::Table;
use super::tags::{self, Tags};
use super::tx::{Resource, Tx, resource};
use super::wire::{Params, Protocol, epoch};

pub use cluster::Cluster;
pub use cluster::{CALLS as CLUSTER_CALLS, load as load_clusters};
pub use load::{CALLS, load};
pub use service::Service;
pub use task::Task;
pub use task_definition::{Family, TaskDefinition};

pub const SERVICE: Actions = Actions {
    name: "ecs",
    protocol: Protocol::Json("AmazonEC2ContainerServiceV20141113"),
    namespace: "",
    actions: &[cluster::ACTIONS, run::ACTIONS, service::ACTIONS, tag::ACTIONS, task::ACTIONS, task_definition::ACTIONS],
    sanitise: no_secrets,
};

/// What ECS holds in a region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ecs {
    clusters: Table<Cluster>,
    services: Table<Service>,
    task_definition_families: Table<Family>,
    task_definitions: Table<TaskDefinition>,
    tasks: Table<Task>,
}

/// What ECS does by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// A service compares what is with what is to be; `again`: it goes on doing so.
    Look { service: String, again: bool },
    /// The next moment in the life of a task.
    Task { id: String, step: task::Step },
    /// The capacity providers of a cluster were attached.
    Attached(String),
}

impl Event {
    pub fn happen(self, tx: &mut Tx) {
        match self {
            Event::Look { service, again } => deploy::look(tx, &service, again),
            Event::Task { id, step } => life::step(tx, &id, step),
            Event::Attached(cluster) => cluster::attached(tx, &cluster),
        }
    }
}

impl From<Event> for super::world::Event {
    fn from(event: Event) -> Self {
        super::world::Event::Ecs(event)
    }
}

const PAGING: Paging = Paging {
    size: "maxResults",
    token: "nextToken",
    default: 100,
    sizes: 1..=100,
    invalid_token: "InvalidParameterException",
};
const PAGES: &str = "maxResults nextToken";
const TAGS: &str = "tags[].key tags[].value";

/// Of pages that are read.
const TOKEN: Token = ("nextToken", "nextToken");

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidParameterException", message)
}

/// ECS has one code for what its callers do wrong.
fn client(message: impl Into<String>) -> AwsError {
    AwsError::new("ClientException", message)
}

/// The name in an ARN, or the name itself.
fn name_of(given: &str) -> &str {
    given.rsplit('/').next().unwrap_or(given)
}

/// The same of what is in a cluster: an ARN of another cluster's is refused. Those of the short form name no cluster.
fn name_in<'g>(cluster: &str, given: &'g str) -> Result<&'g str, AwsError> {
    let mut parts = given.rsplit('/').skip(1);
    match (parts.next(), parts.next()) {
        (Some(other), Some(_)) if other != cluster => {
            Err(invalid(format!("Identifier is for cluster {other}. Your cluster is {cluster}")))
        }
        _ => Ok(name_of(given)),
    }
}

/// The value, if it is one of these.
fn among<'p>(p: &'p Params, path: &str, known: &[&str]) -> Result<Option<&'p str>, AwsError> {
    match p.opt_str(path) {
        Some(value) if !known.contains(&value) => {
            let name = path.rsplit('.').next().unwrap_or(path);
            Err(invalid(format!("Invalid value '{value}' for {name}. Valid values: {}", known.join(", "))))
        }
        value => Ok(value),
    }
}

fn own_tags(p: &Params) -> Result<Tags, AwsError> {
    let list: Vec<Params> = p
        .list("tags")
        .iter()
        .map(|tag| Params(json!({ "Key": tag.opt_str("key"), "Value": tag.opt_str("value") })))
        .collect();
    let tags = tags::read(&list).map_err(|error| invalid(error.message))?;
    if tags.len() > 50 {
        return Err(invalid("Too many tags were specified. Number of tags cannot exceed 50."));
    }
    Ok(tags)
}

fn show_tags(tags: &Tags) -> Value {
    tags::write(tags, "key", "value")
}

/// Whether a describe is to show this too.
fn includes(p: &Params, what: &str) -> bool {
    p.strings("include").contains(&what)
}

/// What a describe says of a thing that is not there.
fn missing(arn: String) -> Value {
    json!({ "arn": arn, "reason": "MISSING" })
}
