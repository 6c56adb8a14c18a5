//! Reads a service of a forked account, with its tasks.

use super::service::{Deployment, Happened, Rollout, SETTINGS, Service, Status};
use super::settings::Spec;
use super::*;
use super::{deploy, life};

pub const CALLS: &[&str] =
    &["ecs:DescribeServices", "ecs:DescribeTasks", "ecs:ListClusters", "ecs:ListServices", "ecs:ListTasks"];

/// A service, `cluster/name`, with its tasks; or all services as a list shows them.
pub fn load(reader: &Reader, key: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    match key.and_then(|key| key.split_once('/')) {
        Some((cluster, name)) => one(reader, cluster, name, rows),
        None => all(reader, rows),
    }
}

fn all(reader: &Reader, rows: &mut Rows) -> Result<(), AwsError> {
    let mut clusters: Vec<String> = Vec::new();
    reader.each_page("ecs", "ListClusters", json!({ "maxResults": 100 }), TOKEN, |page| {
        clusters.extend(page.strings("clusterArns").into_iter().map(|arn| name_of(arn).to_owned()));
    })?;
    for cluster in clusters {
        let mut names: Vec<String> = Vec::new();
        reader.each_page("ecs", "ListServices", json!({ "cluster": cluster, "maxResults": 100 }), TOKEN, |page| {
            names.extend(page.strings("serviceArns").into_iter().map(|arn| name_of(arn).to_owned()));
        })?;
        // "You may specify up to 10 services to describe in a single operation."
        for names in names.chunks(10) {
            let params = json!({ "cluster": cluster, "services": names, "include": ["TAGS"] });
            for shown in reader.get("ecs", "DescribeServices", params)?.list("services") {
                rows.listed(Read::of(read(&shown)).shown(&shown).except(unmodelled(&shown)));
            }
        }
    }
    Ok(())
}

fn one(reader: &Reader, cluster: &str, name: &str, rows: &mut Rows) -> Result<(), AwsError> {
    let params = json!({ "cluster": cluster, "services": [name], "include": ["TAGS"] });
    let Some(reply) = reader.find("ecs", "DescribeServices", params, &["ClusterNotFoundException"])? else {
        return Ok(());
    };
    for shown in reply.list("services") {
        let service = read(&shown);
        let (key, lives) = (service.key.clone(), !service.is_inactive());
        let balancers: Vec<(String, u16)> =
            service.spec.load_balancers.iter().map(|it| (it.target_group.clone(), it.port)).collect();
        rows.whole(Read::of(service).shown(&shown).except(unmodelled(&shown)));
        if !lives {
            continue;
        }
        let mut arns: Vec<String> = Vec::new();
        let params = json!({ "cluster": cluster, "serviceName": name, "maxResults": 100 });
        reader.each_page("ecs", "ListTasks", params, TOKEN, |page| {
            arns.extend(page.strings("taskArns").into_iter().map(str::to_owned));
        })?;
        for arns in arns.chunks(100) {
            let params = json!({ "cluster": cluster, "tasks": arns, "include": ["TAGS"] });
            for shown in reader.get("ecs", "DescribeTasks", params)?.list("tasks") {
                let task = Task::read(&shown, Some(&key), &balancers);
                rows.whole(Read::of(task.clone()));
                rows.then(move |tx| life::go_on(tx, &task));
            }
        }
        rows.then(move |tx| deploy::go_on(tx, &key));
    }
    Ok(())
}

/// What keeps a service from being tried.
fn unmodelled(shown: &Params) -> Option<String> {
    let controller = shown.opt_str("deploymentController.type").unwrap_or("ECS");
    let strategy = shown.opt_str("deploymentConfiguration.strategy").unwrap_or("ROLLING");
    let scheduling = shown.opt_str("schedulingStrategy").unwrap_or("REPLICA");
    let launch_type = shown.opt_str("launchType").unwrap_or("FARGATE");
    if controller != "ECS" {
        return Some(format!("the deployment controller {controller}"));
    }
    if strategy != "ROLLING" {
        return Some(format!("deployments of the strategy {strategy}"));
    }
    if scheduling != "REPLICA" {
        return Some(format!("services that are scheduled as {scheduling}"));
    }
    if launch_type != "FARGATE" {
        return Some(format!("tasks of the launch type {launch_type}"));
    }
    let connects = shown.list("deployments").iter().any(|it| it.flag("serviceConnectConfiguration.enabled"));
    (connects || !shown.list("serviceRegistries").is_empty()).then(|| "service discovery".to_owned())
}

fn read(shown: &Params) -> Service {
    let (cluster, name) = (name_of(&shown.text("clusterArn")).to_owned(), shown.text("serviceName"));
    let spec = Spec::read(shown);
    let deployment = |deployment: &Params| Deployment {
        id: deployment.text("id"),
        spec: Spec {
            load_balancers: spec.load_balancers.clone(),
            platform_version: spec.platform_version.clone(),
            ..Spec::read(deployment)
        },
        created: deployment.time("createdAt"),
        updated: deployment.time("updatedAt"),
        state: match deployment.opt_str("rolloutState") {
            Some("IN_PROGRESS") => Rollout::InProgress,
            Some("FAILED") => Rollout::Failed,
            _ => Rollout::Completed,
        },
        reason: deployment.text("rolloutStateReason"),
        failed: deployment.number("failedTasks", 0),
        rolls_back: false,
    };
    let event =
        |event: &Params| Happened { id: event.text("id"), at: event.time("createdAt"), message: event.text("message") };
    let mut deployments = shown.list("deployments");
    deployments.sort_by_key(|deployment| deployment.opt_str("status") != Some("PRIMARY"));
    let settings = SETTINGS.iter().filter_map(|name| Some(((*name).to_owned(), shown.get(name)?.clone())));
    Service {
        key: format!("{cluster}/{name}"),
        cluster,
        name,
        status: match shown.opt_str("status") {
            Some("DRAINING") => Status::Draining,
            Some("INACTIVE") => Status::Inactive,
            _ => Status::Active,
        },
        desired: shown.number("desiredCount", 0),
        settings: settings.collect(),
        deployments: deployments.iter().map(deployment).collect(),
        // The newest say what is going on.
        events: shown.list("events").iter().take(10).map(event).collect(),
        created: shown.time("createdAt"),
        tags: shown.map("tags", "key", "value"),
        spec,
    }
}
