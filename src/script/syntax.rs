//! Questions about a script's syntax tree, answered without running it.

use std::{collections::BTreeSet, ops::ControlFlow};

use rhai::{AST, ASTNode, Dynamic, Expr, FnCallExpr, Position, Stmt};

use super::{Failure, Place, suggest};

/// The names of the host's functions.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary(BTreeSet<String>);

impl Vocabulary {
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<T: Into<String>> FromIterator<T> for Vocabulary {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

/// A function or an import alias with the name of a host function would silently take its place,
/// also in modules that were imported before. So no script gets that far.
pub fn refuse_hijacks(file: &str, text: &str, ast: &AST, host: &Vocabulary) -> Result<(), Failure> {
    hijacks(file, text, ast, host).into_iter().next().map_or(Ok(()), Err)
}

/// All that [`refuse_hijacks`] refuses.
pub(super) fn hijacks(file: &str, text: &str, ast: &AST, host: &Vocabulary) -> Vec<Failure> {
    let refuse = |what: &str, name: &str, position: Position| {
        Failure::new(format!("{what} `{name}` would take the place of the host function of that name"))
            .help("give it another name")
            .focus(Place::new(file, position))
    };
    let functions: BTreeSet<&str> =
        ast.iter_functions().map(|function| function.name).filter(|name| host.contains(name)).collect();
    let mut hijacks: Vec<_> =
        functions.into_iter().map(|name| refuse("the function", name, definition(text, name))).collect();
    walk(ast, |node| {
        if let ASTNode::Stmt(Stmt::Import(import, _)) = node
            && host.contains(&import.1.name)
        {
            hijacks.push(refuse("the import name", &import.1.name, import.1.pos));
        }
        ControlFlow::<()>::Continue(())
    });
    hijacks
}

/// The body of a module runs when it is imported: nothing may happen there.
pub fn refuse_actions_on_import(file: &str, ast: &AST, host: &Vocabulary) -> Result<(), Failure> {
    let mut action = None;
    for statement in ast.statements() {
        // Closures and functions are kept apart from the statements, so this does not look into them.
        let mut visit = |node: ASTNode<'_>| match call(node) {
            Some((call, position)) if host.contains(&call.name) && !call.is_qualified() => {
                ControlFlow::Break((call.name.to_string(), position))
            }
            _ => ControlFlow::Continue(()),
        };
        statement.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| look_at(path, &mut visit, &mut action));
    }
    match action {
        Some((name, position)) => Err(action_on_import(&name).focus(Place::new(file, position))),
        None => Ok(()),
    }
}

/// The failure of a module that calls the host function `name` at its top level.
pub(super) fn action_on_import(name: &str) -> Failure {
    Failure::new(format!("`{name}` would be called when the module is imported"))
        .help("put it into a function, and call that from the runbook")
}

/// A call found in the syntax tree.
#[derive(Clone, Debug)]
pub struct Call {
    pub place: Place,
    /// `None` where the argument is not a literal. Of maps, the entries that are literals.
    pub arguments: Vec<Option<Dynamic>>,
}

/// The calls of the function `name` in the order of the text, functions and closures included.
pub fn calls(file: &str, ast: &AST, name: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    walk(ast, |node| {
        if let Some((call, position)) = call(node)
            && call.name == name
            && !call.is_qualified()
            && let Some(place) = Place::new(file, position)
        {
            calls.push(Call { place, arguments: call.args.iter().map(literal).collect() });
        }
        ControlFlow::<()>::Continue(())
    });
    calls.sort_by(|a, b| a.place.cmp(&b.place));
    calls
}

/// The names of all functions that are called without a module before them.
pub fn called(ast: &AST) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    walk(ast, |node| {
        if let Some((call, _)) = call(node)
            && !call.is_qualified()
        {
            names.insert(call.name.to_string());
        }
        ControlFlow::<()>::Continue(())
    });
    names
}

