//! Reads that the operations of a run share: what one of them has just read, the next one need not read again.
//!
//! A read is good until something is sent that changes what it is about, and for five minutes at most: others work in the
//! same account. What moves by itself, as the sizes of fleets do, is good for seconds: enough for the operations that follow
//! each other in a run that changes nothing. What is read to decide whether a step is safe (weights before they move, health,
//! the end of a wait) is never shared, and nothing is in a rollback, which has to see what is there.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use super::{Ctx, replay::sharing};
use crate::{aws::Scope, ops::Error};

/// How long a read is good for.
const GOOD_FOR: Duration = Duration::from_secs(5 * 60);
/// The same of what moves by itself. A runbook that looks again and again sees what is there.
const GOOD_FOR_MOVING: Duration = Duration::from_secs(5);
/// The same in a wait, which looks every few seconds.
const GOOD_FOR_WAITS: Duration = Duration::from_secs(2);

/// A kind of read that can be shared, and what ends it.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The call: `ec2:DescribeSubnets`.
    pub call: &'static str,
    /// Parts of the names of the actions of the same service that may change what it shows: `Subnet`, `Tags`.
    pub changed_by: &'static [&'static str],
    good_for: Duration,
}

impl Reading {
    pub const fn new(call: &'static str, changed_by: &'static [&'static str]) -> Self {
        Self { call, changed_by, good_for: GOOD_FOR }
    }

    /// What is also changed by AWS itself, or by whoever moves traffic.
    pub const fn moving(self) -> Self {
        Self { good_for: GOOD_FOR_MOVING, ..self }
    }

    /// In a wait: what another one has just seen.
    pub(super) const fn brief(self) -> Self {
        Self { good_for: GOOD_FOR_WAITS, ..self }
    }

    fn is_changed_by(&self, action: &'static str) -> bool {
        let service = |call: &'static str| call.split_once(':').map(|(service, _)| service);
        service(action) == service(self.call) && self.changed_by.iter().any(|part| action.contains(part))
    }
}

/// Where it is read, what is read, and of what.
pub(super) type Place = (Option<Scope>, &'static str, String);
type Slot = Arc<tokio::sync::Mutex<Option<Kept>>>;

/// The reads of a run.
#[derive(Default)]
pub(super) struct SharedReads {
    slots: Mutex<BTreeMap<Place, Slot>>,
    sent: Mutex<Sent>,
}

/// The actions that were sent, counted before they leave, and again when they are answered.
#[derive(Default)]
struct Sent {
    so_far: usize,
    /// How many had been sent before, each time.
    of: BTreeMap<&'static str, Vec<usize>>,
}

impl Sent {
    /// Whether one of which `is_it` holds is among those that were sent after the first `after`, up to the first `until`.
    fn any(&self, after: usize, until: usize, is_it: impl Fn(&'static str) -> bool) -> bool {
        let in_between = |times: &[usize]| {
            let first = times.partition_point(|before| *before < after);
            times.get(first).is_some_and(|before| *before < until)
        };
        self.of.iter().any(|(action, times)| in_between(times) && is_it(action))
    }
}

/// What a read found.
pub(super) struct Kept {
    found: Arc<dyn Any + Send + Sync>,
    at: Timestamp,
    /// How many actions had been sent when the read began.
    after: usize,
}

impl SharedReads {
    /// Something is sent that changes what is there, or it was answered.
    pub fn sent(&self, action: &'static str) {
        let sent = &mut *lock(&self.sent);
        sent.of.entry(action).or_default().push(sent.so_far);
        sent.so_far += 1;
    }

    pub(super) fn so_far(&self) -> usize {
        lock(&self.sent).so_far
    }

    pub(super) fn slot(&self, place: Place) -> Slot {
        lock(&self.slots).entry(place).or_default().clone()
    }
}

impl Kept {
    /// `after`: how many actions had been sent when the read began.
    pub(super) fn new(found: impl Any + Send + Sync, at: Timestamp, after: usize) -> Self {
        Self { found: Arc::new(found), at, after }
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
        // The futures of SDK calls are large, and operations hold many of these.
        let read = Box::pin(sharing(async { read().await }));
        if self.run.is_rolling_back() {
            return read.await;
        }
        let asked = self.run.shared().so_far();
        let slot = self.run.shared().slot(self.place_of(reading, of));
        let mut kept = slot.lock().await;
        if let Some(found) = self.good(reading, kept.as_ref(), asked) {
            return Ok(found);
        }
        let after = self.run.shared().so_far();
        let found = read.await?;
        *kept = Some(Kept::new(found.clone(), self.run_time(), after));
        Ok(found)
    }

    /// What was read about `of`, if that is still good. Reads nothing.
    pub async fn known<T: Clone + 'static>(&self, reading: Reading, of: &str) -> Option<T> {
        if self.run.is_rolling_back() {
            return None;
        }
        let asked = self.run.shared().so_far();
        let slot = self.run.shared().slot(self.place_of(reading, of));
        let kept = slot.lock().await;
        self.good(reading, kept.as_ref(), asked)
    }

    pub(super) fn place_of(&self, reading: Reading, of: &str) -> Place {
        (self.scope.clone(), reading.call, of.to_owned())
    }

    /// `asked`: how many actions had been sent when it was asked for. What is sent while it is read could not have been
    /// seen by a read of one's own either.
    pub(super) fn good<T: Clone + 'static>(&self, reading: Reading, kept: Option<&Kept>, asked: usize) -> Option<T> {
        let kept = kept.filter(|kept| self.age(kept.at) < reading.good_for)?;
        if lock(&self.run.shared().sent).any(kept.after, asked, |action| reading.is_changed_by(action)) {
            return None;
        }
        kept.found.downcast_ref::<T>().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::{Reading, Sent, SharedReads, lock};

    #[test]
    fn what_was_sent_is_found_between_two_moments() {
        let reads = SharedReads::default();
        ["ec2:CreateVpc", "ec2:CreateSubnet", "ec2:CreateVpc"].into_iter().for_each(|action| reads.sent(action));
        let vpc = |sent: &Sent, after, until| sent.any(after, until, |action| action == "ec2:CreateVpc");
        let sent = lock(&reads.sent);
        assert!(vpc(&sent, 0, 1) && vpc(&sent, 1, 3) && vpc(&sent, 2, 3));
        assert!(!vpc(&sent, 1, 2) && !vpc(&sent, 3, 3) && !vpc(&sent, 0, 0));
    }

    #[test]
    fn a_reading_is_ended_by_what_changes_it() {
        let subnets = Reading::new("ec2:DescribeSubnets", &["Subnet", "Tags"]);
        assert!(subnets.is_changed_by("ec2:ModifySubnetAttribute"));
        assert!(subnets.is_changed_by("ec2:CreateTags"));
        assert!(!subnets.is_changed_by("ec2:CreateVpc"));
        assert!(!subnets.is_changed_by("rds:ModifyDBSubnetGroup"));
    }
}
