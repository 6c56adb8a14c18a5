//! The policies of environments: decoded, or taken from the runner.toml of another place; and who sets them aside.

use std::{collections::BTreeMap, env, fs, path::Path, sync::Arc};

use super::{Environment, Error, error::shown, file::File};
use crate::{
    cli::policy::PolicyArgs,
    policy::{Governed, Overrides, Policy, Rules},
};

/// The policy of an environment in the file called so.
pub fn governed(environment: &str, file: &str, rules: Option<Rules>) -> Governed {
    let policy = |rules| Policy { environment: environment.to_owned(), file: file.to_owned(), rules };
    rules.map_or(Governed::Freely, |rules| Governed::By(Arc::new(policy(rules))))
}

/// Gives all environments the policies that `from`, a file or a folder with a runner.toml, has for them; those of the
/// project's own file count no more. An environment that is not there gets none, and is refused when it is used.
pub fn replace(environments: &mut BTreeMap<String, Environment>, from: &Path) -> Result<(), Error> {
    let path = if from.is_dir() { from.join(super::file::NAME) } else { from.to_owned() };
    let file = shown(&path).to_string();
    let base = File::load(Some(&path), &[])?;
    for (name, environment) in environments {
        environment.policy = match base.environments.get(name) {
            Some(known) => known.policy.clone(),
            None => Governed::Unknown { file: file.clone() },
        };
    }
    Ok(())
}

/// What was typed, and by whom.
pub fn overrides(args: PolicyArgs) -> Overrides {
    let PolicyArgs { overrides, reason, policy_from: _ } = args;
    Overrides { checks: overrides.into_iter().collect(), reason: reason.unwrap_or_default(), by: actor() }
}

/// Who runs this: whom the pipeline works for, or the user of this machine. It is a record, not a proof.
pub fn actor() -> String {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(actor) = variable("GITHUB_ACTOR") {
        return format!("{actor} (GitHub Actions)");
    }
    if let Some(actor) = variable("GITLAB_USER_LOGIN") {
        return format!("{actor} (GitLab CI)");
    }
    // Containers and cron have no such variables.
    let uid = || format!("uid {}", rustix::process::getuid().as_raw());
    let user = ["USER", "LOGNAME"].into_iter().find_map(variable).unwrap_or_else(uid);
    let of_kernel = fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    match of_kernel.or_else(|| variable("HOSTNAME")).filter(|host| !host.is_empty()) {
        Some(host) => format!("{user}@{host}"),
        None => user,
    }
}
