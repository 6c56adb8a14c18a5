//! Lifecycle hooks: an instance waits, on its way into or out of service, until somebody says to go on.

use std::collections::BTreeMap;
use std::time::Duration;

use super::activity::{self, Status};
use super::fleet;
use super::group::{self, Group};
use super::member::Lifecycle;
use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "PutLifecycleHook",
        params: &[
            "LifecycleHookName AutoScalingGroupName LifecycleTransition RoleARN NotificationTargetARN",
            "NotificationMetadata HeartbeatTimeout DefaultResult",
        ],
        run: put_lifecycle_hook,
    },
    Action {
        name: "DescribeLifecycleHooks",
        params: &["AutoScalingGroupName LifecycleHookNames[]"],
        run: describe_lifecycle_hooks,
    },
    Action {
        name: "DeleteLifecycleHook",
        params: &["LifecycleHookName AutoScalingGroupName"],
        run: delete_lifecycle_hook,
    },
    Action {
        name: "CompleteLifecycleAction",
        params: &["LifecycleHookName AutoScalingGroupName LifecycleActionToken LifecycleActionResult InstanceId"],
        run: complete_lifecycle_action,
    },
];

/// Hooks that come with the group.
pub const SPECIFICATIONS: &str = "
    LifecycleHookSpecificationList[].LifecycleHookName LifecycleHookSpecificationList[].LifecycleTransition
    LifecycleHookSpecificationList[].NotificationMetadata LifecycleHookSpecificationList[].HeartbeatTimeout
    LifecycleHookSpecificationList[].DefaultResult LifecycleHookSpecificationList[].NotificationTargetARN
    LifecycleHookSpecificationList[].RoleARN
";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    pub transition: Transition,
    pub heartbeat_timeout: i64,
    pub default_result: String,
    pub metadata: Option<String>,
    pub notification_target: Option<String>,
    pub role: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Transition {
    #[serde(rename = "autoscaling:EC2_INSTANCE_LAUNCHING")]
    Launching,
    #[serde(rename = "autoscaling:EC2_INSTANCE_TERMINATING")]
    Terminating,
}

impl Hook {
    /// Reads a hook; what is not said is as in `before`, or as AWS has it.
    fn read(p: &Params, before: Option<&Hook>) -> Result<Hook, AwsError> {
        let text = |name| p.opt_str(name).map(str::to_owned);
        let transition = match (p.opt_str("LifecycleTransition"), before) {
            (Some("autoscaling:EC2_INSTANCE_LAUNCHING"), _) => Transition::Launching,
            (Some("autoscaling:EC2_INSTANCE_TERMINATING"), _) => Transition::Terminating,
            (None, Some(before)) => before.transition,
            _ => return Err(invalid("Invalid Lifecycle Transition specified for the lifecycle hook")),
        };
        let hook = Hook {
            transition,
            heartbeat_timeout: p
                .opt_int("HeartbeatTimeout")?
                .unwrap_or(before.map_or(3600, |before| before.heartbeat_timeout)),
            default_result: text("DefaultResult")
                .or(before.map(|before| before.default_result.clone()))
                .unwrap_or_else(|| "ABANDON".to_owned()),
            metadata: text("NotificationMetadata").or(before.and_then(|before| before.metadata.clone())),
            notification_target: text("NotificationTargetARN")
                .or(before.and_then(|before| before.notification_target.clone()))
                .filter(|target| !target.is_empty()),
            role: text("RoleARN").or(before.and_then(|before| before.role.clone())),
        };
        if !(30..=7200).contains(&hook.heartbeat_timeout) {
            return Err(invalid("HeartbeatTimeout must be between 30 and 7200 seconds"));
        }
        if !["ABANDON", "CONTINUE"].contains(&hook.default_result.as_str()) {
            return Err(invalid("DefaultResult must be either CONTINUE or ABANDON"));
        }
        Ok(hook)
    }

    /// The inverse of `view`, with its name.
    pub fn shown(shown: &Params) -> (String, Hook) {
        let optional = |path: &str| shown.opt_str(path).map(str::to_owned);
        let hook = Hook {
            transition: match shown.opt_str("LifecycleTransition") {
                Some("autoscaling:EC2_INSTANCE_TERMINATING") => Transition::Terminating,
                _ => Transition::Launching,
            },
            heartbeat_timeout: shown.number("HeartbeatTimeout", 3600),
            default_result: shown.opt_str("DefaultResult").unwrap_or("ABANDON").to_owned(),
            metadata: optional("NotificationMetadata"),
            notification_target: optional("NotificationTargetARN"),
            role: optional("RoleARN"),
        };
        (shown.text("LifecycleHookName"), hook)
    }

    fn view(&self, name: &str, group: &str) -> Value {
        json!({
            "LifecycleHookName": name,
            "AutoScalingGroupName": group,
            "LifecycleTransition": self.transition,
            "NotificationTargetARN": self.notification_target,
            "RoleARN": self.role,
            "NotificationMetadata": self.metadata,
            "HeartbeatTimeout": self.heartbeat_timeout,
            // At most 48 hours, and 100 heartbeats.
            "GlobalTimeout": (self.heartbeat_timeout * 100).min(172_800),
            "DefaultResult": self.default_result,
        })
    }
}

/// The hooks that a creating request brings along.
pub fn specified(p: &Params) -> Result<BTreeMap<String, Hook>, AwsError> {
    let list = p.list("LifecycleHookSpecificationList");
    list.iter().map(|hook| Ok((hook.str("LifecycleHookName")?.to_owned(), Hook::read(hook, None)?))).collect()
}

