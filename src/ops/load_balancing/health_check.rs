//! The health check of a target group: one call changes any part of it, one undo sets these parts back.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::{
    operation::modify_target_group::builders::ModifyTargetGroupFluentBuilder,
    types::{self as elb, Matcher},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{name_in, read};
use crate::{
    event::Field,
    ops::{Duration, Error, arguments, outcome::nothing_to_undo, ownership::changed},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// How targets are checked. What is not given is AWS's default at first, and left as it is later.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// `HTTP`, `HTTPS` or `TCP`. AWS begins with HTTP for HTTP and HTTPS groups, and with TCP for others.
    protocol: Option<CheckProtocol>,
    /// A port number, or `traffic-port` for that of each target; AWS begins with that.
    port: Option<Port>,
    /// The path that is asked for; AWS begins with `/`.
    path: Option<String>,
    /// From check to check of a target, 5 s to 300 s; AWS begins with 30 s.
    interval: Option<Duration>,
    /// How long an answer may take, 2 s to 120 s; less than the interval.
    timeout: Option<Duration>,
    /// After how many good checks in a row an unhealthy target is healthy again, 2 to 10; AWS begins with 5. A new
    /// target needs one.
    healthy_threshold: Option<u8>,
    /// After how many bad checks in a row a target is unhealthy, 2 to 10; AWS begins with 2.
    unhealthy_threshold: Option<u8>,
    /// The codes of good answers: `200`, `200,204`, `200-299`; gRPC codes with protocol version GRPC.
    matcher: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum CheckProtocol {
    Http,
    Https,
    Tcp,
}

/// A number or `traffic-port`.
#[derive(Debug, JsonSchema)]
#[schemars(inline)]
struct Port(#[schemars(extend("type" = ["integer", "string"], "x-type" = "integer or string"))] String);

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) if text == "traffic-port" || text.parse::<u16>().is_ok() => Ok(Self(text)),
            Value::Number(number) if number.as_u64().is_some_and(|port| (1..=65_535).contains(&port)) => {
                Ok(Self(number.to_string()))
            }
            other => Err(serde::de::Error::custom(format!("expected a port or \"traffic-port\", found {other}"))),
        }
    }
}

/// The parts of a health check by option name, as text: what is compared, kept, and put back.
pub type Parts = BTreeMap<String, String>;

impl HealthCheck {
    /// What was asked for. Checks what AWS would only say after something was made.
    ///
    /// # Errors
    /// If parts do not fit together.
    pub fn parts(&self) -> Result<Parts, Error> {
        let tcp = matches!(self.protocol, Some(CheckProtocol::Tcp));
        if tcp && (self.path.is_some() || self.matcher.is_some()) {
            return Err(Error::option("health_check", "a TCP check has no `path` and no `matcher`"));
        }
        if self.path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return Err(Error::option("health_check.path", "expected a path that begins with `/`"));
        }
        if let (Some(timeout), Some(interval)) = (self.timeout, self.interval)
            && timeout >= interval
        {
            let message = format!("expected less than the interval of {interval}, found {timeout}");
            return Err(Error::option("health_check.timeout", message));
        }
        let protocol = self.protocol.map(|protocol| match protocol {
            CheckProtocol::Http => "HTTP".to_owned(),
            CheckProtocol::Https => "HTTPS".to_owned(),
            CheckProtocol::Tcp => "TCP".to_owned(),
        });
        let given = [
            ("protocol", protocol),
            ("port", self.port.as_ref().map(|port| port.0.clone())),
            ("path", self.path.clone()),
            ("interval", self.interval.map(|interval| interval.as_secs().to_string())),
            ("timeout", self.timeout.map(|timeout| timeout.as_secs().to_string())),
            ("healthy_threshold", self.healthy_threshold.map(|count| count.to_string())),
            ("unhealthy_threshold", self.unhealthy_threshold.map(|count| count.to_string())),
            ("matcher", self.matcher.clone()),
        ];
        Ok(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }
}

