//! Where journals and locks are kept: a folder or a bucket, with one rule for both. Objects are made if they are absent,
//! and never changed.
//!
//! Whoever asks for an object that is there is told what it holds: that tells a race that was lost from a reply that was.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::TryStreamExt as _;
use object_store::{
    ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, PutResult, local::LocalFileSystem,
    path::Path as Key,
};
use thiserror::Error;

use crate::private;

/// How often a bucket is tried again, and how long after the first time.
const ATTEMPTS: u32 = 6;
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// Why the store could not be used.
#[derive(Debug, Error)]
pub enum StoreError {
    #[error("{store}: {cause}")]
    Failed { store: String, cause: String },
    #[error("{store} overwrites what is there although it was told not to: two runs could not be kept apart")]
    Overwrites { store: String },
}

/// What became of an object that was to be made.
#[derive(Debug, PartialEq, Eq)]
pub enum Made {
    New,
    /// Somebody else has made it: this is what it holds.
    Taken(Vec<u8>),
}

/// What goes wrong with an object of a journal, for those who want to see what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// The process ends before it is made.
    CrashBefore,
    /// The process ends once it is made.
    CrashAfter,
    /// It is made, and nobody says so.
    LostReply,
    /// Half of it is made, and the process ends: what a disk without `fsync` can do.
    Torn,
    /// It is said to be there, and is not: S3's answer to a race that nobody has won.
    Conflict,
    /// There is no room for it, nor for any later one.
    Full,
    /// It is made, the process sleeps, another one takes the run up and goes on with it, and the process wakes.
    Overtaken,
}

impl Trouble {
    pub const ALL: [Self; 7] =
        [Self::CrashBefore, Self::CrashAfter, Self::LostReply, Self::Torn, Self::Conflict, Self::Full, Self::Overtaken];

    pub fn name(self) -> &'static str {
        match self {
            Self::CrashBefore => "crash-before",
            Self::CrashAfter => "crash-after",
            Self::LostReply => "lost-reply",
            Self::Torn => "torn",
            Self::Conflict => "conflict",
            Self::Full => "full",
            Self::Overtaken => "overtaken",
        }
    }
}

/// When there is trouble, and who has it.
pub struct Troubles {
    /// At which object of a journal, counted from 1; none if it is about the process alone.
    pub at: Option<(u64, Trouble)>,
    made: AtomicU64,
    /// Ends the process.
    crash: Box<dyn Fn() + Send + Sync>,
    /// Whether it has ended: it reaches nothing any more.
    is_over: Box<dyn Fn() -> bool + Send + Sync>,
    /// What another process does meanwhile.
    overtake: Box<dyn Fn() + Send + Sync>,
    slept: AtomicBool,
}

impl Troubles {
    pub fn new(
        at: Option<(u64, Trouble)>,
        crash: impl Fn() + Send + Sync + 'static,
        is_over: impl Fn() -> bool + Send + Sync + 'static,
        overtake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let (crash, is_over, overtake) = (Box::new(crash), Box::new(is_over), Box::new(overtake));
        let (made, slept) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { at, made, crash, is_over, overtake, slept }
    }

    /// The trouble of the object that is about to be made.
    fn of(&self, key: &str) -> Option<Trouble> {
        if !key.contains("/j/") {
            return None;
        }
        let nth = self.made.fetch_add(1, Ordering::SeqCst) + 1;
        let (at, trouble) = self.at?;
        (nth == at || (nth > at && trouble == Trouble::Full)).then_some(trouble)
    }
}

/// A place for objects. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    troubles: Option<Arc<Troubles>>,
    objects: Arc<dyn ObjectStore>,
    /// The folder, if it is one.
    root: Option<PathBuf>,
    /// As people call it.
    name: String,
    tokio: tokio::runtime::Handle,
}

