//! The state of the simulated AWS, and how it moves through time: from event to event, in order, constant in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::acm;
use super::application_autoscaling;
use super::autoscaling;
use super::cloudwatch;
use super::ec2;
use super::ecr;
use super::ecs;
use super::elbv2;
use super::error::AwsError;
use super::fork::{Fork, Looked};
use super::iam;
use super::logs;
use super::read::Live;
use super::route53;
use super::secretsmanager;
use super::shared::Shared;
use super::sns;
use super::ssm;
use super::table::{Lag, mix};
use super::traffic::{Load, Server, Spread};
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
    #[serde(default)]
    pub load: Load,
    /// What is known of the account this world is a copy of, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<Fork>,
}

/// How this AWS behaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Eventual consistency, see `table`.
    pub lag: bool,
    /// What would happen if: instances that are launched from now on never pass their health check.
    pub never_healthy: bool,
    /// An image that is not known is taken to be there, and to be well.
    pub assume_images: bool,
    /// Until then there is no capacity for new instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short_of_capacity_until: Option<Timestamp>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { lag: true, never_healthy: false, assume_images: false, short_of_capacity_until: None }
    }
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
    pub cloudwatch: cloudwatch::Everywhere,
}

/// What an account has in one region: one field per service.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Region {
    pub autoscaling: autoscaling::AutoScaling,
    pub acm: acm::Acm,
    pub ec2: ec2::Ec2,
    pub elbv2: elbv2::Elbv2,
    pub application_autoscaling: application_autoscaling::ApplicationAutoScaling,
    pub ecr: ecr::Ecr,
    pub ecs: ecs::Ecs,
    pub cloudwatch: cloudwatch::CloudWatch,
    pub logs: logs::Logs,
    pub sns: sns::Sns,
    pub secretsmanager: secretsmanager::SecretsManager,
    pub ssm: ssm::Ssm,
}

/// What happens by itself: one variant per service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    AutoScaling(autoscaling::Event),
    Ec2(ec2::Event),
    Elbv2(elbv2::Event),
    Acm(acm::Event),
    Route53(route53::Event),
    ApplicationAutoScaling(application_autoscaling::Event),
    Ecs(ecs::Event),
    CloudWatch(cloudwatch::Event),
    Sns(sns::Event),
    Ssm(ssm::Event),
    SecretsManager(secretsmanager::Event),
}

impl Event {
    fn happen(self, tx: &mut Tx) {
        match self {
            Event::AutoScaling(event) => event.happen(tx),
            Event::Ec2(event) => event.happen(tx),
            Event::Elbv2(event) => event.happen(tx),
            Event::Acm(event) => event.happen(tx),
            Event::Route53(event) => event.happen(tx),
            Event::ApplicationAutoScaling(event) => event.happen(tx),
            Event::Ecs(event) => event.happen(tx),
            Event::CloudWatch(event) => event.happen(tx),
            Event::Sns(event) => event.happen(tx),
            Event::Ssm(event) => event.happen(tx),
            Event::SecretsManager(event) => event.happen(tx),
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
            tokens: Tokens::default(),
            load: Load::default(),
            fork: None,
        }
    }

    /// One that is read from an account as far as somebody looks, at the time `now`.
    pub fn fork_of(live: Option<Arc<dyn Live>>, now: Timestamp, seed: u64) -> World {
        // No account has ids of this family: what is made in a fork is never taken for what was read.
        let ids = Ids::new(0x7_ffff_ffff);
        let mut before = World { ids, ..World::new("fork".to_owned(), seed) };
        before.now = now;
        before.settings.lag = false;
        // So that nothing is furnished in it.
        before.fork = Some(Fork::default());
        let fork = Fork::new(live, before.clone());
        World { fork: Some(fork), ..before }
    }

    /// One account and region, for one action. A region that was never used gets what AWS puts into every region.
    pub fn tx<'w>(&'w mut self, scope: &'w Scope, service: &'w str, action: &'w str) -> Tx<'w> {
        let account = self.accounts.entry(scope.account.clone()).or_default();
        // Of a forked account, what AWS put there is read like everything else.
        let pristine = || if self.fork.is_some() { Region::default() } else { Region::pristine(scope) };
        account.regions.entry(scope.region.clone()).or_insert_with(pristine);
        let (mut region, mut elsewhere) = (None, Vec::new());
        for (name, held) in &mut account.regions {
            match *name == scope.region {
                true => region = Some(held),
                false => elsewhere.push((name.as_str(), &*held)),
            }
        }
        let region = region.expect("it was put in above");
        Tx {
            scope,
            service,
            action,
            now: self.now,
            region,
            global: &mut account.global,
            elsewhere,
            ids: &mut self.ids,
            queue: &mut self.queue,
            tokens: &mut self.tokens,
            lag: Lag { on: self.settings.lag, seed: self.seed },
            settings: &self.settings,
            looked: self.fork.as_ref().map(|fork| Looked { fork }),
        }
    }

