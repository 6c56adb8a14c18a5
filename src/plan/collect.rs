//! From the events of a dry run to the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Action, Call, Change, Denial, Fleet, FleetSize, Hook, Mark, Output, Plan, PointOfNoReturn, Share, Stage, Step,
    Undo, Wait, Weights, added, content, longest, unified_diff,
};
use crate::{
    event::{self, Event, Report, Stamped},
    policy::Level,
};

/// Listens to a dry run. Copies listen to the same.
#[derive(Clone, Default)]
pub struct Collector(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    plan: Plan,
    started: Option<Timestamp>,
    now: f64,
    /// Where each operation's step is: stage and position.
    steps: BTreeMap<String, (usize, usize)>,
    /// Waits under way, by operation and what for: since when, for how long at most.
    waits: BTreeMap<(String, String), (f64, f64)>,
    /// Whose each fleet is.
    owners: BTreeMap<String, String>,
    sizes: BTreeMap<String, FleetSize>,
    shares: BTreeMap<String, Vec<Share>>,
    /// How often each operation moved traffic.
    shifts: BTreeMap<String, u32>,
    last_step: Option<String>,
    /// Whether anything was changed by now.
    changed: bool,
    refusal: Option<Refusal>,
    /// What happens while it is taken back is not part of the plan.
    going_back: bool,
}

/// How a run would leave the account that policy stops. A dry run goes on, to tell of all that policy denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    BeforeAnyChange,
    AfterChanges,
    AfterPointOfNoReturn,
}

impl Report for Collector {
    fn event(&mut self, stamped: &Stamped) {
        let mut state = self.state();
        state.at(stamped.at);
        state.event(&stamped.event);
    }
}

impl Collector {
    /// The fleets as they are now, each with the stack that owns it.
    pub fn fleets(&self, now: Timestamp, fleets: impl IntoIterator<Item = (Option<String>, FleetSize)>) {
        let mut state = self.state();
        if state.going_back {
            return;
        }
        state.at(now);
        for (owner, size) in fleets {
            if let Some(owner) = owner {
                state.owners.insert(size.auto_scaling_group.clone(), owner);
            }
            state.fleet(size);
        }
    }

    /// What was collected.
    pub fn plan(&self) -> Plan {
        let (mut plan, owners) = {
            let state = self.state();
            (state.plan.clone(), state.owners.clone())
        };
        // Others that nothing happens to are somebody else's.
        let is_own = |group: &str| plan.stack.is_some() && owners.get(group) == plan.stack.as_ref();
        let of_run =
            plan.timeline.fleets.iter().filter(|fleet| fleet.at > 0.0 || is_own(&fleet.size.auto_scaling_group));
        let of_run: BTreeSet<String> = of_run.map(|fleet| fleet.size.auto_scaling_group.clone()).collect();
        plan.timeline.fleets.retain(|fleet| of_run.contains(&fleet.size.auto_scaling_group));
        plan.totals.peak_instances = peak(&plan.timeline.fleets);
        plan
    }

