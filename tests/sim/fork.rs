//! Forks: what was read, changed, made and deleted is one account to whoever looks, and the account itself sees reads only.

use std::sync::Arc;

use proptest::prelude::*;
use runner::sim::{Scope, Simulator};
use serde_json::json;

use crate::live::{Origin, send, shown};
use crate::same::assert_same;
use crate::support::Caller;
use crate::worlds::Maker;

/// A fork of an account, and the account as the fork sees it.
fn fork(account: &Caller) -> (Caller, Arc<Origin>) {
    let origin = Origin::new(account.sim.clone());
    (Caller::new(origin.fork()), origin)
}

fn everything(fork: &Simulator) -> serde_json::Value {
    fork.read_all("111122223333", "eu-west-1").unwrap();
    shown(fork.observe())
}

/// An account with twelve VPCs called `live-0` to `live-11`, and their ids.
fn twelve() -> (Caller, Vec<String>) {
    let account = Caller::prompt();
    let vpc = |number: usize| {
        let name = format!("live-{number}");
        let made = account.ec2(
            "CreateVpc",
            &[
                ("CidrBlock", &format!("10.{number}.0.0/16")),
                ("TagSpecification.1.ResourceType", "vpc"),
                ("TagSpecification.1.Tag.1.Key", "Name"),
                ("TagSpecification.1.Tag.1.Value", &name),
                ("TagSpecification.1.Tag.2.Key", "team"),
                ("TagSpecification.1.Tag.2.Value", if number.is_multiple_of(2) { "even" } else { "odd" }),
            ],
        );
        made.one("vpcId")
    };
    let ids = (0..12).map(vpc).collect();
    (account, ids)
}

/// The ids on all pages of a describe.
fn pages(aws: &Caller, filter: &[(&str, &str)]) -> Vec<Vec<String>> {
    let (mut all, mut token): (_, Option<String>) = (Vec::new(), None);
    loop {
        let mut params = vec![("MaxResults", "5"), ("Filter.1.Name", "isDefault"), ("Filter.1.Value.1", "false")];
        params.extend(filter);
        if let Some(token) = &token {
            params.push(("NextToken", token));
        }
        let page = aws.ec2("DescribeVpcs", &params).ok();
        all.push(page.all("vpcId").into_iter().map(str::to_owned).collect());
        token = page.all("nextToken").first().map(|token| (*token).to_owned());
        if token.is_none() {
            return all;
        }
    }
}

fn all(aws: &Caller, filter: &[(&str, &str)]) -> Vec<String> {
    pages(aws, filter).concat()
}

#[test]
fn deleted_changed_and_new_rows_are_merged_with_live_ones_under_filters_and_pages() {
    let (account, live) = twelve();
    let before = account.sim.observe();
    let (fork, origin) = fork(&account);
    let new: Vec<String> =
        (20..23).map(|n| fork.ec2("CreateVpc", &[("CidrBlock", &format!("10.{n}.0.0/16"))]).one("vpcId")).collect();
    for gone in [&live[2], &live[7]] {
        fork.ec2("DeleteVpc", &[("VpcId", gone)]).ok();
        assert_eq!(fork.ec2("DescribeVpcs", &[("VpcId.1", gone)]).error(), "InvalidVpcID.NotFound");
    }
    let found = pages(&fork, &[]);
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5, 3]);
    let mut wanted: Vec<String> =
        live.iter().filter(|id| ![&live[2], &live[7]].contains(id)).chain(&new).cloned().collect();
    wanted.sort();
    let mut found = found.concat();
    found.sort();
    assert_eq!(found, wanted);

    // A filter sees tags as they are now, on rows of both kinds.
    let team = |team: &'static str| [("Filter.2.Name", "tag:team"), ("Filter.2.Value.1", team)];
    assert_eq!(all(&fork, &team("odd")).len(), 5, "one of six is gone");
    fork.ec2("CreateTags", &[("ResourceId.1", &live[1]), ("Tag.1.Key", "team"), ("Tag.1.Value", "even")]).ok();
    fork.ec2("CreateTags", &[("ResourceId.1", &new[0]), ("Tag.1.Key", "team"), ("Tag.1.Value", "odd")]).ok();
    fork.ec2("DeleteTags", &[("ResourceId.1", &live[3]), ("Tag.1.Key", "team")]).ok();
    let mut odd = vec![live[5].clone(), live[9].clone(), live[11].clone(), new[0].clone()];
    odd.sort();
    let mut found = all(&fork, &team("odd"));
    found.sort();
    assert_eq!(found, odd);
    assert!(all(&fork, &team("even")).contains(&live[1]));

    assert_same(&account.sim.observe(), &before, "after all this");
    assert!(
        origin.calls().iter().all(|call| call == "ec2:DescribeVpcs" || !call.contains("Vpcs")),
        "{:?}",
        origin.calls()
    );
}

