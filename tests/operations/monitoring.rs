//! Topics, alarms, dashboards and log groups.

use runner::{event::Event, ops::Error, sim::Scope};
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    compute::support::{call, fleet},
    contract::{assert_same, contract},
    live,
    moto::moto,
};

const QUEUE: &str = "arn:aws:sqs:eu-central-1:123456789012:alerts";
const FUNCTION: &str = "arn:aws:lambda:eu-central-1:123456789012:function:pager";

fn topic() -> Value {
    json!({
        "name": "alerts", "display_name": "Shop",
        "subscriptions": [
            { "protocol": "email", "endpoint": "oncall@example.com" }, { "protocol": "sqs", "endpoint": QUEUE },
        ],
    })
}

/// Sends a call past the program, as somebody else would.
fn somebody(account: &Account, service: &'static str, action: &'static str, params: Value) -> Value {
    let scope = Scope { account: "123456789012".to_owned(), region: "eu-central-1".to_owned() };
    live::send(account.simulator(), &scope, service, action, &params)
        .unwrap_or_else(|error| panic!("{action}: {error}"))
}

/// Lets the account's time pass.
fn pass(account: &Account, seconds: u64) {
    let simulator = account.simulator();
    simulator.advance(simulator.clock() + std::time::Duration::from_secs(seconds));
}

fn warnings(run: &Trial<'_>) -> Vec<String> {
    let one = |event| match event {
        Event::Warning { message } => Some(message),
        _ => None,
    };
    run.events().into_iter().filter_map(one).collect()
}

