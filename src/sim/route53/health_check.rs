//! Health checks: settings with a version, made once for a caller reference. What their checkers see is in `checker`.

use super::checker::Watch;
use super::*;
use crate::sim::acm;
use crate::web::is_public;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateHealthCheck",
        params: &[
            "CallerReference HealthCheckConfig.Type HealthCheckConfig.IPAddress HealthCheckConfig.Port",
            "HealthCheckConfig.ResourcePath HealthCheckConfig.FullyQualifiedDomainName HealthCheckConfig.SearchString",
            "HealthCheckConfig.RequestInterval HealthCheckConfig.FailureThreshold HealthCheckConfig.MeasureLatency",
            "HealthCheckConfig.Inverted HealthCheckConfig.Disabled HealthCheckConfig.EnableSNI HealthCheckConfig.Regions[]",
            "HealthCheckConfig.HealthThreshold HealthCheckConfig.ChildHealthChecks[]",
        ],
        run: create_health_check,
    },
    Action { name: "GetHealthCheck", params: &["HealthCheckId"], run: get_health_check },
    Action { name: "ListHealthChecks", params: &["Marker MaxItems"], run: list_health_checks },
    Action { name: "GetHealthCheckCount", params: &[], run: get_health_check_count },
    Action {
        name: "UpdateHealthCheck",
        params: &[
            "HealthCheckId HealthCheckVersion IPAddress Port ResourcePath FullyQualifiedDomainName SearchString",
            "FailureThreshold Inverted Disabled EnableSNI Regions[] HealthThreshold ChildHealthChecks[] ResetElements[]",
        ],
        run: update_health_check,
    },
    Action { name: "DeleteHealthCheck", params: &["HealthCheckId"], run: delete_health_check },
];

/// Where checkers are: `HealthCheckRegion` of the service model.
pub const REGIONS: [&str; 8] = [
    "us-east-1",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "sa-east-1",
];

const KINDS: [&str; 8] = [
    "HTTP",
    "HTTPS",
    "HTTP_STR_MATCH",
    "HTTPS_STR_MATCH",
    "TCP",
    "CALCULATED",
    "CLOUDWATCH_METRIC",
    "RECOVERY_CONTROL",
];

/// What follows the state of something else, which is not asked here.
const NOT_MODELLED: [&str; 2] = ["CLOUDWATCH_METRIC", "RECOVERY_CONTROL"];

/// "Quotas": 200 active health checks per account.
const MOST: usize = 200;
/// "The CallerReference for a deleted health check will be deleted after a number of days."
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HealthCheck {
    pub id: String,
    caller_reference: String,
    version: i64,
    pub config: Config,
    pub tags: Tags,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub kind: String,
    pub address: Option<String>,
    pub port: Option<i64>,
    pub path: Option<String>,
    pub domain: Option<String>,
    pub search: Option<String>,
    interval: Option<i64>,
    threshold: Option<i64>,
    measures: Option<bool>,
    pub inverted: bool,
    pub disabled: bool,
    sni: Option<bool>,
    regions: Vec<String>,
    pub children: Vec<String>,
    /// How many of the children have to be healthy.
    pub enough: Option<i64>,
}

/// The caller reference of a health check that is gone: it is not used again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Retired {
    reference: String,
    state: String,
}

fn absent(id: &str) -> AwsError {
    AwsError::new("NoSuchHealthCheck", format!("A health check with id {id} does not exist.")).status(404)
}

resource!(HealthCheck, id, global.route53.health_checks, Extent::Row, absent);
resource!(Retired, reference, global.route53.retired_references, Extent::Nothing, absent);

impl HealthCheck {
    fn view(&self) -> Value {
        json!({
            "Id": self.id,
            "CallerReference": self.caller_reference,
            "HealthCheckConfig": self.config.view(),
            "HealthCheckVersion": self.version,
        })
    }
}

impl Config {
    /// Both of what `CreateHealthCheck` is given and of what an account shows.
    fn read(p: &Params) -> Result<Config, AwsError> {
        let text = |name| p.opt_str(name).map(str::to_owned);
        let texts = |name| p.strings(name).into_iter().map(str::to_owned).collect();
        Ok(Config {
            kind: p.str("Type")?.to_owned(),
            address: text("IPAddress"),
            port: p.opt_int("Port")?,
            path: text("ResourcePath"),
            domain: text("FullyQualifiedDomainName"),
            search: text("SearchString"),
            interval: p.opt_int("RequestInterval")?,
            threshold: p.opt_int("FailureThreshold")?,
            measures: p.opt_bool("MeasureLatency")?,
            inverted: p.opt_bool("Inverted")?.unwrap_or_default(),
            disabled: p.opt_bool("Disabled")?.unwrap_or_default(),
            sni: p.opt_bool("EnableSNI")?,
            regions: texts("Regions"),
            children: texts("ChildHealthChecks"),
            enough: p.opt_int("HealthThreshold")?,
        })
    }

