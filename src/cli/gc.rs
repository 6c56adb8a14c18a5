//! `runner gc`

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use super::{
    Exit, Failure,
    execute::runtime,
    print,
    take_up::{Journals, unreadable},
};
use crate::{
    report::plural,
    run::{History, Past, Stand, Store, StoreError, text_key},
};

/// Remove the journals of runs that ended long ago
///
/// Runs that have not ended stay, whatever their age. So does what cannot be read: nobody knows what it is for.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Keep what ended within this time, as in 90d
    #[arg(long, value_name = "DURATION", default_value = "90d", value_parser = days)]
    pub keep: Duration,

    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub journals: Journals,
}

pub fn gc(args: &Args) -> Result<Exit, Failure> {
    let tokio = runtime()?;
    let _tokio = tokio.enter();
    let file = args.journals.file()?;
    let oldest = Timestamp::now().checked_sub(jiff::SignedDuration::try_from(args.keep).unwrap_or_default());
    let oldest = oldest.unwrap_or(Timestamp::MIN);
    let (mut runs, mut texts) = (0, 0);
    for store in args.journals.stores(&file)? {
        let removed = sweep(&store, oldest, args.dry_run).map_err(|error| unreadable(&error.into()))?;
        runs += removed.0;
        texts += removed.1;
    }
    let verb = if args.dry_run { "would remove" } else { "removed" };
    print(&format!("{verb} {} and {} of scripts\n", plural(runs, "run"), plural(texts, "file")))
}

/// How many runs, and how many texts of scripts, were removed.
fn sweep(store: &Store, oldest: Timestamp, only_count: bool) -> Result<(usize, usize), StoreError> {
    // Before the runs: one that begins meanwhile has kept its texts after this, and they stay.
    let texts = store.list("cas")?;
    let mut needed = BTreeSet::new();
    let mut old = Vec::new();
    let mut all_are_known = true;
    for run in History::runs(store)? {
        let Ok(history) = History::read(store, &run) else {
            all_are_known = false;
            continue;
        };
        let Some(past) = Past::of(&history.entries) else { continue };
        if matches!(past.stand, Stand::Finished { .. }) && history.last_written < oldest {
            old.push(run);
        } else {
            needed.extend(past.files.into_values().map(|(_, sha256)| text_key(&sha256)));
        }
    }
    // A text may be one of a run that cannot be read.
    let unused: Vec<String> = match all_are_known && !old.is_empty() {
        true => texts.into_iter().filter(|key| !needed.contains(key)).collect(),
        false => Vec::new(),
    };
    if !only_count {
        for run in &old {
            // From its end: what is left of a journal is whole, whenever this stops.
            store.list(&format!("runs/{run}"))?.iter().rev().try_for_each(|key| store.remove(key))?;
            store.remove_folder(&format!("runs/{run}"));
        }
        unused.iter().try_for_each(|key| store.remove(key))?;
    }
    Ok((old.len(), unused.len()))
}

fn days(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a time as in `90d` or `12h`, found `{text}`");
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "d" => 24 * 3_600,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return Err(wrong()),
    };
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}
