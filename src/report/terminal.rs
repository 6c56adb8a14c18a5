//! A run as a person watches it: progress on stderr while it lasts, the summary on stdout.

use std::{collections::BTreeMap, io::Write};

use super::{
    Ink, Live, Look, lines, live, summary,
    words::{self, clean, friendly, plural, value},
};
use crate::{
    event::{Event, Report, Stamped, UndoOutcome},
    run::SURVEY,
};

/// How much is shown: `-qq`, `-q`, nothing, `-v`, `-vv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Nothing; errors are shown by the caller.
    Errors,
    Summary,
    Normal,
    /// All fields, retries, undos as they are armed.
    Verbose,
    /// Every call.
    Calls,
}

/// Shows a run on a terminal, or as plain lines where there is none.
pub struct Terminal {
    progress: Box<dyn Write + Send>,
    result: Box<dyn Write + Send>,
    look: Look,
    result_look: Look,
    verbosity: Verbosity,
    operations: live::Operations,
    /// The names of operations under way, by id.
    names: BTreeMap<String, String>,
    simulated: bool,
    /// The last error of an operation, which need not be said again when it is why all is rolled back.
    shown_error: Option<String>,
    /// The last denial of policy, which need not be said again by the operation it ends.
    shown_denial: Option<String>,
    /// Undos that were not run because the runbook asked to keep what they undo.
    kept: usize,
    /// The head of the run is being written: what comes after it is set apart by an empty line.
    in_head: bool,
}

impl Terminal {
    /// `progress` and `result` are stderr and stdout, each with its looks.
    pub fn new(
        progress: (Box<dyn Write + Send>, Look),
        result: (Box<dyn Write + Send>, Look),
        verbosity: Verbosity,
        live: Live,
    ) -> Self {
        Self {
            progress: progress.0,
            result: result.0,
            look: progress.1,
            result_look: result.1,
            verbosity,
            operations: live::Operations::new(live, progress.1),
            names: BTreeMap::from([(SURVEY.to_owned(), SURVEY.to_owned())]),
            simulated: false,
            shown_error: None,
            shown_denial: None,
            kept: 0,
            in_head: true,
        }
    }

    /// Brings the live lines up to date.
    fn redraw(&mut self, event: &Event) {
        match event {
            Event::OperationStarted { id, operation, subject, .. } => {
                self.names.insert(id.clone(), operation.clone());
                self.operations.started(id, lines::under_way(operation, &clean(subject)));
            }
            Event::Waiting { id, what, seen, elapsed, timeout } => {
                let name = self.names.get(id).map_or("", String::as_str);
                self.operations.waits(
                    id,
                    lines::under_way(name, &format!("{}: {}", clean(what), clean(seen))),
                    *elapsed,
                    *timeout,
                );
            }
            Event::UndoFinished { outcome: UndoOutcome::Kept, .. } => self.kept += 1,
            Event::OperationFinished { id, .. } | Event::OperationFailed { id, .. } => {
                self.names.remove(id);
                self.operations.finished(id);
            }
            Event::RollbackStarted { .. } | Event::RunFinished { .. } => self.operations.clear(),
            // No other event is about something under way.
            _ => {}
        }
    }

