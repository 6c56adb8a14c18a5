//! Looks of waits at things of one kind: who looks for one looks for all that are waited for, and they are answered by it.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    Ctx, Reading, context,
    replay::sharing,
    shared::{Kept, Place},
};
use crate::ops::Error;

/// Who has not looked for so long does not wait any more: three times the longest interval at which waits look.
const WAITS: Duration = Duration::from_secs(45);
/// The place of what waits read.
const LOOKS: &str = "looks";

/// What waits ask about.
#[derive(Default)]
pub(super) struct Looks {
    asked: Mutex<BTreeMap<Place, BTreeMap<String, Asked>>>,
}

/// When a wait has asked, and the operation it is part of.
struct Asked {
    at: Timestamp,
    op: String,
}

impl Looks {
    fn asked(&self) -> MutexGuard<'_, BTreeMap<Place, BTreeMap<String, Asked>>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The operation waits for `id`.
    fn asks(&self, place: &Place, id: &str, asks: Asked) {
        let mut asked = self.asked();
        let ids = asked.entry(place.clone()).or_default();
        ids.retain(|_, before| asks.at.duration_since(before.at).unsigned_abs() < WAITS);
        ids.insert(id.to_owned(), asks);
    }

    /// A wait of the operation has ended. If it has another one, that asks again when it looks.
    pub(super) fn end(&self, op: &str) {
        for ids in self.asked().values_mut() {
            ids.retain(|_, asked| asked.op != op);
        }
    }

    /// `id`, and what others wait for, `most` at a time.
    fn with_others(&self, place: &Place, id: &str, most: usize) -> Vec<String> {
        let asked = self.asked();
        let all: Vec<&String> = asked.get(place).into_iter().flat_map(BTreeMap::keys).collect();
        let own = all.chunks(most).find(|some| some.iter().any(|one| *one == id));
        own.map_or_else(|| vec![id.to_owned()], |some| some.iter().map(|id| (*id).clone()).collect())
    }

    fn forget_others(&self, place: &Place, id: &str) {
        self.asked().entry(place.clone()).or_default().retain(|other, _| other == id);
    }
}

impl Ctx {
    /// What `read` finds of `id`. In a wait it reads for all that wait for something of this kind, `most` at a time: AWS
    /// counts calls, not what they ask about.
    ///
    /// # Errors
    /// Those of `read`. One that may be about another one of them is not this one's.
    pub async fn look<T, F>(
        &self,
        reading: Reading,
        id: &str,
        most: usize,
        read: impl Fn(Vec<String>) -> F,
    ) -> Result<Option<T>, Error>
    where
        T: Clone + Send + Sync + 'static,
        F: Future<Output = Result<BTreeMap<String, T>, Error>>,
    {
        if !context::is_polling() {
            return Ok(sharing(read(vec![id.to_owned()])).await?.remove(id));
        }
        // What other operations send meanwhile is no reason to look again at once: a wait looks every few seconds.
        let (reading, must_see) = (reading.brief(), self.op.must_see.load(Ordering::SeqCst));
        let place = self.place_of(reading, LOOKS);
        self.run.looks().asks(&place, id, Asked { at: self.run_time(), op: self.op.id.clone() });
        // One reads at a time; what it finds is kept for each of them.
        let reads = self.run.shared().slot(place.clone());
        let _reading = reads.lock().await;
        let slot_of = |id: &str| self.run.shared().slot(self.place_of(reading, &format!("{LOOKS} {id}")));
        if let Some(seen) = self.good::<Option<T>>(reading, slot_of(id).lock().await.as_ref(), must_see) {
            return Ok(seen);
        }
        let mut about = self.run.looks().with_others(&place, id, most);
        let after = self.run.shared().so_far();
        let mut found = sharing(read(about.clone())).await;
        if found.is_err() && about.len() > 1 {
            // Some describes fail for all if one is gone.
            self.run.looks().forget_others(&place, id);
            about = vec![id.to_owned()];
            found = sharing(read(about.clone())).await;
        }
        let mut found = found?;
        let own = found.get(id).cloned();
        for id in about {
            let seen = found.remove(&id);
            *slot_of(&id).lock().await = Some(Kept::new(seen, self.run_time(), after));
        }
        Ok(own)
    }
}
