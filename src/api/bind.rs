//! Registers the operations of the catalogue as functions of the language.

use std::sync::Arc;

use rhai::{Dynamic, Engine, FuncRegistration, Map, NativeCallContext};
use serde_json::Value;

use super::{
    Handle,
    budget::Count,
    convert::{self, Secrets},
    failure::{self, Cause},
    handle::with_article,
    options::{self, Words},
    session::{Result, Session},
    strand,
};
use crate::{
    ops::{
        self,
        catalog::{Entry, OPERATIONS},
    },
    script::{Failure, Place, syntax},
};

/// Registers all operations.
pub fn register(engine: &mut Engine, session: &Arc<Session>) {
    for entry in OPERATIONS {
        register_operation(engine, session, entry);
    }
}

/// `op(#{…})`, and where the operation has positional options `op(x)` and `op(x, #{…})`.
fn register_operation(engine: &mut Engine, session: &Arc<Session>, entry: &'static Entry) {
    let function = |count: usize| {
        let returns = entry.returns;
        let parameters = entry.positional.iter().copied().chain(["options"]).take(count);
        FuncRegistration::new(entry.name)
            // Never called at compile time, whatever its arguments.
            .with_volatility(true)
            .with_params_info(parameters.chain([returns]).collect::<Vec<_>>())
    };
    let at = Arc::clone(session);
    function(0).register_into_engine(engine, move |context: NativeCallContext| call(&at, &context, entry, Vec::new()));
    // `Dynamic` rather than a map: what is wrong is said in our words.
    let at = Arc::clone(session);
    function(1).register_into_engine(engine, move |context: NativeCallContext, first: Dynamic| {
        call(&at, &context, entry, vec![first])
    });
    if !entry.positional.is_empty() {
        let at = Arc::clone(session);
        function(2).register_into_engine(engine, move |context: NativeCallContext, first: Dynamic, second: Dynamic| {
            call(&at, &context, entry, vec![first, second])
        });
    }
    if entry.positional.len() > 1 {
        let at = Arc::clone(session);
        function(3).register_into_engine(
            engine,
            move |context: NativeCallContext, first: Dynamic, second: Dynamic, third: Dynamic| {
                call(&at, &context, entry, vec![first, second, third])
            },
        );
    }
}

fn call(
    session: &Arc<Session>,
    context: &NativeCallContext,
    entry: &'static Entry,
    mut given: Vec<Dynamic>,
) -> Result<Dynamic> {
    session.watch.check()?;
    session.spend(context, Count::Operations, 1)?;
    let ends_in_options = given.len() > entry.positional.len() || given.last().is_some_and(Dynamic::is_map);
    let options = given.pop_if(|_| ends_in_options).unwrap_or_else(|| Dynamic::from(Map::new()));
    let first = entry.positional.iter().copied().zip(given);
    let options = arguments(session, context, entry.name, first, options)?;
    // How many operations a script calls is bounded, and what each takes is not the script's doing.
    let _pause = session.watch.pause();
    let secrets = convert::secrets_in(&options);
    let given = options.clone();
    let prepared = (entry.prepare)(options).map_err(|error| refuse(session, context, entry, &secrets, error))?;
    let place = Place::of_call(context).map(|place| place.to_string());
    let ctx = strand::branch(|branch| session.run.context(branch)).at(place);
    let handle = session
        .wait(ctx.operation(entry.name, given, prepared))
        .map_err(|error| refuse(session, context, entry, &[], error))?;
    Ok(match handle {
        Value::Object(fields) if entry.plain => fields.get("value").map_or(Dynamic::UNIT, convert::from_json),
        Value::Object(fields) => Dynamic::from(Handle::new(entry.returns, fields)),
        other => convert::from_json(&other),
    })
}

/// The options of a call as JSON: with the plain arguments `first` under their names.
pub fn arguments(
    session: &Session,
    context: &NativeCallContext,
    function: &str,
    first: impl Iterator<Item = (&'static str, Dynamic)>,
    options: Dynamic,
) -> Result<Value> {
    let first: Vec<_> = first.collect();
    let names: Vec<&str> = first.iter().map(|(name, _)| *name).collect();
    let untransferable = |stuck: convert::Untransferable, path: &str| {
        let path = [path, &stuck.path].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
        locate(session, context, &names, options::untransferable(function, &path, &stuck.found))
    };
    if !options.is_map() {
        return Err(no_map(session, context, function, &options).into());
    }
    let mut options = convert::to_json(&options, Secrets::Pass).map_err(|stuck| untransferable(stuck, ""))?;
    for (name, value) in &first {
        let value = convert::to_json(value, Secrets::Pass).map_err(|stuck| untransferable(stuck, name))?;
        if let Value::Object(fields) = &mut options
            && fields.insert((*name).to_owned(), value).is_some()
        {
            return Err(locate(session, context, &[], options::given_twice(function, name)).into());
        }
    }
    Ok(options)
}

/// The failure for something that is no map of options.
pub fn no_map(session: &Session, context: &NativeCallContext, function: &str, given: &Dynamic) -> Failure {
    let found = if let Some(handle) = given.read_lock::<Handle>() {
        with_article(&handle.kind().replace('_', " "))
    } else {
        convert::to_json(given, Secrets::Refuse).map_or_else(|stuck| stuck.found, |value| described(&value))
    };
    locate(session, context, &[], options::no_map(function, &found))
}

fn refuse(
    session: &Session,
    context: &NativeCallContext,
    entry: &'static Entry,
    secrets: &[String],
    error: ops::Error,
) -> Box<rhai::EvalAltResult> {
    let failure = match &error {
        ops::Error::Option { path, message } => match secrets.iter().find(|secret| is_within(path, secret)) {
            Some(secret) => locate(session, context, entry.positional, options::secret(entry.name, secret)),
            None => wrong_option(session, context, entry.name, entry.positional, path, message),
        },
        _ => Failure::new("").at(context),
    };
    failure::raise_from(session, Cause { operation: Some(entry.name), error: Arc::new(error) }, failure)
}

/// Whether the path of an option leads to the value at `outer`, or into it.
fn is_within(path: &str, outer: &str) -> bool {
    let rest = path.trim_matches('.').strip_prefix(outer);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The failure for an option that was not understood: it points at the option's own key.
pub fn wrong_option(
    session: &Session,
    context: &NativeCallContext,
    function: &str,
    positional: &[&str],
    path: &str,
    message: &str,
) -> Failure {
    locate(session, context, positional, options::words(function, path, message))
}

/// The failure for wrong options: it points at what is wrong, as far as that is written in the call.
fn locate(session: &Session, context: &NativeCallContext, positional: &[&str], words: Words) -> Failure {
    let mut failure = Failure::new(words.message).at(context);
    failure.help = words.help;
    let focus = failure.call.as_ref().and_then(|place| {
        let ast = session.library.ast(&place.file)?;
        syntax::option(&ast, place, positional, &words.path)
    });
    failure.focus(focus)
}

/// What a value is, for errors: `the integer 3`.
pub fn described(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(flag) => format!("the boolean {flag}"),
        Value::Number(number) if number.is_f64() => format!("the number {number}"),
        Value::Number(number) => format!("the integer {number}"),
        Value::String(text) => format!("the string {text:?}"),
        Value::Array(_) => "an array".into(),
        Value::Object(_) => "an object map".into(),
    }
}
