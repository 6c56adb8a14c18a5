//! Topics: made once for a name, their attributes set one by one, deleted with all subscriptions.

use std::collections::BTreeMap;

use super::subscription::{self, State, Subscription};
use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateTopic",
        params: &["Name Attributes[].key Attributes[].value Tags[].Key Tags[].Value"],
        run: create_topic,
    },
    Action { name: "DeleteTopic", params: &["TopicArn"], run: delete_topic },
    Action { name: "ListTopics", params: &["NextToken"], run: list_topics },
    Action { name: "GetTopicAttributes", params: &["TopicArn"], run: get_topic_attributes },
    Action {
        name: "SetTopicAttributes",
        params: &["TopicArn AttributeName AttributeValue"],
        run: set_topic_attributes,
    },
    Action { name: "TagResource", params: &["ResourceArn Tags[].Key Tags[].Value"], run: tag_resource },
    Action { name: "UntagResource", params: &["ResourceArn TagKeys[]"], run: untag_resource },
    Action { name: "ListTagsForResource", params: &["ResourceArn"], run: list_tags_for_resource },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Topic {
    pub arn: String,
    pub name: String,
    /// Those that were set.
    pub attributes: Tags,
    pub tags: Tags,
    /// How many subscriptions were deleted.
    #[serde(default)]
    pub deleted: i64,
}

resource!(Topic, arn, region.sns.topics, Extent::Row, |_: &str| not_found("Topic"));

pub const CALLS: &[&str] =
    &["sns:GetTopicAttributes", "sns:ListSubscriptionsByTopic", "sns:ListTagsForResource", "sns:ListTopics"];

/// A topic with its subscriptions and tags, or all topics as a list shows them.
pub fn load(reader: &Reader, arn: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(arn) = arn else {
        for shown in reader.pages("sns", "ListTopics", json!({}), "Topics", TOKEN)? {
            rows.listed(Read::of(Topic::of(&shown.text("TopicArn"), Tags::new())));
        }
        return Ok(());
    };
    let named = json!({ "TopicArn": arn });
    let Some(reply) = reader.find("sns", "GetTopicAttributes", named.clone(), &["NotFound"])? else { return Ok(()) };
    let mut attributes = map(&reply, "Attributes");
    let deleted = attributes.get("SubscriptionsDeleted").and_then(|count| count.parse().ok()).unwrap_or_default();
    attributes.retain(|name, value| SETTABLE.contains(&name.as_str()) && !value.is_empty());
    if attributes.get("Policy") == Some(&default_policy(arn)) {
        attributes.remove("Policy");
    }
    let tags = reader.get("sns", "ListTagsForResource", json!({ "ResourceArn": arn }))?.map("Tags", "Key", "Value");
    for shown in reader.pages("sns", "ListSubscriptionsByTopic", named, "Subscriptions", TOKEN)? {
        rows.whole(Read::of(Subscription::shown(&shown)));
    }
    rows.whole(Read::of(Topic { tags, deleted, ..Topic::of(arn, attributes) }));
    Ok(())
}

/// Those of standard topics that callers set.
const SETTABLE: &[&str] =
    &["DeliveryPolicy", "DisplayName", "KmsMasterKeyId", "Policy", "SignatureVersion", "TracingConfig"];

impl Topic {
    fn of(arn: &str, attributes: Tags) -> Topic {
        let name = arn.rsplit(':').next().unwrap_or_default().to_owned();
        Topic { arn: arn.to_owned(), name, attributes, tags: Tags::new(), deleted: 0 }
    }
}

/// "By default, only the topic owner can publish or subscribe to the topic."
fn default_policy(arn: &str) -> String {
    const ACTIONS: [&str; 8] = [
        "SNS:GetTopicAttributes",
        "SNS:SetTopicAttributes",
        "SNS:AddPermission",
        "SNS:RemovePermission",
        "SNS:DeleteTopic",
        "SNS:Subscribe",
        "SNS:ListSubscriptionsByTopic",
        "SNS:Publish",
    ];
    let owner = arn.split(':').nth(4).unwrap_or_default();
    json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": { "AWS": "*" },
            "Action": ACTIONS,
            "Resource": arn,
            "Condition": { "StringEquals": { "AWS:SourceOwner": owner } },
        }],
    })
    .to_string()
}

const DELIVERY: &str = "{\"http\":{\"defaultHealthyRetryPolicy\":{\"minDelayTarget\":20,\"maxDelayTarget\":20,\
    \"numRetries\":3,\"numMaxDelayRetries\":0,\"numNoDelayRetries\":0,\"numMinDelayRetries\":0,\
    \"backoffFunction\":\"linear\"},\"disableSubscriptionOverrides\":false}}";

/// Refuses what SNS does not take as a value.
fn check(name: &str, value: &str) -> Result<(), AwsError> {
    let is_json = || serde_json::from_str::<Value>(value).is_ok_and(|value| value.is_object());
    match name {
        // "Display name: up to 100 characters" (Creating an Amazon SNS topic).
        "DisplayName" if value.chars().count() > 100 => Err(invalid("DisplayName")),
        "Policy" if !is_json() => Err(invalid("Policy Error: null")),
        "DeliveryPolicy" if !value.is_empty() && !is_json() => Err(invalid("DeliveryPolicy: Reason: invalid JSON")),
        name if SETTABLE.contains(&name) => Ok(()),
        _ => Err(invalid("AttributeName")),
    }
}

/// Puts an attribute into a topic; an empty one is none, and so is SNS's own policy.
fn set(attributes: &mut Tags, arn: &str, name: &str, value: &str) {
    match value.is_empty() || (name == "Policy" && value == default_policy(arn)) {
        true => attributes.remove(name),
        false => attributes.insert(name.to_owned(), value.to_owned()),
    };
}

