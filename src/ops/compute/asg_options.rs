//! The options of `launch_asg`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use super::{AutoScalingGroup, LaunchTemplate, template_options::words};
use crate::ops::{
    Duration, Error, HANDLE, IdOf, IdsOf, Kind, Tags, describe, load_balancing::TargetGroup, network::Subnets,
};

/// Makes sure that the stack has an Auto Scaling group of this name, with these settings. Running instances stay as they
/// are: a new launch template is for those that are launched from then on.
///
/// The number of instances belongs to whoever scales the group: where it exists, the desired capacity is raised to what
/// is asked for, and never lowered. `scale_asg` does that.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LaunchAsg {
    /// What the stack calls it; AWS shows `<stack>-<name>`.
    pub(super) name: String,
    /// What instances are made of: the handle of `ensure_launch_template`, or `#{ launch_template_id: …, version: 3 }`.
    /// The version is a number, so that what is launched later is what was meant now.
    pub(super) launch_template: TemplateVersion,
    /// Several instance types, and Spot Instances.
    pub(super) mixed_instances_policy: Option<MixedInstancesPolicy>,
    /// The subnets instances are spread over.
    pub(super) subnets: IdsOf<Subnets>,
    /// The least number of instances; that of `capacity_from` if not said.
    pub(super) min_size: Option<i32>,
    /// The greatest number of instances; that of `capacity_from` if not said.
    pub(super) max_size: Option<i32>,
    /// How many there should be at first; the least number if not said.
    pub(super) desired_capacity: Option<i32>,
    /// A group that serves now. The new one gets at least as many instances as that one should have at this moment, as
    /// far as its own maximum lets it.
    pub(super) capacity_from: Option<IdOf<AutoScalingGroup>>,
    /// The target groups that instances are registered with.
    #[serde(default)]
    pub(super) target_groups: IdsOf<TargetGroup>,
    /// Whose health checks count: `EC2`, or `ELB` for those of the target groups too. `ELB` if there are target groups.
    pub(super) health_check_type: Option<HealthCheckType>,
    /// How long a new instance is left alone by health checks of target groups. AWS's own default, nothing, replaces
    /// instances before they have started.
    #[serde(default = "five_minutes")]
    pub(super) health_check_grace_period: Duration,
    /// How long a new instance does not count in metrics.
    pub(super) default_instance_warmup: Option<Duration>,
    /// The pause between activities of simple scaling policies.
    pub(super) default_cooldown: Option<Duration>,
    /// Lifecycle hooks, in place before the first instance. Hooks that are not named here are left alone.
    #[serde(default)]
    pub(super) lifecycle_hooks: Vec<LifecycleHook>,
    /// Scaling policies that keep a metric at a value. Each gets a name of its own in this group.
    #[serde(default)]
    pub(super) target_tracking: Vec<TargetTracking>,
    /// Who goes first when the group shrinks, as AWS names it: `OldestInstance`, `OldestLaunchTemplate`, …
    #[serde(default)]
    pub(super) termination_policies: Vec<String>,
    /// How many instances must be healthy while others are replaced.
    pub(super) instance_maintenance_policy: Option<InstanceMaintenancePolicy>,
    /// The age at which instances are replaced, a day or more.
    pub(super) max_instance_lifetime: Option<Duration>,
    /// Protects new instances from being scaled in.
    #[serde(default)]
    pub(super) new_instances_protected_from_scale_in: bool,
    /// Replaces Spot Instances before they are taken away.
    #[serde(default)]
    pub(super) capacity_rebalance: bool,
    /// Sends the group's own metrics to CloudWatch.
    #[serde(default)]
    pub(super) enable_metrics_collection: bool,
    /// More tags, for the group and its instances.
    #[serde(default)]
    pub(super) tags: Tags,
    /// Takes over a group of this name that the stack does not own.
    #[serde(default)]
    pub(super) adopt: bool,
    /// Leaves a new group in place when the run is rolled back.
    #[serde(default)]
    pub(super) keep_on_rollback: bool,
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

/// A launch template's version, by number.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(inline)]
pub struct TemplateVersion {
    pub launch_template_id: String,
    pub version: i64,
}

