//! Policies that track a target, and the two alarms of CloudWatch that each of them keeps.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "PutScalingPolicy",
        params: &[
            NAMED,
            "
            PolicyName PolicyType TargetTrackingScalingPolicyConfiguration.TargetValue
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
    pub configuration: Value,
    /// The names of its alarms.
    #[serde(default)]
    pub alarms: Vec<String>,
    pub created: Timestamp,
}

resource!(ScalingPolicy, key, region.application_autoscaling.tracking_policies, Extent::Kind, |key: &str| {
    let (resource, name) = key.rsplit_once('/').unwrap_or((key, ""));
    let message = format!(
        "No scaling policy found for service namespace: {NAMESPACE}, resource ID: {resource}, scalable dimension: \
             {DIMENSION}, policy name: {name}"
    );
    AwsError::new("ObjectNotFoundException", message)
});

pub const CALLS: &[&str] = &["application-autoscaling:DescribeScalingPolicies"];

const TRACKING: &str = "TargetTrackingScaling";

/// Reads the policies of all services.
pub fn load(reader: &Reader, _: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let params = json!({ "ServiceNamespace": NAMESPACE, "MaxResults": 50 });
    let all = reader.pages("application-autoscaling", "DescribeScalingPolicies", params, "ScalingPolicies", TOKEN)?;
    for shown in all.iter().filter(|shown| shown.opt_str("ScalableDimension") == Some(DIMENSION)) {
        let (resource, name) = (shown.text("ResourceId"), shown.text("PolicyName"));
        let other = shown.opt_str("PolicyType").filter(|kind| *kind != TRACKING);
        let other = other.map(|kind| format!("policies of the type {kind}"));
        let policy = ScalingPolicy {
            key: format!("{resource}/{name}"),
            resource,
            name,
            arn: shown.text("PolicyARN"),
            configuration: shown.part("TargetTrackingScalingPolicyConfiguration").0,
            alarms: shown.list("Alarms").iter().map(|alarm| alarm.text("AlarmName")).collect(),
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
        json!({
            "PolicyARN": self.arn,
            "PolicyName": self.name,
            "ServiceNamespace": NAMESPACE,
            "ResourceId": self.resource,
            "ScalableDimension": DIMENSION,
            "PolicyType": TRACKING,
            "TargetTrackingScalingPolicyConfiguration": self.configuration,
            "Alarms": self.show_alarms(tx),
            "CreationTime": epoch(self.created),
        })
    }

    fn show_alarms(&self, tx: &Tx) -> Value {
        let alarm =
            |name: &String| json!({ "AlarmName": name, "AlarmARN": tx.arn("cloudwatch", &format!("alarm:{name}")) });
        self.alarms.iter().map(alarm).collect()
    }

    /// Brings its alarms to what it says now. One that does not scale in has no low alarm.
    fn keep_alarms(&mut self, tx: &mut Tx) -> Result<(), AwsError> {
        let sides = match self.configuration["DisableScaleIn"] == true {
            true => &[Side::High][..],
            false => &[Side::High, Side::Low],
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
        let metric = &self.configuration["PredefinedMetricSpecification"];
        let (namespace, metric, statistic, unit, dimensions) = match metric["ResourceLabel"].as_str() {
            // `app/NAME/ID/targetgroup/NAME/ID`
            Some(label) => {
                let (balancer, group) = label.split_once("/targetgroup/").unwrap_or((label, ""));
                let dimensions =
                    [("LoadBalancer", balancer.to_owned()), ("TargetGroup", format!("targetgroup/{group}"))];
                ("AWS/ApplicationELB", "RequestCountPerTarget", "Sum", None, dimensions)
            }
            None => {
                let is_cpu = metric["PredefinedMetricType"] == "ECSServiceAverageCPUUtilization";
                let name = if is_cpu { "CPUUtilization" } else { "MemoryUtilization" };
                let (cluster, service) = service_in(&self.resource).split_once('/').unwrap_or_default();
                let dimensions = [("ClusterName", cluster.to_owned()), ("ServiceName", service.to_owned())];
                ("AWS/ECS", name, "Average", Some("Percent"), dimensions)
            }
        };
        json!({
            "AlarmName": name,
            "AlarmDescription": format!("DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {}.", self.arn),
            "AlarmActions": [self.arn],
            "Namespace": namespace,
            "MetricName": metric,
            "Dimensions": dimensions.map(|(name, value)| json!({ "Name": name, "Value": value })),
            "Statistic": statistic,
            "Unit": unit,
            "Period": 60,
            "EvaluationPeriods": periods,
            "Threshold": threshold,
            "ComparisonOperator": comparison,
        })
    }
}

const METRICS: [&str; 3] =
    ["ECSServiceAverageCPUUtilization", "ECSServiceAverageMemoryUtilization", "ALBRequestCountPerTarget"];

fn put_scaling_policy(tx: &mut Tx, p: &Params) -> Reply {
    let (resource, name) = (resource(tx, p)?.to_owned(), p.str("PolicyName")?.to_owned());
    if let Some(other) = p.opt_str("PolicyType").filter(|kind| *kind != TRACKING) {
        return Err(AwsError::not_modelled("ValidationException", "PolicyType", other, "PutScalingPolicy"));
    }
    if tx.get::<ScalableTarget>(&resource).is_err() {
        return Err(unregistered(&resource));
    }
    let given = p.part("TargetTrackingScalingPolicyConfiguration");
    let metric = given.opt_str("PredefinedMetricSpecification.PredefinedMetricType").unwrap_or_default();
    if !METRICS.contains(&metric) {
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
    // As it is shown afterwards.
    if configuration.get("DisableScaleIn").is_none() {
        configuration["DisableScaleIn"] = json!(false);
    }
    let key = format!("{resource}/{name}");
    let mut policy = match tx.peek::<ScalingPolicy>(&key).cloned() {
        Some(known) => ScalingPolicy { configuration, ..known },
        // PolicyType: "This parameter is required if you are creating a scaling policy."
        None if !p.has("PolicyType") => return Err(invalid("PolicyType must be specified for a new scaling policy")),
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

fn describe_scaling_policies(tx: &mut Tx, p: &Params) -> Reply {
    let (names, resource) = (p.strings("PolicyNames"), p.opt_str("ResourceId"));
    namespace(tx, p)?;
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
