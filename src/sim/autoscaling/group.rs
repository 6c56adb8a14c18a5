//! Auto Scaling groups: the row, and its create, update, delete and describe.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::hook::Hook;
use super::member::{Lifecycle, Member, Template};
use super::policy::Policy;
use super::*;
use super::{fleet, settings, tag};
use crate::sim::wire::time;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "CreateAutoScalingGroup",
        params: &[
            settings::SETTINGS,
            "TargetGroupARNs[] TrafficSources[].Identifier TrafficSources[].Type",
            hook::SPECIFICATIONS,
            tag::TAGS,
        ],
        run: create_auto_scaling_group,
    },
    Action { name: "UpdateAutoScalingGroup", params: &[settings::SETTINGS], run: update_auto_scaling_group },
    Action {
        name: "SetDesiredCapacity",
        params: &["AutoScalingGroupName DesiredCapacity HonorCooldown"],
        run: set_desired_capacity,
    },
    Action {
        name: "DeleteAutoScalingGroup",
        params: &["AutoScalingGroupName ForceDelete"],
        run: delete_auto_scaling_group,
    },
    Action {
        name: "DescribeAutoScalingGroups",
        params: &["AutoScalingGroupNames[] IncludeInstances Filters[].Name Filters[].Values[]", PAGES],
        run: describe_auto_scaling_groups,
    },
];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    pub name: String,
    pub arn: String,
    pub created: jiff::Timestamp,
    pub min: i64,
    pub max: i64,
    pub desired: i64,
    pub source: Source,
    pub subnets: Vec<String>,
    pub zones: Vec<String>,
    pub target_groups: Vec<String>,
    /// Target groups it was made with: they are in service from the start. AWS has no call to say so later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<String>,
    /// Target groups that were detached and still drain.
    pub leaving: Vec<String>,
    pub settings: settings::Settings,
    pub hooks: BTreeMap<String, Hook>,
    pub policies: BTreeMap<String, Policy>,
    /// Process, and why it is suspended.
    pub suspended: BTreeMap<String, String>,
    pub metrics: BTreeSet<String>,
    pub tags: Tags,
    /// The keys of the tags that instances get.
    pub propagated: BTreeSet<String>,
    pub members: Vec<Member>,
    pub deleting: bool,
    /// How a forked account protects it from being deleted. It can be read, not set here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection: Option<String>,
    /// What the world remembers of its own work. Nothing shows it (`observe::TRACES`).
    pub work: Work,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Work {
    /// Why the capacity last changed, for the next activities.
    pub cause: String,
    /// Launches that failed in a row: they become less frequent.
    pub failures: u32,
    /// Since when its instances have no load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_since: Option<jiff::Timestamp>,
}

/// What instances are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Source {
    Template(Template),
    /// The policy as requests write it, with its templates resolved.
    Mixed(Params),
    /// The name of a launch configuration. It can be read, and nothing is launched from it here.
    Configuration(String),
}

resource!(Group, name, region.autoscaling.auto_scaling_groups, Extent::Row, |name: &str| {
    invalid(format!("AutoScalingGroup name not found - AutoScalingGroup '{name}' not found"))
});

impl Group {
    /// The inverse of `view`. Of members, what `load` finds out elsewhere is missing.
    pub fn shown(shown: &Params) -> Group {
        let text = |list: &str| shown.strings(list).into_iter().map(str::to_owned).collect::<Vec<_>>();
        let sorted = |mut list: Vec<String>| {
            list.sort();
            list
        };
        let (tags, propagated) = tag::shown(shown);
        let subnets = shown.text("VPCZoneIdentifier");
        Group {
            name: shown.text("AutoScalingGroupName"),
            arn: shown.text("AutoScalingGroupARN"),
            created: shown.time("CreatedTime"),
            min: shown.number("MinSize", 0),
            max: shown.number("MaxSize", 0),
            desired: shown.number("DesiredCapacity", 0),
            source: match (shown.opt_str("LaunchConfigurationName"), shown.has("MixedInstancesPolicy")) {
                (Some(name), _) => Source::Configuration(name.to_owned()),
                (None, true) => Source::Mixed(shown.part("MixedInstancesPolicy").without_nulls()),
                (None, false) => Source::Template(Template::read(&shown.part("LaunchTemplate"))),
            },
            subnets: subnets.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect(),
            zones: sorted(text("AvailabilityZones")),
            target_groups: sorted(text("TargetGroupARNs")),
            given: Vec::new(),
            leaving: Vec::new(),
            settings: settings::Settings::shown(shown),
            hooks: BTreeMap::new(),
            policies: BTreeMap::new(),
            suspended: shown.map("SuspendedProcesses", "ProcessName", "SuspensionReason"),
            metrics: shown.list("EnabledMetrics").iter().map(|metric| metric.text("Metric")).collect(),
            tags,
            propagated,
            members: shown.list("Instances").iter().filter_map(Member::shown).collect(),
            deleting: shown.has("Status"),
            protection: shown.opt_str("DeletionProtection").filter(|kind| *kind != "none").map(str::to_owned),
            work: Work::default(),
        }
    }