    /// With what Route 53 fills in.
    fn filled_in(mut self) -> Config {
        if !self.is_calculated() {
            self.interval.get_or_insert(30);
            self.threshold.get_or_insert(3);
            self.measures.get_or_insert(false);
            self.sni.get_or_insert(self.is_secure());
            self.port = self.port.or(match self.kind.as_str() {
                "HTTP" | "HTTP_STR_MATCH" => Some(80),
                "HTTPS" | "HTTPS_STR_MATCH" => Some(443),
                _ => None,
            });
        }
        self
    }

    fn view(&self) -> Value {
        let list = |element: &str, all: &[String]| (!all.is_empty()).then(|| json!({ element: all }));
        json!({
            "IPAddress": self.address,
            "Port": self.port,
            "Type": self.kind,
            "ResourcePath": self.path,
            "FullyQualifiedDomainName": self.domain,
            "SearchString": self.search,
            "RequestInterval": self.interval,
            "FailureThreshold": self.threshold,
            "MeasureLatency": self.measures,
            "Inverted": self.inverted,
            "Disabled": self.disabled,
            "HealthThreshold": self.enough,
            "ChildHealthChecks": list("ChildHealthCheck", &self.children),
            "EnableSNI": self.sni,
            "Regions": list("Region", &self.regions),
        })
    }

    pub fn is_calculated(&self) -> bool {
        self.kind == "CALCULATED"
    }

    pub fn is_secure(&self) -> bool {
        self.kind.starts_with("HTTPS")
    }

    fn searches(&self) -> bool {
        self.kind.ends_with("_STR_MATCH")
    }

    /// From one request of a checker to its next.
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.interval.unwrap_or(30).unsigned_abs())
    }

    /// After how many results that are unlike its state it changes.
    pub fn threshold(&self) -> i64 {
        self.threshold.unwrap_or(3)
    }

    /// From where it is checked.
    pub fn regions(&self) -> Vec<&str> {
        if self.regions.is_empty() { REGIONS.to_vec() } else { self.regions.iter().map(String::as_str).collect() }
    }

    /// Refuses what Route 53 does. The limits are those of the model, the rest is in the description of the members.
    fn check(&self, tx: &Tx) -> Result<(), AwsError> {
        if !KINDS.contains(&self.kind.as_str()) {
            return Err(AwsError::outside_enum("InvalidInput", "healthCheckConfig.type", &self.kind, &KINDS));
        }
        if NOT_MODELLED.contains(&self.kind.as_str()) {
            return Err(AwsError::not_modelled("InvalidInput", "health check type", &self.kind, "CreateHealthCheck"));
        }
        let fault = if self.is_calculated() { self.calculated_fault(tx)? } else { self.endpoint_fault() };
        fault.map_or(Ok(()), |fault| Err(invalid_input(format!("Invalid parameter : {fault}"))))
    }

    fn endpoint_fault(&self) -> Option<&'static str> {
        let within = |text: &Option<String>| text.as_ref().is_none_or(|text| (1..=255).contains(&text.chars().count()));
        let address = self.address.as_deref().map(str::parse::<std::net::IpAddr>);
        let is_region = |region: &String| REGIONS.contains(&region.as_str());
        let rules = [
            (self.address.is_none() && self.domain.is_none(), "an IPAddress or a FullyQualifiedDomainName is required"),
            (matches!(address, Some(Err(_))), "IPAddress is not an IP address"),
            (matches!(address, Some(Ok(address)) if !is_public(address)), "IPAddress is in a reserved range"),
            (!self.port.is_some_and(|port| (1..=65535).contains(&port)), "Port must be from 1 to 65535"),
            (!matches!(self.interval, Some(10 | 30)), "RequestInterval must be 10 or 30"),
            (!(1..=10).contains(&self.threshold()), "FailureThreshold must be from 1 to 10"),
            (
                self.searches() != self.search.is_some(),
                "SearchString is for types that match strings, and required there",
            ),
            (![&self.domain, &self.path, &self.search].into_iter().all(within), "texts have 1 to 255 characters"),
            (!self.regions.is_empty() && self.regions.len() < 3, "at least three Regions are required"),
            (!self.regions.iter().all(is_region), "a Region has no health checkers"),
            (self.kind == "TCP" && self.path.is_some(), "TCP health checks must not have a ResourcePath"),
            (self.enough.is_some() || !self.children.is_empty(), "only calculated health checks have children"),
        ];
        rules.into_iter().find_map(|(broken, rule)| broken.then_some(rule))
    }

    fn calculated_fault(&self, tx: &Tx) -> Result<Option<&'static str>, AwsError> {
        let of_endpoint =
            self.address.is_some() || self.domain.is_some() || self.port.is_some() || self.search.is_some();
        let rules = [
            (of_endpoint || self.path.is_some(), "calculated health checks have no endpoint"),
            (self.children.is_empty() || self.children.len() > 256, "1 to 256 ChildHealthChecks are required"),
            (!self.enough.is_some_and(|enough| (0..=256).contains(&enough)), "HealthThreshold must be from 0 to 256"),
            (
                self.children.iter().any(|id| tx.peek::<HealthCheck>(id).is_none()),
                "a child health check does not exist",
            ),
        ];
        let nested = |id: &&String| tx.peek::<HealthCheck>(id).is_some_and(|child| child.config.is_calculated());
        match self.children.iter().find(nested) {
            Some(id) => Err(AwsError::not_modelled("InvalidInput", "calculated child", id, "health checks")),
            None => Ok(rules.into_iter().find_map(|(broken, rule)| broken.then_some(rule))),
        }
    }
}

