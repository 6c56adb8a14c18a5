//! Images that are made, copied, shared and pruned.

use runner::{ops::Error, sim::Scope};
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    contract::{assert_same, contract},
    live::send,
    moto::moto,
};

/// What a builder needs, and the options of an image.
fn needs(run: &mut Trial<'_>) -> Value {
    let vpc = run.ok("ensure_vpc", json!({ "name": "main", "cidr_block": "10.20.0.0/16" }));
    let subnets = json!({ "vpc_id": vpc, "tier": "private", "availability_zones": 1, "prefix_length": 24 });
    let subnets = run.ok("ensure_subnets", subnets);
    let ssm = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore";
    let role = json!({ "name": "builder", "trust": "ec2.amazonaws.com", "managed_policy_arns": [ssm] });
    let role = run.ok("ensure_role", role);
    let profile = run.ok("ensure_instance_profile", json!({ "name": "builder", "role_name": role }));
    json!({
        "name": "web", "image_id": "ami-healthy-1", "subnet": subnets, "instance_profile": profile,
        "files": { "/etc/shop/shop.conf": "port = 8080\n" }, "commands": ["systemctl enable shop"], "verify": ["true"],
    })
}

fn with(options: &Value, more: Value) -> Value {
    let mut options = options.clone();
    options.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    options
}

fn ec2(account: &Account, action: &'static str, params: Value) -> Value {
    let scope = Scope { account: "123456789012".into(), region: "eu-central-1".into() };
    send(account.simulator(), &scope, "ec2", action, &params).unwrap_or_else(|error| panic!("{action}: {error}"))
}

/// The ids of the account's own images, in a region.
fn images(account: &Account, region: &str) -> Vec<String> {
    account.simulator().advance(account.simulator().clock() + std::time::Duration::from_secs(5));
    let scope = Scope { account: "123456789012".into(), region: region.into() };
    let shown = send(account.simulator(), &scope, "ec2", "DescribeImages", &json!({ "Owner": ["self"] }));
    let shown = shown.expect("images")["imagesSet"].as_array().cloned().unwrap_or_default();
    let ids = shown.iter().filter_map(|image| image["imageId"].as_str());
    // The fixtures are there for everybody.
    ids.filter(|id| id.starts_with("ami-0000")).map(str::to_owned).collect()
}

#[test]
fn bake_image() {
    let contract = contract("bake_image", |run| {
        let options = needs(run);
        let changed = with(&options, json!({ "share_with": ["210987654321"], "tags": { "team": "web" } }));
        (options, changed)
    });
    let steps = [
        "ec2:CreateSecurityGroup",
        "ec2:RunInstances",
        "ssm:SendCommand",
        "ssm:SendCommand",
        "ec2:StopInstances",
        "ec2:CreateImage",
        "ec2:TerminateInstances",
        "ec2:DeleteSecurityGroup",
    ];
    assert_eq!(contract.created, steps);
    // Of the image and of its snapshot.
    assert_eq!(contract.updated, ["ec2:CreateTags", "ec2:CreateTags", "ec2:ModifyImageAttribute"]);
}

#[test]
fn an_image_behaves_as_its_base_does_and_other_content_is_another_image() {
    let account = Account::new();
    let mut run = account.run();
    let options = needs(&mut run);
    let first = run.ok("bake_image", options.clone());
    assert_eq!(first["change"], "created");
    let template = json!({ "name": "web", "image_id": first, "instance_type": "t3.small" });
    let template = run.ok("ensure_launch_template", template);
    let fleet = json!({
        "name": "web", "launch_template": template, "subnets": options["subnet"], "min_size": 1, "max_size": 1,
    });
    let fleet = run.ok("launch_asg", fleet);
    let wait = json!({ "auto_scaling_group": fleet, "min_size": 1, "desired_capacity": 1, "wait_timeout": "10m" });
    run.ok("scale_asg", wait);
    assert_eq!(run.ok("find_asg", json!({ "name": "web" }))["in_service"], 1);

    let other = run.ok("bake_image", with(&options, json!({ "commands": ["systemctl disable shop"] })));
    assert_eq!(other["change"], "created");
    assert_ne!(other["image_id"], first["image_id"]);
    // What the builder is like is not in the image.
    let again = run.ok("bake_image", with(&options, json!({ "instance_type": "t3.large", "timeout": "1h" })));
    assert_eq!((&again["change"], &again["image_id"]), (&json!("unchanged"), &first["image_id"]));
}

