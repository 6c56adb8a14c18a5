//! Auto Scaling groups as the operations on them see them: found, waited for, deleted; their tags.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_autoscaling::types::{self as autoscaling, LifecycleState, Tag};

use serde_json::json;

use super::AutoScalingGroup;
use crate::{
    ops::{
        Error, Tags,
        ownership::{Owned, STACK_TAG, check_stack},
        require,
        tagged::{Tagged, restore},
    },
    run::{Class, Ctx, Mutation, Reading, Seen, Undo, UndoAction, Wait},
};

pub const DESCRIBE: &str = "autoscaling:DescribeAutoScalingGroups";
/// Auto Scaling's limit of a group's name.
pub const NAME_LIMIT: usize = 255;
/// How many a describe can name, and shows in one page (DescribeAutoScalingGroups).
const NAMES_PER_CALL: usize = 50;
/// Of a list that may not show yet what was just made.
const LISTED: Duration = Duration::from_secs(20);

/// The group of that name.
///
/// # Errors
/// If the call fails; a group that is not there is none.
pub async fn find(ctx: &Ctx, name: &str) -> Result<Option<autoscaling::AutoScalingGroup>, Error> {
    let read = |names: Vec<String>| async move {
        let groups = named(ctx, names).await?.into_iter();
        Ok(groups.map(|group| (group.auto_scaling_group_name().unwrap_or_default().to_owned(), group)).collect())
    };
    ctx.look(SEEN, name, NAMES_PER_CALL, read).await
}

async fn named(ctx: &Ctx, names: Vec<String>) -> Result<Vec<autoscaling::AutoScalingGroup>, Error> {
    let reply = ctx
        .read(DESCRIBE, || {
            let request = ctx.aws().autoscaling.describe_auto_scaling_groups();
            request.set_auto_scaling_group_names(Some(names.clone())).send()
        })
        .await?;
    Ok(reply.auto_scaling_groups.unwrap_or_default())
}

/// All groups of the account and region, whoever owns them.
///
/// # Errors
/// If they cannot be read.
pub async fn all(ctx: &Ctx) -> Result<Vec<autoscaling::AutoScalingGroup>, Error> {
    ctx.read(DESCRIBE, || {
        let request = ctx.aws().autoscaling.describe_auto_scaling_groups();
        request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
    })
    .await
}

/// A group that launches its instances from this launch template, or from this version of it, and is not on its way out. EC2
/// deletes what is in use without a word, and the group then launches nothing any more.
///
/// # Errors
/// If the groups cannot be read.
pub async fn launched_from(ctx: &Ctx, template: &str, version: Option<i64>) -> Result<Option<String>, Error> {
    let groups = all(ctx).await?;
    let version = version.map(|version| version.to_string());
    let is_of = |of: &autoscaling::LaunchTemplateSpecification| {
        of.launch_template_id() == Some(template)
            && version.as_deref().is_none_or(|version| of.version() == Some(version))
    };
    let uses = |group: &&autoscaling::AutoScalingGroup| {
        let mixed = group.mixed_instances_policy().and_then(|policy| policy.launch_template());
        let mixed = mixed.and_then(|template| template.launch_template_specification());
        // "Delete in progress".
        group.status().is_none() && group.launch_template().or(mixed).is_some_and(is_of)
    };
    Ok(groups.iter().find(uses).and_then(|group| group.auto_scaling_group_name()).map(str::to_owned))
}

/// The groups of these names, read together.
///
/// # Errors
/// As [`find`].
pub async fn find_each<const N: usize>(
    ctx: &Ctx,
    names: [&str; N],
) -> Result<[Option<autoscaling::AutoScalingGroup>; N], Error> {
    let groups = named(ctx, names.map(str::to_owned).to_vec()).await?;
    Ok(names.map(|name| groups.iter().find(|group| group.auto_scaling_group_name() == Some(name)).cloned()))
}

/// What a group shows can be changed by any action, and by Auto Scaling itself: who changes one by what it shows reads it
/// again.
const SEEN: Reading = Reading::new(DESCRIBE, &[""]).moving();

/// The groups of the stack, as they were a moment ago.
///
/// # Errors
/// If the call fails.
pub async fn of_stack(ctx: &Ctx) -> Result<Vec<autoscaling::AutoScalingGroup>, Error> {
    let stack = ctx.stack()?;
    let ours = autoscaling::Filter::builder().name(format!("tag:{STACK_TAG}")).values(&stack).build();
    let read = async || {
        ctx.read(DESCRIBE, || {
            let pages = ctx.aws().autoscaling.describe_auto_scaling_groups().filters(ours.clone()).into_paginator();
            pages.items().send().collect::<Result<Vec<_>, _>>()
        })
        .await
    };
    ctx.shared(SEEN, &stack, read).await
}

