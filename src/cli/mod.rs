//! The command line: what can be typed, and which verb that is.
//!
//! One verb per file: its `Args`, whose doc comments are the help, and its function. What is typed
//! becomes settings in [`crate::settings`].

pub mod against;
pub mod approve;
pub mod exit;

pub mod check;
mod completions;
mod console;
mod diagnostic;
mod docs;
mod drive;
mod execute;
mod findings;
pub mod gc;
mod global;
pub mod healthcheck;
mod init;
pub mod inputs;
pub mod locks;
mod logging;
mod place;
mod plan;
mod planner;
pub mod policy;
mod rehearse;
pub mod resume;
pub mod rollback;
mod rollback_stack;
pub mod run;
pub mod runs;
pub mod show;
mod sim;
mod snapshot;
pub mod status;
mod sweep;
pub mod take_up;
mod test;
pub mod untrusted;

use std::{
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{
    CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::styling::{AnsiColor, Styles},
};

pub use console::Console;
pub use diagnostic::Failure;
pub use exit::Exit;
pub use global::Global;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Runs runbooks that change AWS safely: blue/green deploys with rollback, on AWS API calls alone
#[derive(Debug, Parser)]
#[command(name = "runner", version, styles = STYLES, after_long_help = exit::table(), max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    global: Global,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Init(init::Args),
    Run(Box<run::Args>),
    Plan(Box<plan::Args>),
    Resume(Box<resume::Args>),
    Rollback(Box<rollback::Args>),
    Runs(runs::Args),
    Show(show::Args),
    Status(Box<status::Args>),
    Approve(approve::Args),
    Reject(approve::RejectArgs),
    Locks(locks::Args),
    Unlock(locks::UnlockArgs),
    Gc(gc::Args),
    Snapshot(snapshot::Args),
    Test(test::Args),
    Sim(sim::Args),
    Check(check::Args),
    Healthcheck(Box<healthcheck::Args>),
    Docs(docs::Args),
    Completions(completions::Args),
}

/// All that can be typed.
fn command() -> clap::Command {
    Cli::command().mut_subcommand("run", run::options_of_plan_need_dry_run)
}

/// Does what is typed.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    let command = command().color(global::typed_colour(&args).into());
    let Cli { verb, global } =
        match command.try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches)) {
            Ok(cli) => cli,
            Err(asked) => return help_or_usage(&asked).into(),
        };
    let console = Console::new(&global);
    let ended = logging::init(&global, &console).and_then(|()| match verb {
        Verb::Init(args) => init::init(&args),
        Verb::Run(args) => run::run(*args, &global, &console),
        Verb::Plan(args) => plan::plan(&args, &global, &console),
        Verb::Resume(args) => resume::resume(&args, &global, &console),
        Verb::Rollback(args) => rollback::rollback(&args, &global, &console),
        Verb::Runs(args) => runs::runs(&args, &console),
        Verb::Show(args) => show::show(&args, &global, &console),
        Verb::Status(args) => status::status(&args, &console),
        Verb::Approve(args) => approve::approve(&args, &console),
        Verb::Reject(args) => approve::reject(&args, &console),
        Verb::Gc(args) => gc::gc(&args),
        Verb::Locks(args) => locks::locks(&args),
        Verb::Unlock(args) => locks::unlock(&args, &console),
        Verb::Snapshot(args) => snapshot::snapshot(&args, &global, &console),
        Verb::Test(args) => test::test(&args, &global, &console),
        Verb::Sim(args) => sim::sim(args, &global, &console),
        Verb::Check(args) => check::check(args, &console),
        Verb::Healthcheck(args) => healthcheck::healthcheck(&args, &console),
        Verb::Docs(args) => docs::docs(&args),
        Verb::Completions(args) => completions::completions(&args),
    });
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => failure.show(&console).into(),
    }
}

/// clap's own exit code for usage errors is another one.
fn help_or_usage(asked: &clap::Error) -> Exit {
    // Nobody is left to be told when this cannot be written.
    let _ = asked.print();
    if asked.use_stderr() { exit::USAGE } else { exit::DONE }
}

/// Writes a result to stdout. That the reader has had enough is not a failure.
fn print(text: &str) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(exit::FAILED, miette::miette!("cannot write to stdout: {error}")))
        }
        Ok(()) | Err(_) => Ok(exit::DONE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }
}