#[test]
fn user_data_alone_makes_an_image_too() {
    let account = Account::new();
    let mut run = account.run();
    let mut options = needs(&mut run);
    for field in ["files", "commands", "verify", "instance_profile"] {
        options.as_object_mut().expect("a map").shift_remove(field);
    }
    options["user_data"] = json!("#!/bin/sh\ntrue\n");
    assert_eq!(run.ok("bake_image", options)["change"], "created");
    assert!(!run.mutations().contains(&"ssm:SendCommand".to_owned()));
}

#[test]
fn what_cannot_be_made_leaves_nothing() {
    for (field, step) in [("commands", "provisioning"), ("verify", "verification")] {
        let account = Account::new();
        let options = needs(&mut account.run());
        let before = account.observe();
        let mut run = account.run();
        let fails = with(&options, json!({ field: ["echo 'no such thing' >&2", "exit 4"] }));
        let error = run.op("bake_image", fails).expect_err("it fails");
        let wanted = format!("{step} of image web failed: ");
        assert!(error.to_string().starts_with(&wanted) && error.to_string().contains("exit code 4"), "{error}");
        assert_same(&account.observe(), &before, "already before it is taken back");
        let report = run.roll_back();
        assert!(report.is_clean(), "{report:?}");
        assert_same(&account.observe(), &before, "undone");
    }
}

#[test]
fn lost_replies_leave_one_builder_and_one_image() {
    for call in ["ec2:RunInstances", "ec2:CreateImage", "ec2:CreateSecurityGroup", "ec2:TerminateInstances"] {
        for kind in ["timeout-applied", "500-not-applied"] {
            let account = Account::new();
            let options = needs(&mut account.run());
            let before = account.observe();
            account.simulator().ask_for([format!("{call}#1={kind}").parse().expect("a fault")]);
            let mut run = account.run();
            assert_eq!(run.ok("bake_image", options)["change"], "created", "{call} {kind}");
            assert_eq!(images(&account, "eu-central-1").len(), 1, "{call} {kind}");
            let report = run.roll_back();
            assert!(report.is_clean(), "{call} {kind}: {report:?}");
            assert_same(&account.observe(), &before, &format!("{call} {kind}"));
        }
    }
}

#[test]
fn a_builder_that_could_not_be_removed_goes_when_the_run_goes_back() {
    let account = Account::new();
    let options = needs(&mut account.run());
    let before = account.observe();
    account.simulator().ask_for(["ec2:TerminateInstances#1=denied".parse().expect("a fault")]);
    let mut run = account.run();
    run.op("bake_image", options).expect_err("it stays");
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "undone");
}

#[test]
fn copies_are_made_encrypted_shared_and_taken_back() {
    let account = Account::new();
    let options = needs(&mut account.run());
    let before = account.observe();
    let all = with(
        &options,
        json!({
            "copy_to_regions": ["eu-west-1", "eu-central-1"], "encrypted": true, "kms_key_id": "alias/images",
            "share_with": ["210987654321"],
        }),
    );
    let mut run = account.run();
    let made = run.ok("bake_image", all.clone());
    let copy = made["copies"]["eu-west-1"].clone();
    assert_eq!(json!(images(&account, "eu-west-1")), json!([copy]));
    assert_eq!(made["copies"].as_object().map(serde_json::Map::len), Some(1), "not to its own region");
    let count = |call: &str| run.mutations().iter().filter(|known| *known == call).count();
    assert_eq!((count("ec2:CopyImage"), count("ec2:ModifyImageAttribute")), (1, 2));
    let again = account.run().ok("bake_image", all);
    assert_eq!((&again["change"], &again["copies"]), (&json!("unchanged"), &made["copies"]));
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_same(&account.observe(), &before, "undone");
}

