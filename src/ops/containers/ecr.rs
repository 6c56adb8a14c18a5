//! Reading ECR, and its tags.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    ops::{
        Error,
        tagged::{Tagged, restore},
    },
    run::{Class, Ctx, Mutation, Undo, UndoAction},
};

/// What ECR says when a repository is not there.
pub const GONE: &[&str] = &["RepositoryNotFoundException"];

/// A repository as ECR shows it, as far as it matters here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Found {
    pub repository_name: String,
    pub repository_arn: String,
    pub repository_uri: String,
    pub image_tag_mutability: String,
    /// For which tags it is the other way round.
    pub image_tag_mutability_exclusion_filters: Value,
    pub image_scanning_configuration: Scanning,
    pub encryption_configuration: Encryption,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Scanning {
    pub scan_on_push: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Encryption {
    pub encryption_type: String,
    pub kms_key: Option<String>,
}

/// The repository of that name.
///
/// # Errors
/// If the call fails.
pub async fn find(ctx: &Ctx, name: &str) -> Result<Option<Found>, Error> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Reply {
        repositories: Vec<Found>,
    }
    match ctx.fetch::<Reply>("ecr:DescribeRepositories", &json!({ "repositoryNames": [name] })).await {
        Ok(reply) => Ok(reply.repositories.into_iter().next()),
        Err(error) if error.is(GONE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The text that a call shows under a name; `None` if AWS says with `absent` that there is none.
///
/// # Errors
/// If the call fails otherwise.
pub async fn text(
    ctx: &Ctx,
    call: &'static str,
    name: &str,
    member: &str,
    absent: &[&str],
) -> Result<Option<String>, Error> {
    match ctx.fetch::<Value>(call, &json!({ "repositoryName": name })).await {
        Ok(reply) => Ok(reply[member].as_str().map(str::to_owned)),
        Err(error) if error.is(absent) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tags of a repository, by its name.
pub struct RepositoryTags;

/// Puts changed tags back.
pub const RESTORE_REPOSITORY_TAGS: UndoAction = UndoAction {
    name: "restore_repository_tags",
    run: |ctx, arguments| Box::pin(restore::<RepositoryTags>(ctx, arguments)),
};

fn arn(ctx: &Ctx, name: &str) -> String {
    ctx.aws().arn("ecr", &format!("repository/{name}"))
}

/// In the form creating and tagging calls take.
pub fn to_ecr(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

impl Tagged for RepositoryTags {
    const RESTORE: &'static UndoAction = &RESTORE_REPOSITORY_TAGS;
    const GONE: &'static [&'static str] = GONE;

    async fn read(ctx: &Ctx, name: &str) -> Result<BTreeMap<String, String>, Error> {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct Reply {
            tags: Vec<Tag>,
        }
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        struct Tag {
            key: String,
            value: String,
        }
        let reply: Reply = ctx.fetch("ecr:ListTagsForResource", &json!({ "resourceArn": arn(ctx, name) })).await?;
        Ok(reply.tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
    }

    async fn set(ctx: &Ctx, name: &str, tags: &BTreeMap<String, String>, undo: Option<Undo>) -> Result<(), Error> {
        let declared = Mutation::new("ecr:TagResource", Class::Idempotent, format!("repository {name}")).undo(undo);
        let input = json!({ "resourceArn": arn(ctx, name), "tags": to_ecr(tags) });
        ctx.change(declared, |permit| ctx.aws().call("ecr:TagResource", &input).permit(permit).send::<Value>()).await
    }

    async fn remove(ctx: &Ctx, name: &str, keys: &[String]) -> Result<(), Error> {
        let declared = Mutation::new("ecr:UntagResource", Class::Idempotent, format!("repository {name}"));
        let input = json!({ "resourceArn": arn(ctx, name), "tagKeys": keys });
        ctx.change(declared, |permit| ctx.aws().call("ecr:UntagResource", &input).permit(permit).send::<Value>()).await
    }
}
