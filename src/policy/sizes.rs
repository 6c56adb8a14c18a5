//! `max_size` of an Auto Scaling group, and `max_instances` of all groups of a stack.

use super::{Call, Fleet, Known, Size};

/// What a call makes of the size of a group. Parameters of several calls are called the same.
struct Sizes<'a> {
    group: &'a str,
    max_size: Option<u32>,
    desired_capacity: Option<u32>,
}

impl<'a> Sizes<'a> {
    fn of(call: &Call<'a>) -> Option<Self> {
        if call.service() != "autoscaling" {
            return None;
        }
        let group = call.text("AutoScalingGroupName")?;
        let (min, desired) = (call.number("MinSize"), call.number("DesiredCapacity"));
        // A new group without a desired capacity has its minimum; so has one whose minimum is raised above it.
        let sizes = Self { group, max_size: call.number("MaxSize"), desired_capacity: desired.max(min) };
        (sizes.max_size.is_some() || sizes.desired_capacity.is_some()).then_some(sizes)
    }
}

/// The instances a group is to have after a call, if the call says so.
pub(super) fn asked(call: &Call<'_>) -> Option<Fleet> {
    let deleted = call.action == "autoscaling:DeleteAutoScalingGroup";
    let (name, desired_capacity) = match deleted {
        true => (call.text("AutoScalingGroupName")?, 0),
        false => Sizes::of(call).and_then(|sizes| Some((sizes.group, sizes.desired_capacity?)))?,
    };
    Some(Fleet { name: name.to_owned(), desired_capacity })
}

/// A group that is too large already may stay so, and shrink. `now` is its size: `None` if there is no such group yet.
pub(super) fn max_size(limit: u32, call: &Call<'_>, now: Option<&Known<Size>>) -> Option<String> {
    let sizes = Sizes::of(call)?;
    let (now, unknown) = match now {
        Some(Ok(now)) => (*now, String::new()),
        Some(Err(why)) => (Size::default(), format!("; the size it has is not known: {why}")),
        None => (Size::default(), String::new()),
    };
    let over = |name: &str, size: Option<u32>, now: u32| {
        let size = size.filter(|size| *size > limit.max(now))?;
        Some(format!(
            "Auto Scaling group {} would have a {name} of {size}, and {limit} is the most{unknown}",
            sizes.group
        ))
    };
    over("max_size", sizes.max_size, now.max_size)
        .or_else(|| over("desired_capacity", sizes.desired_capacity, now.desired_capacity))
}

/// The group that a call would make larger than `limit`, unless it is that large already.
pub(super) fn group_over<'c>(limit: u32, call: &Call<'c>) -> Option<&'c str> {
    max_size(limit, call, None)?;
    Sizes::of(call).map(|sizes| sizes.group)
}

