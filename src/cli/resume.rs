//! `runner resume`

use std::sync::Arc;

use jiff::Timestamp;
use miette::miette;

use super::{
    Console, Exit, Failure, Global,
    drive::{Driving, suspend, tell_what_is_left},
    execute::{consent, given, runtime},
    exit,
    policy::PolicyArgs,
    run::reports,
    take_up::{Again, Found, Journals, Taken, unreadable},
};
use crate::{
    api::Host,
    event::Outcome,
    report::Verbosity,
    run::{History, Refused, Run, Stand},
    settings::OnInterrupt,
};

/// Go on with a run that was suspended, killed, or lost its machine
///
/// It goes on from its journal, from any machine: what was done is not done again, and what was under way is looked for. It uses the
/// script that the run began with, whatever is in the project now. A run that was being rolled back is rolled back further.
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The run, or the beginning of its id
    #[arg(required_unless_present = "due")]
    pub run: Option<String>,

    /// Go on with all runs that can: whose driver died, which were approved, or which waited for an answer too long
    #[arg(long, conflicts_with = "run")]
    pub due: bool,

    #[command(flatten)]
    pub journals: Journals,

    #[command(flatten)]
    pub again: Again,

    /// Say of a call whose outcome nobody knows that it was carried out; repeatable
    #[arg(long, value_name = "CALL", requires = "reason", conflicts_with = "due")]
    pub mark_done: Vec<String>,

    /// Say of a call whose outcome nobody knows that it was not carried out; repeatable
    #[arg(long, value_name = "CALL", requires = "reason", conflicts_with = "due")]
    pub mark_not_done: Vec<String>,

    /// What a signal does: suspend or rollback
    #[arg(long, value_name = "WHAT", default_value = "suspend", hide_possible_values = true)]
    pub on_interrupt: OnInterrupt,

    /// Write events to stdout, one JSON object per line, and nothing else
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub policy: PolicyArgs,
}

const EXAMPLES: &str = "Examples:
  Go on with a run:
    runner resume 20261127-101502-k3f9

  In a schedule, every few minutes: whatever can go on, does
    runner resume --due";

pub fn resume(args: &Args, global: &Global, console: &Console) -> Result<Exit, Failure> {
    let tokio = runtime()?;
    let _tokio = tokio.enter();
    let file = args.journals.file()?;
    let Some(run) = &args.run else { return due(args, &tokio, global, console) };
    let found = args.journals.find(&file, run)?;
    if let Stand::Finished { exit_code } = found.past.stand {
        return Err(ended(found.id(), exit_code));
    }
    go_on(found, args, &tokio, global, console)
}

/// The failure of a run that has come to its end.
fn ended(run: &str, exit_code: u8) -> Failure {
    let meaning =
        exit::ALL.iter().find(|exit| exit.code == exit_code).map_or("an exit code of old", |exit| exit.meaning);
    let help = match exit_code {
        code if code == exit::DONE.code => "`runner rollback` takes it back, until its point of no return",
        _ => "run the runbook again",
    };
    Failure::new(exit::USAGE, miette!(help = help, "run {run} has ended: {meaning}"))
}

/// All runs that can go on. The worst exit code is the command's.
fn due(args: &Args, tokio: &tokio::runtime::Runtime, global: &Global, console: &Console) -> Result<Exit, Failure> {
    let file = args.journals.file()?;
    let mut worst: Result<Exit, Failure> = Ok(exit::DONE);
    let mut is_any = false;
    for store in args.journals.stores(&file)? {
        for run in History::runs(&store).map_err(|error| unreadable(&error.into()))? {
            // One that is broken, or just being begun, does not keep others waiting.
            let found = match Found::read(store.clone(), &run) {
                Ok(found) => found,
                Err(failure) => {
                    failure.show(console);
                    continue;
                }
            };
            if !is_due(&found)? {
                continue;
            }
            is_any = true;
            // Others are not to wait for one that fails.
            let ended = go_on(found, args, tokio, global, console);
            worst = match (worst, ended) {
                (Err(before), Ok(_)) => Err(before),
                (Err(before), Err(failure)) => {
                    before.show(console);
                    Err(failure)
                }
                (Ok(_), ended) => ended,
            };
        }
    }
    if !is_any && global.verbosity() >= Verbosity::Normal {
        super::print("nothing is due\n")?;
    }
    worst
}

