//! One runbook on one run: everything put together.

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{Arc, OnceLock},
};

use serde_json::Value;

use super::{
    bind,
    control::{self, CONTROLS, param},
    failure::{self, Cause, Usage},
    handle, json, secret,
    session::Session,
    stdlib,
};
use crate::{
    event::Event,
    ops::{self, Operation, catalog::OPERATIONS, compute::asg_options::LaunchAsg},
    policy::Governed,
    run::{FailedAs, Run},
    script::{
        Failure, Limits, Problem, Project, Runbook, Script, Stdlib, Trace, Vocabulary,
        runbook::{Refused, Stopped},
    },
    settings::Environment,
};

/// What a runbook is run with.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    pub environments: BTreeMap<String, Environment>,
    /// `--env`
    pub environment: Option<String>,
    /// `--param`: as strings from the command line, typed from a file.
    pub params: BTreeMap<String, Value>,
    /// Whether there is somebody to ask.
    pub interactive: bool,
}

/// The names no runbook may give to something else.
pub fn vocabulary() -> Vocabulary {
    let operations = OPERATIONS.iter().map(|entry| entry.name);
    operations.chain(CONTROLS.iter().map(|control| control.name)).collect()
}

/// Reads and compiles a runbook. Nothing of it is run.
///
/// # Errors
/// If it cannot be read, does not compile, or takes the name of an operation.
pub fn load(path: &Path, root: &Path) -> Result<Runbook, ScriptFailure> {
    Runbook::load(path, root, vocabulary()).map_err(ScriptFailure::refused)
}

/// The environment the runbook in this file names, if it compiles and names one by a literal.
pub fn declared_environment(path: &Path) -> Option<String> {
    let file = path.canonicalize().ok()?;
    load(&file, file.parent()?).ok()?.declared_environment()
}

/// Whether the parameter `name` may be a secret, as far as the text of the runbook and its modules tells.
pub fn may_be_secret(runbook: &Runbook, name: &str) -> bool {
    param::may_be_secret(runbook, stdlib::MODULES, name)
}

/// Reads all modules that the runbook imports by a literal path, so that whoever observes its project knows them.
pub fn read_modules(runbook: &Runbook) {
    runbook.called(stdlib::MODULES);
}

/// The runbook of a run as it was, with the files it has read.
///
/// # Errors
/// If it does not compile any more.
pub fn stored(name: &str, project: Project) -> Result<Runbook, ScriptFailure> {
    Runbook::stored(name, project, vocabulary()).map_err(ScriptFailure::refused)
}

/// Whether a run of it may launch a fleet, as far as its text and that of its modules tell.
pub fn may_launch(runbook: &Runbook) -> bool {
    !runbook.all_calls(stdlib::MODULES, LaunchAsg::NAME).is_empty()
}

/// The host of one run. Has to outlive its rollback: the runbook's hooks run on it.
pub struct Host {
    run: Arc<Run>,
    inputs: Inputs,
    limits: Limits,
    stdlib: Stdlib,
    script: OnceLock<Script>,
}

impl Host {
    pub fn new(run: Arc<Run>, inputs: Inputs) -> Self {
        Self { run, inputs, limits: Limits::default(), stdlib: stdlib::MODULES, script: OnceLock::new() }
    }

    /// With other modules than those in the binary.
    pub fn with_stdlib(mut self, stdlib: Stdlib) -> Self {
        self.stdlib = stdlib;
        self
    }

