//! EC2, the network half: what its kinds of resources have in common, and the table of its actions.
//!
//! A kind is a file: its row, how it is shown and filtered ([`Kind`]), its actions. Names, codes and messages are
//! those of the EC2 API reference; where the reference is silent, those real accounts are known to send.

mod cidr;
pub mod instance;
mod tag;
mod vpc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{AwsError, Reply};
use super::select::{self, Filters, Paging, one};
use super::service::{Action, Service, no_secrets};
use super::table::Table;
use super::tags::{self, Tags};
use super::tx::{Resource, Tx, resource};
use super::wire::{Params, Protocol};

pub use cidr::Cidr;

pub const SERVICE: Service = Service {
    name: "ec2",
    protocol: Protocol::Ec2,
    namespace: "http://ec2.amazonaws.com/doc/2016-11-15/",
    actions: &[vpc::ACTIONS, tag::ACTIONS],
    sanitise: no_secrets,
};

/// Parameters that many actions share.
const FILTERS: &str = "Filter[].Name Filter[].Value[]";
const PAGES: &str = "MaxResults NextToken";
const TAGS: &str = "TagSpecification[].ResourceType TagSpecification[].Tag[].Key TagSpecification[].Tag[].Value";

/// What EC2 holds in a region.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ec2 {
    vpcs: Table<vpc::Vpc>,
}

/// What EC2 does by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {}

impl Event {
    pub fn happen(self, _tx: &mut Tx) {
        match self {}
    }
}

impl From<Event> for super::world::Event {
    fn from(event: Event) -> Self {
        super::world::Event::Ec2(event)
    }
}

/// What AWS puts into every region of a new account.
pub fn furnish(tx: &mut Tx) {
    vpc::furnish(tx);
}

/// A kind of resource: everything a describe, its filters and its tags need.
pub trait Kind: Resource + Clone {
    const PREFIX: &'static str;
    /// The resource type in tag specifications and in DescribeTags.
    const TYPE: &'static str;
    /// The parameter that lists ids in the describe, and the element that holds the rows of its reply.
    const IDS: &'static str;
    const SET: &'static str;
    /// Code and message (`{}` is the id) when there is no such row.
    const ABSENT: (&'static str, &'static str);
    const FILTERS: Filters<Self>;
    fn tags(&self) -> &Tags;
    fn tags_mut(&mut self) -> &mut Tags;
    /// The row as the API shows it.
    fn view(&self, tx: &Tx) -> Value;
}

/// The error for an id that is not there, or that is no id of this kind at all.
fn absent<T: Kind>(id: &str) -> AwsError {
    let (code, message) = T::ABSENT;
    if id.strip_prefix(T::PREFIX).is_some_and(|rest| rest.starts_with('-')) {
        return AwsError::new(code, message.replace("{}", id));
    }
    let malformed = match code {
        "InvalidGroup.NotFound" => "InvalidGroupId.Malformed".to_owned(),
        "InvalidInternetGatewayID.NotFound" => "InvalidInternetGatewayId.Malformed".to_owned(),
        "InvalidRouteTableID.NotFound" => "InvalidRouteTableId.Malformed".to_owned(),
        "NatGatewayNotFound" => "NatGatewayMalformed".to_owned(),
        _ => code.replace(".NotFound", ".Malformed"),
    };
    AwsError::new(malformed, format!("Invalid id: \"{id}\" (expecting \"{}-...\")", T::PREFIX))
}

const PAGING: Paging = Paging {
    size: "MaxResults",
    token: "NextToken",
    default: 1000,
    sizes: 5..=1000,
    invalid_token: "InvalidNextToken",
};

/// The describe of any kind: by ids or all, filtered, in pages.
fn describe<T: Kind>(tx: &mut Tx, params: &Params) -> Reply {
    let rows = tx.select::<T>(&params.strings(T::IDS))?;
    let rows = select::filter(tx, params, T::FILTERS, |row| Some(row.tags()), rows)?;
    let (rows, next) = select::page(&PAGING, params, rows, |row| row.id())?;
    let set: Vec<Value> = rows.into_iter().map(|row| row.view(tx)).collect();
    Ok(json!({ (T::SET): set, "nextToken": next }))
}

/// The tags a creating request gives to a resource of this kind.
fn tags_for<T: Kind>(params: &Params) -> Result<Tags, AwsError> {
    let mut tags = Tags::new();
    for specification in params.list("TagSpecification") {
        let resource_type = specification.str("ResourceType")?;
        if resource_type != T::TYPE {
            let why = format!("'{resource_type}' is not a valid taggable resource type for this operation.");
            return Err(AwsError::new("InvalidParameterValue", why));
        }
        tags.extend(tags::read(&specification.list("Tag"))?);
    }
    Ok(tags)
}

fn tag_set(tags: &Tags) -> Value {
    tags::write(tags, "key", "value")
}

/// The reply of actions that have nothing to say.
fn done() -> Reply {
    Ok(json!({ "return": true }))
}

fn in_use(kind: &str, id: &str) -> AwsError {
    AwsError::new("DependencyViolation", format!("The {kind} '{id}' has dependencies and cannot be deleted."))
}
