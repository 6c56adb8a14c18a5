//! The words of the language that are no operations: where a runbook runs, what it asks for, how it
//! is structured, what it says.

mod approve;
pub(super) mod check_options;
pub(super) mod config;
pub(super) mod environment;
mod flow;
pub mod param;
pub(super) mod rollback;
pub(super) mod say;
mod slug;

use std::{ops::RangeInclusive, sync::Arc};

use rhai::{Dynamic, Engine, FuncRegistration, NativeCallContext};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use config::Configs;

use super::{
    bind,
    session::{Result, Session},
};
use crate::ops::Error;

/// All control words, in the order of the reference.
pub const CONTROLS: &[ControlDoc] = &[
    environment::ENVIRONMENT,
    environment::STACK,
    param::PARAM,
    config::CONFIG,
    check_options::CHECK_OPTIONS,
    flow::STAGE,
    flow::PARALLEL,
    environment::WITHIN,
    rollback::ON_ROLLBACK,
    rollback::COMMIT,
    rollback::FAIL,
    approve::APPROVE,
    approve::LOCK,
    say::LOG,
    say::OUTPUT,
    say::SLEEP,
    say::NOW,
    slug::SLUG,
];

/// The description of a control word.
#[derive(Debug)]
pub struct ControlDoc {
    pub name: &'static str,
    pub signatures: &'static [&'static str],
    pub description: &'static str,
    pub example: &'static str,
    /// How many arguments it takes.
    pub arity: RangeInclusive<usize>,
    /// The options among its arguments, where it has some.
    pub options: Option<ControlOptions>,
}

/// The options of a control word.
#[derive(Debug)]
pub struct ControlOptions {
    /// Which argument they are, counted from 0.
    pub argument: usize,
    pub schema: fn() -> Schema,
    /// Decodes them. Fails with [`Error::Option`] without doing anything.
    pub decode: fn(Value) -> std::result::Result<(), Error>,
}

impl ControlOptions {
    /// Options that decode to `T`.
    const fn of<T: DeserializeOwned + JsonSchema>(argument: usize) -> Self {
        Self { argument, schema: schema_of::<T>, decode: |options| decode::<T>(options).map(drop) }
    }
}

impl ControlDoc {
    /// A function of this name, to be registered.
    fn function<const N: usize>(&self, parameters: [&str; N]) -> FuncRegistration {
        FuncRegistration::new(self.name).with_volatility(true).with_params_info(parameters)
    }
}

/// Registers all control words.
pub fn register(engine: &mut Engine, session: &Arc<Session>) {
    environment::register(engine, session);
    param::register(engine, session);
    config::register(engine, session);
    check_options::register(engine, session);
    flow::register(engine, session);
    rollback::register(engine, session);
    approve::register(engine, session);
    say::register(engine, session);
    slug::register(engine);
}

/// Decodes the options of a control word, as those of operations are.
fn options<T: DeserializeOwned>(
    session: &Session,
    context: &NativeCallContext,
    doc: &ControlDoc,
    options: Dynamic,
) -> Result<T> {
    let options = bind::arguments(session, context, doc.name, std::iter::empty(), options)?;
    decode(options).map_err(|error| match error {
        Error::Option { path, message } => bind::wrong_option(session, context, doc.name, &[], &path, &message).into(),
        other => super::failure::raise(session, other, crate::script::Failure::new("").at(context)),
    })
}

fn decode<T: DeserializeOwned>(options: Value) -> std::result::Result<T, Error> {
    serde_path_to_error::deserialize(options)
        .map_err(|error| Error::option(error.path().to_string(), error.inner().to_string()))
}

fn schema_of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    SchemaGenerator::new(settings).into_root_schema_for::<T>()
}