#[test]
fn what_is_made_and_deleted_in_a_fork_is_not_asked_for() {
    let (account, live) = twelve();
    let (fork, origin) = fork(&account);
    let made = fork.ec2("CreateVpc", &[("CidrBlock", "10.99.0.0/16")]).one("vpcId");
    fork.ec2("DescribeVpcs", &[("VpcId.1", &made)]).ok();
    fork.ec2("DescribeVpcAttribute", &[("VpcId", &made), ("Attribute", "enableDnsSupport")]).ok();
    fork.ec2("DeleteVpc", &[("VpcId", &made)]).ok();
    assert_eq!(fork.ec2("DescribeVpcs", &[("VpcId.1", &made)]).error(), "InvalidVpcID.NotFound");
    let asked = origin.calls().iter().filter(|call| *call == "ec2:DescribeVpcs").count();
    assert_eq!(asked, 0, "{:?}", origin.calls());
    // A row is read once, and a deleted one does not come back with a list that is read later.
    fork.ec2("DeleteVpc", &[("VpcId", &live[4])]).ok();
    assert!(!all(&fork, &[]).contains(&live[4]));
    assert_eq!(fork.ec2("DescribeVpcs", &[("VpcId.1", &live[4])]).error(), "InvalidVpcID.NotFound");
}

#[test]
fn a_target_group_deleted_unseen_stays_deleted() {
    let account = Caller::prompt();
    let vpc = account.ec2("DescribeVpcs", &[]).one("vpcId");
    let params = [("Name", "web"), ("Protocol", "HTTP"), ("Port", "80"), ("VpcId", vpc.as_str())];
    let arn = account.query("elasticloadbalancing", "CreateTargetGroup", &params).one("TargetGroupArn");
    let (fork, _) = fork(&account);
    fork.query("elasticloadbalancing", "DeleteTargetGroup", &[("TargetGroupArn", &arn)]).ok();
    let shown = fork.query("elasticloadbalancing", "DescribeTargetGroups", &[]).ok();
    assert_eq!(shown.all("TargetGroupArn"), [""; 0]);
    let shown = fork.query("elasticloadbalancing", "DescribeTargetGroups", &[("TargetGroupArns.member.1", &arn)]);
    assert_eq!(shown.error(), "TargetGroupNotFound");
}

/// Nobody's secrets are in a plan, whatever asks for them.
#[test]
fn a_parameter_is_never_asked_for_with_decryption() {
    let (fork, origin) = fork(&Caller::prompt());
    let scope = Scope { account: "111122223333".into(), region: "eu-west-1".into() };
    let name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";
    let get = |decrypted: bool| {
        let params = json!({ "Name": name, "WithDecryption": decrypted });
        send(&fork.sim, &scope, "ssm", "GetParameter", &params)
    };
    assert_eq!(get(true).expect_err("a secret value").code, "AccessDeniedException");
    assert_eq!(origin.calls(), [""; 0]);
    assert_eq!(get(false).expect("a public parameter")["Parameter"]["Name"], name);
    assert_eq!(origin.calls(), ["ssm:GetParameter"]);
}

