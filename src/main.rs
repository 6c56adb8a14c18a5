//! The binary: all of it is in the library.

use std::{env, panic, process::ExitCode};

use runner::cli;

fn main() -> ExitCode {
    // A panic has been told on stderr by then, with its place.
    panic::catch_unwind(|| cli::main(env::args_os())).unwrap_or_else(|_| cli::exit::BUG.into())
}
