//! Whether what is called is there, and takes that many arguments.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::{super::suggest, Call, Finding, Functions, Outline, Program, Shape, Style, functions::is_keyword, lints};

/// Judges all calls of one script of a program.
pub(super) fn check(program: &Program, script: &Outline, functions: &Functions) -> Vec<Finding> {
    let names = Names::new(program, script, functions);
    let calls = script.calls.iter().filter_map(|call| match call.style {
        Style::Function if call.path.is_empty() => names.function(call),
        Style::Function => names.of_module(call),
        Style::Method => names.method(call),
    });
    let pointed_at = script.pointed_at.iter().filter(|(name, _)| !names.is_anywhere(name)).map(|(name, position)| {
        let place = super::super::Place::new(&script.file, *position);
        Finding::new(lints::UNKNOWN_FUNCTION, &script.file, format!("there is no function `{name}`"))
            .at(place)
            .help(suggest::did_you_mean(name, names.all()))
    });
    calls.chain(pointed_at).collect()
}

/// The functions a script can call.
struct Names<'a> {
    program: &'a Program,
    script: &'a Outline,
    functions: &'a Functions,
    /// The script itself, and those that import it: their functions are there when it runs.
    near: Vec<&'a Outline>,
}

impl<'a> Names<'a> {
    fn new(program: &'a Program, script: &'a Outline, functions: &'a Functions) -> Self {
        let importers = program.importers(&script.file);
        let importers = importers.into_iter().filter_map(|name| program.script(name)).map(Rc::as_ref);
        let near = std::iter::once(script).chain(importers).collect();
        Self { program, script, functions, near }
    }

    /// `name(a, b)`
    fn function(&self, call: &Call) -> Option<Finding> {
        let name = call.name.as_str();
        if is_keyword(name) || self.script.asked_for.contains(name) {
            return None;
        }
        let own = self.near.iter().flat_map(|outline| &outline.functions).filter(|function| function.name == name);
        let mut arities: BTreeSet<usize> = own.map(|function| function.parameters).collect();
        arities.extend(self.functions.arities(name).into_iter().flatten());
        let found = call.arguments.len();
        if arities.contains(&found) {
            None
        } else if arities.is_empty() {
            let finding = self.finding(call, format!("there is no function `{name}`"));
            Some(finding.help(self.qualified(name, found).or_else(|| suggest::did_you_mean(name, self.all()))))
        } else {
            Some(self.wrong_arity(call, name, &arities, found))
        }
    }

    /// `receiver.name(b)`: the receiver is the first argument of native functions, and `this` of others.
    fn method(&self, call: &Call) -> Option<Finding> {
        let name = call.name.as_str();
        if is_keyword(name) || self.script.asked_for.contains(name) || self.may_be_a_closure(call) {
            return None;
        }
        let found = call.arguments.len() - 1;
        let own = self.program.scripts.iter().flat_map(|outline| &outline.functions);
        let own = own.filter(|function| function.name == name).map(|function| function.parameters);
        let native = self.functions.arities(name).into_iter().flatten().filter_map(|arity| arity.checked_sub(1));
        let arities: BTreeSet<usize> = own.chain(native).collect();
        if arities.contains(&found) {
            None
        } else if arities.is_empty() {
            let finding = self.finding(call, format!("there is no method `{name}`"));
            Some(finding.help(suggest::did_you_mean(name, self.all())))
        } else {
            Some(self.wrong_arity(call, name, &arities, found))
        }
    }

    /// Whether the receiver may be a map with a closure of that name.
    fn may_be_a_closure(&self, call: &Call) -> bool {
        let is_no_map = call.arguments.first().is_some_and(|receiver| match &receiver.shape {
            Shape::Plain(_) | Shape::Array(_) | Shape::Function(_) => true,
            Shape::Computed | Shape::Result(_) | Shape::Variable(_) | Shape::Map(_) => false,
        });
        // Who imports a module is not known when it is checked by itself.
        !is_no_map
            && (self.program.is_module || self.program.scripts.iter().any(|other| other.words.contains(&call.name)))
    }

