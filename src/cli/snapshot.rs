//! `runner snapshot`

use std::path::PathBuf;

use miette::miette;

use super::{
    Console, Exit, Failure, Global, check,
    drive::by_cause,
    execute::runtime,
    exit,
    inputs::{self, Inputs, Place},
    print,
    rehearse::{Purpose, live, rehearse},
};
use crate::{api, settings::Target};

/// Write down what a plan reads of a live account, for `plan --offline`
///
/// Makes the plan of the runbook, and writes all that was read of the account to a file. What is or looks like a secret is
/// left out, also in user data.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub inputs: Inputs,

    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    #[command(flatten)]
    pub place: Place,
}

pub fn snapshot(args: &Args, global: &Global, console: &Console) -> Result<Exit, Failure> {
    let settings = inputs::settings(&args.inputs, &args.place, false)?;
    check::before(&settings, global, console)?;
    let runbook = api::load(&settings.runbook, &settings.project_root)
        .map_err(|failure| Failure::new(exit::USAGE, *failure.problem))?;
    if settings.target == Target::Sim {
        let help = "plan on it with `runner plan --sim --world DIR`";
        return Err(Failure::new(exit::USAGE, miette!(help = help, "a simulated world is a folder already")));
    }
    let tokio = runtime()?;
    let _tokio = tokio.enter();
    let stage = live(settings.endpoint_url.clone(), settings.seed);
    let rehearsal = rehearse(&settings, &runbook, &stage, Purpose::Plan(None), Vec::new());
    if let Some(failure) = rehearsal.failure {
        // What was not read is not in the file: it would be of no use.
        return Err(Failure::new(by_cause(&failure.kind).1, *failure.problem));
    }
    stage
        .simulator
        .snapshot(&args.out, &rehearsal.secrets)
        .map_err(|error| Failure::new(exit::FAILED, miette!("{error}")))?;
    print(&format!("wrote {}\n", args.out.display()))
}
