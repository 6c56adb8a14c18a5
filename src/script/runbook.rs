//! A runbook from its file to its end: load, compile, refuse, run.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rhai::{AST, Engine};

use super::{
    Failure, Library, Limits, Trace, Vocabulary, Watch,
    callback::exited,
    engine,
    import::Resolver,
    syntax::{self, Call},
    thread,
};

/// The modules inside the binary, without the folder: `("network", "…")`.
pub type Stdlib = &'static [(&'static str, &'static str)];

/// A runbook that compiles. Nothing of it has run.
#[derive(Clone)]
pub struct Runbook {
    /// Its path below the project root.
    name: String,
    root: PathBuf,
    ast: Arc<AST>,
    host: Arc<Vocabulary>,
    library: Arc<Library>,
}

impl Runbook {
    /// Reads and compiles the file `path`. Its imports have to be files below `root`. `host` names
    /// the host's functions, which the runbook must not redefine.
    pub fn load(path: &Path, root: &Path, host: Vocabulary) -> Result<Self, Refused> {
        let library = Arc::new(Library::default());
        let refuse = |trace: Trace| Refused { trace, library: Arc::clone(&library) };
        let fail = |message: String| refuse(Trace::of_failure(Failure::new(message)));
        let unreadable = |error| fail(format!("cannot read `{}`: {error}", path.display()));

        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let file = path.canonicalize().map_err(unreadable)?;
        let root = root.canonicalize().map_err(|error| fail(format!("cannot read `{}`: {error}", root.display())))?;
        let name = file.strip_prefix(&root).map_err(|_| {
            let message = format!("`{}` is outside the project `{}`", path.display(), root.display());
            refuse(Trace::of_failure(Failure::new(message)))
        })?;
        let name = name.to_string_lossy().into_owned();

        library.add_text(&name, &text);
        let mut ast = engine::parser(&Limits::default())
            .compile(&text)
            .map_err(|error| refuse(Trace::of_syntax(&name, error, &library)))?;
        ast.set_source(&name);
        syntax::refuse_hijacks(&name, &text, &ast, &host).map_err(|failure| refuse(Trace::of_failure(failure)))?;
        let ast = Arc::new(ast);
        library.add_ast(&name, &ast);
        Ok(Self { name, root, ast, host: Arc::new(host), library })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its text and, once they were imported, those of its modules.
    pub fn library(&self) -> &Arc<Library> {
        &self.library
    }

    /// The calls of a function in the runbook itself, with their literal arguments.
    pub fn calls(&self, function: &str) -> Vec<Call> {
        syntax::calls(&self.name, &self.ast, function)
    }

    /// The environment the runbook names: the literal of its first `environment("…")`.
    pub fn declared_environment(&self) -> Option<String> {
        let call = self.calls("environment").into_iter().next()?;
        call.arguments.into_iter().next()??.into_string().ok()
    }
}

impl fmt::Debug for Runbook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runbook({})", self.name)
    }
}

/// Why a runbook was not accepted, with the text to show.
#[derive(Clone)]
pub struct Refused {
    pub trace: Trace,
    pub library: Arc<Library>,
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.trace.compact())
    }
}

/// How a script ended that did not reach its end.
#[derive(Clone, Debug)]
pub enum Stopped {
    /// It failed, or the host ended it.
    Failed(Trace),
    /// The host panicked.
    Panicked(thread::Panic),
}

/// A runbook on its engine.
pub struct Script {
    runbook: Runbook,
    engine: Arc<Engine>,
    watch: Arc<Watch>,
}

impl Script {
    /// Puts the runbook on an engine. `register` adds the host's functions.
    pub fn new(
        runbook: Runbook,
        stdlib: Stdlib,
        limits: &Limits,
        watch: Arc<Watch>,
        print: impl Fn(&str) + Send + Sync + 'static,
        register: impl FnOnce(&mut Engine),
    ) -> Self {
        let mut engine = engine::engine(limits, &watch, print);
        let (host, library) = (Arc::clone(&runbook.host), Arc::clone(&runbook.library));
        engine.set_module_resolver(Resolver::new(runbook.root.clone(), stdlib, host, library));
        register(&mut engine);
        Self { runbook, engine: Arc::new(engine), watch }
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Runs it from the top, on a thread of its own.
    pub fn run(&self) -> Result<(), Stopped> {
        let result = thread::run("runbook", || self.engine.run_ast(&self.runbook.ast)).map_err(Stopped::Panicked)?;
        // Whatever the script made of it: a fatal failure is one, even if a `try` swallowed it.
        let result = result.or_else(|error| if exited(&error) { Ok(()) } else { Err(error) });
        match (result, self.watch.latched()) {
            (Ok(()), None) => Ok(()),
            (Ok(()), Some(failure)) => Err(Stopped::Failed(Trace::of_failure(failure))),
            (Err(error), fatal) => {
                let mut trace = self.trace(error);
                if let (Some(fatal), None) = (fatal, &trace.failure) {
                    trace = Trace::of_failure(fatal);
                }
                Err(Stopped::Failed(trace))
            }
        }
    }

    /// The trace of an error of this script.
    pub fn trace(&self, error: Box<rhai::EvalAltResult>) -> Trace {
        Trace::new(&self.runbook.name, error, &self.runbook.library, &self.runbook.host)
    }
}
