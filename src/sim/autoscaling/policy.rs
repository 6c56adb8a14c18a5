//! Scaling policies. Of those that track a target, load is not measured: a group without requests shrinks after a while, and a
//! fault can have one grow. Those that take steps are told by alarms (`step`).

use std::time::Duration;

use super::group::{self, Group};
use super::step::{self, Stepped};
use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "PutScalingPolicy",
        params: &[
            "
            AutoScalingGroupName PolicyName PolicyType EstimatedInstanceWarmup Enabled
            TargetTrackingConfiguration.PredefinedMetricSpecification.PredefinedMetricType
            TargetTrackingConfiguration.PredefinedMetricSpecification.ResourceLabel
            TargetTrackingConfiguration.CustomizedMetricSpecification.MetricName
            TargetTrackingConfiguration.CustomizedMetricSpecification.Namespace
            TargetTrackingConfiguration.CustomizedMetricSpecification.Dimensions[].Name
            TargetTrackingConfiguration.CustomizedMetricSpecification.Dimensions[].Value
            TargetTrackingConfiguration.CustomizedMetricSpecification.Statistic
            TargetTrackingConfiguration.CustomizedMetricSpecification.Unit
            TargetTrackingConfiguration.CustomizedMetricSpecification.Period
            TargetTrackingConfiguration.TargetValue TargetTrackingConfiguration.DisableScaleIn
        ",
            step::PARAMS,
        ],
        run: put_scaling_policy,
    },
    Action {
        name: "DescribePolicies",
        params: &["AutoScalingGroupName PolicyNames[] PolicyTypes[]", PAGES],
        run: describe_policies,
    },
    Action { name: "DeletePolicy", params: &["AutoScalingGroupName PolicyName"], run: delete_policy },
];

/// A policy; its name is its key in the group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    pub arn: String,
    pub configuration: Params,
    pub warmup: Option<i64>,
    pub enabled: bool,
    /// Names of the CloudWatch alarms that AWS makes for it.
    pub alarms: Vec<String>,
    /// Of a policy that takes steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stepped: Option<Stepped>,
    /// As AWS shows it: a policy of a type that is not modelled. It can be read and deleted, not made here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Value>,
}

const TRACKING: &str = "TargetTrackingScaling";

impl Policy {
    /// The inverse of what a describe shows, with its name.
    pub fn shown(shown: &Params) -> (String, Policy) {
        let kind = shown.opt_str("PolicyType").unwrap_or(step::SIMPLE);
        let steps = [step::STEP, step::SIMPLE].contains(&kind);
        let stepped = steps.then(|| Stepped::read(kind, &shown.without_nulls()).ok()).flatten();
        let other = kind != TRACKING && stepped.is_none();
        let policy = Policy {
            arn: shown.text("PolicyARN"),
            configuration: shown.part("TargetTrackingConfiguration").without_nulls(),
            warmup: shown.opt_int("EstimatedInstanceWarmup").ok().flatten(),
            enabled: shown.opt_bool("Enabled").ok().flatten().unwrap_or(true),
            alarms: shown.list("Alarms").iter().map(|alarm| alarm.text("AlarmName")).collect(),
            stepped,
            other: other.then(|| shown.0.clone()),
        };
        (shown.text("PolicyName"), policy)
    }

    fn kind(&self) -> &str {
        match (&self.stepped, &self.other) {
            (Some(stepped), _) => &stepped.kind,
            (None, Some(shown)) => shown["PolicyType"].as_str().unwrap_or(step::SIMPLE),
            (None, None) => TRACKING,
        }
    }

    fn tracks(&self) -> bool {
        self.enabled && self.stepped.is_none() && self.other.is_none()
    }

    fn alarms(&self, tx: &Tx) -> Value {
        let alarm =
            |name: &String| json!({ "AlarmName": name, "AlarmARN": tx.arn("cloudwatch", &format!("alarm:{name}")) });
        self.alarms.iter().map(alarm).collect()
    }
}

/// The groups that a policy may let grow.
pub fn can_grow(tx: &Tx) -> Vec<String> {
    let can = |group: &&Group| {
        let tracks = group.policies.values().any(Policy::tracks);
        tracks && group.runs("AlarmNotification") && !group.deleting && group.desired < group.max
    };
    tx.all::<Group>().filter(can).map(|group| group.name.clone()).collect()
}

/// The low alarm of target tracking: 15 datapoints of a minute each ("Target tracking scaling policies").
const IDLE: Duration = Duration::from_secs(15 * 60);

