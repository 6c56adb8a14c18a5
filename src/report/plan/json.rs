//! A plan as JSON: the struct itself, and the schema that says what is in it.

use schemars::schema_for;

use crate::plan::Plan;

pub fn write(plan: &Plan) -> String {
    let mut text = serde_json::to_string_pretty(plan).expect("a plan has string keys and derived serializers only");
    text.push('\n');
    text
}

/// The JSON Schema of a plan: `docs/plan.schema.json`.
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&schema_for!(Plan)).expect("a schema is JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::plan::sample;

    #[test]
    fn a_second_deploy() {
        insta::assert_snapshot!(write(&sample::second_deploy()));
    }

    #[test]
    fn every_plan_reads_back() {
        for (name, plan) in sample::all() {
            assert_eq!(serde_json::from_str::<Plan>(&write(&plan)).expect("a plan reads back"), plan, "{name}");
        }
    }

    #[test]
    fn a_reader_ignores_fields_it_does_not_know() {
        let newer = write(&sample::no_changes()).replacen('{', "{\n  \"invented_later\": 1,", 1);
        assert_eq!(serde_json::from_str::<Plan>(&newer).expect("it reads"), sample::no_changes());
    }

    #[test]
    fn every_plan_is_what_the_schema_says() {
        let schema: Value = serde_json::from_str(&schema()).expect("a schema is JSON");
        for (name, plan) in sample::all() {
            let plan: Value = serde_json::from_str(&write(&plan)).expect("a plan is JSON");
            assert_eq!(check(&schema, &schema, &plan), Ok(()), "{name}");
        }
        let good: Value = serde_json::from_str(&write(&sample::second_deploy())).expect("a plan is JSON");
        let breaks: [fn(&mut Value); 4] = [
            |plan| plan["verdict"]["outcome"] = "maybe".into(),
            |plan| plan["totals"]["create"] = "two".into(),
            |plan| plan["stages"][2]["steps"][0]["action"] = Value::Null,
            |plan| drop(plan.as_object_mut().and_then(|plan| plan.remove("runbook"))),
        ];
        for (number, break_it) in breaks.iter().enumerate() {
            let mut bad = good.clone();
            break_it(&mut bad);
            assert!(check(&schema, &schema, &bad).is_err(), "broken plan {number} is let through");
        }
    }

    #[test]
    fn every_field_is_documented() {
        fn undocumented(at: &str, schema: &Value, found: &mut Vec<String>) {
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                // A reference is documented where it leads to.
                if field.get("description").is_none() && field.get("$ref").is_none() {
                    found.push(format!("{at}.{name}"));
                }
            }
        }
        let schema: Value = serde_json::from_str(&schema()).expect("a schema is JSON");
        let mut found = Vec::new();
        undocumented("plan", &schema, &mut found);
        for (name, definition) in schema["$defs"].as_object().expect("definitions") {
            undocumented(name, definition, &mut found);
        }
        // These names say it all.
        found.retain(|name| !["plan.region", "Output.name"].contains(&name.as_str()));
        assert!(found.is_empty(), "{found:?}");
    }

    /// As much of JSON Schema as ours uses; a word it does not know is an error.
    fn check(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
        let Some(rules) = schema.as_object() else { return Ok(()) };
        let wrong = |rule: &str| Err(format!("{value} is against {rule}: {}", schema[rule]));
        for (rule, wanted) in rules {
            match rule.as_str() {
                "$schema" | "$defs" | "title" | "description" | "format" | "default" => {}
                "$ref" => {
                    let name =
                        wanted.as_str().and_then(|name| name.strip_prefix("#/$defs/")).ok_or("a strange $ref")?;
                    check(root, &root["$defs"][name], value)?;
                }
                "type" => {
                    let is = |kind: &Value| match kind.as_str() {
                        Some("object") => value.is_object(),
                        Some("array") => value.is_array(),
                        Some("string") => value.is_string(),
                        Some("boolean") => value.is_boolean(),
                        Some("integer") => value.is_u64(),
                        Some("number") => value.is_number(),
                        Some("null") => value.is_null(),
                        _ => false,
                    };
                    let kinds = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
                    if !kinds.iter().any(is) {
                        return wrong(rule);
                    }
                }
                "properties" => {
                    for (name, field) in wanted.as_object().into_iter().flatten() {
                        if let Some(value) = value.get(name) {
                            check(root, field, value)?;
                        }
                    }
                }
                "required" => {
                    if !wanted
                        .as_array()
                        .into_iter()
                        .flatten()
                        .all(|name| value.get(name.as_str().unwrap_or("")).is_some())
                    {
                        return wrong(rule);
                    }
                }
                "items" => value.as_array().into_iter().flatten().try_for_each(|item| check(root, wanted, item))?,
                "anyOf" | "oneOf" => {
                    if !wanted.as_array().into_iter().flatten().any(|one| check(root, one, value).is_ok()) {
                        return wrong(rule);
                    }
                }
                "const" if value != wanted => return wrong(rule),
                "const" => {}
                "enum" => {
                    if !wanted.as_array().is_some_and(|all| all.contains(value)) {
                        return wrong(rule);
                    }
                }
                "minimum" => {
                    if value.as_f64().is_some_and(|number| Some(number) < wanted.as_f64()) {
                        return wrong(rule);
                    }
                }
                "maximum" => {
                    if value.as_f64().is_some_and(|number| Some(number) > wanted.as_f64()) {
                        return wrong(rule);
                    }
                }
                unknown => return Err(format!("the check does not know {unknown}")),
            }
        }
        Ok(())
    }
}
