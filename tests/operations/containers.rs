//! Containers: repositories, clusters, task definitions, services and tasks.

use runner::ops::Error;
use serde_json::{Value, json};

use crate::{
    account::{Account, Trial},
    contract::{assert_same, contract},
    load_balancing::{Network, balancer, forward, listener, network},
    moto::moto,
};

const PUBLIC: &str = "public.ecr.aws/nginx/nginx:1.29";

fn repository() -> Value {
    let rule = json!({
        "rulePriority": 1, "action": { "type": "expire" },
        "selection": { "tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14 },
    });
    json!({ "name": "web", "lifecycle_policy": { "rules": [rule] } })
}

fn definition() -> Value {
    let container = json!({
        "name": "web", "image": PUBLIC, "port_mappings": [{ "container_port": 8080 }], "environment": { "B": "2", "A": "1" },
        "health_check": { "command": ["CMD-SHELL", "true"] },
    });
    json!({ "family": "web", "cpu": 256, "memory": 512, "container_definitions": [container] })
}

#[test]
fn ensure_repository() {
    let contract = contract("ensure_repository", |_| {
        let mut changed = repository();
        changed["image_tag_mutability"] = json!("IMMUTABLE");
        changed["scan_on_push"] = json!(false);
        changed["lifecycle_policy"]["rules"][0]["selection"]["countNumber"] = json!(30);
        let everyone = json!({ "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::111122223333:root" },
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"] });
        changed["repository_policy"] = json!({ "Statement": [everyone] });
        changed["tags"] = json!({ "team": "web" });
        (repository(), changed)
    });
    assert_eq!(contract.created, ["ecr:CreateRepository", "ecr:PutLifecyclePolicy"]);
    let mut updated = contract.updated;
    updated.sort();
    let all = [
        "ecr:PutImageScanningConfiguration",
        "ecr:PutImageTagMutability",
        "ecr:PutLifecyclePolicy",
        "ecr:SetRepositoryPolicy",
        "ecr:TagResource",
    ];
    assert_eq!(updated, all);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (5, 2));
}

#[test]
fn how_a_repository_is_encrypted_stays() {
    let account = Account::new();
    account.run().ok("ensure_repository", repository());
    let mut other = repository();
    other["encryption_type"] = json!("KMS");
    let error = account.run().op("ensure_repository", other).expect_err("it cannot be changed");
    assert!(matches!(error, Error::NeedsReplacement { field: "encryption_type", .. }), "{error}");
    let upper = account.run().op("ensure_repository", json!({ "name": "Web" })).expect_err("ECR is in lower case");
    assert!(matches!(&upper, Error::Option { path, .. } if path == "name"), "{upper}");
}

/// ECR shows the ARN of a key, however it was named.
#[test]
fn a_key_is_known_by_its_id_and_its_arn() {
    let account = Account::new();
    let (id, arn) = ("1234abcd-12ab", "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab");
    let with = |key: &str| json!({ "name": "web", "encryption_type": "KMS", "kms_key": key });
    assert_eq!(account.run().ok("ensure_repository", with(id))["change"], "created");
    for key in [id, arn] {
        assert_eq!(account.run().ok("ensure_repository", with(key))["change"], "unchanged");
    }
    let other = account.run().op("ensure_repository", with("other")).expect_err("it cannot be changed");
    assert!(matches!(other, Error::NeedsReplacement { field: "kms_key", .. }), "{other}");
    let alias = account.run().op("ensure_repository", with("alias/shop")).expect_err("of which key?");
    assert!(matches!(&alias, Error::Option { path, .. } if path == "kms_key"), "{alias}");
}

#[test]
fn tags_that_are_excluded_from_being_fixed_are_so_again() {
    let account = Account::new();
    account.run().ok("ensure_repository", repository());
    let but_latest = json!({
        "repositoryName": "shop-prod-web", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{ "filterType": "WILDCARD", "filter": "latest*" }],
    });
    ask(&account, ECR, "PutImageTagMutability", &but_latest);
    let before = account.observe();
    let mut run = account.run();
    assert_eq!(run.ok("ensure_repository", repository())["change"], "updated");
    assert!(run.roll_back().is_clean());
    assert_same(&account.observe(), &before, "undone");
}

