//! `prune_images`: deletes old images that nothing uses.

use std::collections::BTreeSet;

use aws_sdk_ec2::types as ec2;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{PrunedImages, own, register};
use crate::{
    event::Change,
    ops::{
        Error, Operation, Tags, Together,
        compute::asg,
        network::common::filter,
        ownership::{Owned, STACK_TAG, set},
    },
    run::{Ctx, Undo},
};

/// Deletes images that `bake_image` has made under this name, with their snapshots, but for the newest.
///
/// One is kept as long as a launch template has it in its default or latest version, an Auto Scaling group in the version it
/// launches from, or an instance runs of it. What is deleted cannot be brought back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneImages {
    /// The name given to `bake_image`.
    name: String,
    /// How many of them stay, the newest; at least one.
    keep: usize,
}

impl Operation for PruneImages {
    const NAME: &'static str = "prune_images";
    const AREA: &'static str = "EC2";
    const EXAMPLE: &'static str = r#"prune_images(#{ name: "web", keep: 3 })"#;

    type Options = Self;
    type Handle = PrunedImages;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<PrunedImages, Error> {
        if options.keep == 0 {
            return Err(Error::option("keep", "expected at least 1: the newest image is what the next fleet needs"));
        }
        let owned = Owned::new(ctx, &options.name, &Tags::default())?;
        let mut images = own(ctx, &[("Name", &owned.name), (STACK_TAG, &owned.stack)]).await?;
        // Dates are written so that their order is that of their text; the id decides between two of one moment.
        let age = |image: &ec2::Image| (image.creation_date().map(str::to_owned), image.image_id().map(str::to_owned));
        images.sort_by_key(|image| std::cmp::Reverse(age(image)));
        let id = |image: &ec2::Image| image.image_id().unwrap_or_default().to_owned();
        let old = images.split_off(options.keep.min(images.len()));
        let used = if old.is_empty() { BTreeSet::new() } else { used(ctx).await? };
        let (in_use, old): (Vec<_>, Vec<_>) = old.into_iter().partition(|image| used.contains(&id(image)));
        for image in &old {
            let undo = Undo::impossible(format!("bring back image {}", id(image)));
            register::delete(ctx, image, Some(undo)).await?;
        }
        let ids = |images: &[ec2::Image]| images.iter().map(id).collect::<Vec<_>>();
        match old.is_empty() {
            true => ctx.did(Change::Unchanged, []),
            false => ctx.did(Change::Deleted, [set("deleted", ids(&old))]),
        }
        Ok(PrunedImages { deleted: ids(&old), kept: ids(&images), in_use: ids(&in_use) })
    }
}

/// The images that something needs.
async fn used(ctx: &Ctx) -> Result<BTreeSet<String>, Error> {
    let (templates, groups, instances) =
        futures::join!(of_templates(ctx, None, &["$Default", "$Latest"]), of_groups(ctx), of_instances(ctx))
            .together()?;
    Ok(templates.into_iter().chain(groups).chain(instances).collect())
}

/// The images of these versions of a launch template; of all templates, if none is named.
async fn of_templates(ctx: &Ctx, template: Option<&str>, versions: &[&str]) -> Result<BTreeSet<String>, Error> {
    let versions: Vec<String> = versions.iter().map(|version| (*version).to_owned()).collect();
    let found = ctx
        .read("ec2:DescribeLaunchTemplateVersions", || {
            let request = ctx.aws().ec2.describe_launch_template_versions().set_versions(Some(versions.clone()));
            let pages = request.set_launch_template_id(template.map(str::to_owned)).into_paginator().items();
            pages.send().collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let images = found.iter().filter_map(|version| version.launch_template_data()?.image_id());
    Ok(images.map(str::to_owned).collect())
}

/// The images that groups launch from.
async fn of_groups(ctx: &Ctx) -> Result<BTreeSet<String>, Error> {
    let mut wanted = BTreeSet::new();
    for group in asg::all(ctx).await? {
        let mixed = group.mixed_instances_policy().and_then(|policy| policy.launch_template());
        let overrides = mixed.map(|mixed| mixed.overrides()).unwrap_or_default();
        let specifications = [group.launch_template(), mixed.and_then(|mixed| mixed.launch_template_specification())];
        let overridden = overrides.iter().filter_map(|one| one.launch_template_specification());
        for specification in specifications.into_iter().flatten().chain(overridden) {
            let (id, version) = (specification.launch_template_id(), specification.version().unwrap_or("$Default"));
            wanted.extend(id.map(|id| (id.to_owned(), version.to_owned())));
        }
    }
    let mut images = BTreeSet::new();
    for (template, version) in wanted {
        images.extend(of_templates(ctx, Some(&template), &[&version]).await?);
    }
    Ok(images)
}

/// The images of instances that are there.
async fn of_instances(ctx: &Ctx) -> Result<BTreeSet<String>, Error> {
    let mut there = filter("instance-state-name", "running");
    there.values = Some(["pending", "running", "stopping", "stopped"].map(str::to_owned).to_vec());
    let reservations = ctx
        .read("ec2:DescribeInstances", || {
            let request = ctx.aws().ec2.describe_instances().filters(there.clone());
            request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let instances = reservations.iter().flat_map(|reservation| reservation.instances());
    Ok(instances.filter_map(|instance| instance.image_id()).map(str::to_owned).collect())
}
