//! `runner healthcheck`

use std::{collections::BTreeMap, path::PathBuf, thread, time::Duration};

use miette::miette;
use serde_json::Value;

use super::{Console, Exit, Failure, execute::runtime, exit, inputs, print};
use crate::{
    report::Ink,
    web::{self, Expected, Request, Statuses, Trouble, Url},
};

/// Ask a service for an answer, and say whether it is the right one: for cron, containers, and people
///
/// Sends a GET request, as the operation `http_check` of a runbook. Redirects are not followed. Exit code 0: as expected; 1: not.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The address, http or https
    pub url: Url,

    /// The status, as in 200, 2xx or 200-299,301
    #[arg(long, value_name = "STATUS", default_value = "2xx", conflicts_with = "closed")]
    pub status: Statuses,

    /// Text that has to stand in the body
    #[arg(long, value_name = "TEXT", conflicts_with = "closed")]
    pub body: Option<String>,

    /// A value of a JSON body, as in /status=ok; repeatable
    #[arg(long, value_name = "POINTER=VALUE", value_parser = pair, conflicts_with = "closed")]
    pub json: Vec<(String, String)>,

    /// A header of the reply, with `*` for any text, as in 'content-type=text/*'; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, conflicts_with = "closed")]
    pub reply_header: Vec<(String, String)>,

    /// How long the reply may take, as in 500ms
    #[arg(long, value_name = "DURATION", value_parser = inputs::duration, conflicts_with = "closed")]
    pub max_latency: Option<Duration>,

    /// Nobody may answer: the connection is refused, or nothing comes in time
    #[arg(long)]
    pub closed: bool,

    /// Send this header, as in 'x-probe=1'; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub header: Vec<(String, String)>,

    /// Connect to this host instead of the one in the address, which is still asked for
    #[arg(long, value_name = "HOST")]
    pub connect_to: Option<String>,

    /// Trust these certificates as well, in PEM: of an authority of your own, or a self-signed one
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// How long one request may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = inputs::duration)]
    pub timeout: Duration,

    /// Ask so often again if the answer is not the right one
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub retries: u32,

    /// How long to wait before that
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = inputs::duration)]
    pub interval: Duration,
}

const EXAMPLES: &str = "Examples:
  In a container's health check:
    runner healthcheck http://127.0.0.1:8080/health --json /status=ok --timeout 2s

  A load balancer before its DNS record is there:
    runner healthcheck https://shop.example.com/ --connect-to shop-1234.eu-central-1.elb.amazonaws.com

  Nobody answers on plain HTTP:
    runner healthcheck http://shop.example.com/ --closed --timeout 3s";

pub fn healthcheck(args: &Args, console: &Console) -> Result<Exit, Failure> {
    let ca = args.ca.as_ref().map(std::fs::read_to_string).transpose().map_err(|error| {
        let file = args.ca.as_deref().unwrap_or_else(|| "".as_ref()).display().to_string();
        Failure::new(exit::USAGE, miette!("`{file}` cannot be read: {error}"))
    })?;
    let request = Request {
        headers: args.header.iter().cloned().collect(),
        connect_to: args.connect_to.clone(),
        ca,
        ..Request::new("GET", args.url.clone(), args.timeout)
    };
    let expected = Expected {
        status: args.status.clone(),
        headers: args.reply_header.iter().cloned().collect(),
        body: args.body.clone(),
        json: args.json.iter().map(|(pointer, value)| (pointer.clone(), value_of(value))).collect::<BTreeMap<_, _>>(),
        max_latency: args.max_latency,
    };
    let tokio = runtime()?;
    let mut left = args.retries;
    loop {
        let faults = match (args.closed, tokio.block_on(web::send(&request))) {
            (false, Ok(reply)) => match expected.faults(&reply) {
                faults if faults.is_empty() => {
                    let milliseconds = reply.latency.as_millis();
                    return said(console, &format!("{}: {} in {milliseconds} ms", args.url, reply.status));
                }
                faults => faults,
            },
            (true, Err(trouble)) if trouble.is_closed() => {
                return said(console, &format!("{}: nobody answers", args.url));
            }
            (true, Ok(reply)) => vec![format!("wanted nobody to answer, found status {}", reply.status)],
            (_, Err(trouble @ Trouble::TimedOut(_))) => vec![format!("{trouble}; `--timeout` gives it more time")],
            (_, Err(trouble)) => vec![trouble.to_string()],
        };
        if left == 0 {
            return Err(Failure::new(exit::FAILED, miette!("{}: {}", args.url, faults.join("; "))));
        }
        left -= 1;
        thread::sleep(args.interval);
    }
}

fn said(console: &Console, text: &str) -> Result<Exit, Failure> {
    print(&format!("{} {text}\n", console.out.paint(Ink::Green, console.out.done())))
}

/// JSON, or else text.
fn value_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("expected NAME=VALUE, found `{text}`"))?;
    Ok((name.to_owned(), value.to_owned()))
}