/// A rollback does not take away what others have pushed meanwhile.
#[test]
fn a_repository_with_images_stays() {
    for (force, clean) in [(false, false), (true, true)] {
        let account = Account::new();
        let before = account.observe();
        let mut run = account.run();
        let mut options = repository();
        options["force_delete"] = json!(force);
        run.ok("ensure_repository", options);
        move_tag(&account, "latest", "healthy-2");
        let report = run.roll_back();
        assert_eq!(report.is_clean(), clean, "{report:?}");
        if clean {
            assert_same(&account.observe(), &before, "undone");
        }
    }
}

/// Puts a tag of the repository to the image of another one, as people retag.
fn move_tag(account: &Account, tag: &str, to: &str) {
    let get = json!({ "repositoryName": "shop-prod-web", "imageIds": [{ "imageTag": to }] });
    let manifest = ask(account, ECR, "BatchGetImage", &get)["images"][0]["imageManifest"].clone();
    let put = json!({ "repositoryName": "shop-prod-web", "imageManifest": manifest, "imageTag": tag });
    ask(account, ECR, "PutImage", &put);
}

const ECR: (&str, &str) = ("ecr", "AmazonEC2ContainerRegistry_V20150921");
const ECS: (&str, &str) = ("ecs", "AmazonEC2ContainerServiceV20141113");

fn ask(account: &Account, (service, prefix): (&str, &str), action: &str, params: &Value) -> Value {
    let simulator = account.simulator();
    // Lists lag: what was just made may not be found.
    simulator.advance(simulator.clock() + std::time::Duration::from_secs(10));
    let request = http::Request::post(format!("https://{service}.eu-central-1.amazonaws.com/"))
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential=any/20260101/eu-central-1/{service}/aws4_request, x"),
        )
        .header("x-amz-target", format!("{prefix}.{action}"))
        .body(bytes::Bytes::from(params.to_string()))
        .expect("a request");
    let reply = simulator.answer(&request, simulator.clock());
    assert!(reply.status().is_success(), "{action}: {:?}", reply.body());
    serde_json::from_slice(reply.body()).expect("JSON")
}

#[test]
fn a_moved_tag_is_another_image() {
    let account = Account::new();
    let mut run = account.run();
    run.ok("ensure_repository", repository());
    let tag = json!({ "repository": "shop-prod-web", "tag": "latest" });
    let first = run.ok("find_container_image", tag.clone());
    assert_eq!(run.ok("find_container_image", tag.clone())["image"], first["image"]);
    let image = first["image"].as_str().expect("text");
    let host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop-prod-web@sha256:";
    assert!(image.starts_with(host) && image.len() == host.len() + 64, "{image}");
    move_tag(&account, "latest", "healthy-2");
    let moved = account.run().ok("find_container_image", tag);
    assert_ne!(moved["image_digest"], first["image_digest"]);
    let missing =
        account.run().op("find_container_image", json!({ "repository": "shop-prod-web", "tag": "missing-1" }));
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
    let nowhere = account.run().op("find_container_image", json!({ "repository": "other", "tag": "1" }));
    assert!(matches!(nowhere, Err(Error::NotFound { .. })), "{nowhere:?}");
}

#[test]
fn an_image_is_found_on_moto() {
    let name = moto().new_account();
    let account = Account::moto(moto().url(), name.clone());
    account.run().ok("ensure_repository", repository());
    let put = r#"client('ecr').put_image(repositoryName='shop-prod-web', imageTag='1.0',
        imageManifestMediaType='application/vnd.oci.image.manifest.v1+json', imageManifest='{"schemaVersion": 2, "config": {"digest": "sha256:0"}, "layers": []}')['image']['imageId']['imageDigest']"#;
    let digest = moto().boto3(&name, &put.replace('\n', " "));
    let found = account.run().ok("find_container_image", json!({ "repository": "shop-prod-web", "tag": "1.0" }));
    assert_eq!(found["image_digest"], digest);
    let missing = account.run().op("find_container_image", json!({ "repository": "shop-prod-web", "tag": "2.0" }));
    assert!(matches!(missing, Err(Error::NotFound { .. })), "{missing:?}");
}

