//! Subscriptions of a topic: found by what is told how, made, and taken back.
//!
//! The endpoint may be a secret: whoever knows the URL of a pager can ring it. What is written down to find a subscription again
//! has a digest of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Subscription, if_there, set};
use crate::{
    event::Event,
    ops::{Error, Sensitive, arguments, outcome::deleted},
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone, hex},
};

/// Who is to be told, and how.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// `email`, `email-json`, `https`, `http`, `sqs`, `lambda`, `sms` or `firehose`.
    pub(super) protocol: String,
    /// An address, a URL, a number such as `"+4915112345678"`, or the ARN of a queue, function or stream. Give it as a secret
    /// if it is one.
    pub(super) endpoint: Sensitive,
}

/// What SNS says when a topic or a subscription is not there.
pub(super) const GONE: &[&str] = &["NotFound", "ResourceNotFound"];

impl Endpoint {
    pub(super) fn check(&self, path: &str) -> Result<(), Error> {
        let endpoint = self.endpoint.expose();
        let arn_of = |service: &str| endpoint.starts_with("arn:") && endpoint.split(':').nth(2) == Some(service);
        let (fits, expected) = match self.protocol.as_str() {
            "email" | "email-json" => (endpoint.contains('@'), "an e-mail address"),
            "https" => (endpoint.starts_with("https://"), "a URL that begins with https://"),
            "http" => (endpoint.starts_with("http://"), "a URL that begins with http://"),
            "sms" => {
                let digits = endpoint.strip_prefix('+').unwrap_or_default();
                let is_number = (8..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
                (is_number, "a number such as +4915112345678")
            }
            "sqs" => (arn_of("sqs"), "the ARN of a queue"),
            "lambda" => (arn_of("lambda"), "the ARN of a function"),
            "firehose" => (arn_of("firehose"), "the ARN of a delivery stream"),
            other => {
                let message =
                    format!("expected email, email-json, https, http, sqs, lambda, sms or firehose, found {other:?}");
                return Err(Error::option(format!("{path}.protocol"), message));
            }
        };
        let found = self.shown();
        match fits {
            true => Ok(()),
            false => Err(Error::option(format!("{path}.endpoint"), format!("expected {expected}, found {found:?}"))),
        }
    }

    /// The endpoint, for people.
    pub(super) fn shown(&self) -> String {
        if self.endpoint.is_secret() { "(secret)".to_owned() } else { listed(self.endpoint.expose()) }
    }

    /// What to call it, in the user's words.
    fn words(&self) -> String {
        let endpoint = match self.endpoint.is_secret() {
            true => digest(self.endpoint.expose())[..7].to_owned(),
            false => self.shown(),
        };
        format!("{} subscription {endpoint}", self.protocol)
    }

    /// Whether SNS shows no difference between them.
    pub(super) fn is_same(&self, other: &Endpoint) -> bool {
        self.protocol == other.protocol && listed(self.endpoint.expose()) == listed(other.endpoint.expose())
    }

    pub(super) fn is(&self, found: &Listed) -> bool {
        found.protocol == self.protocol && listed(&found.endpoint) == listed(self.endpoint.expose())
    }

    /// As a runbook gets it.
    pub(super) fn as_found(&self, found: &[Listed]) -> Subscription {
        let arn = found.iter().find(|found| self.is(found)).and_then(Listed::arn);
        Subscription {
            protocol: self.protocol.clone(),
            endpoint: self.shown(),
            status: if arn.is_some() { "confirmed" } else { "pending" },
            subscription_arn: arn.map(str::to_owned),
        }
    }
}

/// An endpoint as SNS lists it: the password in a URL is shown as `****`. Two that differ in it alone are one here.
fn listed(endpoint: &str) -> String {
    let masked = || {
        let (scheme, rest) = endpoint.split_once("://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = authority.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:****@{host}{path}"))
    };
    masked().unwrap_or_else(|| endpoint.to_owned())
}

fn digest(endpoint: &str) -> String {
    hex(&Sha256::digest(listed(endpoint)))
}

/// A subscription as a list shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Listed {
    pub protocol: String,
    pub endpoint: String,
    subscription_arn: String,
}

