//! Target groups of a group, under their old name and as traffic sources.

use super::group::{self, Group};
use super::member::Lifecycle;
use super::*;
use crate::sim::elbv2::TargetGroup;
use crate::sim::elbv2::targets::{self, TargetState};

pub const ACTIONS: &[Action] = &[
    Action {
        name: "AttachLoadBalancerTargetGroups",
        params: &["AutoScalingGroupName TargetGroupARNs[]"],
        run: |tx, p| attach(tx, p, arns(p)?),
    },
    Action {
        name: "DetachLoadBalancerTargetGroups",
        params: &["AutoScalingGroupName TargetGroupARNs[]"],
        run: |tx, p| detach(tx, p, arns(p)?),
    },
    Action {
        name: "DescribeLoadBalancerTargetGroups",
        params: &["AutoScalingGroupName", PAGES],
        run: describe_load_balancer_target_groups,
    },
    Action {
        name: "AttachTrafficSources",
        params: &["AutoScalingGroupName TrafficSources[].Identifier TrafficSources[].Type"],
        run: |tx, p| attach(tx, p, sources(p)?),
    },
    Action {
        name: "DetachTrafficSources",
        params: &["AutoScalingGroupName TrafficSources[].Identifier TrafficSources[].Type"],
        run: |tx, p| detach(tx, p, sources(p)?),
    },
    Action {
        name: "DescribeTrafficSources",
        params: &["AutoScalingGroupName TrafficSourceType", PAGES],
        run: describe_traffic_sources,
    },
];

fn arns(p: &Params) -> Result<Vec<String>, AwsError> {
    Ok(p.strings("TargetGroupARNs").into_iter().map(str::to_owned).collect())
}

/// The target groups among a request's traffic sources; there are no other ones here.
pub fn sources(p: &Params) -> Result<Vec<String>, AwsError> {
    let list = p.list("TrafficSources");
    list.iter()
        .map(|source| match source.opt_str("Type") {
            None | Some("elbv2") => source.str("Identifier").map(str::to_owned),
            Some(other) => Err(invalid(format!("the simulator does not model traffic sources of the type `{other}`"))),
        })
        .collect()
}

/// Refuses target groups that are not there.
pub fn check(tx: &Tx, arns: &[String]) -> Result<(), AwsError> {
    match arns.iter().all(|arn| tx.peek::<TargetGroup>(arn).is_some()) {
        true => Ok(()),
        false => Err(invalid("Provided Target Groups may not be valid. Please ensure they exist and try again.")),
    }
}

fn attach(tx: &mut Tx, p: &Params, arns: Vec<String>) -> Reply {
    let name = group::to_change(tx, p)?.name.clone();
    check(tx, &arns)?;
    for arn in arns {
        let group = tx.get_mut::<Group>(&name)?;
        group.leaving.retain(|leaving| *leaving != arn);
        if group.target_groups.contains(&arn) {
            continue;
        }
        group.target_groups.push(arn.clone());
        group.target_groups.sort();
        for instance in in_service(group) {
            let _ = targets::register(tx, &arn, &instance, None);
        }
    }
    nothing_to_say()
}

fn in_service(group: &Group) -> Vec<String> {
    let serving = group.members.iter().filter(|member| member.state == Lifecycle::InService);
    serving.map(|member| member.instance.clone()).collect()
}

fn detach(tx: &mut Tx, p: &Params, arns: Vec<String>) -> Reply {
    let name = group::to_change(tx, p)?.name.clone();
    for arn in arns {
        let group = tx.get_mut::<Group>(&name)?;
        if !group.target_groups.contains(&arn) {
            return Err(invalid("Trying to remove Target Groups that are not part of the group"));
        }
        group.target_groups.retain(|known| *known != arn);
        group.given.retain(|known| *known != arn);
        for instance in in_service(group) {
            targets::deregister(tx, &arn, &instance, None);
        }
        // Only a target group that drains is still shown.
        let group = tx.get::<Group>(&name)?;
        if drains(tx, group, &arn) {
            tx.get_mut::<Group>(&name)?.leaving.push(arn);
        }
    }
    nothing_to_say()
}

fn drains(tx: &Tx, group: &Group, arn: &str) -> bool {
    group.members.iter().any(|member| targets::state(tx, arn, &member.instance) == Some(TargetState::Draining))
}

/// Forgets detached target groups that have drained.
pub fn forget_drained(tx: &mut Tx, name: &str) {
    let Some(group) = tx.peek::<Group>(name).filter(|group| !group.leaving.is_empty()) else { return };
    let leaving = group.leaving.iter().filter(|arn| drains(tx, group, arn)).cloned().collect();
    if let Some(group) = tx.peek_mut::<Group>(name) {
        group.leaving = leaving;
    }
}

/// ARN and state of each target group; one that has drained is not shown any more. "If Elastic Load Balancing health checks
/// are enabled […], the state transitions to InService after at least one Auto Scaling instance passes the health check";
/// "target groups also have an InService state if you attach them in the CreateAutoScalingGroup API call".
fn states(tx: &Tx, group: &Group) -> Vec<(String, &'static str)> {
    let healthy = |arn: &String| {
        group.members.iter().any(|member| targets::state(tx, arn, &member.instance) == Some(TargetState::Healthy))
    };
    let counts = group.settings.counts_targets();
    let serves = |arn: &String| group.given.contains(arn) || (counts && healthy(arn));
    let attached = group.target_groups.iter().map(|arn| (arn.clone(), if serves(arn) { "InService" } else { "Added" }));
    let leaving = group.leaving.iter().filter(|arn| drains(tx, group, arn)).map(|arn| (arn.clone(), "Removing"));
    attached.chain(leaving).collect()
}

fn describe_load_balancer_target_groups(tx: &mut Tx, p: &Params) -> Reply {
    let group = tx.get::<Group>(p.str("AutoScalingGroupName")?)?;
    let (rows, next) = select::page(&PAGING, p, states(tx, group), |(arn, _)| arn)?;
    let view: Vec<Value> =
        rows.into_iter().map(|(arn, state)| json!({ "LoadBalancerTargetGroupARN": arn, "State": state })).collect();
    Ok(json!({ "LoadBalancerTargetGroups": view, "NextToken": next }))
}

fn describe_traffic_sources(tx: &mut Tx, p: &Params) -> Reply {
    let group = tx.get::<Group>(p.str("AutoScalingGroupName")?)?;
    // Sources of other types are not modelled: there are none.
    let of_type = p.opt_str("TrafficSourceType").is_none_or(|kind| kind == "elbv2");
    let rows = if of_type { states(tx, group) } else { Vec::new() };
    let (rows, next) = select::page(&PAGING, p, rows, |(arn, _)| arn)?;
    let view: Vec<Value> = rows
        .into_iter()
        .map(|(arn, state)| json!({ "TrafficSource": arn, "Identifier": arn, "Type": "elbv2", "State": state }))
        .collect();
    Ok(json!({ "TrafficSources": view, "NextToken": next }))
}
