//! The work of a group: as many instances as it is to have, each brought into service and out of it in order.
//!
//! Into service: pending, hooks, registered with the target groups, in service. Out of it: deregistered, drained, hooks,
//! terminated. A group launches and terminates at events only, a few seconds after what made it necessary.

use std::collections::BTreeMap;
use std::time::Duration;

use super::activity::Status;
use super::group::{self, Group};
use super::hook::Transition;
use super::member::{Lifecycle, Member, Template};
use super::*;
use super::{activity, hook, settings};
use crate::sim::ec2::Instance;
use crate::sim::ec2::instance::{self, State};
use crate::sim::ec2::launch::{self, Launch};
use crate::sim::elbv2::targets::{self, TargetState};

pub const ACTIONS: &[Action] = &[
    Action {
        name: "TerminateInstanceInAutoScalingGroup",
        params: &["InstanceId ShouldDecrementDesiredCapacity"],
        run: terminate_instance_in_auto_scaling_group,
    },
    Action {
        name: "DescribeAutoScalingInstances",
        params: &["InstanceIds[]", PAGES],
        run: describe_auto_scaling_instances,
    },
];

/// How often an instance that is on its way is looked at.
const LOOK: Duration = Duration::from_secs(5);

pub fn soon(tx: &mut Tx, name: &str, step: Step, after: Duration) {
    let Some(group) = tx.peek::<Group>(name) else { return };
    let event = Event { group: name.to_owned(), arn: group.arn.clone(), step };
    tx.schedule(after, event);
}

/// The capacity changed, and this is why.
pub fn because(tx: &mut Tx, name: &str, cause: &str) {
    let cause = format!("At {} {cause}", activity::moment(tx.now));
    if let Some(group) = tx.peek_mut::<Group>(name) {
        group.work = group::Work { cause, failures: 0, ..group.work };
    }
    let after = tx.between(&format!("{name}/{}", tx.now), Duration::from_secs(1), Duration::from_secs(4));
    soon(tx, name, Step::Reconcile, after);
}

pub fn reconcile(tx: &mut Tx, name: &str) {
    let Some(group) = tx.peek::<Group>(name).filter(|group| !group.deleting) else { return };
    let (have, desired) = (group.serving().count() as i64, group.desired);
    let (launches, terminates) = (group.runs("Launch"), group.runs("Terminate"));
    if have < desired && launches {
        for count in have..desired {
            if let Err(error) = launch(tx, name, count) {
                return failed(tx, name, count, error);
            }
        }
    }
    for count in (desired..have).rev().filter(|_| terminates) {
        let Some(victim) = tx.peek::<Group>(name).and_then(victim) else { break };
        let now = activity::moment(tx.now);
        let given = tx.peek::<Group>(name).map(|group| group.work.cause.clone()).unwrap_or_default();
        let cause = format!(
            "{given}  At {now} an instance was taken out of service in response to a difference between desired and actual \
             capacity, shrinking the capacity from {} to {count}.  At {now} instance {victim} was selected for termination.",
            count + 1
        );
        leave(tx, name, &victim, cause.trim_start());
    }
    if let Some(group) = tx.peek_mut::<Group>(name) {
        group.work = group::Work { idle_since: group.work.idle_since, ..group::Work::default() };
    }
}

