//! `ensure_load_balancer`: where users' requests arrive.

use std::{collections::BTreeMap, time::Duration as Time};

use aws_sdk_elasticloadbalancingv2::types::{self as elb, LoadBalancerStateEnum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    LoadBalancer,
    attributes::{self, Attributes},
    placement::{self, Aspect},
    read, shared, tags,
};
use crate::{
    event::{Change, Field},
    ops::{
        Duration, Error, IdOf, IdsOf, Operation, Tags, Together, arguments,
        network::{SecurityGroup, Subnets},
        outcome::{fixed, report},
        ownership::{Owned, STACK_TAG, set},
        require, tagged,
    },
    run::{Class, Ctx, LookUp, Mutation, Seen, Undo, UndoAction, Undone, Wait},
};

/// Makes sure that the stack has a load balancer of this name, and waits until it is active. Its type and scheme
/// cannot be changed later. Options that are not given are left as they are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureLoadBalancer {
    /// What the stack calls it; AWS shows `<stack>-<name>`, cut to 32 characters.
    name: String,
    /// `application` for HTTP and HTTPS, `network` for TCP, TLS and UDP.
    #[serde(default, rename = "type")]
    kind: LoadBalancerType,
    /// `internet-facing`, or `internal` for clients inside the VPC.
    #[serde(default)]
    scheme: Scheme,
    /// The subnets it is in, one per availability zone; an application load balancer needs two.
    subnets: IdsOf<Subnets>,
    /// Its security groups. An application load balancer without any gets the VPC's default group.
    #[serde(default)]
    security_groups: Vec<IdOf<SecurityGroup>>,
    /// Which addresses clients reach it by.
    ip_address_type: Option<IpAddressType>,
    /// Whether it is protected against being deleted.
    deletion_protection: Option<bool>,
    /// How long a connection may be idle, 1 s to 4000 s; AWS begins with 60 s. Application load balancers.
    idle_timeout: Option<Duration>,
    /// How long a client's connection is kept at most, 60 s to 7 days; AWS begins with an hour. Application load
    /// balancers.
    client_keep_alive: Option<Duration>,
    /// Whether clients may use HTTP/2. Application load balancers.
    http2: Option<bool>,
    /// Whether headers with invalid names are removed. Application load balancers.
    drop_invalid_header_fields: Option<bool>,
    /// Whether targets see the `Host` header as the client sent it. Application load balancers.
    preserve_host_header: Option<bool>,
    /// How requests that may be attacks are handled. Application load balancers.
    desync_mitigation_mode: Option<DesyncMitigationMode>,
    /// What becomes of `X-Forwarded-For`. Application load balancers.
    xff_header_processing_mode: Option<XffHeaderProcessingMode>,
    /// Whether each node sends to targets of all zones. Always so with application load balancers.
    cross_zone: Option<bool>,
    /// The S3 bucket that gets the access logs; its policy must let Elastic Load Balancing write.
    access_logs: Option<AccessLogs>,
    /// More attributes, by AWS's names: `"waf.fail_open.enabled": "true"`.
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    /// How long to wait until it is active.
    #[serde(default = "ten_minutes")]
    timeout: Duration,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a load balancer of this name that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// Declares an enumeration of AWS's with its words for the values.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        enum $name {
            $($(#[$attribute])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

words!(LoadBalancerType { #[default] Application = "application", Network = "network" });
words!(Scheme { #[default] InternetFacing = "internet-facing", Internal = "internal" });
words!(IpAddressType {
    #[default] Ipv4 = "ipv4",
    Dualstack = "dualstack",
    DualstackWithoutPublicIpv4 = "dualstack-without-public-ipv4",
});
words!(DesyncMitigationMode { Monitor = "monitor", #[default] Defensive = "defensive", Strictest = "strictest" });
words!(XffHeaderProcessingMode { #[default] Append = "append", Preserve = "preserve", Remove = "remove" });

/// Where access logs go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AccessLogs {
    /// The name of the bucket.
    bucket: String,
    /// What the names of the logs begin with.
    prefix: Option<String>,
    /// `false` ends the logging.
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

/// What is kept of a created load balancer.
#[derive(Serialize, Deserialize)]
struct Made {
    load_balancer_arn: String,
    load_balancer_name: String,
}

impl Operation for EnsureLoadBalancer {
    const NAME: &'static str = "ensure_load_balancer";
    const AREA: &'static str = "Elastic Load Balancing";
    const EXAMPLE: &'static str =
        r#"ensure_load_balancer(#{ name: "web", subnets: subnets, security_groups: [group], idle_timeout: "30s" })"#;

    type Options = Self;
    type Handle = LoadBalancer;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<LoadBalancer, Error> {
        if options.subnets.as_slice().is_empty() {
            return Err(Error::option("subnets", "expected at least one subnet, found none"));
        }
        let wanted = options.attributes()?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let name = owned.name_within(32);
        let there = match shared::load_balancer_named(ctx, &name).await? {
            Some(found) => {
                let converged = read::unless_gone(converge(ctx, &options, &owned, &wanted, &found).await)?;
                converged.map(|is_changed| (found, is_changed))
            }
            None => None,
        };
        let arn = match there {
            Some((found, false)) if is_active(&found) => return LoadBalancer::from_elb(&found),
            Some((found, _)) => {
                require("elasticloadbalancing:DescribeLoadBalancers", "LoadBalancerArn", found.load_balancer_arn())?
            }
            None => match create(ctx, &options, &owned, &name).await {
                Ok(made) => finish(ctx, &wanted, made).await?,
                // It is there after all: made by a run that was cut off, and slow to be listed.
                Err(error) if error.is(&["DuplicateLoadBalancerName"]) => {
                    let found = read::soon(ctx, error, async || read::load_balancer_named(ctx, &name).await).await?;
                    converge(ctx, &options, &owned, &wanted, &found).await?;
                    require("elasticloadbalancing:DescribeLoadBalancers", "LoadBalancerArn", found.load_balancer_arn())?
                }
                Err(error) => return Err(error),
            },
        };
        let active = wait_active(ctx, &arn, &name, options.timeout.0).await?;
        LoadBalancer::from_elb(&active)
    }
}

impl EnsureLoadBalancer {
    /// All attributes that are wanted, by AWS's names.
    fn attributes(&self) -> Result<Attributes, Error> {
        let seconds = |duration: &Option<Duration>| duration.map(|duration| duration.as_secs().to_string());
        let flag = |flag: &Option<bool>| flag.map(|flag| flag.to_string());
        let logs = self.access_logs.as_ref();
        let given = [
            ("deletion_protection.enabled", flag(&self.deletion_protection)),
            ("idle_timeout.timeout_seconds", seconds(&self.idle_timeout)),
            ("client_keep_alive.seconds", seconds(&self.client_keep_alive)),
            ("routing.http2.enabled", flag(&self.http2)),
            ("routing.http.drop_invalid_header_fields.enabled", flag(&self.drop_invalid_header_fields)),
            ("routing.http.preserve_host_header.enabled", flag(&self.preserve_host_header)),
            ("routing.http.desync_mitigation_mode", self.desync_mitigation_mode.map(|mode| mode.as_str().to_owned())),
            (
                "routing.http.xff_header_processing.mode",
                self.xff_header_processing_mode.map(|mode| mode.as_str().to_owned()),
            ),
            ("load_balancing.cross_zone.enabled", flag(&self.cross_zone)),
            ("access_logs.s3.enabled", logs.map(|logs| logs.enabled.to_string())),
            ("access_logs.s3.bucket", logs.map(|logs| logs.bucket.clone())),
            ("access_logs.s3.prefix", logs.and_then(|logs| logs.prefix.clone())),
        ];
        merge(&self.attributes, given)
    }
}

/// Typed options and free ones together. What is said twice is an error, as one of the two would be lost.
pub(super) fn merge<const N: usize>(
    free: &BTreeMap<String, String>,
    typed: [(&str, Option<String>); N],
) -> Result<Attributes, Error> {
    let mut attributes = free.clone();
    for (key, value) in typed {
        let Some(value) = value else { continue };
        if attributes.insert(key.to_owned(), value).is_some() {
            let message = format!("`{key}` has an option of its own, which is given too");
            return Err(Error::option(format!("attributes.{key}"), message));
        }
    }
    Ok(attributes)
}

async fn create(ctx: &Ctx, options: &EnsureLoadBalancer, owned: &Owned, name: &str) -> Result<Made, Error> {
    let undo = Undo::new(&DELETE_LOAD_BALANCER, format!("delete load balancer {name}"), json!({}));
    let declared =
        Mutation::new("elasticloadbalancing:CreateLoadBalancer", Class::Unique, format!("load balancer {name}"))
            .look_up(&LOAD_BALANCER_BY_NAME, json!({ "name": name, "stack": owned.stack }))
            .undo(undo.keep(options.keep_on_rollback));
    let groups: Vec<String> = options.security_groups.iter().map(ToString::to_string).collect();
    ctx.mutate(
        declared,
        |permit| {
            ctx.aws()
                .elbv2
                .create_load_balancer()
                .name(name)
                .r#type(elb::LoadBalancerTypeEnum::from(options.kind.as_str()))
                .scheme(elb::LoadBalancerSchemeEnum::from(options.scheme.as_str()))
                .set_subnets(Some(options.subnets.as_slice().to_vec()))
                .set_security_groups((!groups.is_empty()).then(|| groups.clone()))
                .set_ip_address_type(options.ip_address_type.map(|kind| elb::IpAddressType::from(kind.as_str())))
                .set_tags(Some(tags::to_elb(&owned.tags())))
                .customize()
                .interceptor(permit)
                .send()
        },
        |reply| {
            let arn = reply.load_balancers().first().and_then(|made| made.load_balancer_arn());
            let load_balancer_arn =
                require("elasticloadbalancing:CreateLoadBalancer", "LoadBalancers[0].LoadBalancerArn", arn)?;
            Ok(Made { load_balancer_arn, load_balancer_name: name.to_owned() })
        },
    )
    .await
}

/// The attributes of a new load balancer. They need no undo: it goes as a whole.
async fn finish(ctx: &Ctx, wanted: &Attributes, made: Made) -> Result<String, Error> {
    let Made { load_balancer_arn: arn, .. } = made;
    if !wanted.is_empty() {
        attributes::set(ctx, &arn, wanted, None).await?;
    }
    ctx.did(Change::Created, [set("load_balancer_arn", arn.clone())]);
    Ok(arn)
}

/// Returns whether anything was changed.
async fn converge(
    ctx: &Ctx,
    options: &EnsureLoadBalancer,
    owned: &Owned,
    wanted: &Attributes,
    found: &elb::LoadBalancer,
) -> Result<bool, Error> {
    let described = LoadBalancer::from_elb(found)?;
    let arn = described.load_balancer_arn;
    let resource = format!("load balancer {}", described.load_balancer_name);
    let (tags, present) = futures::join!(shared::tags(ctx, &arn), async {
        if wanted.is_empty() { Ok(Attributes::new()) } else { attributes::read(ctx, &arn).await }
    })
    .together()?;
    owned.check(&resource, &tags, options.adopt)?;
    fixed(&resource, "type", &described.r#type, options.kind.as_str())?;
    fixed(&resource, "scheme", &described.scheme, options.scheme.as_str())?;

    let groups = options.security_groups.iter().map(ToString::to_string).collect();
    let groups = (!options.security_groups.is_empty()).then_some(groups);
    let kind = options.ip_address_type.map(|kind| [kind.as_str().to_owned()].into());
    let subnets = options.subnets.as_slice().iter().cloned().collect();
    let (subnets, groups, kind, attributes, tags) = futures::join!(
        placement::converge(ctx, found, Aspect::Subnets, Some(subnets)),
        placement::converge(ctx, found, Aspect::SecurityGroups, groups),
        placement::converge(ctx, found, Aspect::IpAddressType, kind),
        attributes::converge(ctx, &arn, wanted, &present),
        tagged::converge::<tags::Resource>(ctx, &arn, owned, &tags),
    )
    .together()?;
    let fields: Vec<Field> = [subnets, groups, kind].into_iter().flatten().chain(attributes).chain(tags).collect();
    let is_changed = !fields.is_empty();
    report(ctx, fields);
    Ok(is_changed)
}

/// An endpoint that says nothing of a state has nothing to wait for.
fn is_active(found: &elb::LoadBalancer) -> bool {
    matches!(found.state().and_then(elb::LoadBalancerState::code), Some(LoadBalancerStateEnum::Active) | None)
}

async fn wait_active(ctx: &Ctx, arn: &str, name: &str, timeout: Time) -> Result<elb::LoadBalancer, Error> {
    let what = format!("load balancer {name} to be active");
    ctx.wait(Wait { what: what.clone(), timeout, every: Time::from_secs(5) }, async || {
        let found = read::load_balancer(ctx, arn).await?;
        if is_active(&found) {
            return Ok(Seen::Ready(found));
        }
        let state = found.state();
        match state.and_then(elb::LoadBalancerState::code) {
            Some(LoadBalancerStateEnum::Failed) => {
                let reason = state.and_then(|state| state.reason()).unwrap_or("it failed").to_owned();
                Err(Error::Hopeless { what: what.clone(), reason })
            }
            other => Ok(Seen::Pending(other.map_or("", LoadBalancerStateEnum::as_str).to_owned())),
        }
    })
    .await
}

/// Finds a load balancer by its name, if the stack owns it.
pub const LOAD_BALANCER_BY_NAME: LookUp =
    LookUp { name: "load_balancer_by_name", run: |ctx, arguments| Box::pin(load_balancer_by_name(ctx, arguments)) };

async fn load_balancer_by_name(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let wanted: BTreeMap<String, String> = arguments(wanted)?;
    let Some(found) = read::load_balancer_named(ctx, &wanted["name"]).await? else { return Ok(None) };
    let arn = found.load_balancer_arn().unwrap_or_default();
    let ours = read::tags(ctx, arn).await?.get(STACK_TAG) == wanted.get("stack");
    Ok(ours.then(|| json!({ "load_balancer_arn": arn, "load_balancer_name": wanted["name"] })))
}

/// Deletes a load balancer this run made, with its listeners.
pub const DELETE_LOAD_BALANCER: UndoAction =
    UndoAction { name: "delete_load_balancer", run: |ctx, arguments| Box::pin(delete_load_balancer(ctx, arguments)) };

async fn delete_load_balancer(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { load_balancer_arn: arn, load_balancer_name } = arguments(made)?;
    let delete = || {
        let declared = Mutation::new("elasticloadbalancing:DeleteLoadBalancer", Class::Idempotent, &load_balancer_name);
        ctx.change(declared, |permit| {
            let request = ctx.aws().elbv2.delete_load_balancer().load_balancer_arn(&arn);
            request.customize().interceptor(permit).send()
        })
    };
    let deleted = match delete().await {
        // This run made it and protected it: the protection goes with it.
        Err(error) if error.is(&["OperationNotPermitted"]) => {
            let off = [("deletion_protection.enabled".to_owned(), "false".to_owned())].into();
            attributes::set(ctx, &arn, &off, None).await?;
            delete().await
        }
        deleted => deleted,
    };
    crate::ops::outcome::deleted(deleted, &["LoadBalancerNotFound"])
}
