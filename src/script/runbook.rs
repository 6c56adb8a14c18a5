//! A runbook from its file to its end: load, compile, refuse, run.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rhai::{AST, Dynamic, Engine, EvalAltResult, ModuleResolver, Position};

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
        let refuse = |trace: Trace| Refused { trace: Box::new(trace), library: Arc::clone(&library) };
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

    /// The calls of a function in the runbook and in all modules it imports by a literal path.
    /// Modules that cannot be imported are left out: running it will say why.
    pub fn all_calls(&self, stdlib: Stdlib, function: &str) -> Vec<Call> {
        let library = Arc::new(Library::default());
        let resolver = Resolver::new(self.name.clone(), self.root.clone(), stdlib, Arc::clone(&self.host), library);
        let engine = engine::parser(&Limits::default());
        let mut calls = self.calls(function);
        let mut seen = BTreeSet::from([self.name.clone()]);
        let mut waiting = vec![Arc::clone(&self.ast)];
        while let Some(ast) = waiting.pop() {
            for path in syntax::imports(&ast) {
                let Some(Ok(module)) = resolver.resolve_ast(&engine, ast.source(), &path, Position::NONE) else {
                    continue;
                };
                let name = module.source().unwrap_or_default().to_owned();
                if seen.insert(name.clone()) {
                    calls.extend(syntax::calls(&name, &module, function));
                    waiting.push(Arc::new(module));
                }
            }
        }
        calls
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
    pub trace: Box<Trace>,
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
    Failed(Box<Trace>),
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
        // Where host functions find it: to know the files they are called in.
        engine.set_default_tag(Dynamic::from(Arc::clone(&library)));
        engine.set_module_resolver(Resolver::new(runbook.name.clone(), runbook.root.clone(), stdlib, host, library));
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
            (Ok(()), Some(fatal)) => Err(Stopped::Failed(Trace::of_failure(fatal).into())),
            (Err(error), fatal) => {
                let trace = self.trace(*error);
                let is_shown =
                    |fatal: &Failure| trace.failure.as_ref().is_some_and(|shown| shown.message == fatal.message);
                let fatal = fatal.filter(|fatal| !is_shown(fatal));
                Err(Stopped::Failed(fatal.map_or(trace, Trace::of_failure).into()))
            }
        }
    }

    /// The trace of an error of this script.
    pub fn trace(&self, error: EvalAltResult) -> Trace {
        Trace::new(&self.runbook.name, error, &self.runbook.library, &self.runbook.host)
    }
}
