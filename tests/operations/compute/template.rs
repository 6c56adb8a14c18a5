//! `ensure_launch_template` and `compare_launch_template`.

use runner::ops::Error;
use serde_json::{Value, json};

use crate::{account::Account, contract::contract};

fn small() -> Value {
    json!({ "name": "web", "image_id": "ami-healthy-1", "instance_type": "t3.small" })
}

fn with(change: Value) -> Value {
    let mut options = small();
    let fields = change.as_object().expect("an object").clone();
    options.as_object_mut().expect("an object").extend(fields);
    options
}

/// Everything there is to say.
fn full() -> Value {
    with(json!({
        "key_name": "ops", "user_data": "#!/bin/sh\necho hello",
        "metadata_options": { "http_put_response_hop_limit": 1, "instance_metadata_tags": true },
        "block_device_mappings": [{ "volume_size": 20, "iops": 4000 }, { "device_name": "/dev/sdf", "volume_size": 100, "encrypted": false }],
        "kms_key_id": "alias/shop", "monitoring": true, "ebs_optimized": true, "cpu_credits": "unlimited",
        "cpu_options": { "core_count": 1, "threads_per_core": 1 }, "placement": { "tenancy": "dedicated" },
        "instance_initiated_shutdown_behavior": "terminate", "disable_api_termination": true, "disable_api_stop": true,
        "enclave_options": true, "auto_recovery": "disabled", "associate_public_ip_address": true,
        "version_description": "everything", "set_default_version": true, "tags": { "team": "web" },
    }))
}

#[test]
fn ensure_launch_template() {
    let contract = contract("ensure_launch_template", |_| {
        (
            small(),
            with(
                json!({ "image_id": "ami-healthy-2", "user_data": "#!/bin/sh", "set_default_version": true, "tags": { "team": "web" } }),
            ),
        )
    });
    assert_eq!(contract.created, ["ec2:CreateLaunchTemplate"]);
    assert_eq!(contract.updated, ["ec2:CreateLaunchTemplateVersion", "ec2:CreateTags", "ec2:ModifyLaunchTemplate"]);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (3, 2));
}

#[test]
fn whatever_was_said_is_found_again() {
    let account = Account::new();
    assert_eq!(account.run().ok("ensure_launch_template", full())["change"], "created");
    let mut again = account.run();
    assert_eq!(again.ok("ensure_launch_template", full())["change"], "unchanged", "{:?}", again.fields());
}

#[test]
fn an_earlier_version_of_the_same_content_is_used_again() {
    let account = Account::new();
    let mut run = account.run();
    let two = with(json!({ "image_id": "ami-healthy-2" }));
    assert_eq!(run.ok("compare_launch_template", small())["matches"], false);
    assert_eq!(run.ok("ensure_launch_template", small())["version"], 1);
    assert_eq!(run.ok("ensure_launch_template", two.clone())["version"], 2);
    let back = run.ok("ensure_launch_template", small());
    assert_eq!((&back["version"], &back["change"]), (&json!(1), &json!("unchanged")));
    let compared = run.ok("compare_launch_template", two);
    assert_eq!((&compared["matches"], &compared["version"]), (&json!(true), &json!(2)));
    let other = run.ok("compare_launch_template", with(json!({ "instance_type": "t3.large" })));
    assert_eq!((&other["matches"], &other["version"]), (&json!(false), &Value::Null));
}

#[test]
fn a_change_is_shown_by_field_and_user_data_is_not_shown() {
    let account = Account::new();
    let mut run = account.run();
    run.ok("ensure_launch_template", with(json!({ "user_data": { "$secret": "password=hunter2" } })));
    let changed = json!({ "user_data": { "$secret": "password=hunter3" }, "instance_type": "t3.medium" });
    run.ok("ensure_launch_template", with(changed));
    let shown: Vec<String> = run.fields().iter().map(|field| field.name.clone()).collect();
    assert_eq!(shown[shown.len() - 3..], ["version", "instance_type", "user_data"]);
    assert!(!format!("{:?}", run.events()).contains("hunter"));
}

#[test]
fn a_template_of_somebody_else_is_refused_unless_adopted() {
    let account = Account::new();
    let mut run = account.run();
    run.ok("ensure_launch_template", small());
    run.run.set_stack("shop".into());
    // The stack `shop` with `prod-web` has the name that the stack `shop-prod` has with `web`.
    let theirs = with(json!({ "name": "prod-web" }));
    let error = run.op("ensure_launch_template", theirs.clone()).expect_err("refused");
    assert!(matches!(error, Error::NotOwned { .. }), "{error}");
    let adopted = with(json!({ "name": "prod-web", "adopt": true }));
    assert_eq!(run.ok("ensure_launch_template", adopted)["change"], "updated");
    assert!(run.roll_back().is_clean());
}

#[test]
fn what_needs_no_aws_is_refused_at_once() {
    let account = Account::new();
    let mut run = account.run();
    for (change, path) in [
        (
            json!({ "metadata_options": { "http_put_response_hop_limit": 0 } }),
            "metadata_options.http_put_response_hop_limit",
        ),
        (json!({ "user_data": "x".repeat(16_385) }), "user_data"),
        (json!({ "block_device_mappings": [{}, {}] }), "block_device_mappings[1].device_name"),
        (
            json!({ "block_device_mappings": [{ "kms_key_id": "k", "encrypted": false }] }),
            "block_device_mappings[0].kms_key_id",
        ),
        (json!({ "cpu_credits": "none" }), "cpu_credits"),
    ] {
        match run.op("ensure_launch_template", with(change)) {
            Err(Error::Option { path: found, .. }) => assert_eq!(found, path),
            other => panic!("{path}: {other:?}"),
        }
    }
    assert_eq!(run.calls(), [""; 0]);
}

#[test]
fn a_version_that_became_the_default_is_left_to_whoever_made_it_so() {
    let account = Account::new();
    let mut run = account.run();
    run.ok("ensure_launch_template", small());
    let mut second = account.run();
    second.ok("ensure_launch_template", with(json!({ "image_id": "ami-healthy-2" })));
    let somebody = with(json!({ "image_id": "ami-healthy-2", "set_default_version": true }));
    account.run().ok("ensure_launch_template", somebody);
    let report = second.roll_back();
    assert_eq!(report.left.len(), 1, "{report:?}");
    assert!(report.left[0].1.contains("default version"), "{report:?}");
}
