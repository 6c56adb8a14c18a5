//! Monitoring: topics, alarms, dashboards and log groups. SNS and CloudWatch take forms, CloudWatch Logs takes JSON; none of
//! them has an SDK crate here.

pub mod alarm;
mod alarm_options;
pub mod alarm_states;
pub mod ensure_alarm;
pub mod ensure_dashboard;
pub mod ensure_log_group;
pub mod ensure_topic;
pub mod subscription;
pub mod tags;

use serde::Serialize;
use serde_json::Value;

use super::{Error, Kind};
use crate::run::{Class, Ctx, Mutation, Undo};

/// A topic.
#[derive(Debug, Serialize)]
pub struct Topic {
    pub topic_arn: String,
    pub topic_name: String,
    /// Those that were asked for.
    pub subscriptions: Vec<Subscription>,
}

impl Kind for Topic {
    const KIND: &'static str = "topic";
    const ID: &'static str = "topic_arn";
}

/// Who is told of what is published to a topic.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Subscription {
    pub protocol: String,
    pub endpoint: String,
    /// `pending` until whoever is there has confirmed it, then `confirmed`.
    pub status: &'static str,
    /// There is none before it is confirmed.
    pub subscription_arn: Option<String>,
}

/// An alarm, as it was when the operation ended.
#[derive(Debug, Serialize)]
pub struct Alarm {
    pub alarm_name: String,
    pub alarm_arn: String,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
}

impl Kind for Alarm {
    const KIND: &'static str = "alarm";
    const ID: &'static str = "alarm_name";
}

/// The states of several alarms.
#[derive(Debug, Serialize)]
pub struct AlarmStates {
    pub alarms: Vec<AlarmState>,
    /// The names of those in the state `ALARM`.
    pub in_alarm: Vec<String>,
}

impl Kind for AlarmStates {
    const KIND: &'static str = "alarm_states";
    const ID: &'static str = "in_alarm";
}

/// The state of one alarm.
#[derive(Debug, Serialize)]
pub struct AlarmState {
    pub name: String,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
    pub reason: String,
    /// When it came into this state.
    pub since: String,
}

/// A log group.
#[derive(Debug, Serialize)]
pub struct LogGroup {
    pub log_group_name: String,
    /// Without the `:*` that policies want at its end.
    pub log_group_arn: String,
    /// None: for ever.
    pub retention_in_days: Option<i32>,
}

impl Kind for LogGroup {
    const KIND: &'static str = "log_group";
    const ID: &'static str = "log_group_name";
}

/// A dashboard.
#[derive(Debug, Serialize)]
pub struct Dashboard {
    pub dashboard_name: String,
}

impl Kind for Dashboard {
    const KIND: &'static str = "dashboard";
    const ID: &'static str = "dashboard_name";
}

/// Sends a declared call that sets or removes something, and whose reply says nothing.
async fn set(
    ctx: &Ctx,
    call: &'static str,
    resource: impl Into<String>,
    input: &Value,
    undo: Option<Undo>,
) -> Result<(), Error> {
    let declared = Mutation::new(call, Class::Idempotent, resource).undo(undo);
    ctx.change(declared, |permit| ctx.aws().call(call, input).permit(permit).send::<Value>()).await
}

/// What was read, or `None` if AWS says that it is not there.
fn if_there<T>(read: Result<T, Error>, gone: &[&str]) -> Result<Option<T>, Error> {
    match read {
        Err(error) if error.is(gone) => Ok(None),
        read => read.map(Some),
    }
}
