//! What can be wrong with settings, and the words for it. All of it exits with "usage".

use std::{
    io,
    ops::Range,
    path::{Display, Path, PathBuf},
    sync::Arc,
};

use miette::{Diagnostic, NamedSource, SourceSpan};
use thiserror::Error;

use crate::script::{
    Place,
    check::{Finding, Found, Lint},
    suggest,
};

/// Why there are no settings to run with.
#[derive(Debug, Error, Diagnostic)]
pub enum Error {
    /// A file says something that cannot be meant.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Text(#[from] Box<TextError>),

    #[error("cannot read {what} `{}`: {}", shown(path), reason(cause))]
    Unreadable { what: &'static str, path: PathBuf, cause: io::Error },

    #[error("there is no runbook `{}`", path.display())]
    NoRunbook {
        path: PathBuf,
        #[help]
        hint: Option<String>,
    },

    #[error("unknown environment `{name}`: {known}")]
    UnknownEnvironment {
        name: String,
        known: String,
        #[help]
        hint: String,
    },

    #[error("parameter `{name}` is given twice")]
    #[diagnostic(help("say `--param {name}=…` once"))]
    ParamTwice { name: String },

    #[error("`--reason` is for `--override CHECK`, and nothing is set aside")]
    #[diagnostic(help("leave it out, or say which check is meant"))]
    ReasonForNothing,

    #[error("parameters are checked against one runbook, and here are {files} scripts")]
    #[diagnostic(help("give the path of the runbook they are for"))]
    ParamsOfMany { files: usize },

    #[error("there is no .rhai file in {}", listed(paths))]
    #[diagnostic(help("give the folder of your runbooks, or a runbook"))]
    NothingToCheck { paths: Vec<PathBuf> },

    #[error("parameters are read from .toml and .json files, found `{}`", path.display())]
    #[diagnostic(help("rename it, so that its name ends in .toml or .json"))]
    ParamsFormat { path: PathBuf },

    #[error("`{flag}` is for the simulated AWS, and the target is AWS{}", because(environment.as_ref()))]
    #[diagnostic(help("add --sim, or leave `{flag}` out"))]
    NeedsSim { flag: &'static str, environment: Option<String> },

    #[error("`--endpoint-url` sends calls to a server, and the target is the simulated AWS{}", because(environment.as_ref()))]
    #[diagnostic(help("add `--target aws`, or leave --endpoint-url out"))]
    EndpointOfSim { environment: Option<String> },
}

/// What is wrong with a file, and where.
#[derive(Debug, Error, Diagnostic)]
#[error("{message}")]
pub struct TextError {
    message: String,
    #[source_code]
    text: NamedSource<String>,
    #[label("here")]
    at: SourceSpan,
    #[help]
    hint: Option<String>,
}

impl TextError {
    /// The same as a finding of `runner check`, for who reads those.
    pub fn found(&self, lint: Lint) -> Found {
        let text: Arc<str> = self.text.inner().as_str().into();
        let before = text.get(..self.at.offset()).unwrap_or_default();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let file: Arc<str> = self.text.name().into();
        let line = count(before.matches('\n').count() + 1);
        let column = count(before.rsplit('\n').next().unwrap_or_default().chars().count() + 1);
        let place = Place { file: Arc::clone(&file), line, column };
        let finding = Finding::new(lint, &file, &self.message).at(Some(place)).help(self.hint.clone());
        Found { finding, text: Some(text) }
    }
}

fn because(environment: Option<&String>) -> String {
    environment.map(|name| format!(" (so says environment `{name}`)")).unwrap_or_default()
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
}

/// The operating system's words without its number.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::InvalidData => "it is not UTF-8 text".into(),
        io::ErrorKind::IsADirectory => "it is a directory".into(),
        _ => error.to_string(),
    }
}

/// A path as the user would type it: from the current folder, where it is below it.
pub fn shown(path: &Path) -> Display<'_> {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    here.ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path).display()
}

/// A settings file while it is read: makes errors that show the place in it.
pub struct Text<'a> {
    pub name: &'a str,
    pub text: &'a str,
    /// The text as an error shows it, as long as it is.
    pub shown: &'a str,
}

impl Text<'_> {
    pub fn error(&self, at: Range<usize>, message: impl Into<String>, hint: Option<String>) -> Error {
        let text = NamedSource::new(self.name, self.shown.to_owned());
        Box::new(TextError { message: message.into(), text, at: at.into(), hint }).into()
    }

    /// Of the TOML parser or of serde, in the words used elsewhere.
    pub fn toml_error(&self, error: &toml::de::Error) -> Error {
        let (message, hint) = reword(error.message());
        let at = error.span().unwrap_or_default();
        // A span of a whole table would paint half of the file.
        let first_line = self.text.get(at.clone()).and_then(|text| text.lines().next()).unwrap_or_default().len();
        self.error(at.start..at.start + first_line, message, hint)
    }
}

/// serde has words for unknown names only, and no data: the names are those in backticks, the
/// unknown one first.
fn reword(message: &str) -> (String, Option<String>) {
    let what = match message {
        _ if message.starts_with("unknown field `") => "key",
        _ if message.starts_with("unknown variant `") => "value",
        _ => return (message.lines().collect::<Vec<_>>().join(", "), None),
    };
    let mut names = message.split('`').skip(1).step_by(2);
    let found = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    let hint = suggest::did_you_mean(found, known.iter().copied()).unwrap_or_else(|| match known.as_slice() {
        [] => "nothing is expected here".to_owned(),
        _ => format!("known are `{}`", known.join("`, `")),
    });
    (format!("unknown {what} `{found}`"), Some(hint))
}
