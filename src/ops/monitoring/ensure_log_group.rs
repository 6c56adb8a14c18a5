//! `ensure_log_group`: where logs go, and how long they stay.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{LogGroup, if_there, set, tags::LogGroupTags};
use crate::{
    event::{Change, Field},
    ops::{
        Error, Operation, Tags, Together, arguments,
        outcome::deleted,
        ownership::{Owned, STACK_TAG, changed, set as told},
        tagged::{self, Tagged},
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that the stack has a log group of this name that keeps what is written for so long.
///
/// A shorter time takes effect within days: what is older is deleted then, and no rollback brings it back. A rollback deletes a group
/// that the run has made with all that was written into it meanwhile, unless `keep_on_rollback` is set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureLogGroup {
    /// What the stack calls it; AWS shows `<stack>-<name>`. A name that begins with a slash is AWS's too: `"/ecs/shop"`.
    name: String,
    /// For how many days what is written is kept: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192,
    /// 2557, 2922, 3288 or 3653. Left out, for ever.
    retention_in_days: Option<i32>,
    /// The ARN of the KMS key that new logs are encrypted with. Left out, it is left alone.
    kms_key_id: Option<String>,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a group of this name that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back, with what was written into it.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// Source: PutRetentionPolicy.
const DAYS: &[i32] =
    &[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

const GONE: &[&str] = LogGroupTags::GONE;

/// A group as AWS shows it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Shown {
    log_group_name: String,
    retention_in_days: Option<i32>,
    kms_key_id: Option<String>,
}

/// What is kept of a created group.
#[derive(Serialize, Deserialize)]
struct Made {
    log_group_name: String,
}

impl Operation for EnsureLogGroup {
    const NAME: &'static str = "ensure_log_group";
    const AREA: &'static str = "CloudWatch Logs";
    const EXAMPLE: &'static str = r#"ensure_log_group(#{ name: "web", retention_in_days: 30 })"#;

    type Options = Self;
    type Handle = LogGroup;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<LogGroup, Error> {
        options.check()?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let name = if options.name.starts_with('/') { options.name.clone() } else { owned.name_within(512) };
        check_name(&name)?;
        let arn = arn_of(ctx, &name);
        let tags = async { if_there(LogGroupTags::read(ctx, &arn).await, GONE) };
        let (found, tags) = futures::join!(find(ctx, &name), tags).together()?;
        let (change, fields) = match found {
            None => (Change::Created, create(ctx, &options, &owned, &name, &arn).await?),
            Some(found) => {
                let tags = tags.unwrap_or_default();
                owned.check(&format!("log group {name}"), &tags, options.adopt)?;
                let mut fields = tagged::converge::<LogGroupTags>(ctx, &arn, &owned, &tags).await?;
                fields.extend(converge(ctx, &options, &found).await?);
                (Change::Updated, fields)
            }
        };
        ctx.did(if fields.is_empty() { Change::Unchanged } else { change }, fields);
        Ok(LogGroup { log_group_name: name, log_group_arn: arn, retention_in_days: options.retention_in_days })
    }
}

/// The ARN of a group that is given by its name or its ARN, as calls about tags want it.
pub(in crate::ops) fn arn_of(ctx: &Ctx, group: &str) -> String {
    match group.starts_with("arn:") {
        true => group.trim_end_matches(":*").to_owned(),
        false => ctx.aws().arn("logs", &format!("log-group:{group}")),
    }
}

/// Without `#`, which AWS lets be in a name and not in the ARN that a call about tags takes.
fn check_name(name: &str) -> Result<(), Error> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    match name.len() <= 512 && name.chars().all(is_word) {
        true => Ok(()),
        false => {
            let message = format!("expected up to 512 letters, digits, `.`, `_`, `-` and `/`, found {name:?}");
            Err(Error::option("name", message))
        }
    }
}

impl EnsureLogGroup {
    fn check(&self) -> Result<(), Error> {
        if let Some(days) = self.retention_in_days.filter(|days| !DAYS.contains(days)) {
            let known: Vec<String> = DAYS.iter().map(ToString::to_string).collect();
            let message = format!("expected one of {}, found {days}", known.join(", "));
            return Err(Error::option("retention_in_days", message));
        }
        match &self.kms_key_id {
            Some(key) if !key.starts_with("arn:") => {
                Err(Error::option("kms_key_id", format!("expected the ARN of a key, found {key:?}")))
            }
            _ => Ok(()),
        }
    }
}

async fn find(ctx: &Ctx, name: &str) -> Result<Option<Shown>, Error> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Page {
        log_groups: Vec<Shown>,
        next_token: Option<String>,
    }
    let mut next = None::<String>;
    loop {
        let mut input = json!({ "logGroupNamePrefix": name });
        if let Some(next) = next {
            input["nextToken"] = json!(next);
        }
        let page: Page = ctx.fetch("logs:DescribeLogGroups", &input).await?;
        let found = page.log_groups.into_iter().find(|group| group.log_group_name == name);
        next = page.next_token;
        if found.is_some() || next.is_none() {
            return Ok(found);
        }
    }
}