    /// At the first denial that nothing sets aside.
    pub fn refusal(&self) -> Option<Refusal> {
        self.state().refusal
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn at(&mut self, now: Timestamp) {
        let started = *self.started.get_or_insert(now);
        self.now = milliseconds(now.duration_since(started).as_secs_f64());
    }

    /// A run would go no further.
    fn refuse(&mut self) {
        let left = match (&self.plan.rollback.point_of_no_return, self.changed) {
            (_, false) => Refusal::BeforeAnyChange,
            (None, true) => Refusal::AfterChanges,
            (Some(_), true) => Refusal::AfterPointOfNoReturn,
        };
        self.refusal.get_or_insert(left);
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::RollbackStarted { .. } => {
                self.going_back = true;
                self.total();
            }
            // The figures of what went forward.
            Event::RunFinished { summary, .. } => {
                if !self.going_back {
                    self.total();
                }
                let totals = &mut self.plan.totals;
                (totals.create, totals.update, totals.delete, totals.unchanged) =
                    (summary.created, summary.updated, summary.deleted, summary.unchanged);
                totals.create = totals.create.saturating_sub(totals.replace);
            }
            _ if self.going_back => {}
            Event::RunStarted { runbook, target, version, .. } => {
                (self.plan.runbook, self.plan.target, self.plan.runner) =
                    (runbook.clone(), target.clone(), version.clone());
            }
            Event::Environment { environment, region, account } => {
                self.plan.environment = Some(environment.clone());
                self.plan.region = Some(region.clone());
                self.plan.account = Some(account.clone());
            }
            Event::Stack { stack } => self.plan.stack = Some(stack.clone()),
            Event::OperationStarted { id, operation, subject, stage, place } => {
                self.begin(
                    stage.as_deref(),
                    Step {
                        id: id.clone(),
                        operation: operation.clone(),
                        subject: subject.clone(),
                        place: place.clone(),
                        starts: self.now,
                        ..Step::default()
                    },
                );
            }
            Event::OperationFinished { id, change, fields, .. } => self.finish(id, *change, fields),
            Event::OperationFailed { id, error, .. } => {
                self.end_waits(id);
                let now = self.now;
                if let Some(step) = self.step(id) {
                    step.action = Action::Fail;
                    step.error = Some(error.clone());
                    step.seconds = now - step.starts;
                }
                self.stage_goes_on(id);
            }
            Event::Sending { id, call, resource, request, opens, allows_all, undo } => {
                let call = Call {
                    call: call.clone(),
                    resource: resource.clone(),
                    request: request.clone(),
                    opens: opens.clone(),
                    allows_all: *allows_all,
                    undo: undo.clone(),
                };
                self.last_step = Some(id.clone());
                if let Some(step) = self.step(id) {
                    step.calls.push(call);
                }
            }
            Event::Call { id, mutation, attempt, .. } => {
                self.changed |= mutation;
                let again = *attempt > 1;
                self.plan.totals.calls += 1;
                self.plan.totals.reads += u32::from(!mutation && !again);
                self.plan.totals.repeated += u32::from(again);
                if let Some(step) = self.step(id).filter(|_| !mutation && !again) {
                    step.reads += 1;
                }
            }
            Event::Waiting { id, what, elapsed, timeout, .. } => {
                let begun = self.now - elapsed.as_secs_f64();
                self.waits.entry((id.clone(), what.clone())).or_insert((begun, timeout.as_secs_f64()));
            }
            Event::Waited { id, what, elapsed, timeout } => {
                self.waits.remove(&(id.clone(), what.clone()));
                let expected = elapsed.as_secs_f64();
                self.waited(id, what, self.now - expected, expected, timeout.as_secs_f64());
            }
            Event::Weights { id, route, weights } => self.weights(id, route, weights),
            Event::UndoArmed { id, undo, keep, impossible } => {
                let (step, description) = (id.clone(), undo.clone());
                self.plan.rollback.undos.push(Undo { step, description, keep: *keep, impossible: *impossible });
            }
            Event::HookArmed { hook } => {
                let after_undos = u32::try_from(self.plan.rollback.undos.len()).unwrap_or(u32::MAX);
                self.plan.rollback.hooks.push(Hook { label: hook.clone(), after_undos });
            }
            Event::Committed { label } => {
                // The first one decides: nothing is taken back after it.
                let point = PointOfNoReturn { label: label.clone(), at: self.now, after: self.last_step.clone() };
                self.plan.rollback.point_of_no_return.get_or_insert(point);
                self.mark(format!("point of no return: {label}"));
            }
            Event::Policy { check, level: Level::Deny, message, rule, place, overridden, .. } => {
                if overridden.is_none() {
                    self.refuse();
                }
                let place = place.as_ref().map(|place| format!(", {place}")).unwrap_or_default();
                self.plan.policy.push(Denial {
                    check: check.to_string(),
                    message: format!("{message} ({rule}{place})"),
                    overridden: overridden.clone(),
                });
            }
            Event::Policy { level: Level::Warn, message, rule, .. } => {
                self.plan.warnings.push(format!("policy: {message} ({rule})"));
            }
            Event::Override { check, reason, by } => {
                self.plan.warnings.push(format!("policy: {by} sets `{check}` aside: {reason}"));
            }
            Event::Log { message } => self.mark(message.clone()),
            Event::Warning { message } => self.plan.warnings.push(message.clone()),
            Event::Output { name, value } => {
                self.plan.outputs.retain(|output| output.name != *name);
                self.plan.outputs.push(Output { name: name.clone(), value: value.clone() });
            }
            Event::Resumed { .. }
            | Event::Suspended { .. }
            | Event::StageStarted { .. }
            | Event::StageFinished { .. }
            | Event::Retrying { .. }
            | Event::UndoFinished { .. }
            | Event::HookFinished { .. } => {}
        }
    }

