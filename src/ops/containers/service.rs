//! A service as it is read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    EcsService,
    cluster_settings::{Share, strategy},
    ecs::{self, Tag, from_ecs},
    service_options::{Settings, deployment, network},
};
use crate::{
    ops::{Error, Tags, ownership::check_stack},
    run::Ctx,
};

/// A service as ECS shows it, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Found {
    pub service_arn: String,
    pub service_name: String,
    pub cluster_arn: String,
    pub status: String,
    pub desired_count: i64,
    pub running_count: i64,
    pub pending_count: i64,
    pub launch_type: Option<String>,
    capacity_provider_strategy: Vec<Share>,
    platform_version: Option<String>,
    pub task_definition: String,
    deployment_configuration: Configuration,
    pub deployments: Vec<Deployment>,
    pub events: Vec<Happened>,
    network_configuration: Option<Networks>,
    load_balancers: Vec<LoadBalancer>,
    health_check_grace_period_seconds: Option<i64>,
    placement_strategy: Value,
    enable_execute_command: bool,
    propagate_tags: Option<String>,
    tags: Vec<Tag>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Configuration {
    deployment_circuit_breaker: Breaker,
    maximum_percent: Option<i64>,
    minimum_healthy_percent: Option<i64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Breaker {
    enable: bool,
    rollback: bool,
}

/// One of the deployments of a service: usually there is one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Deployment {
    pub id: String,
    pub status: String,
    pub task_definition: String,
    pub desired_count: i64,
    pub running_count: i64,
    pub failed_tasks: i64,
    pub rollout_state: Option<String>,
    pub rollout_state_reason: Option<String>,
}

/// Something a service tells.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Happened {
    pub message: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Networks {
    awsvpc_configuration: Network,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Network {
    subnets: Vec<String>,
    security_groups: Vec<String>,
    assign_public_ip: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LoadBalancer {
    target_group_arn: Option<String>,
    container_name: String,
    container_port: i64,
}

impl Found {
    pub fn tags(&self) -> BTreeMap<String, String> {
        from_ecs(&self.tags)
    }

    pub fn is_active(&self) -> bool {
        self.status == "ACTIVE"
    }

    pub fn target_groups(&self) -> Vec<String> {
        self.load_balancers.iter().filter_map(|balancer| balancer.target_group_arn.clone()).collect()
    }

    pub fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.status == "PRIMARY")
    }

    /// What is compared and put back, by the names of UpdateService.
    pub fn settings(&self) -> Settings {
        let network = self.network_configuration.as_ref().map(|networks| {
            let vpc = &networks.awsvpc_configuration;
            network(&vpc.subnets, &vpc.security_groups, vpc.assign_public_ip == "ENABLED")
        });
        let balancer = |balancer: &LoadBalancer| {
            json!({
                "targetGroupArn": balancer.target_group_arn,
                "containerName": balancer.container_name,
                "containerPort": balancer.container_port,
            })
        };
        let configuration = &self.deployment_configuration;
        let breaker = &configuration.deployment_circuit_breaker;
        // UpdateService has it "NONE" where a description may leave it out.
        let propagate = self.propagate_tags.as_deref().unwrap_or("NONE");
        let settings = json!({
            "taskDefinition": self.task_definition,
            "desiredCount": self.desired_count,
            "capacityProviderStrategy": strategy(self.capacity_provider_strategy.iter().cloned().map(Into::into)),
            "networkConfiguration": network,
            "loadBalancers": self.load_balancers.iter().map(balancer).collect::<Vec<_>>(),
            "deploymentConfiguration": deployment(
                breaker.enable,
                breaker.rollback,
                configuration.maximum_percent.unwrap_or(200),
                configuration.minimum_healthy_percent.unwrap_or(100),
            ),
            "healthCheckGracePeriodSeconds": self.health_check_grace_period_seconds.unwrap_or(0),
            "placementStrategy": if self.placement_strategy.is_null() { json!([]) } else { self.placement_strategy.clone() },
            "enableExecuteCommand": self.enable_execute_command,
            "propagateTags": propagate,
            "platformVersion": self.platform_version.as_deref().unwrap_or("LATEST"),
        });
        settings.as_object().cloned().unwrap_or_default()
    }

    pub fn handle(&self) -> EcsService {
        EcsService {
            exists: true,
            name: self.service_name.clone(),
            service_name: self.service_name.clone(),
            service_arn: self.service_arn.clone(),
            cluster_arn: self.cluster_arn.clone(),
            task_definition: self.task_definition.clone(),
            desired_count: self.desired_count,
            running_count: self.running_count,
            pending_count: self.pending_count,
            target_group_arns: self.target_groups(),
            tags: Tags(self.tags()),
        }
    }
}

/// A service that is not there.
pub fn absent(service_arn: &str) -> EcsService {
    let name = ecs::name_in(service_arn).to_owned();
    EcsService { name: name.clone(), service_name: name, service_arn: service_arn.to_owned(), ..EcsService::default() }
}

/// The ARN of the service of that name in a cluster of this account.
pub fn arn(ctx: &Ctx, cluster: &str, name: &str) -> String {
    ctx.aws().arn("ecs", &format!("service/{}/{name}", ecs::name_in(cluster)))
}

/// The cluster in the ARN of a service.
///
/// # Errors
/// [`Error::Option`] if it is none.
pub fn cluster_in(service_arn: &str) -> Result<&str, Error> {
    let parts: Vec<&str> = service_arn.split(":service/").nth(1).into_iter().flat_map(|rest| rest.split('/')).collect();
    match parts[..] {
        [cluster, _] => Ok(cluster),
        _ => {
            let message = format!(
                "expected what `deploy_ecs_service` or `find_ecs_service` returned, or an ARN `…:service/CLUSTER/NAME`, found \
                 {service_arn:?}"
            );
            Err(Error::option("service", message))
        }
    }
}

/// A service by its ARN, in whatever state; `None` if ECS does not know of it.
///
/// # Errors
/// If the call fails.
pub async fn read(ctx: &Ctx, service_arn: &str) -> Result<Option<Found>, Error> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Reply {
        services: Vec<Found>,
    }
    let cluster = cluster_in(service_arn)?;
    let input = json!({ "cluster": cluster, "services": [ecs::name_in(service_arn)], "include": ["TAGS"] });
    ecs::until_shown(ctx, service_arn, async || match ctx.fetch::<Reply>("ecs:DescribeServices", &input).await {
        Ok(reply) => Ok(reply.services.into_iter().next()),
        Err(error) if error.is(&["ClusterNotFoundException"]) => Ok(None),
        Err(error) => Err(error),
    })
    .await
}

/// The same if it is active.
///
/// # Errors
/// If the call fails.
pub async fn find(ctx: &Ctx, service_arn: &str) -> Result<Option<Found>, Error> {
    Ok(read(ctx, service_arn).await?.filter(Found::is_active))
}

/// The same if there must be one.
///
/// # Errors
/// [`Error::NotFound`] if there is none.
pub async fn existing(ctx: &Ctx, service_arn: &str) -> Result<Found, Error> {
    let hint = || Some("`deploy_ecs_service` makes one".to_owned());
    let what = || format!("service {} in {}", ecs::name_in(service_arn), ctx.aws().region);
    find(ctx, service_arn).await?.ok_or_else(|| Error::NotFound { what: what(), hint: hint() })
}

/// Refuses a service of another stack.
///
/// # Errors
/// [`Error::NotOwned`].
pub fn check_owner(ctx: &Ctx, found: &Found) -> Result<(), Error> {
    check_stack(ctx, &format!("service {}", found.service_name), &found.tags())
}
