//! What the streams of this process can show. Looked at once, here.

use std::{
    env,
    io::{self, IsTerminal},
};

use super::{Global, global::Colour};
use crate::report::{Live, Look, Verbosity};

/// Columns of a terminal that does not say how many it has.
const TERMINAL_WIDTH: usize = 80;
/// Columns of a file or a pipe.
const FILE_WIDTH: usize = 100;

/// The streams of this process.
#[derive(Clone)]
pub struct Console {
    pub out: Look,
    pub err: Look,
    pub live: Live,
    /// Whether somebody is there to answer questions.
    pub interactive: bool,
}

impl Console {
    pub fn new(global: &Global) -> Self {
        let (out_tty, err_tty) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let unicode = !dumb && is_unicode();
        let columns = variable("COLUMNS").and_then(|columns| columns.parse().ok());
        let look = |tty| Look {
            colour: is_coloured(global.color, tty && !dumb),
            unicode,
            width: columns.unwrap_or(if tty { TERMINAL_WIDTH } else { FILE_WIDTH }),
        };
        Self {
            out: look(out_tty),
            err: look(err_tty),
            live: Live::new(err_tty && !dumb && global.verbosity() >= Verbosity::Normal),
            interactive: !global.no_input && io::stdin().is_terminal() && err_tty,
        }
    }
}

/// A variable of the environment that says something.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// See <https://no-color.org> and <https://bixense.com/clicolors>.
fn is_coloured(asked: Colour, tty: bool) -> bool {
    match asked {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto if variable("NO_COLOR").is_some() => false,
        Colour::Auto => tty || variable("CLICOLOR_FORCE").is_some_and(|force| force != "0"),
    }
}

/// Unless the locale names another character set: where none is set, as in most containers and
/// pipelines, UTF-8 is what the reader has.
fn is_unicode() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
    locale.is_none_or(|locale| {
        let locale = locale.to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
