//! Health checks as data: found, compared, changed, put back.

use std::collections::BTreeSet;

use aws_sdk_route53::{
    error::BuildError,
    types::{HealthCheck as Shown, HealthCheckConfig, HealthCheckRegion, HealthCheckType, ResettableElementName},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{reference::Referred, tags};
use crate::{
    event::Field,
    ops::{
        Error, arguments,
        outcome::{deleted, differences},
        ownership::{Owned, shorten},
    },
    run::{Class, Ctx, LookUp, Mutation, Reading, Undo, UndoAction, Undone},
};

/// What Route 53 says when a health check is not there.
pub const GONE: &[&str] = &["NoSuchHealthCheck"];

/// What a health check does, under the names of the options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub r#type: String,
    pub fqdn: Option<String>,
    pub ip_address: Option<String>,
    pub port: Option<i32>,
    pub resource_path: Option<String>,
    pub search_string: Option<String>,
    /// In seconds.
    pub request_interval: Option<i32>,
    pub failure_threshold: Option<i32>,
    pub measure_latency: Option<bool>,
    pub enable_sni: Option<bool>,
    /// None: all.
    pub regions: BTreeSet<String>,
    pub child_health_checks: BTreeSet<String>,
    pub health_threshold: Option<i32>,
    pub inverted: bool,
    pub disabled: bool,
}

impl Settings {
    /// As Route 53 has it, without what means nothing for its type.
    fn of(config: &HealthCheckConfig) -> Self {
        let kind = config.r#type().as_str();
        let of_http = kind.starts_with("HTTP");
        let of_endpoint = kind != "CALCULATED";
        let text = |text: Option<&str>| text.map(str::to_owned);
        Self {
            r#type: kind.to_owned(),
            fqdn: text(config.fully_qualified_domain_name()),
            ip_address: config.ip_address().map(one_way),
            port: config.port().filter(|_| of_endpoint),
            resource_path: of_http.then(|| config.resource_path().unwrap_or("/").to_owned()),
            search_string: text(config.search_string()),
            request_interval: config.request_interval().filter(|_| of_endpoint),
            failure_threshold: config.failure_threshold().filter(|_| of_endpoint),
            measure_latency: of_endpoint.then(|| config.measure_latency().unwrap_or_default()),
            enable_sni: config.enable_sni().filter(|_| kind.starts_with("HTTPS")),
            regions: regions(config.regions().iter().map(HealthCheckRegion::as_str)),
            child_health_checks: config.child_health_checks().iter().cloned().collect(),
            health_threshold: config.health_threshold().filter(|_| !of_endpoint),
            inverted: config.inverted().unwrap_or_default(),
            disabled: config.disabled().unwrap_or_default(),
        }
    }

    pub fn to_route53(&self) -> Result<HealthCheckConfig, BuildError> {
        HealthCheckConfig::builder()
            .r#type(HealthCheckType::from(self.r#type.as_str()))
            .set_fully_qualified_domain_name(self.fqdn.clone())
            .set_ip_address(self.ip_address.clone())
            .set_port(self.port)
            .set_resource_path(self.resource_path.clone())
            .set_search_string(self.search_string.clone())
            .set_request_interval(self.request_interval)
            .set_failure_threshold(self.failure_threshold)
            .set_measure_latency(self.measure_latency)
            .set_enable_sni(self.enable_sni)
            .set_regions(self.regions())
            .set_child_health_checks(self.children())
            .set_health_threshold(self.health_threshold)
            .inverted(self.inverted)
            .disabled(self.disabled)
            .build()
    }

    fn regions(&self) -> Option<Vec<HealthCheckRegion>> {
        let regions = self.regions.iter().map(|region| HealthCheckRegion::from(region.as_str()));
        (!self.regions.is_empty()).then(|| regions.collect())
    }

    fn children(&self) -> Option<Vec<String>> {
        (!self.child_health_checks.is_empty()).then(|| self.child_health_checks.iter().cloned().collect())
    }

