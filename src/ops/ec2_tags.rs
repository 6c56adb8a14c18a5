//! Tags of EC2 resources: at creation, compared, changed, put back.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Error,
    ownership::{Owned, tag_fields},
};
use crate::{
    event::Field,
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// The tags of a new resource, in the form its creating call takes.
pub fn specification(kind: ResourceType, owned: &Owned) -> TagSpecification {
    TagSpecification::builder().resource_type(kind).set_tags(Some(to_ec2(&owned.tags()))).build()
}

/// Tags as a map.
pub fn from_ec2(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}

fn to_ec2(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Sets the tags that differ. Returns what changed.
pub async fn converge(
    ctx: &Ctx,
    id: &str,
    owned: &Owned,
    found: &BTreeMap<String, String>,
) -> Result<Vec<Field>, Error> {
    let missing = owned.missing(found);
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let before: BTreeMap<&String, Option<&String>> = missing.keys().map(|key| (key, found.get(key))).collect();
    let undo = Undo::new(
        &RESTORE_TAGS,
        format!("restore tags of {id}"),
        json!({ "id": id, "before": before, "ours": missing }),
    );
    let tags = to_ec2(&missing);
    ctx.change(Mutation::new("ec2:CreateTags", Class::Idempotent, id).undo(undo), |permit| {
        ctx.aws().ec2.create_tags().resources(id).set_tags(Some(tags.clone())).customize().interceptor(permit).send()
    })
    .await?;
    Ok(tag_fields(found, &missing))
}

/// Puts changed tags back to what they were.
pub const RESTORE_TAGS: UndoAction =
    UndoAction { name: "restore_tags", run: |ctx, arguments| Box::pin(restore_tags(ctx, arguments)) };

#[derive(Serialize, Deserialize)]
struct RestoreTags {
    id: String,
    before: BTreeMap<String, Option<String>>,
    ours: BTreeMap<String, String>,
}

async fn restore_tags(ctx: &Ctx, arguments: Value) -> Result<Undone, Error> {
    let RestoreTags { id, before, ours } = super::arguments(arguments)?;
    let filter = aws_sdk_ec2::types::Filter::builder().name("resource-id").values(&id).build();
    let reply = ctx.read("ec2:DescribeTags", || ctx.aws().ec2.describe_tags().filters(filter.clone()).send()).await?;
    let found: BTreeMap<&str, &str> =
        reply.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default()))).collect();
    let (mut set, mut remove) = (BTreeMap::new(), Vec::new());
    for (key, before) in &before {
        let now = found.get(key.as_str()).copied();
        if now != ours.get(key).map(String::as_str) {
            // Somebody else's by now, or back already: not ours to touch.
            continue;
        }
        match before {
            Some(value) => {
                set.insert(key.clone(), value.clone());
            }
            None => remove.push(Tag::builder().key(key).build()),
        }
    }
    if set.is_empty() && remove.is_empty() {
        return Ok(Undone::Already);
    }
    if !set.is_empty() {
        let tags = to_ec2(&set);
        ctx.change(Mutation::new("ec2:CreateTags", Class::Idempotent, &id), |permit| {
            ctx.aws()
                .ec2
                .create_tags()
                .resources(&id)
                .set_tags(Some(tags.clone()))
                .customize()
                .interceptor(permit)
                .send()
        })
        .await?;
    }
    if !remove.is_empty() {
        ctx.change(Mutation::new("ec2:DeleteTags", Class::Idempotent, &id), |permit| {
            ctx.aws()
                .ec2
                .delete_tags()
                .resources(&id)
                .set_tags(Some(remove.clone()))
                .customize()
                .interceptor(permit)
                .send()
        })
        .await?;
    }
    Ok(Undone::Done)
}
