//! Tags of hosted zones and of health checks, by their ids.

use std::collections::BTreeMap;

use aws_sdk_route53::types::{Tag, TagResourceType};

use super::{health_check, zone};
use crate::{
    ops::{
        Error, all_of,
        ownership::Owned,
        tagged::{Tagged, restore},
    },
    run::{Class, Ctx, Mutation, Undo, UndoAction},
};

type TagMap = BTreeMap<String, String>;

/// Tags of a zone.
pub(in crate::ops) struct ZoneTags;

/// Tags of a health check.
pub(in crate::ops) struct HealthCheckTags;

/// Puts changed tags of a zone back.
pub const RESTORE_ZONE_TAGS: UndoAction =
    UndoAction { name: "restore_zone_tags", run: |ctx, arguments| Box::pin(restore::<ZoneTags>(ctx, arguments)) };

/// Puts changed tags of a health check back.
pub const RESTORE_HEALTH_CHECK_TAGS: UndoAction = UndoAction {
    name: "restore_health_check_tags",
    run: |ctx, arguments| Box::pin(restore::<HealthCheckTags>(ctx, arguments)),
};

/// A kind of resource that Route 53 has tags for.
pub(in crate::ops) trait OfRoute53 {
    const TYPE: TagResourceType;
    const RESTORE: &'static UndoAction;
    const GONE: &'static [&'static str];
}

impl OfRoute53 for ZoneTags {
    const TYPE: TagResourceType = TagResourceType::Hostedzone;
    const RESTORE: &'static UndoAction = &RESTORE_ZONE_TAGS;
    const GONE: &'static [&'static str] = zone::GONE;
}

impl OfRoute53 for HealthCheckTags {
    const TYPE: TagResourceType = TagResourceType::Healthcheck;
    const RESTORE: &'static UndoAction = &RESTORE_HEALTH_CHECK_TAGS;
    const GONE: &'static [&'static str] = health_check::GONE;
}

impl<T: OfRoute53> Tagged for T {
    const RESTORE: &'static UndoAction = T::RESTORE;
    const GONE: &'static [&'static str] = T::GONE;

    async fn read(ctx: &Ctx, id: &str) -> Result<TagMap, Error> {
        let request = || ctx.aws().route53.list_tags_for_resource().resource_type(T::TYPE).resource_id(id).send();
        let reply = ctx.read_of("route53:ListTagsForResource", id, request).await?;
        Ok(map(reply.resource_tag_set.and_then(|set| set.tags)))
    }

    async fn set(ctx: &Ctx, id: &str, tags: &TagMap, undo: Option<Undo>) -> Result<(), Error> {
        let tags: Vec<Tag> = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
        change(ctx, T::TYPE, id, Some(tags), None, undo).await
    }

    async fn remove(ctx: &Ctx, id: &str, keys: &[String]) -> Result<(), Error> {
        change(ctx, T::TYPE, id, None, Some(keys.to_vec()), None).await
    }
}

/// "Each tagged resource can have at most 10 tags" (`Tag`). One is kept for `runner:run`, which is not among those that are
/// compared.
///
/// # Errors
/// If there are more.
pub fn check_count(owned: &Owned) -> Result<(), Error> {
    match owned.wanted.len() {
        ..=9 => Ok(()),
        more => {
            let message = format!("expected at most ten tags with the stack's own, found {}", more + 1);
            Err(Error::option("tags", message))
        }
    }
}

/// "ListTagsForResources: Lists tags for up to 10 health checks".
const TOGETHER: usize = 10;

/// The tags of health checks, but for what a list still shows and is gone.
pub async fn of_health_checks(ctx: &Ctx, ids: &[String]) -> Result<BTreeMap<String, TagMap>, Error> {
    let some = async |ids: &[String]| {
        let request = || {
            let request = ctx.aws().route53.list_tags_for_resources().resource_type(TagResourceType::Healthcheck);
            request.set_resource_ids(Some(ids.to_vec())).send()
        };
        match ctx.read("route53:ListTagsForResources", request).await {
            Ok(reply) => {
                let sets = reply.resource_tag_sets.into_iter();
                Ok(sets.filter_map(|set| Some((set.resource_id?, map(set.tags)))).collect::<Vec<_>>())
            }
            // It fails for all of them if one is gone.
            Err(error) if error.is(health_check::GONE) => {
                let alone = async |id: &String| match HealthCheckTags::read(ctx, id).await {
                    Ok(tags) => Ok(Some((id.clone(), tags))),
                    Err(error) if error.is(health_check::GONE) => Ok(None),
                    Err(error) => Err(error),
                };
                Ok(all_of(ids.iter().map(alone)).await?.into_iter().flatten().collect())
            }
            Err(error) => Err(error),
        }
    };
    Ok(all_of(ids.chunks(TOGETHER).map(some)).await?.into_iter().flatten().collect())
}

fn map(tags: Option<Vec<Tag>>) -> TagMap {
    let tags = tags.unwrap_or_default().into_iter();
    tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}

async fn change(
    ctx: &Ctx,
    kind: TagResourceType,
    id: &str,
    add: Option<Vec<Tag>>,
    remove: Option<Vec<String>>,
    undo: Option<Undo>,
) -> Result<(), Error> {
    let declared = Mutation::new("route53:ChangeTagsForResource", Class::Idempotent, id).refers_to([id]).undo(undo);
    ctx.change(declared, |permit| {
        let request = ctx.aws().route53.change_tags_for_resource().resource_type(kind.clone());
        let request = request.resource_id(id).set_add_tags(add.clone()).set_remove_tag_keys(remove.clone());
        request.customize().interceptor(permit).send()
    })
    .await
}
