//! What a request says of how tasks run: where, on what, behind which target groups.

use super::task_definition::TaskDefinition;
use super::*;
use crate::sim::ec2::{SecurityGroup, Subnet, Vpc};
use crate::sim::elbv2::{self, TargetGroup};

/// Parameters that requests of services and of single tasks share.
pub const RUNS: &str = "
    launchType capacityProviderStrategy[].capacityProvider capacityProviderStrategy[].weight
    capacityProviderStrategy[].base platformVersion networkConfiguration.awsvpcConfiguration.subnets[]
    networkConfiguration.awsvpcConfiguration.securityGroups[] networkConfiguration.awsvpcConfiguration.assignPublicIp
    placementConstraints[].type placementConstraints[].expression placementStrategy[].type placementStrategy[].field
    propagateTags enableECSManagedTags enableExecuteCommand
";
/// Those of services.
pub const SERVES: &str = "
    cluster taskDefinition desiredCount healthCheckGracePeriodSeconds
    loadBalancers[].targetGroupArn loadBalancers[].containerName loadBalancers[].containerPort
    deploymentConfiguration.deploymentCircuitBreaker.enable deploymentConfiguration.deploymentCircuitBreaker.rollback
    deploymentConfiguration.maximumPercent deploymentConfiguration.minimumHealthyPercent
    deploymentConfiguration.strategy deploymentConfiguration.bakeTimeInMinutes availabilityZoneRebalancing
";

/// The latest platform version.
pub const LATEST: &str = "1.4.0";

/// What the tasks of a deployment are: a change of it is a new deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// `family:revision`
    pub task_definition: String,
    pub launch_type: Option<String>,
    /// As it is shown.
    pub strategy: Vec<Value>,
    pub network: Option<Network>,
    pub load_balancers: Vec<Balancer>,
    pub platform_version: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    pub public_ip: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Balancer {
    pub target_group: String,
    pub container: String,
    pub port: u16,
}

impl Spec {
    /// Whether a change from `other` to this is a new deployment: by the parameters of UpdateService that say "triggers a new
    /// service deployment".
    pub fn redeploys(&self, other: &Spec) -> bool {
        let parts = |spec: &Spec| {
            (
                spec.task_definition.clone(),
                spec.network.clone(),
                spec.load_balancers.clone(),
                spec.platform_version.clone(),
            )
        };
        parts(self) != parts(other)
    }

    pub fn uses_provider(&self, provider: &str) -> bool {
        self.strategy.iter().any(|part| part["capacityProvider"] == provider)
    }

    /// Whether its tasks run on Fargate.
    pub fn is_fargate(&self) -> bool {
        self.launch_type.as_deref() == Some("FARGATE") || !self.strategy.is_empty()
    }

    /// The platform version of its tasks: "LATEST" stands for one ("Fargate platform versions").
    pub fn platform(&self) -> &str {
        if self.platform_version == "LATEST" { LATEST } else { &self.platform_version }
    }

    pub fn show_network(&self) -> Value {
        self.network.as_ref().map_or(Value::Null, |network| {
            json!({ "awsvpcConfiguration": {
                "subnets": network.subnets,
                "securityGroups": network.security_groups,
                "assignPublicIp": if network.public_ip { "ENABLED" } else { "DISABLED" },
            } })
        })
    }

    pub fn show_load_balancers(&self) -> Value {
        let one = |balancer: &Balancer| {
            json!({
                "targetGroupArn": balancer.target_group,
                "containerName": balancer.container,
                "containerPort": balancer.port,
            })
        };
        self.load_balancers.iter().map(one).collect()
    }

    /// The inverse of what a service shows.
    pub fn read(shown: &Params) -> Spec {
        Spec {
            task_definition: name_of(&shown.text("taskDefinition")).to_owned(),
            launch_type: shown.opt_str("launchType").map(str::to_owned),
            strategy: shown.list("capacityProviderStrategy").into_iter().map(|part| part.0).collect(),
            network: network(shown),
            load_balancers: balancers(shown),
            platform_version: shown.opt_str("platformVersion").unwrap_or("LATEST").to_owned(),
        }
    }

