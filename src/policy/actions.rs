//! `allowed_…` and `denied_…` of operations and of AWS actions.

use super::{Pattern, pattern::listed};

/// `what` is `` `ensure_vpc` `` or `ec2:CreateVpc for vpc main`, `name` what the patterns are about.
pub(super) fn allowed(patterns: &[Pattern], name: &str, what: &str) -> Option<String> {
    let refused = !patterns.iter().any(|pattern| pattern.matches(name));
    refused.then(|| format!("{what} is not among what is allowed: {}", listed(patterns)))
}

pub(super) fn denied(patterns: &[Pattern], name: &str, what: &str) -> Option<String> {
    let by = patterns.iter().find(|pattern| pattern.matches(name))?;
    Some(format!("{what} is denied by `{by}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names() {
        let patterns: Vec<Pattern> =
            serde_json::from_value(serde_json::json!(["ec2:Delete*", "iam:*"])).expect("patterns");
        let table = [
            ("ec2:DeleteVpc", true),
            ("iam:CreateRole", true),
            ("ec2:CreateVpc", false),
            ("autoscaling:DeleteGroup", false),
        ];
        for (action, matches) in table {
            assert_eq!(allowed(&patterns, action, action).is_none(), matches, "{action}");
            assert_eq!(denied(&patterns, action, action).is_some(), matches, "{action}");
        }
        assert_eq!(denied(&patterns, "ec2:DeleteVpc", "x").expect("denied"), "x is denied by `ec2:Delete*`");
        assert_eq!(
            allowed(&patterns, "ec2:CreateVpc", "x").expect("not allowed"),
            "x is not among what is allowed: `ec2:Delete*`, `iam:*`"
        );
        assert!(allowed(&[], "ec2:CreateVpc", "x").is_some() && denied(&[], "ec2:CreateVpc", "x").is_none());
    }
}
