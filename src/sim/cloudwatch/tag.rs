//! Tags of alarms. Those of dashboards are not modelled.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "TagResource", params: &["ResourceARN Tags[].Key Tags[].Value"], run: tag_resource },
    Action { name: "UntagResource", params: &["ResourceARN TagKeys[]"], run: untag_resource },
    Action { name: "ListTagsForResource", params: &["ResourceARN"], run: list_tags_for_resource },
];

/// "You can associate as many as 50 tags with an alarm."
pub fn check(tags: &Tags) -> Result<(), AwsError> {
    match tags.len() > 50 {
        true => Err(AwsError::new("InvalidParameterValue", "A resource can have 50 tags at most.")),
        false => Ok(()),
    }
}

fn tagged<'t>(tx: &'t mut Tx, p: &Params) -> Result<&'t mut Alarm, AwsError> {
    let arn = p.str("ResourceARN")?;
    let absent = || AwsError::new("ResourceNotFoundException", format!("{arn} does not exist")).status(404);
    if !arn.starts_with("arn:") {
        return Err(AwsError::new("InvalidParameterValue", format!("{arn} is not a valid ARN")));
    }
    let name = arn
        .split_once(":alarm:")
        .map(|(_, name)| name)
        .ok_or_else(|| AwsError::not_modelled("InvalidParameterValue", "tags of", arn, "CloudWatch"))?;
    tx.get_mut::<Alarm>(name).map_err(|error| if error.code == "ResourceNotFound" { absent() } else { error })
}

fn tag_resource(tx: &mut Tx, p: &Params) -> Reply {
    let given = tags::read(&p.list("Tags"))?;
    let alarm = tagged(tx, p)?;
    let mut tags = alarm.tags.clone();
    tags.extend(given);
    check(&tags)?;
    alarm.tags = tags;
    Ok(json!({}))
}

fn untag_resource(tx: &mut Tx, p: &Params) -> Reply {
    let alarm = tagged(tx, p)?;
    for key in p.strings("TagKeys") {
        alarm.tags.remove(key);
    }
    Ok(json!({}))
}

fn list_tags_for_resource(tx: &mut Tx, p: &Params) -> Reply {
    Ok(json!({ "Tags": tags::write(&tagged(tx, p)?.tags, "Key", "Value") }))
}