    /// What is written once and stays.
    fn lines(&self, event: &Event) -> Vec<String> {
        let look = &self.look;
        let verbose = self.verbosity >= Verbosity::Verbose;
        match event {
            Event::RunStarted { run, runbook, target, version: _ } => {
                vec![
                    lines::pair(look, "runbook", &look.paint(Ink::Bold, &clean(runbook))),
                    lines::pair(look, "run", run),
                    lines::pair(look, "target", &clean(words::target(target))),
                ]
            }
            Event::Environment { environment, region, account } => {
                let dot = look.dot();
                vec![lines::pair(look, "environment", &format!("{environment} {dot} {region} {dot} account {account}"))]
            }
            Event::Resumed { operations, mutations, before } => {
                let done = [plural(*operations, "operation"), plural(*mutations, "mutation")].join(", ");
                vec![lines::pair(look, "goes on", &format!("after {done} {} by {}", look.dot(), clean(before)))]
            }
            Event::Stack { stack } => vec![lines::pair(look, "stack", stack)],
            Event::StageStarted { stage } => vec![String::new(), look.paint(Ink::Bold, &clean(stage))],
            Event::StageFinished { stage, elapsed } if verbose => {
                vec![look.paint(Ink::Dim, &format!("  {} took {}", clean(stage), friendly(*elapsed)))]
            }
            Event::OperationFinished { operation, subject, change, fields, elapsed, .. } => {
                let mut all = vec![lines::finished(look, operation, subject, *change, *elapsed)];
                all.extend(lines::fields(look, *change, fields, verbose));
                all
            }
            Event::OperationFailed { operation, subject, error, .. } => {
                let known = self.shown_denial.as_ref().is_some_and(|denial| error.contains(denial));
                lines::failed(look, operation, subject, if known { "" } else { error })
            }
            Event::Call { id, call, mutation, attempt, error, .. } if self.verbosity >= Verbosity::Calls => {
                vec![lines::call(look, self.name(id), call, *mutation, *attempt, error.as_deref())]
            }
            Event::Retrying { id, call, reason, delay } if verbose => {
                vec![lines::retrying(look, self.name(id), call, reason, *delay)]
            }
            Event::Waiting { id, what, seen, elapsed, timeout } if !self.operations.live().is_shown() => {
                vec![lines::waiting(look, self.name(id), what, seen, *elapsed, *timeout)]
            }
            Event::Weights { id, route, weights } => vec![lines::weights(look, self.name(id), route, weights)],
            Event::UndoArmed { undo, keep: false, .. } if verbose => {
                vec![look.paint(Ink::Dim, &format!("    to take it back: {}", clean(undo)))]
            }
            Event::Override { check, reason, by } => {
                let who = format!("{} {} by {}", look.paint(Ink::Yellow, check.name()), look.dot(), clean(by));
                vec![lines::pair(look, "override", &format!("{who}: {}", clean(reason)))]
            }
            Event::Policy { check, level, message, overridden, .. } => {
                lines::policy(look, *check, *level, message, overridden.is_some())
            }
            Event::Committed { label } => {
                let text = format!("point of no return: {label}");
                lines::message(look, Ink::Cyan, look.pick("◆", "*"), &text)
            }
            Event::Log { message } => lines::message(look, Ink::Cyan, look.pick("›", ">"), message),
            Event::Warning { message } => lines::message(look, Ink::Yellow, "!", &format!("warning: {message}")),
            Event::Output { name, value: given } if verbose => {
                let text = format!("output {name} = {}", value(given));
                lines::message(look, Ink::Dim, look.dot(), &text)
            }
            Event::Suspended { reason, resume } => {
                lines::message(look, Ink::Yellow, "!", &format!("suspended: {reason}\ngo on with: {resume}"))
            }
            Event::RollbackStarted { reason, undos, kept, hooks } => {
                let what = [plural(*undos, "change"), words::kept_and_hooks(*kept, *hooks)].concat();
                let heading = look.paint(Ink::Bold, &format!("rolling back {what}"));
                // The reason is the error with its place before it.
                let told = self.shown_error.as_ref().and_then(|error| error.lines().next());
                let known = told.is_some_and(|error| reason.ends_with(error));
                let reason = if known { String::new() } else { format!(": {}", clean(reason)) };
                vec![String::new(), format!("{heading}{reason}")]
            }
            // Told together, below.
            Event::UndoFinished { outcome: UndoOutcome::Kept, .. } if !verbose => Vec::new(),
            Event::RunFinished { .. } if self.kept > 0 && !verbose => vec![lines::kept(look, self.kept)],
            Event::UndoFinished { undo, outcome, detail } => lines::undone(look, undo, *outcome, detail.as_deref()),
            Event::HookFinished { hook, error } => lines::hook(look, hook, error.as_deref()),
            // Told by the summary, by the live line, or only to those who ask for more.
            Event::RunFinished { .. }
            | Event::OperationStarted { .. }
            | Event::Sending { .. }
            | Event::Waited { .. }
            | Event::StageFinished { .. }
            | Event::Call { .. }
            | Event::Retrying { .. }
            | Event::Waiting { .. }
            | Event::UndoArmed { .. }
            | Event::HookArmed { .. }
            | Event::Output { .. } => Vec::new(),
        }
    }

