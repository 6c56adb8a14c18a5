//! Registering an image of an instance, waiting until it can be launched, and taking it back with its snapshots.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aws_sdk_ec2::{
    operation::describe_snapshots::builders::DescribeSnapshotsFluentBuilder,
    types::{self as ec2, ImageState, ResourceType, SnapshotReturnCodes},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::CONTENT_TAG;
use crate::{
    event::Field,
    ops::{
        Error, Together, arguments,
        ec2_tags::{self, from_ec2},
        network::common::{has_tags, tag_filters},
        ownership::{Owned, RUN_TAG},
        require,
    },
    run::{Class, Ctx, LookUp, Mutation, Seen, Undo, UndoAction, Undone, Wait},
};

/// What says that an image is not there, or not any more.
const GONE: &[&str] = &["InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"];

/// Snapshots of large volumes take long.
const SNAPSHOTS: Duration = Duration::from_secs(2 * 3600);

/// Until nothing uses the snapshots of an image that is gone.
const LET_GO: Duration = Duration::from_secs(5 * 60);

/// An image with its tags, and what they are for.
pub struct New<'a> {
    pub name: &'a str,
    pub description: &'a str,
    pub tags: &'a BTreeMap<String, String>,
    pub keep_on_rollback: bool,
}

/// What is kept of an image that was made.
#[derive(Serialize, Deserialize)]
pub(super) struct Made {
    pub image_id: String,
}

impl New<'_> {
    pub(super) fn declare(&self, ctx: &Ctx, call: &'static str, class: Class) -> Mutation {
        let name = self.name;
        let of_snapshots: BTreeMap<&String, &String> =
            self.tags.iter().filter(|(key, _)| ["Name", RUN_TAG, CONTENT_TAG].contains(&key.as_str())).collect();
        let words = format!("delete image {name} with its snapshots");
        let undo = Undo::new(&DEREGISTER_IMAGE, words, json!({ "of_snapshots": of_snapshots }));
        Mutation::new(call, class, format!("image {name} in {}", ctx.aws().region))
            .look_up(&IMAGE_BY_NAME, json!({ "name": name, "run": ctx.run_id() }))
            .undo(undo.keep(self.keep_on_rollback))
    }

    /// The tags, of the image and of its snapshots.
    pub(super) fn specifications(&self) -> Vec<ec2::TagSpecification> {
        let tags: Vec<ec2::Tag> =
            self.tags.iter().map(|(key, value)| ec2::Tag::builder().key(key).value(value).build()).collect();
        let of = |kind| ec2::TagSpecification::builder().resource_type(kind).set_tags(Some(tags.clone())).build();
        vec![of(ResourceType::Image), of(ResourceType::Snapshot)]
    }

    /// Makes it of a stopped instance.
    pub async fn of_instance(&self, ctx: &Ctx, instance_id: &str) -> Result<String, Error> {
        const CALL: &str = "ec2:CreateImage";
        let made = ctx.mutate(
            self.declare(ctx, CALL, Class::Unique),
            |permit| {
                let request = ctx.aws().ec2.create_image().instance_id(instance_id).name(self.name);
                request
                    .description(self.description)
                    .set_tag_specifications(Some(self.specifications()))
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| Ok(Made { image_id: require(CALL, "imageId", reply.image_id())? }),
        );
        Ok(made.await?.image_id)
    }
}