/// A group that has had no requests for a while shrinks, if a policy has it do so.
pub fn scale_in(tx: &mut Tx, name: &str) {
    let Some(group) = tx.peek::<Group>(name) else { return };
    let is_idle = !group.target_groups.is_empty()
        && group.serving().next().is_some()
        && !group.target_groups.iter().any(|arn| crate::sim::elbv2::spread::gets_requests(tx, arn));
    let may = |policy: &Policy| policy.tracks() && policy.configuration.opt_str("DisableScaleIn") != Some("true");
    let may = group.runs("AlarmNotification") && group.policies.values().any(may);
    let now = tx.now;
    let Some(group) = tx.peek_mut::<Group>(name) else { return };
    let since = *group.work.idle_since.get_or_insert(now);
    if !is_idle {
        group.work.idle_since = None;
    } else if may && group.desired > group.min && now.duration_since(since).unsigned_abs() >= IDLE {
        change(tx, name, -1);
    }
}

/// The high alarm of a policy goes off: the group is to have one instance more.
pub fn alarm(tx: &mut Tx, name: &str) {
    change(tx, name, 1);
}

fn change(tx: &mut Tx, name: &str, by: i64) {
    let Some(group) = tx.peek_mut::<Group>(name) else { return };
    let (was, policy) = (group.desired, tracking(group));
    group.desired += by;
    let now = group.desired;
    // Worded as in the examples of "Verify a scaling activity for an Auto Scaling group".
    let cause = format!(
        "a monitor alarm in state ALARM triggered policy {policy} changing the desired capacity from {was} to {now}."
    );
    super::fleet::because(tx, name, &cause);
}

/// The name of a policy that tracks.
fn tracking(group: &Group) -> String {
    let tracks = group.policies.iter().find(|(_, policy)| policy.tracks());
    tracks.map(|(name, _)| name.clone()).unwrap_or_default()
}

fn put_scaling_policy(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("PolicyName")?.to_owned();
    let group = group::to_change(tx, p)?;
    let (of, before) = (group.name.clone(), group.policies.get(&name).cloned());
    let kind = p.opt_str("PolicyType").unwrap_or(step::SIMPLE);
    if [step::STEP, step::SIMPLE].contains(&kind) {
        return put_stepped(tx, p, kind, &of, name, before);
    }
    if kind != TRACKING {
        let message = format!("the simulator does not model policies of the type {kind}");
        return Err(AwsError::unanswered("ValidationError", message));
    }
    let given = p.get("TargetTrackingConfiguration").cloned();
    let mut configuration = Params(given.ok_or_else(|| AwsError::missing("TargetTrackingConfiguration"))?);
    if !configuration.has("DisableScaleIn") {
        configuration.0["DisableScaleIn"] = json!("false");
    }
    configuration.str("TargetValue")?;
    let predefined = configuration.opt_str("PredefinedMetricSpecification.PredefinedMetricType");
    const METRICS: [&str; 4] =
        ["ASGAverageCPUUtilization", "ASGAverageNetworkIn", "ASGAverageNetworkOut", "ALBRequestCountPerTarget"];
    match (predefined, configuration.has("CustomizedMetricSpecification")) {
        (Some(metric), false) if METRICS.contains(&metric) => {
            let label = configuration.has("PredefinedMetricSpecification.ResourceLabel");
            if label != (metric == "ALBRequestCountPerTarget") {
                let message =
                    "ResourceLabel must be specified for the metric type ALBRequestCountPerTarget, and only for it";
                return Err(invalid(message));
            }
        }
        (None, true) => {}
        _ => {
            let message = "Exactly one of a predefined metric and a customized metric must be specified";
            return Err(invalid(message));
        }
    }
    let id = uuid(tx);
    let arn = match &before {
        Some(policy) => policy.arn.clone(),
        None => tx.arn("autoscaling", &format!("scalingPolicy:{id}:autoScalingGroupName/{of}:policyName/{name}")),
    };
    let sides = match configuration.opt_bool("DisableScaleIn")? {
        Some(true) => &["High"][..],
        _ => &["High", "Low"],
    };
    let kept = before.map(|before| before.alarms).filter(|alarms| alarms.len() == sides.len());
    let new = || sides.iter().map(|side| format!("TargetTracking-{of}-Alarm{side}-{id}")).collect();
    let policy = Policy {
        arn,
        configuration,
        warmup: p.opt_int("EstimatedInstanceWarmup")?,
        enabled: p.opt_bool("Enabled")?.unwrap_or(true),
        alarms: kept.unwrap_or_else(new),
        stepped: None,
        other: None,
    };
    let reply = json!({ "PolicyARN": policy.arn, "Alarms": policy.alarms(tx) });
    tx.get_mut::<Group>(&of)?.policies.insert(name, policy);
    Ok(reply)
}

