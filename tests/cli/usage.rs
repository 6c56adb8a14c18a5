//! What is typed wrongly. All of it ends with exit code 3.

use crate::project::Project;

#[test]
fn no_verb() {
    let ran = Project::new().runner(&[]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("Usage: runner"), "{ran}");
}

#[test]
fn unknown_flag() {
    insta::assert_snapshot!(Project::with_runbook().runner(&["run", "deploy.rhai", "--parm", "image=ami-1"]));
}

#[test]
fn missing_runbook() {
    insta::assert_snapshot!(Project::with_runbook().runner(&["run", "deplyo.rhai"]));
}

#[test]
fn parameter_without_value() {
    insta::assert_snapshot!(Project::with_runbook().runner(&["run", "deploy.rhai", "--param", "image"]));
}

#[test]
fn parameter_given_twice() {
    let args = ["run", "deploy.rhai", "--param", "image=ami-1", "--param", "image=ami-2"];
    insta::assert_snapshot!(Project::with_runbook().runner(&args));
}

#[test]
fn sim_and_another_target() {
    insta::assert_snapshot!(Project::with_runbook().runner(&["run", "deploy.rhai", "--sim", "--target", "aws"]));
}

#[test]
fn sim_and_a_server() {
    let args = ["run", "deploy.rhai", "--sim", "--endpoint-url", "http://127.0.0.1:5000"];
    insta::assert_snapshot!(Project::with_runbook().runner(&args));
}

#[test]
fn a_world_without_the_simulated_aws() {
    insta::assert_snapshot!(Project::with_runbook().runner(&["run", "deploy.rhai", "--world", "fresh"]));
}

#[test]
fn verbose_and_quiet() {
    insta::assert_snapshot!(Project::with_runbook().runner(&["run", "deploy.rhai", "-v", "-q"]));
}

#[test]
fn a_server_that_is_no_url() {
    insta::assert_snapshot!(Project::with_runbook().runner(&["run", "deploy.rhai", "--endpoint-url", "localhost"]));
}

#[test]
fn a_log_level_that_is_none() {
    let ran = Project::with_runbook().runner_in(&["run", "deploy.rhai"], &[("RUNNER_LOG", "runner=loud")]);
    insta::assert_snapshot!(ran);
}

#[test]
fn events_into_a_file_that_cannot_be_written() {
    let project = Project::with_runbook();
    let ran = project.runner(&["run", "deploy.rhai", "--sim", "--json-into", "no/such/folder/events.jsonl"]);
    assert_eq!(ran.code, Some(3), "{ran}");
    assert!(ran.stderr.contains("cannot write events to `no/such/folder/events.jsonl`"), "{ran}");
}
