//! A container of a task definition, as a runbook writes it.
//!
//! Keys are the snake_case of AWS's, as in all operations: what is misspelt is found before anything is sent, and the reference
//! lists them. Environment and secrets are maps, as their order says nothing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ContainerImage;
use crate::ops::{Duration, Error, IdOf, Sensitive};

/// One container of a task.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct ContainerDefinition {
    pub name: String,
    /// What `find_container_image` returned, or a reference such as `"public.ecr.aws/nginx/nginx:1.29"`.
    pub image: IdOf<ContainerImage>,
    /// CPU units it is guaranteed, of 1024 a CPU.
    pub cpu: Option<i64>,
    /// MiB after which it is killed.
    pub memory: Option<i64>,
    /// MiB that are kept for it.
    pub memory_reservation: Option<i64>,
    /// Whether the task ends with it.
    #[serde(default = "yes")]
    pub essential: bool,
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default)]
    pub entry_point: Vec<String>,
    /// By name. For what is secret there is `secrets`: whoever may read the task definition reads these.
    #[serde(default)]
    pub environment: BTreeMap<String, Sensitive>,
    /// By name: the ARN of a secret of Secrets Manager, or of a parameter of Systems Manager.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    #[serde(default)]
    pub port_mappings: Vec<PortMapping>,
    pub log_configuration: Option<LogConfiguration>,
    pub health_check: Option<HealthCheck>,
    #[serde(default)]
    pub depends_on: Vec<Dependency>,
    #[serde(default)]
    pub mount_points: Vec<MountPoint>,
    #[serde(default)]
    pub ulimits: Vec<Ulimit>,
    pub user: Option<String>,
    pub working_directory: Option<String>,
    #[serde(default)]
    pub privileged: bool,
    #[serde(default)]
    pub readonly_root_filesystem: bool,
    #[serde(default)]
    pub docker_labels: BTreeMap<String, String>,
    pub linux_parameters: Option<LinuxParameters>,
    /// How long a container it depends on may take.
    pub start_timeout: Option<Duration>,
    /// How long it has to end before it is killed.
    pub stop_timeout: Option<Duration>,
    /// The ARN of a secret with the password of a private registry.
    pub repository_credentials: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct PortMapping {
    pub container_port: u16,
    /// With `awsvpc` the same as the container's.
    pub host_port: Option<u16>,
    /// `tcp` or `udp`.
    #[serde(default = "tcp")]
    pub protocol: String,
    pub name: Option<String>,
    /// `http`, `http2` or `grpc`.
    pub app_protocol: Option<String>,
}

fn tcp() -> String {
    "tcp".to_owned()
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct LogConfiguration {
    /// `"awslogs"`, `"awsfirelens"`, `"splunk"`, …
    #[serde(default = "awslogs")]
    pub log_driver: String,
    /// As the driver names them: `#{ "awslogs-group": "/shop/web", "awslogs-region": "eu-central-1", … }`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Options that are secret: ARNs, as in `secrets`.
    #[serde(default)]
    pub secret_options: BTreeMap<String, String>,
}

fn awslogs() -> String {
    "awslogs".to_owned()
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct HealthCheck {
    /// `["CMD-SHELL", "curl -f http://localhost/ || exit 1"]`
    pub command: Vec<String>,
    #[serde(default = "half_a_minute")]
    pub interval: Duration,
    #[serde(default = "five_seconds")]
    pub timeout: Duration,
    #[serde(default = "three")]
    pub retries: u8,
    /// How long failures do not count.
    #[serde(default = "nothing")]
    pub start_period: Duration,
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn nothing() -> Duration {
    Duration::from_secs(0)
}

fn three() -> u8 {
    3
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all(serialize = "camelCase"))]
#[schemars(inline)]
pub struct Dependency {
    pub container_name: String,
    /// `START`, `COMPLETE`, `SUCCESS` or `HEALTHY`.
    pub condition: String,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all(serialize = "camelCase"))]
#[schemars(inline)]
pub struct MountPoint {
    /// One of the task's `volumes`.
    pub source_volume: String,
    pub container_path: String,
    #[serde(default)]
    pub read_only: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all(serialize = "camelCase"))]
