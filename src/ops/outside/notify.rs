//! `notify`: tells people.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{send, shown, url};
use crate::{
    aws::Assumption,
    event::{Change, Event},
    ops::{Duration, Error, Kind, Operation, Sensitive, ownership::set},
    outside::Trouble,
    run::{Class, Ctx, Mutation},
    web::Request,
};

/// Tells people: through a webhook as Slack, Mattermost, Teams and Discord (`…/slack`) take it, or through an SNS topic. That a message
/// could not be sent is a warning, and no reason to stop a deploy. In a dry run and on the simulated AWS a webhook is only
/// shown. It may be sent twice if the run is killed meanwhile.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// What is said.
    text: String,
    /// The address of the webhook, which is a secret. Its host has to be one of `allowed_hosts` of the environment's policy.
    webhook: Option<Sensitive>,
    /// The ARN of an SNS topic, or the topic.
    topic: Option<TopicArn>,
    /// The subject of e-mails; the beginning of the text.
    subject: Option<String>,
    /// That it could not be sent is a failure.
    #[serde(default)]
    required: bool,
}

/// A topic, as its handle or by its ARN.
#[derive(Debug)]
struct TopicArn(String);

impl<'de> Deserialize<'de> for TopicArn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let value = Value::deserialize(deserializer)?;
        let arn = value.as_str().or_else(|| value["topic_arn"].as_str());
        let arn = arn.filter(|arn| arn.starts_with("arn:"));
        arn.map(|arn| Self(arn.to_owned())).ok_or_else(|| D::Error::custom("expected a topic or its ARN"))
    }
}

impl JsonSchema for TopicArn {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "topic".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "object"], "x-type": "topic or its ARN" })
    }
}

/// Whether people were told.
#[derive(Debug, Serialize)]
pub struct Notification {
    /// `webhook` or `topic`.
    pub through: String,
    /// False as well where it was only shown: a webhook in a dry run or on the simulated AWS.
    pub sent: bool,
    /// It was only shown.
    pub assumed: bool,
}

impl Kind for Notification {
    const KIND: &'static str = "notification";
    const ID: &'static str = "through";
}

/// SNS's limit for the subject of a message.
const LONGEST_SUBJECT: usize = 100;

impl Operation for Notify {
    const NAME: &'static str = "notify";
    const AREA: &'static str = "Outside AWS";
    const POSITIONAL: &'static [&'static str] = &["text"];
    const EXAMPLE: &'static str =
        r#"notify(`shop ${version} is live`, #{ webhook: param("webhook", #{ secret: true }) })"#;

    type Options = Self;
    type Handle = Notification;

    fn subject(options: &Self) -> String {
        options.text.lines().next().unwrap_or_default().chars().take(60).collect()
    }

    fn secrets(options: &Self) -> Vec<String> {
        options.webhook.iter().map(|webhook| webhook.expose().to_owned()).collect()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Notification, Error> {
        let (through, sent) = match (&options.webhook, &options.topic) {
            (Some(webhook), None) => ("webhook", post(ctx, webhook, &options.text).await),
            (None, Some(topic)) => ("topic", publish(ctx, &topic.0, &options).await),
            (Some(_), Some(_)) => return Err(Error::option("topic", "expected either this or `webhook`, found both")),
            (None, None) => {
                return Err(Error::option("webhook", "expected a `webhook` or a `topic` to tell people through"));
            }
        };
        let (sent, assumed) = match sent {
            Ok(is_assumed) => (!is_assumed, is_assumed),
            Err(error @ Error::Call(_)) if !options.required && !error.is_permission() => {
                let message = format!("nobody was told “{}”: {error}", Self::subject(&options));
                ctx.emit(Event::Warning { message });
                (false, false)
            }
            Err(error) => return Err(error),
        };
        match (sent, assumed) {
            (false, false) => ctx.did(Change::Unchanged, []),
            (_, true) => ctx.did(Change::Updated, [set("sent", "assumed")]),
            (true, false) => ctx.did(Change::Updated, [set("sent", true)]),
        }
        Ok(Notification { through: through.to_owned(), sent, assumed })
    }
}

/// Says whether it was only shown.
async fn post(ctx: &Ctx, webhook: &Sensitive, text: &str) -> Result<bool, Error> {
    let url = url("webhook", webhook.expose())?;
    let body = json!({ "text": text });
    let declared = Mutation::new("http:POST", Class::Idempotent, format!("the webhook at {}", url.host));
    let parameters = shown(&url, true, Some(&body));
    let request = Request {
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        body: Some(body.to_string()),
        ..Request::new("POST", url, Duration::from_secs(10).0)
    };
    let effect = async || {
        let reply = send(&request).await?;
        match reply.status {
            200..=299 => Ok(()),
            status => {
                Err(Trouble::Failed { code: "NotTaken", message: format!("status {status}: {}", reply.body.trim()) })
            }
        }
    };
    ctx.outside(declared, parameters, (), effect).await.map(|outcome| outcome.assumed)
}

async fn publish(ctx: &Ctx, topic: &str, options: &Notify) -> Result<bool, Error> {
    let subject = options.subject.as_deref().unwrap_or(&options.text);
    // SNS takes printable ASCII, on one line.
    let subject: String =
        subject.lines().next().unwrap_or_default().chars().filter(|c| (' '..='~').contains(c)).collect();
    let mut input = json!({ "TopicArn": topic, "Message": options.text });
    if !subject.is_empty() {
        input["Subject"] = subject.chars().take(LONGEST_SUBJECT).collect::<String>().into();
    }
    let assumption = Assumption::new(Some(json!({})));
    ctx.change(Mutation::new("sns:Publish", Class::Idempotent, topic), |permit| {
        ctx.aws().call("sns:Publish", &input).assuming(&assumption).permit(permit).send::<Value>()
    })
    .await?;
    Ok(assumption.was_made())
}
