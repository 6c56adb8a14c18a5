//! `runner.toml`: where it is, and what it says.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use super::{
    Environment, Error, JournalPlace, Target,
    error::{Text, shown},
    policy,
};
use crate::{policy::Rules, script::suggest};

pub(super) const NAME: &str = "runner.toml";

/// What `runner.toml` says, or would say if it was empty.
#[derive(Debug)]
pub struct File {
    /// `None`: there is none.
    pub path: Option<PathBuf>,
    pub state_dir: PathBuf,
    /// Where journals are kept, if it says.
    pub journal: Option<JournalPlace>,
    pub environments: BTreeMap<String, Environment>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    state_dir: Option<PathBuf>,
    #[serde(default, deserialize_with = "journal")]
    journal: Option<JournalPlace>,
    #[serde(default)]
    environments: BTreeMap<String, RawEnvironment>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEnvironment {
    region: Option<String>,
    #[serde(default, deserialize_with = "account_id")]
    account_id: Option<String>,
    role_arn: Option<String>,
    external_id: Option<String>,
    target: Option<Target>,
    #[serde(default)]
    vars: toml::Table,
    #[serde(default)]
    default_tags: BTreeMap<String, String>,
    policy: Option<Rules>,
}

impl File {
    /// The folder of the project: where the file is, or where the program was started. Links are followed if that is possible.
    pub fn root(&self) -> PathBuf {
        let folder = self.path.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
    }

    /// Where journals are kept: of a simulated run always in the folder of the project.
    pub fn journal(&self, target: Target) -> JournalPlace {
        let own = || JournalPlace::Folder(self.state_dir.join("journal"));
        match target {
            Target::Sim => own(),
            Target::Aws => self.journal.clone().unwrap_or_else(own),
        }
    }

    /// The given file, or the nearest `runner.toml` above one of `starts`, tried in order; or none.
    pub fn load(given: Option<&Path>, starts: &[&Path]) -> Result<Self, Error> {
        let nearest =
            || starts.iter().flat_map(|start| start.ancestors()).map(|dir| dir.join(NAME)).find(|path| path.is_file());
        match given.map(Path::to_owned).or_else(nearest) {
            Some(path) => Self::read(path),
            None => Ok(Self { path: None, state_dir: ".runner".into(), journal: None, environments: BTreeMap::new() }),
        }
    }

    fn read(path: PathBuf) -> Result<Self, Error> {
        let text = fs::read_to_string(&path).map_err(|cause| Error::Unreadable {
            what: "settings",
            path: path.clone(),
            cause,
        })?;
        let name = shown(&path).to_string();
        let source = Text { name: &name, text: &text, shown: &text };
        let raw: Raw = toml::from_str(&text).map_err(|error| source.toml_error(&error))?;
        source.misspelt_environment(&raw.environments)?;
        let named = |(environment, raw): (String, RawEnvironment)| (environment.clone(), raw.named(environment, &name));
        let environments = raw.environments.into_iter().map(named).collect();
        let beside = path.parent().unwrap_or(Path::new(""));
        let state_dir = beside.join(raw.state_dir.unwrap_or_else(|| ".runner".into()));
        let journal = raw.journal.map(|journal| journal.beside(beside));
        Ok(Self { path: Some(path), state_dir, journal, environments })
    }
}

impl Text<'_> {
    /// A policy for an environment that nobody has is a slip that leaves open what was meant to be closed. An environment
    /// that has nothing but a policy can be meant, so only a name that is close to another one is refused.
    fn misspelt_environment(&self, environments: &BTreeMap<String, RawEnvironment>) -> Result<(), Error> {
        let others: Vec<&str> =
            environments.iter().filter(|(_, raw)| !raw.is_policy_alone()).map(|(name, _)| name.as_str()).collect();
        for (name, _) in environments.iter().filter(|(_, raw)| raw.is_policy_alone()) {
            if let Some(near) = suggest::closest(name, others.iter().copied()) {
                let at = self.text.find(&format!("environments.{name}")).unwrap_or_default();
                let message = format!("environment `{name}` has nothing but a policy");
                let hint = format!("did you mean `{near}`? If not, give `{name}` its `region` as well");
                return Err(self.error(at..at + "environments.".len() + name.len(), message, Some(hint)));
            }
        }
        Ok(())
    }
}

impl RawEnvironment {
    fn is_policy_alone(&self) -> bool {
        let Self { region, account_id, role_arn, external_id, target, vars, default_tags, policy } = self;
        let says_where = [region, account_id, role_arn, external_id].into_iter().any(Option::is_some);
        policy.is_some() && !says_where && target.is_none() && vars.is_empty() && default_tags.is_empty()
    }

    /// `file` is what people call the file it is in.
    fn named(self, name: String, file: &str) -> Environment {
        let Self { region, account_id, role_arn, external_id, target, vars, default_tags, policy } = self;
        let vars = vars.into_iter().map(|(name, value)| (name, json(value))).collect();
        let policy = policy::governed(&name, file, policy);
        Environment { name, region, account_id, role_arn, external_id, target, vars, default_tags, policy }
    }
}

fn journal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<JournalPlace>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(D::Error::custom)
}

fn account_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    const EXPECTED: &str = "expected an account id of 12 digits in quotes";
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(id) if id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(id)),
        other => Err(D::Error::custom(format!("{EXPECTED}, found {other}"))),
    }
}

/// The same value as runbooks see it. Dates become text.
pub fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect()),
    }
}
