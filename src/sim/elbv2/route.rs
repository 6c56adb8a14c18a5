//! A route: what a listener's default action and a rule have in common. It has an action as the API knows it, and
//! the actions its nodes follow, which are a moment behind.

use super::action::Action;
use super::*;

/// New requests see a changed action "a second or two later": those on new connections first, …
const NEW: Duration = Duration::from_secs(1);
/// … then those on connections that were open. An application load balancer routes each request by itself.
const KEPT: Duration = Duration::from_secs(2);
/// A network load balancer routes connections: those kept alive stay until they end, for us a minute at most.
const KEPT_BY_NETWORK: Duration = Duration::from_secs(60);

/// Which requests: those on new connections, or those on connections kept alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lane {
    New,
    Kept,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    pub action: Action,
    /// What was before: reads show it, in a world with lag, until nodes have heard of the change.
    before: Option<Action>,
    new: Option<Action>,
    kept: Option<Action>,
}

impl Route {
    /// A route that no node has heard of yet; [`announce`] tells them.
    pub fn new(action: Action) -> Route {
        Route { action, before: None, new: None, kept: None }
    }

    /// A route that was read: its nodes have known it for long.
    pub fn read(actions: &[Params]) -> Route {
        let action = Action::shown(actions);
        Route { before: None, new: Some(action.clone()), kept: Some(action.clone()), action }
    }

    pub fn set(&mut self, action: Action) {
        if action != self.action {
            self.before = Some(std::mem::replace(&mut self.action, action));
        }
    }

    /// What nodes do with the requests of a lane.
    pub fn followed(&self, lane: Lane) -> Option<&Action> {
        match lane {
            Lane::New => self.new.as_ref(),
            Lane::Kept => self.kept.as_ref(),
        }
    }

    /// The action as a read shows it now.
    pub fn shown(&self, tx: &Tx) -> Value {
        self.before.as_ref().filter(|_| tx.lag.on).unwrap_or(&self.action).view()
    }
}

/// Lets the nodes of the load balancer know of the route's present action.
pub fn announce(tx: &mut Tx, arn: &str, network: bool) {
    let Some(route) = of(tx, arn) else { return };
    let action = route.action.clone();
    // A new route has no connections yet that could stay where they are.
    let kept = if network && route.kept.is_some() { KEPT_BY_NETWORK } else { KEPT };
    for (lane, after) in [(Lane::New, NEW), (Lane::Kept, kept)] {
        tx.schedule(after, Event::Takes { route: arn.to_owned(), lane, action: action.clone() });
    }
    targets::uses_changed(tx);
}

pub fn take(tx: &mut Tx, arn: &str, lane: Lane, action: Action) {
    let route = if is_rule(arn) {
        tx.peek_mut::<Rule>(arn).map(|rule| &mut rule.route)
    } else {
        tx.peek_mut::<Listener>(arn).map(|listener| &mut listener.route)
    };
    let Some(route) = route else { return };
    match lane {
        Lane::New => {
            if action == route.action {
                route.before = None;
            }
            route.new = Some(action);
        }
        Lane::Kept => route.kept = Some(action),
    }
}

pub fn is_rule(arn: &str) -> bool {
    arn.contains(":listener-rule/")
}

/// The listener of a route, from its ARN: a rule's is the listener's with one part more.
pub fn listener_of(arn: &str) -> String {
    match arn.rsplit_once('/') {
        Some((listener, _)) if is_rule(arn) => listener.replacen(":listener-rule/", ":listener/", 1),
        _ => arn.to_owned(),
    }
}

pub fn of<'t>(tx: &'t Tx, arn: &str) -> Option<&'t Route> {
    if is_rule(arn) {
        tx.peek::<Rule>(arn).map(|rule| &rule.route)
    } else {
        tx.peek::<Listener>(arn).map(|listener| &listener.route)
    }
}

/// All routes, with the load balancer they are on.
pub fn all<'t>(tx: &'t Tx) -> impl Iterator<Item = (&'t str, &'t Route, &'t str)> {
    let listeners = tx.all::<Listener>().map(|listener| (&*listener.arn, &listener.route, &*listener.load_balancer));
    let rules = tx.all::<Rule>().filter_map(|rule| {
        let listener = tx.peek::<Listener>(&rule.listener)?;
        Some((&*rule.arn, &rule.route, &*listener.load_balancer))
    });
    listeners.chain(rules)
}

/// The load balancers whose routes forward to a group: it is in use if there is one.
pub fn balancers_of(tx: &Tx, group: &str) -> Vec<String> {
    let known = all(tx)
        .filter(|(_, route, _)| route.action.groups().iter().any(|share| share.group == group))
        .map(|(_, _, balancer)| balancer.to_owned());
    // Of load balancers that were not read themselves, the group's word stands.
    let unread = tx.glance::<TargetGroup>(group).into_iter().flat_map(|group| &group.held_by);
    let unread = unread.filter(|balancer| !tx.is_known::<LoadBalancer>(balancer)).cloned();
    let mut balancers: Vec<String> = known.chain(unread).collect();
    balancers.sort();
    balancers.dedup();
    balancers
}
