//! Alarms: of a metric, of metrics that are computed with, or of other alarms. What is put replaces all that was there. A new one
//! has no data; a minute or a period later it is evaluated.

use std::time::Duration;

use super::rule::Rule;
use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "PutMetricAlarm",
        params: &[
            COMMON,
            "
            MetricName Namespace Statistic ExtendedStatistic Dimensions[].Name Dimensions[].Value Period Unit
            EvaluationPeriods DatapointsToAlarm Threshold ComparisonOperator TreatMissingData
            EvaluateLowSampleCountPercentile Metrics[].Id Metrics[].Expression Metrics[].Label Metrics[].ReturnData
            Metrics[].Period Metrics[].MetricStat.Metric.Namespace Metrics[].MetricStat.Metric.MetricName
            Metrics[].MetricStat.Metric.Dimensions[].Name Metrics[].MetricStat.Metric.Dimensions[].Value
            Metrics[].MetricStat.Period Metrics[].MetricStat.Stat Metrics[].MetricStat.Unit
            ",
        ],
        run: put_metric_alarm,
    },
    Action { name: "PutCompositeAlarm", params: &[COMMON, "AlarmRule"], run: put_composite_alarm },
    Action {
        name: "DescribeAlarms",
        params: &["AlarmNames[] AlarmNamePrefix AlarmTypes[] StateValue MaxRecords NextToken"],
        run: describe_alarms,
    },
    Action { name: "DeleteAlarms", params: &["AlarmNames[]"], run: delete_alarms },
    Action {
        name: "SetAlarmState",
        params: &["AlarmName StateValue StateReason StateReasonData"],
        run: set_alarm_state,
    },
];

const COMMON: &str = "
    AlarmName AlarmDescription ActionsEnabled OKActions[] AlarmActions[] InsufficientDataActions[] Tags[].Key Tags[].Value
";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Alarm {
    pub name: String,
    /// What was put, under AWS's names: numbers and switches are such.
    pub definition: Params,
    pub created: Timestamp,
    pub tags: Tags,
    /// What has been seen so far. Nobody can set it back.
    pub watch: Watch,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Watch {
    pub state: State,
    pub reason: String,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// When it was last put.
    pub put: Timestamp,
    /// The last datapoints, oldest first; `None`: a period without.
    #[serde(default)]
    pub points: Vec<Option<f64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    Ok,
    Alarm,
    InsufficientData,
}

resource!(Alarm, name, region.cloudwatch.alarms, Extent::Row, |name: &str| {
    AwsError::new("ResourceNotFound", format!("Alarm {name} does not exist")).status(404)
});

pub const CALLS: &[&str] = &["cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource"];

const TOKEN: Token = ("NextToken", "NextToken");
const PAGING: Paging =
    Paging { size: "MaxRecords", token: "NextToken", default: 50, sizes: 1..=100, invalid_token: "InvalidNextToken" };

/// An alarm with its tags, or all alarms as a list shows them. It stays in the state it was read in: what it watches may not
/// be known here.
pub fn load(reader: &Reader, name: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let mut params = json!({ "AlarmTypes": ["MetricAlarm", "CompositeAlarm"], "MaxRecords": 100 });
    if let Some(name) = name {
        params["AlarmNames"] = json!([name]);
    }
    let mut found = Vec::new();
    reader.each_page("cloudwatch", "DescribeAlarms", params, TOKEN, |page| {
        found.extend(page.list("MetricAlarms").into_iter().chain(page.list("CompositeAlarms")));
    })?;
    for shown in found {
        let mut alarm = Alarm::shown(&shown)?;
        if name.is_none() {
            rows.listed(Read::of(alarm).shown(&shown));
            continue;
        }
        let arn = json!({ "ResourceARN": shown.text("AlarmArn") });
        alarm.tags = reader.get("cloudwatch", "ListTagsForResource", arn)?.map("Tags", "Key", "Value");
        rows.whole(Read::of(alarm).shown(&shown));
    }
    Ok(())
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Ok => "OK",
            State::Alarm => "ALARM",
            State::InsufficientData => "INSUFFICIENT_DATA",
        }
    }

    fn named(name: &str) -> Option<State> {
        [State::Ok, State::Alarm, State::InsufficientData].into_iter().find(|state| state.name() == name)
    }
}

impl Alarm {
    fn shown(shown: &Params) -> Result<Alarm, AwsError> {
        let put = shown.time("AlarmConfigurationUpdatedTimestamp");
        Ok(Alarm {
            name: shown.text("AlarmName"),
            definition: definition(&shown.without_nulls())?,
            created: put,
            tags: Tags::new(),
            watch: Watch {
                state: State::named(&shown.text("StateValue")).unwrap_or(State::InsufficientData),
                reason: shown.text("StateReason"),
                since: shown.time("StateUpdatedTimestamp"),
                put,
                points: Vec::new(),
            },
        })
    }

