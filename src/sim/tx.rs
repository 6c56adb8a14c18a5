//! What a handler works with: one account and region of the world, the time, fresh ids, and the queue of events.
//!
//! A handler that returns an error leaves no trace, whatever it changed before: `World::attempt` sees to that.

use std::time::Duration;

use jiff::Timestamp;
use rpds::RedBlackTreeMapSync;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ec2::{OwnImage, Vpc};
use super::error::{AwsError, Reply};
use super::fork::{Extent, Looked};
use super::overlay::AsRead;
use super::service;
use super::shared::Shared;
use super::table::{Lag, Table, mix};
use super::wire::Params;
use super::world::{Event, Global, Queue, Region, Settings};

/// Whose resources, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    pub account: String,
    pub region: String,
}

impl Scope {
    /// The account and region an ARN names.
    pub fn of(arn: &str) -> Option<Scope> {
        let mut parts = arn.split(':').skip(3);
        let (region, account) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        Some(Scope { account, region })
    }
}

impl Scope {
    /// Where the account's own things are asked for, those outside of regions.
    pub fn home(&self) -> Scope {
        let region = match partition(&self.region) {
            "aws-cn" => "cn-northwest-1",
            "aws-us-gov" => "us-gov-west-1",
            _ => "us-east-1",
        };
        Scope { account: self.account.clone(), region: region.to_owned() }
    }
}

pub struct Tx<'w> {
    pub scope: &'w Scope,
    /// What is being run: error messages name it. Empty while an event is being handled.
    pub service: &'w str,
    pub action: &'w str,
    pub now: Timestamp,
    /// What the region holds, by service.
    pub region: &'w mut Region,
    /// What the account holds outside of regions: IAM, Route 53.
    pub global: &'w mut Global,
    /// The other regions that were used, by name: what belongs to the account may refer to what is there.
    pub(super) elsewhere: Vec<(&'w str, &'w Region)>,
    pub(super) ids: &'w mut Ids,
    pub(super) queue: &'w mut Queue,
    pub(super) tokens: &'w mut Tokens,
    pub(super) lag: Lag,
    pub settings: &'w Settings,
    /// Where it is noted what was looked at, in a fork of an account.
    pub(super) looked: Option<Looked<'w>>,
}

/// A kind of row: where its table is, and what AWS says when a row is not there. `resource!` writes it.
pub trait Resource: Clone + Sized + 'static {
    /// The name of the type: of a kind of row in [`Want`](super::fork::Want).
    const KIND: &'static str;
    /// How much of a forked account is read when somebody looks at a row.
    const EXTENT: Extent;
    /// Whether it belongs to the account, not to a region.
    const GLOBAL: bool;
    fn id(&self) -> &str;
    fn absent(id: &str) -> AwsError;
    fn table<'t>(tx: &'t Tx<'_>) -> &'t Table<Self>;
    fn table_mut<'t>(tx: &'t mut Tx<'_>) -> &'t mut Table<Self>;
}

/// `resource!(Vpc, id, region.ec2.vpcs, Extent::Kind, absent)`: the row type, the field with its key, its table in
/// [`Tx`], how much of it is read in a fork, and a `fn(&str) -> AwsError` for an id that is not there.
macro_rules! resource {
    ($type:ty, $key:ident, $($table:ident).+, $extent:expr, $absent:expr) => {
        impl $crate::sim::tx::Resource for $type {
            const KIND: &'static str = stringify!($type);
            const EXTENT: $crate::sim::fork::Extent = $extent;
            const GLOBAL: bool = stringify!($($table).+).as_bytes()[0] == b'g';
            #[allow(clippy::misnamed_getters, reason = "IAM's rows have an id, and are found by their name")]
            fn id(&self) -> &str {
                &self.$key
            }
            fn absent(id: &str) -> $crate::sim::error::AwsError {
                ($absent)(id)
            }
            fn table<'t>(tx: &'t $crate::sim::tx::Tx<'_>) -> &'t $crate::sim::table::Table<Self> {
                &tx.$($table).+
            }
            fn table_mut<'t>(tx: &'t mut $crate::sim::tx::Tx<'_>) -> &'t mut $crate::sim::table::Table<Self> {
                &mut tx.$($table).+
            }
        }
    };
}
pub(crate) use resource;

