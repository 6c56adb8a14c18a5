//! The policy a run is under: which it is, what a person has set aside, what was said so far, and what follows from it.
//!
//! All of a run is judged, the runbook's hooks in a rollback with it. Only undos are not: they put back what this run
//! was allowed to change, and an account left half-way is worse than any rule of a policy.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::{Ctx, Record, Run};
use crate::{
    aws::{Identity, Scope},
    event::Event,
    ops::{Error, facts},
    policy::{Call, Check, Denial, Fleet, Governed, Kind, Level, Overrides, Policy, Refusal, outside},
};

/// What a run knows of its policy.
#[derive(Default)]
pub(super) struct Standing {
    /// Of the environment that the runbook has named.
    policy: Option<Arc<Policy>>,
    /// Nothing is changed before an environment is named: one of them has a policy.
    needs_environment: bool,
    /// Denials are told, and nothing else follows from them.
    collecting: bool,
    overrides: Overrides,
    used: BTreeSet<Check>,
    /// What was said already, and need not be said again.
    said: BTreeSet<(Check, String)>,
    /// The Auto Scaling groups whose size this run has set.
    fleets: Vec<Fleet>,
}

/// Who is told no: an operation, and its place in the runbook.
#[derive(Clone, Copy, Default)]
struct Asking<'a> {
    id: Option<&'a str>,
    place: Option<&'a str>,
}

impl Run {
    /// Only tells of what policy denies, and goes on: for a dry run.
    pub fn collect_denials(&self) {
        self.state().policy.collecting = true;
    }

    /// Sets checks aside, as far as the policy of the environment lets a person do so.
    pub fn set_aside(&self, overrides: Overrides) {
        self.state().policy.overrides = overrides;
    }

    /// Refuses every change until an environment is named.
    pub fn require_environment(&self) {
        self.state().policy.needs_environment = true;
    }

    /// From here on the policy of `environment` holds.
    pub(super) fn come_under(&self, environment: &str, governed: &Governed) -> Result<(), Error> {
        let policy = match governed {
            Governed::Freely => None,
            Governed::By(policy) => Some(Arc::clone(policy)),
            Governed::Unknown { file } => {
                let (environment, file) = (environment.to_owned(), file.clone());
                return Err(Refusal::UnknownEnvironment { environment, file }.into());
            }
        };
        let Overrides { checks, reason, by } = self.state().policy.overrides.clone();
        may_be_overridden(environment, policy.as_deref(), &checks)?;
        for check in checks {
            let (reason, by) = (reason.clone(), by.clone());
            if self.past().is_some_and(|past| past.overrides.checks.contains(&check)) {
                continue;
            }
            self.journal().note(Record::Override { check, reason: reason.clone(), by: by.clone() });
            self.emit(Event::Override { check, reason, by });
        }
        let standing = &mut self.state().policy;
        standing.policy = policy;
        standing.needs_environment = false;
        Ok(())
    }

    /// Whether policy wants approvals from somebody else than whoever started the run.
    pub(super) fn wants_other_reviewer(&self) -> bool {
        self.state().policy.policy.as_ref().is_some_and(|policy| policy.rules.other_reviewer)
    }

    /// Warns of overrides that nothing needed.
    pub fn warn_of_unused_overrides(&self) {
        let unused: Vec<Check> = {
            let standing = &self.state().policy;
            let unused = standing.overrides.checks.difference(&standing.used);
            // Without a policy there was nothing they could be for.
            unused.copied().filter(|_| standing.policy.is_some()).collect()
        };
        for check in unused {
            let message = format!("`--override {check}` was not needed: the check had no objection");
            self.emit(Event::Warning { message });
        }
    }

    /// Calls are about to go to this scope.
    pub(super) fn judge_environment(&self, scope: &Scope, identity: &Identity) -> Result<(), Error> {
        let Some(policy) = self.state().policy.policy.clone() else { return Ok(()) };
        self.settle(Asking::default(), policy.scope(self.account_to_judge(scope, identity), &scope.region))
    }

    /// The simulated AWS has an account of its own, which stands for that of any environment.
    fn account_to_judge<'i>(&self, scope: &Scope, identity: &'i Identity) -> Option<&'i str> {
        let stands_in = self.is_simulated() && scope.role_arn.is_none();
        (!stands_in).then_some(identity.account.as_str())
    }

    /// Tells of denials; the first that nothing sets aside is the error.
    fn settle(&self, asking: Asking<'_>, denials: Vec<Denial>) -> Result<(), Error> {
        // A window that opens while a run is under way does not stop the hooks that take it back.
        let goes_back = self.is_rolling_back() && self.changed_anything();
        let hold = denials.into_iter().filter(|denial| !(goes_back && denial.check == Check::Freeze));
        let standing: Vec<Denial> = hold.filter_map(|denial| self.say(asking, denial)).collect();
        standing.into_iter().next().map_or(Ok(()), |denial| Err(Refusal::Denied(denial).into()))
    }

    /// Tells of a denial, once. Returns it if nothing sets it aside.
    fn say(&self, asking: Asking<'_>, denial: Denial) -> Option<Denial> {
        let (overridden, collecting, is_new) = {
            let standing = &mut self.state().policy;
            let overridden = standing.overrides.checks.contains(&denial.check);
            if overridden {
                standing.used.insert(denial.check);
            }
            let is_new = standing.said.insert((denial.check, denial.message.clone()));
            (overridden.then(|| standing.overrides.reason.clone()), standing.collecting, is_new)
        };
        let stands = denial.level == Level::Deny && overridden.is_none() && !collecting;
        if is_new {
            let as_of_now =
                if collecting && denial.check == Check::Freeze { "; a run is judged at its own time" } else { "" };
            self.emit(Event::Policy {
                id: asking.id.map(str::to_owned),
                check: denial.check,
                level: denial.level,
                message: format!("{}{as_of_now}", denial.message),
                rule: denial.rule(),
                place: asking.place.map(str::to_owned),
                overridden,
            });
        }
        stands.then_some(denial)
    }
}

