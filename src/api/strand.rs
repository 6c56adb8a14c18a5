//! Where the calling thread stands in the run: one thread is one strand.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

use crate::{run::Branch, script::Failure};

thread_local! {
    static HERE: RefCell<Strand> = RefCell::default();
}

/// The position of this thread, and who may stop it.
#[derive(Clone, Default)]
pub struct Strand {
    branch: Branch,
    /// The `parallel`s around it, outermost first.
    groups: Vec<Arc<Group>>,
}

/// The branches of one `parallel`.
#[derive(Default)]
pub struct Group {
    stopped: AtomicBool,
    notify: Notify,
}

impl Group {
    /// Lets no branch begin anything new.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.notify.notify_waiters();
    }
}

/// Why a branch did not go on: its siblings' failure is the one to report.
#[derive(Debug)]
pub struct StoppedBySibling;

/// Uses the position of this thread.
pub fn branch<T>(f: impl FnOnce(&mut Branch) -> T) -> T {
    HERE.with_borrow_mut(|strand| f(&mut strand.branch))
}

/// The strands of a group of branches that starts here.
pub fn fork(count: usize, group: &Arc<Group>) -> Vec<Strand> {
    HERE.with_borrow_mut(|strand| {
        let groups: Vec<_> = strand.groups.iter().chain([group]).map(Arc::clone).collect();
        let branches = strand.branch.children(count);
        branches.into_iter().map(|branch| Strand { branch, groups: groups.clone() }).collect()
    })
}

/// The strand of something that happens later, with a number of its own.
pub fn later() -> Strand {
    let mut branches = branch(|branch| branch.children(1));
    Strand { branch: branches.pop().unwrap_or_default(), groups: Vec::new() }
}

impl Strand {
    /// Makes this the position of the calling thread.
    pub fn enter(self) {
        HERE.set(self);
    }
}

/// Whether this thread should end because a sibling failed. Cheap: asked at every step.
pub fn stopped() -> Option<Failure> {
    let stopped = HERE.with_borrow(|strand| strand.groups.iter().any(|group| group.stopped.load(Ordering::Relaxed)));
    stopped.then(|| Failure::new("stopped, because another branch failed").because(StoppedBySibling))
}

/// Returns when this thread should end because a sibling failed.
pub async fn until_stopped() {
    let groups = HERE.with_borrow(|strand| strand.groups.clone());
    loop {
        let notified: Vec<_> = groups.iter().map(|group| Box::pin(group.notify.notified())).collect();
        if groups.iter().any(|group| group.stopped.load(Ordering::SeqCst)) {
            return;
        }
        if notified.is_empty() {
            return std::future::pending().await;
        }
        futures::future::select_all(notified).await;
    }
}
