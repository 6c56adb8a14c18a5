//! Tags of load balancers, target groups, listeners and rules, by ARN.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action { name: "AddTags", params: &["ResourceArns[]", TAGS], run: add_tags },
    Action { name: "RemoveTags", params: &["ResourceArns[] TagKeys[]"], run: remove_tags },
    Action { name: "DescribeTags", params: &["ResourceArns[]"], run: describe_tags },
];

/// The tags a creating request gives.
pub fn given(p: &Params) -> Result<Tags, AwsError> {
    let list = p.list("Tags");
    let tags = tags::read(&list)?;
    if tags.len() < list.len() {
        return Err(AwsError::new("DuplicateTagKeys", "A tag key was specified more than once"));
    }
    check_count(&tags)?;
    Ok(tags)
}

fn check_count(tags: &Tags) -> Result<(), AwsError> {
    if tags.len() > 50 {
        return Err(AwsError::new("TooManyTags", "The maximum number of tags on a resource is '50'"));
    }
    Ok(())
}

fn find<'t>(tx: &'t mut Tx, arn: &str) -> Result<&'t mut Tags, AwsError> {
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    match resource.split('/').next().unwrap_or_default() {
        "loadbalancer" => tx.get_mut::<LoadBalancer>(arn).map(|row| &mut row.tags),
        "targetgroup" => tx.get_mut::<TargetGroup>(arn).map(|row| &mut row.tags),
        "listener" => tx.get_mut::<Listener>(arn).map(|row| &mut row.tags),
        "listener-rule" => tx.get_mut::<Rule>(arn).map(|row| &mut row.tags),
        _ => Err(AwsError::new(
            "ValidationError",
            format!("'{arn}' is not a valid load balancer, target group, listener or rule ARN"),
        )),
    }
}

fn add_tags(tx: &mut Tx, p: &Params) -> Reply {
    let tags = given(p)?;
    for arn in p.strings("ResourceArns") {
        let of = find(tx, arn)?;
        of.extend(tags.clone());
        check_count(of)?;
    }
    Ok(json!({}))
}

fn remove_tags(tx: &mut Tx, p: &Params) -> Reply {
    let keys = p.strings("TagKeys");
    for arn in p.strings("ResourceArns") {
        find(tx, arn)?.retain(|key, _| !keys.contains(&&**key));
    }
    Ok(json!({}))
}

/// "You can specify up to 20 resources in a single request."
fn describe_tags(tx: &mut Tx, p: &Params) -> Reply {
    let arns = p.strings("ResourceArns");
    if arns.is_empty() || arns.len() > 20 {
        return Err(AwsError::new("ValidationError", "Between 1 and 20 resource ARNs must be specified"));
    }
    let mut shown = Vec::new();
    for arn in arns {
        // A default rule has no row of its own, and no tags.
        let default = tx.all::<Listener>().any(|listener| listener.default_rule == arn);
        let tags = if default { Tags::new() } else { find(tx, arn)?.clone() };
        shown.push(json!({ "ResourceArn": arn, "Tags": tags::write(&tags, "Key", "Value") }));
    }
    Ok(json!({ "TagDescriptions": shown }))
}
