//! EC2, networks and instances: what its kinds of resources have in common, and the table of its actions.
//!
//! A kind is a file: its row, how it is shown and filtered ([`Kind`]), its actions. Names, codes and messages are
//! those of the EC2 API reference; where the reference is silent, those real accounts are known to send.

pub mod address;
mod cidr;
pub mod image;
pub mod instance;
mod instance_options;
pub mod instance_type;
pub mod internet_gateway;
pub mod launch;
pub mod launch_template;
mod launch_template_version;
mod nat_gateway;
mod network_acl;
pub mod network_interface;
pub mod own_image;
mod permission;
pub mod prefix_list;
mod route;
mod route_table;
mod security_group;
pub mod security_group_rule;
pub mod snapshot;
mod subnet;
mod tag;
mod volume;
pub mod vpc;
pub mod zone;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{AwsError, Reply};
use super::fork::Extent;
use super::read::{Read, Reader, Rows, Token};
use super::select::{self, Filters, Paging, one};
use super::service::{Action, Service, no_secrets};
use super::table::{Table, mix};
use super::tags::{self, Tags};
use super::tx::{Resource, Tx, resource};
use super::wire::{Params, Protocol};

pub use address::Address;
pub use cidr::Cidr;
pub use image::Image;
pub use instance::Instance;
pub use instance_type::InstanceType;
pub use internet_gateway::InternetGateway;
pub use launch_template::LaunchTemplate;
pub use nat_gateway::NatGateway;
pub use network_acl::NetworkAcl;
pub use network_interface::NetworkInterface;
pub use own_image::OwnImage;
pub use prefix_list::PrefixList;
pub use route_table::RouteTable;
pub use security_group::SecurityGroup;
pub use security_group_rule::SecurityGroupRule;
pub use snapshot::Snapshot;
pub use subnet::Subnet;
pub use volume::Volume;
pub use vpc::Vpc;
pub use zone::AvailabilityZone;

pub const SERVICE: Service = Service {
    name: "ec2",
    protocol: Protocol::Ec2,
    namespace: "http://ec2.amazonaws.com/doc/2016-11-15/",
    actions: &[
        address::ACTIONS,
        image::ACTIONS,
        instance::ACTIONS,
        instance_type::ACTIONS,
        internet_gateway::ACTIONS,
        launch_template::ACTIONS,
        launch_template_version::ACTIONS,
        nat_gateway::ACTIONS,
        network_acl::ACTIONS,
        network_interface::ACTIONS,
        own_image::ACTIONS,
        prefix_list::ACTIONS,
        route::ACTIONS,
        route_table::ACTIONS,
        security_group::ACTIONS,
        security_group_rule::ACTIONS,
        snapshot::ACTIONS,
        subnet::ACTIONS,
        tag::ACTIONS,
        volume::ACTIONS,
        vpc::ACTIONS,
        zone::ACTIONS,
    ],
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
    addresses: Table<Address>,
    instances: Table<Instance>,
    internet_gateways: Table<InternetGateway>,
    launch_templates: Table<LaunchTemplate>,
    nat_gateways: Table<NatGateway>,
    network_acls: Table<NetworkAcl>,
    network_interfaces: Table<NetworkInterface>,
    own_images: Table<OwnImage>,
    route_tables: Table<RouteTable>,
    security_groups: Table<SecurityGroup>,
    security_group_rules: Table<SecurityGroupRule>,
    snapshots: Table<Snapshot>,
    subnets: Table<Subnet>,
    volumes: Table<Volume>,
    vpcs: Table<Vpc>,
    // AWS's catalogue as a forked account sees it; without a fork there are no rows of it.
    #[serde(skip_serializing_if = "Table::is_empty")]
    availability_zones: Table<AvailabilityZone>,
    #[serde(skip_serializing_if = "Table::is_empty")]
    images: Table<Image>,
    #[serde(skip_serializing_if = "Table::is_empty")]
    instance_types: Table<InstanceType>,
    #[serde(skip_serializing_if = "Table::is_empty")]
    prefix_lists: Table<PrefixList>,
}

impl Ec2 {
    /// A VPC as it is, without lag.
    pub fn vpc(&self, id: &str) -> Option<&Vpc> {
        self.vpcs.peek(id)
    }

