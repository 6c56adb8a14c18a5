//! What a stack is like right now, as AWS and its tags tell: for people who have no journal at hand.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join3;
use serde::{Deserialize, Serialize};

use super::{
    Error, Together, all_of,
    compute::{asg, ensure_launch_template},
    load_balancing::{action::Answer, name_in, read},
    ownership::{RUN_TAG, STACK_TAG},
    traffic::health::Health,
};
use crate::run::Ctx;

/// A stack at one look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StackStatus {
    pub stack: String,
    pub routes: Vec<RouteStatus>,
    pub fleets: Vec<FleetStatus>,
    pub versions: Vec<VersionStatus>,
}

/// Where a route sends its requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RouteStatus {
    /// `shop-prod-web:443`
    pub name: String,
    pub arn: String,
    pub shares: Vec<ShareStatus>,
}

/// A target group on a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShareStatus {
    pub target_group: String,
    pub arn: String,
    pub weight: i32,
    pub healthy: usize,
    pub targets: usize,
}

/// An Auto Scaling group of the stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetStatus {
    pub name: String,
    pub min_size: i32,
    pub max_size: i32,
    pub desired_capacity: i32,
    pub in_service: usize,
    pub launch_template: String,
    pub version: String,
    pub target_groups: Vec<String>,
    pub subnets: Vec<String>,
}

/// A version of a launch template: older ones stay reachable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionStatus {
    pub launch_template: String,
    pub launch_template_id: String,
    pub version: i64,
    pub image_id: String,
    pub instance_type: String,
    /// Real time, as AWS writes it.
    pub created: String,
    /// The run that made the template.
    pub run: Option<String>,
}

/// Looks at a stack.
///
/// # Errors
/// If something cannot be read.
pub async fn status(ctx: &Ctx, stack: &str) -> Result<StackStatus, Error> {
    let (routes, fleets, versions) = try_join3(routes(ctx, stack), fleets(ctx), versions(ctx)).await?;
    Ok(StackStatus { stack: stack.to_owned(), routes, fleets, versions })
}

/// The stacks that have a load balancer or a fleet here.
///
/// # Errors
/// If something cannot be read.
pub async fn names(ctx: &Ctx) -> Result<BTreeSet<String>, Error> {
    let (balancers, groups) = futures::join!(read::load_balancers(ctx), asg::all(ctx)).together()?;
    let arns: Vec<String> = balancers.iter().filter_map(|one| one.load_balancer_arn().map(str::to_owned)).collect();
    let tags = if arns.is_empty() { BTreeMap::new() } else { read::tags_of(ctx, &arns).await? };
    let of_balancers = tags.into_values().filter_map(|mut tags| tags.remove(STACK_TAG));
    let of_groups = groups.iter().filter_map(|group| asg::tags(group).remove(STACK_TAG));
    Ok(of_balancers.chain(of_groups).collect())
}

async fn routes(ctx: &Ctx, stack: &str) -> Result<Vec<RouteStatus>, Error> {
    let balancers = read::load_balancers(ctx).await?;
    let arns: Vec<String> = balancers.iter().filter_map(|one| one.load_balancer_arn().map(str::to_owned)).collect();
    let tags = if arns.is_empty() { BTreeMap::new() } else { read::tags_of(ctx, &arns).await? };
    let is_ours = |arn: &&String| tags.get(*arn).and_then(|tags| tags.get(STACK_TAG)).is_some_and(|of| of == stack);
    let of_balancers = all_of(arns.iter().filter(is_ours).map(|arn| of_balancer(ctx, arn))).await?;
    Ok(of_balancers.into_iter().flatten().collect())
}