impl Listed {
    /// One that is pending has none: lists say `PendingConfirmation` instead.
    pub fn arn(&self) -> Option<&str> {
        Some(self.subscription_arn.as_str()).filter(|arn| arn.starts_with("arn:"))
    }
}

/// All subscriptions of a topic. They are not remembered: an address can be a key.
pub(super) async fn all(ctx: &Ctx, topic_arn: &str) -> Result<Vec<Listed>, Error> {
    #[derive(Debug, Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct Page {
        subscriptions: Vec<Listed>,
        next_token: Option<String>,
    }
    let (mut all, mut next) = (Vec::new(), None::<String>);
    loop {
        let input = json!({ "TopicArn": topic_arn, "NextToken": next });
        let page: Page = ctx.unremembered(ctx.fetch("sns:ListSubscriptionsByTopic", &input)).await?;
        all.extend(page.subscriptions);
        next = page.next_token;
        if next.is_none() {
            return Ok(all);
        }
    }
}

/// Which subscription, without its endpoint.
#[derive(Serialize, Deserialize)]
struct Which {
    topic_arn: String,
    protocol: String,
    endpoint_sha256: String,
}

impl Which {
    async fn find(&self, ctx: &Ctx) -> Result<Option<Listed>, Error> {
        let all = if_there(all(ctx, &self.topic_arn).await, GONE)?.unwrap_or_default();
        let is_it = |found: &Listed| found.protocol == self.protocol && digest(&found.endpoint) == self.endpoint_sha256;
        Ok(all.into_iter().find(is_it))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Subscribed {
    subscription_arn: String,
}

/// Subscribes. `undoable` is false for what a new topic gets: it goes with the topic.
pub(super) async fn subscribe(ctx: &Ctx, topic_arn: &str, endpoint: &Endpoint, undoable: bool) -> Result<(), Error> {
    const CALL: &str = "sns:Subscribe";
    let which = json!(Which {
        topic_arn: topic_arn.to_owned(),
        protocol: endpoint.protocol.clone(),
        endpoint_sha256: digest(endpoint.endpoint.expose()),
    });
    let words = endpoint.words();
    // Who asks by mail is asked again each time: so it is looked whether SNS has heard of it before it is sent again.
    let mut declared = Mutation::new(CALL, Class::Unique, &words).look_up(&SUBSCRIPTION_BY_ENDPOINT, which.clone());
    if undoable {
        let description =
            format!("take back the {words}; while nobody has confirmed it, SNS forgets it after two days");
        declared = declared.undo(Undo::new(&UNSUBSCRIBE, description, which));
    }
    let input = json!({
        "TopicArn": topic_arn,
        "Protocol": endpoint.protocol,
        "Endpoint": endpoint.endpoint.expose(),
        "ReturnSubscriptionArn": true,
    });
    let send = |permit| ctx.aws().call(CALL, &input).permit(permit).send::<Subscribed>();
    let record = |reply: &Subscribed| Ok(Recorded { subscription_arn: reply.subscription_arn.clone() });
    ctx.mutate(declared, send, record).await.map(drop)
}

/// What is kept of a subscription.
#[derive(Serialize, Deserialize)]
struct Recorded {
    subscription_arn: String,
}

/// Finds a subscription by its topic, protocol and endpoint, which SNS has once only.
pub const SUBSCRIPTION_BY_ENDPOINT: LookUp = LookUp {
    name: "subscription_by_endpoint",
    run: |ctx, arguments| Box::pin(subscription_by_endpoint(ctx, arguments)),
};

async fn subscription_by_endpoint(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let which: Which = arguments(wanted)?;
    let found = which.find(ctx).await?;
    Ok(found.map(|found| json!({ "subscription_arn": found.subscription_arn })))
}

/// Takes a subscription back. One that is pending cannot be deleted: "Amazon SNS automatically deletes" it after 48 hours.
pub const UNSUBSCRIBE: UndoAction =
    UndoAction { name: "unsubscribe", run: |ctx, arguments| Box::pin(unsubscribe(ctx, arguments)) };

async fn unsubscribe(ctx: &Ctx, which: Value) -> Result<Undone, Error> {
    let which: Which = arguments(which)?;
    let Some(found) = which.find(ctx).await? else { return Ok(Undone::Already) };
    let Some(arn) = found.arn() else {
        let message = format!(
            "the {} subscription is left pending: SNS cannot delete it before it is confirmed, and forgets it after two days",
            which.protocol
        );
        ctx.emit(Event::Warning { message });
        return Ok(Undone::Already);
    };
    let gone = set(ctx, "sns:Unsubscribe", arn, &json!({ "SubscriptionArn": arn }), None).await;
    deleted(gone, GONE)
}

impl Listed {
    /// The endpoint for people to read: what is behind the host of an address can be a key.
    pub(super) fn shown(&self) -> String {
        match self.host() {
            Some(host) => format!("at {host}"),
            None => self.endpoint.clone(),
        }
    }

    /// The host of an address.
    fn host(&self) -> Option<&str> {
        let rest = self.endpoint.split_once("://").filter(|_| self.protocol.starts_with("http"))?.1;
        rest.split(['/', '?', '#']).next()?.rsplit('@').next()
    }

    /// Whether more than the host is in an address: who knows it may publish there.
    fn may_be_a_key(&self) -> bool {
        self.host().is_some_and(|host| self.endpoint.trim_end_matches('/') != format!("{}://{host}", self.protocol))
    }
}

/// A subscription that was removed, of which nothing is secret.
#[derive(Serialize, Deserialize)]
struct Removed {
    topic_arn: String,
    protocol: String,
    endpoint: String,
    attributes: BTreeMap<String, String>,
}

/// What of a subscription is set, not told (Subscribe).
const SETTABLE: &[&str] = &[
    "DeliveryPolicy",
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "RedrivePolicy",
    "SubscriptionRoleArn",
];

/// Removes a confirmed subscription.
pub(super) async fn remove(ctx: &Ctx, topic_arn: &str, found: &Listed) -> Result<(), Error> {
    let Some(arn) = found.arn() else { return Ok(()) };
    let reply: super::ensure_topic::Attributes =
        ctx.unremembered(ctx.fetch("sns:GetSubscriptionAttributes", &json!({ "SubscriptionArn": arn }))).await?;
    let mut attributes = reply.into_map();
    attributes.retain(|name, value| SETTABLE.contains(&name.as_str()) && value != "false");
    let words = format!("{} subscription {}", found.protocol, found.shown());
    let removed = Removed {
        topic_arn: topic_arn.to_owned(),
        protocol: found.protocol.clone(),
        endpoint: found.endpoint.clone(),
        attributes,
    };
    let undo = match found.may_be_a_key() {
        // SNS does not show a password, and the rest must not be written down.
        true => Undo::impossible(format!("bring back the {words}, whose address is kept nowhere as it may be a key")),
        false => Undo::new(&SUBSCRIBE_AGAIN, format!("bring back the {words}"), json!(removed)),
    };
    set(ctx, "sns:Unsubscribe", words, &json!({ "SubscriptionArn": arn }), Some(undo)).await
}

/// Brings a subscription back. Whoever had confirmed it by mail or over HTTP is asked again.
pub const SUBSCRIBE_AGAIN: UndoAction =
    UndoAction { name: "subscribe_again", run: |ctx, arguments| Box::pin(subscribe_again(ctx, arguments)) };

async fn subscribe_again(ctx: &Ctx, removed: Value) -> Result<Undone, Error> {
    let Removed { topic_arn, protocol, endpoint, attributes } = arguments(removed)?;
    let Some(found) = if_there(all(ctx, &topic_arn).await, GONE)? else {
        return Ok(Undone::Foreign(format!("expected {topic_arn}, found no such topic")));
    };
    if found.iter().any(|found| found.protocol == protocol && found.endpoint == endpoint) {
        return Ok(Undone::Already);
    }
    let entries: Vec<Value> = attributes.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
    let input = json!({
        "TopicArn": topic_arn,
        "Protocol": protocol,
        "Endpoint": endpoint,
        "Attributes": { "entry": entries },
    });
    set(ctx, "sns:Subscribe", format!("{protocol} subscription {endpoint}"), &input, None).await?;
    Ok(Undone::Done)
}
