//! Copies of an image in other regions, and the accounts that it is shared with.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{self as ec2, ImageAttributeName, LaunchPermission, LaunchPermissionModifications};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::register::{self, Made, New};
use crate::{
    event::Field,
    ops::{Error, arguments, outcome::fixed, ownership::set, require},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that the region of `there` has a copy. Returns its id, and whether it was made now.
pub async fn copy(
    there: &Ctx,
    new: &New<'_>,
    source: (&str, &str),
    known: Option<String>,
    encryption: (bool, Option<&str>),
) -> Result<(String, bool), Error> {
    const CALL: &str = "ec2:CopyImage";
    let (is_new, id) = match known {
        Some(id) => (false, id),
        None => {
            let (region, id) = source;
            let (encrypted, key) = encryption;
            let made = there.mutate(
                new.declare(there, CALL, Class::Token),
                |permit| {
                    let request = there.aws().ec2.copy_image().source_region(region).source_image_id(id).name(new.name);
                    request
                        .description(new.description)
                        .set_encrypted(encrypted.then_some(true))
                        .set_kms_key_id(key.map(str::to_owned))
                        .set_tag_specifications(Some(new.specifications()))
                        .client_token(permit.token())
                        .customize()
                        .interceptor(permit)
                        .send()
                },
                |reply| Ok(Made { image_id: require(CALL, "imageId", reply.image_id())? }),
            );
            (true, made.await?.image_id)
        }
    };
    register::available(there, &id).await?;
    Ok((id, is_new))
}

/// Refuses a copy that was made without the encryption that is wanted now. A copy may be encrypted without having been asked
/// for: accounts can have it so by default. With which key, it does not show.
pub fn check_encryption(image: &ec2::Image, region: &str, encrypted: bool) -> Result<(), Error> {
    let is_plain = |disk: &ec2::BlockDeviceMapping| disk.ebs().is_some_and(|disk| disk.encrypted() == Some(false));
    let found = if image.block_device_mappings().iter().any(is_plain) { "false" } else { "true" };
    let resource = format!("copy {} in {region}", image.image_id().unwrap_or_default());
    if encrypted { fixed(&resource, "encrypted", found, "true") } else { Ok(()) }
}

/// The accounts that may launch it.
async fn shared_with(ctx: &Ctx, image_id: &str) -> Result<BTreeSet<String>, Error> {
    let request = || {
        let request = ctx.aws().ec2.describe_image_attribute().image_id(image_id);
        request.attribute(ImageAttributeName::LaunchPermission).send()
    };
    let reply = ctx.read("ec2:DescribeImageAttribute", request).await?;
    Ok(reply.launch_permissions().iter().filter_map(|one| one.user_id()).map(str::to_owned).collect())
}

/// Makes sure that these accounts may launch it. Those of others are left alone.
pub async fn share(ctx: &Ctx, image_id: &str, accounts: &[String]) -> Result<Option<Field>, Error> {
    if accounts.is_empty() {
        return Ok(None);
    }
    let shared = shared_with(ctx, image_id).await?;
    let missing: Vec<String> = accounts.iter().filter(|account| !shared.contains(*account)).cloned().collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let undo = Undo::new(
        &STOP_SHARING,
        format!("stop sharing image {image_id} with {}", missing.join(", ")),
        json!({ "image_id": image_id, "accounts": missing }),
    );
    let declared =
        Mutation::new("ec2:ModifyImageAttribute", Class::Idempotent, format!("accounts of image {image_id}"));
    modify(ctx, declared.undo(undo), image_id, &missing, true).await?;
    Ok(Some(set("shared_with", missing)))
}

async fn modify(ctx: &Ctx, declared: Mutation, image_id: &str, accounts: &[String], add: bool) -> Result<(), Error> {
    let permissions: Vec<LaunchPermission> =
        accounts.iter().map(|account| LaunchPermission::builder().user_id(account).build()).collect();
    let change = LaunchPermissionModifications::builder();
    let change = if add { change.set_add(Some(permissions)) } else { change.set_remove(Some(permissions)) }.build();
    ctx.change(declared, |permit| {
        let request = ctx.aws().ec2.modify_image_attribute().image_id(image_id).launch_permission(change.clone());
        request.customize().interceptor(permit).send()
    })
    .await
}

/// Takes accounts away that this run has shared an image with.
pub const STOP_SHARING: UndoAction =
    UndoAction { name: "stop_sharing_image", run: |ctx, arguments| Box::pin(stop_sharing(ctx, arguments)) };

#[derive(Serialize, Deserialize)]
struct Shared {
    image_id: String,
    accounts: Vec<String>,
}

async fn stop_sharing(ctx: &Ctx, arguments_: Value) -> Result<Undone, Error> {
    let Shared { image_id, accounts } = arguments(arguments_)?;
    if register::by_id(ctx, &image_id).await?.is_none() {
        return Ok(Undone::Already);
    }
    let shared = shared_with(ctx, &image_id).await?;
    let still: Vec<String> = accounts.into_iter().filter(|account| shared.contains(account)).collect();
    if still.is_empty() {
        return Ok(Undone::Already);
    }
    let declared =
        Mutation::new("ec2:ModifyImageAttribute", Class::Idempotent, format!("accounts of image {image_id}"));
    modify(ctx, declared, &image_id, &still, false).await?;
    Ok(Undone::Done)
}
