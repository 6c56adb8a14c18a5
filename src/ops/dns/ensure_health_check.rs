//! `ensure_health_check`: whether an endpoint is well, as seen from the internet.

use std::{collections::BTreeSet, net::IpAddr};

use aws_sdk_route53::types::HealthCheckRegion;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{
    HealthCheck,
    health_check::{self, DELETE_HEALTH_CHECK, Found, HEALTH_CHECK_BY_REFERENCE, Made, Settings},
    reference::{self, Referred},
    tags::{self, HealthCheckTags},
};
use crate::{
    event::Change,
    ops::{
        Duration, Error, IdsOf, Operation, Tags, Together,
        outcome::{fixed, report},
        ownership::{Owned, set},
        tagged::{self, Tagged},
    },
    run::{Class, Ctx, Mutation, Undo},
    web::is_public,
};

/// Makes sure that Route 53 checks an endpoint from the internet, or counts how many of other health checks are healthy.
///
/// `ensure_record` takes it for one of several records: a record whose health check fails is not answered as long as another
/// one is healthy. `wait_health_check` waits until it is green. For one of several records, check the endpoint behind the record
/// (its load balancer), not the name that all of them have. Health checks cannot be tagged at their creation:
/// until they are, their caller reference, `runner/<stack>/<name>/…`, says whose they are.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureHealthCheck {
    /// `<stack>-<name>` is the tag `Name`, which the console shows. Without `/`.
    name: String,
    /// `HTTP` and `HTTPS` want a status of 2xx or 3xx, those with `_STR_MATCH` also `search_string` in the body, `TCP` a connection,
    /// `CALCULATED` enough healthy `child_health_checks`. It cannot be changed.
    #[serde(rename = "type")]
    kind: Type,
    /// The name of the endpoint. With `ip_address`, only what is asked for there.
    fqdn: Option<String>,
    /// The address of the endpoint: a public one. It can be changed, and neither added nor removed.
    ip_address: Option<String>,
    /// Left out: 80 for HTTP and 443 for HTTPS.
    port: Option<u16>,
    /// With a query, if it needs one. Left out: `/`.
    resource_path: Option<String>,
    /// Stands in the first 5,120 bytes of the body.
    search_string: Option<String>,
    /// From one request of a checker to its next: `"10s"` or `"30s"`. Left out: 30 seconds. It cannot be changed.
    request_interval: Option<Duration>,
    /// How many results in a row change what a checker says, 1 to 10. Left out: 3.
    failure_threshold: Option<i32>,
    /// Says the name when TLS begins. Left out: yes, for HTTPS.
    enable_sni: Option<bool>,
    /// Shows how long requests take, as a metric. It cannot be changed.
    #[serde(default)]
    measure_latency: bool,
    /// Where it is checked from, at least three: `["us-east-1", "eu-west-1", "sa-east-1"]`. Left out: all of them.
    #[serde(default)]
    regions: Vec<String>,
    /// Of a calculated one: what it counts.
    #[serde(default)]
    child_health_checks: IdsOf<HealthCheck>,
    /// How many of them have to be healthy. Left out: all.
    health_threshold: Option<u8>,
    /// Healthy counts as unhealthy, and the other way round.
    #[serde(default)]
    inverted: bool,
    /// Nothing is checked, and it counts as healthy.
    #[serde(default)]
    disabled: bool,
    /// More tags; Route 53 allows ten in all.
    #[serde(default)]
    tags: Tags,
    /// Takes over a health check with this name among its tags that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// Types of health checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[schemars(inline)]
enum Type {
    Http,
    Https,
    HttpStrMatch,
    HttpsStrMatch,
    Tcp,
    Calculated,
}

