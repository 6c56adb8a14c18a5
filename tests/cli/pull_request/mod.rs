//! What happens on a pull request: the comment, the action that makes it, and the workflows that use the action.

mod action;
mod comment;
mod gitlab;
mod roles;
mod workflows;

use std::{
    ffi::OsStr,
    fmt,
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::{Value, json};

use crate::{
    forge::{COMMIT, Forge, TOKEN},
    moto::python,
};

/// A file of this repository.
fn own(path: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display().to_string()
}

/// What GitHub says to a job about a pull request.
fn pull_request() -> Value {
    json!({ "pull_request": { "number": 7, "head": { "sha": COMMIT } } })
}

/// The variables that GitHub gives to a job, and the token.
fn github(forge: &Forge, event: &Path) -> Vec<(String, String)> {
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_API_URL", &forge.url),
        ("GITHUB_EVENT_NAME", "pull_request"),
        ("GITHUB_EVENT_PATH", event.to_str().expect("a temporary folder's name is UTF-8")),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_RUN_ID", "99"),
        ("GITHUB_SERVER_URL", "https://github.example"),
        ("GITHUB_TOKEN", TOKEN),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// A command with nothing of this process's environment but where programs are.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", path()).stdin(Stdio::null());
    command
}

/// Where programs are. `python3` is a bare one, without the packages of the tests.
fn path() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let said = Said::by(Command::new(python()).args(["-c", "import sys; print(sys.base_exec_prefix)"]));
        format!("{}/bin:{}", said.stdout.trim(), std::env::var("PATH").unwrap_or_default())
    })
}

/// How a command ended, and what it said.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Said {
    fn by(command: &mut Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}\n----- stdout -----\n{}\n----- stderr -----\n{}", self.code, self.stdout, self.stderr)
    }
}

/// A plan as `runner plan --format markdown` writes it.
fn plan(env: &str, text: &str) -> String {
    format!("<!-- runner:plan env={env} runbook=runbooks/deploy.rhai -->\n## Plan · {env}\n\n{text}\n")
}
