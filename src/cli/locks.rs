//! `runner locks` and `runner unlock`

use miette::miette;
use serde_json::json;

use super::{
    Console, Exit, Failure,
    drive::{moment, unwritten},
    execute::runtime,
    exit, print,
    take_up::{Found, Journals, unreadable},
};
use crate::{
    report::Ink,
    run::{Lock, Record, Store},
};

/// List what runs keep others out of
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Write one JSON object per line
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub journals: Journals,
}

/// Take a lock from a run that nobody will go on with
///
/// The run is fenced first: it can do nothing more, also if its driver lives. What it did stays as it is; `runner rollback` takes it back.
#[derive(Clone, Debug, clap::Args)]
pub struct UnlockArgs {
    /// The lock, as `runner locks` names it, or the end of its name
    pub lock: String,

    /// Why; it is written down
    #[arg(long, value_name = "TEXT", required = true)]
    pub reason: String,

    /// Take it also from a run whose driver seems to live
    #[arg(long)]
    pub takeover: bool,

    #[command(flatten)]
    pub journals: Journals,
}

pub fn locks(args: &Args) -> Result<Exit, Failure> {
    let tokio = runtime()?;
    let _tokio = tokio.enter();
    let mut text = String::new();
    for (_, lock, stand) in all(&args.journals)? {
        let holder = &lock.holder;
        text += &if args.json {
            format!(
                "{}\n",
                json!({
                    "lock": lock.name, "run": holder.run, "who": holder.driver.who, "process": holder.driver.pid,
                    "job": holder.driver.job, "since": holder.since, "state": stand,
                })
            )
        } else {
            format!(
                "{}\n  run {} of {}, since {}: {stand}\n",
                lock.name,
                holder.run,
                holder.driver,
                moment(holder.since)
            )
        };
    }
    if text.is_empty() && !args.json {
        text = "nothing is locked\n".to_owned();
    }
    print(&text)
}

fn all(journals: &Journals) -> Result<Vec<(Store, Lock, String)>, Failure> {
    let file = journals.file()?;
    let mut locks = Vec::new();
    for store in journals.stores(&file)? {
        let held = Lock::all(&store).map_err(|error| unreadable(&error.into()))?;
        locks.extend(held.into_iter().map(|(lock, stand)| (store.clone(), lock, stand)));
    }
    Ok(locks)
}

pub fn unlock(args: &UnlockArgs, console: &Console) -> Result<Exit, Failure> {
    let tokio = runtime()?;
    let _tokio = tokio.enter();
    let mut locks = all(&args.journals)?;
    locks.retain(|(_, lock, _)| lock.name.ends_with(&args.lock));
    let Some((store, lock, _)) = locks.pop().filter(|_| locks.is_empty()) else {
        let what = if locks.is_empty() { "there is no lock" } else { "there is more than one lock" };
        let help = "`runner locks` lists them";
        return Err(Failure::new(exit::USAGE, miette!(help = help, "{what} `{}`", args.lock)));
    };
    let found = match Found::read(store.clone(), &lock.holder.run) {
        // Nobody goes on with a run whose journal is broken.
        Err(_) if args.takeover => {
            lock.break_open(&store, &args.reason).map_err(|error| unreadable(&error.into()))?;
            let done = console.out.paint(Ink::Green, console.out.done());
            return print(&format!("{done} {} is free\n", lock.name));
        }
        found => found?,
    };
    if !args.takeover && found.is_driven()? {
        let help = "end it, or give `--takeover`: it can do nothing more from then on";
        return Err(Failure::new(
            exit::LOCKED,
            miette!(help = help, "run {} is driven by {}", found.id(), found.driver()),
        ));
    }
    let (found, journal) = found.claim("unlock", args.takeover)?;
    let reason = format!("its lock was taken: {}", args.reason);
    journal.commit(Record::Suspended { reason }).map_err(|error| unwritten(&error))?;
    lock.break_open(&store, &args.reason).map_err(|error| unreadable(&error.into()))?;
    let done = console.out.paint(Ink::Green, console.out.done());
    print(&format!("{done} {} is free\n  take back what the run did: runner rollback {}\n", lock.name, found.id()))
}
