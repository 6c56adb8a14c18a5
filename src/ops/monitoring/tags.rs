//! Tags of topics, alarms and log groups, by their ARNs.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::set;
use crate::{
    ops::{
        Error,
        tagged::{Tagged, restore},
    },
    run::{Ctx, Undo, UndoAction},
};

type TagMap = BTreeMap<String, String>;

/// Tags in the form creating and tagging calls of SNS and CloudWatch take.
pub fn listed(tags: &TagMap) -> Value {
    tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Listed {
    tags: Vec<Tag>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: String,
}

/// A kind whose service lists tags as keys and values.
macro_rules! tagged {
    (
        $(#[$doc:meta])* $kind:ident, $restore:ident = $name:literal, $arn:literal,
        $list:literal, $tag:literal, $untag:literal, $gone:expr
    ) => {
        $(#[$doc])*
        pub(in crate::ops) struct $kind;

        /// Puts changed tags back.
        pub const $restore: UndoAction =
            UndoAction { name: $name, run: |ctx, arguments| Box::pin(restore::<$kind>(ctx, arguments)) };

        impl Tagged for $kind {
            const RESTORE: &'static UndoAction = &$restore;
            const GONE: &'static [&'static str] = $gone;

            async fn read(ctx: &Ctx, id: &str) -> Result<TagMap, Error> {
                let reply: Listed = ctx.fetch($list, &json!({ ($arn): id })).await?;
                Ok(reply.tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
            }

            async fn set(ctx: &Ctx, id: &str, tags: &TagMap, undo: Option<Undo>) -> Result<(), Error> {
                let input = json!({ ($arn): id, "Tags": listed(tags) });
                set(ctx, $tag, id, &input, undo).await
            }

            async fn remove(ctx: &Ctx, id: &str, keys: &[String]) -> Result<(), Error> {
                let input = json!({ ($arn): id, "TagKeys": keys });
                set(ctx, $untag, id, &input, None).await
            }
        }
    };
}

tagged!(
    /// Tags of a topic.
    TopicTags, RESTORE_TOPIC_TAGS = "restore_topic_tags", "ResourceArn",
    "sns:ListTagsForResource", "sns:TagResource", "sns:UntagResource", &["NotFound", "ResourceNotFound"]
);

tagged!(
    /// Tags of an alarm.
    AlarmTags, RESTORE_ALARM_TAGS = "restore_alarm_tags", "ResourceARN",
    "cloudwatch:ListTagsForResource", "cloudwatch:TagResource", "cloudwatch:UntagResource",
    &["ResourceNotFound", "ResourceNotFoundException"]
);

/// Tags of a log group.
pub(in crate::ops) struct LogGroupTags;

/// Puts changed tags back.
pub const RESTORE_LOG_GROUP_TAGS: UndoAction = UndoAction {
    name: "restore_log_group_tags",
    run: |ctx, arguments| Box::pin(restore::<LogGroupTags>(ctx, arguments)),
};

impl Tagged for LogGroupTags {
    const RESTORE: &'static UndoAction = &RESTORE_LOG_GROUP_TAGS;
    const GONE: &'static [&'static str] = &["ResourceNotFoundException"];

    async fn read(ctx: &Ctx, id: &str) -> Result<TagMap, Error> {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default)]
        struct Mapped {
            tags: TagMap,
        }
        let reply: Mapped = ctx.fetch("logs:ListTagsForResource", &json!({ "resourceArn": id })).await?;
        Ok(reply.tags)
    }

    async fn set(ctx: &Ctx, id: &str, tags: &TagMap, undo: Option<Undo>) -> Result<(), Error> {
        set(ctx, "logs:TagResource", id, &json!({ "resourceArn": id, "tags": tags }), undo).await
    }

    async fn remove(ctx: &Ctx, id: &str, keys: &[String]) -> Result<(), Error> {
        set(ctx, "logs:UntagResource", id, &json!({ "resourceArn": id, "tagKeys": keys }), None).await
    }
}

/// The tags of an alarm, by its name or its ARN.
pub(in crate::ops) async fn of_alarm(ctx: &Ctx, alarm: &str) -> Result<TagMap, Error> {
    AlarmTags::read(ctx, &super::alarm::arn_of(ctx, alarm)).await
}

/// The tags of a topic, by its ARN or that of a subscription, which goes on from there.
pub(in crate::ops) async fn of_topic(ctx: &Ctx, arn: &str) -> Result<TagMap, Error> {
    let topic: Vec<&str> = arn.splitn(7, ':').take(6).collect();
    TopicTags::read(ctx, &topic.join(":")).await
}

/// The tags of a log group, by its name or its ARN.
pub(in crate::ops) async fn of_log_group(ctx: &Ctx, group: &str) -> Result<TagMap, Error> {
    LogGroupTags::read(ctx, &super::ensure_log_group::arn_of(ctx, group)).await
}