    /// The instances that count: those that are not on their way out.
    pub fn serving(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.state.counts())
    }

    pub fn member(&mut self, instance: &str) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.instance == instance)
    }

    /// Whether a process runs.
    pub fn runs(&self, process: &str) -> bool {
        !self.suspended.contains_key(process)
    }

    pub fn view(&self, with_instances: bool) -> Value {
        let member = |member: &Member| {
            json!({
                "InstanceId": member.instance,
                "InstanceType": member.instance_type,
                "AvailabilityZone": member.zone,
                "LifecycleState": member.state,
                "HealthStatus": if member.healthy { "Healthy" } else { "Unhealthy" },
                "LaunchTemplate": member.template.view(),
                "ImageId": member.image,
                "ProtectedFromScaleIn": member.protected,
            })
        };
        let members = self.members.iter().filter(|_| with_instances).map(member);
        let sources = self.target_groups.iter().map(|arn| json!({ "Identifier": arn, "Type": "elbv2" }));
        let mut view = json!({
            "AutoScalingGroupName": self.name,
            "AutoScalingGroupARN": self.arn,
            "MinSize": self.min,
            "MaxSize": self.max,
            "DesiredCapacity": self.desired,
            "AvailabilityZones": self.zones,
            "LoadBalancerNames": [],
            "TargetGroupARNs": self.target_groups,
            "TrafficSources": sources.collect::<Vec<_>>(),
            "Instances": members.collect::<Vec<_>>(),
            "CreatedTime": time(self.created),
            "SuspendedProcesses": process::suspended(self),
            "VPCZoneIdentifier": self.subnets.join(","),
            "EnabledMetrics": process::metrics(self),
            "Status": self.deleting.then_some("Delete in progress"),
            "Tags": tag::view(self),
        });
        let source = match &self.source {
            Source::Template(template) => ("LaunchTemplate", template.view()),
            Source::Mixed(policy) => ("MixedInstancesPolicy", settings::mixed_view(policy)),
            Source::Configuration(name) => ("LaunchConfigurationName", json!(name)),
        };
        if let Value::Object(fields) = &mut view {
            fields.insert(source.0.to_owned(), source.1);
            fields.extend(self.settings.view());
        }
        view
    }
}

/// The group that a changing request names.
pub fn to_change<'t>(tx: &'t mut Tx, p: &Params) -> Result<&'t mut Group, AwsError> {
    let group = tx.get_mut::<Group>(p.str("AutoScalingGroupName")?)?;
    if group.deleting {
        return Err(invalid("The AutoScaling group may not be modified while it is pending delete"));
    }
    Ok(group)
}

fn create_auto_scaling_group(tx: &mut Tx, p: &Params) -> Reply {
    let name = p.str("AutoScalingGroupName")?.to_owned();
    if name.is_empty() || name.len() > 255 || name.contains(':') {
        return Err(invalid(format!("Value '{name}' at 'autoScalingGroupName' failed to satisfy constraint")));
    }
    if tx.peek::<Group>(&name).is_some() {
        let message =
            format!("AutoScalingGroup by this name already exists - A group with the name {name} already exists");
        return Err(AwsError::new("AlreadyExists", message));
    }
    let (min, max) = (p.int("MinSize")?, p.int("MaxSize")?);
    let desired = p.opt_int("DesiredCapacity")?.unwrap_or(min);
    settings::check_sizes(min, max, desired)?;
    let source = settings::source(tx, p)?.ok_or_else(|| {
        invalid(
            "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or \
             MixedInstancesPolicy parameter.",
        )
    })?;
    let places = settings::places(tx, p)?;
    let (subnets, zones) =
        places.ok_or_else(|| invalid("At least one Availability Zone or VPC Subnet is required."))?;
    let mut target_groups: Vec<String> = p.strings("TargetGroupARNs").into_iter().map(str::to_owned).collect();
    target_groups.extend(attach::sources(p)?);
    target_groups.sort();
    target_groups.dedup();
    attach::check(tx, &target_groups)?;
    let (tags, propagated) = tag::read(p, &name)?;
    let id = uuid(tx);
    let arn = tx.arn("autoscaling", &format!("autoScalingGroup:{id}:autoScalingGroupName/{name}"));
    let group = Group {
        created: tx.now,
        min,
        max,
        desired,
        source,
        subnets,
        zones,
        given: target_groups.clone(),
        target_groups,
        leaving: Vec::new(),
        settings: settings::Settings::read(tx, p)?,
        hooks: hook::specified(p)?,
        policies: BTreeMap::new(),
        suspended: BTreeMap::new(),
        metrics: BTreeSet::new(),
        tags,
        propagated,
        members: Vec::new(),
        deleting: false,
        protection: None,
        work: Work::default(),
        name: name.clone(),
        arn,
    };
    tx.put(group);
    fleet::because(
        tx,
        &name,
        &format!("a user request created an AutoScalingGroup changing the desired capacity from 0 to {desired}."),
    );
    fleet::soon(tx, &name, Step::Check, health::EVERY);
    done()
}

