//! The docker CLI, or one that takes the same words: images on this machine.
//!
//! Secrets go to it in its environment or on its standard input, never among its arguments: those can be seen by everybody on a
//! machine.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::json;

use crate::{
    ops::{
        Error,
        outside::{Declared, check_exit, line},
    },
    outside::{Command, Finished, Trouble},
    policy::outside::PROGRAM,
    redact::MASK,
    run::{Class, Ctx, Outcome, Undo},
};

/// Where a CLI is, and how long each of its commands may take.
pub struct Docker<'a> {
    /// A name that is looked for in `PATH`, or a path.
    pub program: &'a str,
    pub timeout: Duration,
}

/// What is given to a command beside its arguments.
#[derive(Default)]
pub struct With {
    /// Variables that are secret.
    pub env: BTreeMap<String, String>,
    /// A secret that it reads.
    pub stdin: Option<String>,
    pub undo: Option<Undo>,
}

/// An image on this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Local {
    pub id: String,
    /// `REPOSITORY@DIGEST` of each repository it was pushed to, or pulled from.
    pub repo_digests: Vec<String>,
}

impl Local {
    /// Whether it is the image of a repository, by its URI, with that digest.
    pub fn is(&self, repository_uri: &str, digest: &str) -> bool {
        self.repo_digests.iter().any(|known| known.split_once('@') == Some((repository_uri, digest)))
    }
}

/// What is known of an image on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// In a dry run, and on the simulated AWS, nobody looks.
    NotLooked,
    Absent,
    There(Local),
}

/// How long looking at an image may take: nothing is transferred.
const LOOK: Duration = Duration::from_secs(60);

impl Docker<'_> {
    /// Runs a command that ends in the same state each time; whether it was only shown.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such CLI, [`Error::Failed`] with what it says if it fails.
    pub async fn run(&self, ctx: &Ctx, args: Vec<String>, with: With) -> Result<bool, Error> {
        let said = self.line(&args);
        let shown: BTreeMap<&String, &str> = with.env.keys().map(|name| (name, MASK)).collect();
        let declared = Declared {
            line: said.clone(),
            shown: json!({
                PROGRAM: self.program, "args": &args, "env": shown, "stdin": with.stdin.as_ref().map(|_| MASK),
            }),
            class: Class::Idempotent,
            undo: with.undo,
            assume: String::new(),
            command: Command {
                env: with.env,
                stdin: with.stdin.unwrap_or_default(),
                ..self.command(args, self.timeout)
            },
        };
        match declared.run(ctx).await {
            Ok(Outcome { value, assumed }) => check_exit(&said, &value).map(|()| assumed),
            Err(error) if error.is(&["NotFound"]) => Err(self.absent()),
            Err(error) => Err(error),
        }
    }

    /// The image that a reference or an id names on this machine.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn look(&self, ctx: &Ctx, image: &str) -> Result<Seen, Error> {
        let args = ["image", "inspect", image].map(str::to_owned).to_vec();
        let said = self.line(&args);
        ctx.may_send(&format!("exec:{}", self.program), &said, &json!({ PROGRAM: self.program, "args": args })).await?;
        let command = self.command(args, LOOK);
        let looked = ctx.look_outside(None, || async { command.run(|_, _| {}).await.map(Some) }).await;
        match looked {
            Ok(None) => Ok(Seen::NotLooked),
            Ok(Some(ended)) => seen(&said, &ended),
            Err(Trouble::Failed { code: "NotFound", .. }) => Err(self.absent()),
            Err(trouble) => Err(Error::Failed { what: format!("`{said}`"), faults: vec![trouble.to_string()] }),
        }
    }

    fn line(&self, args: &[String]) -> String {
        line([self.program.to_owned()].into_iter().chain(args.iter().cloned()))
    }

    fn command(&self, args: Vec<String>, timeout: Duration) -> Command {
        Command {
            program: self.program.to_owned(),
            args,
            env: BTreeMap::new(),
            directory: None,
            stdin: String::new(),
            timeout,
        }
    }

    fn absent(&self) -> Error {
        let hint = "install Docker, or name a CLI that takes the same words with `program` (`podman`, `nerdctl`, a path); or build \
                    the image elsewhere, and look it up with `find_container_image`";
        Error::NotFound { what: format!("the program `{}` on this machine", self.program), hint: Some(hint.to_owned()) }
    }
}

fn seen(said: &str, ended: &Finished) -> Result<Seen, Error> {
    // Docker: "No such image"; podman: "image not known"; nerdctl: "no such image".
    let is_absent =
        ["no such image", "image not known"].iter().any(|words| ended.stderr.to_lowercase().contains(words));
    if ended.exit_code != 0 && is_absent {
        return Ok(Seen::Absent);
    }
    check_exit(said, ended)?;
    let mut found: Vec<Local> = serde_json::from_str(&ended.stdout).map_err(|error| Error::Failed {
        what: format!("`{said}`"),
        faults: vec![format!("expected a JSON array of images: {error}")],
    })?;
    Ok(found.pop().map_or(Seen::Absent, Seen::There))
}

/// Whether a text can be a tag. Source: "tag" of the OCI distribution specification.
///
/// # Errors
/// [`Error::Option`] if not.
pub fn check_tag(option: &str, tag: &str) -> Result<(), Error> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = tag.bytes().next().is_some_and(is_word);
    match begins && tag.len() <= 128 && tag.bytes().all(|byte| is_word(byte) || b".-".contains(&byte)) {
        true => Ok(()),
        false => {
            let message = format!(
                "expected at most 128 letters, digits, `_`, `.` and `-`, the first no `.` or `-`, found {tag:?}"
            );
            Err(Error::option(option, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(exit_code: i32, stdout: &str, stderr: &str) -> Finished {
        Finished { exit_code, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
    }

    #[test]
    fn what_a_cli_says_of_an_image() {
        let said = "docker image inspect web";
        let shown = r#"[{"Id": "sha256:1", "RepoDigests": ["web@sha256:2"], "Size": 3}]"#;
        let local = Local { id: "sha256:1".into(), repo_digests: vec!["web@sha256:2".into()] };
        assert_eq!(seen(said, &ended(0, shown, "")).ok(), Some(Seen::There(local)));
        for words in ["Error response from daemon: No such image: web", "Error: web: image not known"] {
            assert_eq!(seen(said, &ended(1, "[]\n", words)).ok(), Some(Seen::Absent));
        }
        let words = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
        let error = seen(said, &ended(1, "", words)).expect_err("no daemon").to_string();
        assert_eq!(error, format!("`{said}` failed: exit code 1; {words}"));
        let error = seen(said, &ended(0, "web", "")).expect_err("no JSON").to_string();
        assert!(error.contains("expected a JSON array"), "{error}");
    }

    #[test]
    fn tags() {
        for tag in ["1.4.2", "latest", "_a", "a-b_c.d"] {
            assert!(check_tag("tag", tag).is_ok(), "{tag}");
        }
        for tag in ["", ".a", "-a", "a/b", "a b", "é", &"a".repeat(129)] {
            assert!(check_tag("tag", tag).is_err(), "{tag}");
        }
    }
}