impl Store {
    /// The folder `root`, which is made if it is absent. What is in it is its owner's, and on the disk when it is said to be.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn folder(root: &Path) -> Result<Self, StoreError> {
        let name = root.display().to_string();
        let failed = |cause: String| StoreError::Failed { store: name.clone(), cause };
        private::create_dir_all(root).map_err(|error| failed(error.to_string()))?;
        let objects = LocalFileSystem::new_with_prefix(root).map_err(|error| failed(error.to_string()))?;
        Ok(Self { root: Some(root.to_owned()), ..Self::on(Arc::new(objects.with_fsync(true)), name) })
    }

    /// What is gone with the process: a dry run has a journal too, and leaves nothing behind.
    pub fn in_memory() -> Self {
        Self::on(Arc::new(object_store::memory::InMemory::new()), "memory".to_owned())
    }

    /// Any other place, which people call `name`.
    pub fn on(objects: Arc<dyn ObjectStore>, name: String) -> Self {
        Self { troubles: None, objects, root: None, name, tokio: tokio::runtime::Handle::current() }
    }

    /// The same place, as somebody finds it who has troubles.
    pub fn troubled(&self, troubles: Troubles) -> Self {
        Self { troubles: Some(Arc::new(troubles)), ..self.clone() }
    }

    /// Whether the process has slept since this was asked last.
    pub(super) fn has_slept(&self) -> bool {
        self.troubles.as_ref().is_some_and(|troubles| troubles.slept.swap(false, Ordering::SeqCst))
    }

    /// The folder, if it is one.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Makes an object, and returns when it is durable.
    ///
    /// It blocks the strand without giving its turn away: how long a disk takes must not decide
    /// which branch of a simulated run goes first.
    ///
    /// # Errors
    /// If it is not known to be there. It may be all the same: to be tried again with the same bytes.
    pub fn make(&self, key: &str, bytes: &[u8]) -> Result<Made, StoreError> {
        let path = Key::from(key);
        if let Some(folder) = self.file(key).as_deref().and_then(Path::parent) {
            private::create_dir_all(folder).map_err(|error| self.failed(&error))?;
        }
        let mut trouble = self.trouble(key, bytes)?;
        let mut delay = FIRST_DELAY;
        let mut attempt = 1;
        loop {
            let error = match trouble
                .take()
                .map_or_else(|| self.put(&path, bytes), |trouble| self.put_in_vain(&path, bytes, trouble))
            {
                Ok(_) => {
                    // It is kept in any case, and its folder is closed to others already.
                    if let Some(file) = self.file(key) {
                        let _ = private::restrict(&file);
                    }
                    return Ok(Made::New);
                }
                Err(object_store::Error::AlreadyExists { .. }) => match self.get(key)? {
                    // The reply was lost, and the request was not.
                    Some(found) if found == bytes => return Ok(Made::New),
                    Some(found) => return Ok(Made::Taken(found)),
                    // S3 says so also of a race that nobody has won.
                    None => {
                        StoreError::Failed { store: self.name.clone(), cause: format!("{key} is there and is not") }
                    }
                },
                Err(error) => self.failed(&error),
            };
            // A disk that fails once is not trusted again.
            if self.root.is_some() || attempt >= ATTEMPTS {
                return Err(error);
            }
            if self.troubles.is_none() {
                std::thread::sleep(delay);
            }
            delay *= 2;
            attempt += 1;
        }
    }

    fn put(&self, path: &Key, bytes: &[u8]) -> object_store::Result<PutResult> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        self.tokio.block_on(self.objects.put_opts(path, PutPayload::from(bytes.to_vec()), options))
    }

    /// The trouble of an object, if it is one that leaves the process alive.
    fn trouble(&self, key: &str, bytes: &[u8]) -> Result<Option<Trouble>, StoreError> {
        let Some(troubles) = &self.troubles else { return Ok(None) };
        let over = || self.failed(&"this process has crashed, as a fault had it");
        if (troubles.is_over)() {
            return Err(over());
        }
        let trouble = troubles.of(key);
        let made = match trouble {
            Some(Trouble::CrashBefore) => &[][..],
            Some(Trouble::CrashAfter | Trouble::Overtaken) => bytes,
            Some(Trouble::Torn) => &bytes[..bytes.len() / 2],
            Some(Trouble::Full) => return Err(self.failed(&"no space left on device")),
            Some(Trouble::LostReply | Trouble::Conflict) | None => return Ok(trouble),
        };
        if !made.is_empty() {
            self.put(&Key::from(key), made).map_err(|error| self.failed(&error))?;
        }
        if trouble == Some(Trouble::Overtaken) {
            (troubles.overtake)();
            troubles.slept.store(true, Ordering::SeqCst);
            // It was made, and whoever made it knows.
            return Ok(trouble);
        }
        (troubles.crash)();
        Err(over())
    }

    /// A first attempt that does not end well.
    fn put_in_vain(&self, path: &Key, bytes: &[u8], trouble: Trouble) -> object_store::Result<PutResult> {
        let (path_of, source) = (path.to_string(), "as a fault had it".into());
        // One that was overtaken has made it already: it finds it there, and its own.
        if matches!(trouble, Trouble::Overtaken | Trouble::Conflict) {
            return Err(object_store::Error::AlreadyExists { path: path_of, source });
        }
        self.put(path, bytes)?;
        Err(object_store::Error::Generic { store: "faulty", source })
    }

    /// Puts an object in the place of what is there: only for what nothing depends on.
    ///
    /// # Errors
    /// If the store could not be reached.
    pub fn replace(&self, key: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let key = Key::from(key);
        let put = self.objects.put(&key, PutPayload::from(bytes.to_vec()));
        self.tokio.block_on(put).map(drop).map_err(|error| self.failed(&error))
    }

    /// What an object holds; `None` if it is absent.
    ///
    /// # Errors
    /// If the store could not be read.
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let key = Key::from(key);
        match self.patiently(|| async { self.objects.get(&key).await?.bytes().await }) {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The keys below `prefix`, in order.
    ///
    /// # Errors
    /// If the store could not be read.
    pub fn list(&self, prefix: &str) -> Result<BTreeSet<String>, StoreError> {
        let prefix = Key::from(prefix);
        let list = || self.objects.list(Some(&prefix)).map_ok(|object| object.location.to_string()).try_collect();
        match self.patiently(list) {
            Ok(keys) => Ok(keys),
            Err(object_store::Error::NotFound { .. }) => Ok(BTreeSet::new()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The names right below `prefix` that have something below them.
    ///
    /// # Errors
    /// If the store could not be read.
    pub fn folders(&self, prefix: &str) -> Result<BTreeSet<String>, StoreError> {
        let prefix = Key::from(prefix);
        match self.patiently(|| self.objects.list_with_delimiter(Some(&prefix))) {
            Ok(found) => {
                Ok(found.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
            }
            Err(object_store::Error::NotFound { .. }) => Ok(BTreeSet::new()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Removes an object. That it is gone already is no failure.
    ///
    /// # Errors
    /// If the store could not be reached.
    pub fn remove(&self, key: &str) -> Result<(), StoreError> {
        match self.tokio.block_on(self.objects.delete(&Key::from(key))) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Removes what is left of a folder whose objects were removed; a bucket has none.
    pub fn remove_folder(&self, prefix: &str) {
        if let Some(folder) = self.file(prefix) {
            // What is in use stays.
            let _ = std::fs::remove_dir_all(folder);
        }
    }

    /// Finds out whether the store leaves alone what is there. Some that speak S3 do not, and two
    /// drivers of one run would not notice each other.
    ///
    /// # Errors
    /// [`StoreError::Overwrites`], or if it could not be reached.
    pub fn probe(&self) -> Result<(), StoreError> {
        if self.root.is_some() {
            return Ok(());
        }
        let key = format!("probe/{:016x}", fastrand::u64(..));
        let first = self.make(&key, b"first")?;
        let second = self.make(&key, b"second")?;
        let holds = self.get(&key)?;
        let keeps =
            first == Made::New && second == Made::Taken(b"first".to_vec()) && holds.as_deref() == Some(b"first");
        if !keeps {
            return Err(StoreError::Overwrites { store: self.name.clone() });
        }
        let is_listed = self.list("probe")?.contains(&key);
        let _ = self.remove(&key);
        match is_listed {
            true => Ok(()),
            false => Err(self.failed(&"what was just made is not listed")),
        }
    }

    /// Reads from a bucket, again if that fails in passing. A disk that fails is not asked again.
    fn patiently<T, F>(&self, read: impl Fn() -> F) -> object_store::Result<T>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let mut delay = FIRST_DELAY;
        for _ in 1..ATTEMPTS {
            match self.tokio.block_on(read()) {
                Err(error) if self.root.is_none() && !matches!(error, object_store::Error::NotFound { .. }) => {}
                read => return read,
            }
            std::thread::sleep(delay);
            delay *= 2;
        }
        self.tokio.block_on(read())
    }

    fn file(&self, key: &str) -> Option<PathBuf> {
        Some(self.root.as_ref()?.join(key))
    }

    fn failed(&self, error: &dyn fmt::Display) -> StoreError {
        StoreError::Failed { store: self.name.clone(), cause: error.to_string() }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.name)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
