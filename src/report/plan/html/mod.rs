//! A plan as one file for a browser: no script, no request to anywhere, light and dark, for a screen, a phone and paper.
//!
//! All that comes from the plan goes through `maud`, which escapes it. What other forms leave out for length is folded here.

mod stage;
#[cfg(test)]
mod tests;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::{Detail, facts, svg};
use crate::{
    plan::{Outcome, Plan, Scenario},
    report::words::{clean, count, seconds, value},
};

const STYLE: &str = include_str!("page.css");
/// Nothing but what is in the file.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

pub fn write(plan: &Plan, detail: Detail) -> String {
    let title = [Some("Plan"), plan.environment.as_deref(), plan.runbook.rsplit('/').next()];
    let title = title.into_iter().flatten().map(clean).collect::<Vec<_>>().join(" · ");
    let body = html! {
        (head(plan))
        main {
            (figures(plan))
            (lists(plan))
            (timeline(plan))
            @if detail > Detail::Summary { (changes(plan, detail)) }
            (scenarios(&plan.on_failure))
            @if detail > Detail::Summary { (rollback(plan, detail)) (outputs(plan)) }
        }
        footer { p { "Made by runner " (plan.runner) ". Format " (plan.format.name) " " (plan.format.version) "." } }
    };
    page(&title, &body)
}

/// A page that needs nothing but itself.
pub fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    page.into_string() + "\n"
}

fn head(plan: &Plan) -> Markup {
    let (class, symbol) = match plan.verdict.outcome {
        _ if !facts::is_good(plan) => ("bad", "✗"),
        Outcome::Changes => ("changes", "✓"),
        Outcome::NoChanges => ("same", "✓"),
        Outcome::Fails | Outcome::Refused => ("bad", "✗"),
    };
    html! {
        header class=(class) {
            h1 { span.verdict aria-hidden="true" { (symbol) } span { (clean(&plan.verdict.text)) } }
            dl.head {
                @for (key, text) in facts::head(plan, "·") { div { dt { (key) } dd { (text) } } }
            }
            @let banners = facts::banners(plan);
            @if !banners.is_empty() {
                ul.banners {
                    @for banner in banners {
                        li.grave[banner.grave] { strong { (banner.lead) ":" } " " (banner.text) }
                    }
                }
            }
        }
    }
}

fn figures(plan: &Plan) -> Markup {
    let totals = &plan.totals;
    let changes = [
        ("create", "to create", totals.create),
        ("update", "to change", totals.update),
        ("replace", "to replace", totals.replace),
        ("delete", "to delete", totals.delete),
        ("", "unchanged", totals.unchanged),
    ];
    let changing = totals.calls.saturating_sub(totals.reads).saturating_sub(totals.repeated);
    let mut run = vec![
        ("traffic shifts", count(totals.traffic_shifts.into())),
        ("waits", count(totals.waits.into())),
        ("calls", count(totals.calls.into())),
        ("of them change something", count(changing.into())),
        ("of them only read", count(totals.reads.into())),
        ("of them repeated", count(totals.repeated.into())),
        ("instances at the peak", count(totals.peak_instances.into())),
    ];
    run.extend(facts::times(plan));
    html! {
        section aria-label="Figures" {
            dl.figures {
                @for (class, name, figure) in changes {
                    div class=(if figure > 0 { class } else { "none" }) { dt { (name) } dd { (count(figure.into())) } }
                }
            }
            dl.figures.small {
                @for (name, figure) in run { div { dt { (name) } dd { (figure) } } }
            }
        }
    }
}