    pub fn is_composite(&self) -> bool {
        self.definition.has("AlarmRule")
    }

    pub fn arn(&self, tx: &Tx) -> String {
        tx.arn("cloudwatch", &format!("alarm:{}", self.name))
    }

    fn view(&self, tx: &Tx) -> Value {
        let mut view = self.definition.0.clone();
        let Value::Object(fields) = &mut view else { return view };
        let watch = &self.watch;
        fields.insert("AlarmArn".to_owned(), json!(self.arn(tx)));
        fields.insert("AlarmConfigurationUpdatedTimestamp".to_owned(), json!(time(watch.put)));
        fields.insert("StateValue".to_owned(), json!(watch.state.name()));
        fields.insert("StateReason".to_owned(), json!(watch.reason));
        fields.insert("StateUpdatedTimestamp".to_owned(), json!(time(watch.since)));
        fields.insert("StateTransitionedTimestamp".to_owned(), json!(time(watch.since)));
        view
    }

    /// How often it is evaluated: metrics have a datapoint a minute at best.
    pub fn every(&self) -> Duration {
        Duration::from_secs(self.period().max(60).unsigned_abs())
    }

    pub fn period(&self) -> i64 {
        let metrics = self.definition.list("Metrics");
        let of_metric = |metric: &Params| metric.opt_int("MetricStat.Period").ok().flatten();
        let first = metrics.iter().find_map(of_metric);
        self.definition.number("Period", first.unwrap_or(60))
    }
}

/// What is put, and shown again.
const TEXTS: &[&str] = &[
    "AlarmName",
    "AlarmDescription",
    "AlarmRule",
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Unit",
    "ComparisonOperator",
    "TreatMissingData",
    "EvaluateLowSampleCountPercentile",
];
const NUMBERS: &[&str] = &["Period", "EvaluationPeriods", "DatapointsToAlarm"];
const ACTIONS_OF: &[&str] = &["OKActions", "AlarmActions", "InsufficientDataActions"];

/// An alarm as it was put, or shown: numbers and switches are such, whatever they were written as.
fn definition(p: &Params) -> Result<Params, AwsError> {
    let mut made = json!({ "ActionsEnabled": p.opt_bool("ActionsEnabled")?.unwrap_or(true) });
    for name in TEXTS.iter().filter(|name| p.has(name)) {
        made[*name] = json!(p.opt_str(name));
    }
    for name in NUMBERS.iter().filter(|name| p.has(name)) {
        made[*name] = json!(p.opt_int(name)?);
    }
    if let Some(threshold) = float(p, "Threshold")? {
        made["Threshold"] = json!(threshold);
    }
    for name in ACTIONS_OF {
        made[*name] = json!(p.strings(name));
    }
    if p.has("AlarmRule") {
        return Ok(Params(made));
    }
    made["Dimensions"] = json!(p.part("Dimensions").0.as_array());
    made["Metrics"] = p.list("Metrics").iter().map(query).collect::<Result<Value, _>>()?;
    Ok(Params(made).without_nulls())
}

fn query(p: &Params) -> Result<Value, AwsError> {
    let mut query = p.0.clone();
    if let Some(returns) = p.opt_bool("ReturnData")? {
        query["ReturnData"] = json!(returns);
    }
    if let Some(period) = p.opt_int("Period")? {
        query["Period"] = json!(period);
    }
    if let Some(period) = p.opt_int("MetricStat.Period")? {
        query["MetricStat"]["Period"] = json!(period);
    }
    Ok(query)
}

fn float(p: &Params, name: &str) -> Result<Option<f64>, AwsError> {
    let Some(value) = p.get(name) else { return Ok(None) };
    let read = value.as_f64().or_else(|| value.as_str()?.parse().ok()).filter(|number| number.is_finite());
    read.map(Some).ok_or_else(|| invalid(format!("The value {value} for parameter {name} is no number.")))
}

/// Refuses what is none of an enumeration.
fn among(p: &Params, name: &str, known: &[&str]) -> Result<(), AwsError> {
    match p.opt_str(name) {
        Some(value) if !known.contains(&value) => Err(invalid(format!(
            "Option {value} is not supported. Supported options for parameter {name} are [{}].",
            known.join(", ")
        ))),
        _ => Ok(()),
    }
}

