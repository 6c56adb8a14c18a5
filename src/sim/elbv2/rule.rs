//! Rules of a listener, by priority. The default rule is shown with them, and is changed through the listener.

use super::action::{At, params_under};
use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateRule",
        params: &["ListenerArn Priority", condition::PARAMS, params_under!("Actions[]"), TAGS],
        run: create_rule,
    },
    Action { name: "DescribeRules", params: &["ListenerArn RuleArns[]", PAGES], run: describe_rules },
    Action {
        name: "ModifyRule",
        params: &["RuleArn", condition::PARAMS, params_under!("Actions[]")],
        run: modify_rule,
    },
    Action { name: "DeleteRule", params: &["RuleArn"], run: delete_rule },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    pub arn: String,
    pub listener: String,
    pub priority: i64,
    pub conditions: Vec<Value>,
    pub route: route::Route,
    pub tags: Tags,
}

resource!(Rule, arn, region.elbv2.rules, Extent::With { kind: "LoadBalancer", of: fork::balancer_of }, |arn: &str| {
    absent("rule", arn, "RuleNotFound")
});

impl Rule {
    pub fn view(&self, tx: &Tx) -> Value {
        json!({
            "RuleArn": self.arn,
            "Priority": self.priority.to_string(),
            "Conditions": self.conditions,
            "Actions": self.route.shown(tx),
            "IsDefault": false,
        })
    }
}

/// Reads the rules of a listener, and notes which is its default rule. Their tags come later.
pub fn load(reader: &Reader, listener: &mut Listener) -> Result<Vec<(Params, Rule)>, AwsError> {
    let params = json!({ "ListenerArn": listener.arn, "PageSize": 400 });
    let mut rules = Vec::new();
    for shown in reader.pages("elasticloadbalancing", "DescribeRules", params, "Rules", TOKEN)? {
        if shown.flag("IsDefault") {
            listener.default_rule = shown.text("RuleArn");
            continue;
        }
        let rule = Rule {
            arn: shown.text("RuleArn"),
            listener: listener.arn.clone(),
            priority: shown.number("Priority", 0),
            conditions: shown.list("Conditions").into_iter().map(|condition| condition.without_nulls().0).collect(),
            route: route::Route::read(&shown.list("Actions")),
            tags: Tags::new(),
        };
        rules.push((shown, rule));
    }
    Ok(rules)
}

fn view_default(listener: &Listener, tx: &Tx) -> Value {
    json!({
        "RuleArn": listener.default_rule,
        "Priority": "default",
        "Conditions": [],
        "Actions": listener.route.shown(tx),
        "IsDefault": true,
    })
}

/// The listener and what an action needs to know of it.
fn place(tx: &Tx, listener: &str) -> Result<(Listener, LoadBalancer), AwsError> {
    let listener = tx.get::<Listener>(listener)?.clone();
    let balancer = tx.get::<LoadBalancer>(&listener.load_balancer)?.clone();
    if balancer.network {
        let message = "Rules are not supported for listeners of network load balancers";
        return Err(AwsError::new("UnsupportedProtocol", message));
    }
    Ok((listener, balancer))
}

fn create_rule(tx: &mut Tx, p: &Params) -> Reply {
    let (listener, balancer) = place(tx, p.str("ListenerArn")?)?;
    p.int("Priority")?;
    let priority = number(p, "Priority", 1..=50_000, 0)?;
    let conditions = condition::read(&p.list("Conditions"))?;
    let at = At { balancer: &balancer, protocol: &listener.protocol, port: listener.port };
    let action = action::read(tx, &at, &p.list("Actions"))?;
    if tx.all::<Rule>().any(|rule| rule.listener == listener.arn && rule.priority == priority) {
        return Err(AwsError::new("PriorityInUse", format!("Priority '{priority}' is currently in use")));
    }
    let base = listener.arn.replacen(":listener/", ":listener-rule/", 1);
    let rule = Rule {
        arn: format!("{base}/{}", arn_id(tx)),
        listener: listener.arn,
        priority,
        conditions,
        route: route::Route::new(action),
        tags: tag::given(p)?,
    };
    let (arn, view) = (rule.arn.clone(), rule.view(tx));
    tx.put(rule);
    route::announce(tx, &arn, false);
    Ok(json!({ "Rules": [view] }))
}

fn describe_rules(tx: &mut Tx, p: &Params) -> Reply {
    let (listener, arns) = (p.opt_str("ListenerArn"), p.strings("RuleArns"));
    // In the order of priority, the default rule last.
    let key = |rule: &Rule| format!("{:06}/{}", rule.priority, rule.arn);
    let last = |listener: &Listener| format!("default/{}", listener.default_rule);
    let mut rows: Vec<(String, Value)> = Vec::new();
    match listener {
        Some(arn) if arns.is_empty() => {
            let listener = tx.get::<Listener>(arn)?;
            let rules = tx.select::<Rule>(&[])?;
            let rules = rules.into_iter().filter(|rule| rule.listener == arn);
            rows.extend(rules.map(|rule| (key(rule), tx.shown(rule, Rule::view))));
            rows.push((last(listener), view_default(listener, tx)));
        }
        None if !arns.is_empty() => {
            for arn in arns {
                let default = tx.all::<Listener>().find(|listener| listener.default_rule == arn);
                rows.push(match default {
                    Some(listener) => (last(listener), view_default(listener, tx)),
                    None => {
                        let rules = tx.select::<Rule>(&[arn]);
                        let rules = rules.map_err(|error| among_several(error, "rules"))?;
                        (key(rules[0]), tx.shown(rules[0], Rule::view))
                    }
                });
            }
        }
        _ => {
            let message = "You must specify either a listener ARN or one or more rule ARNs";
            return Err(AwsError::new("ValidationError", message));
        }
    }
    pages(p, "Rules", rows, |row| row)
}

/// The default rule can be neither modified nor deleted by its own ARN.
pub fn is_changeable(tx: &Tx, arn: &str) -> Result<(), AwsError> {
    if tx.all::<Listener>().any(|listener| listener.default_rule == arn) {
        let message = format!("Default rule '{arn}' cannot be modified");
        return Err(AwsError::new("OperationNotPermitted", message));
    }
    tx.get::<Rule>(arn).map(|_| ())
}

fn modify_rule(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("RuleArn")?;
    is_changeable(tx, arn)?;
    let mut rule = tx.get::<Rule>(arn)?.clone();
    let (listener, balancer) = place(tx, &rule.listener)?;
    if p.has("Conditions") {
        rule.conditions = condition::read(&p.list("Conditions"))?;
    }
    if p.has("Actions") {
        let at = At { balancer: &balancer, protocol: &listener.protocol, port: listener.port };
        let action = action::read(tx, &at, &p.list("Actions"))?;
        rule.route.set(action);
    }
    let mut view = rule.view(tx);
    view["Actions"] = rule.route.action.view();
    *tx.get_mut::<Rule>(arn)? = rule;
    route::announce(tx, arn, false);
    Ok(json!({ "Rules": [view] }))
}

fn delete_rule(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("RuleArn")?;
    is_changeable(tx, arn)?;
    tx.delete::<Rule>(arn);
    targets::uses_changed(tx);
    Ok(json!({}))
}
