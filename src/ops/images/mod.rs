//! Images that a stack makes of its own.

pub mod bake_image;
pub mod builder;
mod copies;
pub mod prune_images;
pub mod register;

use std::collections::BTreeMap;

use aws_sdk_ec2::types as ec2;
use serde::Serialize;

use super::{Error, Kind, network::common::filter};
use crate::run::Ctx;

pub use copies::STOP_SHARING;

/// The digest of what an image was made of.
pub const CONTENT_TAG: &str = "runner:content";

/// An image that is there, made now or before.
#[derive(Debug, Serialize)]
pub struct BakedImage {
    pub image_id: String,
    pub name: String,
    /// The digest of what it was made of.
    pub content: String,
    /// The copies, by region.
    pub copies: BTreeMap<String, String>,
}

impl Kind for BakedImage {
    // It goes wherever an image goes.
    const KIND: &'static str = "image";
    const ID: &'static str = "image_id";
}

/// What is left of the images of a name.
#[derive(Debug, Serialize)]
pub struct PrunedImages {
    pub deleted: Vec<String>,
    pub kept: Vec<String>,
    /// Those that are older, and kept because something uses them.
    pub in_use: Vec<String>,
}

impl Kind for PrunedImages {
    const KIND: &'static str = "images";
    const ID: &'static str = "kept";
}

/// The account's own images of which all these tags are.
pub async fn own(ctx: &Ctx, tags: &[(&str, &str)]) -> Result<Vec<ec2::Image>, Error> {
    let filters: Vec<ec2::Filter> = tags.iter().map(|(key, value)| filter(format!("tag:{key}"), *value)).collect();
    let images = ctx
        .read("ec2:DescribeImages", || {
            let request = ctx.aws().ec2.describe_images().owners("self").set_filters(Some(filters.clone()));
            request.into_paginator().items().send().collect::<Result<Vec<ec2::Image>, _>>()
        })
        .await?;
    // Looked at here again: not every AWS-compatible endpoint filters as asked.
    let wanted = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Ok(images.into_iter().filter(|image| super::network::common::has_tags(image.tags(), &wanted)).collect())
}
