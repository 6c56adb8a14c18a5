//! Subscriptions: queues, functions and phones of the account are told from then on, whoever is asked by mail or over HTTP has to
//! confirm first. Nobody does so here: after two days SNS forgets it.

use std::time::Duration;

use super::topic::{Topic, topic};
use super::*;
use crate::sim::autoscaling::uuid_of;
use crate::sim::table::mix;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "Subscribe",
        params: &["TopicArn Protocol Endpoint ReturnSubscriptionArn Attributes[].key Attributes[].value"],
        run: subscribe,
    },
    Action { name: "Unsubscribe", params: &["SubscriptionArn"], run: unsubscribe },
    Action { name: "ListSubscriptionsByTopic", params: &["TopicArn NextToken"], run: list_subscriptions_by_topic },
    Action { name: "GetSubscriptionAttributes", params: &["SubscriptionArn"], run: get_subscription_attributes },
];

/// "Confirmation tokens are valid for two days" (Subscribe), and "Amazon SNS automatically deletes" what is pending after 48
/// hours ("Deleting an Amazon SNS topic and subscription").
const EXPIRES: Duration = Duration::from_secs(48 * 3600);

/// What lists show for the ARN of one that is pending.
const PENDING: &str = "PendingConfirmation";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    Pending,
    Confirmed,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subscription {
    pub arn: String,
    pub topic: String,
    pub protocol: String,
    pub endpoint: String,
    pub owner: String,
    pub state: State,
    pub attributes: Tags,
}

resource!(
    Subscription,
    arn,
    region.sns.subscriptions,
    Extent::With { kind: "Topic", of: |arn| Some(topic_of(arn).to_owned()) },
    |_: &str| not_found("Subscription")
);

/// The topic in the ARN of a subscription, which goes on with a UUID.
fn topic_of(arn: &str) -> &str {
    arn.rsplit_once(':').map_or(arn, |(topic, _)| topic)
}

impl Subscription {
    /// The inverse of what a list shows. One that is pending shows no ARN: it gets one of its own.
    pub fn shown(shown: &Params) -> Subscription {
        let (topic, listed) = (shown.text("TopicArn"), shown.text("SubscriptionArn"));
        let (protocol, endpoint) = (shown.text("Protocol"), shown.text("Endpoint"));
        let is_pending = !listed.starts_with("arn:");
        let digest = format!("{protocol}/{endpoint}").bytes().fold(0, |seed, byte| mix(seed ^ u64::from(byte)));
        let arn = if is_pending {
            format!("{topic}:{}", uuid_of(&format!("x-000000000{:08x}", digest as u32)))
        } else {
            listed
        };
        let state = if is_pending { State::Pending } else { State::Confirmed };
        Subscription { arn, topic, protocol, endpoint, owner: shown.text("Owner"), state, attributes: Tags::new() }
    }

    fn view(&self) -> Value {
        json!({
            "SubscriptionArn": if self.state == State::Pending { PENDING } else { &self.arn },
            "Owner": self.owner,
            "Protocol": self.protocol,
            "Endpoint": shown(&self.endpoint),
            "TopicArn": self.topic,
        })
    }
}

/// An endpoint as it is shown: the password in a URL is left out.
fn shown(endpoint: &str) -> String {
    let Some((scheme, rest)) = endpoint.split_once("://") else { return endpoint.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')) {
        Some((name, password)) => format!("{scheme}://{name}:****{}", &rest[name.len() + 1 + password.len()..]),
        None => endpoint.to_owned(),
    }
}

/// The subscriptions of a topic.
pub fn of<'t>(tx: &'t Tx, topic: &str) -> Vec<&'t Subscription> {
    tx.all::<Subscription>().filter(|it| it.topic == topic).collect()
}

