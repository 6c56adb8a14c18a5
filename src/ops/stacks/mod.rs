//! Whole stacks: what belongs to one, and taking it away.
//!
//! Ownership is where each kind of resource has it: in its tags, or, for records, in the text beside them. A file here per
//! area finds what is there, and says which undo takes it away: deleting a stack is what its rollback would do.

mod containers;
pub mod destroy_stack;
mod dns;
mod fleets;
mod identity;
pub mod list_stack;
mod load_balancing;
mod monitoring;
mod network;
pub mod stale_stacks;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Error, Kind, Together, all_of,
    ownership::{RUN_TAG, STACK_TAG},
    tagged::Tagged,
};
use crate::run::{Ctx, UndoAction};

/// Something that a stack owns.
pub(super) struct Belonging {
    pub stack: String,
    /// The run that made it, if it says.
    pub run: Option<String>,
    /// `security group`
    pub kind: &'static str,
    /// An id, an ARN or a name.
    pub id: String,
    pub name: String,
    pub rank: Rank,
    /// The call that deletes it, with what policy looks at of its parameters.
    pub asks: (&'static str, Value),
    /// What takes it away, in order.
    pub steps: Vec<(&'static UndoAction, Value)>,
}

/// A call that deletes something, and the parameter that names it there.
pub(super) type Asks = (&'static str, &'static str);

/// When something can go: what needs it goes before it. Of one rank, all go at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Nobody is led there any more.
    Names,
    LoadBalancers,
    Fleets,
    /// What fleets and load balancers were made of.
    Parts,
    Profiles,
    Roles,
    Policies,
    SecurityGroups,
    Subnets,
    /// What subnets were associated with.
    Associated,
    InternetGateways,
    Vpcs,
    Zones,
}

/// What there is of kinds: what `list_stack` says, and `destroy_stack` takes to keep.
const KINDS: &[&str] = &[
    "Auto Scaling group",
    "ECS cluster",
    "ECS service",
    "IAM policy",
    "IAM role",
    "NAT gateway",
    "VPC",
    "address",
    "alarm",
    "certificate",
    "dashboard",
    "health check",
    "hosted zone",
    "image",
    "instance profile",
    "internet gateway",
    "launch template",
    "listener",
    "listener rule",
    "load balancer",
    "log group",
    "network ACL",
    "parameter",
    "record",
    "repository",
    "route table",
    "security group",
    "subnet",
    "target group",
    "task definition",
    "topic",
];

type TagMap = BTreeMap<String, String>;

/// Each with its tags, but for what a list still shows and is gone. `asked_by` says how its tags are asked for.
async fn tagged<T: Tagged>(
    ctx: &Ctx,
    ids: impl IntoIterator<Item = String>,
    asked_by: impl Fn(&str) -> String,
) -> Result<Vec<(String, TagMap)>, Error> {
    let read = async |id: String| match T::read(ctx, &asked_by(&id)).await {
        Ok(tags) => Ok(Some((id, tags))),
        Err(error) if error.is(T::GONE) => Ok(None),
        Err(error) => Err(error),
    };
    Ok(all_of(ids.into_iter().map(read)).await?.into_iter().flatten().collect())
}

impl Belonging {
    /// What has these tags, if it belongs to a stack.
    fn tagged(tags: &TagMap, kind: &'static str, id: impl Into<String>, rank: Rank, asks: Asks) -> Option<Self> {
        let id = id.into();
        let name = tags.get("Name").cloned().unwrap_or_else(|| id.clone());
        let (stack, run) = (tags.get(STACK_TAG)?.clone(), tags.get(RUN_TAG).cloned());
        let (call, parameter) = asks;
        let asks = (call, json!({ parameter: &id }));
        Some(Self { stack, run, kind, id, name, rank, asks, steps: Vec::new() })
    }

    fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    fn gone_by(mut self, undo: &'static UndoAction, arguments: Value) -> Self {
        self.steps.push((undo, arguments));
        self
    }
}

/// All that a stack owns in this region, and of the account what is outside of regions.
async fn of_stack(ctx: &Ctx, stack: &str) -> Result<Vec<Belonging>, Error> {
    let (network, fleets, containers, balancing, identity, names, monitoring) = futures::join!(
        network::of_stack(ctx, stack),
        fleets::all(ctx),
        containers::of_stack(ctx, stack),
        load_balancing::of_stack(ctx, stack),
        identity::of_stack(ctx, stack),
        dns::of_stack(ctx, stack),
        monitoring::of_stack(ctx, stack),
    )
    .together()?;
    let all = [network, fleets, containers, balancing, identity, names, monitoring].into_iter().flatten();
    let mut all: Vec<Belonging> = all.filter(|one| one.stack == stack).collect();
    debug_assert!(all.iter().all(|one| KINDS.contains(&one.kind)), "each kind is listed");
    all.sort_by(|a, b| (a.rank, a.kind, &a.name, &a.id).cmp(&(b.rank, b.kind, &b.name, &b.id)));
    Ok(all)
}

/// What a stack owns.
#[derive(Debug, Serialize)]
pub struct StackResources {
    pub stack: String,
    /// In the order in which they would go.
    pub resources: Vec<StackResource>,
}

/// Something that a stack owns, for a runbook.
#[derive(Debug, Serialize)]
pub struct StackResource {
    pub kind: String,
    pub id: String,
    pub name: String,
}

impl Kind for StackResources {
    const KIND: &'static str = "stack_resources";
    const ID: &'static str = "stack";
}

impl From<&Belonging> for StackResource {
    fn from(one: &Belonging) -> Self {
        Self { kind: one.kind.to_owned(), id: one.id.clone(), name: one.name.clone() }
    }
}

/// The name that a stack has in this environment: `shop-prod` for `shop`.
fn full_name(ctx: &Ctx, name: &str) -> Result<String, Error> {
    let environment = ctx.defaults().environment.ok_or_else(|| Error::Missing {
        what: "a stack".into(),
        needs: "an environment",
        hint: "call `environment(\"…\")` before the first operation",
    })?;
    Ok(format!("{name}-{environment}"))
}
