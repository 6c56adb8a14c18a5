//! Policies: what a count follows. Those that track a target and those with steps are kept, and not carried out.

use super::*;
use crate::sim::cloudwatch::Alarm;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "PutScalingPolicy",
        params: &[
            NAMED,
            "
            PolicyName PolicyType StepScalingPolicyConfiguration.AdjustmentType
            StepScalingPolicyConfiguration.StepAdjustments[].MetricIntervalLowerBound
            StepScalingPolicyConfiguration.StepAdjustments[].MetricIntervalUpperBound
            StepScalingPolicyConfiguration.StepAdjustments[].ScalingAdjustment
            StepScalingPolicyConfiguration.MinAdjustmentMagnitude StepScalingPolicyConfiguration.Cooldown
            StepScalingPolicyConfiguration.MetricAggregationType
            TargetTrackingScalingPolicyConfiguration.TargetValue
            TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification.**
            TargetTrackingScalingPolicyConfiguration.PredefinedMetricSpecification.PredefinedMetricType
            TargetTrackingScalingPolicyConfiguration.PredefinedMetricSpecification.ResourceLabel
            TargetTrackingScalingPolicyConfiguration.ScaleOutCooldown
            TargetTrackingScalingPolicyConfiguration.ScaleInCooldown
            TargetTrackingScalingPolicyConfiguration.DisableScaleIn
            ",
        ],
        run: put_scaling_policy,
    },
    Action {
        name: "DescribeScalingPolicies",
        params: &["PolicyNames[] ServiceNamespace ResourceId ScalableDimension", PAGES],
        run: describe_scaling_policies,
    },
    Action { name: "DeleteScalingPolicy", params: &["PolicyName", NAMED], run: delete_scaling_policy },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScalingPolicy {
    /// `resource/name`
    pub key: String,
    pub resource: String,
    pub name: String,
    pub arn: String,
    /// `TargetTrackingScaling` or `StepScaling`.
    #[serde(default = "tracking")]
    pub kind: String,
    pub configuration: Value,
    pub created: Timestamp,
}

fn tracking() -> String {
    TRACKING.to_owned()
}

resource!(ScalingPolicy, key, region.application_autoscaling.tracking_policies, Extent::Kind, |key: &str| {
    missing("scaling policy", "policy name", key)
});

pub const CALLS: &[&str] = &["application-autoscaling:DescribeScalingPolicies"];

const TRACKING: &str = "TargetTrackingScaling";
const STEPS: &str = "StepScaling";

/// Reads the policies of all services.
pub fn load(reader: &Reader, _: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let params = json!({ "ServiceNamespace": NAMESPACE, "MaxResults": 50 });
    let all = reader.pages("application-autoscaling", "DescribeScalingPolicies", params, "ScalingPolicies", TOKEN)?;
    for shown in all.iter().filter(|shown| shown.opt_str("ScalableDimension") == Some(DIMENSION)) {
        let (resource, name) = (shown.text("ResourceId"), shown.text("PolicyName"));
        let kind = shown.text("PolicyType");
        let other = (![TRACKING, STEPS].contains(&kind.as_str())).then(|| format!("policies of the type {kind}"));
        let policy = ScalingPolicy {
            key: format!("{resource}/{name}"),
            resource,
            name,
            arn: shown.text("PolicyARN"),
            configuration: shown.part(&format!("{kind}PolicyConfiguration")).0,
            kind,
            created: shown.time("CreationTime"),
        };
        rows.whole(Read::of(policy).shown(shown).except(other));
    }
    Ok(())
}

impl ScalingPolicy {
    fn view(&self, tx: &Tx) -> Value {
        let mut view = json!({
            "PolicyARN": self.arn,
            "PolicyName": self.name,
            "ServiceNamespace": NAMESPACE,
            "ResourceId": self.resource,
            "ScalableDimension": DIMENSION,
            "PolicyType": self.kind,
            "Alarms": self.alarms(tx),
            "CreationTime": epoch(self.created),
        });
        view[format!("{}PolicyConfiguration", self.kind)] = self.configuration.clone();
        view
    }

    /// The CloudWatch alarms that AWS makes for one that tracks a target. Those of steps are people's own.
    fn alarms(&self, tx: &Tx) -> Value {
        if self.kind == STEPS {
            let lists = ["AlarmActions", "OKActions", "InsufficientDataActions"];
            let acts =
                |alarm: &&Alarm| lists.iter().any(|list| alarm.definition.strings(list).contains(&self.arn.as_str()));
            let shown = |alarm: &Alarm| json!({ "AlarmName": alarm.name, "AlarmARN": alarm.arn(tx) });
            return tx.all::<Alarm>().filter(acts).map(shown).collect();
        }
        let uuid = self.arn.rsplit(':').next().unwrap_or_default();
        let id = self.arn.split(':').nth(6).unwrap_or(uuid);
        let alarm = |kind: &str| {
            let name = format!("TargetTracking-{}-{kind}-{id}", self.resource);
            json!({ "AlarmName": name, "AlarmARN": tx.arn("cloudwatch", &format!("alarm:{name}")) })
        };
        json!([alarm("AlarmHigh"), alarm("AlarmLow")])
    }
}

