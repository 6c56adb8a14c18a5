//! DNS: hosted zones, the records in them, and health checks.

pub mod ensure_health_check;
pub mod ensure_hosted_zone;
pub mod ensure_record;
pub mod find_hosted_zone;
pub mod health_check;
pub mod health_check_status;
pub mod record_set;
pub mod reference;
pub mod shift_dns;
pub mod tags;
pub mod zone;

use serde::Serialize;

use super::Kind;

/// A hosted zone.
#[derive(Debug, Serialize)]
pub struct HostedZone {
    pub hosted_zone_id: String,
    /// Without the dot at its end.
    pub name: String,
    /// Where the parent zone must delegate to.
    pub name_servers: Vec<String>,
}

impl Kind for HostedZone {
    const KIND: &'static str = "hosted_zone";
    const ID: &'static str = "hosted_zone_id";
}

/// A record set.
#[derive(Debug, Serialize)]
pub struct Record {
    /// Without the dot at its end.
    pub name: String,
    pub r#type: String,
    pub hosted_zone_id: String,
    /// Of one of several.
    pub set_identifier: Option<String>,
    /// The weight that it has now, of one of several.
    pub weight: Option<i64>,
}

impl Kind for Record {
    const KIND: &'static str = "record";
    const ID: &'static str = "name";
}

/// A health check.
#[derive(Debug, Serialize)]
pub struct HealthCheck {
    pub health_check_id: String,
    /// `<stack>-<name>`
    pub name: String,
}

impl Kind for HealthCheck {
    const KIND: &'static str = "health_check";
    const ID: &'static str = "health_check_id";
}

/// A domain name as it is compared: lower case, with a dot at its end, and `*` for `\052`, which is how Route 53 shows it.
pub fn normal(name: &str) -> String {
    let name = name.to_ascii_lowercase().replace(r"\052", "*");
    format!("{}.", name.trim_end_matches('.'))
}

/// A domain name as people write it.
pub fn plain(name: &str) -> String {
    normal(name).trim_end_matches('.').to_owned()
}

/// A zone's id without its path.
pub fn bare_id(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}
