//! `run_command`: commands on the instances of a group, or on some instances.

use std::collections::BTreeMap;

use aws_sdk_autoscaling::types::LifecycleState;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    CommandRun, Invocation, faults,
    send::{self, AT_ONCE, Script, in_words},
};
use crate::{
    event::Change,
    ops::{
        Duration, Error, IdOf, Operation, arguments,
        compute::{AutoScalingGroup, asg},
        ownership::set,
    },
    run::{Class, Ctx, Undo, UndoAction, Undone},
};

const SHELL: &str = "AWS-RunShellScript";

/// Runs commands on the instances of an Auto Scaling group, or on instances of these ids, by Systems Manager, and waits until
/// they have ended everywhere.
///
/// Their agent has to run, and the instances' role needs the policy `AmazonSSMManagedInstanceCore`. A second run of the
/// runbook runs them again. What they did cannot be taken back by itself: say what does with `undo_commands`. What is in
/// them can be read in Systems Manager, so secrets do not belong into them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunCommand {
    /// The group: its instances that are in service.
    auto_scaling_group: Option<IdOf<AutoScalingGroup>>,
    /// The instances, instead of a group.
    #[serde(default)]
    instance_ids: Vec<String>,
    /// Lines of a shell script, run as root. Its exit code is that of the last line; begin with `set -e` to stop at the first
    /// that fails.
    #[serde(default)]
    commands: Vec<String>,
    /// Another document of Systems Manager instead of `AWS-RunShellScript`.
    document_name: Option<String>,
    /// What that document takes.
    #[serde(default)]
    parameters: BTreeMap<String, Vec<String>>,
    /// Where the commands are run.
    working_directory: Option<String>,
    /// How long they may take on an instance, up to 48 hours.
    #[serde(default = "ten_minutes")]
    timeout: Duration,
    /// On how many instances at once: a number, or a share such as `"25%"`. Left out, fifty.
    max_concurrency: Option<Count>,
    /// On how many instances they may fail before no further one is begun with. Left out, none.
    max_errors: Option<Count>,
    /// Whether the runbook goes on if they fail somewhere: the handle says where.
    #[serde(default)]
    allow_failure: bool,
    /// Lines of a shell script that take back what the commands did, run on the same instances when the run is rolled back.
    #[serde(default)]
    undo_commands: Vec<String>,
}

/// A number of instances, or a share of them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum Count {
    Number(u32),
    Text(String),
}

impl Count {
    fn text(&self, option: &str, least: u32) -> Result<String, Error> {
        let (text, number) = match self {
            Self::Number(number) => (number.to_string(), Some(*number)),
            Self::Text(text) => (text.clone(), text.strip_suffix('%').unwrap_or(text).parse().ok()),
        };
        let most = if text.ends_with('%') { 100 } else { 9_999_999 };
        match number {
            Some(number) if (least..=most).contains(&number) => Ok(text),
            _ => Err(Error::option(option, format!("expected a number or a share such as \"25%\", found {text:?}"))),
        }
    }
}

fn ten_minutes() -> Duration {
    Duration::from_secs(600)
}

impl RunCommand {
    fn check(&self) -> Result<Script, Error> {
        if self.auto_scaling_group.is_some() != self.instance_ids.is_empty() {
            return Err(Error::option("", "expected one of `auto_scaling_group` and `instance_ids`"));
        }
        let odd = self.instance_ids.iter().position(|id| !id.starts_with("i-") && !id.starts_with("mi-"));
        if let Some(index) = odd {
            return Err(Error::option(format!("instance_ids[{index}]"), "expected the id of an instance, `i-…`"));
        }
        let is_shell = self.document_name.as_deref().is_none_or(|name| name == SHELL);
        if is_shell && (self.commands.is_empty() || !self.parameters.is_empty()) {
            return Err(Error::option("commands", "expected lines of a shell script, and no `parameters`"));
        }
        let has_lines = !self.commands.is_empty() || self.working_directory.is_some();
        if !is_shell && has_lines {
            return Err(Error::option("parameters", "what another document takes is given in `parameters` alone"));
        }
        let seconds = send::seconds(self.timeout)?;
        let parameters = if is_shell { self.shell(&self.commands) } else { self.parameters.clone() };
        Ok(Script {
            document_name: self.document_name.clone().unwrap_or_else(|| SHELL.to_owned()),
            parameters,
            comment: String::new(),
            timeout: seconds,
            max_concurrency: self.max_concurrency.as_ref().map(|it| it.text("max_concurrency", 1)).transpose()?,
            max_errors: self.max_errors.as_ref().map(|it| it.text("max_errors", 0)).transpose()?,
        })
    }

    fn shell(&self, commands: &[String]) -> BTreeMap<String, Vec<String>> {
        let mut parameters = BTreeMap::from([
            ("commands".to_owned(), commands.to_vec()),
            ("executionTimeout".to_owned(), vec![self.timeout.0.as_secs().to_string()]),
        ]);
        if let Some(directory) = &self.working_directory {
            parameters.insert("workingDirectory".to_owned(), vec![directory.clone()]);
        }
        parameters
    }

