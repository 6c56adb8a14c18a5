//! A project in a temporary folder, and a host with a few functions.

use std::{
    fs,
    sync::{Arc, Mutex, OnceLock, Weak},
};

use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, NativeCallContext};
use runner::script::{
    Callback, Failure, Limits, Problem, Runbook, Script, Stdlib, Trace, Vocabulary, Watch,
    check::{Checker, Functions},
    runbook::{Refused, Stopped},
    thread,
};

pub const STDLIB: Stdlib = &[
    (
        "greet",
        "fn hello(name) { `hello ${name}` }  fn record(what) { act(what) }  fn later(what) { on_end(|| record(what)) }",
    ),
    ("deep", "import \"stdlib/greet\" as greet;  fn hello(name) { greet::hello(name) + \"!\" }"),
];

type Result<T> = std::result::Result<T, Box<EvalAltResult>>;

/// What a script did to its host.
#[derive(Default)]
pub struct World {
    pub acted: Mutex<Vec<String>>,
    pub printed: Mutex<Vec<String>>,
    hooks: Mutex<Vec<Callback>>,
    engine: OnceLock<Weak<Engine>>,
}

pub struct Host {
    pub world: Arc<World>,
    pub watch: Arc<Watch>,
    pub script: Script,
    pub runbook: Runbook,
}

/// A project of files. The runbook is `runbooks/main.rhai`.
pub struct Project(pub tempfile::TempDir);

impl Project {
    pub fn new(runbook: &str) -> Self {
        Self(tempfile::tempdir().expect("a temporary folder")).with("runbooks/main.rhai", runbook)
    }

    pub fn with(self, file: &str, text: &str) -> Self {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
        self
    }

    pub fn load(&self) -> std::result::Result<Runbook, Refused> {
        Runbook::load(&self.0.path().join("runbooks/main.rhai"), self.0.path(), vocabulary())
    }

    /// What a check finds wrong with the runbook, given all the functions of `host`.
    pub fn complaints(&self, host: &Host) -> Vec<String> {
        let functions = Functions::of(host.script.engine());
        let checker = Checker::new(self.0.path(), STDLIB, vocabulary(), functions).expect("a project");
        let program = checker.check(&self.0.path().join("runbooks/main.rhai")).expect("a file of the project");
        program.findings.iter().map(|finding| format!("{}: {}", finding.lint.name, finding.message)).collect()
    }

    pub fn host(&self, limits: &Limits) -> Host {
        let runbook = self.load().expect("the runbook compiles");
        let world = Arc::new(World::default());
        let watch = Arc::new(Watch::new(|| None));
        let (printed, functions, watched) = (Arc::clone(&world), Arc::clone(&world), Arc::clone(&watch));
        let script = Script::new(
            runbook.clone(),
            STDLIB,
            limits,
            Arc::clone(&watch),
            move |text| printed.printed.lock().unwrap().push(text.into()),
            move |engine| register(engine, &functions, &watched),
        );
        world.engine.set(Arc::downgrade(script.engine())).expect("one engine");
        Host { world, watch, script, runbook }
    }
}

fn vocabulary() -> Vocabulary {
    Vocabulary::from_iter(["act", "fatal", "refuse", "on_end", "strands", "panics"])
}

fn register(engine: &mut Engine, world: &Arc<World>, watch: &Arc<Watch>) {
    let (w, stop) = (Arc::clone(world), Arc::clone(watch));
    engine.register_fn("act", move |what: Dynamic| -> Result<Dynamic> {
        stop.check()?;
        w.acted.lock().unwrap().push(what.to_string());
        Ok(what)
    });
    let stop = Arc::clone(watch);
    engine.register_fn("fatal", move |context: NativeCallContext| -> Result<()> {
        Err(stop.fail(Failure::new("the run is over").at(&context)))
    });
    engine.register_fn("refuse", |context: NativeCallContext, why: &str| -> Result<()> {
        Err(Failure::new(format!("refused: {why}")).help("ask again").at(&context).because(7_u8).into())
    });
    engine.register_fn("panics", || -> Result<()> { panic!("a bug") });
    let w = Arc::clone(world);
    engine.register_fn("on_end", move |context: NativeCallContext, hook: FnPtr| -> Result<()> {
        w.hooks.lock().unwrap().push(Callback::capture(&context, &hook)?);
        Ok(())
    });
    let w = Arc::clone(world);
    engine.register_fn("strands", move |context: NativeCallContext, work: rhai::Array| -> Result<rhai::Array> {
        let engine = w.engine.get().and_then(Weak::upgrade).expect("the engine runs");
        let work =
            work.into_iter().map(|f| Callback::capture(&context, &f.cast::<FnPtr>())).collect::<Result<Vec<_>>>()?;
        std::thread::scope(|scope| {
            let strands: Vec<_> = work
                .iter()
                .map(|work| {
                    std::thread::Builder::new()
                        .stack_size(thread::BRANCH_STACK)
                        .spawn_scoped(scope, || work.call(&engine, vec![]))
                        .expect("a thread")
                })
                .collect();
            strands.into_iter().map(|strand| strand.join().expect("no panic")).collect()
        })
    });
}

impl Host {
    pub fn acted(&self) -> Vec<String> {
        self.world.acted.lock().unwrap().clone()
    }

    /// The hooks in reverse order, as a rollback runs them.
    pub fn run_hooks(&self) -> Vec<std::result::Result<String, String>> {
        self.watch.start_over();
        let hooks = std::mem::take(&mut *self.world.hooks.lock().unwrap());
        let run = |hook: Callback| match hook.call(self.script.engine(), vec![]) {
            Ok(value) => Ok(value.to_string()),
            Err(error) => Err(self.script.trace(*error).compact()),
        };
        thread::run("hooks", || hooks.into_iter().rev().map(run).collect()).expect("no panic")
    }

    pub fn problem(&self, trace: &Trace) -> Problem {
        trace.problem(self.runbook.library())
    }
}

/// Runs a runbook, and returns its host and how it ended.
pub fn run(runbook: &str) -> (Host, std::result::Result<(), Stopped>) {
    run_project(&Project::new(runbook))
}

pub fn run_project(project: &Project) -> (Host, std::result::Result<(), Stopped>) {
    let host = project.host(&Limits::default());
    let ended = host.script.run();
    let complaints = project.complaints(&host);
    assert!(ended.is_err() || complaints.is_empty(), "what runs is complained about: {complaints:#?}");
    (host, ended)
}

/// Runs a runbook that has to reach its end.
pub fn succeed(runbook: &str) -> Host {
    let (host, ended) = run(runbook);
    ended.expect("the runbook reaches its end");
    host
}

/// Runs a runbook that has to fail, and returns the trace.
pub fn fail(runbook: &str) -> (Host, Trace) {
    let (host, ended) = run(runbook);
    (host, trace(ended))
}

pub fn trace(ended: std::result::Result<(), Stopped>) -> Trace {
    match ended.expect_err("the runbook fails") {
        Stopped::Failed(trace) => *trace,
        Stopped::Panicked(panic) => panic!("unexpected panic: {panic}"),
    }
}
