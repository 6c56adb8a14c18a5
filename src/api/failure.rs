//! Failures of operations as values a script can catch and read.

use std::sync::Arc;

use rhai::{Dynamic, Engine, EvalAltResult};

use super::session::Session;
use crate::{
    ops::{self, CallErrorKind},
    script::Failure,
};

/// What is behind a [`Failure`] of this host.
pub struct Cause {
    /// `None`: a control word.
    pub operation: Option<&'static str>,
    pub error: Arc<ops::Error>,
}

/// Behind a failure that is the user's to repair: parameters, environments, names.
pub struct Usage;

impl Cause {
    pub fn of(error: ops::Error) -> Self {
        Self { operation: None, error: Arc::new(error) }
    }
}

/// Raises `error`. `failure` says where; its words are the error's, unless it has its own.
pub fn raise(session: &Session, error: ops::Error, failure: Failure) -> Box<EvalAltResult> {
    raise_from(session, Cause::of(error), failure)
}

/// Raises the error of an operation.
pub fn raise_from(session: &Session, cause: Cause, mut failure: Failure) -> Box<EvalAltResult> {
    let error = &cause.error;
    if failure.message.is_empty() {
        failure.message = error.to_string();
    }
    failure.help = failure.help.or_else(|| error.hint());
    let fatal = is_fatal(error);
    let failure = failure.because(cause);
    if fatal { session.watch.fail(failure) } else { failure.into() }
}

/// Whether a script must not go on after this, whatever it catches.
fn is_fatal(error: &ops::Error) -> bool {
    match error {
        ops::Error::Policy(_) => true,
        error if error.suspends() => true,
        ops::Error::Call(error) => error.unanswered || error.kind == CallErrorKind::Undeclared,
        _ => false,
    }
}

/// What a script sees of a caught failure: `code`, `message`, `operation` and `hint`.
pub fn register(engine: &mut Engine) {
    fn optional(text: Option<impl Into<Dynamic>>) -> Dynamic {
        text.map_or(Dynamic::UNIT, Into::into)
    }
    engine.register_type_with_name::<Failure>("failure");
    engine.register_get("message", |failure: &mut Failure| failure.message.clone());
    engine.register_get("hint", |failure: &mut Failure| optional(failure.help.clone()));
    engine.register_get("code", |failure: &mut Failure| {
        optional(failure.cause::<Cause>().and_then(|cause| cause.error.code()).map(str::to_owned))
    });
    engine.register_get("operation", |failure: &mut Failure| {
        optional(failure.cause::<Cause>().and_then(|cause| cause.operation).map(str::to_owned))
    });
    engine.register_fn("to_string", |failure: &mut Failure| failure.message.clone());
    engine.register_fn("to_debug", |failure: &mut Failure| failure.message.clone());
}
