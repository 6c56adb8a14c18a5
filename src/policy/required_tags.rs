//! `required_tags`: what a call that makes something has to tag it with.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Call, Pattern};

/// Calls that sound as if they made something, and make a part that has no tags, or change a tag. AWS takes the tags
/// of a hosted zone and of a health check only afterwards.
const UNTAGGED: &[&str] = &[
    "autoscaling:CreateOrUpdateTags",
    "ec2:CreateLaunchTemplateVersion",
    "ec2:CreateNetworkAclEntry",
    "ec2:CreateRoute",
    "ec2:CreateTags",
    "iam:CreatePolicyVersion",
    "logs:CreateLogStream",
    "route53:CreateHealthCheck",
    "route53:CreateHostedZone",
];

/// Whether a call makes something that can be tagged.
fn makes(call: &Call<'_>) -> bool {
    match call.action {
        // With an ARN it replaces one that is there.
        "acm:ImportCertificate" => call.text("CertificateArn").is_none(),
        // With tags it makes one: to one that is there, they would mean nothing.
        "cloudwatch:PutMetricAlarm" | "cloudwatch:PutCompositeAlarm" => call.at("Tags").into_iter().next().is_some(),
        "ssm:PutParameter" => call.at("Overwrite").first().is_none_or(|overwrite| **overwrite != true),
        action if UNTAGGED.contains(&action) => false,
        _ => ["Allocate", "Copy", "Create", "Request", "Run"].iter().any(|verb| call.name().starts_with(verb)),
    }
}

pub(super) fn check(rule: &BTreeMap<String, Pattern>, call: &Call<'_>) -> Vec<String> {
    if !makes(call) {
        return Vec::new();
    }
    let given = tags(call);
    let one = |(key, pattern): (&String, &Pattern)| match given.get(key.as_str()) {
        None => Some(format!("{} has no tag {key}", call.words())),
        Some(value) if !pattern.matches(value) => {
            Some(format!("{} has the tag {key} = {value}, and `{pattern}` is required", call.words()))
        }
        Some(_) => None,
    };
    rule.iter().filter_map(one).collect()
}

/// EC2 has tags by kind of resource; others have a list of them or a map, written as each service writes.
fn tags<'a>(call: &Call<'a>) -> BTreeMap<&'a str, &'a str> {
    let named = ["Tags", "tags"].into_iter().filter_map(|name| call.parameters.get(name));
    let listed = named.clone().filter_map(Value::as_array).flatten().chain(call.at("TagSpecification.Tag"));
    let text = |tag: &'a Value, names: [&str; 2]| names.into_iter().find_map(|name| tag.get(name)?.as_str());
    let listed = listed
        .filter_map(move |tag| Some((text(tag, ["Key", "key"])?, text(tag, ["Value", "value"]).unwrap_or_default())));
    let mapped = named.filter_map(Value::as_object).flatten();
    listed.chain(mapped.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_made_has_to_have_them() {
        let rule: BTreeMap<String, Pattern> =
            serde_json::from_value(json!({ "team": "*", "environment": "prod" })).expect("patterns");
        let good = json!([{ "Key": "team", "Value": "" }, { "Key": "environment", "Value": "prod" }, { "Key": "x" }]);
        let table = [
            ("ec2:CreateVpc", json!({ "TagSpecification": [{ "ResourceType": "vpc", "Tag": good }] }), vec![]),
            ("iam:CreateRole", json!({ "Tags": good }), vec![]),
            ("ecr:CreateRepository", json!({ "tags": good }), vec![]),
            (
                "ecs:CreateCluster",
                json!({ "tags": [{ "key": "team", "value": "a" }, { "key": "environment", "value": "prod" }] }),
                vec![],
            ),
            ("logs:CreateLogGroup", json!({ "tags": { "team": "a", "environment": "prod" } }), vec![]),
            (
                "iam:CreateRole",
                json!({ "Tags": [{ "Key": "environment", "Value": "test" }] }),
                vec![
                    "iam:CreateRole for it has the tag environment = test, and `prod` is required",
                    "iam:CreateRole for it has no tag team",
                ],
            ),
            (
                "acm:ImportCertificate",
                json!({}),
                vec![
                    "acm:ImportCertificate for it has no tag environment",
                    "acm:ImportCertificate for it has no tag team",
                ],
            ),
            ("acm:ImportCertificate", json!({ "CertificateArn": "arn" }), vec![]),
            ("ec2:CreateRoute", json!({}), vec![]),
            ("ec2:DeleteVpc", json!({}), vec![]),
        ];
        for (action, parameters, expected) in table {
            assert_eq!(check(&rule, &Call { action, resource: "it", parameters: &parameters }), expected, "{action}");
        }
    }
}
