//! The one list of operations, undos and look-ups. Registration, documentation, completion and
//! checks all read it.

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

use super::{Error, Kind, Operation, Pending, ec2_tags, network};
use crate::run::{Ctx, LookUp, UndoAction};

/// All operations, in the order in which the reference lists them.
pub const OPERATIONS: &[Entry] = &[
    Entry::of::<network::ensure_vpc::EnsureVpc>(),
    Entry::of::<network::ensure_subnets::EnsureSubnets>(),
    Entry::of::<network::ensure_internet_gateway::EnsureInternetGateway>(),
    Entry::of::<network::ensure_nat_gateways::EnsureNatGateways>(),
    Entry::of::<network::ensure_route_table::EnsureRouteTable>(),
    Entry::of::<network::ensure_network_acl::EnsureNetworkAcl>(),
    Entry::of::<network::find_vpc::FindVpc>(),
    Entry::of::<network::find_subnets::FindSubnets>(),
];

/// All undos: how the journal's undo records find their code.
pub const UNDOS: &[&UndoAction] = &[
    &ec2_tags::RESTORE_TAGS,
    &network::ensure_vpc::DELETE_VPC,
    &network::ensure_vpc::RESTORE_VPC_ATTRIBUTE,
    &network::ensure_subnets::DELETE_SUBNET,
    &network::ensure_subnets::RESTORE_MAP_PUBLIC_IP,
    &network::ensure_internet_gateway::DETACH_INTERNET_GATEWAY,
    &network::ensure_internet_gateway::DELETE_INTERNET_GATEWAY,
    &network::address::RELEASE_ADDRESS,
    &network::nat_gateway::DELETE_NAT_GATEWAY,
    &network::ensure_route_table::DELETE_ROUTE_TABLE,
    &network::route::RESTORE_ROUTE,
    &network::route_table_association::RESTORE_ROUTE_TABLE_ASSOCIATION,
    &network::ensure_network_acl::DELETE_NETWORK_ACL,
    &network::network_acl_rule::RESTORE_NETWORK_ACL_RULE,
    &network::network_acl_association::RESTORE_NETWORK_ACL_ASSOCIATION,
];

/// All look-ups: how a call whose reply was lost is found again.
pub const LOOK_UPS: &[&LookUp] = &[
    &network::ensure_vpc::VPC_BY_NAME,
    &network::ensure_subnets::SUBNET_BY_NAME,
    &network::ensure_internet_gateway::INTERNET_GATEWAY_BY_NAME,
    &network::ensure_internet_gateway::INTERNET_GATEWAY_ATTACHED,
    &network::address::FREE_ADDRESS_BY_NAME,
    &network::route::ROUTE_IS_SET,
    &network::route_table_association::ROUTE_TABLE_ASSOCIATION_IS_SET,
    &network::network_acl_rule::NETWORK_ACL_RULE_IS_SET,
    &network::network_acl_association::NETWORK_ACL_ASSOCIATION_IS_SET,
];

/// An operation with its types taken off.
pub struct Entry {
    pub name: &'static str,
    pub area: &'static str,
    pub positional: Option<&'static str>,
    pub example: &'static str,
    /// The kind of handle it returns.
    pub returns: &'static str,
    /// The JSON schema of its options, with the doc comments in it.
    pub schema: fn() -> Schema,
    /// Decodes the options. Fails with [`Error::Option`] without doing anything.
    pub prepare: fn(Value) -> Result<Prepared, Error>,
}

/// A call of an operation whose options were understood.
pub struct Prepared {
    pub subject: String,
    pub run: Box<dyn for<'a> FnOnce(&'a Ctx) -> Pending<'a, Value>>,
}

impl Entry {
    /// The entry of operation `O`.
    pub const fn of<O: Operation>() -> Self {
        Self {
            name: O::NAME,
            area: O::AREA,
            positional: O::POSITIONAL,
            example: O::EXAMPLE,
            returns: O::Handle::KIND,
            schema: || {
                let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
                SchemaGenerator::new(settings).into_root_schema_for::<O::Options>()
            },
            prepare: prepare::<O>,
        }
    }
}

/// The operation of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    OPERATIONS.iter().find(|entry| entry.name == name)
}

fn prepare<O: Operation>(options: Value) -> Result<Prepared, Error> {
    let options: O::Options = serde_path_to_error::deserialize(options).map_err(|error| {
        let path = error.path().to_string();
        Error::option(if path == "." { String::new() } else { path }, error.inner().to_string())
    })?;
    Ok(Prepared {
        subject: O::subject(&options),
        run: Box::new(move |ctx| {
            Box::pin(async move {
                let handle = O::run(ctx, options).await?;
                let value = serde_json::to_value(handle);
                Ok(value.expect("a handle is a struct of plain data"))
            })
        }),
    })
}
