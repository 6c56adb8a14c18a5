//! Rows of one kind, with AWS's eventual consistency: what was just made is not found by some reads for a moment, what
//! was just deleted still shows in some lists.
//!
//! EC2 documents the first ("Eventual consistency in the Amazon EC2 API": an ID may answer `Invalid….NotFound` after
//! its creation, and a good describe does not mean the next call finds it). Reads inside the window therefore flip a
//! coin, one that the world's seed, the row and the time of the read decide.
//!
//! Copies of a table share its rows, and go on sharing all but those that are changed: a world is copied before every
//! change, to have it back if the change is refused.

use std::time::Duration;

use jiff::Timestamp;
use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Serialize};

use super::overlay::AsRead;
use super::shared::Shared;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Table<T> {
    rows: RedBlackTreeMapSync<String, Row<T>>,
}

/// A value, and how well it is known. `observe` knows rows by these two names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row<T> {
    row: T,
    seen: Seen,
    /// How a forked account showed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read: Option<Shared<AsRead>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// From here on every read finds the row.
    visible_from: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deleted_at: Option<Timestamp>,
    /// Until here some lists still show the deleted row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lingers_until: Option<Timestamp>,
    salt: u64,
}

/// The longest a row stays unseen after its creation, or seen after its deletion.
const LONGEST: Duration = Duration::from_millis(1500);

/// How far behind reads are in this world.
#[derive(Clone, Copy, Debug)]
pub struct Lag {
    pub on: bool,
    pub seed: u64,
}

impl Lag {
    fn salt(self, id: &str) -> u64 {
        id.bytes().fold(mix(self.seed), |salt, byte| mix(salt ^ u64::from(byte)))
    }

    fn delay(self, salt: u64) -> Duration {
        if self.on { Duration::from_millis(mix(salt) % LONGEST.as_millis() as u64) } else { Duration::ZERO }
    }
}

impl Seen {
    fn to_lookup(&self, now: Timestamp) -> bool {
        self.deleted_at.is_none() && (now >= self.visible_from || self.coin(now, 0))
    }

    fn to_list(&self, now: Timestamp) -> bool {
        match self.lingers_until {
            None => now >= self.visible_from || self.coin(now, 1),
            Some(until) => now < until && self.coin(now, 1),
        }
    }

    fn coin(&self, now: Timestamp, reader: u64) -> bool {
        mix(self.salt ^ mix(now.as_microsecond() as u64 ^ reader)) & 1 == 0
    }
}

impl<T: Clone> Table<T> {
    /// The row as a call that names it finds it now.
    pub fn get(&self, id: &str, now: Timestamp) -> Option<&T> {
        self.rows.get(id).filter(|row| row.seen.to_lookup(now)).map(|row| &row.row)
    }

    pub fn get_mut(&mut self, id: &str, now: Timestamp) -> Option<&mut T> {
        self.rows.get_mut(id).filter(|row| row.seen.to_lookup(now)).map(|row| &mut row.row)
    }

    /// The rows as a list shows them now, in the order of their creation.
    pub fn list(&self, now: Timestamp) -> impl Iterator<Item = &T> {
        self.rows.values().filter(move |row| row.seen.to_list(now)).map(|row| &row.row)
    }

    /// One row as a describe that names it shows it now.
    pub fn listed(&self, id: &str, now: Timestamp) -> Option<&T> {
        self.rows.get(id).filter(|row| row.seen.to_list(now)).map(|row| &row.row)
    }

    /// The row as it is, whatever reads see: for events and for AWS's own dependency checks.
    pub fn peek(&self, id: &str) -> Option<&T> {
        self.rows.get(id).filter(|row| row.seen.deleted_at.is_none()).map(|row| &row.row)
    }

    pub fn peek_mut(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(id).filter(|row| row.seen.deleted_at.is_none()).map(|row| &mut row.row)
    }

    /// All rows as they are.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.rows.values().filter(|row| row.seen.deleted_at.is_none()).map(|row| &row.row)
    }

    pub fn insert(&mut self, id: &str, row: T, now: Timestamp, lag: Lag) {
        self.forget(now);
        let salt = lag.salt(id);
        let seen = Seen { visible_from: now + lag.delay(salt), deleted_at: None, lingers_until: None, salt };
        self.rows.insert_mut(id.to_owned(), Row { row, seen, read: None });
    }

    /// Puts a row in that has been there for long, as an account showed it.
    pub fn import(&mut self, id: &str, row: T, read: Option<Shared<AsRead>>) {
        let seen = Seen { visible_from: Timestamp::MIN, deleted_at: None, lingers_until: None, salt: 0 };
        self.rows.insert_mut(id.to_owned(), Row { row, seen, read });
    }

    /// How an account showed the row, if it was read from one.
    pub fn as_read(&self, id: &str) -> Option<&AsRead> {
        self.rows.get(id)?.read.as_deref()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn remove(&mut self, id: &str, now: Timestamp, lag: Lag) {
        self.forget(now);
        if let Some(row) = self.rows.get_mut(id) {
            row.seen.deleted_at = Some(now);
            row.seen.lingers_until = Some(now + lag.delay(mix(row.seen.salt)));
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let is_over = |row: &Row<T>| row.seen.lingers_until.is_some_and(|until| now >= until);
        let over: Vec<String> = self.rows.iter().filter(|(_, row)| is_over(row)).map(|(id, _)| id.clone()).collect();
        for id in over {
            self.rows.remove_mut(&id);
        }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Table<T> {
        Table { rows: RedBlackTreeMapSync::default() }
    }
}

/// SplitMix64, the finaliser: the same numbers on every machine and in every version.
pub fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
