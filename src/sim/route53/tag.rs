//! Tags of hosted zones and of health checks.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "ChangeTagsForResource",
        params: &["ResourceType ResourceId AddTags[].Key AddTags[].Value RemoveTagKeys[]"],
        run: change_tags,
    },
    Action { name: "ListTagsForResource", params: &["ResourceType ResourceId"], run: list_tags },
    Action { name: "ListTagsForResources", params: &["ResourceType ResourceIds[]"], run: list_tags_of_several },
];

fn tagged<'t>(tx: &'t mut Tx, p: &Params, id: &str) -> Result<&'t mut Tags, AwsError> {
    match p.str("ResourceType")? {
        "hostedzone" => Ok(&mut tx.get_mut::<Zone>(id)?.tags),
        "healthcheck" => Ok(&mut tx.get_mut::<HealthCheck>(id)?.tags),
        other => Err(AwsError::outside_enum("InvalidInput", "resourceType", other, &["healthcheck", "hostedzone"])),
    }
}

fn change_tags(tx: &mut Tx, p: &Params) -> Reply {
    let (added, removed) = (tags::read(&p.list("AddTags"))?, p.strings("RemoveTagKeys"));
    let tags = tagged(tx, p, p.str("ResourceId")?)?;
    tags.retain(|key, _| !removed.contains(&key.as_str()));
    tags.extend(added);
    // "Each tagged resource can have at most 10 tags" (API reference, Tag).
    if tags.len() > 10 {
        return Err(invalid_input("The number of tags exceeds the maximum of 10 for a resource"));
    }
    Ok(json!({}))
}

fn tag_set(tx: &mut Tx, p: &Params, id: &str) -> Reply {
    let tags = tags::write(tagged(tx, p, id)?, "Key", "Value");
    Ok(json!({ "ResourceType": p.str("ResourceType")?, "ResourceId": id, "Tags": { "Tag": tags } }))
}

fn list_tags(tx: &mut Tx, p: &Params) -> Reply {
    Ok(json!({ "ResourceTagSet": tag_set(tx, p, p.str("ResourceId")?)? }))
}

fn list_tags_of_several(tx: &mut Tx, p: &Params) -> Reply {
    let ids = p.strings("ResourceIds");
    if ids.is_empty() || ids.len() > 10 {
        return Err(invalid_input(format!("1 to 10 resource ids are allowed, found {}", ids.len())));
    }
    let sets = ids.iter().map(|id| tag_set(tx, p, id)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({ "ResourceTagSets": { "ResourceTagSet": sets } }))
}
