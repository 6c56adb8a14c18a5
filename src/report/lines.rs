//! Each event as the lines a person reads. Pure: from an event to text.

use std::time::Duration;

use super::{
    Ink, Look,
    changed::{Elements, cut_apart, elements},
    words::{clean, friendly, shorten, value},
};
use crate::{
    event::{Change, Field, UndoOutcome, Weight},
    policy::{Check, Level},
};

/// Wide enough for the longest operation name, so that subjects stand below each other.
const OPERATION_WIDTH: usize = 24;
/// Columns before the subject: indent, symbol, and the name of the operation.
const INDENT: usize = 4 + OPERATION_WIDTH + 1;
/// Where the time stands when the subject leaves room for it.
const SUBJECT_WIDTH: usize = 40;
/// Changed fields shown without `-v`.
const FIELDS_SHOWN: usize = 4;
/// Elements of a changed list shown without `-v`.
const ELEMENTS_SHOWN: usize = 12;
/// Characters of a value shown without `-v`.
const VALUE_WIDTH: usize = 48;

/// `  + ensure_vpc               shop-prod`, before colour.
fn row(look: &Look, symbol: (Ink, &str), operation: &str, text: &str) -> String {
    format!("  {} {operation:<OPERATION_WIDTH$} {text}", look.paint(symbol.0, symbol.1)).trim_end().to_owned()
}

fn faint(look: &Look, symbol: &str, operation: &str, text: &str) -> String {
    let plain = Look { colour: false, ..*look };
    look.paint(Ink::Dim, &row(&plain, (Ink::Dim, symbol), operation, text))
}

/// A key and what it is, as in the head of a run.
pub fn pair(look: &Look, key: &str, text: &str) -> String {
    format!("{} {text}", look.paint(Ink::Dim, &format!("{key:<12}")))
}

pub fn finished(look: &Look, operation: &str, subject: &str, change: Change, elapsed: Duration) -> String {
    let (ink, symbol) = match change {
        Change::Created => (Ink::Green, "+"),
        Change::Updated => (Ink::Yellow, "~"),
        Change::Deleted => (Ink::Red, "-"),
        Change::Unchanged => (Ink::Dim, "="),
        Change::Read | Change::Waited => (Ink::Dim, look.pick("·", ".")),
    };
    let subject = shorten(look, &clean(subject), look.width.saturating_sub(INDENT + 10).max(16));
    let time = if elapsed < Duration::from_secs(1) { String::new() } else { friendly(elapsed) };
    match ink {
        // What changed nothing stays in the background as a whole.
        Ink::Dim => faint(look, symbol, operation, &format!("{subject:<SUBJECT_WIDTH$} {time}")),
        _ => row(look, (ink, symbol), operation, &format!("{subject:<SUBJECT_WIDTH$} {}", look.paint(Ink::Dim, &time))),
    }
}

/// An operation as a live line, which begins where a row has its symbol.
pub fn under_way(operation: &str, text: &str) -> String {
    format!("{operation:<OPERATION_WIDTH$} {text}")
}

pub fn failed(look: &Look, operation: &str, subject: &str, error: &str) -> Vec<String> {
    let mut lines = vec![row(look, (Ink::Red, look.failed()), operation, &clean(subject))];
    lines.extend(indented(error).map(|line| look.paint(Ink::Red, &line)));
    lines
}

/// What was set or changed. All of it when `full`.
pub fn fields(look: &Look, change: Change, fields: &[Field], full: bool) -> Vec<String> {
    let hint = (!full).then_some("-v");
    match change {
        Change::Created if !full && !fields.is_empty() => vec![set(look, fields)],
        Change::Created | Change::Updated => listed(look, fields, hint),
        Change::Unchanged | Change::Deleted | Change::Read | Change::Waited if full => listed(look, fields, hint),
        Change::Unchanged | Change::Deleted | Change::Read | Change::Waited => Vec::new(),
    }
}

/// The fields of something new, in one line.
pub fn set(look: &Look, fields: &[Field]) -> String {
    let pair = |field: &Field| format!("{} {}", clean(&field.name), value(&field.after));
    let all: Vec<String> = fields.iter().map(pair).collect();
    look.paint(Ink::Dim, &shorten(look, &format!("    {}", all.join(", ")), look.width))
}

