//! `find_container_image`: what a tag stands for now.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

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
        const CALL: &str = "ecr:DescribeImages";
        let (name, tag) = (options.repository.as_str(), &options.tag);
        let input = json!({ "repositoryName": name, "imageIds": [{ "imageTag": tag }] });
        let image = async {
            match ctx.fetch::<Reply>(CALL, &input).await {
                Ok(reply) => Ok(reply.image_details.into_iter().next()),
                // Which of the two it is, the other read tells.
                Err(error) if error.is(&["ImageNotFoundException"]) || error.is(ecr::GONE) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let (image, repository) = futures::join!(image, ecr::find(ctx, name)).together()?;
        let Some(repository) = repository else {
            let hint = Some("`ensure_repository` makes one".to_owned());
            return Err(Error::NotFound { what: format!("repository {name} in {}", ctx.aws().region), hint });
        };
        let Some(image) = image else {
            let hint = Some(format!("push it to {} first", repository.repository_uri));
            return Err(Error::NotFound { what: format!("an image tagged {tag} in repository {name}"), hint });
        };
        ctx.did(Change::Read, [set("image_digest", image.image_digest.clone())]);
        Ok(ContainerImage {
            image: format!("{}@{}", repository.repository_uri, image.image_digest),
            repository_name: name.to_owned(),
            image_tag: options.tag,
            image_digest: image.image_digest,
        })
    }
}

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
