//! `find_image`: the image to launch instances from.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{self as ec2, ArchitectureValues, Filter, ImageState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Image;
use crate::{
    ops::{
        Error, Operation, Tags,
        network::common::{filter, has_tags, tag_filters},
        require,
    },
    run::Ctx,
    wildcard,
};

/// Finds an image, by its id, by a pattern of names or by tags (then the newest), or by a parameter of SSM. It must be
/// available. Nothing is changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindImage {
    /// The id, `ami-…`.
    image_id: Option<String>,
    /// The name; `*` stands for any text and `?` for one character. The newest of several is taken.
    name: Option<String>,
    /// The image's tags; all must match. The newest of several is taken.
    #[serde(default)]
    tags: Tags,
    /// Who owns images found by name or tags: `self`, `amazon`, or account ids.
    #[serde(default = "own")]
    owners: Vec<String>,
    /// An SSM parameter that holds the id. Amazon's own are below `/aws/service/`.
    ssm_parameter: Option<String>,
    /// The processor it must be for. Of images found by name or tags others are left out.
    architecture: Option<Architecture>,
}

/// A processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    #[serde(rename = "x86_64")]
    X86_64,
    Arm64,
}

impl Architecture {
    fn to_ec2(self) -> ArchitectureValues {
        match self {
            Self::X86_64 => ArchitectureValues::X8664,
            Self::Arm64 => ArchitectureValues::Arm64,
        }
    }
}

fn own() -> Vec<String> {
    vec!["self".to_owned()]
}

impl Operation for FindImage {
    const NAME: &'static str = "find_image";
    const AREA: &'static str = "EC2";
    const POSITIONAL: &'static [&'static str] = &["image_id"];
    const EXAMPLE: &'static str = r#"find_image(#{ name: "shop-*", tags: #{ released: "true" } })"#;

    type Options = Self;
    type Handle = Image;

    fn subject(options: &Self) -> String {
        let named = [&options.image_id, &options.name, &options.ssm_parameter];
        named.into_iter().flatten().next().cloned().unwrap_or_else(|| tags_in_words(&options.tags.0))
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Image, Error> {
        let searched = options.name.is_some() || !options.tags.0.is_empty();
        let image = match (&options.image_id, &options.ssm_parameter, searched) {
            (Some(id), None, false) => by_id(ctx, id).await?,
            (None, Some(parameter), false) => by_id(ctx, &parameter_value(ctx, parameter).await?).await?,
            (None, None, true) => newest(ctx, &options).await?,
            _ => {
                let message = "expected `image_id`, `ssm_parameter`, or one or both of `name` and `tags`";
                return Err(Error::option("", message));
            }
        };
        if let Some(wanted) = options.architecture.map(Architecture::to_ec2)
            && image.architecture() != Some(&wanted)
        {
            let found = image.architecture().map_or("unknown", ArchitectureValues::as_str);
            let message = format!("{} is for {found}, not {}", image.image_id().unwrap_or_default(), wanted.as_str());
            return Err(Error::option("architecture", message));
        }
        handle(&image)
    }
}

const CALL: &str = "ec2:DescribeImages";

/// The image of that id, which must be available.
///
/// # Errors
/// If there is none, or it cannot be launched.
pub async fn by_id(ctx: &Ctx, id: &str) -> Result<ec2::Image, Error> {
    let reply = ctx.read(CALL, || ctx.aws().ec2.describe_images().image_ids(id).send()).await?;
    let what = format!("image {id}");
    let found = reply.images().iter().find(|image| image.image_id() == Some(id));
    let image = found.ok_or_else(|| Error::NotFound {
        what: what.clone(),
        hint: Some("images belong to one region, and must be shared with the account".into()),
    })?;
    match image.state() {
        Some(ImageState::Available) => Ok(image.clone()),
        other => {
            let state = other.map_or("unknown", ImageState::as_str);
            Err(Error::Unsafe(format!("{what}: its state is {state}, not available")))
        }
    }
}

async fn parameter_value(ctx: &Ctx, name: &str) -> Result<String, Error> {
    let reply = ctx.read("ssm:GetParameter", || ctx.aws().ssm.get_parameter().name(name).send()).await?;
    let value: String = require("ssm:GetParameter", "parameter.value", reply.parameter().and_then(|it| it.value()))?;
    match value.starts_with("ami-") {
        true => Ok(value),
        false => Err(Error::option("ssm_parameter", format!("{name} holds no image id"))),
    }
}

async fn newest(ctx: &Ctx, options: &FindImage) -> Result<ec2::Image, Error> {
    let mut filters: Vec<Filter> = tag_filters(&options.tags.0);
    filters.push(filter("state", "available"));
    filters.extend(options.name.as_ref().map(|name| filter("name", name)));
    filters.extend(options.architecture.map(|wanted| filter("architecture", wanted.to_ec2().as_str())));
    let images = ctx
        .read(CALL, || {
            let request = ctx.aws().ec2.describe_images().set_owners(Some(options.owners.clone()));
            let pages = request.set_filters(Some(filters.clone())).into_paginator().items();
            pages.send().collect::<Result<Vec<ec2::Image>, _>>()
        })
        .await?;
    // Looked at here again: not every AWS-compatible endpoint filters as asked.
    let fits = |image: &ec2::Image| {
        let named = options.name.as_ref().is_none_or(|name| wildcard::matches(name, image.name().unwrap_or_default()));
        let fast = options.architecture.is_none_or(|wanted| image.architecture() == Some(&wanted.to_ec2()));
        named && fast && image.state() == Some(&ImageState::Available) && has_tags(image.tags(), &options.tags.0)
    };
    // Dates are written so that their order is that of their text; the id decides between two of one moment.
    let age = |image: &ec2::Image| (image.creation_date().map(str::to_owned), image.image_id().map(str::to_owned));
    images.into_iter().filter(fits).max_by_key(age).ok_or_else(|| Error::NotFound {
        what: format!("an available image {}", FindImage::subject(options)),
        hint: Some(format!("looked among images of {}; name other `owners`?", options.owners.join(", "))),
    })
}

fn tags_in_words(tags: &BTreeMap<String, String>) -> String {
    tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
}

fn handle(image: &ec2::Image) -> Result<Image, Error> {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    Ok(Image {
        image_id: require(CALL, "imageId", image.image_id())?,
        name: text(image.name()),
        owner_id: text(image.owner_id()),
        creation_date: text(image.creation_date()),
        architecture: text(image.architecture().map(ArchitectureValues::as_str)),
        root_device_name: text(image.root_device_name()),
    })
}
