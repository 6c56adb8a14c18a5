//! What an alarm is: everything that was put, in a form in which what was asked for and what CloudWatch shows can be compared.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::set;
use crate::{
    event::Field,
    ops::{Error, arguments, ownership::changed},
    run::{Ctx, Undo, UndoAction, Undone},
};

/// An alarm under AWS's names, without its own name and without what is as CloudWatch has it anyway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Definition(Map<String, Value>);

/// What a member is: the query protocol writes everything as text.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Number,
    Flag,
    /// A list whose order means nothing.
    Set,
    Structure,
}

/// All that PutMetricAlarm and PutCompositeAlarm take, and what options call it. What cannot be asked for here is read all the
/// same: it is put back if an alarm that had it was changed.
const MEMBERS: &[(&str, &str, Form)] = &[
    ("AlarmDescription", "description", Form::Text),
    ("ActionsEnabled", "actions_enabled", Form::Flag),
    ("AlarmActions", "alarm_actions", Form::Set),
    ("OKActions", "ok_actions", Form::Set),
    ("InsufficientDataActions", "insufficient_data_actions", Form::Set),
    ("Namespace", "namespace", Form::Text),
    ("MetricName", "metric_name", Form::Text),
    ("Dimensions", "dimensions", Form::Set),
    ("Statistic", "statistic", Form::Text),
    ("ExtendedStatistic", "extended_statistic", Form::Text),
    ("Period", "period", Form::Number),
    ("Unit", "unit", Form::Text),
    ("Metrics", "metrics", Form::Set),
    ("EvaluationPeriods", "evaluation_periods", Form::Number),
    ("DatapointsToAlarm", "datapoints_to_alarm", Form::Number),
    ("Threshold", "threshold", Form::Number),
    ("ComparisonOperator", "comparison_operator", Form::Text),
    ("TreatMissingData", "treat_missing_data", Form::Text),
    ("AlarmRule", "alarm_rule", Form::Text),
    ("EvaluateLowSampleCountPercentile", "evaluate_low_sample_count_percentile", Form::Text),
    ("ThresholdMetricId", "threshold_metric_id", Form::Text),
    ("EvaluationCriteria", "evaluation_criteria", Form::Structure),
    ("EvaluationInterval", "evaluation_interval", Form::Number),
    ("ActionsSuppressor", "actions_suppressor", Form::Text),
    ("ActionsSuppressorWaitPeriod", "actions_suppressor_wait_period", Form::Number),
    ("ActionsSuppressorExtensionPeriod", "actions_suppressor_extension_period", Form::Number),
];

/// Values that say no more than nothing. Source: PutMetricAlarm.
const DEFAULTS: &[(&str, &str)] = &[("TreatMissingData", "missing"), ("EvaluateLowSampleCountPercentile", "evaluate")];

impl Definition {
    /// Of an alarm, as it is shown or asked for.
    pub fn of(shown: &Value) -> Self {
        let mut members = Map::new();
        for (name, _, form) in MEMBERS {
            let value = shown.get(*name).map(|value| plain(value, *form)).unwrap_or_default();
            let is_default = DEFAULTS.iter().any(|(of, default)| of == name && value == *default);
            if !is_empty(&value) && !is_default {
                members.insert((*name).to_owned(), value);
            }
        }
        members.entry("ActionsEnabled").or_insert(Value::Bool(true));
        // "M out of N", where M is N.
        if members.get("DatapointsToAlarm") == members.get("EvaluationPeriods") {
            members.remove("DatapointsToAlarm");
        }
        Self(members)
    }

    pub fn is_composite(&self) -> bool {
        self.0.contains_key("AlarmRule")
    }

    /// What differs between the two, for the progress line.
    pub fn differences(&self, wanted: &Self) -> Vec<Field> {
        let value = |of: &Self, name: &str| of.0.get(name).cloned().unwrap_or_default();
        let differs = MEMBERS.iter().filter(|(name, ..)| value(self, name) != value(wanted, name));
        differs.map(|(name, option, _)| changed(option, value(self, name), value(wanted, name))).collect()
    }

