//! Elastic Load Balancing v2 (2015-12-01): what its kinds of resources have in common, and the table of its actions.
//!
//! A kind is a file. `route` is what listeners and rules share: where their requests go, and how long a change takes
//! to reach the nodes; `targets` and `health` decide who may answer; `spread` is what traffic sees of all this.
//! Names, limits and codes are those of the API's service model and of the user guides; messages those that real
//! accounts are known to send. Lambda and ALB targets, Gateway Load Balancers, authentication, mutual TLS and Outposts
//! are not modelled.

mod action;
mod attributes;
mod certificate;
mod condition;
mod health;
mod listener;
pub mod load_balancer;
pub mod metric;
mod placement;
mod priority;
mod region;
mod route;
mod rule;
pub mod spread;
mod tag;
pub mod target_group;
pub mod targets;
pub mod visit;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{AwsError, INVALID_VALUE, Reply};
use super::fork::{self, Extent};
use super::read::{Read, Reader, Rows, Token};
use super::select::{self, Paging};
use super::service::{Action, Service, no_secrets};
use super::table::{Table, mix};
use super::tags::{self, Tags};
use super::tx::{Resource, Tx, resource};
use super::wire::{self, Params, Protocol};

pub use certificate::used_by as users_of_certificate;
use listener::Listener;
pub use load_balancer::LoadBalancer;
pub use region::{hosted_zone_of, region_of};
use rule::Rule;
pub use target_group::TargetGroup;

pub const SERVICE: Service = Service {
    name: "elasticloadbalancing",
    protocol: Protocol::Query,
    namespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
    actions: &[
        attributes::ACTIONS,
        certificate::ACTIONS,
        listener::ACTIONS,
        load_balancer::ACTIONS,
        placement::ACTIONS,
        priority::ACTIONS,
        rule::ACTIONS,
        tag::ACTIONS,
        target_group::ACTIONS,
        targets::ACTIONS,
    ],
    sanitise: no_secrets,
};

/// Parameters that many actions share.
const PAGES: &str = "Marker PageSize";
const TAGS: &str = "Tags[].Key Tags[].Value";

/// What Elastic Load Balancing holds in a region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Elbv2 {
    listeners: Table<Listener>,
    load_balancers: Table<LoadBalancer>,
    rules: Table<Rule>,
    target_groups: Table<TargetGroup>,
}

/// What Elastic Load Balancing does by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// A load balancer was given its nodes.
    Active(String),
    /// The network interfaces of a deleted load balancer go.
    Release(Vec<String>),
    /// The nodes have heard of a route's new action.
    Takes { route: String, lane: route::Lane, action: action::Action },
    /// The nodes have heard of a new target.
    Registered { group: String, target: targets::Key },
    /// The targets of a group are checked.
    Check(String),
    /// The deregistration delay of a target is over.
    Drained { group: String, target: targets::Key },
    /// Elastic Load Balancing has heard that an instance is no more.
    Gone(String),
}

impl Event {
    pub fn happen(self, tx: &mut Tx) {
        match self {
            Event::Active(arn) => load_balancer::activate(tx, &arn),
            Event::Release(interfaces) => placement::release(tx, &interfaces),
            Event::Takes { route, lane, action } => route::take(tx, &route, lane, action),
            Event::Registered { group, target } => targets::registered(tx, &group, &target),
            Event::Check(group) => health::check(tx, &group),
            Event::Drained { group, target } => targets::drained(tx, &group, &target),
            Event::Gone(instance) => targets::forget(tx, &instance),
        }
    }
}

impl From<Event> for super::world::Event {
    fn from(event: Event) -> Self {
        super::world::Event::Elbv2(event)
    }
}

/// Whether a load balancer forwards to a target group: ECS asks before it registers tasks in it.
pub fn is_used(tx: &Tx, group: &str) -> bool {
    !route::balancers_of(tx, group).is_empty()
}

const PAGING: Paging =
    Paging { size: "PageSize", token: "Marker", default: 400, sizes: 1..=400, invalid_token: "ValidationError" };

/// Of pages that are read.
const TOKEN: Token = ("NextMarker", "Marker");

/// The tags of resources of any kind, by ARN. "You can specify up to 20 resources in a single request."
fn read_tags(reader: &Reader, arns: &[String]) -> Result<BTreeMap<String, Tags>, AwsError> {
    let mut tags = BTreeMap::new();
    for arns in arns.chunks(20) {
        let reply = reader.get("elasticloadbalancing", "DescribeTags", json!({ "ResourceArns": arns }))?;
        let of = |one: &Params| (one.text("ResourceArn"), one.map("Tags", "Key", "Value"));
        tags.extend(reply.list("TagDescriptions").iter().map(of));
    }
    Ok(tags)
}