fn is_due(found: &Found) -> Result<bool, Failure> {
    match &found.past.stand {
        Stand::Finished { .. } | Stand::Suspended { .. } => Ok(false),
        // Of a simulated world, only its own clock could tell.
        Stand::Asks(question) => Ok(!found.past.started.is_simulated() && question.until <= Timestamp::now()),
        Stand::Forward | Stand::Back => Ok(!found.is_driven()?),
    }
}

fn go_on(
    found: Found,
    args: &Args,
    tokio: &tokio::runtime::Runtime,
    global: &Global,
    console: &Console,
) -> Result<Exit, Failure> {
    let file = args.journals.file()?;
    let reports = reports(args.json, global, console);
    let mut taken = found.take_up(&file, &args.again, &args.policy, args.on_interrupt, "resume", reports)?;
    taken.settings.interactive = console.interactive;
    let run = Arc::clone(taken.run());
    run.found_by(args.journals.flags());
    run.asks(consent(console.interactive));
    taken.driving.obey_signals(tokio);
    if run.is_rolling_back() {
        replay_for_hooks(&taken);
        return go_back(taken.driving, "it was being rolled back");
    }
    mark(&run, args).inspect_err(|_| unchanged(&run))?;
    let Taken { driving, settings, runbook } = taken;
    let runbook =
        runbook.inspect_err(|_| unchanged(&run)).map_err(|failure| Failure::new(exit::USAGE, *failure.problem))?;
    let host = Host::new(run, given(&settings));
    let failure = host.execute(&runbook).err();
    driving.end(failure)
}

/// It could not be gone on with, and is as it was before: no schedule takes it up by itself.
pub(super) fn unchanged(run: &Run) {
    // It is taken for one whose driver died, otherwise.
    let _ = run.suspend("it could not be gone on with");
}

/// Writes down what a person says of calls whose outcome is not known.
fn mark(run: &Run, args: &Args) -> Result<(), Failure> {
    let reason = args.policy.reason.as_deref().unwrap_or_default();
    let done = args.mark_done.iter().map(|path| (path, true));
    let marks = done.chain(args.mark_not_done.iter().map(|path| (path, false)));
    for (path, done) in marks {
        let error = (!done).then(Refused::by_a_person);
        run.mark(path, error, reason).map_err(|message| Failure::new(exit::USAGE, miette!("{message}")))?;
    }
    Ok(())
}

/// Runs the script as far as it is on record: the closures of its hooks are in it.
pub(super) fn replay_for_hooks(taken: &Taken) {
    let run = taken.run();
    let Ok(runbook) = &taken.runbook else { return };
    if !run.has_hooks_of_before() {
        return;
    }
    run.only_replay();
    let host = Box::leak(Box::new(Host::new(Arc::clone(run), given(&taken.settings))));
    // It ends where the record does.
    let _ = host.execute(runbook);
}

/// Takes the run back, and says how that went.
pub(super) fn go_back(driving: Driving, reason: &str) -> Result<Exit, Failure> {
    // Whoever has taken its locks meanwhile may be at the same things.
    if let Err(error) = driving.run.lock_again() {
        let (message, help) = (error.to_string(), error.hint().unwrap_or_default());
        let exit = exit::LOCKED;
        suspend(&driving.run, &message, exit);
        return Err(Failure::new(exit, miette!(help = help, "{message}")));
    }
    let report = driving.run.roll_back(reason);
    let (outcome, exit) = if report.lost {
        suspend(&driving.run, "the journal could not be written", exit::INTERRUPTED)
    } else if report.is_clean() {
        (Outcome::RolledBack, exit::ROLLED_BACK)
    } else {
        tell_what_is_left(&driving.run, &report);
        (Outcome::RollbackFailed, exit::ROLLBACK_FAILED)
    };
    driving.close(outcome, exit, None)?;
    Ok(exit)
}

impl Refused {
    fn by_a_person() -> Self {
        Self {
            kind: crate::ops::CallErrorKind::NotSent,
            code: None,
            message: "somebody has looked, and it was not carried out".to_owned(),
            request_id: None,
            attempts: 1,
        }
    }
}
