//! A world that begins as a copy of an account, read row by row as far as somebody looks.
//!
//! Handlers know nothing of it. They look at rows through [`Tx`](super::tx::Tx), which notes here what was looked for and
//! is not known yet. Then the handler's changes are dropped, what it wants is read, and it runs again; the same holds
//! for what happens by itself. Rows that were read are rows like any other: filters and pages are worked out on
//! them, whether they were read, changed or made here, and a deleted one stays deleted.
//!
//! What is wanted is a whole kind ([`Extent::Kind`]: the VPCs of a region are one request) or one row ([`Extent::Row`]: a
//! role comes with its policies, a load balancer with its listeners and rules). By row alone, filters could not be
//! worked out here, and live ones know nothing of what was changed.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rpds::RedBlackTreeSetSync;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::AwsError;
use super::kinds;
use super::read::{Live, Reader, Rows, read};
use super::shared::Shared;
use super::tx::{Resource, Scope, Tx};
use super::world::World;

/// How much is read when a row is looked at.
#[derive(Clone, Copy)]
pub enum Extent {
    /// All rows of the region, with everything of them.
    Kind,
    /// The row itself; a list shows all of them, with less of each.
    Row,
    /// It came with another kind's row, `of` names which: a rule with its load balancer. Lists show what has come.
    With { kind: &'static str, of: fn(&str) -> Option<String> },
    /// Nothing: it only tells of what happened.
    Nothing,
}

/// Something of the account that is looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Want {
    pub scope: Scope,
    pub kind: String,
    /// `None`: all rows.
    pub id: Option<String>,
}

impl Want {
    /// The row `id` of `T`.
    pub fn row<T: Resource>(scope: &Scope, id: &str) -> Want {
        Want::of(scope, T::KIND, T::GLOBAL, Some(id.to_owned()))
    }

    /// All rows of `T`.
    pub fn all<T: Resource>(scope: &Scope) -> Want {
        Want::of(scope, T::KIND, T::GLOBAL, None)
    }

    pub fn of(scope: &Scope, kind: &str, global: bool, id: Option<String>) -> Want {
        let scope = if global { scope.home() } else { scope.clone() };
        Want { scope, kind: kind.to_owned(), id }
    }
}

impl fmt::Display for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "{} {id}", self.kind),
            None => write!(f, "all {} rows of {}", self.kind, self.scope.region),
        }
    }
}

/// What is known of the account, and what is missing.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Fork {
    known: RedBlackTreeSetSync<Want>,
    /// Rows that were made here: the account has never heard of them.
    #[serde(default)]
    ours: RefCell<RedBlackTreeSetSync<Want>>,
    /// Copies share it: when a handler is refused, the world before it comes back, and what it looked for stays.
    #[serde(skip)]
    missing: Arc<Mutex<BTreeSet<Want>>>,
    /// Routes that were read, and not looked at yet as to whether they serve.
    #[serde(default)]
    pub(super) new_routes: BTreeSet<String>,
    /// The account as it was read, without what was changed here.
    #[serde(skip)]
    before: Option<Arc<Mutex<World>>>,
    /// All routes that were read.
    #[serde(default)]
    routes: BTreeSet<String>,
    /// Replies of the account that were passed on.
    #[serde(default)]
    passed: Shared<BTreeMap<String, Value>>,
    /// Why something could not be read while nobody asked.
    #[serde(skip)]
    pub(super) failed: Option<AwsError>,
    #[serde(skip)]
    live: Option<Source>,
}

#[derive(Clone)]
struct Source(Arc<dyn Live>);

impl fmt::Debug for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fork({} known)", self.known.size())
    }
}

/// What was looked at while `Tx` was in use.
pub struct Looked<'w> {
    pub(super) fork: &'w Fork,
}