#[test]
fn a_copy_that_is_not_encrypted_stays_so() {
    let account = Account::new();
    let options = with(&needs(&mut account.run()), json!({ "copy_to_regions": ["eu-west-1"] }));
    account.observe();
    account.run().ok("bake_image", options.clone());
    let error = account.run().op("bake_image", with(&options, json!({ "encrypted": true }))).expect_err("made anew?");
    assert!(matches!(error, Error::NeedsReplacement { field: "encrypted", .. }), "{error}");
}

/// Somebody has begun to delete it, or an earlier rollback has.
#[test]
fn snapshots_of_an_image_that_is_gone_go_too() {
    let account = Account::new();
    let options = needs(&mut account.run());
    let before = account.observe();
    let mut run = account.run();
    let made = run.ok("bake_image", options);
    ec2(&account, "DeregisterImage", json!({ "ImageId": made["image_id"] }));
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_same(&account.observe(), &before, "undone");
}

/// Five images, and their ids, the oldest first.
fn five(account: &Account, options: &Value) -> Vec<String> {
    let make = |number: u32| {
        let made = account.run().ok("bake_image", with(options, json!({ "commands": [format!("version {number}")] })));
        made["image_id"].as_str().expect("an id").to_owned()
    };
    (1..=5).map(make).collect()
}

#[test]
fn prune_images() {
    let account = Account::new();
    let mut run = account.run();
    let options = needs(&mut run);
    account.observe();
    let ids = five(&account, &options);
    // The oldest is in a launch template, the second runs.
    run.ok("ensure_launch_template", json!({ "name": "web", "image_id": ids[0], "instance_type": "t3.small" }));
    let launch = json!({
        "ImageId": ids[1], "InstanceType": "t3.small", "MinCount": 1, "MaxCount": 1,
        "SubnetId": options["subnet"]["subnet_ids"][0],
    });
    ec2(&account, "RunInstances", launch);
    let prune = json!({ "name": "web", "keep": 2 });
    let mut pruning = account.run();
    let pruned = pruning.ok("prune_images", prune.clone());
    assert_eq!(pruned["deleted"], json!([ids[2]]));
    assert_eq!(pruned["kept"], json!([ids[4], ids[3]]));
    assert_eq!(pruned["in_use"], json!([ids[1], ids[0]]));
    assert_eq!(pruning.mutations(), ["ec2:DeregisterImage"]);
    let mut left = images(&account, "eu-central-1");
    left.sort();
    assert_eq!(left, [&ids[0], &ids[1], &ids[3], &ids[4]].map(Clone::clone));
    let snapshots = ec2(&account, "DescribeSnapshots", json!({ "Owner": ["self"] }));
    assert_eq!(snapshots["snapshotSet"].as_array().map(Vec::len), Some(4));
    let mut again = account.run();
    assert_eq!(again.ok("prune_images", prune)["change"], "unchanged");
    assert_eq!(again.mutations(), [""; 0]);
    // Nothing brings it back, and that is said.
    let report = pruning.roll_back();
    assert!(report.left[0].0.contains("bring back image"), "{report:?}");
}

