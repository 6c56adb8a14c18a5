//! What a create or update request says of a group: read and checked.

use serde_json::Map;

use super::group::Source;
use super::member::Template;
use super::*;
use crate::sim::ec2::{Subnet, launch, launch_template};

/// The parameters that creating and updating share.
pub const SETTINGS: &str = "
    AutoScalingGroupName MinSize MaxSize DesiredCapacity DesiredCapacityType DefaultCooldown
    LaunchTemplate.LaunchTemplateId LaunchTemplate.LaunchTemplateName LaunchTemplate.Version
    MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId
    MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName
    MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.Version
    MixedInstancesPolicy.LaunchTemplate.Overrides[].InstanceType
    MixedInstancesPolicy.InstancesDistribution.OnDemandAllocationStrategy
    MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity
    MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity
    MixedInstancesPolicy.InstancesDistribution.SpotAllocationStrategy
    MixedInstancesPolicy.InstancesDistribution.SpotInstancePools
    MixedInstancesPolicy.InstancesDistribution.SpotMaxPrice
    VPCZoneIdentifier AvailabilityZones[] HealthCheckType HealthCheckGracePeriod PlacementGroup
    TerminationPolicies[] NewInstancesProtectedFromScaleIn CapacityRebalance MaxInstanceLifetime Context
    DefaultInstanceWarmup ServiceLinkedRoleARN
    InstanceMaintenancePolicy.MinHealthyPercentage InstanceMaintenancePolicy.MaxHealthyPercentage
    AvailabilityZoneDistribution.CapacityDistributionStrategy
";

/// Whether a path of a request is modelled.
pub fn is_modelled(path: &str) -> bool {
    SETTINGS.split_whitespace().any(|known| known == path)
}

/// What is kept as it was given, and shown again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    pub default_cooldown: i64,
    pub health_check_type: String,
    pub grace_period: i64,
    pub placement_group: Option<String>,
    pub termination_policies: Vec<String>,
    pub protect_new: bool,
    pub capacity_rebalance: bool,
    pub max_instance_lifetime: Option<i64>,
    pub context: Option<String>,
    pub default_instance_warmup: Option<i64>,
    pub maintenance: Option<(i64, i64)>,
    pub distribution: String,
    pub desired_capacity_type: Option<String>,
    pub service_linked_role: String,
}

impl Settings {
    pub fn read(tx: &Tx, p: &Params) -> Result<Self, AwsError> {
        let role = "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling";
        // Defaults of the API reference.
        let mut settings = Self {
            default_cooldown: 300,
            health_check_type: "EC2".to_owned(),
            grace_period: 0,
            placement_group: None,
            termination_policies: vec!["Default".to_owned()],
            protect_new: false,
            capacity_rebalance: false,
            max_instance_lifetime: None,
            context: None,
            default_instance_warmup: None,
            maintenance: None,
            distribution: "balanced-best-effort".to_owned(),
            desired_capacity_type: None,
            service_linked_role: tx.global_arn("iam", role),
        };
        settings.update(p)?;
        Ok(settings)
    }

    /// The inverse of `view`.
    pub fn shown(shown: &Params) -> Self {
        let optional = |path: &str| shown.opt_str(path).map(str::to_owned);
        let number = |path: &str| shown.opt_int(path).ok().flatten();
        let (low, high) =
            ("InstanceMaintenancePolicy.MinHealthyPercentage", "InstanceMaintenancePolicy.MaxHealthyPercentage");
        Self {
            default_cooldown: shown.number("DefaultCooldown", 300),
            health_check_type: shown.opt_str("HealthCheckType").unwrap_or("EC2").to_owned(),
            grace_period: shown.number("HealthCheckGracePeriod", 0),
            placement_group: optional("PlacementGroup"),
            termination_policies: shown.strings("TerminationPolicies").into_iter().map(str::to_owned).collect(),
            protect_new: shown.flag("NewInstancesProtectedFromScaleIn"),
            capacity_rebalance: shown.flag("CapacityRebalance"),
            max_instance_lifetime: number("MaxInstanceLifetime").filter(|seconds| *seconds > 0),
            context: optional("Context"),
            default_instance_warmup: number("DefaultInstanceWarmup"),
            maintenance: number(low).zip(number(high)),
            distribution: optional("AvailabilityZoneDistribution.CapacityDistributionStrategy")
                .unwrap_or_else(|| "balanced-best-effort".to_owned()),
            desired_capacity_type: optional("DesiredCapacityType"),
            service_linked_role: shown.text("ServiceLinkedRoleARN"),
        }
    }