/// `fleets` are the groups of the stack as they are; `set` those whose size this run has set, which may not be listed yet.
pub(super) fn max_instances(limit: u32, call: &Call<'_>, fleets: &Known<Vec<Fleet>>, set: &[Fleet]) -> Option<String> {
    let asked = asked(call).filter(|asked| asked.desired_capacity > 0)?;
    let fleets = match fleets {
        Ok(fleets) => fleets,
        Err(why) => return Some(format!("the Auto Scaling groups of the stack cannot be counted: {why}")),
    };
    let shrinks = |fleet: &Fleet| fleet.desired_capacity >= asked.desired_capacity;
    if set.iter().chain(fleets).find(|fleet| fleet.name == asked.name).is_some_and(shrinks) {
        return None;
    }
    let mut all = vec![&asked];
    for fleet in set.iter().chain(fleets) {
        if all.iter().all(|known| known.name != fleet.name) {
            all.push(fleet);
        }
    }
    let sum: u32 = all.iter().map(|fleet| fleet.desired_capacity).fold(0, u32::saturating_add);
    if sum <= limit {
        return None;
    }
    let each = all.iter().filter(|fleet| fleet.desired_capacity > 0);
    let each: Vec<String> = each.map(|fleet| format!("{} {}", fleet.name, fleet.desired_capacity)).collect();
    Some(format!(
        "the Auto Scaling groups of the stack would have {sum} instances ({}), and {limit} are the most",
        each.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn call<'a>(action: &'a str, parameters: &'a Value) -> Call<'a> {
        Call { action, resource: "", parameters }
    }

    #[test]
    fn of_one_group() {
        let update = "autoscaling:UpdateAutoScalingGroup";
        let table = [
            (update, json!({ "AutoScalingGroupName": "web", "MaxSize": "9", "DesiredCapacity": "9" }), None),
            (update, json!({ "AutoScalingGroupName": "web", "MaxSize": "10" }), Some("a max_size of 10")),
            (
                update,
                json!({ "AutoScalingGroupName": "web", "DesiredCapacity": "12" }),
                Some("a desired_capacity of 12"),
            ),
            (update, json!({ "AutoScalingGroupName": "web", "MinSize": "12" }), Some("a desired_capacity of 12")),
            (update, json!({ "AutoScalingGroupName": "web", "HealthCheckType": "ELB" }), None),
            (
                "autoscaling:SetDesiredCapacity",
                json!({ "AutoScalingGroupName": "web", "DesiredCapacity": 10 }),
                Some("10"),
            ),
            ("elasticloadbalancing:Other", json!({ "AutoScalingGroupName": "web", "MaxSize": "10" }), None),
        ];
        for (action, parameters, words) in table {
            let said = max_size(9, &call(action, &parameters), None);
            assert_eq!(said.is_some(), words.is_some(), "{parameters}");
            assert!(said.unwrap_or_default().contains(words.unwrap_or_default()), "{parameters}");
        }
    }

    #[test]
    fn what_is_too_large_already_may_shrink() {
        let size = |max: u32, desired: u32| json!({ "AutoScalingGroupName": "web", "MaxSize": max, "DesiredCapacity": desired });
        let now = |max_size, desired_capacity| Ok(Size { max_size, desired_capacity });
        let table = [
            (size(20, 10), now(20, 12), None),
            (size(12, 12), now(20, 12), None),
            (size(20, 13), now(20, 12), Some("a desired_capacity of 13")),
            (size(21, 12), now(20, 12), Some("a max_size of 21, and 9 is the most")),
            (size(10, 9), now(5, 5), Some("a max_size of 10")),
            (
                size(20, 0),
                Err("not allowed".to_owned()),
                Some("is the most; the size it has is not known: not allowed"),
            ),
        ];
        for (parameters, now, words) in table {
            let said = max_size(9, &call("autoscaling:UpdateAutoScalingGroup", &parameters), Some(&now));
            assert_eq!(said.is_some(), words.is_some(), "{parameters} {now:?}: {said:?}");
            assert!(said.unwrap_or_default().contains(words.unwrap_or_default()), "{parameters}");
        }
    }

    #[test]
    fn of_all_groups() {
        let fleet = |name: &str, desired_capacity| Fleet { name: name.into(), desired_capacity };
        let live = Ok(vec![fleet("blue", 3), fleet("old", 2)]);
        let create = json!({ "AutoScalingGroupName": "green", "MinSize": "3", "MaxSize": "9" });
        let create = call("autoscaling:CreateAutoScalingGroup", &create);
        assert_eq!(max_instances(8, &create, &live, &[]), None);
        assert_eq!(
            max_instances(7, &create, &live, &[]).expect("too many"),
            "the Auto Scaling groups of the stack would have 8 instances (green 3, blue 3, old 2), and 7 are the most"
        );
        assert_eq!(
            max_instances(7, &create, &live, &[fleet("old", 0)]),
            None,
            "what this run has retired does not count"
        );
        assert!(max_instances(8, &create, &live, &[fleet("new", 1)]).is_some(), "what is not listed yet does");
        assert_eq!(max_instances(3, &create, &Ok(vec![fleet("green", 9)]), &[]), None, "the group itself counts once");
        let two = json!({ "AutoScalingGroupName": "blue", "DesiredCapacity": "2" });
        let fewer = call("autoscaling:SetDesiredCapacity", &two);
        assert_eq!(max_instances(1, &fewer, &live, &[]), None, "there were too many already, and now there are fewer");
        let zero = json!({ "AutoScalingGroupName": "blue", "MinSize": "0", "DesiredCapacity": "0" });
        let retire = call("autoscaling:UpdateAutoScalingGroup", &zero);
        assert_eq!(max_instances(0, &retire, &live, &[]), None, "less is never too much");
        assert!(max_instances(99, &create, &Err("no".into()), &[]).is_some(), "what cannot be counted is refused");
    }
}