async fn create(
    ctx: &Ctx,
    options: &EnsureLogGroup,
    owned: &Owned,
    name: &str,
    arn: &str,
) -> Result<Vec<Field>, Error> {
    const CALL: &str = "logs:CreateLogGroup";
    let undo = Undo::new(&DELETE_LOG_GROUP, format!("delete log group {name} with what is in it"), json!({}));
    let declared = Mutation::new(CALL, Class::Unique, format!("log group {name}"))
        .look_up(&LOG_GROUP_BY_NAME, json!({ "name": name, "stack": owned.stack }))
        .undo(undo.keep(options.keep_on_rollback));
    let mut input = json!({ "logGroupName": name, "tags": owned.tags() });
    if let Some(key) = &options.kms_key_id {
        input["kmsKeyId"] = json!(key);
    }
    let send = |permit| ctx.aws().call(CALL, &input).permit(permit).send::<Value>();
    ctx.mutate(declared, send, |_: &Value| Ok(Made { log_group_name: name.to_owned() })).await?;
    let mut fields = vec![told("log_group_name", name), told("log_group_arn", arn)];
    if let Some(days) = options.retention_in_days {
        set_retention(ctx, name, Some(days), None).await?;
        fields.push(told("retention_in_days", days));
    }
    Ok(fields)
}

async fn converge(ctx: &Ctx, options: &EnsureLogGroup, found: &Shown) -> Result<Vec<Field>, Error> {
    let name = &found.log_group_name;
    let mut fields = Vec::new();
    let (before, ours) = (found.retention_in_days, options.retention_in_days);
    if before != ours {
        let restore = json!(Retention { log_group_name: name.clone(), before, ours });
        let undo = Undo::new(&RESTORE_RETENTION, format!("restore the retention of log group {name}"), restore);
        set_retention(ctx, name, ours, Some(undo.key(format!("retention of {name}")))).await?;
        fields.push(changed("retention_in_days", before, ours));
    }
    if let Some(ours) = options.kms_key_id.clone().filter(|key| found.kms_key_id.as_ref() != Some(key)) {
        let before = found.kms_key_id.clone();
        let restore = json!(Key { log_group_name: name.clone(), before: before.clone(), ours: Some(ours.clone()) });
        let undo = Undo::new(&RESTORE_LOG_GROUP_KEY, format!("restore the key of log group {name}"), restore);
        set_key(ctx, name, Some(&ours), Some(undo.key(format!("key of {name}")))).await?;
        fields.push(changed("kms_key_id", before, ours));
    }
    Ok(fields)
}

