//! The journal of a run: what is about to be done is durable before it is done.
//!
//! A journal is a sequence of immutable objects, `runs/<run>/j/<seq>`. They are only ever made, never overwritten ("put if
//! absent"), so one protocol serves a folder and a bucket alike. What has merely happened is noted, and travels with the next
//! intent; what is about to happen is committed, and waits until it is durable.
//!
//! Two drivers of one run cannot both write: the second one begins with a fence of a higher epoch in the place of the next
//! object, and whoever finds another one's object in its place has lost the run.

mod chain;
mod record;

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use thiserror::Error;

use self::chain::{Batch, Tail};
pub use self::{
    chain::{History, HistoryError, hex},
    record::{Answer, Entry, Failed, FailedAs, Given, Intent, OnTimeout, Record, Refused, Started},
};
use super::{
    driver::Driver,
    store::{Made, Store, StoreError},
};
use crate::{clock::Clock, redact::Secrets};

/// How many records are noted before they are written without an intent.
const MANY: usize = 1_000;

/// How long after the store was heard of a call may leave.
pub(super) const FRESH: Duration = Duration::from_secs(10);
/// The same of a repetition, whose intent was written a while ago.
pub(super) const FRESH_AGAIN: Duration = Duration::from_secs(1);

/// How long this machine has been up, also while it slept.
pub(super) fn boot_time() -> Duration {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = rustix::time::ClockId::Monotonic;
    let now = rustix::time::clock_gettime(clock);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// Why the journal could not be written.
#[derive(Clone, Debug, Error)]
pub enum JournalError {
    #[error("the journal of run {run} could not be written, so nothing more was sent: {cause}")]
    Lost { run: String, cause: String },
    #[error("run {run} was taken over by {by}, so nothing more was sent")]
    TakenOver { run: String, by: String },
    #[error("there is a run {run} already")]
    Exists { run: String },
}

/// Writes the journal of one run.
pub struct Journal {
    run: String,
    store: Store,
    nonce: String,
    secrets: Secrets,
    clock: OnceLock<Clock>,
    /// The run's time for as long as there is no clock, if it is not the real one.
    stands_at: Option<Timestamp>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tail: Tail,
    pending: Vec<Entry>,
    /// Nothing is written any more: an object that may or may not be there has no successor.
    lost: Option<JournalError>,
    written: u64,
    /// The files that are kept: path and digest.
    kept: BTreeSet<(String, String)>,
    /// When the last write that succeeded was begun, by [`boot_time`].
    heard: Duration,
    /// The run's time of that.
    written_at: Option<Timestamp>,
}

impl Journal {
    /// Begins the journal of a new run.
    pub fn new(store: Store, run: &str) -> Self {
        Self::at(store, run, Tail { epoch: 1, ..Tail::default() })
    }

    /// Takes a journal over, from whoever wrote it before. A driver that lives writes on: `insist` tries again behind what it
    /// has written meanwhile, until this process was faster. What is between is then to be read.
    ///
    /// # Errors
    /// [`JournalError::TakenOver`] if it has been written since it was read: its driver lives, or somebody was faster.
    pub fn claim(
        store: Store,
        history: &History,
        driver: Driver,
        verb: &str,
        insist: bool,
    ) -> Result<Self, JournalError> {
        let mut tail = history.tail.clone();
        loop {
            let epoch = tail.epoch + 1;
            let tail_of_ours = Tail { epoch, ..tail.clone() };
            let journal =
                Self { stands_at: history.simulated_time(), ..Self::at(store.clone(), &history.run, tail_of_ours) };
            let error = match journal.commit(Record::Fence { epoch, driver: driver.clone(), verb: verb.to_owned() }) {
                Ok(()) => return Ok(journal),
                Err(error) => error,
            };
            let next = store.get(&chain::key(&history.run, tail.seq + 1)).ok().flatten();
            let next = next.filter(|_| insist && matches!(error, JournalError::TakenOver { .. }));
            let Some(bytes) = next else { return Err(error) };
            let batch = Batch::of_bytes(&history.run, tail.seq + 1, &bytes).map_err(|_| error)?;
            tail = batch.tail_after(&bytes);
        }
    }

    /// A journal that is gone with the process.
    pub fn in_memory(run: &str) -> Self {
        Self::new(Store::in_memory(), run)
    }

    fn at(store: Store, run: &str, tail: Tail) -> Self {
        Self {
            run: run.to_owned(),
            store,
            nonce: format!("{:016x}", fastrand::u64(..)),
            secrets: Secrets::default(),
            clock: OnceLock::new(),
            stands_at: None,
            state: Mutex::new(State { tail, ..State::default() }),
        }
    }

    /// Writes none of these secrets down, and takes the time from `clock`.
    pub(super) fn attach(&mut self, secrets: Secrets, clock: Clock) {
        self.secrets = secrets;
        let _ = self.clock.set(clock);
    }

    /// Where it is kept.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Which driver of the run this is, counted from 1.
    pub fn epoch(&self) -> u64 {
        self.state().tail.epoch
    }

    /// How many objects this driver has written.
    pub fn written(&self) -> u64 {
        self.state().written
    }

    /// Keeps a file of the project, and writes down with the next intent that it was read. If it cannot be kept, nothing is
    /// written any more.
    pub(super) fn keep_file(&self, asked: &str, name: &str, text: &str) {
        let sha256 = hex(&Sha256::digest(text));
        if !self.state().kept.insert((asked.to_owned(), sha256.clone())) {
            return;
        }
        if let Err(error) = keep_text(&self.store, &sha256, text) {
            let lost = self.lose(&error);
            self.state().lost.get_or_insert(lost);
        }
        self.note(Record::File { path: asked.to_owned(), name: name.to_owned(), sha256 });
    }

    /// Whether a run of that id has begun.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn is_there(store: &Store, run: &str) -> Result<bool, StoreError> {
        Ok(store.get(&chain::key(run, 1))?.is_some())
    }

    /// Writes `record` down with the next intent.
    pub fn note(&self, record: Record) {
        let entry = self.entry(record);
        let mut state = self.state();
        match &entry.record {
            // What a wait saw before it looked again is of no use to anybody.
            Record::Read { id, request_sha256: asked, wait: Some(wait), .. } => {
                let (id, asked, wait) = (id.clone(), asked.clone(), *wait);
                state.pending.retain(|entry| {
                    !matches!(&entry.record, Record::Read { id: of, request_sha256, wait: Some(in_wait), .. }
                        if *of == id && *request_sha256 == asked && *in_wait == wait)
                });
            }
            // An operation that has ended does not read again.
            Record::OperationEnded { id, .. } => {
                let id = id.clone();
                state.pending.retain(|entry| !matches!(&entry.record, Record::Read { id: of, .. } if *of == id));
            }
            _ => {}
        }
        state.pending.push(entry);
        // A script may run for ever without changing anything. That it could not be written is told to the next intent.
        if state.pending.len() >= MANY {
            let _ = self.write(&mut state);
        }
    }

    /// Writes `record` and everything noted before it, and returns when it is durable.
    ///
    /// # Errors
    /// If it is not: the run must not go on. What it did is in the journal as far as it was written.
    pub fn commit(&self, record: Record) -> Result<(), JournalError> {
        let entry = self.entry(record);
        let mut state = self.state();
        state.pending.push(entry);
        self.write(&mut state)
    }

    /// Makes sure that this process still drives the run, if it has not heard so from the store for a while: it may have slept
    /// since, and another one acts meanwhile. Asked right before a call leaves.
    ///
    /// # Errors
    /// [`JournalError::TakenOver`] if it does not.
    pub(super) fn is_still_ours(&self, fresh: Duration) -> Result<(), JournalError> {
        if self.store.has_slept() || boot_time().saturating_sub(self.state().heard) >= fresh {
            self.commit(Record::StillDriving)?;
        }
        match self.lost() {
            Some(lost) => Err(lost),
            None => Ok(()),
        }
    }

    /// Makes durable what was noted.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn flush(&self) -> Result<(), JournalError> {
        let mut state = self.state();
        if state.pending.is_empty() {
            return Ok(());
        }
        self.write(&mut state)
    }

    /// The same, unless something was written a moment ago: when what was noted since has happened is known well enough.
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub(super) fn flush_if_older(&self, age: Duration) -> Result<(), JournalError> {
        let now = self.now();
        let is_recent = self.state().written_at.is_some_and(|at| now.duration_since(at).unsigned_abs() < age);
        if is_recent { Ok(()) } else { self.flush() }
    }

    /// Whether a secret is in what another driver, or a rollback, has to read of this.
    pub(super) fn would_hide(&self, intent: &Intent) -> bool {
        let mut written = Record::Intent(Box::new(intent.clone()));
        written.edit(&self.secrets);
        !matches!(written, Record::Intent(written) if *written == *intent)
    }

    /// Whether nothing can be written any more, and why.
    pub fn lost(&self) -> Option<JournalError> {
        self.state().lost.clone()
    }

    fn entry(&self, mut record: Record) -> Entry {
        record.edit(&self.secrets);
        Entry { at: self.now(), record }
    }

    /// The run's time.
    fn now(&self) -> Timestamp {
        self.clock.get().map(Clock::now).or(self.stands_at).unwrap_or_else(Timestamp::now)
    }

    fn write(&self, state: &mut State) -> Result<(), JournalError> {
        if let Some(lost) = &state.lost {
            return Err(lost.clone());
        }
        let mut records = std::mem::take(&mut state.pending);
        // A secret may have become one after it was noted.
        records.iter_mut().for_each(|entry| entry.record.edit(&self.secrets));
        let began = boot_time();
        let batch = Batch::new(&self.run, &state.tail, &self.nonce, records);
        let bytes = batch.to_bytes();
        let error = match self.store.make(&chain::key(&self.run, batch.seq), &bytes) {
            Ok(Made::New) => {
                state.tail = batch.tail_after(&bytes);
                state.written += 1;
                state.heard = began;
                state.written_at = Some(self.now());
                return Ok(());
            }
            Ok(Made::Taken(found)) => self.taken(&batch, &found),
            Err(error) => self.lose(&error),
        };
        state.lost = Some(error.clone());
        Err(error)
    }

    /// Somebody else's object is in the place of `ours`.
    fn taken(&self, ours: &Batch, found: &[u8]) -> JournalError {
        let run = self.run.clone();
        if ours.seq == 1 {
            return JournalError::Exists { run };
        }
        match Batch::of_bytes(&run, ours.seq, found) {
            Ok(other) => JournalError::TakenOver { run, by: other.driver() },
            Err(error) => self.lose(&error),
        }
    }

    fn lose(&self, cause: &dyn std::fmt::Display) -> JournalError {
        JournalError::Lost { run: self.run.clone(), cause: cause.to_string() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of a text that is kept by its digest.
pub fn text_key(sha256: &str) -> String {
    format!("cas/{sha256}")
}

/// Keeps a text by its digest.
///
/// # Errors
/// If it is not known to be durable.
pub fn keep_text(store: &Store, sha256: &str, text: &str) -> Result<(), StoreError> {
    store.make(&text_key(sha256), text.as_bytes()).map(drop)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
    }

    fn committed(label: &str) -> Record {
        Record::Committed { label: label.into() }
    }

    fn fence() -> Record {
        Record::Fence { epoch: 1, driver: Driver::here(), verb: "run".into() }
    }

    /// A journal of three objects in a folder.
    fn three(root: &Path) -> Store {
        let store = Store::folder(root).expect("a store");
        let journal = Journal::new(store.clone(), "r1");
        journal.commit(fence()).expect("written");
        journal.note(committed("a"));
        assert!(!root.join("runs/r1/j/0000000002").exists());
        journal.commit(committed("b")).expect("written");
        journal.commit(committed("c")).expect("written");
        store
    }

    fn labels(history: &History) -> Vec<&str> {
        let label = |entry| match entry {
            &Entry { record: Record::Committed { ref label }, .. } => Some(label.as_str()),
            _ => None,
        };
        history.entries.iter().filter_map(label).collect()
    }

    #[test]
    fn what_is_committed_is_on_disk_with_what_was_noted_before() {
        let (tokio, root) = (runtime(), tempfile::tempdir().expect("a directory"));
        let _context = tokio.enter();
        let store = three(root.path());
        let history = History::read(&store, "r1").expect("it is whole");
        assert_eq!(labels(&history), ["a", "b", "c"]);
        assert_eq!((history.tail.seq, history.tail.epoch), (3, 1));
        assert_eq!(History::runs(&store).expect("a list"), ["r1"]);
    }

    #[test]
    fn what_is_not_whole_is_refused_by_its_number() {
        let (tokio, root) = (runtime(), tempfile::tempdir().expect("a directory"));
        let _context = tokio.enter();
        let store = three(root.path());
        let file = |seq: u64| root.path().join(chain::key("r1", seq));
        let second = fs::read(file(2)).expect("the object");
        let error = |store| History::read(store, "r1").expect_err("it is not whole").to_string();

        fs::write(file(2), &second[..second.len() / 2]).expect("written");
        assert_eq!(error(&store), "object 2 of the journal of run r1 is torn or was edited");
        let edited = String::from_utf8(second.clone()).expect("text").replace("\"b\"", "\"x\"");
        fs::write(file(2), edited).expect("written");
        assert_eq!(error(&store), "object 2 of the journal of run r1 is torn or was edited");
        fs::remove_file(file(2)).expect("removed");
        assert_eq!(error(&store), "the journal of run r1 lacks object 2: later ones are there");
        // One that is whole in itself, and another one's.
        let mut other = Batch::of_bytes("r1", 2, &second).expect("whole");
        other.records.clear();
        fs::write(file(2), other.to_bytes()).expect("written");
        assert_eq!(error(&store), "object 3 of the journal of run r1 does not follow the one before it");
        assert_eq!(History::read(&store, "r2").expect_err("none").to_string(), "there is no run r2");
    }

    #[test]
    fn who_was_overtaken_writes_nothing_more() {
        let (tokio, root) = (runtime(), tempfile::tempdir().expect("a directory"));
        let _context = tokio.enter();
        let store = Store::folder(root.path()).expect("a store");
        let first = Journal::new(store.clone(), "r1");
        first.commit(fence()).expect("written");
        first.commit(committed("a")).expect("written");
        let history = History::read(&store, "r1").expect("it is whole");
        let second =
            Journal::claim(store.clone(), &history, Driver::here(), "resume", false).expect("nobody was faster");
        assert_eq!(second.epoch(), 2);
        for _ in 0..2 {
            let error = first.commit(committed("late")).expect_err("it is another one's");
            assert!(matches!(&error, JournalError::TakenOver { .. }), "{error}");
        }
        let error = Journal::claim(store.clone(), &history, Driver::here(), "resume", false).err().expect("too late");
        assert!(matches!(&error, JournalError::TakenOver { .. }), "{error}");
        second.commit(committed("b")).expect("written");
        assert_eq!(labels(&History::read(&store, "r1").expect("it is whole")), ["a", "b"]);
    }

    #[test]
    fn a_run_is_not_begun_twice() {
        let tokio = runtime();
        let _context = tokio.enter();
        let store = Store::in_memory();
        Journal::new(store.clone(), "r1").commit(committed("mine")).expect("written");
        let error = Journal::new(store, "r1").commit(committed("yours")).expect_err("taken");
        assert!(matches!(&error, JournalError::Exists { .. }), "{error}");
    }

    /// Drivers that take one run up at the same time, with pauses wherever the seed has them: each write that succeeded is
    /// in the journal, none after another one's fence, and one driver is left.
    #[test]
    fn of_drivers_that_race_one_is_left() {
        let tokio = runtime();
        for seed in 0..1_000 {
            let _context = tokio.enter();
            let store = Store::in_memory();
            Journal::new(store.clone(), "r1").commit(fence()).expect("written");
            let drivers = 2 + seed % 2;
            let drive = |driver: u64| {
                let _context = tokio.enter();
                let mut rng = fastrand::Rng::with_seed(seed * 10 + driver);
                let mut pause = || (0..rng.u32(..4)).for_each(|_| std::thread::yield_now());
                let mut done = Vec::new();
                let mut is_left = false;
                for _ in 0..3 {
                    let history = History::read(&store, "r1").expect("it is whole");
                    pause();
                    let Ok(journal) = Journal::claim(store.clone(), &history, Driver::here(), "resume", false) else {
                        continue;
                    };
                    is_left = (0..3).all(|step| {
                        pause();
                        let label = format!("{driver} {} {step}", journal.epoch());
                        let written = journal.commit(committed(&label)).is_ok();
                        done.extend(written.then_some(label));
                        written
                    });
                }
                (done, is_left)
            };
            let ended: Vec<_> = std::thread::scope(|scope| {
                let drive = &drive;
                let started: Vec<_> = (0..drivers).map(|driver| scope.spawn(move || drive(driver))).collect();
                started.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            let history = History::read(&store, "r1").expect("it is whole");
            let mut written: Vec<String> = labels(&history).into_iter().map(str::to_owned).collect();
            let mut done: Vec<String> = ended.iter().flat_map(|(done, _)| done.clone()).collect();
            written.sort();
            done.sort();
            assert_eq!(written, done, "seed {seed}");
            // Epochs never go back: `read` has seen to that. Whoever has the last one could finish.
            assert!(ended.iter().any(|(_, is_left)| *is_left), "seed {seed}");
        }
    }
}
