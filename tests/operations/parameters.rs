//! Parameters of Systems Manager, outputs of stacks, and secrets.

use runner::{ops::Error, sim::Scope};
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    contract::{assert_same, contract},
    live::send,
    moto::moto,
};

fn scope() -> Scope {
    Scope { account: "123456789012".into(), region: "eu-central-1".into() }
}

fn ssm(account: &Account, action: &'static str, params: Value) -> Value {
    send(account.simulator(), &scope(), "ssm", action, &params).unwrap_or_else(|error| panic!("{action}: {error}"))
}

fn value_of(account: &Account, name: &str) -> String {
    account.simulator().advance(account.simulator().clock() + std::time::Duration::from_secs(5));
    let reply = ssm(account, "GetParameter", json!({ "Name": name, "WithDecryption": true }));
    reply["Parameter"]["Value"].as_str().unwrap_or_default().to_owned()
}

/// What somebody else has put there.
fn theirs(account: &Account, name: &str, kind: &str, value: &str) {
    ssm(account, "PutParameter", json!({ "Name": name, "Type": kind, "Value": value }));
    account.simulator().advance(account.simulator().clock() + std::time::Duration::from_secs(5));
}

fn keep_secret(account: &Account, name: &str, text: &str) {
    let params = json!({ "Name": name, "SecretString": text });
    send(account.simulator(), &scope(), "secretsmanager", "CreateSecret", &params).expect("a new secret");
    account.simulator().advance(account.simulator().clock() + std::time::Duration::from_secs(5));
}

fn url(value: &str) -> Value {
    json!({ "name": "/shop/url", "value": value, "description": "where it is" })
}

fn password(value: &str) -> Value {
    json!({ "name": "/shop/password", "value": { "$secret": value } })
}

#[test]
fn put_ssm_parameter() {
    let contract = contract("put_ssm_parameter", |_| {
        let mut changed = url("https://www.example.com");
        changed["description"] = json!("where it is now");
        changed["tags"] = json!({ "team": "web" });
        (url("https://shop.example.com"), changed)
    });
    assert_eq!(contract.created, ["ssm:PutParameter"]);
    assert_eq!(contract.updated, ["ssm:AddTagsToResource", "ssm:PutParameter"]);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (2, 1));
}

#[test]
fn a_list_is_kept_as_one() {
    let account = Account::new();
    let options = json!({ "name": "zones", "value": ["a", "b"] });
    assert_eq!(account.run().ok("put_ssm_parameter", options)["type"], "StringList");
    let found = account.run().ok("ssm_parameter", json!({ "name": "zones" }));
    assert_eq!((&found["value"], &found["type"]), (&json!(["a", "b"]), &json!("StringList")));
}

/// On both: made, left alone, changed, and each of it taken back.
fn secure(account: &Account, observe: impl Fn() -> Value) {
    let before = observe();
    let mut first = account.run();
    let made = first.ok("put_ssm_parameter", password("correct horse"));
    assert_eq!((&made["type"], &made["change"]), (&json!("SecureString"), &json!("created")));
    let after = observe();
    assert!(after.to_string().contains("correct horse"), "it is there");

    let mut second = account.run();
    assert_eq!(second.ok("put_ssm_parameter", password("correct horse"))["change"], "unchanged");
    assert_eq!(second.mutations(), [""; 0]);

    let mut third = account.run();
    assert_eq!(third.ok("put_ssm_parameter", password("battery staple"))["change"], "updated");
    assert_eq!(third.mutations(), ["ssm:PutParameter"]);
    assert!(observe().to_string().contains("battery staple"));
    let read = third.ok("ssm_parameter", json!({ "name": "/shop/password" }));
    assert_eq!(read["value"], json!({ "$secret": "battery staple" }));

    // By the number of its version: the text is in no journal.
    let report = third.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_same(&observe(), &after, "the change undone");
    let report = first.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_same(&observe(), &before, "undone");
    let told = format!("{:?} {:?} {:?} {}", first.events(), second.events(), third.events(), account.journals());
    for secret in ["correct horse", "battery staple"] {
        assert!(!told.contains(secret), "{told}");
    }
}

