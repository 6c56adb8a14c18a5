//! Compute: images, launch templates and Auto Scaling groups.

pub mod ensure_launch_template;
pub mod find_image;
mod kinds;
mod template_content;
pub mod template_options;

use serde::Serialize;

use super::Kind;

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
