//! Finds imported modules: the embedded standard library, and files of the project.
//!
//! Rhai's own file resolver follows `..` and absolute paths, and a circular import overflows its
//! stack. Here a module never leaves the project root, and a circle is an error that shows it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, ThreadId},
};

use rhai::{AST, Engine, EvalAltResult, GlobalRuntimeState, Module, ModuleResolver, Position, Scope, Shared};

use super::{Failure, Library, Limits, Place, Project, Stdlib, Vocabulary, parse, project::Unread, suggest, syntax};

/// How many modules may be in the course of being imported, over all threads.
const NESTING: usize = 32;

/// The folder of the standard library in import paths.
const STDLIB: &str = "stdlib/";

/// Whether the script of that name is a module inside the binary.
pub fn is_stdlib(script: &str) -> bool {
    script.starts_with(STDLIB)
}

/// Where modules can come from.
#[derive(Clone)]
pub(super) struct Sources {
    pub project: Project,
    pub limits: Limits,
    pub stdlib: Stdlib,
}

pub(super) struct Resolver {
    /// The name of the script that everything is imported for.
    runbook: String,
    sources: Sources,
    host: Arc<Vocabulary>,
    library: Arc<Library>,
    modules: Mutex<BTreeMap<String, Shared<Module>>>,
    /// The modules each thread is importing, outermost first: branches import at the same time.
    importing: Mutex<HashMap<ThreadId, Vec<String>>>,
}

