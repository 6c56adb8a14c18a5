//! What went wrong in a script, with the way there and the lines of source.
//!
//! [`Trace`] is the data; [`Problem`] is the report that miette renders.

use std::{fmt::Write as _, sync::Arc};

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};
use rhai::{Dynamic, EvalAltResult, Map, ParseError};

use super::{Failure, Library, Place, Vocabulary, syntax, words};

/// A failure and the calls that led to it.
#[derive(Clone, Debug)]
pub struct Trace {
    pub message: String,
    pub help: Option<String>,
    pub place: Option<Place>,
    /// The nearest caller first.
    pub callers: Vec<Caller>,
    /// The host's failure, when it was one: also when a script caught it and threw it again.
    pub failure: Option<Failure>,
}

/// A place on the way to a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub place: Place,
    /// `in the call of ...`
    pub what: String,
}

impl Trace {
    /// Of an error that Rhai returned for the script `file`.
    pub fn new(file: &str, mut error: EvalAltResult, library: &Library, host: &Vocabulary) -> Self {
        let mut file = file.to_owned();
        let mut callers: Vec<Caller> = Vec::new();
        let mut leaf = &mut error;
        loop {
            let position = leaf.position();
            let (what, next_file, inner) = match leaf {
                EvalAltResult::ErrorInFunctionCall(name, source, inner, _) => {
                    let written = library.file_of_function(name, source);
                    (call_words(name), written.unwrap_or_else(|| file.clone()), inner)
                }
                EvalAltResult::ErrorInModule(name, inner, _) => {
                    (Some(format!("imports `{name}`")), name.clone(), inner)
                }
                _ => break,
            };
            let goes_elsewhere = next_file != file;
            // A closure stands where it is called, most of the time: the way there says nothing new.
            let what = what.or_else(|| goes_elsewhere.then(|| "in a closure, called here".into()));
            if let (Some(place), Some(what)) = (Place::new(&file, position), what) {
                callers.push(Caller { place, what });
            }
            if goes_elsewhere {
                file = next_file;
            }
            leaf = inner;
        }
        callers.reverse();

        let mut place = Place::new(&file, leaf.position());
        let mut help = None;
        let mut failure = None;
        match leaf {
            EvalAltResult::ErrorRuntime(value, _) | EvalAltResult::ErrorTerminated(value, _) => {
                failure = words::failure(value);
                let origin =
                    failure.as_ref().and_then(|f| f.call.clone().or(f.focus.clone())).or_else(|| caught(value));
                if let Some(origin) = origin {
                    if let Some(thrown) = place.take_if(|place| *place != origin) {
                        callers.insert(0, Caller { place: thrown, what: "thrown again here".into() });
                    }
                    // What is wrong may stand in a file that the call reads.
                    if failure
                        .as_ref()
                        .and_then(|failure| failure.focus.as_ref())
                        .is_some_and(|f| f.file != origin.file)
                    {
                        callers.insert(0, Caller { place: origin.clone(), what: "read by the call here".into() });
                    }
                    place = failure.as_ref().and_then(Failure::place).cloned().or(Some(origin));
                }
            }
            EvalAltResult::ErrorFunctionNotFound(signature, _) => {
                let (name, arguments) = words::function(signature);
                help = if host.contains(name) {
                    Some(format!("`{name}` exists, but not with {} arguments", arguments.len()))
                } else {
                    syntax::suggest_function(name, library.ast(&file).as_deref(), host)
                };
            }
            _ => {}
        }
        let words = words::of(leaf);
        Self { message: words::shown(&words.message), help: help.or(words.help), place, callers, failure }
    }