    /// What a request asks for, over what there was.
    pub fn asked(tx: &Tx, p: &Params, before: Option<&Spec>, cluster: &Cluster) -> Result<Spec, AwsError> {
        let definition = match (p.opt_str("taskDefinition"), before) {
            (Some(given), _) => task_definition::to_run(tx, given)?,
            (None, Some(before)) => {
                task_definition::find(tx, &before.task_definition).ok_or_else(|| client("TaskDefinition not found."))?
            }
            (None, None) => return Err(invalid("TaskDefinition can not be blank.")),
        };
        let (launch_type, strategy) = runs_on(p, before, cluster)?;
        let network =
            if p.has("networkConfiguration") { network(p) } else { before.and_then(|spec| spec.network.clone()) };
        let load_balancers = match p.get("loadBalancers") {
            Some(_) => balancers(p),
            None => before.map(|spec| spec.load_balancers.clone()).unwrap_or_default(),
        };
        let platform = p.opt_str("platformVersion").map(str::to_owned);
        let spec = Spec {
            task_definition: definition.id.clone(),
            launch_type,
            strategy,
            network,
            load_balancers,
            platform_version: platform
                .or(before.map(|spec| spec.platform_version.clone()))
                .unwrap_or_else(|| "LATEST".to_owned()),
        };
        spec.check_request(p)?;
        spec.check(tx, definition)?;
        Ok(spec)
    }

    /// What a request may say for tasks on Fargate only, or for others only.
    fn check_request(&self, p: &Params) -> Result<(), AwsError> {
        let placed = [("placementConstraints", "constraints"), ("placementStrategy", "strategies")];
        let placed = placed.into_iter().find(|(list, _)| !p.list(list).is_empty());
        match (self.is_fargate(), placed) {
            (true, Some((_, what))) => {
                Err(invalid(format!("Placement {what} are not supported with FARGATE launch type.")))
            }
            (false, _) if p.has("platformVersion") => {
                Err(invalid("The platform version must be null when specifying an EC2 launch type."))
            }
            _ => Ok(()),
        }
    }

    fn check(&self, tx: &Tx, definition: &TaskDefinition) -> Result<(), AwsError> {
        let compatible = definition.content["compatibilities"].as_array();
        let on_fargate = compatible.is_some_and(|all| all.iter().any(|name| name == "FARGATE"));
        if self.is_fargate() && !on_fargate {
            let message = "Task definition does not support launch_type FARGATE.";
            return Err(invalid(message));
        }
        let known = if definition.is_of_windows() { "1.0.0" } else { "1.3.0" };
        if self.is_fargate() && ![known, LATEST, "LATEST"].contains(&self.platform_version.as_str()) {
            return Err(AwsError::new("PlatformUnknownException", "The specified platform does not exist."));
        }
        match (&self.network, definition.is_awsvpc()) {
            (None, true) => {
                let message = "Network Configuration must be provided when networkMode 'awsvpc' is specified.";
                return Err(invalid(message));
            }
            (Some(_), false) => {
                let message = "Network Configuration is not valid for the given networkMode of this task definition.";
                return Err(invalid(message));
            }
            (Some(network), true) => network.check(tx)?,
            (None, false) => {}
        }
        self.load_balancers.iter().try_for_each(|balancer| balancer.check(tx, definition))
    }
}

/// "If a launchType is specified, the capacityProviderStrategy parameter must be omitted. If neither is, the default strategy
/// of the cluster is used", and EC2 where there is none.
fn runs_on(p: &Params, before: Option<&Spec>, cluster: &Cluster) -> Result<(Option<String>, Vec<Value>), AwsError> {
    let launch_type = among(p, "launchType", &["EC2", "FARGATE", "EXTERNAL"])?.map(str::to_owned);
    if launch_type.is_some() && !p.list("capacityProviderStrategy").is_empty() {
        return Err(invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
        ));
    }
    let of_cluster: Vec<&str> = cluster.capacity_providers.iter().map(String::as_str).collect();
    let strategy = cluster::strategy(p, "capacityProviderStrategy", &of_cluster)?;
    Ok(match (launch_type, before) {
        (Some(launch_type), _) => (Some(launch_type), Vec::new()),
        (None, _) if !strategy.is_empty() => (None, strategy),
        (None, Some(before)) => (before.launch_type.clone(), before.strategy.clone()),
        (None, None) if !cluster.strategy.is_empty() => (None, cluster.strategy.clone()),
        (None, None) => (Some("EC2".to_owned()), Vec::new()),
    })
}

