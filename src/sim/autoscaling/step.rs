//! Policies that add or remove instances when an alarm says so: by steps, or by one number.

use super::group::Group;
use super::*;
use super::{activity, fleet};

/// What requests say of such a policy.
pub const PARAMS: &str = "
    AdjustmentType MinAdjustmentMagnitude ScalingAdjustment Cooldown MetricAggregationType
    StepAdjustments[].MetricIntervalLowerBound StepAdjustments[].MetricIntervalUpperBound
    StepAdjustments[].ScalingAdjustment
";

pub const STEP: &str = "StepScaling";
pub const SIMPLE: &str = "SimpleScaling";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stepped {
    /// `StepScaling` or `SimpleScaling`.
    pub kind: String,
    pub adjustment: String,
    pub min_magnitude: Option<i64>,
    /// Of a simple one.
    pub change: Option<i64>,
    pub cooldown: Option<i64>,
    pub aggregation: Option<String>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Beyond the alarm's threshold.
    pub from: Option<f64>,
    pub to: Option<f64>,
    pub change: i64,
}

impl Stepped {
    /// Reads a request, or what a describe shows.
    pub fn read(kind: &str, p: &Params) -> Result<Stepped, AwsError> {
        let optional = |name: &str| p.opt_str(name).map(str::to_owned);
        let step = |step: &Params| {
            let bound = |name: &str| {
                let Some(value) = step.get(name) else { return Ok(None) };
                let read = value.as_f64().or_else(|| value.as_str()?.parse().ok());
                read.map(Some).ok_or_else(|| invalid(format!("{name} is no number")))
            };
            Ok(Step {
                from: bound("MetricIntervalLowerBound")?,
                to: bound("MetricIntervalUpperBound")?,
                change: step.int("ScalingAdjustment")?,
            })
        };
        Ok(Stepped {
            kind: kind.to_owned(),
            adjustment: p.text("AdjustmentType"),
            min_magnitude: p.opt_int("MinAdjustmentMagnitude")?,
            change: p.opt_int("ScalingAdjustment")?,
            cooldown: p.opt_int("Cooldown")?,
            aggregation: optional("MetricAggregationType"),
            steps: p.list("StepAdjustments").iter().map(step).collect::<Result<_, AwsError>>()?,
        })
    }

    /// Refuses what Auto Scaling does. Source: PutScalingPolicy and StepAdjustment.
    pub fn check(&self) -> Result<(), AwsError> {
        const ADJUSTMENTS: [&str; 3] = ["ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"];
        if !ADJUSTMENTS.contains(&self.adjustment.as_str()) {
            return Err(invalid(format!("AdjustmentType must be one of {}", ADJUSTMENTS.join(", "))));
        }
        if self.min_magnitude.is_some() && self.adjustment != "PercentChangeInCapacity" {
            return Err(invalid(
                "MinAdjustmentMagnitude is only supported for the adjustment type PercentChangeInCapacity",
            ));
        }
        let is_step = self.kind == STEP;
        if is_step == self.steps.is_empty() {
            return Err(invalid(
                "StepAdjustments are required for policies of the type StepScaling, and for those only",
            ));
        }
        if is_step == self.change.is_some() {
            return Err(invalid(
                "ScalingAdjustment is required for policies of the type SimpleScaling, and for those only",
            ));
        }
        if is_step && self.cooldown.is_some() {
            return Err(invalid("Cooldown is only supported for policies of the type SimpleScaling"));
        }
        if !is_step && self.aggregation.is_some() {
            return Err(invalid("MetricAggregationType is only supported for policies of the type StepScaling"));
        }
        let known = |name: &String| ["Minimum", "Maximum", "Average"].contains(&name.as_str());
        if !self.aggregation.as_ref().is_none_or(known) {
            return Err(invalid("MetricAggregationType must be one of Minimum, Maximum, Average"));
        }
        self.check_steps()
    }

    fn check_steps(&self) -> Result<(), AwsError> {
        let mut steps: Vec<&Step> = self.steps.iter().collect();
        let low = |step: &Step| step.from.unwrap_or(f64::NEG_INFINITY);
        let high = |step: &Step| step.to.unwrap_or(f64::INFINITY);
        if steps.iter().any(|step| step.from.is_none() && step.to.is_none()) {
            return Err(invalid("At least one of the bounds of a step adjustment must be specified"));
        }
        if steps.iter().any(|step| low(step) >= high(step)) {
            return Err(invalid("The lower bound of a step adjustment must be less than its upper bound"));
        }
        steps.sort_by(|a, b| low(a).total_cmp(&low(b)));
        if steps.windows(2).any(|pair| high(pair[0]) != low(pair[1])) {
            return Err(invalid("Step adjustment intervals can't overlap or have a gap between them"));
        }
        let (first, last) = (steps.first(), steps.last());
        if first.is_some_and(|step| step.from.is_some_and(|from| from < 0.0)) {
            return Err(invalid(
                "There must be a step adjustment with an unspecified lower bound if there is a negative one",
            ));
        }
        if last.is_some_and(|step| step.to.is_some_and(|to| to > 0.0)) {
            return Err(invalid(
                "There must be a step adjustment with an unspecified upper bound if there is a positive one",
            ));
        }
        Ok(())
    }

