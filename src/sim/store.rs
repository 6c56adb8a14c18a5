//! A world on disk: `snapshot.json`, and `log.jsonl` with every change since. `lock` is held while a process has it.
//!
//! A change is in the log before its reply is out. Opening reads the snapshot and runs the log again: handlers depend
//! on the world and the time alone. The log is written through to the kernel, not to the platter: it survives the
//! death of the process, which is what a simulated world is asked to survive.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fault::Mishap;
use super::tx::Scope;
use super::wire::Params;
use super::world::{Settings, VERSION, World};
use crate::private;

#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    #[error("the simulated world in {} is in use by another process; wait for it to end, or use another directory", .0.display())]
    Locked(PathBuf),
    #[error(
        "the simulated world in {} has version {found}, and this runner reads up to {VERSION}; \
         use the runner that wrote it, or another directory", .dir.display()
    )]
    Newer { dir: PathBuf, found: u64 },
    #[error("the simulated world is damaged: {} {what}; delete the directory to start a new world", .file.display())]
    Damaged { file: PathBuf, what: String },
    #[error("{} is no file of a simulated world: {what}; `runner snapshot` writes one", .file.display())]
    NoWorld { file: PathBuf, what: String },
    #[error("the snapshot {} cannot be read: {source}; `runner snapshot` writes one", .file.display())]
    NoSnapshot { file: PathBuf, source: std::io::Error },
    #[error("{} is no simulated world, and holds other files; name an empty folder, or a new one", .0.display())]
    Occupied(PathBuf),
    #[error("{}: {source}", .file.display())]
    Io { file: PathBuf, source: std::io::Error },
}

/// One line of the log.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    pub number: u64,
    pub at: Timestamp,
    /// The request counter, so that reads before this entry keep their place in it.
    pub requests: u64,
    pub change: Change,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Call { scope: Scope, service: String, action: String, params: Params },
    Settings(Settings),
    BeginRun,
    Mishap(Mishap),
}

pub struct Store {
    dir: PathBuf,
    log: File,
    /// A failed write leaves a log that lacks what the world has: from then on nothing more is accepted.
    broken: bool,
    /// Held by being open.
    _lock: File,
}

impl Store {
    /// Takes the directory, and reads the last snapshot and the log after it. `create` makes the world of a new one.
    pub fn open(dir: PathBuf, create: impl FnOnce() -> World) -> Result<(Store, World, Vec<Entry>), WorldError> {
        if is_occupied(&dir) {
            return Err(WorldError::Occupied(dir));
        }
        private::create_dir_all(&dir).map_err(io(&dir))?;
        let lock = open_file(&dir.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => WorldError::Locked(dir.clone()),
            TryLockError::Error(source) => WorldError::Io { file: dir.join("lock"), source },
        })?;
        let log = open_file(&dir.join("log.jsonl"))?;
        let mut store = Store { dir, log, broken: false, _lock: lock };
        let world = match read_snapshot(&store.dir)? {
            Some(world) => world,
            None => {
                let world = create();
                store.write_snapshot(&world)?;
                world
            }
        };
        let entries = store.read_log()?;
        Ok((store, world, entries))
    }

    /// The snapshot and the log of a directory that somebody else may be using. Takes and changes nothing.
    pub fn peek(dir: &Path) -> Result<Option<(World, Vec<Entry>)>, WorldError> {
        let Some(world) = read_snapshot(dir)? else { return Ok(None) };
        let log = dir.join("log.jsonl");
        let text = match std::fs::read(&log) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            text => text.map_err(io(&log))?,
        };
        Ok(Some((world, entries(&log, whole_lines(&text))?)))
    }

    /// A last line without its end was being written when the process died. Its request was never answered: it goes.
    fn read_log(&mut self) -> Result<Vec<Entry>, WorldError> {
        let file = self.dir.join("log.jsonl");
        let text = std::fs::read(&file).map_err(io(&file))?;
        let whole = whole_lines(&text);
        self.log
            .set_len(whole.len() as u64)
            .and_then(|()| self.log.seek(std::io::SeekFrom::End(0)))
            .map_err(io(&file))?;
        entries(&file, whole)
    }

    /// Writes a change down. Until this returns, the request must not be answered.
    pub fn append(&mut self, entry: &Entry) -> Result<(), WorldError> {
        let file = self.dir.join("log.jsonl");
        if self.broken {
            let source = std::io::Error::other("an earlier write failed");
            return Err(WorldError::Io { file, source });
        }
        let written = serde_json::to_vec(entry).map_err(std::io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            self.log.write_all(&line)?;
            self.log.flush()
        });
        self.broken = written.is_err();
        written.map_err(io(&file))
    }

    /// Writes the world and empties the log. Entries are numbered, so a crash in between replays none of them twice.
    pub fn write_snapshot(&mut self, world: &World) -> Result<(), WorldError> {
        write_file(world, &self.dir.join("snapshot.json"))?;
        let log = self.dir.join("log.jsonl");
        self.log.set_len(0).and_then(|()| self.log.rewind()).map_err(io(&log))?;
        self.broken = false;
        Ok(())
    }

    pub fn damaged(&self, entry: &Entry, what: impl std::fmt::Display) -> WorldError {
        WorldError::Damaged { file: self.dir.join("log.jsonl"), what: format!("entry {}: {what}", entry.number) }
    }
}

