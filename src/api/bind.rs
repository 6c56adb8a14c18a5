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

/// `op(#{…})`, and where the operation has a positional option `op(x)` and `op(x, #{…})`; `op(x, y)` and `op(x, y, #{…})`
/// where it has a second one.
fn register_operation(engine: &mut Engine, session: &Arc<Session>, entry: &'static Entry) {
    let function = |parameters: &[&str]| {
        let returns = entry.returns;
        FuncRegistration::new(entry.name)
            // Never called at compile time, whatever its arguments.
            .with_volatility(true)
            .with_params_info(parameters.iter().copied().chain([returns]))
    };
    let at = Arc::clone(session);
    function(&[]).register_into_engine(engine, move |context: NativeCallContext| {
        call(&at, &context, entry, None, Dynamic::from(Map::new()))
    });
    // `Dynamic` rather than a map: what is wrong is said in our words.
    let at = Arc::clone(session);
    function(&["options"]).register_into_engine(engine, move |context: NativeCallContext, argument: Dynamic| {
        if argument.is_map() || entry.positional.is_none() {
            call(&at, &context, entry, None, argument)
        } else {
            call(&at, &context, entry, Some(argument), Dynamic::from(Map::new()))
        }
    });
    if let Some(positional) = entry.positional {
        let at = Arc::clone(session);
        function(&[positional, "options"]).register_into_engine(
            engine,
            move |context: NativeCallContext, first: Dynamic, options: Dynamic| match entry.second {
                Some(second) if !options.is_map() => {
                    call(&at, &context, entry, Some(first), Map::from([(second.into(), options)]).into())
                }
                _ => call(&at, &context, entry, Some(first), options),
            },
        );
        if let Some(second) = entry.second {
            let at = Arc::clone(session);
            function(&[positional, second, "options"]).register_into_engine(
                engine,
                move |context: NativeCallContext, first: Dynamic, value: Dynamic, options: Dynamic| {
                    let Some(mut all) = options.clone().try_cast::<Map>() else {
                        return call(&at, &context, entry, Some(first), options);
                    };
                    if all.insert(second.into(), value).is_some() {
                        let twice = options::given_twice(entry.name, second);
                        return Err(locate(&at, &context, None, twice).into());
                    }
                    call(&at, &context, entry, Some(first), all.into())
                },
            );
        }
    }
}

fn call(
    session: &Arc<Session>,
    context: &NativeCallContext,
    entry: &'static Entry,
    first: Option<Dynamic>,
    options: Dynamic,
) -> Result<Dynamic> {
    session.watch.check()?;
    session.spend(context, Count::Operations, 1)?;
    let options = arguments(session, context, entry.name, entry.positional, first, options)?;
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

/// The options of a call as JSON: with the plain first argument under its name.
pub fn arguments(
    session: &Session,
    context: &NativeCallContext,
    function: &str,
    positional: Option<&'static str>,
    first: Option<Dynamic>,
    options: Dynamic,
) -> Result<Value> {
    let untransferable = |stuck: convert::Untransferable, path: String| {
        let path = [path, stuck.path].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
        locate(session, context, positional, options::untransferable(function, &path, &stuck.found))
    };
    if !options.is_map() {
        return Err(no_map(session, context, function, &options).into());
    }
    let mut options =
        convert::to_json(&options, Secrets::Pass).map_err(|stuck| untransferable(stuck, String::new()))?;
    if let (Some(first), Some(name), Value::Object(fields)) = (first, positional, &mut options) {
        let first = convert::to_json(&first, Secrets::Pass).map_err(|stuck| untransferable(stuck, name.to_owned()))?;
        if fields.insert(name.to_owned(), first).is_some() {
            return Err(locate(session, context, None, options::given_twice(function, name)).into());
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
    locate(session, context, None, options::no_map(function, &found))
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
    positional: Option<&str>,
    path: &str,
    message: &str,
) -> Failure {
    locate(session, context, positional, options::words(function, path, message))
}

/// The failure for wrong options: it points at what is wrong, as far as that is written in the call.
fn locate(session: &Session, context: &NativeCallContext, positional: Option<&str>, words: Words) -> Failure {
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
