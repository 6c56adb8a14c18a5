//! `runner completions`

use clap_complete::Shell;

use super::{Exit, Failure, command, print};

/// Write a completion script for a shell
///
/// For bash: `source <(runner completions bash)`, in ~/.bashrc to have it always.
#[derive(Debug, clap::Args)]
pub struct Args {
    shell: Shell,
}

pub fn completions(args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "runner", &mut script);
    print(&String::from_utf8_lossy(&script))
}
