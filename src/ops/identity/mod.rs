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

use super::{Error, IdOf, Kind};
use crate::run::Ctx;

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

/// A role where AWS wants its ARN. Its name alone does not say under which path it is.
#[derive(Debug)]
pub enum RoleArn {}

impl Kind for RoleArn {
    const KIND: &'static str = Role::KIND;
    const ID: &'static str = "arn";
}

/// The ARN of a role that is given by its handle, its ARN or its name, which is unique in an account.
///
/// # Errors
/// [`Error::NotFound`] if there is no role of that name.
pub async fn role_arn(ctx: &Ctx, role: &IdOf<RoleArn>) -> Result<String, Error> {
    if role.as_str().starts_with("arn:") {
        return Ok(role.to_string());
    }
    let found = ensure_role::find(ctx, role.as_str()).await?.map(|found| found.arn);
    let hint = || Some("`ensure_role` makes one; a role of another account is given by its ARN".to_owned());
    found.ok_or_else(|| Error::NotFound { what: format!("role {role}"), hint: hint() })
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
