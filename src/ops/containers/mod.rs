//! Containers: repositories and images, clusters, task definitions, services and single tasks.
//!
//! ECR and ECS have no SDK crate here: their calls go by name, with JSON under AWS's names. A service is known by its ARN,
//! `…:service/CLUSTER/NAME`, which says where it is.

pub mod build_image;
pub mod cluster_settings;
pub mod container_definition;
pub mod deploy_ecs_service;
pub mod deployment;
pub mod docker;
pub mod ecr;
pub mod ecs;
pub mod ensure_cluster;
pub mod ensure_repository;
pub mod ensure_service_scaling;
pub mod find_container_image;
pub mod find_ecs_service;
pub mod push_image;
pub mod register_task_definition;
pub mod repository_aspect;
pub mod retire_ecs_service;
pub mod run_task;
pub mod scaling;
pub mod scaling_policy;
pub mod service;
pub mod service_options;
pub mod task_content;
pub mod task_logs;
pub mod tasks;

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Kind, Tags};

/// A repository of images.
#[derive(Debug, Serialize)]
pub struct Repository {
    pub repository_name: String,
    pub repository_arn: String,
    /// Where images are pushed to and pulled from: `…/NAME`.
    pub repository_uri: String,
}

impl Kind for Repository {
    const KIND: &'static str = "repository";
    const ID: &'static str = "repository_name";
}

/// An image, by its digest.
#[derive(Debug, Serialize)]
pub struct ContainerImage {
    /// `REPOSITORY@sha256:…`: what a container definition takes, and what stays the same when the tag is moved.
    pub image: String,
    pub repository_name: String,
    pub image_tag: String,
    pub image_digest: String,
}

impl ContainerImage {
    fn of(repository: ecr::Found, image_tag: String, image_digest: String) -> Self {
        let image = format!("{}@{image_digest}", repository.repository_uri);
        Self { image, repository_name: repository.repository_name, image_tag, image_digest }
    }
}

impl Kind for ContainerImage {
    const KIND: &'static str = "container_image";
    const ID: &'static str = "image";
}

/// An image on this machine, tagged for a repository.
#[derive(Debug, Serialize)]
pub struct BuiltImage {
    /// `REPOSITORY:TAG`: what `push_image` brings to the repository.
    pub image: String,
    pub repository_name: String,
    pub image_tag: String,
    /// What the docker CLI calls it. Empty if it was not built.
    pub image_id: String,
    /// It was not built: a dry run, or the simulated AWS.
    pub assumed: bool,
}

impl Kind for BuiltImage {
    const KIND: &'static str = "built_image";
    const ID: &'static str = "image";
}

/// A cluster.
#[derive(Debug, Serialize)]
pub struct Cluster {
    pub cluster_arn: String,
    pub cluster_name: String,
}

impl Kind for Cluster {
    const KIND: &'static str = "cluster";
    const ID: &'static str = "cluster_arn";
}

/// A revision of a task definition.
#[derive(Debug, Serialize)]
pub struct TaskDefinition {
    pub task_definition_arn: String,
    pub family: String,
    pub revision: i64,
    /// The image of each container.
    pub images: BTreeMap<String, String>,
}

impl Kind for TaskDefinition {
    const KIND: &'static str = "task_definition";
    const ID: &'static str = "task_definition_arn";
}

/// A service, as it was when the operation ended.
#[derive(Debug, Default, Serialize)]
pub struct EcsService {
    /// False if there is no such service; then only names and ARN say something.
    pub exists: bool,
    /// The same as `service_name`.
    pub name: String,
    pub service_name: String,
    pub service_arn: String,
    pub cluster_arn: String,
    /// The ARN of the revision it is to run.
    pub task_definition: String,
    pub desired_count: i64,
    pub running_count: i64,
    pub pending_count: i64,
    pub target_group_arns: Vec<String>,
    pub tags: Tags,
}

impl Kind for EcsService {
    const KIND: &'static str = "ecs_service";
    const ID: &'static str = "service_arn";
}

/// A task that was run, and has ended.
#[derive(Debug, Serialize)]
pub struct Ran {
    pub task_arn: String,
    pub task_definition: String,
    /// By container. One that never ran has none.
    pub exit_codes: BTreeMap<String, i64>,
    pub stopped_reason: String,
}

impl Kind for Ran {
    const KIND: &'static str = "task";
    const ID: &'static str = "task_arn";
}

/// How a service is scaled.
#[derive(Debug, Serialize)]
pub struct ServiceScaling {
    /// `service/CLUSTER/NAME`
    pub resource_id: String,
    pub min_capacity: i64,
    pub max_capacity: i64,
    /// The names of its policies.
    pub policies: Vec<String>,
}

impl Kind for ServiceScaling {
    const KIND: &'static str = "service_scaling";
    const ID: &'static str = "resource_id";
}
