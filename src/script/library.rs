//! The texts and syntax trees of a run's scripts, by the name diagnostics call them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rhai::AST;

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
    pub(super) fn add_text(&self, file: &str, text: &str) {
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

    /// The names of all files, and their texts.
    pub fn texts(&self) -> Vec<(String, Arc<str>)> {
        self.files().iter().map(|(name, file)| (name.clone(), Arc::clone(&file.text))).collect()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