#[test]
fn parameters_and_secrets_are_read_without_what_is_secret() {
    let account = Caller::prompt();
    let scope = Scope { account: "111122223333".into(), region: "eu-west-1".into() };
    let on = |sim: &Simulator, service, action, params: serde_json::Value| send(sim, &scope, service, action, &params);
    for (name, kind, value) in [("/shop/url", "String", "an address"), ("/shop/key", "SecureString", "hunter2")] {
        let params = json!({ "Name": name, "Type": kind, "Value": value, "Tags": [{ "Key": "team", "Value": "web" }] });
        on(&account.sim, "ssm", "PutParameter", params).expect("a new parameter");
    }
    let secret = json!({ "Name": "shop/db", "SecretString": "battery staple" });
    on(&account.sim, "secretsmanager", "CreateSecret", secret).expect("a new secret");
    let before = account.sim.observe();

    let (fork, origin) = fork(&account);
    let read = |name: &str| {
        let params = json!({ "Name": name, "WithDecryption": true });
        on(&fork.sim, "ssm", "GetParameter", params).expect("a parameter")["Parameter"].clone()
    };
    assert_eq!(read("/shop/url")["Value"], "an address");
    let asked = origin.calls();
    let (url, key) = (read("/shop/url"), read("/shop/key"));
    assert_eq!((&url["Type"], &key["Type"], &key["Version"]), (&json!("String"), &json!("SecureString"), &json!(1)));
    assert!(key["Value"].as_str().is_some_and(|value| value.contains("does not read: /shop/key")), "{key}");
    let value = on(&fork.sim, "secretsmanager", "GetSecretValue", json!({ "SecretId": "shop/db" })).expect("a secret");
    assert!(value["SecretString"].as_str().is_some_and(|value| value.contains("does not read: shop/db")), "{value}");
    let since = origin.calls()[asked.len()..].to_vec();
    assert_eq!(since, ["ssm:DescribeParameters", "ssm:ListTagsForResource", "secretsmanager:DescribeSecret"]);
    let everything = everything(&fork.sim).to_string();
    assert!(everything.contains("an address") && !everything.contains("hunter2") && !everything.contains("staple"));

    // What is written here is read here, and older versions of it.
    let put = json!({ "Name": "/shop/key", "Value": "new", "Overwrite": true });
    assert_eq!(on(&fork.sim, "ssm", "PutParameter", put).expect("overwritten")["Version"], 2);
    assert_eq!(read("/shop/key")["Value"], "new");
    assert!(read("/shop/key:1")["Value"].as_str().is_some_and(|value| value.contains("does not read")));
    on(&fork.sim, "ssm", "DeleteParameter", json!({ "Name": "/shop/url" })).expect("deleted");
    let gone = on(&fork.sim, "ssm", "GetParameter", json!({ "Name": "/shop/url" })).expect_err("it is gone");
    assert_eq!(gone.code, "ParameterNotFound");
    assert_same(&account.sim.observe(), &before, "after all this");
}

