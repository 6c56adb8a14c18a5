//! A plan for a terminal, in the manner of a run: the same signs, columns and colours.

use serde_json::Value;

use super::{
    Detail,
    facts::{self, Moment},
};
use crate::{
    event::{Field, Weight},
    plan::{Action, Change, Plan, Scenario, Share, Stage, Step},
    report::{
        Ink, Look, lines,
        words::{clean, plural, seconds, shorten, value},
    },
};

/// What shows what is left out.
const HINT: &str = "--detail full";
/// Lines of a long text's difference shown without it.
const DIFF_SHOWN: usize = 24;
/// Where the time stands when the subject leaves room for it.
const SUBJECT_WIDTH: usize = 40;

pub fn write(plan: &Plan, detail: Detail, look: &Look) -> String {
    let mut page = Page { plan, detail, look, columns: Columns::of(plan, detail, look), lines: Vec::new() };
    page.head();
    page.stages();
    page.scenarios();
    if detail > Detail::Summary {
        page.rollback();
        page.outputs();
    }
    page.warnings();
    page.policy();
    if detail > Detail::Summary {
        page.legend();
    }
    let mut text = page.lines.join("\n");
    text.push('\n');
    text
}

struct Page<'a> {
    plan: &'a Plan,
    detail: Detail,
    look: &'a Look,
    columns: Columns,
    lines: Vec<String>,
}

/// As wide as what stands in them, so that subjects stand below each other.
struct Columns {
    sign: usize,
    time: usize,
    operation: usize,
}

impl Columns {
    fn of(plan: &Plan, detail: Detail, look: &Look) -> Self {
        let mut columns = Self { sign: 1, time: 0, operation: 0 };
        for step in plan.steps().filter(|step| facts::is_shown(step, detail)) {
            columns.sign = columns.sign.max(sign(look, step.action).1.chars().count());
            columns.time = columns.time.max(time(step.starts).len());
            let moments = facts::moments(step, detail);
            columns.time = moments.iter().map(|moment| time(moment.at()).len()).fold(columns.time, usize::max);
            columns.operation = columns.operation.max(clean(&step.operation).chars().count());
        }
        columns.operation = columns.operation.min(32);
        columns
    }

    /// Where a subject begins.
    fn indent(&self) -> usize {
        2 + self.sign + 1 + self.time + 2 + self.operation + 1
    }
}

fn sign(look: &Look, action: Action) -> (Ink, &'static str) {
    let sign = facts::sign(action);
    (sign.ink, look.pick(sign.unicode, sign.ascii))
}

/// From the start of the run.
fn time(at: f64) -> String {
    format!("t+{}", seconds(at))
}

