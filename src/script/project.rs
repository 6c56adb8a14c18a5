//! The files of a project, and the only way to them: scripts see nothing outside its root.

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::Failure;
use crate::wildcard;

/// How many entries a folder may have in which files are looked for.
const ENTRIES: usize = 10_000;

/// A project: the folder that scripts may read; for a run that goes on, what it has read of it comes first.
#[derive(Clone)]
pub struct Project {
    /// Canonical.
    root: PathBuf,
    /// In the place of the folder.
    stored: Option<Arc<Stored>>,
    seen: Arc<Mutex<Seen>>,
}

/// Files of a project as they were: by the path that was asked for, what it led to, and the text.
pub type Stored = BTreeMap<String, (String, String)>;

/// A file that was read.
#[derive(Clone, Debug)]
pub struct SeenFile {
    /// Below the root, as it was asked for.
    pub asked: String,
    /// The same after links were followed.
    pub name: String,
    pub text: String,
}

type Tell = Box<dyn Fn(&SeenFile) + Send>;

/// What was read so far, and who wants to know.
#[derive(Default)]
struct Seen {
    files: Vec<SeenFile>,
    tell: Option<Tell>,
}

/// A file of a project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProjectFile {
    /// Canonical.
    pub path: PathBuf,
    /// Below the root: as people, errors and events call it.
    pub name: String,
    /// Below the root, as it was asked for: before links are followed.
    asked: String,
}

impl Project {
    pub fn open(root: &Path) -> std::io::Result<Self> {
        Ok(Self { root: root.canonicalize()?, stored: None, seen: Arc::default() })
    }

    /// A project of which only these files are left. `root` is where it was.
    pub fn stored(root: &Path, files: Stored) -> Self {
        Self { root: root.to_owned(), stored: Some(Arc::new(files)), seen: Arc::default() }
    }

    /// Tells `tell` of each file that was read, and of each that will be.
    pub fn observe(&self, tell: impl Fn(&SeenFile) + Send + 'static) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.files.drain(..).for_each(|file| tell(&file));
        seen.tell = Some(Box::new(tell));
    }

    /// The text of a file of at most `limit` bytes.
    ///
    /// # Errors
    /// If it cannot be read, is larger, or is no plain file with text.
    pub fn read(&self, file: &ProjectFile, limit: usize) -> Result<String, Unread> {
        // What is not stored, the run has not come to yet: it is what it is now.
        let mut stored = self.stored.iter().flat_map(|stored| stored.values());
        if let Some((_, text)) = stored.find(|(name, _)| *name == file.name) {
            return Ok(text.clone());
        }
        let text = read(&file.path, limit)?;
        let read = SeenFile { asked: file.asked.clone(), name: file.name.clone(), text: text.clone() };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &seen.tell {
            Some(tell) => tell(&read),
            None => seen.files.push(read),
        }
        Ok(text)
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
        let wanted = self.join(script, path)?;
        let asked = self.asked(&wanted);
        if let Some((name, _)) = self.stored.as_ref().and_then(|stored| stored.get(&asked)) {
            return Ok(Some(ProjectFile { path: self.root.join(name), name: name.clone(), asked }));
        }
        let Ok(file) = wanted.canonicalize() else { return Ok(None) };
        self.inside(file, path).map(|file| Some(ProjectFile { asked, ..file }))
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
        let folder = self.join(script, folder)?;
        let asked = self.asked(&folder);
        let asked = |name: &str| if asked.is_empty() { name.to_owned() } else { format!("{asked}/{name}") };
        if let Some(stored) = &self.stored {
            // All that matched were read.
            let in_folder = |path: &str| {
                let name = path.rsplit('/').next().unwrap_or_default();
                (asked(name) == path && wildcard::matches(names, name)).then(|| name.to_owned())
            };
            let file = |(path, (name, _)): (&String, &(String, String))| {
                let file = ProjectFile { path: self.root.join(name), name: name.clone(), asked: path.clone() };
                Some((in_folder(path)?, file))
            };
            let found: BTreeMap<_, _> = stored.iter().filter_map(file).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let folder = folder.canonicalize().map_err(unreadable)?;
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
            found.insert(name.to_owned(), ProjectFile { asked: asked(name), ..self.inside(file, name)? });
            if found.len() > limit {
                return Err(Failure::new(format!("more than {limit} files match `{pattern}`")));
            }
        }
        Ok(found)
    }

    /// The file of that name, which was found before.
    pub fn file(&self, name: &str) -> ProjectFile {
        ProjectFile { path: self.root.join(name), name: name.to_owned(), asked: name.to_owned() }
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

    /// A path below the root without `.` and `..`, as far as that can be said without the disk.
    fn asked(&self, path: &Path) -> String {
        let mut parts: Vec<&str> = Vec::new();
        for part in path.strip_prefix(&self.root).unwrap_or(path).components() {
            match part {
                Component::ParentDir => drop(parts.pop()),
                Component::Normal(name) => parts.extend(name.to_str()),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
        parts.join("/")
    }

    /// `file` is canonical: only so are `..` and links followed before it is compared.
    fn inside(&self, file: PathBuf, path: &str) -> Result<ProjectFile, Failure> {
        match file.strip_prefix(&self.root) {
            Ok(name) => {
                let name = name.to_string_lossy().into_owned();
                Ok(ProjectFile { asked: name.clone(), name, path: file })
            }
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

impl std::fmt::Debug for Project {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Project({})", self.root.display())
    }
}

/// The text of a file of at most `limit` bytes.
///
/// # Errors
/// Also for what is no plain file: a pipe would never end, and a device has no size.
fn read(file: &Path, limit: usize) -> Result<String, Unread> {
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