    /// Whether health checks of load balancers count.
    pub fn counts_targets(&self) -> bool {
        self.health_check_type.split(',').any(|kind| kind == "ELB")
    }

    /// Takes over what the request says, and leaves the rest.
    pub fn update(&mut self, p: &Params) -> Result<(), AwsError> {
        let text = |name| p.opt_str(name).map(str::to_owned);
        self.default_cooldown = p.opt_int("DefaultCooldown")?.unwrap_or(self.default_cooldown);
        self.grace_period = p.opt_int("HealthCheckGracePeriod")?.unwrap_or(self.grace_period);
        self.protect_new = p.opt_bool("NewInstancesProtectedFromScaleIn")?.unwrap_or(self.protect_new);
        self.capacity_rebalance = p.opt_bool("CapacityRebalance")?.unwrap_or(self.capacity_rebalance);
        self.placement_group = text("PlacementGroup").or(self.placement_group.take());
        self.context = text("Context").or(self.context.take());
        self.desired_capacity_type = text("DesiredCapacityType").or(self.desired_capacity_type.take());
        self.service_linked_role =
            text("ServiceLinkedRoleARN").unwrap_or(std::mem::take(&mut self.service_linked_role));
        if let Some(kind) = p.opt_str("HealthCheckType") {
            if !kind.split(',').all(|kind| ["EC2", "ELB", "EBS", "VPC_LATTICE"].contains(&kind)) {
                return Err(invalid(format!("{kind} is not a valid health check type")));
            }
            self.health_check_type = kind.to_owned();
        }
        if p.has("TerminationPolicies") {
            const KNOWN: [&str; 7] = [
                "Default",
                "OldestInstance",
                "NewestInstance",
                "OldestLaunchConfiguration",
                "OldestLaunchTemplate",
                "ClosestToNextInstanceHour",
                "AllocationStrategy",
            ];
            let given = p.strings("TerminationPolicies");
            if let Some(unknown) = given.iter().find(|policy| !KNOWN.contains(policy)) {
                return Err(invalid(format!("{unknown} is not a valid termination policy")));
            }
            self.termination_policies = given.into_iter().map(str::to_owned).collect();
        }
        if let Some(seconds) = p.opt_int("MaxInstanceLifetime")? {
            if seconds != 0 && !(86_400..=31_536_000).contains(&seconds) {
                let message = "MaxInstanceLifetime must be either equal to 0 or between 86400 and 31536000 seconds";
                return Err(invalid(message));
            }
            self.max_instance_lifetime = (seconds != 0).then_some(seconds);
        }
        // -1 takes the value away again, here and below.
        if let Some(seconds) = p.opt_int("DefaultInstanceWarmup")? {
            self.default_instance_warmup = (seconds >= 0).then_some(seconds);
        }
        if let Some(distribution) = p.opt_str("AvailabilityZoneDistribution.CapacityDistributionStrategy") {
            if !["balanced-only", "balanced-best-effort"].contains(&distribution) {
                return Err(invalid(format!("{distribution} is not a valid capacity distribution strategy")));
            }
            self.distribution = distribution.to_owned();
        }
        let low = p.opt_int("InstanceMaintenancePolicy.MinHealthyPercentage")?;
        let high = p.opt_int("InstanceMaintenancePolicy.MaxHealthyPercentage")?;
        match (low, high) {
            (None, None) => {}
            (Some(-1), Some(-1)) => self.maintenance = None,
            (Some(low @ 0..=100), Some(high @ 100..=200)) if high - low <= 100 => self.maintenance = Some((low, high)),
            _ => {
                let message = "MinHealthyPercentage must be 0 to 100, MaxHealthyPercentage 100 to 200, and their \
                               difference at most 100";
                return Err(invalid(message));
            }
        }
        Ok(())
    }

