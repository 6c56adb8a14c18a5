//! Sending commands to instances, and waiting until they have ended on all of them.

use std::{collections::BTreeMap, time::Duration};

use aws_sdk_ssm::{
    operation::get_command_invocation::GetCommandInvocationOutput, types::CommandInvocationStatus as Status,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Invocation;
use crate::{
    ops::{Error, all_of, arguments, require},
    run::{Class, Ctx, LookUp, Mutation, Seen, Undo, Wait},
};

/// How many instances a command can name (SendCommand, InstanceIds).
pub const AT_ONCE: usize = 50;

/// How long an instance that has just been launched may take to register.
const REGISTERED: Duration = Duration::from_secs(5 * 60);

/// How long Systems Manager tries to reach an instance, the least that it takes.
const DELIVERY: Duration = Duration::from_secs(60);

/// How long commands may run at most, in seconds: "The default is 3600 (1 hour). The maximum is 172800 (48 hours)."
const LONGEST: u64 = 172_800;

/// How much is kept of what a command has written.
const TAIL: usize = 2_000;

/// The option `timeout` of an operation that runs commands, in seconds.
pub fn seconds(timeout: crate::ops::Duration) -> Result<u64, Error> {
    let seconds = timeout.0.as_secs();
    match (1..=LONGEST).contains(&seconds) {
        true => Ok(seconds),
        false => Err(Error::option("timeout", "expected a duration of 1 second to 48 hours")),
    }
}

/// A document with its parameters, and how many instances run it at once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Script {
    pub document_name: String,
    pub parameters: BTreeMap<String, Vec<String>>,
    pub comment: String,
    /// In seconds, on one instance.
    pub timeout: u64,
    pub max_concurrency: Option<String>,
    pub max_errors: Option<String>,
}

/// What is kept of a command that was sent.
#[derive(Serialize, Deserialize)]
struct Sent {
    command_id: String,
}

impl Script {
    /// Sends it to these instances, at most [`AT_ONCE`]. `what` says what it is, in words. Returns the command's id.
    ///
    /// A command whose reply is lost is found by its comment. If it is not, it is sent again ([`Class::Unique`]), or a person is
    /// asked ([`Class::Once`]).
    pub async fn send(
        &self,
        ctx: &Ctx,
        class: Class,
        what: &str,
        instances: &[String],
        undo: Option<Undo>,
    ) -> Result<String, Error> {
        let declared = Mutation::new("ssm:SendCommand", class, what)
            .look_up(&COMMAND_BY_COMMENT, json!({ "comment": self.comment, "instance_id": instances.first() }))
            .undo(undo);
        // Refused, it has been carried out nowhere.
        let declared = declared.patiently(&["InvalidInstanceId"], REGISTERED);
        let parameters: std::collections::HashMap<String, Vec<String>> =
            self.parameters.iter().map(|(name, values)| (name.clone(), values.clone())).collect();
        // A map has no order of its own: the bytes of several parameters are others each time.
        let declared = if parameters.len() > 1 { declared.varies() } else { declared };
        let sent = ctx.mutate(
            declared,
            |permit| {
                let request = ctx.aws().ssm.send_command().document_name(&self.document_name);
                request
                    .set_instance_ids(Some(instances.to_vec()))
                    .set_parameters(Some(parameters.clone()))
                    .timeout_seconds(i32::try_from(DELIVERY.as_secs()).unwrap_or(60))
                    .comment(&self.comment)
                    .set_max_concurrency(self.max_concurrency.clone())
                    .set_max_errors(self.max_errors.clone())
                    .customize()
                    .interceptor(permit)
                    .send()
            },
            |reply| {
                let id = reply.command().and_then(|command| command.command_id());
                Ok(Sent { command_id: require("ssm:SendCommand", "Command.CommandId", id)? })
            },
        );
        match sent.await {
            Ok(Sent { command_id }) => Ok(command_id),
            Err(error) if error.is(&["InvalidInstanceId"]) => Err(Error::Hopeless {
                what: format!("{} to be managed by Systems Manager", in_words(instances)),
                reason: "its agent has to run there, and the role of the instance needs the policy \
                         AmazonSSMManagedInstanceCore"
                    .to_owned(),
            }),
            Err(error) => Err(error),
        }
    }

