//! Finds what is wrong with runbooks without running them.
//!
//! `script::check` reads the scripts and judges them as scripts. Here their calls of operations and
//! control words are judged: `arguments` looks at options, with `probe` asking the very decoders that
//! a run uses; `functions` looks at options of functions that say themselves what they take; `params`,
//! `environments`, `vars`, `configs` and `hooks` look at what a runbook asks for, where it runs, what it reads, and what it
//! does when it fails.

mod arguments;
mod configs;
mod environments;
mod functions;
mod hooks;
pub mod lints;
mod params;
mod probe;
mod vars;

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use serde_json::Value;

use super::{
    control::CONTROLS,
    failure, handle,
    host::{ScriptFailure, vocabulary},
    json, secret, stdlib,
};
use crate::{
    ops::catalog::OPERATIONS,
    script::{
        Limits, Watch,
        check::{Checker, Finding, Found, Functions, Outline, Program, lints::UNREADABLE_FILE},
        engine, thread,
    },
    settings::Environment,
};

/// What is known besides the scripts.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The environments of runner.toml.
    pub environments: &'a BTreeMap<String, Environment>,
    /// `--env`
    pub environment: Option<&'a str>,
    /// The parameters, if it is known which will be given.
    pub params: Option<&'a BTreeMap<String, Value>>,
}

/// Finds what is wrong with `files` of the project `root`, and with all they import.
///
/// # Errors
/// Only a bug in the check itself: whatever is wrong with the files is a finding.
pub fn check(root: &Path, files: &[PathBuf], known: &Known<'_>) -> Result<Vec<Found>, ScriptFailure> {
    // A thread of its own has room for scripts that nest deeply, and ends panics.
    thread::run("check", || check_files(root, files, known)).map_err(|panic| ScriptFailure::bug(&panic.to_string()))
}

fn check_files(root: &Path, files: &[PathBuf], known: &Known<'_>) -> Vec<Found> {
    let engine = engine();
    let functions = functions(&engine);
    let unreadable = |file: &Path, failure: crate::script::Failure| {
        let finding = Finding::of_failure(UNREADABLE_FILE, &file.to_string_lossy().into(), failure);
        Found { finding, text: None }
    };
    let checker = match Checker::new(root, stdlib::MODULES, vocabulary(), functions) {
        Ok(checker) => Judge { checker, judged: RefCell::default() },
        Err(failure) => return vec![unreadable(root, failure)],
    };
    let checked = files.iter().flat_map(|file| match checker.check(file, known) {
        Ok(found) => found,
        Err(failure) => vec![unreadable(file, failure)],
    });
    let mut found: Vec<Found> = checked.collect();
    // What several runbooks import is found several times.
    found.sort_by(|a, b| order(&a.finding).cmp(&order(&b.finding)));
    found.dedup_by(|a, b| a.finding == b.finding);
    found
}

fn order(finding: &Finding) -> impl Ord + use<'_> {
    let place = finding.place.as_ref().map(|place| (place.line, place.column));
    (Arc::clone(&finding.file), place, finding.lint.name, &finding.message)
}

/// An engine with all that can be called without a run.
fn engine() -> rhai::Engine {
    let watch = Arc::new(Watch::new(|| None));
    let mut engine = engine::engine(&Limits::default(), &watch, |_| {});
    failure::register(&mut engine);
    handle::register(&mut engine);
    secret::register(&mut engine, &watch);
    json::register(&mut engine);
    engine
}

/// All functions of a run.
fn functions(engine: &rhai::Engine) -> Functions {
    let mut functions = Functions::of(engine);
    for entry in OPERATIONS {
        let most = 1 + usize::from(entry.positional.is_some()) + usize::from(entry.second.is_some());
        functions.add(entry.name, 0..=most);
    }
    for control in CONTROLS {
        functions.add(control.name, control.arity.clone());
    }
    functions
}

/// Judges programs, each script of them once.
struct Judge {
    checker: Checker,
    judged: RefCell<BTreeMap<Arc<str>, Vec<Finding>>>,
}

impl Judge {
    fn check(&self, file: &Path, known: &Known<'_>) -> Result<Vec<Found>, crate::script::Failure> {
        let program = self.checker.check(file)?;
        let mut findings = program.findings.clone();
        for script in &program.scripts {
            findings.extend(self.judge(script));
        }
        findings.extend(environments::check(&program, known));
        findings.extend(vars::check(&program, known));
        findings.extend(params::check(&program, known.params));
        findings.extend(functions::check(&program));
        findings.extend(hooks::check(&program, &self.checker));
        Ok(findings.into_iter().map(|finding| self.checker.found(finding)).collect())
    }

    /// What is wrong with a script whoever imports it.
    fn judge(&self, script: &Rc<Outline>) -> Vec<Finding> {
        let mut judged = self.judged.borrow_mut();
        let judge = || [arguments::check(script), configs::check(script, &self.checker)].concat();
        judged.entry(Arc::clone(&script.file)).or_insert_with(judge).clone()
    }
}

/// The calls of a control word in all scripts of a program, each with its script.
fn calls_of<'a>(
    program: &'a Program,
    word: &'a str,
) -> impl Iterator<Item = (&'a Rc<Outline>, &'a crate::script::check::Call)> {
    let calls = |script: &'a Rc<Outline>| script.calls.iter().map(move |call| (script, call));
    program.scripts.iter().flat_map(calls).filter(move |(_, call)| call.is(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{bind, control, session::Session},
        aws::Endpoint,
        clock::Clock,
        event::Events,
        run::{Journal, Run, RunId, Store},
        script::{Library, project::Project},
        sim::{Simulator, Source},
    };

    /// What a check knows is what a run registers, to the number of arguments.
    #[test]
    fn the_functions_are_those_of_a_run() {
        let tokio = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let _tokio = tokio.enter();
        let simulator = Arc::new(Simulator::open(Source::Fresh, 1).expect("a world"));
        let clock = Clock::virtual_from(simulator.clock(), 1);
        let id = RunId::new(clock.now(), 1);
        let journals = tempfile::tempdir().expect("a folder");
        let journal = Journal::new(Store::folder(journals.path()).expect("a store"), id.as_str());
        let run = Run::new(id, clock.clone(), Events::new(clock, Vec::new()), journal, Endpoint::Sim(simulator), 1);
        let project = Project::open(journals.path()).expect("a folder");
        let session = Session::new(run, super::super::Inputs::default(), Arc::new(Library::default()), project);
        let mut engine = engine();
        control::register(&mut engine, &session);
        bind::register(&mut engine, &session);
        let (ours, real) = (functions(&super::engine()), Functions::of(&engine));
        assert_eq!(ours, real);
    }

    #[test]
    fn lints_have_names_of_their_own() {
        let mut names: Vec<_> = lints::all().map(|lint| lint.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        let kebab = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(names.iter().all(kebab), "{names:?}");
    }
}
