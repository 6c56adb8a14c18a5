//! `http_check`: one request as a user sends it, and what has to come back.

use std::{collections::BTreeMap, time::Duration as Time};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Check, Expect, Host, HttpReply};
use crate::{
    event::Change,
    ops::{Duration, Error, Operation, Sensitive, ownership::set},
    run::Ctx,
};

/// Sends a GET request as a user of the service does, and fails unless the reply is as expected. Redirects are not followed.
/// On the simulated AWS the simulated service answers: through the name, the listener, its certificate and rules, and a
/// target that has a part of the traffic at that moment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpCheck {
    /// `https://shop.example.com/health`
    url: String,
    /// Headers of the request.
    #[serde(default)]
    headers: BTreeMap<String, Sensitive>,
    /// Where to connect instead of the host in the URL: a load balancer that has no name yet, or a host. The host of the URL
    /// stays what is asked for.
    connect_to: Option<Host>,
    /// Certificates to trust beside those of the system, as PEM: of one's own authority, or a self-signed one.
    ca: Option<String>,
    /// What the reply has to be.
    expect: Option<Expect>,
    /// Nobody may answer there: the connection is refused, or nothing comes within `timeout`.
    #[serde(default)]
    closed: bool,
    /// How long one request may take.
    #[serde(default = "ten_seconds")]
    timeout: Duration,
    /// How often it is sent again, a second later, if the reply is not as expected.
    #[serde(default)]
    retries: u32,
}

fn ten_seconds() -> Duration {
    Duration::from_secs(10)
}

const LATER: Time = Time::from_secs(1);

impl Operation for HttpCheck {
    const NAME: &'static str = "http_check";
    const AREA: &'static str = "Checks";
    const POSITIONAL: &'static [&'static str] = &["url"];
    const EXAMPLE: &'static str = r#"http_check(#{
    url: "https://shop.example.com/health", connect_to: lb,
    expect: #{ status: 200, json: #{ "/status": "ok" }, max_latency: "500ms" },
})"#;

    type Options = Self;
    type Handle = HttpReply;

    fn subject(options: &Self) -> String {
        options.url.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<HttpReply, Error> {
        let HttpCheck { url, headers, connect_to, ca, expect, closed, timeout, retries } = options;
        let check = Check::new(&url, headers, (connect_to, ca), timeout, expect.as_ref(), closed)?;
        let mut left = retries;
        loop {
            match check.look(ctx).await {
                Ok(reply) => {
                    let told = if closed { set("answers", "nobody") } else { set("status", reply.status) };
                    ctx.did(Change::Read, [told]);
                    return Ok(reply);
                }
                Err(faults) if left == 0 => return Err(Error::Unexpected { what: url, faults }),
                Err(_) => left -= 1,
            }
            ctx.sleep(LATER).await?;
        }
    }
}