/// All tags of an image are there, whichever is looked at; and a policy's alarms go with it.
#[test]
fn what_goes_together_is_read_together() {
    let account = Caller::prompt();
    let scope = Scope { account: "111122223333".into(), region: "eu-west-1".into() };
    let on = |sim: &Simulator, service, action, params: serde_json::Value| {
        send(sim, &scope, service, action, &params).unwrap_or_else(|error| panic!("{action}: {error}"))
    };
    let image = |action: &'static str, sim: &Simulator, tag: &str| {
        let params = json!({ "repositoryName": "web", "imageIds": [{ "imageTag": tag }] });
        on(sim, "ecr", action, params)
    };
    on(&account.sim, "ecr", "CreateRepository", json!({ "repositoryName": "web" }));
    let manifest = image("BatchGetImage", &account.sim, "healthy-1")["images"][0]["imageManifest"].clone();
    let put = json!({ "repositoryName": "web", "imageTag": "latest", "imageManifest": manifest });
    on(&account.sim, "ecr", "PutImage", put);

    on(&account.sim, "ecs", "CreateCluster", json!({ "clusterName": "shop" }));
    let container = json!({ "name": "web", "image": "web", "memory": 128 });
    let definition = json!({ "family": "web", "containerDefinitions": [container] });
    on(&account.sim, "ecs", "RegisterTaskDefinition", definition);
    let service = json!({ "cluster": "shop", "serviceName": "web", "taskDefinition": "web", "desiredCount": 0 });
    on(&account.sim, "ecs", "CreateService", service);
    let target = |more: serde_json::Value| {
        let mut target = json!({
            "ServiceNamespace": "ecs", "ResourceId": "service/shop/web", "ScalableDimension": "ecs:service:DesiredCount",
        });
        target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        target
    };
    let scaling = "application-autoscaling";
    let bounds = target(json!({ "MinCapacity": 0, "MaxCapacity": 2 }));
    on(&account.sim, scaling, "RegisterScalableTarget", bounds);
    let metric = json!({ "PredefinedMetricType": "ECSServiceAverageCPUUtilization" });
    let tracking = json!({ "TargetValue": 60.0, "PredefinedMetricSpecification": metric });
    let policy = target(json!({
        "PolicyName": "cpu", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": tracking,
    }));
    on(&account.sim, scaling, "PutScalingPolicy", policy.clone());
    let before = account.sim.observe();

    let (fork, _) = fork(&account);
    let tags = |tag: &str| image("DescribeImages", &fork.sim, tag)["imageDetails"][0]["imageTags"].clone();
    assert_eq!(tags("latest"), json!(["healthy-1", "latest"]));
    image("BatchDeleteImage", &fork.sim, "latest");
    assert_eq!(tags("healthy-1"), json!(["healthy-1"]));

    let alarms = || on(&fork.sim, "cloudwatch", "DescribeAlarms", json!({ "AlarmNamePrefix": "TargetTracking-" }));
    let names = || -> Vec<serde_json::Value> {
        alarms()["MetricAlarms"].as_array().into_iter().flatten().map(|alarm| alarm["AlarmName"].clone()).collect()
    };
    let known = names();
    assert_eq!(known.len(), 2, "{known:?}");
    on(&fork.sim, scaling, "PutScalingPolicy", policy);
    assert_eq!(names(), known);
    on(&fork.sim, scaling, "DeleteScalingPolicy", target(json!({ "PolicyName": "cpu" })));
    assert_eq!(names(), [""; 0]);
    assert_same(&account.sim.observe(), &before, "after all this");
}

#[test]
fn the_account_as_it_was_is_kept_beside_what_was_changed() {
    let (account, live) = twelve();
    let (fork, _) = fork(&account);
    fork.ec2("CreateTags", &[("ResourceId.1", &live[0]), ("Tag.1.Key", "team"), ("Tag.1.Value", "other")]).ok();
    fork.ec2("DeleteVpc", &[("VpcId", &live[1])]).ok();
    let first = fork.sim.again(|_| {}).unwrap().observe();
    let vpcs = |observed: &serde_json::Value| observed["111122223333"]["regions"]["eu-west-1"]["ec2"]["vpcs"].clone();
    assert_eq!(vpcs(&first)[&live[0]]["tags"]["team"], "even");
    assert!(vpcs(&first)[&live[1]].is_object());
    let again = Caller::new(fork.sim.again(|_| {}).unwrap());
    assert_eq!(again.ec2("DescribeVpcs", &[("VpcId.1", &live[1])]).one("vpcId"), live[1]);
    assert!(!vpcs(&fork.sim.observe()).as_object().unwrap().contains_key(&live[1]));
}

#[test]
fn what_is_under_way_goes_on_in_a_fork_as_in_its_account() {
    let account = Maker::busy();
    let (fork, _) = fork(&account);
    assert_same(&everything(&fork.sim), &shown(account.sim.observe()), "read");
    for minutes in [1, 15] {
        for caller in [&account, &fork] {
            caller.pass(minutes * 60);
        }
        // Ids that were given since, and times of what ended since, are each world's own.
        let [found, wanted] = [&fork, &account].map(|caller| Maker::states(&shown(caller.sim.observe())));
        assert_same(&found, &wanted, &format!("after {minutes} minutes more"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_fork_of_any_world_has_what_the_world_has(steps in proptest::collection::vec(any::<(u8, u8, u8)>(), 10..80)) {
        let account = Maker::make(&steps);
        // An account that is as AWS makes it is not shown; refused, if there may be no more of them.
        account.ec2("CreateVpc", &[("CidrBlock", "10.254.0.0/16")]);
        let (fork, origin) = fork(&account);
        let before = account.sim.observe();
        assert_same(&everything(&fork.sim), &shown(before.clone()), "read");
        assert_same(&account.sim.observe(), &before, "after it was read");
        prop_assert!(!origin.calls().is_empty());
    }
}
