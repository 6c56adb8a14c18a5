//! `runner.toml` and parameter files that cannot be meant.

use crate::project::{Project, Ran};

fn run_with_settings(settings: &str, args: &[&str]) -> Ran {
    let project = Project::with_runbook().file("runner.toml", settings);
    project.runner(&[&["run", "deploy.rhai"], args].concat())
}

fn run_with_params(name: &str, text: &str) -> Ran {
    Project::with_runbook().file(name, text).runner(&["run", "deploy.rhai", "--params-file", name])
}

#[test]
fn unknown_key() {
    insta::assert_snapshot!(run_with_settings("[environments.prod]\nregoin = \"eu-central-1\"\n", &[]));
}

#[test]
fn unknown_key_like_no_other() {
    insta::assert_snapshot!(run_with_settings("colour = true\n", &[]));
}

#[test]
fn unknown_key_with_colour() {
    let shown = run_with_settings("stat_dir = \".state\"\n", &["--color", "always"]).to_string();
    insta::assert_snapshot!(shown.replace('\x1b', "␛"));
}

#[test]
fn unknown_target() {
    insta::assert_snapshot!(run_with_settings("[environments.prod]\ntarget = \"simulated\"\n", &[]));
}

#[test]
fn account_id_that_is_none() {
    insta::assert_snapshot!(run_with_settings("[environments.prod]\naccount_id = 12345678901\n", &[]));
}

#[test]
fn not_toml() {
    insta::assert_snapshot!(run_with_settings("[environments.prod\n", &[]));
}

#[test]
fn unknown_environment() {
    insta::assert_snapshot!(run_with_settings("[environments.prod]\n[environments.staging]\n", &["--env", "stagign"]));
}

#[test]
fn environment_without_a_file() {
    insta::assert_snapshot!(Project::with_runbook().runner(&["run", "deploy.rhai", "--env", "prod"]));
}

#[test]
fn the_file_given_is_not_there() {
    insta::assert_snapshot!(Project::with_runbook().runner(&["run", "deploy.rhai", "--config", "other.toml"]));
}

#[test]
fn a_server_for_an_environment_that_is_simulated() {
    let args = ["--env", "dev", "--endpoint-url", "http://127.0.0.1:5000"];
    insta::assert_snapshot!(run_with_settings("[environments.dev]\ntarget = \"sim\"\n", &args));
}

#[test]
fn parameters_of_another_format() {
    insta::assert_snapshot!(run_with_params("params.yaml", "image: ami-1\n"));
}

#[test]
fn parameters_that_are_not_toml() {
    insta::assert_snapshot!(run_with_params("params.toml", "image = ami-1\n"));
}

#[test]
fn parameters_that_are_not_json() {
    insta::assert_snapshot!(run_with_params("params.json", "{\n  \"image\": \"ami-ü\", \"size\": }\n"));
}

#[test]
fn parameters_that_are_no_object() {
    insta::assert_snapshot!(run_with_params("params.json", "[\"ami-1\"]\n"));
}
