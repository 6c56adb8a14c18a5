//! `wait_http`: until a service answers its users as it should.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Check, Expect, Host, HttpReply};
use crate::{
    event::Change,
    ops::{Duration, Error, Operation, Sensitive, ownership::set},
    run::{Ctx, Seen, Wait},
};

/// Sends GET requests as a user of the service does, until the replies are as expected several times without a break.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitHttp {
    /// `https://shop.example.com/health`
    url: String,
    /// Headers of the requests.
    #[serde(default)]
    headers: BTreeMap<String, Sensitive>,
    /// Where to connect instead of the host in the URL: a load balancer that has no name yet, or a host.
    connect_to: Option<Host>,
    /// Certificates to trust beside those of the system, as PEM.
    ca: Option<String>,
    /// What the replies have to be.
    expect: Option<Expect>,
    /// Nobody may answer there any more: the connection is refused, or nothing comes within `request_timeout`.
    #[serde(default)]
    closed: bool,
    /// How often it has to be so without a break.
    #[serde(default = "three")]
    successes: u32,
    /// From one request to the next.
    #[serde(default = "five_seconds")]
    every: Duration,
    /// How long one request may take.
    #[serde(default = "five_seconds")]
    request_timeout: Duration,
    /// How long to wait for all this.
    #[serde(default = "five_minutes")]
    timeout: Duration,
}

fn three() -> u32 {
    3
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn five_minutes() -> Duration {
    Duration::from_secs(300)
}

impl Operation for WaitHttp {
    const NAME: &'static str = "wait_http";
    const AREA: &'static str = "Checks";
    const POSITIONAL: &'static [&'static str] = &["url"];
    const EXAMPLE: &'static str =
        r#"wait_http(#{ url: "https://shop.example.com/", expect: #{ body: "Welcome" }, timeout: "10m" })"#;

    type Options = Self;
    type Handle = HttpReply;

    fn subject(options: &Self) -> String {
        options.url.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<HttpReply, Error> {
        let WaitHttp { url, headers, connect_to, ca, expect, closed, successes, every, request_timeout, timeout } =
            options;
        if successes == 0 {
            return Err(Error::option("successes", "expected a number above 0, found 0"));
        }
        let check = Check::new(&url, headers, (connect_to, ca), request_timeout, expect.as_ref(), closed)?;
        let what = if closed { format!("nobody to answer at {url}") } else { format!("{url} to answer as expected") };
        let mut good = 0;
        let reply = ctx
            .wait(Wait { what, timeout: timeout.0, every: every.0 }, async || {
                Ok(match check.look(ctx).await {
                    Ok(reply) => {
                        good += 1;
                        if good >= successes {
                            Seen::Ready(reply)
                        } else {
                            Seen::Pending(format!("{good} of {successes} good"))
                        }
                    }
                    Err(faults) => {
                        good = 0;
                        Seen::Pending(faults.join("; "))
                    }
                })
            })
            .await?;
        let told = if closed { set("answers", "nobody") } else { set("status", reply.status) };
        ctx.did(Change::Waited, [told]);
        Ok(reply)
    }
}
