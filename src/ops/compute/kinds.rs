//! Kinds of other areas that options here take, until these areas have them.

use crate::ops::Kind;

/// A security group.
pub struct SecurityGroup;

impl Kind for SecurityGroup {
    const KIND: &'static str = "security_group";
    const ID: &'static str = "group_id";
}
