//! Policies of a repository: who may use it, and which images go after a while. The latter is kept and not carried out.

use super::*;

pub const ACTIONS: &[Action] = &[
    Action {
        name: "PutLifecyclePolicy",
        params: &["registryId repositoryName lifecyclePolicyText"],
        run: put_lifecycle_policy,
    },
    Action { name: "GetLifecyclePolicy", params: &["registryId repositoryName"], run: get_lifecycle_policy },
    Action { name: "DeleteLifecyclePolicy", params: &["registryId repositoryName"], run: delete_lifecycle_policy },
    Action {
        name: "SetRepositoryPolicy",
        params: &["registryId repositoryName policyText force"],
        run: set_repository_policy,
    },
    Action { name: "GetRepositoryPolicy", params: &["registryId repositoryName"], run: get_repository_policy },
    Action { name: "DeleteRepositoryPolicy", params: &["registryId repositoryName"], run: delete_repository_policy },
];

fn put_lifecycle_policy(tx: &mut Tx, p: &Params) -> Reply {
    let text = p.str("lifecyclePolicyText")?;
    let rules = serde_json::from_str::<Value>(text).ok().and_then(|policy| policy["rules"].as_array().cloned());
    let is_rule = |rule: &Value| {
        rule["rulePriority"].as_i64().is_some_and(|priority| priority > 0)
            && rule["selection"].is_object()
            && rule["action"]["type"].is_string()
    };
    if !rules.is_some_and(|rules| !rules.is_empty() && rules.iter().all(is_rule)) {
        return Err(constrained("LifecyclePolicyText", "Lifecycle policy validation failure"));
    }
    let text = text.to_owned();
    let account = tx.scope.account.clone();
    let repository = repository_mut(tx, p)?;
    repository.lifecycle_policy = Some(text);
    Ok(lifecycle(&account, repository))
}

fn lifecycle(account: &str, repository: &Repository) -> Value {
    json!({
        "registryId": account,
        "repositoryName": repository.name,
        "lifecyclePolicyText": repository.lifecycle_policy,
    })
}

fn without_lifecycle(account: &str, name: &str) -> AwsError {
    let message = format!(
        "Lifecycle policy does not exist for the repository with name '{name}' in the registry with id '{account}'"
    );
    AwsError::new("LifecyclePolicyNotFoundException", message)
}

fn get_lifecycle_policy(tx: &mut Tx, p: &Params) -> Reply {
    let repository = repository(tx, p)?;
    match repository.lifecycle_policy {
        Some(_) => Ok(lifecycle(&tx.scope.account, repository)),
        None => Err(without_lifecycle(&tx.scope.account, &repository.name)),
    }
}

fn delete_lifecycle_policy(tx: &mut Tx, p: &Params) -> Reply {
    let account = tx.scope.account.clone();
    let repository = repository_mut(tx, p)?;
    if repository.lifecycle_policy.is_none() {
        return Err(without_lifecycle(&account, &repository.name));
    }
    let was = lifecycle(&account, repository);
    repository.lifecycle_policy = None;
    Ok(was)
}

fn set_repository_policy(tx: &mut Tx, p: &Params) -> Reply {
    let text = p.str("policyText")?.to_owned();
    if !serde_json::from_str::<Value>(&text).is_ok_and(|policy| policy["Statement"].is_array()) {
        return Err(constrained("PolicyText", "Invalid repository policy provided"));
    }
    let account = tx.scope.account.clone();
    let repository = repository_mut(tx, p)?;
    repository.policy = Some(text);
    Ok(permissions(&account, repository))
}

fn permissions(account: &str, repository: &Repository) -> Value {
    json!({ "registryId": account, "repositoryName": repository.name, "policyText": repository.policy })
}

fn without_policy(account: &str, name: &str) -> AwsError {
    let message = format!(
        "Repository policy does not exist for the repository with name '{name}' in the registry with id '{account}'"
    );
    AwsError::new("RepositoryPolicyNotFoundException", message)
}

fn get_repository_policy(tx: &mut Tx, p: &Params) -> Reply {
    let repository = repository(tx, p)?;
    match repository.policy {
        Some(_) => Ok(permissions(&tx.scope.account, repository)),
        None => Err(without_policy(&tx.scope.account, &repository.name)),
    }
}

fn delete_repository_policy(tx: &mut Tx, p: &Params) -> Reply {
    let account = tx.scope.account.clone();
    let repository = repository_mut(tx, p)?;
    if repository.policy.is_none() {
        return Err(without_policy(&account, &repository.name));
    }
    let was = permissions(&account, repository);
    repository.policy = None;
    Ok(was)
}
