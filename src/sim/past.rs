//! The world as it was: what a read sees that is behind.

use std::time::Duration;

use jiff::Timestamp;

use super::world::World;

/// How far behind reads are while they are behind for good: in the end they show every change, as AWS promises.
const BEHIND: Duration = Duration::from_secs(20);

/// The worlds before the last changes, each with the time at which it was changed.
#[derive(Default)]
pub struct Past(Vec<(Timestamp, World)>);

impl Past {
    /// This is about to be changed.
    pub fn keep(&mut self, world: &World) {
        let now = world.now;
        // The last one may be asked for however old it is.
        let last = self.0.len().saturating_sub(1);
        let mut place = 0..;
        self.0.retain(|(changed, _)| place.next() == Some(last) || is_recent(*changed, now));
        self.0.push((now, world.clone()));
    }

    /// The world without the last change; `lasting`: without what was changed of late. None: as it is.
    pub fn seen(&self, now: Timestamp, lasting: bool) -> Option<World> {
        let seen = match lasting {
            false => self.0.last(),
            true => self.0.iter().find(|(changed, _)| is_recent(*changed, now)),
        };
        let mut world = seen?.1.clone();
        world.advance(now);
        Some(world)
    }
}

fn is_recent(changed: Timestamp, now: Timestamp) -> bool {
    now.duration_since(changed).unsigned_abs() < BEHIND
}