impl Page<'_> {
    fn line(&mut self, line: impl Into<String>) {
        self.lines.push(line.into().trim_end().to_owned());
    }

    fn heading(&mut self, text: &str) {
        self.line("");
        self.line(self.look.paint(Ink::Bold, text));
    }

    fn dim(&self, text: &str) -> String {
        self.look.paint(Ink::Dim, text)
    }

    fn head(&mut self) {
        let look = self.look;
        let verdict = &self.plan.verdict;
        let (ink, symbol) =
            if facts::is_good(self.plan) { (Ink::Green, look.done()) } else { (Ink::Red, look.failed()) };
        self.line(format!("{} {}", look.paint(ink, symbol), look.paint(Ink::Bold, &clean(&verdict.text))));
        self.line("");
        for (key, text) in facts::head(self.plan, look.dot()) {
            self.line(lines::pair(look, key, &text));
        }
        let banners = facts::banners(self.plan);
        if !banners.is_empty() {
            self.line("");
        }
        for banner in banners {
            let ink = if banner.grave { Ink::Red } else { Ink::Yellow };
            self.line(format!("{}: {}", look.paint(ink, &format!("! {}", banner.lead)), banner.text));
        }
        self.line("");
        for (key, text) in facts::figures(self.plan, self.detail) {
            self.line(lines::pair(look, key, &text));
        }
    }

    fn stages(&mut self) {
        if self.detail == Detail::Summary && !self.plan.stages.is_empty() {
            self.heading("stages");
        }
        for stage in &self.plan.stages {
            let name = facts::stage_name(stage);
            if self.detail == Detail::Summary {
                let when = self.dim(&format!("{}, {}", time(stage.starts), seconds(stage.seconds)));
                self.line(format!("  {name}: {}  {when}", facts::stage_line(stage)));
                continue;
            }
            self.line("");
            let when = self.dim(&format!("{}, {}", time(stage.starts), seconds(stage.seconds)));
            self.line(format!("{}  {when}", self.look.paint(Ink::Bold, &name)));
            self.stage(stage);
        }
    }

    fn stage(&mut self, stage: &Stage) {
        let detail = self.detail;
        for step in stage.steps.iter().filter(|step| facts::is_shown(step, detail)) {
            self.step(step);
            self.no_return(step);
        }
        if let Some(folded) = facts::folded(stage, self.detail) {
            let unchanged = stage.steps.iter().any(|step| step.action == Action::Unchanged);
            let action = if unchanged { Action::Unchanged } else { Action::Read };
            let sign = format!("{:<width$}", sign(self.look, action).1, width = self.columns.sign);
            self.line(self.dim(&format!("  {sign} {folded}")));
        }
    }

    /// Where it lies in the order of steps.
    fn no_return(&mut self, step: &Step) {
        let point = self.plan.rollback.point_of_no_return.as_ref();
        if let Some(point) = point.filter(|point| point.after.as_ref() == Some(&step.id)) {
            let symbol = format!("{:<width$}", self.look.pick("◆", "*"), width = self.columns.sign);
            let at = format!("{:>width$}", time(point.at), width = self.columns.time);
            let (symbol, at) = (self.look.paint(Ink::Cyan, &symbol), self.dim(&at));
            self.line(format!("  {symbol} {at}  point of no return: {}", clean(&point.label)));
        }
    }

    fn step(&mut self, step: &Step) {
        self.row(step);
        if let Some(error) = &step.error {
            for line in error.lines() {
                self.line(self.look.paint(Ink::Red, &format!("      {}", clean(line))));
            }
        }
        self.changes(step);
        for fact in &step.content {
            self.line(format!("      {}: {}", clean(&fact.name), clean(&fact.value)));
        }
        for moment in facts::moments(step, self.detail) {
            self.moment(&moment);
        }
        if self.detail == Detail::Full {
            self.calls(step);
        }
    }

    fn row(&mut self, step: &Step) {
        let (look, columns) = (self.look, &self.columns);
        let (ink, symbol) = sign(look, step.action);
        let room = look.width.saturating_sub(columns.indent() + 10).max(16);
        let subject = shorten(look, &clean(&step.subject), room);
        let duration = if step.seconds < 1.0 { String::new() } else { seconds(step.seconds) };
        let at = format!("{:>width$}", time(step.starts), width = columns.time);
        let operation = format!("{:<width$}", clean(&step.operation), width = columns.operation);
        let subject = format!("{subject:<width$}", width = SUBJECT_WIDTH.min(room));
        let symbol = format!("{symbol:<width$}", width = columns.sign);
        // What changes nothing stays in the background as a whole.
        let row = match ink {
            Ink::Dim => self.dim(format!("  {symbol} {at}  {operation} {subject} {duration}").trim_end()),
            _ => {
                let (symbol, at, duration) = (look.paint(ink, &symbol), self.dim(&at), self.dim(&duration));
                format!("  {symbol} {at}  {operation} {subject} {duration}")
            }
        };
        self.line(row);
    }

    fn changes(&mut self, step: &Step) {
        let full = self.detail == Detail::Full;
        let changes = facts::changes(step, self.detail);
        let plain = changes.iter().filter(|change| change.diff.is_none());
        let fields: Vec<Field> = plain.map(|change| field(change)).collect();
        // Two columns further to the right than in a run.
        let look = Look { width: self.look.width.saturating_sub(2), ..*self.look };
        let new = matches!(step.action, Action::Create) && !full;
        let listed = match fields.as_slice() {
            [] => Vec::new(),
            fields if new => lines::set_in_full(&look, fields),
            fields => lines::listed(&look, fields, (!full).then_some(HINT)),
        };
        for line in listed {
            self.line(format!("  {line}"));
        }
        for change in changes {
            if let Some(diff) = &change.diff {
                self.diff(change, diff);
            }
        }
    }

    fn diff(&mut self, change: &Change, diff: &str) {
        self.line(format!("      {}:", clean(&change.field)));
        let total = diff.lines().count();
        let most = if change.before.is_none() { facts::NEW_TEXT_SHOWN } else { DIFF_SHOWN };
        let shown = if self.detail == Detail::Full { total } else { most.min(total) };
        for line in diff.lines().take(shown) {
            let ink = match line.chars().next() {
                Some('+') => Some(Ink::Green),
                Some('-') => Some(Ink::Red),
                Some('@') => Some(Ink::Cyan),
                _ => None,
            };
            let line = format!("        {}", clean(line));
            self.line(ink.map_or_else(|| line.clone(), |ink| self.look.paint(ink, &line)));
        }
        if total > shown {
            let more = format!("        {} and {} more lines, {HINT} shows all", self.look.ellipsis(), total - shown);
            self.line(self.dim(&more));
        }
    }

    fn moment(&mut self, moment: &Moment<'_>) {
        let look = self.look;
        let (action, text) = match moment {
            Moment::Wait(wait) => {
                (Action::Wait, format!("{}: {}", clean(&wait.what), self.dim(&facts::wait_time(wait))))
            }
            Moment::Weights(weights) => {
                let shares: Vec<Weight> = weights.shares.iter().map(weight).collect();
                (Action::Shift, format!("{}{}", clean(&weights.route), lines::shares(look, &shares)))
            }
        };
        let (ink, symbol) = sign(look, action);
        let at = format!("{:>width$}", time(moment.at()), width = self.columns.time);
        let before = " ".repeat(2 + self.columns.sign + 1);
        self.line(format!("{before}{}  {} {text}", self.dim(&at), look.paint(ink, symbol)));
    }

    fn calls(&mut self, step: &Step) {
        let look = self.look;
        if let Some(place) = &step.place {
            self.line(self.dim(&format!("      at {}", clean(place))));
        }
        for call in &step.calls {
            self.line(format!("      {} {}  {}", look.pick("»", ">"), clean(&call.call), clean(&call.resource)));
            if let Value::Object(request) = &call.request {
                for (key, given) in request {
                    self.line(self.dim(&format!("          {}: {}", clean(key), value(given))));
                }
            }
            if let Some(undo) = &call.undo {
                self.line(self.dim(&format!("        to take it back: {}", clean(undo))));
            }
        }
        if step.reads > 0 {
            self.line(self.dim(&format!("      {} {}", look.pick("›", ">"), plural(step.reads as usize, "read"))));
        }
    }

    fn scenarios(&mut self) {
        if self.plan.on_failure.is_empty() {
            return;
        }
        self.heading("if something goes wrong");
        for scenario in &self.plan.on_failure {
            self.scenario(scenario);
        }
    }

    fn scenario(&mut self, scenario: &Scenario) {
        let look = self.look;
        let ends_well = facts::ends_well(scenario);
        let (ink, symbol) = if ends_well { (Ink::Green, look.done()) } else { (Ink::Yellow, "!") };
        self.line(format!(
            "  {} {}: {} after {}, exit code {}",
            look.paint(ink, symbol),
            clean(&scenario.name),
            clean(&scenario.outcome),
            seconds(scenario.seconds),
            scenario.exit_code,
        ));
        if self.detail == Detail::Summary && ends_well {
            return;
        }
        if !scenario.final_state.is_empty() {
            self.line(format!("      {}", clean(&scenario.final_state)));
        }
        self.line(format!("      {}", facts::scenario_figures(scenario)));
        for left in &scenario.left {
            self.line(look.paint(Ink::Yellow, &format!("      not taken back: {}", clean(left))));
        }
        for line in scenario.error.iter().flat_map(|error| error.lines()) {
            self.line(self.dim(&format!("      {}", clean(line))));
        }
    }

    fn rollback(&mut self) {
        let rollback = &self.plan.rollback;
        if rollback.is_empty() {
            return;
        }
        self.heading("rollback");
        self.line(format!("  {}", facts::rollback(rollback)));
        if self.detail == Detail::Full {
            let width = rollback.undos.iter().map(|undo| clean(&undo.step).chars().count()).max().unwrap_or(0);
            for entry in facts::rollback_entries(rollback) {
                let step = format!("{:<width$}", clean(entry.step.unwrap_or_default()));
                self.line(format!("    {}  {}{}", self.dim(&step), self.dim(entry.lead), clean(entry.text)));
            }
        }
        if let Some(point) = &rollback.point_of_no_return {
            let symbol = self.look.paint(Ink::Cyan, self.look.pick("◆", "*"));
            self.line(format!("  {symbol} {}: {}", facts::no_return(point), clean(&point.label)));
        }
    }

    fn outputs(&mut self) {
        if self.plan.outputs.is_empty() {
            return;
        }
        self.heading("outputs");
        let width = self.plan.outputs.iter().map(|output| clean(&output.name).chars().count()).max().unwrap_or(0);
        for output in &self.plan.outputs {
            let name = format!("{:<width$}", clean(&output.name));
            self.line(format!("  {}  {}", self.dim(&name), value(&output.value)));
        }
    }

    fn warnings(&mut self) {
        if self.plan.warnings.is_empty() {
            return;
        }
        self.heading("warnings");
        for warning in &self.plan.warnings {
            self.lines.extend(lines::message(self.look, Ink::Yellow, "!", warning));
        }
    }

    fn policy(&mut self) {
        if self.plan.policy.is_empty() {
            return;
        }
        self.heading("policy");
        for denial in &self.plan.policy {
            let (ink, symbol) = match denial.overridden {
                None => (Ink::Red, self.look.failed()),
                Some(_) => (Ink::Yellow, "!"),
            };
            let text = format!("{}: {}", denial.check, denial.message);
            self.lines.extend(lines::message(self.look, ink, symbol, &text));
            if let Some(reason) = &denial.overridden {
                self.line(format!("    overridden: {}", clean(reason)));
            }
        }
    }

    /// Only the signs that are used.
    fn legend(&mut self) {
        let used = |action: &Action| {
            let shown = |step: &&Step| facts::is_shown(step, self.detail);
            self.plan.steps().filter(shown).any(|step| {
                let during = |moment: &Moment<'_>| match moment {
                    Moment::Wait(_) => *action == Action::Wait,
                    Moment::Weights(_) => *action == Action::Shift,
                };
                step.action == *action || facts::moments(step, self.detail).iter().any(during)
            })
        };
        let signs: Vec<String> = facts::ACTIONS
            .iter()
            .filter(|action| used(action))
            .map(|action| {
                let (ink, symbol) = sign(self.look, *action);
                format!("{} {}", self.look.paint(ink, symbol), facts::sign(*action).word)
            })
            .collect();
        if !signs.is_empty() {
            self.line("");
            self.line(signs.join("   "));
        }
    }
}

