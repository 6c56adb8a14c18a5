//! `log`, `output`, `sleep` and `now`: what a runbook says, and when.

use std::sync::Arc;

use rhai::{Dynamic, Engine, ImmutableString, NativeCallContext};

use super::ControlDoc;
use crate::{
    api::{
        bind,
        budget::Count,
        convert::{self, Secrets},
        session::{Result, Session},
        strand,
    },
    event::Event,
    ops::Duration,
    run::Branch,
    script::{Failure, Place},
};

pub const LOG: ControlDoc = ControlDoc {
    name: "log",
    signatures: &["log(message)", "log(a, b, …)"],
    description: "Writes a line to the output of the run. Several values are joined with spaces.",
    example: r#"log(`the new fleet is ${green.name}`);"#,
    arity: 1..=4,
    options: None,
};

pub const OUTPUT: ControlDoc = ControlDoc {
    name: "output",
    signatures: &[r#"output("name", value)"#],
    description: "Adds a result to the summary of the run, for people and for `--json`. A later value replaces an earlier one.",
    example: r#"output("url", "https://shop.example.com");"#,
    arity: 2..=2,
    options: None,
};

pub const SLEEP: ControlDoc = ControlDoc {
    name: "sleep",
    signatures: &[r#"sleep("5m")"#],
    description: "Waits. To wait for something, use a `wait_…` operation: it ends as soon as it can, and fails when it should.",
    example: r#"sleep("90s");"#,
    arity: 1..=1,
    options: None,
};

pub const NOW: ControlDoc = ControlDoc {
    name: "now",
    signatures: &["now()"],
    description: "The time of the run as a string: `2026-11-21T04:05:06Z`. In a simulated run it is the simulated time.",
    example: r#"output("deployed_at", now());"#,
    arity: 0..=0,
    options: None,
};

/// Nobody waits longer for a run; and in a simulated one, all that time is simulated.
const LONGEST_SLEEP: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);

pub fn register(engine: &mut Engine, session: &Arc<Session>) {
    let at = Arc::clone(session);
    LOG.function(["message: ?"])
        .register_into_engine(engine, move |context: NativeCallContext, a: Dynamic| log(&at, &context, [a]));
    let at = Arc::clone(session);
    LOG.function(["a: ?", "b: ?"])
        .register_into_engine(engine, move |context: NativeCallContext, a: Dynamic, b: Dynamic| {
            log(&at, &context, [a, b])
        });
    let at = Arc::clone(session);
    LOG.function(["a: ?", "b: ?", "c: ?"])
        .register_into_engine(engine, move |context: NativeCallContext, a: Dynamic, b: Dynamic, c: Dynamic| {
            log(&at, &context, [a, b, c])
        });
    let at = Arc::clone(session);
    LOG.function(["a: ?", "b: ?", "c: ?", "d: ?"]).register_into_engine(
        engine,
        move |context: NativeCallContext, a: Dynamic, b: Dynamic, c: Dynamic, d: Dynamic| {
            log(&at, &context, [a, b, c, d])
        },
    );
    let at = Arc::clone(session);
    OUTPUT
        .function(["name: string", "value: ?"])
        .register_into_engine(engine, move |context: NativeCallContext, name: &str, value: Dynamic| {
            output(&at, &context, name, &value)
        });
    let at = Arc::clone(session);
    SLEEP
        .function(["duration: string"])
        .register_into_engine(engine, move |context: NativeCallContext, duration: &str| sleep(&at, &context, duration));
    let at = Arc::clone(session);
    NOW.function(["string"]).register_into_engine(engine, move |context: NativeCallContext| -> Result<String> {
        at.watch.check()?;
        // Each is written down.
        at.spend(&context, Count::Operations, 1)?;
        Ok(at.run.moment(strand::branch(Branch::next_id)).to_string())
    });
}

fn log<const N: usize>(session: &Session, context: &NativeCallContext, values: [Dynamic; N]) -> Result<()> {
    session.watch.check()?;
    let words = values.into_iter().map(|value| text(context, value)).collect::<Result<Vec<_>>>()?;
    let message = words.join(" ");
    session.say(context, message.len())?;
    session.run.emit(Event::Log { message });
    Ok(())
}

/// As `print` shows it: through the type's own `to_string`.
fn text(context: &NativeCallContext, value: Dynamic) -> Result<String> {
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok(text.to_string());
    }
    context.call_native_fn::<ImmutableString>("to_string", (value,)).map(|text| text.to_string())
}

fn output(session: &Session, context: &NativeCallContext, name: &str, value: &Dynamic) -> Result<()> {
    session.watch.check()?;
    let value = convert::to_json(value, Secrets::Refuse)
        .map_err(|stuck| Failure::new(format!("the output `{name}` cannot be {}", stuck.found)).at(context))?;
    session.say(context, name.len() + value.to_string().len())?;
    session.run.output(name.to_owned(), convert::shown(&value));
    Ok(())
}

/// How long `sleep` is to wait, or what is wrong with the text.
pub fn duration_of(text: &str) -> std::result::Result<Duration, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

fn sleep(session: &Session, context: &NativeCallContext, duration: &str) -> Result<()> {
    session.watch.check()?;
    let duration =
        duration_of(duration).map_err(|message| bind::wrong_option(session, context, SLEEP.name, &[], "", &message))?;
    if duration.0 > LONGEST_SLEEP {
        let failure = Failure::new(format!("expected a duration of at most {} hours", LONGEST_SLEEP.as_secs() / 3_600));
        return Err(failure.help("to wait for something, use a `wait_…` operation").at(context).into());
    }
    session.spend(context, Count::Sleeps, 1)?;
    let place = Place::of_call(context).map(|place| place.to_string());
    let ctx = strand::branch(|branch| session.run.context(branch)).at(place);
    session.wait_for(context, async {
        tokio::select! {
            biased;
            () = strand::until_stopped() => Ok(()),
            slept = ctx.pause(SLEEP.name, duration) => slept,
        }
    })?;
    // Whoever cut it short, says so.
    session.watch.check()
}