    /// An image of the account's own as it is, without lag.
    pub fn own_image(&self, id: &str) -> Option<&OwnImage> {
        self.own_images.peek(id)
    }
}

/// What EC2 does by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    Image(String),
    Instance(String, instance::Step),
    NatGateway(String, nat_gateway::Step),
}

impl Event {
    pub fn happen(self, tx: &mut Tx) {
        match self {
            Event::Image(id) => own_image::happen(tx, &id),
            Event::Instance(id, step) => instance::happen(tx, &id, step),
            Event::NatGateway(id, step) => nat_gateway::happen(tx, &id, step),
        }
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
pub trait Kind: Resource + Tagged + Clone {
    const NAMES: Names;
    const FILTERS: Filters<Self>;
    /// The row as the API shows it.
    fn view(&self, tx: &Tx) -> Value;
}

/// How EC2 names a kind.
pub struct Names {
    /// Ids start with it.
    pub prefix: &'static str,
    /// The resource type in tag specifications and in DescribeTags.
    pub kind: &'static str,
    /// The parameter that lists ids in the describe, and the element that holds the rows of its reply.
    pub ids: &'static str,
    pub set: &'static str,
    /// How many rows a page may have.
    pub sizes: std::ops::RangeInclusive<i64>,
    /// Code and message (`{}` is the id) when there is no such row.
    pub absent: (&'static str, &'static str),
}

pub trait Tagged {
    fn tags(&self) -> &Tags;
    fn tags_mut(&mut self) -> &mut Tags;
}

/// `kind!(Subnet, subnets)`: where the rows are. Every row has `id` and `tags`.
macro_rules! kind {
    ($type:ty, $table:ident) => {
        kind!($type, $table, Extent::Kind);
    };
    ($type:ty, $table:ident, $extent:expr) => {
        resource!($type, id, region.ec2.$table, $extent, absent::<$type>);

        impl Tagged for $type {
            fn tags(&self) -> &Tags {
                &self.tags
            }
            fn tags_mut(&mut self) -> &mut Tags {
                &mut self.tags
            }
        }
    };
}
use kind;

/// A kind as a forked account shows it: how it is asked for, and the inverse of [`Kind::view`].
pub trait Shown: Kind + Send {
    /// The describe that lists it.
    const DESCRIBE: &'static str;
    /// `None` for what cannot be a row here.
    fn read(shown: &Params) -> Option<Self>;
    /// What will happen to the row by itself, if something is under way.
    fn go_on(&self, _: &mut Tx) {}
}

const TOKEN: Token = ("nextToken", "NextToken");

/// Reads all rows of a kind.
pub fn load<T: Shown>(reader: &Reader, _: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    for shown in shown::<T>(reader, None)? {
        put::<T>(&shown, rows);
    }
    Ok(())
}

fn put<T: Shown>(shown: &Params, rows: &mut Rows) {
    if let Some(row) = T::read(shown) {
        rows.whole(Read::of(row.clone()).shown(shown));
        rows.then(move |tx| row.go_on(tx));
    }
}

/// What a describe shows: all, or the one of that id if it is there.
fn shown<T: Shown>(reader: &Reader, id: Option<&str>) -> Result<Vec<Params>, AwsError> {
    let Names { ids, set, sizes, absent, .. } = T::NAMES;
    match id {
        None => reader.pages("ec2", T::DESCRIBE, json!({ "MaxResults": sizes.end() }), set, TOKEN),
        Some(id) => {
            // Not there, or no id of this kind.
            let code = absent.0.trim_end_matches(".NotFound");
            let reply = reader.find("ec2", T::DESCRIBE, json!({ (ids): [id] }), &[code])?;
            Ok(reply.map(|reply| reply.list(set)).unwrap_or_default())
        }
    }
}

/// A row as replies show it.
fn show<T: Kind>(tx: &Tx, row: &T) -> Value {
    tx.shown(row, T::view)
}

/// Text of a reply that need not be there.
fn optional(shown: &Params, path: &str) -> Option<String> {
    shown.opt_str(path).map(str::to_owned)
}

/// The ids in a list of structures.
fn ids(shown: &Params, list: &str, id: &str) -> Vec<String> {
    shown.list(list).iter().map(|each| each.text(id)).collect()
}

/// The tags of something that is shown.
fn tags_of(shown: &Params) -> Tags {
    shown.map("tagSet", "key", "value")
}

/// The error for an id that is not there, or that is no id of this kind at all.
fn absent<T: Kind>(id: &str) -> AwsError {
    let Names { prefix, absent: (code, message), .. } = T::NAMES;
    if id.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('-')) {
        return AwsError::new(code, message.replace("{}", id));
    }
    let malformed = match code {
        "InvalidGroup.NotFound" => "InvalidGroupId.Malformed".to_owned(),
        "InvalidInternetGatewayID.NotFound" => "InvalidInternetGatewayId.Malformed".to_owned(),
        "InvalidRouteTableID.NotFound" => "InvalidRouteTableId.Malformed".to_owned(),
        "NatGatewayNotFound" => "NatGatewayMalformed".to_owned(),
        _ => code.replace(".NotFound", ".Malformed"),
    };
    AwsError::new(malformed, format!("Invalid id: \"{id}\" (expecting \"{prefix}-...\")"))
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
    let rows = tx.select::<T>(&params.strings(T::NAMES.ids))?;
    list(tx, params, rows)
}

/// Rows that a request names, filtered, in pages.
fn list<T: Kind>(tx: &Tx, params: &Params, rows: Vec<&T>) -> Reply {
    let rows = select::filter(tx, params, T::FILTERS, Some(T::tags), rows)?;
    let paging = Paging { sizes: T::NAMES.sizes, ..PAGING };
    let (rows, next) = select::page(&paging, params, rows, |row| row.id())?;
    let set: Vec<Value> = rows.into_iter().map(|row| show(tx, row)).collect();
    Ok(json!({ (T::NAMES.set): set, "nextToken": next }))
}

/// "You cannot specify this parameter and the … IDs parameter in the same request": some describes page only what is not
/// named.
fn check_not_paged_by_id<T: Kind>(params: &Params) -> Result<(), AwsError> {
    let Names { ids, set, .. } = T::NAMES;
    if params.has("MaxResults") && !params.strings(ids).is_empty() {
        let message = format!("The parameter {set} cannot be used with the parameter maxResults");
        return Err(AwsError::new("InvalidParameterCombination", message));
    }
    Ok(())
}

/// A number that is always the same for an id: of it are names that nothing refers to.
fn digest(id: &str) -> u64 {
    id.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)))
}

