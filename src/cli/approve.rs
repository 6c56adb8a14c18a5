//! `runner approve` and `runner reject`

use jiff::Timestamp;
use miette::miette;

use super::{
    Console, Exit, Failure,
    drive::{moment, unwritten},
    execute::runtime,
    exit, print,
    take_up::{Journals, unreadable},
};
use crate::{
    report::Ink,
    run::{Alive, Driver, Journal, Record, Stand},
    settings,
};

/// Approve what a run asks for; `runner resume` then goes on with it
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The run, or the beginning of its id
    pub run: String,

    /// Why; it is written down
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    #[command(flatten)]
    pub journals: Journals,
}

/// Reject what a run asks for; `runner resume` then takes it back
#[derive(Clone, Debug, clap::Args)]
pub struct RejectArgs {
    #[command(flatten)]
    pub args: Args,
}

pub fn approve(args: &Args, console: &Console) -> Result<Exit, Failure> {
    answer(args, true, console)
}

pub fn reject(args: &RejectArgs, console: &Console) -> Result<Exit, Failure> {
    answer(&args.args, false, console)
}

fn answer(args: &Args, approved: bool, console: &Console) -> Result<Exit, Failure> {
    let tokio = runtime()?;
    let _tokio = tokio.enter();
    let file = args.journals.file()?;
    let found = args.journals.find(&file, &args.run)?;
    let Stand::Asks(question) = &found.past.stand else {
        let answer = found.past.questions.values().filter_map(|question| question.answer.as_ref()).next_back();
        let help = match answer {
            Some((true, by, _)) => format!("{by} has approved what it asked for"),
            Some((false, by, _)) => format!("{by} has rejected what it asked for"),
            None => format!("`runner show {}{}` tells how it stands", found.id(), args.journals.flags()),
        };
        return Err(Failure::new(exit::USAGE, miette!(help = help, "run {} waits for no answer", found.id())));
    };
    let by = settings::actor();
    let starter = found.past.fences.first().map(|(_, driver, _)| driver.who.clone()).unwrap_or_default();
    if question.other_person && by == starter {
        let help = "somebody else has to answer: the runbook or the policy of its environment wants that";
        return Err(Failure::new(exit::REFUSED, miette!(help = help, "run {} was started by {by}", found.id())));
    }
    if !found.past.started.is_simulated() && question.until <= Timestamp::now() {
        let help = format!("`runner resume {}{}` does what was to be done then", found.id(), args.journals.flags());
        let until = moment(question.until);
        return Err(Failure::new(exit::USAGE, miette!(help = help, "it was to be answered until {until}")));
    }
    let epoch = found.history.epoch() + 1;
    let alive = Alive::show(&found.store, found.id(), epoch).map_err(|error| unreadable(&error.into()))?;
    let Some(_alive) = alive else {
        return Err(Failure::new(exit::LOCKED, miette!("run {} is driven by {}", found.id(), found.driver())));
    };
    let verb = if approved { "approve" } else { "reject" };
    let journal = Journal::claim(found.store.clone(), &found.history, Driver::here(), verb, false);
    let journal = journal.map_err(|error| unwritten(&error))?;
    let (id, reason) = (question.id.clone(), args.reason.clone());
    journal.commit(Record::Answered { id, approved, by, reason }).map_err(|error| unwritten(&error))?;
    let (done, said) =
        (console.out.paint(Ink::Green, console.out.done()), if approved { "approved" } else { "rejected" });
    let (question, run, flags) = (&question.question, found.id(), args.journals.flags());
    print(&format!("{done} {said}: {question}\n  go on with: runner resume {run}{flags}\n"))
}