#[test]
fn ensure_cluster() {
    let contract = contract("ensure_cluster", |_| {
        let options = json!({ "name": "main", "capacity_providers": ["FARGATE"] });
        let mut changed = options.clone();
        changed["container_insights"] = json!("enabled");
        changed["capacity_providers"] = json!(["FARGATE", "FARGATE_SPOT"]);
        let share = |name: &str, weight: u32| json!({ "capacity_provider": name, "weight": weight });
        changed["default_capacity_provider_strategy"] = json!([share("FARGATE_SPOT", 3), share("FARGATE", 1)]);
        changed["tags"] = json!({ "team": "web" });
        (options, changed)
    });
    assert_eq!(contract.created, ["ecs:CreateCluster"]);
    assert_eq!(contract.updated, ["ecs:TagResource", "ecs:UpdateCluster", "ecs:PutClusterCapacityProviders"]);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (2, 1));
}

#[test]
fn register_task_definition() {
    let contract = contract("register_task_definition", |_| {
        let mut changed = definition();
        changed["container_definitions"][0]["environment"]["A"] = json!("3");
        (definition(), changed)
    });
    assert_eq!(contract.created, ["ecs:RegisterTaskDefinition"]);
    assert_eq!(contract.updated, ["ecs:RegisterTaskDefinition"]);
    assert_eq!((contract.created_depth, contract.unchanged_depth), (2, 1));
}

/// A role's ARN has its path, which its name does not say.
#[test]
fn roles_of_a_task_may_have_a_path() {
    let account = Account::new();
    let mut run = account.run();
    let role = run.ok("ensure_role", json!({ "name": "tasks", "trust": "ecs-tasks.amazonaws.com", "path": "/shop/" }));
    let mut options = definition();
    for (execution, task) in [(&role, &role["role_name"]), (&role["arn"], &role)] {
        options["execution_role"] = execution.clone();
        options["task_role"] = task.clone();
        run.ok("register_task_definition", options.clone());
    }
    assert_eq!(run.mutations().iter().filter(|call| *call == "ecs:RegisterTaskDefinition").count(), 1);
    let shown = ask(&account, ECS, "DescribeTaskDefinition", &json!({ "taskDefinition": "shop-prod-web" }));
    let shown = &shown["taskDefinition"];
    assert_eq!((&shown["executionRoleArn"], &shown["taskRoleArn"]), (&role["arn"], &role["arn"]));
    options["task_role"] = json!("nobody");
    let missing = run.op("register_task_definition", options).expect_err("no such role");
    assert!(matches!(&missing, Error::NotFound { what, .. } if what == "role nobody"), "{missing}");
}

#[test]
fn what_a_task_definition_cannot_be_is_said_before_any_call() {
    let account = Account::new();
    let mut run = account.run();
    let mut refused = |options: &Value, path: &str| {
        let error = run.op("register_task_definition", options.clone()).expect_err("refused");
        assert!(matches!(&error, Error::Option { path: found, .. } if found == path), "{error:?}");
        error.to_string()
    };
    let mut secret = definition();
    secret["container_definitions"][0]["environment"]["PASSWORD"] = json!({ "$secret": "hunter2" });
    let said = refused(&secret, "container_definitions[0].environment.PASSWORD");
    assert!(!said.contains("hunter2") && said.contains("`secrets`"), "{said}");
    let mut unsized_ = definition();
    unsized_["memory"] = Value::Null;
    refused(&unsized_, "memory");
    let mut idle = definition();
    idle["container_definitions"][0]["essential"] = json!(false);
    refused(&idle, "container_definitions");
    assert_eq!(run.calls(), [""; 0]);
}

/// What services need: a cluster, images, and a route that blue has.
struct Shop {
    network: Network,
    cluster: Value,
    role: Value,
    blue: Value,
    green: Value,
    route: Value,
}

impl Shop {
    fn new(run: &mut Trial<'_>) -> Shop {
        let network = network(run);
        run.ok("ensure_repository", repository());
        let cluster = run.ok("ensure_cluster", json!({ "name": "main" }));
        let role = run.ok("ensure_role", json!({ "name": "tasks", "trust": "ecs-tasks.amazonaws.com" }));
        let balancer = balancer(run, &network);
        let mut group = |name: &str| {
            let check = json!({ "path": "/healthz", "interval": "10s", "timeout": "5s" });
            run.ok(
                "ensure_target_group",
                json!({
                    "name": name, "vpc_id": network.vpc, "port": 8080, "target_type": "ip", "health_check": check,
                    "deregistration_delay": "30s",
                }),
            )
        };
        let (blue, green) = (group("blue"), group("green"));
        let route = listener(run, &balancer, &forward(&[(&blue, 100)]));
        Shop { network, cluster, role, blue, green, route }
    }

