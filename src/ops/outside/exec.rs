//! `exec`: a command of this machine.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Declared, check_exit, line};
use crate::{
    event::Change,
    ops::{Duration, Error, Kind, Operation, Sensitive, ownership::set},
    outside::{Command, Finished},
    policy::outside::PROGRAM,
    redact::MASK,
    run::{Class, Ctx, Outcome},
};

/// Runs a command on this machine: a program with its arguments, without a shell. Only the programs that `allowed_commands` of the
/// environment's policy names may run. Its output is shown line by line, and its end is kept. In a dry run and on the
/// simulated AWS it is only shown. Nothing takes it back but what an `on_rollback` hook does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// A name that is looked for in the `PATH` of `runner`, or a path.
    program: String,
    /// Its arguments.
    #[serde(default)]
    args: Vec<Sensitive>,
    /// Beside the environment of this process. A `PATH` is for what the program starts itself.
    #[serde(default)]
    env: BTreeMap<String, Sensitive>,
    /// Where it runs; the folder `runner` was started in.
    directory: Option<PathBuf>,
    /// What it reads.
    stdin: Option<Sensitive>,
    /// How long it may take; then it is stopped, with all it has started.
    #[serde(default = "ten_minutes")]
    timeout: Duration,
    /// An exit code other than 0 is no failure.
    #[serde(default)]
    allow_failure: bool,
    /// It may run again when it is not known whether it has ended: the run was killed meanwhile. Without it a person is asked.
    #[serde(default)]
    idempotent: bool,
    /// What a dry run, or a run on the simulated AWS, takes for its standard output.
    #[serde(default)]
    assume: String,
}

/// What has the loader of programs take other code. Source: ld.so(8).
const LOADED: [&str; 3] = ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"];

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

/// How a command ended.
#[derive(Debug, Serialize)]
pub struct CommandResult {
    pub program: String,
    /// 128 and the number of the signal, if one ended it.
    pub exit_code: i32,
    /// The end of it, 64 KiB at least.
    pub stdout: String,
    /// The end of it, 64 KiB at least.
    pub stderr: String,
    /// The standard output, if it is JSON.
    pub json: Value,
    /// It did not run: a dry run, or the simulated AWS.
    pub assumed: bool,
}

impl Kind for CommandResult {
    const KIND: &'static str = "command_result";
    const ID: &'static str = "program";
}

impl Operation for Exec {
    const NAME: &'static str = "exec";
    const AREA: &'static str = "Outside AWS";
    const POSITIONAL: &'static [&'static str] = &["program"];
    const EXAMPLE: &'static str = r#"exec("docker", #{ args: ["build", "--tag", "shop:1.4.2", "."], timeout: "20m" })"#;

    type Options = Self;
    type Handle = CommandResult;

    fn subject(options: &Self) -> String {
        options.line()
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<CommandResult, Error> {
        if options.program.is_empty() {
            return Err(Error::option("program", "expected the name of a program, found nothing"));
        }
        if let Some(name) = options.env.keys().find(|name| LOADED.contains(&name.as_str())) {
            let message = "it loads code of others into the program that policy allows";
            return Err(Error::option(format!("env.{name}"), message));
        }
        let declared = Declared {
            command: options.command(),
            line: options.line(),
            shown: options.shown(),
            class: if options.idempotent { Class::Idempotent } else { Class::Once },
            undo: None,
            assume: options.assume.clone(),
        };
        let Outcome { value: finished, assumed } = declared.run(ctx).await?;
        if !options.allow_failure {
            check_exit(&options.line(), &finished)?;
        }
        let Finished { exit_code, stdout, stderr } = finished;
        let told = if assumed { set("exit_code", "assumed") } else { set("exit_code", exit_code) };
        ctx.did(Change::Updated, [told]);
        let json = serde_json::from_str(&stdout).unwrap_or_default();
        Ok(CommandResult { program: options.program, exit_code, stdout, stderr, json, assumed })
    }
}

impl Exec {
    fn command(&self) -> Command {
        let text = |text: &Sensitive| text.expose().to_owned();
        Command {
            program: self.program.clone(),
            args: self.args.iter().map(text).collect(),
            env: self.env.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            directory: self.directory.clone(),
            stdin: self.stdin.as_ref().map(text).unwrap_or_default(),
            timeout: self.timeout.0,
        }
    }

    /// The command as people type it.
    fn line(&self) -> String {
        line([self.program.clone()].into_iter().chain(self.args.iter().map(visible)))
    }

    fn shown(&self) -> Value {
        let env: BTreeMap<&str, String> =
            self.env.iter().map(|(name, value)| (name.as_str(), visible(value))).collect();
        json!({
            PROGRAM: self.program, "args": self.args.iter().map(visible).collect::<Vec<_>>(), "env": env,
            "directory": self.directory, "stdin": self.stdin.as_ref().map(visible),
        })
    }
}

fn visible(text: &Sensitive) -> String {
    if text.is_secret() { MASK.to_owned() } else { text.expose().to_owned() }
}
