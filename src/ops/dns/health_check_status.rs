//! `health_check_status` and `wait_health_check`: what the health checkers see, before users are moved.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    HealthCheck,
    health_check::{self, Settings},
    tags::HealthCheckTags,
};
use crate::{
    event::Change,
    ops::{Duration, Error, IdOf, Kind, Operation, Pending, all_of, ownership::set, tagged::Tagged},
    run::{Ctx, Seen, Wait},
};

/// Reads what the health checkers of Route 53 have seen last. A health check is healthy if more than 18 % of them say so; of a calculated one
/// the health checks that it counts are asked. One that is inverted or disabled is told as Route 53 takes it.
///
/// A new one counts as healthy for names until its checkers have looked. Here it does not: nobody has seen yet that it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadHealthCheckStatus {
    /// What `ensure_health_check` returned, or an id.
    health_check: IdOf<HealthCheck>,
    /// Fails if it is not healthy.
    #[serde(default)]
    expect_healthy: bool,
}

/// Waits until a health check is healthy, and has been for as long as its checkers need to believe it. What they have seen before it
/// began to wait does not count.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitHealthCheck {
    /// What `ensure_health_check` returned, or an id.
    health_check: IdOf<HealthCheck>,
    /// For how long it must be healthy without a break. Left out: `failure_threshold` times `request_interval`, after which Route 53
    /// answers names by it.
    dwell: Option<Duration>,
    /// How long to wait for all this.
    #[serde(default = "ten_minutes")]
    timeout: Duration,
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

/// What is known of a health check.
#[derive(Debug, Serialize)]
pub struct HealthCheckStatus {
    pub health_check_id: String,
    pub healthy: bool,
    /// How many checkers tell of it; of a calculated one, how many health checks it counts.
    pub checkers: usize,
    /// How many of them say that all is well.
    pub healthy_checkers: usize,
    /// None of a calculated one.
    pub observations: Vec<Observation>,
    /// When one of its checkers has looked last, or one of those of the health checks that it counts.
    #[serde(skip)]
    newest: Option<Timestamp>,
}

/// What one checker has seen last.
#[derive(Debug, Serialize)]
pub struct Observation {
    pub region: String,
    /// Of the checker.
    pub ip_address: String,
    /// It begins with `Success` or `Failure`.
    pub status: String,
    pub checked_time: Option<Timestamp>,
}

impl Kind for HealthCheckStatus {
    const KIND: &'static str = "health_check_status";
    const ID: &'static str = "health_check_id";
}

/// A health check that is looked at.
struct Watched {
    id: String,
    settings: Settings,
    children: Vec<Watched>,
}

impl Watched {
    fn read(ctx: &Ctx, id: String) -> Pending<'_, Self> {
        Box::pin(async move {
            let Some(found) = health_check::read(ctx, &id).await? else {
                let hint = Some("`ensure_health_check` makes one".to_owned());
                return Err(Error::NotFound { what: format!("health check {id}"), hint });
            };
            let children = found.settings.child_health_checks.iter().map(|child| Self::read(ctx, child.clone()));
            let children = all_of(children).await?;
            Ok(Self { id, settings: found.settings, children })
        })
    }

    /// How long it takes until Route 53 believes it.
    fn time_to_believe(&self) -> std::time::Duration {
        let of_children = self.children.iter().map(Self::time_to_believe).max().unwrap_or_default();
        self.settings.time_to_believe().max(of_children)
    }

    /// What was seen after that time.
    fn look<'a>(&'a self, ctx: &'a Ctx, after: Option<Timestamp>) -> Pending<'a, HealthCheckStatus> {
        Box::pin(async move {
            let Self { id, settings, children } = self;
            let (checkers, healthy_checkers, observations, newest) = if settings.disabled {
                (0, 0, Vec::new(), None)
            } else if settings.is_calculated() {
                // "You can't use GetHealthCheckStatus to get the status of a calculated health check."
                let seen = all_of(children.iter().map(|child| child.look(ctx, after))).await?;
                let newest = seen.iter().filter_map(|child| child.newest).max();
                (seen.len(), seen.iter().filter(|child| child.healthy).count(), Vec::new(), newest)
            } else {
                let mut observations = observations(ctx, id).await?;
                observations.retain(|one| after.is_none() || one.checked_time > after);
                let newest = observations.iter().filter_map(|one| one.checked_time).max();
                let good = observations.iter().filter(|one| one.is_good()).count();
                (observations.len(), good, observations, newest)
            };
            let healthy = settings.is_healthy(checkers, healthy_checkers);
            let health_check_id = id.clone();
            Ok(HealthCheckStatus { health_check_id, healthy, checkers, healthy_checkers, observations, newest })
        })
    }

    /// What people know it by: its name, if it has one, and what it checks.
    async fn title(&self, ctx: &Ctx) -> Result<String, Error> {
        let tags = HealthCheckTags::read(ctx, &self.id).await?;
        let name = tags.get("Name").unwrap_or(&self.id);
        Ok(format!("health check {name} ({})", self.settings.endpoint()))
    }

    /// What is wrong, if anything is.
    async fn illness(&self, ctx: &Ctx, status: &HealthCheckStatus) -> Result<Option<String>, Error> {
        match status.healthy {
            true => Ok(None),
            false => Ok(Some(format!("{} is {}", self.title(ctx).await?, self.words(status)))),
        }
    }

    fn words(&self, status: &HealthCheckStatus) -> String {
        let HealthCheckStatus { healthy, checkers, healthy_checkers, observations, .. } = status;
        let settings = &self.settings;
        let failure = observations.iter().find(|one| !one.is_good());
        let why = failure.map(|one| format!("; {} says {}", one.region, one.status)).unwrap_or_default();
        let seen = match settings.health_threshold {
            _ if settings.disabled => "disabled, nothing is checked".to_owned(),
            Some(enough) => format!("{healthy_checkers} of {checkers} health checks are healthy, {enough} have to be"),
            None if *checkers == 0 => "no checker has looked yet".to_owned(),
            None => format!("{healthy_checkers} of {checkers} checkers reach it"),
        };
        let state = if *healthy { "healthy" } else { "not healthy" };
        let inverted = if settings.inverted { ", inverted" } else { "" };
        format!("{state}: {seen}{inverted}{why}")
    }
}

