//! A plan as a comment on a pull request: GitHub's Markdown, at most 60,000 characters.
//!
//! The first line is a marker, by which the comment is found again and replaced. When there is too much to say, this goes,
//! in this order, and the comment tells what went: the list of undos; the requests; the details of stages, the largest
//! first; the rows of steps that change nothing; rows from the middle of the table. The verdict, what is destructive, the
//! figures, warnings and what policy says always stay; their own length is bounded.

pub mod escape;
mod stage;
#[cfg(test)]
mod tests;

use escape::{clip, code, code_in_cell, prose, word};

use super::{Detail, facts};
use crate::{
    plan::{Marker, Output, Plan, Scenario},
    report::words::{clean, count, plural, seconds, target, value},
};

/// GitHub takes 65,536; whoever posts the comment may add to it.
const MAX_CHARS: usize = 60_000;
/// Names of other scripts need several bytes a character, and not everybody counts characters.
const MAX_BYTES: usize = 65_536;
/// Characters of a sentence.
const SENTENCE: usize = 300;
/// Characters of how an account is left: a word for each kind of resource.
const STATE: usize = 1_500;
/// Characters of a name.
const NAME: usize = 80;

pub fn write(plan: &Plan, detail: Detail) -> String {
    let mut room = Room { chars: MAX_CHARS, bytes: MAX_BYTES };
    let (start, lists) = (start(plan, detail), lists(plan));
    let footer = footer(plan);
    for part in [&start, &lists, &footer] {
        room.take(part);
    }
    // For saying what is left out.
    room.take(&" ".repeat(700));

    let mut cuts = Cuts::default();
    let scenarios = scenarios(plan, &mut room);
    if detail == Detail::Summary {
        let table = summary_table(plan, &mut room, &mut cuts);
        return [start, cuts.note(), lists, table, scenarios, footer].concat();
    }
    // What is to be kept the longest takes its room first.
    let outputs = outputs(plan, &mut room);
    let table = table(plan, detail, &mut room, &mut cuts);
    let details = details(plan, detail, &mut room, &mut cuts);
    let rollback = rollback(plan, detail, &mut room, &mut cuts);
    [start, cuts.note(), lists, table, details, scenarios, rollback, outputs, footer].concat()
}

/// What is left of the page.
#[derive(Clone, Copy)]
struct Room {
    chars: usize,
    bytes: usize,
}

impl Room {
    fn fits(&self, text: &str) -> bool {
        text.len() <= self.bytes && text.chars().count() <= self.chars
    }

    fn take(&mut self, text: &str) -> bool {
        let fits = self.fits(text);
        if fits {
            self.bytes -= text.len();
            self.chars -= text.chars().count();
        }
        fits
    }

    /// A part of it, for one list.
    fn at_most(&self, size: usize) -> Self {
        Self { chars: self.chars.min(size), bytes: self.bytes.min(size) }
    }

    /// As many lines as fit, and how many do not. The lines that are taken are part of the room's text from then on.
    fn lines(&mut self, lines: impl IntoIterator<Item = String>) -> (String, usize) {
        let (mut text, mut left) = (String::new(), 0);
        for line in lines {
            if left == 0 && self.take(&line) {
                text += &line;
            } else {
                left += 1;
            }
        }
        (text, left)
    }
}

/// What is left out.
#[derive(Default)]
struct Cuts {
    undos: bool,
    requests: bool,
    details: usize,
    stages: usize,
    unchanged: bool,
    steps: usize,
    of_steps: usize,
}