/// Whether an endpoint is one of its protocol; `None`: there is no such protocol.
fn fits(protocol: &str, endpoint: &str) -> Option<bool> {
    let arn_of = |service: &str| endpoint.split(':').nth(2) == Some(service) && endpoint.starts_with("arn:");
    Some(match protocol {
        "http" => endpoint.starts_with("http://"),
        "https" => endpoint.starts_with("https://"),
        "email" | "email-json" => {
            endpoint.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
        }
        "sms" => {
            let digits = endpoint.strip_prefix('+').unwrap_or(endpoint);
            (8..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        }
        "sqs" => arn_of("sqs"),
        "lambda" => arn_of("lambda"),
        "firehose" => arn_of("firehose"),
        "application" => arn_of("sns"),
        _ => return None,
    })
}

/// What can be said of a subscription. Source: Subscribe.
const ATTRIBUTES: &[&str] = &[
    "DeliveryPolicy",
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "RedrivePolicy",
    "SubscriptionRoleArn",
];

fn subscribe(tx: &mut Tx, p: &Params) -> Reply {
    let (protocol, endpoint) = (p.str("Protocol").map_err(missing("Protocol"))?, p.text("Endpoint"));
    let topic = topic(tx, p)?.arn.clone();
    match fits(protocol, &endpoint) {
        None => return Err(invalid(format!("Amazon SNS does not support this protocol string: {protocol}"))),
        Some(false) => return Err(invalid("Endpoint Reason: Please use a valid endpoint of the protocol")),
        Some(true) => {}
    }
    let attributes = map(p, "Attributes");
    if let Some(name) = attributes.keys().find(|name| !ATTRIBUTES.contains(&name.as_str())) {
        return Err(invalid(format!("Attributes Reason: Unknown attribute {name}")));
    }
    let wants_arn = p.opt_bool("ReturnSubscriptionArn")?.unwrap_or(false);
    let reply = |it: &Subscription| match it.state {
        State::Pending if !wants_arn => json!({ "SubscriptionArn": "pending confirmation" }),
        State::Pending | State::Confirmed => json!({ "SubscriptionArn": it.arn }),
    };
    // One that was read from an account has the endpoint that is shown.
    let is_it = |known: &str| known == endpoint || known == shown(&endpoint);
    let known = of(tx, &topic).into_iter().find(|it| it.protocol == protocol && is_it(&it.endpoint));
    if let Some(known) = known {
        if known.attributes != attributes {
            return Err(invalid("Attributes Reason: Subscription already exists with different attributes"));
        }
        return Ok(reply(known));
    }
    let arn = format!("{topic}:{}", uuid_of(&tx.new_id("x")));
    // "If the endpoint type is HTTP/S or email, or if the endpoint and the topic are not in the same Amazon Web Services
    // account, the endpoint owner must run the ConfirmSubscription action".
    let is_foreign = endpoint.starts_with("arn:") && endpoint.split(':').nth(4) != Some(&tx.scope.account);
    let asks = ["http", "https", "email", "email-json"].contains(&protocol) || is_foreign;
    let subscription = Subscription {
        arn: arn.clone(),
        topic,
        protocol: protocol.to_owned(),
        endpoint,
        owner: tx.scope.account.clone(),
        state: if asks { State::Pending } else { State::Confirmed },
        attributes,
    };
    let reply = reply(&subscription);
    tx.put_at_once(subscription);
    if asks {
        tx.schedule(EXPIRES, Event::Expired(arn));
    }
    Ok(reply)
}

pub fn expired(tx: &mut Tx, arn: &str) {
    if tx.peek::<Subscription>(arn).is_some_and(|it| it.state == State::Pending) {
        tx.delete_at_once::<Subscription>(arn);
    }
}

fn subscription<'t>(tx: &'t mut Tx, p: &Params) -> Result<&'t mut Subscription, AwsError> {
    let arn = p.str("SubscriptionArn").map_err(missing("SubscriptionArn"))?;
    let parts = arn.split(':').count();
    if parts < 6 {
        return Err(invalid(format!("SubscriptionArn Reason: An ARN must have at least 6 elements, not {parts}")));
    }
    tx.get_mut::<Subscription>(arn)
}

fn unsubscribe(tx: &mut Tx, p: &Params) -> Reply {
    let subscription = subscription(tx, p)?.clone();
    if subscription.state == State::Pending {
        return Err(invalid("SubscriptionArn Reason: Cannot unsubscribe a subscription that is pending confirmation"));
    }
    tx.delete_at_once::<Subscription>(&subscription.arn);
    if let Some(topic) = tx.peek_mut::<Topic>(&subscription.topic) {
        topic.deleted += 1;
    }
    Ok(Value::Null)
}

fn list_subscriptions_by_topic(tx: &mut Tx, p: &Params) -> Reply {
    let topic = topic(tx, p)?.arn.clone();
    let (page, next) = select::page(&PAGING, p, of(tx, &topic), |it| &it.arn)?;
    let page: Vec<Value> = page.into_iter().map(Subscription::view).collect();
    Ok(json!({ "Subscriptions": page, "NextToken": next }))
}

fn get_subscription_attributes(tx: &mut Tx, p: &Params) -> Reply {
    let subscription = subscription(tx, p)?;
    let mut attributes = subscription.attributes.clone();
    let is_pending = subscription.state == State::Pending;
    attributes.entry("RawMessageDelivery".to_owned()).or_insert_with(|| "false".to_owned());
    attributes.extend([
        ("SubscriptionArn".to_owned(), subscription.arn.clone()),
        ("TopicArn".to_owned(), subscription.topic.clone()),
        ("Owner".to_owned(), subscription.owner.clone()),
        ("Protocol".to_owned(), subscription.protocol.clone()),
        ("Endpoint".to_owned(), shown(&subscription.endpoint)),
        ("PendingConfirmation".to_owned(), is_pending.to_string()),
        ("ConfirmationWasAuthenticated".to_owned(), (!is_pending).to_string()),
    ]);
    Ok(json!({ "Attributes": entries(&attributes) }))
}
