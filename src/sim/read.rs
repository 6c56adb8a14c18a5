//! What is asked of a forked account, and the rows that come of it.
//!
//! A kind's `load` gets a [`Reader`] for the calls and [`Rows`] to put what it found into. It knows nothing of the world:
//! the rows are put in when all that was wanted has been read.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::error::AwsError;
use super::fork::{Fork, Want};
use super::kinds;
use super::overlay::AsRead;
use super::shared::Shared;
use super::tx::{Resource, Scope, Tx};
use super::wire::Params;

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
    /// Asks `live` for what `want` says, by the calls that are declared for its kind.
    pub fn new(live: Arc<dyn Live>, want: &Want) -> Reader {
        Reader { live, scope: want.scope.clone(), calls: kinds::calls(&want.kind) }
    }

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
    pub want: Want,
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

    /// Puts them into a world, those of lists as far as they are news.
    pub fn put(&self, tx: &mut Tx, is_news: impl Fn(&Want) -> bool) {
        self.put.iter().filter(|put| put.listed.as_ref().is_none_or(&is_news)).for_each(|put| (put.put)(tx));
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
pub fn read(fork: &Fork, wants: BTreeSet<Want>) -> Result<Vec<Rows>, AwsError> {
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