/// Launches one instance in the zone that has the fewest, to be the one after `have`.
fn launch(tx: &mut Tx, name: &str, have: i64) -> Result<(), AwsError> {
    let group = tx.peek::<Group>(name).ok_or_else(|| Group::absent(name))?.clone();
    let in_zone = |zone: &str| group.serving().filter(|member| member.zone == zone).count();
    let zone_of = |subnet: &str| tx.peek::<crate::sim::ec2::Subnet>(subnet).map(|subnet| subnet.zone.clone());
    let place = group.subnets.iter().min_by_key(|subnet| zone_of(subnet).map_or(usize::MAX, |zone| in_zone(&zone)));
    let subnet = place.cloned().ok_or_else(|| invalid("The group has no subnet"))?;

    if let group::Source::Configuration(name) = &group.source {
        let message = format!("the simulator does not model launch configurations, such as {name}");
        return Err(AwsError::unanswered("ValidationError", message));
    }
    let template = settings::template_of(&group.source);
    let mut data = settings::data(tx, &template)?;
    if let group::Source::Mixed(policy) = &group.source {
        let overrides = policy.list("LaunchTemplate.Overrides");
        if let Some(first) = overrides.first() {
            data = settings::overridden(&data, first);
        }
    }
    let row = tx.get::<crate::sim::ec2::LaunchTemplate>(&template.id)?;
    let template = Template { version: row.version(&template.version)?.number.to_string(), ..template };

    let mut tags: Tags = group.propagated.iter().filter_map(|key| group.tags.get_key_value(key)).map(own).collect();
    tags.insert("aws:autoscaling:groupName".to_owned(), name.to_owned());
    tags.insert("aws:ec2launchtemplate:id".to_owned(), template.id.clone());
    tags.insert("aws:ec2launchtemplate:version".to_owned(), template.version.clone());
    let made = launch::launch(tx, Launch { data: &data, subnet: &subnet, tags })?;

    let cause = launch_cause(tx, &group, have);
    let place = json!({ "Subnet ID": made.subnet, "Availability Zone": made.zone });
    let description = format!("Launching a new EC2 instance: {}", made.id);
    let activity = activity::begin(tx, &group, description, cause, place, Status::PreInService);
    let member = Member {
        instance: made.id.clone(),
        instance_type: made.instance_type,
        image: made.image,
        zone: made.zone,
        template,
        state: Lifecycle::Pending,
        healthy: true,
        protected: group.settings.protect_new,
        launched: tx.now,
        in_service_since: None,
        activity,
        waits_for: BTreeMap::new(),
    };
    if let Some(group) = tx.peek_mut::<Group>(name) {
        group.members.push(member);
        group.work.failures = 0;
    }
    soon(tx, name, Step::Advance(made.id), LOOK);
    Ok(())
}

/// The instances of all groups that live.
pub fn alive(tx: &Tx) -> Vec<String> {
    let lives = |id: &String| tx.peek::<Instance>(id).is_some_and(|instance| instance.state.lives());
    let members = tx.all::<Group>().flat_map(Group::serving);
    members.map(|member| member.instance.clone()).filter(lives).collect()
}

fn own((key, value): (&String, &String)) -> (String, String) {
    (key.clone(), value.clone())
}

fn launch_cause(tx: &Tx, group: &Group, have: i64) -> String {
    let now = activity::moment(tx.now);
    match group.work.cause.as_str() {
        "" => format!("At {now} an instance was launched in response to an unhealthy instance needing to be replaced."),
        given => format!(
            "{given}  At {now} an instance was started in response to a difference between desired and actual capacity, \
             increasing the capacity from {have} to {}.",
            have + 1
        ),
    }
}

/// A launch that failed is tried again, less and less often.
fn failed(tx: &mut Tx, name: &str, have: i64, error: AwsError) {
    let Some(group) = tx.peek::<Group>(name).cloned() else { return };
    let status = format!("{}. Launching EC2 instance failed.", error.message.trim_end_matches('.'));
    let description = format!("Launching a new EC2 instance.  Status Reason: {status}");
    let cause = launch_cause(tx, &group, have);
    let id = activity::begin(tx, &group, description, cause, json!({}), Status::InProgress);
    activity::end(tx, &id, Status::Failed, Some(status));
    let Some(group) = tx.peek_mut::<Group>(name) else { return };
    group.work.failures += 1;
    let wait = Duration::from_secs(30 << group.work.failures.min(5));
    soon(tx, name, Step::Reconcile, wait);
}

/// Who goes first: as the group's first termination policy says, in the zone that has the most.
fn victim(group: &Group) -> Option<String> {
    let unprotected = || group.serving().filter(|member| !member.protected);
    let in_zone = |zone: &str| group.serving().filter(|member| member.zone == zone).count();
    let fullest = unprotected().map(|member| in_zone(&member.zone)).max()?;
    let candidates = unprotected().filter(|member| in_zone(&member.zone) == fullest);
    let version = |member: &Member| member.template.version.parse::<u64>().unwrap_or(0);
    let policy = group.settings.termination_policies.first().map_or("Default", String::as_str);
    let chosen = match policy {
        "NewestInstance" => candidates.max_by_key(|member| member.launched),
        "OldestInstance" => candidates.min_by_key(|member| member.launched),
        _ => candidates.min_by_key(|member| (version(member), member.launched)),
    };
    chosen.map(|member| member.instance.clone())
}

