//! `ensure_topic`: where alarms are told.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Topic, if_there, set,
    subscription::{self, Endpoint, GONE, Listed},
    tags::{TopicTags, listed},
};
use crate::{
    event::{Change, Event, Field},
    ops::{
        Error, Operation, Tags, Together, all_of, arguments,
        identity::PolicyDocument,
        outcome::deleted,
        ownership::{Owned, changed, set as told},
        tagged::{self, Tagged},
    },
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// Makes sure that the stack has a topic of this name, and that these are told of what is published to it.
///
/// Whoever is told by mail or over HTTP has to confirm it first: until then the subscription is `pending`, and SNS forgets it
/// after two days. Other subscriptions are left alone, because SNS does not say who has made them: people subscribe themselves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureTopic {
    /// What the stack calls it; SNS shows `<stack>-<name>`.
    name: String,
    /// Who mails are from, for people; up to 100 characters. Left out, it is left alone.
    display_name: Option<String>,
    /// Who is told.
    #[serde(default)]
    subscriptions: Vec<Endpoint>,
    /// Removes confirmed subscriptions that are not named here, whoever made them. What is pending cannot be removed.
    #[serde(default)]
    remove_other_subscriptions: bool,
    /// Who may publish and subscribe: a policy document. A statement without `Resource` is about this topic. Left out, it is left
    /// alone; SNS's own allows the account everything.
    policy: Option<PolicyDocument>,
    /// The KMS key that messages are encrypted with, by id, alias or ARN; `""` for none. Left out, it is left alone. CloudWatch can
    /// publish only with a key whose policy lets it.
    kms_master_key_id: Option<String>,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a topic of this name that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// A map of a reply.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Attributes {
    attributes: Vec<Entry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    key: String,
    value: String,
}

impl Attributes {
    pub fn into_map(self) -> BTreeMap<String, String> {
        self.attributes.into_iter().map(|entry| (entry.key, entry.value)).collect()
    }
}

/// What is kept of a created topic.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    #[serde(alias = "TopicArn")]
    topic_arn: String,
}

impl Operation for EnsureTopic {
    const NAME: &'static str = "ensure_topic";
    const AREA: &'static str = "SNS";
    const EXAMPLE: &'static str = r#"ensure_topic(#{
    name: "alerts", display_name: "Shop",
    subscriptions: [#{ protocol: "email", endpoint: "oncall@example.com" }],
})"#;

    type Options = Self;
    type Handle = Topic;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Topic, Error> {
        options.check()?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let name = owned.name_within(256);
        check_name(&name)?;
        let arn = ctx.aws().arn("sns", &name);
        let wanted = options.attributes(&arn);
        let (attributes, tags, found) = futures::join!(
            async { if_there(attributes(ctx, &arn).await, GONE) },
            async { if_there(TopicTags::read(ctx, &arn).await, GONE) },
            async { if_there(subscription::all(ctx, &arn).await, GONE) },
        )
        .together()?;
        let found = found.unwrap_or_default();
        let (change, mut fields) = match attributes {
            None => {
                create(ctx, &options, &owned, &name, &wanted).await?;
                (Change::Created, vec![told("topic_arn", arn.clone())])
            }
            Some(attributes) => {
                let tags = tags.unwrap_or_default();
                owned.check(&format!("topic {name}"), &tags, options.adopt)?;
                let mut fields = tagged::converge::<TopicTags>(ctx, &arn, &owned, &tags).await?;
                fields.extend(converge(ctx, &arn, &wanted, &attributes).await?);
                (Change::Updated, fields)
            }
        };
        let found = options.subscribe(ctx, &arn, found, change == Change::Created, &mut fields).await?;
        ctx.did(if fields.is_empty() { Change::Unchanged } else { change }, fields);
        let subscriptions = options.subscriptions.iter().map(|endpoint| endpoint.as_found(&found)).collect();
        Ok(Topic { topic_arn: arn, topic_name: name, subscriptions })
    }
}

/// SNS's own rule (CreateTopic), but for FIFO topics, which tell queues only.
fn check_name(name: &str) -> Result<(), Error> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match name.chars().all(is_word) {
        true => Ok(()),
        false => {
            let message =
                format!("expected letters, digits, `-` and `_`, found {name:?} with the stack's name before it");
            Err(Error::option("name", message))
        }
    }
}

