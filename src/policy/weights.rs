//! `max_weight_step`: how many percentage points one change of a route may take from the target groups it had.
//!
//! What counts is what leaves a group, so the first deploy of a service, which takes nothing from anybody, is free. A
//! new route takes nothing either.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Call, Known, Share,
    call::{elements, number},
    facts::name_in,
};

/// How the route that a call changes is to spread its requests, if the call says so.
pub fn asked(call: &Call<'_>) -> Option<Vec<Share>> {
    let actions = match call.action {
        "elasticloadbalancing:ModifyListener" => "DefaultActions",
        "elasticloadbalancing:ModifyRule" => "Actions",
        _ => return None,
    };
    let actions = call.at(actions);
    (!actions.is_empty()).then(|| actions.into_iter().flat_map(shares).collect())
}

/// Of one action; only a forward has any.
fn shares(action: &Value) -> Vec<Share> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let groups = action.pointer("/ForwardConfig/TargetGroups").map(elements).unwrap_or_default();
    let weighted = groups.iter().filter_map(|group| {
        let weight = group.get("Weight").and_then(number).unwrap_or(1);
        Some(Share { target_group: text(group, "TargetGroupArn")?, weight })
    });
    let shares: Vec<Share> = weighted.collect();
    match text(action, "TargetGroupArn") {
        Some(target_group) if shares.is_empty() => vec![Share { target_group, weight: 1 }],
        _ => shares,
    }
}

/// Weights by group, and their sum.
fn spread(shares: &[Share]) -> (BTreeMap<&str, u64>, u64) {
    let weights = shares.iter().map(|share| (share.target_group.as_str(), u64::from(share.weight)));
    (weights.collect(), shares.iter().map(|share| u64::from(share.weight)).sum())
}

/// The groups that get a larger part than they had.
pub fn gaining<'s>(before: &[Share], after: &'s [Share]) -> Vec<&'s str> {
    let ((had, all_before), (has, all_after)) = (spread(before), spread(after));
    let gains = |(group, weight): &(&str, u64)| {
        weight * all_before.max(1) > had.get(group).copied().unwrap_or_default() * all_after
    };
    has.into_iter().filter(|share| gains(share)).map(|(group, _)| group).collect()
}

pub(super) fn check(limit: u32, call: &Call<'_>, before: &Known<Vec<Share>>) -> Option<String> {
    let after = asked(call)?;
    let before = match before {
        Ok(before) => before,
        Err(why) => return Some(format!("the weights of {} cannot be compared: {why}", call.resource)),
    };
    let ((had, all_before), (has, all_after)) = (spread(before), spread(&after));
    // Parts of all_before * all_after, so that nothing is rounded.
    let (sum_before, sum_after) = (all_before.max(1), all_after.max(1));
    let left: u64 = had
        .iter()
        .map(|(group, weight)| {
            (weight * sum_after).saturating_sub(has.get(group).copied().unwrap_or_default() * sum_before)
        })
        .sum();
    if left * 100 <= u64::from(limit) * sum_before * sum_after {
        return None;
    }
    let points = (left * 100).div_ceil(sum_before * sum_after);
    Some(format!(
        "{points} percentage points of {} would move at once ({} to {}), and {limit} are the most",
        call.resource,
        words(before),
        words(&after)
    ))
}