impl Sources {
    /// The name of the module that `path` means in the script `importer`, and its text.
    pub(super) fn find(&self, importer: Option<&str>, path: &str) -> Result<(String, String), Failure> {
        if let Some(name) = path.strip_prefix(STDLIB) {
            let module = self.stdlib.iter().find(|(module, _)| *module == name);
            return module.map(|(_, text)| (path.to_owned(), (*text).to_owned())).ok_or_else(|| {
                let failure = Failure::new(format!("there is no module `{path}`"));
                let names: Vec<_> = self.stdlib.iter().map(|(name, _)| *name).collect();
                failure.help(match suggest::closest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{STDLIB}{near}`?"),
                    None => format!("the standard library has: {}", names.join(", ")),
                })
            });
        }
        if importer.is_some_and(is_stdlib) {
            return Err(Failure::new(format!("a module of the standard library cannot import the file `{path}`")));
        }
        let wanted = match Path::new(path).extension().and_then(|extension| extension.to_str()) {
            None => format!("{path}.rhai"),
            Some("rhai") => path.to_owned(),
            Some(_) => return Err(Failure::new(format!("`{path}` is not a `.rhai` file"))),
        };
        let file = self.project.find(importer, &wanted)?.ok_or_else(|| {
            let place = self.project.join(importer, &wanted).map(|place| self.project.shown(&place));
            Failure::new(format!("there is no module `{path}`")).help(format!(
                "it would be {}; modules of the runner are imported as \"stdlib/…\"",
                place.unwrap_or(wanted)
            ))
        })?;
        let text = self.project.read(&file, self.limits.script).map_err(|unread| match unread {
            Unread::TooLarge => parse::too_large(&file.name, self.limits.script),
            Unread::Other(error) => Failure::new(format!("cannot read `{path}`: {error}")),
        })?;
        Ok((file.name, text))
    }
}

impl Resolver {
    pub(super) fn new(runbook: String, sources: Sources, host: Arc<Vocabulary>, library: Arc<Library>) -> Self {
        Self { runbook, sources, host, library, modules: Mutex::default(), importing: Mutex::default() }
    }

    fn compile(&self, file: &str, text: &str) -> Result<Arc<AST>, Box<EvalAltResult>> {
        if let Some(ast) = self.library.ast(file) {
            return Ok(ast);
        }
        self.library.add_text(file, text);
        let ast = parse::compile(file, text, &self.sources.limits)?;
        syntax::refuse_hijacks(file, text, &ast, &self.host)?;
        syntax::refuse_actions_on_import(file, &ast, &self.host)?;
        let ast = Arc::new(ast);
        self.library.add_ast(file, &ast);
        Ok(ast)
    }

    /// Notes that this thread imports `name`, until the guard is dropped.
    fn enter(&self, name: &str) -> Result<Importing<'_>, Failure> {
        let mut importing = self.importing.lock().unwrap_or_else(PoisonError::into_inner);
        let total = importing.values().map(Vec::len).sum::<usize>();
        let mine = importing.entry(thread::current().id()).or_default();
        if let Some(start) = mine.iter().position(|other| other == name) {
            return Err(circle(mine[start..].iter().map(String::as_str).chain([name])));
        }
        if total >= NESTING {
            return Err(Failure::new(format!("more than {NESTING} modules import each other")));
        }
        mine.push(name.to_owned());
        Ok(Importing(self))
    }

    /// The scripts whose closures can come to a module that `importer` imports: those on the way.
    fn importers(&self, importer: Option<&str>) -> Vec<Arc<AST>> {
        let importing = self.importing.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = importing.get(&thread::current().id()).into_iter().flatten().map(String::as_str);
        let names: BTreeSet<&str> = mine.chain(importer).chain([self.runbook.as_str()]).collect();
        names.into_iter().filter_map(|name| self.library.ast(name)).collect()
    }

    fn import(
        &self,
        engine: &Engine,
        global: &mut GlobalRuntimeState,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let importer = global.source().map(str::to_owned);
        let here = importer.as_deref().and_then(|file| Place::new(file, position));
        let raise = |mut failure: Failure| {
            failure.call = here.clone();
            Box::new(EvalAltResult::ErrorRuntime(rhai::Dynamic::from(failure), position))
        };
        let (name, text) = self.sources.find(importer.as_deref(), path).map_err(&raise)?;
        let importers = self.importers(importer.as_deref());
        let _importing = self.enter(&name).map_err(raise)?;
        let wrap = |error| Box::new(EvalAltResult::ErrorInModule(name.clone(), error, position));
        let ast = self.compile(&name, &text).map_err(wrap)?;
        for importer in importers {
            syntax::refuse_shadowing(&importer, &ast)?;
        }
        if let Some(module) = self.modules.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(Arc::clone(module));
        }
        let module = Module::eval_ast_as_new_raw(engine, &mut Scope::new(), global, &ast).map_err(wrap)?;
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(modules.entry(name).or_insert_with(|| module.into())))
    }
}

impl ModuleResolver for Resolver {
    fn resolve_raw(
        &self,
        engine: &Engine,
        global: &mut GlobalRuntimeState,
        _: &mut Scope,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        self.import(engine, global, path, position)
    }

    fn resolve(
        &self,
        engine: &Engine,
        importer: Option<&str>,
        path: &str,
        position: Position,
    ) -> Result<Shared<Module>, Box<EvalAltResult>> {
        let mut global = engine.new_global_runtime_state();
        global.source = importer.map(Into::into);
        self.import(engine, &mut global, path, position)
    }

    /// Compiles without running: a check can follow imports.
    fn resolve_ast(
        &self,
        _: &Engine,
        importer: Option<&str>,
        path: &str,
        position: Position,
    ) -> Option<Result<AST, Box<EvalAltResult>>> {
        let found = self.sources.find(importer, path).map_err(Into::into);
        let ast = found.and_then(|(name, text)| {
            let ast = self.compile(&name, &text);
            ast.map_err(|error| Box::new(EvalAltResult::ErrorInModule(name, error, position)))
        });
        Some(ast.map(|ast| AST::clone(&ast)))
    }
}

/// While it lives, the thread's innermost import is under way.
struct Importing<'a>(&'a Resolver);

impl Drop for Importing<'_> {
    fn drop(&mut self) {
        let mut importing = self.0.importing.lock().unwrap_or_else(PoisonError::into_inner);
        let me = thread::current().id();
        if let Some(mine) = importing.get_mut(&me) {
            mine.pop();
            if mine.is_empty() {
                importing.remove(&me);
            }
        }
    }
}

/// The failure of scripts that import each other; the last is the first again.
pub(super) fn circle<'a>(scripts: impl Iterator<Item = &'a str>) -> Failure {
    let scripts = scripts.collect::<Vec<_>>().join(" -> ");
    Failure::new(format!("modules import each other in a circle: {scripts}"))
        .help("move what both need into a module of its own")
}
