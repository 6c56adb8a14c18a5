//! What a group measures of itself, for CloudWatch.

use super::group::Group;
use super::member::Lifecycle;
use super::*;

/// The instances of a group that are in service; `None` if there is no such group.
pub fn in_service(tx: &Tx, name: &str) -> Option<Vec<String>> {
    let group = tx.peek::<Group>(name)?;
    let serves = group.members.iter().filter(|member| member.state == Lifecycle::InService);
    Some(serves.map(|member| member.instance.clone()).collect())
}

/// A metric of the group, if it is collected. Source: "Amazon CloudWatch metrics for Amazon EC2 Auto Scaling".
pub fn metric(tx: &Tx, name: &str, metric: &str) -> Option<i64> {
    let group = tx.peek::<Group>(name).filter(|group| group.metrics.contains(metric))?;
    let count = |is_it: fn(Lifecycle) -> bool| {
        let members = group.members.iter().filter(|member| is_it(member.state)).count();
        i64::try_from(members).unwrap_or(i64::MAX)
    };
    Some(match metric {
        "GroupMinSize" => group.min,
        "GroupMaxSize" => group.max,
        "GroupDesiredCapacity" => group.desired,
        "GroupInServiceInstances" => count(|state| state == Lifecycle::InService),
        "GroupPendingInstances" => {
            count(|state| matches!(state, Lifecycle::Pending | Lifecycle::PendingWait | Lifecycle::PendingProceed))
        }
        "GroupTerminatingInstances" => count(Lifecycle::is_leaving),
        "GroupTotalInstances" => count(|_| true),
        _ => return None,
    })
}
