//! Tags of what ECS holds, by ARN, and what ARNs say.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    ops::{
        Error,
        tagged::{Tagged, restore},
    },
    run::{Class, Ctx, Mutation, Undo, UndoAction},
};

/// What ECS says when something is not there, or is no more than remembered.
pub const GONE: &[&str] =
    &["ClusterNotFoundException", "ServiceNotFoundException", "ServiceNotActiveException", "ResourceNotFoundException"];

/// A tag as ECS writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Tag {
    pub key: String,
    pub value: String,
}

pub fn from_ecs(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect()
}

/// In the form creating and tagging calls take.
pub fn to_ecs(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

/// What a describe could not show.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Failure {
    pub reason: String,
}

/// The last part of an ARN, or the name itself.
pub fn name_in(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// Reads again what ECS does not show, if this run has made it: its describes name what is missing without an error, and what
/// was just made may be missing for a moment ("the Amazon ECS API follows an eventual consistency model").
///
/// # Errors
/// Those of `read`.
pub async fn until_shown<T>(
    ctx: &Ctx,
    arn: &str,
    read: impl AsyncFn() -> Result<Option<T>, Error>,
) -> Result<Option<T>, Error> {
    const EVERY: Duration = Duration::from_secs(1);
    const TIMES: u32 = 30;
    let mut times = 0;
    loop {
        let found = read().await?;
        let is_new = ctx.just_made("arn:").iter().any(|made| made == arn);
        if found.is_some() || !is_new || times == TIMES {
            return Ok(found);
        }
        times += 1;
        ctx.sleep(EVERY).await?;
    }
}

/// Clusters, services, task definitions and tasks: one call serves them all.
pub struct EcsTags;

/// Puts changed tags back.
pub const RESTORE_ECS_TAGS: UndoAction =
    UndoAction { name: "restore_ecs_tags", run: |ctx, arguments| Box::pin(restore::<EcsTags>(ctx, arguments)) };

impl Tagged for EcsTags {
    const RESTORE: &'static UndoAction = &RESTORE_ECS_TAGS;
    const GONE: &'static [&'static str] = GONE;

    async fn read(ctx: &Ctx, arn: &str) -> Result<BTreeMap<String, String>, Error> {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct Reply {
            tags: Vec<Tag>,
        }
        let reply: Reply = ctx.fetch("ecs:ListTagsForResource", &json!({ "resourceArn": arn })).await?;
        Ok(from_ecs(&reply.tags))
    }

    async fn set(ctx: &Ctx, arn: &str, tags: &BTreeMap<String, String>, undo: Option<Undo>) -> Result<(), Error> {
        let declared = Mutation::new("ecs:TagResource", Class::Idempotent, arn).undo(undo);
        let input = json!({ "resourceArn": arn, "tags": to_ecs(tags) });
        ctx.change(declared, |permit| ctx.aws().call("ecs:TagResource", &input).permit(permit).send::<Value>()).await
    }

    async fn remove(ctx: &Ctx, arn: &str, keys: &[String]) -> Result<(), Error> {
        let declared = Mutation::new("ecs:UntagResource", Class::Idempotent, arn);
        let input = json!({ "resourceArn": arn, "tagKeys": keys });
        ctx.change(declared, |permit| ctx.aws().call("ecs:UntagResource", &input).permit(permit).send::<Value>()).await
    }
}