    fn mark(&mut self, text: String) {
        self.plan.timeline.marks.push(Mark { at: self.now, text });
    }

    fn begin(&mut self, stage: Option<&str>, step: Step) {
        let name = stage.map(str::to_owned);
        let stages = &mut self.plan.stages;
        let place = stages.iter().position(|stage| stage.name == name).unwrap_or_else(|| {
            stages.push(Stage { name, starts: self.now, ..Stage::default() });
            stages.len() - 1
        });
        self.steps.insert(step.id.clone(), (place, stages[place].steps.len()));
        stages[place].steps.push(step);
    }

    fn step(&mut self, id: &str) -> Option<&mut Step> {
        let &(stage, step) = self.steps.get(id)?;
        self.plan.stages.get_mut(stage)?.steps.get_mut(step)
    }

    fn finish(&mut self, id: &str, change: event::Change, fields: &[event::Field]) {
        self.end_waits(id);
        let now = self.now;
        let moved = self.shifts.contains_key(id);
        let Some(step) = self.step(id) else { return };
        step.seconds = now - step.starts;
        step.action = action(step, change, moved);
        if matches!(step.action, Action::Create | Action::Replace) {
            step.content = content(&step.calls);
        }
        step.changes = fields
            .iter()
            .map(|field| Change {
                field: field.name.clone(),
                before: field.before.clone(),
                after: field.after.clone(),
                diff: match &field.before {
                    Some(before) => diff(before, &field.after),
                    None => new_text(&field.name, &field.after),
                },
            })
            .collect();
        self.stage_goes_on(id);
    }

    /// A stage lasts until its last operation has ended, well or not.
    fn stage_goes_on(&mut self, id: &str) {
        if let Some(&(stage, _)) = self.steps.get(id) {
            let stage = &mut self.plan.stages[stage];
            stage.seconds = self.now - stage.starts;
        }
    }

    /// Whatever an operation still waits for, it does not after its end.
    fn end_waits(&mut self, id: &str) {
        let waits = std::mem::take(&mut self.waits).into_iter();
        let (over, others): (BTreeMap<_, _>, BTreeMap<_, _>) = waits.partition(|((of, _), _)| of == id);
        self.waits = others;
        for ((id, what), (begun, at_most)) in over {
            self.waited(&id, &what, begun, self.now - begun, at_most);
        }
    }

    fn waited(&mut self, id: &str, what: &str, starts: f64, expected_seconds: f64, at_most: f64) {
        if let Some(step) = self.step(id) {
            let at_most_seconds = milliseconds(at_most.max(expected_seconds));
            let (starts, expected_seconds) = (milliseconds(starts), milliseconds(expected_seconds));
            step.waits.push(Wait { what: what.to_owned(), starts, expected_seconds, at_most_seconds });
        }
    }

    fn weights(&mut self, id: &str, route: &str, weights: &[event::Weight]) {
        let shares: Vec<Share> = weights
            .iter()
            .map(|weight| Share { target_group: weight.target_group.clone(), weight: weight.weight })
            .collect();
        let weights = Weights { at: self.now, route: route.to_owned(), shares: shares.clone() };
        let before = self.shares.insert(route.to_owned(), shares);
        // A group at weight 0 that comes or goes moves nothing.
        let serving = |shares: &[Share]| shares.iter().filter(|share| share.weight > 0).cloned().collect::<Vec<_>>();
        if before.as_ref().is_some_and(|before| serving(before) != serving(&weights.shares)) {
            *self.shifts.entry(id.to_owned()).or_default() += 1;
        }
        if before.as_ref() == Some(&weights.shares) {
            return;
        }
        self.plan.timeline.weights.push(weights.clone());
        // What was there at first is not what the step does.
        if let Some(step) = self.step(id).filter(|_| before.is_some()) {
            step.weights.push(weights);
        }
    }

