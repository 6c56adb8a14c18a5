//! The options of `deploy_ecs_service`, and what they ask for in ECS's words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Cluster, TaskDefinition,
    cluster_settings::{CapacityProviderShare, strategy},
};
use crate::ops::{
    Duration, Error, IdOf, IdsOf, Tags,
    load_balancing::TargetGroup,
    network::{SecurityGroup, Subnets},
};

/// Makes a service, or brings it to what is wanted, and waits until its tasks run and are healthy in their target groups. Fails
/// as soon as ECS gives the deployment up, in the words of the tasks that failed.
///
/// Undone, a service that was made is drained and deleted; one that was changed gets its task definition, its count and its
/// settings back, and its tasks are waited for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployEcsService {
    /// What the stack calls it; ECS shows `<stack>-<name>`.
    pub(super) name: String,
    /// The cluster: what `ensure_cluster` returned, its ARN or its name.
    pub(super) cluster: IdOf<Cluster>,
    /// The revision its tasks are made of: what `register_task_definition` returned, or its ARN.
    pub(super) task_definition: IdOf<TaskDefinition>,
    /// How many tasks. Left out, a new service has one, and one that is there keeps what it has: leave it out where
    /// `ensure_service_scaling` decides.
    pub(super) desired_count: Option<u32>,
    /// `FARGATE`, `EC2` or `EXTERNAL`. It cannot be changed later.
    #[serde(default = "fargate")]
    launch_type: String,
    /// Which capacity providers of the cluster get the tasks, in the place of a launch type.
    #[serde(default)]
    capacity_provider_strategy: Vec<CapacityProviderShare>,
    /// Of Fargate: `"1.4.0"`. Left out, a new service has the latest, and one that is there keeps what it has.
    platform_version: Option<String>,
    /// Where the tasks' network interfaces are. Left out, a service that is there keeps what it has.
    #[serde(default)]
    subnets: IdsOf<Subnets>,
    #[serde(default)]
    security_groups: IdsOf<SecurityGroup>,
    /// Gives tasks a public address: without it, and without a NAT gateway or endpoints, images cannot be pulled.
    #[serde(default)]
    assign_public_ip: bool,
    /// Target groups in which tasks are registered. A load balancer must forward to them already, if only with the weight 0:
    /// `attach_target_group`.
    #[serde(default)]
    load_balancers: Vec<LoadBalancer>,
    #[serde(default)]
    deployment_configuration: DeploymentConfiguration,
    /// How long health checks of a load balancer do not count for a new task. It is for services with one.
    health_check_grace_period: Option<Duration>,
    /// On EC2, how tasks are placed.
    #[serde(default)]
    placement_strategy: Vec<PlacementStrategy>,
    /// Lets people in with `aws ecs execute-command`.
    #[serde(default)]
    enable_execute_command: bool,
    /// Whose tags tasks get: `SERVICE`, `TASK_DEFINITION` or `NONE`.
    #[serde(default = "service")]
    propagate_tags: String,
    /// How long to wait until it is stable.
    #[serde(default = "twenty_minutes")]
    pub(super) timeout: Duration,
    /// More tags.
    #[serde(default)]
    pub(super) tags: Tags,
    /// Takes over a service of this name that the stack does not own.
    #[serde(default)]
    pub(super) adopt: bool,
    /// Leaves a service that was made in place when the run is rolled back.
    #[serde(default)]
    pub(super) keep_on_rollback: bool,
}

fn fargate() -> String {
    "FARGATE".to_owned()
}

fn service() -> String {
    "SERVICE".to_owned()
}

fn twenty_minutes() -> Duration {
    Duration::from_secs(20 * 60)
}

/// A target group, and which port of which container is registered in it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct LoadBalancer {
    /// Of the target type `ip`, with the network mode `awsvpc`.
    target_group: IdOf<TargetGroup>,
    container_name: String,
    container_port: u16,
}

/// How tasks are replaced.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
struct DeploymentConfiguration {
    deployment_circuit_breaker: CircuitBreaker,
    /// How many tasks there may be meanwhile, in percent of the count.
    maximum_percent: u32,
    /// How many of them must be healthy.
    minimum_healthy_percent: u32,
}

impl Default for DeploymentConfiguration {
    fn default() -> Self {
        Self {
            deployment_circuit_breaker: CircuitBreaker::default(),
            maximum_percent: 200,
            minimum_healthy_percent: 100,
        }
    }
}

