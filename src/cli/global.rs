//! The flags that every verb has.

use std::ffi::OsString;

use clap::{ArgAction, Args, ColorChoice, ValueEnum};

use crate::report::Verbosity;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// When to use colour: auto, always or never; auto heeds NO_COLOR and CLICOLOR_FORCE
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub color: Colour,

    /// Show more: -v all fields, retries and undos, -vv every call
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,

    /// Show less: -q the summary only, -qq errors only
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub quiet: u8,

    /// How diagnostics are written to stderr: text or json; RUNNER_LOG or -v say how much
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    #[arg(hide_default_value = true, hide_possible_values = true)]
    pub log: LogFormat,

    /// Never ask; fail where an answer would be needed
    #[arg(long, global = true)]
    pub no_input: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

impl Global {
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (2.., _) => Verbosity::Errors,
            (1, _) => Verbosity::Summary,
            (0, 0) => Verbosity::Normal,
            (0, 1) => Verbosity::Verbose,
            (0, 2..) => Verbosity::Calls,
        }
    }
}

impl From<Colour> for ColorChoice {
    fn from(colour: Colour) -> Self {
        match colour {
            Colour::Auto => Self::Auto,
            Colour::Always => Self::Always,
            Colour::Never => Self::Never,
        }
    }
}

/// `--color` for what is said before the command line is understood: help and usage errors.
pub fn typed_colour(args: &[OsString]) -> Colour {
    let args: Vec<&str> = args.iter().filter_map(|arg| arg.to_str()).take_while(|arg| *arg != "--").collect();
    let spaced = args.windows(2).filter(|pair| pair[0] == "--color").map(|pair| pair[1]);
    let joined = args.iter().filter_map(|arg| arg.strip_prefix("--color="));
    spaced.chain(joined).find_map(|value| Colour::from_str(value, false).ok()).unwrap_or(Colour::Auto)
}