/// Whether the directory has a world.
pub fn is_there(dir: &Path) -> bool {
    dir.join("snapshot.json").exists()
}

/// Whether the directory has no world, and something that belongs to none: one whose process died at once has a lock
/// and a log.
pub fn is_occupied(dir: &Path) -> bool {
    if is_there(dir) {
        return false;
    }
    // A process that died while it made the world has left these.
    let ours = |name: &std::ffi::OsStr| name == "lock" || name == "log.jsonl" || name == "snapshot.json.new";
    std::fs::read_dir(dir).is_ok_and(|entries| entries.flatten().any(|entry| !ours(&entry.file_name())))
}

/// The snapshot of a directory, if there is one.
fn read_snapshot(dir: &Path) -> Result<Option<World>, WorldError> {
    match read_file(&dir.join("snapshot.json")) {
        Err(WorldError::NoWorld { file, what }) => Err(WorldError::Damaged { file, what }),
        Err(WorldError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// A world in a file.
fn read_file(file: &Path) -> Result<World, WorldError> {
    #[derive(Deserialize)]
    struct Head {
        version: u64,
    }
    let text = std::fs::read(file).map_err(io(file))?;
    let damaged = |error: serde_json::Error| WorldError::NoWorld { file: file.to_owned(), what: error.to_string() };
    let found = serde_json::from_slice::<Head>(&text).map_err(damaged)?.version;
    if found > u64::from(VERSION) {
        return Err(WorldError::Newer { dir: file.to_owned(), found });
    }
    serde_json::from_slice(&text).map_err(damaged)
}

/// Reads the world that somebody names as a snapshot.
pub fn read_named(file: &Path) -> Result<World, WorldError> {
    // A pipe or a device would be read for ever.
    let about = std::fs::metadata(file).map_err(|source| WorldError::NoSnapshot { file: file.to_owned(), source })?;
    if !about.is_file() {
        return Err(WorldError::NoWorld { file: file.to_owned(), what: "it is not a regular file".to_owned() });
    }
    read_file(file)
}

/// Writes a world to a file, which is there as a whole or not at all.
pub fn write_file(world: &impl Serialize, file: &Path) -> Result<(), WorldError> {
    let mut draft = file.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    let text = serde_json::to_vec_pretty(world).map_err(|error| io(file)(error.into()))?;
    let create = &mut OpenOptions::new();
    let mut written = private::open(create.write(true).create(true).truncate(true), &draft).map_err(io(&draft))?;
    written.write_all(&text).and_then(|()| written.sync_all()).map_err(io(&draft))?;
    std::fs::rename(&draft, file).map_err(io(file))
}

fn whole_lines(text: &[u8]) -> &[u8] {
    &text[..text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1)]
}

fn entries(file: &Path, lines: &[u8]) -> Result<Vec<Entry>, WorldError> {
    let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let entries = lines.enumerate().map(|(index, line)| {
        serde_json::from_slice(line).map_err(|error| WorldError::Damaged {
            file: file.to_owned(),
            what: format!("line {}: {error}", index + 1),
        })
    });
    entries.collect()
}

fn open_file(file: &Path) -> Result<File, WorldError> {
    private::open(OpenOptions::new().read(true).write(true).create(true).truncate(false), file).map_err(io(file))
}

fn io(file: &Path) -> impl Fn(std::io::Error) -> WorldError {
    let file = file.to_owned();
    move |source| WorldError::Io { file: file.clone(), source }
}
