//! `environment`, `stack` and `within`: where a runbook runs, and whose resources it makes.

use std::{collections::BTreeMap, sync::Arc};

use rhai::{Dynamic, Engine, FnPtr, NativeCallContext};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{ControlDoc, ControlOptions, options};
use crate::{
    api::{
        Handle,
        budget::Count,
        convert::{self, VARS},
        failure::Usage,
        session::{Result, Session},
        strand,
    },
    run::Branch,
    script::{Failure, suggest},
    settings::Environment,
};

pub const ENVIRONMENT: ControlDoc = ControlDoc {
    name: "environment",
    signatures: &[r#"environment("prod")"#, "environment()"],
    description: "\
Says which environment of runner.toml the runbook is for, and settles account and region. Without a
name it is the one given with `--env`; with a name, `--env` must agree. Returns `name`, `region`,
`account` and `vars`.",
    example: r#"let env = environment("prod");
log(`${env.region}, at least ${env.vars.min_size} instances`);"#,
    arity: 0..=1,
    options: None,
};

pub const STACK: ControlDoc = ControlDoc {
    name: "stack",
    signatures: &[r#"stack("shop")"#],
    description: "\
Names the application. What is made from here on belongs to the stack `<application>-<environment>`,
whose name is returned. To be called once, after `environment`.",
    example: r#"stack("shop");  // shop-prod"#,
    arity: 1..=1,
    options: None,
};

pub const WITHIN: ControlDoc = ControlDoc {
    name: "within",
    signatures: &["within(#{ … }, || { … })"],
    description: "\
Runs a block in another region or account, and returns what the block returns. What is not given stays
as it is outside.",
    example: r#"let certificate = within(#{ region: "us-east-1" }, || find_certificate("shop.example.com"));"#,
    arity: 2..=2,
    options: Some(ControlOptions::of::<WithinOptions>(0)),
};

/// Where a block runs.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WithinOptions {
    /// The region for calls in the block.
    #[serde(default)]
    region: Option<String>,
    /// The IAM role to assume for the block.
    #[serde(default)]
    role_arn: Option<String>,
    /// What the role's trust policy asks for, if it does.
    #[serde(default)]
    external_id: Option<String>,
}

pub fn register(engine: &mut Engine, session: &Arc<Session>) {
    let at = Arc::clone(session);
    ENVIRONMENT
        .function(["name: string", "environment"])
        .register_into_engine(engine, move |context: NativeCallContext, name: &str| {
            environment(&at, &context, Some(name))
        });
    let at = Arc::clone(session);
    ENVIRONMENT
        .function(["environment"])
        .register_into_engine(engine, move |context: NativeCallContext| environment(&at, &context, None));
    let at = Arc::clone(session);
    STACK
        .function(["application: string", "string"])
        .register_into_engine(engine, move |context: NativeCallContext, application: &str| {
            stack(&at, &context, application)
        });
    let at = Arc::clone(session);
    WITHIN
        .function(["options: map", "block: Fn", "?"])
        .register_into_engine(engine, move |context: NativeCallContext, options: Dynamic, block: FnPtr| {
            within(&at, &context, options, &block)
        });
}

fn environment(session: &Session, context: &NativeCallContext, name: Option<&str>) -> Result<Handle> {
    session.watch.check()?;
    let usage = |failure: Failure| failure.because(Usage).at(context);
    let given = session.inputs.environment.as_deref();
    let name = match (name, given) {
        (Some(name), Some(given)) if name != given => {
            return Err(usage(not_the_given(name, given)).into());
        }
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => {
            return Err(usage(Failure::new("no environment is given").help("add `--env NAME`")).into());
        }
    };
    if let Some((known, handle)) = &session.named().environment {
        if known == name {
            return Ok(handle.clone());
        }
        return Err(usage(another(known, name)).into());
    }
    let environments = &session.inputs.environments;
    let Some(settings) = environments.get(name) else {
        return Err(usage(unknown(name, environments)).into());
    };
    let identity = session.wait_for(context, session.run.use_environment(settings))?;
    let fields = [
        ("name", Value::from(name)),
        ("region", identity.region.into()),
        ("account", identity.account.into()),
        ("vars", convert::handle(VARS, session.run.vars_before().unwrap_or(&settings.vars))),
    ];
    let handle = Handle::new("environment", fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
    session.named().environment = Some((name.to_owned(), handle.clone()));
    Ok(handle)
}

/// The failure of a runbook that names an environment which runner.toml does not have.
pub fn unknown(name: &str, environments: &BTreeMap<String, Environment>) -> Failure {
    let names = || environments.keys().map(String::as_str);
    let help = suggest::did_you_mean(name, names()).unwrap_or_else(|| match environments.len() {
        0 => format!("add `[environments.{name}]` to runner.toml"),
        _ => format!("runner.toml has `{}`", names().collect::<Vec<_>>().join("`, `")),
    });
    Failure::new(format!("runner.toml has no environment `{name}`")).help(help)
}

/// The failure of a runbook that names the environment `name` and is run with another one.
pub fn not_the_given(name: &str, given: &str) -> Failure {
    Failure::new(format!("this runbook is for environment `{name}`, and --env says `{given}`"))
        .help(format!("run the runbook for `{given}`, or leave --env away"))
}

/// The failure of a runbook that names two environments.
pub fn another(known: &str, name: &str) -> Failure {
    Failure::new(format!("the environment is `{known}` already, and cannot become `{name}`"))
        .help("use `within` for single steps in another account or region")
}

fn stack(session: &Session, context: &NativeCallContext, application: &str) -> Result<String> {
    session.watch.check()?;
    let usage = |failure: Failure| failure.because(Usage).at(context);
    let mut named = session.named();
    let Some((environment, _)) = &named.environment else {
        return Err(usage(
            Failure::new("a stack belongs to an environment, and none is named yet")
                .help("call `environment(\"…\")` first"),
        )
        .into());
    };
    if let Some(failure) = unsuitable(application) {
        return Err(usage(failure).into());
    }
    let stack = format!("{application}-{environment}");
    match &named.stack {
        Some(known) if *known == stack => return Ok(stack),
        Some(known) => {
            return Err(usage(
                Failure::new(format!("this run's stack is `{known}` already"))
                    .help("give each stack a runbook of its own"),
            )
            .into());
        }
        None => {}
    }
    session.wait_for(context, async { session.run.is_same_stack(&stack) })?;
    session.wait_for(context, session.run.lock(&format!("stack {stack}")))?;
    session.run.set_stack(stack.clone());
    named.stack = Some(stack.clone());
    Ok(stack)
}

/// The failure of an application that cannot have this name.
pub fn unsuitable(application: &str) -> Option<Failure> {
    let problem = name_problem(application)?;
    let failure = Failure::new(format!("`{application}` cannot name an application: {problem}"));
    Some(failure.help("use up to 20 lower-case letters, digits and hyphens, beginning with a letter"))
}

/// Names of load balancers and target groups end at 32 characters: a stack's name must leave room.
fn name_problem(name: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() {
        Some("it is empty")
    } else if name.len() > 20 {
        Some("it is longer than 20 characters")
    } else if !name.chars().all(allowed) {
        Some("it has other characters")
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        Some("it does not begin with a letter")
    } else if name.ends_with('-') || name.contains("--") {
        Some("a hyphen stands between two other characters")
    } else {
        None
    }
}

fn within(session: &Session, context: &NativeCallContext, given: Dynamic, block: &FnPtr) -> Result<Dynamic> {
    session.watch.check()?;
    session.spend(context, Count::Operations, 1)?;
    let WithinOptions { region, role_arn, external_id } = options(session, context, &WITHIN, given)?;
    if let (None, None) = (&region, &role_arn) {
        let failure = Failure::new("`within` needs a `region` or a `role_arn`: it would change nothing");
        return Err(failure.at(context).into());
    }
    let outer = strand::branch(|branch| branch.scope().cloned());
    let scope = session.wait_for(context, session.run.scope_within(outer.as_ref(), region, role_arn, external_id))?;
    strand::branch(|branch| branch.enter_scope(scope));
    let result = block.call_within_context(context, ());
    strand::branch(Branch::leave_scope);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_applications() {
        for name in ["shop", "a", "shop-2", "a-b-c", "abcdefghijklmnopqrst"] {
            assert_eq!(name_problem(name), None, "{name}");
        }
        for name in ["", "Shop", "shop_2", "2shop", "-a", "a-", "a--b", "abcdefghijklmnopqrstu", "é"] {
            assert!(name_problem(name).is_some(), "{name}");
        }
    }
}
