//! What is in a revision of a task definition: as sent to ECS, as read from it, and compared.
//!
//! A revision never changes, so "the same content" is the only question. It is asked of meanings: what ECS fills in is what
//! was not said, empty lists are none, and the order of environment variables says nothing. Anything else that is there makes
//! another content.

use serde_json::{Map, Value, json};

use crate::{event::Field, ops::ownership::changed};

/// What of a description says which revision it is, or is worked out from the rest.
const OF_REVISION: &[&str] = &[
    "taskDefinitionArn",
    "family",
    "revision",
    "status",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
    "requiresAttributes",
    "compatibilities",
    "tags",
];

/// The content of a request or of a description, so that equal ones are equal.
pub fn normal(content: &Value) -> Value {
    let mut content = content.clone();
    if let Some(fields) = content.as_object_mut() {
        fields.retain(|name, _| !OF_REVISION.contains(&name.as_str()));
        for container in fields.get_mut("containerDefinitions").and_then(Value::as_array_mut).into_iter().flatten() {
            normal_container(container);
        }
        sort(fields, "requiresCompatibilities");
    }
    let content = said(&content).unwrap_or_else(|| json!({}));
    without_usual(content)
}

fn sort(fields: &mut Map<String, Value>, name: &str) {
    if let Some(list) = fields.get_mut(name).and_then(Value::as_array_mut) {
        list.sort_by_key(Value::to_string);
    }
}

/// Defaults are those of "Task definition parameters" in the developer guide, as DescribeTaskDefinition shows them.
fn normal_container(container: &mut Value) {
    let Some(fields) = container.as_object_mut() else { return };
    for name in ["environment", "secrets", "ulimits", "environmentFiles"] {
        sort(fields, name);
    }
    if fields.get("essential") == Some(&json!(true)) {
        fields.remove("essential");
    } else if let Some(essential) = fields.get_mut("essential") {
        // "Not essential" must not be taken for what was not said.
        *essential = json!("no");
    }
    if fields.get("cpu") == Some(&json!(0)) {
        fields.remove("cpu");
    }
    if fields.get("versionConsistency") == Some(&json!("enabled")) {
        fields.remove("versionConsistency");
    }
    for port in fields.get_mut("portMappings").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(port) = port.as_object_mut() else { continue };
        if port.get("protocol") == Some(&json!("tcp")) {
            port.remove("protocol");
        }
        // With awsvpc the host's is the container's; with bridge 0 is "any".
        if port.get("hostPort") == port.get("containerPort") || port.get("hostPort") == Some(&json!(0)) {
            port.remove("hostPort");
        }
    }
    let check = fields.get_mut("healthCheck").and_then(Value::as_object_mut);
    if let Some(check) = check {
        for (name, usual) in [("interval", 30), ("timeout", 5), ("retries", 3), ("startPeriod", 0)] {
            if check.get(name) == Some(&json!(usual)) {
                check.remove(name);
            }
        }
    }
}

fn without_usual(mut content: Value) -> Value {
    if let Some(volumes) = content.get_mut("volumes").and_then(Value::as_array_mut) {
        for efs in volumes.iter_mut().filter_map(|volume| volume.get_mut("efsVolumeConfiguration")) {
            let Some(efs) = efs.as_object_mut() else { continue };
            efs.retain(|name, value| !(name == "rootDirectory" && value == "/"));
        }
    }
    content
}

/// Without what says nothing: nulls, empty lists and structures, and switches that are off.
pub fn said(value: &Value) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) => Some(items.iter().map(|item| said(item).unwrap_or_else(|| json!({}))).collect()),
        Value::Object(fields) => {
            let said: Map<String, Value> =
                fields.iter().filter_map(|(name, value)| Some((name.clone(), said(value)?))).collect();
            (!said.is_empty()).then_some(Value::Object(said))
        }
        Value::Bool(true) | Value::Number(_) | Value::String(_) => Some(value.clone()),
    }
}

/// Without nulls and empty lists, as a request is sent.
pub fn request(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let is_said = |value: &Value| match value {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(fields) => !fields.is_empty(),
                Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
            };
            let fields = fields.iter().map(|(name, value)| (name.clone(), request(value)));
            Value::Object(fields.filter(|(_, value)| is_said(value)).collect())
        }
        Value::Array(items) => items.iter().map(request).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// What differs, for the progress line: containers by name.
pub fn differences(found: &Value, wanted: &Value) -> Vec<Field> {
    let (found, wanted) = (by_container(found), by_container(wanted));
    let names = found.keys().chain(wanted.keys().filter(|name| !found.contains_key(*name)));
    let differ = names.filter(|name| found.get(*name) != wanted.get(*name));
    let value = |of: &Map<String, Value>, name: &str| of.get(name).cloned().unwrap_or_default();
    differ.map(|name| changed(name, value(&found, name), value(&wanted, name))).collect()
}

/// `web.image` and so on beside the fields of the task.
fn by_container(content: &Value) -> Map<String, Value> {
    let mut fields = content.as_object().cloned().unwrap_or_default();
    let containers = fields.remove("containerDefinitions");
    for container in containers.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let name = container["name"].as_str().unwrap_or_default();
        let of_it = container.as_object().into_iter().flatten().filter(|(field, _)| *field != "name");
        fields.extend(of_it.map(|(field, value)| (format!("{name}.{field}"), value.clone())));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ecs_fills_in_is_what_was_not_said() {
        let asked = json!({
            "family": "web", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256",
            "containerDefinitions": [{
                "name": "web", "image": "web@sha256:1", "essential": true, "privileged": false,
                "environment": [{ "name": "B", "value": "2" }, { "name": "A", "value": "1" }],
                "portMappings": [{ "containerPort": 8080 }], "healthCheck": { "command": ["CMD", "true"], "interval": 30 },
            }],
            "volumes": [{ "name": "scratch" }],
        });
        let shown = json!({
            "taskDefinitionArn": "arn", "family": "web", "revision": 3, "status": "ACTIVE", "registeredAt": 1.5,
            "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "compatibilities": ["EC2", "FARGATE"],
            "cpu": "256", "placementConstraints": [], "requiresAttributes": [{ "name": "x" }],
            "containerDefinitions": [{
                "name": "web", "image": "web@sha256:1", "cpu": 0, "essential": true, "mountPoints": [], "volumesFrom": [],
                "environment": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }], "systemControls": [],
                "portMappings": [{ "containerPort": 8080, "hostPort": 8080, "protocol": "tcp" }],
                "healthCheck": { "command": ["CMD", "true"], "interval": 30, "timeout": 5, "retries": 3 },
            }],
            "volumes": [{ "name": "scratch", "host": {} }],
        });
        assert_eq!(normal(&asked), normal(&shown));
        let mut other = shown.clone();
        other["containerDefinitions"][0]["essential"] = json!(false);
        assert_ne!(normal(&asked), normal(&other));
        let mut other = shown;
        other["containerDefinitions"][0]["interactive"] = json!(true);
        let fields = differences(&normal(&asked), &normal(&other));
        assert_eq!(fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>(), ["web.interactive"]);
    }
}
