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
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::AwsError;
use super::kinds;
use super::tx::{Resource, Scope, Tx};
use super::wire::Params;
use super::world::World;

/// The account behind a fork. Only reads are asked of it.
pub trait Live: Send + Sync {
    /// Sends one request, and returns the reply under AWS's names. Blocks.
    ///
    /// # Errors
    /// AWS's own, or why it could not be asked.
    fn call(
        &self,
        scope: &Scope,
        service: &'static str,
        action: &'static str,
        params: &Value,
    ) -> Result<Value, AwsError>;
}

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
    known: BTreeSet<Want>,
    #[serde(skip)]
    missing: RefCell<BTreeSet<Want>>,
    /// Routes that were read, and not looked at yet as to whether they serve.
    #[serde(default)]
    pub(super) new_routes: BTreeSet<String>,
    /// The account as it was read, without what was changed here.
    #[serde(skip)]
    before: Option<Arc<Mutex<World>>>,
    /// Rows of which only what a list shows was read.
    listed: BTreeSet<String>,
    /// All routes that were read.
    routes: BTreeSet<String>,
    /// Replies of the account that were passed on.
    #[serde(default)]
    passed: BTreeMap<String, Value>,
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
        write!(f, "Fork({} known)", self.known.len())
    }
}

/// What was looked at while `Tx` was in use.
pub struct Looked<'w> {
    pub(super) fork: &'w Fork,
}

impl Looked<'_> {
    /// Somebody looks at the row `id` of `T`.
    pub fn row<T: Resource>(&self, scope: &Scope, id: &str) {
        match T::EXTENT {
            Extent::Kind => self.want(scope, T::KIND, T::GLOBAL, None),
            Extent::Row => self.want(scope, T::KIND, T::GLOBAL, Some(id.to_owned())),
            Extent::With { kind, of } => {
                if let Some(id) = of(id) {
                    self.want(scope, kind, T::GLOBAL, Some(id));
                }
            }
            Extent::Nothing => {}
        }
    }

    /// Somebody looks at all rows of `T`.
    pub fn all<T: Resource>(&self, scope: &Scope) {
        match T::EXTENT {
            Extent::Kind | Extent::Row => self.want(scope, T::KIND, T::GLOBAL, None),
            Extent::With { .. } | Extent::Nothing => {}
        }
    }

    fn want(&self, scope: &Scope, kind: &'static str, global: bool, id: Option<String>) {
        let scope = if global { scope.home() } else { scope.clone() };
        let want = Want { scope, kind: kind.to_owned(), id };
        if !self.fork.known.contains(&want) {
            self.fork.missing.borrow_mut().insert(want);
        }
    }
}

impl Fork {
    /// A fork of the account behind `live`. `before` gets what is read of it, and no changes.
    pub fn new(live: Option<Arc<dyn Live>>, before: World) -> Self {
        Self { live: live.map(Source), before: Some(Arc::new(Mutex::new(before))), ..Self::default() }
    }

    /// What was read of the account.
    pub fn before(&self) -> Option<std::sync::MutexGuard<'_, World>> {
        Some(self.before.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the row `id` of `T` was read by itself.
    pub fn knows<T: Resource>(&self, scope: &Scope, id: &str) -> bool {
        let scope = if T::GLOBAL { scope.home() } else { scope.clone() };
        self.known.contains(&Want { scope, kind: T::KIND.to_owned(), id: Some(id.to_owned()) })
    }

    /// Whether the row `id` of `T` was made here.
    pub fn made<T: Resource>(&self, tx: &Tx, id: &str) -> bool {
        !self.listed.contains(id) && T::table(tx).peek(id).is_some()
    }

    /// What was looked for since the last time and is not known.
    pub fn take_missing(&self) -> BTreeSet<Want> {
        self.missing.take()
    }

    /// The account to ask, with its words when there is none: a world from a file is all there is.
    pub fn reader(&self, want: &Want) -> Result<Reader, AwsError> {
        let live = self.live.clone().ok_or_else(|| {
            let message =
                format!("{want} is not in the file this plan was made from; write a new one with `runner snapshot`");
            AwsError::new("NotInSnapshot", message)
        })?;
        Ok(Reader { live: live.0, scope: want.scope.clone() })
    }

    /// Asks the account itself, for what nothing here changes.
    pub fn pass(
        &mut self,
        scope: &Scope,
        service: &'static str,
        action: &'static str,
        params: &Value,
    ) -> Result<Value, AwsError> {
        let key = format!("{}/{} {service}:{action} {params}", scope.account, scope.region);
        if let Some(reply) = self.passed.get(&key) {
            return Ok(reply.clone());
        }
        let want = Want { scope: scope.clone(), kind: format!("{service}:{action}"), id: None };
        let reply = self.reader(&want)?.live.call(scope, service, action, params)?;
        self.passed.insert(key, reply.clone());
        Ok(reply)
    }

    /// A fork of the same account at the same time, without the changes. It knows what this one has read.
    pub fn again(&self) -> Option<World> {
        let mut world = self.before()?.clone();
        let fork = Self { missing: RefCell::default(), new_routes: self.routes.clone(), failed: None, ..self.clone() };
        world.fork = Some(Self { before: Some(Arc::new(Mutex::new(self.before()?.clone()))), ..fork });
        Some(world)
    }
}

/// Reads of one account and region, for `kinds`.
pub struct Reader {
    live: Arc<dyn Live>,
    pub scope: Scope,
}

impl Reader {
    /// One reply.
    pub fn get(&self, service: &'static str, action: &'static str, params: Value) -> Result<Params, AwsError> {
        self.live.call(&self.scope, service, action, &params).map(Params)
    }

