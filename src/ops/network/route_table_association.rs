//! Which route table a subnet uses: none of its own means the main table of the VPC.
//!
//! An association cannot be tagged. It belongs to who owns the table it is with: one with a table of somebody else is
//! only changed with `adopt`.

use std::collections::BTreeMap;

use aws_sdk_ec2::types as ec2;
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    common::{filter, nothing_to_undo},
    read,
};
use crate::{
    event::Field,
    ops::{
        Error, arguments, ec2_tags,
        ownership::{Owned, changed},
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// The subnets that should use a table, or nothing when that is left alone.
pub struct Wanted<'a> {
    pub subnets: Option<&'a [String]>,
    pub owned: &'a Owned,
    pub adopt: bool,
    /// `keep_on_rollback` of the table.
    pub keep: bool,
}

/// An association of a subnet.
#[derive(Clone, Debug, PartialEq)]
struct Association {
    id: String,
    table: String,
}

/// The associations of subnets in these tables. The main table's own has no subnet.
fn by_subnet(tables: &[ec2::RouteTable]) -> BTreeMap<String, Association> {
    let associations = tables.iter().flat_map(ec2::RouteTable::associations);
    let one = |association: &ec2::RouteTableAssociation| {
        let id = association.route_table_association_id()?.to_owned();
        Some((association.subnet_id()?.to_owned(), Association { id, table: association.route_table_id()?.to_owned() }))
    };
    associations.filter_map(one).collect()
}

/// Refuses to take subnets from tables of others.
pub fn check(tables: &[ec2::RouteTable], wanted: &Wanted<'_>) -> Result<(), Error> {
    let present = by_subnet(tables);
    for subnet in wanted.subnets.unwrap_or_default() {
        let table = present.get(subnet).map(|association| &association.table);
        let table = tables.iter().find(|other| table.is_some_and(|table| other.route_table_id() == Some(table)));
        if let Some(table) = table {
            let resource = format!("the use of {} by {subnet}", table.route_table_id().unwrap_or_default());
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
    let using = |subnet: &String| present.get(subnet).map(|association| association.table.clone());
    let join = subnets.iter().map(|subnet| (subnet, Some(table.to_owned())));
    let leave = present.iter().filter(|(subnet, association)| association.table == table && !subnets.contains(subnet));
    let changes = join.chain(leave.map(|(subnet, _)| (subnet, None)));
    let changes = changes.map(|(subnet, ours)| Change { subnet_id: subnet.clone(), before: using(subnet), ours });
    let changes: Vec<Change> = changes.filter(|change| change.before != change.ours).collect();
    try_join_all(changes.iter().map(|change| {
        let undo = Undo::new(
            &RESTORE_ROUTE_TABLE_ASSOCIATION,
            format!("restore the route table of {}", change.subnet_id),
            json!(change),
        );
        change.make(ctx, present.get(&change.subnet_id), Some(undo.keep(wanted.keep)))
    }))
    .await?;
    let field = |change: Change| changed(&format!("route_table_of.{}", change.subnet_id), change.before, change.ours);
    Ok(changes.into_iter().map(field).collect())
}

/// One subnet that gets another table. Also what its undo and its look-up need.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Change {
    subnet_id: String,
    before: Option<String>,
    ours: Option<String>,
}

impl Change {
    /// Made again, a replacement is refused, because the association has a new id then: so they are looked up.
    async fn make(&self, ctx: &Ctx, present: Option<&Association>, undo: Option<Undo>) -> Result<(), Error> {
        let subnet = &self.subnet_id;
        let declare = |call| {
            let declared = Mutation::new(call, Class::Unique, format!("route table of {subnet}"))
                .look_up(&ROUTE_TABLE_ASSOCIATION_IS_SET, json!(self));
            match undo {
                Some(undo) => declared.undo(undo),
                None => declared,
            }
        };
        match (present, &self.ours) {
            (None, None) => Ok(()),
            (None, Some(table)) => {
                ctx.change(declare("ec2:AssociateRouteTable"), |permit| {
                    ctx.aws()
                        .ec2
                        .associate_route_table()
                        .route_table_id(table)
                        .subnet_id(subnet)
                        .customize()
                        .interceptor(permit)
                        .send()
                })
                .await
            }
            (Some(Association { id, .. }), Some(table)) => {
                ctx.change(declare("ec2:ReplaceRouteTableAssociation"), |permit| {
                    ctx.aws()
                        .ec2
                        .replace_route_table_association()
                        .association_id(id)
                        .route_table_id(table)
                        .customize()
                        .interceptor(permit)
                        .send()
                })
                .await
            }
            (Some(Association { id, .. }), None) => {
                ctx.change(declare("ec2:DisassociateRouteTable"), |permit| {
                    ctx.aws().ec2.disassociate_route_table().association_id(id).customize().interceptor(permit).send()
                })
                .await
            }
        }
    }

    async fn now(&self, ctx: &Ctx) -> Result<Option<Association>, Error> {
        let tables = read::route_tables(ctx, &[], &[filter("association.subnet-id", &self.subnet_id)]).await?;
        Ok(by_subnet(&tables).remove(&self.subnet_id))
    }
}

/// Finds out whether a subnet got the declared table.
pub const ROUTE_TABLE_ASSOCIATION_IS_SET: LookUp = LookUp {
    name: "route_table_association_is_set",
    run: |ctx, arguments| Box::pin(route_table_association_is_set(ctx, arguments)),
};

async fn route_table_association_is_set(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let change: Change = arguments(wanted)?;
    let now = change.now(ctx).await?.map(|association| association.table);
    Ok((now == change.ours).then_some(Value::Null))
}

/// Gives a subnet its old route table back.
pub const RESTORE_ROUTE_TABLE_ASSOCIATION: UndoAction = UndoAction {
    name: "restore_route_table_association",
    run: |ctx, arguments| Box::pin(restore_route_table_association(ctx, arguments)),
};

async fn restore_route_table_association(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let change: Change = arguments(change)?;
    let present = change.now(ctx).await?;
    let now = present.as_ref().map(|association| association.table.clone());
    if let Some(undone) = nothing_to_undo(&now, &change.before, &change.ours) {
        return Ok(undone);
    }
    let back = Change { before: now, ours: change.before, ..change };
    back.make(ctx, present.as_ref(), None).await?;
    Ok(Undone::Done)
}