    fn fleet(&mut self, size: FleetSize) {
        if self.sizes.get(&size.auto_scaling_group) != Some(&size) {
            self.sizes.insert(size.auto_scaling_group.clone(), size.clone());
            self.plan.timeline.fleets.push(Fleet { at: self.now, size });
        }
    }

    /// What is summed over the steps.
    fn total(&mut self) {
        let seconds = self.now;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let steps = || self.plan.stages.iter().flat_map(|stage| &stage.steps);
        let replace = count(steps().filter(|step| step.action == Action::Replace).count());
        let shifts = self.shifts.values().sum();
        let waits = count(steps().map(|step| step.waits.len()).sum());
        let more = longest::more(steps());
        let totals = &mut self.plan.totals;
        totals.replace = replace;
        (totals.traffic_shifts, totals.waits) = (shifts, waits);
        (totals.seconds, totals.seconds_at_most) = (seconds, seconds + more);
    }
}

/// To the millisecond: what is behind it is the simulator's.
fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// Text of several lines, and trees, are easier to read as a diff.
fn diff(before: &Value, after: &Value) -> Option<String> {
    let tree = |value: &Value| serde_json::to_string_pretty(value).map(|text| text + "\n").ok();
    let lines = |value: &Value| match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => tree(&value),
            Ok(_) | Err(_) => Some(text.clone()),
        },
        Value::Object(_) => tree(value),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Bool(_) | Value::Number(_) => None,
    };
    let (before, after) = (lines(before)?, lines(after)?);
    // A line break is a difference too, and a value in one line would not show it.
    let is_long = |text: &str| text.contains(['\n', '\r']);
    (is_long(&before) || is_long(&after)).then(|| unified_diff(&before, &after))
}

/// What a step does, from what the operation says and the calls it makes.
fn action(step: &Step, change: event::Change, moved: bool) -> Action {
    match change {
        event::Change::Created if replaces(step) => Action::Replace,
        event::Change::Created => Action::Create,
        event::Change::Updated if moved => Action::Shift,
        event::Change::Updated => Action::Update,
        event::Change::Deleted => Action::Delete,
        event::Change::Unchanged if step.calls.is_empty() => Action::Unchanged,
        event::Change::Unchanged => Action::Update,
        event::Change::Waited => Action::Wait,
        event::Change::Read => Action::Read,
    }
}

/// Whether it creates one and deletes another of the same kind: AWS's names tell.
fn replaces(step: &Step) -> bool {
    let of_kind = |verb: &str| {
        let calls = step.calls.iter().filter_map(|call| call.call.split_once(':'));
        calls.filter_map(|(_, name)| name.strip_prefix(verb).map(str::to_owned)).collect::<Vec<_>>()
    };
    let deleted = of_kind("Delete");
    of_kind("Create").iter().any(|kind| deleted.contains(kind))
}

/// The most instances at one time.
fn peak(fleets: &[Fleet]) -> u32 {
    let mut now: BTreeMap<&str, u32> = BTreeMap::new();
    let mut most = 0;
    for (index, fleet) in fleets.iter().enumerate() {
        now.insert(&fleet.size.auto_scaling_group, fleet.size.instances);
        // What changes at one moment counts together.
        if fleets.get(index + 1).is_none_or(|next| next.at > fleet.at) {
            most = most.max(now.values().sum());
        }
    }
    most
}

/// New text of several lines, to be read line by line. User data always is: it is what a new machine runs.
fn new_text(field: &str, after: &Value) -> Option<String> {
    let text = after.as_str().filter(|text| !text.is_empty())?;
    (text.contains(['\n', '\r']) || field == "user_data").then(|| added(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_break_makes_a_difference() {
        let shown = |before: &str, after: &str| diff(&json!(before), &json!(after));
        let wanted = "@@ -1 +1 @@\n-run\n+run\n\\ No newline at end of file\n";
        assert_eq!(shown("run\n", "run").as_deref(), Some(wanted));
        assert_eq!(shown("run\r\n", "run\n").as_deref(), Some("@@ -1 +1 @@\n-run^M\n+run\n"));
        assert_eq!(shown("a", "b"), None);
        let trees = diff(&json!({ "a": 1 }), &json!({ "a": 2 })).expect("a difference");
        assert_eq!(trees, "@@ -1,3 +1,3 @@\n {\n-  \"a\": 1\n+  \"a\": 2\n }\n");
    }
}
