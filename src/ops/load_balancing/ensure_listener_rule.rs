//! `ensure_listener_rule`: requests of some kind go their own way.

use aws_sdk_elasticloadbalancingv2::types as elb;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Listener, ListenerRule,
    action::{Action, Answer, Weights},
    condition::{self, Condition},
    ensure_listener, read,
    route::{self, Route},
    rule_settings, tags,
};
use crate::{
    event::{Change, Field},
    ops::{
        Error, IdOf, Operation, Tags, Together, arguments,
        network::common::only,
        outcome::{deleted, report},
        ownership::{Owned, STACK_TAG, changed, set},
        require, tagged,
    },
    run::{Class, Ctx, LookUp, Mutation, Undo, UndoAction, Undone},
};

/// How often another priority is tried when somebody else was quicker.
const TRIES: u32 = 5;

/// Makes sure that a listener has a rule of this name. The listener may be somebody else's; the rule is the stack's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnsureListenerRule {
    /// What the stack calls it; it becomes the tag `Name`, by which it is found again.
    name: String,
    /// The listener, of an application load balancer.
    listener: IdOf<Listener>,
    /// Which requests it takes: those that meet all of these.
    conditions: Vec<Condition>,
    /// What becomes of them.
    action: Action,
    /// Its place among the rules, 1 to 50000: the lowest that takes a request wins. Without one, a new rule gets the
    /// first that is free, and keeps it.
    priority: Option<u16>,
    /// Who owns the weights. With `keep`, a live action that forwards keeps its target groups and weights, whatever
    /// `action` says: they belong to `attach_target_group` and `shift_traffic`. With `set`, the action is made as
    /// given. Without this, `keep` if `action` forwards, else `set`.
    weights: Option<Weights>,
    /// More tags.
    #[serde(default)]
    tags: Tags,
    /// Takes over a rule of this priority that the stack does not own.
    #[serde(default)]
    adopt: bool,
    /// Leaves it in place when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// What is kept of a created rule.
#[derive(Serialize, Deserialize)]
struct Made {
    rule_arn: String,
}

/// A rule with its tags.
struct Found {
    rule: elb::Rule,
    tags: std::collections::BTreeMap<String, String>,
}

impl Operation for EnsureListenerRule {
    const NAME: &'static str = "ensure_listener_rule";
    const AREA: &'static str = "Elastic Load Balancing";
    const EXAMPLE: &'static str = r#"ensure_listener_rule(#{
    name: "api", listener: https, conditions: [#{ path_pattern: ["/api/*"] }],
    action: #{ forward: #{ target_groups: [#{ target_group: api_blue, weight: 100 }] } },
})"#;

    type Options = Self;
    type Handle = ListenerRule;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<ListenerRule, Error> {
        options.check()?;
        let answer = options.action.answer("action")?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let rules = all(ctx, options.listener.as_str()).await?;
        let (rule_arn, priority) = match options.find(&owned, &rules)? {
            Some(found) => converge(ctx, &options, &owned, &answer, found).await?,
            None => create(ctx, &options, &owned, &answer, rules).await?,
        };
        Ok(ListenerRule { rule_arn, listener_arn: options.listener.into_string(), priority })
    }
}

impl EnsureListenerRule {
    fn check(&self) -> Result<(), Error> {
        if self.conditions.is_empty() {
            return Err(Error::option("conditions", "expected at least one condition, found none"));
        }
        let values: usize = self.conditions.iter().map(Condition::len).sum();
        if values > 5 {
            return Err(Error::option("conditions", format!("AWS allows five values in all, found {values}")));
        }
        if self.priority.is_some_and(|priority| !(1..=50_000).contains(&priority)) {
            return Err(Error::option("priority", "expected a priority from 1 to 50000"));
        }
        Ok(())
    }

    /// The rule of this name, or the one whose place is wanted.
    fn find<'f>(&self, owned: &Owned, rules: &'f [Found]) -> Result<Option<&'f Found>, Error> {
        let named = |found: &&Found| {
            found.tags.get("Name") == Some(&owned.name) && found.tags.get(STACK_TAG) == Some(&owned.stack)
        };
        let found: Vec<&Found> = rules.iter().filter(named).collect();
        let what = format!("rule {}", owned.name);
        if let Some(found) = only(&what, found, |found| found.rule.rule_arn())? {
            return Ok(Some(found));
        }
        let priority = self.priority.map(i32::from);
        Ok(priority.and_then(|priority| rules.iter().find(|found| self::priority(&found.rule) == Some(priority))))
    }
}

fn priority(rule: &elb::Rule) -> Option<i32> {
    rule.priority()?.parse().ok()
}

/// The rules of a listener with their tags, the default rule aside.
async fn all(ctx: &Ctx, listener: &str) -> Result<Vec<Found>, Error> {
    let rules = read::rules_of(ctx, listener).await?;
    let rules: Vec<elb::Rule> = rules.into_iter().filter(|rule| rule.is_default() != Some(true)).collect();
    if rules.is_empty() {
        return Ok(Vec::new());
    }
    let arns: Vec<String> = rules.iter().filter_map(|rule| rule.rule_arn().map(str::to_owned)).collect();
    let mut tags = read::tags_of(ctx, &arns).await?;
    let found =
        |rule: elb::Rule| Found { tags: tags.remove(rule.rule_arn().unwrap_or_default()).unwrap_or_default(), rule };
    Ok(rules.into_iter().map(found).collect())
}

/// The first priority that nobody has.
fn first_free(rules: &[Found]) -> i32 {
    let taken: std::collections::BTreeSet<i32> = rules.iter().filter_map(|found| priority(&found.rule)).collect();
    (1..).find(|priority| !taken.contains(priority)).unwrap_or(1)
}

