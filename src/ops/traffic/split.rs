//! How a forward action divides traffic: weights by target group.

use std::collections::BTreeMap;

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, ForwardActionConfig, TargetGroupStickinessConfig, TargetGroupTuple,
};
use serde::{Deserialize, Serialize};

/// Weights by the ARN of the target group, and the stickiness between groups. In journals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    weights: BTreeMap<String, i32>,
    /// Whether users stay with a group, and for how many seconds.
    stickiness: Option<(bool, Option<i32>)>,
}

impl Split {
    /// What the forward action among `actions` does, if there is one.
    pub fn of(actions: &[Action]) -> Option<Self> {
        let action = actions.iter().find(|action| is_forward(action))?;
        let Some(config) = action.forward_config() else {
            // The short form: one group gets everything.
            let weights = action.target_group_arn().map(|arn| (arn.to_owned(), 1)).into_iter().collect();
            return Some(Self { weights, stickiness: None });
        };
        let weights = config
            .target_groups()
            .iter()
            // AWS's default weight is 1.
            .filter_map(|group| Some((group.target_group_arn()?.to_owned(), group.weight().unwrap_or(1))))
            .collect();
        let stickiness = config
            .target_group_stickiness_config()
            .map(|config| (config.enabled().unwrap_or(false), config.duration_seconds()))
            // Off is the default, however it is said.
            .filter(|(enabled, _)| *enabled);
        Some(Self { weights, stickiness })
    }

    /// `actions` with this division in their forward action.
    pub fn write(&self, actions: &[Action]) -> Vec<Action> {
        let groups = self.weights.iter();
        let groups =
            groups.map(|(arn, weight)| TargetGroupTuple::builder().target_group_arn(arn).weight(*weight).build());
        let stickiness = self.stickiness.map(|(enabled, seconds)| {
            TargetGroupStickinessConfig::builder().enabled(enabled).set_duration_seconds(seconds).build()
        });
        let config = ForwardActionConfig::builder()
            .set_target_groups(Some(groups.collect()))
            .set_target_group_stickiness_config(stickiness)
            .build();
        actions.iter().map(|action| with(action, &config)).collect()
    }

    pub fn groups(&self) -> impl Iterator<Item = (&str, i32)> {
        self.weights.iter().map(|(arn, weight)| (arn.as_str(), *weight))
    }

    pub fn weight(&self, group: &str) -> Option<i32> {
        self.weights.get(group).copied()
    }

    /// The part of all traffic that `group` gets, in percent.
    pub fn percent(&self, group: &str) -> u32 {
        let all: i32 = self.weights.values().sum();
        let own = self.weight(group).unwrap_or(0);
        if all == 0 { 0 } else { u32::try_from(own * 100 / all).unwrap_or(0) }
    }

    /// The same with another weight for `group`.
    #[must_use]
    pub fn with(&self, group: &str, weight: i32) -> Self {
        let mut split = self.clone();
        split.weights.insert(group.to_owned(), weight);
        split
    }

    /// `to` gets `percent` of the traffic, `from` the rest, everybody else nothing.
    #[must_use]
    pub fn moved(&self, from: Option<&str>, to: &str, percent: u32) -> Self {
        let percent = i32::try_from(percent).unwrap_or(100);
        let mut split = self.clone();
        split.weights.values_mut().for_each(|weight| *weight = 0);
        if let Some(from) = from {
            split.weights.insert(from.to_owned(), 100 - percent);
        }
        split.weights.insert(to.to_owned(), percent);
        split
    }
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shares: Vec<String> = self.groups().map(|(arn, weight)| format!("{} {weight}", group_name(arn))).collect();
        f.write_str(&shares.join(", "))
    }
}

/// The name of a target group, which is part of its ARN: `…:targetgroup/NAME/ID`.
pub fn group_name(arn: &str) -> &str {
    arn.split('/').nth(1).unwrap_or(arn)
}

fn is_forward(action: &Action) -> bool {
    action.r#type() == Some(&ActionTypeEnum::Forward)
}

fn with(action: &Action, config: &ForwardActionConfig) -> Action {
    let mut action = action.clone();
    if is_forward(&action) {
        action.target_group_arn = None;
        action.forward_config = Some(config.clone());
    }
    // AWS does not tell the secret it has; without this it would have to be given again.
    if let Some(oidc) = &mut action.authenticate_oidc_config
        && oidc.client_secret.is_none()
    {
        oidc.use_existing_client_secret = Some(true);
    }
    action
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(groups: &[(&str, i32)]) -> Vec<Action> {
        let groups = groups
            .iter()
            .map(|(arn, weight)| TargetGroupTuple::builder().target_group_arn(*arn).weight(*weight).build());
        let config = ForwardActionConfig::builder().set_target_groups(Some(groups.collect())).build();
        vec![Action::builder().r#type(ActionTypeEnum::Forward).forward_config(config).build()]
    }

    #[test]
    fn a_split_goes_into_an_action_and_comes_out_again() {
        let split = Split::of(&forward(&[("blue", 1)])).expect("a forward").with("green", 0);
        let actions = split.write(&forward(&[("blue", 1)]));
        assert_eq!(Split::of(&actions), Some(split));
    }

    #[test]
    fn moving_gives_the_rest_to_the_other_and_nothing_to_anybody_else() {
        let split = Split::of(&forward(&[("blue", 1), ("old", 0)])).expect("a forward");
        let moved = split.moved(Some("blue"), "green", 10);
        assert_eq!(moved.groups().collect::<Vec<_>>(), [("blue", 90), ("green", 10), ("old", 0)]);
        assert_eq!(moved.percent("green"), 10);
        assert_eq!(moved.moved(Some("blue"), "green", 100).percent("green"), 100);
    }
}
