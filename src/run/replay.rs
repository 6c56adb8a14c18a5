//! Going on with a run: what the script asks for is compared with what is on record, and answered from there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Answer, Class, Ctx, Past, Record, Refused, Run, context,
    context::Op,
    past::{Again, Came, PastCall},
};
use crate::{
    aws::memory::Memory,
    ops::{Divergence, Error, catalog},
    redact::Edit as _,
};

tokio::task_local! {
    /// Set while something is read for several operations.
    static SHARING: ();
}

/// Reads for several operations: what one of them has done does not decide what the others see.
pub(super) async fn sharing<T>(read: impl Future<Output = T>) -> T {
    SHARING.scope((), read).await
}

/// What is on record of a run that goes on, and how much of it the script has come to.
pub(super) struct Replay {
    pub past: Past,
    left: Mutex<Left>,
    /// What a person says of calls whose outcome is not on record.
    settled: Mutex<BTreeMap<String, Came>>,
    /// Operations on record that the script has not called yet.
    ahead: AtomicUsize,
}

struct Left {
    commits: Vec<String>,
    hooks: Vec<String>,
    /// The operations and questions that the script has not come to, by the numbers of their ids.
    ids: BTreeSet<Vec<u32>>,
}

fn numbers(id: &str) -> Vec<u32> {
    id.split('.').filter_map(|number| number.parse().ok()).collect()
}

impl Left {
    /// The script comes to `id`. Returns what it should have come to before.
    ///
    /// Numbers at even places count steps, those at odd places tell branches apart, which have no order.
    fn comes_to(&mut self, id: &str) -> Option<Vec<u32>> {
        let id = numbers(id);
        self.ids.remove(&id);
        (0..id.len()).step_by(2).find_map(|place| {
            let next = self.ids.range(id[..place].to_vec()..).next()?;
            let is_earlier = next.len() > place && next[..place] == id[..place] && next[place] < id[place];
            is_earlier.then(|| next.clone())
        })
    }
}

impl Replay {
    pub fn new(past: Past) -> Self {
        let ids = past.operations.keys().chain(past.questions.keys()).map(|id| numbers(id)).collect();
        let left = Left { commits: past.commits.clone(), hooks: past.hooks.clone(), ids };
        let settled = Mutex::default();
        Self { ahead: past.operations.len().into(), left: Mutex::new(left), settled, past }
    }

    /// Takes a person's word for what became of a call.
    pub fn settle(&self, path: &str, error: Option<Refused>) -> Result<(), String> {
        let calls = self.past.operations.values().flat_map(|operation| operation.calls.values());
        // What the others have made is looked for, and they are sent again if it is not there: nobody has to say.
        let in_doubt = calls.filter(|call| call.came.is_none() && call.intent.class == Class::Once);
        let in_doubt: BTreeMap<&str, bool> =
            in_doubt.map(|call| (call.intent.path.as_str(), call.intent.can_be_said)).collect();
        let Some(can_be_said) = in_doubt.get(path) else {
            return Err(match in_doubt.is_empty() {
                true => "there is no call whose outcome only a person could know".to_owned(),
                false => format!(
                    "`{path}` is none of the calls whose outcome only a person could know: `{}`",
                    in_doubt.into_keys().collect::<Vec<_>>().join("`, `")
                ),
            });
        };
        if error.is_none() && !can_be_said {
            return Err(format!(
                "that `{path}` is done is not enough to go on: what it returned is needed, and nobody can say it; \
                 `--mark-not-done` lets it fail, and `runner rollback` takes the run back"
            ));
        }
        let came = error.map_or(Came::Done(None), Came::Refused);
        self.settled.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), came);
        Ok(())
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a question is told from an operation, in words.
pub(super) const QUESTION: &str = "the question ";

/// What an operation is to do that is on record.
pub(super) enum Recorded {
    /// It is not: it is new.
    No,
    /// It returned this.
    Ended(Value),
    /// It was under way.
    Begun(Box<Again>),
}

