//! `ensure_scaling_policy`: what an alarm tells a group to do. Policies that track a target are options of `launch_asg`.

use aws_sdk_autoscaling::types::{self as autoscaling, StepAdjustment};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{AutoScalingGroup, ScalingPolicy, asg, template_options::words};
use crate::{
    event::Change,
    ops::{
        Duration, Error, IdOf, Operation, Together, arguments, outcome,
        ownership::{set, shorten},
    },
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that a group of the stack has a scaling policy of this name that an alarm can tell to scale: by steps, the further
/// the metric is beyond the alarm's threshold, or by one number. The alarm is made with `ensure_alarm`, and has the policy among
/// its `alarm_actions`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureScalingPolicy {
    /// Its name; AWS shows `<group>-<name>`.
    name: String,
    /// The group, which must be the stack's.
    auto_scaling_group: IdOf<AutoScalingGroup>,
    /// What the numbers mean.
    #[serde(default)]
    adjustment_type: AdjustmentType,
    /// By steps: how much for how far. Together they leave no gap.
    #[serde(default)]
    step_adjustments: Vec<Step>,
    /// Instead of steps, a simple policy: by how much. It waits for its cooldown before it scales again.
    scaling_adjustment: Option<i32>,
    /// With `PercentChangeInCapacity`: the least number of instances it changes.
    min_adjustment_magnitude: Option<i32>,
    /// Of steps: what is made of several values of the metric.
    metric_aggregation_type: Option<Aggregation>,
    /// Of steps: how long a new instance does not count; the group's default if not said.
    estimated_instance_warmup: Option<Duration>,
    /// Of a simple policy: the pause after it; the group's default if not said.
    cooldown: Option<Duration>,
}

words!(#[derive(Default)] AdjustmentType {
    #[default] Change = "ChangeInCapacity", Exact = "ExactCapacity", Percent = "PercentChangeInCapacity",
});
words!(Aggregation { Average = "Average", Minimum = "Minimum", Maximum = "Maximum" });

/// How much to scale when the metric is so far beyond the alarm's threshold.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    /// From here on, seen from the threshold; without an end if not said.
    metric_interval_lower_bound: Option<f64>,
    /// Up to there.
    metric_interval_upper_bound: Option<f64>,
    /// By how much.
    scaling_adjustment: i32,
}

/// A policy as it is compared and put back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Policy {
    policy_type: String,
    adjustment_type: String,
    step_adjustments: Vec<Step>,
    scaling_adjustment: Option<i32>,
    min_adjustment_magnitude: Option<i32>,
    metric_aggregation_type: String,
    estimated_instance_warmup: Option<i32>,
    cooldown: Option<i32>,
}

/// What is kept of a policy that was put.
#[derive(Serialize, Deserialize)]
struct Made {
    policy_arn: Option<String>,
}

