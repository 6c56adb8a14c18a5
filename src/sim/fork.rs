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

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::AwsError;
use super::kinds;
use super::overlay::AsRead;
use super::shared::Shared;
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
    known: BTreeSet<Want>,
    /// Rows that were made here: the account has never heard of them.
    #[serde(default)]
    ours: RefCell<BTreeSet<Want>>,
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
            self.fork.ours.borrow_mut().insert(Want::row::<T>(scope, id));
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

    /// The account to ask, with its words when there is none: a world from a file is all there is.
    pub fn reader(&self, want: &Want) -> Result<Reader, AwsError> {
        let live = self.live.clone().ok_or_else(|| {
            let message =
                format!("{want} is not in the file this plan was made from; write a new one with `runner snapshot`");
            AwsError::new("NotInSnapshot", message)
        })?;
        Ok(Reader { live: live.0, scope: want.scope.clone(), calls: kinds::calls(&want.kind) })
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

/// Reads of one account and region, for `kinds`.
pub struct Reader {
    live: Arc<dyn Live>,
    pub scope: Scope,
    /// The calls that are declared for what is read.
    calls: &'static [&'static str],
}

/// The names of a page's token in replies and in requests.
pub type Token = (&'static str, &'static str);

impl Reader {
    /// One reply.
    pub fn get(&self, service: &'static str, action: &'static str, params: Value) -> Result<Params, AwsError> {
        let call = format!("{service}:{action}");
        if !self.calls.contains(&call.as_str()) {
            // The policy in docs/ would lack it.
            return Err(AwsError::new("InternalError", format!("{call} is not declared in `kinds`")));
        }
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

    /// The elements of the list at `path` of every page.
    pub fn pages(
        &self,
        service: &'static str,
        action: &'static str,
        params: Value,
        path: &str,
        token: Token,
    ) -> Result<Vec<Params>, AwsError> {
        let mut all = Vec::new();
        self.each_page(service, action, params, token, |page| all.extend(page.list(path)))?;
        Ok(all)
    }

    /// Every page.
    pub fn each_page(
        &self,
        service: &'static str,
        action: &'static str,
        mut params: Value,
        token: Token,
        mut read: impl FnMut(&Params),
    ) -> Result<(), AwsError> {
        loop {
            let reply = self.get(service, action, params.clone())?;
            read(&reply);
            match reply.opt_str(token.0).filter(|next| !next.is_empty()) {
                Some(next) => params[token.1] = json!(next),
                None => return Ok(()),
            }
        }
    }
}

/// A row as it was read.
pub struct Read<T> {
    row: T,
    /// The tree it was read from.
    shown: Value,
    unmodelled: Option<String>,
}

impl<T> Read<T> {
    pub fn of(row: T) -> Read<T> {
        Read { row, shown: Value::Null, unmodelled: None }
    }

    /// What is not modelled of `shown` is shown again.
    pub fn shown(self, shown: &Params) -> Read<T> {
        Read { shown: shown.0.clone(), ..self }
    }

    /// What keeps the row from being changed here.
    pub fn except(self, unmodelled: Option<String>) -> Read<T> {
        Read { unmodelled, ..self }
    }
}

/// Rows that were read, ready to be put into a world.
pub struct Rows {
    want: Want,
    put: Vec<Put>,
    /// The routes among them.
    pub routes: Vec<String>,
}

struct Put {
    /// What a list shows of this row: not put over what is known better.
    listed: Option<Want>,
    put: Box<dyn Fn(&mut Tx) + Send>,
}

impl Rows {
    fn of(want: Want) -> Rows {
        Rows { want, put: Vec::new(), routes: Vec::new() }
    }

    /// A row with everything of it.
    pub fn whole<T: Resource + Send>(&mut self, read: Read<T>) {
        self.put.push(Put { listed: None, put: putting(read) });
    }

    /// A row as a list shows it. One that was read by itself is better, and may have been changed or deleted.
    pub fn listed<T: Resource + Send>(&mut self, read: Read<T>) {
        let listed = Some(Want::row::<T>(&self.want.scope, read.row.id()));
        self.put.push(Put { listed, put: putting(read) });
    }

    /// Something that is under way: what happens by itself goes on.
    pub fn then(&mut self, go_on: impl Fn(&mut Tx) + Send + 'static) {
        self.put.push(Put { listed: None, put: Box::new(go_on) });
    }
}

fn putting<T: Resource + Send>(read: Read<T>) -> Box<dyn Fn(&mut Tx) + Send> {
    let Read { row, shown, unmodelled } = read;
    let read = AsRead { shown, unmodelled };
    let read = (read != AsRead::default()).then(|| Shared::new(read));
    Box::new(move |tx| tx.import(row.clone(), read.clone()))
}

/// Reads what is wanted, several at a time.
fn read(fork: &Fork, wants: BTreeSet<Want>) -> Result<Vec<Rows>, AwsError> {
    const AT_ONCE: usize = 8;
    let wants: Vec<Want> = wants.into_iter().collect();
    let mut read = Vec::new();
    for wants in wants.chunks(AT_ONCE) {
        let readers: Vec<Reader> = wants.iter().map(|want| fork.reader(want)).collect::<Result<_, _>>()?;
        let rows: Vec<Result<Rows, AwsError>> = std::thread::scope(|threads| {
            let asked: Vec<_> = readers
                .iter()
                .zip(wants)
                .map(|(reader, want)| {
                    threads.spawn(move || {
                        let mut rows = Rows::of(want.clone());
                        kinds::read(reader, want, &mut rows).map(|()| rows)
                    })
                })
                .collect();
            let panicked = || AwsError::new("InternalError", "reading the account panicked");
            asked.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(panicked()))).collect()
        });
        for rows in rows {
            read.push(rows?);
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
            fork.known.insert(rows.want);
            self.fork = Some(fork);
        }
        Ok(())
    }

    fn put(&mut self, rows: &Rows, is_news: impl Fn(&Want) -> bool) {
        let scope = &rows.want.scope;
        // Nothing is furnished: what AWS put there is read like everything else.
        self.accounts.entry(scope.account.clone()).or_default().regions.entry(scope.region.clone()).or_default();
        let mut tx = self.tx(scope, "", "");
        rows.put.iter().filter(|put| put.listed.as_ref().is_none_or(&is_news)).for_each(|put| (put.put)(&mut tx));
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
