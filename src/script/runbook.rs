//! A runbook from its file to its end: load, compile, refuse, run.

use std::{collections::BTreeSet, fmt, path::Path, sync::Arc};

use rhai::{AST, Dynamic, Engine, EvalAltResult, ModuleResolver, Position};

use super::{
    Failure, Library, Limits, Project, Trace, Vocabulary, Watch,
    callback::exited,
    engine,
    import::{Resolver, Sources},
    parse::{self, Rejected},
    project::Unread,
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
    project: Project,
    ast: Arc<AST>,
    host: Arc<Vocabulary>,
    library: Arc<Library>,
}

impl Runbook {
    /// Reads and compiles the file `path`. Its imports have to be files below `root`. `host` names
    /// the host's functions, which the runbook must not redefine.
    pub fn load(path: &Path, root: &Path, host: Vocabulary) -> Result<Self, Refused> {
        let library = Arc::new(Library::default());
        let refuse = |trace: Box<Trace>| Refused { trace, library: Arc::clone(&library) };
        let fail = |message: String| refuse(Trace::of_failure(Failure::new(message)).into());
        let unreadable = |error| fail(format!("cannot read `{}`: {error}", path.display()));

        let file = path.canonicalize().map_err(unreadable)?;
        let project =
            Project::open(root).map_err(|error| fail(format!("cannot read `{}`: {error}", root.display())))?;
        let name = file.strip_prefix(project.root()).map_err(|_| {
            let message = format!("`{}` is outside the project `{}`", path.display(), root.display());
            refuse(Trace::of_failure(Failure::new(message)).into())
        })?;
        let name = name.to_string_lossy().into_owned();
        let limits = Limits::default();
        let text = project.read(&project.file(&name), limits.script).map_err(|unread| match unread {
            Unread::TooLarge => refuse(Trace::of_failure(parse::too_large(&name, limits.script)).into()),
            Unread::Other(error) => unreadable(error),
        })?;
        Self::compile(name, &text, project, host, &library).map_err(refuse)
    }

    /// As it was in a run of before, with all its files.
    pub fn stored(name: &str, project: Project, host: Vocabulary) -> Result<Self, Refused> {
        let library = Arc::new(Library::default());
        let refuse = |trace: Box<Trace>| Refused { trace, library: Arc::clone(&library) };
        let text = project.read(&project.file(name), Limits::default().script).map_err(|_| {
            let message = format!("the journal has no text of `{name}`");
            refuse(Trace::of_failure(Failure::new(message)).into())
        })?;
        Self::compile(name.to_owned(), &text, project, host, &library).map_err(refuse)
    }

    /// Of a text that is at hand, as the file `name` of the project `root`.
    pub fn from_text(name: &str, text: &str, root: &Path, host: Vocabulary) -> Result<Self, Refused> {
        let library = Arc::new(Library::default());
        let refuse = |trace: Box<Trace>| Refused { trace, library: Arc::clone(&library) };
        let unreadable = |error| Failure::new(format!("cannot read `{}`: {error}", root.display()));
        let project = Project::open(root).map_err(|error| refuse(Trace::of_failure(unreadable(error)).into()))?;
        Self::compile(name.to_owned(), text, project, host, &library).map_err(refuse)
    }

    fn compile(
        name: String,
        text: &str,
        project: Project,
        host: Vocabulary,
        library: &Arc<Library>,
    ) -> Result<Self, Box<Trace>> {
        library.add_text(&name, text);
        let ast = parse::compile(&name, text, &Limits::default()).map_err(|rejected| {
            Box::new(match rejected {
                Rejected::Syntax(error) => Trace::of_syntax(&name, error, library),
                Rejected::Failure(failure) => Trace::of_failure(failure),
            })
        })?;
        syntax::refuse_hijacks(&name, text, &ast, &host).map_err(|failure| Box::new(Trace::of_failure(failure)))?;
        let ast = Arc::new(ast);
        library.add_ast(&name, &ast);
        Ok(Self { name, project, ast, host: Arc::new(host), library: Arc::clone(library) })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The project it may read.
    pub fn project(&self) -> &Project {
        &self.project
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
        let scripts = self.with_modules(stdlib).into_iter();
        scripts.flat_map(|(name, ast)| syntax::calls(&name, &ast, function)).collect()
    }

    /// The names of all functions that the runbook and those modules call.
    pub fn called(&self, stdlib: Stdlib) -> BTreeSet<String> {
        self.with_modules(stdlib).iter().flat_map(|(_, ast)| syntax::called(ast)).collect()
    }

    fn with_modules(&self, stdlib: Stdlib) -> Vec<(String, Arc<AST>)> {
        let library = Arc::new(Library::default());
        let limits = Limits::default();
        let engine = engine::parser(&limits);
        let most = limits.modules;
        let (name, project, host) = (self.name.clone(), self.project.clone(), Arc::clone(&self.host));
        let resolver = Resolver::new(name, Sources { project, limits, stdlib }, host, library);
        let mut scripts = vec![(self.name.clone(), Arc::clone(&self.ast))];
        let mut next = 0;
        while let Some((_, ast)) = scripts.get(next).cloned() {
            next += 1;
            for path in syntax::imports(&ast) {
                if scripts.len() > most {
                    return scripts;
                }
                let Some(Ok(module)) = resolver.resolve_ast(&engine, ast.source(), &path, Position::NONE) else {
                    continue;
                };
                let name = module.source().unwrap_or_default().to_owned();
                if scripts.iter().all(|(known, _)| *known != name) {
                    scripts.push((name, Arc::new(module)));
                }
            }
        }
        scripts
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
        let (name, project) = (runbook.name.clone(), runbook.project.clone());
        engine.set_module_resolver(Resolver::new(
            name,
            Sources { project, limits: limits.clone(), stdlib },
            host,
            library,
        ));
        register(&mut engine);
        Self { runbook, engine: Arc::new(engine), watch }
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Runs it from the top, on a thread of its own.
    pub fn run(&self) -> Result<(), Stopped> {
        // What the script throws stays on this thread: it may nest deeper than others have room for.
        thread::run("runbook", || self.run_here()).map_err(Stopped::Panicked)?
    }

    fn run_here(&self) -> Result<(), Stopped> {
        let result = self.engine.run_ast(&self.runbook.ast);
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
