//! Members of a group: the instances in it, and where each is in its life.

use std::collections::BTreeMap;

use super::*;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Template {
    pub id: String,
    pub name: String,
    /// As it was given: `$Latest`, `$Default` or a number.
    pub version: String,
}

/// An instance of the group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    pub instance: String,
    pub instance_type: String,
    pub image: String,
    pub zone: String,
    pub template: Template,
    pub state: Lifecycle,
    pub healthy: bool,
    pub protected: bool,
    pub launched: jiff::Timestamp,
    pub in_service_since: Option<jiff::Timestamp>,
    /// The activity that is about it now.
    pub activity: String,
    /// Hooks it waits for, and the token of each.
    pub waits_for: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Lifecycle {
    Pending,
    #[serde(rename = "Pending:Wait")]
    PendingWait,
    #[serde(rename = "Pending:Proceed")]
    PendingProceed,
    InService,
    Terminating,
    #[serde(rename = "Terminating:Wait")]
    TerminatingWait,
    #[serde(rename = "Terminating:Proceed")]
    TerminatingProceed,
    // Nobody brings an instance here into these: they are read.
    EnteringStandby,
    Standby,
    Detaching,
}

impl Lifecycle {
    pub fn is_leaving(self) -> bool {
        matches!(self, Self::Terminating | Self::TerminatingWait | Self::TerminatingProceed)
    }

    /// Whether the instance is one of those the group is to have.
    pub fn counts(self) -> bool {
        !self.is_leaving() && !matches!(self, Self::EnteringStandby | Self::Standby | Self::Detaching)
    }

    /// The state that AWS shows; `None` for an instance that is no member any more, or not yet.
    fn read(shown: &str) -> Option<Self> {
        Some(match shown {
            "Pending" => Self::Pending,
            "Pending:Wait" => Self::PendingWait,
            "Pending:Proceed" => Self::PendingProceed,
            "Terminating" => Self::Terminating,
            "Terminating:Wait" | "Terminating:Retained" => Self::TerminatingWait,
            "Terminating:Proceed" => Self::TerminatingProceed,
            "EnteringStandby" => Self::EnteringStandby,
            "Standby" => Self::Standby,
            "Detaching" => Self::Detaching,
            "Detached" | "Terminated" | "Quarantined" => return None,
            // Those of a warm pool.
            other if other.starts_with("Warmed:") => return None,
            _ => Self::InService,
        })
    }
}

impl Template {
    /// The inverse of `view`.
    pub fn read(shown: &Params) -> Template {
        let (id, name) = (shown.text("LaunchTemplateId"), shown.text("LaunchTemplateName"));
        Template { id, name, version: shown.text("Version") }
    }

    pub fn view(&self) -> Value {
        json!({ "LaunchTemplateId": self.id, "LaunchTemplateName": self.name, "Version": self.version })
    }
}

impl Member {
    /// The inverse of how a group shows it.
    pub fn shown(shown: &Params) -> Option<Member> {
        Some(Member {
            instance: shown.text("InstanceId"),
            instance_type: shown.text("InstanceType"),
            image: shown.text("ImageId"),
            zone: shown.text("AvailabilityZone"),
            template: Template::read(&shown.part("LaunchTemplate")),
            state: Lifecycle::read(shown.opt_str("LifecycleState")?)?,
            healthy: shown.opt_str("HealthStatus") != Some("Unhealthy"),
            protected: shown.flag("ProtectedFromScaleIn"),
            launched: jiff::Timestamp::UNIX_EPOCH,
            in_service_since: None,
            activity: String::new(),
            waits_for: BTreeMap::new(),
        })
    }
}