/// The parts a target group has.
pub fn of(group: &elb::TargetGroup) -> Parts {
    let number = |value: Option<i32>| value.map(|value| value.to_string());
    let codes = group.matcher().and_then(|matcher| matcher.http_code().or(matcher.grpc_code()));
    let found = [
        ("protocol", group.health_check_protocol().map(|protocol| protocol.as_str().to_owned())),
        ("port", group.health_check_port().map(str::to_owned)),
        ("path", group.health_check_path().map(str::to_owned)),
        ("interval", number(group.health_check_interval_seconds())),
        ("timeout", number(group.health_check_timeout_seconds())),
        ("healthy_threshold", number(group.healthy_threshold_count())),
        ("unhealthy_threshold", number(group.unhealthy_threshold_count())),
        ("matcher", codes.map(str::to_owned)),
    ];
    found.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// A matcher for the group's protocol version.
pub fn matcher(codes: &str, grpc: bool) -> Matcher {
    if grpc { Matcher::builder().grpc_code(codes).build() } else { Matcher::builder().http_code(codes).build() }
}

/// Gives parts to a request; `$request` has the setters of creating and modifying a target group alike.
macro_rules! with_parts {
    ($request:expr, $parts:expr, $grpc:expr) => {{
        let (parts, number) = ($parts, |name: &str| $parts.get(name).and_then(|text: &String| text.parse().ok()));
        $request
            .set_health_check_protocol(
                parts
                    .get("protocol")
                    .map(|text| aws_sdk_elasticloadbalancingv2::types::ProtocolEnum::from(text.as_str())),
            )
            .set_health_check_port(parts.get("port").cloned())
            .set_health_check_path(parts.get("path").cloned())
            .set_health_check_interval_seconds(number("interval"))
            .set_health_check_timeout_seconds(number("timeout"))
            .set_healthy_threshold_count(number("healthy_threshold"))
            .set_unhealthy_threshold_count(number("unhealthy_threshold"))
            .set_matcher(
                parts.get("matcher").map(|codes| $crate::ops::load_balancing::health_check::matcher(codes, $grpc)),
            )
    }};
}
pub(super) use with_parts;

async fn modify(ctx: &Ctx, arn: &str, parts: &Parts, grpc: bool, undo: Option<Undo>) -> Result<(), Error> {
    let subject = format!("health check of {}", name_in(arn));
    let mut declared = Mutation::new("elasticloadbalancing:ModifyTargetGroup", Class::Idempotent, subject);
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    ctx.change(declared, |permit| {
        let request: ModifyTargetGroupFluentBuilder = ctx.aws().elbv2.modify_target_group().target_group_arn(arn);
        with_parts!(request, parts, grpc).customize().interceptor(permit).send()
    })
    .await
}

fn is_grpc(group: &elb::TargetGroup) -> bool {
    group.protocol_version() == Some("GRPC")
}

/// Sets the parts that differ. Returns what changed.
pub async fn converge(ctx: &Ctx, found: &elb::TargetGroup, wanted: &Parts) -> Result<Vec<Field>, Error> {
    let (arn, present) = (found.target_group_arn().unwrap_or_default(), of(found));
    let ours: Parts = wanted
        .iter()
        .filter(|(name, value)| present.get(*name) != Some(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if ours.is_empty() {
        return Ok(Vec::new());
    }
    // From HTTP to TCP and back, path and matcher go and come with the protocol.
    let names = if ours.contains_key("protocol") { present.keys().collect() } else { ours.keys().collect::<Vec<_>>() };
    let before: Parts = names.iter().filter_map(|name| Some(((*name).clone(), present.get(*name)?.clone()))).collect();
    let fields = ours
        .iter()
        .map(|(name, value)| {
            let name_shown = format!("health_check.{name}");
            changed(&name_shown, json!(present.get(name)), value.as_str())
        })
        .collect();
    let undo = Undo::new(
        &RESTORE_HEALTH_CHECK,
        format!("set the health check of {} back", name_in(arn)),
        json!({ "arn": arn, "before": before, "ours": ours }),
    );
    modify(ctx, arn, &ours, is_grpc(found), Some(undo)).await?;
    Ok(fields)
}

/// Sets a changed health check back.
pub const RESTORE_HEALTH_CHECK: UndoAction =
    UndoAction { name: "restore_health_check", run: |ctx, arguments| Box::pin(restore_health_check(ctx, arguments)) };

#[derive(Serialize, Deserialize)]
struct RestoreHealthCheck {
    arn: String,
    before: Parts,
    ours: Parts,
}

async fn restore_health_check(ctx: &Ctx, given: Value) -> Result<Undone, Error> {
    let RestoreHealthCheck { arn, before, ours } = arguments(given)?;
    let group = match read::target_group(ctx, &arn).await {
        Err(error) if error.is(&["TargetGroupNotFound"]) => return Ok(Undone::Already),
        found => found?,
    };
    let present = of(&group);
    let changed: Parts = ours.keys().filter_map(|name| Some((name.clone(), present.get(name)?.clone()))).collect();
    let was: Parts = ours.keys().filter_map(|name| Some((name.clone(), before.get(name)?.clone()))).collect();
    if let Some(undone) = nothing_to_undo(&changed, &was, &ours) {
        return Ok(undone);
    }
    modify(ctx, &arn, &before, is_grpc(&group), None).await?;
    Ok(Undone::Done)
}
