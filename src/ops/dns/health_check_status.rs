//! `health_check_status` and `wait_health_check`: what the health checkers see, before users are moved.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    HealthCheck,
    health_check::{self, Settings},
};
use crate::{
    event::Change,
    ops::{Duration, Error, IdOf, Kind, Operation, Pending, all_of, ownership::set},
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

/// Waits until a health check is healthy, and has been for as long as its checkers need to believe it.
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

    fn look<'a>(&'a self, ctx: &'a Ctx) -> Pending<'a, HealthCheckStatus> {
        Box::pin(async move {
            let Self { id, settings, children } = self;
            let (checkers, healthy_checkers, observations) = if settings.disabled {
                (0, 0, Vec::new())
            } else if settings.is_calculated() {
                // "You can't use GetHealthCheckStatus to get the status of a calculated health check."
                let seen = all_of(children.iter().map(|child| child.look(ctx))).await?;
                (seen.len(), seen.iter().filter(|child| child.healthy).count(), Vec::new())
            } else {
                let observations = observations(ctx, id).await?;
                (observations.len(), observations.iter().filter(|one| one.is_good()).count(), observations)
            };
            let healthy = settings.is_healthy(checkers, healthy_checkers);
            Ok(HealthCheckStatus { health_check_id: id.clone(), healthy, checkers, healthy_checkers, observations })
        })
    }
}

impl Settings {
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

impl HealthCheckStatus {
    fn words(&self) -> String {
        let Self { healthy_checkers, checkers, .. } = self;
        let failure = self.observations.iter().find(|one| !one.is_good());
        let why = failure.map(|one| format!("; {} says {}", one.region, one.status)).unwrap_or_default();
        let state = if self.healthy { "healthy" } else { "not healthy" };
        format!("{state}, {healthy_checkers} of {checkers} say that all is well{why}")
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
            checked_time: time.and_then(|time| Timestamp::from_second(time.secs()).ok()),
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
        let status = watched.look(ctx).await?;
        ctx.did(Change::Read, [set("healthy", status.healthy)]);
        if options.expect_healthy && !status.healthy {
            return Err(Error::Unsafe(format!("health check {} is {}", watched.id, status.words())));
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
        let wait = Wait {
            what: format!("health check {} to be healthy", watched.id),
            timeout: options.timeout.0,
            every: std::time::Duration::from_secs(10),
        };
        let mut since = None;
        let status = ctx
            .wait(wait, async || {
                let status = watched.look(ctx).await?;
                if !status.healthy {
                    since = None;
                    return Ok(Seen::Pending(status.words()));
                }
                let since = *since.get_or_insert_with(|| ctx.now());
                if ctx.since(since) < dwell.0 {
                    return Ok(Seen::Pending(format!("{}, for {dwell} to be sure", status.words())));
                }
                Ok(Seen::Ready(status))
            })
            .await?;
        ctx.did(Change::Waited, [set("healthy_checkers", status.healthy_checkers), set("checkers", status.checkers)]);
        Ok(status)
    }
}