    /// Whether it counts others, and checks nothing itself.
    pub fn is_calculated(&self) -> bool {
        self.r#type == "CALCULATED"
    }

    /// What is to change.
    pub fn differences(&self, wanted: &Self) -> Vec<Field> {
        let members = |settings: &Self| json!(settings).as_object().cloned().unwrap_or_default();
        differences(&members(self), &members(wanted))
    }

    /// How long an endpoint has to be well until its checkers say so: "the number of consecutive health checks that an endpoint
    /// must pass or fail for Amazon Route 53 to change the current status".
    pub fn time_to_believe(&self) -> std::time::Duration {
        let seconds = self.request_interval.unwrap_or_default() * self.failure_threshold.unwrap_or_default();
        std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
    }
}

/// Regions that are checked from. All of them are the same as none.
pub fn regions<'a>(named: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let named: BTreeSet<String> = named.map(str::to_owned).collect();
    if named.len() == HealthCheckRegion::values().len() { BTreeSet::new() } else { named }
}

/// An address in the one way of several to write it.
pub fn one_way(address: &str) -> String {
    address.parse::<std::net::IpAddr>().map_or_else(|_| address.to_owned(), |address| address.to_string())
}

/// A health check as it is.
pub struct Found {
    pub settings: Settings,
    /// It counts the changes.
    pub version: i64,
}

impl Found {
    fn of(shown: &Shown) -> Option<Self> {
        let settings = Settings::of(shown.health_check_config()?);
        Some(Self { settings, version: shown.health_check_version() })
    }
}