/// Begins to take an instance out: it gets no new requests from here on.
pub fn leave(tx: &mut Tx, name: &str, instance: &str, cause: &str) {
    let Some(group) = tx.peek::<Group>(name).cloned() else { return };
    let Some(member) = group.members.iter().find(|member| member.instance == instance && !member.state.is_leaving())
    else {
        return;
    };
    if member.in_service_since.is_none() {
        activity::end(tx, &member.activity, Status::Cancelled, None);
    }
    let waits = !group.target_groups.is_empty() && member.in_service_since.is_some();
    let status = if waits { Status::WaitingForElbConnectionDraining } else { Status::InProgress };
    let place = json!({ "Availability Zone": member.zone });
    let description = format!("Terminating EC2 instance: {instance}");
    let activity = activity::begin(tx, &group, description, cause.to_owned(), place, status);
    for arn in &group.target_groups {
        targets::deregister(tx, arn, instance, None);
    }
    if let Some(member) = tx.peek_mut::<Group>(name).and_then(|group| group.member(instance)) {
        member.state = Lifecycle::Terminating;
        member.activity = activity;
        member.waits_for.clear();
    }
    soon(tx, name, Step::Advance(instance.to_owned()), Duration::from_secs(1));
}

/// Takes all instances of a deleted group out, waiting for nothing.
pub fn empty(tx: &mut Tx, name: &str) {
    let Some(group) = tx.peek::<Group>(name).cloned() else { return };
    let now = activity::moment(tx.now);
    for member in &group.members {
        let cause = format!("At {now} the group was deleted with its instances.");
        leave(tx, name, &member.instance, &cause);
        terminate(tx, name, &member.instance);
    }
    if group.members.is_empty() {
        vanish(tx, name);
    }
}

/// A group that was read goes on: it looks after its health, its members move on in their lives.
pub fn go_on(tx: &mut Tx, name: &str) {
    let Some(group) = tx.glance::<Group>(name).cloned() else { return };
    soon(tx, name, Step::Check, super::health::EVERY);
    for member in &group.members {
        let instance = member.instance.clone();
        match member.state {
            Lifecycle::Pending | Lifecycle::PendingProceed | Lifecycle::Terminating | Lifecycle::TerminatingProceed => {
                soon(tx, name, Step::Advance(instance), LOOK)
            }
            Lifecycle::PendingWait | Lifecycle::TerminatingWait => {
                for (hook, token) in member.waits_for.clone() {
                    let timeout = group.hooks.get(&hook).map_or(0, |hook| hook.heartbeat_timeout.unsigned_abs());
                    let step = Step::TimeOut { instance: instance.clone(), hook, token };
                    soon(tx, name, step, Duration::from_secs(timeout));
                }
            }
            Lifecycle::InService | Lifecycle::EnteringStandby | Lifecycle::Standby | Lifecycle::Detaching => {}
        }
    }
    match group.deleting {
        true if group.members.is_empty() => vanish(tx, name),
        false if group.serving().count() as i64 != group.desired => soon(tx, name, Step::Reconcile, LOOK),
        true | false => {}
    }
}

fn vanish(tx: &mut Tx, name: &str) {
    let after = tx.between(&format!("{name}/{}", tx.now), group::VANISHES.0, group::VANISHES.1);
    soon(tx, name, Step::Vanish, after);
}

/// Moves an instance on in its life, if what it waits for has come.
pub fn advance(tx: &mut Tx, name: &str, id: &str) {
    let Some(group) = tx.peek::<Group>(name).cloned() else { return };
    let Some(member) = group.members.iter().find(|member| member.instance == id) else { return };
    let state = tx.peek::<Instance>(id).map(|instance| instance.state);
    match member.state {
        Lifecycle::Pending => match state {
            Some(State::Running) if hook::begin(tx, name, id, Transition::Launching) => {}
            Some(State::Running) => enter_service(tx, name, id),
            Some(State::Pending) => soon(tx, name, Step::Advance(id.to_owned()), LOOK),
            _ => {
                let now = activity::moment(tx.now);
                let cause = format!("At {now} an instance was taken out of service in response to a launch failure.");
                leave(tx, name, id, &cause);
                soon(tx, name, Step::Reconcile, LOOK);
            }
        },
        Lifecycle::PendingProceed => enter_service(tx, name, id),
        Lifecycle::Terminating => {
            let drains = |arn: &String| targets::state(tx, arn, id) == Some(TargetState::Draining);
            let alive = state.is_some_and(State::lives);
            if alive && group.target_groups.iter().chain(&group.leaving).any(drains) {
                soon(tx, name, Step::Advance(id.to_owned()), LOOK);
            } else if !(alive && hook::begin(tx, name, id, Transition::Terminating)) {
                terminate(tx, name, id);
            }
        }
        Lifecycle::TerminatingProceed => match state {
            None | Some(State::Terminated) => forget(tx, name, id),
            _ => soon(tx, name, Step::Advance(id.to_owned()), LOOK),
        },
        Lifecycle::PendingWait | Lifecycle::TerminatingWait | Lifecycle::InService => {}
        Lifecycle::EnteringStandby | Lifecycle::Standby | Lifecycle::Detaching => {}
    }
}

