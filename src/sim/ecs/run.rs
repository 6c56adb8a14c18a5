//! Tasks that are run by themselves: they do their work for half a minute, and end with 0 or with what their image's tag says.

use super::life::{self, Start};
use super::settings::{RUNS, Spec};
use super::task;
use super::*;
use super::{cluster, service};

pub const ACTIONS: &[Action] = &[Action {
    name: "RunTask",
    params: &[
        "
        cluster taskDefinition count startedBy group clientToken referenceId
        overrides.containerOverrides[].name overrides.containerOverrides[].command[]
        overrides.containerOverrides[].environment[].name overrides.containerOverrides[].environment[].value
        overrides.containerOverrides[].cpu overrides.containerOverrides[].memory
        overrides.containerOverrides[].memoryReservation overrides.taskRoleArn overrides.executionRoleArn
        overrides.cpu overrides.memory overrides.ephemeralStorage.sizeInGiB
        ",
        RUNS,
        TAGS,
    ],
    run: run_task,
}];

/// "ConflictException: The RunTask request could not be processed due to conflicts", for a token with other parameters.
fn run_task(tx: &mut Tx, p: &Params) -> Reply {
    tx.once(p, "clientToken", service::TOKENS, |tx| run(tx, p)).map_err(|error| match error.code.as_str() {
        "IdempotentParameterMismatch" => AwsError { code: "ConflictException".to_owned(), ..error },
        _ => error,
    })
}

fn run(tx: &mut Tx, p: &Params) -> Reply {
    let cluster = cluster::named(tx, p)?.clone();
    let count = p.opt_int("count")?.unwrap_or(1);
    if !(1..=10).contains(&count) {
        return Err(invalid("Count must be between 1 and 10."));
    }
    // "An error will be received if you specify the SERVICE option when running a task."
    let propagates = among(p, "propagateTags", &["TASK_DEFINITION", "NONE"])? == Some("TASK_DEFINITION");
    let spec = Spec::asked(tx, p, None, &cluster)?;
    let definition = task_definition::to_run(tx, &spec.task_definition)?;
    let (family, names) = (definition.family.clone(), definition.containers());
    let mut tags = if propagates { definition.tags.clone() } else { Tags::new() };
    tags.extend(own_tags(p)?);
    if p.opt_bool("enableECSManagedTags")?.unwrap_or(false) {
        tags.extend(tag::managed(&cluster.name, None));
    }
    for over in p.list("overrides.containerOverrides") {
        let name = over.text("name");
        if !names.iter().any(|container| container.text("name") == name) {
            let message = format!("Override for container named {name} is not a container in the TaskDefinition.");
            return Err(invalid(message));
        }
    }
    let overrides = p.get("overrides").cloned().unwrap_or_else(|| json!({}));
    let overrides = json!({
        "containerOverrides": overrides.get("containerOverrides").cloned().unwrap_or_else(|| json!([])),
        "inferenceAcceleratorOverrides": [],
        "cpu": overrides.get("cpu"), "memory": overrides.get("memory"),
        "taskRoleArn": overrides.get("taskRoleArn"), "executionRoleArn": overrides.get("executionRoleArn"),
        "ephemeralStorage": overrides.get("ephemeralStorage"),
    });
    let execute = p.opt_bool("enableExecuteCommand")?.unwrap_or(false);
    let mut tasks = Vec::new();
    let mut failures = Vec::new();
    for _ in 0..count {
        if !spec.is_fargate() {
            return Err(invalid("No Container Instances were found in your cluster."));
        }
        let wanted = Start {
            cluster: &cluster.name,
            spec: &spec,
            group: p.opt_str("group").map_or_else(|| format!("family:{family}"), str::to_owned),
            started_by: p.opt_str("startedBy").map(str::to_owned),
            service: None,
            overrides: overrides.clone(),
            execute,
            tags: tags.clone(),
        };
        match life::start(tx, wanted) {
            Ok(task) => tasks.push(task::shown(tx, &task)),
            Err(error) => failures.push(json!({ "reason": error.message })),
        }
    }
    Ok(json!({ "tasks": tasks, "failures": failures }))
}
