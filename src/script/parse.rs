//! From text to a syntax tree, for texts that nobody has looked at.
//!
//! Rhai's parser limits how deep expressions nest, and nothing else: a chain `a.b.c…` is a tree as
//! deep as it is long, which overflows the stack when it is dropped, and many names in one function
//! take quadratic time. So every token passes a guard on its way to the parser.

#![expect(deprecated, reason = "how Rhai marks its volatile interfaces; tests/hosting watches them")]

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rhai::{AST, EvalAltResult, LexError, ParseError, ParseErrorType, Position, Token};

use super::{Failure, Limits, Place, engine, thread, watch, words};

/// The longest line of a script, in bytes: what is longer nobody reads, and no report can show.
const LINE: usize = 4_096;

/// The longest chain of `.name`, `[index]` and `::name`. Each link is a level of the syntax tree.
const CHAIN: usize = 64;

/// How many variables one script may declare.
const DECLARATIONS: usize = 2_000;

/// What the parser may take for one script, in nanoseconds of the processor.
const PARSING: u64 = 400_000_000;

/// How many tokens lie between two looks at the clock.
const CLOCK_EVERY: usize = 64;

/// Why a text is no script.
#[derive(Debug)]
pub enum Rejected {
    Syntax(ParseError),
    /// It may be one, and goes beyond what is read.
    Failure(Failure),
}

impl From<Rejected> for Box<EvalAltResult> {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Syntax(error) => error.into(),
            Rejected::Failure(failure) => failure.into(),
        }
    }
}

/// Compiles the text of `file`. Nothing of it runs.
pub fn compile(file: &str, text: &str, limits: &Limits) -> Result<AST, Rejected> {
    check_text(file, text, limits).map_err(Rejected::Failure)?;
    parse(file, text, limits, Guard { started: watch::processor_time(), ..Guard::default() }).1
}

/// A text with variables that are declared nowhere: they, and what else can be said of it.
pub struct Undefined {
    pub variables: Vec<ParseError>,
    /// The names that are declared somewhere in the text.
    pub declared: BTreeSet<String>,
    /// The text with `()` in their places. `None`: it has other mistakes.
    pub ast: Option<AST>,
    pub places: BTreeSet<Position>,
}

/// How many of them are looked for in one text.
const UNDEFINED: usize = 20;

/// Goes on where [`compile`] gave up at the first variable that is declared nowhere.
pub fn undefined(file: &str, text: &str, limits: &Limits) -> Undefined {
    let mut found = Undefined { variables: Vec::new(), declared: BTreeSet::new(), ast: None, places: BTreeSet::new() };
    // All tries together have the time of one.
    let started = watch::processor_time();
    while found.variables.len() < UNDEFINED {
        let guard = Guard { started, undefined: found.places.clone(), ..Guard::default() };
        let (declared, parsed) = parse(file, text, limits, guard);
        found.declared.extend(declared);
        match parsed {
            Err(Rejected::Syntax(error)) if is_undefined(&error) && found.places.insert(error.1) => {
                found.variables.push(error);
            }
            other => {
                found.ast = other.ok();
                break;
            }
        }
    }
    found
}

/// Whether it is about a variable that is declared nowhere.
pub fn is_undefined(error: &ParseError) -> bool {
    matches!(*error.0, ParseErrorType::VariableUndefined(_))
}

/// The names that are declared in the text, and its tree.
fn parse(file: &str, text: &str, limits: &Limits, guard: Guard) -> (BTreeSet<String>, Result<AST, Rejected>) {
    let guard = Arc::new(Mutex::new(guard));
    let parsed = parse_guarded(file, text, limits, &guard);
    let declared = std::mem::take(&mut lock(&guard).declared);
    (declared, parsed)
}

fn parse_guarded(file: &str, text: &str, limits: &Limits, guard: &Arc<Mutex<Guard>>) -> Result<AST, Rejected> {
    let guarded = Arc::clone(guard);
    let mut parser = engine::parser(limits);
    parser.on_parse_token(move |token, position, _| lock(&guarded).pass(token, position));
    // On a thread of its own: the parser goes deep, and this may be the end of a script's stack.
    let parsed = thread::run("parser", || parser.compile(text));
    if let Some((failure, position)) = lock(guard).refusal.take() {
        return Err(Rejected::Failure(failure.focus(Place::new(file, position))));
    }
    let mut ast = parsed
        .map_err(|panic| {
            let failure = Failure::new(format!("the parser of the language broke on this script: {panic}"));
            Rejected::Failure(failure.focus(Some(Place { file: file.into(), line: 1, column: 1 })))
        })?
        .map_err(Rejected::Syntax)?;
    ast.set_source(file);
    Ok(ast)
}

