//! Compute: images, launch templates and Auto Scaling groups.

pub mod asg;
pub mod asg_hooks;
pub mod asg_metrics;
pub mod asg_options;
pub mod asg_policies;
pub mod asg_settings;
pub mod asg_targets;
pub mod drain;
pub mod ensure_launch_template;
pub mod ensure_scaling_policy;
pub mod ensure_scheduled_action;
pub mod find_asg;
pub mod find_image;
pub mod launch_asg;
pub mod retire_asg;
pub mod scale_asg;
pub mod sizes;
mod template_content;
pub mod template_options;
pub mod traffic_guard;

use serde::Serialize;

use super::{Kind, Tags};

/// An image.
#[derive(Debug, Serialize)]
pub struct Image {
    pub image_id: String,
    pub name: String,
    pub owner_id: String,
    pub creation_date: String,
    pub architecture: String,
    pub root_device_name: String,
}

impl Kind for Image {
    const KIND: &'static str = "image";
    const ID: &'static str = "image_id";
}

/// One version of a launch template.
#[derive(Debug, Serialize)]
pub struct LaunchTemplate {
    pub launch_template_id: String,
    pub launch_template_name: String,
    /// The number: groups are pinned to it, never to `$Latest`.
    pub version: i64,
}

impl Kind for LaunchTemplate {
    const KIND: &'static str = "launch_template";
    const ID: &'static str = "launch_template_id";
}

/// Whether a launch template has a version of some content.
#[derive(Debug, Default, Serialize)]
pub struct LaunchTemplateComparison {
    /// Empty if there is no such template.
    pub launch_template_id: String,
    pub launch_template_name: String,
    pub matches: bool,
    /// The version that has the content.
    pub version: Option<i64>,
}

impl Kind for LaunchTemplateComparison {
    const KIND: &'static str = "launch_template_comparison";
    const ID: &'static str = "launch_template_id";
}

/// An Auto Scaling group, as it was when the operation ended.
#[derive(Debug, Default, Serialize)]
pub struct AutoScalingGroup {
    /// False if there is no such group; then only the name says something.
    pub exists: bool,
    /// The same as `auto_scaling_group_name`.
    pub name: String,
    pub auto_scaling_group_name: String,
    pub auto_scaling_group_arn: String,
    pub min_size: i32,
    pub max_size: i32,
    pub desired_capacity: i32,
    pub launch_template_id: String,
    /// The number, if the group is pinned to one.
    pub launch_template_version: Option<i64>,
    pub target_group_arns: Vec<String>,
    pub subnet_ids: Vec<String>,
    pub instance_ids: Vec<String>,
    /// How many instances are in service and healthy.
    pub in_service: usize,
    pub tags: Tags,
}

impl AutoScalingGroup {
    /// A group that is not there.
    pub fn absent(name: String) -> Self {
        Self { name: name.clone(), auto_scaling_group_name: name, ..Self::default() }
    }
}

impl Kind for AutoScalingGroup {
    const KIND: &'static str = "auto_scaling_group";
    const ID: &'static str = "auto_scaling_group_name";
}

/// A scaling policy that an alarm can tell to scale.
#[derive(Debug, Serialize)]
pub struct ScalingPolicy {
    pub policy_arn: String,
    pub policy_name: String,
    pub auto_scaling_group_name: String,
}

impl Kind for ScalingPolicy {
    const KIND: &'static str = "scaling_policy";
    const ID: &'static str = "policy_arn";
}

/// A scheduled action.
#[derive(Debug, Serialize)]
pub struct ScheduledAction {
    pub scheduled_action_name: String,
    pub auto_scaling_group_name: String,
}

impl Kind for ScheduledAction {
    const KIND: &'static str = "scheduled_action";
    const ID: &'static str = "scheduled_action_name";
}