/// Warnings and what policy says.
fn lists(plan: &Plan) -> Markup {
    html! {
        @if !plan.warnings.is_empty() {
            section {
                h2 { "Warnings" }
                ul { @for warning in &plan.warnings { li { (warning) } } }
            }
        }
        @if !plan.policy.is_empty() {
            section {
                h2 { "Policy" }
                table {
                    thead { tr { th scope="col" { "Check" } th scope="col" { "What it found" } th scope="col" { "Answer" } } }
                    tbody {
                        @for denial in &plan.policy {
                            tr {
                                th scope="row" { code { (denial.check) } }
                                td { (denial.message) }
                                td {
                                    @match &denial.overridden {
                                        None => { strong.bad { "refused" } }
                                        Some(reason) => { "overridden: " (reason) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn timeline(plan: &Plan) -> Markup {
    let Some(picture) = svg::picture(plan) else { return html! {} };
    html! {
        section {
            h2 { "The run over time" }
            figure {
                (picture)
                figcaption {
                    span { span.key.stage {} "stage" }
                    span { span.key.wait {} "waiting" }
                    @if !plan.timeline.fleets.is_empty() {
                        span { span.key.there {} "instances there" }
                        span { span.key.serving {} "in service" }
                        span { span.key.healthy {} "healthy" }
                        span { span.key.desired {} "desired" }
                    }
                    @if !plan.timeline.marks.is_empty() { span { span.key.mark {} "a message of the runbook" } }
                }
            }
        }
    }
}

fn changes(plan: &Plan, detail: Detail) -> Markup {
    html! {
        section {
            h2 { "What changes" }
            @for stage in &plan.stages { (stage::section(plan, stage, detail)) }
            @if plan.stages.is_empty() { p { "Nothing." } }
        }
    }
}

fn scenarios(scenarios: &[Scenario]) -> Markup {
    if scenarios.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "If something goes wrong" }
            div.cards { @for scenario in scenarios { (card(scenario)) } }
        }
    }
}

fn card(scenario: &Scenario) -> Markup {
    let figures = [
        ("exit code", scenario.exit_code.to_string()),
        ("after", seconds(scenario.seconds)),
        ("changes taken back", count(scenario.undone.into())),
        ("changes kept", count(scenario.kept.into())),
        ("requests served", count(scenario.requests_served)),
        ("requests lost", count(scenario.requests_lost)),
    ];
    html! {
        article.card {
            h3 { (clean(&scenario.name)) }
            p { strong { (clean(&scenario.outcome)) } @if !scenario.final_state.is_empty() { ": " (scenario.final_state) } }
            dl.pairs { @for (name, figure) in figures { div { dt { (name) } dd { (figure) } } } }
            @if !scenario.left.is_empty() {
                p.bad { "Not taken back:" }
                ul { @for left in &scenario.left { li { (left) } } }
            }
            @if let Some(error) = &scenario.error { pre { (error) } }
        }
    }
}

fn rollback(plan: &Plan, detail: Detail) -> Markup {
    let rollback = &plan.rollback;
    if rollback.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Rollback" }
            @if let Some(point) = &rollback.point_of_no_return {
                p.no-return { "◆ " (facts::no_return(point)) ": " (point.label) }
            }
            @let entries = facts::rollback_entries(rollback);
            @if entries.is_empty() { p { (facts::rollback(rollback)) "." } } @else {
                details open[detail == Detail::Full] {
                    summary { (facts::rollback(rollback)) }
                    ol.undos reversed {
                        @for entry in entries {
                            li {
                                span.quiet { (entry.lead) } (entry.text)
                                @if let Some(step) = entry.step { " " span.quiet { "step " (step) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn outputs(plan: &Plan) -> Markup {
    if plan.outputs.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Outputs" }
            table {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Value in the dry run" } } }
                tbody {
                    @for output in &plan.outputs {
                        tr { th scope="row" { code { (output.name) } } td { code { (shown(&output.value)) } } }
                    }
                }
            }
        }
    }
}

/// A value as text: strings as they are, larger things over several lines.
fn shown(given: &Value) -> String {
    match given {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Object(_) => serde_json::to_string_pretty(given).unwrap_or_default(),
        Value::String(_) | Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) => value(given),
    }
}