/// Whether ECS gives up a deployment whose tasks go on failing, and takes it back.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(inline)]
struct CircuitBreaker {
    enable: bool,
    rollback: bool,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self { enable: true, rollback: true }
    }
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
struct PlacementStrategy {
    /// `random`, `spread` or `binpack`.
    r#type: String,
    /// `attribute:ecs.availability-zone`, `instanceId`, `cpu`, `memory`.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

/// Settings of a service by ECS's names, in one form.
pub type Settings = Map<String, Value>;

impl DeployEcsService {
    /// Refuses what no call is needed for to see.
    pub(super) fn check(&self) -> Result<(), Error> {
        let words = |path: &str, value: &str, known: &[&str]| match known.contains(&value) {
            true => Ok(()),
            false => Err(Error::option(path, format!("expected one of {}, found {value:?}", known.join(", ")))),
        };
        words("launch_type", &self.launch_type, &["FARGATE", "EC2", "EXTERNAL"])?;
        words("propagate_tags", &self.propagate_tags, &["SERVICE", "TASK_DEFINITION", "NONE"])?;
        for (at, strategy) in self.placement_strategy.iter().enumerate() {
            let path = format!("placement_strategy[{at}].type");
            words(&path, &strategy.r#type, &["random", "spread", "binpack"])?;
        }
        if !self.task_definition.as_str().contains(':') {
            let message = "expected a revision, such as `register_task_definition` returns: a family alone is another \
                           revision tomorrow";
            return Err(Error::option("task_definition", message));
        }
        let configuration = &self.deployment_configuration;
        let (least, most) = (configuration.minimum_healthy_percent, configuration.maximum_percent);
        if least > 100 || most < 100 || (least == 100 && most == 100) {
            let message = format!(
                "expected a minimum of at most 100 and a maximum of at least that, with room between them, found {least} and {most}"
            );
            return Err(Error::option("deployment_configuration", message));
        }
        let breaker = configuration.deployment_circuit_breaker;
        if breaker.rollback && !breaker.enable {
            let path = "deployment_configuration.deployment_circuit_breaker.rollback";
            return Err(Error::option(path, "expected `enable: true` with it"));
        }
        if self.health_check_grace_period.is_some() && self.load_balancers.is_empty() {
            return Err(Error::option("health_check_grace_period", "expected `load_balancers` with it"));
        }
        if self.subnets.as_slice().is_empty() && self.uses_fargate() {
            return Err(Error::option("subnets", "missing: tasks on Fargate have network interfaces"));
        }
        Ok(())
    }

    fn uses_fargate(&self) -> bool {
        match self.capacity_provider_strategy.is_empty() {
            true => self.launch_type == "FARGATE",
            false => self.capacity_provider_strategy.iter().any(|it| it.capacity_provider.starts_with("FARGATE")),
        }
    }

    /// The target groups its tasks are registered in.
    pub(super) fn target_groups(&self) -> Vec<String> {
        self.load_balancers.iter().map(|balancer| balancer.target_group.to_string()).collect()
    }

    /// The launch type, unless capacity providers decide.
    pub(super) fn launch_type(&self) -> Option<&str> {
        self.capacity_provider_strategy.is_empty().then_some(&self.launch_type)
    }

    /// What is wanted of it, in the form of `service::Found::settings`. `task_definition` is an ARN.
    pub(super) fn settings(&self, task_definition: &str) -> Settings {
        let subnets = self.subnets.as_slice();
        let balancer = |balancer: &LoadBalancer| {
            json!({
                "targetGroupArn": balancer.target_group.as_str(),
                "containerName": balancer.container_name,
                "containerPort": balancer.container_port,
            })
        };
        let configuration = &self.deployment_configuration;
        let mut settings = json!({
            "taskDefinition": task_definition,
            "loadBalancers": self.load_balancers.iter().map(balancer).collect::<Vec<_>>(),
            "deploymentConfiguration": deployment(
                configuration.deployment_circuit_breaker.enable,
                configuration.deployment_circuit_breaker.rollback,
                i64::from(configuration.maximum_percent),
                i64::from(configuration.minimum_healthy_percent),
            ),
            "placementStrategy": self.placement_strategy,
            "enableExecuteCommand": self.enable_execute_command,
            "propagateTags": self.propagate_tags,
        });
        if !subnets.is_empty() {
            settings["networkConfiguration"] = network(subnets, self.security_groups.as_slice(), self.assign_public_ip);
        }
        if let Some(count) = self.desired_count {
            settings["desiredCount"] = json!(count);
        }
        if !self.load_balancers.is_empty() {
            let grace = self.health_check_grace_period.unwrap_or(Duration::from_secs(60));
            settings["healthCheckGracePeriodSeconds"] = json!(grace.as_secs());
        }
        if !self.capacity_provider_strategy.is_empty() {
            settings["capacityProviderStrategy"] = strategy(self.capacity_provider_strategy.iter().cloned());
        }
        if let Some(version) = &self.platform_version {
            settings["platformVersion"] = json!(version);
        }
        settings.as_object().cloned().unwrap_or_default()
    }
}

/// Where tasks are. The order of subnets and groups says nothing.
pub fn network(subnets: &[String], security_groups: &[String], public_ip: bool) -> Value {
    let sorted = |ids: &[String]| {
        let mut ids = ids.to_vec();
        ids.sort();
        ids
    };
    json!({ "awsvpcConfiguration": {
        "subnets": sorted(subnets),
        "securityGroups": sorted(security_groups),
        "assignPublicIp": if public_ip { "ENABLED" } else { "DISABLED" },
    } })
}

/// What is compared of how tasks are replaced.
pub fn deployment(enable: bool, rollback: bool, most: i64, least: i64) -> Value {
    json!({
        "deploymentCircuitBreaker": { "enable": enable, "rollback": rollback },
        "maximumPercent": most,
        "minimumHealthyPercent": least,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_no_difference() {
        let on_ec2 = json!({ "name": "web", "cluster": "main", "task_definition": "web:1", "launch_type": "EC2" });
        let options: DeployEcsService = serde_json::from_value(on_ec2).expect("options");
        options.check().expect("instances have a network of their own");
        let settings = options.settings("arn");
        assert!(!settings.values().any(Value::is_null), "{settings:?}");
        assert!(!settings.contains_key("networkConfiguration") && !settings.contains_key("platformVersion"));
    }
}