    fn definition(&self, run: &mut Trial<'_>, tag: &str) -> Value {
        let image = run.ok("find_container_image", json!({ "repository": "shop-prod-web", "tag": tag }));
        self.definition_of(run, &image)
    }

    fn definition_of(&self, run: &mut Trial<'_>, image: &Value) -> Value {
        let container = json!({ "name": "web", "image": image, "port_mappings": [{ "container_port": 8080 }] });
        let options = json!({
            "family": "web", "cpu": 256, "memory": 512, "execution_role": self.role, "container_definitions": [container],
        });
        run.ok("register_task_definition", options)
    }

    fn service(&self, name: &str, definition: &Value) -> Value {
        let group = if name == "green" { &self.green } else { &self.blue };
        json!({
            "name": name, "cluster": self.cluster, "task_definition": definition, "desired_count": 2,
            "subnets": self.network.subnets, "assign_public_ip": true,
            "load_balancers": [{ "target_group": group, "container_name": "web", "container_port": 8080 }],
        })
    }

    /// Blue serves with two tasks.
    fn live(run: &mut Trial<'_>) -> Shop {
        let shop = Shop::new(run);
        let definition = shop.definition(run, "healthy-1");
        let made = run.ok("deploy_ecs_service", shop.service("blue", &definition));
        assert_eq!((&made["change"], &made["running_count"]), (&json!("created"), &json!(2)));
        shop
    }

    fn found(&self, account: &Account, name: &str) -> Value {
        account.run().ok("find_ecs_service", json!({ "name": name, "cluster": self.cluster, "required": false }))
    }
}

#[test]
fn deploy_ecs_service() {
    let contract = contract("deploy_ecs_service", |run| {
        let shop = Shop::new(run);
        let definition = shop.definition(run, "healthy-1");
        // Without traffic: what has some is not taken away.
        let attach = json!({ "routes": [{ "route": shop.route, "target_group": shop.green }] });
        run.ok("attach_target_group", attach);
        let options = shop.service("green", &definition);
        let mut changed = options.clone();
        changed["desired_count"] = json!(3);
        changed["health_check_grace_period"] = json!("2m");
        changed["tags"] = json!({ "team": "web" });
        (options, changed)
    });
    assert_eq!(contract.created, ["ecs:CreateService"]);
    assert_eq!(contract.updated, ["ecs:TagResource", "ecs:UpdateService"]);
    assert_eq!(contract.unchanged_depth, 1);
}

#[test]
fn a_new_version_is_rolled_out_and_back_without_a_failed_request() {
    let account = Account::new();
    let shop = Shop::live(&mut account.run());
    let before = account.simulator().shape();
    let mut run = account.run();
    let definition = shop.definition(&mut run, "healthy-2");
    let deployed = run.ok("deploy_ecs_service", shop.service("blue", &definition));
    assert_eq!(deployed["change"], "updated");
    assert_eq!(deployed["task_definition"], definition["task_definition_arn"]);
    let served = account.simulator().traffic();
    assert!(served.served > 100 && served.failed == 0, "{served:?}");
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(account.simulator().traffic().failed, 0);
    assert_eq!(shop.found(&account, "blue")["running_count"], 2);
    account.observe();
    let unlike = account.simulator().shape().unlike(&before);
    assert!(unlike.is_nothing(), "{unlike}");
}