    /// Runs `change`; if it is refused, nothing of it stays but what it looked for: with that, it might not be.
    pub fn attempt<T>(&mut self, change: impl FnOnce(&mut World) -> Result<T, AwsError>) -> Result<T, AwsError> {
        let before = self.clone();
        change(self).inspect_err(|_| *self = before)
    }

    /// When something happens by itself next, if that is before `to`.
    pub fn next_until(&self, to: Timestamp) -> Option<Timestamp> {
        self.queue.next_until(to)
    }

    /// Lets time pass up to `to`. Time never goes back.
    pub fn advance(&mut self, to: Timestamp) {
        while let Some(due) = self.queue.pop_until(to) {
            self.elapse(due.at);
            let happened = self.informed(|world| due.event.clone().happen(&mut world.tx(&due.scope, "", "")));
            if let (Err(error), Some(fork)) = (happened, &mut self.fork) {
                fork.failed.get_or_insert(error);
            }
        }
        self.elapse(to);
    }

    /// Time passes and nothing changes: what is summed over time is summed here.
    fn elapse(&mut self, to: Timestamp) {
        if to > self.now {
            let (routes, cut) = (self.spreads(), self.cut());
            if let Some(fork) = &mut self.fork {
                // Nothing is read only to count requests.
                fork.take_missing();
                // What was read as serving had users when the run began.
                for (route, spread) in routes.iter().filter(|(route, _)| fork.new_routes.remove(*route)) {
                    if spread.serves {
                        self.load.promise(route, spread);
                    }
                }
            }
            self.load.elapse(self.now, to, &routes, &cut);
            self.now = to;
        }
    }

    /// A run begins: traffic is counted from here, against the routes that serve now.
    pub fn begin_run(&mut self) {
        let routes = self.spreads();
        self.load.begin_run(&routes);
    }

    /// How all routes, and those that were promised, spread their requests now.
    fn spreads(&mut self) -> BTreeMap<String, Spread> {
        let mut routes: Vec<String> = self.load.promised().map(str::to_owned).collect();
        for scope in self.scopes() {
            routes.extend(elbv2::spread::routes(&self.tx(&scope, "", "")));
        }
        let spread = |route: String| {
            let scope = Scope::of(&route)?;
            let tx = self.tx(&scope, "", "");
            let known = elbv2::spread::is_known(&tx, &route);
            Some((elbv2::spread::of(&tx, &route).filter(|_| known)?, route))
        };
        routes.into_iter().filter_map(spread).map(|(spread, route)| (route, spread)).collect()
    }

    /// Whose connections with requests under way are cut by now.
    fn cut(&mut self) -> BTreeSet<(String, Server)> {
        let under_way: BTreeSet<(String, Server)> =
            self.load.under_way().map(|(route, server)| (route.to_owned(), server.clone())).collect();
        let is_cut = |(route, server): &(String, Server)| {
            let Some(scope) = Scope::of(route) else { return false };
            elbv2::spread::is_cut(&self.tx(&scope, "", ""), route, server)
        };
        under_way.into_iter().filter(is_cut).collect()
    }

    /// Which ids were given out: the digits all have, and the number of the last.
    pub fn ids(&self) -> (String, u64) {
        (self.ids.family.clone(), self.ids.next)
    }

    /// All Auto Scaling groups as they are now, in the order of their names.
    pub fn fleets(&mut self) -> Vec<autoscaling::Fleet> {
        let scopes = self.scopes();
        let fleets = scopes.iter().flat_map(|scope| autoscaling::fleets(&self.tx(scope, "", ""))).collect();
        if let Some(fork) = &self.fork {
            // Nothing is read only to show it.
            fork.take_missing();
        }
        fleets
    }

    pub fn scopes(&self) -> Vec<Scope> {
        let regions = |(account, row): (&String, &Account)| {
            let scope = |region: &String| Scope { account: account.clone(), region: region.clone() };
            row.regions.keys().map(scope).collect::<Vec<_>>()
        };
        self.accounts.iter().flat_map(regions).collect()
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
            elsewhere: Vec::new(),
            ids: &mut Ids::new(family),
            queue: &mut Queue::default(),
            tokens: &mut Tokens::default(),
            lag: Lag { on: false, seed: 0 },
            settings: &Settings::default(),
            looked: None,
        });
        region
    }
}

/// Events to come, the next one first; of one time in the order they were scheduled.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Queue {
    due: Shared<Vec<Shared<Due>>>,
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
        self.due.own().insert(place, Shared::new(Due { at, scope, event }));
    }

    /// When something happens next, if that is before `to`.
    pub fn next_until(&self, to: Timestamp) -> Option<Timestamp> {
        self.due.first().map(|due| due.at).filter(|at| *at <= to)
    }

    fn pop_until(&mut self, to: Timestamp) -> Option<Shared<Due>> {
        self.due.first().is_some_and(|due| due.at <= to).then(|| self.due.own().remove(0))
    }
}