impl Tx<'_> {
    /// The row of that id, or AWS's error. A caller may not find a row that was just made; what happens by itself sees what
    /// is there.
    pub fn get<T: Resource>(&self, id: &str) -> Result<&T, AwsError> {
        self.look_at::<T>(id);
        let table = T::table(self);
        let found = if self.action.is_empty() { table.peek(id) } else { table.get(id, self.now) };
        found.ok_or_else(|| T::absent(id))
    }

    /// A row to be changed. One that was read from an account and is not fully understood is refused, by name.
    pub fn get_mut<T: Resource>(&mut self, id: &str) -> Result<&mut T, AwsError> {
        self.look_at::<T>(id);
        if !self.action.is_empty() && !service::reads(self.action) {
            self.check_modelled::<T>(id)?;
        }
        let now = self.now;
        T::table_mut(self).get_mut(id, now).ok_or_else(|| T::absent(id))
    }

    /// The row as it is, without lag: for events and dependency checks.
    pub fn peek<T: Resource>(&self, id: &str) -> Option<&T> {
        self.look_at::<T>(id);
        T::table(self).peek(id)
    }

    pub fn peek_mut<T: Resource>(&mut self, id: &str) -> Option<&mut T> {
        self.look_at::<T>(id);
        T::table_mut(self).peek_mut(id)
    }

    /// All rows as they are, without lag: for events and dependency checks.
    pub fn all<T: Resource>(&self) -> impl Iterator<Item = &T> {
        self.look_at_all::<T>();
        T::table(self).all()
    }

    /// The first row of which `is_it` holds, as it is.
    pub fn find_mut<T: Resource>(&mut self, is_it: impl Fn(&T) -> bool) -> Option<&mut T> {
        let id = self.all::<T>().find(|row| is_it(row))?.id().to_owned();
        T::table_mut(self).peek_mut(&id)
    }

    /// Changes each row of which `is_it` holds, as it is.
    pub fn change_each<T: Resource>(&mut self, is_it: impl Fn(&T) -> bool, change: impl Fn(&mut T)) {
        let found = self.all::<T>().filter(|row| is_it(row));
        for id in found.map(|row| row.id().to_owned()).collect::<Vec<_>>() {
            if let Some(row) = T::table_mut(self).peek_mut(&id) {
                change(row);
            }
        }
    }

    /// The rows a describe shows: all, or those of `ids`, of which each must be there.
    pub fn select<T: Resource>(&self, ids: &[&str]) -> Result<Vec<&T>, AwsError> {
        let table = T::table(self);
        if ids.is_empty() {
            self.look_at_all::<T>();
            return Ok(table.list(self.now).collect());
        }
        ids.iter().for_each(|id| self.look_at::<T>(id));
        ids.iter().map(|id| table.listed(id, self.now).ok_or_else(|| T::absent(id))).collect()
    }

    /// The rows of `ids` that are there, as a describe shows them that leaves out what is not.
    pub fn select_some<T: Resource>(&self, ids: &[&str]) -> Vec<&T> {
        ids.iter().for_each(|id| self.look_at::<T>(id));
        ids.iter().filter_map(|id| T::table(self).listed(id, self.now)).collect()
    }

    /// A VPC of this account in any region, as it is: those of private hosted zones may be in another one.
    pub fn vpc_in(&self, region: &str, id: &str) -> Option<&Vpc> {
        if region == self.scope.region {
            return self.peek::<Vpc>(id);
        }
        if let Some(looked) = &self.looked {
            looked.row::<Vpc>(&Scope { account: self.scope.account.clone(), region: region.to_owned() }, id);
        }
        let (_, elsewhere) = self.elsewhere.iter().find(|(name, _)| *name == region)?;
        elsewhere.ec2.vpc(id)
    }

    /// An image that this account has made in any region, as it is.
    pub fn own_image_in(&self, region: &str, id: &str) -> Option<&OwnImage> {
        if region == self.scope.region {
            return self.peek::<OwnImage>(id);
        }
        if let Some(looked) = &self.looked {
            looked.row::<OwnImage>(&Scope { account: self.scope.account.clone(), region: region.to_owned() }, id);
        }
        let (_, elsewhere) = self.elsewhere.iter().find(|(name, _)| *name == region)?;
        elsewhere.ec2.own_image(id)
    }

    /// What is known of a row, without reading it.
    pub fn glance<T: Resource>(&self, id: &str) -> Option<&T> {
        T::table(self).peek(id)
    }

    /// Adds a row. A row that is there already is changed through `get_mut`.
    pub fn put<T: Resource>(&mut self, row: T) {
        let (now, lag, id) = (self.now, self.lag, row.id().to_owned());
        if let Some(looked) = &self.looked {
            looked.made::<T>(self.scope, &id);
        }
        T::table_mut(self).insert(&id, row, now, lag);
    }

    /// Adds a row that every read finds at once: where a service documents no delay.
    pub fn put_at_once<T: Resource>(&mut self, row: T) {
        let lag = self.lag;
        self.lag.on = false;
        self.put(row);
        self.lag = lag;
    }

    /// Deletes a row that no read finds any more: where a service documents no delay.
    pub fn delete_at_once<T: Resource>(&mut self, id: &str) {
        let lag = self.lag;
        self.lag.on = false;
        self.delete::<T>(id);
        self.lag = lag;
    }

    pub fn delete<T: Resource>(&mut self, id: &str) {
        self.look_at::<T>(id);
        let (now, lag) = (self.now, self.lag);
        T::table_mut(self).remove(id, now, lag);
    }

    /// Puts a row in that was read from a forked account.
    pub fn import<T: Resource>(&mut self, row: T, read: Option<Shared<AsRead>>) {
        let id = row.id().to_owned();
        T::table_mut(self).import(&id, row, read);
    }

    /// A row as a reply shows it, `view` by itself: what is not modelled of a row that was read is shown as the account
    /// showed it.
    pub fn shown<T: Resource>(&self, row: &T, view: impl Fn(&T, &Tx) -> Value) -> Value {
        let now = view(row, self);
        let (Some(read), Some(looked)) = (T::table(self).as_read(row.id()), &self.looked) else { return now };
        match looked.fork.unchanged(self.scope, row.id(), view) {
            Some(unchanged) => read.merged(&unchanged, now),
            None => now,
        }
    }

    pub(super) fn check_modelled<T: Resource>(&self, id: &str) -> Result<(), AwsError> {
        let unmodelled = T::table(self).as_read(id).and_then(|read| read.unmodelled.as_deref());
        unmodelled.map_or(Ok(()), |what| {
            let action = format!("{}:{}", self.service, self.action);
            let message = format!("the simulator does not model {what}, so {action} cannot be tried on {id}");
            Err(AwsError::unanswered("UnsupportedOperation", message))
        })
    }

    /// Whether this world is a fork of an account.
    pub fn is_fork(&self) -> bool {
        self.looked.is_some()
    }

    /// Whether all of a row is known, or that there is none: not always so in a fork.
    pub fn is_known<T: Resource>(&self, id: &str) -> bool {
        self.looked.as_ref().is_none_or(|looked| looked.knows::<T>(self.scope, id))
    }

    fn look_at<T: Resource>(&self, id: &str) {
        if let Some(looked) = &self.looked {
            looked.row::<T>(self.scope, id);
        }
    }

    fn look_at_all<T: Resource>(&self) {
        if let Some(looked) = &self.looked {
            looked.all::<T>(self.scope);
        }
    }

    /// `vpc-00000000000000001`: the world counts.
    pub fn new_id(&mut self, prefix: &str) -> String {
        self.ids.next(prefix)
    }

    /// `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`
    pub fn arn(&self, service: &str, resource: &str) -> String {
        let Scope { account, region } = self.scope;
        format!("arn:{}:{service}:{region}:{account}:{resource}", partition(region))
    }

    /// An ARN without a region: IAM, Route 53.
    pub fn global_arn(&self, service: &str, resource: &str) -> String {
        let Scope { account, region } = self.scope;
        format!("arn:{}:{service}::{account}:{resource}", partition(region))
    }

    /// Has `event` happen in this account and region, `after` from now.
    pub fn schedule(&mut self, after: Duration, event: impl Into<Event>) {
        self.queue.push(self.now + after, self.scope.clone(), event.into());
    }

    /// Has `event` happen at once in another region of this account.
    pub fn schedule_in(&mut self, region: &str, event: impl Into<Event>) {
        let scope = Scope { region: region.to_owned(), ..self.scope.clone() };
        self.queue.push(self.now, scope, event.into());
    }

    /// What is left of something that takes `whole` and began at `since`: a second at least.
    pub fn left(&self, since: Timestamp, whole: Duration) -> Duration {
        let passed = Duration::try_from(self.now.duration_since(since)).unwrap_or_default();
        whole.saturating_sub(passed).max(Duration::from_secs(1))
    }

    /// A time of this world's between two bounds: the same for the same `what`, whenever it is asked for.
    pub fn between(&self, what: &str, low: Duration, high: Duration) -> Duration {
        let salt = what.bytes().fold(mix(self.lag.seed), |salt, byte| mix(salt ^ u64::from(byte)));
        let span = high.saturating_sub(low).as_millis().max(1) as u64;
        low + Duration::from_millis(salt % span)
    }

    /// Runs `make` once per client token: the same token again gets the first reply, with other parameters an error.
    /// `life` is how long the service remembers tokens.
    pub fn once(
        &mut self,
        params: &Params,
        token: &str,
        life: Duration,
        make: impl FnOnce(&mut Self) -> Reply,
    ) -> Reply {
        let Some(value) = params.opt_str(token) else {
            return make(self);
        };
        let key = format!("{}/{}/{}/{value}", self.scope.account, self.scope.region, self.action);
        let now = self.now;
        if let Some(known) = self.tokens.get(&key).filter(|known| now < known.until) {
            if known.params == *params {
                return Ok(known.reply.clone());
            }
            // Message as EC2 words it.
            let message =
                "The client token you have provided is associated with a resource that has different parameters";
            return Err(AwsError::new("IdempotentParameterMismatch", message));
        }
        let reply = make(self)?;
        let is_over = |(_, known): &(&String, &Token)| now >= known.until;
        for over in self.tokens.iter().filter(is_over).map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.tokens.remove_mut(&over);
        }
        self.tokens.insert_mut(key, Token { params: params.clone(), reply: reply.clone(), until: now + life });
        Ok(reply)
    }
}

pub type Tokens = RedBlackTreeMapSync<String, Token>;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Token {
    params: Params,
    reply: Value,
    until: Timestamp,
}

/// Counts ids: nine fixed digits and a counter in EC2's 17 hexadecimal digits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ids {
    pub(super) family: String,
    pub(super) next: u64,
}

impl Ids {
    pub fn new(family: u64) -> Ids {
        Ids { family: format!("{:09x}", family & 0xf_ffff_ffff), next: 0 }
    }

    pub fn next(&mut self, prefix: &str) -> String {
        self.next += 1;
        format!("{prefix}-{}{:08x}", self.family, self.next)
    }
}

pub fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
