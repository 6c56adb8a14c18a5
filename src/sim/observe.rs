//! What of a world can be observed: the one measure of "as before".
//!
//! Everything in accounts counts, as it is and without lag, except the residues listed here: what AWS itself leaves
//! behind and takes away later, and the traces: fields that nobody can set back. A region that is as it was given to
//! the account counts as never used.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::tx::Scope;
use super::world::{Account, Global, Region, World};

/// A row that does not count: table, field and values, and why. This list is closed: a service adds a line here or
/// its rows count.
const RESIDUES: &[Residue] = &[
    Residue {
        table: "instances",
        field: "state",
        values: &["terminated"],
        why: "EC2 shows an instance for about an hour after it is gone",
    },
    Residue {
        table: "scaling_activities",
        field: "status",
        values: &["Successful", "Failed", "Cancelled"],
        why: "Auto Scaling shows what was done for six weeks, also for groups that are gone",
    },
    Residue {
        table: "nat_gateways",
        field: "state",
        values: &["deleted", "failed"],
        why: "EC2 shows a NAT gateway for about an hour after it is gone",
    },
    Residue {
        table: "commands",
        field: "status",
        values: &["Success", "Failed"],
        why: "Systems Manager shows commands for thirty days",
    },
    Residue {
        table: "own_images",
        field: "state",
        values: &["deregistered"],
        why: "it is remembered that there is no such image any more",
    },
    Residue {
        table: "changes",
        field: "status",
        values: &["PENDING", "INSYNC"],
        why: "Route 53 remembers for a while that a zone was changed",
    },
    Residue {
        table: "retired_references",
        field: "state",
        values: &["deleted"],
        why: "Route 53 remembers for days the caller reference of a deleted health check",
    },
    Residue {
        table: "clusters",
        field: "status",
        values: &["INACTIVE"],
        why: "ECS shows a deleted cluster as inactive for a while",
    },
    Residue {
        table: "services",
        field: "status",
        values: &["INACTIVE"],
        why: "ECS shows a deleted service as inactive for a while",
    },
    Residue {
        table: "task_definition_families",
        field: "status",
        values: &["INACTIVE"],
        why: "ECS never uses the number of a revision twice",
    },
    Residue {
        table: "task_definitions",
        field: "status",
        values: &["INACTIVE"],
        why: "a deregistered revision stays, so that what runs of it goes on",
    },
    Residue {
        table: "tasks",
        field: "status",
        values: &["STOPPED"],
        why: "ECS shows a task for an hour after it has stopped",
    },
    Residue {
        table: "subscriptions",
        field: "state",
        values: &["Pending"],
        why: "SNS forgets a subscription that nobody confirms after two days, and has no call to delete it",
    },
];

/// A field that does not count, and why: it says only that something happened, and AWS has no call to set it back.
const TRACES: &[Trace] = &[
    Trace { table: "auto_scaling_groups", field: "given", why: "which target groups it was made with" },
    Trace { table: "auto_scaling_groups", field: "work", why: "Auto Scaling's own memory" },
    Trace { table: "certificates", field: "held_by", why: HELD_BY },
    Trace { table: "health_checks", field: "version", why: "Route 53 counts the changes" },
    Trace { table: "health_check_watches", field: "seen", why: "what the health checkers have seen" },
    Trace { table: "instance_profiles", field: "known_from", why: "when EC2 heard of its role" },
    Trace { table: "launch_templates", field: "numbered", why: "EC2 never uses a version number twice" },
    Trace { table: "parameters", field: "history", why: "Parameter Store remembers what was before" },
    Trace { table: "parameters", field: "modified", why: "when it was last written" },
    Trace { table: "parameters", field: "version", why: "Parameter Store never uses a version number twice" },
    Trace { table: "policies", field: "updated", why: "when its default version last changed" },
    Trace { table: "policies", field: "held_by", why: HELD_BY },
    Trace { table: "policies", field: "last_version", why: "IAM never uses a version number twice" },
    Trace { table: "target_groups", field: "held_by", why: HELD_BY },
    Trace { table: "services", field: "deployments", why: "how the service came to be what it is" },
    Trace { table: "services", field: "events", why: "what the service tells of itself" },
    Trace { table: "task_definition_families", field: "last", why: "ECS never uses the number of a revision twice" },
    Trace { table: "alarms", field: "watch", why: "what CloudWatch itself has seen" },
    Trace { table: "dashboards", field: "modified", why: "when it last changed" },
    Trace { table: "scheduled_actions", field: "arn", why: "it has a UUID that is another one when it is made again" },
    Trace { table: "scheduled_actions", field: "next", why: "when Auto Scaling carries it out next" },
    Trace { table: "topics", field: "deleted", why: "how many of its subscriptions were deleted" },
];

