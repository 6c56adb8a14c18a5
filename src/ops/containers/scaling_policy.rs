//! Policies of a service: as Application Auto Scaling shows them, as they are compared, and as it takes them back.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A policy that tracks a target, as it is compared and put back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub predefined_metric_type: String,
    pub resource_label: Option<String>,
    pub target_value: f64,
    pub scale_out_cooldown: Option<i64>,
    pub scale_in_cooldown: Option<i64>,
    pub disable_scale_in: bool,
}

/// A policy of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Found {
    Tracking(Policy),
    /// Of a kind that the operation does not make: its type and configuration, as PutScalingPolicy takes them back.
    Other(Map<String, Value>),
}

const TRACKING: &str = "TargetTrackingScaling";
const STEPS: &str = "StepScaling";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ShownPolicy {
    pub policy_name: String,
    policy_type: String,
    alarms: Vec<ShownAlarm>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ShownAlarm {
    alarm_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tracking {
    target_value: f64,
    predefined_metric_specification: Metric,
    scale_out_cooldown: Option<i64>,
    scale_in_cooldown: Option<i64>,
    #[serde(default)]
    disable_scale_in: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    predefined_metric_type: String,
    resource_label: Option<String>,
}

impl ShownPolicy {
    /// The alarms of others that act on it. Those of one that tracks a target are AWS's.
    pub fn others_alarms(&self) -> Vec<String> {
        let alarms = self.alarms.iter().filter(|_| self.policy_type == STEPS);
        alarms.map(|alarm| alarm.alarm_name.clone()).collect()
    }
}

impl From<ShownPolicy> for Found {
    fn from(mut shown: ShownPolicy) -> Self {
        let name = format!("{}PolicyConfiguration", shown.policy_type);
        let configuration = shown.more.remove(&name).unwrap_or_default();
        if shown.policy_type == TRACKING
            && let Ok(tracking) = Tracking::deserialize(&configuration)
        {
            return Self::Tracking(Policy {
                predefined_metric_type: tracking.predefined_metric_specification.predefined_metric_type,
                resource_label: tracking.predefined_metric_specification.resource_label,
                target_value: tracking.target_value,
                scale_out_cooldown: tracking.scale_out_cooldown,
                scale_in_cooldown: tracking.scale_in_cooldown,
                disable_scale_in: tracking.disable_scale_in,
            });
        }
        Self::Other([("PolicyType".to_owned(), json!(shown.policy_type)), (name, configuration)].into_iter().collect())
    }
}

impl Found {
    /// The members of PutScalingPolicy that say what it is.
    pub fn request(self) -> Value {
        match self {
            Self::Tracking(policy) => json!({
                "PolicyType": TRACKING,
                "TargetTrackingScalingPolicyConfiguration": policy.request(),
            }),
            Self::Other(policy) => Value::Object(policy),
        }
    }
}

impl Policy {
    fn request(&self) -> Value {
        let mut metric = json!({ "PredefinedMetricType": self.predefined_metric_type });
        if let Some(label) = &self.resource_label {
            metric["ResourceLabel"] = json!(label);
        }
        let mut configuration = json!({
            "TargetValue": self.target_value,
            "PredefinedMetricSpecification": metric,
            "DisableScaleIn": self.disable_scale_in,
        });
        for (name, cooldown) in
            [("ScaleOutCooldown", self.scale_out_cooldown), ("ScaleInCooldown", self.scale_in_cooldown)]
        {
            if let Some(cooldown) = cooldown {
                configuration[name] = json!(cooldown);
            }
        }
        configuration
    }
}