/// Whether the function `name` is called at `position`.
pub(super) fn calls_at(ast: &AST, name: &str, position: Position) -> bool {
    let found = walk(ast, |node| match call(node) {
        Some((call, at)) if at == position && call.name == name => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_some()
}

/// The function with a name in which the function `name` is called at `position`.
pub fn function_around(ast: &AST, name: &str, position: Position) -> Option<String> {
    let mut functions = ast.iter_functions().filter(|function| !is_closure(function.name));
    let around = functions.find(|around| calls_at(&only(ast, around.name, around.params.len()), name, position));
    around.map(|function| function.name.to_owned())
}

/// A name that Rhai gave to a closure.
pub(super) fn is_closure(name: &str) -> bool {
    name.starts_with("anon$")
}

/// A closure that is called in another file looks for functions there first. So what a closure of
/// `importer` calls, itself or through functions of its own file, must not have the name of a
/// function of `module`.
pub(super) fn refuse_shadowing(importer: &AST, module: &AST) -> Result<(), Failure> {
    shadowings(importer, module).into_iter().next().map_or(Ok(()), Err)
}

/// All that [`refuse_shadowing`] refuses.
pub(super) fn shadowings(importer: &AST, module: &AST) -> Vec<Failure> {
    let defined = |ast: &AST| -> BTreeSet<(String, usize)> {
        ast.iter_functions().map(|function| (function.name.to_owned(), function.params.len())).collect()
    };
    let (own, other) = (defined(importer), defined(module));
    let mut shadowings = Vec::new();
    let mut waiting: Vec<_> = own.iter().filter(|(name, _)| is_closure(name)).cloned().collect();
    let mut seen = BTreeSet::new();
    while let Some(function) = waiting.pop() {
        let body = only(importer, &function.0, function.1);
        walk(&body, |node| {
            if let Some((call, position)) = call(node)
                && !call.is_qualified()
            {
                let called = (call.name.to_string(), call.args.len());
                if own.contains(&called) && other.contains(&called) {
                    let (file, theirs) = (importer.source().unwrap_or_default(), module.source().unwrap_or_default());
                    let failure = Failure::new(format!("`{}` is also a function of `{theirs}`", called.0))
                        .help("a closure that is called there would take that one: give yours another name")
                        .focus(Place::new(file, position));
                    shadowings.push(failure);
                } else if own.contains(&called) && seen.insert(called.clone()) {
                    waiting.push(called);
                }
            }
            ControlFlow::<()>::Continue(())
        });
    }
    shadowings
}

/// A tree with nothing but the function `name` with that many parameters.
pub(super) fn only(ast: &AST, name: &str, parameters: usize) -> AST {
    // `clone_functions_only_filtered` would do, if it did not forget its filter: see tests/hosting.
    let mut only = ast.clone_functions_only();
    only.retain_functions(|_, _, n, p| (n, p) == (name, parameters));
    only
}

/// The literal paths that a script imports.
pub fn imports(ast: &AST) -> Vec<String> {
    let mut paths = Vec::new();
    walk(ast, |node| {
        if let ASTNode::Stmt(Stmt::Import(import, _)) = node {
            paths.extend(literal(&import.0).and_then(|path| path.into_string().ok()));
        }
        ControlFlow::<()>::Continue(())
    });
    paths
}

/// The place of the option at `path` (`ingress[1].port`) in the call at `place`, as far as the
/// options are written there. `first` are the options that plain arguments mean, in order. `None`: the
/// option is not written there.
pub fn option(ast: &AST, place: &Place, first: &[&str], path: &str) -> Option<Place> {
    let call_position = |position: Position| Place::new(&place.file, position).as_ref() == Some(place);
    let arguments = walk(ast, |node| match call(node) {
        Some((call, position)) if call_position(position) => ControlFlow::Break(call.args.to_vec()),
        _ => ControlFlow::Continue(()),
    })?;
    let place_of = first.iter().position(|first| path.split(['.', '[']).next() == Some(first));
    let plain = place_of.and_then(|at| arguments.get(at)).filter(|argument| !matches!(argument, Expr::Map(..)));
    let position = match plain {
        Some(argument) => Some(argument.start_position()),
        None => follow(arguments.iter().find(|argument| matches!(argument, Expr::Map(..)))?, path),
    };
    Place::new(&place.file, position?)
}

/// Goes down the literal `options` along `path`, as far as it leads.
fn follow(options: &Expr, path: &str) -> Option<Position> {
    let mut found = None;
    let mut here = options;
    for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
        match here {
            Expr::Map(map, _) => {
                let Some((key, value)) = map.0.iter().find(|(key, _)| key.name == step) else { break };
                found = Some(key.pos);
                here = value;
            }
            Expr::Array(items, _) => {
                let Some(item) = step.parse::<usize>().ok().and_then(|index| items.get(index)) else { break };
                found = Some(item.start_position());
                here = item;
            }
            _ => break,
        }
    }
    found
}

fn walk<B>(ast: &AST, mut visit: impl FnMut(ASTNode<'_>) -> ControlFlow<B>) -> Option<B> {
    let mut found = None;
    ast.walk(&mut |path: &[ASTNode<'_>]| look_at(path, &mut visit, &mut found));
    found
}

/// Visits the last node of `path`, unless something was found. Returns whether to go on.
fn look_at<B>(
    path: &[ASTNode<'_>],
    visit: &mut dyn FnMut(ASTNode<'_>) -> ControlFlow<B>,
    found: &mut Option<B>,
) -> bool {
    let (None, Some(&node)) = (&found, path.last()) else { return false };
    if let ControlFlow::Break(value) = visit(node) {
        *found = Some(value);
    } else if let ASTNode::Stmt(Stmt::BreakLoop(Some(value), ..)) = node {
        // Rhai's own walk leaves out what `break` returns.
        value.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| look_at(path, visit, found));
    }
    found.is_none()
}

fn call(node: ASTNode<'_>) -> Option<(&FnCallExpr, Position)> {
    match node {
        ASTNode::Expr(Expr::FnCall(call, position) | Expr::MethodCall(call, position))
        | ASTNode::Stmt(Stmt::FnCall(call, position)) => Some((call, *position)),
        _ => None,
    }
}

fn literal(expression: &Expr) -> Option<Dynamic> {
    match expression {
        Expr::Map(map, _) => {
            let entries = map.0.iter().filter_map(|(key, value)| Some((key.name.as_str().into(), literal(value)?)));
            Some(Dynamic::from(entries.collect::<rhai::Map>()))
        }
        _ => expression.get_literal_value(None),
    }
}

/// Where `fn name` stands in the text: the syntax tree does not say.
fn definition(text: &str, name: &str) -> Position {
    for (index, line) in text.lines().enumerate() {
        for (at, _) in line.match_indices(name) {
            let after = line[at + name.len()..].trim_start();
            if line[..at].trim_end().ends_with("fn") && after.starts_with('(') {
                let column = line[..at].chars().count() + 1;
                let (Ok(line), Ok(column)) = (u16::try_from(index + 1), u16::try_from(column)) else { break };
                return Position::new(line, column);
            }
        }
    }
    Position::NONE
}

/// The names a call in `ast` can mean, for suggestions.
pub fn suggest_function(name: &str, ast: Option<&AST>, host: &Vocabulary) -> Option<String> {
    let own = ast.into_iter().flat_map(AST::iter_functions).map(|function| function.name);
    suggest::did_you_mean(name, host.iter().chain(own.filter(|name| !is_closure(name))))
}
