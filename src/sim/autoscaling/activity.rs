//! Scaling activities: what a group did and why. AWS keeps them for six weeks, also those of groups that are gone.

use super::group::Group;
use super::*;
use crate::sim::wire::time;

pub const ACTIONS: &[Action] = &[Action {
    name: "DescribeScalingActivities",
    params: &["ActivityIds[] AutoScalingGroupName IncludeDeletedGroups", PAGES],
    run: describe_scaling_activities,
}];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Activity {
    pub id: String,
    pub group: String,
    pub arn: String,
    pub description: String,
    pub cause: String,
    pub details: String,
    pub start: jiff::Timestamp,
    pub end: Option<jiff::Timestamp>,
    pub status: Status,
    pub message: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Status {
    PreInService,
    InProgress,
    #[serde(rename = "WaitingForELBConnectionDraining")]
    WaitingForElbConnectionDraining,
    MidLifecycleAction,
    Successful,
    Failed,
    Cancelled,
}

resource!(Activity, id, region.autoscaling.scaling_activities, Extent::Nothing, |id: &str| {
    invalid(format!("Activity {id} not found"))
});

impl Activity {
    pub fn view(&self) -> Value {
        let progress = match self.status {
            Status::Successful | Status::Failed | Status::Cancelled => 100,
            Status::PreInService => 30,
            Status::MidLifecycleAction => 40,
            Status::InProgress | Status::WaitingForElbConnectionDraining => 50,
        };
        json!({
            "ActivityId": self.id,
            "AutoScalingGroupName": self.group,
            "AutoScalingGroupARN": self.arn,
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": time(self.start),
            "EndTime": self.end.map(time),
            "StatusCode": self.status,
            "StatusMessage": self.message,
            "Progress": progress,
            "Details": self.details,
        })
    }
}

/// The inverse of `Activity::view`.
pub fn read(shown: &Params) -> Activity {
    let (running, end) = (!shown.has("EndTime"), shown.time("EndTime"));
    Activity {
        id: shown.text("ActivityId"),
        group: shown.text("AutoScalingGroupName"),
        arn: shown.text("AutoScalingGroupARN"),
        description: shown.text("Description"),
        cause: shown.text("Cause"),
        details: shown.text("Details"),
        start: shown.time("StartTime"),
        end: (!running).then_some(end),
        status: match shown.opt_str("StatusCode").unwrap_or_default() {
            "Successful" => Status::Successful,
            "Failed" => Status::Failed,
            "Cancelled" => Status::Cancelled,
            "MidLifecycleAction" => Status::MidLifecycleAction,
            "WaitingForELBConnectionDraining" => Status::WaitingForElbConnectionDraining,
            "PreInService" | "PendingSpotBidPlacement" | "WaitingForSpotInstanceId" | "WaitingForInstanceId" => {
                Status::PreInService
            }
            _ => Status::InProgress,
        },
        message: shown.opt_str("StatusMessage").map(str::to_owned),
    }
}

/// A time inside a cause: to the second.
pub fn moment(at: jiff::Timestamp) -> String {
    format!("{at:.0}")
}

pub fn begin(tx: &mut Tx, group: &Group, description: String, cause: String, details: Value, status: Status) -> String {
    let id = uuid(tx);
    let activity = Activity {
        id: id.clone(),
        group: group.name.clone(),
        arn: group.arn.clone(),
        description,
        cause,
        details: details.to_string(),
        start: tx.now,
        end: None,
        status,
        message: None,
    };
    tx.put(activity);
    id
}

pub fn progress(tx: &mut Tx, id: &str, status: Status) {
    if let Some(activity) = tx.peek_mut::<Activity>(id).filter(|activity| activity.end.is_none()) {
        activity.status = status;
    }
}

pub fn end(tx: &mut Tx, id: &str, status: Status, message: Option<String>) {
    let now = tx.now;
    if let Some(activity) = tx.peek_mut::<Activity>(id).filter(|activity| activity.end.is_none()) {
        (activity.status, activity.message, activity.end) = (status, message, Some(now));
    }
}

/// The activity for which a group waits before it changes its capacity: one that is under way, or has ended less than
/// the cooldown ago.
pub fn blocking(tx: &Tx, group: &str, cooldown: i64) -> Option<String> {
    let arn = &tx.peek::<Group>(group)?.arn;
    let blocks = |activity: &&Activity| match (activity.end, activity.status) {
        (None, _) => true,
        (Some(end), Status::Successful) => tx.now.duration_since(end).as_secs() < cooldown,
        (Some(_), _) => false,
    };
    let activity = tx.all::<Activity>().filter(|activity| activity.arn == *arn).find(blocks)?;
    Some(activity.id.clone())
}

/// The newest first.
fn describe_scaling_activities(tx: &mut Tx, p: &Params) -> Reply {
    let (ids, group) = (p.strings("ActivityIds"), p.opt_str("AutoScalingGroupName"));
    let deleted = p.opt_bool("IncludeDeletedGroups")?.unwrap_or(false);
    if let Some(name) = group.filter(|_| !deleted) {
        tx.get::<Group>(name)?;
    }
    let lives = |activity: &Activity| tx.peek::<Group>(&activity.group).is_some_and(|group| group.arn == activity.arn);
    let mut rows = tx.select::<Activity>(&[])?;
    rows.retain(|activity| {
        (ids.is_empty() || ids.contains(&activity.id.as_str()))
            && group.is_none_or(|name| name == activity.group)
            && (deleted || lives(activity))
    });
    let keyed = rows.into_iter().map(|row| (format!("{:020}/{}", i64::MAX - row.start.as_millisecond(), row.id), row));
    let paging = Paging { default: 100, ..PAGING };
    let (rows, next) = select::page(&paging, p, keyed.collect::<Vec<_>>(), |(key, _)| key)?;
    let view: Vec<Value> = rows.into_iter().map(|(_, row)| tx.shown(row, |row, _| row.view())).collect();
    Ok(json!({ "Activities": view, "NextToken": next }))
}