const METRICS: [&str; 3] =
    ["ECSServiceAverageCPUUtilization", "ECSServiceAverageMemoryUtilization", "ALBRequestCountPerTarget"];

fn put_scaling_policy(tx: &mut Tx, p: &Params) -> Reply {
    let (resource, name) = (resource(tx, p)?.to_owned(), p.str("PolicyName")?.to_owned());
    let key = format!("{resource}/{name}");
    let known = tx.peek::<ScalingPolicy>(&key).cloned();
    let kind = p.opt_str("PolicyType").map(str::to_owned).or_else(|| known.as_ref().map(|known| known.kind.clone()));
    // "This parameter is required if you are creating a scaling policy."
    let kind = kind.ok_or_else(|| invalid("PolicyType is required for a new scaling policy"))?;
    if tx.get::<ScalableTarget>(&resource).is_err() {
        return Err(unregistered(&resource));
    }
    let configuration = match kind.as_str() {
        TRACKING => tracked(&p.part("TargetTrackingScalingPolicyConfiguration"))?,
        STEPS => steps(&p.part("StepScalingPolicyConfiguration"))?,
        other => return Err(AwsError::not_modelled("ValidationException", "PolicyType", other, "PutScalingPolicy")),
    };
    let policy = match known {
        Some(known) => ScalingPolicy { kind, configuration, ..known },
        None => {
            let id = tx.new_id("x");
            let id = id.trim_start_matches("x-");
            let arn = format!("scalingPolicy:{id}:resource/{NAMESPACE}/{resource}:policyName/{name}");
            ScalingPolicy {
                arn: tx.arn("autoscaling", &arn),
                created: tx.now,
                key: key.clone(),
                resource,
                name,
                kind,
                configuration,
            }
        }
    };
    let reply = json!({ "PolicyARN": policy.arn, "Alarms": policy.alarms(tx) });
    match tx.peek_mut::<ScalingPolicy>(&key) {
        Some(row) => *row = policy,
        None => tx.put(policy),
    }
    Ok(reply)
}

/// What is tracked, as it is shown afterwards.
fn tracked(given: &Params) -> Reply {
    let (predefined, own) = (given.has("PredefinedMetricSpecification"), given.has("CustomizedMetricSpecification"));
    if predefined == own {
        return Err(invalid(
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification is required",
        ));
    }
    let metric = given.opt_str("PredefinedMetricSpecification.PredefinedMetricType").unwrap_or_default();
    if predefined && !METRICS.contains(&metric) {
        return Err(invalid(format!("Invalid metric type for service namespace {NAMESPACE}: {metric}")));
    }
    let labelled = given.has("PredefinedMetricSpecification.ResourceLabel");
    if labelled != (metric == "ALBRequestCountPerTarget") {
        return Err(invalid("A resource label must be specified exactly for ALBRequestCountPerTarget"));
    }
    if given.get("TargetValue").and_then(Value::as_f64).is_none_or(|value| value <= 0.0) {
        return Err(invalid("TargetValue must be above 0"));
    }
    let mut configuration = given.0.clone();
    if configuration.get("DisableScaleIn").is_none() {
        configuration["DisableScaleIn"] = json!(false);
    }
    Ok(configuration)
}

/// Steps, as they are shown afterwards.
fn steps(given: &Params) -> Reply {
    let kinds = ["ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"];
    let adjustment = given.opt_str("AdjustmentType").unwrap_or_default();
    if !kinds.contains(&adjustment) {
        return Err(invalid(format!("AdjustmentType must be one of {}", kinds.join(", "))));
    }
    match given.get("StepAdjustments").and_then(Value::as_array).is_some_and(|steps| !steps.is_empty()) {
        true => Ok(given.0.clone()),
        false => Err(invalid("At least one StepAdjustment is required")),
    }
}

fn describe_scaling_policies(tx: &mut Tx, p: &Params) -> Reply {
    namespace(tx, p)?;
    let (names, resource) = (p.strings("PolicyNames"), p.opt_str("ResourceId"));
    let rows = tx.select::<ScalingPolicy>(&[])?.into_iter();
    let rows = rows.filter(|policy| {
        (names.is_empty() || names.contains(&policy.name.as_str()))
            && resource.is_none_or(|resource| policy.resource == resource)
    });
    let (rows, next) = select::page(&PAGING, p, rows.collect(), |policy: &&ScalingPolicy| &policy.key)?;
    let views: Vec<Value> = rows.into_iter().map(|policy| tx.shown(policy, ScalingPolicy::view)).collect();
    Ok(json!({ "ScalingPolicies": views, "NextToken": next }))
}

fn delete_scaling_policy(tx: &mut Tx, p: &Params) -> Reply {
    let key = format!("{}/{}", resource(tx, p)?, p.str("PolicyName")?);
    tx.get::<ScalingPolicy>(&key)?;
    tx.delete::<ScalingPolicy>(&key);
    Ok(json!({}))
}