fn check_common(p: &Params) -> Result<(), AwsError> {
    let name = p.str("AlarmName")?;
    if name.is_empty() || name.chars().count() > 255 || name.chars().any(char::is_control) {
        return Err(invalid(format!(
            "1 validation error detected: Value '{name}' at 'alarmName' failed to satisfy constraint"
        )));
    }
    for list in ACTIONS_OF {
        let actions = p.strings(list);
        if actions.len() > 5 {
            return Err(invalid(format!("{list} can have 5 actions at most.")));
        }
        if let Some(action) = actions.iter().find(|action| !action.starts_with("arn:")) {
            return Err(invalid(format!("Invalid arn syntax: {action}")));
        }
    }
    Ok(())
}

const STATISTICS: &[&str] = &["SampleCount", "Average", "Sum", "Minimum", "Maximum"];
const COMPARISONS: &[&str] =
    &["GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"];

fn check_metric(p: &Params) -> Result<(), AwsError> {
    among(p, "Statistic", STATISTICS)?;
    among(p, "TreatMissingData", &["breaching", "notBreaching", "ignore", "missing"])?;
    among(p, "EvaluateLowSampleCountPercentile", &["evaluate", "ignore"])?;
    p.str("ComparisonOperator")?;
    among(p, "ComparisonOperator", COMPARISONS)?;
    if !p.has("Threshold") {
        return Err(AwsError::missing("Threshold"));
    }
    let periods = p.int("EvaluationPeriods")?;
    let queries = p.list("Metrics");
    match (p.has("MetricName"), queries.is_empty()) {
        (true, true) => {
            p.str("Namespace")?;
            if p.has("Statistic") == p.has("ExtendedStatistic") {
                return Err(AwsError::new(
                    "InvalidParameterCombination",
                    "Exactly one of the parameters Statistic and ExtendedStatistic must be specified.",
                ));
            }
        }
        (false, false) => {
            let returns = queries.iter().filter(|query| query.opt_bool("ReturnData").ok().flatten() != Some(false));
            if returns.count() != 1 {
                return Err(invalid("Exactly one element of the metrics list should return data."));
            }
            // "If you use the Metrics parameter, you cannot include the Namespace, MetricName, Dimensions, Period, Unit, Statistic,
            // or ExtendedStatistic parameters".
            let whole = ["Namespace", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic"];
            if let Some(name) = whole.into_iter().find(|name| p.has(name)) {
                return Err(AwsError::new(
                    "InvalidParameterCombination",
                    format!("Metrics and {name} exclude each other."),
                ));
            }
        }
        _ => return Err(invalid("Exactly one of MetricName and Metrics must be specified.")),
    }
    let of_queries = queries.iter().find_map(|query| query.opt_int("MetricStat.Period").ok().flatten());
    let period = match queries.is_empty() {
        true => p.int("Period")?,
        false => of_queries.unwrap_or(60),
    };
    // "Valid values are 10, 20, 30, and any multiple of 60."
    if ![10, 20, 30].contains(&period) && (period <= 0 || period % 60 != 0) {
        return Err(invalid("Period must be 10, 20, 30 or a multiple of 60"));
    }
    let most = if period < 3600 { 86_400 } else { 604_800 };
    if periods < 1 || periods.saturating_mul(period) > most {
        return Err(invalid(format!(
            "Metrics cannot be checked across more than {} (EvaluationPeriods * Period must be <= {most}).",
            if most == 86_400 { "a day" } else { "seven days" }
        )));
    }
    match p.opt_int("DatapointsToAlarm")? {
        Some(points) if !(1..=periods).contains(&points) => {
            Err(invalid("DatapointsToAlarm must be between 1 and EvaluationPeriods."))
        }
        _ => Ok(()),
    }
}

fn put_metric_alarm(tx: &mut Tx, p: &Params) -> Reply {
    check_common(p)?;
    check_metric(p)?;
    put(tx, p)
}

fn put_composite_alarm(tx: &mut Tx, p: &Params) -> Reply {
    check_common(p)?;
    let rule = Rule::read(p.str("AlarmRule")?).map_err(|why| invalid(format!("AlarmRule syntax error: {why}")))?;
    let unknown = rule.alarms().into_iter().find(|name| tx.peek::<Alarm>(name).is_none());
    if let Some(name) = unknown {
        return Err(invalid(format!("AlarmRule refers to the alarm {name}, which does not exist")));
    }
    put(tx, p)
}

/// Puts an alarm that was checked, or that another service keeps.
pub fn put(tx: &mut Tx, p: &Params) -> Reply {
    let (name, definition, now) = (p.str("AlarmName")?.to_owned(), definition(p)?, tx.now);
    if tx.peek::<Alarm>(&name).is_some() {
        let alarm = tx.get_mut::<Alarm>(&name)?;
        if alarm.is_composite() != definition.has("AlarmRule") {
            return Err(invalid(format!("An alarm of another type exists with the name {name}")));
        }
        // "When you update an existing alarm, its state is left unchanged"; its tags are too.
        alarm.definition = definition;
        alarm.watch.put = now;
        alarm.watch.points.clear();
    } else {
        let tags = tags::read(&p.list("Tags"))?;
        tag::check(&tags)?;
        // "When this operation creates an alarm, the alarm state is immediately set to INSUFFICIENT_DATA."
        let reason = "Unchecked: Initial alarm creation".to_owned();
        let watch = Watch { state: State::InsufficientData, reason, since: now, put: now, points: Vec::new() };
        let alarm = Alarm { name: name.clone(), definition, created: now, tags, watch };
        evaluate::begin(tx, &alarm);
        tx.put_at_once(alarm);
    }
    if tx.peek::<Alarm>(&name).is_some_and(Alarm::is_composite) {
        tx.schedule(Duration::from_secs(10), Event::Rule { alarm: name });
    }
    done()
}

fn describe_alarms(tx: &mut Tx, p: &Params) -> Reply {
    let (names, prefix) = (p.strings("AlarmNames"), p.opt_str("AlarmNamePrefix"));
    if !names.is_empty() && prefix.is_some() {
        return Err(invalid("AlarmNamePrefix and AlarmNames cannot be specified together."));
    }
    if names.len() > 100 {
        return Err(invalid("AlarmNames can have 100 names at most."));
    }
    let types = p.strings("AlarmTypes");
    // "If you omit this parameter, only metric alarms are returned".
    let of_type = |alarm: &Alarm| match alarm.is_composite() {
        true => types.contains(&"CompositeAlarm"),
        false => types.is_empty() || types.contains(&"MetricAlarm"),
    };
    let mut all: Vec<&Alarm> = match names.is_empty() {
        true => tx.all::<Alarm>().collect(),
        false => names.iter().filter_map(|name| tx.peek::<Alarm>(name)).collect(),
    };
    all.retain(|alarm| of_type(alarm) && prefix.is_none_or(|prefix| alarm.name.starts_with(prefix)));
    all.retain(|alarm| p.opt_str("StateValue").is_none_or(|state| alarm.watch.state.name() == state));
    let (page, next) = select::page(&PAGING, p, all, |alarm| &alarm.name)?;
    let shown = |composite: bool| -> Vec<Value> {
        let of_kind = page.iter().filter(|alarm| alarm.is_composite() == composite);
        of_kind.map(|alarm| tx.shown(*alarm, Alarm::view)).collect()
    };
    Ok(json!({ "MetricAlarms": shown(false), "CompositeAlarms": shown(true), "NextToken": next }))
}

/// "If you specify any incorrect alarm names, the alarms you specify with correct names are still deleted."
fn delete_alarms(tx: &mut Tx, p: &Params) -> Reply {
    let names = p.strings("AlarmNames");
    let is_known = |name: &&str| tx.peek::<Alarm>(name).is_some();
    let known: Vec<String> = names.iter().copied().filter(is_known).map(str::to_owned).collect();
    let composite = known.iter().filter(|name| tx.peek::<Alarm>(name).is_some_and(Alarm::is_composite)).count();
    if composite > 1 {
        return Err(invalid("Only one composite alarm can be deleted at a time."));
    }
    let stays = |alarm: &&Alarm| !known.contains(&alarm.name);
    let needed: Vec<String> = tx.all::<Alarm>().filter(stays).flat_map(evaluate::children).collect();
    if let Some(name) = known.iter().find(|name| needed.contains(name)) {
        return Err(invalid(format!("Cannot delete {name} as there are composite alarm(s) depending on it.")));
    }
    remove(tx, &known)?;
    done()
}

/// Deletes those of them that are there.
pub fn remove(tx: &mut Tx, names: &[String]) -> Result<(), AwsError> {
    for name in names {
        if tx.peek::<Alarm>(name).is_some() {
            // In a fork, one that is not modelled is refused here.
            tx.get_mut::<Alarm>(name)?;
            tx.delete_at_once::<Alarm>(name);
        }
    }
    Ok(())
}

fn set_alarm_state(tx: &mut Tx, p: &Params) -> Reply {
    let (name, reason) = (p.str("AlarmName")?, p.str("StateReason")?.to_owned());
    let state = State::named(p.str("StateValue")?).ok_or_else(|| {
        invalid(
            "1 validation error detected: Value at 'stateValue' failed to satisfy constraint: Member must satisfy enum \
                 value set: [INSUFFICIENT_DATA, ALARM, OK]",
        )
    })?;
    let data = p.opt_str("StateReasonData").map(serde_json::from_str::<Value>);
    if matches!(data, Some(Err(_))) {
        return Err(AwsError::new("InvalidFormat", "StateReasonData was not valid JSON"));
    }
    tx.get_mut::<Alarm>(name)?;
    evaluate::enter(tx, name, state, reason, None);
    done()
}