#[test]
fn a_secret_is_kept_and_told_to_nobody() {
    let account = Account::new();
    secure(&account, || account.observe());
}

#[test]
fn a_secret_is_kept_on_moto_and_told_to_nobody() {
    let name = moto().new_account();
    secure(&Account::moto(moto().url(), name.clone()), || moto().boto3(&name, "observe()"));
}

/// Nobody has marked it as a secret, but for its type.
#[test]
fn what_is_secure_by_its_type_is_told_to_nobody() {
    let account = Account::new();
    let mut run = account.run();
    let options = json!({ "name": "/shop/key", "type": "SecureString", "value": "plain hunter2" });
    run.ok("put_ssm_parameter", options.clone());
    assert!(value_of(&account, "/shop/key") == "plain hunter2");
    let told = format!("{:?} {}", run.events(), account.journals());
    assert!(told.contains("/shop/key") && !told.contains("hunter2"), "{told}");
    // In a plan too, which shows what it would send.
    let (fork, _) = account.fork();
    let ran = fork.script(
        r#"environment("prod"); stack("shop");
           put_ssm_parameter(#{ name: "/shop/other", type: "SecureString", value: "plain hunter2" });"#,
        json!({}),
    );
    assert_eq!(ran.failure, None);
    let sent = ran.requests().into_values().flatten().map(|sent| sent.request).collect::<Vec<_>>();
    assert_eq!(sent.len(), 1);
    assert_eq!((&sent[0]["Name"], &sent[0]["Value"]), (&json!("/shop/other"), &json!("(secret)")));
}

#[test]
fn what_others_have_written_since_is_left_alone() {
    let account = Account::new();
    account.run().ok("put_ssm_parameter", url("https://one.example.com"));
    let mut run = account.run();
    run.ok("put_ssm_parameter", url("https://two.example.com"));
    let three = json!({ "Name": "/shop/url", "Value": "https://three.example.com", "Overwrite": true });
    ssm(&account, "PutParameter", three);
    let report = run.roll_back();
    assert!(!report.is_clean());
    assert!(report.left[0].1.contains("expected 2, found 3"), "{report:?}");
    assert_eq!(value_of(&account, "/shop/url"), "https://three.example.com");
}

#[test]
fn several_values_of_one_run_go_back_to_the_first() {
    let account = Account::new();
    account.run().ok("put_ssm_parameter", url("https://one.example.com"));
    let before = account.observe();
    let mut run = account.run();
    for value in ["https://two.example.com", "https://three.example.com"] {
        run.ok("put_ssm_parameter", url(value));
    }
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_same(&account.observe(), &before, "undone");
}

#[test]
fn a_lost_reply_is_no_second_parameter_and_no_lost_undo() {
    for kind in ["timeout-applied", "timeout-not-applied", "500-applied"] {
        let account = Account::new();
        let before = account.observe();
        let fault = || account.simulator().ask_for([format!("ssm:PutParameter#1={kind}").parse().expect("a fault")]);
        fault();
        let mut first = account.run();
        first.ok("put_ssm_parameter", url("https://one.example.com"));
        let made = account.observe();
        fault();
        let mut second = account.run();
        second.ok("put_ssm_parameter", url("https://two.example.com"));
        assert_eq!(value_of(&account, "/shop/url"), "https://two.example.com", "{kind}");
        let report = second.roll_back();
        assert!(report.is_clean(), "{kind}: {report:?}");
        assert_same(&account.observe(), &made, kind);
        assert!(first.roll_back().is_clean(), "{kind}");
        assert_same(&account.observe(), &before, kind);
    }
}

#[test]
fn what_aws_does_not_change_in_place() {
    let account = Account::new();
    account.run().ok("put_ssm_parameter", url("https://one.example.com"));
    let secure = json!({ "name": "/shop/url", "type": "SecureString", "value": "x" });
    let error = account.run().op("put_ssm_parameter", secure).expect_err("another type");
    assert!(matches!(error, Error::NeedsReplacement { field: "type", .. }), "{error}");

    let with = |tier: &str| {
        let mut options = url("https://one.example.com");
        options["tier"] = json!(tier);
        options
    };
    let mut run = account.run();
    assert_eq!(run.ok("put_ssm_parameter", with("Advanced"))["change"], "updated");
    let error = account.run().op("put_ssm_parameter", with("Standard")).expect_err("no way back");
    assert!(matches!(error, Error::NeedsReplacement { field: "tier", .. }), "{error}");
    let report = run.roll_back();
    assert!(!report.is_clean() && report.left.len() == 1, "{report:?}");
}

#[test]
fn somebody_elses_parameter_is_refused_unless_it_is_adopted() {
    let account = Account::new();
    theirs(&account, "/shop/url", "String", "theirs");
    let error = account.run().op("put_ssm_parameter", url("ours")).expect_err("not ours");
    assert!(matches!(error, Error::NotOwned { .. }), "{error}");
    assert_eq!(value_of(&account, "/shop/url"), "theirs");
    let before = account.observe();
    let mut adopted = url("ours");
    adopted["adopt"] = json!(true);
    let mut run = account.run();
    assert_eq!(run.ok("put_ssm_parameter", adopted)["change"], "updated");
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "undone");
}