fn refused_option(run: &mut Trial<'_>, operation: &str, options: Value) -> (String, String) {
    match run.op(operation, options) {
        Err(Error::Option { path, message }) => (path, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ensure_topic() {
    let contract = contract("ensure_topic", |_| {
        let mut changed = topic();
        changed["display_name"] = json!("The shop");
        changed["tags"] = json!({ "team": "web" });
        changed["subscriptions"].as_array_mut().unwrap().push(json!({ "protocol": "lambda", "endpoint": FUNCTION }));
        changed["policy"] = json!({ "Statement": {
            "Effect": "Allow", "Principal": { "Service": "cloudwatch.amazonaws.com" }, "Action": "sns:Publish",
        } });
        (topic(), changed)
    });
    assert_eq!(contract.created, ["sns:CreateTopic", "sns:Subscribe", "sns:Subscribe"]);
    assert_eq!(
        contract.updated,
        ["sns:TagResource", "sns:SetTopicAttributes", "sns:SetTopicAttributes", "sns:Subscribe"]
    );
    // Looked, made, subscribed, looked again.
    assert_eq!((contract.created_depth, contract.unchanged_depth), (4, 1));
}

#[test]
fn whoever_is_asked_by_mail_has_to_confirm() {
    let account = Account::new();
    let mut run = account.run();
    let made = run.ok("ensure_topic", topic());
    let arn = made["topic_arn"].as_str().unwrap();
    assert_eq!(
        made["subscriptions"][0],
        json!({
            "protocol": "email", "endpoint": "oncall@example.com", "status": "pending", "subscription_arn": null,
        })
    );
    assert_eq!(made["subscriptions"][1]["status"], "confirmed");
    assert!(made["subscriptions"][1]["subscription_arn"].as_str().unwrap().starts_with(arn));
    let said = "the email subscription of oncall@example.com is pending: it has to be confirmed there";
    assert_eq!(warnings(&run), [said]);

    // SNS forgets it after two days; it is asked for again.
    pass(&account, 49 * 3600);
    let mut again = account.run();
    assert_eq!(again.ok("ensure_topic", topic())["change"], "updated");
    assert_eq!(again.mutations(), ["sns:Subscribe"]);
}

#[test]
fn a_pending_subscription_cannot_be_taken_back_and_goes_by_itself() {
    let account = Account::new();
    account.run().ok("ensure_topic", json!({ "name": "alerts" }));
    let before = account.observe();
    let mut run = account.run();
    run.ok("ensure_topic", topic());
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert!(warnings(&run).iter().any(|warning| warning.contains("is left pending")), "{:?}", warnings(&run));
    assert_same(&account.observe(), &before, "but for what SNS forgets");
    pass(&account, 49 * 3600);
    let left = somebody(
        &account,
        "sns",
        "ListSubscriptionsByTopic",
        json!({
            "TopicArn": "arn:aws:sns:eu-central-1:123456789012:shop-prod-alerts",
        }),
    );
    assert_eq!(left["Subscriptions"], Value::Null);
}

#[test]
fn others_subscriptions_are_left_alone_unless_told_otherwise() {
    let account = Account::new();
    let made = account.run().ok("ensure_topic", topic());
    let filter = json!([{ "key": "FilterPolicy", "value": "{\"team\":[\"web\"]}" }]);
    somebody(
        &account,
        "sns",
        "Subscribe",
        json!({
            "TopicArn": made["topic_arn"], "Protocol": "lambda", "Endpoint": FUNCTION, "Attributes": { "entry": filter },
        }),
    );
    assert_eq!(account.run().ok("ensure_topic", topic())["change"], "unchanged");
    let before = account.observe();
    let mut options = topic();
    options["remove_other_subscriptions"] = json!(true);
    let mut run = account.run();
    assert_eq!(run.ok("ensure_topic", options.clone())["change"], "updated");
    assert_eq!(run.mutations(), ["sns:Unsubscribe"]);
    assert_eq!(account.run().ok("ensure_topic", options)["change"], "unchanged");
    assert!(run.roll_back().is_clean());
    // It is another one with the same filter.
    let told = |world: &Value| {
        let rows =
            world["123456789012"]["regions"]["eu-central-1"]["sns"]["subscriptions"].as_object().unwrap().clone();
        let mut rows: Vec<String> =
            rows.values().map(|row| format!("{} {}", row["endpoint"], row["attributes"])).collect();
        rows.sort();
        rows
    };
    assert_eq!(told(&account.observe()), told(&before));
}

#[test]
fn a_secret_endpoint_is_shown_nowhere() {
    let account = Account::new();
    account.run().ok("ensure_topic", json!({ "name": "alerts" }));
    let mut run = account.run();
    let url = "https://events.example.com/integration/0a1b2c3d4e5f";
    let options =
        json!({ "name": "alerts", "subscriptions": [{ "protocol": "https", "endpoint": { "$secret": url } }] });
    let made = run.ok("ensure_topic", options.clone());
    assert_eq!(made["subscriptions"][0]["endpoint"], "(secret)");
    assert_eq!(account.run().ok("ensure_topic", options)["change"], "unchanged");
    assert!(run.roll_back().is_clean());
    assert!(!format!("{:?}", run.events()).contains("0a1b2c3d4e5f"));
}

/// SNS lists it without its password.
#[test]
fn an_endpoint_with_a_password_is_subscribed_once() {
    let account = Account::new();
    let url = "https://pager:hunter2hunter2@events.example.com/shop";
    for endpoint in [json!(url), json!({ "$secret": url })] {
        let options = json!({ "name": "alerts", "subscriptions": [{ "protocol": "https", "endpoint": endpoint }] });
        let mut run = account.run();
        let made = run.ok("ensure_topic", options.clone());
        assert!(!made.to_string().contains("hunter2") && !format!("{:?}", run.events()).contains("hunter2"), "{made}");
        assert_eq!(account.run().ok("ensure_topic", options)["change"], "unchanged");
    }
}

/// Whoever knows the address of a pager can ring it. What is removed is nobody's in this run, so nothing masks it.
#[test]
fn the_address_of_a_removed_subscription_is_not_written_down() {
    // moto's are confirmed by themselves.
    let name = moto().new_account();
    let account = Account::moto(moto().url(), name.clone());
    let made = account.run().ok("ensure_topic", topic());
    let key = "0a1b2c3d4e5f";
    for (path, comes_back) in [("", true), (key, false)] {
        let arn = made["topic_arn"].as_str().expect("text");
        let endpoint = format!("https://events.example.com/{path}");
        let subscribe = format!("client('sns').subscribe(TopicArn='{arn}', Protocol='https', Endpoint='{endpoint}')");
        moto().boto3(&name, &format!("{subscribe}['SubscriptionArn']"));
        let mut options = topic();
        options["remove_other_subscriptions"] = json!(true);
        let mut run = account.run();
        assert_eq!(run.ok("ensure_topic", options)["change"], "updated");
        assert!(run.mutations().iter().all(|call| call == "sns:Unsubscribe"), "{:?}", run.mutations());
        assert_eq!(run.roll_back().is_clean(), comes_back);
        assert!(!format!("{:?}", run.events()).contains(key));
    }
    assert!(!account.journals().contains(key));
}

#[test]
fn a_topic_is_refused_before_anything_is_asked() {
    let account = Account::new();
    let mut run = account.run();
    for (subscription, path) in [
        (json!({ "protocol": "email", "endpoint": "oncall" }), "subscriptions[0].endpoint"),
        (json!({ "protocol": "https", "endpoint": "http://a" }), "subscriptions[0].endpoint"),
        (json!({ "protocol": "sqs", "endpoint": FUNCTION }), "subscriptions[0].endpoint"),
        (json!({ "protocol": "pigeon", "endpoint": "x" }), "subscriptions[0].protocol"),
    ] {
        let options = json!({ "name": "alerts", "subscriptions": [subscription] });
        assert_eq!(refused_option(&mut run, "ensure_topic", options).0, path);
    }
    let twice = json!({ "protocol": "sqs", "endpoint": QUEUE });
    let options = json!({ "name": "alerts", "subscriptions": [twice, twice] });
    assert_eq!(refused_option(&mut run, "ensure_topic", options).0, "subscriptions[1]");
    assert_eq!(refused_option(&mut run, "ensure_topic", json!({ "name": "a b" })).0, "name");
    assert_eq!(run.calls(), [""; 0]);
}

#[test]
fn what_is_not_the_stacks_is_not_touched() {
    let account = Account::new();
    somebody(&account, "sns", "CreateTopic", json!({ "Name": "shop-prod-alerts" }));
    somebody(&account, "logs", "CreateLogGroup", json!({ "logGroupName": "/ecs/shop" }));
    somebody(
        &account,
        "cloudwatch",
        "PutMetricAlarm",
        json!({
            "AlarmName": "shop-prod-cpu", "Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "Statistic": "Average",
            "Period": 60, "EvaluationPeriods": 1, "Threshold": 10, "ComparisonOperator": "LessThanThreshold",
        }),
    );
    let before = account.observe();
    let group = json!({ "name": "/ecs/shop", "retention_in_days": 7 });
    for (operation, options) in [("ensure_topic", topic()), ("ensure_alarm", cpu("web")), ("ensure_log_group", group)] {
        let mut run = account.run();
        assert!(matches!(run.op(operation, options.clone()), Err(Error::NotOwned { .. })), "{operation}");
        assert_eq!(run.mutations(), [""; 0]);
        let mut adopting = options;
        adopting["adopt"] = json!(true);
        let mut run = account.run();
        assert_eq!(run.ok(operation, adopting)["change"], "updated", "{operation}");
        assert!(run.roll_back().is_clean(), "{operation}");
    }
    assert_same(&account.observe(), &before, "undone");
}

fn cpu(group: &str) -> Value {
    json!({
        "name": "cpu", "namespace": "AWS/EC2", "metric_name": "CPUUtilization", "statistic": "Average",
        "dimensions": { "AutoScalingGroupName": group }, "threshold": 80, "comparison_operator": "GreaterThanThreshold",
    })
}

#[test]
fn ensure_alarm() {
    let contract = contract("ensure_alarm", |needs| {
        let topic = needs.ok("ensure_topic", json!({ "name": "alerts" }));
        let mut options = cpu("web");
        options["description"] = json!("busy");
        options["alarm_actions"] = json!([topic]);
        let mut changed = options.clone();
        changed["threshold"] = json!(72.5);
        changed["evaluation_periods"] = json!(3);
        changed["datapoints_to_alarm"] = json!(2);
        changed["treat_missing_data"] = json!("breaching");
        changed["ok_actions"] = json!([topic["topic_arn"]]);
        changed["tags"] = json!({ "team": "web" });
        (options, changed)
    });
    assert_eq!(contract.created, ["cloudwatch:PutMetricAlarm"]);
    assert_eq!(contract.updated, ["cloudwatch:TagResource", "cloudwatch:PutMetricAlarm"]);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (2, 1));
}

/// moto has no composite alarms.
#[test]
fn an_alarm_over_alarms_and_one_that_computes() {
    let account = Account::new();
    let before = account.observe();
    let sum =
        |name: &str| json!({ "metric_stat": { "namespace": "Shop", "metric_name": name, "stat": "Sum" }, "id": name });
    let ratio = json!({
        "name": "ratio", "threshold": 0.01, "comparison_operator": "GreaterThanThreshold", "evaluation_periods": 2,
        "metrics": [sum("errors"), sum("requests"), { "id": "ratio", "expression": "errors / requests" }],
    });
    let any = json!({ "name": "any", "alarm_rule": "ALARM(\"shop-prod-ratio\") OR NOT OK(shop-prod-ratio)" });
    let mut run = account.run();
    run.ok("ensure_alarm", ratio.clone());
    run.ok("ensure_alarm", any.clone());
    let mut again = account.run();
    assert_eq!(again.ok("ensure_alarm", ratio.clone())["change"], "unchanged", "{:?}", again.fields());
    assert_eq!(again.ok("ensure_alarm", any.clone())["change"], "unchanged", "{:?}", again.fields());
    let between = account.observe();
    let mut changed = any.clone();
    changed["alarm_rule"] = json!("ALARM(shop-prod-ratio)");
    changed["actions_enabled"] = json!(false);
    let mut change = account.run();
    assert_eq!(change.ok("ensure_alarm", changed)["change"], "updated");
    assert_eq!(change.mutations(), ["cloudwatch:PutCompositeAlarm"]);
    assert!(change.roll_back().is_clean());
    assert_same(&account.observe(), &between, "the change undone");
    let mut kind = cpu("web");
    kind["name"] = json!("any");
    assert!(matches!(account.run().op("ensure_alarm", kind), Err(Error::NeedsReplacement { .. })));
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "undone");
}

#[test]
fn an_alarm_that_somebody_has_changed_since_stays_so() {
    let account = Account::new();
    account.run().ok("ensure_alarm", cpu("web"));
    let mut options = cpu("web");
    options["threshold"] = json!(90);
    let mut run = account.run();
    run.ok("ensure_alarm", options.clone());
    options["threshold"] = json!(95);
    let mut somebody = account.run();
    somebody.ok("ensure_alarm", options.clone());
    let report = run.roll_back();
    assert!(!report.is_clean(), "{report:?}");
    assert_eq!(account.run().ok("ensure_alarm", options)["change"], "unchanged");
}

#[test]
fn alarms_of_a_fleet_are_evaluated_and_gate() {
    let account = Account::prompt();
    let mut run = account.run();
    let (blue, _) = fleet(&mut run, 2);
    let mut high = cpu("");
    high["dimensions"] = json!({ "AutoScalingGroupName": blue });
    let mut idle = high.clone();
    idle["name"] = json!("idle");
    idle["comparison_operator"] = json!("LessThanThreshold");
    idle["evaluation_periods"] = json!(3);
    let mut unknown = cpu("nobody");
    unknown["name"] = json!("unknown");
    for options in [high, idle, unknown] {
        assert_eq!(run.ok("ensure_alarm", options)["state"], "INSUFFICIENT_DATA");
    }
    run.ok("alarm_states", json!({ "expect_ok": true }));
    pass(&account, 4 * 60);
    let mut run = account.run();
    let states = run.ok("alarm_states", json!({}));
    let state = |name: &str| {
        let alarms = states["alarms"].as_array().unwrap();
        alarms.iter().find(|alarm| alarm["name"] == format!("shop-prod-{name}")).unwrap()["state"].clone()
    };
    assert_eq!([state("cpu"), state("idle"), state("unknown")], ["OK", "ALARM", "INSUFFICIENT_DATA"]);
    assert_eq!(states["in_alarm"], json!(["shop-prod-idle"]));
    assert_eq!(
        run.ok("alarm_states", json!({ "alarms": ["shop-prod-cpu"], "expect_ok": true }))["in_alarm"],
        json!([])
    );
    let Err(Error::Unsafe(message)) = run.op("alarm_states", json!({ "expect_ok": true })) else { panic!("refused") };
    assert!(message.starts_with("alarm shop-prod-idle is in the state ALARM since "), "{message}");
    assert!(message.contains("was less than the threshold (80.0)"), "{message}");
    assert!(matches!(run.op("alarm_states", json!({ "alarms": ["nothing"] })), Err(Error::NotFound { .. })));
    let both = json!({ "alarms": ["a"], "alarm_name_prefix": "b" });
    assert!(matches!(run.op("alarm_states", both), Err(Error::Option { .. })));
}

#[test]
fn an_alarm_tells_a_policy_to_scale() {
    let account = Account::prompt();
    let mut run = account.run();
    let (blue, _) = fleet(&mut run, 2);
    let steps = json!([{ "metric_interval_lower_bound": 0, "scaling_adjustment": 2 }]);
    let grow = run.ok(
        "ensure_scaling_policy",
        json!({
            "name": "grow", "auto_scaling_group": blue, "step_adjustments": steps, "estimated_instance_warmup": "1m",
        }),
    );
    let mut busy = cpu("");
    busy["dimensions"] = json!({ "AutoScalingGroupName": blue });
    busy["threshold"] = json!(1);
    busy["alarm_actions"] = json!([grow]);
    run.ok("ensure_alarm", busy);
    pass(&account, 10 * 60);
    let group = account.run().ok("find_asg", json!({ "name": "blue" }));
    assert_eq!(group["desired_capacity"], 6, "up to its maximum");
    let activities = call(&account, "autoscaling", "DescribeScalingActivities", &[]);
    assert!(activities.contains("a monitor alarm shop-prod-cpu in state ALARM triggered policy shop-prod-blue-grow"));
}

#[test]
fn ensure_log_group() {
    let contract = contract("ensure_log_group", |_| {
        let options = json!({ "name": "web", "retention_in_days": 30 });
        (options, json!({ "name": "web", "retention_in_days": 14, "tags": { "team": "web" } }))
    });
    assert_eq!(contract.created, ["logs:CreateLogGroup", "logs:PutRetentionPolicy"]);
    assert_eq!(contract.updated, ["logs:TagResource", "logs:PutRetentionPolicy"]);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (3, 1));
}