/// Refuses to set aside what nobody may.
fn may_be_overridden(environment: &str, policy: Option<&Policy>, checks: &BTreeSet<Check>) -> Result<(), Refusal> {
    if checks.is_empty() {
        return Ok(());
    }
    let environment = environment.to_owned();
    let Some(policy) = policy else { return Err(Refusal::NoPolicy { environment }) };
    let overridable = policy.rules.overridable.clone();
    let checks: Vec<Check> = checks.iter().copied().filter(|check| !overridable.contains(check)).collect();
    if checks.is_empty() {
        return Ok(());
    }
    Err(Refusal::NotOverridable { environment, checks, overridable, file: policy.file.clone() })
}

impl Ctx {
    /// An operation is about to begin.
    pub(super) fn judge_operation(&self, name: &str) -> Result<(), Error> {
        self.judge(|policy| policy.operation(name))
    }

    /// A call that only reads is about to be sent.
    pub(super) fn judge_read(&self, call: &str) -> Result<(), Error> {
        self.judge(|policy| policy.read(call))
    }

    /// Calls are about to go to this scope.
    pub(super) fn judge_scope(&self, scope: &Scope, identity: &Identity) -> Result<(), Error> {
        let account = self.run.account_to_judge(scope, identity);
        self.judge(|policy| policy.scope(account, &scope.region))
    }

    /// Asks whether traffic may go to groups of which only so many targets have to be healthy.
    ///
    /// # Errors
    /// [`Error::Policy`] if policy wants more.
    pub fn may_ask_for(&self, min_healthy: u32) -> Result<(), Error> {
        self.judge(|policy| policy.min_healthy_option(min_healthy))
    }

    /// Something is about to be changed: it has to be known whose policy is to be obeyed.
    pub(super) fn judge_change(&self, call: &'static str) -> Result<(), Error> {
        if self.is_judged && self.run.state().policy.needs_environment {
            return Err(Refusal::NoEnvironment { call }.into());
        }
        Ok(())
    }

    /// A call that changes something is about to leave, with these parameters.
    pub(super) async fn judge_call(&self, call: &Call<'_>) -> Result<(), Error> {
        let Some(policy) = self.policy() else {
            return match outside::rule_for(call).filter(|_| self.is_judged) {
                Some((what, rule)) => Err(Refusal::Outside { what, rule }.into()),
                None => Ok(()),
            };
        };
        let facts = facts::gather(&self.clone().not_judged(), &policy, call).await;
        // What could not be read because the run is to stop is no denial.
        self.may_go_on()?;
        let denials = {
            // Judged and counted in one: no other strand asks for instances in between.
            let standing = &mut self.run.state().policy;
            let denials = policy.call(call, &facts, &standing.fleets, Timestamp::now());
            if let Some(fleet) = Policy::fleet_of(call) {
                standing.fleets.retain(|known| known.name != fleet.name);
                standing.fleets.push(fleet);
            }
            denials
        };
        self.run.settle(self.asking(), denials)
    }

    /// Asks whether a call that is to be sent later may be: before several are begun of which the last would be refused.
    ///
    /// # Errors
    /// [`Error::Policy`] if policy says no.
    pub async fn may_send(&self, action: &str, resource: &str, parameters: &serde_json::Value) -> Result<(), Error> {
        self.judge_call(&Call { action, resource, parameters }).await
    }

    /// Whether this run has made what has that id, this driver of it or an earlier one.
    pub fn has_made_id(&self, id: &str) -> bool {
        self.run.state().fresh.has("", id)
    }

    /// Whether this run has made the resource that a call names so.
    pub(crate) fn has_made(&self, kind: Kind, id: &str) -> bool {
        let key = match kind {
            Kind::AutoScalingGroup => "auto_scaling_group_name",
            Kind::Role => "role_name",
            Kind::InstanceProfile => "instance_profile_name",
            Kind::Repository => "repository_name",
            Kind::Alarm => "alarm_name",
            Kind::LogGroup => "log_group_name",
            Kind::Ec2
            | Kind::LoadBalancing
            | Kind::ManagedPolicy
            | Kind::Certificate
            | Kind::HostedZone
            | Kind::HealthCheck
            | Kind::Ecs
            | Kind::Topic
            | Kind::Parameter => "",
            Kind::Record | Kind::Dashboard | Kind::Other => return false,
        };
        self.run.state().fresh.has(key, id)
    }

    fn policy(&self) -> Option<Arc<Policy>> {
        self.run.state().policy.policy.clone().filter(|_| self.is_judged)
    }

    fn judge(&self, check: impl FnOnce(&Policy) -> Vec<Denial>) -> Result<(), Error> {
        match self.policy() {
            Some(policy) => self.run.settle(self.asking(), check(&policy)),
            None => Ok(()),
        }
    }

    fn asking(&self) -> Asking<'_> {
        Asking { id: Some(self.id()), place: self.place.as_deref() }
    }
}
