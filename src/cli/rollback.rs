//! `runner rollback`

use std::sync::Arc;

use miette::miette;

use super::{
    Console, Exit, Failure, Global,
    execute::runtime,
    exit, inputs,
    policy::PolicyArgs,
    resume::{go_back, replay_for_hooks, unchanged},
    rollback_stack,
    run::reports,
    take_up::{Again, Journals},
};
use crate::{event::UndoOutcome, run::Stand, settings::OnInterrupt};

/// Take back what a run did
///
/// From its journal alone, from any machine: a run that was suspended or killed, or one that has succeeded, until its point of no return.
/// What a rollback could not take back is tried again. Traffic goes back first.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The run, or the beginning of its id
    #[arg(required_unless_present = "stack")]
    pub run: Option<String>,

    /// Put the version before back on this stack, from what AWS has: for when nobody has the journal
    #[arg(long, value_name = "NAME", conflicts_with_all = ["run", "skip", "mark_done"])]
    pub stack: Option<String>,

    /// Put this version back, as `runner status` names it: web-green:3
    #[arg(long, value_name = "VERSION", requires = "stack")]
    pub to: Option<String>,

    /// The environment of the stack, if its name does not end with it
    #[arg(long, value_name = "NAME", requires = "stack")]
    pub env: Option<String>,

    /// The stack is in the simulated AWS
    #[arg(long, requires = "stack")]
    pub sim: bool,

    /// The stack is behind an AWS-compatible server
    #[arg(long, value_name = "URL", requires = "stack", conflicts_with = "sim")]
    pub endpoint_url: Option<String>,

    /// Leave this change as it is; repeatable
    #[arg(long, value_name = "CALL", requires = "reason")]
    pub skip: Vec<String>,

    /// Say of this change that it was taken back by hand; repeatable
    #[arg(long, value_name = "CALL", requires = "reason")]
    pub mark_done: Vec<String>,

    #[command(flatten)]
    pub journals: Journals,

    #[command(flatten)]
    pub again: Again,

    /// Write events to stdout, one JSON object per line, and nothing else
    #[arg(long)]
    pub json: bool,

    /// Why; it is written down
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

const EXAMPLES: &str = "Examples:
  Take a run back:
    runner rollback 20261127-101502-k3f9

  Three in the morning, and nobody has the journal:
    runner status shop-prod
    runner rollback --stack shop-prod

  What it could not delete is gone now:
    runner rollback 20261127-101502-k3f9 --mark-done '4/ec2:CreateVpc/vpc main' --reason 'deleted in the console'";

pub fn rollback(args: &Args, global: &Global, console: &Console) -> Result<Exit, Failure> {
    let Some(wanted) = &args.run else {
        return of_stack(args, global, console);
    };
    let tokio = runtime()?;
    let _tokio = tokio.enter();
    let file = args.journals.file()?;
    let found = args.journals.find(&file, wanted)?;
    if let Some(label) = found.past.committed() {
        let help = "run the runbook with the version before, which goes forward to it";
        let message = miette!(help = help, "run {} has passed its point of no return: {label}", found.id());
        return Err(Failure::new(exit::USAGE, message));
    }
    if matches!(found.past.stand, Stand::Finished { exit_code } if exit_code == exit::ROLLED_BACK.code) {
        return Err(Failure::new(exit::USAGE, miette!("run {} was rolled back already", found.id())));
    }
    let reports = reports(args.json, global, console);
    let taken = found.take_up(&file, &args.again, &PolicyArgs::default(), OnInterrupt::Suspend, "rollback", reports)?;
    let run = Arc::clone(taken.run());
    run.found_by(args.journals.flags());
    taken.driving.obey_signals(&tokio);
    let reason = args.reason.clone().unwrap_or_default();
    let said = args.skip.iter().map(|path| (path, UndoOutcome::Kept));
    let said = said.chain(args.mark_done.iter().map(|path| (path, UndoOutcome::Undone)));
    for (path, outcome) in said {
        run.mark_undo(path, outcome, &reason)
            .inspect_err(|_| unchanged(&run))
            .map_err(|message| Failure::new(exit::USAGE, miette!("{message}")))?;
    }
    replay_for_hooks(&taken);
    let why = if reason.is_empty() { "asked for".to_owned() } else { reason };
    Ok(match go_back(taken.driving, &why)? {
        // It was asked for: that it happened is no failure.
        exit if exit == exit::ROLLED_BACK => exit::DONE,
        exit => exit,
    })
}

/// The version before, without any run.
fn of_stack(args: &Args, global: &Global, console: &Console) -> Result<Exit, Failure> {
    let wanted = rollback_stack::Wanted {
        stack: args.stack.as_deref().unwrap_or_default(),
        env: args.env.as_deref(),
        version: args.to.as_deref(),
    };
    let place = inputs::Place {
        sim: args.sim,
        endpoint_url: args.endpoint_url.clone(),
        world: args.again.world.clone(),
        journal: args.journals.journal.clone(),
        ..inputs::Place::default()
    };
    rollback_stack::rollback(&wanted, args.journals.config.clone(), &place, args.json, global, console)
}
