//! Images. Every tag of a repository made here is there without a push, but for `missing…`; its digest is made of its text, and
//! says what becomes of its containers. A tag that was put (`PutImage` with another image's manifest) is where it was put to,
//! and one that was deleted is not there. Of a repository that was read from an account, images are the account's.

use jiff::Timestamp;

use super::conduct::{digest_of, is_ours};
use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "DescribeImages",
        params: &["registryId repositoryName imageIds[].imageTag imageIds[].imageDigest", PAGES],
        run: describe_images,
    },
    Action {
        name: "BatchGetImage",
        params: &["registryId repositoryName imageIds[].imageTag imageIds[].imageDigest acceptedMediaTypes[]"],
        run: batch_get_image,
    },
    Action {
        name: "PutImage",
        params: &["registryId repositoryName imageManifest imageManifestMediaType imageTag imageDigest"],
        run: put_image,
    },
    Action {
        name: "BatchDeleteImage",
        params: &["registryId repositoryName imageIds[].imageTag imageIds[].imageDigest"],
        run: batch_delete_image,
    },
];

const MEDIA_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// When images were pushed that nobody pushed here.
const PUSHED: Timestamp = Timestamp::constant(1_762_000_000, 0);

/// A tag that was put, read or deleted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContainerImage {
    /// `repository:tag`
    pub id: String,
    pub digest: String,
    pub pushed: Timestamp,
    /// The tag that says what its containers do, of an image made here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// It was deleted. Without the row, it would be there without a push.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

resource!(ContainerImage, id, region.ecr.container_images, Extent::Row, |id: &str| absent(id));

fn absent(id: &str) -> AwsError {
    let (repository, tag) = id.rsplit_once(':').unwrap_or((id, ""));
    let id = format!("{{imageDigest:'null', imageTag:'{tag}'}}");
    let message = format!("The image with imageId {id} does not exist within the repository with name '{repository}'");
    AwsError::new("ImageNotFoundException", message)
}

/// Reads the image of one tag. All are too many.
pub fn load(reader: &Reader, id: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some((repository, tag)) = id.and_then(|id| id.rsplit_once(':')) else { return Ok(()) };
    let params = json!({ "repositoryName": repository, "imageIds": [{ "imageTag": tag }] });
    let gone = ["ImageNotFoundException", "RepositoryNotFoundException"];
    let found = reader.find("ecr", "DescribeImages", params, &gone)?;
    for shown in found.iter().flat_map(|reply| reply.list("imageDetails")) {
        let read = |tag: &str| {
            Read::of(ContainerImage {
                id: format!("{repository}:{tag}"),
                digest: shown.text("imageDigest"),
                pushed: shown.time("imagePushedAt"),
                of: None,
                gone: false,
            })
        };
        rows.whole(read(tag));
        // All tags of the image are shown, whichever was asked for.
        shown.strings("imageTags").into_iter().filter(|other| *other != tag).for_each(|other| rows.listed(read(other)));
    }
    Ok(())
}

/// The image of a tag: as it was put or read, or the one that is there without a push.
fn tagged(tx: &Tx, repository: &Repository, tag: &str) -> Result<ContainerImage, AwsError> {
    let id = format!("{}:{tag}", repository.name);
    let known = if repository.read { tx.get::<ContainerImage>(&id).ok() } else { tx.glance::<ContainerImage>(&id) };
    match known {
        Some(image) if !image.gone => Ok(image.clone()),
        None if !repository.read && !tag.starts_with("missing") => {
            let (digest, of) = (digest_of(tag), Some(tag.to_owned()));
            Ok(ContainerImage { id, digest, pushed: PUSHED, of, gone: false })
        }
        _ => Err(in_registry_of(tx, absent(&id))),
    }
}

/// Keeps what became of a tag.
fn keep(tx: &mut Tx, image: ContainerImage) {
    match tx.peek_mut::<ContainerImage>(&image.id) {
        Some(row) => *row = image,
        None => tx.put(image),
    }
}

fn in_registry_of(tx: &Tx, error: AwsError) -> AwsError {
    AwsError { message: format!("{} in the registry with id '{}'", error.message, tx.scope.account), ..error }
}

