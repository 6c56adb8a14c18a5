//! The permissions that docs/ci.md has people give: the plan's role reads and no more, the deploy's role may do what the
//! operations do and no more.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use super::own;

/// What the role allows, `ec2:Describe*` or `ec2:CreateVpc`.
fn allowed(role: &str) -> Vec<String> {
    let text = fs::read_to_string(own(&format!("docs/ci/{role}-role.json"))).expect("it is there");
    let policy: Value = serde_json::from_str(&text).expect("JSON");
    let mut patterns = Vec::new();
    for statement in policy["Statement"].as_array().expect("statements") {
        if statement["Effect"] == "Deny" {
            assert_eq!(statement["Action"], "kms:Decrypt", "whatever else is denied could be what a plan reads");
            continue;
        }
        assert_eq!(statement["Effect"], "Allow");
        match &statement["Action"] {
            Value::Array(actions) => patterns.extend(actions.iter().filter_map(Value::as_str).map(str::to_owned)),
            action => patterns.push(action.as_str().expect("an action").to_owned()),
        }
    }
    patterns
}

fn allows(patterns: &[String], action: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => action.starts_with(beginning),
        None => action == pattern,
    })
}

fn read_only() -> BTreeSet<String> {
    let text = fs::read_to_string(own("src/aws/read_only.txt")).expect("it is there");
    text.lines().map(str::to_owned).collect()
}

/// Whose calls operations name.
const SERVICES: &[&str] = &[
    "acm",
    "application-autoscaling",
    "autoscaling",
    "ec2",
    "ecr",
    "ecs",
    "elasticloadbalancing",
    "iam",
    "route53",
    "secretsmanager",
    "ssm",
    "cloudwatch",
    "logs",
    "sns",
];

/// The calls that the operations name.
fn named() -> BTreeSet<String> {
    fn walk(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a text file");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for literal in code.split('"').filter(|literal| literal.contains(':')) {
                let call = literal.split_once(':').filter(|(service, name)| {
                    SERVICES.contains(service)
                        && name.starts_with(|c: char| c.is_ascii_uppercase())
                        // Auto Scaling's life cycle transitions look like calls.
                        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
                });
                found.extend(call.map(|_| literal.to_owned()));
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(Path::new(&own("src/ops")), &mut found);
    assert!(found.len() > 100, "{found:?}");
    found
}

#[test]
fn the_plans_role_reads_what_operations_read_and_changes_nothing() {
    let (patterns, read_only) = (allowed("plan"), read_only());
    // A run looks first at whose account it is in; a plan reads what its copy of the account needs.
    let read: BTreeSet<String> = runner::sim::reads().into_iter().chain(["sts:GetCallerIdentity".to_owned()]).collect();
    // What a plan's copy of the account answers itself: commands and moved tags are its own, and no secret is read.
    let never = [
        "ecr:BatchGetImage",
        "ecr:GetAuthorizationToken",
        "secretsmanager:GetSecretValue",
        "ssm:GetCommandInvocation",
        "ssm:ListCommandInvocations",
    ];
    let mut calls = &read | &named();
    for call in never {
        assert!(calls.remove(call) && !allows(&patterns, call), "{call}");
    }
    for call in &calls {
        assert_eq!(allows(&patterns, call), read_only.contains(call), "{call}");
    }
    for pattern in &patterns {
        let is_needed = calls.iter().any(|call| allows(std::slice::from_ref(pattern), call));
        assert!(is_needed, "no plan needs {pattern}");
        let reads = ["Describe", "Get", "List"].iter().any(|verb| pattern.contains(&format!(":{verb}")));
        assert!(reads, "{pattern} may change something");
    }
    for secret in
        ["ec2:GetPasswordData", "ssm:GetParameters", "ssm:GetParametersByPath", "sts:AssumeRole", "iam:GetUser"]
    {
        assert!(!allows(&patterns, secret), "{secret}");
    }
}

/// `ssm:GetParameter` also decrypts, with a key that everybody in the account may use.
#[test]
fn the_plans_role_cannot_decrypt() {
    let text = fs::read_to_string(own("docs/ci/plan-role.json")).expect("it is there");
    let policy: Value = serde_json::from_str(&text).expect("JSON");
    let denied = |statement: &&Value| statement["Effect"] == "Deny" && statement["Action"] == "kms:Decrypt";
    let denial = policy["Statement"].as_array().expect("statements").iter().find(denied).expect("a denial");
    assert_eq!(denial["Resource"], "*");
}

#[test]
fn the_readme_has_the_plans_role() {
    let read = |file: &str| fs::read_to_string(own(file)).expect("it is there");
    assert!(read("README.md").contains(read("docs/ci/plan-role.json").trim()));
}

#[test]
fn the_deploys_role_may_do_what_operations_do_and_no_more() {
    let (patterns, named) = (allowed("deploy"), named());
    for call in &named {
        assert!(allows(&patterns, call), "{call} is missing");
    }
    // What AWS asks for on behalf of a call: a group's instances, their role, and roles of AWS itself; and what docker pushes with.
    let implied = [
        "ec2:RunInstances",
        "ecr:BatchCheckLayerAvailability",
        "ecr:CompleteLayerUpload",
        "ecr:InitiateLayerUpload",
        "ecr:UploadLayerPart",
        "iam:PassRole",
        "iam:CreateServiceLinkedRole",
    ];
    for pattern in patterns.iter().filter(|pattern| !allowed("plan").contains(pattern)) {
        assert!(named.contains(pattern) || implied.contains(&pattern.as_str()), "{pattern} is not needed");
    }
}
