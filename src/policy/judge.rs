//! All checks, put to what is about to be done.

use jiff::Timestamp;

use super::{
    Call, Check, Denial, Facts, Fleet, Level, Rules, actions, freeze, health, outside, protected, required_tags, scope,
    sizes, weights,
};

/// The rules of one environment, and where they are written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    pub environment: String,
    /// The file, as people call it.
    pub file: String,
    pub rules: Rules,
}

impl Policy {
    /// Calls are about to go to this account, if it is known, and region.
    pub fn scope(&self, account: Option<&str>, region: &str) -> Vec<Denial> {
        let accounts = self.rules.allowed_accounts.as_ref().zip(account);
        let account = accounts.and_then(|(allowed, account)| scope::account(allowed, account));
        let region = self.rules.allowed_regions.as_ref().and_then(|allowed| scope::region(allowed, region));
        self.denials([(Check::AllowedAccounts, account), (Check::AllowedRegions, region)])
    }

    /// An operation is about to begin.
    pub fn operation(&self, name: &str) -> Vec<Denial> {
        let what = format!("the operation `{name}`");
        let allowed = self.rules.allowed_operations.as_ref().and_then(|list| actions::allowed(list, name, &what));
        let denied = actions::denied(&self.rules.denied_operations, name, &what);
        self.denials([(Check::AllowedOperations, allowed), (Check::DeniedOperations, denied)])
    }

    /// A call that only reads is about to be sent.
    pub fn read(&self, action: &str) -> Vec<Denial> {
        self.denials([(Check::DeniedActions, actions::denied(&self.rules.denied_actions, action, action))])
    }

    /// An operation is about to move traffic to groups that have at least so many healthy targets.
    pub fn min_healthy_option(&self, option: u32) -> Vec<Denial> {
        self.denials([(Check::MinHealthy, self.rules.min_healthy.and_then(|rule| health::option(rule, option)))])
    }

    /// A call that changes something is about to be sent, at `now` on the clock of this machine. `set` are the Auto
    /// Scaling groups whose size the run has set so far.
    pub fn call(&self, call: &Call<'_>, facts: &Facts, set: &[Fleet], now: Timestamp) -> Vec<Denial> {
        let rules = &self.rules;
        let what = call.words();
        let single = [
            (
                Check::AllowedActions,
                rules
                    .allowed_actions
                    .as_ref()
                    .filter(|_| !outside::is_outside(call))
                    .and_then(|list| actions::allowed(list, call.action, &what)),
            ),
            (Check::DeniedActions, actions::denied(&rules.denied_actions, call.action, &what)),
            (Check::AllowedCommands, outside::command(&rules.allowed_commands, call)),
            (Check::AllowedHosts, outside::host(&rules.allowed_hosts, call)),
            (Check::MaxSize, rules.max_size.and_then(|limit| sizes::max_size(limit, call, facts.size.as_ref()))),
            (
                Check::MaxInstances,
                rules
                    .max_instances
                    .zip(facts.fleets.as_ref())
                    .and_then(|(limit, fleets)| sizes::max_instances(limit, call, fleets, set)),
            ),
            (
                Check::MaxWeightStep,
                rules
                    .max_weight_step
                    .zip(facts.shares.as_ref())
                    .and_then(|(limit, before)| weights::check(limit, call, before)),
            ),
        ];
        let several = [
            (Check::MinHealthy, rules.min_healthy.map(|rule| health::check(rule, &facts.health)).unwrap_or_default()),
            (Check::ProtectedNames, protected::names(&rules.protected_names, call, &facts.resources)),
            (Check::ProtectedTags, protected::tags(&rules.protected_tags, call, &facts.resources)),
            (Check::RequiredTags, required_tags::check(&rules.required_tags, call)),
            (Check::Freeze, freeze::check(&rules.freeze, now)),
        ];
        let several = several
            .into_iter()
            .flat_map(|(check, messages)| messages.into_iter().map(move |message| (check, Some(message))));
        self.denials(single.into_iter().chain(several))
    }

    /// The Auto Scaling group whose size has to be known to judge a call: one that is larger than it may be can stay so.
    pub fn outgrown_by<'c>(&self, call: &Call<'c>) -> Option<&'c str> {
        sizes::group_over(self.rules.max_size?, call)
    }

    /// The instances a call asks for, to be kept for later calls.
    pub fn fleet_of(call: &Call<'_>) -> Option<Fleet> {
        sizes::asked(call)
    }

    fn denials(&self, said: impl IntoIterator<Item = (Check, Option<String>)>) -> Vec<Denial> {
        let denial = |(check, message): (Check, Option<String>)| {
            Some(Denial {
                check,
                level: if self.rules.warn.contains(&check) { Level::Warn } else { Level::Deny },
                message: message?,
                environment: self.environment.clone(),
                file: self.file.clone(),
                overridable: self.rules.overridable.contains(&check),
            })
        };
        said.into_iter().filter_map(denial).collect()
    }
}