impl Cuts {
    fn note(&self) -> String {
        let mut cuts = Vec::new();
        if self.undos {
            cuts.push("the list of undos".to_owned());
        }
        if self.requests {
            cuts.push("the requests".to_owned());
        }
        if self.details > 0 {
            cuts.push(format!("the details of {} of {}", self.details, plural(self.stages, "stage")));
        }
        if self.unchanged {
            cuts.push("steps that change nothing".to_owned());
        }
        if self.steps > 0 {
            let (left, of) = (count(self.steps as u64), count(self.of_steps as u64));
            cuts.push(format!("{left} of {of} steps from the middle of the table"));
        }
        if cuts.is_empty() {
            return String::new();
        }
        format!(
            "> [!NOTE]\n> Shortened to fit into a comment, without {}. \
             When a plan is too long, these go in this order: undos, requests, details of the largest stages, steps that \
             change nothing, the middle of the table. The HTML and JSON forms have everything.\n\n",
            cuts.join(", ")
        )
    }
}

/// Marker, heading, verdict, banners, figures.
fn start(plan: &Plan, detail: Detail) -> String {
    let Marker { environment, runbook } = &plan.marker;
    let environment = environment.as_deref().map(|name| format!("env={} ", word(name))).unwrap_or_default();
    let mut text = format!("<!-- runner:plan {environment}runbook={} -->\n", word(runbook));
    let file = plan.runbook.rsplit('/').next().unwrap_or_default();
    let name = plan.environment.as_deref().map(|name| format!(" · {}", prose(name, NAME))).unwrap_or_default();
    text += &format!("## Plan{name} · {}\n\n", prose(file, NAME));
    let symbol = if facts::is_good(plan) { "✓" } else { "✗" };
    text += &format!("**{symbol} {}**\n\n", prose(&plan.verdict.text, SENTENCE));

    let banners = facts::banners(plan);
    if !banners.is_empty() {
        text += if banners.iter().any(|banner| banner.grave) { "> [!CAUTION]\n" } else { "> [!IMPORTANT]\n" };
        for banner in banners {
            text += &format!("> - **{}:** {}\n", banner.lead, prose(&banner.text, SENTENCE));
        }
        text.push('\n');
    }
    for (_, figure) in facts::figures(plan, detail) {
        text += &format!("- {figure}\n");
    }
    text.push('\n');
    text
}

/// Warnings and what policy says.
fn lists(plan: &Plan) -> String {
    let mut text = String::new();
    let mut list = |title: &str, lines: Vec<String>| {
        if lines.is_empty() {
            return;
        }
        let (shown, left) = Room { chars: 8_000, bytes: 8_000 }.lines(lines);
        text += &format!("### {title}\n\n{shown}");
        if left > 0 {
            text += &format!("- and {left} more\n");
        }
        text.push('\n');
    };
    list("Warnings", plan.warnings.iter().map(|warning| format!("- ⚠️ {}\n", prose(warning, SENTENCE))).collect());
    let denial = |denial: &crate::plan::Denial| {
        let (check, message) = (code(&denial.check, NAME), prose(&denial.message, SENTENCE));
        match &denial.overridden {
            None => format!("- ✗ {check}: {message}\n"),
            Some(reason) => format!("- ⚠️ {check}: {message}; overridden: {}\n", prose(reason, SENTENCE)),
        }
    };
    list("Policy", plan.policy.iter().map(denial).collect());
    text
}

fn footer(plan: &Plan) -> String {
    let mut parts = vec![format!("runner {}", prose(&plan.runner, NAME))];
    parts.extend(plan.stack.as_deref().map(|stack| format!("stack {}", code(stack, NAME))));
    parts.extend(plan.region.as_deref().map(|region| code(region, NAME)));
    parts.extend(plan.account.as_deref().map(|account| format!("account {}", code(account, NAME))));
    parts.push(format!("made from {}", code(target(&plan.target), NAME)));
    let signs = facts::ACTIONS.iter().filter(|action| plan.steps().any(|step| step.action == **action));
    let signs: Vec<String> =
        signs.map(|action| facts::sign(*action)).map(|sign| format!("`{}` {}", sign.unicode, sign.word)).collect();
    let legend = if signs.is_empty() { String::new() } else { format!("{}\n\n", signs.join(" · ")) };
    format!("---\n\n{legend}{}\n", parts.join(" · "))
}

