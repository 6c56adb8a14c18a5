//! The names of the checks, and how serious they are.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A check, called like its key in `[environments.NAME.policy]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Check {
    AllowedAccounts,
    AllowedRegions,
    AllowedOperations,
    DeniedOperations,
    AllowedActions,
    DeniedActions,
    AllowedCommands,
    AllowedHosts,
    MaxSize,
    MaxInstances,
    MaxWeightStep,
    MinHealthy,
    ProtectedNames,
    ProtectedTags,
    RequiredTags,
    Freeze,
}

impl Check {
    /// Its key.
    pub fn name(self) -> &'static str {
        match self {
            Self::AllowedAccounts => "allowed_accounts",
            Self::AllowedRegions => "allowed_regions",
            Self::AllowedOperations => "allowed_operations",
            Self::DeniedOperations => "denied_operations",
            Self::AllowedActions => "allowed_actions",
            Self::DeniedActions => "denied_actions",
            Self::AllowedCommands => "allowed_commands",
            Self::AllowedHosts => "allowed_hosts",
            Self::MaxSize => "max_size",
            Self::MaxInstances => "max_instances",
            Self::MaxWeightStep => "max_weight_step",
            Self::MinHealthy => "min_healthy",
            Self::ProtectedNames => "protected_names",
            Self::ProtectedTags => "protected_tags",
            Self::RequiredTags => "required_tags",
            Self::Freeze => "freeze",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happens when a check says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The run is refused, and taken back.
    Deny,
    /// It is told, and the run goes on.
    Warn,
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn a_check_has_one_name_everywhere() {
        for check in Check::value_variants() {
            assert_eq!(serde_json::json!(check), check.name());
            assert_eq!(check.to_possible_value().expect("none is hidden").get_name(), check.name());
        }
    }
}
