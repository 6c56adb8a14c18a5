//! Importing: for the first time, and again under the same ARN, which is how ACM renews what it did not issue.

use std::time::Duration;

use aws_sdk_acm::{primitives::Blob, types::Tag};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ByTags, CERTIFICATE_BY_TAGS, DELETE_CERTIFICATE, Made, acm, self_signed};
use crate::{
    ops::{
        Error, arguments,
        ownership::{Owned, RUN_TAG},
        require,
        tagged::{self, Tagged},
    },
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

const CALL: &str = "acm:ImportCertificate";

/// A certificate with its key. Not `Debug`: the key is shown nowhere.
pub struct Pems {
    pub certificate: String,
    pub private_key: String,
    pub chain: Option<String>,
}

impl Pems {
    fn request(
        &self,
        ctx: &Ctx,
    ) -> aws_sdk_acm::operation::import_certificate::builders::ImportCertificateFluentBuilder {
        let request = ctx.aws().acm.import_certificate().certificate(Blob::new(self.certificate.as_bytes()));
        let request = request.private_key(Blob::new(self.private_key.as_bytes()));
        request.set_certificate_chain(self.chain.as_deref().map(Blob::new))
    }
}

/// Imports a certificate for the first time. Returns its ARN.
pub async fn first(ctx: &Ctx, owned: &Owned, pems: &Pems, keep: bool) -> Result<String, Error> {
    let name = &owned.name;
    let tags = owned.tags();
    let by_tags = ByTags { name: name.clone(), run: tags.get(RUN_TAG).cloned().unwrap_or_default() };
    let declared = Mutation::new(CALL, Class::Unique, format!("certificate {name}"))
        .look_up(&CERTIFICATE_BY_TAGS, json!(by_tags))
        .undo(Undo::new(&DELETE_CERTIFICATE, format!("delete certificate {name}"), json!({})).keep(keep));
    let tags: Vec<Tag> = acm::to_acm(&tags);
    let made: Made = ctx
        .mutate(
            declared,
            |permit| pems.request(ctx).set_tags(Some(tags.clone())).customize().interceptor(permit).send(),
            |reply| Ok(Made { certificate_arn: require(CALL, "CertificateArn", reply.certificate_arn())? }),
        )
        .await?;
    Ok(made.certificate_arn)
}

/// Imports a certificate in the place of another one: what uses it goes on with the new one.
pub async fn again(ctx: &Ctx, owned: &Owned, arn: &str, pems: &Pems, undo: Undo) -> Result<(), Error> {
    put(ctx, arn, pems, Some(undo)).await?;
    // AWS keeps the tags. moto, and who knows which other endpoint, does not.
    let tags = acm::CertificateTags::read(ctx, arn).await?;
    tagged::converge::<acm::CertificateTags>(ctx, arn, owned, &tags).await?;
    Ok(())
}

async fn put(ctx: &Ctx, arn: &str, pems: &Pems, undo: Option<Undo>) -> Result<(), Error> {
    let mut declared = Mutation::new(CALL, Class::Idempotent, arn);
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    ctx.change(declared, |permit| pems.request(ctx).certificate_arn(arn).customize().interceptor(permit).send()).await
}

/// The undo of a renewal: none. It is listed as kept.
pub fn stays(arn: &str) -> Undo {
    let description = format!("certificate {arn} stays renewed: ACM hands no keys back");
    Undo::new(&RESTORE_SELF_SIGNED, description, json!({})).keep(true)
}

/// The undo of a change of names: another self-signed certificate, with the names from before.
pub fn back_to(arn: &str, key_algorithm: &str, before: &[String], not_after: Timestamp, ours: &[String]) -> Undo {
    let arguments = json!({
        "certificate_arn": arn, "key_algorithm": key_algorithm, "not_after": not_after,
        "before": before, "ours": ours,
    });
    let description = format!("give certificate {arn} the names {} again", before.join(", "));
    Undo::new(&RESTORE_SELF_SIGNED, description, arguments).key(format!("names of {arn}"))
}

/// Gives a self-signed certificate the names it had. Its key is another one: ACM hands none back.
pub const RESTORE_SELF_SIGNED: UndoAction =
    UndoAction { name: "restore_self_signed", run: |ctx, arguments| Box::pin(restore_self_signed(ctx, arguments)) };

#[derive(Deserialize)]
struct RestoreSelfSigned {
    certificate_arn: String,
    key_algorithm: String,
    not_after: Timestamp,
    before: Vec<String>,
    ours: Vec<String>,
}

async fn restore_self_signed(ctx: &Ctx, restore: Value) -> Result<Undone, Error> {
    let RestoreSelfSigned { certificate_arn: arn, key_algorithm, not_after, before, ours } = arguments(restore)?;
    let found = match acm::describe(ctx, &arn).await {
        Ok(found) => acm::names(&found),
        Err(error) if error.is(acm::GONE) => return Ok(Undone::Already),
        Err(error) => return Err(error),
    };
    if acm::same_names(&found, &before) {
        return Ok(Undone::Already);
    }
    if !acm::same_names(&found, &ours) {
        return Ok(Undone::Foreign(format!("expected the names {}, found {}", ours.join(", "), found.join(", "))));
    }
    // One that had ended would be refused.
    let not_after = not_after.max(ctx.now() + Duration::from_secs(24 * 3600));
    let pems = self_signed::make(&before, &key_algorithm, ctx.now(), not_after)?;
    put(ctx, &arn, &pems, None).await.map(|()| Undone::Done)
}