    pub fn view(&self) -> Value {
        let step = |step: &Step| {
            json!({
                "MetricIntervalLowerBound": step.from,
                "MetricIntervalUpperBound": step.to,
                "ScalingAdjustment": step.change,
            })
        };
        let aggregation = self.aggregation.as_deref().or((self.kind == STEP).then_some("Average"));
        json!({
            "PolicyType": self.kind,
            "AdjustmentType": self.adjustment,
            "MinAdjustmentMagnitude": self.min_magnitude,
            "ScalingAdjustment": self.change,
            "Cooldown": self.cooldown,
            "MetricAggregationType": aggregation,
            "StepAdjustments": self.steps.iter().map(step).collect::<Vec<_>>(),
        })
    }

    /// By how much the group changes when the metric is so far beyond the threshold.
    fn change(&self, beyond: f64) -> Option<i64> {
        if let Some(change) = self.change {
            return Some(change);
        }
        // "Greater than or equal to 50 and less than 60" above the threshold, "greater than 40 and less than or equal to 50" below.
        let holds = |step: &&Step| {
            let (from, to) = (step.from.unwrap_or(f64::NEG_INFINITY), step.to.unwrap_or(f64::INFINITY));
            if beyond >= 0.0 && to > 0.0 { (from..to).contains(&beyond) } else { from < beyond && beyond <= to }
        };
        self.steps.iter().find(holds).map(|step| step.change)
    }

    /// What the group is to have then.
    fn desired(&self, now: i64, change: i64) -> i64 {
        match self.adjustment.as_str() {
            "ExactCapacity" => change,
            "PercentChangeInCapacity" => {
                // "Values greater than 1 are rounded down […]. Values between 0 and 1 are rounded to 1", likewise below
                // zero ("Scaling adjustment types").
                let part = now as f64 * change as f64 / 100.0;
                let whole = if part.abs() < 1.0 { part.signum() } else { part.trunc() } as i64;
                let least = self.min_magnitude.unwrap_or(0);
                now + if whole.abs() < least { least * whole.signum() } else { whole }
            }
            _ => now + change,
        }
    }
}

/// An alarm tells a policy, which it knows by its ARN, how far the metric is beyond the threshold.
pub fn execute(tx: &mut Tx, arn: &str, alarm: &str, beyond: Option<f64>) {
    let has = |group: &&Group| group.policies.values().any(|policy| policy.arn == arn);
    let Some(group) = tx.all::<Group>().find(has).cloned() else { return };
    let Some((name, policy)) = group.policies.iter().find(|(_, policy)| policy.arn == arn) else { return };
    let Some(stepped) = policy.stepped.as_ref().filter(|_| policy.enabled) else { return };
    if group.deleting || !group.runs("AlarmNotification") {
        return;
    }
    // What the policy has done is waited for: its cooldown, or the warm-up of what it launched.
    let default = group.settings.default_cooldown;
    let pause = if stepped.kind == SIMPLE { stepped.cooldown } else { policy.warmup }.unwrap_or(default);
    if activity::blocking(tx, &group.name, pause).is_some() {
        return;
    }
    let Some(change) = stepped.change(beyond.unwrap_or_default()) else { return };
    let (was, now) = (group.desired, stepped.desired(group.desired, change).clamp(group.min, group.max));
    if now == was {
        return;
    }
    if let Some(group) = tx.peek_mut::<Group>(&group.name) {
        group.desired = now;
    }
    let cause = format!(
        "a monitor alarm {alarm} in state ALARM triggered policy {name} changing the desired capacity from {was} to {now}."
    );
    fleet::because(tx, &group.name, &cause);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stepped(adjustment: &str, steps: &[(Option<f64>, Option<f64>, i64)]) -> Stepped {
        let step =
            |(from, to, change): &(Option<f64>, Option<f64>, i64)| Step { from: *from, to: *to, change: *change };
        Stepped {
            kind: STEP.to_owned(),
            adjustment: adjustment.to_owned(),
            min_magnitude: None,
            change: None,
            cooldown: None,
            aggregation: None,
            steps: steps.iter().map(step).collect(),
        }
    }

    #[test]
    fn steps_are_chosen_by_how_far_the_metric_is() {
        let grow = stepped("ChangeInCapacity", &[(Some(0.0), Some(10.0), 1), (Some(10.0), None, 3)]);
        assert_eq!(grow.check(), Ok(()));
        assert_eq!([0.0, 9.9, 10.0, 50.0].map(|beyond| grow.change(beyond)), [Some(1), Some(1), Some(3), Some(3)]);
        assert_eq!(grow.change(-1.0), None);
        let shrink = stepped("ChangeInCapacity", &[(Some(-10.0), Some(0.0), -1), (None, Some(-10.0), -2)]);
        assert_eq!(shrink.check(), Ok(()));
        assert_eq!([0.0, -9.0, -10.0].map(|beyond| shrink.change(beyond)), [Some(-1), Some(-1), Some(-2)]);
        for wrong in [
            &[(None, None, 1)][..],
            &[(Some(0.0), Some(10.0), 1)],
            &[(Some(0.0), Some(10.0), 1), (Some(20.0), None, 2)],
            &[(Some(-5.0), Some(0.0), -1)],
        ] {
            assert!(stepped("ChangeInCapacity", wrong).check().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn percents_are_rounded_as_the_guide_says() {
        let percent =
            Stepped { min_magnitude: Some(2), ..stepped("PercentChangeInCapacity", &[(Some(0.0), None, 25)]) };
        assert_eq!(percent.desired(4, 25), 6);
        let plain = Stepped { min_magnitude: None, ..percent };
        assert_eq!([plain.desired(10, 25), plain.desired(3, 10), plain.desired(10, -25)], [12, 4, 8]);
        assert_eq!(stepped("ExactCapacity", &[(Some(0.0), None, 7)]).desired(2, 7), 7);
    }
}
