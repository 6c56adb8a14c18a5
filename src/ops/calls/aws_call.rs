//! `aws_call`: a signed call to any AWS service.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Asked, AwsReply, Written};
use crate::{
    aws::{Assumption, in_path, is_read_only},
    event::Change,
    ops::{Error, Operation, arguments, ownership::set},
    run::{Class, Ctx, Mutation, Undo, UndoAction, Undone, says_absent},
};

/// Calls an AWS service by the names of its API: for what no operation is made for. It is signed, retried, judged by policy and
/// written to the journal as every call is. A call that changes something says how it is taken back (`undo`), or that it is not
/// (`irreversible: true`). In a dry run reads go to AWS; what changes something is shown, and `assume` is taken for the reply.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsCall {
    /// The service, as boto3 and the aws CLI name it: `dynamodb`, `stepfunctions`.
    service: String,
    /// The action, as AWS names it: `DescribeTable`.
    action: String,
    /// Its parameters, under AWS's names: as in the API reference of the service.
    #[serde(default)]
    input: Map<String, Value>,
    /// Of services that are asked by method and path (Lambda, EKS, EFS). Left out, it is the action's.
    method: Option<String>,
    /// `/2015-03-31/functions/web`. Left out, it is the action's, with the parameters that belong there.
    path: Option<String>,
    /// What takes the call back.
    undo: Option<UndoCall>,
    /// Nothing takes the call back: a rollback says so, and is no clean one.
    #[serde(default)]
    irreversible: bool,
    /// Sending it again ends in the same state, so that it is sent again when its reply is lost. Without it a person is asked
    /// whether it was carried out.
    #[serde(default)]
    idempotent: bool,
    /// The reply in a dry run, and where the simulated AWS has no such call.
    assume: Option<Map<String, Value>>,
    /// Leaves it as it is when the run is rolled back.
    #[serde(default)]
    keep_on_rollback: bool,
}

/// The call that takes another one back. That something is not there any more is no failure.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoCall {
    /// The action, of the same service.
    action: String,
    /// Its parameters.
    #[serde(default)]
    input: Map<String, Value>,
    /// Parameters whose values are in the reply to the first call, as JSON Pointers: `#{ ExecutionArn: "/executionArn" }`. In `path`
    /// they stand in braces: `/2015-03-31/functions/{FunctionName}`.
    #[serde(default)]
    from_reply: BTreeMap<String, String>,
    method: Option<String>,
    path: Option<String>,
}

/// What is known of an undo when its turn comes.
#[derive(Serialize, Deserialize)]
struct Arguments {
    service: String,
    undo: UndoCall,
    /// Of the call that is taken back.
    #[serde(default)]
    reply: Value,
}

/// What is kept of a call.
#[derive(Serialize, Deserialize)]
struct Made {
    reply: Value,
}

impl Operation for AwsCall {
    const NAME: &'static str = "aws_call";
    const AREA: &'static str = "AWS";
    const POSITIONAL: &'static [&'static str] = &["service", "action"];
    const EXAMPLE: &'static str = r#"aws_call("dynamodb", "CreateTable", #{
    input: #{
        TableName: "carts", BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: [#{ AttributeName: "id", AttributeType: "S" }],
        KeySchema: [#{ AttributeName: "id", KeyType: "HASH" }],
    },
    undo: #{ action: "DeleteTable", input: #{ TableName: "carts" } },
})"#;

    type Options = Self;
    type Handle = AwsReply;

    fn subject(options: &Self) -> String {
        format!("{}:{}", options.service, options.action)
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<AwsReply, Error> {
        let (service, action) = (options.service.as_str(), options.action.as_str());
        let (method, path) = (options.method.as_deref(), options.path.as_deref());
        let asked = Asked::new("", Written { service, action, input: options.input.clone(), method, path })?;
        match is_read_only(asked.call) {
            true => read(ctx, &options, &asked).await,
            false => change(ctx, &options, &asked).await,
        }
    }
}

async fn read(ctx: &Ctx, options: &AwsCall, asked: &Asked) -> Result<AwsReply, Error> {
    let needless = [("undo", options.undo.is_some()), ("irreversible", options.irreversible)];
    if let Some((option, _)) = needless.into_iter().find(|(_, given)| *given) {
        return Err(Error::option(option, format!("{} only reads: there is nothing to take back", asked.call)));
    }
    let assumption = Assumption::new(options.assume.clone().map(Value::Object));
    let reply: Value = ctx.read(asked.call, || asked.to_send(ctx, &assumption).send()).await?;
    let assumed = assumption.was_made();
    ctx.did(Change::Read, assumed.then(|| set("reply", "assumed")));
    Ok(AwsReply { call: asked.call.to_owned(), reply, assumed })
}