impl Type {
    fn as_str(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::HttpStrMatch => "HTTP_STR_MATCH",
            Self::HttpsStrMatch => "HTTPS_STR_MATCH",
            Self::Tcp => "TCP",
            Self::Calculated => "CALCULATED",
        }
    }

    fn usual_port(self) -> Option<u16> {
        match self {
            Self::Http | Self::HttpStrMatch => Some(80),
            Self::Https | Self::HttpsStrMatch => Some(443),
            Self::Tcp | Self::Calculated => None,
        }
    }

    fn searches(self) -> bool {
        matches!(self, Self::HttpStrMatch | Self::HttpsStrMatch)
    }

    fn is_secure(self) -> bool {
        matches!(self, Self::Https | Self::HttpsStrMatch)
    }
}

impl Operation for EnsureHealthCheck {
    const NAME: &'static str = "ensure_health_check";
    const AREA: &'static str = "Route 53";
    const EXAMPLE: &'static str = r#"ensure_health_check(#{
    name: "eu", type: "HTTPS", fqdn: balancer.dns_name, resource_path: "/healthz", request_interval: "10s",
})"#;

    type Options = Self;
    type Handle = HealthCheck;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<HealthCheck, Error> {
        let wanted = options.settings()?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        tags::check_count(&owned)?;
        let prefix = health_check::prefix(&owned.stack, &options.name);
        let found = health_check::named(ctx, &owned, &prefix).await?;
        let what = format!("health check {}", owned.name);
        let health_check_id = match reference::pick(found, &what, &owned, &prefix, options.adopt)? {
            Some(found) => converge(ctx, &owned, &prefix, found, &wanted).await?,
            None => create(ctx, &options, &owned, &prefix, &wanted).await?,
        };
        Ok(HealthCheck { health_check_id, name: owned.name })
    }
}