/// A line for each stage.
fn summary_table(plan: &Plan, room: &mut Room, cuts: &mut Cuts) -> String {
    if plan.stages.is_empty() {
        return String::new();
    }
    let head = "| t+ | stage | steps | takes |\n| --: | --- | --- | --: |\n";
    let rows = plan.stages.iter().map(|stage| Row {
        text: format!(
            "| {} | {} | {} | {} |\n",
            seconds(stage.starts),
            code_in_cell(&facts::stage_name(stage), NAME),
            facts::stage_line(stage),
            seconds(stage.seconds)
        ),
        steps: stage.steps.len(),
    });
    fill(head, rows.collect(), room, cuts)
}

/// A line of the table, and how many steps go with it when it goes.
struct Row {
    text: String,
    steps: usize,
}

/// The table of steps: all of them, those that change something, or as many as fit.
fn table(plan: &Plan, detail: Detail, room: &mut Room, cuts: &mut Cuts) -> String {
    if plan.stages.is_empty() {
        return String::new();
    }
    let head = "| t+ | | step | resource | waits and weights |\n| --: | :-: | --- | --- | --- |\n";
    let rows = |detail| plan.stages.iter().flat_map(|stage| stage::rows(plan, stage, detail)).collect::<Vec<Row>>();
    let size = |rows: &[Row]| rows.iter().map(|row| row.text.as_str()).collect::<String>();
    let mut chosen = rows(detail);
    if detail == Detail::Full && !room.fits(&size(&chosen)) {
        chosen = rows(Detail::Changes);
        cuts.unchanged = true;
    }
    fill(head, chosen, room, cuts)
}

/// The rows, or what fits of their head and tail.
fn fill(head: &str, rows: Vec<Row>, room: &mut Room, cuts: &mut Cuts) -> String {
    cuts.of_steps = rows.iter().map(|row| row.steps).sum();
    let all: String = [head].into_iter().chain(rows.iter().map(|row| row.text.as_str())).chain(["\n"]).collect();
    if room.take(&all) {
        return all;
    }
    let columns = head.lines().next().unwrap_or_default().matches('|').count() - 1;
    // The widest line there can be between the parts.
    room.take(&format!("{head}{}\n\n", gap(columns, usize::MAX)));
    let mut half = Room { chars: room.chars / 2, bytes: room.bytes / 2 };
    let first = rows.iter().take_while(|row| half.take(&row.text)).count();
    let mut half = Room { chars: room.chars / 2, bytes: room.bytes / 2 };
    let last = rows[first..].iter().rev().take_while(|row| half.take(&row.text)).count();
    let end = rows.len() - last;
    let texts = |rows: &[Row]| rows.iter().map(|row| row.text.as_str()).collect::<String>();
    let (top, bottom) = (texts(&rows[..first]), texts(&rows[end..]));
    cuts.steps = rows[first..end].iter().map(|row| row.steps).sum();
    room.take(&top);
    room.take(&bottom);
    format!("{head}{top}{}{bottom}\n", gap(columns, cuts.steps))
}

/// `| … | | 412 steps left out | | |`
fn gap(columns: usize, steps: usize) -> String {
    format!("| … | | **{} steps left out** |{}\n", count(steps as u64), " |".repeat(columns - 3))
}

/// What each stage changes, folded. The smallest ones first, until the page is full; in the order of the plan.
fn details(plan: &Plan, detail: Detail, room: &mut Room, cuts: &mut Cuts) -> String {
    let all = |detail| -> Vec<String> { plan.stages.iter().map(|stage| stage::details(stage, detail)).collect() };
    let mut details = all(detail);
    if detail == Detail::Full && (cuts.unchanged || !room.fits(&details.concat())) {
        details = all(Detail::Changes);
        cuts.requests = true;
    }
    cuts.stages = details.iter().filter(|details| !details.is_empty()).count();
    let mut order: Vec<usize> = (0..details.len()).collect();
    order.sort_by_key(|&at| details[at].len());
    for at in order {
        // When rows go, all details have gone before.
        if !details[at].is_empty() && (cuts.steps > 0 || !room.take(&details[at])) {
            details[at].clear();
            cuts.details += 1;
        }
    }
    details.concat()
}