/// Whether an image that a container names in this account's registry can be pulled: `repository:tag`, `repository@digest`.
pub fn is_there(tx: &Tx, reference: &str) -> bool {
    if let Some((name, digest)) = reference.split_once('@') {
        let Some(repository) = tx.peek::<Repository>(name) else { return false };
        // What an account has by digest is not read: an image that was found is there.
        return repository.read || is_ours(digest) && !is_deleted(tx, name, digest);
    }
    let (name, tag) = reference.split_once(':').unwrap_or((reference, "latest"));
    tx.peek::<Repository>(name).is_some_and(|repository| tagged(tx, repository, tag).is_ok())
}

/// Whether a repository holds images that were put there.
pub fn holds_any(tx: &Tx, repository: &str) -> bool {
    let prefix = format!("{repository}:");
    let is_read = tx.peek::<Repository>(repository).is_some_and(|repository| repository.read);
    // Of a repository that was read it is not known, and one without images is rare.
    is_read || tx.all::<ContainerImage>().any(|image| !image.gone && image.id.starts_with(&prefix))
}

pub fn forget_all(tx: &mut Tx, repository: &str) {
    let prefix = format!("{repository}:");
    let of_it = tx.all::<ContainerImage>().filter(|image| image.id.starts_with(&prefix));
    for id in of_it.map(|image| image.id.clone()).collect::<Vec<_>>() {
        tx.delete::<ContainerImage>(&id);
    }
}

/// A manifest made here names the tag whose image it is of.
const NAME: &str = "org.opencontainers.image.ref.name";

fn manifest(tag: &str) -> String {
    let config =
        json!({ "mediaType": "application/vnd.oci.image.config.v1+json", "size": 7023, "digest": digest_of(tag) });
    json!({
        "schemaVersion": 2, "mediaType": MEDIA_TYPE, "config": config, "layers": [], "annotations": { NAME: tag },
    })
    .to_string()
}

/// The tags of an image. The one whose text its digest is made of, `of`, has a row only if it was put or deleted; it is not
/// known of a digest that nobody has put a tag to.
fn tags_of(tx: &Tx, repository: &str, digest: &str, of: Option<&str>) -> Vec<String> {
    let prefix = format!("{repository}:");
    let (mut of, mut tags) = (of, Vec::new());
    for image in tx.all::<ContainerImage>().filter(|image| image.digest == digest) {
        let Some(tag) = image.id.strip_prefix(&prefix) else { continue };
        of = of.or(image.of.as_deref());
        if !image.gone {
            tags.push(tag.to_owned());
        }
    }
    let unmoved = of.filter(|of| tx.glance::<ContainerImage>(&format!("{prefix}{of}")).is_none());
    tags.extend(unmoved.map(str::to_owned));
    tags
}

/// "When you remove the last tag from an image, the image is deleted from your repository" (BatchDeleteImage).
fn is_deleted(tx: &Tx, repository: &str, digest: &str) -> bool {
    let prefix = format!("{repository}:");
    let is_gone = |image: &ContainerImage| image.gone && image.digest == digest && image.id.starts_with(&prefix);
    tx.all::<ContainerImage>().any(is_gone) && tags_of(tx, repository, digest, None).is_empty()
}

fn describe_images(tx: &mut Tx, p: &Params) -> Reply {
    let repository = repository(tx, p)?.clone();
    let ids = p.list("imageIds");
    if ids.is_empty() {
        return Err(AwsError::not_modelled("InvalidParameterException", "list", "of all images", "ecr:DescribeImages"));
    }
    let detail = |digest: &str, tags: Vec<String>, pushed: Timestamp| {
        json!({
            "registryId": tx.scope.account,
            "repositoryName": repository.name,
            "imageDigest": digest,
            "imageTags": tags,
            "imageSizeInBytes": 48_318_764,
            "imagePushedAt": epoch(pushed),
            "imageManifestMediaType": MEDIA_TYPE,
            "artifactMediaType": "application/vnd.oci.image.config.v1+json",
        })
    };
    let mut details = Vec::new();
    for id in &ids {
        match (id.opt_str("imageTag"), id.opt_str("imageDigest")) {
            (Some(tag), _) => {
                let image = tagged(tx, &repository, tag)?;
                let tags = tags_of(tx, &repository.name, &image.digest, image.of.as_deref());
                details.push(detail(&image.digest, tags, image.pushed));
            }
            (None, Some(digest)) if is_ours(digest) && !is_deleted(tx, &repository.name, digest) => {
                details.push(detail(digest, tags_of(tx, &repository.name, digest, None), PUSHED));
            }
            (None, Some(digest)) => {
                let id = format!("{{imageDigest:'{digest}', imageTag:'null'}}");
                let message = format!(
                    "The image with imageId {id} does not exist within the repository with name '{}' in the registry with \
                     id '{}'",
                    repository.name, tx.scope.account
                );
                return Err(AwsError::new("ImageNotFoundException", message));
            }
            (None, None) => return Err(invalid("Invalid parameter: an image id names neither a tag nor a digest")),
        }
    }
    Ok(json!({ "imageDetails": details }))
}

