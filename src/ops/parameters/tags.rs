//! Tags of parameters, by their names.

use std::collections::BTreeMap;

use aws_sdk_ssm::types::{ResourceTypeForTagging, Tag};

use crate::{
    ops::{
        Error,
        tagged::{Tagged, restore},
    },
    run::{Class, Ctx, Mutation, Undo, UndoAction},
};

/// What Systems Manager says when what is tagged is not there.
const ABSENT: &[&str] = &["InvalidResourceId"];

/// Until it has heard everywhere of a parameter that was just made.
const HEARD: std::time::Duration = std::time::Duration::from_secs(10);

/// Tags in the form the calls take.
pub fn to_ssm(tags: &BTreeMap<String, String>) -> Result<Vec<Tag>, Error> {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.iter().map(tag).collect::<Result<_, _>>().map_err(|error| Error::option("tags", error.to_string()))
}

/// A parameter, seen by its tags.
pub(in crate::ops) struct ParameterTags;

/// Puts changed tags back.
pub const RESTORE_PARAMETER_TAGS: UndoAction = UndoAction {
    name: "restore_parameter_tags",
    run: |ctx, arguments| Box::pin(restore::<ParameterTags>(ctx, arguments)),
};

impl Tagged for ParameterTags {
    const RESTORE: &'static UndoAction = &RESTORE_PARAMETER_TAGS;
    const GONE: &'static [&'static str] = ABSENT;

    async fn read(ctx: &Ctx, id: &str) -> Result<BTreeMap<String, String>, Error> {
        let kind = ResourceTypeForTagging::Parameter;
        let request = || ctx.aws().ssm.list_tags_for_resource().resource_type(kind.clone()).resource_id(id).send();
        let reply = ctx.read_of("ssm:ListTagsForResource", id, request).await?;
        Ok(reply.tag_list().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect())
    }

    async fn set(ctx: &Ctx, id: &str, tags: &BTreeMap<String, String>, undo: Option<Undo>) -> Result<(), Error> {
        let mut declared = Mutation::new("ssm:AddTagsToResource", Class::Idempotent, id).patiently(ABSENT, HEARD);
        if let Some(undo) = undo {
            declared = declared.undo(undo);
        }
        let tags = to_ssm(tags)?;
        ctx.change(declared, |permit| {
            let request = ctx.aws().ssm.add_tags_to_resource().resource_type(ResourceTypeForTagging::Parameter);
            request.resource_id(id).set_tags(Some(tags.clone())).customize().interceptor(permit).send()
        })
        .await
    }

    async fn remove(ctx: &Ctx, id: &str, keys: &[String]) -> Result<(), Error> {
        ctx.change(Mutation::new("ssm:RemoveTagsFromResource", Class::Idempotent, id), |permit| {
            let request = ctx.aws().ssm.remove_tags_from_resource().resource_type(ResourceTypeForTagging::Parameter);
            request.resource_id(id).set_tag_keys(Some(keys.to_vec())).customize().interceptor(permit).send()
        })
        .await
    }
}