pub const CALLS: &[&str] = &["route53:GetHealthCheck", "route53:ListHealthChecks", "route53:ListTagsForResource"];

/// A health check with its tags, or all as a list shows them.
pub fn load(reader: &Reader, id: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let Some(id) = id else {
        let params = json!({ "MaxItems": 100 });
        let all = reader.pages("route53", "ListHealthChecks", params, "HealthChecks", ("NextMarker", "Marker"))?;
        for shown in &all {
            rows.listed(Read::of(read(shown)?).shown(&as_written(shown)));
        }
        return Ok(());
    };
    let params = json!({ "HealthCheckId": id });
    let absent = ["NoSuchHealthCheck", "InvalidInput"];
    let Some(reply) = reader.find("route53", "GetHealthCheck", params, &absent)? else { return Ok(()) };
    let shown = reply.part("HealthCheck");
    let mut check = read(&shown)?;
    let params = json!({ "ResourceType": "healthcheck", "ResourceId": id });
    check.tags = reader.get("route53", "ListTagsForResource", params)?.map("ResourceTagSet.Tags", "Key", "Value");
    let kind = &check.config.kind;
    let unmodelled = NOT_MODELLED.contains(&kind.as_str()).then(|| format!("health checks of the type {kind}"));
    rows.whole(Read::of(check).shown(&as_written(&shown)).except(unmodelled));
    Ok(())
}

/// With lists as replies write them: they were read without the names of their elements.
fn as_written(shown: &Params) -> Params {
    let mut shown = shown.clone();
    for (list, element) in [("Regions", "Region"), ("ChildHealthChecks", "ChildHealthCheck")] {
        if let Some(list) = shown.0["HealthCheckConfig"].get_mut(list).filter(|list| list.is_array()) {
            *list = json!({ element: list });
        }
    }
    shown
}

fn read(shown: &Params) -> Result<HealthCheck, AwsError> {
    Ok(HealthCheck {
        id: shown.text("Id"),
        caller_reference: shown.text("CallerReference"),
        version: shown.number("HealthCheckVersion", 1),
        config: Config::read(&shown.part("HealthCheckConfig"))?,
        tags: Tags::new(),
    })
}

fn create_health_check(tx: &mut Tx, p: &Params) -> Reply {
    let reference = p.str("CallerReference")?.to_owned();
    if !(1..=64).contains(&reference.chars().count()) {
        return Err(invalid_input("The caller reference must have 1 to 64 characters"));
    }
    let config = Config::read(&p.part("HealthCheckConfig"))?.filled_in();
    config.check(tx)?;
    let taken = || {
        let message = "A different health check has already been created with the specified caller reference.";
        AwsError::new("HealthCheckAlreadyExists", message).status(409)
    };
    let location = |id: &str| format!("https://route53.amazonaws.com/2013-04-01/healthcheck/{id}");
    if let Some(known) = tx.all::<HealthCheck>().find(|known| known.caller_reference == reference) {
        let view = json!({ "Location": location(&known.id), "HealthCheck": known.view() });
        return if known.config == config { Ok(view) } else { Err(taken()) };
    }
    if tx.glance::<Retired>(&reference).is_some() {
        return Err(taken());
    }
    if tx.all::<HealthCheck>().count() >= MOST {
        let message = "This health check can't be created because the limit on active health checks has been reached.";
        return Err(AwsError::new("TooManyHealthChecks", message));
    }
    let id = acm::uuid_of(&tx.new_id("healthcheck"));
    let check = HealthCheck { id: id.clone(), caller_reference: reference, version: 1, config, tags: Tags::new() };
    let view = check.view();
    if !check.config.is_calculated() {
        tx.put(Watch::new(&id));
        checker::begin(tx, &check);
    }
    tx.put(check);
    Ok(json!({ "Location": location(&id), "HealthCheck": view }))
}

