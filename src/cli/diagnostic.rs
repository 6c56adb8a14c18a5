//! How a verb fails, and how that is told: the only place where errors become text.

use std::{fmt, io::Write as _};

use miette::{Diagnostic, GraphicalTheme, MietteHandlerOpts, ReportHandler};
use textwrap::{WordSeparator, WordSplitter, core::Word};

use super::{Console, Exit, exit};
use crate::{report::Look, settings};

/// A verb that failed: what to exit with, and what to say.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    reports: Vec<miette::Report>,
}

impl Failure {
    pub fn new(exit: Exit, report: impl Into<miette::Report>) -> Self {
        Self { exit, reports: vec![report.into()] }
    }

    /// For several reasons at once.
    pub fn of_many(exit: Exit, reports: Vec<miette::Report>) -> Self {
        Self { exit, reports }
    }

    pub fn show(&self, console: &Console) -> Exit {
        let reports: Vec<_> = self.reports.iter().map(|report| rendered(&**report, console.err)).collect();
        // Nobody is left to be told when this cannot be written.
        let _ = console.live.suspend(|| std::io::stderr().write_all(reports.join("\n").as_bytes()));
        self.exit
    }
}

/// A report as text for a stream of this look.
pub fn rendered(diagnostic: &dyn Diagnostic, look: Look) -> String {
    // miette indents the first line, clap does not.
    Rendered { diagnostic, look }.to_string().trim_start().to_owned()
}

impl From<settings::Error> for Failure {
    fn from(error: settings::Error) -> Self {
        Self::new(exit::USAGE, error)
    }
}

/// Words, as spaces part them; what stands between backticks is one of them.
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let (mut words, mut start, mut is_code, mut was_space) = (Vec::new(), 0, false, false);
    for (at, c) in line.char_indices() {
        if was_space && c != ' ' && !is_code {
            words.push(Word::from(&line[start..at]));
            start = at;
        }
        is_code ^= c == '`';
        was_space = c == ' ' && !is_code;
    }
    if start < line.len() {
        words.push(Word::from(&line[start..]));
    }
    Box::new(words.into_iter())
}

struct Rendered<'a> {
    diagnostic: &'a dyn Diagnostic,
    look: Look,
}

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut theme = match (self.look.unicode, self.look.colour) {
            (true, true) => GraphicalTheme::unicode(),
            (true, false) => GraphicalTheme::unicode_nocolor(),
            (false, true) => GraphicalTheme::ascii(),
            (false, false) => GraphicalTheme::none(),
        };
        // As clap says it: all errors of this program begin alike.
        theme.characters.error = "error:".to_owned();
        theme.characters.warning = "warning:".to_owned();
        let handler = MietteHandlerOpts::new().graphical_theme(theme).context_lines(1).tab_width(4);
        // Ids and commands are copied: no line ends within them.
        let handler = handler.word_separator(WordSeparator::Custom(words)).word_splitter(WordSplitter::NoHyphenation);
        let handler = handler.break_words(false).build();
        handler.debug(self.diagnostic, f)
    }
}
