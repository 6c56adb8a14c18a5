//! `launch_asg`: a fleet, made or brought to what is wanted.

use std::collections::BTreeSet;

use aws_sdk_autoscaling::types as autoscaling;
use serde_json::{Value, json};

use super::{
    AutoScalingGroup,
    asg::{self, GroupTags},
    asg_hooks, asg_metrics,
    asg_options::LaunchAsg,
    asg_policies,
    asg_settings::{self, Settings},
    asg_targets,
    drain::{DELETE_GROUP, Made},
    scale_asg::differences,
    sizes::{self, PINNED_TAG, RETIRED_TAG, Sizes},
};
use crate::{
    event::{Change, Event, Field},
    ops::{
        Error, Operation, Together, arguments,
        outcome::report,
        ownership::{Owned, STACK_TAG, set},
        tagged,
    },
    run::{Class, Ctx, LookUp, Mutation, Seen, Undo, Wait},
};

impl Operation for LaunchAsg {
    const NAME: &'static str = "launch_asg";
    const AREA: &'static str = "Auto Scaling";
    const EXAMPLE: &'static str = r#"launch_asg(#{
    name: "web-blue", launch_template: #{ launch_template_id: "lt-0abc", version: 3 },
    subnets: ["subnet-0abc"], min_size: 2, max_size: 6,
})"#;

    type Options = Self;
    type Handle = AutoScalingGroup;

    fn subject(options: &Self) -> String {
        options.name.clone()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<AutoScalingGroup, Error> {
        options.check()?;
        let owned = Owned::new(ctx, &options.name, &options.tags)?;
        let name = asg::name_of(&owned);
        let (seen, live) = match &options.capacity_from {
            None => (asg::seen(ctx, &name).await?, None),
            Some(from) => {
                let [own, live] = asg::find_each(ctx, [&name, from.as_str()]).await?;
                let live = match live {
                    Some(live) => live,
                    None => asg::existing(ctx, from.as_str()).await?,
                };
                (own, Some(serving(ctx, &live)))
            }
        };
        let sizes = first_sizes(ctx, &options, live)?;
        // What is changed by what it shows is read again.
        let found = match seen {
            Some(group) if !is_as_wanted(&options, &owned, &group, sizes) => asg::settled(ctx, &name).await?,
            seen => seen,
        };
        let group = match found {
            Some(group) => group,
            None => match create(ctx, &options, &owned, &name, sizes).await {
                // The list did not show it yet, or it was deleted a moment ago and still has the name.
                Err(error) if error.is(&["AlreadyExists"]) => late(ctx, &name).await?,
                created => {
                    created?;
                    return asg::handle(&asg::existing(ctx, &name).await?);
                }
            },
        };
        let unchanged = converge(ctx, &options, &owned, &name, &group, sizes).await?;
        asg::handle(&if unchanged { group } else { asg::existing(ctx, &name).await? })
    }
}

/// The sizes of the group that serves now. One that is pinned counts with the bounds it had before.
fn serving(ctx: &Ctx, group: &autoscaling::AutoScalingGroup) -> Sizes {
    let found = Sizes::of(group);
    let pinned = asg::tags(group).get(PINNED_TAG).and_then(|tag| Sizes::from_tag(tag));
    let sizes = pinned.map_or(found, |before| Sizes { min: before.min, ..found });
    ctx.capture("capacity_from", &sizes);
    sizes
}

/// The sizes of a new group.
fn first_sizes(ctx: &Ctx, options: &LaunchAsg, live: Option<Sizes>) -> Result<Sizes, Error> {
    let missing = |path: &str| Error::option(path, "missing: needed without `capacity_from`");
    let max = options.max_size.or(live.map(|live| live.max)).ok_or_else(|| missing("max_size"))?;
    let min = options.min_size.or(live.map(|live| live.min.min(max))).ok_or_else(|| missing("min_size"))?;
    if max < min {
        return Err(Error::option("max_size", format!("expected {min} or more, found {max}")));
    }
    let asked = options.desired_capacity.unwrap_or(min);
    let needed = live.map_or(asked, |live| asked.max(live.desired));
    if needed > max {
        let message = format!("{} serves with {needed} instances, and max_size is {max}", options.name);
        ctx.emit(Event::Warning { message });
    }
    Ok(Sizes { min, max, desired: needed.clamp(min, max) })
}

