//! What a task definition says: checked, and with the defaults that ECS fills in.

use super::*;

/// What a request registers, as ECS shows it.
pub fn of(p: &Params) -> Result<Value, AwsError> {
    let requires = p.strings("requiresCompatibilities");
    let mode = among(p, "networkMode", &["awsvpc", "bridge", "host", "none"])?;
    let containers = containers(p, mode.unwrap_or("bridge"))?;
    let (cpu, memory) = (size(p, "cpu", "vcpu")?, size(p, "memory", "gb")?);
    let on_fargate = check_fargate(p, cpu, memory);
    // "validates the task definition parameters with those supported by the launch type" (compatibilities).
    let compatibilities = match mode {
        Some("awsvpc") if on_fargate.is_ok() => json!(["EC2", "FARGATE"]),
        Some("awsvpc") => json!(["EC2"]),
        _ => json!(["EXTERNAL", "EC2"]),
    };
    if requires.contains(&"FARGATE") {
        on_fargate?;
    }
    let mut content = json!({
        "containerDefinitions": containers,
        "volumes": p.get("volumes").cloned().unwrap_or_else(|| json!([])),
        "placementConstraints": p.get("placementConstraints").cloned().unwrap_or_else(|| json!([])),
        "compatibilities": compatibilities,
        "cpu": cpu.map(|cpu| cpu.to_string()),
        "memory": memory.map(|memory| memory.to_string()),
    });
    let as_given = ["taskRoleArn", "executionRoleArn", "networkMode", "ephemeralStorage", "runtimePlatform"];
    for (name, value) in as_given.into_iter().filter_map(|name| Some((name, p.get(name)?))) {
        content[name] = value.clone();
    }
    if !requires.is_empty() {
        content["requiresCompatibilities"] = json!(requires);
    }
    Ok(content)
}

fn containers(p: &Params, mode: &str) -> Result<Vec<Value>, AwsError> {
    let given = p.list("containerDefinitions");
    if given.is_empty() {
        return Err(client("Container list cannot be empty."));
    }
    let mut names: Vec<&str> = Vec::new();
    for container in &given {
        let name = container.opt_str("name").unwrap_or_default();
        if name.is_empty() {
            return Err(client("Container.name should not be null or empty."));
        }
        if names.contains(&name) {
            return Err(client(format!("Container name '{name}' is not unique.")));
        }
        names.push(name);
        if container.opt_str("image").is_none_or(str::is_empty) {
            return Err(client("Container.image should not be null or empty."));
        }
        let sized = p.has("memory") || container.has("memory") || container.has("memoryReservation");
        if !sized {
            return Err(client(format!(
                "Invalid setting for container '{name}'. At least one of 'memory' or 'memoryReservation' must be specified."
            )));
        }
    }
    let essential = |container: &Params| container.opt_bool("essential").ok().flatten().unwrap_or(true);
    if !given.iter().any(essential) {
        return Err(client(
            "No container is essential. At least one container of a task definition must be essential.",
        ));
    }
    for container in &given {
        for needed in container.list("dependsOn") {
            if !names.contains(&needed.text("containerName").as_str()) {
                let message = format!(
                    "Invalid 'dependsOn' setting for container '{}'. The container '{}' doesn't exist.",
                    container.text("name"),
                    needed.text("containerName")
                );
                return Err(client(message));
            }
        }
    }
    let shown = |container: &Params| {
        let mut shown = container.0.clone();
        let defaults = [
            ("cpu", json!(0)),
            ("essential", json!(true)),
            ("portMappings", json!([])),
            ("environment", json!([])),
            ("mountPoints", json!([])),
            ("volumesFrom", json!([])),
            ("systemControls", json!([])),
        ];
        for (name, default) in defaults {
            if shown.get(name).is_none_or(Value::is_null) {
                shown[name] = default;
            }
        }
        for port in shown["portMappings"].as_array_mut().into_iter().flatten() {
            let container = port["containerPort"].clone();
            if port.get("protocol").is_none() {
                port["protocol"] = json!("tcp");
            }
            if port.get("hostPort").is_none() {
                port["hostPort"] = if mode == "awsvpc" { container } else { json!(0) };
            }
        }
        shown
    };
    Ok(given.iter().map(shown).collect())
}

/// "String values are converted to an integer" (cpu, memory): `1 vCPU` are 1024 CPU units, `2GB` 2048 MiB.
fn size(p: &Params, member: &str, unit: &str) -> Result<Option<i64>, AwsError> {
    let Some(given) = p.opt_str(member) else { return Ok(None) };
    let text = given.to_ascii_lowercase();
    let read = match text.strip_suffix(unit) {
        Some(number) => number.trim().parse::<f64>().ok().map(|number| (number * 1024.0) as i64),
        None => text.parse().ok(),
    };
    let read = read.filter(|size| *size > 0);
    read.map(Some).ok_or_else(|| client(format!("Invalid '{member}' setting for task.")))
}

/// Whether it can run on Fargate: "Task definition differences for Fargate" of the developer guide.
fn check_fargate(p: &Params, cpu: Option<i64>, memory: Option<i64>) -> Result<(), AwsError> {
    if p.opt_str("networkMode") != Some("awsvpc") {
        return Err(client("Fargate only supports network mode ‘awsvpc’."));
    }
    for container in p.list("containerDefinitions") {
        let logs = container.opt_str("logConfiguration.logDriver") == Some("awslogs");
        let ecr = container.text("image").contains(".dkr.ecr.");
        if !p.has("executionRoleArn") && (logs || ecr) {
            let what = if logs { "log driver awslogs" } else { "ECR images" };
            let message = format!("Fargate requires task definition to have execution role ARN to support {what}.");
            return Err(client(message));
        }
    }
    // "Task CPU and memory".
    let (Some(cpu), Some(memory)) = (cpu, memory) else {
        return Err(client("Fargate requires that 'cpu' and 'memory' be defined at the task level."));
    };
    const GIB: i64 = 1024;
    let fits = match cpu {
        256 => [512, GIB, 2 * GIB].contains(&memory),
        512 => (GIB..=4 * GIB).contains(&memory) && memory % GIB == 0,
        1024 => (2 * GIB..=8 * GIB).contains(&memory) && memory % GIB == 0,
        2048 => (4 * GIB..=16 * GIB).contains(&memory) && memory % GIB == 0,
        4096 => (8 * GIB..=30 * GIB).contains(&memory) && memory % GIB == 0,
        8192 => (16 * GIB..=60 * GIB).contains(&memory) && memory % (4 * GIB) == 0,
        16384 => (32 * GIB..=120 * GIB).contains(&memory) && memory % (8 * GIB) == 0,
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err(client("No Fargate configuration exists for given values.")),
    }
}
