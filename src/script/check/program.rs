//! A script with all it imports, read and compiled.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, btree_map},
    path::Path,
    rc::Rc,
    sync::Arc,
};

use rhai::{AST, ParseErrorType, Position};

use super::{
    super::{
        Failure, Library, Limits, Project, Stdlib, Trace, Vocabulary,
        import::{Sources, circle},
        parse::{self, Rejected, Undefined},
        project::Unread,
        suggest, syntax,
    },
    Call, Finding, Found, Function, Functions, Outline, Style, calls, lints,
};

/// Checks the scripts of one project. What was read once is not read again.
pub struct Checker {
    sources: Sources,
    host: Vocabulary,
    functions: Functions,
    library: Library,
    read: RefCell<BTreeMap<String, Rc<Script>>>,
}

/// A script on its own.
#[derive(Default)]
struct Script {
    /// `None`: it does not compile.
    outline: Option<Rc<Outline>>,
    findings: Vec<Finding>,
}

/// A script and what it imports, directly or not.
pub struct Program {
    /// The name of the script everything else is imported for.
    pub name: Arc<str>,
    /// Those that compile; the script itself first, if it does.
    pub scripts: Vec<Rc<Outline>>,
    pub findings: Vec<Finding>,
    /// Whether it is a module, checked without the scripts that import it.
    pub is_module: bool,
    /// Whether all that it imports was found and compiles.
    pub is_whole: bool,
    imports: BTreeMap<Arc<str>, Vec<Edge>>,
}

/// One import that leads to a module.
struct Edge {
    /// Its index in the importer's outline.
    import: usize,
    module: Arc<str>,
}

impl Checker {
    /// For the scripts below `root`. `host` names the host's functions, `functions` all that are not written in
    /// scripts.
    ///
    /// # Errors
    /// If there is no such folder.
    pub fn new(root: &Path, stdlib: Stdlib, host: Vocabulary, functions: Functions) -> Result<Self, Failure> {
        let project =
            Project::open(root).map_err(|error| Failure::new(format!("cannot read `{}`: {error}", root.display())))?;
        let sources = Sources { project, limits: Limits::default(), stdlib };
        Ok(Self { sources, host, functions, library: Library::default(), read: RefCell::default() })
    }

    /// Whether it is a function of the language, and none of the host.
    pub fn is_native(&self, name: &str) -> bool {
        self.functions.arities(name).is_some() && !self.host.contains(name)
    }

    pub fn project(&self) -> &Project {
        &self.sources.project
    }

    /// Makes a file that is no script known, so that findings in it can be shown.
    pub fn add_text(&self, file: &str, text: &str) {
        self.library.add_text(file, text);
    }

    /// The finding with the text it is about.
    pub fn found(&self, finding: Finding) -> Found {
        Found::new(finding, &self.library)
    }

    /// Reads the file `path` with all it imports, and finds what is wrong with them as scripts.
    ///
    /// # Errors
    /// If the file is not in the project.
    pub fn check(&self, path: &Path) -> Result<Program, Failure> {
        let unreadable = |error| Failure::new(format!("cannot read `{}`: {error}", path.display()));
        let file = path.canonicalize().map_err(unreadable)?;
        let root = self.sources.project.root();
        let name = file
            .strip_prefix(root)
            .map_err(|_| Failure::new(format!("`{}` is outside the project `{}`", path.display(), root.display())))?;
        let name: Arc<str> = name.to_string_lossy().into();
        let mut program = Program {
            name: Arc::clone(&name),
            scripts: Vec::new(),
            findings: Vec::new(),
            is_module: false,
            is_whole: true,
            imports: BTreeMap::new(),
        };
        let limit = self.sources.limits.script;
        let unread = |unread| match unread {
            Unread::TooLarge => parse::too_large(&name, limit),
            Unread::Other(error) => Failure::new(format!("the file cannot be read: {error}")),
        };
        match self.sources.project.read(&self.sources.project.file(&name), limit) {
            Ok(text) => self.follow(&mut program, &name, &text),
            Err(error) => {
                program.is_whole = false;
                program.findings.push(Finding::of_failure(lints::UNREADABLE_FILE, &name, unread(error)));
            }
        }
        program.is_module = program.script(&name).is_some_and(|outline| looks_like_a_module(outline, &self.host));
        self.check_modules(&mut program);
        for index in 0..program.scripts.len() {
            let found = calls::check(&program, &program.scripts[index], &self.functions);
            program.findings.extend(found);
        }
        Ok(program)
    }

