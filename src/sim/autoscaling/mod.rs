//! Auto Scaling: groups that keep their number of instances. The query protocol, version 2011-01-01.
//!
//! ```text
//! group     the row, and its create, update, delete, describe     settings  what a request says of it
//! member    an instance of a group
//! fleet     reconciling: launch, enter service, drain, terminate  health    who is unhealthy and replaced
//! hook      lifecycle hooks       policy    scaling policies      tag       tags
//! attach    target groups         activity  what was done, in AWS's words
//! process   suspended processes, metrics, protection      load      a group of a forked account
//! step      policies that an alarm tells to scale    schedule  sizes at a time
//! metric    what a group measures of itself
//! ```
//!
//! Wording is that of real accounts, as people quote it in the issues of Terraform, kops and cloud-custodian.

mod activity;
mod attach;
mod fleet;
mod group;
mod health;
mod hook;
mod load;
mod member;
mod metric;
mod policy;
mod process;
mod schedule;
mod settings;
mod step;
mod tag;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::elbv2::targets;
use super::error::{AwsError, Reply};
use super::fork::Extent;
use super::read::{Read, Reader, Rows, Token};
use super::select::{self, Filters, Paging};
use super::service::{Action, Service, no_secrets};
use super::table::Table;
use super::tags::Tags;
use super::tx::{Resource, Tx, resource};
use super::wire::{Params, Protocol};

pub use activity::Activity;
pub use fleet::alive;
pub use group::Group;
pub use load::{CALLS, load};
pub use metric::{in_service, metric};
pub use policy::{alarm, can_grow};
pub use schedule::{Scheduled, load as load_scheduled};
pub use step::execute;

pub const SERVICE: Service = Service {
    name: "autoscaling",
    protocol: Protocol::Query,
    namespace: "http://autoscaling.amazonaws.com/doc/2011-01-01/",
    actions: &[
        activity::ACTIONS,
        attach::ACTIONS,
        fleet::ACTIONS,
        group::ACTIONS,
        hook::ACTIONS,
        policy::ACTIONS,
        process::ACTIONS,
        schedule::ACTIONS,
        tag::ACTIONS,
    ],
    sanitise: no_secrets,
};

const PAGES: &str = "MaxRecords NextToken";

/// What Auto Scaling holds in a region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AutoScaling {
    auto_scaling_groups: Table<Group>,
    scaling_activities: Table<Activity>,
    scheduled_actions: Table<Scheduled>,
}

/// A group as a plan shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    pub name: String,
    pub tags: Tags,
    pub desired: u32,
    /// Starting, in service or leaving.
    pub instances: u32,
    pub in_service: u32,
    /// In service, and healthy in every target group.
    pub healthy: u32,
}

pub fn fleets(tx: &Tx) -> Vec<Fleet> {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let fleet = |group: &Group| {
        let in_service = || group.members.iter().filter(|member| member.state == member::Lifecycle::InService);
        let is_healthy = |arn: &String, id: &str| targets::state(tx, arn, id) == Some(targets::TargetState::Healthy);
        let healthy = in_service()
            .filter(|member| member.healthy && group.target_groups.iter().all(|arn| is_healthy(arn, &member.instance)));
        Fleet {
            name: group.name.clone(),
            tags: group.tags.clone(),
            desired: u32::try_from(group.desired).unwrap_or_default(),
            instances: count(group.members.len()),
            in_service: count(in_service().count()),
            healthy: count(healthy.count()),
        }
    };
    tx.all::<Group>().map(fleet).collect()
}

/// What happens in a group by itself. The ARN tells a group from another one that had its name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    group: String,
    arn: String,
    step: Step,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Step {
    /// Compares the desired capacity with what is there.
    Reconcile,
    /// Looks at everyone's health.
    Check,
    /// Moves one instance on in its life, if it is time.
    Advance(String),
    /// A lifecycle hook has waited long enough.
    TimeOut { instance: String, hook: String, token: String },
    /// The time of a scheduled action has come.
    Scheduled { name: String, at: jiff::Timestamp },
    /// The deleted group is gone.
    Vanish,
}

impl Event {
    pub fn happen(self, tx: &mut Tx) {
        let Event { group, arn, step } = self;
        if tx.peek::<Group>(&group).is_none_or(|now| now.arn != arn) {
            return;
        }
        match step {
            Step::Reconcile => fleet::reconcile(tx, &group),
            Step::Check => health::check(tx, &group),
            Step::Advance(instance) => fleet::advance(tx, &group, &instance),
            Step::TimeOut { instance, hook, token } => hook::time_out(tx, &group, &instance, &hook, &token),
            Step::Scheduled { name, at } => schedule::act(tx, &group, &name, at),
            Step::Vanish => {
                schedule::forget(tx, &group);
                tx.delete::<Group>(&group);
            }
        }
    }
}

impl From<Event> for super::world::Event {
    fn from(event: Event) -> Self {
        super::world::Event::AutoScaling(event)
    }
}

fn invalid(message: impl Into<String>) -> AwsError {
    AwsError::new("ValidationError", message)
}

/// The reply of actions that have no output in the model.
fn done() -> Reply {
    Ok(Value::Null)
}

/// The reply of actions whose output has no members.
fn nothing_to_say() -> Reply {
    Ok(json!({}))
}

/// Something like a UUID, unique in this world.
fn uuid(tx: &mut Tx) -> String {
    uuid_of(&tx.new_id("x"))
}

/// What an id is written as.
pub fn uuid_of(id: &str) -> String {
    let digits = |part: Option<&str>| u64::from_str_radix(part.unwrap_or_default(), 16).unwrap_or_default();
    let number = digits(id.get(id.len() - 8..)) ^ digits(id.get(2..id.len() - 8)) << 28;
    let (high, low) = (super::table::mix(number), super::table::mix(!number));
    let hex = format!("{high:016x}{low:016x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

const PAGING: Paging =
    Paging { size: "MaxRecords", token: "NextToken", default: 50, sizes: 1..=100, invalid_token: "InvalidNextToken" };