const HELD_BY: &str = "in a fork, what the account said of users that were not read themselves";

/// Tables of what AWS has for everybody: a fork has rows of it as far as somebody looked, and nobody changes them.
const CATALOGUE: &[&str] = &["availability_zones", "images", "instance_types", "prefix_lists"];

/// A list in a row whose order means nothing, and the id that AWS gives an entry anew whenever it is set: not counted.
struct Unordered {
    table: &'static str,
    list: &'static str,
    id: Option<&'static str>,
}

const UNORDERED: &[Unordered] = &[
    // "ReplaceNetworkAclAssociation" and "ReplaceRouteTableAssociation" return a new association id.
    Unordered { table: "network_acls", list: "associations", id: Some("id") },
    Unordered { table: "route_tables", list: "associations", id: Some("id") },
    Unordered { table: "route_tables", list: "routes", id: None },
];

/// Tables whose rows AWS gives a new id whenever they are set, and nobody refers to: they are told apart by what is in
/// them.
const NAMELESS: &[&str] = &["security_group_rules"];

struct Trace {
    table: &'static str,
    field: &'static str,
    #[expect(dead_code, reason = "for the reader of the list")]
    why: &'static str,
}

pub struct Residue {
    pub table: &'static str,
    pub field: &'static str,
    pub values: &'static [&'static str],
    pub why: &'static str,
}

pub fn residues() -> &'static [Residue] {
    RESIDUES
}

pub fn observe(world: &World) -> Value {
    // In a fork, what AWS put there was read; a region of which nothing was read has nothing.
    let pristine = |scope: &Scope| if world.fork.is_some() { Region::default() } else { Region::pristine(scope) };
    let accounts = world.accounts.iter();
    let observed = accounts.filter_map(|(name, account)| Some((name.clone(), self::account(name, account, pristine)?)));
    Value::Object(observed.collect())
}

/// A table in which two worlds differ, and by how many rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub table: String,
    pub more: usize,
    pub fewer: usize,
    pub changed: usize,
}

/// What can be observed to differ between `before` and `after`, by table.
pub fn differences(before: &World, after: &World) -> Vec<Difference> {
    let mut found: Vec<Difference> = Vec::new();
    let names: BTreeSet<&String> = before.accounts.keys().chain(after.accounts.keys()).collect();
    for name in names {
        let (was, is) = (before.accounts.get(name), after.accounts.get(name));
        let global =
            |account: Option<&Account>| account.map_or_else(|| rows(&Global::default()), |it| rows(&it.global));
        compare(&global(was), &global(is), &mut found);
        let regions = [was, is].into_iter().flatten().flat_map(|account| account.regions.keys());
        for region in regions.collect::<BTreeSet<_>>() {
            let scope = Scope { account: name.clone(), region: region.clone() };
            let of = |world: &World, account: Option<&Account>| match account.and_then(|it| it.regions.get(region)) {
                Some(region) => rows(region),
                None if world.fork.is_some() => rows(&Region::default()),
                None => rows(&Region::pristine(&scope)),
            };
            compare(&of(before, was), &of(after, is), &mut found);
        }
    }
    found
}

