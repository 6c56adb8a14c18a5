//! The actions of the services this program calls: what a policy can name.
//!
//! `actions.txt` is generated from botocore's service models by `scripts/services.py`.

/// All actions, as `ec2:CreateVpc`.
pub fn actions() -> impl Iterator<Item = &'static str> {
    include_str!("actions.txt").lines()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::actions;

    #[test]
    fn what_only_reads_is_known() {
        let known: BTreeSet<_> = actions().collect();
        let reads: BTreeSet<_> = include_str!("read_only.txt").lines().collect();
        assert!(reads.is_subset(&known));
        assert!(
            ["ec2:CreateVpc", "elasticloadbalancing:ModifyRule", "sts:AssumeRole"].iter().all(|it| known.contains(it))
        );
    }
}
