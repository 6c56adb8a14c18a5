//! What a listener or rule does with requests: as an option, as AWS has it, and as data that an undo can keep.
//!
//! AWS has lists of actions: some that authenticate, then one that answers ([`Answer`]). Only that one is ever
//! changed here, the others are sent back as they were found.

use aws_sdk_elasticloadbalancingv2::types::{
    self as elb, ActionTypeEnum, FixedResponseActionConfig, ForwardActionConfig, RedirectActionConfig,
    RedirectActionStatusCodeEnum, TargetGroupStickinessConfig, TargetGroupTuple,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TargetGroup;
use crate::ops::{Duration, Error, IdOf};

/// What to do with requests: exactly one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Action {
    /// Forward them to target groups, by weight.
    forward: Option<Forward>,
    /// Redirect clients to another URL.
    redirect: Option<Redirect>,
    /// Answer with a fixed response.
    fixed_response: Option<FixedResponse>,
}

/// To which target groups.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forward {
    /// The target groups, five at most.
    target_groups: Vec<Target>,
    /// For how long requests of a client stay with a target group, up to 7 days. Without it, each request is drawn
    /// anew.
    stickiness: Option<Duration>,
}

/// One of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Target {
    /// The target group.
    target_group: IdOf<TargetGroup>,
    /// Its share among all weights, 0 to 999.
    #[serde(default = "one")]
    weight: u16,
}

fn one() -> u16 {
    1
}

/// Where clients are sent. What is not given stays as they asked for it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// `HTTP` or `HTTPS`.
    protocol: Option<String>,
    /// A port.
    port: Option<Port>,
    /// A host name; `#{host}` in it is the one asked for.
    host: Option<String>,
    /// A path; `#{path}` in it is the one asked for.
    path: Option<String>,
    /// The query, without `?`.
    query: Option<String>,
    /// 301 for good, 302 for now.
    #[serde(default = "moved")]
    status_code: u16,
}

fn moved() -> u16 {
    301
}

/// A number, or text with a placeholder.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline, extend("x-type" = "integer or string"))]
enum Port {
    Number(u16),
    Text(String),
}

/// What clients are told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FixedResponse {
    /// A code from 200 to 299 or from 400 to 599.
    status_code: u16,
    /// `text/plain`, `text/css`, `text/html`, `application/javascript` or `application/json`.
    content_type: Option<String>,
    /// The text, up to 1024 characters.
    message_body: Option<String>,
}

/// Who owns the weights of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// The traffic operations: target groups and weights of a live forward are left as they are.
    Keep,
    /// This operation: the action is made exactly as given.
    Set,
}

/// The action that answers, as AWS has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    Forward {
        target_groups: Vec<Share>,
        stickiness: Option<i32>,
    },
    Redirect {
        protocol: String,
        port: String,
        host: String,
        path: String,
        query: String,
        status_code: String,
    },
    FixedResponse {
        status_code: String,
        content_type: String,
        message_body: String,
    },
    /// None, or of a kind that is not known here.
    Other,
}

/// A target group's part of a forward.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Share {
    pub target_group: String,
    pub weight: i32,
}

impl Action {
    /// As AWS would have it. `path` is the option's, for errors.
    ///
    /// # Errors
    /// If AWS would refuse it.
    pub fn answer(&self, path: &str) -> Result<Answer, Error> {
        match (&self.forward, &self.redirect, &self.fixed_response) {
            (Some(forward), None, None) => forward.answer(path),
            (None, Some(redirect), None) => redirect.answer(path),
            (None, None, Some(fixed)) => fixed.answer(path),
            _ => Err(Error::option(path, "expected exactly one of `forward`, `redirect` and `fixed_response`")),
        }
    }
}

impl Forward {
    fn answer(&self, path: &str) -> Result<Answer, Error> {
        let path = format!("{path}.forward.target_groups");
        if self.target_groups.is_empty() || self.target_groups.len() > 5 {
            let message = format!("expected one to five target groups, found {}", self.target_groups.len());
            return Err(Error::option(path, message));
        }
        let mut target_groups: Vec<Share> = Vec::new();
        for (index, target) in self.target_groups.iter().enumerate() {
            if target.weight > 999 {
                let message = format!("expected a weight from 0 to 999, found {}", target.weight);
                return Err(Error::option(format!("{path}[{index}].weight"), message));
            }
            if target_groups.iter().any(|known| known.target_group == target.target_group.as_str()) {
                return Err(Error::option(format!("{path}[{index}]"), "this target group is listed twice"));
            }
            let target_group = target.target_group.to_string();
            target_groups.push(Share { target_group, weight: target.weight.into() });
        }
        Ok(Answer::forward(target_groups, self.stickiness.map(Duration::as_secs)))
    }
}

