//! Commands on instances.

use runner::ops::Error;
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    compute::support::group,
    contract::assert_same,
    moto::moto,
};

/// A fleet of so many instances that Systems Manager manages, and its name.
fn fleet(run: &mut Trial<'_>, size: i32) -> (Value, String) {
    let vpc = run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16" }));
    let subnets = json!({ "vpc_id": vpc, "tier": "private", "availability_zones": 1, "prefix_length": 24 });
    let subnets = run.ok("ensure_subnets", subnets);
    let ssm = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";
    let role = json!({ "name": "web", "trust": "ec2.amazonaws.com", "managed_policy_arns": [ssm] });
    let role = run.ok("ensure_role", role);
    let profile = run.ok("ensure_instance_profile", json!({ "name": "web", "role_name": role }));
    let template = json!({
        "name": "web", "image_id": "ami-healthy-1", "instance_type": "t3.small", "instance_profile": profile,
    });
    let template = run.ok("ensure_launch_template", template);
    let sizes =
        json!({ "name": "web", "launch_template": template, "subnets": subnets, "min_size": size, "max_size": size });
    let fleet = run.ok("launch_asg", sizes);
    let wait =
        json!({ "auto_scaling_group": fleet, "min_size": size, "desired_capacity": size, "wait_timeout": "10m" });
    let fleet = run.ok("scale_asg", wait);
    (group(run, &fleet), "shop-prod-web".to_owned())
}

fn on(group: &str, commands: &[&str]) -> Value {
    json!({ "auto_scaling_group": group, "commands": commands })
}

/// A reply is lost: what was sent is found by its comment, and never sent twice.
#[test]
fn a_command_whose_reply_is_lost_is_found() {
    for (fault, sent) in [("500-applied", true), ("timeout-applied", true), ("500-not-applied", false)] {
        let account = Account::new();
        let (_, name) = fleet(&mut account.run(), 2);
        // Until then Systems Manager refuses all commands: their instances are not managed yet.
        account.run().ok("run_command", on(&name, &["true"]));
        let simulator = account.simulator();
        simulator.ask_for([format!("ssm:SendCommand#1={fault}").parse().expect("a fault")]);
        let mut run = account.run();
        let ran = run.op("run_command", on(&name, &["echo done"]));
        let succeeded = ran.as_ref().is_ok_and(|ran| ran["succeeded"] == json!(true));
        assert_eq!(succeeded, sent, "{fault}: {ran:?}");
        let instances = ran.iter().flat_map(|ran| ran["instances"].as_array()).flatten().count();
        assert_eq!(instances, if sent { 2 } else { 0 }, "{fault}");
    }
}

#[test]
fn commands_run_on_all_instances_of_a_group() {
    let account = Account::new();
    let (_, name) = fleet(&mut account.run(), 3);
    let mut run = account.run();
    let ran = run.ok("run_command", on(&name, &["systemctl restart shop", "echo 'done'", "echo careful >&2"]));
    assert_eq!((&ran["succeeded"], &ran["change"]), (&json!(true), &json!("updated")));
    let instances = ran["instances"].as_array().expect("a list");
    assert_eq!(instances.len(), 3);
    for one in instances {
        let of = |field: &str| one[field].clone();
        assert_eq!((of("status"), of("response_code")), (json!("Success"), json!(0)));
        assert_eq!((of("stdout"), of("stderr")), (json!("done\n"), json!("careful\n")));
    }
    assert_eq!(run.mutations(), ["ssm:SendCommand"]);
    // Nothing takes it back, and that is said.
    let report = run.roll_back();
    assert_eq!(report.left.len(), 1, "{report:?}");
    assert!(report.left[0].0.contains("take back what commands on 3 instances of shop-prod-web did"), "{report:?}");
}

#[test]
fn commands_run_on_instances_by_their_ids_and_are_taken_back_by_others() {
    let account = Account::new();
    let (group, _) = fleet(&mut account.run(), 2);
    let ids = group["instance_ids"].clone();
    let before = account.observe();
    let mut run = account.run();
    let options = json!({
        "instance_ids": ids, "commands": ["touch /tmp/maintenance"], "undo_commands": ["rm /tmp/maintenance"],
        "working_directory": "/srv",
    });
    assert_eq!(run.ok("run_command", options)["succeeded"], true);
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(run.mutations(), ["ssm:SendCommand", "ssm:SendCommand"]);
    assert_same(&account.observe(), &before, "undone");
}

