//! IAM: roles, policies and instance profiles. It belongs to the account, not to a region.
//!
//! What is made here is known to IAM almost at once, and to EC2 and Auto Scaling about ten seconds later: see
//! [`profile_is_known_to_ec2`]. Names, codes and limits are those of the IAM API reference and of "IAM and AWS STS
//! quotas"; messages are those real accounts are known to send.

mod document;
mod holders;
pub mod instance_profile;
mod managed;
pub mod policy;
pub mod role;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{AwsError, Reply};
use super::fork::Extent;
use super::read::{Read, Reader, Rows, Token};
use super::select::{self, Paging};
use super::service::{Action, Service, no_secrets};
use super::table::Table;
use super::tags::{self, Tags};
use super::tx::{Tx, resource};
use super::wire::{Params, Protocol, time};

pub use instance_profile::InstanceProfile;
pub use policy::Policy;
pub use role::Role;

pub const SERVICE: Service = Service {
    name: "iam",
    protocol: Protocol::Query,
    namespace: "https://iam.amazonaws.com/doc/2010-05-08/",
    actions: &[role::ACTIONS, role::POLICY_ACTIONS, policy::ACTIONS, instance_profile::ACTIONS],
    sanitise: no_secrets,
};

/// What IAM holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Iam {
    roles: Table<Role>,
    policies: Table<Policy>,
    instance_profiles: Table<InstanceProfile>,
}

/// Parameters that many actions share.
const PAGES: &str = "Marker MaxItems";
const TAGS: &str = "Tags[].Key Tags[].Value";

/// Of pages that are read.
const TOKEN: Token = ("Marker", "Marker");

const PAGING: Paging =
    Paging { size: "MaxItems", token: "Marker", default: 100, sizes: 1..=1000, invalid_token: "ValidationError" };

/// Whether EC2 and Auto Scaling already know an instance profile, given by name or ARN, and its role. Until they do,
/// they refuse it as invalid, however often IAM shows it.
pub fn profile_is_known_to_ec2(tx: &Tx, name_or_arn: &str) -> bool {
    instance_profile::find(tx, name_or_arn).is_some_and(|profile| profile.is_known_to_ec2(tx.now))
}

/// The ARN and the id of an instance profile that EC2 knows: how instances show it.
pub fn instance_profile(tx: &Tx, name_or_arn: &str) -> Option<(String, String)> {
    let profile = instance_profile::find(tx, name_or_arn).filter(|profile| profile.is_known_to_ec2(tx.now))?;
    Some((profile.arn(tx), profile.id.clone()))
}

fn conflict(code: &str, message: impl Into<String>) -> AwsError {
    AwsError::new(code, message).status(409)
}

fn no_such_entity(message: impl Into<String>) -> AwsError {
    AwsError::new("NoSuchEntity", message).status(404)
}

fn exists(what: &str) -> AwsError {
    conflict("EntityAlreadyExists", format!("{what} already exists."))
}

fn limit(message: impl Into<String>) -> AwsError {
    conflict("LimitExceeded", message)
}

/// A parameter that breaks a constraint of the service model, in the words of AWS's common validation.
fn constraint(parameter: &str, value: &str, constraint: &str) -> AwsError {
    let mut member = parameter.to_owned();
    member[..1].make_ascii_lowercase();
    let message = format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: Member must {constraint}"
    );
    AwsError::new("ValidationError", message)
}

/// A new entity's name. IAM does not tell names apart by case.
fn name<'p>(p: &'p Params, parameter: &str, longest: usize) -> Result<&'p str, AwsError> {
    let name = p.str(parameter)?;
    if name.is_empty() || name.chars().count() > longest {
        return Err(constraint(parameter, name, &format!("have length less than or equal to {longest}")));
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)) {
        return Err(constraint(parameter, name, r"satisfy regular expression pattern: [\w+=,.@-]+"));
    }
    Ok(name)
}

fn path(p: &Params) -> Result<&str, AwsError> {
    let path = p.opt_str("Path").unwrap_or("/");
    if path.len() > 512 || !path.starts_with('/') || !path.ends_with('/') || path.contains("//") {
        return Err(constraint(
            "Path",
            path,
            r"satisfy regular expression pattern: (\u002F)|(\u002F[\u0021-\u007E]+\u002F)",
        ));
    }
    Ok(path)
}

/// `AROA…`: a prefix that says the kind, and 17 characters.
fn new_id(tx: &mut Tx, prefix: &str) -> String {
    tx.new_id(prefix).replace('-', "").to_uppercase()
}

fn add_tags(tags: &mut Tags, p: &Params) -> Result<(), AwsError> {
    let list = p.list("Tags");
    check_unique(&list, |one, other| one == other)?;
    tags.extend(tags::read(&list)?);
    if tags.len() > 50 {
        return Err(limit("The number of tags has reached the maximum limit."));
    }
    Ok(())
}

/// Refuses keys that are given twice: which are the same differs between kinds of resources.
fn check_unique(list: &[Params], same: fn(&str, &str) -> bool) -> Result<(), AwsError> {
    let key = |tag: &Params| tag.text("Key");
    let twice = |(at, tag): (usize, &Params)| list[..at].iter().any(|other| same(&key(other), &key(tag)));
    if list.iter().enumerate().any(twice) {
        let message = "Duplicate tag keys found. Please note that Tag keys are case insensitive.";
        return Err(AwsError::new("InvalidInput", message));
    }
    Ok(())
}

fn remove_tags(tags: &mut Tags, p: &Params) {
    for key in p.strings("TagKeys") {
        tags.remove(key);
    }
}

fn new_tags(p: &Params) -> Result<Tags, AwsError> {
    let mut tags = Tags::new();
    add_tags(&mut tags, p)?;
    Ok(tags)
}

fn tag_list(tags: &Tags) -> Value {
    tags::write(tags, "Key", "Value")
}

/// One page of a list, under the name the action gives it.
fn page<T>(p: &Params, set: &str, rows: Vec<T>, key: impl Fn(&T) -> &str, view: impl Fn(&T) -> Value) -> Reply {
    let (rows, marker) = select::page(&PAGING, p, rows, key)?;
    Ok(json!({ (set): rows.iter().map(view).collect::<Vec<_>>(), "IsTruncated": !marker.is_null(), "Marker": marker }))
}

/// The reply of actions that have no output in the model.
fn done() -> Reply {
    Ok(Value::Null)
}
