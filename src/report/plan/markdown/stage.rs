//! A stage in a comment: its rows in the table, and its details as a coloured difference.

use serde_json::Value;

use super::{
    NAME, Row, SENTENCE,
    escape::{self, LOOK, clip, code_in_cell, summary_code},
};
use crate::{
    event::Weight,
    plan::{Action, Change, Plan, Share, Stage, Step},
    report::{
        changed::{Elements, cut_apart, elements},
        lines,
        plan::{
            Detail,
            facts::{self, Moment},
        },
        words::{clean, seconds, value},
    },
};

/// Characters of a request.
const REQUEST: usize = 2_000;
/// Characters of a fact about something new: a policy's statement names many actions.
const FACT: usize = 1_000;
/// Characters of a line of a difference, which has cut lines that are longer.
const LINE: usize = 600;

pub fn rows(plan: &Plan, stage: &Stage, detail: Detail) -> Vec<Row> {
    let mut rows = vec![Row {
        text: format!("| | | **{}** | | {} |\n", code_in_cell(&facts::stage_name(stage), NAME), seconds(stage.seconds)),
        steps: 0,
    }];
    for step in stage.steps.iter().filter(|step| facts::is_shown(step, detail)) {
        rows.push(Row { text: row(step), steps: 1 });
        let point = plan.rollback.point_of_no_return.as_ref();
        if let Some(point) = point.filter(|point| point.after.as_ref() == Some(&step.id)) {
            let text = format!("| {} | ◆ | **point of no return** | | |\n", seconds(point.at));
            rows.push(Row { text, steps: 0 });
        }
    }
    if let Some(folded) = facts::folded(stage, detail) {
        rows.push(Row { text: format!("| | = | {folded} | | |\n"), steps: 0 });
    }
    rows
}

fn row(step: &Step) -> String {
    format!(
        "| {} | `{}` | {} | {} | {} |\n",
        seconds(step.starts),
        facts::sign(step.action).unicode,
        code_in_cell(&step.operation, NAME),
        code_in_cell(&step.subject, NAME),
        wait(step),
    )
}

/// How traffic moves, or the longest wait.
fn wait(step: &Step) -> String {
    if !step.weights.is_empty() {
        let weights = |shares: &[Share]| {
            shares.iter().take(4).map(|share| share.weight.to_string()).collect::<Vec<_>>().join("/")
        };
        let steps: Vec<String> = step.weights.iter().take(8).map(|weights_| weights(&weights_.shares)).collect();
        let took = if step.seconds < 1.0 { String::new() } else { format!(" in {}", seconds(step.seconds)) };
        return format!("{}{took}", steps.join(" → "));
    }
    let longest = step.waits.iter().max_by(|a, b| a.expected_seconds.total_cmp(&b.expected_seconds));
    longest.map(facts::wait_time).unwrap_or_default()
}

/// What the stage changes, folded; empty if there is nothing to say beyond the table.
pub fn details(stage: &Stage, detail: Detail) -> String {
    let mut lines = Vec::new();
    for step in stage.steps.iter().filter(|step| facts::is_shown(step, detail)) {
        add_step(&mut lines, step, detail);
    }
    if lines.is_empty() {
        return String::new();
    }
    format!(
        "<details><summary>{} · {} · t+{}, {}</summary>\n\n{}\n</details>\n\n",
        summary_code(&facts::stage_name(stage), NAME),
        facts::stage_line(stage),
        seconds(stage.starts),
        seconds(stage.seconds),
        escape::fence(&lines),
    )
}

/// GitHub colours a line by its first character.
fn mark(action: Action) -> char {
    match action {
        Action::Create => '+',
        Action::Delete | Action::Fail => '-',
        Action::Update | Action::Replace | Action::Shift => '!',
        Action::Wait | Action::Unchanged | Action::Read => ' ',
    }
}