impl Redirect {
    fn answer(&self, path: &str) -> Result<Answer, Error> {
        if ![301, 302].contains(&self.status_code) {
            let message = format!("expected 301 or 302, found {}", self.status_code);
            return Err(Error::option(format!("{path}.redirect.status_code"), message));
        }
        let port = self.port.as_ref().map(|port| match port {
            Port::Number(number) => number.to_string(),
            Port::Text(text) => text.clone(),
        });
        Ok(Answer::redirect(
            self.protocol.clone(),
            port,
            self.host.clone(),
            self.path.clone(),
            self.query.clone(),
            format!("HTTP_{}", self.status_code),
        ))
    }
}

impl FixedResponse {
    fn answer(&self, path: &str) -> Result<Answer, Error> {
        if !matches!(self.status_code, 200..=299 | 400..=599) {
            let message = format!("expected 200 to 299 or 400 to 599, found {}", self.status_code);
            return Err(Error::option(format!("{path}.fixed_response.status_code"), message));
        }
        Ok(Answer::FixedResponse {
            status_code: self.status_code.to_string(),
            content_type: self.content_type.clone().unwrap_or_default(),
            message_body: self.message_body.clone().unwrap_or_default(),
        })
    }
}

impl Answer {
    /// A forward; the order of its groups means nothing.
    pub fn forward(mut target_groups: Vec<Share>, stickiness: Option<i32>) -> Self {
        target_groups.sort();
        Self::Forward { target_groups, stickiness }
    }

    /// A redirect; what is not said is as it was asked for.
    fn redirect(
        protocol: Option<String>,
        port: Option<String>,
        host: Option<String>,
        path: Option<String>,
        query: Option<String>,
        status_code: String,
    ) -> Self {
        let or = |value: Option<String>, placeholder: &str| value.unwrap_or_else(|| placeholder.to_owned());
        Self::Redirect {
            protocol: or(protocol, "#{protocol}"),
            port: or(port, "#{port}"),
            host: or(host, "#{host}"),
            path: or(path, "/#{path}"),
            query: or(query, "#{query}"),
            status_code,
        }
    }

    /// The one among live actions.
    pub fn of(actions: &[elb::Action]) -> Self {
        let answers = actions.iter().rev().map(Self::of_action);
        answers.into_iter().find(|answer| *answer != Self::Other).unwrap_or(Self::Other)
    }

