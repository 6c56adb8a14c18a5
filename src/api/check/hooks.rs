//! Hooks that can never be called.
//!
//! A hook is called when the run fails after it was registered, unless `commit` came before. A read
//! or a wait can fail as well as a change, so a hook is useless only if nothing follows that asks
//! anything of AWS, waits, throws, or can be interrupted. (What follows may still have a mistake in it:
//! hooks are not for those.)

use std::collections::BTreeSet;

use super::{environments::is_certain, lints::USELESS_HOOK};
use crate::{
    api::control::{
        rollback::{COMMIT, ON_ROLLBACK},
        say::{LOG, NOW, OUTPUT},
    },
    script::check::{Call, Checker, Finding, Outline, Program, Shape, Written},
};

/// Control words after which nothing has failed.
const HARMLESS: [&str; 5] = [LOG.name, OUTPUT.name, NOW.name, COMMIT.name, ON_ROLLBACK.name];

pub fn check(program: &Program, checker: &Checker) -> Vec<Finding> {
    let Some(runbook) = program.script(&program.name).filter(|_| !program.is_module) else { return Vec::new() };
    let hooks = runbook.calls.iter().enumerate().filter(|(_, call)| call.is(ON_ROLLBACK.name) && call.unit == 0);
    let useless = hooks.filter_map(|(index, hook)| {
        let committed =
            runbook.calls[..index].iter().rfind(|call| call.is(COMMIT.name) && is_certain(program, runbook, call));
        let (message, other) = if let Some(commit) = committed {
            let other = commit.place.clone().map(|place| (place, "the point of no return".to_owned()));
            ("this hook is never called: after `commit` nothing is taken back", other)
        } else if is_certain(program, runbook, hook) && !may_fail(checker, runbook, index + 1) {
            ("this hook comes too late: no operation and no wait follows that could fail", None)
        } else {
            return None;
        };
        let help = "register it before the first step after which it is wanted".to_owned();
        Some(Finding::new(USELESS_HOOK, &runbook.file, message).at(hook.place.clone()).help(help).other(other))
    });
    useless.collect()
}

/// Whether anything at the runbook's top level can fail from its call `start` on.
fn may_fail(checker: &Checker, runbook: &Outline, start: usize) -> bool {
    let mut seen = BTreeSet::new();
    let mut later = runbook.calls[start..].iter().filter(|call| call.unit == 0);
    runbook.ends.iter().any(|at| *at >= start) || later.any(|call| call_may_fail(checker, runbook, call, &mut seen))
}

fn call_may_fail(checker: &Checker, script: &Outline, call: &Call, seen: &mut BTreeSet<String>) -> bool {
    if script.is_within(call, ON_ROLLBACK.name) || HARMLESS.iter().any(|word| call.is(word)) {
        return false;
    }
    // Functions are the units after the top level.
    let functions = script.functions.iter().zip(1..).filter(|(function, _)| function.name == call.name);
    let units: Vec<usize> = functions.map(|(_, unit)| unit).collect();
    if !call.path.is_empty() || units.is_empty() {
        return !is_harmless_native(checker, call);
    }
    let mut inner = script.calls.iter().filter(|call| units.contains(&call.unit));
    seen.insert(call.name.clone())
        && (!script.ends.is_empty() || inner.any(|call| call_may_fail(checker, script, call, seen)))
}

/// Whether it is a function of the language that calls nothing else.
fn is_harmless_native(checker: &Checker, call: &Call) -> bool {
    let may_call = |argument: &Written| matches!(argument.shape, Shape::Variable(_) | Shape::Function(None));
    call.path.is_empty()
        && checker.is_native(&call.name)
        && call.name != "exit"
        && !call.arguments.iter().skip(1).any(may_call)
}
