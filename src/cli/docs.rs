//! `runner docs`

use super::{Exit, Failure, exit};

/// Explain what runbooks can do: all operations, or one with its options
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The operation to explain, such as `ensure_vpc`
    operation: Option<String>,
}

pub fn docs(args: &Args) -> Result<Exit, Failure> {
    let _ = &args.operation;
    Err(Failure::new(exit::BUG, miette::miette!("not built yet")))
}
