//! A route: where it is, what it forwards to, how that is changed and put back.

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{Action, Listener, Rule};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Value, json};

use super::Split;
use crate::{
    event::{Event, Weight},
    ops::{Error, arguments, require, traffic::split::group_name},
    run::{Class, Ctx, Mutation, Phase, Seen, Undo, UndoAction, Undone, Wait},
};

/// How long a changed weight may take to be read back.
const READ_BACK: Duration = Duration::from_secs(60);

/// A listener's default action, or a listener rule: by its ARN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Route(String);

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "expected a listener, a listener rule, or the ARN of one";
        let arn = match Value::deserialize(deserializer)? {
            Value::String(arn) => arn,
            Value::Object(fields) => ["rule_arn", "listener_arn", "route_arn"]
                .iter()
                .find_map(|name| fields.get(*name).and_then(Value::as_str))
                .ok_or_else(|| D::Error::custom(EXPECTED))?
                .to_owned(),
            _ => return Err(D::Error::custom(EXPECTED)),
        };
        if arn.contains(":listener/") || arn.contains(":listener-rule/") {
            Ok(Self(arn))
        } else {
            Err(D::Error::custom(format!("{EXPECTED}, found {arn:?}")))
        }
    }
}

impl JsonSchema for Route {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "route".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "object"], "x-type": "listener or listener_rule" })
    }
}

impl Route {
    pub fn arn(&self) -> &str {
        &self.0
    }

    /// In the user's words: the load balancer it belongs to.
    pub fn name(&self) -> String {
        let balancer = self.0.split('/').nth(2).unwrap_or(&self.0);
        if self.is_rule() { format!("{balancer} (rule)") } else { balancer.to_owned() }
    }

    fn is_rule(&self) -> bool {
        self.0.contains(":listener-rule/")
    }

    /// What it forwards to.
    ///
    /// # Errors
    /// If it does something else: a redirect has no weights to move.
    pub async fn read(&self, ctx: &Ctx) -> Result<Split, Error> {
        Ok(self.read_actions(ctx).await?.1)
    }

    /// What it forwards to, or `None` when it does something else.
    pub async fn look(&self, ctx: &Ctx) -> Result<Option<Split>, Error> {
        Ok(Split::of(&self.actions(ctx).await?))
    }

    /// Sets the division of traffic, and returns when AWS shows it.
    ///
    /// Every change of a route in one run has the same undo: back to the first value.
    pub async fn set(&self, ctx: &Ctx, wanted: &Split) -> Result<(), Error> {
        let (actions, found) = self.read_actions(ctx).await?;
        if found == *wanted {
            return Ok(());
        }
        let undo = Undo::new(
            &RESTORE_ROUTE,
            format!("traffic of {} back to {found}", self.name()),
            json!({ "route": self, "before": found, "ours": wanted }),
        )
        .phase(Phase::Traffic)
        .key(format!("route {}", self.0));
        self.write(ctx, &actions, wanted, Some(undo)).await
    }

    async fn write(&self, ctx: &Ctx, actions: &[Action], wanted: &Split, undo: Option<Undo>) -> Result<(), Error> {
        let actions = wanted.write(actions);
        let (call, aws) = (self.modifying_call(), &ctx.aws().elbv2);
        let mut declared = Mutation::new(call, Class::Idempotent, format!("weights of {}", self.name()));
        if let Some(undo) = undo {
            declared = declared.undo(undo);
        }
        if self.is_rule() {
            ctx.change(declared, |permit| {
                aws.modify_rule()
                    .rule_arn(&self.0)
                    .set_actions(Some(actions.clone()))
                    .customize()
                    .interceptor(permit)
                    .send()
            })
            .await?;
        } else {
            ctx.change(declared, |permit| {
                let request = aws.modify_listener().listener_arn(&self.0);
                request.set_default_actions(Some(actions.clone())).customize().interceptor(permit).send()
            })
            .await?;
        }
        self.read_back(ctx, wanted).await
    }

    /// Nothing may be built on a weight that AWS has not confirmed.
    async fn read_back(&self, ctx: &Ctx, wanted: &Split) -> Result<(), Error> {
        let what = format!("the weights of {} to be {wanted}", self.name());
        let wait = Wait { what, timeout: READ_BACK, every: Duration::from_secs(2) };
        ctx.wait(wait, async || {
            let found = self.read(ctx).await?;
            Ok(if found == *wanted { Seen::Ready(()) } else { Seen::Pending(found.to_string()) })
        })
        .await?;
        let weights = wanted.groups().map(|(arn, weight)| Weight {
            target_group: group_name(arn).to_owned(),
            weight: u32::try_from(weight).unwrap_or(0),
        });
        ctx.emit(Event::Weights { id: ctx.id().to_owned(), route: self.name(), weights: weights.collect() });
        Ok(())
    }

    async fn read_actions(&self, ctx: &Ctx) -> Result<(Vec<Action>, Split), Error> {
        let actions = self.actions(ctx).await?;
        match Split::of(&actions) {
            Some(split) => Ok((actions, split)),
            None => Err(Error::Unsafe(format!(
                "{} does not forward to target groups, so it has no weights; make it a forward with `ensure_listener` first",
                self.name()
            ))),
        }
    }

    async fn actions(&self, ctx: &Ctx) -> Result<Vec<Action>, Error> {
        let aws = &ctx.aws().elbv2;
        if self.is_rule() {
            let call = "elasticloadbalancing:DescribeRules";
            let reply = ctx.read(call, || aws.describe_rules().rule_arns(&self.0).send()).await?;
            let rule: &Rule = require(call, "Rules", reply.rules().first())?;
            Ok(rule.actions().to_vec())
        } else {
            let call = "elasticloadbalancing:DescribeListeners";
            let reply = ctx.read(call, || aws.describe_listeners().listener_arns(&self.0).send()).await?;
            let listener: &Listener = require(call, "Listeners", reply.listeners().first())?;
            Ok(listener.default_actions().to_vec())
        }
    }

    fn modifying_call(&self) -> &'static str {
        if self.is_rule() { "elasticloadbalancing:ModifyRule" } else { "elasticloadbalancing:ModifyListener" }
    }
}

/// Sets the weights of a route back to what the run found.
pub const RESTORE_ROUTE: UndoAction =
    UndoAction { name: "restore_route", run: |ctx, arguments| Box::pin(restore_route(ctx, arguments)) };

#[derive(Deserialize)]
struct RestoreRoute {
    route: Route,
    before: Split,
    ours: Split,
}

async fn restore_route(ctx: &Ctx, undo: Value) -> Result<Undone, Error> {
    let RestoreRoute { route, before, ours } = arguments(undo)?;
    let actions = match route.actions(ctx).await {
        Ok(actions) => actions,
        Err(error) if error.is(&["ListenerNotFound", "RuleNotFound"]) => return Ok(Undone::Already),
        Err(error) => return Err(error),
    };
    match Split::of(&actions) {
        Some(found) if found == before => Ok(Undone::Already),
        Some(found) if found == ours => {
            route.write(ctx, &actions, &before, None).await?;
            Ok(Undone::Done)
        }
        Some(found) => Ok(Undone::Foreign(format!("expected the weights {ours}, found {found}"))),
        None => Ok(Undone::Foreign(format!("expected the weights {ours}, found an action that does not forward"))),
    }
}
