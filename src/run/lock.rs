//! Locks: one run at a time on a stack, and on whatever a runbook names.
//!
//! A lock is a sequence of objects, `locks/<place>/<name>/<seq>`, made if they are absent: held by a run, let go of, held by the next
//! one. It belongs to the run, not to a process: a run that is suspended keeps it, and one that has ended has let go of it,
//! whatever became of its driver. Time never frees a lock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    Driver, History, Past, Record, Run, Stand,
    store::{Made, Store, StoreError},
};
use crate::ops;

/// What a lock was last used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "lock", rename_all = "snake_case")]
enum Entry {
    Held(Holder),
    Free { run: String, by: Option<String>, reason: Option<String> },
}

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub run: String,
    pub driver: Driver,
    /// Real time, for people.
    pub since: Timestamp,
}

/// A lock that another run holds.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is locked by run {} of {}, since {}: {stand}", without_place(name), holder.run, holder.driver, holder.since.strftime("%Y-%m-%d %H:%M UTC"))]
pub struct Locked {
    pub name: String,
    pub holder: Holder,
    /// What that run does.
    pub stand: String,
}

/// A lock was taken from a run, and others have used what it is for since.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} was taken from run {run}, and run {by} has been at it since", without_place(name))]
pub struct Superseded {
    pub name: String,
    pub run: String,
    pub by: String,
}

