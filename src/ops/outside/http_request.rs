//! `http_request`: a request that changes something elsewhere.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{later, send, shown, url};
use crate::{
    aws::intern,
    event::Change,
    ops::{
        Duration, Error, Operation, Sensitive,
        checks::{Expect, HttpReply},
        ownership::set,
    },
    run::{Class, Ctx, Mutation, Outcome},
    web::Request,
};

/// Sends a request that changes something: to another service, a webhook, an API. Only hosts that `allowed_hosts` of the
/// environment's policy names are written to. In a dry run and on the simulated AWS it is only shown. Nothing takes it back but
/// what an `on_rollback` hook does. To look at one's own service, use `http_check`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// `https://api.example.com/deploys`. One with a key in it is a secret.
    url: Sensitive,
    /// `POST`, `PUT`, `PATCH`, `DELETE`, `GET`.
    #[serde(default = "post")]
    method: String,
    /// Its headers.
    #[serde(default)]
    headers: BTreeMap<String, Sensitive>,
    /// What is sent, as text.
    body: Option<Sensitive>,
    /// What is sent, as JSON.
    json: Option<Value>,
    /// What the reply has to be.
    expect: Option<Expect>,
    /// How long one request may take.
    #[serde(default = "ten_seconds")]
    timeout: Duration,
    /// How often it is sent again, a second later, if the reply is not as expected.
    #[serde(default)]
    retries: u32,
    /// It may be sent again when it is not known whether it came. Without it a person is asked.
    #[serde(default)]
    idempotent: bool,
    /// What a dry run, or a run on the simulated AWS, takes for the JSON of the reply.
    #[serde(default)]
    assume: Value,
}

fn post() -> String {
    "POST".to_owned()
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

/// A reply, and what is wrong with it.
#[derive(Clone, Serialize, Deserialize)]
struct Judged {
    reply: HttpReply,
    faults: Vec<String>,
}

impl Operation for HttpRequest {
    const NAME: &'static str = "http_request";
    const AREA: &'static str = "Outside AWS";
    const POSITIONAL: &'static [&'static str] = &["url"];
    const EXAMPLE: &'static str = r#"http_request("https://api.example.com/deploys", #{
    json: #{ service: "shop", version: "1.4.2" }, expect: #{ status: 201 }, idempotent: true,
})"#;

    type Options = Self;
    type Handle = HttpReply;

    fn subject(options: &Self) -> String {
        let url = &options.url;
        format!("{} {}", options.method, if url.is_secret() { "a secret URL" } else { url.expose() })
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<HttpReply, Error> {
        let what = Self::subject(&options);
        let url = url("url", options.url.expose())?;
        if !["POST", "PUT", "PATCH", "DELETE", "GET"].contains(&options.method.as_str()) {
            let message = format!("expected POST, PUT, PATCH, DELETE or GET, found `{}`", options.method);
            return Err(Error::option("method", message));
        }
        let (body, visible) = match (&options.body, &options.json) {
            (Some(_), Some(_)) => return Err(Error::option("json", "expected either this or `body`, found both")),
            (Some(text), None) => (Some(text.expose().to_owned()), (!text.is_secret()).then(|| text.expose().into())),
            (None, Some(json)) => {
                if let Some(path) = crate::ops::secret_in(json) {
                    let message = "a secret goes into `body` or `headers`, which are not shown";
                    return Err(Error::option(format!("json{path}"), message));
                }
                (Some(json.to_string()), Some(json.clone()))
            }
            (None, None) => (None, None),
        };
        let mut headers: BTreeMap<String, String> =
            options.headers.iter().map(|(name, value)| (name.to_lowercase(), value.expose().to_owned())).collect();
        if options.json.is_some() {
            headers.entry("content-type".to_owned()).or_insert_with(|| "application/json".to_owned());
        }
        let parameters = shown(&url, options.url.is_secret(), visible.as_ref());
        let request = Request { headers, body, ..Request::new(&options.method, url.clone(), options.timeout.0) };
        let expected = options.expect.clone().unwrap_or_default().expected();
        let assume = Judged { reply: HttpReply::assumed(&url, options.assume), faults: Vec::new() };
        let class = if options.idempotent { Class::Idempotent } else { Class::Once };
        let mut left = options.retries;
        loop {
            let declared = Mutation::new(intern(&format!("http:{}", options.method)), class, &what)
                .if_said(serde_json::json!(assume));
            let effect = async || {
                let reply = send(&request).await?;
                let faults = expected.faults(&reply);
                Ok(Judged { reply: HttpReply::of(&url, reply), faults })
            };
            let sent = ctx.outside(declared, parameters.clone(), assume.clone(), effect).await;
            match sent {
                Ok(Outcome { value: Judged { reply, faults }, assumed }) if faults.is_empty() => {
                    let told = if assumed { set("status", "assumed") } else { set("status", reply.status) };
                    ctx.did(Change::Updated, [told]);
                    return Ok(reply);
                }
                Ok(Outcome { value: Judged { faults, .. }, .. }) if left == 0 => {
                    return Err(Error::Unexpected { what, faults });
                }
                Err(error) if left == 0 || !error.is(&["NotConnected"]) => return Err(error),
                Ok(_) | Err(_) => left -= 1,
            }
            later(ctx).await?;
        }
    }
}
