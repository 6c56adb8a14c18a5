//! What a runbook does outside AWS. Policy allows it by name.

pub mod exec;
pub mod http_request;
pub mod notify;

use std::time::Duration as Time;

use serde_json::{Value, json};

use super::Error;
use crate::{
    aws::intern,
    event::Event,
    outside::{Command, Finished, Trouble},
    policy::outside::HOST,
    redact::MASK,
    run::{Class, Ctx, Mutation, Outcome, Undo},
    web::{self, Reply, Request, Url},
};

/// A command, and what is known and shown of it.
pub(super) struct Declared {
    pub command: Command,
    /// As people type it.
    pub line: String,
    /// What policy judges and people see: without secrets.
    pub shown: Value,
    pub class: Class,
    pub undo: Option<Undo>,
    /// What a dry run takes for its output.
    pub assume: String,
}

impl Declared {
    /// Runs it, and says its output line by line. Whatever its exit code is, it has ended.
    ///
    /// # Errors
    /// Those of [`Ctx::outside`].
    pub async fn run(self, ctx: &Ctx) -> Result<Outcome<Finished>, Error> {
        let Self { command, line, shown, class, undo, assume } = self;
        let declared = Mutation::new(intern(&format!("exec:{}", command.program)), class, line)
            .undo(undo)
            .if_said(json!(Finished::default()));
        let name = command.program.rsplit('/').next().unwrap_or(&command.program);
        let tell = |line: &str, _: bool| ctx.emit(Event::Log { message: format!("{name}: {line}") });
        let assume = Finished { stdout: assume, ..Finished::default() };
        ctx.outside(declared, shown, assume, || command.run(tell)).await
    }
}

/// Words of a command, as they are typed.
pub(super) fn line(words: impl IntoIterator<Item = String>) -> String {
    let quoted = |word: String| if word.is_empty() || word.contains(' ') { format!("'{word}'") } else { word };
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// So much of an error's output is said with the failure, in lines.
const SAID: usize = 5;

/// What is wrong with the end of a command, if anything is.
///
/// # Errors
/// [`Error::Failed`] with its exit code and the end of its error output.
pub(super) fn check_exit(line: &str, ended: &Finished) -> Result<(), Error> {
    match ended.faults(SAID) {
        None => Ok(()),
        Some(faults) => Err(Error::Failed { what: format!("`{line}`"), faults }),
    }
}

/// What is shown of a request: where it goes, and not what may be secret of it.
fn shown(url: &Url, is_secret: bool, body: Option<&Value>) -> Value {
    let url_shown = if is_secret { json!(MASK) } else { json!(url.to_string()) };
    json!({ HOST: url.host, "url": url_shown, "body": body })
}

/// Sends a request once.
async fn send(request: &Request) -> Result<Reply, Trouble> {
    web::send(request).await.map_err(|trouble| match trouble {
        web::Trouble::NoName(_) | web::Trouble::Refused | web::Trouble::Tls(_) => {
            Trouble::Failed { code: "NotConnected", message: trouble.to_string() }
        }
        web::Trouble::TimedOut(_) | web::Trouble::Other(_) => Trouble::Unknown(trouble.to_string()),
    })
}

fn url(option: &str, text: &str) -> Result<Url, Error> {
    text.parse().map_err(|message: String| Error::option(option, message))
}

/// Between two tries of the same request.
const LATER: Time = Time::from_secs(1);

/// Lets a moment pass between two tries.
async fn later(ctx: &Ctx) -> Result<(), Error> {
    ctx.sleep(LATER).await
}
