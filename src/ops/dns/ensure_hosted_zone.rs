//! `ensure_hosted_zone`: a domain of one's own.

use aws_sdk_route53::types::{HostedZone as Zone, HostedZoneConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    HostedZone, bare_id, record_set,
    reference::{self, Referred},
    tags::{self, ZoneTags},
    zone::{self, GONE},
};
use crate::{
    event::{Change, Field},
    ops::{
        Error, Operation, Tags, Together, all_of, arguments,
        ownership::{Owned, changed, set},
        tagged::{self, Tagged},
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that the stack has a public hosted zone of this name.
///
/// The parent zone must delegate to its `name_servers` before anybody else sees it. Route 53 would make a second zone
/// of the same name; here one of somebody else's is refused, unless it is adopted. Zones cannot be tagged at their
/// creation: until they are, their caller reference, `runner/<stack>/…`, says whose they are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureHostedZone {
    /// The domain name: `"example.com"`. The stack's name is not put before it.
    name: String,
    /// Up to 256 characters. Left out, it is left alone.
    comment: Option<String>,
    /// More tags; Route 53 allows ten in all.
    #[serde(default)]
    tags: Tags,
    /// Takes over a zone of this name that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// What is kept of a created zone.
#[derive(Serialize, Deserialize)]
struct Made {
    hosted_zone_id: String,
    name_servers: Vec<String>,
}

impl Operation for EnsureHostedZone {
    const NAME: &'static str = "ensure_hosted_zone";
    const AREA: &'static str = "Route 53";
    const EXAMPLE: &'static str = r#"ensure_hosted_zone(#{ name: "example.com" })"#;

    type Options = Self;
    type Handle = HostedZone;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<HostedZone, Error> {
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        tags::check_count(&owned)?;
        let (what, prefix) = (format!("hosted zone {}", options.name), reference::prefix_of(&owned.stack));
        let zones = found(ctx, &options.name).await?;
        match reference::pick(zones, &what, &owned, &prefix, options.adopt)? {
            Some(zone) => converge(ctx, &options, &owned, &zone).await,
            None => create(ctx, &options, &owned).await,
        }
    }
}

/// The zones of this name, with their tags.
async fn found(ctx: &Ctx, name: &str) -> Result<Vec<Referred<Zone>>, Error> {
    let zones = zone::find(ctx, name, false).await?;
    let tags = all_of(zones.iter().map(|zone| ZoneTags::read(ctx, bare_id(zone.id()))));
    // Its records are needed next. If they cannot be read, that is said then.
    let records = all_of(zones.iter().map(|zone| record_set::first_page(ctx, bare_id(zone.id()))));
    let (tags, _) = futures::join!(tags, records);
    let one = |(zone, tags): (Zone, _)| {
        let (id, reference) = (bare_id(zone.id()).to_owned(), zone.caller_reference().to_owned());
        Referred { what: zone, id, reference, tags }
    };
    Ok(zones.into_iter().zip(tags?).map(one).collect())
}

async fn create(ctx: &Ctx, options: &EnsureHostedZone, owned: &Owned) -> Result<HostedZone, Error> {
    const CALL: &str = "route53:CreateHostedZone";
    let name = &options.name;
    // Within 128 characters, and another one for each operation: a reference is never used twice.
    let reference = format!("{}{}/{}", reference::prefix_of(&owned.stack), ctx.run_id(), ctx.id());
    let declared = Mutation::new(CALL, Class::Unique, format!("hosted zone {name}"))
        .look_up(&ZONE_BY_REFERENCE, json!({ "name": name, "caller_reference": reference }))
        .undo(
            Undo::new(&DELETE_HOSTED_ZONE, format!("delete hosted zone {name}"), json!({}))
                .keep(options.keep_on_rollback),
        );
    let config = options.comment.as_ref().map(|comment| HostedZoneConfig::builder().comment(comment).build());
    let Made { hosted_zone_id, name_servers } = ctx
        .mutate(
            declared,
            |permit| {
                let request = ctx.aws().route53.create_hosted_zone().name(name).caller_reference(&reference);
                request.set_hosted_zone_config(config.clone()).customize().interceptor(permit).send()
            },
            |reply| {
                let zone = reply.hosted_zone().ok_or(Error::Reply { call: CALL, member: "HostedZone" })?;
                let servers = reply.delegation_set().map(|set| set.name_servers().to_vec()).unwrap_or_default();
                Ok(Made { hosted_zone_id: bare_id(zone.id()).to_owned(), name_servers: servers })
            },
        )
        .await?;
    ZoneTags::set(ctx, &hosted_zone_id, &owned.tags(), None).await?;
    ctx.did(
        Change::Created,
        [set("hosted_zone_id", hosted_zone_id.clone()), set("name_servers", name_servers.clone())],
    );
    Ok(HostedZone { hosted_zone_id, name: super::plain(name), name_servers })
}

async fn converge(
    ctx: &Ctx,
    options: &EnsureHostedZone,
    owned: &Owned,
    found: &Referred<Zone>,
) -> Result<HostedZone, Error> {
    let Referred { what: zone, id, tags, .. } = found;
    let missing = found.missing(owned, &reference::prefix_of(&owned.stack));
    let now = zone.config().and_then(|config| config.comment()).unwrap_or_default();
    let comment = options.comment.as_deref().filter(|wanted| *wanted != now);
    let (name_servers, mut fields, changed) = futures::join!(
        zone::seen_name_servers(ctx, id, zone.name()),
        tagged::add::<ZoneTags>(ctx, id, tags, missing),
        async {
            match comment {
                Some(wanted) => change_comment(ctx, id, now, wanted).await.map(Some),
                None => Ok(None),
            }
        },
    )
    .together()?;
    fields.extend(changed);
    ctx.did(if fields.is_empty() { Change::Unchanged } else { Change::Updated }, fields);
    Ok(zone::handle(zone, name_servers))
}

async fn change_comment(ctx: &Ctx, id: &str, found: &str, wanted: &str) -> Result<Field, Error> {
    let undo = Undo::new(
        &RESTORE_ZONE_COMMENT,
        format!("restore the comment of hosted zone {id}"),
        json!({ "hosted_zone_id": id, "before": found, "ours": wanted }),
    );
    set_comment(ctx, id, wanted, Some(undo)).await?;
    Ok(changed("comment", found, wanted))
}

async fn set_comment(ctx: &Ctx, id: &str, comment: &str, undo: Option<Undo>) -> Result<(), Error> {
    let mut declared = Mutation::new("route53:UpdateHostedZoneComment", Class::Idempotent, id);
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    ctx.change(declared, |permit| {
        // Without one, the comment is deleted.
        let comment = Some(comment.to_owned()).filter(|comment| !comment.is_empty());
        let request = ctx.aws().route53.update_hosted_zone_comment().id(id).set_comment(comment);
        request.customize().interceptor(permit).send()
    })
    .await
}

/// Finds a zone by the caller reference it was made with.
pub const ZONE_BY_REFERENCE: LookUp =
    LookUp { name: "zone_by_reference", run: |ctx, arguments| Box::pin(zone_by_reference(ctx, arguments)) };

#[derive(Deserialize)]
struct ByReference {
    name: String,
    caller_reference: String,
}

async fn zone_by_reference(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByReference { name, caller_reference } = arguments(wanted)?;
    let zones = zone::find(ctx, &name, false).await?;
    let Some(zone) = zones.iter().find(|zone| zone.caller_reference() == caller_reference) else { return Ok(None) };
    let name_servers = zone::name_servers(ctx, zone.id()).await?;
    Ok(Some(json!(Made { hosted_zone_id: bare_id(zone.id()).to_owned(), name_servers })))
}

/// Deletes a zone this run made. What others have put into it is not deleted, and then it stays.
pub const DELETE_HOSTED_ZONE: UndoAction =
    UndoAction { name: "delete_hosted_zone", run: |ctx, arguments| Box::pin(delete_hosted_zone(ctx, arguments)) };

async fn delete_hosted_zone(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { hosted_zone_id: id, .. } = arguments(made)?;
    let declared = Mutation::new("route53:DeleteHostedZone", Class::Idempotent, &id);
    let deleted = ctx.change(declared, |permit| {
        ctx.aws().route53.delete_hosted_zone().id(&id).customize().interceptor(permit).send()
    });
    match deleted.await {
        Err(error) if error.is(GONE) => Ok(Undone::Already),
        deleted => deleted.map(|()| Undone::Done),
    }
}

/// Puts a zone's comment back.
pub const RESTORE_ZONE_COMMENT: UndoAction =
    UndoAction { name: "restore_zone_comment", run: |ctx, arguments| Box::pin(restore_zone_comment(ctx, arguments)) };

#[derive(Deserialize)]
struct RestoreComment {
    hosted_zone_id: String,
    before: String,
    ours: String,
}

async fn restore_zone_comment(ctx: &Ctx, restore: Value) -> Result<Undone, Error> {
    let RestoreComment { hosted_zone_id: id, before, ours } = arguments(restore)?;
    let read = ctx.read("route53:GetHostedZone", || ctx.aws().route53.get_hosted_zone().id(&id).send()).await;
    let zone = match read {
        Ok(reply) => reply.hosted_zone,
        Err(error) if error.is(GONE) => return Ok(Undone::Already),
        Err(error) => return Err(error),
    };
    let found = zone.and_then(|zone| zone.config).and_then(|config| config.comment).unwrap_or_default();
    if found == before {
        return Ok(Undone::Already);
    }
    if found != ours {
        return Ok(Undone::Foreign(format!("expected the comment {ours:?}, found {found:?}")));
    }
    set_comment(ctx, &id, &before, None).await.map(|()| Undone::Done)
}
