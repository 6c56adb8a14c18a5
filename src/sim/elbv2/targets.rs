//! Targets of target groups: registered, draining, gone; and what is said of their health.
//!
//! Auto Scaling and EC2 come in by [`register`], [`deregister`], [`state`] and [`gone`].

use std::net::IpAddr;

use super::*;
use crate::sim::ec2::instance::{self, App, State};
use crate::sim::ec2::{Instance, NetworkInterface, Subnet};
use crate::sim::ecs;
use jiff::Timestamp;

pub const ACTIONS: &[Action] = &[
    Action { name: "RegisterTargets", params: &["TargetGroupArn", TARGETS], run: register_targets },
    Action { name: "DeregisterTargets", params: &["TargetGroupArn", TARGETS], run: deregister_targets },
    Action { name: "DescribeTargetHealth", params: &["TargetGroupArn", TARGETS], run: describe_target_health },
];

const TARGETS: &str = "Targets[].Id Targets[].Port";

/// How long it takes until the nodes know a new target.
const REGISTRATION: Duration = Duration::from_secs(5);

/// How long it takes until the nodes know that an instance was terminated which nobody had deregistered. Until then
/// its share of the requests fails.
const NOTICE: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    pub id: String,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub key: Key,
    pub health: Health,
    /// What a target that was read answers, where that is not seen from its instance: one that was unhealthy stays so,
    /// and an address is well if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<App>,
}

impl Target {
    /// The inverse of `describe`.
    pub fn read(shown: &Params, group: &TargetGroup) -> Target {
        let port = shown.number("Target.Port", i64::from(group.port));
        let key = Key { id: shown.text("Target.Id"), port: u16::try_from(port).unwrap_or_default() };
        let reason = shown.opt_str("TargetHealth.Reason").unwrap_or_default();
        let unseen = group.target_type != "instance";
        let (health, answers) = match shown.opt_str("TargetHealth.State").unwrap_or_default() {
            "unused" => (Health::Unused, None),
            // Until when is not shown: `go_on` takes it for a whole delay from now.
            "draining" => (Health::Draining { until: Timestamp::MAX }, None),
            "initial" if reason == "Elb.RegistrationInProgress" => {
                (Health::Registering, unseen.then_some(App::Healthy))
            }
            "initial" => (Health::Initial { failed: 0 }, unseen.then_some(App::Healthy)),
            "unhealthy" | "unhealthy.draining" => {
                let (why, answers) = match reason {
                    "Target.Timeout" => (Why::Timeout, App::Absent),
                    "Target.ResponseCodeMismatch" => (Why::Mismatch, App::Unhealthy),
                    _ => (Why::Refused, App::Booting),
                };
                (Health::Unhealthy { passed: 0, why }, Some(answers))
            }
            _ => (Health::Healthy { failed: 0 }, unseen.then_some(App::Healthy)),
        };
        Target { key, health, answers }
    }
}