    fn name(&self, id: &str) -> &str {
        self.names.get(id).map_or("", String::as_str)
    }
}

impl Report for Terminal {
    fn event(&mut self, stamped: &Stamped) {
        let event = &stamped.event;
        if self.verbosity >= Verbosity::Normal {
            self.redraw(event);
            let mut lines = self.lines(event);
            if !is_of_the_head(event) {
                if self.in_head && lines.first().is_some_and(|line| !line.is_empty()) {
                    lines.insert(0, String::new());
                }
                self.in_head &= lines.is_empty();
            }
            if matches!(event, Event::RunFinished { .. }) {
                lines.push(String::new());
            }
            let (progress, live) = (&mut self.progress, self.operations.live());
            live.suspend(|| write_lines(progress, &lines));
        }
        match event {
            Event::RunStarted { target, .. } => self.simulated = target == "sim",
            // However quiet it is to be: somebody has to see to what stays.
            event if self.verbosity < Verbosity::Normal && is_left(event) => {
                let lines = self.lines(event);
                write_lines(&mut self.progress, &lines);
            }
            Event::OperationFailed { error, .. } => self.shown_error = Some(error.clone()),
            Event::Policy { message, .. } => self.shown_denial = Some(message.clone()),
            Event::RunFinished { outcome, error, summary, .. } if self.verbosity >= Verbosity::Summary => {
                let lines = summary::lines(&self.result_look, *outcome, error.is_some(), self.simulated, summary);
                write_lines(&mut self.result, &lines);
            }
            // Shown above, if at all.
            _ => {}
        }
    }
}

/// Whether it tells of something that a rollback left to be done.
fn is_left(event: &Event) -> bool {
    match event {
        Event::UndoFinished { outcome, .. } => outcome.stays(),
        Event::HookFinished { error, .. } => error.is_some(),
        _ => false,
    }
}

/// Whether it is told in the head of a run.
fn is_of_the_head(event: &Event) -> bool {
    matches!(
        event,
        Event::RunStarted { .. }
            | Event::Resumed { .. }
            | Event::Environment { .. }
            | Event::Stack { .. }
            | Event::Override { .. }
    )
}

fn write_lines(out: &mut dyn Write, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let mut text = lines.join("\n");
    text.push('\n');
    // The reader may have gone. The run goes on: it may be in the middle of a change.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn shown(verbosity: Verbosity, look: Look, events: &[Stamped]) -> String {
        let (progress, result) = (sample::Buffer::default(), sample::Buffer::default());
        let mut report = Terminal::new(
            (Box::new(progress.clone()), look),
            (Box::new(result.clone()), look),
            verbosity,
            Live::new(false),
        );
        events.iter().for_each(|event| report.event(event));
        format!("--- stderr\n{}--- stdout\n{}", progress.text(), result.text())
    }

    const PLAIN: Look = Look { colour: false, unicode: true, width: 100 };

    #[test]
    fn a_first_deploy() {
        insta::assert_snapshot!(shown(Verbosity::Normal, PLAIN, &sample::deploy_that_works()));
    }

    #[test]
    fn a_deploy_that_is_rolled_back() {
        insta::assert_snapshot!(shown(Verbosity::Normal, PLAIN, &sample::deploy_that_fails()));
    }

    #[test]
    fn with_colour() {
        let look = Look { colour: true, ..PLAIN };
        let shown = shown(Verbosity::Normal, look, &sample::deploy_that_fails());
        insta::assert_snapshot!(shown.replace('\x1b', "␛"));
    }

    #[test]
    fn on_a_narrow_terminal_without_unicode() {
        let look = Look { unicode: false, width: 60, colour: false };
        let shown = shown(Verbosity::Normal, look, &sample::deploy_that_fails());
        assert!(shown.is_ascii(), "{shown}");
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn every_call_when_asked_for() {
        insta::assert_snapshot!(shown(Verbosity::Calls, PLAIN, &sample::deploy_that_fails()));
    }

    #[test]
    fn quiet_is_the_summary_and_quieter_is_nothing() {
        insta::assert_snapshot!(shown(Verbosity::Summary, PLAIN, &sample::deploy_that_works()));
        assert_eq!(shown(Verbosity::Errors, PLAIN, &sample::deploy_that_works()), "--- stderr\n--- stdout\n");
    }
}
