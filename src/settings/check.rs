//! What `runner check` is to look at, with nothing left to decide.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    Environment, Error,
    file::File,
    params,
    run::{absolute, check_runbook, parent, project_root},
};
use crate::cli;

/// A resolved `runner check`.
#[derive(Debug)]
pub struct CheckSettings {
    pub projects: Vec<CheckProject>,
    /// `None`: it is not known which will be given.
    pub params: Option<BTreeMap<String, Value>>,
}

/// Scripts with one `runner.toml`, or none.
#[derive(Debug)]
pub struct CheckProject {
    /// Imports have to be below it.
    pub root: PathBuf,
    pub environments: BTreeMap<String, Environment>,
    pub files: Vec<PathBuf>,
}

impl CheckSettings {
    pub fn resolve(args: cli::check::Args) -> Result<Self, Error> {
        let cli::check::Args { paths, param, params_file, config, format: _, deny_warnings: _, against: _, journal: _ } =
            args;
        let here = absolute(Path::new("."))?;
        let paths = if paths.is_empty() { vec![default_path(config.as_deref(), &here)?] } else { paths };
        let mut files = Vec::new();
        for path in &paths {
            if path.is_dir() {
                add_scripts(path, &mut files)?;
            } else {
                check_runbook(path)?;
                files.push(path.clone());
            }
        }
        if files.is_empty() {
            return Err(Error::NothingToCheck { paths });
        }
        let params = match (&params_file, param.is_empty(), files.len()) {
            (None, true, _) => None,
            (_, _, 1) => Some(params::resolve(params_file.as_deref(), param)?),
            (_, _, files) => return Err(Error::ParamsOfMany { files }),
        };
        Ok(Self { projects: projects(files, config.as_deref(), &here)?, params })
    }
}

/// The runbooks of the project around the current folder.
fn default_path(config: Option<&Path>, here: &Path) -> Result<PathBuf, Error> {
    let file = File::load(config, &[here])?;
    let runbooks = file.path.map(|path| parent(&path).join("runbooks")).filter(|runbooks| runbooks.is_dir());
    Ok(runbooks.unwrap_or_else(|| ".".into()))
}

/// Puts each file where its `runner.toml` is.
fn projects(files: Vec<PathBuf>, config: Option<&Path>, here: &Path) -> Result<Vec<CheckProject>, Error> {
    let mut projects: Vec<CheckProject> = Vec::new();
    let mut roots: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for file in files {
        let folder = absolute(parent(&file))?;
        if !roots.contains_key(&folder) {
            let File { path, environments, .. } = File::load(config, &[&folder, here])?;
            let root = project_root(path.as_deref(), &folder)?;
            if !projects.iter().any(|project| project.root == root) {
                projects.push(CheckProject { root: root.clone(), environments, files: Vec::new() });
            }
            roots.insert(folder.clone(), root);
        }
        let project = projects.iter_mut().find(|project| roots.get(&folder) == Some(&project.root));
        project.into_iter().for_each(|project| project.files.push(file.clone()));
    }
    Ok(projects)
}

/// All scripts below a folder, but not those in hidden folders.
fn add_scripts(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let unreadable = |cause| Error::Unreadable { what: "the folder", path: folder.to_owned(), cause };
    let mut entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = folder.join(entry.file_name());
        // Links to folders are not followed: they could lead in a circle.
        if entry.file_type().map_err(unreadable)?.is_dir() {
            if !entry.file_name().to_string_lossy().starts_with('.') {
                add_scripts(&path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rhai") && path.is_file() {
            // `./runbooks/a.rhai` is `runbooks/a.rhai`.
            files.push(path.strip_prefix(".").unwrap_or(&path).to_owned());
        }
    }
    Ok(())
}