/// Why nobody should be led to what has this health check, if so.
pub async fn illness(ctx: &Ctx, id: &str) -> Result<Option<String>, Error> {
    let watched = Watched::read(ctx, id.to_owned()).await?;
    let status = watched.look(ctx, None).await?;
    watched.illness(ctx, &status).await
}

impl Settings {
    /// `HTTPS eu.example.com:443/healthz`
    fn endpoint(&self) -> String {
        let host = self.fqdn.iter().chain(&self.ip_address).next().map(|host| format!(" {host}")).unwrap_or_default();
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{host}{port}{}", self.r#type, self.resource_path.as_deref().unwrap_or_default())
    }

    /// What Route 53 makes of it.
    fn is_healthy(&self, of: usize, healthy: usize) -> bool {
        /// "If more than 18% of health checkers report that an endpoint is healthy, Route 53 considers it healthy": "How Amazon
        /// Route 53 determines whether a health check is healthy".
        const PERCENT: usize = 18;
        let seen = match self.health_threshold {
            // "After you disable a health check, Route 53 considers the status of the health check to always be healthy."
            _ if self.disabled => true,
            // Nobody has looked yet.
            _ if of == 0 => return false,
            Some(enough) => i32::try_from(healthy).is_ok_and(|healthy| healthy >= enough),
            None => healthy * 100 > PERCENT * of,
        };
        seen != self.inverted
    }
}

impl Observation {
    fn is_good(&self) -> bool {
        self.status.starts_with("Success")
    }
}

async fn observations(ctx: &Ctx, id: &str) -> Result<Vec<Observation>, Error> {
    let request = || ctx.aws().route53.get_health_check_status().health_check_id(id).send();
    let reply = ctx.read_of("route53:GetHealthCheckStatus", id, request).await?;
    let one = |shown: &aws_sdk_route53::types::HealthCheckObservation| {
        let report = shown.status_report();
        let time = report.and_then(|report| report.checked_time());
        Observation {
            region: shown.region().map_or_else(String::new, |region| region.as_str().to_owned()),
            ip_address: shown.ip_address().unwrap_or_default().to_owned(),
            status: report.and_then(|report| report.status()).unwrap_or_default().to_owned(),
            checked_time: time.and_then(|time| Timestamp::from_nanosecond(time.as_nanos()).ok()),
        }
    };
    Ok(reply.health_check_observations().iter().map(one).collect())
}

impl Operation for ReadHealthCheckStatus {
    const NAME: &'static str = "health_check_status";
    const AREA: &'static str = "Route 53";
    const POSITIONAL: &'static [&'static str] = &["health_check"];
    const EXAMPLE: &'static str = "health_check_status(#{ health_check: check, expect_healthy: true })";

    type Options = Self;
    type Handle = HealthCheckStatus;

    fn subject(options: &Self) -> String {
        options.health_check.to_string()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<HealthCheckStatus, Error> {
        let watched = Watched::read(ctx, options.health_check.into_string()).await?;
        let status = watched.look(ctx, None).await?;
        ctx.did(Change::Read, [set("healthy", status.healthy)]);
        if options.expect_healthy
            && let Some(illness) = watched.illness(ctx, &status).await?
        {
            return Err(Error::Unsafe(illness));
        }
        Ok(status)
    }
}

impl Operation for WaitHealthCheck {
    const NAME: &'static str = "wait_health_check";
    const AREA: &'static str = "Route 53";
    const POSITIONAL: &'static [&'static str] = &["health_check"];
    const EXAMPLE: &'static str = r#"wait_health_check(#{ health_check: check, timeout: "15m" })"#;

    type Options = Self;
    type Handle = HealthCheckStatus;

    fn subject(options: &Self) -> String {
        options.health_check.to_string()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<HealthCheckStatus, Error> {
        let watched = Watched::read(ctx, options.health_check.into_string()).await?;
        let dwell = options.dwell.unwrap_or_else(|| Duration(watched.time_to_believe()));
        if dwell >= options.timeout {
            let message = format!("expected more than the dwell of {dwell}, found {}", options.timeout);
            return Err(Error::option("timeout", message));
        }
        // What was seen before may be about what the health check has checked formerly. By the checkers' clocks: ours may differ.
        let before = watched.look(ctx, None).await?.newest;
        let wait = Wait {
            what: format!("{} to be healthy", watched.title(ctx).await?),
            timeout: options.timeout.0,
            every: std::time::Duration::from_secs(10),
        };
        let mut since = None;
        let status = ctx
            .wait(wait, async || {
                let status = watched.look(ctx, before).await?;
                if !status.healthy {
                    since = None;
                    return Ok(Seen::Pending(watched.words(&status)));
                }
                let since = *since.get_or_insert_with(|| ctx.now());
                if ctx.since(since) < dwell.0 {
                    return Ok(Seen::Pending(format!("{}, for {dwell} to be sure", watched.words(&status))));
                }
                Ok(Seen::Ready(status))
            })
            .await?;
        ctx.did(Change::Waited, [set("healthy_checkers", status.healthy_checkers), set("checkers", status.checkers)]);
        Ok(status)
    }
}
