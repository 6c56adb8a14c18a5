//! What the health checkers of Route 53 see, and what follows from it for names: "How Amazon Route 53 determines whether a
//! health check is healthy", "How Amazon Route 53 chooses records when health checking is configured".
//!
//! All checkers of a health check look at once and see the same: one in each region it is checked from. They reach what users
//! reach. Addresses are outside of what is simulated, and what is there is taken to be well.

use std::net::IpAddr;

use jiff::Timestamp;

use super::health_check::{Config, REGIONS};
use super::*;
use crate::sim::elbv2;
use crate::web::{Reply as WebReply, Request, Trouble, Url};

pub const ACTIONS: &[Action] =
    &[Action { name: "GetHealthCheckStatus", params: &["HealthCheckId"], run: get_health_check_status }];

/// "Route 53 must be able to establish a TCP connection with the endpoint within four seconds", and there has to be a
/// status within two more.
const PATIENCE: Duration = Duration::from_secs(6);
/// Of a body, so much is searched, in bytes.
const SEARCHED: usize = 5120;
/// "If more than 18% of health checkers report that an endpoint is healthy, Route 53 considers it healthy."
const PERCENT: usize = 18;

/// One address of the checkers of each of [`REGIONS`]: `ROUTE53_HEALTHCHECKS` of AWS's ip-ranges.json.
const CHECKERS: [&str; 8] = [
    "54.243.31.192",
    "54.183.255.128",
    "54.244.52.192",
    "54.228.16.0",
    "54.251.31.128",
    "54.252.79.128",
    "54.248.220.0",
    "177.71.207.128",
];

