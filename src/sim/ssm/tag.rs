//! Tags of parameters.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "AddTagsToResource",
        params: &["ResourceType ResourceId Tags[].Key Tags[].Value"],
        run: add_tags_to_resource,
    },
    Action {
        name: "RemoveTagsFromResource",
        params: &["ResourceType ResourceId TagKeys[]"],
        run: remove_tags_from_resource,
    },
    Action { name: "ListTagsForResource", params: &["ResourceType ResourceId"], run: list_tags_for_resource },
];

/// "Each resource can have a maximum of 50 tags" (TooManyTagsError).
pub fn check_count(tags: &Tags) -> Result<(), AwsError> {
    if tags.len() > 50 {
        return Err(AwsError::new("TooManyTagsError", "A resource can have at most 50 tags."));
    }
    Ok(())
}

fn absent() -> AwsError {
    let message = "The resource ID isn't valid. Verify that you entered the correct ID and try again.";
    AwsError::new("InvalidResourceId", message)
}

/// The name of the parameter that a call is about.
fn parameter_of(tx: &Tx, p: &Params) -> Result<String, AwsError> {
    let kind = p.str("ResourceType")?;
    if kind != "Parameter" {
        return Err(AwsError::not_modelled(
            "InvalidResourceType",
            "resource type",
            kind,
            &format!("ssm:{}", tx.action),
        ));
    }
    let name = p.str("ResourceId")?;
    match tx.get::<Parameter>(name) {
        Ok(_) => Ok(name.to_owned()),
        Err(_) => Err(absent()),
    }
}

fn row<'t>(tx: &'t mut Tx, name: &str) -> Result<&'t mut Parameter, AwsError> {
    tx.peek_mut::<Parameter>(name).ok_or_else(absent)
}

fn add_tags_to_resource(tx: &mut Tx, p: &Params) -> Reply {
    let name = parameter_of(tx, p)?;
    let new = tags::read(&p.list("Tags"))?;
    let row = row(tx, &name)?;
    row.tags.extend(new);
    check_count(&row.tags)?;
    Ok(json!({}))
}

fn remove_tags_from_resource(tx: &mut Tx, p: &Params) -> Reply {
    let name = parameter_of(tx, p)?;
    let keys = p.strings("TagKeys");
    row(tx, &name)?.tags.retain(|key, _| !keys.contains(&key.as_str()));
    Ok(json!({}))
}

fn list_tags_for_resource(tx: &mut Tx, p: &Params) -> Reply {
    let name = parameter_of(tx, p)?;
    Ok(json!({ "TagList": tags::write(&tx.get::<Parameter>(&name)?.tags, "Key", "Value") }))
}
