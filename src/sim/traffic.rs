//! The simulated load: a steady stream of requests on every route that serves, counted without simulating one of
//! them.
//!
//! Between two events nothing changes, so the requests of an interval are its length times the share of each
//! [`Stream`]. All numbers are integers and all sums are linear in time: the result does not depend on how an interval
//! is cut, which matters because reads cut it and are not replayed.
//!
//! **What counts.** Load on a route (a listener's default action, or a rule) begins when it first forwards to a
//! healthy target. Routes that serve when a run begins are *promised*: each request on them that is not answered
//! properly fails. Routes that come into service during the run are counted as served; when they stop serving their
//! load ends, as nobody was promised a service yet.
//!
//! **What a server can do.** When a run begins, the servers of a promised route carry its load and half as much again,
//! together, and one of them can be lost. What comes to one of them beyond that fails: so traffic that is led back onto a fleet that has shrunk
//! meanwhile, or on to one that is too small, is seen to fail.
//!
//! A request is counted when it arrives. If the connection is cut while it is under way (the instance is terminated,
//! the target is let go of before it has answered), it moves from served to failed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Requests per second on each route.
pub const RATE: u64 = 50;
/// How long each request takes.
pub const TAKES: Duration = Duration::from_millis(200);
/// All requests of a route; shares are parts of it.
pub const WHOLE: u64 = 1_000_000_000;
/// The share of the requests that come on connections kept alive.
pub const KEPT_ALIVE: u64 = WHOLE / 2;

/// Share times nanoseconds of one request.
const ONE: u64 = WHOLE * (1_000_000_000 / RATE);

/// Requests, as users of the load balancers see them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    pub served: u64,
    pub failed: u64,
    /// Lost with an instance that died: nobody could have saved them.
    #[serde(default)]
    pub died: u64,
}

/// How a route spreads its requests for the time being.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Whether it forwards to a healthy target.
    pub serves: bool,
    pub streams: Vec<Stream>,
}

/// A share of a route's requests that are all answered in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    pub share: u64,
    /// Who answers; `None` is the load balancer itself.
    pub server: Option<Server>,
    /// Whether it is answered properly.
    pub good: bool,
}

/// A target, as requests know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Server {
    pub group: String,
    pub id: String,
    pub port: u16,
}

/// What has been counted, and what must be known for the next interval.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Load {
    /// Routes that served when the run began, by ARN.
    promised: BTreeSet<String>,
    /// What a server of such a route can carry, as a share of its requests.
    #[serde(default)]
    capacity: BTreeMap<String, u64>,
    served: Count,
    failed: Count,
    /// Instances that died by themselves since the run began, and what was lost with them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    dead: BTreeSet<String>,
    #[serde(default)]
    died: Count,
    /// Who was sent requests of late: those may be under way still.
    under_way: Vec<Sent>,
}

/// Whole requests and a part of one, in units of share times nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    whole: u64,
    part: u64,
}

/// A stream in the past.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sent {
    from: Timestamp,
    to: Timestamp,
    route: String,
    server: Server,
    share: u64,
}

impl Spread {
    /// The same when no server can carry more than `most`: what is beyond that is not answered properly.
    fn within(&self, most: u64) -> Spread {
        let mut carried: BTreeMap<&Server, u64> = BTreeMap::new();
        let mut streams = Vec::new();
        for stream in &self.streams {
            let Some(server) = stream.server.as_ref().filter(|_| stream.good) else {
                streams.push(stream.clone());
                continue;
            };
            let carried = carried.entry(server).or_default();
            let share = stream.share.min(most - *carried);
            *carried += share;
            streams.push(Stream { share, ..stream.clone() });
            if share < stream.share {
                streams.push(Stream { share: stream.share - share, good: false, ..stream.clone() });
            }
        }
        Spread { serves: self.serves, streams }
    }
}

impl Load {
    /// What was counted since the run began. A request that failed in part has failed.
    pub fn traffic(&self) -> Traffic {
        let begun = |count: Count| count.whole + u64::from(count.part > 0);
        Traffic { served: self.served.whole, failed: begun(self.failed), died: begun(self.died) }
    }

    /// An instance died by itself.
    pub fn died(&mut self, instance: &str) {
        self.dead.insert(instance.to_owned());
    }

    /// Where failures on this server are counted.
    fn failures(&mut self, server: Option<&Server>) -> &mut Count {
        match server {
            Some(server) if self.dead.contains(&server.id) => &mut self.died,
            Some(_) | None => &mut self.failed,
        }
    }