/// moto has no keys of log groups.
#[test]
fn a_log_group_for_ever_and_with_a_key() {
    let account = Account::new();
    let key = |id: &str| format!("arn:aws:kms:eu-central-1:123456789012:key/{id}");
    let mut first = account.run();
    let made =
        first.ok("ensure_log_group", json!({ "name": "/ecs/shop", "retention_in_days": 7, "kms_key_id": key("a") }));
    assert_eq!(made["log_group_name"], "/ecs/shop");
    let before = account.observe();
    let mut run = account.run();
    let made = run.ok("ensure_log_group", json!({ "name": "/ecs/shop", "kms_key_id": key("b") }));
    assert_eq!((&made["change"], &made["retention_in_days"]), (&json!("updated"), &Value::Null));
    assert_eq!(run.mutations(), ["logs:DeleteRetentionPolicy", "logs:AssociateKmsKey"]);
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "undone");
    let mut run = account.run();
    let wrong = json!({ "name": "a", "retention_in_days": 31 });
    let (path, message) = refused_option(&mut run, "ensure_log_group", wrong);
    assert_eq!(path, "retention_in_days");
    assert!(message.starts_with("expected one of 1, 3, 5"), "{message}");
    assert_eq!(refused_option(&mut run, "ensure_log_group", json!({ "name": "a#b" })).0, "name");
    let mut kept = account.run();
    kept.ok("ensure_log_group", json!({ "name": "kept", "keep_on_rollback": true }));
    kept.roll_back();
    assert!(account.observe().to_string().contains("shop-prod-kept"));
}