    /// Puts the alarm as a whole.
    pub async fn put(&self, ctx: &Ctx, name: &str, undo: Option<Undo>) -> Result<(), Error> {
        let (call, input) = self.request(name);
        set(ctx, call, format!("alarm {name}"), &input, undo).await
    }

    /// The call that puts it, and its input.
    pub fn request(&self, name: &str) -> (&'static str, Value) {
        let mut input = Value::Object(self.0.clone());
        input["AlarmName"] = json!(name);
        let call = if self.is_composite() { "cloudwatch:PutCompositeAlarm" } else { "cloudwatch:PutMetricAlarm" };
        (call, input)
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn plain(value: &Value, form: Form) -> Value {
    match (form, value) {
        (Form::Number, value) => number(value),
        (Form::Flag, Value::String(text)) => json!(text == "true"),
        (Form::Set, Value::Array(list)) => {
            let mut list: Vec<Value> = list.iter().map(element).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        (Form::Text | Form::Flag | Form::Set | Form::Structure, value) => value.clone(),
    }
}

/// An element of a list: an ARN, a dimension, or a query with all that is in it.
fn element(value: &Value) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    let member = |(name, value): (&String, &Value)| {
        let value = match name.as_str() {
            "Period" => number(value),
            "ReturnData" => plain(value, Form::Flag),
            "Dimensions" => plain(value, Form::Set),
            _ => element(value),
        };
        (!is_empty(&value)).then(|| (name.clone(), value))
    };
    let mut fields: Vec<(String, Value)> = fields.iter().filter_map(member).collect();
    fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    Value::Object(fields.into_iter().collect())
}

/// Whole numbers have no point, whoever writes them.
fn number(value: &Value) -> Value {
    let read = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    match read {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole, and small")]
        Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => json!(number as i64),
        Some(number) => json!(number),
        None => value.clone(),
    }
}

/// An alarm as CloudWatch shows it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub definition: Definition,
    pub name: String,
    pub state: String,
    pub reason: String,
    pub since: String,
}

impl Shown {
    fn of(shown: &Value) -> Self {
        let text = |name: &str| shown.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let since = text("StateTransitionedTimestamp");
        Self {
            definition: Definition::of(shown),
            name: text("AlarmName"),
            state: text("StateValue"),
            reason: text("StateReason"),
            // Not every endpoint tells the two apart.
            since: if since.is_empty() { text("StateUpdatedTimestamp") } else { since },
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Page {
    metric_alarms: Vec<Value>,
    composite_alarms: Vec<Value>,
    next_token: Option<String>,
}

/// How many alarms a describe can name (DescribeAlarms).
const NAMES_PER_CALL: usize = 100;

/// The alarms of these names that are there.
pub async fn named(ctx: &Ctx, names: &[String]) -> Result<Vec<Shown>, Error> {
    let mut all = Vec::new();
    for names in names.chunks(NAMES_PER_CALL) {
        all.extend(described(ctx, json!({ "AlarmNames": names, "MaxRecords": NAMES_PER_CALL })).await?);
    }
    Ok(all)
}

/// The alarms whose names begin so.
pub async fn with_prefix(ctx: &Ctx, prefix: &str) -> Result<Vec<Shown>, Error> {
    described(ctx, json!({ "AlarmNamePrefix": prefix, "MaxRecords": 100 })).await
}

async fn described(ctx: &Ctx, mut input: Value) -> Result<Vec<Shown>, Error> {
    // "If you omit this parameter, only metric alarms are returned".
    input["AlarmTypes"] = json!(["MetricAlarm", "CompositeAlarm"]);
    let mut all = Vec::new();
    loop {
        let page: Page = ctx.fetch("cloudwatch:DescribeAlarms", &input).await?;
        all.extend(page.metric_alarms.iter().chain(&page.composite_alarms).map(Shown::of));
        match page.next_token {
            Some(next) => input["NextToken"] = json!(next),
            None => return Ok(all),
        }
    }
}

/// The alarm of that name, or none.
pub async fn find(ctx: &Ctx, name: &str) -> Result<Option<Shown>, Error> {
    Ok(named(ctx, &[name.to_owned()]).await?.into_iter().find(|alarm| alarm.name == name))
}

/// The ARN of an alarm that is given by its name or its ARN.
pub fn arn_of(ctx: &Ctx, alarm: &str) -> String {
    if alarm.starts_with("arn:") { alarm.to_owned() } else { ctx.aws().arn("cloudwatch", &format!("alarm:{alarm}")) }
}

/// What was put over what.
#[derive(Serialize, Deserialize)]
struct Change {
    alarm_name: String,
    before: Option<Definition>,
    ours: Definition,
}

/// The undo that puts `before` back, or deletes what was not there.
pub fn undo(name: &str, before: Option<&Definition>, ours: &Definition) -> Undo {
    let change = Change { alarm_name: name.to_owned(), before: before.cloned(), ours: ours.clone() };
    let description = match before {
        Some(_) => format!("put alarm {name} back"),
        None => format!("delete alarm {name}"),
    };
    Undo::new(&RESTORE_ALARM, description, json!(change)).key(format!("alarm {name}"))
}

/// Puts a changed alarm back as a whole, or deletes one this run made.
pub const RESTORE_ALARM: UndoAction =
    UndoAction { name: "restore_alarm", run: |ctx, arguments| Box::pin(restore(ctx, arguments)) };

async fn restore(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let Change { alarm_name: name, before, ours } = arguments(change)?;
    let found = find(ctx, &name).await?.map(|alarm| alarm.definition);
    match (found, before) {
        (None, None) => Ok(Undone::Already),
        (Some(_), None) => {
            set(ctx, "cloudwatch:DeleteAlarms", format!("alarm {name}"), &json!({ "AlarmNames": [name] }), None)
                .await?;
            Ok(Undone::Done)
        }
        (found, Some(before)) if found.as_ref() == Some(&before) => Ok(Undone::Already),
        (found, Some(before)) if found.as_ref() == Some(&ours) => {
            before.put(ctx, &name, None).await?;
            Ok(Undone::Done)
        }
        (found, Some(_)) => Ok(Undone::Foreign(format!("expected {}, found {}", json!(ours), json!(found)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_and_what_is_shown_are_compared_by_meaning() {
        let wanted = json!({
            "AlarmDescription": null, "ActionsEnabled": true, "AlarmActions": ["arn:b", "arn:a"], "OKActions": [],
            "Dimensions": [{ "Name": "b", "Value": "1" }, { "Name": "a", "Value": "2" }], "Period": 60, "Threshold": 80.0,
            "EvaluationPeriods": 3, "DatapointsToAlarm": 3, "TreatMissingData": "missing",
            "Metrics": [{ "Id": "e", "Expression": "x", "MetricStat": null, "ReturnData": true }],
        });
        let shown = json!({
            "AlarmName": "x", "StateValue": "OK", "ActionsEnabled": "true", "AlarmActions": ["arn:a", "arn:b"],
            "Dimensions": [{ "Value": "2", "Name": "a" }, { "Value": "1", "Name": "b" }], "Period": "60",
            "Threshold": "80.0", "EvaluationPeriods": "3", "Metrics": [{ "ReturnData": "true", "Expression": "x", "Id": "e" }],
        });
        let (wanted, shown) = (Definition::of(&wanted), Definition::of(&shown));
        assert_eq!(wanted.differences(&shown), []);
        assert_eq!(wanted, shown);
        let (call, input) = wanted.request("x");
        assert_eq!(
            (call, &input["AlarmName"], &input["Threshold"]),
            ("cloudwatch:PutMetricAlarm", &json!("x"), &json!(80))
        );
        let other = Definition::of(&json!({ "AlarmRule": "TRUE", "ActionsEnabled": "false" }));
        assert_eq!(other.request("x").0, "cloudwatch:PutCompositeAlarm");
        assert!(!other.differences(&shown).is_empty());
    }
}
