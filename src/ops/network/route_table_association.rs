//! Which route table a subnet uses: none of its own means the main table of the VPC.
//!
//! An association cannot be tagged. It belongs to who owns the table it is with: one with a table of somebody else is
//! only changed with `adopt`.

use std::collections::BTreeMap;

use aws_sdk_ec2::types as ec2;
use serde::{Deserialize, Serialize};

use super::{
    common::filter,
    read,
    setting::{self, Setting, Undoing},
};
use crate::{
    event::Field,
    ops::{
        Error, all_of, ec2_tags,
        ownership::{Owned, changed},
    },
    run::{Ctx, LookUp, Mutation, UndoAction},
};

/// The subnets that should use a table, or nothing when that is left alone.
pub struct Wanted<'a> {
    pub subnets: Option<&'a [String]>,
    pub owned: &'a Owned,
    pub adopt: bool,
    pub undoing: Undoing,
}

/// The use of a table, known by the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Use {
    route_table_id: String,
    /// AWS's handle on it, another one after each change.
    #[serde(skip)]
    association_id: String,
}

impl PartialEq for Use {
    fn eq(&self, other: &Self) -> bool {
        self.route_table_id == other.route_table_id
    }
}

/// What subnets use. The association of the main table has no subnet.
fn by_subnet(tables: &[ec2::RouteTable]) -> BTreeMap<String, Use> {
    let associations = tables.iter().flat_map(ec2::RouteTable::associations);
    let one = |association: &ec2::RouteTableAssociation| {
        let association_id = association.route_table_association_id()?.to_owned();
        let route_table_id = association.route_table_id()?.to_owned();
        Some((association.subnet_id()?.to_owned(), Use { route_table_id, association_id }))
    };
    associations.filter_map(one).collect()
}

/// Refuses to take subnets from tables of others.
pub fn check(tables: &[ec2::RouteTable], wanted: &Wanted<'_>) -> Result<(), Error> {
    let present = by_subnet(tables);
    for subnet in wanted.subnets.unwrap_or_default() {
        let used = present.get(subnet).map(|used| used.route_table_id.as_str());
        let table = used.and_then(|used| tables.iter().find(|table| table.route_table_id() == Some(used)));
        if let Some(table) = table {
            let resource = format!("the use of {} by {subnet}", used.unwrap_or_default());
            wanted.owned.check(&resource, &ec2_tags::from_ec2(table.tags()), wanted.adopt)?;
        }
    }
    Ok(())
}

/// Makes the subnets that use `table` the wanted ones, which were checked. Returns what changed.
pub async fn converge(
    ctx: &Ctx,
    table: &str,
    tables: &[ec2::RouteTable],
    wanted: &Wanted<'_>,
) -> Result<Vec<Field>, Error> {
    let Some(subnets) = wanted.subnets else { return Ok(Vec::new()) };
    let present = by_subnet(tables);
    let ours = Use { route_table_id: table.to_owned(), association_id: String::new() };
    let join = subnets.iter().map(|subnet| (subnet, present.get(subnet).cloned(), Some(ours.clone())));
    let leave = present.iter().filter(|(subnet, used)| **used == ours && !subnets.contains(subnet));
    let leave = leave.map(|(subnet, used)| (subnet, Some(used.clone()), None));
    let changes: Vec<_> = join.filter(|(_, before, ours)| before != ours).chain(leave).collect();
    all_of(changes.iter().map(async |(subnet, before, ours)| {
        let setting = TableOf { subnet_id: (*subnet).clone() };
        setting::set(ctx, &setting, before, ours, wanted.undoing).await
    }))
    .await?;
    let table = |used: Option<Use>| used.map(|used| used.route_table_id);
    let field = |(subnet, before, ours): (&String, Option<Use>, Option<Use>)| {
        changed(&format!("route_table_of.{subnet}"), table(before), table(ours))
    };
    Ok(changes.into_iter().map(field).collect())
}

/// The table that a subnet uses, if it has one of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct TableOf {
    subnet_id: String,
}

impl Setting for TableOf {
    type Value = Option<Use>;
    const LOOK_UP: &'static LookUp = &ROUTE_TABLE_ASSOCIATION_IS_SET;
    const UNDO: &'static UndoAction = &RESTORE_ROUTE_TABLE_ASSOCIATION;

    fn subject(&self) -> String {
        format!("route table of {}", self.subnet_id)
    }

    async fn now(&self, ctx: &Ctx, ours: &Option<Use>) -> Result<Option<Option<Use>>, Error> {
        if let Some(Use { route_table_id, .. }) = ours {
            let table = read::route_table(ctx, route_table_id).await?;
            if let Some(used) = table.and_then(|table| by_subnet(&[table]).remove(&self.subnet_id)) {
                return Ok(Some(Some(used)));
            }
        }
        let tables = read::route_tables(ctx, &[], &[filter("association.subnet-id", &self.subnet_id)]).await?;
        Ok(Some(by_subnet(&tables).remove(&self.subnet_id)))
    }

    async fn send(
        &self,
        ctx: &Ctx,
        from: &Option<Use>,
        to: &Option<Use>,
        declare: impl FnOnce(&'static str) -> Mutation,
    ) -> Result<(), Error> {
        let (ec2, subnet) = (&ctx.aws().ec2, &self.subnet_id);
        match (from, to) {
            (None, None) => Ok(()),
            (None, Some(Use { route_table_id: table, .. })) => {
                ctx.change(declare("ec2:AssociateRouteTable"), |permit| {
                    let request = ec2.associate_route_table().route_table_id(table).subnet_id(subnet);
                    request.customize().interceptor(permit).send()
                })
                .await
            }
            (Some(Use { association_id: id, .. }), Some(Use { route_table_id: table, .. })) => {
                ctx.change(declare("ec2:ReplaceRouteTableAssociation"), |permit| {
                    let request = ec2.replace_route_table_association().association_id(id).route_table_id(table);
                    request.customize().interceptor(permit).send()
                })
                .await
            }
            (Some(Use { association_id: id, .. }), None) => {
                ctx.change(declare("ec2:DisassociateRouteTable"), |permit| {
                    ec2.disassociate_route_table().association_id(id).customize().interceptor(permit).send()
                })
                .await
            }
        }
    }
}

/// Finds out whether a subnet got the declared table.
pub const ROUTE_TABLE_ASSOCIATION_IS_SET: LookUp = LookUp {
    name: "route_table_association_is_set",
    run: |ctx, change| Box::pin(setting::is_set::<TableOf>(ctx, change)),
};

/// Gives a subnet its old route table back.
pub const RESTORE_ROUTE_TABLE_ASSOCIATION: UndoAction = UndoAction {
    name: "restore_route_table_association",
    run: |ctx, change| Box::pin(setting::restore::<TableOf>(ctx, change)),
};
