//! A stage on the page: its steps, each with what it changes, what it waits for, and the requests it sends.

use maud::{Markup, html};

use super::shown;
use crate::{
    plan::{Action, Call, Change, Fact, Plan, Stage, Step, Weights},
    report::{
        changed::{Elements, elements},
        lines::common_prefix,
        plan::{
            Detail,
            facts::{self, Moment},
        },
        words::{clean, plural, seconds},
    },
};

/// With more steps than this, a page of unfolded ones is not read.
const UNFOLDED: usize = 40;

pub fn section(plan: &Plan, stage: &Stage, detail: Detail) -> Markup {
    let steps = plan.steps().filter(|step| facts::is_shown(step, Detail::Changes)).count();
    let open = detail == Detail::Full || steps <= UNFOLDED;
    let point = plan.rollback.point_of_no_return.as_ref();
    html! {
        section.stage {
            h3 {
                (facts::stage_name(stage))
                " " span.quiet { "t+" (seconds(stage.starts)) ", " (seconds(stage.seconds)) }
            }
            @for step in stage.steps.iter().filter(|step| facts::is_shown(step, Detail::Changes)) {
                (self::step(step, detail, open))
                @if let Some(point) = point.filter(|point| point.after.as_ref() == Some(&step.id)) {
                    p.no-return { "◆ " (facts::no_return(point)) ": " (point.label) }
                }
            }
            @if let Some(folded) = facts::folded(stage, Detail::Changes) {
                details.folded open[detail == Detail::Full] {
                    summary { (folded) }
                    @for step in stage.steps.iter().filter(|step| !facts::is_shown(step, Detail::Changes)) {
                        div.step { (row(step)) }
                    }
                }
            }
        }
    }
}

fn step(step: &Step, detail: Detail, open: bool) -> Markup {
    let (moments, changes) = (facts::moments(step, Detail::Full), facts::changes(step, detail));
    let is_empty = changes.is_empty()
        && step.content.is_empty()
        && moments.is_empty()
        && step.calls.is_empty()
        && step.error.is_none();
    let class = format!("step {}", class(step.action));
    if is_empty {
        return html! { div class=(class) { (row(step)) } };
    }
    html! {
        details class=(class) open[open] {
            summary { (row(step)) }
            div.body {
                @if let Some(error) = &step.error { pre.bad { (error) } }
                (fields(&changes))
                (content(&step.content))
                @for change in changes {
                    @if let Some(diff) = &change.diff { (self::diff(&change.field, diff)) }
                }
                @if !moments.is_empty() { (self::moments(&moments)) }
                (calls(step, detail))
            }
        }
    }
}

fn class(action: Action) -> &'static str {
    match action {
        Action::Read => "read",
        Action::Unchanged => "unchanged",
        Action::Wait => "wait",
        Action::Shift => "shift",
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete => "delete",
        Action::Fail => "fail",
    }
}

fn row(step: &Step) -> Markup {
    let sign = facts::sign(step.action);
    html! {
        span.row {
            span.sign title=(sign.word) { span aria-hidden="true" { (sign.unicode) } span.unseen { (sign.word) } }
            span.at { "t+" (seconds(step.starts)) }
            code.operation { (clean(&step.operation)) }
            span.subject { (clean(&step.subject)) }
            span.took { @if step.seconds >= 1.0 { (seconds(step.seconds)) } }
        }
    }
}

/// Those without a difference of their own.
fn fields(changes: &[&Change]) -> Markup {
    let fields: Vec<&Change> = changes.iter().copied().filter(|change| change.diff.is_none()).collect();
    if fields.is_empty() {
        return html! {};
    }
    let changed = fields.iter().any(|change| change.before.is_some());
    html! {
        table.fields {
            thead {
                tr {
                    th scope="col" { "Field" }
                    @if changed { th scope="col" { "Before" } }
                    th scope="col" { @if changed { "After" } @else { "Set to" } }
                }
            }
            tbody {
                @for change in fields {
                    tr {
                        th scope="row" { code { (change.field) } }
                        @let elements = change.before.as_ref().and_then(|before| elements(before, &change.after));
                        @if let Some(Elements { gone, new, same }) = elements {
                            td { @for gone in gone { del { (gone) } br; } }
                            td {
                                @for new in new { ins { (new) } br; }
                                @if same > 0 { span.quiet { (same) " unchanged" } }
                            }
                        } @else {
                            @if changed { td { @if let Some(before) = &change.before { del { (shown(before)) } } } }
                            td { ins { (shown(&change.after)) } }
                        }
                    }
                }
            }
        }
    }
}

/// What decides about something new.
fn content(facts: &[Fact]) -> Markup {
    html! {
        @if !facts.is_empty() {
            table.fields {
                thead { tr { th scope="col" { "Of the new resource" } th scope="col" { "Is" } } }
                tbody {
                    @for fact in facts { tr { th scope="row" { (fact.name) } td { ins { (fact.value) } } } }
                }
            }
        }
    }
}

fn diff(field: &str, diff: &str) -> Markup {
    html! {
        p.field { code { (field) } }
        pre.diff {
            @for line in diff.lines() {
                @let class = match line.chars().next() {
                    Some('+') => "add",
                    Some('-') => "gone",
                    Some('@') => "hunk",
                    _ => "same",
                };
                span class=(class) { (line) "\n" }
            }
        }
    }
}

fn moments(moments: &[Moment<'_>]) -> Markup {
    html! {
        ul.moments {
            @for moment in moments {
                li {
                    span.at { "t+" (seconds(moment.at())) }
                    @match moment {
                        Moment::Wait(wait) => {
                            span { (facts::sign(Action::Wait).unicode) " " (clean(&wait.what)) ": " span.quiet { (facts::wait_time(wait)) } }
                        }
                        Moment::Weights(weights) => { (self::weights(weights)) }
                    }
                }
            }
        }
    }
}

fn weights(weights: &Weights) -> Markup {
    let names: Vec<&str> = weights.shares.iter().map(|share| share.target_group.as_str()).collect();
    let common = common_prefix(&names);
    html! {
        span {
            (facts::sign(Action::Shift).unicode) " " (clean(&weights.route)) ": "
            @for (at, share) in weights.shares.iter().enumerate() {
                @if at > 0 { ", " }
                (clean(&share.target_group[common..])) " " strong { (share.weight) }
            }
        }
    }
}

fn calls(step: &Step, detail: Detail) -> Markup {
    if step.calls.is_empty() {
        return html! {};
    }
    html! {
        details.calls open[detail == Detail::Full] {
            summary {
                (plural(step.calls.len(), "request"))
                @if step.reads > 0 { " and " (plural(step.reads as usize, "read")) }
                @if let Some(place) = &step.place { ", from " (place) }
            }
            ol { @for call in &step.calls { li { (self::call(call)) } } }
        }
    }
}

fn call(call: &Call) -> Markup {
    html! {
        code { (call.call) } " " (call.resource)
        @if !call.request.is_null() { pre { (serde_json::to_string_pretty(&call.request).unwrap_or_default()) } }
        @if let Some(undo) = &call.undo { p.quiet { "to take it back: " (undo) } }
    }
}
