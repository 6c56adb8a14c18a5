//! `runner show`

use std::{thread, time::Duration};

use super::{
    Console, Exit, Failure, Global,
    execute::runtime,
    exit, print,
    runs::{in_json, since, stand},
    take_up::{Found, Journals},
};
use crate::{
    report::{Account, Ink, Look, lines},
    run::{Entry, History, Record, Stand},
};

/// Show what a run did, and what would take it back
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The run, or the beginning of its id
    pub run: String,

    /// What `runner rollback` would do, in its order
    #[arg(long)]
    pub undo_plan: bool,

    /// Follow a run that another process drives, until it stops
    #[arg(long, conflicts_with_all = ["undo_plan", "json"])]
    pub watch: bool,

    /// Write one JSON object
    #[arg(long)]
    pub json: bool,

    /// Write a page instead: markdown, for a ticket, or html, for a browser
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, conflicts_with_all = ["undo_plan", "json", "watch"])]
    pub page: Option<Page>,

    /// Write the records of the journal, one JSON object per line
    #[arg(long, conflicts_with_all = ["undo_plan", "json", "watch", "page"])]
    pub records: bool,

    #[command(flatten)]
    pub journals: Journals,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Page {
    Markdown,
    Html,
}

/// How often a run that is followed is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What is on a page is not painted.
const PLAIN: Look = Look { colour: false, unicode: true, width: 100 };

pub fn show(args: &Args, _: &Global, console: &Console) -> Result<Exit, Failure> {
    let tokio = runtime()?;
    let _tokio = tokio.enter();
    let file = args.journals.file()?;
    let found = args.journals.find(&file, &args.run)?;
    if args.records {
        let lines = found.history.entries.iter().map(|entry| serde_json::to_string(entry).unwrap_or_default() + "\n");
        return print(&lines.collect::<String>());
    }
    if args.json {
        return print(&format!("{}\n", in_json(&found)));
    }
    if let Some(page) = args.page {
        let account = account(&found);
        return print(&match page {
            Page::Markdown => account.markdown(),
            Page::Html => account.html(),
        });
    }
    if args.watch {
        return watch(found, &console.out);
    }
    let look = &console.out;
    let mut text = head(look, &found);
    if args.undo_plan {
        text += &undo_plan(look, &found);
        return print(&text);
    }
    text.push('\n');
    text += &found.history.entries.iter().flat_map(|entry| line(look, entry)).collect::<String>();
    print(&text)
}

fn head(look: &Look, found: &Found) -> String {
    pairs(look, found).iter().map(|(key, text)| format!("{}\n", lines::pair(look, key, text))).collect()
}

/// What a run is about: a key and its text.
fn pairs(look: &Look, found: &Found) -> Vec<(&'static str, String)> {
    let past = &found.past;
    let (ink, stands) = stand(found);
    let mut pairs = vec![
        ("runbook", past.started.runbook.clone()),
        ("run", found.id().to_owned()),
        ("target", past.started.target.clone()),
    ];
    if let Some(environment) = &past.environment {
        let dot = look.dot();
        let account = past.accounts.get(&environment.scope).map_or("", String::as_str);
        let place = format!("{} {dot} {} {dot} account {}", environment.name, environment.scope.region, account);
        pairs.push(("environment", place));
    }
    pairs.extend(past.stack.clone().map(|stack| ("stack", stack)));
    pairs.push(("began", since(found)));
    for (_, driver, verb) in past.fences.iter().skip(1) {
        pairs.push(("then", format!("{verb} by {driver}")));
    }
    pairs.push(("state", look.paint(ink, &stands)));
    pairs
}

/// All of it, for a page.
fn account(found: &Found) -> Account {
    let rows =
        found.history.entries.iter().filter_map(|entry| told(&PLAIN, &entry.record).map(|text| (time(entry), text)));
    let undo = match found.past.committed() {
        Some(_) => Vec::new(),
        None => History::undo_plan(&found.history.entries).into_iter().map(|(_, what, done)| (what, done)).collect(),
    };
    Account { run: found.id().to_owned(), head: pairs(&PLAIN, found), rows: rows.collect(), undo }
}

fn time(entry: &Entry) -> String {
    entry.at.strftime("%H:%M:%S").to_string()
}

/// A record as a line, if people want to see it.
fn line(look: &Look, entry: &Entry) -> Option<String> {
    Some(format!("{} {}\n", look.paint(Ink::Dim, &time(entry)), told(look, &entry.record)?))
}

