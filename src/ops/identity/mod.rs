//! Identity: roles, policies and the instance profiles that carry roles onto instances.

mod document;
pub mod ensure_instance_profile;
pub mod ensure_policy;
pub mod ensure_role;
mod role_aspect;
pub mod tags;

pub use document::{PolicyDocument, same as same_policy};
pub use role_aspect::RESTORE_ROLE;

use serde::Serialize;

use super::Kind;

/// What IAM says when something is not there.
const GONE: &[&str] = &["NoSuchEntity"];

/// A role.
#[derive(Debug, Serialize)]
pub struct Role {
    pub role_name: String,
    pub arn: String,
    pub role_id: String,
    pub path: String,
}

impl Kind for Role {
    const KIND: &'static str = "role";
    const ID: &'static str = "role_name";
}

/// A managed policy.
#[derive(Debug, Serialize)]
pub struct Policy {
    pub arn: String,
    pub policy_name: String,
    pub policy_id: String,
    pub default_version_id: String,
}

impl Kind for Policy {
    const KIND: &'static str = "policy";
    const ID: &'static str = "arn";
}

/// An instance profile.
#[derive(Debug, Serialize)]
pub struct InstanceProfile {
    pub instance_profile_name: String,
    pub arn: String,
    pub instance_profile_id: String,
    pub role_name: String,
}

impl Kind for InstanceProfile {
    const KIND: &'static str = "instance_profile";
    const ID: &'static str = "instance_profile_name";
}
