//! The options of `ensure_alarm`.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Value, json};

use super::Topic;
use crate::ops::{
    Duration, Error, HANDLE, Kind, Tags,
    compute::{AutoScalingGroup, ScalingPolicy, template_options::words},
    describe,
    load_balancing::{LoadBalancer, TargetGroup},
};

/// Makes sure that the stack has an alarm of this name: of a metric, of metrics that are computed with, or of other alarms.
///
/// What is not said is as CloudWatch has it: an alarm is put as a whole, and nothing of an earlier definition stays. A new alarm
/// is in the state `INSUFFICIENT_DATA` until CloudWatch has evaluated it, after a minute or a period.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureAlarm {
    /// What the stack calls it; CloudWatch shows `<stack>-<name>`.
    pub(super) name: String,
    /// Up to 1024 characters.
    pub(super) description: Option<String>,
    /// Of a metric: its namespace, `"AWS/ApplicationELB"`.
    pub(super) namespace: Option<String>,
    /// Of a metric: its name, `"HTTPCode_Target_5XX_Count"`.
    pub(super) metric_name: Option<String>,
    /// Of a metric: which one of that name, by dimension: a text, or a handle. CloudWatch knows load balancers and target groups
    /// by a part of their ARN: an ARN or a handle is cut to it.
    #[serde(default)]
    pub(super) dimensions: BTreeMap<String, Dimension>,
    /// Of a metric: what is made of its values in a period.
    pub(super) statistic: Option<Statistic>,
    /// Instead of `statistic`: `"p99"`, `"tm95"`.
    pub(super) extended_statistic: Option<String>,
    /// Of a metric: `"10s"`, `"20s"`, `"30s"` or whole minutes.
    #[serde(default = "a_minute")]
    pub(super) period: Duration,
    /// Of a metric: only values of this unit, `"Percent"`.
    pub(super) unit: Option<String>,
    /// Instead of one metric: several, and what is computed of them. Exactly one is watched.
    #[serde(default)]
    pub(super) metrics: Vec<MetricQuery>,
    /// How many of the last periods are looked at.
    #[serde(default = "one")]
    pub(super) evaluation_periods: i32,
    /// In how many of them the threshold has to be crossed; in all if not said.
    pub(super) datapoints_to_alarm: Option<i32>,
    /// What is compared with.
    pub(super) threshold: Option<f64>,
    /// How: the alarm goes off where it holds.
    pub(super) comparison_operator: Option<Comparison>,
    /// What periods without values count as; `ignore` leaves the state as it is.
    #[serde(default)]
    pub(super) treat_missing_data: MissingData,
    /// Instead of metrics: a rule over other alarms, by the names CloudWatch shows:
    /// `"ALARM(\"shop-prod-5xx\") OR ALARM(\"shop-prod-hosts\")"`.
    pub(super) alarm_rule: Option<String>,
    /// Whether actions are taken.
    #[serde(default = "yes")]
    pub(super) actions_enabled: bool,
    /// What happens when it goes off: topics, scaling policies, or ARNs; up to five.
    #[serde(default)]
    pub(super) alarm_actions: Vec<Action>,
    /// What happens when all is well again.
    #[serde(default)]
    pub(super) ok_actions: Vec<Action>,
    /// What happens when it is not known.
    #[serde(default)]
    pub(super) insufficient_data_actions: Vec<Action>,
    /// More tags.
    #[serde(default)]
    pub(super) tags: Tags,
    /// Takes over an alarm of this name that the stack does not own.
    #[serde(default)]
    pub(super) adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    pub(super) keep_on_rollback: bool,
}

fn a_minute() -> Duration {
    Duration::from_secs(60)
}

fn one() -> i32 {
    1
}

fn yes() -> bool {
    true
}

words!(Statistic {
    Average = "Average", Sum = "Sum", Minimum = "Minimum", Maximum = "Maximum", SampleCount = "SampleCount",
});
words!(Comparison {
    GreaterThan = "GreaterThanThreshold", GreaterThanOrEqualTo = "GreaterThanOrEqualToThreshold",
    LessThan = "LessThanThreshold", LessThanOrEqualTo = "LessThanOrEqualToThreshold",
});
words!(#[derive(Default)] MissingData {
    #[default] Missing = "missing", Breaching = "breaching", NotBreaching = "notBreaching", Ignore = "ignore",
});