fn told(look: &Look, record: &Record) -> Option<String> {
    Some(match record {
        Record::Operation { id, operation, subject, .. } => format!("{id:<8} {operation} {subject}"),
        Record::OperationEnded { id, result, error } => match error {
            Some(error) => format!("{id:<8} {} {}", look.paint(Ink::Red, look.failed()), error.message),
            None => {
                let change = result.as_ref().and_then(|result| result.get("change")?.as_str());
                let is_quiet = change.is_none_or(|change| change == "read" || change == "unchanged");
                let ink = if is_quiet { Ink::Dim } else { Ink::Green };
                format!("{id:<8} {} {}", look.paint(ink, look.done()), change.unwrap_or("done"))
            }
        },
        Record::Intent(intent) => format!("{:<8} {} {}", "", look.pick("»", ">"), intent.path),
        Record::Attempt { path, attempt } => format!("{:<8} {path}: attempt {attempt}", ""),
        Record::Result { path, said: Some(said), error, .. } => {
            let done = if error.is_none() { "carried out" } else { "not carried out" };
            format!("{:<8} {path}: {done}, says {said}", "")
        }
        Record::Result { path, error: Some(error), in_doubt, .. } => {
            let doubt = if *in_doubt { ", and it may have been carried out" } else { "" };
            format!("{:<8} {} {path}: {}{doubt}", "", look.paint(Ink::Red, look.failed()), error.message)
        }
        Record::Committed { label } => format!("{:<8} point of no return: {label}", ""),
        Record::Asked { id, question, .. } => format!("{id:<8} asks: {question}"),
        Record::Answered { id, approved, by, reason } => {
            let answer = if *approved { "approved" } else { "rejected" };
            let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{id:<8} {answer} by {by}{reason}")
        }
        Record::Suspended { reason } => format!("{:<8} suspended: {reason}", ""),
        Record::Fence { epoch, driver, verb } => format!("{:<8} {verb} by {driver} (driver {epoch})", ""),
        Record::RollbackStarted { reason } => format!("{:<8} rolled back: {reason}", ""),
        Record::UndoEnded { undo, outcome, detail, by, .. } => {
            let by = by.as_ref().map(|by| format!(", says {by}")).unwrap_or_default();
            let detail = detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
            let ink = if outcome.stays() { Ink::Red } else { Ink::Green };
            let outcome =
                serde_json::to_value(outcome).ok().and_then(|outcome| Some(outcome.as_str()?.replace('_', " ")));
            format!("{:<8} {undo}: {}{by}{detail}", "", look.paint(ink, &outcome.unwrap_or_default()))
        }
        Record::HookEnded { hook, error } => {
            let error = error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
            format!("{:<8} hook {hook}{error}", "")
        }
        Record::Override { check, reason, by } => format!("{:<8} {check} set aside by {by}: {reason}", ""),
        Record::Finished { exit_code } => format!("{:<8} ended with exit code {exit_code}", ""),
        _ => return None,
    })
}

/// What takes the run back, in the order in which that would happen.
fn undo_plan(look: &Look, found: &Found) -> String {
    if let Some(label) = found.past.committed() {
        return format!("\nnothing is taken back after the point of no return: {label}\n");
    }
    let plan = History::undo_plan(&found.history.entries);
    if plan.is_empty() {
        return "\nthere is nothing to take back\n".to_owned();
    }
    let line = |(path, what, done): &(String, String, bool)| {
        let done = if *done { look.paint(Ink::Dim, " (done)") } else { String::new() };
        let call = if path.is_empty() { String::new() } else { look.paint(Ink::Dim, &format!("      '{path}'\n")) };
        format!("  {what}{done}\n{call}")
    };
    format!("\nto take it back:\n{}", plan.iter().map(line).collect::<String>())
}

/// Writes what is new, until the run has stopped.
fn watch(mut found: Found, look: &Look) -> Result<Exit, Failure> {
    let mut seen = 0;
    print(&format!("{}\n", head(look, &found)))?;
    loop {
        let new: String = found.history.entries.iter().skip(seen).filter_map(|entry| line(look, entry)).collect();
        seen = found.history.entries.len();
        print(&new)?;
        match found.past.stand {
            Stand::Finished { .. } | Stand::Suspended { .. } | Stand::Asks(_) => return Ok(exit::DONE),
            Stand::Forward | Stand::Back => {}
        }
        thread::sleep(LOOK);
        let (store, id) = (found.store.clone(), found.id().to_owned());
        found = Found::read(store, &id)?;
    }
}
