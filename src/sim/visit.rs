//! The simulated service as its users reach it: names, listeners, certificates, rules and targets decide what they get.
//!
//! What `sim::traffic` counts over time is here one request: it goes the way that its host, port and path have it go, and
//! is answered by one of the targets that a route has at that moment.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use super::{
    Simulator, elbv2, route53,
    table::mix,
    tx::{Scope, Tx},
};
use crate::web::{Reply, Request, Trouble};

/// How long a reply takes.
const LATENCY: Duration = Duration::from_millis(20);

/// How often a name may lead to another one.
const NAMES: usize = 8;

impl Answer {
    /// What a user gets.
    pub fn reply(self, request: &Request) -> Reply {
        let (headers, status, body) = match self {
            Answer::Itself { status, headers, body } => (headers, status, body),
            Answer::Service { instance, image } => {
                let body = json!({ "status": "ok", "image": image, "instance": instance, "path": request.url.path });
                (vec![("content-type", "application/json".to_owned())], 200, body.to_string())
            }
        };
        let headers: BTreeMap<String, String> =
            headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let body = if request.method == "HEAD" { String::new() } else { body };
        Reply { status, headers, body, latency: LATENCY }
    }
}

impl Simulator {
    /// What a user of the account's services in a region gets.
    ///
    /// # Errors
    /// As over a network.
    pub fn visit(&self, account: &str, region: &str, request: &Request) -> Result<Reply, Trouble> {
        let scope = Scope { account: account.to_owned(), region: region.to_owned() };
        let at = request.connect_to.as_deref().unwrap_or(&request.url.host);
        let found = self.inner().world.informed(|world| {
            // Whom the name leads to depends on weights; of two moments, not of two users.
            let name = end_of(&world.tx(&scope, "", ""), at);
            // Names belong to no region, load balancers to one.
            let region = elbv2::region_of(&name).unwrap_or(region).to_owned();
            let there = Scope { account: account.to_owned(), region };
            answer(&world.tx(&there, "", ""), &name, request)
        });
        found.unwrap_or_else(|error| Err(Trouble::Other(error.message)))
    }
}

/// What answers, without the time it takes.
pub enum Answer {
    /// The load balancer itself.
    Itself { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// The service on this instance or in this task, made of this image.
    Service { instance: String, image: String },
}

fn answer(tx: &Tx, name: &str, request: &Request) -> Result<Reply, Trouble> {
    if !elbv2::visit::is_balancer(tx, name) {
        return Err(Trouble::NoName(request.connect_to.as_ref().unwrap_or(&request.url.host).clone()));
    }
    Ok(elbv2::visit::answer(tx, name, request)?.reply(request))
}

/// Where a name leads in the end: to itself, if nobody knows it.
pub fn end_of(tx: &Tx, name: &str) -> String {
    let mut name = name.trim_end_matches('.').to_lowercase();
    for _ in 0..NAMES {
        // A load balancer's own name leads no further.
        if elbv2::region_of(&name).is_some() {
            break;
        }
        match route53::leads_to(tx, &name) {
            Some(next) => name = next.to_lowercase(),
            None => break,
        }
    }
    name
}

/// One of these, by their shares and the moment.
pub fn drawn<'a, T>(tx: &Tx, all: &'a [T], share: impl Fn(&T) -> u64) -> Option<&'a T> {
    let whole: u64 = all.iter().map(&share).sum();
    let moment = u64::try_from(tx.now.as_nanosecond() % i128::from(u64::MAX)).unwrap_or_default();
    let mut left = mix(moment) % whole.max(1);
    all.iter().find(|one| {
        let is_it = left < share(one);
        left = left.saturating_sub(share(one));
        is_it
    })
}