fn add_step(lines: &mut Vec<String>, step: &Step, detail: Detail) {
    let mark = mark(step.action);
    let remark = match step.action {
        Action::Replace => " (delete and create anew)",
        Action::Fail => " (fails)",
        _ => "",
    };
    lines.push(format!("{mark} {} {}{remark}", clip(&step.operation, NAME), clip(&step.subject, NAME)));
    for line in step.error.iter().flat_map(|error| error.lines()).take(10) {
        lines.push(format!("-     {}", clip(line, SENTENCE)));
    }
    for change in facts::changes(step, detail) {
        add_change(lines, change, detail);
    }
    for fact in &step.content {
        lines.push(format!("+     {}: {}", clip(&fact.name, NAME), clip(&fact.value, FACT)));
    }
    for moment in facts::moments(step, detail) {
        lines.push(match moment {
            Moment::Wait(wait) => format!("      … {}: {}", clip(&wait.what, SENTENCE), facts::wait_time(wait)),
            Moment::Weights(weights) => {
                let weight = |share: &Share| Weight { target_group: share.target_group.clone(), weight: share.weight };
                let shares: Vec<Weight> = weights.shares.iter().map(weight).collect();
                let text = format!("{}{}", weights.route, lines::shares(&LOOK, &shares));
                format!("      ⇄ t+{} {}", seconds(weights.at), clip(&text, SENTENCE))
            }
        });
    }
    if detail < Detail::Full {
        return;
    }
    for call in &step.calls {
        let request = match &call.request {
            Value::Null => String::new(),
            request => clip(&request.to_string(), REQUEST),
        };
        lines.push(format!("      » {} {} {request}", clip(&call.call, NAME), clip(&call.resource, NAME)));
        if let Some(undo) = &call.undo {
            lines.push(format!("        undo: {}", clip(undo, SENTENCE)));
        }
    }
}

fn add_change(lines: &mut Vec<String>, change: &Change, detail: Detail) {
    let field = clip(&change.field, NAME);
    if let Some(diff) = &change.diff {
        lines.push(format!("!     {field}:"));
        let total = diff.lines().count();
        let is_cut = change.before.is_none() && detail < Detail::Full;
        let shown = if is_cut { facts::NEW_TEXT_SHOWN.min(total) } else { total };
        for line in diff.lines().take(shown) {
            let (mark, rest) = match line.chars().next() {
                Some(mark @ ('+' | '-' | ' ')) => (mark, &line[1..]),
                _ => (' ', line),
            };
            lines.push(format!("{mark}       {}", line_of_text(rest)));
        }
        if total > shown {
            lines.push(format!("        … and {} more lines, --detail full shows all", total - shown));
        }
        return;
    }
    let cut = |texts| cut_apart(texts, |text| clip(text, SENTENCE));
    let Some(before) = &change.before else {
        lines.extend(cut(vec![value(&change.after)]).iter().map(|after| format!("+     {field}: {after}")));
        return;
    };
    if let Some(Elements { gone, new, same }) = elements(before, &change.after) {
        lines.push(format!("!     {field}:"));
        let marks: Vec<char> = gone.iter().map(|_| '-').chain(new.iter().map(|_| '+')).collect();
        let texts = cut([gone, new].concat());
        lines.extend(marks.iter().zip(&texts).map(|(mark, text)| format!("{mark}       {}", clean(text))));
        if same > 0 {
            lines.push(format!("        {same} unchanged"));
        }
        return;
    }
    let both = cut(vec![value(before), value(&change.after)]);
    lines.push(format!("-     {field}: {}", clean(&both[0])));
    if !change.after.is_null() {
        lines.push(format!("+     {field}: {}", clean(&both[1])));
    }
}

/// A line of somebody's text, whose indentation means something.
fn line_of_text(line: &str) -> String {
    let indent: String = line.chars().take_while(|c| *c == ' ' || *c == '\t').take(40).collect();
    format!("{}{}", indent.replace('\t', "    "), clip(line, LINE))
}