/// A metric, or what is computed of others.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricQuery {
    /// What expressions call it: letters, digits and `_`, a small letter first.
    pub(super) id: String,
    /// `"errors / requests * 100"`, or `metric_stat`.
    pub(super) expression: Option<String>,
    /// A metric.
    pub(super) metric_stat: Option<MetricStat>,
    /// For people.
    pub(super) label: Option<String>,
    /// Of an expression that is a query: how long a period is.
    pub(super) period: Option<Duration>,
    /// Whether it is the one that is watched. If there is only one expression, it is.
    pub(super) return_data: Option<bool>,
}

/// A metric, and what is made of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricStat {
    pub(super) namespace: String,
    pub(super) metric_name: String,
    #[serde(default)]
    pub(super) dimensions: BTreeMap<String, Dimension>,
    /// `"10s"`, `"20s"`, `"30s"` or whole minutes.
    #[serde(default = "a_minute")]
    pub(super) period: Duration,
    /// `"Sum"`, `"Average"`, `"p99"`.
    pub(super) stat: String,
    pub(super) unit: Option<String>,
}

/// What identifies a resource of kind `K`, if that is what the value is.
fn named<K: Kind>(value: &Value) -> Option<&str> {
    let kind = value.get(HANDLE).and_then(Value::as_str);
    value.get(K::ID).and_then(Value::as_str).filter(|_| kind.is_none_or(|kind| kind == K::KIND))
}

/// The value of a dimension, as CloudWatch knows it.
#[derive(Clone, Debug)]
pub struct Dimension(pub(super) String);

impl<'de> Deserialize<'de> for Dimension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let found = named::<LoadBalancer>(&value).or_else(|| named::<TargetGroup>(&value));
        let found = found.or_else(|| named::<AutoScalingGroup>(&value)).or_else(|| value.as_str());
        let found = found.ok_or_else(|| {
            let expected = "a text, or a load balancer, target group or Auto Scaling group";
            D::Error::custom(format!("expected {expected}, found {}", describe(&value)))
        })?;
        Ok(Self(shortened(found).to_owned()))
    }
}

/// `app/NAME/ID` and `targetgroup/NAME/ID`: what metrics of load balancers are told apart by.
fn shortened(value: &str) -> &str {
    let resource = value.starts_with("arn:").then(|| value.splitn(6, ':').nth(5)).flatten().unwrap_or_default();
    match resource.strip_prefix("loadbalancer/") {
        Some(name) => name,
        None if resource.starts_with("targetgroup/") => resource,
        None => value,
    }
}

impl JsonSchema for Dimension {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "dimension".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "object"], "x-type": "string, load balancer, target group or Auto Scaling group" })
    }
}

/// What an alarm does: the ARN of a topic, a scaling policy or anything else that CloudWatch knows.
#[derive(Clone, Debug)]
pub struct Action(pub(super) String);

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let arn = named::<Topic>(&value).or_else(|| named::<ScalingPolicy>(&value)).or_else(|| value.as_str());
        match arn.filter(|text| text.starts_with("arn:")) {
            Some(arn) => Ok(Self(arn.to_owned())),
            None => {
                let found = describe(&value);
                Err(D::Error::custom(format!("expected a topic, a scaling policy or an ARN, found {found}")))
            }
        }
    }
}

impl JsonSchema for Action {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "alarm action".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "object"], "x-type": "topic, scaling policy or ARN" })
    }
}

fn dimensions(of: &BTreeMap<String, Dimension>) -> Value {
    of.iter().map(|(name, value)| json!({ "Name": name, "Value": value.0 })).collect()
}

