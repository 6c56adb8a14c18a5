//! placeholder
use super::Kind;
pub struct TargetGroup;
impl Kind for TargetGroup {
    const KIND: &'static str = "target_group";
    const ID: &'static str = "target_group_arn";
}
