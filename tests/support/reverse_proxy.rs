//! The load balancer's data path: a reverse proxy that follows a listener's weights and its targets' health.
//!
//! It does as an Application Load Balancer does. Each request of a connection is routed for itself. A group is drawn by
//! weight, whatever its health; in it healthy targets take turns, or all that do not drain if none is healthy. What has
//! been sent to a target is not sent to another one, and a target that drains finishes what it has.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    control_plane::{self, ControlPlane, Message, Target},
    instances::{EVERY, Ending, Machines, Server, lock},
};

/// An Application Load Balancer's idle timeout: so long it waits for a target.
const IDLE: Duration = Duration::from_secs(60);

/// The proxy. Dropped, it cuts its connections.
pub struct ReverseProxy {
    pub address: SocketAddr,
    _server: Server,
    _following: Ending,
}

/// A target group with weight, and whose turn it is.
struct Group {
    arn: String,
    weight: i64,
    /// Those that get new requests.
    targets: Vec<Target>,
    /// What it is owed: grows by the weight with each request, and shrinks by all weights with one of its own.
    credit: i64,
    turn: usize,
}

impl ReverseProxy {
    /// Stands for the listener on `port`, and knows its weights when this returns. Without one it answers 503.
    pub fn start(plane: ControlPlane, port: u16, machines: Machines) -> Self {
        let groups = Arc::<Mutex<Vec<Group>>>::default();
        let told = groups.clone();
        let follow = move || {
            // Without its control plane a load balancer goes on as it was last told.
            if let Ok(now) = read(&plane, port) {
                replace(&mut lock(&told), now);
            }
        };
        follow();
        let server = Server::start(move |request, _| {
            let Some(Target { id, port, .. }) = choose(&mut lock(&groups)) else {
                return Message::reply(503, "there is no target");
            };
            // By itself: the lock is not to be held while the target answers.
            let address = lock(&machines).get(&id).copied();
            forward(request, address).unwrap_or_else(|error| Message::reply(502, &format!("{id}:{port}: {error}")))
        });
        Self { address: server.address, _server: server, _following: Ending::every(EVERY, Arc::default(), follow) }
    }
}

/// What the control plane says now.
fn read(plane: &ControlPlane, port: u16) -> io::Result<Vec<Group>> {
    let mut groups = Vec::new();
    let listeners = plane.listeners()?.into_iter().filter(|listener| listener.port == port);
    for (arn, weight) in listeners.flat_map(|listener| listener.groups).filter(|(_, weight)| *weight > 0) {
        let mut targets = plane.targets(&arn)?;
        let fit: &[&str] = match targets.iter().any(|target| target.state == "healthy") {
            true => &["healthy"],
            false => &["unhealthy", "initial"],
        };
        targets.retain(|target| fit.contains(&target.state.as_str()));
        groups.push(Group { arn, weight, targets, credit: 0, turn: 0 });
    }
    Ok(groups)
}

/// Turns go on where they were: if each reading began anew, a small weight would never get its turn.
fn replace(groups: &mut Vec<Group>, mut now: Vec<Group>) {
    let weights = |groups: &[Group]| -> Vec<_> { groups.iter().map(|it| (it.arn.clone(), it.weight)).collect() };
    if weights(groups) == weights(&now) {
        for (before, now) in groups.iter().zip(&mut now) {
            (now.credit, now.turn) = (before.credit, before.turn);
        }
    }
    *groups = now;
}

/// Smooth weighted round robin over the groups, round robin in the chosen one.
fn choose(groups: &mut [Group]) -> Option<Target> {
    let all: i64 = groups.iter().map(|group| group.weight).sum();
    groups.iter_mut().for_each(|group| group.credit += group.weight);
    let group = groups.iter_mut().max_by_key(|group| group.credit)?;
    group.credit -= all;
    group.turn += 1;
    group.targets.get(group.turn % group.targets.len().max(1)).cloned()
}

/// Sends a request to a target, on a connection of its own. A machine that does not run has no address.
fn forward(request: &Message, to: Option<SocketAddr>) -> io::Result<Message> {
    let to = to.ok_or_else(|| io::Error::other("the instance does not run"))?;
    request.exchange(&mut control_plane::connect(to, IDLE)?)
}