impl EnsureAlarm {
    /// What needs no AWS to be wrong. The limits are those of PutMetricAlarm and PutCompositeAlarm.
    pub(super) fn check(&self) -> Result<(), Error> {
        let lists = [
            ("alarm_actions", &self.alarm_actions),
            ("ok_actions", &self.ok_actions),
            ("insufficient_data_actions", &self.insufficient_data_actions),
        ];
        if let Some((path, list)) = lists.into_iter().find(|(_, list)| list.len() > 5) {
            return Err(Error::option(path, format!("expected up to 5, found {}", list.len())));
        }
        let length = self.description.as_ref().map_or(0, |text| text.chars().count());
        if length > 1024 {
            return Err(Error::option("description", format!("expected up to 1024 characters, found {length}")));
        }
        let kinds = [self.metric_name.is_some(), !self.metrics.is_empty(), self.alarm_rule.is_some()];
        if kinds.into_iter().filter(|is_it| *is_it).count() != 1 {
            return Err(Error::option("", "expected exactly one of `metric_name`, `metrics` and `alarm_rule`"));
        }
        let of_metric = [
            ("namespace", self.namespace.is_some()),
            ("dimensions", !self.dimensions.is_empty()),
            ("statistic", self.statistic.is_some()),
            ("extended_statistic", self.extended_statistic.is_some()),
            ("unit", self.unit.is_some()),
        ];
        if let Some((path, _)) = of_metric.into_iter().find(|(_, given)| *given && self.metric_name.is_none()) {
            return Err(Error::option(path, "it is for alarms with `metric_name`"));
        }
        if let Some(rule) = &self.alarm_rule {
            let wrong =
                [("threshold", self.threshold.is_some()), ("comparison_operator", self.comparison_operator.is_some())];
            if let Some((path, _)) = wrong.into_iter().find(|(_, given)| *given) {
                return Err(Error::option(path, "an alarm with `alarm_rule` has none"));
            }
            return match rule.chars().count() {
                1..=10_240 => Ok(()),
                length => Err(Error::option("alarm_rule", format!("expected 1 to 10240 characters, found {length}"))),
            };
        }
        for (path, given) in
            [("threshold", self.threshold.is_some()), ("comparison_operator", self.comparison_operator.is_some())]
        {
            if !given {
                return Err(Error::option(path, "missing: an alarm of metrics needs it"));
            }
        }
        if self.metric_name.is_some() {
            if self.namespace.is_none() {
                return Err(Error::option("namespace", "missing: a metric needs it"));
            }
            if self.statistic.is_some() == self.extended_statistic.is_some() {
                return Err(Error::option("statistic", "expected `statistic` or `extended_statistic`"));
            }
        }
        self.check_queries()?;
        self.check_periods()
    }

    fn check_queries(&self) -> Result<(), Error> {
        for (at, query) in self.metrics.iter().enumerate() {
            let path = format!("metrics[{at}]");
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if !query.id.starts_with(|c: char| c.is_ascii_lowercase()) || !query.id.chars().all(is_word) {
                let message = format!("expected letters, digits and `_`, a small letter first, found {:?}", query.id);
                return Err(Error::option(format!("{path}.id"), message));
            }
            if query.expression.is_some() == query.metric_stat.is_some() {
                return Err(Error::option(path, "expected `expression` or `metric_stat`"));
            }
        }
        let watched = (0..self.metrics.len()).filter(|at| self.is_watched(*at)).count();
        match self.metrics.is_empty() || watched == 1 {
            true => Ok(()),
            false => Err(Error::option("metrics", format!("expected one with `return_data: true`, found {watched}"))),
        }
    }

    /// Whether it is the one of `metrics` that the alarm watches.
    fn is_watched(&self, at: usize) -> bool {
        let query = &self.metrics[at];
        let expressions = self.metrics.iter().filter(|query| query.expression.is_some()).count();
        let said = self.metrics.iter().any(|query| query.return_data == Some(true));
        let only = self.metrics.len() == 1 || (expressions == 1 && query.expression.is_some());
        query.return_data.unwrap_or(only && !said)
    }