    /// Of a script that does not compile.
    pub fn of_syntax(file: &str, error: ParseError, library: &Library) -> Self {
        let ParseError(kind, position) = error;
        let error = EvalAltResult::ErrorParsing(*kind, position);
        let mut trace = Self::new(file, error, library, &Vocabulary::default());
        let text = library.text(file).unwrap_or_default();
        match &trace.place {
            // Rhai reads `5m` as a number with something behind it that should not be there.
            Some(place) => {
                let (at, length) = (span(&text, place).offset(), span(&text, place).len());
                let number = text[..at].chars().rev().take_while(char::is_ascii_digit).count();
                if number > 0 && matches!(&text[at..at + length], "s" | "m" | "h" | "d") {
                    let duration = &text[at - number..at + length];
                    trace.help = Some(format!(r#"durations are strings: "{duration}""#));
                }
            }
            // The end of the text has no position.
            None => {
                let line = u32::try_from(text.lines().count()).unwrap_or(u32::MAX).max(1);
                trace.place = Some(Place { file: file.into(), line, column: 1 });
            }
        }
        trace
    }

    /// Of something the host found before or after the script ran.
    pub fn of_failure(failure: Failure) -> Self {
        Self {
            message: words::shown(&failure.message),
            help: failure.help.clone(),
            place: failure.place().cloned(),
            callers: Vec::new(),
            failure: Some(failure),
        }
    }

    /// The same in other words: those of `reworded`.
    pub fn reworded(mut self, reworded: impl Fn(&str) -> String) -> Self {
        self.message = reworded(&self.message);
        self.help = self.help.as_deref().map(reworded);
        self
    }

    /// One line for the failure, one for each caller, one for the help.
    pub fn compact(&self) -> String {
        let mut text = String::new();
        match &self.place {
            Some(place) => write!(text, "{place}: {}", self.message),
            None => write!(text, "{}", self.message),
        }
        .expect("a string takes everything");
        for Caller { place, what } in &self.callers {
            write!(text, "\n  {place}: {what}").expect("a string takes everything");
        }
        if let Some(help) = &self.help {
            write!(text, "\n  help: {help}").expect("a string takes everything");
        }
        text
    }

    /// The report with the lines of source.
    pub fn problem(&self, library: &Library) -> Problem {
        let excerpt = |place: &Place| {
            let text: Arc<str> = words::visible(&library.text(&place.file)?).into();
            let span = span(&text, place);
            Some((NamedSource::new(&place.file, text), span))
        };
        let callers = self.callers.iter().filter_map(|Caller { place, what }| {
            let (text, span) = excerpt(place)?;
            Some(Excerpt { message: format!("{what} ({place})"), text, span })
        });
        Problem {
            message: self.message.clone(),
            help: self.help.clone(),
            excerpt: self.place.as_ref().and_then(excerpt),
            callers: callers.collect(),
        }
    }
}

/// `None`: a closure.
fn call_words(name: &str) -> Option<String> {
    (!syntax::is_closure(name)).then(|| format!("in `{name}`, called here"))
}

/// The place that `catch` noted in what it makes of Rhai's own errors.
fn caught(value: &Dynamic) -> Option<Place> {
    let map = value.read_lock::<Map>()?;
    let number = |key| map.get(key).and_then(|value| u32::try_from(value.as_int().ok()?).ok());
    let file = map.get("source")?.clone().into_string().ok()?.into();
    map.get("message")?;
    Some(Place { file, line: number("line")?, column: number("position")? })
}

/// From the place to the end of the word or the string there.
pub(super) fn span(text: &str, place: &Place) -> SourceSpan {
    let line_start = text.split_inclusive('\n').take(place.line as usize - 1).map(str::len).sum::<usize>();
    let line = text[line_start..].lines().next().unwrap_or_default();
    let start = line.char_indices().nth(place.column as usize - 1).map_or(line.len(), |(at, _)| at);
    // Of properties, Rhai has the position of the dot.
    let start = start + usize::from(line[start..].starts_with('.'));
    let rest = &line[start..];
    let length = match rest.chars().next() {
        Some(quote @ ('"' | '`')) => rest[1..].find(quote).map_or(rest.len(), |at| at + 2),
        // A sign is not to be cut in two.
        Some(sign) => rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()).max(sign.len_utf8()),
        None => 0,
    };
    (line_start + start, length).into()
}

/// A failure as a report.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Problem {
    message: String,
    help: Option<String>,
    excerpt: Option<(NamedSource<Arc<str>>, SourceSpan)>,
    callers: Vec<Excerpt>,
}

/// A caller of what failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct Excerpt {
    message: String,
    text: NamedSource<Arc<str>>,
    span: SourceSpan,
}

impl Problem {
    /// The same in other words; the lines of source stay.
    pub fn in_words(self, mut words: impl FnMut(&str) -> String) -> Self {
        let message = words(&self.message);
        let help = self.help.as_deref().map(words);
        Self { message, help, ..self }
    }
}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.excerpt.as_ref().map(|(source, _)| source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, span) = self.excerpt.as_ref()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(Some("here".into()), *span))))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let callers = self.callers.iter().map(|caller| caller as &dyn Diagnostic);
        (callers.len() > 0).then(|| Box::new(callers) as _)
    }
}

impl Diagnostic for Excerpt {
    fn severity(&self) -> Option<miette::Severity> {
        Some(miette::Severity::Advice)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.text)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::underline(self.span))))
    }
}