/// The group of that name as it was a moment ago. One that has the stack's name and not its tag may not be seen: to make
/// another one is refused by AWS.
///
/// # Errors
/// If the call fails; a group that is not there is none.
pub async fn seen(ctx: &Ctx, name: &str) -> Result<Option<autoscaling::AutoScalingGroup>, Error> {
    let stack = ctx.stack().unwrap_or_default();
    let ours = ctx.known::<Vec<autoscaling::AutoScalingGroup>>(SEEN, &stack).await;
    let is_known = ours.is_some() && name.starts_with(&format!("{stack}-"));
    let found = ours.unwrap_or_default().into_iter().find(|group| group.auto_scaling_group_name() == Some(name));
    if found.is_some() || is_known {
        return Ok(found);
    }
    ctx.shared(SEEN, name, async || find(ctx, name).await).await
}

/// The group of that name, which may be shown only after a moment if it is new.
///
/// # Errors
/// [`Error::NotFound`] if it is not there.
pub async fn existing(ctx: &Ctx, name: &str) -> Result<autoscaling::AutoScalingGroup, Error> {
    if let Some(found) = find(ctx, name).await? {
        return Ok(found);
    }
    let what = format!("Auto Scaling group {name}");
    let wait = Wait { what: format!("{what} to be listed"), timeout: LISTED, every: Duration::from_secs(2) };
    let found = ctx
        .wait(wait, async || Ok(find(ctx, name).await?.map_or(Seen::Pending("not listed".to_owned()), Seen::Ready)))
        .await;
    match found {
        Err(Error::TimedOut { .. }) => Err(Error::NotFound { what, hint: None }),
        found => found,
    }
}

/// The group of that name once it is not being deleted, or none.
///
/// # Errors
/// If its deletion does not end.
pub async fn settled(ctx: &Ctx, name: &str) -> Result<Option<autoscaling::AutoScalingGroup>, Error> {
    let found = find(ctx, name).await?;
    if found.as_ref().is_none_or(|group| group.status().is_none()) {
        return Ok(found);
    }
    let (timeout, every) = (Duration::from_secs(20 * 60), Duration::from_secs(5));
    ctx.wait(Wait { what: format!("the deletion of Auto Scaling group {name}"), timeout, every }, async || {
        Ok(match find(ctx, name).await? {
            Some(group) if group.status().is_some() => {
                Seen::Pending(format!("{}, {} instances", group.status().unwrap_or_default(), group.instances().len()))
            }
            found => Seen::Ready(found),
        })
    })
    .await
}

/// Waits until the group is gone.
///
/// # Errors
/// If it is still there after 20 minutes.
pub async fn gone(ctx: &Ctx, name: &str) -> Result<(), Error> {
    let (timeout, every) = (Duration::from_secs(20 * 60), Duration::from_secs(5));
    ctx.wait(Wait { what: format!("Auto Scaling group {name} to be gone"), timeout, every }, async || {
        Ok(match find(ctx, name).await? {
            Some(group) => Seen::Pending(group.status().unwrap_or("still listed").to_owned()),
            None => Seen::Ready(()),
        })
    })
    .await
}

/// The group's tags.
pub fn tags(group: &autoscaling::AutoScalingGroup) -> BTreeMap<String, String> {
    let one =
        |tag: &autoscaling::TagDescription| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    group.tags().iter().filter_map(one).collect()
}

/// Refuses a group that the running stack does not own.
///
/// # Errors
/// [`Error::NotOwned`], or if no stack is named.
pub fn check_owner(ctx: &Ctx, group: &autoscaling::AutoScalingGroup) -> Result<(), Error> {
    let resource = format!("Auto Scaling group {}", group.auto_scaling_group_name().unwrap_or_default());
    check_stack(ctx, &resource, &tags(group))
}

/// The instances that serve: in service, and healthy as far as the group knows.
pub fn in_service(group: &autoscaling::AutoScalingGroup) -> Vec<&str> {
    let serves = |instance: &&autoscaling::Instance| {
        instance.lifecycle_state() == Some(&LifecycleState::InService) && instance.health_status() == Some("Healthy")
    };
    group.instances().iter().filter(serves).filter_map(|instance| instance.instance_id()).collect()
}

/// The template the group launches from, also that of a mixed instances policy.
pub fn template(group: &autoscaling::AutoScalingGroup) -> Option<&autoscaling::LaunchTemplateSpecification> {
    let mixed = || group.mixed_instances_policy()?.launch_template()?.launch_template_specification();
    group.launch_template().or_else(mixed)
}