impl Run {
    /// What the run did before, if it goes on.
    pub fn past(&self) -> Option<&Past> {
        self.replay().map(|replay| &replay.past)
    }

    /// Whether the script is still where an earlier driver has been: what it says was said then.
    pub fn is_replaying(&self) -> bool {
        // What a hook says is new.
        !self.is_rolling_back()
            && self.replay().is_some_and(|replay| self.only_replays() || replay.ahead.load(Ordering::Relaxed) > 0)
    }

    /// Whether an operation of that id is on record: a branch that has more of them goes on, though a sibling has failed.
    pub fn is_on_record(&self, id: &str) -> bool {
        self.past().is_some_and(|past| past.operations.contains_key(id))
    }

    /// Takes note that the script passed a point of no return; whether it is on record.
    pub(super) fn was_committed(&self, label: &str) -> bool {
        self.replay().is_some_and(|replay| take(&mut replay.left().commits, label))
    }

    /// The same of a hook.
    pub(super) fn was_armed(&self, hook: &str) -> bool {
        self.replay().is_some_and(|replay| take(&mut replay.left().hooks, hook))
    }

    /// The time that the script asked for at `id`: as it was told then, or now.
    pub fn moment(&self, id: String) -> Timestamp {
        if let Some(known) = self.past().and_then(|past| past.moments.get(&id)) {
            return *known;
        }
        let time = self.clock().now();
        if self.only_replays() {
            return time;
        }
        self.journal().note(Record::Moment { id, time });
        time
    }

    /// The script has come to its end: has it done all that it did before?
    ///
    /// # Errors
    /// [`Error::Diverged`] if it has not.
    pub fn all_came_again(&self) -> Result<(), Error> {
        let Some(replay) = self.replay() else { return Ok(()) };
        let called = self.called();
        let missing = replay.past.operations.iter().find(|(id, _)| !called.contains(*id));
        missing.map_or(Ok(()), |(id, operation)| {
            let recorded = format!("`{}` of {}", operation.operation, operation.subject);
            Err(diverged(format!("operation {id}"), recorded, "nothing, the script has ended".to_owned()))
        })
    }
}

fn take(labels: &mut Vec<String>, label: &str) -> bool {
    let at = labels.iter().position(|known| known == label);
    at.map(|at| labels.remove(at)).is_some()
}

fn diverged(place: String, recorded: String, now: String) -> Error {
    Box::new(Divergence { place, recorded, now }).into()
}

impl Ctx {
    /// Compares the operation that is about to begin with what is on record. `arguments` are what it is called with, without
    /// secrets.
    pub(super) fn recorded(&self, name: &str, subject: &str, arguments: &Value) -> Result<Recorded, Error> {
        let id = &self.op.id;
        let is_new = self.run.call(id);
        let Some(replay) = self.run.replay() else { return Ok(Recorded::No) };
        self.in_order(&format!("`{name}` of {subject}"))?;
        let ends_here = self.run.only_replays();
        let Some(past) = replay.past.operations.get(id) else {
            return if ends_here { Err(Error::Interrupted) } else { Ok(Recorded::No) };
        };
        if is_new {
            replay.ahead.fetch_sub(1, Ordering::Relaxed);
        }
        let same = past.operation == name && past.arguments == *arguments;
        if !same {
            let words = |name: &str, subject: &str, arguments: &Value| {
                format!("`{name}` of {subject} with {}", serde_json::to_string(arguments).unwrap_or_default())
            };
            let recorded = words(&past.operation, &past.subject, &past.arguments);
            return Err(diverged(format!("operation {id}"), recorded, words(name, subject, arguments)));
        }
        match &past.ended {
            Some(Ok(Some(result))) => {
                if let Some(change) =
                    result.get("change").and_then(|change| serde_json::from_value(change.clone()).ok())
                {
                    self.run.count_change(change);
                }
                Ok(Recorded::Ended(result.clone()))
            }
            Some(Err(failed)) => Err(Error::Before(Box::new(failed.clone()))),
            Some(Ok(None)) | None if ends_here => Err(Error::Interrupted),
            Some(Ok(None)) | None => Ok(Recorded::Begun(Box::new(past.clone().again()))),
        }
    }

