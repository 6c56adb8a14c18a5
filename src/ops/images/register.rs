//! Registering an image of an instance, waiting until it can be launched, and taking it back with its snapshots.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_ec2::types::{self as ec2, ImageState, ResourceType};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    ops::{Error, arguments, ownership::RUN_TAG, require},
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
        let undo = Undo::new(&DEREGISTER_IMAGE, format!("delete image {name} with its snapshots"), json!({}));
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

async fn deregister_image(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { image_id } = arguments(made)?;
    let Some(image) = by_id(ctx, &image_id).await? else { return Ok(Undone::Already) };
    delete(ctx, &image, None).await?;
    Ok(Undone::Done)
}

/// Deregisters an image and deletes its snapshots. `undo` says that nothing brings them back, where that has to be said.
pub(super) async fn delete(ctx: &Ctx, image: &ec2::Image, undo: Option<Undo>) -> Result<(), Error> {
    let id = image.image_id().unwrap_or_default();
    let declared = Mutation::new("ec2:DeregisterImage", Class::Idempotent, format!("image {id}")).undo(undo);
    let gone = ctx.change(declared, |permit| {
        ctx.aws().ec2.deregister_image().image_id(id).customize().interceptor(permit).send()
    });
    match gone.await {
        Err(error) if error.is(GONE) => {}
        gone => gone?,
    }
    let mappings = image.block_device_mappings().iter();
    for snapshot in mappings.filter_map(|mapping| mapping.ebs()?.snapshot_id()) {
        let declared = Mutation::new("ec2:DeleteSnapshot", Class::Idempotent, format!("snapshot {snapshot}"))
            .patiently(&["InvalidSnapshot.InUse"], LET_GO);
        let gone = ctx.change(declared, |permit| {
            ctx.aws().ec2.delete_snapshot().snapshot_id(snapshot).customize().interceptor(permit).send()
        });
        match gone.await {
            Err(error) if error.is(&["InvalidSnapshot.NotFound"]) => {}
            gone => gone?,
        }
    }
    Ok(())
}
