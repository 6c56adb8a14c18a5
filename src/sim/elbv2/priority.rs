//! Priorities of rules, several at a time: two rules can change places.

use super::*;

pub const ACTIONS: &[Action] = &[Action {
    name: "SetRulePriorities",
    params: &["RulePriorities[].RuleArn RulePriorities[].Priority"],
    run: set_rule_priorities,
}];

fn set_rule_priorities(tx: &mut Tx, p: &Params) -> Reply {
    let mut changed = Vec::new();
    for change in p.list("RulePriorities") {
        let arn = change.str("RuleArn")?;
        change.int("Priority")?;
        let priority = number(&change, "Priority", 1..=50_000, 0)?;
        rule::is_changeable(tx, arn)?;
        tx.get_mut::<Rule>(arn)?.priority = priority;
        changed.push(arn.to_owned());
    }
    let rules: Vec<&Rule> = tx.all::<Rule>().collect();
    for arn in &changed {
        let rule = tx.get::<Rule>(arn)?;
        let taken = |other: &&&Rule| {
            other.listener == rule.listener && other.priority == rule.priority && other.arn != rule.arn
        };
        if rules.iter().any(|other| taken(&other)) {
            return Err(AwsError::new("PriorityInUse", format!("Priority '{}' is currently in use", rule.priority)));
        }
    }
    let views: Vec<Value> = rules.iter().filter(|rule| changed.contains(&rule.arn)).map(|rule| rule.view(tx)).collect();
    Ok(json!({ "Rules": views }))
}
