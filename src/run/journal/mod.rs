//! The journal of a run: what is about to be done is on disk before it is done.
//!
//! A journal is a sequence of immutable objects, `runs/<run>/j/<seq>`, each a batch of records with
//! the digest of the one before: a missing, torn or edited object breaks the chain. Objects are
//! only ever created, never overwritten ("put if absent"), so one protocol serves a directory and
//! an object store alike. What has merely happened is noted, and travels with the next intent;
//! what is about to happen is committed, and waits until it is durable.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use object_store::{ObjectStore, PutMode, PutOptions, PutPayload, local::LocalFileSystem, path::Path as Key};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{Class, Undo};
use crate::{
    policy::Check,
    private,
    redact::{Edit, Secrets},
};

/// The format written here. A reader refuses a newer one.
pub const FORMAT: u32 = 1;
const MAGIC: &str = "runner-journal";

/// One thing a run did, or is about to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    RunStarted {
        runbook: String,
        /// Of the runbook's text.
        script_sha256: String,
        version: String,
        target: String,
        seed: u64,
    },
    /// A person has set a check of policy aside.
    Override {
        check: Check,
        reason: String,
        by: String,
    },
    /// An operation of the runbook began.
    Operation {
        id: String,
        operation: String,
        subject: String,
    },
    /// A mutation is about to be sent.
    Intent {
        /// `3/ec2:CreateSubnet/public-a`: the operation, the call, what it changes.
        path: String,
        call: String,
        class: Class,
        token: String,
        request_sha256: String,
        /// How to find what it made, should the reply be lost: name and arguments.
        look_up: Option<(String, Value)>,
        undo: Option<Box<Undo>>,
    },
    /// The same mutation is about to be sent again.
    Attempt {
        path: String,
        attempt: u32,
    },
    /// What came of a mutation.
    Result {
        path: String,
        result: Option<Value>,
        error: Option<String>,
    },
    /// Something an operation saw before its first change, and must not see differently later.
    Capture {
        path: String,
        value: Value,
    },
    OperationEnded {
        id: String,
        error: Option<String>,
    },
    /// The point of no return.
    Committed {
        label: String,
    },
    /// From here on it goes backwards.
    RollbackStarted {
        reason: String,
    },
    UndoStarted {
        undo: String,
    },
    UndoEnded {
        undo: String,
        outcome: String,
    },
    HookEnded {
        hook: String,
        error: Option<String>,
    },
    Finished {
        exit_code: u8,
    },
}

impl Record {
    /// Edits what somebody else wrote in it, see [`Event::edit`](crate::event::Event::edit). The keys of arguments and
    /// results are this program's.
    fn edit(&mut self, edit: &impl Edit) {
        let each = |texts: &mut [&mut String]| texts.iter_mut().for_each(|text| edit.text(text));
        let maybe = |text: &mut Option<String>| text.iter_mut().for_each(|text| edit.text(text));
        match self {
            Self::RunStarted { runbook, script_sha256: _, version: _, target, seed: _ } => each(&mut [runbook, target]),
            Self::Override { check: _, reason, by } => each(&mut [reason, by]),
            Self::Operation { id: _, operation: _, subject } => edit.text(subject),
            Self::Intent { path, call: _, class: _, token: _, request_sha256: _, look_up, undo } => {
                edit_resource(path, edit);
                if let Some((_, arguments)) = look_up {
                    edit.values(arguments);
                }
                if let Some(undo) = undo {
                    edit.text(&mut undo.description);
                    edit.values(&mut undo.arguments);
                }
            }
            Self::Attempt { path, attempt: _ } => edit_resource(path, edit),
            Self::Result { path, result, error } => {
                edit_resource(path, edit);
                result.iter_mut().for_each(|result| edit.values(result));
                maybe(error);
            }
            Self::Capture { path, value } => {
                edit_resource(path, edit);
                edit.values(value);
            }
            Self::OperationEnded { id: _, error } => maybe(error),
            Self::Committed { label } => edit.text(label),
            Self::RollbackStarted { reason } => edit.text(reason),
            Self::UndoStarted { undo } => edit.text(undo),
            Self::UndoEnded { undo, outcome } => each(&mut [undo, outcome]),
            Self::HookEnded { hook, error } => {
                edit.text(hook);
                maybe(error);
            }
            Self::Finished { exit_code: _ } => {}
        }
    }
}

/// The last part of a path, `3/ec2:CreateSubnet/public-a`, is somebody's name for it.
fn edit_resource(path: &mut String, edit: &impl Edit) {
    if let Some((start, _)) = path.match_indices('/').nth(1) {
        let mut resource = path.split_off(start + 1);
        edit.text(&mut resource);
        path.push_str(&resource);
    }
}

/// What is stored as one object.
#[derive(Debug, Serialize, Deserialize)]
struct Batch {
    magic: String,
    format: u32,
    run: String,
    seq: u64,
    /// Who writes; counts takeovers.
    epoch: u64,
    /// The digest of the object before.
    previous: String,
    /// For people; nothing depends on it.
    written: Timestamp,
    records: Vec<Record>,
}

/// Why the journal could not be written.
#[derive(Debug, Error)]
#[error("the journal of run {run} could not be written, so nothing more was sent: {cause}")]
pub struct JournalError {
    pub run: String,
    pub cause: String,
}