impl<'de> Deserialize<'de> for TemplateVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "a launch template, or its `launch_template_id` and `version`";
        let value = Value::deserialize(deserializer)?;
        let kind = value.get(HANDLE).and_then(Value::as_str);
        if !value.is_object() || kind.is_some_and(|kind| kind != LaunchTemplate::KIND) {
            return Err(D::Error::custom(format!("expected {EXPECTED}, found {}", describe(&value))));
        }
        let id = value.get("launch_template_id").and_then(Value::as_str).filter(|id| !id.is_empty());
        let Some(id) = id else { return Err(D::Error::custom(format!("expected {EXPECTED}, found no id"))) };
        match value.get("version").and_then(Value::as_i64).filter(|version| *version > 0) {
            Some(version) => Ok(Self { launch_template_id: id.to_owned(), version }),
            None => {
                let found = value.get("version").map_or("none".to_owned(), describe);
                Err(D::Error::custom(format!("expected the number of a version of the launch template, found {found}")))
            }
        }
    }
}

/// Several instance types, and Spot Instances.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MixedInstancesPolicy {
    /// The types, best first.
    pub(super) instance_types: Vec<String>,
    /// How many On-Demand Instances come before any Spot Instance.
    #[serde(default)]
    pub(super) on_demand_base_capacity: i32,
    /// How many in a hundred of the others are On-Demand Instances.
    #[serde(default = "all")]
    pub(super) on_demand_percentage_above_base_capacity: i32,
    /// How types of On-Demand Instances are chosen: `prioritized` or `lowest-price`.
    #[serde(default)]
    pub(super) on_demand_allocation_strategy: OnDemandAllocation,
    /// How types of Spot Instances are chosen.
    #[serde(default)]
    pub(super) spot_allocation_strategy: SpotAllocation,
    /// The most to pay for a Spot Instance and hour, in dollars; the On-Demand price if not said.
    pub(super) spot_max_price: Option<String>,
}

fn all() -> i32 {
    100
}

words!(HealthCheckType { Ec2 = "EC2", Elb = "ELB" });
words!(#[derive(Default)] OnDemandAllocation { #[default] Prioritized = "prioritized", LowestPrice = "lowest-price" });
words!(#[derive(Default)] SpotAllocation {
    #[default] PriceCapacityOptimized = "price-capacity-optimized",
    CapacityOptimized = "capacity-optimized",
    CapacityOptimizedPrioritized = "capacity-optimized-prioritized",
    LowestPrice = "lowest-price",
});
words!(Transition { Launching = "autoscaling:EC2_INSTANCE_LAUNCHING", Terminating = "autoscaling:EC2_INSTANCE_TERMINATING" });
words!(#[derive(Default)] HookResult { #[default] Abandon = "ABANDON", Continue = "CONTINUE" });

/// An instance waits here, on its way into or out of service, until somebody says to go on.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LifecycleHook {
    /// Its name in the group.
    pub(super) lifecycle_hook_name: String,
    /// When it waits.
    pub(super) lifecycle_transition: Transition,
    /// How long it waits, 30 s to 2 h.
    #[serde(default = "an_hour")]
    pub(super) heartbeat_timeout: Duration,
    /// What happens if nobody says anything: `ABANDON` terminates the instance, `CONTINUE` goes on.
    #[serde(default)]
    pub(super) default_result: HookResult,
    /// Told along with the notification.
    pub(super) notification_metadata: Option<String>,
    /// The topic or queue that is told; EventBridge is told always.
    pub(super) notification_target_arn: Option<String>,
    /// The role with which it is told.
    pub(super) role_arn: Option<String>,
}

fn an_hour() -> Duration {
    Duration::from_secs(3600)
}

/// Keeps a metric at a value.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetTracking {
    /// The policy's name; AWS shows `<group>-<policy_name>`. The metric's name if not said.
    pub(super) policy_name: Option<String>,
    /// A metric of AWS's: `ASGAverageCPUUtilization`, `ASGAverageNetworkIn`, `ASGAverageNetworkOut` or
    /// `ALBRequestCountPerTarget`.
    pub(super) predefined_metric_type: Option<String>,
    /// For `ALBRequestCountPerTarget`, which load balancer and target group: `app/…/targetgroup/…`.
    pub(super) resource_label: Option<String>,
    /// Another metric.
    pub(super) customized_metric: Option<CustomizedMetric>,
    /// The value.
    pub(super) target_value: f64,
    /// Only adds instances.
    #[serde(default)]
    pub(super) disable_scale_in: bool,
    /// How long a new instance does not count; the group's default if not said.
    pub(super) estimated_instance_warmup: Option<Duration>,
}

