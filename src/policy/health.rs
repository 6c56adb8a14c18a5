//! `min_healthy`: how many healthy targets a group has to have before it gets more of the requests.

use std::collections::BTreeMap;

use super::{Health, Known, MinHealthy, facts::name_in};

/// `option` is what the runbook demands itself. A percentage says nothing about it: the targets are not counted yet.
pub(super) fn option(rule: MinHealthy, option: u32) -> Option<String> {
    match rule {
        MinHealthy::Targets(least) if option < least => {
            Some(format!("`min_healthy: {option}` lets traffic go to a group with fewer than {least} healthy targets"))
        }
        MinHealthy::Targets(_) | MinHealthy::Percent(_) => None,
    }
}

/// `groups` are those that a call gives more of the requests, by ARN.
pub(super) fn check(rule: MinHealthy, groups: &BTreeMap<String, Known<Health>>) -> Vec<String> {
    groups.iter().filter_map(|(arn, health)| of_group(rule, name_in(arn), health)).collect()
}

fn of_group(rule: MinHealthy, name: &str, health: &Known<Health>) -> Option<String> {
    let Health { healthy, targets } = match health {
        Ok(health) => *health,
        Err(why) => return Some(format!("{name} would get traffic, and its targets cannot be read: {why}")),
    };
    let (enough, wanted) = match rule {
        MinHealthy::Targets(least) => (healthy >= least, least.to_string()),
        MinHealthy::Percent(percent) => {
            let enough = u64::from(healthy) * 100 >= u64::from(percent) * u64::from(targets);
            (enough && targets > 0, format!("{percent} %"))
        }
    };
    (!enough).then(|| {
        format!("{name} would get traffic with {healthy} of {targets} targets healthy, and {wanted} have to be")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn healthy_enough() {
        let table = [
            (MinHealthy::Targets(2), 2, 5, true),
            (MinHealthy::Targets(2), 1, 1, false),
            (MinHealthy::Targets(0), 0, 0, true),
            (MinHealthy::Percent(50), 1, 2, true),
            (MinHealthy::Percent(50), 1, 3, false),
            (MinHealthy::Percent(100), 3, 3, true),
            (MinHealthy::Percent(100), 0, 0, false),
        ];
        for (rule, healthy, targets, enough) in table {
            let groups = BTreeMap::from([("tg/green/1".to_owned(), Ok(Health { healthy, targets }))]);
            assert_eq!(check(rule, &groups).is_empty(), enough, "{rule:?}: {healthy} of {targets}");
        }
        let one = BTreeMap::from([("tg/green/1".to_owned(), Ok(Health { healthy: 1, targets: 3 }))]);
        assert_eq!(
            check(MinHealthy::Percent(50), &one),
            ["green would get traffic with 1 of 3 targets healthy, and 50 % have to be"]
        );
        let unknown = BTreeMap::from([("tg/green/1".to_owned(), Err("no".to_owned()))]);
        assert_eq!(check(MinHealthy::Targets(0), &unknown).len(), 1, "what cannot be read is refused");
    }

    #[test]
    fn the_option_of_the_runbook() {
        assert!(option(MinHealthy::Targets(2), 1).is_some());
        assert_eq!(option(MinHealthy::Targets(2), 2), None);
        assert_eq!(option(MinHealthy::Percent(50), 0), None);
    }
}