fn put_stepped(tx: &mut Tx, p: &Params, kind: &str, of: &str, name: String, before: Option<Policy>) -> Reply {
    let stepped = Stepped::read(kind, p)?;
    stepped.check()?;
    if p.has("EstimatedInstanceWarmup") && kind != step::STEP {
        return Err(invalid("EstimatedInstanceWarmup is not supported for policies of the type SimpleScaling"));
    }
    let id = uuid(tx);
    let new = tx.arn("autoscaling", &format!("scalingPolicy:{id}:autoScalingGroupName/{of}:policyName/{name}"));
    let policy = Policy {
        arn: before.map_or(new, |before| before.arn),
        configuration: Params::default(),
        warmup: p.opt_int("EstimatedInstanceWarmup")?,
        enabled: p.opt_bool("Enabled")?.unwrap_or(true),
        alarms: Vec::new(),
        stepped: Some(stepped),
        other: None,
    };
    let reply = json!({ "PolicyARN": policy.arn, "Alarms": [] });
    tx.get_mut::<Group>(of)?.policies.insert(name, policy);
    Ok(reply)
}

fn describe_policies(tx: &mut Tx, p: &Params) -> Reply {
    let (group, names, types) = (p.opt_str("AutoScalingGroupName"), p.strings("PolicyNames"), p.strings("PolicyTypes"));
    let groups = match group {
        Some(name) => vec![tx.get::<Group>(name)?],
        // Lists do not show the policies.
        None => tx.select::<Group>(&[])?.into_iter().filter_map(|of| tx.peek::<Group>(&of.name)).collect(),
    };
    let mut rows = Vec::new();
    for of in groups {
        rows.extend(of.policies.iter().map(|(name, policy)| (format!("{}/{name}", of.name), of, name, policy)));
    }
    rows.retain(|(_, _, name, _)| names.is_empty() || names.contains(&name.as_str()));
    rows.retain(|(.., policy)| types.is_empty() || types.contains(&policy.kind()));
    let (rows, next) = select::page(&PAGING, p, rows, |(key, ..)| key)?;
    let view = |(_, of, name, policy): (String, &Group, &String, &Policy)| {
        if let Some(shown) = &policy.other {
            return shown.clone();
        }
        if let Some(stepped) = &policy.stepped {
            return stepped_view(tx, &of.name, name, policy, stepped);
        }
        let mut configuration = policy.configuration.0.clone();
        if configuration.get("DisableScaleIn").is_none() {
            configuration["DisableScaleIn"] = json!(false);
        }
        json!({
            "AutoScalingGroupName": of.name,
            "PolicyName": name,
            "PolicyARN": policy.arn,
            "PolicyType": TRACKING,
            "EstimatedInstanceWarmup": policy.warmup,
            "Enabled": policy.enabled,
            "Alarms": policy.alarms(tx),
            "StepAdjustments": [],
            "TargetTrackingConfiguration": configuration,
        })
    };
    Ok(json!({ "ScalingPolicies": rows.into_iter().map(view).collect::<Vec<_>>(), "NextToken": next }))
}

fn stepped_view(tx: &Tx, group: &str, name: &str, policy: &Policy, stepped: &Stepped) -> Value {
    let mut view = stepped.view();
    let common = json!({
        "AutoScalingGroupName": group,
        "PolicyName": name,
        "PolicyARN": policy.arn,
        "EstimatedInstanceWarmup": policy.warmup,
        "Enabled": policy.enabled,
        "Alarms": crate::sim::cloudwatch::alarms_telling(tx, &policy.arn),
    });
    if let (Value::Object(view), Value::Object(common)) = (&mut view, common) {
        view.extend(common);
    }
    view
}

fn delete_policy(tx: &mut Tx, p: &Params) -> Reply {
    // By name within the group, or by ARN.
    let wanted = p.str("PolicyName")?.to_owned();
    let missing = || invalid(format!("Policy '{wanted}' not found"));
    let of = match p.opt_str("AutoScalingGroupName") {
        Some(_) => group::to_change(tx, p)?.name.clone(),
        None => {
            let has = |group: &&Group| group.policies.values().any(|policy| policy.arn == wanted);
            tx.all::<Group>().find(has).map(|group| group.name.clone()).ok_or_else(missing)?
        }
    };
    let group = tx.get_mut::<Group>(&of)?;
    let known = group.policies.iter().find(|(name, policy)| **name == wanted || policy.arn == wanted);
    let name = known.map(|(name, _)| name.clone()).ok_or_else(missing)?;
    group.policies.remove(&name);
    done()
}