    /// `a::b::name(c)`
    fn of_module(&self, call: &Call) -> Option<Finding> {
        let first = call.path.first()?;
        if !self.script.imports.iter().any(|import| import.alias.as_ref() == Some(first)) {
            let aliases = self.script.imports.iter().filter_map(|import| import.alias.as_deref());
            let help = suggest::did_you_mean(first, aliases)
                .unwrap_or_else(|| format!(r#"import it first: import "stdlib/{first}" as {first};"#));
            let message = format!("there is no module `{first}`");
            let finding = Finding::new(lints::UNKNOWN_MODULE, &self.script.file, message);
            return Some(finding.at(call.path_place.clone()).help(help));
        }
        let modules = self.program.modules_at(self.script, &call.path)?;
        let (name, found) = (call.name.as_str(), call.arguments.len());
        let named = || modules.iter().flat_map(|module| &module.functions).filter(|function| function.name == name);
        let arities: BTreeSet<usize> =
            named().filter(|function| !function.private).map(|function| function.parameters).collect();
        let path = call.path.join("::");
        if arities.contains(&found) || modules.iter().any(|module| module.exports.contains(name)) {
            return None;
        }
        if !arities.is_empty() {
            return Some(self.wrong_arity(call, &format!("{path}::{name}"), &arities, found));
        }
        if named().next().is_some() {
            let finding = self.finding(call, format!("`{name}` of `{path}` is private"));
            return Some(finding.help("remove `private` from it, or call another function".to_owned()));
        }
        let public = || {
            let functions = modules.iter().flat_map(|module| &module.functions);
            functions.filter(|function| !function.private).map(|function| function.name.as_str())
        };
        let help = suggest::did_you_mean(name, public()).unwrap_or_else(|| {
            let names: BTreeSet<_> = public().collect();
            match names.is_empty() {
                true => "it has none".into(),
                false => format!("it has `{}`", names.into_iter().collect::<Vec<_>>().join("`, `")),
            }
        });
        Some(self.finding(call, format!("`{path}` has no function `{name}`")).help(help))
    }

    fn finding(&self, call: &Call, message: String) -> Finding {
        Finding::new(lints::UNKNOWN_FUNCTION, &self.script.file, message).at(call.place.clone())
    }

    fn wrong_arity(&self, call: &Call, name: &str, arities: &BTreeSet<usize>, found: usize) -> Finding {
        let message = format!("`{name}` takes {}, found {found}", arguments(arities));
        Finding::new(lints::WRONG_ARITY, &self.script.file, message).at(call.place.clone())
    }

    /// The function of an imported module that was probably meant.
    fn qualified(&self, name: &str, arguments: usize) -> Option<String> {
        let aliases = self.script.imports.iter().filter_map(|import| import.alias.as_deref());
        let mut has_it = aliases.filter(|alias| {
            let modules = self.program.modules(self.script, alias).unwrap_or_default();
            modules
                .iter()
                .flat_map(|module| &module.functions)
                .any(|function| !function.private && function.name == name && function.parameters == arguments)
        });
        has_it.next().map(|alias| format!("did you mean `{alias}::{name}`?"))
    }

    /// All names that a plain call can mean.
    fn all(&self) -> impl Iterator<Item = &str> {
        let own = self.near.iter().flat_map(|outline| &outline.functions).map(|function| function.name.as_str());
        self.functions.names().chain(own)
    }

    fn is_anywhere(&self, name: &str) -> bool {
        let own = self.program.scripts.iter().flat_map(|outline| &outline.functions);
        is_keyword(name)
            || self.functions.arities(name).is_some()
            || own.into_iter().any(|function| function.name == name)
            || self.script.asked_for.contains(name)
            || self.program.is_module
            // `Fn` takes operators, too.
            || !super::functions::can_be_called(name)
    }
}

/// `no arguments`, `1 argument`, `1 or 2 arguments`, `1, 2 or 3 arguments`
fn arguments(arities: &BTreeSet<usize>) -> String {
    let numbers: Vec<_> = arities.iter().map(usize::to_string).collect();
    match numbers.as_slice() {
        [only] if only == "0" => "no arguments".into(),
        [only] if only == "1" => "1 argument".into(),
        [only] => format!("{only} arguments"),
        [first @ .., last] => format!("{} or {last} arguments", first.join(", ")),
        [] => "no arguments".into(),
    }
}