#[test]
fn wrong_options_say_where() {
    let account = Account::new();
    let mut run = account.run();
    let mut place = |operation: &str, options: Value| match run.op(operation, options).expect_err("refused") {
        Error::Option { path, .. } => path,
        other => panic!("{other}"),
    };
    for (options, wanted) in [
        (json!({ "name": "shop url", "value": "x" }), "name"),
        (json!({ "name": "shop/url", "value": "x" }), "name"),
        (json!({ "name": "/aws/url", "value": "x" }), "name"),
        (json!({ "name": "/shop/url", "value": "" }), "value"),
        (json!({ "name": "/shop/url", "value": "{{ssm:other}}" }), "value"),
        (json!({ "name": "/shop/url", "value": "x".repeat(4097), "tier": "Standard" }), "value"),
        (json!({ "name": "/shop/url", "value": ["a", "b,c"] }), "value[1]"),
        (json!({ "name": "/shop/url", "value": ["a"], "type": "String" }), "type"),
        (json!({ "name": "/shop/url", "value": { "$secret": "x" }, "type": "String" }), "type"),
        (json!({ "name": "/shop/url", "value": "x", "key_id": "alias/shop" }), "key_id"),
        (json!({ "name": "/shop/url", "value": 7 }), "value"),
    ] {
        assert_eq!(place("put_ssm_parameter", options.clone()), wanted, "{options}");
    }
    assert_eq!(place("publish_output", json!({ "name": "a/b", "value": 1 })), "name");
    assert_eq!(place("publish_output", json!({ "name": "a", "value": "x".repeat(5000) })), "value");
    assert_eq!(place("publish_output", json!({ "name": "a", "value": { "b": [{ "$secret": "hunter2" }] } })), "value");
    assert_eq!(place("output_of", json!({ "stack": "a b", "name": "a" })), "stack");
    assert_eq!(place("secret", json!({})), "");
    assert_eq!(place("secret", json!({ "ssm": "/a", "secretsmanager": "b" })), "");
    assert_eq!(place("secret", json!({ "ssm": "/a", "version_stage": "AWSCURRENT" })), "version_stage");
    assert_eq!(place("ssm_parameter", json!({ "name": "/a", "version": true })), "version");
    assert_eq!(run.mutations(), [""; 0]);
}

