//! The objects of a journal: each a batch of records that names the digest of the one before, so that what is missing,
//! torn or edited is known by its number.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{
    super::store::{Store, StoreError},
    Entry, Record,
};

/// The format written here. A reader refuses another one.
pub const FORMAT: u32 = 2;
const MAGIC: &str = "runner-journal";

/// What is stored as one object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Batch {
    magic: String,
    format: u32,
    pub run: String,
    pub seq: u64,
    /// Who writes; counts takeovers.
    pub epoch: u64,
    /// Of the process that writes: tells its own objects from those of another one.
    pub nonce: String,
    /// The digest of the object before.
    previous: String,
    /// The real time, for people; nothing depends on it.
    pub written: Timestamp,
    pub records: Vec<Entry>,
}

/// Why a journal cannot be used.
#[derive(Debug, Error)]
pub enum HistoryError {
    #[error("there is no run {0}")]
    Absent(String),
    #[error("the journal of run {run} lacks object {seq}: later ones are there")]
    Gap { run: String, seq: u64 },
    #[error("object {seq} of the journal of run {run} is torn or was edited")]
    Torn { run: String, seq: u64 },
    #[error("object {seq} of the journal of run {run} does not follow the one before it")]
    Broken { run: String, seq: u64 },
    #[error("the journal of run {run} has format {found}, this version of runner reads {FORMAT}")]
    Format { run: String, found: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl HistoryError {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Absent(_) => "`runner runs` lists them",
            Self::Gap { .. } | Self::Torn { .. } | Self::Broken { .. } => {
                "nothing is done from a journal that is not whole: restore it, or see what AWS has with `runner status`"
            }
            Self::Format { .. } => "use the version of runner that wrote it",
            Self::Store(_) => "check `journal` in runner.toml, and the credentials for it",
        }
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn prefix(run: &str) -> String {
    format!("runs/{run}/j")
}

pub(super) fn key(run: &str, seq: u64) -> String {
    format!("{}/{seq:010}", prefix(run))
}

/// The end of a chain: where the next object goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    pub seq: u64,
    pub epoch: u64,
    pub digest: String,
}

impl Batch {
    pub fn new(run: &str, tail: &Tail, nonce: &str, records: Vec<Entry>) -> Self {
        Self {
            magic: MAGIC.to_owned(),
            format: FORMAT,
            run: run.to_owned(),
            seq: tail.seq + 1,
            epoch: tail.epoch,
            nonce: nonce.to_owned(),
            previous: tail.digest.clone(),
            written: Timestamp::now(),
            records,
        }
    }

    /// A line of JSON and a line with its digest.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("keys are text");
        let digest = hex(&Sha256::digest(&bytes));
        bytes.extend_from_slice(format!("\n{digest}\n").as_bytes());
        bytes
    }

    /// The tail of the chain that this object, written as `bytes`, is the end of.
    pub fn tail_after(&self, bytes: &[u8]) -> Tail {
        Tail { seq: self.seq, epoch: self.epoch, digest: hex(&Sha256::digest(bytes)) }
    }

    /// Who writes it, as far as it says.
    pub fn driver(&self) -> String {
        let fence = self.records.iter().find_map(|entry| match &entry.record {
            Record::Fence { driver, .. } => Some(driver.to_string()),
            _ => None,
        });
        fence.unwrap_or_else(|| "another process".to_owned())
    }

    /// The object `seq` of a run's journal.
    pub fn of_bytes(run: &str, seq: u64, bytes: &[u8]) -> Result<Self, HistoryError> {
        let torn = || HistoryError::Torn { run: run.to_owned(), seq };
        let text = std::str::from_utf8(bytes).map_err(|_| torn())?;
        let (line, digest) = text.strip_suffix('\n').and_then(|text| text.split_once('\n')).ok_or_else(torn)?;
        if digest != hex(&Sha256::digest(line)) {
            return Err(torn());
        }
        #[derive(Deserialize)]
        struct Head {
            magic: String,
            format: u64,
        }
        let head: Head = serde_json::from_str(line).map_err(|_| torn())?;
        if head.magic != MAGIC {
            return Err(torn());
        }
        if head.format != u64::from(FORMAT) {
            return Err(HistoryError::Format { run: run.to_owned(), found: head.format });
        }
        let batch: Self = serde_json::from_str(line).map_err(|_| torn())?;
        if batch.run == run && batch.seq == seq { Ok(batch) } else { Err(torn()) }
    }
}

/// All that a journal tells, once it has been found whole.
#[derive(Clone, Debug)]
pub struct History {
    pub run: String,
    pub entries: Vec<Entry>,
    /// When its first and its last object were written, in real time.
    pub first_written: Timestamp,
    pub last_written: Timestamp,
    pub(super) tail: Tail,
}

impl History {
    /// Which driver has written its end, counted from 1.
    pub fn epoch(&self) -> u64 {
        self.tail.epoch
    }

    /// The time of the last record, if time passes in a simulated AWS: it stands still while nobody drives the run.
    pub fn simulated_time(&self) -> Option<Timestamp> {
        let is_simulated = self
            .entries
            .iter()
            .any(|entry| matches!(&entry.record, Record::RunStarted(started) if started.is_simulated()));
        self.last_time().filter(|_| is_simulated)
    }

    /// The time up to which the journal tells of the run.
    pub fn last_time(&self) -> Option<Timestamp> {
        self.entries.iter().map(|entry| entry.at).max()
    }

    /// Reads the journal of `run`.
    ///
    /// # Errors
    /// If there is none, or if it is not whole.
    pub fn read(store: &Store, run: &str) -> Result<Self, HistoryError> {
        let mut history: Option<Self> = None;
        let mut tail = Tail::default();
        for key in store.list(&prefix(run))? {
            let number = key.rsplit('/').next().and_then(|name| name.parse::<u64>().ok());
            let wanted = tail.seq + 1;
            match number {
                Some(seq) if seq == wanted => {}
                Some(seq) if seq > wanted => return Err(HistoryError::Gap { run: run.to_owned(), seq: wanted }),
                // Not of a journal.
                _ => continue,
            }
            let bytes = store.get(&key)?.ok_or_else(|| HistoryError::Gap { run: run.to_owned(), seq: wanted })?;
            let batch = Batch::of_bytes(run, wanted, &bytes)?;
            let broken = || HistoryError::Broken { run: run.to_owned(), seq: wanted };
            // A new epoch begins with its fence, and none goes back.
            let fence = batch.records.iter().find_map(|entry| match &entry.record {
                Record::Fence { epoch, .. } => Some(*epoch),
                _ => None,
            });
            let follows = batch.epoch == tail.epoch || (batch.epoch > tail.epoch && fence == Some(batch.epoch));
            if batch.previous != tail.digest || !follows {
                return Err(broken());
            }
            tail = batch.tail_after(&bytes);
            let history = history.get_or_insert_with(|| Self {
                run: run.to_owned(),
                entries: Vec::new(),
                first_written: batch.written,
                last_written: batch.written,
                tail: Tail::default(),
            });
            history.last_written = batch.written;
            history.entries.extend(batch.records);
        }
        let mut history = history.ok_or_else(|| HistoryError::Absent(run.to_owned()))?;
        history.tail = tail;
        Ok(history)
    }

    /// The runs that have a journal, oldest first.
    ///
    /// # Errors
    /// If the store could not be read.
    pub fn runs(store: &Store) -> Result<Vec<String>, StoreError> {
        Ok(store.folders("runs")?.into_iter().collect())
    }
}
