//! What a listener or rule does with a request: forward, redirect, or a fixed response.

use std::collections::BTreeSet;

use super::*;

/// The parameters of an action under `DefaultActions[]` or `Actions[]`.
macro_rules! params_under {
    ($list:literal) => {
        concat!(
            $list,
            ".Type ",
            $list,
            ".Order ",
            $list,
            ".TargetGroupArn ",
            $list,
            ".ForwardConfig.TargetGroups[].TargetGroupArn ",
            $list,
            ".ForwardConfig.TargetGroups[].Weight ",
            $list,
            ".ForwardConfig.TargetGroupStickinessConfig.Enabled ",
            $list,
            ".ForwardConfig.TargetGroupStickinessConfig.DurationSeconds ",
            $list,
            ".RedirectConfig.Protocol ",
            $list,
            ".RedirectConfig.Port ",
            $list,
            ".RedirectConfig.Host ",
            $list,
            ".RedirectConfig.Path ",
            $list,
            ".RedirectConfig.Query ",
            $list,
            ".RedirectConfig.StatusCode ",
            $list,
            ".FixedResponseConfig.MessageBody ",
            $list,
            ".FixedResponseConfig.StatusCode ",
            $list,
            ".FixedResponseConfig.ContentType"
        )
    };
}
pub(super) use params_under;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    pub order: Option<i64>,
    pub does: Does,
    /// Actions before it, as AWS shows them: those that authenticate. They can be read, not made here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Does {
    Forward {
        groups: Vec<Share>,
        sticky: Option<i64>,
    },
    Redirect {
        protocol: String,
        port: String,
        host: String,
        path: String,
        query: String,
        status: String,
    },
    FixedResponse {
        status: String,
        content_type: Option<String>,
        body: Option<String>,
    },
    /// As AWS shows it: a type that is not modelled.
    Other(Value),
}

/// A target group's part of a forward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub group: String,
    pub weight: i64,
}

/// Who does it: what an action may be depends on it.
pub struct At<'a> {
    pub balancer: &'a LoadBalancer,
    pub protocol: &'a str,
    pub port: i64,
}

impl Action {
    pub fn groups(&self) -> &[Share] {
        match &self.does {
            Does::Forward { groups, .. } => groups,
            Does::Redirect { .. } | Does::FixedResponse { .. } | Does::Other(_) => &[],
        }
    }

    /// The inverse of `view`: the actions of a listener or rule, of which the last one answers.
    pub fn shown(actions: &[Params]) -> Action {
        let mut actions: Vec<&Params> = actions.iter().collect();
        actions.sort_by_key(|action| action.number("Order", i64::MAX));
        let Some(last) = actions.pop() else {
            return Action { order: None, does: Does::Other(Value::Null), before: Vec::new() };
        };
        let order = last.opt_int("Order").ok().flatten();
        Action { order, does: Does::shown(last), before: actions.into_iter().map(|action| action.0.clone()).collect() }
    }

    /// All actions, in their order.
    pub fn view(&self) -> Value {
        self.before.iter().cloned().chain([self.answer()]).collect()
    }

    fn answer(&self) -> Value {
        let mut view = match &self.does {
            Does::Other(shown) => return shown.clone(),
            Does::Forward { groups, sticky } => {
                let share = |share: &Share| json!({ "TargetGroupArn": share.group, "Weight": share.weight });
                let only = if let [only] = &groups[..] { Some(&only.group) } else { None };
                json!({
                    "Type": "forward",
                    "TargetGroupArn": only,
                    "ForwardConfig": {
                        "TargetGroups": groups.iter().map(share).collect::<Vec<_>>(),
                        "TargetGroupStickinessConfig": { "Enabled": sticky.is_some(), "DurationSeconds": sticky },
                    },
                })
            }
            Does::Redirect { protocol, port, host, path, query, status } => json!({
                "Type": "redirect",
                "RedirectConfig": {
                    "Protocol": protocol, "Port": port, "Host": host, "Path": path, "Query": query,
                    "StatusCode": status,
                },
            }),
            Does::FixedResponse { status, content_type, body } => json!({
                "Type": "fixed-response",
                "FixedResponseConfig": { "StatusCode": status, "ContentType": content_type, "MessageBody": body },
            }),
        };
        view["Order"] = json!(self.order);
        view
    }
}

