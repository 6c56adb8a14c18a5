//! The machines: a real HTTP server for each instance that runs, cut off when it runs no more; and what servers are made of.

use std::{
    collections::HashMap,
    io::BufReader,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::control_plane::{ControlPlane, Instance, Message};

/// How often the control plane is asked what has changed.
pub const EVERY: Duration = Duration::from_millis(100);

/// The address of each instance that runs.
pub type Machines = Arc<Mutex<HashMap<String, SocketAddr>>>;

/// Servers that come and go with the instances of a region. All go with the value.
pub struct Instances {
    pub machines: Machines,
    _following: Ending,
}

impl Instances {
    /// Follows the instances from now on. Those that run already can be reached when this returns.
    pub fn start(plane: ControlPlane) -> Self {
        let machines = Machines::default();
        let (addresses, mut servers) = (machines.clone(), HashMap::new());
        let mut follow = move || {
            // A control plane that does not answer switches no machine off.
            let Ok(mut instances) = plane.instances() else { return };
            instances.retain(|instance| instance.state == "running");
            // Locked throughout: a new server may get the port of one that has just ended.
            let mut addresses = lock(&addresses);
            servers.retain(|id, _| instances.iter().any(|instance| instance.id == *id));
            for instance in instances {
                servers.entry(instance.id.clone()).or_insert_with(|| boot(instance));
            }
            *addresses = servers.iter().map(|(id, server)| (id.clone(), server.address)).collect();
        };
        follow();
        Self { machines, _following: Ending::every(EVERY, Arc::default(), follow) }
    }
}

fn boot(Instance { id, image, .. }: Instance) -> Server {
    let works = !image.starts_with("ami-never-healthy");
    Server::start(move |request, off| match request.path() {
        _ if !works => Message::reply(500, &id),
        "/" => Message::reply(200, &id),
        "/slow" => {
            off.within(Duration::from_millis(1500));
            Message::reply(200, &id)
        }
        _ => Message::reply(404, &id),
    })
}

/// An HTTP/1.1 server on a free local port, which keeps connections open. Dropped, it listens no more, cuts its
/// connections, and answers nothing that is under way.
pub struct Server {
    pub address: SocketAddr,
    thread: Ending,
}

impl Server {
    /// Starts one. Whoever waits in `answer` is to wait on the switch.
    pub fn start(answer: impl Fn(&Message, &Off) -> Message + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        Self { address, thread: Ending::start(Arc::default(), move |off| serve(listener, off, &answer)) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.thread.off.throw();
        // It waits for a connection: this is one.
        let _ = TcpStream::connect_timeout(&self.address, EVERY);
    }
}

fn serve(listener: TcpListener, off: &Off, answer: &(impl Fn(&Message, &Off) -> Message + Sync)) {
    let open = Mutex::new(HashMap::new());
    // The scope waits for the threads of all connections.
    thread::scope(|scope| {
        for (number, stream) in listener.incoming().enumerate() {
            if off.is_thrown() {
                break;
            }
            // A client that was gone before it was heard is no concern of the server.
            let Ok(stream) = stream else { continue };
            let Ok(handle) = stream.try_clone() else { continue };
            lock(&open).insert(number, handle);
            let open = &open;
            scope.spawn(move || {
                converse(stream, off, answer);
                lock(open).remove(&number);
            });
        }
        drop(listener);
        for stream in lock(&open).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
}

fn converse(stream: TcpStream, off: &Off, answer: &impl Fn(&Message, &Off) -> Message) {
    let mut connection = BufReader::new(stream);
    // Clients go away as they like.
    while let Ok(Some(request)) = Message::read(&mut connection) {
        let reply = answer(&request, off);
        if off.is_thrown() || reply.write(connection.get_mut()).is_err() || request.is_last() {
            break;
        }
    }
}

/// A thread that ends with the value, when it has done what it is at.
pub struct Ending {
    off: Arc<Off>,
    thread: Option<JoinHandle<()>>,
}

impl Ending {
    /// Starts one that watches the switch. All with the same switch end with the first of them.
    fn start(off: Arc<Off>, work: impl FnOnce(&Off) + Send + 'static) -> Self {
        let switch = off.clone();
        Self { off, thread: Some(thread::spawn(move || work(&switch))) }
    }

    /// Starts one that does the same again and again, and pauses so long before each time.
    pub fn every(pause: Duration, off: Arc<Off>, mut work: impl FnMut() + Send + 'static) -> Self {
        Self::start(off, move |off| {
            while !off.within(pause) {
                work();
            }
        })
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.off.throw();
        // It has said itself why it panicked, and what is dropped may not panic while a test does.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A switch that is thrown once. Threads wait on it where they would sleep, so none keeps a test waiting.
#[derive(Default)]
pub struct Off {
    thrown: Mutex<bool>,
    changed: Condvar,
}

impl Off {
    fn throw(&self) {
        *lock(&self.thrown) = true;
        self.changed.notify_all();
    }

    fn is_thrown(&self) -> bool {
        *lock(&self.thrown)
    }

    /// Waits so long, or until it is thrown, and says whether it was.
    pub fn within(&self, time: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(lock(&self.thrown), time, |thrown| !*thrown);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Locks, also after a panic of another thread: that is reported where it happened.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