    /// Adds a script with all it imports.
    fn follow(&self, program: &mut Program, name: &Arc<str>, text: &str) {
        let script = self.read(name, text);
        program.findings.extend(script.findings.iter().cloned());
        let Some(outline) = &script.outline else {
            program.is_whole = false;
            return;
        };
        program.scripts.push(Rc::clone(outline));
        program.imports.insert(Arc::clone(name), Vec::new());
        let most = self.sources.limits.modules;
        if outline.imports.len() > most {
            program.is_whole = false;
            let message = format!("more than {most} modules are imported");
            program.findings.push(Finding::new(lints::UNRESOLVED_IMPORT, name, message));
            return;
        }
        for (index, import) in outline.imports.iter().enumerate() {
            let Some(path) = &import.path else { continue };
            let (module, text) = match self.sources.find(Some(name), path) {
                Ok(found) => found,
                Err(failure) => {
                    program.is_whole = false;
                    let finding = Finding::of_failure(lints::UNRESOLVED_IMPORT, name, failure);
                    program.findings.push(finding.at(import.place.clone()));
                    continue;
                }
            };
            let module: Arc<str> = module.into();
            if let btree_map::Entry::Occupied(mut edges) = program.imports.entry(Arc::clone(name)) {
                edges.get_mut().push(Edge { import: index, module: Arc::clone(&module) });
            }
            if !program.imports.contains_key(&module) {
                self.follow(program, &module, &text);
            }
        }
    }

    /// A script on its own, and what is wrong with it wherever it is used.
    fn read(&self, name: &Arc<str>, text: &str) -> Rc<Script> {
        if let Some(script) = self.read.borrow().get(&**name) {
            return Rc::clone(script);
        }
        self.library.add_text(name, text);
        let script = match parse::compile(name, text, &self.sources.limits) {
            Err(Rejected::Failure(failure)) => {
                Script { outline: None, findings: vec![Finding::of_failure(lints::SYNTAX, name, failure)] }
            }
            Err(Rejected::Syntax(error)) if parse::is_undefined(&error) => self.read_with_undefined(name, text),
            Err(Rejected::Syntax(error)) => {
                let trace = Trace::of_syntax(name, error, &self.library);
                let finding = Finding::new(lints::SYNTAX, name, trace.message).at(trace.place).help(trace.help);
                Script { outline: None, findings: vec![finding] }
            }
            Ok(ast) => self.outlined(name, text, ast, &BTreeSet::new()),
        };
        let script = Rc::new(script);
        self.read.borrow_mut().insert(name.to_string(), Rc::clone(&script));
        script
    }

    /// A script that compiles, but for variables at `undefined`.
    fn outlined(&self, name: &Arc<str>, text: &str, ast: AST, undefined: &BTreeSet<Position>) -> Script {
        let hijacks = syntax::hijacks(name, text, &ast, &self.host).into_iter();
        let mut findings: Vec<_> =
            hijacks.map(|failure| Finding::of_failure(lints::RESERVED_NAME, name, failure)).collect();
        let outline = Outline::of(name, &ast, &self.host, undefined);
        self.library.add_ast(name, &Arc::new(ast));
        findings.extend(computed_imports(&outline));
        findings.extend(captured_loop_variables(&outline));
        Script { outline: Some(Rc::new(outline)), findings }
    }

    /// A script with variables that are declared nowhere. What else is wrong with it is found all the same.
    fn read_with_undefined(&self, name: &Arc<str>, text: &str) -> Script {
        let Undefined { variables, declared, ast, places } = parse::undefined(name, text, &self.sources.limits);
        let mut script = ast.map_or_else(Script::default, |ast| self.outlined(name, text, ast, &places));
        let findings = variables.into_iter().map(|error| {
            let help = match &*error.0 {
                ParseErrorType::VariableUndefined(variable) => Some(help_with(variable, &declared)),
                _ => None,
            };
            let trace = Trace::of_syntax(name, error, &self.library);
            Finding::new(lints::SYNTAX, name, trace.message).at(trace.place).help(help.or(trace.help))
        });
        script.findings.splice(0..0, findings);
        script
    }

    /// What is wrong with modules because of who imports them.
    fn check_modules(&self, program: &mut Program) {
        let mut findings = Vec::new();
        for module in program.scripts.iter().filter(|script| script.file != program.name) {
            let actions = module.calls.iter().filter(|call| {
                call.unit == 0 && call.closure.is_none() && call.path.is_empty() && self.host.contains(&call.name)
            });
            findings.extend(actions.map(|call| {
                let failure = syntax::action_on_import(&call.name);
                Finding::of_failure(lints::ACTION_ON_IMPORT, &module.file, failure).at(call.place.clone())
            }));
            for importer in program.importers(&module.file) {
                if let (Some(importer), Some(module)) = (self.library.ast(importer), self.library.ast(&module.file)) {
                    let shadowings = syntax::shadowings(&importer, &module).into_iter();
                    let file = importer.source().unwrap_or_default().into();
                    let lint = lints::AMBIGUOUS_FUNCTION;
                    findings.extend(shadowings.map(|failure| Finding::of_failure(lint, &file, failure)));
                }
            }
        }
        let mut way = Vec::new();
        program.find_circles(&program.name, &mut way, &mut BTreeSet::new(), &mut findings);
        program.findings.append(&mut findings);
    }
}

impl Program {
    /// `None`: it does not compile, or is no part of the program.
    pub fn script(&self, name: &str) -> Option<&Rc<Outline>> {
        self.scripts.iter().find(|script| &*script.file == name)
    }

