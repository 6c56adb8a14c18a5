//! The state of the simulated AWS, and how it moves through time: from event to event, in order, constant in between.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::acm;
use super::ec2;
use super::error::AwsError;
use super::iam;
use super::route53;
use super::table::{Lag, mix};
use super::tx::{Ids, Scope, Tokens, Tx};

/// Of the serialised form. A snapshot of a newer version is refused; fields that are added get a default instead of a
/// new version.
pub const VERSION: u32 = 1;

/// Where a new world's time stands: 1 January 2026, 00:00 UTC. No wall clock: the same requests get the same bytes.
const BEGINNING: i64 = 1_767_225_600;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct World {
    pub version: u32,
    pub id: String,
    pub seed: u64,
    pub now: Timestamp,
    ids: Ids,
    /// Requests answered: request ids are made of it.
    pub requests: u64,
    /// Entries of the log that are in here already.
    pub logged: u64,
    pub settings: Settings,
    pub accounts: BTreeMap<String, Account>,
    queue: Queue,
    tokens: Tokens,
    pub traffic: Traffic,
}

/// How this AWS behaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Eventual consistency, see `table`.
    pub lag: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { lag: true }
    }
}

/// Requests of users that load balancers served, and those they failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    pub served: u64,
    pub failed: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Account {
    pub global: Global,
    pub regions: BTreeMap<String, Region>,
}

/// What an account has outside of regions: one field per service.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Global {
    pub iam: iam::Iam,
    pub route53: route53::Route53,
}

/// What an account has in one region: one field per service.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Region {
    pub acm: acm::Acm,
    pub ec2: ec2::Ec2,
}

/// What happens by itself: one variant per service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    Acm(acm::Event),
    Ec2(ec2::Event),
    Route53(route53::Event),
}

impl Event {
    fn happen(self, tx: &mut Tx) {
        match self {
            Event::Acm(event) => event.happen(tx),
            Event::Ec2(event) => event.happen(tx),
            Event::Route53(event) => event.happen(tx),
        }
    }
}

impl World {
    pub fn new(id: String, seed: u64) -> World {
        World {
            version: VERSION,
            id,
            seed,
            now: Timestamp::constant(BEGINNING, 0),
            ids: Ids::new(0),
            requests: 0,
            logged: 0,
            settings: Settings::default(),
            accounts: BTreeMap::new(),
            queue: Queue::default(),
            tokens: Tokens::new(),
            traffic: Traffic::default(),
        }
    }

    /// One account and region, for one action. A region that was never used gets what AWS puts into every region.
    pub fn tx<'w>(&'w mut self, scope: &'w Scope, service: &'w str, action: &'w str) -> Tx<'w> {
        let account = self.accounts.entry(scope.account.clone()).or_default();
        let region = account.regions.entry(scope.region.clone()).or_insert_with(|| Region::pristine(scope));
        Tx {
            scope,
            service,
            action,
            now: self.now,
            region,
            global: &mut account.global,
            ids: &mut self.ids,
            queue: &mut self.queue,
            tokens: &mut self.tokens,
            lag: Lag { on: self.settings.lag, seed: self.seed },
        }
    }

    /// Runs `change`; if it is refused, nothing of it stays.
    pub fn attempt<T>(&mut self, change: impl FnOnce(&mut World) -> Result<T, AwsError>) -> Result<T, AwsError> {
        let before = self.clone();
        change(self).inspect_err(|_| *self = before)
    }

    /// Lets time pass up to `to`. Time never goes back.
    pub fn advance(&mut self, to: Timestamp) {
        while let Some(due) = self.queue.pop_until(to) {
            self.elapse(due.at);
            due.event.happen(&mut self.tx(&due.scope, "", ""));
        }
        self.elapse(to);
    }

    /// Time passes and nothing changes: what is summed over time (traffic) is summed here.
    fn elapse(&mut self, to: Timestamp) {
        if to > self.now {
            // Load balancing adds the traffic of the interval self.now..to here. The sum must not depend on how an
            // interval is cut: reads cut it too, and they are not replayed.
            self.now = to;
        }
    }

    /// A run begins: traffic is counted from here. Load balancing notes the routes that serve now, the promised ones.
    pub fn begin_run(&mut self) {
        self.traffic = Traffic::default();
    }
}

impl Region {
    /// A region as every account has it from the start. Its ids depend on account and region alone, not on when the
    /// region was first used.
    pub fn pristine(scope: &Scope) -> Region {
        let name = format!("{}/{}", scope.account, scope.region);
        let family = name.bytes().fold(1, |family, byte| mix(family ^ u64::from(byte))) | 0x8_0000_0000;
        let mut region = Region::default();
        ec2::furnish(&mut Tx {
            scope,
            service: "",
            action: "",
            now: Timestamp::UNIX_EPOCH,
            region: &mut region,
            global: &mut Global::default(),
            ids: &mut Ids::new(family),
            queue: &mut Queue::default(),
            tokens: &mut Tokens::new(),
            lag: Lag { on: false, seed: 0 },
        });
        region
    }
}

/// Events to come, the next one first; of one time in the order they were scheduled.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Queue {
    due: Vec<Due>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Due {
    at: Timestamp,
    scope: Scope,
    event: Event,
}

impl Queue {
    pub fn push(&mut self, at: Timestamp, scope: Scope, event: Event) {
        let place = self.due.partition_point(|due| due.at <= at);
        self.due.insert(place, Due { at, scope, event });
    }

    fn pop_until(&mut self, to: Timestamp) -> Option<Due> {
        self.due.first().is_some_and(|due| due.at <= to).then(|| self.due.remove(0))
    }
}
