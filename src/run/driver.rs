//! Who drives a run: a process, somebody's, on some machine. And how others know whether it lives.

use std::{
    env, fmt,
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::store::{Store, StoreError};
use crate::{private, settings};

/// How often a driver shows that it lives, where the store is not a folder of its machine.
const BEAT: Duration = Duration::from_secs(5);
/// How long its sign must stay the same before it is taken for dead. Measured on the clock of whoever looks: clocks of two
/// machines are never compared.
const STILL: Duration = Duration::from_secs(30);

/// A process that drives a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Driver {
    /// `anna@laptop`
    pub who: String,
    pub pid: u32,
    /// The page of the CI job it is part of.
    pub job: Option<String>,
}

impl Driver {
    /// This process.
    pub fn here() -> Self {
        Self { who: settings::actor(), pid: std::process::id(), job: job() }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { who, pid, job } = self;
        match job {
            Some(job) => write!(f, "{who} ({job})"),
            None => write!(f, "{who} (process {pid})"),
        }
    }
}

/// The page of the CI job, where one is told.
fn job() -> Option<String> {
    let get = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    get("CI_JOB_URL").or_else(|| get("BUILD_URL")).or_else(|| {
        let (server, repository) = (get("GITHUB_SERVER_URL")?, get("GITHUB_REPOSITORY")?);
        Some(format!("{server}/{repository}/actions/runs/{}", get("GITHUB_RUN_ID")?))
    })
}

/// Shows others that the driver of a run lives, until it is dropped.
#[derive(Debug)]
pub struct Alive {
    /// The thread that beats, where that is needed.
    beats: Option<thread::JoinHandle<()>>,
    /// Held while the process lives: the operating system lets go of it, however it ends.
    _lock: Option<File>,
    stop: Arc<AtomicBool>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(beats) = self.beats.take() {
            // It takes its sign away, so that nobody waits for it to stand still.
            let _ = beats.join();
        }
    }
}

impl Alive {
    /// Shows that the driver of `epoch` lives. `None`: another one on this machine does.
    ///
    /// # Errors
    /// If nothing can be shown.
    pub fn show(store: &Store, run: &str, epoch: u64) -> Result<Option<Self>, StoreError> {
        let stop = Arc::new(AtomicBool::new(false));
        if let Some(root) = store.root() {
            let lock = lock(&sign_of(root, run, epoch));
            return lock
                .map(|lock| lock.map(|lock| Self { beats: None, _lock: Some(lock), stop }))
                .map_err(|error| StoreError::Failed { store: store.to_string(), cause: error.to_string() });
        }
        let (store, key, stopped) = (store.clone(), sign(run, epoch), Arc::clone(&stop));
        // Others may look from now on.
        store.replace(&key, b"0")?;
        // A thread of its own: it beats whatever the run is busy with.
        let beat = move || {
            for count in 1_u64.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                // One that is missed changes nothing: the fence decides, not this.
                let _ = store.replace(&key, count.to_string().as_bytes());
                let next = Instant::now() + BEAT;
                while Instant::now() < next && !stopped.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(100));
                }
            }
            let _ = store.remove(&key);
        };
        let beats = thread::Builder::new()
            .name("heartbeat".into())
            .spawn(beat)
            .map_err(|error| StoreError::Failed { store: run.to_owned(), cause: error.to_string() })?;
        Ok(Some(Self { beats: Some(beats), _lock: None, stop }))
    }

    /// Whether the driver of `epoch` shows that it lives. Where that cannot be seen at once, it is looked for a while.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn is_seen(store: &Store, run: &str, epoch: u64) -> Result<bool, StoreError> {
        if let Some(root) = store.root() {
            return match lock(&sign_of(root, run, epoch)) {
                Ok(free) => Ok(free.is_none()),
                Err(error) => Err(StoreError::Failed { store: store.to_string(), cause: error.to_string() }),
            };
        }
        let key = sign(run, epoch);
        let Some(first) = store.get(&key)? else { return Ok(false) };
        let began = Instant::now();
        while began.elapsed() < STILL {
            thread::sleep(Duration::from_secs(2));
            match store.get(&key)? {
                None => return Ok(false),
                Some(now) if now != first => return Ok(true),
                Some(_) => {}
            }
        }
        Ok(false)
    }
}

/// The file that a driver locks: each epoch has its own, so that one which hangs can be overtaken.
fn sign_of(root: &Path, run: &str, epoch: u64) -> PathBuf {
    root.join("runs").join(run).join(format!("driver-{epoch}"))
}

fn sign(run: &str, epoch: u64) -> String {
    format!("runs/{run}/alive/{epoch:08}")
}

/// Locks a file for this process; `None` if another one has.
fn lock(file: &Path) -> std::io::Result<Option<File>> {
    if let Some(folder) = file.parent() {
        private::create_dir_all(folder)?;
    }
    let file = private::open(OpenOptions::new().write(true).create(true).truncate(false), file)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