fn create_topic(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("Name").map_err(missing("Topic Name"))?;
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 256 || !name.chars().all(is_word) {
        return Err(invalid("Topic Name"));
    }
    let (given, tags) = (map(p, "Attributes"), tags::read(&p.list("Tags"))?);
    given.iter().try_for_each(|(name, value)| check(name, value))?;
    check_tags(&tags)?;
    let arn = tx.arn("sns", name);
    if let Some(known) = tx.peek::<Topic>(&arn) {
        // "If the requester already owns a topic with the specified name, that topic's ARN is returned".
        let differs = |(name, value): (&String, &String)| {
            known.attributes.get(name).map(String::as_str).unwrap_or_default() != value
        };
        if given.iter().any(differs) {
            return Err(invalid("Attributes Reason: Topic already exists with different attributes"));
        }
        if !tags.is_empty() && known.tags != tags {
            return Err(invalid("Tags Reason: Topic already exists with different tags"));
        }
        return Ok(json!({ "TopicArn": arn }));
    }
    let mut attributes = BTreeMap::new();
    given.iter().for_each(|(name, value)| set(&mut attributes, &arn, name, value));
    tx.put_at_once(Topic { tags, ..Topic::of(&arn, attributes) });
    Ok(json!({ "TopicArn": arn }))
}

/// "Deleting a topic that does not exist does not result in an error."
fn delete_topic(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("TopicArn").map_err(missing("TopicArn"))?;
    if tx.peek::<Topic>(arn).is_some() {
        for subscription in subscription::of(tx, arn).into_iter().map(|it| it.arn.clone()).collect::<Vec<_>>() {
            tx.delete_at_once::<Subscription>(&subscription);
        }
        tx.delete_at_once::<Topic>(arn);
    }
    Ok(Value::Null)
}

fn list_topics(tx: &mut Tx, p: &Params) -> Reply {
    let (page, next) = select::page(&PAGING, p, tx.all::<Topic>().collect(), |topic| &topic.arn)?;
    let view = |topic: &Topic| json!({ "TopicArn": topic.arn });
    Ok(json!({ "Topics": page.into_iter().map(view).collect::<Vec<_>>(), "NextToken": next }))
}

/// The topic that a request names.
pub fn topic<'t>(tx: &'t mut Tx, p: &Params) -> Result<&'t mut Topic, AwsError> {
    tx.get_mut::<Topic>(p.str("TopicArn").map_err(missing("TopicArn"))?)
}

fn get_topic_attributes(tx: &mut Tx, p: &Params) -> Reply {
    let topic = topic(tx, p)?.clone();
    let mut attributes = topic.attributes.clone();
    let count = |state: State| {
        let of_it = subscription::of(tx, &topic.arn).into_iter().filter(|it| it.state == state);
        of_it.count().to_string()
    };
    attributes.entry("Policy".to_owned()).or_insert_with(|| default_policy(&topic.arn));
    attributes.entry("DisplayName".to_owned()).or_default();
    let delivery = attributes.get("DeliveryPolicy").cloned().unwrap_or_else(|| DELIVERY.to_owned());
    attributes.extend([
        ("TopicArn".to_owned(), topic.arn.clone()),
        ("Owner".to_owned(), tx.scope.account.clone()),
        ("SubscriptionsPending".to_owned(), count(State::Pending)),
        ("SubscriptionsConfirmed".to_owned(), count(State::Confirmed)),
        ("SubscriptionsDeleted".to_owned(), topic.deleted.to_string()),
        ("EffectiveDeliveryPolicy".to_owned(), delivery),
    ]);
    Ok(json!({ "Attributes": entries(&attributes) }))
}

fn set_topic_attributes(tx: &mut Tx, p: &Params) -> Reply {
    let (name, value) = (p.str("AttributeName").map_err(missing("AttributeName"))?, p.text("AttributeValue"));
    let topic = topic(tx, p)?;
    check(name, &value)?;
    set(&mut topic.attributes, &topic.arn, name, &value);
    Ok(Value::Null)
}

/// The topic whose tags are meant. Its absence has another code here than elsewhere.
fn tagged<'t>(tx: &'t mut Tx, p: &Params) -> Result<&'t mut Topic, AwsError> {
    let arn = p.str("ResourceArn").map_err(missing("ResourceArn"))?;
    tx.get_mut::<Topic>(arn).map_err(|error| match error.code.as_str() {
        "NotFound" => AwsError::new("ResourceNotFound", "Resource does not exist").status(404),
        _ => error,
    })
}

fn check_tags(tags: &Tags) -> Result<(), AwsError> {
    match tags.len() > 50 {
        true => {
            Err(AwsError::new("TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded"))
        }
        false => Ok(()),
    }
}

fn tag_resource(tx: &mut Tx, p: &Params) -> Reply {
    let given = tags::read(&p.list("Tags"))?;
    let topic = tagged(tx, p)?;
    let mut tags = topic.tags.clone();
    tags.extend(given);
    check_tags(&tags)?;
    topic.tags = tags;
    Ok(json!({}))
}

fn untag_resource(tx: &mut Tx, p: &Params) -> Reply {
    let topic = tagged(tx, p)?;
    for key in p.strings("TagKeys") {
        topic.tags.remove(key);
    }
    Ok(json!({}))
}

fn list_tags_for_resource(tx: &mut Tx, p: &Params) -> Reply {
    Ok(json!({ "Tags": tags::write(&tagged(tx, p)?.tags, "Key", "Value") }))
}
