//! What there is to call besides the functions of scripts.

use std::collections::{BTreeMap, BTreeSet};

use rhai::Engine;

/// What the language calls by itself, with any number of arguments. `eval` is forbidden.
const KEYWORDS: [&str; 8] = ["Fn", "call", "curry", "is_shared", "is_def_var", "is_def_fn", "type_of", "eval"];

/// The functions of the language and its host, with the numbers of arguments they take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Functions(BTreeMap<String, BTreeSet<usize>>);

impl Functions {
    /// All that are registered on an engine.
    pub fn of(engine: &Engine) -> Self {
        let mut functions = Self::default();
        let named = engine.collect_fn_metadata(
            None,
            |function| Some((function.metadata.name.to_string(), function.metadata.num_params)),
            true,
        );
        // Operators and properties are registered under names that cannot be called.
        for (name, arity) in named.into_iter().filter(|(name, _)| can_be_called(name)) {
            functions.add(&name, [arity]);
        }
        functions
    }

    pub fn add(&mut self, name: &str, arities: impl IntoIterator<Item = usize>) {
        self.0.entry(name.to_owned()).or_default().extend(arities);
    }

    /// The numbers of arguments it can have; of methods, the receiver is the first. `None`: there is none.
    pub(super) fn arities(&self, name: &str) -> Option<&BTreeSet<usize>> {
        self.0.get(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Whether a name is one that a script can write before parentheses.
pub(super) fn can_be_called(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

pub(super) fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}
