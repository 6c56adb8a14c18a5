//! The plan in a few words.

use std::{collections::BTreeSet, time::Duration};

use super::{Outcome, Plan, Requests, Verdict};
use crate::{
    event,
    report::{count, friendly, plural},
    sim::Difference,
};

impl Verdict {
    pub fn new(outcome: Outcome, text: impl Into<String>) -> Self {
        Self { outcome, text: text.into(), ..Self::default() }
    }

    /// The same of a run that would exit so.
    pub fn ending(self, exit_code: u8, exit_meaning: &str) -> Self {
        Self { exit_code, exit_meaning: exit_meaning.to_owned(), ..self }
    }
}

impl Requests {
    /// How many are lost, if any are: `59,873 of 60,010 requests`
    pub fn words(self) -> Option<String> {
        let all = self.served + self.lost;
        (self.lost > 0).then(|| format!("{} of {} requests", count(self.lost), count(all)))
    }
}

impl Plan {
    /// The verdict on a plan that reaches its end.
    pub fn judge(&self) -> Verdict {
        let denied: Vec<&str> =
            self.policy.iter().filter(|it| it.overridden.is_none()).map(|it| it.check.as_str()).collect();
        if !denied.is_empty() {
            let checks = denied.iter().collect::<BTreeSet<_>>().into_iter().copied().collect::<Vec<_>>().join(", ");
            return Verdict::new(Outcome::Refused, format!("refused by policy: {checks}"));
        }
        if !self.changes_anything() {
            return Verdict::new(Outcome::NoChanges, "nothing to change");
        }
        let totals = &self.totals;
        let counts = [
            (totals.create, "to create"),
            (totals.update, "to change"),
            (totals.replace, "to replace"),
            (totals.delete, "to delete"),
        ];
        let mut parts: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        if totals.traffic_shifts > 0 {
            parts.push(plural(totals.traffic_shifts as usize, "traffic shift"));
        }
        let time = friendly(Duration::from_secs_f64(totals.seconds.max(0.0)));
        let lost = match self.requests.words() {
            Some(words) => format!("; loses {words}"),
            None => String::new(),
        };
        let text = format!("{}, in about {time}{lost}", parts.join(", "));
        Verdict::new(Outcome::Changes, text)
    }

    /// The Auto Scaling group that is launched.
    pub fn new_fleet(&self) -> Option<&str> {
        let call = self.steps().flat_map(|step| &step.calls);
        let mut created = call.filter(|call| call.call == "autoscaling:CreateAutoScalingGroup");
        created.next()?.request.get("AutoScalingGroupName")?.as_str()
    }
}

/// How a run ended.
pub fn outcome_words(outcome: event::Outcome) -> &'static str {
    match outcome {
        event::Outcome::Succeeded => "unnoticed: the run succeeded all the same",
        event::Outcome::Failed => "failed before anything was changed",
        event::Outcome::RolledBack => "failed and rolled back",
        event::Outcome::RollbackFailed => "failed, and not everything could be taken back",
        event::Outcome::CleanUpUnfinished => "deployed, clean-up unfinished",
        event::Outcome::Suspended => "suspended",
    }
}

/// How an account is left, compared with how it was.
pub fn final_state(differences: &[Difference]) -> String {
    if differences.is_empty() {
        return "as before".to_owned();
    }
    let words = |difference: &Difference| {
        let Difference { table, more, fewer, changed } = difference;
        let counts = [(more, "more"), (fewer, "fewer"), (changed, "changed")];
        let counts = counts.iter().filter(|(count, _)| **count > 0).map(|(count, what)| format!("{count} {what}"));
        format!("{}: {}", table.replace('_', " "), counts.collect::<Vec<_>>().join(", "))
    };
    format!("as before, except {}", differences.iter().map(words).collect::<Vec<_>>().join("; "))
}