    async fn instances(&self, ctx: &Ctx) -> Result<Vec<String>, Error> {
        let Some(group) = &self.auto_scaling_group else {
            let mut ids = self.instance_ids.clone();
            ids.sort_unstable();
            ids.dedup();
            return Ok(ids);
        };
        let group = asg::existing(ctx, group.as_str()).await?;
        let in_service = group.instances().iter().filter(|it| it.lifecycle_state() == Some(&LifecycleState::InService));
        let mut ids: Vec<String> = in_service.filter_map(|it| it.instance_id()).map(str::to_owned).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// What takes it back on these instances.
    fn undo(&self, script: &Script, what: &str, instances: &[String]) -> Undo {
        if self.undo_commands.is_empty() {
            return Undo::impossible(format!("take back what {what} did"));
        }
        let parameters = self.shell(&self.undo_commands);
        let back = Script { document_name: SHELL.to_owned(), parameters, ..script.clone() };
        let arguments = json!({ "script": back, "instance_ids": instances, "what": what });
        Undo::new(&RUN_UNDO_COMMANDS, format!("run the `undo_commands` of {what}"), arguments)
    }
}

impl Operation for RunCommand {
    const NAME: &'static str = "run_command";
    const AREA: &'static str = "Systems Manager";
    const EXAMPLE: &'static str =
        r#"run_command(#{ auto_scaling_group: "shop-prod-blue", commands: ["systemctl restart shop"] })"#;

    type Options = Self;
    type Handle = CommandRun;

    fn subject(options: &Self) -> String {
        match &options.auto_scaling_group {
            Some(group) => group.to_string(),
            None => in_words(&options.instance_ids),
        }
    }

    async fn run(ctx: &Ctx, options: Self) -> Result<CommandRun, Error> {
        let script = options.check()?.called(ctx, "");
        let instances = options.instances(ctx).await?;
        if instances.is_empty() {
            return Err(Error::NotFound {
                what: format!("an instance of {} that is in service", Self::subject(&options)),
                hint: Some("wait for them first, with `wait_healthy` or `scale_asg`".to_owned()),
            });
        }
        let mut all = CommandRun::default();
        for some in instances.chunks(AT_ONCE) {
            let what = format!("commands on {}", on(&options, some));
            let undo = options.undo(&script, &what, some);
            let command_id = script.send(ctx, Class::Once, &what, some, Some(undo)).await?;
            all.instances.extend(script.ended(ctx, &command_id, some).await?);
            all.command_ids.push(command_id);
            if !options.allow_failure {
                check(&what, &all.instances)?;
            }
        }
        all.succeeded = all.instances.iter().all(Invocation::succeeded);
        let ended = all.instances.iter().filter(|one| one.succeeded()).count();
        ctx.did(Change::Updated, [set("instances", all.instances.len()), set("succeeded", ended)]);
        Ok(all)
    }
}

/// The group with these of its instances, in words.
fn on(options: &RunCommand, instances: &[String]) -> String {
    match &options.auto_scaling_group {
        Some(group) => format!("{} of {group}", in_words(instances)),
        None => in_words(instances),
    }
}

fn check(what: &str, instances: &[Invocation]) -> Result<(), Error> {
    match faults(instances) {
        none if none.is_empty() => Ok(()),
        faults => Err(Error::Failed { what: what.to_owned(), faults }),
    }
}

/// Runs what takes commands back, on the instances that are still there.
pub const RUN_UNDO_COMMANDS: UndoAction =
    UndoAction { name: "run_undo_commands", run: |ctx, arguments| Box::pin(run_undo_commands(ctx, arguments)) };

#[derive(Serialize, Deserialize)]
struct Back {
    script: Script,
    instance_ids: Vec<String>,
    what: String,
}

async fn run_undo_commands(ctx: &Ctx, arguments_: Value) -> Result<Undone, Error> {
    let Back { script, instance_ids, what } = arguments(arguments_)?;
    let (living, stopped) = living(ctx, &instance_ids).await?;
    let what = format!("the `undo_commands` of {what}");
    // One comment in all rollbacks of the run, and another one for each undo.
    let script = script.to_take_back(&instance_ids);
    let left = script.not_run_on(ctx, &living).await?;
    if !left.is_empty() {
        let command_id = script.send(ctx, Class::Once, &what, &left, None).await?;
        check(&what, &script.ended(ctx, &command_id, &left).await?)?;
    }
    match (stopped.is_empty(), living.is_empty()) {
        (false, _) => Ok(Undone::Foreign(format!("{what} are not run on {}: it is stopped", stopped.join(", ")))),
        (true, true) => Ok(Undone::Already),
        (true, false) => Ok(Undone::Done),
    }
}

/// Those that run, and those that could run again. What the commands did went with the others. Of nodes that are not EC2's
/// (`mi-…`), Systems Manager says when it is told.
async fn living(ctx: &Ctx, instance_ids: &[String]) -> Result<(Vec<String>, Vec<String>), Error> {
    let (mut living, of_ec2): (Vec<String>, Vec<String>) =
        instance_ids.iter().cloned().partition(|id| id.starts_with("mi-"));
    let of_them = aws_sdk_ec2::types::Filter::builder().name("instance-id").set_values(Some(of_ec2.clone())).build();
    let reply = match of_ec2.is_empty() {
        true => None,
        false => Some(
            ctx.read("ec2:DescribeInstances", || ctx.aws().ec2.describe_instances().filters(of_them.clone()).send())
                .await?,
        ),
    };
    let mut stopped = Vec::new();
    let found = reply.iter().flat_map(|reply| reply.reservations()).flat_map(|reservation| reservation.instances());
    for instance in found {
        let state = instance.state().and_then(|state| state.name()).map_or("", |name| name.as_str());
        // Looked at here again: not every AWS-compatible endpoint filters as asked.
        let Some(id) = instance.instance_id().filter(|id| of_ec2.iter().any(|ours| ours == id)) else { continue };
        match state {
            "terminated" | "shutting-down" => {}
            "running" => living.push(id.to_owned()),
            _ => stopped.push(id.to_owned()),
        }
    }
    living.sort_unstable();
    stopped.sort_unstable();
    Ok((living, stopped))
}