/// The fields of something new, in as many lines as they need: none of them is cut off by what stands before it.
pub fn set_in_full(look: &Look, fields: &[Field]) -> Vec<String> {
    let pair = |field: &Field| format!("{} {}", clean(&field.name), value(&field.after));
    let mut lines: Vec<String> = Vec::new();
    for (nth, pair) in fields.iter().map(pair).enumerate() {
        let pair = if nth + 1 < fields.len() { format!("{pair},") } else { pair };
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + pair.chars().count() <= look.width => *line += &format!(" {pair}"),
            _ => lines.push(format!("    {pair}")),
        }
    }
    lines.iter().map(|line| look.paint(Ink::Dim, line)).collect()
}

/// A line for each field, and of lists one for each element that goes or comes. With a hint, only as much as helps at
/// first sight: the hint is what shows the rest.
pub fn listed(look: &Look, fields: &[Field], hint: Option<&str>) -> Vec<String> {
    // Two values and their arrow stay on one line.
    let room = (look.width.saturating_sub(16) / 2).clamp(12, VALUE_WIDTH);
    let cut = |text: &str, room: usize| if hint.is_none() { text.to_owned() } else { shorten(look, text, room) };
    let line = |field: &Field| {
        let name = clean(&field.name);
        let Some(before) = &field.before else {
            return vec![format!("    {name}: {}", cut(&value(&field.after), room))];
        };
        if let Some(found) = elements(before, &field.after) {
            let wide = look.width.saturating_sub(10).max(room);
            let lines = elements_listed(look, found, hint, |text| cut(text, wide));
            return [vec![format!("    {name}:")], lines].concat();
        }
        let both = cut_apart(vec![value(before), value(&field.after)], |text| cut(text, room));
        vec![format!("    {name}: {} {} {}", look.paint(Ink::Dim, &both[0]), look.arrow(), both[1])]
    };
    let shown = if hint.is_some() { FIELDS_SHOWN } else { fields.len() };
    let mut lines: Vec<String> = fields.iter().take(shown).flat_map(line).collect();
    if let Some(hint) = hint.filter(|_| fields.len() > shown) {
        lines.push(more(look, "    ", fields.len() - shown, hint));
    }
    lines
}

/// What of a list goes, and what comes.
fn elements_listed(look: &Look, found: Elements, hint: Option<&str>, cut: impl Fn(&str) -> String) -> Vec<String> {
    let Elements { gone, new, same } = found;
    let signs: Vec<(Ink, &str)> =
        gone.iter().map(|_| (Ink::Red, "-")).chain(new.iter().map(|_| (Ink::Green, "+"))).collect();
    let texts = cut_apart([gone, new].concat(), cut);
    let line = |((ink, sign), text): (&(Ink, &str), &String)| format!("      {} {text}", look.paint(*ink, sign));
    let shown = if hint.is_some() { ELEMENTS_SHOWN } else { texts.len() };
    let mut lines: Vec<String> = signs.iter().zip(&texts).take(shown).map(line).collect();
    if let Some(hint) = hint.filter(|_| texts.len() > shown) {
        lines.push(more(look, "      ", texts.len() - shown, hint));
    }
    if same > 0 {
        lines.push(look.paint(Ink::Dim, &format!("      = {same} unchanged")));
    }
    lines
}

fn more(look: &Look, indent: &str, number: usize, hint: &str) -> String {
    look.paint(Ink::Dim, &format!("{indent}{} and {number} more, {hint} shows all", look.ellipsis()))
}

/// A wait, for a stream on which nothing can be redrawn.
pub fn waiting(look: &Look, operation: &str, what: &str, seen: &str, elapsed: Duration, timeout: Duration) -> String {
    let time = look.paint(Ink::Dim, &format!("({} of {})", friendly(elapsed), friendly(timeout)));
    let text = format!("{}: {} {time}", clean(what), clean(seen));
    row(look, (Ink::Cyan, look.pick("…", ".")), operation, &text)
}

/// How a route spreads its requests.
pub fn weights(look: &Look, operation: &str, route: &str, weights: &[Weight]) -> String {
    let text = format!("{}{}", clean(route), shares(look, weights));
    row(look, (Ink::Cyan, look.pick("⇄", "%")), operation, text.trim_end())
}

