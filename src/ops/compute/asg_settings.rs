//! The settings of a group that one call changes: as wanted, as found, compared, sent, and put back.
//!
//! They are plain data by AWS's names, because that is what an undo keeps.

use std::collections::BTreeMap;

use aws_sdk_autoscaling::{
    operation::update_auto_scaling_group::builders::UpdateAutoScalingGroupFluentBuilder as Update,
    types::{self as autoscaling, LaunchTemplateSpecification},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    asg,
    asg_options::{HealthCheckType, LaunchAsg, MixedInstancesPolicy},
};
use crate::{
    event::Field,
    ops::{Duration, Error, arguments, ownership::changed},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone},
};

/// Settings by name.
pub type Settings = BTreeMap<String, Value>;

/// What the options ask for. What they do not say is left as it is, or as AWS makes it.
pub fn wanted(options: &LaunchAsg) -> Settings {
    let template = &options.launch_template;
    let mut subnets = options.subnets.as_slice().to_vec();
    subnets.sort();
    let seconds = |duration: Option<Duration>| duration.map(|it| json!(it.as_secs()));
    let maintenance = options.instance_maintenance_policy;
    let policies = Some(json!(options.termination_policies)).filter(|_| !options.termination_policies.is_empty());
    let all =
        [
            (
                "launch_template",
                Some(json!({
                    "launch_template_id": template.launch_template_id,
                    "version": template.version.to_string(),
                    "mixed": options.mixed_instances_policy.as_ref().map(MixedInstancesPolicy::to_json),
                })),
            ),
            ("subnets", Some(json!(subnets))),
            ("health_check_type", Some(json!(health_check_type(options)))),
            ("health_check_grace_period", seconds(Some(options.health_check_grace_period))),
            ("default_instance_warmup", Some(seconds(options.default_instance_warmup).unwrap_or_default())),
            ("default_cooldown", seconds(options.default_cooldown)),
            ("termination_policies", policies),
            (
                "instance_maintenance_policy",
                Some(maintenance.map_or(Value::Null, |policy| {
                    json!([policy.min_healthy_percentage, policy.max_healthy_percentage])
                })),
            ),
            ("max_instance_lifetime", Some(seconds(options.max_instance_lifetime).unwrap_or_default())),
            ("new_instances_protected_from_scale_in", Some(json!(options.new_instances_protected_from_scale_in))),
            ("capacity_rebalance", Some(json!(options.capacity_rebalance))),
        ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn health_check_type(options: &LaunchAsg) -> &'static str {
    let usual = match options.target_groups.as_slice() {
        [] => HealthCheckType::Ec2,
        _ => HealthCheckType::Elb,
    };
    options.health_check_type.unwrap_or(usual).as_str()
}

/// What a group has.
pub fn found(group: &autoscaling::AutoScalingGroup) -> Settings {
    let template = asg::template(group);
    let maintenance = group
        .instance_maintenance_policy()
        .and_then(|policy| Some(json!([policy.min_healthy_percentage()?, policy.max_healthy_percentage()?])));
    let all = [
        (
            "launch_template",
            json!({
                "launch_template_id": template.and_then(|it| it.launch_template_id()),
                "version": template.and_then(|it| it.version()),
                "mixed": group.mixed_instances_policy().map(mixed_in),
            }),
        ),
        ("subnets", json!(asg::subnets(group))),
        ("health_check_type", json!(group.health_check_type())),
        ("health_check_grace_period", json!(group.health_check_grace_period())),
        ("default_instance_warmup", json!(group.default_instance_warmup())),
        ("default_cooldown", json!(group.default_cooldown())),
        ("termination_policies", json!(group.termination_policies())),
        ("instance_maintenance_policy", maintenance.unwrap_or_default()),
        ("max_instance_lifetime", json!(group.max_instance_lifetime().filter(|seconds| *seconds != 0))),
        (
            "new_instances_protected_from_scale_in",
            json!(group.new_instances_protected_from_scale_in().unwrap_or(false)),
        ),
        ("capacity_rebalance", json!(group.capacity_rebalance().unwrap_or(false))),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A setting as people read it: a launch template is `lt-1 version 3`.
pub fn shown(name: &str, value: &Value) -> Value {
    if name != "launch_template" {
        return value.clone();
    }
    let part = |member: &str| value[member].as_str().unwrap_or("none").to_owned();
    let template = format!("{} version {}", part("launch_template_id"), part("version"));
    match &value["mixed"] {
        Value::Null => template.into(),
        mixed => json!({ "launch_template": template, "mixed_instances_policy": mixed }),
    }
}

/// The wanted settings that are not there.
pub fn missing(wanted: &Settings, found: &Settings) -> Settings {
    let differs = |(name, value): &(&String, &Value)| found.get(*name) != Some(*value);
    wanted.iter().filter(differs).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Sets the settings that differ. Returns what changed.
///
/// # Errors
/// If AWS refuses.
pub async fn converge(ctx: &Ctx, name: &str, wanted: &Settings, found: &Settings) -> Result<Vec<Field>, Error> {
    let ours = missing(wanted, found);
    if ours.is_empty() {
        return Ok(Vec::new());
    }
    let before: Settings = ours.keys().map(|key| (key.clone(), found.get(key).cloned().unwrap_or_default())).collect();
    let fields = ours.iter().map(|(key, value)| changed(key, shown(key, &before[key]), shown(key, value))).collect();
    let change = Change { auto_scaling_group_name: name.to_owned(), before, ours: ours.clone() };
    let undo = Undo::new(&RESTORE_SETTINGS, format!("restore settings of {name}"), json!(change));
    update(ctx, name, &ours, Some(undo)).await?;
    Ok(fields)
}

async fn update(ctx: &Ctx, name: &str, settings: &Settings, undo: Option<Undo>) -> Result<(), Error> {
    let mut declared =
        Mutation::new("autoscaling:UpdateAutoScalingGroup", Class::Idempotent, format!("settings of {name}"));
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    ctx.change(declared, |permit| {
        let request = ctx.aws().autoscaling.update_auto_scaling_group().auto_scaling_group_name(name);
        let request = settings.iter().fold(request, |request, (key, value)| set(request, key, value));
        request.customize().interceptor(permit).send()
    })
    .await
}

fn set(request: Update, name: &str, value: &Value) -> Update {
    let number = || value.as_i64().and_then(|number| i32::try_from(number).ok());
    let text = || value.as_str().map(str::to_owned);
    match name {
        "launch_template" => match mixed(value) {
            Some(policy) => request.mixed_instances_policy(policy),
            None => request.launch_template(specification(value)),
        },
        "subnets" => request.vpc_zone_identifier(strings(value).join(",")),
        "health_check_type" => request.set_health_check_type(text()),
        "health_check_grace_period" => request.set_health_check_grace_period(number()),
        // These three have a number each that takes the value away.
        "default_instance_warmup" => request.default_instance_warmup(number().unwrap_or(-1)),
        "max_instance_lifetime" => request.max_instance_lifetime(number().unwrap_or(0)),
        "instance_maintenance_policy" => request.instance_maintenance_policy(maintenance(value)),
        "default_cooldown" => request.set_default_cooldown(number()),
        "termination_policies" => request.set_termination_policies(Some(strings(value))),
        "new_instances_protected_from_scale_in" => request.set_new_instances_protected_from_scale_in(value.as_bool()),
        "capacity_rebalance" => request.set_capacity_rebalance(value.as_bool()),
        _ => request,
    }
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// An `instance_maintenance_policy` of [`Settings`].
pub fn maintenance(value: &Value) -> autoscaling::InstanceMaintenancePolicy {
    let percent = |index: usize| value.get(index).and_then(Value::as_i64).and_then(|it| i32::try_from(it).ok());
    autoscaling::InstanceMaintenancePolicy::builder()
        .min_healthy_percentage(percent(0).unwrap_or(-1))
        .max_healthy_percentage(percent(1).unwrap_or(-1))
        .build()
}

/// The template of a `launch_template` of [`Settings`].
pub fn specification(value: &Value) -> LaunchTemplateSpecification {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    LaunchTemplateSpecification::builder()
        .set_launch_template_id(text("launch_template_id"))
        .set_version(text("version"))
        .build()
}

/// The mixed instances policy of a `launch_template` of [`Settings`].
pub fn mixed(value: &Value) -> Option<autoscaling::MixedInstancesPolicy> {
    let policy = value.get("mixed").filter(|policy| !policy.is_null())?;
    let text = |name: &str| policy.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| policy.get(name).and_then(Value::as_i64).and_then(|it| i32::try_from(it).ok());
    let types = strings(policy.get("instance_types").unwrap_or(&Value::Null));
    let overrides =
        types.iter().map(|kind| autoscaling::LaunchTemplateOverrides::builder().instance_type(kind).build());
    let distribution = autoscaling::InstancesDistribution::builder()
        .set_on_demand_allocation_strategy(text("on_demand_allocation_strategy"))
        .set_on_demand_base_capacity(number("on_demand_base_capacity"))
        .set_on_demand_percentage_above_base_capacity(number("on_demand_percentage_above_base_capacity"))
        .set_spot_allocation_strategy(text("spot_allocation_strategy"))
        // An empty price takes an earlier one away.
        .set_spot_max_price(text("spot_max_price").or(Some(String::new())))
        .build();
    let template = autoscaling::LaunchTemplate::builder()
        .launch_template_specification(specification(value))
        .set_overrides(Some(overrides.collect()));
    let policy = autoscaling::MixedInstancesPolicy::builder().launch_template(template.build());
    Some(policy.instances_distribution(distribution).build())
}

fn mixed_in(policy: &autoscaling::MixedInstancesPolicy) -> Value {
    let distribution = policy.instances_distribution();
    let overrides = policy.launch_template().map(|template| template.overrides()).unwrap_or_default();
    json!({
        "instance_types": overrides.iter().map(|it| it.instance_type()).collect::<Vec<_>>(),
        "on_demand_base_capacity": distribution.and_then(|it| it.on_demand_base_capacity()),
        "on_demand_percentage_above_base_capacity":
            distribution.and_then(|it| it.on_demand_percentage_above_base_capacity()),
        "on_demand_allocation_strategy": distribution.and_then(|it| it.on_demand_allocation_strategy()),
        "spot_allocation_strategy": distribution.and_then(|it| it.spot_allocation_strategy()),
        "spot_max_price": distribution.and_then(|it| it.spot_max_price()).filter(|price| !price.is_empty()),
    })
}

impl MixedInstancesPolicy {
    fn to_json(&self) -> Value {
        json!({
            "instance_types": self.instance_types,
            "on_demand_base_capacity": self.on_demand_base_capacity,
            "on_demand_percentage_above_base_capacity": self.on_demand_percentage_above_base_capacity,
            "on_demand_allocation_strategy": self.on_demand_allocation_strategy.as_str(),
            "spot_allocation_strategy": self.spot_allocation_strategy.as_str(),
            "spot_max_price": self.spot_max_price,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Change {
    auto_scaling_group_name: String,
    before: Settings,
    ours: Settings,
}

/// Puts changed settings of a group back; those that somebody else has changed since are left alone.
pub const RESTORE_SETTINGS: UndoAction =
    UndoAction { name: "restore_group_settings", run: |ctx, arguments| Box::pin(restore_settings(ctx, arguments)) };

async fn restore_settings(ctx: &Ctx, change: Value) -> Result<Undone, Error> {
    let Change { auto_scaling_group_name: name, before, ours } = arguments(change)?;
    let Some(group) = asg::find(ctx, &name).await?.filter(|group| group.status().is_none()) else {
        return Ok(Undone::Already);
    };
    let found = found(&group);
    let is = |key: &String, value: &Value| found.get(key) == Some(value);
    let (mut back, mut foreign) = (Settings::new(), Vec::new());
    for (key, value) in &before {
        if is(key, value) {
            continue;
        }
        match ours.get(key) {
            Some(ours) if is(key, ours) => drop(back.insert(key.clone(), value.clone())),
            ours => foreign.push(format!("{key}: expected {}, found {}", json!(ours), json!(found.get(key)))),
        }
    }
    if !back.is_empty() {
        update(ctx, &name, &back, None).await?;
    }
    Ok(match (back.is_empty(), foreign.is_empty()) {
        (_, false) => Undone::Foreign(foreign.join("; ")),
        (true, true) => Undone::Already,
        (false, true) => Undone::Done,
    })
}
