//! `ensure_route_table`: where the packets of subnets go.

use aws_sdk_ec2::types::{self as ec2, ResourceType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    RouteTable, Subnets, Vpc,
    common::{IN_USE, LET_GO, has_tags, is_named, only, tag_filters},
    read,
    route::{self, RouteOptions},
    route_table_association as association,
    setting::Undoing,
    shared,
};
use crate::{
    event::Change,
    ops::{
        Error, IdOf, IdsOf, Operation, Tags, Together, arguments, ec2_tags,
        outcome::{deleted, report},
        ownership::{MadeBy, Owned, set},
        require,
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that a VPC has this route table, that it has these routes and no others, and that these subnets use it.
/// Routes that AWS keeps itself are left alone: within the VPC, propagated by a virtual private gateway, or of a
/// gateway endpoint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureRouteTable {
    /// What the stack calls it; AWS shows `<stack>-<name>`.
    name: String,
    /// The VPC it is in.
    vpc_id: IdOf<Vpc>,
    /// The subnets that use it, and no others: one that used another table of the stack changes over, one that is not
    /// listed goes back to the VPC's main table. If left out, the subnets that use it are left alone.
    subnet_ids: Option<IdsOf<Subnets>>,
    /// Its routes, each with one destination and one target:
    /// `#{ destination_cidr_block: "0.0.0.0/0", gateway_id: internet_gateway }`.
    #[serde(default)]
    routes: Vec<RouteOptions>,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a route table of this name that the stack does not own, and subnets that use a table of others.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place, with its subnets, when the run that made it is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// What is kept of a created table.
#[derive(Serialize, Deserialize)]
struct Made {
    route_table_id: String,
}

impl Operation for EnsureRouteTable {
    const NAME: &'static str = "ensure_route_table";
    const AREA: &'static str = "VPC";
    const EXAMPLE: &'static str = r#"ensure_route_table(#{
    name: "public", vpc_id: vpc, subnet_ids: front,
    routes: [#{ destination_cidr_block: "0.0.0.0/0", gateway_id: internet_gateway }],
})"#;

    type Options = Self;
    type Handle = RouteTable;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<RouteTable, Error> {
        let wanted = route::wanted(&options.routes)?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let vpc_id = options.vpc_id.as_str();
        // All of the VPC: the others show which subnets they have.
        let tables = shared::route_tables_of(ctx, vpc_id).await?;
        let named = tables.iter().filter(|table| is_named(table.tags(), &owned.name)).collect();
        let found = only(&format!("route table {}", owned.name), named, |table| table.route_table_id())?;
        let subnets = options.subnet_ids.as_ref().map(IdsOf::as_slice);
        // The subnets of a table that is kept stay with it.
        let undoing = if found.is_none() && options.keep_on_rollback { Undoing::Keep } else { Undoing::Yes };
        let subnets = association::Wanted { subnets, owned: &owned, adopt: options.adopt, undoing };
        association::check(&tables, &subnets)?;
        let present = found.map(route::of_table).unwrap_or_default();
        let route_table_id = match found {
            Some(table) => {
                let id: String = require("ec2:DescribeRouteTables", "routeTableId", table.route_table_id())?;
                let tags = ec2_tags::from_ec2(table.tags());
                owned.check(&format!("route table {} ({id})", owned.name), &tags, options.adopt)?;
                let (mut fields, routes, moved) = futures::join!(
                    ec2_tags::converge(ctx, &id, &owned, &tags),
                    route::converge(ctx, &id, &present, &wanted, Undoing::Yes),
                    association::converge(ctx, &id, &tables, &subnets),
                )
                .together()?;
                fields.extend(routes);
                fields.extend(moved);
                report(ctx, fields);
                id
            }
            None => {
                let Made { route_table_id: id } = create(ctx, &options, &owned).await?;
                // Its routes go with it and need no undo, its subnets must leave it first.
                futures::join!(
                    route::converge(ctx, &id, &present, &wanted, Undoing::No),
                    association::converge(ctx, &id, &tables, &subnets),
                )
                .together()?;
                ctx.did(Change::Created, [set("route_table_id", id.clone())]);
                id
            }
        };
        Ok(RouteTable { route_table_id, vpc_id: vpc_id.to_owned(), name: owned.name })
    }
}

async fn create(ctx: &Ctx, options: &EnsureRouteTable, owned: &Owned) -> Result<Made, Error> {
    let name = &owned.name;
    let undo = Undo::new(&DELETE_ROUTE_TABLE, format!("delete route table {name}"), json!({}));
    let declared = Mutation::new("ec2:CreateRouteTable", Class::Token, format!("route table {name}"))
        .look_up(&ROUTE_TABLE_BY_TAGS, json!(owned.made()))
        .undo(undo.keep(options.keep_on_rollback));
    ctx.mutate(
        declared,
        |permit| {
            ctx.aws()
                .ec2
                .create_route_table()
                .client_token(permit.token())
                .vpc_id(options.vpc_id.as_str())
                .tag_specifications(ec2_tags::specification(ResourceType::RouteTable, owned))
                .customize()
                .interceptor(permit)
                .send()
        },
        |reply| {
            let id = reply.route_table().and_then(ec2::RouteTable::route_table_id);
            Ok(Made { route_table_id: require("ec2:CreateRouteTable", "routeTable.routeTableId", id)? })
        },
    )
    .await
}

/// Finds a route table by the tags it was created with.
pub const ROUTE_TABLE_BY_TAGS: LookUp =
    LookUp { name: "route_table_by_tags", run: |ctx, arguments| Box::pin(route_table_by_tags(ctx, arguments)) };

async fn route_table_by_tags(ctx: &Ctx, made: Value) -> Result<Option<Value>, Error> {
    let MadeBy(tags) = arguments(made)?;
    let mut found = read::route_tables(ctx, &[], &tag_filters(&tags)).await?;
    found.retain(|table| has_tags(table.tags(), &tags));
    Ok(found.first().map(|table| json!({ "route_table_id": table.route_table_id() })))
}

/// Deletes a route table this run made.
pub const DELETE_ROUTE_TABLE: UndoAction =
    UndoAction { name: "delete_route_table", run: |ctx, arguments| Box::pin(delete_route_table(ctx, arguments)) };

async fn delete_route_table(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { route_table_id: id } = arguments(made)?;
    let declared = Mutation::new("ec2:DeleteRouteTable", Class::Idempotent, &id).patiently(IN_USE, LET_GO);
    let deletion = ctx.change(declared, |permit| {
        ctx.aws().ec2.delete_route_table().route_table_id(&id).customize().interceptor(permit).send()
    });
    deleted(deletion.await, &["InvalidRouteTableID.NotFound"])
}
