//! Where scripts run: a thread with room for deep recursion, and an end for panics.
//!
//! The interpreter counts calls, but not what is nested within one call: expressions, chains,
//! closures that natives call back. So the room that is left is looked at, at every step.

use std::{any::Any, cell::Cell, ptr, thread};

/// Of a runbook, and of a hook.
pub const STACK: usize = 128 << 20;

/// For one branch of a script: there are many of them.
pub const BRANCH_STACK: usize = 32 << 20;

/// What is kept free: for natives, and for copying and dropping the deepest value there can be,
/// which takes up to a KiB for each of its 10,000 levels in a debug build.
const RESERVE: usize = 16 << 20;

thread_local! {
    /// The address below which no script may go on. Stacks grow downwards.
    static FLOOR: Cell<usize> = const { Cell::new(0) };
}

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
            .spawn_scoped(scope, || {
                enter(STACK);
                work()
            })
            .map_err(|error| Panic(format!("the operating system gives no thread: {error}")))?
            .join()
            .map_err(|payload| Panic::new(&*payload))
    })
}

/// Notes that the calling thread, which has just begun, has a stack of `size` bytes.
pub fn enter(size: usize) {
    FLOOR.set(here().saturating_sub(size - RESERVE));
}

/// Whether the script on this thread has used up its room.
pub(super) fn is_deep() -> bool {
    here() < FLOOR.get()
}

/// An address in the caller's frame, or near it.
#[inline(always)]
fn here() -> usize {
    let local = 0_u8;
    ptr::from_ref(&local).addr()
}