fn update_auto_scaling_group(tx: &mut Tx, p: &Params) -> Reply {
    let name = to_change(tx, p)?.name.clone();
    let group = tx.get::<Group>(&name)?;
    let (before, had) = (group.desired, (group.min, group.max));
    let (min, max) = (p.opt_int("MinSize")?.unwrap_or(group.min), p.opt_int("MaxSize")?.unwrap_or(group.max));
    // Bounds alone move the desired capacity along; both given must fit.
    let desired = p.opt_int("DesiredCapacity")?.unwrap_or(before.clamp(min.min(max), max));
    settings::check_sizes(min, max, desired)?;
    let (source, places) = (settings::source(tx, p)?, settings::places(tx, p)?);
    let mut settings = tx.get::<Group>(&name)?.settings.clone();
    settings.update(p)?;
    let group = tx.get_mut::<Group>(&name)?;
    (group.min, group.max, group.desired, group.settings) = (min, max, desired, settings);
    if let Some(source) = source {
        group.source = source;
    }
    if let Some((subnets, zones)) = places {
        (group.subnets, group.zones) = (subnets, zones);
    }
    if desired != before || had != (min, max) {
        let cause = format!(
            "a user request update of AutoScalingGroup constraints to min: {min}, max: {max}, desired: {desired} changing \
             the desired capacity from {before} to {desired}."
        );
        fleet::because(tx, &name, &cause);
    }
    done()
}

fn set_desired_capacity(tx: &mut Tx, p: &Params) -> Reply {
    let desired = p.int("DesiredCapacity")?;
    let group = to_change(tx, p)?;
    let (name, before) = (group.name.clone(), group.desired);
    for (bound, word, wrong) in
        [(group.max, "above max", desired > group.max), (group.min, "below min", desired < group.min)]
    {
        if wrong {
            let message =
                format!("New SetDesiredCapacity value {desired} is {word} value {bound} for the AutoScalingGroup.");
            return Err(invalid(message));
        }
    }
    let cooldown = group.settings.default_cooldown;
    if p.opt_bool("HonorCooldown")? == Some(true)
        && let Some(id) = activity::blocking(tx, &name, cooldown)
    {
        let message = format!("Scaling activity {id} is in progress and blocks this action");
        return Err(AwsError::new("ScalingActivityInProgress", message));
    }
    to_change(tx, p)?.desired = desired;
    let cause = format!(
        "a user request explicitly set group desired capacity changing the desired capacity from {before} to {desired}."
    );
    fleet::because(tx, &name, &cause);
    done()
}

fn delete_auto_scaling_group(tx: &mut Tx, p: &Params) -> Reply {
    let force = p.opt_bool("ForceDelete")?.unwrap_or(false);
    let name = p.str("AutoScalingGroupName")?.to_owned();
    let group = tx.get_mut::<Group>(&name)?;
    if group.deleting {
        return done();
    }
    if let Some(kind) = &group.protection {
        let message = format!("the simulator does not model the deletion protection `{kind}` of {name}");
        return Err(AwsError::unanswered("UnsupportedOperation", message));
    }
    if !force && !group.members.is_empty() {
        let busy = group.members.iter().any(|member| member.state != Lifecycle::InService);
        return Err(if busy {
            let message =
                "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.";
            AwsError::new("ScalingActivityInProgress", message)
        } else {
            let message = "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance \
                           request(s) still in the group.";
            AwsError::new("ResourceInUse", message)
        });
    }
    group.deleting = true;
    (group.min, group.max, group.desired) = (0, 0, 0);
    fleet::empty(tx, &name);
    done()
}

fn describe_auto_scaling_groups(tx: &mut Tx, p: &Params) -> Reply {
    let names = p.strings("AutoScalingGroupNames");
    // Names that are not there are left out, without an error.
    let rows = if names.is_empty() { tx.select::<Group>(&[])? } else { tx.select_some::<Group>(&names) };
    const KNOWN: Filters<Group> = &[("tag-value", |group, _| group.tags.values().cloned().collect())];
    let rows = select::filter(tx, p, KNOWN, Some(|group| &group.tags), rows)?;
    let (rows, next) = select::page(&PAGING, p, rows, |group| &group.name)?;
    let instances = p.opt_bool("IncludeInstances")?.unwrap_or(true);
    let view = |group: &Group| {
        let mut view = tx.shown(group, |group, _| group.view(instances));
        if !instances {
            view["Instances"] = json!([]);
        }
        view
    };
    let groups: Vec<Value> = rows.into_iter().map(view).collect();
    Ok(json!({ "AutoScalingGroups": groups, "NextToken": next }))
}

/// How long a group without instances takes to go.
pub const VANISHES: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(8));
