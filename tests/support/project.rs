//! A folder with a project in it, and the built binary run there. Shared by the test binaries.

use std::{
    fmt, fs,
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

/// A project in a folder of its own, gone with the value.
pub struct Project {
    dir: TempDir,
}

impl Project {
    /// An empty one.
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    /// One with a runbook that does nothing, as `deploy.rhai`.
    pub fn with_runbook() -> Self {
        Self::new().file("deploy.rhai", "")
    }

    pub fn file(self, name: &str, text: &str) -> Self {
        let path = self.dir.path().join(name);
        let written = fs::create_dir_all(path.parent().expect("below the folder")).and_then(|()| fs::write(path, text));
        written.expect("the temporary folder takes files");
        self
    }

    pub fn path(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// Runs `runner` in the folder, with nothing of this process's environment.
    pub fn runner(&self, args: &[&str]) -> Ran {
        self.runner_in(args, &[])
    }

    /// The same, with variables of the environment.
    pub fn runner_in(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let output = self.command(args).envs(variables.iter().copied()).output().expect("the binary was built");
        Ran::new(output, self.dir.path().to_str().expect("the name of a temporary folder is UTF-8"))
    }

    /// Starts `runner` in the folder and does not wait for it.
    pub fn start(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary was built")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            // No test may find the credentials of the machine it runs on.
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("NO_COLOR", "1");
        // What is recorded for the judges of requests and replies.
        command.envs(std::env::var_os("RUNNER_RECORD_WIRE").map(|folder| ("RUNNER_RECORD_WIRE", folder)));
        command
    }
}

/// What somebody saw who ran it. The folder's name is left out of it.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    fn new(output: Output, dir: &str) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("runner writes UTF-8").replace(dir, "[folder]");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or("killed".to_owned(), |code| code.to_string());
        write!(f, "exit code: {code}\n----- stdout -----\n{}\n----- stderr -----\n{}", self.stdout, self.stderr)
    }
}