impl Operation for EnsureScalingPolicy {
    const NAME: &'static str = "ensure_scaling_policy";
    const AREA: &'static str = "Auto Scaling";
    const EXAMPLE: &'static str = r#"ensure_scaling_policy(#{
    name: "grow", auto_scaling_group: find_asg("web-blue"),
    step_adjustments: [
        #{ metric_interval_lower_bound: 0, metric_interval_upper_bound: 20, scaling_adjustment: 1 },
        #{ metric_interval_lower_bound: 20, scaling_adjustment: 3 },
    ],
})"#;

    type Options = Self;
    type Handle = ScalingPolicy;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<ScalingPolicy, Error> {
        options.check()?;
        let group = options.auto_scaling_group.as_str();
        let name = policy_name(group, &options.name);
        let (row, found) = futures::join!(owned(ctx, group), read(ctx, group, &name)).together()?;
        asg::check_owner(ctx, &row)?;
        let wanted = options.policy();
        let before = found.as_ref().and_then(|(_, policy)| policy.clone());
        let arn = match found {
            Some((arn, None)) => {
                let resource = format!("scaling policy {name} ({arn})");
                let (found, wanted) = ("another type".to_owned(), wanted.policy_type);
                return Err(Error::NeedsReplacement { resource, field: "policy_type", found, wanted });
            }
            Some((arn, Some(found))) if found == wanted => {
                ctx.did(Change::Unchanged, []);
                arn
            }
            Some((_, Some(found))) if found.policy_type != wanted.policy_type => {
                let resource = format!("scaling policy {name}");
                let (found, wanted) = (found.policy_type, wanted.policy_type);
                return Err(Error::NeedsReplacement { resource, field: "policy_type", found, wanted });
            }
            found => {
                let change = Restore {
                    auto_scaling_group_name: group.to_owned(),
                    policy_name: name.clone(),
                    before: before.clone(),
                    ours: wanted.clone(),
                };
                let undo = Undo::new(&RESTORE_STEP_POLICY, format!("restore scaling policy {name}"), json!(change));
                let made = put(ctx, group, &name, &wanted, Some(undo.key(format!("scaling policy {name}")))).await?;
                match (&found, &before) {
                    (Some(_), Some(before)) => ctx.did(Change::Updated, differences(before, &wanted)),
                    _ => ctx.did(Change::Created, [set("policy_name", name.clone())]),
                }
                match made.or(found.map(|(arn, _)| arn)) {
                    Some(arn) => arn,
                    // Not every endpoint says it in its reply.
                    None => read(ctx, group, &name).await?.map(|(arn, _)| arn).unwrap_or_default(),
                }
            }
        };
        let auto_scaling_group_name = group.to_owned();
        Ok(ScalingPolicy { policy_arn: arn, policy_name: name, auto_scaling_group_name })
    }
}

/// `<group>-<name>`: AWS keeps policies by group, but not everything that speaks its API does.
pub(super) fn policy_name(group: &str, name: &str) -> String {
    shorten(&format!("{group}-{name}"), 255)
}

/// The group, which is there.
pub(super) async fn owned(ctx: &Ctx, group: &str) -> Result<autoscaling::AutoScalingGroup, Error> {
    match asg::seen(ctx, group).await? {
        Some(found) => Ok(found),
        None => asg::existing(ctx, group).await,
    }
}

impl EnsureScalingPolicy {
    /// What needs no AWS to be wrong. The rules are those of PutScalingPolicy and StepAdjustment.
    fn check(&self) -> Result<(), Error> {
        let is_step = !self.step_adjustments.is_empty();
        if is_step == self.scaling_adjustment.is_some() {
            return Err(Error::option("", "expected `step_adjustments` or `scaling_adjustment`"));
        }
        let only = |path: &str, given: bool, what: &str| match given {
            true => Err(Error::option(path, format!("it is for {what}"))),
            false => Ok(()),
        };
        only("cooldown", self.cooldown.is_some() && is_step, "policies with `scaling_adjustment`")?;
        only("metric_aggregation_type", self.metric_aggregation_type.is_some() && !is_step, "policies with steps")?;
        only("estimated_instance_warmup", self.estimated_instance_warmup.is_some() && !is_step, "policies with steps")?;
        let percent = self.adjustment_type == AdjustmentType::Percent;
        let magnitude = self.min_adjustment_magnitude.is_some() && !percent;
        only("min_adjustment_magnitude", magnitude, "`adjustment_type: \"PercentChangeInCapacity\"`")?;
        self.check_steps()
    }

    fn check_steps(&self) -> Result<(), Error> {
        let wrong = |message: &str| Err(Error::option("step_adjustments", message));
        let low = |step: &Step| step.metric_interval_lower_bound.unwrap_or(f64::NEG_INFINITY);
        let high = |step: &Step| step.metric_interval_upper_bound.unwrap_or(f64::INFINITY);
        let steps = sorted(self.step_adjustments.clone());
        if steps.iter().any(|step| low(step) == f64::NEG_INFINITY && high(step) == f64::INFINITY) {
            return wrong("a step needs a lower or an upper bound");
        }
        if steps.iter().any(|step| low(step) >= high(step)) {
            return wrong("the lower bound of a step must be less than its upper bound");
        }
        if steps.windows(2).any(|pair| high(&pair[0]) != low(&pair[1])) {
            return wrong("steps must not overlap or leave a gap");
        }
        if steps.first().is_some_and(|step| low(step) < 0.0 && low(step).is_finite()) {
            return wrong("below the threshold, the last step must have no lower bound");
        }
        if steps.last().is_some_and(|step| high(step) > 0.0 && high(step).is_finite()) {
            return wrong("above the threshold, the last step must have no upper bound");
        }
        Ok(())
    }

