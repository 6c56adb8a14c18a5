//! Availability zones: how many, or which.

use aws_sdk_ec2::types::AvailabilityZoneState;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use super::common::filter;
use crate::{
    ops::{Error, describe},
    run::Ctx,
};

/// How many availability zones, or the names of them.
#[derive(Clone, Debug)]
pub enum Zones {
    Count(usize),
    Names(Vec<String>),
}

impl<'de> Deserialize<'de> for Zones {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "how many availability zones, or a list of their names";
        let value = Value::deserialize(deserializer)?;
        let wrong = || D::Error::custom(format!("expected {EXPECTED}, found {}", describe(&value)));
        match &value {
            Value::Number(count) => {
                let count = count.as_u64().and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
                count.map(Self::Count).ok_or_else(wrong)
            }
            Value::Array(names) if !names.is_empty() => {
                let names: Option<Vec<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
                let names = names.ok_or_else(wrong)?;
                match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
                    Some((_, twice)) => Err(D::Error::custom(format!("{twice:?} is named twice"))),
                    None => Ok(Self::Names(names)),
                }
            }
            _ => Err(wrong()),
        }
    }
}

impl JsonSchema for Zones {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "zones".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "array"], "items": { "type": "string" } })
    }
}

/// The region's zones that anybody can use, by name. Local and wavelength zones must be named.
pub async fn of_region(ctx: &Ctx) -> Result<Vec<String>, Error> {
    let reply = ctx
        .read("ec2:DescribeAvailabilityZones", || {
            ctx.aws().ec2.describe_availability_zones().filters(filter("zone-type", "availability-zone")).send()
        })
        .await?;
    let mut names: Vec<String> = reply
        .availability_zones()
        .iter()
        .filter(|zone| zone.state() == Some(&AvailabilityZoneState::Available))
        .filter(|zone| zone.zone_type().is_none_or(|kind| kind == "availability-zone"))
        .filter_map(|zone| zone.zone_name().map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

/// Picks `count` of what there is for each zone: what is in use first, so that a network stays where it is.
///
/// # Errors
/// If there are not so many.
pub fn pick<T>(
    count: usize,
    candidates: Vec<T>,
    in_use: impl Fn(&T) -> bool,
    zone: impl Fn(&T) -> &str,
) -> Result<Vec<T>, Error> {
    if candidates.len() < count {
        let zones: Vec<&str> = candidates.iter().map(zone).collect();
        let message = format!("expected at most {}, found {count}: the region has {}", zones.len(), zones.join(", "));
        return Err(Error::option("availability_zones", message));
    }
    let (mut picked, others): (Vec<T>, Vec<T>) = candidates.into_iter().partition(in_use);
    picked.extend(others);
    picked.truncate(count);
    picked.sort_by(|a, b| zone(a).cmp(zone(b)));
    Ok(picked)
}
