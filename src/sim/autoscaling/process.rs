//! Suspended processes, metrics, and what is said of single instances: protection and health.

use super::activity;
use super::group::{self, Group};
use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "SuspendProcesses",
        params: &["AutoScalingGroupName ScalingProcesses[]"],
        run: |tx, p| switch_processes(tx, p, true),
    },
    Action {
        name: "ResumeProcesses",
        params: &["AutoScalingGroupName ScalingProcesses[]"],
        run: |tx, p| switch_processes(tx, p, false),
    },
    Action {
        name: "EnableMetricsCollection",
        params: &["AutoScalingGroupName Metrics[] Granularity"],
        run: |tx, p| switch_metrics(tx, p, true),
    },
    Action {
        name: "DisableMetricsCollection",
        params: &["AutoScalingGroupName Metrics[]"],
        run: |tx, p| switch_metrics(tx, p, false),
    },
    Action {
        name: "SetInstanceProtection",
        params: &["AutoScalingGroupName InstanceIds[] ProtectedFromScaleIn"],
        run: set_instance_protection,
    },
    Action {
        name: "SetInstanceHealth",
        params: &["InstanceId HealthStatus ShouldRespectGracePeriod"],
        run: set_instance_health,
    },
];

const PROCESSES: [&str; 9] = [
    "AZRebalance",
    "AddToLoadBalancer",
    "AlarmNotification",
    "HealthCheck",
    "InstanceRefresh",
    "Launch",
    "ReplaceUnhealthy",
    "ScheduledActions",
    "Terminate",
];

const METRICS: [&str; 8] = [
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupMaxSize",
    "GroupMinSize",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
];

pub fn suspended(group: &Group) -> Value {
    let one = |(name, why): (&String, &String)| json!({ "ProcessName": name, "SuspensionReason": why });
    group.suspended.iter().map(one).collect()
}

pub fn metrics(group: &Group) -> Value {
    group.metrics.iter().map(|metric| json!({ "Metric": metric, "Granularity": "1Minute" })).collect()
}

/// The names a request gives, or all.
fn named(p: &Params, list: &str, known: &[&str], what: &str) -> Result<Vec<String>, AwsError> {
    let given = p.strings(list);
    if let Some(unknown) = given.iter().find(|name| !known.contains(name)) {
        return Err(invalid(format!("Invalid {what}: {unknown}")));
    }
    let names = if given.is_empty() { known } else { &given };
    Ok(names.iter().map(|name| (*name).to_owned()).collect())
}

fn switch_processes(tx: &mut Tx, p: &Params, suspend: bool) -> Reply {
    let names = named(p, "ScalingProcesses", &PROCESSES, "process name")?;
    let now = tx.now;
    let group = group::to_change(tx, p)?;
    for name in names {
        if suspend {
            group.suspended.entry(name).or_insert_with(|| format!("User suspended at {}", activity::moment(now)));
        } else {
            group.suspended.remove(&name);
        }
    }
    let name = group.name.clone();
    super::fleet::soon(tx, &name, Step::Reconcile, std::time::Duration::from_secs(2));
    done()
}

fn switch_metrics(tx: &mut Tx, p: &Params, enable: bool) -> Reply {
    if enable && p.str("Granularity")? != "1Minute" {
        return Err(invalid("Granularity must be 1Minute"));
    }
    let names = named(p, "Metrics", &METRICS, "metric")?;
    let group = group::to_change(tx, p)?;
    for name in names {
        if enable {
            group.metrics.insert(name);
        } else {
            group.metrics.remove(&name);
        }
    }
    done()
}

fn set_instance_protection(tx: &mut Tx, p: &Params) -> Reply {
    let protect = p.bool("ProtectedFromScaleIn")?;
    let group = group::to_change(tx, p)?;
    for id in p.strings("InstanceIds") {
        let missing = || {
            invalid(format!(
                "The instance {id} is not part of Auto Scaling group {}.",
                p.opt_str("AutoScalingGroupName").unwrap_or_default()
            ))
        };
        group.member(id).ok_or_else(missing)?.protected = protect;
    }
    nothing_to_say()
}

fn set_instance_health(tx: &mut Tx, p: &Params) -> Reply {
    let (id, healthy) = (p.str("InstanceId")?, p.str("HealthStatus")? == "Healthy");
    let has_it = |group: &Group| group.members.iter().any(|member| member.instance == id);
    let Some(member) = tx.find_mut::<Group>(has_it).and_then(|group| group.member(id)) else {
        return Err(invalid(format!("Instance Id not found - No managed instance found for instance ID {id}")));
    };
    // The next check acts on it.
    member.healthy = healthy;
    done()
}