    fn check_periods(&self) -> Result<(), Error> {
        let of_queries = self.metrics.iter().enumerate().filter_map(|(at, query)| {
            Some((format!("metrics[{at}].metric_stat.period"), query.metric_stat.as_ref()?.period))
        });
        let own = self.metric_name.iter().map(|_| ("period".to_owned(), self.period));
        for (path, period) in own.chain(of_queries) {
            let seconds = period.as_secs();
            if ![10, 20, 30].contains(&seconds) && (seconds < 60 || seconds % 60 != 0) {
                return Err(Error::option(path, format!("expected 10s, 20s, 30s or whole minutes, found {period}")));
            }
            // "Period multiplied by EvaluationPeriods can't be more than 604,800 seconds. For alarms with a period of less
            // than one hour […] the total evaluation period can't be longer than one day".
            let (most, words) = if seconds < 3600 { (86_400, "a day") } else { (604_800, "seven days") };
            let whole = i64::from(seconds) * i64::from(self.evaluation_periods);
            if !(1..=most).contains(&whole) {
                let message =
                    format!("expected 1 or more, and {words} at most together, found {}", self.evaluation_periods);
                return Err(Error::option("evaluation_periods", message));
            }
        }
        match self.datapoints_to_alarm {
            Some(points) if !(1..=self.evaluation_periods).contains(&points) => {
                let message = format!("expected 1 to {}, found {points}", self.evaluation_periods);
                Err(Error::option("datapoints_to_alarm", message))
            }
            _ => Ok(()),
        }
    }

    /// The alarm under AWS's names.
    pub(super) fn definition(&self) -> Value {
        let arns = |actions: &[Action]| actions.iter().map(|action| json!(action.0)).collect::<Value>();
        let common = json!({
            "AlarmDescription": self.description,
            "ActionsEnabled": self.actions_enabled,
            "AlarmActions": arns(&self.alarm_actions),
            "OKActions": arns(&self.ok_actions),
            "InsufficientDataActions": arns(&self.insufficient_data_actions),
        });
        let own = match &self.alarm_rule {
            Some(rule) => json!({ "AlarmRule": rule }),
            None => json!({
                "Namespace": self.namespace,
                "MetricName": self.metric_name,
                "Dimensions": dimensions(&self.dimensions),
                "Statistic": self.statistic.map(Statistic::as_str),
                "ExtendedStatistic": self.extended_statistic,
                "Period": self.metric_name.as_ref().map(|_| self.period.as_secs()),
                "Unit": self.unit,
                "Metrics": (0..self.metrics.len()).map(|at| self.query(at)).collect::<Value>(),
                "EvaluationPeriods": self.evaluation_periods,
                "DatapointsToAlarm": self.datapoints_to_alarm,
                "Threshold": self.threshold,
                "ComparisonOperator": self.comparison_operator.map(Comparison::as_str),
                "TreatMissingData": self.treat_missing_data.as_str(),
            }),
        };
        let members = [common, own].into_iter().filter_map(|part| part.as_object().cloned()).flatten();
        Value::Object(members.collect())
    }

    fn query(&self, at: usize) -> Value {
        let query = &self.metrics[at];
        let stat = query.metric_stat.as_ref().map(|stat| {
            json!({
                "Metric": {
                    "Namespace": stat.namespace,
                    "MetricName": stat.metric_name,
                    "Dimensions": dimensions(&stat.dimensions),
                },
                "Period": stat.period.as_secs(),
                "Stat": stat.stat,
                "Unit": stat.unit,
            })
        });
        json!({
            "Id": query.id,
            "Expression": query.expression,
            "MetricStat": stat,
            "Label": query.label,
            "Period": query.period.map(Duration::as_secs),
            "ReturnData": self.is_watched(at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_balancers_are_known_by_a_part_of_their_arn() {
        let arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:";
        assert_eq!(shortened(&format!("{arn}loadbalancer/app/web/0123")), "app/web/0123");
        assert_eq!(shortened(&format!("{arn}targetgroup/blue/4567")), "targetgroup/blue/4567");
        assert_eq!(shortened("app/web/0123"), "app/web/0123");
        assert_eq!(shortened("arn:aws:sns:eu-west-1:123456789012:topic"), "arn:aws:sns:eu-west-1:123456789012:topic");
    }
}