async fn set_retention(ctx: &Ctx, name: &str, days: Option<i32>, undo: Option<Undo>) -> Result<(), Error> {
    let words = format!("retention of {name}");
    match days {
        Some(days) => {
            let input = json!({ "logGroupName": name, "retentionInDays": days });
            set(ctx, "logs:PutRetentionPolicy", words, &input, undo).await
        }
        None => set(ctx, "logs:DeleteRetentionPolicy", words, &json!({ "logGroupName": name }), undo).await,
    }
}

async fn set_key(ctx: &Ctx, name: &str, key: Option<&str>, undo: Option<Undo>) -> Result<(), Error> {
    let words = format!("key of {name}");
    match key {
        Some(key) => {
            set(ctx, "logs:AssociateKmsKey", words, &json!({ "logGroupName": name, "kmsKeyId": key }), undo).await
        }
        None => set(ctx, "logs:DisassociateKmsKey", words, &json!({ "logGroupName": name }), undo).await,
    }
}

/// Finds a group by its name, which is unique in a region.
pub const LOG_GROUP_BY_NAME: LookUp =
    LookUp { name: "log_group_by_name", run: |ctx, arguments| Box::pin(log_group_by_name(ctx, arguments)) };

#[derive(Deserialize)]
struct ByName {
    name: String,
    stack: String,
}

async fn log_group_by_name(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByName { name, stack } = arguments(wanted)?;
    if find(ctx, &name).await?.is_none() {
        return Ok(None);
    }
    let tags = if_there(LogGroupTags::read(ctx, &arn_of(ctx, &name)).await, GONE)?.unwrap_or_default();
    let is_ours = tags.get(STACK_TAG) == Some(&stack);
    Ok(is_ours.then(|| json!(Made { log_group_name: name })))
}

/// Deletes a group this run made, with what was written into it.
pub const DELETE_LOG_GROUP: UndoAction =
    UndoAction { name: "delete_log_group", run: |ctx, arguments| Box::pin(delete_log_group(ctx, arguments)) };

async fn delete_log_group(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { log_group_name: name } = arguments(made)?;
    let gone =
        set(ctx, "logs:DeleteLogGroup", format!("log group {name}"), &json!({ "logGroupName": name }), None).await;
    deleted(gone, GONE)
}

#[derive(Serialize, Deserialize)]
struct Retention {
    log_group_name: String,
    before: Option<i32>,
    ours: Option<i32>,
}

/// Puts the retention of a group back.
pub const RESTORE_RETENTION: UndoAction =
    UndoAction { name: "restore_retention", run: |ctx, arguments| Box::pin(restore_retention(ctx, arguments)) };

async fn restore_retention(ctx: &Ctx, restore: Value) -> Result<Undone, Error> {
    let Retention { log_group_name: name, before, ours } = arguments(restore)?;
    let Some(found) = find(ctx, &name).await? else { return Ok(Undone::Already) };
    match found.retention_in_days {
        found if found == before => Ok(Undone::Already),
        found if found == ours => set_retention(ctx, &name, before, None).await.map(|()| Undone::Done),
        found => Ok(Undone::Foreign(format!("retention: expected {}, found {}", json!(ours), json!(found)))),
    }
}

#[derive(Serialize, Deserialize)]
struct Key {
    log_group_name: String,
    before: Option<String>,
    ours: Option<String>,
}

/// Puts the key of a group back. What was encrypted meanwhile stays so.
pub const RESTORE_LOG_GROUP_KEY: UndoAction =
    UndoAction { name: "restore_log_group_key", run: |ctx, arguments| Box::pin(restore_key(ctx, arguments)) };

async fn restore_key(ctx: &Ctx, restore: Value) -> Result<Undone, Error> {
    let Key { log_group_name: name, before, ours } = arguments(restore)?;
    let Some(found) = find(ctx, &name).await? else { return Ok(Undone::Already) };
    match found.kms_key_id {
        found if found == before => Ok(Undone::Already),
        found if found == ours => set_key(ctx, &name, before.as_deref(), None).await.map(|()| Undone::Done),
        found => Ok(Undone::Foreign(format!("key: expected {}, found {}", json!(ours), json!(found)))),
    }
}