/// Why a lock is not ours.
#[derive(Debug, Error)]
pub enum LockError {
    #[error(transparent)]
    Locked(#[from] Box<Locked>),
    #[error(transparent)]
    Superseded(#[from] Box<Superseded>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A lock, whoever holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Where, and what.
    pub name: String,
    pub holder: Holder,
}

/// What is locked, without where.
fn without_place(name: &str) -> &str {
    name.splitn(3, '/').last().unwrap_or(name)
}

/// The folder of a lock. Names may have any characters.
fn prefix(name: &str) -> String {
    // Account, region, and a name of the runbook's, which may have slashes of its own.
    let escaped: String = name.splitn(3, '/').map(escape).collect::<Vec<_>>().join("/");
    format!("locks/{escaped}")
}

fn escape(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b' ');
    let text: String = part
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("={byte:02x}") })
        .collect();
    // `.` and `..` are no names of folders.
    if text.bytes().all(|byte| byte == b'.') { text.replace('.', "=2e") } else { text }
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('=') {
        bytes.extend_from_slice(before.as_bytes());
        match after.get(..2).and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => rest = after,
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The last entry of a lock, and its number.
fn last(store: &Store, name: &str) -> Result<(u64, Option<Entry>), StoreError> {
    let keys = store.list(&prefix(name))?;
    let Some(key) = keys.last() else { return Ok((0, None)) };
    let seq = key.rsplit('/').next().and_then(|seq| seq.parse().ok()).unwrap_or_default();
    Ok((seq, read(store, key)?))
}

fn read(store: &Store, key: &str) -> Result<Option<Entry>, StoreError> {
    let Some(bytes) = store.get(key)? else { return Ok(None) };
    // A later version may have written it: it is not taken for free.
    let unread = |error| StoreError::Failed {
        store: store.to_string(),
        cause: format!("the lock {key} is not one that this version reads: {error}"),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(unread)
}

fn put(store: &Store, name: &str, seq: u64, entry: &Entry) -> Result<bool, StoreError> {
    let bytes = serde_json::to_vec(entry).expect("keys are text");
    Ok(store.make(&format!("{}/{seq:010}", prefix(name)), &bytes)? == Made::New)
}

/// What a run does, for whoever waits for it; `None` if it has ended.
fn stand_of(store: &Store, run: &str) -> Option<String> {
    let history = match History::read(store, run) {
        Ok(history) => history,
        Err(super::HistoryError::Absent(_)) => return None,
        Err(error) => return Some(error.to_string()),
    };
    let past = Past::of(&history.entries)?;
    let doing = || past.operations.iter().rev().find(|(_, operation)| !operation.is_ended());
    Some(match &past.stand {
        Stand::Finished { .. } => return None,
        Stand::Forward => match doing() {
            Some((_, operation)) => format!("it is at {} {}", operation.operation, operation.subject),
            None => "it is under way".to_owned(),
        },
        Stand::Back => "it is being rolled back".to_owned(),
        Stand::Suspended { reason } => format!("it is suspended ({reason})"),
        Stand::Asks(question) => format!("it waits for approval ({})", question.question),
    })
}

/// Locks `name` for a run; whether it had it before.
///
/// # Errors
/// [`LockError::Locked`] if another run has it.
fn take(store: &Store, name: &str, run: &str) -> Result<bool, LockError> {
    loop {
        let (seq, entry) = last(store, name)?;
        if let Some(Entry::Held(holder)) = entry {
            if holder.run == run {
                return Ok(true);
            }
            if let Some(stand) = stand_of(store, &holder.run) {
                return Err(Box::new(Locked { name: name.to_owned(), holder, stand }).into());
            }
        }
        let holder = Holder { run: run.to_owned(), driver: Driver::here(), since: Timestamp::now() };
        if put(store, name, seq + 1, &Entry::Held(holder))? {
            return Ok(false);
        }
    }
}

/// The last run that has held a lock after this one.
fn superseded(store: &Store, name: &str, run: &str) -> Result<Option<String>, StoreError> {
    let mut later = None;
    for key in store.list(&prefix(name))?.iter().rev() {
        match read(store, key)? {
            Some(Entry::Held(holder)) if holder.run == run => return Ok(later),
            Some(Entry::Held(holder)) => later = later.or(Some(holder.run)),
            Some(Entry::Free { .. }) | None => {}
        }
    }
    // It never had it.
    Ok(None)
}

/// Lets go of a lock, if this run has it.
fn release(store: &Store, name: &str, run: &str) -> Result<(), StoreError> {
    free(store, name, run, None, None)
}

fn free(store: &Store, name: &str, run: &str, by: Option<String>, reason: Option<String>) -> Result<(), StoreError> {
    let (seq, entry) = last(store, name)?;
    if matches!(entry, Some(Entry::Held(holder)) if holder.run == run) {
        // Whoever has made the next one has seen that the run is over.
        put(store, name, seq + 1, &Entry::Free { run: run.to_owned(), by, reason })?;
    }
    Ok(())
}

impl Run {
    /// Keeps other runs out of what is called so, in the account and region of the environment, until this run ends. A dry run
    /// keeps nobody out.
    ///
    /// # Errors
    /// If another run has it.
    pub async fn lock(&self, name: &str) -> Result<(), ops::Error> {
        // Only a run that others can go on with has a place that others look at.
        if !self.keeps_reads() {
            return Ok(());
        }
        let scope = self.scope_or_own(None).await?;
        let identity = self.identify(&scope).await?;
        let place = match self.target.get().map(String::as_str) {
            None | Some("aws") => identity.account,
            Some(other) => format!("{} at {}", identity.account, other.replace('/', "_")),
        };
        let name = format!("{place}/{}/{name}", scope.region);
        if self.state().locks.contains(&name) {
            return Ok(());
        }
        // What it would do next, it had decided before others came.
        if let Some(by) = superseded(self.journal().store(), &name, self.id().as_str()).map_err(ops::Error::from)? {
            let run = self.id().as_str().to_owned();
            return Err(LockError::from(Box::new(Superseded { name, run, by })).into());
        }
        self.take_lock(name)?;
        Ok(())
    }

    fn take_lock(&self, name: String) -> Result<(), LockError> {
        take(self.journal().store(), &name, self.id().as_str())?;
        self.journal().note(Record::Locked { name: name.clone() });
        self.state().locks.push(name);
        Ok(())
    }

    /// Takes the locks again that the run has had: for a rollback, which has no script that does.
    ///
    /// # Errors
    /// If another run has one of them by now.
    pub fn lock_again(&self) -> Result<(), ops::Error> {
        let had = self.past().map(|past| past.locks.clone()).unwrap_or_default();
        let new = had.into_iter().filter(|name| !self.state().locks.contains(name)).collect::<Vec<_>>();
        new.into_iter().try_for_each(|name| self.take_lock(name)).map_err(ops::Error::from)
    }

    /// Lets other runs in again.
    pub fn unlock(&self) {
        let locks = std::mem::take(&mut self.state().locks);
        for name in locks {
            // The end of the run frees it as well.
            let _ = release(self.journal().store(), &name, self.id().as_str());
        }
    }
}

impl Lock {
    /// All locks that are held.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn all(store: &Store) -> Result<Vec<(Self, String)>, StoreError> {
        let mut names: Vec<String> = Vec::new();
        for key in store.list("locks")? {
            let folder = key.rsplit_once('/').map_or("", |(folder, _)| folder);
            let name = folder.trim_start_matches("locks/").split('/').map(unescape).collect::<Vec<_>>().join("/");
            if names.last() != Some(&name) {
                names.push(name);
            }
        }
        let mut locks = Vec::new();
        for name in names {
            if let (_, Some(Entry::Held(holder))) = last(store, &name)?
                && let Some(stand) = stand_of(store, &holder.run)
            {
                locks.push((Self { name, holder }, stand));
            }
        }
        Ok(locks)
    }

    /// Takes the lock from its run, which must not be driven any more.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub fn break_open(&self, store: &Store, reason: &str) -> Result<(), StoreError> {
        let by = crate::settings::actor();
        free(store, &self.name, &self.holder.run, Some(by), Some(reason.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Journal;

    fn begun(store: &Store, run: &str) -> Journal {
        let journal = Journal::new(store.clone(), run);
        let started = crate::run::Started {
            runbook: "deploy.rhai".into(),
            version: "0".into(),
            semantics: 1,
            target: "sim".into(),
            target_id: "sim:1".into(),
            world: None,
            seed: 1,
            environment: None,
            params: std::collections::BTreeMap::new(),
            salt: String::new(),
        };
        journal.note(Record::RunStarted(Box::new(started)));
        let fence = Record::Fence { epoch: 1, driver: Driver::here(), verb: "run".into() };
        journal.commit(fence).expect("written");
        journal
    }

    #[test]
    fn a_lock_is_held_until_its_run_has_ended() {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        let _tokio = tokio.enter();
        let store = Store::in_memory();
        let name = "123456789012/eu-west-1/stack shop-prod";
        let first = begun(&store, "r1");
        begun(&store, "r2");
        assert!(!take(&store, name, "r1").expect("it is free"));
        assert!(take(&store, name, "r1").expect("it is ours"));
        let error = take(&store, name, "r2").expect_err("it is another one's").to_string();
        assert!(error.contains("stack shop-prod is locked by run r1"), "{error}");
        first.commit(Record::Suspended { reason: "interrupted".into() }).expect("written");
        let error = take(&store, name, "r2").expect_err("it is kept").to_string();
        assert!(error.contains("suspended (interrupted)"), "{error}");
        let all = Lock::all(&store).expect("a list");
        assert_eq!(all.iter().map(|(lock, _)| lock.name.as_str()).collect::<Vec<_>>(), [name]);
        // Its driver may die between the end of the run and the end of the lock.
        first.commit(Record::Finished { exit_code: 0 }).expect("written");
        assert!(!take(&store, name, "r2").expect("it is free"));
        release(&store, name, "r1").expect("not its own any more");
        assert!(take(&store, name, "r2").expect("it is ours"));
        release(&store, name, "r2").expect("let go");
        assert!(Lock::all(&store).expect("a list").is_empty());
    }

    #[test]
    fn a_name_within_another_one_is_another_lock() {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        let _tokio = tokio.enter();
        let store = Store::in_memory();
        begun(&store, "r1");
        begun(&store, "r2");
        assert!(!take(&store, "1/eu/db/users", "r1").expect("it is free"));
        release(&store, "1/eu/db/users", "r1").expect("let go");
        assert!(!take(&store, "1/eu/db", "r1").expect("it is free"));
        assert!(take(&store, "1/eu/db", "r2").is_err(), "it is held");
        assert!(!take(&store, "1/eu/db/users", "r2").expect("it is free"));
    }

    #[test]
    fn what_cannot_be_read_is_not_free() {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        let _tokio = tokio.enter();
        let store = Store::in_memory();
        begun(&store, "r1");
        store.make(&format!("{}/0000000001", prefix("1/eu/db")), br#"{"lock":"shared"}"#).expect("made");
        let error = take(&store, "1/eu/db", "r1").expect_err("nobody knows whose it is").to_string();
        assert!(error.contains("locks/1/eu/db/0000000001") && error.contains("shared"), "{error}");
    }

    #[test]
    fn any_name_is_one() {
        for name in ["a/b c/ü=%", "..", "x/../y", "plain-name_1.2"] {
            let parts: Vec<String> = name.split('/').map(escape).collect();
            assert!(parts.iter().all(|part| part != ".." && part.is_ascii()), "{parts:?}");
            assert_eq!(parts.iter().map(|part| unescape(part)).collect::<Vec<_>>().join("/"), name);
        }
    }
}