    /// The script comes to this id, for `what`: has it come to all that it did before that?
    pub(super) fn in_order(&self, what: &str) -> Result<(), Error> {
        let Some(replay) = self.run.replay() else { return Ok(()) };
        // Of the same id, and of another kind.
        let is_question = what.starts_with(QUESTION);
        let is_other = match is_question {
            true => replay.past.operations.contains_key(&self.op.id),
            false => replay.past.questions.contains_key(&self.op.id),
        };
        let missing = match is_other {
            true => Some(numbers(&self.op.id)),
            false => replay.left().comes_to(&self.op.id),
        };
        let Some(missing) = missing else { return Ok(()) };
        let id = missing.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
        let operation = replay.past.operations.get(&id).map(|past| format!("`{}` of {}", past.operation, past.subject));
        let question = || replay.past.questions.get(&id).map(|past| format!("{QUESTION}`{}`", past.question));
        let recorded = operation.or_else(question).unwrap_or_default();
        Err(diverged(format!("step {id}"), recorded, format!("{what}, as step {}", self.op.id)))
    }

    /// The arguments of an operation as the journal has them.
    pub(super) fn masked(&self, mut arguments: Value) -> Value {
        self.run.secrets().tree(&mut arguments);
        arguments
    }

    /// The time on record, while this operation does again what it did before.
    pub(super) fn time_on_record(&self) -> Option<Timestamp> {
        let real = self.run.clock().now();
        Some(self.op.again()?.as_mut()?.now(real))
    }

    /// Whether it is on record that this operation waited until then.
    pub(super) fn waited_until(&self, time: Timestamp) -> bool {
        self.op.again().is_some_and(|mut again| again.as_mut().is_some_and(|again| again.skips_to(time)))
    }

    /// The mutation of that path, if it is on record.
    pub(super) fn call_on_record(&self, path: &str) -> Option<PastCall> {
        let mut call = self.op.again()?.as_mut()?.call(path)?;
        let settled = self.run.replay()?.settled.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        call.came = call.came.or(settled);
        Some(call)
    }

    /// Looks for what calls have made that were under way when the driver of then ended.
    pub(super) async fn resolve(&self) -> Result<(), Error> {
        let open = match self.op.again().as_mut() {
            Some(again) => again.as_mut().map(|again| again.open_calls()).unwrap_or_default(),
            None => return Ok(()),
        };
        for call in open {
            let Some((name, arguments)) = call.intent.look_up.clone() else { continue };
            let Some(look_up) = catalog::LOOK_UPS.iter().find(|look_up| look_up.name == name) else { continue };
            let found = self.find_again(Some(&(look_up, arguments)), call.at).await?;
            if let Some(found) = found {
                let path = call.intent.path.clone();
                if let Some(mut again) = self.op.again()
                    && let Some(again) = again.as_mut()
                {
                    again.answer_call(&path, found.clone());
                }
                self.carried_out(path, call.intent.undo, &found);
            }
        }
        Ok(())
    }

    /// Refuses a call that is not the one on record.
    pub(super) fn compare_call(&self, past: &PastCall, call: &str, digest: Option<&str>) -> Result<(), Error> {
        let intent = &past.intent;
        let differs = digest.is_some_and(|digest| digest != intent.request_sha256);
        if intent.call == call && !differs {
            return Ok(());
        }
        let words = |call: &str, digest: &str| format!("{call} with {}", digest.get(..12).unwrap_or(digest));
        let recorded = words(&intent.call, &intent.request_sha256);
        Err(diverged(format!("call {}", intent.path), recorded, words(call, digest.unwrap_or("other arguments"))))
    }

