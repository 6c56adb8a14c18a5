//! The environments a runbook names, and those that there are.

use super::{
    Known, calls_of,
    lints::{OTHER_ENVIRONMENT, UNKNOWN_ENVIRONMENT},
};
use crate::{
    api::control::environment::{self, ENVIRONMENT},
    script::check::{Call, Finding, Outline, Program, Written},
};

pub fn check(program: &Program, known: &Known<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut first: Option<String> = None;
    for (script, call) in calls_of(program, ENVIRONMENT.name) {
        let Some(name) = call.arguments.first().and_then(Written::text) else { continue };
        if !known.environments.contains_key(&name) {
            let failure = environment::unknown(&name, known.environments);
            findings.push(Finding::of_failure(UNKNOWN_ENVIRONMENT, &script.file, failure).at(call.place_of_first()));
        }
        if !is_certain(program, script, call) {
            continue;
        }
        let failure = match (&first, known.environment) {
            (Some(first), _) if *first != name => Some(environment::another(first, &name)),
            (None, Some(given)) if given != name => Some(environment::not_the_given(&name, given)),
            _ => None,
        };
        findings
            .extend(failure.map(|failure| {
                Finding::of_failure(OTHER_ENVIRONMENT, &script.file, failure).at(call.place_of_first())
            }));
        first.get_or_insert(name);
    }
    findings
}

/// Whether the runbook makes the call itself whenever it is run to its end.
pub(super) fn is_certain(program: &Program, script: &Outline, call: &Call) -> bool {
    script.file == program.name && call.unit == 0 && call.certain
}