async fn of_balancer(ctx: &Ctx, balancer: &str) -> Result<Vec<RouteStatus>, Error> {
    let mut routes = Vec::new();
    for listener in read::listeners_of(ctx, balancer).await? {
        let Some(arn) = listener.listener_arn() else { continue };
        let place = format!("{}:{}", name_in(balancer), listener.port().unwrap_or_default());
        routes.extend(route(ctx, place.clone(), arn, &Answer::of(listener.default_actions())).await?);
        for rule in read::rules_of(ctx, arn).await? {
            if let (Some(arn), Some(priority), Some(false)) = (rule.rule_arn(), rule.priority(), rule.is_default()) {
                routes.extend(route(ctx, format!("{place} rule {priority}"), arn, &Answer::of(rule.actions())).await?);
            }
        }
    }
    Ok(routes)
}

/// A route, if it forwards.
async fn route(ctx: &Ctx, name: String, arn: &str, answer: &Answer) -> Result<Option<RouteStatus>, Error> {
    if !answer.is_forward() {
        return Ok(None);
    }
    let share = |share: &super::load_balancing::action::Share| {
        let (arn, weight) = (share.target_group.clone(), share.weight);
        async move {
            let health = Health::read(ctx, &arn).await?;
            let (healthy, targets) = (health.healthy(), health.targets.len());
            Ok::<_, Error>(ShareStatus { target_group: name_in(&arn).to_owned(), arn, weight, healthy, targets })
        }
    };
    let shares = all_of(answer.target_groups().iter().map(share)).await?;
    Ok(Some(RouteStatus { name, arn: arn.to_owned(), shares }))
}

async fn fleets(ctx: &Ctx) -> Result<Vec<FleetStatus>, Error> {
    let groups = asg::of_stack(ctx).await?;
    let fleet = |group: &aws_sdk_autoscaling::types::AutoScalingGroup| {
        let template = asg::template(group);
        FleetStatus {
            name: group.auto_scaling_group_name().unwrap_or_default().to_owned(),
            min_size: group.min_size().unwrap_or_default(),
            max_size: group.max_size().unwrap_or_default(),
            desired_capacity: group.desired_capacity().unwrap_or_default(),
            in_service: asg::in_service(group).len(),
            launch_template: template
                .and_then(|template| template.launch_template_name())
                .unwrap_or_default()
                .to_owned(),
            version: template.and_then(|template| template.version()).unwrap_or_default().to_owned(),
            target_groups: group.target_group_arns().to_vec(),
            subnets: asg::subnets(group),
        }
    };
    Ok(groups.iter().map(fleet).collect())
}

async fn versions(ctx: &Ctx) -> Result<Vec<VersionStatus>, Error> {
    let templates = ensure_launch_template::of_stack(ctx).await?;
    let of_template = |template: &aws_sdk_ec2::types::LaunchTemplate| {
        let id = template.launch_template_id().unwrap_or_default().to_owned();
        let name = template.launch_template_name().unwrap_or_default().to_owned();
        let run = template.tags().iter().find(|tag| tag.key() == Some(RUN_TAG));
        let run = run.and_then(|tag| tag.value()).map(str::to_owned);
        async move {
            let found = ctx
                .read("ec2:DescribeLaunchTemplateVersions", || {
                    let pages = ctx.aws().ec2.describe_launch_template_versions().launch_template_id(&id);
                    pages.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
                })
                .await?;
            let version = |version: &aws_sdk_ec2::types::LaunchTemplateVersion| {
                let data = version.launch_template_data()?;
                Some(VersionStatus {
                    launch_template: name.clone(),
                    launch_template_id: id.clone(),
                    version: version.version_number()?,
                    image_id: data.image_id().unwrap_or_default().to_owned(),
                    instance_type: data.instance_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
                    created: version.create_time().map(ToString::to_string).unwrap_or_default(),
                    run: run.clone(),
                })
            };
            Ok::<_, Error>(found.iter().filter_map(version).collect::<Vec<_>>())
        }
    };
    let mut versions: Vec<VersionStatus> =
        all_of(templates.iter().map(of_template)).await?.into_iter().flatten().collect();
    versions.sort_by(|a, b| (&a.launch_template, b.version).cmp(&(&b.launch_template, a.version)));
    Ok(versions)
}
