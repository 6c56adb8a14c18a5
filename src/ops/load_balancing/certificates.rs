//! Certificates of a listener besides its default one. Those that are there and not asked for are left alone.

use aws_sdk_elasticloadbalancingv2::types::Certificate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    event::Field,
    ops::{Error, arguments, outcome::deleted, ownership::set},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

fn to_elb(arns: &[String]) -> Vec<Certificate> {
    arns.iter().map(|arn| Certificate::builder().certificate_arn(arn).build()).collect()
}

/// All certificates of a listener.
async fn read(ctx: &Ctx, listener: &str) -> Result<Vec<String>, Error> {
    let found = ctx
        .read_of("elasticloadbalancing:DescribeListenerCertificates", listener, || {
            let request = ctx.aws().elbv2.describe_listener_certificates().listener_arn(listener);
            request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
        })
        .await?;
    Ok(found.into_iter().filter_map(|one| one.certificate_arn).collect())
}

/// Adds those that are missing. Returns what changed.
pub async fn converge(ctx: &Ctx, listener: &str, wanted: &[String]) -> Result<Option<Field>, Error> {
    if wanted.is_empty() {
        return Ok(None);
    }
    let found = read(ctx, listener).await?;
    let missing: Vec<String> = wanted.iter().filter(|arn| !found.contains(arn)).cloned().collect();
    if missing.is_empty() {
        return Ok(None);
    }
    add(ctx, listener, &missing).await?;
    Ok(Some(set("certificates", json!(missing))))
}

/// Adds certificates.
pub async fn add(ctx: &Ctx, listener: &str, arns: &[String]) -> Result<(), Error> {
    let undo = Undo::new(
        &REMOVE_LISTENER_CERTIFICATES,
        format!("remove {} certificates of {listener}", arns.len()),
        json!({ "listener_arn": listener, "certificates": arns }),
    );
    let declared =
        Mutation::new("elasticloadbalancing:AddListenerCertificates", Class::Idempotent, listener).undo(undo);
    let certificates = to_elb(arns);
    ctx.change(declared, |permit| {
        let request = ctx.aws().elbv2.add_listener_certificates().listener_arn(listener);
        request.set_certificates(Some(certificates.clone())).customize().interceptor(permit).send()
    })
    .await
}

/// Removes certificates this run added.
pub const REMOVE_LISTENER_CERTIFICATES: UndoAction = UndoAction {
    name: "remove_listener_certificates",
    run: |ctx, arguments| Box::pin(remove_listener_certificates(ctx, arguments)),
};

#[derive(Serialize, Deserialize)]
struct Added {
    listener_arn: String,
    certificates: Vec<String>,
}

async fn remove_listener_certificates(ctx: &Ctx, given: Value) -> Result<Undone, Error> {
    let Added { listener_arn, certificates } = arguments(given)?;
    let certificates = to_elb(&certificates);
    let declared = Mutation::new("elasticloadbalancing:RemoveListenerCertificates", Class::Idempotent, &listener_arn);
    let removed = ctx.change(declared, |permit| {
        let request = ctx.aws().elbv2.remove_listener_certificates().listener_arn(&listener_arn);
        request.set_certificates(Some(certificates.clone())).customize().interceptor(permit).send()
    });
    deleted(removed.await, &["ListenerNotFound"])
}