fn body(text: &str) -> Value {
    let properties = json!({ "markdown": text });
    json!({ "widgets": [{ "type": "text", "x": 0, "y": 0, "width": 6, "height": 3.0, "properties": properties }] })
}

#[test]
fn ensure_dashboard() {
    let contract = contract("ensure_dashboard", |_| {
        let options = |text: &str| {
            let mut body = body(text);
            body["widgets"][0]["height"] = json!(3);
            json!({ "name": "web", "body": body })
        };
        (options("# Shop"), options("# The shop"))
    });
    assert_eq!(contract.created, ["cloudwatch:PutDashboard"]);
    assert_eq!(contract.updated, ["cloudwatch:PutDashboard"]);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (2, 1));
}

#[test]
fn what_cloudwatch_says_of_a_dashboard_is_told() {
    let account = Account::new();
    let mut run = account.run();
    let mut good = body("# Shop");
    good["widgets"][0]["height"] = json!(3);
    good["colour"] = json!("blue");
    run.ok("ensure_dashboard", json!({ "name": "web", "body": good }));
    assert_eq!(warnings(&run), ["dashboard shop-prod-web: /colour: Unknown property"]);
    let wrong = json!({ "widgets": [{ "type": "pie", "width": 30, "properties": {} }] });
    let Err(Error::Call(error)) = run.op("ensure_dashboard", json!({ "name": "other", "body": wrong })) else {
        panic!("refused")
    };
    assert_eq!(error.code.as_deref(), Some("InvalidParameterInput"));
    assert!(error.message.contains("/widgets/0/type") && error.message.contains("/widgets/0/width"), "{error}");
    // Written otherwise, it is the same.
    let text = r##"{"colour":"blue","widgets":[{"properties":{"markdown":"# Shop"},"type":"text","height":3,"width":6.0,"y":0,"x":0}]}"##;
    let body: Value = serde_json::from_str(text).unwrap();
    assert_eq!(account.run().ok("ensure_dashboard", json!({ "name": "web", "body": body }))["change"], "unchanged");
}