impl Looked<'_> {
    /// Somebody looks at the row `id` of `T`.
    pub fn row<T: Resource>(&self, scope: &Scope, id: &str) {
        if let Some(want) = needed::<T>(scope, id) {
            self.want(want);
        }
    }

    /// Somebody looks at all rows of `T`.
    pub fn all<T: Resource>(&self, scope: &Scope) {
        match T::EXTENT {
            Extent::Kind | Extent::Row => self.want(Want::all::<T>(scope)),
            Extent::With { .. } | Extent::Nothing => {}
        }
    }

    /// The row `id` of `T` is made here.
    pub fn made<T: Resource>(&self, scope: &Scope, id: &str) {
        if let Extent::Row = T::EXTENT {
            self.fork.ours.borrow_mut().insert_mut(Want::row::<T>(scope, id));
        }
    }

    /// Whether all of the row `id` of `T` is known, or that there is none.
    pub fn knows<T: Resource>(&self, scope: &Scope, id: &str) -> bool {
        needed::<T>(scope, id).is_none_or(|want| self.fork.knows(&want))
    }

    fn want(&self, want: Want) {
        if !self.fork.knows(&want) {
            self.fork.missing().insert(want);
        }
    }
}

/// What has to be read for the row `id` of `T`.
fn needed<T: Resource>(scope: &Scope, id: &str) -> Option<Want> {
    match T::EXTENT {
        Extent::Kind => Some(Want::all::<T>(scope)),
        Extent::Row => Some(Want::row::<T>(scope, id)),
        Extent::With { kind, of } => of(id).map(|id| Want::of(scope, kind, T::GLOBAL, Some(id))),
        Extent::Nothing => None,
    }
}

impl Fork {
    /// A fork of the account behind `live`. `before` gets what is read of it, and no changes.
    pub fn new(live: Option<Arc<dyn Live>>, before: World) -> Self {
        Self { live: live.map(Source), before: Some(Arc::new(Mutex::new(before))), ..Self::default() }
    }

    /// What was read of the account.
    pub fn before(&self) -> Option<MutexGuard<'_, World>> {
        Some(self.before.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn knows(&self, want: &Want) -> bool {
        self.known.contains(want) || self.ours.borrow().contains(want)
    }

    fn missing(&self) -> MutexGuard<'_, BTreeSet<Want>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the row `id` would be shown here if nothing had been changed.
    pub fn unchanged<T: Resource>(&self, scope: &Scope, id: &str, view: impl Fn(&T, &Tx) -> Value) -> Option<Value> {
        let mut before = self.before()?;
        let tx = before.tx(scope, "", "");
        T::table(&tx).peek(id).map(|row| view(row, &tx))
    }

    /// What was looked for since the last time and is not known.
    pub fn take_missing(&self) -> BTreeSet<Want> {
        std::mem::take(&mut *self.missing())
    }

    pub fn reader(&self, want: &Want) -> Result<Reader, AwsError> {
        Ok(Reader::new(self.live_for(want)?, want))
    }

    /// The account to ask, or words for that there is none: a world from a file is all there is.
    fn live_for(&self, want: &Want) -> Result<Arc<dyn Live>, AwsError> {
        let live = self.live.clone().ok_or_else(|| {
            let message =
                format!("{want} is not in the file this plan was made from; write a new one with `runner snapshot`");
            AwsError::unanswered("NotInSnapshot", message)
        })?;
        Ok(live.0)
    }

    /// Asks the account itself, for what nothing here changes.
    pub fn pass(
        &mut self,
        scope: &Scope,
        service: &'static str,
        action: &'static str,
        params: &Value,
    ) -> Result<Value, AwsError> {
        let decrypts = params["WithDecryption"].as_bool() == Some(true) || params["WithDecryption"] == "true";
        if decrypts {
            let message =
                format!("a dry run reads no secret values: it does not send {service}:{action} with decryption");
            return Err(AwsError::unanswered("AccessDeniedException", message));
        }
        let key = format!("{}/{} {service}:{action} {params}", scope.account, scope.region);
        if let Some(reply) = self.passed.get(&key) {
            return Ok(reply.clone());
        }
        let want = Want { scope: scope.clone(), kind: format!("{service}:{action}"), id: None };
        let mut reply = self.live_for(&want)?.call(scope, service, action, params)?;
        if let Some(reply) = reply.as_object_mut() {
            // Each reply has one of its own.
            reply.remove("requestId");
        }
        self.passed.own().insert(key, reply.clone());
        Ok(reply)
    }

    /// A fork that comes from a file: nothing was changed in it yet.
    pub fn restored(self, world: &World) -> Self {
        let mut before = world.clone();
        before.fork = Some(Fork::default());
        Self { before: Some(Arc::new(Mutex::new(before))), ..self }
    }

    /// A fork of the same account at the same time, without the changes. It knows what this one has read.
    pub fn again(&self) -> Option<World> {
        let mut world = self.before()?.clone();
        let fork = Self {
            ours: RefCell::default(),
            missing: Arc::default(),
            new_routes: self.routes.clone(),
            failed: None,
            ..self.clone()
        };
        world.fork = Some(Self { before: Some(Arc::new(Mutex::new(self.before()?.clone()))), ..fork });
        Some(world)
    }
}

impl World {
    /// Runs `work` until it has looked at nothing that is not known. What it did before that is dropped.
    pub fn informed<T>(&mut self, mut work: impl FnMut(&mut World) -> T) -> Result<T, AwsError> {
        if self.fork.is_none() {
            return Ok(work(self));
        }
        loop {
            let before = self.clone();
            let result = work(self);
            let missing = self.fork.as_ref().map(Fork::take_missing).unwrap_or_default();
            if missing.is_empty() {
                return Ok(result);
            }
            *self = before;
            self.learn(missing)?;
        }
    }

