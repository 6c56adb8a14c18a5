//! The files of a project, and the only way to them: scripts see nothing outside its root.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    path::{Component, Path, PathBuf},
};

use super::Failure;
use crate::wildcard;

/// How many entries a folder may have in which files are looked for.
const ENTRIES: usize = 10_000;

/// A project: the folder that scripts may read.
#[derive(Clone, Debug)]
pub struct Project {
    /// Canonical.
    root: PathBuf,
}

/// A file of a project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProjectFile {
    /// Canonical.
    pub path: PathBuf,
    /// Below the root: as people, errors and events call it.
    pub name: String,
}

impl Project {
    pub fn open(root: &Path) -> std::io::Result<Self> {
        Ok(Self { root: root.canonicalize()? })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The existing file that `path` means in the script `script`: paths are relative to the script
    /// they are written in. `None`: there is no such file.
    ///
    /// # Errors
    /// If it is absolute, or leads out of the project.
    pub fn find(&self, script: Option<&str>, path: &str) -> Result<Option<ProjectFile>, Failure> {
        let Ok(file) = self.join(script, path)?.canonicalize() else { return Ok(None) };
        self.inside(file, path).map(Some)
    }

    /// The files that `pattern` describes, by their names in its folder: `*` and `?` in the last
    /// part of a path, as in a shell. At most `limit`.
    ///
    /// # Errors
    /// As [`Self::find`], and for a folder that cannot be read.
    pub fn matching(
        &self,
        script: Option<&str>,
        pattern: &str,
        limit: usize,
    ) -> Result<BTreeMap<String, ProjectFile>, Failure> {
        let (folder, names) = pattern.rsplit_once('/').unwrap_or((".", pattern));
        if folder.contains(['*', '?']) {
            return Err(Failure::new(format!("`{pattern}` has `*` or `?` in the name of a folder"))
                .help("they stand for parts of a file's name only"));
        }
        let unreadable = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::new(format!("there is no folder `{folder}`")),
            _ => Failure::new(format!("cannot read the folder `{folder}`: {error}")),
        };
        let folder = self.join(script, folder)?.canonicalize().map_err(unreadable)?;
        let folder = self.inside(folder, pattern)?.path;
        let mut found = BTreeMap::new();
        for (entry, count) in std::fs::read_dir(folder).map_err(unreadable)?.zip(1..) {
            if count > ENTRIES {
                return Err(Failure::new(format!("the folder of `{pattern}` has more than {ENTRIES} entries")));
            }
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            // As in a shell, a pattern means no hidden files unless it says so.
            let hidden = name.starts_with('.') && !names.starts_with('.');
            if hidden || !wildcard::matches(names, name) {
                continue;
            }
            let file = entry.path().canonicalize().map_err(unreadable)?;
            found.insert(name.to_owned(), self.inside(file, name)?);
            if found.len() > limit {
                return Err(Failure::new(format!("more than {limit} files match `{pattern}`")));
            }
        }
        Ok(found)
    }

    /// The file of that name, which was found before.
    pub fn file(&self, name: &str) -> ProjectFile {
        ProjectFile { path: self.root.join(name), name: name.to_owned() }
    }

    /// Where `path` would be. It need not exist.
    pub fn join(&self, script: Option<&str>, path: &str) -> Result<PathBuf, Failure> {
        let relative = Path::new(path);
        let fits = |part| matches!(part, Component::Normal(_) | Component::CurDir | Component::ParentDir);
        if !relative.components().all(fits) {
            return Err(Failure::new(format!("`{path}` is an absolute path"))
                .help("files of the project have paths relative to this file"));
        }
        let folder = script.and_then(|script| Path::new(script).parent()).unwrap_or(Path::new(""));
        // Before the disk is asked: what lies outside is nobody's to find out, not even whether it is there.
        let mut depth = 0_usize;
        for part in folder.join(relative).components() {
            match part {
                Component::ParentDir => depth = depth.checked_sub(1).ok_or_else(|| self.outside(path))?,
                Component::Normal(_) => depth += 1,
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        Ok(self.root.join(folder).join(relative))
    }

    /// `file` is canonical: only so are `..` and links followed before it is compared.
    fn inside(&self, file: PathBuf, path: &str) -> Result<ProjectFile, Failure> {
        match file.strip_prefix(&self.root) {
            Ok(name) => Ok(ProjectFile { name: name.to_string_lossy().into_owned(), path: file }),
            Err(_) => Err(self.outside(path)),
        }
    }

    fn outside(&self, path: &str) -> Failure {
        Failure::new(format!("`{path}` is outside the project"))
            .help(format!("a runbook reads files below {}", self.root.display()))
    }

    /// A path as it is shown: below the root where it is.
    pub fn shown(&self, file: &Path) -> String {
        file.strip_prefix(&self.root).unwrap_or(file).display().to_string()
    }
}

/// Why a file was not read.
#[derive(Debug)]
pub enum Unread {
    TooLarge,
    Other(std::io::Error),
}

/// The text of a file of at most `limit` bytes.
///
/// # Errors
/// Also for what is no plain file: a pipe would never end, and a device has no size.
pub fn read(file: &Path, limit: usize) -> Result<String, Unread> {
    let other = |error| Unread::Other(error);
    if !std::fs::metadata(file).map_err(other)?.is_file() {
        return Err(other(std::io::Error::other("it is not a plain file")));
    }
    let mut text = String::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    match File::open(file).map_err(other)?.take(most.saturating_add(1)).read_to_string(&mut text) {
        Ok(read) if read > limit => Err(Unread::TooLarge),
        Ok(_) => Ok(text),
        // The limit may have cut a character in two.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            let size = std::fs::metadata(file).map_err(other)?.len();
            Err(if size > most { Unread::TooLarge } else { other(std::io::Error::other("it is not UTF-8 text")) })
        }
        Err(error) => Err(other(error)),
    }
}