#[test]
fn commands_that_fail_say_where_and_why() {
    let account = Account::new();
    let (_, name) = fleet(&mut account.run(), 3);
    let fails = ["echo 'no such service' >&2", "exit 3"];
    let error = account.run().op("run_command", on(&name, &fails)).expect_err("it fails");
    let message = error.to_string();
    assert!(matches!(error, Error::Failed { .. }), "{message}");
    assert!(message.starts_with("commands on 3 instances of shop-prod-web failed: i-"), "{message}");
    assert!(message.contains("Failed with exit code 3: no such service"), "{message}");

    // One at a time, the second failure is one too many.
    let mut options = on(&name, &fails);
    options.as_object_mut().expect("a map").extend(
        json!({ "max_concurrency": 1, "max_errors": 1, "allow_failure": true }).as_object().expect("a map").clone(),
    );
    let ran = account.run().ok("run_command", options);
    assert_eq!(ran["succeeded"], false);
    let details = |ran: &Value| -> Vec<String> {
        let mut all: Vec<String> = ran["instances"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|one| one["status_details"].as_str().map(str::to_owned))
            .collect();
        all.sort();
        all
    };
    assert_eq!(details(&ran), ["Failed", "Failed", "Terminated"]);

    let mut slow = on(&name, &["sleep 600"]);
    slow["timeout"] = json!("60s");
    slow["allow_failure"] = json!(true);
    assert_eq!(details(&account.run().ok("run_command", slow)), ["ExecutionTimedOut"; 3]);
}

#[test]
fn an_instance_that_is_not_managed_is_told() {
    let account = Account::new();
    let mut run = account.run();
    let (fleet, _) = crate::compute::support::fleet(&mut run, 1);
    let wait = json!({ "auto_scaling_group": fleet, "min_size": 1, "desired_capacity": 1, "wait_timeout": "10m" });
    run.ok("scale_asg", wait);
    let name = fleet["auto_scaling_group_name"].as_str().expect("a name").to_owned();
    let error = account.run().op("run_command", on(&name, &["true"])).expect_err("it has no role");
    assert!(error.to_string().contains("AmazonSSMManagedInstanceCore"), "{error}");
}

#[test]
fn a_group_without_instances_is_told() {
    let account = Account::new();
    let mut run = account.run();
    let mut options = crate::compute::support::needs(&mut run);
    options["min_size"] = json!(0);
    options["desired_capacity"] = json!(0);
    run.ok("launch_asg", options);
    let error = run.op("run_command", on("shop-prod-blue", &["true"])).expect_err("nobody is there");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[test]
fn commands_run_on_moto() {
    let name = moto().new_account();
    let account = Account::moto(moto().url(), name.clone());
    let launch = "client('ec2').run_instances(ImageId=client('ec2').describe_images()['Images'][0]['ImageId'], MinCount=1, \
                  MaxCount=1)['Instances'][0]['InstanceId']";
    let instance = moto().boto3(&name, launch);
    let mut run = account.run();
    let ran = run.ok("run_command", json!({ "instance_ids": [instance], "commands": ["true"] }));
    assert_eq!((&ran["succeeded"], &ran["instances"][0]["instance_id"]), (&json!(true), &instance));
    let sent = "[[c['DocumentName'], c['Parameters']['commands']] for c in client('ssm').list_commands()['Commands']]";
    assert_eq!(moto().boto3(&name, sent), json!([["AWS-RunShellScript", ["true"]]]));
}

#[test]
fn wrong_options_say_where() {
    let account = Account::new();
    let mut run = account.run();
    let mut place = |options: Value| match run.op("run_command", options).expect_err("refused") {
        Error::Option { path, .. } => path,
        other => panic!("{other}"),
    };
    let with = |more: Value| {
        let mut options = on("web", &["true"]);
        options.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
        options
    };
    assert_eq!(place(json!({ "commands": ["true"] })), "");
    assert_eq!(place(with(json!({ "instance_ids": ["i-1"] }))), "");
    assert_eq!(place(json!({ "instance_ids": ["x"], "commands": ["true"] })), "instance_ids[0]");
    assert_eq!(place(json!({ "auto_scaling_group": "web" })), "commands");
    assert_eq!(place(with(json!({ "document_name": "Other" }))), "parameters");
    assert_eq!(place(with(json!({ "timeout": "3d" }))), "timeout");
    assert_eq!(place(with(json!({ "max_concurrency": 0 }))), "max_concurrency");
    assert_eq!(place(with(json!({ "max_errors": "150%" }))), "max_errors");
    // Secrets do not belong into commands, which everybody can read.
    assert_eq!(place(json!({ "auto_scaling_group": "web", "commands": [{ "$secret": "x" }] })), "commands[0]");
}
