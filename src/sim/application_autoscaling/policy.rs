//! Policies: what a count follows. They are kept, and not carried out. One that tracks a target keeps alarms of its own in
//! CloudWatch; those of steps are people's.

use super::*;
use crate::sim::cloudwatch::{self, Alarm};

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
            TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification.MetricName
            TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification.Namespace
            TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification.Statistic
            TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification.Unit
            TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification.Dimensions[].Name
            TargetTrackingScalingPolicyConfiguration.CustomizedMetricSpecification.Dimensions[].Value
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
    /// The names of the alarms that it keeps.
    #[serde(default)]
    pub alarms: Vec<String>,
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
            alarms: match kind == TRACKING {
                true => shown.list("Alarms").iter().map(|alarm| alarm.text("AlarmName")).collect(),
                false => Vec::new(),
            },
            kind,
            created: shown.time("CreationTime"),
        };
        rows.whole(Read::of(policy).shown(shown).except(other));
    }
    Ok(())
}

/// The alarms of a policy: one has the service grow, the other one has it shrink.
#[derive(Clone, Copy)]
enum Side {
    High,
    Low,
}

impl Side {
    /// What the alarm's name says.
    fn mark(self) -> &'static str {
        match self {
            Side::High => "AlarmHigh",
            Side::Low => "AlarmLow",
        }
    }
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
            "Alarms": self.show_alarms(tx),
            "CreationTime": epoch(self.created),
        });
        view[format!("{}PolicyConfiguration", self.kind)] = self.configuration.clone();
        view
    }

    fn show_alarms(&self, tx: &Tx) -> Value {
        if self.kind == STEPS {
            let lists = ["AlarmActions", "OKActions", "InsufficientDataActions"];
            let acts =
                |alarm: &&Alarm| lists.iter().any(|list| alarm.definition.strings(list).contains(&self.arn.as_str()));
            let shown = |alarm: &Alarm| json!({ "AlarmName": alarm.name, "AlarmARN": alarm.arn(tx) });
            return tx.all::<Alarm>().filter(acts).map(shown).collect();
        }
        let shown =
            |name: &String| json!({ "AlarmName": name, "AlarmARN": tx.arn("cloudwatch", &format!("alarm:{name}")) });
        self.alarms.iter().map(shown).collect()
    }

    /// Brings its alarms to what it says now. One that does not scale in has no low alarm.
    fn keep_alarms(&mut self, tx: &mut Tx) -> Result<(), AwsError> {
        let sides = match (self.kind.as_str(), self.configuration["DisableScaleIn"] == true) {
            (STEPS, _) => &[][..],
            (_, true) => &[Side::High],
            (_, false) => &[Side::High, Side::Low],
        };
        let id = self.arn.split(':').nth(6).unwrap_or_default();
        let name = |side: &Side| {
            let mark = format!("-{}-", side.mark());
            let known = self.alarms.iter().find(|name| name.contains(&mark));
            known.cloned().unwrap_or_else(|| format!("TargetTracking-{}{mark}{id}", self.resource))
        };
        let wanted: Vec<String> = sides.iter().map(name).collect();
        let superfluous: Vec<String> = self.alarms.iter().filter(|name| !wanted.contains(name)).cloned().collect();
        cloudwatch::alarm::remove(tx, &superfluous)?;
        for (side, name) in sides.iter().zip(&wanted) {
            cloudwatch::alarm::put(tx, &Params(self.alarm(*side, name)))?;
        }
        self.alarms = wanted;
        Ok(())
    }

    /// An alarm as accounts show it: three minutes above the target, or fifteen below nine tenths of it.
    fn alarm(&self, side: Side, name: &str) -> Value {
        let target = self.configuration["TargetValue"].as_f64().unwrap_or_default();
        let (comparison, periods, threshold) = match side {
            Side::High => ("GreaterThanThreshold", 3, target),
            Side::Low => ("LessThanThreshold", 15, target * 0.9),
        };
        let mut alarm = self.metric();
        let rest = json!({
            "AlarmName": name,
            "AlarmDescription": format!("DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {}.", self.arn),
            "AlarmActions": [self.arn],
            "Period": 60,
            "EvaluationPeriods": periods,
            "Threshold": threshold,
            "ComparisonOperator": comparison,
        });
        if let (Some(alarm), Value::Object(rest)) = (alarm.as_object_mut(), rest) {
            alarm.extend(rest);
        }
        alarm
    }

    /// What its alarms look at.
    fn metric(&self) -> Value {
        let dimensions = |of: [(&str, &str); 2]| of.map(|(name, value)| json!({ "Name": name, "Value": value }));
        let metric = &self.configuration["PredefinedMetricSpecification"];
        // `app/NAME/ID/targetgroup/NAME/ID`
        if let Some((balancer, group)) = metric["ResourceLabel"].as_str().and_then(|it| it.split_once("/targetgroup/"))
        {
            let dimensions = dimensions([("LoadBalancer", balancer), ("TargetGroup", &format!("targetgroup/{group}"))]);
            return json!({
                "Namespace": "AWS/ApplicationELB", "MetricName": "RequestCountPerTarget", "Statistic": "Sum",
                "Dimensions": dimensions,
            });
        }
        let name = match metric["PredefinedMetricType"].as_str() {
            Some("ECSServiceAverageCPUUtilization") => "CPUUtilization",
            Some(_) => "MemoryUtilization",
            None => return self.configuration["CustomizedMetricSpecification"].clone(),
        };
        let (cluster, service) = service_in(&self.resource).split_once('/').unwrap_or_default();
        json!({
            "Namespace": "AWS/ECS", "MetricName": name, "Statistic": "Average", "Unit": "Percent",
            "Dimensions": dimensions([("ClusterName", cluster), ("ServiceName", service)]),
        })
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
    let mut policy = match known {
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
                alarms: Vec::new(),
            }
        }
    };
    policy.keep_alarms(tx)?;
    let reply = json!({ "PolicyARN": policy.arn, "Alarms": policy.show_alarms(tx) });
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
    check_dimension(p, resource.is_some())?;
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
    let policy = tx.get::<ScalingPolicy>(&key)?.clone();
    delete(tx, &policy)?;
    Ok(json!({}))
}

/// Deletes those of a target.
pub fn delete_all(tx: &mut Tx, resource: &str) -> Result<(), AwsError> {
    let of_it = tx.all::<ScalingPolicy>().filter(|policy| policy.resource == resource);
    of_it.cloned().collect::<Vec<_>>().iter().try_for_each(|policy| delete(tx, policy))
}

/// Its alarms go with it ("Delete a target tracking scaling policy").
fn delete(tx: &mut Tx, policy: &ScalingPolicy) -> Result<(), AwsError> {
    cloudwatch::alarm::remove(tx, &policy.alarms)?;
    tx.delete::<ScalingPolicy>(&policy.key);
    Ok(())
}