fn enter_service(tx: &mut Tx, name: &str, id: &str) {
    let Some(group) = tx.peek::<Group>(name).cloned() else { return };
    if group.runs("AddToLoadBalancer") {
        for arn in &group.target_groups {
            // A target group that was deleted meanwhile keeps nobody out of service.
            let _ = targets::register(tx, arn, id, None);
        }
    }
    let now = tx.now;
    let Some(member) = tx.peek_mut::<Group>(name).and_then(|group| group.member(id)) else { return };
    member.state = Lifecycle::InService;
    member.in_service_since = Some(now);
    let activity = member.activity.clone();
    activity::end(tx, &activity, Status::Successful, None);
}

/// The last step: the instance itself is terminated.
pub fn terminate(tx: &mut Tx, name: &str, id: &str) {
    let Some(member) = tx.peek_mut::<Group>(name).and_then(|group| group.member(id)) else { return };
    member.state = Lifecycle::TerminatingProceed;
    let activity = member.activity.clone();
    activity::progress(tx, &activity, Status::InProgress);
    instance::terminate(tx, id);
    soon(tx, name, Step::Advance(id.to_owned()), LOOK);
}

fn forget(tx: &mut Tx, name: &str, id: &str) {
    let Some(group) = tx.peek_mut::<Group>(name) else { return };
    let Some(at) = group.members.iter().position(|member| member.instance == id) else { return };
    let member = group.members.remove(at);
    let last = group.deleting && group.members.is_empty();
    activity::end(tx, &member.activity, Status::Successful, None);
    if last {
        vanish(tx, name);
    }
}

fn terminate_instance_in_auto_scaling_group(tx: &mut Tx, p: &Params) -> Reply {
    let (id, decrement) = (p.str("InstanceId")?.to_owned(), p.bool("ShouldDecrementDesiredCapacity")?);
    let owner = tx.all::<Group>().find(|group| group.members.iter().any(|member| member.instance == id));
    let Some(group) = owner.cloned() else {
        return Err(invalid(format!("Instance Id not found - No managed instance found for instance ID {id}")));
    };
    if decrement && group.desired <= group.min {
        let (min, desired) = (group.min, group.desired);
        let message = format!(
            "Currently, desiredSize equals minSize ({desired} and {min}). Terminating instance without replacement will \
             violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's \
             min size."
        );
        return Err(invalid(message));
    }
    let now = activity::moment(tx.now);
    let change = if decrement { ", shrinking the capacity" } else { "" };
    leave(
        tx,
        &group.name,
        &id,
        &format!("At {now} instance {id} was taken out of service in response to a user request{change}."),
    );
    if let Some(group) = tx.peek_mut::<Group>(&group.name) {
        group.desired -= i64::from(decrement);
        group.work = group::Work::default();
    }
    soon(tx, &group.name, Step::Reconcile, LOOK);
    let activity = tx.peek_mut::<Group>(&group.name).and_then(|group| group.member(&id)).map(|it| it.activity.clone());
    let activity = activity.and_then(|id| tx.peek::<Activity>(&id)).map(Activity::view);
    Ok(json!({ "Activity": activity }))
}

fn describe_auto_scaling_instances(tx: &mut Tx, p: &Params) -> Reply {
    let ids = p.strings("InstanceIds");
    let groups = tx.select::<Group>(&[])?;
    let all = groups.iter().flat_map(|group| group.members.iter().map(|member| (&group.name, member)));
    let rows: Vec<_> = all.filter(|(_, member)| ids.is_empty() || ids.contains(&member.instance.as_str())).collect();
    let (rows, next) = select::page(&PAGING, p, rows, |(_, member)| &member.instance)?;
    let view = |(group, member): (&String, &Member)| {
        json!({
            "InstanceId": member.instance,
            "InstanceType": member.instance_type,
            "AutoScalingGroupName": group,
            "AvailabilityZone": member.zone,
            "LifecycleState": member.state,
            "HealthStatus": if member.healthy { "HEALTHY" } else { "UNHEALTHY" },
            "LaunchTemplate": member.template.view(),
            "ProtectedFromScaleIn": member.protected,
        })
    };
    Ok(json!({ "AutoScalingInstances": rows.into_iter().map(view).collect::<Vec<_>>(), "NextToken": next }))
}
