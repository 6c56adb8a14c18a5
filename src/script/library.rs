//! The texts and syntax trees of a run's scripts, by the name diagnostics call them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rhai::{AST, Position};

use super::syntax;

/// All scripts that were loaded, the broken ones included.
#[derive(Default)]
pub struct Library(Mutex<BTreeMap<String, File>>);

#[derive(Default)]
struct File {
    text: Arc<str>,
    /// `None`: it does not compile.
    ast: Option<Arc<AST>>,
}

impl Library {
    /// Also for files that are no scripts: what is in the library can be shown.
    pub fn add_text(&self, file: &str, text: &str) {
        self.files().entry(file.to_owned()).or_default().text = text.into();
    }

    pub(super) fn add_ast(&self, file: &str, ast: &Arc<AST>) {
        self.files().entry(file.to_owned()).or_default().ast = Some(Arc::clone(ast));
    }

    pub fn text(&self, file: &str) -> Option<Arc<str>> {
        self.files().get(file).map(|file| Arc::clone(&file.text))
    }

    pub fn ast(&self, file: &str) -> Option<Arc<AST>> {
        self.files().get(file)?.ast.clone()
    }

    /// The file of a call of `function` at `position`. Rhai says `claimed`, which is wrong in a
    /// closure that was handed to a function of another file.
    pub(super) fn file_of_call(&self, claimed: &str, function: &str, position: Position) -> String {
        let is_there = |file: &File| file.ast.as_ref().is_some_and(|ast| syntax::calls_at(ast, function, position));
        let files = self.files();
        if files.get(claimed).is_some_and(is_there) {
            return claimed.to_owned();
        }
        let other = files.iter().find(|(_, file)| is_there(file));
        other.map_or(claimed, |(name, _)| name).to_owned()
    }

    /// The file that the function `name` is written in. Rhai says `claimed`: for closures and for
    /// its own functions that is merely where they are called.
    pub(super) fn file_of_function(&self, name: &str, claimed: &str) -> Option<String> {
        let defines = |file: &File| file.ast.as_ref().is_some_and(|ast| ast.iter_functions().any(|f| f.name == name));
        let files = self.files();
        if files.get(claimed).is_some_and(defines) {
            return Some(claimed.to_owned());
        }
        files.iter().find(|(_, file)| defines(file)).map(|(name, _)| name.clone())
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
