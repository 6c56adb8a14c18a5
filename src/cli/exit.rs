//! The exit codes: what a script or a pipeline can tell apart. `--help` and the README list them.

use std::process::ExitCode;

/// An exit code and what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    pub code: u8,
    pub meaning: &'static str,
}

const fn exit(code: u8, meaning: &'static str) -> Exit {
    Exit { code, meaning }
}

pub const DONE: Exit = exit(0, "done");
pub const FAILED: Exit = exit(1, "failed before anything was changed");
pub const CHANGES: Exit = exit(2, "only with `plan --detailed-exitcode`: there are changes");
pub const USAGE: Exit = exit(3, "usage, settings or script error");
pub const PERMISSION: Exit = exit(4, "credentials or permission");
pub const REFUSED: Exit = exit(5, "refused by policy");
pub const LOCKED: Exit = exit(6, "locked by another run");
pub const STALE: Exit = exit(7, "stale plan");
pub const INTERRUPTED: Exit = exit(8, "suspended or interrupted");
pub const TIMED_OUT: Exit = exit(9, "timed out");
pub const ROLLED_BACK: Exit = exit(10, "failed and rolled back");
pub const ROLLBACK_FAILED: Exit = exit(11, "failed, and rollback failed or was not possible");
pub const UNFINISHED: Exit = exit(12, "deployed, clean-up unfinished");
pub const BUG: Exit = exit(70, "a bug in runner");

pub const ALL: [Exit; 14] = [
    DONE,
    FAILED,
    CHANGES,
    USAGE,
    PERMISSION,
    REFUSED,
    LOCKED,
    STALE,
    INTERRUPTED,
    TIMED_OUT,
    ROLLED_BACK,
    ROLLBACK_FAILED,
    UNFINISHED,
    BUG,
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code.into()
    }
}

/// For the end of `--help`.
pub fn table() -> String {
    let rows = ALL.iter().map(|exit| format!("\n  {:>2}  {}", exit.code, exit.meaning));
    format!("Exit codes:{}", rows.collect::<String>())
}
