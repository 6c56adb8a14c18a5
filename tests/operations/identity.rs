//! Roles, policies and instance profiles.

use runner::ops::Error;
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    contract::{assert_same, contract},
};

const SSM: &str = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";
const LOGS: &str = "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy";

fn allow(action: &str) -> Value {
    json!({ "Statement": [{ "Effect": "Allow", "Action": action, "Resource": "*" }] })
}

fn role() -> Value {
    json!({
        "name": "web", "trust": "ec2.amazonaws.com", "managed_policy_arns": [SSM],
        "inline_policies": { "assets": allow("s3:GetObject"), "queue": allow("sqs:SendMessage") },
    })
}

#[test]
fn ensure_role() {
    let contract = contract("ensure_role", |_| {
        let mut changed = role();
        changed["trust"] = json!(["ec2.amazonaws.com", "ssm.amazonaws.com"]);
        changed["managed_policy_arns"] = json!([LOGS]);
        changed["inline_policies"] = json!({ "assets": allow("s3:PutObject") });
        changed["max_session_duration"] = json!("2h");
        changed["tags"] = json!({ "team": "web" });
        changed["permissions_boundary"] = json!("arn:aws:iam::aws:policy/PowerUserAccess");
        (role(), changed)
    });
    assert_eq!(
        contract.created,
        ["iam:CreateRole", "iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:PutRolePolicy"].map(str::to_owned)
    );
    let mut updated = contract.updated;
    updated.sort();
    assert_eq!(
        updated,
        [
            "iam:AttachRolePolicy",
            "iam:DeleteRolePolicy",
            "iam:DetachRolePolicy",
            "iam:PutRolePermissionsBoundary",
            "iam:PutRolePolicy",
            "iam:TagRole",
            "iam:UpdateAssumeRolePolicy",
            "iam:UpdateRole",
        ]
    );
    // Found nothing, made it, gave it its policies at once; three more while IAM had not heard of it everywhere.
    assert_eq!((contract.created_depth, contract.unchanged_depth), (6, 2));
}

#[test]
fn ensure_policy() {
    let contract = contract("ensure_policy", |_| {
        let options = json!({ "name": "assets", "policy_document": allow("s3:GetObject") });
        let changed = json!({
            "name": "assets", "policy_document": allow("s3:PutObject"), "tags": { "team": "web" },
        });
        (options, changed)
    });
    assert_eq!(contract.created, ["iam:CreatePolicy"]);
    assert_eq!(contract.updated, ["iam:TagPolicy", "iam:CreatePolicyVersion"]);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (2, 2));
}

#[test]
fn ensure_instance_profile() {
    let contract = contract("ensure_instance_profile", |needs| {
        let web = needs.ok("ensure_role", role());
        let api = needs.ok("ensure_role", json!({ "name": "api", "trust": "ec2.amazonaws.com" }));
        let options = json!({ "name": "web", "role_name": web });
        let changed = json!({ "name": "web", "role_name": api["role_name"], "tags": { "team": "web" } });
        (options, changed)
    });
    assert_eq!(contract.created, ["iam:CreateInstanceProfile", "iam:AddRoleToInstanceProfile"]);
    assert_eq!(
        contract.updated,
        ["iam:TagInstanceProfile", "iam:RemoveRoleFromInstanceProfile", "iam:AddRoleToInstanceProfile"]
    );
    // Once more because IAM had not heard of it everywhere.
    assert_eq!((contract.created_depth, contract.unchanged_depth), (4, 1));
}

#[test]
fn a_policy_is_compared_by_meaning() {
    let account = Account::new();
    let mut run = account.run();
    run.ok("ensure_policy", json!({ "name": "assets", "policy_document": allow("s3:GetObject") }));
    let document =
        r#"{"Version":"2012-10-17","Statement":{"Resource":["*"],"Action":["S3:GetObject"],"Effect":"Allow"}}"#;
    let again = run.ok("ensure_policy", json!({ "name": "assets", "policy_document": document }));
    assert_eq!(again["change"], "unchanged");
}

#[test]
fn the_oldest_version_makes_room() {
    let account = Account::new();
    let options = |n: u32| json!({ "name": "assets", "policy_document": allow(&format!("s3:Get{n}")) });
    let mut run = account.run();
    for n in 1..=5 {
        run.ok("ensure_policy", options(n));
    }
    let mut run = account.run();
    let policy = run.ok("ensure_policy", options(6));
    assert_eq!(policy["default_version_id"], "v6");
    assert_eq!(run.mutations(), ["iam:DeletePolicyVersion", "iam:CreatePolicyVersion"]);
    assert!(run.roll_back().is_clean());
    let policy = account.run().ok("ensure_policy", options(5));
    assert_eq!((&policy["default_version_id"], &policy["change"]), (&json!("v5"), &json!("unchanged")));
    // Version 1 is back by its text, under the next number.
    let observed = account.observe().to_string();
    assert!(observed.contains("s3:Get1") && !observed.contains("s3:Get6"), "{observed}");
}

