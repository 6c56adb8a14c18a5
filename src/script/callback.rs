//! Closures kept for later (hooks) or for another thread (branches).
//!
//! A closure alone is a name and its captures, and the captures are cells it shares with the script:
//! a hook would see later values, branches would write into each other. And called from outside it
//! finds neither imports nor the functions of its own module. So captures are copied when the
//! closure is handed over, and the context of that call is kept with it.

#![expect(deprecated, reason = "how Rhai marks its volatile interfaces; tests/hosting watches them")]

use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, NativeCallContext, NativeCallContextStore};

use super::{Failure, Place, bounded::DEPTH};

/// A closure that can be called when the script has gone on.
#[derive(Clone)]
pub struct Callback {
    function: FnPtr,
    context: NativeCallContextStore,
}

impl Callback {
    /// Takes the closure as it is now; what the script assigns later does not reach it.
    pub fn capture(context: &NativeCallContext, function: &FnPtr) -> Result<Self, Box<EvalAltResult>> {
        let function = snapshot_function(function, DEPTH).ok_or_else(|| {
            Failure::new("this closure captures a value that nests too deeply, or that contains the closure itself")
                .at(context)
        })?;
        let mut context = context.store_data();
        // It is called from the top, not from the depth at which it was handed over.
        context.global.level = 0;
        context.global.num_operations = 0;
        Ok(Self { function, context })
    }

    /// Where it was handed over.
    pub fn place(&self) -> Option<Place> {
        Place::new(self.context.global.source.as_deref()?, self.context.pos)
    }

    /// Calls it. `exit` in the closure ends only the closure.
    pub fn call(&self, engine: &Engine, arguments: Vec<Dynamic>) -> Result<Dynamic, Box<EvalAltResult>> {
        let context = self.context.create_context(engine);
        match self.function.call_raw(&context, None, arguments) {
            Err(error) if exited(&error) => Ok(Dynamic::UNIT),
            result => result,
        }
    }
}

/// Whether the script called `exit`, which Rhai reports as an error, even from within `map`.
pub(super) fn exited(error: &EvalAltResult) -> bool {
    matches!(error.unwrap_inner(), EvalAltResult::Exit(..))
}

/// A copy that shares nothing with `value`. `None`: it nests too deeply.
fn snapshot(value: &Dynamic, depth: usize) -> Option<Dynamic> {
    let depth = depth.checked_sub(1)?;
    let value = value.flatten_clone();
    if let Some(function) = value.read_lock::<FnPtr>() {
        return snapshot_function(&function, depth).map(Dynamic::from);
    }
    if value.is_array() {
        let items = value.into_array().ok()?;
        return items.iter().map(|item| snapshot(item, depth)).collect::<Option<rhai::Array>>().map(Dynamic::from);
    }
    if value.is_map() {
        let map = value.try_cast::<rhai::Map>()?;
        let copy = map.into_iter().map(|(key, item)| Some((key, snapshot(&item, depth)?)));
        return copy.collect::<Option<rhai::Map>>().map(Dynamic::from);
    }
    Some(value)
}

fn snapshot_function(function: &FnPtr, depth: usize) -> Option<FnPtr> {
    let mut copy = function.clone();
    for captured in copy.iter_curry_mut() {
        *captured = snapshot(captured, depth)?;
    }
    Some(copy)
}