#[test]
fn ssm_parameter() {
    let account = Account::new();
    for value in ["one", "two"] {
        account.run().ok("put_ssm_parameter", url(value));
    }
    let mut run = account.run();
    let mut read = |options: Value| run.ok("ssm_parameter", options);
    let found = read(json!({ "name": "/shop/url" }));
    let arn = "arn:aws:ssm:eu-central-1:123456789012:parameter/shop/url";
    assert_eq!(
        (&found["value"], &found["version"], &found["exists"], &found["arn"], &found["change"]),
        (&json!("two"), &json!(2), &json!(true), &json!(arn), &json!("read"))
    );
    assert_eq!(read(json!({ "name": arn }))["value"], "two");
    assert_eq!(read(json!({ "name": "/shop/url", "version": 1 }))["value"], "one");
    let absent = read(json!({ "name": "/shop/none", "required": false }));
    assert_eq!((&absent["exists"], &absent["value"]), (&json!(false), &Value::Null));
    assert_eq!(read(json!({ "name": "/shop/none", "default_value": "three" }))["value"], "three");
    let image = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
    assert!(read(json!({ "name": image }))["value"].as_str().is_some_and(|id| id.starts_with("ami-")));
    let error = run.op("ssm_parameter", json!({ "name": "/shop/none" })).expect_err("none");
    assert_eq!(error.to_string(), "parameter /shop/none was not found");
    assert!(!run.calls().iter().any(|call| call.contains("Put")), "nothing is changed");
}

#[test]
fn outputs_are_published_and_read() {
    let contract = contract("publish_output", |_| {
        let output = |value: Value| json!({ "name": "sizes", "value": value });
        (output(json!({ "small": [1, 2.5, null] })), output(json!([true])))
    });
    assert_eq!(contract.created, ["ssm:PutParameter"]);
    assert_eq!(contract.updated, ["ssm:PutParameter"]);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (2, 1));

    let account = Account::new();
    let mut run = account.run();
    run.ok("publish_output", json!({ "name": "sizes", "value": { "small": [1, 2.5, null] } }));
    assert!(value_of(&account, "/runner/outputs/shop-prod/sizes").starts_with('{'));
    let read = run.ok("output_of", json!({ "stack": "shop-prod", "name": "sizes" }));
    assert_eq!(read["value"], json!({ "small": [1, 2.5, null] }));
    let of_nobody = |more: Value| {
        let mut options = json!({ "stack": "shop-staging", "name": "sizes" });
        options.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        options
    };
    let error = run.op("output_of", of_nobody(json!({}))).expect_err("none");
    assert_eq!(error.to_string(), "output sizes of stack shop-staging was not found");
    assert_eq!(run.ok("output_of", of_nobody(json!({ "required": false })))["value"], Value::Null);
    assert_eq!(run.ok("output_of", of_nobody(json!({ "default_value": 3 })))["value"], 3);
    // Something else is there.
    theirs(&account, "/runner/outputs/theirs/sizes", "String", "no JSON");
    run.op("output_of", json!({ "stack": "theirs", "name": "sizes" })).expect_err("nothing that was published");
}