    fn policy(&self) -> Policy {
        let is_step = !self.step_adjustments.is_empty();
        let aggregation = self.metric_aggregation_type.map_or("Average", Aggregation::as_str);
        Policy {
            policy_type: if is_step { "StepScaling" } else { "SimpleScaling" }.to_owned(),
            adjustment_type: self.adjustment_type.as_str().to_owned(),
            step_adjustments: sorted(self.step_adjustments.clone()),
            scaling_adjustment: self.scaling_adjustment,
            min_adjustment_magnitude: self.min_adjustment_magnitude,
            metric_aggregation_type: if is_step { aggregation.to_owned() } else { String::new() },
            estimated_instance_warmup: self.estimated_instance_warmup.map(Duration::as_secs),
            cooldown: self.cooldown.map(Duration::as_secs),
        }
    }
}

/// Steps from below.
fn sorted(mut steps: Vec<Step>) -> Vec<Step> {
    let low = |step: &Step| step.metric_interval_lower_bound.unwrap_or(f64::NEG_INFINITY);
    steps.sort_by(|a, b| low(a).total_cmp(&low(b)));
    steps
}

impl Policy {
    /// `None`: it is of a type that is not told by alarms of one's own.
    fn found(policy: &autoscaling::ScalingPolicy) -> Option<Self> {
        let policy_type = policy.policy_type().unwrap_or("SimpleScaling");
        let is_step = policy_type == "StepScaling";
        if !is_step && policy_type != "SimpleScaling" {
            return None;
        }
        let step = |step: &StepAdjustment| Step {
            metric_interval_lower_bound: step.metric_interval_lower_bound(),
            metric_interval_upper_bound: step.metric_interval_upper_bound(),
            scaling_adjustment: step.scaling_adjustment().unwrap_or_default(),
        };
        // "If the aggregation type is null, the value is treated as Average."
        let aggregation = policy.metric_aggregation_type().filter(|text| !text.is_empty()).unwrap_or("Average");
        Some(Self {
            policy_type: policy_type.to_owned(),
            adjustment_type: policy.adjustment_type().unwrap_or_default().to_owned(),
            step_adjustments: sorted(policy.step_adjustments().iter().map(step).collect()),
            scaling_adjustment: policy.scaling_adjustment().filter(|_| !is_step),
            min_adjustment_magnitude: policy.min_adjustment_magnitude(),
            metric_aggregation_type: if is_step { aggregation.to_owned() } else { String::new() },
            estimated_instance_warmup: policy.estimated_instance_warmup().filter(|_| is_step),
            cooldown: policy.cooldown().filter(|_| !is_step),
        })
    }
}

fn differences(before: &Policy, ours: &Policy) -> Vec<crate::event::Field> {
    let members = |policy: &Policy| json!(policy).as_object().cloned().unwrap_or_default();
    outcome::differences(&members(before), &members(ours))
}

/// The policy of that name with its ARN.
async fn read(ctx: &Ctx, group: &str, name: &str) -> Result<Option<(String, Option<Policy>)>, Error> {
    let reply = ctx
        .read("autoscaling:DescribePolicies", || {
            ctx.aws().autoscaling.describe_policies().auto_scaling_group_name(group).policy_names(name).send()
        })
        .await?;
    let found = reply.scaling_policies().iter().find(|policy| policy.policy_name() == Some(name));
    Ok(found.map(|policy| (policy.policy_arn().unwrap_or_default().to_owned(), Policy::found(policy))))
}