    pub fn view(&self) -> Map<String, Value> {
        let maintenance =
            self.maintenance.map(|(low, high)| json!({ "MinHealthyPercentage": low, "MaxHealthyPercentage": high }));
        let view = json!({
            "DefaultCooldown": self.default_cooldown,
            "HealthCheckType": self.health_check_type,
            "HealthCheckGracePeriod": self.grace_period,
            "PlacementGroup": self.placement_group,
            "TerminationPolicies": self.termination_policies,
            "NewInstancesProtectedFromScaleIn": self.protect_new,
            "CapacityRebalance": self.capacity_rebalance,
            "MaxInstanceLifetime": self.max_instance_lifetime,
            "Context": self.context,
            "DesiredCapacityType": self.desired_capacity_type,
            "DefaultInstanceWarmup": self.default_instance_warmup,
            "InstanceMaintenancePolicy": maintenance,
            "AvailabilityZoneDistribution": { "CapacityDistributionStrategy": self.distribution },
            "ServiceLinkedRoleARN": self.service_linked_role,
        });
        match view {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

pub fn check_sizes(min: i64, max: i64, desired: i64) -> Result<(), AwsError> {
    if min < 0 || max < 0 {
        return Err(invalid("Member must have value greater than or equal to 0"));
    }
    if max < min {
        return Err(invalid(format!("Max bound, {max}, must be greater than or equal to min bound, {min}")));
    }
    if !(min..=max).contains(&desired) {
        let message =
            format!("Desired capacity:{desired} must be between the specified min size:{min} and max size:{max}");
        return Err(invalid(message));
    }
    Ok(())
}

/// What instances are to be made of, if the request says so: found, and tried as EC2 would.
pub fn source(tx: &Tx, p: &Params) -> Result<Option<Source>, AwsError> {
    match (p.get("LaunchTemplate"), p.get("MixedInstancesPolicy")) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(invalid(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or \
             MixedInstancesPolicy parameter.",
        )),
        (Some(specification), None) => {
            let template = template(tx, &Params(specification.clone()))?;
            launch::check(tx, &data(tx, &template).map_err(in_template)?).map_err(in_template)?;
            Ok(Some(Source::Template(template)))
        }
        (None, Some(policy)) => {
            let mut policy = Params(policy.clone());
            let path = "LaunchTemplate.LaunchTemplateSpecification";
            let specification = policy.get(path).cloned().map(Params).unwrap_or_default();
            let template = template(tx, &specification)?;
            let data = data(tx, &template).map_err(in_template)?;
            let overrides = policy.list("LaunchTemplate.Overrides");
            for one in overrides.iter().chain(overrides.is_empty().then_some(&Params::default())) {
                launch::check(tx, &overridden(&data, one)).map_err(in_template)?;
            }
            policy.0["LaunchTemplate"]["LaunchTemplateSpecification"] = template.view();
            Ok(Some(Source::Mixed(Params(mixed_view(&policy)))))
        }
    }
}

/// The template of a mixed instances policy that was read.
pub fn template_of(source: &Source) -> Template {
    match source {
        Source::Template(template) => template.clone(),
        Source::Mixed(policy) => {
            let text = |name: &str| {
                let path = format!("LaunchTemplate.LaunchTemplateSpecification.{name}");
                policy.opt_str(&path).unwrap_or_default().to_owned()
            };
            let (id, name, version) = (text("LaunchTemplateId"), text("LaunchTemplateName"), text("Version"));
            Template { id, name, version }
        }
        Source::Configuration(_) => Template::default(),
    }
}

/// The launch template data with an override of a mixed instances policy.
pub fn overridden(data: &Params, over: &Params) -> Params {
    let mut data = data.clone();
    if let Some(kind) = over.opt_str("InstanceType") {
        data.0["InstanceType"] = json!(kind);
    }
    data
}

/// What the template's version holds now.
pub fn data(tx: &Tx, template: &Template) -> Result<Params, AwsError> {
    let row = tx.get::<crate::sim::ec2::LaunchTemplate>(&template.id)?;
    row.version(&template.version).map(|version| version.data.clone())
}

fn template(tx: &Tx, specification: &Params) -> Result<Template, AwsError> {
    if specification.has("LaunchTemplateId") == specification.has("LaunchTemplateName") {
        return Err(invalid("Valid requests must contain either launchTemplateId or LaunchTemplateName"));
    }
    let row = launch_template::named(tx, specification).map_err(in_template)?;
    let version = specification.opt_str("Version").unwrap_or("$Default").to_owned();
    Ok(Template { id: row.id.clone(), name: row.name.clone(), version })
}

fn in_template(error: AwsError) -> AwsError {
    // Auto Scaling has a code of its own for this one.
    if error.code == "InvalidQueryParameter" {
        return error;
    }
    let message = format!("You must use a valid fully-formed launch template. {}", error.message);
    AwsError { unanswered: error.unanswered, ..invalid(message) }
}

/// Subnets, and their zones.
pub type Places = (Vec<String>, Vec<String>);

/// Where the instances are to be, if the request says so.
pub fn places(tx: &Tx, p: &Params) -> Result<Option<Places>, AwsError> {
    let Some(subnets) = p.opt_str("VPCZoneIdentifier").filter(|subnets| !subnets.is_empty()) else {
        return match p.strings("AvailabilityZones")[..] {
            [] => Ok(None),
            _ => Err(invalid("the simulator does not model groups outside of subnets: name the VPCZoneIdentifier")),
        };
    };
    let (mut ids, mut zones, mut vpcs) = (Vec::new(), Vec::new(), Vec::new());
    for id in subnets.split(',').map(str::trim) {
        let subnet = tx.get::<Subnet>(id).map_err(|error| invalid(error.message))?;
        ids.push(subnet.id.clone());
        vpcs.push(subnet.vpc.clone());
        if !zones.contains(&subnet.zone) {
            zones.push(subnet.zone.clone());
        }
    }
    // "The subnets that you specify must reside in those Availability Zones."
    let given = p.strings("AvailabilityZones");
    if !given.is_empty() && zones.iter().any(|zone| !given.contains(&zone.as_str())) {
        return Err(invalid("The availability zones of the specified subnets and the AutoScalingGroup do not match"));
    }
    vpcs.dedup();
    if vpcs.len() > 1 {
        return Err(invalid("The subnets of a group must be in one VPC"));
    }
    zones.sort();
    Ok(Some((ids, zones)))
}

/// A mixed instances policy with the defaults that AWS fills in.
pub fn mixed_view(policy: &Params) -> Value {
    let mut distribution = json!({
        "OnDemandAllocationStrategy": "prioritized",
        "OnDemandBaseCapacity": "0",
        "OnDemandPercentageAboveBaseCapacity": "100",
        "SpotAllocationStrategy": "lowest-price",
        "SpotInstancePools": "2",
    });
    if let (Value::Object(defaults), Some(Value::Object(given))) =
        (&mut distribution, policy.get("InstancesDistribution"))
    {
        defaults.extend(given.clone());
        if given.get("SpotAllocationStrategy").is_some_and(|strategy| strategy != "lowest-price") {
            defaults.shift_remove("SpotInstancePools");
        }
    }
    let mut view = policy.0.clone();
    view["InstancesDistribution"] = distribution;
    view
}
