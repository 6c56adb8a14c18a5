//! Where scripts run: a thread with room for deep recursion, and an end for panics.

use std::{any::Any, thread};

/// Room for [`Limits::call_levels`](super::Limits::call_levels) in a debug build (40 KiB each), and
/// for values as deep as their limits allow.
pub const STACK: usize = 64 << 20;

/// For one branch of a script: it holds no deeper values than the script, and there are many.
pub const BRANCH_STACK: usize = 16 << 20;

/// A panic on a script's thread. Always a bug, never the runbook's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Panic(pub String);

impl Panic {
    pub fn new(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        Self(text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".into()))
    }
}

/// Does `work` on a thread of its own, and waits for it.
pub fn run<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> Result<T, Panic> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name(name.into())
            .stack_size(STACK)
            .spawn_scoped(scope, work)
            .expect("the operating system can start a thread")
            .join()
            .map_err(|payload| Panic::new(&*payload))
    })
}