#[test]
fn a_version_that_does_not_start_is_rolled_back_by_ecs_and_told_in_its_words() {
    for (tag, words) in [("exits-3", "web exited with 3"), ("never-healthy", "failed ELB health checks")] {
        let account = Account::new();
        let shop = Shop::live(&mut account.run());
        let old = shop.found(&account, "blue")["task_definition"].clone();
        let before = account.observe();
        let mut run = account.run();
        let definition = shop.definition(&mut run, tag);
        let error = run.op("deploy_ecs_service", shop.service("blue", &definition)).expect_err("it does not start");
        assert!(matches!(error, Error::Hopeless { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("tasks failed to start") && said.contains(words), "{said}");
        let report = run.roll_back();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(account.simulator().traffic().failed, 0, "{tag}");
        assert_eq!(shop.found(&account, "blue")["task_definition"], old);
        assert_same(&account.observe(), &before, "undone");
    }
}

#[test]
fn a_first_version_that_does_not_start_leaves_nothing() {
    let account = Account::new();
    let shop = Shop::new(&mut account.run());
    let before = account.observe();
    let mut run = account.run();
    let missing = json!("123456789012.dkr.ecr.eu-central-1.amazonaws.com/shop-prod-web:missing-1");
    let definition = shop.definition_of(&mut run, &missing);
    let error = run.op("deploy_ecs_service", shop.service("blue", &definition)).expect_err("there is no image");
    assert!(error.to_string().contains("CannotPullContainerError"), "{error}");
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_same(&account.observe(), &before, "undone");
}

#[test]
fn what_ecs_refuses_is_told_as_it_is() {
    let account = Account::new();
    let mut run = account.run();
    let shop = Shop::new(&mut run);
    let definition = shop.definition(&mut run, "healthy-1");
    // Nothing forwards to green yet.
    let error = run.op("deploy_ecs_service", shop.service("green", &definition)).expect_err("refused");
    assert!(error.to_string().contains("does not have an associated load balancer"), "{error}");
    // There are no container instances.
    let mut on_ec2 = shop.service("blue", &definition);
    on_ec2["launch_type"] = json!("EC2");
    on_ec2["timeout"] = json!("2m");
    let error = run.op("deploy_ecs_service", on_ec2.clone()).expect_err("nowhere to run");
    assert!(error.to_string().contains("No Container Instances were found"), "{error}");
    let error = run.op("deploy_ecs_service", shop.service("blue", &definition)).expect_err("not in place");
    assert!(matches!(error, Error::NeedsReplacement { field: "launch_type", .. }), "{error}");
    let mut family = shop.service("blue", &definition);
    family["task_definition"] = json!("web");
    let error = run.op("deploy_ecs_service", family).expect_err("which revision?");
    assert!(matches!(&error, Error::Option { path, .. } if path == "task_definition"), "{error}");
}

#[test]
fn blue_and_green_are_two_services_and_weights_are_ours() {
    let account = Account::new();
    let shop = Shop::live(&mut account.run());
    let mut run = account.run();
    let attach = json!({ "routes": [{ "route": shop.route, "target_group": shop.green }] });
    run.ok("attach_target_group", attach);
    let definition = shop.definition(&mut run, "healthy-2");
    let green = run.ok("deploy_ecs_service", shop.service("green", &definition));
    let healthy = run.ok("wait_healthy", json!({ "target_groups": [shop.green], "service": green }));
    assert_eq!(healthy["healthy"], 2);
    let blue = run.ok("find_ecs_service", json!({ "name": "blue", "cluster": shop.cluster }));
    let refused = run.op("retire_ecs_service", json!({ "service": blue })).expect_err("it has the traffic");
    assert!(matches!(refused, Error::Unsafe(_)), "{refused}");
    let route = json!({ "route": shop.route, "from": shop.blue, "to": shop.green });
    let steps = json!([{ "weight": 50, "hold": "1m" }, { "weight": 100 }]);
    run.ok("shift_traffic", json!({ "routes": [route], "steps": steps, "min_healthy": 2 }));
    let retired = run.ok("retire_ecs_service", json!({ "service": blue }));
    assert_eq!((&retired["change"], &retired["running_count"]), (&json!("updated"), &json!(0)));
    assert_eq!(account.simulator().traffic().failed, 0);
    // And back: blue has its tasks again before it has traffic.
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    let traffic = account.simulator().traffic();
    assert!(traffic.failed == 0 && traffic.served > 1000, "{traffic:?}");
    assert_eq!(shop.found(&account, "green")["exists"], false);
    assert_eq!(shop.found(&account, "blue")["running_count"], 2);
}

#[test]
fn a_retired_service_is_deleted_and_gone() {
    let account = Account::new();
    let mut run = account.run();
    let shop = Shop::new(&mut run);
    let definition = shop.definition(&mut run, "healthy-1");
    let mut options = shop.service("worker", &definition);
    options["load_balancers"] = json!([]);
    let worker = run.ok("deploy_ecs_service", options.clone());
    let scale = json!({ "service": worker, "min_capacity": 1, "max_capacity": 4 });
    run.ok("ensure_service_scaling", scale);
    // What was just registered may not be listed yet.
    account.observe();
    let mut second = account.run();
    second.ok("retire_ecs_service", json!({ "service": worker, "to": "delete" }));
    assert_eq!(shop.found(&account, "worker")["exists"], false);
    let again = second.ok("retire_ecs_service", json!({ "service": worker, "to": "delete" }));
    assert_eq!(again["change"], "unchanged");
    let report = second.roll_back();
    assert!(!report.is_clean(), "it cannot come back: {report:?}");
    // Its name is free again.
    assert_eq!(account.run().ok("deploy_ecs_service", options)["change"], "created");
}

const SCALING: (&str, &str) = ("application-autoscaling", "AnyScaleFrontendService");

/// What scales a service goes with its bounds. What others have added comes back as well.
#[test]
fn what_others_have_added_to_the_scaling_comes_back() {
    let account = Account::new();
    let mut first = account.run();
    let shop = Shop::new(&mut first);
    let definition = shop.definition(&mut first, "healthy-1");
    let mut options = shop.service("worker", &definition);
    options["load_balancers"] = json!([]);
    let worker = first.ok("deploy_ecs_service", options);
    first.ok("ensure_service_scaling", scaling(&worker));
    let of = |more: Value| {
        let mut input = json!({
            "ServiceNamespace": "ecs", "ResourceId": "service/shop-prod-main/shop-prod-worker",
            "ScalableDimension": "ecs:service:DesiredCount",
        });
        input.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        input
    };
    let queue = json!({ "TargetValue": 10.0, "DisableScaleIn": false, "CustomizedMetricSpecification": {
        "MetricName": "Backlog", "Namespace": "Shop", "Statistic": "Average",
        "Dimensions": [{ "Name": "Queue", "Value": "orders" }],
    } });
    let add = json!({ "AdjustmentType": "ChangeInCapacity", "Cooldown": 60,
        "StepAdjustments": [{ "MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 2 }] });
    let night = json!({ "ScheduledActionName": "night", "Schedule": "cron(0 22 * * ? *)", "Timezone": "Europe/Berlin",
        "StartTime": 946684800, "ScalableTargetAction": { "MinCapacity": 1, "MaxCapacity": 2 } });
    let put = |name: &str, kind: &str, configuration: &Value| {
        let mut policy = json!({ "PolicyName": name, "PolicyType": kind });
        policy[format!("{kind}PolicyConfiguration")] = configuration.clone();
        ask(&account, SCALING, "PutScalingPolicy", &of(policy))["PolicyARN"].clone()
    };
    let night_off = json!({ "ScheduledScalingSuspended": true });
    ask(&account, SCALING, "RegisterScalableTarget", &of(json!({ "SuspendedState": night_off })));
    put("queue", "TargetTrackingScaling", &queue);
    put("steps", "StepScaling", &add);
    ask(&account, SCALING, "PutScheduledAction", &of(night.clone()));
    let policies = |name: &str| {
        let found = ask(&account, SCALING, "DescribeScalingPolicies", &of(json!({ "PolicyNames": [name] })));
        found["ScalingPolicies"][0].clone()
    };
    assert_eq!(account.run().ok("ensure_service_scaling", scaling(&worker))["change"], "unchanged");
    let retire = || {
        let mut run = account.run();
        run.ok("retire_ecs_service", json!({ "service": worker }));
        run.roll_back()
    };
    let report = retire();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(policies("queue")["TargetTrackingScalingPolicyConfiguration"], queue);
    assert_eq!(policies("steps")["StepScalingPolicyConfiguration"], add);
    let scheduled = ask(&account, SCALING, "DescribeScheduledActions", &of(json!({})))["ScheduledActions"][0].clone();
    assert_eq!((&scheduled["Schedule"], &scheduled["Timezone"]), (&night["Schedule"], &night["Timezone"]));
    let targets = json!({ "ServiceNamespace": "ecs", "ResourceIds": ["service/shop-prod-main/shop-prod-worker"] });
    let target = ask(&account, SCALING, "DescribeScalableTargets", &targets)["ScalableTargets"][0].clone();
    let suspended =
        ["ScheduledScalingSuspended", "DynamicScalingInSuspended"].map(|kind| &target["SuspendedState"][kind]);
    assert_eq!(suspended, [&json!(true), &json!(false)]);
    // It began long ago.
    assert_eq!(scheduled["StartTime"], Value::Null);

    // Put again, a policy is another one for its alarms.
    let alarm = json!({ "name": "backlog", "metric_name": "Backlog", "namespace": "Shop", "threshold": 100,
        "comparison_operator": "GreaterThanThreshold", "statistic": "Average",
        "alarm_actions": [policies("steps")["PolicyARN"]] });
    account.run().ok("ensure_alarm", alarm);
    let report = retire();
    assert!(!report.is_clean(), "{report:?}");
}

#[test]
fn a_service_of_others_is_left_alone() {
    let account = Account::new();
    let shop = Shop::live(&mut account.run());
    let mut other = account.run();
    other.run.set_stack("other-prod".into());
    let blue = shop.found(&account, "blue");
    let refused = other.op("retire_ecs_service", json!({ "service": blue })).expect_err("not theirs");
    assert!(matches!(refused, Error::NotOwned { .. }), "{refused}");
    let refused = other.op("ensure_service_scaling", json!({ "service": blue, "min_capacity": 1, "max_capacity": 2 }));
    assert!(matches!(refused, Err(Error::NotOwned { .. })), "{refused:?}");
}

#[test]
fn lost_replies_make_nothing_twice() {
    for fault in
        ["ecs:CreateService", "ecs:RegisterTaskDefinition", "ecs:CreateCluster", "ecr:CreateRepository", "ecs:RunTask"]
    {
        let account = Account::new();
        let before = account.observe();
        account.simulator().ask_for([format!("{fault}#1=timeout-applied").parse().expect("a fault")]);
        let mut run = account.run();
        let shop = Shop::new(&mut run);
        let definition = shop.definition(&mut run, "healthy-1");
        let service = run.ok("deploy_ecs_service", shop.service("blue", &definition));
        assert_eq!((&service["running_count"], &definition["revision"]), (&json!(2), &json!(1)), "{fault}");
        let done = run.ok("run_task", migration(&shop, &definition));
        assert_eq!(done["exit_codes"], json!({ "web": 0 }), "{fault}");
        assert_eq!(account.simulator().faults_unused(), [], "{fault}");
        let report = run.roll_back();
        assert!(report.is_clean(), "{fault}: {report:?}");
        assert_same(&account.observe(), &before, fault);
    }
}

fn migration(shop: &Shop, definition: &Value) -> Value {
    let over = json!({ "name": "web", "command": ["./migrate", "up"], "environment": { "STEP": "1" } });
    json!({
        "cluster": shop.cluster, "task_definition": definition, "subnets": shop.network.subnets,
        "overrides": { "container_overrides": [over] },
    })
}

#[test]
fn a_task_is_run_once_and_its_exit_code_decides() {
    let account = Account::new();
    let mut run = account.run();
    let shop = Shop::new(&mut run);
    let definition = shop.definition(&mut run, "exits-0");
    let done = run.ok("run_task", migration(&shop, &definition));
    assert_eq!((&done["exit_codes"]["web"], &done["change"]), (&json!(0), &json!("created")));
    let failing = shop.definition(&mut run, "exits-3");
    let error = run.op("run_task", migration(&shop, &failing)).expect_err("it exits with 3");
    assert!(error.to_string().contains("Essential container in task exited (web exited with 3)"), "{error}");
    let mut unknown = migration(&shop, &definition);
    unknown["overrides"]["container_overrides"][0]["name"] = json!("other");
    let error = run.op("run_task", unknown).expect_err("no such container");
    assert!(error.to_string().contains("is not a container in the TaskDefinition"), "{error}");
}

/// A helper that fails makes the task fail, unless the task can do without it or ECS has ended it.
#[test]
fn essential_containers_of_a_task_decide() {
    let account = Account::new();
    let mut run = account.run();
    let shop = Shop::new(&mut run);
    let mut image = |tag: &str| run.ok("find_container_image", json!({ "repository": "shop-prod-web", "tag": tag }));
    let (works, fails, is_ended) = (image("exits-0"), image("exits-3"), image("exits-143"));
    for (helper, essential, failed) in
        [(&fails, true, Some("helper exited with 3")), (&fails, false, None), (&is_ended, true, None)]
    {
        let containers = json!([
            { "name": "web", "image": works }, { "name": "helper", "image": helper, "essential": essential },
        ]);
        let options = json!({
            "family": "web", "cpu": 256, "memory": 512, "execution_role": shop.role, "container_definitions": containers,
        });
        let definition = run.ok("register_task_definition", options);
        match (run.op("run_task", migration(&shop, &definition)), failed) {
            (Ok(done), None) => assert_eq!(done["exit_codes"]["web"], 0),
            (Err(error), Some(words)) => assert!(error.to_string().contains(words), "{error}"),
            (ended, _) => panic!("essential {essential}: {ended:?}"),
        }
    }
}

/// A helper that ends first has ECS end what the task is for: its work is not done.
#[test]
fn a_task_that_ecs_has_ended_before_its_work_was_done_has_failed() {
    let account = Account::new();
    let mut run = account.run();
    let shop = Shop::new(&mut run);
    let mut image = |tag: &str| run.ok("find_container_image", json!({ "repository": "shop-prod-web", "tag": tag }));
    let containers =
        json!([{ "name": "migrate", "image": image("exits-143") }, { "name": "helper", "image": image("exits-0") }]);
    let options = json!({
        "family": "web", "cpu": 256, "memory": 512, "execution_role": shop.role, "container_definitions": containers,
    });
    let definition = run.ok("register_task_definition", options);
    let mut options = migration(&shop, &definition);
    options["overrides"] = json!({});
    let error = run.op("run_task", options).expect_err("nobody knows how far it came");
    assert!(error.to_string().contains("migrate exited with 143"), "{error}");
}

#[test]
fn a_task_that_hangs_is_stopped_on_rollback() {
    let account = Account::new();
    let shop = Shop::new(&mut account.run());
    let before = account.observe();
    let mut run = account.run();
    let definition = shop.definition(&mut run, "never-healthy");
    let mut options = migration(&shop, &definition);
    options["timeout"] = json!("10m");
    let error = run.op("run_task", options).expect_err("it does not end");
    assert!(matches!(&error, Error::TimedOut { seen, .. } if seen == "running"), "{error}");
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_same(&account.observe(), &before, "undone");
}

fn scaling(service: &Value) -> Value {
    let cpu = json!({ "predefined_metric_type": "ECSServiceAverageCPUUtilization", "target_value": 60 });
    json!({ "service": service, "min_capacity": 2, "max_capacity": 6, "target_tracking": [cpu] })
}

#[test]
fn ensure_service_scaling() {
    let contract = contract("ensure_service_scaling", |run| {
        let shop = Shop::live(run);
        let service = run.ok("find_ecs_service", json!({ "name": "blue", "cluster": shop.cluster }));
        let mut changed = scaling(&service);
        changed["max_capacity"] = json!(9);
        changed["target_tracking"][0]["scale_in_cooldown"] = json!("5m");
        let found = run.ok("find_load_balancer", json!({ "load_balancer": "shop-prod-web" }));
        let requests = json!({
            "predefined_metric_type": "ALBRequestCountPerTarget", "target_value": 1000, "load_balancer": found,
            "target_group": shop.blue,
        });
        changed["target_tracking"].as_array_mut().expect("a list").push(requests);
        (scaling(&service), changed)
    });
    let put = "application-autoscaling:PutScalingPolicy";
    let register = "application-autoscaling:RegisterScalableTarget";
    assert_eq!(contract.created, [register, put]);
    assert_eq!(contract.updated, [register, put, put]);
}

/// moto's services stay without tasks, so the one that is scaled is made by others there.
#[test]
fn a_service_is_scaled_on_moto() {
    let name = moto().new_account();
    let account = Account::moto(moto().url(), name.clone());
    let cluster = account.run().ok("ensure_cluster", json!({ "name": "main" }));
    let definition = account.run().ok("register_task_definition", definition());
    let create = format!(
        "client('ecs').create_service(cluster='{}', serviceName='web', taskDefinition='{}', desiredCount=2, \
         tags=[{{'key': 'runner:stack', 'value': 'shop-prod'}}])['service']['serviceArn']",
        cluster["cluster_arn"].as_str().expect("text"),
        definition["task_definition_arn"].as_str().expect("text"),
    );
    let service = moto().boto3(&name, &create);
    let before = moto().boto3(&name, "observe()");
    let mut run = account.run();
    assert_eq!(run.ok("ensure_service_scaling", scaling(&service))["change"], "created");
    assert_eq!(account.run().ok("ensure_service_scaling", scaling(&service))["change"], "unchanged");
    let mut changed = scaling(&service);
    changed["min_capacity"] = json!(1);
    assert_eq!(account.run().ok("ensure_service_scaling", changed.clone())["change"], "updated");
    assert_eq!(account.run().ok("ensure_service_scaling", changed)["change"], "unchanged");
    account.run().ok("ensure_service_scaling", scaling(&service));
    let report = run.roll_back();
    assert!(report.is_clean(), "{report:?}");
    assert_same(&moto().boto3(&name, "observe()"), &before, "undone");
}
