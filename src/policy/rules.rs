//! `[environments.NAME.policy]`: its keys and their types.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::{Check, Pattern, freeze::Window};
use crate::{aws, ops::catalog::OPERATIONS, script::suggest};

/// The rules of one environment. A rule that is not there allows everything, but for what happens outside AWS: that is allowed
/// by name, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Account ids.
    #[serde(deserialize_with = "accounts")]
    pub allowed_accounts: Option<Vec<String>>,
    pub allowed_regions: Option<Vec<Pattern>>,
    #[serde(deserialize_with = "some_operations")]
    pub allowed_operations: Option<Vec<Pattern>>,
    #[serde(deserialize_with = "operations")]
    pub denied_operations: Vec<Pattern>,
    /// Of calls that change something; reads need not be listed.
    #[serde(deserialize_with = "some_actions")]
    pub allowed_actions: Option<Vec<Pattern>>,
    /// Of all calls.
    #[serde(deserialize_with = "actions")]
    pub denied_actions: Vec<Pattern>,
    /// Programs that `exec` may run, as the runbook writes them.
    pub allowed_commands: Vec<Pattern>,
    /// Hosts that `http_request` and `notify` may write to.
    pub allowed_hosts: Vec<Pattern>,
    /// Of one Auto Scaling group.
    #[serde(deserialize_with = "instances")]
    pub max_size: Option<u32>,
    /// Of all Auto Scaling groups of the stack together.
    #[serde(deserialize_with = "instances")]
    pub max_instances: Option<u32>,
    /// In percentage points.
    #[serde(deserialize_with = "points")]
    pub max_weight_step: Option<u32>,
    pub min_healthy: Option<MinHealthy>,
    pub protected_names: Vec<Pattern>,
    /// By key; the value is a pattern.
    pub protected_tags: BTreeMap<String, Pattern>,
    /// By key; the value is a pattern.
    pub required_tags: BTreeMap<String, Pattern>,
    pub freeze: Vec<Window>,
    /// Whether a run's approvals have to come from somebody else than whoever started it.
    pub other_reviewer: bool,
    /// Checks that only warn.
    pub warn: Vec<Check>,
    /// Checks that a person may set aside with `--override`.
    pub overridable: Vec<Check>,
}

/// How many targets of a group have to be healthy before it gets traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinHealthy {
    Targets(u32),
    Percent(u32),
}

impl<'de> Deserialize<'de> for MinHealthy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = toml::Value::deserialize(deserializer)?;
        let read = match &found {
            toml::Value::Integer(number) => u32::try_from(*number).ok().map(Self::Targets),
            toml::Value::String(text) => {
                let number = text.strip_suffix('%').and_then(|number| number.trim_end().parse().ok());
                number.filter(|percent| *percent <= 100).map(Self::Percent)
            }
            _ => None,
        };
        read.ok_or_else(|| {
            D::Error::custom(format!("expected a number of targets or a percentage such as \"50%\", found {found}"))
        })
    }
}

fn accounts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let ids = Vec::<String>::deserialize(deserializer)?;
    match ids.iter().find(|id| id.len() != 12 || !id.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(other) => Err(D::Error::custom(format!("expected account ids of 12 digits, found {other:?}"))),
        None => Ok(Some(ids)),
    }
}

/// What matches no operation is a slip, and would leave open what was meant to be closed.
fn operations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pattern>, D::Error> {
    let patterns = Vec::<Pattern>::deserialize(deserializer)?;
    let names = || OPERATIONS.iter().map(|entry| entry.name);
    match patterns.iter().find(|pattern| !names().any(|name| pattern.matches(name))) {
        Some(other) => {
            let names = names().collect::<Vec<_>>().join("`, `");
            Err(D::Error::custom(format!("unknown variant `{other}`, expected one of `{names}`")))
        }
        None => Ok(patterns),
    }
}

fn some_operations<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Pattern>>, D::Error> {
    operations(deserializer).map(Some)
}

fn actions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Pattern>, D::Error> {
    let patterns = Vec::<Pattern>::deserialize(deserializer)?;
    match patterns.iter().find_map(|pattern| no_action(pattern.as_str(), pattern)) {
        Some(message) => Err(D::Error::custom(message)),
        None => Ok(patterns),
    }
}

/// Why a pattern is that of no action. Of services that this program never calls, any action is taken for one.
fn no_action(text: &str, pattern: &Pattern) -> Option<String> {
    if text == "*" {
        return None;
    }
    let Some((service, _)) = text.split_once(':') else {
        return Some(format!("expected actions as IAM names them, such as \"ec2:Delete*\", found {text:?}"));
    };
    let service = service.to_lowercase();
    let of_service = || aws::actions().filter(|action| action.split(':').next() == Some(service.as_str()));
    if of_service().next().is_none() || of_service().any(|action| pattern.matches(action)) {
        return None;
    }
    let same_case: Vec<(String, &str)> = of_service().map(|action| (action.to_lowercase(), action)).collect();
    let nearest = suggest::closest(text, same_case.iter().map(|(lower, _)| lower.as_str()));
    let nearest = same_case.iter().find(|(lower, _)| nearest == Some(lower)).map(|(_, action)| action);
    // The form of serde, whose words the settings know.
    Some(match nearest {
        Some(nearest) => format!("unknown variant `{text}`, expected `{nearest}`"),
        None => format!(
            "expected an action of {service}, or a pattern of some such as \"{service}:Describe*\", found {text:?}"
        ),
    })
}

fn some_actions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Pattern>>, D::Error> {
    actions(deserializer).map(Some)
}

fn instances<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let found = i64::deserialize(deserializer)?;
    let number = u32::try_from(found);
    number.map(Some).map_err(|_| D::Error::custom(format!("expected a number of instances, found {found}")))
}

fn points<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    match i64::deserialize(deserializer)? {
        points @ 1..=100 => Ok(u32::try_from(points).ok()),
        other => Err(D::Error::custom(format!("expected percentage points from 1 to 100, found {other}"))),
    }
}