    /// The same script with a comment that no other command of its instances has: it tells where it comes from, and finds it
    /// again. SendCommand takes a hundred characters.
    pub fn called(mut self, ctx: &Ctx, name: &str) -> Self {
        let comment = format!("runner {} {} {name}", ctx.run_id(), ctx.id());
        self.comment = comment.trim_end().chars().take(100).collect();
        self
    }

    /// The same for what takes back a script that was called so, on these instances.
    pub fn to_take_back(mut self, instances: &[String]) -> Self {
        let comment = format!("undo {} {}", instances.first().map_or("", String::as_str), self.comment);
        self.comment = comment.chars().take(100).collect();
        self
    }

    /// Those of these instances on which it has not ended well before. One that was sent there and runs is waited for.
    pub async fn not_run_on(&self, ctx: &Ctx, instances: &[String]) -> Result<Vec<String>, Error> {
        let is_left = async |id: &String| {
            for command_id in called(ctx, &self.comment, id).await? {
                if self.ended(ctx, &command_id, std::slice::from_ref(id)).await?.iter().all(Invocation::succeeded) {
                    return Ok(None);
                }
            }
            Ok::<_, Error>(Some(id.clone()))
        };
        Ok(all_of(instances.iter().map(is_left)).await?.into_iter().flatten().collect())
    }

    /// Waits until a command has ended on all of its instances.
    pub async fn ended(&self, ctx: &Ctx, command_id: &str, instances: &[String]) -> Result<Vec<Invocation>, Error> {
        let mut ended: BTreeMap<String, Invocation> = BTreeMap::new();
        let what = format!("commands on {} to end", in_words(instances));
        let wait = Wait { what, timeout: self.longest(instances.len()), every: Duration::from_secs(3) };
        ctx.wait(wait, async || {
            let open: Vec<&String> = instances.iter().filter(|id| !ended.contains_key(*id)).collect();
            let looks = all_of(open.iter().map(|id| invocation(ctx, command_id, id))).await?;
            ended.extend(looks.into_iter().flatten().map(|one| (one.instance_id.clone(), one)));
            Ok(match ended.len() == instances.len() {
                true => Seen::Ready(()),
                false => Seen::Pending(format!("{} of {} have ended", ended.len(), instances.len())),
            })
        })
        .await?;
        Ok(ended.into_values().collect())
    }

    /// How long it may take on so many instances: as many times after each other as they do not fit in side by side.
    fn longest(&self, instances: usize) -> Duration {
        let at_once = match self.max_concurrency.as_deref() {
            None => AT_ONCE,
            Some(text) => match text.strip_suffix('%') {
                Some(share) => instances * share.parse().unwrap_or(100) / 100,
                None => text.parse().unwrap_or(AT_ONCE),
            },
        };
        let times = u32::try_from(instances.div_ceil(at_once.max(1))).unwrap_or(u32::MAX);
        let once = Duration::from_secs(self.timeout) + DELIVERY + Duration::from_secs(30);
        once.saturating_mul(times)
    }
}

/// Finds a command by its comment, among those of an instance it was sent to.
pub const COMMAND_BY_COMMENT: LookUp =
    LookUp { name: "command_by_comment", run: |ctx, arguments| Box::pin(command_by_comment(ctx, arguments)) };

#[derive(Deserialize)]
struct ByComment {
    comment: String,
    instance_id: String,
}

async fn command_by_comment(ctx: &Ctx, wanted: Value) -> Result<Option<Value>, Error> {
    let ByComment { comment, instance_id } = arguments(wanted)?;
    let found = called(ctx, &comment, &instance_id).await?.into_iter().next();
    Ok(found.map(|command_id| json!(Sent { command_id })))
}

