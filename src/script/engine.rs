//! The only place where an engine is built.

use std::{
    sync::{Arc, Once},
    time::Duration,
};

use rhai::{
    Engine, EvalAltResult, FLOAT, INT, OptimizationLevel,
    packages::{
        BasicArrayPackage, BasicMapPackage, BasicMathPackage, CorePackage, LogicPackage, MoreStringPackage, Package,
    },
};

use super::{Failure, Watch, bounded};

/// How much a script may use. Rhai's own defaults are open, and differ in debug builds.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the text of one file.
    pub script: usize,
    /// Steps of the whole script, with everything its closures and branches do.
    pub steps: u64,
    /// Time of the processor for the whole script, with its closures and branches, without what the
    /// host does for it.
    pub computing: Duration,
    /// Time of any clock for the same. Rhai itself sleeps where a value is in use.
    pub elapsing: Duration,
    /// Bytes that the program may hold more than at the start of the script.
    pub memory: usize,
    pub call_levels: usize,
    pub expression_depth: usize,
    pub function_expression_depth: usize,
    /// In bytes.
    pub string: usize,
    /// Elements, nested ones included.
    pub array: usize,
    pub map: usize,
    pub modules: usize,
    pub functions: usize,
    pub variables: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            script: 256 << 10,
            steps: 10_000_000,
            computing: Duration::from_millis(500),
            elapsing: Duration::from_secs(1),
            memory: 256 << 20,
            call_levels: 64,
            expression_depth: 64,
            function_expression_depth: 64,
            string: 1 << 20,
            array: 10_000,
            map: 1_000,
            modules: 64,
            functions: 500,
            variables: 500,
        }
    }
}

/// The language without its functions: enough to compile.
pub fn parser(limits: &Limits) -> Engine {
    // The names of closures are hashes: a fixed seed makes them the same in every process.
    static SEED: Once = Once::new();
    SEED.call_once(|| {
        // Fails when the seed was set before; any fixed seed will do.
        let _ = rhai::config::hashing::set_hashing_seed(Some([0x72, 0x75, 0x6e, 0x72]));
    });

    let mut engine = Engine::new_raw();
    engine
        // `Simple` folds literals and loses the positions of their keys, `Full` calls host functions
        // at compile time, and both panic on assignments to constant maps.
        .set_optimization_level(OptimizationLevel::None)
        .set_strict_variables(true)
        .set_fail_on_invalid_map_property(true)
        .disable_symbol("eval")
        // What closures capture is enough, and is looked at by `bounded`.
        .disable_symbol("curry")
        .set_max_call_levels(limits.call_levels)
        .set_max_expr_depths(limits.expression_depth, limits.function_expression_depth)
        .set_max_string_size(limits.string)
        .set_max_array_size(limits.array)
        .set_max_map_size(limits.map)
        .set_max_modules(limits.modules)
        .set_max_functions(limits.functions)
        .set_max_variables(limits.variables)
        // Counted by `Watch`: Rhai's counter forgets what closures used.
        .set_max_operations(0);
    engine
}

/// An engine that runs scripts under `watch`, and gives `print` what they print.
pub fn engine(limits: &Limits, watch: &Arc<Watch>, print: impl Fn(&str) + Send + Sync + 'static) -> Engine {
    let mut engine = parser(limits);
    // The standard package without blobs, bit fields and the real clock.
    CorePackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);

    watch.limit(limits);
    let watched = Arc::clone(watch);
    engine.on_progress(move |_| watched.step());

    let print = Arc::new(print);
    let debug = Arc::clone(&print);
    engine.on_print(move |text| print(text));
    engine.on_debug(move |text, file, position| match file {
        Some(file) if !position.is_none() => debug(&format!("{file}:{position:?}: {text}")),
        _ => debug(text),
    });

    bounded::register(&mut engine, watch);
    forbid_real_time(&mut engine);
    engine
}

/// `sleep` of the core package stops the thread, in real time, and cannot be interrupted. The host
/// registers its own for durations; what is left are numbers.
fn forbid_real_time(engine: &mut Engine) {
    let number = |found: String| -> Result<(), Box<EvalAltResult>> {
        let failure = Failure::new(format!(r#"expected a duration such as "90s" or "5m", found the number {found}"#));
        Err(failure.help(format!(r#"for seconds, write sleep("{found}s")"#)).into())
    };
    engine.register_fn("sleep", move |seconds: INT| number(seconds.to_string()));
    engine.register_fn("sleep", move |seconds: FLOAT| number(seconds.to_string()));
    engine.register_fn("timestamp", || -> Result<(), Box<EvalAltResult>> {
        let failure = Failure::new("`timestamp` is not available: it does not know the time of the run");
        Err(failure.help("use `now()`").into())
    });
}
