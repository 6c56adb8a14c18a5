//! What one walk over a syntax tree remembers of a script.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rhai::Position;

use super::{super::Place, Entry, Shape, Written};

/// How deep variables may refer to each other before it is no longer looked up what they hold.
const DEPTH: usize = 16;

/// A script: the top level is its unit 0, each named function is another one. Closures belong to the
/// unit they stand in.
#[derive(Debug, Default)]
pub struct Outline {
    pub file: Arc<str>,
    /// In the order in which a run comes to them, as far as the text says.
    pub calls: Vec<Call>,
    pub imports: Vec<Import>,
    /// The named ones.
    pub functions: Vec<Function>,
    pub closures: Vec<Closure>,
    /// What is read of variables, but where a `catch` may swallow that it is not there.
    pub properties: Vec<Properties>,
    /// Before which calls something stands at which a run may end without a call: a `throw`, or a loop
    /// that somebody may interrupt.
    pub ends: Vec<usize>,
    pub(super) units: Vec<Names>,
    /// Keys of maps and all other literal strings: what may name a closure in a map.
    pub(super) words: BTreeSet<String>,
    /// All literal strings.
    pub(super) texts: BTreeSet<String>,
    /// The functions that `Fn("…")` speaks of.
    pub(super) pointed_at: Vec<(String, Position)>,
    /// The functions that `is_def_fn("…")` asks for: whoever asks need not have them.
    pub(super) asked_for: BTreeSet<String>,
    /// What functions read as `global::NAME`.
    pub(super) globals: BTreeSet<String>,
    /// What importers can read.
    pub(super) exports: BTreeSet<String>,
    /// Closures that outlive the turn of the loop whose variable they capture.
    pub(super) kept: Vec<Kept>,
}

/// A call, with what is known of its arguments.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    /// `["a", "b"]` in `a::b::name()`.
    pub path: Vec<String>,
    /// Where the path begins, if there is one.
    pub path_place: Option<Place>,
    pub style: Style,
    /// The receiver of a method is the first.
    pub arguments: Vec<Written>,
    /// Where its name is written.
    pub place: Option<Place>,
    /// The unit it belongs to: 0 is the top level.
    pub unit: usize,
    /// The closure it is in, by its index.
    pub closure: Option<usize>,
    /// Whether it is made whenever its unit is run to the end.
    pub certain: bool,
    /// Whether a `catch` may swallow its failure.
    pub tried: bool,
    /// Whether its value goes nowhere.
    pub dropped: bool,
    /// The variable that is declared with its value.
    pub bound_to: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `name(a, b)`
    Function,
    /// `a.name(b)`
    Method,
}

impl Call {
    /// Whether it is a call of the plain function `name`, in either style.
    pub fn is(&self, name: &str) -> bool {
        self.path.is_empty() && self.name == name
    }

    /// Where its first argument is written, or else its name.
    pub fn place_of_first(&self) -> Option<Place> {
        let place = self.place.as_ref()?;
        let first = self.arguments.first().and_then(|first| Place::new(&place.file, first.position));
        first.or_else(|| Some(place.clone()))
    }
}

/// `variable.a.b`
#[derive(Clone, Debug)]
pub struct Properties {
    pub variable: String,
    /// The unit it stands in.
    pub unit: usize,
    /// Each with its position.
    pub names: Vec<(String, Position)>,
}

/// An `import`.
#[derive(Clone, Debug)]
pub struct Import {
    /// `None`: it is computed.
    pub path: Option<String>,
    pub place: Option<Place>,
    pub alias: Option<String>,
    /// Whether it happens when the script is loaded, and not in a function or a closure later.
    pub at_top: bool,
}

/// A named function.
#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    pub parameters: usize,
    pub parameter_names: Vec<String>,
    pub private: bool,
}

#[derive(Clone, Debug)]
pub struct Closure {
    pub place: Option<Place>,
    /// The variables it takes with it.
    pub captures: Vec<String>,
    /// The closure it stands in.
    pub parent: Option<usize>,
    /// The call it is an argument of, or part of one.
    pub given_to: Option<usize>,
}

/// A closure that outlives the turn of a loop.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub closure: usize,
    /// The variable of the loop.
    pub variable: String,
    pub unit: usize,
}

/// The variables of a unit, by name.
pub(super) type Names = BTreeMap<String, Name>;

