//! The variables of environments that a runbook reads, and those that runner.toml has.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::{Known, lints::UNKNOWN_VAR};
use crate::{
    api::{Handle, control::environment::ENVIRONMENT, convert::VARS},
    script::{
        Failure, Place,
        check::{Call, Finding, Outline, Program, Properties, Written},
        suggest,
    },
    settings::Environment,
};

pub fn check(program: &Program, known: &Known<'_>) -> Vec<Finding> {
    program.scripts.iter().flat_map(|script| check_script(script, known)).collect()
}

fn check_script(script: &Rc<Outline>, known: &Known<'_>) -> Vec<Finding> {
    let named = script.calls.iter().filter(|call| call.is(ENVIRONMENT.name));
    let mut findings = Vec::new();
    for call in named {
        let Some(variable) = call.bound_to.as_ref().filter(|name| script.is_as_given(call.unit, name)) else {
            continue;
        };
        let environments = meant(call, known);
        let read = script.properties.iter().filter(|read| read.unit == call.unit && read.variable == *variable);
        findings.extend(read.filter_map(|read| judge(script, read, &environments)));
    }
    findings
}

/// The environments that the call can return. None, where that is not known.
fn meant<'a>(call: &Call, known: &Known<'a>) -> Vec<&'a Environment> {
    match (call.arguments.first().map(Written::text), known.environment) {
        (Some(Some(name)), _) => known.environments.get(&name).into_iter().collect(),
        (Some(None), _) => Vec::new(),
        (None, Some(given)) => known.environments.get(given).into_iter().collect(),
        (None, None) => known.environments.values().collect(),
    }
}

/// Whether none of the environments has what is read.
fn judge(script: &Outline, read: &Properties, environments: &[&Environment]) -> Option<Finding> {
    let missing = environments.iter().map(|environment| missing(&environment.vars, &read.names));
    let missing: Vec<(usize, Failure)> = missing.collect::<Option<_>>()?;
    let (at, failure) = missing.into_iter().next()?;
    let (name, position) = &read.names[at];
    // Whoever asks whether it is there need not have it.
    if script.says(name) {
        return None;
    }
    let place = Place::new(&script.file, *position);
    Some(Finding::new(UNKNOWN_VAR, &script.file, failure.message).at(place).help(failure.help))
}

/// Which of the names is not there, and what a run would say. `None`: all are, as far as they lead through maps.
fn missing(vars: &Map<String, Value>, names: &[(String, rhai::Position)]) -> Option<(usize, Failure)> {
    let ((first, _), rest) = names.split_first()?;
    if first != "vars" {
        return None;
    }
    let mut here = vars;
    for (index, (name, _)) in rest.iter().enumerate() {
        match here.get(name) {
            Some(Value::Object(inner)) => here = inner,
            Some(_) => return None,
            None if index == 0 => return Some((1, Handle::new(VARS, here.clone()).missing(name))),
            None => {
                let outer: Vec<_> = names[..=index].iter().map(|(name, _)| name.as_str()).collect();
                let failure = Failure::new(format!("`{}` of the environment has no `{name}`", outer.join(".")));
                let help = suggest::did_you_mean(name, here.keys().map(String::as_str));
                let known = || here.keys().map(String::as_str).collect::<Vec<_>>().join("`, `");
                return Some((
                    index + 1,
                    failure.help(help.unwrap_or_else(|| format!("runner.toml has `{}`", known()))),
                ));
            }
        }
    }
    None
}