const NETWORK: &str = r#"
    environment("prod");
    stack("network");
    let vpc = ensure_vpc(#{ name: "main", cidr_block: "10.20.0.0/16" });
    publish_output("vpc", #{ value: vpc });
    publish_output(#{ name: "zones", value: ["a", "b"] });
"#;

const SHOP: &str = r#"
    environment("prod");
    stack("shop");
    let vpc = output_of("network-prod", "vpc");
    ensure_internet_gateway(#{ name: "main", vpc_id: vpc });
    output("cidr", vpc.cidr_block);
    output("zones", output_of("network-prod", "zones"));
    output("none", output_of("network-prod", "none", #{ default_value: 7 }));
"#;

#[test]
fn one_runbook_reads_what_another_has_published() {
    let account = Account::prompt();
    assert_eq!(account.script(NETWORK, json!({})).failure, None);
    let again = account.script(NETWORK, json!({}));
    assert_eq!((again.failure.as_deref(), again.mutations()), (None, vec![]));
    let shop = account.script(SHOP, json!({}));
    assert_eq!(shop.failure, None);
    let outputs = json!({ "cidr": "10.20.0.0/16", "none": 7, "zones": ["a", "b"] });
    assert_eq!(json!(shop.outputs), outputs);
    // And a plan of it does.
    let (fork, origin) = account.fork();
    assert_eq!(json!(fork.script(SHOP, json!({})).outputs), outputs);
    assert!(origin.calls().contains(&"ssm:GetParameter".to_owned()));
}

#[test]
fn secrets_are_read_from_where_they_are_kept() {
    let account = Account::new();
    keep_secret(&account, "shop/db", r#"{ "user": "shop", "password": "correct horse" }"#);
    keep_secret(&account, "shop/token", "battery staple");
    theirs(&account, "/shop/key", "SecureString", "hunter2 hunter2");
    theirs(&account, "/shop/url", "String", "no secret");
    let mut run = account.run();
    let mut read = |options: Value| run.ok("secret", options)["value"].clone();
    let secret = |text: &str| json!({ "$secret": text });
    assert_eq!(read(json!({ "secretsmanager": "shop/db", "key": "password" })), secret("correct horse"));
    assert_eq!(read(json!({ "secretsmanager": "shop/token" })), secret("battery staple"));
    assert_eq!(
        read(json!({ "secretsmanager": "shop/token", "version_stage": "AWSCURRENT" })),
        secret("battery staple")
    );
    assert_eq!(read(json!({ "ssm": "/shop/key" })), secret("hunter2 hunter2"));
    for (options, wanted) in [
        (json!({ "secretsmanager": "shop/none" }), "secret shop/none was not found"),
        (json!({ "secretsmanager": "shop/token", "version_stage": "AWSPENDING" }), "secret shop/token was not found"),
        (json!({ "secretsmanager": "shop/token", "key": "a" }), "shop/token, a: the secret is no JSON object"),
        (json!({ "secretsmanager": "shop/db", "key": "a" }), "shop/db, a: the secret has no such key"),
        (json!({ "ssm": "/shop/none" }), "parameter /shop/none was not found"),
        (json!({ "ssm": "/shop/url" }), "/shop/url is no SecureString: use `ssm_parameter` for what is no secret"),
    ] {
        assert_eq!(run.op("secret", options).expect_err(wanted).to_string(), wanted);
    }
    assert_eq!(run.mutations(), [""; 0]);
    run.ok("put_ssm_parameter", json!({ "name": "/shop/note", "value": "so that something is written down" }));
    let told = format!("{:?} {}", run.events(), account.journals());
    assert!(told.contains("secretsmanager:GetSecretValue"));
    for secret in ["correct horse", "battery staple", "hunter2 hunter2"] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
}

#[test]
fn secrets_are_read_on_moto() {
    let name = moto().new_account();
    let account = Account::moto(moto().url(), name.clone());
    let make = "client('secretsmanager').create_secret(Name='shop/db', SecretString='{\"password\": \"correct horse\"}') and \
                client('ssm').put_parameter(Name='/shop/key', Type='SecureString', Value='battery staple') and 1";
    assert_eq!(moto().boto3(&name, make), 1);
    let mut run = account.run();
    let read = run.ok("secret", json!({ "secretsmanager": "shop/db", "key": "password" }));
    assert_eq!(read["value"], json!({ "$secret": "correct horse" }));
    let read = run.ok("secret", json!({ "ssm": "/shop/key" }));
    assert_eq!(read["value"], json!({ "$secret": "battery staple" }));
    let error = run.op("secret", json!({ "secretsmanager": "shop/none" })).expect_err("none");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

const SECRETS: &str = r#"
    environment("prod");
    stack("shop");
    let password = secret(#{ secretsmanager: "shop/db", key: "password" });
    put_ssm_parameter(#{ name: "/shop/copy", value: password });
    put_ssm_parameter(#{ name: "/shop/key", value: secret(#{ ssm: "/shop/key" }), adopt: true });
    let copy = ssm_parameter("/shop/copy");
    output("version", copy.version);
    log("this is " + copy);
"#;

/// A plan reads no secret value, whoever asks for it, and works all the same.
#[test]
fn a_plan_reads_no_secret_values() {
    let account = Account::prompt();
    keep_secret(&account, "shop/db", r#"{ "password": "correct horse" }"#);
    theirs(&account, "/shop/key", "SecureString", "battery staple");
    let before = account.observe();
    let (fork, origin) = account.fork();
    let ran = fork.script(SECRETS, json!({}));
    assert_eq!(ran.failure, None, "{:?}", ran.rollback);
    assert_eq!(ran.outputs["version"], 1);
    let calls = origin.calls();
    // Of the secure parameter not even what is encrypted of it.
    for call in ["secretsmanager:GetSecretValue", "ssm:GetParameter", "ssm:GetParameters"] {
        assert!(!calls.contains(&call.to_owned()), "{calls:?}");
    }
    assert!(calls.contains(&"secretsmanager:DescribeSecret".to_owned()), "{calls:?}");
    let told = format!("{:?} {}", ran.events, fork.journals());
    assert!(!told.contains("correct horse") && !told.contains("battery staple"), "{told}");
    assert_same(&account.observe(), &before, "after the plan");

    // A changed secure parameter goes back in a plan too.
    let mut planned = fork.run();
    let changed = json!({ "name": "/shop/key", "value": { "$secret": "something else" }, "adopt": true });
    assert_eq!(planned.ok("put_ssm_parameter", changed)["change"], "updated");
    let report = planned.roll_back();
    assert!(report.is_clean(), "{report:?}");

    // The same run, not planned.
    let ran = account.script(SECRETS, json!({}));
    assert_eq!(ran.failure, None, "{:?}", ran.rollback);
    assert_eq!(value_of(&account, "/shop/copy"), "correct horse");
    let told = format!("{:?} {}", ran.events, account.journals());
    assert!(!told.contains("correct horse") && !told.contains("battery staple"), "{told}");
}

#[test]
fn a_secret_stays_opaque_to_the_runbook() {
    let account = Account::prompt();
    keep_secret(&account, "shop/token", "battery staple");
    theirs(&account, "/shop/key", "SecureString", "battery staple");
    for (line, wanted) in [
        (r#"output("token", token);"#, "the output `token` cannot be a secret"),
        (r#"output("key", key);"#, "the output `key` cannot be a secret"),
        (r#"log("it is " + token);"#, "a secret cannot be joined with text"),
        (r#"token == "battery staple""#, "a secret cannot be compared"),
        ("key == ssm_parameter(\"/shop/key\")", "what holds a secret cannot be compared"),
        (r#"publish_output(#{ name: "token", value: token });"#, "secret"),
        (r#"publish_output(#{ name: "key", value: #{ of: key } });"#, "secret"),
        (r#"log(key.to_json());"#, "a secret"),
    ] {
        let script = format!(
            "environment(\"prod\"); stack(\"shop\");\nlet token = secret(#{{ secretsmanager: \"shop/token\" }});\n\
             let key = ssm_parameter(\"/shop/key\");\n{line}\n"
        );
        let failure = account.script(&script, json!({})).failure.unwrap_or_else(|| panic!("{line} passed"));
        assert!(failure.contains(wanted) && !failure.contains("battery"), "{line}: {failure}");
    }
}

#[test]
fn policy_protects_parameters_by_their_names_and_tags() {
    let account = Account::new();
    account.run().ok("put_ssm_parameter", url("https://one.example.com"));
    let mut run = account.run_under(r#"protected_names = ["/shop/*"]"#);
    let error = run.op("put_ssm_parameter", url("https://two.example.com")).expect_err("it is protected");
    assert!(matches!(error, Error::Policy(_)), "{error}");
    let mut run = account.run_under(r#"required_tags = { team = "*" }"#);
    let other = json!({ "name": "/shop/other", "value": "x" });
    let error = run.op("put_ssm_parameter", other).expect_err("it has no such tag");
    assert!(matches!(error, Error::Policy(_)), "{error}");
    assert_eq!(account.run_under(r#"required_tags = { team = "*" }"#).mutations(), [""; 0]);
}

#[test]
fn same_seed_same_events() {
    let events = || {
        let account = Account::seeded(7);
        let mut run: Trial<'_> = account.run();
        run.ok("put_ssm_parameter", password("correct horse"));
        run.ok("publish_output", json!({ "name": "a", "value": 1 }));
        format!("{:?}", run.events())
    };
    assert_eq!(events(), events());
}