fn get_health_check(tx: &mut Tx, p: &Params) -> Reply {
    let check = tx.get::<HealthCheck>(p.str("HealthCheckId")?)?;
    Ok(json!({ "HealthCheck": tx.shown(check, |check, _| check.view()) }))
}

fn list_health_checks(tx: &mut Tx, p: &Params) -> Reply {
    let (size, marker) = (page_size(p, 1000)?, p.opt_str("Marker"));
    let mut checks = tx.select::<HealthCheck>(&[])?;
    checks.retain(|check| marker.is_none_or(|marker| check.id.as_str() >= marker));
    let next = checks.get(size).map(|check| check.id.clone());
    let page: Vec<Value> = checks.iter().take(size).map(|check| tx.shown(*check, |check, _| check.view())).collect();
    Ok(json!({
        "HealthChecks": { "HealthCheck": page },
        "Marker": marker,
        "IsTruncated": next.is_some(),
        "NextMarker": next,
        "MaxItems": size,
    }))
}

fn get_health_check_count(tx: &mut Tx, _: &Params) -> Reply {
    Ok(json!({ "HealthCheckCount": tx.select::<HealthCheck>(&[])?.len() }))
}

/// What is not said stays.
fn update_health_check(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("HealthCheckId")?;
    let check = tx.get_mut::<HealthCheck>(id)?.clone();
    if p.opt_int("HealthCheckVersion")?.is_some_and(|version| version != check.version) {
        let message = "The value of HealthCheckVersion does not match the version of the health check.";
        return Err(AwsError::new("HealthCheckVersionMismatch", message).status(409));
    }
    let config = changed(check.config.clone(), p)?;
    config.check(tx)?;
    let check = HealthCheck { version: check.version + 1, config, ..check };
    let view = check.view();
    checker::begin(tx, &check);
    *tx.get_mut::<HealthCheck>(id)? = check;
    Ok(json!({ "HealthCheck": view }))
}

fn changed(mut config: Config, p: &Params) -> Result<Config, AwsError> {
    for element in p.strings("ResetElements") {
        match element {
            "ChildHealthChecks" => config.children.clear(),
            "FullyQualifiedDomainName" => config.domain = None,
            "Regions" => config.regions.clear(),
            "ResourcePath" => config.path = None,
            other => {
                let known = ["FullyQualifiedDomainName", "Regions", "ResourcePath", "ChildHealthChecks"];
                return Err(AwsError::outside_enum("InvalidInput", "resetElements", other, &known));
            }
        }
    }
    // "You can't update an existing health check to add or remove the value of IPAddress."
    if p.has("IPAddress") && config.address.is_none() {
        return Err(invalid_input("Invalid parameter : IPAddress cannot be added to a health check"));
    }
    let text = |name, now: Option<String>| p.opt_str(name).map(str::to_owned).or(now);
    let number = |name, now: Option<i64>| Ok::<_, AwsError>(p.opt_int(name)?.or(now));
    let texts = |name, now: Vec<String>| match p.strings(name) {
        none if none.is_empty() => now,
        given => given.into_iter().map(str::to_owned).collect(),
    };
    Ok(Config {
        address: text("IPAddress", config.address),
        port: number("Port", config.port)?,
        path: text("ResourcePath", config.path),
        domain: text("FullyQualifiedDomainName", config.domain),
        search: text("SearchString", config.search),
        threshold: number("FailureThreshold", config.threshold)?,
        inverted: p.opt_bool("Inverted")?.unwrap_or(config.inverted),
        disabled: p.opt_bool("Disabled")?.unwrap_or(config.disabled),
        sni: p.opt_bool("EnableSNI")?.or(config.sni),
        regions: texts("Regions", config.regions),
        children: texts("ChildHealthChecks", config.children),
        enough: number("HealthThreshold", config.enough)?,
        kind: config.kind,
        interval: config.interval,
        measures: config.measures,
    })
}

/// "Amazon Route 53 does not prevent you from deleting a health check even if the health check is associated with one or
/// more resource record sets."
fn delete_health_check(tx: &mut Tx, p: &Params) -> Reply {
    let id = p.str("HealthCheckId")?;
    let reference = tx.get_mut::<HealthCheck>(id)?.caller_reference.clone();
    tx.delete::<HealthCheck>(id);
    if tx.glance::<Watch>(id).is_some() {
        tx.delete_at_once::<Watch>(id);
    }
    tx.put_at_once(Retired { reference: reference.clone(), state: "deleted".to_owned() });
    tx.schedule(REMEMBERED, Event::ReferenceForgotten(reference));
    Ok(json!({}))
}
