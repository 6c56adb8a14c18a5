//! `ensure_target_group`: the instances one version of a service runs on, as the load balancer sees them.

use std::{collections::BTreeMap, time::Duration as Time};

use aws_sdk_elasticloadbalancingv2::types::{self as elb, ProtocolEnum, TargetHealthStateEnum, TargetTypeEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    TargetGroup,
    attributes::{self, Attributes},
    ensure_load_balancer::merge,
    health_check::{self, HealthCheck, Parts, with_parts},
    name_in,
    protocol::Protocol,
    read, shared, tags,
};
use crate::{
    event::Change,
    ops::{
        Duration, Error, IdOf, Operation, Tags, Together, arguments,
        network::Vpc,
        outcome::{deleted, fixed, report},
        ownership::{Owned, STACK_TAG, set},
        require, tagged,
    },
    run::{Class, Ctx, LookUp, Mutation, Seen, Undo, UndoAction, Undone, Wait},
};

/// Makes sure that the stack has a target group of this name. Protocol, port, VPC and type of targets cannot be
/// changed later. Options that are not given are AWS's defaults at first, and left as they are later.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureTargetGroup {
    /// What the stack calls it; AWS shows `<stack>-<name>`, cut to 32 characters.
    name: String,
    /// The VPC the targets are in.
    vpc_id: IdOf<Vpc>,
    /// What targets speak: `HTTP` or `HTTPS` behind an application load balancer, the others behind a network one.
    #[serde(default)]
    protocol: Protocol,
    /// `HTTP1`, `HTTP2` or `GRPC`; AWS begins with HTTP1.
    protocol_version: Option<ProtocolVersion>,
    /// The port targets listen on, unless they are registered with another one.
    port: u16,
    /// Whether targets are instances, or `ip` addresses.
    #[serde(default)]
    target_type: TargetType,
    /// How targets are checked.
    #[serde(default)]
    health_check: HealthCheck,
    /// How long a target that is taken out may finish its requests, up to an hour; AWS begins with 5 minutes.
    deregistration_delay: Option<Duration>,
    /// For how long a new target gets fewer requests than the others, 30 s to 15 minutes; `"0s"` for not at all.
    slow_start: Option<Duration>,
    /// Whether requests of a client stay with a target.
    stickiness: Option<Stickiness>,
    /// How a target is chosen. Behind application load balancers.
    load_balancing_algorithm: Option<Algorithm>,
    /// Whether each node sends to targets of all zones; otherwise as the load balancer says.
    cross_zone: Option<bool>,
    /// Below how many healthy targets requests go to all of them, healthy or not; AWS begins with 1.
    minimum_healthy_targets: Option<u32>,
    /// Whether targets see the client's address. Behind network load balancers.
    preserve_client_ip: Option<bool>,
    /// Whether connections begin with a PROXY protocol header. Behind network load balancers.
    proxy_protocol_v2: Option<bool>,
    /// Whether connections are closed when the deregistration delay is over. Behind network load balancers.
    connection_termination: Option<bool>,
    /// More attributes, by AWS's names.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a target group of this name that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum ProtocolVersion {
    Http1,
    Http2,
    Grpc,
}

impl ProtocolVersion {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP1",
            Self::Http2 => "HTTP2",
            Self::Grpc => "GRPC",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum TargetType {
    #[default]
    Instance,
    Ip,
}

impl TargetType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Ip => "ip",
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Algorithm {
    RoundRobin,
    LeastOutstandingRequests,
    WeightedRandom,
}

/// Requests of a client stay with a target.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Stickiness {
    /// `false` ends it.
    #[serde(default = "yes")]
    enabled: bool,
    /// By what: the load balancer's cookie, the application's, or the client's address (network load balancers).
    #[serde(rename = "type")]
    kind: Option<StickinessType>,
    /// For how long, up to 7 days; AWS begins with a day.
    duration: Option<Duration>,
    /// The name of the application's cookie.
    cookie_name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum StickinessType {
    LbCookie,
    AppCookie,
    SourceIp,
}

fn yes() -> bool {
    true
}

/// What is kept of a created target group.
#[derive(Serialize, Deserialize)]
struct Made {
    target_group_arn: String,
    target_group_name: String,
}

impl Operation for EnsureTargetGroup {
    const NAME: &'static str = "ensure_target_group";
    const AREA: &'static str = "Elastic Load Balancing";
    const EXAMPLE: &'static str = r#"ensure_target_group(#{
    name: "web-blue", vpc_id: vpc, port: 8080, deregistration_delay: "60s",
    health_check: #{ path: "/healthz", interval: "10s", healthy_threshold: 2 },
})"#;

    type Options = Self;
    type Handle = TargetGroup;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<TargetGroup, Error> {
        if !options.protocol.is_http() && options.protocol_version.is_some() {
            return Err(Error::option("protocol_version", "only HTTP and HTTPS have protocol versions"));
        }
        let (check, wanted) = (options.health_check.parts()?, options.attributes()?);
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let name = owned.name_within(32);
        let there = match shared::target_group_named(ctx, &name).await? {
            Some(found) => read::unless_gone(converge(ctx, &options, &owned, &check, &wanted, &found).await)?,
            None => None,
        };
        let target_group_arn = match there {
            Some(arn) => arn,
            None => match create(ctx, &options, &owned, &name, &check).await {
                Ok(made) => finish(ctx, &wanted, made).await?,
                // It is there after all: made by a run that was cut off, and slow to be listed.
                Err(error) if error.is(&["DuplicateTargetGroupName"]) => {
                    let found = read::soon(ctx, error, async || read::target_group_named(ctx, &name).await).await?;
                    converge(ctx, &options, &owned, &check, &wanted, &found).await?
                }
                Err(error) => return Err(error),
            },
        };
        Ok(TargetGroup {
            target_group_arn,
            target_group_name: name,
            protocol: options.protocol.as_str().to_owned(),
            port: options.port.into(),
            target_type: options.target_type.as_str().to_owned(),
            vpc_id: options.vpc_id.into_string(),
        })
    }
}