async fn create(
    ctx: &Ctx,
    options: &EnsureListenerRule,
    owned: &Owned,
    answer: &Answer,
    mut rules: Vec<Found>,
) -> Result<(String, i32), Error> {
    let mut tries = 1;
    loop {
        let priority = options.priority.map_or_else(|| first_free(&rules), i32::from);
        match create_at(ctx, options, owned, answer, priority).await {
            Ok(Made { rule_arn }) => {
                ctx.did(Change::Created, [set("rule_arn", rule_arn.clone()), set("priority", priority)]);
                return Ok((rule_arn, priority));
            }
            // Somebody else was quicker, or reads are behind.
            Err(error) if error.is(&["PriorityInUse"]) && options.priority.is_none() && tries < TRIES => {
                tries += 1;
                ctx.sleep(std::time::Duration::from_secs(1)).await?;
                rules = all(ctx, options.listener.as_str()).await?;
                if let Some(found) = options.find(owned, &rules)? {
                    return converge(ctx, options, owned, answer, found).await;
                }
            }
            Err(error) => return Err(error),
        }
    }
}

async fn create_at(
    ctx: &Ctx,
    options: &EnsureListenerRule,
    owned: &Owned,
    answer: &Answer,
    priority: i32,
) -> Result<Made, Error> {
    let listener = options.listener.as_str();
    let subject = format!("rule {}", owned.name);
    let undo = Undo::new(&DELETE_RULE, format!("delete {subject}"), json!({})).keep(options.keep_on_rollback);
    let declared = Mutation::new("elasticloadbalancing:CreateRule", Class::Unique, subject)
        .look_up(&RULE_BY_NAME, json!({ "listener": listener, "name": owned.name, "stack": owned.stack }))
        .undo(undo);
    let conditions: Vec<elb::RuleCondition> = options.conditions.iter().map(Condition::to_elb).collect();
    ctx.mutate(
        declared,
        |permit| {
            ctx.aws()
                .elbv2
                .create_rule()
                .listener_arn(listener)
                .priority(priority)
                .set_conditions(Some(conditions.clone()))
                .set_actions(Some(answer.among(&[])))
                .set_tags(Some(tags::to_elb(&owned.tags())))
                .customize()
                .interceptor(permit)
                .send()
        },
        |reply| {
            let arn = reply.rules().first().and_then(|made| made.rule_arn());
            Ok(Made { rule_arn: require("elasticloadbalancing:CreateRule", "Rules[0].RuleArn", arn)? })
        },
    )
    .await
}

async fn converge(
    ctx: &Ctx,
    options: &EnsureListenerRule,
    owned: &Owned,
    answer: &Answer,
    found: &Found,
) -> Result<(String, i32), Error> {
    let arn: String = require("elasticloadbalancing:DescribeRules", "RuleArn", found.rule.rule_arn())?;
    let at = priority(&found.rule).unwrap_or_default();
    owned.check(&format!("rule {at} of the listener"), &found.tags, options.adopt)?;
    let wanted = condition::sorted(options.conditions.clone());
    let (conditions, place, action, tags) = futures::join!(
        rule_settings::converge_conditions(ctx, &found.rule, wanted),
        rule_settings::converge_priority(ctx, &arn, at, options.priority.map(i32::from)),
        converge_action(ctx, options, answer, &found.rule),
        tagged::converge::<tags::Resource>(ctx, &arn, owned, &found.tags),
    )
    .together()?;
    report(ctx, [conditions, place, action].into_iter().flatten().chain(tags).collect());
    Ok((arn, options.priority.map_or(at, i32::from)))
}

async fn converge_action(
    ctx: &Ctx,
    options: &EnsureListenerRule,
    answer: &Answer,
    found: &elb::Rule,
) -> Result<Option<Field>, Error> {
    let actions = found.actions().to_vec();
    let live = route::Live { name: format!("rule {}", options.name), answer: Answer::of(&actions), actions };
    let ours = ensure_listener::wanted(answer, &live.answer, options.weights);
    if ours == live.answer {
        return Ok(None);
    }
    let rule = Route::new(found.rule_arn().unwrap_or_default());
    route::replace(ctx, &rule, &live, &ours).await?;
    Ok(Some(changed("action", json!(live.answer), json!(ours))))
}

/// Finds a rule by its tags.
pub const RULE_BY_NAME: LookUp =
    LookUp { name: "rule_by_name", run: |ctx, arguments| Box::pin(rule_by_name(ctx, arguments)) };

#[derive(Deserialize)]
struct Named {
    listener: String,
    name: String,
    stack: String,
}

async fn rule_by_name(ctx: &Ctx, given: Value) -> Result<Option<Value>, Error> {
    let Named { listener, name, stack } = arguments(given)?;
    let rules = all(ctx, &listener).await?;
    let found =
        rules.iter().find(|found| found.tags.get("Name") == Some(&name) && found.tags.get(STACK_TAG) == Some(&stack));
    Ok(found.map(|found| json!({ "rule_arn": found.rule.rule_arn() })))
}

/// Deletes a rule this run made.
pub const DELETE_RULE: UndoAction =
    UndoAction { name: "delete_rule", run: |ctx, arguments| Box::pin(delete_rule(ctx, arguments)) };

async fn delete_rule(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Made { rule_arn: arn } = arguments(made)?;
    let declared = Mutation::new("elasticloadbalancing:DeleteRule", Class::Idempotent, &arn);
    let gone = ctx
        .change(declared, |permit| ctx.aws().elbv2.delete_rule().rule_arn(&arn).customize().interceptor(permit).send());
    deleted(gone.await, &["RuleNotFound"])
}
