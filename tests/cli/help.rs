//! What the program says about itself.

use std::{
    io::Read,
    process::{Command, Stdio},
};

use crate::project::Project;

#[test]
fn help() {
    insta::assert_snapshot!(Project::new().runner(&["--help"]));
}

#[test]
fn help_of_run() {
    insta::assert_snapshot!(Project::new().runner(&["run", "--help"]));
}

#[test]
fn colour_is_asked_for_with_a_flag_also_in_help() {
    let project = Project::new();
    assert!(project.runner(&["--color", "always", "--help"]).stdout.contains('\x1b'));
    assert!(project.runner(&["--help", "--color=always"]).stdout.contains('\x1b'));
    assert!(!project.runner(&["--help"]).stdout.contains('\x1b'));
    let forced = [("NO_COLOR", ""), ("CLICOLOR_FORCE", "1")];
    assert!(project.runner_in(&["--help"], &forced).stdout.contains('\x1b'));
    assert!(!project.runner_in(&["--help", "--color", "never"], &forced).stdout.contains('\x1b'));
}

#[test]
fn completions() {
    let project = Project::new();
    for (shell, beginning) in [("bash", "_runner() {"), ("zsh", "#compdef runner"), ("fish", "# Print an optspec")] {
        let ran = project.runner(&["completions", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        assert!(ran.stdout.starts_with(beginning), "{shell}: {}", ran.stdout);
    }
}

#[test]
fn a_reader_that_has_had_enough_is_not_a_failure() {
    let mut runner = Command::new(env!("CARGO_BIN_EXE_runner"))
        .args(["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    drop(runner.stdout.take());
    let status = runner.wait().expect("it ends");
    let mut stderr = String::new();
    runner.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}