/// What the checkers of a health check have seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Watch {
    id: String,
    seen: Seen,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Seen {
    healthy: bool,
    /// So many results without a break were unlike `healthy`.
    against: i64,
    reports: Vec<Report>,
    /// One that was read is as the account had it, until it is changed here.
    running: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Report {
    region: String,
    address: String,
    status: String,
    at: Timestamp,
}

resource!(Watch, id, global.route53.health_check_watches, Extent::Row, |id| AwsError::new(
    "NoSuchHealthCheck",
    format!("A health check with id {id} does not exist.")
)
.status(404));

impl Watch {
    /// "Route 53 considers a new health check to be healthy until there's enough data to determine the actual status."
    pub fn new(id: &str) -> Watch {
        Watch { id: id.to_owned(), seen: Seen { healthy: true, against: 0, reports: Vec::new(), running: false } }
    }

    fn read(id: &str, reply: &Params) -> Watch {
        let report = |shown: &Params| Report {
            region: shown.text("Region"),
            address: shown.text("IPAddress"),
            status: shown.text("StatusReport.Status"),
            at: shown.time("StatusReport.CheckedTime"),
        };
        let reports: Vec<Report> = reply.list("HealthCheckObservations").iter().map(report).collect();
        let good = reports.iter().filter(|report| report.status.starts_with("Success")).count();
        let healthy = reports.is_empty() || good * 100 > PERCENT * reports.len();
        Watch { id: id.to_owned(), seen: Seen { healthy, against: 0, reports, running: false } }
    }

    /// All checkers have seen this.
    fn saw(&mut self, config: &Config, now: Timestamp, result: Result<String, String>) {
        let good = result.is_ok();
        let status = match result {
            Ok(words) => format!("Success: {words}"),
            Err(words) => format!("Failure: {words}"),
        };
        let address = |region: &str| REGIONS.iter().position(|known| *known == region).map_or("", |at| CHECKERS[at]);
        let report = |region: &str| Report {
            region: region.to_owned(),
            address: address(region).to_owned(),
            status: status.clone(),
            at: now,
        };
        self.seen.reports = config.regions().into_iter().map(report).collect();
        self.seen.against = if good == self.seen.healthy { 0 } else { self.seen.against + 1 };
        if self.seen.against >= config.threshold() {
            self.seen.healthy = good;
            self.seen.against = 0;
        }
    }
}

pub const CALLS: &[&str] = &["route53:GetHealthCheckStatus", "route53:ListHealthChecks"];

/// What the checkers of a health check see, or of which there is something to see.
pub fn load(reader: &Reader, id: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(id) = id else {
        let params = json!({ "MaxItems": 100 });
        let all = reader.pages("route53", "ListHealthChecks", params, "HealthChecks", ("NextMarker", "Marker"))?;
        let watched = all.iter().filter(|shown| shown.opt_str("HealthCheckConfig.Type") != Some("CALCULATED"));
        watched.for_each(|shown| rows.listed(Read::of(Watch::new(&shown.text("Id")))));
        return Ok(());
    };
    let params = json!({ "HealthCheckId": id });
    // Of a calculated one nothing is told.
    let absent = ["NoSuchHealthCheck", "InvalidInput"];
    if let Some(reply) = reader.find("route53", "GetHealthCheckStatus", params, &absent)? {
        rows.whole(Read::of(Watch::read(id, &reply)));
    }
    Ok(())
}

/// Has the checkers begin, if they have not.
pub fn begin(tx: &mut Tx, check: &HealthCheck) {
    let Some(watch) = tx.peek_mut::<Watch>(&check.id).filter(|watch| !watch.seen.running) else { return };
    watch.seen.running = true;
    tx.schedule(check.config.interval(), Event::HealthChecked(check.id.clone()));
}

/// It is time to look.
pub fn checked(tx: &mut Tx, id: &str) {
    let Some(check) = tx.peek::<HealthCheck>(id).cloned() else { return };
    if !check.config.disabled {
        let result = match probe(tx, &check.config) {
            Probe::In(region) => {
                tx.schedule_in(&region, Event::HealthChecked(id.to_owned()));
                return;
            }
            Probe::Came(result) => result,
        };
        let now = tx.now;
        if let Some(watch) = tx.peek_mut::<Watch>(id) {
            watch.saw(&check.config, now, result);
        }
    }
    tx.schedule(check.config.interval(), Event::HealthChecked(id.to_owned()));
}

/// What comes of looking from this region.
enum Probe {
    /// Whoever answers is there.
    In(String),
    /// What a checker says of it.
    Came(Result<String, String>),
}

fn probe(tx: &Tx, config: &Config) -> Probe {
    let Some(domain) = config.domain.as_deref().filter(|_| config.address.is_none()) else {
        return Probe::Came(Ok(well(config)));
    };
    let end = visit::end_of(tx, domain);
    if end.parse::<IpAddr>().is_ok() {
        return Probe::Came(Ok(well(config)));
    }
    match elbv2::region_of(&end) {
        Some(region) if region != tx.scope.region => Probe::In(region.to_owned()),
        // It is not in the account that this is a fork of.
        _ if tx.is_fork() && !elbv2::visit::is_balancer(tx, &end) => Probe::Came(Ok(well(config))),
        Some(_) => Probe::Came(asked(tx, config, domain, &end)),
        None => Probe::Came(Err("DNS resolution failed: DNS response error code NXDOMAIN".to_owned())),
    }
}

/// What is said of an endpoint that is outside of all this.
fn well(config: &Config) -> String {
    if config.kind == "TCP" { "TCP connection established" } else { "HTTP Status Code 200, OK" }.to_owned()
}

/// What the load balancer `end` has for a checker. "HTTPS health checks don't validate SSL/TLS certificates".
fn asked(tx: &Tx, config: &Config, domain: &str, end: &str) -> Result<String, String> {
    let port = config.port.and_then(|port| u16::try_from(port).ok()).unwrap_or_default();
    if config.kind == "TCP" {
        let connected = elbv2::visit::connects(tx, end, port, PATIENCE).map_err(|trouble| words(&trouble));
        return connected.map(|()| well(config));
    }
    let path = config.path.as_deref().unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let url = Url { secure: config.is_secure(), host: domain.to_owned(), port, path };
    let request = Request::new("GET", url, PATIENCE);
    let answer = elbv2::visit::answer_to_anyone(tx, end, &request).map_err(|trouble| words(&trouble))?;
    let WebReply { status, body, .. } = answer.reply(&request);
    if !(200..400).contains(&status) {
        return Err(format!("HTTP Status Code {status}"));
    }
    let mut searched = SEARCHED.min(body.len());
    while !body.is_char_boundary(searched) {
        searched -= 1;
    }
    match &config.search {
        Some(text) if !body[..searched].contains(text.as_str()) => {
            Err("The string was not found in the first 5,120 bytes of the response body".to_owned())
        }
        Some(_) | None => Ok(format!("HTTP Status Code {status}")),
    }
}

fn words(trouble: &Trouble) -> String {
    match trouble {
        Trouble::TimedOut(_) => "Connection timed out. The endpoint or the internet connection is down".to_owned(),
        Trouble::Refused => "Connection refused".to_owned(),
        other => other.to_string(),
    }
}

/// Whether Route 53 takes what has this health check to be well. If it is gone, "the future status of the health check can't
/// be predicted": here it is taken away from nobody.
pub fn is_healthy(tx: &Tx, id: &str) -> bool {
    let Some(HealthCheck { config, .. }) = tx.peek::<HealthCheck>(id) else { return true };
    // "After you disable a health check, Route 53 considers the status of the health check to always be healthy."
    let seen = config.disabled
        || if config.is_calculated() {
            let healthy = config.children.iter().filter(|child| is_healthy(tx, child)).count();
            i64::try_from(healthy).is_ok_and(|healthy| healthy >= config.enough.unwrap_or_default())
        } else {
            tx.peek::<Watch>(id).is_none_or(|watch| watch.seen.healthy)
        };
    seen != config.inverted
}

fn get_health_check_status(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("HealthCheckId")?;
    if tx.get::<HealthCheck>(id)?.config.is_calculated() {
        let message = "You can't use GetHealthCheckStatus to get the status of a calculated health check.";
        return Err(invalid_input(message));
    }
    let now = tx.now;
    let view = |report: &Report, running: bool| {
        // Checkers that were read of an account look again, and see the same.
        let at = if running { report.at } else { now };
        json!({
            "Region": report.region,
            "IPAddress": report.address,
            "StatusReport": { "Status": report.status, "CheckedTime": time(at) },
        })
    };
    let reports: Vec<Value> = match tx.peek::<Watch>(id) {
        Some(Watch { seen, .. }) => seen.reports.iter().map(|report| view(report, seen.running)).collect(),
        None => Vec::new(),
    };
    Ok(json!({ "HealthCheckObservations": { "HealthCheckObservation": reports } }))
}