/// The tags of a list. EC2 refuses a key that is there twice.
fn read_tags(list: &[Params]) -> Result<Tags, AwsError> {
    for (at, tag) in list.iter().enumerate() {
        let key = tag.opt_str("Key");
        if list[..at].iter().any(|other| other.opt_str("Key") == key) {
            let message = format!("Duplicate tag key '{}' specified.", key.unwrap_or_default());
            return Err(AwsError::new("InvalidParameterValue", message));
        }
    }
    tags::read(list)
}

/// The tags a creating request gives to a resource of this kind.
fn tags_for<T: Kind>(params: &Params) -> Result<Tags, AwsError> {
    let mut tags = Tags::new();
    for specification in params.list("TagSpecification") {
        let resource_type = specification.str("ResourceType")?;
        if resource_type != T::NAMES.kind {
            let why = format!("'{resource_type}' is not a valid taggable resource type for this operation.");
            return Err(AwsError::new("InvalidParameterValue", why));
        }
        let given = specification.list("Tag");
        if given.is_empty() {
            return Err(AwsError::new("InvalidParameterValue", "Tag specification must have at least one tag"));
        }
        tags.extend(read_tags(&given)?);
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

/// Deletes what goes along with something else, and says what that was.
fn delete_where<T: Kind>(tx: &mut Tx, goes: impl Fn(&T) -> bool) -> Vec<String> {
    let ids: Vec<String> = tx.all::<T>().filter(|row| goes(row)).map(|row| row.id().to_owned()).collect();
    ids.iter().for_each(|id| tx.delete::<T>(id));
    ids
}

/// EC2 keeps client tokens for at least 24 hours ("Ensuring idempotency in Amazon EC2 API requests").
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);