/// A metric in CloudWatch.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomizedMetric {
    pub(super) namespace: String,
    pub(super) metric_name: String,
    /// `Average`, `Minimum`, `Maximum`, `SampleCount` or `Sum`.
    pub(super) statistic: String,
    #[serde(default)]
    pub(super) dimensions: Tags,
    pub(super) unit: Option<String>,
}

/// How many instances must be healthy while others are replaced, in percent of the desired capacity.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstanceMaintenancePolicy {
    /// 0 to 100.
    pub(super) min_healthy_percentage: i32,
    /// 100 to 200, and at most 100 more than the other.
    pub(super) max_healthy_percentage: i32,
}

impl LaunchAsg {
    /// What needs no AWS to be wrong. The limits are those of the API reference.
    pub(super) fn check(&self) -> Result<(), Error> {
        let range = |path: &str, value: i64, low: i64, high: i64, what: &str| match (low..=high).contains(&value) {
            true => Ok(()),
            false => Err(Error::option(path, format!("expected {low} to {high}{what}, found {value}"))),
        };
        if self.subnets.as_slice().is_empty() {
            return Err(Error::option("subnets", "expected at least one subnet"));
        }
        for (path, size) in
            [("min_size", self.min_size), ("max_size", self.max_size), ("desired_capacity", self.desired_capacity)]
        {
            if let (None, None) = (size, &self.capacity_from)
                && path != "desired_capacity"
            {
                return Err(Error::option(path, "missing: needed without `capacity_from`"));
            }
            range(path, size.unwrap_or(0).into(), 0, i32::MAX.into(), "")?;
        }
        if let (Some(min), Some(max)) = (self.min_size, self.max_size) {
            range("max_size", max.into(), min.into(), i32::MAX.into(), "")?;
        }
        if let Some(desired) = self.desired_capacity {
            range(
                "desired_capacity",
                desired.into(),
                self.min_size.unwrap_or(0).into(),
                self.max_size.unwrap_or(i32::MAX).into(),
                "",
            )?;
        }
        if let Some(lifetime) = self.max_instance_lifetime {
            range("max_instance_lifetime", lifetime.as_secs().into(), 86_400, 31_536_000, " seconds")?;
        }
        for (index, hook) in self.lifecycle_hooks.iter().enumerate() {
            let path = format!("lifecycle_hooks[{index}].heartbeat_timeout");
            range(&path, hook.heartbeat_timeout.as_secs().into(), 30, 7200, " seconds")?;
        }
        for (index, policy) in self.target_tracking.iter().enumerate() {
            if policy.predefined_metric_type.is_some() == policy.customized_metric.is_some() {
                let message = "expected `predefined_metric_type` or `customized_metric`";
                return Err(Error::option(format!("target_tracking[{index}]"), message));
            }
            let counts = policy.predefined_metric_type.as_deref() == Some("ALBRequestCountPerTarget");
            if counts != policy.resource_label.is_some() {
                let message = "needed for ALBRequestCountPerTarget, and only for it";
                return Err(Error::option(format!("target_tracking[{index}].resource_label"), message));
            }
        }
        if let Some(policy) = self.instance_maintenance_policy {
            let (low, high) = (policy.min_healthy_percentage, policy.max_healthy_percentage);
            range("instance_maintenance_policy.min_healthy_percentage", low.into(), 0, 100, "")?;
            let most = (low + 100).min(200);
            range("instance_maintenance_policy.max_healthy_percentage", high.into(), 100, most.into(), "")?;
        }
        if let Some(policy) = &self.mixed_instances_policy {
            let path = "mixed_instances_policy.on_demand_percentage_above_base_capacity";
            range(path, policy.on_demand_percentage_above_base_capacity.into(), 0, 100, "")?;
        }
        Ok(())
    }
}
