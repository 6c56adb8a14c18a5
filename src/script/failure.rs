//! The one error value the host raises in a script.
//!
//! It remembers where it was raised, because `throw` in a `catch` block moves Rhai's position, and
//! it carries the host's own error, because the exit code depends on it.

use std::{any::Any, fmt, sync::Arc};

use rhai::{Dynamic, EvalAltResult, NativeCallContext, Position};

use super::Library;

/// A place in a script.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// As the library knows the file: `runbooks/deploy.rhai`, `stdlib/network`.
    pub file: Arc<str>,
    /// Counts from 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
}

impl Place {
    /// `None` for a position that is not known.
    pub fn new(file: &str, position: Position) -> Option<Self> {
        let number = |number: usize| u32::try_from(number).ok();
        let column = position.position().and_then(number).unwrap_or(1);
        Some(Self { file: file.into(), line: number(position.line()?)?, column })
    }

    /// Where the running host function was called.
    pub fn of_call(context: &NativeCallContext) -> Option<Self> {
        let (claimed, position) = (context.call_source()?, context.call_position());
        let library = context.tag().and_then(|tag| tag.clone().try_cast::<Arc<Library>>());
        let file = library.map(|library| library.file_of_call(claimed, context.fn_name(), position));
        Self::new(file.as_deref().unwrap_or(claimed), position)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Why a host function refused or failed. Scripts can catch it, read it, and throw it again.
#[derive(Clone)]
pub struct Failure {
    /// A lowercase fragment: what was wanted and what was found.
    pub message: String,
    /// What to do next.
    pub help: Option<String>,
    /// The call that failed.
    pub call: Option<Place>,
    /// What to underline, when it is less than the call: the key of an option.
    pub focus: Option<Place>,
    /// The host's own error.
    pub cause: Option<Arc<dyn Any + Send + Sync>>,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, call: None, focus: None, cause: None }
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Remembers the call of the running host function as the origin.
    pub fn at(mut self, context: &NativeCallContext) -> Self {
        self.call = Place::of_call(context);
        self
    }

    pub fn focus(mut self, place: Option<Place>) -> Self {
        self.focus = place;
        self
    }

    pub fn because(mut self, cause: impl Any + Send + Sync) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// The host's own error, if it is a `T`.
    pub fn cause<T: Any>(&self) -> Option<&T> {
        self.cause.as_deref()?.downcast_ref()
    }

    /// Where to point.
    pub fn place(&self) -> Option<&Place> {
        self.focus.as_ref().or(self.call.as_ref())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({:?})", self.message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Failure> for Box<EvalAltResult> {
    /// As an error a script can catch. Rhai fills in the position of the call.
    fn from(failure: Failure) -> Self {
        Box::new(EvalAltResult::ErrorRuntime(Dynamic::from(failure), Position::NONE))
    }
}
