//! `find_container_image`: what a tag stands for now.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ContainerImage, Repository, ecr};
use crate::{
    event::Change,
    ops::{Error, IdOf, Operation, Together, ownership::set},
    run::Ctx,
};

/// Finds the image that a tag of a repository names, and returns it by its digest. A task definition with the digest runs what
/// was looked at, whoever moves the tag; and a tag that was moved is another image.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindContainerImage {
    /// The repository: what `ensure_repository` returned, or its name.
    repository: IdOf<Repository>,
    /// The tag: `"1.4.2"`.
    tag: String,
}

impl Operation for FindContainerImage {
    const NAME: &'static str = "find_container_image";
    const AREA: &'static str = "ECR";
    const EXAMPLE: &'static str = r#"find_container_image(#{ repository: "shop-prod-web", tag: "1.4.2" })"#;

    type Options = Self;
    type Handle = ContainerImage;

    fn subject(options: &Self) -> String {
        format!("{}:{}", options.repository, options.tag)
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<ContainerImage, Error> {
        let (name, tag) = (options.repository.as_str(), &options.tag);
        ecr::check_repository(name)?;
        let (repository, digest) = futures::join!(ecr::get(ctx, name), ecr::digest_of(ctx, name, tag)).together()?;
        let Some(image_digest) = digest else {
            let hint = Some(format!("push it to {} first", repository.repository_uri));
            return Err(Error::NotFound { what: format!("an image tagged {tag} in repository {name}"), hint });
        };
        ctx.did(Change::Read, [set("image_digest", image_digest.clone())]);
        Ok(ContainerImage::of(repository, options.tag, image_digest))
    }
}