    /// The modules that `alias` can mean in `script`. `None`: one of them is not known.
    pub(super) fn modules(&self, script: &Outline, alias: &str) -> Option<Vec<&Rc<Outline>>> {
        let named = script.imports.iter().enumerate().filter(|(_, import)| import.alias.as_deref() == Some(alias));
        let module = |(index, _)| {
            let edges = self.imports.get(&script.file)?;
            self.script(&edges.iter().find(|edge| edge.import == index)?.module)
        };
        named.map(module).collect()
    }

    /// The modules that `a::b` can mean in `script`. `None`: one of them is not known, or there is none.
    pub(super) fn modules_at<'a>(&'a self, script: &'a Outline, path: &[String]) -> Option<Vec<&'a Rc<Outline>>> {
        let (first, rest) = path.split_first()?;
        let mut modules = self.modules(script, first)?;
        for step in rest {
            let inner: Option<Vec<_>> = modules.iter().map(|module| self.modules(module, step)).collect();
            modules = inner?.concat();
        }
        Some(modules).filter(|modules| !modules.is_empty())
    }

    /// The function of a script that `call` means, with the script and its unit there. `None`: there is none, or
    /// only running it would tell.
    pub fn target<'a>(&'a self, script: &'a Rc<Outline>, call: &Call) -> Option<(&'a Rc<Outline>, usize)> {
        if call.style == Style::Method {
            return None;
        }
        let scripts = if call.path.is_empty() { vec![script] } else { self.modules_at(script, &call.path)? };
        let is_meant = |function: &Function| function.name == call.name && function.parameters == call.arguments.len();
        let mut targets = scripts.into_iter().flat_map(|script| {
            let functions = script.functions.iter().zip(1..).filter(|(function, _)| is_meant(function));
            functions.map(move |(_, unit)| (script, unit))
        });
        let first = targets.next()?;
        targets.next().is_none().then_some(first)
    }

    /// All scripts that import `module`, directly or not.
    pub(super) fn importers(&self, module: &str) -> Vec<&Arc<str>> {
        let mut found: Vec<&Arc<str>> = Vec::new();
        let mut waiting = vec![module];
        while let Some(module) = waiting.pop() {
            for (importer, edges) in &self.imports {
                if edges.iter().any(|edge| &*edge.module == module) && !found.contains(&importer) {
                    found.push(importer);
                    waiting.push(importer);
                }
            }
        }
        found.retain(|importer| &***importer != module);
        found
    }

    /// Only imports at the top level make a circle: those in functions happen when everything is loaded.
    fn find_circles<'a>(
        &'a self,
        script: &'a Arc<str>,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
        findings: &mut Vec<Finding>,
    ) {
        way.push(script);
        let outline = self.script(script);
        for edge in self.imports.get(script).into_iter().flatten() {
            let import = outline.and_then(|outline| outline.imports.get(edge.import));
            let Some(import) = import.filter(|import| import.at_top) else { continue };
            if let Some(start) = way.iter().position(|other| *other == &*edge.module) {
                let failure = circle(way[start..].iter().copied().chain([&*edge.module]));
                let finding = Finding::of_failure(lints::CIRCULAR_IMPORT, script, failure);
                findings.push(finding.at(import.place.clone()));
            } else if !done.contains(&*edge.module) {
                self.find_circles(&edge.module, way, done, findings);
            }
        }
        way.pop();
        done.insert(script);
    }
}

/// A script that does nothing by itself and has functions for others.
fn looks_like_a_module(outline: &Outline, host: &Vocabulary) -> bool {
    let acts = |call: &super::Call| call.unit == 0 && (!call.path.is_empty() || host.contains(&call.name));
    !outline.functions.is_empty() && !outline.calls.iter().any(acts)
}

/// What may be meant by a variable that is not there.
fn help_with(variable: &str, declared: &BTreeSet<String>) -> String {
    if declared.contains(variable) {
        return "it is declared in another place: a named function sees only its parameters, a block only what was \
                declared before"
            .to_owned();
    }
    suggest::did_you_mean(variable, declared.iter().map(String::as_str))
        .unwrap_or_else(|| format!("declare it first, `let {variable} = …;`, or put it in quotes if it is text"))
}

fn computed_imports(outline: &Outline) -> impl Iterator<Item = Finding> {
    let computed = outline.imports.iter().filter(|import| import.path.is_none());
    computed.map(|import| {
        let message = "the path of this import is computed: what it imports is not checked";
        Finding::new(lints::COMPUTED_IMPORT, &outline.file, message)
            .at(import.place.clone())
            .help("write the path as a literal string".to_owned())
    })
}

fn captured_loop_variables(outline: &Outline) -> impl Iterator<Item = Finding> {
    outline.kept.iter().map(|kept| {
        let variable = &kept.variable;
        let message = format!("all closures collected here will see the last value of the loop's `{variable}`");
        Finding::new(lints::CAPTURED_LOOP_VARIABLE, &outline.file, message)
            .at(outline.closures[kept.closure].place.clone())
            .help(format!("copy it within the loop and use the copy in the closure: let this_{variable} = {variable};"))
    })
}
