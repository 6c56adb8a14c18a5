//! What others say of the simulated AWS and of the requests that are sent: boto3 and botocore's service models. Their programs
//! are Python, in `tests/boto3` and `tests/judges`.

use std::{path::Path, process::Command};

use crate::{moto, project::Project};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Runs a Python program of this project, and shows what it says if it is not content.
#[track_caller]
fn content(args: &[&str], variables: &[(&str, &str)]) -> String {
    let mut python = Command::new(moto::python());
    let ran = python.args(args).envs(variables.iter().copied()).current_dir(ROOT).output().expect("the venv's python");
    let text = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{}: {text}", args.join(" "));
    text
}

/// They create, read, change and delete all that is modelled.
#[test]
fn boto3_scripts_find_an_aws() {
    let said = content(
        &["tests/boto3/run.py", "--but", "ToMend"],
        &[("RUNNER_BIN", env!("CARGO_BIN_EXE_runner")), ("AWS_EC2_METADATA_DISABLED", "true")],
    );
    assert!(said.contains("OK"), "{said}");
}

#[test]
fn the_judges_can_say_no() {
    content(&["-m", "unittest", "discover", "-s", "tests/judges"], &[]);
}

/// Every request of deploys and their rollback satisfies the service models, and so does every reply. `.ci/run` judges the
/// exchanges of all tests.
#[test]
fn requests_and_replies_are_those_of_the_models() {
    let project = Project::new()
        .file("runner.toml", include_str!("../../runner.toml"))
        .file("runbooks/prod-deploy.rhai", include_str!("../../runbooks/prod-deploy.rhai"));
    for (number, image) in ["ami-healthy-1", "ami-healthy-2", "ami-healthy-2", "ami-never-healthy"].iter().enumerate() {
        let (image, wire) = (format!("image={image}"), format!("wire/{number}.jsonl"));
        std::fs::create_dir_all(project.path().join("wire")).expect("the temporary folder takes folders");
        let args = ["run", "runbooks/prod-deploy.rhai", "--sim", "--param", &image, "--record-wire", &wire, "-qq"];
        project.runner(&args);
    }
    judged(&project.path().join("wire"));
}

#[track_caller]
fn judged(wire: &Path) {
    let wire = wire.to_str().expect("UTF-8");
    let allow = Path::new(ROOT).join("tests/judges/allowed.txt");
    let allow = allow.to_str().expect("UTF-8");
    content(&["tests/judges/botocore_judge.py", "--part", "--allow", allow, wire], &[]);
}