/// The commands with that comment that were sent to an instance.
async fn called(ctx: &Ctx, comment: &str, instance_id: &str) -> Result<Vec<String>, Error> {
    let request = || {
        let request = ctx.aws().ssm.list_command_invocations().instance_id(instance_id);
        request.into_paginator().items().send().collect::<Result<Vec<_>, _>>()
    };
    let all = ctx.read("ssm:ListCommandInvocations", request).await?;
    let found = all.into_iter().filter(|one| one.comment() == Some(comment));
    Ok(found.filter_map(|one| one.command_id).collect())
}

/// `instance i-1`, `3 instances`
pub fn in_words(instances: &[String]) -> String {
    match instances {
        [one] => format!("instance {one}"),
        several => format!("{} instances", several.len()),
    }
}

/// How a command has ended on an instance; `None` if it has not yet.
async fn invocation(ctx: &Ctx, command_id: &str, instance_id: &str) -> Result<Option<Invocation>, Error> {
    const CALL: &str = "ssm:GetCommandInvocation";
    let request = || ctx.aws().ssm.get_command_invocation().command_id(command_id).instance_id(instance_id).send();
    let reply = match ctx.read_of(CALL, command_id, request).await {
        // It is new, and not heard of everywhere.
        Err(error) if error.is(&["InvocationDoesNotExist", "InvalidCommandId"]) => return Ok(None),
        reply => reply?,
    };
    let is_open = matches!(
        reply.status(),
        None | Some(Status::Pending | Status::InProgress | Status::Delayed | Status::Cancelling)
    );
    Ok((!is_open).then(|| shown(instance_id, &reply)))
}

fn shown(instance_id: &str, reply: &GetCommandInvocationOutput) -> Invocation {
    let status = reply.status().map_or("Unknown", Status::as_str).to_owned();
    Invocation {
        instance_id: instance_id.to_owned(),
        status_details: reply.status_details().map_or_else(|| status.clone(), |details| details.replace(' ', "")),
        status,
        response_code: reply.response_code(),
        stdout: tail(reply.standard_output_content()),
        stderr: tail(reply.standard_error_content()),
    }
}

/// The end of a text: there the errors are.
fn tail(text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    let from = text.char_indices().rev().nth(TAIL - 1).map_or(0, |(at, _)| at);
    text[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(max_concurrency: Option<&str>) -> Script {
        Script {
            document_name: "AWS-RunShellScript".into(),
            parameters: BTreeMap::new(),
            comment: String::new(),
            timeout: 60,
            max_concurrency: max_concurrency.map(str::to_owned),
            max_errors: None,
        }
    }

    /// What is found by it is taken for done.
    #[test]
    fn the_comment_of_an_undo_is_its_own() {
        let forward = Script { comment: format!("runner 20261127-101502-k3f9 {}", "2.1.".repeat(40)), ..script(None) };
        let of = |id: &str| forward.clone().to_take_back(&[id.to_owned(), "i-9".to_owned()]).comment;
        let (one, other) = (of("i-0123456789abcdef0"), of("i-0123456789abcdef1"));
        assert!(
            one.starts_with("undo i-0123456789abcdef0 runner 20261127-101502-k3f9 2.1.") && one.len() == 100,
            "{one}"
        );
        assert_ne!(one, other);
    }

    #[test]
    fn one_after_the_other_takes_longer() {
        let of = |concurrency, instances| script(concurrency).longest(instances).as_secs();
        assert_eq!((of(None, 50), of(Some("1"), 3), of(Some("50%"), 4), of(Some("10%"), 3)), (150, 450, 300, 450));
    }

    #[test]
    fn the_end_of_a_text() {
        assert_eq!(tail(Some("short")), "short");
        assert_eq!(tail(Some(&format!("{}ä", "x".repeat(5_000)))).chars().count(), TAIL);
    }
}
