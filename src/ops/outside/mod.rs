//! What a runbook does outside AWS. Policy allows it by name.

pub mod exec;
pub mod http_request;
pub mod notify;

use std::time::Duration as Time;

use serde_json::{Value, json};

use super::Error;
use crate::{
    outside::Trouble,
    policy::outside::HOST,
    redact::MASK,
    run::Ctx,
    web::{self, Reply, Request, Url},
};

/// What is shown of a request: where it goes, and not what may be secret of it.
fn shown(url: &Url, is_secret: bool, body: Option<&Value>) -> Value {
    let url_shown = if is_secret { json!(MASK) } else { json!(url.to_string()) };
    json!({ HOST: url.host, "url": url_shown, "body": body })
}

/// Sends a request once.
async fn send(request: &Request) -> Result<Reply, Trouble> {
    web::send(request).await.map_err(|trouble| match trouble {
        web::Trouble::NoName(_) | web::Trouble::Refused | web::Trouble::Tls(_) => {
            Trouble::Failed { code: "NotConnected", message: trouble.to_string() }
        }
        web::Trouble::TimedOut(_) | web::Trouble::Other(_) => Trouble::Unknown(trouble.to_string()),
    })
}

fn url(option: &str, text: &str) -> Result<Url, Error> {
    text.parse().map_err(|message: String| Error::option(option, message))
}

/// Between two tries of the same request.
const LATER: Time = Time::from_secs(1);

/// Lets a moment pass between two tries.
async fn later(ctx: &Ctx) -> Result<(), Error> {
    ctx.sleep(LATER).await
}
