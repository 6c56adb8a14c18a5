//! The states of alarms over time. At the end of each period there is a datapoint, or none; the last of them decide, as
//! "Evaluating an alarm" and "Configuring how CloudWatch alarms treat missing data" have it. A scaling policy among the actions is
//! told as long as the alarm lasts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::alarm::State;
use super::metric;
use super::rule::Rule;
use super::*;
use crate::sim::autoscaling;

/// The first period of a new alarm begins.
pub fn begin(tx: &mut Tx, alarm: &Alarm) {
    if !alarm.is_composite() {
        tx.schedule(alarm.every(), Event::Period { alarm: alarm.name.clone(), created: alarm.created });
    }
}

/// The alarms that a composite alarm depends on.
pub fn children(alarm: &Alarm) -> Vec<String> {
    let rule = alarm.definition.opt_str("AlarmRule").and_then(|rule| Rule::read(rule).ok());
    rule.map(|rule| rule.alarms().into_iter().map(str::to_owned).collect()).unwrap_or_default()
}

/// A period is over.
pub fn period(tx: &mut Tx, name: &str, created: Timestamp) {
    let Some(alarm) = tx.peek::<Alarm>(name).filter(|alarm| alarm.created == created).cloned() else { return };
    let periods = usize::try_from(alarm.definition.number("EvaluationPeriods", 1)).unwrap_or(1);
    let mut points = alarm.watch.points.clone();
    points.push(metric::watched(tx, &alarm));
    let old = points.len().saturating_sub(periods);
    points.drain(..old);
    if let Some(alarm) = tx.peek_mut::<Alarm>(name) {
        alarm.watch.points.clone_from(&points);
    }
    let judged = Judge::of(&alarm).state(&points);
    let last = points.iter().flatten().next_back().copied();
    if let Some((state, reason)) = judged {
        match state == alarm.watch.state {
            false => enter(tx, name, state, reason, last),
            // "Auto Scaling actions […] continue to be invoked for every period that the alarm remains in the new state".
            true if state == State::Alarm => scale(tx, &alarm, last),
            true => {}
        }
    }
    tx.schedule(alarm.every(), Event::Period { alarm: name.to_owned(), created });
}

/// How an alarm judges its datapoints.
struct Judge {
    comparison: String,
    threshold: f64,
    periods: usize,
    needed: usize,
    missing: String,
}

impl Judge {
    fn of(alarm: &Alarm) -> Judge {
        let number = |name: &str, default: usize| {
            let number = alarm.definition.opt_int(name).ok().flatten();
            number.and_then(|number| usize::try_from(number).ok()).unwrap_or(default)
        };
        let periods = number("EvaluationPeriods", 1);
        Judge {
            comparison: alarm.definition.text("ComparisonOperator"),
            threshold: alarm.definition.get("Threshold").and_then(Value::as_f64).unwrap_or_default(),
            periods,
            needed: number("DatapointsToAlarm", periods),
            missing: alarm.definition.opt_str("TreatMissingData").unwrap_or("missing").to_owned(),
        }
    }

    fn is_breached_by(&self, value: f64) -> bool {
        match self.comparison.as_str() {
            "GreaterThanOrEqualToThreshold" => value >= self.threshold,
            "GreaterThanThreshold" => value > self.threshold,
            "LessThanThreshold" => value < self.threshold,
            _ => value <= self.threshold,
        }
    }

    /// The state, and why; `None`: it stays.
    fn state(&self, points: &[Option<f64>]) -> Option<(State, String)> {
        let unknown = self.periods.saturating_sub(points.iter().flatten().count());
        let mut breaching = points.iter().flatten().filter(|value| self.is_breached_by(**value)).count();
        let mut known = points.iter().flatten().count();
        match self.missing.as_str() {
            "breaching" => (breaching, known) = (breaching + unknown, known + unknown),
            "notBreaching" => known += unknown,
            "ignore" if known == 0 => return None,
            _ => {}
        }
        let datapoints =
            |count: usize| if count == 1 { "1 datapoint".to_owned() } else { format!("{count} datapoints") };
        if known == 0 {
            let verb = if unknown == 1 { "was" } else { "were" };
            return Some((
                State::InsufficientData,
                format!("Insufficient Data: {} {verb} unknown.", datapoints(unknown)),
            ));
        }
        let shown: Vec<String> = points.iter().rev().flatten().map(|value| format!("{value:?}")).collect();
        let shown = format!("[{}]", shown.join(", "));
        let words = match self.comparison.as_str() {
            "GreaterThanOrEqualToThreshold" => "greater than or equal to",
            "GreaterThanThreshold" => "greater than",
            "LessThanThreshold" => "less than",
            _ => "less than or equal to",
        };
        let threshold = self.threshold;
        Some(match breaching >= self.needed {
            true => {
                let reason = format!(
                    "Threshold Crossed: {breaching} out of the last {} {shown} was {words} the threshold ({threshold:?}) (minimum \
                     {} for OK -> ALARM transition).",
                    datapoints(self.periods),
                    datapoints(self.needed)
                );
                (State::Alarm, reason)
            }
            false => {
                let count = datapoints(known - breaching.min(known));
                (
                    State::Ok,
                    format!("Threshold Crossed: {count} {shown} was not {words} the threshold ({threshold:?})."),
                )
            }
        })
    }
}

