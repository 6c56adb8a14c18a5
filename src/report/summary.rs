//! The end of a run: what became of it, what it gave, and its figures.

use super::{
    Ink, Look,
    words::{clean, count, friendly, value},
};
use crate::event::{Outcome, Summary};

/// `failed`: something went wrong; a rollback may also have been asked for.
pub fn lines(look: &Look, outcome: Outcome, failed: bool, simulated: bool, summary: &Summary) -> Vec<String> {
    let figures = figures(simulated, summary);
    let mut outputs: Vec<(&str, String)> = Vec::new();
    if let Some(stack) = &summary.stack {
        outputs.push(("stack", clean(stack)));
    }
    outputs.extend(summary.outputs.iter().map(|(name, given)| (name.as_str(), value(given))));

    let width = figures.iter().chain(&outputs).map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    let row = |(key, text): &(&str, String)| {
        format!("  {} {text}", look.paint(Ink::Dim, &format!("{:<width$} ", clean(key)))).trim_end().to_owned()
    };
    let mut lines = vec![verdict(look, outcome, failed, summary), String::new()];
    if !outputs.is_empty() {
        lines.extend(outputs.iter().map(row));
        lines.push(String::new());
    }
    lines.extend(figures.iter().map(row));
    lines
}

/// Not why it failed: that is told by the caller, with its place in the runbook.
fn verdict(look: &Look, outcome: Outcome, failed: bool, summary: &Summary) -> String {
    let changed = summary.created + summary.updated + summary.deleted > 0;
    let time = friendly(summary.elapsed);
    let (ink, symbol, words) = match outcome {
        Outcome::Succeeded if changed => (Ink::Green, look.done(), format!("done in {time}")),
        Outcome::Succeeded => (Ink::Green, look.done(), "nothing to change".to_owned()),
        Outcome::Failed => (Ink::Red, look.failed(), "failed, nothing was changed".to_owned()),
        Outcome::RolledBack if !failed => (Ink::Green, look.done(), format!("rolled back in {time}")),
        Outcome::RolledBack => (Ink::Red, look.failed(), format!("failed and rolled back in {time}")),
        Outcome::RollbackFailed => {
            (Ink::Red, look.failed(), "failed, and not everything could be taken back".to_owned())
        }
        Outcome::CleanUpUnfinished => {
            (Ink::Yellow, "!", "deployed, clean-up unfinished: the next run finishes it".to_owned())
        }
        Outcome::Suspended => (Ink::Yellow, "!", "suspended".to_owned()),
    };
    format!("{} {}", look.paint(ink, symbol), look.paint(Ink::Bold, &words))
}

fn figures(simulated: bool, summary: &Summary) -> Vec<(&'static str, String)> {
    let Summary { created, updated, deleted, unchanged, .. } = summary;
    let mut figures = vec![
        ("changes", format!("{created} created, {updated} updated, {deleted} deleted, {unchanged} unchanged")),
        ("calls", format!("{} ({} mutations)", count(summary.calls.into()), count(summary.mutations.into()))),
    ];
    let (elapsed, wall) = (friendly(summary.elapsed), friendly(summary.wall));
    let whose = if simulated { " in the simulated world" } else { "" };
    figures.push(if elapsed == wall {
        ("time", elapsed)
    } else {
        ("time", format!("{elapsed}{whose}, {wall} on the wall"))
    });
    if let Some(traffic) = summary.traffic {
        let mut requests = format!("{} served, {} failed", count(traffic.served), count(traffic.failed));
        if traffic.died > 0 {
            requests += &format!(", {} lost with an instance that died", count(traffic.died));
        }
        figures.push(("requests", requests));
    }
    figures
}
