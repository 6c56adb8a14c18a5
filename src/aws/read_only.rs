//! The actions that only read: the guard lets them pass undeclared.
//!
//! `read_only.txt` is generated from botocore's service models by `scripts/read_only.py`.

use std::{collections::BTreeSet, sync::LazyLock};

static READ_ONLY: LazyLock<BTreeSet<&str>> = LazyLock::new(|| include_str!("read_only.txt").lines().collect());

/// Whether `action` (`ec2:DescribeVpcs`) changes nothing and hands out no credentials.
pub fn is_read_only(action: &str) -> bool {
    READ_ONLY.contains(action)
}

#[cfg(test)]
mod tests {
    use super::is_read_only;

    #[test]
    fn reads_pass_and_changes_do_not() {
        assert!(is_read_only("ec2:DescribeVpcs"));
        assert!(is_read_only("route53:GetChange"));
        for action in ["ec2:CreateVpc", "ec2:GetPasswordData", "sts:AssumeRole", "sts:GetSessionToken", "iam:PassRole"]
        {
            assert!(!is_read_only(action), "{action}");
        }
    }
}
