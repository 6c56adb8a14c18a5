//! `runner runs`

use serde_json::{Value, json};

use super::{
    Console, Exit, Failure,
    drive::moment,
    execute::runtime,
    exit, print,
    take_up::{Found, Journals, unreadable},
};
use crate::{
    report::{Ink, Look},
    run::{History, Stand},
};

/// List runs, and how they stand
#[derive(Clone, Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Only runs of this stack
    #[arg(long, value_name = "NAME")]
    pub stack: Option<String>,

    /// Only runs that somebody has to look at: that have not ended, or left something
    #[arg(long)]
    pub unfinished: bool,

    /// At most so many, the newest
    #[arg(long, value_name = "NUMBER", default_value = "50")]
    pub last: usize,

    /// Write one JSON object per line
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub journals: Journals,
}

const EXAMPLES: &str = "Examples:
  Runs that somebody has to look at:
    runner runs --unfinished

  How the last run of a stack ended:
    runner runs --stack shop-prod --last 1 --json | jq .exit_code";

pub fn runs(args: &Args, console: &Console) -> Result<Exit, Failure> {
    let tokio = runtime()?;
    let _tokio = tokio.enter();
    let file = args.journals.file()?;
    let (mut all, mut places) = (Vec::new(), Vec::new());
    for store in args.journals.stores(&file)? {
        for run in History::runs(&store).map_err(|error| unreadable(&error.into()))? {
            all.push((run, store.clone()));
        }
        places.push(store.to_string());
    }
    all.sort_by(|a, b| b.0.cmp(&a.0));
    let mut text = String::new();
    let mut shown = 0;
    let mut broken = Vec::new();
    for (run, store) in all {
        if shown == args.last {
            break;
        }
        // One that is broken does not hide the others.
        let found = match Found::read(store, &run) {
            Ok(found) => found,
            Err(failure) => {
                broken.push(failure);
                continue;
            }
        };
        let is_of_stack = args.stack.is_none() || found.past.stack == args.stack;
        let is_open = match found.past.stand {
            Stand::Finished { exit_code } => [exit::ROLLBACK_FAILED.code, exit::UNFINISHED.code].contains(&exit_code),
            _ => true,
        };
        if !is_of_stack || (args.unfinished && !is_open) {
            continue;
        }
        shown += 1;
        text += &if args.json { format!("{}\n", in_json(&found)) } else { line(&console.out, &found) };
    }
    if shown == 0 && broken.is_empty() && !args.json {
        text = format!("there are no such runs in {}\n", places.join(" and "));
    }
    let exit = print(&text)?;
    match broken.pop() {
        None => Ok(exit),
        Some(failure) => Err(failure),
    }
}

/// How a run stands, in a few words.
pub(super) fn stand(found: &Found) -> (Ink, String) {
    match &found.past.stand {
        Stand::Finished { exit_code } => {
            let meaning = exit::ALL.iter().find(|exit| exit.code == *exit_code).map_or("ended", |exit| exit.meaning);
            (if *exit_code == 0 { Ink::Green } else { Ink::Red }, meaning.to_owned())
        }
        Stand::Suspended { reason } => (Ink::Yellow, format!("suspended: {reason}")),
        Stand::Asks(question) => (Ink::Yellow, format!("waits for approval: {}", question.question)),
        Stand::Forward => match found.past.fences.last().map(|(_, driver, verb)| (driver, verb.as_str())) {
            Some((driver, "approve")) => {
                (Ink::Yellow, format!("approved by {}, waits for `runner resume`", driver.who))
            }
            Some((driver, "reject")) => (Ink::Yellow, format!("rejected by {}, waits for `runner resume`", driver.who)),
            _ => driven(found, "under way"),
        },
        Stand::Back => driven(found, "being rolled back"),
    }
}

/// What a run that has not stopped does, as far as that can be seen at once.
fn driven(found: &Found, what: &str) -> (Ink, String) {
    match found.store.root().map(|_| found.is_driven()) {
        Some(Ok(false)) => (Ink::Red, format!("its driver died while it was {what}: {}", found.driver())),
        Some(Ok(true)) => (Ink::Cyan, format!("{what} by {}", found.driver())),
        Some(Err(_)) | None => (Ink::Cyan, format!("{what}, or its driver died: {}", found.driver())),
    }
}

fn line(look: &Look, found: &Found) -> String {
    let past = &found.past;
    let (ink, stand) = stand(found);
    let of = past.stack.as_deref().unwrap_or(&past.started.runbook);
    format!("{}  {:<24} {}\n", found.id(), of, look.paint(ink, &stand))
}

pub(super) fn in_json(found: &Found) -> Value {
    let past = &found.past;
    let (state, exit_code) = match &past.stand {
        Stand::Finished { exit_code } => ("finished", Some(*exit_code)),
        Stand::Suspended { .. } => ("suspended", None),
        Stand::Asks(_) => ("waiting_for_approval", None),
        Stand::Forward => ("forward", None),
        Stand::Back => ("rolling_back", None),
    };
    json!({
        "run": found.id(),
        "runbook": past.started.runbook,
        "target": past.started.target,
        "environment": past.environment.as_ref().map(|environment| &environment.name),
        "stack": past.stack,
        "began": past.began,
        "last_written": found.history.last_written,
        "state": state,
        "exit_code": exit_code,
        "committed": past.committed(),
        "operations": past.operations.len(),
        "mutations": past.mutations(),
        "drivers": past.fences.iter().map(|(epoch, driver, verb)| json!({
            "epoch": epoch, "verb": verb, "who": driver.who, "process": driver.pid, "job": driver.job,
        })).collect::<Vec<_>>(),
        "version": past.started.version,
    })
}

/// For people: since when, by whom.
pub(super) fn since(found: &Found) -> String {
    format!(
        "{} by {}",
        moment(found.history.first_written),
        found.past.fences.first().map_or_else(String::new, |(_, driver, _)| driver.to_string())
    )
}