    /// What this operation reads for itself is remembered, as far as it may have to be read again: for as long as the run
    /// goes forward.
    pub(super) fn memory(&self) -> Option<Arc<dyn Memory>> {
        let remembers = self.is_judged
            && self.run.keeps_reads()
            && !self.run.is_rolling_back()
            && SHARING.try_with(|()| ()).is_err();
        remembers.then(|| -> Arc<dyn Memory> {
            Arc::new(OperationMemory {
                run: Arc::clone(&self.run),
                op: Arc::clone(&self.op),
                wait: context::wait_here(),
            })
        })
    }
}

/// The reads of one operation.
struct OperationMemory {
    run: Arc<Run>,
    op: Arc<Op>,
    /// Which of its waits looks.
    wait: Option<u32>,
}

impl Memory for OperationMemory {
    fn recall(&self, request_sha256: &str) -> Option<Answer> {
        self.op.again()?.as_mut()?.answer(request_sha256)
    }

    fn note(&self, request_sha256: String, answer: Answer) {
        let (id, wait) = (self.op.id.clone(), self.wait);
        self.run.journal().note(Record::Read { id, request_sha256, answer, wait });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        aws::Scope,
        run::{Entry, Intent},
    };

    /// A run in which these calls of class Once were under way when its driver ended: whether a person can say of them that
    /// they were carried out.
    fn in_doubt(calls: &[(&str, bool)]) -> Replay {
        let at = Timestamp::UNIX_EPOCH;
        let started = json!({
            "runbook": "deploy.rhai", "version": "0", "semantics": 1, "target": "aws", "target_id": "aws", "world": null,
            "seed": 1, "environment": null, "params": {}, "salt": "",
        });
        let started = Record::RunStarted(Box::new(serde_json::from_value(started).expect("a beginning")));
        let began = |id: &str| Record::Operation {
            id: id.to_owned(),
            operation: "exec".to_owned(),
            subject: "make".to_owned(),
            arguments: Value::Null,
        };
        let intent = |(path, can_be_said): &(&str, bool)| {
            Record::Intent(Box::new(Intent {
                path: (*path).to_owned(),
                call: "exec:make".to_owned(),
                class: Class::Once,
                token: String::new(),
                request_sha256: String::new(),
                scope: Scope { region: "eu-west-1".to_owned(), role_arn: None, external_id: None },
                look_up: None,
                undo: None,
                can_be_said: *can_be_said,
            }))
        };
        let records = [started, began("1")].into_iter().chain(calls.iter().map(intent));
        let entries: Vec<Entry> = records.map(|record| Entry { at, record }).collect();
        Replay::new(Past::of(&entries).expect("a run"))
    }

    #[test]
    fn only_what_has_a_result_then_can_be_said_to_be_done() {
        let replay = in_doubt(&[("1/exec:make/make", true), ("1/ssm:SendCommand/commands", false)]);
        assert_eq!(replay.settle("1/exec:make/make", None), Ok(()));
        let refused = replay.settle("1/ssm:SendCommand/commands", None).expect_err("its id is needed");
        assert!(refused.contains("what it returned is needed"), "{refused}");
        let refused = replay.settle("1/other", None).expect_err("there is none");
        assert!(refused.contains("`1/exec:make/make`, `1/ssm:SendCommand/commands`"), "{refused}");
    }

    fn left(ids: &[&str]) -> Left {
        Left { commits: Vec::new(), hooks: Vec::new(), ids: ids.iter().map(|id| numbers(id)).collect() }
    }

    #[test]
    fn what_was_done_before_has_to_come_before() {
        let mut steps = left(&["1", "2.1.1", "2.2.1", "3"]);
        assert_eq!(steps.comes_to("1"), None);
        assert_eq!(steps.comes_to("2.2.1"), None, "branches have no order");
        assert_eq!(steps.comes_to("3"), Some(vec![2, 1, 1]));
        assert_eq!(steps.comes_to("2.1.2"), Some(vec![2, 1, 1]));
        assert_eq!(steps.comes_to("2.1.1"), None);
        assert_eq!(steps.comes_to("4"), None);
        // Ten comes after nine.
        let mut many = left(&["9", "10"]);
        assert_eq!(many.comes_to("10"), Some(vec![9]));
    }
}