    /// One reply, or `None` when AWS says with one of `absent` that there is nothing.
    pub fn find(
        &self,
        service: &'static str,
        action: &'static str,
        params: Value,
        absent: &[&str],
    ) -> Result<Option<Params>, AwsError> {
        match self.get(service, action, params) {
            Ok(reply) => Ok(Some(reply)),
            Err(error) if absent.iter().any(|code| error.code.starts_with(code)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The elements of the list at `path` of every page. `token` is the name of the next page's token in replies and
    /// requests.
    pub fn pages(
        &self,
        service: &'static str,
        action: &'static str,
        mut params: Value,
        path: &str,
        token: (&str, &str),
    ) -> Result<Vec<Params>, AwsError> {
        let mut all = Vec::new();
        loop {
            let reply = self.get(service, action, params.clone())?;
            all.extend(reply.list(path));
            match reply.opt_str(token.0).filter(|next| !next.is_empty()) {
                Some(next) => params[token.1] = json!(next),
                None => return Ok(all),
            }
        }
    }
}

/// Rows that were read, ready to be put into a world.
#[derive(Default)]
pub struct Rows {
    put: Vec<Box<dyn Fn(&mut Tx, &mut Fork) + Send>>,
    /// What else is known by that.
    pub also: Vec<Want>,
    /// The routes among them.
    pub routes: Vec<String>,
}

impl Rows {
    /// A row with everything of it.
    pub fn whole<T: Resource + Send>(&mut self, row: T) {
        self.put.push(Box::new(move |tx, fork| {
            fork.listed.remove(row.id());
            tx.import(row.clone());
        }));
    }

    /// A row as a list shows it. One that was read by itself is better, and may have been changed or deleted.
    pub fn listed<T: Resource + Send>(&mut self, row: T) {
        self.put.push(Box::new(move |tx, fork| {
            if !fork.knows::<T>(tx.scope, row.id()) {
                fork.listed.insert(row.id().to_owned());
                tx.import(row.clone());
            }
        }));
    }

    /// Something that is under way: what happens by itself goes on.
    pub fn then(&mut self, go_on: impl Fn(&mut Tx) + Send + 'static) {
        self.put.push(Box::new(move |tx, _| go_on(tx)));
    }
}

/// Reads what is wanted, several at a time.
fn read(fork: &Fork, wants: BTreeSet<Want>) -> Result<Vec<(Want, Rows)>, AwsError> {
    const AT_ONCE: usize = 8;
    let wants: Vec<Want> = wants.into_iter().collect();
    let mut read = Vec::new();
    for wants in wants.chunks(AT_ONCE) {
        let readers: Vec<Reader> = wants.iter().map(|want| fork.reader(want)).collect::<Result<_, _>>()?;
        let rows: Vec<Result<Rows, AwsError>> = std::thread::scope(|threads| {
            let asked: Vec<_> = readers
                .iter()
                .zip(wants)
                .map(|(reader, want)| threads.spawn(|| kinds::read(reader, &want.kind, want.id.as_deref())))
                .collect();
            let panicked = || AwsError::new("InternalError", "reading the account panicked");
            asked.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(panicked()))).collect()
        });
        for (want, rows) in wants.iter().zip(rows) {
            read.push((want.clone(), rows?));
        }
    }
    Ok(read)
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
        for (want, rows) in read(fork, wants)? {
            let Some(mut fork) = self.fork.take() else { return Ok(()) };
            if let Some(before) = fork.before.clone() {
                let mut before = before.lock().unwrap_or_else(PoisonError::into_inner);
                let mut tx = before.tx(&want.scope, "", "");
                rows.put.iter().for_each(|put| put(&mut tx, &mut fork));
            }
            let mut tx = self.tx(&want.scope, "", "");
            rows.put.iter().for_each(|put| put(&mut tx, &mut fork));
            fork.routes.extend(rows.routes.iter().cloned());
            fork.new_routes.extend(rows.routes);
            fork.known.extend(rows.also);
            fork.known.insert(want);
            self.fork = Some(fork);
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