    /// A run begins: counted anew, against the routes that serve now.
    pub fn begin_run(&mut self, routes: &BTreeMap<String, Spread>) {
        let before = std::mem::take(self).capacity;
        for (route, spread) in routes.iter().filter(|(_, spread)| spread.serves) {
            self.promise(route, spread);
            let groups: BTreeSet<_> =
                spread.streams.iter().filter_map(|stream| Some(&stream.server.as_ref()?.group)).collect();
            // In the middle of a shift each group has a part: what its servers have carried before, they can carry still.
            if let (true, Some(most)) = (groups.len() > 1, before.get(route)) {
                self.capacity.entry(route.clone()).and_modify(|now| *now = (*now).max(*most));
            }
        }
    }

    /// A route that served when the run began, as is learned only now.
    pub fn promise(&mut self, route: &str, spread: &Spread) {
        // By group: its share of the requests, and its servers.
        let mut groups: BTreeMap<&str, (u64, BTreeSet<&Server>)> = BTreeMap::new();
        for stream in spread.streams.iter().filter(|stream| stream.good) {
            let Some(server) = &stream.server else { continue };
            let (share, servers) = groups.entry(&server.group).or_default();
            *share += stream.share;
            servers.insert(server);
        }
        let most = groups.values().map(|(share, servers)| {
            let servers = servers.len() as u64;
            (share * 3 / 2 / servers).max(share / (servers - 1).max(1))
        });
        if let Some(most) = most.max() {
            self.capacity.insert(route.to_owned(), most);
        }
        self.promised.insert(route.to_owned());
    }

    /// The routes whose requests count even if they are gone.
    pub fn promised(&self) -> impl Iterator<Item = &str> {
        self.promised.iter().map(String::as_str)
    }

    /// Who may have requests under way, with their routes.
    pub fn under_way(&self) -> impl Iterator<Item = (&str, &Server)> {
        self.under_way.iter().map(|sent| (sent.route.as_str(), &sent.server))
    }

    /// Time passed from `from` to `to` while the routes spread their requests like this. `cut` says whose connections
    /// were cut at `from`.
    pub fn elapse(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        routes: &BTreeMap<String, Spread>,
        cut: &BTreeSet<(String, Server)>,
    ) {
        self.cut(from, cut);
        let time = nanoseconds(from, to);
        let gone = self.promised.iter().filter(|route| !routes.contains_key(*route)).count();
        self.failed.add(u128::from(WHOLE) * time * gone as u128);
        for (route, spread) in routes {
            let promised = self.promised.contains(route);
            if !promised && !spread.serves {
                continue;
            }
            let spare = spread.within(self.capacity.get(route).copied().unwrap_or(u64::MAX));
            for stream in &spare.streams {
                let units = u128::from(stream.share) * time;
                match (stream.good, promised) {
                    (true, _) => self.served.add(units),
                    (false, true) => self.failures(stream.server.as_ref()).add(units),
                    (false, false) => {}
                }
                if let (true, Some(server)) = (stream.good, &stream.server) {
                    self.send(from, to, route, server, stream.share);
                }
            }
        }
        self.under_way.retain(|sent| sent.to + TAKES > to);
    }

    /// Keeps what was sent; a stream that only goes on is one with what it was.
    fn send(&mut self, from: Timestamp, to: Timestamp, route: &str, server: &Server, share: u64) {
        let goes_on =
            |sent: &&mut Sent| sent.to == from && sent.share == share && sent.route == route && sent.server == *server;
        match self.under_way.iter_mut().find(goes_on) {
            Some(sent) => sent.to = to,
            None => {
                let (route, server) = (route.to_owned(), server.clone());
                self.under_way.push(Sent { from, to, route, server, share });
            }
        }
    }

    /// What is under way at `now` on these servers comes to nothing.
    fn cut(&mut self, now: Timestamp, cut: &BTreeSet<(String, Server)>) {
        if cut.is_empty() {
            return;
        }
        for sent in std::mem::take(&mut self.under_way) {
            if !cut.contains(&(sent.route.clone(), sent.server.clone())) {
                self.under_way.push(sent);
                continue;
            }
            let units = u128::from(sent.share) * nanoseconds(sent.from.max(now - TAKES), sent.to);
            self.served.take(units);
            if self.promised.contains(&sent.route) {
                self.failures(Some(&sent.server)).add(units);
            }
        }
    }
}

fn nanoseconds(from: Timestamp, to: Timestamp) -> u128 {
    u128::try_from(to.duration_since(from).as_nanos()).unwrap_or_default()
}

impl Count {
    fn units(self) -> u128 {
        u128::from(self.whole) * u128::from(ONE) + u128::from(self.part)
    }

    fn set(&mut self, units: u128) {
        let one = u128::from(ONE);
        self.whole = u64::try_from(units / one).unwrap_or(u64::MAX);
        self.part = u64::try_from(units % one).unwrap_or_default();
    }

    fn add(&mut self, units: u128) {
        self.set(self.units() + units);
    }

    fn take(&mut self, units: u128) {
        self.set(self.units().saturating_sub(units));
    }
}

#[cfg(test)]
#[path = "traffic_tests.rs"]
mod tests;