/// Writes the journal of one run.
pub struct Journal {
    run: String,
    /// Where its objects are, if they are files.
    dir: Option<PathBuf>,
    store: Arc<dyn ObjectStore>,
    tokio: tokio::runtime::Handle,
    secrets: Secrets,
    state: Mutex<State>,
}

struct State {
    seq: u64,
    previous: String,
    pending: Vec<Record>,
}

impl Journal {
    /// Begins the journal of `run` in the directory `root`, which is made if it is absent.
    pub fn create(root: &Path, run: &str) -> Result<Self, JournalError> {
        let failed = |cause: String| JournalError { run: run.to_owned(), cause };
        // Nobody else gets into this folder, whatever the store makes in it.
        let dir = root.join("runs").join(run).join("j");
        private::create_dir_all(&dir).map_err(|error| failed(format!("{}: {error}", dir.display())))?;
        let store = LocalFileSystem::new_with_prefix(root).map_err(|error| failed(error.to_string()))?;
        Ok(Self { dir: Some(dir), ..Self::on(Arc::new(store.with_fsync(true)), run) })
    }

    /// A journal that is gone with the process: a dry run has one to write to, and leaves nothing behind.
    pub fn in_memory(run: &str) -> Self {
        Self::on(Arc::new(object_store::memory::InMemory::new()), run)
    }

    fn on(store: Arc<dyn ObjectStore>, run: &str) -> Self {
        Self {
            run: run.to_owned(),
            dir: None,
            store,
            tokio: tokio::runtime::Handle::current(),
            secrets: Secrets::default(),
            state: Mutex::new(State { seq: 0, previous: String::new(), pending: Vec::new() }),
        }
    }

    /// Writes none of these down.
    pub(super) fn hide(&mut self, secrets: Secrets) {
        self.secrets = secrets;
    }

    /// Writes `record` down with the next intent.
    pub fn note(&self, record: Record) {
        self.state().pending.push(record);
    }

    /// Writes `record` and everything noted before it, and returns when it is durable.
    ///
    /// It blocks the strand without giving its turn away: how long a disk takes must not decide
    /// which branch of a simulated run goes first.
    pub fn commit(&self, record: Record) -> Result<(), JournalError> {
        self.state().pending.push(record);
        self.flush()
    }

    /// Makes durable what was noted.
    pub fn flush(&self) -> Result<(), JournalError> {
        let mut state = self.state();
        if state.pending.is_empty() {
            return Ok(());
        }
        let mut records = std::mem::take(&mut state.pending);
        records.iter_mut().for_each(|record| record.edit(&self.secrets));
        let batch = Batch {
            magic: MAGIC.to_owned(),
            format: FORMAT,
            run: self.run.clone(),
            seq: state.seq + 1,
            epoch: 1,
            previous: state.previous.clone(),
            written: Timestamp::now(),
            records,
        };
        let failed = |cause: String| JournalError { run: self.run.clone(), cause };
        let bytes = serde_json::to_vec(&batch).map_err(|error| failed(error.to_string()))?;
        let digest = hex(&Sha256::digest(&bytes));
        let key = Key::from(format!("runs/{}/j/{:010}", self.run, batch.seq));
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let put = self.store.put_opts(&key, PutPayload::from(bytes), options);
        match self.tokio.block_on(put) {
            Ok(_) => {
                // The record is kept in any case, and its folder is closed to others already.
                if let Some(dir) = &self.dir {
                    let _ = private::restrict(&dir.join(format!("{:010}", batch.seq)));
                }
                state.seq = batch.seq;
                state.previous = digest;
                Ok(())
            }
            Err(error) => {
                // They are still to be written: the same records go into the next try.
                let mut records = batch.records;
                records.append(&mut state.pending);
                state.pending = records;
                Err(failed(error.to_string()))
            }
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
    }

    fn read(root: &Path, seq: u64) -> Batch {
        let path = root.join(format!("runs/r1/j/{seq:010}"));
        serde_json::from_slice(&std::fs::read(path).expect("the object")).expect("a batch")
    }

    #[test]
    fn what_is_committed_is_on_disk_with_what_was_noted_before() {
        let (tokio, root) = (runtime(), tempfile::tempdir().expect("a directory"));
        let _context = tokio.enter();
        let journal = Journal::create(root.path(), "r1").expect("a journal");
        journal.commit(Record::Committed { label: "a".into() }).expect("written");
        journal.note(Record::Committed { label: "b".into() });
        assert!(!root.path().join("runs/r1/j/0000000002").exists());
        journal.commit(Record::Committed { label: "c".into() }).expect("written");
        let first = std::fs::read(root.path().join("runs/r1/j/0000000001")).expect("the object");
        let second = read(root.path(), 2);
        assert_eq!(second.records.len(), 2);
        assert_eq!(second.previous, hex(&Sha256::digest(&first)), "each object names the one before");
    }

    #[test]
    fn an_object_is_never_overwritten() {
        let (tokio, root) = (runtime(), tempfile::tempdir().expect("a directory"));
        let _context = tokio.enter();
        let record = Record::Committed { label: "mine".into() };
        Journal::create(root.path(), "r1").expect("a journal").commit(record.clone()).expect("written");
        let error = Journal::create(root.path(), "r1").expect("a journal").commit(record).expect_err("taken");
        assert!(error.to_string().contains("nothing more was sent"), "{error}");
    }
}
