//! A route: a listener, for its default action, or a rule. Where it sends requests is read and set alike.

use std::{fmt, time::Duration};

use aws_sdk_elasticloadbalancingv2::types as elb;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Value, json};

use super::{Listener, ListenerRule, action::Answer, read, shared};
use crate::{
    ops::{Error, IdOf, Kind, arguments, options::HANDLE, outcome::nothing_to_undo},
    run::{Class, Ctx, Mutation, Phase, Undo, UndoAction, Undone},
};

/// For how long reads may be behind a change of our own.
const WINDOW: Duration = Duration::from_secs(10);

/// The ARN of a listener or rule, given as a handle or as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Route(String);

/// A route as it is now.
pub struct Live {
    /// `shop-prod-web:443`, `shop-prod-web rule 10`.
    pub name: String,
    pub actions: Vec<elb::Action>,
    pub answer: Answer,
}

impl Route {
    pub fn new(arn: impl Into<String>) -> Self {
        Self(arn.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_rule(&self) -> bool {
        self.0.contains(":listener-rule/")
    }

    /// The load balancer's name, which every ARN has.
    pub fn load_balancer(&self) -> &str {
        // …:listener/app/NAME/ID/LISTENER, …:listener-rule/app/NAME/ID/LISTENER/RULE
        self.0.split('/').nth(2).unwrap_or(&self.0)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let is_rule = value.get(HANDLE).and_then(Value::as_str) == Some(ListenerRule::KIND)
            || value.get(ListenerRule::ID).is_some();
        let arn = if is_rule {
            IdOf::<ListenerRule>::deserialize(value).map(IdOf::into_string)
        } else {
            IdOf::<Listener>::deserialize(value).map(IdOf::into_string)
        };
        let arn = arn.map_err(D::Error::custom)?;
        if arn.contains(":listener/") || arn.contains(":listener-rule/") {
            return Ok(Self(arn));
        }
        Err(D::Error::custom(format!("expected a listener, a listener rule or the ARN of one, found {arn:?}")))
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

/// Keeps other runs off a route whose load balancer several stacks share. One of the stack's own is kept by the lock of the stack.
///
/// # Errors
/// [`Error::Locked`] if another run moves weight there.
pub async fn lock(ctx: &Ctx, route: &Route) -> Result<(), Error> {
    let stack = ctx.stack().unwrap_or_default();
    if route.load_balancer().starts_with(&format!("{stack}-")) {
        return Ok(());
    }
    ctx.lock(&format!("route {route}")).await
}

/// Reads a route.
///
/// # Errors
/// [`Error::NotFound`] if it is not there; [`Error::Option`] for a default rule: AWS changes it through its listener.
pub async fn live(ctx: &Ctx, route: &Route) -> Result<Live, Error> {
    let gone = |error| gone(route, error);
    if route.is_rule() {
        let rule = read::rule(ctx, route.as_str()).await.map_err(gone)?;
        if rule.is_default() == Some(true) {
            let message = "this is a listener's default rule: give the listener instead";
            return Err(Error::option("route", message));
        }
        let actions = rule.actions().to_vec();
        let name = format!("{} rule {}", route.load_balancer(), rule.priority().unwrap_or_default());
        return Ok(Live { name, answer: Answer::of(&actions), actions });
    }
    let listener = read::listener(ctx, route.as_str()).await.map_err(gone)?;
    Ok(of_listener(route, &listener))
}

/// The route as it was a moment ago: for who moves nothing by it.
///
/// # Errors
/// As [`live`].
pub async fn seen(ctx: &Ctx, route: &Route) -> Result<Live, Error> {
    if route.is_rule() {
        return live(ctx, route).await;
    }
    let listener = shared::listener(ctx, route.as_str()).await.map_err(|error| gone(route, error))?;
    Ok(of_listener(route, &listener))
}

fn gone(route: &Route, error: Error) -> Error {
    match error.is(&["ListenerNotFound", "RuleNotFound"]) {
        true => Error::NotFound { what: format!("route {route}"), hint: None },
        false => error,
    }
}

fn of_listener(route: &Route, listener: &elb::Listener) -> Live {
    let actions = listener.default_actions().to_vec();
    let name = format!("{}:{}", route.load_balancer(), listener.port().unwrap_or_default());
    Live { name, answer: Answer::of(&actions), actions }
}

/// Reads a route until it shows what `expected` says, or for as long as reads may be behind. Returns the last read.
pub async fn settled(ctx: &Ctx, route: &Route, expected: impl Fn(&Answer) -> bool) -> Result<Live, Error> {
    let started = ctx.now();
    loop {
        let live = live(ctx, route).await?;
        if expected(&live.answer) || ctx.since(started) >= WINDOW {
            return Ok(live);
        }
        ctx.sleep(Duration::from_secs(1)).await?;
    }
}

/// After a route is read as it was set, its nodes still send requests on connections that were open where they went
/// before: for "a second or two". Until then nobody may take away those who answer them.
pub const HEARD_OF: Duration = Duration::from_secs(5);

/// Sets the answer of a route, and leaves its other actions as they are.
pub async fn set(ctx: &Ctx, route: &Route, live: &Live, answer: &Answer, undo: Option<Undo>) -> Result<(), Error> {
    let call = if route.is_rule() { "elasticloadbalancing:ModifyRule" } else { "elasticloadbalancing:ModifyListener" };
    let mut declared = Mutation::new(call, Class::Idempotent, &live.name);
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    let (elb, actions) = (&ctx.aws().elbv2, answer.among(&live.actions));
    if route.is_rule() {
        return ctx
            .change(declared, |permit| {
                let request = elb.modify_rule().rule_arn(route.as_str()).set_actions(Some(actions.clone()));
                request.customize().interceptor(permit).send()
            })
            .await;
    }
    ctx.change(declared, |permit| {
        let request = elb.modify_listener().listener_arn(route.as_str());
        request.set_default_actions(Some(actions.clone())).customize().interceptor(permit).send()
    })
    .await
}

/// Gives a route another answer, with the undo that gives it the old one back.
pub async fn replace(ctx: &Ctx, route: &Route, live: &Live, ours: &Answer) -> Result<(), Error> {
    let undo = Undo::new(
        &RESTORE_ACTION,
        format!("set the action of {} back", live.name),
        json!({ "route": route, "before": live.answer, "ours": ours }),
    );
    set(ctx, route, live, ours, Some(undo.phase(Phase::Traffic))).await?;
    settled(ctx, route, |answer| answer == ours).await?;
    Ok(())
}

/// Sets a changed action back.
pub const RESTORE_ACTION: UndoAction =
    UndoAction { name: "restore_action", run: |ctx, arguments| Box::pin(restore_action(ctx, arguments)) };

#[derive(Deserialize)]
struct RestoreAction {
    route: String,
    before: Answer,
    ours: Answer,
}

async fn restore_action(ctx: &Ctx, given: Value) -> Result<Undone, Error> {
    let RestoreAction { route, before, ours } = arguments(given)?;
    let route = Route::new(route);
    let live = match settled(ctx, &route, |answer| *answer == ours).await {
        Err(Error::NotFound { .. }) => return Ok(Undone::Already),
        live => live?,
    };
    if let Some(undone) = nothing_to_undo(&live.answer, &before, &ours) {
        return Ok(undone);
    }
    set(ctx, &route, &live, &before, None).await?;
    ctx.sleep(HEARD_OF).await?;
    Ok(Undone::Done)
}