impl EnsureTargetGroup {
    /// All attributes that are wanted, by AWS's names.
    fn attributes(&self) -> Result<Attributes, Error> {
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs().to_string());
        let flag = |flag: Option<bool>| flag.map(|flag| flag.to_string());
        let sticky = self.stickiness.as_ref();
        let kind = sticky.and_then(|sticky| sticky.kind);
        let length = sticky.and_then(|sticky| seconds(sticky.duration));
        let by_app = kind == Some(StickinessType::AppCookie);
        if by_app && sticky.is_some_and(|sticky| sticky.cookie_name.is_none()) {
            return Err(Error::option("stickiness.cookie_name", "stickiness by app_cookie needs the cookie's name"));
        }
        let kind = kind.map(|kind| match kind {
            StickinessType::LbCookie => "lb_cookie".to_owned(),
            StickinessType::AppCookie => "app_cookie".to_owned(),
            StickinessType::SourceIp => "source_ip".to_owned(),
        });
        let algorithm = self.load_balancing_algorithm.map(|algorithm| match algorithm {
            Algorithm::RoundRobin => "round_robin".to_owned(),
            Algorithm::LeastOutstandingRequests => "least_outstanding_requests".to_owned(),
            Algorithm::WeightedRandom => "weighted_random".to_owned(),
        });
        let healthy = self.minimum_healthy_targets.map(|count| count.to_string());
        let given = [
            ("deregistration_delay.timeout_seconds", seconds(self.deregistration_delay)),
            ("deregistration_delay.connection_termination.enabled", flag(self.connection_termination)),
            ("slow_start.duration_seconds", seconds(self.slow_start)),
            ("stickiness.enabled", sticky.map(|sticky| sticky.enabled.to_string())),
            ("stickiness.type", kind),
            ("stickiness.app_cookie.cookie_name", sticky.and_then(|sticky| sticky.cookie_name.clone())),
            ("stickiness.app_cookie.duration_seconds", length.clone().filter(|_| by_app)),
            ("stickiness.lb_cookie.duration_seconds", length.filter(|_| !by_app)),
            ("load_balancing.algorithm.type", algorithm),
            ("load_balancing.cross_zone.enabled", flag(self.cross_zone)),
            ("target_group_health.unhealthy_state_routing.minimum_healthy_targets.count", healthy),
            ("preserve_client_ip.enabled", flag(self.preserve_client_ip)),
            ("proxy_protocol_v2.enabled", flag(self.proxy_protocol_v2)),
        ];
        merge(&self.attributes, given)
    }
}

async fn create(
    ctx: &Ctx,
    options: &EnsureTargetGroup,
    owned: &Owned,
    name: &str,
    check: &Parts,
) -> Result<Made, Error> {
    let undo = Undo::new(&DELETE_TARGET_GROUP, format!("delete target group {name}"), json!({}));
    let declared =
        Mutation::new("elasticloadbalancing:CreateTargetGroup", Class::Unique, format!("target group {name}"))
            .look_up(&TARGET_GROUP_BY_NAME, json!({ "name": name, "stack": owned.stack }))
            .undo(undo.keep(options.keep_on_rollback));
    let grpc = options.protocol_version == Some(ProtocolVersion::Grpc);
    ctx.mutate(
        declared,
        |permit| {
            let request = ctx
                .aws()
                .elbv2
                .create_target_group()
                .name(name)
                .vpc_id(options.vpc_id.as_str())
                .protocol(ProtocolEnum::from(options.protocol.as_str()))
                .set_protocol_version(options.protocol_version.map(|version| version.as_str().to_owned()))
                .port(options.port.into())
                .target_type(TargetTypeEnum::from(options.target_type.as_str()))
                .set_tags(Some(tags::to_elb(&owned.tags())));
            with_parts!(request, check, grpc).customize().interceptor(permit).send()
        },
        |reply| {
            let arn = reply.target_groups().first().and_then(|made| made.target_group_arn());
            let target_group_arn =
                require("elasticloadbalancing:CreateTargetGroup", "TargetGroups[0].TargetGroupArn", arn)?;
            Ok(Made { target_group_arn, target_group_name: name.to_owned() })
        },
    )
    .await
}