async fn late(ctx: &Ctx, name: &str) -> Result<autoscaling::AutoScalingGroup, Error> {
    let every = std::time::Duration::from_secs(2);
    let wait = Wait { what: format!("Auto Scaling group {name} to be listed"), timeout: every * 60, every };
    ctx.wait(wait, async || {
        Ok(asg::settled(ctx, name).await?.map_or(Seen::Pending("not listed yet".to_owned()), Seen::Ready))
    })
    .await
}

async fn create(ctx: &Ctx, options: &LaunchAsg, owned: &Owned, name: &str, sizes: Sizes) -> Result<(), Error> {
    let settings = asg_settings::wanted(options);
    let undo = Undo::new(&DELETE_GROUP, format!("delete Auto Scaling group {name}"), json!({})).rests();
    let looked_up = json!({ "auto_scaling_group_name": name, "stack": owned.stack });
    let subject = format!("Auto Scaling group {name}");
    let declared = Mutation::new("autoscaling:CreateAutoScalingGroup", Class::Unique, subject)
        .look_up(&GROUP_BY_NAME, looked_up)
        .undo(undo.keep(options.keep_on_rollback));
    let made: Made = ctx
        .mutate(
            declared,
            |permit| request(ctx, options, owned, name, sizes, &settings).customize().interceptor(permit).send(),
            |_| Ok(Made { auto_scaling_group_name: name.to_owned(), stack: owned.stack.clone() }),
        )
        .await?;
    // Metrics go with the group and need no undo.
    futures::join!(
        asg_policies::create(ctx, &made.auto_scaling_group_name, &options.target_tracking, options.keep_on_rollback),
        asg_metrics::create(ctx, name, options.enable_metrics_collection),
    )
    .together()?;
    let mut fields = vec![set("auto_scaling_group_name", name)];
    let settings = settings.iter().filter(|(_, value)| !value.is_null());
    fields.extend(settings.map(|(key, value)| set(key, asg_settings::shown(key, value))));
    for (key, size) in [("min_size", sizes.min), ("max_size", sizes.max), ("desired_capacity", sizes.desired)] {
        fields.push(set(key, size));
    }
    ctx.did(Change::Created, fields);
    Ok(())
}

fn request(
    ctx: &Ctx,
    options: &LaunchAsg,
    owned: &Owned,
    name: &str,
    sizes: Sizes,
    settings: &Settings,
) -> aws_sdk_autoscaling::operation::create_auto_scaling_group::builders::CreateAutoScalingGroupFluentBuilder {
    let some = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
    let template = &settings["launch_template"];
    let mut request = ctx
        .aws()
        .autoscaling
        .create_auto_scaling_group()
        .auto_scaling_group_name(name)
        .min_size(sizes.min)
        .max_size(sizes.max)
        .desired_capacity(sizes.desired)
        .vpc_zone_identifier(options.subnets.as_slice().join(","))
        .set_target_group_arns(some(options.target_groups.as_slice().to_vec()))
        .set_health_check_type(settings["health_check_type"].as_str().map(str::to_owned))
        .health_check_grace_period(options.health_check_grace_period.as_secs())
        .set_default_instance_warmup(options.default_instance_warmup.map(|it| it.as_secs()))
        .set_default_cooldown(options.default_cooldown.map(|it| it.as_secs()))
        .set_termination_policies(some(options.termination_policies.clone()))
        .set_max_instance_lifetime(options.max_instance_lifetime.map(|it| it.as_secs()))
        .set_new_instances_protected_from_scale_in(options.new_instances_protected_from_scale_in.then_some(true))
        .set_capacity_rebalance(options.capacity_rebalance.then_some(true))
        .set_lifecycle_hook_specification_list(
            Some(asg_hooks::specifications(&options.lifecycle_hooks)).filter(|hooks| !hooks.is_empty()),
        )
        .set_tags(Some(asg::to_tags(name, &owned.tags())));
    request = match asg_settings::mixed(template) {
        Some(policy) => request.mixed_instances_policy(policy),
        None => request.launch_template(asg_settings::specification(template)),
    };
    if options.instance_maintenance_policy.is_some() {
        request =
            request.instance_maintenance_policy(asg_settings::maintenance(&settings["instance_maintenance_policy"]));
    }
    request
}