/// The image of that id; `None` if there is none.
pub async fn by_id(ctx: &Ctx, id: &str) -> Result<Option<ec2::Image>, Error> {
    match ctx.read("ec2:DescribeImages", || ctx.aws().ec2.describe_images().image_ids(id).send()).await {
        Ok(reply) => Ok(reply.images.unwrap_or_default().into_iter().find(|image| image.image_id() == Some(id))),
        Err(error) if error.is(GONE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits until instances can be launched from it.
pub async fn available(ctx: &Ctx, id: &str) -> Result<(), Error> {
    let what = format!("image {id} in {} to be available", ctx.aws().region);
    let wait = Wait { what: what.clone(), timeout: SNAPSHOTS, every: Duration::from_secs(10) };
    ctx.wait(wait, async || {
        let Some(image) = by_id(ctx, id).await? else { return Ok(Seen::Pending("not there yet".to_owned())) };
        match image.state() {
            Some(ImageState::Available) => Ok(Seen::Ready(())),
            Some(ImageState::Failed | ImageState::Error | ImageState::Invalid | ImageState::Deregistered) => {
                let said = image.state_reason().and_then(|reason| reason.message()).unwrap_or("AWS says no more");
                Err(Error::Hopeless { what: what.clone(), reason: said.to_owned() })
            }
            state => Ok(Seen::Pending(state.map_or("unknown", ImageState::as_str).to_owned())),
        }
    })
    .await
}

/// Finds an image of this run by its name, which is unique among the account's own.
pub const IMAGE_BY_NAME: LookUp =
    LookUp { name: "image_by_name", run: |ctx, arguments| Box::pin(image_by_name(ctx, arguments)) };

#[derive(Deserialize)]
struct ByName {
    name: String,
    run: String,
}

async fn image_by_name(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByName { name, run } = arguments(wanted)?;
    let images = super::own(ctx, &[(RUN_TAG, &run)]).await?;
    let found = images.into_iter().find(|image| image.name() == Some(&name));
    Ok(found.map(|image| json!({ "image_id": image.image_id() })))
}

/// Deletes an image that this run made.
pub const DEREGISTER_IMAGE: UndoAction =
    UndoAction { name: "deregister_image", run: |ctx, arguments| Box::pin(deregister_image(ctx, arguments)) };

#[derive(Deserialize)]
struct Deregister {
    image_id: String,
    /// The tags of its snapshots: one that is being made does not show them yet, one that is gone not any more.
    #[serde(default)]
    of_snapshots: BTreeMap<String, String>,
}

async fn deregister_image(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Deregister { image_id, of_snapshots } = arguments(made)?;
    let (image, tagged) = futures::join!(by_id(ctx, &image_id), tagged(ctx, &of_snapshots)).together()?;
    match image {
        Some(image) => delete(ctx, &image, None).await?,
        None if tagged.is_empty() => return Ok(Undone::Already),
        None => {}
    }
    delete_snapshots(ctx, tagged).await?;
    Ok(Undone::Done)
}

/// The account's own snapshots with all these tags.
async fn tagged(ctx: &Ctx, tags: &BTreeMap<String, String>) -> Result<BTreeSet<String>, Error> {
    if tags.is_empty() {
        return Ok(BTreeSet::new());
    }
    let request = ctx.aws().ec2.describe_snapshots().owner_ids("self").set_filters(Some(tag_filters(tags)));
    let snapshots = all_snapshots(ctx, request).await?.into_iter().filter(|snapshot| has_tags(snapshot.tags(), tags));
    Ok(snapshots.filter_map(|snapshot| snapshot.snapshot_id).collect())
}

async fn all_snapshots(ctx: &Ctx, request: DescribeSnapshotsFluentBuilder) -> Result<Vec<ec2::Snapshot>, Error> {
    ctx.read("ec2:DescribeSnapshots", || {
        request.clone().into_paginator().items().send().collect::<Result<Vec<ec2::Snapshot>, _>>()
    })
    .await
}

/// The ids of the snapshots that it shows.
fn snapshots_of(image: &ec2::Image) -> impl Iterator<Item = String> {
    image.block_device_mappings().iter().filter_map(|mapping| Some(mapping.ebs()?.snapshot_id()?.to_owned()))
}

/// Gives an image that was found, and its snapshots, the tags that they lack. Returns what changed, each once.
pub async fn retag(ctx: &Ctx, owned: &Owned, image: &ec2::Image) -> Result<Vec<Field>, Error> {
    let id = image.image_id().unwrap_or_default();
    let mut fields = ec2_tags::converge(ctx, id, owned, &from_ec2(image.tags())).await?;
    let ids: Vec<String> = snapshots_of(image).collect();
    if ids.is_empty() {
        return Ok(fields);
    }
    let request = ctx.aws().ec2.describe_snapshots().set_snapshot_ids(Some(ids));
    for snapshot in all_snapshots(ctx, request).await? {
        let id = snapshot.snapshot_id().unwrap_or_default();
        let changed = ec2_tags::converge(ctx, id, owned, &from_ec2(snapshot.tags())).await?;
        fields.extend(changed.into_iter().filter(|field| !fields.contains(field)).collect::<Vec<_>>());
    }
    Ok(fields)
}

/// What is kept of an image's end: the snapshots that went with it, or that another image needs.
#[derive(Default, Serialize, Deserialize)]
struct Gone {
    settled: BTreeSet<String>,
}

/// Deregisters an image and deletes its snapshots. `undo` says that nothing brings them back, where that has to be said.
pub(super) async fn delete(ctx: &Ctx, image: &ec2::Image, undo: Option<Undo>) -> Result<(), Error> {
    let id = image.image_id().unwrap_or_default();
    let declared = Mutation::new("ec2:DeregisterImage", Class::Idempotent, format!("image {id}")).undo(undo);
    let gone = ctx.mutate(
        declared,
        |permit| {
            let request = ctx.aws().ec2.deregister_image().image_id(id).delete_associated_snapshots(true);
            request.customize().interceptor(permit).send()
        },
        |reply| {
            let is_settled = |code: &SnapshotReturnCodes| {
                matches!(code, SnapshotReturnCodes::Success | SnapshotReturnCodes::WarnSkipped)
            };
            let results = reply.delete_snapshot_results().iter();
            let settled = results.filter(|result| result.return_code().is_some_and(is_settled));
            Ok(Gone { settled: settled.filter_map(|result| result.snapshot_id.clone()).collect() })
        },
    );
    let gone = match gone.await {
        Err(error) if error.is(GONE) => Gone::default(),
        gone => gone?,
    };
    // Not every AWS-compatible endpoint knows that they go with it.
    delete_snapshots(ctx, snapshots_of(image).filter(|snapshot| !gone.settled.contains(snapshot))).await
}

async fn delete_snapshots(ctx: &Ctx, snapshots: impl IntoIterator<Item = String>) -> Result<(), Error> {
    for snapshot in snapshots {
        let declared = Mutation::new("ec2:DeleteSnapshot", Class::Idempotent, format!("snapshot {snapshot}"))
            .patiently(&["InvalidSnapshot.InUse"], LET_GO);
        let gone = ctx.change(declared, |permit| {
            ctx.aws().ec2.delete_snapshot().snapshot_id(&snapshot).customize().interceptor(permit).send()
        });
        match gone.await {
            Err(error) if error.is(&["InvalidSnapshot.NotFound"]) => {}
            gone => gone?,
        }
    }
    Ok(())
}
