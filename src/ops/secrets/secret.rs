//! `secret`: a secret from where it is kept.
//!
//! Each source is a function that returns the text; what hides it and hands it out is the same for all of them.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Kept;
use crate::{
    ops::{
        Error, Operation, Secret,
        parameters::{ParameterType, store},
    },
    outside::{Command, Finished},
    policy::outside::PROGRAM,
    redact::{is_placeholder, placeholder},
    run::Ctx,
};

/// Reads a secret from where it is kept. The runbook can give it to an option, and not look at it.
///
/// It is in no journal, plan or log. A run that goes on reads it again. A plan does not read it; something else stands for it
/// there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadSecret {
    /// Name or ARN of a secret of Secrets Manager.
    secretsmanager: Option<String>,
    /// Of a secret that is JSON, the value of this key.
    key: Option<String>,
    /// The version: `AWSCURRENT`, `AWSPENDING`, `AWSPREVIOUS`, or a label of your own. Left out, the current one.
    version_stage: Option<String>,
    /// The name of a `SecureString` of Systems Manager.
    ssm: Option<String>,
    /// A command of this machine that prints it, for other stores: a program that `allowed_commands` of the environment's policy
    /// names, and its arguments.
    command: Option<Vec<String>>,
}

/// Where a secret is kept. One more is a variant here, an option above, and a function below.
enum Source<'a> {
    SecretsManager(&'a str),
    Ssm(&'a str),
    Command(&'a [String]),
}

impl ReadSecret {
    fn source(&self) -> Result<Source<'_>, Error> {
        let sources = [
            self.secretsmanager.as_deref().map(Source::SecretsManager),
            self.ssm.as_deref().map(Source::Ssm),
            self.command.as_deref().map(Source::Command),
        ];
        let mut given = sources.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(source), None) => Ok(source),
            _ => Err(Error::option("", "expected one of `secretsmanager`, `ssm` and `command`")),
        }
    }
}

impl Operation for ReadSecret {
    const NAME: &'static str = "secret";
    const AREA: &'static str = "Secrets";
    const PLAIN: bool = true;
    const EXAMPLE: &'static str = r#"let password = secret(#{ secretsmanager: "shop/db", key: "password" });"#;

    type Options = Self;
    type Handle = Kept;

    fn subject(options: &Self) -> String {
        let command = options.command.as_ref().map(|command| command.join(" "));
        let of = options.secretsmanager.clone().or(options.ssm.clone()).or(command).unwrap_or_default();
        match &options.key {
            Some(key) => format!("{of}, {key}"),
            None => of,
        }
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<Kept, Error> {
        let source = options.source()?;
        if let (Some(_), Source::Ssm(_) | Source::Command(_)) = (&options.version_stage, &source) {
            return Err(Error::option("version_stage", "only secrets of Secrets Manager have stages"));
        }
        let text = match source {
            Source::SecretsManager(id) => of_secrets_manager(ctx, id, options.version_stage.as_deref()).await?,
            Source::Ssm(name) => of_ssm(ctx, name).await?,
            Source::Command(words) => of_command(ctx, words).await?,
        };
        ctx.hide(&text);
        let text = match &options.key {
            Some(key) => at(&text, key, &Self::subject(&options))?,
            None => text,
        };
        ctx.hide(&text);
        Ok(Kept { value: Secret::new(text) })
    }
}

/// The value of a key of a secret that is JSON. The words of an error must not tell what is in it.
fn at(text: &str, key: &str, subject: &str) -> Result<String, Error> {
    if is_placeholder(text) {
        return Ok(text.to_owned());
    }
    let wrong = |what: &str| Error::option("key", format!("{subject}: the secret {what}"));
    let fields = match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => return Err(wrong("is no JSON object")),
    };
    match fields.get(key) {
        None => Err(wrong("has no such key")),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) => Err(wrong("has something else than text there")),
        Some(other) => Ok(other.to_string()),
    }
}

async fn of_secrets_manager(ctx: &Ctx, id: &str, stage: Option<&str>) -> Result<String, Error> {
    const CALL: &str = "secretsmanager:GetSecretValue";
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Reply {
        secret_string: Option<String>,
    }
    // The SDK writes replies down as they show themselves.
    impl std::fmt::Debug for Reply {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("(secret)")
        }
    }
    let mut input = json!({ "SecretId": id });
    if let Some(stage) = stage {
        input["VersionStage"] = json!(stage);
    }
    match ctx.unremembered(ctx.fetch::<Reply>(CALL, &input)).await {
        Ok(Reply { secret_string: Some(text) }) => Ok(text),
        Ok(Reply { secret_string: None }) => {
            Err(Error::option("secretsmanager", format!("{id} holds bytes, and only text can be passed on")))
        }
        Err(error) if error.is(&["ResourceNotFoundException"]) => Err(Error::NotFound {
            what: format!("secret {id}"),
            hint: Some("secrets belong to one region; one of another account is named by its ARN".into()),
        }),
        Err(error) => Err(error),
    }
}

async fn of_ssm(ctx: &Ctx, name: &str) -> Result<String, Error> {
    let found = store::read(ctx, name).await?.ok_or_else(|| Error::NotFound {
        what: format!("parameter {name}"),
        hint: Some("parameters belong to one region".into()),
    })?;
    if found.kind != ParameterType::SecureString {
        let message = format!("{name} is no SecureString: use `ssm_parameter` for what is no secret");
        return Err(Error::option("ssm", message));
    }
    Ok(found.value)
}

/// How long a command may take to find a secret.
const PATIENCE: Duration = Duration::from_secs(60);

async fn of_command(ctx: &Ctx, words: &[String]) -> Result<String, Error> {
    let Some((program, args)) = words.split_first() else {
        return Err(Error::option("command", "expected a program and its arguments, found nothing"));
    };
    let line = words.join(" ");
    ctx.may_send(&format!("exec:{program}"), &line, &json!({ PROGRAM: program, "args": args })).await?;
    let command = Command {
        program: program.clone(),
        args: args.to_vec(),
        env: BTreeMap::new(),
        directory: None,
        stdin: String::new(),
        timeout: PATIENCE,
    };
    let assume = Finished { stdout: placeholder(&line), ..Finished::default() };
    let failed = |faults: Vec<String>| Error::Failed { what: format!("`{line}`"), faults };
    let ended = ctx.look_outside(assume, || command.run(|_, _| {})).await;
    let finished = ended.map_err(|trouble| failed(vec![trouble.to_string()]))?;
    if let Some(faults) = finished.faults(1) {
        return Err(failed(faults));
    }
    match finished.stdout.trim_end_matches('\n') {
        "" => Err(failed(vec!["it printed nothing".to_owned()])),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_secret() {
        let text = r#"{ "user": "shop", "port": 5432, "more": {} }"#;
        let of = |key| at(text, key, "db").map_err(|error| error.to_string());
        assert_eq!(of("user"), Ok("shop".into()));
        assert_eq!(of("port"), Ok("5432".into()));
        assert_eq!(of("password"), Err("db: the secret has no such key".into()));
        assert_eq!(of("more"), Err("db: the secret has something else than text there".into()));
        let error = at("hunter2", "user", "db").expect_err("no JSON").to_string();
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!(at(&crate::redact::placeholder("db"), "user", "db").ok(), Some(crate::redact::placeholder("db")));
    }
}