/// Shares as bars of at most ten blocks.
pub fn shares(look: &Look, weights: &[Weight]) -> String {
    let total: u32 = weights.iter().map(|w| w.weight).fold(0, u32::saturating_add);
    let names: Vec<&str> = weights.iter().map(|w| w.target_group.as_str()).collect();
    let common = common_prefix(&names);
    let mut text = String::new();
    for weight in weights {
        let blocks = match weight.weight {
            0 => 0,
            // A small share is still a share.
            part => (f64::from(part) * 10.0 / f64::from(total)).round().max(1.0) as usize,
        };
        let name = clean(&weight.target_group[common..]);
        let bar = look.pick("▇", "#").repeat(blocks);
        let ink = if name.ends_with("green") { Ink::Green } else { Ink::Blue };
        let pad = " ".repeat(10_usize.saturating_sub(blocks));
        text += &format!("  {name} {:>3} {}{pad}", weight.weight, look.paint(ink, &bar));
    }
    text
}

/// What all names begin with, up to a hyphen: `shop-prod-` says nothing when all have it.
pub fn common_prefix(names: &[&str]) -> usize {
    let [first, rest @ ..] = names else { return 0 };
    if rest.is_empty() {
        return 0;
    }
    let is_common = |end: &usize| rest.iter().all(|name| name.starts_with(&first[..*end]));
    first.match_indices('-').map(|(i, _)| i + 1).take_while(is_common).last().unwrap_or(0)
}

pub fn retrying(look: &Look, operation: &str, call: &str, reason: &str, delay: Duration) -> String {
    let text = format!("{call} again in {}: {}", friendly(delay), clean(reason));
    row(look, (Ink::Yellow, look.pick("↻", "r")), operation, &text)
}

pub fn call(look: &Look, operation: &str, call: &str, mutation: bool, attempt: u32, error: Option<&str>) -> String {
    let attempt = if attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
    let error = error.map(|error| format!(": {}", clean(error))).unwrap_or_default();
    let symbol = if mutation { look.pick("»", ">") } else { look.pick("›", ">") };
    faint(look, symbol, operation, &format!("{call}{attempt}{error}"))
}

pub fn undone(look: &Look, undo: &str, outcome: UndoOutcome, detail: Option<&str>) -> Vec<String> {
    let (ink, symbol, remark) = match outcome {
        UndoOutcome::Undone => (Ink::Green, look.done(), ""),
        UndoOutcome::AlreadyGone => (Ink::Dim, "=", "nothing left to take back"),
        UndoOutcome::Kept => (Ink::Dim, look.dot(), "kept: `keep_on_rollback`"),
        UndoOutcome::Foreign => (Ink::Yellow, "!", "changed by somebody else since, left as it is"),
        UndoOutcome::Impossible => (Ink::Red, look.failed(), "not possible"),
        UndoOutcome::Failed => (Ink::Red, look.failed(), "failed"),
    };
    let remark = if remark.is_empty() { String::new() } else { format!(": {}", look.paint(ink, remark)) };
    let mut lines = vec![format!("  {} {}{remark}", look.paint(ink, symbol), clean(undo))];
    lines.extend(detail.into_iter().flat_map(indented));
    lines
}

/// How many undos were left out because the runbook asked to keep what they undo.
pub fn kept(look: &Look, count: usize) -> String {
    let what = if count == 1 { "1 change" } else { &format!("{count} changes") };
    format!("  {} {what} kept: `keep_on_rollback`", look.paint(Ink::Dim, look.dot()))
}

pub fn hook(look: &Look, hook: &str, error: Option<&str>) -> Vec<String> {
    let (ink, symbol) = if error.is_none() { (Ink::Green, look.done()) } else { (Ink::Red, look.failed()) };
    let mut lines = vec![format!("  {} hook {}", look.paint(ink, symbol), clean(hook))];
    lines.extend(error.into_iter().flat_map(indented));
    lines
}

/// What policy says no to.
pub fn policy(look: &Look, check: Check, level: Level, text: &str, overridden: bool) -> Vec<String> {
    let (ink, symbol, remark) = match level {
        _ if overridden => (Ink::Yellow, "!", " (set aside)"),
        Level::Warn => (Ink::Yellow, "!", ""),
        Level::Deny => (Ink::Red, look.failed(), ""),
    };
    message(look, ink, symbol, &format!("policy {check}{remark}: {text}"))
}

/// A message of the runbook, which may have several lines.
pub fn message(look: &Look, ink: Ink, symbol: &str, text: &str) -> Vec<String> {
    let mut lines = text.lines().map(clean);
    let first = lines.next().unwrap_or_default();
    let mut all = vec![format!("  {} {first}", look.paint(ink, symbol))];
    all.extend(lines.map(|line| format!("    {line}")));
    all
}

/// Text under a row.
fn indented(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| format!("    {}", clean(line)))
}