/// The group as a runbook gets it.
///
/// # Errors
/// If the reply lacks what every group has.
pub fn handle(group: &autoscaling::AutoScalingGroup) -> Result<AutoScalingGroup, Error> {
    let name: String = require(DESCRIBE, "autoScalingGroupName", group.auto_scaling_group_name())?;
    let template = template(group);
    let list = |list: &[String]| list.to_vec();
    Ok(AutoScalingGroup {
        exists: true,
        name: name.clone(),
        auto_scaling_group_name: name,
        auto_scaling_group_arn: require(DESCRIBE, "autoScalingGroupARN", group.auto_scaling_group_arn())?,
        min_size: group.min_size().unwrap_or_default(),
        max_size: group.max_size().unwrap_or_default(),
        desired_capacity: group.desired_capacity().unwrap_or_default(),
        launch_template_id: template.and_then(|it| it.launch_template_id()).unwrap_or_default().to_owned(),
        launch_template_version: template.and_then(|it| it.version()).and_then(|version| version.parse().ok()),
        target_group_arns: list(group.target_group_arns()),
        subnet_ids: subnets(group),
        instance_ids: group.instances().iter().filter_map(|it| it.instance_id().map(str::to_owned)).collect(),
        in_service: in_service(group).len(),
        tags: Tags(tags(group)),
    })
}

/// The subnets of a group, in the order of their ids.
pub fn subnets(group: &autoscaling::AutoScalingGroup) -> Vec<String> {
    let list = group.vpc_zone_identifier().unwrap_or_default();
    let mut subnets: Vec<String> =
        list.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect();
    subnets.sort();
    subnets
}

/// Tags of a new group in the form its creating call takes. Instances get them too.
pub fn to_tags(name: &str, tags: &BTreeMap<String, String>) -> Vec<Tag> {
    let one = |(key, value): (&String, &String)| {
        let tag = Tag::builder().resource_type("auto-scaling-group").resource_id(name).key(key).value(value);
        tag.propagate_at_launch(!BOOKKEEPING.contains(&key.as_str())).build()
    };
    tags.iter().map(one).collect()
}

/// Tags about the group that are none of its instances' business.
const BOOKKEEPING: [&str; 2] = [super::sizes::PINNED_TAG, super::sizes::RETIRED_TAG];

/// Auto Scaling groups, seen by their tags.
pub struct GroupTags;

/// Puts changed tags of a group back.
pub const RESTORE_GROUP_TAGS: UndoAction =
    UndoAction { name: "restore_group_tags", run: |ctx, arguments| Box::pin(restore::<GroupTags>(ctx, arguments)) };

impl Tagged for GroupTags {
    const RESTORE: &'static UndoAction = &RESTORE_GROUP_TAGS;
    const GONE: &'static [&'static str] = &[];

    async fn read(ctx: &Ctx, name: &str) -> Result<BTreeMap<String, String>, Error> {
        Ok(find(ctx, name).await?.map(|group| tags(&group)).unwrap_or_default())
    }

    async fn set(ctx: &Ctx, name: &str, wanted: &BTreeMap<String, String>, undo: Option<Undo>) -> Result<(), Error> {
        let tags = to_tags(name, wanted);
        let mut declared = Mutation::new("autoscaling:CreateOrUpdateTags", Class::Idempotent, name);
        if let Some(undo) = undo {
            declared = declared.undo(undo);
        }
        ctx.change(declared, |permit| {
            let request = ctx.aws().autoscaling.create_or_update_tags().set_tags(Some(tags.clone()));
            request.customize().interceptor(permit).send()
        })
        .await
    }

    async fn remove(ctx: &Ctx, name: &str, keys: &[String]) -> Result<(), Error> {
        remove_tags(ctx, name, keys, None).await
    }
}

/// Removes a tag that has this value, with the undo that sets it again; `keep`: which is not to be run.
///
/// # Errors
/// If AWS refuses.
pub async fn remove_tag(ctx: &Ctx, name: &str, key: &str, value: &str, keep: bool) -> Result<(), Error> {
    let change = json!({ "id": name, "before": { key: value }, "ours": {} });
    let undo = Undo::new(&RESTORE_GROUP_TAGS, format!("restore tags of {name}"), change).keep(keep);
    remove_tags(ctx, name, &[key.to_owned()], Some(undo)).await
}

async fn remove_tags(ctx: &Ctx, name: &str, keys: &[String], undo: Option<Undo>) -> Result<(), Error> {
    let tag = |key: &String| Tag::builder().resource_type("auto-scaling-group").resource_id(name).key(key).build();
    let tags: Vec<Tag> = keys.iter().map(tag).collect();
    let mut declared = Mutation::new("autoscaling:DeleteTags", Class::Idempotent, name);
    if let Some(undo) = undo {
        declared = declared.undo(undo);
    }
    ctx.change(declared, |permit| {
        let request = ctx.aws().autoscaling.delete_tags().set_tags(Some(tags.clone()));
        request.customize().interceptor(permit).send()
    })
    .await
}

/// The name AWS sees of a group the stack calls `name`.
pub fn name_of(owned: &Owned) -> String {
    owned.name_within(NAME_LIMIT)
}
