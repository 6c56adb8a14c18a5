//! The actions that only read: the guard lets them pass undeclared.
//!
//! `read_only.txt` is generated from botocore's service models by `scripts/services.py`.

use std::{collections::BTreeSet, sync::LazyLock};

use super::services;

static READ_ONLY: LazyLock<BTreeSet<&str>> = LazyLock::new(|| include_str!("read_only.txt").lines().collect());

/// Whether `action` (`ec2:DescribeVpcs`) changes nothing and hands out no credentials.
pub fn is_read_only(action: &str) -> bool {
    READ_ONLY.contains(action) || action.split_once(':').is_some_and(|(prefix, name)| services::reads(prefix, name))
}

#[cfg(test)]
mod tests {
    use super::is_read_only;

    #[test]
    fn reads_pass_and_changes_do_not() {
        assert!(is_read_only("ec2:DescribeVpcs"));
        assert!(is_read_only("route53:GetChange"));
        for action in [
            "ec2:CreateVpc",
            "ec2:GetPasswordData",
            "sts:AssumeRole",
            "sts:GetSessionToken",
            "iam:PassRole",
            "lambda:Invoke",
        ] {
            assert!(!is_read_only(action), "{action}");
        }
    }
}