fn batch_get_image(tx: &mut Tx, p: &Params) -> Reply {
    let repository = repository(tx, p)?.clone();
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for id in p.list("imageIds") {
        let found = id.opt_str("imageTag").map(|tag| (tag, tagged(tx, &repository, tag)));
        match found {
            Some((tag, Ok(image))) => images.push(json!({
                "registryId": tx.scope.account,
                "repositoryName": repository.name,
                "imageId": { "imageTag": tag, "imageDigest": image.digest },
                "imageManifest": manifest(image.of.as_deref().unwrap_or(tag)),
                "imageManifestMediaType": MEDIA_TYPE,
            })),
            Some((_, Err(_))) => failures.push(json!({
                "imageId": id.0, "failureCode": "ImageNotFound", "failureReason": "Requested image not found",
            })),
            None => {
                let what = id.text("imageDigest");
                return Err(AwsError::not_modelled("InvalidParameterException", "digest", &what, "ecr:BatchGetImage"));
            }
        }
    }
    Ok(json!({ "images": images, "failures": failures }))
}

/// Puts a tag to an image that is there ("Retagging an image in Amazon ECR"); layers are not uploaded here.
fn put_image(tx: &mut Tx, p: &Params) -> Reply {
    let repository = repository(tx, p)?.clone();
    let text = p.str("imageManifest")?;
    let named = serde_json::from_str::<Value>(text).ok();
    let named = named.and_then(|manifest| manifest["annotations"][NAME].as_str().map(str::to_owned));
    let Some(of) = named.filter(|of| manifest(of) == text) else {
        let message = format!(
            "The layers of the image do not exist in the repository with name '{}' in the registry with id '{}'",
            repository.name, tx.scope.account
        );
        return Err(AwsError::new("LayersNotFoundException", message));
    };
    let (tag, digest) = (p.opt_str("imageTag").unwrap_or(&of).to_owned(), digest_of(&of));
    if p.opt_str("imageDigest").is_some_and(|given| given != digest) {
        return Err(AwsError::new("ImageDigestDoesNotMatchException", "The image digest does not match the manifest"));
    }
    if let Ok(known) = tagged(tx, &repository, &tag) {
        if known.digest == digest {
            let message = format!("Image with digest '{digest}' and tag '{tag}' already exists in the repository");
            return Err(AwsError::new("ImageAlreadyExistsException", message));
        }
        if repository.fixes(&tag) {
            let message = format!(
                "The image tag '{tag}' already exists in the '{}' repository and cannot be overwritten because the \
                 repository is immutable.",
                repository.name
            );
            return Err(AwsError::new("ImageTagAlreadyExistsException", message));
        }
    }
    let id = format!("{}:{tag}", repository.name);
    // The image was pushed when it was made: a tag more does not push it again.
    keep(tx, ContainerImage { id, digest: digest.clone(), pushed: PUSHED, of: Some(of), gone: false });
    Ok(json!({ "image": {
        "registryId": tx.scope.account,
        "repositoryName": repository.name,
        "imageId": { "imageTag": tag, "imageDigest": digest },
        "imageManifest": text,
    } }))
}

fn batch_delete_image(tx: &mut Tx, p: &Params) -> Reply {
    let repository = repository(tx, p)?.clone();
    let (mut gone, mut failures) = (Vec::new(), Vec::new());
    for id in p.list("imageIds") {
        let Some(tag) = id.opt_str("imageTag") else {
            let what = id.text("imageDigest");
            return Err(AwsError::not_modelled("InvalidParameterException", "digest", &what, "ecr:BatchDeleteImage"));
        };
        match tagged(tx, &repository, tag) {
            Ok(image) => {
                gone.push(json!({ "imageTag": tag, "imageDigest": image.digest }));
                match repository.read {
                    true => tx.delete::<ContainerImage>(&image.id),
                    false => keep(tx, ContainerImage { gone: true, ..image }),
                }
            }
            Err(_) => failures.push(json!({
                "imageId": id.0, "failureCode": "ImageNotFound", "failureReason": "Requested image not found",
            })),
        }
    }
    Ok(json!({ "imageIds": gone, "failures": failures }))
}