/// What becomes of the variables of one name in a unit.
#[derive(Clone, Debug, Default)]
pub(super) struct Name {
    /// How many variables of this name there are.
    pub bindings: usize,
    /// What the last of them is declared with.
    pub declared: Option<Written>,
    pub is_read: bool,
    /// It is assigned to, or may be changed by what it is given to.
    pub is_changed: bool,
    /// The keys that are set after the declaration.
    pub added: BTreeSet<String>,
}

impl Name {
    /// The literal that it is everywhere.
    fn literal(&self) -> Option<&Written> {
        self.declared.as_ref().filter(|_| self.bindings == 1 && !self.is_changed)
    }
}

impl Outline {
    /// Whether the value of the variable is ever looked at. `true` if that is not certain.
    pub fn is_read(&self, unit: usize, variable: &str) -> bool {
        let name = self.units.get(unit).and_then(|names| names.get(variable));
        name.is_none_or(|name| name.is_read || name.bindings > 1)
            || unit == 0 && (self.globals.contains(variable) || self.exports.contains(variable))
    }

    /// Whether the parameter holds what the function was called with, until it is looked at, but for the keys
    /// that the function sets itself.
    pub fn is_as_given(&self, unit: usize, parameter: &str) -> bool {
        let name = self.units.get(unit).and_then(|names| names.get(parameter));
        name.is_some_and(|name| name.bindings == 1 && !name.is_changed)
    }

    /// Whether the word is written as a string somewhere, as in `"word" in map`.
    pub fn says(&self, word: &str) -> bool {
        self.texts.contains(word)
    }

    /// The keys that are set, or changed, in the map that the variable holds.
    pub fn keys_set(&self, unit: usize, variable: &str) -> impl Iterator<Item = &str> {
        let name = self.units.get(unit).and_then(|names| names.get(variable));
        name.into_iter().flat_map(|name| &name.added).map(String::as_str)
    }

    /// Whether the call is made only when the function that the closure around it is given to says so.
    pub fn is_within(&self, call: &Call, function: &str) -> bool {
        let mut closure = call.closure;
        while let Some(here) = closure.and_then(|index| self.closures.get(index)) {
            if here.given_to.and_then(|index| self.calls.get(index)).is_some_and(|call| call.is(function)) {
                return true;
            }
            closure = here.parent;
        }
        false
    }

    /// Puts what variables hold in their place, where it is certain.
    pub(super) fn settle(&mut self) {
        let mut calls = std::mem::take(&mut self.calls);
        for call in &mut calls {
            for argument in &mut call.arguments {
                *argument = self.settled(call.unit, argument, DEPTH);
            }
        }
        self.calls = calls;
        let units = &self.units;
        self.kept.retain(|kept| units[kept.unit].get(&kept.variable).is_some_and(|name| name.bindings == 1));
    }

    fn settled(&self, unit: usize, written: &Written, depth: usize) -> Written {
        let Some(depth) = depth.checked_sub(1) else { return Written::new(written.position, Shape::Computed) };
        let shape = match &written.shape {
            Shape::Variable(variable) => {
                let name = self.units[unit].get(variable);
                let Some((name, literal)) = name.and_then(|name| Some((name, name.literal()?))) else {
                    return written.clone();
                };
                let mut settled = self.settled(unit, literal, depth);
                settled.through_variable = true;
                if !name.added.is_empty() {
                    settled.shape = extended(settled.shape, &name.added);
                }
                return settled;
            }
            Shape::Array(items) => Shape::Array(items.iter().map(|item| self.settled(unit, item, depth)).collect()),
            Shape::Map(entries) => {
                let settled = |entry: &Entry| Entry { value: self.settled(unit, &entry.value, depth), ..entry.clone() };
                Shape::Map(entries.iter().map(settled).collect())
            }
            other @ (Shape::Computed | Shape::Result(_) | Shape::Function(_) | Shape::Plain(_)) => other.clone(),
        };
        Written { shape, ..written.clone() }
    }
}

/// A map to which keys are added, or whose values are replaced, somewhere.
fn extended(shape: Shape, added: &BTreeSet<String>) -> Shape {
    let Shape::Map(mut entries) = shape else { return Shape::Computed };
    for key in added {
        let value = Written::new(Position::NONE, Shape::Computed);
        match entries.iter_mut().find(|entry| entry.key == *key) {
            Some(entry) => entry.value = value,
            None => entries.push(Entry { key: key.clone(), position: Position::NONE, value }),
        }
    }
    Shape::Map(entries)
}