/// Puts the policy. Returns its ARN, if that is said.
async fn put(ctx: &Ctx, group: &str, name: &str, policy: &Policy, undo: Option<Undo>) -> Result<Option<String>, Error> {
    let declared =
        Mutation::new("autoscaling:PutScalingPolicy", Class::Idempotent, format!("scaling policy {name}")).undo(undo);
    let step = |step: &Step| {
        StepAdjustment::builder()
            .set_metric_interval_lower_bound(step.metric_interval_lower_bound)
            .set_metric_interval_upper_bound(step.metric_interval_upper_bound)
            .scaling_adjustment(step.scaling_adjustment)
            .build()
    };
    let steps: Vec<StepAdjustment> = policy.step_adjustments.iter().map(step).collect();
    let aggregation = Some(policy.metric_aggregation_type.clone()).filter(|text| !text.is_empty());
    let made = ctx
        .mutate(
            declared,
            |permit| {
                ctx.aws()
                    .autoscaling
                    .put_scaling_policy()
                    .auto_scaling_group_name(group)
                    .policy_name(name)
                    .policy_type(&policy.policy_type)
                    .adjustment_type(&policy.adjustment_type)
                    .set_step_adjustments(Some(steps.clone()).filter(|steps| !steps.is_empty()))
                    .set_scaling_adjustment(policy.scaling_adjustment)
                    .set_min_adjustment_magnitude(policy.min_adjustment_magnitude)
                    .set_metric_aggregation_type(aggregation.clone())
                    .set_estimated_instance_warmup(policy.estimated_instance_warmup)
                    .set_cooldown(policy.cooldown)
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| Ok(Made { policy_arn: reply.policy_arn().map(str::to_owned) }),
        )
        .await?;
    Ok(made.policy_arn.filter(|arn| !arn.is_empty()))
}

#[derive(Serialize, Deserialize)]
struct Restore {
    auto_scaling_group_name: String,
    policy_name: String,
    before: Option<Policy>,
    ours: Policy,
}

/// Puts a changed policy back, or deletes a new one.
pub const RESTORE_STEP_POLICY: UndoAction =
    UndoAction { name: "restore_step_policy", run: |ctx, arguments| Box::pin(restore(ctx, arguments)) };

async fn restore(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let Restore { auto_scaling_group_name: group, policy_name: name, before, ours } = arguments(change)?;
    // AWS deletes policies with their group; not everything that speaks its API does.
    let is_there = asg::find(ctx, &group).await?.is_some();
    let found = if is_there { read(ctx, &group, &name).await?.map(|(_, policy)| policy) } else { None };
    match (found, before) {
        (None, None) => Ok(Undone::Already),
        (None, Some(_)) if !is_there => Ok(Undone::Already),
        (Some(found), Some(before)) if found.as_ref() == Some(&before) => Ok(Undone::Already),
        (Some(found), before) if found.as_ref() == Some(&ours) => {
            match before {
                Some(before) => drop(put(ctx, &group, &name, &before, None).await?),
                None => delete(ctx, &group, &name).await?,
            }
            Ok(Undone::Done)
        }
        (found, _) => Ok(Undone::Foreign(format!("expected {}, found {}", json!(ours), json!(found.flatten())))),
    }
}

async fn delete(ctx: &Ctx, group: &str, name: &str) -> Result<(), Error> {
    let declared = Mutation::new("autoscaling:DeletePolicy", Class::Idempotent, format!("scaling policy {name}"));
    ctx.change(declared, |permit| {
        let request = ctx.aws().autoscaling.delete_policy().auto_scaling_group_name(group).policy_name(name);
        request.customize().interceptor(permit).send()
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_leave_no_gap() {
        let check = |steps: Value| {
            let options = json!({ "name": "grow", "auto_scaling_group": "web", "step_adjustments": steps });
            serde_json::from_value::<EnsureScalingPolicy>(options).expect("options").check().is_ok()
        };
        let step = |from: Value, to: Value| json!({ "metric_interval_lower_bound": from, "metric_interval_upper_bound": to, "scaling_adjustment": 1 });
        assert!(check(json!([step(json!(10), Value::Null), step(json!(0), json!(10))])));
        assert!(check(json!([step(json!(-10), json!(0)), step(Value::Null, json!(-10))])));
        for wrong in [
            json!([step(json!(0), json!(10))]),
            json!([step(json!(-10), json!(0))]),
            json!([step(json!(0), json!(10)), step(json!(20), Value::Null)]),
            json!([step(Value::Null, Value::Null)]),
            json!([step(json!(10), json!(0))]),
        ] {
            assert!(!check(wrong.clone()), "{wrong}");
        }
    }
}
