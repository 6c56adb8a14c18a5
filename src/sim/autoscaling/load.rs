//! Reads a group of a forked account, with its hooks, policies and recent activities.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::activity::Status;
use super::group::{Group, Source};
use super::hook::{Hook, Transition};
use super::member::Lifecycle;
use super::policy::Policy;
use super::*;
use super::{activity, fleet, settings};

pub const CALLS: &[&str] = &[
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeLifecycleHooks",
    "autoscaling:DescribeLoadBalancerTargetGroups",
    "autoscaling:DescribePolicies",
    "autoscaling:DescribeScalingActivities",
    "ec2:DescribeInstances",
];

const TOKEN: Token = ("NextToken", "NextToken");

/// A group with everything of it, or all groups as a list shows them.
pub fn load(reader: &Reader, name: Option<&str>, rows: &mut Rows) -> Result<(), AwsError> {
    let service = "autoscaling";
    let named = name.map_or(json!({ "MaxRecords": 100 }), |name| json!({ "AutoScalingGroupNames": [name] }));
    for shown in reader.pages(service, "DescribeAutoScalingGroups", named, "AutoScalingGroups", TOKEN)? {
        let mut group = Group::shown(&shown);
        if name.is_none() {
            rows.listed(Read::of(group).shown(&shown).except(unmodelled(&shown)));
            continue;
        }
        let of = |more: Value| {
            let mut params = json!({ "AutoScalingGroupName": group.name });
            params.as_object_mut().into_iter().zip(more.as_object()).for_each(|(all, more)| all.extend(more.clone()));
            params
        };
        let hooks = reader.get(service, "DescribeLifecycleHooks", of(json!({})))?.list("LifecycleHooks");
        let pages = of(json!({ "MaxRecords": 100 }));
        let policies = reader.pages(service, "DescribePolicies", pages.clone(), "ScalingPolicies", TOKEN)?;
        let (action, list) = ("DescribeLoadBalancerTargetGroups", "LoadBalancerTargetGroups");
        let targets = reader.pages(service, action, pages.clone(), list, TOKEN)?;
        // The newest page: AWS keeps them for six weeks.
        let activities = reader.get(service, "DescribeScalingActivities", pages)?.list("Activities");

        group.hooks = hooks.iter().map(Hook::shown).collect();
        group.policies = policies.iter().map(Policy::shown).collect();
        // Of a group whose health counts, this does not tell.
        if !group.settings.counts_targets() {
            let serving = targets.iter().filter(|target| target.opt_str("State") == Some("InService"));
            group.given = serving.map(|target| target.text("LoadBalancerTargetGroupARN")).collect();
        }
        let leaving = targets.iter().filter(|target| target.opt_str("State") == Some("Removing"));
        group.leaving = leaving.map(|target| target.text("LoadBalancerTargetGroupARN")).collect();
        let known: Vec<Activity> = activities.iter().map(activity::read).collect();
        recall(reader, &mut group, &known)?;
        for (shown, activity) in activities.iter().zip(known) {
            rows.whole(Read::of(activity).shown(shown));
        }
        let name = group.name.clone();
        rows.whole(Read::of(group).shown(&shown).except(unmodelled(&shown)));
        rows.then(move |tx| fleet::go_on(tx, &name));
    }
    Ok(())
}

/// What of the members a group does not show: since when they are there, what happens to them now, and what they wait
/// for. Activities tell; of instances that were launched long before, EC2 does.
fn recall(reader: &Reader, group: &mut Group, activities: &[Activity]) -> Result<(), AwsError> {
    let about = |instance: &str| activities.iter().find(|activity| activity.description.ends_with(instance));
    let launch = |instance: &str| {
        let launches = activities.iter().filter(|activity| activity.description.starts_with("Launching"));
        launches.clone().find(|activity| activity.description.ends_with(instance))
    };
    let old: BTreeSet<&str> =
        group.members.iter().map(|member| &*member.instance).filter(|id| launch(id).is_none()).collect();
    let old = launched(reader, &old)?;
    let hooks = group.hooks.clone();
    for member in &mut group.members {
        let launch = launch(&member.instance);
        let long_ago = old.get(&member.instance).copied().unwrap_or(Timestamp::UNIX_EPOCH);
        member.launched = launch.map_or(long_ago, |launch| launch.start);
        let pending = matches!(member.state, Lifecycle::Pending | Lifecycle::PendingWait | Lifecycle::PendingProceed);
        member.in_service_since = match launch {
            _ if pending => None,
            None => Some(long_ago),
            Some(launch) if launch.status == Status::Successful => launch.end,
            // It leaves before it has come.
            Some(launch) => (!member.state.is_leaving()).then_some(launch.start),
        };
        member.activity = about(&member.instance).map(|activity| activity.id.clone()).unwrap_or_default();
        let transition = match member.state {
            Lifecycle::PendingWait => Some(Transition::Launching),
            Lifecycle::TerminatingWait => Some(Transition::Terminating),
            _ => None,
        };
        // AWS does not say which of the hooks have been answered, nor their tokens.
        let waits = hooks.iter().filter(|(_, hook)| Some(hook.transition) == transition);
        member.waits_for = waits.map(|(name, _)| (name.clone(), format!("unknown-{}", member.instance))).collect();
    }
    Ok(())
}

/// When instances were launched.
fn launched(reader: &Reader, ids: &BTreeSet<&str>) -> Result<BTreeMap<String, Timestamp>, AwsError> {
    let mut launched = BTreeMap::new();
    // A filter takes 200 values.
    for ids in ids.iter().collect::<Vec<_>>().chunks(200) {
        let params = json!({ "Filter": [{ "Name": "instance-id", "Value": ids }], "MaxResults": 1000 });
        let token = ("nextToken", "NextToken");
        for reservation in reader.pages("ec2", "DescribeInstances", params, "reservationSet", token)? {
            let instances = reservation.list("instancesSet").into_iter();
            launched.extend(instances.map(|instance| (instance.text("instanceId"), instance.time("launchTime"))));
        }
    }
    Ok(launched)
}

/// What keeps a group from being changed here: what it would launch is not known.
fn unmodelled(shown: &Params) -> Option<String> {
    let Group { source, subnets, .. } = Group::shown(shown);
    match source {
        Source::Configuration(_) => return Some("launch configurations".to_owned()),
        Source::Mixed(policy) => {
            let paths = policy.paths().into_iter().map(|path| format!("MixedInstancesPolicy.{path}"));
            if let Some(path) = paths.into_iter().find(|path| !settings::is_modelled(path)) {
                return Some(format!("`{path}`"));
            }
        }
        Source::Template(_) => {}
    }
    if shown.has("WarmPoolConfiguration") {
        return Some("warm pools".to_owned());
    }
    subnets.is_empty().then(|| "groups outside of subnets".to_owned())
}
