//! Where the calls of a run go: its environment, accounts, and the clients for them.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;

use super::{Record, Run, session::Known};
use crate::{
    aws::{Clients, ConnectError, Identity, Scope},
    event::Event,
    ops::{Divergence, Error},
    settings::Environment,
};

/// Credentials that end sooner than this are warned of: a deploy with a bake takes about as long.
const SHORT_CREDENTIALS: Duration = Duration::from_secs(3600);

impl Run {
    /// Settles where calls go, and that it is the right account.
    pub async fn use_environment(&self, environment: &Environment) -> Result<Identity, Error> {
        self.come_under(&environment.name, &environment.policy)?;
        let region = match &environment.region {
            Some(region) => region.clone(),
            None => self.connections.default_region().await?,
        };
        let scope =
            Scope { region, role_arn: environment.role_arn.clone(), external_id: environment.external_id.clone() };
        let identity = self.identify(&scope).await?;
        if let Some(wanted) = &environment.account_id
            && !self.connections.is_simulated()
            && *wanted != identity.account
        {
            return Err(ConnectError::OtherAccount {
                environment: environment.name.clone(),
                wanted: wanted.clone(),
                found: identity.account,
            }
            .into());
        }
        self.judge_environment(&scope, &identity)?;
        let known = self.as_before(environment, scope)?;
        self.state().environment = Some(known);
        self.emit(Event::Environment {
            environment: environment.name.clone(),
            region: identity.region.clone(),
            account: identity.account.clone(),
        });
        Ok(identity)
    }

    /// Writes down which environment it is, as the script sees it; or takes it as the script saw it before.
    fn as_before(&self, environment: &Environment, scope: Scope) -> Result<Known, Error> {
        let (name, vars) = (environment.name.clone(), environment.vars.clone());
        let default_tags = environment.default_tags.clone();
        let Some(before) = self.past().and_then(|past| past.environment.clone()) else {
            let record = Record::Environment {
                name: name.clone(),
                scope: scope.clone(),
                vars,
                default_tags: default_tags.clone(),
            };
            self.journal().note(record);
            return Ok(Known { name, scope, default_tags });
        };
        if before.name == name && before.scope == scope {
            return Ok(Known { name, scope, default_tags: before.default_tags });
        }
        let words = |name: &str, scope: &Scope| {
            let role = scope.role_arn.as_ref().map(|role| format!(" as {role}")).unwrap_or_default();
            format!("{name} in {}{role}", scope.region)
        };
        let (place, recorded) = ("the environment".to_owned(), words(&before.name, &before.scope));
        Err(Box::new(Divergence { place, recorded, now: words(&name, &scope) }).into())
    }

    /// What the script saw as the environment's `vars`, if the run goes on.
    pub fn vars_before(&self) -> Option<&serde_json::Map<String, Value>> {
        self.past()?.environment.as_ref().map(|environment| &environment.vars)
    }

    /// Whether calls go to the simulated AWS.
    pub(super) fn is_simulated(&self) -> bool {
        self.connections.is_simulated()
    }

    /// The scope that is given, or the environment's own.
    pub(super) async fn scope_or_own(&self, scope: Option<&Scope>) -> Result<Scope, Error> {
        let known = self.state().environment.as_ref().map(|known| known.scope.clone());
        match scope.cloned().or(known) {
            Some(scope) => Ok(scope),
            None => Ok(Scope { region: self.connections.default_region().await?, role_arn: None, external_id: None }),
        }
    }

    pub(super) async fn clients(&self, scope: &Scope, identity: &Identity) -> Result<Arc<Clients>, Error> {
        Ok(self.connections.clients(scope, identity).await?)
    }

    pub(super) async fn identify(&self, scope: &Scope) -> Result<Identity, Error> {
        if let Some(identity) = self.state().identities.get(scope) {
            return Ok(identity.clone());
        }
        if self.only_replays() {
            // Nothing is asked of AWS; where the record ends, so does the script.
            let account = self.past().and_then(|past| past.accounts.get(scope)).cloned().ok_or(Error::Interrupted)?;
            let (arn, region) = (String::new(), scope.region.clone());
            return Ok(Identity { account, arn, region, expires: None });
        }
        let identity = self.connections.identify(scope).await?;
        if let Some(expires) = identity.expires
            && let Ok(left) = expires.duration_since(SystemTime::now())
            && left < SHORT_CREDENTIALS
        {
            self.emit(Event::Warning {
                message: format!(
                    "the AWS credentials end in {} min and are not renewed by themselves: a longer run would stop half-way",
                    left.as_secs() / 60
                ),
            });
        }
        let account = identity.account.clone();
        match self.past().and_then(|past| past.accounts.get(scope)) {
            None => self.journal().note(Record::Account { scope: scope.clone(), account }),
            Some(before) if *before == account => {}
            Some(before) => {
                let (place, recorded) = (format!("the account in {}", scope.region), before.clone());
                return Err(Box::new(Divergence { place, recorded, now: account }).into());
            }
        }
        self.state().identities.insert(scope.clone(), identity.clone());
        Ok(identity)
    }

    /// The scope `within` means: the environment's own, with what is given instead.
    pub async fn scope_within(
        &self,
        outer: Option<&Scope>,
        region: Option<String>,
        role_arn: Option<String>,
        external_id: Option<String>,
    ) -> Result<Scope, Error> {
        let base = self.scope_or_own(outer).await?;
        let external_id = if role_arn.is_some() { external_id } else { external_id.or(base.external_id) };
        Ok(Scope { region: region.unwrap_or(base.region), role_arn: role_arn.or(base.role_arn), external_id })
    }
}
