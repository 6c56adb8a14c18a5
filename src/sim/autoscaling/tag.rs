//! Tags of groups, and which of them instances get.

use std::collections::BTreeSet;

use super::group::Group;
use super::*;
use crate::sim::tags;

pub const ACTIONS: &[Action] = &[
    Action { name: "CreateOrUpdateTags", params: &[TAGS], run: create_or_update_tags },
    Action { name: "DeleteTags", params: &[TAGS], run: delete_tags },
    Action { name: "DescribeTags", params: &["Filters[].Name Filters[].Values[]", PAGES], run: describe_tags },
];

pub const TAGS: &str = "Tags[].ResourceId Tags[].ResourceType Tags[].Key Tags[].Value Tags[].PropagateAtLaunch";

/// The tags of a request for the group `name`, and the keys of those that instances get.
pub fn read(p: &Params, name: &str) -> Result<(Tags, BTreeSet<String>), AwsError> {
    let list = p.list("Tags");
    if let Some(other) = list.iter().filter_map(|tag| tag.opt_str("ResourceId")).find(|id| *id != name) {
        return Err(invalid(format!("The tag's resource id {other} is not the group's name {name}")));
    }
    list.iter().try_for_each(check_type)?;
    let mut propagated = BTreeSet::new();
    for tag in &list {
        if tag.opt_bool("PropagateAtLaunch")?.unwrap_or(false) {
            propagated.insert(tag.str("Key")?.to_owned());
        }
    }
    Ok((tags::read(&list)?, propagated))
}

/// "The only supported value is auto-scaling-group."
fn check_type(tag: &Params) -> Result<(), AwsError> {
    match tag.opt_str("ResourceType") {
        None | Some("auto-scaling-group") => Ok(()),
        Some(other) => Err(invalid(format!("The resource type {other} of a tag is not auto-scaling-group"))),
    }
}

/// The inverse of `view`.
pub fn shown(shown: &Params) -> (Tags, BTreeSet<String>) {
    let propagated = shown.list("Tags").into_iter().filter(|tag| tag.flag("PropagateAtLaunch"));
    (shown.map("Tags", "Key", "Value"), propagated.map(|tag| tag.text("Key")).collect())
}

pub fn view(group: &Group) -> Value {
    group.tags.iter().map(|(key, value)| one_tag(group, key, value)).collect()
}

fn one_tag(group: &Group, key: &str, value: &str) -> Value {
    json!({
        "ResourceId": group.name,
        "ResourceType": "auto-scaling-group",
        "Key": key,
        "Value": value,
        "PropagateAtLaunch": group.propagated.contains(key),
    })
}

fn group_of<'t>(tx: &'t mut Tx, tag: &Params) -> Result<&'t mut Group, AwsError> {
    let name = tag.str("ResourceId")?;
    tx.get_mut::<Group>(name)
        .map_err(|_| invalid(format!("AutoScalingGroup not found - AutoScaling Group {name} not found")))
}

fn create_or_update_tags(tx: &mut Tx, p: &Params) -> Reply {
    for tag in p.list("Tags") {
        let group = group_of(tx, &tag)?;
        let (tags, propagated) = read(&Params(json!({ "Tags": [tag.0] })), &group.name)?;
        for key in tags.keys() {
            group.propagated.remove(key);
        }
        group.tags.extend(tags);
        group.propagated.extend(propagated);
        if group.tags.len() > 50 {
            return Err(AwsError::new("LimitExceeded", "The maximum number of tags for a group is 50"));
        }
    }
    done()
}

fn delete_tags(tx: &mut Tx, p: &Params) -> Reply {
    for tag in p.list("Tags") {
        check_type(&tag)?;
        let (key, value) = (tag.str("Key")?, tag.opt_str("Value"));
        let group = group_of(tx, &tag)?;
        if group.tags.get(key).is_some_and(|known| value.is_none_or(|value| value == known)) {
            group.tags.remove(key);
            group.propagated.remove(key);
        }
    }
    done()
}

/// One tag of one group.
struct Tag<'t> {
    id: String,
    group: &'t Group,
    key: &'t str,
    value: &'t str,
}

fn describe_tags(tx: &mut Tx, p: &Params) -> Reply {
    let mut tags = Vec::new();
    for group in tx.select::<Group>(&[])? {
        tags.extend(group.tags.iter().map(|(key, value)| Tag {
            id: format!("{}/{key}", group.name),
            group,
            key,
            value,
        }));
    }
    for filter in p.list("Filters") {
        let (name, values) = (filter.str("Name")?, filter.strings("Values"));
        tags.retain(|tag| match name {
            "auto-scaling-group" => values.contains(&tag.group.name.as_str()),
            "key" => values.contains(&tag.key),
            "value" => values.contains(&tag.value),
            _ => values.contains(&if tag.group.propagated.contains(tag.key) { "true" } else { "false" }),
        });
        if !["auto-scaling-group", "key", "value", "propagate-at-launch"].contains(&name) {
            return Err(invalid(format!(
                "Filter type {name} is not correct. Allowed Filter types are: auto-scaling-group key value propagate-at-launch"
            )));
        }
    }
    let (tags, next) = select::page(&PAGING, p, tags, |tag| &tag.id)?;
    let view: Vec<Value> = tags.into_iter().map(|tag| one_tag(tag.group, tag.key, tag.value)).collect();
    Ok(json!({ "Tags": view, "NextToken": next }))
}