#[test]
fn images_are_pruned_on_moto() {
    let name = moto().new_account();
    let account = Account::moto(moto().url(), name.clone());
    let instance =
        "client('ec2').run_instances(ImageId='ami-healthy-1', MinCount=1, MaxCount=1)['Instances'][0]['InstanceId']";
    let tags = "[{'Key': 'Name', 'Value': 'shop-prod-web'}, {'Key': 'runner:stack', 'Value': 'shop-prod'}]";
    let make = format!(
        "[client('ec2').create_image(InstanceId=i, Name=f'web-{{n}}', TagSpecifications=[{{'ResourceType': 'image', 'Tags': \
         {tags}}}])['ImageId'] for i in [{instance}] for n in range(3)]"
    );
    let made = moto().boto3(&name, &make);
    let pruned = account.run().ok("prune_images", json!({ "name": "web", "keep": 1 }));
    let ids = |value: &Value| value.as_array().cloned().unwrap_or_default();
    assert_eq!((ids(&pruned["deleted"]).len(), ids(&pruned["kept"]).len()), (2, 1), "{pruned}");
    let left = "[i['ImageId'] for i in client('ec2').describe_images(Owners=['self'])['Images'] if i['Name'].startswith('web-')]";
    assert_eq!(moto().boto3(&name, left), pruned["kept"]);
    assert!(ids(&made).contains(&ids(&pruned["kept"])[0]));
}

#[test]
fn somebody_elses_images_are_not_pruned() {
    let account = Account::new();
    let options = needs(&mut account.run());
    account.observe();
    let mut theirs = account.run();
    theirs.run.set_stack("shop-staging".into());
    theirs.ok("bake_image", options.clone());
    account.run().ok("bake_image", options);
    let pruned = account.run().ok("prune_images", json!({ "name": "web", "keep": 1 }));
    assert_eq!((&pruned["change"], &pruned["deleted"]), (&json!("unchanged"), &json!([])));
    assert_eq!(images(&account, "eu-central-1").len(), 2);
}

#[test]
fn a_plan_bakes_and_prunes_in_its_copy() {
    let account = Account::prompt();
    let options = needs(&mut account.run());
    let ids = five(&account, &options);
    let before = account.observe();
    let (fork, _) = account.fork();
    let mut planned = fork.run();
    assert_eq!(planned.ok("bake_image", with(&options, json!({ "commands": ["version 5"] })))["change"], "unchanged");
    let made = planned.ok("bake_image", with(&options, json!({ "commands": ["version 6"] })));
    assert_eq!(made["change"], "created");
    let pruned = planned.ok("prune_images", json!({ "name": "web", "keep": 2 }));
    assert_eq!(pruned["deleted"].as_array().map(Vec::len), Some(4), "{pruned}");
    assert_eq!(planned.ok("prune_images", json!({ "name": "web", "keep": 2 }))["change"], "unchanged");
    let error = planned.op("find_image", json!({ "image_id": ids[0] })).expect_err("it is gone there");
    assert!(error.is(&["InvalidAMIID.NotFound"]) || matches!(error, Error::NotFound { .. }), "{error}");
    assert_same(&account.observe(), &before, "after the plan");
}

#[test]
fn wrong_options_say_where() {
    let account = Account::new();
    let mut run = account.run();
    let mut place = |operation: &str, options: Value| match run.op(operation, options).expect_err("refused") {
        Error::Option { path, .. } => path,
        other => panic!("{other}"),
    };
    let plain = json!({ "name": "web", "image_id": "ami-healthy-1", "subnet": "subnet-1", "user_data": "x" });
    let mut of = |more: Value| place("bake_image", with(&plain, more));
    assert_eq!(of(json!({ "subnet": [] })), "subnet");
    assert_eq!(of(json!({ "commands": ["true"] })), "instance_profile");
    assert_eq!(of(json!({ "files": { "etc/x": "" }, "instance_profile": "p" })), "files.etc/x");
    assert_eq!(of(json!({ "files": { "/x": "x".repeat(50_000) }, "instance_profile": "p" })), "files");
    assert_eq!(of(json!({ "share_with": ["me"] })), "share_with[0]");
    assert_eq!(of(json!({ "timeout": "3d" })), "timeout");
    assert_eq!(of(json!({ "kms_key_id": "alias/x" })), "kms_key_id");
    assert_eq!(place("bake_image", json!({ "name": "web", "image_id": "ami-1", "subnet": "subnet-1" })), "commands");
    assert_eq!(place("prune_images", json!({ "name": "web", "keep": 0 })), "keep");
    assert_eq!(run.mutations(), [""; 0]);
}
