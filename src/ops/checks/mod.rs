//! Checks from outside: whether a service answers its users, and how.

pub mod http_check;
pub mod wait_http;

use std::{collections::BTreeMap, time::Duration as Time};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use super::{Duration, Error, Kind, Sensitive, describe};
use crate::{
    run::Ctx,
    web::{Expected, Reply, Request, Statuses, Url},
};

/// What a service has answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HttpReply {
    pub url: String,
    /// 0 if nothing was to answer, and nothing did.
    pub status: u16,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The beginning of it.
    pub body: String,
    /// The body, if it is JSON.
    pub json: Value,
    pub latency: Duration,
}

impl Kind for HttpReply {
    const KIND: &'static str = "http_reply";
    const ID: &'static str = "url";
}

/// A body is written down as far as this, in characters.
const KEPT: usize = 4096;

impl HttpReply {
    pub(super) fn of(url: &Url, reply: Reply) -> Self {
        let Reply { status, headers, body, latency } = reply;
        let json = serde_json::from_str(&body).unwrap_or_default();
        let body = body.chars().take(KEPT).collect();
        let latency = Duration(Time::from_millis(u64::try_from(latency.as_millis()).unwrap_or(u64::MAX)));
        Self { url: url.to_string(), status, headers, body, json, latency }
    }

    /// Of a request that is only shown.
    pub(super) fn assumed(url: &Url, json: Value) -> Self {
        let body = if json.is_null() { String::new() } else { json.to_string() };
        let (headers, latency) = (BTreeMap::new(), Duration(Time::ZERO));
        Self { url: url.to_string(), status: 200, headers, body, json, latency }
    }

    fn of_nobody(url: &Url) -> Self {
        let (headers, body) = (BTreeMap::new(), String::new());
        Self { url: url.to_string(), status: 0, headers, body, json: Value::Null, latency: Duration(Time::ZERO) }
    }
}

/// What is wanted of a reply. What is not said is not looked at, but for the status.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The status: `200`, `"2xx"`, `"200-299,301"`. Without it, one of 200 to 299.
    #[serde(default)]
    status: StatusOption,
    /// Headers with their values; `*` stands for any text and `?` for one character.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Text that stands in the body.
    body: Option<String>,
    /// Values in a JSON body, by their pointers: `#{ "/status": "ok" }`.
    #[serde(default)]
    json: BTreeMap<String, Value>,
    /// How long it may take at most.
    max_latency: Option<Duration>,
}

/// A status as a number or as text.
#[derive(Clone, Debug, Default)]
struct StatusOption(Statuses);

impl JsonSchema for StatusOption {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "status".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "x-type": "integer or string" })
    }
}

/// As the reference shows it.
impl Serialize for StatusOption {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StatusOption {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            other => {
                return Err(D::Error::custom(format!("expected a status or several, found {}", describe(&other))));
            }
        };
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

impl Expect {
    pub(super) fn expected(&self) -> Expected {
        Expected {
            status: self.status.0.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
            json: self.json.clone(),
            max_latency: self.max_latency.map(|most| most.0),
        }
    }
}

/// A load balancer, as the handle of it, or a host: a name or an address.
#[derive(Clone, Debug)]
pub struct Host(String);

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a load balancer, or a name or address of a host";
        match Value::deserialize(deserializer)? {
            Value::String(name) if !name.is_empty() => Ok(Self(name)),
            Value::Object(fields) => match fields.get("dns_name").and_then(Value::as_str) {
                Some(name) => Ok(Self(name.to_owned())),
                None => Err(D::Error::custom(format!("expected {expected}, found an object without `dns_name`"))),
            },
            other => Err(D::Error::custom(format!("expected {expected}, found {}", describe(&other)))),
        }
    }
}

impl JsonSchema for Host {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "host".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "object"], "x-type": "load balancer or host" })
    }
}

/// One check: what is sent, and what is wanted.
struct Check {
    request: Request,
    expected: Expected,
    /// Nobody is to answer.
    closed: bool,
}

/// How a look has gone.
type Looked = Result<HttpReply, Vec<String>>;

impl Check {
    fn new(
        url: &str,
        headers: BTreeMap<String, Sensitive>,
        (connect_to, ca): (Option<Host>, Option<String>),
        timeout: Duration,
        expect: Option<&Expect>,
        closed: bool,
    ) -> Result<Self, Error> {
        let url: Url = url.parse().map_err(|message: String| Error::option("url", message))?;
        if closed && expect.is_some() {
            return Err(Error::option("expect", "nothing is expected of a port that is closed: leave `expect` out"));
        }
        if let Some(ca) = &ca
            && !ca.contains("-----BEGIN CERTIFICATE-----")
        {
            return Err(Error::option("ca", "expected certificates as PEM, with `-----BEGIN CERTIFICATE-----`"));
        }
        let headers = headers.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect();
        let connect_to = connect_to.map(|host| host.0);
        let request = Request { headers, connect_to, ca, ..Request::new("GET", url, timeout.0) };
        Ok(Self { request, expected: expect.cloned().unwrap_or_default().expected(), closed })
    }

    /// Sends it once.
    async fn look(&self, ctx: &Ctx) -> Looked {
        let reply = ctx.visit(&self.request).await;
        match reply {
            Err(trouble) if self.closed && trouble.is_closed() => Ok(HttpReply::of_nobody(&self.request.url)),
            Err(trouble) => Err(vec![trouble.to_string()]),
            Ok(reply) if self.closed => Err(vec![format!("wanted no reply, found status {}", reply.status)]),
            Ok(reply) => {
                let faults = self.expected.faults(&reply);
                if faults.is_empty() { Ok(HttpReply::of(&self.request.url, reply)) } else { Err(faults) }
            }
        }
    }
}
