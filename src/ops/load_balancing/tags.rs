//! Tags of what Elastic Load Balancing holds, by ARN.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::Tag;

use super::read;
use crate::{
    ops::{
        Error,
        tagged::{Tagged, restore},
    },
    run::{Class, Ctx, Mutation, Undo, UndoAction},
};

/// Tags in the form creating and tagging calls take.
pub fn to_elb(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.iter().map(tag).collect()
}

/// Load balancers, target groups, listeners and rules: one call serves them all.
pub struct Resource;

/// Puts changed tags back.
pub const RESTORE_TAGS: UndoAction = UndoAction {
    name: "restore_load_balancing_tags",
    run: |ctx, arguments| Box::pin(restore::<Resource>(ctx, arguments)),
};

impl Tagged for Resource {
    const RESTORE: &'static UndoAction = &RESTORE_TAGS;
    const GONE: &'static [&'static str] = read::GONE;

    async fn read(ctx: &Ctx, arn: &str) -> Result<BTreeMap<String, String>, Error> {
        read::tags(ctx, arn).await
    }

    async fn set(ctx: &Ctx, arn: &str, tags: &BTreeMap<String, String>, undo: Option<Undo>) -> Result<(), Error> {
        let mut declared = Mutation::new("elasticloadbalancing:AddTags", Class::Idempotent, arn);
        if let Some(undo) = undo {
            declared = declared.undo(undo);
        }
        let tags = to_elb(tags);
        ctx.change(declared, |permit| {
            let request = ctx.aws().elbv2.add_tags().resource_arns(arn).set_tags(Some(tags.clone()));
            request.customize().interceptor(permit).send()
        })
        .await
    }

    async fn remove(ctx: &Ctx, arn: &str, keys: &[String]) -> Result<(), Error> {
        ctx.change(Mutation::new("elasticloadbalancing:RemoveTags", Class::Idempotent, arn), |permit| {
            let request = ctx.aws().elbv2.remove_tags().resource_arns(arn).set_tag_keys(Some(keys.to_vec()));
            request.customize().interceptor(permit).send()
        })
        .await
    }
}
