//! What was found, and how it is shown with the lines of source.

use std::{fmt, sync::Arc};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};

use super::super::{Failure, Library, Place, diagnostic, words};

/// A kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lint {
    /// What it is called: short, in kebab-case.
    pub name: &'static str,
    pub severity: Severity,
    /// One line about it, for the documentation.
    pub about: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Running into it fails.
    Error,
    /// It runs, and hardly does what was meant.
    Warning,
}

/// A lint whose findings stop a script from being run.
pub const fn error(name: &'static str, about: &'static str) -> Lint {
    Lint { name, severity: Severity::Error, about }
}

/// A lint whose findings are worth a look.
pub const fn warning(name: &'static str, about: &'static str) -> Lint {
    Lint { name, severity: Severity::Warning, about }
}

/// One problem in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub lint: Lint,
    /// As the library knows the file.
    pub file: Arc<str>,
    /// `None`: the file as a whole.
    pub place: Option<Place>,
    /// A lowercase fragment: what was wanted and what was found.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Another place in the same file that has to do with it, and what.
    pub other: Option<(Place, String)>,
}

impl Finding {
    pub fn new(lint: Lint, file: &Arc<str>, message: impl Into<String>) -> Self {
        Self { lint, file: Arc::clone(file), place: None, message: message.into(), help: None, other: None }
    }

    pub fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    pub fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    pub fn other(mut self, other: Option<(Place, String)>) -> Self {
        self.other = other;
        self
    }

    /// Of what running the script would raise, in the same words.
    pub fn of_failure(lint: Lint, file: &Arc<str>, failure: Failure) -> Self {
        let place = failure.place().cloned();
        let file = place.as_ref().map_or(file, |place| &place.file);
        Self::new(lint, file, failure.message).at(place.clone()).help(failure.help)
    }
}

/// A finding with the text it was found in.
#[derive(Clone, Debug)]
pub struct Found {
    pub finding: Finding,
    /// The whole file. `None`: it could not be read.
    pub text: Option<Arc<str>>,
}

/// Where a finding is on a line of text, in characters from 1; the end is the first after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub line: u32,
    pub column: u32,
    pub end_column: u32,
}

impl Found {
    pub(super) fn new(finding: Finding, library: &Library) -> Self {
        let text = library.text(&finding.file);
        Self { finding, text }
    }

    /// The word it is about. `None`: the file as a whole.
    pub fn extent(&self) -> Option<Extent> {
        let (place, text) = (self.finding.place.as_ref()?, self.text.as_ref()?);
        let span = diagnostic::span(text, place);
        let line_start = text[..span.offset()].rfind('\n').map_or(0, |at| at + 1);
        let characters = |range: &str| u32::try_from(range.chars().count()).unwrap_or(u32::MAX);
        let column = characters(&text[line_start..span.offset()]) + 1;
        let end_column = column + characters(&text[span.offset()..span.offset() + span.len()]);
        Some(Extent { line: place.line, column, end_column })
    }

    /// The report with the lines of source. `file` is what to call the file.
    pub fn problem(&self, file: &str) -> impl Diagnostic + Send + Sync + 'static {
        let Finding { lint, place, message, help, other, .. } = &self.finding;
        let mut labels = Vec::new();
        let text: Option<Arc<str>> = self.text.as_ref().map(|text| words::visible(text).into());
        if let (Some(text), Some(place)) = (&text, place) {
            let label = |place: &Place, words: &str, primary: bool| {
                let (words, span): (_, SourceSpan) = (Some(words.to_owned()), diagnostic::span(text, place));
                if primary {
                    LabeledSpan::new_primary_with_span(words, span)
                } else {
                    LabeledSpan::new_with_span(words, span)
                }
            };
            labels.push(label(place, lint.name, true));
            labels.extend(other.iter().map(|(place, words)| label(place, words, false)));
        }
        // Without a place there is nothing to show but the name of the file.
        let is_named = !labels.is_empty() || message.contains(file);
        let message = if is_named { message.clone() } else { format!("{file}: {message}") };
        let source = text.as_ref().filter(|_| !labels.is_empty());
        Problem {
            severity: lint.severity,
            message,
            help: help.clone(),
            source: source.map(|text| NamedSource::new(file, Arc::clone(text))),
            labels,
        }
    }
}

/// A finding as a report.
#[derive(Debug)]
struct Problem {
    severity: Severity,
    message: String,
    help: Option<String>,
    source: Option<NamedSource<Arc<str>>>,
    labels: Vec<LabeledSpan>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as _)
    }
}