    fn learn(&mut self, wants: BTreeSet<Want>) -> Result<(), AwsError> {
        let Some(fork) = &self.fork else { return Ok(()) };
        for rows in read(fork, wants)? {
            // What is put in is neither looked at nor made here.
            let Some(mut fork) = self.fork.take() else { return Ok(()) };
            self.put(&rows, |listed| !fork.knows(listed));
            if let Some(before) = &fork.before {
                let mut before = before.lock().unwrap_or_else(PoisonError::into_inner);
                before.put(&rows, |listed| !fork.known.contains(listed));
            }
            fork.routes.extend(rows.routes.iter().cloned());
            fork.new_routes.extend(rows.routes);
            fork.known.insert_mut(rows.want);
            self.fork = Some(fork);
        }
        Ok(())
    }

    fn put(&mut self, rows: &Rows, is_news: impl Fn(&Want) -> bool) {
        let scope = &rows.want.scope;
        // Nothing is furnished: what AWS put there is read like everything else.
        self.accounts.entry(scope.account.clone()).or_default().regions.entry(scope.region.clone()).or_default();
        let mut tx = self.tx(scope, "", "");
        rows.put(&mut tx, is_news);
    }

    /// Reads everything of a region of the account, and of what the account has outside of regions.
    pub fn read_all(&mut self, scope: &Scope) -> Result<(), AwsError> {
        let mut wants: BTreeSet<Want> = kinds::all().map(|kind| kind.all(scope)).collect();
        while !wants.is_empty() {
            self.learn(wants)?;
            let rows: Vec<Want> = kinds::all().flat_map(|kind| kind.rows(&self.tx(scope, "", ""))).collect();
            let unknown = |want: &Want| self.fork.as_ref().is_some_and(|fork| !fork.knows(want));
            wants = rows.into_iter().filter(unknown).collect();
        }
        Ok(())
    }
}

/// Names of other kinds' parents, from ARNs: `…:listener/app/web/1/2` and `…:listener-rule/app/web/1/2/3` belong to
/// `…:loadbalancer/app/web/1`.
pub fn balancer_of(arn: &str) -> Option<String> {
    let (head, rest) = arn.split_once(":listener/").or_else(|| arn.split_once(":listener-rule/"))?;
    let parts: Vec<&str> = rest.split('/').take(3).collect();
    (parts.len() == 3).then(|| format!("{head}:loadbalancer/{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::balancer_of;

    #[test]
    fn listeners_and_rules_belong_to_a_load_balancer() {
        let arn = |what: &str| format!("arn:aws:elasticloadbalancing:eu-west-1:1:{what}");
        assert_eq!(balancer_of(&arn("listener/app/web/1/2")), Some(arn("loadbalancer/app/web/1")));
        assert_eq!(balancer_of(&arn("listener-rule/net/web/1/2/3")), Some(arn("loadbalancer/net/web/1")));
        assert_eq!(balancer_of(&arn("targetgroup/web/1")), None);
    }
}
