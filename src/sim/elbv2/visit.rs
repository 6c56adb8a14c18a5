//! What a load balancer does with one request: the listener on the port, the rule that fits, the action, a target.

use super::{
    action::Does,
    route::{Lane, Route},
    spread, *,
};
use crate::{
    sim::{
        acm,
        ec2::security_group_rule,
        visit::{Answer, drawn},
    },
    web::{Request, Trouble},
    wildcard,
};

/// Whether a name is the DNS name of a load balancer.
pub fn is_balancer(tx: &Tx, name: &str) -> bool {
    tx.all::<LoadBalancer>().any(|balancer| balancer.dns_name.eq_ignore_ascii_case(name))
}

/// What comes of a request to the load balancer of that DNS name.
pub fn answer(tx: &Tx, name: &str, request: &Request) -> Result<Answer, Trouble> {
    let listener = listener(tx, name, request.url.port, request.timeout)?;
    if request.url.secure && listener.is_secure() {
        is_believed(tx, listener, request)?;
    }
    answers(tx, listener, request)
}

/// The same to whoever takes any certificate.
pub fn answer_to_anyone(tx: &Tx, name: &str, request: &Request) -> Result<Answer, Trouble> {
    answers(tx, listener(tx, name, request.url.port, request.timeout)?, request)
}

/// Whether a connection is taken.
pub fn connects(tx: &Tx, name: &str, port: u16, timeout: Duration) -> Result<(), Trouble> {
    listener(tx, name, port, timeout).map(drop)
}

fn listener<'t>(tx: &'t Tx, name: &str, port: u16, timeout: Duration) -> Result<&'t Listener, Trouble> {
    let silence = || Trouble::TimedOut(timeout);
    let known = tx.all::<LoadBalancer>().find(|balancer| balancer.dns_name.eq_ignore_ascii_case(name));
    // Its listeners come with it.
    let balancer = known.and_then(|known| tx.peek::<LoadBalancer>(&known.arn));
    let balancer = balancer.filter(|balancer| balancer.active && !balancer.internal).ok_or_else(silence)?;
    if !balancer.security_groups.is_empty() && !security_group_rule::lets_in(tx, &balancer.security_groups, port) {
        return Err(silence());
    }
    let mut listeners = tx.all::<Listener>().filter(|listener| listener.load_balancer == balancer.arn);
    listeners.find(|listener| listener.port == i64::from(port)).ok_or(Trouble::Refused)
}

fn answers(tx: &Tx, listener: &Listener, request: &Request) -> Result<Answer, Trouble> {
    match (request.url.secure, listener.is_secure()) {
        (true, false) => return Err(Trouble::Tls("the port does not speak TLS".to_owned())),
        (false, true) => return Ok(itself(400, "The plain HTTP request was sent to HTTPS port")),
        (true, true) | (false, false) => {}
    }
    let mut rules: Vec<&Rule> = tx.all::<Rule>().filter(|rule| rule.listener == listener.arn).collect();
    rules.sort_by_key(|rule| rule.priority);
    let rule = rules.into_iter().find(|rule| rule.conditions.iter().all(|condition| fits(condition, request)));
    let (arn, route) = rule.map_or((&listener.arn, &listener.route), |rule| (&rule.arn, &rule.route));
    Ok(acts(tx, arn, route, request))
}

/// The first of the certificates that is for the host, as with SNI, has to be believed.
fn is_believed(tx: &Tx, listener: &Listener, request: &Request) -> Result<(), Trouble> {
    let all = listener.certificate.iter().chain(&listener.more_certificates);
    let mut why = "the listener has no certificate".to_owned();
    for arn in all {
        match acm::believed(tx, arn, &request.url.host, request.ca.as_deref()) {
            Ok(()) => return Ok(()),
            Err(error) => why = error,
        }
    }
    Err(Trouble::Tls(why))
}

/// Whether a condition holds. One that looks at what is not modelled here, the address of a user say, does not.
fn fits(condition: &Value, request: &Request) -> bool {
    let values = |config: &str| -> Vec<String> {
        let values = condition[config]["Values"].as_array().or_else(|| condition["Values"].as_array());
        values.into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned)).collect()
    };
    let path = request.url.path.split('?').next().unwrap_or_default();
    match condition["Field"].as_str() {
        Some("host-header") => {
            let host = request.url.host.to_lowercase();
            values("HostHeaderConfig").iter().any(|wanted| wildcard::matches(&wanted.to_lowercase(), &host))
        }
        Some("path-pattern") => values("PathPatternConfig").iter().any(|wanted| wildcard::matches(wanted, path)),
        Some("http-request-method") => values("HttpRequestMethodConfig").contains(&request.method),
        Some("http-header") => {
            let name = condition["HttpHeaderConfig"]["HttpHeaderName"].as_str().unwrap_or_default();
            let found = request.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let fits = |value: &str| values("HttpHeaderConfig").iter().any(|wanted| wildcard::matches(wanted, value));
            found.is_some_and(|(_, value)| fits(value))
        }
        _ => false,
    }
}

fn itself(status: u16, body: &str) -> Answer {
    Answer::Itself { status, headers: vec![("content-type", "text/plain".to_owned())], body: body.to_owned() }
}

fn acts(tx: &Tx, arn: &str, route: &Route, request: &Request) -> Answer {
    match route.followed(Lane::New).map(|action| &action.does) {
        None => itself(503, ""),
        Some(Does::FixedResponse { status, content_type, body }) => Answer::Itself {
            status: status.parse().unwrap_or(200),
            headers: content_type.iter().map(|kind| ("content-type", kind.clone())).collect(),
            body: body.clone().unwrap_or_default(),
        },
        Some(Does::Redirect { protocol, port, host, path, query, status }) => {
            let (at, asked) = request.url.path.split_once('?').unwrap_or((&request.url.path, ""));
            let fill = |text: &str| {
                text.replace("#{protocol}", if request.url.secure { "https" } else { "http" })
                    .replace("#{host}", &request.url.host)
                    .replace("#{port}", &request.url.port.to_string())
                    .replace("#{path}", at.trim_start_matches('/'))
                    .replace("#{query}", asked)
            };
            let query = fill(query);
            let query = if query.is_empty() { String::new() } else { format!("?{query}") };
            let (protocol, host, port) = (fill(protocol).to_lowercase(), fill(host), fill(port));
            let location = format!("{protocol}://{host}:{port}{}{query}", fill(path));
            let status = status.trim_start_matches("HTTP_").parse().unwrap_or(302);
            Answer::Itself { status, headers: vec![("location", location)], body: String::new() }
        }
        // One that authenticates, say.
        Some(Does::Other(_)) => itself(401, ""),
        Some(Does::Forward { .. }) => forwards(tx, arn),
    }
}

/// To one of those who get a part of the requests at this moment.
fn forwards(tx: &Tx, arn: &str) -> Answer {
    let streams = spread::of(tx, arn).map(|spread| spread.streams).unwrap_or_default();
    let stream = drawn(tx, &streams, |stream| stream.share);
    let Some((good, server)) = stream.and_then(|stream| Some((stream.good, stream.server.as_ref()?))) else {
        return itself(503, "<html><head><title>503 Service Temporarily Unavailable</title></head></html>");
    };
    let Some(group) = tx.peek::<TargetGroup>(&server.group) else { return itself(503, "") };
    let key = targets::Key { id: server.id.clone(), port: server.port };
    if !good {
        return itself(502, "<html><head><title>502 Bad Gateway</title></head></html>");
    }
    let (instance, image) = targets::made_of(tx, group, &key).unwrap_or_default();
    Answer::Service { instance, image }
}
