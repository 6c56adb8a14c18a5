//! From `runner.toml`, environment and flags to one resolved struct per verb.

use std::collections::BTreeMap;

/// One `[environments.NAME]` of `runner.toml`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Environment {
    pub name: String,
    pub region: Option<String>,
    pub account_id: Option<String>,
    pub role_arn: Option<String>,
    pub external_id: Option<String>,
    pub target: Option<Target>,
    pub vars: serde_json::Map<String, serde_json::Value>,
    pub default_tags: BTreeMap<String, String>,
}

/// Where calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Aws,
    Sim,
}