/// Whether nothing that a group shows is to be changed. Its hooks and scaling policies it does not show.
fn is_as_wanted(options: &LaunchAsg, owned: &Owned, group: &autoscaling::AutoScalingGroup, asked: Sizes) -> bool {
    let target_groups = |arns: &[String]| arns.iter().cloned().collect::<BTreeSet<_>>();
    group.status().is_none()
        && owned.missing(&asg::tags(group)).is_empty()
        && target_groups(group.target_group_arns()) == target_groups(options.target_groups.as_slice())
        && asg_settings::missing(&asg_settings::wanted(options), &asg_settings::found(group)).is_empty()
        && wanted_sizes(group, asked) == Sizes::of(group)
        && group.enabled_metrics().is_empty() != options.enable_metrics_collection
}

/// Returns whether there was nothing to change.
async fn converge(
    ctx: &Ctx,
    options: &LaunchAsg,
    owned: &Owned,
    name: &str,
    group: &autoscaling::AutoScalingGroup,
    asked: Sizes,
) -> Result<bool, Error> {
    let tags = asg::tags(group);
    owned.check(&format!("Auto Scaling group {name}"), &tags, options.adopt)?;
    // First, because it can be refused.
    let targets = asg_targets::converge(ctx, name, group, options.target_groups.as_slice()).await?;
    let mut fields: Vec<Field> = tagged::converge::<GroupTags>(ctx, name, owned, &tags).await?;
    // Settings and sizes are one resource to AWS, which refuses to change it twice at the same time.
    fields
        .extend(asg_settings::converge(ctx, name, &asg_settings::wanted(options), &asg_settings::found(group)).await?);
    fields.extend(converge_sizes(ctx, name, group, asked).await?);
    let (hooks, policies, metrics) = futures::join!(
        asg_hooks::converge(ctx, name, &options.lifecycle_hooks),
        asg_policies::converge(ctx, name, &options.target_tracking),
        asg_metrics::converge(ctx, name, group, options.enable_metrics_collection),
    )
    .together()?;
    fields.extend(targets.into_iter().chain(hooks).chain(policies).chain(metrics));
    let unchanged = fields.is_empty();
    report(ctx, fields);
    Ok(unchanged)
}

/// Bounds as asked for; the desired capacity is raised to what is asked for, and lowered only as the maximum demands. The
/// minimum of a pinned group is left.
fn wanted_sizes(group: &autoscaling::AutoScalingGroup, asked: Sizes) -> Sizes {
    let found = Sizes::of(group);
    let pinned = asg::tags(group).contains_key(PINNED_TAG);
    let min = if pinned { found.min.min(asked.max) } else { asked.min };
    Sizes { min, max: asked.max, desired: found.desired.max(asked.desired).clamp(min, asked.max) }
}

async fn converge_sizes(
    ctx: &Ctx,
    name: &str,
    group: &autoscaling::AutoScalingGroup,
    asked: Sizes,
) -> Result<Vec<Field>, Error> {
    let found = Sizes::of(group);
    let wanted = wanted_sizes(group, asked);
    if asg::tags(group).contains_key(PINNED_TAG) && found.min != asked.min {
        let message = format!(
            "{name} is pinned at {}: its min_size is left; `scale_asg` with `unpin: true` lets it go",
            found.min
        );
        ctx.emit(Event::Warning { message });
    }
    if wanted == found {
        return Ok(Vec::new());
    }
    sizes::set(ctx, name, wanted, Some(found.undo(name, wanted))).await?;
    if let Some(tag) = asg::tags(group).get(RETIRED_TAG).filter(|_| wanted.desired > 0) {
        // It is back.
        asg::remove_tag(ctx, name, RETIRED_TAG, tag, false).await?;
    }
    Ok(differences(found, wanted))
}

/// Finds a group by the name it was created with.
pub const GROUP_BY_NAME: LookUp =
    LookUp { name: "group_by_name", run: |ctx, arguments| Box::pin(group_by_name(ctx, arguments)) };

async fn group_by_name(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let wanted: Made = arguments(wanted)?;
    let group = asg::find(ctx, &wanted.auto_scaling_group_name).await?;
    let ours = group.is_some_and(|group| asg::tags(&group).get(STACK_TAG) == Some(&wanted.stack));
    Ok(ours.then(|| json!(wanted)))
}