#[test]
fn policy_protects_them_by_name_and_tag() {
    let account = Account::new();
    account.run().ok("ensure_topic", json!({ "name": "alerts", "tags": { "protected": "true" } }));
    account.run().ok("ensure_log_group", json!({ "name": "web", "tags": { "protected": "true" } }));
    let mut alarm = cpu("web");
    alarm["tags"] = json!({ "protected": "true" });
    account.run().ok("ensure_alarm", alarm);
    let policy = "protected_tags = { protected = \"true\" }";
    let mut alarm = cpu("web");
    alarm["threshold"] = json!(90);
    let group = json!({ "name": "web", "retention_in_days": 7 });
    let topic = json!({ "name": "alerts", "display_name": "Shop" });
    for (operation, options) in [("ensure_topic", topic), ("ensure_alarm", alarm), ("ensure_log_group", group)] {
        let refused = account.run_under(policy).op(operation, options);
        assert!(matches!(refused, Err(Error::Policy(_))), "{operation}: {refused:?}");
    }
    let required = "required_tags = { team = \"*\" }";
    let group = |tags: Value| json!({ "name": "other", "tags": tags });
    let refused = account.run_under(required).op("ensure_log_group", group(json!({})));
    assert!(matches!(refused, Err(Error::Policy(_))), "{refused:?}");
    account.run_under(required).ok("ensure_log_group", group(json!({ "team": "web" })));
    let mut other = cpu("web");
    other["name"] = json!("other");
    assert!(matches!(account.run_under(required).op("ensure_alarm", other), Err(Error::Policy(_))));
}

