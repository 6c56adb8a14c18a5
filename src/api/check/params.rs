//! The parameters a runbook asks for, and those that are given.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    calls_of,
    environments::is_certain,
    lints::{MISSING_PARAM, PARAM_DESCRIBED_TWICE, UNDECLARED_PARAM, UNUSED_PARAM, WRONG_PARAM},
};
use crate::{
    api::{
        control::param::{self, PARAM},
        convert::{self, Secrets},
    },
    script::check::{Call, Finding, Outline, Program, Written},
};

/// `given`: the parameters, if it is known which will be given.
pub fn check(program: &Program, given: Option<&BTreeMap<String, Value>>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut described: BTreeMap<String, (&Outline, &Call, Value)> = BTreeMap::new();
    let mut declared: Vec<String> = Vec::new();
    let mut all_are_literal = true;
    for (script, call) in calls_of(program, PARAM.name) {
        let Some(name) = call.arguments.first().and_then(Written::text) else {
            all_are_literal = false;
            continue;
        };
        findings.extend(unused(script, call, &name));
        let options = call.arguments.get(1).map_or_else(|| Some(Value::Object(Map::new())), options);
        if let Some(options) = &options {
            match described.get(&name) {
                None => drop(described.insert(name.clone(), (script, call, options.clone()))),
                Some((_, _, other)) if other == options => {}
                Some((other_script, other, _)) => {
                    findings.push(described_twice(script, call, &name, other_script, other));
                }
            }
        }
        if let (Some(given), Some(options)) = (given, options) {
            findings.extend(judge(program, script, call, &name, given, options));
        }
        declared.push(name);
    }
    // What cannot be read may ask for any parameter.
    if let (Some(given), true, false, true) = (given, all_are_literal, program.is_module, program.is_whole) {
        declared.sort_unstable();
        declared.dedup();
        let names: Vec<_> = declared.iter().map(String::as_str).collect();
        let undeclared = given.keys().filter(|given| !names.contains(&given.as_str()));
        findings.extend(undeclared.map(|given| {
            let failure = param::undeclared(&program.name, given, &names);
            Finding::of_failure(UNDECLARED_PARAM, &program.name, failure)
        }));
    }
    findings
}

fn unused(script: &Outline, call: &Call, name: &str) -> Option<Finding> {
    let is_unused = match &call.bound_to {
        // Named like this, it is meant to be unused.
        Some(variable) if variable.starts_with('_') => false,
        Some(variable) => !script.is_read(call.unit, variable),
        None => call.dropped,
    };
    is_unused.then(|| {
        Finding::new(UNUSED_PARAM, &script.file, format!("the parameter `{name}` is never used"))
            .at(call.place.clone())
            .help("use it, or remove it".to_owned())
    })
}

fn described_twice(script: &Outline, call: &Call, name: &str, other_script: &Outline, other: &Call) -> Finding {
    let message = format!("the parameter `{name}` is described in two ways");
    let finding = Finding::new(PARAM_DESCRIBED_TWICE, &script.file, message);
    if script.file != other_script.file {
        let also = other.place.as_ref().map(|place| format!("ask for it once: it is described at {place}, too"));
        return finding.at(call.place.clone()).help(also);
    }
    // Functions are looked at after the top level, wherever they stand.
    let (first, second) = (call.place.clone().min(other.place.clone()), call.place.clone().max(other.place.clone()));
    finding
        .at(second)
        .help("ask for it once, and pass its value on".to_owned())
        .other(first.map(|place| (place, "and here".to_owned())))
}

/// Whether `given` has what the call accepts.
fn judge(
    program: &Program,
    script: &Outline,
    call: &Call,
    name: &str,
    given: &BTreeMap<String, Value>,
    options: Value,
) -> Option<Finding> {
    let value = given.get(name);
    if value.is_none() && !is_certain(program, script, call) {
        return None;
    }
    let lint = if value.is_some() { WRONG_PARAM } else { MISSING_PARAM };
    let failure = param::judge(name, value, options).err()?;
    Some(Finding::of_failure(lint, &script.file, failure).at(call.place.clone()))
}

/// The options as they will be. `None`: something that matters is computed.
fn options(written: &Written) -> Option<Value> {
    let mut options = Map::new();
    for entry in written.entries()? {
        match entry.value.literal().and_then(|value| convert::to_json(&value, Secrets::Refuse).ok()) {
            Some(value) => drop(options.insert(entry.key.clone(), value)),
            // Only words.
            None if entry.key == "help" => {}
            None => return None,
        }
    }
    Some(Value::Object(options))
}
