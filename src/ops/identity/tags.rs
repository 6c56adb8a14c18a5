//! Tags of what IAM holds.

use std::collections::BTreeMap;

use aws_sdk_iam::types::Tag;

use super::GONE;
use crate::{
    ops::{
        Error,
        tagged::{Tagged, restore},
    },
    run::{Class, Ctx, Mutation, Undo, UndoAction},
};

/// Tags as a map.
pub fn from_iam(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect()
}

/// Tags in the form creating and tagging calls take.
pub fn to_iam(tags: &BTreeMap<String, String>) -> Vec<Tag> {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.iter().map(tag).collect::<Result<_, _>>().expect("both members are set")
}

/// A kind of IAM's: all have the same calls, under names of their own.
macro_rules! tagged {
    (
        $(#[$doc:meta])* $kind:ident, $restore:ident = $name:literal, $id:ident,
        $get:ident.$part:ident = $get_call:literal, $tag:ident = $tag_call:literal, $untag:ident = $untag_call:literal
    ) => {
        $(#[$doc])*
        pub(in crate::ops) struct $kind;

        /// Puts changed tags back.
        pub const $restore: UndoAction =
            UndoAction { name: $name, run: |ctx, arguments| Box::pin(restore::<$kind>(ctx, arguments)) };

        impl Tagged for $kind {
            const RESTORE: &'static UndoAction = &$restore;
            const GONE: &'static [&'static str] = GONE;

            async fn read(ctx: &Ctx, id: &str) -> Result<BTreeMap<String, String>, Error> {
                // Not by the kind's own list of tags: moto has none for instance profiles.
                let reply = ctx.read($get_call, || ctx.aws().iam.$get().$id(id).send()).await?;
                Ok(reply.$part().map(|found| from_iam(found.tags())).unwrap_or_default())
            }

            async fn set(
                ctx: &Ctx,
                id: &str,
                tags: &BTreeMap<String, String>,
                undo: Option<Undo>,
            ) -> Result<(), Error> {
                let mut declared = Mutation::new($tag_call, Class::Idempotent, id);
                if let Some(undo) = undo {
                    declared = declared.undo(undo);
                }
                let tags = to_iam(tags);
                ctx.change(declared, |permit| {
                    let request = ctx.aws().iam.$tag().$id(id).set_tags(Some(tags.clone()));
                    request.customize().interceptor(permit).send()
                })
                .await
            }

            async fn remove(ctx: &Ctx, id: &str, keys: &[String]) -> Result<(), Error> {
                ctx.change(Mutation::new($untag_call, Class::Idempotent, id), |permit| {
                    let request = ctx.aws().iam.$untag().$id(id).set_tag_keys(Some(keys.to_vec()));
                    request.customize().interceptor(permit).send()
                })
                .await
            }
        }
    };
}

tagged!(
    /// Tags of a role, by its name.
    RoleTags, RESTORE_ROLE_TAGS = "restore_role_tags", role_name,
    get_role.role = "iam:GetRole", tag_role = "iam:TagRole", untag_role = "iam:UntagRole"
);

tagged!(
    /// Tags of a policy, by its ARN.
    PolicyTags, RESTORE_POLICY_TAGS = "restore_policy_tags", policy_arn,
    get_policy.policy = "iam:GetPolicy", tag_policy = "iam:TagPolicy", untag_policy = "iam:UntagPolicy"
);

tagged!(
    /// Tags of an instance profile, by its name.
    ProfileTags, RESTORE_PROFILE_TAGS = "restore_instance_profile_tags", instance_profile_name,
    get_instance_profile.instance_profile = "iam:GetInstanceProfile",
    tag_instance_profile = "iam:TagInstanceProfile", untag_instance_profile = "iam:UntagInstanceProfile"
);
