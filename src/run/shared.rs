//! Reads that the operations of a run share: what one of them has just read, the next one need not read again.
//!
//! A read is good until something is sent that changes what it is about, and for a minute at most: others work in the same
//! account. What is read to decide whether a step is safe (weights before they move, health, sizes, the end of a wait) is
//! never shared, and nothing is in a rollback, which has to see what is there.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::Ctx;
use crate::{aws::Scope, ops::Error};

/// How long a read is good for.
const GOOD_FOR: Duration = Duration::from_secs(60);

/// A kind of read that can be shared, and what ends it.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The call: `ec2:DescribeSubnets`.
    pub call: &'static str,
    /// Parts of the names of the actions of the same service that may change what it shows: `Subnet`, `Tags`.
    pub changed_by: &'static [&'static str],
}

impl Reading {
    fn is_changed_by(&self, action: &str) -> bool {
        let service = |call: &str| call.split_once(':').map(|(service, _)| service.to_owned());
        service(action) == service(self.call) && self.changed_by.iter().any(|part| action.contains(part))
    }
}

/// Where it is read, what is read, and of what.
type Key = (Option<Scope>, &'static str, String);
type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

/// The reads of a run.
#[derive(Default)]
pub(super) struct SharedReads {
    slots: Mutex<BTreeMap<Key, Slot>>,
    /// The actions that were sent, in their order: before they leave, and again when they are answered.
    sent: Mutex<Vec<&'static str>>,
}

struct Kept {
    found: Arc<dyn Any + Send + Sync>,
    at: Timestamp,
    /// How many actions had been sent when the read began.
    after: usize,
}

impl SharedReads {
    /// Something is sent that changes what is there, or it was answered.
    pub fn sent(&self, action: &'static str) {
        lock(&self.sent).push(action);
    }

    fn so_far(&self) -> usize {
        lock(&self.sent).len()
    }

    fn slot(&self, key: Key) -> Slot {
        lock(&self.slots).entry(key).or_default().clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ctx {
    /// What `read` finds, or has found a moment ago, about `of`. Who asks while somebody reads waits for what that finds.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn shared<T: Clone + Send + Sync + 'static>(
        &self,
        reading: Reading,
        of: &str,
        read: impl AsyncFnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.run.is_rolling_back() {
            return read().await;
        }
        let asked = self.run.shared().so_far();
        let slot = self.slot(reading, of);
        let mut kept = slot.lock().await;
        if let Some(found) = self.good(reading, kept.as_ref(), asked) {
            return Ok(found);
        }
        let after = self.run.shared().so_far();
        let found = read().await?;
        *kept = Some(Kept { found: Arc::new(found.clone()), at: self.now(), after });
        Ok(found)
    }

    /// What was read about `of`, if that is still good. Reads nothing.
    pub async fn known<T: Clone + 'static>(&self, reading: Reading, of: &str) -> Option<T> {
        if self.run.is_rolling_back() {
            return None;
        }
        let asked = self.run.shared().so_far();
        let slot = self.slot(reading, of);
        let kept = slot.lock().await;
        self.good(reading, kept.as_ref(), asked)
    }

    fn slot(&self, reading: Reading, of: &str) -> Slot {
        self.run.shared().slot((self.scope.clone(), reading.call, of.to_owned()))
    }

    /// `asked`: how many actions had been sent when it was asked for. What is sent while it is read could not have been
    /// seen by a read of one's own either.
    fn good<T: Clone + 'static>(&self, reading: Reading, kept: Option<&Kept>, asked: usize) -> Option<T> {
        let kept = kept.filter(|kept| self.since(kept.at) < GOOD_FOR)?;
        let changes = |sent: &[&'static str]| sent.iter().any(|action| reading.is_changed_by(action));
        let sent = lock(&self.run.shared().sent);
        if sent.get(kept.after..asked).is_some_and(changes) {
            return None;
        }
        kept.found.downcast_ref::<T>().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::Reading;

    #[test]
    fn a_reading_is_ended_by_what_changes_it() {
        let subnets = Reading { call: "ec2:DescribeSubnets", changed_by: &["Subnet", "Tags"] };
        assert!(subnets.is_changed_by("ec2:ModifySubnetAttribute"));
        assert!(subnets.is_changed_by("ec2:CreateTags"));
        assert!(!subnets.is_changed_by("ec2:CreateVpc"));
        assert!(!subnets.is_changed_by("rds:ModifyDBSubnetGroup"));
    }
}