impl Does {
    fn shown(p: &Params) -> Does {
        let text = |path: &str, default: &str| p.opt_str(path).unwrap_or(default).to_owned();
        match p.opt_str("Type") {
            Some("forward") => {
                let share =
                    |group: &Params| Share { group: group.text("TargetGroupArn"), weight: group.number("Weight", 1) };
                let mut groups: Vec<Share> = p.list("ForwardConfig.TargetGroups").iter().map(share).collect();
                if let (true, Some(only)) = (groups.is_empty(), p.opt_str("TargetGroupArn")) {
                    groups.push(Share { group: only.to_owned(), weight: 1 });
                }
                let stickiness = p.part("ForwardConfig.TargetGroupStickinessConfig");
                let sticky = stickiness.flag("Enabled").then(|| stickiness.number("DurationSeconds", 3600));
                Does::Forward { groups, sticky }
            }
            Some("redirect") => Does::Redirect {
                protocol: text("RedirectConfig.Protocol", "#{protocol}"),
                port: text("RedirectConfig.Port", "#{port}"),
                host: text("RedirectConfig.Host", "#{host}"),
                path: text("RedirectConfig.Path", "/#{path}"),
                query: text("RedirectConfig.Query", "#{query}"),
                status: text("RedirectConfig.StatusCode", "HTTP_302"),
            },
            Some("fixed-response") => Does::FixedResponse {
                status: text("FixedResponseConfig.StatusCode", "503"),
                content_type: p.opt_str("FixedResponseConfig.ContentType").map(str::to_owned),
                body: p.opt_str("FixedResponseConfig.MessageBody").map(str::to_owned),
            },
            _ => Does::Other(p.0.clone()),
        }
    }
}

/// Reads and checks the actions of a request. Without the kinds that authenticate, exactly one is left.
pub fn read(tx: &Tx, at: &At, actions: &[Params]) -> Result<Action, AwsError> {
    let kinds =
        ["forward", "authenticate-oidc", "authenticate-cognito", "redirect", "fixed-response", "jwt-validation"];
    for action in actions {
        action.str("Type")?;
        modelled(tx, "Type", choice(action, "Type", &kinds, "")?, &["forward", "redirect", "fixed-response"])?;
    }
    let [action] = actions else {
        let message = "You must specify exactly one action of type 'forward', 'redirect' or 'fixed-response'";
        return Err(AwsError::new("InvalidLoadBalancerAction", message));
    };
    let kind = action.str("Type")?;
    if at.balancer.network && kind != "forward" {
        let message = format!("Actions of type '{kind}' are not supported on a network load balancer");
        return Err(AwsError::new("InvalidLoadBalancerAction", message));
    }
    let does = match kind {
        "forward" => forward(tx, at, action)?,
        "redirect" => redirect(at, action)?,
        _ => fixed_response(action)?,
    };
    Ok(Action { order: action.opt_int("Order")?, does, before: Vec::new() })
}

fn forward(tx: &Tx, at: &At, p: &Params) -> Result<Does, AwsError> {
    let (config, single) = (p.list("ForwardConfig.TargetGroups"), p.opt_str("TargetGroupArn"));
    let groups = match (&config[..], single) {
        ([], Some(arn)) => vec![Share { group: arn.to_owned(), weight: 1 }],
        ([], None) => return Err(AwsError::new("ValidationError", "A target group ARN must be specified")),
        (groups, single) => {
            // A group without a weight has weight 1.
            let share = |group: &Params| {
                let weight = number(group, "Weight", 0..=999, 1)?;
                Ok(Share { group: group.str("TargetGroupArn")?.to_owned(), weight })
            };
            let groups = groups.iter().map(share).collect::<Result<Vec<Share>, AwsError>>()?;
            if single.is_some_and(|single| groups.len() != 1 || groups[0].group != single) {
                let message = "You must specify the same target group in TargetGroupArn and ForwardConfig";
                return Err(AwsError::new("ValidationError", message));
            }
            groups
        }
    };
    // Quota "Target groups per action per Application Load Balancer": five.
    if groups.len() > 5 {
        return Err(AwsError::new("TooManyTargetGroups", "The maximum number of target groups per action is '5'"));
    }
    if groups.iter().map(|share| &share.group).collect::<BTreeSet<_>>().len() < groups.len() {
        return Err(AwsError::new("ValidationError", "A target group can be specified only once in an action"));
    }
    groups.iter().try_for_each(|share| check_group(tx, at, &share.group))?;
    let sticky = match p.opt_bool("ForwardConfig.TargetGroupStickinessConfig.Enabled")? {
        Some(true) => {
            p.int("ForwardConfig.TargetGroupStickinessConfig.DurationSeconds")?;
            Some(number(p, "ForwardConfig.TargetGroupStickinessConfig.DurationSeconds", 1..=604_800, 0)?)
        }
        Some(false) | None => None,
    };
    Ok(Does::Forward { groups, sticky })
}

