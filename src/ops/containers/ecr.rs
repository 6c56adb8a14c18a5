//! Reading ECR, and its tags.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    ops::{
        Error,
        tagged::{Tagged, restore},
    },
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
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

/// The repository of that name.
///
/// # Errors
/// [`Error::NotFound`] if there is none.
pub async fn get(ctx: &Ctx, name: &str) -> Result<Found, Error> {
    let hint = "`ensure_repository` makes one".to_owned();
    find(ctx, name)
        .await?
        .ok_or_else(|| Error::NotFound { what: format!("repository {name} in {}", ctx.aws().region), hint: Some(hint) })
}

/// Before anything is asked: ECR would say that there is no such repository, or that the name is wrong.
///
/// # Errors
/// [`Error::Option`] if a repository is given by its URI.
pub fn check_repository(name: &str) -> Result<(), Error> {
    match [".dkr.ecr.", ".dkr-ecr."].iter().any(|part| name.contains(part)) {
        true => Err(Error::option("repository", format!("expected the name or the handle, found the URI {name}"))),
        false => Ok(()),
    }
}

/// What a tag of a repository names, if it names anything.
///
/// # Errors
/// If the call fails.
pub async fn digest_of(ctx: &Ctx, name: &str, tag: &str) -> Result<Option<String>, Error> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Reply {
        image_details: Vec<Image>,
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Image {
        image_digest: String,
    }
    let input = json!({ "repositoryName": name, "imageIds": [{ "imageTag": tag }] });
    match ctx.fetch::<Reply>("ecr:DescribeImages", &input).await {
        Ok(reply) => Ok(reply.image_details.into_iter().next().map(|image| image.image_digest)),
        Err(error) if error.is(&["ImageNotFoundException"]) || error.is(GONE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The kinds of manifests: without them an image for several platforms is shown as one for one.
const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// Puts a tag to the image with that digest, as "Retagging an image in Amazon ECR" does it.
///
/// # Errors
/// If a call fails.
pub async fn tag(ctx: &Ctx, name: &str, tag: &str, digest: &str) -> Result<Undone, Error> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Reply {
        images: Vec<Image>,
    }
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Image {
        image_manifest: String,
        image_manifest_media_type: Option<String>,
    }
    let wanted =
        json!({ "repositoryName": name, "imageIds": [{ "imageDigest": digest }], "acceptedMediaTypes": MANIFESTS });
    let reply: Reply = ctx.fetch("ecr:BatchGetImage", &wanted).await?;
    let Some(Image { image_manifest, image_manifest_media_type }) = reply.images.into_iter().next() else {
        return Ok(Undone::Foreign(format!("{digest} of {name}, which tag {tag} named, is gone")));
    };
    let mut input = json!({ "repositoryName": name, "imageTag": tag, "imageManifest": image_manifest });
    if let Some(kind) = image_manifest_media_type {
        input["imageManifestMediaType"] = json!(kind);
    }
    let declared = Mutation::new("ecr:PutImage", Class::Idempotent, format!("tag {tag} of repository {name}"));
    let put = ctx.change(declared, |permit| ctx.aws().call("ecr:PutImage", &input).permit(permit).send::<Value>());
    match put.await {
        Ok(()) => Ok(Undone::Done),
        // It was put there and the reply was lost.
        Err(error) if error.is(&["ImageAlreadyExistsException"]) => Ok(Undone::Done),
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
