//! The users: requests from several threads until they are told to stop, and how those were answered.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, BufReader, ErrorKind},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::{
    control_plane::{self, Message},
    instances::{Ending, lock},
};

/// After that a user has gone, and the request has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two requests of a user.
const PAUSE: Duration = Duration::from_millis(20);

/// How a user asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// On a new connection each time.
    New,
    /// On one connection.
    KeptAlive,
    /// For something that takes a while, on a new connection each time.
    Slow,
}

/// How many users there are of each kind.
const USERS: [(Kind, usize); 3] = [(Kind::New, 4), (Kind::KeptAlive, 4), (Kind::Slow, 8)];

/// Users at work. They end with the value.
pub struct Load {
    users: Vec<Ending>,
    figures: Arc<Mutex<Figures>>,
}

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub kinds: BTreeMap<Kind, Tally>,
    /// How often each instance answered well.
    pub answered: BTreeMap<String, u64>,
    /// What went wrong, and how often.
    pub failures: BTreeMap<String, u64>,
}

/// The requests of a kind that are over.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub sent: u64,
    pub failed: u64,
    pub slowest: Duration,
}

impl Load {
    /// Sets users onto the proxy at an address.
    pub fn start(proxy: SocketAddr) -> Self {
        let (figures, off) = (Arc::<Mutex<Figures>>::default(), Arc::default());
        let kinds = USERS.into_iter().flat_map(|(kind, count)| std::iter::repeat_n(kind, count));
        let user = |kind| {
            let (figures, mut user) = (Arc::clone(&figures), User { kind, proxy, kept: None });
            Ending::every(PAUSE, Arc::clone(&off), move || {
                let began = Instant::now();
                let reply = user.ask();
                lock(&figures).count(kind, began.elapsed(), reply);
            })
        };
        Self { users: kinds.map(user).collect(), figures }
    }

    /// The figures so far.
    pub fn figures(&self) -> Figures {
        lock(&self.figures).clone()
    }

    /// Has the users finish what they have begun, and returns the figures.
    pub fn stop(mut self) -> Figures {
        self.users.clear();
        self.figures()
    }
}

impl Figures {
    /// Requests that failed, of all kinds.
    pub fn failed(&self) -> u64 {
        self.kinds.values().map(|tally| tally.failed).sum()
    }

    fn count(&mut self, kind: Kind, took: Duration, reply: io::Result<Message>) {
        let tally = self.kinds.entry(kind).or_default();
        tally.sent += 1;
        tally.slowest = tally.slowest.max(took);
        let said = |reply: &Message| String::from_utf8_lossy(&reply.body).into_owned();
        let failure = match reply {
            _ if took >= PATIENCE => format!("no reply in {PATIENCE:?}"),
            Ok(reply) if reply.status() == 200 => {
                *self.answered.entry(said(&reply)).or_default() += 1;
                return;
            }
            Ok(reply) => format!("{} {}", reply.status(), said(&reply)),
            Err(error) => error.to_string(),
        };
        tally.failed += 1;
        *self.failures.entry(failure).or_default() += 1;
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{:<10}{:>8}{:>8}{:>12}", "users", "sent", "failed", "slowest")?;
        for (kind, Tally { sent, failed, slowest }) in &self.kinds {
            writeln!(f, "{:<10}{sent:>8}{failed:>8}{:>9} ms", format!("{kind:?}"), slowest.as_millis())?;
        }
        self.answered.iter().try_for_each(|(who, times)| writeln!(f, "{times:>7} x {who}"))?;
        self.failures.iter().try_for_each(|(what, times)| writeln!(f, "{times:>7} x failed: {what}"))
    }
}

struct User {
    kind: Kind,
    proxy: SocketAddr,
    /// The connection of one that keeps it.
    kept: Option<BufReader<TcpStream>>,
}

impl User {
    fn ask(&mut self) -> io::Result<Message> {
        let (path, connection) = match self.kind {
            Kind::New => ("/", "close"),
            Kind::KeptAlive => ("/", "keep-alive"),
            Kind::Slow => ("/slow", "close"),
        };
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: {connection}\r\n\r\n", self.proxy);
        // A connection that was closed between requests is opened again, as browsers do; one that is closed on a
        // request has failed it.
        let mut connection = match self.kept.take().filter(|kept| is_open(kept.get_ref())) {
            Some(kept) => kept,
            None => control_plane::connect(self.proxy, PATIENCE)?,
        };
        let reply = Message { head, body: Vec::new() }.exchange(&mut connection)?;
        if self.kind == Kind::KeptAlive && !reply.is_last() {
            self.kept = Some(connection);
        }
        Ok(reply)
    }
}

/// Between requests nothing is to be read: not even an end.
fn is_open(stream: &TcpStream) -> bool {
    let looked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
    let waits = looked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    waits && stream.set_nonblocking(false).is_ok()
}
