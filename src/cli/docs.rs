//! `runner docs`

use std::fmt::Write as _;

use miette::miette;

use super::{Exit, Failure, exit, print};
use crate::api;

/// Explain what runbooks can do: all operations, or one with its options
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The operation to explain, such as `ensure_vpc`
    operation: Option<String>,
}

pub fn docs(args: &Args) -> Result<Exit, Failure> {
    match &args.operation {
        None => print(&index()),
        Some(name) => {
            let text = api::docs::text_of(name).map_err(|message| Failure::new(exit::USAGE, miette!("{message}")))?;
            print(&text)
        }
    }
}

/// Everything there is, a line each.
fn index() -> String {
    let index = api::docs::index();
    let names = index.iter().flat_map(|(_, entries)| entries).map(|(name, _)| name.len());
    let width = names.max().unwrap_or_default();
    let mut text = String::new();
    for (area, entries) in &index {
        let _ = writeln!(text, "{area}");
        for (name, sentence) in entries {
            let _ = writeln!(text, "  {name:width$}  {sentence}");
        }
        text.push('\n');
    }
    text + "`runner docs NAME` explains one of them with all its options.\n"
}