fn put_lifecycle_hook(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("LifecycleHookName")?;
    let group = group::to_change(tx, p)?;
    let hook = Hook::read(p, group.hooks.get(name))?;
    group.hooks.insert(name.to_owned(), hook);
    nothing_to_say()
}

fn describe_lifecycle_hooks(tx: &mut Tx, p: &Params) -> Reply {
    let names = p.strings("LifecycleHookNames");
    let group = tx.get::<Group>(p.str("AutoScalingGroupName")?)?;
    let wanted = group.hooks.iter().filter(|(name, _)| names.is_empty() || names.contains(&name.as_str()));
    Ok(json!({ "LifecycleHooks": wanted.map(|(name, hook)| hook.view(name, &group.name)).collect::<Vec<_>>() }))
}

fn delete_lifecycle_hook(tx: &mut Tx, p: &Params) -> Reply {
    let hook = p.str("LifecycleHookName")?;
    let group = group::to_change(tx, p)?;
    if group.hooks.remove(hook).is_none() {
        return Err(invalid(format!("No Lifecycle Hook found with name: {hook}")));
    }
    let name = group.name.clone();
    // Whoever waits for it goes on.
    let waiting: Vec<String> = group
        .members
        .iter()
        .filter(|member| member.waits_for.contains_key(hook))
        .map(|member| member.instance.clone())
        .collect();
    waiting.iter().for_each(|instance| complete(tx, &name, instance, hook, None));
    nothing_to_say()
}

/// Has an instance wait for the hooks of a transition. False if there are none.
pub fn begin(tx: &mut Tx, name: &str, instance: &str, transition: Transition) -> bool {
    let Some(group) = tx.peek::<Group>(name) else { return false };
    let hooks: Vec<(String, i64)> = group
        .hooks
        .iter()
        .filter(|(_, hook)| hook.transition == transition)
        .map(|(hook, of)| (hook.clone(), of.heartbeat_timeout))
        .collect();
    for (hook, timeout) in &hooks {
        let token = uuid(tx);
        let Some(member) = tx.peek_mut::<Group>(name).and_then(|group| group.member(instance)) else { return false };
        member.waits_for.insert(hook.clone(), token.clone());
        member.state = match transition {
            Transition::Launching => Lifecycle::PendingWait,
            Transition::Terminating => Lifecycle::TerminatingWait,
        };
        let activity = member.activity.clone();
        activity::progress(tx, &activity, Status::MidLifecycleAction);
        let step = Step::TimeOut { instance: instance.to_owned(), hook: hook.clone(), token };
        fleet::soon(tx, name, step, Duration::from_secs(timeout.unsigned_abs()));
    }
    !hooks.is_empty()
}

fn complete_lifecycle_action(tx: &mut Tx, p: &Params) -> Reply {
    let (hook, result) = (p.str("LifecycleHookName")?, p.str("LifecycleActionResult")?);
    let group = tx.get::<Group>(p.str("AutoScalingGroupName")?)?;
    let (token, instance) = (p.opt_str("LifecycleActionToken"), p.opt_str("InstanceId"));
    let member = group.members.iter().find(|member| {
        member.waits_for.get(hook).is_some_and(|known| match (token, instance) {
            (Some(token), _) => token == known,
            (None, Some(instance)) => instance == member.instance,
            (None, None) => false,
        })
    });
    let Some(member) = member else {
        let what = instance.map_or("the given token".to_owned(), |instance| format!("instance ID {instance}"));
        return Err(invalid(format!("No active Lifecycle Action found with {what}")));
    };
    let (name, instance) = (group.name.clone(), member.instance.clone());
    let abandoned = (result == "ABANDON").then_some("Lifecycle Action Completed with ABANDON Result");
    complete(tx, &name, &instance, hook, abandoned);
    nothing_to_say()
}

/// Nobody said anything: the hook's default result.
pub fn time_out(tx: &mut Tx, name: &str, instance: &str, hook: &str, token: &str) {
    let Some(group) = tx.peek_mut::<Group>(name) else { return };
    let abandons = group.hooks.get(hook).is_none_or(|hook| hook.default_result == "ABANDON");
    if group.member(instance).is_some_and(|member| member.waits_for.get(hook).is_some_and(|known| known == token)) {
        complete(tx, name, instance, hook, abandons.then_some("Heartbeat Timeout"));
    }
}

/// One hook is through; `abandoned` says why the instance is to be given up.
fn complete(tx: &mut Tx, name: &str, instance: &str, hook: &str, abandoned: Option<&str>) {
    let Some(member) = tx.peek_mut::<Group>(name).and_then(|group| group.member(instance)) else { return };
    let Some(token) = member.waits_for.remove(hook) else { return };
    let (state, activity, last) = (member.state, member.activity.clone(), member.waits_for.is_empty());
    match (state, abandoned) {
        (Lifecycle::PendingWait, Some(why)) => {
            let message = format!(
                "Instance failed to complete user's Lifecycle Action: Lifecycle Action with token {token} was abandoned: {why}"
            );
            activity::end(tx, &activity, Status::Failed, Some(message));
            let now = activity::moment(tx.now);
            let cause = format!("At {now} an instance was taken out of service in response to a launch failure.");
            fleet::leave(tx, name, instance, &cause);
            fleet::soon(tx, name, Step::Reconcile, Duration::from_secs(5));
        }
        (Lifecycle::PendingWait, None) if last => {
            member.state = Lifecycle::PendingProceed;
            fleet::soon(tx, name, Step::Advance(instance.to_owned()), Duration::from_secs(1));
        }
        // An abandoned termination goes on too, without waiting for the other hooks.
        (Lifecycle::TerminatingWait, abandoned) if last || abandoned.is_some() => {
            member.waits_for.clear();
            fleet::terminate(tx, name, instance);
        }
        _ => {}
    }
}
