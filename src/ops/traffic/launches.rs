//! What an Auto Scaling group says of its instances, and of what went wrong with them.

use std::collections::BTreeSet;

use aws_sdk_autoscaling::types::{Activity, AutoScalingGroup, LifecycleState, ScalingActivityStatusCode};

use crate::{
    ops::{
        Error,
        compute::asg,
        containers::{ecs::name_in, service, tasks},
    },
    run::Ctx,
};

/// The group at one look.
pub struct Fleet {
    pub name: String,
    pub desired: usize,
    /// All that it has.
    pub instances: BTreeSet<String>,
    /// Those that serve, as far as the group knows.
    pub in_service: BTreeSet<String>,
    /// Those on their way out.
    pub leaving: BTreeSet<String>,
}

impl Fleet {
    pub async fn read(ctx: &Ctx, name: &str) -> Result<Self, Error> {
        Ok(Self::of(name, &asg::existing(ctx, name).await?))
    }

    fn of(name: &str, group: &AutoScalingGroup) -> Self {
        let those = |wanted: &dyn Fn(&LifecycleState) -> bool| {
            let instances = group.instances().iter();
            let wanted = instances.filter(|one| one.lifecycle_state().is_some_and(wanted));
            wanted.filter_map(|one| one.instance_id().map(str::to_owned)).collect()
        };
        let leaves = |state: &LifecycleState| state.as_str().starts_with("Terminat") || state.as_str() == "Detaching";
        let desired = group.desired_capacity().unwrap_or_default();
        Self {
            name: name.to_owned(),
            desired: usize::try_from(desired).unwrap_or_default(),
            instances: those(&|_| true),
            in_service: those(&|state| *state == LifecycleState::InService),
            leaving: those(&leaves),
        }
    }

    /// `web-blue: 2 of 3 in service`
    pub fn words(&self) -> String {
        format!("{}: {} of {} in service", self.name, self.in_service.len(), self.desired)
    }
}

/// A service of ECS at one look, its tasks by their addresses, as target groups know them; and why its deployment was given up,
/// if it was.
pub async fn of_service(ctx: &Ctx, arn: &str) -> Result<(Fleet, Option<String>), Error> {
    let (cluster, name) = (service::cluster_in(arn)?, name_in(arn));
    let found = service::existing(ctx, arn).await?;
    let running = tasks::of_service(ctx, cluster, name, "RUNNING").await?;
    let those = |wanted: &dyn Fn(&tasks::Task) -> bool| {
        let ids = running.iter().filter(|task| wanted(task)).map(|task| task.ip().unwrap_or(task.id()).to_owned());
        ids.collect::<BTreeSet<String>>()
    };
    let fleet = Fleet {
        name: name.to_owned(),
        desired: usize::try_from(found.desired_count).unwrap_or_default(),
        instances: those(&|_| true),
        in_service: those(&|task| task.last_status == "RUNNING"),
        // A task that was told to stop is not among those that are to run.
        leaving: BTreeSet::new(),
    };
    let failed = found.primary().filter(|primary| primary.rollout_state.as_deref() == Some("FAILED"));
    let given_up = match failed {
        Some(failed) => {
            let reasons = tasks::failures(ctx, cluster, name, &failed.id).await?;
            let said = failed.rollout_state_reason.clone().unwrap_or_default();
            Some([vec![said.trim_end_matches('.').to_owned()], reasons].concat().join("; "))
        }
        None => None,
    };
    Ok((fleet, given_up))
}

/// Why the newest tasks of a service's deployment have ended.
pub async fn why_tasks_stopped(ctx: &Ctx, arn: &str) -> Result<Option<String>, Error> {
    let (cluster, name) = (service::cluster_in(arn)?, name_in(arn));
    let found = service::existing(ctx, arn).await?;
    let Some(primary) = found.primary() else { return Ok(None) };
    Ok(tasks::failures(ctx, cluster, name, &primary.id).await?.into_iter().next())
}

/// The activities of a group, the newest first. The first page is enough: what matters has just happened.
pub async fn activities(ctx: &Ctx, name: &str) -> Result<Vec<Activity>, Error> {
    let reply = ctx
        .read_of("autoscaling:DescribeScalingActivities", name, || {
            ctx.aws().autoscaling.describe_scaling_activities().auto_scaling_group_name(name).send()
        })
        .await?;
    Ok(reply.activities.unwrap_or_default())
}

/// Why instances cannot be launched, in the words of the newest activity: the one that failed after the last launch
/// that worked.
pub fn failure(activities: &[Activity]) -> Option<String> {
    let launches = activities.iter().filter(|one| one.description().is_some_and(|text| text.starts_with("Launching")));
    for launch in launches {
        match launch.status_code() {
            Some(ScalingActivityStatusCode::Successful) => return None,
            Some(ScalingActivityStatusCode::Failed) => {
                let words = launch.status_message().or(launch.description()).unwrap_or("a launch failed");
                return Some(words.to_owned());
            }
            _ => {}
        }
    }
    None
}

/// Why an instance was terminated, in the words of the activity that did it.
pub fn cause(activities: &[Activity], instance: &str) -> Option<String> {
    let terminates = |one: &&Activity| {
        one.description().is_some_and(|text| text.starts_with("Terminating") && text.contains(instance))
    };
    activities.iter().find(terminates)?.cause().map(str::to_owned)
}