/// A health check, if it is there.
pub async fn read(ctx: &Ctx, id: &str) -> Result<Option<Found>, Error> {
    let request = || ctx.aws().route53.get_health_check().health_check_id(id).send();
    match ctx.read_of("route53:GetHealthCheck", id, request).await {
        Ok(reply) => Ok(reply.health_check().and_then(Found::of)),
        Err(error) if error.is(GONE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All of the account, as they were a moment ago.
pub async fn list(ctx: &Ctx) -> Result<Vec<Shown>, Error> {
    const READING: Reading = Reading::new("route53:ListHealthChecks", &["HealthCheck"]);
    ctx.shared(READING, "", async || read_all(ctx).await).await
}

async fn read_all(ctx: &Ctx) -> Result<Vec<Shown>, Error> {
    ctx.read("route53:ListHealthChecks", || {
        ctx.aws().route53.list_health_checks().into_paginator().items().send().collect::<Result<Vec<_>, _>>()
    })
    .await
}

/// What the references begin with that a health check of this name is made with. A reference has up to 64 characters: of a long
/// name there is a digest.
pub fn prefix(stack: &str, name: &str) -> String {
    const OF_NAME: usize = 26;
    format!("runner/{}/", shorten(&format!("{stack}/{name}"), OF_NAME))
}

/// A reference that is never used twice: each operation of a run has its own.
pub fn new_reference(ctx: &Ctx, prefix: &str) -> String {
    shorten(&format!("{prefix}{}/{}", ctx.run_id(), ctx.id()), 64)
}

/// Those of this name, whoever owns them. One that was taken over has another reference, and the name among its tags.
pub async fn named(ctx: &Ctx, owned: &Owned, prefix: &str) -> Result<Vec<Referred<Found>>, Error> {
    let all = list(ctx).await?;
    let made = with_tags(ctx, all.iter().filter(|one| one.caller_reference().starts_with(prefix))).await?;
    if !made.is_empty() {
        return Ok(made);
    }
    let mut all = with_tags(ctx, all.iter()).await?;
    all.retain(|one| one.tags.get("Name") == Some(&owned.name));
    Ok(all)
}

/// Each with its tags, but for those that a list still shows and are gone.
pub async fn with_tags<'s>(
    ctx: &Ctx,
    shown: impl Iterator<Item = &'s Shown> + Clone,
) -> Result<Vec<Referred<Found>>, Error> {
    let ids: Vec<String> = shown.clone().map(|one| one.id().to_owned()).collect();
    let mut tags = tags::of_health_checks(ctx, &ids).await?;
    let one = |shown: &Shown| {
        let (id, reference) = (shown.id().to_owned(), shown.caller_reference().to_owned());
        Some(Referred { what: Found::of(shown)?, tags: tags.remove(&id)?, id, reference })
    };
    Ok(shown.filter_map(one).collect())
}

/// Sets what differs. Refused if somebody has changed the health check since it was read.
pub async fn update(ctx: &Ctx, id: &str, found: &Found, wanted: &Settings, undo: Option<Undo>) -> Result<(), Error> {
    let now = &found.settings;
    let reset = [
        (ResettableElementName::FullyQualifiedDomainName, now.fqdn.is_some() && wanted.fqdn.is_none()),
        (ResettableElementName::Regions, !now.regions.is_empty() && wanted.regions.is_empty()),
    ];
    let reset: Vec<_> = reset.into_iter().filter_map(|(element, goes)| goes.then_some(element)).collect();
    let declared = Mutation::new("route53:UpdateHealthCheck", Class::Unique, format!("health check {id}"))
        .look_up(&HEALTH_CHECK_IS_SET, json!({ "health_check_id": id, "before": now, "ours": wanted }))
        .refers_to([id])
        .undo(undo);
    let send = |permit| {
        let request = ctx.aws().route53.update_health_check().health_check_id(id).health_check_version(found.version);
        let request = request
            .set_fully_qualified_domain_name(new(&now.fqdn, &wanted.fqdn))
            .set_ip_address(new(&now.ip_address, &wanted.ip_address))
            .set_port(new(&now.port, &wanted.port))
            .set_resource_path(new(&now.resource_path, &wanted.resource_path))
            .set_search_string(new(&now.search_string, &wanted.search_string))
            .set_failure_threshold(new(&now.failure_threshold, &wanted.failure_threshold))
            .set_enable_sni(new(&now.enable_sni, &wanted.enable_sni))
            .set_regions(new(&now.regions(), &wanted.regions()))
            .set_child_health_checks(new(&now.children(), &wanted.children()))
            .set_health_threshold(new(&now.health_threshold, &wanted.health_threshold))
            .set_inverted(new(&Some(now.inverted), &Some(wanted.inverted)))
            .set_disabled(new(&Some(now.disabled), &Some(wanted.disabled)));
        let request = request.set_reset_elements((!reset.is_empty()).then(|| reset.clone()));
        request.customize().interceptor(permit).send()
    };
    ctx.change(declared, send).await
}

/// What is to be sent of a setting: nothing of one that stays.
fn new<T: Clone + PartialEq>(now: &Option<T>, wanted: &Option<T>) -> Option<T> {
    wanted.clone().filter(|_| now != wanted)
}

/// Finds out whether a health check has the settings that it was to get.
pub const HEALTH_CHECK_IS_SET: LookUp =
    LookUp { name: "health_check_is_set", run: |ctx, arguments| Box::pin(is_set(ctx, arguments)) };

async fn is_set(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let SettingsChange { health_check_id, before, ours } = arguments(wanted)?;
    let found = json!(read(ctx, &health_check_id).await?.map(|found| found.settings));
    // Other settings are other people's, who may have changed them since.
    let is_set = before.differences(&ours).iter().all(|field| found[field.name.as_str()] == field.after);
    Ok((is_set && !found.is_null()).then_some(Value::Null))
}

/// What is kept of a created health check.
#[derive(Serialize, Deserialize)]
pub struct Made {
    pub health_check_id: String,
}

/// Finds a health check by the caller reference it was made with.
pub const HEALTH_CHECK_BY_REFERENCE: LookUp =
    LookUp { name: "health_check_by_reference", run: |ctx, arguments| Box::pin(by_reference(ctx, arguments)) };

#[derive(Deserialize)]
struct ByReference {
    caller_reference: String,
}

async fn by_reference(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByReference { caller_reference } = arguments(wanted)?;
    // Not the shared list: who asks again would be shown the old one again.
    let all = read_all(ctx).await?;
    let made = all.iter().find(|one| one.caller_reference() == caller_reference);
    Ok(made.map(|made| json!(Made { health_check_id: made.id().to_owned() })))
}

/// Deletes a health check this run made.
pub const DELETE_HEALTH_CHECK: UndoAction =
    UndoAction { name: "delete_health_check", run: |ctx, arguments| Box::pin(delete(ctx, arguments)) };

async fn delete(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { health_check_id: id } = arguments(made)?;
    let declared = Mutation::new("route53:DeleteHealthCheck", Class::Idempotent, &id).refers_to([&id]);
    let gone = ctx.change(declared, |permit| {
        ctx.aws().route53.delete_health_check().health_check_id(&id).customize().interceptor(permit).send()
    });
    deleted(gone.await, GONE)
}

/// Puts settings of a health check back.
pub const RESTORE_HEALTH_CHECK_SETTINGS: UndoAction =
    UndoAction { name: "restore_health_check_settings", run: |ctx, arguments| Box::pin(restore(ctx, arguments)) };

/// The undo of a change of settings.
pub fn restoring(id: &str, before: &Settings, ours: &Settings) -> Undo {
    let arguments = json!({ "health_check_id": id, "before": before, "ours": ours });
    Undo::new(&RESTORE_HEALTH_CHECK_SETTINGS, format!("restore health check {id}"), arguments)
        .key(format!("health check {id}"))
}

/// What an update replaced, and by what.
#[derive(Deserialize)]
struct SettingsChange {
    health_check_id: String,
    before: Settings,
    ours: Settings,
}

async fn restore(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let SettingsChange { health_check_id: id, before, ours } = arguments(change)?;
    let Some(found) = read(ctx, &id).await? else { return Ok(Undone::Already) };
    // Only what this run has set: the rest is whoever's changed it.
    let now = json!(found.settings);
    let mut wanted = now.clone();
    for Field { name, before, after: ours } in before.differences(&ours) {
        let (before, now) = (before.unwrap_or_default(), &now[name.as_str()]);
        if *now != before && *now != ours {
            return Ok(Undone::Foreign(format!("expected {name} {ours}, found {now}")));
        }
        wanted[name.as_str()] = before;
    }
    if wanted == now {
        return Ok(Undone::Already);
    }
    update(ctx, &id, &found, &arguments(wanted)?, None).await.map(|()| Undone::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_say_whose_and_fit() {
        assert_eq!(prefix("shop-prod", "eu"), "runner/shop-prod/eu/");
        let long = prefix("a-rather-long-application-name-prod", "the-health-of-europe");
        assert!(
            long.len() <= 34 && long != prefix("a-rather-long-application-name-prod", "the-health-of-asia"),
            "{long}"
        );
        let whole = shorten(&format!("{long}20261127-151323-a1b2/12.3.45.6"), 64);
        assert!(whole.len() <= 64 && whole.starts_with(&format!("{long}20261127-151323-a1b2/")), "{whole}");
    }

    #[test]
    fn what_differs_is_told_by_the_names_of_options() {
        let shown = HealthCheckConfig::builder().r#type(HealthCheckType::Https).port(443).enable_sni(true);
        let all = HealthCheckRegion::values().iter().map(|region| HealthCheckRegion::from(*region)).collect();
        let now = Settings::of(&shown.set_regions(Some(all)).build().expect("a type"));
        assert!(now.regions.is_empty() && now.resource_path.as_deref() == Some("/"), "{now:?}");
        let wanted = Settings { port: Some(8443), fqdn: Some("eu.example.com".into()), ..now.clone() };
        let told: Vec<String> = now.differences(&wanted).into_iter().map(|field| field.name).collect();
        assert_eq!(told, ["fqdn", "port"]);
        let mut json = json!(now);
        for Field { name, before, .. } in now.differences(&wanted) {
            json[name.as_str()] = before.unwrap_or_default();
        }
        assert_eq!(arguments::<Settings>(json).expect("settings"), now);
    }
}