#[schemars(inline)]
pub struct Ulimit {
    /// `nofile`, `nproc`, …
    pub name: String,
    pub soft_limit: i64,
    pub hard_limit: i64,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct LinuxParameters {
    /// Runs an init process that passes signals on and reaps children.
    #[serde(default)]
    pub init_process_enabled: bool,
    /// Kernel capabilities it gets.
    #[serde(default)]
    pub add_capabilities: Vec<String>,
    /// Kernel capabilities it loses: `["ALL"]`.
    #[serde(default)]
    pub drop_capabilities: Vec<String>,
}

impl ContainerDefinition {
    /// Refuses what no call is needed for to see.
    ///
    /// # Errors
    /// [`Error::Option`], with the place inside the options.
    pub fn check(&self, path: &str) -> Result<(), Error> {
        for (name, value) in &self.environment {
            if value.is_secret() {
                let message = format!(
                    "a secret would be there for everyone who may read the task definition: give `secrets` the ARN it is \
                     kept under, #{{ {name}: \"arn:…\" }}"
                );
                return Err(Error::option(format!("{path}.environment.{name}"), message));
            }
        }
        if self.name.is_empty() {
            return Err(Error::option(format!("{path}.name"), "expected a name, found nothing"));
        }
        let known = ["START", "COMPLETE", "SUCCESS", "HEALTHY"];
        for (at, dependency) in self.depends_on.iter().enumerate() {
            if !known.contains(&dependency.condition.as_str()) {
                let message = format!("expected one of {}, found {:?}", known.join(", "), dependency.condition);
                return Err(Error::option(format!("{path}.depends_on[{at}].condition"), message));
            }
        }
        Ok(())
    }

    /// As ECS takes it.
    pub fn to_ecs(&self) -> Value {
        let named = |map: &BTreeMap<String, String>| -> Value {
            map.iter().map(|(name, arn)| json!({ "name": name, "valueFrom": arn })).collect()
        };
        let environment: Value =
            self.environment.iter().map(|(name, value)| json!({ "name": name, "value": value.expose() })).collect();
        let port = |port: &PortMapping| {
            json!({
                "containerPort": port.container_port, "hostPort": port.host_port, "protocol": port.protocol,
                "name": port.name, "appProtocol": port.app_protocol,
            })
        };
        let log = self.log_configuration.as_ref().map(|log| {
            json!({
                "logDriver": log.log_driver, "options": log.options, "secretOptions": named(&log.secret_options),
            })
        });
        let check = self.health_check.as_ref().map(|check| {
            json!({
                "command": check.command, "interval": check.interval.as_secs(), "timeout": check.timeout.as_secs(),
                "retries": check.retries, "startPeriod": check.start_period.as_secs(),
            })
        });
        let linux = self.linux_parameters.as_ref().map(|linux| {
            json!({
                "initProcessEnabled": linux.init_process_enabled,
                "capabilities": { "add": linux.add_capabilities, "drop": linux.drop_capabilities },
            })
        });
        json!({
            "name": self.name,
            "image": self.image.as_str(),
            "cpu": self.cpu,
            "memory": self.memory,
            "memoryReservation": self.memory_reservation,
            "essential": self.essential,
            "command": self.command,
            "entryPoint": self.entry_point,
            "environment": environment,
            "secrets": named(&self.secrets),
            "portMappings": self.port_mappings.iter().map(port).collect::<Vec<_>>(),
            "logConfiguration": log,
            "healthCheck": check,
            "dependsOn": self.depends_on,
            "mountPoints": self.mount_points,
            "ulimits": self.ulimits,
            "user": self.user,
            "workingDirectory": self.working_directory,
            "privileged": self.privileged,
            "readonlyRootFilesystem": self.readonly_root_filesystem,
            "dockerLabels": self.docker_labels,
            "linuxParameters": linux,
            "startTimeout": self.start_timeout.map(|it| it.as_secs()),
            "stopTimeout": self.stop_timeout.map(|it| it.as_secs()),
            "repositoryCredentials": self.repository_credentials.as_ref().map(|arn| json!({ "credentialsParameter": arn })),
        })
    }
}