    fn of_action(action: &elb::Action) -> Self {
        let own = |text: Option<&str>| text.map(str::to_owned);
        match action.r#type() {
            Some(ActionTypeEnum::Forward) => {
                let config = action.forward_config();
                let shares = config.map(ForwardActionConfig::target_groups).unwrap_or_default();
                let mut groups: Vec<Share> = shares
                    .iter()
                    .filter_map(|share| {
                        let target_group = share.target_group_arn()?.to_owned();
                        Some(Share { target_group, weight: share.weight().unwrap_or(1) })
                    })
                    .collect();
                if let (true, Some(arn)) = (groups.is_empty(), action.target_group_arn()) {
                    groups.push(Share { target_group: arn.to_owned(), weight: 1 });
                }
                let sticky = config
                    .and_then(ForwardActionConfig::target_group_stickiness_config)
                    .filter(|sticky| sticky.enabled() == Some(true));
                Self::forward(groups, sticky.and_then(TargetGroupStickinessConfig::duration_seconds))
            }
            Some(ActionTypeEnum::Redirect) => action.redirect_config().map_or(Self::Other, |to| {
                let status = to.status_code().map_or("HTTP_301", RedirectActionStatusCodeEnum::as_str);
                let (protocol, port) = (own(to.protocol()), own(to.port()));
                Self::redirect(protocol, port, own(to.host()), own(to.path()), own(to.query()), status.to_owned())
            }),
            Some(ActionTypeEnum::FixedResponse) => {
                action.fixed_response_config().map_or(Self::Other, |fixed| Self::FixedResponse {
                    status_code: fixed.status_code().unwrap_or_default().to_owned(),
                    content_type: fixed.content_type().unwrap_or_default().to_owned(),
                    message_body: fixed.message_body().unwrap_or_default().to_owned(),
                })
            }
            _ => Self::Other,
        }
    }

    /// The target groups of a forward; none of anything else.
    pub fn target_groups(&self) -> &[Share] {
        match self {
            Self::Forward { target_groups, .. } => target_groups,
            Self::Redirect { .. } | Self::FixedResponse { .. } | Self::Other => &[],
        }
    }

    pub fn is_forward(&self) -> bool {
        matches!(self, Self::Forward { .. })
    }

    /// In a few words, for errors.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Forward { .. } => "forwards",
            Self::Redirect { .. } => "redirects",
            Self::FixedResponse { .. } => "answers with a fixed response",
            Self::Other => "has an action that is not known here",
        }
    }

    /// Live actions with this answer in place of theirs.
    pub fn among(&self, live: &[elb::Action]) -> Vec<elb::Action> {
        let authenticates = |action: &&elb::Action| {
            !matches!(
                action.r#type(),
                Some(ActionTypeEnum::Forward | ActionTypeEnum::Redirect | ActionTypeEnum::FixedResponse)
            )
        };
        let mut actions: Vec<elb::Action> = live.iter().filter(authenticates).cloned().map(with_its_secret).collect();
        let place = live.iter().rev().find(|action| !authenticates(action)).and_then(elb::Action::order);
        let order = place.or_else(|| i32::try_from(actions.len() + 1).ok().filter(|_| !actions.is_empty()));
        actions.push(self.to_elb(order));
        actions
    }

    fn to_elb(&self, order: Option<i32>) -> elb::Action {
        let action = elb::Action::builder().set_order(order);
        match self {
            Self::Forward { target_groups, stickiness } => {
                let tuple = |share: &Share| {
                    TargetGroupTuple::builder().target_group_arn(&share.target_group).weight(share.weight).build()
                };
                let sticky = stickiness.map(|seconds| {
                    TargetGroupStickinessConfig::builder().enabled(true).duration_seconds(seconds).build()
                });
                let config = ForwardActionConfig::builder()
                    .set_target_groups(Some(target_groups.iter().map(tuple).collect()))
                    .set_target_group_stickiness_config(sticky);
                action.r#type(ActionTypeEnum::Forward).forward_config(config.build()).build()
            }
            Self::Redirect { protocol, port, host, path, query, status_code } => {
                let config = RedirectActionConfig::builder()
                    .protocol(protocol)
                    .port(port)
                    .host(host)
                    .path(path)
                    .query(query)
                    .status_code(RedirectActionStatusCodeEnum::from(status_code.as_str()));
                action.r#type(ActionTypeEnum::Redirect).redirect_config(config.build()).build()
            }
            Self::FixedResponse { status_code, content_type, message_body } => {
                let some = |text: &String| (!text.is_empty()).then(|| text.clone());
                let config = FixedResponseActionConfig::builder()
                    .status_code(status_code)
                    .set_content_type(some(content_type))
                    .set_message_body(some(message_body));
                action.r#type(ActionTypeEnum::FixedResponse).fixed_response_config(config.build()).build()
            }
            Self::Other => action.build(),
        }
    }
}

/// Describes leave the client secret out; this tells AWS to go on with the one it has.
fn with_its_secret(mut action: elb::Action) -> elb::Action {
    if let Some(config) = &mut action.authenticate_oidc_config {
        config.client_secret = None;
        config.use_existing_client_secret = Some(true);
    }
    action
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(target_group: &str, weight: i32) -> Share {
        Share { target_group: target_group.into(), weight }
    }

    #[test]
    fn only_the_answer_is_replaced() {
        let oidc = elb::AuthenticateOidcActionConfig::builder().issuer("https://login").client_id("shop");
        let login = elb::Action::builder().r#type(ActionTypeEnum::AuthenticateOidc).order(1);
        let login = login.authenticate_oidc_config(oidc.build()).build();
        let before = Answer::forward(vec![share("blue", 100), share("green", 0)], Some(60));
        let live = before.among(&[login]);
        assert_eq!(Answer::of(&live), before);
        assert_eq!(live[1].order(), Some(2));

        let after = Answer::forward(vec![share("blue", 0), share("green", 100)], Some(60));
        let sent = after.among(&live);
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[0].authenticate_oidc_config().and_then(|oidc| oidc.use_existing_client_secret()), Some(true));
        assert_eq!(Answer::of(&sent), after);
    }

    #[test]
    fn a_forward_without_weights_has_weight_one() {
        let live = elb::Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn("blue").build();
        assert_eq!(Answer::of(&[live]), Answer::forward(vec![share("blue", 1)], None));
    }

    #[test]
    fn what_a_redirect_does_not_say_is_as_it_was_asked_for() {
        let config =
            RedirectActionConfig::builder().protocol("HTTPS").status_code(RedirectActionStatusCodeEnum::Http302);
        let live = elb::Action::builder().r#type(ActionTypeEnum::Redirect).redirect_config(config.build()).build();
        let Answer::Redirect { host, path, status_code, .. } = Answer::of(&[live]) else { panic!("a redirect") };
        assert_eq!((host.as_str(), path.as_str(), status_code.as_str()), ("#{host}", "/#{path}", "HTTP_302"));
    }
}
