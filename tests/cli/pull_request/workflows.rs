//! `action.yml` and the workflows: what has to hold in them, whoever changes them next.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::{Map, Value};

use super::{Said, command, own};
use crate::moto::python;

const WORKFLOWS: [&str; 3] =
    [".github/workflows/plan.yml", ".github/workflows/plan-comment.yml", ".github/workflows/deploy.yml"];

/// YAML files as JSON. `on:` is the key `true` in YAML 1.1.
fn load(paths: &[&str]) -> Vec<Value> {
    let mut loader = command(python());
    loader.arg(own("tests/support/composite.py")).arg("load").args(paths.iter().map(|path| own(path)));
    let said = Said::by(&mut loader);
    assert_eq!(said.code, Some(0), "{said}");
    let mut all: Value = serde_json::from_str(&said.stdout).expect("JSON");
    paths.iter().map(|path| all[own(path)].take()).collect()
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("not an object: {value}"))
}

fn keys(value: &Value) -> BTreeSet<&str> {
    object(value).keys().map(String::as_str).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

/// Each job of each workflow.
fn jobs(workflows: &[Value]) -> Vec<&Value> {
    workflows.iter().flat_map(|workflow| object(&workflow["jobs"]).values()).collect()
}

/// The names after `prefix.` in the expressions of a text.
fn named<'a>(text: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let names = text.split(prefix).skip(1);
    names
        .map(|rest| rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_')).next().unwrap_or(""))
        .collect()
}

#[test]
fn the_action_is_well_formed() {
    let action = load(&["action.yml"]).remove(0);
    assert_eq!(action["runs"]["using"], "composite");
    for step in list(&action["runs"]["steps"]) {
        let has = |key: &str| step.get(key).is_some();
        assert!(has("uses") != has("run"), "{step}");
        assert!(!has("run") || step["shell"] == "bash", "a composite step needs its shell: {step}");
    }
    let text = action.to_string();
    assert_eq!(named(&text, "inputs."), keys(&action["inputs"]), "inputs used and declared");
    let ids: BTreeSet<&str> = list(&action["runs"]["steps"]).iter().filter_map(|step| step["id"].as_str()).collect();
    assert!(named(&text, "steps.").is_subset(&ids), "steps that are named exist: {ids:?}");
    for (name, about) in object(&action["inputs"]).iter().chain(object(&action["outputs"])) {
        assert!(about["description"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
    }
    for (name, about) in object(&action["outputs"]) {
        assert_eq!(about["value"], format!("${{{{ steps.command.outputs.{name} }}}}"));
    }
}

#[test]
fn the_steps_use_scripts_that_are_there_and_take_inputs_as_variables() {
    let action = load(&["action.yml"]).remove(0);
    let mut scripts: Vec<String> = Vec::new();
    for step in list(&action["runs"]["steps"]).iter().filter(|step| step.get("run").is_some()) {
        let run = step["run"].as_str().expect("text");
        assert!(!run.contains("${{"), "what an expression gives would become script: {run}");
        let script =
            run.split("$GITHUB_ACTION_PATH/").nth(1).and_then(|rest| rest.split('"').next()).expect("a script");
        match script {
            "ci/$COMMAND.sh" => scripts.extend(["ci/plan.sh".into(), "ci/run.sh".into(), "ci/check.sh".into()]),
            other => scripts.push(other.to_owned()),
        }
    }
    for script in scripts {
        let text = fs::read_to_string(own(&script)).unwrap_or_else(|error| panic!("{script}: {error}"));
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(own(&script)).expect("it is there").permissions());
        assert!(mode & 0o111 != 0, "{script} cannot be executed");
        assert!(script.ends_with(".py") || text.contains("\nset -euo pipefail\n"), "{script}");
        if script.ends_with(".sh") {
            let checked = Command::new("bash").arg("-n").arg(own(&script)).status().expect("bash");
            assert!(checked.success(), "{script}");
        }
    }
}

#[test]
fn variables_that_the_scripts_read_are_those_that_the_steps_set() {
    let action = load(&["action.yml"]).remove(0);
    let common = fs::read_to_string(own("ci/common.sh")).expect("it is there");
    for (id, scripts) in [
        ("prepare", &["prepare.sh"][..]),
        ("runner", &["build.sh"]),
        ("command", &["plan.sh", "run.sh", "check.sh", "outputs.py"]),
    ] {
        let step = list(&action["runs"]["steps"]).iter().find(|step| step["id"] == id).expect("the step");
        let texts: Vec<String> =
            scripts.iter().map(|name| fs::read_to_string(own(&format!("ci/{name}"))).expect("there")).collect();
        let mut read: BTreeSet<&str> = texts.iter().flat_map(|text| named(text, "INPUT_")).collect();
        if id == "command" {
            read.extend(named(&common, "INPUT_RUNBOOK").is_empty().then_some("RUNBOOK"));
            read.extend(named(&common, "INPUT_").into_iter().filter(|name| !name.is_empty()));
        }
        let set: BTreeSet<&str> = keys(&step["env"]).iter().filter_map(|name| name.strip_prefix("INPUT_")).collect();
        assert_eq!(set, read, "{id}");
    }
}

#[test]
fn actions_of_others_are_pinned_to_a_major_version() {
    let mut files = WORKFLOWS.to_vec();
    files.push("action.yml");
    let all = load(&files);
    let steps = jobs(&all[..3]).into_iter().flat_map(|job| list(&job["steps"])).chain(list(&all[3]["runs"]["steps"]));
    let used: BTreeSet<&str> = steps.filter_map(|step| step["uses"].as_str()).collect();
    let expected = [
        "./",
        "actions/cache@v6",
        "actions/checkout@v7",
        "actions/download-artifact@v8",
        "actions/upload-artifact@v7",
        "aws-actions/configure-aws-credentials@v6",
    ];
    assert_eq!(used, expected.into());
}

#[test]
fn no_workflow_runs_a_forks_code_with_a_token_that_writes() {
    for (path, workflow) in WORKFLOWS.iter().zip(load(&WORKFLOWS)) {
        let on = &workflow["true"];
        assert!(on.get("pull_request_target").is_none(), "{path}");
        let privileged = on.get("workflow_run").is_some();
        for step in jobs(std::slice::from_ref(&workflow)).into_iter().flat_map(|job| list(&job["steps"])) {
            let checkout = step["uses"].as_str().is_some_and(|uses| uses.starts_with("actions/checkout@"));
            if checkout {
                assert_eq!(step["with"]["persist-credentials"], false, "{path}: {step}");
            }
            assert!(!(privileged && checkout) || step["with"].get("ref").is_none(), "{path}: {step}");
            assert!(step.get("run").is_none(), "{path} has a script: what is in expressions would become part of it");
        }
    }
}

#[test]
fn permissions_are_the_least_and_nothing_hangs() {
    let workflows = load(&WORKFLOWS);
    for (path, workflow) in WORKFLOWS.iter().zip(&workflows) {
        assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }), "{path}");
        for job in jobs(std::slice::from_ref(workflow)) {
            assert!(job["timeout-minutes"].is_u64(), "{path}");
        }
    }
    let of = |index: usize| {
        let granted = object(&jobs(&workflows[index..=index])[0]["permissions"]).clone();
        granted
            .into_iter()
            .map(|(name, access)| format!("{name}: {}", access.as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    assert_eq!(of(0), ["contents: read", "id-token: write", "pull-requests: write"]);
    assert_eq!(of(1), ["actions: read", "contents: read", "pull-requests: write"]);
    assert_eq!(of(2), ["contents: read", "id-token: write"]);
}

#[test]
fn a_deploy_is_not_cut_off_by_the_next_one_and_a_plan_is() {
    let workflows = load(&WORKFLOWS);
    let concurrency = |index: usize| &jobs(&workflows[index..=index])[0]["concurrency"];
    assert_eq!(concurrency(0)["cancel-in-progress"], true);
    assert_eq!(concurrency(2)["cancel-in-progress"], false);
    assert_eq!(concurrency(2)["group"], "deploy-${{ matrix.env }}");
    assert_eq!(workflows[2]["jobs"]["deploy"]["environment"], "${{ matrix.env }}");
}

#[test]
fn the_workflows_give_the_action_inputs_that_it_has_and_use_outputs_that_it_gives() {
    let action = load(&["action.yml"]).remove(0);
    for (path, workflow) in WORKFLOWS.iter().zip(load(&WORKFLOWS)) {
        for job in jobs(std::slice::from_ref(&workflow)) {
            for step in list(&job["steps"]).iter().filter(|step| step["uses"] == "./") {
                assert!(keys(&step["with"]).is_subset(&keys(&action["inputs"])), "{path}: {step}");
            }
            assert!(named(&job.to_string(), ".outputs.").is_subset(&keys(&action["outputs"])), "{path}");
        }
    }
}

#[test]
fn the_workflows_name_files_that_are_there() {
    for env in ["staging", "prod"] {
        for path in [format!("runbooks/{env}-deploy.rhai"), format!("deploys/{env}.toml")] {
            assert!(fs::metadata(own(&path)).is_ok(), "{path}");
        }
    }
    for workflow in &load(&WORKFLOWS)[..] {
        for job in jobs(std::slice::from_ref(workflow)) {
            if let Some(matrix) = job["strategy"]["matrix"].get("env") {
                assert_eq!(*matrix, serde_json::json!(["staging", "prod"]), "staging comes first");
            }
        }
    }
}