    /// With other limits on what the script may use.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Runs the runbook to its end. A host runs one runbook, once.
    ///
    /// # Errors
    /// If it did not reach its end. Nothing is rolled back yet.
    pub fn execute(&self, runbook: &Runbook) -> Result<(), ScriptFailure> {
        param::check(runbook, self.stdlib, self.inputs.params.keys().map(String::as_str))
            .map_err(|failure| ScriptFailure::of(Trace::of_failure(failure).into(), runbook))?;
        if self.inputs.environments.values().any(|environment| environment.policy != Governed::Freely) {
            self.run.require_environment();
        }
        // Its modules are read for that; another driver needs them before anything is done.
        let called = runbook.called(self.stdlib);
        self.run.flush().map_err(|error| ScriptFailure::of_error(error, runbook))?;
        self.run.expect_operations(
            OPERATIONS.iter().map(|entry| entry.name).filter(|name| called.contains(*name)).collect(),
        );
        let (run, library) = (Arc::clone(&self.run), Arc::clone(runbook.library()));
        let session = Session::new(run, self.inputs.clone(), library, runbook.project().clone());
        let printed = Arc::clone(&session);
        let script = Script::new(
            runbook.clone(),
            self.stdlib,
            &self.limits,
            Arc::clone(&session.watch),
            move |text| print(&printed, text),
            |engine| {
                failure::register(engine);
                handle::register(engine);
                secret::register(engine, &session.watch);
                json::register(engine);
                control::register(engine, &session);
                bind::register(engine, &session);
            },
        );
        session.set_engine(script.engine());
        assert!(self.script.set(script).is_ok(), "a host runs one runbook, once");
        let script = self.script.get().expect("it was just set");
        let ended = script.run().map_err(|stopped| match stopped {
            Stopped::Failed(trace) => {
                let secrets = self.run.secrets();
                ScriptFailure::of(trace.reworded(|text| secrets.mask(text)).into(), runbook)
            }
            Stopped::Panicked(panic) => ScriptFailure::bug(&panic.to_string()),
        });
        ended.and_then(|()| self.run.all_came_again().map_err(|error| ScriptFailure::of_error(error, runbook)))
    }
}

/// What the language's own `print` and `debug` say. They cannot fail: the next step does.
fn print(session: &Session, text: &str) {
    match session.budget.say(text.len()) {
        Ok(()) => session.run.emit(Event::Log { message: text.to_owned() }),
        Err(failure) => drop(session.watch.fail(failure)),
    }
}

/// Why a runbook did not reach its end.
pub struct ScriptFailure {
    pub kind: FailureKind,
    /// The report with the lines of source.
    pub problem: Box<Problem>,
    /// The same in plain lines: `file:line:column: message`.
    pub message: String,
    trace: Box<Trace>,
}

/// Who has to act: decides the exit code.
#[derive(Clone, Debug)]
pub enum FailureKind {
    /// An operation failed.
    Operation(Arc<ops::Error>),
    /// The runbook is wrong, or threw an error of its own.
    Script,
    /// What it was started with is wrong: environment, parameters.
    Usage,
    /// It was asked to stop.
    Interrupted,
    /// The runner is wrong.
    Bug,
}

impl FailureKind {
    /// Whether only the simulated AWS had no answer, or a dry run could not look it up: AWS would have one.
    pub fn is_unanswered(&self) -> bool {
        matches!(self, Self::Operation(error) if error.is_unanswered())
    }
}

impl ScriptFailure {
    fn of(trace: Box<Trace>, runbook: &Runbook) -> Self {
        let problem = trace.problem(runbook.library()).into();
        Self { kind: kind(&trace), problem, message: trace.compact(), trace }
    }

    /// Of the host itself, at no place of the script.
    fn of_error(error: ops::Error, runbook: &Runbook) -> Self {
        let failure = Failure { help: error.hint(), ..Failure::new(error.to_string()) };
        Self::of(Trace::of_failure(failure.because(Cause::of(error))).into(), runbook)
    }

    fn refused(refused: Refused) -> Self {
        let problem = refused.trace.problem(&refused.library).into();
        Self { kind: FailureKind::Script, problem, message: refused.trace.compact(), trace: refused.trace }
    }

    pub(super) fn bug(message: &str) -> Self {
        let failure = crate::script::Failure::new(format!("a bug in runner: {message}"));
        let trace = Box::new(Trace::of_failure(failure.help("please report it, with the runbook if you can")));
        let problem = trace.problem(&crate::script::Library::default()).into();
        Self { kind: FailureKind::Bug, problem, message: trace.compact(), trace }
    }

    /// Its data: message, help, place, callers.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }
}

fn kind(trace: &Trace) -> FailureKind {
    let Some(failure) = &trace.failure else { return FailureKind::Script };
    if failure.cause::<Usage>().is_some() {
        return FailureKind::Usage;
    }
    match failure.cause::<Cause>().map(|cause| &cause.error) {
        None => FailureKind::Script,
        Some(error) => match **error {
            ops::Error::Interrupted => FailureKind::Interrupted,
            // The call as it is written is wrong: nothing was asked of AWS.
            ops::Error::Option { .. } => FailureKind::Script,
            ops::Error::Before(ref failed) if failed.kind == FailedAs::Option => FailureKind::Script,
            _ => FailureKind::Operation(Arc::clone(error)),
        },
    }
}

impl fmt::Debug for ScriptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

impl fmt::Display for ScriptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ScriptFailure {}