/// The attributes of a new target group. They need no undo: it goes as a whole.
async fn finish(ctx: &Ctx, wanted: &Attributes, made: Made) -> Result<String, Error> {
    let Made { target_group_arn: arn, .. } = made;
    if !wanted.is_empty() {
        attributes::set(ctx, &arn, wanted, None).await?;
    }
    ctx.did(Change::Created, [set("target_group_arn", arn.clone())]);
    Ok(arn)
}

async fn converge(
    ctx: &Ctx,
    options: &EnsureTargetGroup,
    owned: &Owned,
    check: &Parts,
    wanted: &Attributes,
    found: &elb::TargetGroup,
) -> Result<String, Error> {
    let described = TargetGroup::from_elb(found)?;
    let arn = described.target_group_arn;
    let resource = format!("target group {}", described.target_group_name);
    let (tags, present) = futures::join!(shared::tags(ctx, &arn), async {
        if wanted.is_empty() { Ok(Attributes::new()) } else { shared::attributes(ctx, &arn).await }
    })
    .together()?;
    owned.check(&resource, &tags, options.adopt)?;
    fixed(&resource, "protocol", &described.protocol, options.protocol.as_str())?;
    fixed(&resource, "port", &described.port.to_string(), &options.port.to_string())?;
    fixed(&resource, "vpc_id", &described.vpc_id, options.vpc_id.as_str())?;
    fixed(&resource, "target_type", &described.target_type, options.target_type.as_str())?;
    if let Some(version) = options.protocol_version {
        fixed(&resource, "protocol_version", found.protocol_version().unwrap_or("HTTP1"), version.as_str())?;
    }
    let (check, attributes, tags) = futures::join!(
        health_check::converge(ctx, found, check),
        attributes::converge(ctx, &arn, wanted, &present),
        tagged::converge::<tags::Resource>(ctx, &arn, owned, &tags),
    )
    .together()?;
    report(ctx, check.into_iter().chain(attributes).chain(tags).collect());
    Ok(arn)
}

/// Finds a target group by its name, if the stack owns it.
pub const TARGET_GROUP_BY_NAME: LookUp =
    LookUp { name: "target_group_by_name", run: |ctx, arguments| Box::pin(target_group_by_name(ctx, arguments)) };

async fn target_group_by_name(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let wanted: BTreeMap<String, String> = arguments(wanted)?;
    let Some(found) = read::target_group_named(ctx, &wanted["name"]).await? else { return Ok(None) };
    let arn = found.target_group_arn().unwrap_or_default();
    let ours = read::tags(ctx, arn).await?.get(STACK_TAG) == wanted.get("stack");
    Ok(ours.then(|| json!({ "target_group_arn": arn, "target_group_name": wanted["name"] })))
}

/// Deletes a target group this run made, once nothing drains in it: requests may be under way there.
pub const DELETE_TARGET_GROUP: UndoAction =
    UndoAction { name: "delete_target_group", run: |ctx, arguments| Box::pin(delete_target_group(ctx, arguments)) };

async fn delete_target_group(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { target_group_arn: arn, target_group_name } = arguments(made)?;
    match wait_drained(ctx, &arn).await {
        Err(error) if error.is(&["TargetGroupNotFound"]) => return Ok(Undone::Already),
        // The longest delay there is has passed: who still drains now does so for ever.
        Err(Error::TimedOut { .. }) => {}
        waited => waited?,
    }
    let declared = Mutation::new("elasticloadbalancing:DeleteTargetGroup", Class::Idempotent, &target_group_name)
        .patiently(&["ResourceInUse"], Time::from_secs(300));
    let gone = ctx.change(declared, |permit| {
        let request = ctx.aws().elbv2.delete_target_group().target_group_arn(&arn);
        request.customize().interceptor(permit).send()
    });
    deleted(gone.await, &["TargetGroupNotFound"])
}

/// Waits until no target of the group drains, for the longest delay AWS knows.
async fn wait_drained(ctx: &Ctx, arn: &str) -> Result<(), Error> {
    let what = format!("targets of {} to finish their requests", name_in(arn));
    let wait = Wait { what, timeout: Time::from_secs(3600 + 60), every: Time::from_secs(10) };
    ctx.wait(wait, async || {
        let targets = read::target_health(ctx, arn).await?;
        let drains = |target: &&elb::TargetHealthDescription| {
            target.target_health().and_then(|health| health.state()) == Some(&TargetHealthStateEnum::Draining)
        };
        match targets.iter().filter(drains).count() {
            0 => Ok(Seen::Ready(())),
            count => Ok(Seen::Pending(format!("{count} draining"))),
        }
    })
    .await
}
