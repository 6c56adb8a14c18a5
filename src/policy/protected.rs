//! `protected_names` and `protected_tags`: what is neither changed nor deleted, but by the run that made it.

use std::collections::BTreeMap;

use super::{Call, Known, Pattern, Resource};

/// What a call would change, by the id, ARN or name that the call has.
type Changed = BTreeMap<String, Known<Resource>>;

pub(super) fn names(rule: &[Pattern], call: &Call<'_>, changed: &Changed) -> Vec<String> {
    let one = |(id, known): (&String, &Known<Resource>)| {
        let more = known.as_ref().map(|resource| resource.names.as_slice()).unwrap_or_default();
        let mut names = [id.as_str(), name_in(id)].into_iter().chain(more.iter().map(String::as_str));
        let hit = names.find_map(|name| Some((name, rule.iter().find(|pattern| pattern.matches(name))?)));
        match (hit, known) {
            (Some((name, pattern)), _) => {
                Some(format!("{} would change {}, which `{pattern}` protects", call.action, called(id, name)))
            }
            (None, Err(why)) => Some(unknown(call, id, "name", why)),
            (None, Ok(_)) => None,
        }
    };
    if rule.is_empty() { Vec::new() } else { changed.iter().filter_map(one).collect() }
}

pub(super) fn tags(rule: &BTreeMap<String, Pattern>, call: &Call<'_>, changed: &Changed) -> Vec<String> {
    let one = |(id, known): (&String, &Known<Resource>)| {
        let Resource { names, tags } = match known {
            Ok(resource) => resource,
            Err(why) => return Some(unknown(call, id, "tags", why)),
        };
        let (key, value) =
            tags.iter().find(|(key, value)| rule.get(*key).is_some_and(|pattern| pattern.matches(value)))?;
        let name = names.first().map_or(id.as_str(), String::as_str);
        Some(format!("{} would change {}, which is tagged {key} = {value}", call.action, called(id, name)))
    };
    if rule.is_empty() { Vec::new() } else { changed.iter().filter_map(one).collect() }
}

fn unknown(call: &Call<'_>, id: &str, what: &str, why: &str) -> String {
    format!("{} would change {id}, whose {what} cannot be read: {why}", call.action)
}

/// `vpc-1 (shop-prod-main)`
fn called(id: &str, name: &str) -> String {
    if id == name { id.to_owned() } else { format!("{id} ({name})") }
}

/// The name in an ARN, of those that have one: load balancers, target groups, IAM's.
fn name_in(arn: &str) -> &str {
    let Some(resource) = arn.strip_prefix("arn:").and_then(|rest| rest.split(':').nth(4)) else { return arn };
    match resource.split_once('/') {
        Some(("loadbalancer", rest)) => rest.split('/').nth(1).unwrap_or(arn),
        Some(("targetgroup", rest)) => rest.split('/').next().unwrap_or(arn),
        Some(("policy" | "role" | "instance-profile", rest)) => rest.rsplit('/').next().unwrap_or(arn),
        _ => arn,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_in_arns() {
        let table = [
            ("arn:aws:elasticloadbalancing:eu-central-1:1:loadbalancer/app/shop/50dc", "shop"),
            ("arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/shop-blue/50dc", "shop-blue"),
            ("arn:aws:iam::1:policy/team/shop", "shop"),
            ("arn:aws:acm:eu-central-1:1:certificate/12345", "arn:aws:acm:eu-central-1:1:certificate/12345"),
            ("vpc-1", "vpc-1"),
        ];
        for (arn, name) in table {
            assert_eq!(name_in(arn), name);
        }
    }

    fn said(names_rule: &[&str], known: Option<Known<Resource>>) -> (Vec<String>, Vec<String>) {
        let call = Call { action: "ec2:DeleteVpc", resource: "", parameters: &json!({}) };
        let patterns: Vec<Pattern> = serde_json::from_value(json!(names_rule)).expect("patterns");
        let rule: BTreeMap<String, Pattern> = serde_json::from_value(json!({ "protected": "t*" })).expect("patterns");
        let changed = known.map(|known| ("vpc-1".to_owned(), known)).into_iter().collect();
        (names(&patterns, &call, &changed), tags(&rule, &call, &changed))
    }

    #[test]
    fn by_id_by_name_and_by_tag() {
        let vpc = |value: &str| {
            let tags = BTreeMap::from([("protected".to_owned(), value.to_owned())]);
            Some(Ok(Resource { names: vec!["shop-prod-main".into()], tags }))
        };
        let (by_name, by_tag) = said(&["*-main"], vpc("true"));
        assert_eq!(by_name, ["ec2:DeleteVpc would change vpc-1 (shop-prod-main), which `*-main` protects"]);
        assert_eq!(by_tag, ["ec2:DeleteVpc would change vpc-1 (shop-prod-main), which is tagged protected = true"]);
        assert_eq!(said(&["vpc-1"], vpc("no")).0, ["ec2:DeleteVpc would change vpc-1, which `vpc-1` protects"]);
        assert_eq!(said(&["*-other"], vpc("no")), (vec![], vec![]));
        assert_eq!(said(&[], vpc("no")), (vec![], vec![]));
        assert_eq!(said(&["*"], None), (vec![], vec![]), "what this run has made is its own");
        let (by_name, by_tag) = said(&["*-other"], Some(Err("no".into())));
        assert_eq!((by_name.len(), by_tag.len()), (1, 1), "what cannot be read is refused");
    }
}