async fn create(
    ctx: &Ctx,
    options: &EnsureHealthCheck,
    owned: &Owned,
    prefix: &str,
    wanted: &Settings,
) -> Result<String, Error> {
    const CALL: &str = "route53:CreateHealthCheck";
    let name = &owned.name;
    let reference = health_check::new_reference(ctx, prefix);
    let config = wanted.to_route53().map_err(|error| Error::option("type", error.to_string()))?;
    let declared = Mutation::new(CALL, Class::Unique, format!("health check {name}"))
        .look_up(&HEALTH_CHECK_BY_REFERENCE, json!({ "caller_reference": reference }))
        .undo(
            Undo::new(&DELETE_HEALTH_CHECK, format!("delete health check {name}"), json!({}))
                .keep(options.keep_on_rollback),
        );
    let Made { health_check_id } = ctx
        .mutate(
            declared,
            |permit| {
                let request = ctx.aws().route53.create_health_check().caller_reference(&reference);
                request.health_check_config(config.clone()).customize().interceptor(permit).send()
            },
            |reply| {
                let made = reply.health_check().ok_or(Error::Reply { call: CALL, member: "HealthCheck" })?;
                Ok(Made { health_check_id: made.id().to_owned() })
            },
        )
        .await?;
    HealthCheckTags::set(ctx, &health_check_id, &owned.tags(), None).await?;
    ctx.did(Change::Created, [set("health_check_id", health_check_id.clone()), set("type", wanted.r#type.clone())]);
    Ok(health_check_id)
}

async fn converge(
    ctx: &Ctx,
    owned: &Owned,
    prefix: &str,
    found: Referred<Found>,
    wanted: &Settings,
) -> Result<String, Error> {
    let resource = format!("health check {} ({})", owned.name, found.id);
    check_fixed(&resource, &found.what.settings, wanted)?;
    let differences = found.what.settings.differences(wanted);
    let missing = found.missing(owned, prefix);
    let (mut fields, ()) =
        futures::join!(tagged::add::<HealthCheckTags>(ctx, &found.id, &found.tags, missing), async {
            if differences.is_empty() {
                return Ok(());
            }
            let undo = health_check::restoring(&found.id, &found.what.settings, wanted);
            health_check::update(ctx, &found.id, &found.what, wanted, Some(undo)).await
        },)
        .together()?;
    fields.extend(differences);
    report(ctx, fields);
    Ok(found.id)
}

/// "You can't change the value of" these, and "you can't update an existing health check to add or remove the value of
/// IPAddress".
fn check_fixed(resource: &str, found: &Settings, wanted: &Settings) -> Result<(), Error> {
    let number = |number: Option<i32>| number.map_or_else(|| "none".to_owned(), |number| format!("{number}s"));
    let flag = |flag: Option<bool>| flag.unwrap_or_default().to_string();
    fixed(resource, "type", &found.r#type, &wanted.r#type)?;
    fixed(resource, "request_interval", &number(found.request_interval), &number(wanted.request_interval))?;
    fixed(resource, "measure_latency", &flag(found.measure_latency), &flag(wanted.measure_latency))?;
    match (&found.ip_address, &wanted.ip_address) {
        (Some(_), Some(_)) | (None, None) => Ok(()),
        (found, wanted) => {
            let address = |address: &Option<String>| address.clone().unwrap_or_else(|| "none".to_owned());
            fixed(resource, "ip_address", &address(found), &address(wanted))
        }
    }
}

impl EnsureHealthCheck {
    /// What Route 53 is to have.
    fn settings(&self) -> Result<Settings, Error> {
        // Its caller reference is found by what it begins with.
        if self.name.contains('/') {
            return Err(Error::option("name", format!("expected a name without `/`, found {:?}", self.name)));
        }
        let calculated = self.kind == Type::Calculated;
        if calculated {
            self.check_children()?
        } else {
            self.check_endpoint()?
        }
        let of_http = self.kind.usual_port().is_some();
        let children = self.child_health_checks.as_slice();
        let threshold = self.health_threshold.map_or_else(|| children.len().try_into().unwrap_or(i32::MAX), i32::from);
        Ok(Settings {
            r#type: self.kind.as_str().to_owned(),
            fqdn: self.fqdn.clone(),
            ip_address: self.ip_address.as_deref().map(health_check::one_way),
            port: self.port.or(self.kind.usual_port()).map(i32::from),
            resource_path: of_http.then(|| self.resource_path.clone().unwrap_or_else(|| "/".to_owned())),
            search_string: self.search_string.clone(),
            request_interval: (!calculated).then(|| self.request_interval.map_or(30, Duration::as_secs)),
            failure_threshold: (!calculated).then(|| self.failure_threshold.unwrap_or(3)),
            measure_latency: (!calculated).then_some(self.measure_latency),
            enable_sni: self.kind.is_secure().then(|| self.enable_sni.unwrap_or(true)),
            regions: health_check::regions(self.regions.iter().map(String::as_str)),
            child_health_checks: children.iter().cloned().collect(),
            health_threshold: calculated.then_some(threshold),
            inverted: self.inverted,
            disabled: self.disabled,
        })
    }

    fn check_children(&self) -> Result<(), Error> {
        let of_endpoints = [
            ("fqdn", self.fqdn.is_some()),
            ("ip_address", self.ip_address.is_some()),
            ("port", self.port.is_some()),
            ("resource_path", self.resource_path.is_some()),
            ("search_string", self.search_string.is_some()),
            ("request_interval", self.request_interval.is_some()),
            ("failure_threshold", self.failure_threshold.is_some()),
            ("enable_sni", self.enable_sni.is_some()),
            ("measure_latency", self.measure_latency),
            ("regions", !self.regions.is_empty()),
        ];
        if let Some((option, _)) = of_endpoints.into_iter().find(|(_, given)| *given) {
            return Err(Error::option(option, "a calculated health check has children, and no endpoint of its own"));
        }
        let children = self.child_health_checks.as_slice().len();
        if !(1..=256).contains(&children) {
            let message = format!("expected 1 to 256 health checks, found {children}");
            return Err(Error::option("child_health_checks", message));
        }
        match self.health_threshold {
            Some(enough) if !(1..=children).contains(&enough.into()) => {
                let message = format!("expected 1 to {children}, as many as there are children, found {enough}");
                Err(Error::option("health_threshold", message))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_endpoint(&self) -> Result<(), Error> {
        let option = |path: &str, message: String| Err(Error::option(path, message));
        let kind = self.kind.as_str();
        if !self.child_health_checks.as_slice().is_empty() || self.health_threshold.is_some() {
            return option("child_health_checks", format!("only the type CALCULATED has children, found {kind}"));
        }
        match (&self.fqdn, &self.ip_address) {
            (None, None) => return option("fqdn", "expected `fqdn`, `ip_address` or both, found neither".into()),
            (Some(name), _) if name.parse::<IpAddr>().is_ok() => {
                return option("fqdn", format!("expected a name, found {name}: an address is an `ip_address`"));
            }
            (Some(name), _) if !(1..=255).contains(&name.len()) => {
                return option("fqdn", format!("expected 1 to 255 characters, found {}", name.len()));
            }
            (_, Some(address)) => check_address(address)?,
            (Some(_), None) => {}
        }
        match self.port.or(self.kind.usual_port()) {
            None => return option("port", "a health check of the type TCP needs a port".into()),
            Some(0) => return option("port", "expected a number from 1 to 65535, found 0".into()),
            Some(_) => {}
        }
        match &self.resource_path {
            Some(_) if self.kind == Type::Tcp => return option("resource_path", "TCP has no paths".into()),
            Some(path) if !path.starts_with('/') || path.chars().count() > 255 => {
                return option("resource_path", format!("expected a `/` and up to 254 characters, found {path:?}"));
            }
            Some(_) | None => {}
        }
        match &self.search_string {
            None if self.kind.searches() => return option("search_string", format!("{kind} needs what it looks for")),
            Some(_) if !self.kind.searches() => {
                return option(
                    "search_string",
                    format!("expected HTTP_STR_MATCH or HTTPS_STR_MATCH as type, found {kind}"),
                );
            }
            Some(text) if !(1..=255).contains(&text.chars().count()) => {
                return option(
                    "search_string",
                    format!("expected 1 to 255 characters, found {}", text.chars().count()),
                );
            }
            Some(_) | None => {}
        }
        if let Some(found) = self.request_interval.filter(|one| ![10, 30].map(Duration::from_secs).contains(one)) {
            return option("request_interval", format!("expected 10s or 30s, found {found}"));
        }
        if let Some(found) = self.failure_threshold.filter(|one| !(1..=10).contains(one)) {
            return option("failure_threshold", format!("expected 1 to 10, found {found}"));
        }
        if self.enable_sni.is_some() && !self.kind.is_secure() {
            return option("enable_sni", format!("only HTTPS has a name when TLS begins, found {kind}"));
        }
        self.check_regions()
    }

    fn check_regions(&self) -> Result<(), Error> {
        let known = HealthCheckRegion::values();
        if let Some(at) = self.regions.iter().position(|region| !known.contains(&region.as_str())) {
            let message = format!("expected one of {}, found {:?}", known.join(", "), self.regions[at]);
            return Err(Error::option(format!("regions[{at}]"), message));
        }
        let different: BTreeSet<&String> = self.regions.iter().collect();
        match different.len() {
            found @ (1 | 2) => {
                Err(Error::option("regions", format!("expected at least three different ones, found {found}")))
            }
            _ => Ok(()),
        }
    }
}

/// "Route 53 can't check the health of endpoints for which the IP address is in local, private, non-routable, or multicast
/// ranges."
fn check_address(address: &str) -> Result<(), Error> {
    let parsed = address.parse::<IpAddr>();
    let parsed =
        parsed.map_err(|_| Error::option("ip_address", format!("expected an IP address, found {address:?}")))?;
    if is_public(parsed) {
        return Ok(());
    }
    let message = format!(
        "Route 53 checks from the internet, and {address} is a private or reserved address that nobody reaches from there: check \
         a public endpoint in front of it"
    );
    Err(Error::option("ip_address", message))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn with(mut options: Value, more: &Value) -> Value {
        options.as_object_mut().into_iter().zip(more.as_object()).for_each(|(all, more)| all.extend(more.clone()));
        options
    }

    fn options(more: &Value) -> EnsureHealthCheck {
        let options = with(json!({ "name": "eu", "type": "HTTPS", "fqdn": "eu.example.com" }), more);
        serde_json::from_value(options).expect("options")
    }

    fn counting(more: Value) -> Value {
        with(json!({ "type": "CALCULATED", "fqdn": null, "child_health_checks": ["a", "b"] }), &more)
    }

    #[test]
    fn all_regions_are_the_same_as_none() {
        let regions = |named: &[&str]| options(&json!({ "regions": named })).settings().expect("settings").regions;
        assert_eq!(regions(HealthCheckRegion::values()), regions(&[]));
        assert_eq!(regions(&["us-east-1", "eu-west-1", "sa-east-1", "us-east-1"]).len(), 3);
    }

    fn fault(more: Value) -> Option<String> {
        options(&more).settings().err().map(|error| match error {
            Error::Option { path, .. } => path,
            other => other.to_string(),
        })
    }

    #[test]
    fn options_are_checked_before_anything_is_asked() {
        let calculated = counting(json!({ "health_threshold": 2 }));
        for good in [json!({}), json!({ "ip_address": "192.0.2.44" }), counting(json!({})), calculated] {
            assert_eq!(fault(good.clone()), None, "{good}");
        }
        for (more, path) in [
            (json!({ "fqdn": null }), "fqdn"),
            (json!({ "fqdn": "192.0.2.44" }), "fqdn"),
            (json!({ "ip_address": "10.1.2.3" }), "ip_address"),
            (json!({ "ip_address": "172.16.0.9" }), "ip_address"),
            (json!({ "ip_address": "192.168.1.1" }), "ip_address"),
            (json!({ "ip_address": "fd00::1" }), "ip_address"),
            (json!({ "ip_address": "eu" }), "ip_address"),
            (json!({ "type": "TCP" }), "port"),
            (json!({ "type": "TCP", "port": 443, "resource_path": "/" }), "resource_path"),
            (json!({ "resource_path": "healthz" }), "resource_path"),
            (json!({ "type": "HTTPS_STR_MATCH" }), "search_string"),
            (json!({ "search_string": "ok" }), "search_string"),
            (json!({ "request_interval": "20s" }), "request_interval"),
            (json!({ "failure_threshold": 11 }), "failure_threshold"),
            (json!({ "type": "HTTP", "enable_sni": true }), "enable_sni"),
            (json!({ "regions": ["us-east-1", "eu-west-1"] }), "regions"),
            (json!({ "regions": ["us-east-1", "eu-west-1", "eu-central-1"] }), "regions[2]"),
            (json!({ "regions": ["us-east-1", "us-east-1", "us-east-1"] }), "regions"),
            (json!({ "name": "eu/web" }), "name"),
            (json!({ "health_threshold": 1 }), "child_health_checks"),
            (json!({ "type": "CALCULATED" }), "fqdn"),
            (json!({ "type": "CALCULATED", "fqdn": null }), "child_health_checks"),
            (counting(json!({ "health_threshold": 0 })), "health_threshold"),
            (counting(json!({ "health_threshold": 3 })), "health_threshold"),
            (counting(json!({ "request_interval": "30s" })), "request_interval"),
            (counting(json!({ "failure_threshold": 3 })), "failure_threshold"),
        ] {
            assert_eq!(fault(more.clone()).as_deref(), Some(path), "{more}");
        }
    }
}
