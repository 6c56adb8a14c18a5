//! `allowed_accounts` and `allowed_regions`: where calls may go.

use super::{Pattern, pattern::listed};

pub(super) fn account(allowed: &[String], account: &str) -> Option<String> {
    let all = || allowed.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
    (!allowed.iter().any(|id| id == account))
        .then(|| format!("calls would go to account {account}, and only {} may be used", all()))
}

pub(super) fn region(allowed: &[Pattern], region: &str) -> Option<String> {
    let refused = !allowed.iter().any(|pattern| pattern.matches(region));
    refused.then(|| format!("calls would go to region {region}, and only {} may be used", listed(allowed)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::rules::Rules;

    #[test]
    fn only_what_is_listed() {
        let rules: Rules =
            toml::from_str(r#"allowed_accounts = ["123456789012"]  allowed_regions = ["eu-*", "us-east-1"]"#.replace("  ", "\n").as_str())
                .expect("rules");
        let (accounts, regions) = (rules.allowed_accounts.expect("a list"), rules.allowed_regions.expect("a list"));
        assert_eq!(account(&accounts, "123456789012"), None);
        assert_eq!(
            account(&accounts, "999999999999").expect("refused"),
            "calls would go to account 999999999999, and only `123456789012` may be used"
        );
        assert_eq!((region(&regions, "eu-west-1"), region(&regions, "us-east-1")), (None, None));
        assert_eq!(
            region(&regions, "us-east-2").expect("refused"),
            "calls would go to region us-east-2, and only `eu-*`, `us-east-1` may be used"
        );
        assert!(region(&[], "eu-west-1").is_some(), "an empty list allows nothing");
    }
}