/// `{ service: { table: { id: row } } }`
fn compare(before: &Value, after: &Value, found: &mut Vec<Difference>) {
    let tables = |part: &Value| -> BTreeMap<String, Map<String, Value>> {
        let services = part.as_object().into_iter().flatten();
        let tables = services.flat_map(|(_, service)| service.as_object().into_iter().flatten());
        tables.filter_map(|(table, rows)| Some((table.clone(), rows.as_object()?.clone()))).collect()
    };
    let (before, after) = (tables(before), tables(after));
    for table in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let none = Map::new();
        let (was, is) = (before.get(table).unwrap_or(&none), after.get(table).unwrap_or(&none));
        let difference = Difference {
            table: table.clone(),
            more: is.keys().filter(|id| !was.contains_key(*id)).count(),
            fewer: was.keys().filter(|id| !is.contains_key(*id)).count(),
            changed: was.iter().filter(|(id, row)| is.get(*id).is_some_and(|now| now != *row)).count(),
        };
        if difference.more + difference.fewer + difference.changed > 0 {
            found.push(difference);
        }
    }
}

fn account(name: &str, account: &Account, pristine: impl Fn(&Scope) -> Region) -> Option<Value> {
    let mut regions = Map::new();
    for (region, now) in &account.regions {
        let scope = Scope { account: name.to_owned(), region: region.clone() };
        let now = rows(now);
        if now != rows(&pristine(&scope)) {
            regions.insert(region.clone(), now);
        }
    }
    let global = rows(&account.global);
    let untouched = regions.is_empty() && global == rows(&Global::default());
    (!untouched).then(|| serde_json::json!({ "global": global, "regions": regions }))
}

/// Serialises, and reduces each row of a table to its value.
fn rows<T: serde::Serialize>(part: &T) -> Value {
    let value = serde_json::to_value(part).expect("tables have string keys and serialise");
    reduce("", value)
}

fn reduce(table: &str, value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let counted = fields.into_iter().filter(|(name, _)| !CATALOGUE.contains(&name.as_str()));
            let kept = counted.filter_map(|(name, value)| match as_row(&value) {
                Some((row, deleted)) => {
                    let counts = !deleted && !RESIDUES.iter().any(|residue| residue.covers(table, row));
                    counts.then(|| named(table, name, ordered(table, without_traces(table, row))))
                }
                None => {
                    let value = reduce(&name, value);
                    Some((name, value))
                }
            });
            Value::Object(kept.collect())
        }
        Value::Array(elements) => Value::Array(elements.into_iter().map(|value| reduce(table, value)).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

fn without_traces(table: &str, row: &Value) -> Value {
    let mut row = row.clone();
    if let Some(fields) = row.as_object_mut() {
        fields.retain(|name, _| !TRACES.iter().any(|trace| trace.table == table && trace.field == name));
    }
    row
}

/// The row with its lists in one order.
fn ordered(table: &str, mut row: Value) -> Value {
    for unordered in UNORDERED.iter().filter(|unordered| unordered.table == table) {
        let Some(entries) = row.get_mut(unordered.list).and_then(Value::as_array_mut) else { continue };
        for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
            entry.retain(|name, _| Some(name.as_str()) != unordered.id);
        }
        entries.sort_by_key(Value::to_string);
    }
    row
}

/// The row under its name, or under what is in it.
fn named(table: &str, name: String, mut row: Value) -> (String, Value) {
    if !NAMELESS.contains(&table) {
        return (name, row);
    }
    if let Some(fields) = row.as_object_mut() {
        fields.remove("id");
    }
    (row.to_string(), row)
}

/// A serialised `table::Row`, and whether it is deleted.
fn as_row(value: &Value) -> Option<(&Value, bool)> {
    let (row, seen) = (value.get("row")?, value.get("seen")?);
    Some((row, seen.get("deleted_at").is_some()))
}

impl Residue {
    fn covers(&self, table: &str, row: &Value) -> bool {
        let value = row.get(self.field).and_then(Value::as_str);
        table == self.table && value.is_some_and(|value| self.values.contains(&value))
    }
}