/// What can be said of a text before it is read as a script.
fn check_text(file: &str, text: &str, limits: &Limits) -> Result<(), Failure> {
    if text.len() > limits.script {
        return Err(too_large(file, limits.script));
    }
    for (line, number) in text.lines().zip(1..) {
        let at = |column| Some(Place { file: file.into(), line: number, column });
        if line.len() > LINE {
            // Without its place: that would be shown with the line.
            let failure = Failure::new(format!("line {number} of `{file}` has more than {LINE} bytes"));
            return Err(failure.help("break it into several lines, or read data with `config`"));
        }
        if let Some((character, column)) = line.chars().zip(1..).find(|(character, _)| words::is_deceptive(*character))
        {
            let code = u32::from(character);
            let failure = Failure::new(format!("U+{code:04X} makes a text look different from what it is"));
            return Err(failure.help(format!(r"in a string, write \u{code:04x}")).focus(at(column)));
        }
    }
    Ok(())
}

/// A script that is too large to be read.
pub(super) fn too_large(file: &str, limit: usize) -> Failure {
    Failure::new(format!("`{file}` has more than {} KiB", limit >> 10))
        .help("a runbook is read by people: move what it repeats into modules, and its data into files for `config`")
}

/// Sees each token of one script before the parser does.
#[derive(Default)]
struct Guard {
    started: u64,
    tokens: usize,
    declarations: usize,
    /// The links of the chain that is being read, in this pair of brackets.
    links: usize,
    /// The same for the brackets around it.
    outer: Vec<usize>,
    refusal: Option<(Failure, Position)>,
    /// Where variables stand that are declared nowhere: the parser is not to see them.
    undefined: BTreeSet<Position>,
    /// The names that `let`, `const`, `for` and `as` declare.
    declared: BTreeSet<String>,
    /// Whether the next name is declared.
    declares: bool,
}

impl Guard {
    fn pass(&mut self, token: Token, position: Position) -> Token {
        if self.refusal.is_none()
            && let Some(failure) = self.look(&token)
        {
            self.refusal = Some((failure, position));
        }
        match &token {
            Token::Identifier(name) if self.declares => drop(self.declared.insert(name.to_string())),
            _ => {}
        }
        self.declares = matches!(token, Token::Let | Token::Const | Token::For | Token::As);
        match &self.refusal {
            // From here on nothing else: the parser ends at the first.
            Some((failure, _)) => Token::LexError(LexError::Runtime(failure.message.clone()).into()),
            None if self.undefined.contains(&position) && matches!(token, Token::Identifier(_)) => Token::Unit,
            None => token,
        }
    }

    fn look(&mut self, token: &Token) -> Option<Failure> {
        self.tokens += 1;
        match token {
            Token::Period | Token::Elvis | Token::DoubleColon => self.links += 1,
            Token::LeftBracket | Token::QuestionBracket => {
                self.links += 1;
                self.open();
            }
            Token::LeftParen | Token::LeftBrace | Token::MapStart => self.open(),
            Token::RightParen | Token::RightBracket => self.close(),
            Token::RightBrace => {
                self.close();
                self.links = 0;
            }
            Token::SemiColon | Token::Comma => self.links = 0,
            Token::Let | Token::Const | Token::For | Token::Catch => self.declarations += 1,
            _ => {}
        }
        if self.links > CHAIN {
            return Some(
                Failure::new(format!("an expression has more than {CHAIN} properties and indexes in a row"))
                    .help("keep parts of it in variables"),
            );
        }
        if self.declarations > DECLARATIONS {
            return Some(Failure::new(format!("the script declares more than {DECLARATIONS} variables")));
        }
        if self.tokens.is_multiple_of(CLOCK_EVERY) && watch::processor_time().saturating_sub(self.started) > PARSING {
            return Some(
                Failure::new("the script takes too long to read")
                    .help("no function needs this many names: make it shorter, and its data files for `config`"),
            );
        }
        None
    }

    fn open(&mut self) {
        self.outer.push(std::mem::take(&mut self.links));
    }

    fn close(&mut self) {
        self.links = self.outer.pop().unwrap_or(0);
    }
}

fn lock(guard: &Mutex<Guard>) -> MutexGuard<'_, Guard> {
    guard.lock().unwrap_or_else(PoisonError::into_inner)
}
