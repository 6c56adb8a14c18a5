//! What is fuzzed: plain functions of bytes. They may refuse, and neither panic nor hang.

#![allow(dead_code, reason = "each fuzz target uses one of them")]

use std::{path::Path, sync::Arc, time::Duration};

use miette::{GraphicalReportHandler, GraphicalTheme};
use runner::{
    api::{self, stdlib::MODULES},
    ops::catalog::OPERATIONS,
    script::{Limits, Runbook, Script, Trace, Watch, runbook::Stopped},
};

/// Where imports are looked for: the runbooks of this project.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Loading: the parser and its guard, the checks of the tree, imports, and the report of what is wrong.
pub fn script(data: &[u8]) {
    let Some(runbook) = load(data) else { return };
    for word in ["param", "ensure_vpc"] {
        runbook.all_calls(MODULES, word);
    }
    runbook.declared_environment();
}

/// Running, without host functions: the language, its limits, and the report of what goes wrong.
pub fn execution(data: &[u8]) {
    let Some(runbook) = load(data) else { return };
    let limits = Limits {
        steps: 20_000,
        computing: Duration::from_millis(200),
        elapsing: Duration::from_millis(400),
        memory: 64 << 20,
        ..Limits::default()
    };
    let library = Arc::clone(runbook.library());
    let script = Script::new(runbook, MODULES, &limits, Arc::new(Watch::new(|| None)), |_| (), |_| ());
    match script.run() {
        Ok(()) => {}
        Err(Stopped::Failed(trace)) => report(&trace, &library),
        Err(Stopped::Panicked(panic)) => panic!("the script's thread panicked: {panic}"),
    }
}

/// Options: whatever a script gives to an operation. The first byte chooses the operation.
pub fn options(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let Ok(value) = serde_json::from_slice(text) else { return };
    let entry = &OPERATIONS[usize::from(*choice) % OPERATIONS.len()];
    if let Err(error) = (entry.prepare)(value) {
        assert!(!error.to_string().is_empty());
    }
}

fn load(data: &[u8]) -> Option<Runbook> {
    let text = std::str::from_utf8(data).ok()?;
    match Runbook::from_text("runbooks/fuzz.rhai", text, Path::new(ROOT), api::vocabulary()) {
        Ok(runbook) => Some(runbook),
        Err(refused) => {
            assert!(!refused.trace.message.contains("broke on this script"), "{}", refused.trace.message);
            report(&refused.trace, &refused.library);
            None
        }
    }
}

/// As the command line shows it.
fn report(trace: &Trace, library: &runner::script::Library) {
    let mut text = trace.compact();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_context_lines(1);
    handler.render_report(&mut text, &trace.problem(library)).expect("a string takes everything");
}