impl EnsureTopic {
    fn check(&self) -> Result<(), Error> {
        if let Some(length) = self.display_name.as_ref().map(|text| text.chars().count()).filter(|length| *length > 100)
        {
            return Err(Error::option("display_name", format!("expected up to 100 characters, found {length}")));
        }
        for (at, endpoint) in self.subscriptions.iter().enumerate() {
            endpoint.check(&format!("subscriptions[{at}]"))?;
            if self.subscriptions[..at].iter().any(|other| other.is_same(endpoint)) {
                return Err(Error::option(format!("subscriptions[{at}]"), "it is in the list twice"));
            }
        }
        Ok(())
    }

    /// What is asked for, under SNS's names.
    fn attributes(&self, arn: &str) -> BTreeMap<&'static str, String> {
        let policy = self.policy.as_ref().map(|policy| about(policy.0.clone(), arn).to_string());
        let all = [
            ("DisplayName", self.display_name.clone()),
            ("KmsMasterKeyId", self.kms_master_key_id.clone()),
            ("Policy", policy),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Makes the subscriptions that are not there, removes others if that was asked for, and tells of those that are pending.
    async fn subscribe(
        &self,
        ctx: &Ctx,
        arn: &str,
        found: Vec<Listed>,
        is_new: bool,
        fields: &mut Vec<Field>,
    ) -> Result<Vec<Listed>, Error> {
        let is_there = |endpoint: &&Endpoint| found.iter().any(|found| endpoint.is(found));
        let missing: Vec<&Endpoint> = self.subscriptions.iter().filter(|endpoint| !is_there(endpoint)).collect();
        let is_wanted = |found: &&Listed| self.subscriptions.iter().any(|endpoint| endpoint.is(found));
        let others = found.iter().filter(|found| self.remove_other_subscriptions && !is_wanted(found));
        let others: Vec<&Listed> = others.filter(|found| found.arn().is_some()).collect();
        all_of(missing.iter().map(|endpoint| subscription::subscribe(ctx, arn, endpoint, !is_new))).await?;
        all_of(others.iter().map(|found| subscription::remove(ctx, arn, found))).await?;
        fields.extend(
            others
                .iter()
                .map(|found| changed(&format!("subscriptions.{}", found.protocol), found.shown(), Value::Null)),
        );
        let is_same = missing.is_empty() && others.is_empty();
        let now = if is_same { found } else { subscription::all(ctx, arn).await? };
        for endpoint in &self.subscriptions {
            let shown = endpoint.as_found(&now);
            if missing.iter().any(|missing| std::ptr::eq(*missing, endpoint)) {
                let value = format!("{}, {}", shown.endpoint, shown.status);
                fields.push(told(&format!("subscriptions.{}", shown.protocol), value));
            }
            if shown.status == "pending" {
                let (protocol, endpoint) = (&shown.protocol, &shown.endpoint);
                let message =
                    format!("the {protocol} subscription of {endpoint} is pending: it has to be confirmed there");
                ctx.emit(Event::Warning { message });
            }
        }
        Ok(now)
    }
}

/// A policy whose statements are about the topic, where they do not say about what.
fn about(mut policy: Value, arn: &str) -> Value {
    let statements = match policy.get_mut("Statement") {
        Some(Value::Array(statements)) => statements.iter_mut().collect(),
        Some(statement) => vec![statement],
        None => Vec::new(),
    };
    for statement in statements.into_iter().filter_map(Value::as_object_mut) {
        if !statement.contains_key("Resource") && !statement.contains_key("NotResource") {
            statement.insert("Resource".to_owned(), json!(arn));
        }
    }
    policy
}

async fn attributes(ctx: &Ctx, arn: &str) -> Result<BTreeMap<String, String>, Error> {
    let reply: Attributes = ctx.fetch("sns:GetTopicAttributes", &json!({ "TopicArn": arn })).await?;
    Ok(reply.into_map())
}

async fn create(
    ctx: &Ctx,
    options: &EnsureTopic,
    owned: &Owned,
    name: &str,
    wanted: &BTreeMap<&'static str, String>,
) -> Result<(), Error> {
    const CALL: &str = "sns:CreateTopic";
    let undo =
        Undo::new(&DELETE_TOPIC, format!("delete topic {name}"), json!({ "topic_arn": ctx.aws().arn("sns", name) }));
    // Sent again with the same attributes and tags, it is one and the same; with others SNS refuses it.
    let declared =
        Mutation::new(CALL, Class::Idempotent, format!("topic {name}")).undo(undo.keep(options.keep_on_rollback));
    let set = wanted.iter().filter(|(_, value)| !value.is_empty());
    let entries: Vec<Value> = set.map(|(key, value)| json!({ "key": key, "value": value })).collect();
    let input = json!({ "Name": name, "Attributes": { "entry": entries }, "Tags": listed(&owned.tags()) });
    let send = |permit| ctx.aws().call(CALL, &input).permit(permit).send::<Made>();
    ctx.mutate(declared, send, |made| Ok(Made { topic_arn: made.topic_arn.clone() })).await.map(drop)
}

/// Whether two values of an attribute mean the same.
fn is_same(name: &str, a: &str, b: &str) -> bool {
    let document = |text: &str| serde_json::from_str(text).map(PolicyDocument).ok();
    a == b || (name == "Policy" && document(a).is_some() && document(a) == document(b))
}

/// Sets the attributes that differ. Returns what changed.
async fn converge(
    ctx: &Ctx,
    arn: &str,
    wanted: &BTreeMap<&'static str, String>,
    found: &BTreeMap<String, String>,
) -> Result<Vec<Field>, Error> {
    let before = |name: &str| found.get(name).cloned().unwrap_or_default();
    let differ = wanted.iter().filter(|(name, value)| !is_same(name, value, &before(name)));
    let changes = differ.map(async |(name, value)| {
        let restore = RestoreAttribute {
            topic_arn: arn.to_owned(),
            attribute: (*name).to_owned(),
            before: before(name),
            ours: value.clone(),
        };
        let undo = Undo::new(&RESTORE_TOPIC_ATTRIBUTE, format!("restore {name} of {arn}"), json!(restore))
            .key(format!("{arn}/{name}"));
        set_attribute(ctx, arn, name, value, Some(undo)).await?;
        let option = match *name {
            "DisplayName" => "display_name",
            "KmsMasterKeyId" => "kms_master_key_id",
            _ => "policy",
        };
        Ok::<Field, Error>(changed(option, before(name), value.clone()))
    });
    all_of(changes).await
}

async fn set_attribute(ctx: &Ctx, arn: &str, name: &str, value: &str, undo: Option<Undo>) -> Result<(), Error> {
    let input = json!({ "TopicArn": arn, "AttributeName": name, "AttributeValue": value });
    set(ctx, "sns:SetTopicAttributes", format!("{name} of {arn}"), &input, undo).await
}

#[derive(Serialize, Deserialize)]
struct RestoreAttribute {
    topic_arn: String,
    attribute: String,
    before: String,
    ours: String,
}

/// Puts an attribute of a topic back.
pub const RESTORE_TOPIC_ATTRIBUTE: UndoAction = UndoAction {
    name: "restore_topic_attribute",
    run: |ctx, arguments| Box::pin(restore_topic_attribute(ctx, arguments)),
};

async fn restore_topic_attribute(ctx: &Ctx, restore: Value) -> Result<Undone, Error> {
    let RestoreAttribute { topic_arn, attribute, before, ours } = arguments(restore)?;
    let Some(found) = if_there(attributes(ctx, &topic_arn).await, GONE)? else { return Ok(Undone::Already) };
    let found = found.get(&attribute).cloned().unwrap_or_default();
    if is_same(&attribute, &found, &before) {
        return Ok(Undone::Already);
    }
    if !is_same(&attribute, &found, &ours) {
        return Ok(Undone::Foreign(format!("{attribute}: expected {ours:?}, found {found:?}")));
    }
    set_attribute(ctx, &topic_arn, &attribute, &before, None).await?;
    Ok(Undone::Done)
}

/// Deletes a topic this run made, with all its subscriptions, pending ones too.
pub const DELETE_TOPIC: UndoAction =
    UndoAction { name: "delete_topic", run: |ctx, arguments| Box::pin(delete_topic(ctx, arguments)) };

async fn delete_topic(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { topic_arn } = arguments(made)?;
    let gone = set(ctx, "sns:DeleteTopic", &topic_arn, &json!({ "TopicArn": topic_arn }), None).await;
    deleted(gone, GONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_about_the_topic_unless_it_says_otherwise() {
        let policy = json!({ "Statement": [{ "Sid": "a" }, { "Sid": "b", "Resource": "*" }] });
        let about = about(policy, "arn");
        assert_eq!(about["Statement"], json!([{ "Sid": "a", "Resource": "arn" }, { "Sid": "b", "Resource": "*" }]));
    }
}
