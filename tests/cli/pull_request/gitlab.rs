//! GitLab: the same comment as a note of a merge request, and the script of the example, run as it is written.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;

use super::{Said, command, own, plan};
use crate::{
    forge::{COMMIT, Forge, TOKEN},
    moto::python,
    project::Project,
};

/// The variables that GitLab gives to a job of a merge request, and the token.
fn gitlab(forge: &Forge) -> Vec<(&'static str, String)> {
    vec![
        ("GITLAB_CI", "true".to_owned()),
        ("GITLAB_TOKEN", TOKEN.to_owned()),
        ("CI_API_V4_URL", forge.url.clone()),
        ("CI_COMMIT_SHA", COMMIT.to_owned()),
        ("CI_JOB_URL", "https://gitlab.example/acme/shop/-/jobs/5".to_owned()),
        ("CI_MERGE_REQUEST_IID", "7".to_owned()),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main".to_owned()),
        ("CI_PROJECT_ID", "42".to_owned()),
    ]
}

fn note(forge: &Forge, text: &str, variables: &[(&str, &str)]) -> Said {
    let project = Project::new().file("plan.md", &plan("prod", text));
    let mut command = command("python3");
    command.arg(own("ci/comment.py")).arg(project.path().join("plan.md"));
    let said = Said::by(command.envs(gitlab(forge)).envs(variables.iter().copied()));
    assert!(!format!("{said}").contains(TOKEN), "the token is shown: {said}");
    said
}

fn forge() -> Forge {
    let forge = Forge::start();
    forge.state().login = Some("project_42_bot".to_owned());
    forge
}

#[test]
fn a_plan_becomes_a_note_and_the_next_one_takes_its_place() {
    let forge = forge();
    forge.comment("alice", &plan("prod", "quoted"));
    for (text, said) in [("first", "commented\n"), ("second", "up to date\n"), ("second", "says so already\n")] {
        let ran = note(&forge, text, &[]);
        assert_eq!(ran.code, Some(0), "{ran}");
        assert!(ran.stdout.ends_with(said), "{ran}");
    }
    let notes = "/projects/42/merge_requests/7/notes";
    assert_eq!(forge.writes(), [format!("POST {notes}"), format!("PUT {notes}/2")]);
    assert!(forge.bodies()[1].contains("second") && forge.bodies()[1].contains("-/jobs/5"), "{:?}", forge.bodies());
}

#[test]
fn a_merge_request_that_has_moved_on_or_is_closed_is_left_alone() {
    let forge = forge();
    let merged = [("CI_COMMIT_SHA", "the merge"), ("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", COMMIT)];
    assert!(note(&forge, "x", &merged).stdout.ends_with("commented\n"));
    let said = note(&forge, "y", &[("CI_COMMIT_SHA", "older")]).stdout;
    assert_eq!(said, "nothing to comment: merge request 7 has moved on from older to 1a2b3c4d5e\n");
    forge.state().state = "closed";
    assert_eq!(note(&forge, "y", &[]).stdout, "nothing to comment: merge request 7 is closed\n");
}

#[test]
fn a_token_that_is_not_valid_is_told_what_it_has_to_be() {
    let said = note(&forge(), "x", &[("GITLAB_TOKEN", "glpat-other")]);
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.stderr.contains("401 Bad credentials; GITLAB_TOKEN is not valid here"), "{said}");
    assert!(said.stdout.is_empty() && !said.stderr.contains("glpat"), "{said}");
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut git = command("git");
    git.args(["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main"]);
    let said = Said::by(git.args(arguments).current_dir(folder).env("HOME", folder));
    assert_eq!(said.code, Some(0), "git {arguments:?}: {said}");
}

/// The lines of a job's script in the example.
fn script(job: &str) -> Vec<String> {
    let mut loader = command(python());
    let example = own("docs/ci/gitlab-ci.yml");
    let said = Said::by(loader.arg(own("tests/support/composite.py")).args(["load", &example]));
    let all: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said}"));
    let lines = all[&example][job]["script"].as_array().expect("a script").iter();
    lines.map(|line| line.as_str().expect("text").to_owned()).collect()
}

/// Does a job's script in a clone of a project, with a program that writes a plan and exits with `code`.
fn run(forge: &Forge, job: &str, code: u8) -> (Said, Project) {
    let project = Project::new().file("origin/runner.toml", "# of main\n").file("tools/base/.keep", "").file(
        "runner",
        &format!(
            "#!/usr/bin/env bash\nprintf '<%s>' \"$@\" >calls\n\
             while [ $# -gt 0 ]; do [ \"$1\" != --out ] || {{ mkdir -p \"$2\"; cp ../plan.md \"$2\"; }}; shift; done\nexit {code}\n"
        ),
    );
    let project = project.file("plan.md", &plan("prod", "x"));
    let (origin, clone) = (project.path().join("origin"), project.path().join("clone"));
    git(&origin, &["init", "--quiet"]);
    git(&origin, &["add", "."]);
    git(&origin, &["commit", "--quiet", "-m", "main"]);
    git(project.path(), &["clone", "--quiet", "origin", "clone"]);
    let program = clone.join(".runner/program/bin");
    fs::create_dir_all(&program).expect("the temporary folder takes folders");
    fs::copy(project.path().join("runner"), program.join("runner")).expect("it takes files");
    fs::set_permissions(program.join("runner"), fs::Permissions::from_mode(0o755)).expect("our own file");
    // The change has settings of its own.
    fs::write(clone.join("runner.toml"), "# of the change\n").expect("it takes files");
    std::os::unix::fs::symlink(env!("CARGO_MANIFEST_DIR"), project.path().join("tools/source"))
        .expect("it takes links");
    let mut shell = command("bash");
    shell.args(["-eo", "pipefail", "-c", &script(job).join("\n")]).current_dir(&clone).envs(gitlab(forge));
    shell.env("ENVIRONMENT", "prod").env("TOOLS", project.path().join("tools"));
    (Said::by(&mut shell), project)
}

#[test]
fn the_examples_plan_obeys_the_target_branch_is_noted_and_keeps_its_exit_code() {
    let forge = forge();
    let (said, project) = run(&forge, "plan", 5);
    assert_eq!(said.code, Some(5), "{said}");
    assert_eq!(forge.bodies().len(), 1, "{said}");
    let base = project.path().join("tools/base/runner.toml");
    assert_eq!(fs::read_to_string(&base).expect("the policy"), "# of main\n");
    let calls = fs::read_to_string(project.path().join("clone/calls")).expect("it was called");
    let expected = format!(
        "<plan><--untrusted><--no-input><--policy-from><{}><--env><prod><--params-file><deploys/prod.toml>\
         <--format><text><--format><markdown><--format><json><--format><html><--out><plan/prod><runbooks/prod-deploy.rhai>",
        base.display()
    );
    assert_eq!(calls, expected);
}

#[test]
fn the_examples_deploy_runs_and_keeps_its_exit_code() {
    let (said, project) = run(&forge(), ".deploy", 10);
    assert_eq!(said.code, Some(10), "{said}");
    let calls = fs::read_to_string(project.path().join("clone/calls")).expect("it was called");
    assert_eq!(calls, "<run><--no-input><--env><prod><--params-file><deploys/prod.toml><runbooks/prod-deploy.rhai>");
}