/// Some replies are lost, or all of a call: what was made all the same is taken back.
#[test]
fn lost_replies_leave_nothing_behind() {
    let told = json!({ "name": "alerts", "subscriptions": [{ "protocol": "sqs", "endpoint": QUEUE }] });
    let group = json!({ "name": "web", "retention_in_days": 7 });
    let mut text = body("# Shop");
    text["widgets"][0]["height"] = json!(3);
    for (call, operation, options) in [
        ("sns:CreateTopic", "ensure_topic", told.clone()),
        ("sns:Subscribe", "ensure_topic", told),
        ("cloudwatch:PutMetricAlarm", "ensure_alarm", cpu("web")),
        ("cloudwatch:PutDashboard", "ensure_dashboard", json!({ "name": "web", "body": text })),
        ("logs:CreateLogGroup", "ensure_log_group", group.clone()),
        ("logs:PutRetentionPolicy", "ensure_log_group", group),
    ] {
        for (at, ends) in [("1", true), ("1+", false)] {
            let account = Account::new();
            let before = account.observe();
            let fault = format!("{call}#{at}=500-applied");
            account.simulator().ask_for([fault.parse().unwrap()]);
            let mut run = account.run();
            let made = run.op(operation, options.clone());
            assert_eq!(
                made.is_ok(),
                ends || call == "sns:Subscribe" || call == "logs:CreateLogGroup",
                "{fault}: {made:?}"
            );
            let report = run.roll_back();
            assert!(report.is_clean(), "{fault}: {report:?}");
            assert_same(&account.observe(), &before, &fault);
        }
    }
}