/// `blue 90, green 10`
fn words(shares: &[Share]) -> String {
    let one = |share: &Share| format!("{} {}", name_in(&share.target_group), share.weight);
    if shares.is_empty() { "nobody".to_owned() } else { shares.iter().map(one).collect::<Vec<_>>().join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spread_of(weights: &[(&str, u32)]) -> Vec<Share> {
        weights.iter().map(|(group, weight)| Share { target_group: format!("tg/{group}/1"), weight: *weight }).collect()
    }

    fn parameters(shares: &[Share]) -> Value {
        let groups: Vec<Value> = shares
            .iter()
            .map(|share| json!({ "TargetGroupArn": share.target_group, "Weight": share.weight.to_string() }))
            .collect();
        json!({ "ListenerArn": "arn", "DefaultActions": [{ "Type": "forward", "ForwardConfig": { "TargetGroups": groups } }] })
    }

    fn said(limit: u32, before: &[(&str, u32)], after: &[(&str, u32)]) -> Option<String> {
        let parameters = parameters(&spread_of(after));
        let call = Call { action: "elasticloadbalancing:ModifyListener", resource: "web:443", parameters: &parameters };
        check(limit, &call, &Ok(spread_of(before)))
    }

    #[test]
    fn what_leaves_a_group_counts() {
        let table: [(&[_], &[_], u32); 10] = [
            (&[("blue", 100)], &[("blue", 100), ("green", 0)], 0),
            (&[("blue", 100), ("green", 0)], &[("blue", 90), ("green", 10)], 10),
            (&[("blue", 90), ("green", 10)], &[("blue", 50), ("green", 50)], 40),
            (&[("blue", 50), ("green", 50)], &[("blue", 0), ("green", 100)], 50),
            (&[("blue", 1), ("green", 0)], &[("blue", 3), ("green", 1)], 25),
            (&[("blue", 2), ("green", 1)], &[("blue", 1), ("green", 2)], 34),
            (&[("blue", 100)], &[("green", 100)], 100),
            (&[("blue", 50), ("green", 50)], &[("blue", 100)], 50),
            (&[], &[("green", 100)], 0),
            (&[("blue", 0)], &[("blue", 0), ("green", 100)], 0),
        ];
        for (before, after, points) in table {
            assert_eq!(said(points, before, after), None, "{before:?} to {after:?}");
            if points > 0 {
                let refused = said(points - 1, before, after).unwrap_or_else(|| panic!("{before:?} to {after:?}"));
                assert!(refused.starts_with(&format!("{points} percentage points of web:443")), "{refused}");
            }
        }
        assert_eq!(
            said(25, &[("blue", 100)], &[("blue", 50), ("green", 50)]).expect("too much"),
            "50 percentage points of web:443 would move at once (blue 100 to blue 50, green 50), and 25 are the most"
        );
    }

    #[test]
    fn other_forms_of_an_action() {
        let plain = json!({ "RuleArn": "arn", "Actions": [{ "Type": "forward", "TargetGroupArn": "tg/green/1" }] });
        let plain = Call { action: "elasticloadbalancing:ModifyRule", resource: "rule", parameters: &plain };
        assert_eq!(asked(&plain), Some(vec![Share { target_group: "tg/green/1".into(), weight: 1 }]));
        assert!(check(99, &plain, &Ok(spread_of(&[("blue", 1)]))).is_some());

        let fixed = json!({ "ListenerArn": "arn", "DefaultActions": [{ "Type": "fixed-response" }] });
        let fixed = Call { action: "elasticloadbalancing:ModifyListener", resource: "web:443", parameters: &fixed };
        let all_gone = check(99, &fixed, &Ok(spread_of(&[("blue", 1)]))).expect("all of it leaves");
        assert!(all_gone.starts_with("100 percentage points"), "{all_gone}");

        let port = json!({ "ListenerArn": "arn", "Port": "80" });
        let port = Call { action: "elasticloadbalancing:ModifyListener", resource: "web:443", parameters: &port };
        assert_eq!(asked(&port), None, "nothing is said about traffic");
        assert!(check(1, &plain, &Err("no".into())).is_some(), "what cannot be compared is refused");
    }

    #[test]
    fn who_gains() {
        let gains = |before: &[_], after: &[_]| {
            let (before, after) = (spread_of(before), spread_of(after));
            gaining(&before, &after).into_iter().map(|arn| name_in(arn).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(gains(&[("blue", 100), ("green", 0)], &[("blue", 90), ("green", 10)]), ["green"]);
        assert_eq!(gains(&[("blue", 9), ("green", 1)], &[("blue", 90), ("green", 10)]), [""; 0]);
        assert_eq!(gains(&[("blue", 100)], &[("blue", 100), ("green", 0)]), [""; 0]);
        assert_eq!(gains(&[], &[("green", 100)]), ["green"]);
        assert_eq!(gains(&[("blue", 50), ("green", 50)], &[("blue", 100)]), ["blue"]);
    }
}