fn field(change: &Change) -> Field {
    Field { name: change.field.clone(), before: change.before.clone(), after: change.after.clone() }
}

fn weight(share: &Share) -> Weight {
    Weight { target_group: share.target_group.clone(), weight: share.weight }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::plan::sample;

    const PLAIN: Look = Look { colour: false, unicode: true, width: 120 };

    fn shown(plan: &Plan, detail: Detail, look: Look) -> String {
        write(plan, detail, &look)
    }

    #[test]
    fn a_first_deploy() {
        insta::assert_snapshot!(shown(&sample::first_deploy(), Detail::Changes, PLAIN));
    }

    #[test]
    fn a_second_deploy() {
        insta::assert_snapshot!(shown(&sample::second_deploy(), Detail::Changes, PLAIN));
    }

    #[test]
    fn a_second_deploy_in_short() {
        insta::assert_snapshot!(shown(&sample::second_deploy(), Detail::Summary, PLAIN));
    }

    #[test]
    fn a_second_deploy_in_full() {
        insta::assert_snapshot!(shown(&sample::second_deploy(), Detail::Full, PLAIN));
    }

    #[test]
    fn no_changes() {
        insta::assert_snapshot!(shown(&sample::no_changes(), Detail::Changes, PLAIN));
    }

    #[test]
    fn a_runbook_that_fails() {
        insta::assert_snapshot!(shown(&sample::failing(), Detail::Changes, PLAIN));
    }

    #[test]
    fn refused_by_policy() {
        insta::assert_snapshot!(shown(&sample::refused(), Detail::Summary, PLAIN));
    }

    #[test]
    fn a_replacement_with_colour() {
        let look = Look { colour: true, ..PLAIN };
        insta::assert_snapshot!(shown(&sample::replacement(), Detail::Changes, look).replace('\x1b', "␛"));
    }

    #[test]
    fn on_a_narrow_terminal_without_unicode() {
        let look = Look { unicode: false, width: 72, colour: false };
        let shown = shown(&sample::second_deploy(), Detail::Changes, look);
        assert!(shown.is_ascii(), "{shown}");
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn the_first_line_is_the_verdict() {
        for (name, plan) in sample::all() {
            let shown = shown(&plan, Detail::Changes, PLAIN);
            assert!(shown.lines().next().is_some_and(|line| line.ends_with(&plan.verdict.text)), "{name}: {shown}");
        }
    }
}