#[test]
fn options_left_out_leave_alone_what_is_there() {
    let account = Account::new();
    let mut run = account.run();
    run.ok("ensure_role", role());
    let again = run.ok("ensure_role", json!({ "name": "web", "trust": "ec2.amazonaws.com" }));
    assert_eq!(again["change"], "unchanged");
    let emptied = json!({ "name": "web", "trust": "ec2.amazonaws.com", "inline_policies": {} });
    assert_eq!(run.ok("ensure_role", emptied)["change"], "updated");
}

#[test]
fn what_is_not_the_stacks_is_refused_and_can_be_adopted() {
    let account = Account::new();
    let mut theirs = account.run();
    theirs.run.set_stack("shop".into());
    theirs.ok("ensure_role", json!({ "name": "prod-web", "trust": "ec2.amazonaws.com" }));
    let before = account.observe();
    let mut ours = account.run();
    let error = ours.op("ensure_role", role()).expect_err("refused");
    assert!(matches!(&error, Error::NotOwned { owner: Some(owner), .. } if owner == "shop"), "{error}");
    assert_eq!(ours.mutations(), [""; 0]);
    let mut options = role();
    options["adopt"] = json!(true);
    assert_eq!(ours.ok("ensure_role", options)["change"], "updated");
    assert!(ours.roll_back().is_clean());
    assert_eq!(account.observe(), before);
}

#[test]
fn what_somebody_else_changed_since_is_left_alone() {
    let account = Account::new();
    account.run().ok("ensure_role", role());
    let with_trust = |service: &str| {
        let mut options = role();
        options["trust"] = json!(service);
        options
    };
    let mut run = account.run();
    run.ok("ensure_role", with_trust("ecs-tasks.amazonaws.com"));
    account.run().ok("ensure_role", with_trust("lambda.amazonaws.com"));
    let report = run.roll_back();
    assert_eq!(report.left.len(), 1, "{report:?}");
    assert_eq!(account.run().ok("ensure_role", with_trust("lambda.amazonaws.com"))["change"], "unchanged");
}

#[test]
fn a_path_cannot_be_changed() {
    let account = Account::new();
    let mut run = account.run();
    run.ok("ensure_role", role());
    let mut moved = role();
    moved["path"] = json!("/shop/");
    let error = run.op("ensure_role", moved).expect_err("refused");
    assert!(matches!(error, Error::NeedsReplacement { field: "path", .. }), "{error}");
}

#[test]
fn a_description_comes_and_goes() {
    let account = Account::new();
    account.run().ok("ensure_role", role());
    let before = account.observe();
    let mut described = role();
    described["description"] = json!("Web servers");
    let mut run = account.run();
    assert_eq!(run.ok("ensure_role", described)["change"], "updated");
    assert_eq!(run.mutations(), ["iam:UpdateRole"]);
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "undone");
}

#[test]
fn wrong_options_say_where() {
    let account = Account::new();
    let mut run = account.run();
    let mut place = |options: Value| match run.op("ensure_role", options).expect_err("refused") {
        Error::Option { path, message } => (path, message),
        other => panic!("{other}"),
    };
    let (path, _) = place(json!({ "name": "web", "trust": { "Version": "2012-10-17" } }));
    assert_eq!(path, "trust");
    let (path, _) = place(json!({ "name": "web", "trust": "ec2.amazonaws.com", "managed_policy_arns": ["x"] }));
    assert_eq!(path, "managed_policy_arns[0]");
    let (path, _) = place(json!({ "name": "web", "trust": "ec2.amazonaws.com", "path": "shop" }));
    assert_eq!(path, "path");
    let (path, _) = place(json!({ "name": "web", "trust": "ec2.amazonaws.com", "max_session_duration": "5m" }));
    assert_eq!(path, "max_session_duration");
}

#[test]
fn a_role_and_what_needs_it_come_and_go_together() {
    let account = Account::new();
    let before = account.observe();
    let mut run: Trial<'_> = account.run();
    let policy = run.ok("ensure_policy", json!({ "name": "assets", "policy_document": allow("s3:GetObject") }));
    let mut options = role();
    options["managed_policy_arns"] = json!([policy, SSM]);
    let role = run.ok("ensure_role", options);
    run.ok("ensure_instance_profile", json!({ "name": "web", "role_name": role }));
    assert!(run.roll_back().is_clean());
    assert_eq!(account.observe(), before);
}