fn scenarios(plan: &Plan, room: &mut Room) -> String {
    if plan.on_failure.is_empty() {
        return String::new();
    }
    let head = "### If something goes wrong\n\n\
                | what | outcome | exit code | after | requests lost | how the account is left |\n\
                | --- | --- | --: | --: | --: | --- |\n";
    room.take(&format!("{head}and {} more\n\n", usize::MAX));
    let row = |scenario: &Scenario| {
        let mut state = prose(&scenario.final_state, STATE);
        if scenario.undone > 0 {
            state = format!("{} taken back: {state}", plural(scenario.undone as usize, "change"));
        }
        if scenario.kept > 0 {
            state += &format!(" ({} kept: `keep_on_rollback`)", plural(scenario.kept as usize, "change"));
        }
        for left in scenario.left.iter().take(5) {
            let separator = if state.is_empty() { "" } else { "; " };
            state += &format!("{separator}not taken back: {}", prose(left, SENTENCE));
        }
        if scenario.left.len() > 5 {
            state += &format!(" and {} more", scenario.left.len() - 5);
        }
        if let Some(error) = &scenario.error {
            state += &format!("; {}", prose(error, SENTENCE));
        }
        format!(
            "| {} | {} | {} | {} | {} of {} | {state} |\n",
            prose(&scenario.name, SENTENCE),
            prose(&scenario.outcome, SENTENCE),
            scenario.exit_code,
            seconds(scenario.seconds),
            count(scenario.requests_lost),
            count(scenario.requests_served.saturating_add(scenario.requests_lost)),
        )
    };
    let mut part = room.at_most(8_000);
    let (rows, left) = part.lines(plan.on_failure.iter().map(row));
    room.take(&rows);
    let more = if left > 0 { format!("\nand {left} more\n") } else { String::new() };
    format!("{head}{rows}{more}\n")
}

fn rollback(plan: &Plan, detail: Detail, room: &mut Room, cuts: &mut Cuts) -> String {
    let rollback = &plan.rollback;
    if rollback.is_empty() {
        return String::new();
    }
    let mut text = format!("### Rollback\n\n{}.", facts::rollback(rollback));
    if let Some(point) = &rollback.point_of_no_return {
        text += &format!(" Point of no return after {}: {}.", seconds(point.at), prose(&point.label, SENTENCE));
    }
    text += "\n\n";
    // The shortest form: there may be no room left even for it.
    if !room.take(&text) {
        cuts.undos = true;
        return String::new();
    }
    if detail < Detail::Full || (rollback.undos.is_empty() && rollback.hooks.is_empty()) {
        return text;
    }
    let undo = |entry: facts::Entry<'_>| {
        let step = clip(entry.step.unwrap_or_default(), NAME);
        format!("  {step:<6} {}{}", entry.lead, clip(entry.text, SENTENCE))
    };
    let lines: Vec<String> = facts::rollback_entries(rollback).into_iter().map(undo).collect();
    let list =
        format!("<details><summary>all undos, newest first</summary>\n\n{}\n</details>\n\n", escape::fence(&lines));
    if cuts.note().is_empty() && room.take(&list) {
        text += &list;
    } else {
        cuts.undos = true;
    }
    text
}

fn outputs(plan: &Plan, room: &mut Room) -> String {
    if plan.outputs.is_empty() {
        return String::new();
    }
    let head = "### Outputs\n\n";
    room.take(&format!("{head}- and {} more\n\n", usize::MAX));
    let line = |output: &Output| {
        format!("- {}: {}\n", code(&output.name, NAME), code(&clean(&value(&output.value)), SENTENCE))
    };
    let mut part = room.at_most(3_000);
    let (lines, left) = part.lines(plan.outputs.iter().map(line));
    room.take(&lines);
    let more = if left > 0 { format!("- and {left} more\n") } else { String::new() };
    format!("{head}{lines}{more}\n")
}