/// An alarm enters a state: what follows from it happens.
pub fn enter(tx: &mut Tx, name: &str, state: State, reason: String, value: Option<f64>) {
    let now = tx.now;
    let Some(alarm) = tx.peek_mut::<Alarm>(name) else { return };
    let is_new = alarm.watch.state != state;
    (alarm.watch.state, alarm.watch.reason, alarm.watch.since) = (state, reason, now);
    let alarm = alarm.clone();
    if !is_new {
        return;
    }
    if state == State::Alarm {
        scale(tx, &alarm, value);
    }
    let depends = |other: &&Alarm| children(other).iter().any(|child| child == name);
    let parents: Vec<String> = tx.all::<Alarm>().filter(depends).map(|other| other.name.clone()).collect();
    for alarm in parents {
        tx.schedule(Duration::from_secs(1), Event::Rule { alarm });
    }
}

/// Tells the scaling policies among the actions by how much the threshold is crossed.
fn scale(tx: &mut Tx, alarm: &Alarm, value: Option<f64>) {
    if !alarm.definition.flag("ActionsEnabled") {
        return;
    }
    let judge = Judge::of(alarm);
    let beyond = value.map(|value| value - judge.threshold);
    for action in alarm.definition.strings("AlarmActions") {
        // Those of Application Auto Scaling scale by a load that is not measured.
        if action.contains(":autoScalingGroupName/") {
            autoscaling::execute(tx, action, &alarm.name, beyond);
        }
    }
}

/// Whether alarms below this one depend on each other in a circle.
fn has_circle_below(tx: &Tx, name: &str) -> bool {
    let mut below: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        let needed = tx.peek::<Alarm>(&name).map(children).unwrap_or_default();
        open.extend(needed.iter().filter(|name| !below.contains_key(*name)).cloned());
        below.insert(name, needed);
    }
    // Those that depend on nothing that is left go, again and again: a circle stays.
    loop {
        let (left, many) = (below.clone(), below.len());
        below.retain(|_, needed| needed.iter().any(|name| left.contains_key(name)));
        if below.len() == many {
            return many > 0;
        }
    }
}

/// A composite alarm is in the state its rule says. "The evaluation of composite alarms stops if CloudWatch detects a cycle in
/// the evaluation path" (PutCompositeAlarm).
pub fn composite(tx: &mut Tx, name: &str) {
    if has_circle_below(tx, name) {
        return;
    }
    let Some(alarm) = tx.peek::<Alarm>(name) else { return };
    let text = alarm.definition.text("AlarmRule");
    let Ok(rule) = Rule::read(&text) else { return };
    let state = |name: &str| tx.peek::<Alarm>(name).map(|alarm| alarm.watch.state);
    let (now, verb) = if rule.holds(&state) { (State::Alarm, "ALARM") } else { (State::Ok, "OK") };
    if alarm.watch.state != now {
        let arn = alarm.arn(tx);
        enter(tx, name, now, format!("{arn} transitioned to {verb} as its rule evaluates so"), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(missing: &str, periods: usize, needed: usize) -> Judge {
        let comparison = "GreaterThanThreshold".to_owned();
        Judge { comparison, threshold: 80.0, periods, needed, missing: missing.to_owned() }
    }

    #[test]
    fn the_last_datapoints_decide() {
        let state = |judge: &Judge, points: &[Option<f64>]| judge.state(points).map(|(state, _)| state);
        let (high, low) = (Some(90.0), Some(10.0));
        let two_of_three = judge("missing", 3, 2);
        assert_eq!(state(&two_of_three, &[high, low, high]), Some(State::Alarm));
        assert_eq!(state(&two_of_three, &[high, low, low]), Some(State::Ok));
        assert_eq!(state(&two_of_three, &[None, None, high]), Some(State::Ok));
        assert_eq!(state(&two_of_three, &[None, None, None]), Some(State::InsufficientData));
        assert_eq!(state(&judge("breaching", 2, 2), &[None, high]), Some(State::Alarm));
        assert_eq!(state(&judge("notBreaching", 1, 1), &[None]), Some(State::Ok));
        assert_eq!(state(&judge("ignore", 1, 1), &[None]), None);
        assert_eq!(state(&judge("ignore", 1, 1), &[high]), Some(State::Alarm));
    }
}