/// The attributes that `action` shows.
fn read_attributes(reader: &Reader, action: &'static str, params: Value) -> Result<attributes::Attributes, AwsError> {
    // Some kinds of listeners have none, and asking is an error.
    let reply =
        reader.find("elasticloadbalancing", action, params, &["ValidationError", "InvalidConfigurationRequest"])?;
    Ok(reply.map(|reply| reply.map("Attributes", "Key", "Value")).unwrap_or_default())
}

/// A page of rows, shown in a list called `set`.
fn pages<T>(params: &Params, set: &str, rows: Vec<(String, T)>, view: impl Fn(T) -> Value) -> Reply {
    let (rows, next) = select::page(&PAGING, params, rows, |(key, _)| key)?;
    let rows: Vec<Value> = rows.into_iter().map(|(_, row)| view(row)).collect();
    Ok(json!({ (set): rows, "NextMarker": next }))
}

/// What comes before the first slash of the resource in an ARN of Elastic Load Balancing: `listener-rule`.
fn resource_in(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let is_ours = parts.next()? == "arn" && parts.nth(1)? == "elasticloadbalancing";
    let (kind, _) = parts.nth(2)?.split_once('/')?;
    is_ours.then_some(kind)
}

/// Refuses what is no ARN of this kind.
fn check_arn(kind: &str, arn: &str) -> Result<(), AwsError> {
    let expected = match kind {
        "load balancer" => "loadbalancer",
        "target group" => "targetgroup",
        "rule" => "listener-rule",
        kind => kind,
    };
    if resource_in(arn) == Some(expected) {
        return Ok(());
    }
    Err(AwsError::new("ValidationError", format!("'{arn}' is not a valid {kind} ARN")))
}

/// The error for an ARN that is not there, or is no ARN of this kind at all.
fn absent(kind: &str, arn: &str, code: &str) -> AwsError {
    let (first, rest) = kind.split_at(1);
    let not_found = || AwsError::new(code, format!("{}{rest} '{arn}' not found", first.to_uppercase()));
    check_arn(kind, arn).err().unwrap_or_else(not_found)
}

/// The same where several are named.
fn among_several(error: AwsError, kinds: &str) -> AwsError {
    match error.code.as_str() {
        "ValidationError" => error,
        _ => AwsError { message: format!("One or more {kinds} not found"), ..error },
    }
}

/// The last part of an ARN: 16 hexadecimal digits.
fn arn_id(tx: &mut Tx) -> String {
    let id = tx.new_id("x");
    id[id.len() - 16..].to_owned()
}

/// The digits in the DNS name of a load balancer with that number.
pub fn dns_digits(number: u64) -> u64 {
    mix(number) % 1_000_000_000 + 1_000_000_000
}

/// Load balancers and target groups: alphanumeric and hyphens, up to 32, no hyphen at the ends.
fn check_name(kind: &str, name: &str) -> Result<(), AwsError> {
    let refuse = |why: &str| Err(AwsError::new("ValidationError", format!("{kind} name '{name}' {why}")));
    if name.is_empty() || name.len() > 32 {
        return refuse("cannot be longer than '32' characters");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return refuse("can only contain characters that are alphanumeric characters or hyphens(-)");
    }
    if name.starts_with('-') || name.ends_with('-') {
        return refuse("cannot begin or end with a hyphen(-)");
    }
    Ok(())
}

/// A number in a range, or the default.
fn number(params: &Params, name: &str, range: std::ops::RangeInclusive<i64>, default: i64) -> Result<i64, AwsError> {
    let value = params.opt_int(name)?.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    let (low, high) = (range.start(), range.end());
    Err(AwsError::new("ValidationError", format!("{name} must be between {low} and {high}, not {value}")))
}

/// One of the values of an enumeration, or the default.
fn choice<'p>(params: &'p Params, name: &str, values: &[&str], default: &'p str) -> Result<&'p str, AwsError> {
    let value = params.opt_str(name).unwrap_or(default);
    match values.contains(&value) {
        true => Ok(value),
        false => Err(AwsError::outside_enum("ValidationError", name, value, values)),
    }
}

/// The API takes more values than the simulator has a model of: those are refused by name.
fn modelled(tx: &Tx, parameter: &str, value: &str, values: &[&str]) -> Result<(), AwsError> {
    if values.contains(&value) {
        return Ok(());
    }
    let action = format!("{}:{}", tx.service, tx.action);
    Err(AwsError::not_modelled(INVALID_VALUE, &format!("value `{value}` of"), parameter, &action))
}

fn invalid_configuration(message: impl Into<String>) -> AwsError {
    AwsError::new("InvalidConfigurationRequest", message)
}
