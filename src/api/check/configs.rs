//! The files that `config` would read.

use super::lints::WRONG_CONFIG;
use crate::{
    api::control::config::{self, CONFIG},
    script::check::{Checker, Finding, Outline, Written},
};

pub fn check(script: &Outline, checker: &Checker) -> Vec<Finding> {
    let mut findings = Vec::new();
    for call in script.calls.iter().filter(|call| call.is(CONFIG.name) && !call.tried) {
        let Some(path) = call.arguments.first().and_then(Written::text) else { continue };
        let failures =
            config::judge(checker.project(), &script.file, &path, &|file, text| checker.add_text(file, text));
        findings.extend(failures.into_iter().map(|failure| {
            let place = failure.place().cloned().or_else(|| call.place_of_first());
            Finding::of_failure(WRONG_CONFIG, &script.file, failure).at(place)
        }));
    }
    findings
}