/// A group must exist, speak the listener's kind of protocol, be in its VPC, and serve no other load balancer.
fn check_group(tx: &Tx, at: &At, arn: &str) -> Result<(), AwsError> {
    let group = tx
        .get::<TargetGroup>(arn)
        .map_err(|_| AwsError::new("TargetGroupNotFound", format!("Target groups '{arn}' not found")))?;
    let fits = match at.protocol {
        "HTTP" | "HTTPS" => ["HTTP", "HTTPS"].contains(&&*group.protocol),
        "TCP" | "TLS" => ["TCP", "TLS", "TCP_UDP"].contains(&&*group.protocol),
        "UDP" => ["UDP", "TCP_UDP"].contains(&&*group.protocol),
        other => group.protocol == other,
    };
    if !fits {
        let message = format!(
            "Listener protocol '{}' is not supported with a target group with the protocol '{}'",
            at.protocol, group.protocol
        );
        return Err(AwsError::new("IncompatibleProtocols", message));
    }
    if group.vpc != at.balancer.vpc {
        let message = format!("The target group '{arn}' and the load balancer are in different VPCs");
        return Err(invalid_configuration(message));
    }
    if route::balancers_of(tx, arn).into_iter().any(|other| other != at.balancer.arn) {
        let message =
            format!("The following target groups cannot be associated with more than one load balancer: {arn}");
        return Err(AwsError::new("TargetGroupAssociationLimit", message));
    }
    Ok(())
}

fn redirect(at: &At, p: &Params) -> Result<Does, AwsError> {
    let part = |name: &str, default: &str| p.opt_str(&format!("RedirectConfig.{name}")).unwrap_or(default).to_owned();
    p.str("RedirectConfig.StatusCode")?;
    let status = choice(p, "RedirectConfig.StatusCode", &["HTTP_301", "HTTP_302"], "")?.to_owned();
    let (protocol, port) = (part("Protocol", "#{protocol}"), part("Port", "#{port}"));
    let (host, path, query) = (part("Host", "#{host}"), part("Path", "/#{path}"), part("Query", "#{query}"));
    if !["HTTP", "HTTPS", "#{protocol}"].contains(&&*protocol) {
        return Err(AwsError::new("ValidationError", format!("Redirect protocol '{protocol}' is not valid")));
    }
    if port != "#{port}" && !port.parse().is_ok_and(|port: u16| port > 0) {
        return Err(AwsError::new("ValidationError", format!("Redirect port '{port}' is not valid")));
    }
    if !path.starts_with('/') {
        return Err(AwsError::new("ValidationError", format!("Redirect path '{path}' must begin with '/'")));
    }
    if at.protocol == "HTTPS" && protocol == "HTTP" {
        let message = "You cannot redirect from HTTPS to HTTP";
        return Err(AwsError::new("InvalidLoadBalancerAction", message));
    }
    let stays = (protocol == "#{protocol}" || protocol == at.protocol)
        && (port == "#{port}" || port == at.port.to_string())
        && (host.as_str(), path.as_str(), query.as_str()) == ("#{host}", "/#{path}", "#{query}");
    if stays {
        let message = "The redirect configuration is not valid because it creates a loop.";
        return Err(AwsError::new("InvalidLoadBalancerAction", message));
    }
    Ok(Does::Redirect { protocol, port, host, path, query, status })
}

fn fixed_response(p: &Params) -> Result<Does, AwsError> {
    let status = p.str("FixedResponseConfig.StatusCode")?.to_owned();
    let good = status.len() == 3
        && status.bytes().all(|digit| digit.is_ascii_digit())
        && ["2", "4", "5"].contains(&&status[..1]);
    if !good {
        let message = format!("Fixed response status code '{status}' must be 2XX, 4XX or 5XX");
        return Err(AwsError::new("ValidationError", message));
    }
    let types = ["text/plain", "text/css", "text/html", "application/javascript", "application/json"];
    let content_type = p.opt_str("FixedResponseConfig.ContentType");
    if let Some(unknown) = content_type.filter(|given| !types.contains(given)) {
        let message = format!("Fixed response content type '{unknown}' must be one of {}", types.join(", "));
        return Err(AwsError::new("ValidationError", message));
    }
    let body = p.opt_str("FixedResponseConfig.MessageBody");
    if body.is_some_and(|body| body.len() > 1024) {
        let message = "Fixed response message body must be at most 1024 characters";
        return Err(AwsError::new("ValidationError", message));
    }
    let own = |text: &str| text.to_owned();
    Ok(Does::FixedResponse { status, content_type: content_type.map(own), body: body.map(own) })
}
