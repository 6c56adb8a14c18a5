//! Diagnostics about `runner` itself, for who looks for a fault in it: `tracing`, to stderr.

use std::{
    env,
    io::{self, Write},
};

use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, filter::filter_fn, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::{Console, Failure, Global, exit, global::LogFormat};
use crate::report::Live;

/// Begins to write diagnostics. `RUNNER_LOG` overrides the level that `-v` gives.
pub fn init(global: &Global, console: &Console) -> Result<(), Failure> {
    let level = match (global.quiet, global.verbose) {
        (1.., _) => "error",
        // What the SDK has to say about credentials is said by our errors, and better.
        (0, 0) => "warn,aws_config=off",
        (0, 1) => "runner=info,warn",
        (0, 2) => "runner=debug,warn",
        (0, 3..) => "runner=trace,info",
    };
    let filter = match env::var("RUNNER_LOG") {
        Ok(typed) if !typed.is_empty() => EnvFilter::try_new(&typed).map_err(|_| {
            let help = "write a level, or a level for a part: RUNNER_LOG=runner=debug";
            Failure::new(exit::USAGE, miette::miette!(help = help, "RUNNER_LOG is not understood: `{typed}`"))
        })?,
        Ok(_) | Err(_) => EnvFilter::new(level),
    };
    let live = console.live.clone();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(console.err.colour)
        .with_writer(move || AboveLive(live.clone()));
    // It can be set once per process, and only this sets it.
    let _ = match global.log {
        LogFormat::Text => builder.finish().with(filter_fn(holds_no_bodies)).try_init(),
        LogFormat::Json => builder.json().finish().with(filter_fn(holds_no_bodies)).try_init(),
    };
    Ok(())
}

/// At its finest level the SDK writes whole requests and replies, with the secrets in them: nobody gets to see these.
fn holds_no_bodies(diagnostic: &Metadata<'_>) -> bool {
    *diagnostic.level() < Level::TRACE || !diagnostic.target().starts_with("aws_smithy_runtime")
}

/// stderr, without writing into the live lines.
struct AboveLive(Live);

impl Write for AboveLive {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