/// The targets of a group that was read go on: they are checked, become known, drain.
pub fn go_on(tx: &mut Tx, arn: &str) {
    let Some(mut group) = tx.glance::<TargetGroup>(arn).cloned() else { return };
    // An instance that was terminated here meanwhile is no target any more.
    group.targets.retain(|target| {
        let instance = tx.glance::<Instance>(&target.key.id);
        instance.is_none_or(|instance| instance.state != State::Terminated)
    });
    let delay = group.deregistration_delay();
    for target in &mut group.targets {
        let (group, key) = (arn.to_owned(), target.key.clone());
        match &mut target.health {
            Health::Draining { until } => {
                *until = tx.now + delay;
                tx.schedule(delay, Event::Drained { group, target: key });
            }
            Health::Registering => tx.schedule(REGISTRATION, Event::Registered { group, target: key }),
            Health::Unused | Health::Initial { .. } | Health::Healthy { .. } | Health::Unhealthy { .. } => {}
        }
    }
    if group.checking {
        let interval = Duration::from_secs(group.check.interval.unsigned_abs());
        tx.schedule(interval, Event::Check(arn.to_owned()));
    }
    if let Some(row) = TargetGroup::table_mut(tx).peek_mut(arn) {
        *row = group;
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Health {
    /// No listener or rule forwards to the group: nobody checks.
    Unused,
    Registering,
    /// Checks have begun, and failed so often.
    Initial {
        failed: i64,
    },
    Healthy {
        failed: i64,
    },
    Unhealthy {
        passed: i64,
        why: Why,
    },
    Draining {
        until: Timestamp,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Why {
    /// Nobody answers.
    Timeout,
    /// The connection is refused.
    Refused,
    /// The answer has a code that the matcher does not take.
    Mismatch,
}

/// The state of a target, as DescribeTargetHealth names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    Initial,
    Healthy,
    Unhealthy,
    Draining,
    Unused,
}

/// Registers an instance; one that is registered already stays as it is, one that drains comes back.
pub fn register(tx: &mut Tx, target_group_arn: &str, instance_id: &str, port: Option<u16>) -> Result<(), AwsError> {
    let group = tx.peek_mut::<TargetGroup>(target_group_arn).ok_or_else(|| TargetGroup::absent(target_group_arn))?;
    let key = Key { id: instance_id.to_owned(), port: port.unwrap_or(group.port) };
    match group.targets.iter_mut().find(|target| target.key == key) {
        Some(target) if matches!(target.health, Health::Draining { .. }) => target.health = Health::Unused,
        Some(_) => return Ok(()),
        None => {
            group.targets.push(Target { key, health: Health::Unused, answers: None });
            group.targets.sort_by(|a, b| a.key.cmp(&b.key));
        }
    }
    if !std::mem::replace(&mut group.checking, true) {
        let interval = Duration::from_secs(group.check.interval.unsigned_abs());
        tx.schedule(interval, Event::Check(target_group_arn.to_owned()));
    }
    uses_changed(tx);
    Ok(())
}

/// Takes an instance out: it drains for the deregistration delay, then it is gone.
pub fn deregister(tx: &mut Tx, target_group_arn: &str, instance_id: &str, port: Option<u16>) {
    let used = !route::balancers_of(tx, target_group_arn).is_empty();
    let now = tx.now;
    let Some(group) = tx.peek_mut::<TargetGroup>(target_group_arn) else { return };
    let delay = group.deregistration_delay();
    let named = |key: &Key| key.id == instance_id && port.is_none_or(|port| port == key.port);
    if !used || delay.is_zero() {
        group.targets.retain(|target| !named(&target.key));
        return;
    }
    let mut drain = Vec::new();
    for target in group.targets.iter_mut().filter(|target| named(&target.key)) {
        if !matches!(target.health, Health::Draining { .. }) {
            target.health = Health::Draining { until: now + delay };
            drain.push(target.key.clone());
        }
    }
    for target in drain {
        tx.schedule(delay, Event::Drained { group: target_group_arn.to_owned(), target });
    }
}

/// The state of an instance in a group; `None` if it is not in it.
pub fn state(tx: &Tx, target_group_arn: &str, instance_id: &str) -> Option<TargetState> {
    let group = tx.peek::<TargetGroup>(target_group_arn)?;
    let target = group.targets.iter().find(|target| target.key.id == instance_id)?;
    Some(match target.health {
        Health::Draining { .. } => TargetState::Draining,
        _ if !is_in_enabled_zone(tx, group, &target.key) => TargetState::Unused,
        Health::Unused => TargetState::Unused,
        Health::Registering | Health::Initial { .. } => TargetState::Initial,
        Health::Healthy { .. } => TargetState::Healthy,
        Health::Unhealthy { .. } => TargetState::Unhealthy,
    })
}

/// An instance was terminated. Its targets are taken out without draining, as soon as the load balancer hears of it.
pub fn gone(tx: &mut Tx, instance_id: &str) {
    tx.schedule(NOTICE, Event::Gone(instance_id.to_owned()));
}

pub fn forget(tx: &mut Tx, instance: &str) {
    tx.change_each::<TargetGroup>(
        |group| group.targets.iter().any(|target| target.key.id == instance),
        |group| group.targets.retain(|target| target.key.id != instance),
    );
}

/// Takes a target out of one group at once: nothing has its address any more.
pub fn forget_in(tx: &mut Tx, group: &str, id: &str) {
    if let Some(group) = tx.peek_mut::<TargetGroup>(group) {
        group.targets.retain(|target| target.key.id != id);
    }
}

/// The target groups in use that have a healthy target.
pub fn flappable(tx: &Tx) -> Vec<String> {
    let has_healthy =
        |group: &&TargetGroup| group.targets.iter().any(|target| matches!(target.health, Health::Healthy { .. }));
    tx.all::<TargetGroup>().filter(has_healthy).map(|group| group.arn.clone()).collect()
}

/// The first healthy target of a group fails its checks: it has to pass them anew.
pub fn flap(tx: &mut Tx, arn: &str) {
    let Some(group) = tx.peek_mut::<TargetGroup>(arn) else { return };
    if let Some(target) = group.targets.iter_mut().find(|target| matches!(target.health, Health::Healthy { .. })) {
        target.health = Health::Unhealthy { passed: 0, why: Why::Timeout };
    }
}

pub fn registered(tx: &mut Tx, group: &str, key: &Key) {
    let Some(group) = tx.peek_mut::<TargetGroup>(group) else { return };
    if let Some(target) = group.targets.iter_mut().find(|target| target.key == *key)
        && target.health == Health::Registering
    {
        target.health = Health::Initial { failed: 0 };
    }
}

pub fn drained(tx: &mut Tx, group: &str, key: &Key) {
    let now = tx.now;
    if let Some(group) = tx.peek_mut::<TargetGroup>(group) {
        let over = |target: &Target| matches!(target.health, Health::Draining { until } if until <= now);
        group.targets.retain(|target| target.key != *key || !over(target));
    }
}

/// A group came into use or went out of use, or has a new target: its targets are checked from now on, or no more.
pub fn uses_changed(tx: &mut Tx) {
    let groups: Vec<(String, bool)> = tx
        .all::<TargetGroup>()
        .map(|group| (group.arn.clone(), !route::balancers_of(tx, &group.arn).is_empty()))
        .collect();
    for (arn, used) in groups {
        let Some(group) = tx.peek_mut::<TargetGroup>(&arn) else { continue };
        let mut new = Vec::new();
        for target in &mut group.targets {
            match (used, &target.health) {
                (_, Health::Draining { .. }) => {}
                (false, _) => target.health = Health::Unused,
                (true, Health::Unused) => {
                    target.health = Health::Registering;
                    new.push(target.key.clone());
                }
                (true, _) => {}
            }
        }
        for target in new {
            tx.schedule(REGISTRATION, Event::Registered { group: arn.clone(), target });
        }
    }
}

/// The instance that a target is, or that has its address.
pub fn instance_of(tx: &Tx, group: &TargetGroup, key: &Key) -> Option<String> {
    match group.target_type == "instance" {
        true => Some(key.id.clone()),
        false => interface(tx, group, key).and_then(|interface| interface.instance.clone()),
    }
}

/// What the service behind a target answers now.
pub fn app(tx: &Tx, group: &TargetGroup, key: &Key) -> App {
    let of_instance = match group.target_type == "instance" {
        true => Some(instance::app(tx, &key.id)),
        false => interface(tx, group, key).and_then(|interface| app_behind(tx, interface)),
    };
    let target = group.targets.iter().find(|target| target.key == *key);
    match (of_instance, target.and_then(|target| target.answers)) {
        (Some(App::Absent), _) | (None, None) => App::Absent,
        (_, Some(answers)) => answers,
        (Some(app), None) => app,
    }
}

/// What an instance or a task answers on its network interface; `None` if it is something else's.
fn app_behind(tx: &Tx, interface: &NetworkInterface) -> Option<App> {
    match &interface.instance {
        Some(instance) => Some(instance::app(tx, instance)),
        None => ecs::task::behind(tx, interface).map(|task| task.app),
    }
}

/// Who answers behind a target, and what it was made of.
pub fn made_of(tx: &Tx, group: &TargetGroup, key: &Key) -> Option<(String, String)> {
    if let Some(id) = instance_of(tx, group, key) {
        let image = tx.peek::<Instance>(&id).map(|instance| instance.image.clone());
        return Some((id, image.unwrap_or_default()));
    }
    let task = ecs::task::behind(tx, interface(tx, group, key)?)?;
    let serving = task.containers.iter().find(|container| container.essential);
    Some((task.id.clone(), serving.map(|container| container.image.clone()).unwrap_or_default()))
}

fn interface<'t>(tx: &'t Tx, group: &TargetGroup, key: &Key) -> Option<&'t NetworkInterface> {
    tx.all::<NetworkInterface>().find(|interface| match group.target_type == "instance" {
        true => interface.instance.as_deref() == Some(&key.id),
        false => interface.vpc == group.vpc && interface.private_ip == key.id,
    })
}

/// Targets in a zone that no load balancer of the group is in get no requests.
pub fn is_in_enabled_zone(tx: &Tx, group: &TargetGroup, key: &Key) -> bool {
    let balancers = route::balancers_of(tx, &group.arn);
    let Some(interface) = interface(tx, group, key) else { return true };
    balancers.is_empty()
        || balancers
            .iter()
            .filter_map(|arn| tx.peek::<LoadBalancer>(arn))
            .any(|balancer| balancer.is_in_zone(&interface.zone))
}

fn named(p: &Params) -> Result<Vec<(String, Option<u16>)>, AwsError> {
    let one = |target: &Params| {
        let port = number(target, "Port", 1..=65_535, 0).map(|port| u16::try_from(port).unwrap_or_default());
        let port = if target.has("Port") { Some(port?) } else { None };
        Ok((target.str("Id")?.to_owned(), port))
    };
    p.list("Targets").iter().map(one).collect()
}

fn register_targets(tx: &mut Tx, p: &Params) -> Reply {
    let group = tx.get::<TargetGroup>(p.str("TargetGroupArn")?)?.clone();
    for (id, port) in named(p)? {
        match group.target_type == "instance" {
            true => check_instance(tx, &group, &id)?,
            false => check_address(tx, &group, &id)?,
        }
        register(tx, &group.arn, &id, port)?;
    }
    Ok(json!({}))
}

/// "If the target is an EC2 instance, it must be in the running state when you register it", and in the VPC of the group.
fn check_instance(tx: &Tx, group: &TargetGroup, id: &str) -> Result<(), AwsError> {
    if instance::app(tx, id) == App::Absent {
        let message = format!("The following targets are not in a running state and cannot be registered: '{id}'");
        return Err(AwsError::new("InvalidTarget", message));
    }
    if tx.peek::<Instance>(id).is_some_and(|instance| instance.vpc != group.vpc) {
        let message = format!("The following targets are not in the target group VPC '{}': '{id}'", group.vpc);
        return Err(AwsError::new("InvalidTarget", message));
    }
    Ok(())
}

/// An address of a subnet of the VPC. "If the IP address is outside the VPC", its availability zone is required, which is
/// not modelled; and "you can't specify publicly routable IP addresses" (TargetDescription).
fn check_address(tx: &Tx, group: &TargetGroup, id: &str) -> Result<(), AwsError> {
    let refuse = |why: String| Err(AwsError::new("ValidationError", why));
    let ip = match (id.parse::<IpAddr>(), group.ip_address_type == "ipv6") {
        (Ok(IpAddr::V4(ip)), false) => ip,
        // Which blocks of IPv6 a VPC has is not known here.
        (Ok(IpAddr::V6(_)), true) => return Ok(()),
        (_, ipv6) => {
            let kind = if ipv6 { "IPv6" } else { "IPv4" };
            return refuse(format!("The IP address '{id}' is not a valid {kind} address"));
        }
    };
    if tx.all::<Subnet>().any(|subnet| subnet.vpc == group.vpc && subnet.holds(ip)) {
        return Ok(());
    }
    // RFC 1918 and RFC 6598.
    let is_shared = matches!(ip.octets(), [100, 64..=127, ..]);
    match ip.is_private() || is_shared {
        true => refuse(format!("The Availability Zone is required for IP address '{id}' because it is not in the VPC")),
        false => refuse(format!("The IP address '{id}' is publicly routable and cannot be a target")),
    }
}

fn deregister_targets(tx: &mut Tx, p: &Params) -> Reply {
    let arn = p.str("TargetGroupArn")?;
    // "If you specified a port override when you registered a target, you must specify both the target ID and the port
    // when you deregister it."
    let own = tx.get::<TargetGroup>(arn)?.port;
    for (id, port) in named(p)? {
        deregister(tx, arn, &id, Some(port.unwrap_or(own)));
    }
    Ok(json!({}))
}

fn describe_target_health(tx: &mut Tx, p: &Params) -> Reply {
    let group = tx.get::<TargetGroup>(p.str("TargetGroupArn")?)?;
    let view = |key: &Key, health: Value| {
        let port = if group.check.port == "traffic-port" { key.port.to_string() } else { group.check.port.clone() };
        json!({
            "Target": { "Id": key.id, "Port": key.port },
            "HealthCheckPort": port,
            "TargetHealth": health,
        })
    };
    let asked = named(p)?;
    let mut shown = Vec::new();
    for (id, port) in &asked {
        let port = port.unwrap_or(group.port);
        if !group.targets.iter().any(|target| target.key.id == *id && target.key.port == port) {
            let health = health("unused", "Target.NotRegistered", "Target is not registered to the target group");
            shown.push(view(&Key { id: id.clone(), port }, health));
        }
    }
    let wanted = |key: &Key| {
        asked.is_empty() || asked.iter().any(|(id, port)| *id == key.id && port.unwrap_or(group.port) == key.port)
    };
    let targets = group.targets.iter().filter(|target| wanted(&target.key));
    shown.extend(targets.map(|target| view(&target.key, describe(tx, group, target))));
    Ok(json!({ "TargetHealthDescriptions": shown }))
}

fn health(state: &str, reason: &str, description: &str) -> Value {
    json!({ "State": state, "Reason": reason, "Description": description })
}

/// State, reason and description in the API's words.
fn describe(tx: &Tx, group: &TargetGroup, target: &Target) -> Value {
    if !matches!(target.health, Health::Draining { .. } | Health::Unused) && !is_in_enabled_zone(tx, group, &target.key)
    {
        let why = "Target is in an Availability Zone that is not enabled for the load balancer";
        return health("unused", "Target.NotInUse", why);
    }
    match target.health {
        Health::Unused => {
            let why = "Target group is not configured to receive traffic from the load balancer";
            health("unused", "Target.NotInUse", why)
        }
        Health::Registering => health("initial", "Elb.RegistrationInProgress", "Target registration is in progress"),
        Health::Initial { .. } => health("initial", "Elb.InitialHealthChecking", "Initial health checks in progress"),
        Health::Healthy { .. } => json!({ "State": "healthy" }),
        Health::Unhealthy { why, .. } => match why {
            Why::Timeout => health("unhealthy", "Target.Timeout", "Request timed out"),
            Why::Refused => health("unhealthy", "Target.FailedHealthChecks", "Health checks failed"),
            Why::Mismatch => {
                let why = "Health checks failed with these codes: [503]";
                health("unhealthy", "Target.ResponseCodeMismatch", why)
            }
        },
        Health::Draining { .. } => {
            let why = "Target deregistration is in progress";
            health("draining", "Target.DeregistrationInProgress", why)
        }
    }
}