async fn change(ctx: &Ctx, options: &AwsCall, asked: &Asked) -> Result<AwsReply, Error> {
    let undo = match (&options.undo, options.irreversible) {
        (Some(undo), false) => taken_back(ctx, options, asked, undo).await?,
        (None, true) => Undo::impossible(format!("nothing takes {} back", asked.call)),
        (Some(_), true) => return Err(Error::option("irreversible", "expected either this or `undo`, found both")),
        (None, false) => {
            let message = format!(
                "{} changes something: say which call takes it back (`undo: #{{ action: …, input: #{{ … }} }}`), or `irreversible: true`",
                asked.call
            );
            return Err(Error::option("undo", message));
        }
    };
    let class = if options.idempotent { Class::Idempotent } else { Class::Once };
    let reply = Value::Object(options.assume.clone().unwrap_or_default());
    let assumption = Assumption::new(Some(reply.clone()));
    let declared = Mutation::new(asked.call, class, subject(asked))
        .if_said(json!(Made { reply }))
        .undo(undo.keep(options.keep_on_rollback));
    let Made { reply } = ctx
        .mutate(
            declared,
            |permit| asked.to_send(ctx, &assumption).permit(permit).send(),
            |reply: &Value| Ok(Made { reply: reply.clone() }),
        )
        .await?;
    let assumed = assumption.was_made();
    let change = match asked.action {
        made if made.starts_with("Create") => Change::Created,
        removed if removed.starts_with("Delete") => Change::Deleted,
        _ => Change::Updated,
    };
    ctx.did(change, assumed.then(|| set("reply", "assumed")));
    Ok(AwsReply { call: asked.call.to_owned(), reply, assumed })
}

/// What a call is about, for people: the parameter that names it.
fn subject(asked: &Asked) -> String {
    let names = |(name, value): (&String, &'_ Value)| {
        let name = name.to_ascii_lowercase();
        ["name", "id", "arn"].iter().any(|end| name.ends_with(end)).then(|| value.as_str().map(str::to_owned)).flatten()
    };
    let path = || asked.place.as_ref().map(|(_, path)| path.clone());
    asked.input.iter().find_map(names).or_else(path).unwrap_or_else(|| asked.service.name.to_owned())
}

/// What stands for a value of a reply that is not there yet.
const LATER: &str = "known-from-the-reply";

async fn taken_back(ctx: &Ctx, options: &AwsCall, asked: &Asked, undo: &UndoCall) -> Result<Undo, Error> {
    let service = options.service.clone();
    // What is wrong with it is said before anything is sent.
    let mut whole = undo.clone();
    for name in undo.from_reply.keys() {
        whole.fill(name, &json!(LATER));
    }
    let back = undo_call(&service, whole)?;
    if is_read_only(back.call) {
        return Err(Error::option("undo.action", format!("{} only reads", back.call)));
    }
    // Undos are not judged when they are sent: they only put back what a run was allowed to change. Here it is what a runbook says.
    ctx.may_send(back.call, &subject(&back), &back.parameters()).await?;
    let arguments = Arguments { service, undo: undo.clone(), reply: Value::Null };
    Ok(Undo::new(&CALL_BACK, format!("{} for {}", back.call, subject(asked)), json!(arguments)))
}

impl UndoCall {
    /// Puts a value of the reply where it belongs: into the path, or among the parameters.
    fn fill(&mut self, name: &str, value: &Value) {
        let place = format!("{{{name}}}");
        match &mut self.path {
            Some(path) if path.contains(&place) => *path = path.replace(&place, &in_path(value)),
            _ => {
                self.input.insert(name.to_owned(), value.clone());
            }
        }
    }
}

fn undo_call(service: &str, undo: UndoCall) -> Result<Asked, Error> {
    let UndoCall { action, input, method, path, .. } = undo;
    let (method, path) = (method.as_deref(), path.as_deref());
    Asked::new("undo.", Written { service, action: &action, input, method, path })
}

/// Sends the call that takes another one back.
pub const CALL_BACK: UndoAction =
    UndoAction { name: "aws_call", run: |ctx, arguments| Box::pin(call_back(ctx, arguments)) };

async fn call_back(ctx: &Ctx, made: Value) -> Result<Undone, Error> {
    let Arguments { service, mut undo, reply } = arguments(made)?;
    for (name, pointer) in std::mem::take(&mut undo.from_reply) {
        let Some(value) = reply.pointer(&pointer) else {
            let hint = Some("look whether the call was carried out, and take it back by hand".to_owned());
            return Err(Error::NotFound { what: format!("`{pointer}` in the reply of the call"), hint });
        };
        undo.fill(&name, value);
    }
    let asked = undo_call(&service, undo)?;
    let assumption = Assumption::new(Some(json!({})));
    let declared = Mutation::new(asked.call, Class::Idempotent, subject(&asked));
    let sent = ctx.change(declared, |permit| asked.to_send(ctx, &assumption).permit(permit).send::<Value>()).await;
    match sent {
        Err(error) if says_absent(&error) => Ok(Undone::Already),
        sent => sent.map(|()| Undone::Done),
    }
}
