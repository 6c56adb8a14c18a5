//! Options that are given to functions of scripts which say what they take, with `check_options`.

use std::rc::Rc;

use super::lints::{MISSING_OPTION, UNKNOWN_OPTION, WRONG_ARGUMENT};
use crate::{
    api::{
        control::check_options::{Accepted, CHECK_OPTIONS},
        convert::{self, Secrets},
        options,
    },
    script::{
        Place,
        check::{Call, Finding, Outline, Program, Shape, Written},
    },
};

/// Judges the calls in all scripts of a program.
pub fn check(program: &Program) -> Vec<Finding> {
    let calls = program.scripts.iter().flat_map(|script| script.calls.iter().map(move |call| (script, call)));
    calls.flat_map(|(script, call)| check_call(program, script, call)).collect()
}

fn check_call(program: &Program, script: &Rc<Outline>, call: &Call) -> Vec<Finding> {
    let Some((module, unit)) = program.target(script, call) else { return Vec::new() };
    let Some((argument, accepted)) = accepted(module, unit) else { return Vec::new() };
    let Some(given) = call.arguments.get(argument) else { return Vec::new() };
    let function = [call.path.as_slice(), std::slice::from_ref(&call.name)].concat().join("::");
    let Some(entries) = given.entries() else {
        return no_map(script, call, &function, given).into_iter().collect();
    };
    let keys = entries.iter().map(|entry| entry.key.as_str());
    // What the function sets itself is not for its callers to give.
    let parameter = &module.functions[unit - 1].parameter_names[argument];
    let present: Vec<&str> = keys.clone().chain(module.keys_set(unit, parameter)).collect();
    let unknown = accepted.problems(&keys.collect::<Vec<_>>()).into_iter().filter(|problem| is_unknown(problem));
    let missing = accepted.problems(&present).into_iter().filter(|problem| !is_unknown(problem));
    unknown.chain(missing).map(|problem| finding(script, call, &function, given, &problem)).collect()
}

fn is_unknown(problem: &str) -> bool {
    problem.starts_with("unknown field ")
}

/// Which argument of the function are its options, and what they can be. `None`: it does not say so, or not always.
fn accepted(module: &Outline, unit: usize) -> Option<(usize, Accepted)> {
    let said = module.calls.iter().find(|call| call.is(CHECK_OPTIONS.name) && call.unit == unit && call.certain)?;
    let [Written { shape: Shape::Variable(variable), .. }, description] = said.arguments.as_slice() else {
        return None;
    };
    let argument = module.functions[unit - 1].parameter_names.iter().position(|name| name == variable)?;
    let description = convert::to_json(&description.literal()?, Secrets::Refuse).ok()?;
    let accepted = Accepted::of(description)?;
    module.is_as_given(unit, variable).then_some((argument, accepted))
}

fn no_map(script: &Outline, call: &Call, function: &str, given: &Written) -> Option<Finding> {
    let found = match &given.shape {
        Shape::Function(_) => "a function".to_owned(),
        _ => crate::api::bind::described(&convert::to_json(&given.literal()?, Secrets::Refuse).ok()?),
    };
    let words = options::no_map(function, &found);
    let place = Place::new(&script.file, given.position).or_else(|| call.place.clone());
    Some(Finding::new(WRONG_ARGUMENT, &script.file, words.message).at(place).help(words.help))
}

fn finding(script: &Outline, call: &Call, function: &str, given: &Written, problem: &str) -> Finding {
    let lint = if is_unknown(problem) { UNKNOWN_OPTION } else { MISSING_OPTION };
    let words = options::words(function, "", problem);
    let written = given.position_of(&words.path).and_then(|position| Place::new(&script.file, position));
    let passed = call.place.clone().filter(|_| written.is_some() && given.through_variable);
    let other = passed.map(|place| (place, format!("given to `{function}` here")));
    Finding::new(lint, &script.file, words.message).at(written.or(call.place.clone())).help(words.help).other(other)
}