fn network(p: &Params) -> Option<Network> {
    let vpc = p.part("networkConfiguration.awsvpcConfiguration");
    let owned = |path: &str| vpc.strings(path).into_iter().map(str::to_owned).collect::<Vec<_>>();
    (!vpc.0.is_null()).then(|| Network {
        subnets: owned("subnets"),
        security_groups: owned("securityGroups"),
        public_ip: vpc.opt_str("assignPublicIp") == Some("ENABLED"),
    })
}

fn balancers(p: &Params) -> Vec<Balancer> {
    let one = |balancer: &Params| Balancer {
        target_group: balancer.text("targetGroupArn"),
        container: balancer.text("containerName"),
        port: u16::try_from(balancer.number("containerPort", 0)).unwrap_or_default(),
    };
    p.list("loadBalancers").iter().map(one).collect()
}

impl Network {
    /// ECS passes on what EC2 says.
    fn check(&self, tx: &Tx) -> Result<(), AwsError> {
        if self.subnets.is_empty() {
            return Err(invalid("subnets can not be empty."));
        }
        let of = |what: &str, ids: &[String], error: AwsError| {
            let message = format!(
                "Error retrieving {what} information for [{}]: {} (ErrorCode: {})",
                ids.join(", "),
                error.message,
                error.code
            );
            invalid(message)
        };
        let mut vpc = None;
        for id in &self.subnets {
            let subnet = tx.get::<Subnet>(id).map_err(|error| of("subnet", &self.subnets, error))?;
            if *vpc.get_or_insert_with(|| subnet.vpc.clone()) != subnet.vpc {
                return Err(invalid("The provided subnets must be of the same VPC."));
            }
        }
        for id in &self.security_groups {
            let group =
                tx.get::<SecurityGroup>(id).map_err(|error| of("security group", &self.security_groups, error))?;
            if vpc.as_deref() != Some(&group.vpc) {
                return Err(invalid(format!("Security group {id} does not belong to the VPC of the subnets.")));
            }
        }
        Ok(())
    }

    /// The groups of its tasks: those of the VPC's own if none is named.
    pub fn groups(&self, tx: &Tx) -> Vec<String> {
        if !self.security_groups.is_empty() {
            return self.security_groups.clone();
        }
        let vpc =
            self.subnets.first().and_then(|id| tx.peek::<Subnet>(id)).and_then(|subnet| tx.peek::<Vpc>(&subnet.vpc));
        let of_vpc =
            vpc.and_then(|vpc| tx.all::<SecurityGroup>().find(|group| group.vpc == vpc.id && group.name == "default"));
        of_vpc.map(|group| group.id.clone()).into_iter().collect()
    }
}

impl Balancer {
    fn check(&self, tx: &Tx, definition: &TaskDefinition) -> Result<(), AwsError> {
        let arn = &self.target_group;
        let Ok(group) = tx.get::<TargetGroup>(arn) else {
            return Err(invalid(format!(
                "The specified target group does not exist. (Target group: {arn}) was not found"
            )));
        };
        if !elbv2::is_used(tx, arn) {
            let message =
                format!("The target group with targetGroupArn {arn} does not have an associated load balancer.");
            return Err(invalid(message));
        }
        if definition.is_awsvpc() && group.target_type != "ip" {
            let message = format!(
                "The provided target group {arn} has target type {}, which is incompatible with the awsvpc network mode \
                 specified in the task definition.",
                group.target_type
            );
            return Err(invalid(message));
        }
        let containers = definition.containers();
        let Some(container) = containers.iter().find(|container| container.text("name") == self.container) else {
            let message = format!("The container {} does not exist in the task definition.", self.container);
            return Err(invalid(message));
        };
        let exposes = |port: &Params| port.number("containerPort", 0) == i64::from(self.port);
        match container.list("portMappings").iter().any(exposes) {
            true => Ok(()),
            false => Err(invalid(format!(
                "The container {} did not have a container port {} defined.",
                self.container, self.port
            ))),
        }
    }
}
