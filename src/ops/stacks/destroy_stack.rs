//! `destroy_stack`: a stack that is not needed any more.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Belonging, KINDS, Rank, full_name, of_stack};
use crate::{
    event::{Change, Event},
    ops::{
        Error, Kind, Operation, all_of, load_balancing::attributes, network::security_group_rules::revoke_references,
        ownership::set,
    },
    run::{Ctx, Seen, Undone, Wait},
};

/// Deletes all that a stack owns, what needs something before what it needs: names first, then load balancers, fleets (their
/// instances are drained), and the network last. It waits for what AWS lets go of only after a while. What the stack does not own stays.
///
/// That is what is in the region of the environment, and what has no region (DNS, IAM). What the stack has in other regions goes first,
/// with `within(#{ region: … }, || destroy_stack())` and `keep` for what has none.
///
/// It is a point of no return: earlier changes of the run are not taken back any more, and what is deleted does not come back.
/// A run that fails half-way is finished by the next. A dry run shows all that would go. A load balancer with deletion protection, and
/// what policy protects, is refused.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DestroyStack {
    /// The name, as `stack` takes it; the runbook's own.
    stack: Option<String>,
    /// Kinds that stay, as `list_stack` names them: `["hosted zone"]`.
    #[serde(default)]
    keep: Vec<String>,
}

/// What became of a stack.
#[derive(Debug, Serialize)]
pub struct DestroyedStack {
    pub stack: String,
    /// How many resources are gone, by kind.
    pub deleted: BTreeMap<String, usize>,
}

impl Kind for DestroyedStack {
    const KIND: &'static str = "destroyed_stack";
    const ID: &'static str = "stack";
}

impl Operation for DestroyStack {
    const NAME: &'static str = "destroy_stack";
    const AREA: &'static str = "Stacks";
    const POSITIONAL: &'static [&'static str] = &["stack"];
    const EXAMPLE: &'static str = r#"destroy_stack(#{ keep: ["hosted zone"] })"#;

    type Options = Self;
    type Handle = DestroyedStack;

    fn subject(options: &Self) -> String {
        options.stack.clone().unwrap_or_default()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<DestroyedStack, Error> {
        let stack = match &options.stack {
            Some(name) => full_name(ctx, name)?,
            None => ctx.stack()?,
        };
        check_kinds(&options.keep)?;
        ctx.lock(&format!("stack {stack}")).await?;
        let found = to_go(ctx, &stack, &options.keep).await?;
        if found.is_empty() {
            ctx.did(Change::Unchanged, []);
            return Ok(DestroyedStack { stack, deleted: BTreeMap::new() });
        }
        check_protection(ctx, &found).await?;
        ask_policy(ctx, &found).await?;
        ctx.commit(&format!("{stack} is deleted"))?;
        let mut stays = Vec::new();
        for rank in found.chunk_by(|a, b| a.rank == b.rank) {
            if name_each_other(rank) {
                let groups: Vec<String> = rank.iter().map(|one| one.id.clone()).collect();
                revoke_references(ctx, &groups).await?;
            }
            stays.extend(all_of(rank.iter().map(|one| delete(ctx, one))).await?.into_iter().flatten());
        }
        if !stays.is_empty() {
            return Err(Error::Unsafe(format!("not everything of {stack} could be deleted: {}", stays.join("; "))));
        }
        // Lists may show for a moment what is gone: the next run is not to begin with that.
        let wait =
            Wait { what: format!("nothing of {stack} to be left"), timeout: LISTED, every: Duration::from_secs(5) };
        let nothing = ctx.wait(wait, async || {
            let left = to_go(ctx, &stack, &options.keep).await?;
            let names: Vec<String> = left.iter().map(|one| format!("{} {}", one.kind, one.name)).collect();
            Ok(if names.is_empty() { Seen::Ready(()) } else { Seen::Pending(names.join(", ")) })
        });
        match nothing.await {
            // AWS has said of each that it is gone.
            Err(Error::TimedOut { seen, .. }) => {
                ctx.emit(Event::Warning { message: format!("lists still show what is deleted: {seen}") });
            }
            nothing => nothing?,
        }
        let mut deleted = BTreeMap::<String, usize>::new();
        found.iter().for_each(|one| *deleted.entry(one.kind.to_owned()).or_default() += 1);
        ctx.did(Change::Deleted, deleted.iter().map(|(kind, count)| set(kind, *count)));
        Ok(DestroyedStack { stack, deleted })
    }
}

/// How long lists may be behind.
const LISTED: Duration = Duration::from_secs(300);

/// A kind that is misspelt would go.
fn check_kinds(keep: &[String]) -> Result<(), Error> {
    match keep.iter().position(|kind| !KINDS.contains(&kind.as_str())) {
        None => Ok(()),
        Some(at) => {
            let message = format!("expected a kind ({}), found `{}`", KINDS.join(", "), keep[at]);
            Err(Error::option(format!("keep[{at}]"), message))
        }
    }
}

/// Of one rank: two groups that name each other keep each other.
fn name_each_other(rank: &[Belonging]) -> bool {
    rank.len() > 1 && rank[0].rank == Rank::SecurityGroups
}

/// About all that will be sent, before anything is: a stack is not to go half.
async fn ask_policy(ctx: &Ctx, found: &[Belonging]) -> Result<(), Error> {
    for rank in found.chunk_by(|a, b| a.rank == b.rank) {
        for one in rank {
            let (call, parameters) = &one.asks;
            ctx.may_send(call, &one.name, parameters).await?;
            if name_each_other(rank) {
                for call in ["ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress"] {
                    ctx.may_send(call, &one.name, &json!({ "GroupId": one.id })).await?;
                }
            }
        }
    }
    Ok(())
}

/// What belongs to the stack, but for kinds that stay.
async fn to_go(ctx: &Ctx, stack: &str, keep: &[String]) -> Result<Vec<Belonging>, Error> {
    let mut found = of_stack(ctx, stack).await?;
    found.retain(|one| !keep.iter().any(|kind| kind == one.kind));
    Ok(found)
}

/// Deletes one. Returns why it stays, if it does.
async fn delete(ctx: &Ctx, one: &Belonging) -> Result<Option<String>, Error> {
    for (undo, arguments) in &one.steps {
        if let Undone::Foreign(why) = (undo.run)(ctx, arguments.clone()).await? {
            return Ok(Some(format!("{} {}: {why}", one.kind, one.name)));
        }
    }
    ctx.emit(Event::Log { message: format!("{} {} is gone", one.kind, one.name) });
    Ok(None)
}

/// Before anything is deleted: a deletion would take the protection away.
async fn check_protection(ctx: &Ctx, found: &[Belonging]) -> Result<(), Error> {
    let balancers = found.iter().filter(|one| one.kind == "load balancer");
    let is_protected = async |one: &Belonging| {
        let attributes = attributes::read(ctx, &one.id).await?;
        let on = attributes.get("deletion_protection.enabled").is_some_and(|value| value == "true");
        Ok::<_, Error>(on.then(|| one.name.clone()))
    };
    let protected: Vec<String> = all_of(balancers.map(is_protected)).await?.into_iter().flatten().collect();
    match protected.as_slice() {
        [] => Ok(()),
        names => Err(Error::Unsafe(format!("{} has deletion protection: nothing was deleted", names.join(", ")))),
    }
}
